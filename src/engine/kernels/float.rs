//! Float operations. Each is written once, inlined into three versions compiled for AVX-512, AVX2 and no extension;
//! `mul_add` is exact in all of them, and nothing reorders a sum, so the versions give the same bits.

use half::f16;

use super::{BLOCK, Isa};

/// Compiles a function for each instruction set and picks one at run time.
macro_rules! versions {
    ($(#[$doc:meta])* $vis:vis fn $name:ident = $body:ident ( $($arg:ident : $ty:ty),* $(,)? ) $(-> $ret:ty)?) => {
        $(#[$doc])*
        #[allow(clippy::too_many_arguments)] // the generated twins of a function that is itself counted
        $vis fn $name(isa: Isa, $($arg: $ty),*) $(-> $ret)? {
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,fma")]
            fn wide($($arg: $ty),*) $(-> $ret)? { $body($($arg),*) }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma")]
            fn middle($($arg: $ty),*) $(-> $ret)? { $body($($arg),*) }
            match isa {
                #[cfg(target_arch = "x86_64")]
                // SAFETY: an `Isa` is only made by detection on this machine.
                Isa::Avx512 => unsafe { wide($($arg),*) },
                #[cfg(target_arch = "x86_64")]
                // SAFETY: as above.
                Isa::Avx2 => unsafe { middle($($arg),*) },
                _ => $body($($arg),*),
            }
        }
    };
}

/// Adds 16 partial sums in one fixed tree.
#[inline(always)]
fn tree(p: [f32; 16]) -> f32 {
    let q: [f32; 8] = std::array::from_fn(|i| p[i] + p[i + 8]);
    let r: [f32; 4] = std::array::from_fn(|i| q[i] + q[i + 4]);
    (r[0] + r[2]) + (r[1] + r[3])
}

/// Dot product over 16 fixed partial sums.
#[inline(always)]
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let (a16, a_rest) = a.as_chunks::<16>();
    let (b16, b_rest) = b.as_chunks::<16>();
    let mut p = [0.0_f32; 16];
    for (a, b) in a16.iter().zip(b16) {
        for i in 0..16 {
            p[i] = a[i].mul_add(b[i], p[i]);
        }
    }
    for (i, (a, b)) in a_rest.iter().zip(b_rest).enumerate() {
        p[i] = a.mul_add(*b, p[i]);
    }
    tree(p)
}

/// `e` to the `x`: 2 to the nearest integer of `x / ln 2`, times a polynomial of degree 6; relative error below 3e-7.
#[inline(always)]
fn exp_body(x: f32) -> f32 {
    let x = x.clamp(-87.0, 88.0);
    let n = x.mul_add(std::f32::consts::LOG2_E, 12_582_912.0) - 12_582_912.0;
    let r = n.mul_add(2.121_944_4e-4, n.mul_add(-0.693_359_4, x));
    let p = 1.388_889e-3_f32;
    let p = p.mul_add(r, 8.333_334e-3);
    let p = p.mul_add(r, 4.166_666_7e-2);
    let p = p.mul_add(r, 0.166_666_67);
    let p = p.mul_add(r, 0.5);
    let p = p.mul_add(r, 1.0);
    let p = p.mul_add(r, 1.0);
    p * f32::from_bits((((n as i32) + 127) << 23) as u32)
}

versions! {
    /// `e` to the power of each number, in place.
    pub fn exp = exp_all(x: &mut [f32])
}
#[inline(always)]
fn exp_all(x: &mut [f32]) {
    for x in x {
        *x = exp_body(*x);
    }
}

/// `tanh(x) = 1 - 2 / (e^2x + 1)`, exact where it counts: at 0 it loses no more than a rounding of 1.
#[inline(always)]
fn tanh_body(x: f32) -> f32 {
    1.0 - 2.0 / (exp_body(2.0 * x) + 1.0)
}

versions! {
    /// `cap · tanh(x / cap)` in place: Gemma 2 bends its logits with it.
    pub fn softcap = softcap_body(x: &mut [f32], cap: f32)
}
#[inline(always)]
fn softcap_body(x: &mut [f32], cap: f32) {
    for x in x {
        *x = cap * tanh_body(*x / cap);
    }
}

versions! {
    /// RMSNorm: `out = x / sqrt(mean(x²) + eps) · weight`, row by row of `weight.len()`.
    pub fn rms_norm = rms_norm_body(x: &[f32], weight: &[f32], eps: f32, out: &mut [f32])
}
#[inline(always)]
fn rms_norm_body(x: &[f32], weight: &[f32], eps: f32, out: &mut [f32]) {
    let width = weight.len();
    for (x, out) in x.chunks_exact(width).zip(out.chunks_exact_mut(width)) {
        let scale = 1.0 / (dot(x, x) / width as f32 + eps).sqrt();
        for i in 0..width {
            out[i] = x[i] * scale * weight[i];
        }
    }
}

versions! {
    /// `x += y`.
    pub fn add = add_body(x: &mut [f32], y: &[f32])
}
#[inline(always)]
fn add_body(x: &mut [f32], y: &[f32]) {
    for (x, y) in x.iter_mut().zip(y) {
        *x += *y;
    }
}

versions! {
    /// SwiGLU: `gate = gate · sigmoid(gate) · up`.
    pub fn silu_mul = silu_mul_body(gate: &mut [f32], up: &[f32])
}
#[inline(always)]
fn silu_mul_body(gate: &mut [f32], up: &[f32]) {
    for (g, u) in gate.iter_mut().zip(up) {
        *g = *g / (1.0 + exp_body(-*g)) * *u;
    }
}

versions! {
    /// Rotates the pairs `(2j, 2j+1)` of each head in `x` by `(cos, sin)` pairs, `head_dim / 2` of them.
    pub fn rope = rope_body(x: &mut [f32], angles: &[(f32, f32)])
}
#[inline(always)]
fn rope_body(x: &mut [f32], angles: &[(f32, f32)]) {
    for head in x.chunks_exact_mut(2 * angles.len()) {
        for (pair, (cos, sin)) in head.as_chunks_mut::<2>().0.iter_mut().zip(angles) {
            let [a, b] = *pair;
            *pair = [a.mul_add(*cos, -(b * *sin)), a.mul_add(*sin, b * *cos)];
        }
    }
}

versions! {
    /// One head's attention for one query: scores over `keys`, softmax, weighted sum of `values`.
    ///
    /// `keys` and `values` hold a position every `stride` floats, `query.len()` of which are this head's. `weights`
    /// gets the attention over the positions, its length their number; `out` the result.
    pub fn attend = attend_body(
        query: &[f32], keys: &[f32], values: &[f32], stride: usize, scale: f32, softcap: Option<f32>,
        weights: &mut [f32], out: &mut [f32],
    )
}
#[inline(always)]
fn attend_body(
    query: &[f32],
    keys: &[f32],
    values: &[f32],
    stride: usize,
    scale: f32,
    softcap: Option<f32>,
    weights: &mut [f32],
    out: &mut [f32],
) {
    let dim = query.len();
    let mut largest = f32::NEG_INFINITY;
    for (p, w) in weights.iter_mut().enumerate() {
        *w = dot(query, &keys[p * stride..p * stride + dim]) * scale;
        if let Some(cap) = softcap {
            *w = cap * tanh_body(*w / cap);
        }
        largest = largest.max(*w);
    }
    let mut sums = [0.0_f32; 16];
    for (p, w) in weights.iter_mut().enumerate() {
        *w = exp_body(*w - largest);
        sums[p % 16] += *w;
    }
    let inverse = 1.0 / tree(sums);
    out.fill(0.0);
    for (p, w) in weights.iter_mut().enumerate() {
        *w *= inverse;
        for (out, v) in out.iter_mut().zip(&values[p * stride..p * stride + dim]) {
            *out = w.mul_add(*v, *out);
        }
    }
}

versions! {
    /// Products of dense rows (`rows × x.len()`, in `w`) with a vector.
    pub fn dot_rows = dot_rows_body(w: &[f32], x: &[f32], out: &mut [f32])
}
#[inline(always)]
fn dot_rows_body(w: &[f32], x: &[f32], out: &mut [f32]) {
    for (row, out) in w.chunks_exact(x.len()).zip(out) {
        *out = dot(row, x);
    }
}

versions! {
    /// Rounds blocks of 32 to 8 bits; see [`super::Activations`].
    pub(super) fn quantize = quantize_body(
        x: &[f32], codes: &mut [i8], scale: &mut [f32], sum: &mut [i32], total: &mut [f32],
    )
}
#[inline(always)]
fn quantize_body(x: &[f32], codes: &mut [i8], scale: &mut [f32], sum: &mut [i32], total: &mut [f32]) {
    let blocks = x.as_chunks::<BLOCK>().0.iter().zip(codes.as_chunks_mut::<BLOCK>().0);
    let rounded = |x: f32| f16::from_f32(x).to_f32();
    for (((x, codes), (scale, sum)), total) in blocks.zip(scale.iter_mut().zip(sum.iter_mut())).zip(total) {
        let mut largest = [0.0_f32; 16];
        for i in 0..16 {
            largest[i] = x[i].abs().max(x[i + 16].abs());
        }
        let largest = largest.iter().fold(0.0_f32, |m, v| m.max(*v));
        let step = largest / 127.0;
        *scale = rounded(step);
        // A zero block has only zero codes; dividing by its scale would give NaN.
        let inverse = if largest > 0.0 { 127.0 / largest } else { 0.0 };
        let mut added = 0;
        for i in 0..BLOCK {
            let code = (x[i] * inverse).round_ties_even() as i32;
            codes[i] = code as i8;
            added += code;
        }
        *sum = added;
        *total = rounded(step * added as f32);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::kernels::tests_support::floats;

    #[test]
    fn exp_is_right_to_seven_digits() {
        for i in -8_000..8_000 {
            let x = i as f32 / 100.0;
            let mut y = [x];
            exp(Isa::Scalar, &mut y);
            let want = f64::from(x).exp();
            assert!((f64::from(y[0]) / want - 1.0).abs() < 4e-7, "exp({x}) = {} against {want}", y[0]);
        }
    }

    #[test]
    fn every_instruction_set_gives_the_same_bits() {
        let bits = |v: &[f32]| v.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        let all = |isa: Isa| {
            let (x, y) = (floats(1, 5 * 96), floats(2, 5 * 96));
            let mut out = vec![0.0; x.len()];
            let mut seen = vec![];
            rms_norm(isa, &x, &y[..96], 1e-5, &mut out);
            seen.extend(bits(&out));
            silu_mul(isa, &mut out, &y);
            seen.extend(bits(&out));
            rope(isa, &mut out, &floats(3, 96).as_chunks::<2>().0.iter().map(|[a, b]| (*a, *b)).collect::<Vec<_>>());
            add(isa, &mut out, &x);
            exp(isa, &mut out);
            seen.extend(bits(&out));
            let (mut weights, mut head) = (vec![0.0; 15], vec![0.0; 24]);
            attend(isa, &x[..24], &y, &x, 32, 0.2, Some(5.0), &mut weights, &mut head);
            softcap(isa, &mut out, 30.0);
            seen.extend(bits(&out));
            seen.extend(bits(&weights));
            seen.extend(bits(&head));
            let mut products = vec![0.0; 7];
            dot_rows(isa, &x[..7 * 67], &y[..67], &mut products);
            seen.extend(bits(&products));
            seen
        };
        for isa in Isa::available() {
            assert!(all(isa) == all(Isa::Scalar), "{isa:?} differs from plain code");
        }
    }
}
