//! Faults of a story that rules can see: names that change, wants that are forgotten, loops, ends that are none.
//!
//! The rules are coarse on purpose. They find what small models do wrong most; whether a story is good, people say.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use super::super::story::BOOK;
use super::super::words::WORDS;

/// What is wrong with a story.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoryFault {
    /// Nobody is introduced by name.
    NoHero,
    /// This name stands in the text, but nobody was introduced by it.
    StrayName(String),
    /// The one whom the story is about is not in its second half.
    HeroLost(String),
    /// No want of a known kind.
    NoWant,
    /// A want, by its sign, that nothing settles.
    WantOpen(String),
    /// These six words come three times, or this sentence twice.
    Repeated(String),
    /// The last sentence has no end, or a quotation is open.
    Unfinished,
}

/// All faults of a story.
pub fn story_faults(text: &str) -> Vec<StoryFault> {
    let text = text.trim();
    let mut faults = Vec::new();
    name_faults(text, &mut faults);
    want_faults(text, &mut faults);
    if let Some(repeated) = repeated(text) {
        faults.push(StoryFault::Repeated(repeated));
    }
    if !text.ends_with(['.', '!', '?', '"']) || text.matches('"').count() % 2 == 1 {
        faults.push(StoryFault::Unfinished);
    }
    faults
}

/// Words of the text without marks; a possessive counts as its name.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphabetic() && c != '\'')
        .map(|word| word.trim_matches('\''))
        .map(|word| word.trim_end_matches("'s"))
}

/// All words that templates and lists have, in small letters.
static KNOWN: LazyLock<BTreeSet<String>> = LazyLock::new(|| {
    let book = include_str!("../../../model/corpus/stories.toml");
    let mut known: BTreeSet<String> = words(book).map(str::to_lowercase).collect();
    for list in [&WORDS.animals, &WORDS.weather] {
        known.extend(list.iter().flat_map(|entry| words(entry)).map(str::to_lowercase));
    }
    known.extend(["she", "her", "girl", "boy", "a", "an", "i"].map(String::from));
    known
});

fn name_faults(text: &str, faults: &mut Vec<StoryFault>) {
    let introduced: Vec<&str> = text
        .match_indices(" named ")
        .filter_map(|(at, mark)| words(&text[at + mark.len()..]).next())
        .filter(|name| name.starts_with(char::is_uppercase))
        .collect();
    let Some(hero) = introduced.first() else {
        faults.push(StoryFault::NoHero);
        return;
    };
    let stray = words(text).find(|word| {
        word.starts_with(char::is_uppercase) && !introduced.contains(word) && !KNOWN.contains(&word.to_lowercase())
    });
    if let Some(name) = stray {
        faults.push(StoryFault::StrayName(name.to_owned()));
    }
    let half = text.char_indices().map(|(at, _)| at).find(|at| *at >= text.len() / 2).unwrap_or_default();
    if !words(&text[half..]).any(|word| word == *hero) {
        faults.push(StoryFault::HeroLost((*hero).to_owned()));
    }
}

/// A want and what settles it, both as lists of signs.
struct Pair {
    want: Vec<String>,
    solved: Vec<String>,
}

/// The pairs of all plots; signs with slots are made for every entry of their set.
static PAIRS: LazyLock<Vec<Pair>> = LazyLock::new(|| {
    let mut pairs = Vec::new();
    for plot in &BOOK.plots {
        for filled in BOOK.fillings(plot) {
            let with = |signs: &[String]| signs.iter().map(|sign| filled(sign)).collect();
            pairs.push(Pair { want: with(&plot.want), solved: with(&plot.solved) });
        }
    }
    pairs
});

fn want_faults(text: &str, faults: &mut Vec<StoryFault>) {
    let mut open: Option<&str> = None;
    for pair in PAIRS.iter() {
        let Some((at, sign)) = pair.want.iter().filter_map(|sign| Some((text.find(sign)?, sign))).min() else {
            continue;
        };
        if pair.solved.iter().any(|sign| text[at..].contains(sign.as_str())) {
            return;
        }
        open = Some(sign);
    }
    faults.push(open.map_or(StoryFault::NoWant, |sign| StoryFault::WantOpen(sign.to_owned())));
}

fn repeated(text: &str) -> Option<String> {
    let all: Vec<&str> = words(text).filter(|word| !word.is_empty()).collect();
    let mut seen: Vec<&[&str]> = all.windows(6).collect();
    seen.sort_unstable();
    if let Some(three) = seen.windows(3).find(|w| w[0] == w[2]) {
        return Some(three[0].join(" "));
    }
    let mut sentences: Vec<&str> =
        text.split(['.', '!', '?']).map(str::trim).filter(|s| s.split(' ').count() > 4).collect();
    sentences.sort_unstable();
    sentences.windows(2).find(|w| w[0] == w[1]).map(|w| w[0].to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::super::document::END_OF_TEXT;
    use super::super::super::draw::Split;
    use super::super::super::kinds::Kind;
    use super::*;

    fn story(split: Split, number: u64) -> String {
        Kind::Story.document(21, split, number).text().replace(END_OF_TEXT, "")
    }

    #[test]
    fn the_generator_s_own_stories_have_no_fault() {
        for split in [Split::Train, Split::Held] {
            for number in 0..2_000 {
                let text = story(split, number);
                assert_eq!(story_faults(&text), [], "{text}");
            }
        }
    }

    /// The rules must see what they are for: the same stories, spoilt, are found.
    #[test]
    fn spoilt_stories_are_found() {
        let mut open = 0;
        for number in 0..300 {
            let text = story(Split::Held, number);
            let named = &text[text.find(" named ").expect("a hero") + 7..];
            let hero = words(named).next().expect("a name");
            let stray = text.replacen(&format!(" {hero} "), " Quastix ", 3).replacen(
                "named Quastix",
                &format!("named {hero}"),
                1,
            );
            if stray.contains("Quastix") {
                assert!(story_faults(&stray).contains(&StoryFault::StrayName("Quastix".into())), "{stray}");
            }
            let cut = &text[..text.len() / 2];
            open += usize::from(
                story_faults(cut).iter().any(|f| matches!(f, StoryFault::WantOpen(_) | StoryFault::NoWant)),
            );
        }
        assert!(open > 270, "{open} of 300 stories cut in half have an open want");
    }

    #[test]
    fn each_rule_has_its_fault() {
        let good = "Once there was a shy girl named Mia. One day the red ball was gone. Mia looked for it with Tom, \
                    a kind boy named Tom. There it was: the red ball! Mia was very happy.";
        assert_eq!(story_faults(good), []);
        let spoilt = |from: &str, to: &str| story_faults(&good.replace(from, to));
        assert_eq!(spoilt(" named ", " called "), [StoryFault::NoHero]);
        assert_eq!(spoilt("Mia looked", "Mira looked"), [StoryFault::StrayName("Mira".into())]);
        assert_eq!(spoilt("Mia was very happy", "Tom was very happy"), [StoryFault::HeroLost("Mia".into())]);
        assert_eq!(spoilt("the red ball was gone", "it rained"), [StoryFault::NoWant]);
        assert_eq!(spoilt("There it was: the red ball!", "They went home."), [StoryFault::WantOpen("was gone".into())]);
        assert_eq!(spoilt("was very happy.", "was very happy"), [StoryFault::Unfinished]);
        let sentence = " Mia was very happy that day.";
        let looped = format!("{good}{sentence}{sentence}");
        assert_eq!(story_faults(&looped), [StoryFault::Repeated("Mia was very happy that day".into())]);
    }
}
