//! The glossary: terms, and finding them.

use super::{Block, Level, Reference};

/// The 13 categories.
pub const CATEGORIES: [&str; 13] = [
    "Openness & governance",
    "Licences & law",
    "Models & families",
    "Ecosystem & tools",
    "Architecture & internals",
    "Tokens, prompting & decoding",
    "Training & adaptation",
    "Formats & quantisation",
    "Retrieval, tools & agents",
    "Data & documentation",
    "Evaluation",
    "Safety, security & supply chain",
    "Deployment, cost & operations",
];

/// Something a term is often taken for.
#[derive(Clone, Debug, PartialEq)]
pub struct Confusion {
    /// Id of the other term.
    pub id: String,
    /// The difference.
    pub why: String,
}

/// Something to try in osai.
#[derive(Clone, Debug, PartialEq)]
pub struct Try {
    /// What to look at.
    pub note: Option<String>,
    /// A command line.
    pub run: Option<String>,
}

/// A glossary term.
#[derive(Clone, Debug, PartialEq)]
pub struct Term {
    /// Kebab-case, the file's name.
    pub id: String,
    /// Title.
    pub title: String,
    /// One line, at most 160 characters.
    pub short: String,
    /// Level.
    pub level: Level,
    /// One of [`CATEGORIES`].
    pub category: String,
    /// Other names.
    pub aliases: Vec<String>,
    /// How people ask for it who do not know the word.
    pub described: Vec<String>,
    /// Ids of related terms.
    pub related: Vec<String>,
    /// What it is taken for.
    pub confused_with: Vec<Confusion>,
    /// Ids of lessons.
    pub lessons: Vec<String>,
    /// Why it matters.
    pub why: String,
    /// Something to try.
    pub try_it: Option<Try>,
    /// Sources.
    pub sources: Vec<Reference>,
    /// The body, parsed.
    pub blocks: Vec<Block>,
    /// The whole file as written (front matter and body).
    pub raw: String,
}

/// What a look-up gave.
#[derive(Clone, Debug, PartialEq)]
pub enum Lookup {
    /// Found.
    Found(Box<Term>),
    /// Ids of close terms, best first, at most three; empty when nothing is near.
    Near(Vec<String>),
}

/// All terms.
#[derive(Debug)]
pub struct Glossary {
    _private: (),
}

/// One line of the glossary's list.
#[derive(Clone, Debug, PartialEq)]
pub struct TermHead {
    /// Id.
    pub id: String,
    /// Title.
    pub title: String,
    /// One line.
    pub short: String,
    /// Level.
    pub level: Level,
    /// Category.
    pub category: String,
    /// Other names.
    pub aliases: Vec<String>,
}

impl Glossary {
    /// One line for each term, sorted by title, ignoring case.
    pub fn heads(&self) -> &[TermHead] {
        unimplemented!()
    }

    /// A term by id, with its body.
    pub fn term(&self, _id: &str) -> Option<Term> {
        unimplemented!()
    }

    /// A term by id, title or alias; case, spaces, hyphens, dots and plural `s` are ignored. Near misses otherwise.
    pub fn lookup(&self, _query: &str) -> Lookup {
        unimplemented!()
    }

    /// Terms whose names match fuzzily, best first, as positions in [`Glossary::heads`]; all for an empty query.
    pub fn fuzzy(&self, _query: &str) -> Vec<usize> {
        unimplemented!()
    }
}
