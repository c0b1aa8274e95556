//! What a report says of files with which nothing is wrong, and of some with which something is; the many hostile ones
//! are in `tests/hostile`.

use std::path::Path;

use super::*;
use crate::engine::gguf::write::Builder;

fn report_of(name: &str, bytes: &[u8]) -> Report {
    inspect_bytes(bytes, Path::new(name), &Wanted { all: false, context: Some(10) })
}

fn fact<'a>(facts: &'a [Fact], name: &str) -> Option<&'a str> {
    facts.iter().find(|fact| fact.name == name).map(|fact| fact.value.as_str())
}

fn small_llama() -> Builder {
    Builder::default()
        .text("general.architecture", "llama")
        .uint("llama.block_count", 2)
        .uint("llama.embedding_length", 64)
        .uint("llama.attention.head_count", 4)
        .uint("llama.attention.head_count_kv", 2)
        .uint("llama.context_length", 128)
        .text("tokenizer.ggml.model", "gpt2")
        .texts("tokenizer.ggml.tokens", &["a", "b", "c", "d", "e", "f", "g", "h", "<end>"])
        .uint("tokenizer.ggml.eos_token_id", 8)
        .text("tokenizer.chat_template", "{{ messages }}")
}

#[test]
fn a_gguf_is_told_with_its_memory_tokenizer_and_template() {
    let file = small_llama().tensor("norm", &[64], 0, vec![0; 256]).tensor("w", &[32, 2], 8, vec![0; 68]);
    let report = report_of("m.gguf", &file.bytes());
    assert_eq!(report.verdict, Verdict::Sound, "{:?}", report.faults);
    // 68 bytes as stored and 64 floats; 10 tokens of 2 layers × 2 heads × (16 + 16) floats.
    let memory = Memory { weights: 68 + 256, context: 10, cache: 10 * 2 * 2 * 32 * 4, total: 324 + 5120 };
    assert_eq!(report.memory, Some(memory));
    assert_eq!(fact(&report.tokenizer, "ends with"), Some("8 <end>"));
    assert_eq!(report.template.as_deref(), Some("{{ messages }}"));
    let tokens = &report.metadata["tokenizer.ggml.tokens"];
    assert_eq!((&tokens["items"], tokens["first"].as_array().map(Vec::len)), (&9.into(), Some(8)));
    assert_eq!(
        report.totals.iter().map(|t| (t.dtype.as_str(), t.bytes)).collect::<Vec<_>>(),
        [("F32", 256), ("Q8_0", 68)]
    );
}

#[test]
fn a_type_that_osai_does_not_run_is_told_and_no_fault() {
    let report = report_of("m.gguf", &small_llama().tensor("w", &[32], 20, vec![0; 18]).bytes());
    assert_eq!(report.verdict, Verdict::Sound);
    let told = report.remarks.listed[0].to_string();
    assert!(told.contains("IQ4_NL") && told.contains("`w`"), "{told}");
}

#[test]
fn heads_may_differ_from_layer_to_layer() {
    let counts = [&4_u32.to_le_bytes()[..], &2_u64.to_le_bytes(), &1_u32.to_le_bytes(), &3_u32.to_le_bytes()].concat();
    let mut file = small_llama();
    file.keys.retain(|(key, _, _)| key != "llama.attention.head_count_kv");
    file.keys.push(("llama.attention.head_count_kv".into(), 9, counts));
    let report = report_of("m.gguf", &file.bytes());
    // Four heads in all instead of two times two.
    assert_eq!(report.memory.map(|memory| memory.cache), Some(5120));
}

#[test]
fn all_faults_of_a_file_are_told() {
    let file = small_llama().uint("general.alignment", 3).text("x\u{1b}", "y").tensor("w", &[33], 8, vec![0; 34]);
    let report = report_of("m.gguf", &file.bytes());
    assert_eq!((report.verdict, report.faults.len()), (Verdict::Damaged, 3), "{:?}", report.faults);
    assert!(report.faults.listed.iter().all(|fault| fault.at.is_some()));
}

#[test]
fn an_onnx_model_is_told_and_a_path_out_of_its_folder_is_dangerous() {
    fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
        [&[number << 3 | 2, bytes.len() as u8][..], bytes].concat()
    }
    let model = |location: &str| {
        let pair = [field(1, b"location"), field(2, location.as_bytes())].concat();
        let tensor = [&b"\x08\x02\x08\x03\x10\x01"[..], &field(8, b"w"), &field(13, &pair)].concat();
        let node = field(4, b"MatMul");
        let graph = [field(1, &node), field(1, &node), field(5, &tensor)].concat();
        [&b"\x08\x07"[..], &field(2, b"pytorch"), &field(7, &graph)].concat()
    };
    let report = report_of("m.onnx", &model("weights.bin"));
    assert_eq!(report.verdict, Verdict::Sound, "{:?}", report.faults);
    assert_eq!(fact(&report.facts, "operators used"), Some("MatMul 2"));
    let tensor = &report.tensors[0];
    assert_eq!(
        (tensor.dtype.as_str(), tensor.shape.as_slice(), tensor.file.as_deref()),
        ("float32", &[2, 3][..], Some("weights.bin"))
    );
    assert_eq!(report_of("m.onnx", &model("../../etc/passwd")).verdict, Verdict::Dangerous);
}

#[test]
fn what_cannot_be_looked_into_is_not_called_sound() {
    for (name, bytes) in
        [("a.gz", &b"\x1f\x8b\x08rest"[..]), ("a.h5", b"\x89HDF\r\n\x1a\n"), ("a.txt", b"hello"), ("a.json", b"{}")]
    {
        assert_eq!(report_of(name, bytes).verdict, Verdict::Unknown, "{name}");
    }
    assert_eq!(report_of("a.bin", b"#!/bin/sh\n").verdict, Verdict::Dangerous);
    assert_eq!(report_of("a.gguf", b"").verdict, Verdict::Damaged);
}
