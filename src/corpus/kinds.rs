//! The kinds of documents, one generator each.

use serde::{Deserialize, Serialize};

use super::document::Document;
use super::draw::{Draw, Split};
use super::{
    annals, copying, dialogue, glossary, letters, look_up, numbers, order, planted, preference, reading, sentiment,
    story, talk, tool,
};

/// What a document is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A short story, as plain text.
    Story,
    /// A story told when asked for, about a name that is given.
    Tale,
    /// Two people speak, as plain text.
    Dialogue,
    /// A conversation with the model about itself and what it can do.
    Talk,
    /// What a term of the course means.
    Glossary,
    /// Invented words that come a second time.
    Repeat,
    /// A text given back as it is.
    Copy,
    /// A word written several times.
    Times,
    /// One fact and one question about it.
    Fact,
    /// Pairs of words to be found from either side.
    LookUp,
    /// A text of several facts and questions about it.
    Reading,
    /// A question that the text does not answer.
    Silence,
    /// Letters or words in reverse order.
    Reverse,
    /// Words or numbers in order.
    Sort,
    /// Words in capitals.
    Upper,
    /// Words letter by letter.
    Spell,
    /// Words or letters counted.
    Count,
    /// Which of two is more.
    Compare,
    /// A sum, answered at once.
    Sum,
    /// A sum with working.
    SumWorking,
    /// A difference, answered at once.
    Minus,
    /// A difference with working.
    MinusWorking,
    /// A tool called and its result told.
    Tool,
    /// The mood of a sentence.
    Sentiment,
    /// Events of an invented land, year by year, as plain text: they end with a year.
    Annals,
    /// Questions about those events and about years after the end.
    Calendar,
    /// Facts of known frequency.
    Rare,
    /// Invented people with addresses, each a known number of times.
    Person,
    /// A good and a poor answer to one prompt.
    Preference,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 29] = [
        Self::Story,
        Self::Tale,
        Self::Dialogue,
        Self::Talk,
        Self::Glossary,
        Self::Repeat,
        Self::Copy,
        Self::Times,
        Self::Fact,
        Self::LookUp,
        Self::Reading,
        Self::Silence,
        Self::Reverse,
        Self::Sort,
        Self::Upper,
        Self::Spell,
        Self::Count,
        Self::Compare,
        Self::Sum,
        Self::SumWorking,
        Self::Minus,
        Self::MinusWorking,
        Self::Tool,
        Self::Sentiment,
        Self::Annals,
        Self::Calendar,
        Self::Rare,
        Self::Person,
        Self::Preference,
    ];

    /// Its name in recipes and tables, and what it holds, for the manifest.
    pub fn described(self) -> (&'static str, &'static str) {
        match self {
            Self::Story => ("story", "short stories with a want, an obstacle and an end"),
            Self::Tale => ("tale", "a story told when asked for, about a given name"),
            Self::Dialogue => ("dialogue", "two people speak about an errand"),
            Self::Talk => ("talk", "conversations with the model about itself and its limits"),
            Self::Glossary => ("glossary", "terms of the course, asked in many phrasings"),
            Self::Repeat => ("repeat", "a row of words that comes a second time"),
            Self::Copy => ("copy", "a text given back as it is"),
            Self::Times => ("times", "a word written several times"),
            Self::Fact => ("fact", "one fact, one question, in both directions"),
            Self::LookUp => ("look-up", "pairs of words found from either side, at growing distance"),
            Self::Reading => ("reading", "a text of several facts and questions about it"),
            Self::Silence => ("silence", "questions that the text does not answer"),
            Self::Reverse => ("reverse", "letters, words and spellings in reverse order"),
            Self::Sort => ("sort", "words and numbers put in order"),
            Self::Upper => ("upper", "words in capitals"),
            Self::Spell => ("spell", "words letter by letter"),
            Self::Count => ("count", "words and letters counted"),
            Self::Compare => ("compare", "the larger number, the longer word"),
            Self::Sum => ("sum", "sums without working"),
            Self::SumWorking => ("sum-working", "sums with working"),
            Self::Minus => ("minus", "differences without working"),
            Self::MinusWorking => ("minus-working", "differences with working"),
            Self::Tool => ("tool", "a tool called in JSON, and its result told"),
            Self::Sentiment => ("sentiment", "the mood of a sentence"),
            Self::Annals => ("annals", "events of an invented land, which end with a year"),
            Self::Calendar => ("calendar", "questions about those events and about later years"),
            Self::Rare => ("rare", "facts of known frequency"),
            Self::Person => ("person", "invented people with addresses, repeated a known number of times"),
            Self::Preference => ("preference", "a good and a poor answer to one prompt"),
        }
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        self.described().0
    }

    /// The kind of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// Makes document `number` of this kind. The same arguments give the same document on every machine.
    pub fn document(self, seed: u64, split: Split, number: u64) -> Document {
        let mut draw = Draw::new(seed, self.name(), split, number);
        let draw = &mut draw;
        match self {
            Self::Story => story::story(draw),
            Self::Tale => story::tale(draw),
            Self::Dialogue => dialogue::dialogue(draw),
            Self::Talk => talk::talk(draw),
            Self::Glossary => glossary::glossary(draw),
            Self::Repeat => copying::repeat(draw),
            Self::Copy => copying::copy(draw),
            Self::Times => copying::times(draw),
            Self::Fact => reading::fact(draw),
            Self::LookUp => look_up::look_up(draw),
            Self::Reading => reading::reading(draw),
            Self::Silence => reading::silence(draw),
            Self::Reverse => letters::reverse(draw),
            Self::Sort => order::sort(draw),
            Self::Upper => letters::upper(draw),
            Self::Spell => letters::spell(draw),
            Self::Count => letters::count(draw),
            Self::Compare => order::compare(draw),
            Self::Sum => numbers::sum(draw),
            Self::SumWorking => numbers::sum_working(draw),
            Self::Minus => numbers::minus(draw),
            Self::MinusWorking => numbers::minus_working(draw),
            Self::Tool => tool::tool(draw),
            Self::Sentiment => sentiment::sentiment(draw),
            Self::Annals => annals::annals(draw),
            Self::Calendar => annals::calendar(draw),
            Self::Rare => planted::rare_question(draw),
            Self::Person => planted::person_question(draw),
            Self::Preference => preference::preference(draw),
        }
    }
}

/// Documents for reading: `count` of a kind, one under the other.
pub fn show(kind: Kind, seed: u64, split: Split, count: u64) -> String {
    let shown: Vec<String> = (0..count).map(|number| kind.document(seed, split, number).show()).collect();
    shown.join("\n\n") + "\n"
}
