//! The language model: tokens, tensors and one thread. No screen, no lesson.
//!
//! [`Model`] opens a file and does a [`Job`], telling what happens as [`Update`]s; [`Worker`] puts it on a thread of
//! its own. `Job` and `Update` are plain serialisable data. Everything numeric is canonical: the same file, prompt
//! and seed give the same bits on every instruction set and number of threads (see `kernels`).

mod attention;
mod cache;
mod checkpoint;
mod config;
mod decoder;
mod error;
pub mod file;
mod generate;
pub mod gguf;
mod inside;
mod job;
mod kernels;
pub mod lora;
pub mod merge;
mod model;
mod ops;
mod probe;
pub mod quantize;
mod rewrite;
mod rope;
pub mod safetensors;
mod sampler;
mod template;
#[cfg(test)]
mod tests;
mod threads;
mod tokenizer;
mod weights;
mod worker;

pub use config::Config;
pub use error::EngineError;
pub use inside::{Comparison, Lens, LensCell, Pooling, Score, TokenScore, Traced, kl_divergence, log_sum_exp};
pub use job::{
    Candidate, ChatMessage, Job, ModelInfo, NextTokens, Prompt, Role, RunId, RunStats, SamplingParams, Stop, TextToken,
    TokenId, Update,
};
pub use kernels::Isa;
pub use model::{Each, Model, Options};
pub use probe::{Edit, Interventions, Probe, Seen, Steering, Trace};
pub use sampler::{Sampler, Share, distribution, softmax};
pub use tokenizer::{TextStream, Tokenizer};
pub use worker::{Run, Worker};
