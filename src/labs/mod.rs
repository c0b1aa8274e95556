//! Experiments inside lessons. Engine's data in, drawing out.
//!
//! A lab's state changes in `on_key` and `on_update` only; `view` reads. Nothing here blocks, sleeps, reads a file or a
//! clock. Each is predict, run, explain: the learner commits a prediction first, the model runs, the program compares.

mod key;

pub use key::{Key, KeyPress};

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::engine::{Job, Update};
use crate::theme::Theme;

/// What a lab made of a key. Plain data.
#[derive(Clone, Debug, PartialEq)]
pub enum Reaction {
    /// Not this lab's key; the screen around it may have a use for it.
    Ignored,
    /// Done.
    Handled,
    /// Run this; an earlier run of the lab is cancelled.
    Start(Job),
    /// Stop the run.
    Cancel,
}

/// What a key does, for the footer and the help.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct KeyHelp {
    /// As shown: `←→`, `s`, `enter`.
    pub keys: &'static str,
    /// What it does, in a word or three.
    pub what: &'static str,
    /// A key that does it, for tests and clicks.
    pub press: KeyPress,
}

/// A goal of a lab.
#[derive(Clone, Debug, PartialEq)]
pub struct Goal {
    /// Kebab-case, a key in the learner's record.
    pub id: &'static str,
    /// What to reach.
    pub text: String,
    /// `Some(evidence)` once reached: what was typed and measured, JSON.
    pub reached: Option<String>,
}

/// A hands-on experiment inside a lesson.
pub trait Lab: std::fmt::Debug + Send {
    /// The lab's title, for the screen's head.
    fn title(&self) -> String;
    /// What keys do now; those of no use now are left out.
    fn bindings(&self) -> Vec<KeyHelp>;
    /// Takes a key.
    fn on_key(&mut self, key: KeyPress) -> Reaction;
    /// Takes news of the run that the lab started.
    fn on_update(&mut self, update: Update);
    /// Called once when the lab opens: what to run first, if anything.
    fn start(&mut self) -> Reaction;
    /// The goals, with what was reached.
    fn goals(&self) -> Vec<Goal>;
    /// The state worth keeping, JSON; given back to `LabEntry::open`.
    fn state(&self) -> String;
    /// Draws.
    fn view(&self, area: Rect, buf: &mut Buffer, theme: &Theme);
    /// What `view` shows, as plain lines: for transcripts, screen readers and tests.
    fn plain(&self) -> Vec<String>;
}

/// One line per lab.
#[derive(Debug)]
pub struct LabEntry {
    /// The id that lessons name.
    pub id: &'static str,
    /// What it is about, one line.
    pub about: &'static str,
    /// Opens it with the lesson's parameters (JSON object) and, if there was one, the state kept (JSON).
    pub open: fn(params: &str, state: Option<&str>) -> Box<dyn Lab>,
}

/// All labs.
pub const LABS: &[LabEntry] = &[];

/// The ids of all labs, for the content check.
pub fn ids() -> Vec<&'static str> {
    LABS.iter().map(|lab| lab.id).collect()
}

/// A lab by id.
pub fn find(id: &str) -> Option<&'static LabEntry> {
    LABS.iter().find(|lab| lab.id == id)
}
