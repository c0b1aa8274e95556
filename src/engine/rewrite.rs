//! A GGUF file whose weights are computed from others', written tensor by tensor: what merging adapters and merging
//! models share. No tensor is ever whole in memory.

use std::ops::{ControlFlow, Range};
use std::path::Path;
use std::thread;

use super::EngineError;
use super::gguf::write::{Output, Writer};
use super::gguf::{Gguf, TensorInfo};
use super::quantize::{self, Changed, Choice, Progress, Recipe, Report, code, decode};

/// Weights that are computed at once.
const SLAB: usize = 1 << 20;

/// Computes some rows of a tensor (of whatever has the width of its last dimension), in f32.
pub type Rows<'a> = Box<dyn Fn(Range<usize>) -> Result<Vec<f32>, EngineError> + Sync + 'a>;

/// What to write.
pub struct Rewrite<'a> {
    /// Keys of the new file.
    pub writer: Writer,
    /// Its tensors with their types.
    pub choices: Vec<Choice>,
    /// The new weights of a tensor; `None` leaves it as it is in `file`.
    pub weights: &'a dyn Fn(&TensorInfo) -> Result<Option<Rows<'a>>, EngineError>,
    /// Threads, 1 or more.
    pub threads: usize,
}

/// The file's tensors in its order, each with the type that a recipe gives it, or with its own.
pub fn choices(file: &Gguf, recipe: Option<Recipe>) -> Vec<Choice> {
    if let Some(recipe) = recipe {
        return quantize::choose(file, recipe);
    }
    let mut tensors: Vec<TensorInfo> = file.tensors().cloned().collect();
    tensors.sort_by_key(|tensor| tensor.bytes.start);
    let same = |tensor: TensorInfo| Choice { ggml_type: tensor.ggml_type, wanted: None, tensor };
    tensors.into_iter().map(same).collect()
}

/// The keys of a file that goes on under another name and with other weights.
pub fn keys(file: &Gguf, recipe: Option<Recipe>) -> Writer {
    let mut writer = Writer::with_keys_of(file);
    for key in ["split.no", "split.count", "split.tensors.count"] {
        writer.remove(key);
    }
    if let Some(recipe) = recipe {
        writer.set("general.quantization_version", 2_u32);
        writer.set("general.file_type", recipe.file_type);
    }
    writer
}

/// Writes the file, which appears at `path` whole or not at all; `None` when `each` said stop. The report's errors are
/// what rounding to each tensor's type cost, against the computed weights.
///
/// # Errors
/// [`EngineError::BadFile`] for weights that the type cannot hold, [`EngineError::Unwritable`], and what `weights`
/// says.
pub fn rewrite(
    file: &Gguf,
    what: Rewrite<'_>,
    path: &Path,
    each: &mut dyn FnMut(Progress<'_>) -> ControlFlow<()>,
) -> Result<Option<Report>, EngineError> {
    let Rewrite { mut writer, choices, weights, threads } = what;
    let mut sizes = Vec::with_capacity(choices.len());
    for choice in &choices {
        sizes.push(writer.tensor(&choice.tensor.name, &choice.tensor.shape, choice.ggml_type)?);
    }
    let count = |tensor: &TensorInfo| tensor.shape.iter().product::<usize>();
    let total = choices.iter().map(|choice| count(&choice.tensor) as u64).sum();
    let mut output = writer.create(path)?;
    let (mut done, mut tensors) = (0, Vec::with_capacity(choices.len()));
    for (choice, size) in choices.iter().zip(sizes) {
        let tensor = &choice.tensor;
        let mut tell = |part: usize| each(Progress { tensor: &tensor.name, done: done + part as u64, total });
        if tell(0).is_break() {
            return Ok(None);
        }
        let unchanged = || -> Rows<'_> {
            Box::new(|rows| {
                let (bytes, own) =
                    (file.bytes(tensor), tensor.shape[..tensor.shape.len() - 1].iter().product::<usize>());
                let row = bytes.len() / own;
                let read = decode(&bytes[rows.start * row..rows.end * row], tensor.ggml_type);
                read.map_err(|why| file.bad(format!("the tensor `{}` cannot be read: {why}", tensor.name)))
            })
        };
        let computed = weights(tensor)?;
        let errors = match computed {
            None if choice.ggml_type == tensor.ggml_type => {
                output.put(&tensor.name, file.bytes(tensor))?;
                Some((0.0, 0.0))
            }
            computed => convert(file, choice, &computed.unwrap_or_else(unchanged), threads, &mut output, &mut tell)?,
        };
        let Some((rms_error, rms)) = errors else { return Ok(None) };
        done += count(tensor) as u64;
        tensors.push(Changed {
            name: tensor.name.clone(),
            types: (tensor.ggml_type, choice.ggml_type),
            bytes: (tensor.bytes.len() as u64, size as u64),
            rms_error,
            rms,
            wanted: choice.wanted,
        });
    }
    Ok(Some(Report { tensors, bytes: (file.file_bytes(), output.finish()?) }))
}

/// Computes and writes a tensor; returns the rounding error and the size of its weights, both root mean square.
fn convert(
    file: &Gguf,
    choice: &Choice,
    weights: &Rows<'_>,
    threads: usize,
    output: &mut Output,
    each: &mut dyn FnMut(usize) -> ControlFlow<()>,
) -> Result<Option<(f64, f64)>, EngineError> {
    let name = &choice.tensor.name;
    let columns = choice.tensor.shape[choice.tensor.shape.len() - 1];
    let rows = choice.tensor.shape[..choice.tensor.shape.len() - 1].iter().product::<usize>();
    let share = (SLAB / columns).clamp(1, rows);
    let mut sums = (0.0, 0.0);
    for first in (0..rows).step_by(share * threads.max(1)) {
        let part = |index: usize| {
            let start = first + index * share;
            let x = weights(start..(start + share).min(rows))?;
            let coded = code(&x, choice.ggml_type, columns);
            coded.map_err(|why| {
                file.bad(format!("the new weights of `{name}` cannot become {}: {why}", choice.ggml_type.name()))
            })
        };
        let parts: Vec<Result<_, EngineError>> = thread::scope(|scope| {
            let starts = (0..threads.max(1)).filter(|index| first + index * share < rows);
            let helpers: Vec<_> = starts.map(|index| scope.spawn(move || part(index))).collect();
            let panicked = |_| EngineError::Internal { what: "a thread that computes weights panicked".into() };
            helpers.into_iter().map(|helper| helper.join().map_err(panicked)?).collect()
        });
        for part in parts {
            let (codes, errors) = part?;
            output.put(name, &codes)?;
            for (error, size) in errors {
                sums.0 += error;
                sums.1 += size;
            }
        }
        if each((first + share * threads.max(1)).min(rows) * columns).is_break() {
            return Ok(None);
        }
    }
    let mean = |sum: f64| (sum / (rows * columns) as f64).sqrt();
    Ok(Some((mean(sums.0), mean(sums.1))))
}
