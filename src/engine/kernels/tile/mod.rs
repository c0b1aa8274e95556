//! Weights as tiles: 16 rows × 32 or 256 columns, repacked so that a register holds the same columns of each row.
//!
//! Four neighbouring columns of a row lie side by side, then the same of the next row: `codes[64 g + 4 r + c]` is
//! column `4 g + c` of row `r`. A format is its layout, one function that packs a row's block as the file has it, one
//! that unpacks a block's codes into registers, and one that gives the scales. Everything else is in [`narrow`] (32
//! columns on their own) and [`wide`] (256 that share a scale of scales). Formats of ggml's `ggml-common.h`.

mod narrow;
mod pack;
mod wide;

pub(super) use narrow::{Q40, Q41, Q50, Q51, Q80};
pub(super) use wide::{Q2K, Q3K, Q4K, Q5K, Q6K};

use super::BLOCK;
use super::activations::Block;
use super::vector::Vector;

/// Rows of a tile: the 32-bit lanes of a 512-bit register.
pub const TILE_ROWS: usize = 16;

/// A quantised format.
pub(super) trait Tile: 'static {
    /// Blocks of 32 columns in a tile: 1, or 8 where 256 columns share something.
    const BLOCKS: usize;
    /// Bytes of a tile.
    const BYTES: usize;
    /// Bytes that a row's share of a tile takes in the file.
    const SOURCE: usize;

    /// Puts a row's block, as the file has it, into a tile that was zero.
    fn pack(tile: &mut [u8], row: usize, source: &[u8]);

    /// `acc[m] += weights · x[m]` over a tile, for the rows of register `part`.
    ///
    /// # Safety
    /// `tile` is valid for `BYTES`, each of `x` for `BLOCKS` blocks, `part` is below `16 / ROWS`; see also [`Vector`].
    unsafe fn add<V: Vector, const M: usize>(
        tile: *const u8,
        part: usize,
        x: [*const Block; M],
        acc: &mut [V::Floats; M],
    );

    /// A row's block as floats.
    ///
    /// # Safety
    /// `tile` is valid for `BYTES`.
    unsafe fn row(tile: *const u8, block: usize, row: usize, out: &mut [f32; BLOCK]);
}

/// Implements [`Tile`] for a format, with `add` and `row` of its module; the body is `pack`.
macro_rules! tile {
    ($name:ident, blocks $blocks:expr, bytes $bytes:expr, source $source:expr, |$tile:ident, $row:ident, $from:ident| $pack:block) => {
        impl Tile for $name {
            const BLOCKS: usize = $blocks;
            const BYTES: usize = $bytes;
            const SOURCE: usize = $source;

            #[inline(always)]
            fn pack($tile: &mut [u8], $row: usize, $from: &[u8]) $pack

            #[inline(always)]
            unsafe fn add<V: Vector, const M: usize>(
                tile: *const u8,
                part: usize,
                x: [*const Block; M],
                acc: &mut [V::Floats; M],
            ) {
                // SAFETY: the caller's promise.
                unsafe { add::<Self, V, M>(tile, part, x, acc) }
            }

            unsafe fn row(tile: *const u8, block: usize, at: usize, out: &mut [f32; BLOCK]) {
                // SAFETY: the caller's promise.
                unsafe { row::<Self>(tile, block, at, out) }
            }
        }
    };
}
use tile;
