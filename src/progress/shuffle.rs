//! A random order that an attempt can be shown in again.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use sha2::{Digest, Sha256};

/// The numbers from 0 up to `len` in an order drawn from `seed` (an attempt's id): ChaCha8 seeded with the seed's SHA-256,
/// then Fisher and Yates. The same seed gives the same order on every machine.
pub fn shuffled(len: usize, seed: &str) -> Vec<usize> {
    let mut random = ChaCha8Rng::from_seed(Sha256::digest(seed).into());
    let mut order: Vec<usize> = (0..len).collect();
    for place in (1..len).rev() {
        // The bias of a remainder of 64 random bits is below one in 10^15 for any list that fits a screen.
        order.swap(place, (random.next_u64() % (place as u64 + 1)) as usize);
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_always_gives_the_same_order() {
        assert_eq!(shuffled(6, "a"), shuffled(6, "a"));
        assert_ne!(shuffled(6, "a"), shuffled(6, "b"));
        assert!(shuffled(0, "a").is_empty());
    }

    #[test]
    fn every_order_of_three_comes_up_about_equally_often() {
        let mut counts = std::collections::HashMap::new();
        for seed in 0..6000 {
            *counts.entry(shuffled(3, &seed.to_string())).or_insert(0) += 1;
        }
        assert_eq!(counts.len(), 6);
        assert!(counts.values().all(|count| (850..1150).contains(count)), "{counts:?}");
    }
}
