//! Vocabularies of 317 tokens that llama.cpp and osai accept.

use osai::engine::gguf::write::Writer;

use super::families::VOCAB;

/// Which kind.
#[derive(Clone, Copy, Debug)]
pub enum Vocabulary {
    /// Pieces with scores, and a token for each byte (Llama 2, Gemma).
    SentencePiece,
    /// Byte-level BPE with merges, and the name of its pre-tokenizer.
    ByteLevel(&'static str),
}

/// ggml's kinds of tokens.
const NORMAL: i32 = 1;
const UNKNOWN: i32 = 2;
const CONTROL: i32 = 3;
const BYTE: i32 = 6;

impl Vocabulary {
    /// The `tokenizer.ggml.*` keys.
    pub fn set_keys(self, writer: &mut Writer) {
        let (tokens, kinds) = match self {
            Self::SentencePiece => {
                let (tokens, kinds) = pieces();
                let scores: Vec<f32> =
                    (0..tokens.len()).map(|i| if i < 259 { 0.0 } else { 259.0 - i as f32 }).collect();
                writer.set("tokenizer.ggml.model", "llama");
                writer.set("tokenizer.ggml.pre", "default");
                writer.set("tokenizer.ggml.scores", scores.as_slice());
                (tokens, kinds)
            }
            Self::ByteLevel(pre) => {
                let (tokens, kinds, merges) = byte_level();
                writer.set("tokenizer.ggml.model", "gpt2");
                writer.set("tokenizer.ggml.pre", pre);
                writer.set("tokenizer.ggml.merges", merges.as_slice());
                (tokens, kinds)
            }
        };
        writer.set("tokenizer.ggml.tokens", tokens.as_slice());
        writer.set("tokenizer.ggml.token_type", kinds.as_slice());
        writer.set("tokenizer.ggml.bos_token_id", 1_u32);
        writer.set("tokenizer.ggml.eos_token_id", 2_u32);
        writer.set("tokenizer.ggml.add_bos_token", matches!(self, Self::SentencePiece));
    }
}

/// `th`, `he`, ...: pairs of letters in a fixed order, as many as there is room for.
fn pairs(count: usize) -> Vec<(char, char)> {
    const LETTERS: &str = "etaoinshrdlu";
    let all = LETTERS.chars().flat_map(|a| LETTERS.chars().map(move |b| (a, b)));
    all.filter(|(a, b)| a != b).take(count).collect()
}

fn pieces() -> (Vec<String>, Vec<i32>) {
    let mut tokens: Vec<String> = ["<unk>", "<s>", "</s>"].map(String::from).to_vec();
    let mut kinds = vec![UNKNOWN, CONTROL, CONTROL];
    tokens.extend((0..=255_u8).map(|byte| format!("<0x{byte:02X}>")));
    kinds.resize(tokens.len(), BYTE);
    tokens.push("\u{2581}".into());
    tokens.extend("etaoinshrdlu".chars().map(String::from));
    tokens.extend(pairs(VOCAB - 1 - tokens.len()).into_iter().map(|(a, b)| format!("{a}{b}")));
    kinds.resize(tokens.len(), NORMAL);
    // llama.cpp looks for it in every file that says it is Phi 3.
    tokens.push("<|endoftext|>".into());
    kinds.push(CONTROL);
    (tokens, kinds)
}

/// GPT-2's byte alphabet after four control tokens, then merged pairs.
fn byte_level() -> (Vec<String>, Vec<i32>, Vec<String>) {
    let mut tokens: Vec<String> = ["<|pad|>", "<|begin|>", "<|end|>", "<|turn|>"].map(String::from).to_vec();
    let mut kinds = vec![CONTROL; tokens.len()];
    let is_printable = |b: u32| (33..=126).contains(&b) || (161..=172).contains(&b) || (174..=255).contains(&b);
    let mut next = 0x100;
    for byte in 0..256 {
        let code = if is_printable(byte) { byte } else { next };
        next += u32::from(!is_printable(byte));
        tokens.push(char::from_u32(code).expect("a character").to_string());
    }
    let pairs = pairs(VOCAB - tokens.len());
    tokens.extend(pairs.iter().map(|(a, b)| format!("{a}{b}")));
    kinds.resize(tokens.len(), NORMAL);
    (tokens, kinds, pairs.iter().map(|(a, b)| format!("{a} {b}")).collect())
}
