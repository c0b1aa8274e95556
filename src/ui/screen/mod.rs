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
//! - `on_open(&mut self) -> Outcome`: what to run or load first; `is_typing(&self)`: whether keys are text now.

pub mod chat;
pub mod glossary;
pub mod home;
pub mod lab;
pub mod last;
mod lines;
pub mod progress;
pub mod quiz;
pub mod reader;
pub mod search;
#[cfg(test)]
mod stage;

use std::sync::Arc;

use jiff::civil::Date;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use self::chat::ChatScreen;
use self::glossary::GlossaryScreen;
use self::home::HomeScreen;
use self::lab::LabScreen;
use self::progress::ProgressScreen;
use self::quiz::QuizScreen;
use self::reader::ReaderScreen;
use self::search::SearchScreen;
use super::event::{Effect, Event, Mouse};
use crate::content::Library;
use crate::engine::{Job, ModelInfo, Update};
use crate::labs::{KeyHelp, KeyPress};
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

/// An open model as screens call it: its file's name without the ending, the name under which the learner put it there
/// (`general.name` is whatever its makers left in it).
pub(crate) fn file_name(info: &ModelInfo) -> String {
    info.path.file_stem().map_or_else(|| info.name.clone(), |stem| stem.to_string_lossy().into_owned())
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

/// All screens. The list is closed, so this is an enum and no trait.
#[derive(Debug)]
pub enum Screen {
    /// Levels, lessons, what is due.
    Home(HomeScreen),
    /// A lesson or a glossary entry.
    Reader(Box<ReaderScreen>),
    /// A lab.
    Lab(Box<LabScreen>),
    /// A quiz or a review.
    Quiz(Box<QuizScreen>),
    /// All terms.
    Glossary(Box<GlossaryScreen>),
    /// Search through lessons and terms.
    Search(Box<SearchScreen>),
    /// The learner's progress.
    Progress(Box<ProgressScreen>),
    /// The page to chat with the model.
    Chat(Box<ChatScreen>),
}

/// Calls the same method of whichever screen it is.
macro_rules! each {
    ($self:ident, $screen:ident => $call:expr) => {
        match $self {
            Screen::Home($screen) => $call,
            Screen::Reader($screen) => $call,
            Screen::Lab($screen) => $call,
            Screen::Quiz($screen) => $call,
            Screen::Glossary($screen) => $call,
            Screen::Search($screen) => $call,
            Screen::Progress($screen) => $call,
            Screen::Chat($screen) => $call,
        }
    };
}

impl Screen {
    /// The screen at the bottom of all.
    pub fn home(shared: &Shared) -> Self {
        Self::Home(HomeScreen::new(shared))
    }

    /// The screen of a route.
    ///
    /// # Errors
    /// A sentence for the status row: there is no such lesson, nothing is due.
    pub fn open(route: &Route, shared: &Shared) -> Result<Self, String> {
        Ok(match route {
            Route::Lesson { id, section } => {
                Self::Reader(Box::new(ReaderScreen::lesson(id, section.as_deref(), shared)?))
            }
            Route::Term(id) => Self::Reader(Box::new(ReaderScreen::term(id, shared)?)),
            Route::Lab { id, lesson, params } => {
                Self::Lab(Box::new(LabScreen::new(id, lesson.clone(), params, shared)?))
            }
            Route::Quiz(lesson) => Self::Quiz(Box::new(QuizScreen::for_lesson(lesson, shared)?)),
            Route::Review => Self::Quiz(Box::new(QuizScreen::review(shared)?)),
            Route::Glossary(query) => Self::Glossary(Box::new(GlossaryScreen::new(query, shared))),
            Route::Search(words) => Self::Search(Box::new(SearchScreen::new(words, shared))),
            Route::Progress => Self::Progress(Box::new(ProgressScreen::new(shared))),
            Route::Chat => Self::Chat(Box::new(ChatScreen::new(shared))),
        })
    }

    /// Left and right part of the first row.
    pub fn header(&self, shared: &Shared) -> (String, String) {
        each!(self, screen => screen.header(shared))
    }

    /// What keys do here now, most useful first.
    pub fn bindings(&self, shared: &Shared) -> Vec<KeyHelp> {
        each!(self, screen => screen.bindings(shared))
    }

    /// Takes a key.
    pub fn on_key(&mut self, key: KeyPress, shared: &Shared) -> Outcome {
        each!(self, screen => screen.on_key(key, shared))
    }

    /// Takes the mouse, relative to the screen's area.
    pub fn on_mouse(&mut self, mouse: Mouse, shared: &Shared) -> Outcome {
        each!(self, screen => screen.on_mouse(mouse, shared))
    }

    /// Takes news of the run it started.
    pub fn on_update(&mut self, update: Update, shared: &Shared) -> Outcome {
        match self {
            Self::Lab(screen) => screen.on_update(update, shared),
            Self::Chat(screen) => screen.on_update(update, shared),
            _ => Outcome::Ignored,
        }
    }

    /// Takes news of the record, and pasted text.
    pub fn on_event(&mut self, event: &Event, shared: &Shared) -> Outcome {
        each!(self, screen => screen.on_event(event, shared))
    }

    /// Takes the size of its area.
    pub fn resize(&mut self, columns: u16, rows: u16, shared: &Shared) {
        each!(self, screen => screen.resize(columns, rows, shared));
    }

    /// Draws.
    pub fn view(&self, area: Rect, buf: &mut Buffer, shared: &Shared) {
        each!(self, screen => screen.view(area, buf, shared));
    }

    /// What to run or load first.
    pub fn on_open(&mut self, shared: &Shared) -> Outcome {
        match self {
            Self::Reader(screen) => screen.on_open(shared),
            Self::Lab(screen) => screen.on_open(),
            Self::Quiz(screen) => screen.on_open(),
            Self::Progress(screen) => screen.on_open(),
            Self::Chat(screen) => screen.on_open(),
            Self::Home(_) | Self::Glossary(_) | Self::Search(_) => Outcome::Handled,
        }
    }

    /// What to keep when it goes out of view.
    pub fn on_leave(&mut self, shared: &Shared) -> Vec<Effect> {
        match self {
            Self::Reader(screen) => screen.on_leave(shared),
            Self::Lab(screen) => screen.on_leave(shared),
            _ => Vec::new(),
        }
    }

    /// Whether keys are text now, so that no shortcut fires.
    pub fn is_typing(&self) -> bool {
        match self {
            Self::Home(_) => false,
            Self::Reader(screen) => screen.is_typing(),
            Self::Lab(screen) => screen.is_typing(),
            Self::Quiz(screen) => screen.is_typing(),
            Self::Glossary(_) | Self::Search(_) => true,
            Self::Progress(screen) => screen.is_typing(),
            Self::Chat(screen) => screen.is_typing(),
        }
    }
}
