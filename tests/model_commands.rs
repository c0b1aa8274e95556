//! The real binary with the bundled model: `tokens`, `next`, `generate`, `chat`, and what Ctrl-C and a closed pipe do.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

/// The program with the bundled model, in an empty home; `None` if the model is meant to be absent.
fn osai(args: &[&str]) -> Option<(Command, tempfile::TempDir)> {
    let model = common::model_path()?;
    let home = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_osai"));
    command.args(args).env_clear().env("HOME", home.path()).env("OSAI_MODEL_DIR", model.parent().unwrap());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    Some((command, home))
}

/// What a run prints when it ends well.
fn printed(args: &[&str]) -> Option<String> {
    let (mut command, _home) = osai(args)?;
    let output = command.output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && stderr.is_empty(), "{args:?}: {stderr}");
    Some(String::from_utf8(output.stdout).unwrap())
}

fn json(args: &[&str]) -> Option<Value> {
    Some(serde_json::from_str(&printed(args)?).unwrap())
}

/// Starts a generation that would take minutes, and waits for its first text.
fn started() -> Option<(Child, String, tempfile::TempDir)> {
    let (mut command, home) = osai(&["generate", "Once upon a time", "--seed", "7", "--max-new-tokens", "5000"])?;
    let mut child = command.spawn().unwrap();
    let mut first = [0; 1];
    child.stdout.as_mut().unwrap().read_exact(&mut first).unwrap();
    Some((child, String::from_utf8_lossy(&first).into_owned(), home))
}

#[test]
fn tokens_give_the_text_back_byte_by_byte() {
    let text = "Hello, 2024 naïve 日本";
    let Some(report) = json(&["tokens", text, "--json"]) else { return };
    let tokens = report["tokens"].as_array().unwrap();
    let bytes: Vec<u8> =
        tokens.iter().flat_map(|t| t["bytes"].as_array().unwrap()).map(|b| b.as_u64().unwrap() as u8).collect();
    assert_eq!(bytes, text.as_bytes());
    assert_eq!(report["count"], tokens.len());
    assert!(tokens.iter().all(|token| token["id"].is_u64() && token["text"].is_string()), "{report}");
}

#[test]
fn a_text_on_standard_input_is_the_same_text() {
    let Some((mut command, _home)) = osai(&["tokens", "-"]) else { return };
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"Hello\n").unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(Some(String::from_utf8(output.stdout).unwrap()), printed(&["tokens", "Hello"]));
}

#[test]
fn next_tells_probabilities_before_filters_and_what_they_keep() {
    let Some(report) = json(&["next", "The capital of France is", "--top-k", "3", "-n", "5", "--json"]) else { return };
    let candidates = report["candidates"].as_array().unwrap();
    assert_eq!(candidates[0]["text"], " Paris");
    let kept: Vec<_> = candidates.iter().map(|c| c["kept"].as_bool().unwrap()).collect();
    assert_eq!(kept, [true, true, true, false, false]);
    let probabilities: Vec<f64> = candidates.iter().map(|c| c["probability"].as_f64().unwrap()).collect();
    assert!(probabilities.is_sorted_by(|a, b| a >= b) && probabilities[3] > 0.0, "{report}");
    for (candidate, probability) in candidates.iter().zip(probabilities) {
        assert!((candidate["logprob"].as_f64().unwrap() - probability.ln()).abs() < 1e-4, "{candidate}");
    }
}

#[test]
fn the_same_seed_gives_the_same_text_as_text_and_as_json() {
    let args = ["generate", "Once upon a time", "--seed", "7", "--max-new-tokens", "12"];
    let Some(text) = printed(&args) else { return };
    let report = json(&[&args[..], &["--json"]].concat()).unwrap();
    let stated = report["text"].as_str().unwrap();
    assert_eq!(text.trim_end_matches('\n'), stated.trim_end_matches('\n'));
    let pieces: String = report["tokens"].as_array().unwrap().iter().map(|t| t["text"].as_str().unwrap()).collect();
    assert_eq!(pieces, stated);
    assert_eq!((&report["seed"], &report["finish_reason"]), (&7.into(), &"length".into()));
    assert_eq!((&report["new_tokens"], &report["prompt_tokens"]), (&12.into(), &4.into()));
    assert!(report["tokens_per_second"].is_f64() && report["time_to_first_token_ms"].is_f64(), "{report}");
}

#[test]
fn a_drawn_seed_is_told_and_draws_the_same_again() {
    let args = ["generate", "Once", "--max-new-tokens", "4", "--json"];
    let Some(drawn) = json(&args) else { return };
    let seed = drawn["seed"].as_u64().unwrap().to_string();
    let again = json(&[&args[..], &["--seed", &seed]].concat()).unwrap();
    assert_eq!(drawn["text"], again["text"]);
}

#[test]
fn chat_answers_one_question_in_the_template() {
    let args = ["chat", "Say yes.", "--system", "You are brief.", "--seed", "1", "--max-new-tokens", "4", "--json"];
    let Some(report) = json(&args) else { return };
    let raw = json(&["generate", "Say yes.", "--seed", "1", "--max-new-tokens", "4", "--json"]).unwrap();
    assert!(report["prompt_tokens"].as_u64() > raw["prompt_tokens"].as_u64(), "the template adds tokens: {report}");
}

#[test]
fn ctrl_c_keeps_what_was_printed_and_ends_with_130() {
    let Some((mut child, mut text, _home)) = started() else { return };
    // SAFETY: the child is ours and has not been waited for.
    assert_eq!(unsafe { libc::kill(child.id() as i32, libc::SIGINT) }, 0);
    child.stdout.take().unwrap().read_to_string(&mut text).unwrap();
    let status = child.wait().unwrap();
    assert_eq!((status.code(), status.signal()), (Some(130), None));
    assert!(text.ends_with('\n') && text.len() > 1, "{text:?}");
}

#[test]
fn a_closed_pipe_ends_the_generation_in_silence() {
    let Some((mut child, _, _home)) = started() else { return };
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]));
}

#[test]
fn a_prompt_that_does_not_fit_is_refused_with_the_numbers() {
    let Some((mut command, _home)) = osai(&["generate", "-"]) else { return };
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all("one two ".repeat(5000).as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(4), "{stderr}");
    assert!(stderr.contains("tokens but the model reads at most 8192; shorten the prompt"), "{stderr}");
}

#[test]
fn the_bundled_model_is_shown_with_its_hash_and_licence() {
    let Some(shown) = json(&["model", "show", "smollm2", "--json"]) else { return };
    assert_eq!((&shown["hash_ok"], &shown["licence"]), (&true.into(), &"Apache-2.0".into()));
    assert_eq!(shown["info"]["vocab_size"], 49_152);
    assert_eq!(shown["fault"], Value::Null);
}

#[test]
fn an_instruction_set_that_is_not_there_is_refused_by_name() {
    for name in ["sse9", if cfg!(target_arch = "aarch64") { "avx2" } else { "neon" }] {
        let out = Command::new(env!("CARGO_BIN_EXE_osai")).arg("paths").env("OSAI_CPU", name).output().expect("runs");
        let told = String::from_utf8_lossy(&out.stderr);
        assert_eq!(out.status.code(), Some(2), "{told}");
        assert!(told.contains(&format!("`{name}`")) && told.contains("scalar"), "{told}");
    }
}
