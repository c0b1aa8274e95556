//! An open model and the jobs it does.

use std::ops::ControlFlow;
use std::path::Path;
use std::time::Instant;

use super::cache::KvCache;
use super::checkpoint::Checkpoint;
use super::config::Config;
use super::decoder::Decoder;
#[cfg(test)]
use super::decoder::Logits;
use super::generate::Request;
use super::gguf::{GgmlType, Gguf, TensorInfo};
use super::kernels::Isa;
use super::probe::Interventions;
#[cfg(test)]
use super::probe::Probe;
use super::template::{self, Piece};
use super::threads::physical_cores;
use super::tokenizer::Tokenizer;
use super::weights::{Compute, memory};
use super::{ChatMessage, EngineError, Job, ModelInfo, Prompt, RunStats, Stop, TextToken, TokenId, Update};

/// How a model runs. The default is right for almost everyone.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Options {
    /// Number of threads; `None` for one a physical core.
    pub threads: Option<usize>,
    /// Instruction set; `None` for the best there is.
    pub isa: Option<Isa>,
}

/// A model, open and ready.
#[derive(Debug)]
pub struct Model {
    pub(super) info: ModelInfo,
    pub(super) tokenizer: Tokenizer,
    pub(super) decoder: Decoder,
    pub(super) compute: Compute,
    chat_template: Option<String>,
    names: [String; 2],
    /// The last prompt's cache with its tokens: a chat's next turn reads only what is new.
    pub(super) kept: Option<(Vec<TokenId>, KvCache)>,
    /// What is changed while it runs.
    pub(super) interventions: Interventions,
}

/// What a callback says to an update: go on, or stop.
pub type Each<'a> = &'a mut dyn FnMut(Update) -> ControlFlow<()>;

impl Model {
    /// Opens a GGUF file with the default options.
    ///
    /// # Errors
    /// As [`Model::open_with`].
    pub fn open(path: &Path) -> Result<Self, EngineError> {
        Self::open_with(path, Options::default())
    }

    /// Opens a GGUF file: checks its header, counts the memory, repacks the weights, builds the tokenizer.
    ///
    /// # Errors
    /// Every kind of fault of the file; [`EngineError::BadSetting`] when it does not fit into memory, with numbers.
    pub fn open_with(path: &Path, options: Options) -> Result<Self, EngineError> {
        let file = Gguf::open(path)?;
        let config = Config::from_gguf(&file)?;
        fits_into_memory(&file)?;
        let tokenizer = Tokenizer::from_gguf(&file)?;
        // Embeddings are often padded to a round number; those rows are never named.
        if tokenizer.vocab_size() > config.vocab_size {
            return Err(file.bad("the tokenizer has more tokens than the embedding"));
        }
        let name = |key: &str| {
            let id = file.uint(&format!("tokenizer.ggml.{key}_token_id"));
            id.filter(|id| *id < config.vocab_size as u64)
                .map_or(String::new(), |id| tokenizer.token(id as u32).lossy())
        };
        let names = [name("bos"), name("eos")];
        let chat_template = file.text("tokenizer.chat_template").map(str::to_owned);
        let info = describe(&file, &config, chat_template.is_some());
        let decoder = Decoder::load(&Checkpoint::gguf(&file), config)?;
        let isa = options.isa.unwrap_or_else(Isa::detect);
        let compute = Compute::new(isa, options.threads.unwrap_or_else(physical_cores));
        Ok(Self {
            info,
            tokenizer,
            decoder,
            compute,
            chat_template,
            names,
            kept: None,
            interventions: Interventions::default(),
        })
    }

    /// What is known of it.
    pub fn info(&self) -> &ModelInfo {
        &self.info
    }

    /// Does a job; every update goes to `each`, which may stop it by breaking. Stopping takes one forward pass.
    ///
    /// # Errors
    /// [`EngineError::ContextOverflow`], [`EngineError::BadSetting`], [`EngineError::Template`].
    pub fn run(&mut self, job: Job, each: Each<'_>) -> Result<RunStats, EngineError> {
        let started = Instant::now();
        let mut stats = RunStats::nothing(Stop::Stop);
        let told = |flow: ControlFlow<()>| if flow.is_break() { Stop::Cancelled } else { Stop::Stop };
        match job {
            Job::Open => stats.stop = told(each(Update::Ready(self.info.clone()))),
            Job::Tokenize { text } => {
                let tokens = self.tokenizer.encode(&text);
                stats.prompt_tokens = tokens.len();
                stats.stop = told(each(Update::Tokens(self.texts(&tokens))));
            }
            Job::Next { prompt } => {
                let (_, tokens) = self.read(&prompt)?;
                stats.prompt_tokens = tokens.len();
                let mut logits = Vec::new();
                match self.prefill(&tokens, &mut logits, each) {
                    ControlFlow::Break(()) => stats.stop = Stop::Cancelled,
                    ControlFlow::Continue(cache) => {
                        self.kept = Some((tokens.clone(), cache));
                        let next = self.next_tokens(&tokens, logits);
                        stats.time_to_first_token_ms = started.elapsed().as_secs_f64() * 1e3;
                        stats.stop = told(each(Update::Next(next)));
                    }
                }
            }
            job @ (Job::Trace { .. }
            | Job::Lens { .. }
            | Job::Score { .. }
            | Job::Embed { .. }
            | Job::Contrast { .. }) => self.look(job, &mut stats, each)?,
            Job::With { interventions, job } => return self.with(interventions, *job, each),
            Job::Adapt { adapters } => {
                self.adapt(&adapters)?;
                stats.stop = told(each(Update::Adapted(self.adapters().to_vec())));
            }
            Job::Generate { prompt, sampling, max_new_tokens, top_candidates } => {
                let request = Request { prompt, sampling, max_new_tokens, top_candidates, started };
                self.generate(request, &mut stats, each)?;
            }
        }
        Ok(stats)
    }

    /// The prompt as text and tokens; at least one token, and fewer than the context holds.
    pub(super) fn read(&self, prompt: &Prompt) -> Result<(String, Vec<TokenId>), EngineError> {
        let mut tokens: Vec<TokenId> = self.tokenizer.beginning().into_iter().collect();
        let text = match prompt {
            Prompt::Text(text) => {
                tokens.extend(self.tokenizer.encode(text));
                text.clone()
            }
            Prompt::Chat(messages) => self.render(messages, &mut tokens)?,
        };
        if tokens.is_empty() {
            return Err(EngineError::BadSetting { what: "the prompt is empty; write a word or more".into() });
        }
        let limit = self.decoder.config.max_position_embeddings;
        if tokens.len() >= limit {
            return Err(EngineError::ContextOverflow { prompt: tokens.len(), limit });
        }
        Ok((text, tokens))
    }

    fn render(&self, messages: &[ChatMessage], tokens: &mut Vec<TokenId>) -> Result<String, EngineError> {
        let Some(source) = &self.chat_template else {
            let why = "this file has none, so it is no chat model; continue raw text instead (`osai generate`)";
            return Err(EngineError::Template { why: why.into() });
        };
        let special: Vec<&str> = self.tokenizer.special_names().collect();
        let rendered = template::render(source, messages, &special, &self.names[0], &self.names[1])?;
        let written_bos = !self.names[0].is_empty() && rendered.text().starts_with(&self.names[0]);
        if written_bos && self.tokenizer.beginning().is_some() {
            tokens.clear(); // the template writes the beginning itself
        }
        rendered.encode(&special, |piece| match piece {
            Piece::Special(name) => tokens.extend(self.tokenizer.encode_template(name)),
            Piece::Ordinary(text) => tokens.extend(self.tokenizer.encode(text)),
        });
        Ok(rendered.text())
    }

    pub(super) fn texts(&self, tokens: &[TokenId]) -> Vec<TextToken> {
        tokens.iter().map(|id| self.tokenizer.token(*id)).collect()
    }
}

fn describe(file: &Gguf, config: &Config, has_chat_template: bool) -> ModelInfo {
    let count = |info: &TensorInfo| info.shape.iter().map(|d| *d as u64).product::<u64>();
    let mut by_type = std::collections::BTreeMap::<GgmlType, u64>::new();
    for info in file.tensors().filter(|t| t.shape.len() > 1 && t.name != "token_embd.weight") {
        *by_type.entry(info.ggml_type).or_default() += count(info);
    }
    let commonest = by_type.iter().max_by_key(|(_, n)| **n).map_or("F32", |(t, _)| t.name());
    let stem = file.path.file_stem().map_or(String::new(), |s| s.to_string_lossy().into_owned());
    ModelInfo {
        name: file.text("general.name").map_or(stem, str::to_owned),
        path: file.path.clone(),
        architecture: config.architecture.clone(),
        quantization: commonest.into(),
        parameters: file.tensors().map(count).sum(),
        num_hidden_layers: config.num_hidden_layers,
        hidden_size: config.hidden_size,
        vocab_size: config.vocab_size,
        max_position_embeddings: config.max_position_embeddings,
        file_bytes: file.file_bytes(),
        has_chat_template,
    }
}

/// Bytes that the weights take once open against what the system says is free.
fn fits_into_memory(file: &Gguf) -> Result<(), EngineError> {
    let need: u64 = file.tensors().map(|t| memory(t.ggml_type, &t.shape)).sum();
    let Some(free) = free_memory() else { return Ok(()) };
    if need <= free {
        return Ok(());
    }
    let gib = |bytes: u64| bytes as f64 / f64::from(1 << 30);
    let (need, free) = (gib(need), gib(free));
    Err(EngineError::BadSetting {
        what: format!(
            "the model needs {need:.1} GiB of memory and {free:.1} GiB are free; close programs or take a smaller one"
        ),
    })
}

/// `MemAvailable` where the system tells it (Linux).
pub(super) fn free_memory() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|l| l.strip_prefix("MemAvailable:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib << 10)
}

/// Runs one forward pass with a probe, for tests of the probe itself.
#[cfg(test)]
pub(crate) fn forward_with<P: Probe>(model: &mut Model, tokens: &[TokenId], probe: &mut P) -> Vec<f32> {
    let (mut cache, mut logits) = (model.decoder.cache(), Vec::new());
    model.decoder.forward(tokens, &mut cache, &mut model.compute, Logits::Last, &mut logits, probe);
    logits
}
