//! A question as numbered lines, and a typed line as an answer to it.

use crate::content::{Answer, Choice, Inline, Question, QuestionKind};
use crate::progress::shuffled;
use crate::text::SafeText;

/// A question as it is put once: with its choices in the order in which they are shown.
#[derive(Debug)]
pub struct Put<'a> {
    question: &'a Question,
    order: Vec<usize>,
}

impl<'a> Put<'a> {
    /// Puts a question; the attempt's id decides the order of the choices.
    pub fn new(question: &'a Question, attempt: &str) -> Self {
        let order = shuffled(choices(question).len(), attempt);
        Self { question, order }
    }

    /// What is asked, with numbered gaps where there are blanks.
    pub fn ask(&self) -> String {
        let mut ask = plain(&self.question.ask);
        if let QuestionKind::Cloze(blanks) = &self.question.kind {
            for (number, blank) in (1..).zip(blanks) {
                ask = ask.replace(&format!("{{{{{}}}}}", blank.id), &format!("___({number})"));
            }
        }
        ask
    }

    /// The choices in the order in which they are shown, to be numbered from 1.
    pub fn choices(&self) -> Vec<String> {
        match self.question.kind {
            QuestionKind::TrueFalse { .. } => vec!["True".to_owned(), "False".to_owned()],
            _ => self.order.iter().map(|&at| plain(&choices(self.question)[at].text)).collect(),
        }
    }

    /// What to type, once for each line that is wanted.
    pub fn prompts(&self) -> Vec<String> {
        match &self.question.kind {
            QuestionKind::Single(_) | QuestionKind::TrueFalse { .. } => vec!["number".to_owned()],
            QuestionKind::Multiple(_) => vec!["numbers of all that are right, or 0 for none".to_owned()],
            QuestionKind::Order(_) => vec!["all numbers in the right order".to_owned()],
            QuestionKind::Numeric { unit, .. } => {
                vec![unit.as_ref().map_or_else(|| "number".to_owned(), |unit| format!("number, in {}", safe(unit)))]
            }
            QuestionKind::Cloze(blanks) if blanks.len() == 1 => vec!["the missing word".to_owned()],
            QuestionKind::Cloze(blanks) => (1..=blanks.len()).map(|number| format!("gap {number}")).collect(),
        }
    }

    /// The answer that the typed lines give, one for each prompt.
    ///
    /// # Errors
    /// What to type instead.
    pub fn answer(&self, typed: &[String]) -> Result<Answer, String> {
        let line = typed.first().map_or("", |line| line.trim());
        match &self.question.kind {
            QuestionKind::Single(choices) => {
                let one = self.numbers(line).filter(|places| places.len() == 1);
                let places = one.ok_or_else(|| format!("type one number from 1 to {}", choices.len()))?;
                Ok(Answer::Choices(self.ids(&places)))
            }
            QuestionKind::Multiple(_) if line == "0" => Ok(Answer::Choices(Vec::new())),
            QuestionKind::Multiple(choices) => {
                let wanted = || format!("type numbers from 1 to {} with spaces between, or 0 for none", choices.len());
                Ok(Answer::Choices(self.ids(&self.numbers(line).ok_or_else(wanted)?)))
            }
            QuestionKind::Order(choices) => {
                let all = self.numbers(line).filter(|places| places.len() == choices.len());
                let places = all.ok_or_else(|| format!("type all {} numbers, each once", choices.len()))?;
                Ok(Answer::Choices(self.ids(&places)))
            }
            QuestionKind::TrueFalse { .. } => match &*line.to_lowercase() {
                "1" | "t" | "true" => Ok(Answer::TrueFalse(true)),
                "2" | "f" | "false" => Ok(Answer::TrueFalse(false)),
                _ => Err("type 1 for true or 2 for false".to_owned()),
            },
            QuestionKind::Numeric { unit, .. } => number(line, unit.as_deref())
                .map(Answer::Number)
                .ok_or_else(|| "type a number, such as 1250 or 0.5".to_owned()),
            QuestionKind::Cloze(_) => Ok(Answer::Blanks(typed.iter().map(|line| line.trim().to_owned()).collect())),
        }
    }

    /// Typed numbers as places in the shown order, from 0; `None` if one is none of them or comes twice.
    fn numbers(&self, line: &str) -> Option<Vec<usize>> {
        let mut places = Vec::new();
        for word in line.split([' ', ',', ';']).filter(|word| !word.is_empty()) {
            let place = word.parse::<usize>().ok()?.checked_sub(1)?;
            if place >= self.order.len() || places.contains(&place) {
                return None;
            }
            places.push(place);
        }
        (!places.is_empty()).then_some(places)
    }

    fn ids(&self, places: &[usize]) -> Vec<String> {
        places.iter().map(|&place| choices(self.question)[self.order[place]].id.clone()).collect()
    }
}

/// The choices that are shown shuffled. Authors write the right one first, so the order as written would tell.
fn choices(question: &Question) -> &[Choice] {
    match &question.kind {
        QuestionKind::Single(choices) | QuestionKind::Multiple(choices) | QuestionKind::Order(choices) => choices,
        QuestionKind::TrueFalse { .. } | QuestionKind::Numeric { .. } | QuestionKind::Cloze(_) => &[],
    }
}

/// A number as people type it: `45,600`, `1_000`, `-0.5`, `30 %`. A comma is for thousands only: `0,5` is not understood
/// rather than taken for 5.
fn number(line: &str, unit: Option<&str>) -> Option<f64> {
    let unit = unit.unwrap_or_default();
    let line = line.strip_suffix(unit).unwrap_or(line).trim_end().trim_end_matches('%').trim_end();
    let (whole, fraction) = line.split_at(line.find('.').unwrap_or(line.len()));
    let mut groups = whole.split([',', '_', ' ', '\u{a0}', '\u{202f}']);
    let first = groups.next().unwrap_or_default();
    let rest: Vec<&str> = groups.collect();
    let is_grouped = rest.iter().all(|group| group.len() == 3 && group.bytes().all(|b| b.is_ascii_digit()));
    if !rest.is_empty() && (!is_grouped || first.trim_start_matches(['-', '+']).is_empty()) {
        return None;
    }
    let text = [first, &rest.concat(), fraction].concat();
    text.parse::<f64>().ok().filter(|value| value.is_finite())
}

/// Inline text without markup but with the marks of code, whose edges may be spaces that matter.
pub fn plain(inlines: &[Inline]) -> String {
    let mut out = String::new();
    for inline in inlines {
        match inline {
            Inline::Text(text) => out.push_str(text),
            Inline::Code(code) => out.push_str(&format!("`{code}`")),
            Inline::Emphasis(inner) | Inline::Strong(inner) | Inline::Strikethrough(inner) => {
                out.push_str(&plain(inner));
            }
            Inline::Link { text, .. } => out.push_str(&plain(text)),
            Inline::SoftBreak | Inline::HardBreak => out.push(' '),
        }
    }
    safe(&out)
}

/// Text from outside on one line, safe to print.
pub fn safe(text: &str) -> String {
    SafeText::line(text).into_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(kind: QuestionKind) -> Question {
        Question { id: "q".into(), ask: vec![Inline::Text("Which?".into())], term: None, section: None, kind }
    }

    fn choice(id: &str) -> Choice {
        Choice { id: id.into(), text: vec![Inline::Code(format!(" {id}"))], right: false, why: Vec::new() }
    }

    fn typed(line: &str) -> Vec<String> {
        vec![line.to_owned()]
    }

    #[test]
    fn numbers_mean_the_choices_as_they_are_shown() {
        let question = question(QuestionKind::Order(vec![choice("a"), choice("b"), choice("c")]));
        let put = Put::new(&question, "7");
        let shown = put.choices();
        let Answer::Choices(ids) = put.answer(&typed("3, 1 2")).unwrap() else { panic!("choices") };
        let expected = [2, 0, 1].map(|at| shown[at].trim_matches(['`', ' ']).to_owned());
        assert_eq!(ids, expected);
        assert_eq!(put.answer(&typed("1 2")), Err("type all 3 numbers, each once".into()));
        assert_eq!(put.answer(&typed("1 2 2")), Err("type all 3 numbers, each once".into()));
    }

    #[test]
    fn code_keeps_its_marks_and_its_spaces() {
        let question = question(QuestionKind::Single(vec![choice("a")]));
        assert_eq!(Put::new(&question, "").choices(), ["` a`"]);
    }

    #[test]
    fn none_of_several_is_an_answer_but_nothing_is_not() {
        let question = question(QuestionKind::Multiple(vec![choice("a"), choice("b")]));
        let put = Put::new(&question, "");
        assert_eq!(put.answer(&typed("0")), Ok(Answer::Choices(Vec::new())));
        for line in ["", "3", "x", "1 1", "-1"] {
            assert_eq!(
                put.answer(&typed(line)),
                Err("type numbers from 1 to 2 with spaces between, or 0 for none".into())
            );
        }
    }

    #[test]
    fn numbers_are_understood_as_people_type_them() {
        for (line, expected) in [
            ("6", Some(6.0)),
            ("45,600", Some(45_600.0)),
            ("1 234 567.5", Some(1_234_567.5)),
            ("-0.5", Some(-0.5)),
            (".5", Some(0.5)),
            ("1e3", Some(1000.0)),
            ("37.5 %", Some(37.5)),
            ("12 portions", Some(12.0)),
            ("0,5", None),
            ("1,00", None),
            ("six", None),
            ("", None),
            ("inf", None),
            (",500", None),
        ] {
            assert_eq!(number(line, Some("portions")), expected, "{line}");
        }
    }

    #[test]
    fn gaps_are_numbered() {
        let blank = |id: &str| crate::content::Blank { id: id.into(), accept: vec![id.into()], why: Vec::new() };
        let mut question = question(QuestionKind::Cloze(vec![blank("one"), blank("two")]));
        question.ask = vec![Inline::Text("A {{one}} and a {{two}}.".into())];
        let put = Put::new(&question, "");
        assert_eq!(put.ask(), "A ___(1) and a ___(2).");
        assert_eq!(put.prompts(), ["gap 1", "gap 2"]);
        let lines = [" bit ".to_owned(), "byte".to_owned()];
        assert_eq!(put.answer(&lines), Ok(Answer::Blanks(vec!["bit".into(), "byte".into()])));
    }
}
