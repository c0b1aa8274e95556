//! What is taught. Text in, typed data out; no screen, no model, no clock.
//!
//! [`Library`] holds lessons, terms, quizzes and records of models and licences: embedded ones, overlaid path by path
//! with a pack folder.

mod block;
mod check;
mod error;
mod fields;
mod fold;
mod front;
mod glossary;
mod house;
mod index;
mod lesson;
mod markdown;
mod quiz;
mod quiz_file;
pub mod records;
mod search;
mod source;
mod stem;
mod words;

pub use block::{Alert, Block, Inline, LinkTarget, ListItem};
pub use check::{Checked, check_folder};
pub use error::{ContentError, ContentErrorKind, Target};
pub use front::{Level, Status};
pub use glossary::{CATEGORIES, Confusion, Glossary, Lookup, Term, TermHead, Try};
pub use lesson::{Lesson, LessonHead, Reference};
pub use quiz::{Answer, Blank, Choice, Mistake, Question, QuestionKind, Quiz, Verdict, mark};
pub use search::Filter;

use std::path::Path;
use std::sync::OnceLock;

use index::Index;
use lesson::LessonPlace;
use records::Records;

/// A pack that overlays the embedded content: a folder with `pack.toml` and the content folders.
#[derive(Clone, Debug, PartialEq)]
pub struct Pack {
    /// Prefix of everything that comes from the pack, in the learner's record: `ID:p3/item`.
    pub id: String,
    /// Its title.
    pub title: String,
    /// Its version.
    pub version: String,
}

/// One hit of a search.
#[derive(Clone, Debug, PartialEq)]
pub struct Hit {
    /// `term` or `lesson`.
    pub kind: HitKind,
    /// Id of the term or lesson.
    pub id: String,
    /// Its title.
    pub title: String,
    /// Why it matched: at most 160 characters around the first match, plain text.
    pub excerpt: String,
    /// Greater is better; comparable within one search only.
    pub score: f64,
}

/// What a search found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HitKind {
    /// A glossary term.
    Term,
    /// A lesson.
    Lesson,
}

/// Everything that is taught. Heads (front matter) are there at once; bodies are parsed when asked for.
#[derive(Debug)]
pub struct Library {
    glossary: Glossary,
    pack: Option<Pack>,
    lessons: OnceLock<Lessons>,
    records: OnceLock<Records>,
}

#[derive(Debug)]
struct Lessons {
    all: Vec<LessonHead>,
    ready: Vec<LessonHead>,
    /// Where the text of each of `all` stands.
    places: Vec<LessonPlace>,
}

impl Library {
    /// The embedded course. Reads the build-time index only: no parsing of bodies.
    pub fn embedded() -> Self {
        Self::new(Index::embedded(), None)
    }

    fn new(index: Index, pack: Option<Pack>) -> Self {
        Self { glossary: Glossary::new(index), pack, lessons: OnceLock::new(), records: OnceLock::new() }
    }

    /// The embedded course overlaid with a pack folder, checked.
    ///
    /// # Errors
    /// All faults of the pack; it is then not opened.
    pub fn with_pack(dir: &Path, labs: &[&str]) -> Result<Self, Vec<ContentError>> {
        let pack = source::read_pack_file(dir)?;
        let (files, refused) = source::read_folder(dir, true);
        let files = source::overlay(Index::embedded().files(), files);
        let faults = check::faults_of_pack(&files, refused, labs);
        if !faults.is_empty() {
            return Err(faults);
        }
        let (block, _) = index::build(files);
        Ok(Self::new(Index::new(block), Some(pack)))
    }

    fn index(&self) -> &Index {
        self.glossary.index()
    }

    fn heads(&self) -> &Lessons {
        self.lessons.get_or_init(|| {
            let index = self.index();
            let (all, places): (Vec<LessonHead>, Vec<LessonPlace>) =
                (0..index.lesson_count()).map(|number| LessonHead::decode(index.lesson(number))).unzip();
            let ready = all.iter().filter(|head| head.status == Status::Ready).cloned().collect();
            Lessons { all, ready, places }
        })
    }

    /// The pack that overlays the course, if there is one.
    pub fn pack(&self) -> Option<&Pack> {
        self.pack.as_ref()
    }

    /// Version of the content, kept with every answer: the program's version, or `pack-id@version`.
    pub fn version(&self) -> String {
        match &self.pack {
            Some(pack) => format!("{}@{}", pack.id, pack.version),
            None => env!("CARGO_PKG_VERSION").into(),
        }
    }

    /// Prefixes an id of an item, lesson or lab with the pack's id if the file it comes from is the pack's:
    /// the key in the learner's record. `path` is the content path, for example `quizzes/p3.toml`.
    pub fn record_key(&self, path: &str, id: &str) -> String {
        let is_pack = self.index().find_file(path).is_some_and(|file| self.index().file(file).2);
        match &self.pack {
            Some(pack) if is_pack => format!("{}:{id}", pack.id),
            _ => id.to_owned(),
        }
    }

    /// Heads of the lessons that learners see (status `ready`), in course order.
    pub fn lessons(&self) -> &[LessonHead] {
        &self.heads().ready
    }

    /// Heads of all lessons, planned ones too, in course order.
    pub fn all_lessons(&self) -> &[LessonHead] {
        &self.heads().all
    }

    /// A lesson by id in any case (`P3`), slug, or `id-slug`; `None` if there is none that is ready.
    pub fn find_lesson(&self, name: &str) -> Option<&LessonHead> {
        let wanted = name.trim().to_lowercase();
        let is_it = |head: &&LessonHead| {
            let rest = wanted.strip_prefix(&*head.id).map(|rest| rest.strip_prefix('-').unwrap_or(rest));
            wanted == head.slug || rest.is_some_and(|rest| rest.is_empty() || rest == head.slug)
        };
        self.lessons().iter().find(is_it)
    }

    /// A lesson with its body, by id.
    ///
    /// # Errors
    /// The faults of its file (only a pack's file can have any), or that there is none.
    pub fn lesson(&self, id: &str) -> Result<Lesson, Vec<ContentError>> {
        let heads = self.heads();
        let Some(number) = heads.all.iter().position(|head| head.id == id) else {
            let kind = ContentErrorKind::Unknown { target: Target::Lesson, id: id.into(), nearest: None };
            return Err(vec![ContentError::of_file("lessons", kind)]);
        };
        let place = heads.places[number];
        let (_, text, _) = self.index().file(place.file);
        let blocks = markdown::parse(text, place.body_at).blocks;
        Ok(Lesson { head: heads.all[number].clone(), blocks, raw: text[place.body_at..].trim_start().to_owned() })
    }

    /// The glossary.
    pub fn glossary(&self) -> &Glossary {
        &self.glossary
    }

    /// The records of models and licences; decoded when first asked for.
    pub fn records(&self) -> &Records {
        self.records.get_or_init(|| Records::read(self.index()))
    }

    /// The quiz of a lesson, if it has one.
    ///
    /// # Errors
    /// The faults of its file (only a pack's file can have any).
    pub fn quiz(&self, lesson: &str) -> Result<Option<Quiz>, Vec<ContentError>> {
        let path = format!("quizzes/{lesson}.toml");
        let Some(file) = self.index().find_file(&path) else { return Ok(None) };
        let (_, text, _) = self.index().file(file);
        let parsed = quiz_file::parse(&path, text);
        if parsed.faults.is_empty() {
            return Ok(Some(parsed.quiz));
        }
        let place = |fault: fields::Fault| ContentError::at(&path, text, fault.at, fault.kind);
        Err(parsed.faults.into_iter().map(place).collect())
    }

    /// A question by the key under which it was recorded (`p3/count-hello`, or `pack:p3/count-hello`), with its lesson's id.
    pub fn question(&self, key: &str) -> Option<(String, Question)> {
        let (lesson, id) = key.rsplit(':').next()?.split_once('/')?;
        let quiz = self.quiz(lesson).ok()??;
        // A key of another pack, or of the course where the pack has its own quiz, is not this question.
        let is_this = self.record_key(&quiz.path, &format!("{lesson}/{id}")) == key;
        let question = quiz.questions.into_iter().find(|question| question.id == id)?;
        is_this.then(|| (lesson.to_owned(), question))
    }

    /// Terms and lessons that match the words, best first, at most `limit`.
    pub fn search(&self, words: &str, limit: usize) -> Vec<Hit> {
        self.search_where(words, limit, &Filter::default())
    }

    /// The same among those that the filter keeps.
    pub fn search_where(&self, words: &str, limit: usize, filter: &Filter) -> Vec<Hit> {
        search::search(self, words, limit, filter)
    }

    /// Everything that is wrong with the whole content (see `osai check`); `labs` are the ids of the labs that exist,
    /// `today` is `YYYY-MM-DD`.
    pub fn check(&self, labs: &[&str], today: &str) -> Checked {
        check::check(&self.index().files(), labs, today)
    }
}
