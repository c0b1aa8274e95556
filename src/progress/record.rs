//! What the record holds, as plain data. Keys are strings: what an item, a lesson or a lab is, is not known here.

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

/// The state of a lab, as it was kept.
#[derive(Clone, Debug, PartialEq)]
pub struct LabState {
    /// The lab's key.
    pub lab: String,
    /// JSON of the lab's own making.
    pub state: String,
    /// Unix seconds, last change.
    pub updated_at: i64,
}
