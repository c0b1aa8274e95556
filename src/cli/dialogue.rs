//! Talking line by line: prompts out, typed lines in, the same on a terminal, for a screen reader and in a pipe.

use std::fmt;
use std::io::{self, BufRead, Read, Write};

use jiff::ZonedDateTime;
use ratatui::style::Style;
use unicode_width::UnicodeWidthStr;

use super::answer::{Put, safe};
use crate::content::Answer;
use crate::progress::Confidence;
use crate::theme::Theme;

/// The longest line that is read, in bytes; the rest of a longer one is dropped.
const MAX_LINE: u64 = 64 << 10;

/// What a dialogue needs of the world.
pub struct Dialogue<'a> {
    /// What is typed.
    pub input: &'a mut dyn BufRead,
    /// Whether what is typed shows by itself, as on a terminal; otherwise it is written behind its prompt.
    pub is_echoed: bool,
    /// Questions and verdicts.
    pub out: &'a mut dyn Write,
    /// Notices and errors.
    pub err: &'a mut dyn Write,
    /// The clock.
    pub clock: &'a dyn Fn() -> ZonedDateTime,
    /// Columns for lines that wrap.
    pub width: usize,
    /// Styles.
    pub theme: &'a Theme,
    /// Puts a text in a style, or leaves it as it is where no colour is wanted.
    pub paint: fn(Style, &str) -> String,
}

impl fmt::Debug for Dialogue<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dialogue").field("width", &self.width).finish_non_exhaustive()
    }
}

impl Dialogue<'_> {
    /// Writes a text wrapped and indented.
    pub fn say(&mut self, indent: usize, text: &str) -> io::Result<()> {
        self.say_after(&" ".repeat(indent), text)
    }

    /// Writes a text behind a lead; wrapped lines begin below its end.
    pub fn say_after(&mut self, lead: &str, text: &str) -> io::Result<()> {
        let lines = wrapped(text, self.width.saturating_sub(lead.len()));
        writeln!(self.out, "{lead}{}", lines[0])?;
        for line in &lines[1..] {
            writeln!(self.out, "{}{line}", " ".repeat(lead.len()))?;
        }
        Ok(())
    }

    /// Prompts until an answer is understood; `None` when the learner leaves.
    pub fn ask_answer(&mut self, put: &Put) -> io::Result<Option<Answer>> {
        loop {
            let mut typed = Vec::new();
            for what in put.prompts() {
                match self.prompt(&what)? {
                    Some(line) => typed.push(line),
                    None => return Ok(None),
                }
            }
            match put.answer(&typed) {
                Ok(answer) => return Ok(Some(answer)),
                Err(wanted) => self.say(2, &format!("Not understood: {wanted}."))?,
            }
        }
    }

    /// How sure the learner is, asked before the verdict; `None` when the learner leaves, `Some(None)` when it is skipped.
    pub fn ask_confidence(&mut self) -> io::Result<Option<Option<Confidence>>> {
        loop {
            let Some(line) = self.prompt("how sure? 1 guess, 2 fairly sure, 3 sure, enter skips")? else {
                return Ok(None);
            };
            match line.trim() {
                "" => return Ok(Some(None)),
                "1" => return Ok(Some(Some(Confidence::Guess))),
                "2" => return Ok(Some(Some(Confidence::Fair))),
                "3" => return Ok(Some(Some(Confidence::Sure))),
                _ => self.say(2, "Not understood: type 1, 2 or 3, or only enter.")?,
            }
        }
    }

    /// One line; `None` for `q` and at the end of the input. The rest of a line beyond [`MAX_LINE`] is dropped.
    fn prompt(&mut self, what: &str) -> io::Result<Option<String>> {
        write!(self.out, "  {what} > ")?;
        self.out.flush()?;
        let mut line = Vec::new();
        (&mut *self.input).take(MAX_LINE).read_until(b'\n', &mut line)?;
        if line.len() as u64 == MAX_LINE && !line.ends_with(b"\n") {
            self.input.skip_until(b'\n')?;
        }
        let line = String::from_utf8_lossy(&line);
        if line.is_empty() {
            writeln!(self.out)?;
            return Ok(None);
        }
        let line = line.trim_end_matches(['\r', '\n']);
        if !self.is_echoed {
            writeln!(self.out, "{}", safe(line))?;
        }
        Ok((line.trim() != "q").then(|| line.to_owned()))
    }
}

/// Lines of at most `width` columns (one word at least), broken at spaces; never no line.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let line = lines.last_mut().expect("there is always a line");
        if line.is_empty() {
            line.push_str(word);
        } else if line.width() + 1 + word.width() <= width {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}
