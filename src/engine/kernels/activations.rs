//! Activations rounded to 8 bits, the same for every quantised format.

use half::f16;

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

/// The largest size of a number.
#[inline(always)]
fn largest(x: &[f32; BLOCK]) -> f32 {
    let mut largest = [0.0_f32; 16];
    for i in 0..16 {
        largest[i] = x[i].abs().max(x[i + 16].abs());
    }
    largest.iter().fold(0.0_f32, |m, v| m.max(*v))
}

/// Rounds a block so that `largest` becomes 127.
#[inline(always)]
fn round_block(x: &[f32; BLOCK], largest: f32, block: &mut Block) {
    let rounded = |x: f32| f16::from_f32(x).to_f32();
    let scale = largest / 127.0;
    // A zero block has only zero codes; dividing by its scale would give NaN.
    let inverse = if largest > 0.0 { 127.0 / largest } else { 0.0 };
    let mut sums = [0; 2];
    for (half, sum) in sums.iter_mut().enumerate() {
        for i in 16 * half..16 * half + 16 {
            let code = (x[i] * inverse).round_ties_even() as i32;
            block.codes[i] = code as i8;
            *sum += code;
        }
    }
    let total = scale * (sums[0] + sums[1]) as f32;
    block.minus_halves = sums.map(|sum| -sum as i16);
    block.minus = -sums[0] - sums[1];
    block.rounded = Scale { scale: rounded(scale), total: rounded(total) };
    block.exact = Scale { scale, total };
}
