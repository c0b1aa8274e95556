//! `osai progress`: what the record holds, as a few lines or as JSON.
//!
//! The JSON is everything that is kept of a learner, for their own use; its fields stay, new ones may come.

use std::io::{self, Write};

use jiff::civil::Date;
use ratatui::style::Style;
use serde::Serialize;
use serde_json::Value;

use crate::content::{Level, Library};
use crate::progress::{Attempt, Card, Confidence, GoalReached, ItemSummary, LabState, LessonPosition};
use crate::progress::{Progress, ProgressError};
use crate::theme::Theme;

/// Everything that is kept. Times are Unix seconds (UTC), days are dates in the learner's zone.
#[derive(Debug, Serialize)]
pub struct Report {
    levels: Vec<LevelDone>,
    lessons: Vec<LessonRow>,
    /// Keys of the items that are due, most overdue first.
    due: Vec<String>,
    answers: usize,
    right: usize,
    /// 0 to 1; `null` without answers.
    share_right: Option<f64>,
    items: Vec<ItemRow>,
    cards: Vec<CardRow>,
    goals: Vec<GoalRow>,
    labs: Vec<LabRow>,
    last_screen: Option<Value>,
    attempts: Vec<AttemptRow>,
}

#[derive(Debug, Serialize)]
struct LevelDone {
    #[serde(skip)]
    name: &'static str,
    /// `foundations`, `practitioner`, `expert`.
    level: String,
    lessons: usize,
    done: usize,
}

#[derive(Debug, Serialize)]
struct LessonRow {
    lesson: String,
    furthest: f64,
    position: f64,
    completed_at: Option<i64>,
    updated_at: i64,
}

#[derive(Debug, Serialize)]
struct ItemRow {
    item: String,
    answers: u32,
    right: u32,
    last_right: bool,
    due_on: Option<String>,
}

#[derive(Debug, Serialize)]
struct CardRow {
    item: String,
    due_on: String,
    interval_days: u32,
    lapses: u32,
    stability: f32,
    difficulty: f32,
    reviewed_on: String,
}

#[derive(Debug, Serialize)]
struct GoalRow {
    lab: String,
    goal: String,
    evidence: Value,
    reached_at: i64,
}

#[derive(Debug, Serialize)]
struct LabRow {
    lab: String,
    state: Value,
    updated_at: i64,
}

#[derive(Debug, Serialize)]
struct AttemptRow {
    /// 1, 2, 3, …: the order of the answers.
    seq: i64,
    id: String,
    item: String,
    mode: String,
    answer: Value,
    right: bool,
    score: f64,
    /// 1 guess, 2 fairly sure, 3 sure; `null` when it was not said.
    confidence: Option<u8>,
    elapsed_ms: u64,
    answered_at: i64,
    content_version: String,
    pack: Option<String>,
}

/// Reads the whole record.
///
/// # Errors
/// The read failed.
pub fn report(library: &Library, progress: &Progress, today: Date) -> Result<Report, ProgressError> {
    let summary = progress.summary(today)?;
    let attempts = progress.attempts()?;
    let right = attempts.iter().filter(|(_, attempt)| attempt.right).count();
    Ok(Report {
        levels: levels(library, &summary.lessons),
        lessons: summary.lessons.into_iter().map(LessonRow::from).collect(),
        due: summary.due,
        answers: attempts.len(),
        right,
        share_right: (!attempts.is_empty()).then(|| right as f64 / attempts.len() as f64),
        items: summary.items.into_iter().map(ItemRow::from).collect(),
        cards: progress.cards()?.into_iter().map(CardRow::from).collect(),
        goals: summary.goals.into_iter().map(GoalRow::from).collect(),
        labs: progress.labs()?.into_iter().map(LabRow::from).collect(),
        last_screen: summary.last_screen.map(json),
        attempts: attempts.into_iter().map(AttemptRow::from).collect(),
    })
}

fn levels(library: &Library, places: &[LessonPosition]) -> Vec<LevelDone> {
    let is_done = |key: &str| places.iter().any(|place| place.lesson == key && place.completed_at.is_some());
    let count = |level: Level| {
        let lessons: Vec<_> = library.lessons().iter().filter(|head| head.level == level).collect();
        let done = lessons.iter().filter(|head| is_done(&library.record_key(&head.path, &head.id))).count();
        LevelDone { name: level.name(), level: level.name().to_lowercase(), lessons: lessons.len(), done }
    };
    Level::ALL.map(count).into_iter().collect()
}

/// Text that was kept as JSON, as JSON; what is none, as a string.
fn json(text: String) -> Value {
    serde_json::from_str(&text).unwrap_or(Value::String(text))
}

impl Report {
    /// The record in a few lines; `paint` puts a text in a style, or leaves it as it is.
    ///
    /// # Errors
    /// The output failed.
    pub fn write(&self, out: &mut dyn Write, theme: &Theme, paint: fn(Style, &str) -> String) -> io::Result<()> {
        let mut line = |name: &str, text: &str| writeln!(out, "{}  {text}", paint(theme.quiet, &format!("{name:<12}")));
        for level in self.levels.iter().filter(|level| level.lessons > 0) {
            line(level.name, &format!("{} of {} lessons done", level.done, level.lessons))?;
        }
        match self.share_right {
            Some(share) => {
                let items = self.items.len();
                let text = format!("{} to {items} questions, {:.0} % right", self.answers, share * 100.0);
                line("Answers", &text)?;
            }
            None => line("Answers", "none yet; `osai quiz LESSON` asks the first")?,
        }
        match self.due.len() {
            0 => line("Due today", "nothing")?,
            due => line("Due today", &format!("{due} (`osai review` asks them)"))?,
        }
        line("Lab goals", &format!("{} reached", self.goals.len()))
    }
}

impl From<LessonPosition> for LessonRow {
    fn from(place: LessonPosition) -> Self {
        let LessonPosition { lesson, furthest, position, completed_at, updated_at } = place;
        Self { lesson, furthest, position, completed_at, updated_at }
    }
}

impl From<ItemSummary> for ItemRow {
    fn from(item: ItemSummary) -> Self {
        let ItemSummary { item, answers, right, last_right, due_on } = item;
        Self { item, answers, right, last_right, due_on: due_on.map(|day| day.to_string()) }
    }
}

impl From<Card> for CardRow {
    fn from(card: Card) -> Self {
        Self {
            item: card.item,
            due_on: card.due_on.to_string(),
            interval_days: card.interval_days,
            lapses: card.lapses,
            stability: card.stability,
            difficulty: card.difficulty,
            reviewed_on: card.reviewed_on.to_string(),
        }
    }
}

impl From<GoalReached> for GoalRow {
    fn from(goal: GoalReached) -> Self {
        Self { lab: goal.lab, goal: goal.goal, evidence: json(goal.evidence), reached_at: goal.reached_at }
    }
}

impl From<LabState> for LabRow {
    fn from(lab: LabState) -> Self {
        Self { lab: lab.lab, state: json(lab.state), updated_at: lab.updated_at }
    }
}

impl From<(i64, Attempt)> for AttemptRow {
    fn from((seq, attempt): (i64, Attempt)) -> Self {
        Self {
            seq,
            id: attempt.id,
            item: attempt.item,
            mode: attempt.mode,
            answer: json(attempt.answer),
            right: attempt.right,
            score: attempt.score,
            confidence: attempt.confidence.map(|confidence| match confidence {
                Confidence::Guess => 1,
                Confidence::Fair => 2,
                Confidence::Sure => 3,
            }),
            elapsed_ms: attempt.elapsed_ms,
            answered_at: attempt.answered_at,
            content_version: attempt.content_version,
            pack: attempt.pack,
        }
    }
}
