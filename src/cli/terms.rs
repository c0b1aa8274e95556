//! `osai terms`: every term with its one-line definition.

use std::io;

use serde_json::json;

use crate::content::{Glossary, TermHead};

use super::render::{Output, Weight, Words};

/// Columns of the ids: most fit, longer ones push their definition along.
const ID: usize = 32;

/// Lists the terms that `keep` keeps, sorted by title.
///
/// # Errors
/// Those of the streams.
pub fn terms(
    is_json: bool,
    glossary: &Glossary,
    keep: &dyn Fn(&TermHead) -> bool,
    output: &mut Output<'_>,
) -> io::Result<u8> {
    let heads = || glossary.heads().iter().filter(|head| keep(head));
    if is_json {
        let list = heads().map(|head| {
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
    let mut page = output.page();
    for head in heads() {
        let room = ID.max(head.id.len() + 2);
        page.labelled(&head.id, &Words::new(&head.short, Weight::PLAIN), room);
    }
    output.show(page)?;
    Ok(0)
}
