//! Text to tokens and back, from the vocabulary that the model's own files carry.
//!
//! The cutting is splintr's, chosen by llama.cpp's vocabulary vectors (`tests/tools/vocabulary_vectors`). Here is what a
//! learner must be able to rely on: control tokens are only made where the chat template wrote them, never from what
//! somebody typed; a stream never shows half a character; a vocabulary that cannot be cut right is refused by name.
//!
//! Two sources, one type: [`Tokenizer::from_gguf`] reads a GGUF file's metadata (`gguf`), [`Tokenizer::from_folder`] the
//! `tokenizer.json` of a Hugging Face folder (`folder`). Both check sizes and numbers before splintr sees them.

mod folder;
mod gguf;
mod special;
mod stream;
#[cfg(test)]
mod tests;

use splintr::{AnyTokenizer, Backend, SpecialMode, Tokenize};

pub use self::folder::FolderFiles;
pub use self::gguf::Vocabulary;
use self::special::{Special, SpecialTokens};
pub use self::stream::TextStream;
use super::template::Rendered;
use super::{TextToken, TokenId};

/// A vocabulary has at most this many tokens; the largest known have 262,144.
pub const MAX_TOKENS: usize = 1 << 20;

/// A model's tokenizer.
pub struct Tokenizer {
    inner: AnyTokenizer,
    size: usize,
    special: SpecialTokens,
    end: Vec<TokenId>,
    beginning: Option<TokenId>,
    ending: Option<TokenId>,
    /// What stands for text that the vocabulary does not have; by its type often a control token.
    unknown: Vec<TokenId>,
    /// Whether a text's first token begins with a space that the text does not have (SentencePiece's).
    adds_space: bool,
    chat_template: Option<String>,
    bos: String,
    eos: String,
}

/// What both sources find, to be put together by [`Tokenizer::assemble`].
struct Parts {
    inner: AnyTokenizer,
    size: usize,
    special: Vec<Special>,
    end: Vec<TokenId>,
    beginning: Option<TokenId>,
    ending: Option<TokenId>,
    unknown: Vec<TokenId>,
    chat_template: Option<String>,
    bos: Option<TokenId>,
    eos: Option<TokenId>,
}

impl std::fmt::Debug for Tokenizer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Tokenizer({}, {} tokens)", self.inner.family(), self.size)
    }
}

impl Tokenizer {
    fn assemble(mut parts: Parts) -> Self {
        parts.end.sort_unstable();
        parts.end.dedup();
        let mut this = Self {
            inner: parts.inner,
            size: parts.size,
            special: SpecialTokens::new(parts.special),
            end: parts.end,
            beginning: parts.beginning,
            ending: parts.ending,
            unknown: parts.unknown,
            adds_space: false,
            chat_template: parts.chat_template,
            bos: String::new(),
            eos: String::new(),
        };
        let name = |id: Option<TokenId>| id.map_or(String::new(), |id| this.token(id).lossy());
        (this.bos, this.eos) = (name(parts.bos), name(parts.eos));
        let first = this.encode("x").first().map(|id| this.token(*id).bytes);
        this.adds_space = first.is_some_and(|bytes| bytes.starts_with(b" "));
        this
    }

    /// Tokens of ordinary text. Names of control tokens in it are cut like any other text; tokens that the maker added
    /// as ordinary text (runs of spaces, `<think>`) are found whole, as llama.cpp and Hugging Face do.
    ///
    /// Takes time in proportion to the text, whatever it is (`tests::long_texts_take_steps_in_proportion`).
    pub fn encode(&self, text: &str) -> Vec<TokenId> {
        let mut out = Vec::new();
        self.special.added.cut(text, &mut out, |plain, out| self.ordinary(plain, out));
        out
    }

    /// Tokens of a text that may hold special tokens by name, written by somebody who may write them.
    pub fn encode_template(&self, text: &str) -> Vec<TokenId> {
        let mut out = Vec::new();
        self.special.all.cut(text, &mut out, |plain, out| self.ordinary(plain, out));
        out
    }

    /// Tokens of a rendered conversation: special tokens where the template wrote them, and nowhere else.
    pub fn encode_rendered(&self, rendered: &Rendered) -> Vec<TokenId> {
        let mut out = Vec::new();
        self.special.all.cut(rendered.guarded(), &mut out, |plain, out| {
            self.ordinary(&Rendered::unguard(plain), out);
        });
        out
    }

    /// Appends the tokens of a stretch without added tokens, none of which is a control token.
    ///
    /// A vocabulary may have pieces that make the name of a control token together, or be looked through for whole
    /// words. Then the name is cut behind its first character; where that does not help (the name came out of a
    /// normaliser), the stretch is cut into characters.
    fn ordinary(&self, text: &str, out: &mut Vec<TokenId>) {
        let makes_control =
            |ids: &[TokenId]| ids.iter().any(|id| self.special.is_control(*id) && !self.unknown.contains(id));
        let whole = self.pieces(text);
        if !makes_control(&whole) {
            out.extend(whole);
            return;
        }
        let mut from = 0;
        for to in self.special.inside_control_names(text).into_iter().chain([text.len()]) {
            let part = &text[from..to];
            from = to;
            let ids = self.pieces(part);
            if !makes_control(&ids) {
                out.extend(ids);
                continue;
            }
            for (at, c) in part.char_indices() {
                let c = &part[at..at + c.len_utf8()];
                // A name of one character cannot be cut; typed, it says nothing.
                out.extend(self.pieces(c).into_iter().filter(|id| !makes_control(&[*id])));
            }
        }
    }

    /// The tokens that splintr cuts a text into.
    fn pieces(&self, text: &str) -> Vec<TokenId> {
        let mode = SpecialMode::Ordinary;
        let ids = match self.inner.backend() {
            Backend::Bpe(t) => Tokenize::encode_with(t, text, &mode),
            Backend::Unigram(t) => Tokenize::encode_with(t, text, &mode),
            Backend::WordPiece(t) => Tokenize::encode_with(t, text, &mode),
            Backend::Spm(t) => Tokenize::encode_with(t, text, &mode),
        };
        // Refused only for a list of allowed names, which `Ordinary` does not have.
        ids.unwrap_or_default()
    }

    /// The token that begins every text, if this model wants one: `<s>`, or BERT's `[CLS]`.
    pub fn beginning(&self) -> Option<TokenId> {
        self.beginning
    }

    /// The token that ends every text that is read, if this model wants one: BERT's `[SEP]`, T5's `</s>`.
    pub fn ending(&self) -> Option<TokenId> {
        self.ending
    }

    /// Whether a token ends the model's text or turn.
    pub fn is_end(&self, id: TokenId) -> bool {
        self.end.binary_search(&id).is_ok()
    }

    /// Names of the control tokens, longest first: what typed text must not make.
    pub fn special_names(&self) -> impl Iterator<Item = &str> {
        self.special.control_names()
    }

    /// Size of the vocabulary. An embedding may have more rows, which are padding.
    pub fn vocab_size(&self) -> usize {
        self.size
    }

    /// A token with its bytes. An id outside the vocabulary (a padded row of the embedding) says so in its name and,
    /// like a control token, adds nothing to a text.
    pub fn token(&self, id: TokenId) -> TextToken {
        if id as usize >= self.size {
            return TextToken { id, bytes: format!("[no token {id}]").into_bytes(), special: true };
        }
        let special = self.special.is_control(id);
        let bytes = match self.special.name(id) {
            Some(name) if special => name.as_bytes().to_vec(),
            name => match self.inner.decode_token_bytes(id) {
                Ok(bytes) if !bytes.is_empty() => bytes,
                // What the vocabulary cannot say by itself is at least called by its name.
                _ => name.map_or_else(|| self.surface(id), |name| name.as_bytes().to_vec()),
            },
        };
        TextToken { id, bytes, special }
    }

    /// A token as the vocabulary spells it.
    fn surface(&self, id: TokenId) -> Vec<u8> {
        let surface = match self.inner.backend() {
            Backend::Bpe(t) => t.token_surface(id),
            Backend::Unigram(t) => t.token_surface(id),
            Backend::WordPiece(t) => t.token_surface(id),
            Backend::Spm(t) => t.token_surface(id),
        };
        surface.unwrap_or_default().replace('\u{2581}', " ").into_bytes()
    }

    /// A stream for a new text of the model: of an answer (`fresh`), or of a text that goes on.
    ///
    /// SentencePiece writes a space before a text's first word. It is not part of an answer, but it is part of a text
    /// that goes on.
    pub fn stream(&self, fresh: bool) -> TextStream {
        TextStream::beginning(fresh && self.adds_space)
    }

    /// The chat template that came with the vocabulary, as source.
    pub fn chat_template(&self) -> Option<&str> {
        self.chat_template.as_deref()
    }

    /// The name of the token that begins a text, for templates; empty if there is none.
    pub fn bos(&self) -> &str {
        &self.bos
    }

    /// The name of the token that ends a text, for templates; empty if there is none.
    pub fn eos(&self) -> &str {
        &self.eos
    }
}
