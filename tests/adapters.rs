//! LoRA adapters against llama.cpp: a model that turns its rows in GGUF (Llama), one that does not (Qwen 2), one with
//! fused matrices (Phi 3), each with an adapter on every matrix, read from PEFT's folder and from GGUF.
//!
//! The facts are in `tests/reference/adapters.json`, made by `tests/tools/adapter_reference.py` (its head says how).

mod common;
#[allow(dead_code, reason = "other tests use the rest")]
#[path = "common/families.rs"]
mod families;
#[path = "common/vocabulary.rs"]
mod vocabulary;

use std::collections::BTreeMap;
use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::Command;

use osai::engine::gguf::{GgmlType, Gguf};
use osai::engine::lora::{Base, Lora, LoraConfig, apply_lora};
use osai::engine::{Interventions, Job, Model, Prompt, Update};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use families::{Numbers, families, prompt};

/// Logits differ by this share of the largest at most.
const TOLERANCE: f32 = 1e-3;
/// Strengths of the two adapters.
const STRENGTHS: [f32; 2] = [1.0, -0.5];

#[derive(Deserialize)]
struct Facts {
    maker: String,
    prompt: Vec<u32>,
    models: BTreeMap<String, Fact>,
}

#[derive(Deserialize)]
struct Fact {
    /// Of the model and its two adapters.
    sha256: Vec<String>,
    /// After the prompt's last token, without adapters and with both.
    plain: Vec<f32>,
    adapted: Vec<f32>,
}

/// The models, and what their adapters change.
fn cases() -> [(&'static str, &'static [&'static str]); 3] {
    let apart = &["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"];
    [("llama2", apart), ("qwen2", apart), ("phi3", &["qkv_proj", "o_proj", "gate_up_proj", "down_proj"])]
}

/// An adapter that changes the logits by about as much as they are large.
fn adapter(name: &str, modules: &[&str], r: usize, base: &Base) -> Lora {
    let config = LoraConfig {
        r,
        lora_alpha: 2.0 * r as f32,
        target_modules: modules.iter().map(|module| (*module).to_owned()).collect(),
        use_rslora: name == "two",
        lora_dropout: 0.0,
        base_model_name_or_path: None,
    };
    let mut lora = Lora::new(name, config, base, 7).expect("fits");
    for (target, pair) in &mut lora.pairs {
        let mut random = Numbers::named(&format!("{name} {}", target.hf()));
        pair.b.iter_mut().for_each(|x| *x = random.normal() * 0.05);
    }
    lora
}

/// Writes a model and its adapters: both as GGUF, the first as PEFT's folder too. Returns the model and GGUF files.
fn write(name: &str, modules: &[&str], folder: &Path) -> [PathBuf; 3] {
    let family = families().into_iter().find(|family| family.name == name).expect("a family");
    let model = folder.join(format!("{name}.gguf"));
    family.write(GgmlType::F32, &model);
    let base = Base::open(&model).expect("reads");
    let files = ["one", "two"].map(|adapter| folder.join(format!("{name}.{adapter}.gguf")));
    adapter("one", modules, 4, &base).save_gguf(&files[0], &base).expect("saved");
    adapter("one", modules, 4, &base).save_peft(&folder.join(format!("{name}.one")), &base).expect("saved");
    adapter("two", &modules[..2], 8, &base).save_gguf(&files[1], &base).expect("saved");
    let [one, two] = files;
    [model, one, two]
}

fn hash(path: &Path) -> String {
    Sha256::digest(fs::read(path).expect("written")).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn apart(ours: &[f32], theirs: &[f32]) -> f32 {
    assert_eq!(ours.len(), theirs.len());
    let largest = theirs.iter().fold(0.0_f32, |most, x| most.max(x.abs()));
    ours.iter().zip(theirs).fold(0.0_f32, |most, (x, y)| most.max((x - y).abs())) / largest
}

#[test]
fn attached_adapters_give_llama_cpps_logits() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference/adapters.json");
    let facts: Facts = serde_json::from_str(&fs::read_to_string(path).expect("the facts")).expect("the facts are JSON");
    assert!(facts.maker.contains("llama.cpp") && facts.prompt == prompt());
    let dir = tempfile::tempdir().expect("a folder");
    for (name, modules) in cases() {
        let files = write(name, modules, dir.path());
        let fact = &facts.models[name];
        for (file, sha256) in files.iter().zip(&fact.sha256) {
            let stale = "is not the file of the reference: make it anew with tests/tools/adapter_reference.py";
            assert!(hash(file) == *sha256, "{} {stale}", file.display());
        }
        let mut model = Model::open(&files[0]).expect("opens");
        let plain = model.logits(&prompt(), 64);
        assert!(apart(&plain, &fact.plain) < TOLERANCE, "{name}, plain: {}", apart(&plain, &fact.plain));
        assert!(apart(&fact.adapted, &fact.plain) > 0.1, "{name}: the adapters change too little to tell");
        for one in [files[1].clone(), dir.path().join(format!("{name}.one"))] {
            let one = Lora { name: "one".into(), ..Lora::load(&one).expect("reads") };
            model.attach(&one, STRENGTHS[0]).expect("fits");
            model.attach(&Lora::load(&files[2]).expect("reads"), STRENGTHS[1]).expect("fits");
            let adapted = model.logits(&prompt(), 64);
            let far = apart(&adapted, &fact.adapted);
            assert!(far < TOLERANCE, "{name}: {far} of the largest logit from llama.cpp's");
        }
    }
}

#[test]
fn merged_adapters_are_the_attached_ones() {
    let dir = tempfile::tempdir().expect("a folder");
    for (name, modules) in cases() {
        let [path, one, two] = write(name, modules, dir.path());
        let loras = [one, two].map(|path| Lora::load(&path).expect("reads"));
        let mut model = Model::open(&path).expect("opens");
        let source = Gguf::open(&path).expect("reads");
        let merged = dir.path().join("merged.gguf");
        let adapters = [(&loras[0], STRENGTHS[0]), (&loras[1], STRENGTHS[1])];
        apply_lora(&source, &adapters, None, 2, &merged, &mut |_| ControlFlow::Continue(())).expect("merges");
        for (lora, strength) in adapters {
            model.attach(lora, strength).expect("fits");
        }
        let far = apart(&Model::open(&merged).expect("opens").logits(&prompt(), 64), &model.logits(&prompt(), 64));
        assert!(far < 1e-4, "{name}: {far}");
    }
}

/// Adapters come to the model's own process as data; when one does not fit, those in use stay.
#[test]
fn a_job_sets_the_adapters_in_use() {
    let dir = tempfile::tempdir().expect("a folder");
    let [path, one, two] = write("llama2", cases()[0].1, dir.path());
    let [one, two] = [one, two].map(|path| Lora::load(&path).expect("reads"));
    let mut model = Model::open(&path).expect("opens");
    let plain = model.logits(&prompt(), 64);
    let adapt = |model: &mut Model, adapters: Vec<(Lora, f32)>| {
        let job = serde_json::to_string(&Job::Adapt { adapters }).expect("plain data");
        let mut names = None;
        let job = serde_json::from_str(&job).expect("plain data");
        let outcome = model.run(job, &mut |update| {
            if let Update::Adapted(adapters) = update {
                names = Some(adapters.into_iter().map(|adapter| adapter.name).collect::<Vec<_>>());
            }
            ControlFlow::Continue(())
        });
        outcome.map(|_| names.expect("an answer"))
    };
    assert_eq!(adapt(&mut model, vec![(one.clone(), 1.0), (two.clone(), 0.5)]).expect("fit"), ["one", "two"]);
    assert_eq!(adapt(&mut model, vec![(two.clone(), 1.0)]).expect("fits"), ["two"]);
    let mut broken = one;
    broken.pairs.values_mut().for_each(|pair| pair.r = 0);
    let told = adapt(&mut model, vec![(broken, 1.0)]).expect_err("refused").to_string();
    assert!(told.contains("broken pair"), "{told}");
    assert_eq!(model.adapters()[0].name, "two");
    assert!(adapt(&mut model, vec![]).expect("none").is_empty());
    assert_eq!(model.logits(&prompt(), 64), plain);
}

/// On the real model: an adapter comes and goes, the lens ends in what is said, a score is a score.
#[test]
fn the_bundled_model_can_be_adapted_and_looked_into() {
    let Some(mut model) = common::model() else { return };
    let text = || Prompt::Text("The capital of France is".into());
    let ask = |model: &mut Model, job: Job| {
        let mut answer = None;
        let stats = model.run(job, &mut |update| {
            answer = Some(update);
            ControlFlow::Continue(())
        });
        stats.expect("runs");
        answer.expect("an answer")
    };
    let Update::Next(before) = ask(&mut model, Job::Next { prompt: text() }) else { panic!("no answer") };
    let base = model.base();
    let lora = adapter("one", &["q_proj", "v_proj"], 8, &base);
    model.attach(&lora, 1.0).expect("fits");
    let Update::Next(adapted) = ask(&mut model, Job::Next { prompt: text() }) else { panic!("no answer") };
    assert_ne!(before.logits, adapted.logits);
    assert!(model.detach("one"));
    let Update::Next(after) = ask(&mut model, Job::Next { prompt: text() }) else { panic!("no answer") };
    assert_eq!(before.logits, after.logits, "to the last bit");

    let Update::Lens(lens) = ask(&mut model, Job::Lens { prompt: text() }) else { panic!("no lens") };
    assert_eq!(lens.layers.len(), 31);
    let last = lens.layers[30].last().expect("tokens");
    assert_eq!(last.likeliest.id, before.top[0].0.id);
    assert_eq!(last.likeliest.text(), Some(" Paris"));
    let heads =
        |layer| Interventions { ablated_heads: (0..9).map(|head| (layer, head)).collect(), ..Interventions::default() };
    let with = |interventions, job| Job::With { interventions, job: Box::new(job) };
    let Update::Next(cut) = ask(&mut model, with(heads(0), Job::Next { prompt: text() })) else { panic!("no answer") };
    assert_ne!(cut.logits, before.logits);

    let sensible = "The quick brown fox jumps over the lazy dog.";
    let Update::Score(score) = ask(&mut model, Job::Score { prompt: Prompt::Text(sensible.into()) }) else {
        panic!("no score")
    };
    let scrambled = Prompt::Text("Dog the fox brown lazy over quick jumps the.".into());
    let Update::Score(nonsense) = ask(&mut model, Job::Score { prompt: scrambled }) else { panic!("no score") };
    assert!(score.perplexity * 3.0 < nonsense.perplexity, "{} and {}", score.perplexity, nonsense.perplexity);
}

/// Runs the program; its exit code and what it printed to standard output and error.
fn osai(args: &[&str], folder: &Path) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_osai"));
    let output = command.args(args).env_clear().env("HOME", folder).current_dir(folder).output().expect("it starts");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn the_commands_convert_apply_and_use_an_adapter() {
    let dir = tempfile::tempdir().expect("a folder");
    write("llama2", cases()[0].1, dir.path());
    let done = |args: &[&str]| {
        let (code, printed, told) = osai(args, dir.path());
        assert!(code == Some(0) && told.is_empty(), "{args:?}: {code:?} {told}");
        printed
    };
    let model = ["--model", "llama2.gguf"];
    let printed = done(&[&["model", "convert-lora", "llama2.one.gguf", "peft"], &model[..]].concat());
    assert!(printed.starts_with("wrote peft (rank 4, 21 matrices, "), "{printed}");
    done(&[&["model", "convert-lora", "peft", "back.gguf"], &model[..]].concat());
    let numbers = |path: &str| Lora::load(&dir.path().join(path)).expect("reads").pairs;
    assert_eq!(numbers("back.gguf"), numbers("llama2.one.gguf"));
    let (code, _, told) = osai(&[&["model", "convert-lora", "peft", "back.gguf"], &model[..]].concat(), dir.path());
    assert!(code == Some(2) && told.contains("`back.gguf` is there already; --force"), "{told}");

    let next = |args: &[&str]| {
        let report: serde_json::Value =
            serde_json::from_str(&done(&[&["next", "hello", "--json"], args].concat())).expect("JSON");
        report["candidates"][0]["logprob"].as_f64().expect("a number")
    };
    done(&["model", "apply-lora", "llama2.gguf", "peft:0.5", "-o", "merged.gguf"]);
    let (plain, attached) = (next(&model), next(&[&model[..], &["--lora", "peft:0.5"]].concat()));
    let merged = next(&["--model", "merged.gguf"]);
    assert!((plain - attached).abs() > 1e-3 && (merged - attached).abs() < 1e-3, "{plain} {attached} {merged}");
    let (code, _, told) = osai(&["next", "x", "--model", "llama2.gguf", "--lora", "none.gguf"], dir.path());
    assert!(code == Some(4) && told.starts_with("osai: cannot read `none.gguf`"), "{code:?} {told}");
    let report = done(&["model", "apply-lora", "llama2.gguf", "peft", "--type", "q8_0", "-o", "small.gguf"]);
    assert!(report.contains("blk.*.attn_q.weight") && report.contains("% of their size"), "{report}");
    assert!(report.lines().all(|line| line.len() <= 80), "{report}");
}

#[test]
fn the_commands_merge_models_and_say_why_not() {
    let dir = tempfile::tempdir().expect("a folder");
    write("llama2", cases()[0].1, dir.path());
    write("qwen2", cases()[1].1, dir.path());
    let (code, _, told) = osai(&["model", "apply-lora", "llama2.gguf", "llama2.one.gguf", "-o", "b.gguf"], dir.path());
    assert_eq!((code, told.as_str()), (Some(0), ""));
    let merge = |args: &[&str]| osai(&[&["model", "merge", "llama2.gguf", "b.gguf"], args].concat(), dir.path());
    for args in [
        &["-o", "linear.gguf"][..],
        &["-o", "slerp.gguf", "--method", "slerp", "--weight", "0.3"],
        &["-o", "task.gguf", "--method", "task", "--base", "llama2.gguf", "--weight", "1", "--weight", "-0.5"],
        &["-o", "ties.gguf", "--method", "ties", "--base", "llama2.gguf", "--density", "0.5", "--json"],
    ] {
        let (code, printed, told) = merge(args);
        assert!(code == Some(0) && told.is_empty(), "{args:?}: {told}");
        assert!(printed.contains(args[1]), "{printed}");
        let merged = Gguf::open(&dir.path().join(args[1])).expect("reads");
        assert_eq!(merged.uint("general.base_model.count"), Some(if args.contains(&"--base") { 3 } else { 2 }));
        Model::open(&merged.path).expect("what was merged opens");
    }
    for (args, word) in [
        (&["-o", "linear.gguf"][..], "there already"),
        (&["-o", "c.gguf", "--weight", "1"], "1 weights for 2 models"),
        (&["-o", "c.gguf", "--method", "task"], "needs the base"),
        (&["-o", "c.gguf", "--type", "q9"], "a type is one of F32"),
        (&["qwen2.gguf", "-o", "c.gguf"], "one is llama, the other qwen2"),
        (&["none.gguf", "-o", "c.gguf"], "none.gguf"),
    ] {
        let (code, _, told) = merge(args);
        assert!(code != Some(0) && told.contains(word) && told.lines().count() == 1, "{args:?}: {told}");
    }
    assert!(!dir.path().join("c.gguf").exists());
}

#[test]
fn the_commands_score_and_trace_a_text() {
    let dir = tempfile::tempdir().expect("a folder");
    write("llama2", cases()[0].1, dir.path());
    write("qwen2", cases()[1].1, dir.path());
    let run = |args: &[&str]| osai(&[args, &["--model", "llama2.gguf"]].concat(), dir.path());
    let json = |args: &[&str]| -> serde_json::Value { serde_json::from_str(&run(args).1).expect("JSON") };
    let report = json(&["score", "hello world", "--json"]);
    let tokens = report["tokens"].as_array().expect("tokens");
    assert_eq!(report["token_count"], tokens.len());
    let sum: f64 = tokens.iter().map(|token| token["surprise"].as_f64().expect("a number")).sum();
    let mean = report["bits_per_token"].as_f64().expect("a number");
    assert!((sum / tokens.len() as f64 - mean).abs() < 1e-9);
    assert!((mean.exp2() - report["perplexity"].as_f64().expect("a number")).abs() < 1e-6 * mean.exp2());
    fs::write(dir.path().join("text.txt"), "hello world").expect("written");
    assert_eq!(json(&["score", "-f", "text.txt", "--json"]), report);
    let against = json(&["score", "hello world", "--json", "--summary", "--against", "llama2.gguf"]);
    assert!(against["tokens"].is_null() && against["against"]["kl_divergence"] == 0.0, "{against}");
    let (code, _, told) = run(&["score", "hello world", "--against", "qwen2.gguf"]);
    assert!(code == Some(4) && told.contains("cut this text differently"), "{told}");
    for args in [
        &["score", "hello world"][..],
        &["trace", "hello world"],
        &["trace", "hello world", "--attention", "1.2", "--at", "2"],
        &["trace", "hello world", "--ablate", "0.1"],
    ] {
        let (code, printed, told) = run(args);
        assert!(code == Some(0) && told.is_empty(), "{args:?}: {told}");
        assert!(printed.lines().all(|line| line.chars().count() <= 80), "{printed}");
    }
    let heads = json(&["trace", "hello world", "--attention", "1.2", "--json"]);
    let rows = heads["weights"].as_array().expect("rows");
    assert_eq!(rows.len(), heads["tokens"].as_array().expect("tokens").len());
    for row in rows {
        let sum: f64 = row.as_array().expect("weights").iter().map(|w| w.as_f64().expect("a number")).sum();
        assert!((sum - 1.0).abs() < 1e-5);
    }
    let (code, _, told) = run(&["trace", "hello", "--attention", "9.9"]);
    assert!(code == Some(2) && told.contains("no head 9.9; this model has layers 0 to 2 and heads 0 to 3"), "{told}");
}

/// For `tests/tools/adapter_reference.py`.
#[test]
#[ignore = "writes the files for the script that makes the references"]
fn write_adapters() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("adapters");
    fs::create_dir_all(&folder).expect("a folder");
    for (name, modules) in cases() {
        write(name, modules, &folder);
    }
}
