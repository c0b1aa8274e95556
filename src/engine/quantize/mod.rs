//! Quantising: a file's weights in fewer bits, in a new file.
//!
//! [`quantize`] reads a GGUF file, writes another and reports what each tensor became and how far its weights moved.
//! The arithmetic is fixed and takes one row at a time, so the same file and recipe give the same bytes on every
//! machine and with any number of threads; they are the bytes that llama.cpp's quantiser writes (`tests/quantize.rs` holds them to that).

mod blocks;
mod k;
mod recipe;

use std::ops::ControlFlow;
use std::path::Path;
use std::thread;

use candle_core::Device;
use candle_core::quantized::{GgmlDType, ggml_file};

use super::EngineError;
use super::gguf::write::{Output, Writer};
use super::gguf::{GgmlType, Gguf, TensorInfo};
pub use recipe::{Choice, RECIPES, Recipe, choose};

/// Weights that are taken into memory at once.
const SLAB: usize = 1 << 22;

/// How to quantise.
#[derive(Clone, Copy, Debug)]
pub struct Quantizing {
    /// Which types.
    pub recipe: Recipe,
    /// Whether weights that are quantised already may be quantised again, which loses more than once from the original.
    pub requantize: bool,
    /// Threads, 1 or more.
    pub threads: usize,
}

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress<'a> {
    /// The tensor at hand.
    pub tensor: &'a str,
    /// Weights done.
    pub done: u64,
    /// Weights of the file.
    pub total: u64,
}

/// What became of a tensor.
#[derive(Clone, Debug, PartialEq)]
pub struct Changed {
    /// Its name.
    pub name: String,
    /// Type before and after.
    pub types: (GgmlType, GgmlType),
    /// Bytes before and after.
    pub bytes: (u64, u64),
    /// Root of the mean squared difference between weights before and after; 0 for a tensor that was copied.
    pub rms_error: f64,
    /// Root of the mean square of the weights before; 0 for a tensor that was copied.
    pub rms: f64,
    /// The type that the recipe asks for, where the width did not allow it.
    pub wanted: Option<GgmlType>,
}

/// What became of a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// Every tensor, in the new file's order.
    pub tensors: Vec<Changed>,
    /// Bytes of the file before and after.
    pub bytes: (u64, u64),
}

/// Quantises a file into a new one at `path`, which appears whole or not at all; `None` when `each` said stop.
///
/// # Errors
/// [`EngineError::BadSetting`] for weights that are quantised already, unless that is allowed;
/// [`EngineError::BadFile`] for weights that no type can hold; [`EngineError::Unwritable`].
pub fn quantize(
    file: &Gguf,
    how: Quantizing,
    path: &Path,
    each: &mut dyn FnMut(Progress<'_>) -> ControlFlow<()>,
) -> Result<Option<Report>, EngineError> {
    let choices = choose(file, how.recipe);
    let again = |c: &&Choice| c.tensor.ggml_type.block_len() > 1 && c.ggml_type != c.tensor.ggml_type;
    if let Some(choice) = choices.iter().find(again).filter(|_| !how.requantize) {
        return Err(EngineError::BadSetting {
            what: format!(
                "`{}` is quantised already (`{}` is {}); quantise the F16, BF16 or F32 file it came from, or say that \
                 quantising twice is meant (--again)",
                file.path.display(),
                choice.tensor.name,
                choice.tensor.ggml_type.name()
            ),
        });
    }
    let mut writer = Writer::with_keys_of(file);
    // Set again, these stand last, as in llama.cpp's files.
    for key in ["general.quantization_version", "general.file_type", "split.no", "split.count", "split.tensors.count"] {
        writer.remove(key);
    }
    writer.set("general.quantization_version", 2_u32);
    writer.set("general.file_type", how.recipe.file_type);
    let mut sizes = Vec::with_capacity(choices.len());
    for choice in &choices {
        sizes.push(writer.tensor(&choice.tensor.name, &choice.tensor.shape, choice.ggml_type)?);
    }
    let total = choices.iter().map(|c| weights(&c.tensor) as u64).sum();
    let mut output = writer.create(path)?;
    let (mut done, mut tensors) = (0, Vec::with_capacity(choices.len()));
    for (Choice { tensor, ggml_type, wanted }, size) in choices.iter().zip(sizes) {
        if each(Progress { tensor: &tensor.name, done, total }).is_break() {
            return Ok(None);
        }
        let mut tell = |part: usize| each(Progress { tensor: &tensor.name, done: done + part as u64, total });
        let Some((rms_error, rms)) = convert(file, tensor, *ggml_type, how.threads, &mut output, &mut tell)? else {
            return Ok(None);
        };
        done += weights(tensor) as u64;
        tensors.push(Changed {
            name: tensor.name.clone(),
            types: (tensor.ggml_type, *ggml_type),
            bytes: (tensor.bytes.len() as u64, size as u64),
            rms_error,
            rms,
            wanted: *wanted,
        });
    }
    Ok(Some(Report { tensors, bytes: (file.file_bytes(), output.finish()?) }))
}

fn weights(tensor: &TensorInfo) -> usize {
    tensor.shape.iter().product()
}

/// Writes a tensor in its new type; returns the error and the size of its weights, both root mean square.
fn convert(
    file: &Gguf,
    tensor: &TensorInfo,
    to: GgmlType,
    threads: usize,
    output: &mut Output,
    each: &mut dyn FnMut(usize) -> ControlFlow<()>,
) -> Result<Option<(f64, f64)>, EngineError> {
    let (name, from, bytes) = (&tensor.name, tensor.ggml_type, file.bytes(tensor));
    if from == to {
        output.put(name, bytes)?;
        return Ok(Some((0.0, 0.0)));
    }
    let columns = tensor.shape[tensor.shape.len() - 1];
    let rows = weights(tensor) / columns;
    let row_bytes = bytes.len() / rows;
    let slab = (SLAB / columns).clamp(1, rows);
    let mut sums = (0.0, 0.0);
    for first in (0..rows).step_by(slab) {
        let slab = &bytes[first * row_bytes..(first + slab).min(rows) * row_bytes];
        let share = (slab.len() / row_bytes).div_ceil(threads.max(1)) * row_bytes;
        let parts: Vec<_> = thread::scope(|scope| {
            let helpers: Vec<_> =
                slab.chunks(share).map(|part| scope.spawn(move || recode(part, from, to, columns))).collect();
            helpers.into_iter().map(|helper| helper.join().map_err(|_| "a thread of the quantiser panicked")).collect()
        });
        for part in parts {
            let (codes, errors) = part
                .map_err(|what| EngineError::Internal { what: what.into() })?
                .map_err(|why| file.bad(format!("the tensor `{name}` cannot become {}: {why}", to.name())))?;
            output.put(name, &codes)?;
            for (error, size) in errors {
                sums.0 += error;
                sums.1 += size;
            }
        }
        if each((first * columns + slab.len() / row_bytes * columns).min(weights(tensor))).is_break() {
            return Ok(None);
        }
    }
    let mean = |sum: f64| (sum / weights(tensor) as f64).sqrt();
    Ok(Some((mean(sums.0), mean(sums.1))))
}

/// Rows in another type: their bytes, and of each row the sum of squared differences and of squares.
pub(super) type Recoded = (Vec<u8>, Vec<(f64, f64)>);

fn recode(bytes: &[u8], from: GgmlType, to: GgmlType, columns: usize) -> Result<Recoded, String> {
    code(&decode(bytes, from)?, to, columns)
}

/// Weights in a type, rows of `columns`.
///
/// # Errors
/// A weight that is no number, or that the type cannot hold.
pub(super) fn code(before: &[f32], to: GgmlType, columns: usize) -> Result<Recoded, String> {
    if let Some(at) = before.iter().position(|x| !x.is_finite()) {
        return Err(format!("one of its weights is {}", before[at]));
    }
    let mut codes = Vec::with_capacity(before.len() / to.block_len() * to.block_bytes());
    encode(before, to, &mut codes)?;
    let after = decode(&codes, to)?;
    let mut errors = Vec::with_capacity(before.len() / columns);
    for (x, y) in before.chunks_exact(columns).zip(after.chunks_exact(columns)) {
        let error: f64 = x.iter().zip(y).map(|(x, y)| (f64::from(*x) - f64::from(*y)).powi(2)).sum();
        if !error.is_finite() {
            return Err("its weights are too large for the type's 16-bit scales".into());
        }
        errors.push((error, x.iter().map(|x| f64::from(*x).powi(2)).sum()));
    }
    Ok((codes, errors))
}

/// Appends weights in a type's blocks; `x` is whole blocks.
///
/// # Errors
/// The type is none that files hold (`Q8_1` and `Q8_K` are for activations).
pub fn encode(x: &[f32], to: GgmlType, out: &mut Vec<u8>) -> Result<(), String> {
    let small = x.as_chunks::<32>().0;
    let large = x.as_chunks::<{ k::SUPER }>().0;
    match to {
        GgmlType::F32 => blocks::to_f32(x, out),
        GgmlType::F16 => blocks::to_f16(x, out),
        GgmlType::BF16 => blocks::to_bf16(x, out),
        GgmlType::Q4_0 => small.iter().for_each(|block| blocks::symmetric(block, 8, out)),
        GgmlType::Q5_0 => small.iter().for_each(|block| blocks::symmetric(block, 16, out)),
        GgmlType::Q4_1 => small.iter().for_each(|block| blocks::affine(block, 15, out)),
        GgmlType::Q5_1 => small.iter().for_each(|block| blocks::affine(block, 31, out)),
        GgmlType::Q8_0 => small.iter().for_each(|block| blocks::bytes(block, out)),
        GgmlType::Q2_K => large.iter().for_each(|block| k::q2(block, out)),
        GgmlType::Q3_K => large.iter().for_each(|block| k::q3(block, out)),
        GgmlType::Q4_K => large.iter().for_each(|block| k::q4(block, out)),
        GgmlType::Q5_K => large.iter().for_each(|block| k::q5(block, out)),
        GgmlType::Q6_K => large.iter().for_each(|block| k::q6(block, out)),
        GgmlType::Q8_1 | GgmlType::Q8_K => return Err(format!("{} is a type for activations", to.name())),
    }
    Ok(())
}

/// Weights as floats, through candle's dequantisers.
///
/// # Errors
/// In candle's words.
pub fn decode(bytes: &[u8], from: GgmlType) -> Result<Vec<f32>, String> {
    let dtype = match from {
        GgmlType::F32 => return Ok(bytes.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect()),
        GgmlType::F16 => GgmlDType::F16,
        GgmlType::BF16 => GgmlDType::BF16,
        GgmlType::Q4_0 => GgmlDType::Q4_0,
        GgmlType::Q4_1 => GgmlDType::Q4_1,
        GgmlType::Q5_0 => GgmlDType::Q5_0,
        GgmlType::Q5_1 => GgmlDType::Q5_1,
        GgmlType::Q8_0 => GgmlDType::Q8_0,
        GgmlType::Q8_1 => GgmlDType::Q8_1,
        GgmlType::Q2_K => GgmlDType::Q2K,
        GgmlType::Q3_K => GgmlDType::Q3K,
        GgmlType::Q4_K => GgmlDType::Q4K,
        GgmlType::Q5_K => GgmlDType::Q5K,
        GgmlType::Q6_K => GgmlDType::Q6K,
        GgmlType::Q8_K => GgmlDType::Q8K,
    };
    let count = bytes.len() / from.block_bytes() * from.block_len();
    ggml_file::qtensor_from_ggml(dtype, bytes, vec![count], &Device::Cpu)
        .and_then(|tensor| tensor.dequantize(&Device::Cpu)?.to_vec1())
        .map_err(|e| e.to_string())
}
