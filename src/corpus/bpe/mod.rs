//! A byte-level BPE vocabulary: trained here, and read by the engine, llama.cpp and Hugging Face's library alike.
//!
//! ```text
//! numbers 0, 1, 2      <|endoftext|> <|im_start|> <|im_end|>
//! numbers 3 to 258     the 256 bytes
//! from 259 on          one for each merge, in the order in which they were learnt
//! ```
//!
//! Texts are cut first as SmolLM2's are (`cut.rs`): each digit alone, words with the space before them. No merge takes
//! in a line end, so that a text cut at the end of a turn has the same tokens as one cut in the middle of it.

mod cut;
mod export;

use std::collections::{BTreeMap, HashMap};

use super::document::{Document, END_OF_TEXT, TURN_END, TURN_START};
pub use cut::pieces;

/// The special tokens, in their order.
pub const SPECIAL: [&str; 3] = [END_OF_TEXT, TURN_START, TURN_END];
/// Tokens of every vocabulary: the special ones and the bytes.
pub const LEAST: usize = SPECIAL.len() + 256;

/// A vocabulary with its merges.
#[derive(Clone, Debug, PartialEq)]
pub struct Bpe {
    /// Each token's bytes; a special token's are its name's.
    tokens: Vec<Vec<u8>>,
    merges: Vec<(u32, u32)>,
    /// A pair's place among the merges.
    ranks: HashMap<(u32, u32), u32>,
}

/// A document as the trainer takes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoded {
    /// Its tokens.
    pub ids: Vec<u32>,
    /// For each token, how much its being foreseen counts, in hundredths.
    pub weights: Vec<u16>,
}

impl Bpe {
    fn bytes_only() -> Self {
        let special = SPECIAL.iter().map(|name| name.as_bytes().to_vec());
        let bytes = (0..=u8::MAX).map(|byte| vec![byte]);
        Self { tokens: special.chain(bytes).collect(), merges: Vec::new(), ranks: HashMap::new() }
    }

    /// Learns a vocabulary of `size` tokens from texts; fewer when no pair comes twice any more.
    ///
    /// Of pairs that come equally often, the one with the smaller numbers is merged first, so that the same texts give
    /// the same vocabulary everywhere, in whatever order they come.
    pub fn train<'a>(texts: impl IntoIterator<Item = &'a str>, size: usize) -> Self {
        let mut counts: BTreeMap<Vec<u8>, u64> = BTreeMap::new();
        for text in texts {
            for stretch in without_special(text) {
                for piece in pieces(stretch) {
                    match counts.get_mut(piece.as_bytes()) {
                        Some(count) => *count += 1,
                        None => drop(counts.insert(piece.as_bytes().to_vec(), 1)),
                    }
                }
            }
        }
        let mut this = Self::bytes_only();
        let mut words: Vec<Word> = counts
            .into_iter()
            .filter(|(bytes, _)| !bytes.contains(&b'\n'))
            .map(|(bytes, count)| Word { ids: bytes.iter().map(|byte| byte_id(*byte)).collect(), count })
            .collect();
        let mut pairs: HashMap<(u32, u32), Pair> = HashMap::new();
        for (at, word) in words.iter().enumerate() {
            note(&mut pairs, word, at);
        }
        while this.tokens.len() < size {
            let best = pairs.iter().filter(|(_, pair)| pair.count > 1);
            // The order of the map does not matter: no two pairs are equal in count and numbers.
            let best = best.max_by(|(a, x), (b, y)| x.count.cmp(&y.count).then(b.cmp(a))).map(|(key, _)| *key);
            let Some(best) = best else { break };
            let id = this.add(best);
            let mut places = pairs.remove(&best).map(|pair| pair.words).unwrap_or_default();
            places.sort_unstable();
            places.dedup();
            for at in places {
                let word = &mut words[at];
                for key in word.ids.windows(2).map(|w| (w[0], w[1])) {
                    if let Some(pair) = pairs.get_mut(&key) {
                        pair.count -= word.count;
                    }
                }
                merge(&mut word.ids, best, id);
                note(&mut pairs, &words[at], at);
            }
            pairs.remove(&best);
        }
        this
    }

    /// A vocabulary from its merges, written as in GGUF and `tokenizer.json` ("Ġ t"), in their order.
    ///
    /// # Errors
    /// The merge that names a token which no merge before it has made.
    pub fn from_merges<S: AsRef<str>>(merges: &[S]) -> Result<Self, String> {
        let mut this = Self::bytes_only();
        let mut numbers: HashMap<String, u32> =
            (SPECIAL.len()..LEAST).map(|id| (export::written(&this.tokens[id]), id as u32)).collect();
        for merge in merges.iter().map(AsRef::as_ref) {
            let pair = merge.split_once(' ').and_then(|(a, b)| Some((*numbers.get(a)?, *numbers.get(b)?)));
            let pair = pair.ok_or_else(|| format!("the merge `{merge}` names a token that is not there yet"))?;
            let id = this.add(pair);
            numbers.insert(export::written(&this.tokens[id as usize]), id);
        }
        Ok(this)
    }

    fn add(&mut self, (a, b): (u32, u32)) -> u32 {
        let id = self.tokens.len() as u32;
        let joined = [self.tokens[a as usize].as_slice(), &self.tokens[b as usize]].concat();
        self.tokens.push(joined);
        self.ranks.insert((a, b), self.merges.len() as u32);
        self.merges.push((a, b));
        id
    }

    /// The number of tokens.
    pub fn size(&self) -> usize {
        self.tokens.len()
    }

    /// Tokens of a text; names of special tokens in it are special tokens.
    pub fn encode(&self, text: &str) -> Vec<u32> {
        let mut out = Vec::with_capacity(text.len() / 3);
        let mut rest = text;
        while let Some((at, id)) = next_special(rest) {
            self.plain(&rest[..at], &mut out);
            out.push(id as u32);
            rest = &rest[at + SPECIAL[id].len()..];
        }
        self.plain(rest, &mut out);
        out
    }

    /// A document's tokens and weights.
    pub fn encode_document(&self, document: &Document) -> Encoded {
        let mut encoded = Encoded { ids: Vec::new(), weights: Vec::new() };
        for span in &document.spans {
            encoded.ids.extend(self.encode(&span.text));
            encoded.weights.resize(encoded.ids.len(), span.weight);
        }
        encoded
    }

    /// The text of tokens; bytes that are no text become `U+FFFD`. Numbers outside the vocabulary are left out.
    pub fn decode(&self, ids: &[u32]) -> String {
        let bytes: Vec<u8> = ids.iter().filter_map(|id| self.tokens.get(*id as usize)).flatten().copied().collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    fn plain(&self, text: &str, out: &mut Vec<u32>) {
        for piece in pieces(text) {
            let start = out.len();
            out.extend(piece.bytes().map(byte_id));
            self.merge_all(out, start);
        }
    }

    /// Merges what stands from `start` on, the earliest learnt pair first.
    fn merge_all(&self, ids: &mut Vec<u32>, start: usize) {
        loop {
            let ranked =
                ids[start..].windows(2).enumerate().filter_map(|(at, w)| Some((*self.ranks.get(&(w[0], w[1]))?, at)));
            let Some((rank, at)) = ranked.min() else { return };
            ids[start + at] = (LEAST as u32) + rank;
            ids.remove(start + at + 1);
        }
    }
}

struct Word {
    ids: Vec<u32>,
    count: u64,
}

#[derive(Default)]
struct Pair {
    count: u64,
    /// Words that hold it, some perhaps no longer.
    words: Vec<usize>,
}

fn note(pairs: &mut HashMap<(u32, u32), Pair>, word: &Word, at: usize) {
    for key in word.ids.windows(2).map(|w| (w[0], w[1])) {
        let pair = pairs.entry(key).or_default();
        pair.count += word.count;
        pair.words.push(at);
    }
}

fn merge(ids: &mut Vec<u32>, pair: (u32, u32), id: u32) {
    let mut out = Vec::with_capacity(ids.len());
    let mut at = 0;
    while at < ids.len() {
        if at + 1 < ids.len() && (ids[at], ids[at + 1]) == pair {
            out.push(id);
            at += 2;
        } else {
            out.push(ids[at]);
            at += 1;
        }
    }
    *ids = out;
}

fn byte_id(byte: u8) -> u32 {
    SPECIAL.len() as u32 + u32::from(byte)
}

/// The first special token in a text, by place and number.
fn next_special(text: &str) -> Option<(usize, usize)> {
    let mut from = 0;
    while let Some(at) = text[from..].find("<|") {
        let here = from + at;
        if let Some(id) = SPECIAL.iter().position(|name| text[here..].starts_with(name)) {
            return Some((here, id));
        }
        from = here + 2;
    }
    None
}

fn without_special(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some((at, id)) = next_special(rest) {
        found.push(&rest[..at]);
        rest = &rest[at + SPECIAL[id].len()..];
    }
    found.push(rest);
    found
}

#[cfg(test)]
mod tests;
