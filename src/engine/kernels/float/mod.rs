//! Float operations. Each is written once, inlined into three versions compiled for AVX-512, AVX2 and no extension;
//! `mul_add` is exact in all of them, and nothing reorders a sum, so the versions give the same bits.

mod activation;
mod backward;
mod norm;
mod rope;

pub use activation::{exp, gelu_erf, gelu_tanh_mul, silu_mul, softcap};
pub(super) use activation::{exp_body, tanh_body};
pub use backward::{
    AdamStep, adamw, axpby, cross_entropy, nesterov, rms_norm_backward, softmax_backward, softmax_row, swiglu,
    swiglu_backward,
};
pub use norm::{layer_norm, rms_norm, rms_norm_in_place};
pub use rope::{rope, rope_halves};

use super::Isa;

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

pub(super) use versions;

/// Adds 16 partial sums in one fixed tree.
#[inline(always)]
pub(super) fn tree(p: [f32; 16]) -> f32 {
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
    /// `a · b`, over 16 fixed partial sums.
    pub fn dot_product = dot(a: &[f32], b: &[f32]) -> f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::kernels::tests_support::floats;

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
            gelu_tanh_mul(isa, &mut out, &y);
            gelu_erf(isa, &mut out);
            softcap(isa, &mut out, 0.3);
            seen.extend(bits(&out));
            layer_norm(isa, &x, &y[..96], &y[96..192], 1e-5, &mut out);
            seen.extend(bits(&out));
            let angles: Vec<_> = floats(3, 96).as_chunks::<2>().0.iter().map(|[a, b]| (*a, *b)).collect();
            rope(isa, &mut out, 96, &angles);
            rope_halves(isa, &mut out, 96, &angles[..13]);
            add(isa, &mut out, &x);
            exp(isa, &mut out);
            seen.extend(bits(&out));
            seen
        };
        for isa in Isa::available() {
            assert!(all(isa) == all(Isa::Scalar), "{isa:?} differs from plain code");
        }
    }
}
