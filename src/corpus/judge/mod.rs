//! Judges of what a model wrote: right or wrong for questions with one answer, faults of stories by rules.

mod story;

use std::collections::BTreeMap;

use serde::Serialize;

use super::document::Document;
use super::kinds::Kind;

pub use story::{StoryFault, story_faults};

/// Right answers among those asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// Right ones.
    pub right: u32,
    /// All.
    pub asked: u32,
}

impl Tally {
    /// Counts one answer.
    pub fn add(&mut self, right: bool) {
        self.right += u32::from(right);
        self.asked += 1;
    }

    /// The share of right answers; 0 when nothing was asked.
    pub fn share(self) -> f64 {
        if self.asked == 0 { 0.0 } else { f64::from(self.right) / f64::from(self.asked) }
    }

    /// Wilson's interval for the true share at 95%: sound for few answers and near 0 and 1, where the plain one is not.
    pub fn interval(self) -> (f64, f64) {
        if self.asked == 0 {
            return (0.0, 1.0);
        }
        const Z: f64 = 1.959_963_984_540_054;
        let (n, p) = (f64::from(self.asked), self.share());
        let middle = p + Z * Z / (2.0 * n);
        let half = Z * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt();
        let whole = 1.0 + Z * Z / n;
        (((middle - half) / whole).max(0.0), ((middle + half) / whole).min(1.0))
    }
}

/// Tallies by kind and variant.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Table(pub BTreeMap<(Kind, String), Tally>);

impl Table {
    /// Counts an answer to a document's question.
    pub fn add(&mut self, document: &Document, right: bool) {
        self.0.entry((document.kind, document.variant.clone())).or_default().add(right);
    }

    /// All variants of a kind together.
    pub fn kind(&self, kind: Kind) -> Tally {
        let of_kind = self.0.iter().filter(|((other, _), _)| *other == kind);
        of_kind.fold(Tally::default(), |sum, (_, tally)| Tally {
            right: sum.right + tally.right,
            asked: sum.asked + tally.asked,
        })
    }
}

/// Whether an answer is the right one. White space at its ends does not count. Where working is asked for, the working
/// counts as little as in school: the result must be right.
pub fn is_right(kind: Kind, wanted: &str, given: &str) -> bool {
    let (wanted, given) = (wanted.trim(), given.trim());
    if wanted.starts_with('{') {
        return same_call(wanted, given);
    }
    match kind {
        Kind::SumWorking | Kind::MinusWorking => after_last(wanted, " so ") == after_last(given, " so "),
        Kind::Count => after_last(wanted, ", ") == after_last(given, ", "),
        _ => wanted == given,
    }
}

fn after_last<'a>(text: &'a str, mark: &str) -> &'a str {
    text.rsplit_once(mark).map_or(text, |(_, last)| last)
}

/// Why a tool call is not one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallFault {
    /// It is no JSON.
    NotJson,
    /// It is no object of a tool's name and an object of arguments, or has more.
    WrongForm,
    /// There is no such tool.
    UnknownTool,
    /// The tool's argument is missing, is no text, or there are others.
    WrongArguments,
}

/// Reads a tool call: the tool and its argument.
///
/// # Errors
/// What is wrong with it.
pub fn read_call(text: &str) -> Result<(String, String), CallFault> {
    let value: serde_json::Value = serde_json::from_str(text.trim()).map_err(|_| CallFault::NotJson)?;
    let object = value.as_object().filter(|object| object.len() == 2).ok_or(CallFault::WrongForm)?;
    let name = object.get("name").and_then(|name| name.as_str()).ok_or(CallFault::WrongForm)?;
    let arguments = object.get("arguments").and_then(|arguments| arguments.as_object()).ok_or(CallFault::WrongForm)?;
    let argument = match name {
        "calculator" => "expression",
        "glossary" => "term",
        _ => return Err(CallFault::UnknownTool),
    };
    let given = arguments.get(argument).filter(|_| arguments.len() == 1).and_then(|value| value.as_str());
    given.map(|given| (name.to_owned(), given.to_owned())).ok_or(CallFault::WrongArguments)
}

/// Whether two calls ask for the same, however their JSON is spaced.
fn same_call(wanted: &str, given: &str) -> bool {
    match (read_call(wanted), read_call(given)) {
        (Ok((tool, value)), Ok((other_tool, other_value))) => {
            let squeezed = |text: &str| text.split_whitespace().collect::<String>();
            let same =
                if tool == "calculator" { squeezed(&value) == squeezed(&other_value) } else { value == other_value };
            tool == other_tool && same
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::draw::Split;
    use super::super::tool::call;
    use super::*;

    #[test]
    fn the_right_answer_of_every_question_is_right_and_another_is_not() {
        for kind in Kind::ALL {
            for number in 0..20 {
                for question in kind.document(9, Split::Held, number).questions() {
                    assert!(is_right(kind, &question.answer, &format!(" {}\n", question.answer)), "{question:?}");
                    assert!(!is_right(kind, &question.answer, "nothing of the kind"), "{question:?}");
                    assert!(!is_right(kind, &question.answer, ""), "{question:?}");
                }
            }
        }
    }

    #[test]
    fn of_working_the_result_counts() {
        assert!(is_right(Kind::SumWorking, "7+8+0=15, 5+6+1=12 so 125", "7+8=15, 5+6+1=12 so 125"));
        assert!(!is_right(Kind::SumWorking, "7+8+0=15, 5+6+1=12 so 125", "7+8+0=15, 5+6+1=12 so 126"));
        assert!(is_right(Kind::Count, "k1 i2 t3 e4, 4", "k1 i2 t3 e4, 4"));
        assert!(!is_right(Kind::Count, "k1 i2 t3 e4, 4", "k1 i2 t3, 3"));
        assert!(!is_right(Kind::Copy, "red kite", "red kites"));
    }

    #[test]
    fn a_call_is_json_with_a_known_tool_and_its_argument() {
        let good = call("calculator", "expression", "12 * 7");
        assert_eq!(read_call(&good), Ok(("calculator".into(), "12 * 7".into())));
        assert!(is_right(Kind::Tool, &good, r#"{"name":"calculator","arguments":{"expression":"12*7"}}"#));
        assert!(!is_right(Kind::Tool, &good, &call("calculator", "expression", "12 * 8")));
        let fault = |text: &str| read_call(text).expect_err("a fault");
        assert_eq!(fault("calculator(12 * 7)"), CallFault::NotJson);
        assert_eq!(fault(r#"{"name": "calculator"}"#), CallFault::WrongForm);
        assert_eq!(fault(&call("weather", "city", "Kor")), CallFault::UnknownTool);
        assert_eq!(fault(&call("glossary", "word", "token")), CallFault::WrongArguments);
    }

    /// The numbers are from R 4.3, `binom::binom.wilson`-like by hand: (p + z²/2n ± z √(p(1-p)/n + z²/4n²)) / (1 + z²/n).
    #[test]
    fn wilson_s_interval_stays_within_0_and_1() {
        let near = |(a, b): (f64, f64), (c, d): (f64, f64)| (a - c).abs() < 5e-4 && (b - d).abs() < 5e-4;
        assert!(near(Tally { right: 8, asked: 10 }.interval(), (0.4902, 0.9433)));
        assert!(near(Tally { right: 100, asked: 100 }.interval(), (0.9630, 1.0)));
        assert!(near(Tally { right: 0, asked: 100 }.interval(), (0.0, 0.0370)));
        assert_eq!(Tally::default().interval(), (0.0, 1.0));
    }

    #[test]
    fn a_table_adds_variants() {
        let mut table = Table::default();
        for number in 0..40 {
            table.add(&Kind::Reading.document(1, Split::Held, number), number % 4 == 0);
        }
        assert_eq!(table.0.len(), 2);
        assert_eq!(table.kind(Kind::Reading), Tally { right: 10, asked: 40 });
    }
}
