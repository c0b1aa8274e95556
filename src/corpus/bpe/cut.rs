//! Cutting a text before any merge, as SmolLM2's tokenizer does.
//!
//! First each digit (`\p{N}`) is cut off alone; then GPT-2's expression cuts what is left:
//!
//! ```text
//! 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
//! ```

use std::sync::LazyLock;

use regex_syntax::hir::{Class, HirKind};

/// The ranges of `\p{L}`; `char::is_alphabetic` has marks besides.
static LETTERS: LazyLock<Vec<(char, char)>> = LazyLock::new(|| {
    let parsed = regex_syntax::parse(r"\p{L}").expect("a class");
    match parsed.into_kind() {
        HirKind::Class(Class::Unicode(class)) => class.ranges().iter().map(|r| (r.start(), r.end())).collect(),
        _ => Vec::new(),
    }
});

#[derive(Clone, Copy, PartialEq)]
enum Sort {
    Letter,
    Digit,
    Space,
    Other,
}

fn sort(c: char) -> Sort {
    if c.is_ascii_alphabetic() {
        return Sort::Letter;
    }
    if c.is_numeric() {
        return Sort::Digit;
    }
    if c.is_whitespace() {
        return Sort::Space;
    }
    let at = if c.is_ascii() { 0 } else { LETTERS.partition_point(|(start, _)| *start <= c) };
    if at > 0 && c <= LETTERS[at - 1].1 { Sort::Letter } else { Sort::Other }
}

const CONTRACTIONS: [&str; 7] = ["'s", "'t", "'re", "'ve", "'m", "'ll", "'d"];

/// The pieces of a text, in order; together they are the text.
pub fn pieces(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (piece, after) = rest.split_at_checked(first_piece(rest)).filter(|(piece, _)| !piece.is_empty())?;
        rest = after;
        Some(piece)
    })
}

/// The length of a text's first piece in bytes.
fn first_piece(text: &str) -> usize {
    let mut chars = text.chars();
    let Some(first) = chars.next() else { return 0 };
    if let Some(found) = CONTRACTIONS.iter().find(|c| text.starts_with(**c)) {
        return found.len();
    }
    let run = |from: usize, wanted: Sort| {
        let end = text[from..].find(|c| sort(c) != wanted);
        end.map_or(text.len(), |at| from + at)
    };
    match sort(first) {
        Sort::Digit => first.len_utf8(),
        kind @ (Sort::Letter | Sort::Other) => run(0, kind),
        Sort::Space => match chars.next().map(sort) {
            Some(kind @ (Sort::Letter | Sort::Other)) if first == ' ' => run(1, kind),
            _ => spaces(text, run(0, Sort::Space)),
        },
    }
}

/// A run of white space up to `end`: its last character stays for the word behind it, unless nothing or a digit
/// follows (a digit was cut off before, so the run ends its stretch).
fn spaces(text: &str, end: usize) -> usize {
    let next = text[end..].chars().next();
    if next.is_none_or(|c| sort(c) == Sort::Digit) {
        return end;
    }
    let last = text[..end].chars().next_back().map_or(0, char::len_utf8);
    if end > last { end - last } else { end }
}
