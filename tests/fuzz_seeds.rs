//! Every seed of the fuzz targets, and so everything that fuzzing has found, through the same functions.

use std::fs;
use std::path::Path;

#[path = "../fuzz/targets.rs"]
mod targets;

/// Runs the seeds of a target; a fault names its seed.
fn run(name: &str, target: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(name);
    let entries = fs::read_dir(&folder).expect("the folder of seeds");
    let mut seeds: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    seeds.sort();
    assert!(!seeds.is_empty(), "no seeds in {}", folder.display());
    for seed in seeds {
        let bytes = fs::read(&seed).expect("a seed");
        if let Err(fault) = std::panic::catch_unwind(|| target(&bytes)) {
            let said = fault.downcast_ref::<String>().map(String::as_str).or(fault.downcast_ref::<&str>().copied());
            panic!("{}: {}", seed.display(), said.unwrap_or("a panic"));
        }
        // Cut short anywhere, an input is still only refused.
        for length in (0..bytes.len()).step_by(bytes.len().div_ceil(50).max(1)) {
            if std::panic::catch_unwind(|| target(&bytes[..length])).is_err() {
                panic!("{}, its first {length} bytes", seed.display());
            }
        }
    }
}

#[test]
fn gguf() {
    run("gguf", targets::gguf);
}

#[test]
fn safetensors() {
    run("safetensors", targets::safetensors);
}

#[test]
fn pickle() {
    run("pickle", targets::pickle);
}

#[test]
fn inspect() {
    run("inspect", targets::inspect);
}

#[test]
fn tokenizer() {
    run("tokenizer", targets::tokenizer);
}

#[test]
fn template() {
    run("template", targets::template);
}

#[test]
fn grammar() {
    run("grammar", targets::grammar);
}
