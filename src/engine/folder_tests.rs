//! A Hugging Face folder must say what the GGUF file made from it says.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::gguf::write::Builder;
use super::safetensors::{Dtype, TensorToWrite, write};
use super::tests::{HEADS, KV_HEADS, builder, open, vocabulary};
use super::*;

/// Hugging Face's name of a tensor of the tiny model.
fn hf_name(gguf: &str) -> String {
    const PARTS: [(&str, &str); 9] = [
        ("attn_norm", "input_layernorm"),
        ("attn_q", "self_attn.q_proj"),
        ("attn_k", "self_attn.k_proj"),
        ("attn_v", "self_attn.v_proj"),
        ("attn_output", "self_attn.o_proj"),
        ("ffn_norm", "post_attention_layernorm"),
        ("ffn_gate", "mlp.gate_proj"),
        ("ffn_up", "mlp.up_proj"),
        ("ffn_down", "mlp.down_proj"),
    ];
    match gguf {
        "token_embd.weight" => "model.embed_tokens.weight".into(),
        "output_norm.weight" => "model.norm.weight".into(),
        layer => {
            let parts: Vec<&str> = layer.split('.').collect();
            let hf = PARTS.iter().find(|(gguf, _)| *gguf == parts[2]).expect("a known part").1;
            format!("model.layers.{}.{hf}.weight", parts[1])
        }
    }
}

/// Undoes what the conversion to GGUF does to llama's queries and keys: there the pairs that turn together are
/// neighbours, here they are half a head apart.
fn apart(bytes: &[u8], heads: usize, rows: usize) -> Vec<u8> {
    let (width, half) = (bytes.len() / rows, rows / heads / 2);
    let mut out = Vec::with_capacity(bytes.len());
    for head in 0..heads {
        for side in 0..2 {
            for pair in 0..half {
                let row = head * 2 * half + 2 * pair + side;
                out.extend_from_slice(&bytes[row * width..(row + 1) * width]);
            }
        }
    }
    out
}

fn config() -> Value {
    json!({
        "model_type": "llama", "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2,
        "num_attention_heads": HEADS, "num_key_value_heads": KV_HEADS, "max_position_embeddings": 200,
        "rms_norm_eps": 1e-5, "vocab_size": 258, "eos_token_id": 257
    })
}

fn write_folder(folder: &Path, file: &Builder, config: &Value) {
    let f32s = Dtype::named("F32").expect("a type");
    let tensors = file.tensors.iter().map(|(name, dims, _, bytes)| {
        let shape: Vec<usize> = dims.iter().rev().map(|d| *d as usize).collect();
        let bytes = match name.rsplit('.').nth(1) {
            Some("attn_q") => Cow::Owned(apart(bytes, HEADS as usize, shape[0])),
            Some("attn_k") => Cow::Owned(apart(bytes, KV_HEADS as usize, shape[0])),
            _ => Cow::Borrowed(bytes.as_slice()),
        };
        TensorToWrite { name: hf_name(name), dtype: f32s, shape, bytes }
    });
    write(&folder.join("model.safetensors"), tensors.collect(), &BTreeMap::new()).expect("written");
    let vocab: serde_json::Map<String, Value> =
        vocabulary().into_iter().take(256).enumerate().map(|(id, token)| (token, json!(id))).collect();
    let added = |id: u32, content: &str| {
        json!({"id": id, "content": content, "special": true, "single_word": false, "lstrip": false, "rstrip": false,
               "normalized": false})
    };
    let tokenizer = json!({
        "version": "1.0",
        "added_tokens": [added(256, "<|im_start|>"), added(257, "<|im_end|>")],
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true},
        "decoder": {"type": "ByteLevel"},
        "model": {"type": "BPE", "vocab": vocab, "merges": []}
    });
    fs::write(folder.join("tokenizer.json"), tokenizer.to_string()).expect("written");
    fs::write(folder.join("config.json"), config.to_string()).expect("written");
}

#[test]
fn a_folder_gives_the_logits_of_its_gguf_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = builder(0);
    write_folder(folder.path(), &file, &config());
    let mut from_folder = Model::open(folder.path()).expect("opens");
    let mut from_file = open(&file, Options::default()).expect("opens");
    let tokens: Vec<u32> = (0..90).map(|i| i * 37 % 256).collect();
    let (a, b) = (from_folder.all_logits(&tokens, 64), from_file.all_logits(&tokens, 64));
    let largest = b.iter().fold(0.0_f32, |m, l| m.max(l.abs()));
    let apart = a.iter().zip(&b).fold(0.0_f32, |m, (a, b)| m.max((a - b).abs()));
    assert!(apart <= 1e-5 * largest, "{apart} apart, the largest being {largest}");
    assert_eq!(from_folder.info().quantization, "F32");
    assert_eq!(from_folder.info().parameters, from_file.info().parameters);
}

#[test]
fn what_a_folder_lacks_or_has_too_much_of_is_named() {
    for (change, word) in [
        ("q", "model.layers.1.self_attn.q_proj.weight"),
        ("sinks", "model.layers.0.self_attn.sinks"),
        ("type", "`gpt_oss`"),
        ("vocabulary", "258 tokens"),
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        let (mut file, mut config) = (builder(0), config());
        match change {
            "q" => file.tensors.retain(|t| t.0 != "blk.1.attn_q.weight"),
            "type" => config["model_type"] = json!("gpt_oss"),
            "vocabulary" => config["vocab_size"] = json!(200),
            _ => {}
        }
        write_folder(folder.path(), &file, &config);
        if change == "sinks" {
            let extra = TensorToWrite {
                name: word.into(),
                dtype: Dtype::named("F32").expect("a type"),
                shape: vec![1],
                bytes: Cow::Owned(vec![0; 4]),
            };
            let shard = folder.path().join("model-00002-of-00002.safetensors");
            write(&shard, vec![extra], &BTreeMap::new()).expect("written");
            let first = folder.path().join("model-00001-of-00002.safetensors");
            fs::rename(folder.path().join("model.safetensors"), first).expect("renamed");
            let mut map: BTreeMap<String, String> =
                file.tensors.iter().map(|t| (hf_name(&t.0), "model-00001-of-00002.safetensors".to_owned())).collect();
            map.insert(word.into(), "model-00002-of-00002.safetensors".into());
            let index = json!({"metadata": {}, "weight_map": map});
            fs::write(folder.path().join("model.safetensors.index.json"), index.to_string()).expect("written");
        }
        let told = Model::open(folder.path()).expect_err(word).to_string();
        assert!(told.contains(word), "wanted {word} in: {told}");
    }
}
