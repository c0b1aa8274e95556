//! The learner's record: one private SQLite file. What an answer means is not known here; keys are strings.
//!
//! Attempts are append-only and are the truth; cards (when a question is asked again) follow from them and can be
//! rebuilt. Time comes in as an argument. `journal_mode=TRUNCATE`, `synchronous=FULL`: a write that returned is on disk.

mod error;

pub use error::ProgressError;

use std::path::Path;

use jiff::civil::Date;

/// How well an answer was recalled, in Anki's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rating {
    /// Wrong.
    Again = 1,
    /// Right, but guessed.
    Hard = 2,
    /// Right.
    Good = 3,
    /// Right and sure.
    Easy = 4,
}

/// How sure the learner was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Confidence {
    /// Guessed.
    Guess = 1,
    /// Fairly sure.
    Fair = 2,
    /// Sure.
    Sure = 3,
}

/// One answer, as it was given. Never changed, never made up later.
#[derive(Clone, Debug, PartialEq)]
pub struct Attempt {
    /// UUID v7, made when the question is shown; recording the same id twice keeps one row.
    pub id: String,
    /// Key of the item, `p3/count-hello` (with the pack's prefix if it is a pack's).
    pub item: String,
    /// `quiz` or `review`.
    pub mode: String,
    /// The answer as JSON (`content::Answer`).
    pub answer: String,
    /// Wholly right.
    pub right: bool,
    /// 0 to 1.
    pub score: f64,
    /// How sure the learner was, if asked.
    pub confidence: Option<Confidence>,
    /// Milliseconds from shown to answered.
    pub elapsed_ms: u64,
    /// Unix seconds, UTC.
    pub answered_at: i64,
    /// Version of the content.
    pub content_version: String,
    /// Id of the pack the item comes from.
    pub pack: Option<String>,
}

/// When an item is asked again.
#[derive(Clone, Debug, PartialEq)]
pub struct Card {
    /// Key of the item.
    pub item: String,
    /// The day.
    pub due_on: Date,
    /// Days between the last answer and `due_on`.
    pub interval_days: u32,
    /// How often it was forgotten.
    pub lapses: u32,
    /// FSRS: days until recall falls to 90%.
    pub stability: f32,
    /// FSRS: 1 to 10.
    pub difficulty: f32,
    /// The day of the last answer.
    pub reviewed_on: Date,
}

/// Where a learner is in a lesson.
#[derive(Clone, Debug, PartialEq)]
pub struct LessonPosition {
    /// Key of the lesson.
    pub lesson: String,
    /// Share read, 0 to 1 (the furthest place).
    pub furthest: f64,
    /// Where the learner stopped, 0 to 1.
    pub position: f64,
    /// Unix seconds, when it was marked as done.
    pub completed_at: Option<i64>,
    /// Unix seconds, last change.
    pub updated_at: i64,
}

/// A goal of a lab that was reached.
#[derive(Clone, Debug, PartialEq)]
pub struct GoalReached {
    /// The lab's key.
    pub lab: String,
    /// The goal's id.
    pub goal: String,
    /// What was typed and measured, JSON.
    pub evidence: String,
    /// Unix seconds.
    pub reached_at: i64,
}

/// Everything a screen needs to know of the record, read in one go.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Summary {
    /// Lessons that were opened.
    pub lessons: Vec<LessonPosition>,
    /// Goals reached.
    pub goals: Vec<GoalReached>,
    /// Items due on the day asked for, most overdue first.
    pub due: Vec<String>,
    /// All items ever answered: `(item, answers, right answers, last was right, due_on)`.
    pub items: Vec<ItemSummary>,
    /// The last screen, JSON of the app's own making.
    pub last_screen: Option<String>,
}

/// An item's history in numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct ItemSummary {
    /// Key of the item.
    pub item: String,
    /// Number of answers.
    pub answers: u32,
    /// Right answers among them.
    pub right: u32,
    /// Whether the last one was right.
    pub last_right: bool,
    /// When it is asked again.
    pub due_on: Option<Date>,
}

/// The learner's record. One process writes at a time; a second one opens read-only and says so.
#[derive(Debug)]
pub struct Progress {
    _private: (),
}

impl Progress {
    /// Opens or makes the record in a data directory (made with mode 0700; files 0600). Migrates older versions after
    /// a copy; never repairs or overwrites a damaged file.
    ///
    /// # Errors
    /// See [`ProgressError`]: unwritable, damaged, not ours, made by a newer osai, disk full.
    pub fn open(_data_dir: &Path) -> Result<Self, ProgressError> {
        unimplemented!()
    }

    /// Opens for reading only: nothing is made, no lock is taken. An absent file gives an empty record.
    ///
    /// # Errors
    /// As [`Progress::open`].
    pub fn open_read_only(_data_dir: &Path) -> Result<Self, ProgressError> {
        unimplemented!()
    }

    /// A record in memory, for tests and for a home that cannot be written.
    pub fn in_memory() -> Self {
        unimplemented!()
    }

    /// `Some(sentence)` when answers will not be kept, with the reason (another osai has it open, read-only).
    pub fn notice(&self) -> Option<&str> {
        unimplemented!()
    }

    /// Records an answer and works out when it is asked again, in one transaction. On disk when this returns.
    ///
    /// # Errors
    /// The write failed; nothing was recorded.
    pub fn record(&mut self, _attempt: &Attempt, _today: Date) -> Result<Card, ProgressError> {
        unimplemented!()
    }

    /// Keeps where a learner is in a lesson; `completed` marks it as done (and is never taken back here).
    ///
    /// # Errors
    /// The write failed.
    pub fn save_position(&mut self, _lesson: &str, _position: f64, _completed: bool, _now: i64) -> Result<(), ProgressError> {
        unimplemented!()
    }

    /// Records a reached goal; the first evidence stays.
    ///
    /// # Errors
    /// The write failed.
    pub fn reach_goal(&mut self, _goal: &GoalReached) -> Result<(), ProgressError> {
        unimplemented!()
    }

    /// Keeps a lab's state (JSON).
    ///
    /// # Errors
    /// The write failed.
    pub fn save_lab(&mut self, _lab: &str, _state: &str, _now: i64) -> Result<(), ProgressError> {
        unimplemented!()
    }

    /// A lab's state, if one was kept.
    ///
    /// # Errors
    /// The read failed.
    pub fn lab(&self, _lab: &str) -> Result<Option<String>, ProgressError> {
        unimplemented!()
    }

    /// Keeps the last screen (JSON).
    ///
    /// # Errors
    /// The write failed.
    pub fn save_last_screen(&mut self, _screen: &str) -> Result<(), ProgressError> {
        unimplemented!()
    }

    /// Everything a screen needs.
    ///
    /// # Errors
    /// The read failed.
    pub fn summary(&self, _today: Date) -> Result<Summary, ProgressError> {
        unimplemented!()
    }

    /// All attempts in order of their sequence number, for `progress --json` and for rebuilding.
    ///
    /// # Errors
    /// The read failed.
    pub fn attempts(&self) -> Result<Vec<(i64, Attempt)>, ProgressError> {
        unimplemented!()
    }

    /// Number of answers kept; for `doctor`.
    ///
    /// # Errors
    /// The read failed.
    pub fn attempt_count(&self) -> Result<u64, ProgressError> {
        unimplemented!()
    }
}
