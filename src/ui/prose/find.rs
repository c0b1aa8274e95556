//! Search in a page: matches may run over the end of a line, as phrases do.

use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

use super::Page;

/// One match: the stretches it covers, `(line, first column, column after)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Match(pub Vec<(usize, usize, usize)>);

impl Match {
    /// The line where it begins.
    pub fn line(&self) -> usize {
        self.0.first().map_or(0, |part| part.0)
    }
}

/// A character of the page with its place; white space of any length, line ends too, is one space.
struct Placed {
    folded: String,
    line: usize,
    from: usize,
    to: usize,
}

/// All matches of `needle` in the page, case ignored; none for a blank needle.
pub fn find(page: &Page, needle: &str) -> Vec<Match> {
    let needle: Vec<String> = squeeze(needle.trim()).graphemes(true).map(str::to_lowercase).collect();
    if needle.is_empty() {
        return Vec::new();
    }
    let mut text: Vec<Placed> = Vec::new();
    for (line, pieces) in page.lines.iter().enumerate() {
        let mut column = 0;
        for grapheme in pieces.iter().flat_map(|p| p.text.graphemes(true)) {
            let to = column + grapheme.width();
            push(&mut text, Placed { folded: grapheme.to_lowercase(), line, from: column, to });
            column = to;
        }
        push(&mut text, Placed { folded: " ".into(), line, from: column, to: column });
    }
    let mut matches = Vec::new();
    let mut at = 0;
    while at + needle.len() <= text.len() {
        let window = &text[at..at + needle.len()];
        if window.iter().map(|p| &p.folded).eq(needle.iter()) {
            matches.push(Match(parts(window)));
            at += needle.len();
        } else {
            at += 1;
        }
    }
    matches
}

fn push(text: &mut Vec<Placed>, placed: Placed) {
    let blank = |p: &Placed| p.folded == " ";
    if blank(&placed) && text.last().is_none_or(blank) {
        return;
    }
    text.push(placed);
}

fn parts(window: &[Placed]) -> Vec<(usize, usize, usize)> {
    let mut parts: Vec<(usize, usize, usize)> = Vec::new();
    for placed in window {
        match parts.last_mut() {
            Some(part) if part.0 == placed.line => part.2 = placed.to,
            _ => parts.push((placed.line, placed.from, placed.to)),
        }
    }
    parts
}

fn squeeze(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
