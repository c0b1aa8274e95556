//! A lesson: its head (front matter) and its body.

use super::block::Block;
use super::front::{Level, Status};
use super::index::Record;

/// Where a fact comes from.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reference {
    /// Title of the source.
    pub title: String,
    /// Its address.
    pub url: String,
    /// The day it was checked, `YYYY-MM-DD`.
    pub checked: String,
}

impl Reference {
    /// Reads what `index.rs` wrote.
    pub(super) fn decode(record: &mut Record<'_>) -> Vec<Self> {
        record.list(|record| {
            let mut text = || record.text().to_owned();
            Self { title: text(), url: text(), checked: text() }
        })
    }
}

impl Status {
    fn decode(record: &mut Record<'_>) -> Self {
        if record.number() == 1 { Self::Planned } else { Self::Ready }
    }
}

/// Where a lesson's text stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct LessonPlace {
    /// Number of the file in the index.
    pub(super) file: usize,
    /// Byte at which the body begins.
    pub(super) body_at: usize,
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
    /// Status and title if it has this id; nothing else is read.
    pub(super) fn title_if<'a>(mut record: Record<'a>, id: &str) -> Option<(Status, &'a str)> {
        for _ in ["file", "body", "level", "order", "minutes"] {
            record.number();
        }
        let status = Status::decode(&mut record);
        if record.text() != id {
            return None;
        }
        let (_slug, _path) = (record.text(), record.text());
        Some((status, record.text()))
    }

    /// Reads what `index.rs` wrote.
    pub(super) fn decode(mut record: Record<'_>) -> (Self, LessonPlace) {
        let place = LessonPlace { file: record.number() as usize, body_at: record.number() as usize };
        let level = Level::ALL[record.number() as usize];
        let (order, minutes) = (record.number(), record.number());
        let status = Status::decode(&mut record);
        let mut text = || record.text().to_owned();
        let (id, slug, path, title) = (text(), text(), text(), text());
        let (outcomes, terms, prerequisites) = (record.texts(), record.texts(), record.texts());
        let sources = Reference::decode(&mut record);
        let head =
            Self { id, slug, path, title, level, order, minutes, status, outcomes, terms, prerequisites, sources };
        (head, place)
    }

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
