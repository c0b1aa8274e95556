//! Small drawing steps that clip instead of panicking, and the last sweep of a finished frame.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

use super::field::Field;
use crate::text::SafeText;
use crate::theme::Theme;

/// Columns that a text takes.
pub fn width(text: &str) -> usize {
    text.width()
}

/// Draws `text` at column `x` of row `y` inside `area` (both relative to it), clipped; returns the column after it.
pub fn put(buf: &mut Buffer, area: Rect, (x, y): (u16, u16), text: &str, style: Style) -> u16 {
    let area = area.intersection(buf.area);
    if x >= area.width || y >= area.height {
        return x;
    }
    let text = SafeText::line(text);
    let room = usize::from(area.width - x);
    let (end, _) = buf.set_stringn(area.x + x, area.y + y, text.as_str(), room, style);
    end - area.x
}

/// Draws `text` so that it ends at the right edge of `area`; returns its first column. Too long a text is cut.
pub fn put_right(buf: &mut Buffer, area: Rect, y: u16, text: &str, style: Style) -> u16 {
    let text = SafeText::line(text);
    let columns = u16::try_from(width(text.as_str())).unwrap_or(u16::MAX);
    let x = area.width.saturating_sub(columns);
    put(buf, area, (x, y), text.as_str(), style);
    x
}

/// The longest beginning of `text` that fits `columns`, with `…` at its end when something was cut.
pub fn cut(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_string();
    }
    let mut out = String::new();
    let mut used = 0;
    for grapheme in text.graphemes(true) {
        let w = width(grapheme);
        if used + w + 1 > columns {
            break;
        }
        used += w;
        out.push_str(grapheme);
    }
    if columns > 0 {
        out.truncate(out.trim_end().len());
        out.push('…');
    }
    out
}

/// A bar of `columns` columns for a share from 0 to 1, `██████░░░░`.
pub fn bar(share: f64, columns: usize) -> String {
    let share = if share.is_finite() { share.clamp(0.0, 1.0) } else { 0.0 };
    let full = (share * columns as f64).round() as usize;
    format!("{}{}", "█".repeat(full), "░".repeat(columns - full))
}

/// Blanks an area, so that what is drawn next lies over what was there.
pub fn clear(buf: &mut Buffer, area: Rect) {
    let area = area.intersection(buf.area);
    for position in area.positions() {
        if let Some(cell) = buf.cell_mut(position) {
            cell.reset();
        }
    }
}

/// A line of text being typed, with its cursor; the hint stands there while it is empty.
pub fn field(buf: &mut Buffer, area: Rect, (x, y): (u16, u16), field: &Field, hint: &str, theme: &Theme) {
    let (before, after) = field.halves();
    let room = usize::from(area.width.saturating_sub(x + 4));
    // The end of what was typed stays in view.
    let mut shown = before;
    while width(shown) > room {
        let mut rest = shown.chars();
        rest.next();
        shown = rest.as_str();
    }
    let x = put(buf, area, (x, y), "› ", theme.accent);
    let x = put(buf, area, (x, y), shown, theme.text);
    let at = put(buf, area, (x, y), "▏", theme.accent);
    if before.is_empty() && after.is_empty() {
        put(buf, area, (at, y), &cut(hint, room), theme.quiet);
    } else {
        put(buf, area, (at, y), after, theme.text);
    }
}

/// Replaces every cell whose symbol holds a control, bidirectional or invisible character.
///
/// Everything drawn has passed [`SafeText`] before; this holds for what a widget or a lab put into a cell by itself
/// (`Cell::set_symbol` passes raw escape sequences). One comparison a cell when there is nothing to mend.
pub fn sweep(buf: &mut Buffer) {
    for cell in &mut buf.content {
        let symbol = cell.symbol();
        if let [b] = symbol.as_bytes()
            && (0x20..0x7F).contains(b)
        {
            continue;
        }
        let safe = SafeText::line(symbol);
        if safe.as_str() == symbol {
            continue;
        }
        let columns = width(symbol);
        let first = safe.as_str().graphemes(true).next().filter(|g| width(g) > 0 && width(g) <= columns.max(1));
        let first = first.unwrap_or(" ").to_string();
        cell.set_symbol(&first);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_swept_frame_holds_nothing_that_could_command_the_terminal() {
        let mut buf = Buffer::empty(Rect::new(0, 0, 6, 1));
        for (x, symbol) in
            ["\u{1b}]52;c;AAAA\u{7}", "\u{202e}", "a\u{200b}", "é", "\u{9b}", "\u{e0041}"].iter().enumerate()
        {
            buf.cell_mut((x as u16, 0)).expect("inside").set_symbol(symbol);
        }
        sweep(&mut buf);
        let drawn: Vec<&str> = buf.content().iter().map(|c| c.symbol()).collect();
        assert_eq!(drawn, ["␛", " ", "a", "é", "\u{FFFD}", " "]);
    }

    #[test]
    fn drawing_outside_is_clipped() {
        let mut buf = Buffer::empty(Rect::new(0, 0, 4, 1));
        put(&mut buf, Rect::new(0, 0, 9, 9), (0, 5), "below", Style::new());
        put(&mut buf, Rect::new(2, 0, 9, 9), (0, 0), "日本語", Style::new());
        assert_eq!(put_right(&mut buf, Rect::new(0, 0, 1, 1), 0, "xyz", Style::new()), 0);
        assert_eq!(buf, Buffer::with_lines(["x 日"]));
    }

    #[test]
    fn a_cut_text_says_that_it_was_cut() {
        assert_eq!(cut("open weights", 7), "open w…");
        assert_eq!(cut("open weights", 6), "open…");
        assert_eq!(cut("日本語", 5), "日本…");
        assert_eq!(cut("x", 0), "");
    }
}
