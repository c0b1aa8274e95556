//! The report of a folder as the Hugging Face hub has them: configuration, weights, tokenizer, model card.

use std::fs;
use std::path::{Path, PathBuf};

use serde::de::{IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value as Json;

use super::{Fact, Memory, Report, Shape, Verdict, Wanted, inspect};
use crate::engine::file::{self, Kind};
use crate::engine::safetensors::{Safetensors, read_index};
use crate::engine::{EngineError, safetensors};

/// Files that are looked at.
const MAX_FILES: usize = 2000;
/// Folders are followed so far.
const MAX_DEPTH: usize = 3;
/// A configuration is not larger.
const MAX_CONFIG_BYTES: usize = 1 << 20;
/// `tokenizer.json` of the largest vocabularies takes about 35 MB.
const MAX_TOKENIZER_BYTES: usize = 64 << 20;

/// Extensions of files with weights, or that pretend to be.
const WEIGHTS: &[&str] = &[
    "safetensors",
    "gguf",
    "bin",
    "pt",
    "pth",
    "ckpt",
    "pkl",
    "pickle",
    "joblib",
    "dill",
    "npz",
    "npy",
    "onnx",
    "h5",
    "keras",
    "tflite",
    "msgpack",
    "zip",
    "ggml",
    "tar",
    "gz",
];

pub(super) fn read(folder: &Path, wanted: &Wanted) -> Result<Report, EngineError> {
    let mut report = Report::new(folder, None, 0);
    let mut files = Vec::new();
    collect(folder, 0, &mut files).map_err(|e| EngineError::Unreadable { path: folder.into(), why: e.to_string() })?;
    if files.len() >= MAX_FILES {
        report.unknown(format_args!("more than {MAX_FILES} files; the others were not looked at"));
    }
    files.sort();
    let here = |name: &str| folder.join(name).is_file();
    let config = json(&folder.join("config.json"), &mut report);
    report.format = match &config {
        Some(_) => "Hugging Face folder".into(),
        None => "folder without a `config.json`".into(),
    };
    if let Some(config) = &config {
        config_facts(config, &mut report);
    }
    for file in files.iter().filter(|file| is_weights(file)) {
        match inspect(file, wanted) {
            Ok(part) => report.parts.push(part),
            Err(e) => report.faults.add(None, e),
        }
    }
    report.bytes = report.parts.iter().map(|part| part.bytes).sum();
    weights(folder, config.as_ref(), wanted, &mut report);
    tokenizer(folder, &mut report);
    card(folder, &mut report);
    let code: Vec<String> = files
        .iter()
        .filter(|file| file.extension().is_some_and(|ext| ext == "py"))
        .filter_map(|file| Some(file.strip_prefix(folder).ok()?.to_string_lossy().into_owned()))
        .collect();
    if !code.is_empty() {
        let what = format_args!("it brings code of its own ({}), which osai never runs", code.join(", "));
        report.remarks.add(None, what);
    }
    if config.is_none() && !here("config.json") && report.parts.is_empty() {
        report.unknown("nothing in it is a model file that osai knows");
    }
    report.finish();
    Ok(report)
}

/// The regular files of a folder and of those in it; hidden ones and linked folders are left alone.
fn collect(folder: &Path, depth: usize, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let path = entry.path();
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            continue;
        }
        if entry.file_type()?.is_dir() {
            if depth < MAX_DEPTH {
                // A folder below that may not be read hides nothing that this user could load.
                let _ = collect(&path, depth + 1, files);
            }
        } else if path.is_file() && files.len() < MAX_FILES {
            files.push(path);
        }
    }
    Ok(())
}

fn is_weights(file: &Path) -> bool {
    let extension = file.extension().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    WEIGHTS.contains(&extension.as_str())
}

/// A small JSON file, if it is there.
fn json(path: &Path, report: &mut Report) -> Option<Json> {
    if !path.is_file() {
        return None;
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let map = file::map(path).map_err(|e| report.faults.add(None, e)).ok()?;
    if map.len() > MAX_CONFIG_BYTES {
        report.faults.add(None, format_args!("`{name}` has {} bytes; at most {MAX_CONFIG_BYTES} are read", map.len()));
        return None;
    }
    serde_json::from_slice(&map).map_err(|e| report.faults.add(None, format_args!("`{name}`: {e}"))).ok()
}

fn config_facts(config: &Json, report: &mut Report) {
    let text_config = config.get("text_config");
    let get = |key: &str| config.get(key).or_else(|| text_config?.get(key));
    for (name, key) in [
        ("architecture", "architectures"),
        ("family", "model_type"),
        ("layers", "num_hidden_layers"),
        ("width", "hidden_size"),
        ("heads", "num_attention_heads"),
        ("key/value heads", "num_key_value_heads"),
        ("experts", "num_local_experts"),
        ("vocabulary", "vocab_size"),
        ("reads", "max_position_embeddings"),
        ("type", "torch_dtype"),
    ] {
        let value = match get(key) {
            Some(Json::String(text)) => text.clone(),
            Some(Json::Array(items)) => items.iter().filter_map(Json::as_str).collect::<Vec<_>>().join(", "),
            Some(Json::Number(n)) if name == "reads" => format!("{n} tokens at most"),
            Some(Json::Number(n)) => n.to_string(),
            _ => continue,
        };
        report.fact(name, value);
    }
    if config.get("auto_map").is_some() {
        report.remarks.add(None, "its configuration asks for code of its own (`auto_map`), which osai never runs");
    }
    if let Some(kind) = config.get("quantization_config").and_then(|q| q.get("quant_method")).and_then(Json::as_str) {
        report.fact("quantised", kind);
    }
}

fn shape_of(config: &Json) -> Option<Shape> {
    let inner = config.get("text_config").unwrap_or(config);
    let number = |key: &str| inner.get(key).and_then(Json::as_u64);
    let heads = number("num_attention_heads")?;
    let head = number("head_dim").or_else(|| number("hidden_size")?.checked_div(heads))?;
    let kv_heads = number("num_key_value_heads").unwrap_or(heads);
    let kv_floats = number("num_hidden_layers")?.checked_mul(kv_heads)?.checked_mul(head)?.checked_mul(2)?;
    Some(Shape { kv_floats, context: number("max_position_embeddings").unwrap_or(0) })
}

/// Whether the safetensors belong together, and what they need.
fn weights(folder: &Path, config: Option<&Json>, wanted: &Wanted, report: &mut Report) {
    let beside = |report: &Report, kind: Kind| report.parts.iter().filter(|part| part.kind == Some(kind)).count();
    let pickles = report.parts.iter().filter(|part| !part.pickles.is_empty()).count();
    if beside(report, Kind::Safetensors) > 0 && pickles > 0 {
        let what = format_args!("{pickles} pickles lie beside the safetensors; osai reads the safetensors only");
        report.remarks.add(None, what);
    }
    if beside(report, Kind::Safetensors) == 0 {
        return;
    }
    let index = folder.join("model.safetensors.index.json");
    if index.is_file()
        && let Ok(files) = read_index(&index)
        && let Some(bad) = files.values().find(|file| !safetensors::is_plain_name(file))
    {
        report.verdict = Verdict::Dangerous;
        report.faults.add(None, format_args!("its index points to `{bad}`, outside the folder"));
    }
    match Safetensors::open(folder) {
        Ok(set) => {
            report.fact(
                "weights",
                format_args!("{} safetensors files, {} tensors", set.files().count(), set.tensors().count()),
            );
            if let Some(shape) = config.and_then(shape_of) {
                let held = set.tensors().map(|t| super::held_bytes(Some(t.ggml_type), &t.shape, t.bytes.len() as u64));
                report.memory = Some(Memory::new(held.fold(0, u64::saturating_add), &shape, wanted.context));
            }
        }
        // The faults of each file are told with it already.
        Err(e) if report.parts.iter().all(|part| part.faults.is_empty()) => report.faults.add(None, e),
        Err(_) => {}
    }
}

fn tokenizer(folder: &Path, report: &mut Report) {
    let path = folder.join("tokenizer.json");
    if path.is_file() {
        match file::map(&path) {
            Ok(map) if map.len() > MAX_TOKENIZER_BYTES => {
                report.faults.add(None, format_args!("`tokenizer.json` has {} bytes", map.len()));
            }
            Ok(map) => match serde_json::from_slice::<TokenizerFile>(&map) {
                Ok(file) => report.tokenizer = file.facts(),
                Err(e) => report.faults.add(None, format_args!("`tokenizer.json`: {e}")),
            },
            Err(e) => report.faults.add(None, e),
        }
    } else if folder.join("tokenizer.model").is_file() {
        report.tokenizer.push(Fact {
            name: "file".into(),
            value: "tokenizer.model (SentencePiece); osai wants `tokenizer.json`".into(),
        });
    }
    let config = json(&folder.join("tokenizer_config.json"), report);
    if let Some(config) = &config {
        for (name, key) in [("class", "tokenizer_class"), ("begins with", "bos_token"), ("ends with", "eos_token")] {
            let value = config.get(key).and_then(|v| v.as_str().or_else(|| v.get("content")?.as_str()));
            report.tokenizer.extend(value.map(|value| Fact { name: name.into(), value: value.to_owned() }));
        }
        report.template = config.get("chat_template").and_then(Json::as_str).map(str::to_owned);
    }
    let template = folder.join("chat_template.jinja");
    if template.is_file()
        && let Ok(map) = file::map(&template)
    {
        report.template = Some(String::from_utf8_lossy(&map[..map.len().min(MAX_CONFIG_BYTES)]).into_owned());
    }
}

/// `tokenizer.json`, counted without being kept.
#[derive(Deserialize)]
struct TokenizerFile {
    #[serde(default)]
    added_tokens: Count,
    model: TokenizerModel,
}

#[derive(Deserialize)]
struct TokenizerModel {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    vocab: Count,
    #[serde(default)]
    merges: Count,
}

impl TokenizerFile {
    fn facts(&self) -> Vec<Fact> {
        let fact = |name: &str, value: String| Fact { name: name.into(), value };
        let mut facts = vec![
            fact("kind", self.model.kind.chars().take(40).collect()),
            fact("vocabulary", format!("{} tokens", self.model.vocab.0)),
            fact("added tokens", self.added_tokens.0.to_string()),
        ];
        if self.model.merges.0 > 0 {
            facts.push(fact("merges", self.model.merges.0.to_string()));
        }
        facts
    }
}

/// How many items an array or object has.
#[derive(Default)]
struct Count(usize);

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Items;
        impl<'de> Visitor<'de> for Items {
            type Value = Count;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an array or an object")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Count, A::Error> {
                let mut count = 0;
                while items.next_element::<IgnoredAny>()?.is_some() {
                    count += 1;
                }
                Ok(Count(count))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut items: A) -> Result<Count, A::Error> {
                let mut count = 0;
                while items.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {
                    count += 1;
                }
                Ok(Count(count))
            }
            fn visit_unit<E>(self) -> Result<Count, E> {
                Ok(Count(0))
            }
        }
        deserializer.deserialize_any(Items)
    }
}

/// The front matter of `README.md`: its plain `key: value` lines.
fn card(folder: &Path, report: &mut Report) {
    let Ok(map) = file::map(&folder.join("README.md")) else { return };
    let text = String::from_utf8_lossy(&map[..map.len().min(MAX_CONFIG_BYTES)]);
    let mut lines = text.lines();
    if lines.next().map(str::trim_end) != Some("---") {
        return;
    }
    for line in lines.take_while(|line| line.trim_end() != "---") {
        let Some((key, value)) = line.split_once(':') else { continue };
        let name = match key {
            "license" => "licence",
            "license_name" => "licence name",
            "license_link" => "licence text",
            "base_model" => "made from",
            "pipeline_tag" => "task",
            "library_name" => "library",
            _ => continue,
        };
        let value = value.trim().trim_matches(['"', '\'']);
        if !value.is_empty() {
            report.fact(name, value);
        }
    }
}
