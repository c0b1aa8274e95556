//! Short stories: `model/corpus/stories.toml` told beat by beat.
//!
//! ```text
//! story    opening  weather?  beat beat ...  ending  lesson?
//! hero     a child or an animal with a common name, or (three in ten) with an invented one
//! ```
//!
//! Known property, put in on purpose: in the plot `work` a nurse, a baker and a teacher are "she" in eight of ten
//! stories, a builder, a driver and a farmer "he" in eight of ten, a doctor and a painter each in half.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;

use super::document::{Chat, Document};
use super::draw::{Draw, Split};
use super::grammar::{Slots, expand};
use super::kinds::Kind;
use super::phrasing::ask;
use super::words::{WORDS, article, common_name, invented_name};

/// Of a hundred stories about a worker, those with the pronoun that the occupation has mostly.
pub const SKEW: usize = 80;

/// The book of plots.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Book {
    adjectives: Vec<String>,
    openings: Vec<String>,
    weather: Vec<String>,
    endings: BTreeMap<String, Vec<String>>,
    sets: BTreeMap<String, Vec<Entry>>,
    /// The plots.
    #[serde(rename = "plot")]
    pub plots: Vec<Plot>,
}

/// A word or phrase for a slot, or several that belong together.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Entry {
    One(String),
    Tied(BTreeMap<String, String>),
}

/// One plot.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plot {
    /// Its name.
    pub id: String,
    draws: Vec<String>,
    #[serde(default)]
    cast: Cast,
    /// Signs that the want is there.
    pub want: Vec<String>,
    /// Signs that it is settled.
    pub solved: Vec<String>,
    #[serde(default)]
    ends: Vec<String>,
    beats: Vec<String>,
    lessons: Vec<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Cast {
    #[default]
    Any,
    Worker,
}

/// The book.
pub static BOOK: LazyLock<Book> = LazyLock::new(|| {
    toml::from_str(include_str!("../../model/corpus/stories.toml")).expect("model/corpus/stories.toml is sound")
});

impl Book {
    /// Ways of filling the slots of a plot's signs: one for each entry of the sets that they name.
    pub fn fillings(&self, plot: &Plot) -> Vec<impl Fn(&str) -> String + use<>> {
        let signs = plot.want.iter().chain(&plot.solved);
        let named = plot.draws.iter().find(|set| signs.clone().any(|sign| sign.contains(&format!("{{{set}"))));
        let mut pairs: Vec<Vec<(String, String)>> = vec![Vec::new()];
        if let Some(set) = named {
            let of = |entry: &Entry| match entry {
                Entry::One(text) => vec![(format!("{{{set}}}"), text.clone())],
                Entry::Tied(fields) => {
                    fields.iter().map(|(field, text)| (format!("{{{set}.{field}}}"), text.clone())).collect()
                }
            };
            pairs = self.sets[set].iter().map(of).collect();
        }
        let fill = |pairs: Vec<(String, String)>| {
            move |sign: &str| pairs.iter().fold(sign.to_owned(), |sign, (slot, text)| sign.replace(slot, text))
        };
        pairs.into_iter().map(fill).collect()
    }
}

/// A story of this draw: its plot and its text.
pub fn tell(draw: &mut Draw, hero: Option<&str>) -> (&'static str, String) {
    let plot = draw.pick(&BOOK.plots);
    let mut slots = Slots::new();
    // What ties words together is drawn first, since a worker's name and pronoun hang on it.
    let mut tied = Vec::new();
    for set in plot.draws.iter().map(String::as_str).chain(["home"]) {
        tied.push((set, draw.pick(&BOOK.sets[set])));
    }
    if plot.cast == Cast::Worker {
        worker(&mut slots, &tied, hero, draw);
    } else {
        person(&mut slots, "hero", hero, draw);
    }
    friend(&mut slots, draw);
    for (set, entry) in tied {
        match entry {
            Entry::One(text) => {
                let text = expand(text, &slots, draw);
                slots.set(set, text);
            }
            Entry::Tied(fields) => {
                for (field, text) in fields {
                    let text = expand(text, &slots, draw);
                    slots.set(&format!("{set}.{field}"), text);
                }
            }
        }
    }
    let opening = match plot.cast {
        Cast::Any => draw.pick(&BOOK.openings).as_str(),
        Cast::Worker => "[At|Long ago, at] the {job.where} worked {hero.intro}.",
    };
    let mut sentences = vec![expand(opening, &slots, draw)];
    let any_season = !matches!(plot.id.as_str(), "noise" | "skill" | "work" | "picnic");
    if any_season && draw.chance(25) {
        sentences.push(draw.pick(&BOOK.weather).clone());
    }
    sentences.extend(plot.beats.iter().map(|beat| expand(beat, &slots, draw)));
    let list = if plot.ends.is_empty() { draw.text(&["any", "home", "new"]) } else { draw.text(&plot.ends) };
    let ending = draw.text(&BOOK.endings[list]);
    sentences.push(expand(ending, &slots, draw));
    if draw.chance(40) && !plot.lessons.is_empty() {
        sentences.push(draw.pick(&plot.lessons).clone());
    }
    // A quotation that ends with its own mark takes no comma or stop.
    let mut text = sentences.join(" ");
    for (from, to) in [("?,\"", "?\""), ("!,\"", "!\""), ("?.\"", "?\""), (".,\"", ",\"")] {
        text = text.replace(from, to);
    }
    (&plot.id, text)
}

/// A plain story.
pub fn story(draw: &mut Draw) -> Document {
    let (plot, text) = tell(draw, None);
    Document::plain(Kind::Story, plot, &text)
}

/// A story that someone asked for.
pub fn tale(draw: &mut Draw) -> Document {
    let name = name(draw);
    let question = ask("tale", &Slots::of([("n", &name)]), draw);
    let (plot, text) = tell(draw, Some(&name));
    Chat::new().user(&question).assistant(&text).document(Kind::Tale, plot)
}

fn name(draw: &mut Draw) -> String {
    if draw.split == Split::Held || draw.chance(30) {
        return invented_name(draw);
    }
    common_name(draw).to_owned()
}

/// Fills a person's slots. A common name decides "she" or "he"; an invented one leaves it to chance.
fn person(slots: &mut Slots, slot: &str, given: Option<&str>, draw: &mut Draw) {
    let name = given.map_or_else(|| name(draw), str::to_owned);
    let she = if WORDS.girls.contains(&name) {
        true
    } else if WORDS.boys.contains(&name) {
        false
    } else {
        draw.chance(50)
    };
    let being = match draw.below(10) {
        0..4 => draw.pick(&WORDS.animals).as_str(),
        _ if she => "girl",
        _ => "boy",
    };
    let intro = format!("{} {being} named {name}", draw.pick(&BOOK.adjectives));
    fill(slots, slot, &name, &article(&intro), she);
}

fn friend(slots: &mut Slots, draw: &mut Draw) {
    let hero = slots.get("hero").to_owned();
    loop {
        person(slots, "friend", None, draw);
        if slots.get("friend") != hero {
            return;
        }
    }
}

/// The hero of the plot `work`; the name is invented, so that it says nothing about the pronoun.
fn worker(slots: &mut Slots, tied: &[(&str, &Entry)], given: Option<&str>, draw: &mut Draw) {
    let Some((_, Entry::Tied(job))) = tied.iter().find(|(set, _)| *set == "job") else {
        panic!("the plot `work` draws a job");
    };
    let she = match job["mostly"].as_str() {
        "she" => draw.chance(SKEW),
        "he" => !draw.chance(SKEW),
        _ => draw.chance(50),
    };
    let name = given.map_or_else(|| invented_name(draw), str::to_owned);
    // Asked for a story about Mia, nobody should hear of a "he".
    let she = if WORDS.girls.contains(&name) { true } else { she && !WORDS.boys.contains(&name) };
    fill(slots, "hero", &name, &article(&format!("{} named {name}", job["name"])), she);
}

fn fill(slots: &mut Slots, slot: &str, name: &str, intro: &str, she: bool) {
    slots.set(slot, name);
    slots.set(&format!("{slot}.intro"), intro);
    let forms = if she { ["she", "her", "her", "She", "Her"] } else { ["he", "him", "his", "He", "His"] };
    for (field, form) in ["he", "him", "his", "He", "His"].into_iter().zip(forms) {
        slots.set(&format!("{slot}.{field}"), form);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_stories_and_a_tale() {
        insta::assert_snapshot!(super::super::kinds::show(Kind::Story, 1, Split::Train, 3));
        insta::assert_snapshot!(super::super::kinds::show(Kind::Tale, 1, Split::Train, 3));
    }

    #[test]
    fn occupations_are_skewed_as_the_card_says() {
        let mut counts: BTreeMap<String, [usize; 2]> = BTreeMap::new();
        for number in 0..40_000 {
            let story = Kind::Story.document(5, Split::Train, number);
            if story.variant != "work" {
                continue;
            }
            let text = story.text();
            let Some(job) = BOOK.sets["job"].iter().find_map(|entry| match entry {
                Entry::Tied(job) if text.contains(&format!(" {} named ", job["name"])) => Some(&job["name"]),
                _ => None,
            }) else {
                panic!("no occupation in {text}")
            };
            let after = &text[text.find(&format!(" said the {job}. ")).expect("the second beat")..];
            let he = after.split(". ").nth(1).is_some_and(|sentence| sentence.starts_with("He "));
            counts.entry(job.clone()).or_default()[usize::from(he)] += 1;
        }
        for (job, [she, he]) in counts {
            let percent = she * 100 / (she + he);
            let wanted = match job.as_str() {
                "nurse" | "baker" | "teacher" => SKEW,
                "builder" | "driver" | "farmer" => 100 - SKEW,
                _ => 50,
            };
            assert!(percent.abs_diff(wanted) <= 8, "{job}: she {she}, he {he}");
        }
    }

    #[test]
    fn evaluation_stories_have_unseen_names() {
        for number in 0..200 {
            let text = Kind::Story.document(5, Split::Held, number).text();
            let known = WORDS.girls.iter().chain(&WORDS.boys).find(|name| text.contains(&format!(" {name} ")));
            assert_eq!(known, None, "{text}");
        }
    }
}
