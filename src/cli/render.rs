//! Blocks to terminal text: wrapped, plain in a pipe, with weight (never colour) on a terminal.
//!
//! Two steps, as on the screen: blocks to [`Line`]s of styled chunks, lines to text. All text passes [`SafeText`] where
//! a chunk is made, so nothing a course or pack holds can command the terminal.

use std::io::{self, Write};

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::content::{Alert, Block, Inline, LinkTarget, ListItem};
use crate::text::SafeText;

/// Prose is no wider than this: longer lines are hard to read.
const PROSE: usize = 72;
/// Prose is never squeezed below this, however deep it is nested.
const NARROWEST: usize = 16;

/// Where a command writes, and how.
pub struct Output<'a> {
    /// Standard output.
    pub out: &'a mut dyn Write,
    /// Standard error.
    pub err: &'a mut dyn Write,
    /// Columns of the terminal; 80 where there is none.
    pub width: usize,
    /// Whether weight and underline may be used (a terminal, no `NO_COLOR`).
    pub colour: bool,
}

impl Output<'_> {
    /// Columns for prose.
    pub fn prose(&self) -> usize {
        self.width.clamp(NARROWEST, PROSE)
    }

    /// Writes lines to standard output, in one piece.
    ///
    /// # Errors
    /// The stream's.
    pub fn lines(&mut self, lines: &[Line]) -> io::Result<()> {
        let mut text = String::new();
        lines.iter().for_each(|line| line.write(self.colour, &mut text));
        self.out.write_all(text.as_bytes())
    }

    /// Writes one line to standard error.
    ///
    /// # Errors
    /// The stream's.
    pub fn complain(&mut self, sentence: &str) -> io::Result<()> {
        writeln!(self.err, "osai: {}", SafeText::line(sentence))
    }

    /// Writes a value as JSON.
    ///
    /// # Errors
    /// The stream's.
    pub fn json(&mut self, value: &serde_json::Value) -> io::Result<()> {
        // Escapes everything below 0x20; other characters are the reader's business.
        writeln!(self.out, "{value:#}")
    }
}

/// How a chunk of text looks. Combines with `|`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Weight(u8);

impl Weight {
    /// As it is.
    pub const PLAIN: Self = Self(0);
    /// What is read first.
    pub const BOLD: Self = Self(1);
    /// What is read last.
    pub const DIM: Self = Self(2);
    /// Emphasis.
    pub const ITALIC: Self = Self(4);
    /// Links and headings.
    pub const UNDERLINE: Self = Self(8);
    /// Struck through.
    pub const STRUCK: Self = Self(16);
    const SGR: [(Self, &'static str); 5] =
        [(Self::BOLD, "1"), (Self::DIM, "2"), (Self::ITALIC, "3"), (Self::UNDERLINE, "4"), (Self::STRUCK, "9")];
}

impl std::ops::BitOr for Weight {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// A line of output.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Line(Vec<(String, Weight)>);

impl Line {
    /// A line of one chunk.
    pub fn new(text: &str, weight: Weight) -> Self {
        let mut line = Self::default();
        line.push(text, weight);
        line
    }

    /// Adds a chunk; it is made safe here.
    pub fn push(&mut self, text: &str, weight: Weight) {
        let text = SafeText::line(text).into_string();
        match self.0.last_mut() {
            Some((last, same)) if *same == weight => last.push_str(&text),
            _ => self.0.push((text, weight)),
        }
    }

    /// Adds another line's chunks.
    pub fn append(&mut self, other: &Line) {
        self.0.extend(other.0.iter().cloned());
    }

    /// Columns.
    pub fn width(&self) -> usize {
        self.0.iter().map(|(text, _)| text.width()).sum()
    }

    fn prefixed(mut self, prefix: &str) -> Self {
        self.0.insert(0, (prefix.to_owned(), Weight::PLAIN));
        self
    }

    fn write(&self, colour: bool, out: &mut String) {
        let start = out.len();
        for (text, weight) in &self.0 {
            if !colour || *weight == Weight::PLAIN {
                out.push_str(text);
                continue;
            }
            let on = Weight::SGR.iter().filter(|(flag, _)| weight.0 & flag.0 != 0).map(|(_, code)| *code);
            out.push_str("\x1b[");
            out.push_str(&on.collect::<Vec<_>>().join(";"));
            out.push('m');
            out.push_str(text);
            out.push_str("\x1b[0m");
        }
        let end = start + out[start..].trim_end_matches(' ').len();
        out.truncate(end);
        out.push('\n');
    }
}

/// Blocks as lines; prose at most 72 wide, tables as wide as `width`.
pub fn lines(blocks: &[Block], width: usize) -> Vec<Line> {
    let mut lines = Vec::new();
    for block in blocks {
        if !lines.is_empty() {
            lines.push(Line::default());
        }
        lines.extend(block_lines(block, width.max(NARROWEST)));
    }
    lines
}

fn block_lines(block: &Block, width: usize) -> Vec<Line> {
    match block {
        Block::Heading { level, text, .. } => {
            let weight = if *level == 2 { Weight::BOLD | Weight::UNDERLINE } else { Weight::BOLD };
            wrap(&words(text, weight), width.min(PROSE))
        }
        Block::Paragraph(text) => wrap(&words(text, Weight::PLAIN), width.min(PROSE)),
        Block::List { start, items } => list_lines(*start, items, width),
        Block::Quote(blocks) => prefixed(lines(blocks, narrower(width, 2)), "> "),
        Block::Alert { kind, blocks } => {
            let mut inner = vec![Line::new(alert_name(*kind), Weight::BOLD)];
            inner.extend(lines(blocks, narrower(width, 2)));
            prefixed(inner, "| ")
        }
        Block::Code { text, .. } => {
            text.split('\n').map(|line| Line::new(line, Weight::PLAIN).prefixed("    ")).collect()
        }
        Block::Diagram { alt, text } => {
            let mut drawn: Vec<Line> = text.split('\n').map(|line| Line::new(line, Weight::PLAIN)).collect();
            drawn.extend(wrap(&plain_words(&format!("({alt})"), Weight::DIM), width.min(PROSE)));
            drawn
        }
        Block::Table { head, rows } => super::table::lines(head, rows, width),
        Block::Lab { title, to_come, .. } => {
            let what = if *to_come { "still to come" } else { "open the lesson in osai to do it" };
            let mut text = plain_words(&format!("Lab: {title}"), Weight::BOLD);
            text.extend(plain_words(&format!("({what})"), Weight::DIM));
            prefixed(wrap(&text, narrower(width, 2)), "> ")
        }
        Block::Rule => vec![Line::new(&"-".repeat(width.min(PROSE)), Weight::DIM)],
    }
}

/// What is nested keeps to the width of prose, tables too.
fn narrower(width: usize, by: usize) -> usize {
    width.min(PROSE).saturating_sub(by).max(NARROWEST)
}

fn prefixed(lines: Vec<Line>, prefix: &str) -> Vec<Line> {
    lines.into_iter().map(|line| line.prefixed(prefix)).collect()
}

fn alert_name(kind: Alert) -> &'static str {
    match kind {
        Alert::Note => "Note",
        Alert::Tip => "Tip",
        Alert::Important => "Important",
        Alert::Warning => "Warning",
        Alert::Caution => "Caution",
    }
}

fn list_lines(start: Option<u64>, items: &[ListItem], width: usize) -> Vec<Line> {
    let is_loose = items.iter().any(|item| item.blocks.len() > 1 && !matches!(item.blocks[1], Block::List { .. }));
    let last = start.map_or(0, |first| first.saturating_add(items.len() as u64));
    let room = start.map_or(2, |_| last.to_string().len() + 2);
    let mut out: Vec<Line> = Vec::new();
    for (place, item) in (0..).zip(items) {
        if is_loose && !out.is_empty() {
            out.push(Line::default());
        }
        let mark = match (start, item.checked) {
            (_, Some(true)) => "[x] ".to_owned(),
            (_, Some(false)) => "[ ] ".to_owned(),
            (Some(first), None) => format!("{:>2$}{} ", first.saturating_add(place), ".", room - 2),
            (None, None) => "- ".to_owned(),
        };
        let rest = " ".repeat(mark.len());
        let mut inner = if is_loose {
            lines(&item.blocks, narrower(width, mark.len()))
        } else {
            item.blocks.iter().flat_map(|block| block_lines(block, narrower(width, mark.len()))).collect()
        };
        if inner.is_empty() {
            inner.push(Line::default());
        }
        out.extend(inner.into_iter().enumerate().map(|(i, line)| line.prefixed(if i == 0 { &mark } else { &rest })));
    }
    out
}

/// What is not broken at a line's end: chunks without a space between them.
#[derive(Clone, Debug, Default)]
pub struct Word {
    chunks: Vec<(String, Weight)>,
    /// A hard break stands before it.
    breaks: bool,
}

impl Word {
    /// Columns.
    pub fn width(&self) -> usize {
        self.chunks.iter().map(|(text, _)| text.width()).sum()
    }
}

impl Word {
    fn is_address(&self) -> bool {
        self.chunks.iter().any(|(text, _)| text.contains("https://"))
    }
}

/// Text as words.
pub fn plain_words(text: &str, weight: Weight) -> Vec<Word> {
    let mut words = vec![Word::default()];
    add_text(text, weight, &mut words);
    finished(words)
}

/// Inlines as words; a link to a page shows its address.
pub fn words(inlines: &[Inline], weight: Weight) -> Vec<Word> {
    let mut words = vec![Word::default()];
    add_inlines(inlines, weight, &mut words);
    finished(words)
}

fn finished(mut words: Vec<Word>) -> Vec<Word> {
    words.retain(|word| !word.chunks.is_empty());
    words
}

fn add_inlines(inlines: &[Inline], weight: Weight, words: &mut Vec<Word>) {
    for inline in inlines {
        match inline {
            Inline::Text(text) => add_text(text, weight, words),
            Inline::Code(text) => add_text(&format!("`{text}`"), weight, words),
            Inline::Emphasis(text) => add_inlines(text, weight | Weight::ITALIC, words),
            Inline::Strong(text) => add_inlines(text, weight | Weight::BOLD, words),
            Inline::Strikethrough(text) => add_inlines(text, weight | Weight::STRUCK, words),
            Inline::Link { target, text } => {
                add_inlines(text, weight | Weight::UNDERLINE, words);
                if let LinkTarget::Web(url) = target
                    && Inline::plain(text) != *url
                {
                    add_text(&format!(" <{url}>"), weight, words);
                }
            }
            Inline::SoftBreak => words.push(Word::default()),
            Inline::HardBreak => words.push(Word { breaks: true, ..Word::default() }),
        }
    }
}

/// Spaces part words; a text that does not begin with one goes on with the last word.
fn add_text(text: &str, weight: Weight, words: &mut Vec<Word>) {
    for (place, part) in SafeText::line(text).as_str().split(' ').enumerate() {
        if place > 0 {
            words.push(Word::default());
        }
        if let Some(word) = words.last_mut()
            && !part.is_empty()
        {
            word.chunks.push((part.to_owned(), weight));
        }
    }
}

/// Words as lines of at most `width` columns. A word that is longer is cut, except an address: that must stay whole to
/// be copied.
pub fn wrap(words: &[Word], width: usize) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut line = Line::default();
    let mut used = 0;
    for word in words {
        let wide = word.width();
        if used > 0 && (word.breaks || used + 1 + wide > width) {
            lines.push(std::mem::take(&mut line));
            used = 0;
        }
        if used > 0 {
            // A space inside an underlined link or heading is underlined too.
            let (before, after) = (line.0.last().map(|chunk| chunk.1), word.chunks.first().map(|chunk| chunk.1));
            line.push(" ", if before == after { before.unwrap_or_default() } else { Weight::PLAIN });
            used += 1;
        }
        if wide <= width || word.is_address() {
            word.chunks.iter().for_each(|(text, weight)| line.push(text, *weight));
            used += wide;
            continue;
        }
        for (text, weight) in &word.chunks {
            for c in text.chars() {
                let columns = c.width().unwrap_or(0);
                if used + columns > width && used > 0 {
                    lines.push(std::mem::take(&mut line));
                    used = 0;
                }
                line.push(c.encode_utf8(&mut [0; 4]), *weight);
                used += columns;
            }
        }
    }
    if used > 0 {
        lines.push(line);
    }
    lines
}

/// A label in a column of `room`, and wrapped text beside it; below it where there is little room.
pub fn labelled(label: &str, text: &[Word], room: usize, width: usize) -> Vec<Line> {
    if width < room + 2 * NARROWEST {
        let mut out = vec![Line::new(label, Weight::BOLD)];
        out.extend(prefixed(wrap(text, narrower(width, 2)), "  "));
        return out;
    }
    let beside = |(i, line): (usize, Line)| {
        let mut out = Line::default();
        out.push(if i == 0 { label } else { "" }, Weight::BOLD);
        out.push(&" ".repeat(room.saturating_sub(out.width())), Weight::PLAIN);
        out.0.extend(line.0);
        out
    };
    wrap(text, width - room).into_iter().enumerate().map(beside).collect()
}

/// Lines as plain text.
#[cfg(test)]
pub fn plain(lines: &[Line]) -> String {
    let mut text = String::new();
    lines.iter().for_each(|line| line.write(false, &mut text));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Vec<Inline> {
        vec![Inline::Text(text.into())]
    }

    fn paragraph(words: &str) -> Block {
        Block::Paragraph(text(words))
    }

    #[test]
    fn blocks_wrap_and_nest() {
        let item = |words: &str| ListItem { checked: None, blocks: vec![paragraph(words)] };
        let blocks = [
            Block::Heading { level: 2, text: text("One idea"), line: 1 },
            paragraph("the quick brown fox jumps over it"),
            Block::List { start: Some(9), items: vec![item("first"), item("second item wraps here")] },
            Block::Alert { kind: Alert::Tip, blocks: vec![paragraph("go slowly")] },
            Block::Code { language: "rust".into(), text: "let long_line_stays = as_it_is();".into() },
        ];
        assert_eq!(
            plain(&lines(&blocks, 20)),
            "\
One idea

the quick brown fox
jumps over it

 9. first
10. second item
    wraps here

| Tip
| go slowly

    let long_line_stays = as_it_is();
"
        );
    }

    #[test]
    fn words_longer_than_the_line_are_cut_and_wide_characters_counted() {
        assert_eq!(plain(&wrap(&plain_words("日本語日本語 ab", Weight::PLAIN), 7)), "日本語\n日本語\nab\n");
    }

    #[test]
    fn weight_is_written_only_where_it_may_be() {
        let line = &wrap(&words(&[Inline::Strong(text("so it is"))], Weight::PLAIN), 20)[0];
        let (mut plain, mut styled) = (String::new(), String::new());
        line.write(false, &mut plain);
        line.write(true, &mut styled);
        assert_eq!((plain.as_str(), styled.as_str()), ("so it is\n", "\u{1b}[1mso it is\u{1b}[0m\n"));
    }

    /// Rows 35 and 36 of the table of faults.
    #[test]
    fn nothing_in_a_text_reaches_the_terminal_as_a_command() {
        let evil = "a\u{1b}[31mb\u{9b}2Jc\u{202e}";
        let link = Inline::Link { target: LinkTarget::Web(format!("https://x/{evil}")), text: text(evil) };
        let blocks = [
            paragraph(evil),
            Block::Paragraph(vec![Inline::Code(evil.into()), link]),
            Block::Code { language: evil.into(), text: evil.into() },
            Block::Diagram { alt: evil.into(), text: evil.into() },
            Block::Table { head: vec![text(evil)], rows: vec![vec![text(evil)]] },
            Block::Lab { id: evil.into(), title: evil.into(), to_come: false, params: evil.into(), line: 1 },
        ];
        let shown = plain(&lines(&blocks, 80));
        assert!(shown.chars().all(|c| c == '\n' || !c.is_control() && c != '\u{202e}'), "{shown:?}");
    }
}
