//! Formats whose blocks of 32 columns, eight a tile, share scales: Q2_K, Q3_K, Q4_K, Q5_K, Q6_K.
//!
//! `weight = d · scale · (code - OFFSET) - dmin · minimum`, scales and minima being small integers for 32 or for 16
//! columns. The activations of a tile share a scale as well, so all of its 256 columns are added exactly, in 32 bits; a
//! tile adds `fma(-Σ minimum · x, dmin · x_scale, acc)` where there are minima, then
//! `fma(Σ scale · (code - OFFSET) · x, d · x_scale, acc)`. The largest sum, `Q6_K`'s, is below 2²⁹.

use super::pack::*;
use super::{BLOCK, TILE_ROWS, Tile, tile};
use crate::engine::kernels::activations::Block;
use crate::engine::kernels::vector::Vector;
use crate::engine::kernels::vector::plain::Plain;

/// What such a format says of itself.
trait Wide {
    /// Largest code.
    const MAX: i32;
    /// Taken from each code.
    const OFFSET: i32 = 0;
    /// Columns that share a scale: 32 or 16.
    const SHARE: usize;
    /// Whether there are minima.
    const MINIMA: bool = false;

    /// The block's codes.
    ///
    /// # Safety
    /// As [`Tile::add`], here and below.
    unsafe fn codes<V: Vector>(tile: *const u8, block: usize, part: usize) -> [V::Bytes; 8];

    /// Scales `2 · pair` and `2 · pair + 1`.
    ///
    /// # Safety
    /// As [`Tile::add`].
    unsafe fn scales<V: Vector>(tile: *const u8, pair: usize, part: usize) -> V::Pairs;

    /// The minima of the same columns; not asked for where there are none.
    ///
    /// # Safety
    /// As [`Tile::add`].
    #[inline(always)]
    unsafe fn minima<V: Vector>(tile: *const u8, pair: usize, part: usize) -> V::Pairs {
        // SAFETY: the caller's promise.
        unsafe { Self::scales::<V>(tile, pair, part) }
    }

    /// `d`, or with `1` `dmin`.
    ///
    /// # Safety
    /// As [`Tile::add`].
    unsafe fn d<V: Vector>(tile: *const u8, which: usize, part: usize) -> V::Floats;
}

#[inline(always)]
unsafe fn add<T: Wide, V: Vector, const M: usize>(
    tile: *const u8,
    part: usize,
    x: [*const Block; M],
    acc: &mut [V::Floats; M],
) {
    let pairs = 8 * BLOCK / T::SHARE / 2;
    // SAFETY: the caller's promise.
    unsafe {
        let x_sums = |m: usize, pair: usize| {
            if T::SHARE == BLOCK {
                &raw const (*x[m].add(2 * pair)).minus_two
            } else {
                &raw const (*x[m].add(pair)).minus_halves
            }
        };
        let mut sums = [V::ints(0); M];
        if T::MINIMA {
            for pair in 0..pairs {
                let minima = T::minima::<V>(tile, pair, part);
                for m in 0..M {
                    sums[m] = V::add_pairs(sums[m], minima, x_sums(m, pair));
                }
            }
            let d = T::d::<V>(tile, 1, part);
            for m in 0..M {
                acc[m] = V::fma(V::to_floats(sums[m]), V::mul(d, V::floats((*x[m]).exact.scale)), acc[m]);
            }
            sums = [V::ints(0); M];
        }
        if T::OFFSET != 0 {
            for pair in 0..pairs {
                let scales = T::scales::<V>(tile, pair, part);
                for m in 0..M {
                    sums[m] = V::add_pairs(sums[m], scales, x_sums(m, pair));
                }
            }
            sums = sums.map(|sum| V::mul_ints(sum, V::ints(T::OFFSET)));
        }
        for pair in 0..pairs {
            let [first, second] = V::factors(T::scales::<V>(tile, pair, part));
            if T::SHARE == BLOCK {
                for (block, scale) in [(2 * pair, first), (2 * pair + 1, second)] {
                    let codes = T::codes::<V>(tile, block, part);
                    V::add_dots(T::MAX, codes, [scale], x.map(|x| (*x.add(block)).codes.as_ptr()), &mut sums);
                }
            } else {
                let codes = T::codes::<V>(tile, pair, part);
                V::add_dots(T::MAX, codes, [first, second], x.map(|x| (*x.add(pair)).codes.as_ptr()), &mut sums);
            }
        }
        let d = T::d::<V>(tile, 0, part);
        for m in 0..M {
            acc[m] = V::fma(V::to_floats(sums[m]), V::mul(d, V::floats((*x[m]).exact.scale)), acc[m]);
        }
    }
}

unsafe fn row<T: Wide>(tile: *const u8, block: usize, row: usize, out: &mut [f32; BLOCK]) {
    // SAFETY: the caller's promise; one row of plain code needs no instruction set.
    unsafe {
        let codes = T::codes::<Plain<1>>(tile, block, row);
        let [d] = T::d::<Plain<1>>(tile, 0, row);
        for (i, (out, code)) in out.iter_mut().zip(codes.as_flattened().as_flattened()).enumerate() {
            let share = (block * BLOCK + i) / T::SHARE;
            let [scales] = T::scales::<Plain<1>>(tile, share / 2, row);
            let mut minimum = 0.0;
            if T::MINIMA {
                let [minima] = T::minima::<Plain<1>>(tile, share / 2, row);
                minimum = T::d::<Plain<1>>(tile, 1, row)[0] * minima[share % 2] as f32;
            }
            *out = ((scales[share % 2] * (i32::from(*code) - T::OFFSET)) as f32).mul_add(d, -minimum);
        }
    }
}

/// Bytes of two scales of each row.
const PAIR: usize = 2 * TILE_ROWS;
/// A byte for each row and 16 columns.
const SCALES: usize = 8 * PAIR;
/// Tiles begin with a cache line.
const LINE: usize = 64;

/// Puts scale `n` of a row beside its neighbour, as [`Vector::pairs_i8`] reads them.
#[inline(always)]
fn put_scale(tile: &mut [u8], at: usize, row: usize, n: usize, scale: u8) {
    tile[at + PAIR * (n / 2) + 2 * row + n % 2] = scale;
}

/// Where pair `pair` of the scales at `at` lies.
#[inline(always)]
unsafe fn pair_at<V: Vector>(tile: *const u8, at: usize, pair: usize, part: usize) -> *const u8 {
    // SAFETY: the caller's promise.
    unsafe { tile.add(at + PAIR * pair + 2 * V::ROWS * part) }
}

/// `Q6_K`: `d · scale · (code - 32)`, scales signed 8 bits.
pub(in crate::engine::kernels) struct Q6K;
const Q6_SCALES: usize = 8 * BYTES_6;
tile!(Q6K, blocks 8, bytes (Q6_SCALES + SCALES + HALVES).next_multiple_of(LINE), source 210, |tile, row, from| {
    let (low, high, scales) = (&from[..128], &from[128..192], &from[192..208]);
    for j in 0..8 {
        // 128 columns share 64 bytes of low bits (low halves the first 64 columns, high halves the others) and 32 of
        // high ones.
        let k = j % 4;
        let low = words::<8>(&low[64 * (j / 4) + 32 * (k % 2)..]);
        let high = words::<8>(&high[32 * (j / 4)..]);
        let codes = each(|g| ((low[g] >> (4 * (k / 2))) & four(15)) | ((high[g] >> (2 * k)) & four(3)) << 4);
        pack_6(&mut tile[BYTES_6 * j..], row, codes);
    }
    for (n, scale) in scales.iter().enumerate() {
        put_scale(tile, Q6_SCALES, row, n, *scale);
    }
    put_f16(tile, Q6_SCALES + SCALES, row, &from[208..]);
});
impl Wide for Q6K {
    const MAX: i32 = 63;
    const OFFSET: i32 = 32;
    const SHARE: usize = 16;
    #[inline(always)]
    unsafe fn codes<V: Vector>(tile: *const u8, block: usize, part: usize) -> [V::Bytes; 8] {
        // SAFETY: the caller's promise, here and below.
        unsafe { unpack_6::<V>(tile.add(BYTES_6 * block), part) }
    }
    #[inline(always)]
    unsafe fn scales<V: Vector>(tile: *const u8, pair: usize, part: usize) -> V::Pairs {
        // SAFETY: as above.
        unsafe { V::pairs_i8(pair_at::<V>(tile, Q6_SCALES, pair, part)) }
    }
    #[inline(always)]
    unsafe fn d<V: Vector>(tile: *const u8, _: usize, part: usize) -> V::Floats {
        // SAFETY: as above.
        unsafe { f16_at::<V>(tile, Q6_SCALES + SCALES, part) }
    }
}

/// The two-bit codes of block `j` in the 64 bytes of `Q2_K` and `Q3_K`: 128 columns share 32 bytes.
#[inline(always)]
fn two_bits(bytes: &[u8], j: usize) -> Codes {
    let words = words::<8>(&bytes[32 * (j / 4)..]);
    each(|g| (words[g] >> (2 * (j % 4))) & four(3))
}

/// `Q3_K`: `d · (scale - 32) · (code - 4)`, scales 6 bits.
pub(in crate::engine::kernels) struct Q3K;
const Q3_BLOCK: usize = BYTES_2 + BYTES_1;
const Q3_SCALES: usize = 8 * Q3_BLOCK;
tile!(Q3K, blocks 8, bytes (Q3_SCALES + SCALES + HALVES).next_multiple_of(LINE), source 110, |tile, row, from| {
    let (high, low, scales) = (words::<8>(from), &from[32..96], &from[96..108]);
    for j in 0..8 {
        let two = two_bits(low, j);
        let codes = each(|g| two[g] | ((high[g] >> j) & four(1)) << 2);
        pack_2(&mut tile[Q3_BLOCK * j..], row, codes);
        pack_1::<2>(&mut tile[Q3_BLOCK * j + BYTES_2..], row, codes);
    }
    for n in 0..16 {
        let low = if n < 8 { scales[n] & 15 } else { scales[n - 8] >> 4 };
        let high = (scales[8 + n % 4] >> (2 * (n / 4))) & 3;
        put_scale(tile, Q3_SCALES, row, n, (low | high << 4).wrapping_sub(32));
    }
    put_f16(tile, Q3_SCALES + SCALES, row, &from[108..]);
});
impl Wide for Q3K {
    const MAX: i32 = 7;
    const OFFSET: i32 = 4;
    const SHARE: usize = 16;
    #[inline(always)]
    unsafe fn codes<V: Vector>(tile: *const u8, block: usize, part: usize) -> [V::Bytes; 8] {
        // SAFETY: as above.
        unsafe {
            let low = unpack_2::<V>(tile.add(Q3_BLOCK * block), part);
            or_1_at_2::<V>(low, tile.add(Q3_BLOCK * block + BYTES_2), part)
        }
    }
    #[inline(always)]
    unsafe fn scales<V: Vector>(tile: *const u8, pair: usize, part: usize) -> V::Pairs {
        // SAFETY: as above.
        unsafe { V::pairs_i8(pair_at::<V>(tile, Q3_SCALES, pair, part)) }
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
        pack_2(&mut tile[BYTES_2 * j..], row, two_bits(codes, j));
    }
    for (n, scale) in scales.iter().enumerate() {
        put_scale(tile, Q2_SCALES, row, n, *scale);
    }
    put_f16(tile, Q2_SCALES + SCALES, row, &from[80..]);
    put_f16(tile, Q2_SCALES + SCALES + HALVES, row, &from[82..]);
});
impl Wide for Q2K {
    const MAX: i32 = 3;
    const SHARE: usize = 16;
    const MINIMA: bool = true;
    #[inline(always)]
    unsafe fn codes<V: Vector>(tile: *const u8, block: usize, part: usize) -> [V::Bytes; 8] {
        // SAFETY: as above.
        unsafe { unpack_2::<V>(tile.add(BYTES_2 * block), part) }
    }
    #[inline(always)]
    unsafe fn scales<V: Vector>(tile: *const u8, pair: usize, part: usize) -> V::Pairs {
        // SAFETY: as above.
        unsafe { V::pairs_u8::<0>(pair_at::<V>(tile, Q2_SCALES, pair, part), 15) }
    }
    #[inline(always)]
    unsafe fn minima<V: Vector>(tile: *const u8, pair: usize, part: usize) -> V::Pairs {
        // SAFETY: as above.
        unsafe { V::pairs_u8::<4>(pair_at::<V>(tile, Q2_SCALES, pair, part), 15) }
    }
    #[inline(always)]
    unsafe fn d<V: Vector>(tile: *const u8, which: usize, part: usize) -> V::Floats {
        // SAFETY: as above.
        unsafe { f16_at::<V>(tile, Q2_SCALES + SCALES + HALVES * which, part) }
    }
}

/// Scale and minimum of block `j` of a `Q4_K` or `Q5_K` block, 6 bits each out of 12 bytes.
#[inline(always)]
fn six_bits(packed: &[u8], j: usize) -> [u8; 2] {
    if j < 4 {
        [packed[j] & 63, packed[j + 4] & 63]
    } else {
        [(packed[j + 4] & 15) | (packed[j - 4] >> 6) << 4, (packed[j + 4] >> 4) | (packed[j] >> 6) << 4]
    }
}

/// `d`, `dmin`, eight scales and eight minima for each row: what follows the codes of `Q4_K` and `Q5_K`.
const K_SCALES: usize = 2 * HALVES + SCALES;
const K_MINIMA: usize = SCALES / 2;

#[inline(always)]
fn put_k_scales(tile: &mut [u8], row: usize, from: &[u8]) {
    put_f16(tile, 0, row, from);
    put_f16(tile, HALVES, row, &from[2..]);
    for j in 0..8 {
        let [scale, minimum] = six_bits(&from[4..16], j);
        put_scale(tile, 2 * HALVES, row, j, scale);
        put_scale(tile, 2 * HALVES + K_MINIMA, row, j, minimum);
    }
}

/// The codes of block `j` (32 columns) in the 128 bytes of nibbles of a K format: blocks lie in pairs, low halves the
/// first, high halves the second.
#[inline(always)]
fn k_nibbles(bytes: &[u8], j: usize) -> Codes {
    let pair = words::<8>(&bytes[32 * (j / 2)..]);
    each(|g| (pair[g] >> (4 * (j % 2))) & four(15))
}

/// Scales and minima behind the codes, as [`put_k_scales`] has put them.
macro_rules! k_scales {
    ($codes:expr) => {
        #[inline(always)]
        unsafe fn scales<V: Vector>(tile: *const u8, pair: usize, part: usize) -> V::Pairs {
            // SAFETY: as above.
            unsafe { V::pairs_u8::<0>(pair_at::<V>(tile, $codes + 2 * HALVES, pair, part), 255) }
        }
        #[inline(always)]
        unsafe fn minima<V: Vector>(tile: *const u8, pair: usize, part: usize) -> V::Pairs {
            // SAFETY: as above.
            unsafe { V::pairs_u8::<0>(pair_at::<V>(tile, $codes + 2 * HALVES + K_MINIMA, pair, part), 255) }
        }
        #[inline(always)]
        unsafe fn d<V: Vector>(tile: *const u8, which: usize, part: usize) -> V::Floats {
            // SAFETY: as above.
            unsafe { f16_at::<V>(tile, $codes + HALVES * which, part) }
        }
    };
}

/// `Q4_K`: `d · scale · code - dmin · minimum`.
pub(in crate::engine::kernels) struct Q4K;
tile!(Q4K, blocks 8, bytes 8 * BYTES_4 + K_SCALES, source 144, |tile, row, from| {
    for j in 0..8 {
        pack_4(&mut tile[BYTES_4 * j..], row, k_nibbles(&from[16..], j));
    }
    put_k_scales(&mut tile[8 * BYTES_4..], row, from);
});
impl Wide for Q4K {
    const MAX: i32 = 15;
    const SHARE: usize = BLOCK;
    const MINIMA: bool = true;
    #[inline(always)]
    unsafe fn codes<V: Vector>(tile: *const u8, block: usize, part: usize) -> [V::Bytes; 8] {
        // SAFETY: as above.
        unsafe { unpack_4::<V>(tile.add(BYTES_4 * block), part) }
    }
    k_scales!(8 * BYTES_4);
}

/// `Q5_K`: the same with five bits.
pub(in crate::engine::kernels) struct Q5K;
/// Four bits and the fifth: one stream through memory, which is what a processor fetches ahead.
const Q5_BLOCK: usize = BYTES_4 + BYTES_1;
tile!(Q5K, blocks 8, bytes 8 * Q5_BLOCK + K_SCALES, source 176, |tile, row, from| {
    let high = words::<8>(&from[16..]);
    for j in 0..8 {
        let low = k_nibbles(&from[48..], j);
        let codes = each(|g| low[g] | ((high[g] >> j) & four(1)) << 4);
        pack_4(&mut tile[Q5_BLOCK * j..], row, codes);
        pack_1::<4>(&mut tile[Q5_BLOCK * j + BYTES_4..], row, codes);
    }
    put_k_scales(&mut tile[8 * Q5_BLOCK..], row, from);
});
impl Wide for Q5K {
    const MAX: i32 = 31;
    const SHARE: usize = BLOCK;
    const MINIMA: bool = true;
    #[inline(always)]
    unsafe fn codes<V: Vector>(tile: *const u8, block: usize, part: usize) -> [V::Bytes; 8] {
        // SAFETY: as above.
        unsafe {
            let low = unpack_4::<V>(tile.add(Q5_BLOCK * block), part);
            or_1_at_4::<V>(low, tile.add(Q5_BLOCK * block + BYTES_4), part)
        }
    }
    k_scales!(8 * Q5_BLOCK);
}
