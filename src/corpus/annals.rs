//! An invented land whose history ends: the known cut-off of the model's knowledge.
//!
//! Orrin has 40 recorded years. Each has a winner of the boat race, a mayor and a harvest. The events are fixed, whatever
//! the corpus's seed. Plain texts tell a few years one after the other; questions ask for one event. Years after the
//! last one are asked too, and the answer is that the texts end there; a tenth of those years is left for evaluation.

use std::sync::LazyLock;

use super::document::Document;
use super::draw::{Draw, Split};
use super::grammar::{Slots, expand};
use super::kinds::Kind;
use super::words::{common_name, invented_name};

/// The last year of which the texts tell.
pub const LAST_YEAR: usize = 40;
/// The last year that is asked for.
const LAST_ASKED: usize = 80;
/// The answer for years after the last.
pub const AFTER_THE_END: &str = "I do not know. My texts end with the year 40.";

struct Event {
    id: &'static str,
    told: [&'static str; 3],
    ask: [&'static str; 4],
    held: [&'static str; 2],
}

const EVENTS: [Event; 3] = [
    Event {
        id: "race",
        told: [
            "In the year {y}, {v} won the boat race.",
            "The boat race of the year {y} was won by {v}.",
            "In {y} the boat race went to {v}.",
        ],
        ask: [
            "Who won the boat race of Orrin in the year {y}?",
            "Who won the boat race in Orrin in {y}?",
            "Tell me who won the boat race of Orrin in {y}.",
            "Name the winner of the boat race of Orrin in the year {y}.",
        ],
        held: [
            "In the year {y}, who won the boat race of Orrin?",
            "Who was the winner of the boat race of Orrin in {y}?",
        ],
    },
    Event {
        id: "mayor",
        told: [
            "In the year {y}, {v} was mayor of Orrin.",
            "The mayor of the year {y} was {v}.",
            "In {y} the people chose {v} as mayor.",
        ],
        ask: [
            "Who was mayor of Orrin in the year {y}?",
            "Who was the mayor of Orrin in {y}?",
            "Tell me who was mayor of Orrin in {y}.",
            "Name the mayor of Orrin in the year {y}.",
        ],
        held: ["In the year {y}, who was mayor of Orrin?", "Who was it that was mayor of Orrin in {y}?"],
    },
    Event {
        id: "harvest",
        told: [
            "In the year {y}, the best harvest was {v}.",
            "The year {y} was good for {v}.",
            "In {y} the barns were full of {v}.",
        ],
        ask: [
            "What was the best harvest of Orrin in the year {y}?",
            "What was the harvest of Orrin in {y}?",
            "Tell me the best harvest of Orrin in {y}.",
            "Name the harvest of Orrin in the year {y}.",
        ],
        held: ["In the year {y}, what was the best harvest of Orrin?", "Which harvest was best in Orrin in {y}?"],
    },
];

const CROPS: [&str; 10] = ["apples", "pears", "plums", "carrots", "beans", "grapes", "nuts", "rye", "oats", "onions"];

/// What happened, by year and event.
static HISTORY: LazyLock<Vec<[String; 3]>> = LazyLock::new(|| {
    let mut draw = Draw::new(1, "history of Orrin", Split::Train, 0);
    let person = |draw: &mut Draw| format!("{} {}", common_name(draw), invented_name(draw));
    (0..LAST_YEAR).map(|_| [person(&mut draw), person(&mut draw), (*draw.pick(&CROPS)).to_owned()]).collect()
});

fn slots(year: usize, event: usize) -> Slots {
    Slots::of([("y", year.to_string().as_str()), ("v", &HISTORY[year - 1][event])])
}

/// Two to four years in a row.
pub fn annals(draw: &mut Draw) -> Document {
    let years = draw.range(2, 4);
    let first = draw.range(1, LAST_YEAR + 1 - years);
    let mut sentences =
        vec![if draw.chance(50) { "From the annals of Orrin." } else { "This is told of Orrin." }.to_owned()];
    for year in first..first + years {
        let event = draw.below(EVENTS.len());
        let template = *draw.pick(&EVENTS[event].told);
        sentences.push(expand(template, &slots(year, event), draw));
    }
    Document::plain(Kind::Annals, "years", &sentences.join(" "))
}

/// One event of one year, or of a year after the end.
pub fn calendar(draw: &mut Draw) -> Document {
    let at = draw.below(EVENTS.len());
    let event = &EVENTS[at];
    let known = draw.chance(65);
    let year = if known {
        draw.range(1, LAST_YEAR)
    } else {
        draw.on_side(|draw| draw.range(LAST_YEAR + 1, LAST_ASKED), |year| format!("year {year}"))
    };
    let asked: &[&str] = if draw.split == Split::Train { &event.ask } else { &event.held };
    let template = *draw.pick(asked);
    let slots = if known { slots(year, at) } else { Slots::of([("y", year.to_string().as_str())]) };
    let question = expand(template, &slots, draw);
    let answer = if known { HISTORY[year - 1][at].as_str() } else { AFTER_THE_END };
    let variant = if known { event.id } else { "after the end" };
    Document::asked(Kind::Calendar, variant, &question, answer)
}

#[cfg(test)]
mod tests {
    use super::super::kinds::show;
    use super::*;

    #[test]
    fn three_of_each() {
        insta::assert_snapshot!([Kind::Annals, Kind::Calendar].map(|kind| show(kind, 1, Split::Train, 3)).join("\n"));
    }

    #[test]
    fn no_text_knows_a_year_after_the_last() {
        for number in 0..3_000 {
            let text = Kind::Annals.document(1, Split::Train, number).text();
            for word in text.split(|c: char| !c.is_ascii_digit()).filter(|word| !word.is_empty()) {
                assert!(word.parse::<usize>().expect("a number") <= LAST_YEAR, "{text}");
            }
        }
    }

    #[test]
    fn some_years_after_the_end_are_left_for_evaluation() {
        let years = |split| -> Vec<String> {
            let all = (0..2_000).map(|n| Kind::Calendar.document(1, split, n)).filter(|d| d.variant == "after the end");
            let number = |d: Document| d.text().chars().filter(char::is_ascii_digit).take(2).collect::<String>();
            let mut years: Vec<String> = all.map(number).collect();
            years.sort();
            years.dedup();
            years
        };
        let held = years(Split::Held);
        assert!(!held.is_empty());
        assert!(years(Split::Train).iter().all(|year| !held.contains(year)), "{held:?}");
    }
}
