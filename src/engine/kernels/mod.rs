//! The arithmetic of the forward pass, the same to the last bit on every processor.
//!
//! Promise: with the same inputs every function here gives the same bits under AVX-512, AVX2, NEON and plain code, with
//! any number of threads, any split of the tokens and any state of the cache. How: in a product a lane is a row, in a
//! score a position, so sums run in one fixed order; integer dot products are exact; each float step is one named
//! operation (`fma` where a product is added); sums over a vector run over 16 fixed partial sums and one fixed tree;
//! `exp`, `tanh` and `erf` are our own. Threads split rows, heads or positions, never sums.
//!
//! Weights are repacked in use into tiles of 16 rows (`tile`), each format written once over a trait of registers
//! (`vector`). Activations are rounded to 8 bits, as ggml does. Besides this folder, `unsafe` is only where threads
//! share a buffer (`threads`, `weights`, `attention`) and where a file is mapped.

#![allow(clippy::needless_range_loop, reason = "lanes and rows index several arrays at once")]

mod activations;
mod attention;
mod dense;
mod float;
mod format;
mod matmul;
mod matrix;
mod pages;
mod source;
#[cfg(test)]
mod tests;
mod tile;
mod vector;

pub use activations::{Activations, quantize, quantize_wide};
pub use attention::{Head, KEY_TILE, Query, attend};
pub use float::{
    AdamStep, adamw, add, axpby, cross_entropy, dot_product, exp, gelu_erf, gelu_tanh_mul, layer_norm, nesterov,
    rms_norm, rms_norm_backward, rms_norm_in_place, rope, rope_halves, silu_mul, softcap, softmax_backward,
    softmax_row, swiglu, swiglu_backward,
};
pub use format::Format;
pub use matmul::{Packed, Part, View, matmul};
pub use matrix::{Input, Matrix, product};
pub use source::Source;
pub use tile::TILE_ROWS;

/// Columns that share a scale.
pub const BLOCK: usize = 32;

/// Which instructions are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isa {
    /// AVX-512 with VNNI.
    Avx512,
    /// AVX2 with FMA and F16C.
    Avx2,
    /// NEON with dot products.
    Neon,
    /// Plain Rust.
    Scalar,
}

impl Isa {
    /// The best this machine has.
    pub fn detect() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            use std::arch::is_x86_feature_detected as has;
            if has!("avx512f") && has!("avx512bw") && has!("avx512vl") && has!("avx512dq") && has!("avx512vnni") {
                return Self::Avx512;
            }
            if has!("avx2") && has!("fma") && has!("f16c") {
                return Self::Avx2;
            }
        }
        #[cfg(target_arch = "aarch64")]
        if std::arch::is_aarch64_feature_detected!("neon") && std::arch::is_aarch64_feature_detected!("dotprod") {
            return Self::Neon;
        }
        Self::Scalar
    }

    /// All that this machine has, best first; for tests and `OSAI_CPU`.
    pub fn available() -> Vec<Self> {
        match Self::detect() {
            Self::Avx512 => vec![Self::Avx512, Self::Avx2, Self::Scalar],
            Self::Avx2 => vec![Self::Avx2, Self::Scalar],
            Self::Neon => vec![Self::Neon, Self::Scalar],
            Self::Scalar => vec![Self::Scalar],
        }
    }

    /// The set with that name, for `OSAI_CPU`.
    ///
    /// # Errors
    /// A sentence, when there is none of that name or this machine lacks it.
    pub fn named(name: &str) -> Result<Self, String> {
        let all = [Self::Avx512, Self::Avx2, Self::Neon, Self::Scalar];
        let available = Self::available();
        let names = available.iter().map(|isa| isa.name()).collect::<Vec<_>>().join(", ");
        match all.into_iter().find(|isa| isa.name() == name) {
            Some(isa) if available.contains(&isa) => Ok(isa),
            Some(isa) => Err(format!("this machine has no {}; it has {names}", isa.name())),
            None => Err(format!("no instruction set has that name; this machine has {names}")),
        }
    }

    /// As in `OSAI_CPU`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Avx512 => "avx512",
            Self::Avx2 => "avx2",
            Self::Neon => "neon",
            Self::Scalar => "scalar",
        }
    }
}

#[cfg(test)]
pub(crate) mod tests_support {
    /// A small generator of test numbers (SplitMix64), so that the cases are the same everywhere.
    pub struct Numbers(pub u64);

    impl Numbers {
        pub fn bits(&mut self) -> u64 {
            self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB)
        }

        /// From -2 to 2.
        pub fn float(&mut self) -> f32 {
            ((self.bits() >> 40) as f32 / (1_u64 << 24) as f32 - 0.5) * 4.0
        }
    }

    pub fn floats(seed: u64, n: usize) -> Vec<f32> {
        let mut numbers = Numbers(seed);
        (0..n).map(|_| numbers.float()).collect()
    }
}
