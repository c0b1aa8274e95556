//! The questions of a lesson: what a right answer must say, and what the learner said about each.

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::take::{Kept, Take, holds, shown};
use super::{Checked, Generate};

/// A question, alone or with what a right answer must say.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Asked {
    Plain(String),
    WithFact {
        ask: String,
        #[serde(default)]
        fact: Facts,
    },
}

/// Words that must all occur; each may have alternatives, `8|eight`.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Facts {
    One(String),
    All(Vec<String>),
}

impl Default for Facts {
    fn default() -> Self {
        Self::All(vec![])
    }
}

/// A question with what became of it.
#[derive(Debug)]
pub(super) struct Question {
    pub ask: String,
    pub facts: Vec<String>,
    pub kept: Progress,
    pub take: Take,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Progress {
    pub ask: String,
    /// Whether the learner thinks that the answer will be right.
    pub guess: Option<bool>,
    pub answer: Option<Kept>,
    /// Marked as wrong.
    pub marked: bool,
}

impl Question {
    /// Whether the answer says what it must; `None` without an answer or without facts.
    pub fn is_right(&self) -> Option<bool> {
        let answer = self.kept.answer.as_ref()?;
        (!self.facts.is_empty()).then(|| self.facts.iter().all(|fact| holds(&answer.text, fact)))
    }

    /// Facts that the answer lacks.
    pub fn lacks(&self) -> Vec<&str> {
        let text = self.kept.answer.as_ref().map_or("", |a| a.text.as_str());
        self.facts.iter().map(String::as_str).filter(|fact| !holds(text, fact)).collect()
    }
}

/// The questions as the lesson has them, with what was kept of each; one that the lesson has changed starts anew.
pub(super) fn all(asked: &[Asked], kept: Vec<Progress>) -> Vec<Question> {
    let mut kept: Vec<Option<Progress>> = kept.into_iter().map(Some).collect();
    let question = |asked: &Asked| {
        let (ask, facts) = match asked {
            Asked::Plain(ask) => (ask.clone(), vec![]),
            Asked::WithFact { ask, fact: Facts::One(fact) } => (ask.clone(), vec![fact.clone()]),
            Asked::WithFact { ask, fact: Facts::All(facts) } => (ask.clone(), facts.clone()),
        };
        let before = kept.iter_mut().find(|k| k.as_ref().is_some_and(|k| k.ask == ask)).and_then(Option::take);
        let kept = before.unwrap_or(Progress { ask: ask.clone(), ..Progress::default() });
        Question { ask, facts, kept, take: Take::default() }
    };
    asked.iter().map(question).collect()
}

impl Generate {
    /// Compares the marks with the facts.
    pub(super) fn check(&mut self) {
        let judged: Vec<&Question> = self.questions.iter().filter(|q| !q.facts.is_empty()).collect();
        if judged.iter().any(|q| q.kept.answer.is_none()) {
            self.outcome = Some(("Ask all the questions first.".into(), false));
            return;
        }
        self.state.tries += 1;
        let right = self.questions.iter().all(|q| q.is_right().is_none_or(|right| right != q.kept.marked));
        let wrong: Vec<&Question> = judged.into_iter().filter(|q| q.is_right() == Some(false)).collect();
        self.outcome = Some(match (right, wrong.is_empty()) {
            (true, true) => ("Yes: every answer says what it must.".into(), true),
            (true, false) => {
                let why = wrong.iter().map(|q| {
                    let lacks: Vec<String> = q.lacks().iter().map(|f| format!("`{}`", shown(f))).collect();
                    format!("The answer to \"{}\" lacks {}", q.ask, lacks.join(", "))
                });
                let why: Vec<String> = why.collect();
                let unknown = self.questions.iter().filter(|q| q.kept.marked && q.facts.is_empty());
                let unknown: Vec<String> =
                    unknown.map(|q| format!(" \"{}\" the program cannot judge.", q.ask)).collect();
                (format!("Yes. {}.{}", why.join("; "), unknown.concat()), true)
            }
            (false, _) => {
                let marked = self.questions.iter().filter(|q| q.kept.marked).count();
                (
                    format!(
                        "No: you marked {marked}, and that is not it. Fluent is not right; what do you know yourself?"
                    ),
                    false,
                )
            }
        });
        self.state.checked = Some(if right { Checked::Right } else { Checked::Wrong });
        if right && self.state.wrong_answer.is_none() {
            let marked: Vec<_> = self
                .questions
                .iter()
                .filter(|q| q.kept.marked)
                .map(|q| json!({ "ask": q.ask, "answer": q.kept.answer.as_ref().map(|a| &a.text), "lacks": q.lacks() }))
                .collect();
            self.state.wrong_answer = Some(json!({ "marked": marked, "tries": self.state.tries }).to_string());
        }
    }
}
