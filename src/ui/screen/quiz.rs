//! Stands in for the quiz screen until it is merged.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::{Outcome, Shared};
use crate::labs::{KeyHelp, KeyPress};
use crate::ui::event::{Event, Mouse};

/// Stands in for the quiz screen.
#[derive(Debug)]
pub struct QuizScreen {}

impl QuizScreen {
    /// Opens the quiz of a lesson.
    ///
    /// # Errors
    /// There is none.
    pub fn for_lesson(_lesson: &str, _shared: &Shared) -> Result<Self, String> {
        Err("quizzes are not built yet".into())
    }

    /// Opens all that is due.
    ///
    /// # Errors
    /// Nothing is due.
    pub fn review(_shared: &Shared) -> Result<Self, String> {
        Err("nothing is due".into())
    }

    /// What to run or load first.
    pub fn on_open(&mut self) -> Outcome {
        Outcome::Handled
    }

    /// Whether keys are text now.
    pub fn is_typing(&self) -> bool {
        false
    }

    /// Left and right part of the first row.
    pub fn header(&self, _shared: &Shared) -> (String, String) {
        ("quiz".into(), String::new())
    }

    /// What keys do here now.
    pub fn bindings(&self, _shared: &Shared) -> Vec<KeyHelp> {
        Vec::new()
    }

    /// Takes a key.
    pub fn on_key(&mut self, _key: KeyPress, _shared: &Shared) -> Outcome {
        Outcome::Ignored
    }

    /// Takes the mouse.
    pub fn on_mouse(&mut self, _mouse: Mouse, _shared: &Shared) -> Outcome {
        Outcome::Ignored
    }

    /// Takes news of the record.
    pub fn on_event(&mut self, _event: &Event, _shared: &Shared) -> Outcome {
        Outcome::Ignored
    }

    /// Takes the size of its area.
    pub fn resize(&mut self, _columns: u16, _rows: u16, _shared: &Shared) {}

    /// Draws.
    pub fn view(&self, _area: Rect, _buf: &mut Buffer, _shared: &Shared) {}
}
