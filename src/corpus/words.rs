//! The vocabulary of the generators: word lists, invented names, and the wall between seen and held-out ones.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use serde::Deserialize;

use super::draw::{Draw, Split};

/// Word lists, in British spelling. All are in `model/corpus/words.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Words {
    /// Names of girls and women.
    pub girls: Vec<String>,
    /// Names of boys and men.
    pub boys: Vec<String>,
    /// Animals of stories.
    pub animals: Vec<String>,
    /// Colours.
    pub colours: Vec<String>,
    /// Other adjectives that fit any thing.
    pub qualities: Vec<String>,
    /// Things one can hold, singular.
    pub things: Vec<String>,
    /// Foods, plural or uncountable.
    pub foods: Vec<String>,
    /// Occupations.
    pub jobs: Vec<String>,
    /// Places, used with "the".
    pub places: Vec<String>,
    /// Sentences about the weather and the hour, for filling.
    pub weather: Vec<String>,
    /// Short function words, for gaps.
    pub fillers: Vec<String>,
}

/// The lists.
pub static WORDS: LazyLock<Words> = LazyLock::new(|| {
    toml::from_str(include_str!("../../model/corpus/words.toml")).expect("model/corpus/words.toml is sound")
});

/// All single words of the lists that tasks on letters and order may use, sorted, without doubles.
pub static PLAIN: LazyLock<Vec<&'static str>> = LazyLock::new(|| {
    let lists = [&WORDS.animals, &WORDS.colours, &WORDS.qualities, &WORDS.things, &WORDS.foods, &WORDS.jobs];
    let mut plain: Vec<&str> = lists.into_iter().flatten().chain(&WORDS.places).map(String::as_str).collect();
    plain.retain(|word| word.bytes().all(|b| b.is_ascii_lowercase()));
    plain.sort_unstable();
    plain.dedup();
    plain
});

/// Whether a spelling is held out: a tenth of all spellings, by their FNV-1a hash.
pub fn is_held(spelling: &str) -> bool {
    let fold = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    // The low bits of FNV are weak for short texts; the upper half is not.
    (spelling.bytes().fold(0xcbf2_9ce4_8422_2325, fold) >> 32).is_multiple_of(10)
}

const ONSETS: &[&str] = &[
    "b", "br", "c", "ch", "d", "dr", "f", "fl", "g", "gr", "h", "j", "k", "kl", "l", "m", "n", "p", "pl", "r", "s",
    "sh", "st", "t", "tr", "v", "w", "y", "z",
];
const VOWELS: &[&str] = &["a", "e", "i", "o", "u", "ai", "ee", "oo", "ou", "ia"];
const ENDINGS: &[&str] = &["n", "r", "l", "s", "m", "t", "k", "x", "nd", "rt", "sh", ""];
/// Letters that no invented word may contain, because someone would read something else.
const REFUSED: &[&str] = &[
    "shit", "tit", "cun", "coon", "fag", "nig", "dik", "pee", "poo", "pis", "sex", "ass", "rap", "kok", "jap", "gook",
    "slut", "hor", "cum", "naz", "dum", "chink", "fart", "fat", "bum", "god", "alla", "jes", "hit", "kil", "die",
    "dead", "lesb", "gay", "jew", "slave",
];
/// Words of the generators' own text, in small letters, which no invented word may be.
static USED: LazyLock<BTreeSet<String>> = LazyLock::new(|| {
    let files = [
        include_str!("../../model/corpus/dialogues.toml"),
        include_str!("../../model/corpus/glossary.toml"),
        include_str!("../../model/corpus/phrasings.toml"),
        include_str!("../../model/corpus/reading.toml"),
        include_str!("../../model/corpus/stories.toml"),
        include_str!("../../model/corpus/talk.toml"),
        include_str!("../../model/corpus/words.toml"),
    ];
    let words = files.into_iter().flat_map(|text| text.split(|c: char| !c.is_ascii_alphabetic()));
    let numbers = ["one", "two", "three", "four", "five", "six", "seven", "ten", "won", "rain", "room", "told"];
    words.chain(numbers).map(str::to_ascii_lowercase).collect()
});

/// An invented word of one to three syllables, small letters, of this document's side.
pub fn invented(draw: &mut Draw) -> String {
    let one = |draw: &mut Draw| {
        let syllables = 1 + usize::from(draw.chance(75));
        let mut word = String::new();
        for _ in 0..syllables {
            word += draw.text(ONSETS);
            word += draw.text(VOWELS);
        }
        word + draw.text(ENDINGS)
    };
    loop {
        let word = draw.on_side(one, String::clone);
        if word.len() > 2 && !USED.contains(&word) && !REFUSED.iter().any(|part| word.contains(part)) {
            return word;
        }
    }
}

/// An invented name with a capital.
pub fn invented_name(draw: &mut Draw) -> String {
    capital(&invented(draw))
}

/// A common first name.
pub fn common_name(draw: &mut Draw) -> &'static str {
    let names = if draw.chance(50) { &WORDS.girls } else { &WORDS.boys };
    draw.text(names)
}

/// A name: four in ten of them common ones in training, always a held-out invented one for evaluation.
pub fn name(draw: &mut Draw) -> String {
    if draw.split == Split::Train && draw.chance(40) {
        return common_name(draw).to_owned();
    }
    invented_name(draw)
}

/// A thing with an adjective ("red kite"); the pair is of this document's side.
pub fn thing(draw: &mut Draw) -> String {
    let one = |draw: &mut Draw| {
        let adjectives = if draw.chance(50) { &WORDS.colours } else { &WORDS.qualities };
        format!("{} {}", draw.pick(adjectives), draw.pick(&WORDS.things))
    };
    draw.on_side(one, String::clone)
}

/// The text with a capital at its start.
pub fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

/// The text with "a" or "an" before it, by its first letter; no list here has a word that sounds otherwise.
pub fn article(text: &str) -> String {
    let vowel = text.starts_with(['a', 'e', 'i', 'o', 'u', 'A', 'E', 'I', 'O', 'U']);
    format!("{} {text}", if vowel { "an" } else { "a" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invented_words_stay_on_their_side() {
        let mut train = Draw::new(1, "test", Split::Train, 0);
        let mut held = Draw::new(1, "test", Split::Held, 0);
        let seen: Vec<String> = (0..5_000).map(|_| invented(&mut train)).collect();
        for _ in 0..500 {
            let word = invented(&mut held);
            assert!(!seen.contains(&word), "{word} is on both sides");
        }
    }

    #[test]
    fn a_tenth_of_all_pairs_is_held_out() {
        let mut held = 0;
        let mut all = 0;
        for adjective in WORDS.colours.iter().chain(&WORDS.qualities) {
            for thing in &WORDS.things {
                all += 1;
                held += usize::from(is_held(&format!("{adjective} {thing}")));
            }
        }
        assert!((8..=12).contains(&(held * 100 / all)), "{held} of {all}");
    }

    #[test]
    fn no_list_has_a_word_twice() {
        let w = &*WORDS;
        for list in [&w.girls, &w.boys, &w.animals, &w.colours, &w.qualities, &w.things, &w.foods, &w.jobs, &w.places] {
            let mut sorted = list.clone();
            sorted.sort();
            sorted.dedup();
            assert_eq!(sorted.len(), list.len(), "{list:?}");
        }
    }

    #[test]
    fn articles_go_by_the_first_letter() {
        assert_eq!((article("old key").as_str(), article("kite").as_str()), ("an old key", "a kite"));
    }
}
