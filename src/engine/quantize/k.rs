//! From floats to the K types: super-blocks of 256 weights, in groups of 16 or 32 that have a scale each (and for some
//! types a minimum); the groups' scales are themselves rounded, against one f16 scale of the super-block.
//!
//! Rounding to nearest on the first scale that comes to mind is not best: each group tries a handful of scales and
//! keeps the one with the least weighted error. The search, its weights and its order are those of ggml's reference
//! quantisers (`quantize_row_*_K_ref` in `ggml-quants.c`, without importance matrix), so the bytes are the same. candle's
//! quantisers were tried: they search less (relative error of `Q4_K` 0.0745 instead of 0.0713) and round halves elsewhere.

use half::f16;

use super::blocks::extreme;

/// Weights of a super-block.
pub const SUPER: usize = 256;

/// A group whose weights are all smaller than this in magnitude is a group of zeros.
const NOTHING: f32 = 1e-15;

/// To the nearest integer, halves to the even one.
///
/// Beside 1.5 × 2²³ a float has no bits left for a fraction, so the addition rounds; `round_ties_even` says the same but is
/// a call into a library on processors of the baseline.
fn nearest(x: f32) -> i32 {
    let shifted = x.clamp(-4_194_303.0, 4_194_303.0) + 12_582_912.0;
    (shifted.to_bits() & 0x7F_FFFF) as i32 - 0x40_0000
}

/// A scale as f16, and what f16 made of it.
fn rounded(x: f32) -> ([u8; 2], f32) {
    let short = f16::from_f32(x);
    (short.to_le_bytes(), short.to_f32())
}

/// How a group with scale and minimum is searched.
struct Search {
    /// Largest code.
    top: i32,
    /// The scales tried are `range / (top + first + 0.1 × step)`.
    first: f32,
    steps: usize,
    /// Whether the error is the absolute difference, not its square.
    absolute: bool,
}

/// Scale, minimum (its negative, 0 or more) and codes of a group: `x ≈ scale × code - minimum`.
fn fit_affine<const N: usize>(x: &[f32; N], weights: &[f32; N], search: &Search) -> (f32, f32, [u8; N]) {
    let top = search.top as f32;
    let (mut low, mut high) = (x[0], x[0]);
    let (mut sum_w, mut sum_x) = (weights[0], weights[0] * x[0]);
    for (&v, &w) in x.iter().zip(weights).skip(1) {
        low = if v < low { v } else { low };
        high = if v > high { v } else { high };
        sum_w += w;
        sum_x += w * v;
    }
    low = if low > 0.0 { 0.0 } else { low };
    if high == low {
        return (0.0, -low, [0; N]);
    }
    let codes_at = |inverse: f32, low: f32| x.map(|v| nearest(inverse * (v - low)).clamp(0, search.top) as u8);
    let error_of = |scale: f32, low: f32, codes: &[u8; N]| {
        let mut error = 0.0_f32;
        for ((&v, &w), &code) in x.iter().zip(weights).zip(codes) {
            let off = scale * f32::from(code) + low - v;
            error += w * if search.absolute { off.abs() } else { off * off };
        }
        error
    };
    let inverse = top / (high - low);
    let mut scale = 1.0 / inverse;
    let mut codes = codes_at(inverse, low);
    let mut least = error_of(scale, low, &codes);
    for step in 0..=search.steps {
        let inverse = (search.first + 0.1 * step as f32 + top) / (high - low);
        let tried = codes_at(inverse, low);
        let (mut sum_l, mut sum_l2, mut sum_xl) = (0.0_f32, 0.0_f32, 0.0_f32);
        for ((&v, &w), &code) in x.iter().zip(weights).zip(&tried) {
            let l = f32::from(code);
            sum_l += w * l;
            sum_l2 += w * l * l;
            sum_xl += w * l * v;
        }
        let determinant = sum_w * sum_l2 - sum_l * sum_l;
        if determinant > 0.0 {
            // Weighted least squares for these codes.
            let mut tried_scale = (sum_w * sum_xl - sum_x * sum_l) / determinant;
            let mut tried_low = (sum_l2 * sum_x - sum_l * sum_xl) / determinant;
            if tried_low > 0.0 {
                tried_low = 0.0;
                tried_scale = sum_xl / sum_l2;
            }
            let error = error_of(tried_scale, tried_low, &tried);
            if error < least {
                (codes, least, scale, low) = (tried, error, tried_scale, tried_low);
            }
        }
    }
    (scale, -low, codes)
}

/// Scale and codes (0 to 63) of a group of `Q6_K`: `x ≈ scale × (code - 32)`; larger weights count more.
fn fit_symmetric(x: &[f32; 16]) -> (f32, [u8; 16]) {
    let far = extreme(x);
    if far.abs() < NOTHING {
        return (0.0, [0; 16]);
    }
    let codes_at = |inverse: f32| x.map(|v| (nearest(inverse * v).clamp(-32, 31) + 32) as u8);
    let sums = |codes: &[u8; 16]| {
        let (mut sum_xl, mut sum_l2) = (0.0_f32, 0.0_f32);
        for (&v, &code) in x.iter().zip(codes) {
            let (w, l) = (v * v, f32::from(code) - 32.0);
            sum_xl += w * v * l;
            sum_l2 += w * l * l;
        }
        (sum_xl, sum_l2)
    };
    let mut codes = codes_at(-32.0 / far);
    let (sum_xl, sum_l2) = sums(&codes);
    let mut scale = if sum_l2 == 0.0 { 0.0 } else { sum_xl / sum_l2 };
    let mut best = scale * sum_xl;
    for step in (-9..=9).filter(|step| *step != 0) {
        let tried = codes_at(-(32.0 + 0.1 * step as f32) / far);
        let (sum_xl, sum_l2) = sums(&tried);
        if sum_l2 > 0.0 && sum_xl * sum_xl > best * sum_l2 {
            codes = tried;
            scale = sum_xl / sum_l2;
            best = scale * sum_xl;
        }
    }
    (scale, codes)
}

/// Scale and codes (0 to 7) of a group of `Q3_K`: `x ≈ scale × (code - 4)`; codes are moved one by one while that helps.
fn fit_three_bits(x: &[f32; 16]) -> (f32, [u8; 16]) {
    let far = extreme(x);
    if far.abs() < NOTHING {
        return (0.0, [0; 16]);
    }
    let inverse = -4.0 / far;
    let mut codes = x.map(|v| nearest(inverse * v).clamp(-4, 3) as f32);
    let (mut sum_xl, mut sum_l2) = (0.0_f32, 0.0_f32);
    for (&v, &l) in x.iter().zip(&codes) {
        let w = v * v;
        sum_xl += w * v * l;
        sum_l2 += w * l * l;
    }
    for _ in 0..5 {
        let mut changed = false;
        for (&v, code) in x.iter().zip(&mut codes) {
            let w = v * v;
            let mut without_xl = sum_xl - w * v * *code;
            if without_xl <= 0.0 {
                continue;
            }
            let mut without_l2 = sum_l2 - w * *code * *code;
            let other = nearest(v * without_l2 / without_xl).clamp(-4, 3) as f32;
            if other == *code {
                continue;
            }
            without_xl += w * v * other;
            without_l2 += w * other * other;
            if without_l2 > 0.0 && without_xl * without_xl * sum_l2 > sum_xl * sum_xl * without_l2 {
                (*code, sum_xl, sum_l2, changed) = (other, without_xl, without_l2, true);
            }
        }
        if !changed {
            break;
        }
    }
    let scale = if sum_l2 > 0.0 { sum_xl / sum_l2 } else { 0.0 };
    (scale, codes.map(|l| (l + 4.0) as u8))
}

/// The groups of a super-block.
fn groups<const N: usize>(x: &[f32; SUPER]) -> &[[f32; N]] {
    x.as_chunks::<N>().0
}

/// Codes again, now that the group's scale and minimum are those that will be read back.
fn recode<const N: usize>(x: &[f32; N], codes: &mut [u8], scale: f32, low: f32, offset: i32, top: i32) {
    if scale != 0.0 {
        for (code, &v) in codes.iter_mut().zip(x) {
            *code = nearest((v + low) / scale).saturating_add(offset).clamp(0, top) as u8;
        }
    }
}

/// Codes of two bits: weights 32 apart share a byte.
fn put_two_bits(codes: &[u8; SUPER], out: &mut Vec<u8>) {
    for half in codes.as_chunks::<128>().0 {
        out.extend(
            (0..32)
                .map(|i| (half[i] & 3) | (half[i + 32] & 3) << 2 | (half[i + 64] & 3) << 4 | (half[i + 96] & 3) << 6),
        );
    }
}

/// `Q2_K`: 16 groups; scale and minimum of a group are four bits each.
pub fn q2(x: &[f32; SUPER], out: &mut Vec<u8>) {
    let search = Search { top: 3, first: -0.5, steps: 15, absolute: true };
    let (mut scales, mut lows, mut codes) = ([0.0_f32; 16], [0.0_f32; 16], [0; SUPER]);
    for (j, group) in groups::<16>(x).iter().enumerate() {
        let fitted = fit_affine(group, &group.map(f32::abs), &search);
        (scales[j], lows[j]) = (fitted.0, fitted.1);
        codes[16 * j..][..16].copy_from_slice(&fitted.2);
    }
    let (largest, deepest) = (positive_max(&scales), positive_max(&lows));
    let four_bits = |x: f32, most: f32| if most > 0.0 { nearest(15.0 / most * x) as u8 } else { 0 };
    let packed: [u8; 16] = std::array::from_fn(|j| four_bits(scales[j], largest) | four_bits(lows[j], deepest) << 4);
    let (scale_bytes, scale) = rounded(largest / 15.0);
    let (low_bytes, low) = rounded(deepest / 15.0);
    for (j, group) in groups::<16>(x).iter().enumerate() {
        let (d, m) = (scale * f32::from(packed[j] & 15), low * f32::from(packed[j] >> 4));
        recode(group, &mut codes[16 * j..][..16], d, m, 0, 3);
    }
    out.extend_from_slice(&packed);
    put_two_bits(&codes, out);
    out.extend(scale_bytes.into_iter().chain(low_bytes));
}

/// `Q3_K`: 16 groups; a group's scale is six bits, signed.
pub fn q3(x: &[f32; SUPER], out: &mut Vec<u8>) {
    let (mut scales, mut codes) = ([0.0_f32; 16], [0; SUPER]);
    for (j, group) in groups::<16>(x).iter().enumerate() {
        let fitted = fit_three_bits(group);
        scales[j] = fitted.0;
        codes[16 * j..][..16].copy_from_slice(&fitted.1);
    }
    let far = extreme(&scales);
    let inverse = -32.0 / far;
    let (scale_bytes, scale) = rounded(if far == 0.0 { 0.0 } else { 1.0 / inverse });
    let six_bits = |x: f32| (nearest(inverse * x).clamp(-32, 31) + 32) as u8;
    let steps: [u8; 16] = if far == 0.0 { [0; 16] } else { scales.map(six_bits) };
    for (j, group) in groups::<16>(x).iter().enumerate() {
        let d = scale * (f32::from(steps[j]) - 32.0);
        recode(group, &mut codes[16 * j..][..16], d, 0.0, 4, 7);
    }
    let mut packed = [0; 12];
    for (j, step) in steps.iter().enumerate() {
        packed[j % 8] |= (step & 15) << (4 * (j / 8));
        packed[8 + j % 4] |= (step >> 4) << (2 * (j / 4));
    }
    let high = |i: usize| (0..8).fold(0, |byte, bit| byte | (codes[32 * bit + i] >> 2) << bit);
    out.extend((0..32).map(high));
    put_two_bits(&codes, out);
    out.extend_from_slice(&packed);
    out.extend_from_slice(&scale_bytes);
}

/// `Q4_K` (`top` 15) and `Q5_K` (31): 8 groups; scale and minimum of a group are six bits each.
fn six_bit_scales(x: &[f32; SUPER], search: &Search, out: &mut Vec<u8>) -> [u8; SUPER] {
    let (mut scales, mut lows, mut codes) = ([0.0_f32; 8], [0.0_f32; 8], [0; SUPER]);
    for (j, group) in groups::<32>(x).iter().enumerate() {
        let squares = group.iter().fold(0.0_f32, |sum, v| sum + v * v);
        let typical = (squares / 32.0).sqrt();
        let fitted = fit_affine(group, &group.map(|v| typical + v.abs()), search);
        (scales[j], lows[j]) = (fitted.0, fitted.1);
        codes[32 * j..][..32].copy_from_slice(&fitted.2);
    }
    let (largest, deepest) = (positive_max(&scales), positive_max(&lows));
    let inverse = |most: f32| if most > 0.0 { 63.0 / most } else { 0.0 };
    let (to_scale, to_low) = (inverse(largest), inverse(deepest));
    let s = scales.map(|x| (nearest(to_scale * x) as u8).min(63));
    let m = lows.map(|x| (nearest(to_low * x) as u8).min(63));
    let (scale_bytes, scale) = rounded(largest / 63.0);
    let (low_bytes, low) = rounded(deepest / 63.0);
    for (j, group) in groups::<32>(x).iter().enumerate() {
        let (d, m) = (scale * f32::from(s[j]), low * f32::from(m[j]));
        recode(group, &mut codes[32 * j..][..32], d, m, 0, search.top);
    }
    out.extend(scale_bytes.into_iter().chain(low_bytes));
    // Six bits of groups 0 to 3; the other groups' low four bits share bytes, their high two bits fill those above.
    out.extend((0..4).map(|j| s[j] | (s[j + 4] >> 4) << 6));
    out.extend((0..4).map(|j| m[j] | (m[j + 4] >> 4) << 6));
    out.extend((4..8).map(|j| (s[j] & 15) | (m[j] & 15) << 4));
    codes
}

/// Codes' low four bits: weights 32 apart share a byte.
fn put_nibbles(codes: &[u8; SUPER], out: &mut Vec<u8>) {
    for part in codes.as_chunks::<64>().0 {
        out.extend((0..32).map(|i| (part[i] & 15) | (part[i + 32] & 15) << 4));
    }
}

/// `Q4_K`.
pub fn q4(x: &[f32; SUPER], out: &mut Vec<u8>) {
    let search = Search { top: 15, first: -1.0, steps: 20, absolute: false };
    let codes = six_bit_scales(x, &search, out);
    put_nibbles(&codes, out);
}

/// `Q5_K`: as `Q4_K`, the fifth bits before the others.
pub fn q5(x: &[f32; SUPER], out: &mut Vec<u8>) {
    let search = Search { top: 31, first: -0.5, steps: 15, absolute: false };
    let codes = six_bit_scales(x, &search, out);
    let fifth = |i: usize| (0..8).fold(0, |byte, bit| byte | (codes[32 * bit + i] >> 4) << bit);
    out.extend((0..32).map(fifth));
    put_nibbles(&codes, out);
}

/// `Q6_K`: 16 groups; a group's scale is eight bits, signed.
pub fn q6(x: &[f32; SUPER], out: &mut Vec<u8>) {
    let (mut scales, mut codes) = ([0.0_f32; 16], [0; SUPER]);
    for (j, group) in groups::<16>(x).iter().enumerate() {
        let fitted = fit_symmetric(group);
        scales[j] = fitted.0;
        codes[16 * j..][..16].copy_from_slice(&fitted.1);
    }
    let far = extreme(&scales);
    if far.abs() < NOTHING {
        out.extend_from_slice(&[0; 210]);
        return;
    }
    let inverse = -128.0 / far;
    let (scale_bytes, scale) = rounded(1.0 / inverse);
    let steps = scales.map(|x| nearest(inverse * x).min(127) as i8);
    for (j, group) in groups::<16>(x).iter().enumerate() {
        recode(group, &mut codes[16 * j..][..16], scale * f32::from(steps[j]), 0.0, 32, 63);
    }
    let halves = codes.as_chunks::<128>().0;
    for half in halves {
        out.extend((0..64).map(|i| (half[i] & 15) | (half[i + 64] & 15) << 4));
    }
    for half in halves {
        out.extend(
            (0..32).map(|i| {
                (half[i] >> 4) | (half[i + 32] >> 4) << 2 | (half[i + 64] >> 4) << 4 | (half[i + 96] >> 4) << 6
            }),
        );
    }
    out.extend(steps.map(|step| step as u8));
    out.extend_from_slice(&scale_bytes);
}

/// The largest of numbers that are above 0; 0 if none is.
fn positive_max(x: &[f32]) -> f32 {
    x.iter().fold(0.0, |most, &v| if v > most { v } else { most })
}
