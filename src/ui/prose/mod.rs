//! Blocks of a text to lines of a page: wrapping, lists, quotes, alerts, tables, code, diagrams, labs.
//!
//! [`layout`] is called when a page opens and when its width changes, never while drawing; [`Page::draw`] only reads.
//! All text passes `SafeText` here, after markdown was parsed.

mod code;
mod find;
mod table;
mod wrap;

pub use find::{Match, find};
pub use wrap::{Piece, width, wrap};

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

use crate::content::{Alert, Block, Inline, LinkTarget, ListItem};
use crate::text::SafeText;
use crate::theme::Theme;

/// Blocks nested deeper than this are set flat, and ever deeper ones left out.
const MAX_DEPTH: usize = 32;
/// Where so few columns are left, nothing is indented further.
const NARROW: usize = 8;

/// What can be followed on a page.
#[derive(Clone, Debug, PartialEq)]
pub enum Target {
    /// A link in the text.
    Link(LinkTarget),
    /// A lab.
    Lab {
        /// The lab's id.
        id: String,
        /// Its parameters, JSON.
        params: String,
    },
    /// The quiz of the lesson on this page.
    Quiz,
    /// Mark the lesson on this page as done.
    Done,
}

/// A thing to follow and where it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Spot {
    /// What it leads to.
    pub target: Target,
    /// The line where it begins.
    pub line: usize,
}

/// A heading and where it is.
#[derive(Clone, Debug, PartialEq)]
pub struct HeadingSpot {
    /// 1 to 6.
    pub level: u8,
    /// Its text.
    pub text: String,
    /// Its line.
    pub line: usize,
}

/// A laid-out text.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    /// Lines of pieces.
    pub lines: Vec<Vec<Piece>>,
    /// All that can be followed, in order.
    pub links: Vec<Spot>,
    /// All headings, in order.
    pub headings: Vec<HeadingSpot>,
}

/// Lays blocks out to lines of at most `columns` (unless the text has a wider character than that).
pub fn layout(blocks: &[Block], columns: usize, theme: &Theme) -> Page {
    let mut setter =
        Setter { theme, columns: columns.max(1), page: Page::default(), indent: vec![], marker: None, depth: 0 };
    setter.blocks(blocks, false);
    let mut page = setter.page;
    page.place_links();
    page
}

/// Runs of text as pieces, without links: for definitions, questions, explanations.
pub fn inline(inlines: &[Inline], style: Style, theme: &Theme) -> Vec<Piece> {
    let mut setter = Setter { theme, columns: 1, page: Page::default(), indent: vec![], marker: None, depth: 0 };
    let mut pieces = Vec::new();
    setter.inlines(inlines, style, None, &mut pieces);
    for piece in &mut pieces {
        piece.link = None;
    }
    pieces
}

impl Page {
    /// Adds a line that can be followed (quiz, next lesson) at the end.
    pub fn push_action(&mut self, target: Target, mut pieces: Vec<Piece>) {
        for piece in &mut pieces {
            piece.link = Some(self.links.len());
        }
        self.links.push(Spot { target, line: self.lines.len() });
        self.lines.push(pieces);
    }

    /// Sets another page under this one.
    pub fn append(&mut self, other: Page) {
        let (lines, links) = (self.lines.len(), self.links.len());
        self.lines.extend(other.lines.into_iter().map(|mut line| {
            line.iter_mut().for_each(|piece| piece.link = piece.link.map(|link| link + links));
            line
        }));
        self.links.extend(other.links.into_iter().map(|spot| Spot { line: spot.line + lines, ..spot }));
        self.headings.extend(other.headings.into_iter().map(|spot| HeadingSpot { line: spot.line + lines, ..spot }));
    }

    /// Notes for each link the line where its first words landed.
    fn place_links(&mut self) {
        let mut first = vec![None; self.links.len()];
        for (line, pieces) in self.lines.iter().enumerate() {
            for link in pieces.iter().filter_map(|p| p.link) {
                if let Some(place) = first.get_mut(link) {
                    place.get_or_insert(line);
                }
            }
        }
        let mut last = 0;
        for (spot, line) in self.links.iter_mut().zip(first) {
            // A link without text stands where the one before it stands.
            last = line.unwrap_or(last);
            spot.line = last;
        }
    }

    /// The text of a line.
    pub fn text(&self, line: usize) -> String {
        self.lines.get(line).map_or(String::new(), |pieces| pieces.iter().map(|p| p.text.as_str()).collect())
    }

    /// What can be followed at a column of a line.
    pub fn link_at(&self, line: usize, column: usize) -> Option<usize> {
        let mut from = 0;
        for piece in self.lines.get(line)? {
            let to = from + piece.width();
            if (from..to).contains(&column) {
                return piece.link;
            }
            from = to;
        }
        None
    }

    /// The heading in whose section a line is, as a position in `headings`.
    pub fn section_at(&self, line: usize) -> Option<usize> {
        self.headings.iter().rposition(|h| h.line <= line)
    }

    /// Draws the lines from `top` on; `focus` is the link under the cursor, `found` the matches of a search.
    pub fn draw(&self, buf: &mut Buffer, area: Rect, top: usize, focus: Option<usize>, found: &[Match], theme: &Theme) {
        let area = area.intersection(buf.area);
        for (row, pieces) in self.lines.iter().skip(top).take(usize::from(area.height)).enumerate() {
            let y = area.y + row as u16;
            let mut x = area.x;
            for piece in pieces {
                let style = if piece.link.is_some() && piece.link == focus {
                    piece.style.patch(theme.selected)
                } else {
                    piece.style
                };
                let room = usize::from(area.right().saturating_sub(x));
                if room == 0 {
                    break;
                }
                (x, _) = buf.set_stringn(x, y, &piece.text, room, style);
            }
        }
        for (line, from, to) in found.iter().flat_map(|m| &m.0) {
            if (top..top + usize::from(area.height)).contains(line) {
                let x = area.x.saturating_add(*from as u16).min(area.right());
                let right = area.x.saturating_add(*to as u16).min(area.right());
                let stretch = Rect { x, y: area.y + (line - top) as u16, width: right - x, height: 1 };
                buf.set_style(stretch, theme.found);
            }
        }
    }
}

struct Setter<'a> {
    theme: &'a Theme,
    columns: usize,
    page: Page,
    /// What stands before every line: quotation bars, indentation.
    indent: Vec<Piece>,
    /// What stands before the next line instead: the indentation with a list's marker.
    marker: Option<Vec<Piece>>,
    depth: usize,
}

impl Setter<'_> {
    fn room(&self) -> usize {
        let before = self.marker.as_ref().map_or(0, |m| width(m)).max(width(&self.indent));
        self.columns.saturating_sub(before).max(1)
    }

    fn line(&mut self, pieces: Vec<Piece>) {
        let mut line = self.marker.take().unwrap_or_else(|| self.indent.clone());
        line.extend(pieces);
        while line.last().is_some_and(|p| p.text.trim().is_empty()) {
            line.pop();
        }
        self.page.lines.push(line);
    }

    /// An empty line, unless there is one already or the page is still empty.
    fn gap(&mut self) {
        let blank = |line: &Vec<Piece>| line.iter().all(|p| matches!(p.text.trim(), "" | "│" | "▌"));
        if self.marker.is_none() && self.page.lines.last().is_some_and(|line| !blank(line)) {
            self.line(vec![]);
        }
    }

    fn blocks(&mut self, blocks: &[Block], tight: bool) {
        if self.depth > 2 * MAX_DEPTH {
            self.line(vec![Piece::new("…", self.theme.quiet)]);
            return;
        }
        self.depth += 1;
        for (index, block) in blocks.iter().enumerate() {
            if index > 0 && !(tight && matches!(block, Block::List { .. })) {
                self.gap();
            }
            self.block(block);
        }
        self.depth -= 1;
    }

    fn block(&mut self, block: &Block) {
        let theme = self.theme;
        match block {
            Block::Heading { level, text, .. } => {
                let style = match level {
                    1 => theme.title,
                    2 => theme.heading,
                    _ => theme.strong,
                };
                let text = SafeText::line(Inline::plain(text)).into_string();
                self.page.headings.push(HeadingSpot { level: *level, text: text.clone(), line: self.page.lines.len() });
                self.paragraph(&[Piece::new(text, style)]);
            }
            Block::Paragraph(inlines) => {
                let pieces = self.pieces(inlines, theme.text);
                self.paragraph(&pieces);
            }
            Block::List { start, items } => self.list(*start, items),
            Block::Quote(blocks) => self.inside(Piece::new("│ ", theme.quiet), |setter| setter.blocks(blocks, false)),
            Block::Alert { kind, blocks } => {
                let (name, style) = match kind {
                    Alert::Note => ("Note", theme.accent),
                    Alert::Tip => ("Tip", theme.good),
                    Alert::Important => ("Important", theme.accent),
                    Alert::Warning => ("Warning", theme.warn),
                    Alert::Caution => ("Caution", theme.warn),
                };
                self.inside(Piece::new("▌ ", style), |setter| {
                    setter.line(vec![Piece::new(name, style.add_modifier(Modifier::BOLD))]);
                    setter.blocks(blocks, false);
                });
            }
            Block::Code { language, text } => self.code(language, text),
            Block::Diagram { alt, text } => self.diagram(alt, text),
            Block::Table { head, rows } => self.table(head, rows),
            Block::Lab { id, title, to_come, params, .. } => self.lab(id, title, *to_come, params),
            Block::Rule => {
                let rule = "─".repeat(self.room().min(24));
                self.line(vec![Piece::new(rule, theme.quiet)]);
            }
        }
    }

    fn paragraph(&mut self, pieces: &[Piece]) {
        for line in wrap(pieces, self.room()) {
            self.line(line);
        }
    }

    /// Sets what `content` sets behind a mark on every line.
    fn inside(&mut self, mark: Piece, content: impl FnOnce(&mut Self)) {
        let kept = self.indent.clone();
        if self.depth <= MAX_DEPTH && self.room() > NARROW {
            if let Some(marker) = &mut self.marker {
                marker.push(mark.clone());
            }
            self.indent.push(mark);
        }
        content(self);
        self.indent = kept;
    }

    fn list(&mut self, start: Option<u64>, items: &[ListItem]) {
        let loose =
            items.iter().any(|item| item.blocks.iter().filter(|b| !matches!(b, Block::List { .. })).count() > 1);
        let last = start.map_or(0, |s| s.saturating_add(items.len().saturating_sub(1) as u64));
        let digits = last.to_string().len();
        for (index, item) in items.iter().enumerate() {
            if index > 0 && loose {
                self.gap();
            }
            let mark = match (item.checked, start) {
                (Some(true), _) => "✓ ".to_string(),
                (Some(false), _) => "○ ".to_string(),
                (None, Some(start)) => format!("{:>digits$}. ", start.saturating_add(index as u64)),
                (None, None) => if self.depth <= 1 { "• " } else { "– " }.to_string(),
            };
            let kept = self.indent.clone();
            let flat = self.depth > MAX_DEPTH || self.room() <= NARROW;
            let pending = self.marker.is_some();
            let mut marker = self.marker.take().unwrap_or_else(|| self.indent.clone());
            if !flat {
                self.indent.push(Piece::new(" ".repeat(mark.width()), Style::new()));
            }
            if !(flat && pending) {
                marker.push(Piece::new(mark, self.theme.accent));
            }
            self.marker = Some(marker);
            self.blocks(&item.blocks, !loose);
            if self.marker.is_some() {
                self.line(vec![]);
            }
            self.indent = kept;
        }
    }

    fn code(&mut self, language: &str, text: &str) {
        let lines = code::highlight(language, text, self.theme);
        let room = self.room().saturating_sub(2).max(1);
        for pieces in lines {
            let mut rest = pieces;
            let mut lead = Piece::new("  ", Style::new());
            loop {
                let (now, later) = split(rest, room);
                let mut line = vec![lead];
                line.extend(now);
                self.line(line);
                if later.is_empty() {
                    break;
                }
                rest = later;
                lead = Piece::new("↪ ", self.theme.quiet);
            }
        }
    }

    fn diagram(&mut self, alt: &str, text: &str) {
        let lines: Vec<String> = text.lines().map(|l| SafeText::line(l).into_string()).collect();
        let widest = lines.iter().map(|l| l.width()).max().unwrap_or(0);
        if widest <= self.room() {
            for line in lines {
                self.line(vec![Piece::new(line, self.theme.text)]);
            }
        } else {
            let alt = SafeText::line(format!("Diagram: {alt}")).into_string();
            self.paragraph(&[Piece::new(alt, self.theme.emphasis)]);
        }
    }

    fn table(&mut self, head: &[Vec<Inline>], rows: &[Vec<Vec<Inline>>]) {
        let head: Vec<Vec<Piece>> = head.iter().map(|cell| self.pieces(cell, self.theme.strong)).collect();
        let rows: Vec<Vec<Vec<Piece>>> =
            rows.iter().map(|row| row.iter().map(|cell| self.pieces(cell, self.theme.text)).collect()).collect();
        let all = || std::iter::once(&head).chain(&rows);
        let greatest = |measure: fn(&[Piece]) -> usize, column: usize| {
            all().filter_map(|row| row.get(column)).map(|cell| measure(cell)).max().unwrap_or(0)
        };
        let natural: Vec<usize> = (0..head.len()).map(|c| greatest(width, c)).collect();
        let words: Vec<usize> = (0..head.len()).map(|c| greatest(wrap::longest_word, c)).collect();
        let Some(widths) = table::share(&natural, &words, self.room()) else {
            return self.records(&head, &rows);
        };
        let starts: Vec<Vec<Vec<Piece>>> = rows.iter().map(|row| table::row(row, &widths)).collect();
        let tall = starts.iter().any(|lines| lines.len() > 1);
        for line in table::row(&head, &widths) {
            self.line(line);
        }
        self.line(vec![Piece::new("─".repeat(table::total(&widths).min(self.room())), self.theme.quiet)]);
        for (index, lines) in starts.into_iter().enumerate() {
            if index > 0 && tall {
                self.line(vec![]);
            }
            for line in lines {
                self.line(line);
            }
        }
    }

    /// A table too wide for its place: each row as lines of `head: cell`.
    fn records(&mut self, head: &[Vec<Piece>], rows: &[Vec<Vec<Piece>>]) {
        for (index, row) in rows.iter().enumerate() {
            if index > 0 {
                self.gap();
            }
            for (column, cell) in row.iter().enumerate() {
                let mut pieces = Vec::new();
                if column > 0
                    && let Some(name) = head.get(column).filter(|name| !name.is_empty())
                {
                    pieces.extend(name.iter().map(|p| Piece { style: self.theme.quiet, ..p.clone() }));
                    pieces.push(Piece::new(": ", self.theme.quiet));
                    pieces.extend(cell.iter().cloned());
                } else {
                    pieces.extend(cell.iter().map(|p| Piece { style: p.style.patch(self.theme.strong), ..p.clone() }));
                }
                let lead = Piece::new(if column == 0 { "" } else { "  " }, Style::new());
                self.inside(lead, |setter| setter.paragraph(&pieces));
            }
        }
    }

    fn lab(&mut self, id: &str, title: &str, to_come: bool, params: &str) {
        let title = SafeText::line(title).into_string();
        if to_come {
            let text = format!("○ Lab to come: {title}");
            return self.paragraph(&[Piece::new(text, self.theme.quiet)]);
        }
        let link = self.page.links.len();
        self.page.links.push(Spot {
            target: Target::Lab { id: id.to_string(), params: params.to_string() },
            line: self.page.lines.len(),
        });
        let pieces = [
            Piece {
                link: Some(link),
                ..Piece::new(format!("▶ Lab: {title}"), self.theme.accent.add_modifier(Modifier::BOLD))
            },
            Piece::new("  (enter)", self.theme.quiet),
        ];
        self.paragraph(&pieces);
    }

    fn pieces(&mut self, inlines: &[Inline], style: Style) -> Vec<Piece> {
        let mut pieces = Vec::new();
        self.inlines(inlines, style, None, &mut pieces);
        pieces
    }

    fn inlines(&mut self, inlines: &[Inline], style: Style, link: Option<usize>, out: &mut Vec<Piece>) {
        let theme = self.theme;
        self.depth += 1;
        for inline in inlines {
            match inline {
                Inline::Text(text) => {
                    out.push(Piece { link, ..Piece::new(SafeText::line(text.as_str()).into_string(), style) });
                }
                Inline::Code(text) => {
                    let style = style.patch(theme.code);
                    let text = SafeText::line(text.as_str()).into_string();
                    out.push(Piece { link, solid: true, ..Piece::new(text, style) });
                }
                Inline::SoftBreak => out.push(Piece { link, ..Piece::new(" ", style) }),
                Inline::HardBreak => out.push(Piece { link, ..Piece::new("\n", style) }),
                _ if self.depth > 2 * MAX_DEPTH => {}
                Inline::Emphasis(inner) => self.inlines(inner, style.patch(theme.emphasis), link, out),
                Inline::Strong(inner) => self.inlines(inner, style.patch(theme.strong), link, out),
                Inline::Strikethrough(inner) => {
                    self.inlines(inner, style.add_modifier(Modifier::CROSSED_OUT), link, out)
                }
                Inline::Link { target, text } => {
                    let number = self.page.links.len();
                    self.page.links.push(Spot { target: Target::Link(target.clone()), line: usize::MAX });
                    let style = match target {
                        LinkTarget::Term(_) => style.patch(theme.term),
                        _ => style.patch(theme.accent).add_modifier(Modifier::UNDERLINED),
                    };
                    self.inlines(text, style, Some(number), out);
                }
            }
        }
        self.depth -= 1;
    }
}

/// The beginning of a line of code that fits, and the rest.
fn split(pieces: Vec<Piece>, columns: usize) -> (Vec<Piece>, Vec<Piece>) {
    let (mut now, mut later) = (Vec::new(), Vec::new());
    let mut used = 0;
    for piece in pieces {
        let mut at = if later.is_empty() { piece.text.len() } else { 0 };
        if later.is_empty() && used + piece.width() > columns {
            at = 0;
            for grapheme in piece.text.graphemes(true) {
                if used + grapheme.width() > columns && !(used == 0 && at == 0) {
                    break;
                }
                used += grapheme.width();
                at += grapheme.len();
            }
        } else if later.is_empty() {
            used += piece.width();
        }
        let (head, tail) = piece.text.split_at(at);
        if !head.is_empty() {
            now.push(Piece { text: head.to_string(), ..piece.clone() });
        }
        if !tail.is_empty() {
            later.push(Piece { text: tail.to_string(), ..piece });
        }
    }
    (now, later)
}

#[cfg(test)]
mod tests;
