//! Grammars that an answer must follow, and the mask over the vocabulary that they give at every step.
//!
//! From text to mask: [`gbnf`] or [`schema`] makes [`Rules`]; [`program`] turns them into nodes that read one byte
//! each; [`automaton`] runs all ways through the nodes at once and remembers what it has seen; [`vocabulary`] walks
//! the vocabulary, as a tree of bytes, through the automaton. Bytes, not characters: a token may hold half of one.
//!
//! Why our own and not the crate `llguidance`: its grammars have a lexer that takes the longest lexeme, so GBNF cannot
//! be turned into them without changing its meaning, and a learner is to see every step of the mask.

mod automaton;
mod gbnf;
mod program;
mod schema;
#[cfg(test)]
mod tests;
mod vocabulary;

use std::fmt;
use std::sync::Arc;

use super::GrammarSource;
use automaton::Automaton;
use program::Program;
pub use vocabulary::{Constraint, TokenSet, Vocabulary};

/// The longest grammar or schema that is read, in bytes.
const MAX_TEXT: usize = 256 << 10;
/// How deep groups, and the parts of a schema, may nest.
const MAX_DEPTH: usize = 64;

/// A grammar, checked and ready. Cloning is cheap.
#[derive(Clone, Debug)]
pub struct Grammar {
    rules: Arc<Rules>,
    program: Arc<Program>,
}

impl Grammar {
    /// Reads a grammar of either kind.
    ///
    /// # Errors
    /// As [`Grammar::from_gbnf`] and [`Grammar::from_schema`].
    pub fn new(source: &GrammarSource) -> Result<Self, GrammarError> {
        match source {
            GrammarSource::Gbnf(text) => Self::from_gbnf(text),
            GrammarSource::JsonSchema(text) => Self::from_schema(text),
        }
    }

    /// Reads GBNF as llama.cpp's `grammars/README.md` describes it.
    ///
    /// # Errors
    /// What is wrong, with line and column; left recursion and grammars that grow too large are refused too.
    pub fn from_gbnf(text: &str) -> Result<Self, GrammarError> {
        Self::from_rules(gbnf::parse(text)?)
    }

    /// Reads a JSON Schema; see [`schema`] for the keywords.
    ///
    /// # Errors
    /// What is wrong: line and column for JSON, else the path to the keyword that is not supported.
    pub fn from_schema(text: &str) -> Result<Self, GrammarError> {
        Self::from_rules(schema::rules(text)?)
    }

    fn from_rules(rules: Rules) -> Result<Self, GrammarError> {
        let program = Program::compile(&rules)?;
        Ok(Self { rules: Arc::new(rules), program: Arc::new(program) })
    }

    /// Whether the grammar accepts exactly this text. Terminals that stand for whole tokens match nothing here.
    ///
    /// # Errors
    /// The text can be read in too many ways at once.
    pub fn accepts(&self, text: &[u8]) -> Result<bool, GrammarError> {
        let mut automaton = Automaton::new(self.program.clone())?;
        let mut state = automaton.start();
        for byte in text {
            match automaton.step(state, *byte)? {
                Some(next) => state = next,
                None => return Ok(false),
            }
        }
        Ok(automaton.is_accepting(state))
    }
}

/// As GBNF: what a schema becomes can be read.
impl fmt::Display for Grammar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        gbnf::write(&self.rules, f)
    }
}

/// A part of a rule.
#[derive(Clone, Debug, PartialEq)]
enum Expr {
    /// These characters.
    Literal(String),
    /// One character out of these ranges, both ends included; sorted, not touching.
    Class(Vec<(char, char)>),
    /// One whole token of the vocabulary, or one that is not this.
    Token { token: TokenName, is_negated: bool },
    /// A rule, by its place.
    Rule(usize),
    /// One after the other.
    Sequence(Vec<Expr>),
    /// One of them.
    Choice(Vec<Expr>),
    /// `min` to `max` times; `None` for any number.
    Repeat { of: Box<Expr>, min: u32, max: Option<u32> },
}

/// How a grammar names a token.
#[derive(Clone, Debug, PartialEq, Eq)]
enum TokenName {
    Id(u32),
    Text(String),
}

/// Rules as read; the first is not special, `root` is.
#[derive(Clone, Debug, Default)]
struct Rules {
    rules: Vec<Rule>,
    root: usize,
}

#[derive(Clone, Debug)]
struct Rule {
    name: String,
    body: Expr,
    /// Line and column of its definition; 0 where it comes from a schema.
    at: (usize, usize),
}

/// Sorts and joins ranges.
fn merged(mut ranges: Vec<(char, char)>) -> Vec<(char, char)> {
    ranges.sort_unstable();
    let mut out: Vec<(char, char)> = Vec::new();
    for (from, to) in ranges {
        match out.last_mut() {
            Some(last) if u32::from(from) <= u32::from(last.1) + 1 => last.1 = last.1.max(to),
            _ => out.push((from, to)),
        }
    }
    out
}

/// All characters that are not in these merged ranges.
fn negated(ranges: &[(char, char)]) -> Vec<(char, char)> {
    let mut out = Vec::new();
    let mut next = Some('\0');
    for (from, to) in ranges {
        if let Some(first) = next
            && first < *from
        {
            out.push((first, before(*from)));
        }
        next = after(*to);
    }
    out.extend(next.map(|first| (first, char::MAX)));
    out
}

/// The next character; surrogates are none.
fn after(c: char) -> Option<char> {
    (c..=char::MAX).nth(1)
}

fn before(c: char) -> char {
    ('\0'..c).next_back().unwrap_or('\0')
}

/// Why a grammar cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrammarError {
    /// Line and column from 1, where they are known.
    pub at: Option<(usize, usize)>,
    /// What is wrong and what to do.
    pub what: String,
}

impl GrammarError {
    fn new(what: impl Into<String>) -> Self {
        Self { at: None, what: what.into() }
    }

    fn at(at: (usize, usize), what: impl Into<String>) -> Self {
        Self { at: Some(at).filter(|at| at.0 > 0), what: what.into() }
    }
}

impl fmt::Display for GrammarError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.at {
            Some((line, column)) => write!(f, "line {line}, column {column}: {}", self.what),
            None => write!(f, "{}", self.what),
        }
    }
}

impl std::error::Error for GrammarError {}
