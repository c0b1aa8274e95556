//! Formats with a scale for 16 columns: Q2_K, Q3_K, Q6_K.
//!
//! `weight = d · scale · (code - OFFSET) - dmin · minimum`; a block adds
//! `fma(Σ scale · (code - OFFSET) · x, d · x_scale, acc)`, the sum over both halves exact in 32 bits, then
//! `fma(-Σ minimum · x, dmin · x_scale, acc)` where there are minima.

use super::pack::*;
use super::whole::{put_f16, tile};
use super::{BLOCK, TILE_ROWS, Tile};
use crate::engine::kernels::activations::Block;
use crate::engine::kernels::vector::Vector;
use crate::engine::kernels::vector::plain::Plain;

/// What such a format says of itself.
trait Halves {
    /// Largest code.
    const MAX: i32;
    /// Taken from each code.
    const OFFSET: i32 = 0;

    /// The block's codes.
    ///
    /// # Safety
    /// As [`Tile::add`], here and below.
    unsafe fn codes<V: Vector>(tile: *const u8, block: usize, part: usize) -> [V::Bytes; 8];

    /// The scale of half `half`, counted from the start of the tile.
    ///
    /// # Safety
    /// As [`Tile::add`].
    unsafe fn scale<V: Vector>(tile: *const u8, half: usize, part: usize) -> V::Ints;

    /// The minimum of half `half`.
    ///
    /// # Safety
    /// As [`Tile::add`].
    #[inline(always)]
    unsafe fn minimum<V: Vector>(_tile: *const u8, _half: usize, _part: usize) -> Option<V::Ints> {
        None
    }

    /// `d`, or with `1` `dmin`.
    ///
    /// # Safety
    /// As [`Tile::add`].
    unsafe fn d<V: Vector>(tile: *const u8, which: usize, part: usize) -> V::Floats;
}

#[inline(always)]
unsafe fn add<T: Halves, V: Vector, const M: usize>(
    tile: *const u8,
    block: usize,
    part: usize,
    x: [*const Block; M],
    acc: &mut [V::Floats; M],
) {
    // SAFETY: the caller's promise.
    unsafe {
        let [a, b, c, d, e, f, g, h] = T::codes::<V>(tile, block, part);
        let low = x.map(|x| (*x).codes.as_ptr());
        let high = low.map(|x| x.add(BLOCK / 2));
        let minus = |half: usize| x.map(|x| (*x).minus_halves[half]);
        let low = V::dots(T::OFFSET, T::MAX, [a, b, c, d], low, minus(0));
        let high = V::dots(T::OFFSET, T::MAX, [e, f, g, h], high, minus(1));
        let scales = [T::scale::<V>(tile, 2 * block, part), T::scale::<V>(tile, 2 * block + 1, part)];
        let minima = (T::minimum::<V>(tile, 2 * block, part), T::minimum::<V>(tile, 2 * block + 1, part));
        let d = T::d::<V>(tile, 0, part);
        for m in 0..M {
            let scale = V::floats((*x[m]).exact.scale);
            let dot = V::add_ints(V::mul_ints(scales[0], low[m]), V::mul_ints(scales[1], high[m]));
            acc[m] = V::fma(V::to_floats(dot), V::mul(d, scale), acc[m]);
            if let (Some(first), Some(second)) = minima {
                let [x0, x1] = (*x[m]).minus_halves;
                let taken = V::add_ints(V::mul_ints(first, V::ints(x0)), V::mul_ints(second, V::ints(x1)));
                acc[m] = V::fma(V::to_floats(taken), V::mul(T::d::<V>(tile, 1, part), scale), acc[m]);
            }
        }
    }
}

unsafe fn row<T: Halves>(tile: *const u8, block: usize, row: usize, out: &mut [f32; BLOCK]) {
    // SAFETY: the caller's promise; one row of plain code needs no instruction set.
    unsafe {
        let codes = T::codes::<Plain<1>>(tile, block, row);
        let [d] = T::d::<Plain<1>>(tile, 0, row);
        for (i, (out, code)) in out.iter_mut().zip(codes.as_flattened().as_flattened()).enumerate() {
            let [scale] = T::scale::<Plain<1>>(tile, 2 * block + i / 16, row);
            let minimum = T::minimum::<Plain<1>>(tile, 2 * block + i / 16, row);
            let minimum = minimum.map_or(0.0, |[minimum]| T::d::<Plain<1>>(tile, 1, row)[0] * minimum as f32);
            *out = ((scale * (i32::from(*code) - T::OFFSET)) as f32).mul_add(d, -minimum);
        }
    }
}

const HALVES: usize = 2 * TILE_ROWS;
/// A byte for each row and 16 columns.
const SCALES: usize = 16 * TILE_ROWS;
/// Tiles begin with a cache line.
const LINE: usize = 64;

#[inline(always)]
unsafe fn f16_at<V: Vector>(tile: *const u8, at: usize, part: usize) -> V::Floats {
    // SAFETY: the caller's promise.
    unsafe { V::floats_f16(tile.add(at + 2 * V::ROWS * part)) }
}

/// `Q6_K`: `d · scale · (code - 32)`, scales signed 8 bits.
pub(in crate::engine::kernels) struct Q6K;
const Q6_BLOCK: usize = BYTES_4 + BYTES_2;
const Q6_SCALES: usize = 8 * Q6_BLOCK;
tile!(Q6K, blocks 8, bytes (Q6_SCALES + SCALES + HALVES).next_multiple_of(LINE), source 210, |tile, row, from| {
    let (low, high, scales) = (&from[..128], &from[128..192], &from[192..208]);
    for j in 0..8 {
        // 128 columns share 64 bytes of low bits (low halves the first 64 columns, high halves the others) and 32 of
        // high ones.
        let k = j % 4;
        let low: &[u8; BLOCK] = low[64 * (j / 4) + 32 * (k % 2)..].first_chunk().expect("within 128 bytes");
        let high: &[u8; BLOCK] = high[32 * (j / 4)..].first_chunk().expect("within 64 bytes");
        let codes = std::array::from_fn(|i| ((low[i] >> (4 * (k / 2))) & 15) | ((high[i] >> (2 * k)) & 3) << 4);
        pack_4(&mut tile[Q6_BLOCK * j..], row, codes);
        pack_2::<4>(&mut tile[Q6_BLOCK * j + BYTES_4..], row, codes);
    }
    for (half, scale) in scales.iter().enumerate() {
        tile[Q6_SCALES + TILE_ROWS * half + row] = *scale;
    }
    put_f16(tile, Q6_SCALES + SCALES, row, &from[208..]);
});
impl Halves for Q6K {
    const MAX: i32 = 63;
    const OFFSET: i32 = 32;
    #[inline(always)]
    unsafe fn codes<V: Vector>(tile: *const u8, block: usize, part: usize) -> [V::Bytes; 8] {
        // SAFETY: the caller's promise, here and below.
        unsafe {
            let low = unpack_4::<V>(tile.add(Q6_BLOCK * block), part);
            or_2_at_4::<V>(low, tile.add(Q6_BLOCK * block + BYTES_4), part)
        }
    }
    #[inline(always)]
    unsafe fn scale<V: Vector>(tile: *const u8, half: usize, part: usize) -> V::Ints {
        // SAFETY: as above.
        unsafe { V::ints_i8(tile.add(Q6_SCALES + TILE_ROWS * half + V::ROWS * part)) }
    }
    #[inline(always)]
    unsafe fn d<V: Vector>(tile: *const u8, _: usize, part: usize) -> V::Floats {
        // SAFETY: as above.
        unsafe { f16_at::<V>(tile, Q6_SCALES + SCALES, part) }
    }
}

/// The two-bit codes of block `j` in the 64 bytes of `Q2_K` and `Q3_K`: 128 columns share 32 bytes.
#[inline(always)]
fn two_bits(bytes: &[u8], j: usize) -> [u8; BLOCK] {
    std::array::from_fn(|i| (bytes[32 * (j / 4) + i] >> (2 * (j % 4))) & 3)
}

/// `Q3_K`: `d · (scale - 32) · (code - 4)`, scales 6 bits.
pub(in crate::engine::kernels) struct Q3K;
const Q3_BLOCK: usize = BYTES_2 + BYTES_1;
const Q3_SCALES: usize = 8 * Q3_BLOCK;
tile!(Q3K, blocks 8, bytes (Q3_SCALES + SCALES + HALVES).next_multiple_of(LINE), source 110, |tile, row, from| {
    let (high, low, scales) = (&from[..32], &from[32..96], &from[96..108]);
    for j in 0..8 {
        let two = two_bits(low, j);
        let codes = std::array::from_fn(|i| two[i] | ((high[i] >> j) & 1) << 2);
        pack_2::<0>(&mut tile[Q3_BLOCK * j..], row, codes);
        pack_1::<2>(&mut tile[Q3_BLOCK * j + BYTES_2..], row, codes);
    }
    for half in 0..16 {
        let low = if half < 8 { scales[half] & 15 } else { scales[half - 8] >> 4 };
        let high = (scales[8 + half % 4] >> (2 * (half / 4))) & 3;
        tile[Q3_SCALES + TILE_ROWS * half + row] = (low | high << 4).wrapping_sub(32);
    }
    put_f16(tile, Q3_SCALES + SCALES, row, &from[108..]);
});
impl Halves for Q3K {
    const MAX: i32 = 7;
    const OFFSET: i32 = 4;
    #[inline(always)]
    unsafe fn codes<V: Vector>(tile: *const u8, block: usize, part: usize) -> [V::Bytes; 8] {
        // SAFETY: as above.
        unsafe {
            let low = unpack_2::<V>(tile.add(Q3_BLOCK * block), part);
            or_1_at_2::<V>(low, tile.add(Q3_BLOCK * block + BYTES_2), part)
        }
    }
    #[inline(always)]
    unsafe fn scale<V: Vector>(tile: *const u8, half: usize, part: usize) -> V::Ints {
        // SAFETY: as above.
        unsafe { V::ints_i8(tile.add(Q3_SCALES + TILE_ROWS * half + V::ROWS * part)) }
    }
    #[inline(always)]
    unsafe fn d<V: Vector>(tile: *const u8, _: usize, part: usize) -> V::Floats {
        // SAFETY: as above.
        unsafe { f16_at::<V>(tile, Q3_SCALES + SCALES, part) }
    }
}

/// `Q2_K`: `d · scale · code - dmin · minimum`, scale in the low four bits of a byte, minimum in the high ones.
pub(in crate::engine::kernels) struct Q2K;
const Q2_SCALES: usize = 8 * BYTES_2;
tile!(Q2K, blocks 8, bytes Q2_SCALES + SCALES + 2 * HALVES, source 84, |tile, row, from| {
    let (scales, codes) = (&from[..16], &from[16..80]);
    for j in 0..8 {
        pack_2::<0>(&mut tile[BYTES_2 * j..], row, two_bits(codes, j));
    }
    for (half, scale) in scales.iter().enumerate() {
        tile[Q2_SCALES + TILE_ROWS * half + row] = *scale;
    }
    put_f16(tile, Q2_SCALES + SCALES, row, &from[80..]);
    put_f16(tile, Q2_SCALES + SCALES + HALVES, row, &from[82..]);
});
impl Halves for Q2K {
    const MAX: i32 = 3;
    #[inline(always)]
    unsafe fn codes<V: Vector>(tile: *const u8, block: usize, part: usize) -> [V::Bytes; 8] {
        // SAFETY: as above.
        unsafe { unpack_2::<V>(tile.add(BYTES_2 * block), part) }
    }
    #[inline(always)]
    unsafe fn scale<V: Vector>(tile: *const u8, half: usize, part: usize) -> V::Ints {
        // SAFETY: as above.
        unsafe { V::ints_u8::<0>(tile.add(Q2_SCALES + TILE_ROWS * half + V::ROWS * part), 15) }
    }
    #[inline(always)]
    unsafe fn minimum<V: Vector>(tile: *const u8, half: usize, part: usize) -> Option<V::Ints> {
        // SAFETY: as above.
        Some(unsafe { V::ints_u8::<4>(tile.add(Q2_SCALES + TILE_ROWS * half + V::ROWS * part), 15) })
    }
    #[inline(always)]
    unsafe fn d<V: Vector>(tile: *const u8, which: usize, part: usize) -> V::Floats {
        // SAFETY: as above.
        unsafe { f16_at::<V>(tile, Q2_SCALES + SCALES + HALVES * which, part) }
    }
}
