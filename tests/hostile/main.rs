//! More than 500 hostile files: each is refused in one sentence, inspected without a panic, and costs little memory.
//!
//! The files are made by code: tables of values that a field may be given, hand-written cases, and every truncation.
//! Memory is counted by an allocator, not by a clock or the operating system, so the bound holds on any machine.

#![allow(clippy::print_stdout, reason = "the counts, shown with --nocapture")]
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod allocated;
mod archives;
mod gguf;
mod weights;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use osai::engine::EngineError;
use osai::engine::gguf::Gguf;
use osai::engine::inspect::{Verdict, Wanted, inspect, inspect_bytes};
use osai::engine::safetensors::Safetensors;
use osai::text::SafeText;

/// Bytes that looking at one hostile file may take beyond the file itself.
const MEMORY: usize = 200 << 20;

/// A file that must be refused.
pub struct Case {
    /// What is hostile about it.
    name: String,
    bytes: Vec<u8>,
}

impl Case {
    fn new(name: impl Into<String>, bytes: Vec<u8>) -> Self {
        Self { name: name.into(), bytes }
    }
}

/// One sentence that a person can read: a line, not too long, nothing that a terminal would obey.
fn check_sentence(case: &str, error: &EngineError) {
    let told = error.to_string();
    let shown = SafeText::line(told.clone());
    assert!(!told.contains('\n'), "{case}: {told:?}");
    assert!((10..1500).contains(&told.len()), "{case}: {} bytes: {told:?}", told.len());
    assert!(!shown.as_str().chars().any(char::is_control), "{case}: {shown}");
}

/// Opens and inspects each file; gives the largest number of bytes that one took.
fn refuse_all(file: &str, cases: &[Case], open: impl Fn(&Path) -> Option<EngineError>) -> usize {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(file);
    let mut most = 0;
    for case in cases {
        fs::write(&path, &case.bytes).unwrap();
        let (error, taken) = allocated::peak_of(|| open(&path));
        let error = error.unwrap_or_else(|| panic!("{}: accepted", case.name));
        check_sentence(&case.name, &error);
        let (report, more) = allocated::peak_of(|| inspect_bytes(&case.bytes, &path, &Wanted::default()));
        assert!(report.verdict >= Verdict::Unknown, "{}: {:?}", case.name, report.verdict);
        assert!(serde_json::to_string(&report).is_ok(), "{}", case.name);
        let taken = taken.max(more);
        assert!(taken <= MEMORY, "{}: {taken} bytes", case.name);
        most = most.max(taken);
    }
    println!("{}: {} hostile files, at most {} kB each", file, cases.len(), most / 1000);
    most
}

fn no_twins(cases: &[Case]) {
    let mut seen = BTreeMap::new();
    for case in cases {
        if let Some(other) = seen.insert(&case.bytes, &case.name) {
            panic!("`{}` and `{other}` are the same file", case.name);
        }
    }
}

#[test]
fn hostile_gguf_headers_are_refused() {
    let cases = gguf::cases();
    no_twins(&cases);
    assert!(cases.len() >= 400, "{} cases", cases.len());
    refuse_all("m.gguf", &cases, |path| Gguf::open(path).err());
    refuse_all("m.gguf", &gguf::truncations(), |path| Gguf::open(path).err());
}

#[test]
fn hostile_safetensors_are_refused() {
    let cases = weights::cases();
    no_twins(&cases);
    assert!(cases.len() >= 90, "{} cases", cases.len());
    refuse_all("m.safetensors", &cases, |path| Safetensors::open(path).err());
    refuse_all("m.safetensors", &weights::truncations(), |path| Safetensors::open(path).err());
}

/// Pickles and archives are no models for osai whatever is in them; here the verdict counts.
#[test]
fn hostile_archives_and_pickles_are_never_called_sound() {
    let cases = archives::cases();
    no_twins(&cases);
    assert!(cases.len() >= 90, "{} cases", cases.len());
    refuse_all("m.pt", &cases, |path| Gguf::open(path).err());
}

#[test]
fn harmless_neighbours_are_accepted() {
    let dir = tempfile::tempdir().unwrap();
    let files = [
        ("m.gguf", gguf::good()),
        ("m.safetensors", weights::good()),
        ("m.pt", archives::good()),
        ("m.npz", archives::npz()),
    ];
    for (name, bytes) in files {
        let path = dir.path().join(name);
        fs::write(&path, bytes).unwrap();
        let report = inspect(&path, &Wanted { all: true, context: Some(10) }).unwrap();
        assert_eq!(report.verdict, Verdict::Sound, "{name}: {:?} {:?}", report.faults, report.remarks);
        assert!(!report.tensors.is_empty(), "{name}");
    }
}

/// Two gigabytes that are not on the disk: a text, an array and a tensor that claim them.
#[test]
fn a_sparse_giant_is_refused_without_touching_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("m.gguf");
    for bytes in gguf::giants() {
        fs::write(&path, bytes).unwrap();
        fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(2 << 30).unwrap();
        let (error, taken) = allocated::peak_of(|| Gguf::open(&path).err());
        check_sentence("giant", &error.unwrap());
        assert!(taken < 1 << 20, "{taken} bytes");
    }
}
