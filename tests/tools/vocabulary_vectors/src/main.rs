//! How many of llama.cpp's vocabulary vectors each tokenizer library gets right.
//!
//! The vectors are `models/ggml-vocab-*.gguf` with `.inp` and `.out` in llama.cpp's source, which the source package
//! of `llama-cpp-python` carries under `vendor/llama.cpp`. They are not part of osai.
//!
//! ```text
//! cargo run --release --manifest-path tests/tools/vocabulary_vectors/Cargo.toml -- FOLDER
//! cargo run --release --manifest-path tests/tools/vocabulary_vectors/Cargo.toml -- FOLDER --show qwen35
//! ```
//!
//! Prints a Markdown table: texts cut as llama.cpp cuts them, of all texts, and the time to open. A refusal is `-`;
//! with `--show NAME` the refusals and the first differing texts of that vocabulary go to the error stream.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::Instant;

use candle_core::quantized::{gguf_file, tokenizer::TokenizerFromGguf};
use osai::engine::Tokenizer;
use osai::engine::gguf::Gguf;
use splintr::SpecialMode;

type Cut = Box<dyn Fn(&str) -> Vec<u32>>;
type Open = fn(&Path) -> Result<Cut, Box<dyn Error>>;

const LIBRARIES: [(&str, Open); 4] =
    [("osai", osai), ("splintr", splintr), ("shimmytok", shimmytok), ("tokenizers (by candle)", candle)];

fn osai(path: &Path) -> Result<Cut, Box<dyn Error>> {
    let tokenizer = Tokenizer::from_gguf(&Gguf::open(path)?)?;
    Ok(Box::new(move |text| tokenizer.encode(text)))
}

/// splintr with the metadata as they are: what it gives without osai around it.
fn splintr(path: &Path) -> Result<Cut, Box<dyn Error>> {
    let file = Gguf::open(path)?;
    let key = |name: &str| format!("tokenizer.ggml.{name}");
    let id = |name: &str| file.uint(&key(&format!("{name}_token_id"))).map(|id| id as u32);
    let tokenizer = splintr::from_gguf_vocab(splintr::GgufVocab {
        model: file.text(&key("model")).unwrap_or_default().to_owned(),
        tokens: file.texts(&key("tokens")).unwrap_or_default(),
        scores: file.words(&key("scores"), f32::from_le_bytes),
        merges: file.texts(&key("merges")),
        token_type: file.words(&key("token_type"), u32::from_le_bytes),
        add_space_prefix: file.bool(&key("add_space_prefix")),
        remove_extra_whitespaces: file.bool(&key("remove_extra_whitespaces")),
        add_bos_token: Some(false),
        add_eos_token: Some(false),
        bos_token_id: id("bos"),
        eos_token_id: id("eos"),
        unknown_token_id: id("unknown"),
        padding_token_id: id("padding"),
        cls_token_id: id("cls"),
        sep_token_id: id("seperator"),
        pre: file.text(&key("pre")).map(str::to_owned),
        precompiled_charsmap: None,
    })?;
    let wordpiece = tokenizer.family() == "WordPiece";
    Ok(Box::new(move |text| {
        let ids = tokenizer.encode_with(text, &SpecialMode::Ordinary).unwrap_or_default();
        // Its template for BERT always writes [CLS] and [SEP]; the vectors are without.
        if wordpiece { ids[1..ids.len() - 1].to_vec() } else { ids }
    }))
}

fn shimmytok(path: &Path) -> Result<Cut, Box<dyn Error>> {
    let tokenizer = shimmytok::Tokenizer::from_gguf_file(path)?;
    Ok(Box::new(move |text| tokenizer.encode(text, false).unwrap_or_default()))
}

/// Hugging Face's own library reads no GGUF; candle has a conversion for byte-level BPE.
fn candle(path: &Path) -> Result<Cut, Box<dyn Error>> {
    let content = gguf_file::Content::read(&mut std::fs::File::open(path)?)?;
    let tokenizer = tokenizers::Tokenizer::from_gguf(&content)?;
    Ok(Box::new(move |text| tokenizer.encode(text, false).map_or(vec![], |e| e.get_ids().to_vec())))
}

/// A text and llama.cpp's tokens for it.
fn vectors(vocabulary: &Path) -> Result<Vec<(String, Vec<u32>)>, Box<dyn Error>> {
    let beside = |end: &str| PathBuf::from(format!("{}.{end}", vocabulary.display()));
    let texts = std::fs::read_to_string(beside("inp"))?;
    let ids = std::fs::read_to_string(beside("out"))?;
    let mut out = vec![];
    for (text, line) in texts.split("\n__ggml_vocab_test__\n").zip(ids.lines()) {
        out.push((text.to_owned(), line.split_whitespace().map(str::parse).collect::<Result<_, _>>()?));
    }
    Ok(out)
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let folder = arguments.first().ok_or("usage: vocabulary-vectors FOLDER [--show NAME]")?;
    let show = arguments.iter().position(|a| a == "--show").and_then(|at| arguments.get(at + 1));
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)?.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.retain(|path| path.extension().is_some_and(|e| e == "gguf") && vectors(path).is_ok());
    files.sort();
    println!("| vocabulary | {} |", LIBRARIES.map(|(name, _)| name).join(" | "));
    println!("|---|{}", "---|".repeat(LIBRARIES.len()));
    for path in files {
        let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let name = stem.trim_start_matches("ggml-vocab-");
        let vectors = vectors(&path)?;
        let mut cells = vec![];
        for (library, open) in LIBRARIES {
            let told = show.is_some_and(|show| show == name);
            let started = Instant::now();
            let cut = match open(&path) {
                Ok(cut) => cut,
                Err(why) => {
                    if told {
                        eprintln!("{library}: {why}");
                    }
                    cells.push("-".to_owned());
                    continue;
                }
            };
            let opened = started.elapsed().as_millis();
            let wrong: Vec<_> = vectors.iter().filter(|(text, ids)| cut(text) != *ids).collect();
            for (text, ids) in wrong.iter().take(if told { 5 } else { 0 }) {
                eprintln!("{library}: {text:?}\n  llama.cpp {ids:?}\n  {library} {:?}", cut(text));
            }
            cells.push(format!("{} of {}, {opened} ms", vectors.len() - wrong.len(), vectors.len()));
        }
        println!("| {name} | {} |", cells.join(" | "));
    }
    Ok(())
}
