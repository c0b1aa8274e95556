//! Copying in its plainest forms. A small model learns to read only when these are in the mix from the start.
//!
//! ```text
//! repeat   w1 w2 w3 ... w1 w2 w3 ...       plain text; the second half counts
//! copy     Copy: w1 w2 ...                 words, invented words, numbers
//! times    Repeat the word kite 3 times.   2 to 6 times
//! ```

use super::document::Document;
use super::draw::Draw;
use super::grammar::Slots;
use super::kinds::Kind;
use super::phrasing::ask;
use super::words::{PLAIN, invented, name};

/// A word to be copied.
fn word(draw: &mut Draw) -> String {
    match draw.below(10) {
        0..4 => (*draw.pick(&PLAIN)).to_owned(),
        4..6 => name(draw),
        6..8 => invented(draw),
        _ => draw.range(0, 9999).to_string(),
    }
}

fn row(words: usize, draw: &mut Draw) -> String {
    let words: Vec<String> = (0..words).map(|_| word(draw)).collect();
    words.join(" ")
}

/// A row of 6 to 24 words, then the same row.
pub fn repeat(draw: &mut Draw) -> Document {
    let words = draw.range(6, 24);
    let row = row(words, draw);
    Document::continued(Kind::Repeat, "row", &row, &row)
}

/// Gives back one to six words.
pub fn copy(draw: &mut Draw) -> Document {
    let words = draw.range(1, 6);
    let row = row(words, draw);
    let question = ask("copy", &Slots::of([("w", &row)]), draw);
    Document::asked(Kind::Copy, "words", &question, &row)
}

/// Writes a word two to six times.
pub fn times(draw: &mut Draw) -> Document {
    let (word, n) = (word(draw), draw.range(2, 6));
    let question = ask("times", &Slots::of([("w", word.as_str()), ("n", &n.to_string())]), draw);
    Document::asked(Kind::Times, "word", &question, &vec![word; n].join(" "))
}

#[cfg(test)]
mod tests {
    use super::super::draw::Split;
    use super::super::kinds::show;
    use super::*;

    #[test]
    fn three_of_each() {
        let shown = [Kind::Repeat, Kind::Copy, Kind::Times].map(|kind| show(kind, 1, Split::Train, 3));
        insta::assert_snapshot!(shown.join("\n"));
    }
}
