//! Quizzes: questions, and marking an answer.
//!
//! [`mark`] is pure: a question and an answer give a verdict whose explanations begin with what the learner chose.
//! Reading quiz files is the business of `quiz_file.rs`.

use serde::{Deserialize, Serialize};

use super::block::Inline;

/// The quiz of a lesson.
#[derive(Clone, Debug, PartialEq)]
pub struct Quiz {
    /// The lesson's id.
    pub lesson: String,
    /// Its file, `quizzes/p3.toml`.
    pub path: String,
    /// Questions in order.
    pub questions: Vec<Question>,
}

/// A question.
#[derive(Clone, Debug, PartialEq)]
pub struct Question {
    /// Kebab-case, unique in its quiz.
    pub id: String,
    /// What is asked.
    pub ask: Vec<Inline>,
    /// The term it belongs to.
    pub term: Option<String>,
    /// Heading of the lesson to read again.
    pub section: Option<String>,
    /// What kind of answer is wanted.
    pub kind: QuestionKind,
}

/// What kind of answer a question wants.
#[derive(Clone, Debug, PartialEq)]
pub enum QuestionKind {
    /// Exactly one right choice.
    Single(Vec<Choice>),
    /// Any number of right choices.
    Multiple(Vec<Choice>),
    /// True or false.
    TrueFalse {
        /// The right answer.
        answer: bool,
        /// Why `true` is right or wrong.
        why_true: Vec<Inline>,
        /// Why `false` is right or wrong.
        why_false: Vec<Inline>,
    },
    /// A number.
    Numeric {
        /// The right number.
        answer: f64,
        /// Greatest absolute distance that still counts as right.
        tolerance: f64,
        /// Unit, shown behind the number.
        unit: Option<String>,
        /// The explanation.
        why: Vec<Inline>,
        /// Usual mistakes.
        mistakes: Vec<Mistake>,
    },
    /// Put the choices in order; they are stored in the right order.
    Order(Vec<Choice>),
    /// Fill the blanks; `{{ID}}` marks them in `ask`.
    Cloze(Vec<Blank>),
}

/// A choice.
#[derive(Clone, Debug, PartialEq)]
pub struct Choice {
    /// Kebab-case, unique in its question.
    pub id: String,
    /// Text.
    pub text: Vec<Inline>,
    /// Whether it is right (always false for `order`).
    pub right: bool,
    /// Why it is right or wrong.
    pub why: Vec<Inline>,
}

/// A usual mistake in a numeric question.
#[derive(Clone, Debug, PartialEq)]
pub struct Mistake {
    /// Kebab-case.
    pub id: String,
    /// The wrong number.
    pub value: f64,
    /// The misconception behind it.
    pub why: Vec<Inline>,
}

/// A blank of a cloze question.
#[derive(Clone, Debug, PartialEq)]
pub struct Blank {
    /// Kebab-case; stands as `{{ID}}` in `ask`.
    pub id: String,
    /// What counts as right; the first is shown as the answer.
    pub accept: Vec<String>,
    /// The explanation.
    pub why: Vec<Inline>,
}

/// An answer, as it is recorded.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// Ids of the choices taken (single: one; multiple: any; order: all, in the learner's order).
    Choices(Vec<String>),
    /// True or false.
    TrueFalse(bool),
    /// A number.
    Number(f64),
    /// What was typed in each blank, in order of `Blank`s.
    Blanks(Vec<String>),
}

/// What an answer is worth.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// Wholly right.
    pub right: bool,
    /// 0 to 1: share of choices, places or blanks that are right.
    pub score: f64,
    /// Explanations of what was answered, in order: `(what it is about, why)`, the first about what the learner chose.
    pub why: Vec<(String, Vec<Inline>)>,
    /// The right answer in words.
    pub right_answer: String,
}

/// Marks an answer. An answer of the wrong kind, or with unknown ids, is wrong with score 0.
pub fn mark(question: &Question, answer: &Answer) -> Verdict {
    match (&question.kind, answer) {
        (QuestionKind::Single(choices), Answer::Choices(ids)) => mark_single(choices, ids),
        (QuestionKind::Multiple(choices), Answer::Choices(ids)) => mark_multiple(choices, ids),
        (QuestionKind::Order(choices), Answer::Choices(ids)) => mark_order(choices, ids),
        (QuestionKind::TrueFalse { answer: right, why_true, why_false }, Answer::TrueFalse(given)) => {
            let about = |side: bool| (truth(side), if side { why_true } else { why_false }.clone());
            let mut why = vec![about(*given)];
            if given != right {
                why.push(about(*right));
            }
            verdict(given == right, f64::from(u8::from(given == right)), why, truth(*right))
        }
        (QuestionKind::Numeric { .. }, Answer::Number(given)) => mark_number(&question.kind, *given),
        (QuestionKind::Cloze(blanks), Answer::Blanks(given)) => mark_cloze(blanks, given),
        (kind, _) => verdict(false, 0.0, Vec::new(), right_answer(kind)),
    }
}

/// The right answer in words.
fn right_answer(kind: &QuestionKind) -> String {
    let texts = |choices: &[Choice], between: &str| {
        choices.iter().map(|choice| Inline::plain(&choice.text)).collect::<Vec<_>>().join(between)
    };
    match kind {
        QuestionKind::Single(choices) | QuestionKind::Multiple(choices) => {
            let right: Vec<Choice> = choices.iter().filter(|choice| choice.right).cloned().collect();
            if right.is_empty() { "none of them".into() } else { texts(&right, "; ") }
        }
        QuestionKind::Order(choices) => texts(choices, " → "),
        QuestionKind::TrueFalse { answer, .. } => truth(*answer),
        QuestionKind::Numeric { answer, unit, .. } => with_unit(*answer, unit.as_deref()),
        QuestionKind::Cloze(blanks) => {
            let accepted = blanks.iter().filter_map(|blank| blank.accept.first().cloned());
            accepted.collect::<Vec<_>>().join(", ")
        }
    }
}

fn verdict(right: bool, score: f64, why: Vec<(String, Vec<Inline>)>, right_answer: String) -> Verdict {
    Verdict { right, score, why, right_answer }
}

fn truth(side: bool) -> String {
    if side { "True".into() } else { "False".into() }
}

/// `37.5 %`.
fn with_unit(number: f64, unit: Option<&str>) -> String {
    unit.map_or_else(|| number.to_string(), |unit| format!("{number} {unit}"))
}

fn about(choice: &Choice) -> (String, Vec<Inline>) {
    (Inline::plain(&choice.text), choice.why.clone())
}

/// The choices of an answer, in its order; `None` if one is unknown or there twice.
fn chosen<'a>(choices: &'a [Choice], ids: &[String]) -> Option<Vec<&'a Choice>> {
    let is_twice = |(place, id): (usize, &String)| ids[..place].contains(id);
    if ids.iter().enumerate().any(is_twice) {
        return None;
    }
    ids.iter().map(|id| choices.iter().find(|choice| choice.id == *id)).collect()
}

fn mark_single(choices: &[Choice], ids: &[String]) -> Verdict {
    let right_answer = right_answer(&QuestionKind::Single(choices.to_vec()));
    let Some([choice]) = chosen(choices, ids).as_deref().and_then(|found| <[&Choice; 1]>::try_from(found).ok()) else {
        return verdict(false, 0.0, Vec::new(), right_answer);
    };
    let mut why = vec![about(choice)];
    if !choice.right {
        why.extend(choices.iter().filter(|other| other.right).map(about));
    }
    verdict(choice.right, f64::from(u8::from(choice.right)), why, right_answer)
}

/// Partial credit: the share of the right choices that were taken, less as much for each wrong one, at least 0.
fn mark_multiple(choices: &[Choice], ids: &[String]) -> Verdict {
    let right_answer = right_answer(&QuestionKind::Multiple(choices.to_vec()));
    let Some(taken) = chosen(choices, ids) else { return verdict(false, 0.0, Vec::new(), right_answer) };
    let rights = choices.iter().filter(|choice| choice.right).count();
    let hits = taken.iter().filter(|choice| choice.right).count();
    let misses = taken.len() - hits;
    let right = hits == rights && misses == 0;
    let score = if rights == 0 {
        f64::from(u8::from(misses == 0))
    } else {
        (hits as f64 - misses as f64).max(0.0) / rights as f64
    };
    let is_taken = |choice: &Choice| taken.iter().any(|one| one.id == choice.id);
    // What the learner took first, wrong before right; then what was left out.
    let wrong = taken.iter().filter(|choice| !choice.right);
    let mut why: Vec<_> = wrong.chain(taken.iter().filter(|choice| choice.right)).map(|choice| about(choice)).collect();
    why.extend(choices.iter().filter(|choice| choice.right && !is_taken(choice)).map(about));
    verdict(right, score, why, right_answer)
}

/// The share of places that are right; explained are the misplaced choices in the learner's order, then the others.
fn mark_order(choices: &[Choice], ids: &[String]) -> Verdict {
    let right_answer = right_answer(&QuestionKind::Order(choices.to_vec()));
    let Some(placed) = chosen(choices, ids).filter(|placed| placed.len() == choices.len()) else {
        return verdict(false, 0.0, Vec::new(), right_answer);
    };
    let (kept, moved): (Vec<_>, Vec<_>) = placed.iter().zip(choices).partition(|(given, right)| given.id == right.id);
    let score = kept.len() as f64 / choices.len().max(1) as f64;
    let why = moved.iter().chain(&kept).map(|(given, _)| about(given)).collect();
    verdict(moved.is_empty(), score, why, right_answer)
}

fn mark_number(kind: &QuestionKind, given: f64) -> Verdict {
    let QuestionKind::Numeric { answer, tolerance, unit, why, mistakes } = kind else {
        return verdict(false, 0.0, Vec::new(), right_answer(kind));
    };
    // Room for the last bit: 0.1 + 0.2 lies within 0.0 of 0.3.
    let room = tolerance + 1e-9 * answer.abs().max(1.0);
    let right = (given - answer).abs() <= room;
    let mut explained = Vec::new();
    if !right {
        let near =
            |mistake: &&Mistake| (given - mistake.value).abs() <= tolerance + 1e-9 * mistake.value.abs().max(1.0);
        let distance = |mistake: &Mistake| (given - mistake.value).abs();
        let mistake = mistakes.iter().filter(near).min_by(|a, b| distance(a).total_cmp(&distance(b)));
        explained.extend(mistake.map(|mistake| (with_unit(given, unit.as_deref()), mistake.why.clone())));
    }
    explained.push((right_answer(kind), why.clone()));
    verdict(right, f64::from(u8::from(right)), explained, right_answer(kind))
}

/// The share of blanks that are right; those that are wrong are explained first.
fn mark_cloze(blanks: &[Blank], given: &[String]) -> Verdict {
    let is_right = |blank: &Blank, typed: &str| {
        let typed = typed.trim().to_lowercase();
        blank.accept.iter().any(|accepted| accepted.trim().to_lowercase() == typed)
    };
    let right_answer = right_answer(&QuestionKind::Cloze(blanks.to_vec()));
    if given.len() != blanks.len() {
        return verdict(false, 0.0, Vec::new(), right_answer);
    }
    let (right, wrong): (Vec<_>, Vec<_>) = blanks.iter().zip(given).partition(|(blank, typed)| is_right(blank, typed));
    let score = right.len() as f64 / blanks.len().max(1) as f64;
    let about = |(blank, typed): &(&Blank, &String)| (typed.trim().to_owned(), blank.why.clone());
    let why = wrong.iter().chain(&right).map(about).collect();
    verdict(wrong.is_empty(), score, why, right_answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<Inline> {
        vec![Inline::Text(text.into())]
    }

    fn choice(id: &str, right: bool) -> Choice {
        Choice { id: id.into(), text: words(id), right, why: words(&format!("why {id}")) }
    }

    fn question(kind: QuestionKind) -> Question {
        Question { id: "q".into(), ask: words("?"), term: None, section: None, kind }
    }

    fn choices(ids: &[&str]) -> Answer {
        Answer::Choices(ids.iter().map(|id| (*id).to_owned()).collect())
    }

    /// Right or wrong, score, what is explained in which order, right answer.
    fn marked(kind: QuestionKind, answer: Answer) -> (bool, f64, Vec<String>, String) {
        let verdict = mark(&question(kind), &answer);
        let why = verdict.why.iter().map(|(about, why)| format!("{about}: {}", Inline::plain(why))).collect();
        (verdict.right, verdict.score, why, verdict.right_answer)
    }

    fn abc() -> Vec<Choice> {
        vec![choice("a", true), choice("b", true), choice("c", false), choice("d", false)]
    }

    #[test]
    fn single_explains_the_choice_then_the_right_one() {
        let kind = || QuestionKind::Single(vec![choice("a", false), choice("b", true)]);
        assert_eq!(marked(kind(), choices(&["b"])), (true, 1.0, vec!["b: why b".into()], "b".into()));
        let why = vec!["a: why a".into(), "b: why b".into()];
        assert_eq!(marked(kind(), choices(&["a"])), (false, 0.0, why, "b".into()));
        for odd in [choices(&[]), choices(&["a", "b"]), choices(&["x"]), Answer::TrueFalse(true)] {
            assert_eq!(marked(kind(), odd), (false, 0.0, vec![], "b".into()));
        }
    }

    #[test]
    fn multiple_gives_partial_credit_and_never_less_than_nothing() {
        let scored = |ids: &[&str]| {
            let (right, score, ..) = marked(QuestionKind::Multiple(abc()), choices(ids));
            (right, score)
        };
        assert_eq!(scored(&["b", "a"]), (true, 1.0));
        assert_eq!(scored(&["a"]), (false, 0.5));
        assert_eq!(scored(&["a", "b", "c"]), (false, 0.5));
        assert_eq!(scored(&["c", "d"]), (false, 0.0));
        assert_eq!(scored(&["a", "a"]), (false, 0.0));
        let why = marked(QuestionKind::Multiple(abc()), choices(&["a", "c"])).2;
        assert_eq!(why, ["c: why c", "a: why a", "b: why b"]);
    }

    #[test]
    fn true_false_explains_both_sides_when_wrong() {
        let kind = QuestionKind::TrueFalse { answer: false, why_true: words("no"), why_false: words("indeed") };
        let why = vec!["True: no".into(), "False: indeed".into()];
        assert_eq!(marked(kind, Answer::TrueFalse(true)), (false, 0.0, why, "False".into()));
    }

    #[test]
    fn a_number_within_tolerance_is_right_and_a_usual_mistake_is_named() {
        let kind = || QuestionKind::Numeric {
            answer: 0.3,
            tolerance: 0.0,
            unit: Some("GB".into()),
            why: words("sum"),
            mistakes: vec![Mistake { id: "m".into(), value: 300.0, why: words("that is MB") }],
        };
        assert_eq!(marked(kind(), Answer::Number(0.1 + 0.2)), (true, 1.0, vec!["0.3 GB: sum".into()], "0.3 GB".into()));
        let why = vec!["300 GB: that is MB".into(), "0.3 GB: sum".into()];
        assert_eq!(marked(kind(), Answer::Number(300.0)), (false, 0.0, why, "0.3 GB".into()));
        assert!(!marked(kind(), Answer::Number(f64::NAN)).0);
        assert!(!marked(kind(), Answer::Number(f64::INFINITY)).0);
    }

    #[test]
    fn order_counts_places() {
        let kind = || {
            QuestionKind::Order(vec![choice("a", false), choice("b", false), choice("c", false), choice("d", false)])
        };
        let why = vec!["c: why c".into(), "b: why b".into(), "a: why a".into(), "d: why d".into()];
        assert_eq!(marked(kind(), choices(&["a", "c", "b", "d"])), (false, 0.5, why, "a → b → c → d".into()));
        assert_eq!(marked(kind(), choices(&["a", "b"])).1, 0.0);
        assert!(marked(kind(), choices(&["a", "b", "c", "d"])).0);
    }

    #[test]
    fn cloze_ignores_case_and_surrounding_space() {
        let blank = |id: &str, accept: &[&str]| Blank {
            id: id.into(),
            accept: accept.iter().map(|text| (*text).to_owned()).collect(),
            why: words(id),
        };
        let kind = QuestionKind::Cloze(vec![blank("x", &["Softmax"]), blank("y", &["logits", "scores"])]);
        let given = Answer::Blanks(vec![" softMAX ".into(), "weights".into()]);
        let why = vec!["weights: y".into(), "softMAX: x".into()];
        assert_eq!(marked(kind, given), (false, 0.5, why, "Softmax, logits".into()));
    }
}
