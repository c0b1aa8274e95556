//! The decoder: embedding, blocks of attention and feed-forward, final norm, output layer.
//!
//! One chunk of tokens goes through at a time. What differs between families is in `Config`; a part that a family
//! lacks is an empty `Option` here.

mod block;
mod experts;
mod load;

use std::ops::Range;

use super::cache::KvCache;
use super::config::Config;
use super::lora::{Attached, Delta, Group};
use super::probe::{Edit, Probe, Seen};
use super::rope::Frequencies;
use super::weights::{Compute, Linear};
use block::Block;

/// Tokens that go through at once at most: bounds the memory of a long prompt, and the time until it can be cancelled.
pub const CHUNK: usize = 64;

/// A decoder with its weights.
#[derive(Debug)]
pub struct Decoder {
    /// Its shape.
    pub config: Config,
    embed_tokens: Linear,
    layers: Vec<Block>,
    norm: Vec<f32>,
    /// `None`: tied to the embedding.
    lm_head: Option<Linear>,
    frequencies: Frequencies,
    local_frequencies: Frequencies,
    /// The adapters in use; what they add hangs on the projections.
    pub adapters: Vec<Attached>,
    buffers: Buffers,
}

/// Which logits a forward pass computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Logits {
    /// None: the chunk is only read.
    None,
    /// Those after the last token.
    Last,
    /// Those after each token.
    All,
}

/// Numbers between operations, kept to save allocations; `tokens ×` the width that each name implies.
#[derive(Debug, Default)]
pub(in crate::engine) struct Buffers {
    x: Vec<f32>,
    normed: Vec<f32>,
    q: Vec<f32>,
    k: Vec<f32>,
    v: Vec<f32>,
    mixed: Vec<f32>,
    gate: Vec<f32>,
    up: Vec<f32>,
    /// Queries, keys and values, or gate and up, of a model that has them in one tensor.
    fused: Vec<f32>,
    weights: Vec<f32>,
    angles: Vec<(f32, f32)>,
    local_angles: Vec<(f32, f32)>,
    routed: experts::Routed,
}

impl Decoder {
    /// An empty cache of the right shape, for at most `limit` positions.
    pub fn cache(&self) -> KvCache {
        KvCache::new(self.layers.len(), self.config.kv_width(), self.config.max_position_embeddings)
    }

    /// Runs up to [`CHUNK`] tokens after those in `cache`. `logits` becomes `vocab_size` numbers for each token that
    /// `which` names, in order; what it held is lost.
    ///
    /// # Panics
    /// When the tokens do not fit into the cache or the vocabulary; the caller has checked both.
    pub fn forward<P: Probe>(
        &mut self,
        tokens: &[u32],
        cache: &mut KvCache,
        compute: &mut Compute,
        which: Logits,
        logits: &mut Vec<f32>,
        probe: &mut P,
    ) {
        assert!(!tokens.is_empty() && tokens.len() <= CHUNK && tokens.len() <= cache.room());
        let (config, buffers) = (&self.config, &mut self.buffers);
        let (count, hidden, past) = (tokens.len(), config.hidden_size, cache.len());
        compute.begin_pass(count);
        buffers.fit(config, count);
        compute.threads.split_rows(&mut buffers.x, hidden, |first, x| {
            for (token, x) in tokens[first..].iter().zip(x.chunks_exact_mut(hidden)) {
                self.embed_tokens.row(*token as usize, x);
            }
        });
        if config.embedding_multiplier != 1.0 {
            buffers.x.iter_mut().for_each(|x| *x *= config.embedding_multiplier);
        }
        self.frequencies.angles(past, count, &mut buffers.angles);
        if config.windows.iter().any(Option::is_some) {
            self.local_frequencies.angles(past, count, &mut buffers.local_angles);
        }
        for (layer, block) in self.layers.iter().enumerate() {
            visit(probe, &mut buffers.x, hidden, layer, past);
            block.forward(config, layer, count, cache, compute, buffers, probe);
        }
        cache.advance(count);
        visit(probe, &mut buffers.x, hidden, self.layers.len(), past);
        let first = match which {
            Logits::None => return,
            Logits::Last => count - 1,
            Logits::All => 0,
        };
        let x = &buffers.x[first * hidden..];
        output(config, &self.norm, self.lm_head.as_ref().unwrap_or(&self.embed_tokens), x, compute, logits);
    }

    /// Final norm and output layer on residual streams from anywhere inside (`n × hidden_size`): the logit lens.
    /// `logits` becomes `n × vocab_size`.
    pub fn read_out(&self, x: &[f32], compute: &mut Compute, logits: &mut Vec<f32>) {
        output(&self.config, &self.norm, self.lm_head.as_ref().unwrap_or(&self.embed_tokens), x, compute, logits);
    }

    /// Final norm alone: what the output layer reads, and what embeddings are made from.
    pub fn normed(&self, x: &[f32], compute: &mut Compute) -> Vec<f32> {
        let mut out = vec![0.0; x.len()];
        compute.rms_norm(x, &self.norm, self.config.rms_norm_eps, &mut out);
        out
    }

    /// Where adapters hang in a layer: of each projection its group, its rows there, and what is added to it.
    pub fn deltas(&mut self, layer: usize) -> Vec<(Group, Range<usize>, &mut Vec<Delta>)> {
        self.layers[layer].deltas(self.config.kv_width())
    }

    /// Bytes that the weights take in memory.
    pub fn weight_bytes(&self) -> u64 {
        let head = self.lm_head.as_ref().map_or(0, Linear::bytes);
        self.embed_tokens.bytes() + head + self.layers.iter().map(Block::bytes).sum::<u64>()
    }
}

/// Shows and offers the residual stream before a layer.
fn visit<P: Probe>(probe: &mut P, x: &mut [f32], hidden: usize, layer: usize, past: usize) {
    if P::EDITS {
        for (i, x) in x.chunks_exact_mut(hidden).enumerate() {
            probe.edit(Edit::HiddenState { layer, position: past + i, x });
        }
    }
    if P::LOOKS {
        for (i, x) in x.chunks_exact(hidden).enumerate() {
            probe.see(Seen::HiddenState { layer, position: past + i, x });
        }
    }
}

fn output(config: &Config, norm: &[f32], head: &Linear, x: &[f32], compute: &mut Compute, logits: &mut Vec<f32>) {
    let rows = x.len() / config.hidden_size;
    let mut normed = vec![0.0; x.len()];
    compute.rms_norm(x, norm, config.rms_norm_eps, &mut normed);
    logits.resize(rows * config.vocab_size, 0.0);
    compute.multiply(&normed, rows, &mut [(head, logits)]);
    if config.logits_scaling != 1.0 {
        logits.iter_mut().for_each(|l| *l /= config.logits_scaling);
    }
    if let Some(cap) = config.final_logit_softcapping {
        compute.softcap(logits, cap);
    }
}

impl Buffers {
    fn fit(&mut self, config: &Config, count: usize) {
        let fit = |buffer: &mut Vec<f32>, width: usize| buffer.resize(count * width, 0.0);
        fit(&mut self.x, config.hidden_size);
        fit(&mut self.normed, config.hidden_size);
        fit(&mut self.q, config.q_width());
        fit(&mut self.k, config.kv_width());
        fit(&mut self.v, config.kv_width());
        fit(&mut self.mixed, config.q_width());
        if config.experts.is_none() {
            fit(&mut self.gate, config.intermediate_size);
            fit(&mut self.up, config.intermediate_size);
        }
    }
}
