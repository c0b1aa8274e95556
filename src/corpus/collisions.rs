//! No two skills may be asked for in one way: a model can not know then which one is meant.

use std::collections::BTreeMap;

use super::draw::Split;
use super::glossary::TERMS;
use super::kinds::Kind;
use super::phrasing::PHRASINGS;
use super::reading::RELATIONS;

/// The fixed text of a template around its slots, for matching: `Who has {x}?` gives `Who has ` and `?`.
/// Templates of questions have no alternatives.
fn fixed_parts(template: &str) -> Vec<(String, Option<String>)> {
    let mut parts = Vec::new();
    let mut rest = template;
    while let Some(at) = rest.find('{') {
        let Some(close) = rest[at..].find('}') else { break };
        let slot = rest[at + 1..at + close].rsplit(' ').next().unwrap_or_default();
        parts.push((rest[..at].to_owned(), Some(slot.to_owned())));
        rest = &rest[at + close + 1..];
    }
    parts.push((rest.to_owned(), None));
    parts
}

/// What may stand in a slot.
fn fits(skill: &str, slot: &str, text: &str) -> bool {
    let number = || !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    match (skill, slot) {
        ("glossary", "a") => TERMS.iter().any(|term| term.with_article().eq_ignore_ascii_case(text)),
        ("glossary", "is") => matches!(text, "is" | "are"),
        ("glossary", _) => TERMS.iter().any(|term| term.name.eq_ignore_ascii_case(text)),
        ("sum" | "sum-working" | "minus" | "minus-working" | "compare-numbers" | "compare-small", _) => number(),
        ("times", "n") => number(),
        ("reading", _) => text.split(' ').count() <= 3,
        _ => !text.is_empty(),
    }
}

/// Whether a question is an instance of a template, whatever fills the slots.
fn matches(skill: &str, template: &str, question: &str) -> bool {
    fn rest(skill: &str, parts: &[(String, Option<String>)], text: &str) -> bool {
        let [(fixed, slot), after @ ..] = parts else { return text.is_empty() };
        let Some(text) = text.strip_prefix(fixed.as_str()) else { return false };
        let Some(slot) = slot else { return text.is_empty() };
        let ends = (1..=text.len()).filter(|end| text.is_char_boundary(*end));
        ends.into_iter().any(|end| fits(skill, slot, &text[..end]) && rest(skill, after, &text[end..]))
    }
    rest(skill, &fixed_parts(&template.to_lowercase()), &question.to_lowercase())
}

/// The skill that a document's question is for, by the name under which its phrasings stand.
fn skill(kind: Kind, variant: &str) -> String {
    match kind {
        Kind::Fact | Kind::Reading | Kind::Silence => "reading".into(),
        Kind::Reverse | Kind::Sort => format!("{}-{variant}", kind.name()),
        Kind::Count => format!("count-{variant}"),
        Kind::Compare => match variant {
            "larger" => "compare-numbers",
            "smaller" => "compare-small",
            _ => "compare-words",
        }
        .into(),
        Kind::Glossary if variant == "named" => "term".into(),
        _ => kind.name().into(),
    }
}

#[test]
fn no_question_could_be_meant_for_another_skill() {
    let mut templates: Vec<(&str, &str)> = Vec::new();
    for (skill, phrasings) in PHRASINGS.iter() {
        templates.extend(phrasings.train.iter().chain(&phrasings.held).map(|t| (skill.as_str(), t.as_str())));
    }
    for relation in RELATIONS.iter() {
        templates.extend(relation.by_name.iter().chain(&relation.by_value).map(|t| ("reading", t.as_str())));
    }
    let mut found: BTreeMap<String, String> = BTreeMap::new();
    let asked = Kind::ALL
        .into_iter()
        .filter(|kind| !matches!(kind, Kind::Tool | Kind::Preference | Kind::Person | Kind::Repeat));
    for kind in asked {
        for (split, number) in [Split::Train, Split::Held].into_iter().flat_map(|s| (0..300).map(move |n| (s, n))) {
            let document = kind.document(31, split, number);
            let own = skill(kind, &document.variant);
            let Some(question) = document.questions().into_iter().next() else { continue };
            let asked = question.prompt.trim_start_matches("<|im_start|>user\n ");
            let asked = asked.split("<|im_end|>").next().unwrap_or_default();
            for (other, template) in templates.iter().filter(|(other, _)| *other != own) {
                if matches(other, template, asked) {
                    found.insert(format!("{own} / {other}: {template}"), asked.to_owned());
                }
            }
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn a_template_matches_its_own_questions_alone() {
    assert!(matches("copy", "Copy: {w}", "copy: red kite"));
    assert!(!matches("glossary", "What is {a}?", "What is 3 + 4?"));
    assert!(matches("glossary", "What is {a}?", "what is a token?"));
    assert!(!matches("sum", "What is {x} + {y}?", "What is a + b?"));
}
