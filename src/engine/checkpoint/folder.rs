//! A Hugging Face folder: `config.json`, `*.safetensors`, tokenizer files.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::super::EngineError;
use super::super::safetensors::Safetensors;

/// Bytes of a `config.json` at most.
const MAX_CONFIG_BYTES: u64 = 1 << 20;

/// A folder, its configuration and its tensors.
#[derive(Debug)]
pub struct Folder {
    /// The folder.
    pub path: PathBuf,
    /// `config.json`.
    pub config: Value,
    /// The weights.
    pub weights: Safetensors,
    /// What stands before `layers.0…` in tensor names: `model.` or longer.
    pub prefix: String,
}

impl Folder {
    /// Opens a folder, reads its `config.json` and checks the headers of its weights.
    ///
    /// # Errors
    /// [`EngineError::Unreadable`], [`EngineError::BadFile`].
    pub fn open(path: &Path) -> Result<Self, EngineError> {
        let config = Self::config_of(path)?;
        let weights = Safetensors::open(path)?;
        let embedding = weights.tensors().find_map(|t| Some(t.name.strip_suffix("embed_tokens.weight")?.to_owned()));
        Ok(Self { path: path.into(), config, weights, prefix: embedding.unwrap_or_default() })
    }

    /// Reads a folder's `config.json`.
    ///
    /// # Errors
    /// [`EngineError::Unreadable`], [`EngineError::BadFile`].
    pub fn config_of(path: &Path) -> Result<Value, EngineError> {
        let config_path = path.join("config.json");
        let unreadable = |e: std::io::Error| EngineError::Unreadable { path: config_path.clone(), why: e.to_string() };
        let bad = |why: String| EngineError::BadFile { path: config_path.clone(), why };
        let size = fs::metadata(&config_path).map_err(unreadable)?.len();
        if size > MAX_CONFIG_BYTES {
            return Err(bad(format!("it is {size} bytes long; at most {MAX_CONFIG_BYTES} are read")));
        }
        let text = fs::read_to_string(&config_path).map_err(unreadable)?;
        serde_json::from_str(&text).map_err(|e| bad(e.to_string()))
    }
}
