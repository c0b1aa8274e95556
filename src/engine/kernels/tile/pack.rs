//! How codes of a few bits lie in a tile: packing a row's 32 codes, unpacking the registers of a block.

use super::{BLOCK, TILE_ROWS};
use crate::engine::kernels::vector::Vector;

/// Bytes of a block's codes (16 rows × 32 columns) in 8, 6, 4, 2 and 1 bits.
pub(super) const BYTES_8: usize = 512;
pub(super) const BYTES_6: usize = 384;
pub(super) const BYTES_4: usize = 256;
pub(super) const BYTES_2: usize = 128;
pub(super) const BYTES_1: usize = 64;

/// Half-precision numbers of a tile, one a row.
pub(super) const HALVES: usize = 2 * TILE_ROWS;

/// The 32 codes of a block, four to a number, the first in its lowest byte: what is done to a number is done to four.
pub(super) type Codes = [u32; BLOCK / 4];

/// A byte of each of the four.
pub(super) const fn four(byte: u8) -> u32 {
    u32::from_le_bytes([byte; 4])
}

/// The first `4 N` bytes, four to a number.
#[inline(always)]
pub(super) fn words<const N: usize>(bytes: &[u8]) -> [u32; N] {
    let mut words = [0; N];
    for (word, four) in words.iter_mut().zip(bytes[..4 * N].as_chunks::<4>().0) {
        *word = u32::from_le_bytes(*four);
    }
    words
}

/// `[f(0), f(1), …]`; unlike the standard library's, always compiled as part of its caller and for its instruction set.
#[inline(always)]
pub(super) fn each<const N: usize>(f: impl Fn(usize) -> u32) -> [u32; N] {
    let mut out = [0; N];
    for (i, out) in out.iter_mut().enumerate() {
        *out = f(i);
    }
    out
}

/// Two bytes of a half-precision number.
#[inline(always)]
pub(super) fn put_f16(tile: &mut [u8], at: usize, row: usize, from: &[u8]) {
    tile[at + 2 * row..][..2].copy_from_slice(&from[..2]);
}

/// What [`put_f16`] put there.
///
/// # Safety
/// As for [`Vector`]; `at` is where the tile's numbers begin.
#[inline(always)]
pub(super) unsafe fn f16_at<V: Vector>(tile: *const u8, at: usize, part: usize) -> V::Floats {
    // SAFETY: the caller's promise.
    unsafe { V::floats_f16(tile.add(at + 2 * V::ROWS * part)) }
}

/// Puts a row's groups of four bytes at their place in each register.
#[inline(always)]
fn put<const N: usize>(tile: &mut [u8], row: usize, groups: [u32; N]) {
    for (register, group) in tile[..64 * N].as_chunks_mut::<64>().0.iter_mut().zip(groups) {
        register.as_chunks_mut::<4>().0[row] = group.to_le_bytes();
    }
}

/// Eight bits as they are.
#[inline(always)]
pub(super) fn pack_8(tile: &mut [u8], row: usize, codes: Codes) {
    put(tile, row, codes);
}

/// The low four bits: group `j` in the low half of a byte, group `4 + j` in the high half.
#[inline(always)]
pub(super) fn pack_4(tile: &mut [u8], row: usize, codes: Codes) {
    put::<4>(tile, row, each(|j| (codes[j] & four(15)) | (codes[4 + j] & four(15)) << 4));
}

/// Six bits: of groups `4 h ..` three have a register each, whose high bits together are the fourth.
#[inline(always)]
pub(super) fn pack_6(tile: &mut [u8], row: usize, codes: Codes) {
    put::<6>(
        tile,
        row,
        each(|i| {
            let (h, k) = (i / 3, i % 3);
            codes[4 * h + k] | ((codes[4 * h + 3] >> (2 * k)) & four(3)) << 6
        }),
    );
}

/// The low two bits: groups `4 h ..` in register `h`, two bits each.
#[inline(always)]
pub(super) fn pack_2(tile: &mut [u8], row: usize, codes: Codes) {
    let two = |g: usize| codes[g] & four(3);
    put::<2>(tile, row, each(|h| two(4 * h) | two(4 * h + 1) << 2 | two(4 * h + 2) << 4 | two(4 * h + 3) << 6));
}

/// Bit `SHIFT`: group `g` in bit `g`.
#[inline(always)]
pub(super) fn pack_1<const SHIFT: u32>(tile: &mut [u8], row: usize, codes: Codes) {
    let mut bits = 0;
    for (g, group) in codes.iter().enumerate() {
        bits |= ((group >> SHIFT) & four(1)) << g;
    }
    put(tile, row, [bits]);
}

/// Unpacks [`pack_8`].
///
/// # Safety
/// `codes` is valid for the block's bytes, here and below; see also [`Vector`].
#[inline(always)]
pub(super) unsafe fn unpack_8<V: Vector>(codes: *const u8, part: usize) -> [V::Bytes; 8] {
    // SAFETY: the caller's promise.
    unsafe {
        let at = |g: usize| V::bytes(codes.add(64 * g + 4 * V::ROWS * part));
        [at(0), at(1), at(2), at(3), at(4), at(5), at(6), at(7)]
    }
}

/// Unpacks [`pack_4`].
///
/// # Safety
/// As [`unpack_8`].
#[inline(always)]
pub(super) unsafe fn unpack_4<V: Vector>(codes: *const u8, part: usize) -> [V::Bytes; 8] {
    // SAFETY: the caller's promise.
    unsafe {
        let at = |j: usize| V::bytes(codes.add(64 * j + 4 * V::ROWS * part));
        let [a, b, c, d] = [at(0), at(1), at(2), at(3)];
        [
            V::bits_right::<0>(a, 15),
            V::bits_right::<0>(b, 15),
            V::bits_right::<0>(c, 15),
            V::bits_right::<0>(d, 15),
            V::bits_right::<4>(a, 15),
            V::bits_right::<4>(b, 15),
            V::bits_right::<4>(c, 15),
            V::bits_right::<4>(d, 15),
        ]
    }
}

/// Unpacks [`pack_2`] to bits `0..2`.
///
/// # Safety
/// As [`unpack_8`].
#[inline(always)]
pub(super) unsafe fn unpack_2<V: Vector>(codes: *const u8, part: usize) -> [V::Bytes; 8] {
    // SAFETY: the caller's promise.
    unsafe {
        let [a, b] = [0, 64].map(|at| V::bytes(codes.add(at + 4 * V::ROWS * part)));
        [
            V::bits_right::<0>(a, 3),
            V::bits_right::<2>(a, 3),
            V::bits_right::<4>(a, 3),
            V::bits_right::<6>(a, 3),
            V::bits_right::<0>(b, 3),
            V::bits_right::<2>(b, 3),
            V::bits_right::<4>(b, 3),
            V::bits_right::<6>(b, 3),
        ]
    }
}

/// Unpacks [`pack_6`].
///
/// # Safety
/// As [`unpack_8`].
#[inline(always)]
pub(super) unsafe fn unpack_6<V: Vector>(codes: *const u8, part: usize) -> [V::Bytes; 8] {
    // SAFETY: the caller's promise.
    unsafe {
        let at = |j: usize| V::bytes(codes.add(64 * j + 4 * V::ROWS * part));
        let [[a, b, c, d], [e, f, g, h]] = [sixes::<V>(at(0), at(1), at(2)), sixes::<V>(at(3), at(4), at(5))];
        [a, b, c, d, e, f, g, h]
    }
}

/// Four groups of [`pack_6`] out of three registers.
#[inline(always)]
unsafe fn sixes<V: Vector>(a: V::Bytes, b: V::Bytes, c: V::Bytes) -> [V::Bytes; 4] {
    // SAFETY: the caller's promise.
    unsafe {
        let high = V::or(V::bits_right::<4>(b, 12), V::bits_right::<2>(c, 48));
        [
            V::bits_right::<0>(a, 63),
            V::bits_right::<0>(b, 63),
            V::bits_right::<0>(c, 63),
            V::or(V::bits_right::<6>(a, 3), high),
        ]
    }
}

/// Adds [`pack_1`]'s bit as bit 4.
///
/// # Safety
/// As [`unpack_8`].
#[inline(always)]
pub(super) unsafe fn or_1_at_4<V: Vector>(low: [V::Bytes; 8], codes: *const u8, part: usize) -> [V::Bytes; 8] {
    // SAFETY: the caller's promise.
    unsafe {
        let a = V::bytes(codes.add(4 * V::ROWS * part));
        [
            V::or(low[0], V::bits_left::<4>(a, 16)),
            V::or(low[1], V::bits_left::<3>(a, 16)),
            V::or(low[2], V::bits_left::<2>(a, 16)),
            V::or(low[3], V::bits_left::<1>(a, 16)),
            V::or(low[4], V::bits_right::<0>(a, 16)),
            V::or(low[5], V::bits_right::<1>(a, 16)),
            V::or(low[6], V::bits_right::<2>(a, 16)),
            V::or(low[7], V::bits_right::<3>(a, 16)),
        ]
    }
}

/// Adds [`pack_1`]'s bit as bit 2.
///
/// # Safety
/// As [`unpack_8`].
#[inline(always)]
pub(super) unsafe fn or_1_at_2<V: Vector>(low: [V::Bytes; 8], codes: *const u8, part: usize) -> [V::Bytes; 8] {
    // SAFETY: the caller's promise.
    unsafe {
        let a = V::bytes(codes.add(4 * V::ROWS * part));
        [
            V::or(low[0], V::bits_left::<2>(a, 4)),
            V::or(low[1], V::bits_left::<1>(a, 4)),
            V::or(low[2], V::bits_right::<0>(a, 4)),
            V::or(low[3], V::bits_right::<1>(a, 4)),
            V::or(low[4], V::bits_right::<2>(a, 4)),
            V::or(low[5], V::bits_right::<3>(a, 4)),
            V::or(low[6], V::bits_right::<4>(a, 4)),
            V::or(low[7], V::bits_right::<5>(a, 4)),
        ]
    }
}
