//! Text to tokens and back, from the vocabulary that the model's own file carries.
//!
//! The cutting is splintr's, which passes llama.cpp's vocabulary tests (see `tests/reference.rs` for ours); here is
//! what a learner must be able to rely on: special tokens are only made where the chat template wrote them, never
//! from what somebody typed, and a stream never shows half a character.

use splintr::{AnyTokenizer, GgufVocab, SpecialMode, from_gguf_vocab};

use super::gguf::Gguf;
use super::{EngineError, TextToken, TokenId};

/// GGUF's token type for control tokens (`<|im_end|>`).
const CONTROL: u32 = 3;
/// GGUF's token type for tokens the maker added, which are ordinary text.
const USER_DEFINED: u32 = 4;

/// A model's tokenizer.
pub struct Tokenizer {
    inner: AnyTokenizer,
    /// Bytes of each token; a special one's name.
    bytes: Vec<Vec<u8>>,
    /// Control tokens with their names, longest first.
    special: Vec<(String, TokenId)>,
    is_special: Vec<bool>,
    end: Vec<TokenId>,
    add_bos: Option<TokenId>,
}

impl std::fmt::Debug for Tokenizer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Tokenizer({} tokens)", self.bytes.len())
    }
}

impl Tokenizer {
    /// Reads the vocabulary from a file's metadata.
    ///
    /// # Errors
    /// [`EngineError::BadFile`] or [`EngineError::Unsupported`] when it is missing or of a kind that cannot be cut.
    pub fn from_gguf(file: &Gguf) -> Result<Self, EngineError> {
        let id = |name: &str| file.uint(&format!("tokenizer.ggml.{name}_token_id")).map(|n| n as TokenId);
        let tokens = file
            .texts("tokenizer.ggml.tokens")
            .ok_or_else(|| file.bad("the key `tokenizer.ggml.tokens` is missing"))?;
        let token_type = file.words("tokenizer.ggml.token_type", u32::from_le_bytes);
        let kind = |i: usize| token_type.as_ref().and_then(|t| t.get(i)).copied().unwrap_or(1);
        let is_special: Vec<bool> = (0..tokens.len()).map(|i| kind(i) == CONTROL).collect();
        let mut special: Vec<(String, TokenId)> = (0..tokens.len())
            .filter(|i| matches!(kind(*i), CONTROL | USER_DEFINED) && !tokens[*i].is_empty())
            .map(|i| (tokens[i].clone(), i as TokenId))
            .collect();
        special.sort_by(|a, b| b.0.len().cmp(&a.0.len()).then(a.1.cmp(&b.1)));
        // Besides the declared end, the names that chat formats use for the end of a turn or text.
        let ends = ["<|im_end|>", "<|endoftext|>", "<|eot_id|>", "<|end_of_text|>", "</s>", "<|end|>", "<end_of_turn>"];
        let named = special.iter().filter(|(name, id)| is_special[*id as usize] && ends.contains(&name.as_str()));
        let mut end: Vec<TokenId> = named.map(|(_, id)| *id).chain(id("eos")).chain(id("eot")).collect();
        end.sort_unstable();
        end.dedup();
        let limit = tokens.len() as TokenId;
        if let Some(id) = end.iter().chain(id("bos").as_ref()).find(|id| **id >= limit) {
            return Err(file.bad(format!("the special token {id} is outside the vocabulary of {limit}")));
        }
        let model = file.text("tokenizer.ggml.model").unwrap_or("llama").to_owned();
        // llama.cpp's defaults: SentencePiece adds a beginning, byte-level BPE does not.
        let bos_by_default = model == "llama";
        let add_bos = id("bos").filter(|_| file.bool("tokenizer.ggml.add_bos_token").unwrap_or(bos_by_default));
        let vocab = GgufVocab {
            model,
            scores: file.words("tokenizer.ggml.scores", f32::from_le_bytes),
            merges: file.texts("tokenizer.ggml.merges"),
            token_type: token_type.clone(),
            add_space_prefix: file.bool("tokenizer.ggml.add_space_prefix"),
            remove_extra_whitespaces: file.bool("tokenizer.ggml.remove_extra_whitespaces"),
            add_bos_token: Some(false),
            add_eos_token: Some(false),
            bos_token_id: id("bos"),
            eos_token_id: id("eos"),
            unknown_token_id: id("unknown"),
            padding_token_id: id("padding"),
            cls_token_id: id("cls"),
            sep_token_id: id("seperator"),
            pre: file.text("tokenizer.ggml.pre").map(str::to_owned),
            precompiled_charsmap: None,
            tokens: tokens.clone(),
        };
        let inner = from_gguf_vocab(vocab).map_err(|e| EngineError::Unsupported {
            what: format!("this file's tokenizer ({e})"),
            supported: "byte-level BPE (`gpt2`) and SentencePiece (`llama`) vocabularies".into(),
        })?;
        let bytes = tokens
            .into_iter()
            .enumerate()
            .map(|(i, name)| match (is_special[i], inner.decode_token_bytes(i as TokenId)) {
                (false, Ok(bytes)) => bytes,
                _ => name.into_bytes(),
            })
            .collect();
        Ok(Self { inner, bytes, special, is_special, end, add_bos })
    }

    /// Tokens of ordinary text. Names of special tokens in it are cut like any other text.
    pub fn encode(&self, text: &str) -> Vec<TokenId> {
        // Refused only for a list of allowed names, which `Ordinary` does not have.
        self.inner.encode_with(text, &SpecialMode::Ordinary).unwrap_or_default()
    }

    /// Tokens of a text that may hold special tokens by name, as a rendered chat template does.
    pub fn encode_template(&self, text: &str) -> Vec<TokenId> {
        let mut out = Vec::new();
        let mut plain = 0;
        let mut at = 0;
        while at < text.len() {
            let found = self.special.iter().find(|(name, _)| text[at..].starts_with(name.as_str()));
            if let Some((name, id)) = found {
                if plain < at {
                    out.extend(self.encode(&text[plain..at]));
                }
                out.push(*id);
                at += name.len();
                plain = at;
            } else {
                at += text[at..].chars().next().map_or(1, char::len_utf8);
            }
        }
        if plain < text.len() {
            out.extend(self.encode(&text[plain..]));
        }
        out
    }

    /// The token that begins every text, if this model wants one.
    pub fn beginning(&self) -> Option<TokenId> {
        self.add_bos
    }

    /// Whether a token ends the model's text or turn.
    pub fn is_end(&self, id: TokenId) -> bool {
        self.end.contains(&id)
    }

    /// Names of the special tokens, longest first.
    pub fn special_names(&self) -> impl Iterator<Item = &str> {
        self.special.iter().map(|(name, _)| name.as_str())
    }

    /// Size of the vocabulary.
    pub fn vocab_size(&self) -> usize {
        self.bytes.len()
    }

    /// A token with its bytes.
    pub fn token(&self, id: TokenId) -> TextToken {
        TextToken { id, bytes: self.bytes[id as usize].clone(), special: self.is_special[id as usize] }
    }
}

/// Joins tokens into text without ever showing half a character.
///
/// A token is bytes, not text: `é` may arrive as `0xC3` and, one token later, `0xA9`.
#[derive(Debug, Default)]
pub struct TextStream {
    pending: Vec<u8>,
}

impl TextStream {
    /// Takes a token's bytes and returns the text that is now complete, possibly none. Bytes that can never become
    /// UTF-8 come out as `U+FFFD`.
    pub fn push(&mut self, bytes: &[u8]) -> String {
        self.pending.extend_from_slice(bytes);
        let mut text = String::new();
        loop {
            match std::str::from_utf8(&self.pending) {
                Ok(rest) => {
                    text.push_str(rest);
                    self.pending.clear();
                    return text;
                }
                Err(error) => {
                    let valid = error.valid_up_to();
                    text.push_str(std::str::from_utf8(&self.pending[..valid]).expect("checked"));
                    let Some(bad) = error.error_len() else {
                        self.pending.drain(..valid);
                        return text;
                    };
                    text.push('\u{FFFD}');
                    self.pending.drain(..valid + bad);
                }
            }
        }
    }

    /// The end of the text: what is still incomplete comes out as `U+FFFD`.
    pub fn finish(&mut self) -> String {
        String::from_utf8_lossy(&std::mem::take(&mut self.pending)).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_split_character_waits_for_its_other_half() {
        let mut stream = TextStream::default();
        assert_eq!(stream.push(&[b'a', 0xC3]), "a");
        assert_eq!(stream.push(&[0xA9, b'!']), "é!");
        assert_eq!(stream.push(&[0xFF, b'b']), "\u{FFFD}b");
        assert_eq!(stream.push("日本".as_bytes()), "日本");
    }

    #[test]
    fn any_split_of_any_text_gives_the_text() {
        let text = "naïve 日本語 👩🏽‍🔬 \u{10FFFF} end";
        for cut in 0..=text.len() {
            for second in cut..=text.len() {
                let mut stream = TextStream::default();
                let bytes = text.as_bytes();
                let mut out = stream.push(&bytes[..cut]);
                out += &stream.push(&bytes[cut..second]);
                out += &stream.push(&bytes[second..]);
                out += &stream.finish();
                assert_eq!(out, text, "cut at {cut} and {second}");
            }
        }
    }

    #[test]
    fn an_unfinished_character_is_said_at_the_end() {
        let mut stream = TextStream::default();
        assert_eq!(stream.push(&[0xE6, 0x97]), "");
        assert_eq!(stream.finish(), "\u{FFFD}");
    }
}
