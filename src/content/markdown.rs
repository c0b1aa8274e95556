//! Markdown to blocks: the only file that names pulldown-cmark.
//!
//! CommonMark with tables, strikethrough, task lists and GitHub's alerts. Containers nest to [`MAX_DEPTH`], what is
//! deeper is kept but flattened, so that hostile nesting costs no stack. What the course does not allow (HTML, images,
//! links elsewhere, headings that jump) is noted as a fault and left out of the blocks.

use pulldown_cmark::{BlockQuoteKind, CodeBlockKind, CowStr, Event, HeadingLevel, Options, Parser, Tag, TagEnd};
use unicode_width::UnicodeWidthStr;

use super::block::{Alert, Block, Inline, LinkTarget, ListItem};
use super::error::ContentErrorKind as Kind;
use super::fields::{At, Fault};

/// Containers (quotes, lists) and marks (emphasis, links) nest at most this deep.
const MAX_DEPTH: usize = 32;
/// Columns of a diagram: fits 80 with a margin.
const DIAGRAM_COLUMNS: usize = 72;

/// A body read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Markdown {
    /// What is shown.
    pub blocks: Vec<Block>,
    /// What is not allowed.
    pub faults: Vec<Fault>,
    /// Links, with places.
    pub links: Vec<At<LinkTarget>>,
    /// Ids of the labs that must exist (not those still to come), with places.
    pub labs: Vec<At<String>>,
}

/// Reads the body of a file that begins at byte `body_at`; places are those of the whole file.
pub fn parse(text: &str, body_at: usize) -> Markdown {
    let body = &text[body_at..];
    let options =
        Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TASKLISTS | Options::ENABLE_GFM;
    let mut builder = Builder::new(text, body_at);
    for (event, range) in Parser::new_ext(body, options).into_offset_iter() {
        builder.at = body_at + range.start;
        builder.event(event);
    }
    builder.finish()
}

/// Reads one line of markdown: an answer, an explanation. Line feeds count as spaces; `1.` or `-` at the start is text.
/// Places are those in `text`.
pub fn parse_inline(text: &str) -> (Vec<Inline>, Markdown) {
    // A word in front keeps the line a paragraph, whatever it begins with.
    const GUARD: &str = "x ";
    let line = format!("{GUARD}{}", text.trim().replace(['\n', '\r'], " "));
    let mut found = parse(&line, 0);
    let mut inlines = match found.blocks.drain(..).next() {
        Some(Block::Paragraph(inlines)) => inlines,
        _ => Vec::new(),
    };
    if let Some(Inline::Text(first)) = inlines.first_mut() {
        first.drain(..GUARD.len().min(first.len()));
        if first.is_empty() {
            inlines.remove(0);
        }
    }
    (inlines, found)
}

/// An element that has begun and not ended.
#[derive(Debug)]
enum Frame {
    Blocks(Container, Vec<Block>),
    List(Option<u64>, Vec<ListItem>),
    Inlines(Leaf, Vec<Inline>),
    Code { info: String, text: String, fence_at: usize, text_at: usize },
    Table { head: Vec<Vec<Inline>>, rows: Vec<Vec<Vec<Inline>>>, row: Vec<Vec<Inline>> },
}

#[derive(Debug)]
enum Container {
    Root,
    Quote(Option<Alert>),
    Item(Option<bool>),
}

#[derive(Debug)]
enum Leaf {
    /// `implicit`: text that stands in an item or quote without a paragraph of its own.
    Paragraph {
        implicit: bool,
    },
    Heading {
        level: u8,
        line: usize,
    },
    Cell,
    Emphasis,
    Strong,
    Strikethrough,
    Link(LinkTarget),
}

struct Builder<'t> {
    text: &'t str,
    /// Byte of the event in hand.
    at: usize,
    stack: Vec<Frame>,
    /// For each open tag whether it has a frame.
    framed: Vec<bool>,
    heading: u8,
    /// Line feeds counted so far, and up to where.
    lines: (usize, usize),
    out: Markdown,
}

impl<'t> Builder<'t> {
    fn new(text: &'t str, body_at: usize) -> Self {
        let root = Frame::Blocks(Container::Root, Vec::new());
        let lines = (text[..body_at].bytes().filter(|b| *b == b'\n').count(), body_at);
        Self { text, at: body_at, stack: vec![root], framed: Vec::new(), heading: 1, lines, out: Markdown::default() }
    }

    fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Start(tag) => {
                let framed = self.start(tag);
                self.framed.push(framed);
            }
            Event::End(tag) => {
                let framed = self.framed.pop().unwrap_or(false);
                self.end(tag, framed);
            }
            Event::Text(text) => self.text(&text),
            Event::Code(text) => self.inline(Inline::Code(text.into_string())),
            Event::SoftBreak => self.inline(Inline::SoftBreak),
            Event::HardBreak => self.inline(Inline::HardBreak),
            Event::Rule => self.block(Block::Rule),
            Event::TaskListMarker(done) => {
                let item = self.stack.iter_mut().rev().find_map(|frame| match frame {
                    Frame::Blocks(Container::Item(checked), _) => Some(checked),
                    _ => None,
                });
                if let Some(checked) = item {
                    *checked = Some(done);
                }
            }
            Event::Html(_) => {}
            Event::InlineHtml(_) => self.fault(Kind::Html),
            // Not enabled.
            Event::FootnoteReference(_) | Event::InlineMath(_) | Event::DisplayMath(_) => {}
        }
    }

    /// Whether the tag has got a frame; without one its content stays in the frame around it.
    fn start(&mut self, tag: Tag<'_>) -> bool {
        let is_mark =
            matches!(tag, Tag::Emphasis | Tag::Strong | Tag::Strikethrough | Tag::Link { .. } | Tag::Image { .. });
        if !is_mark {
            self.end_implicit();
        }
        let depth = self.stack.iter().filter(|frame| is_mark == matches!(frame, Frame::Inlines(..))).count();
        let is_deep = depth >= MAX_DEPTH;
        let frame = match tag {
            Tag::Paragraph => Frame::Inlines(Leaf::Paragraph { implicit: false }, Vec::new()),
            Tag::Heading { level, .. } => {
                let level = self.heading_level(level);
                let line = self.line();
                Frame::Inlines(Leaf::Heading { level, line }, Vec::new())
            }
            Tag::BlockQuote(kind) if !is_deep => Frame::Blocks(Container::Quote(kind.map(alert)), Vec::new()),
            // A list needs room for its items too.
            Tag::List(start) if depth + 1 < MAX_DEPTH => Frame::List(start, Vec::new()),
            Tag::Item if matches!(self.stack.last(), Some(Frame::List(..))) => {
                Frame::Blocks(Container::Item(None), Vec::new())
            }
            Tag::CodeBlock(kind) => {
                let info = match kind {
                    CodeBlockKind::Fenced(info) => info.into_string(),
                    CodeBlockKind::Indented => String::new(),
                };
                Frame::Code { info, text: String::new(), fence_at: self.at, text_at: 0 }
            }
            Tag::Table(_) => Frame::Table { head: Vec::new(), rows: Vec::new(), row: Vec::new() },
            Tag::TableCell => Frame::Inlines(Leaf::Cell, Vec::new()),
            Tag::Emphasis if !is_deep => Frame::Inlines(Leaf::Emphasis, Vec::new()),
            Tag::Strong if !is_deep => Frame::Inlines(Leaf::Strong, Vec::new()),
            Tag::Strikethrough if !is_deep => Frame::Inlines(Leaf::Strikethrough, Vec::new()),
            Tag::Link { dest_url, .. } => match self.link(&dest_url) {
                Some(target) if !is_deep => Frame::Inlines(Leaf::Link(target), Vec::new()),
                _ => return false,
            },
            Tag::Image { .. } => {
                self.fault(Kind::Image);
                return false;
            }
            Tag::HtmlBlock => {
                self.fault(Kind::Html);
                return false;
            }
            _ => return false,
        };
        if is_mark {
            self.begin_implicit();
        }
        self.stack.push(frame);
        true
    }

    fn end(&mut self, tag: TagEnd, framed: bool) {
        if matches!(tag, TagEnd::BlockQuote(_) | TagEnd::List(_) | TagEnd::Item | TagEnd::HtmlBlock) {
            self.end_implicit();
        }
        if let (TagEnd::TableHead | TagEnd::TableRow, Some(Frame::Table { head, rows, row })) =
            (tag, self.stack.last_mut())
        {
            let cells = std::mem::take(row);
            if tag == TagEnd::TableHead { *head = cells } else { rows.push(cells) }
        }
        if framed && let Some(frame) = self.stack.pop() {
            self.close(frame);
        }
    }

    fn close(&mut self, frame: Frame) {
        match frame {
            Frame::Blocks(Container::Root, _) => {}
            Frame::Blocks(Container::Quote(None), blocks) => self.block(Block::Quote(blocks)),
            Frame::Blocks(Container::Quote(Some(kind)), blocks) => self.block(Block::Alert { kind, blocks }),
            Frame::Blocks(Container::Item(checked), blocks) => {
                if let Some(Frame::List(_, items)) = self.stack.last_mut() {
                    items.push(ListItem { checked, blocks });
                }
            }
            Frame::List(start, items) => self.block(Block::List { start, items }),
            Frame::Inlines(leaf, text) => self.close_leaf(leaf, text),
            Frame::Code { info, text, fence_at, text_at } => self.code(&info, text, fence_at, text_at),
            Frame::Table { head, mut rows, .. } => {
                rows.iter_mut().for_each(|row| row.resize(head.len(), Vec::new()));
                self.block(Block::Table { head, rows });
            }
        }
    }

    fn close_leaf(&mut self, leaf: Leaf, text: Vec<Inline>) {
        match leaf {
            Leaf::Paragraph { .. } => {
                if !text.is_empty() {
                    self.block(Block::Paragraph(text));
                }
            }
            Leaf::Heading { level, line } => self.block(Block::Heading { level, text, line }),
            Leaf::Cell => {
                if let Some(Frame::Table { row, .. }) = self.stack.last_mut() {
                    row.push(text);
                }
            }
            Leaf::Emphasis => self.inline(Inline::Emphasis(text)),
            Leaf::Strong => self.inline(Inline::Strong(text)),
            Leaf::Strikethrough => self.inline(Inline::Strikethrough(text)),
            Leaf::Link(target) => self.inline(Inline::Link { target, text }),
        }
    }

    fn block(&mut self, block: Block) {
        self.end_implicit();
        if let Some(Frame::Blocks(_, blocks)) = self.stack.last_mut() {
            blocks.push(block);
        }
    }

    fn text(&mut self, piece: &str) {
        if let Some(Frame::Code { text, text_at, .. }) = self.stack.last_mut() {
            if text.is_empty() {
                *text_at = self.at;
            }
            text.push_str(piece);
            return;
        }
        self.begin_implicit();
        match self.stack.last_mut() {
            Some(Frame::Inlines(_, inlines)) => match inlines.last_mut() {
                Some(Inline::Text(text)) => text.push_str(piece),
                _ => inlines.push(Inline::Text(piece.to_owned())),
            },
            _ => debug_assert!(false, "text stands in a leaf"),
        }
    }

    fn inline(&mut self, inline: Inline) {
        self.begin_implicit();
        if let Some(Frame::Inlines(_, inlines)) = self.stack.last_mut() {
            inlines.push(inline);
        }
    }

    fn begin_implicit(&mut self) {
        if matches!(self.stack.last(), Some(Frame::Blocks(..))) {
            self.stack.push(Frame::Inlines(Leaf::Paragraph { implicit: true }, Vec::new()));
        }
    }

    fn end_implicit(&mut self) {
        if matches!(self.stack.last(), Some(Frame::Inlines(Leaf::Paragraph { implicit: true }, _)))
            && let Some(frame) = self.stack.pop()
        {
            self.close(frame);
        }
    }

    fn heading_level(&mut self, level: HeadingLevel) -> u8 {
        let level = level as u8;
        if level == 1 {
            self.fault(Kind::TitleHeading);
        } else if level > self.heading + 1 {
            self.fault(Kind::HeadingJump { from: self.heading, to: level });
        }
        self.heading = level;
        level.max(2)
    }

    fn link(&mut self, url: &CowStr<'_>) -> Option<LinkTarget> {
        let target = match url.split_once(':') {
            Some(("term", id)) if !id.is_empty() => LinkTarget::Term(id.to_owned()),
            Some(("lesson", id)) if !id.is_empty() => LinkTarget::Lesson(id.to_owned()),
            Some(("https", rest)) if rest.len() > 2 && rest.starts_with("//") => LinkTarget::Web(url.to_string()),
            _ => {
                self.fault(Kind::BadLink { target: url.to_string() });
                return None;
            }
        };
        self.out.links.push(At { value: target.clone(), at: self.at });
        Some(target)
    }

    fn code(&mut self, info: &str, mut text: String, fence_at: usize, text_at: usize) {
        if text.ends_with('\n') {
            text.pop();
        }
        let language = info.split_whitespace().next().unwrap_or_default();
        self.at = fence_at;
        let block = match language {
            "lab" => self.lab(info, &text, text_at),
            "diagram" => self.diagram(info, text, text_at),
            _ => Block::Code { language: language.to_owned(), text },
        };
        self.block(block);
    }

    fn diagram(&mut self, info: &str, text: String, text_at: usize) -> Block {
        let alt =
            info.split_once("alt=\"").and_then(|(_, rest)| rest.split_once('"')).map_or("", |(alt, _)| alt.trim());
        if alt.is_empty() {
            self.fault(Kind::NoAlt);
        }
        let mut at = text_at;
        for line in text.split('\n') {
            let columns = line.width();
            if columns > DIAGRAM_COLUMNS {
                self.out.faults.push(Fault { at, kind: Kind::WideDiagram { columns, limit: DIAGRAM_COLUMNS } });
            }
            at += line.len() + 1;
        }
        Block::Diagram { alt: alt.to_owned(), text }
    }

    fn lab(&mut self, info: &str, text: &str, text_at: usize) -> Block {
        let line = self.line();
        let id = info.split_whitespace().nth(1).unwrap_or_default().to_owned();
        if id.is_empty() {
            self.fault(Kind::NoLabId);
        }
        let mut table = match text.parse::<toml::Table>() {
            Ok(table) => table,
            Err(error) => {
                let at = text_at + error.span().map_or(0, |span| span.start);
                self.out.faults.push(Fault { at, kind: Kind::Syntax { why: error.message().replace('\n', ", ") } });
                toml::Table::new()
            }
        };
        let title = match table.remove("title") {
            Some(toml::Value::String(title)) if !title.trim().is_empty() => title,
            found => {
                self.fault(match found {
                    None => Kind::MissingKey { key: "title".into() },
                    Some(_) => Kind::WrongType { key: "title".into(), wanted: "text in quotes" },
                });
                String::new()
            }
        };
        let to_come = match table.remove("to_come") {
            None => false,
            Some(toml::Value::Boolean(to_come)) => to_come,
            Some(_) => {
                self.fault(Kind::WrongType { key: "to_come".into(), wanted: "true or false" });
                false
            }
        };
        if !to_come && !id.is_empty() {
            let at = self.text[self.at..].find(&id).map_or(self.at, |found| self.at + found);
            self.out.labs.push(At { value: id.clone(), at });
        }
        Block::Lab { id, title, to_come, params: json(toml::Value::Table(table)).to_string(), line }
    }

    /// 1-based line of the place in hand. Places come in order, so that each line feed is counted about once.
    fn line(&mut self) -> usize {
        let (count, upto) = &mut self.lines;
        if self.at >= *upto {
            *count += self.text[*upto..self.at].bytes().filter(|b| *b == b'\n').count();
            *upto = self.at;
        } else {
            *count -= self.text[self.at..*upto].bytes().filter(|b| *b == b'\n').count();
            *upto = self.at;
        }
        *count + 1
    }

    fn fault(&mut self, kind: Kind) {
        self.out.faults.push(Fault { at: self.at, kind });
    }

    fn finish(mut self) -> Markdown {
        self.end_implicit();
        if let Some(Frame::Blocks(Container::Root, blocks)) = self.stack.pop() {
            self.out.blocks = blocks;
        }
        self.out
    }
}

fn alert(kind: BlockQuoteKind) -> Alert {
    match kind {
        BlockQuoteKind::Note => Alert::Note,
        BlockQuoteKind::Tip => Alert::Tip,
        BlockQuoteKind::Important => Alert::Important,
        BlockQuoteKind::Warning => Alert::Warning,
        BlockQuoteKind::Caution => Alert::Caution,
    }
}

fn json(value: toml::Value) -> serde_json::Value {
    match value {
        toml::Value::String(text) => text.into(),
        toml::Value::Integer(number) => number.into(),
        toml::Value::Float(number) => number.into(),
        toml::Value::Boolean(flag) => flag.into(),
        toml::Value::Datetime(when) => when.to_string().into(),
        toml::Value::Array(values) => values.into_iter().map(json).collect(),
        toml::Value::Table(table) => {
            serde_json::Value::Object(table.into_iter().map(|(key, value)| (key, json(value))).collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blocks(text: &str) -> Vec<Block> {
        let found = parse(text, 0);
        assert_eq!(found.faults, []);
        found.blocks
    }

    fn text(text: &str) -> Inline {
        Inline::Text(text.into())
    }

    #[test]
    fn alerts_tasks_and_tables_become_blocks() {
        let found = blocks("> [!TIP]\n> try\n\n- [x] done\n- open\n\n| a | b |\n|---|---|\n| 1 |\n");
        let paragraph = |words| vec![Block::Paragraph(vec![text(words)])];
        assert_eq!(
            found,
            [
                Block::Alert { kind: Alert::Tip, blocks: paragraph("try") },
                Block::List {
                    start: None,
                    items: vec![
                        ListItem { checked: Some(true), blocks: paragraph("done") },
                        ListItem { checked: None, blocks: paragraph("open") },
                    ],
                },
                Block::Table {
                    head: vec![vec![text("a")], vec![text("b")]],
                    rows: vec![vec![vec![text("1")], vec![]]],
                },
            ]
        );
    }

    #[test]
    fn a_lab_carries_its_own_keys_as_json() {
        let found = blocks("## Try\n\n```lab tokens\ntitle = \"Beat it\"\nbudget = 12\nwords = [\"a\"]\n```\n");
        let lab = Block::Lab {
            id: "tokens".into(),
            title: "Beat it".into(),
            to_come: false,
            params: r#"{"budget":12,"words":["a"]}"#.into(),
            line: 3,
        };
        assert_eq!(found[1], lab);
    }

    #[test]
    fn a_line_of_markdown_is_never_a_list_or_heading() {
        for line in ["1. first", "- 3", "# 4", "> 5", "37.", "+ 1"] {
            assert_eq!(parse_inline(line).0, [text(line)], "{line}");
        }
        assert_eq!(
            parse_inline("**no** `x`").0,
            [Inline::Strong(vec![text("no")]), text(" "), Inline::Code("x".into())]
        );
    }

    #[test]
    fn what_the_course_does_not_allow_is_a_fault_with_its_place() {
        let found = parse("a <b>x</b>\n\n#### deep\n\n![i](https://x.y)\n\n[l](http://x) <div>\n", 0);
        let places: Vec<(usize, &Kind)> = found.faults.iter().map(|fault| (fault.at, &fault.kind)).collect();
        let jump = Kind::HeadingJump { from: 1, to: 4 };
        let link = Kind::BadLink { target: "http://x".into() };
        let wanted =
            [(2, &Kind::Html), (6, &Kind::Html), (12, &jump), (23, &Kind::Image), (42, &link), (56, &Kind::Html)];
        assert_eq!(places, wanted);
    }

    /// Row 40 of the table of faults: nesting bombs cost no stack and little time.
    #[test]
    fn deep_nesting_is_flattened() {
        let bombs = [">".repeat(20_000) + "x", "- ".repeat(5_000) + "x", "*a **b ".repeat(20_000), "[".repeat(50_000)];
        for bomb in bombs {
            let found = parse(&bomb, 0);
            assert!(depth(&found.blocks) <= MAX_DEPTH, "{}", &bomb[..8]);
        }
    }

    fn depth(blocks: &[Block]) -> usize {
        let deepest = blocks.iter().map(|block| match block {
            Block::Quote(blocks) => 1 + depth(blocks),
            Block::List { items, .. } => 2 + items.iter().map(|item| depth(&item.blocks)).max().unwrap_or(0),
            _ => 0,
        });
        deepest.max().unwrap_or(0)
    }
}
