//! The generation loop: a prompt is read into the cache, then tokens are drawn one by one.
//!
//! [`draw`] chooses a token and shows what it was chosen from; [`shift`] forgets the oldest tokens of a full context;
//! [`stop`] holds text back that may become a stop string; [`meter`] measures.

mod draw;
mod meter;
mod shift;
mod stop;
#[cfg(test)]
mod tests;

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::decoder::{CHUNK, Logits};
use super::grammar::{Constraint, Grammar, GrammarError, Vocabulary};
use super::model::{Each, Model};
use super::sampler::{Sampler, distribution};
use super::tokenizer::TextStream;
use super::{
    BiasToken, EngineError, GenerationOptions, Memory, NextTokens, Prompt, RunStats, SamplingParams, Stop, TextToken,
    TokenId, Update,
};
use draw::Step;
pub(super) use meter::Meter;
use stop::StopStrings;

/// Candidates that [`Update::Next`] carries with their text.
const TOP: usize = 256;
/// The most log-probabilities that a token may carry.
const MAX_LOGPROBS: usize = 256;
/// Chunks of a prompt become smaller when one takes longer, and larger below the half: a run can be stopped between
/// them.
const CHUNK_TIME: Duration = Duration::from_millis(200);
/// The smallest chunk. Larger models, by parameters, begin with it.
const SMALL_CHUNK: usize = 8;
const LARGE_MODEL: u64 = 2_000_000_000;

/// What [`Job::Generate`](super::Job::Generate) asks for.
#[derive(Debug)]
pub(super) struct Request {
    pub prompt: Prompt,
    pub sampling: SamplingParams,
    pub max_new_tokens: usize,
    pub top_candidates: usize,
    pub options: GenerationOptions,
}

impl Model {
    /// The prompt as it would be read: the text after the chat template, and its tokens. Nothing is run.
    ///
    /// # Errors
    /// [`EngineError::Template`], [`EngineError::BadSetting`].
    pub fn prompt(&self, prompt: &Prompt) -> Result<(String, Vec<TextToken>), EngineError> {
        let (text, tokens) = self.read_any(prompt)?;
        Ok((text, self.texts(&tokens)))
    }

    /// Reads a prompt into the cache, chunk by chunk, using what the last run left; `logits` become those after it.
    /// When `each` breaks, what was read is kept for the next run.
    pub(super) fn prefill(
        &mut self,
        tokens: &[TokenId],
        logits: &mut Vec<f32>,
        stats: &mut RunStats,
        each: Each<'_>,
    ) -> ControlFlow<()> {
        let mut cache = match self.kept.take() {
            Some((old, mut cache)) => {
                let same = old.iter().zip(tokens).take_while(|(a, b)| a == b).count();
                // The last token is read again: its logits are wanted.
                cache.truncate(same.min(tokens.len() - 1));
                cache
            }
            None => self.decoder.cache(),
        };
        let past = cache.len();
        let started = Instant::now();
        let mut size = if self.info.parameters > LARGE_MODEL { SMALL_CHUNK } else { CHUNK };
        let mut flow = ControlFlow::Continue(());
        while flow.is_continue() && cache.len() < tokens.len() {
            let rest = &tokens[cache.len()..];
            let chunk = &rest[..rest.len().min(size)];
            let is_last = chunk.len() == rest.len();
            let began = Instant::now();
            self.step(chunk, &mut cache, if is_last { Logits::Last } else { Logits::None }, logits);
            let took = began.elapsed();
            if took > CHUNK_TIME {
                size = (size / 2).max(SMALL_CHUNK);
            } else if took < CHUNK_TIME / 2 {
                size = (size * 2).min(CHUNK);
            }
            if !is_last {
                flow = each(Update::Reading { done: cache.len() - past, total: tokens.len() - past });
            }
        }
        let read = (cache.len() - past) as f64;
        stats.cached_tokens = past;
        stats.prompt_tokens_per_second = read / started.elapsed().as_secs_f64();
        self.kept = Some((tokens[..cache.len()].to_vec(), cache));
        flow
    }

    /// What the model itself holds.
    pub(super) fn memory(&self) -> Memory {
        let cache_bytes = self.kept.as_ref().map_or(0, |(_, cache)| cache.bytes());
        Memory { weight_bytes: self.decoder.weight_bytes(), cache_bytes, ..Memory::default() }
    }

    pub(super) fn next_tokens(&self, prompt: &[TokenId], logits: Vec<f32>) -> NextTokens {
        let order = distribution(&logits[..self.tokenizer.vocab_size()], &SamplingParams::default());
        let top = order.iter().take(TOP).map(|s| (self.tokenizer.token(s.0), logits[s.0 as usize])).collect();
        NextTokens { prompt: self.texts(prompt), logits, top }
    }

    pub(super) fn generate(
        &mut self,
        request: Request,
        meter: &Meter,
        stats: &mut RunStats,
        each: Each<'_>,
    ) -> Result<(), EngineError> {
        let Request { prompt, mut sampling, max_new_tokens, top_candidates, options } = request;
        sampling.check()?;
        options.check()?;
        let seed = sampling.seed.unwrap_or_else(draw_seed);
        sampling.seed = Some(seed);
        stats.seed = seed;
        let sampler = Sampler::with_bias(&sampling, self.bias(&sampling.logit_bias)?);
        let constraint = self.constraint(&options)?;
        let (text, mut tokens) = self.read_any(&prompt)?;
        stats.prompt_tokens = tokens.len();
        let shift = self.shift(&prompt, &tokens, &options)?;
        stats.dropped_tokens += shift.apply(&mut tokens)?;
        stats.stop = Stop::Cancelled;
        if each(Update::Prompt { text, tokens: self.texts(&tokens) }).is_break() {
            return Ok(());
        }
        let mut logits = Vec::new();
        if max_new_tokens == 0 {
            stats.stop = Stop::Length;
            return Ok(());
        }
        if self.prefill(&tokens, &mut logits, stats, each).is_break() {
            return Ok(());
        }
        let mut step = Step { sampler, constraint, top_candidates, logprobs: options.logprobs, answer: Vec::new() };
        // A grammar has spoken of every byte: none is taken away.
        let fresh = matches!(prompt, Prompt::Chat(_)) && options.grammar.is_none();
        let mut output =
            Output { stream: self.tokenizer.stream(fresh), stops: StopStrings::new(&options.stop_strings)? };
        let mut first_at = None;
        stats.stop = loop {
            logits.truncate(self.tokenizer.vocab_size());
            let drawn = step.draw(&self.tokenizer, &logits, &tokens)?;
            let first = *first_at.get_or_insert_with(Instant::now);
            if stats.new_tokens == 0 {
                stats.time_to_first_token_ms = meter.elapsed_ms();
            }
            let id = drawn.chosen.token.id;
            if self.tokenizer.is_end(id) {
                break output.end(Stop::Stop, each);
            }
            tokens.push(id);
            step.accept(&drawn.chosen.token)?;
            stats.new_tokens += 1;
            if stats.new_tokens > 1 {
                stats.tokens_per_second = (stats.new_tokens - 1) as f64 / first.elapsed().as_secs_f64();
            }
            let is_full = tokens.len() > shift.limit;
            let is_last = stats.new_tokens == max_new_tokens || (is_full && !shift.is_wanted) || step.is_final();
            let (text, hit) = output.push(&drawn.chosen.token, is_last);
            stats.stop_string = hit.clone();
            if each(drawn.update(text, meter.elapsed_ms())).is_break() {
                break Stop::Cancelled;
            }
            if is_last || hit.is_some() {
                break if hit.is_some() || step.is_final() { Stop::Stop } else { Stop::Length };
            }
            if is_full {
                stats.dropped_tokens += shift.apply(&mut tokens)?;
                let (cached, speed) = (stats.cached_tokens, stats.prompt_tokens_per_second);
                let flow = self.prefill(&tokens, &mut logits, stats, each);
                (stats.cached_tokens, stats.prompt_tokens_per_second) = (cached, speed);
                if flow.is_break() {
                    break Stop::Cancelled;
                }
            } else if let Some((mut read, mut cache)) = self.kept.take() {
                self.step(&[id], &mut cache, Logits::Last, &mut logits);
                read.push(id);
                self.kept = Some((read, cache));
            }
        };
        Ok(())
    }

    /// The bias by token ids; each text must be one token.
    fn bias(&self, bias: &[(BiasToken, f32)]) -> Result<Vec<(TokenId, f32)>, EngineError> {
        let bad = |what: String| Err(EngineError::BadSetting { what });
        let size = self.tokenizer.vocab_size();
        let id = |token: &BiasToken| match token {
            BiasToken::Id(id) if (*id as usize) < size => Ok(*id),
            BiasToken::Id(id) => bad(format!("a logit bias is for token {id}; the vocabulary ends at {}", size - 1)),
            BiasToken::Text(text) => match self.tokenizer.encode(text)[..] {
                [id] => Ok(id),
                ref all => {
                    let parts: Vec<String> =
                        all.iter().map(|id| format!("{id} {:?}", self.tokenizer.token(*id).lossy())).collect();
                    bad(format!(
                        "a logit bias is for {text:?}, which is {} tokens ({}); give it for one of them by number",
                        all.len(),
                        parts.join(", ")
                    ))
                }
            },
        };
        bias.iter().map(|(token, amount)| Ok((id(token)?, *amount))).collect()
    }

    fn constraint(&mut self, options: &GenerationOptions) -> Result<Option<Constraint>, EngineError> {
        let Some(source) = &options.grammar else { return Ok(None) };
        let grammar = Grammar::new(source)?;
        let tokenizer = &self.tokenizer;
        let vocabulary = self.vocabulary.get_or_insert_with(|| {
            let ids = 0..tokenizer.vocab_size() as TokenId;
            let ends: Vec<TokenId> = ids.clone().filter(|id| tokenizer.is_end(*id)).collect();
            let tokens = ids.map(|id| {
                let token = tokenizer.token(id);
                (token.bytes, token.special)
            });
            Arc::new(Vocabulary::new(tokens, &ends))
        });
        Ok(Some(Constraint::new(&grammar, vocabulary.clone())?))
    }
}

impl GenerationOptions {
    /// Checks what can be checked without a model.
    ///
    /// # Errors
    /// [`EngineError::BadSetting`].
    pub fn check(&self) -> Result<(), EngineError> {
        StopStrings::new(&self.stop_strings)?;
        meter::check_watts(self.watts_per_core)?;
        match self.logprobs.filter(|n| *n > MAX_LOGPROBS) {
            None => Ok(()),
            Some(n) => Err(EngineError::BadSetting {
                what: format!("log-probabilities are wanted for {n} tokens; at most {MAX_LOGPROBS} are given"),
            }),
        }
    }
}

impl From<GrammarError> for EngineError {
    fn from(error: GrammarError) -> Self {
        Self::BadSetting { what: format!("the grammar cannot be used: {error}") }
    }
}

/// Tokens to the text that is shown.
struct Output {
    stream: TextStream,
    stops: StopStrings,
}

impl Output {
    /// The text that is complete with a token, and the stop string that ends the answer.
    fn push(&mut self, token: &TextToken, is_last: bool) -> (String, Option<String>) {
        let mut text = if token.special { String::new() } else { self.stream.push(&token.bytes) };
        if is_last {
            text += &self.stream.finish();
        }
        let (mut shown, hit) = self.stops.push(&text);
        let hit = hit.map(str::to_owned);
        if is_last && hit.is_none() {
            shown += &self.stops.rest();
        }
        (shown, hit)
    }

    /// The model has ended its text; what was held back is told.
    fn end(&mut self, stop: Stop, each: Each<'_>) -> Stop {
        let (mut text, hit) = self.stops.push(&self.stream.finish());
        if hit.is_none() {
            text += &self.stops.rest();
        }
        if !text.is_empty() && each(Update::Rest { text }).is_break() { Stop::Cancelled } else { stop }
    }
}

/// A seed for a run that has none: from the clock's small digits, short enough to type again.
fn draw_seed() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.map_or(0, |d| u64::from(d.subsec_nanos()) / 100 % 1_000_000)
}
