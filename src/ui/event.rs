//! What happens (`Event`), and what the world must do because of it (`Effect`). Plain data.

use jiff::civil::Date;

use crate::content::Answer;
use crate::engine::{Job, RunId, Update};
use crate::labs::KeyPress;
use crate::progress::{Card, Confidence, GoalReached, Summary};

/// Something that happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A key was pressed.
    Key(KeyPress),
    /// Text was pasted.
    Paste(String),
    /// The mouse.
    Mouse(Mouse),
    /// The terminal has a new size: columns, rows.
    Resize(u16, u16),
    /// News of a run.
    Engine(RunId, Update),
    /// The record was opened and read, or read again after a write.
    Summary(Box<Summary>),
    /// An answer is on disk.
    Recorded {
        /// The attempt's id.
        attempt: String,
        /// When it is asked again.
        card: Card,
    },
    /// An answer could not be kept; the screen offers to try again with the same attempt.
    NotRecorded {
        /// The attempt's id.
        attempt: String,
        /// Why, one sentence.
        why: String,
    },
    /// Network sockets that osai's processes have open now; `None` where the system does not tell.
    Connections(Option<usize>),
    /// A lab's kept state was read; `None` if there was none.
    LabState {
        /// The lab's key.
        lab: String,
        /// JSON.
        state: Option<String>,
    },
    /// One line for the status row: what happened, what is safe, what to do.
    Notice(String),
    /// The record cannot be kept (folder read-only, file damaged): why, and what to do. Said at home as long as it holds.
    NotKept(String),
    /// A signal asks to suspend to the shell.
    Suspend,
    /// A signal asks to end; the exit code is 128 + its number.
    Signal(i32),
    /// The day has changed or become known.
    Today(Date),
}

/// A mouse event at a column and row of the whole screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mouse {
    /// 0-based column.
    pub column: u16,
    /// 0-based row.
    pub row: u16,
    /// What was done.
    pub action: MouseAction,
}

/// What was done with the mouse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MouseAction {
    /// Left button pressed.
    Click,
    /// Wheel up.
    ScrollUp,
    /// Wheel down.
    ScrollDown,
}

/// Something the world must do.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Run a job; an earlier run is cancelled.
    Start(RunId, Job),
    /// Stop the run.
    Cancel,
    /// A question has just been shown; the time to its answer counts from here.
    Shown,
    /// Record an answer. The world adds the time.
    Record(Box<NewAttempt>),
    /// Keep the place in a lesson.
    SavePosition {
        /// The lesson's key.
        lesson: String,
        /// 0 to 1.
        position: f64,
        /// Whether it is done.
        completed: bool,
    },
    /// Record a reached goal (`reached_at` is filled in by the world).
    ReachGoal(GoalReached),
    /// Keep a lab's state.
    SaveLab {
        /// The lab's key.
        lab: String,
        /// JSON.
        state: String,
    },
    /// Count the network sockets of osai's processes (`ui::connections`); answered by [`Event::Connections`].
    CountConnections,
    /// Read a lab's state; answered by [`Event::LabState`].
    LoadLab(String),
    /// Keep the last screen (JSON).
    SaveLastScreen(String),
    /// Write a text file into the working folder under a name that does not exist yet; answered by a notice.
    SaveFile {
        /// Wanted name, `chat.md`.
        name: String,
        /// Content.
        text: String,
    },
    /// Suspend to the shell (Ctrl-Z).
    Suspend,
    /// End with an exit code.
    Quit(u8),
}

/// An answer without what only the world knows (time of day, today).
#[derive(Clone, Debug, PartialEq)]
pub struct NewAttempt {
    /// UUID v7, or empty: the world then makes one.
    pub id: String,
    /// Key of the item.
    pub item: String,
    /// `quiz` or `review`.
    pub mode: &'static str,
    /// The answer.
    pub answer: Answer,
    /// Wholly right.
    pub right: bool,
    /// 0 to 1.
    pub score: f64,
    /// How sure the learner was.
    pub confidence: Option<Confidence>,
    /// Version of the content.
    pub content_version: String,
    /// The pack it comes from.
    pub pack: Option<String>,
}
