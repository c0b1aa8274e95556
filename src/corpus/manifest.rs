//! What a corpus was made of: one entry a part, for the card and the datasheet.

use serde::Serialize;

use super::kinds::Kind;
use super::mix::Position;
use super::recipe::Recipe;

/// The manifest.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Manifest {
    /// The model.
    pub name: String,
    /// The seed of all documents.
    pub seed: u64,
    /// All tokens.
    pub tokens: u64,
    /// All documents.
    pub documents: u64,
    /// What was made, largest part first.
    pub parts: Vec<Part>,
}

/// One part.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Part {
    /// Its name.
    pub name: &'static str,
    /// What it holds.
    pub description: &'static str,
    /// Thousandths of all tokens.
    pub share_per_mille: u64,
    /// Documents.
    pub documents: u64,
    /// Their tokens.
    pub tokens: u64,
    /// Tokens whose loss counts.
    pub counted_tokens: u64,
    /// SPDX name.
    pub licence: String,
    /// The seed of its documents.
    pub seed: u64,
    /// Where its text comes from.
    pub source: &'static str,
}

impl Manifest {
    /// What a stream has given up to a position.
    pub fn new(recipe: &Recipe, position: &Position) -> Self {
        let part = |(kind, taken): (&Kind, &super::mix::Taken)| Part {
            name: kind.name(),
            description: kind.described().1,
            share_per_mille: (taken.tokens * 1000).checked_div(position.tokens).unwrap_or_default(),
            documents: taken.documents,
            tokens: taken.tokens,
            counted_tokens: taken.counted,
            licence: recipe.licence.clone(),
            seed: recipe.seed,
            source: "made by the generators in src/corpus from the word lists in model/corpus; no text from outside",
        };
        let mut parts: Vec<Part> = position.taken.iter().map(part).collect();
        parts.sort_by_key(|part| std::cmp::Reverse(part.tokens));
        let documents = parts.iter().map(|part| part.documents).sum();
        Self { name: recipe.name.clone(), seed: recipe.seed, tokens: position.tokens, documents, parts }
    }

    /// The manifest as JSON.
    ///
    /// # Panics
    /// Never: all fields are texts and numbers.
    pub fn json(&self) -> String {
        serde_json::to_string_pretty(self).expect("texts and numbers") + "\n"
    }
}

#[cfg(test)]
mod tests {
    use super::super::mix::Mix;
    use super::*;

    #[test]
    fn a_manifest_adds_up() {
        let text = "name = 'x'\nseed = 3\ntokens = 20000\nlicence = 'CC-BY-4.0'\n\
                    [vocabulary]\nsize = 400\ndocuments = 60\n\
                    [[phase]]\nname = 'all'\nshare = 1000\nmix = { story = 3, copy = 1 }\n";
        let recipe = Recipe::parse(text).expect("sound");
        let bpe = recipe.vocabulary();
        let mut mix = Mix::new(&recipe, &bpe);
        mix.by_ref().for_each(drop);
        let manifest = Manifest::new(&recipe, mix.position());
        assert_eq!(manifest.parts.iter().map(|part| part.tokens).sum::<u64>(), manifest.tokens);
        assert_eq!(manifest.parts[0].name, "story");
        assert!(manifest.json().contains("\"licence\": \"CC-BY-4.0\""));
    }
}
