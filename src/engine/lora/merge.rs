//! Adapters merged into a model's weights, in a new file: `W + scale · B A`, rounded to the weights' type again.

use std::ops::{ControlFlow, Range};
use std::path::Path;

use super::super::EngineError;
use super::super::config::Config;
use super::super::gguf::{Gguf, TensorInfo};
use super::super::quantize::{Progress, Recipe, Report, decode};
use super::super::rewrite::{self, Rewrite, Rows, rewrite};
use super::gguf::target;
use super::{Base, Lora, RowOrder};

/// What is added to some rows of a tensor.
struct Part<'a> {
    /// Rows of the tensor.
    rows: Range<usize>,
    a: &'a [f32],
    b: &'a [f32],
    r: usize,
    factor: f32,
}

/// Writes the model in `file` with adapters, each at a strength, merged into its weights. Tensors that no adapter
/// changes are copied, unless a recipe gives them another type; `None` when `each` said stop.
///
/// The report says what rounding the new weights to their types cost: a quantised model may lose part of a small
/// change, which an attached adapter does not.
///
/// # Errors
/// [`EngineError::BadSetting`] for an adapter that does not fit; else as `quantize`.
pub fn apply_lora(
    file: &Gguf,
    adapters: &[(&Lora, f32)],
    recipe: Option<Recipe>,
    threads: usize,
    path: &Path,
    each: &mut dyn FnMut(Progress<'_>) -> ControlFlow<()>,
) -> Result<Option<Report>, EngineError> {
    let base = Base::of(&Config::from_gguf(file)?);
    let mut loras = Vec::with_capacity(adapters.len());
    for (lora, strength) in adapters {
        if !strength.is_finite() {
            return Err(EngineError::BadSetting { what: format!("an adapter's strength is a number, not {strength}") });
        }
        let lora = lora.in_order(RowOrder::Gguf, &base)?;
        every_pair_has_its_rows(file, &lora, &base)?;
        loras.push((lora, *strength));
    }
    let mut writer = rewrite::keys(file, recipe);
    let own = file.text("general.name").unwrap_or("a model");
    let names: Vec<&str> = loras.iter().map(|(lora, _)| lora.name.as_str()).collect();
    writer.set("general.name", format!("{own} + {}", names.join(" + ")));
    writer.set("general.base_model.count", 1_u32);
    writer.set("general.base_model.0.name", own);
    writer.set("osai.lora.names", names.as_slice());
    writer.set("osai.lora.strengths", loras.iter().map(|(_, strength)| *strength).collect::<Vec<f32>>().as_slice());
    let weights = |tensor: &TensorInfo| Ok(changed(file, tensor, &loras, &base));
    let choices = rewrite::choices(file, recipe);
    rewrite(file, Rewrite { writer, choices, weights: &weights, threads }, path, each)
}

/// Where a pair meets a tensor: rows of the tensor, and the same ones of the pair.
fn meeting(tensor: &TensorInfo, layer: usize, module: super::Module, base: &Base) -> Option<[Range<usize>; 2]> {
    let held = target(&tensor.name, &base.architecture).filter(|held| held.layer == layer)?;
    let ((group, rows), (other, own)) = (base.place(held.module), base.place(module));
    let shared = rows.start.max(own.start)..rows.end.min(own.end);
    (group == other && !shared.is_empty())
        .then(|| [shared.start - rows.start..shared.end - rows.start, shared.start - own.start..shared.end - own.start])
}

/// The checkpoint decides what a model holds; a file that lacks a matrix would lose its change without a word.
fn every_pair_has_its_rows(file: &Gguf, lora: &Lora, base: &Base) -> Result<(), EngineError> {
    for (target, pair) in &lora.pairs {
        let met = file.tensors().filter_map(|tensor| meeting(tensor, target.layer, target.module, base));
        if met.map(|[rows, _]| rows.len()).sum::<usize>() != pair.rows() {
            return Err(file.bad(format!("it has no whole tensor for `{}`, which the adapter changes", target.hf())));
        }
    }
    Ok(())
}

fn changed<'a>(file: &'a Gguf, tensor: &TensorInfo, loras: &'a [(Lora, f32)], base: &Base) -> Option<Rows<'a>> {
    let mut parts = Vec::new();
    for (lora, strength) in loras {
        for (target, pair) in &lora.pairs {
            if let Some([rows, own]) = meeting(tensor, target.layer, target.module, base) {
                let b = &pair.b[own.start * pair.r..own.end * pair.r];
                parts.push(Part { rows, a: &pair.a, b, r: pair.r, factor: lora.scale(pair) * strength });
            }
        }
    }
    if parts.is_empty() {
        return None;
    }
    let tensor = tensor.clone();
    Some(Box::new(move |rows| {
        let (bytes, columns) = (file.bytes(&tensor), tensor.shape[1]);
        let row = bytes.len() / tensor.shape[0];
        let mut weights = decode(&bytes[rows.start * row..rows.end * row], tensor.ggml_type)
            .map_err(|why| file.bad(format!("the tensor `{}` cannot be read: {why}", tensor.name)))?;
        for (index, weights) in rows.clone().zip(weights.chunks_exact_mut(columns)) {
            for part in parts.iter().filter(|part| part.rows.contains(&index)) {
                let b = &part.b[(index - part.rows.start) * part.r..][..part.r];
                for (b, a) in b.iter().zip(part.a.chunks_exact(columns)) {
                    let factor = part.factor * b;
                    weights.iter_mut().zip(a).for_each(|(weight, a)| *weight += factor * a);
                }
            }
        }
        Ok(weights)
    }))
}
