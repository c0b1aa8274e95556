//! The generation loop: a prompt is read into the cache, then tokens are drawn one by one.

use std::ops::ControlFlow;
use std::time::Instant;

use super::cache::KvCache;
use super::decoder::{CHUNK, Logits};
use super::model::{Each, Model};
use super::sampler::{Sampler, distribution};
use super::tokenizer::TextStream;
use super::{Candidate, EngineError, NextTokens, Prompt, RunStats, SamplingParams, Stop, TokenId, Update};

/// Candidates that [`Update::Next`] carries with their text.
const TOP: usize = 256;

/// What [`Job::Generate`](super::Job::Generate) asks for.
#[derive(Debug)]
pub(super) struct Request {
    pub prompt: Prompt,
    pub sampling: SamplingParams,
    pub max_new_tokens: usize,
    pub top_candidates: usize,
    pub started: Instant,
}

impl Model {
    /// Reads a prompt into a cache, chunk by chunk, using what the last run left.
    pub(super) fn prefill(
        &mut self,
        tokens: &[TokenId],
        logits: &mut Vec<f32>,
        each: Each<'_>,
    ) -> ControlFlow<(), KvCache> {
        let (past, mut cache) = match self.kept.take() {
            Some((old, mut cache)) => {
                let same = old.iter().zip(tokens).take_while(|(a, b)| a == b).count();
                // The last token is read again: its logits are wanted.
                cache.truncate(same.min(tokens.len() - 1));
                (cache.len(), cache)
            }
            None => (0, self.decoder.cache()),
        };
        let chunks: Vec<&[TokenId]> = tokens[past..].chunks(CHUNK).collect();
        for (i, chunk) in chunks.iter().enumerate() {
            let last = i + 1 == chunks.len();
            let wanted = if last { Logits::Last } else { Logits::None };
            self.step(chunk, &mut cache, wanted, logits);
            if !last {
                each(Update::Reading { done: cache.len() - past, total: tokens.len() - past })?;
            }
        }
        ControlFlow::Continue(cache)
    }

    pub(super) fn next_tokens(&self, prompt: &[TokenId], logits: Vec<f32>) -> NextTokens {
        let order = distribution(&logits, &SamplingParams::default());
        let top = order.iter().take(TOP).map(|s| (self.tokenizer.token(s.0), logits[s.0 as usize])).collect();
        NextTokens { prompt: self.texts(prompt), logits, top }
    }

    pub(super) fn generate(
        &mut self,
        request: Request,
        stats: &mut RunStats,
        each: Each<'_>,
    ) -> Result<(), EngineError> {
        let Request { prompt, mut sampling, max_new_tokens, top_candidates, started } = request;
        sampling.check()?;
        let seed = sampling.seed.unwrap_or_else(draw_seed);
        sampling.seed = Some(seed);
        stats.seed = seed;
        let (text, mut tokens) = self.read(&prompt)?;
        stats.prompt_tokens = tokens.len();
        stats.stop = Stop::Cancelled;
        if each(Update::Prompt { text, tokens: self.texts(&tokens) }).is_break() {
            return Ok(());
        }
        let mut logits = Vec::new();
        let ControlFlow::Continue(mut cache) = self.prefill(&tokens, &mut logits, each) else { return Ok(()) };
        let mut sampler = Sampler::new(&sampling);
        let mut stream = TextStream::default();
        let mut first_at = None;
        stats.stop = Stop::Length;
        for made in 0..max_new_tokens {
            let chosen = self.choose(&mut sampler, &sampling, &logits, &tokens, top_candidates);
            let (chosen, candidates) = chosen;
            let first = *first_at.get_or_insert_with(Instant::now);
            stats.time_to_first_token_ms = (first - started).as_secs_f64() * 1e3;
            let id = chosen.token.id;
            if self.tokenizer.is_end(id) {
                stats.stop = Stop::Stop;
                break;
            }
            tokens.push(id);
            stats.new_tokens = made + 1;
            if made > 0 {
                stats.tokens_per_second = made as f64 / first.elapsed().as_secs_f64();
            }
            let last = made + 1 == max_new_tokens || cache.room() == 0;
            let mut text = if chosen.token.special { String::new() } else { stream.push(&chosen.token.bytes) };
            if last {
                text += &stream.finish();
            }
            if each(Update::Token { chosen, text, candidates }).is_break() {
                stats.stop = Stop::Cancelled;
                break;
            }
            if last {
                break;
            }
            self.step(&[id], &mut cache, Logits::Last, &mut logits);
        }
        self.kept = Some((tokens[..cache.len()].to_vec(), cache));
        Ok(())
    }

    fn choose(
        &self,
        sampler: &mut Sampler,
        sampling: &SamplingParams,
        logits: &[f32],
        text: &[TokenId],
        top: usize,
    ) -> (Candidate, Vec<Candidate>) {
        let mut adjusted = logits.to_vec();
        sampler.penalise(&mut adjusted, text);
        let shares = distribution(&adjusted, sampling);
        let id = sampler.draw(&shares);
        // Greedy shows the model's own probabilities, not the degenerate ones of temperature 0.
        let shown = if sampling.temperature > 0.0 {
            shares
        } else {
            let mut shown = distribution(&adjusted, &SamplingParams::default());
            shown.iter_mut().for_each(|s| s.2 = s.0 == id);
            shown
        };
        let candidate = |share: &(TokenId, f32, bool)| Candidate {
            token: self.tokenizer.token(share.0),
            logit: logits[share.0 as usize],
            probability: share.1,
            kept: share.2,
        };
        let chosen = shown.iter().find(|s| s.0 == id).map(&candidate).expect("drawn from these");
        (chosen, shown.iter().take(top).map(candidate).collect())
    }
}

/// A seed for a run that has none: from the clock's small digits, short enough to type again.
fn draw_seed() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.map_or(0, |d| u64::from(d.subsec_nanos()) / 100 % 1_000_000)
}
