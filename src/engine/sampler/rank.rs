//! A distribution that is sorted only as far as somebody looks.
//!
//! Almost every step needs the few likeliest of 49,152 tokens and the sum over all. The order is made band by band,
//! each [`BAND`] powers of two wide; sums are integers, so they are exact and no order of adding can change a bit.

use super::super::TokenId;

/// Bits of a float's exponent in a band: each band reaches down to 1/256 of its largest probability.
const BAND: u32 = 8 << 23;

/// Probabilities by token, and their order as far as it is known: likeliest first, ties by smaller id.
#[derive(Clone, Debug)]
pub struct Ranked {
    probabilities: Vec<f32>,
    /// Complemented bits of the probability, then the id: sorts as the order wants. All tokens at or above `floor`.
    order: Vec<u64>,
    floor: u64,
    next_floor: u64,
    total: u128,
}

/// A probability in units of 2^-62; exact for those above 2^-39. Sums need a `u128`: weights may be more than 1 in all.
pub fn units(probability: f32) -> u64 {
    (f64::from(probability) * (1_u64 << 62) as f64) as u64
}

impl Ranked {
    /// Takes the probabilities of all tokens; nothing is sorted yet.
    pub fn new(probabilities: Vec<f32>) -> Self {
        let largest = probabilities.iter().fold(0, |most, p| most.max(p.to_bits()));
        let total = probabilities.iter().map(|p| u128::from(units(*p))).sum();
        let next_floor = u64::from(largest.saturating_sub(BAND));
        Self { probabilities, order: Vec::new(), floor: u64::MAX, next_floor, total }
    }

    /// Number of tokens.
    pub fn len(&self) -> usize {
        self.probabilities.len()
    }

    /// Sum of all probabilities, in [`units`].
    pub fn total(&self) -> u128 {
        self.total
    }

    /// The probability of a token.
    pub fn probability(&self, id: TokenId) -> f32 {
        self.probabilities[id as usize]
    }

    /// The token at a rank, 0 the likeliest, with its probability.
    pub fn get(&mut self, rank: usize) -> Option<(TokenId, f32)> {
        while rank >= self.order.len() {
            if self.floor == 0 {
                return None;
            }
            self.sort_next_band();
        }
        let key = self.order[rank];
        Some((key as u32, f32::from_bits(!((key >> 32) as u32))))
    }

    fn sort_next_band(&mut self) {
        let (from, below) = (self.next_floor, self.floor);
        let old = self.order.len();
        for (id, p) in self.probabilities.iter().enumerate() {
            let bits = u64::from(p.to_bits());
            if bits >= from && bits < below {
                self.order.push((u64::from(!p.to_bits()) << 32) | id as u64);
            }
        }
        self.order[old..].sort_unstable();
        self.floor = from;
        self.next_floor = from.saturating_sub(u64::from(BAND));
    }
}
