//! Records of models as text: what `osai model show` and `osai model list --known` print, and what licences share with them.

use serde_json::json;

use super::render::{Page, Weight, Words};
use super::table;
use crate::content::Inline;
use crate::content::records::{
    Assessment, Clause, Extent, Licence, MatchKind, Medium, Model, ModelMatch, MofClass, Named, OsaidVerdict, Records,
    Source,
};

/// Columns of the labels.
const LABEL: usize = 15;

/// `; did you mean …?`, or nothing.
pub fn did_you_mean(ids: &[&str]) -> String {
    let quoted: Vec<String> = ids.iter().map(|id| format!("`{id}`")).collect();
    match quoted.split_last() {
        None => String::new(),
        Some((last, [])) => format!("; did you mean {last}?"),
        Some((last, others)) => format!("; did you mean {} or {last}?", others.join(", ")),
    }
}

/// A cell of a table.
pub fn cell(text: &str) -> Vec<Inline> {
    vec![Inline::Text(text.into())]
}

/// What could not be found out.
pub fn unverified(sentences: &[String], page: &mut Page) {
    if sentences.is_empty() {
        return;
    }
    page.gap();
    page.line("Not verified", Weight::BOLD);
    for sentence in sentences {
        page.nested("- ", "  ", |page| page.words(&Words::new(sentence, Weight::PLAIN)));
    }
}

/// Sources with their keys and days.
pub fn sources(sources: &[Source], page: &mut Page) {
    page.gap();
    page.line("Sources", Weight::BOLD);
    for source in sources {
        let mut words = Words::new(&format!("{}: {}", source.key, source.title), Weight::PLAIN);
        words.push(&format!(" <{}> (checked {})", source.url, source.checked), Weight::DIM);
        page.nested("- ", "  ", |page| page.words(&words));
    }
}

/// How a record was found for a name, in a sentence.
pub fn how(found: &ModelMatch<'_>, name: &str) -> String {
    match found.kind {
        MatchKind::Name => format!("`{name}` is one of its names"),
        MatchKind::Repository => format!("`{}` is one of its repositories", found.name),
        MatchKind::Beginning => format!("`{name}` begins with its name `{}`", found.name),
    }
}

/// A record as JSON, with what it names of its licence.
pub fn json(model: &Model, records: &Records) -> serde_json::Value {
    let clauses: Vec<_> = clauses(model, records)
        .into_iter()
        .map(|(licence, clause)| json!({"licence": licence.id, "clause": clause}))
        .collect();
    let mut value = json!(model);
    value["clauses"] = json!(clauses);
    value
}

/// The clauses that matter, with their licences.
fn clauses<'a>(model: &Model, records: &'a Records) -> Vec<(&'a Licence, &'a Clause)> {
    let clause = |name: &crate::content::records::ClauseName| {
        let Named::Found(licence) = records.licence(&name.licence) else { return None };
        Some((licence, licence.clause(&name.id)?))
    };
    model.clauses.iter().filter_map(clause).collect()
}

/// Writes a model's record.
pub fn write(model: &Model, records: &Records, page: &mut Page) {
    let mut title = Words::new(&model.name, Weight::BOLD);
    title.push(&format!(" ({})", model.id), Weight::DIM);
    page.words(&title);
    page.words(&Words::new(&model.summary, Weight::PLAIN));
    page.gap();
    write_facts(model, records, page);
    if !model.sizes.is_empty() {
        page.gap();
        write_sizes(model, page);
    }
    page.gap();
    page.line("Published", Weight::BOLD);
    for part in &model.published {
        let mut words = Words::new(extent(part.is), Weight::BOLD);
        words.push(&format!(". {}", part.what), Weight::PLAIN);
        words.push(&format!(" ({})", part.source.join(", ")), Weight::DIM);
        page.labelled(&part.part.key().replace('_', " "), &words, LABEL);
    }
    page.gap();
    assessed("OSAID 1.0", osaid(model.osaid.verdict), &model.osaid, page);
    assessed("MOF", mof(model.mof.verdict), &model.mof, page);
    write_clauses(model, records, page);
    unverified(&model.unverified, page);
    sources(&model.sources, page);
}

fn write_facts(model: &Model, records: &Records, page: &mut Page) {
    let licence = match records.licence(&model.licence) {
        Named::Found(licence) => format!("{} (osai licence show {})", licence.name, licence.id),
        Named::Near(_) => model.licence.clone(),
    };
    let mut facts = vec![
        (if model.makers.len() == 1 { "Maker" } else { "Makers" }, model.makers.join(", ")),
        ("Released", model.released.clone()),
        ("Reads", media(&model.inputs)),
        ("Writes", media(&model.outputs)),
        ("Degree", model.degree.key().into()),
        ("Licence", licence),
    ];
    facts.extend(model.term.as_ref().map(|term| ("Term", format!("osai define {term}"))));
    facts.push(("Sources", model.source.join(", ")));
    for (name, value) in facts {
        page.labelled(name, &Words::new(&value, Weight::PLAIN), LABEL);
    }
}

fn write_sizes(model: &Model, page: &mut Page) {
    let rows: Vec<_> = model
        .sizes
        .iter()
        .map(|size| {
            let or_not = |number: Option<u64>| number.map_or("-".to_owned(), count);
            let active = size.active.map_or(String::new(), |active| format!(" ({} active)", count(active)));
            let licence = size.licence.as_ref().map_or(String::new(), |id| format!(", licence {id}"));
            vec![
                cell(&size.name),
                cell(&format!("{}{active}", or_not(size.parameters))),
                cell(&size.context.map_or("-".to_owned(), thousands)),
                cell(&format!("{}{licence}", size.repository.as_deref().unwrap_or("-"))),
            ]
        })
        .collect();
    table::write(&[cell("Size"), cell("Parameters"), cell("Context"), cell("On the Hub")], &rows, page);
}

fn write_clauses(model: &Model, records: &Records, page: &mut Page) {
    let clauses = clauses(model, records);
    if clauses.is_empty() {
        return;
    }
    page.gap();
    page.words(&Words::new("Clauses that matter (our summary, not legal advice)", Weight::BOLD));
    for (licence, clause) in clauses {
        let mut words = Words::new(&clause.says, Weight::PLAIN);
        let other = if licence.id == model.licence { String::new() } else { format!("{}, ", licence.id) };
        words.push(&format!(" ({other}{}, {})", clause.effect.key(), clause.section), Weight::DIM);
        page.nested("- ", "  ", |page| page.words(&words));
    }
}

fn assessed<T>(name: &str, verdict: &str, assessment: &Assessment<T>, page: &mut Page) {
    let mut words = Words::new(verdict, Weight::BOLD);
    words.push(&format!(", says {}. ", assessment.by), Weight::PLAIN);
    words.push(&assessment.reasons.join(" "), Weight::PLAIN);
    words.push(&format!(" ({})", assessment.source.join(", ")), Weight::DIM);
    page.labelled(name, &words, LABEL);
}

fn osaid(verdict: OsaidVerdict) -> &'static str {
    match verdict {
        OsaidVerdict::Meets => "Meets it",
        OsaidVerdict::DoesNotMeet => "Does not meet it",
        OsaidVerdict::Open => "Cannot be said",
    }
}

fn mof(class: MofClass) -> &'static str {
    match class {
        MofClass::First => "Class I, open science model",
        MofClass::Second => "Class II, open tooling model",
        MofClass::Third => "Class III, open model",
        MofClass::None => "No class",
        MofClass::Open => "Cannot be said",
    }
}

fn extent(extent: Extent) -> &'static str {
    match extent {
        Extent::Yes => "Yes",
        Extent::Partly => "Partly",
        Extent::No => "No",
        Extent::Unverified => "Unverified",
    }
}

fn media(media: &[Medium]) -> String {
    media.iter().map(|medium| medium.key()).collect::<Vec<_>>().join(", ")
}

/// `8.03 billion`.
pub fn count(number: u64) -> String {
    match number {
        0..1_000_000 => thousands(number),
        1_000_000..1_000_000_000 => format!("{} million", short(number as f64 / 1e6)),
        _ => format!("{} billion", short(number as f64 / 1e9)),
    }
}

/// Three digits that matter, no zeros behind the point.
fn short(number: f64) -> String {
    let digits = if number < 10.0 { 2 } else { usize::from(number < 100.0) };
    let text = format!("{number:.digits$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// `131,072`.
fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::Library;

    #[test]
    fn numbers_are_short_and_true() {
        assert_eq!(
            [8_030_261_248, 405_853_388_800, 134_515_008, 70_000_000_000, 0].map(count),
            ["8.03 billion", "406 billion", "135 million", "70 billion", "0"]
        );
        assert_eq!([131_072, 512].map(thousands), ["131,072", "512"]);
    }

    #[test]
    fn every_record_is_shown_on_any_terminal() {
        let library = Library::embedded();
        let records = library.records();
        assert!(!records.models.is_empty());
        for model in &records.models {
            for width in [24, 80, 200] {
                let mut page = Page::new(width, false);
                write(model, records, &mut page);
                let text = page.into_text();
                assert!(text.contains(&model.name) || width == 24, "{text}");
                let fits = |line: &str| super::super::render::columns(line) <= width || line.contains("https://");
                assert!(text.lines().all(fits), "{}: {text}", model.id);
            }
        }
    }
}
