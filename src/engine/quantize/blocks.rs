//! From floats to the types whose blocks have 32 weights, and to the float types.
//!
//! Each block is one scale, perhaps a minimum, and 32 codes. The codes of weight `i` and weight `i + 16` share a
//! byte, the first in its low half; a fifth bit goes to a word of its own, bit `i` for weight `i`. The arithmetic is
//! that of ggml's reference quantisers (`quantize_row_*_ref` in `ggml-quants.c`), step by step, so the bytes are too.

use half::{bf16, f16};

/// Weights in a block.
const BLOCK: usize = 32;

/// `1 / scale`, or 0 for a block of zeros.
fn inverse(scale: f32) -> f32 {
    if scale == 0.0 { 0.0 } else { 1.0 / scale }
}

/// The number of largest magnitude, with its sign.
pub fn extreme(x: &[f32]) -> f32 {
    x.iter().fold(0.0, |far: f32, &v| if far.abs() < v.abs() { v } else { far })
}

fn range(x: &[f32]) -> (f32, f32) {
    x.iter()
        .fold((f32::MAX, -f32::MAX), |(low, high), &v| (if v < low { v } else { low }, if v > high { v } else { high }))
}

fn put_f16(out: &mut Vec<u8>, x: f32) {
    out.extend_from_slice(&f16::from_f32(x).to_le_bytes());
}

/// Two codes of four bits a byte.
fn put_nibbles(out: &mut Vec<u8>, codes: &[u8; BLOCK]) {
    out.extend((0..BLOCK / 2).map(|i| (codes[i] & 15) | (codes[i + BLOCK / 2] & 15) << 4));
}

/// The fifth bits, as one word.
fn put_fifth_bits(out: &mut Vec<u8>, codes: &[u8; BLOCK]) {
    let word = codes.iter().enumerate().fold(0_u32, |word, (i, code)| word | u32::from(code >> 4) << i);
    out.extend_from_slice(&word.to_le_bytes());
}

/// `Q4_0` and `Q5_0`: the weight is `scale × (code - half)`, `half` being 8 or 16. The scale is signed, so that the
/// weight of largest magnitude gets the lowest code exactly.
pub fn symmetric(x: &[f32; BLOCK], half: u8, out: &mut Vec<u8>) {
    let scale = extreme(x) / -f32::from(half);
    let inverse = inverse(scale);
    let codes = x.map(|v| ((v * inverse + (f32::from(half) + 0.5)) as u8).min(2 * half - 1));
    put_f16(out, scale);
    if half == 16 {
        put_fifth_bits(out, &codes);
    }
    put_nibbles(out, &codes);
}

/// `Q4_1` and `Q5_1`: the weight is `scale × code + minimum`, codes up to `top`, 15 or 31.
pub fn affine(x: &[f32; BLOCK], top: u8, out: &mut Vec<u8>) {
    let (low, high) = range(x);
    let scale = (high - low) / f32::from(top);
    let inverse = inverse(scale);
    let codes = x.map(|v| (((v - low) * inverse + 0.5) as u8).min(top));
    put_f16(out, scale);
    put_f16(out, low);
    if top == 31 {
        put_fifth_bits(out, &codes);
    }
    put_nibbles(out, &codes);
}

/// `Q8_0`: the weight is `scale × code`, codes from -127 to 127.
pub fn bytes(x: &[f32; BLOCK], out: &mut Vec<u8>) {
    let scale = extreme(x).abs() / 127.0;
    let inverse = inverse(scale);
    put_f16(out, scale);
    out.extend(x.map(|v| (v * inverse).round() as i8 as u8));
}

/// `F32`.
pub fn to_f32(x: &[f32], out: &mut Vec<u8>) {
    x.iter().for_each(|v| out.extend_from_slice(&v.to_le_bytes()));
}

/// `F16`, to the nearest.
pub fn to_f16(x: &[f32], out: &mut Vec<u8>) {
    x.iter().for_each(|v| put_f16(out, *v));
}

/// `BF16`, to the nearest.
pub fn to_bf16(x: &[f32], out: &mut Vec<u8>) {
    x.iter().for_each(|v| out.extend_from_slice(&bf16::from_f32(*v).to_le_bytes()));
}
