//! A mixture of experts: a router picks a few small feed-forward parts for each token.

use super::super::config::{Activation, Config};
use super::super::kernels;
use super::super::weights::{Compute, Linear};
use super::Buffers;

/// The experts of a layer.
#[derive(Debug)]
pub struct Experts {
    /// `[num_experts, hidden_size]`.
    pub router: Linear,
    /// Gate, up, down of each.
    pub experts: Vec<[Linear; 3]>,
    /// The expert that every token uses, and what decides how much of it (`hidden_size` numbers).
    pub shared: Option<([Linear; 3], Option<Vec<f32>>)>,
    /// Experts a token uses.
    pub per_token: usize,
    /// Whether their weights are made to sum to 1.
    pub norm_topk_prob: bool,
}

/// Room to work in.
#[derive(Debug, Default)]
pub struct Routed {
    probabilities: Vec<f32>,
    /// Tokens of the expert at work, one after the other.
    x: Vec<f32>,
    gate: Vec<f32>,
    up: Vec<f32>,
    out: Vec<f32>,
    sum: Vec<f32>,
}

/// An expert with its share in a token, in the order of their shares.
type Choice = (usize, f32);

impl Experts {
    /// Reads `normed`, leaves its result there.
    ///
    /// Tokens that chose the same expert go through it together. A token's experts are added in the order of its own
    /// choices, so its sum does not depend on what else is in the chunk.
    pub fn forward(&self, config: &Config, count: usize, compute: &mut Compute, buffers: &mut Buffers) {
        let Buffers { normed, routed, .. } = buffers;
        let hidden = config.hidden_size;
        routed.probabilities.resize(count * self.experts.len(), 0.0);
        compute.multiply(normed, count, &mut [(&self.router, &mut routed.probabilities)]);
        let choices: Vec<Vec<Choice>> = routed
            .probabilities
            .chunks_exact_mut(self.experts.len())
            .map(|logits| choose(logits, self.per_token, self.norm_topk_prob, compute))
            .collect();
        // What each of a token's experts says, kept apart until all have spoken.
        routed.sum.clear();
        routed.sum.resize(count * self.per_token * hidden, 0.0);
        for (expert, weights) in self.experts.iter().enumerate() {
            let asked: Vec<(usize, usize)> = choices
                .iter()
                .enumerate()
                .filter_map(|(token, chosen)| Some((token, chosen.iter().position(|(e, _)| *e == expert)?)))
                .collect();
            if asked.is_empty() {
                continue;
            }
            routed.x.clear();
            for (token, _) in &asked {
                routed.x.extend_from_slice(&normed[token * hidden..(token + 1) * hidden]);
            }
            routed.run(weights, asked.len(), config.hidden_act, compute);
            for ((token, rank), out) in asked.into_iter().zip(routed.out.chunks_exact(hidden)) {
                let at = (token * self.per_token + rank) * hidden;
                routed.sum[at..at + hidden].copy_from_slice(out);
            }
        }
        let shared = self.shared.as_ref().map(|(weights, router)| {
            routed.x.clear();
            routed.x.extend_from_slice(normed);
            routed.run(weights, count, config.hidden_act, compute);
            router.as_deref()
        });
        for (token, chosen) in choices.iter().enumerate() {
            let x = &mut normed[token * hidden..(token + 1) * hidden];
            let share = match shared {
                Some(Some(router)) => Some(sigmoid(kernels::dot_product(compute.isa, router, x))),
                Some(None) => Some(1.0),
                None => None,
            };
            x.fill(0.0);
            for (rank, (_, weight)) in chosen.iter().enumerate() {
                let at = (token * self.per_token + rank) * hidden;
                x.iter_mut().zip(&routed.sum[at..at + hidden]).for_each(|(x, y)| *x = weight.mul_add(*y, *x));
            }
            if let Some(share) = share {
                let said = &routed.out[token * hidden..(token + 1) * hidden];
                x.iter_mut().zip(said).for_each(|(x, y)| *x = share.mul_add(*y, *x));
            }
        }
    }

    /// Bytes of the matrices in memory.
    pub fn bytes(&self) -> u64 {
        let three = |weights: &[Linear; 3]| weights.iter().map(Linear::bytes).sum::<u64>();
        let shared = self.shared.as_ref().map_or(0, |(weights, _)| three(weights));
        self.router.bytes() + shared + self.experts.iter().map(three).sum::<u64>()
    }
}

impl Routed {
    /// `out = down · (act(gate · x) · (up · x))` for `tokens` rows of `x`.
    fn run(&mut self, [gate, up, down]: &[Linear; 3], tokens: usize, act: Activation, compute: &mut Compute) {
        self.gate.resize(tokens * gate.rows(), 0.0);
        self.up.resize(tokens * up.rows(), 0.0);
        self.out.resize(tokens * down.rows(), 0.0);
        compute.multiply(&self.x, tokens, &mut [(gate, &mut self.gate), (up, &mut self.up)]);
        compute.gate(act, &mut self.gate, &self.up);
        compute.multiply(&self.gate, tokens, &mut [(down, &mut self.out)]);
    }
}

/// The likeliest experts (ties: the smaller number) with their shares; `logits` are spent.
fn choose(logits: &mut [f32], per_token: usize, normalise: bool, compute: &Compute) -> Vec<Choice> {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    logits.iter_mut().for_each(|l| *l -= largest);
    kernels::exp(compute.isa, logits);
    let total: f32 = logits.iter().sum();
    let mut all: Vec<Choice> = logits.iter().map(|p| p / total).enumerate().collect();
    all.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    all.truncate(per_token);
    if normalise {
        // llama.cpp's floor, the smallest normal number of 16 bits.
        let sum = all.iter().map(|(_, p)| p).sum::<f32>().max(6.103_515_6e-5);
        all.iter_mut().for_each(|(_, p)| *p /= sum);
    }
    all
}

fn sigmoid(x: f32) -> f32 {
    let mut e = [-x];
    kernels::exp(kernels::Isa::Scalar, &mut e);
    1.0 / (1.0 + e[0])
}
