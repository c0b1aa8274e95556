//! `exp`, `tanh` and the error function of our own (a libm's differ from machine to machine), and what is made of them.

use super::versions;
use crate::engine::kernels::Isa;

/// `e` to the `x`: 2 to the nearest integer of `x / ln 2`, times a polynomial of degree 6; relative error below 3e-7.
#[inline(always)]
pub(in crate::engine::kernels) fn exp_body(x: f32) -> f32 {
    let x = x.clamp(-87.0, 88.0);
    // 1.5 · 2^23 leaves the nearest integer in the low bits.
    let shifted = x.mul_add(std::f32::consts::LOG2_E, 12_582_912.0);
    let n = shifted - 12_582_912.0;
    let r = n.mul_add(2.121_944_4e-4, n.mul_add(-0.693_359_4, x));
    let p = 1.388_889e-3_f32;
    let p = p.mul_add(r, 8.333_334e-3);
    let p = p.mul_add(r, 4.166_666_7e-2);
    let p = p.mul_add(r, 0.166_666_67);
    let p = p.mul_add(r, 0.5);
    let p = p.mul_add(r, 1.0);
    let p = p.mul_add(r, 1.0);
    p * f32::from_bits(shifted.to_bits().wrapping_add(127) << 23)
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

/// Hyperbolic tangent; absolute error below 2e-7, relative near zero too.
#[inline(always)]
pub(in crate::engine::kernels) fn tanh_body(x: f32) -> f32 {
    let s = x * x;
    let p = 1.879_03e-3_f32;
    let p = p.mul_add(s, -7.861_85e-3);
    let p = p.mul_add(s, 2.156_094e-2);
    let p = p.mul_add(s, -5.391_884e-2);
    let p = p.mul_add(s, 0.133_329_65);
    let p = p.mul_add(s, -0.333_333_24);
    let near = (x * s).mul_add(p, x);
    let far = 1.0 - 2.0 / (exp_body(2.0 * x.abs()) + 1.0);
    if s < 0.5 { near } else { far.copysign(x) }
}

/// The error function; absolute error below 2e-7. Both polynomials were fitted for this file (least squares with
/// reweighting): `erf(x) / x - 1` over `x²` below 1, the logarithm of `1 - erf(x)` over `x` from there to 4.
#[inline(always)]
fn erf_body(x: f32) -> f32 {
    let s = x * x;
    let p = 7.889_109e-5_f32;
    let p = p.mul_add(s, -8.020_838e-4);
    let p = p.mul_add(s, 5.189_535e-3);
    let p = p.mul_add(s, -2.685_444_4e-2);
    let p = p.mul_add(s, 0.112_836);
    let p = p.mul_add(s, -0.376_126_27);
    let p = p.mul_add(s, 0.128_379_17);
    let near = x.mul_add(p, x);
    // Not `min`, which would lose a NaN.
    let t = if x.abs() > 4.0 { 4.0 } else { x.abs() };
    let p = -2.144_580_8e-5_f32;
    let p = p.mul_add(t, 4.385_326e-4);
    let p = p.mul_add(t, -4.190_868e-3);
    let p = p.mul_add(t, 2.517_184e-2);
    let p = p.mul_add(t, -0.108_361_6);
    let p = p.mul_add(t, -0.633_272_37);
    let p = p.mul_add(t, -1.129_552_1);
    let p = p.mul_add(t, 1.824_639_2e-4);
    let far = 1.0 - exp_body(p);
    if s < 1.0 { near } else { far.copysign(x) }
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
    /// SwiGLU: `gate = gate · sigmoid(gate) · up`.
    pub fn silu_mul = silu_mul_body(gate: &mut [f32], up: &[f32])
}
#[inline(always)]
fn silu_mul_body(gate: &mut [f32], up: &[f32]) {
    for (g, u) in gate.iter_mut().zip(up) {
        *g = *g / (1.0 + exp_body(-*g)) * *u;
    }
}

/// GELU by the hyperbolic tangent, with ggml's constants (`GELU_COEF_A`, `SQRT_2_OVER_PI` in `vec.h`).
#[inline(always)]
fn gelu_tanh_body(x: f32) -> f32 {
    let inner = (x * 0.797_884_6) * (0.044_715 * x).mul_add(x, 1.0);
    0.5 * x * (1.0 + tanh_body(inner))
}

/// GELU by the error function.
#[inline(always)]
fn gelu_erf_body(x: f32) -> f32 {
    0.5 * x * (1.0 + erf_body(x * std::f32::consts::FRAC_1_SQRT_2))
}

versions! {
    /// GEGLU: `gate = gelu_tanh(gate) · up`, as in Gemma.
    pub fn gelu_tanh_mul = gelu_tanh_mul_body(gate: &mut [f32], up: &[f32])
}
#[inline(always)]
fn gelu_tanh_mul_body(gate: &mut [f32], up: &[f32]) {
    for (g, u) in gate.iter_mut().zip(up) {
        *g = gelu_tanh_body(*g) * *u;
    }
}

versions! {
    /// GELU (error function) of each number, in place: BERT's.
    pub fn gelu_erf = gelu_erf_all(x: &mut [f32])
}
#[inline(always)]
fn gelu_erf_all(x: &mut [f32]) {
    for x in x {
        *x = gelu_erf_body(*x);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn over_a_range(mine: fn(f32) -> f32, exact: fn(f64) -> f64, near: impl Fn(f64, f64) -> bool) {
        for i in -8_000..8_000 {
            let x = i as f32 / 100.0 + 1e-4;
            let (got, want) = (f64::from(mine(x)), exact(f64::from(x)));
            assert!(near(got, want), "at {x}: {got} against {want}");
        }
    }

    #[test]
    fn exp_is_right_to_seven_digits() {
        over_a_range(exp_body, f64::exp, |got, want| (got / want - 1.0).abs() < 4e-7);
    }

    #[test]
    fn tanh_is_right_to_seven_digits() {
        over_a_range(tanh_body, f64::tanh, |got, want| (got / want - 1.0).abs() < 4e-7);
        assert_eq!(tanh_body(0.0), 0.0);
    }

    #[test]
    fn erf_is_right_to_seven_digits() {
        over_a_range(erf_body, libm::erf, |got, want| (got / want - 1.0).abs() < 4e-7);
    }

    #[test]
    fn gelu_is_right_near_zero_and_far_from_it() {
        let tanh = |x: f64| 0.5 * x * (1.0 + (0.797_884_56 * x * (1.0 + 0.044_715 * x * x)).tanh());
        over_a_range(gelu_tanh_body, tanh, |got, want| (got - want).abs() < 4e-7 * want.abs().max(1.0));
        let erf = |x: f64| 0.5 * x * (1.0 + libm::erf(x / 2.0_f64.sqrt()));
        over_a_range(gelu_erf_body, erf, |got, want| (got - want).abs() < 4e-7 * want.abs().max(1.0));
    }

    #[test]
    fn what_is_no_number_stays_none() {
        for f in [exp_body, tanh_body, erf_body, gelu_tanh_body, gelu_erf_body] {
            assert!(f(f32::NAN).is_nan());
        }
    }
}
