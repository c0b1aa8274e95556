//! What is taught. Text in, typed data out; no screen, no model, no clock.
//!
//! [`Library`] holds lessons, terms and quizzes: embedded ones, overlaid path by path with a pack folder.

mod error;
mod glossary;
mod lesson;
mod markdown;
mod quiz;

pub use error::{ContentError, ContentErrorKind};
pub use glossary::{CATEGORIES, Confusion, Glossary, Lookup, Term, TermHead, Try};
pub use lesson::{Lesson, LessonHead, Level, Reference, Status};
pub use markdown::{Alert, Block, Inline, LinkTarget, ListItem};
pub use quiz::{Answer, Blank, Choice, Mistake, Question, QuestionKind, Quiz, Verdict, mark};

use std::path::Path;

/// A pack that overlays the embedded content: a folder with `pack.toml` and the three content folders.
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
    _private: (),
}

impl Library {
    /// The embedded course. Reads the build-time index only: no parsing of bodies.
    pub fn embedded() -> Self {
        unimplemented!()
    }

    /// The embedded course overlaid with a pack folder, checked.
    ///
    /// # Errors
    /// All faults of the pack; it is then not opened.
    pub fn with_pack(_dir: &Path, _labs: &[&str]) -> Result<Self, Vec<ContentError>> {
        unimplemented!()
    }

    /// The pack that overlays the course, if there is one.
    pub fn pack(&self) -> Option<&Pack> {
        unimplemented!()
    }

    /// Version of the content, kept with every answer: the program's version, or `pack-id@version`.
    pub fn version(&self) -> String {
        unimplemented!()
    }

    /// Prefixes an id of an item, lesson or lab with the pack's id if the file it comes from is the pack's:
    /// the key in the learner's record. `path` is the content path, for example `quizzes/p3.toml`.
    pub fn record_key(&self, _path: &str, _id: &str) -> String {
        unimplemented!()
    }

    /// Heads of the lessons that learners see (status `ready`), in course order.
    pub fn lessons(&self) -> &[LessonHead] {
        unimplemented!()
    }

    /// Heads of all lessons, planned ones too, in course order.
    pub fn all_lessons(&self) -> &[LessonHead] {
        unimplemented!()
    }

    /// A lesson by id in any case (`P3`), slug, or `id-slug`; `None` if there is none that is ready.
    pub fn find_lesson(&self, _name: &str) -> Option<&LessonHead> {
        unimplemented!()
    }

    /// A lesson with its body, by id.
    ///
    /// # Errors
    /// The faults of its file (only a pack's file can have any).
    pub fn lesson(&self, _id: &str) -> Result<Lesson, Vec<ContentError>> {
        unimplemented!()
    }

    /// The glossary.
    pub fn glossary(&self) -> &Glossary {
        unimplemented!()
    }

    /// The quiz of a lesson, if it has one.
    ///
    /// # Errors
    /// The faults of its file (only a pack's file can have any).
    pub fn quiz(&self, _lesson: &str) -> Result<Option<Quiz>, Vec<ContentError>> {
        unimplemented!()
    }

    /// A question by the key under which it was recorded (`p3/count-hello`, or `pack:p3/count-hello`), with its lesson's id.
    pub fn question(&self, _key: &str) -> Option<(String, Question)> {
        unimplemented!()
    }

    /// Terms and lessons that match the words, best first, at most `limit`.
    pub fn search(&self, _words: &str, _limit: usize) -> Vec<Hit> {
        unimplemented!()
    }

    /// All faults of the whole content (see `osai check`); `labs` are the ids of the labs that exist.
    pub fn check(&self, _labs: &[&str]) -> Vec<ContentError> {
        unimplemented!()
    }
}
