//! Merging files whose numbers can be worked out by hand.

use std::fs;
use std::path::PathBuf;

use tempfile::TempDir;

use super::*;
use crate::engine::gguf::GgmlType;
use crate::engine::gguf::write::{Builder, Writer};
use crate::engine::kernels::tests_support::floats;
use crate::engine::tests::builder;
use crate::engine::{EngineError, Model};

/// A file with one matrix of 2 × 4 and one list.
fn small(dir: &TempDir, name: &str, matrix: [f32; 8]) -> PathBuf {
    let path = dir.path().join(format!("{name}.gguf"));
    let mut writer = Writer::new();
    writer.set("general.architecture", "llama");
    writer.set("general.name", name);
    writer.set("llama.block_count", 1_u32);
    writer.tensor("a", &[2, 4], GgmlType::F32).expect("fits");
    writer.tensor("b", &[3], GgmlType::F32).expect("fits");
    let mut output = writer.create(&path).expect("begun");
    let bytes = |numbers: &[f32]| numbers.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>();
    output.put("a", &bytes(&matrix)).expect("written");
    output.put("b", &bytes(&[matrix[0]; 3])).expect("written");
    output.finish().expect("whole");
    path
}

fn merged(
    models: &[&PathBuf],
    base: Option<&PathBuf>,
    method: Method,
    recipe: Option<Recipe>,
) -> Result<(Gguf, TempDir, Report), EngineError> {
    let open = |path: &PathBuf| Gguf::open(path).expect("reads");
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("out.gguf");
    let files: Vec<Gguf> = models.iter().map(|path| open(path)).collect();
    let base = base.map(open);
    let target = Target { path: &path, recipe, threads: 2 };
    let mut go_on = |_: Progress<'_>| ControlFlow::Continue(());
    let report = merge(&files.iter().collect::<Vec<_>>(), base.as_ref(), &method, target, &mut go_on)?;
    Ok((open(&path), dir, report.expect("not stopped")))
}

fn numbers(file: &Gguf, name: &str) -> Vec<f32> {
    let tensor = file.tensor(name).expect("there");
    decode(file.bytes(tensor), tensor.ggml_type).expect("reads")
}

#[test]
fn a_mean_is_the_mean_and_a_weight_of_one_is_the_model() {
    let dir = tempfile::tempdir().expect("a folder");
    let a = small(&dir, "a", [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]);
    let b = small(&dir, "b", [3.0, 0.0, -3.0, 8.0, 5.0, 0.5, 0.0, -8.0]);
    let (file, _dir, report) =
        merged(&[&a, &b], None, Method::Linear { weights: vec![3.0, 1.0] }, None).expect("merges");
    assert_eq!(numbers(&file, "a"), [1.5, 1.5, 1.5, 5.0, 5.0, 4.625, 5.25, 4.0]);
    assert_eq!(numbers(&file, "b"), [1.5; 3]);
    assert!(report.tensors.iter().all(|tensor| tensor.rms_error == 0.0));
    assert_eq!(file.text("general.name"), Some("a + b (linear)"));
    assert_eq!((file.uint("general.base_model.count"), file.text("general.base_model.1.name")), (Some(2), Some("b")));
    assert_eq!(file.words("osai.merge.weights", f32::from_le_bytes), Some(vec![3.0, 1.0]));
    let (file, _dir, _) = merged(&[&a, &b], None, Method::Linear { weights: vec![0.0, 2.0] }, None).expect("merges");
    assert_eq!(numbers(&file, "a"), numbers(&Gguf::open(&b).expect("reads"), "a"));
}

#[test]
fn slerp_ends_at_the_models_and_keeps_the_length_between() {
    let dir = tempfile::tempdir().expect("a folder");
    let a = small(&dir, "a", [3.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 4.0]);
    let b = small(&dir, "b", [0.0, 5.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
    let at = |t| numbers(&merged(&[&a, &b], None, Method::Slerp { t }, None).expect("merges").0, "a");
    assert_eq!(at(0.0), [3.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 4.0]);
    assert_eq!(at(1.0), [0.0, 5.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
    let middle = at(0.5);
    let length = middle.iter().map(|x| x * x).sum::<f32>().sqrt();
    assert!((length - 5.0).abs() < 1e-5, "the chord's middle would have {}", 5.0 / 2.0_f32.sqrt());
    assert!((middle[1] - 5.0 / 2.0_f32.sqrt()).abs() < 1e-5);
    let same = merged(&[&a, &a], None, Method::Slerp { t: 0.3 }, None).expect("parallel vectors merge");
    assert_eq!(numbers(&same.0, "a")[7], 4.0);
}

#[test]
fn task_arithmetic_adds_what_was_learnt() {
    let dir = tempfile::tempdir().expect("a folder");
    let base = small(&dir, "base", [1.0; 8]);
    let a = small(&dir, "a", [2.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]);
    let b = small(&dir, "b", [1.0, 3.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.0]);
    let weights = vec![1.0, -0.5];
    let (file, _dir, _) = merged(&[&a, &b], Some(&base), Method::Task { weights }, None).expect("merges");
    assert_eq!(numbers(&file, "a"), [2.0, 0.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.5]);
    assert_eq!(file.text("general.base_model.2.name"), Some("base"));
}

/// Differences to the base: a 4 3 2 1 0 0 0 0, b -5 1 0 0 0 0 0 1. Half of each stays: four of a, of b those down to
/// the fourth largest, which is 0, so all. Signs: in the first place b's -5 outweighs a's 4; in the second both agree.
#[test]
fn ties_elects_a_sign_and_leaves_the_others_out() {
    let dir = tempfile::tempdir().expect("a folder");
    let base = small(&dir, "base", [10.0; 8]);
    let a = small(&dir, "a", [14.0, 13.0, 12.0, 11.0, 10.0, 10.0, 10.0, 10.0]);
    let b = small(&dir, "b", [5.0, 11.0, 10.0, 10.0, 10.0, 10.0, 10.0, 11.0]);
    let ties = |weights: Vec<f32>, density| {
        numbers(&merged(&[&a, &b], Some(&base), Method::Ties { weights, density }, None).expect("merges").0, "a")
    };
    assert_eq!(ties(vec![1.0, 1.0], 0.5), [5.0, 12.0, 12.0, 11.0, 10.0, 10.0, 10.0, 11.0]);
    assert_eq!(ties(vec![2.0, 1.0], 0.5)[0], 14.0, "with twice the weight a wins");
    assert_eq!(ties(vec![1.0, 1.0], 0.25), [5.0, 12.0, 10.0, 10.0, 10.0, 10.0, 10.0, 11.0], "two of each stay");
}

#[test]
fn the_magnitude_of_a_rank_is_that_of_sorting() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut matrix = [0.0; 8];
    matrix.copy_from_slice(&floats(3, 8));
    let (zero, model) = (small(&dir, "zero", [0.0; 8]), small(&dir, "model", matrix));
    let files = [&zero, &model].map(|path| Gguf::open(path).expect("reads"));
    let [zero, model] = [&files[0], &files[1]].map(|file| Source::of(file, file.tensor("a").expect("there")));
    matrix.sort_by(|a, b| b.abs().total_cmp(&a.abs()));
    for keep in 1..=8 {
        let found = magnitude_of_rank(&model, &zero, keep as f32 / 8.0).expect("reads");
        assert_eq!(found, matrix[keep - 1].abs(), "{keep} of 8");
    }
}

#[test]
fn a_merge_of_quantised_models_runs_and_says_what_rounding_cost() {
    let dir = tempfile::tempdir().expect("a folder");
    let [a, b] = [3, 8].map(|kind| {
        let path = dir.path().join(format!("{kind}.gguf"));
        fs::write(&path, builder(kind).bytes()).expect("written");
        path
    });
    let method = || Method::Linear { weights: vec![1.0, 1.0] };
    let (file, _dir, report) = merged(&[&a, &b], None, method(), None).expect("merges");
    assert_eq!(file.tensor("blk.0.attn_q.weight").expect("there").ggml_type, GgmlType::Q4_1, "the first one's type");
    let cost = |report: &Report| {
        let tensor = report.tensors.iter().find(|tensor| tensor.name == "blk.0.attn_q.weight").expect("there");
        tensor.rms_error / tensor.rms
    };
    let (_, _dir, finer) = merged(&[&a, &b], None, method(), Recipe::named("Q8_0")).expect("merges");
    assert!(cost(&finer) > 0.0 && cost(&report) > 8.0 * cost(&finer), "16 steps against 255");
    Model::open(&file.path).expect("what was written opens");
}

#[test]
fn models_that_differ_are_refused_with_the_difference() {
    let dir = tempfile::tempdir().expect("a folder");
    let write = |name: &str, file: Builder| {
        let path = dir.path().join(name);
        fs::write(&path, file.bytes()).expect("written");
        path
    };
    let with = |key: &str, n: u32| {
        let mut file = builder(0);
        file.keys.retain(|k| k.0 != key);
        file.uint(key, n)
    };
    let renamed = |key: &str, value: &str| {
        let mut file = builder(0);
        file.keys.retain(|k| k.0 != key);
        file.text(key, value)
    };
    let shorter = || {
        let mut file = builder(0);
        let at = file.tensors.iter().position(|t| t.0 == "blk.0.ffn_up.weight").expect("there");
        file.tensors[at].1[1] -= 32;
        let keep = file.tensors[at].3.len() - 32 * 64 * 4;
        file.tensors[at].3.truncate(keep);
        file
    };
    let a = write("a.gguf", builder(0));
    let half = || Method::Linear { weights: vec![1.0, 1.0] };
    for (file, word) in [
        (renamed("general.architecture", "qwen2"), "one is llama, the other qwen2"),
        (with("llama.attention.head_count", 8), "`llama.attention.head_count` is 4 in one and 8 in the other"),
        (renamed("tokenizer.ggml.pre", "llama-bpe"), "`tokenizer.ggml.pre` is `smollm` in one"),
        (builder(0).tensor("x", &[1], 0, vec![0; 4]), "the tensor `x`"),
        (shorter(), "`blk.0.ffn_up.weight` has the shape [96, 64] in one and [64, 64] in the other"),
        (
            {
                let mut file = builder(0);
                file.keys.retain(|k| k.0 != "tokenizer.ggml.tokens");
                file.texts("tokenizer.ggml.tokens", &["a", "b"])
            },
            "`tokenizer.ggml.tokens` differs",
        ),
    ] {
        let b = write("b.gguf", file);
        let told = merged(&[&a, &b], None, half(), None).expect_err(word).to_string();
        assert!(told.contains(word), "wanted `{word}` in: {told}");
    }
    let longer = write("c.gguf", with("llama.context_length", 400));
    merged(&[&a, &longer], None, half(), None).expect("how far a model reads may differ");
    for (method, base, word) in [
        (Method::Linear { weights: vec![1.0] }, None, "1 weights for 2 models"),
        (Method::Linear { weights: vec![1.0, -1.0] }, None, "add up to 0"),
        (Method::Linear { weights: vec![1.0, f32::NAN] }, None, "not NaN"),
        (Method::Slerp { t: 1.5 }, None, "from 0 to 1"),
        (Method::Task { weights: vec![1.0, 1.0] }, None, "needs the base"),
        (half(), Some(&a), "has no base"),
        (Method::Ties { weights: vec![1.0, 1.0], density: 0.0 }, Some(&a), "density"),
    ] {
        let told = merged(&[&a, &longer], base, method, None).expect_err(word).to_string();
        assert!(told.contains(word), "wanted `{word}` in: {told}");
    }
}

#[test]
fn a_model_with_a_weight_that_is_no_number_is_refused_by_tensor() {
    let dir = tempfile::tempdir().expect("a folder");
    let a = small(&dir, "a", [1.0; 8]);
    let b = small(&dir, "b", [1.0, 1.0, f32::NAN, 1.0, 1.0, 1.0, 1.0, 1.0]);
    let told = merged(&[&a, &b], None, Method::Slerp { t: 0.5 }, None).expect_err("refused").to_string();
    assert!(told.contains("`a` has a weight that is NaN"), "{told}");
    assert_eq!(fs::read_dir(dir.path()).expect("a folder").count(), 2);
}
