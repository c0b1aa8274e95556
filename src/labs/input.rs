//! A text field: where keys become text. Used by labs, chat and search alike.
//!
//! The cursor stands between graphemes, so that an emoji or an accented letter is one step. What is typed is kept as
//! it is; drawing passes it through `SafeText`.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::text::Line;
use unicode_segmentation::UnicodeSegmentation;

use super::widgets::{draw_lines, flow};
use super::{Key, KeyPress};
use crate::text::SafeText;

/// Nobody types more; a longer paste is cut here, so that every key stays fast.
const MAX_BYTES: usize = 64 * 1024;

/// What a key did to a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edit {
    /// Not a key of a text field.
    Ignored,
    /// The cursor moved, or could not.
    Moved,
    /// The text is another one.
    Changed,
}

/// A text field.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Input {
    text: String,
    /// Byte offset of the cursor, always between graphemes.
    cursor: usize,
}

impl Input {
    /// A field that holds `text`, the cursor at its end.
    pub fn new(text: impl Into<String>) -> Self {
        let text = text.into();
        Self { cursor: text.len(), text }
    }

    /// What it holds.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// Empties it and gives what it held.
    pub fn take(&mut self) -> String {
        self.cursor = 0;
        std::mem::take(&mut self.text)
    }

    /// Takes a key: letters, arrows, home, end, backspace, delete; Ctrl-A, -E, -U, -K, -W, -B, -F; Alt-B, -F, -D.
    pub fn on_key(&mut self, key: KeyPress) -> Edit {
        let KeyPress { key: what, ctrl, alt } = key;
        match (what, ctrl, alt) {
            (Key::Left, false, false) | (Key::Char('b'), true, false) => self.go(self.before()),
            (Key::Right, false, false) | (Key::Char('f'), true, false) => self.go(self.after()),
            (Key::Left, ..) | (Key::Char('b'), false, true) => self.go(self.word_before()),
            (Key::Right, ..) | (Key::Char('f'), false, true) => self.go(self.word_after()),
            (Key::Home, ..) | (Key::Char('a'), true, false) => self.go(0),
            (Key::End, ..) | (Key::Char('e'), true, false) => self.go(self.text.len()),
            (Key::Backspace, false, false) | (Key::Char('h'), true, false) => self.cut(self.before(), self.cursor),
            (Key::Backspace, ..) | (Key::Char('w'), true, false) => self.cut(self.word_before(), self.cursor),
            (Key::Delete, false, false) => self.cut(self.cursor, self.after()),
            (Key::Delete, ..) | (Key::Char('d'), false, true) => self.cut(self.cursor, self.word_after()),
            (Key::Char('u'), true, false) => self.cut(0, self.cursor),
            (Key::Char('k'), true, false) => self.cut(self.cursor, self.text.len()),
            _ => match key.typed() {
                Some(c) => self.insert(c.encode_utf8(&mut [0; 4])),
                None => Edit::Ignored,
            },
        }
    }

    /// Inserts pasted text; line ends of every system become line feeds, other control characters go.
    pub fn paste(&mut self, text: &str) -> Edit {
        let text = text.replace("\r\n", "\n").replace('\r', "\n");
        let clean: String = text.chars().filter(|c| matches!(c, '\n' | '\t') || !c.is_control()).collect();
        self.insert(&clean)
    }

    fn insert(&mut self, text: &str) -> Edit {
        let mut room = MAX_BYTES.saturating_sub(self.text.len()).min(text.len());
        while !text.is_char_boundary(room) {
            room -= 1;
        }
        if room == 0 {
            return Edit::Moved;
        }
        self.text.insert_str(self.cursor, &text[..room]);
        self.cursor += room;
        // A combining mark joins the letter before it; the cursor then stands behind both.
        if !self.boundaries().any(|b| b == self.cursor) {
            self.cursor = self.after();
        }
        Edit::Changed
    }

    fn go(&mut self, to: usize) -> Edit {
        self.cursor = to;
        Edit::Moved
    }

    fn cut(&mut self, from: usize, to: usize) -> Edit {
        if from == to {
            return Edit::Moved;
        }
        self.text.replace_range(from..to, "");
        self.cursor = from;
        // What stood on both sides may now be one grapheme.
        if !self.boundaries().any(|b| b == from) {
            self.cursor = self.after();
        }
        Edit::Changed
    }

    fn boundaries(&self) -> impl DoubleEndedIterator<Item = usize> + '_ {
        self.text.grapheme_indices(true).map(|(at, _)| at).chain([self.text.len()])
    }

    fn before(&self) -> usize {
        self.boundaries().rev().find(|b| *b < self.cursor).unwrap_or(0)
    }

    fn after(&self) -> usize {
        self.boundaries().find(|b| *b > self.cursor).unwrap_or(self.text.len())
    }

    fn word_before(&self) -> usize {
        let starts = self.text.unicode_word_indices().map(|(at, _)| at);
        starts.take_while(|at| *at < self.cursor).last().unwrap_or(0)
    }

    fn word_after(&self) -> usize {
        let ends = self.text.unicode_word_indices().map(|(at, word)| at + word.len());
        ends.into_iter().find(|at| *at > self.cursor).unwrap_or(self.text.len())
    }

    /// The field as wrapped lines; the cursor is drawn reversed when it has the focus. The second value is the row of
    /// the cursor.
    pub fn lines(&self, width: u16, style: Style, focused: bool) -> (Vec<Line<'static>>, usize) {
        let (before, rest) = self.text.split_at(self.cursor);
        let under = rest.graphemes(true).next().unwrap_or("");
        let after = &rest[under.len()..];
        let cursor = if focused { style.add_modifier(Modifier::REVERSED) } else { style };
        let shown = match under {
            "" => " ".to_string(),
            "\n" => " \n".to_string(),
            under => SafeText::new(under).into_string(),
        };
        let mut head = vec![(SafeText::new(before).into_string(), style)];
        head.push((shown.trim_end_matches('\n').to_string(), cursor));
        let tail = format!("{}{}", if under == "\n" { "\n" } else { "" }, SafeText::new(after));
        let row = flow(&head, width).len().saturating_sub(1);
        head.push((tail, style));
        (flow(&head, width), row)
    }

    /// Draws the field; more lines than the area has scroll so that the cursor stays in view.
    pub fn draw(&self, area: Rect, buf: &mut Buffer, style: Style, focused: bool) {
        let (lines, row) = self.lines(area.width, style, focused);
        let skip = (row + 1).saturating_sub(usize::from(area.height));
        draw_lines(&lines[skip.min(lines.len())..], area, buf);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(text: &str) -> Input {
        let mut input = Input::default();
        for c in text.chars() {
            assert_eq!(input.on_key(KeyPress::char(c)), Edit::Changed);
        }
        input
    }

    #[test]
    fn an_emoji_of_several_code_points_is_one_step() {
        let mut input = typed("a👩\u{200d}🔬b");
        input.on_key(KeyPress::plain(Key::Left));
        input.on_key(KeyPress::plain(Key::Backspace));
        assert_eq!(input.text(), "ab");
        input.on_key(KeyPress::char('x'));
        assert_eq!(input.text(), "axb");
    }

    #[test]
    fn words_are_deleted_back_and_forth() {
        let mut input = typed("the capital of France");
        input.on_key(KeyPress::ctrl('w'));
        assert_eq!(input.text(), "the capital of ");
        input.on_key(KeyPress::plain(Key::Home));
        input.on_key(KeyPress { key: Key::Char('d'), ctrl: false, alt: true });
        assert_eq!(input.text(), " capital of ");
        input.on_key(KeyPress::plain(Key::Delete));
        assert_eq!(input.text(), "capital of ");
    }

    #[test]
    fn a_combining_mark_joins_the_letter_before_it() {
        let mut input = typed("e");
        input.on_key(KeyPress::char('\u{301}'));
        input.on_key(KeyPress::plain(Key::Backspace));
        assert_eq!(input.text(), "");
    }

    #[test]
    fn a_paste_keeps_lines_and_drops_escapes() {
        let mut input = typed("a");
        input.paste("b\r\nc\u{1b}[31md");
        assert_eq!(input.text(), "ab\nc[31md");
    }

    #[test]
    fn keys_that_are_no_text_are_left_to_the_screen() {
        let mut input = typed("q");
        for key in [KeyPress::ctrl('c'), KeyPress::plain(Key::Enter), KeyPress::plain(Key::Esc)] {
            assert_eq!(input.on_key(key), Edit::Ignored);
        }
        assert_eq!(input.text(), "q");
    }

    #[test]
    fn the_cursor_stays_in_view_when_the_text_is_longer_than_the_field() {
        let input = typed("one two three four");
        let area = Rect::new(0, 0, 6, 2);
        let mut buf = Buffer::empty(area);
        input.draw(area, &mut buf, Style::new(), true);
        let rows: Vec<String> = (0..2).map(|y| (0..6).map(|x| buf[(x, y)].symbol()).collect()).collect();
        assert_eq!(rows, ["three ", "four  "]);
    }
}
