//! An open model and the jobs it does.

use std::ops::ControlFlow;
use std::sync::Arc;

use jiff::civil::DateTime;

use super::cache::KvCache;
use super::decoder::Decoder;
#[cfg(test)]
use super::decoder::Logits;
use super::generate::{Meter, Request};
use super::grammar::Vocabulary;
use super::kernels::Isa;
use super::probe::Interventions;
#[cfg(test)]
use super::probe::Probe;
use super::template::{self, Conversation, Rendered};
use super::threads::physical_cores;
use super::tokenizer::Tokenizer;
use super::weights::Compute;
use super::{ChatMessage, EngineError, Job, ModelInfo, Prompt, RunStats, Stop, TextToken, TokenId, Update};

/// How a model runs. The default is right for almost everyone.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Options {
    /// Number of threads; `None` for one a physical core.
    pub threads: Option<usize>,
    /// Instruction set; `None` for the best there is.
    pub isa: Option<Isa>,
    /// The moment that chat templates are told, in local time; `None` and they are told none.
    pub now: Option<DateTime>,
}

impl Options {
    /// Instruction set, threads and room for products.
    pub(super) fn compute(self) -> Compute {
        let isa = self.isa.unwrap_or_else(Isa::detect);
        Compute::new(isa, self.threads.unwrap_or_else(physical_cores))
    }
}

/// A model, open and ready.
#[derive(Debug)]
pub struct Model {
    pub(super) info: ModelInfo,
    pub(super) tokenizer: Tokenizer,
    pub(super) decoder: Decoder,
    pub(super) compute: Compute,
    pub(super) now: Option<DateTime>,
    /// The last prompt's cache with its tokens: a chat's next turn reads only what is new.
    pub(super) kept: Option<(Vec<TokenId>, KvCache)>,
    /// The vocabulary as grammars want it; made when the first one comes.
    pub(super) vocabulary: Option<Arc<Vocabulary>>,
    /// What is changed while it runs.
    pub(super) interventions: Interventions,
}

/// What a callback says to an update: go on, or stop.
pub type Each<'a> = &'a mut dyn FnMut(Update) -> ControlFlow<()>;

impl Model {
    /// What is known of it.
    pub fn info(&self) -> &ModelInfo {
        &self.info
    }

    /// How it cuts texts.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// Does a job; every update goes to `each`, which may stop it by breaking. Stopping takes one forward pass.
    ///
    /// # Errors
    /// [`EngineError::ContextOverflow`], [`EngineError::BadSetting`], [`EngineError::Template`].
    pub fn run(&mut self, job: Job, each: Each<'_>) -> Result<RunStats, EngineError> {
        let meter = Meter::start();
        let mut stats = RunStats::default();
        let mut watts = None;
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
                stats.stop = Stop::Cancelled;
                if self.prefill(&tokens, &mut logits, &mut stats, each).is_continue() {
                    let next = self.next_tokens(&tokens, logits);
                    stats.time_to_first_token_ms = meter.elapsed_ms();
                    stats.stop = told(each(Update::Next(next)));
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
            Job::Generate { prompt, sampling, max_new_tokens, top_candidates, options } => {
                watts = options.watts_per_core;
                let request = Request { prompt, sampling, max_new_tokens, top_candidates, options };
                self.generate(request, &meter, &mut stats, each)?;
            }
        }
        meter.finish(&mut stats, self.memory(), watts);
        Ok(stats)
    }

    /// The prompt as text and tokens; at least one token, and fewer than the context holds.
    pub(super) fn read(&self, prompt: &Prompt) -> Result<(String, Vec<TokenId>), EngineError> {
        let (text, tokens) = self.read_any(prompt)?;
        let limit = self.decoder.config.max_position_embeddings;
        if tokens.len() >= limit {
            return Err(EngineError::ContextOverflow { prompt: tokens.len(), limit });
        }
        Ok((text, tokens))
    }

    /// As [`Model::read`], of any length.
    pub(super) fn read_any(&self, prompt: &Prompt) -> Result<(String, Vec<TokenId>), EngineError> {
        let mut tokens: Vec<TokenId> = self.tokenizer.beginning().into_iter().collect();
        let text = match prompt {
            Prompt::Text(text) => {
                tokens.extend(self.tokenizer.encode(text));
                text.clone()
            }
            Prompt::Chat(messages) => self.render(messages, &mut tokens)?,
            Prompt::Raw(text) => {
                tokens = self.tokenizer.encode_template(text);
                text.clone()
            }
        };
        if tokens.is_empty() {
            return Err(EngineError::BadSetting { what: "the prompt is empty; write a word or more".into() });
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

/// Runs one forward pass with a probe, for tests of the probe itself.
#[cfg(test)]
pub(crate) fn forward_with<P: Probe>(model: &mut Model, tokens: &[TokenId], probe: &mut P) -> Vec<f32> {
    let (mut cache, mut logits) = (model.decoder.cache(), Vec::new());
    model.decoder.forward(tokens, &mut cache, &mut model.compute, Logits::Last, &mut logits, probe);
    logits
}
