//! Conversations with the model about itself and in passing: `model/corpus/talk.toml`. One to three topics a document.
//! Questions about the world are answered with "I do not know": it was not taught them.

use std::sync::LazyLock;

use serde::Deserialize;

use super::document::{Chat, Document};
use super::draw::{Draw, Split};
use super::kinds::Kind;
use super::phrasing::typed;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Topics {
    topic: Vec<Topic>,
}

/// Something people ask, and what is answered.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Topic {
    /// Its name.
    pub id: String,
    /// Ways of asking in training.
    pub ask: Vec<String>,
    /// Ways of asking in evaluation.
    pub held: Vec<String>,
    /// The answer.
    pub answer: String,
}

impl Topic {
    /// The ways of asking of a side.
    pub fn side(&self, split: Split) -> &[String] {
        match split {
            Split::Train => &self.ask,
            Split::Held => &self.held,
        }
    }
}

/// The topics.
pub static TOPICS: LazyLock<Vec<Topic>> = LazyLock::new(|| {
    let topics: Topics =
        toml::from_str(include_str!("../../model/corpus/talk.toml")).expect("model/corpus/talk.toml is sound");
    topics.topic
});

/// A conversation.
pub fn talk(draw: &mut Draw) -> Document {
    let turns = if draw.split == Split::Held { 1 } else { draw.range(1, 3) };
    let topics = draw.distinct(turns, |draw| draw.below(TOPICS.len()));
    let mut chat = Chat::new();
    for at in &topics {
        let question = draw.pick(TOPICS[*at].side(draw.split)).clone();
        let question = if draw.split == Split::Train && draw.chance(20) { typed(&question, draw) } else { question };
        chat = chat.user(&question).assistant(&TOPICS[*at].answer);
    }
    chat.document(Kind::Talk, &TOPICS[topics[0]].id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_talks() {
        insta::assert_snapshot!(super::super::kinds::show(Kind::Talk, 1, Split::Train, 3));
    }
}
