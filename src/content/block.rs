//! The parts of a text: blocks and inlines, plain data that screens and commands draw.

/// A block of a text. Text in it is as written: whoever draws it passes it through `SafeText`.
#[derive(Clone, Debug, PartialEq)]
pub enum Block {
    /// `## …` is level 2.
    Heading {
        /// 2 to 6.
        level: u8,
        /// Text.
        text: Vec<Inline>,
        /// 1-based line in the file.
        line: usize,
    },
    /// A paragraph.
    Paragraph(Vec<Inline>),
    /// A list.
    List {
        /// First number of an ordered list; `None` for bullets.
        start: Option<u64>,
        /// Items.
        items: Vec<ListItem>,
    },
    /// A quotation.
    Quote(Vec<Block>),
    /// GitHub's `> [!NOTE]`.
    Alert {
        /// Which.
        kind: Alert,
        /// Content.
        blocks: Vec<Block>,
    },
    /// A code block.
    Code {
        /// First word of the fence, may be empty.
        language: String,
        /// The code, without the last line feed.
        text: String,
    },
    /// A diagram of box-drawing characters.
    Diagram {
        /// What it shows, in words.
        alt: String,
        /// The drawing.
        text: String,
    },
    /// A table.
    Table {
        /// Head cells.
        head: Vec<Vec<Inline>>,
        /// Rows of cells; each row as long as the head.
        rows: Vec<Vec<Vec<Inline>>>,
    },
    /// A lab, or one that is still to come.
    Lab {
        /// The lab's id.
        id: String,
        /// What the learner does.
        title: String,
        /// Whether it is still to come.
        to_come: bool,
        /// The lab's own keys, as JSON (an object).
        params: String,
        /// 1-based line in the file.
        line: usize,
    },
    /// A thematic break.
    Rule,
}

/// An item of a list.
#[derive(Clone, Debug, PartialEq)]
pub struct ListItem {
    /// `Some` for a task item (`- [x]`).
    pub checked: Option<bool>,
    /// Content.
    pub blocks: Vec<Block>,
}

/// Which alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alert {
    /// For completeness.
    Note,
    /// For doing it better.
    Tip,
    /// Must be known.
    Important,
    /// Needs care.
    Warning,
    /// Can do harm.
    Caution,
}

/// A run of text.
#[derive(Clone, Debug, PartialEq)]
pub enum Inline {
    /// Text.
    Text(String),
    /// `*…*`.
    Emphasis(Vec<Inline>),
    /// `**…**`.
    Strong(Vec<Inline>),
    /// `~~…~~`.
    Strikethrough(Vec<Inline>),
    /// `` `…` ``.
    Code(String),
    /// A link.
    Link {
        /// Where to.
        target: LinkTarget,
        /// Text.
        text: Vec<Inline>,
    },
    /// A soft line break, drawn as a space.
    SoftBreak,
    /// A hard line break.
    HardBreak,
}

/// Where a link leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkTarget {
    /// `term:ID`.
    Term(String),
    /// `lesson:ID`.
    Lesson(String),
    /// `https://…`.
    Web(String),
}

impl Inline {
    /// The text of a run without its marks.
    pub fn plain(inlines: &[Inline]) -> String {
        let mut out = String::new();
        for inline in inlines {
            match inline {
                Self::Text(t) | Self::Code(t) => out.push_str(t),
                Self::Emphasis(i) | Self::Strong(i) | Self::Strikethrough(i) | Self::Link { text: i, .. } => {
                    out.push_str(&Self::plain(i));
                }
                Self::SoftBreak | Self::HardBreak => out.push(' '),
            }
        }
        out
    }
}

impl Block {
    /// The words of blocks without their marks, one paragraph a line; code, diagrams and labs are left out.
    pub fn plain(blocks: &[Block]) -> String {
        blocks.iter().map(Self::words).collect()
    }

    fn words(&self) -> String {
        let line = |text: &Vec<Inline>| Inline::plain(text) + "\n";
        match self {
            Self::Heading { text, .. } | Self::Paragraph(text) => line(text),
            Self::Table { head, rows } => std::iter::once(head).chain(rows).flatten().map(line).collect(),
            Self::Quote(blocks) | Self::Alert { blocks, .. } => Self::plain(blocks),
            Self::List { items, .. } => items.iter().map(|item| Self::plain(&item.blocks)).collect(),
            Self::Code { .. } | Self::Diagram { .. } | Self::Lab { .. } | Self::Rule => String::new(),
        }
    }
}
