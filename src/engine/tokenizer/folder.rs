//! The vocabulary of a Hugging Face folder: `tokenizer.json`, and what the other files say about it.
//!
//! `tokenizer_config.json` names the tokens that begin and end a text and may hold the chat template, which newer
//! folders keep in `chat_template.jinja`; `generation_config.json` and `config.json` list the tokens that end a turn.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde::de::{Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use splintr::{HfJsonError, from_json_bytes};

use super::special::{Special, drop_inner_end, is_end_name};
use super::{MAX_TOKENS, Parts, Tokenizer};
use crate::engine::{EngineError, TokenId};

/// `tokenizer.json` has at most this many bytes; Gemma 3's has 33 MB.
const MAX_TOKENIZER_BYTES: usize = 128 << 20;
/// The other files; Gemma 3's `tokenizer_config.json` has 1.2 MB.
const MAX_CONFIG_BYTES: usize = 16 << 20;
/// Stands for the text when the post-processor is asked what it puts around one.
const TEXT: TokenId = TokenId::MAX;

/// The files of a folder that say how text is cut. Only `tokenizer.json` must be there.
#[derive(Clone, Debug, Default)]
pub struct FolderFiles {
    /// `tokenizer.json`.
    pub tokenizer: Vec<u8>,
    /// `tokenizer_config.json`.
    pub tokenizer_config: Option<Vec<u8>>,
    /// `chat_template.jinja`.
    pub chat_template: Option<Vec<u8>>,
    /// `generation_config.json`.
    pub generation_config: Option<Vec<u8>>,
    /// `config.json`.
    pub config: Option<Vec<u8>>,
}

/// `tokenizer.json`, as far as it is checked before splintr reads it.
#[derive(Deserialize)]
struct Head {
    model: ModelHead,
    #[serde(default)]
    added_tokens: Vec<AddedHead>,
}

#[derive(Deserialize)]
struct ModelHead {
    #[serde(default)]
    vocab: VocabHead,
    unk_token: Option<String>,
    unk_id: Option<u64>,
}

/// How many tokens there are, counting holes.
#[derive(Default)]
struct VocabHead(usize);

#[derive(Deserialize)]
struct AddedHead {
    id: u64,
    content: String,
    #[serde(default)]
    special: bool,
    #[serde(default)]
    lstrip: bool,
    #[serde(default)]
    rstrip: bool,
}

#[derive(Default, Deserialize)]
struct TokenizerConfig {
    bos_token: Option<TokenName>,
    eos_token: Option<TokenName>,
    add_bos_token: Option<bool>,
    add_eos_token: Option<bool>,
    chat_template: Option<Templates>,
}

/// A token by name: older files write an object.
#[derive(Deserialize)]
#[serde(untagged)]
enum TokenName {
    Name(String),
    Object { content: String },
}

/// One template, or several of which `default` is the one for conversations.
#[derive(Deserialize)]
#[serde(untagged)]
enum Templates {
    One(String),
    Several(Vec<NamedTemplate>),
}

#[derive(Deserialize)]
struct NamedTemplate {
    name: String,
    template: String,
}

#[derive(Default, Deserialize)]
struct EndConfig {
    eos_token_id: Option<Ids>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Ids {
    One(u64),
    Several(Vec<u64>),
}

impl<'de> Deserialize<'de> for VocabHead {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Counting;
        impl<'de> Visitor<'de> for Counting {
            type Value = VocabHead;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a vocabulary")
            }
            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<VocabHead, M::Error> {
                let mut size = 0;
                while let Some((_, id)) = map.next_entry::<IgnoredAny, u64>()? {
                    if id >= MAX_TOKENS as u64 {
                        return Err(M::Error::custom(format_args!("token {id}; at most {MAX_TOKENS} are accepted")));
                    }
                    size = size.max(id as usize + 1);
                }
                Ok(VocabHead(size))
            }
            fn visit_seq<S: SeqAccess<'de>>(self, mut seq: S) -> Result<VocabHead, S::Error> {
                let mut size = 0;
                while seq.next_element::<IgnoredAny>()?.is_some() {
                    size += 1;
                    if size > MAX_TOKENS {
                        return Err(S::Error::custom(format_args!("more than {MAX_TOKENS} tokens")));
                    }
                }
                Ok(VocabHead(size))
            }
        }
        deserializer.deserialize_any(Counting)
    }
}

impl TokenName {
    fn text(&self) -> &str {
        match self {
            Self::Name(name) | Self::Object { content: name } => name,
        }
    }
}

impl Templates {
    fn conversation(self) -> Option<String> {
        match self {
            Self::One(template) => Some(template),
            Self::Several(mut templates) => {
                let at = templates.iter().position(|t| t.name == "default")?;
                Some(templates.swap_remove(at).template)
            }
        }
    }
}

impl Tokenizer {
    /// Reads the vocabulary of a Hugging Face folder.
    ///
    /// # Errors
    /// [`EngineError::Unreadable`]; [`EngineError::BadFile`] with the file's name, and as
    /// [`Tokenizer::from_folder_files`].
    pub fn from_folder(folder: &Path) -> Result<Self, EngineError> {
        if !folder.join("tokenizer.json").is_file() {
            let others = ["tokenizer.model", "vocab.txt", "vocab.json", "tokenizer.tiktoken", "tekken.json"];
            let Some(other) = others.into_iter().find(|name| folder.join(name).is_file()) else {
                let why = "it is missing, and without it no text can be cut".into();
                return Err(EngineError::BadFile { path: folder.join("tokenizer.json"), why });
            };
            return Err(EngineError::Unsupported {
                what: format!("a folder with `{other}` and no `tokenizer.json`"),
                supported: "`tokenizer.json` (saving the tokenizer anew with transformers writes it)".into(),
            });
        }
        let optional = |name: &str| -> Result<Option<Vec<u8>>, EngineError> {
            let path = folder.join(name);
            if path.is_file() { read(&path, MAX_CONFIG_BYTES).map(Some) } else { Ok(None) }
        };
        let files = FolderFiles {
            tokenizer: read(&folder.join("tokenizer.json"), MAX_TOKENIZER_BYTES)?,
            tokenizer_config: optional("tokenizer_config.json")?,
            chat_template: optional("chat_template.jinja")?,
            generation_config: optional("generation_config.json")?,
            config: optional("config.json")?,
        };
        Self::from_folder_files(folder, &files)
    }

    /// Makes a tokenizer from a folder's files; `folder` is for messages.
    ///
    /// # Errors
    /// [`EngineError::BadFile`] when a file is damaged, [`EngineError::Unsupported`] for a kind that cannot be cut.
    pub fn from_folder_files(folder: &Path, files: &FolderFiles) -> Result<Self, EngineError> {
        let bad = |name: &str, why: String| EngineError::BadFile { path: folder.join(name), why };
        let in_tokenizer = |why: String| bad("tokenizer.json", why);
        let head: Head = serde_json::from_slice(&files.tokenizer).map_err(|e| in_tokenizer(e.to_string()))?;
        let mut size = head.model.vocab.0;
        let mut special = vec![];
        for token in head.added_tokens {
            let id = usize::try_from(token.id).ok().filter(|id| *id < MAX_TOKENS);
            let id =
                id.ok_or_else(|| in_tokenizer(format!("token {}; at most {MAX_TOKENS} are accepted", token.id)))?;
            size = size.max(id + 1);
            special.push(Special {
                control: token.special || is_end_name(&token.content),
                name: token.content,
                id: id as TokenId,
                lstrip: token.lstrip,
                rstrip: token.rstrip,
            });
        }
        let inner = from_json_bytes(&files.tokenizer)
            .map_err(|why| refusal(&why).unwrap_or_else(|| in_tokenizer(why.to_string())))?;

        let config: TokenizerConfig =
            parse(files.tokenizer_config.as_deref()).map_err(|why| bad("tokenizer_config.json", why))?;
        let id = |name: &str| special.iter().find(|s| s.name == name).map(|s| s.id);
        let unknown = head.model.unk_token.as_deref().and_then(id);
        let unknown = unknown.into_iter().chain(head.model.unk_id.and_then(|id| TokenId::try_from(id).ok())).collect();
        let (bos, eos) = (config.bos_token.as_ref(), config.eos_token.as_ref());
        let (bos, eos) = (bos.and_then(|name| id(name.text())), eos.and_then(|name| id(name.text())));
        // What the post-processor puts around a text.
        let around = inner.policy().apply_single(vec![TEXT]);
        let at = around.iter().position(|id| *id == TEXT).unwrap_or_default();
        let (before, after) = (&around[..at], around.get(at + 1..).unwrap_or_default());
        if before.len() > 1 || after.len() > 1 {
            return Err(EngineError::Unsupported {
                what: format!("a tokenizer that writes {} tokens around each text", before.len() + after.len()),
                supported: "one at the beginning and one at the end".into(),
            });
        }
        let chosen = |wanted: Option<bool>, named: Option<TokenId>, found: Option<&TokenId>| match wanted {
            Some(true) => named.or_else(|| found.copied()),
            Some(false) => None,
            None => found.copied(),
        };
        let beginning = chosen(config.add_bos_token, bos, before.first());
        let ending = chosen(config.add_eos_token, eos, after.first());

        let mut end: Vec<TokenId> = special.iter().filter(|s| is_end_name(&s.name)).map(|s| s.id).collect();
        drop_inner_end(&mut end, id);
        end.extend(eos);
        for (name, file) in [("generation_config.json", &files.generation_config), ("config.json", &files.config)] {
            let config: EndConfig = parse(file.as_deref()).map_err(|why| bad(name, why))?;
            let ids = match config.eos_token_id {
                None => vec![],
                Some(Ids::One(id)) => vec![id],
                Some(Ids::Several(ids)) => ids,
            };
            for id in ids {
                if id >= size as u64 {
                    return Err(bad(name, format!("`eos_token_id` has {id}, outside the vocabulary of {size}")));
                }
                end.push(id as TokenId);
            }
        }
        for id in [beginning, ending].into_iter().flatten().chain(end.iter().copied()) {
            if id as usize >= size {
                return Err(in_tokenizer(format!("the special token {id} is outside the vocabulary of {size}")));
            }
        }
        let chat_template = match &files.chat_template {
            Some(bytes) => Some(
                String::from_utf8(bytes.clone())
                    .map_err(|_| bad("chat_template.jinja", "it is no UTF-8 text".into()))?,
            ),
            None => config.chat_template.and_then(Templates::conversation),
        };
        Ok(Self::assemble(Parts { inner, size, special, end, beginning, ending, unknown, chat_template, bos, eos }))
    }
}

fn parse<T: Default + for<'a> Deserialize<'a>>(file: Option<&[u8]>) -> Result<T, String> {
    file.map_or_else(|| Ok(T::default()), |bytes| serde_json::from_slice(bytes).map_err(|e| e.to_string()))
}

/// What splintr reads of `tokenizer.json`'s steps.
const STEPS: &str = "`NFC`, `NFD`, `NFKC`, `NFKD`, `Lowercase`, `Prepend`, `Replace`, `Strip`, `StripAccents`, `Precompiled`, \
                     `BertNormalizer`; `Split`, `ByteLevel`, `Metaspace`, `Digits`, `Punctuation`, `Whitespace`, \
                     `WhitespaceSplit`, `BertPreTokenizer`";

/// A refusal for what is sound but not supported; `None` for what is damaged.
fn refusal(why: &HfJsonError) -> Option<EngineError> {
    let (what, supported) = match why {
        HfJsonError::UnsupportedModelType(kind) => {
            (format!("a tokenizer of the kind `{kind}`"), "`BPE`, `Unigram`, `WordPiece`")
        }
        HfJsonError::UnsupportedModelField(field) => (format!("a tokenizer with `{field}`"), "tokenizers without it"),
        HfJsonError::UnsupportedNormalizer(kind) => (format!("the normaliser `{kind}`"), STEPS),
        HfJsonError::UnsupportedPreTokenizer(kind) => (format!("the pre-tokenizer `{kind}`"), STEPS),
        HfJsonError::UnsupportedPrependScheme(scheme) => {
            (format!("the prepend scheme `{scheme}`"), "`always`, `first`, `never`")
        }
        _ => return None,
    };
    Some(EngineError::Unsupported { what, supported: supported.into() })
}

fn read(path: &Path, limit: usize) -> Result<Vec<u8>, EngineError> {
    let unreadable = |e: std::io::Error| EngineError::Unreadable { path: path.into(), why: e.to_string() };
    let mut bytes = vec![];
    File::open(path).map_err(unreadable)?.take(limit as u64 + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() > limit {
        let why = format!("it has more than {} MiB; no such file is that long", limit >> 20);
        return Err(EngineError::BadFile { path: path.into(), why });
    }
    Ok(bytes)
}
