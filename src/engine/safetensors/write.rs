//! Writing a safetensors file. The same tensors and texts give the same bytes.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;

use serde_json::json;

use crate::engine::EngineError;

/// A tensor to be written.
#[derive(Clone, Debug)]
pub struct TensorToWrite<'a> {
    /// Name in the file.
    pub name: String,
    /// `F32`, `F16`, `BF16`, ….
    pub dtype: &'static super::Dtype,
    /// Dimensions, outermost first.
    pub shape: Vec<usize>,
    /// Its numbers, little-endian, row by row.
    pub bytes: Cow<'a, [u8]>,
}

/// Writes tensors and texts to a file: under a temporary name, onto the disk, then renamed, so that `path` is whole or
/// as it was.
///
/// Tensors stand in the order of their names after the widest types, so that each begins at a multiple of its own
/// width (as the `safetensors` library does).
///
/// # Errors
/// [`EngineError::BadSetting`] for a tensor whose bytes do not fit its shape or whose name is there twice,
/// [`EngineError::Unwritable`] with the operating system's words.
pub fn write(
    path: &Path,
    mut tensors: Vec<TensorToWrite<'_>>,
    metadata: &BTreeMap<String, String>,
) -> Result<(), EngineError> {
    tensors.sort_by(|a, b| b.dtype.bits.cmp(&a.dtype.bits).then_with(|| a.name.cmp(&b.name)));
    let header = header(&tensors, metadata).map_err(|what| EngineError::BadSetting { what })?;
    let unwritable = |e: io::Error| EngineError::Unwritable { path: path.into(), why: e.to_string() };
    let name = path.file_name().ok_or_else(|| unwritable(io::ErrorKind::IsADirectory.into()))?;
    let part = path.with_file_name(format!(".{}.part", name.to_string_lossy()));
    let written = (|| {
        let mut out = BufWriter::new(File::create(&part)?);
        out.write_all(&(header.len() as u64).to_le_bytes())?;
        out.write_all(&header)?;
        for tensor in &tensors {
            out.write_all(&tensor.bytes)?;
        }
        out.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
        fs::rename(&part, path)
    })();
    if written.is_err() {
        // Best effort: the fault that counts is the one of writing.
        let _ = fs::remove_file(&part);
    }
    written.map_err(unwritable)
}

/// The JSON, padded to a multiple of eight bytes.
fn header(tensors: &[TensorToWrite<'_>], metadata: &BTreeMap<String, String>) -> Result<Vec<u8>, String> {
    // Byte order of the names, and `__metadata__` where it falls: a reader takes them in any order.
    let mut object = BTreeMap::new();
    if !metadata.is_empty() {
        object.insert("__metadata__", json!(metadata));
    }
    let mut offset = 0;
    for tensor in tensors {
        let TensorToWrite { name, dtype, shape, bytes } = tensor;
        let bits = shape.iter().try_fold(dtype.bits, |bits, d| bits.checked_mul(*d));
        if bits.is_none_or(|bits| bits.div_ceil(8) != bytes.len() || bits % 8 != 0) {
            return Err(format!("the tensor `{name}` is {shape:?} of {} but has {} bytes", dtype.name, bytes.len()));
        }
        let end = offset + bytes.len();
        let entry = json!({ "dtype": dtype.name, "shape": shape, "data_offsets": [offset, end] });
        if object.insert(name, entry).is_some() {
            return Err(format!("the tensor `{name}` is there twice"));
        }
        offset = end;
    }
    let mut json = serde_json::to_vec(&object).expect("maps with text keys are JSON");
    json.resize(json.len().next_multiple_of(8), b' ');
    Ok(json)
}
