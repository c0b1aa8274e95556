//! What the decoder does to whole chunks besides products: norms, turning, bending, adding.

use super::config::Activation;
use super::kernels;
use super::weights::Compute;

impl Compute {
    /// RMSNorm of each row of `weight.len()` numbers.
    pub fn rms_norm(&mut self, x: &[f32], weight: &[f32], eps: f32, out: &mut [f32]) {
        let (isa, width) = (self.isa, weight.len());
        self.threads.split_rows(out, width, |first, out| {
            kernels::rms_norm(isa, &x[first * width..][..out.len()], weight, eps, out);
        });
    }

    /// RMSNorm of each row, in place.
    pub fn rms_norm_in_place(&mut self, x: &mut [f32], weight: &[f32], eps: f32) {
        let isa = self.isa;
        self.threads.split_rows(x, weight.len(), |_, x| kernels::rms_norm_in_place(isa, x, weight, eps));
    }

    /// `x += y`.
    pub fn add(&mut self, x: &mut [f32], y: &[f32]) {
        let isa = self.isa;
        self.threads.split_rows(x, 1, |first, x| kernels::add(isa, x, &y[first..]));
    }

    /// `gate = act(gate) · up`.
    pub fn gate(&mut self, act: Activation, gate: &mut [f32], up: &[f32]) {
        let isa = self.isa;
        self.threads.split_rows(gate, 1, |first, gate| match act {
            Activation::Silu => kernels::silu_mul(isa, gate, &up[first..]),
            Activation::GeluTanh => kernels::gelu_tanh_mul(isa, gate, &up[first..]),
        });
    }

    /// `cap · tanh(x / cap)`.
    pub fn softcap(&mut self, x: &mut [f32], cap: f32) {
        kernels::softcap(self.isa, x, cap);
    }

    /// Turns the first `dims` numbers of each head of `count` positions; `angles` holds `dims / 2` pairs a position.
    /// `halves`: pair `j` is `(j, j + dims / 2)`, else `(2j, 2j + 1)`.
    pub fn rope(
        &mut self,
        x: &mut [f32],
        count: usize,
        head_dim: usize,
        dims: usize,
        angles: &[(f32, f32)],
        halves: bool,
    ) {
        let (isa, width) = (self.isa, x.len() / count);
        self.threads.split_rows(x, width, |first, x| {
            for (x, angles) in x.chunks_exact_mut(width).zip(angles.chunks_exact(dims / 2).skip(first)) {
                if halves {
                    kernels::rope_halves(isa, x, head_dim, angles);
                } else {
                    kernels::rope(isa, x, head_dim, angles);
                }
            }
        });
    }
}
