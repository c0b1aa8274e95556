//! The header of a GGUF file: metadata, tensors, and every fault that can be told without guessing.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry as Place;
use std::fmt;
use std::ops::Range;

use super::{StoredType, Value};
use crate::engine::file::{Faults, Kind};

/// Bytes of keys and values at most (a vocabulary of 200,000 tokens with its merges takes about 13 MB).
const MAX_METADATA_BYTES: usize = 16 << 20;
/// Items of one array at most.
const MAX_ARRAY_ITEMS: u64 = 1 << 20;
const MAX_KEYS: u64 = 1 << 12;
const MAX_TENSORS: u64 = 1 << 17;
const MAX_NAME_BYTES: usize = 256;
const MAX_DIMENSIONS: u32 = 4;
/// Bytes between tensors unless `general.alignment` says otherwise.
const DEFAULT_ALIGNMENT: usize = 32;

/// A value of the metadata and where its key begins.
#[derive(Clone, Debug, PartialEq)]
pub struct Pair {
    /// The byte of the file.
    pub at: usize,
    /// The value.
    pub value: Value,
}

/// A tensor as the header describes it.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Name, as in the file.
    pub name: String,
    /// Dimensions, outermost first.
    pub shape: Vec<usize>,
    /// How it is stored.
    pub stored: &'static StoredType,
    /// Its bytes in the file.
    pub bytes: Range<usize>,
    /// Where the header describes it.
    pub at: usize,
}

/// What a header says, and what is wrong with it. Only without faults may the entries be trusted.
#[derive(Debug, Default)]
pub struct Header {
    /// Version of the format: 2 or 3.
    pub version: u32,
    /// Values by key.
    pub metadata: BTreeMap<String, Pair>,
    /// In the order of their bytes.
    pub tensors: Vec<Entry>,
    /// Bytes between which tensors begin.
    pub alignment: usize,
    /// Bytes before the first tensor's.
    pub data_start: usize,
    /// What is wrong.
    pub faults: Faults,
    /// What is unusual and harmless.
    pub remarks: Faults,
}

impl Header {
    /// Reads and checks the header at the start of `bytes`, which is the whole file.
    ///
    /// Text that is no UTF-8 is a fault in a name; in a value it is read with `U+FFFD` in its place and remarked upon.
    pub fn read(bytes: &[u8]) -> Self {
        let mut header = Self { alignment: DEFAULT_ALIGNMENT, ..Self::default() };
        match Kind::of(bytes) {
            Kind::Gguf => {}
            other => {
                header.faults.add(None, format_args!("it is {}", other.advice()));
                return header;
            }
        }
        // The reason of the stop is in the faults.
        let _ = Reader { bytes, at: 4, limit: MAX_METADATA_BYTES, header: &mut header }.read();
        header
    }
}

/// The rest of the file cannot be understood; the faults say why.
struct Stop;

struct Reader<'a, 'h> {
    bytes: &'a [u8],
    at: usize,
    /// The metadata may not reach beyond this byte.
    limit: usize,
    header: &'h mut Header,
}

impl<'a> Reader<'a, '_> {
    fn fault(&mut self, at: usize, what: impl fmt::Display) {
        self.header.faults.at(at, what);
    }

    fn stop<T>(&mut self, at: usize, what: impl fmt::Display) -> Result<T, Stop> {
        self.fault(at, what);
        Err(Stop)
    }

    fn read(&mut self) -> Result<(), Stop> {
        let version = self.u32()?;
        self.header.version = version;
        if (1..=9).contains(&version.swap_bytes()) {
            return self.stop(4, "it is a big-endian GGUF file; osai reads little-endian ones");
        }
        if !(2..=3).contains(&version) {
            return self.stop(4, format_args!("GGUF version {version}; osai reads versions 2 and 3"));
        }
        let tensor_count = self.u64()?;
        let key_count = self.u64()?;
        if tensor_count > MAX_TENSORS {
            return self.stop(8, format_args!("{tensor_count} tensors; at most {MAX_TENSORS} are accepted"));
        }
        if key_count > MAX_KEYS {
            return self.stop(16, format_args!("{key_count} keys; at most {MAX_KEYS} are accepted"));
        }
        for _ in 0..key_count {
            self.pair()?;
        }
        self.limit = usize::MAX;
        self.alignment();
        let mut entries = Vec::new();
        for _ in 0..tensor_count {
            entries.extend(self.tensor()?);
        }
        self.header.data_start = self.at.next_multiple_of(self.header.alignment);
        self.place(entries);
        Ok(())
    }

    fn pair(&mut self) -> Result<(), Stop> {
        let at = self.at;
        let key = self.name("key")?;
        let kind = self.u32()?;
        let value = self.value(kind, key.as_deref())?;
        let Some(key) = key else { return Ok(()) };
        let twice = match self.header.metadata.entry(key) {
            Place::Vacant(place) => {
                place.insert(Pair { at, value });
                return Ok(());
            }
            Place::Occupied(there) => there.key().clone(),
        };
        self.fault(at, format_args!("the key `{twice}` is there twice"));
        Ok(())
    }

    fn alignment(&mut self) {
        let Some(pair) = self.header.metadata.get("general.alignment") else { return };
        match pair.value {
            Value::Int(n) if (8..=1 << 16).contains(&n) && (n as u64).is_power_of_two() => {
                self.header.alignment = n as usize;
            }
            Value::Int(n) => {
                let at = pair.at;
                self.fault(at, format_args!("`general.alignment` is {n}, no power of two from 8 to 65536"));
            }
            _ => {
                let at = pair.at;
                self.fault(at, "`general.alignment` is no whole number");
            }
        }
    }

    /// Turns offsets into ranges of the file; each lies in the file, none overlaps another, no bytes between them
    /// belong to none.
    fn place(&mut self, entries: Vec<(Entry, u64)>) {
        let Header { alignment, data_start, .. } = *self.header;
        let len = self.bytes.len();
        let mut placed = Vec::with_capacity(entries.len());
        for (mut entry, offset) in entries {
            let (at, size) = (entry.at, entry.bytes.len());
            if !offset.is_multiple_of(alignment as u64) {
                let what =
                    format_args!("tensor `{}` starts at {offset}, which is not aligned to {alignment}", entry.name);
                self.fault(at, what);
                continue;
            }
            let start = usize::try_from(offset).ok().and_then(|offset| offset.checked_add(data_start));
            let range = start.and_then(|start| Some(start..start.checked_add(size)?));
            match range {
                Some(range) if range.end <= len => entry.bytes = range,
                _ => {
                    self.fault(
                        at,
                        format_args!(
                            "tensor `{}` needs {size} bytes from {offset} on after the header, but the file has {len}: it \
                             is cut short or damaged",
                            entry.name
                        ),
                    );
                    continue;
                }
            }
            placed.push(entry);
        }
        self.refuse_twins(&mut placed);
        placed.sort_by_key(|entry| entry.bytes.start);
        for pair in placed.windows(2) {
            let [a, b] = pair else { continue };
            if a.bytes.end > b.bytes.start {
                self.fault(b.at, format_args!("tensors `{}` and `{}` overlap", a.name, b.name));
            }
        }
        // Where tensors are missing for another fault, the gaps they leave are none.
        if self.header.faults.is_empty() {
            self.gaps(&placed);
        }
        self.header.tensors = placed;
    }

    fn refuse_twins(&mut self, placed: &mut [Entry]) {
        placed.sort_by(|a, b| (&a.name, a.at).cmp(&(&b.name, b.at)));
        for pair in placed.windows(2) {
            let [first, second] = pair else { continue };
            if first.name == second.name {
                self.fault(second.at, format_args!("the tensor `{}` is there twice", second.name));
            }
        }
    }

    /// llama.cpp refuses a gap, so no file that works has one; something may be hidden in it.
    fn gaps(&mut self, placed: &[Entry]) {
        let mut end = self.header.data_start;
        for entry in placed {
            let gap = entry.bytes.start - end;
            if gap > 0 {
                self.fault(end, format_args!("{gap} bytes before the tensor `{}` belong to none", entry.name));
            }
            end = entry.bytes.end.next_multiple_of(self.header.alignment);
        }
        if let Some(extra) = self.bytes.len().checked_sub(end).filter(|extra| *extra > 0) {
            self.header.remarks.at(end, format_args!("{extra} bytes after the last tensor belong to none"));
        }
    }

    /// A tensor's entry and its offset; `bytes` holds only the length until [`Reader::place`]. `None` for one with a
    /// fault after which the next can still be read.
    fn tensor(&mut self) -> Result<Option<(Entry, u64)>, Stop> {
        let at = self.at;
        let name = self.name("tensor name")?;
        let shown = name.clone().unwrap_or_else(|| "?".into());
        let dimensions = self.u32()?;
        if !(1..=MAX_DIMENSIONS).contains(&dimensions) {
            let what = format_args!("tensor `{shown}` has {dimensions} dimensions; 1 to {MAX_DIMENSIONS} are possible");
            return self.stop(at, what);
        }
        let mut dims = Vec::with_capacity(dimensions as usize);
        for _ in 0..dimensions {
            // On a machine of 32 bits a dimension may not fit; its product would not either.
            dims.push(usize::try_from(self.u64()?).unwrap_or(usize::MAX));
        }
        let number = self.u32()?;
        let offset = self.u64()?;
        let Some(stored) = StoredType::from_number(number) else {
            let what = StoredType::describe_unknown(number);
            self.fault(at, format_args!("tensor `{shown}` has weights of {what}"));
            return Ok(None);
        };
        let Some(size) = stored.bytes_of(&dims) else {
            let what = match stored.block_len {
                1 => String::new(),
                len => format!(" ({} needs rows of a multiple of {len})", stored.name),
            };
            self.fault(at, format_args!("tensor `{shown}` has the impossible shape {dims:?}{what}"));
            return Ok(None);
        };
        dims.reverse();
        Ok(name.map(|name| (Entry { name, shape: dims, stored, bytes: 0..size, at }, offset)))
    }

    fn value(&mut self, kind: u32, key: Option<&str>) -> Result<Value, Stop> {
        let at = self.at;
        Ok(match kind {
            0 => Value::Int(self.array::<1>()?[0].into()),
            1 => Value::Int(i8::from_le_bytes(self.array()?).into()),
            2 => Value::Int(u16::from_le_bytes(self.array()?).into()),
            3 => Value::Int(i16::from_le_bytes(self.array()?).into()),
            4 => Value::Int(self.u32()?.into()),
            5 => Value::Int(i32::from_le_bytes(self.array()?).into()),
            6 => Value::Float(f32::from_le_bytes(self.array()?).into()),
            7 => match self.array::<1>()?[0] {
                byte @ 0..=1 => Value::Bool(byte == 1),
                byte => {
                    self.fault(at, format_args!("`{}` is true or false, but its byte is {byte}", key.unwrap_or("?")));
                    Value::Bool(true)
                }
            },
            8 => Value::Text(self.text(key)?),
            9 => self.array_value(key)?,
            10 => Value::Int(self.u64()?.into()),
            11 => Value::Int(i64::from_le_bytes(self.array()?).into()),
            12 => Value::Float(f64::from_le_bytes(self.array()?)),
            other => {
                let what = format_args!("`{}` has value type {other}, which does not exist", key.unwrap_or("?"));
                return self.stop(at, what);
            }
        })
    }

    fn array_value(&mut self, key: Option<&str>) -> Result<Value, Stop> {
        let at = self.at;
        let key = key.unwrap_or("?");
        let item = self.u32()?;
        let len = self.u64()?;
        if len > MAX_ARRAY_ITEMS {
            return self.stop(at, format_args!("`{key}` has {len} items; at most {MAX_ARRAY_ITEMS} are accepted"));
        }
        let len = len as usize;
        let start = self.at;
        let size = match item {
            0 | 1 | 7 => 1,
            2 | 3 => 2,
            4..=6 => 4,
            10..=12 => 8,
            8 => 0,
            9 => return self.stop(at, format_args!("`{key}` is an array of arrays, which is not accepted")),
            other => {
                return self.stop(at, format_args!("`{key}` is an array of value type {other}, which does not exist"));
            }
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

    /// `None` for a name that is no plain text; the fault is noted.
    fn name(&mut self, what: &str) -> Result<Option<String>, Stop> {
        let at = self.at;
        let size = self.len()?;
        let bytes = self.take(size)?;
        if bytes.is_empty() || bytes.len() > MAX_NAME_BYTES {
            self.fault(at, format_args!("a {what} of {size} bytes; 1 to {MAX_NAME_BYTES} are accepted"));
            return Ok(None);
        }
        match std::str::from_utf8(bytes) {
            Ok(name) if !name.chars().any(char::is_control) => Ok(Some(name.to_owned())),
            _ => {
                self.fault(at, format_args!("a {what} that is no plain text"));
                Ok(None)
            }
        }
    }

    fn text(&mut self, key: Option<&str>) -> Result<String, Stop> {
        let at = self.at;
        let size = self.len()?;
        let bytes = self.take(size)?;
        match std::str::from_utf8(bytes) {
            Ok(text) => Ok(text.to_owned()),
            Err(_) => {
                let text = String::from_utf8_lossy(bytes).into_owned();
                self.header.remarks.at(
                    at,
                    format_args!("`{}` is no UTF-8; its wrong bytes are shown as \u{FFFD}", key.unwrap_or("?")),
                );
                Ok(text)
            }
        }
    }

    fn len(&mut self) -> Result<usize, Stop> {
        let at = self.at;
        let size = self.u64()?;
        match usize::try_from(size) {
            Ok(size) => Ok(size),
            Err(_) => self.stop(at, format_args!("a text of {size} bytes")),
        }
    }

    fn u32(&mut self) -> Result<u32, Stop> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    fn u64(&mut self) -> Result<u64, Stop> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Stop> {
        match self.take(N)?.first_chunk::<N>() {
            Some(taken) => Ok(*taken),
            None => self.missing(N),
        }
    }

    fn take(&mut self, size: usize) -> Result<&'a [u8], Stop> {
        let bytes = self.bytes;
        let Some(taken) = bytes[self.at..].get(..size) else { return self.missing(size) };
        if self.at + size > self.limit {
            return self.stop(self.at, format_args!("more than {} MiB of metadata", MAX_METADATA_BYTES >> 20));
        }
        self.at += size;
        Ok(taken)
    }

    fn missing<T>(&mut self, size: usize) -> Result<T, Stop> {
        let (at, left) = (self.at, self.bytes.len() - self.at);
        self.stop(
            at,
            format_args!("{size} bytes are needed here and {left} are left: the file is cut short or damaged"),
        )
    }
}
