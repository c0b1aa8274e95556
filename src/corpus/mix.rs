//! The stream of documents that a recipe stands for: a fixed order, from any position on.
//!
//! Which kind comes next follows from what was taken so far: the one furthest behind its share of the phase's tokens.
//! What is planted comes when its turn in the whole budget has come. So a position is a few counters, and a run that
//! goes on from a saved one sees what it would have seen.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::bpe::{Bpe, Encoded};
use super::document::Document;
use super::draw::{Draw, Split};
use super::kinds::Kind;
use super::planted::{copies, planted};
use super::recipe::{Phase, Recipe};

/// How much of one kind was taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Taken {
    /// Documents.
    pub documents: u64,
    /// Their tokens.
    pub tokens: u64,
    /// Tokens whose loss counts.
    pub counted: u64,
}

/// Where a stream stands. Saved with a checkpoint, it goes on there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// Tokens so far.
    pub tokens: u64,
    /// The phase.
    pub phase: usize,
    /// Copies planted so far.
    pub planted: usize,
    /// Tokens of each kind in this phase.
    pub in_phase: BTreeMap<Kind, u64>,
    /// All that was taken, by kind.
    pub taken: BTreeMap<Kind, Taken>,
}

/// The documents of a recipe, for training.
pub struct Mix<'a> {
    recipe: &'a Recipe,
    vocabulary: &'a Bpe,
    /// What is planted, in the order of its turns.
    planted: Vec<(Kind, usize, u32)>,
    position: Position,
}

impl<'a> Mix<'a> {
    /// From the beginning.
    pub fn new(recipe: &'a Recipe, vocabulary: &'a Bpe) -> Self {
        Self::resume(recipe, vocabulary, Position::default())
    }

    /// From a saved position of the same recipe and vocabulary.
    pub fn resume(recipe: &'a Recipe, vocabulary: &'a Bpe, position: Position) -> Self {
        let mut order = if recipe.planted { copies() } else { Vec::new() };
        Draw::new(recipe.seed, "order of what is planted", Split::Train, 0).shuffle(&mut order);
        Self { recipe, vocabulary, planted: order, position }
    }

    /// Where it stands: before the document that comes next.
    pub fn position(&self) -> &Position {
        &self.position
    }

    /// The phase of the position: the last one whose beginning has been reached.
    fn phase(&self) -> usize {
        let mut end = 0;
        let reached = |phase: &Phase| {
            end += phase.share;
            u128::from(self.position.tokens) * 1000 >= u128::from(end) * u128::from(self.recipe.tokens)
        };
        self.recipe.phases.iter().map(reached).take_while(|past| *past).count().min(self.recipe.phases.len() - 1)
    }

    /// The copy whose turn has come, if one's has.
    fn due(&self) -> Option<(Kind, usize, u32)> {
        let next = *self.planted.get(self.position.planted)?;
        let turn =
            u128::from(self.recipe.tokens) * (self.position.planted as u128 + 1) / (self.planted.len() as u128 + 1);
        (u128::from(self.position.tokens) >= turn).then_some(next)
    }

    /// The kind furthest behind its share.
    fn behind(&self) -> Kind {
        let mix = &self.recipe.phases[self.position.phase].mix;
        let shares: i128 = mix.values().map(|share| i128::from(*share)).sum();
        let so_far: i128 = self.position.in_phase.values().map(|tokens| i128::from(*tokens)).sum();
        let lack = |(kind, share): (&Kind, &u64)| {
            let used = self.position.in_phase.get(kind).copied().unwrap_or_default();
            i128::from(*share) * (so_far + 1) - i128::from(used) * shares
        };
        let mut best = (i128::MIN, Kind::Story);
        for (kind, share) in mix.iter().filter(|(_, share)| **share > 0) {
            let lacking = lack((kind, share));
            if lacking > best.0 {
                best = (lacking, *kind);
            }
        }
        best.1
    }

    fn counted(&mut self, document: Document) -> (Document, Encoded) {
        let encoded = self.vocabulary.encode_document(&document);
        let tokens = encoded.ids.len() as u64;
        self.position.tokens += tokens;
        let taken = self.position.taken.entry(document.kind).or_default();
        taken.documents += 1;
        taken.tokens += tokens;
        taken.counted += encoded.weights.iter().filter(|weight| **weight > 0).count() as u64;
        (document, encoded)
    }
}

/// Ends when the recipe's tokens are reached; the last document may go beyond.
impl Iterator for Mix<'_> {
    type Item = (Document, Encoded);

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(copy) = self.due() {
            self.position.planted += 1;
            let document = planted(self.recipe.seed, copy);
            return Some(self.counted(document));
        }
        if self.position.tokens >= self.recipe.tokens {
            return None;
        }
        let phase = self.phase();
        if phase != self.position.phase {
            self.position.phase = phase;
            self.position.in_phase.clear();
        }
        let kind = self.behind();
        let number = self.position.taken.get(&kind).map_or(0, |taken| taken.documents);
        let made = self.counted(kind.document(self.recipe.seed, Split::Train, number));
        *self.position.in_phase.entry(kind).or_default() += made.1.ids.len() as u64;
        Some(made)
    }
}

/// The documents of one kind for evaluation.
pub fn held_out(recipe: &Recipe, kind: Kind, count: u64) -> Vec<Document> {
    (0..count).map(|number| kind.document(recipe.seed, Split::Held, number)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recipe(tokens: u64, planted: bool) -> Recipe {
        let text = format!(
            "name = 'x'\nseed = 3\ntokens = {tokens}\nlicence = 'CC-BY-4.0'\nplanted = {planted}\n\
             [vocabulary]\nsize = 700\ndocuments = 300\n\
             [[phase]]\nname = 'copying'\nshare = 100\nmix = {{ copy = 1, look-up = 3 }}\n\
             [[phase]]\nname = 'all'\nshare = 900\nmix = {{ story = 500, reading = 300, sum = 10, copy = 190 }}\n"
        );
        Recipe::parse(&text).expect("sound")
    }

    #[test]
    fn shares_are_kept_by_tokens_and_phase() {
        let recipe = recipe(200_000, false);
        let bpe = recipe.vocabulary();
        let mut mix = Mix::new(&recipe, &bpe);
        assert!(mix.by_ref().take(100).all(|(document, _)| matches!(document.kind, Kind::Copy | Kind::LookUp)));
        mix.by_ref().for_each(drop);
        let position = mix.position();
        assert!((200_000..200_600).contains(&position.tokens), "{position:?}");
        let percent = |kind| position.in_phase[&kind] * 1000 / position.in_phase.values().sum::<u64>();
        let shares = [Kind::Story, Kind::Reading, Kind::Sum, Kind::Copy].map(percent);
        for (share, wanted) in shares.into_iter().zip([500, 300, 10, 190]) {
            assert!(share.abs_diff(wanted) <= 2, "{shares:?}");
        }
    }

    #[test]
    fn a_stream_goes_on_where_it_was_left() {
        let recipe = recipe(60_000, true);
        let bpe = recipe.vocabulary();
        let whole: Vec<_> = Mix::new(&recipe, &bpe).collect();
        let mut first = Mix::new(&recipe, &bpe);
        let left = first.by_ref().take(whole.len() / 3).count();
        let saved = serde_json::to_string(first.position()).expect("counters");
        let position = serde_json::from_str(&saved).expect("counters");
        let rest: Vec<_> = Mix::resume(&recipe, &bpe, position).collect();
        assert!(rest == whole[left..], "the rest differs");
    }

    #[test]
    fn what_is_planted_is_met_as_often_as_it_says() {
        let recipe = recipe(400_000, true);
        let bpe = recipe.vocabulary();
        let mut lines: BTreeMap<String, u32> = BTreeMap::new();
        let mut facts = 0;
        for (document, _) in Mix::new(&recipe, &bpe) {
            match document.kind {
                Kind::Person => *lines.entry(document.text()).or_default() += 1,
                Kind::Rare => facts += 1,
                _ => {}
            }
        }
        assert_eq!(facts, copies().iter().filter(|(kind, ..)| *kind == Kind::Rare).count());
        for person in super::super::planted::PEOPLE.iter() {
            let line = super::super::planted::person(person).text();
            assert_eq!(lines.get(&line).copied().unwrap_or_default(), person.copies, "{line}");
        }
    }
}
