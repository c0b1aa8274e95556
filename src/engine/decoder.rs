//! The Llama-shaped decoder: embedding, blocks of attention and feed-forward, final norm, output layer.
//!
//! Read bottom up. One chunk of tokens goes through at a time; the logits of its last token come out.

use super::EngineError;
use super::attention::Shape;
use super::cache::KvCache;
use super::config::Config;
use super::gguf::Gguf;
use super::kernels;
use super::probe::Probe;
use super::weights::{Compute, Linear, vector};

/// Tokens that go through at once at most: bounds the memory of a long prompt, and the time until it can be cancelled.
pub const CHUNK: usize = 64;

#[derive(Debug)]
struct Attention {
    q_proj: Linear,
    k_proj: Linear,
    v_proj: Linear,
    o_proj: Linear,
}

#[derive(Debug)]
struct Mlp {
    gate_proj: Linear,
    up_proj: Linear,
    down_proj: Linear,
}

#[derive(Debug)]
struct Block {
    input_layernorm: Vec<f32>,
    self_attn: Attention,
    post_attention_layernorm: Vec<f32>,
    mlp: Mlp,
}

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
    /// Inverse frequencies of the rotary embedding, `head_dim / 2`.
    inverse_frequencies: Vec<f64>,
    buffers: Buffers,
}

#[derive(Debug, Default)]
struct Buffers {
    x: Vec<f32>,
    normed: Vec<f32>,
    q: Vec<f32>,
    k: Vec<f32>,
    v: Vec<f32>,
    mixed: Vec<f32>,
    gate: Vec<f32>,
    up: Vec<f32>,
    weights: Vec<f32>,
    angles: Vec<(f32, f32)>,
}

impl Decoder {
    /// Loads a file's weights. Tensor names of GGUF appear here only.
    ///
    /// # Errors
    /// As [`Linear::load`].
    pub fn load(file: &Gguf, config: Config) -> Result<Self, EngineError> {
        let (hidden, wide) = (config.hidden_size, config.intermediate_size);
        let (q_width, kv_width) = (config.num_attention_heads * config.head_dim, config.kv_width());
        let embed_tokens = Linear::load(file, "token_embd.weight", [config.vocab_size, hidden])?;
        let lm_head = match file.tensor("output.weight") {
            Some(_) => Some(Linear::load(file, "output.weight", [config.vocab_size, hidden])?),
            None => None,
        };
        let mut layers = Vec::with_capacity(config.num_hidden_layers);
        for layer in 0..config.num_hidden_layers {
            let name = |part: &str| format!("blk.{layer}.{part}.weight");
            let linear = |part: &str, shape| Linear::load(file, &name(part), shape);
            layers.push(Block {
                input_layernorm: vector(file, &name("attn_norm"), hidden)?,
                self_attn: Attention {
                    q_proj: linear("attn_q", [q_width, hidden])?,
                    k_proj: linear("attn_k", [kv_width, hidden])?,
                    v_proj: linear("attn_v", [kv_width, hidden])?,
                    o_proj: linear("attn_output", [hidden, q_width])?,
                },
                post_attention_layernorm: vector(file, &name("ffn_norm"), hidden)?,
                mlp: Mlp {
                    gate_proj: linear("ffn_gate", [wide, hidden])?,
                    up_proj: linear("ffn_up", [wide, hidden])?,
                    down_proj: linear("ffn_down", [hidden, wide])?,
                },
            });
        }
        let half = config.head_dim / 2;
        // Llama 3.1 and later carry a factor for each frequency.
        let factors = match file.tensor("rope_freqs.weight") {
            Some(_) => vector(file, "rope_freqs.weight", half)?,
            None => vec![1.0; half],
        };
        let inverse_frequencies = (0..half)
            .map(|j| {
                let power = libm::pow(f64::from(config.rope_theta), -2.0 * j as f64 / config.head_dim as f64);
                power / f64::from(factors[j]) / f64::from(config.rope_factor)
            })
            .collect();
        let norm = vector(file, "output_norm.weight", hidden)?;
        Ok(Self { config, embed_tokens, layers, norm, lm_head, inverse_frequencies, buffers: Buffers::default() })
    }

    /// An empty cache of the right shape.
    pub fn cache(&self) -> KvCache {
        KvCache::new(self.layers.len(), self.config.kv_width(), self.config.max_position_embeddings)
    }

    /// Runs up to [`CHUNK`] tokens after those in `cache` and gives the logits over the token that follows the last
    /// one, `vocab_size` long; `None` for `logits` leaves the output layer out.
    ///
    /// # Panics
    /// When the tokens do not fit into the cache or the vocabulary; the caller has checked both.
    pub fn forward<P: Probe>(
        &mut self,
        tokens: &[u32],
        cache: &mut KvCache,
        compute: &mut Compute,
        logits: Option<&mut Vec<f32>>,
        probe: &mut P,
    ) {
        assert!(!tokens.is_empty() && tokens.len() <= CHUNK && tokens.len() <= cache.room());
        let (config, buffers) = (&self.config, &mut self.buffers);
        let (count, hidden, past) = (tokens.len(), config.hidden_size, cache.len());
        buffers.resize(config, count);
        for (token, x) in tokens.iter().zip(buffers.x.chunks_exact_mut(hidden)) {
            self.embed_tokens.row(*token as usize, x);
        }
        buffers.turn(&self.inverse_frequencies, past, count);
        let see = |probe: &mut P, layer, x: &[f32]| {
            if P::HIDDEN_STATES {
                x.chunks_exact(hidden).enumerate().for_each(|(i, x)| probe.hidden_state(layer, past + i, x));
            }
        };
        for (layer, block) in self.layers.iter().enumerate() {
            see(probe, layer, &buffers.x);
            kernels::rms_norm(
                compute.isa,
                &buffers.x,
                &block.input_layernorm,
                config.rms_norm_eps,
                &mut buffers.normed,
            );
            block.self_attn.forward(config, layer, count, cache, compute, buffers, P::ATTENTIONS);
            if P::ATTENTIONS {
                buffers.show_attention(config, layer, past, count, probe);
            }
            kernels::add(compute.isa, &mut buffers.x, &buffers.normed);
            let norm = &block.post_attention_layernorm;
            kernels::rms_norm(compute.isa, &buffers.x, norm, config.rms_norm_eps, &mut buffers.normed);
            block.mlp.forward(count, compute, buffers);
            kernels::add(compute.isa, &mut buffers.x, &buffers.normed);
        }
        cache.advance(count);
        see(probe, self.layers.len(), &buffers.x);
        if let Some(logits) = logits {
            let last = &mut buffers.normed[..hidden];
            kernels::rms_norm(compute.isa, &buffers.x[(count - 1) * hidden..], &self.norm, config.rms_norm_eps, last);
            logits.resize(config.vocab_size, 0.0);
            let head = self.lm_head.as_ref().unwrap_or(&self.embed_tokens);
            compute.multiply(last, 1, &mut [(head, logits)]);
        }
    }
}

impl Attention {
    /// Reads `normed`, leaves its result there.
    #[allow(clippy::too_many_arguments)]
    fn forward(
        &self,
        config: &Config,
        layer: usize,
        count: usize,
        cache: &mut KvCache,
        compute: &mut Compute,
        buffers: &mut Buffers,
        keep: bool,
    ) {
        let Buffers { normed, q, k, v, mixed, weights, angles, .. } = buffers;
        let mut jobs: [(&Linear, &mut [f32]); 3] = [(&self.q_proj, q), (&self.k_proj, k), (&self.v_proj, v)];
        compute.multiply(normed, count, &mut jobs);
        let (heads, dim, kv_width) = (config.num_attention_heads, config.head_dim, config.kv_width());
        let half = dim / 2;
        for i in 0..count {
            let angles = &angles[i * half..(i + 1) * half];
            kernels::rope(compute.isa, &mut q[i * heads * dim..(i + 1) * heads * dim], dim, angles);
            kernels::rope(compute.isa, &mut k[i * kv_width..(i + 1) * kv_width], dim, angles);
        }
        cache.append(layer, k, v);
        let shape = Shape {
            heads,
            kv_heads: config.num_key_value_heads,
            head_dim: dim,
            scale: 1.0 / (dim as f32).sqrt(),
            softcap: None,
            window: None,
        };
        shape.attend(layer, count, q, cache, compute, weights, keep, mixed);
        compute.multiply(mixed, count, &mut [(&self.o_proj, normed)]);
    }
}

impl Mlp {
    /// Reads `normed`, leaves its result there.
    fn forward(&self, count: usize, compute: &mut Compute, buffers: &mut Buffers) {
        let Buffers { normed, gate, up, .. } = buffers;
        compute.multiply(normed, count, &mut [(&self.gate_proj, gate), (&self.up_proj, up)]);
        kernels::silu_mul(compute.isa, gate, up);
        compute.multiply(gate, count, &mut [(&self.down_proj, normed)]);
    }
}

impl Buffers {
    fn resize(&mut self, config: &Config, count: usize) {
        let q_width = config.num_attention_heads * config.head_dim;
        let fit = |buffer: &mut Vec<f32>, width: usize| buffer.resize(count * width, 0.0);
        fit(&mut self.x, config.hidden_size);
        fit(&mut self.normed, config.hidden_size);
        fit(&mut self.q, q_width);
        fit(&mut self.k, config.kv_width());
        fit(&mut self.v, config.kv_width());
        fit(&mut self.mixed, q_width);
        fit(&mut self.gate, config.intermediate_size);
        fit(&mut self.up, config.intermediate_size);
    }

    /// Cosines and sines for positions `past..past + count`, in f64 by a portable library, then rounded once.
    fn turn(&mut self, inverse_frequencies: &[f64], past: usize, count: usize) {
        self.angles.clear();
        for position in past..past + count {
            self.angles.extend(inverse_frequencies.iter().map(|f| {
                let angle = position as f64 * f;
                (libm::cos(angle) as f32, libm::sin(angle) as f32)
            }));
        }
    }

    fn show_attention<P: Probe>(&self, config: &Config, layer: usize, past: usize, count: usize, probe: &mut P) {
        let (heads, room) = (config.num_attention_heads, past + count);
        for i in 0..count {
            for head in 0..heads {
                let row = (i * heads + head) * room;
                probe.attention(layer, head, past + i, &self.weights[row..row + past + i + 1]);
            }
        }
    }
}
