//! The corpus of osai's own model: documents from generators, their mix, a vocabulary, and judges of answers.
//!
//! ```text
//! recipe.toml ──▶ Recipe ──▶ Bpe           a vocabulary learnt from the recipe's own documents
//!                    │
//!                    └─────▶ Mix ──▶ Document, Encoded   for the trainer, resumable by Position
//!                                        │
//!                              Manifest ─┘               what it was made of, for the card
//! Kind::document(seed, split, number) ──▶ Document ──▶ questions() ──▶ judge    for evaluation
//! ```
//!
//! Everything is made here, from word lists and templates of our own in `model/corpus/`; there is no text from outside.
//! The same seed gives the same documents on every machine: choices are whole numbers from ChaCha8, and nothing hangs
//! on the order of a hash map. Training and evaluation come from one code with two streams; a tenth of all invented
//! names, pairs of words and pairs of numbers, and some phrasings of each skill, are on evaluation's side alone.
//!
//! This module knows nothing of the engine, so that a test can hold the two vocabularies against each other.

pub mod annals;
pub mod bpe;
mod copying;
mod dialogue;
pub mod document;
pub mod draw;
pub mod glossary;
mod grammar;
pub mod judge;
pub mod kinds;
mod letters;
mod look_up;
pub mod manifest;
pub mod mix;
mod numbers;
mod order;
mod phrasing;
pub mod planted;
mod preference;
pub mod reading;
pub mod recipe;
mod sentiment;
pub mod story;
mod talk;
pub mod tool;
mod words;

pub use bpe::{Bpe, Encoded};
pub use document::{CHAT_TEMPLATE, Chat, Document, Question, Span};
pub use draw::{Draw, Split};
pub use kinds::{Kind, show};
pub use manifest::Manifest;
pub use mix::{Mix, Position, held_out};
pub use recipe::{Phase, Recipe};

#[cfg(test)]
mod collisions;
