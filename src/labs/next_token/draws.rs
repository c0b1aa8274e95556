//! Drawing 200 times and asking whether the draws agree with the probabilities.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::engine::{Sampler, SamplingParams, Share, TokenId};

/// Number of draws.
pub(super) const DRAWS: usize = 200;

/// Outcomes with a name of their own; the rest of the survivors is drawn as one.
const NAMED: usize = 255;

/// Fewest expected draws in a cell, as the chi-square test wants.
const LEAST_EXPECTED: f64 = 5.0;

/// The draws and what the test says about them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Draws {
    /// The seed.
    pub seed: u64,
    /// `(token, times drawn)` for the survivors with a name, likeliest first.
    pub counts: Vec<(TokenId, u32)>,
    /// Times that one of the other survivors was drawn.
    pub others: u32,
    /// Distance between draws and probabilities.
    pub chi_square: f64,
    /// Greatest distance that chance alone exceeds once in a hundred times.
    pub bound: f64,
    /// Cells compared, those with few expected draws pooled. With fewer than two there is nothing to compare.
    pub cells: usize,
}

impl Draws {
    /// Whether the draws agree with the probabilities.
    pub fn agrees(&self) -> bool {
        self.cells >= 2 && self.chi_square <= self.bound
    }
}

/// Draws [`DRAWS`] times with the engine's sampler from its own distribution, likeliest first.
///
/// Survivors beyond the first 255 are counted together, as one outcome whose probability is their sum.
pub(super) fn draw(all: &[Share], seed: u64) -> Draws {
    let kept = &all[..all.iter().take_while(|share| share.2).count()];
    let (named, rest) = kept.split_at(kept.len().min(NAMED));
    let mut shares: Vec<f64> = named.iter().map(|k| f64::from(k.1)).collect();
    if !rest.is_empty() {
        shares.push(rest.iter().map(|k| f64::from(k.1)).sum());
    }
    let total: f64 = shares.iter().sum();
    let mut counts = vec![0_u32; shares.len()];
    if !kept.is_empty() {
        let place: HashMap<TokenId, usize> = named.iter().enumerate().map(|(at, share)| (share.0, at)).collect();
        let mut sampler = Sampler::new(&SamplingParams { seed: Some(seed), ..SamplingParams::default() });
        for _ in 0..DRAWS {
            let drawn = sampler.draw(kept);
            counts[place.get(&drawn).copied().unwrap_or(NAMED)] += 1;
        }
    }
    let expected: Vec<f64> = shares.iter().map(|s| s / total * DRAWS as f64).collect();
    let (chi_square, cells) = chi_square(&expected, &counts);
    let others = if rest.is_empty() { 0 } else { counts.pop().unwrap_or(0) };
    Draws {
        seed,
        counts: named.iter().map(|k| k.0).zip(counts).collect(),
        others,
        chi_square,
        bound: bound(cells.saturating_sub(1)),
        cells,
    }
}

/// Pearson's sum, neighbours pooled until each cell expects at least five; with the number of cells.
fn chi_square(expected: &[f64], counts: &[u32]) -> (f64, usize) {
    let mut cells: Vec<(f64, f64)> = vec![];
    let mut open = (0.0, 0.0);
    for (e, c) in expected.iter().zip(counts) {
        open = (open.0 + e, open.1 + f64::from(*c));
        if open.0 >= LEAST_EXPECTED {
            cells.push(std::mem::take(&mut open));
        }
    }
    if open.0 > 0.0 {
        match cells.last_mut() {
            Some(last) => *last = (last.0 + open.0, last.1 + open.1),
            None => cells.push(open),
        }
    }
    (cells.iter().map(|(e, c)| (c - e).powi(2) / e).sum(), cells.len())
}

/// The 99% point of the chi-square distribution, by Wilson and Hilferty's cube root; within 3% of the tables from one
/// degree of freedom on.
fn bound(degrees: usize) -> f64 {
    if degrees == 0 {
        return 0.0;
    }
    let a = 2.0 / (9.0 * degrees as f64);
    degrees as f64 * (1.0 - a + 2.326_348 * a.sqrt()).powi(3)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Table values: R 4.2, `qchisq(0.99, c(1, 4, 10, 100))`.
    #[test]
    fn the_bound_is_that_of_the_tables() {
        for (degrees, table) in [(1, 6.635), (4, 13.277), (10, 23.209), (100, 135.807)] {
            assert!((bound(degrees) / table - 1.0).abs() < 0.03, "{degrees}: {}", bound(degrees));
        }
    }

    #[test]
    fn the_same_seed_draws_the_same_and_all_draws_are_counted() {
        let kept: Vec<Share> = (0..1000).map(|i| (i, 1.0 / (1.0 + i as f32), true)).collect();
        let draws = draw(&kept, 7);
        assert_eq!(draws, draw(&kept, 7));
        assert_ne!(draws.counts, draw(&kept, 8).counts);
        assert_eq!(draws.counts.iter().map(|c| c.1).sum::<u32>() + draws.others, DRAWS as u32);
        assert!(draws.others > 0);
    }

    #[test]
    fn one_survivor_leaves_nothing_to_compare() {
        let draws = draw(&[(3, 0.4, true), (4, 0.3, false)], 1);
        assert_eq!((draws.cells, draws.agrees()), (1, false));
        assert_eq!(draws.counts, [(3, 200)]);
        assert!(!draw(&[], 1).agrees());
    }

    #[test]
    fn draws_from_another_distribution_are_found_out() {
        let (sum, cells) = chi_square(&[100.0, 100.0], &[150, 50]);
        assert!(cells == 2 && sum > bound(1), "{sum}");
    }
}
