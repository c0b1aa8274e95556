//! What an adapter must know of the model that it is for.

use std::ops::Range;
use std::path::Path;

use super::super::EngineError;
use super::super::config::Config;
use super::super::gguf::Gguf;
use super::super::rope::RopeStyle;
use super::{Module, RowOrder};

/// A model's shape, as far as adapters go.
#[derive(Clone, Debug, PartialEq)]
pub struct Base {
    /// `general.architecture`, as GGUF files have it.
    pub architecture: String,
    /// Number of layers.
    pub layers: usize,
    /// Whether GGUF has the rows of queries and keys in another order for this architecture.
    pub is_reordered_in_gguf: bool,
    /// The order in which this model has them.
    pub rows: RowOrder,
    /// Whether experts stand in the place of the feed-forward part.
    pub has_experts: bool,
    hidden: usize,
    q_width: usize,
    kv_width: usize,
    head_dim: usize,
    intermediate: usize,
}

/// Matrices that read the same numbers; a model holds their rows apart or in one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// Queries, keys, values.
    Qkv,
    /// From the heads back to the stream.
    O,
    /// Gate, up.
    GateUp,
    /// From feed-forward back to the stream.
    Down,
}

impl Base {
    /// Reads a model file's header.
    ///
    /// # Errors
    /// As `Model::open`, as far as the header goes.
    pub fn open(path: &Path) -> Result<Self, EngineError> {
        Ok(Self::of(&Config::from_gguf(&Gguf::open(path)?)?))
    }

    /// From a model's shape.
    pub fn of(config: &Config) -> Self {
        // What a `config.json` calls by another name than GGUF.
        let architecture = match config.architecture.as_str() {
            "mistral" | "mixtral" => "llama",
            "qwen2_moe" => "qwen2moe",
            "qwen3_moe" => "qwen3moe",
            "gemma3_text" => "gemma3",
            "olmo3" => "olmo2",
            other => other,
        };
        Self {
            architecture: architecture.to_owned(),
            layers: config.num_hidden_layers,
            is_reordered_in_gguf: config.is_reordered_in_gguf(),
            // Hugging Face's own files turn halves; interleaved pairs mean that the rows were reordered.
            rows: match config.rope.style {
                RopeStyle::Interleaved => RowOrder::Gguf,
                RopeStyle::Halves => RowOrder::HuggingFace,
            },
            has_experts: config.experts.is_some(),
            hidden: config.hidden_size,
            q_width: config.q_width(),
            kv_width: config.kv_width(),
            head_dim: config.head_dim,
            intermediate: config.intermediate_size,
        }
    }

    /// A matrix's `[rows, columns]`; `None` where experts stand in its place.
    pub fn shape(&self, module: Module) -> Option<[usize; 2]> {
        let (group, rows) = self.place(module);
        if self.has_experts && matches!(group, Group::GateUp | Group::Down) {
            return None;
        }
        let columns = match group {
            Group::Qkv | Group::GateUp => self.hidden,
            Group::O => self.q_width,
            Group::Down => self.intermediate,
        };
        Some([rows.len(), columns])
    }

    /// Names of the matrices that can be adapted, for messages.
    pub fn modules(&self) -> String {
        let names = Module::TABLE.iter().filter(|row| self.shape(row.0).is_some()).map(|row| row.0.short());
        names.collect::<Vec<_>>().join(", ")
    }

    /// A matrix's rows among those of its group.
    pub fn place(&self, module: Module) -> (Group, Range<usize>) {
        let (q, kv, wide) = (self.q_width, self.kv_width, self.intermediate);
        match module {
            Module::Q => (Group::Qkv, 0..q),
            Module::K => (Group::Qkv, q..q + kv),
            Module::V => (Group::Qkv, q + kv..q + 2 * kv),
            Module::Qkv => (Group::Qkv, 0..q + 2 * kv),
            Module::O => (Group::O, 0..self.hidden),
            Module::Gate => (Group::GateUp, 0..wide),
            Module::Up => (Group::GateUp, wide..2 * wide),
            Module::GateUp => (Group::GateUp, 0..2 * wide),
            Module::Down => (Group::Down, 0..self.hidden),
        }
    }

    /// Reorders the rows of `b` (`rows × r`; a matrix of the model with `r` columns too) that belong to queries and keys, head by head.
    pub(in crate::engine) fn reorder(&self, module: Module, b: &mut [f32], r: usize, to: RowOrder) {
        let turning = match module {
            Module::Q | Module::K => b.len(),
            Module::Qkv => (self.q_width + self.kv_width) * r,
            _ => return,
        };
        let half = self.head_dim / 2;
        for head in b[..turning].chunks_exact_mut(self.head_dim * r) {
            let old = head.to_vec();
            for j in 0..half {
                for side in 0..2 {
                    let [apart, together] = [side * half + j, 2 * j + side];
                    let (from, into) = match to {
                        RowOrder::Gguf => (apart, together),
                        RowOrder::HuggingFace => (together, apart),
                    };
                    head[into * r..(into + 1) * r].copy_from_slice(&old[from * r..(from + 1) * r]);
                }
            }
        }
    }
}
