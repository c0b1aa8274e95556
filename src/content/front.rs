//! Front matter of lessons and terms: the TOML between two lines `+++`.
//!
//! `build.rs` shares this file: embedded front matter is parsed when osai is built, a pack's when it is opened, both
//! into the same index.

use super::error::ContentErrorKind as Kind;
use super::fields::{At, Fault, Faults, Fields};
use super::fold::nearest;

const FENCE: &str = "+++";

/// The three levels of the course.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// For everyone.
    #[default]
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

    /// The name in files and JSON: `practitioner`.
    pub fn key(self) -> &'static str {
        match self {
            Self::Foundations => "foundations",
            Self::Practitioner => "practitioner",
            Self::Expert => "expert",
        }
    }
}

/// Whether learners see a lesson.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Status {
    /// Written.
    #[default]
    Ready,
    /// Front matter only.
    Planned,
}

/// A source as written.
#[derive(Clone, Debug, PartialEq)]
pub struct SourceFront {
    /// Title.
    pub title: String,
    /// Address.
    pub url: At<String>,
    /// `YYYY-MM-DD`.
    pub checked: At<String>,
}

/// A term's front matter, with places.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TermFront {
    /// Id.
    pub id: At<String>,
    /// Title.
    pub title: At<String>,
    /// One line.
    pub short: At<String>,
    /// Level.
    pub level: Level,
    /// Category.
    pub category: At<String>,
    /// Other names.
    pub aliases: Vec<At<String>>,
    /// How people ask for it.
    pub described: Vec<At<String>>,
    /// Related terms.
    pub related: Vec<At<String>>,
    /// Id and difference.
    pub confused_with: Vec<(At<String>, String)>,
    /// Lessons.
    pub lessons: Vec<At<String>>,
    /// Why it matters.
    pub why: String,
    /// Note and command of `[try]`.
    pub try_it: Option<(Option<String>, Option<String>)>,
    /// Sources.
    pub sources: Vec<SourceFront>,
}

/// A lesson's front matter, with places.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LessonFront {
    /// Id.
    pub id: At<String>,
    /// Title.
    pub title: At<String>,
    /// Level.
    pub level: Level,
    /// Place in the level.
    pub order: u32,
    /// Minutes.
    pub minutes: u32,
    /// Status.
    pub status: Status,
    /// What the learner can do afterwards.
    pub outcomes: Vec<At<String>>,
    /// Terms.
    pub terms: Vec<At<String>>,
    /// Lessons before.
    pub prerequisites: Vec<At<String>>,
    /// Sources.
    pub sources: Vec<SourceFront>,
}

/// A file read: its front matter, where its body begins, and what is wrong.
#[derive(Clone, Debug)]
pub struct Parsed<T> {
    /// Front matter; complete if there are no faults.
    pub front: T,
    /// Byte at which the body begins.
    pub body_at: usize,
    /// All faults of the front matter.
    pub faults: Vec<Fault>,
}

/// Reads a glossary file.
pub fn parse_term(text: &str) -> Parsed<TermFront> {
    parse(text, |fields| TermFront {
        id: fields.text("id"),
        title: fields.text("title"),
        short: fields.text("short"),
        level: level(fields),
        category: fields.text("category"),
        aliases: fields.texts_if_any("aliases"),
        described: fields.texts_if_any("described"),
        related: fields.texts_if_any("related"),
        confused_with: confusions(fields),
        lessons: fields.texts_if_any("lessons"),
        why: fields.text("why").value,
        try_it: fields.table("try").map(|mut table| {
            let pair = (table.text_if_any("note"), table.text_if_any("run"));
            table.finish();
            (pair.0.map(|note| note.value), pair.1.map(|run| run.value))
        }),
        sources: sources(fields),
    })
}

/// Reads a lesson's file.
pub fn parse_lesson(text: &str) -> Parsed<LessonFront> {
    parse(text, |fields| LessonFront {
        id: fields.text("id"),
        title: fields.text("title"),
        level: level(fields),
        order: fields.number("order", 1),
        minutes: fields.number("minutes", 1),
        status: status(fields),
        outcomes: fields.texts("outcomes"),
        terms: fields.texts("terms"),
        prerequisites: fields.texts_if_any("prerequisites"),
        sources: sources(fields),
    })
}

fn parse<T: Default>(text: &str, read: impl FnOnce(&mut Fields<'_, '_>) -> T) -> Parsed<T> {
    let (toml, body_at) = match split(text) {
        Ok(parts) => parts,
        Err(fault) => return Parsed { front: T::default(), body_at: text.len(), faults: vec![fault] },
    };
    let faults = Faults::new(toml.start);
    let mut fields = faults.table(&text[toml]);
    let front = read(&mut fields);
    fields.finish();
    Parsed { front, body_at, faults: faults.into_vec() }
}

/// The range of the front matter's TOML, and the byte at which the body begins.
fn split(text: &str) -> Result<(std::ops::Range<usize>, usize), Fault> {
    let mut at = 0;
    let mut start = None;
    for line in text.split_inclusive('\n') {
        match (start, line.trim_end() == FENCE) {
            (None, true) => start = Some(at + line.len()),
            (None, false) => return Err(Fault { at: 0, kind: Kind::FrontMatter { begun: false } }),
            (Some(start), true) => return Ok((start..at, at + line.len())),
            (Some(_), false) => {}
        }
        at += line.len();
    }
    Err(Fault { at: 0, kind: Kind::FrontMatter { begun: start.is_some() } })
}

fn level(fields: &mut Fields<'_, '_>) -> Level {
    let text = fields.text("level");
    match Level::ALL.into_iter().find(|level| level.key() == text.value) {
        Some(level) => level,
        None => {
            if !text.value.is_empty() {
                let nearest = nearest(&text.value, Level::ALL.map(Level::key));
                fields.fault(text.at, Kind::UnknownValue { key: "level".into(), value: text.value, nearest });
            }
            Level::default()
        }
    }
}

fn status(fields: &mut Fields<'_, '_>) -> Status {
    let text = fields.text("status");
    match text.value.as_str() {
        "ready" | "" => Status::Ready,
        "planned" => Status::Planned,
        _ => {
            let nearest = nearest(&text.value, ["ready", "planned"]);
            fields.fault(text.at, Kind::UnknownValue { key: "status".into(), value: text.value, nearest });
            Status::Ready
        }
    }
}

fn confusions(fields: &mut Fields<'_, '_>) -> Vec<(At<String>, String)> {
    let read = |mut table: Fields<'_, '_>| {
        let pair = (table.text("id"), table.text("why").value);
        table.finish();
        pair
    };
    fields.tables("confused_with").into_iter().map(read).collect()
}

fn sources(fields: &mut Fields<'_, '_>) -> Vec<SourceFront> {
    let read = |mut table: Fields<'_, '_>| {
        let source =
            SourceFront { title: table.text("title").value, url: table.text("url"), checked: table.day("checked") };
        if !source.url.value.is_empty() && !source.url.value.starts_with("https://") {
            table.fault(source.url.at, Kind::BadUrl { url: source.url.value.clone() });
        }
        table.finish();
        source
    };
    fields.tables("sources").into_iter().map(read).collect()
}
