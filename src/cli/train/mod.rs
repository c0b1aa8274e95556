//! `osai train`: a model from nothing, by a recipe; and `osai train --show`, which shows what it learns from.
//!
//! ```text
//! OUT/recipe.toml              the recipe as it was
//! OUT/checkpoint.safetensors   weights, optimiser, place in the corpus: `--resume` goes on from it to the same bits
//! OUT/model.gguf               the model so far, F16, with its vocabulary and chat template
//! OUT/log.jsonl                what happened, one event a line; the same lines as `--json` prints
//! OUT/manifest.json            what the corpus was made of
//! ```

mod files;
mod recipe;
mod report;
mod run;

use std::io::Write;
use std::path::PathBuf;

use clap::Args as ClapArgs;

use super::environment::Globals;
use super::failure::Failure;
use super::out::Out;
use super::values::tokens;
use crate::corpus::{Kind, Split};
use crate::text::SafeText;

pub use run::story;

/// `osai train`.
#[derive(Debug, ClapArgs)]
pub struct TrainArgs {
    /// The recipe; that of osai's own model if not given
    #[arg(long, value_name = "FILE")]
    pub recipe: Option<PathBuf>,
    /// The folder for the model, its checkpoint and its log
    #[arg(long, value_name = "DIR", required_unless_present = "show")]
    pub out: Option<PathBuf>,
    /// Tokens to learn from, instead of the recipe's
    #[arg(long, value_name = "N", value_parser = tokens)]
    pub tokens: Option<u64>,
    /// Seed of the documents and the first weights, instead of the recipe's
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Go on with the run in DIR
    #[arg(long)]
    pub resume: bool,
    /// Write the model as a Hugging Face folder too
    #[arg(long, value_name = "DIR")]
    pub export: Option<PathBuf>,
    /// Print one event a line as JSON
    #[arg(long)]
    pub json: bool,
    /// Train nothing; print documents of this kind
    #[arg(long, value_name = "KIND", value_parser = kind, conflicts_with_all = ["out", "resume", "export", "json"])]
    pub show: Option<Kind>,
    /// How many documents to print
    #[arg(long, value_name = "N", default_value_t = 3, requires = "show", value_parser = tokens)]
    pub count: u64,
}

fn kind(name: &str) -> Result<Kind, String> {
    let names: Vec<&str> = Kind::ALL.into_iter().map(Kind::name).collect();
    Kind::named(name).ok_or_else(|| format!("a kind is one of {}", names.join(", ")))
}

/// Trains a model, or shows documents.
pub fn train(args: &TrainArgs, globals: &Globals, out: &mut Out) -> Result<(), Failure> {
    let plan = recipe::Plan::read(args)?;
    if let Some(kind) = args.show {
        for number in 0..args.count {
            let document = kind.document(plan.recipe.seed, Split::Train, number).show();
            let between = if number == 0 { "" } else { "\n" };
            writeln!(out, "{between}{}", SafeText::new(document).as_str())?;
        }
        return Ok(());
    }
    run::run(&plan, args, globals, out)
}
