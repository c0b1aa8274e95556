//! Quantised files are llama.cpp's, to the byte; what cannot be done is refused by name and leaves nothing behind.
//!
//! The facts are in `tests/reference/quantize.json`, made by `tests/tools/quantize_reference.py` (its head says how).

#[allow(dead_code, reason = "families.rs uses all of it")]
#[path = "common/families.rs"]
mod families;
#[path = "common/vocabulary.rs"]
mod vocabulary;

use std::collections::BTreeMap;
use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use osai::engine::gguf::write::Writer;
use osai::engine::gguf::{GgmlType, Gguf};
use osai::engine::quantize::{Quantizing, RECIPES, Recipe, decode, encode, quantize};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use families::{Numbers, TYPES, families};

#[derive(Deserialize)]
struct Facts {
    maker: String,
    /// By model and recipe: SHA-256 of the file.
    files: BTreeMap<String, BTreeMap<String, String>>,
    /// By type: SHA-256 of [`awkward`] in that type.
    blocks: BTreeMap<String, String>,
}

fn facts() -> Facts {
    let facts: Facts = serde_json::from_str(include_str!("reference/quantize.json")).expect("the facts are JSON");
    assert!(facts.maker.contains("llama.cpp"));
    facts
}

/// Families and whether their rows are multiples of 256: with 8 and with fewer experts, with a shared one, fused
/// matrices, norms after each part, an embedding that is also the output.
const MODELS: [(&str, bool); 6] =
    [("llama2", true), ("qwen2", false), ("mixtral", false), ("qwen2moe", true), ("phi3", true), ("gemma3", true)];

fn write_model(name: &str, is_super: bool, path: &Path) {
    let family = families().into_iter().find(|family| family.name == name).expect("a family");
    let shape = family.shape_for(if is_super { GgmlType::Q4_K } else { GgmlType::F32 });
    family.write_shape(shape, GgmlType::F32, path);
}

fn file_name(name: &str, is_super: bool) -> String {
    format!("{name}-{}.gguf", if is_super { "256" } else { "own" })
}

/// Super-blocks of every kind: normal, even, few large ones, zeros, one value, all above 0, tiny, huge, of few values.
fn awkward() -> Vec<f32> {
    let mut numbers = Numbers::named("awkward");
    let kinds: [fn(f32, usize) -> f32; 12] = [
        |x, _| x * 0.05,
        |x, _| (x * 3.0).fract(),
        |x, i| if i % 37 == 0 { x * 9.0 } else { x * 0.01 },
        |_, _| 0.0,
        |_, _| 0.3,
        |x, _| 1.0 + x.abs(),
        |x, _| -1.0 - x.abs(),
        |x, _| x * 1e-14,
        |x, _| x * 1e-30,
        |x, _| x * 1e4,
        |x, i| if i / 16 % 2 == 0 { 0.0 } else { x },
        |x, _| (x * 4.0).round() / 8.0,
    ];
    let mut weights = vec![];
    for kind in kinds {
        weights.extend((0..8 * 256).map(|i| kind(numbers.normal(), i)));
    }
    weights
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
}

fn how(recipe: &str) -> Quantizing {
    Quantizing { recipe: Recipe::named(recipe).expect("a recipe"), requantize: false, threads: 2 }
}

fn run(from: &Path, how: Quantizing, to: &Path) -> Result<osai::engine::quantize::Report, String> {
    let file = Gguf::open(from).expect("a model");
    let outcome = quantize(&file, how, to, &mut |_| ControlFlow::Continue(()));
    outcome.map(|report| report.expect("nobody stops it")).map_err(|e| e.to_string())
}

#[test]
fn blocks_are_ggmls_to_the_byte() {
    let facts = facts();
    assert_eq!(facts.blocks.len(), TYPES.len());
    for ggml_type in TYPES {
        let mut bytes = vec![];
        encode(&awkward(), ggml_type, &mut bytes).expect("a type of files");
        assert_eq!(sha256(&bytes), facts.blocks[ggml_type.name()], "{}", ggml_type.name());
    }
}

#[test]
fn files_are_llama_cpps_to_the_byte() {
    let facts = facts();
    let folder = tempfile::tempdir().expect("a folder");
    let to = folder.path().join("to.gguf");
    for (name, is_super) in MODELS {
        let from = folder.path().join(file_name(name, is_super));
        write_model(name, is_super, &from);
        for recipe in RECIPES {
            run(&from, how(recipe.name), &to).expect("quantised");
            let hash = sha256(&fs::read(&to).expect("written"));
            assert_eq!(hash, facts.files[&file_name(name, is_super)][recipe.name], "{from:?} {}", recipe.name);
        }
    }
}

#[test]
fn the_number_of_threads_changes_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let [from, one, five] = ["from", "one", "five"].map(|name| folder.path().join(name));
    write_model("qwen2moe", true, &from);
    let with = |threads, to: &PathBuf| run(&from, Quantizing { threads, ..how("Q3_K_M") }, to).expect("quantised");
    assert_eq!(with(1, &one).tensors, with(5, &five).tensors);
    assert_eq!(fs::read(one).expect("written"), fs::read(five).expect("written"));
}

/// Codes are the nearest that their scale and minimum have; the error relative to the weights is what the bits allow.
#[test]
fn what_is_read_back_is_within_the_types_error() {
    let mut numbers = Numbers::named("read back");
    let weights: Vec<f32> = (0..64 * 256).map(|_| numbers.normal() * 0.1).collect();
    let rms = |x: &mut dyn Iterator<Item = f64>| {
        let (sum, count) = x.fold((0.0, 0), |(sum, count), x| (sum + x * x, count + 1));
        (sum / f64::from(count)).sqrt()
    };
    for (ggml_type, most) in [
        (GgmlType::F32, 0.0),
        (GgmlType::F16, 3e-4),
        (GgmlType::BF16, 2e-3),
        (GgmlType::Q8_0, 0.006),
        (GgmlType::Q6_K, 0.019),
        (GgmlType::Q5_1, 0.040),
        (GgmlType::Q5_K, 0.038),
        (GgmlType::Q5_0, 0.045),
        (GgmlType::Q4_K, 0.075),
        (GgmlType::Q4_1, 0.083),
        (GgmlType::Q4_0, 0.090),
        (GgmlType::Q3_K, 0.16),
        (GgmlType::Q2_K, 0.31),
    ] {
        let mut bytes = vec![];
        encode(&weights, ggml_type, &mut bytes).expect("a type of files");
        let back = decode(&bytes, ggml_type).expect("decoded");
        let error = rms(&mut weights.iter().zip(&back).map(|(x, y)| f64::from(x - y)));
        let share = error / rms(&mut weights.iter().map(|x| f64::from(*x)));
        assert!(share <= most && (most == 0.0 || share > most / 3.0), "{}: {share:.4}", ggml_type.name());
        // What was rounded once stays as it is.
        if matches!(ggml_type, GgmlType::F32 | GgmlType::F16 | GgmlType::BF16 | GgmlType::Q4_0 | GgmlType::Q8_0) {
            let mut again = vec![];
            encode(&back, ggml_type, &mut again).expect("a type of files");
            assert_eq!(decode(&again, ggml_type).expect("decoded"), back, "{}", ggml_type.name());
        }
    }
}

#[test]
fn a_width_that_a_type_cannot_have_is_told_with_what_it_got_instead() {
    let folder = tempfile::tempdir().expect("a folder");
    let [from, to] = ["from", "to"].map(|name| folder.path().join(name));
    write_model("qwen2", false, &from);
    let report = run(&from, how("q4_k"), &to).expect("quantised");
    let of = |name: &str| report.tensors.iter().find(|tensor| tensor.name == name).expect("there");
    let query = of("blk.0.attn_q.weight");
    assert_eq!((query.types, query.wanted), ((GgmlType::F32, GgmlType::Q5_0), Some(GgmlType::Q4_K)));
    assert!(query.rms_error > 0.0 && query.rms_error < 0.05 * query.rms && query.bytes.0 > 5 * query.bytes.1);
    let norm = of("blk.0.attn_norm.weight");
    assert_eq!((norm.types.1, norm.rms_error, norm.wanted), (GgmlType::F32, 0.0, None));
    let file = Gguf::open(&to).expect("reads");
    assert_eq!((file.uint("general.file_type"), file.uint("general.quantization_version")), (Some(15), Some(2)));
    assert_eq!(report.bytes, (from.metadata().expect("there").len(), to.metadata().expect("there").len()));
}

#[test]
fn quantising_twice_must_be_meant() {
    let folder = tempfile::tempdir().expect("a folder");
    let [from, once, twice] = ["from", "once", "twice"].map(|name| folder.path().join(name));
    write_model("llama2", true, &from);
    run(&from, how("Q8_0"), &once).expect("quantised");
    let told = run(&once, how("Q4_K_M"), &twice).expect_err("refused");
    assert!(told.contains("quantised already") && told.contains("is Q8_0") && !twice.exists(), "{told}");
    run(&once, Quantizing { requantize: true, ..how("Q4_K_M") }, &twice).expect("meant");
    assert!(Gguf::open(&twice).is_ok());
}

#[test]
fn weights_that_no_type_holds_are_named_and_a_stop_leaves_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let [from, to] = ["from", "to"].map(|name| folder.path().join(name));
    let write = |fault: f32| {
        let mut writer = Writer::new();
        writer.set("general.architecture", "llama");
        writer.tensor("a.weight", &[2, 32], GgmlType::F32).expect("fits");
        writer.tensor("b.weight", &[2, 32], GgmlType::F32).expect("fits");
        let mut output = writer.create(&from).expect("begun");
        for (name, at) in [("a.weight", 64), ("b.weight", 40)] {
            let weights = (0..64).flat_map(|i| if i == at { fault } else { 0.5 }.to_le_bytes());
            output.put(name, &weights.collect::<Vec<u8>>()).expect("written");
        }
        output.finish().expect("whole");
    };
    for (fault, recipe, word) in [(f32::NAN, "Q8_0", "NaN"), (f32::INFINITY, "F16", "inf"), (1e30, "Q4_0", "too large")]
    {
        write(fault);
        let told = run(&from, how(recipe), &to).expect_err(word);
        assert!(told.contains("`b.weight`") && told.contains(word) && !to.exists(), "{told}");
    }
    write(0.5);
    let file = Gguf::open(&from).expect("a model");
    let mut calls = 0;
    let stopped = quantize(&file, how("Q8_0"), &to, &mut |progress| {
        calls += 1;
        assert!(progress.done <= progress.total && progress.total == 128);
        if calls == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    assert_eq!((stopped, calls), (Ok(None), 3));
    assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 1, "only the input is left");
}

/// For `tests/tools/quantize_reference.py`.
#[test]
#[ignore = "writes the model files for the script that makes the references"]
fn write_models() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("quantize");
    fs::create_dir_all(&folder).expect("a folder");
    for (name, is_super) in MODELS {
        write_model(name, is_super, &folder.join(file_name(name, is_super)));
    }
    let bytes: Vec<u8> = awkward().iter().flat_map(|x| x.to_le_bytes()).collect();
    fs::write(folder.join("awkward.f32"), bytes).expect("written");
    println!("the files are in {}", folder.display());
}
