//! Text that comes piece by piece, wrapped at words while it is written.

use std::fmt::Write as _;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Where the cursor stands in a line that is being written.
///
/// Each piece shows at once. A word that turns out too long for its line is taken back and written on the next one, so
/// no word is cut that fits into a line.
#[derive(Debug)]
pub struct Flow {
    /// Columns that are written to; `None` and text passes as it is.
    columns: Option<usize>,
    column: usize,
    /// The word at the cursor.
    word: String,
}

impl Flow {
    /// Wraps at `width` columns of a terminal, or, with `None`, leaves the text as it is.
    pub fn new(width: Option<usize>) -> Self {
        // The last column stays free: a cursor that stands behind it moves differently from terminal to terminal.
        Self { columns: width.map(|width| width.saturating_sub(1).max(1)), column: 0, word: String::new() }
    }

    /// What to write for a piece of text; it is safe already.
    pub fn take(&mut self, piece: &str) -> String {
        let Some(columns) = self.columns else { return piece.to_owned() };
        let mut out = String::with_capacity(piece.len());
        for c in piece.chars() {
            let wide = c.width().unwrap_or(0);
            match c {
                '\n' => {
                    out.push(c);
                    self.begin_line();
                }
                // A space where the line ends has done its work.
                ' ' if self.column >= columns => {
                    out.push('\n');
                    self.begin_line();
                }
                ' ' => {
                    out.push(c);
                    self.column += 1;
                    self.word.clear();
                }
                _ => {
                    if self.column + wide > columns {
                        self.next_line(&mut out);
                    }
                    out.push(c);
                    self.column += wide;
                    self.word.push(c);
                }
            }
        }
        out
    }

    /// Moves the word at the cursor to the next line; one that fills the line goes on there.
    fn next_line(&mut self, out: &mut String) {
        let width = self.word.width();
        if width >= self.column {
            out.push('\n');
            self.begin_line();
            return;
        }
        if width > 0 {
            // Left, and clear to the end of the line.
            write!(out, "\x1b[{width}D\x1b[K").expect("a string takes any text");
        }
        out.push('\n');
        out.push_str(&self.word);
        self.column = width;
    }

    fn begin_line(&mut self) {
        self.column = 0;
        self.word.clear();
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZero;

    use super::*;

    /// What a terminal of some columns shows.
    fn shown(width: u16, pieces: &[&str]) -> Vec<String> {
        let mut terminal =
            vt100::Parser::new(NonZero::new(12).expect("more than 0"), NonZero::new(width).expect("more than 0"), 0);
        let mut flow = Flow::new(Some(usize::from(width)));
        for piece in pieces {
            terminal.process(flow.take(piece).replace('\n', "\r\n").as_bytes());
        }
        let mut rows: Vec<String> = terminal.screen().rows(0, width).map(|row| row.trim_end().to_owned()).collect();
        while rows.last().is_some_and(String::is_empty) {
            rows.pop();
        }
        rows
    }

    #[test]
    fn a_word_that_does_not_fit_moves_whole() {
        assert_eq!(shown(12, &["open wei", "ghts", " are", " numbers"]), ["open", "weights are", "numbers"]);
        assert_eq!(shown(12, &["open weig", "h", "ts"]), ["open", "weights"]);
    }

    #[test]
    fn a_line_that_is_just_full_loses_no_word_and_shows_no_space() {
        assert_eq!(shown(8, &["abc def", " ", "ghi jk", " l"]), ["abc def", "ghi jk", "l"]);
        assert_eq!(shown(8, &["abcdefg hij"]), ["abcdefg", "hij"]);
    }

    #[test]
    fn a_word_longer_than_a_line_is_cut() {
        assert_eq!(shown(8, &["a ", "bcdefghijklm", "nop"]), ["a", "bcdefgh", "ijklmno", "p"]);
    }

    #[test]
    fn line_feeds_begin_anew_and_wide_characters_count_twice() {
        assert_eq!(shown(9, &["ab\ncd efgh", "i"]), ["ab", "cd efghi"]);
        assert_eq!(shown(9, &["ab 学习", "学习"]), ["ab", "学习学习"]);
    }

    #[test]
    fn elsewhere_text_passes_as_it_is() {
        assert_eq!(Flow::new(None).take("a long line of words"), "a long line of words");
    }
}
