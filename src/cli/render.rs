//! Blocks to terminal text: wrapped, plain in a pipe, with weight (never colour) on a terminal.
//!
//! A [`Page`] is written line by line; [`Words`] are what it wraps. All text passes [`SafeText`] on its way into one of
//! the two, so nothing a course or pack holds can command the terminal. Few allocations: a page of the glossary is
//! shown in less time than the program takes to start.

use std::io::{self, Write};
use std::ops::Range;

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
    /// An empty page for standard output.
    pub fn page(&self) -> Page {
        Page::new(self.width, self.colour)
    }

    /// Writes a page to standard output, in one piece.
    ///
    /// # Errors
    /// The stream's.
    pub fn show(&mut self, page: Page) -> io::Result<()> {
        self.out.write_all(page.into_text().as_bytes())
    }

    /// Writes one line to standard error.
    ///
    /// # Errors
    /// The stream's.
    pub fn complain(&mut self, sentence: &str) -> io::Result<()> {
        writeln!(self.err, "osai: {}", SafeText::line(sentence))
    }

    /// Writes a value as JSON on one line.
    ///
    /// # Errors
    /// The stream's.
    pub fn json(&mut self, value: &serde_json::Value) -> io::Result<()> {
        writeln!(self.out, "{}", super::out::json(value))
    }
}

/// How a run of text looks. Combines with `|`.
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

/// Text to be wrapped: safe, with single spaces, a line feed where a line must end, and the weight of each run.
#[derive(Clone, Debug, Default)]
pub struct Words {
    text: String,
    /// Byte at which a run ends, and its weight.
    runs: Vec<(usize, Weight)>,
}

impl Words {
    /// Text of one weight.
    pub fn new(text: &str, weight: Weight) -> Self {
        let mut words = Self::default();
        words.push(text, weight);
        words
    }

    /// Inlines; a link to a page shows its address.
    pub fn of(inlines: &[Inline], weight: Weight) -> Self {
        let mut words = Self::default();
        words.push_inlines(inlines, weight);
        words
    }

    /// Adds text; it is made safe here.
    pub fn push(&mut self, text: &str, weight: Weight) {
        let mut rest = text;
        // ASCII without control characters is safe as it stands; only what lies between needs a look.
        while !rest.is_empty() {
            let (plain, after) = split_while(rest, is_plain);
            self.push_safe(plain);
            let (other, after) = split_while(after, |b| !is_plain(b));
            if !other.is_empty() {
                self.push_safe(SafeText::line(other).as_str());
            }
            rest = after;
        }
        let end = self.text.len();
        match self.runs.last_mut() {
            Some((last, same)) if *same == weight => *last = end,
            _ => self.runs.push((end, weight)),
        }
    }

    /// Adds text with single spaces.
    fn push_safe(&mut self, text: &str) {
        let mut is_space = self.ends_with_space();
        let mut start = 0;
        for (at, byte) in text.bytes().enumerate() {
            if byte == b' ' && is_space {
                self.text.push_str(&text[start..at]);
                start = at + 1;
            }
            is_space = byte == b' ';
        }
        self.text.push_str(&text[start..]);
    }

    fn ends_with_space(&self) -> bool {
        self.text.is_empty() || self.text.ends_with([' ', '\n'])
    }

    fn push_inlines(&mut self, inlines: &[Inline], weight: Weight) {
        for inline in inlines {
            match inline {
                Inline::Text(text) => self.push(text, weight),
                Inline::Code(text) => {
                    self.push("`", weight);
                    self.push(text, weight);
                    self.push("`", weight);
                }
                Inline::Emphasis(text) => self.push_inlines(text, weight | Weight::ITALIC),
                Inline::Strong(text) => self.push_inlines(text, weight | Weight::BOLD),
                Inline::Strikethrough(text) => self.push_inlines(text, weight | Weight::STRUCK),
                Inline::Link { target, text } => {
                    self.push_inlines(text, weight | Weight::UNDERLINE);
                    if let LinkTarget::Web(url) = target
                        && Inline::plain(text) != *url
                    {
                        self.push(&format!(" <{url}>"), weight);
                    }
                }
                Inline::SoftBreak => self.push(" ", weight),
                Inline::HardBreak => {
                    self.text.push('\n');
                    self.runs.push((self.text.len(), weight));
                }
            }
        }
    }

    /// Adds other words behind a space.
    pub fn append(&mut self, other: &Words) {
        self.push(" ", Weight::PLAIN);
        let from = self.text.len();
        self.text.push_str(&other.text);
        self.runs.extend(other.runs.iter().map(|(end, weight)| (from + end, *weight)));
    }

    /// Part of the text.
    pub fn text(&self, part: Range<usize>) -> &str {
        &self.text[part]
    }

    /// Columns of its longest line if nothing wraps.
    pub fn width(&self) -> usize {
        self.text.split('\n').map(columns).max().unwrap_or(0)
    }

    /// Lines of at most `width` columns, as places in the text. A word that is longer is cut, except an address: that
    /// must stay whole to be copied.
    pub fn lines(&self, width: usize) -> Vec<Range<usize>> {
        let mut lines = Vec::with_capacity(self.text.len() / width.max(1) + 2);
        // The line in hand and its columns; no line is in hand where they are 0.
        let (mut line, mut used) = (0..0, 0);
        let mut start = 0;
        // Bytes, because the space and the line feed are bytes in any text, and one pass over them is cheap.
        let bytes = self.text.as_bytes();
        let mut seen = 0;
        for at in 0..=bytes.len() {
            let byte = bytes.get(at).copied().unwrap_or(b'\n');
            if byte != b' ' && byte != b'\n' {
                seen |= byte;
                continue;
            }
            let wide = if seen < 0x80 { at - start } else { columns(&self.text[start..at]) };
            seen = 0;
            if wide > 0 && used > 0 && used + 1 + wide > width {
                lines.push(line.clone());
                used = 0;
            }
            if wide > width && !self.text[start..at].contains("https://") {
                (line, used) = cut(&self.text[start..at], start, width, &mut lines);
            } else if wide > 0 {
                line = if used == 0 { start..at } else { line.start..at };
                used = if used == 0 { wide } else { used + 1 + wide };
            }
            if byte == b'\n' && used > 0 {
                lines.push(line.clone());
                used = 0;
            }
            start = at + 1;
        }
        lines
    }
}

fn is_plain(byte: u8) -> bool {
    (b' '..0x7F).contains(&byte)
}

/// Splits before the first byte that is not so. A byte that is ASCII begins a character, and one that is not follows
/// ASCII only as the first of a character, so both parts are text.
fn split_while(text: &str, is_so: impl Fn(u8) -> bool) -> (&str, &str) {
    text.split_at(text.bytes().position(|byte| !is_so(byte)).unwrap_or(text.len()))
}

/// Cuts a word that is wider than a line; gives the last part and its columns.
fn cut(word: &str, at: usize, width: usize, lines: &mut Vec<Range<usize>>) -> (Range<usize>, usize) {
    let (mut start, mut used) = (0, 0);
    for (place, c) in word.char_indices() {
        let wide = c.width().unwrap_or(0);
        if used + wide > width && used > 0 {
            lines.push(at + start..at + place);
            (start, used) = (place, 0);
        }
        used += wide;
    }
    (at + start..at + word.len(), used)
}

/// Columns of a text on one line.
pub fn columns(text: &str) -> usize {
    if text.is_ascii() { text.len() } else { text.width() }
}

/// Text being written, line by line, with what stands before each line.
#[derive(Debug)]
pub struct Page {
    text: String,
    /// Columns of the terminal, less what stands before each line.
    width: usize,
    colour: bool,
    /// What stands before each line, and before the next one if that is something else.
    before: String,
    before_next: Option<String>,
}

impl Page {
    /// An empty page.
    pub fn new(width: usize, colour: bool) -> Self {
        Self { text: String::with_capacity(4096), width, colour, before: String::new(), before_next: None }
    }

    /// The text, for a terminal or a pipe.
    pub fn into_text(self) -> String {
        self.text
    }

    /// Columns of prose here.
    pub fn prose(&self) -> usize {
        self.width.clamp(NARROWEST, PROSE)
    }

    /// Columns of tables here.
    pub fn width(&self) -> usize {
        self.width.max(NARROWEST)
    }

    /// Wrapped words.
    pub fn words(&mut self, words: &Words) {
        for line in words.lines(self.prose()) {
            self.begin();
            self.part(words, line);
            self.end();
        }
    }

    /// A line that is not wrapped.
    pub fn line(&mut self, text: &str, weight: Weight) {
        self.begin();
        self.run(SafeText::line(text).as_str(), weight);
        self.end();
    }

    /// An empty line.
    pub fn gap(&mut self) {
        self.begin();
        self.end();
    }

    /// What stands before a line.
    pub fn begin(&mut self) {
        match self.before_next.take() {
            Some(before) => self.text.push_str(&before),
            None => self.text.push_str(&self.before),
        }
    }

    /// Ends a line, without spaces at its end.
    pub fn end(&mut self) {
        self.text.truncate(self.text.trim_end_matches(' ').len());
        self.text.push('\n');
    }

    /// Part of some words within a line.
    pub fn part(&mut self, words: &Words, part: Range<usize>) {
        let mut at = part.start;
        for (end, weight) in &words.runs {
            let stop = part.end.min(*end);
            if stop > at {
                self.run(&words.text[at..stop], *weight);
                at = stop;
            }
        }
    }

    /// Safe text within a line.
    pub fn run(&mut self, text: &str, weight: Weight) {
        if !self.colour || weight == Weight::PLAIN {
            self.text.push_str(text);
            return;
        }
        self.text.push_str("\x1b[");
        for (place, (_, code)) in Weight::SGR.iter().filter(|(flag, _)| weight.0 & flag.0 != 0).enumerate() {
            self.text.push_str(if place > 0 { ";" } else { "" });
            self.text.push_str(code);
        }
        self.text.push('m');
        self.text.push_str(text);
        self.text.push_str("\x1b[0m");
    }

    /// Everything that `fill` writes stands behind `rest`, its first line behind `first` (both of the same width).
    pub fn nested(&mut self, first: &str, rest: &str, fill: impl FnOnce(&mut Self)) {
        let outer = self.before.len();
        let mut before = self.before_next.take().unwrap_or_else(|| self.before.clone());
        before.push_str(first);
        self.before_next = Some(before);
        self.before.push_str(rest);
        // What is nested keeps to the width of prose, tables too.
        let width = self.width;
        self.width = width.min(PROSE).saturating_sub(rest.len()).max(NARROWEST);
        fill(self);
        if self.before_next.is_some() {
            self.gap();
        }
        self.width = width;
        self.before.truncate(outer);
    }

    /// A label in a column of `room`, and wrapped words beside it; below it where there is little room.
    pub fn labelled(&mut self, label: &str, words: &Words, room: usize) {
        if self.width < room + 2 * NARROWEST {
            if !label.is_empty() {
                self.line(label, Weight::BOLD);
            }
            return self.nested("  ", "  ", |page| page.words(words));
        }
        let mut styled = Self::new(0, self.colour);
        styled.run(SafeText::line(label).as_str(), Weight::BOLD);
        styled.text.push_str(&" ".repeat(room.saturating_sub(columns(label))));
        self.nested(&styled.text, &" ".repeat(room), |page| page.words(words));
    }

    /// Blocks, parted by empty lines.
    pub fn blocks(&mut self, blocks: &[Block]) {
        for (place, block) in blocks.iter().enumerate() {
            if place > 0 {
                self.gap();
            }
            self.block(block);
        }
    }

    fn block(&mut self, block: &Block) {
        match block {
            Block::Heading { level, text, .. } => {
                let weight = if *level == 2 { Weight::BOLD | Weight::UNDERLINE } else { Weight::BOLD };
                self.words(&Words::of(text, weight));
            }
            Block::Paragraph(text) => self.words(&Words::of(text, Weight::PLAIN)),
            Block::List { start, items } => self.list(*start, items),
            Block::Quote(blocks) => self.nested("> ", "> ", |page| page.blocks(blocks)),
            Block::Alert { kind, blocks } => self.nested("| ", "| ", |page| {
                page.line(alert_name(*kind), Weight::BOLD);
                page.blocks(blocks);
            }),
            Block::Code { text, .. } => self.nested("    ", "    ", |page| page.verbatim(text)),
            Block::Diagram { alt, text } => {
                self.verbatim(text);
                self.words(&Words::new(&format!("({alt})"), Weight::DIM));
            }
            Block::Table { head, rows } => super::table::write(head, rows, self),
            Block::Lab { title, to_come, .. } => {
                let mut words = Words::new(&format!("Lab: {title}"), Weight::BOLD);
                let what = if *to_come { " (still to come)" } else { " (open the lesson in osai to do it)" };
                words.push(what, Weight::DIM);
                self.nested("> ", "> ", |page| page.words(&words));
            }
            Block::Rule => self.line(&"-".repeat(self.prose()), Weight::DIM),
        }
    }

    fn verbatim(&mut self, text: &str) {
        text.split('\n').for_each(|line| self.line(line, Weight::PLAIN));
    }

    fn list(&mut self, start: Option<u64>, items: &[ListItem]) {
        let is_loose = items.iter().any(|item| item.blocks.len() > 1 && !matches!(item.blocks[1], Block::List { .. }));
        let last = start.map_or(0, |first| first.saturating_add(items.len() as u64).saturating_sub(1));
        let digits = last.to_string().len();
        for (place, item) in (0..).zip(items) {
            if is_loose && place > 0 {
                self.gap();
            }
            let mark = match (start, item.checked) {
                (_, Some(true)) => "[x] ".to_owned(),
                (_, Some(false)) => "[ ] ".to_owned(),
                (Some(first), None) => format!("{:>digits$}. ", first.saturating_add(place)),
                (None, None) => "- ".to_owned(),
            };
            self.nested(&mark, &" ".repeat(mark.len()), |page| {
                if is_loose {
                    page.blocks(&item.blocks);
                } else {
                    item.blocks.iter().for_each(|block| page.block(block));
                }
            });
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Vec<Inline> {
        vec![Inline::Text(text.into())]
    }

    fn paragraph(words: &str) -> Block {
        Block::Paragraph(text(words))
    }

    fn shown(blocks: &[Block], width: usize) -> String {
        let mut page = Page::new(width, false);
        page.blocks(blocks);
        page.into_text()
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
            shown(&blocks, 20),
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
        assert_eq!(shown(&[paragraph("日本語日本語日本語日本語 ab")], 17), "日本語日本語日本\n語日本語 ab\n");
        let address = "https://example.org/a/very/long/address";
        assert_eq!(shown(&[paragraph(&format!("see {address} there"))], 16), format!("see\n{address}\nthere\n"));
    }

    #[test]
    fn spaces_are_single_and_hard_breaks_hold() {
        let inlines = [text("a  b "), vec![Inline::HardBreak], text(" c"), vec![Inline::SoftBreak], text("d")].concat();
        assert_eq!(shown(&[Block::Paragraph(inlines)], 40), "a b\nc d\n");
    }

    #[test]
    fn items_within_items_share_a_line() {
        let list =
            |item: Vec<Block>| Block::List { start: None, items: vec![ListItem { checked: None, blocks: item }] };
        assert_eq!(shown(&[list(vec![list(vec![paragraph("deep")]), list(vec![])])], 40), "- - deep\n  -\n");
    }

    #[test]
    fn weight_is_written_only_where_it_may_be() {
        let words = Words::of(&[text("it"), vec![Inline::Strong(text(" is so"))]].concat(), Weight::PLAIN);
        for (colour, wanted) in [(false, "it is so\n"), (true, "it\u{1b}[1m is so\u{1b}[0m\n")] {
            let mut page = Page::new(20, colour);
            page.words(&words);
            assert_eq!(page.into_text(), wanted);
        }
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
        let shown = shown(&blocks, 80);
        assert!(shown.chars().all(|c| c == '\n' || !c.is_control() && c != '\u{202e}'), "{shown:?}");
    }
}
