//! Memory that a model needs, counted from its header before any of it is asked for.

use serde::Serialize;

use crate::engine::gguf::GgmlType;

/// What decides the size of a cache.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Shape {
    /// Floats of keys and values together that one token takes in all layers.
    pub kv_floats: u64,
    /// Tokens that the model reads at most, by its own word.
    pub context: u64,
}

/// Memory at a context, in bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Memory {
    /// Weights as osai holds them.
    pub weights: u64,
    /// Tokens for which the cache is counted.
    pub context: u64,
    /// Keys and values of that many tokens, as f32. Layers that look back through a window need less.
    pub cache: u64,
    /// Both.
    pub total: u64,
}

impl Memory {
    /// Counts; a product that does not fit is as much as can be said.
    pub fn new(weights: u64, shape: &Shape, context: Option<u64>) -> Self {
        let context = context.unwrap_or(shape.context);
        let cache = shape.kv_floats.saturating_mul(4).saturating_mul(context);
        Self { weights, context, cache, total: weights.saturating_add(cache) }
    }
}

/// Bytes that a tensor takes once loaded: matrices as they are in the file, vectors (norms, biases) as f32.
pub fn held_bytes(ggml_type: Option<GgmlType>, shape: &[usize], file_bytes: u64) -> u64 {
    let numbers: u64 = shape.iter().map(|d| *d as u64).product();
    match ggml_type {
        _ if shape.len() < 2 => numbers.saturating_mul(4),
        // There is no kernel for what nobody stores weights in.
        Some(GgmlType::Q8_1 | GgmlType::Q8_K) => numbers.saturating_mul(4),
        _ => file_bytes,
    }
}
