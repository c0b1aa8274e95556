//! Search: words over names, one-line definitions, the ways people ask, and bodies of terms and lessons.
//!
//! No index: all embedded text is about a megabyte, and one pass over it takes milliseconds. Words are compared by
//! stem; rare words weigh more; what shares more of the question's words comes first, most of all where a phrase that
//! people ask with, or the definition, shares them; a term whose name is asked for comes before everything else.

use super::block::Block;
use super::fold::{fold, fold_singular};
use super::glossary::TermFields;
use super::lesson::LessonHead;
use super::records::LicenceQuestion;
use super::stem::{stem, telling, words};
use super::{Hit, HitKind, Level, Library, Status, markdown};

/// Characters of an excerpt.
const EXCERPT: usize = 160;

/// What a word is worth by the place where it is found. Only the best place counts.
const TITLE: f64 = 10.0;
const ALIAS: f64 = 8.0;
const SHORT: f64 = 5.0;
const DESCRIBED: f64 = 4.0;
/// By the logarithm of its number in the body.
const BODY: f64 = 1.0;
/// What counts besides the best place.
const MORE_BODY: f64 = 0.2;
/// A longer body has more of everything by chance.
const BODY_WORDS: f64 = 250.0;
/// For what a phrase of "described" shares with the question, and for what the definition does.
const PHRASE: f64 = 8.0;
const DEFINITION: f64 = 5.6;
/// For a phrase that is the question, word by word.
const SAME_PHRASE: f64 = 100.0;
/// A lesson is about many things; the term is about the one.
const LESSON: f64 = 0.7;

/// Which hits are wanted.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Of this level.
    pub level: Option<Level>,
    /// Of a category whose name contains this; a lesson has none.
    pub category: String,
}

impl Filter {
    fn keeps(&self, document: &Document<'_>) -> bool {
        self.level.is_none_or(|level| level == document.level)
            && document.category.to_lowercase().contains(&self.category.to_lowercase())
    }
}

/// What is searched of a term or lesson.
struct Document<'a> {
    kind: HitKind,
    id: String,
    title: String,
    level: Level,
    category: String,
    names: Vec<String>,
    fields: Vec<(f64, Vec<String>)>,
    body: &'a str,
    file: usize,
    body_at: usize,
}

/// How well a document fits each of the wanted words.
struct Fit {
    weights: Vec<f64>,
}

/// Terms and lessons that match the words, best first.
pub(super) fn search(library: &Library, words: &str, limit: usize, filter: &Filter) -> Vec<Hit> {
    let wanted = telling(words);
    if wanted.is_empty() {
        return Vec::new();
    }
    let documents: Vec<Document<'_>> =
        documents(library).into_iter().filter(|document| filter.keeps(document)).collect();
    let fits: Vec<Fit> = documents.iter().map(|document| document.fit(&wanted)).collect();
    let rarity: Vec<f64> = (0..wanted.len())
        .map(|word| {
            let holding = fits.iter().filter(|fit| fit.weights[word] > 0.0).count();
            (1.0 + documents.len() as f64 / (1.0 + holding as f64)).ln()
        })
        .collect();
    let whole = (fold(words), fold_singular(words));
    let mut scored: Vec<(f64, &Document<'_>)> = documents
        .iter()
        .zip(&fits)
        .map(|(document, fit)| (document.score(fit, &wanted, &rarity) + document.name_bonus(&whole), document))
        .filter(|(score, _)| *score > 0.0)
        .collect();
    scored.sort_by(|(a, one), (b, other)| b.total_cmp(a).then_with(|| one.title.cmp(&other.title)));
    scored.into_iter().take(limit).map(|(score, document)| document.hit(library, &wanted, &rarity, score)).collect()
}

/// The place of the question that the words are most like; `None` if they share no word that says anything.
pub(super) fn best_question(questions: &[LicenceQuestion], words: &str) -> Option<usize> {
    let wanted = telling(words);
    let phrases: Vec<Vec<Vec<String>>> = questions
        .iter()
        .map(|question| [&question.ask].into_iter().chain(&question.described).map(|text| telling(text)).collect())
        .collect();
    let rarity: Vec<f64> = wanted
        .iter()
        .map(|stem| {
            let holding = phrases.iter().filter(|of_one| of_one.iter().any(|phrase| phrase.contains(stem))).count();
            (1.0 + phrases.len() as f64 / (1.0 + holding as f64)).ln()
        })
        .collect();
    let shared = |phrase: &Vec<String>| -> f64 {
        wanted.iter().zip(&rarity).filter(|(stem, _)| phrase.contains(stem)).map(|(_, rarity)| rarity).sum()
    };
    let score = |phrases: &Vec<Vec<String>>| {
        let likest =
            phrases.iter().map(|phrase| shared(phrase) / (1.0 + phrase.len() as f64).sqrt()).fold(0.0, f64::max);
        likest + shared(&phrases.concat())
    };
    let best = (0..).zip(phrases.iter().map(score)).max_by(|(at, a), (other, b)| a.total_cmp(b).then(other.cmp(at)))?;
    (best.1 > 0.0).then_some(best.0)
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
            level: head.level,
            category: head.category,
            fields: vec![
                (TITLE, vec![head.title.clone()]),
                (ALIAS, head.aliases),
                (SHORT, vec![head.short]),
                (DESCRIBED, fields.described),
            ],
            id: head.id,
            title: head.title,
            body: &index.file(fields.file).1[fields.body_at..],
            file: fields.file,
            body_at: fields.body_at,
        }
    });
    let lessons = (0..index.lesson_count()).filter_map(|number| {
        let (head, place) = LessonHead::decode(index.lesson(number));
        (head.status == Status::Ready).then(|| Document {
            kind: HitKind::Lesson,
            names: vec![fold(&head.id), fold(&head.title)],
            level: head.level,
            category: String::new(),
            fields: vec![
                (TITLE, vec![head.title.clone()]),
                (SHORT, vec![format!("After it you can {}.", head.outcomes.join("; "))]),
            ],
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
    /// One pass over all its words.
    fn fit(&self, wanted: &[String]) -> Fit {
        let mut best = vec![0.0_f64; wanted.len()];
        for (weight, texts) in &self.fields {
            for (_, word) in texts.iter().flat_map(|text| words(text)) {
                each_likeness(word, wanted, |at, likeness| best[at] = best[at].max(weight * likeness));
            }
        }
        let mut in_body = vec![0.0_f64; wanted.len()];
        let mut length = 0;
        for (_, word) in words(self.body) {
            length += 1;
            each_likeness(word, wanted, |at, likeness| in_body[at] += likeness);
        }
        let longer = (f64::from(length) / BODY_WORDS).max(1.0);
        let weight = |(best, in_body): (f64, f64)| {
            let in_body = (in_body / longer).ln_1p();
            best.max(BODY * in_body) + MORE_BODY * in_body
        };
        Fit { weights: best.into_iter().zip(in_body).map(weight).collect() }
    }

    /// Worth of the words found, by how much of the question they are; and what the likest phrase shares with it.
    fn score(&self, fit: &Fit, wanted: &[String], rarity: &[f64]) -> f64 {
        let sum: f64 = fit.weights.iter().zip(rarity).map(|(weight, rarity)| weight * rarity).sum();
        let coverage = fit.weights.iter().filter(|weight| **weight > 0.0).count() as f64 / wanted.len() as f64;
        let score = sum * coverage * coverage;
        if score == 0.0 {
            return 0.0;
        }
        match self.kind {
            HitKind::Term => score + self.phrase_bonus(wanted, rarity),
            HitKind::Lesson => LESSON * score,
        }
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

    /// A phrase that people ask with, or the definition, is worth what it shares with the question.
    fn phrase_bonus(&self, wanted: &[String], rarity: &[f64]) -> f64 {
        let shared = |phrase: &String, weight: f64| {
            let stems = telling(phrase);
            let common = wanted.iter().filter(|stem| stems.contains(stem)).count();
            let worth: f64 =
                wanted.iter().zip(rarity).filter(|(stem, _)| stems.contains(stem)).map(|(_, rarity)| rarity).sum();
            if common == wanted.len() && common == stems.len() {
                return SAME_PHRASE + worth;
            }
            weight * worth * common as f64 / (wanted.len() + stems.len() - common) as f64
        };
        let weight = |field: f64| [(DESCRIBED, PHRASE), (SHORT, DEFINITION)].iter().find(|(of, _)| *of == field);
        let bonus = |(field, texts): &(f64, Vec<String>)| {
            let weight = weight(*field)?.1;
            Some(texts.iter().map(|text| shared(text, weight)).fold(0.0, f64::max))
        };
        self.fields.iter().filter_map(bonus).fold(0.0, f64::max)
    }

    /// The excerpt is of the text that shows most of what matched: the definition if nothing else shows more.
    fn hit(&self, library: &Library, wanted: &[String], rarity: &[f64], score: f64) -> Hit {
        let shows = |text: &str| {
            let mut seen = vec![false; wanted.len()];
            words(text).for_each(|(_, word)| each_likeness(word, wanted, |at, _| seen[at] = true));
            seen.iter().zip(rarity).filter(|(seen, _)| **seen).map(|(_, rarity)| rarity).sum::<f64>()
        };
        let of =
            |wanted: f64| self.fields.iter().filter(move |(weight, _)| *weight == wanted).flat_map(|(_, texts)| texts);
        let short = of(SHORT).next().cloned().unwrap_or_default();
        let named = shows(&self.title).max(of(ALIAS).map(|alias| shows(alias)).fold(0.0, f64::max));
        let mut best = (named.max(shows(&short)), short.clone());
        for phrase in of(DESCRIBED) {
            let text = format!("{phrase}: {short}");
            if shows(&text) > best.0 {
                best = (shows(&text), text);
            }
        }
        if shows(self.body) > best.0 {
            let (_, text, _) = library.index().file(self.file);
            best.1 = Block::plain(&markdown::parse(text, self.body_at).blocks);
        }
        let excerpt = excerpt(&best.1, wanted);
        Hit { kind: self.kind, id: self.id.clone(), title: self.title.clone(), excerpt, score }
    }
}

/// Tells which wanted stems a word is like: 1 for a word of this stem, 0.5 for one that begins with it.
fn each_likeness(word: &str, wanted: &[String], mut tell: impl FnMut(usize, f64)) {
    // Most words are told apart by their first letter, without an allocation.
    let first = |text: &str| text.as_bytes().first().map(u8::to_ascii_lowercase);
    if word.is_ascii() && !wanted.iter().any(|stem| first(stem) == first(word)) {
        return;
    }
    let stem = stem(word);
    for (at, wanted) in wanted.iter().enumerate() {
        if stem == *wanted {
            tell(at, 1.0);
        } else if wanted.len() >= 3 && stem.starts_with(wanted.as_str()) {
            tell(at, 0.5);
        }
    }
}

/// At most [`EXCERPT`] characters around the first match, cut between words.
fn excerpt(text: &str, wanted: &[String]) -> String {
    let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let length = flat.chars().count();
    if length <= EXCERPT {
        return flat;
    }
    let is_match = |word: &str| {
        let mut is_like = false;
        each_likeness(word, wanted, |_, _| is_like = true);
        is_like
    };
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
    fn an_excerpt_is_short_and_holds_the_match() {
        let text = format!("{} needle {}", "hay ".repeat(200), "stack ".repeat(200));
        let cut = excerpt(&text, &telling("needles"));
        assert!(cut.chars().count() <= EXCERPT && cut.contains("needle"), "{cut}");
        assert!(cut.starts_with("… ") && cut.ends_with(" …"), "{cut}");
    }
}
