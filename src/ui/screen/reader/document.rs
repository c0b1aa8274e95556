//! What the reader shows: the blocks of a lesson or of a glossary entry with all that belongs to it.

use crate::content::{Block, Confusion, Inline, Lesson, LinkTarget, ListItem, Reference, Term};
use crate::text::SafeText;
use crate::ui::prose::{self, Page, Piece, Target};
use crate::ui::screen::Shared;

/// A text to read.
#[derive(Debug)]
pub(super) struct Document {
    /// For the first row.
    pub(super) title: String,
    /// Id of the lesson, if it is one.
    pub(super) lesson: Option<String>,
    /// The lesson's key in the record.
    pub(super) key: Option<String>,
    /// Questions of the lesson's quiz.
    pub(super) questions: usize,
    /// The lesson that comes next: id and title.
    next: Option<(String, String)>,
    blocks: Vec<Block>,
    /// What stands behind the end of a lesson: terms and sources.
    appendix: Vec<Block>,
}

/// A document laid out.
#[derive(Debug, Default)]
pub(super) struct LaidOut {
    pub(super) page: Page,
    /// Lines up to where the text ends; behind it is the appendix.
    pub(super) end: usize,
}

impl Document {
    /// A lesson.
    pub(super) fn lesson(id: &str, shared: &Shared) -> Result<Self, String> {
        let library = &shared.library;
        let Some(head) = library.find_lesson(id) else {
            return Err(format!("there is no lesson `{}` yet", SafeText::line(id)));
        };
        let lesson = library.lesson(&head.id).map_err(|faults| {
            let first = faults
                .first()
                .map_or(String::new(), |fault| format!(": {}:{}: {}", fault.path, fault.line, fault.kind));
            format!("lesson {} cannot be shown{first}", head.code())
        })?;
        let at = library.lessons().iter().position(|other| other.id == head.id);
        let next = at.and_then(|at| library.lessons().get(at + 1));
        Ok(Self {
            title: format!("{} {}", head.code(), head.title),
            lesson: Some(head.id.clone()),
            key: Some(library.record_key(&head.path, &head.id)),
            questions: library.quiz(&head.id).ok().flatten().map_or(0, |quiz| quiz.questions.len()),
            next: next.map(|next| (next.id.clone(), format!("{} {}", next.code(), next.title))),
            blocks: lesson_blocks(&lesson),
            appendix: appendix(&lesson, shared),
        })
    }

    /// A glossary entry.
    pub(super) fn term(id: &str, shared: &Shared) -> Result<Self, String> {
        let Some(term) = shared.library.glossary().term(id) else {
            return Err(format!("there is no glossary entry `{}` yet", SafeText::line(id)));
        };
        Ok(Self {
            title: term.title.clone(),
            lesson: None,
            key: None,
            questions: 0,
            next: None,
            blocks: term_blocks(&term, shared),
            appendix: Vec::new(),
        })
    }

    /// The text as a page, with what comes next at the end of a lesson, and the appendix behind that.
    pub(super) fn lay_out(&self, columns: usize, done: bool, shared: &Shared) -> LaidOut {
        let theme = &shared.theme;
        let mut page = prose::layout(&self.blocks, columns, theme);
        if self.lesson.is_none() {
            let end = page.lines.len();
            return LaidOut { page, end };
        }
        page.lines.push(vec![]);
        page.lines.push(vec![Piece::new("─".repeat(columns.min(24)), theme.quiet)]);
        page.lines.push(vec![]);
        let mut action = |mark: &str, word: &str, rest: String, target: Target| {
            let lead = Piece::new(format!("{mark} {word:<10}"), theme.accent);
            let rest = crate::ui::draw::cut(SafeText::line(rest).as_str(), columns.saturating_sub(lead.width()));
            page.push_action(target, vec![lead, Piece::new(rest, theme.text)]);
        };
        if self.questions > 0 {
            let many = if self.questions == 1 { "question" } else { "questions" };
            action("▸", "Quiz", format!("{} {many}", self.questions), Target::Quiz);
        }
        if let Some((id, title)) = &self.next {
            action("▸", "Next", title.clone(), Target::Link(LinkTarget::Lesson(id.clone())));
        }
        if done {
            page.lines.push(vec![Piece::new("✓ Done", theme.good)]);
        } else {
            action("○", "Done", "mark this lesson as done (x)".into(), Target::Done);
        }
        let end = page.lines.len();
        if !self.appendix.is_empty() {
            page.lines.extend([vec![], vec![]]);
            page.append(prose::layout(&self.appendix, columns, theme));
        }
        LaidOut { page, end }
    }
}

fn text(text: impl Into<String>) -> Inline {
    Inline::Text(text.into())
}

fn heading(title: &str) -> Block {
    Block::Heading { level: 2, text: vec![text(title)], line: 0 }
}

fn item(inlines: Vec<Inline>) -> ListItem {
    ListItem { checked: None, blocks: vec![Block::Paragraph(inlines)] }
}

fn list(items: Vec<ListItem>) -> Block {
    Block::List { start: None, items }
}

fn link(target: LinkTarget, title: impl Into<String>) -> Inline {
    Inline::Link { target, text: vec![text(title)] }
}

/// A term as a link, with its title if it has an entry.
fn term_link(id: &str, shared: &Shared) -> Inline {
    match shared.library.glossary().title(id) {
        Some(title) => link(LinkTarget::Term(id.to_string()), title),
        None => text(id.replace('-', " ")),
    }
}

fn joined(links: Vec<Inline>) -> Vec<Inline> {
    let mut out = Vec::new();
    for (index, inline) in links.into_iter().enumerate() {
        if index > 0 {
            out.push(text(", "));
        }
        out.push(inline);
    }
    out
}

fn sources(sources: &[Reference]) -> Block {
    list(
        (sources.iter())
            .map(|source| {
                let web = link(LinkTarget::Web(source.url.clone()), source.title.clone());
                item(vec![web, text(format!(" (checked {})", source.checked))])
            })
            .collect(),
    )
}

fn lesson_blocks(lesson: &Lesson) -> Vec<Block> {
    let head = &lesson.head;
    let about = format!("{} · {} minutes", head.level.name(), head.minutes);
    let mut blocks = vec![Block::Paragraph(vec![Inline::Emphasis(vec![text(about)])])];
    if !head.outcomes.is_empty() {
        blocks.push(Block::Paragraph(vec![text("After this lesson you can:")]));
        blocks.push(list(head.outcomes.iter().map(|outcome| item(vec![text(outcome.clone())])).collect()));
    }
    blocks.extend(lesson.blocks.iter().cloned());
    blocks
}

fn appendix(lesson: &Lesson, shared: &Shared) -> Vec<Block> {
    let head = &lesson.head;
    let mut blocks = Vec::new();
    if !head.terms.is_empty() {
        blocks.push(heading("Terms of this lesson"));
        blocks.push(Block::Paragraph(joined(head.terms.iter().map(|id| term_link(id, shared)).collect())));
    }
    if !head.sources.is_empty() {
        blocks.push(heading("Sources"));
        blocks.push(sources(&head.sources));
    }
    blocks
}

/// A glossary entry as blocks: definition, body, why it matters, what it is taken for, and where to go on.
pub fn term_blocks(term: &Term, shared: &Shared) -> Vec<Block> {
    let mut blocks = vec![Block::Heading { level: 1, text: vec![text(term.title.clone())], line: 0 }];
    let mut about = format!("{} · {}", term.level.name(), term.category);
    if !term.aliases.is_empty() {
        about.push_str(&format!(" · also {}", term.aliases.join(", ")));
    }
    blocks.push(Block::Paragraph(vec![Inline::Emphasis(vec![text(about)])]));
    blocks.push(Block::Paragraph(vec![Inline::Strong(vec![text(term.short.clone())])]));
    blocks.extend(term.blocks.iter().cloned());
    if !term.why.is_empty() {
        blocks.push(heading("Why it matters"));
        blocks.push(Block::Paragraph(vec![text(term.why.clone())]));
    }
    if !term.confused_with.is_empty() {
        blocks.push(heading("Often confused with"));
        let other = |c: &Confusion| item(vec![term_link(&c.id, shared), text(format!(": {}", c.why))]);
        blocks.push(list(term.confused_with.iter().map(other).collect()));
    }
    if let Some(try_it) = &term.try_it {
        blocks.push(heading("Try"));
        if let Some(note) = &try_it.note {
            blocks.push(Block::Paragraph(vec![text(note.clone())]));
        }
        if let Some(run) = &try_it.run {
            blocks.push(Block::Code { language: String::new(), text: run.clone() });
        }
    }
    if !term.related.is_empty() {
        blocks.push(heading("See also"));
        blocks.push(Block::Paragraph(joined(term.related.iter().map(|id| term_link(id, shared)).collect())));
    }
    if !term.lessons.is_empty() {
        blocks.push(heading("In lessons"));
        blocks.push(list(term.lessons.iter().map(|id| item(vec![lesson_link(id, shared)])).collect()));
    }
    if !term.sources.is_empty() {
        blocks.push(heading("Sources"));
        blocks.push(sources(&term.sources));
    }
    blocks
}

fn lesson_link(id: &str, shared: &Shared) -> Inline {
    if let Some(head) = shared.library.find_lesson(id) {
        return link(LinkTarget::Lesson(head.id.clone()), format!("{} {}", head.code(), head.title));
    }
    let planned = shared.library.all_lessons().iter().find(|head| head.id == id);
    text(planned.map_or(id.to_uppercase(), |head| format!("{} {} (to come)", head.code(), head.title)))
}

/// A term in short, for the pop-up and the side of a wide screen.
#[derive(Debug)]
pub(super) struct TermNote {
    /// Id.
    pub(super) id: String,
    /// Title.
    pub(super) title: String,
    /// One line.
    pub(super) short: String,
    /// Titles of related terms.
    pub(super) related: String,
}

impl TermNote {
    /// The note of a term; `None` if there is no entry.
    pub(super) fn new(id: &str, shared: &Shared) -> Option<Self> {
        let glossary = shared.library.glossary();
        let term = glossary.term(id)?;
        Some(Self {
            id: term.id,
            title: SafeText::line(term.title).into_string(),
            short: SafeText::line(term.short).into_string(),
            related: SafeText::line(
                term.related.iter().filter_map(|id| glossary.title(id)).collect::<Vec<_>>().join(", "),
            )
            .into_string(),
        })
    }
}
