//! Every family and every type against llama.cpp, on small models with random weights (`common/families.rs`).
//!
//! The facts are in `tests/reference/families/`, made by `tests/tools/family_reference.py` (its head says how). On F32
//! files the text is llama.cpp's to the last of 64 tokens, and its logits are met within 1 part in 1,000. On the other
//! types both engines round activations, each in its way; there the next token is compared along llama.cpp's own text
//! where its choice was clear, and the whole distribution by its divergence.

#![allow(clippy::print_stdout, reason = "the table of agreement, shown with --nocapture")]

#[path = "common/families.rs"]
mod families;
#[path = "common/vocabulary.rs"]
mod vocabulary;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use osai::engine::gguf::GgmlType;
use osai::engine::{Isa, Model, Options};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use families::{Family, VOCAB, families, prompt};

/// Where llama.cpp's first and second logit are closer than this, the engines may choose differently.
const MARGIN: f32 = 0.05;
/// Logits of F32 files differ by this share of the largest at most.
const TOLERANCE: f32 = 1e-3;
/// Share of clear choices that must be the same.
const AGREEMENT: f64 = 0.95;
/// Mean divergence of our distribution from llama.cpp's, in nats, at most.
const DIVERGENCE: f64 = 1e-3;
/// All logits are kept at every eighth of the tokens.
const EVERY: usize = 8;

#[derive(Deserialize)]
struct Facts {
    maker: String,
    prompt: Vec<u32>,
    types: BTreeMap<String, TypeFacts>,
}

#[derive(Deserialize)]
struct TypeFacts {
    sha256: String,
    tokens: Vec<u32>,
    margins: Vec<f32>,
    /// Largest magnitude, ids, their logits; for each token.
    #[serde(default)]
    values: Vec<(f32, Vec<usize>, Vec<f32>)>,
    /// Base64 of the logits as f16; for every eighth token.
    #[serde(default)]
    logits: Vec<String>,
}

fn facts(family: &Family) -> Facts {
    let name = family.name.strip_suffix("-split").unwrap_or(family.name);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/reference/families/{name}.json"));
    let facts: Facts = serde_json::from_str(&fs::read_to_string(path).expect("the facts")).expect("the facts are JSON");
    assert!(facts.maker.contains("llama.cpp") && facts.prompt == prompt());
    facts
}

/// A family's file of a type in `folder`; it must be the very file that llama.cpp read.
fn file(family: &Family, ggml_type: GgmlType, facts: &TypeFacts, folder: &Path) -> PathBuf {
    let path = folder.join(format!("{}.{}.gguf", family.name, ggml_type.name()));
    family.write(ggml_type, &path);
    let hash: String = Sha256::digest(fs::read(&path).expect("written")).iter().map(|b| format!("{b:02x}")).collect();
    assert!(
        hash == facts.sha256 || family.name.ends_with("-split"),
        "{} is not the file of the reference: make it anew with tests/tools/family_reference.py",
        path.display()
    );
    path
}

fn open(path: &Path, isa: Option<Isa>, threads: usize) -> Model {
    Model::open_with(path, Options { threads: Some(threads), isa, ..Options::default() })
        .unwrap_or_else(|e| panic!("{e}"))
}

fn best(logits: &[f32]) -> u32 {
    (0..logits.len()).max_by(|a, b| logits[*a].total_cmp(&logits[*b])).expect("a vocabulary") as u32
}

fn from_base64(text: &str) -> Vec<u8> {
    let digit = |c: u8| match c {
        b'A'..=b'Z' => c - b'A',
        b'a'..=b'z' => c - b'a' + 26,
        b'0'..=b'9' => c - b'0' + 52,
        b'+' => 62,
        _ => 63,
    };
    let bits = |four: &[u8]| four.iter().fold(0_u32, |bits, c| bits << 6 | u32::from(digit(*c)));
    let padding = text.bytes().filter(|c| *c == b'=').count();
    let mut bytes: Vec<u8> =
        text.as_bytes().chunks(4).flat_map(|four| bits(four).to_be_bytes().into_iter().skip(1)).collect();
    bytes.truncate(bytes.len() - padding);
    bytes
}

fn from_f16(bytes: &[u8]) -> Vec<f64> {
    bytes.as_chunks::<2>().0.iter().map(|b| half::f16::from_le_bytes(*b).to_f64()).collect()
}

/// Logarithms of the probabilities.
fn log_probabilities(logits: &[f64]) -> Vec<f64> {
    let most = logits.iter().copied().fold(f64::MIN, f64::max);
    let sum: f64 = logits.iter().map(|l| (l - most).exp()).sum();
    logits.iter().map(|l| l - most - sum.ln()).collect()
}

fn divergence(from: &[f64], of: &[f32]) -> f64 {
    let p = log_probabilities(from);
    let q = log_probabilities(&of.iter().map(|l| f64::from(*l)).collect::<Vec<_>>());
    p.iter().zip(&q).map(|(p, q)| p.exp() * (p - q)).sum()
}

/// How near we are to llama.cpp on one file.
struct Nearness {
    /// Clear choices that are the same, of how many.
    same: (usize, usize),
    /// Of F32: largest difference of a logit, relative to the largest logit. Otherwise the mean divergence.
    distance: f64,
}

fn compare(model: &mut Model, facts: &TypeFacts, is_f32: bool) -> Nearness {
    let mut text = prompt();
    let first = text.len() - 1;
    text.extend(&facts.tokens[..facts.tokens.len() - 1]);
    let all = model.all_logits(&text, 64);
    let rows: Vec<&[f32]> = all.chunks_exact(VOCAB).skip(first).collect();
    assert_eq!(rows.len(), facts.tokens.len());
    let is_clear = |step: &usize| is_f32 || facts.margins[*step] > MARGIN;
    let clear: Vec<usize> = (0..rows.len()).filter(is_clear).collect();
    let same = clear.iter().filter(|step| best(rows[**step]) == facts.tokens[**step]).count();
    let distance = if is_f32 {
        let differences = rows.iter().zip(&facts.values).flat_map(|(row, (most, ids, values))| {
            ids.iter().zip(values).map(move |(id, value)| f64::from((row[*id] - value).abs() / most))
        });
        differences.fold(0.0, f64::max)
    } else {
        let steps = (EVERY - 1..rows.len()).step_by(EVERY);
        let sum: f64 = steps.zip(&facts.logits).map(|(at, l)| divergence(&from_f16(&from_base64(l)), rows[at])).sum();
        sum / facts.logits.len() as f64
    };
    Nearness { same: (same, clear.len()), distance }
}

/// Compares a family's files with llama.cpp's facts, all of them before it fails.
fn compare_with_llama_cpp(name: &str) {
    let family = families().into_iter().find(|family| family.name == name).expect("a family");
    let facts = facts(&family);
    let folder = tempfile::tempdir().expect("a folder");
    let mut faults = vec![];
    for ggml_type in family.types() {
        let is_f32 = ggml_type == GgmlType::F32;
        let facts = &facts.types[ggml_type.name()];
        let path = file(&family, ggml_type, facts, folder.path());
        let Nearness { same, distance } = compare(&mut open(&path, None, 2), facts, is_f32);
        let share = same.0 as f64 / same.1 as f64;
        let line = format!(
            "{name:14} {:5} {}/{} clear choices the same, {} {distance:.2e}",
            ggml_type.name(),
            same.0,
            same.1,
            if is_f32 { "logits within" } else { "divergence" }
        );
        println!("{line}");
        let is_near = if is_f32 {
            same.0 == same.1 && distance <= f64::from(TOLERANCE)
        } else {
            same.1 >= 30 && share >= AGREEMENT && distance <= DIVERGENCE
        };
        if !is_near {
            faults.push(line);
        }
        fs::remove_file(path).expect("removed");
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// Whatever runs it, the bits are the same: instruction set, threads, chunks of the prompt, cache.
fn same_bits_everywhere(name: &str) {
    let family = families().into_iter().find(|family| family.name == name).expect("a family");
    let folder = tempfile::tempdir().expect("a folder");
    let text = &prompt()[..20];
    for ggml_type in family.types() {
        let path = folder.path().join("m.gguf");
        family.write(ggml_type, &path);
        let bits = |isa, threads, chunk| -> Vec<u32> {
            open(&path, Some(isa), threads).all_logits(text, chunk).iter().map(|l| l.to_bits()).collect()
        };
        let want = bits(Isa::detect(), 1, 64);
        for (threads, chunk) in [(3, 64), (1, 1), (2, 7)] {
            let got = bits(Isa::detect(), threads, chunk);
            assert!(got == want, "{name} {}: {threads} threads, chunks of {chunk}", ggml_type.name());
        }
        for isa in Isa::available().into_iter().skip(1) {
            assert!(bits(isa, 2, 64) == want, "{name} {}: {isa:?} is not {:?}", ggml_type.name(), Isa::detect());
        }
    }
}

macro_rules! every_family {
    ($($module:ident: $name:literal),+ $(,)?) => {
        $(mod $module {
            #[test]
            fn agrees_with_llama_cpp() {
                super::compare_with_llama_cpp($name);
            }

            #[test]
            fn gives_the_same_bits_everywhere() {
                super::same_bits_everywhere($name);
            }
        })+

        #[test]
        fn no_family_is_forgotten() {
            let names: Vec<&str> = families().iter().map(|family| family.name).collect();
            assert_eq!(names, [$($name),+]);
        }
    };
}

every_family! {
    llama2: "llama2",
    llama2_linear: "llama2-linear",
    llama2_yarn: "llama2-yarn",
    llama2_narrow: "llama2-narrow",
    llama3: "llama3",
    mistral: "mistral",
    mixtral: "mixtral",
    mixtral_split: "mixtral-split",
    qwen2: "qwen2",
    qwen2moe: "qwen2moe",
    qwen3: "qwen3",
    qwen3moe: "qwen3moe",
    gemma: "gemma",
    gemma2: "gemma2",
    gemma3: "gemma3",
    olmo2: "olmo2",
    olmo3: "olmo3",
    phi3_longrope: "phi3-longrope",
    phi3: "phi3",
    smollm3: "smollm3",
    granite: "granite",
}

/// For `tests/tools/family_reference.py`.
#[test]
#[ignore = "writes 250 MB of model files for the script that makes the references"]
fn write_models() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("families");
    fs::create_dir_all(&folder).expect("a folder");
    for family in families() {
        for ggml_type in family.types() {
            family.write(ggml_type, &folder.join(format!("{}.{}.gguf", family.name, ggml_type.name())));
        }
    }
    println!("the prompt is {:?}; the files are in {}", prompt(), folder.display());
}
