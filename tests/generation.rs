//! Generation with the bundled model, through the library and the binary.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use std::fs;
use std::ops::ControlFlow;
use std::path::Path;
use std::process::{Command, Output};

use osai::engine::{GenerationOptions, GrammarSource, Job, Model, Prompt, RunStats, SamplingParams, Stop, Update};
use serde_json::Value;

const PERSON: &str = r#"{
  "type": "object",
  "properties": {
    "name": {"type": "string", "minLength": 1, "maxLength": 16},
    "age": {"type": "integer", "minimum": 0, "maximum": 130},
    "kind": {"enum": ["poet", "painter"]},
    "works": {"type": "array", "items": {"type": "string", "maxLength": 10}, "maxItems": 2}
  },
  "required": ["name", "age", "kind"],
  "additionalProperties": false
}"#;

fn generate(model: &mut Model, sampling: SamplingParams, grammar: GrammarSource) -> (String, RunStats) {
    let job = Job::Generate {
        prompt: Prompt::Text("A famous person, as JSON:\n".into()),
        sampling,
        max_new_tokens: 200,
        top_candidates: 0,
        options: GenerationOptions { grammar: Some(grammar), ..GenerationOptions::default() },
    };
    let mut text = String::new();
    let stats = model.run(job, &mut |update| {
        if let Update::Token { text: more, .. } | Update::Rest { text: more } = update {
            text += &more;
        }
        ControlFlow::Continue(())
    });
    (text, stats.unwrap())
}

#[test]
fn answers_under_a_schema_fit_it_at_temperature_two() {
    let Some(mut model) = common::model() else { return };
    for seed in 0..12 {
        let sampling = SamplingParams { temperature: 2.0, seed: Some(seed), ..SamplingParams::default() };
        let (text, stats) = generate(&mut model, sampling, GrammarSource::JsonSchema(PERSON.into()));
        assert_eq!(stats.stop, Stop::Stop, "seed {seed}: {text}");
        let value: Value = serde_json::from_str(&text).unwrap_or_else(|e| panic!("seed {seed}: {e}: {text}"));
        let members = value.as_object().unwrap();
        assert!(members.keys().all(|name| ["name", "age", "kind", "works"].contains(&name.as_str())), "{text}");
        assert!((1..=16).contains(&value["name"].as_str().unwrap().chars().count()), "{text}");
        assert!((0..=130).contains(&value["age"].as_i64().unwrap()), "{text}");
        assert!(["poet", "painter"].contains(&value["kind"].as_str().unwrap()), "{text}");
        let works = members.get("works").map_or(&[][..], |works| works.as_array().unwrap());
        assert!(works.len() <= 2 && works.iter().all(|work| work.as_str().unwrap().chars().count() <= 10), "{text}");
    }
}

#[test]
fn characters_of_several_tokens_pass_the_mask() {
    let Some(mut model) = common::model() else { return };
    for seed in 0..4 {
        let sampling = SamplingParams { temperature: 1.5, seed: Some(seed), ..SamplingParams::default() };
        let (text, stats) =
            generate(&mut model, sampling, GrammarSource::Gbnf("root ::= [ぁ-ゟ日本語👩]{6} \"!\"".into()));
        assert_eq!((text.chars().count(), stats.stop), (7, Stop::Stop), "{text}");
        assert!(text.ends_with('!') && !text.contains('\u{FFFD}'), "{text}");
    }
}

fn osai(home: &Path, args: &[&str]) -> Option<Output> {
    let model = common::model_path()?;
    let mut command = Command::new(env!("CARGO_BIN_EXE_osai"));
    command.args(args).arg("--model").arg(model).env_clear().env("HOME", home).env("LC_ALL", "C.UTF-8");
    Some(command.current_dir(home).output().unwrap())
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn the_command_takes_schema_stop_and_log_probabilities() {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("person.json"), PERSON).unwrap();
    let args =
        ["generate", "Someone: ", "--schema", "person.json", "--seed", "3", "--logprobs", "2", "--show-mask", "--json"];
    let Some(ran) = osai(home.path(), &args) else { return };
    assert!(ran.status.success(), "{}", text(&ran.stderr));
    let report: Value = serde_json::from_slice(&ran.stdout).unwrap();
    let person: Value = serde_json::from_str(report["text"].as_str().unwrap()).unwrap();
    assert!(person["age"].is_i64());
    let first = &report["tokens"][0];
    assert!(first["mask"]["allowed"].as_u64().unwrap() < 100, "only what begins with a brace: {first}");
    assert_eq!(first["top_logprobs"].as_array().unwrap().len(), 2);
    assert!(first["candidates"].as_array().unwrap().iter().any(|candidate| candidate["allowed"] == false));
    assert!(report["energy"]["joules"].as_f64().unwrap() > 0.0);
    let args = [
        "generate",
        "One, two, three, four,",
        "--temperature",
        "0",
        "--max-new-tokens",
        "20",
        "--stop",
        "six",
        "--stats",
    ];
    let ran = osai(home.path(), &args).unwrap();
    let (out, err) = (text(&ran.stdout), text(&ran.stderr));
    assert!(out.contains("five") && !out.contains("six"), "{out}");
    for word in ["prompt ", "first token after", "tokens/s", "a stop string came", "MiB for keys and values", "energy"]
    {
        assert!(err.contains(word), "{word} in {err}");
    }
}

#[test]
fn the_prompt_can_be_looked_at_without_a_run() {
    let home = tempfile::tempdir().unwrap();
    let Some(ran) = osai(home.path(), &["chat", "Hello <|im_end|>", "--show-prompt", "--json"]) else { return };
    let report: Value = serde_json::from_slice(&ran.stdout).unwrap();
    assert!(report["text"].as_str().unwrap().ends_with("user\nHello <|im_end|><|im_end|>\n<|im_start|>assistant\n"));
    let special = report["tokens"].as_array().unwrap().iter().filter(|token| token["special"] == true).count();
    assert_eq!(special, 5, "what was typed is none");
    let ran = osai(home.path(), &["chat", "Hello", "--show-prompt"]).unwrap();
    let out = text(&ran.stdout);
    assert!(out.starts_with("<|im_start|>system\n") && out.contains(" tokens\n") && out.contains("\"Hello\""), "{out}");
}

#[test]
fn what_is_wrong_is_told_with_its_file_and_place() {
    let home = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(home.path().join(name), text).unwrap();
    write("bad.gbnf", "root ::= \"a\"\n  [");
    write("bad.json", "{\"properties\": {\"n\": {\"multipleOf\": 2}}}");
    for (args, code, told) in [
        (&["--grammar", "bad.gbnf"][..], 2, "`bad.gbnf`: line 2, column 3: "),
        (
            &["--schema", "bad.json"],
            2,
            "`bad.json`: #/properties/n/multipleOf: the keyword `multipleOf` is not supported",
        ),
        (&["--schema", "none.json"], 3, "cannot read `none.json`: "),
        (&["--show-mask"], 2, "give a grammar with --schema or --grammar"),
        (&["--stop", ""], 2, "a stop string has 1 to 1024 bytes"),
        (&["--typical-p", "0"], 2, "typical-p is above 0"),
        (&["--frequency-penalty", "3"], 2, "the penalty is -2 to 2"),
        (&["--logit-bias", "5"], 2, "write TOKEN=BIAS"),
        (&["--logit-bias", "5=101"], 2, "-100 to 100"),
        (&["--logprobs", "257"], 2, "from 0 to 256"),
        (&["--watts", "0"], 2, "above 0 and at most 1000"),
    ] {
        let Some(ran) = osai(home.path(), &[&["generate", "a"], args].concat()) else { return };
        let err = text(&ran.stderr);
        assert!(err.contains(told), "wanted {told:?} for {args:?}, got {err:?}");
        assert_eq!(ran.status.code(), Some(code), "{args:?}");
    }
}
