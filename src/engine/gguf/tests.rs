//! A header is read whole or refused with its reason; nothing panics.

use super::write::{Builder, text};
use super::*;

fn open(bytes: &[u8]) -> Result<Gguf, EngineError> {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("m.gguf");
    std::fs::write(&path, bytes).expect("written");
    Gguf::open(&path)
}

fn refusal(bytes: &[u8]) -> String {
    open(bytes).expect_err("must be refused").to_string()
}

fn good() -> Builder {
    Builder::default().uint("a.n", 7).text("a.s", "hi").texts("a.l", &["x", "yz"]).tensor(
        "w",
        &[32, 2],
        0,
        vec![0; 256],
    )
}

#[test]
fn a_good_file_is_read() {
    let file = open(&good().bytes()).expect("good");
    assert_eq!((file.uint("a.n"), file.text("a.s")), (Some(7), Some("hi")));
    assert_eq!(file.texts("a.l"), Some(vec!["x".into(), "yz".into()]));
    let w = file.tensor("w").expect("there");
    assert_eq!((w.shape.as_slice(), w.ggml_type, file.bytes(w).len()), (&[2, 32][..], GgmlType::F32, 256));
}

#[test]
fn every_truncation_is_refused() {
    let bytes = good().bytes();
    for len in 0..bytes.len() {
        refusal(&bytes[..len]);
    }
}

#[test]
fn every_flipped_byte_is_refused_or_read_without_panic() {
    let bytes = good().bytes();
    for at in 0..bytes.len() {
        for flip in [1, 0x80, 0xFF] {
            let mut damaged = bytes.clone();
            damaged[at] ^= flip;
            let _ = open(&damaged); // either is right; a panic is not
        }
    }
}

#[test]
fn hostile_headers_are_refused_by_name() {
    let shape = |dims: &[u64], kind| Builder::default().tensor("w", dims, kind, vec![0; 64]).bytes();
    let twice = good().uint("a.n", 8).bytes();
    let mut lap = good().tensor("v", &[8], 0, vec![0; 32]).bytes();
    let v = lap.windows(9).rposition(|w| w[..8] == 1_u64.to_le_bytes() && w[8] == b'v').expect("there");
    lap[v + 9 + 4 + 8 + 4..][..8].copy_from_slice(&0_u64.to_le_bytes());
    for (bytes, word) in [
        (shape(&[(1 << 59) + 32, 32], 8), "shape"),
        (shape(&[0, 4], 0), "shape"),
        (shape(&[33], 3), "multiple of 32"),
        (shape(&[1 << 40], 0), "cut short"),
        (shape(&[256], 19), "IQ1_S"),
        (shape(&[32], 31), "Q4_0_4_4"),
        (shape(&[32], 99), "type 99"),
        (shape(&[1, 1, 1, 1, 1], 0), "dimensions"),
        (twice, "twice"),
        (lap, "overlap"),
        (Builder::default().uint("general.alignment", 0).bytes(), "alignment"),
        (Builder::default().uint("general.alignment", 3).bytes(), "alignment"),
        (Builder::default().text("a\u{1b}[31m", "x").bytes(), "plain text"),
        ([&b"GGUF\x03\0\0\0"[..], &0_u64.to_le_bytes(), &u64::MAX.to_le_bytes()].concat(), "keys"),
        ([&b"GGUF\0\0\0\x03"[..], &[0; 64]].concat(), "big-endian"),
        (b"version https://git-lfs.github.com/spec/v1\n".to_vec(), "LFS"),
        (b"<!doctype html>".to_vec(), "web page"),
        (b"PK\x03\x04".to_vec(), "zip"),
        (b"\x80\x04\x95".to_vec(), "pickle"),
        (b"tjgg\0\0".to_vec(), "old GGML"),
    ] {
        let told = refusal(&bytes);
        assert!(told.contains(word), "wanted `{word}` in: {told}");
    }
}

#[test]
fn a_huge_array_is_refused_before_it_is_read() {
    let value = [&4_u32.to_le_bytes()[..], &(1_u64 << 60).to_le_bytes()].concat();
    let file = Builder { keys: vec![("a".into(), 9, value)], tensors: vec![] };
    assert!(refusal(&file.bytes()).contains("items"));
    let long = Builder { keys: vec![("a".into(), 8, u64::MAX.to_le_bytes().into())], tensors: vec![] };
    assert!(refusal(&long.bytes()).contains("are left"));
    assert_eq!(text("a").len(), 9);
}
