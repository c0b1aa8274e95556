//! Formats whose blocks of 32 columns have nothing in common: Q4_0, Q4_1, Q5_0, Q5_1, Q8_0.
//!
//! `weight = scale · (code - OFFSET) + minimum`; a block adds
//! `fma(Σ (code - OFFSET) · x, scale · x_scale, acc)`, then `fma(minimum, x_total, acc)` where there is a minimum.

use super::pack::*;
use super::{BLOCK, Tile, tile};
use crate::engine::kernels::activations::Block;
use crate::engine::kernels::vector::Vector;
use crate::engine::kernels::vector::plain::Plain;

/// What such a format says of itself.
trait Narrow {
    /// Largest code.
    const MAX: i32;
    /// Taken from each code.
    const OFFSET: i32 = 0;

    /// The block's codes.
    ///
    /// # Safety
    /// As [`Tile::add`], here and below.
    unsafe fn codes<V: Vector>(tile: *const u8, part: usize) -> [V::Bytes; 8];

    /// The block's scale and minimum.
    ///
    /// # Safety
    /// As [`Tile::add`].
    unsafe fn scale<V: Vector>(tile: *const u8, part: usize) -> (V::Floats, Option<V::Floats>);
}

#[inline(always)]
unsafe fn add<T: Narrow, V: Vector, const M: usize>(
    tile: *const u8,
    part: usize,
    x: [*const Block; M],
    acc: &mut [V::Floats; M],
) {
    // SAFETY: the caller's promise.
    unsafe {
        let codes = T::codes::<V>(tile, part);
        let dots = V::dots(T::OFFSET, T::MAX, codes, x.map(|x| (*x).codes.as_ptr()), x.map(|x| (*x).minus));
        let (scale, minimum) = T::scale::<V>(tile, part);
        for m in 0..M {
            let of = &(*x[m]).rounded;
            acc[m] = V::fma(V::to_floats(dots[m]), V::mul(scale, V::floats(of.scale)), acc[m]);
            if let Some(minimum) = minimum {
                acc[m] = V::fma(minimum, V::floats(of.total), acc[m]);
            }
        }
    }
}

unsafe fn row<T: Narrow>(tile: *const u8, _: usize, row: usize, out: &mut [f32; BLOCK]) {
    // SAFETY: the caller's promise; one row of plain code needs no instruction set.
    let (codes, ([scale], minimum)) = unsafe { (T::codes::<Plain<1>>(tile, row), T::scale::<Plain<1>>(tile, row)) };
    for (out, code) in out.iter_mut().zip(codes.as_flattened().as_flattened()) {
        *out = ((i32::from(*code) - T::OFFSET) as f32).mul_add(scale, minimum.map_or(0.0, |[m]| m));
    }
}

/// The 32 codes of a block of nibbles: low halves first.
#[inline(always)]
fn nibbles(bytes: &[u8]) -> Codes {
    let words = words::<4>(bytes);
    each(|g| (words[g % 4] >> (4 * (g / 4))) & four(15))
}

/// Nibbles with a fifth bit each.
#[inline(always)]
fn fives(bits: &[u8], bytes: &[u8]) -> Codes {
    let (low, [bits]) = (nibbles(bytes), words(bits));
    // Four neighbouring bits, one to a byte: the products do not touch each other.
    let spread = |four_bits: u32| (four_bits * (1 | 1 << 7 | 1 << 14 | 1 << 21)) & four(1);
    each(|g| low[g] | spread((bits >> (4 * g)) & 15) << 4)
}

/// `Q4_0`: `d · (code - 8)`.
pub(in crate::engine::kernels) struct Q40;
tile!(Q40, blocks 1, bytes BYTES_4 + HALVES, source 18, |tile, row, from| {
    pack_4(tile, row, nibbles(&from[2..]));
    put_f16(tile, BYTES_4, row, from);
});
impl Narrow for Q40 {
    const MAX: i32 = 15;
    const OFFSET: i32 = 8;
    #[inline(always)]
    unsafe fn codes<V: Vector>(tile: *const u8, part: usize) -> [V::Bytes; 8] {
        // SAFETY: the caller's promise, here and below.
        unsafe { unpack_4::<V>(tile, part) }
    }
    #[inline(always)]
    unsafe fn scale<V: Vector>(tile: *const u8, part: usize) -> (V::Floats, Option<V::Floats>) {
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
impl Narrow for Q41 {
    const MAX: i32 = 15;
    #[inline(always)]
    unsafe fn codes<V: Vector>(tile: *const u8, part: usize) -> [V::Bytes; 8] {
        // SAFETY: as above.
        unsafe { unpack_4::<V>(tile, part) }
    }
    #[inline(always)]
    unsafe fn scale<V: Vector>(tile: *const u8, part: usize) -> (V::Floats, Option<V::Floats>) {
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
impl Narrow for Q50 {
    const MAX: i32 = 31;
    const OFFSET: i32 = 16;
    #[inline(always)]
    unsafe fn codes<V: Vector>(tile: *const u8, part: usize) -> [V::Bytes; 8] {
        // SAFETY: as above.
        unsafe { or_1_at_4::<V>(unpack_4::<V>(tile, part), tile.add(BYTES_4), part) }
    }
    #[inline(always)]
    unsafe fn scale<V: Vector>(tile: *const u8, part: usize) -> (V::Floats, Option<V::Floats>) {
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
impl Narrow for Q51 {
    const MAX: i32 = 31;
    #[inline(always)]
    unsafe fn codes<V: Vector>(tile: *const u8, part: usize) -> [V::Bytes; 8] {
        // SAFETY: as above.
        unsafe { or_1_at_4::<V>(unpack_4::<V>(tile, part), tile.add(BYTES_4), part) }
    }
    #[inline(always)]
    unsafe fn scale<V: Vector>(tile: *const u8, part: usize) -> (V::Floats, Option<V::Floats>) {
        let at = BYTES_4 + BYTES_1;
        // SAFETY: as above.
        unsafe { (f16_at::<V>(tile, at, part), Some(f16_at::<V>(tile, at + HALVES, part))) }
    }
}

/// `Q8_0`: `d · code`; 128 is added to a code so that it has no sign.
pub(in crate::engine::kernels) struct Q80;
tile!(Q80, blocks 1, bytes BYTES_8 + HALVES, source 34, |tile, row, from| {
    let codes = words::<8>(&from[2..]);
    pack_8(tile, row, each(|g| codes[g] ^ four(0x80)));
    put_f16(tile, BYTES_8, row, from);
});
impl Narrow for Q80 {
    const MAX: i32 = 255;
    const OFFSET: i32 = 128;
    #[inline(always)]
    unsafe fn codes<V: Vector>(tile: *const u8, part: usize) -> [V::Bytes; 8] {
        // SAFETY: as above.
        unsafe { unpack_8::<V>(tile, part) }
    }
    #[inline(always)]
    unsafe fn scale<V: Vector>(tile: *const u8, part: usize) -> (V::Floats, Option<V::Floats>) {
        // SAFETY: as above.
        (unsafe { f16_at::<V>(tile, BYTES_8, part) }, None)
    }
}
