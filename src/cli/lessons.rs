//! `osai lessons` and `osai lesson ID`.

use std::io;

use serde_json::json;

use crate::content::{Level, Library, Reference};
use crate::text::SafeText;

use super::render::{Line, Output, Weight, lines, plain_words, wrap};

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
    let mut page = Vec::new();
    for level in Level::ALL {
        let mut here = library.lessons().iter().filter(|head| head.level == level).peekable();
        if here.peek().is_none() {
            continue;
        }
        if !page.is_empty() {
            page.push(Line::default());
        }
        page.push(Line::new(level.name(), Weight::BOLD));
        for head in here {
            let mut line = Line::new(&format!("  {:<4} {}", head.code(), head.title), Weight::PLAIN);
            line.push(&format!("  {} min", head.minutes), Weight::DIM);
            page.push(line);
        }
    }
    output.lines(&page)?;
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
    let width = output.prose();
    let mut page = vec![Line::new(&format!("{}  {}", head.code(), head.title), Weight::BOLD)];
    page.push(Line::new(&format!("{} · {} minutes", head.level.name(), head.minutes), Weight::DIM));
    page.push(Line::default());
    page.extend(wrap(&plain_words(&format!("Afterwards you can {}.", head.outcomes.join("; ")), Weight::PLAIN), width));
    page.push(Line::default());
    page.extend(lines(&lesson.blocks, output.width));
    if !head.sources.is_empty() {
        page.push(Line::default());
        page.extend(source_lines(&head.sources, width));
    }
    output.lines(&page)?;
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
pub(super) fn source_lines(sources: &[Reference], width: usize) -> Vec<Line> {
    let mut out = vec![Line::new(if sources.len() == 1 { "Source" } else { "Sources" }, Weight::BOLD)];
    for source in sources {
        let mut text = plain_words(&source.title, Weight::PLAIN);
        text.extend(plain_words(&format!("<{}> (checked {})", source.url, source.checked), Weight::DIM));
        out.extend(super::render::labelled("-", &text, 2, width));
    }
    out
}

/// Sources as JSON.
pub(super) fn sources_json(sources: &[Reference]) -> serde_json::Value {
    let source = |one: &Reference| json!({"title": one.title, "url": one.url, "checked": one.checked});
    sources.iter().map(source).collect()
}
