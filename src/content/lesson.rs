//! A lesson: its head (front matter) and its body.

use super::Block;

/// The three levels of the course.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// For everyone.
    Foundations,
    /// For those who build and decide.
    Practitioner,
    /// For those who train, serve and judge models.
    Expert,
}

impl Level {
    /// All levels, in order.
    pub const ALL: [Level; 3] = [Level::Foundations, Level::Practitioner, Level::Expert];

    /// The name as shown: `Practitioner`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Foundations => "Foundations",
            Self::Practitioner => "Practitioner",
            Self::Expert => "Expert",
        }
    }
}

/// Whether learners see a lesson.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Written.
    Ready,
    /// Front matter only.
    Planned,
}

/// Where a fact comes from.
#[derive(Clone, Debug, PartialEq)]
pub struct Reference {
    /// Title of the source.
    pub title: String,
    /// Its address.
    pub url: String,
    /// The day it was checked, `YYYY-MM-DD`.
    pub checked: String,
}

/// A lesson's front matter.
#[derive(Clone, Debug, PartialEq)]
pub struct LessonHead {
    /// `p3`.
    pub id: String,
    /// `tokens-and-tokenizers`.
    pub slug: String,
    /// Its file, `lessons/p3-tokens-and-tokenizers.md`.
    pub path: String,
    /// Title.
    pub title: String,
    /// Level.
    pub level: Level,
    /// Place within the level, from 1.
    pub order: u32,
    /// Minutes it takes.
    pub minutes: u32,
    /// Whether it is written.
    pub status: Status,
    /// What the learner can do afterwards.
    pub outcomes: Vec<String>,
    /// Ids of terms it introduces.
    pub terms: Vec<String>,
    /// Ids of lessons that come before.
    pub prerequisites: Vec<String>,
    /// Sources.
    pub sources: Vec<Reference>,
}

impl LessonHead {
    /// The id as shown: `P3`.
    pub fn code(&self) -> String {
        self.id.to_uppercase()
    }
}

/// A lesson with its body.
#[derive(Clone, Debug, PartialEq)]
pub struct Lesson {
    /// Front matter.
    pub head: LessonHead,
    /// The body.
    pub blocks: Vec<Block>,
    /// The body as written, for `--raw`.
    pub raw: String,
}
