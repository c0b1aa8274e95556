//! Attention of one head.

use super::Isa;
use super::float::{dot, exp_body, tanh_body, tree, versions};

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::kernels::tests_support::floats;

    #[test]
    fn every_instruction_set_gives_the_same_bits() {
        let all = |isa: Isa, cap| {
            let (x, y) = (floats(1, 480), floats(2, 480));
            let (mut weights, mut head) = (vec![0.0; 15], vec![0.0; 24]);
            attend(isa, &x[..24], &y, &x, 32, 0.2, cap, &mut weights, &mut head);
            weights.iter().chain(&head).map(|x| x.to_bits()).collect::<Vec<_>>()
        };
        for isa in Isa::available() {
            for cap in [None, Some(5.0)] {
                assert!(all(isa, cap) == all(Isa::Scalar, cap), "{isa:?} differs from plain code");
            }
        }
    }
}
