//! TEMPORARY STUB, so that `cli` compiles and its streams can be tried: the real one replaces it in the merge.
//!
//! It takes any file that begins with `GGUF`; a token is a byte, the next token is the byte's successor.

use std::fs;
use std::ops::ControlFlow;
use std::path::Path;

use super::{
    Candidate, EngineError, Job, ModelInfo, NextTokens, Prompt, RunStats, SamplingParams, Stop, TextToken, TokenId,
    Update,
};

/// Stub.
#[derive(Debug)]
pub struct Model {
    info: ModelInfo,
}

fn token(byte: u8) -> TextToken {
    TextToken { id: byte.into(), bytes: vec![byte], special: false }
}

impl Model {
    /// Stub.
    ///
    /// # Errors
    /// The file is not there or does not begin with `GGUF`.
    pub fn open(path: &Path) -> Result<Self, EngineError> {
        let bytes = fs::read(path).map_err(|e| EngineError::Unreadable { path: path.into(), why: e.to_string() })?;
        if !bytes.starts_with(b"GGUF") {
            return Err(EngineError::BadFile { path: path.into(), why: "no magic".into() });
        }
        Ok(Self {
            info: ModelInfo {
                name: "stub".into(),
                path: path.into(),
                architecture: "stub".into(),
                quantization: "F32".into(),
                parameters: 1,
                num_hidden_layers: 1,
                hidden_size: 1,
                vocab_size: 256,
                max_position_embeddings: 100,
                file_bytes: bytes.len() as u64,
                has_chat_template: false,
            },
        })
    }

    /// Stub.
    pub fn info(&self) -> &ModelInfo {
        &self.info
    }

    /// Stub.
    ///
    /// # Errors
    /// A prompt of more than 100 bytes.
    pub fn run(&mut self, job: Job, each: &mut dyn FnMut(Update) -> ControlFlow<()>) -> Result<RunStats, EngineError> {
        let mut stats = RunStats {
            stop: Stop::Stop,
            seed: 1,
            prompt_tokens: 0,
            new_tokens: 0,
            tokens_per_second: 0.0,
            time_to_first_token_ms: 0.0,
        };
        let text = |prompt: Prompt| match prompt {
            Prompt::Text(text) => text,
            Prompt::Chat(messages) => messages.into_iter().map(|m| m.content).collect(),
        };
        match job {
            Job::Open => {}
            Job::Tokenize { text } => {
                let _ = each(Update::Tokens(text.bytes().map(token).collect()));
            }
            Job::Next { prompt } => {
                let last = text(prompt).bytes().last().unwrap_or(b'a');
                let logits: Vec<f32> = (0..=255u8).map(|b| if b == last + 1 { 5.0 } else { -f32::from(b) }).collect();
                let top = (0..=255u8).map(|b| (token(b), logits[usize::from(b)])).collect();
                let _ = each(Update::Next(NextTokens { prompt: vec![token(last)], logits, top }));
            }
            Job::Generate { prompt, sampling, max_new_tokens, .. } => {
                let prompt = text(prompt);
                if prompt.len() > 100 {
                    return Err(EngineError::ContextOverflow { prompt: prompt.len(), limit: 100 });
                }
                stats.seed = sampling.seed.unwrap_or(42);
                stats.prompt_tokens = prompt.len();
                let mut last = prompt.bytes().last().unwrap_or(b'a');
                stats.stop = Stop::Length;
                for _ in 0..max_new_tokens {
                    last = if last >= b'z' { b' ' } else { last + 1 };
                    let chosen = Candidate { token: token(last), logit: 1.0, probability: 0.5, kept: true };
                    stats.new_tokens += 1;
                    let update = Update::Token { chosen, text: char::from(last).into(), candidates: vec![] };
                    if each(update).is_break() {
                        stats.stop = Stop::Cancelled;
                        break;
                    }
                }
            }
        }
        Ok(stats)
    }
}

/// Stub.
pub fn distribution(logits: &[f32], _params: &SamplingParams) -> Vec<(TokenId, f32, bool)> {
    let sum: f32 = logits.iter().map(|l| l.exp()).sum();
    let mut all: Vec<_> =
        logits.iter().enumerate().map(|(id, l)| (id as TokenId, l.exp() / sum, id % 2 == 0)).collect();
    all.sort_by(|a, b| b.1.total_cmp(&a.1));
    all
}
