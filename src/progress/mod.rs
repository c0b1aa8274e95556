//! The learner's record: one private SQLite file. What an answer means is not known here; keys are strings.
//!
//! Attempts are append-only and are the truth; cards (when an item is asked again) follow from them and can be rebuilt.
//! Time comes in as an argument. `journal_mode=TRUNCATE`, `synchronous=FULL`: a write that returned is on disk.
//! Opening reads only the start of the file; the whole file is checked before the first write of a process, which also
//! keeps a copy of the day. A file that is damaged, foreign or newer is refused and left byte for byte as it is.

mod backup;
mod error;
mod files;
mod record;
mod rows;
mod schedule;
mod schema;
mod seal;
mod shuffle;
mod store;

pub use error::ProgressError;
pub use record::{Attempt, Card, Confidence, GoalReached, ItemSummary, LabState, LessonPosition, Rating, Summary};
pub use schedule::{next_review, rating_of};
pub use shuffle::shuffled;

use std::path::Path;

use jiff::civil::Date;
use rusqlite::{Connection, TransactionBehavior};
use store::{Access, Store};

/// The learner's record. One process writes at a time; a second one opens read-only and says so.
#[derive(Debug)]
pub struct Progress {
    store: Store,
    trust: Trust,
    notice: Option<String>,
    /// The day (UTC) for which there is a copy.
    copied_on: Option<Date>,
    copy_fault: Option<String>,
}

/// What is known of the whole file.
#[derive(Debug)]
enum Trust {
    Unchecked,
    Whole,
    Broken(ProgressError),
}

impl Progress {
    /// Opens or makes the record in a data directory (made with mode 0700; files 0600). Migrates older versions after
    /// a copy; never repairs or overwrites a damaged file.
    ///
    /// # Errors
    /// See [`ProgressError`]: unwritable, damaged, not ours, made by a newer osai, disk full.
    pub fn open(data_dir: &Path) -> Result<Self, ProgressError> {
        Store::open(data_dir).map(Self::new)
    }

    /// Opens for reading only: nothing is made, no lock is taken. An absent file gives an empty record.
    ///
    /// # Errors
    /// As [`Progress::open`].
    pub fn open_read_only(data_dir: &Path) -> Result<Self, ProgressError> {
        Store::open_read_only(data_dir).map(|store| Self { notice: None, ..Self::new(store) })
    }

    /// A record in memory, for tests and for a home that cannot be written.
    pub fn in_memory() -> Self {
        Self::new(Store::in_memory())
    }

    /// A record in memory to go on with when [`Progress::open`] failed; its [`notice`](Self::notice) says why.
    pub fn in_memory_because(error: &ProgressError) -> Self {
        Self { notice: Some(format!("nothing is saved: {error}")), ..Self::in_memory() }
    }

    fn new(store: Store) -> Self {
        let notice = match &store.access {
            Access::Reader(why) => Some(format!("nothing is saved here: {why}")),
            Access::Writer { .. } | Access::Memory => None,
        };
        Self { store, trust: Trust::Unchecked, notice, copied_on: None, copy_fault: None }
    }

    /// `Some(sentence)` when answers will not be kept, with the reason (another osai has it open, read-only).
    pub fn notice(&self) -> Option<&str> {
        self.notice.as_deref()
    }

    /// `Some(sentence)` when answers are kept but the copy of the day could not be made.
    pub fn copy_notice(&self) -> Option<&str> {
        self.copy_fault.as_deref()
    }

    /// Reads the whole file: pages, indexes, and the check sum of every row. For `doctor`; the first write does the same.
    ///
    /// # Errors
    /// [`ProgressError::Damaged`] with what was found first.
    pub fn check(&mut self) -> Result<(), ProgressError> {
        if let Trust::Unchecked = self.trust {
            let found = match store::first_fault(&self.store.db) {
                Ok(found) => found.map(|why| ProgressError::Damaged { path: self.store.path.clone(), why }),
                Err(e) => match self.fault(e) {
                    damaged @ ProgressError::Damaged { .. } => Some(damaged),
                    // A disk that failed once may answer the next time.
                    other => return Err(other),
                },
            };
            self.trust = found.map_or(Trust::Whole, Trust::Broken);
        }
        match &self.trust {
            Trust::Broken(error) => Err(error.clone()),
            Trust::Unchecked | Trust::Whole => Ok(()),
        }
    }

    /// Records an answer and works out when it is asked again, in one transaction. On disk when this returns.
    /// An attempt whose id is there already changes nothing and gives the item's card as it is.
    ///
    /// # Errors
    /// The write failed; nothing was recorded.
    pub fn record(&mut self, attempt: &Attempt, today: Date) -> Result<Card, ProgressError> {
        self.write(Some(attempt.answered_at), |tx| rows::record(tx, attempt, today))
    }

    /// Works out all cards anew from the attempts; gives their number.
    ///
    /// # Errors
    /// The write failed; the cards are as they were.
    pub fn rebuild(&mut self) -> Result<usize, ProgressError> {
        self.write(None, |tx| {
            let cards = rows::derive_cards(tx)?;
            rows::replace_cards(tx, &cards)?;
            Ok(cards.len())
        })
    }

    /// Keeps where a learner is in a lesson; `completed` marks it as done (and is never taken back here).
    ///
    /// # Errors
    /// The write failed.
    pub fn save_position(
        &mut self,
        lesson: &str,
        position: f64,
        completed: bool,
        now: i64,
    ) -> Result<(), ProgressError> {
        let position = if position.is_nan() { 0.0 } else { position.clamp(0.0, 1.0) };
        let place = LessonPosition {
            lesson: lesson.to_owned(),
            furthest: position,
            position,
            completed_at: completed.then_some(now),
            updated_at: now,
        };
        self.write(Some(now), |tx| rows::put_place(tx, &place))
    }

    /// Records a reached goal; the first evidence stays.
    ///
    /// # Errors
    /// The write failed.
    pub fn reach_goal(&mut self, goal: &GoalReached) -> Result<(), ProgressError> {
        self.write(Some(goal.reached_at), |tx| rows::put_goal(tx, goal))
    }

    /// Keeps a lab's state (JSON).
    ///
    /// # Errors
    /// The write failed.
    pub fn save_lab(&mut self, lab: &str, state: &str, now: i64) -> Result<(), ProgressError> {
        let lab = LabState { lab: lab.to_owned(), state: state.to_owned(), updated_at: now };
        self.write(Some(now), |tx| rows::put_lab(tx, &lab))
    }

    /// A lab's state, if one was kept.
    ///
    /// # Errors
    /// The read failed.
    pub fn lab(&self, lab: &str) -> Result<Option<String>, ProgressError> {
        self.read(|db| rows::lab(db, lab))
    }

    /// All kept states of labs, by key.
    ///
    /// # Errors
    /// The read failed.
    pub fn labs(&self) -> Result<Vec<LabState>, ProgressError> {
        self.read(rows::labs)
    }

    /// Keeps the last screen (JSON).
    ///
    /// # Errors
    /// The write failed.
    pub fn save_last_screen(&mut self, screen: &str) -> Result<(), ProgressError> {
        self.write(None, |tx| rows::put_last_screen(tx, screen))
    }

    /// Everything a screen needs.
    ///
    /// # Errors
    /// The read failed.
    pub fn summary(&self, today: Date) -> Result<Summary, ProgressError> {
        self.read(|db| {
            // One transaction, so that all parts are of one moment.
            let tx = db.unchecked_transaction()?;
            Ok(Summary {
                lessons: rows::places(&tx)?,
                goals: rows::goals(&tx)?,
                due: rows::due(&tx, today)?,
                items: rows::items(&tx)?,
                last_screen: rows::last_screen(&tx)?,
            })
        })
    }

    /// Those of `items` (keys of a quiz) that the current round through it has not come to, in their order; all of them
    /// when a round was just finished. Whoever leaves a quiz goes on with these.
    ///
    /// # Errors
    /// The read failed.
    pub fn left_of_round(&self, items: &[String]) -> Result<Vec<String>, ProgressError> {
        self.read(|db| rows::left_of_round(db, items))
    }

    /// All attempts in order of their sequence number, for `progress --json` and for rebuilding.
    ///
    /// # Errors
    /// The read failed.
    pub fn attempts(&self) -> Result<Vec<(i64, Attempt)>, ProgressError> {
        self.read(rows::attempts)
    }

    /// All cards, by item.
    ///
    /// # Errors
    /// The read failed.
    pub fn cards(&self) -> Result<Vec<Card>, ProgressError> {
        self.read(rows::cards)
    }

    /// Number of answers kept; for `doctor`.
    ///
    /// # Errors
    /// The read failed.
    pub fn attempt_count(&self) -> Result<u64, ProgressError> {
        self.read(rows::attempt_count)
    }

    fn read<T>(&self, query: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, ProgressError> {
        query(&self.store.db).map_err(|e| self.fault(e))
    }

    /// Runs a write in one transaction; `now` in Unix seconds, where it is known.
    fn write<T>(
        &mut self,
        now: Option<i64>,
        change: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, ProgressError> {
        if let Access::Reader(why) = &self.store.access {
            return Err(ProgressError::ReadOnly { why: why.clone() });
        }
        self.check()?;
        self.copy_once_a_day(now);
        let run = |db: &mut Connection| {
            let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let result = change(&tx)?;
            tx.commit()?;
            Ok(result)
        };
        run(&mut self.store.db).map_err(|e| self.fault(e))
    }

    /// A copy that cannot be made does not stop an answer from being kept.
    fn copy_once_a_day(&mut self, now: Option<i64>) {
        let Some(day) = now.and_then(store::utc_day) else { return };
        if !matches!(self.store.access, Access::Writer { .. }) || self.copied_on == Some(day) {
            return;
        }
        self.copied_on = Some(day);
        let copied = match rows::is_empty(&self.store.db) {
            Ok(true) => Ok(()),
            Ok(false) => backup::keep_daily(&self.store.db, &self.store.path, day),
            Err(e) => Err(e.to_string()),
        };
        self.copy_fault = copied.err().map(|why| {
            let folder = backup::folder(&self.store.path);
            format!("today's copy of your record could not be made in `{}` ({why})", folder.display())
        });
    }

    fn fault(&self, error: rusqlite::Error) -> ProgressError {
        store::fault(&self.store.path, &error)
    }
}
