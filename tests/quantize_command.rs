//! `osai model quantize` as a user has it: files, words, exit codes.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

#[allow(dead_code, reason = "families.rs uses all of it")]
#[path = "common/families.rs"]
mod families;
#[path = "common/vocabulary.rs"]
mod vocabulary;

use std::fs;
use std::path::Path;
use std::process::Command;

use osai::engine::gguf::{GgmlType, Gguf};
use serde_json::Value;

use families::families;

/// Exit code, standard output, standard error of a run in a folder.
fn osai(folder: &Path, args: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_osai"));
    command.args(args).current_dir(folder).env_clear().env("HOME", folder);
    let output = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

/// A folder with a small F32 model of 224 columns, `m.gguf`.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let family = families().into_iter().find(|family| family.name == "qwen2").unwrap();
    family.write(GgmlType::F32, &folder.path().join("m.gguf"));
    folder
}

#[test]
fn a_model_becomes_smaller_and_its_report_says_how() {
    let folder = folder();
    let run = |args: &[&str]| osai(folder.path(), args);
    let (code, out, err) = run(&["model", "quantize", "m.gguf", "q.gguf", "--to", "q4_k_m", "--threads", "1"]);
    assert_eq!((code, err.as_str()), (0, ""));
    let lines: Vec<&str> = out.lines().collect();
    assert!(lines[0].starts_with("wrote q.gguf: ") && lines[0].contains(" as Q4_K_M, "), "{out}");
    assert!(lines.iter().any(|l| l.starts_with("  F32 ") && l.ends_with("tensors, kept as they were")), "{out}");
    assert!(lines.iter().any(|l| l.starts_with("  Q5_0 ") && l.contains("moved by 4.")), "{out}");
    assert!(
        lines.iter().any(|l| l.contains("became Q5_0 instead of Q4_K: their rows are no multiples of 256")),
        "{out}"
    );
    assert_eq!(Gguf::open(&folder.path().join("q.gguf")).unwrap().uint("general.file_type"), Some(15));
    let (code, out, _) = run(&["tokens", "the", "--model", "./q.gguf"]);
    assert_eq!(code, 0, "{out}");
}

#[test]
fn json_tells_every_tensor() {
    let folder = folder();
    let (code, out, _) = osai(folder.path(), &["model", "quantize", "m.gguf", "q.gguf", "--to", "Q8_0", "--json"]);
    let report: Value = serde_json::from_str(&out).unwrap();
    let tensors = report["tensors"].as_array().unwrap();
    let of = |name: &str| tensors.iter().find(|tensor| tensor["name"] == name).unwrap();
    assert_eq!((code, report["recipe"].as_str()), (0, Some("Q8_0")));
    assert_eq!(report["bytes"].as_u64(), Some(fs::metadata(folder.path().join("q.gguf")).unwrap().len()));
    let query = of("blk.0.attn_q.weight");
    assert_eq!((query["type_before"].as_str(), query["type"].as_str()), (Some("F32"), Some("Q8_0")));
    assert!(query["rms_error"].as_f64() > Some(0.0) && report["relative_error"].as_f64() < Some(0.01), "{report}");
    assert_eq!(of("output_norm.weight")["rms_error"], 0.0);
}

#[test]
fn nothing_is_lost_unasked() {
    let folder = folder();
    let run = |args: &[&str]| osai(folder.path(), &[&["model", "quantize"], args].concat());
    fs::write(folder.path().join("mine"), "precious").unwrap();
    let (code, _, err) = run(&["m.gguf", "mine", "--to", "Q8_0"]);
    assert_eq!((code, err.as_str()), (3, "osai: `mine` is there already; --force replaces it\n"));
    assert_eq!(fs::read_to_string(folder.path().join("mine")).unwrap(), "precious");
    assert_eq!(run(&["m.gguf", "mine", "--to", "Q8_0", "--force"]).0, 0);
    let (code, _, err) = run(&["mine", "again.gguf", "--to", "Q4_0"]);
    assert!(code == 2 && err.contains("quantised already") && !folder.path().join("again.gguf").exists(), "{err}");
    assert_eq!(run(&["mine", "again.gguf", "--to", "Q4_0", "--again"]).0, 0);
    // In place, too: the old file is read to its end before the new one takes its name.
    assert_eq!(run(&["m.gguf", "m.gguf", "--to", "Q8_0", "--force"]).0, 0);
    assert_eq!(fs::read(folder.path().join("m.gguf")).unwrap(), fs::read(folder.path().join("mine")).unwrap());
}

#[test]
fn what_cannot_be_done_is_told_in_one_sentence() {
    let folder = folder();
    let run = |args: &[&str]| osai(folder.path(), &[&["model", "quantize"], args].concat());
    let (code, _, err) = run(&["m.gguf", "q.gguf", "--to", "Q4_X"]);
    assert!(code == 2 && err.contains("it is one of F32, F16, BF16, Q8_0"), "{err}");
    let (code, _, err) = run(&["no.gguf", "q.gguf", "--to", "Q8_0"]);
    assert!(code == 1 && err.contains("no.gguf"), "{err}");
    let (code, _, err) = run(&["m.gguf", "no/q.gguf", "--to", "Q8_0"]);
    assert!(code == 3 && err.starts_with("osai: cannot write `no/q.gguf`"), "{err}");
    fs::write(folder.path().join("bad.gguf"), b"GGUF\x03\0\0\0").unwrap();
    let (code, _, err) = run(&["bad.gguf", "q.gguf", "--to", "Q8_0"]);
    assert!(code == 4 && err.contains("cut short"), "{err}");
    assert_eq!(
        fs::read_dir(folder.path()).unwrap().filter(|e| e.as_ref().unwrap().file_type().unwrap().is_file()).count(),
        2
    );
}
