//! `osai search`: terms and lessons that match words, with excerpts.

use std::io;

use serde_json::json;

use crate::content::{Filter, Hit, HitKind, Library};

use super::render::{Output, Weight, Words};

/// Hits shown.
const LIMIT: usize = 10;

/// Shows what matches, best first. Exit code 1 if nothing does.
///
/// # Errors
/// Those of the streams.
pub fn search(
    words: &[String],
    filter: &Filter,
    is_json: bool,
    library: &Library,
    output: &mut Output<'_>,
) -> io::Result<u8> {
    let query = words.join(" ");
    let hits = library.search_where(&query, LIMIT, filter);
    if is_json {
        output.json(&hits.iter().map(json).collect())?;
    } else if hits.is_empty() {
        output.complain(&format!("nothing found for `{query}`; try fewer or other words"))?;
    } else {
        let mut page = output.page();
        for (place, hit) in hits.iter().enumerate() {
            if place > 0 {
                page.gap();
            }
            let mut words = Words::new(&hit.title, Weight::BOLD);
            words.push(&format!(" ({})", command(hit)), Weight::DIM);
            page.words(&words);
            page.nested("  ", "  ", |page| page.words(&Words::new(&hit.excerpt, Weight::PLAIN)));
        }
        output.show(page)?;
    }
    Ok(u8::from(hits.is_empty()))
}

/// What shows the hit.
fn command(hit: &Hit) -> String {
    match hit.kind {
        HitKind::Term => format!("osai define {}", hit.id),
        HitKind::Lesson => format!("osai lesson {}", hit.id.to_uppercase()),
    }
}

fn json(hit: &Hit) -> serde_json::Value {
    let kind = match hit.kind {
        HitKind::Term => "term",
        HitKind::Lesson => "lesson",
    };
    json!({"kind": kind, "id": hit.id, "title": hit.title, "excerpt": hit.excerpt, "score": hit.score})
}
