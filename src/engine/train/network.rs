//! A Llama-shaped model to be trained: where each weight lies, and how they come to be.
//!
//! Rows of queries and keys are in Hugging Face's order here (dimension `j` turns with `j + dim / 2`), whatever the file
//! had; [`super::export`] gives files their own order back.

use std::ops::Range;
use std::path::Path;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use serde::{Deserialize, Serialize};

use super::super::EngineError;
use super::super::checkpoint::{Checkpoint, Folder, Part, Slot};
use super::super::config::{Activation, Config, QkNorm};
use super::super::gguf::Gguf;
use super::super::lora::{Base, Module, RowOrder};
use super::super::rope::{Rope, RopeScaling, RopeStyle};
use super::adapters::Adapters;
use super::attention::Heads;
use super::parameters::Parameters;

/// The shape of a new model; names as in `config.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shape {
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// Number of blocks.
    pub num_hidden_layers: usize,
    /// Query heads.
    pub num_attention_heads: usize,
    /// Key and value heads.
    pub num_key_value_heads: usize,
    /// Width of the feed-forward part.
    pub intermediate_size: usize,
    /// Number of tokens.
    pub vocab_size: usize,
    /// Tokens read at most.
    pub max_position_embeddings: usize,
    /// Base of the rotary frequencies.
    pub rope_theta: f64,
    /// Whether the output layer is the embedding.
    pub tie_word_embeddings: bool,
}

/// How a new model's weights are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Initialisation {
    /// Standard deviation of the embedding.
    pub embedding: f32,
    /// Times `1 / √hidden_size`: standard deviation of the matrices; those that write to the residual stream are
    /// divided by `√(2 · layers)` besides (Radford et al., 2019).
    pub matrices: f32,
    /// Whether the first key head of the first layer starts by looking at the token before (after Trockman and
    /// Kolter, 2023): copying is learned in fewer tokens. The model stays a plain Llama.
    pub previous_token_head: bool,
}

impl Default for Initialisation {
    fn default() -> Self {
        Self { embedding: 0.02, matrices: 0.3, previous_token_head: false }
    }
}

/// Where a layer's weights lie.
#[derive(Clone, Debug)]
pub struct Layer {
    /// Norm before attention.
    pub input_norm: Range<usize>,
    /// Rows of queries, then keys, then values.
    pub qkv: Range<usize>,
    /// Their biases.
    pub qkv_bias: Option<Range<usize>>,
    /// Norms of queries and keys, over a head.
    pub qk_norm: Option<[Range<usize>; 2]>,
    /// From the heads back to the stream.
    pub o: Range<usize>,
    /// Norm before feed-forward.
    pub feed_forward_norm: Range<usize>,
    /// Rows of gate, then up.
    pub gate_up: Range<usize>,
    /// From feed-forward back to the stream.
    pub down: Range<usize>,
}

/// Where all weights lie.
#[derive(Clone, Debug)]
pub struct Layout {
    /// One row a token.
    pub embed_tokens: Range<usize>,
    /// The layers.
    pub layers: Vec<Layer>,
    /// The last norm.
    pub norm: Range<usize>,
    /// The output layer, where it is not the embedding.
    pub lm_head: Option<Range<usize>>,
    /// What each tensor is, in the order of the parameters.
    pub slots: Vec<Slot>,
}

/// A model with its weights as f32, and the adapters that are trained in their place, if there are.
#[derive(Debug)]
pub struct Network {
    /// Its shape.
    pub config: Config,
    /// All weights.
    pub weights: Parameters,
    /// Adapters: then these are trained, and the weights stay as they are.
    pub adapters: Option<Adapters>,
    /// Where the weights lie.
    pub(super) layout: Layout,
}

impl Shape {
    /// The shape as the engine has it: Llama's architecture, rows in Hugging Face's order.
    ///
    /// # Errors
    /// [`EngineError::BadSetting`] for sizes that cannot belong together.
    pub fn config(&self) -> Result<Config, EngineError> {
        let bad = |why: String| EngineError::BadSetting { what: format!("no model can have this shape: {why}") };
        let (hidden, heads, layers) = (self.hidden_size, self.num_attention_heads, self.num_hidden_layers);
        if heads == 0 || !hidden.is_multiple_of(heads) {
            return Err(bad(format!("`hidden_size` {hidden} is no multiple of `num_attention_heads` {heads}")));
        }
        let head_dim = hidden / heads;
        let rope =
            Rope { style: RopeStyle::Halves, theta: self.rope_theta, dims: head_dim, scaling: RopeScaling::Default };
        let config = Config {
            architecture: "llama".into(),
            hidden_size: hidden,
            num_hidden_layers: layers,
            num_attention_heads: heads,
            num_key_value_heads: self.num_key_value_heads,
            head_dim,
            intermediate_size: self.intermediate_size,
            vocab_size: self.vocab_size,
            max_position_embeddings: self.max_position_embeddings,
            rms_norm_eps: 1e-5,
            hidden_act: Activation::Silu,
            local_rope: rope.clone(),
            rope,
            uses_rope: vec![true; layers],
            windows: vec![None; layers],
            attention_scale: 1.0 / (head_dim as f32).sqrt(),
            attn_logit_softcapping: None,
            final_logit_softcapping: None,
            embedding_multiplier: 1.0,
            residual_multiplier: 1.0,
            logits_scaling: 1.0,
            qk_norm: QkNorm::None,
            pre_norm: true,
            post_norm: false,
            norm_plus_one: false,
            fused_projections: false,
            experts: None,
        };
        config.check().map_err(bad)?;
        Ok(config)
    }
}

/// What a model has besides the sizes in its configuration.
#[derive(Clone, Copy)]
struct Extras {
    lm_head: bool,
    biases: bool,
}

impl Layout {
    /// Lays out the weights of a shape, all zero, under Hugging Face's names.
    fn new(config: &Config, extras: Extras) -> (Self, Parameters) {
        let mut parameters = Parameters::default();
        let mut slots = Vec::new();
        let mut put = |slot: Slot, shape: &[usize]| {
            slots.push(slot);
            let name = slot.hf(false).swap_remove(0);
            let prefix = if slot == Slot::LmHead { "" } else { "model." };
            parameters.push(format!("{prefix}{name}"), shape)
        };
        let (hidden, wide, vocabulary) = (config.hidden_size, config.intermediate_size, config.vocab_size);
        let (q, kv) = (config.q_width(), config.kv_width());
        let embed_tokens = put(Slot::Embedding, &[vocabulary, hidden]);
        let mut layers = Vec::with_capacity(config.num_hidden_layers);
        for layer in 0..config.num_hidden_layers {
            let mut weight = |part: Part, shape: &[usize]| put(Slot::Layer(layer, part), shape);
            let input_norm = weight(Part::InputNorm, &[hidden]);
            // Neighbours, so that one product makes all three.
            let three = [(Part::Q, q), (Part::K, kv), (Part::V, kv)].map(|(part, rows)| weight(part, &[rows, hidden]));
            let qk_norm = (config.qk_norm == QkNorm::PerHead)
                .then(|| [Part::QNorm, Part::KNorm].map(|part| weight(part, &[config.head_dim])));
            let o = weight(Part::O, &[hidden, q]);
            let feed_forward_norm = weight(Part::FeedForwardNorm, &[hidden]);
            let two = [Part::Gate, Part::Up].map(|part| weight(part, &[wide, hidden]));
            let down = weight(Part::Down, &[hidden, wide]);
            let qkv_bias = extras.biases.then(|| {
                let biases = [(Part::Q, q), (Part::K, kv), (Part::V, kv)];
                let biases = biases.map(|(part, rows)| put(Slot::Bias(layer, part), &[rows]));
                biases[0].start..biases[2].end
            });
            layers.push(Layer {
                input_norm,
                qkv: three[0].start..three[2].end,
                qkv_bias,
                qk_norm,
                o,
                feed_forward_norm,
                gate_up: two[0].start..two[1].end,
                down,
            });
        }
        let norm = put(Slot::OutputNorm, &[hidden]);
        let lm_head = extras.lm_head.then(|| put(Slot::LmHead, &[vocabulary, hidden]));
        (Self { embed_tokens, layers, norm, lm_head, slots }, parameters)
    }
}

impl Network {
    /// A new model with random weights; the same seed gives the same bits everywhere.
    ///
    /// # Errors
    /// As [`Shape::config`].
    pub fn new(shape: &Shape, how: &Initialisation, seed: u64) -> Result<Self, EngineError> {
        let config = shape.config()?;
        let (layout, mut weights) = Layout::new(&config, Extras { lm_head: !shape.tie_word_embeddings, biases: false });
        let mut random = Normal(ChaCha8Rng::seed_from_u64(seed));
        let spread = how.matrices / (config.hidden_size as f32).sqrt();
        let back = spread / (2.0 * config.num_hidden_layers as f32).sqrt();
        for (slot, tensor) in layout.slots.iter().zip(&weights.tensors) {
            let numbers = &mut weights.data[tensor.at.clone()];
            match slot {
                Slot::Embedding | Slot::LmHead => random.fill(numbers, how.embedding),
                Slot::Layer(_, Part::O | Part::Down) => random.fill(numbers, back),
                Slot::Layer(_, Part::Q | Part::K | Part::V | Part::Gate | Part::Up) => random.fill(numbers, spread),
                _ => numbers.fill(1.0),
            }
        }
        let mut network = Self { config, weights, adapters: None, layout };
        if how.previous_token_head {
            network.look_at_previous_token(how.embedding);
        }
        Ok(network)
    }

    /// Makes the first key head of the first layer, and the first query head that reads it, turn to the position
    /// before: the embedding's first dimension becomes a constant, from which both make a vector that differs by one
    /// position's turn only.
    fn look_at_previous_token(&mut self, embedding: f32) {
        /// The constant in every embedding, and how strongly the head turns (both as measured in `training.md`).
        const LEVEL: f32 = 0.1;
        const STRENGTH: f32 = 4.0;
        let Config { hidden_size: hidden, head_dim, .. } = self.config;
        let half = head_dim / 2;
        let data = &mut self.weights.data;
        data[self.layout.embed_tokens.clone()].chunks_exact_mut(hidden).for_each(|row| row[0] = LEVEL);
        // What the constant is once the first norm has made the embedding's mean square 1.
        let after_norm = LEVEL / (embedding * embedding + LEVEL * LEVEL / hidden as f32).sqrt();
        let size = STRENGTH / after_norm * ((head_dim as f32).sqrt() / half as f32).sqrt();
        let first = self.layout.layers[0].qkv.start;
        let key = first + self.config.q_width() * hidden;
        let frequencies = self.config.rope.frequencies().inverse;
        for head in [first, key] {
            data[head..head + head_dim * hidden].fill(0.0);
        }
        for (j, frequency) in frequencies.iter().enumerate() {
            data[key + j * hidden] = size;
            data[first + j * hidden] = size * libm::cos(*frequency) as f32;
            data[first + (half + j) * hidden] = -size * libm::sin(*frequency) as f32;
        }
    }

    /// Reads a model that the engine opens, a GGUF file or a Hugging Face folder, its weights as f32.
    ///
    /// # Errors
    /// As `Model::open`; [`EngineError::Unsupported`] for what is not Llama-shaped, by name.
    pub fn open(path: &Path) -> Result<Self, EngineError> {
        if path.is_dir() {
            let folder = Folder::open(path)?;
            let config = Config::from_json(&path.join("config.json"), &folder.config)?;
            Self::load(&Checkpoint::folder(&folder, &config), config.clone())
        } else {
            let file = Gguf::open(path)?;
            Self::load(&Checkpoint::gguf(&file), Config::from_gguf(&file)?)
        }
    }

    fn load(from: &Checkpoint, mut config: Config) -> Result<Self, EngineError> {
        check(&config)?;
        let (hidden, wide) = (config.hidden_size, config.intermediate_size);
        let (q, kv) = (config.q_width(), config.kv_width());
        let lm_head = from.find(Slot::LmHead).is_some();
        let biases = [Part::Qkv, Part::Q, Part::K, Part::V].map(|part| from.find(Slot::Bias(0, part)).is_some());
        let (layout, mut weights) = Layout::new(&config, Extras { lm_head, biases: biases.contains(&true) });
        let base = Base::of(&config);
        let mut fill = |at: &Range<usize>, slots: &[(Slot, &[usize])]| -> Result<(), EngineError> {
            let mut start = at.start;
            for (slot, shape) in slots {
                let numbers = from.get(*slot, shape)?.to_f32()?;
                weights.data[start..start + numbers.len()].copy_from_slice(&numbers);
                start += numbers.len();
            }
            debug_assert_eq!(start, at.end);
            Ok(())
        };
        fill(&layout.embed_tokens, &[(Slot::Embedding, &[config.vocab_size, hidden])])?;
        fill(&layout.norm, &[(Slot::OutputNorm, &[hidden])])?;
        if let Some(at) = &layout.lm_head {
            fill(at, &[(Slot::LmHead, &[config.vocab_size, hidden])])?;
        }
        for (index, layer) in layout.layers.iter().enumerate() {
            let weight = |part: Part| Slot::Layer(index, part);
            let bias = |part: Part| Slot::Bias(index, part);
            fill(&layer.input_norm, &[(weight(Part::InputNorm), &[hidden])])?;
            fill(&layer.feed_forward_norm, &[(weight(Part::FeedForwardNorm), &[hidden])])?;
            match from.find(weight(Part::Qkv)) {
                Some(_) => fill(&layer.qkv, &[(weight(Part::Qkv), &[q + 2 * kv, hidden])])?,
                None => fill(
                    &layer.qkv,
                    &[
                        (weight(Part::Q), &[q, hidden]),
                        (weight(Part::K), &[kv, hidden]),
                        (weight(Part::V), &[kv, hidden]),
                    ],
                )?,
            }
            match (&layer.qkv_bias, biases[0]) {
                (Some(at), true) => fill(at, &[(bias(Part::Qkv), &[q + 2 * kv])])?,
                (Some(at), false) => {
                    fill(at, &[(bias(Part::Q), &[q]), (bias(Part::K), &[kv]), (bias(Part::V), &[kv])])?;
                }
                (None, _) => {}
            }
            if let Some([q_norm, k_norm]) = &layer.qk_norm {
                fill(q_norm, &[(weight(Part::QNorm), &[config.head_dim])])?;
                fill(k_norm, &[(weight(Part::KNorm), &[config.head_dim])])?;
            }
            fill(&layer.o, &[(weight(Part::O), &[hidden, q])])?;
            if config.fused_projections {
                fill(&layer.gate_up, &[(weight(Part::GateUp), &[2 * wide, hidden])])?;
            } else {
                fill(&layer.gate_up, &[(weight(Part::Gate), &[wide, hidden]), (weight(Part::Up), &[wide, hidden])])?;
            }
            fill(&layer.down, &[(weight(Part::Down), &[hidden, wide])])?;
        }
        // A bias that nobody asked for, an expert: it would train another model than the file holds.
        from.all_used(&config.architecture)?;
        if base.rows == RowOrder::Gguf {
            for layer in &layout.layers {
                let at = &mut weights.data[layer.qkv.clone()];
                base.reorder(Module::Qkv, at, hidden, RowOrder::HuggingFace);
                if let Some(at) = &layer.qkv_bias {
                    base.reorder(Module::Qkv, &mut weights.data[at.clone()], 1, RowOrder::HuggingFace);
                }
            }
            config.rope.style = RopeStyle::Halves;
            config.local_rope.style = RopeStyle::Halves;
        }
        Ok(Self { config, weights, adapters: None, layout })
    }

    /// Tokens that a document may have the model read at most.
    pub fn longest(&self) -> usize {
        let windows = self.config.windows.iter().flatten().copied();
        windows.fold(self.config.max_position_embeddings, usize::min)
    }

    /// What is trained: the adapters' parameters, or else all weights.
    pub fn trained(&self) -> &Parameters {
        self.adapters.as_ref().map_or(&self.weights, |adapters| &adapters.parameters)
    }

    /// As [`Network::trained`], to be changed.
    pub fn trained_mut(&mut self) -> &mut Parameters {
        match &mut self.adapters {
            Some(adapters) => &mut adapters.parameters,
            None => &mut self.weights,
        }
    }

    /// Whether every weight can be trained, and not adapters alone.
    ///
    /// # Errors
    /// [`EngineError::Unsupported`] for a model with biases or norms of queries and keys, whose own gradients are not made.
    pub fn check_trained(&self) -> Result<(), EngineError> {
        let plain = self.layout.layers.iter().all(|layer| layer.qkv_bias.is_none() && layer.qk_norm.is_none());
        if plain || self.adapters.is_some() {
            return Ok(());
        }
        Err(EngineError::Unsupported {
            what: "training all weights of a model with biases or norms of queries and keys".into(),
            supported: "adapters on it (LoRA), or all weights of a plain Llama".into(),
        })
    }

    pub(super) fn heads(&self) -> Heads {
        Heads {
            heads: self.config.num_attention_heads,
            kv_heads: self.config.num_key_value_heads,
            dim: self.config.head_dim,
            scale: self.config.attention_scale,
        }
    }

    pub(super) fn output(&self) -> &[f32] {
        &self.weights.data[self.output_range()]
    }

    /// Where the output layer lies: with tied weights, in the embedding.
    pub(super) fn output_range(&self) -> Range<usize> {
        self.layout.lm_head.as_ref().unwrap_or(&self.layout.embed_tokens).clone()
    }
}

/// Whether the trainer's forward pass is this model's.
fn check(config: &Config) -> Result<(), EngineError> {
    let partly = config.rope.dims != config.head_dim && config.rope.style == RopeStyle::Interleaved;
    let local = config.windows.iter().any(Option::is_some) && config.local_rope != config.rope;
    let odd = [
        (config.hidden_act != Activation::Silu, "another activation than SiLU"),
        (config.qk_norm == QkNorm::Whole, "a norm over all queries together"),
        (!config.pre_norm || config.post_norm, "norms after attention or feed-forward"),
        (config.norm_plus_one, "norms stored less 1"),
        (config.experts.is_some(), "experts"),
        (config.attn_logit_softcapping.or(config.final_logit_softcapping).is_some(), "bent logits"),
        (partly, "heads that turn in part, in GGUF's order"),
        (local, "layers with frequencies of their own"),
    ];
    match odd.iter().find(|(is_odd, _)| *is_odd) {
        None => Ok(()),
        Some((_, what)) => Err(EngineError::Unsupported {
            what: format!("training a model of the architecture `{}`, with {what},", config.architecture),
            supported: "the Llama-shaped ones: llama, mistral, qwen2, qwen3, phi3, smollm3, granite".into(),
        }),
    }
}

/// Normally distributed numbers (Box and Muller, 1958), the same everywhere.
struct Normal(ChaCha8Rng);

impl Normal {
    fn fill(&mut self, out: &mut [f32], spread: f32) {
        let mut unit = || (f64::from(self.0.next_u32()) + 0.5) / 2_f64.powi(32);
        for pair in out.chunks_mut(2) {
            let (radius, angle) = (libm::sqrt(-2.0 * libm::log(unit())), std::f64::consts::TAU * unit());
            let two = [radius * libm::cos(angle), radius * libm::sin(angle)];
            pair.iter_mut().zip(two).for_each(|(x, y)| *x = (y * f64::from(spread)) as f32);
        }
    }
}
