//! The report of a GGUF file.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use super::{Fact, Memory, Report, Shape, Tensor, Wanted, held_bytes};
use crate::engine::gguf::{Header, Pair, StoredType, Value};

/// Items of an array that are shown.
const SHOWN: usize = 8;
/// Bytes of a text that are shown unless all was wanted.
const SHOWN_TEXT: usize = 2048;
const TEMPLATE: &str = "tokenizer.chat_template";

pub(super) fn read(bytes: &[u8], wanted: &Wanted, report: &mut Report) {
    let header = Header::read(bytes);
    let values = Values { map: &header.metadata, bytes };
    report.format = format!("GGUF version {}, little-endian", header.version);
    for (name, key) in [
        ("name", "general.name"),
        ("architecture", "general.architecture"),
        ("size", "general.size_label"),
        ("licence", "general.license"),
        ("source", "general.source.url"),
        ("quantised by", "general.quantized_by"),
    ] {
        if let Some(Value::Text(text)) = values.get(key) {
            report.fact(name, text);
        }
    }
    let shape = shape_of(&values);
    for (name, key) in [
        ("layers", "block_count"),
        ("width", "embedding_length"),
        ("heads", "attention.head_count"),
        ("key/value heads", "attention.head_count_kv"),
        ("experts", "expert_count"),
        ("reads", "context_length"),
    ] {
        if let Some(Value::Int(n)) = values.of_architecture(key) {
            report.fact(name, if name == "reads" { format!("{n} tokens at most") } else { n.to_string() });
        }
    }
    unread_types(&header, report);
    if let Some(shape) = shape {
        let weights = header.tensors.iter().map(|t| held_bytes(t.stored.ggml_type, &t.shape, t.bytes.len() as u64));
        report.memory = Some(Memory::new(weights.fold(0, u64::saturating_add), &shape, wanted.context));
    }
    report.tokenizer = tokenizer(&values);
    report.template = match values.get(TEMPLATE) {
        Some(Value::Text(text)) => Some(text.clone()),
        _ => None,
    };
    report.metadata = header
        .metadata
        .iter()
        .filter(|(key, _)| *key != TEMPLATE)
        .map(|(key, pair)| (key.clone(), values.shown(&pair.value, wanted.all)))
        .collect();
    report.tensors = header
        .tensors
        .iter()
        .map(|entry| Tensor {
            name: entry.name.clone(),
            dtype: entry.stored.name.to_owned(),
            shape: entry.shape.iter().map(|d| *d as u64).collect(),
            bytes: entry.bytes.len() as u64,
            at: Some(entry.bytes.start as u64),
            file: None,
        })
        .collect();
    report.faults = header.faults;
    report.remarks.listed.extend(header.remarks.listed);
    report.remarks.unlisted += header.remarks.unlisted;
}

/// Says which tensors keep osai from running the file.
fn unread_types(header: &Header, report: &mut Report) {
    let mut unread: BTreeMap<&str, (usize, &str)> = BTreeMap::new();
    let tensors = header.tensors.iter().filter(|t| t.stored.ggml_type.is_none());
    for (StoredType { name, .. }, tensor) in tensors.map(|t| (t.stored, t)) {
        unread.entry(name).or_insert((0, &tensor.name)).0 += 1;
    }
    for (dtype, (count, first)) in unread {
        let what =
            format_args!("{count} tensors are of type {dtype}, which osai does not run (`{first}` is the first)");
        report.remarks.add(None, what);
    }
}

struct Values<'a> {
    map: &'a BTreeMap<String, Pair>,
    bytes: &'a [u8],
}

impl Values<'_> {
    fn get(&self, key: &str) -> Option<&Value> {
        self.map.get(key).map(|pair| &pair.value)
    }

    fn of_architecture(&self, key: &str) -> Option<&Value> {
        match self.get("general.architecture") {
            Some(Value::Text(architecture)) => self.get(&format!("{architecture}.{key}")),
            _ => None,
        }
    }

    fn uint(&self, key: &str) -> Option<u64> {
        match self.of_architecture(key)? {
            Value::Int(n) => u64::try_from(*n).ok(),
            _ => None,
        }
    }

    /// A number for each layer: one for all, or an array of 32-bit numbers.
    fn for_each_layer(&self, key: &str, layers: u64) -> Option<u64> {
        match self.of_architecture(key)? {
            Value::Int(n) => u64::try_from(*n).ok()?.checked_mul(layers),
            Value::Array { item: 4 | 5, bytes, .. } => Some(
                self.bytes[bytes.clone()].as_chunks::<4>().0.iter().map(|n| u64::from(u32::from_le_bytes(*n))).sum(),
            ),
            _ => None,
        }
    }

    /// The texts of an array; borrowed from the file, wrong bytes replaced.
    fn texts(&self, key: &str) -> impl Iterator<Item = std::borrow::Cow<'_, str>> {
        let range = match self.get(key) {
            Some(Value::Array { item: 8, bytes, .. }) => bytes.clone(),
            _ => 0..0,
        };
        let mut rest = &self.bytes[range];
        std::iter::from_fn(move || {
            let (len, tail) = rest.split_first_chunk::<8>()?;
            let (text, tail) = tail.split_at_checked(usize::try_from(u64::from_le_bytes(*len)).ok()?)?;
            rest = tail;
            Some(String::from_utf8_lossy(text))
        })
    }

    fn shown(&self, value: &Value, all: bool) -> Json {
        match value {
            Value::Int(n) => i64::try_from(*n).map_or_else(|_| json!(*n as u64), |n| json!(n)),
            // Most are 32 bits wide in the file; 1e-5 should not become 0.0000099999997.
            Value::Float(x) if f64::from(*x as f32) == *x => json!(short(*x as f32)),
            Value::Float(x) => json!(x),
            Value::Bool(b) => json!(b),
            Value::Text(text) if all || text.len() <= SHOWN_TEXT => json!(text),
            Value::Text(text) => {
                let end = (0..=SHOWN_TEXT).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
                json!(format!("{} … ({} bytes)", &text[..end], text.len()))
            }
            Value::Array { item, len, bytes } => {
                let kept = if all { *len } else { SHOWN };
                let items = items(*item, &self.bytes[bytes.clone()], kept);
                if items.len() == *len { Json::Array(items) } else { json!({ "items": len, "first": items }) }
            }
        }
    }
}

/// The shortest decimal that means the same `f32`.
fn short(x: f32) -> f64 {
    x.to_string().parse().unwrap_or(f64::from(x))
}

fn items(kind: u32, bytes: &[u8], most: usize) -> Vec<Json> {
    let mut rest = bytes;
    let mut out = Vec::new();
    while out.len() < most {
        let width = match kind {
            0 | 1 | 7 => 1,
            2 | 3 => 2,
            4..=6 => 4,
            8 => match rest.first_chunk::<8>().map(|len| usize::try_from(u64::from_le_bytes(*len))) {
                Some(Ok(len)) => len.saturating_add(8),
                _ => break,
            },
            _ => 8,
        };
        let Some((raw, tail)) = rest.split_at_checked(width) else { break };
        rest = tail;
        let number = super::pickle::number(&raw[..raw.len().min(8)]);
        out.push(match kind {
            0 | 2 | 4 | 10 => json!(number),
            1 => json!(number as i8),
            3 => json!(number as i16),
            5 => json!(number as i32),
            11 => json!(number as i64),
            6 => json!(short(f32::from_bits(number as u32))),
            12 => json!(f64::from_bits(number)),
            7 => json!(number != 0),
            _ => json!(String::from_utf8_lossy(&raw[8..])),
        });
    }
    out
}

fn shape_of(values: &Values<'_>) -> Option<Shape> {
    let layers = values.uint("block_count")?;
    let heads = values.uint("attention.head_count").unwrap_or(0);
    let kv_heads = values
        .for_each_layer("attention.head_count_kv", layers)
        .or_else(|| values.for_each_layer("attention.head_count", layers))?;
    let head = || values.uint("embedding_length")?.checked_div(heads);
    let key = values.uint("attention.key_length").or_else(head)?;
    let value = values.uint("attention.value_length").or_else(head)?;
    let kv_floats = kv_heads.checked_mul(key.checked_add(value)?)?;
    Some(Shape { kv_floats, context: values.uint("context_length").unwrap_or(0) })
}

fn tokenizer(values: &Values<'_>) -> Vec<Fact> {
    let mut facts = Vec::new();
    let mut fact = |name: &str, value: String| facts.push(Fact { name: name.into(), value });
    let len = |key: &str| match values.get(key) {
        Some(Value::Array { len, .. }) => Some(*len),
        _ => None,
    };
    for (name, key) in [("kind", "tokenizer.ggml.model"), ("splits by", "tokenizer.ggml.pre")] {
        if let Some(Value::Text(text)) = values.get(key) {
            fact(name, text.clone());
        }
    }
    if let Some(len) = len("tokenizer.ggml.tokens") {
        fact("vocabulary", format!("{len} tokens"));
    }
    if let Some(len) = len("tokenizer.ggml.merges") {
        fact("merges", len.to_string());
    }
    if let Some(Value::Array { item: 4 | 5, bytes, .. }) = values.get("tokenizer.ggml.token_type") {
        let special = values.bytes[bytes.clone()].as_chunks::<4>().0.iter().filter(|t| u32::from_le_bytes(**t) == 3);
        fact("special", special.count().to_string());
    }
    for (name, key) in [
        ("begins with", "tokenizer.ggml.bos_token_id"),
        ("ends with", "tokenizer.ggml.eos_token_id"),
        ("pads with", "tokenizer.ggml.padding_token_id"),
    ] {
        if let Some(Value::Int(id)) = values.get(key) {
            let text = usize::try_from(*id).ok().and_then(|id| values.texts("tokenizer.ggml.tokens").nth(id));
            fact(name, format!("{id} {}", text.unwrap_or("(no such token)".into())));
        }
    }
    facts
}
