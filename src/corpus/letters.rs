//! Tasks on the letters of words: reversing, capitals, spelling, counting.
//!
//! ```text
//! reverse   letters   k i t e             e t i k
//!           words     red kite boat       boat kite red
//!           word      kite                k i t e, e t i k          (spelt first: that is the working)
//! upper     1 to 3 words                  KITE BOAT
//! spell     a word                        k i t e
//! count     words     red kite boat       3
//!           letters   kite                k1 i2 t3 e4, 4            (numbered: that is the working)
//! ```

use super::document::Document;
use super::draw::Draw;
use super::grammar::Slots;
use super::kinds::Kind;
use super::phrasing::ask;
use super::words::{PLAIN, invented};

fn word(draw: &mut Draw) -> String {
    if draw.chance(20) { invented(draw) } else { (*draw.pick(&PLAIN)).to_owned() }
}

fn spelt(word: &str) -> String {
    let letters: Vec<String> = word.chars().map(String::from).collect();
    letters.join(" ")
}

fn backwards(word: &str) -> String {
    word.chars().rev().collect()
}

fn asked(kind: Kind, skill: &str, word: &str, answer: &str, draw: &mut Draw) -> Document {
    let question = ask(skill, &Slots::of([("w", word)]), draw);
    let variant = skill.split_once('-').map_or("word", |(_, variant)| variant);
    Document::asked(kind, variant, &question, answer)
}

/// Letters, words or the letters of a word in reverse order.
pub fn reverse(draw: &mut Draw) -> Document {
    match draw.below(10) {
        0..5 => {
            let word = if draw.chance(50) { invented(draw) } else { word(draw) };
            asked(Kind::Reverse, "reverse-letters", &spelt(&word), &spelt(&backwards(&word)), draw)
        }
        5..8 => {
            let n = draw.range(2, 5);
            let mut words = draw.distinct(n, word);
            let given = words.join(" ");
            words.reverse();
            asked(Kind::Reverse, "reverse-words", &given, &words.join(" "), draw)
        }
        _ => {
            let word = word(draw);
            let answer = format!("{}, {}", spelt(&word), spelt(&backwards(&word)));
            asked(Kind::Reverse, "reverse-word", &word, &answer, draw)
        }
    }
}

/// One to three words in capitals.
pub fn upper(draw: &mut Draw) -> Document {
    let n = draw.range(1, 3);
    let words: Vec<String> = (0..n).map(|_| (*draw.pick(&PLAIN)).to_owned()).collect();
    let row = words.join(" ");
    asked(Kind::Upper, "upper", &row, &row.to_uppercase(), draw)
}

/// A word letter by letter.
pub fn spell(draw: &mut Draw) -> Document {
    let word = word(draw);
    asked(Kind::Spell, "spell", &word, &spelt(&word), draw)
}

/// Words of a row, or letters of a word.
pub fn count(draw: &mut Draw) -> Document {
    if draw.chance(50) {
        let n = draw.range(1, 7);
        let words: Vec<&str> = (0..n).map(|_| *draw.pick(&PLAIN)).collect();
        return asked(Kind::Count, "count-words", &words.join(" "), &n.to_string(), draw);
    }
    let word = word(draw);
    let numbered: Vec<String> = word.chars().zip(1..).map(|(letter, n)| format!("{letter}{n}")).collect();
    asked(Kind::Count, "count-letters", &word, &format!("{}, {}", numbered.join(" "), word.len()), draw)
}

#[cfg(test)]
mod tests {
    use super::super::draw::Split;
    use super::super::kinds::show;
    use super::*;

    #[test]
    fn three_of_each() {
        let kinds = [Kind::Reverse, Kind::Upper, Kind::Spell, Kind::Count];
        insta::assert_snapshot!(kinds.map(|kind| show(kind, 1, Split::Train, 3)).join("\n"));
    }
}
