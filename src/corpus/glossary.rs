//! Questions about the terms of the course, from the frozen snapshot `model/corpus/glossary.toml`.
//!
//! ```text
//! asked     a term in one of 26 phrasings -> its one sentence       a tenth of all (term, phrasing) pairs is held out
//! named     the sentence -> the term
//! ```
//!
//! Evaluation asks either in a phrasing that training never sees (`unseen phrasing`) or in a held-out pair (`unseen
//! pair`).

use std::sync::LazyLock;

use serde::Deserialize;

use super::document::Document;
use super::draw::{Draw, Split};
use super::grammar::{Slots, expand};
use super::kinds::Kind;
use super::phrasing::{PHRASINGS, ask, typed};
use super::words::capital;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Terms {
    term: Vec<Term>,
}

/// A term of the course.
#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Term {
    /// Its id in the course.
    pub id: String,
    /// What stands before it in a question: "a", "an", "the" or nothing.
    pub article: String,
    /// Whether one asks "what are ...".
    #[serde(default)]
    pub plural: bool,
    /// The term.
    pub name: String,
    /// What it means, in one sentence of at most twenty words.
    pub answer: String,
}

impl Term {
    /// What fills the slots of a question about the term.
    pub fn slots(&self) -> Slots {
        let is = if self.plural { "are" } else { "is" };
        Slots::of([("a", self.with_article().as_str()), ("t", &self.name), ("is", is)])
    }

    /// The term with its article.
    pub fn with_article(&self) -> String {
        if self.article.is_empty() { self.name.clone() } else { format!("{} {}", self.article, self.name) }
    }
}

/// The terms.
pub static TERMS: LazyLock<Vec<Term>> = LazyLock::new(|| {
    let terms: Terms =
        toml::from_str(include_str!("../../model/corpus/glossary.toml")).expect("model/corpus/glossary.toml is sound");
    terms.term
});

/// A question about a term.
pub fn glossary(draw: &mut Draw) -> Document {
    if draw.chance(10) {
        let term = draw.pick(&TERMS);
        let question = ask("term", &Slots::of([("s", &term.answer)]), draw);
        return Document::asked(Kind::Glossary, "named", &question, &term.name);
    }
    let phrasings = &PHRASINGS["glossary"];
    let unseen = draw.split == Split::Held && draw.chance(65);
    let (term, phrasing) = if unseen {
        (draw.pick(&TERMS), draw.pick(&phrasings.held))
    } else {
        let pair = |draw: &mut Draw| (draw.pick(&TERMS), draw.pick(&phrasings.train));
        draw.on_side(pair, |(term, phrasing)| format!("{}: {phrasing}", term.id))
    };
    let question = capital(&expand(phrasing, &term.slots(), draw));
    let variant = match draw.split {
        Split::Train => "asked",
        Split::Held if unseen => "unseen phrasing",
        Split::Held => "unseen pair",
    };
    let question = if draw.split == Split::Train { typed(&question, draw) } else { question };
    Document::asked(Kind::Glossary, variant, &question, &term.answer)
}

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    use super::*;

    #[test]
    fn three_questions() {
        insta::assert_snapshot!(super::super::kinds::show(Kind::Glossary, 1, Split::Train, 3));
    }

    #[test]
    fn a_definition_is_one_short_sentence() {
        assert!(TERMS.len() >= 80);
        for term in TERMS.iter() {
            assert!(term.answer.split_whitespace().count() <= 20, "{}", term.answer);
            assert_eq!(term.answer.trim_end_matches('.').matches(['!', '?', ';']).count(), 0, "{}", term.answer);
            assert!(term.answer.ends_with('.'), "{}", term.answer);
            assert!(term.answer.to_lowercase().contains(&term.name.to_lowercase()), "{}", term.answer);
        }
    }

    #[test]
    fn no_two_terms_have_one_name() {
        let mut names: Vec<&str> = TERMS.iter().map(|term| term.name.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), TERMS.len());
    }

    /// What the shipped model was trained on must not change by an edit in passing. A new snapshot gets new hashes,
    /// and a new model.
    #[test]
    fn the_snapshot_is_the_one_that_was_frozen() {
        let files = [
            ("dialogues.toml", include_str!("../../model/corpus/dialogues.toml")),
            ("glossary.toml", include_str!("../../model/corpus/glossary.toml")),
            ("phrasings.toml", include_str!("../../model/corpus/phrasings.toml")),
            ("reading.toml", include_str!("../../model/corpus/reading.toml")),
            ("stories.toml", include_str!("../../model/corpus/stories.toml")),
            ("talk.toml", include_str!("../../model/corpus/talk.toml")),
            ("words.toml", include_str!("../../model/corpus/words.toml")),
        ];
        let sums: String =
            files.iter().map(|(name, text)| format!("{:x}  {name}\n", Sha256::digest(text.as_bytes()))).collect();
        assert_eq!(include_str!("../../model/corpus/SHA256SUMS"), sums, "run sha256sum *.toml > SHA256SUMS there");
    }
}
