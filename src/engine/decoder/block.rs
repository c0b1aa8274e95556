//! One block: attention and feed-forward, each read from the residual stream and added to it.

use std::ops::Range;

use super::super::attention::Shape;
use super::super::cache::KvCache;
use super::super::config::{Config, QkNorm};
use super::super::kernels;
use super::super::lora::{Delta, Group};
use super::super::probe::{Edit, Probe, Seen};
use super::super::rope::RopeStyle;
use super::super::weights::{Compute, Linear};
use super::Buffers;
use super::experts::Experts;

/// A matrix with its bias.
#[derive(Debug)]
pub struct Projection {
    /// `[rows, columns]`.
    pub weight: Linear,
    /// `rows` numbers.
    pub bias: Option<Vec<f32>>,
    /// What adapters add.
    pub deltas: Vec<Delta>,
}

impl Projection {
    /// Adds the bias to `tokens × rows` products.
    pub fn add_bias(&self, out: &mut [f32], compute: &mut Compute) {
        if let Some(bias) = &self.bias {
            let isa = compute.isa;
            compute.threads.split_rows(out, bias.len(), |_, out| {
                out.chunks_exact_mut(bias.len()).for_each(|out| kernels::add(isa, out, bias));
            });
        }
    }

    fn rows(&self) -> usize {
        self.weight.rows()
    }

    fn bytes(&self) -> u64 {
        self.weight.bytes()
    }
}

/// `outs[i] = weights[i] · x + biases[i]` for projections that read the same `x`.
pub fn project<const N: usize>(
    x: &[f32],
    tokens: usize,
    compute: &mut Compute,
    mut jobs: [(&Projection, &mut [f32]); N],
) {
    let mut products = jobs.each_mut().map(|(projection, out)| (&projection.weight, &mut **out));
    compute.multiply(x, tokens, &mut products);
    for (projection, out) in jobs {
        projection.add_bias(out, compute);
        for delta in &projection.deltas {
            delta.add(x, tokens, projection.weight.rows(), out, compute);
        }
    }
}

/// Attention's weights.
#[derive(Debug)]
pub struct Attention {
    /// Queries, keys and values: three matrices, or one with all rows (Phi 3).
    pub qkv: Qkv,
    /// Back to the stream.
    pub o_proj: Projection,
    /// Norms of queries and keys.
    pub qk_norm: Option<[Vec<f32>; 2]>,
    /// Whether queries and keys turn.
    pub uses_rope: bool,
    /// Widths, scale, cap and window.
    pub shape: Shape,
}

/// Where queries, keys and values come from.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "one a layer, and nearly all are the large one")]
pub enum Qkv {
    /// Queries, keys, values.
    Apart([Projection; 3]),
    /// All in one.
    Fused(Projection),
}

/// The feed-forward part.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "one a layer, and nearly all are the large one")]
pub enum FeedForward {
    /// Gate, up, down.
    Apart([Projection; 3]),
    /// Gate and up in one, down (Phi 3).
    Fused([Projection; 2]),
    /// A mixture of experts.
    Experts(Box<Experts>),
}

/// A block's weights.
#[derive(Debug)]
pub struct Block {
    /// Norm of what goes into attention.
    pub input_norm: Option<Vec<f32>>,
    /// Attention.
    pub attention: Attention,
    /// Norm of what comes out of it.
    pub post_attention_norm: Option<Vec<f32>>,
    /// Norm of what goes into feed-forward.
    pub feed_forward_norm: Option<Vec<f32>>,
    /// Feed-forward.
    pub feed_forward: FeedForward,
    /// Norm of what comes out of it.
    pub post_feed_forward_norm: Option<Vec<f32>>,
}

impl Block {
    /// Reads and changes `buffers.x`.
    #[allow(clippy::too_many_arguments, reason = "one call, in the decoder")]
    pub fn forward<P: Probe>(
        &self,
        config: &Config,
        layer: usize,
        count: usize,
        cache: &mut KvCache,
        compute: &mut Compute,
        buffers: &mut Buffers,
        probe: &mut P,
    ) {
        let (eps, past) = (config.rms_norm_eps, cache.len());
        buffers.norm_x(self.input_norm.as_deref(), eps, compute);
        self.attention.forward(config, layer, count, cache, compute, buffers, probe);
        if P::EDITS {
            for (i, x) in buffers.normed.chunks_exact_mut(config.hidden_size).enumerate() {
                probe.edit(Edit::Attention { layer, position: past + i, x });
            }
        }
        buffers.add_to_x(self.post_attention_norm.as_deref(), config, compute);
        buffers.norm_x(self.feed_forward_norm.as_deref(), eps, compute);
        match &self.feed_forward {
            FeedForward::Experts(experts) => experts.forward(config, count, compute, buffers),
            dense => dense.forward(config, layer, past, count, compute, buffers, probe),
        }
        if P::EDITS {
            for (i, x) in buffers.normed.chunks_exact_mut(config.hidden_size).enumerate() {
                probe.edit(Edit::Mlp { layer, position: past + i, x });
            }
        }
        buffers.add_to_x(self.post_feed_forward_norm.as_deref(), config, compute);
    }

    /// Of the projections that an adapter can change, each one's group, its rows there, and what adapters add to it;
    /// `kv_width` is the width of keys. Experts are none.
    pub fn deltas(&mut self, kv_width: usize) -> Vec<(Group, Range<usize>, &mut Vec<Delta>)> {
        fn at(group: Group, first: usize, projection: &mut Projection) -> (Group, Range<usize>, &mut Vec<Delta>) {
            (group, first..first + projection.rows(), &mut projection.deltas)
        }
        let mut all = Vec::with_capacity(7);
        match &mut self.attention.qkv {
            Qkv::Apart([q, k, v]) => {
                let q_width = q.rows();
                all.push(at(Group::Qkv, 0, q));
                all.push(at(Group::Qkv, q_width, k));
                all.push(at(Group::Qkv, q_width + kv_width, v));
            }
            Qkv::Fused(one) => all.push(at(Group::Qkv, 0, one)),
        }
        all.push(at(Group::O, 0, &mut self.attention.o_proj));
        match &mut self.feed_forward {
            FeedForward::Apart([gate, up, down]) => {
                let wide = gate.rows();
                all.push(at(Group::GateUp, 0, gate));
                all.push(at(Group::GateUp, wide, up));
                all.push(at(Group::Down, 0, down));
            }
            FeedForward::Fused([both, down]) => {
                all.push(at(Group::GateUp, 0, both));
                all.push(at(Group::Down, 0, down));
            }
            FeedForward::Experts(_) => {}
        }
        all
    }

    /// Bytes of the matrices in memory.
    pub fn bytes(&self) -> u64 {
        let all = |projections: &[Projection]| projections.iter().map(Projection::bytes).sum::<u64>();
        let qkv = match &self.attention.qkv {
            Qkv::Apart(three) => all(three),
            Qkv::Fused(one) => one.bytes(),
        };
        let feed_forward = match &self.feed_forward {
            FeedForward::Apart(three) => all(three),
            FeedForward::Fused(two) => all(two),
            FeedForward::Experts(experts) => experts.bytes(),
        };
        qkv + self.attention.o_proj.bytes() + feed_forward
    }
}

impl Buffers {
    /// `normed = norm(x)`, or `x` as it is.
    fn norm_x(&mut self, norm: Option<&[f32]>, eps: f32, compute: &mut Compute) {
        match norm {
            Some(weight) => compute.rms_norm(&self.x, weight, eps, &mut self.normed),
            None => self.normed.copy_from_slice(&self.x),
        }
    }

    /// `x += multiplier · norm(normed)`.
    fn add_to_x(&mut self, norm: Option<&[f32]>, config: &Config, compute: &mut Compute) {
        if let Some(weight) = norm {
            compute.rms_norm_in_place(&mut self.normed, weight, config.rms_norm_eps);
        }
        if config.residual_multiplier != 1.0 {
            self.normed.iter_mut().for_each(|x| *x *= config.residual_multiplier);
        }
        compute.add(&mut self.x, &self.normed);
    }
}

impl Attention {
    /// Reads `normed`, leaves its result there.
    #[allow(clippy::too_many_arguments, reason = "one call, in the block")]
    fn forward<P: Probe>(
        &self,
        config: &Config,
        layer: usize,
        count: usize,
        cache: &mut KvCache,
        compute: &mut Compute,
        buffers: &mut Buffers,
        probe: &mut P,
    ) {
        let Buffers { normed, q, k, v, mixed, fused, weights, angles, local_angles, .. } = buffers;
        match &self.qkv {
            Qkv::Apart([q_proj, k_proj, v_proj]) => {
                project(normed, count, compute, [(q_proj, q), (k_proj, k), (v_proj, v)]);
            }
            Qkv::Fused(all) => {
                let rows = all.weight.rows();
                fused.resize(count * rows, 0.0);
                project(normed, count, compute, [(all, fused)]);
                split_rows(fused, rows, [q, k, v]);
            }
        }
        if let Some([q_norm, k_norm]) = &self.qk_norm {
            // The weight's length says whether it goes over a head or over all of them.
            debug_assert!((q_norm.len() == config.head_dim) == (config.qk_norm == QkNorm::PerHead));
            compute.rms_norm_in_place(q, q_norm, config.rms_norm_eps);
            compute.rms_norm_in_place(k, k_norm, config.rms_norm_eps);
        }
        if self.uses_rope {
            let local = self.shape.window.is_some();
            let angles = if local { local_angles } else { angles };
            let rope = if local { &config.local_rope } else { &config.rope };
            let halves = rope.style == RopeStyle::Halves;
            compute.rope(q, count, config.head_dim, rope.dims, angles, halves);
            compute.rope(k, count, config.head_dim, rope.dims, angles, halves);
        }
        let past = cache.len();
        cache.append(layer, k, v, &mut compute.threads);
        self.shape.attend(layer, count, q, cache, compute, weights, P::ATTENTIONS, mixed);
        if P::ATTENTIONS {
            let (heads, room) = (config.num_attention_heads, past + count);
            for (row, weights) in weights.chunks_exact(room).enumerate() {
                let (i, head) = (row / heads, row % heads);
                let weights = &weights[..past + i + 1];
                probe.see(Seen::Attention { layer, head, position: past + i, weights });
            }
        }
        if P::EDITS {
            for (i, heads) in mixed.chunks_exact_mut(config.q_width()).enumerate() {
                probe.edit(Edit::Heads { layer, position: past + i, heads });
            }
        }
        project(mixed, count, compute, [(&self.o_proj, normed)]);
    }
}

impl FeedForward {
    /// Reads `normed`, leaves its result there. Not for experts.
    #[allow(clippy::too_many_arguments, reason = "one call, in the block")]
    fn forward<P: Probe>(
        &self,
        config: &Config,
        layer: usize,
        past: usize,
        count: usize,
        compute: &mut Compute,
        buffers: &mut Buffers,
        probe: &mut P,
    ) {
        let Buffers { normed, gate, up, fused, .. } = buffers;
        let down = match self {
            Self::Apart([gate_proj, up_proj, down_proj]) => {
                project(normed, count, compute, [(gate_proj, gate), (up_proj, up)]);
                down_proj
            }
            Self::Fused([both, down_proj]) => {
                let rows = both.weight.rows();
                fused.resize(count * rows, 0.0);
                project(normed, count, compute, [(both, fused)]);
                split_rows(fused, rows, [gate, up]);
                down_proj
            }
            Self::Experts(_) => unreachable!("the block runs experts itself"),
        };
        compute.gate(config.hidden_act, gate, up);
        if P::LOOKS {
            for (i, activations) in gate.chunks_exact(config.intermediate_size).enumerate() {
                probe.see(Seen::Mlp { layer, position: past + i, activations });
            }
        }
        project(gate, count, compute, [(down, normed)]);
    }
}

/// Deals each row of `width` numbers out to several buffers, in order.
fn split_rows<const N: usize>(rows: &[f32], width: usize, mut outs: [&mut Vec<f32>; N]) {
    let count = rows.len() / width;
    for (i, row) in rows.chunks_exact(width).enumerate() {
        let mut at = 0;
        for out in &mut outs {
            let part = out.len() / count;
            out[i * part..(i + 1) * part].copy_from_slice(&row[at..at + part]);
            at += part;
        }
    }
}
