//! The checked way to stdout, and the few styles that lines of text need.

use std::fmt::Write as _;
use std::io::{self, BufWriter, IsTerminal, StdoutLock, Write};

use ratatui::style::{Color, Modifier, Style};
use serde::Serialize;

use super::environment::Globals;
use super::failure::Failure;
use crate::text::SafeText;
use crate::theme::Theme;

/// Stdout, buffered; every write can fail and says so.
#[derive(Debug)]
pub struct Out {
    to: BufWriter<StdoutLock<'static>>,
    /// Styles for [`Out::paint`].
    pub theme: Theme,
    /// Whether escape sequences for colour and weight are wanted.
    pub colored: bool,
    /// Whether marks beyond ASCII (bars, dots) may be used for ornament.
    pub is_utf8: bool,
    /// Columns for lines that wrap.
    pub width: usize,
    /// Whether it is a terminal whose cursor can be moved.
    pub is_live: bool,
}

impl Out {
    /// The process's stdout.
    pub fn stdout(globals: &Globals) -> Self {
        let is_terminal = io::stdout().is_terminal();
        let columns = || crossterm::terminal::size().ok().map(|(columns, _)| usize::from(columns));
        Self {
            to: BufWriter::new(io::stdout().lock()),
            theme: Theme::new(globals.palette()),
            colored: globals.wants_color(is_terminal),
            is_utf8: globals.env.is_utf8,
            is_live: is_terminal && !globals.env.is_dumb(),
            width: is_terminal.then(columns).flatten().filter(|columns| *columns >= 20).unwrap_or(80),
        }
    }

    /// Text from outside, safe and on one line, in a style where colour is wanted.
    pub fn paint(&self, style: Style, text: impl Into<String>) -> String {
        let safe = SafeText::line(text).into_string();
        if self.colored && !safe.is_empty() { sgr(style, &safe) } else { safe }
    }

    /// A value as JSON on one line.
    ///
    /// # Errors
    /// The output failed.
    pub fn json<T: Serialize>(&mut self, value: &T) -> Result<(), Failure> {
        let text = json(value);
        Ok(writeln!(self.to, "{text}")?)
    }
}

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.to.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

/// A text from outside on one line, safe to print.
pub fn safe(text: impl Into<String>) -> String {
    SafeText::line(text).into_string()
}

/// JSON in which a terminal finds nothing to obey: control, bidirectional and invisible characters are escaped, also
/// those beyond ASCII. It is the same value for every reader.
pub fn json<T: Serialize>(value: &T) -> String {
    let plain = serde_json::to_string(value).expect("our values have string keys and no failing parts");
    if plain.bytes().all(|b| b.is_ascii() && b != 0x7F) {
        return plain;
    }
    let mut escaped = String::with_capacity(plain.len());
    for c in plain.chars() {
        // Such characters stand inside strings only, where an escape means the same.
        if c == '\u{7F}' || (!c.is_ascii() && SafeText::new(c).as_str() != c.encode_utf8(&mut [0; 4])) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                write!(escaped, "\\u{unit:04x}").expect("a string takes any text");
            }
        } else {
            escaped.push(c);
        }
    }
    escaped
}

/// A text as it is, where no colour is wanted.
pub fn plain(_: Style, text: &str) -> String {
    text.to_owned()
}

/// A text between the escape sequences of a style.
pub fn sgr(style: Style, text: &str) -> String {
    let weights = [
        (Modifier::BOLD, "1"),
        (Modifier::DIM, "2"),
        (Modifier::ITALIC, "3"),
        (Modifier::UNDERLINED, "4"),
        (Modifier::REVERSED, "7"),
    ];
    let mut codes: Vec<String> = weights
        .iter()
        .filter(|(weight, _)| style.add_modifier.contains(*weight))
        .map(|(_, code)| (*code).to_owned())
        .collect();
    let named = [
        (Color::Red, 31),
        (Color::Green, 32),
        (Color::Yellow, 33),
        (Color::Blue, 34),
        (Color::Magenta, 35),
        (Color::Cyan, 36),
        (Color::DarkGray, 90),
    ];
    match style.fg {
        Some(Color::Indexed(index)) => codes.push(format!("38;5;{index}")),
        Some(color) => codes.extend(named.iter().find(|(name, _)| *name == color).map(|(_, code)| code.to_string())),
        None => {}
    }
    if codes.is_empty() { text.to_owned() } else { format!("\u{1b}[{}m{text}\u{1b}[0m", codes.join(";")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_escapes_what_a_terminal_would_obey() {
        let hostile = "a\u{1b}[31m\u{7f}\u{9b}\u{202e}\u{200b}\u{e0041}é👩\u{200d}🔬";
        let text = json(&hostile);
        assert_eq!(text, r#""a\u001b[31m\u007f\u009b\u202e\u200b\udb40\udc41é👩"#.to_owned() + "\u{200d}🔬\"");
        assert_eq!(serde_json::from_str::<String>(&text).unwrap(), hostile);
    }

    #[test]
    fn a_style_becomes_escape_sequences_around_the_text() {
        let style = Style::new().fg(Color::Indexed(25)).add_modifier(Modifier::BOLD);
        assert_eq!(sgr(style, "x"), "\u{1b}[1;38;5;25mx\u{1b}[0m");
        assert_eq!(sgr(Style::new(), "x"), "x");
    }
}
