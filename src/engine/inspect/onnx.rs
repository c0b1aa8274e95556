//! ONNX: a protocol buffer with a graph of operators and its weights, walked field by field.
//!
//! Source: `onnx/onnx.proto`; the field numbers stand beside their use. External data are named by a path in the file,
//! which has led readers outside the model's folder (CVE-2024-27318), so each such path is judged.

use std::collections::BTreeMap;

use super::{Fact, Tensor};
use crate::engine::file::Faults;

/// Tensors that are listed at most.
const MAX_TENSORS: usize = 1 << 17;
/// Kinds of operators told at most.
const MAX_OPERATORS: usize = 1024;
const MAX_TEXT: usize = 512;

/// What an ONNX file says of itself.
#[derive(Debug, Default)]
pub struct Onnx {
    /// Producer, versions, operators.
    pub facts: Vec<Fact>,
    /// Its weights.
    pub tensors: Vec<Tensor>,
    /// `metadata_props`.
    pub metadata: BTreeMap<String, String>,
    /// What is wrong.
    pub faults: Faults,
}

/// A field of a message.
struct Field<'a> {
    number: u64,
    at: usize,
    value: Wire<'a>,
}

enum Wire<'a> {
    Varint(u64),
    Bytes(&'a [u8]),
    Fixed,
}

impl Field<'_> {
    fn text(&self) -> String {
        match self.value {
            Wire::Bytes(bytes) => String::from_utf8_lossy(&bytes[..bytes.len().min(MAX_TEXT)]).into_owned(),
            Wire::Varint(n) => n.to_string(),
            Wire::Fixed => String::new(),
        }
    }
}

/// The fields of a message one by one; ends at the first byte that is none, and says so.
struct Message<'a, 'f> {
    bytes: &'a [u8],
    at: usize,
    base: usize,
    faults: &'f mut Faults,
}

impl<'a> Message<'a, '_> {
    fn next(&mut self) -> Option<Field<'a>> {
        if self.at == self.bytes.len() {
            return None;
        }
        let at = self.base + self.at;
        let field = self.field();
        if field.is_none() {
            self.faults.at(at, "a field of the protocol buffer that is cut short or does not exist");
            self.at = self.bytes.len();
        }
        field
    }

    fn field(&mut self) -> Option<Field<'a>> {
        let tag = self.varint()?;
        let mut at = self.base + self.at;
        let value = match tag & 7 {
            0 => Wire::Varint(self.varint()?),
            1 => self.take(8).map(|_| Wire::Fixed)?,
            2 => {
                let len = usize::try_from(self.varint()?).ok()?;
                at = self.base + self.at;
                Wire::Bytes(self.take(len)?)
            }
            5 => self.take(4).map(|_| Wire::Fixed)?,
            _ => return None,
        };
        Some(Field { number: tag >> 3, at, value })
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0_u64;
        for shift in (0..70).step_by(7) {
            let byte = *self.bytes.get(self.at)?;
            self.at += 1;
            value |= u64::from(byte & 0x7F).checked_shl(shift).unwrap_or(0);
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let taken = self.bytes.get(self.at..self.at.checked_add(len)?)?;
        self.at += len;
        Some(taken)
    }
}

/// Walks the file.
pub fn read(bytes: &[u8]) -> Onnx {
    let mut onnx = Onnx::default();
    let mut faults = Faults::default();
    let mut operators = BTreeMap::new();
    let mut model = Message { bytes, at: 0, base: 0, faults: &mut faults };
    let mut inner = Vec::new();
    while let Some(field) = model.next() {
        let fact = |name: &str| Fact { name: name.into(), value: field.text() };
        match (field.number, &field.value) {
            (1, Wire::Varint(_)) => onnx.facts.push(fact("ir version")),
            (2, _) => onnx.facts.push(fact("producer")),
            (3, _) => onnx.facts.push(fact("producer version")),
            (4, _) => onnx.facts.push(fact("domain")),
            (5, _) => onnx.facts.push(fact("model version")),
            (7 | 8 | 14, Wire::Bytes(bytes)) if inner.len() < MAX_TEXT => inner.push((field.number, field.at, *bytes)),
            _ => {}
        }
    }
    if !inner.iter().any(|(number, _, _)| *number == 7) {
        faults.add(None, "a protocol buffer without a graph: it is no ONNX model, or it is damaged");
    }
    for (number, base, bytes) in inner {
        let mut message = Message { bytes, at: 0, base, faults: &mut faults };
        match number {
            7 => graph(&mut message, &mut onnx, &mut operators),
            8 => {
                let (domain, version) = pair(&mut message);
                let domain = if domain.is_empty() { "ai.onnx".into() } else { domain };
                onnx.facts.push(Fact { name: format!("operators of {domain}"), value: format!("version {version}") });
            }
            _ => {
                let (key, value) = pair(&mut message);
                onnx.metadata.insert(key, value);
            }
        }
    }
    let used: Vec<String> = operators.iter().map(|(name, count)| format!("{name} {count}")).collect();
    if !used.is_empty() {
        onnx.facts.push(Fact { name: "operators used".into(), value: used.join(", ") });
    }
    onnx.faults = faults;
    onnx
}

/// The first two fields of a message, as texts.
fn pair(message: &mut Message<'_, '_>) -> (String, String) {
    let mut pair = (String::new(), String::new());
    while let Some(field) = message.next() {
        match field.number {
            1 => pair.0 = field.text(),
            2 => pair.1 = field.text(),
            _ => {}
        }
    }
    pair
}

/// `GraphProto`: node 1, name 2, initializer 5.
fn graph(graph: &mut Message<'_, '_>, onnx: &mut Onnx, operators: &mut BTreeMap<String, u64>) {
    while let Some(field) = graph.next() {
        let Wire::Bytes(bytes) = field.value else { continue };
        let mut inner = Message { bytes, at: 0, base: field.at, faults: &mut *graph.faults };
        match field.number {
            1 => {
                // NodeProto: op_type 4.
                while let Some(part) = inner.next() {
                    if part.number == 4 && operators.len() < MAX_OPERATORS {
                        *operators.entry(part.text()).or_default() += 1;
                    }
                }
            }
            2 => onnx.facts.push(Fact { name: "graph".into(), value: field.text() }),
            5 if onnx.tensors.len() < MAX_TENSORS => {
                let tensor = tensor(&mut inner);
                onnx.tensors.push(tensor);
            }
            _ => {}
        }
    }
}

/// `TensorProto`: dims 1, data_type 2, name 8, raw_data 9, external_data 13.
fn tensor(message: &mut Message<'_, '_>) -> Tensor {
    let mut tensor = Tensor::default();
    while let Some(field) = message.next() {
        match (field.number, &field.value) {
            (1, Wire::Varint(n)) if tensor.shape.len() < 16 => tensor.shape.push(*n),
            (1, Wire::Bytes(packed)) => {
                let mut dims = Message { bytes: packed, at: 0, base: field.at, faults: &mut *message.faults };
                while tensor.shape.len() < 16
                    && let Some(n) = dims.varint()
                {
                    tensor.shape.push(n);
                }
            }
            (2, Wire::Varint(n)) => tensor.dtype = dtype(*n),
            (8, _) => tensor.name = field.text(),
            // float_data, int32_data, int64_data, raw_data, double_data, uint64_data.
            (4 | 5 | 7 | 9 | 10 | 11, Wire::Bytes(bytes)) => {
                tensor.bytes = bytes.len() as u64;
                tensor.at = Some(field.at as u64);
            }
            (13, Wire::Bytes(bytes)) => {
                let mut inner = Message { bytes, at: 0, base: field.at, faults: &mut *message.faults };
                let (key, value) = pair(&mut inner);
                if key == "location" {
                    let is_plain =
                        !value.starts_with(['/', '\\', '.']) && !value.contains("..") && !value.contains(':');
                    if !is_plain {
                        let what = format_args!("a tensor's numbers lie in `{value}`, outside the model's folder");
                        message.faults.at(field.at, what);
                    }
                    tensor.file = Some(value);
                }
            }
            _ => {}
        }
    }
    tensor
}

fn dtype(number: u64) -> String {
    const NAMES: [&str; 24] = [
        "undefined",
        "float32",
        "uint8",
        "int8",
        "uint16",
        "int16",
        "int32",
        "int64",
        "string",
        "bool",
        "float16",
        "float64",
        "uint32",
        "uint64",
        "complex64",
        "complex128",
        "bfloat16",
        "float8e4m3fn",
        "float8e4m3fnuz",
        "float8e5m2",
        "float8e5m2fnuz",
        "uint4",
        "int4",
        "float4e2m1",
    ];
    let name = usize::try_from(number).ok().and_then(|number| NAMES.get(number));
    name.map_or_else(|| format!("type {number}"), |name| (*name).to_owned())
}
