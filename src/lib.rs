//! osai: a terminal course and glossary on open-source AI, with a local model on the bench.
//!
//! ```text
//!              cli
//!               │
//!               ui ──────────────┬──────────┐
//!               │                │          │
//!              labs              │          │
//!               │                │          │
//!  content   engine          progress    models      theme   text      corpus
//! ```
//!
//! - `content` what is taught; `engine` the language model; `progress` the learner's record;
//!   `models` where model files are and how they are fetched; `corpus` what our own model is made of. These five know
//!   nothing of one another.
//! - `labs` experiments: engine's data in, drawing out. `ui` the app. `cli` arguments in, text out.
//! - `theme` all colours; `text` the one type for text that is safe to draw. Both are leaves that all may use.
//!
//! `tests/layers.rs` holds the rule.

// The documentation is made with its private items (`./test` checks its links so).
#![allow(rustdoc::private_intra_doc_links)]

pub mod cli;
pub mod content;
pub mod corpus;
pub mod engine;
pub mod labs;
pub mod models;
pub mod progress;
pub mod text;
pub mod theme;
pub mod ui;
