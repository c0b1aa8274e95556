//! `osai lessons` and `osai lesson ID`.

use std::io;

use serde_json::json;

use crate::content::{Level, Library, Reference};
use crate::text::SafeText;

use super::render::{Output, Page, Weight, Words};

/// Lists the lessons that are written, by level.
///
/// # Errors
/// Those of the streams.
pub fn lessons(is_json: bool, library: &Library, output: &mut Output<'_>) -> io::Result<u8> {
    if is_json {
        let list = library.lessons().iter().map(|head| {
            json!({
                "id": head.id,
                "slug": head.slug,
                "title": head.title,
                "level": head.level.key(),
                "order": head.order,
                "minutes": head.minutes,
                "outcomes": head.outcomes,
                "terms": head.terms,
                "prerequisites": head.prerequisites,
            })
        });
        output.json(&list.collect())?;
        return Ok(0);
    }
    let mut page = output.page();
    let mut is_first = true;
    for level in Level::ALL {
        let mut here = library.lessons().iter().filter(|head| head.level == level).peekable();
        if here.peek().is_none() {
            continue;
        }
        if !std::mem::take(&mut is_first) {
            page.gap();
        }
        page.line(level.name(), Weight::BOLD);
        for head in here {
            let mut words = Words::new(&head.title, Weight::PLAIN);
            words.push(&format!(" ({} min)", head.minutes), Weight::DIM);
            page.nested("  ", "  ", |page| page.labelled(&head.code(), &words, 5));
        }
    }
    output.show(page)?;
    Ok(0)
}

/// Shows a lesson, rendered or (`is_raw`) as written. Exit code 1 if there is none of that name.
///
/// # Errors
/// Those of the streams.
pub fn lesson(name: &str, is_raw: bool, library: &Library, output: &mut Output<'_>) -> io::Result<u8> {
    let Some(head) = library.find_lesson(name) else {
        output.complain(&no_lesson(name, library))?;
        return Ok(1);
    };
    let lesson = match library.lesson(&head.id) {
        Ok(lesson) => lesson,
        Err(faults) => {
            for fault in faults {
                writeln!(output.err, "{fault}")?;
            }
            return Ok(1);
        }
    };
    if is_raw {
        let raw = SafeText::new(lesson.raw);
        write!(output.out, "{raw}{}", if raw.as_str().ends_with('\n') { "" } else { "\n" })?;
        return Ok(0);
    }
    let mut page = output.page();
    page.words(&Words::new(&format!("{} {}", head.code(), head.title), Weight::BOLD));
    page.line(&format!("{} · {} minutes", head.level.name(), head.minutes), Weight::DIM);
    page.gap();
    page.words(&Words::new(&format!("Afterwards you can {}.", head.outcomes.join("; ")), Weight::PLAIN));
    page.gap();
    page.blocks(&lesson.blocks);
    if !head.sources.is_empty() {
        page.gap();
        write_sources(&head.sources, &mut page);
    }
    output.show(page)?;
    Ok(0)
}

fn no_lesson(name: &str, library: &Library) -> String {
    let wanted = name.trim().to_lowercase();
    let planned = library.all_lessons().iter().find(|head| head.id == wanted || head.slug == wanted);
    match planned {
        Some(head) => format!("lesson {} is not written yet; `osai lessons` lists those that are", head.code()),
        None => format!("no lesson `{name}`; `osai lessons` lists them"),
    }
}

/// Sources with the day on which they were checked.
pub(super) fn write_sources(sources: &[Reference], page: &mut Page) {
    page.line(if sources.len() == 1 { "Source" } else { "Sources" }, Weight::BOLD);
    for source in sources {
        let mut words = Words::new(&source.title, Weight::PLAIN);
        words.push(&format!(" <{}> (checked {})", source.url, source.checked), Weight::DIM);
        page.nested("- ", "  ", |page| page.words(&words));
    }
}

/// Sources as JSON.
pub(super) fn sources_json(sources: &[Reference]) -> serde_json::Value {
    let source = |one: &Reference| json!({"title": one.title, "url": one.url, "checked": one.checked});
    sources.iter().map(source).collect()
}
