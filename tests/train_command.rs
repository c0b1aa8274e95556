//! `osai train`, `finetune` and `eval` as a user has them: files, words, exit codes.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// A recipe that takes a moment: the smallest of everything.
const RECIPE: &str = r#"
name = "osai-speck"
seed = 5
tokens = 1_500
licence = "CC-BY-4.0"

[vocabulary]
size = 300
documents = 40

[[phase]]
name = "copying"
share = 300
mix = { copy = 1, fact = 1 }

[[phase]]
name = "all"
share = 700
mix = { copy = 2, fact = 1, upper = 1 }

[train]
batch_tokens = 150
micro_batch_tokens = 100
log_every = 2
checkpoint_every = 4
held_out = 1

[train.model]
hidden_size = 32
num_hidden_layers = 1
num_attention_heads = 2
num_key_value_heads = 1
intermediate_size = 32
max_position_embeddings = 256
rope_theta = 10_000.0
tie_word_embeddings = true

[train.initialisation]
embedding = 0.5
matrices = 1.0
previous_token_head = false

[train.optimizer]
learning_rate = 0.01

[train.optimizer.muon]
learning_rate = 0.01

[train.schedule]
warmup_steps = 2
decay = { linear = { share = 0.45, floor = 0.02 } }
"#;

/// A folder with the recipe in it.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        place.file("recipe.toml", RECIPE);
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn file(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    fn command(&self, args: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_osai"));
        command.args(args.split(' ')).env_clear().env("HOME", self.0.path()).current_dir(self.0.path());
        command
    }

    /// Exit code, standard output, standard error.
    fn run(&self, args: &str) -> (i32, String, String) {
        let output = self.command(args).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
    }

    /// Standard output of a run that ends well.
    #[track_caller]
    fn ok(&self, args: &str) -> String {
        let (code, out, err) = self.run(args);
        assert_eq!(code, 0, "{args}: {err}");
        out
    }

    #[track_caller]
    fn refused(&self, code: i32, args: &str, why: &str) {
        let (got, out, err) = self.run(args);
        assert_eq!((got, out.as_str()), (code, ""), "{args}: {err}");
        assert!(err.starts_with("osai: ") && err.lines().count() == 1 && err.contains(why), "{args}: {err}");
    }

    fn bytes(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap()
    }
}

fn events(lines: &str) -> Vec<Value> {
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn one_recipe_gives_one_file_and_its_model_answers() {
    let place = Place::new();
    let told = events(&place.ok("train --recipe recipe.toml --out a --threads 1 --json --export hf"));
    let names: Vec<&str> = told.iter().map(|event| event["event"].as_str().unwrap()).collect();
    assert_eq!(names.first(), Some(&"start"));
    assert_eq!(names.last(), Some(&"end"));
    let losses: Vec<f64> =
        told.iter().filter(|event| event["event"] == "step").map(|event| event["loss"].as_f64().unwrap()).collect();
    assert_eq!(losses.len(), 5);
    assert!(losses[4] < losses[0], "{losses:?}");
    let held_out = told.iter().rfind(|event| event["event"] == "held-out").unwrap();
    assert_eq!(held_out["parts"].as_object().unwrap().keys().collect::<Vec<_>>(), ["copy", "fact", "upper"]);
    assert_eq!(events(&fs::read_to_string(place.path("a/log.jsonl")).unwrap()), told);
    assert_eq!(told[0]["max_steps"], 10);
    assert!(told.last().unwrap()["tokens"].as_u64().unwrap() >= 1_500);

    place.ok("train --recipe recipe.toml --out b --threads 2");
    assert!(place.bytes("a/model.gguf") == place.bytes("b/model.gguf"), "another number of threads, other weights");
    place.ok("train --recipe recipe.toml --out c --seed 6");
    assert!(place.bytes("a/model.gguf") != place.bytes("c/model.gguf"), "another seed, the same weights");

    // The engine opens both forms, with vocabulary and chat template.
    for model in ["a/model.gguf", "hf"] {
        place.ok(&format!("chat hello --model {model} --temperature 0 --max-new-tokens 4"));
        let report: Value = serde_json::from_str(
            &place.ok(&format!("eval --model {model} --skills copy,upper -n 2 --stories 1 --json")),
        )
        .unwrap();
        assert_eq!((report["is_own"].as_bool(), report["skills"][1]["asked"].as_u64()), (Some(true), Some(2)));
        assert!(report["texts"]["copy"]["bits_per_byte"].as_f64().unwrap() > 0.0, "{report}");
        assert_eq!(report["stories"].as_array().unwrap().len(), 1);
    }
}

#[test]
fn a_run_that_was_killed_goes_on_to_the_same_file() {
    let place = Place::new();
    place.ok("train --recipe recipe.toml --out whole");
    let mut child = place
        .command("train --recipe recipe.toml --out broken --json")
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let saved = read_until(&mut child, "saved");
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(saved["step"], 4);
    place.refused(2, "train --recipe recipe.toml --out broken", "holds a run already; --resume goes on with it");
    place.refused(3, "train --recipe recipe.toml --out broken --resume --seed 9", "made by another recipe, seed or");
    let told = events(&place.ok("train --recipe recipe.toml --out broken --resume --json"));
    assert!(told[0]["step"].as_u64().unwrap() >= 4, "{}", told[0]);
    assert!(place.bytes("whole/model.gguf") == place.bytes("broken/model.gguf"), "the runs differ");
    assert!(place.bytes("whole/checkpoint.safetensors") == place.bytes("broken/checkpoint.safetensors"));
    // The log has each step once, whatever was done again.
    let steps: Vec<u64> = events(&fs::read_to_string(place.path("broken/log.jsonl")).unwrap())
        .iter()
        .filter(|event| event["event"] == "step")
        .map(|event| event["step"].as_u64().unwrap())
        .collect();
    assert_eq!(steps, [2, 4, 6, 8, 10]);
}

/// Reads lines of JSON until an event of this name.
fn read_until(child: &mut std::process::Child, name: &str) -> Value {
    use std::io::BufRead;
    let lines = std::io::BufReader::new(child.stdout.as_mut().unwrap()).lines();
    let mut events = lines.map(|line| serde_json::from_str::<Value>(&line.unwrap()).unwrap());
    events.find(|event| event["event"] == name).expect("the event")
}

#[cfg(unix)]
#[test]
fn ctrl_c_keeps_what_was_learned() {
    let place = Place::new();
    // Long enough not to be over by then.
    let mut child = place
        .command("train --recipe recipe.toml --out out --tokens 3000000 --json")
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    read_until(&mut child, "step");
    Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    let err = String::from_utf8(output.stderr).unwrap();
    assert_eq!(err, "osai: stopped; what was learned is kept in `out`, --resume goes on\n");
    place.ok("chat hello --model out/model.gguf --max-new-tokens 2");
    assert!(place.path("out/checkpoint.safetensors").is_file());
}

#[test]
fn faults_of_recipes_and_data_are_told_with_their_place() {
    let place = Place::new();
    place.refused(2, "train --recipe none.toml --out a", "cannot read the recipe `none.toml`: No such file");
    place.file("bad.toml", &RECIPE.replace("log_every = 2", "log_every = \"often\""));
    place.refused(3, "train --recipe bad.toml --out a", "bad.toml:24:13: invalid type: string \"often\"");
    place.file("odd.toml", &RECIPE.replace("num_attention_heads = 2", "num_attention_heads = 3"));
    place.refused(2, "train --recipe odd.toml --out a", "`hidden_size` 32 is no multiple of `num_attention_heads` 3");
    place.refused(2, "train --recipe recipe.toml --out a --resume", "holds no checkpoint.safetensors to go on from");
    let (code, _, err) = place.run("train --recipe recipe.toml");
    assert!(code == 2 && err.contains("--out <DIR>"), "{err}");
    place.refused(2, "train --show cake", "a kind is one of story, tale,");

    place.file("bad.jsonl", "{\"messages\":[{\"role\":\"assistant\",\"content\":\"Hi.\"}]}\n\n{\"messages\":[]}\n");
    place.refused(3, "finetune --data bad.jsonl --out a", "bad.jsonl:3: nobody answers");
    place.refused(2, "finetune --data none.jsonl --out a", "cannot read the conversations in `none.jsonl`");
    place.refused(2, "eval --skills cake", "a skill is one of glossary,");
}

#[test]
fn documents_are_shown_from_the_recipes_seed() {
    let place = Place::new();
    let shown = place.ok("train --show copy --count 2 --seed 3");
    assert_eq!(shown.matches("── copy").count(), 2, "{shown}");
    assert_eq!(shown, place.ok("train --show copy --count 2 --seed 3"));
    assert_ne!(shown, place.ok("train --show copy --count 2 --seed 4"));
}

#[test]
fn an_adapter_is_learnt_and_used_and_the_base_stays() {
    let place = Place::new();
    place.ok("train --recipe recipe.toml --out base");
    let before = place.bytes("base/model.gguf");
    let line = |question: &str| {
        format!(
            "{{\"messages\":[{{\"role\":\"user\",\"content\":\"{question}\"}},{{\"role\":\"assistant\",\"content\":\"aaa\"}}]}}\n"
        )
    };
    place.file("data.jsonl", &["a", "b", "c", "d", "e"].map(line).concat());
    let train =
        "finetune --model base/model.gguf --data data.jsonl --r 4 --lora-alpha 16 --learning-rate 0.02 --epochs 15";
    let told = events(&place.ok(&format!("{train} --lora-dropout 0.1 --out style --json")));
    let losses: Vec<f64> =
        told.iter().filter(|event| event["event"] == "step").map(|event| event["loss"].as_f64().unwrap()).collect();
    assert_eq!(losses.len(), 30);
    assert!(losses[29] < 0.3 * losses[0], "{losses:?}");
    let end = told.last().unwrap();
    assert_eq!((end["is_base_unchanged"].as_bool(), end["is_finished"].as_bool()), (Some(true), Some(true)));
    assert!(place.bytes("base/model.gguf") == before, "the model's file was written");
    let config: Value = serde_json::from_slice(&place.bytes("style/adapter_config.json")).unwrap();
    assert_eq!((config["r"].as_u64(), config["peft_type"].as_str()), (Some(4), Some("LORA")));

    let ask = "chat f --model base/model.gguf --temperature 0 --max-new-tokens 8";
    assert_eq!(place.ok(&format!("{ask} --lora style")).trim(), "aaa");
    assert_ne!(place.ok(ask).trim(), "aaa");
    place.refused(2, &format!("{train} --out style"), "holds an adapter already; --force replaces it");
    let text = place.ok(&format!("{train} --out again"));
    assert!(text.contains("the model's own weights are unchanged: sha256 "), "{text}");
    let same = |a: &Path, b: &Path| fs::read(a).unwrap() == fs::read(b).unwrap();
    place.ok(&format!("{train} --out twice"));
    let file = "adapter_model.safetensors";
    assert!(same(&place.path("again").join(file), &place.path("twice").join(file)), "one seed, two adapters");
}
