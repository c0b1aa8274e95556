//! How skills are asked for: `model/corpus/phrasings.toml`, and the ways in which people type a question.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;

use super::draw::{Draw, Split};
use super::grammar::{Slots, expand};

/// The ways of asking for one skill.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Phrasings {
    /// Those of training.
    pub train: Vec<String>,
    /// Those of evaluation.
    pub held: Vec<String>,
}

/// All skills by name.
pub static PHRASINGS: LazyLock<BTreeMap<String, Phrasings>> = LazyLock::new(|| {
    toml::from_str(include_str!("../../model/corpus/phrasings.toml")).expect("model/corpus/phrasings.toml is sound")
});

impl Phrasings {
    /// The list of the document's side.
    pub fn side(&self, split: Split) -> &[String] {
        match split {
            Split::Train => &self.train,
            Split::Held => &self.held,
        }
    }
}

/// A question for a skill, phrased as this document's side allows.
///
/// # Panics
/// For a skill that is not in the file.
pub fn ask(skill: &str, slots: &Slots, draw: &mut Draw) -> String {
    let phrasings = PHRASINGS.get(skill).unwrap_or_else(|| panic!("no phrasings for `{skill}`"));
    let template = draw.pick(phrasings.side(draw.split)).clone();
    let question = expand(&template, slots, draw);
    super::words::capital(&question)
}

/// A question as people type it: now and then in small letters, without its mark, or with a greeting. Only for
/// questions whose words need not be copied.
pub fn typed(question: &str, draw: &mut Draw) -> String {
    match draw.below(100) {
        0..15 => question.to_lowercase(),
        15..22 => question.trim_end_matches(['?', '.']).to_owned(),
        22..30 => format!(
            "{} {question}",
            draw.pick(&["Hi!", "Hello.", "Please help.", "I have a question.", "Good morning."])
        ),
        _ => question.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_phrasing_stands_once() {
        let mut all: Vec<String> = Vec::new();
        for phrasings in PHRASINGS.values() {
            all.extend(phrasings.train.iter().chain(&phrasings.held).map(|p| p.to_lowercase()));
        }
        let count = all.len();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), count);
    }

    #[test]
    fn held_phrasings_are_asked_in_evaluation_alone() {
        let slots = Slots::of([("w", "kite")]);
        let asked = |split| -> Vec<String> {
            let one = |n| ask("spell", &slots, &mut Draw::new(1, "test", split, n));
            (0..100).map(one).collect()
        };
        let held = asked(Split::Held);
        assert!(asked(Split::Train).iter().all(|question| !held.contains(question)));
    }
}
