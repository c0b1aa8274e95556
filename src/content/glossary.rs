//! The glossary: terms, and finding them.
//!
//! A look-up folds the question, searches the index's names and decodes one record; near misses scan all names.

use std::sync::OnceLock;

use fuzzy_matcher::FuzzyMatcher;
use fuzzy_matcher::skim::SkimMatcherV2;

use super::block::Block;
use super::fold::{distance, fold, fold_singular};
use super::front::{Level, Status};
use super::index::{Index, Record};
use super::lesson::{LessonHead, Reference};
use super::markdown;

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
    /// Byte of `raw` at which the body begins.
    pub body_at: usize,
}

impl Term {
    /// The body as written: markdown.
    pub fn body(&self) -> &str {
        self.raw[self.body_at..].trim()
    }
}

/// What a look-up gave.
#[derive(Clone, Debug, PartialEq)]
pub enum Lookup {
    /// Found.
    Found(Box<Term>),
    /// Ids of close terms, best first, at most three; empty when nothing is near.
    Near(Vec<String>),
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

/// All terms. Costs nothing to make: everything is read from the index when asked for.
#[derive(Debug)]
pub struct Glossary {
    index: Index,
    heads: OnceLock<Vec<TermHead>>,
}

/// Near misses shown.
const NEAR: usize = 3;

impl Glossary {
    /// The terms of osai itself. Nothing but the index is touched: the fast way for one look-up.
    pub fn embedded() -> Self {
        Self::new(Index::embedded())
    }

    pub(super) fn new(index: Index) -> Self {
        Self { index, heads: OnceLock::new() }
    }

    pub(super) fn index(&self) -> &Index {
        &self.index
    }

    /// One line for each term, sorted by title, ignoring case.
    pub fn heads(&self) -> &[TermHead] {
        let head = |number| TermFields::decode(self.index.term(number)).head;
        self.heads.get_or_init(|| (0..self.index.term_count()).map(head).collect())
    }

    /// A term by id, with its body.
    pub fn term(&self, id: &str) -> Option<Term> {
        self.number(id).map(|number| self.decode(number))
    }

    /// The title of a term by id.
    pub fn title(&self, id: &str) -> Option<&str> {
        let number = self.number(id)?;
        let mut record = self.index.term(number);
        TermFields::skip_to_title(&mut record);
        Some(record.text())
    }

    /// The title of a lesson by id (`p3`), for "continue in lesson P3"; `None` if there is none that is written.
    pub fn lesson_title(&self, id: &str) -> Option<&str> {
        let title = |number| LessonHead::title_if(self.index.lesson(number), id);
        let (status, title) = (0..self.index.lesson_count()).find_map(title)?;
        (status == Status::Ready).then_some(title)
    }

    fn number(&self, id: &str) -> Option<usize> {
        self.index.terms_named(&fold(id)).find(|number| self.id(*number) == id)
    }

    fn id(&self, number: usize) -> &str {
        let mut record = self.index.term(number);
        TermFields::skip_to_id(&mut record);
        record.text()
    }

    /// A term by id, title or alias; case, spaces, hyphens, dots and plural `s` are ignored. Near misses otherwise.
    pub fn lookup(&self, query: &str) -> Lookup {
        let mut folded = fold(query);
        let mut found = self.index.terms_named(&folded).next();
        if found.is_none() {
            folded = fold_singular(query);
            found = self.index.terms_named(&folded).next();
        }
        match found {
            Some(number) => Lookup::Found(Box::new(self.decode(number))),
            None => {
                Lookup::Near(self.near(&fold(query)).into_iter().map(|number| self.id(number).to_owned()).collect())
            }
        }
    }

    /// The nearest terms over all their names. One wrong letter comes first, then names that begin with the query or
    /// lie two edits away, then names that contain it (or that it contains). Where something is near, the list is filled
    /// up to three with the names that need the fewest edits; where nothing is, it is empty.
    fn near(&self, folded: &str) -> Vec<usize> {
        let length = folded.chars().count();
        let mut near = self.best(|name| nearness(folded, length, name));
        if !near.is_empty() && near.len() < NEAR {
            let others = self.best(|name| Some((distance(folded, name), 0)));
            near.extend(others.into_iter().filter(|term| !near.contains(term)).collect::<Vec<_>>());
        }
        near.truncate(NEAR);
        near
    }

    /// Terms by the least rank of their names, of those that have one.
    fn best(&self, rank: impl Fn(&str) -> Option<(usize, usize)>) -> Vec<usize> {
        let mut ranks: Vec<Option<(usize, usize)>> = vec![None; self.index.term_count()];
        for (name, term) in self.index.names() {
            if let Some(rank) = rank(name) {
                ranks[term] = Some(ranks[term].map_or(rank, |known| known.min(rank)));
            }
        }
        let mut ranked: Vec<_> = (0..).zip(ranks).filter_map(|(term, rank)| Some((rank?, term))).collect();
        ranked.sort_unstable();
        ranked.into_iter().map(|(_, term)| term).collect()
    }

    /// Terms whose names match fuzzily, best first, as positions in [`Glossary::heads`]; all for an empty query.
    pub fn fuzzy(&self, query: &str) -> Vec<usize> {
        let query = query.trim();
        if query.is_empty() {
            return (0..self.heads().len()).collect();
        }
        let matcher = SkimMatcherV2::default().ignore_case();
        let mut scored: Vec<(i64, usize)> = Vec::new();
        for (number, head) in self.heads().iter().enumerate() {
            // A title that matches is worth a little more than an alias that matches as well.
            let title = matcher.fuzzy_match(&head.title, query).map(|score| score + 1);
            let alias = head.aliases.iter().filter_map(|alias| matcher.fuzzy_match(alias, query)).max();
            if let Some(score) = title.max(alias) {
                scored.push((score, number));
            }
        }
        scored.sort_by_key(|(score, number)| (std::cmp::Reverse(*score), *number));
        scored.into_iter().map(|(_, number)| number).collect()
    }

    fn decode(&self, number: usize) -> Term {
        let fields = TermFields::decode(self.index.term(number));
        let (_, raw, _) = self.index.file(fields.file);
        let blocks = markdown::parse(raw, fields.body_at).blocks;
        let TermHead { id, title, short, level, category, aliases } = fields.head;
        Term {
            id,
            title,
            short,
            level,
            category,
            aliases,
            described: fields.described,
            related: fields.related,
            confused_with: fields.confused_with,
            lessons: fields.lessons,
            why: fields.why,
            try_it: fields.try_it,
            sources: fields.sources,
            blocks,
            raw: raw.to_owned(),
            body_at: fields.body_at,
        }
    }
}

/// How near a name is: rank (lower is nearer) and what decides within a rank.
pub(super) fn nearness(query: &str, length: usize, name: &str) -> Option<(usize, usize)> {
    let name_length = name.chars().count();
    let difference = name_length.abs_diff(length);
    let edits_allowed = (length / 3).clamp(1, 4);
    if difference <= edits_allowed {
        let edits = distance(query, name);
        if edits <= edits_allowed {
            return Some((edits * 2, missing(query, name) * 8 + difference));
        }
    }
    if length < 2 {
        return None;
    }
    if name.starts_with(query) {
        return Some((3, difference));
    }
    if length >= 3 && name.contains(query) {
        return Some((5, difference));
    }
    (name_length >= 4 && query.contains(name)).then_some((6, difference))
}

/// Letters of the query that a name lacks. A slip drops, doubles or swaps letters more often than it makes new ones.
fn missing(query: &str, name: &str) -> usize {
    let mut left: Vec<char> = name.chars().collect();
    let mut is_there = |c: char| left.iter().position(|other| *other == c).map(|at| left.swap_remove(at)).is_some();
    query.chars().filter(|c| !is_there(*c)).count()
}

/// A term's record, decoded.
pub(super) struct TermFields {
    pub(super) file: usize,
    pub(super) body_at: usize,
    pub(super) head: TermHead,
    pub(super) described: Vec<String>,
    related: Vec<String>,
    lessons: Vec<String>,
    confused_with: Vec<Confusion>,
    why: String,
    try_it: Option<Try>,
    sources: Vec<Reference>,
}

impl TermFields {
    fn skip_to_id(record: &mut Record<'_>) {
        for _ in ["file", "body", "level"] {
            record.number();
        }
    }

    fn skip_to_title(record: &mut Record<'_>) {
        Self::skip_to_id(record);
        record.text();
    }

    /// Reads what `index.rs` wrote.
    pub(super) fn decode(mut record: Record<'_>) -> Self {
        let (file, body_at) = (record.number() as usize, record.number() as usize);
        let level = Level::ALL[record.number() as usize];
        let mut text = || record.text().to_owned();
        let (id, title, short, category) = (text(), text(), text(), text());
        let (aliases, described, related, lessons) = (record.texts(), record.texts(), record.texts(), record.texts());
        let confused_with =
            record.list(|record| Confusion { id: record.text().to_owned(), why: record.text().to_owned() });
        let why = record.text().to_owned();
        let try_it = (record.number() == 1).then(|| {
            let mut part = || Some(record.text()).filter(|text| !text.is_empty()).map(str::to_owned);
            Try { note: part(), run: part() }
        });
        let sources = Reference::decode(&mut record);
        let head = TermHead { id, title, short, level, category, aliases };
        Self { file, body_at, head, described, related, lessons, confused_with, why, try_it, sources }
    }
}
