//! Stories that the model writes from nothing, judged by rules.

use serde::Serialize;

use crate::cli::failure::{Failure, INTERRUPTED};
use crate::cli::session::Interrupt;
use crate::cli::train::story;
use crate::corpus::judge::story_faults;
use crate::engine::Model;

/// Tokens of a story at most; the corpus's are shorter.
const LONGEST: usize = 240;

/// A story.
#[derive(Debug, Serialize)]
pub struct Told {
    /// Its seed.
    pub seed: u64,
    /// What rules see wrong with it.
    pub faults: Vec<String>,
    /// The story.
    pub text: String,
}

/// Stories of seeds 1 to `count`, at temperature 0.8.
pub fn tell(model: &mut Model, count: u64, interrupt: &Interrupt) -> Result<Vec<Told>, Failure> {
    let mut told = Vec::new();
    for seed in 1..=count {
        let text = story(model, seed, LONGEST)?;
        if interrupt.is_pressed() {
            return Err(Failure::silent(INTERRUPTED));
        }
        let faults = story_faults(&text).iter().map(|fault| format!("{fault:?}")).collect();
        told.push(Told { seed, faults, text });
    }
    Ok(told)
}
