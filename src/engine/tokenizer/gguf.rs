//! The vocabulary in a GGUF file's metadata.
//!
//! Four kinds of model go by `tokenizer.ggml.model`: `gpt2` (byte-level BPE), `llama` (SentencePiece BPE with byte
//! fall-back), `t5` (SentencePiece unigram) and `bert` (WordPiece). For byte-level BPE `tokenizer.ggml.pre` names the
//! expressions that cut the text before any merge; the names and what they mean are llama.cpp's
//! (`llama_vocab::impl::load`), defaults too where a key is missing.

use std::path::PathBuf;

use splintr::{
    AnyTokenizer, Backend, DEEPSEEK_V3_PATTERNS, GgufVocab, GgufVocabError, MISTRAL_V3_PATTERN, O200K_BASE_PATTERN,
    PreTokStage, PreTokenizer, SplitBehavior, SplitPattern, from_gguf_vocab,
};

use super::special::{Special, drop_inner_end, is_end_name};
use super::{MAX_TOKENS, Parts, Tokenizer};
use crate::engine::gguf::Gguf;
use crate::engine::{EngineError, TokenId};

/// No token is longer; the longest known are runs of 1,024 spaces.
const MAX_TOKEN_BYTES: usize = 16 << 10;
/// llama.cpp's token types, as the file stores them.
const UNKNOWN: u32 = 2;
const CONTROL: u32 = 3;
const USER_DEFINED: u32 = 4;

/// The keys `tokenizer.ggml.*` of a file as plain data, so that a vocabulary can also be made without a file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Vocabulary {
    /// The file, for messages.
    pub path: PathBuf,
    /// `general.name`; files of Phi 3 need a rule of their own and say so nowhere else.
    pub name: String,
    /// `model`.
    pub model: String,
    /// `pre`.
    pub pre: Option<String>,
    /// `tokens`.
    pub tokens: Vec<String>,
    /// `scores`, one a token.
    pub scores: Option<Vec<f32>>,
    /// `merges`, in order: two tokens with a space between.
    pub merges: Option<Vec<String>>,
    /// `token_type`, one a token.
    pub token_type: Option<Vec<u32>>,
    /// `precompiled_charsmap`, SentencePiece's table for normalising.
    pub charsmap: Option<Vec<u8>>,
    /// `add_space_prefix`.
    pub add_space_prefix: Option<bool>,
    /// `remove_extra_whitespaces`.
    pub remove_extra_whitespaces: Option<bool>,
    /// `add_bos_token`.
    pub add_bos: Option<bool>,
    /// `add_eos_token`.
    pub add_eos: Option<bool>,
    /// `add_sep_token`.
    pub add_sep: Option<bool>,
    /// Numbers of special tokens, by the keys' names without `_token_id`; `seperator` is the format's spelling.
    pub ids: Vec<(String, TokenId)>,
    /// `chat_template`.
    pub chat_template: Option<String>,
}

impl Vocabulary {
    /// Reads the keys.
    ///
    /// # Errors
    /// [`EngineError::BadFile`] without a list of tokens.
    pub fn read(file: &Gguf) -> Result<Self, EngineError> {
        let key = |name: &str| format!("tokenizer.ggml.{name}");
        let tokens = file.texts(&key("tokens"));
        let tokens =
            tokens.ok_or_else(|| file.bad("the key `tokenizer.ggml.tokens` is missing or no list of texts"))?;
        let names = ["bos", "eos", "eot", "eom", "unknown", "padding", "cls", "seperator", "mask"];
        let id = |name: &str| Some((name.to_owned(), file.uint(&key(&format!("{name}_token_id")))?));
        let ids =
            names.into_iter().filter_map(id).map(|(name, id)| (name, TokenId::try_from(id).unwrap_or(TokenId::MAX)));
        Ok(Self {
            path: file.path.clone(),
            name: file.text("general.name").unwrap_or_default().to_owned(),
            model: file.text(&key("model")).unwrap_or("llama").to_owned(),
            pre: file.text(&key("pre")).map(str::to_owned),
            tokens,
            scores: file.words(&key("scores"), f32::from_le_bytes),
            merges: file.texts(&key("merges")),
            token_type: file.words(&key("token_type"), u32::from_le_bytes),
            charsmap: file.octets(&key("precompiled_charsmap")).map(<[u8]>::to_vec),
            add_space_prefix: file.bool(&key("add_space_prefix")),
            remove_extra_whitespaces: file.bool(&key("remove_extra_whitespaces")),
            add_bos: file.bool(&key("add_bos_token")),
            add_eos: file.bool(&key("add_eos_token")),
            add_sep: file.bool(&key("add_sep_token")),
            ids: ids.collect(),
            chat_template: file.text("tokenizer.chat_template").map(str::to_owned),
        })
    }

    fn bad(&self, why: impl Into<String>) -> EngineError {
        EngineError::BadFile { path: self.path.clone(), why: why.into() }
    }

    fn id(&self, name: &str) -> Option<TokenId> {
        self.ids.iter().find(|(key, _)| key == name).map(|(_, id)| *id)
    }

    fn named(&self, name: &str) -> Option<TokenId> {
        self.tokens.iter().position(|token| token == name).map(|id| id as TokenId)
    }

    /// Sizes and numbers, before a library sees them.
    fn check(&self) -> Result<(), EngineError> {
        let size = self.tokens.len();
        if size == 0 || size > MAX_TOKENS {
            return Err(self.bad(format!("a vocabulary of {size} tokens; 1 to {MAX_TOKENS} are accepted")));
        }
        if let Some((id, token)) = self.tokens.iter().enumerate().find(|(_, token)| token.len() > MAX_TOKEN_BYTES) {
            return Err(
                self.bad(format!("token {id} has {} bytes; at most {MAX_TOKEN_BYTES} are accepted", token.len()))
            );
        }
        let lengths =
            [("scores", self.scores.as_ref().map(Vec::len)), ("token_type", self.token_type.as_ref().map(Vec::len))];
        for (key, len) in lengths {
            if let Some(len) = len.filter(|len| *len != size) {
                return Err(self.bad(format!("`tokenizer.ggml.{key}` has {len} entries for {size} tokens")));
            }
        }
        if let Some(id) = self.scores.iter().flatten().position(|score| !score.is_finite()) {
            return Err(self.bad(format!("the score of token {id} is no number")));
        }
        if let Some((key, id)) = self.ids.iter().find(|(_, id)| *id as usize >= size) {
            return Err(self.bad(format!("`tokenizer.ggml.{key}_token_id` is {id}, outside the vocabulary of {size}")));
        }
        let merges = self.merges.as_deref().unwrap_or_default();
        if merges.len() > 4 * MAX_TOKENS {
            return Err(self.bad(format!("{} merges; at most {} are accepted", merges.len(), 4 * MAX_TOKENS)));
        }
        let whole = |merge: &String| merge.split_once(' ').is_some_and(|(a, b)| !a.is_empty() && !b.is_empty());
        if let Some(at) = merges.iter().position(|merge| !whole(merge)) {
            return Err(self.bad(format!("merge {at} is not two tokens with a space between")));
        }
        if self.model == "bert" && self.id("unknown").is_none() && self.named("[UNK]").is_none() {
            return Err(self.bad("a WordPiece vocabulary without a token for unknown words (`[UNK]`)"));
        }
        Ok(())
    }

    fn kind(&self, id: usize) -> u32 {
        self.token_type.as_ref().map_or(1, |kinds| kinds[id])
    }

    /// What stands for text that is not in the vocabulary.
    fn unknown(&self) -> Vec<TokenId> {
        let typed = (0..self.tokens.len()).filter(|id| self.kind(*id) == UNKNOWN).map(|id| id as TokenId);
        let named = self.named("[UNK]").filter(|_| self.model == "bert");
        typed.chain(self.id("unknown")).chain(named).collect()
    }

    /// The tokens that are found by name.
    fn special(&self) -> Vec<Special> {
        let lower = self.name.to_lowercase();
        let swallows = lower.contains("phi-3") || lower.contains("phi3");
        let mut special = vec![];
        for (id, name) in self.tokens.iter().enumerate() {
            let kind = self.kind(id);
            let end = is_end_name(name);
            if !(end || matches!(kind, UNKNOWN | CONTROL | USER_DEFINED)) {
                continue;
            }
            special.push(Special {
                name: name.clone(),
                id: id as TokenId,
                control: end || kind != USER_DEFINED,
                lstrip: self.model == "bert" && name == "[MASK]",
                // Phi 3 was trained with the line end after `<|user|>` swallowed.
                rstrip: swallows && !matches!(name.as_str(), "<unk>" | "<s>" | "<|endoftext|>"),
            });
        }
        special
    }
}

impl Tokenizer {
    /// Reads the vocabulary from a file's metadata.
    ///
    /// # Errors
    /// [`EngineError::BadFile`] or [`EngineError::Unsupported`] when it is missing or of a kind that cannot be cut.
    pub fn from_gguf(file: &Gguf) -> Result<Self, EngineError> {
        Self::from_vocabulary(Vocabulary::read(file)?)
    }

    /// Makes a tokenizer from a vocabulary.
    ///
    /// # Errors
    /// As [`Tokenizer::from_gguf`].
    pub fn from_vocabulary(mut vocabulary: Vocabulary) -> Result<Self, EngineError> {
        vocabulary.check()?;
        let special = vocabulary.special();
        let mut end: Vec<TokenId> = special.iter().filter(|s| is_end_name(&s.name)).map(|s| s.id).collect();
        drop_inner_end(&mut end, |name| vocabulary.named(name));
        end.extend(["eos", "eot", "eom"].iter().filter_map(|key| vocabulary.id(key)));
        let bert = vocabulary.model == "bert";
        let (bos, eos) = (vocabulary.id("bos"), vocabulary.id("eos"));
        let first = if bert { vocabulary.id("cls").or(bos).or_else(|| vocabulary.named("[CLS]")) } else { bos };
        let last = if bert { vocabulary.id("seperator").or(eos).or_else(|| vocabulary.named("[SEP]")) } else { eos };
        let wants_first = vocabulary.add_bos.unwrap_or(match vocabulary.model.as_str() {
            "llama" | "bert" => true,
            "gpt2" => writes_bos(vocabulary.pre.as_deref().unwrap_or_default()),
            _ => false,
        });
        let wants_last = if bert { vocabulary.add_sep.or(vocabulary.add_eos) } else { vocabulary.add_eos };
        let wants_last = wants_last.unwrap_or(matches!(vocabulary.model.as_str(), "bert" | "t5"));
        let size = vocabulary.tokens.len();
        let unknown = vocabulary.unknown();
        let chat_template = vocabulary.chat_template.take();
        let inner = build(vocabulary)?;
        Ok(Self::assemble(Parts {
            inner,
            size,
            special,
            end,
            beginning: first.filter(|_| wants_first),
            ending: last.filter(|_| wants_last),
            unknown,
            chat_template,
            bos,
            eos,
        }))
    }
}

/// How a byte-level vocabulary cuts a text before any merge.
enum Cut {
    /// As splintr does under this name.
    Known(&'static str),
    /// By these expressions, each cutting what the one before left.
    Patterns(&'static [&'static str]),
}

const GPT2: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";

/// The names that this build knows besides those that splintr knows under the same name.
const CUTS: &[(&str, Cut)] = &[
    ("llama-v3", Cut::Known("llama-bpe")),
    ("falcon3", Cut::Known("llama-bpe")),
    ("falcon-h1", Cut::Known("llama-bpe")),
    ("pixtral", Cut::Known("llama-bpe")),
    ("midm-2.0", Cut::Known("llama-bpe")),
    ("lfm2", Cut::Known("llama-bpe")),
    ("glm5", Cut::Known("glm4")),
    ("f2llmv2", Cut::Known("qwen2")),
    ("mellum2", Cut::Known("smollm")),
    ("tekken", Cut::Patterns(&[MISTRAL_V3_PATTERN])),
    ("gpt-4o", Cut::Patterns(&[O200K_BASE_PATTERN])),
    ("llama4", Cut::Patterns(&[O200K_BASE_PATTERN])),
    ("kanana2", Cut::Patterns(&[O200K_BASE_PATTERN])),
    ("minimax-m2", Cut::Patterns(&[O200K_BASE_PATTERN])),
    ("deepseek-v3", Cut::Patterns(DEEPSEEK_V3_PATTERNS)),
    ("hunyuan-dense", Cut::Patterns(DEEPSEEK_V3_PATTERNS)),
    ("joyai-llm", Cut::Patterns(DEEPSEEK_V3_PATTERNS)),
    // What llama.cpp does for files without the key.
    ("default", Cut::Patterns(&[r"[\p{P}\$\+<=>\^~\|]+", GPT2, r"\p{N}+", r"[0-9][0-9][0-9]"])),
];

/// The names that splintr knows; only for messages, it decides itself.
const KNOWN: &str = "a.x-4.0, codeshell, command-r, dbrx, deepseek-coder, deepseek-llm, deepseek-r1-qwen, exaone, exaone4, \
                     falcon, gigachat, glm4, gpt-2, granite-docling, grok-2, hunyuan, jais, jina-v1-en, jina-v2-code, \
                     jina-v2-de, jina-v2-es, kormo, llama-bpe, llama3, megrez, mellum, minerva-7b, modern-bert, mpt, olmo, \
                     phi-2, qwen2, qwen35, refact, roberta-bpe, smaug-bpe, smollm, solar-open, stablelm2, starcoder, trillion";

/// Vocabularies of byte-level BPE that begin every text with a token unless the file says otherwise.
fn writes_bos(pre: &str) -> bool {
    let names = [
        "llama3",
        "llama-v3",
        "llama-bpe",
        "falcon3",
        "falcon-h1",
        "pixtral",
        "midm-2.0",
        "lfm2",
        "tekken",
        "chameleon",
    ];
    names.contains(&pre)
}

fn build(mut vocabulary: Vocabulary) -> Result<AnyTokenizer, EngineError> {
    let path = vocabulary.path.clone();
    let pre = vocabulary.pre.take().unwrap_or_else(|| "default".into());
    // Only byte-level BPE cuts by expressions; SentencePiece files carry the key too.
    let cut = CUTS.iter().find(|(name, _)| vocabulary.model == "gpt2" && *name == pre).map(|(_, cut)| cut);
    let id = |name: &str| vocabulary.id(name);
    let (bos, eos, unknown) = (id("bos"), id("eos"), id("unknown"));
    let (padding, cls, sep) = (id("padding"), id("cls"), id("seperator"));
    let built = from_gguf_vocab(GgufVocab {
        pre: Some(match cut {
            Some(Cut::Known(name)) => (*name).to_owned(),
            Some(Cut::Patterns(_)) => "gpt-2".to_owned(),
            None => pre.clone(),
        }),
        model: vocabulary.model,
        tokens: vocabulary.tokens,
        scores: vocabulary.scores,
        merges: vocabulary.merges,
        token_type: vocabulary.token_type,
        add_space_prefix: vocabulary.add_space_prefix,
        remove_extra_whitespaces: vocabulary.remove_extra_whitespaces,
        // Beginning and end are this module's.
        add_bos_token: Some(false),
        add_eos_token: Some(false),
        bos_token_id: bos,
        eos_token_id: eos,
        unknown_token_id: unknown,
        padding_token_id: padding,
        cls_token_id: cls,
        sep_token_id: sep,
        precompiled_charsmap: vocabulary.charsmap,
    });
    let built = built.map_err(|why| match why {
        GgufVocabError::UnsupportedModel(model) => EngineError::Unsupported {
            what: format!("a tokenizer of the kind `{model}`"),
            supported: "`gpt2` (byte-level BPE), `llama` and `t5` (SentencePiece), `bert` (WordPiece)".into(),
        },
        GgufVocabError::UnsupportedPreTokenizer(name) => EngineError::Unsupported {
            what: format!("the pre-tokenizer `{name}`"),
            supported: CUTS.iter().map(|(name, _)| *name).chain([KNOWN]).collect::<Vec<_>>().join(", "),
        },
        GgufVocabError::MissingMerges => {
            EngineError::BadFile { path: path.clone(), why: "the key `tokenizer.ggml.merges` is missing".into() }
        }
        other => EngineError::BadFile { path: path.clone(), why: format!("its vocabulary cannot be used: {other}") },
    })?;
    match cut {
        Some(Cut::Patterns(patterns)) => with_patterns(built, patterns),
        _ => Ok(built),
    }
}

fn with_patterns(built: AnyTokenizer, patterns: &[&str]) -> Result<AnyTokenizer, EngineError> {
    let policy = built.policy().clone();
    let Backend::Bpe(bpe) = built.into_backend() else {
        return Err(EngineError::Internal { what: "expressions for a vocabulary that has none".into() });
    };
    let split = |pattern: &&str| PreTokStage::Split {
        pattern: SplitPattern::Regex((*pattern).to_owned()),
        behavior: SplitBehavior::Isolated,
        invert: false,
    };
    let bytes = PreTokStage::ByteLevel { use_regex: false, add_prefix_space: false };
    let stages = patterns.iter().map(split).chain([bytes]).collect();
    let cut = PreTokenizer::new(stages).map_err(|e| EngineError::Internal { what: e.to_string() })?;
    Ok(AnyTokenizer::new(Backend::Bpe(bpe.with_pre_tokenizer(cut)), policy))
}
