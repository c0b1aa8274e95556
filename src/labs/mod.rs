//! Experiments inside lessons. Engine's data in, drawing out.
//!
//! A lab's state changes in `on_key` and `on_update` only; `view` reads. Nothing here blocks, sleeps, reads a file or a
//! clock. Each is predict, run, explain: the learner commits a prediction first, the model runs, the program compares.

pub mod generate;
pub mod input;
mod key;
pub mod next_token;
pub mod tokens;
pub mod widgets;

pub use input::{Edit, Input};
pub use key::{Key, KeyPress};

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use serde::{Deserialize, Serialize};

use crate::engine::{Job, Update};
use crate::theme::Theme;

/// What a lab made of a key. Plain data.
#[allow(clippy::large_enum_variant, reason = "one a key")]
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
    /// Whether keys are text now, so that no shortcut of the app may fire.
    fn is_typing(&self) -> bool;
    /// Takes a key.
    fn on_key(&mut self, key: KeyPress) -> Reaction;
    /// Takes pasted text.
    fn on_paste(&mut self, text: &str) -> Reaction;
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
    /// The keys that a lesson may give in its fence.
    pub keys: &'static [&'static str],
    /// Opens it with the lesson's parameters (JSON object) and, if there was one, the state kept (JSON).
    ///
    /// The screen adds `"recorded": true` to the parameters when updates come from [`LabEntry::recorded`].
    pub open: fn(params: &str, state: Option<&str>) -> Box<dyn Lab>,
    /// The recorded reference run, JSON: a list of [`Recording`]s.
    pub recorded: &'static str,
}

/// A job and what the model said to it, kept for machines on which the model cannot run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Recording {
    /// What was asked.
    pub job: Job,
    /// What was answered, in order; the last is `Finished`.
    pub updates: Vec<Update>,
}

impl LabEntry {
    /// The recorded run; empty when there is none.
    pub fn recordings(&self) -> Vec<Recording> {
        serde_json::from_str(self.recorded).unwrap_or_default()
    }
}

/// All labs.
pub const LABS: &[LabEntry] = &[
    LabEntry {
        id: "generate",
        about: "A model answers on this machine: token by token, with the probability of each.",
        keys: generate::KEYS,
        open: generate::open,
        recorded: include_str!("recorded/generate.json"),
    },
    LabEntry {
        id: "next-token",
        about: "The probabilities of the next token, and how temperature, top-k, top-p and min-p change them.",
        keys: next_token::KEYS,
        open: next_token::open,
        recorded: include_str!("recorded/next-token.json"),
    },
    LabEntry {
        id: "tokens",
        about: "How a text is cut into tokens: pieces, ids, bytes and their number.",
        keys: tokens::KEYS,
        open: tokens::open,
        recorded: include_str!("recorded/tokens.json"),
    },
];

/// The ids of all labs, for the content check.
pub fn ids() -> Vec<&'static str> {
    LABS.iter().map(|lab| lab.id).collect()
}

/// A lab by id.
pub fn find(id: &str) -> Option<&'static LabEntry> {
    LABS.iter().find(|lab| lab.id == id)
}

/// What a key does, when pressing `c` does it.
pub(crate) const fn letter(keys: &'static str, c: char, what: &'static str) -> KeyHelp {
    KeyHelp { keys, what, press: KeyPress::char(c) }
}

/// What a key does, when pressing `key` does it.
pub(crate) const fn named(keys: &'static str, key: Key, what: &'static str) -> KeyHelp {
    KeyHelp { keys, what, press: KeyPress::plain(key) }
}

/// Reads a lab's parameters or state; what is missing or unreadable takes its default, so that an old state or a typo
/// in a lesson never keeps a lab from opening.
pub(crate) fn read<T: for<'a> Deserialize<'a> + Default>(json: &str) -> T {
    serde_json::from_str(json).unwrap_or_default()
}
