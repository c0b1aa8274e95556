//! The language model: tokens, tensors, one thread and one process. No screen, no lesson.
//!
//! [`Model`] opens a file and does a [`Job`], telling what happens as [`Update`]s; [`Worker`] puts it on a thread of
//! its own, [`ModelProcess`] in a process of its own, as the app has it. `Job` and `Update` are plain serialisable
//! data. Everything numeric is canonical: the same file, prompt and seed give the same bits on every instruction set
//! and number of threads (see `kernels`).

mod attention;
mod cache;
mod checkpoint;
mod child;
mod config;
mod decoder;
mod encoder;
mod error;
pub mod file;
#[cfg(test)]
mod folder_tests;
mod generate;
pub mod gguf;
pub mod grammar;
mod inside;
pub mod inspect;
mod job;
mod kernels;
pub mod lora;
pub mod merge;
mod model;
mod open;
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
pub mod train;
mod weights;
mod worker;

pub use child::{Confinement, Launch, ModelProcess, probe as probe_confinement, serve};
pub use config::Config;
pub use encoder::{Encoder, EncoderConfig, is_encoder};
pub use error::EngineError;
pub use inside::{Comparison, Lens, LensCell, Pooling, Score, TokenScore, Traced, kl_divergence, log_sum_exp};
pub use job::{
    BiasToken, Candidate, ChatMessage, ContextShift, Energy, GenerationOptions, GrammarSource, Job, Logprobs, Mask,
    Memory, ModelInfo, NextTokens, Prompt, Role, RunId, RunStats, SamplingParams, Stop, TextToken, TokenId, Update,
};
pub use kernels::Isa;
pub use model::{Each, Model, Options};
pub use probe::{Edit, Interventions, Probe, Seen, Steering, Trace};
pub use sampler::{Sampler, Share, distribution, softmax};
pub use template::{Conversation, Rendered, render as render_chat};
pub use threads::physical_cores;
pub use tokenizer::{FolderFiles, TextStream, Tokenizer, Vocabulary};
pub use worker::{Run, Worker};
