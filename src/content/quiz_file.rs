//! Quiz files: TOML to questions, with every fault.

use super::LinkTarget;
use super::block::Inline;
use super::error::ContentErrorKind as Kind;
use super::fields::{At, Fault, Faults, Fields};
use super::fold::nearest;
use super::markdown::parse_inline;
use super::quiz::{Blank, Choice, Mistake, Question, QuestionKind, Quiz};
use super::source::is_kebab;

/// Choices of a question; more cannot be shown or chosen from.
const MAX_CHOICES: usize = 26;
const KINDS: [&str; 6] = ["single", "multiple", "true-false", "numeric", "order", "cloze"];

/// A quiz file read.
#[derive(Clone, Debug)]
pub(super) struct QuizFile {
    /// Complete if there are no faults.
    pub(super) quiz: Quiz,
    /// All faults within the file.
    pub(super) faults: Vec<Fault>,
    /// The lesson's id, with its place.
    pub(super) lesson: At<String>,
    /// Terms of questions.
    pub(super) terms: Vec<At<String>>,
    /// Sections of questions.
    pub(super) sections: Vec<At<String>>,
    /// Links in texts.
    pub(super) links: Vec<At<LinkTarget>>,
}

/// Reads a quiz file.
pub(super) fn parse(path: &str, text: &str) -> QuizFile {
    let faults = Faults::new(0);
    let mut fields = faults.table(text);
    let lesson = fields.text("lesson");
    let mut reader = Reader::default();
    let tables = fields.tables("question");
    if tables.is_empty() {
        fields.fault(0, Kind::Lacks { what: "question", remedy: "add a [[question]]" });
    }
    let mut questions: Vec<Question> = Vec::new();
    for table in tables {
        let at = table.at;
        let question = reader.question(table);
        if questions.iter().any(|other| other.id == question.id) {
            fields.fault(at, Kind::DuplicateId { what: "question", id: question.id.clone() });
        }
        questions.push(question);
    }
    fields.finish();
    let Reader { terms, sections, links } = reader;
    let quiz = Quiz { lesson: lesson.value.clone(), path: path.into(), questions };
    QuizFile { quiz, faults: faults.into_vec(), lesson, terms, sections, links }
}

#[derive(Default)]
struct Reader {
    terms: Vec<At<String>>,
    sections: Vec<At<String>>,
    links: Vec<At<LinkTarget>>,
}

impl Reader {
    fn question(&mut self, mut fields: Fields<'_, '_>) -> Question {
        let id = id(&mut fields);
        let ask_text = fields.text("ask");
        let ask = self.inline(&fields, &ask_text);
        let (term, section) = (fields.text_if_any("term"), fields.text_if_any("section"));
        self.terms.extend(term.clone());
        self.sections.extend(section.clone());
        let kind = fields.text("kind");
        let kind = match kind.value.as_str() {
            "single" | "multiple" => self.choice_question(&mut fields, &kind.value),
            "true-false" => self.true_false(&mut fields),
            "numeric" => self.numeric(&mut fields),
            "order" => QuestionKind::Order(self.choices(&mut fields, false)),
            "cloze" => self.cloze(&mut fields, &ask_text),
            value => {
                if !value.is_empty() {
                    let nearest = nearest(value, KINDS);
                    fields.fault(kind.at, Kind::UnknownValue { key: "kind".into(), value: value.into(), nearest });
                }
                // The rest cannot be judged without a kind.
                let question = Question { id, ask, term: None, section: None, kind: QuestionKind::Order(Vec::new()) };
                return question;
            }
        };
        fields.finish();
        Question { id, ask, term: term.map(|term| term.value), section: section.map(|section| section.value), kind }
    }

    fn choice_question(&mut self, fields: &mut Fields<'_, '_>, kind: &str) -> QuestionKind {
        let choices = self.choices(fields, true);
        let found = choices.iter().filter(|choice| choice.right).count();
        if kind == "single" {
            if found != 1 {
                fields.fault(fields.at, Kind::RightChoices { found, wanted: "exactly one" });
            }
            return QuestionKind::Single(choices);
        }
        if found == 0 {
            fields.fault(fields.at, Kind::RightChoices { found, wanted: "at least one" });
        }
        QuestionKind::Multiple(choices)
    }

    fn choices(&mut self, fields: &mut Fields<'_, '_>, has_right: bool) -> Vec<Choice> {
        let tables = fields.tables("choice");
        if tables.len() < 2 {
            fields.fault(
                fields.at,
                Kind::Lacks { what: "choice to make", remedy: "add at least two [[question.choice]]" },
            );
        }
        if tables.len() > MAX_CHOICES {
            fields.fault(fields.at, Kind::TooLarge { limit: MAX_CHOICES as u64, unit: "choices" });
            return Vec::new();
        }
        let mut choices: Vec<Choice> = Vec::new();
        for mut table in tables {
            let id = unique_id(&mut table, "choice", choices.iter().map(|choice| &*choice.id));
            let text = self.line(&mut table, "text");
            let right = has_right && table.flag("right").unwrap_or(false);
            let why = self.line(&mut table, "why");
            table.finish();
            choices.push(Choice { id, text, right, why });
        }
        choices
    }

    fn true_false(&mut self, fields: &mut Fields<'_, '_>) -> QuestionKind {
        let answer = fields.flag("answer").unwrap_or_else(|| {
            fields.missing("answer");
            false
        });
        QuestionKind::TrueFalse {
            answer,
            why_true: self.line(fields, "why_true"),
            why_false: self.line(fields, "why_false"),
        }
    }

    fn numeric(&mut self, fields: &mut Fields<'_, '_>) -> QuestionKind {
        let answer = fields.float("answer").map_or(0.0, |number| number.value);
        let tolerance = fields.float("tolerance").unwrap_or_default();
        if tolerance.value < 0.0 {
            fields.fault(tolerance.at, Kind::OutOfRange { key: "tolerance".into(), least: 0 });
        }
        let unit = fields.text_if_any("unit").map(|unit| unit.value);
        let why = self.line(fields, "why");
        let mut mistakes: Vec<Mistake> = Vec::new();
        for mut table in fields.tables("mistake") {
            let id = unique_id(&mut table, "mistake", mistakes.iter().map(|mistake| &*mistake.id));
            let value = table.float("value").map_or(0.0, |number| number.value);
            let why = self.line(&mut table, "why");
            table.finish();
            mistakes.push(Mistake { id, value, why });
        }
        QuestionKind::Numeric { answer, tolerance: tolerance.value, unit, why, mistakes }
    }

    fn cloze(&mut self, fields: &mut Fields<'_, '_>, ask: &At<String>) -> QuestionKind {
        let mut blanks: Vec<Blank> = Vec::new();
        for mut table in fields.tables("blank") {
            let at = table.at;
            let id = unique_id(&mut table, "blank", blanks.iter().map(|blank| &*blank.id));
            if ask.value.matches(&format!("{{{{{id}}}}}")).count() != 1 {
                table.fault(at, Kind::Blank { id: id.clone(), in_ask: false });
            }
            let accept: Vec<String> = table.texts("accept").into_iter().map(|text| text.value).collect();
            if accept.is_empty() {
                table.fault(at, Kind::Lacks { what: "right answer", remedy: "write at least one text in `accept`" });
            }
            let why = self.line(&mut table, "why");
            table.finish();
            blanks.push(Blank { id, accept, why });
        }
        let marks = ask.value.split("{{").skip(1).filter_map(|rest| rest.split_once("}}"));
        let mut marks: Vec<&str> = marks.map(|(id, _)| id).collect();
        marks.dedup();
        for id in &marks {
            if !blanks.iter().any(|blank| blank.id == *id) {
                fields.fault(ask.at, Kind::Blank { id: (*id).into(), in_ask: true });
            }
        }
        if marks.is_empty() && blanks.is_empty() {
            fields.fault(
                fields.at,
                Kind::Lacks { what: "blank", remedy: "write `{{ID}}` in `ask` and a [[question.blank]]" },
            );
        }
        // Answers come in the order in which the blanks are read.
        blanks.sort_by_key(|blank| ask.value.find(&format!("{{{{{}}}}}", blank.id)));
        QuestionKind::Cloze(blanks)
    }

    fn line(&mut self, fields: &mut Fields<'_, '_>, key: &'static str) -> Vec<Inline> {
        let text = fields.text(key);
        self.inline(fields, &text)
    }

    fn inline(&mut self, fields: &Fields<'_, '_>, text: &At<String>) -> Vec<Inline> {
        let (inlines, found) = parse_inline(&text.value);
        for fault in found.faults {
            fields.fault(text.at, fault.kind);
        }
        self.links.extend(found.links.into_iter().map(|link| At { value: link.value, at: text.at }));
        inlines
    }
}

fn id(fields: &mut Fields<'_, '_>) -> String {
    let id = fields.text("id");
    if !id.value.is_empty() && !is_kebab(&id.value) {
        fields.fault(id.at, Kind::NotKebab { id: id.value.clone() });
    }
    id.value
}

fn unique_id<'a>(fields: &mut Fields<'_, '_>, what: &'static str, mut known: impl Iterator<Item = &'a str>) -> String {
    let at = fields.at;
    let id = id(fields);
    if !id.is_empty() && known.any(|other| other == id) {
        fields.fault(at, Kind::DuplicateId { what, id: id.clone() });
    }
    id
}
