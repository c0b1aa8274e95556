//! The shape of a BERT encoder, from a folder or a GGUF file.

use serde_json::Value;

use super::super::EngineError;
use super::super::checkpoint::Folder;
use super::super::gguf::Gguf;
use super::super::inside::Pooling;

/// Encoders that run, for messages.
const SUPPORTED: &str = "bert with absolute positions and GELU (all-MiniLM, bge, e5 and their like)";

/// What an encoder is made from; names as in a `config.json`.
#[derive(Clone, Debug, PartialEq)]
pub struct EncoderConfig {
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// Number of blocks.
    pub num_hidden_layers: usize,
    /// Heads.
    pub num_attention_heads: usize,
    /// Width of the feed-forward part.
    pub intermediate_size: usize,
    /// Number of tokens, rows of the embedding.
    pub vocab_size: usize,
    /// Tokens read at most, `[CLS]` and `[SEP]` among them.
    pub max_position_embeddings: usize,
    /// Added under the root in LayerNorm.
    pub layer_norm_eps: f32,
    /// How a text becomes one vector.
    pub pooling: Pooling,
}

impl EncoderConfig {
    /// From a folder's `config.json` and, where it has one, `1_Pooling/config.json`.
    ///
    /// # Errors
    /// [`EngineError::Unsupported`] for another kind, [`EngineError::BadFile`] for missing or impossible numbers.
    pub fn from_folder(folder: &Folder) -> Result<Self, EngineError> {
        let path = folder.path.join("config.json");
        let unsupported = |what: String| EngineError::Unsupported { what, supported: SUPPORTED.into() };
        let text = |key: &str, default: &'static str| match folder.config.get(key).and_then(Value::as_str) {
            Some(text) => text.to_owned(),
            None => default.to_owned(),
        };
        let kind = text("model_type", "(no model_type)");
        if kind != "bert" {
            return Err(unsupported(format!("the model type `{kind}`")));
        }
        let (act, position) = (text("hidden_act", "gelu"), text("position_embedding_type", "absolute"));
        if act != "gelu" || position != "absolute" {
            return Err(unsupported(format!("the activation `{act}` with `{position}` positions")));
        }
        let size = |key: &str| match folder.config.get(key).and_then(Value::as_u64) {
            Some(n) if (1..=1 << 24).contains(&n) => Ok(n as usize),
            _ => {
                Err(EngineError::BadFile { path: path.clone(), why: format!("`{key}` is missing or no number from 1") })
            }
        };
        let config = Self {
            hidden_size: size("hidden_size")?,
            num_hidden_layers: size("num_hidden_layers")?,
            num_attention_heads: size("num_attention_heads")?,
            intermediate_size: size("intermediate_size")?,
            vocab_size: size("vocab_size")?,
            max_position_embeddings: size("max_position_embeddings")?,
            layer_norm_eps: folder.config.get("layer_norm_eps").and_then(Value::as_f64).unwrap_or(1e-12) as f32,
            pooling: pooling_of(folder)?,
        };
        config.check().map_err(|why| EngineError::BadFile { path, why })?;
        Ok(config)
    }

    /// From a GGUF file's metadata.
    ///
    /// # Errors
    /// As [`EncoderConfig::from_folder`].
    pub fn from_gguf(file: &Gguf) -> Result<Self, EngineError> {
        let kind = file.text("general.architecture").unwrap_or("(none named)");
        if kind != "bert" {
            let what = format!("the architecture `{kind}`");
            return Err(EngineError::Unsupported { what, supported: SUPPORTED.into() });
        }
        let size = |key: &str| match file.uint(&format!("bert.{key}")) {
            Some(n) if (1..=1 << 24).contains(&n) => Ok(n as usize),
            _ => Err(file.bad(format!("the key `bert.{key}` is missing or no number from 1"))),
        };
        let vocab_size = file.tensor("token_embd.weight").and_then(|t| t.shape.first().copied());
        let config = Self {
            hidden_size: size("embedding_length")?,
            num_hidden_layers: size("block_count")?,
            num_attention_heads: size("attention.head_count")?,
            intermediate_size: size("feed_forward_length")?,
            vocab_size: vocab_size.ok_or_else(|| file.bad("the tensor `token_embd.weight` is missing"))?,
            max_position_embeddings: size("context_length")?,
            layer_norm_eps: file.float("bert.attention.layer_norm_epsilon").unwrap_or(1e-12) as f32,
            // llama.cpp's numbers: 1 mean, 2 cls, 3 last.
            pooling: match file.uint("bert.pooling_type") {
                Some(2) => Pooling::Cls,
                Some(3) => Pooling::Last,
                _ => Pooling::Mean,
            },
        };
        config.check().map_err(|why| file.bad(why))?;
        Ok(config)
    }

    fn check(&self) -> Result<(), String> {
        let Self { hidden_size, num_attention_heads: heads, .. } = *self;
        if hidden_size % heads != 0 {
            return Err(format!("{heads} heads cannot share a width of {hidden_size}"));
        }
        if self.num_hidden_layers > 1 << 10 || !self.layer_norm_eps.is_finite() || self.layer_norm_eps < 0.0 {
            return Err("a number of layers or a constant is out of range".into());
        }
        Ok(())
    }
}

/// How sentence-transformers pools, where the folder says so.
fn pooling_of(folder: &Folder) -> Result<Pooling, EngineError> {
    let path = folder.path.join("1_Pooling/config.json");
    let Ok(text) = std::fs::read_to_string(&path) else { return Ok(Pooling::Mean) };
    let bad = |why: String| EngineError::BadFile { path: path.clone(), why };
    let value: Value = serde_json::from_str(&text).map_err(|e| bad(e.to_string()))?;
    let on = |name: &str| value.get(name).and_then(Value::as_bool).unwrap_or(false);
    match [on("pooling_mode_mean_tokens"), on("pooling_mode_cls_token"), on("pooling_mode_lasttoken")] {
        [true, false, false] => Ok(Pooling::Mean),
        [false, true, false] => Ok(Pooling::Cls),
        [false, false, true] => Ok(Pooling::Last),
        _ => Err(bad("it asks for a pooling other than mean, cls or last token".into())),
    }
}
