//! GGUF files: a strict reading of the header before any byte is trusted, over a memory map.
//!
//! What is refused here never reaches candle, whose own reader divides by a zero alignment, accepts shapes whose
//! product overflows and turns a 64 MB header into 2 GB. Arrays stay in the map until someone asks for them, so a
//! header costs no more memory than its keys. Source of the format: ggml's `docs/gguf.md`.

use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};

use memmap2::Mmap;

use super::EngineError;

/// Bytes of keys and values at most (a vocabulary of 262,144 tokens with merges takes about 10 MiB).
const MAX_METADATA_BYTES: usize = 16 << 20;
/// Items of one array at most.
const MAX_ARRAY_ITEMS: u64 = 1 << 20;
const MAX_KEYS: u64 = 1 << 12;
const MAX_TENSORS: u64 = 1 << 17;
const MAX_NAME_BYTES: usize = 256;

/// How the numbers of a tensor are stored, as ggml names and numbers them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(non_camel_case_types, missing_docs)] // ggml's own names
pub enum GgmlType {
    F32,
    F16,
    Q4_0,
    Q4_1,
    Q5_0,
    Q5_1,
    Q8_0,
    Q8_1,
    Q2_K,
    Q3_K,
    Q4_K,
    Q5_K,
    Q6_K,
    Q8_K,
    BF16,
}

impl GgmlType {
    /// ggml's number, name, weights in a block, bytes of a block (`ggml-common.h`).
    const TABLE: [(Self, u32, &'static str, usize, usize); 15] = [
        (Self::F32, 0, "F32", 1, 4),
        (Self::F16, 1, "F16", 1, 2),
        (Self::Q4_0, 2, "Q4_0", 32, 18),
        (Self::Q4_1, 3, "Q4_1", 32, 20),
        (Self::Q5_0, 6, "Q5_0", 32, 22),
        (Self::Q5_1, 7, "Q5_1", 32, 24),
        (Self::Q8_0, 8, "Q8_0", 32, 34),
        (Self::Q8_1, 9, "Q8_1", 32, 36),
        (Self::Q2_K, 10, "Q2_K", 256, 84),
        (Self::Q3_K, 11, "Q3_K", 256, 110),
        (Self::Q4_K, 12, "Q4_K", 256, 144),
        (Self::Q5_K, 13, "Q5_K", 256, 176),
        (Self::Q6_K, 14, "Q6_K", 256, 210),
        (Self::Q8_K, 15, "Q8_K", 256, 292),
        (Self::BF16, 30, "BF16", 1, 2),
    ];

    fn row(self) -> &'static (Self, u32, &'static str, usize, usize) {
        Self::TABLE.iter().find(|row| row.0 == self).expect("every type is in the table")
    }

    /// The type with ggml's number.
    pub fn from_number(number: u32) -> Option<Self> {
        Self::TABLE.iter().find(|row| row.1 == number).map(|row| row.0)
    }

    /// `Q4_1`.
    pub fn name(self) -> &'static str {
        self.row().2
    }

    /// Weights in a block.
    pub fn block_len(self) -> usize {
        self.row().3
    }

    /// Bytes of a block.
    pub fn block_bytes(self) -> usize {
        self.row().4
    }

    /// All names, for messages.
    pub fn names() -> String {
        Self::TABLE.map(|row| row.2).join(", ")
    }
}

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
    map: Mmap,
    metadata: BTreeMap<String, Value>,
    tensors: BTreeMap<String, TensorInfo>,
}

impl Gguf {
    /// Maps a file and checks its whole header: counts, lengths, names, types, shapes, offsets, overlaps.
    ///
    /// # Errors
    /// [`EngineError::Unreadable`], [`EngineError::BadFile`] with the byte offset, [`EngineError::Unsupported`].
    pub fn open(path: &Path) -> Result<Self, EngineError> {
        let unreadable = |e: std::io::Error| EngineError::Unreadable { path: path.into(), why: e.to_string() };
        let file = File::open(path).map_err(unreadable)?;
        if !file.metadata().map_err(unreadable)?.is_file() {
            return Err(EngineError::Unreadable { path: path.into(), why: "it is no regular file".into() });
        }
        // SAFETY: the map is read only. A file that is shortened while it is open raises a bus error; a model file
        // is written once under a temporary name and renamed (`models::add`), never changed in place.
        let map = unsafe { Mmap::map(&file) }.map_err(unreadable)?;
        let header = Reader { path, bytes: &map, at: 0 }.header()?;
        Ok(Self { path: path.into(), map, metadata: header.0, tensors: header.1 })
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

    /// An error about this file.
    pub fn bad(&self, why: impl Into<String>) -> EngineError {
        EngineError::BadFile { path: self.path.clone(), why: why.into() }
    }
}

struct Reader<'a> {
    path: &'a Path,
    bytes: &'a [u8],
    at: usize,
}

type Header = (BTreeMap<String, Value>, BTreeMap<String, TensorInfo>);

impl Reader<'_> {
    fn bad(&self, why: impl std::fmt::Display) -> EngineError {
        EngineError::BadFile { path: self.path.into(), why: format!("{why} (at byte {})", self.at) }
    }

    fn header(mut self) -> Result<Header, EngineError> {
        if let Some(kind) = other_kind(self.bytes) {
            return Err(EngineError::BadFile { path: self.path.into(), why: format!("it is {kind}") });
        }
        self.at = 4;
        let version = self.u32()?;
        if version.swap_bytes() == 2 || version.swap_bytes() == 3 {
            return Err(self.bad("it is a big-endian GGUF file; osai reads little-endian ones"));
        }
        if !(2..=3).contains(&version) {
            return Err(self.bad(format_args!("GGUF version {version}; osai reads versions 2 and 3")));
        }
        let tensor_count = self.u64()?;
        let key_count = self.u64()?;
        if key_count > MAX_KEYS {
            return Err(self.bad(format_args!("{key_count} keys; at most {MAX_KEYS} are accepted")));
        }
        if tensor_count > MAX_TENSORS {
            return Err(self.bad(format_args!("{tensor_count} tensors; at most {MAX_TENSORS} are accepted")));
        }
        let mut metadata = BTreeMap::new();
        for _ in 0..key_count {
            let key = self.name("key")?;
            let kind = self.u32()?;
            let value = self.value(kind)?;
            if self.at > MAX_METADATA_BYTES {
                return Err(self.bad(format_args!("more than {} MiB of metadata", MAX_METADATA_BYTES >> 20)));
            }
            if metadata.insert(key.clone(), value).is_some() {
                return Err(self.bad(format_args!("the key `{key}` is there twice")));
            }
        }
        let alignment = match metadata.get("general.alignment") {
            None => 32,
            Some(Value::Int(n)) if (8..=1 << 16).contains(n) && (*n as u64).is_power_of_two() => *n as usize,
            Some(other) => {
                return Err(self.bad(format_args!("`general.alignment` is {other:?}, no power of two from 8")));
            }
        };
        let mut infos = Vec::new();
        let mut names = HashSet::new();
        for _ in 0..tensor_count {
            let (info, offset) = self.tensor()?;
            if !names.insert(info.name.clone()) {
                return Err(self.bad(format_args!("the tensor `{}` is there twice", info.name)));
            }
            infos.push((info, offset));
        }
        let data = self.at.next_multiple_of(alignment);
        let tensors = self.place(infos, data, alignment)?;
        Ok((metadata, tensors))
    }

    /// Turns offsets into ranges of the file; each lies in the file, none overlaps another.
    fn place(
        &self,
        infos: Vec<(TensorInfo, u64)>,
        data: usize,
        alignment: usize,
    ) -> Result<BTreeMap<String, TensorInfo>, EngineError> {
        let bad = |why: String| EngineError::BadFile { path: self.path.into(), why };
        let mut placed = Vec::with_capacity(infos.len());
        for (mut info, offset) in infos {
            let start = usize::try_from(offset).ok().filter(|o| o % alignment == 0).and_then(|o| o.checked_add(data));
            let Some(start) = start else {
                return Err(bad(format!(
                    "tensor `{}` starts at {offset}, which is not aligned to {alignment}",
                    info.name
                )));
            };
            let size = info.bytes.len();
            let end = start.checked_add(size).filter(|end| *end <= self.bytes.len());
            let Some(end) = end else {
                return Err(bad(format!(
                    "tensor `{}` needs {size} bytes from byte {start}, but the file has {}: it is cut short or damaged",
                    info.name,
                    self.bytes.len()
                )));
            };
            info.bytes = start..end;
            placed.push(info);
        }
        placed.sort_by_key(|info| info.bytes.start);
        for pair in placed.windows(2) {
            if pair[0].bytes.end > pair[1].bytes.start {
                return Err(bad(format!("tensors `{}` and `{}` overlap", pair[0].name, pair[1].name)));
            }
        }
        Ok(placed.into_iter().map(|info| (info.name.clone(), info)).collect())
    }

    /// A tensor's entry and its offset; `bytes` holds only the length until [`Reader::place`].
    fn tensor(&mut self) -> Result<(TensorInfo, u64), EngineError> {
        let name = self.name("tensor name")?;
        let n_dims = self.u32()?;
        if !(1..=4).contains(&n_dims) {
            return Err(self.bad(format_args!("tensor `{name}` has {n_dims} dimensions; 1 to 4 are possible")));
        }
        let mut shape = Vec::new();
        for _ in 0..n_dims {
            shape.push(usize::try_from(self.u64()?).map_err(|_| self.bad("a dimension is too large"))?);
        }
        let number = self.u32()?;
        let Some(ggml_type) = GgmlType::from_number(number) else {
            return Err(EngineError::Unsupported {
                what: format!("tensor `{name}` has weights of ggml type {number}, which"),
                supported: GgmlType::names(),
            });
        };
        let columns = shape[0];
        let items = shape.iter().try_fold(1_usize, |product, d| product.checked_mul(*d)).filter(|n| *n > 0);
        let Some(items) = items else {
            return Err(self.bad(format_args!("tensor `{name}` has the impossible shape {shape:?}")));
        };
        if columns % ggml_type.block_len() != 0 {
            return Err(self.bad(format_args!(
                "tensor `{name}` has rows of {columns}, no multiple of {} as {} needs",
                ggml_type.block_len(),
                ggml_type.name()
            )));
        }
        let size = (items / ggml_type.block_len()).checked_mul(ggml_type.block_bytes());
        let Some(size) = size else { return Err(self.bad(format_args!("tensor `{name}` is too large"))) };
        let offset = self.u64()?;
        shape.reverse();
        Ok((TensorInfo { name, shape, ggml_type, bytes: 0..size }, offset))
    }

    fn value(&mut self, kind: u32) -> Result<Value, EngineError> {
        Ok(match kind {
            0 => Value::Int(self.array::<1>()?[0].into()),
            1 => Value::Int(i8::from_le_bytes(self.array()?).into()),
            2 => Value::Int(u16::from_le_bytes(self.array()?).into()),
            3 => Value::Int(i16::from_le_bytes(self.array()?).into()),
            4 => Value::Int(self.u32()?.into()),
            5 => Value::Int(i32::from_le_bytes(self.array()?).into()),
            6 => Value::Float(f32::from_le_bytes(self.array()?).into()),
            7 => Value::Bool(self.array::<1>()?[0] != 0),
            8 => Value::Text(self.text()?),
            9 => self.array_value()?,
            10 => Value::Int(self.u64()?.into()),
            11 => Value::Int(i64::from_le_bytes(self.array()?).into()),
            12 => Value::Float(f64::from_le_bytes(self.array()?)),
            other => return Err(self.bad(format_args!("value type {other} does not exist"))),
        })
    }

    fn array_value(&mut self) -> Result<Value, EngineError> {
        let item = self.u32()?;
        let len = self.u64()?;
        if len > MAX_ARRAY_ITEMS {
            return Err(self.bad(format_args!("an array of {len} items; at most {MAX_ARRAY_ITEMS} are accepted")));
        }
        let len = len as usize;
        let start = self.at;
        let size = match item {
            0 | 1 | 7 => 1,
            2 | 3 => 2,
            4..=6 => 4,
            10..=12 => 8,
            8 => 0,
            other => return Err(self.bad(format_args!("an array of value type {other} is not accepted"))),
        };
        if item == 8 {
            for _ in 0..len {
                let size = self.len()?;
                self.take(size)?;
            }
        } else {
            self.take(len * size)?;
        }
        Ok(Value::Array { item, len, bytes: start..self.at })
    }

    fn name(&mut self, what: &str) -> Result<String, EngineError> {
        let size = self.len()?;
        if size == 0 || size > MAX_NAME_BYTES {
            return Err(self.bad(format_args!("a {what} of {size} bytes; 1 to {MAX_NAME_BYTES} are accepted")));
        }
        let bytes = self.take(size)?;
        match std::str::from_utf8(bytes) {
            Ok(name) if !name.chars().any(char::is_control) => Ok(name.to_owned()),
            _ => Err(self.bad(format_args!("a {what} that is no plain text"))),
        }
    }

    fn text(&mut self) -> Result<String, EngineError> {
        let size = self.len()?;
        Ok(String::from_utf8_lossy(self.take(size)?).into_owned())
    }

    fn len(&mut self) -> Result<usize, EngineError> {
        let size = self.u64()?;
        usize::try_from(size).map_err(|_| self.bad(format_args!("a text of {size} bytes")))
    }

    fn u32(&mut self) -> Result<u32, EngineError> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    fn u64(&mut self) -> Result<u64, EngineError> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], EngineError> {
        Ok(self.take(N)?.try_into().expect("taken with this length"))
    }

    fn take(&mut self, size: usize) -> Result<&[u8], EngineError> {
        let end = self.at.checked_add(size).filter(|end| *end <= self.bytes.len());
        let Some(end) = end else {
            return Err(self.bad(format_args!("{size} bytes are missing: the file is cut short or damaged")));
        };
        let taken = &self.bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }
}

/// What a file is that is no GGUF, in words; `None` if it starts like one.
fn other_kind(bytes: &[u8]) -> Option<&'static str> {
    let starts = |magic: &[u8]| bytes.starts_with(magic);
    if starts(b"GGUF") {
        return None;
    }
    Some(if bytes.is_empty() {
        "an empty file"
    } else if starts(b"version https://git-lfs") {
        "a Git LFS pointer, not the file it points to; fetch the real file"
    } else if starts(b"tjgg") || starts(b"lmgg") || starts(b"fmgg") || starts(b"algg") {
        "an old GGML file; convert it to GGUF with llama.cpp's converter"
    } else if starts(b"<") || starts(b"\xEF\xBB\xBF<") {
        "a web page, perhaps an error page of the site it came from"
    } else if starts(b"PK\x03\x04") {
        "a zip archive (a PyTorch checkpoint or a wheel), not GGUF"
    } else if starts(b"\x80\x02") || starts(b"\x80\x03") || starts(b"\x80\x04") || starts(b"\x80\x05") {
        "a Python pickle; osai never opens these, since loading one runs code"
    } else if starts(b"\x08") && bytes.windows(4).take(256).any(|w| w == b"onnx" || w == b"ytor") {
        "an ONNX file, not GGUF"
    } else if bytes.get(8) == Some(&b'{') {
        "a safetensors file, not GGUF"
    } else {
        "no GGUF file (it does not begin with `GGUF`)"
    })
}

#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) mod write;
