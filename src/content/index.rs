//! All content in one block of bytes that is read in place: names, terms, lessons, files, records.
//!
//! `build.rs` makes the embedded block with [`build`], a pack's is made when it is opened; both are read by [`Index`].
//! One block instead of tables of `&str`, because each static reference costs a relocation at every start of the
//! program. A cold look-up touches a binary search over folded names and one record.
//!
//! Layout, little-endian: a pair `(offset u32, count u32)` for each [`Table`]; then the tables.
//! Names: `offset u32, length u16, term u16`, sorted. Terms, lessons: `offset u32` of a record. Files:
//! `path, text, is_pack` as `offset u32, length u32, offset u32, length u32, u32`, sorted by path.
//! Models, licences, questions: `offset u32, length u32` of a MessagePack value, in the order of the files' paths.
//! A record of a term or lesson: texts as `length u32, bytes`; lists as `count u32, items`.

use std::borrow::Cow;
use std::path::Path;

use super::error::ContentError;
use super::fields::{At, Fault};
use super::fold::{fold, fold_singular};
use super::front::{LessonFront, Parsed, SourceFront, Status, TermFront, parse_lesson, parse_term};
use super::records::licence::{parse_licence, parse_questions};
use super::records::model::parse_model;
use super::records::parts;

/// A content file.
#[derive(Clone, Debug)]
pub struct ContentFile {
    /// `glossary/token.md`.
    pub path: String,
    /// Its text.
    pub text: String,
    /// Whether it comes from a pack.
    pub is_pack: bool,
}

/// Makes the block. Terms and lessons with faults in their front matter are left out of the look-up (the files stay);
/// their faults come back.
pub fn build(mut files: Vec<ContentFile>) -> (Vec<u8>, Vec<ContentError>) {
    files.sort_by(|a, b| a.path.cmp(&b.path));
    let mut faults = Vec::new();
    let mut terms: Vec<(u32, Parsed<TermFront>)> = Vec::new();
    let mut lessons: Vec<(u32, Parsed<LessonFront>)> = Vec::new();
    let (mut models, mut licences, mut questions) = (Vec::new(), Vec::new(), Vec::new());
    for (number, file) in (0..).zip(&files) {
        if file.path.starts_with("records/models/") {
            keep_record(parse_model(&file.text), file, &mut models, &mut faults);
        } else if file.path.starts_with("records/licences/") {
            keep_record(parse_licence(&file.text), file, &mut licences, &mut faults);
        } else if file.path == QUESTIONS {
            keep_record(parse_questions(&file.text), file, &mut questions, &mut faults);
        } else if file.path.starts_with("glossary/") {
            keep_sound(parse_term(&file.text), number, file, &mut terms, &mut faults);
        } else if file.path.starts_with("lessons/") {
            keep_sound(parse_lesson(&file.text), number, file, &mut lessons, &mut faults);
        }
    }
    terms.sort_by_cached_key(|(_, term)| (term.front.title.value.to_lowercase(), term.front.id.value.clone()));
    lessons.sort_by_key(|(number, lesson)| (lesson.front.level, lesson.front.order, *number));

    let mut writer = Writer(vec![0; Table::COUNT * 8]);
    let file_table: Vec<[u32; 5]> = files
        .iter()
        .map(|file| {
            let (path, text) = (writer.bytes(file.path.as_bytes()), writer.bytes(file.text.as_bytes()));
            [path, file.path.len() as u32, text, file.text.len() as u32, file.is_pack.into()]
        })
        .collect();
    let term_table: Vec<u32> = terms.iter().map(|(file, term)| writer.term(*file, term)).collect();
    let lesson_table: Vec<u32> =
        lessons.iter().map(|(file, lesson)| writer.lesson(*file, &files[*file as usize].path, lesson)).collect();
    let names: Vec<(u32, u16, u16)> = names(&terms)
        .into_iter()
        .map(|(name, _, term)| (writer.bytes(name.as_bytes()), name.len() as u16, term))
        .collect();

    let head = [
        writer.table(
            names.len(),
            names.iter().flat_map(|(at, len, term)| [*at, u32::from(*len) | u32::from(*term) << 16]),
        ),
        writer.table(term_table.len(), term_table.iter().copied()),
        writer.table(lesson_table.len(), lesson_table.iter().copied()),
        writer.table(file_table.len(), file_table.iter().flatten().copied()),
        writer.packed(&models),
        writer.packed(&licences),
        writer.packed(&questions),
    ];
    for (slot, (at, count)) in head.into_iter().enumerate() {
        writer.0[slot * 8..slot * 8 + 4].copy_from_slice(&at.to_le_bytes());
        writer.0[slot * 8 + 4..slot * 8 + 8].copy_from_slice(&count.to_le_bytes());
    }
    (writer.0, faults)
}

fn keep_sound<T>(
    parsed: Parsed<T>,
    number: u32,
    file: &ContentFile,
    sound: &mut Vec<(u32, Parsed<T>)>,
    faults: &mut Vec<ContentError>,
) {
    if parsed.faults.is_empty() {
        sound.push((number, parsed));
    } else {
        let place = |fault: Fault| ContentError::at(&file.path, &file.text, fault.at, fault.kind);
        faults.extend(parsed.faults.into_iter().map(place));
    }
}

/// The same for a record, as MessagePack.
fn keep_record<T: serde::Serialize>(
    parsed: parts::Parsed<T>,
    file: &ContentFile,
    sound: &mut Vec<Vec<u8>>,
    faults: &mut Vec<ContentError>,
) {
    if parsed.faults.is_empty() {
        sound.push(rmp_serde::to_vec(&parsed.record).expect("records are texts, numbers and lists"));
    } else {
        faults.extend(parsed.errors(file));
    }
}

/// Folded names, rank and term, sorted: a name as written (rank 0) comes before one made singular (rank 1), so that
/// `transformers` finds the term of that very name first. Names too long to be typed are left out.
fn names(terms: &[(u32, Parsed<TermFront>)]) -> Vec<(String, u8, u16)> {
    let mut names = Vec::new();
    for (number, (_, term)) in (0..).zip(terms) {
        let term = &term.front;
        let written = [&term.id, &term.title].into_iter().chain(&term.aliases).map(|name| name.value.as_str());
        for name in written.clone() {
            names.push((fold(name), 0, number));
        }
        let without_bracket = term.title.value.split(" (").next().into_iter();
        for name in written.chain(without_bracket) {
            names.push((fold(name), 1, number));
            names.push((fold_singular(name), 1, number));
        }
    }
    names.retain(|(name, ..)| !name.is_empty() && name.len() <= usize::from(u16::MAX));
    names.sort();
    names.dedup_by(|later, earlier| later.0 == earlier.0 && later.2 == earlier.2);
    names
}

struct Writer(Vec<u8>);

impl Writer {
    fn bytes(&mut self, bytes: &[u8]) -> u32 {
        let at = self.0.len() as u32;
        self.0.extend_from_slice(bytes);
        at
    }

    fn table(&mut self, count: usize, words: impl Iterator<Item = u32>) -> (u32, u32) {
        let at = self.0.len() as u32;
        words.for_each(|word| self.u32(word));
        (at, count as u32)
    }

    fn packed(&mut self, values: &[Vec<u8>]) -> (u32, u32) {
        let places: Vec<[u32; 2]> = values.iter().map(|value| [self.bytes(value), value.len() as u32]).collect();
        self.table(places.len(), places.into_iter().flatten())
    }

    fn u32(&mut self, value: u32) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    fn text(&mut self, text: &str) {
        self.u32(text.len() as u32);
        self.bytes(text.as_bytes());
    }

    fn texts(&mut self, texts: &[At<String>]) {
        self.u32(texts.len() as u32);
        texts.iter().for_each(|text| self.text(&text.value));
    }

    fn sources(&mut self, sources: &[SourceFront]) {
        self.u32(sources.len() as u32);
        for source in sources {
            self.text(&source.title);
            self.text(&source.url.value);
            self.text(&source.checked.value);
        }
    }

    /// Decoded by `glossary.rs`, in the same order.
    fn term(&mut self, file: u32, parsed: &Parsed<TermFront>) -> u32 {
        let at = self.0.len() as u32;
        let term = &parsed.front;
        self.u32(file);
        self.u32(parsed.body_at as u32);
        self.u32(term.level as u32);
        for text in [&term.id, &term.title, &term.short, &term.category] {
            self.text(&text.value);
        }
        for list in [&term.aliases, &term.described, &term.related, &term.lessons] {
            self.texts(list);
        }
        self.u32(term.confused_with.len() as u32);
        for (id, why) in &term.confused_with {
            self.text(&id.value);
            self.text(why);
        }
        self.text(&term.why);
        self.u32(term.try_it.is_some().into());
        if let Some((note, run)) = &term.try_it {
            // Neither may be empty when it is there.
            self.text(note.as_deref().unwrap_or_default());
            self.text(run.as_deref().unwrap_or_default());
        }
        self.sources(&term.sources);
        at
    }

    /// Decoded by `lesson.rs`, in the same order.
    fn lesson(&mut self, file: u32, path: &str, parsed: &Parsed<LessonFront>) -> u32 {
        let at = self.0.len() as u32;
        let lesson = &parsed.front;
        let stem = Path::new(path).file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        let slug = stem.strip_prefix(&*lesson.id.value).and_then(|rest| rest.strip_prefix('-')).unwrap_or(stem);
        self.u32(file);
        self.u32(parsed.body_at as u32);
        for number in [lesson.level as u32, lesson.order, lesson.minutes, (lesson.status == Status::Planned).into()] {
            self.u32(number);
        }
        for text in [&*lesson.id.value, slug, path, &*lesson.title.value] {
            self.text(text);
        }
        for list in [&lesson.outcomes, &lesson.terms, &lesson.prerequisites] {
            self.texts(list);
        }
        self.sources(&lesson.sources);
        at
    }
}

/// The block, read in place.
#[derive(Clone, Debug)]
pub struct Index(Cow<'static, [u8]>);

/// The file of the questions that licences answer.
pub const QUESTIONS: &str = "records/questions.toml";

/// One of the block's tables.
#[derive(Clone, Copy, Debug)]
pub enum Table {
    /// Folded names of terms.
    Names,
    /// Terms.
    Terms,
    /// Lessons.
    Lessons,
    /// Files as they were collected.
    Files,
    /// Records of models.
    Models,
    /// Records of licences.
    Licences,
    /// The questions that licences answer: one list.
    Questions,
}

impl Table {
    const COUNT: usize = Self::Questions as usize + 1;
}

impl Index {
    /// Over a block that [`build`] made.
    pub fn new(block: impl Into<Cow<'static, [u8]>>) -> Self {
        Self(block.into())
    }

    fn u32(&self, at: usize) -> usize {
        u32::from_le_bytes(self.0[at..at + 4].try_into().expect("four bytes")) as usize
    }

    fn text(&self, at: usize, len: usize) -> &str {
        std::str::from_utf8(&self.0[at..at + len]).expect("written from text")
    }

    fn table(&self, table: Table) -> (usize, usize) {
        (self.u32(table as usize * 8), self.u32(table as usize * 8 + 4))
    }

    fn name(&self, number: usize) -> (&[u8], usize) {
        let at = self.table(Table::Names).0 + number * 8;
        let (start, tail) = (self.u32(at), self.u32(at + 4));
        (&self.0[start..start + (tail & 0xFFFF)], tail >> 16)
    }

    /// Terms that have this folded name, the one with the name as written first.
    pub fn terms_named(&self, folded: &str) -> impl Iterator<Item = usize> {
        let count = self.table(Table::Names).1;
        let (mut low, mut high) = (0, count);
        while low < high {
            let middle = (low + high) / 2;
            if self.name(middle).0 < folded.as_bytes() { low = middle + 1 } else { high = middle }
        }
        let same = move |number: &usize| self.name(*number).0 == folded.as_bytes();
        (low..count).take_while(same).map(|number| self.name(number).1)
    }

    /// Every folded name with its term.
    pub fn names(&self) -> impl Iterator<Item = (&str, usize)> {
        (0..self.table(Table::Names).1).map(|number| {
            let (name, term) = self.name(number);
            (std::str::from_utf8(name).expect("written from text"), term)
        })
    }

    /// Number of terms, sorted by title.
    pub fn term_count(&self) -> usize {
        self.table(Table::Terms).1
    }

    /// A term's record.
    pub fn term(&self, number: usize) -> Record<'_> {
        Record { index: self, at: self.u32(self.table(Table::Terms).0 + number * 4) }
    }

    /// Number of lessons, in course order.
    pub fn lesson_count(&self) -> usize {
        self.table(Table::Lessons).1
    }

    /// A lesson's record.
    pub fn lesson(&self, number: usize) -> Record<'_> {
        Record { index: self, at: self.u32(self.table(Table::Lessons).0 + number * 4) }
    }

    /// Number of files, sorted by path.
    pub fn file_count(&self) -> usize {
        self.table(Table::Files).1
    }

    /// A file: path, text, whether it is the pack's.
    pub fn file(&self, number: usize) -> (&str, &str, bool) {
        let at = self.table(Table::Files).0 + number * 20;
        let word = |slot: usize| self.u32(at + slot * 4);
        (self.text(word(0), word(1)), self.text(word(2), word(3)), word(4) == 1)
    }

    /// All values of one of the tables of records.
    pub fn unpack<T: serde::de::DeserializeOwned>(&self, table: Table) -> Vec<T> {
        let (at, count) = self.table(table);
        let value = |number: usize| {
            let (start, len) = (self.u32(at + number * 8), self.u32(at + number * 8 + 4));
            rmp_serde::from_slice(&self.0[start..start + len]).expect("written by `build`")
        };
        (0..count).map(value).collect()
    }

    /// A file by path.
    pub fn find_file(&self, path: &str) -> Option<usize> {
        let (mut low, mut high) = (0, self.file_count());
        while low < high {
            let middle = (low + high) / 2;
            if self.file(middle).0 < path { low = middle + 1 } else { high = middle }
        }
        (low < self.file_count() && self.file(low).0 == path).then_some(low)
    }
}

/// A record being decoded: fields in the order in which they were written.
#[derive(Clone, Debug)]
pub struct Record<'a> {
    index: &'a Index,
    at: usize,
}

impl<'a> Record<'a> {
    /// A number.
    pub fn number(&mut self) -> u32 {
        self.at += 4;
        self.index.u32(self.at - 4) as u32
    }

    /// A text.
    pub fn text(&mut self) -> &'a str {
        let len = self.number() as usize;
        self.at += len;
        self.index.text(self.at - len, len)
    }

    /// A list.
    pub fn list<T>(&mut self, mut read: impl FnMut(&mut Self) -> T) -> Vec<T> {
        (0..self.number()).map(|_| read(self)).collect()
    }

    /// A list of texts.
    pub fn texts(&mut self) -> Vec<String> {
        self.list(|record| record.text().to_owned())
    }
}
