//! A vocabulary in the forms that others read: the lists of GGUF's metadata, and Hugging Face's files.

use std::sync::LazyLock;

use serde_json::json;

use super::super::document::{CHAT_TEMPLATE, END_OF_TEXT, TURN_END, TURN_START};
use super::{Bpe, LEAST, SPECIAL};

/// GPT-2's letters for bytes: printable ones stand for themselves, the others for characters from U+0100 on.
static LETTERS: LazyLock<[char; 256]> = LazyLock::new(|| {
    let mut next = 0x100;
    std::array::from_fn(|byte| match byte as u8 {
        b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff => char::from(byte as u8),
        _ => {
            next += 1;
            char::from_u32(next - 1).unwrap_or_default()
        }
    })
});

/// Bytes as they stand in vocabulary files.
pub fn written(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| LETTERS[usize::from(*byte)]).collect()
}

impl Bpe {
    /// `tokenizer.ggml.tokens`.
    pub fn token_list(&self) -> Vec<String> {
        let special = SPECIAL.iter().map(|name| (*name).to_owned());
        special.chain(self.tokens[SPECIAL.len()..].iter().map(|bytes| written(bytes))).collect()
    }

    /// `tokenizer.ggml.merges`.
    pub fn merge_list(&self) -> Vec<String> {
        let written = |id: u32| written(&self.tokens[id as usize]);
        self.merges.iter().map(|(a, b)| format!("{} {}", written(*a), written(*b))).collect()
    }

    /// `tokenizer.ggml.token_type`: 3 for the special ones, 1 for all others.
    pub fn token_types(&self) -> Vec<i32> {
        (0..self.size()).map(|id| if id < SPECIAL.len() { 3 } else { 1 }).collect()
    }

    /// Hugging Face's `tokenizer.json`.
    pub fn tokenizer_json(&self) -> String {
        let added = |(id, name): (usize, &&str)| {
            json!({"id": id, "content": name, "single_word": false, "lstrip": false, "rstrip": false,
                   "normalized": false, "special": true})
        };
        let tokens = self.token_list();
        let vocab: serde_json::Map<_, _> = tokens.into_iter().enumerate().map(|(id, t)| (t, id.into())).collect();
        let file = json!({
            "version": "1.0",
            "truncation": null,
            "padding": null,
            "added_tokens": SPECIAL.iter().enumerate().map(added).collect::<Vec<_>>(),
            "normalizer": null,
            "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
                {"type": "Digits", "individual_digits": true},
                {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true},
            ]},
            "post_processor": null,
            "decoder": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true},
            "model": {"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
                      "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false, "ignore_merges": false,
                      "vocab": vocab, "merges": self.merge_list()},
        });
        format!("{file:#}\n")
    }

    /// Hugging Face's `tokenizer_config.json`, with the chat template.
    pub fn tokenizer_config_json(&self) -> String {
        let file = json!({
            "tokenizer_class": "GPT2Tokenizer",
            "add_prefix_space": false,
            "bos_token": TURN_START,
            "eos_token": TURN_END,
            "pad_token": TURN_END,
            "unk_token": END_OF_TEXT,
            "clean_up_tokenization_spaces": false,
            "chat_template": CHAT_TEMPLATE,
        });
        format!("{file:#}\n")
    }

    /// The number of tokens that are not merges.
    pub const fn least() -> usize {
        LEAST
    }
}
