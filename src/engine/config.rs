//! The shape of a model, in the words of a Hugging Face `config.json`; GGUF's names appear here only.

use super::EngineError;
use super::gguf::{Gguf, Value};

/// Architectures that run.
pub const SUPPORTED: &str = "llama (Llama 2 and 3, SmolLM, Mistral 7B in its GGUF form)";

/// What a decoder of the Llama shape is made from.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// `general.architecture`.
    pub architecture: String,
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// Number of blocks.
    pub num_hidden_layers: usize,
    /// Query heads.
    pub num_attention_heads: usize,
    /// Key and value heads; query heads share them in groups.
    pub num_key_value_heads: usize,
    /// Width of a head.
    pub head_dim: usize,
    /// Width of the feed-forward part.
    pub intermediate_size: usize,
    /// Number of tokens.
    pub vocab_size: usize,
    /// Tokens read at most, prompt and answer together.
    pub max_position_embeddings: usize,
    /// Added under the root in RMSNorm.
    pub rms_norm_eps: f32,
    /// Base of the rotary position embedding.
    pub rope_theta: f32,
    /// Positions are divided by this (linear RoPE scaling); `1.0` for none.
    pub rope_factor: f32,
}

impl Config {
    /// Reads the shape from a file's metadata and checks that it is one that can exist.
    ///
    /// # Errors
    /// [`EngineError::Unsupported`] for another architecture or feature, [`EngineError::BadFile`] for missing or
    /// impossible numbers, by key.
    pub fn from_gguf(file: &Gguf) -> Result<Self, EngineError> {
        let architecture = file.text("general.architecture").unwrap_or("(none named)").to_owned();
        let unsupported = |what: String| EngineError::Unsupported { what, supported: SUPPORTED.into() };
        if architecture != "llama" {
            return Err(unsupported(format!("the architecture `{architecture}`")));
        }
        let key = |name: &str| format!("{architecture}.{name}");
        let number = |name: &str| match file.uint(&key(name)) {
            Some(n) if (1..=1 << 20).contains(&n) => Ok(n as usize),
            Some(n) => Err(file.bad(format!("`{}` is {n}", key(name)))),
            None => Err(file.bad(format!("the key `{}` is missing", key(name)))),
        };
        let float = |name: &str, default: f64| file.float(&key(name)).unwrap_or(default) as f32;
        if file.uint(&key("expert_count")).is_some_and(|n| n > 0) {
            return Err(unsupported("a mixture of experts".into()));
        }
        let scaling = file.text(&key("rope.scaling.type")).unwrap_or("none");
        let rope_factor = match scaling {
            "none" => 1.0,
            "linear" => float("rope.scaling.factor", 1.0),
            other => return Err(unsupported(format!("RoPE scaling `{other}`"))),
        };
        let hidden_size = number("embedding_length")?;
        let num_attention_heads = number("attention.head_count")?;
        let num_key_value_heads = if file.value(&key("attention.head_count_kv")).is_some() {
            number("attention.head_count_kv")?
        } else {
            num_attention_heads
        };
        let head_dim = match file.uint(&key("attention.key_length")) {
            Some(n) => n as usize,
            None => hidden_size / num_attention_heads,
        };
        let vocab_size = match file.value("tokenizer.ggml.tokens") {
            Some(Value::Array { len, .. }) => *len,
            _ => number("vocab_size")?,
        };
        let config = Self {
            hidden_size,
            num_hidden_layers: number("block_count")?,
            num_attention_heads,
            num_key_value_heads,
            head_dim,
            intermediate_size: number("feed_forward_length")?,
            vocab_size,
            max_position_embeddings: number("context_length")?,
            rms_norm_eps: float("attention.layer_norm_rms_epsilon", 1e-5),
            rope_theta: float("rope.freq_base", 10_000.0),
            rope_factor,
            architecture: architecture.clone(),
        };
        config.check().map_err(|why| file.bad(why))?;
        let rotated = file.uint(&key("rope.dimension_count")).map_or(config.head_dim, |n| n as usize);
        if rotated != config.head_dim {
            return Err(unsupported(format!("rotating {rotated} of {} dimensions of a head", config.head_dim)));
        }
        Ok(config)
    }

    fn check(&self) -> Result<(), String> {
        let Self { num_attention_heads: heads, num_key_value_heads: kv, head_dim, .. } = *self;
        if heads % kv != 0 {
            return Err(format!("{heads} query heads cannot share {kv} key heads"));
        }
        if head_dim == 0 || head_dim % 2 != 0 || head_dim > 1024 {
            return Err(format!("a head of {head_dim} dimensions"));
        }
        if !(self.rms_norm_eps >= 0.0 && self.rope_theta > 0.0 && self.rope_factor > 0.0) {
            return Err("a norm or RoPE constant is out of range".into());
        }
        if self.vocab_size == 0 {
            return Err("an empty vocabulary".into());
        }
        Ok(())
    }

    /// Floats of keys and of values that one position takes in one layer.
    pub fn kv_width(&self) -> usize {
        self.num_key_value_heads * self.head_dim
    }
}
