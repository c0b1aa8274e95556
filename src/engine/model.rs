//! An open model and the jobs it does.

use std::ops::ControlFlow;
use std::path::Path;
use std::time::Instant;

use jiff::civil::DateTime;

use super::cache::KvCache;
use super::config::Config;
use super::decoder::{CHUNK, Decoder};
use super::generate::Request;
use super::gguf::{GgmlType, Gguf, TensorInfo};
use super::kernels::Isa;
#[cfg(test)]
use super::probe::Probe;
use super::probe::{Blind, Trace};
use super::template::{self, Conversation, Rendered};
use super::tokenizer::Tokenizer;
use super::weights::Compute;
use super::{ChatMessage, EngineError, Job, ModelInfo, Prompt, RunStats, Stop, TextToken, TokenId, Update};

/// How a model runs. The default is right for almost everyone.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Options {
    /// Number of threads; `None` for one a core.
    pub threads: Option<usize>,
    /// Instruction set; `None` for the best there is.
    pub isa: Option<Isa>,
    /// The moment that chat templates are told, in local time; `None` and they are told none.
    pub now: Option<DateTime>,
}

/// A model, open and ready.
#[derive(Debug)]
pub struct Model {
    pub(super) info: ModelInfo,
    pub(super) tokenizer: Tokenizer,
    pub(super) decoder: Decoder,
    pub(super) compute: Compute,
    now: Option<DateTime>,
    /// The last prompt's cache with its tokens: a chat's next turn reads only what is new.
    pub(super) kept: Option<(Vec<TokenId>, KvCache)>,
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
        // The embedding may have more rows than there are tokens: padding.
        if tokenizer.vocab_size() > config.vocab_size {
            return Err(file.bad(format!(
                "the tokenizer has {} tokens, the embedding only {} rows",
                tokenizer.vocab_size(),
                config.vocab_size
            )));
        }
        let info = describe(&file, &config, tokenizer.chat_template().is_some());
        let decoder = Decoder::load(&file, config)?;
        let isa = options.isa.unwrap_or_else(Isa::detect);
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let compute = Compute::new(isa, options.threads.unwrap_or(cores));
        Ok(Self { info, tokenizer, decoder, compute, now: options.now, kept: None })
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
        let mut stats = RunStats {
            stop: Stop::Stop,
            seed: 0,
            prompt_tokens: 0,
            new_tokens: 0,
            tokens_per_second: 0.0,
            time_to_first_token_ms: 0.0,
        };
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
            Job::Generate { prompt, sampling, max_new_tokens, top_candidates } => {
                let request = Request { prompt, sampling, max_new_tokens, top_candidates, started };
                self.generate(request, &mut stats, each)?;
            }
        }
        Ok(stats)
    }

    /// Everything that a forward pass over a text computes on its way: attentions and hidden states.
    ///
    /// # Errors
    /// [`EngineError::ContextOverflow`].
    pub fn trace(&mut self, prompt: &Prompt) -> Result<(Vec<TextToken>, Trace, Vec<f32>), EngineError> {
        let (_, tokens) = self.read(prompt)?;
        let (mut trace, mut logits) = (Trace::default(), Vec::new());
        let mut cache = self.decoder.cache();
        for chunk in tokens.chunks(CHUNK) {
            self.decoder.forward(chunk, &mut cache, &mut self.compute, Some(&mut logits), &mut trace);
        }
        Ok((self.texts(&tokens), trace, logits))
    }

    /// The logits after a prompt of token ids, without a cache: for tests against other engines.
    #[doc(hidden)]
    pub fn logits(&mut self, tokens: &[TokenId], chunk: usize) -> Vec<f32> {
        let mut cache = self.decoder.cache();
        let mut logits = Vec::new();
        for chunk in tokens.chunks(chunk.clamp(1, CHUNK)) {
            self.decoder.forward(chunk, &mut cache, &mut self.compute, Some(&mut logits), &mut Blind);
        }
        logits
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
        let rendered = self.rendered(messages)?;
        let written_bos = !self.tokenizer.bos().is_empty() && rendered.text().starts_with(self.tokenizer.bos());
        if written_bos && self.tokenizer.beginning().is_some() {
            tokens.clear(); // the template writes the beginning itself
        }
        tokens.extend(self.tokenizer.encode_rendered(&rendered));
        Ok(rendered.text())
    }

    /// A conversation as the model will read it, without reading it.
    ///
    /// # Errors
    /// [`EngineError::Template`], also when the model has none.
    pub fn rendered(&self, messages: &[ChatMessage]) -> Result<Rendered, EngineError> {
        let Some(source) = self.tokenizer.chat_template() else {
            let why = "this file has none, so it is no chat model; continue raw text instead (`osai generate`)";
            return Err(EngineError::Template { why: why.into() });
        };
        let (bos, eos) = (self.tokenizer.bos(), self.tokenizer.eos());
        let conversation = Conversation { messages, bos, eos, now: self.now };
        template::render(source, &conversation, self.tokenizer.special_names())
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
    let need: u64 = file
        .tensors()
        .map(|t| match t.ggml_type {
            GgmlType::Q4_1 | GgmlType::Q8_0 => t.bytes.len() as u64,
            _ => 4 * t.shape.iter().map(|d| *d as u64).product::<u64>(),
        })
        .sum();
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
fn free_memory() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|l| l.strip_prefix("MemAvailable:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib << 10)
}

/// Runs one forward pass with a probe, for tests of the probe itself.
#[cfg(test)]
pub(crate) fn forward_with<P: Probe>(model: &mut Model, tokens: &[TokenId], probe: &mut P) -> Vec<f32> {
    let (mut cache, mut logits) = (model.decoder.cache(), Vec::new());
    model.decoder.forward(tokens, &mut cache, &mut model.compute, Some(&mut logits), probe);
    logits
}
