//! The real binary on model files: `inspect`, `add`, `list`, `verify`, `rm`, with no model installed.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

/// A home with nothing in it, and a folder of files to add.
struct Home(tempfile::TempDir);

impl Home {
    fn new() -> Self {
        let home = Self(tempfile::tempdir().unwrap());
        fs::create_dir(home.path("files")).unwrap();
        fs::create_dir(home.path("shared")).unwrap();
        home
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn file(&self, name: &str, bytes: &[u8]) -> String {
        let path = self.path("files").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// Exit code, standard output, standard error.
    fn osai(&self, args: &[&str]) -> (i32, String, String) {
        let output = Command::new(env!("CARGO_BIN_EXE_osai"))
            .args(args)
            .env_clear()
            .env("HOME", self.0.path())
            .env("OSAI_MODEL_DIR", self.path("shared"))
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
    }

    fn json(&self, args: &[&str]) -> Value {
        let (_, stdout, stderr) = self.osai(args);
        serde_json::from_str(&stdout).unwrap_or_else(|e| panic!("{args:?}: {e}: {stdout}{stderr}"))
    }

    /// The own store.
    fn store(&self) -> PathBuf {
        self.path(".local/share/osai/models")
    }

    fn stored(&self) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.store()) else { return vec![] };
        let mut names: Vec<_> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

/// A GGUF file with one text and one tensor of 32 numbers.
fn gguf(name: &str) -> Vec<u8> {
    let text = |s: &str| [&(s.len() as u64).to_le_bytes()[..], s.as_bytes()].concat();
    let mut out = [&b"GGUF\x03\0\0\0"[..], &1_u64.to_le_bytes(), &1_u64.to_le_bytes()].concat();
    out.extend([text("general.name"), 8_u32.to_le_bytes().into(), text(name)].concat());
    out.extend([text("w"), 1_u32.to_le_bytes().into(), 32_u64.to_le_bytes().into()].concat());
    out.extend([0; 4 + 8]);
    out.resize(out.len().next_multiple_of(32) + 128, 0);
    out
}

fn safetensors() -> Vec<u8> {
    let json = r#"{"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#;
    [&(json.len() as u64).to_le_bytes()[..], json.as_bytes(), &[0; 8]].concat()
}

#[test]
fn the_exit_code_of_inspect_is_its_verdict() {
    let home = Home::new();
    let sound = home.file("good.gguf", &gguf("Good"));
    let (code, stdout, stderr) = home.osai(&["model", "inspect", &sound]);
    assert_eq!((code, stderr.as_str()), (0, ""), "{stdout}");
    assert!(stdout.contains("GGUF version 3") && stdout.contains("sound"), "{stdout}");
    assert!(
        stdout.lines().all(|line| line.chars().count() <= 80 || line.contains(home.0.path().to_str().unwrap())),
        "{stdout}"
    );
    for (name, bytes, code, word) in [
        ("unknown.pkl", &b"\x80\x02cmy.lib\nNet\n)R."[..], 1, "UNKNOWN"),
        ("cut.gguf", &gguf("Good")[..100], 4, "cut short"),
        ("evil.bin", b"cposix\nsystem\n(S'id'\ntR.", 5, "posix.system (GLOBAL at byte 0)"),
    ] {
        let (found, stdout, stderr) = home.osai(&["model", "inspect", &home.file(name, bytes)]);
        assert_eq!((found, stderr.as_str()), (code, ""), "{name}: {stdout}");
        assert!(stdout.contains(word), "{name}: {stdout}");
    }
    let (code, _, stderr) = home.osai(&["model", "inspect", "/nowhere/x.gguf"]);
    assert_eq!(code, 1, "{stderr}");
}

#[test]
fn inspect_tells_hash_and_tensors_as_json_and_draws_nothing_a_terminal_obeys() {
    let home = Home::new();
    let path = home.file("good.gguf", &gguf("\u{1b}]0;title\u{7}\u{202e}"));
    let report = home.json(&["model", "inspect", &path, "--json", "--hash"]);
    assert_eq!(report["tensors"][0]["name"], "w");
    assert_eq!(report["tensors"][0]["bytes"], 128);
    assert_eq!(report["sha256"].as_str().unwrap().len(), 64);
    let (_, stdout, _) = home.osai(&["model", "inspect", &path, "--all"]);
    assert!(!stdout.contains(['\u{1b}', '\u{7}', '\u{202e}']), "{stdout:?}");
}

#[test]
fn a_model_is_added_listed_verified_and_removed() {
    let home = Home::new();
    let path = home.file("tiny.gguf", &gguf("Tiny"));
    assert_eq!(home.osai(&["model", "add", &path]).0, 0);
    assert_eq!(home.osai(&["model", "add", &path, "--name", "tiny@2"]).0, 0);
    assert_eq!(home.stored(), ["tiny.gguf", "tiny.gguf.sha256", "tiny@2.gguf", "tiny@2.gguf.sha256"]);
    let listed = home.json(&["model", "list", "--json"]);
    let versions: Vec<_> =
        listed.as_array().unwrap().iter().filter(|m| m["own"] == true).map(|m| m["version"].clone()).collect();
    assert_eq!(versions, [Value::Null, "2".into()]);
    assert_eq!(home.osai(&["model", "verify"]).0, 0);
    let mut damaged = fs::read(home.store().join("tiny@2.gguf")).unwrap();
    *damaged.last_mut().unwrap() ^= 1;
    fs::write(home.store().join("tiny@2.gguf"), damaged).unwrap();
    let (code, stdout, stderr) = home.osai(&["model", "verify"]);
    assert_eq!(code, 5, "{stdout}{stderr}");
    assert!(
        stdout.contains("right") && stdout.contains("damaged") && stderr.contains("damaged: tiny"),
        "{stdout}{stderr}"
    );
    // Nobody is there to ask.
    let (code, _, stderr) = home.osai(&["model", "rm", "tiny@2"]);
    assert!(code == 2 && stderr.contains("--yes"), "{stderr}");
    let (code, stdout, _) = home.osai(&["model", "rm", "tiny@2", "--yes"]);
    assert!(code == 0 && stdout.contains("removed") && stdout.contains("free again"), "{stdout}");
    assert_eq!(home.stored(), ["tiny.gguf", "tiny.gguf.sha256"]);
}

#[test]
fn a_hostile_file_is_not_added_and_a_shared_one_not_removed() {
    let home = Home::new();
    for (name, bytes, word) in [
        ("cut.gguf", &gguf("Cut")[..150], "damaged or hostile"),
        ("evil.gguf", b"cposix\nsystem\n(S'id'\ntR.", "not taken as a model"),
        ("page.gguf", b"<!doctype html>", "web page"),
        ("one.safetensors", &safetensors(), "a folder with its `config.json`"),
    ] {
        let (code, _, stderr) = home.osai(&["model", "add", &home.file(name, bytes)]);
        assert!(code == 4 && stderr.contains(word), "{name}: {code} {stderr}");
        assert_eq!(home.stored(), [""; 0], "{name}");
    }
    fs::write(home.path("shared/class.gguf"), gguf("Class")).unwrap();
    let (code, _, stderr) = home.osai(&["model", "rm", "class", "--yes"]);
    assert!(code == 2 && stderr.contains("removes nothing from other folders"), "{stderr}");
    assert!(home.path("shared/class.gguf").exists());
}

#[test]
fn a_hugging_face_folder_is_inspected_and_added_as_a_whole() {
    let home = Home::new();
    let config = br#"{"architectures":["LlamaForCausalLM"],"num_hidden_layers":2,"num_attention_heads":4,"hidden_size":64,"max_position_embeddings":128}"#;
    home.file("net/config.json", config);
    home.file("net/README.md", b"---\nlicense: apache-2.0\n---\n# Net\n");
    home.file(
        "net/tokenizer.json",
        br#"{"model":{"type":"BPE","vocab":{"a":0,"b":1},"merges":["a b"]},"added_tokens":[]}"#,
    );
    home.file("net/modeling_net.py", b"import os\n");
    home.file("net/model.safetensors", &safetensors());
    let folder = home.path("files/net").to_str().unwrap().to_owned();
    let report = home.json(&["model", "inspect", &folder, "--json", "--context", "100"]);
    assert_eq!(report["verdict"], "sound", "{report}");
    // Two layers of 64 keys and 64 values as f32, 100 times; two numbers of weights.
    assert_eq!((&report["memory"]["cache"], &report["memory"]["weights"]), (&102_400.into(), &8.into()));
    let facts = report["facts"].to_string();
    assert!(facts.contains("apache-2.0") && facts.contains("LlamaForCausalLM"), "{facts}");
    assert!(report["remarks"].to_string().contains("modeling_net.py"), "{report}");
    assert_eq!(home.osai(&["model", "add", &folder]).0, 0);
    assert!(home.store().join("net/SHA256SUMS").is_file() && !home.store().join("net/modeling_net.py").exists());
    assert_eq!(home.osai(&["model", "verify", "net"]).0, 0);
    // A pickle beside the weights does not stay unseen; it is not taken either.
    home.file("net/pytorch_model.bin", b"cposix\nsystem\n(S'id'\ntR.");
    assert_eq!(home.osai(&["model", "inspect", &folder]).0, 5);
    assert_eq!(home.osai(&["model", "add", &folder, "--name", "net@2"]).0, 0);
    assert!(!home.store().join("net@2/pytorch_model.bin").exists());
    fs::write(Path::new(&folder).join("model.safetensors"), &safetensors()[..30]).unwrap();
    let (code, _, stderr) = home.osai(&["model", "add", &folder, "--name", "net@3"]);
    assert!(code == 4 && stderr.contains("cut short"), "{stderr}");
    assert_eq!(home.osai(&["model", "rm", "net", "--yes"]).0, 0);
    assert_eq!(home.stored(), ["net@2"]);
}
