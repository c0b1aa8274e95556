//! Reading a text and answering from it: `model/corpus/reading.toml`.
//!
//! ```text
//! text      2 to 4 facts of one or two relations, each told with the name first or the value first, a filler at times
//! question  by name ("Where does Kor live?") or by value ("Who has the red kite?"); several about one text
//! answer    the value or the name alone, or "The text does not say."
//! ```
//!
//! Both orders of telling and both directions of asking are needed: with one of them, a small model finds the name
//! from the value no better than by guessing.

use std::sync::LazyLock;

use serde::Deserialize;

use super::document::{Chat, Document};
use super::draw::{Draw, Split};
use super::grammar::{Slots, expand};
use super::kinds::Kind;
use super::words::{WORDS, invented, invented_name, name, thing};

/// The answer when the text holds none.
pub const DOES_NOT_SAY: &str = "The text does not say.";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Relations {
    relation: Vec<Relation>,
}

/// What a name can have to do with a value.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Relation {
    id: String,
    values: Values,
    forward: Vec<String>,
    backward: Vec<String>,
    /// Questions that give the name.
    pub by_name: Vec<String>,
    by_name_held: Vec<String>,
    /// Questions that give the value.
    pub by_value: Vec<String>,
    by_value_held: Vec<String>,
    answer: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Values {
    Thing,
    Town,
    Age,
    Job,
    Food,
    Number,
    Name,
    Day,
    Tool,
    Place,
}

/// The relations.
pub static RELATIONS: LazyLock<Vec<Relation>> = LazyLock::new(|| {
    let file: Relations =
        toml::from_str(include_str!("../../model/corpus/reading.toml")).expect("model/corpus/reading.toml is sound");
    file.relation
});

const DAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

/// Ways of putting text and question together. A line begins with a space, so that a name has the same tokens there.
const FRAMES: [&str; 5] = [
    "{text}\n {question}",
    "Text: {text}\n Question: {question}",
    "Read this: {text}\n Now answer: {question}",
    "Here is a text. {text} {question}",
    "{question}\n {text}",
];
const FRAMES_HELD: [&str; 2] = ["Read this text. {text}\n {question}", "Here is a text: {text}\n Question: {question}"];

impl Relation {
    fn value(&self, draw: &mut Draw) -> String {
        match self.values {
            Values::Thing => thing(draw),
            Values::Town => invented_name(draw),
            Values::Age => draw.range(3, 98).to_string(),
            Values::Job => draw.pick(&WORDS.jobs).clone(),
            Values::Food => draw.pick(&WORDS.foods).clone(),
            Values::Number => draw.range(100, 999).to_string(),
            Values::Name => name(draw),
            Values::Day => (*draw.pick(&DAYS)).to_owned(),
            Values::Tool if draw.chance(50) => invented(draw),
            Values::Tool => draw.pick(&WORDS.things).clone(),
            Values::Place => draw.pick(&WORDS.places).clone(),
        }
    }

    fn told(&self, name: &str, value: &str, draw: &mut Draw) -> String {
        let forms = if draw.chance(50) { &self.forward } else { &self.backward };
        let form = draw.pick(forms);
        expand(form, &Slots::of([("n", name), ("v", value)]), draw)
    }

    fn asked(&self, by_name: bool, name: &str, value: &str, draw: &mut Draw) -> (String, String) {
        let slots = Slots::of([("n", name), ("v", value)]);
        let forms = match (by_name, draw.split) {
            (true, Split::Train) => &self.by_name,
            (true, Split::Held) => &self.by_name_held,
            (false, Split::Train) => &self.by_value,
            (false, Split::Held) => &self.by_value_held,
        };
        let form = draw.pick(forms);
        let question = expand(form, &slots, draw);
        let answer = if by_name { expand(&self.answer, &slots, draw) } else { name.to_owned() };
        (question, answer)
    }
}

/// Whether a question about the one could be answered with the other: "What does Kor have?" by Kor's dog.
fn near(a: &str, b: &str) -> bool {
    [["lives", "place"], ["job", "place"], ["has", "pet"], ["has", "room"], ["has", "made"]]
        .iter()
        .any(|pair| pair.contains(&a) && pair.contains(&b))
}

/// A text of facts: names, and for one or two relations the values of each name.
struct Text {
    names: Vec<String>,
    facts: Vec<(&'static Relation, Vec<String>)>,
    told: String,
}

impl Text {
    fn new(people: usize, relations: usize, draw: &mut Draw) -> Self {
        let mut pool: Vec<&'static Relation> = RELATIONS.iter().collect();
        draw.shuffle(&mut pool);
        let mut taken = draw.distinct(people, name);
        let mut facts = Vec::new();
        for relation in pool {
            if facts.len() == relations {
                break;
            }
            if facts.iter().any(|(other, _): &(&Relation, _)| near(&other.id, &relation.id)) {
                continue;
            }
            // Names of dogs and towns are no names of people here.
            let values = draw.distinct(people, |draw| relation.value(draw));
            if values.iter().any(|value| taken.contains(value)) {
                return Self::new(people, relations, draw);
            }
            facts.push((relation, values));
        }
        let names = std::mem::take(&mut taken);
        let mut sentences = Vec::new();
        for (relation, values) in &facts {
            for (name, value) in names.iter().zip(values) {
                sentences.push(relation.told(name, value, draw));
            }
        }
        draw.shuffle(&mut sentences);
        if draw.chance(30) {
            let at = draw.below(sentences.len() + 1);
            sentences.insert(at, draw.pick(&WORDS.weather).clone());
        }
        Self { told: sentences.join(" "), names, facts }
    }

    /// A question that the text answers: which fact it asks for, the question, the answer.
    fn question(&self, by_name: bool, draw: &mut Draw) -> (usize, String, String) {
        let (which, at) = (draw.below(self.facts.len()), draw.below(self.names.len()));
        let (relation, values) = &self.facts[which];
        let (question, answer) = relation.asked(by_name, &self.names[at], &values[at], draw);
        (which * self.names.len() + at, question, answer)
    }

    /// A question that it does not answer: about another name, another value, or something it does not tell.
    fn unanswered(&self, draw: &mut Draw) -> String {
        let (relation, values) = *draw.pick(&self.facts.iter().map(|(r, v)| (*r, v)).collect::<Vec<_>>());
        match draw.below(4) {
            0 | 1 => loop {
                let other = name(draw);
                if !self.names.contains(&other) && !values.contains(&other) {
                    return relation.asked(true, &other, "", draw).0;
                }
            },
            2 => loop {
                let other = relation.value(draw);
                if !self.names.contains(&other) && !values.contains(&other) {
                    return relation.asked(false, "", &other, draw).0;
                }
            },
            _ => loop {
                let other = draw.pick(&RELATIONS);
                if self.facts.iter().all(|(r, _)| r.id != other.id && !near(&r.id, &other.id)) {
                    let at = draw.below(self.names.len());
                    return other.asked(true, &self.names[at], "", draw).0;
                }
            },
        }
    }
}

fn framed(text: &str, question: &str, draw: &mut Draw) -> String {
    let frame = match draw.split {
        Split::Train => *draw.pick(&FRAMES),
        Split::Held => *draw.pick(&FRAMES_HELD),
    };
    expand(frame, &Slots::of([("text", text), ("question", question)]), draw)
}

/// One fact and one question.
pub fn fact(draw: &mut Draw) -> Document {
    let text = Text::new(1, 1, draw);
    let by_name = draw.chance(50);
    let (_, question, answer) = text.question(by_name, draw);
    Document::asked(Kind::Fact, direction(by_name), &framed(&text.told, &question, draw), &answer)
}

/// A text and several questions about it in training, one in evaluation.
pub fn reading(draw: &mut Draw) -> Document {
    let (people, relations) = if draw.chance(75) { (draw.range(2, 4), 1) } else { (2, 2) };
    let text = Text::new(people, relations, draw);
    let first = draw.chance(50);
    let (fact, question, answer) = text.question(first, draw);
    let mut asked = vec![(fact, first)];
    let framed = framed(&text.told, &question, draw);
    let mut chat = Chat::new().user(&framed).assistant(&answer);
    let more = if draw.split == Split::Held { 0 } else { draw.range(3, 5) };
    for _ in 0..more {
        if draw.chance(10) {
            chat = chat.user(&text.unanswered(draw)).assistant(DOES_NOT_SAY);
            continue;
        }
        let by_name = draw.chance(45);
        let (fact, question, answer) = text.question(by_name, draw);
        // Nobody asks the same thing twice.
        if !asked.contains(&(fact, by_name)) {
            asked.push((fact, by_name));
            chat = chat.user(&question).assistant(&answer);
        }
    }
    chat.document(Kind::Reading, direction(first))
}

/// A text and a question that it does not answer.
pub fn silence(draw: &mut Draw) -> Document {
    let (question, _) = silence_and_guess(draw);
    Document::asked(Kind::Silence, "absent", &question, DOES_NOT_SAY)
}

/// A question that its text does not answer, and what a hasty reader would say.
pub fn silence_and_guess(draw: &mut Draw) -> (String, String) {
    let people = draw.range(1, 4);
    let text = Text::new(people, 1, draw);
    let question = text.unanswered(draw);
    let by_name = !question.starts_with("Who ");
    let (_, _, guess) = text.question(by_name, draw);
    (framed(&text.told, &question, draw), guess)
}

fn direction(by_name: bool) -> &'static str {
    if by_name { "by name" } else { "by value" }
}

#[cfg(test)]
mod tests {
    use super::super::kinds::show;
    use super::*;

    #[test]
    fn three_of_each() {
        insta::assert_snapshot!(show(Kind::Reading, 1, Split::Train, 3));
        insta::assert_snapshot!(show(Kind::Fact, 1, Split::Train, 3));
        insta::assert_snapshot!(show(Kind::Silence, 1, Split::Held, 3));
    }

    #[test]
    fn what_the_text_says_stands_in_the_prompt() {
        for number in 0..500 {
            for split in [Split::Train, Split::Held] {
                let document = Kind::Reading.document(2, split, number);
                for question in document.questions().iter().filter(|q| q.answer != DOES_NOT_SAY) {
                    let bare = question.answer.trim_start_matches("an ").trim_start_matches("a ");
                    assert!(question.prompt.contains(&format!(" {bare}")), "{}", document.show());
                }
            }
        }
    }

    #[test]
    fn the_answer_to_a_silent_text_is_not_in_it() {
        for number in 0..500 {
            let document = Kind::Silence.document(2, Split::Train, number);
            assert_eq!(document.questions()[0].answer, DOES_NOT_SAY);
        }
    }
}
