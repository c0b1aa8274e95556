//! From a checkpoint to weights ready to multiply with.

use super::super::EngineError;
use super::super::attention::Shape;
use super::super::checkpoint::{Checkpoint, Part, Slot, TensorView};
use super::super::config::{Config, QkNorm};
use super::super::weights::Linear;
use super::block::{Attention, Block, FeedForward, Projection, Qkv};
use super::experts::Experts;
use super::{Buffers, Decoder};

/// Loads the weights of one layer.
struct Layer<'a> {
    from: &'a Checkpoint<'a>,
    config: &'a Config,
    layer: usize,
}

impl Decoder {
    /// Loads all weights.
    ///
    /// # Errors
    /// [`EngineError::BadFile`] when a tensor is missing or has another shape, [`EngineError::Unsupported`] when there
    /// is one that the architecture does not have.
    pub fn load(from: &Checkpoint, config: Config) -> Result<Self, EngineError> {
        let (hidden, vocabulary) = (config.hidden_size, config.vocab_size);
        let embed_tokens = Linear::load(&from.get(Slot::Embedding, &[vocabulary, hidden])?)?;
        let lm_head = match from.find(Slot::LmHead) {
            Some(view) => Some(Linear::load(&view.expect(&[vocabulary, hidden])?)?),
            None => None,
        };
        let norm = weights_of_norm(from.get(Slot::OutputNorm, &[hidden])?, &config)?;
        let layers: Result<Vec<Block>, EngineError> =
            (0..config.num_hidden_layers).map(|layer| Layer { from, config: &config, layer }.block()).collect();
        let layers = layers?;
        from.all_used(&config.architecture)?;
        let frequencies = config.rope.frequencies();
        let local_frequencies = config.local_rope.frequencies();
        let buffers = Buffers::default();
        let adapters = Vec::new();
        Ok(Self { config, embed_tokens, layers, norm, lm_head, frequencies, local_frequencies, adapters, buffers })
    }
}

fn weights_of_norm(view: TensorView, config: &Config) -> Result<Vec<f32>, EngineError> {
    let mut weights = view.to_f32()?;
    if config.norm_plus_one {
        weights.iter_mut().for_each(|w| *w += 1.0);
    }
    Ok(weights)
}

impl<'a> Layer<'a> {
    fn block(&self) -> Result<Block, EngineError> {
        let config = self.config;
        let hidden = config.hidden_size;
        let norm = |wanted: bool, part: Part| -> Result<Option<Vec<f32>>, EngineError> {
            if wanted { Ok(Some(self.norm(part, hidden)?)) } else { Ok(None) }
        };
        Ok(Block {
            input_norm: norm(config.pre_norm, Part::InputNorm)?,
            attention: self.attention()?,
            post_attention_norm: norm(config.post_norm, Part::PostAttentionNorm)?,
            feed_forward_norm: norm(config.pre_norm, Part::FeedForwardNorm)?,
            feed_forward: self.feed_forward()?,
            post_feed_forward_norm: norm(config.post_norm, Part::PostFeedForwardNorm)?,
        })
    }

    fn norm(&self, part: Part, width: usize) -> Result<Vec<f32>, EngineError> {
        weights_of_norm(self.from.get(Slot::Layer(self.layer, part), &[width])?, self.config)
    }

    fn linear(&self, part: Part, shape: [usize; 2]) -> Result<Linear, EngineError> {
        Linear::load(&self.from.get(Slot::Layer(self.layer, part), &shape)?)
    }

    fn projection(&self, part: Part, shape: [usize; 2]) -> Result<Projection, EngineError> {
        let bias = match self.from.find(Slot::Bias(self.layer, part)) {
            Some(view) => Some(view.expect(&[shape[0]])?.to_f32()?),
            None => None,
        };
        Ok(Projection { weight: self.linear(part, shape)?, bias, deltas: Vec::new() })
    }

    fn attention(&self) -> Result<Attention, EngineError> {
        let config = self.config;
        let (hidden, q_width, kv_width) = (config.hidden_size, config.q_width(), config.kv_width());
        // Either form may hold any model: llama.cpp fuses and splits as it likes.
        let fused = self.from.find(Slot::Layer(self.layer, Part::Qkv)).is_some();
        let qkv = if fused {
            Qkv::Fused(self.projection(Part::Qkv, [q_width + 2 * kv_width, hidden])?)
        } else {
            Qkv::Apart([
                self.projection(Part::Q, [q_width, hidden])?,
                self.projection(Part::K, [kv_width, hidden])?,
                self.projection(Part::V, [kv_width, hidden])?,
            ])
        };
        let qk_norm = match config.qk_norm {
            QkNorm::None => None,
            QkNorm::PerHead => {
                Some([self.norm(Part::QNorm, config.head_dim)?, self.norm(Part::KNorm, config.head_dim)?])
            }
            QkNorm::Whole => Some([self.norm(Part::QNorm, q_width)?, self.norm(Part::KNorm, kv_width)?]),
        };
        Ok(Attention {
            qkv,
            o_proj: self.projection(Part::O, [hidden, q_width])?,
            qk_norm,
            uses_rope: config.uses_rope[self.layer],
            shape: Shape {
                heads: config.num_attention_heads,
                kv_heads: config.num_key_value_heads,
                head_dim: config.head_dim,
                scale: config.attention_scale,
                softcap: config.attn_logit_softcapping,
                window: config.windows[self.layer],
                causal: true,
            },
        })
    }

    fn feed_forward(&self) -> Result<FeedForward, EngineError> {
        let (hidden, wide) = (self.config.hidden_size, self.config.intermediate_size);
        if self.config.experts.is_some() {
            return Ok(FeedForward::Experts(Box::new(self.experts()?)));
        }
        if self.config.fused_projections {
            return Ok(FeedForward::Fused([
                self.projection(Part::GateUp, [2 * wide, hidden])?,
                self.projection(Part::Down, [hidden, wide])?,
            ]));
        }
        Ok(FeedForward::Apart([
            self.projection(Part::Gate, [wide, hidden])?,
            self.projection(Part::Up, [wide, hidden])?,
            self.projection(Part::Down, [hidden, wide])?,
        ]))
    }

    fn experts(&self) -> Result<Experts, EngineError> {
        let shape = self.config.experts.as_ref().expect("asked for by `feed_forward`");
        let (hidden, wide, count) = (self.config.hidden_size, shape.moe_intermediate_size, shape.num_experts);
        let parts = [(Part::Gate, [wide, hidden]), (Part::Up, [wide, hidden]), (Part::Down, [hidden, wide])];
        let mut experts = Vec::with_capacity(count);
        for expert in 0..count {
            let mut three = Vec::with_capacity(3);
            for (part, [rows, columns]) in parts {
                let view = match self.from.find(Slot::Experts(self.layer, part)) {
                    Some(all) => all.expect(&[count, rows, columns])?.item(expert),
                    None => self.from.get(Slot::Expert(self.layer, expert, part), &[rows, columns])?,
                };
                three.push(Linear::load(&view)?);
            }
            experts.push(three.try_into().expect("three parts"));
        }
        let shared = match shape.shared_expert_intermediate_size {
            0 => None,
            wide => {
                let weights = [
                    self.linear(Part::SharedGate, [wide, hidden])?,
                    self.linear(Part::SharedUp, [wide, hidden])?,
                    self.linear(Part::SharedDown, [hidden, wide])?,
                ];
                let router = match self.from.find(Slot::Layer(self.layer, Part::SharedRouter)) {
                    Some(view) => Some(view.expect(&[hidden])?.to_f32()?),
                    None => None,
                };
                Some((weights, router))
            }
        };
        Ok(Experts {
            router: self.linear(Part::Router, [count, hidden])?,
            experts,
            shared,
            per_token: shape.num_experts_per_tok,
            norm_topk_prob: shape.norm_topk_prob,
        })
    }
}
