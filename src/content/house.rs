//! The house's rules for what we write ourselves: they make a text good, not readable by the program.
//!
//! `check` finds what is broken and keeps a pack from being opened; here is what an editor would mark.
//! Both count in `osai check` of our own content; of a pack, what is found here is told and refuses nothing.

use std::collections::{BTreeMap, BTreeSet};

use super::block::{Block, Inline, LinkTarget};
use super::check::{Course, Of};
use super::error::{ContentError, ContentErrorKind as Kind};
use super::front::{SourceFront, TermFront};
use super::index::ContentFile;
use super::words::{american, is_abbreviation, stated_fact};

/// Words of an entry's body.
const WORDS: [usize; 2] = [60, 250];
/// Words of a full entry's.
const FULL_WORDS: [usize; 2] = [250, 500];
/// Phrases in `described`.
const DESCRIBED: [usize; 2] = [2, 5];
/// Words that a sentence has at least to count as said twice.
const SENTENCE: usize = 6;
/// The entries that are written at length (issue 6).
const FULL: [&str; 40] = [
    "apache-license-2-0",
    "attention",
    "build-versus-buy",
    "chatgpt",
    "claude",
    "community-licence",
    "context-window",
    "diffusion-model",
    "eu-ai-act",
    "fine-tuning",
    "fully-open-model",
    "gemma",
    "gguf",
    "hallucination",
    "hugging-face-hub",
    "llama",
    "lora",
    "mau-threshold",
    "mistral",
    "mixtral",
    "mixture-of-experts",
    "model-card",
    "model-openness-framework",
    "open-api",
    "open-source-ai",
    "open-source-ai-definition",
    "open-weights",
    "openrail",
    "prompt-injection",
    "quantisation",
    "qwen",
    "retrieval-augmented-generation",
    "safetensors",
    "stable-diffusion",
    "temperature",
    "token",
    "tokenizer",
    "top-p-sampling",
    "transformer",
    "vendor-lock-in",
];

/// Entries whose figures are sums with assumed numbers, said to be such.
const WORKED: [&str; 3] = ["break-even-volume", "service-level-agreement", "total-cost-of-ownership"];

/// A text of ours: where it is looked for in its file, and its words.
struct Text<'a> {
    file: &'a ContentFile,
    at: usize,
    words: String,
    /// Headings may recur.
    is_heading: bool,
}

impl<'a> Text<'a> {
    fn line(file: &'a ContentFile, at: usize, words: &str) -> Self {
        Self { file, at, words: words.into(), is_heading: false }
    }

    fn of(file: &'a ContentFile, at: usize, inlines: &[Inline]) -> Self {
        Self { file, at, words: prose(inlines), is_heading: false }
    }

    /// Where a part of it stands in the file.
    fn place(&self, part: &str) -> usize {
        // What markdown changed cannot be found; then the beginning must do.
        self.file.text.get(self.at..).and_then(|rest| rest.find(part)).map_or(self.at, |found| self.at + found)
    }
}

/// Everything that breaks a rule of the house.
pub(super) fn faults(course: &Course<'_>) -> Vec<ContentError> {
    let mut house = House { course, faults: Vec::new() };
    house.relations();
    for term in &course.terms {
        house.term(term);
    }
    let texts = texts(course);
    house.spelling(&texts);
    house.abbreviations(&texts);
    house.repetitions(&texts);
    house.faults
}

/// Days of sources more than a year before `today` (`YYYY-MM-DD`).
pub(super) fn stale(course: &Course<'_>, today: &str) -> Vec<ContentError> {
    let Some((year, rest)) = today.split_once('-') else { return Vec::new() };
    let oldest = format!("{:04}-{rest}", year.parse::<u32>().unwrap_or(0).saturating_sub(1));
    let of_fronts = |file, sources: &'_ [SourceFront]| -> Vec<_> {
        sources.iter().map(|source| (file, source.checked.clone())).collect()
    };
    let terms = course.terms.iter().flat_map(|term| of_fronts(term.file, &term.front.sources));
    let lessons = course.lessons.iter().flat_map(|lesson| of_fronts(lesson.file, &lesson.front.sources));
    let records = course.records.days().map(|(file, day)| (file, day.clone()));
    terms
        .chain(lessons)
        .chain(records)
        .filter(|(_, day)| !day.value.is_empty() && day.value < oldest)
        .map(|(file, day)| ContentError::at(&file.path, &file.text, day.at, Kind::Stale { day: day.value }))
        .collect()
}

struct House<'a> {
    course: &'a Course<'a>,
    faults: Vec<ContentError>,
}

impl House<'_> {
    fn fault(&mut self, file: &ContentFile, at: usize, kind: Kind) {
        self.faults.push(ContentError::at(&file.path, &file.text, at, kind));
    }

    /// Who names a related term is named by it.
    fn relations(&mut self) {
        let related: BTreeMap<&str, BTreeSet<&str>> = self
            .course
            .terms
            .iter()
            .map(|term| (term.stem, term.front.related.iter().map(|id| id.value.as_str()).collect()))
            .collect();
        for term in &self.course.terms {
            for id in &term.front.related {
                // A name that nothing has is another fault.
                if related.get(id.value.as_str()).is_some_and(|back| !back.contains(term.stem)) {
                    self.fault(term.file, id.at, Kind::OneWay { id: id.value.clone(), term: term.stem.into() });
                }
            }
        }
    }

    fn term(&mut self, term: &Of<'_, TermFront>) {
        let front = &term.front;
        if front.id.value.is_empty() {
            return;
        }
        if front.lessons.is_empty() {
            let remedy = "name in `lessons` the one where the term is taught or used";
            self.fault(term.file, front.id.at, Kind::Lacks { what: "lesson", remedy });
        }
        self.count(term.file, front.id.at, "phrases in `described`", front.described.len(), DESCRIBED);
        let body = Block::plain(&term.body.blocks);
        let words = body.split_whitespace().filter(|word| word.contains(char::is_alphanumeric)).count();
        let limits = if FULL.contains(&term.stem) { FULL_WORDS } else { WORDS };
        self.count(term.file, term.body_at, "words in the text", words, limits);
        if front.sources.is_empty()
            && !WORKED.contains(&front.id.value.as_str())
            && let Some(fact) = stated_fact(&front.short.value).or_else(|| stated_fact(&body))
        {
            self.fault(term.file, front.id.at, Kind::NoSource { fact });
        }
    }

    fn count(&mut self, file: &ContentFile, at: usize, what: &'static str, found: usize, limits: [usize; 2]) {
        let [least, most] = limits;
        if !(least..=most).contains(&found) {
            self.fault(file, at, Kind::Count { what, found, least, most });
        }
    }

    /// A word that is the title of a term in this spelling is the field's name of the thing.
    fn spelling(&mut self, texts: &[Text<'_>]) {
        let titles: BTreeSet<String> =
            self.course.terms.iter().map(|term| term.front.title.value.to_lowercase()).collect();
        for text in texts {
            for (word, british) in american(&text.words) {
                if !titles.contains(word.strip_suffix('s').unwrap_or(&word)) {
                    self.fault(text.file, text.place(&word), Kind::American { word, british });
                }
            }
        }
    }

    /// Abbreviations that neither the glossary nor the text itself explains; each once a file.
    fn abbreviations(&mut self, texts: &[Text<'_>]) {
        let mut known = BTreeSet::new();
        let mut learn = |name: &str| known.extend(abbreviations(name).map(str::to_owned));
        for term in &self.course.terms {
            [&term.front.title].into_iter().chain(&term.front.aliases).for_each(|name| learn(&name.value));
        }
        self.course.records.names().for_each(learn);
        let mut expanded: BTreeSet<(&str, String)> = BTreeSet::new();
        for text in texts {
            expanded.extend(explained(&text.words).into_iter().map(|word| (text.file.path.as_str(), word)));
        }
        let mut told = BTreeSet::new();
        for text in texts {
            for word in abbreviations(&text.words) {
                let here = (text.file.path.as_str(), word.to_owned());
                if !known.contains(word) && !expanded.contains(&here) && told.insert(here) {
                    self.fault(text.file, text.place(word), Kind::Unexplained { word: word.into() });
                }
            }
        }
    }

    /// The same sentence in two entries, or in an entry and a record. Records may agree: they state the same facts.
    fn repetitions(&mut self, texts: &[Text<'_>]) {
        let is_record = |file: &ContentFile| file.path.starts_with("records/");
        let mut first: BTreeMap<String, &ContentFile> = BTreeMap::new();
        for text in texts.iter().filter(|text| !text.is_heading) {
            for sentence in sentences(&text.words) {
                let key: String = sentence.to_lowercase().split_whitespace().collect::<Vec<_>>().join(" ");
                match first.get(&key) {
                    Some(other) if other.path == text.file.path || (is_record(other) && is_record(text.file)) => {}
                    Some(other) => {
                        let beginning: String = sentence.chars().take(40).collect();
                        let other = other.path.clone();
                        self.fault(text.file, text.place(&beginning), Kind::SaidTwice { beginning, other });
                    }
                    None => drop(first.insert(key, text.file)),
                }
            }
        }
    }
}

/// All texts of our own: of entries, lessons and records, without code and addresses.
fn texts<'a>(course: &'a Course<'_>) -> Vec<Text<'a>> {
    let mut texts = Vec::new();
    for term in &course.terms {
        let front = &term.front;
        texts.push(Text::line(term.file, front.short.at, &front.short.value));
        let whys = front.confused_with.iter().map(|(_, why)| why).chain([&front.why]);
        texts.extend(whys.map(|why| Text::line(term.file, 0, why)));
        of_blocks(&term.body.blocks, term.file, term.body_at, &mut texts);
    }
    for lesson in &course.lessons {
        of_blocks(&lesson.body.blocks, lesson.file, lesson.body_at, &mut texts);
    }
    texts.extend(course.records.prose().map(|(file, text)| Text::line(file, text.at, &text.value)));
    texts
}

fn of_blocks<'a>(blocks: &[Block], file: &'a ContentFile, at: usize, texts: &mut Vec<Text<'a>>) {
    for block in blocks {
        match block {
            Block::Heading { text, .. } => texts.push(Text { is_heading: true, ..Text::of(file, at, text) }),
            Block::Paragraph(text) => texts.push(Text::of(file, at, text)),
            Block::Table { head, rows } => {
                let cells = head.iter().chain(rows.iter().flatten());
                texts.extend(cells.map(|cell| Text::of(file, at, cell)));
            }
            Block::Alert { blocks, .. } => of_blocks(blocks, file, at, texts),
            Block::List { items, .. } => items.iter().for_each(|item| of_blocks(&item.blocks, file, at, texts)),
            // What is quoted is not ours.
            Block::Quote(_) | Block::Code { .. } | Block::Diagram { .. } | Block::Lab { .. } | Block::Rule => {}
        }
    }
}

/// The words of a text; code and the names of pages stay out.
fn prose(inlines: &[Inline]) -> String {
    let mut out = String::new();
    for inline in inlines {
        match inline {
            Inline::Text(text) => out.push_str(text),
            Inline::Code(_) | Inline::Link { target: LinkTarget::Web(_), .. } => out.push('…'),
            Inline::Emphasis(inner) | Inline::Strong(inner) | Inline::Strikethrough(inner) => {
                out.push_str(&prose(inner));
            }
            Inline::Link { text, .. } => out.push_str(&prose(text)),
            Inline::SoftBreak | Inline::HardBreak => out.push(' '),
        }
    }
    out
}

fn abbreviations(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric())
        .map(|word| word.strip_suffix('s').unwrap_or(word))
        .filter(|word| is_abbreviation(word))
}

/// Abbreviations beside a bracket, on either side: `central processing unit (CPU)`, `CPU (the chip that ...)`.
fn explained(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (place, _) in text.match_indices('(') {
        let inside = text[place + 1..].split(')').next().unwrap_or_default();
        let before = text[..place].trim_end().rsplit(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
        found.extend(abbreviations(inside).chain(abbreviations(before)).map(str::to_owned));
    }
    found
}

/// Sentences of at least [`SENTENCE`] words.
fn sentences(text: &str) -> impl Iterator<Item = &str> {
    let ends = |pair: &str| [". ", "? ", "! ", ": "].contains(&pair);
    let mut starts: Vec<usize> = vec![0];
    starts.extend(text.char_indices().filter_map(|(at, _)| {
        let pair = text.get(at..at + 2)?;
        ends(pair).then_some(at + 2)
    }));
    let stops: Vec<usize> = starts.iter().skip(1).copied().chain([text.len()]).collect();
    starts
        .into_iter()
        .zip(stops)
        .map(|(start, stop)| text[start..stop].trim())
        .filter(|sentence| sentence.split_whitespace().count() >= SENTENCE)
}
