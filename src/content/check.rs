//! The content check: every fault of every file, with its place and remedy.
//!
//! Each file is read by the same code that the course uses; what only shows when all files are seen together (ids that
//! nothing has, names that two terms have) is checked here; `house` adds what an editor would mark. Authors, the test suite and `--pack` run this one function.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;

use super::LinkTarget;
use super::block::{Block, Inline};
use super::error::{ContentError, ContentErrorKind as Kind, Target};
use super::fields::At;
use super::fold::{fold, nearest};
use super::front::{LessonFront, Parsed, Status, TermFront, parse_lesson, parse_term};
use super::glossary::CATEGORIES;
use super::house;
use super::index::{ContentFile, Index};
use super::markdown::{self, Markdown};
use super::quiz_file::{self, QuizFile};
use super::records::RecordFiles;
use super::source::{self, PACK_FILE, is_kebab};

/// Characters of a one-line definition.
const SHORT_LIMIT: usize = 160;

/// What a check gave; each list is sorted by file and place.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Checked {
    /// Files looked at.
    pub files: usize,
    /// Whether they are a pack's.
    pub is_pack: bool,
    /// What is broken: a pack with one of these is not opened.
    pub faults: Vec<ContentError>,
    /// What breaks the rules of the house: it counts in our own content, and is advice for a pack.
    pub house: Vec<ContentError>,
    /// Sources that were read more than a year ago: to be read again, no fault.
    pub stale: Vec<ContentError>,
}

/// Checks a folder: a pack if it has a `pack.toml` (laid over the course), else content of its own. `today` is
/// `YYYY-MM-DD`.
pub fn check_folder(dir: &Path, labs: &[&str], today: &str) -> Checked {
    let is_pack = dir.join(PACK_FILE).symlink_metadata().is_ok();
    let (files, mut faults) = source::read_folder(dir, is_pack);
    let count = files.len();
    if !is_pack && count == 0 {
        let kind = Kind::Lacks { what: "content", remedy: "name a folder with lessons/, glossary/ or quizzes/" };
        faults.push(ContentError::of_file(&dir.to_string_lossy(), kind));
        return Checked { faults, ..Checked::default() };
    }
    if !is_pack {
        let mut checked = check(&files, labs, today);
        checked.faults.extend(faults);
        sort(&mut checked.faults);
        return checked;
    }
    faults.extend(source::read_pack_file(dir).err().into_iter().flatten());
    let merged = source::overlay(Index::embedded().files(), files);
    let is_own = |fault: &ContentError| merged.iter().any(|file| file.is_pack && file.path == fault.path);
    let all = check(&merged, labs, today);
    Checked {
        files: count + 1,
        is_pack,
        house: all.house.iter().filter(|fault| is_own(fault)).cloned().collect(),
        stale: all.stale.iter().filter(|fault| is_own(fault)).cloned().collect(),
        faults: faults_of(&merged, all.faults, faults, labs),
    }
}

/// The faults that a pack brings.
pub(super) fn faults_of_pack(files: &[ContentFile], refused: Vec<ContentError>, labs: &[&str]) -> Vec<ContentError> {
    faults_of(files, broken(&Course::read(files, labs)), refused, labs)
}

/// Those of `all` faults that are in files of the pack, and those that it causes in files of the course.
fn faults_of(
    files: &[ContentFile],
    all: Vec<ContentError>,
    refused: Vec<ContentError>,
    labs: &[&str],
) -> Vec<ContentError> {
    let mut faults = refused;
    let (own, others): (Vec<_>, Vec<_>) =
        all.into_iter().partition(|fault| files.iter().any(|file| file.is_pack && file.path == fault.path));
    faults.extend(own);
    if !others.is_empty() {
        let before = broken(&Course::read(&Index::embedded().files(), labs));
        faults.extend(others.into_iter().filter(|fault| !before.contains(fault)));
    }
    sort(&mut faults);
    faults
}

/// By file and place; what is wrong with the pack itself comes first.
fn sort(faults: &mut [ContentError]) {
    faults.sort_by(|a, b| {
        let is_content = |fault: &ContentError| fault.path != PACK_FILE;
        (is_content(a), &a.path, a.line, a.column).cmp(&(is_content(b), &b.path, b.line, b.column))
    });
}

/// Everything that is wrong with these files; `labs` are the ids of the labs that exist.
pub(super) fn check(files: &[ContentFile], labs: &[&str], today: &str) -> Checked {
    let course = Course::read(files, labs);
    let (mut house, mut stale) = (house::faults(&course), house::stale(&course, today));
    sort(&mut house);
    sort(&mut stale);
    Checked { files: files.len(), is_pack: false, faults: broken(&course), house, stale }
}

/// What is broken.
fn broken(course: &Course<'_>) -> Vec<ContentError> {
    course.check_names();
    for term in &course.terms {
        course.check_term(term);
    }
    for lesson in &course.lessons {
        course.check_lesson(lesson);
    }
    course.check_orders();
    for quiz in &course.quizzes {
        course.check_quiz(quiz);
    }
    let mut faults = course.faults.take();
    let terms: Vec<&str> = course.terms.iter().map(|term| term.stem).collect();
    faults.extend(course.records.faults(&terms));
    sort(&mut faults);
    faults
}

/// A file with what was read of it.
pub(super) struct Of<'a, T> {
    pub(super) file: &'a ContentFile,
    /// The file's name without its ending.
    pub(super) stem: &'a str,
    pub(super) front: T,
    pub(super) body: Markdown,
    /// Byte at which the body begins.
    pub(super) body_at: usize,
    has_body: bool,
}

/// All files, read.
#[derive(Default)]
pub(super) struct Course<'a> {
    labs: &'a [&'a str],
    pub(super) terms: Vec<Of<'a, TermFront>>,
    pub(super) lessons: Vec<Of<'a, LessonFront>>,
    quizzes: Vec<Of<'a, QuizFile>>,
    pub(super) records: RecordFiles<'a>,
    faults: RefCell<Vec<ContentError>>,
}

impl<'a> Course<'a> {
    fn fault(&self, file: &ContentFile, at: usize, kind: Kind) {
        self.faults.borrow_mut().push(ContentError::at(&file.path, &file.text, at, kind));
    }

    fn read(files: &'a [ContentFile], labs: &'a [&'a str]) -> Self {
        let mut course = Self { labs, ..Self::default() };
        files.iter().for_each(|file| course.take(file));
        course
    }

    fn take(&mut self, file: &'a ContentFile) {
        if self.records.take(file) {
            return;
        }
        let (folder, name) = file.path.split_once('/').unwrap_or(("", &file.path));
        match (folder, name.rsplit_once('.')) {
            ("glossary", Some((stem, "md"))) => {
                let term = self.read_markdown(file, stem, parse_term(&file.text));
                self.terms.push(term);
            }
            ("lessons", Some((stem, "md"))) => {
                let lesson = self.read_markdown(file, stem, parse_lesson(&file.text));
                self.lessons.push(lesson);
            }
            ("quizzes", Some((stem, "toml"))) => {
                let front = quiz_file::parse(&file.path, &file.text);
                for fault in &front.faults {
                    self.fault(file, fault.at, fault.kind.clone());
                }
                self.quizzes.push(Of { file, stem, front, body: Markdown::default(), body_at: 0, has_body: false });
            }
            _ => {
                let why = "not a content file (lessons and terms end in `.md`, quizzes and records in `.toml`)";
                self.faults.borrow_mut().push(ContentError::of_file(&file.path, Kind::Refused { why }));
            }
        }
    }

    fn read_markdown<T>(&self, file: &'a ContentFile, stem: &'a str, parsed: Parsed<T>) -> Of<'a, T> {
        let body = markdown::parse(&file.text, parsed.body_at);
        for fault in parsed.faults.into_iter().chain(body.faults.iter().cloned()) {
            self.fault(file, fault.at, fault.kind);
        }
        let has_body = !file.text[parsed.body_at..].trim().is_empty();
        Of { file, stem, front: parsed.front, body, body_at: parsed.body_at, has_body }
    }

    fn check_id(&self, file: &ContentFile, id: &At<String>, wanted: &str) {
        if id.value.is_empty() {
            return;
        }
        if !is_kebab(&id.value) {
            self.fault(file, id.at, Kind::NotKebab { id: id.value.clone() });
        } else if id.value != wanted {
            self.fault(file, id.at, Kind::WrongId { id: id.value.clone(), wanted: wanted.into() });
        }
    }

    /// No name belongs to two terms. Ids and titles come first, so that the fault is at the alias.
    fn check_names(&self) {
        let mut owners: BTreeMap<String, &str> = BTreeMap::new();
        let mut claim = |term: &Of<'_, TermFront>, name: &At<String>, path: &'a str| {
            let folded = fold(&name.value);
            if folded.is_empty() {
                return;
            }
            match owners.get(&folded) {
                Some(other) if *other != path => {
                    self.fault(
                        term.file,
                        name.at,
                        Kind::SharedName { name: name.value.clone(), other: (*other).into() },
                    );
                }
                _ => drop(owners.insert(folded, path)),
            }
        };
        for term in &self.terms {
            for name in [&term.front.id, &term.front.title] {
                claim(term, name, &term.file.path);
            }
        }
        for term in &self.terms {
            for alias in &term.front.aliases {
                claim(term, alias, &term.file.path);
            }
        }
    }

    fn check_term(&self, term: &Of<'_, TermFront>) {
        let front = &term.front;
        self.check_id(term.file, &front.id, term.stem);
        let category = &front.category;
        if !category.value.is_empty() && !CATEGORIES.contains(&&*category.value) {
            let nearest = nearest(&category.value, CATEGORIES);
            let kind = Kind::UnknownValue { key: "category".into(), value: category.value.clone(), nearest };
            self.fault(term.file, category.at, kind);
        }
        self.check_short(term);
        for id in front.related.iter().chain(front.confused_with.iter().map(|(id, _)| id)) {
            self.check_target(term.file, Target::Term, id);
        }
        for id in &front.lessons {
            self.check_target(term.file, Target::Lesson, id);
        }
        // An empty front matter has been reported.
        if !term.has_body && !front.id.value.is_empty() {
            let kind = Kind::Lacks { what: "body", remedy: "write below the front matter what it is and how it works" };
            self.fault(term.file, 0, kind);
        }
        self.check_body(term.file, &term.body);
    }

    fn check_short(&self, term: &Of<'_, TermFront>) {
        let short = &term.front.short;
        let chars = short.value.chars().count();
        if chars > SHORT_LIMIT {
            self.fault(term.file, short.at, Kind::TooLong { key: "short".into(), chars, limit: SHORT_LIMIT });
        }
        let text = short.value.to_lowercase();
        let text = ["a ", "an ", "the "].iter().find_map(|article| text.strip_prefix(article)).unwrap_or(&text);
        let begins = |name: &str| {
            let rest = text.strip_prefix(&name.to_lowercase());
            !name.is_empty() && rest.is_some_and(|rest| !rest.starts_with(char::is_alphanumeric))
        };
        let front = &term.front;
        let mut names = [&*front.title.value, &*front.id.value].into_iter();
        if let Some(name) = names.find(|name| begins(name)) {
            self.fault(term.file, short.at, Kind::BeginsWithName { name: name.into() });
        }
    }

    fn check_lesson(&self, lesson: &Of<'_, LessonFront>) {
        let (file, front) = (lesson.file, &lesson.front);
        let (wanted, slug) = lesson.stem.split_once('-').unwrap_or((lesson.stem, ""));
        self.check_id(file, &front.id, wanted);
        if !is_kebab(lesson.stem) || slug.is_empty() {
            self.fault(file, 0, Kind::NotKebab { id: lesson.stem.into() });
        }
        let is_same = |other: &&Of<'_, LessonFront>| other.front.id.value == front.id.value;
        if self.lessons.iter().find(is_same).is_some_and(|first| first.file.path != file.path) {
            self.fault(file, front.id.at, Kind::DuplicateId { what: "lesson", id: front.id.value.clone() });
        }
        for id in &front.terms {
            self.check_target(file, Target::Term, id);
        }
        for id in &front.prerequisites {
            self.check_target(file, Target::Lesson, id);
        }
        let has_quiz = self.quizzes.iter().any(|quiz| quiz.stem == front.id.value);
        match front.status {
            Status::Planned if lesson.has_body => self.fault(file, 0, Kind::PlannedWithBody),
            Status::Planned => {}
            Status::Ready => {
                for (is_there, what, remedy) in [
                    (lesson.has_body, "body", "write it or set `status = \"planned\"`"),
                    (!front.sources.is_empty(), "sources", "add [[sources]] with title, url and checked"),
                    (!front.outcomes.is_empty(), "outcomes", "say in `outcomes` what the learner can do afterwards"),
                    (has_quiz, "quiz", "add quizzes/ID.toml with the lesson's id"),
                ] {
                    // An empty front matter has been reported; what is missing there would be said twice.
                    if !is_there && !front.id.value.is_empty() {
                        self.fault(file, 0, Kind::Lacks { what, remedy });
                    }
                }
            }
        }
        self.check_body(file, &lesson.body);
    }

    fn check_orders(&self) {
        let mut taken = BTreeMap::new();
        for lesson in self.lessons.iter().filter(|lesson| lesson.front.order > 0) {
            let (front, path) = (&lesson.front, &lesson.file.path);
            if let Some(other) = taken.insert((front.level, front.order), path) {
                let at = lesson.file.text.find("order").unwrap_or(0);
                self.fault(lesson.file, at, Kind::DuplicateOrder { order: front.order, other: other.clone() });
            }
        }
    }

    fn check_quiz(&self, quiz: &Of<'_, QuizFile>) {
        let (file, front) = (quiz.file, &quiz.front);
        self.check_id(file, &front.lesson, quiz.stem);
        self.check_target(file, Target::Lesson, &front.lesson);
        for term in &front.terms {
            self.check_target(file, Target::Term, term);
        }
        self.check_links(file, &front.links);
        let lesson = self.lessons.iter().find(|lesson| lesson.front.id.value == front.lesson.value);
        let Some(lesson) = lesson.filter(|lesson| lesson.front.status == Status::Ready) else { return };
        let headings: Vec<String> = lesson.body.blocks.iter().filter_map(heading).collect();
        for section in front.sections.iter().filter(|section| !headings.contains(&section.value)) {
            let kind = Kind::UnknownSection {
                section: section.value.clone(),
                lesson: front.lesson.value.to_uppercase(),
                nearest: nearest(&section.value, headings.iter().map(String::as_str)),
            };
            self.fault(file, section.at, kind);
        }
    }

    fn check_body(&self, file: &ContentFile, body: &Markdown) {
        self.check_links(file, &body.links);
        for lab in &body.labs {
            self.check_target(file, Target::Lab, lab);
        }
    }

    fn check_links(&self, file: &ContentFile, links: &[At<LinkTarget>]) {
        for link in links {
            let (target, id) = match &link.value {
                LinkTarget::Term(id) => (Target::Term, id),
                LinkTarget::Lesson(id) => (Target::Lesson, id),
                LinkTarget::Web(_) => continue,
            };
            self.check_target(file, target, &At { value: id.clone(), at: link.at });
        }
    }

    /// Something has this id. A file counts by its name too, so that a fault in it is not reported at every link.
    fn check_target(&self, file: &ContentFile, target: Target, id: &At<String>) {
        let known: Vec<&str> = match target {
            Target::Term => self.terms.iter().map(|term| term.stem).collect(),
            Target::Lesson => {
                let stem_id = |lesson: &Of<'a, LessonFront>| lesson.stem.split('-').next().unwrap_or_default();
                self.lessons.iter().map(stem_id).collect()
            }
            Target::Lab => self.labs.to_vec(),
            // Of records alone, which look for themselves.
            Target::Licence | Target::Clause | Target::Question | Target::Source => Vec::new(),
        };
        if !id.value.is_empty() && !known.contains(&&*id.value) {
            let nearest = nearest(&id.value, known.iter().copied());
            self.fault(file, id.at, Kind::Unknown { target, id: id.value.clone(), nearest });
        }
    }
}

fn heading(block: &Block) -> Option<String> {
    match block {
        Block::Heading { text, .. } => Some(Inline::plain(text)),
        _ => None,
    }
}
