//! A recipe file as a whole: what the corpus reads of it, and the trainer's part, `[train]`.

use std::fs;
use std::path::Path;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use super::TrainArgs;
use crate::cli::failure::{DATA, Failure, USAGE};
use crate::corpus::Recipe;
use crate::engine::train::{Initialisation, OptimizerConfig, Schedule, Shape, TrainConfig};

/// The recipe of osai's own model.
const OWN: &str = include_str!("../../../model/recipe.toml");

/// A recipe, read and checked, with what the command line changes in it.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The corpus's part.
    pub recipe: Recipe,
    /// The trainer's part.
    pub how: How,
    /// The file's text.
    pub text: String,
    /// Hash of all that decides the weights: a checkpoint of another recipe is no beginning for this one.
    pub sha256: String,
}

/// The file again, for the trainer's part alone.
#[derive(Deserialize)]
struct File {
    train: How,
}

/// `[train]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct How {
    /// Tokens of a step, on average.
    pub batch_tokens: usize,
    /// Tokens that go through at once at most.
    pub micro_batch_tokens: usize,
    /// Steps from one line of the log to the next.
    pub log_every: usize,
    /// Steps from one checkpoint to the next.
    pub checkpoint_every: usize,
    /// Documents of each kind whose loss is told at a checkpoint.
    pub held_out: u64,
    /// The model's shape.
    model: ModelShape,
    /// How its weights are drawn.
    #[serde(default)]
    pub initialisation: Initialisation,
    /// AdamW, and Muon for the matrices if it has a table.
    #[serde(default)]
    pub optimizer: OptimizerConfig,
    /// How the learning rate goes.
    schedule: Decaying,
}

/// The shape without what the vocabulary decides; names as in `config.json`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ModelShape {
    hidden_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    num_key_value_heads: usize,
    intermediate_size: usize,
    max_position_embeddings: usize,
    rope_theta: f64,
    tie_word_embeddings: bool,
}

/// The schedule without its length, which follows from the tokens.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Decaying {
    warmup_steps: usize,
    decay: crate::engine::train::Decay,
}

impl Plan {
    /// Reads the recipe that the arguments name.
    ///
    /// # Errors
    /// With the place in the file and what to do there.
    pub fn read(args: &TrainArgs) -> Result<Self, Failure> {
        let (name, text) = match &args.recipe {
            None => ("model/recipe.toml".to_owned(), OWN.to_owned()),
            Some(path) => (path.display().to_string(), text_of(path)?),
        };
        Self::parse(&name, text, args.tokens, args.seed)
    }

    fn parse(name: &str, text: String, tokens: Option<u64>, seed: Option<u64>) -> Result<Self, Failure> {
        let bad = |why: String| Failure::new(DATA, format!("{name}: {why}"));
        // Read twice: as data, for the place of a fault; by the corpus, for what its parts must be to each other.
        part::<Recipe>(name, &text)?;
        let mut recipe = Recipe::parse(&text).map_err(bad)?;
        if recipe.train.is_empty() {
            return Err(bad(
                "there is no [train] table; model/recipe.toml of osai's source has one to start from".into()
            ));
        }
        let how = part::<File>(name, &text)?.train;
        recipe.tokens = tokens.unwrap_or(recipe.tokens);
        recipe.seed = seed.unwrap_or(recipe.seed);
        for (key, value) in [
            ("batch_tokens", how.batch_tokens),
            ("micro_batch_tokens", how.micro_batch_tokens),
            ("log_every", how.log_every),
            ("checkpoint_every", how.checkpoint_every),
            ("tokens", recipe.tokens as usize),
        ] {
            if value == 0 {
                return Err(bad(format!("`{key}` is 0; give 1 or more")));
            }
        }
        let mut hash = Sha256::new();
        hash.update(&text);
        hash.update(recipe.tokens.to_le_bytes());
        hash.update(recipe.seed.to_le_bytes());
        Ok(Self { recipe, how, text, sha256: format!("{:x}", hash.finalize()) })
    }

    /// The model's shape.
    pub fn shape(&self) -> Shape {
        let model = &self.how.model;
        Shape {
            hidden_size: model.hidden_size,
            num_hidden_layers: model.num_hidden_layers,
            num_attention_heads: model.num_attention_heads,
            num_key_value_heads: model.num_key_value_heads,
            intermediate_size: model.intermediate_size,
            vocab_size: self.recipe.vocabulary.size,
            max_position_embeddings: model.max_position_embeddings,
            rope_theta: model.rope_theta,
            tie_word_embeddings: model.tie_word_embeddings,
        }
    }

    /// The trainer's settings.
    pub fn config(&self) -> TrainConfig {
        let max_steps = self.recipe.tokens.div_ceil(self.how.batch_tokens as u64) as usize;
        TrainConfig {
            batch_tokens: self.how.batch_tokens,
            micro_batch_tokens: self.how.micro_batch_tokens,
            optimizer: self.how.optimizer,
            schedule: Schedule {
                warmup_steps: self.how.schedule.warmup_steps,
                max_steps,
                decay: self.how.schedule.decay,
            },
            seed: self.recipe.seed,
        }
    }
}

fn text_of(path: &Path) -> Result<String, Failure> {
    let cannot = |why: std::io::Error| {
        let sentence =
            format!("cannot read the recipe `{}`: {why}; give a file like model/recipe.toml", path.display());
        Failure::new(if path.exists() { DATA } else { USAGE }, sentence)
    };
    fs::read_to_string(path).map_err(cannot)
}

/// Reads a part of the file; a fault is told as `FILE:LINE:COLUMN: what`.
fn part<T: DeserializeOwned>(name: &str, text: &str) -> Result<T, Failure> {
    toml::from_str(text).map_err(|error| {
        let start = error.span().map_or(0, |span| span.start).min(text.len());
        let before = &text.as_bytes()[..start];
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        let column = before.iter().rev().take_while(|byte| **byte != b'\n').count() + 1;
        let what = error.message().replace('\n', ", ");
        Failure::new(DATA, format!("{name}:{line}:{column}: {what}; mend it there, model/recipe.toml shows the form"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(from: &str, to: &str) -> String {
        assert!(OWN.contains(from), "{from}");
        Plan::parse("r.toml", OWN.replacen(from, to, 1), None, None).expect_err("a fault").sentence()
    }

    #[test]
    fn the_shipped_recipe_is_a_plan() {
        let plan = Plan::parse("model/recipe.toml", OWN.into(), Some(1_152_001), Some(7)).expect("sound");
        assert_eq!((plan.config().schedule.max_steps, plan.recipe.seed), (1_001, 7));
        let shape = plan.shape();
        assert!(shape.hidden_size.is_multiple_of(256) && shape.intermediate_size.is_multiple_of(256));
        assert!(shape.config().is_ok());
        let other = Plan::parse("model/recipe.toml", OWN.into(), None, Some(8)).expect("sound");
        assert_ne!(plan.sha256, other.sha256);
    }

    #[test]
    fn a_fault_is_told_with_its_place() {
        let line = 1 + OWN.lines().position(|line| line.starts_with("hidden_size")).expect("a key");
        assert_eq!(
            fault("hidden_size = 256", "hidden_size = \"wide\""),
            format!(
                "r.toml:{line}:15: invalid type: string \"wide\", expected usize; mend it there, model/recipe.toml shows \
                 the form"
            )
        );
        assert!(fault("story = 270", "storey = 270").contains("unknown variant `storey`"));
        assert!(fault("share = 900", "share = 800").contains("900 thousandths together; they must be 1000"));
        assert!(fault("rope_theta", "rope_teta").contains("unknown field `rope_teta`"));
        assert!(fault("log_every = 50", "log_every = 0").contains("`log_every` is 0; give 1 or more"));
        let cut = OWN.split("# How it is trained").next().expect("a beginning").to_owned();
        let failure = Plan::parse("r.toml", cut, None, None).expect_err("a fault");
        assert!(failure.sentence().contains("no [train] table"));
    }
}
