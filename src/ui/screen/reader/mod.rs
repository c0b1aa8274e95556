//! The reader: a lesson or a glossary entry, page by page, with links to follow.
//!
//! The text is laid out when it opens and when the width changes (`document` makes its blocks); drawing is in
//! `view`. What the learner has read goes out as [`Effect::SavePosition`].

mod bindings;
mod document;
mod view;

pub use document::term_blocks;

use self::bindings::{Act, CONTENTS_KEYS, FIND_KEYS, FORGET_KEY, TABLE, TERM_KEYS};
use self::document::{Document, LaidOut, TermNote};
use super::{Outcome, Route, Shared};
use crate::content::LinkTarget;
use crate::labs::{Key, KeyHelp, KeyPress};
use crate::ui::event::{Effect, Event, Mouse, MouseAction};
use crate::ui::field::Field;
use crate::ui::keys::{self, Binding};
use crate::ui::prose::{self, Match, Page, Target};

/// The reading width.
const MEASURE: u16 = 72;
/// From this width on contents and notes stand beside the text.
const BESIDE: u16 = 110;
/// From this width on they stand on both sides of it.
const BOTH_SIDES: u16 = 150;
/// A position is kept when it has moved by this share since it was last kept.
const KEEP_EVERY: f64 = 0.08;

/// What lies over the text.
#[derive(Debug)]
enum Over {
    Nothing,
    Find(Field),
    /// The contents, with the position in `headings` under the cursor.
    Contents(usize),
    Term(Box<TermNote>),
}

/// A lesson or a glossary entry.
#[derive(Debug)]
pub struct ReaderScreen {
    document: Document,
    page: Page,
    /// Lines of the page up to the end of the text; the appendix is behind it.
    end: usize,
    size: (u16, u16),
    /// First line in view.
    top: usize,
    focus: Option<usize>,
    /// The note of the term under the cursor, for the side of a wide screen.
    note: Option<Box<TermNote>>,
    over: Over,
    /// What was looked for last.
    needle: String,
    matches: Vec<Match>,
    match_at: Option<usize>,
    /// Where to start once the size is known: a heading, else a share.
    start: Start,
    /// The position kept last.
    kept: f64,
    done: bool,
}

#[derive(Clone, Debug, PartialEq)]
enum Start {
    Section(String),
    Share(f64),
    /// The record was not read yet when the lesson opened.
    Unknown,
    Settled,
}

impl ReaderScreen {
    /// A lesson, at a section's heading or where the learner stopped.
    ///
    /// # Errors
    /// There is no such lesson, or its file has faults: a sentence for the status row.
    pub fn lesson(id: &str, section: Option<&str>, shared: &Shared) -> Result<Self, String> {
        let document = Document::lesson(id, shared)?;
        let place = shared.summary.lessons.iter().find(|place| Some(&place.lesson) == document.key.as_ref());
        let start = match section {
            Some(heading) => Start::Section(heading.to_string()),
            None if !shared.summary_known => Start::Unknown,
            None => Start::Share(place.map_or(0.0, |p| if p.position >= 1.0 { 0.0 } else { p.position })),
        };
        let done = place.is_some_and(|p| p.completed_at.is_some());
        Ok(Self::new(document, start, place.map_or(-1.0, |p| p.position), done))
    }

    /// A glossary entry.
    ///
    /// # Errors
    /// There is no such term.
    pub fn term(id: &str, shared: &Shared) -> Result<Self, String> {
        Ok(Self::new(Document::term(id, shared)?, Start::Share(0.0), 0.0, false))
    }

    fn new(document: Document, start: Start, kept: f64, done: bool) -> Self {
        Self {
            document,
            page: Page::default(),
            end: 0,
            size: (80, 20),
            top: 0,
            focus: None,
            note: None,
            over: Over::Nothing,
            needle: String::new(),
            matches: Vec::new(),
            match_at: None,
            start,
            kept,
            done,
        }
    }

    /// What to keep first: that the lesson was opened.
    pub fn on_open(&mut self, shared: &Shared) -> Outcome {
        if self.kept < 0.0 && self.start != Start::Unknown { self.save(shared, false) } else { Outcome::Handled }
    }

    /// What to keep when it goes out of view.
    pub fn on_leave(&mut self, _shared: &Shared) -> Vec<Effect> {
        let position = self.position();
        if (position - self.kept).abs() < 1e-9 { Vec::new() } else { self.keep(false) }
    }

    /// Whether keys are text now.
    pub fn is_typing(&self) -> bool {
        matches!(self.over, Over::Find(_))
    }

    fn height(&self) -> usize {
        usize::from(self.size.1).max(1)
    }

    fn last_top(&self) -> usize {
        self.page.lines.len().saturating_sub(self.height())
    }

    fn is_in_view(&self, line: usize) -> bool {
        (self.top..self.top + self.height()).contains(&line)
    }

    /// The first line in view when the text is read to its end.
    fn end_top(&self) -> usize {
        self.end.saturating_sub(self.height())
    }

    /// Share read, 0 to 1, without the appendix; a text that fits whole is read.
    fn position(&self) -> f64 {
        match self.end_top() {
            0 => 1.0,
            last => (self.top as f64 / last as f64).min(1.0),
        }
    }

    fn keep(&mut self, completed: bool) -> Vec<Effect> {
        let Some(lesson) = self.document.key.clone() else { return Vec::new() };
        self.kept = self.position();
        vec![Effect::SavePosition { lesson, position: self.kept, completed }]
    }

    fn save(&mut self, _shared: &Shared, completed: bool) -> Outcome {
        Outcome::Do(self.keep(completed))
    }

    fn scroll_to(&mut self, top: usize) -> Outcome {
        self.top = top.min(self.last_top());
        if let Some(focus) = self.focus {
            let line = self.page.links.get(focus).map_or(0, |link| link.line);
            if !self.is_in_view(line) {
                self.set_focus(None);
            }
        }
        if (self.position() - self.kept).abs() >= KEEP_EVERY { Outcome::Do(self.keep(false)) } else { Outcome::Handled }
    }

    fn set_focus(&mut self, focus: Option<usize>) {
        self.focus = focus;
        self.note = None;
    }

    /// Moves the cursor to another link, the nearest in view if there was none, and brings it into view.
    fn step_link(&mut self, forward: bool, shared: &Shared) -> Outcome {
        let links = &self.page.links;
        let next = match (self.focus, forward) {
            (Some(focus), true) => Some(focus + 1).filter(|f| *f < links.len()),
            (Some(focus), false) => focus.checked_sub(1),
            // At the end of a lesson what comes next is meant, not a link further up.
            (None, true) if self.top >= self.end_top() && self.end_top() > 0 => {
                let ahead = |t: &Target| matches!(t, Target::Quiz | Target::Done);
                let next = links.iter().position(|link| ahead(&link.target) && link.line >= self.top);
                next.or_else(|| links.iter().position(|link| link.line >= self.top))
            }
            (None, true) => {
                // After a search the reader looks at the match.
                let found = self.match_at.and_then(|at| self.matches.get(at)).map(Match::line);
                let from = found.filter(|line| self.is_in_view(*line)).unwrap_or(self.top);
                links.iter().position(|link| link.line >= from)
            }
            (None, false) => links.iter().rposition(|link| link.line < self.top + self.height()),
        };
        let Some(next) = next else { return Outcome::Handled };
        let line = links[next].line;
        self.set_focus(Some(next));
        if self.size.0 >= BESIDE
            && let Target::Link(LinkTarget::Term(id)) = &self.page.links[next].target
        {
            self.note = TermNote::new(id, shared).map(Box::new);
        }
        if self.is_in_view(line) {
            return Outcome::Handled;
        }
        let third = self.height() / 3;
        self.scroll_to(line.saturating_sub(third))
    }

    fn follow(&mut self, shared: &Shared) -> Outcome {
        let Some(focus) = self.focus else { return self.step_link(true, shared) };
        let Some(spot) = self.page.links.get(focus) else { return Outcome::Handled };
        match spot.target.clone() {
            Target::Link(LinkTarget::Term(id)) => {
                if self.note.is_some() {
                    return Outcome::Go(Route::Term(id));
                }
                match TermNote::new(&id, shared) {
                    Some(note) => self.over = Over::Term(Box::new(note)),
                    None => return Outcome::Notice(format!("no glossary entry `{id}` yet")),
                }
                Outcome::Handled
            }
            Target::Link(LinkTarget::Lesson(id)) => match shared.library.find_lesson(&id) {
                Some(head) => {
                    let route = Route::Lesson { id: head.id.clone(), section: None };
                    self.onward(route, shared)
                }
                None => Outcome::Notice(format!("lesson {} is still to come", id.to_uppercase())),
            },
            Target::Link(LinkTarget::Web(address)) => Outcome::Notice(format!("{address}   (osai opens no network)")),
            Target::Lab { id, params } => Outcome::Go(Route::Lab { id, lesson: self.document.lesson.clone(), params }),
            Target::Quiz => self.quiz(shared),
            Target::Done => self.mark_done(shared),
        }
    }

    /// Goes to another lesson or the quiz; from the end of a lesson that means that it is done.
    fn onward(&mut self, route: Route, shared: &Shared) -> Outcome {
        let finished = self.document.lesson.is_some() && !self.done && self.top >= self.end_top();
        if !finished {
            return Outcome::Go(route);
        }
        self.done = true;
        let orders = self.keep(true);
        self.lay_out(shared);
        Outcome::All(vec![Outcome::Do(orders), Outcome::Go(route)])
    }

    fn quiz(&mut self, shared: &Shared) -> Outcome {
        match self.document.lesson.clone() {
            Some(lesson) if self.document.questions > 0 => self.onward(Route::Quiz(lesson), shared),
            Some(_) => Outcome::Notice("this lesson has no quiz yet".into()),
            None => Outcome::Handled,
        }
    }

    fn mark_done(&mut self, shared: &Shared) -> Outcome {
        if self.document.lesson.is_none() {
            return Outcome::Handled;
        }
        if self.done {
            return Outcome::Notice("this lesson is done already".into());
        }
        self.done = true;
        let orders = self.keep(true);
        self.lay_out(shared);
        Outcome::All(vec![Outcome::Do(orders), Outcome::Notice("marked as done".into())])
    }

    fn search(&mut self, needle: &str) -> Outcome {
        self.matches = prose::find(&self.page, needle);
        self.match_at =
            self.matches.iter().position(|m| m.line() >= self.top).or((!self.matches.is_empty()).then_some(0));
        self.show_match()
    }

    fn show_match(&mut self) -> Outcome {
        let Some(found) = self.match_at.and_then(|at| self.matches.get(at)) else { return Outcome::Handled };
        let line = found.line();
        if self.is_in_view(line) {
            return Outcome::Handled;
        }
        let third = self.height() / 3;
        self.scroll_to(line.saturating_sub(third))
    }

    fn step_match(&mut self, forward: bool) -> Outcome {
        let count = self.matches.len();
        if count == 0 {
            return Outcome::Notice("nothing to find; / looks for a word".into());
        }
        let at = self.match_at.unwrap_or(0);
        self.match_at = Some(if forward { (at + 1) % count } else { (at + count - 1) % count });
        self.show_match()
    }

    fn lay_out(&mut self, shared: &Shared) {
        let columns = usize::from(self.measure());
        let before: usize = self.page.lines.iter().take(self.top).flatten().map(|p| p.text.len()).sum();
        let had_lines = !self.page.lines.is_empty();
        LaidOut { page: self.page, end: self.end } = self.document.lay_out(columns, self.done, shared);
        self.focus = self.focus.filter(|f| *f < self.page.links.len());
        if !self.matches.is_empty() {
            self.matches = prose::find(&self.page, &self.needle);
            self.match_at = self.match_at.filter(|at| *at < self.matches.len());
        }
        if had_lines && self.start == Start::Settled {
            // The same words stay at the top, whatever the new width.
            let mut read = 0;
            self.top = (self.page.lines.iter())
                .position(|line| {
                    read += line.iter().map(|p| p.text.len()).sum::<usize>();
                    read > before
                })
                .unwrap_or(0);
        }
        self.settle();
        self.top = self.top.min(self.last_top());
    }

    /// Goes to where reading starts, as soon as that is known.
    fn settle(&mut self) {
        match std::mem::replace(&mut self.start, Start::Settled) {
            Start::Section(heading) => {
                let fold = |text: &str| text.trim().to_lowercase();
                let found = self.page.headings.iter().find(|h| fold(&h.text) == fold(&heading));
                self.top = found.map_or(0, |h| h.line);
            }
            Start::Share(share) => self.top = (share.clamp(0.0, 1.0) * self.end_top() as f64).round() as usize,
            Start::Unknown => self.start = Start::Unknown,
            Start::Settled => {}
        }
    }

    /// Columns of the text.
    fn measure(&self) -> u16 {
        self.size.0.saturating_sub(4).clamp(1, MEASURE)
    }

    /// Left and right part of the first row.
    pub fn header(&self, _shared: &Shared) -> (String, String) {
        if self.document.lesson.is_none() {
            return (self.document.title.clone(), "glossary".to_string());
        }
        let headings = self.page.headings.iter().enumerate();
        let sections: Vec<usize> =
            headings.filter(|(_, h)| h.level == 2 && h.line < self.end).map(|(i, _)| i).collect();
        let here = self.page.section_at(self.top + 1);
        let now = here.map_or(0, |here| sections.iter().filter(|s| **s <= here).count()).max(1);
        let position = self.position();
        let bar = "━".repeat((position * 8.0).round() as usize);
        let percent = format!("{:.0}%", position * 100.0);
        let mark = if self.done { "✓ " } else { "" };
        (self.document.title.clone(), format!("{mark}{now} of {} · {percent}  {bar:<8}", sections.len()))
    }

    /// What keys do here now.
    pub fn bindings(&self, _shared: &Shared) -> Vec<KeyHelp> {
        match &self.over {
            Over::Find(_) => FIND_KEYS.to_vec(),
            Over::Contents(_) => CONTENTS_KEYS.to_vec(),
            Over::Term(_) => TERM_KEYS.to_vec(),
            Over::Nothing => (TABLE.iter())
                .filter(|row| match row.action {
                    Act::FindNext | Act::FindPrevious => !self.matches.is_empty(),
                    Act::Done => self.document.lesson.is_some() && !self.done,
                    Act::Quiz => self.document.questions > 0,
                    Act::NextLink | Act::PreviousLink => !self.page.links.is_empty(),
                    Act::Follow => self.focus.is_some(),
                    Act::PageDown => self.top < self.last_top(),
                    _ => true,
                })
                .map(Binding::help)
                .chain((!self.matches.is_empty()).then_some(FORGET_KEY))
                .collect(),
        }
    }

    /// Takes a key.
    pub fn on_key(&mut self, key: KeyPress, shared: &Shared) -> Outcome {
        match &mut self.over {
            Over::Find(field) => match key.key {
                Key::Esc => {
                    self.over = Over::Nothing;
                    self.matches.clear();
                    self.match_at = None;
                    Outcome::Handled
                }
                Key::Enter => {
                    self.over = Over::Nothing;
                    if self.matches.is_empty() && !self.needle.trim().is_empty() {
                        return Outcome::Notice(format!("`{}` is not on this page", self.needle.trim()));
                    }
                    Outcome::Handled
                }
                _ => match field.on_key(key) {
                    Some(true) => {
                        self.needle = field.text().to_string();
                        let needle = self.needle.clone();
                        self.search(&needle)
                    }
                    Some(false) => Outcome::Handled,
                    None => Outcome::Ignored,
                },
            },
            Over::Contents(_) => self.on_contents_key(key),
            Over::Term(note) => {
                let id = note.id.clone();
                match key.key {
                    Key::Enter => {
                        self.over = Over::Nothing;
                        Outcome::Go(Route::Term(id))
                    }
                    Key::Tab | Key::BackTab => {
                        self.over = Over::Nothing;
                        self.step_link(key.key == Key::Tab, shared)
                    }
                    Key::Esc | Key::Backspace | Key::Char('q') => {
                        self.over = Over::Nothing;
                        Outcome::Handled
                    }
                    Key::Char('?' | 't') => Outcome::Ignored,
                    _ => {
                        self.over = Over::Nothing;
                        self.on_page_key(key, shared)
                    }
                }
            }
            Over::Nothing => self.on_page_key(key, shared),
        }
    }

    fn on_contents_key(&mut self, key: KeyPress) -> Outcome {
        let Over::Contents(at) = &mut self.over else { return Outcome::Ignored };
        let last = self.page.headings.len().saturating_sub(1);
        match key.key {
            Key::Down | Key::Char('j') | Key::Tab => *at = (*at + 1).min(last),
            Key::Up | Key::Char('k') | Key::BackTab => *at = at.saturating_sub(1),
            Key::PageDown | Key::End | Key::Char('G') => *at = last,
            Key::PageUp | Key::Home | Key::Char('g') => *at = 0,
            Key::Enter => {
                let line = self.page.headings.get(*at).map_or(0, |h| h.line);
                self.over = Over::Nothing;
                return self.scroll_to(line);
            }
            Key::Esc | Key::Backspace | Key::Char('c' | 'q') => self.over = Over::Nothing,
            _ => return Outcome::Ignored,
        }
        Outcome::Handled
    }

    fn on_page_key(&mut self, key: KeyPress, shared: &Shared) -> Outcome {
        let page = self.height().saturating_sub(2).max(1);
        match keys::action(TABLE, key) {
            Some(Act::PageDown) => self.scroll_to(self.top + page),
            Some(Act::PageUp) => self.scroll_to(self.top.saturating_sub(page)),
            Some(Act::Down) => self.scroll_to(self.top + 1),
            Some(Act::Up) => self.scroll_to(self.top.saturating_sub(1)),
            Some(Act::Top) => self.scroll_to(0),
            // First to what comes next, then to the end of the appendix.
            Some(Act::End) if self.top < self.end_top() => self.scroll_to(self.end_top()),
            Some(Act::End) => self.scroll_to(usize::MAX),
            Some(Act::NextLink) => self.step_link(true, shared),
            Some(Act::PreviousLink) => self.step_link(false, shared),
            Some(Act::Follow) => self.follow(shared),
            Some(Act::Contents) => {
                self.over = Over::Contents(self.page.section_at(self.top).unwrap_or(0));
                Outcome::Handled
            }
            Some(Act::Find) => {
                self.needle.clear();
                self.matches.clear();
                self.over = Over::Find(Field::default());
                Outcome::Handled
            }
            Some(Act::FindNext) => self.step_match(true),
            Some(Act::FindPrevious) => self.step_match(false),
            Some(Act::Done) => self.mark_done(shared),
            Some(Act::Quiz) => self.quiz(shared),
            Some(Act::Back) => Outcome::Back,
            None if key.key == Key::Esc && !self.matches.is_empty() => {
                self.matches.clear();
                self.match_at = None;
                Outcome::Handled
            }
            None => Outcome::Ignored,
        }
    }

    /// Takes the mouse.
    pub fn on_mouse(&mut self, mouse: Mouse, shared: &Shared) -> Outcome {
        match mouse.action {
            MouseAction::ScrollDown => self.scroll_to(self.top + 3),
            MouseAction::ScrollUp => self.scroll_to(self.top.saturating_sub(3)),
            MouseAction::Click => self.on_click(mouse, shared),
        }
    }

    fn on_click(&mut self, mouse: Mouse, shared: &Shared) -> Outcome {
        if !matches!(self.over, Over::Nothing) {
            self.over = Over::Nothing;
            return Outcome::Handled;
        }
        let places = self.places(ratatui::layout::Rect::new(0, 0, self.size.0, self.size.1));
        if let Some(heading) = places.contents.and_then(|side| self.heading_at(side, mouse)) {
            return self.scroll_to(heading);
        }
        let text = places.text;
        let Some(column) = mouse.column.checked_sub(text.x) else { return Outcome::Handled };
        let Some(link) = self.page.link_at(self.top + usize::from(mouse.row), usize::from(column)) else {
            self.set_focus(None);
            return Outcome::Handled;
        };
        self.set_focus(Some(link));
        self.follow(shared)
    }

    /// Takes news of the record, and pasted text.
    pub fn on_event(&mut self, event: &Event, shared: &Shared) -> Outcome {
        match (event, &mut self.over) {
            (Event::Paste(text), Over::Find(field)) => {
                field.insert(text);
                self.needle = field.text().to_string();
                let needle = self.needle.clone();
                self.search(&needle)
            }
            (Event::Summary(summary), _) => {
                let place = summary.lessons.iter().find(|p| Some(&p.lesson) == self.document.key.as_ref());
                let done = place.is_some_and(|p| p.completed_at.is_some());
                if done && !self.done {
                    self.done = true;
                    self.lay_out(shared);
                }
                if self.start == Start::Unknown {
                    // Opened before the record was read: go on where the learner stopped, unless reading has begun.
                    self.start = Start::Settled;
                    if let Some(place) = place {
                        self.kept = place.position;
                        if self.top == 0 && place.position < 1.0 {
                            self.start = Start::Share(place.position);
                            self.settle();
                        }
                    } else {
                        return self.save(shared, false);
                    }
                }
                Outcome::Handled
            }
            _ => Outcome::Handled,
        }
    }

    /// Takes the size of its area.
    pub fn resize(&mut self, columns: u16, rows: u16, shared: &Shared) {
        self.size = (columns, rows);
        if columns < BESIDE {
            self.note = None;
        }
        self.lay_out(shared);
    }
}
