//! Opening a model: which file it is, whether it fits, its parts.

use std::collections::BTreeMap;
use std::path::Path;

use super::checkpoint::{Checkpoint, Folder};
use super::config::Config;
use super::decoder::Decoder;
use super::gguf::{GgmlType, Gguf, TensorInfo};
use super::model::{Model, Options};
use super::probe::Interventions;
use super::tokenizer::Tokenizer;
use super::weights::memory;
use super::{EngineError, ModelInfo};

/// Positions for which memory is counted before a model is opened; longer texts are counted when they come.
const COUNTED_POSITIONS: usize = 1024;

impl Model {
    /// Opens a GGUF file or a Hugging Face folder with the default options.
    ///
    /// # Errors
    /// As [`Model::open_with`].
    pub fn open(path: &Path) -> Result<Self, EngineError> {
        Self::open_with(path, Options::default())
    }

    /// Opens a GGUF file, or a folder with `config.json`, `tokenizer.json` and `*.safetensors`: checks its headers,
    /// counts the memory, repacks the weights, builds the tokenizer.
    ///
    /// # Errors
    /// Every kind of fault of the files; [`EngineError::BadSetting`] when it does not fit into memory, with numbers.
    pub fn open_with(path: &Path, options: Options) -> Result<Self, EngineError> {
        if path.is_dir() {
            let folder = Folder::open(path)?;
            let config = Config::from_json(&path.join("config.json"), &folder.config)?;
            let tensors: Vec<&TensorInfo> = folder.weights.tensors().collect();
            let stem = path.file_name().map_or(String::new(), |s| s.to_string_lossy().into_owned());
            let facts = Facts { path, name: stem, file_bytes: folder.weights.file_bytes(), tensors };
            let checkpoint = Checkpoint::folder(&folder, &config);
            Self::assemble(facts, &checkpoint, config, || Tokenizer::from_folder(path), options)
        } else {
            let file = Gguf::open(path)?;
            let config = Config::from_gguf(&file)?;
            let stem = path.file_stem().map_or(String::new(), |s| s.to_string_lossy().into_owned());
            let name = file.text("general.name").map_or(stem, str::to_owned);
            let facts = Facts { path, name, file_bytes: file.file_bytes(), tensors: file.tensors().collect() };
            let model =
                Self::assemble(facts, &Checkpoint::gguf(&file), config, || Tokenizer::from_gguf(&file), options)?;
            file.let_header_go();
            Ok(model)
        }
    }

    fn assemble(
        facts: Facts,
        checkpoint: &Checkpoint,
        config: Config,
        tokenizer: impl FnOnce() -> Result<Tokenizer, EngineError>,
        options: Options,
    ) -> Result<Self, EngineError> {
        facts.fit_into_memory(&config)?;
        let tokenizer = tokenizer()?;
        // Embeddings are often padded to a round number; those rows are never named.
        if tokenizer.vocab_size() > config.vocab_size {
            return Err(EngineError::BadFile {
                path: facts.path.into(),
                why: format!(
                    "its tokenizer has {} tokens and its embedding {}",
                    tokenizer.vocab_size(),
                    config.vocab_size
                ),
            });
        }
        let info = facts.describe(&config, tokenizer.chat_template().is_some());
        let decoder = Decoder::load(checkpoint, config)?;
        give_back_memory();
        Ok(Self {
            info,
            tokenizer,
            decoder,
            compute: options.compute(),
            now: options.now,
            kept: None,
            vocabulary: None,
            interventions: Interventions::default(),
        })
    }
}

/// What is known of the files before the weights are read.
struct Facts<'a> {
    path: &'a Path,
    name: String,
    file_bytes: u64,
    tensors: Vec<&'a TensorInfo>,
}

impl Facts<'_> {
    fn describe(&self, config: &Config, has_chat_template: bool) -> ModelInfo {
        let count = |info: &TensorInfo| info.shape.iter().map(|d| *d as u64).product::<u64>();
        let mut by_type = BTreeMap::<GgmlType, u64>::new();
        for info in self.tensors.iter().filter(|t| t.shape.len() > 1 && t.name != "token_embd.weight") {
            *by_type.entry(info.ggml_type).or_default() += count(info);
        }
        let commonest = by_type.iter().max_by_key(|(_, n)| **n).map_or("F32", |(t, _)| t.name());
        ModelInfo {
            name: self.name.clone(),
            path: self.path.into(),
            architecture: config.architecture.clone(),
            quantization: commonest.into(),
            parameters: self.tensors.iter().map(|info| count(info)).sum(),
            num_hidden_layers: config.num_hidden_layers,
            hidden_size: config.hidden_size,
            vocab_size: config.vocab_size,
            max_position_embeddings: config.max_position_embeddings,
            file_bytes: self.file_bytes,
            has_chat_template,
        }
    }

    /// Compares what the model takes once open with what the system says is free.
    fn fit_into_memory(&self, config: &Config) -> Result<(), EngineError> {
        let weights: u64 = self.tensors.iter().map(|info| memory(info.ggml_type, &info.shape)).sum();
        let positions = config.max_position_embeddings.min(COUNTED_POSITIONS);
        let cache = config.kv_bytes(positions);
        let Some(free) = free_memory() else { return Ok(()) };
        if weights + cache <= free {
            return Ok(());
        }
        let gib = |bytes: u64| bytes as f64 / f64::from(1 << 30);
        Err(EngineError::BadSetting {
            what: format!(
                "the model needs {:.1} GiB of memory for its weights and {:.1} GiB for a text of {positions} tokens, \
                 and {:.1} GiB are free; close programs, or take a smaller model or a stronger quantisation",
                gib(weights),
                gib(cache),
                gib(free)
            ),
        })
    }
}

/// Building a tokenizer takes several times what it holds in the end; the rest goes back to the system.
fn give_back_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: it only returns memory that is free.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// `MemAvailable` where the system tells it (Linux).
pub fn free_memory() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|l| l.strip_prefix("MemAvailable:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib << 10)
}
