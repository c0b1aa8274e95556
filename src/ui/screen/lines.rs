//! Wrapped lines of a screen: built when the size or the state changes, drawn from any line on.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use crate::content::Inline;
use crate::text::SafeText;
use crate::theme::Theme;
use crate::ui::draw;
use crate::ui::prose::{self, Piece, wrap};

/// The part of a screen that text stands in: at most `most` columns, centred where there is more room.
pub(super) fn column(area: Rect, most: u16) -> Rect {
    let margin = if area.width >= 60 { 2 } else { 1 };
    let width = area.width.saturating_sub(2 * margin).min(most);
    Rect { x: area.x + (area.width - width) / 2, width, ..area }
}

/// Wrapped lines.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Lines {
    columns: usize,
    rows: Vec<Vec<Piece>>,
}

impl Lines {
    /// No lines yet, of at most `columns`.
    pub fn new(columns: u16) -> Self {
        Self { columns: usize::from(columns.max(1)), rows: vec![] }
    }

    /// Number of lines.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// An empty line.
    pub fn blank(&mut self) {
        self.rows.push(vec![]);
    }

    /// Text in one style, wrapped.
    pub fn text(&mut self, text: &str, style: Style) {
        self.hang("", text, style);
    }

    /// Text whose wrapped lines stand under its own beginning, behind `head`.
    pub fn hang(&mut self, head: &str, text: &str, style: Style) {
        let pieces: Vec<Piece> = SafeText::new(text).as_str().split('\n').map(|line| Piece::new(line, style)).collect();
        for (i, piece) in pieces.into_iter().enumerate() {
            let spaces = " ".repeat(draw::width(head));
            self.pieces(&Piece::new(if i == 0 { head } else { &spaces }, style), vec![piece]);
        }
    }

    /// Inline markdown behind a head.
    pub fn inline(&mut self, head: &Piece, text: &[Inline], style: Style, theme: &Theme) {
        self.pieces(head, prose::inline(text, style, theme));
    }

    /// Pieces behind a head; wrapped lines are indented by its width.
    pub fn pieces(&mut self, head: &Piece, pieces: Vec<Piece>) {
        let indent = head.width().min(self.columns / 2);
        for (i, row) in wrap(&pieces, self.columns - indent).into_iter().enumerate() {
            let mut full = vec![];
            if indent > 0 {
                full.push(if i == 0 { head.clone() } else { Piece::new(" ".repeat(indent), Style::new()) });
            }
            full.extend(row);
            self.rows.push(full);
        }
    }

    /// A left and a right part on one line; the left one is cut if there is no room for both.
    pub fn both(&mut self, left: &str, left_style: Style, right: &str, right_style: Style) {
        let right = SafeText::line(right).into_string();
        let room = self.columns.saturating_sub(draw::width(&right) + 1);
        let left = draw::cut(SafeText::line(left).as_str(), room);
        let gap = self.columns.saturating_sub(draw::width(&left) + draw::width(&right));
        self.rows.push(vec![
            Piece::new(left, left_style),
            Piece::new(" ".repeat(gap), Style::new()),
            Piece::new(right, right_style),
        ]);
    }

    /// Draws from line `top` on; what does not fit is left out.
    pub fn draw(&self, area: Rect, buf: &mut Buffer, top: usize) {
        for (y, row) in (0..area.height).zip(self.rows.iter().skip(top)) {
            let mut x = 0;
            for piece in row {
                x = draw::put(buf, area, (x, y), &piece.text, piece.style);
            }
        }
    }

    /// Draws so that the last line is at the foot of the area; gives the rows used.
    pub fn draw_at_foot(&self, area: Rect, buf: &mut Buffer) -> u16 {
        let rows = (self.rows.len() as u16).min(area.height);
        self.draw(Rect { y: area.y + area.height - rows, height: rows, ..area }, buf, 0);
        rows
    }
}
