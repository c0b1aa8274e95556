//! What several labs draw: pieces of text, wrapped runs, bars.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

use crate::engine::TextToken;
use crate::text::SafeText;

/// A token as one visible piece: spaces as `·`, line feeds as `↵`, tabs as `→`, bytes that are no whole character as
/// `<E2>`.
pub fn piece(token: &TextToken) -> String {
    visible(&token.bytes, "·", "↵", "→")
}

/// A token between quotes, as in ` " Paris"`; spaces stay spaces.
pub fn quoted(token: &TextToken) -> String {
    format!("\"{}\"", visible(&token.bytes, " ", "\\n", "\\t"))
}

fn visible(bytes: &[u8], space: &str, line: &str, tab: &str) -> String {
    let mut out = String::new();
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                ' ' => out.push_str(space),
                '\n' => out.push_str(line),
                '\t' => out.push_str(tab),
                c => out.push(c),
            }
        }
        for byte in chunk.invalid() {
            out.push_str(&format!("<{byte:02X}>"));
        }
    }
    SafeText::line(out).into_string()
}

/// A horizontal bar for a share between 0 and 1, in eighths of a cell; more than nothing is never drawn as nothing.
pub fn bar(share: f64, width: usize) -> String {
    let share = if share.is_finite() { share.clamp(0.0, 1.0) } else { 0.0 };
    let eighths = (share * width as f64 * 8.0).round() as usize;
    let eighths = if share > 0.0 { eighths.max(1) } else { 0 };
    let mut out = "█".repeat(eighths / 8);
    if eighths % 8 > 0 {
        out.push(['▏', '▎', '▍', '▌', '▋', '▊', '▉'][eighths % 8 - 1]);
    }
    out
}

/// Cuts `text` to `width` columns, with `…` when something was cut, and fills it up with spaces.
pub fn fit(text: &str, width: usize) -> String {
    if text.width() <= width {
        return format!("{text}{}", " ".repeat(width - text.width()));
    }
    let mut out = String::new();
    let mut used = 0;
    for grapheme in text.graphemes(true) {
        if used + grapheme.width() + 1 > width {
            break;
        }
        used += grapheme.width();
        out.push_str(grapheme);
    }
    if width > 0 {
        out.push('…');
        used += 1;
    }
    out.push_str(&" ".repeat(width.saturating_sub(used)));
    out
}

/// Wraps styled runs at `width` columns: between words where there is a space, else between graphemes; line feeds end
/// lines. Always gives at least one line.
pub fn flow(runs: &[(String, Style)], width: u16) -> Vec<Line<'static>> {
    let width = usize::from(width.max(1));
    let mut lines = vec![];
    let mut row: Vec<(&str, Style)> = vec![];
    let mut used = 0;
    // Number of graphemes in `row` up to and with the last space: where it may be parted.
    let mut part = 0;
    for (text, style) in runs {
        for grapheme in text.graphemes(true) {
            if grapheme == "\n" {
                lines.push(joined(&row));
                (row, used, part) = (vec![], 0, 0);
                continue;
            }
            let columns = grapheme.width();
            if used + columns > width && !row.is_empty() {
                if grapheme == " " && style.bg.is_none() && style.add_modifier.is_empty() {
                    // A plain space at the edge ends the line and is not drawn.
                    lines.push(joined(&row));
                    (row, used, part) = (vec![], 0, 0);
                    continue;
                }
                let rest = row.split_off(if part > 0 { part } else { row.len() });
                lines.push(joined(&row));
                row = rest;
                used = row.iter().map(|(g, _)| g.width()).sum();
                part = 0;
            }
            row.push((grapheme, *style));
            used += columns;
            if grapheme == " " {
                part = row.len();
            }
        }
    }
    lines.push(joined(&row));
    lines
}

fn joined(row: &[(&str, Style)]) -> Line<'static> {
    let mut spans: Vec<Span<'static>> = vec![];
    for (grapheme, style) in row {
        match spans.last_mut() {
            Some(last) if last.style == *style => last.content.to_mut().push_str(grapheme),
            _ => spans.push(Span::styled((*grapheme).to_string(), *style)),
        }
    }
    Line::from(spans)
}

/// Wraps text in one style.
pub fn wrap(text: &str, width: u16, style: Style) -> Vec<Line<'static>> {
    flow(&[(SafeText::new(text).into_string(), style)], width)
}

/// Draws lines from the top of an area; what does not fit is left out. Gives the number of rows used.
pub fn draw_lines(lines: &[Line<'_>], area: Rect, buf: &mut Buffer) -> u16 {
    let area = area.intersection(buf.area);
    let rows = lines.len().min(usize::from(area.height)) as u16;
    for (row, line) in (0..rows).zip(lines) {
        buf.set_line(area.x, area.y + row, line, area.width);
    }
    rows
}

/// The text of lines, without styles.
pub fn plain_lines(lines: &[Line<'_>]) -> Vec<String> {
    lines.iter().map(|line| line.spans.iter().map(|span| span.content.as_ref()).collect()).collect()
}

/// The lower part of an area, `rows` down.
pub fn below(area: Rect, rows: u16) -> Rect {
    let rows = rows.min(area.height);
    Rect { y: area.y + rows, height: area.height - rows, ..area }
}

/// The first `rows` of an area.
pub fn top(area: Rect, rows: u16) -> Rect {
    Rect { height: rows.min(area.height), ..area }
}

/// A number with commas between thousands: `49,152`.
pub fn thousands(number: usize) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out
}

/// `1 token`, `2 tokens`.
pub fn count(number: usize, thing: &str) -> String {
    format!("{} {thing}{}", thousands(number), if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrapped(text: &str, width: u16) -> Vec<String> {
        plain_lines(&wrap(text, width, Style::new()))
    }

    #[test]
    fn text_wraps_between_words_and_long_words_are_parted() {
        assert_eq!(wrapped("one two three", 7), ["one two", "three"]);
        assert_eq!(wrapped("aaaaaaaaaa", 4), ["aaaa", "aaaa", "aa"]);
        assert_eq!(wrapped("a\n\nb", 4), ["a", "", "b"]);
        assert_eq!(wrapped("", 4), [""]);
    }

    #[test]
    fn wide_characters_take_two_columns() {
        assert_eq!(wrapped("日本語", 5), ["日本", "語"]);
        assert_eq!(fit("日本語", 5), "日本…");
    }

    #[test]
    fn a_piece_shows_spaces_and_broken_bytes() {
        let token = |bytes: &[u8]| TextToken { id: 0, bytes: bytes.to_vec(), special: false };
        assert_eq!(piece(&token(b" the")), "·the");
        assert_eq!(piece(&token(&[0xF0, 0x9F])), "<F0><9F>");
        assert_eq!(quoted(&token(b" a\n")), "\" a\\n\"");
        assert_eq!(piece(&token(b"\x1b[31m")), "␛[31m");
    }

    #[test]
    fn a_bar_never_hides_a_small_share() {
        assert_eq!(bar(0.001, 10), "▏");
        assert_eq!(bar(0.0, 10), "");
        assert_eq!(bar(0.5, 3), "█▌");
        assert_eq!(bar(f64::NAN, 3), "");
    }

    #[test]
    fn thousands_are_parted() {
        assert_eq!((thousands(49152), thousands(7), thousands(100)), ("49,152".into(), "7".into(), "100".into()));
    }
}
