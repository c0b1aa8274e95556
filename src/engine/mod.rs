//! The language model: tokens, tensors and one thread. No screen, no lesson.
//!
//! [`Model`] opens a file and does a [`Job`], telling what happens as [`Update`]s; [`Worker`] puts it on a thread of
//! its own. `Job` and `Update` are plain serialisable data. Everything numeric is canonical: the same file, prompt
//! and seed give the same bits on every instruction set and number of threads (see `kernels`).

mod attention;
mod cache;
mod config;
mod decoder;
mod error;
mod generate;
pub mod gguf;
mod job;
mod kernels;
mod model;
mod probe;
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
pub use job::{
    Candidate, ChatMessage, Job, ModelInfo, NextTokens, Prompt, Role, RunId, RunStats, SamplingParams, Stop, TextToken,
    TokenId, Update,
};
pub use kernels::Isa;
pub use model::{Each, Model, Options};
pub use probe::{Probe, Trace};
pub use sampler::{Sampler, Share, distribution, softmax};
pub use template::{Conversation, Rendered, render as render_chat};
pub use tokenizer::{FolderFiles, TextStream, Tokenizer, Vocabulary};
pub use worker::{Run, Worker};
