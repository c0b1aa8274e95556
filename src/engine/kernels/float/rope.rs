//! Rotary position embedding, in both orders of the pairs.

use super::versions;
use crate::engine::kernels::Isa;

versions! {
    /// Rotates the pairs `(2j, 2j + 1)` of each head of `head_dim` in `x` by `(cos, sin)` pairs; dimensions beyond
    /// twice their number stay as they are. Llama's order in GGUF files.
    pub fn rope = rope_body(x: &mut [f32], head_dim: usize, angles: &[(f32, f32)])
}
#[inline(always)]
fn rope_body(x: &mut [f32], head_dim: usize, angles: &[(f32, f32)]) {
    for head in x.chunks_exact_mut(head_dim) {
        for (pair, (cos, sin)) in head.as_chunks_mut::<2>().0.iter_mut().zip(angles) {
            let [a, b] = *pair;
            *pair = [a.mul_add(*cos, -(b * *sin)), a.mul_add(*sin, b * *cos)];
        }
    }
}

versions! {
    /// Rotates the pairs `(j, j + half)` of each head of `head_dim` in `x`, `half` being the number of `(cos, sin)`
    /// pairs; dimensions from `2 · half` on stay as they are. NeoX's order: Qwen, Gemma, Phi, and Hugging Face's own.
    pub fn rope_halves = rope_halves_body(x: &mut [f32], head_dim: usize, angles: &[(f32, f32)])
}
#[inline(always)]
fn rope_halves_body(x: &mut [f32], head_dim: usize, angles: &[(f32, f32)]) {
    for head in x.chunks_exact_mut(head_dim) {
        let (low, high) = head[..2 * angles.len()].split_at_mut(angles.len());
        for ((a, b), (cos, sin)) in low.iter_mut().zip(high).zip(angles) {
            (*a, *b) = (a.mul_add(*cos, -(*b * *sin)), a.mul_add(*sin, *b * *cos));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::kernels::tests_support::floats;

    #[test]
    fn both_orders_turn_the_same_pairs_and_leave_the_rest() {
        let (head_dim, half, heads) = (24, 8, 3);
        let angles: Vec<(f32, f32)> = floats(1, half).iter().map(|a| (libm::cosf(*a), libm::sinf(*a))).collect();
        let x = floats(2, heads * head_dim);
        // The interleaved order of the same numbers.
        let at = |i: usize| {
            if i < half {
                2 * i
            } else if i < 2 * half {
                2 * (i - half) + 1
            } else {
                i
            }
        };
        let mut mixed = x.clone();
        for head in 0..heads {
            for i in 0..head_dim {
                mixed[head * head_dim + at(i)] = x[head * head_dim + i];
            }
        }
        let mut halves = x.clone();
        rope(Isa::detect(), &mut mixed, head_dim, &angles);
        rope_halves(Isa::detect(), &mut halves, head_dim, &angles);
        for head in 0..heads {
            for i in 0..head_dim {
                let here = halves[head * head_dim + i];
                assert_eq!(here, mixed[head * head_dim + at(i)], "head {head}, dimension {i}");
                assert_eq!(i < 2 * half, here != x[head * head_dim + i], "head {head}, dimension {i}");
            }
        }
    }
}
