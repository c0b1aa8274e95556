//! Look-up in both directions over pairs whose distance grows from nothing to three filler words.
//!
//! ```text
//! Kor near with red. Mia near with kite.
//!  Who: red?    What: Mia?
//! ```
//!
//! What taught small models to find a name from a value; see the training notes in the card.

use super::document::{Chat, Document};
use super::draw::{Draw, Split};
use super::kinds::Kind;
use super::words::{PLAIN, WORDS, name};

/// Pairs, and questions from either side; seven of ten ask for the name.
pub fn look_up(draw: &mut Draw) -> Document {
    let pairs = draw.range(2, 5);
    let names = draw.distinct(pairs, name);
    let values = draw.distinct(pairs, |draw| *draw.pick(&PLAIN));
    let gap: String = (0..draw.below(4)).map(|_| format!("{} ", draw.pick(&WORDS.fillers))).collect();
    let value_first = draw.chance(25);
    let mut sentences: Vec<String> = names
        .iter()
        .zip(&values)
        .map(
            |(name, value)| {
                if value_first { format!("The {value} {gap}{name}.") } else { format!("{name} {gap}{value}.") }
            },
        )
        .collect();
    draw.shuffle(&mut sentences);
    let mut order: Vec<usize> = (0..pairs).collect();
    draw.shuffle(&mut order);
    let asked = if draw.split == Split::Held { 1 } else { draw.range(2, 4).min(pairs) };
    let mut chat = Chat::new();
    let mut variant = "";
    for (turn, at) in order.into_iter().take(asked).enumerate() {
        let who = draw.chance(70);
        let (question, answer) = if who {
            (format!("Who: {}?", values[at]), names[at].as_str())
        } else {
            (format!("What: {}?", names[at]), values[at])
        };
        if turn == 0 {
            variant = if who { "by value" } else { "by name" };
            chat = chat.user(&format!("{}\n {question}", sentences.join(" ")));
        } else {
            chat = chat.user(&question);
        }
        chat = chat.assistant(answer);
    }
    chat.document(Kind::LookUp, variant)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_look_ups() {
        insta::assert_snapshot!(super::super::kinds::show(Kind::LookUp, 1, Split::Train, 3));
    }
}
