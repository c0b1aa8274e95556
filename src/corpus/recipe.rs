//! A recipe: what a model is made of, as a file (`model/recipe.toml`).
//!
//! ```toml
//! name = "osai-tiny-base"
//! seed = 20261124
//! tokens = 200_000_000
//! licence = "CC-BY-4.0"
//! planted = true                  # facts and people of known frequency, spread over the run
//!
//! [vocabulary]
//! size = 2048
//! documents = 30_000              # of the last phase's mix, for learning it
//!
//! [[phase]]
//! name = "copying"
//! share = 100                     # thousandths of the tokens
//! [phase.mix]                     # parts of the phase by tokens; only their proportions count
//! look-up = 300
//! copy = 200
//!
//! [train]                         # the trainer's own settings
//! learning_rate = 0.002
//! ```

use std::collections::BTreeMap;

use serde::Deserialize;

use super::bpe::{Bpe, LEAST};
use super::draw::Split;
use super::kinds::Kind;

/// A recipe, checked.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// The model's name.
    pub name: String,
    /// The seed of all documents.
    pub seed: u64,
    /// How many tokens training takes in.
    pub tokens: u64,
    /// The licence of the corpus, by its SPDX name.
    pub licence: String,
    /// Whether facts and people of known frequency are spread over the run (`planted.rs`).
    #[serde(default)]
    pub planted: bool,
    /// The vocabulary.
    pub vocabulary: VocabularyRecipe,
    /// The phases, in their order.
    #[serde(rename = "phase")]
    pub phases: Vec<Phase>,
    /// What the trainer reads, kept as it is.
    #[serde(default)]
    pub train: toml::Table,
}

/// How the vocabulary is learnt.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VocabularyRecipe {
    /// Its number of tokens.
    pub size: usize,
    /// The number of documents it is learnt from.
    pub documents: u64,
}

/// A stretch of training with one mix.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Phase {
    /// Its name.
    pub name: String,
    /// Thousandths of all tokens.
    pub share: u64,
    /// Kinds and their proportions, by tokens.
    pub mix: BTreeMap<Kind, u64>,
}

/// The vocabulary sizes that are allowed.
const SIZES: std::ops::RangeInclusive<usize> = LEAST..=65_536;

impl Recipe {
    /// Reads a recipe.
    ///
    /// # Errors
    /// What is wrong with it, in words for its author.
    pub fn parse(text: &str) -> Result<Self, String> {
        let recipe: Self = toml::from_str(text).map_err(|e| e.to_string())?;
        let shares: u64 = recipe.phases.iter().map(|phase| phase.share).sum();
        if shares != 1000 {
            return Err(format!("the phases' shares are {shares} thousandths together; they must be 1000"));
        }
        if !SIZES.contains(&recipe.vocabulary.size) {
            return Err(format!("a vocabulary of {}; it must be {SIZES:?}", recipe.vocabulary.size));
        }
        for phase in &recipe.phases {
            if phase.mix.values().all(|share| *share == 0) {
                return Err(format!("the phase `{}` has nothing in its mix", phase.name));
            }
            let only_planted = [Kind::Rare, Kind::Person].into_iter().find(|kind| phase.mix.contains_key(kind));
            if let Some(kind) = only_planted {
                let why = "it comes a known number of times; set `planted = true`";
                return Err(format!("`{}` can not be in the mix of `{}`: {why}", kind.name(), phase.name));
            }
        }
        Ok(recipe)
    }

    /// Learns the vocabulary from training documents of the last phase's mix; evaluation's names are not among them.
    pub fn vocabulary(&self) -> Bpe {
        let Some(phase) = self.phases.last() else { return Bpe::train([], LEAST) };
        let total: u64 = phase.mix.values().sum();
        let mut texts = Vec::new();
        for (kind, share) in &phase.mix {
            // By documents, not tokens: short tasks get their words in before long stories fill the vocabulary.
            let documents = (self.vocabulary.documents * share).div_ceil(total);
            texts.extend((0..documents).map(|number| kind.document(self.seed, Split::Train, number).text()));
        }
        Bpe::train(texts.iter().map(String::as_str), self.vocabulary.size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
        name = "x"
        seed = 1
        tokens = 1000
        licence = "CC-BY-4.0"
        vocabulary = { size = 512, documents = 100 }
        [[phase]]
        name = "all"
        share = 1000
        mix = { story = 1, look-up = 2 }
    "#;

    #[test]
    fn the_shipped_recipe_is_sound() {
        let recipe = Recipe::parse(include_str!("../../model/recipe.toml")).expect("sound");
        let kinds: Vec<Kind> = recipe.phases.iter().flat_map(|phase| phase.mix.keys().copied()).collect();
        let alone = [Kind::Rare, Kind::Person, Kind::Preference];
        let forgotten = Kind::ALL.into_iter().find(|kind| !kinds.contains(kind) && !alone.contains(kind));
        assert_eq!(forgotten, None);
    }

    /// The trainer packs whole documents into rows of 256 tokens.
    #[test]
    fn every_document_fits_a_row_of_256_tokens() {
        let recipe = Recipe::parse(include_str!("../../model/recipe.toml")).expect("sound");
        let vocabulary = recipe.vocabulary();
        assert_eq!(vocabulary.size(), recipe.vocabulary.size);
        for kind in Kind::ALL {
            for number in 0..300 {
                let document = kind.document(recipe.seed, Split::Held, number);
                let tokens = vocabulary.encode_document(&document).ids.len();
                assert!(tokens <= 256, "{tokens} tokens:\n{}", document.show());
            }
        }
    }

    #[test]
    fn faults_are_told() {
        assert!(Recipe::parse(GOOD).is_ok());
        let fault = |from: &str, to: &str| Recipe::parse(&GOOD.replace(from, to)).expect_err("a fault");
        assert!(fault("share = 1000", "share = 900").contains("900 thousandths"));
        assert!(fault("story = 1", "storey = 1").contains("storey"));
        assert!(fault("story = 1", "person = 1").contains("planted = true"));
        assert!(fault("size = 512", "size = 12").contains("vocabulary of 12"));
        assert!(fault("story = 1, look-up = 2", "story = 0").contains("nothing in its mix"));
    }

    #[test]
    fn the_vocabulary_has_the_size_asked_for() {
        let recipe = Recipe::parse(GOOD).expect("sound");
        assert_eq!(recipe.vocabulary().size(), 512);
        assert_eq!(recipe.vocabulary(), recipe.vocabulary());
    }
}
