//! Writes GGUF version 3: a header first, then each tensor's bytes as they are made, so that no file is ever whole in
//! memory. A reader never sees half a file: it is written beside its final name and renamed when it is on the disk.
//!
//! ```text
//! let mut writer = Writer::new();
//! writer.set("general.architecture", "llama");
//! writer.tensor("token_embd.weight", &[256, 64], GgmlType::F16)?;
//! let mut output = writer.create(path)?;
//! output.put("token_embd.weight", &bytes)?;      // as often as needed, tensors in their order
//! let size = output.finish()?;
//! ```

use std::collections::HashSet;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use super::{GgmlType, Gguf};
use crate::engine::EngineError;

/// Where tensors start, unless `general.alignment` says otherwise; as llama.cpp's writer has it.
const ALIGNMENT: usize = 32;
/// Bytes of a tensor's name at most: llama.cpp keeps names in 64 bytes with a zero at the end.
const MAX_NAME: usize = 63;

/// A value of the metadata as it stands in a file: its type's number and its bytes.
#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    kind: u32,
    bytes: Vec<u8>,
}

/// What one value of the metadata can be: any number of 8 to 64 bits, a boolean, a text.
pub trait Scalar {
    /// GGUF's number of the type.
    const KIND: u32;
    /// Appends the value as GGUF has it, little-endian.
    fn put(&self, out: &mut Vec<u8>);
}

macro_rules! numbers {
    ($($type:ty => $kind:literal),+) => {$(
        impl Scalar for $type {
            const KIND: u32 = $kind;
            fn put(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_le_bytes());
            }
        }
    )+};
}
numbers!(u8 => 0, i8 => 1, u16 => 2, i16 => 3, u32 => 4, i32 => 5, f32 => 6, u64 => 10, i64 => 11, f64 => 12);

impl Scalar for bool {
    const KIND: u32 = 7;
    fn put(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }
}

impl Scalar for &str {
    const KIND: u32 = 8;
    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&(self.len() as u64).to_le_bytes());
        out.extend_from_slice(self.as_bytes());
    }
}

impl Scalar for String {
    const KIND: u32 = 8;
    fn put(&self, out: &mut Vec<u8>) {
        self.as_str().put(out);
    }
}

impl<T: Scalar> From<T> for Field {
    fn from(value: T) -> Self {
        let mut bytes = Vec::new();
        value.put(&mut bytes);
        Self { kind: T::KIND, bytes }
    }
}

impl<T: Scalar> From<&[T]> for Field {
    fn from(items: &[T]) -> Self {
        let mut bytes = T::KIND.to_le_bytes().to_vec();
        bytes.extend_from_slice(&(items.len() as u64).to_le_bytes());
        items.iter().for_each(|item| item.put(&mut bytes));
        Self { kind: 9, bytes }
    }
}

/// A tensor that will be written.
#[derive(Clone, Debug, PartialEq)]
struct Planned {
    name: String,
    /// Dimensions, outermost first.
    shape: Vec<usize>,
    ggml_type: GgmlType,
    size: usize,
}

/// What a file will hold: keys and values, and which tensors in which order.
#[derive(Clone, Debug, Default)]
pub struct Writer {
    keys: Vec<(String, Field)>,
    tensors: Vec<Planned>,
    names: HashSet<String>,
}

impl Writer {
    /// An empty file.
    pub fn new() -> Self {
        Self::default()
    }

    /// A file with all keys of another, in its order and with its types.
    pub fn with_keys_of(file: &Gguf) -> Self {
        Self { keys: raw_keys(&file.map), ..Self::default() }
    }

    /// Sets a key; one that is there keeps its place.
    pub fn set(&mut self, key: &str, value: impl Into<Field>) {
        let value = value.into();
        match self.keys.iter_mut().find(|(name, _)| name == key) {
            Some((_, old)) => *old = value,
            None => self.keys.push((key.to_owned(), value)),
        }
    }

    /// Takes a key out, if it is there.
    pub fn remove(&mut self, key: &str) {
        self.keys.retain(|(name, _)| name != key);
    }

    /// Adds a tensor, dimensions outermost first (`[rows, columns]`); returns its bytes in the file.
    ///
    /// # Errors
    /// [`EngineError::BadSetting`] for a name that is there already or that llama.cpp could not hold, for a shape that
    /// GGUF has not, and for rows that are no multiple of the type's block.
    pub fn tensor(&mut self, name: &str, shape: &[usize], ggml_type: GgmlType) -> Result<usize, EngineError> {
        let bad = |why: String| Err(EngineError::BadSetting { what: format!("the tensor `{name}` {why}") });
        if name.is_empty() || name.len() > MAX_NAME {
            return bad(format!("has a name of {} bytes; GGUF readers take 1 to {MAX_NAME}", name.len()));
        }
        if self.names.contains(name) {
            return bad("is there twice".into());
        }
        let items = shape.iter().try_fold(1_usize, |product, d| product.checked_mul(*d)).filter(|n| *n > 0);
        let (Some(items), 1..=4) = (items, shape.len()) else {
            return bad(format!("has the shape {shape:?}, which GGUF cannot hold"));
        };
        let (block, columns) = (ggml_type.block_len(), shape[shape.len() - 1]);
        if columns % block != 0 {
            return bad(format!("has rows of {columns}, no multiple of {block} as {} needs", ggml_type.name()));
        }
        let Some(size) = (items / block).checked_mul(ggml_type.block_bytes()) else {
            return bad("is too large".into());
        };
        self.names.insert(name.to_owned());
        self.tensors.push(Planned { name: name.to_owned(), shape: shape.to_vec(), ggml_type, size });
        Ok(size)
    }

    /// Begins the file: the header is written under a temporary name beside `path`.
    ///
    /// # Errors
    /// [`EngineError::Unwritable`] when the folder cannot be written or another osai is writing the same file.
    pub fn create(self, path: &Path) -> Result<Output, EngineError> {
        let alignment = self.alignment()?;
        let part = Part::create(path)?;
        let mut output = Output {
            file: BufWriter::with_capacity(1 << 20, part.file.try_clone().map_err(|e| unwritable(path, &e))?),
            part,
            tensors: self.tensors.iter().map(|t| (t.name.clone(), t.size)).collect(),
            at: 0,
            filled: 0,
            written: 0,
            alignment,
        };
        let header = self.header(alignment);
        output.append(&header)?;
        output.pad()?;
        Ok(output)
    }

    fn alignment(&self) -> Result<usize, EngineError> {
        let Some((_, field)) = self.keys.iter().find(|(key, _)| key == "general.alignment") else {
            return Ok(ALIGNMENT);
        };
        let value = <[u8; 4]>::try_from(field.bytes.as_slice()).ok().filter(|_| field.kind == u32::KIND);
        match value.map(u32::from_le_bytes) {
            Some(n) if (8..=1 << 16).contains(&n) && n.is_power_of_two() => Ok(n as usize),
            _ => Err(EngineError::BadSetting {
                what: "`general.alignment` must be a power of two from 8 to 65536, as a u32".into(),
            }),
        }
    }

    fn header(&self, alignment: usize) -> Vec<u8> {
        let mut out = b"GGUF".to_vec();
        3_u32.put(&mut out);
        (self.tensors.len() as u64).put(&mut out);
        (self.keys.len() as u64).put(&mut out);
        for (key, field) in &self.keys {
            key.put(&mut out);
            field.kind.put(&mut out);
            out.extend_from_slice(&field.bytes);
        }
        let mut offset = 0_u64;
        for tensor in &self.tensors {
            tensor.name.put(&mut out);
            (tensor.shape.len() as u32).put(&mut out);
            tensor.shape.iter().rev().for_each(|d| (*d as u64).put(&mut out));
            tensor.ggml_type.number().put(&mut out);
            offset.put(&mut out);
            offset += tensor.size.next_multiple_of(alignment) as u64;
        }
        out
    }
}

/// A file being written. Dropped before [`Output::finish`], it leaves nothing behind.
#[derive(Debug)]
pub struct Output {
    file: BufWriter<File>,
    part: Part,
    /// Names and sizes in the file's order.
    tensors: Vec<(String, usize)>,
    /// The tensor whose bytes come next, and how many of them are there.
    at: usize,
    filled: usize,
    /// Bytes of the file so far.
    written: u64,
    alignment: usize,
}

impl Output {
    /// Appends bytes to the tensor `name`, which must be the one whose turn it is.
    ///
    /// # Errors
    /// [`EngineError::Unwritable`]; [`EngineError::Internal`] for another tensor's turn or more bytes than it has.
    pub fn put(&mut self, name: &str, bytes: &[u8]) -> Result<(), EngineError> {
        let turn = self.tensors.get(self.at).filter(|(turn, size)| turn == name && bytes.len() <= size - self.filled);
        let Some((_, size)) = turn else {
            return Err(EngineError::Internal { what: format!("{} bytes of `{name}` out of their turn", bytes.len()) });
        };
        let is_full = self.filled + bytes.len() == *size;
        self.append(bytes)?;
        self.filled += bytes.len();
        if is_full {
            self.pad()?;
            self.at += 1;
            self.filled = 0;
        }
        Ok(())
    }

    /// Ends the file: on disk and under its final name when this returns, in one step. Returns its size in bytes.
    ///
    /// # Errors
    /// As [`Output::put`]; what was there under the final name is then still there.
    pub fn finish(mut self) -> Result<u64, EngineError> {
        if let Some((name, size)) = self.tensors.get(self.at) {
            let what = format!("the tensor `{name}` has {} of {size} bytes", self.filled);
            return Err(EngineError::Internal { what });
        }
        self.file.flush().map_err(|e| unwritable(&self.part.target, &e))?;
        self.part.finish()?;
        Ok(self.written)
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), EngineError> {
        self.file.write_all(bytes).map_err(|e| unwritable(&self.part.target, &e))?;
        self.written += bytes.len() as u64;
        Ok(())
    }

    fn pad(&mut self) -> Result<(), EngineError> {
        let missing = self.written.next_multiple_of(self.alignment as u64) - self.written;
        self.append(&vec![0; missing as usize])
    }
}

fn unwritable(path: &Path, error: &io::Error) -> EngineError {
    EngineError::Unwritable { path: path.into(), why: error.to_string() }
}

/// A file in the making, locked, beside its final name. Dropped unfinished, it is removed; what a killed run left is
/// taken over by the next.
#[derive(Debug)]
struct Part {
    file: File,
    path: PathBuf,
    target: PathBuf,
    finished: bool,
}

impl Part {
    fn create(target: &Path) -> Result<Self, EngineError> {
        let refused = |why: &str| EngineError::Unwritable { path: target.into(), why: why.into() };
        let name = target.file_name().ok_or_else(|| refused("it names no file"))?;
        let mut hidden = std::ffi::OsString::from(".");
        hidden.push(name);
        hidden.push(".part");
        let path = target.with_file_name(hidden);
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, libc::O_NOFOLLOW);
        let file = options.open(&path).map_err(|e| unwritable(target, &e))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(refused("another osai is writing it; wait for it to end")),
            // A file system without locks: two osai at once would disturb each other, one does not.
            Err(TryLockError::Error(_)) => {}
        }
        file.set_len(0).map_err(|e| unwritable(target, &e))?;
        Ok(Self { file, path, target: target.into(), finished: false })
    }

    fn finish(&mut self) -> Result<(), EngineError> {
        let finished = (|| {
            self.file.sync_all()?;
            fs::rename(&self.path, &self.target)?;
            match self.target.parent().map(|folder| if folder.as_os_str().is_empty() { Path::new(".") } else { folder })
            {
                Some(folder) if cfg!(unix) => File::open(folder)?.sync_all(),
                _ => Ok(()),
            }
        })();
        finished.map_err(|e| unwritable(&self.target, &e))?;
        self.finished = true;
        Ok(())
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if !self.finished {
            // Best effort: what stays is taken over by the next attempt.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// The keys of a file whose header [`Gguf::open`] has checked, in the file's order, values as they stand there.
fn raw_keys(file: &[u8]) -> Vec<(String, Field)> {
    let u32_at = |at: usize| u32::from_le_bytes(file[at..at + 4].try_into().expect("four bytes"));
    let len_at = |at: usize| u64::from_le_bytes(file[at..at + 8].try_into().expect("eight bytes")) as usize;
    let text_end = |at: usize| at + 8 + len_at(at);
    let mut keys = Vec::new();
    let mut at = 24;
    for _ in 0..len_at(16) {
        let key = String::from_utf8_lossy(&file[at + 8..text_end(at)]).into_owned();
        at = text_end(at);
        let kind = u32_at(at);
        let start = at + 4;
        at = match (kind, width(kind)) {
            (8, _) => text_end(start),
            (9, _) => {
                let (item, len, items) = (u32_at(start), len_at(start + 4), start + 12);
                match width(item) {
                    0 => (0..len).fold(items, |at, _| text_end(at)),
                    width => items + len * width,
                }
            }
            (_, width) => start + width,
        };
        keys.push((key, Field { kind, bytes: file[start..at].to_vec() }));
    }
    keys
}

/// Bytes of a value of a type; 0 for texts and arrays.
fn width(kind: u32) -> usize {
    match kind {
        0 | 1 | 7 => 1,
        2 | 3 => 2,
        4..=6 => 4,
        10..=12 => 8,
        _ => 0,
    }
}

#[cfg(test)]
mod builder;
#[cfg(test)]
pub(crate) use builder::{Builder, text};
#[cfg(test)]
mod tests;
