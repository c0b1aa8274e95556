//! Drawing the reader: the text, what stands beside it, what lies over it.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::document::TermNote;
use super::{BESIDE, BOTH_SIDES, Over, ReaderScreen};
use crate::theme::Theme;
use crate::ui::app::{framed, panel};
use crate::ui::draw;
use crate::ui::event::Mouse;
use crate::ui::prose::{Piece, wrap};
use crate::ui::screen::Shared;

/// Columns beside the text.
const SIDE: u16 = 32;

/// Where things stand in an area.
pub(super) struct Places {
    pub(super) text: Rect,
    /// The contents, on wide screens.
    pub(super) contents: Option<Rect>,
    /// The note of a term, on wide screens.
    note: Option<Rect>,
}

impl ReaderScreen {
    pub(super) fn places(&self, area: Rect) -> Places {
        let measure = self.measure().min(area.width);
        let centred = Rect { x: area.x + (area.width - measure) / 2, width: measure, ..area };
        if area.width >= BOTH_SIDES {
            let contents = Rect { x: centred.x.saturating_sub(SIDE + 4), width: SIDE, ..area };
            let note = Rect { x: centred.right() + 4, width: SIDE, ..area };
            return Places { text: centred, contents: Some(contents), note: Some(note) };
        }
        if area.width >= BESIDE {
            let whole = measure + 4 + SIDE;
            let text = Rect { x: area.x + area.width.saturating_sub(whole) / 2, ..centred };
            let side =
                Rect { x: text.right() + 4, width: SIDE.min(area.right().saturating_sub(text.right() + 4)), ..area };
            let half = side.height / 2;
            let contents = Rect { height: half, ..side };
            let note = Rect { y: side.y + half, height: side.height - half, ..side };
            return Places { text, contents: Some(contents), note: Some(note) };
        }
        Places { text: centred, contents: None, note: None }
    }

    /// The line of the heading that a click in the contents meant.
    pub(super) fn heading_at(&self, side: Rect, mouse: Mouse) -> Option<usize> {
        if !side.contains(ratatui::layout::Position::new(mouse.column, mouse.row)) {
            return None;
        }
        let row = usize::from(mouse.row.checked_sub(side.y + 1)?);
        let heading = self.page.headings.get(self.contents_from(side.height) + row)?;
        Some(heading.line)
    }

    /// The first heading shown in contents of a height: the section being read stays in view.
    fn contents_from(&self, height: u16) -> usize {
        let rows = usize::from(height.saturating_sub(1)).max(1);
        let here = self.page.section_at(self.top).unwrap_or(0);
        let last = self.page.headings.len().saturating_sub(rows);
        here.saturating_sub(rows / 2).min(last)
    }

    /// Draws.
    pub fn view(&self, area: Rect, buf: &mut Buffer, shared: &Shared) {
        let theme = &shared.theme;
        let area = area.intersection(buf.area);
        let places = self.places(area);
        self.page.draw(buf, places.text, self.top, self.focus, &self.matches, theme);
        self.view_match(places.text, buf, theme);
        if let Some(side) = places.contents {
            self.view_contents(side, buf, theme);
        }
        if let (Some(side), Some(note)) = (places.note, &self.note) {
            view_note(note, side, buf, theme);
        }
        match &self.over {
            Over::Nothing => {}
            Over::Find(field) => {
                let row = Rect { y: area.bottom().saturating_sub(1), height: area.height.min(1), ..area };
                draw::clear(buf, row);
                draw::field(buf, row, (places.text.x - area.x, 0), field, "find in this page", theme);
                let count = match (self.match_at, self.matches.len()) {
                    (_, 0) if field.text().trim().is_empty() => String::new(),
                    (Some(at), n) if n > 0 => format!("{} of {n}", at + 1),
                    _ => "not on this page".to_string(),
                };
                draw::put_right(buf, Rect { width: row.width.saturating_sub(2), ..row }, 0, &count, theme.quiet);
            }
            Over::Contents(at) => self.view_contents_panel(*at, area, buf, theme),
            Over::Term(note) => self.view_popup(note, places.text, area, buf, theme),
        }
    }

    /// The match in turn is told from the others by its underline.
    fn view_match(&self, text: Rect, buf: &mut Buffer, theme: &Theme) {
        let Some(found) = self.match_at.and_then(|at| self.matches.get(at)) else { return };
        for (line, from, to) in &found.0 {
            if (self.top..self.top + usize::from(text.height)).contains(line) {
                let row = Rect {
                    x: text.x.saturating_add(*from as u16),
                    y: text.y + (line - self.top) as u16,
                    width: (to - from) as u16,
                    height: 1,
                };
                buf.set_style(row.intersection(text), theme.found.add_modifier(ratatui::style::Modifier::UNDERLINED));
            }
        }
    }

    fn view_contents(&self, side: Rect, buf: &mut Buffer, theme: &Theme) {
        draw::put(buf, side, (0, 0), "Contents", theme.quiet);
        let here = self.page.section_at(self.top);
        let from = self.contents_from(side.height);
        let rows = usize::from(side.height.saturating_sub(1));
        for (row, (index, heading)) in self.page.headings.iter().enumerate().skip(from).take(rows).enumerate() {
            let y = 1 + row as u16;
            let now = here == Some(index);
            let indent = 2 + 2 * u16::from(heading.level.saturating_sub(2));
            draw::put(buf, side, (0, y), if now { "▸" } else { " " }, theme.accent);
            let title = draw::cut(&heading.text, usize::from(side.width.saturating_sub(indent)));
            draw::put(buf, side, (indent, y), &title, if now { theme.text } else { theme.quiet });
        }
    }

    fn view_contents_panel(&self, at: usize, area: Rect, buf: &mut Buffer, theme: &Theme) {
        let widest = self.page.headings.iter().map(|h| draw::width(&h.text)).max().unwrap_or(0) as u16;
        let wanted = Rect::new(0, 0, widest.saturating_add(10), self.page.headings.len() as u16 + 2);
        let inner = panel(buf, area, wanted, "contents", "enter goes there", theme);
        let rows = usize::from(inner.height);
        let from = at.saturating_sub(rows / 2).min(self.page.headings.len().saturating_sub(rows));
        for (row, (index, heading)) in self.page.headings.iter().enumerate().skip(from).take(rows).enumerate() {
            let (y, selected) = (row as u16, index == at);
            let indent = 3 + 2 * u16::from(heading.level.saturating_sub(2));
            draw::put(buf, inner, (1, y), if selected { "▸" } else { " " }, theme.accent);
            let title = draw::cut(&heading.text, usize::from(inner.width.saturating_sub(indent)));
            draw::put(buf, inner, (indent, y), &title, if selected { theme.strong } else { theme.text });
        }
    }

    /// The term under the link that was followed, or over it when there is no room below.
    fn view_popup(&self, note: &TermNote, text: Rect, area: Rect, buf: &mut Buffer, theme: &Theme) {
        let columns = text.width.min(area.width).max(4);
        let inside = usize::from(columns.saturating_sub(4)).max(1);
        let mut lines = wrap(&[Piece::new(note.short.clone(), theme.text)], inside);
        if !note.related.is_empty() {
            lines.push(vec![]);
            let see = [Piece::new("See also: ", theme.quiet), Piece::new(note.related.clone(), theme.quiet)];
            lines.extend(wrap(&see, inside).into_iter().take(2));
        }
        let height = (lines.len() as u16 + 2).min(area.height);
        let line = self.focus.and_then(|f| self.page.links.get(f)).map_or(self.top, |link| link.line);
        let row = area.y + line.saturating_sub(self.top).min(usize::from(area.height)) as u16;
        let y = if row + 1 + height <= area.bottom() { row + 1 } else { row.saturating_sub(height).max(area.y) };
        let place = Rect { x: text.x, y, width: columns, height };
        let inner = framed(buf, place, &note.title, "term", theme);
        for (y, line) in lines.iter().take(usize::from(inner.height)).enumerate() {
            let mut x = 1;
            for piece in line {
                x = draw::put(buf, inner, (x, y as u16), &piece.text, piece.style);
            }
        }
    }
}

fn view_note(note: &TermNote, side: Rect, buf: &mut Buffer, theme: &Theme) {
    let columns = usize::from(side.width);
    let mut lines = wrap(&[Piece::new(note.title.clone(), theme.strong)], columns);
    lines.extend(wrap(&[Piece::new(note.short.clone(), theme.text)], columns));
    if !note.related.is_empty() {
        lines.push(vec![]);
        lines.extend(wrap(&[Piece::new(format!("See also: {}", note.related), theme.quiet)], columns));
    }
    lines.push(vec![]);
    lines.push(vec![Piece::new("enter whole entry", theme.quiet)]);
    for (y, line) in lines.iter().take(usize::from(side.height)).enumerate() {
        let mut x = 0;
        for piece in line {
            x = draw::put(buf, side, (x, y as u16), &piece.text, piece.style);
        }
    }
}
