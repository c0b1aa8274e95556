//! `osai terms`: every term with its one-line definition.

use std::io;

use serde_json::json;

use crate::content::Glossary;

use super::render::{Output, Weight, labelled, plain_words};

/// Columns of the ids: most fit, longer ones push their definition along.
const ID: usize = 32;

/// Lists the terms, sorted by title.
///
/// # Errors
/// Those of the streams.
pub fn terms(is_json: bool, glossary: &Glossary, output: &mut Output<'_>) -> io::Result<u8> {
    if is_json {
        let list = glossary.heads().iter().map(|head| {
            json!({
                "id": head.id,
                "title": head.title,
                "short": head.short,
                "level": head.level.key(),
                "category": head.category,
                "aliases": head.aliases,
            })
        });
        output.json(&list.collect())?;
        return Ok(0);
    }
    let mut page = Vec::new();
    for head in glossary.heads() {
        let room = ID.max(head.id.len() + 2);
        page.extend(labelled(&head.id, &plain_words(&head.short, Weight::PLAIN), room, output.width));
    }
    output.lines(&page)?;
    Ok(0)
}
