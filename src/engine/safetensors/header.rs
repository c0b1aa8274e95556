//! The header of one safetensors file: eight bytes of length, then JSON, then the tensors without a gap.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use serde::de::{self, DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::engine::file::Faults;

/// Bytes of JSON at most. The format allows 100 MB; a file of 10,000 tensors needs about one.
const MAX_HEADER_BYTES: usize = 16 << 20;
pub const MAX_TENSORS: usize = 1 << 17;
const MAX_NAME_BYTES: usize = 256;
const MAX_DIMENSIONS: usize = 8;
const MAX_METADATA: usize = 1 << 12;
/// Bytes before the JSON.
const PREFIX: usize = 8;

/// A type of numbers, as the format names it.
#[derive(Debug, PartialEq, Eq)]
pub struct Dtype {
    /// `BF16`.
    pub name: &'static str,
    /// Bits of one number.
    pub bits: usize,
}

impl Dtype {
    /// All types of the format (its `Dtype`, version 0.8).
    fn table() -> &'static [Self] {
        const fn row(name: &'static str, bits: usize) -> Dtype {
            Dtype { name, bits }
        }
        const {
            &[
                row("F32", 32),
                row("F16", 16),
                row("BF16", 16),
                row("F64", 64),
                row("I64", 64),
                row("I32", 32),
                row("I16", 16),
                row("I8", 8),
                row("U64", 64),
                row("U32", 32),
                row("U16", 16),
                row("U8", 8),
                row("BOOL", 8),
                row("C64", 64),
                row("F8_E4M3", 8),
                row("F8_E5M2", 8),
                row("F8_E8M0", 8),
                row("F8_E4M3FNUZ", 8),
                row("F8_E5M2FNUZ", 8),
                row("F6_E2M3", 6),
                row("F6_E3M2", 6),
                row("F4", 4),
            ]
        }
    }

    /// The type of that name.
    pub fn named(name: &str) -> Option<&'static Self> {
        Self::table().iter().find(|dtype| dtype.name == name)
    }
}

/// A tensor as the header describes it.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Name, as in the file.
    pub name: String,
    /// Type of its numbers.
    pub dtype: &'static Dtype,
    /// Dimensions, outermost first; empty for a single number.
    pub shape: Vec<usize>,
    /// Its bytes in the file.
    pub bytes: Range<usize>,
    /// Where the header describes it.
    pub at: usize,
}

/// What a header says, and what is wrong with it. Entries are whole only if there are no faults.
#[derive(Debug, Default)]
pub struct Header {
    /// In the order of their bytes.
    pub tensors: Vec<Entry>,
    /// The `__metadata__` texts.
    pub metadata: BTreeMap<String, String>,
    /// Bytes before the first tensor's.
    pub data_start: usize,
    /// What is wrong.
    pub faults: Faults,
}

impl Header {
    /// Reads and checks the header at the start of `file`, which is the whole file.
    ///
    /// Costs at most the header's length three times over in memory.
    pub fn read(file: &[u8]) -> Self {
        let mut header = Self::default();
        let Some((length, rest)) = file.split_first_chunk::<PREFIX>() else {
            header.faults.at(file.len(), "a safetensors file begins with eight bytes of length; it is cut short");
            return header;
        };
        let length = u64::from_le_bytes(*length);
        if length > MAX_HEADER_BYTES as u64 {
            let what = format_args!("a header of {length} bytes; at most {MAX_HEADER_BYTES} are accepted");
            header.faults.at(0, what);
            return header;
        }
        let length = length as usize;
        let Some(json) = rest.get(..length) else {
            let what = format_args!("a header of {length} bytes in a file of {}: it is cut short", file.len());
            header.faults.at(0, what);
            return header;
        };
        header.data_start = PREFIX + length;
        let json = match std::str::from_utf8(json) {
            Ok(json) => json,
            Err(e) => {
                header.faults.at(PREFIX + e.valid_up_to(), "the header is no UTF-8");
                return header;
            }
        };
        if !json.starts_with('{') {
            header.faults.at(PREFIX, "the header does not begin with `{`");
            return header;
        }
        header.read_json(json);
        header.check_places(file.len());
        header
    }

    fn read_json(&mut self, json: &str) {
        let mut reader = serde_json::Deserializer::from_str(json);
        let read = Top { json, header: self }.deserialize(&mut reader).and_then(|()| reader.end());
        if let Err(e) = read {
            self.faults.at(PREFIX + byte_of(json, &e), words(&e));
        }
    }

    /// Every byte after the header belongs to exactly one tensor.
    fn check_places(&mut self, file_len: usize) {
        self.tensors.sort_by(|a, b| (a.bytes.start, a.bytes.end, &a.name).cmp(&(b.bytes.start, b.bytes.end, &b.name)));
        let mut end = self.data_start;
        for entry in &self.tensors {
            let Range { start, end: entry_end } = entry.bytes;
            if start < end {
                self.faults.at(entry.at, format_args!("the tensor `{}` overlaps another or the header", entry.name));
            } else if start > end {
                let what = format_args!("{} bytes before the tensor `{}` belong to none", start - end, entry.name);
                self.faults.at(end, what);
            }
            if entry_end > file_len {
                let missing = entry_end - file_len;
                let what = format_args!("{missing} bytes of the tensor `{}` are missing: it is cut short", entry.name);
                self.faults.at(entry.at, what);
            }
            end = end.max(entry_end);
        }
        // After a fault in the JSON, tensors are missing here that may well be in the file.
        if end < file_len && self.faults.is_empty() {
            self.faults.at(end, format_args!("{} bytes at the end belong to no tensor", file_len - end));
        }
    }

    fn take(&mut self, name: String, raw: &RawEntry, at: usize) {
        if name.len() > MAX_NAME_BYTES || name.is_empty() || name.chars().any(char::is_control) {
            self.faults.at(
                at,
                format_args!("a tensor's name that is empty, has control characters or over {MAX_NAME_BYTES} bytes"),
            );
            return;
        }
        let data_start = self.data_start;
        let mut fault = |what: fmt::Arguments<'_>| self.faults.at(at, format_args!("the tensor `{name}` {what}"));
        let Some(dtype) = Dtype::named(&raw.dtype) else {
            let shown: String = raw.dtype.chars().take(40).collect();
            return fault(format_args!("has the unknown type `{shown}`"));
        };
        let shape: Option<Vec<usize>> = raw.shape.0.iter().map(|d| usize::try_from(*d).ok()).collect();
        let items = shape.as_ref().and_then(|shape| shape.iter().try_fold(1_usize, |n, d| n.checked_mul(*d)));
        let (Some(shape), Some(bits)) = (shape, items.and_then(|n| n.checked_mul(dtype.bits))) else {
            return fault(format_args!("has the impossible shape {:?}", raw.shape.0));
        };
        if bits % 8 != 0 {
            return fault(format_args!("ends within a byte ({bits} bits)"));
        }
        let place = |offset: u64| usize::try_from(offset).ok().and_then(|o| o.checked_add(data_start));
        let (begin, end) = raw.data_offsets;
        let (Some(from), Some(to)) = (place(begin), place(end)) else {
            return fault(format_args!("has impossible offsets ({begin} to {end})"));
        };
        if to.checked_sub(from) != Some(bits / 8) {
            return fault(format_args!(
                "is {:?} of {}, which takes {} bytes, but its offsets are {begin} to {end}",
                raw.shape.0,
                dtype.name,
                bits / 8
            ));
        }
        self.tensors.push(Entry { name, dtype, shape, bytes: from..to, at });
    }
}

/// `{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]}`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawEntry {
    dtype: String,
    shape: Shape,
    data_offsets: (u64, u64),
}

struct Shape(Vec<u64>);

impl<'de> Deserialize<'de> for Shape {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Dimensions;
        impl<'de> Visitor<'de> for Dimensions {
            type Value = Shape;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array of whole numbers")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Shape, A::Error> {
                let mut shape = Vec::new();
                while let Some(dimension) = items.next_element()? {
                    if shape.len() == MAX_DIMENSIONS {
                        return Err(de::Error::custom(format_args!("more than {MAX_DIMENSIONS} dimensions")));
                    }
                    shape.push(dimension);
                }
                Ok(Shape(shape))
            }
        }
        deserializer.deserialize_seq(Dimensions)
    }
}

/// Reads the outer object: entries as they come, so that one that is wrong does not hide the rest.
struct Top<'j, 'h> {
    json: &'j str,
    header: &'h mut Header,
}

impl<'de> DeserializeSeed<'de> for Top<'_, '_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Top<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of tensors")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut names = std::collections::HashSet::new();
        while let Some(name) = map.next_key::<String>()? {
            if names.len() > MAX_TENSORS {
                return Err(de::Error::custom(format_args!("more than {MAX_TENSORS} tensors")));
            }
            let raw: &'de RawValue = map.next_value()?;
            let inside = raw.get().as_ptr().addr() - self.json.as_ptr().addr();
            let at = PREFIX + inside;
            if !names.insert(name.clone()) {
                self.header.faults.at(at, format_args!("`{name}` is there twice"));
                continue;
            }
            let wrong = |e: &serde_json::Error| at + byte_of(raw.get(), e);
            if name == "__metadata__" {
                match serde_json::from_str(raw.get()) {
                    Ok(Texts::<MAX_METADATA>(texts)) => self.header.metadata = texts,
                    Err(e) => {
                        self.header
                            .faults
                            .at(wrong(&e), format_args!("`__metadata__` is no map of texts: {}", words(&e)));
                    }
                }
                continue;
            }
            match serde_json::from_str::<RawEntry>(raw.get()) {
                Ok(entry) => self.header.take(name, &entry, at),
                Err(e) => self.header.faults.at(wrong(&e), format_args!("the tensor `{name}`: {}", words(&e))),
            }
        }
        Ok(())
    }
}

/// At most `MOST` texts by name; a name given twice is an error.
pub struct Texts<const MOST: usize>(pub BTreeMap<String, String>);

impl<'de, const MOST: usize> Deserialize<'de> for Texts<MOST> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pairs<const MOST: usize>;
        impl<'de, const MOST: usize> Visitor<'de> for Pairs<MOST> {
            type Value = Texts<MOST>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map of texts")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Texts<MOST>, A::Error> {
                let mut texts = BTreeMap::new();
                while let Some((name, text)) = map.next_entry::<String, String>()? {
                    if texts.len() == MOST {
                        return Err(de::Error::custom(format_args!("more than {MOST} texts")));
                    }
                    if texts.insert(name, text).is_some() {
                        return Err(de::Error::custom("a name is there twice"));
                    }
                }
                Ok(Texts(texts))
            }
        }
        deserializer.deserialize_map(Pairs)
    }
}

/// serde_json's words without its `at line 1 column 7`, which counts within the JSON.
fn words(error: &serde_json::Error) -> String {
    let said = error.to_string();
    match said.rfind(" at line ") {
        Some(end) => said[..end].to_owned(),
        None => said,
    }
}

/// The byte of the JSON at which an error shows.
fn byte_of(json: &str, error: &serde_json::Error) -> usize {
    let line_start = match error.line() {
        0 | 1 => 0,
        line => json.match_indices('\n').nth(line - 2).map_or(0, |(at, _)| at + 1),
    };
    (line_start + error.column().saturating_sub(1)).min(json.len())
}
