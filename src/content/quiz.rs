//! Quizzes: questions, and marking an answer.

use serde::{Deserialize, Serialize};

use super::Inline;

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
pub fn mark(_question: &Question, _answer: &Answer) -> Verdict {
    unimplemented!()
}
