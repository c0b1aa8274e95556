//! Which tokens top-k, top-p, min-p and typical-p leave.

use super::super::{SamplingParams, TokenId};
use super::rank::{Ranked, units};

/// The tokens that the filters leave; at least one.
#[derive(Clone, Debug)]
pub struct Kept {
    /// The first so many by rank,
    count: usize,
    /// without those that typical-p drops (`false`), by rank.
    typical: Option<Vec<bool>>,
}

impl Kept {
    /// What is left of a distribution. Each filter works on what the one before left, renormalised, as in Hugging
    /// Face's chain of warpers.
    pub fn new(ranked: &mut Ranked, params: &SamplingParams) -> Self {
        let mut count = params.top_k.unwrap_or(ranked.len()).clamp(1, ranked.len());
        if let Some(top_p) = params.top_p.filter(|p| *p < 1.0) {
            let reach = f64::from(top_p) * first(ranked, count) as f64;
            let mut sum = 0;
            let reached = (0..count).find(|rank| {
                sum += ranked.get(*rank).map_or(0, |(_, p)| u128::from(units(p)));
                sum as f64 >= reach
            });
            count = reached.map_or(count, |rank| rank + 1);
        }
        if let Some(min_p) = params.min_p.filter(|p| *p > 0.0) {
            let floor = min_p * ranked.get(0).map_or(0.0, |(_, p)| p);
            count = (0..count).find(|rank| ranked.get(*rank).is_none_or(|(_, p)| p < floor)).unwrap_or(count).max(1);
        }
        let typical = params.typical_p.filter(|p| *p < 1.0).map(|p| typical(ranked, count, p));
        Self { count, typical }
    }

    /// The likeliest token alone.
    pub fn first() -> Self {
        Self { count: 1, typical: None }
    }

    /// Whether the token at a rank is left.
    pub fn has(&self, rank: usize) -> bool {
        rank < self.count && self.typical.as_ref().is_none_or(|typical| typical[rank])
    }

    /// Whether a token with this probability and id is left.
    pub fn has_token(&self, ranked: &mut Ranked, id: TokenId) -> bool {
        // Everything is left: no need to find its rank.
        if self.count == ranked.len() && self.typical.is_none() {
            return true;
        }
        (0..self.count)
            .find(|rank| ranked.get(*rank).is_some_and(|(at, _)| at == id))
            .is_some_and(|rank| self.has(rank))
    }

    /// Sum of the probabilities that are left, in [`units`].
    pub fn total(&self, ranked: &mut Ranked) -> u128 {
        match &self.typical {
            None => first(ranked, self.count),
            Some(typical) => {
                let left = (0..self.count).filter(|rank| typical[*rank]);
                left.map(|rank| ranked.get(rank).map_or(0, |(_, p)| u128::from(units(p)))).sum()
            }
        }
    }
}

/// Sum of the `count` likeliest.
fn first(ranked: &mut Ranked, count: usize) -> u128 {
    if count == ranked.len() {
        return ranked.total();
    }
    (0..count).map(|rank| ranked.get(rank).map_or(0, |(_, p)| u128::from(units(p)))).sum()
}

/// Which of the `count` likeliest typical-p keeps, by rank: those whose surprise `-ln p` is nearest to the entropy,
/// until their probabilities reach `mass`. Logarithms by a portable library, so that every machine keeps the same.
///
/// Source: Meister et al., Locally Typical Sampling, 2022; Hugging Face's `TypicalLogitsWarper`.
fn typical(ranked: &mut Ranked, count: usize, mass: f32) -> Vec<bool> {
    let total = first(ranked, count) as f64 / (1_u64 << 62) as f64;
    let shares: Vec<f64> = (0..count).map(|rank| ranked.get(rank).map_or(0.0, |(_, p)| f64::from(p) / total)).collect();
    let surprise = |p: f64| if p > 0.0 { -libm::log(p) } else { f64::INFINITY };
    let entropy: f64 = shares.iter().filter(|p| **p > 0.0).map(|p| p * surprise(*p)).sum();
    let distance: Vec<f64> = shares.iter().map(|p| (surprise(*p) - entropy).abs()).collect();
    let mut nearest: Vec<usize> = (0..count).collect();
    nearest.sort_by(|a, b| distance[*a].total_cmp(&distance[*b]));
    let mut sum = 0.0;
    let last = nearest.iter().find(|rank| {
        sum += shares[**rank];
        sum >= f64::from(mass)
    });
    let limit = distance[*last.unwrap_or(&nearest[count - 1])];
    distance.into_iter().map(|d| d <= limit).collect()
}
