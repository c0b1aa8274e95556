//! What training needs besides the forward pass: derivatives, the softmax of whole rows, optimiser steps.

use super::activation::exp_body;
use super::{dot, tree, versions};
use crate::engine::kernels::Isa;

versions! {
    /// RMSNorm's derivative: from `dy`, adds to `dx` and to `dweight` (summed over the rows). `x`, `dy` and `dx` are rows
    /// of `weight.len()`; with `y = x · s · w`, `s = 1 / sqrt(mean(x²) + eps)`:
    /// `dx = s · w · dy - x · s³ · mean(x · w · dy)`.
    pub fn rms_norm_backward = rms_norm_backward_body(
        x: &[f32], weight: &[f32], eps: f32, dy: &[f32], dx: &mut [f32], dweight: &mut [f32],
    )
}
#[inline(always)]
fn rms_norm_backward_body(x: &[f32], weight: &[f32], eps: f32, dy: &[f32], dx: &mut [f32], dweight: &mut [f32]) {
    let width = weight.len();
    let dweight = &mut dweight[..width];
    for ((x, dy), dx) in x.chunks_exact(width).zip(dy.chunks_exact(width)).zip(dx.chunks_exact_mut(width)) {
        let scale = 1.0 / (dot(x, x) / width as f32 + eps).sqrt();
        let along = dot_of_three(x, weight, dy) * scale * scale * scale / width as f32;
        for i in 0..width {
            dx[i] += (dy[i] * weight[i]).mul_add(scale, -(x[i] * along));
            dweight[i] = dy[i].mul_add(x[i] * scale, dweight[i]);
        }
    }
}

/// `Σ a b c` over 16 fixed partial sums.
#[inline(always)]
fn dot_of_three(a: &[f32], b: &[f32], c: &[f32]) -> f32 {
    let (a16, a_rest) = a.as_chunks::<16>();
    let (b16, b_rest) = b.as_chunks::<16>();
    let (c16, c_rest) = c.as_chunks::<16>();
    let mut p = [0.0_f32; 16];
    for ((a, b), c) in a16.iter().zip(b16).zip(c16) {
        for i in 0..16 {
            p[i] = (a[i] * b[i]).mul_add(c[i], p[i]);
        }
    }
    for (i, ((a, b), c)) in a_rest.iter().zip(b_rest).zip(c_rest).enumerate() {
        p[i] = (a * b).mul_add(*c, p[i]);
    }
    tree(p)
}

versions! {
    /// SwiGLU over rows of gate, then up (`2 · width` numbers): `out = gate · sigmoid(gate) · up`, rows of `width`.
    pub fn swiglu = swiglu_body(gate_up: &[f32], width: usize, out: &mut [f32])
}
#[inline(always)]
fn swiglu_body(gate_up: &[f32], width: usize, out: &mut [f32]) {
    for (row, out) in gate_up.chunks_exact(2 * width).zip(out.chunks_exact_mut(width)) {
        let (gate, up) = row.split_at(width);
        for i in 0..width {
            out[i] = gate[i] / (1.0 + exp_body(-gate[i])) * up[i];
        }
    }
}

versions! {
    /// SwiGLU's derivative: `dgate_up` becomes the change by gate and by up, laid out as `gate_up`.
    pub fn swiglu_backward = swiglu_backward_body(gate_up: &[f32], width: usize, dout: &[f32], dgate_up: &mut [f32])
}
#[inline(always)]
fn swiglu_backward_body(gate_up: &[f32], width: usize, dout: &[f32], dgate_up: &mut [f32]) {
    let rows = gate_up.chunks_exact(2 * width).zip(dout.chunks_exact(width)).zip(dgate_up.chunks_exact_mut(2 * width));
    for ((row, dout), to) in rows {
        let (gate, up) = row.split_at(width);
        let (dgate, dup) = to.split_at_mut(width);
        let (dgate, dout) = (&mut dgate[..width], &dout[..width]);
        for i in 0..width {
            let sigmoid = 1.0 / (1.0 + exp_body(-gate[i]));
            let silu = gate[i] * sigmoid;
            dup[i] = dout[i] * silu;
            dgate[i] = dout[i] * up[i] * silu.mul_add(1.0 - sigmoid, sigmoid);
        }
    }
}

/// The largest number of a row.
#[inline(always)]
fn largest(row: &[f32]) -> f32 {
    let mut most = [f32::NEG_INFINITY; 16];
    let (whole, rest) = row.as_chunks::<16>();
    for x in whole {
        for i in 0..16 {
            most[i] = if x[i] > most[i] { x[i] } else { most[i] };
        }
    }
    most.iter().chain(rest).fold(f32::NEG_INFINITY, |m, x| if *x > m { *x } else { m })
}

/// Makes each number `exp(scale · x - shift)` and gives their sum.
#[inline(always)]
fn exp_sum(row: &mut [f32], scale: f32, shift: f32) -> f32 {
    let mut sums = [0.0_f32; 16];
    let (whole, rest) = row.as_chunks_mut::<16>();
    for x in whole {
        for i in 0..16 {
            x[i] = exp_body(x[i].mul_add(scale, -shift));
            sums[i] += x[i];
        }
    }
    for (i, x) in rest.iter_mut().enumerate() {
        *x = exp_body(x.mul_add(scale, -shift));
        sums[i] += *x;
    }
    tree(sums)
}

versions! {
    /// `row = softmax(scale · row)`; `scale` is positive.
    pub fn softmax_row = softmax_row_body(row: &mut [f32], scale: f32)
}
#[inline(always)]
fn softmax_row_body(row: &mut [f32], scale: f32) {
    let shift = largest(row) * scale;
    let inverse = 1.0 / exp_sum(row, scale, shift);
    for x in row {
        *x *= inverse;
    }
}

versions! {
    /// The softmax's derivative, in place: `d = scale · p · (d - p · d)`, the middle one a dot product.
    pub fn softmax_backward = softmax_backward_body(p: &[f32], d: &mut [f32], scale: f32)
}
#[inline(always)]
fn softmax_backward_body(p: &[f32], d: &mut [f32], scale: f32) {
    let mean = dot(p, d);
    for (d, p) in d.iter_mut().zip(p) {
        *d = *p * (*d - mean) * scale;
    }
}

versions! {
    /// Cross-entropy of a row of logits, in nats: `ln Σ exp(logits) - logits[target]`. The row becomes the derivative
    /// `factor · (softmax - one-hot)`.
    pub fn cross_entropy = cross_entropy_body(logits: &mut [f32], target: usize, factor: f32) -> f32
}
#[inline(always)]
fn cross_entropy_body(logits: &mut [f32], target: usize, factor: f32) -> f32 {
    let (shift, chosen) = (largest(logits), logits[target]);
    let sum = exp_sum(logits, 1.0, shift);
    let scale = factor / sum;
    for x in logits.iter_mut() {
        *x *= scale;
    }
    logits[target] -= factor;
    (libm::log(f64::from(sum)) + f64::from(shift) - f64::from(chosen)) as f32
}

/// Constants of one step of AdamW.
#[derive(Clone, Copy, Debug)]
pub struct AdamStep {
    /// Decay of the mean and of the mean square.
    pub betas: [f32; 2],
    /// `1 / (1 - beta^t)` of both.
    pub corrections: [f32; 2],
    /// Added to the root.
    pub eps: f32,
    /// What the gradient is multiplied with first (clipping).
    pub gradient_scale: f32,
    /// Step size.
    pub learning_rate: f32,
    /// Weights are multiplied with this first: `1 - learning_rate · weight_decay`.
    pub keep: f32,
}

versions! {
    /// A step of AdamW (Loshchilov and Hutter, 2019); `m` and `v` are the running means.
    pub fn adamw = adamw_body(step: &AdamStep, weights: &mut [f32], gradient: &[f32], m: &mut [f32], v: &mut [f32])
}
#[inline(always)]
fn adamw_body(step: &AdamStep, weights: &mut [f32], gradient: &[f32], m: &mut [f32], v: &mut [f32]) {
    let AdamStep { betas: [b1, b2], corrections: [c1, c2], eps, gradient_scale, learning_rate, keep } = *step;
    for (((w, g), m), v) in weights.iter_mut().zip(gradient).zip(m).zip(v) {
        let g = g * gradient_scale;
        *m = b1.mul_add(*m, (1.0 - b1) * g);
        *v = b2.mul_add(*v, (1.0 - b2) * g * g);
        let update = *m * c1 / ((*v * c2).sqrt() + eps);
        *w = (-learning_rate).mul_add(update, *w * keep);
    }
}

versions! {
    /// Muon's running mean of the gradient and its Nesterov look-ahead: `m = momentum · m + g`,
    /// `out = g + momentum · m`, `g = gradient_scale · gradient`.
    pub fn nesterov = nesterov_body(
        momentum: f32, gradient_scale: f32, gradient: &[f32], m: &mut [f32], out: &mut [f32],
    )
}
#[inline(always)]
fn nesterov_body(momentum: f32, gradient_scale: f32, gradient: &[f32], m: &mut [f32], out: &mut [f32]) {
    for ((g, m), out) in gradient.iter().zip(m).zip(out) {
        let g = g * gradient_scale;
        *m = momentum.mul_add(*m, g);
        *out = momentum.mul_add(*m, g);
    }
}

versions! {
    /// `y = a · x + b · y`.
    pub fn axpby = axpby_body(a: f32, x: &[f32], b: f32, y: &mut [f32])
}
#[inline(always)]
fn axpby_body(a: f32, x: &[f32], b: f32, y: &mut [f32]) {
    for (y, x) in y.iter_mut().zip(x) {
        *y = a.mul_add(*x, b * *y);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::kernels::rms_norm;
    use crate::engine::kernels::tests_support::floats;

    /// Everything here, one after another, as bits.
    fn all(isa: Isa) -> Vec<u32> {
        let (x, y, dy) = (floats(1, 3 * 40), floats(2, 3 * 40), floats(3, 3 * 40));
        let mut seen = Vec::new();
        let mut keep = |v: &[f32]| seen.extend(v.iter().map(|x| x.to_bits()));
        let (mut dx, mut dw) = (y.clone(), floats(4, 40));
        rms_norm_backward(isa, &x, &y[..40], 1e-5, &dy, &mut dx, &mut dw);
        keep(&dx);
        keep(&dw);
        let (mut out, mut dgu) = (vec![0.0; 60], vec![0.0; 120]);
        swiglu(isa, &x, 20, &mut out);
        swiglu_backward(isa, &x, 20, &dy[..60], &mut dgu);
        keep(&out);
        keep(&dgu);
        let (mut p, mut d) = (x[..37].to_vec(), y[..37].to_vec());
        softmax_row(isa, &mut p, 0.7);
        softmax_backward(isa, &p, &mut d, 0.7);
        keep(&p);
        keep(&d);
        let mut logits = x[..39].to_vec();
        let loss = cross_entropy(isa, &mut logits, 5, 0.3);
        keep(&logits);
        keep(&[loss]);
        let (mut w, mut m, mut v) =
            (x.clone(), floats(5, 120), floats(6, 120).iter().map(|x| x * x).collect::<Vec<_>>());
        let step = AdamStep {
            betas: [0.9, 0.98],
            corrections: [1.3, 1.7],
            eps: 1e-8,
            gradient_scale: 0.5,
            learning_rate: 1e-2,
            keep: 0.999,
        };
        adamw(isa, &step, &mut w, &dy, &mut m, &mut v);
        nesterov(isa, 0.95, 0.5, &dy, &mut m, &mut v);
        axpby(isa, 0.3, &x, 0.6, &mut v);
        keep(&w);
        keep(&m);
        keep(&v);
        seen
    }

    #[test]
    fn every_instruction_set_gives_the_same_bits() {
        let want = all(Isa::Scalar);
        for isa in Isa::available() {
            assert!(all(isa) == want, "{isa:?} differs from plain code");
        }
    }

    /// `f`'s derivative along `direction` by central differences, in doubles of f32 results.
    fn slope(x: &[f32], direction: &[f32], f: impl Fn(&[f32]) -> f64) -> f64 {
        let step = 1e-3;
        let at = |by: f32| f(&x.iter().zip(direction).map(|(x, d)| x + by * d).collect::<Vec<_>>());
        (at(step) - at(-step)) / (2.0 * f64::from(step))
    }

    fn sum(a: &[f32], b: &[f32]) -> f64 {
        a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
    }

    fn near(got: f64, want: f64) {
        assert!((got - want).abs() < 2e-3 * (1.0 + want.abs()), "{got} against {want}");
    }

    #[test]
    fn derivatives_are_those_of_the_forward_functions() {
        let isa = Isa::detect();
        let (x, w, dy) = (floats(1, 40), floats(2, 20), floats(3, 40));
        let (along_x, along_w) = (floats(4, 40), floats(5, 20));
        let normed = |x: &[f32], w: &[f32]| {
            let mut out = vec![0.0; 40];
            rms_norm(isa, x, w, 1e-5, &mut out);
            sum(&out, &dy)
        };
        let (mut dx, mut dw) = (vec![0.0; 40], vec![0.0; 20]);
        rms_norm_backward(isa, &x, &w, 1e-5, &dy, &mut dx, &mut dw);
        near(sum(&dx, &along_x), slope(&x, &along_x, |x| normed(x, &w)));
        near(sum(&dw, &along_w), slope(&w, &along_w, |w| normed(&x, w)));

        let mut dgu = vec![0.0; 40];
        swiglu_backward(isa, &x, 10, &dy[..20], &mut dgu);
        let gated = |x: &[f32]| {
            let mut out = vec![0.0; 20];
            swiglu(isa, x, 10, &mut out);
            sum(&out, &dy[..20])
        };
        near(sum(&dgu, &along_x), slope(&x, &along_x, gated));

        let soft = |x: &[f32]| {
            let mut p = x.to_vec();
            softmax_row(isa, &mut p, 0.7);
            p
        };
        let mut d = dy.clone();
        softmax_backward(isa, &soft(&x), &mut d, 0.7);
        near(sum(&d, &along_x), slope(&x, &along_x, |x| sum(&soft(x), &dy)));

        let mut logits = x.clone();
        cross_entropy(isa, &mut logits, 7, 1.0);
        let loss = |x: &[f32]| f64::from(cross_entropy(isa, &mut x.to_vec(), 7, 1.0));
        near(sum(&logits, &along_x), slope(&x, &along_x, loss));
    }
}
