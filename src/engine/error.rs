//! What can go wrong with a model, in the learner's words.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// A fault of the engine: where, what, and what to do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum EngineError {
    /// No model file could be found; `hint` says how to get one.
    NoModel {
        /// What to do, one sentence.
        hint: String,
    },
    /// The file could not be read.
    Unreadable {
        /// The file.
        #[serde(serialize_with = "super::child::path_as_shown")]
        path: PathBuf,
        /// The operating system's words.
        why: String,
    },
    /// A file could not be written; nothing is there under its name that was not there before.
    Unwritable {
        /// The file.
        #[serde(serialize_with = "super::child::path_as_shown")]
        path: PathBuf,
        /// The operating system's words, or who holds it.
        why: String,
    },
    /// The file is no model osai can trust or run.
    BadFile {
        /// The file.
        #[serde(serialize_with = "super::child::path_as_shown")]
        path: PathBuf,
        /// What is wrong, with byte offset, key or tensor where there is one.
        why: String,
    },
    /// A kind of model or weight that is not supported; lists those that are.
    Unsupported {
        /// What it is, by name.
        what: String,
        /// What is supported.
        supported: String,
    },
    /// The prompt does not fit.
    ContextOverflow {
        /// Tokens of the prompt.
        prompt: usize,
        /// Tokens the model reads at most, prompt and answer together.
        limit: usize,
    },
    /// A setting outside its range.
    BadSetting {
        /// The setting and its range.
        what: String,
    },
    /// The chat template of the file failed.
    Template {
        /// The template engine's words, with the line.
        why: String,
    },
    /// The model's process died, does not answer or cannot be started; the next run starts a fresh one.
    Stopped {
        /// How, and what to do.
        how: String,
    },
    /// A panic or another fault of ours.
    Internal {
        /// What is known.
        what: String,
    },
}

impl std::fmt::Display for EngineError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NoModel { hint } => write!(f, "no model file found; {hint}"),
            Self::Unreadable { path, why } => write!(f, "cannot read `{}`: {why}", path.display()),
            Self::Unwritable { path, why } => {
                write!(f, "cannot write `{}`: {why}; free some space, or give another folder", path.display())
            }
            Self::BadFile { path, why } => write!(f, "`{}` is no usable model file: {why}", path.display()),
            Self::Unsupported { what, supported } => write!(f, "{what} is not supported; supported: {supported}"),
            Self::ContextOverflow { prompt, limit } => {
                write!(f, "the prompt is {prompt} tokens but the model reads at most {limit}; shorten the prompt")
            }
            Self::BadSetting { what } => write!(f, "{what}"),
            Self::Template { why } => write!(f, "the model's chat template failed: {why}"),
            Self::Stopped { how } => write!(f, "the model stopped: {how}; the next run starts it again"),
            Self::Internal { what } => write!(f, "the model stopped unexpectedly: {what}"),
        }
    }
}

impl std::error::Error for EngineError {}
