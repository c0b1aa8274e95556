//! A line of text being typed.

use unicode_segmentation::UnicodeSegmentation;

use crate::labs::{Key, KeyPress};
use crate::text::SafeText;

/// At most this many bytes are taken, so that a pasted book does not become a query.
const MAX_BYTES: usize = 500;

/// A line of text being typed, with its cursor.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Field {
    text: String,
    /// Byte position of the cursor, always between graphemes.
    cursor: usize,
}

impl Field {
    /// A field that holds `text`, the cursor at its end.
    pub fn new(text: &str) -> Self {
        let mut field = Self::default();
        field.insert(text);
        field
    }

    /// What was typed.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The text before and after the cursor.
    pub fn halves(&self) -> (&str, &str) {
        self.text.split_at(self.cursor)
    }

    /// Puts a text in at the cursor, on one line.
    pub fn insert(&mut self, text: &str) {
        let safe = SafeText::line(text);
        if self.text.len() + safe.as_str().len() <= MAX_BYTES {
            self.text.insert_str(self.cursor, safe.as_str());
            self.cursor += safe.as_str().len();
        }
    }

    /// Takes a key; `None` when the key is none of editing, else whether the text changed.
    pub fn on_key(&mut self, key: KeyPress) -> Option<bool> {
        if let Some(c) = key.typed() {
            self.insert(c.encode_utf8(&mut [0; 4]));
            return Some(true);
        }
        let before = self.text[..self.cursor].graphemes(true).next_back().map_or(0, str::len);
        let after = self.text[self.cursor..].graphemes(true).next().map_or(0, str::len);
        match key {
            KeyPress { key: Key::Char('u'), ctrl: true, .. } => {
                self.text.drain(..self.cursor);
                self.cursor = 0;
                Some(true)
            }
            KeyPress { key: Key::Char('w'), ctrl: true, .. } => {
                let kept = self.text[..self.cursor].trim_end();
                let start = kept.rfind(' ').map_or(0, |at| at + 1);
                self.text.drain(start..self.cursor);
                self.cursor = start;
                Some(true)
            }
            KeyPress { key: Key::Char('a'), ctrl: true, .. } => {
                self.cursor = 0;
                Some(false)
            }
            KeyPress { key: Key::Char('e'), ctrl: true, .. } => {
                self.cursor = self.text.len();
                Some(false)
            }
            KeyPress { ctrl: false, alt: false, key } => match key {
                Key::Backspace => {
                    self.cursor -= before;
                    self.text.drain(self.cursor..self.cursor + before);
                    Some(before > 0)
                }
                Key::Delete => {
                    self.text.drain(self.cursor..self.cursor + after);
                    Some(after > 0)
                }
                Key::Left => {
                    self.cursor -= before;
                    Some(false)
                }
                Key::Right => {
                    self.cursor += after;
                    Some(false)
                }
                _ => None,
            },
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn editing_goes_by_whole_characters_as_seen() {
        let mut field = Field::new("né\u{301}e");
        field.on_key(KeyPress::plain(Key::Left));
        field.on_key(KeyPress::plain(Key::Backspace));
        assert_eq!(field.text(), "ne");
        field.on_key(KeyPress::plain(Key::Delete));
        field.on_key(KeyPress::char('o'));
        assert_eq!(field.halves(), ("no", ""));
        assert_eq!(field.on_key(KeyPress::plain(Key::Up)), None);
    }

    #[test]
    fn pasted_control_characters_do_not_get_in() {
        let mut field = Field::default();
        field.insert("a\u{1b}[2J\nb");
        assert_eq!(field.text(), "a␛[2J b");
    }
}
