//! Tokens that are found by name before anything else is cut.

use std::collections::{HashMap, HashSet};

use aho_corasick::{AhoCorasick, MatchKind};

use super::super::TokenId;

/// Names that end a turn or a text in some chat format. llama.cpp has the same list: files often mark these as
/// ordinary tokens, or name only one of them as the end.
const ENDS: [&str; 18] = [
    "<|eot_id|>",
    "<|im_end|>",
    "<|end|>",
    "<|return|>",
    "<|call|>",
    "<end_of_turn>",
    "<|endoftext|>",
    "</s>",
    "<|eom_id|>",
    "<EOT>",
    "_<EOT>",
    "[EOT]",
    "[EOS]",
    "<|end_of_text|>",
    "<end_of_utterance>",
    "<eos>",
    "<turn|>",
    "<｜end▁of▁sentence｜>",
];

/// Whether a token of this name ends a turn or a text.
pub fn is_end_name(name: &str) -> bool {
    ENDS.contains(&name)
}

/// gpt-oss writes `<|end|>` after each of its messages and goes on; its turn ends with `<|return|>` or `<|call|>`.
pub fn drop_inner_end(end: &mut Vec<TokenId>, id: impl Fn(&str) -> Option<TokenId>) {
    if let (Some(inner), Some(_), Some(_)) = (id("<|end|>"), id("<|return|>"), id("<|call|>")) {
        end.retain(|other| *other != inner);
    }
}

/// A token found by name.
#[derive(Clone, Debug, PartialEq)]
pub struct Special {
    /// Its name, not empty.
    pub name: String,
    /// Its number.
    pub id: TokenId,
    /// A control token; otherwise ordinary text that the maker wants whole.
    pub control: bool,
    /// Swallows white space before it.
    pub lstrip: bool,
    /// Swallows white space after it.
    pub rstrip: bool,
}

/// All tokens of a vocabulary that are found by name.
pub struct SpecialTokens {
    /// Control tokens and added ones.
    pub all: Finder,
    /// The added ones alone.
    pub added: Finder,
    names: HashMap<TokenId, String>,
    control: HashSet<TokenId>,
    control_names: Vec<String>,
}

impl SpecialTokens {
    pub fn new(mut tokens: Vec<Special>) -> Self {
        tokens.retain(|token| !token.name.is_empty());
        tokens.sort_by(|a, b| b.name.len().cmp(&a.name.len()).then(a.id.cmp(&b.id)));
        tokens.dedup_by(|a, b| a.name == b.name);
        Self {
            all: Finder::new(tokens.iter()),
            added: Finder::new(tokens.iter().filter(|token| !token.control)),
            control: tokens.iter().filter(|token| token.control).map(|token| token.id).collect(),
            control_names: tokens.iter().filter(|token| token.control).map(|token| token.name.clone()).collect(),
            names: tokens.into_iter().map(|token| (token.id, token.name)).collect(),
        }
    }

    pub fn is_control(&self, id: TokenId) -> bool {
        self.control.contains(&id)
    }

    pub fn name(&self, id: TokenId) -> Option<&str> {
        self.names.get(&id).map(String::as_str)
    }

    /// Where names of control tokens in a text can be cut: behind the first character of each, in order.
    pub fn inside_control_names(&self, text: &str) -> Vec<usize> {
        let mut cuts = vec![];
        for name in &self.control_names {
            let first = name.chars().next().map_or(0, char::len_utf8);
            cuts.extend(text.match_indices(name).map(|(at, _)| at + first).filter(|at| *at < text.len()));
        }
        cuts.sort_unstable();
        cuts.dedup();
        cuts
    }

    pub fn control_names(&self) -> impl Iterator<Item = &str> {
        self.control_names.iter().map(String::as_str)
    }
}

/// Finds names in one pass over a text: Gemma 3 has 6,414 of them.
pub struct Finder {
    /// `None` for no names, or for names beyond what the automaton can hold; the checks of sizes rule that out.
    automaton: Option<AhoCorasick>,
    tokens: Vec<Found>,
}

#[derive(Clone, Copy)]
struct Found {
    id: TokenId,
    lstrip: bool,
    rstrip: bool,
}

impl Finder {
    fn new<'a>(tokens: impl Iterator<Item = &'a Special> + Clone) -> Self {
        let names = tokens.clone().map(|token| token.name.as_str());
        let automaton = AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(names).ok();
        let found = |t: &Special| Found { id: t.id, lstrip: t.lstrip, rstrip: t.rstrip };
        let tokens: Vec<Found> = tokens.map(found).collect();
        Self { automaton: automaton.filter(|_| !tokens.is_empty()), tokens }
    }

    /// Appends the tokens found by name, and for each stretch between them, not empty, what `plain` appends.
    pub fn cut(&self, text: &str, out: &mut Vec<TokenId>, mut plain: impl FnMut(&str, &mut Vec<TokenId>)) {
        let mut at = 0;
        let mut strip = false;
        for found in self.automaton.iter().flat_map(|automaton| automaton.find_iter(text)) {
            let token = self.tokens[found.pattern().as_usize()];
            let mut between = &text[at..found.start()];
            if strip {
                between = between.trim_start();
            }
            if token.lstrip {
                between = between.trim_end();
            }
            if !between.is_empty() {
                plain(between, out);
            }
            out.push(token.id);
            (at, strip) = (found.end(), token.rstrip);
        }
        let rest = if strip { text[at..].trim_start() } else { &text[at..] };
        if !rest.is_empty() {
            plain(rest, out);
        }
    }
}
