//! Adapters on the tiny random model: what is attached, merged, saved and read back says the same.

use std::fs;
use std::path::PathBuf;

use tempfile::TempDir;

use super::super::gguf::Gguf;
use super::super::gguf::write::Builder;
use super::super::kernels::tests_support::floats;
use super::super::quantize::Recipe;
use super::super::tests::{bits, builder, open};
use super::super::{Isa, Model, Options};
use super::*;

const TOKENS: [u32; 9] = [72, 101, 108, 108, 111, 44, 32, 97, 10];
const ALL: [&str; 7] = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"];

fn config(r: usize, modules: &[&str]) -> LoraConfig {
    LoraConfig {
        r,
        lora_alpha: 6.0,
        target_modules: modules.iter().map(|name| (*name).to_owned()).collect(),
        use_rslora: false,
        lora_dropout: 0.0,
        base_model_name_or_path: Some("osai/tiny".into()),
    }
}

/// An adapter that changes something: `B` is not zero.
fn trained(name: &str, config: LoraConfig, base: &Base, seed: u64) -> Lora {
    let mut lora = Lora::new(name, config, base, seed).expect("fits");
    for (index, pair) in lora.pairs.values_mut().enumerate() {
        pair.b = floats(seed + index as u64, pair.b.len()).iter().map(|x| x * 0.1).collect();
    }
    lora
}

/// A file with the tiny model, and the folder that holds it.
fn written(file: &Builder) -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("tiny.gguf");
    fs::write(&path, file.bytes()).expect("written");
    (dir, path)
}

fn logits(model: &mut Model) -> Vec<f32> {
    model.all_logits(&TOKENS, 64)
}

/// The largest difference against the largest number.
fn apart(a: &[f32], b: &[f32]) -> f32 {
    let largest = a.iter().fold(0.0_f32, |most, x| most.max(x.abs()));
    a.iter().zip(b).fold(0.0_f32, |most, (x, y)| most.max((x - y).abs())) / largest
}

/// The tiny model as Phi 3 has it: queries, keys and values in one tensor, gate and up in another.
fn fused() -> Builder {
    let mut file = builder(0);
    for (key, _, _) in &mut file.keys {
        *key = key.replace("llama.", "phi3.");
    }
    file.keys.retain(|key| key.0 != "general.architecture");
    file = file.text("general.architecture", "phi3");
    for layer in 0..2 {
        for (into, parts) in [("attn_qkv", &["attn_q", "attn_k", "attn_v"][..]), ("ffn_up", &["ffn_gate", "ffn_up"])] {
            let name = |part: &str| format!("blk.{layer}.{part}.weight");
            let (mut rows, mut bytes, mut columns) = (0, vec![], 0);
            for part in parts {
                let at = file.tensors.iter().position(|tensor| tensor.0 == name(part)).expect("there");
                let tensor = file.tensors.remove(at);
                columns = tensor.1[0];
                rows += tensor.1[1];
                bytes.extend(tensor.3);
            }
            file = file.tensor(&name(into), &[columns, rows], 0, bytes);
        }
    }
    file
}

#[test]
fn attaching_changes_the_logits_and_detaching_gives_the_old_bits() {
    for kind in [0, 1, 2, 3, 8] {
        let mut model = open(&builder(kind), Options::default()).expect("opens");
        let before = logits(&mut model);
        let lora = trained("polite", config(4, &ALL), &model.base(), 3);
        model.attach(&lora, 1.0).expect("fits");
        let changed = logits(&mut model);
        assert!(apart(&before, &changed) > 0.01, "type {kind}: nothing changed");
        model.set_strength("polite", 0.0).expect("attached");
        assert!(bits(&logits(&mut model)) == bits(&before), "type {kind}: strength 0 is not off");
        model.set_strength("polite", 1.0).expect("attached");
        assert!(bits(&logits(&mut model)) == bits(&changed), "type {kind}: on again is not the same");
        assert!(model.detach("polite") && !model.detach("polite"));
        assert!(bits(&logits(&mut model)) == bits(&before), "type {kind}: detaching leaves something");
    }
}

#[test]
fn a_new_adapter_changes_nothing_until_it_is_trained() {
    let mut model = open(&builder(0), Options::default()).expect("opens");
    let before = bits(&logits(&mut model));
    let new = Lora::new("new", config(4, &["q_proj"]), &model.base(), 1).expect("fits");
    assert_eq!(new.parameters(), 2 * (4 * 64 + 64 * 4));
    model.attach(&new, 1.0).expect("fits");
    assert_eq!(bits(&logits(&mut model)), before);
}

#[test]
fn an_adapter_gives_the_same_bits_on_every_instruction_set_thread_and_chunk() {
    for kind in [0, 8] {
        let mut first: Option<Vec<u32>> = None;
        for isa in Isa::available() {
            for threads in [1, 3] {
                let options = Options { threads: Some(threads), isa: Some(isa), ..Options::default() };
                let mut model = open(&builder(kind), options).expect("opens");
                let lora = trained("x", config(5, &ALL), &model.base(), 9);
                model.attach(&lora, 0.7).expect("fits");
                for chunk in [64, 4, 1] {
                    let got = bits(&model.all_logits(&TOKENS, chunk));
                    let want = first.get_or_insert_with(|| got.clone());
                    assert!(*want == got, "type {kind}, {isa:?}, {threads} threads, chunks of {chunk}");
                }
            }
        }
    }
}

#[test]
fn attached_equals_merged_into_the_weights() {
    for (file, modules) in [(builder(0), &ALL[..]), (fused(), &["qkv_proj", "o_proj", "gate_up_proj", "down_proj"])] {
        let (dir, path) = written(&file);
        let mut model = Model::open(&path).expect("opens");
        let one = trained("one", config(3, modules), &model.base(), 3);
        let two = trained("two", LoraConfig { use_rslora: true, ..config(8, &modules[..2]) }, &model.base(), 5);
        let merged = dir.path().join("merged.gguf");
        let source = Gguf::open(&path).expect("reads");
        let adapters = [(&one, 0.5), (&two, -1.0)];
        let report = apply_lora(&source, &adapters, None, 2, &merged, &mut |_| std::ops::ControlFlow::Continue(()));
        let report = report.expect("merges").expect("not stopped");
        assert!(report.tensors.iter().all(|tensor| tensor.rms_error == 0.0), "f32 loses nothing");
        assert_eq!(report.tensors.iter().filter(|tensor| tensor.rms > 0.0).count(), 2 * modules.len());
        for (lora, strength) in adapters {
            model.attach(lora, strength).expect("fits");
        }
        let mut other = Model::open(&merged).expect("opens");
        let difference = apart(&logits(&mut model), &logits(&mut other));
        assert!(difference < 1e-4, "{difference}");
        assert_eq!(other.info().name, "tiny + one + two");
    }
}

#[test]
fn merging_into_a_quantised_model_says_what_it_costs() {
    let (dir, path) = written(&builder(3));
    let source = Gguf::open(&path).expect("reads");
    let lora = trained("x", config(4, &["v_proj"]), &Base::open(&path).expect("reads"), 3);
    let out = dir.path().join("out.gguf");
    let mut go_on = |_: crate::engine::quantize::Progress<'_>| std::ops::ControlFlow::Continue(());
    let report = apply_lora(&source, &[(&lora, 1.0)], None, 1, &out, &mut go_on).expect("merges").expect("whole");
    for tensor in &report.tensors {
        let changed = tensor.name.contains("attn_v");
        assert_eq!(tensor.rms_error > 0.0, changed, "{}", tensor.name);
        assert_eq!(tensor.types.0, tensor.types.1);
        // Q4_1 has 16 steps between a block's least and greatest number: an error of some 2 to 15 hundredths.
        assert!(!changed || (0.01..0.2).contains(&(tensor.rms_error / tensor.rms)), "{tensor:?}");
    }
    let recipe = Recipe::named("q8_0");
    let report = apply_lora(&source, &[(&lora, 1.0)], recipe, 3, &out, &mut go_on).expect("merges").expect("whole");
    let of = |name: &str| report.tensors.iter().find(|tensor| tensor.name == name).expect("there").clone();
    assert_eq!(of("blk.0.attn_v.weight").types.1.name(), "Q8_0");
    assert_eq!(of("blk.0.attn_norm.weight").types.1.name(), "F32");
    Model::open(&out).expect("what was written opens");
}

#[test]
fn one_fused_adapter_is_three_apart_and_both_ways_round() {
    let parts = |lora: &Lora, base: &Base| {
        let mut apart = Lora { pairs: BTreeMap::new(), ..lora.clone() };
        for (target, pair) in &lora.pairs {
            let modules: &[Module] = match target.module {
                Module::Qkv => &[Module::Q, Module::K, Module::V],
                _ => &[Module::Gate, Module::Up],
            };
            let mut first = 0;
            for module in modules {
                let rows = base.shape(*module).expect("there")[0];
                let b = pair.b[first * pair.r..(first + rows) * pair.r].to_vec();
                first += rows;
                let target = Target { layer: target.layer, module: *module };
                apart.pairs.insert(target, Pair { b, ..pair.clone() });
            }
        }
        apart
    };
    for file in [fused(), builder(0)] {
        let mut model = open(&file, Options::default()).expect("opens");
        let base = model.base();
        let one = trained("one", config(4, &["qkv_proj", "gate_up_proj"]), &base, 3);
        model.attach(&one, 1.0).expect("fits");
        let together = bits(&logits(&mut model));
        model.attach(&parts(&one, &base), 1.0).expect("the old one of that name is replaced");
        assert_eq!(model.adapters().len(), 1);
        assert!(bits(&logits(&mut model)) == together, "{}", base.architecture);
    }
}

/// llama.cpp's converter turns `[heads, 2, d / 2]` into `[heads, d / 2, 2]`: rows 0 1 2 3 | 4 5 6 7 of a head of 4
/// become 0 2 1 3 | 4 6 5 7.
#[test]
fn rows_of_queries_and_keys_change_places_as_in_llama_cpp() {
    let base = open(&builder(0), Options::default()).expect("opens").base();
    let mut b: Vec<f32> = (0..64).map(|row| row as f32).collect();
    base.reorder(Module::Q, &mut b, 1, RowOrder::Gguf);
    assert_eq!(b[..6], [0.0, 8.0, 1.0, 9.0, 2.0, 10.0]);
    assert_eq!(b[16..20], [16.0, 24.0, 17.0, 25.0]);
    base.reorder(Module::Q, &mut b, 1, RowOrder::HuggingFace);
    assert_eq!(b, (0..64).map(|row| row as f32).collect::<Vec<_>>());
    base.reorder(Module::V, &mut b, 1, RowOrder::Gguf);
    assert_eq!(b[1], 1.0, "values do not turn");
}

#[test]
fn what_is_saved_comes_back_to_the_byte_and_means_the_same() {
    let mut model = open(&builder(0), Options::default()).expect("opens");
    let base = model.base();
    let dir = tempfile::tempdir().expect("a folder");
    let at = |name: &str| dir.path().join(name);
    for use_rslora in [false, true] {
        let lora = trained("peft", LoraConfig { use_rslora, ..config(4, &ALL) }, &base, 3);
        lora.save_peft(&at("peft"), &base).expect("saved");
        let read = Lora::load(&at("peft")).expect("reads");
        assert_eq!((&read.pairs, read.rows), (&lora.pairs, RowOrder::HuggingFace));
        read.save_peft(&at("again"), &base).expect("saved");
        read.save_gguf(&at("a.gguf"), &base).expect("saved");
        let from_gguf = Lora::load(&at("a.gguf")).expect("reads");
        assert_eq!((from_gguf.name.as_str(), from_gguf.rows), ("peft", RowOrder::Gguf));
        from_gguf.save_gguf(&at("b.gguf"), &base).expect("saved");
        from_gguf.save_peft(&at("back"), &base).expect("saved");
        let same = |a: &str, b: &str| fs::read(at(a)).expect("read") == fs::read(at(b)).expect("read");
        assert!(same("a.gguf", "b.gguf"));
        for other in ["again", "back"] {
            assert!(same("peft/adapter_model.safetensors", &format!("{other}/adapter_model.safetensors")), "{other}");
            // GGUF has no word for rsLoRA, so its scale comes back as a larger alpha.
            let config = ["peft/adapter_config.json".to_owned(), format!("{other}/adapter_config.json")];
            assert_eq!(same(&config[0], &config[1]), other == "again" || !use_rslora, "{other}");
        }
        let mut seen = vec![];
        for lora in [&lora, &read, &from_gguf] {
            model.attach(lora, 1.0).expect("fits");
            seen.push(bits(&logits(&mut model)));
            model.detach(&lora.name);
        }
        assert!(seen[0] == seen[1] && seen[0] == seen[2], "rsLoRA {use_rslora}");
    }
}

#[test]
fn an_adapter_for_another_model_is_refused_by_tensor_and_shapes() {
    let mut model = open(&builder(0), Options::default()).expect("opens");
    let lora = trained("x", config(4, &["q_proj", "k_proj"]), &model.base(), 3);
    let told = |lora: &Lora, model: &mut Model| model.attach(lora, 1.0).expect_err("refused").to_string();
    let key = Target { layer: 1, module: Module::K };
    let mut wrong = lora.clone();
    wrong.pairs.get_mut(&key).expect("there").b.truncate(4 * 16);
    assert_eq!(
        told(&wrong, &mut model),
        "the adapter `x` makes `layers.1.self_attn.k_proj` a matrix of [16, 64], but the model's is [32, 64]; it was \
         made for another model"
    );
    let mut wrong = lora.clone();
    let pair = wrong.pairs.remove(&key).expect("there");
    wrong.pairs.insert(Target { layer: 2, ..key }, pair);
    assert!(told(&wrong, &mut model).contains("`layers.2.self_attn.k_proj`, but the model has layers 0 to 1"));
    let wrong = Lora { architecture: Some("qwen2".into()), ..lora.clone() };
    assert!(told(&wrong, &mut model).contains("architecture qwen2, this one is llama"));
    let told = model.attach(&lora, f32::NAN).expect_err("refused").to_string();
    assert!(told.contains("strength"), "{told}");
    assert!(model.adapters().is_empty());
    assert!(model.set_strength("x", 1.0).is_err());
    let told = Lora::new("x", config(4, &["lm_head"]), &model.base(), 1).expect_err("refused").to_string();
    assert!(told.contains("no `lm_head` to adapt; it has q_proj"), "{told}");
}

#[test]
fn what_is_no_plain_lora_is_refused_by_name() {
    let base = open(&builder(0), Options::default()).expect("opens").base();
    let dir = tempfile::tempdir().expect("a folder");
    let lora = trained("x", config(4, &["q_proj"]), &base, 3);
    lora.save_peft(dir.path(), &base).expect("saved");
    let path = dir.path().join("adapter_config.json");
    let plain: serde_json::Value = serde_json::from_slice(&fs::read(&path).expect("read")).expect("JSON");
    for (key, value, word) in [
        ("use_dora", serde_json::json!(true), "DoRA"),
        ("bias", serde_json::json!("all"), "trained biases"),
        ("modules_to_save", serde_json::json!(["lm_head"]), "`modules_to_save`"),
        ("fan_in_fan_out", serde_json::json!(true), "`fan_in_fan_out`"),
        ("alpha_pattern", serde_json::json!({ "q_proj": 3 }), "`alpha_pattern`"),
        ("init_lora_weights", serde_json::json!("pissa_niter_4"), "pissa_niter_4"),
        ("peft_type", serde_json::json!("IA3"), "type IA3"),
        ("r", serde_json::json!("four"), "no configuration of an adapter"),
    ] {
        let mut config = plain.clone();
        config[key] = value;
        fs::write(&path, config.to_string()).expect("written");
        let told = Lora::load(dir.path()).expect_err(key).to_string();
        assert!(told.contains(word), "wanted `{word}` in: {told}");
    }
}

#[test]
fn a_damaged_adapter_is_refused_by_tensor() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("bad.gguf");
    let floats = |n: u64, x: f32| (0..n).flat_map(|_| x.to_le_bytes()).collect::<Vec<u8>>();
    let start = || {
        let file = Builder::default().text("general.type", "adapter").text("adapter.type", "lora");
        file.text("general.architecture", "llama").float("adapter.lora.alpha", 8.0)
    };
    let a = |file: Builder, r: u64, x: f32| file.tensor("blk.0.attn_q.weight.lora_a", &[64, r], 0, floats(64 * r, x));
    let b = |file: Builder, r: u64| file.tensor("blk.0.attn_q.weight.lora_b", &[r, 64], 0, floats(64 * r, 1.0));
    for (file, word) in [
        (builder(0), "it is no adapter"),
        (start(), "holds no adapter"),
        (a(start(), 4, 1.0), "has an A but no B"),
        (b(start(), 4), "has a B but no A"),
        (b(a(start(), 4, 1.0), 8), "A [4, 64] and B [64, 8] of `layers.0.self_attn.q_proj` do not belong together"),
        (b(a(start(), 4, f32::NAN), 4), "number 0 of A of `layers.0.self_attn.q_proj` is NaN"),
        (b(a(start(), 4, f32::INFINITY), 4), "is inf"),
        (b(a(start().float("x", 1.0).tensor("y", &[1], 0, floats(1, 1.0)), 4, 1.0), 4), "tensor `y` in an adapter"),
        (
            start().tensor("output.weight.lora_a", &[64, 4], 0, floats(256, 1.0)),
            "adapter of the tensor `output.weight`",
        ),
        (start().tensor("blk.0.attn_q.weight.lora_a", &[64], 0, floats(64, 1.0)), "has an A but no B"),
    ] {
        fs::write(&path, file.bytes()).expect("written");
        let told = Lora::load(&path).expect_err(word).to_string();
        assert!(told.contains(word), "wanted `{word}` in: {told}");
    }
    fs::write(&path, b(a(start(), 4, 1.0), 4).bytes()).expect("written");
    assert_eq!(Lora::load(&path).expect("a sound one loads").config.lora_alpha, 8.0);
}
