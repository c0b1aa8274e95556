//! The vocabulary as a tree of bytes, and the mask that a grammar lays over it.

use std::collections::HashMap;
use std::sync::Arc;

use super::automaton::{Automaton, StateId};
use super::program::Node;
use super::{Grammar, GrammarError, TokenName};
use crate::engine::TokenId;

/// Masks kept for states that come again, as every place inside a string does.
const MAX_MASKS: usize = 2_000;

/// A set of tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenSet {
    words: Vec<u64>,
    count: usize,
}

impl TokenSet {
    /// No token, of a vocabulary of this size.
    pub fn new(vocab_size: usize) -> Self {
        Self { words: vec![0; vocab_size.div_ceil(64)], count: 0 }
    }

    /// Adds a token.
    pub fn insert(&mut self, id: TokenId) {
        let (word, bit) = (&mut self.words[id as usize / 64], 1 << (id % 64));
        self.count += usize::from(*word & bit == 0);
        *word |= bit;
    }

    /// Whether a token is in it.
    pub fn contains(&self, id: TokenId) -> bool {
        self.words[id as usize / 64] >> (id % 64) & 1 == 1
    }

    /// Number of tokens in it.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Sets the logits of all other tokens to minus infinity.
    pub fn apply(&self, logits: &mut [f32]) {
        for (logits, word) in logits.chunks_mut(64).zip(&self.words) {
            for (bit, logit) in logits.iter_mut().enumerate() {
                if word >> bit & 1 == 0 {
                    *logit = f32::NEG_INFINITY;
                }
            }
        }
    }
}

/// A byte that continues the bytes of its parent. In preorder, so a subtree is a run of nodes.
#[derive(Clone, Copy, Debug)]
struct Branch {
    byte: u8,
    /// Length of the bytes so far, from 1.
    depth: u16,
    /// Where the subtree ends.
    skip: u32,
    /// Tokens that end here: a range of `Vocabulary::tokens`.
    from: u32,
    to: u32,
}

/// A vocabulary as a tree of bytes.
#[derive(Debug)]
pub struct Vocabulary {
    branches: Vec<Branch>,
    tokens: Vec<TokenId>,
    depth: usize,
    size: usize,
    ends: Vec<TokenId>,
    /// Names of control tokens, and texts of others, for grammars that name tokens.
    names: HashMap<Vec<u8>, TokenId>,
}

impl Vocabulary {
    /// From each token's bytes and whether it is a control token, which no byte of a grammar matches; `ends` are the
    /// tokens that end a text.
    pub fn new<B: AsRef<[u8]>>(tokens: impl IntoIterator<Item = (B, bool)>, ends: &[TokenId]) -> Self {
        let (mut spelled, mut names, mut size) = (Vec::new(), HashMap::new(), 0);
        for (id, (bytes, is_control)) in tokens.into_iter().enumerate() {
            let bytes = bytes.as_ref().to_vec();
            size = id + 1;
            names.entry(bytes.clone()).or_insert(id as TokenId);
            // Longer than any token that makes sense: such a one cannot be drawn under a grammar.
            if !is_control && !bytes.is_empty() && bytes.len() <= usize::from(u16::MAX) {
                spelled.push((bytes, id as TokenId));
            }
        }
        spelled.sort_unstable();
        let mut tree = Self {
            branches: Vec::new(),
            tokens: Vec::with_capacity(spelled.len()),
            depth: 0,
            size,
            ends: ends.iter().copied().filter(|id| (*id as usize) < size).collect(),
            names,
        };
        // Branches from the root to the last token.
        let mut way: Vec<usize> = Vec::new();
        let mut last: &[u8] = &[];
        for (bytes, id) in &spelled {
            let same = last.iter().zip(bytes).take_while(|(a, b)| a == b).count();
            tree.close(&mut way, same);
            for byte in &bytes[same..] {
                way.push(tree.branches.len());
                let (depth, at) = (way.len() as u16, tree.tokens.len() as u32);
                tree.branches.push(Branch { byte: *byte, depth, skip: 0, from: at, to: at });
            }
            tree.depth = tree.depth.max(way.len());
            tree.tokens.push(*id);
            let end = way.last().expect("no token is empty");
            tree.branches[*end].to = tree.tokens.len() as u32;
            last = bytes;
        }
        tree.close(&mut way, 0);
        tree
    }

    fn close(&mut self, way: &mut Vec<usize>, depth: usize) {
        let end = self.branches.len() as u32;
        for branch in way.drain(depth..) {
            self.branches[branch].skip = end;
        }
    }

    /// Number of tokens.
    pub fn size(&self) -> usize {
        self.size
    }

    fn id(&self, name: &TokenName) -> Option<TokenId> {
        match name {
            TokenName::Id(id) => Some(*id).filter(|id| (*id as usize) < self.size),
            TokenName::Text(text) => self.names.get(text.as_bytes()).copied(),
        }
    }
}

/// A grammar being followed over a vocabulary.
#[derive(Debug)]
pub struct Constraint {
    vocabulary: Arc<Vocabulary>,
    automaton: Automaton,
    state: StateId,
    masks: HashMap<StateId, Arc<TokenSet>>,
}

impl Constraint {
    /// At the beginning of the grammar.
    ///
    /// # Errors
    /// The grammar names a token that the vocabulary does not have, or is too ambiguous.
    pub fn new(grammar: &Grammar, vocabulary: Arc<Vocabulary>) -> Result<Self, GrammarError> {
        for node in &grammar.program.nodes {
            if let Node::Token { token, .. } = node
                && vocabulary.id(token).is_none()
            {
                let name = match token {
                    TokenName::Id(id) => format!("number {id}"),
                    TokenName::Text(text) => format!("`{text}`"),
                };
                return Err(GrammarError::new(format!("the model's vocabulary has no token {name}")));
            }
        }
        let automaton = Automaton::new(grammar.program.clone())?;
        let state = automaton.start();
        Ok(Self { vocabulary, automaton, state, masks: HashMap::new() })
    }

    /// Whether nothing can follow any more.
    pub fn is_final(&self) -> bool {
        self.automaton.is_final(self.state)
    }

    /// Whether the text may end here.
    pub fn is_accepting(&self) -> bool {
        self.automaton.is_accepting(self.state)
    }

    /// The tokens that may come next; those that end a text only where the grammar can end.
    ///
    /// # Errors
    /// The grammar is too ambiguous, or no token of the vocabulary can go on.
    pub fn mask(&mut self) -> Result<Arc<TokenSet>, GrammarError> {
        let (state, is_new) = self.automaton.tidy(self.state);
        self.state = state;
        if is_new || self.masks.len() >= MAX_MASKS {
            self.masks.clear();
        }
        if let Some(mask) = self.masks.get(&self.state) {
            return Ok(mask.clone());
        }
        let mask = Arc::new(self.walk()?);
        if mask.count() == 0 {
            let what = "no token of this model's vocabulary can go on as the grammar wants";
            return Err(GrammarError::new(what));
        }
        self.masks.insert(self.state, mask.clone());
        Ok(mask)
    }

    fn walk(&mut self) -> Result<TokenSet, GrammarError> {
        let vocabulary = self.vocabulary.clone();
        let mut set = TokenSet::new(vocabulary.size);
        let mut states = vec![self.state; vocabulary.depth + 1];
        let mut classes = [0; 256];
        (0..=255).for_each(|byte| classes[usize::from(byte)] = self.automaton.class(byte));
        let mut at = 0;
        while let Some(branch) = vocabulary.branches.get(at) {
            let depth = usize::from(branch.depth);
            match self.automaton.step_class(states[depth - 1], classes[usize::from(branch.byte)])? {
                Some(state) => {
                    states[depth] = state;
                    let ended = &vocabulary.tokens[branch.from as usize..branch.to as usize];
                    ended.iter().for_each(|id| set.insert(*id));
                    at += 1;
                }
                None => at = branch.skip as usize,
            }
        }
        for (node, _) in self.automaton.tokens(self.state) {
            let Node::Token { token, is_negated, .. } = node else { continue };
            let Some(named) = vocabulary.id(token) else { continue };
            if *is_negated {
                let others = (0..vocabulary.size as TokenId).filter(|id| *id != named && !vocabulary.ends.contains(id));
                others.for_each(|id| set.insert(id));
            } else {
                set.insert(named);
            }
        }
        if self.is_accepting() {
            vocabulary.ends.iter().for_each(|id| set.insert(*id));
        }
        Ok(set)
    }

    /// Goes on with a token, given with its bytes; whether the grammar allows it.
    ///
    /// # Errors
    /// The grammar is too ambiguous.
    pub fn accept(&mut self, id: TokenId, bytes: &[u8], is_control: bool) -> Result<bool, GrammarError> {
        let mut next = Some(self.state).filter(|_| !is_control && !bytes.is_empty());
        for byte in bytes {
            let Some(state) = next else { break };
            next = self.automaton.step(state, *byte)?;
        }
        if self.automaton.reads_tokens(self.state) {
            let is_read = |node: &Node| match node {
                Node::Token { token, is_negated, .. } => {
                    self.vocabulary.id(token).is_some_and(|named| (named == id) != *is_negated)
                }
                _ => false,
            };
            let read = self.automaton.tokens(self.state).filter(|(node, _)| is_read(node));
            let places = read.map(|(_, place)| place).collect();
            next = self.automaton.join(places, next)?;
        }
        if let Some(state) = next {
            self.state = state;
        }
        Ok(next.is_some())
    }
}
