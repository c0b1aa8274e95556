//! The language model: tokens, tensors and one thread. No screen, no lesson.
//!
//! [`Model`] opens a file and does a [`Job`], telling what happens as [`Update`]s; [`Worker`] puts it on a thread of
//! its own. `Job` and `Update` are plain serialisable data. Everything numeric is canonical: the same file, prompt
//! and seed give the same bits on every instruction set and number of threads (see `kernels`).

mod error;
mod job;
mod sampler;
mod worker;

pub use error::EngineError;
pub use job::{
    Candidate, ChatMessage, Job, ModelInfo, NextTokens, Prompt, Role, RunId, RunStats, SamplingParams, Stop, TextToken,
    TokenId, Update,
};
pub use sampler::{Sampler, distribution};
pub use worker::{Run, Worker};
