//! Putting in order and comparing.
//!
//! ```text
//! sort      2 to 4 words by the alphabet, 2 to 5 numbers from small to large; commas between, as given
//! compare   the larger or smaller of two numbers below 1,000; the longer of two words, two letters apart at least
//! ```

use super::document::Document;
use super::draw::Draw;
use super::grammar::Slots;
use super::kinds::Kind;
use super::phrasing::ask;
use super::words::PLAIN;

/// Words or numbers in order.
pub fn sort(draw: &mut Draw) -> Document {
    let (skill, given, sorted) = if draw.chance(60) {
        let n = draw.range(2, 4);
        // Different first letters: the alphabet is the task, not the second letter.
        let mut words: Vec<&str> = Vec::new();
        while words.len() < n {
            let word = *draw.pick(&PLAIN);
            if words.iter().all(|other| other.as_bytes()[0] != word.as_bytes()[0]) {
                words.push(word);
            }
        }
        let given = words.join(", ");
        words.sort_unstable();
        ("sort-words", given, words.join(", "))
    } else {
        let n = draw.range(2, 5);
        let mut numbers = draw.distinct(n, |draw| draw.range(1, 99));
        let row = |numbers: &[usize]| numbers.iter().map(usize::to_string).collect::<Vec<_>>().join(", ");
        let given = row(&numbers);
        numbers.sort_unstable();
        ("sort-numbers", given, row(&numbers))
    };
    let question = ask(skill, &Slots::of([("w", &given)]), draw);
    Document::asked(Kind::Sort, skill.trim_start_matches("sort-"), &question, &sorted)
}

/// Which of two is larger, smaller or longer.
pub fn compare(draw: &mut Draw) -> Document {
    if draw.chance(70) {
        let top = if draw.chance(50) { 99 } else { 999 };
        let pair = draw.distinct(2, |draw| draw.range(1, top));
        let larger = draw.chance(60);
        let answer = if larger { pair[0].max(pair[1]) } else { pair[0].min(pair[1]) };
        let slots = Slots::of([("x", &pair[0].to_string()), ("y", &pair[1].to_string())]);
        let question = ask(if larger { "compare-numbers" } else { "compare-small" }, &slots, draw);
        return Document::asked(
            Kind::Compare,
            if larger { "larger" } else { "smaller" },
            &question,
            &answer.to_string(),
        );
    }
    let (x, y) = loop {
        let (x, y) = (*draw.pick(&PLAIN), *draw.pick(&PLAIN));
        if x.len().abs_diff(y.len()) > 1 {
            break (x, y);
        }
    };
    let question = ask("compare-words", &Slots::of([("x", x), ("y", y)]), draw);
    Document::asked(Kind::Compare, "words", &question, if x.len() > y.len() { x } else { y })
}

#[cfg(test)]
mod tests {
    use super::super::draw::Split;
    use super::super::kinds::show;
    use super::*;

    #[test]
    fn three_of_each() {
        insta::assert_snapshot!([Kind::Sort, Kind::Compare].map(|kind| show(kind, 1, Split::Train, 3)).join("\n"));
    }
}
