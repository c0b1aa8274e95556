//! Search: words over names, one-line definitions, the ways people ask, and bodies of terms and lessons.
//!
//! No index: all embedded text is about a megabyte, and one pass over it takes milliseconds. Words are compared by
//! stem (`quantised`, `quantization`), rare words weigh more, and a term whose name is asked for comes first.

use super::block::Block;
use super::fold::{fold, fold_singular, singular};
use super::glossary::TermFields;
use super::lesson::LessonHead;
use super::{Hit, HitKind, Library, Status, markdown};

/// Characters of an excerpt.
const EXCERPT: usize = 160;
/// Words that say nothing about what is sought.
const STOP_WORDS: [&str; 40] = [
    "a", "an", "and", "are", "as", "at", "be", "by", "can", "do", "does", "for", "from", "how", "i", "in", "is", "it",
    "its", "me", "my", "of", "on", "or", "that", "the", "their", "there", "this", "to", "what", "when", "where",
    "which", "who", "why", "will", "with", "you", "your",
];

/// What is searched of a term or lesson, with its weight for each word found there.
struct Document<'a> {
    kind: HitKind,
    id: String,
    title: String,
    names: Vec<String>,
    fields: Vec<(f64, Vec<String>)>,
    body: &'a str,
    file: usize,
    body_at: usize,
    summary: String,
}

const TITLE: f64 = 10.0;
const ALIAS: f64 = 8.0;
const SHORT: f64 = 5.0;
const DESCRIBED: f64 = 4.0;
const BODY: f64 = 1.0;
/// For the very words of a "described" phrase.
const PHRASE: f64 = 100.0;

/// Terms and lessons that match the words, best first.
pub(super) fn search(library: &Library, words: &str, limit: usize) -> Vec<Hit> {
    let wanted = query_stems(words);
    if wanted.is_empty() {
        return Vec::new();
    }
    let documents = documents(library);
    // For each document and word the greatest weight of a field that has it.
    let found: Vec<Vec<f64>> =
        documents.iter().map(|document| wanted.iter().map(|word| document.weight(word)).collect()).collect();
    let rarity: Vec<f64> = (0..wanted.len())
        .map(|word| {
            let holding = found.iter().filter(|weights| weights[word] > 0.0).count();
            (1.0 + documents.len() as f64 / (1.0 + holding as f64)).ln()
        })
        .collect();
    let whole = (fold(words), fold_singular(words));
    let mut scored: Vec<(f64, &Document<'_>)> = documents
        .iter()
        .zip(&found)
        .filter_map(|(document, weights)| {
            let sum: f64 = weights.iter().zip(&rarity).map(|(weight, rarity)| weight * rarity).sum();
            let coverage = weights.iter().filter(|weight| **weight > 0.0).count() as f64 / wanted.len() as f64;
            let score =
                sum * coverage * coverage + document.name_bonus(&whole) + document.phrase_bonus(&wanted, &rarity);
            (score > 0.0).then_some((score, document))
        })
        .collect();
    scored.sort_by(|(a, one), (b, other)| b.total_cmp(a).then_with(|| one.title.cmp(&other.title)));
    scored.into_iter().take(limit).map(|(score, document)| document.hit(library, &wanted, score)).collect()
}

fn documents(library: &Library) -> Vec<Document<'_>> {
    let index = library.index();
    let terms = (0..index.term_count()).map(|number| {
        let fields = TermFields::decode(index.term(number));
        let head = fields.head;
        let names = [&head.id, &head.title].into_iter().chain(&head.aliases).map(|name| fold(name)).collect();
        Document {
            kind: HitKind::Term,
            names,
            fields: vec![
                (TITLE, vec![head.title.clone()]),
                (ALIAS, head.aliases),
                (SHORT, vec![head.short.clone()]),
                (DESCRIBED, fields.described),
            ],
            id: head.id,
            title: head.title,
            body: &index.file(fields.file).1[fields.body_at..],
            file: fields.file,
            body_at: fields.body_at,
            summary: head.short,
        }
    });
    let lessons = (0..index.lesson_count()).filter_map(|number| {
        let (head, place) = LessonHead::decode(index.lesson(number));
        (head.status == Status::Ready).then(|| Document {
            kind: HitKind::Lesson,
            names: vec![fold(&head.id), fold(&head.title)],
            fields: vec![(TITLE, vec![head.title.clone()]), (SHORT, head.outcomes.clone())],
            summary: format!("After it you can {}.", head.outcomes.join("; ")),
            id: head.id,
            title: head.title,
            body: &index.file(place.file).1[place.body_at..],
            file: place.file,
            body_at: place.body_at,
        })
    });
    terms.chain(lessons).collect()
}

impl Document<'_> {
    /// The greatest weight of a field that has a word of this stem; more places in the body count a little more.
    fn weight(&self, wanted: &str) -> f64 {
        let in_fields = self.fields.iter().map(|(weight, texts)| {
            let best =
                texts.iter().flat_map(|text| words(text)).map(|(_, word)| likeness(word, wanted)).fold(0.0, f64::max);
            weight * best
        });
        let in_body: f64 = words(self.body).map(|(_, word)| likeness(word, wanted)).sum();
        in_fields.fold(0.0, f64::max).max(BODY * in_body.ln_1p()) + 0.2 * in_body.ln_1p()
    }

    /// The name itself was asked for.
    fn name_bonus(&self, (folded, singular): &(String, String)) -> f64 {
        let has = |wanted: &str| self.names.iter().any(|name| name == wanted);
        let begins = folded.len() >= 3 && self.names.iter().any(|name| name.starts_with(folded.as_str()));
        let bonus = if has(folded) || has(singular) {
            1000.0
        } else if begins {
            20.0
        } else {
            0.0
        };
        if self.kind == HitKind::Term { bonus } else { bonus / 2.0 }
    }

    /// A phrase of "described" is worth what it shares with the question: all if they are the same.
    fn phrase_bonus(&self, wanted: &[String], rarity: &[f64]) -> f64 {
        let Some((_, phrases)) = self.fields.iter().find(|(weight, _)| *weight == DESCRIBED) else { return 0.0 };
        let shared = |phrase: &String| {
            let stems = query_stems(phrase);
            let common = wanted.iter().filter(|stem| stems.contains(stem)).count();
            let sum: f64 =
                wanted.iter().zip(rarity).filter(|(stem, _)| stems.contains(stem)).map(|(_, rarity)| rarity).sum();
            if common == wanted.len() && common == stems.len() {
                return PHRASE + sum;
            }
            let likeness = common as f64 / (wanted.len() + stems.len() - common) as f64;
            2.0 * DESCRIBED * sum * likeness
        };
        phrases.iter().map(shared).fold(0.0, f64::max)
    }

    fn hit(&self, library: &Library, wanted: &[String], score: f64) -> Hit {
        let holds = |text: &str| words(text).any(|(_, word)| wanted.iter().any(|stem| likeness(word, stem) > 0.0));
        let is_named =
            self.fields.iter().any(|(weight, texts)| *weight >= SHORT && texts.iter().any(|text| holds(text)));
        let text = if is_named || !holds(self.body) {
            self.summary.clone()
        } else {
            let (_, text, _) = library.index().file(self.file);
            Block::plain(&markdown::parse(text, self.body_at).blocks)
        };
        Hit { kind: self.kind, id: self.id.clone(), title: self.title.clone(), excerpt: excerpt(&text, wanted), score }
    }
}

/// Words of a text with their places.
fn words(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let start = text.as_ptr() as usize;
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(move |word| (word.as_ptr() as usize - start, word))
}

/// 1 for a word of this stem, 0.5 for one that begins with it, else 0.
fn likeness(word: &str, wanted: &str) -> f64 {
    // Most words are told apart by their first letter, without an allocation.
    let first = |text: &str| text.as_bytes().first().map(u8::to_ascii_lowercase);
    if word.is_ascii() && first(word) != first(wanted) {
        return 0.0;
    }
    let stem = stem(word);
    if stem == wanted {
        1.0
    } else if wanted.len() >= 3 && stem.starts_with(wanted) {
        0.5
    } else {
        0.0
    }
}

/// A word in one spelling without its usual endings: `quantised`, `quantising`, `quantization` are one.
fn stem(word: &str) -> String {
    let folded = fold(word);
    let mut stem = singular(&folded);
    for ending in ["ation", "ing", "ed", "er", "e"] {
        if let Some(rest) = stem.strip_suffix(ending)
            && rest.len() >= 4
        {
            stem = rest;
            break;
        }
    }
    stem.to_owned()
}

fn query_stems(query: &str) -> Vec<String> {
    let all: Vec<&str> = words(query).map(|(_, word)| word).collect();
    let telling: Vec<&str> =
        all.iter().copied().filter(|word| !STOP_WORDS.contains(&word.to_lowercase().as_str())).collect();
    let mut stems: Vec<String> = if telling.is_empty() { all } else { telling }.into_iter().map(stem).collect();
    let mut known = Vec::new();
    stems.retain(|stem| {
        !known.contains(stem) && {
            known.push(stem.clone());
            true
        }
    });
    stems
}

/// At most [`EXCERPT`] characters around the first match, cut between words.
fn excerpt(text: &str, wanted: &[String]) -> String {
    let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let length = flat.chars().count();
    if length <= EXCERPT {
        return flat;
    }
    let is_match = |word: &str| wanted.iter().any(|stem| likeness(word, stem) > 0.0);
    let at = words(&flat).find(|(_, word)| is_match(word)).map_or(0, |(at, _)| flat[..at].chars().count());
    let room = EXCERPT - 4;
    let begin = at.saturating_sub(room / 3).min(length - room);
    let mut cut: Vec<&str> = Vec::new();
    let mut used = 0;
    let mut place = 0;
    for word in flat.split(' ') {
        let chars = word.chars().count();
        if place >= begin && used + chars <= room {
            cut.push(word);
            used += chars + 1;
        } else if place >= begin {
            break;
        }
        place += chars + 1;
    }
    let (before, after) = (if begin > 0 { "… " } else { "" }, if place < length { " …" } else { "" });
    format!("{before}{}{after}", cut.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_of_a_word_have_one_stem() {
        for word in ["quantised", "Quantizing", "quantization", "quantisation", "quantise"] {
            assert_eq!(stem(word), "quantiz");
        }
        assert_eq!((stem("loss"), stem("king"), stem("weights")), ("loss".into(), "king".into(), "weight".into()));
    }

    #[test]
    fn an_excerpt_is_short_and_holds_the_match() {
        let text = format!("{} needle {}", "hay ".repeat(200), "stack ".repeat(200));
        let cut = excerpt(&text, &["needl".into()]);
        assert!(cut.chars().count() <= EXCERPT && cut.contains("needle"), "{cut}");
        assert!(cut.starts_with("… ") && cut.ends_with(" …"), "{cut}");
    }

    #[test]
    fn stop_words_count_only_when_there_is_nothing_else() {
        assert_eq!(query_stems("What is the token?"), ["token"]);
        assert_eq!(query_stems("who is who"), ["who", "is"]);
    }
}
