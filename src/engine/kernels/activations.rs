//! Activations rounded to 8 bits, the same for every quantised format.

use super::float::versions;
use super::{BLOCK, Isa};

/// 32 columns of one token, `x ≈ scale · code`, with what the formats need of them, in one cache line.
///
/// Two scales, because ggml has two: `block_q8_1`, which it uses beside the formats with 32 columns a block, rounds
/// scale and total to 16 bits, `block_q8_K`, for the K formats, does not. Small models are sensitive here; so that
/// they say what they say in llama.cpp, each format uses its own.
#[repr(C, align(64))]
#[derive(Clone, Copy, Debug, Default)]
pub struct Block {
    /// From -127 to 127.
    pub(super) codes: [i8; BLOCK],
    /// Negative sum of the codes.
    pub(super) minus: i32,
    /// The same of each half.
    pub(super) minus_halves: [i16; 2],
    /// The same of this block and the one after it; only with a scale for 256 columns, and in every other block.
    pub(super) minus_two: [i16; 2],
    /// Scale and `scale · Σ codes`, each rounded to 16 bits.
    pub(super) rounded: Scale,
    /// The same in 32 bits.
    pub(super) exact: Scale,
}

#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Scale {
    pub scale: f32,
    pub total: f32,
}

/// Rows of activations as the kernels read them.
#[derive(Debug, Default)]
pub struct Activations {
    blocks: Vec<Block>,
    tokens: usize,
}

impl Activations {
    /// Makes room for `tokens` rows of `columns`, a multiple of 32.
    pub fn resize(&mut self, tokens: usize, columns: usize) {
        assert!(columns.is_multiple_of(BLOCK), "quantised formats have whole blocks");
        self.tokens = tokens;
        self.blocks.resize(tokens * columns / BLOCK, Block::default());
    }

    /// Number of tokens.
    pub fn tokens(&self) -> usize {
        self.tokens
    }

    /// Blocks of 32 columns a token.
    pub fn width(&self) -> usize {
        self.blocks.len() / self.tokens.max(1)
    }

    /// The room, token by token, to be filled with [`quantize`].
    pub fn blocks_mut(&mut self) -> &mut [Block] {
        &mut self.blocks
    }

    /// Blocks, token by token.
    pub(super) fn blocks(&self) -> &[Block] {
        &self.blocks
    }
}

versions! {
    /// Rounds blocks of 32, each with a scale of its own, as ggml does beside formats with 32 columns a block.
    pub fn quantize = quantize_body(x: &[f32], blocks: &mut [Block])
}
#[inline(always)]
fn quantize_body(x: &[f32], blocks: &mut [Block]) {
    for (x, block) in x.as_chunks::<BLOCK>().0.iter().zip(blocks) {
        round_block(x, largest(x), block);
    }
}

versions! {
    /// Rounds blocks of 32, eight of which share a scale, as ggml does beside the K formats.
    pub fn quantize_wide = quantize_wide_body(x: &[f32], blocks: &mut [Block])
}
#[inline(always)]
fn quantize_wide_body(x: &[f32], blocks: &mut [Block]) {
    for (x, blocks) in x.as_chunks::<{ 8 * BLOCK }>().0.iter().zip(blocks.as_chunks_mut::<8>().0) {
        let parts = x.as_chunks::<BLOCK>().0;
        let largest = parts.iter().map(largest).fold(0.0_f32, f32::max);
        for (x, block) in parts.iter().zip(&mut *blocks) {
            round_block(x, largest, block);
        }
        for [first, second] in blocks.as_chunks_mut::<2>().0 {
            first.minus_two = [first.minus as i16, second.minus as i16];
        }
    }
}

/// The largest size of a number; what is no number counts as 0.
#[inline(always)]
fn largest(x: &[f32; BLOCK]) -> f32 {
    // Not `f32::max`, which costs three instructions.
    let larger = |a: f32, b: f32| if b > a { b } else { a };
    let mut largest = [0.0_f32; 16];
    for half in x.as_chunks::<16>().0 {
        for i in 0..16 {
            largest[i] = larger(largest[i], half[i].abs());
        }
    }
    let eight: [f32; 8] = std::array::from_fn(|i| larger(largest[i], largest[i + 8]));
    let four: [f32; 4] = std::array::from_fn(|i| larger(eight[i], eight[i + 4]));
    larger(larger(four[0], four[2]), larger(four[1], four[3]))
}

/// Rounds a block so that `largest` becomes 127.
#[inline(always)]
fn round_block(x: &[f32; BLOCK], largest: f32, block: &mut Block) {
    let scale = largest / 127.0;
    // A zero block has only zero codes; dividing by its scale would give NaN.
    let inverse = if largest > 0.0 { 127.0 / largest } else { 0.0 };
    let mut codes = [0_i32; BLOCK];
    for i in 0..BLOCK {
        codes[i] = nearest(x[i] * inverse);
    }
    for i in 0..BLOCK {
        block.codes[i] = codes[i] as i8;
    }
    let mut sums = [0; 2];
    for i in 0..16 {
        sums[0] += codes[i];
        sums[1] += codes[16 + i];
    }
    let total = scale * (sums[0] + sums[1]) as f32;
    block.minus_halves = sums.map(|sum| -sum as i16);
    block.minus = -sums[0] - sums[1];
    block.rounded = Scale { scale: half_precision(scale), total: half_precision(total) };
    block.exact = Scale { scale, total };
}

/// The nearest integer, a tie to the even one; `x` is at most about 127. What is no number becomes 0. Unlike a cast, this
/// is done for many numbers at once.
#[inline(always)]
fn nearest(x: f32) -> i32 {
    // From here to twice as far the steps of an f32 are 1.
    const FAR: f32 = 12_582_912.0;
    let x = if x.abs() < 128.0 { x } else { 0.0 };
    (x + FAR).to_bits() as i32 - FAR.to_bits() as i32
}

/// The nearest number of 16 bits, as `half::f16` rounds; here because that one is a call, twice for each number.
#[inline(always)]
fn half_precision(x: f32) -> f32 {
    let size = x.abs();
    // Below 2⁻¹⁴ the steps are 2⁻²⁴, those of an f32 from one half to one.
    let small = (size + 0.5) - 0.5;
    // Else 13 bits go, a tie to the even neighbour.
    let bits = size.to_bits();
    let large = f32::from_bits((bits + 0xfff + (bits >> 13 & 1)) & !0x1fff);
    let large = if large >= 65_536.0 { f32::INFINITY } else { large };
    let size = if size < 6.103_515_6e-5 { small } else { large };
    if x.is_nan() { x } else { size.copysign(x) }
}

#[cfg(test)]
mod tests {
    use half::f16;

    use super::*;
    use crate::engine::kernels::tests_support::Numbers;

    #[test]
    fn half_precision_is_that_of_the_library() {
        let mut numbers = Numbers(1);
        let every = (0..=u16::MAX).map(|bits| f16::from_bits(bits).to_f32()).flat_map(|x| {
            // The number, its neighbours, and the middle between it and the next, with neighbours.
            let bits = x.to_bits();
            [bits, bits.wrapping_add(1), bits.wrapping_sub(1), bits + 0x1000, bits + 0xfff, bits + 0x1001]
        });
        let any = (0..100_000).map(|_| numbers.bits() as u32);
        for x in every.chain(any).map(f32::from_bits).filter(|x| !x.is_nan()) {
            assert_eq!(half_precision(x).to_bits(), f16::from_f32(x).to_f32().to_bits(), "{x:e}");
        }
        assert!(half_precision(f32::NAN).is_nan());
    }
}
