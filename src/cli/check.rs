//! `osai check [DIR]`: all faults of the course, of a pack, or of a folder of content.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;

use crate::content::{Checked, ContentError, Library, check_folder};

use super::render::Output;

/// Names every fault on standard output and counts them. Exit code 1 if there is one. Without a folder the course that
/// is built into osai is checked; `labs` are the ids of the labs that exist. The rules of the house count in our own
/// content and are advice for a pack; old sources are named and count nowhere.
///
/// # Errors
/// Those of the streams.
pub fn check(dir: Option<&Path>, labs: &[&str], today: &str, output: &mut Output<'_>) -> io::Result<u8> {
    let (what, checked) = match dir {
        Some(dir) => {
            let checked = check_folder(dir, labs, today);
            (count(checked.files, "file"), checked)
        }
        None => {
            let library = Library::embedded();
            let (terms, lessons) = (library.glossary().heads().len(), library.all_lessons().len());
            let (ready, records) = (library.lessons().len(), library.records());
            let what = format!(
                "the built-in course (a folder is checked by `osai check DIR`): {} ({ready} ready), {}, {}",
                count(lessons, "lesson"),
                count(terms, "term"),
                count(records.models.len() + records.licences.len(), "record")
            );
            (what, library.check(labs, today))
        }
    };
    let Checked { is_pack, mut faults, house, stale, .. } = checked;
    let mut advice = stale;
    if is_pack {
        advice.extend(house)
    } else {
        faults.extend(house)
    }
    let mut text = String::new();
    for fault in &advice {
        text.push_str(&format!("advice: {fault}\n\n"));
    }
    for fault in &faults {
        text.push_str(&format!("{fault}\n\n"));
    }
    let and =
        if advice.is_empty() { String::new() } else { format!(", {}", count(advice.len(), "piece") + " of advice") };
    text.push_str(&format!("{what}: {}{and}\n", sum(&faults)));
    output.out.write_all(text.as_bytes())?;
    Ok(u8::from(!faults.is_empty()))
}

fn sum(faults: &[ContentError]) -> String {
    let files: BTreeSet<&str> = faults.iter().map(|fault| fault.path.as_str()).collect();
    match faults.len() {
        0 => "no faults".into(),
        faults => format!("{} in {}", count(faults, "fault"), count(files.len(), "file")),
    }
}

fn count(number: usize, thing: &str) -> String {
    format!("{number} {thing}{}", if number == 1 { "" } else { "s" })
}
