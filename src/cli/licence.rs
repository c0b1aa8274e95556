//! `osai licence`: what the records say of a licence, how two differ, and "may we …?" with the clause that decides.

use std::io;

use serde_json::json;

use super::args::{LicenceArgs, LicenceCommand};
use super::records::{cell, sources, unverified};
use super::render::{Output, Page, Weight, Words};
use super::table;
use crate::content::records::{AnswerVerdict, Clause, Licence, LicenceAnswer, LicenceQuestion, Named, Records, Topic};

/// What stands below everything that is said of a licence.
const NO_ADVICE: &str = "Our summary, not legal advice: the text of the licence decides.";
/// At most so many words are taken as the name of one licence.
const NAME_WORDS: usize = 6;

/// Does one of them. Gives the exit code: 0 found, 1 not found.
///
/// # Errors
/// Those of the streams.
pub fn licence(args: &LicenceArgs, records: &Records, output: &mut Output<'_>) -> io::Result<u8> {
    match &args.command {
        LicenceCommand::List { kind, json } => list(kind.as_deref(), *json, records, output),
        LicenceCommand::Show { name, json } => show(&name.join(" "), *json, records, output),
        LicenceCommand::Diff { one, other, json } => diff(one, other, *json, records, output),
        LicenceCommand::Ask { words, json } => ask(words, *json, records, output),
    }
}

/// The licence of that name; where there is none, that is told.
fn find<'a>(name: &str, records: &'a Records, output: &mut Output<'_>) -> io::Result<Option<&'a Licence>> {
    let near = match records.licence(name) {
        Named::Found(licence) => return Ok(Some(licence)),
        Named::Near(ids) => ids,
    };
    // Whoever names a model means its licence.
    if let Some(found) = records.model(name)
        && let Named::Found(licence) = records.licence(&found.model.licence)
    {
        return Ok(Some(licence));
    }
    let nearest = super::records::did_you_mean(&near);
    let end = if nearest.is_empty() { "; `osai licence list` lists them" } else { "" };
    output.complain(&format!("no licence `{name}`{nearest}{end}"))?;
    Ok(None)
}

fn list(kind: Option<&str>, is_json: bool, records: &Records, output: &mut Output<'_>) -> io::Result<u8> {
    let wanted = kind.unwrap_or_default().to_lowercase();
    let licences: Vec<&Licence> =
        records.licences.iter().filter(|licence| licence.kind.key().contains(&wanted)).collect();
    if is_json {
        output.json(&json!(licences))?;
    } else if licences.is_empty() {
        output.complain(&format!("no licence of the kind `{wanted}`; `osai licence list` shows the kinds"))?;
    } else {
        let mut page = output.page();
        let room = licences.iter().map(|licence| licence.id.len()).max().unwrap_or(0) + 2;
        for licence in &licences {
            let mut words = Words::new(&licence.name, Weight::PLAIN);
            let osi = if licence.osi_approved { ", approved by the OSI" } else { "" };
            words.push(&format!(" ({}{osi})", licence.kind.key()), Weight::DIM);
            page.labelled(&licence.id, &words, room);
        }
        output.show(page)?;
    }
    Ok(u8::from(licences.is_empty()))
}

fn show(name: &str, is_json: bool, records: &Records, output: &mut Output<'_>) -> io::Result<u8> {
    let Some(licence) = find(name, records, output)? else { return Ok(1) };
    if is_json {
        output.json(&json!(licence))?;
        return Ok(0);
    }
    let mut page = output.page();
    write_head(licence, &mut page);
    page.gap();
    page.words(&Words::new(&licence.summary, Weight::PLAIN));
    let mut topics: Vec<Topic> = licence.clauses.iter().map(|clause| clause.topic).collect();
    topics.sort_unstable();
    topics.dedup();
    for topic in topics {
        page.gap();
        page.line(&topic_name(topic), Weight::BOLD);
        for clause in licence.clauses.iter().filter(|clause| clause.topic == topic) {
            let mut words = Words::new(&clause.says, Weight::PLAIN);
            let keys = clause.source.join(", ");
            let place = format!(" ({}, {}; {keys})", clause.effect.key(), section(clause));
            words.push(&place, Weight::DIM);
            page.nested("- ", "  ", |page| page.words(&words));
        }
    }
    unverified(&licence.unverified, &mut page);
    sources(&licence.sources, &mut page);
    page.gap();
    page.words(&Words::new(NO_ADVICE, Weight::DIM));
    output.show(page)?;
    Ok(0)
}

fn write_head(licence: &Licence, page: &mut Page) {
    let mut title = Words::new(&licence.name, Weight::BOLD);
    title.push(&format!(" ({})", licence.id), Weight::DIM);
    page.words(&title);
    let mut facts = vec![licence.steward.clone()];
    facts.extend(licence.version.as_ref().map(|version| format!("version {version}")));
    facts.extend(licence.date.clone());
    facts.push(licence.kind.key().into());
    facts.extend(licence.spdx.as_ref().map(|spdx| format!("SPDX {spdx}")));
    facts.push(if licence.osi_approved { "approved by the OSI" } else { "not approved by the OSI" }.into());
    page.words(&Words::new(&facts.join(" · "), Weight::DIM));
}

/// `Training others`.
fn topic_name(topic: Topic) -> String {
    let words = topic.key().replace('-', " ");
    words[..1].to_uppercase() + &words[1..]
}

/// `section 2`; what does not begin with a digit names itself.
fn section(clause: &Clause) -> String {
    let is_number = clause.section.starts_with(|c: char| c.is_ascii_digit());
    if is_number { format!("section {}", clause.section) } else { clause.section.clone() }
}

fn diff(one: &str, other: &str, is_json: bool, records: &Records, output: &mut Output<'_>) -> io::Result<u8> {
    let (Some(a), Some(b)) = (find(one, records, output)?, find(other, records, output)?) else { return Ok(1) };
    let difference = Difference::of(a, b);
    if is_json {
        output.json(&difference.json(a, b))?;
        return Ok(0);
    }
    let mut page = output.page();
    write_head(a, &mut page);
    write_head(b, &mut page);
    for (licence, clauses) in [(a, &difference.only_a), (b, &difference.only_b)] {
        if !clauses.is_empty() {
            page.gap();
            page.words(&Words::new(&format!("Only in {}", licence.id), Weight::BOLD));
        }
        for clause in clauses {
            let mut words = Words::new(&format!("{}: ", clause.id), Weight::BOLD);
            words.push(&clause.says, Weight::PLAIN);
            words.push(&format!(" ({}, {})", clause.effect.key(), section(clause)), Weight::DIM);
            page.nested("- ", "  ", |page| page.words(&words));
        }
    }
    if !difference.changed.is_empty() {
        page.gap();
        page.words(&Words::new("In both, with another effect", Weight::BOLD));
        let row = |(one, other): &(&Clause, &Clause)| {
            let side = |clause: &Clause| format!("{} ({}): {}", clause.effect.key(), section(clause), clause.says);
            vec![cell(&one.id), cell(&side(one)), cell(&side(other))]
        };
        let rows: Vec<_> = difference.changed.iter().map(row).collect();
        table::write(&[cell("Clause"), cell(&a.id), cell(&b.id)], &rows, &mut page);
    }
    if !difference.same.is_empty() {
        page.gap();
        page.words(&Words::new("In both, with the same effect", Weight::BOLD));
        page.words(&Words::new(&difference.same.join(", "), Weight::PLAIN));
    }
    let answers = differing_answers(a, b, records);
    if !answers.is_empty() {
        page.gap();
        page.words(&Words::new("Questions that they answer differently", Weight::BOLD));
        let row = |(question, one, other): &(&LicenceQuestion, AnswerVerdict, AnswerVerdict)| {
            vec![cell(&question.ask), cell(verdict(*one)), cell(verdict(*other))]
        };
        let rows: Vec<_> = answers.iter().map(row).collect();
        table::write(&[cell("Question"), cell(&a.id), cell(&b.id)], &rows, &mut page);
    }
    page.gap();
    page.words(&Words::new(NO_ADVICE, Weight::DIM));
    output.show(page)?;
    Ok(0)
}

/// How two licences differ, clause by clause.
struct Difference<'a> {
    only_a: Vec<&'a Clause>,
    only_b: Vec<&'a Clause>,
    /// In both, with another effect.
    changed: Vec<(&'a Clause, &'a Clause)>,
    /// Ids of clauses with the same effect in both.
    same: Vec<&'a str>,
}

impl<'a> Difference<'a> {
    fn of(a: &'a Licence, b: &'a Licence) -> Self {
        let only = |one: &'a Licence, other: &Licence| {
            one.clauses.iter().filter(|clause| other.clause(&clause.id).is_none()).collect()
        };
        let both = a.clauses.iter().filter_map(|clause| Some((clause, b.clause(&clause.id)?)));
        let (same, changed): (Vec<_>, Vec<_>) = both.partition(|(one, other)| one.effect == other.effect);
        let same = same.into_iter().map(|(one, _)| one.id.as_str()).collect();
        Self { only_a: only(a, b), only_b: only(b, a), changed, same }
    }

    fn json(&self, a: &Licence, b: &Licence) -> serde_json::Value {
        let changed: Vec<_> =
            self.changed.iter().map(|(one, other)| json!({"id": one.id, "a": one, "b": other})).collect();
        json!({
            "a": a.id,
            "b": b.id,
            "only_a": self.only_a,
            "only_b": self.only_b,
            "changed": changed,
            "same": self.same,
        })
    }
}

fn differing_answers<'a>(
    a: &Licence,
    b: &Licence,
    records: &'a Records,
) -> Vec<(&'a LicenceQuestion, AnswerVerdict, AnswerVerdict)> {
    let both = records
        .questions
        .iter()
        .filter_map(|question| Some((question, a.answer(&question.id)?.verdict, b.answer(&question.id)?.verdict)));
    both.filter(|(_, one, other)| one != other).collect()
}

/// The verdict as people say it.
fn verdict(verdict: AnswerVerdict) -> &'static str {
    match verdict {
        AnswerVerdict::Yes => "yes",
        AnswerVerdict::YesIf => "yes, if",
        AnswerVerdict::No => "no",
        AnswerVerdict::Unclear => "unclear",
        AnswerVerdict::Silent => "not said",
    }
}

fn ask(words: &[String], is_json: bool, records: &Records, output: &mut Output<'_>) -> io::Result<u8> {
    let (mut licences, question) = match split(words, records) {
        Ok(parts) => parts,
        Err(name) => return find(&name, records, output).map(|_| 1),
    };
    if question.is_empty() {
        return questions(is_json, records, output);
    }
    let Some(question) = records.question(&question) else {
        output.complain(&format!("no question like `{question}`; `osai licence ask` alone lists the questions"))?;
        return Ok(1);
    };
    let all = licences.is_empty();
    if all {
        licences = records.licences.iter().collect();
    }
    let answers: Vec<(&Licence, &LicenceAnswer)> =
        licences.into_iter().filter_map(|licence| Some((licence, licence.answer(&question.id)?))).collect();
    if is_json {
        let answer = |(licence, answer): &(&Licence, &LicenceAnswer)| {
            let clauses: Vec<&Clause> = answer.clauses.iter().filter_map(|id| licence.clause(id)).collect();
            json!({
                "licence": licence.id,
                "verdict": answer.verdict,
                "says": answer.says,
                "clauses": clauses,
            })
        };
        let answers: Vec<_> = answers.iter().map(answer).collect();
        output.json(&json!({"question": question.id, "ask": question.ask, "answers": answers}))?;
        return Ok(0);
    }
    let mut page = output.page();
    let mut title = Words::new(&question.ask, Weight::BOLD);
    title.push(&format!(" ({})", question.id), Weight::DIM);
    page.words(&title);
    if all {
        page.gap();
        let row = |(licence, answer): &(&Licence, &LicenceAnswer)| {
            vec![cell(&licence.id), cell(verdict(answer.verdict)), cell(&answer.says)]
        };
        let rows: Vec<_> = answers.iter().map(row).collect();
        table::write(&[cell("Licence"), cell("Answer"), cell("Why")], &rows, &mut page);
    } else {
        for (licence, answer) in &answers {
            page.gap();
            write_answer(licence, answer, &mut page);
        }
    }
    page.gap();
    page.words(&Words::new(NO_ADVICE, Weight::DIM));
    output.show(page)?;
    Ok(0)
}

/// The questions that can be asked.
fn questions(is_json: bool, records: &Records, output: &mut Output<'_>) -> io::Result<u8> {
    if is_json {
        output.json(&json!(records.questions))?;
        return Ok(0);
    }
    let mut page = output.page();
    let room = records.questions.iter().map(|question| question.id.len()).max().unwrap_or(0) + 2;
    for question in &records.questions {
        page.labelled(&question.id, &Words::new(&question.ask, Weight::PLAIN), room);
    }
    output.show(page)?;
    Ok(0)
}

fn write_answer(licence: &Licence, answer: &LicenceAnswer, page: &mut Page) {
    let mut words = Words::new(&licence.name, Weight::BOLD);
    words.push(&format!(": {}", verdict(answer.verdict)), Weight::BOLD);
    page.words(&words);
    page.nested("  ", "  ", |page| page.words(&Words::new(&answer.says, Weight::PLAIN)));
    for clause in answer.clauses.iter().filter_map(|id| licence.clause(id)) {
        let mut words = Words::new(&format!("{}, {}: ", clause.id, section(clause)), Weight::DIM);
        words.push(&clause.says, Weight::DIM);
        page.nested("  - ", "    ", |page| page.words(&words));
    }
}

/// The licences that the words begin with, and the question that is left. A name may be several words. Where the last
/// word is a question's id, all others must be licences: the one that is not is the error.
fn split<'a>(words: &[String], records: &'a Records) -> Result<(Vec<&'a Licence>, String), String> {
    let mut licences = Vec::new();
    let mut rest = words;
    while !rest.is_empty() {
        let longest = (1..=rest.len().min(NAME_WORDS)).rev().find_map(|count| {
            let name = rest[..count].join(" ");
            match records.licence(&name) {
                Named::Found(licence) => Some((count, licence)),
                Named::Near(_) => None,
            }
        });
        let Some((count, licence)) = longest else { break };
        licences.push(licence);
        rest = &rest[count..];
    }
    if let [unknown, .., last] = rest
        && records.questions.iter().any(|question| question.id == *last)
    {
        return Err(unknown.clone());
    }
    Ok((licences, rest.join(" ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::Library;

    /// Exit code, standard output and standard error.
    fn shown(command: LicenceCommand, width: usize) -> (u8, String, String) {
        let library = Library::embedded();
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let mut output = Output { out: &mut out, err: &mut err, width, colour: false };
        let code = licence(&LicenceArgs { command }, library.records(), &mut output).expect("memory takes all");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
        (code, text(out), text(err))
    }

    fn words(line: &str) -> Vec<String> {
        line.split(' ').map(str::to_owned).collect()
    }

    fn asked(line: &str) -> (u8, String, String) {
        shown(LicenceCommand::Ask { words: words(line), json: false }, 100)
    }

    #[test]
    fn a_licence_is_shown_with_sections_sources_and_days() {
        let (code, out, err) = shown(LicenceCommand::Show { name: words("apache 2.0"), json: false }, 100);
        assert_eq!((code, err.as_str()), (0, ""));
        for part in ["SPDX Apache-2.0", "\nPatent\n", "section 4(b)", "(checked 2026-", NO_ADVICE] {
            assert!(out.contains(part), "{part}: {out}");
        }
    }

    #[test]
    fn an_unknown_licence_names_the_nearest() {
        let (code, out, err) = shown(LicenceCommand::Show { name: words("apahce-2.0"), json: false }, 80);
        assert_eq!((code, out.as_str()), (1, ""));
        assert!(err.starts_with("osai: no licence `apahce-2.0`; did you mean `apache-2-0`"), "{err}");
    }

    #[test]
    fn two_licences_are_told_apart_clause_by_clause() {
        let (one, other) = ("llama-3-community".to_owned(), "llama-3-1-community".to_owned());
        let (code, out, _) = shown(LicenceCommand::Diff { one: one.clone(), other: other.clone(), json: true }, 80);
        let json: serde_json::Value = serde_json::from_str(&out).expect("JSON");
        assert_eq!((code, &json["a"], &json["b"]), (0, &one.as_str().into(), &other.as_str().into()));
        let ids = |list: &str| -> Vec<String> {
            let list = json[list].as_array().expect("a list");
            list.iter().map(|one| one["id"].as_str().unwrap_or(one.as_str().unwrap_or_default()).to_owned()).collect()
        };
        let count = ids("only_a").len() + ids("changed").len() + ids("same").len();
        let library = Library::embedded();
        let Named::Found(a) = library.records().licence("llama-3-community") else { panic!("it is there") };
        assert_eq!(count, a.clauses.len());
        let (_, out, _) = shown(LicenceCommand::Diff { one: one.clone(), other: one, json: false }, 80);
        assert!(!out.contains("Only in") && out.contains("In both, with the same effect"), "{out}");
    }

    #[test]
    fn a_question_is_answered_for_the_licences_that_are_named() {
        let (code, out, err) = asked("Apache 2.0 mit may we leave out the notices?");
        assert_eq!((code, err.as_str()), (0, ""));
        assert!(out.starts_with("May we leave out the licence text and the notices?\n(leave-out-the-notice)"), "{out}");
        assert!(out.contains("\nApache License 2.0: no\n") && out.contains("\nMIT License: no\n"), "{out}");
        assert!(out.contains("section 4"), "{out}");
    }

    #[test]
    fn without_a_licence_all_answer_in_a_table() {
        let (code, out, _) = asked("use-in-weapons");
        assert_eq!(code, 0);
        let library = Library::embedded();
        for licence in &library.records().licences {
            assert!(out.contains(&licence.id), "{}", licence.id);
        }
    }

    #[test]
    fn what_cannot_be_asked_says_what_can() {
        let library = Library::embedded();
        let list = shown(LicenceCommand::Ask { words: vec![], json: false }, 100);
        assert_eq!(list.0, 0);
        assert!(library.records().questions.iter().all(|question| list.1.contains(&question.id)), "{}", list.1);
        assert_eq!(asked("aapche-2-0 sell-a-product").0, 1);
        assert!(asked("aapche-2-0 sell-a-product").2.starts_with("osai: no licence `aapche-2-0`; did you mean"));
        assert_eq!(asked("zzzz").0, 1);
    }

    #[test]
    fn on_a_narrow_terminal_no_line_is_longer() {
        for command in [
            LicenceCommand::Show { name: words("mit"), json: false },
            LicenceCommand::Diff { one: "mit".into(), other: "apache-2-0".into(), json: false },
            LicenceCommand::Ask { words: words("sell-a-product"), json: false },
        ] {
            let out = shown(command, 40).1;
            let too_long = out.lines().find(|line| super::super::render::columns(line) > 40 && !line.contains("https"));
            assert_eq!(too_long, None);
        }
    }
}
