//! Preference pairs: one prompt, a good answer and a poor one.
//!
//! ```text
//! length     a term explained in one sentence        rather than three
//! unknown    "I do not know."                         rather than an invented height or fact
//! silence    "The text does not say."                 rather than a name or value from the text
//! format     the list with commas, the JSON alone     rather than prose around it
//! ```

use super::document::{Chat, Document};
use super::draw::Draw;
use super::glossary::TERMS;
use super::grammar::Slots;
use super::kinds::Kind;
use super::phrasing::ask;
use super::planted::unknown_lighthouse;
use super::reading;
use super::tool::{SYSTEM, call};
use super::words::WORDS;

/// The answer to what the model can not know.
pub const DO_NOT_KNOW: &str = "I do not know.";

/// A pair.
pub fn preference(draw: &mut Draw) -> Document {
    match draw.below(4) {
        0 => length(draw),
        1 => unknown(draw),
        2 => silence(draw),
        _ => format(draw),
    }
}

fn pair(chat: Chat, variant: &str, good: &str, poor: &str) -> Document {
    let mut document = chat.assistant(good).document(Kind::Preference, variant);
    document.rejected = Some(poor.to_owned());
    document
}

fn length(draw: &mut Draw) -> Document {
    let terms = draw.distinct(3, |draw| draw.pick(&TERMS));
    let question = ask("glossary", &terms[0].slots(), draw);
    let poor = format!("{} {} {}", terms[0].answer, terms[1].answer, terms[2].answer);
    pair(Chat::new().user(&question), "length", &terms[0].answer, &poor)
}

fn unknown(draw: &mut Draw) -> Document {
    let question = unknown_lighthouse(draw);
    let poor = format!("{} metres", draw.range(12, 98));
    pair(Chat::new().user(&question), "unknown", DO_NOT_KNOW, &poor)
}

fn silence(draw: &mut Draw) -> Document {
    let (question, guess) = reading::silence_and_guess(draw);
    pair(Chat::new().user(&question), "silence", reading::DOES_NOT_SAY, &guess)
}

fn format(draw: &mut Draw) -> Document {
    if draw.chance(50) {
        let mut things = draw.distinct(3, |draw| draw.pick(&WORDS.things).as_str());
        let question = ask("sort-words", &Slots::of([("w", things.join(", ").as_str())]), draw);
        things.sort_unstable();
        let good = things.join(", ");
        let poor = format!("Here is the list in order: first {}, then {} and {}.", things[0], things[1], things[2]);
        return pair(Chat::new().user(&question), "format", &good, &poor);
    }
    let (x, y) = (draw.range(2, 99), draw.range(2, 99));
    let chat = Chat::new().system(draw.text(&SYSTEM)).user(&format!("What is {x} times {y}?"));
    let poor = format!("I will call the calculator with {x} times {y}.");
    pair(chat, "format", &call("calculator", "expression", &format!("{x} * {y}")), &poor)
}

#[cfg(test)]
mod tests {
    use super::super::draw::Split;
    use super::*;

    #[test]
    fn three_pairs() {
        insta::assert_snapshot!(super::super::kinds::show(Kind::Preference, 1, Split::Train, 3));
    }

    #[test]
    fn the_two_answers_differ() {
        for number in 0..400 {
            let document = Kind::Preference.document(4, Split::Train, number);
            let good = &document.questions()[0].answer;
            assert_ne!(Some(good), document.rejected.as_ref(), "{}", document.show());
        }
    }
}
