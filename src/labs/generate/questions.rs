//! The questions of a lesson: what a right answer must say, and what the learner said about each.

use serde::{Deserialize, Serialize};

use super::take::{Kept, Take, holds};

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
