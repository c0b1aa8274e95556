//! GGUF files: a strict reading of the header before any byte is trusted, over a memory map.
//!
//! What is refused here never reaches candle, whose own reader divides by a zero alignment, accepts shapes whose
//! product overflows and turns a 64 MB header into 2 GB. Arrays stay in the map until someone asks for them, so a
//! header costs no more memory than its keys. [`Header`] reads and lists the faults, [`Gguf`] is a file without any.
//! Source of the format: ggml's `docs/gguf.md`.

mod header;
#[cfg(test)]
mod tests;
mod types;
pub mod write;

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use memmap2::Mmap;

use super::kernels::Source;
use super::{EngineError, file};
pub use header::{Entry, Header, Pair};
pub use types::{GgmlType, StoredType};

/// A value of the metadata. Arrays are ranges of the file.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Any unsigned or signed integer.
    Int(i128),
    /// 32 or 64 bit.
    Float(f64),
    /// Boolean.
    Bool(bool),
    /// Text.
    Text(String),
    /// An array: type number of its items, how many, where their bytes are.
    Array {
        /// GGUF value type of the items.
        item: u32,
        /// Number of items.
        len: usize,
        /// Bytes of the items in the file.
        bytes: Range<usize>,
    },
}

/// A tensor of the file.
#[derive(Clone, Debug, PartialEq)]
pub struct TensorInfo {
    /// Name, as in the file.
    pub name: String,
    /// Dimensions, **outermost first** (`[rows, columns]`; GGUF stores them the other way round).
    pub shape: Vec<usize>,
    /// How it is stored.
    pub ggml_type: GgmlType,
    /// Its bytes in the file.
    pub bytes: Range<usize>,
}

/// An open GGUF file whose header has been checked.
#[derive(Debug)]
pub struct Gguf {
    /// The file.
    pub path: PathBuf,
    map: Arc<Mmap>,
    metadata: BTreeMap<String, Value>,
    tensors: BTreeMap<String, TensorInfo>,
}

impl Gguf {
    /// Maps a file and checks its whole header: counts, lengths, names, types, shapes, offsets, overlaps, gaps.
    ///
    /// # Errors
    /// [`EngineError::Unreadable`], [`EngineError::BadFile`] with the byte offset, [`EngineError::Unsupported`] with the
    /// tensor whose type is known but not read.
    pub fn open(path: &Path) -> Result<Self, EngineError> {
        let map = Arc::new(file::map(path)?);
        let Header { metadata, tensors, faults, .. } = Header::read(&map);
        faults.refuse(path)?;
        let metadata = metadata.into_iter().map(|(key, pair)| (key, pair.value)).collect();
        let tensors: Result<_, EngineError> = tensors.into_iter().map(tensor_info).collect();
        Ok(Self { path: path.into(), map, metadata, tensors: tensors? })
    }

    /// Bytes of the file.
    pub fn file_bytes(&self) -> u64 {
        self.map.len() as u64
    }

    /// A value by key.
    pub fn value(&self, key: &str) -> Option<&Value> {
        self.metadata.get(key)
    }

    /// All keys, sorted.
    pub fn keys(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.metadata.iter().map(|(k, v)| (k.as_str(), v))
    }

    /// A text by key.
    pub fn text(&self, key: &str) -> Option<&str> {
        match self.metadata.get(key) {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// A non-negative integer by key.
    pub fn uint(&self, key: &str) -> Option<u64> {
        match self.metadata.get(key) {
            Some(Value::Int(n)) => u64::try_from(*n).ok(),
            _ => None,
        }
    }

    /// A number by key.
    pub fn float(&self, key: &str) -> Option<f64> {
        match self.metadata.get(key) {
            Some(Value::Float(x)) => Some(*x),
            Some(Value::Int(n)) => Some(*n as f64),
            _ => None,
        }
    }

    /// A boolean by key.
    pub fn bool(&self, key: &str) -> Option<bool> {
        match self.metadata.get(key) {
            Some(Value::Bool(b)) => Some(*b),
            _ => None,
        }
    }

    /// An array of texts by key.
    pub fn texts(&self, key: &str) -> Option<Vec<String>> {
        let Some(Value::Array { item: 8, len, bytes }) = self.metadata.get(key) else { return None };
        let mut out = Vec::with_capacity(*len);
        let mut rest = &self.map[bytes.clone()];
        for _ in 0..*len {
            let (size, tail) = rest.split_first_chunk::<8>()?;
            let (text, tail) = tail.split_at_checked(usize::try_from(u64::from_le_bytes(*size)).ok()?)?;
            out.push(String::from_utf8_lossy(text).into_owned());
            rest = tail;
        }
        Some(out)
    }

    /// An array of 32-bit numbers by key, through `f`.
    pub fn words<T>(&self, key: &str, f: impl Fn([u8; 4]) -> T) -> Option<Vec<T>> {
        let Some(Value::Array { item: 4..=6, bytes, .. }) = self.metadata.get(key) else { return None };
        Some(self.map[bytes.clone()].as_chunks::<4>().0.iter().map(|w| f(*w)).collect())
    }

    /// An array of booleans by key.
    pub fn bools(&self, key: &str) -> Option<Vec<bool>> {
        let Some(Value::Array { item: 7, bytes, .. }) = self.metadata.get(key) else { return None };
        Some(self.map[bytes.clone()].iter().map(|b| *b != 0).collect())
    }

    /// An array of bytes by key.
    pub fn octets(&self, key: &str) -> Option<&[u8]> {
        let Some(Value::Array { item: 0 | 1, bytes, .. }) = self.metadata.get(key) else { return None };
        Some(&self.map[bytes.clone()])
    }

    /// A tensor by name.
    pub fn tensor(&self, name: &str) -> Option<&TensorInfo> {
        self.tensors.get(name)
    }

    /// All tensors, sorted by name.
    pub fn tensors(&self) -> impl Iterator<Item = &TensorInfo> {
        self.tensors.values()
    }

    /// A tensor's bytes, as stored.
    pub fn bytes(&self, tensor: &TensorInfo) -> &[u8] {
        &self.map[tensor.bytes.clone()]
    }

    /// Takes the header out of memory once it has been read; what asks for it again reads the file again.
    pub fn let_header_go(&self) {
        let start = self.tensors.values().map(|tensor| tensor.bytes.start).min().unwrap_or(0);
        Source::new(&self.map, &self.map[..start]).let_go(0..start);
    }

    /// The mapped file.
    pub fn map(&self) -> &Arc<Mmap> {
        &self.map
    }

    /// An error about this file.
    pub fn bad(&self, why: impl Into<String>) -> EngineError {
        EngineError::BadFile { path: self.path.clone(), why: why.into() }
    }
}

fn tensor_info(entry: Entry) -> Result<(String, TensorInfo), EngineError> {
    let Entry { name, shape, stored, bytes, .. } = entry;
    let Some(ggml_type) = stored.ggml_type else {
        return Err(EngineError::Unsupported {
            what: format!("tensor `{name}` has weights of type {}, which", stored.name),
            supported: GgmlType::names(),
        });
    };
    Ok((name.clone(), TensorInfo { name, shape, ggml_type, bytes }))
}
