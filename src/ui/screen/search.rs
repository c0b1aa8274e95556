//! Search: words over lessons and terms, with excerpts.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::{Outcome, Route, Shared};
use crate::content::{Hit, HitKind};
use crate::labs::{Key, KeyHelp, KeyPress};
use crate::text::SafeText;
use crate::ui::draw;
use crate::ui::event::{Event, Mouse, MouseAction};
use crate::ui::field::Field;
use crate::ui::keys::{self, Binding};
use crate::ui::prose::{Piece, wrap};

/// At most this many hits are shown; who needs more needs another word.
const LIMIT: usize = 30;
/// Rows of a hit: title, excerpt, a free one.
const HIT_ROWS: usize = 4;

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
    Binding { presses: &[KeyPress::plain(Key::Enter)], keys: "enter", what: "open", action: Act::Open },
];

/// Search.
#[derive(Debug)]
pub struct SearchScreen {
    words: Field,
    hits: Vec<Hit>,
    selected: usize,
    top: usize,
    size: (u16, u16),
}

impl SearchScreen {
    /// Search, with words typed already.
    pub fn new(words: &str, shared: &Shared) -> Self {
        let mut screen = Self { words: Field::new(words), hits: Vec::new(), selected: 0, top: 0, size: (80, 20) };
        screen.look(shared);
        screen
    }

    fn look(&mut self, shared: &Shared) {
        let words = self.words.text().trim();
        self.hits = if words.is_empty() { Vec::new() } else { shared.library.search(words, LIMIT) };
        (self.selected, self.top) = (0, 0);
    }

    /// How many hits are in view at once.
    fn page(&self) -> usize {
        (usize::from(self.size.1).saturating_sub(3) / HIT_ROWS).max(1)
    }

    fn select(&mut self, to: usize) {
        self.selected = to.min(self.hits.len().saturating_sub(1));
        self.top = self.top.min(self.selected).max((self.selected + 1).saturating_sub(self.page()));
    }

    fn open(&self) -> Outcome {
        let Some(hit) = self.hits.get(self.selected) else { return Outcome::Handled };
        Outcome::Go(match hit.kind {
            HitKind::Term => Route::Term(hit.id.clone()),
            HitKind::Lesson => Route::Lesson { id: hit.id.clone(), section: None },
        })
    }

    /// Left and right part of the first row.
    pub fn header(&self, _shared: &Shared) -> (String, String) {
        let count = match self.hits.len() {
            0 => String::new(),
            LIMIT => format!("the best {LIMIT}"),
            1 => "1 place".to_string(),
            n => format!("{n} places"),
        };
        ("Search".into(), count)
    }

    /// What keys do here now.
    pub fn bindings(&self, _shared: &Shared) -> Vec<KeyHelp> {
        if self.hits.is_empty() { Vec::new() } else { TABLE.iter().map(Binding::help).collect() }
    }

    /// Takes a key.
    pub fn on_key(&mut self, key: KeyPress, shared: &Shared) -> Outcome {
        match keys::action(TABLE, key) {
            Some(Act::Move) => self.select(keys::moved(key.key, self.selected, self.page())),
            Some(Act::Open) => return self.open(),
            None => match self.words.on_key(key) {
                Some(true) => self.look(shared),
                Some(false) => {}
                None => return Outcome::Ignored,
            },
        }
        Outcome::Handled
    }

    /// Takes the mouse.
    pub fn on_mouse(&mut self, mouse: Mouse, _shared: &Shared) -> Outcome {
        match mouse.action {
            MouseAction::ScrollDown => self.select(self.selected + 1),
            MouseAction::ScrollUp => self.select(self.selected.saturating_sub(1)),
            MouseAction::Click => {
                let hit = self.top + usize::from(mouse.row).saturating_sub(2) / HIT_ROWS;
                if mouse.row >= 2 && hit < self.hits.len() {
                    self.selected = hit;
                    return self.open();
                }
            }
        }
        Outcome::Handled
    }

    /// Takes pasted text.
    pub fn on_event(&mut self, event: &Event, shared: &Shared) -> Outcome {
        if let Event::Paste(text) = event {
            self.words.insert(text);
            self.look(shared);
        }
        Outcome::Handled
    }

    /// Takes the size of its area.
    pub fn resize(&mut self, columns: u16, rows: u16, _shared: &Shared) {
        self.size = (columns, rows);
        self.select(self.selected);
    }

    /// Draws.
    pub fn view(&self, area: Rect, buf: &mut Buffer, shared: &Shared) {
        let theme = &shared.theme;
        draw::field(buf, area, (2, 0), &self.words, "words to look for", theme);
        if self.hits.is_empty() {
            let text = match self.words.text().trim() {
                "" => "In lessons and in the glossary.",
                _ => {
                    "Nothing has these words. Fewer or other words find more; the glossary (g at home) forgives misspellings."
                }
            };
            for (y, line) in
                wrap(&[Piece::new(text, theme.quiet)], usize::from(area.width.saturating_sub(4))).iter().enumerate()
            {
                draw::put(buf, area, (2, 2 + y as u16), line.first().map_or("", |p| &p.text), theme.quiet);
            }
        }
        let list = Rect { x: area.x, width: area.width.min(90), ..area };
        for (place, (index, hit)) in self.hits.iter().enumerate().skip(self.top).take(self.page()).enumerate() {
            let y = (2 + place * HIT_ROWS) as u16;
            let selected = index == self.selected;
            draw::put(buf, list, (2, y), if selected { "▸" } else { " " }, theme.accent);
            let (kind, title) = match hit.kind {
                HitKind::Term => ("term", hit.title.clone()),
                HitKind::Lesson => ("lesson", format!("{}  {}", hit.id.to_uppercase(), hit.title)),
            };
            let room = usize::from(list.width).saturating_sub(14);
            draw::put(buf, list, (4, y), &draw::cut(&title, room), if selected { theme.accent } else { theme.strong });
            draw::put_right(buf, Rect { width: list.width.saturating_sub(2), ..list }, y, kind, theme.quiet);
            let excerpt = Piece::new(SafeText::line(hit.excerpt.as_str()).into_string(), theme.text);
            for (row, line) in wrap(&[excerpt], usize::from(list.width.saturating_sub(6))).iter().take(2).enumerate() {
                draw::put(buf, list, (4, y + 1 + row as u16), line.first().map_or("", |p| &p.text), theme.text);
            }
        }
    }
}
