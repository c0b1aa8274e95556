//! Looking inside a model on the bench: traces, the logit lens, interventions, scores and embeddings.
//!
//! Every method here takes a callback that is asked between forward passes whether to go on.

mod jobs;
mod score;
#[cfg(test)]
mod tests;

use std::ops::ControlFlow;

use serde::{Deserialize, Serialize};

use super::cache::KvCache;
use super::decoder::{CHUNK, Logits};
use super::model::{Each, Model};
use super::probe::{Blind, Both, Intervene, Interventions, Probe, Seen, Trace};
use super::{EngineError, Prompt, TextToken, TokenId, Update};
use score::highest;
pub use score::{Comparison, Score, TokenScore, kl_divergence, log_sum_exp};

/// What the model would say after each layer, if its output layer read there (nostalgebraist, "interpreting GPT: the
/// logit lens", 2020).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Lens {
    /// The text.
    pub tokens: Vec<TextToken>,
    /// `num_hidden_layers + 1` rows, the last being what the model really says; a cell for each token.
    pub layers: Vec<Vec<LensCell>>,
}

/// The lens at one layer and token.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LensCell {
    /// The likeliest next token there.
    pub likeliest: TextToken,
    /// Its probability.
    pub probability: f32,
    /// The probability there of what the last layer holds likeliest.
    pub of_final: f32,
}

/// How a text becomes one vector.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pooling {
    /// The mean over all tokens.
    #[default]
    Mean,
    /// The last token's.
    Last,
    /// The first token's (BERT's `[CLS]`).
    Cls,
}

/// A forward pass, opened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Traced {
    /// The text.
    pub tokens: Vec<TextToken>,
    /// What was computed on the way.
    pub trace: Trace,
    /// The logits after the last token, `vocab_size` of them.
    pub logits: Vec<f32>,
}

impl Model {
    /// Everything that a forward pass over a text computes on its way, and the logits after it; with interventions, as
    /// they left it. `None` when `each` said stop.
    ///
    /// # Errors
    /// [`EngineError::ContextOverflow`].
    pub fn trace(&mut self, prompt: &Prompt, each: Each<'_>) -> Result<Option<Traced>, EngineError> {
        let (_, tokens) = self.read(prompt)?;
        let mut trace = Trace::default();
        let logits = self.watch(&tokens, CHUNK, Logits::Last, &mut trace, each);
        Ok(logits.map(|logits| Traced { tokens: self.texts(&tokens), trace, logits }))
    }

    /// The logit lens over a text. `None` when `each` said stop.
    ///
    /// # Errors
    /// As [`Model::trace`].
    pub fn lens(&mut self, prompt: &Prompt, each: Each<'_>) -> Result<Option<Lens>, EngineError> {
        let (_, tokens) = self.read(prompt)?;
        let mut states = States::default();
        if self.watch(&tokens, CHUNK, Logits::None, &mut states, each).is_none() {
            return Ok(None);
        }
        let (hidden, vocabulary) = (self.decoder.config.hidden_size, self.decoder.config.vocab_size);
        let rows = self.decoder.config.num_hidden_layers + 1;
        let mut layers: Vec<Vec<LensCell>> = vec![Vec::with_capacity(tokens.len()); rows];
        let (mut column, mut logits) = (Vec::with_capacity(rows * hidden), Vec::new());
        for position in 0..tokens.len() {
            if each(Update::Reading { done: position, total: tokens.len() }).is_break() {
                return Ok(None);
            }
            column.clear();
            for layer in 0..rows {
                column.extend_from_slice(&states.0[layer][position * hidden..(position + 1) * hidden]);
            }
            // One token's column at a time bounds the memory: rows × vocabulary.
            for (first, column) in column.chunks(CHUNK * hidden).enumerate() {
                let mut part = Vec::new();
                self.decoder.read_out(column, &mut self.compute, &mut part);
                if first == 0 {
                    logits.clear();
                }
                logits.extend_from_slice(&part);
            }
            let last = highest(&logits[(rows - 1) * vocabulary..]);
            for (layer, logits) in logits.chunks_exact(vocabulary).enumerate() {
                let (best, norm) = (highest(logits), log_sum_exp(logits));
                let probability = |id: usize| (f64::from(logits[id]) - norm).exp() as f32;
                layers[layer].push(LensCell {
                    likeliest: self.tokenizer.token(best as TokenId),
                    probability: probability(best),
                    of_final: probability(last),
                });
            }
        }
        Ok(Some(Lens { tokens: self.texts(&tokens), layers }))
    }

    /// A text as one vector of length 1, from the residual stream after the final norm. `None` when `each` said stop.
    ///
    /// # Errors
    /// As [`Model::trace`].
    pub fn embed(
        &mut self,
        prompt: &Prompt,
        pooling: Pooling,
        each: Each<'_>,
    ) -> Result<Option<Vec<f32>>, EngineError> {
        let (_, tokens) = self.read(prompt)?;
        let mut states = States::default();
        if self.watch(&tokens, CHUNK, Logits::None, &mut states, each).is_none() {
            return Ok(None);
        }
        let last = states.0.last().expect("a model has layers");
        let normed = self.decoder.normed(last, &mut self.compute);
        Ok(Some(pool(&normed, self.decoder.config.hidden_size, pooling)))
    }

    /// A steering vector from two texts: the mean residual stream before `layer` along `a`, less that along `b`; added
    /// before the same layer, it pushes towards what `a` has and `b` has not. `None` when `each` said stop.
    ///
    /// The first position of a text longer than that is left out: models park a constant there, a hundred times larger
    /// than anything else (the attention sink; Xiao et al., 2023), which would drown the difference.
    ///
    /// # Errors
    /// As [`Model::trace`]; [`EngineError::BadSetting`] for a layer that the model does not have.
    pub fn contrast(
        &mut self,
        a: &Prompt,
        b: &Prompt,
        layer: usize,
        each: Each<'_>,
    ) -> Result<Option<Vec<f32>>, EngineError> {
        let (layers, hidden) = (self.decoder.config.num_hidden_layers, self.decoder.config.hidden_size);
        if layer > layers {
            return Err(EngineError::BadSetting {
                what: format!("there is no layer {layer}; a vector is taken before 0 to {layers}"),
            });
        }
        let mut difference = vec![0.0_f64; hidden];
        for (prompt, sign) in [(a, 1.0), (b, -1.0)] {
            let (_, tokens) = self.read(prompt)?;
            let mut states = States::default();
            if self.watch(&tokens, CHUNK, Logits::None, &mut states, each).is_none() {
                return Ok(None);
            }
            let first = usize::from(tokens.len() > 1);
            let share = sign / (tokens.len() - first) as f64;
            for x in states.0[layer][first * hidden..].chunks_exact(hidden) {
                difference.iter_mut().zip(x).for_each(|(sum, x)| *sum += share * f64::from(*x));
            }
        }
        Ok(Some(difference.into_iter().map(|x| x as f32).collect()))
    }

    /// Changes what the model computes from now on; empty interventions change nothing. Forgets the prompt cache.
    ///
    /// # Errors
    /// [`EngineError::BadSetting`] for a layer, head or width that the model does not have, or a strength or number
    /// that is none.
    pub fn intervene(&mut self, what: Interventions) -> Result<(), EngineError> {
        self.possible(&what)?;
        self.interventions = what;
        self.forget();
        Ok(())
    }

    /// Whether the model has what would be changed.
    fn possible(&self, what: &Interventions) -> Result<(), EngineError> {
        let config = &self.decoder.config;
        let (layers, heads, hidden) = (config.num_hidden_layers, config.num_attention_heads, config.hidden_size);
        let refuse = |what: String| Err(EngineError::BadSetting { what });
        let whole = what.ablated_attentions.iter().chain(&what.ablated_mlps);
        let named = whole.chain(what.ablated_heads.iter().map(|(layer, _)| layer));
        if let Some(layer) = named.copied().find(|layer| *layer >= layers) {
            return refuse(format!("there is no layer {layer}; this model has layers 0 to {}", layers - 1));
        }
        if let Some((_, head)) = what.ablated_heads.iter().find(|(_, head)| *head >= heads) {
            return refuse(format!("there is no head {head}; this model has heads 0 to {}", heads - 1));
        }
        for steering in &what.steering {
            if steering.layer > layers {
                return refuse(format!("there is no layer {}; a vector goes in before 0 to {layers}", steering.layer));
            }
            if steering.vector.len() != hidden {
                return refuse(format!(
                    "a steering vector of {} numbers; this model's have {hidden}",
                    steering.vector.len()
                ));
            }
            if !steering.strength.is_finite() || steering.vector.iter().any(|x| !x.is_finite()) {
                return refuse("a steering vector or its strength has a number that is not finite".into());
            }
        }
        Ok(())
    }

    /// Forgets what was computed for the last prompt: something has changed that it depends on.
    pub(super) fn forget(&mut self) {
        self.kept = None;
    }

    /// One forward pass with the interventions in force.
    pub(super) fn step(&mut self, tokens: &[TokenId], cache: &mut KvCache, which: Logits, logits: &mut Vec<f32>) {
        self.pass(tokens, cache, which, logits, &mut Blind);
    }

    /// The same, with a probe that sees what the interventions left.
    fn pass<P: Probe>(
        &mut self,
        tokens: &[TokenId],
        cache: &mut KvCache,
        which: Logits,
        logits: &mut Vec<f32>,
        probe: &mut P,
    ) {
        if self.interventions == Interventions::default() {
            self.decoder.forward(tokens, cache, &mut self.compute, which, logits, probe);
        } else {
            let head_dim = self.decoder.config.head_dim;
            let mut both = Both(Intervene { what: &self.interventions, head_dim }, probe);
            self.decoder.forward(tokens, cache, &mut self.compute, which, logits, &mut both);
        }
    }

    /// The logits after each token of a text, `tokens × vocab_size`, from an empty cache: for tests and references.
    #[doc(hidden)]
    pub fn all_logits(&mut self, tokens: &[TokenId], chunk: usize) -> Vec<f32> {
        let mut go_on = |_| ControlFlow::Continue(());
        self.watch(tokens, chunk, Logits::All, &mut Blind, &mut go_on).expect("never stopped")
    }

    /// The logits after the last of some tokens, from an empty cache: for tests against other engines.
    #[doc(hidden)]
    pub fn logits(&mut self, tokens: &[TokenId], chunk: usize) -> Vec<f32> {
        let mut go_on = |_| ControlFlow::Continue(());
        self.watch(tokens, chunk, Logits::Last, &mut Blind, &mut go_on).expect("never stopped")
    }

    /// Runs tokens through with a probe, from an empty cache; `None` when `each`, asked between chunks, said stop.
    fn watch<P: Probe>(
        &mut self,
        tokens: &[TokenId],
        chunk: usize,
        which: Logits,
        probe: &mut P,
        each: Each<'_>,
    ) -> Option<Vec<f32>> {
        let mut cache = self.decoder.cache();
        let (mut all, mut part) = (Vec::new(), Vec::new());
        let chunks = tokens.chunks(chunk.clamp(1, CHUNK));
        let last = chunks.len() - 1;
        for (i, chunk) in chunks.enumerate() {
            let wanted = if which == Logits::Last && i < last { Logits::None } else { which };
            self.pass(chunk, &mut cache, wanted, &mut part, probe);
            if wanted != Logits::None {
                all.extend_from_slice(&part);
            }
            if i < last && each(Update::Reading { done: cache.len(), total: tokens.len() }).is_break() {
                return None;
            }
        }
        Some(all)
    }
}

/// Keeps the residual streams, layer by layer, positions one after the other.
#[derive(Default)]
struct States(Vec<Vec<f32>>);

impl Probe for States {
    const LOOKS: bool = true;
    const ATTENTIONS: bool = false;
    const EDITS: bool = false;
    fn see(&mut self, seen: Seen<'_>) {
        if let Seen::HiddenState { layer, x, .. } = seen {
            self.0.resize(self.0.len().max(layer + 1), Vec::new());
            self.0[layer].extend_from_slice(x);
        }
    }
    fn edit(&mut self, _: super::probe::Edit<'_>) {}
}

/// Rows of `width` numbers as one vector of length 1.
pub(super) fn pool(rows: &[f32], width: usize, pooling: Pooling) -> Vec<f32> {
    let mut out = match pooling {
        Pooling::Last => rows[rows.len() - width..].to_vec(),
        Pooling::Cls => rows[..width].to_vec(),
        Pooling::Mean => {
            let mut sum = vec![0.0; width];
            for row in rows.chunks_exact(width) {
                sum.iter_mut().zip(row).for_each(|(sum, x)| *sum += x);
            }
            sum
        }
    };
    let length = out.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
    if length > 0.0 {
        out.iter_mut().for_each(|x| *x = (f64::from(*x) / length) as f32);
    }
    out
}
