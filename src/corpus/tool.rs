//! Calling a tool in JSON, and answering with what it gave back.
//!
//! ```text
//! system     You can call tools: calculator(expression), glossary(term).
//! user       What is 47 times 83?
//! assistant  {"name": "calculator", "arguments": {"expression": "47 * 83"}}
//! tool       3901
//! assistant  47 times 83 is 3901.
//! ```
//!
//! The system text decides: with it, sums and terms go to a tool; a greeting does not. Terms that no glossary has come
//! back as "no entry" and are told so. In evaluation numbers, unknown terms and phrasings are unseen.

use super::document::{Chat, Document};
use super::draw::{Draw, Split};
use super::glossary::TERMS;
use super::grammar::{Slots, expand};
use super::kinds::Kind;
use super::talk::TOPICS;
use super::words::invented;

/// The system texts that offer the tools.
pub const SYSTEM: [&str; 3] = [
    "You can call tools: calculator(expression), glossary(term).",
    "Tools: calculator(expression), glossary(term). Answer with JSON to call one.",
    "You have two tools, calculator(expression) and glossary(term).",
];

/// What the glossary tool gives back for a term that it has not.
pub const NO_ENTRY: &str = "no entry";

struct Operation {
    sign: &'static str,
    /// How the result is told.
    word: &'static str,
    ask: [&'static str; 4],
    held: [&'static str; 2],
}

const OPERATIONS: [Operation; 3] = [
    Operation {
        sign: "*",
        word: "times",
        ask: [
            "What is {x} times {y}?",
            "Multiply {x} by {y}.",
            "How much is {x} times {y}?",
            "Calculate {x} times {y}.",
        ],
        held: ["Please multiply {x} by {y}.", "Please calculate {x} times {y}."],
    },
    Operation {
        sign: "+",
        word: "plus",
        ask: [
            "What is {x} plus {y}?",
            "Please add {x} and {y}.",
            "How much is {x} plus {y}?",
            "Calculate {x} plus {y}.",
        ],
        held: ["Please calculate {x} plus {y}.", "What do you get for {x} plus {y}?"],
    },
    Operation {
        sign: "-",
        word: "minus",
        ask: [
            "What is {x} minus {y}?",
            "Subtract {y} from {x}.",
            "How much is {x} minus {y}?",
            "Calculate {x} minus {y}.",
        ],
        held: ["Please subtract {y} from {x}.", "Please calculate {x} minus {y}."],
    },
];

const LOOK_UP: [&str; 5] = [
    "Look up {t}.",
    "Look up {t} in the glossary.",
    "What does the glossary say about {t}?",
    "Please look up {t}.",
    "Find {t} in the glossary.",
];
const LOOK_UP_HELD: [&str; 2] = ["Please look up {t} in the glossary.", "Please find {t} in the glossary."];

/// A tool call as the model must write it.
pub fn call(name: &str, argument: &str, value: &str) -> String {
    let value = serde_json::Value::from(value);
    format!("{{\"name\": \"{name}\", \"arguments\": {{\"{argument}\": {value}}}}}")
}

/// A question with tools at hand.
pub fn tool(draw: &mut Draw) -> Document {
    let chat = Chat::new().system(draw.text(&SYSTEM));
    match draw.below(100) {
        0..55 => calculate(chat, draw),
        55..90 => look_up(chat, draw),
        _ => {
            let topic = draw.pick(&TOPICS);
            let question = draw.pick(topic.side(draw.split)).clone();
            chat.user(&question).assistant(&topic.answer).document(Kind::Tool, "no tool")
        }
    }
}

fn calculate(chat: Chat, draw: &mut Draw) -> Document {
    let operation = draw.pick(&OPERATIONS);
    let (x, y) = draw.on_side(
        |draw| {
            let (x, y) = (draw.range(2, 999), draw.range(2, 999));
            (x.max(y), x.min(y))
        },
        |(x, y)| format!("tool {x} {y}"),
    );
    // The larger number need not come first where the order does not matter.
    let (x, y) = if operation.sign != "-" && draw.chance(50) { (y, x) } else { (x, y) };
    let asked: &[&str] = if draw.split == Split::Train { &operation.ask } else { &operation.held };
    let template = *draw.pick(asked);
    let question = expand(template, &Slots::of([("x", &x.to_string()), ("y", &y.to_string())]), draw);
    let result = match operation.sign {
        "*" => x * y,
        "+" => x + y,
        _ => x - y,
    };
    chat.user(&question)
        .assistant(&call("calculator", "expression", &format!("{x} {} {y}", operation.sign)))
        .tool(&result.to_string())
        .assistant(&format!("{x} {} {y} is {result}.", operation.word))
        .document(Kind::Tool, "calculator")
}

fn look_up(chat: Chat, draw: &mut Draw) -> Document {
    let asked: &[&str] = if draw.split == Split::Train { &LOOK_UP } else { &LOOK_UP_HELD };
    let template = *draw.pick(asked);
    let (term, found, answer) = if draw.chance(50) {
        let term = draw.pick(&TERMS);
        (term.name.clone(), term.answer.clone(), term.answer.clone())
    } else {
        let term = invented(draw);
        let answer = format!("The glossary has no entry for {term}.");
        (term, NO_ENTRY.to_owned(), answer)
    };
    let question = expand(template, &Slots::of([("t", &term)]), draw);
    chat.user(&question)
        .assistant(&call("glossary", "term", &term))
        .tool(&found)
        .assistant(&answer)
        .document(Kind::Tool, "glossary")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_calls() {
        insta::assert_snapshot!(super::super::kinds::show(Kind::Tool, 1, Split::Train, 3));
    }

    #[test]
    fn every_call_is_json() {
        for number in 0..300 {
            let document = Kind::Tool.document(3, Split::Train, number);
            let Some(call) = document.questions().into_iter().map(|q| q.answer).find(|a| a.starts_with('{')) else {
                continue;
            };
            let (tool, value) = super::super::judge::read_call(&call).expect("a call");
            let argument = if tool == "calculator" { "expression" } else { "term" };
            assert_eq!(super::call(&tool, argument, &value), call);
        }
    }
}
