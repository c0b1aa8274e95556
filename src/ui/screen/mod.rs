//! The screens. Each is one file: state, `on_key`, `view`.
//!
//! Every screen has these methods (an enum in `ui/app.rs` calls them; there is no trait object):
//!
//! - `header(&self, &Shared) -> (String, String)`: left and right part of the first row, drawn by the app.
//! - `bindings(&self, &Shared) -> Vec<KeyHelp>`: what keys do here now, most useful first. The app draws the footer
//!   from the first ones that fit (six at most) and the help from all.
//! - `on_key(&mut self, KeyPress, &Shared) -> Outcome`: what it ignores goes to the app's global table.
//! - `on_mouse(&mut self, Mouse, &Shared) -> Outcome`: rows and columns are relative to the screen's area.
//! - `on_update(&mut self, Update, &Shared) -> Outcome`: news of the run it started (lab, chat).
//! - `on_event(&mut self, &Event, &Shared) -> Outcome`: `Summary`, `Recorded`, `LabState`, `Paste`.
//! - `resize(&mut self, columns, rows, &Shared)`: the size of its area (the screen without header and footer rows);
//!   called on opening and on each change. Whatever `view` needs (wrapped lines) is computed here, never in `view`.
//! - `view(&self, Rect, &mut Buffer, &Shared)`: reads only.

pub mod chat;
pub mod lab;
mod lines;
pub mod progress;
pub mod quiz;
#[cfg(test)]
mod stage;

use std::sync::Arc;

use jiff::civil::Date;

use super::event::Effect;
use crate::content::Library;
use crate::engine::{Job, ModelInfo};
use crate::progress::Summary;
use crate::theme::Theme;

/// What all screens may read.
#[derive(Debug)]
pub struct Shared {
    /// The course.
    pub library: Arc<Library>,
    /// Styles.
    pub theme: Theme,
    /// The learner's record as last read; empty until the database is open.
    pub summary: Summary,
    /// Whether `summary` has been read.
    pub summary_known: bool,
    /// The model.
    pub model: ModelState,
    /// Today in the learner's zone.
    pub today: Date,
    /// Local hour 0 to 23 at start, for the greeting.
    pub hour: u8,
}

/// What is known of the model.
#[derive(Clone, Debug, PartialEq)]
pub enum ModelState {
    /// A file was found; it opens when a screen first needs it (name as shown).
    Found(String),
    /// Open.
    Ready(ModelInfo),
    /// There is none, or it cannot be used: the sentence says why and what to do.
    Missing(String),
}

/// What a screen made of an event.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// Not for this screen.
    Ignored,
    /// Done; draw again.
    Handled,
    /// Open another screen; this one stays underneath for `Back`.
    Go(Route),
    /// Leave this screen.
    Back,
    /// Run a job for this screen.
    Start(Job),
    /// Stop this screen's run.
    Cancel,
    /// One line for the status row.
    Notice(String),
    /// Orders to the world.
    Do(Vec<Effect>),
    /// Several of these, in order.
    All(Vec<Outcome>),
}

/// Where to go.
#[derive(Clone, Debug, PartialEq)]
pub enum Route {
    /// A lesson, optionally at a section's heading; without one where the learner stopped.
    Lesson {
        /// Lesson id.
        id: String,
        /// Heading text.
        section: Option<String>,
    },
    /// A lab.
    Lab {
        /// Lab id.
        id: String,
        /// The lesson it was opened from.
        lesson: Option<String>,
        /// The lesson's parameters, JSON.
        params: String,
    },
    /// The quiz of a lesson.
    Quiz(String),
    /// All items that are due.
    Review,
    /// The glossary, filtered by a query.
    Glossary(String),
    /// A glossary term.
    Term(String),
    /// Search through lessons and terms.
    Search(String),
    /// The learner's progress.
    Progress,
    /// The page to chat with the model.
    Chat,
}
