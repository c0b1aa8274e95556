//! The glossary: a list that narrows while you type, and the entry beside it.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::reader::term_blocks;
use super::{Outcome, Route, Shared};
use crate::labs::{Key, KeyHelp, KeyPress};
use crate::text::SafeText;
use crate::ui::draw;
use crate::ui::event::{Event, Mouse, MouseAction};
use crate::ui::field::Field;
use crate::ui::keys::{self, Binding};
use crate::ui::prose::{self, Page, Piece, wrap};

/// From this width on the entry stands beside the list.
const BESIDE: u16 = 70;

#[derive(Clone, Copy, Debug)]
enum Act {
    Move,
    Open,
}

const TABLE: &[Binding<Act>] = &[
    Binding {
        presses: &[
            KeyPress::plain(Key::Down),
            KeyPress::plain(Key::Up),
            KeyPress::plain(Key::PageDown),
            KeyPress::plain(Key::PageUp),
            KeyPress::plain(Key::Tab),
            KeyPress::plain(Key::BackTab),
        ],
        keys: "↑↓",
        what: "move",
        action: Act::Move,
    },
    Binding { presses: &[KeyPress::plain(Key::Enter)], keys: "enter", what: "whole entry", action: Act::Open },
];

/// The glossary.
#[derive(Debug)]
pub struct GlossaryScreen {
    query: Field,
    /// Positions in the glossary's heads, best first.
    hits: Vec<usize>,
    selected: usize,
    top: usize,
    size: (u16, u16),
    /// The entry under the cursor, laid out.
    entry: Page,
}

impl GlossaryScreen {
    /// The glossary, with a query typed already.
    pub fn new(query: &str, shared: &Shared) -> Self {
        let mut screen = Self {
            query: Field::new(query),
            hits: Vec::new(),
            selected: 0,
            top: 0,
            size: (80, 20),
            entry: Page::default(),
        };
        screen.look(shared);
        screen
    }

    fn look(&mut self, shared: &Shared) {
        self.hits = shared.library.glossary().fuzzy(self.query.text().trim());
        self.top = 0;
        self.select(0, shared);
    }

    fn is_beside(&self) -> bool {
        self.size.0 >= BESIDE
    }

    fn list_width(&self) -> u16 {
        if self.is_beside() { (self.size.0 * 3 / 8).clamp(26, 44) } else { self.size.0 }
    }

    /// Rows of the list.
    fn rows(&self) -> usize {
        let entry = if self.is_beside() { 0 } else { 6 };
        usize::from(self.size.1.saturating_sub(2 + entry)).max(1)
    }

    fn entry_width(&self) -> usize {
        let columns =
            if self.is_beside() { self.size.0 - self.list_width() - 4 } else { self.size.0.saturating_sub(4) };
        usize::from(columns).min(72)
    }

    fn select(&mut self, to: usize, shared: &Shared) {
        self.selected = to.min(self.hits.len().saturating_sub(1));
        self.top = self.top.min(self.selected).max((self.selected + 1).saturating_sub(self.rows()));
        let term = self.id(shared).and_then(|id| shared.library.glossary().term(&id));
        self.entry = match term {
            Some(term) if self.is_beside() => {
                prose::layout(&term_blocks(&term, shared), self.entry_width(), &shared.theme)
            }
            Some(term) => {
                let text = Piece::new(SafeText::line(term.short).into_string(), shared.theme.text);
                Page { lines: wrap(&[text], self.entry_width()), ..Page::default() }
            }
            None => Page::default(),
        };
    }

    fn id(&self, shared: &Shared) -> Option<String> {
        let head = shared.library.glossary().heads().get(*self.hits.get(self.selected)?)?;
        Some(head.id.clone())
    }

    fn open(&self, shared: &Shared) -> Outcome {
        self.id(shared).map_or(Outcome::Handled, |id| Outcome::Go(Route::Term(id)))
    }

    /// Left and right part of the first row.
    pub fn header(&self, shared: &Shared) -> (String, String) {
        let all = shared.library.glossary().heads().len();
        let count =
            if self.hits.len() == all { format!("{all} terms") } else { format!("{} of {all} terms", self.hits.len()) };
        ("Glossary".into(), count)
    }

    /// What keys do here now.
    pub fn bindings(&self, _shared: &Shared) -> Vec<KeyHelp> {
        if self.hits.is_empty() { Vec::new() } else { TABLE.iter().map(Binding::help).collect() }
    }

    /// Takes a key.
    pub fn on_key(&mut self, key: KeyPress, shared: &Shared) -> Outcome {
        match keys::action(TABLE, key) {
            Some(Act::Move) => self.select(keys::moved(key.key, self.selected, self.rows()), shared),
            Some(Act::Open) => return self.open(shared),
            None => match self.query.on_key(key) {
                Some(true) => self.look(shared),
                Some(false) => {}
                None => return Outcome::Ignored,
            },
        }
        Outcome::Handled
    }

    /// Takes the mouse.
    pub fn on_mouse(&mut self, mouse: Mouse, shared: &Shared) -> Outcome {
        match mouse.action {
            MouseAction::ScrollDown => self.select(self.selected + 1, shared),
            MouseAction::ScrollUp => self.select(self.selected.saturating_sub(1), shared),
            MouseAction::Click => {
                let row = usize::from(mouse.row);
                let hit = self.top + row.saturating_sub(2);
                let in_list = row >= 2 && row < 2 + self.rows() && mouse.column < self.list_width();
                if in_list && hit == self.selected || !in_list && row >= 2 {
                    return self.open(shared);
                }
                if in_list && hit < self.hits.len() {
                    self.select(hit, shared);
                }
            }
        }
        Outcome::Handled
    }

    /// Takes pasted text.
    pub fn on_event(&mut self, event: &Event, shared: &Shared) -> Outcome {
        if let Event::Paste(text) = event {
            self.query.insert(text);
            self.look(shared);
        }
        Outcome::Handled
    }

    /// Takes the size of its area.
    pub fn resize(&mut self, columns: u16, rows: u16, shared: &Shared) {
        self.size = (columns, rows);
        self.select(self.selected, shared);
    }

    /// Draws.
    pub fn view(&self, area: Rect, buf: &mut Buffer, shared: &Shared) {
        let theme = &shared.theme;
        let heads = shared.library.glossary().heads();
        draw::field(buf, area, (2, 0), &self.query, "type to find a term", theme);
        let width = self.list_width().min(area.width);
        let list = Rect { width, ..area };
        for (row, (index, hit)) in self.hits.iter().enumerate().skip(self.top).take(self.rows()).enumerate() {
            let (selected, y) = (index == self.selected, 2 + row as u16);
            let Some(head) = heads.get(*hit) else { continue };
            draw::put(buf, list, (2, y), if selected { "▸" } else { " " }, theme.accent);
            let title = draw::cut(SafeText::line(head.title.as_str()).as_str(), usize::from(width).saturating_sub(5));
            draw::put(buf, list, (4, y), &title, if selected { theme.accent.patch(theme.strong) } else { theme.text });
        }
        if self.hits.is_empty() {
            let text = "No term is near. The search (/ at home) looks into whole texts.";
            for (y, line) in
                wrap(&[Piece::new(text, theme.quiet)], usize::from(area.width.saturating_sub(4))).iter().enumerate()
            {
                draw::put(buf, area, (2, 2 + y as u16), line.first().map_or("", |p| &p.text), theme.quiet);
            }
            return;
        }
        if self.is_beside() {
            for y in 2..area.height {
                draw::put(buf, area, (width, y), "│", theme.quiet);
            }
            let x = area.x.saturating_add(width + 2);
            let room = area.width.saturating_sub(width + 3).min(self.entry_width() as u16);
            let entry = Rect { x, y: area.y + 2.min(area.height), width: room, height: area.height.saturating_sub(2) };
            self.entry.draw(buf, entry, 0, None, &[], theme);
            if self.entry.lines.len() > usize::from(entry.height) && entry.height > 0 {
                let last = Rect { y: entry.bottom() - 1, height: 1, ..entry };
                draw::clear(buf, last);
                draw::put(buf, last, (0, 0), "… enter opens the whole entry", theme.quiet);
            }
        } else {
            let y = area.y + area.height.saturating_sub(5);
            let entry = Rect { x: area.x + 2, y, width: area.width.saturating_sub(4), height: area.height.min(5) };
            self.entry.draw(buf, entry, 0, None, &[], theme);
        }
    }
}
