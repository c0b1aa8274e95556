//! Runs of styled text to lines of a width, by what characters really take on a screen.

use ratatui::style::Style;
use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

/// A stretch of text in one style, part of a link or not. A line feed in it breaks the line.
#[derive(Clone, Debug, PartialEq)]
pub struct Piece {
    /// The text, safe to draw.
    pub text: String,
    /// How it is drawn.
    pub style: Style,
    /// Position of its link in [`super::Page::links`].
    pub link: Option<usize>,
    /// Whether it may break only at spaces (code), not after hyphens.
    pub solid: bool,
}

impl Piece {
    /// Text without a link.
    pub fn new(text: impl Into<String>, style: Style) -> Self {
        Self { text: text.into(), style, link: None, solid: false }
    }

    /// Columns.
    pub fn width(&self) -> usize {
        self.text.width()
    }
}

/// Columns that pieces take side by side.
pub fn width(pieces: &[Piece]) -> usize {
    pieces.iter().map(Piece::width).sum()
}

#[derive(Clone, Copy)]
struct Glyph<'a> {
    text: &'a str,
    width: usize,
    piece: usize,
}

impl Glyph<'_> {
    fn is_space(self) -> bool {
        self.text == " "
    }

    /// Wide scripts break between any two characters, save before closing marks.
    fn breaks_before(self) -> bool {
        self.width == 2 && !matches!(self.text, "。" | "、" | "，" | "）" | "」" | "』" | "！" | "？" | "：" | "；")
    }
}

/// Wraps pieces to lines of at most `columns`; words longer than a line are cut. An empty text gives one empty line.
pub fn wrap(pieces: &[Piece], columns: usize) -> Vec<Vec<Piece>> {
    let columns = columns.max(1);
    let mut lines = Vec::new();
    let mut line: Vec<Glyph> = Vec::new();
    let mut used = 0;
    // Glyphs of `line` that may stay when it must break.
    let mut break_at = None;
    for (index, piece) in pieces.iter().enumerate() {
        for text in piece.text.graphemes(true) {
            if text == "\n" {
                lines.push(assemble(&line, pieces));
                line.clear();
                (used, break_at) = (0, None);
                continue;
            }
            let glyph = Glyph { text, width: text.width(), piece: index };
            if line.is_empty() && glyph.is_space() {
                continue;
            }
            if glyph.breaks_before() && !line.is_empty() {
                break_at = Some(line.len());
            }
            if used + glyph.width > columns && !line.is_empty() {
                if glyph.is_space() {
                    lines.push(assemble(&line, pieces));
                    line.clear();
                    (used, break_at) = (0, None);
                    continue;
                }
                let keep = break_at.unwrap_or(line.len());
                lines.push(assemble(&line[..keep], pieces));
                let rest = line[keep..].iter().position(|g| !g.is_space()).map_or(line.len(), |at| keep + at);
                line.drain(..rest);
                used = line.iter().map(|g| g.width).sum();
                break_at = None;
            }
            line.push(glyph);
            used += glyph.width;
            let after_hyphen = !piece.solid
                && matches!(text, "-" | "–" | "—" | "/")
                && line.len() >= 3
                && line[line.len() - 2].text.chars().all(char::is_alphabetic);
            if glyph.is_space() || glyph.width == 2 || after_hyphen {
                break_at = Some(line.len());
            }
        }
    }
    if !line.is_empty() || lines.is_empty() {
        lines.push(assemble(&line, pieces));
    }
    lines
}

/// Glyphs back to pieces, without spaces at the end.
fn assemble(glyphs: &[Glyph], pieces: &[Piece]) -> Vec<Piece> {
    let end = glyphs.iter().rposition(|g| !g.is_space()).map_or(0, |at| at + 1);
    let mut out: Vec<Piece> = Vec::new();
    let mut last = usize::MAX;
    for glyph in &glyphs[..end] {
        match out.last_mut() {
            Some(piece) if last == glyph.piece => piece.text.push_str(glyph.text),
            _ => out.push(Piece { text: glyph.text.to_string(), ..like(&pieces[glyph.piece]) }),
        }
        last = glyph.piece;
    }
    out
}

fn like(piece: &Piece) -> Piece {
    Piece { text: String::new(), style: piece.style, link: piece.link, solid: piece.solid }
}

/// Columns of the longest stretch that [`wrap`] would not break by choice.
pub fn longest_word(pieces: &[Piece]) -> usize {
    let text: String = pieces.iter().map(|p| p.text.as_str()).collect();
    text.split([' ', '\n']).map(|word| word.width()).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: &str, columns: usize) -> Vec<String> {
        let pieces = [Piece::new(text, Style::new())];
        wrap(&pieces, columns).iter().map(|l| l.iter().map(|p| p.text.as_str()).collect()).collect()
    }

    #[test]
    fn lines_break_at_spaces_and_hold_no_spaces_at_the_ends() {
        assert_eq!(rows("a model that you  can keep", 10), ["a model", "that you", "can keep"]);
        assert_eq!(rows("exactly ten", 7), ["exactly", "ten"]);
        assert_eq!(rows("", 7), [""]);
    }

    #[test]
    fn long_words_are_cut_and_hyphens_break() {
        assert_eq!(rows("quantization", 5), ["quant", "izati", "on"]);
        assert_eq!(rows("an open-source model", 10), ["an open-", "source", "model"]);
        assert_eq!(rows("use --top-p now", 8), ["use", "--top-p", "now"]);
    }

    #[test]
    fn wide_characters_count_two_columns() {
        assert_eq!(rows("日本語です。", 5), ["日本", "語で", "す。"]);
        assert_eq!(rows("日", 1), ["日"]);
    }

    #[test]
    fn pieces_keep_their_style_and_link_across_lines() {
        let link = Piece { link: Some(3), ..Piece::new("open weights", Style::new()) };
        let lines = wrap(&[Piece::new("the ", Style::new()), link], 8);
        assert_eq!(lines.len(), 2);
        assert_eq!((lines[0][1].text.as_str(), lines[0][1].link), ("open", Some(3)));
        assert_eq!((lines[1][0].text.as_str(), lines[1][0].link), ("weights", Some(3)));
    }
}
