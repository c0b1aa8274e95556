//! The arithmetic of the forward pass, the same to the last bit on every processor.
//!
//! Promise: with the same inputs every function here gives the same bits under AVX-512, AVX2 and plain code, with any
//! number of threads and any split of the tokens. How: a lane is a row, so a row's blocks are added in one fixed
//! order; integer dot products are exact; each float step is one named operation (`fma` where a product is added);
//! sums over a vector run over 16 fixed partial sums and one fixed tree; `exp` is our own. Threads split rows or
//! heads, never sums.
//!
//! Quantised weights are repacked at load into tiles of 16 rows × 32 columns, at the file's own size. Activations are
//! rounded to 8 bits per 32 columns, as llama.cpp does. Besides this folder, `unsafe` is only
//! where threads share a buffer (`threads`, `weights`, `decoder`) and where a file is mapped (`gguf`).

#![allow(clippy::needless_range_loop, reason = "lanes and rows index several arrays at once")]

mod attention;
#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod float;
mod scalar;
mod tile;

pub use attention::attend;
pub use float::{
    add, dot_product, dot_rows, exp, gelu_erf, gelu_erf_mul, gelu_tanh, gelu_tanh_mul, layer_norm, rms_norm,
    rms_norm_in_place, rope, rope_halves, silu_mul, softcap, tanh,
};
pub use tile::{Activations, TILE_ROWS, Tiles};

/// Columns that share a scale.
pub const BLOCK: usize = 32;

/// Tokens that one pass over a tile serves at most.
const LANES: usize = 8;

/// Which instructions are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isa {
    /// AVX-512 with VNNI.
    Avx512,
    /// AVX2 with FMA and F16C.
    Avx2,
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
        Self::Scalar
    }

    /// All that this machine has, best first; for tests and `OSAI_CPU`.
    pub fn available() -> Vec<Self> {
        match Self::detect() {
            Self::Avx512 => vec![Self::Avx512, Self::Avx2, Self::Scalar],
            Self::Avx2 => vec![Self::Avx2, Self::Scalar],
            Self::Scalar => vec![Self::Scalar],
        }
    }

    /// As in `OSAI_CPU`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Avx512 => "avx512",
            Self::Avx2 => "avx2",
            Self::Scalar => "scalar",
        }
    }
}

/// `out[t][row] = Σ weight[row][col] · x[t][col]` for the tile rows `tiles`, each token's row of `out` being `stride`
/// long. `out` is a raw pointer because threads write disjoint rows of it.
///
/// # Safety
/// `out` is valid for `tokens × stride` floats, and no other thread touches the rows of `tiles`.
pub unsafe fn matmul(
    isa: Isa,
    w: &Tiles,
    x: &Activations,
    tiles: std::ops::Range<usize>,
    out: *mut f32,
    stride: usize,
) {
    debug_assert_eq!(w.blocks(), x.blocks());
    let tokens = x.tokens();
    for tile in tiles {
        let rows = TILE_ROWS.min(w.rows - tile * TILE_ROWS);
        let mut first = 0;
        while first < tokens {
            let many = LANES.min(tokens - first);
            let mut sums = [[0.0_f32; TILE_ROWS]; LANES];
            // SAFETY: `isa` was detected on this machine; tile and tokens lie within `w` and `x`.
            unsafe { tile_sums(isa, w, x, tile, first, many, &mut sums) };
            for (lane, sum) in sums.iter().take(many).enumerate() {
                // SAFETY: the caller's promise; row and token are in range.
                unsafe {
                    let to = out.add((first + lane) * stride + tile * TILE_ROWS);
                    std::ptr::copy_nonoverlapping(sum.as_ptr(), to, rows);
                }
            }
            first += many;
        }
    }
}

type Sums = [[f32; TILE_ROWS]; LANES];

#[inline]
unsafe fn tile_sums(isa: Isa, w: &Tiles, x: &Activations, tile: usize, first: usize, many: usize, sums: &mut Sums) {
    match isa {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: passed on to the caller of `matmul`.
        Isa::Avx512 => unsafe { avx512::tile_sums(w, x, tile, first, many, sums) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as above.
        Isa::Avx2 => unsafe { avx2::tile_sums(w, x, tile, first, many, sums) },
        _ => scalar::tile_sums(w, x, tile, first, many, sums),
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

#[cfg(test)]
mod tests {
    use super::tests_support::{Numbers, floats};
    use super::*;

    fn blocks(numbers: &mut Numbers, rows: usize, columns: usize, scales: usize, codes: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        for _ in 0..rows * columns / BLOCK {
            for _ in 0..scales {
                bytes.extend(half::f16::from_f32(numbers.float()).to_le_bytes());
            }
            bytes.extend((0..codes).map(|_| numbers.bits() as u8));
        }
        bytes
    }

    fn cases() -> Vec<(&'static str, Tiles, Vec<f32>, usize, usize)> {
        let mut numbers = Numbers(7);
        let mut cases = vec![];
        for (rows, columns) in [(16, 32), (48, 576), (5, 96), (33, 1536)] {
            let q41 = blocks(&mut numbers, rows, columns, 2, 16);
            let q80 = blocks(&mut numbers, rows, columns, 1, 32);
            let dense = |f: fn(&[u8]) -> [f32; 32], bytes: &[u8], size| bytes.chunks_exact(size).flat_map(f).collect();
            cases.push((
                "Q4_1",
                Tiles::q4_1(&q41, rows, columns),
                dense(scalar::dequantize_q4_1, &q41, 20),
                rows,
                columns,
            ));
            cases.push((
                "Q8_0",
                Tiles::q8_0(&q80, rows, columns),
                dense(scalar::dequantize_q8_0, &q80, 34),
                rows,
                columns,
            ));
        }
        cases
    }

    fn product(isa: Isa, w: &Tiles, x: &[f32], tokens: usize, rows: usize) -> Vec<f32> {
        let mut activations = Activations::default();
        activations.quantize(isa, x, tokens);
        let mut out = vec![f32::NAN; tokens * rows];
        // SAFETY: one thread, and `out` has the size.
        unsafe { matmul(isa, w, &activations, 0..w.tiles(), out.as_mut_ptr(), rows) };
        out
    }

    #[test]
    fn every_instruction_set_gives_the_same_bits() {
        for (name, w, _, rows, columns) in cases() {
            for tokens in [1, 3, 8, 11] {
                let x = floats(tokens as u64, tokens * columns);
                let want: Vec<u32> = product(Isa::Scalar, &w, &x, tokens, rows).iter().map(|v| v.to_bits()).collect();
                for isa in Isa::available() {
                    let got: Vec<u32> = product(isa, &w, &x, tokens, rows).iter().map(|v| v.to_bits()).collect();
                    assert!(got == want, "{name} {rows}x{columns}, {tokens} tokens: {isa:?} differs from scalar");
                }
            }
        }
    }

    #[test]
    fn one_token_at_a_time_gives_the_same_bits_as_all_at_once() {
        for (name, w, _, rows, columns) in cases() {
            let x = floats(3, 11 * columns);
            let all = product(Isa::detect(), &w, &x, 11, rows);
            for t in 0..11 {
                let one = product(Isa::detect(), &w, &x[t * columns..(t + 1) * columns], 1, rows);
                assert_eq!(one, all[t * rows..(t + 1) * rows], "{name}, token {t}");
            }
        }
    }

    /// Rounding an activation costs at most half a step of its block, and its scale 1 part in 2,048.
    #[test]
    fn products_are_those_of_the_dequantised_weights() {
        for (name, w, dense, rows, columns) in cases() {
            let x = floats(5, columns);
            let got = product(Isa::detect(), &w, &x, 1, rows);
            for row in 0..rows {
                let weights = &dense[row * columns..(row + 1) * columns];
                let exact: f64 = weights.iter().zip(&x).map(|(w, x)| f64::from(*w) * f64::from(*x)).sum();
                let bound: f64 = weights.iter().map(|w| f64::from(w.abs()) * (2.0 / 127.0 / 2.0 + 2.0 / 2048.0)).sum();
                assert!((f64::from(got[row]) - exact).abs() <= bound, "{name} row {row}: {} against {exact}", got[row]);
            }
        }
    }
}
