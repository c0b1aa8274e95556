//! Formats with one scale for 32 columns: Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q4_K, Q5_K.
//!
//! `weight = scale · (code - OFFSET) + minimum`; a block adds
//! `fma(Σ (code - OFFSET) · x, scale · x_scale, acc)`, then `fma(minimum, x_total, acc)` where there is a minimum.

use super::pack::*;
use super::{BLOCK, TILE_ROWS, Tile};
use crate::engine::kernels::activations::Block;
use crate::engine::kernels::vector::Vector;
use crate::engine::kernels::vector::plain::Plain;

/// What such a format says of itself.
trait Whole {
    /// Largest code.
    const MAX: i32;
    /// Taken from each code.
    const OFFSET: i32 = 0;
    /// Whether ggml pairs it with activations whose scales are not rounded.
    const EXACT: bool = false;

    /// The block's codes.
    ///
    /// # Safety
    /// As [`Tile::add`], here and below.
    unsafe fn codes<V: Vector>(tile: *const u8, block: usize, part: usize) -> [V::Bytes; 8];

    /// The block's scale and minimum.
    ///
    /// # Safety
    /// As [`Tile::add`].
    unsafe fn scale<V: Vector>(tile: *const u8, block: usize, part: usize) -> (V::Floats, Option<V::Floats>);
}

#[inline(always)]
unsafe fn add<T: Whole, V: Vector, const M: usize>(
    tile: *const u8,
    block: usize,
    part: usize,
    x: [*const Block; M],
    acc: &mut [V::Floats; M],
) {
    // SAFETY: the caller's promise.
    unsafe {
        let codes = T::codes::<V>(tile, block, part);
        let dots = V::dots(T::OFFSET, T::MAX, codes, x.map(|x| (*x).codes.as_ptr()), x.map(|x| (*x).minus));
        let (scale, minimum) = T::scale::<V>(tile, block, part);
        for m in 0..M {
            let of = if T::EXACT { &(*x[m]).exact } else { &(*x[m]).rounded };
            acc[m] = V::fma(V::to_floats(dots[m]), V::mul(scale, V::floats(of.scale)), acc[m]);
            if let Some(minimum) = minimum {
                acc[m] = V::fma(minimum, V::floats(of.total), acc[m]);
            }
        }
    }
}

unsafe fn row<T: Whole>(tile: *const u8, block: usize, row: usize, out: &mut [f32; BLOCK]) {
    // SAFETY: the caller's promise; one row of plain code needs no instruction set.
    let (codes, ([scale], minimum)) =
        unsafe { (T::codes::<Plain<1>>(tile, block, row), T::scale::<Plain<1>>(tile, block, row)) };
    for (out, code) in out.iter_mut().zip(codes.as_flattened().as_flattened()) {
        *out = ((i32::from(*code) - T::OFFSET) as f32).mul_add(scale, minimum.map_or(0.0, |[m]| m));
    }
}

/// Implements [`Tile`] for a format; the body is `pack`.
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
                block: usize,
                part: usize,
                x: [*const Block; M],
                acc: &mut [V::Floats; M],
            ) {
                // SAFETY: the caller's promise.
                unsafe { add::<Self, V, M>(tile, block, part, x, acc) }
            }

            unsafe fn row(tile: *const u8, block: usize, at: usize, out: &mut [f32; BLOCK]) {
                // SAFETY: the caller's promise.
                unsafe { row::<Self>(tile, block, at, out) }
            }
        }
    };
}
pub(super) use tile;

/// Half-precision numbers of a tile, one a row.
const HALVES: usize = 2 * TILE_ROWS;

/// Two bytes of a half-precision number.
#[inline(always)]
pub(super) fn put_f16(tile: &mut [u8], at: usize, row: usize, from: &[u8]) {
    tile[at + 2 * row..][..2].copy_from_slice(&from[..2]);
}

#[inline(always)]
unsafe fn f16_at<V: Vector>(tile: *const u8, at: usize, part: usize) -> V::Floats {
    // SAFETY: the caller's promise.
    unsafe { V::floats_f16(tile.add(at + 2 * V::ROWS * part)) }
}

/// The 32 codes of a block of nibbles: low halves first.
#[inline(always)]
fn nibbles(bytes: &[u8]) -> [u8; BLOCK] {
    std::array::from_fn(|i| if i < 16 { bytes[i] & 15 } else { bytes[i - 16] >> 4 })
}

/// Nibbles with a fifth bit each.
#[inline(always)]
fn fives(bits: &[u8], bytes: &[u8]) -> [u8; BLOCK] {
    let low = nibbles(bytes);
    std::array::from_fn(|i| low[i] | ((bits[i / 8] >> (i % 8)) & 1) << 4)
}

/// `Q4_0`: `d · (code - 8)`.
pub(in crate::engine::kernels) struct Q40;
tile!(Q40, blocks 1, bytes BYTES_4 + HALVES, source 18, |tile, row, from| {
    pack_4(tile, row, nibbles(&from[2..]));
    put_f16(tile, BYTES_4, row, from);
});
impl Whole for Q40 {
    const MAX: i32 = 15;
    const OFFSET: i32 = 8;
    #[inline(always)]
    unsafe fn codes<V: Vector>(tile: *const u8, _: usize, part: usize) -> [V::Bytes; 8] {
        // SAFETY: the caller's promise, here and below.
        unsafe { unpack_4::<V>(tile, part) }
    }
    #[inline(always)]
    unsafe fn scale<V: Vector>(tile: *const u8, _: usize, part: usize) -> (V::Floats, Option<V::Floats>) {
        // SAFETY: as above.
        (unsafe { f16_at::<V>(tile, BYTES_4, part) }, None)
    }
}

/// `Q4_1`: `d · code + m`.
pub(in crate::engine::kernels) struct Q41;
tile!(Q41, blocks 1, bytes BYTES_4 + 2 * HALVES, source 20, |tile, row, from| {
    pack_4(tile, row, nibbles(&from[4..]));
    put_f16(tile, BYTES_4, row, from);
    put_f16(tile, BYTES_4 + HALVES, row, &from[2..]);
});
impl Whole for Q41 {
    const MAX: i32 = 15;
    #[inline(always)]
    unsafe fn codes<V: Vector>(tile: *const u8, _: usize, part: usize) -> [V::Bytes; 8] {
        // SAFETY: as above.
        unsafe { unpack_4::<V>(tile, part) }
    }
    #[inline(always)]
    unsafe fn scale<V: Vector>(tile: *const u8, _: usize, part: usize) -> (V::Floats, Option<V::Floats>) {
        // SAFETY: as above.
        unsafe { (f16_at::<V>(tile, BYTES_4, part), Some(f16_at::<V>(tile, BYTES_4 + HALVES, part))) }
    }
}

/// `Q5_0`: `d · (code - 16)`.
pub(in crate::engine::kernels) struct Q50;
tile!(Q50, blocks 1, bytes BYTES_4 + BYTES_1 + HALVES, source 22, |tile, row, from| {
    let codes = fives(&from[2..6], &from[6..]);
    pack_4(tile, row, codes);
    pack_1::<4>(&mut tile[BYTES_4..], row, codes);
    put_f16(tile, BYTES_4 + BYTES_1, row, from);
});
impl Whole for Q50 {
    const MAX: i32 = 31;
    const OFFSET: i32 = 16;
    #[inline(always)]
    unsafe fn codes<V: Vector>(tile: *const u8, _: usize, part: usize) -> [V::Bytes; 8] {
        // SAFETY: as above.
        unsafe { or_1_at_4::<V>(unpack_4::<V>(tile, part), tile.add(BYTES_4), part) }
    }
    #[inline(always)]
    unsafe fn scale<V: Vector>(tile: *const u8, _: usize, part: usize) -> (V::Floats, Option<V::Floats>) {
        // SAFETY: as above.
        (unsafe { f16_at::<V>(tile, BYTES_4 + BYTES_1, part) }, None)
    }
}

/// `Q5_1`: `d · code + m`.
pub(in crate::engine::kernels) struct Q51;
tile!(Q51, blocks 1, bytes BYTES_4 + BYTES_1 + 2 * HALVES, source 24, |tile, row, from| {
    let codes = fives(&from[4..8], &from[8..]);
    pack_4(tile, row, codes);
    pack_1::<4>(&mut tile[BYTES_4..], row, codes);
    put_f16(tile, BYTES_4 + BYTES_1, row, from);
    put_f16(tile, BYTES_4 + BYTES_1 + HALVES, row, &from[2..]);
});
impl Whole for Q51 {
    const MAX: i32 = 31;
    #[inline(always)]
    unsafe fn codes<V: Vector>(tile: *const u8, _: usize, part: usize) -> [V::Bytes; 8] {
        // SAFETY: as above.
        unsafe { or_1_at_4::<V>(unpack_4::<V>(tile, part), tile.add(BYTES_4), part) }
    }
    #[inline(always)]
    unsafe fn scale<V: Vector>(tile: *const u8, _: usize, part: usize) -> (V::Floats, Option<V::Floats>) {
        let at = BYTES_4 + BYTES_1;
        // SAFETY: as above.
        unsafe { (f16_at::<V>(tile, at, part), Some(f16_at::<V>(tile, at + HALVES, part))) }
    }
}

/// `Q8_0`: `d · code`; 128 is added to a code so that it has no sign.
pub(in crate::engine::kernels) struct Q80;
tile!(Q80, blocks 1, bytes BYTES_8 + HALVES, source 34, |tile, row, from| {
    pack_8(tile, row, std::array::from_fn(|i| from[2 + i] ^ 0x80));
    put_f16(tile, BYTES_8, row, from);
});
impl Whole for Q80 {
    const MAX: i32 = 255;
    const OFFSET: i32 = 128;
    #[inline(always)]
    unsafe fn codes<V: Vector>(tile: *const u8, _: usize, part: usize) -> [V::Bytes; 8] {
        // SAFETY: as above.
        unsafe { unpack_8::<V>(tile, part) }
    }
    #[inline(always)]
    unsafe fn scale<V: Vector>(tile: *const u8, _: usize, part: usize) -> (V::Floats, Option<V::Floats>) {
        // SAFETY: as above.
        (unsafe { f16_at::<V>(tile, BYTES_8, part) }, None)
    }
}

/// Scale and minimum of block `j` of a `Q4_K` or `Q5_K` block, 6 bits each out of 12 bytes.
fn six_bits(packed: &[u8], j: usize) -> [u8; 2] {
    if j < 4 {
        [packed[j] & 63, packed[j + 4] & 63]
    } else {
        [(packed[j + 4] & 15) | (packed[j - 4] >> 6) << 4, (packed[j + 4] >> 4) | (packed[j] >> 6) << 4]
    }
}

/// `d`, `dmin`, eight scales and eight minima for each row: what follows the codes of `Q4_K` and `Q5_K`.
const K_SCALES: usize = 2 * HALVES + 2 * 8 * TILE_ROWS;

#[inline(always)]
fn put_k_scales(tile: &mut [u8], at: usize, row: usize, from: &[u8]) {
    put_f16(tile, at, row, from);
    put_f16(tile, at + HALVES, row, &from[2..]);
    for j in 0..8 {
        let [scale, minimum] = six_bits(&from[4..16], j);
        tile[at + 2 * HALVES + TILE_ROWS * j + row] = scale;
        tile[at + 2 * HALVES + TILE_ROWS * (8 + j) + row] = minimum;
    }
}

/// `d · scale` and `-dmin · minimum`: both exact, 11 and 6 bits.
#[inline(always)]
unsafe fn k_scale<V: Vector>(tile: *const u8, at: usize, block: usize, part: usize) -> (V::Floats, Option<V::Floats>) {
    // SAFETY: the caller's promise.
    unsafe {
        let six = |j: usize| {
            let from = tile.add(at + 2 * HALVES + TILE_ROWS * j + V::ROWS * part);
            V::to_floats(V::ints_u8::<0>(from, 63))
        };
        let minus = V::mul(V::floats(-1.0), f16_at::<V>(tile, at + HALVES, part));
        (V::mul(f16_at::<V>(tile, at, part), six(block)), Some(V::mul(minus, six(8 + block))))
    }
}

/// The codes of block `j` (32 columns) in the 128 bytes of nibbles of a K format: blocks lie in pairs, low halves the
/// first, high halves the second.
#[inline(always)]
fn k_nibbles(bytes: &[u8], j: usize) -> [u8; BLOCK] {
    let pair: &[u8; BLOCK] = bytes[32 * (j / 2)..].first_chunk().expect("within 128 bytes");
    std::array::from_fn(|i| (pair[i] >> (4 * (j % 2))) & 15)
}

/// `Q4_K`: `d · scale · code - dmin · minimum`.
pub(in crate::engine::kernels) struct Q4K;
tile!(Q4K, blocks 8, bytes 8 * BYTES_4 + K_SCALES, source 144, |tile, row, from| {
    for j in 0..8 {
        pack_4(&mut tile[BYTES_4 * j..], row, k_nibbles(&from[16..], j));
    }
    put_k_scales(tile, 8 * BYTES_4, row, from);
});
impl Whole for Q4K {
    const MAX: i32 = 15;
    const EXACT: bool = true;
    #[inline(always)]
    unsafe fn codes<V: Vector>(tile: *const u8, block: usize, part: usize) -> [V::Bytes; 8] {
        // SAFETY: as above.
        unsafe { unpack_4::<V>(tile.add(BYTES_4 * block), part) }
    }
    #[inline(always)]
    unsafe fn scale<V: Vector>(tile: *const u8, block: usize, part: usize) -> (V::Floats, Option<V::Floats>) {
        // SAFETY: as above.
        unsafe { k_scale::<V>(tile, 8 * BYTES_4, block, part) }
    }
}

/// `Q5_K`: the same with five bits.
pub(in crate::engine::kernels) struct Q5K;
/// Four bits and the fifth: one stream through memory, which is what a processor fetches ahead.
const Q5_BLOCK: usize = BYTES_4 + BYTES_1;
tile!(Q5K, blocks 8, bytes 8 * Q5_BLOCK + K_SCALES, source 176, |tile, row, from| {
    for j in 0..8 {
        let low = k_nibbles(&from[48..], j);
        let codes = std::array::from_fn(|i| low[i] | ((from[16 + i] >> j) & 1) << 4);
        pack_4(&mut tile[Q5_BLOCK * j..], row, codes);
        pack_1::<4>(&mut tile[Q5_BLOCK * j + BYTES_4..], row, codes);
    }
    put_k_scales(tile, 8 * Q5_BLOCK, row, from);
});
impl Whole for Q5K {
    const MAX: i32 = 31;
    const EXACT: bool = true;
    #[inline(always)]
    unsafe fn codes<V: Vector>(tile: *const u8, block: usize, part: usize) -> [V::Bytes; 8] {
        // SAFETY: as above.
        unsafe {
            let low = unpack_4::<V>(tile.add(Q5_BLOCK * block), part);
            or_1_at_4::<V>(low, tile.add(Q5_BLOCK * block + BYTES_4), part)
        }
    }
    #[inline(always)]
    unsafe fn scale<V: Vector>(tile: *const u8, block: usize, part: usize) -> (V::Floats, Option<V::Floats>) {
        // SAFETY: as above.
        unsafe { k_scale::<V>(tile, 8 * Q5_BLOCK, block, part) }
    }
}
