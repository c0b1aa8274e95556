//! The mood of a sentence: positive or negative, about a thing or a food, in sentences that share their frame.

use super::document::Document;
use super::draw::{Draw, Split};
use super::grammar::{Slots, expand};
use super::kinds::Kind;
use super::phrasing::ask;
use super::words::{WORDS, name};

const GOOD: [&str; 12] = [
    "I love this {o}.",
    "The {o} is [wonderful|lovely|great].",
    "What a [great|lovely|fine] {o}!",
    "This {o} made me smile.",
    "I am very happy with the {o}.",
    "The {o} works perfectly.",
    "This is the best {o} I have ever had.",
    "I would buy this {o} again.",
    "{n} was delighted with the {o}.",
    "Everyone at home likes the {o}.",
    "The {o} is better than I hoped.",
    "I am not sorry that I bought the {o}.",
];
const BAD: [&str; 12] = [
    "I hate this {o}.",
    "The {o} is [terrible|awful|useless].",
    "What a [bad|poor|nasty] {o}!",
    "This {o} made me sad.",
    "I am very angry about the {o}.",
    "The {o} does not work at all.",
    "This is the worst {o} I have ever had.",
    "I would never buy this {o} again.",
    "{n} was disappointed with the {o}.",
    "Nobody at home likes the {o}.",
    "The {o} is worse than I feared.",
    "I am sorry that I bought the {o}.",
];
const GOOD_HELD: [&str; 3] =
    ["I am delighted with this {o}.", "This {o} is the best.", "I like this {o} very much, it is lovely."];
const BAD_HELD: [&str; 3] =
    ["I am disappointed with this {o}.", "This {o} is the worst.", "I hate the {o}, it is useless."];

/// A sentence and its mood.
pub fn sentiment(draw: &mut Draw) -> Document {
    let good = draw.chance(50);
    let (things, name) = (draw.pick(&WORDS.things), name(draw));
    let slots = Slots::of([("o", things.as_str()), ("n", &name)]);
    let sentences: &[&str] = match (good, draw.split) {
        (true, Split::Train) => &GOOD,
        (true, Split::Held) => &GOOD_HELD,
        (false, Split::Train) => &BAD,
        (false, Split::Held) => &BAD_HELD,
    };
    let template = *draw.pick(sentences);
    let sentence = expand(template, &slots, draw);
    let question = ask("sentiment", &Slots::of([("s", &sentence)]), draw);
    let mood = if good { "positive" } else { "negative" };
    Document::asked(Kind::Sentiment, mood, &question, mood)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_moods() {
        insta::assert_snapshot!(super::super::kinds::show(Kind::Sentiment, 1, Split::Train, 3));
    }
}
