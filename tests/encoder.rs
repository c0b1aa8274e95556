//! A BERT encoder with random weights against numpy (`tests/tools/bert_reference.py` says how the facts were made).

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use osai::engine::safetensors::{Dtype, TensorToWrite, write};
use osai::engine::{Encoder, Isa, Options, is_encoder};
use serde_json::{Map, Value, json};

const HIDDEN: usize = 48;
const WIDE: usize = 80;
const LAYERS: usize = 2;
const POSITIONS: usize = 16;
const WORDS: [&str; 12] =
    ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "open", "weight", "##s", "a", "model", "is", "not", "data"];

/// SplitMix64, so that the weights are the same everywhere.
struct Numbers(u64);

impl Numbers {
    /// From -1 to 1, rounded to 24 bits.
    fn next(&mut self) -> f32 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z >> 40) as f32 / (1_u64 << 24) as f32 - 0.5) * 2.0
    }
}

fn tensors() -> Vec<(String, Vec<usize>, f32, f32)> {
    let mut all = vec![];
    // Name, shape, mean and spread of the numbers.
    let mut dense = |name: String, rows: usize, columns: usize| {
        all.push((format!("{name}.weight"), vec![rows, columns], 0.0, 2.0 / (columns as f32).sqrt()));
        all.push((format!("{name}.bias"), vec![rows], 0.0, 0.3));
    };
    for layer in 0..LAYERS {
        let at = format!("encoder.layer.{layer}");
        for part in ["query", "key", "value"] {
            dense(format!("{at}.attention.self.{part}"), HIDDEN, HIDDEN);
        }
        dense(format!("{at}.attention.output.dense"), HIDDEN, HIDDEN);
        dense(format!("{at}.intermediate.dense"), WIDE, HIDDEN);
        dense(format!("{at}.output.dense"), HIDDEN, WIDE);
    }
    let mut norm = |name: String| {
        all.push((format!("{name}.weight"), vec![HIDDEN], 1.0, 0.4));
        all.push((format!("{name}.bias"), vec![HIDDEN], 0.0, 0.2));
    };
    norm("embeddings.LayerNorm".into());
    for layer in 0..LAYERS {
        norm(format!("encoder.layer.{layer}.attention.output.LayerNorm"));
        norm(format!("encoder.layer.{layer}.output.LayerNorm"));
    }
    for (name, rows) in [("word", WORDS.len()), ("position", POSITIONS), ("token_type", 2)] {
        all.push((format!("embeddings.{name}_embeddings.weight"), vec![rows, HIDDEN], 0.0, 1.0));
    }
    all
}

fn write_folder(folder: &Path) {
    let mut numbers = Numbers(41);
    let f32s = Dtype::named("F32").expect("a type");
    let tensors = tensors().into_iter().map(|(name, shape, mean, spread)| {
        let count = shape.iter().product::<usize>();
        let bytes = (0..count).flat_map(|_| spread.mul_add(numbers.next(), mean).to_le_bytes()).collect();
        TensorToWrite { name, dtype: f32s, shape, bytes: Cow::Owned(bytes) }
    });
    write(&folder.join("model.safetensors"), tensors.collect(), &BTreeMap::new()).expect("written");
    let config = json!({
        "model_type": "bert", "hidden_size": HIDDEN, "num_hidden_layers": LAYERS, "num_attention_heads": 4,
        "intermediate_size": WIDE, "vocab_size": WORDS.len(), "max_position_embeddings": POSITIONS,
        "layer_norm_eps": 1e-12, "hidden_act": "gelu"
    });
    let vocab: Map<String, Value> = WORDS.iter().enumerate().map(|(id, word)| ((*word).into(), json!(id))).collect();
    let special = |id: usize| {
        json!({"id": id, "content": WORDS[id], "special": true, "single_word": false, "lstrip": false, "rstrip": false,
               "normalized": false})
    };
    let framed = |id: usize| json!({"id": WORDS[id], "ids": [id], "tokens": [WORDS[id]]});
    let tokenizer = json!({
        "version": "1.0",
        "added_tokens": (0..4).map(special).collect::<Vec<_>>(),
        "normalizer": {"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true,
                       "strip_accents": null, "lowercase": true},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [{"SpecialToken": {"id": "[CLS]", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}},
                       {"SpecialToken": {"id": "[SEP]", "type_id": 0}}],
            "pair": [{"SpecialToken": {"id": "[CLS]", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}},
                     {"SpecialToken": {"id": "[SEP]", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}},
                     {"SpecialToken": {"id": "[SEP]", "type_id": 1}}],
            "special_tokens": {"[CLS]": framed(2), "[SEP]": framed(3)}
        },
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": true},
        "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
                  "max_input_chars_per_word": 100, "vocab": vocab}
    });
    fs::write(folder.join("tokenizer.json"), tokenizer.to_string()).expect("written");
    fs::write(folder.join("config.json"), config.to_string()).expect("written");
}

/// The first numbers of each text's vector, by numpy 2 in 64 bits, 2026-11-24.
const FACTS: [(&str, [f32; 8]); 2] = [
    ("Open weights", [-0.162546, 0.106566, 0.037382, 0.10688, -0.182302, 0.041905, 0.123146, 0.083628]),
    ("a model is not data", [-0.073636, 0.132296, 0.036932, -0.034949, -0.041011, 0.052028, 0.035009, 0.091198]),
];

#[test]
fn sentence_vectors_are_those_of_numpy_on_every_instruction_set() {
    let folder = tempfile::tempdir().expect("a folder");
    write_folder(folder.path());
    assert!(is_encoder(folder.path()));
    for (text, want) in FACTS {
        let mut first: Option<Vec<f32>> = None;
        for isa in Isa::available() {
            let options = Options { isa: Some(isa), threads: Some(2), ..Options::default() };
            let vector = Encoder::open(folder.path(), options).and_then(|mut e| e.embed(text)).expect("a vector");
            let length: f64 = vector.iter().map(|x| f64::from(*x).powi(2)).sum();
            assert!(vector.len() == HIDDEN && (length - 1.0).abs() < 1e-6, "{text}: length {length}");
            for (got, want) in vector.iter().zip(&want) {
                assert!((got - want).abs() < 2e-6, "{text}, {isa:?}: {:?} against {want:?}", &vector[..8]);
            }
            assert_eq!(*first.get_or_insert_with(|| vector.clone()), vector, "{text}, {isa:?}");
        }
    }
}

#[test]
fn what_an_encoder_cannot_take_is_said() {
    let folder = tempfile::tempdir().expect("a folder");
    write_folder(folder.path());
    let mut encoder = Encoder::open(folder.path(), Options::default()).expect("opens");
    let told = encoder.embed(&"open ".repeat(20)).expect_err("too long").to_string();
    assert!(told.contains("22 tokens") && told.contains("16"), "{told}");
    let config = fs::read_to_string(folder.path().join("config.json")).expect("written");
    for (from, to, word) in [
        ("\"gelu\"", "\"relu\"", "`relu`"),
        ("\"num_attention_heads\":4", "\"num_attention_heads\":5", "5 heads"),
        ("\"intermediate_size\":80", "\"intermediate_size\":81", "has the shape"),
    ] {
        fs::write(folder.path().join("config.json"), config.replace(from, to)).expect("written");
        let told = Encoder::open(folder.path(), Options::default()).expect_err(word).to_string();
        assert!(told.contains(word), "wanted {word} in: {told}");
    }
}

#[test]
#[ignore = "writes the folder for tests/tools/bert_reference.py"]
#[allow(clippy::disallowed_methods, reason = "the folder to write is named by the environment")]
fn write_bert() {
    let folder = std::env::var_os("OSAI_WRITE_BERT").expect("OSAI_WRITE_BERT names a folder");
    fs::create_dir_all(&folder).expect("made");
    write_folder(Path::new(&folder));
}
