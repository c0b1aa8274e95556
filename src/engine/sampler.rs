//! From logits to a distribution and to a token. A simple stand-in until the engine's own lands.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

use super::{SamplingParams, TokenId};

/// The distribution over the next token, likeliest first: `(token, probability at the temperature before any filter,
/// whether it survives top-k, top-p and min-p)`.
///
/// Order as in Hugging Face's `generate`: temperature, top-k, top-p, min-p; each filter looks at what the one before
/// left, renormalised. Temperature 0 puts everything on the likeliest token.
pub fn distribution(logits: &[f32], params: &SamplingParams) -> Vec<(TokenId, f32, bool)> {
    let mut sorted: Vec<(TokenId, f32)> = (0..).zip(logits.iter().copied()).collect();
    sorted.sort_unstable_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    let Some(&(_, largest)) = sorted.first() else { return vec![] };
    if params.temperature <= 0.0 {
        return sorted.iter().enumerate().map(|(i, &(id, _))| (id, if i == 0 { 1.0 } else { 0.0 }, i == 0)).collect();
    }
    let weights: Vec<f64> = sorted.iter().map(|&(_, l)| f64::from((l - largest) / params.temperature).exp()).collect();
    let total: f64 = weights.iter().sum();
    let mut kept = sorted.len().min(params.top_k.unwrap_or(usize::MAX).max(1));
    if let Some(top_p) = params.top_p {
        let mass: f64 = weights[..kept].iter().sum();
        let mut sum = 0.0;
        let needed = weights[..kept].iter().take_while(|w| {
            let before = sum;
            sum += **w / mass;
            before < f64::from(top_p)
        });
        kept = needed.count().max(1);
    }
    if let Some(min_p) = params.min_p {
        let bound = f64::from(min_p) * weights[0];
        kept = weights[..kept].iter().take_while(|w| **w >= bound).count().max(1);
    }
    let share = |i: usize| (weights[i] / total) as f32;
    sorted.iter().enumerate().map(|(i, &(id, _))| (id, share(i), i < kept)).collect()
}

/// Draws tokens, the same ones for the same seed.
#[derive(Debug)]
pub struct Sampler {
    params: SamplingParams,
    rng: ChaCha8Rng,
}

impl Sampler {
    /// A sampler that starts at the seed of `params` (0 if there is none).
    pub fn new(params: &SamplingParams) -> Self {
        Self { params: params.clone(), rng: ChaCha8Rng::seed_from_u64(params.seed.unwrap_or(0)) }
    }

    /// Draws one token.
    pub fn sample(&mut self, logits: &[f32]) -> TokenId {
        let kept: Vec<_> = distribution(logits, &self.params).into_iter().take_while(|c| c.2).collect();
        let total: f64 = kept.iter().map(|c| f64::from(c.1)).sum();
        let mut at = self.rng.next_u64() as f64 / u64::MAX as f64 * total;
        for &(id, share, _) in &kept {
            at -= f64::from(share);
            if at < 0.0 {
                return id;
            }
        }
        kept.last().map_or(0, |c| c.0)
    }
}
