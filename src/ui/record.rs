//! The thread that owns the learner's record, so that a slow disk never holds a frame up.
//!
//! Opened after the first frame. Orders come through a channel and are done in sequence; what follows from them goes
//! back as events. When the record cannot be kept, the app goes on with one in memory and says so.

use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::path::PathBuf;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::Duration;

use jiff::civil::Date;

use super::event::Event;
use crate::progress::{Attempt, GoalReached, Progress, ProgressError};

/// What the record is asked to do; times are Unix seconds.
#[derive(Clone, Debug)]
pub enum Order {
    /// Keep an answer.
    Record(Box<Attempt>, Date),
    /// Keep a place in a lesson: key, position, done, now.
    Position(String, f64, bool, i64),
    /// Keep a reached goal.
    Goal(GoalReached),
    /// Keep a lab's state: key, JSON, now.
    SaveLab(String, String, i64),
    /// Read a lab's state.
    LoadLab(String),
    /// Keep the last screen.
    LastScreen(String),
    /// Another day has begun: what is due has changed.
    Today(Date),
}

/// The record's thread.
#[derive(Debug)]
pub struct Record {
    orders: Sender<Order>,
    done: Receiver<()>,
}

impl Record {
    /// Starts the thread, which opens the record in `data_dir`, or tells why there can be none.
    ///
    /// # Errors
    /// The operating system's, if it cannot start a thread.
    pub fn open(
        data_dir: Result<PathBuf, String>,
        read_only: bool,
        today: Date,
        events: Sender<Event>,
    ) -> io::Result<Self> {
        let (orders, inbox) = mpsc::channel();
        let (finished, done) = mpsc::channel();
        thread::Builder::new().name("record".into()).spawn(move || {
            let outcome = panic::catch_unwind(AssertUnwindSafe(|| keep(data_dir, read_only, today, &inbox, &events)));
            if outcome.is_err() {
                let why =
                    "progress is no longer kept, by a fault of osai's; answers before this are safe: start osai anew";
                let _ = events.send(Event::NotKept(why.into()));
            }
            let _ = finished.send(());
        })?;
        Ok(Self { orders, done })
    }

    /// Queues an order.
    pub fn order(&self, order: Order) {
        // After a panic of the thread nobody listens; that was told when it happened.
        let _ = self.orders.send(order);
    }

    /// Waits until everything ordered is on disk, at most for `limit`.
    pub fn finish(self, limit: Duration) {
        drop(self.orders);
        match self.done.recv_timeout(limit) {
            Ok(()) | Err(RecvTimeoutError::Disconnected | RecvTimeoutError::Timeout) => {}
        }
    }
}

fn keep(
    data_dir: Result<PathBuf, String>,
    read_only: bool,
    today: Date,
    inbox: &Receiver<Order>,
    events: &Sender<Event>,
) {
    let tell = |event| drop(events.send(event));
    let opened = data_dir.and_then(|dir| {
        let opened = if read_only { Progress::open_read_only(&dir) } else { Progress::open(&dir) };
        opened.map_err(|error| error.to_string())
    });
    let mut progress = opened.unwrap_or_else(|why| {
        tell(Event::NotKept(why));
        Progress::in_memory()
    });
    if let Some(why) = progress.notice() {
        tell(Event::NotKept(why.to_string()));
    }
    let mut today = today;
    let summarise = |progress: &Progress, today| match progress.summary(today) {
        Ok(summary) => tell(Event::Summary(Box::new(summary))),
        Err(error) => tell(Event::Notice(error.to_string())),
    };
    summarise(&progress, today);
    while let Ok(first) = inbox.recv() {
        let mut changed = false;
        for order in std::iter::once(first).chain(inbox.try_iter()) {
            let writes = !matches!(order, Order::LoadLab(_));
            if let Order::Today(date) = order {
                today = date;
            }
            match perform(&mut progress, order) {
                Ok(answer) => {
                    changed |= writes;
                    answer.into_iter().for_each(tell);
                }
                Err(error) => tell(Event::Notice(error.to_string())),
            }
        }
        if changed {
            summarise(&progress, today);
        }
    }
}

fn perform(progress: &mut Progress, order: Order) -> Result<Option<Event>, ProgressError> {
    match order {
        Order::Record(attempt, today) => {
            return Ok(Some(match progress.record(&attempt, today) {
                Ok(card) => Event::Recorded { attempt: attempt.id, card },
                Err(error) => Event::NotRecorded { attempt: attempt.id, why: error.to_string() },
            }));
        }
        Order::Position(lesson, position, completed, now) => {
            progress.save_position(&lesson, position, completed, now)?
        }
        Order::Goal(goal) => progress.reach_goal(&goal)?,
        Order::SaveLab(lab, state, now) => progress.save_lab(&lab, &state, now)?,
        Order::LoadLab(lab) => {
            let state = progress.lab(&lab)?;
            return Ok(Some(Event::LabState { lab, state }));
        }
        Order::LastScreen(screen) => progress.save_last_screen(&screen)?,
        Order::Today(_) => {}
    }
    Ok(None)
}
