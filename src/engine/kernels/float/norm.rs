//! Normalisation of rows.

use super::{dot, tree, versions};
use crate::engine::kernels::Isa;

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
    /// RMSNorm in place.
    pub fn rms_norm_in_place = rms_norm_in_place_body(x: &mut [f32], weight: &[f32], eps: f32)
}
#[inline(always)]
fn rms_norm_in_place_body(x: &mut [f32], weight: &[f32], eps: f32) {
    let width = weight.len();
    for x in x.chunks_exact_mut(width) {
        let scale = 1.0 / (dot(x, x) / width as f32 + eps).sqrt();
        for (x, w) in x.iter_mut().zip(weight) {
            *x = *x * scale * w;
        }
    }
}

versions! {
    /// LayerNorm: `out = (x - mean) / sqrt(variance + eps) · weight + bias`, row by row of `weight.len()`.
    pub fn layer_norm = layer_norm_body(x: &[f32], weight: &[f32], bias: &[f32], eps: f32, out: &mut [f32])
}
#[inline(always)]
fn layer_norm_body(x: &[f32], weight: &[f32], bias: &[f32], eps: f32, out: &mut [f32]) {
    let width = weight.len();
    for (x, out) in x.chunks_exact(width).zip(out.chunks_exact_mut(width)) {
        let mut p = [0.0_f32; 16];
        let (whole, rest) = x.as_chunks::<16>();
        for x in whole {
            for i in 0..16 {
                p[i] += x[i];
            }
        }
        for (i, x) in rest.iter().enumerate() {
            p[i] += *x;
        }
        let mean = tree(p) / width as f32;
        for i in 0..width {
            out[i] = x[i] - mean;
        }
        let scale = 1.0 / (dot(out, out) / width as f32 + eps).sqrt();
        for i in 0..width {
            out[i] = (out[i] * scale).mul_add(weight[i], bias[i]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::kernels::tests_support::floats;

    #[test]
    fn a_layer_norm_is_that_of_doubles() {
        for width in [1, 15, 16, 100] {
            let (x, w, b) = (floats(1, 2 * width), floats(2, width), floats(3, width));
            let mut out = vec![0.0; 2 * width];
            layer_norm(Isa::detect(), &x, &w, &b, 1e-5, &mut out);
            for (x, out) in x.chunks(width).zip(out.chunks(width)) {
                let mean = x.iter().map(|x| f64::from(*x)).sum::<f64>() / width as f64;
                let variance = x.iter().map(|x| (f64::from(*x) - mean).powi(2)).sum::<f64>() / width as f64;
                for i in 0..width {
                    let want = (f64::from(x[i]) - mean) / (variance + 1e-5).sqrt() * f64::from(w[i]) + f64::from(b[i]);
                    assert!((f64::from(out[i]) - want).abs() < 1e-5, "width {width}: {} against {want}", out[i]);
                }
            }
        }
    }
}
