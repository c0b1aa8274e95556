//! From logits to a token: bias, penalties, mask, temperature, top-k, top-p, min-p, typical-p, then a seeded draw.
//!
//! Hugging Face's order. Random numbers are ChaCha8's, so that a seed means the same tokens in every version.
//! [`rank`] sorts only what is looked at, [`filter`] says which tokens are left, [`adjust`] changes logits.

mod adjust;
mod filter;
mod rank;
#[cfg(test)]
mod tests;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

use super::kernels::{self, Isa};
use super::{EngineError, SamplingParams, TokenId};
pub(super) use filter::Kept;
pub(super) use rank::Ranked;
use rank::units;

/// A token, its probability at the temperature in force before any filter, and whether the filters keep it.
pub type Share = (TokenId, f32, bool);

/// The whole distribution over the next token, likeliest first (ties: smaller id first).
///
/// At temperature 0 the likeliest token has probability 1 and is the only one kept. Bias and penalties need the text
/// so far and are no part of this; see [`Sampler`].
pub fn distribution(logits: &[f32], params: &SamplingParams) -> Vec<Share> {
    if params.temperature <= 0.0 {
        let mut order: Vec<TokenId> = (0..logits.len() as u32).collect();
        order.sort_unstable_by(|a, b| logits[*b as usize].total_cmp(&logits[*a as usize]).then(a.cmp(b)));
        return order.into_iter().enumerate().map(|(i, id)| (id, f32::from(u8::from(i == 0)), i == 0)).collect();
    }
    let mut ranked = Ranked::new(softmax(logits, params.temperature));
    let kept = Kept::new(&mut ranked, params);
    (0..logits.len()).map_while(|rank| ranked.get(rank).map(|(id, p)| (id, p, kept.has(rank)))).collect()
}

/// Probabilities of logits divided by a temperature above 0.
pub fn softmax(logits: &[f32], temperature: f32) -> Vec<f32> {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut p: Vec<f32> = logits.iter().map(|l| (l - largest) / temperature).collect();
    kernels::exp(Isa::detect(), &mut p);
    let total: f64 = p.iter().map(|p| f64::from(*p)).sum();
    p.iter_mut().for_each(|p| *p = (f64::from(*p) / total) as f32);
    p
}

/// The largest logit's token; of equal ones the smaller id.
pub(super) fn likeliest(logits: &[f32]) -> TokenId {
    let mut best = 0;
    for (id, logit) in logits.iter().enumerate() {
        if logit.total_cmp(&logits[best]).is_gt() {
            best = id;
        }
    }
    best as TokenId
}

/// Draws tokens; same seed, same draws.
#[derive(Clone, Debug)]
pub struct Sampler {
    params: SamplingParams,
    bias: Vec<(TokenId, f32)>,
    rng: ChaCha8Rng,
}

impl Sampler {
    /// A sampler; without a seed in `params` it uses 0 (the engine draws one before).
    pub fn new(params: &SamplingParams) -> Self {
        Self::with_bias(params, Vec::new())
    }

    /// A sampler with a bias for tokens by id, in place of the one in `params`, which may name them by text.
    pub fn with_bias(params: &SamplingParams, bias: Vec<(TokenId, f32)>) -> Self {
        Self { params: params.clone(), bias, rng: ChaCha8Rng::seed_from_u64(params.seed.unwrap_or(0)) }
    }

    /// The settings.
    pub(super) fn params(&self) -> &SamplingParams {
        &self.params
    }

    /// Draws a token from logits.
    pub fn sample(&mut self, logits: &[f32]) -> TokenId {
        if self.params.temperature <= 0.0 {
            return likeliest(logits);
        }
        let mut ranked = Ranked::new(softmax(logits, self.params.temperature));
        let kept = Kept::new(&mut ranked, &self.params);
        self.draw_ranked(&mut ranked, &kept)
    }

    /// Draws from a distribution made with this sampler's settings.
    pub fn draw(&mut self, shares: &[Share]) -> TokenId {
        let kept = || shares.iter().filter(|s| s.2);
        let total = kept().map(|s| u128::from(units(s.1))).sum();
        let point = self.point(total);
        let mut sum = 0;
        let hit = kept().find(|s| {
            sum += u128::from(units(s.1));
            point < sum
        });
        hit.unwrap_or(&shares[0]).0
    }

    /// Draws among those that are kept, in order of their rank.
    pub(super) fn draw_ranked(&mut self, ranked: &mut Ranked, kept: &Kept) -> TokenId {
        let total = kept.total(ranked);
        let point = self.point(total);
        let mut sum = 0;
        for rank in 0.. {
            let Some((id, p)) = ranked.get(rank) else { break };
            if kept.has(rank) {
                sum += u128::from(units(p));
                if point < sum {
                    return id;
                }
            }
        }
        ranked.get(0).map_or(0, |(id, _)| id)
    }

    /// A number below `total`, the same on every machine: 53 random bits of it.
    fn point(&mut self, total: u128) -> u128 {
        let share = u128::from(self.rng.next_u64() >> 11);
        // In two parts, so that no total is too large.
        (total >> 53) * share + (((total & ((1 << 53) - 1)) * share) >> 53)
    }

    /// Adds bias and penalties to the model's logits; `text` is all that the model reads, `answer` what it made.
    pub(super) fn adjust(&self, logits: &mut [f32], text: &[TokenId], answer: &[TokenId]) {
        adjust::bias(logits, &self.bias);
        adjust::penalise(logits, &self.params, text, answer);
    }
}

impl SamplingParams {
    /// Checks every setting's range.
    ///
    /// # Errors
    /// [`EngineError::BadSetting`] with the setting, its value and its range.
    pub fn check(&self) -> Result<(), EngineError> {
        let bad = |what: String| Err(EngineError::BadSetting { what });
        if !(0.0..=10.0).contains(&self.temperature) {
            return bad(format!("temperature is {}; it must be from 0 to 10", self.temperature));
        }
        if self.top_k == Some(0) {
            return bad("top-k is 0; it must be at least 1".into());
        }
        if let Some(p) = self.top_p.filter(|p| !(*p > 0.0 && *p <= 1.0)) {
            return bad(format!("top-p is {p}; it must be above 0 and at most 1"));
        }
        if let Some(p) = self.min_p.filter(|p| !(0.0..=1.0).contains(p)) {
            return bad(format!("min-p is {p}; it must be from 0 to 1"));
        }
        if !(self.repetition_penalty > 0.0 && self.repetition_penalty <= 10.0) {
            return bad(format!(
                "repetition penalty is {}; it must be above 0 and at most 10",
                self.repetition_penalty
            ));
        }
        if let Some(p) = self.typical_p.filter(|p| !(*p > 0.0 && *p <= 1.0)) {
            return bad(format!("typical-p is {p}; it must be above 0 and at most 1"));
        }
        for (name, value) in [("frequency", self.frequency_penalty), ("presence", self.presence_penalty)] {
            if !(-2.0..=2.0).contains(&value) {
                return bad(format!("{name} penalty is {value}; it must be from -2 to 2"));
            }
        }
        if let Some((_, value)) = self.logit_bias.iter().find(|(_, value)| !(-100.0..=100.0).contains(value)) {
            return bad(format!("a logit bias is {value}; it must be from -100 to 100"));
        }
        Ok(())
    }
}
