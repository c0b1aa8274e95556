//! Which record is meant by a name, a file name or a question in plain words.

use super::{Licence, LicenceQuestion, Model, Records};
use crate::content::fold::{fold, fold_singular};
use crate::content::glossary::nearness;
use crate::content::search;

/// Near misses named.
const NEAR: usize = 3;

/// What a look-up by name gave.
#[derive(Clone, Debug, PartialEq)]
pub enum Named<'a, T> {
    /// Found.
    Found(&'a T),
    /// Ids of close ones, best first; empty when nothing is near.
    Near(Vec<&'a str>),
}

/// How a name fits a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MatchKind {
    /// It is the name, the id or an alias.
    Name,
    /// It is a repository on the Hugging Face Hub.
    Repository,
    /// It begins with the name or an alias.
    Beginning,
}

/// A model that a name fits.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelMatch<'a> {
    /// The model.
    pub model: &'a Model,
    /// The name of the record that fits.
    pub name: &'a str,
    /// How it fits.
    pub kind: MatchKind,
}

impl Records {
    /// A model by name, id, alias or repository; a longer name counts if it begins with one of them.
    pub fn model(&self, name: &str) -> Option<ModelMatch<'_>> {
        let wanted = fold(name);
        if wanted.is_empty() {
            return None;
        }
        let exact = self.models.iter().find_map(|model| {
            let name = names_of(model).find(|name| fold(name) == wanted)?;
            Some(ModelMatch { model, name, kind: MatchKind::Name })
        });
        let of_repository = || {
            self.models.iter().find_map(|model| {
                let mut repositories = model.sizes.iter().filter_map(|size| size.repository.as_deref());
                let name = repositories.find(|name| {
                    fold(name) == wanted || name.rsplit('/').next().is_some_and(|last| fold(last) == wanted)
                })?;
                Some(ModelMatch { model, name, kind: MatchKind::Repository })
            })
        };
        exact.or_else(of_repository).or_else(|| self.model_beginning(name))
    }

    /// The model with the longest name that begins this one, where a word ends: `Llama-3.1-8B-Q4` is Llama 3.1, not Llama 3.
    fn model_beginning(&self, name: &str) -> Option<ModelMatch<'_>> {
        // A maker's folder or `@version` is no part of it.
        let name = name.rsplit('/').next().unwrap_or(name);
        let beginnings = beginnings(name);
        let all = self.models.iter().flat_map(|model| names_of(model).map(move |name| (letters(name), name, model)));
        let fitting = all.filter(|(known, ..)| beginnings.contains(known));
        // Of equal ones the first: a model's name comes before its aliases.
        let longer = |a: (String, _, _), b: (String, _, _)| if b.0.len() > a.0.len() { b } else { a };
        let (_, name, model) = fitting.reduce(longer)?;
        Some(ModelMatch { model, name, kind: MatchKind::Beginning })
    }

    /// Ids of models with names near this one, best first.
    pub fn models_near(&self, name: &str) -> Vec<&str> {
        near(name, self.models.iter().map(|model| (model.id.as_str(), names_of(model).collect())))
    }

    /// A licence by name, id, SPDX id or alias; with or without the word "licence".
    pub fn licence(&self, name: &str) -> Named<'_, Licence> {
        let wanted = licence_name(name);
        let is_it = |licence: &&Licence| licence_names(licence).any(|known| licence_name(known) == wanted);
        match self.licences.iter().filter(|_| !wanted.is_empty()).find(is_it) {
            Some(licence) => Named::Found(licence),
            None => Named::Near(near(
                name,
                self.licences.iter().map(|licence| (licence.id.as_str(), licence_names(licence).collect())),
            )),
        }
    }

    /// A question by id or by its own words; else the one that the words are most like, if any.
    pub fn question(&self, words: &str) -> Option<&LicenceQuestion> {
        let wanted = fold(words);
        let exact = |question: &&LicenceQuestion| fold(&question.id) == wanted || fold(&question.ask) == wanted;
        self.questions.iter().find(exact).or_else(|| {
            let best = search::best_question(&self.questions, words)?;
            self.questions.get(best)
        })
    }
}

fn names_of(model: &Model) -> impl Iterator<Item = &str> {
    [model.name.as_str(), model.id.as_str()].into_iter().chain(model.aliases.iter().map(String::as_str))
}

fn licence_names(licence: &Licence) -> impl Iterator<Item = &str> {
    let own = [licence.id.as_str(), licence.name.as_str()].into_iter();
    own.chain(licence.spdx.as_deref()).chain(licence.aliases.iter().map(String::as_str))
}

/// A licence's name for comparison: people add "licence", or leave it out; a plus makes another name.
pub(super) fn licence_name(name: &str) -> String {
    let folded = fold_singular(&name.replace('+', " plus "));
    let bare = folded.strip_suffix("license").unwrap_or(&folded);
    bare.to_owned()
}

/// Ids by how near their names are.
fn near<'a>(wanted: &str, all: impl Iterator<Item = (&'a str, Vec<&'a str>)>) -> Vec<&'a str> {
    let wanted = fold(wanted);
    let length = wanted.chars().count();
    let rank = |names: Vec<&str>| names.into_iter().filter_map(|name| nearness(&wanted, length, &fold(name))).min();
    let mut ranked: Vec<_> = all.filter_map(|(id, names)| Some((rank(names)?, id))).collect();
    ranked.sort_unstable();
    ranked.into_iter().map(|(_, id)| id).take(NEAR).collect()
}

/// Letters and digits alone, in lower case.
fn letters(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// The [`letters`] of each beginning of a name that ends with a word; a point between digits ends none.
fn beginnings(name: &str) -> Vec<String> {
    let chars: Vec<char> = name.chars().collect();
    let mut beginnings = Vec::new();
    let mut so_far = String::new();
    for (place, c) in chars.iter().enumerate() {
        if !c.is_alphanumeric() {
            continue;
        }
        so_far.extend(c.to_lowercase());
        let (next, after) = (chars.get(place + 1), chars.get(place + 2));
        let is_decimal = next == Some(&'.') && c.is_ascii_digit() && after.is_some_and(char::is_ascii_digit);
        if !is_decimal && next.is_none_or(|next| !next.is_alphanumeric()) {
            beginnings.push(so_far.clone());
        }
    }
    beginnings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::Library;

    #[test]
    fn a_longer_name_is_the_model_whose_name_begins_it() {
        let library = Library::embedded();
        for (name, id, kind) in [
            ("Llama 3.1", "llama-3-1", MatchKind::Name),
            ("llama-3-1", "llama-3-1", MatchKind::Name),
            ("meta-llama/Llama-3.1-8B", "llama-3-1", MatchKind::Repository),
            ("Llama-3.1-8B-Instruct-Q4_K_M", "llama-3-1", MatchKind::Beginning),
            ("Meta-Llama-3-8B.Q8_0", "llama-3", MatchKind::Beginning),
            ("SmolLM2-135M-Instruct.Q4_1", "smollm2", MatchKind::Beginning),
        ] {
            let found = library.records().model(name).map(|found| (found.model.id.as_str(), found.kind));
            assert_eq!(found, Some((id, kind)), "{name}");
        }
        for name in ["", "...", "my-model", "llamas"] {
            assert_eq!(library.records().model(name), None, "{name}");
        }
    }

    #[test]
    fn a_point_between_digits_ends_no_beginning() {
        assert_eq!(beginnings("Qwen2.5-7B.gguf"), ["qwen25", "qwen257b", "qwen257bgguf"]);
    }

    #[test]
    fn a_licence_answers_to_its_names_and_a_typo_suggests_it() {
        let library = Library::embedded();
        for name in ["apache-2-0", "Apache 2.0", "apache-2.0 license", "APACHE LICENCE 2.0"] {
            let found = library.records().licence(name);
            assert!(matches!(found, Named::Found(licence) if licence.id == "apache-2-0"), "{name}: {found:?}");
        }
        let Named::Near(ids) = library.records().licence("apahce-2.0") else { panic!("a typo is no name") };
        assert_eq!(ids.first(), Some(&"apache-2-0"));
        assert_eq!(library.records().licence("zzzzzzzzz"), Named::Near(vec![]));
    }

    #[test]
    fn a_question_is_found_by_id_by_its_words_and_by_words_like_them() {
        let library = Library::embedded();
        for (words, id) in [
            ("sell-a-product", "sell-a-product"),
            ("May we convert or quantise it?", "convert-or-quantise"),
            ("can my company use it commercially", "sell-a-product"),
            ("is military use allowed", "use-in-weapons"),
            ("what if we get sued over patents", "patent-protection"),
        ] {
            assert_eq!(library.records().question(words).map(|found| found.id.as_str()), Some(id), "{words}");
        }
        assert_eq!(library.records().question("zzz"), None);
    }
}
