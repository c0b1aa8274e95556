//! The hash that a model had when it was added, and whether it still has it.
//!
//! Beside a file `NAME.gguf` lies `NAME.gguf.sha256`, in a folder `SHA256SUMS`: both as `sha256sum` writes and checks
//! them, so that a machine without osai can check too.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::add::{AddError, sha256_of};
use super::catalogue::entry_of;
use super::part::Part;

/// A record longer than this is none of ours.
const MAX_BYTES: u64 = 1 << 20;
/// The record of a folder.
pub(super) const OF_FOLDER: &str = "SHA256SUMS";

/// What a check of a model found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verified {
    /// It is as it was, by the catalogue or by the record of the day it was added.
    Right,
    /// It is not.
    Damaged {
        /// The file: the model's own, or one of its folder.
        file: PathBuf,
        /// What is wrong, in words.
        why: String,
    },
    /// There is no hash to compare with.
    Unrecorded,
}

/// Where the hash of a model file is kept.
pub fn record_path(model: &Path) -> PathBuf {
    if model.is_dir() {
        return model.join(OF_FOLDER);
    }
    let mut name = model.as_os_str().to_owned();
    name.push(".sha256");
    PathBuf::from(name)
}

/// Keeps a file's hash beside it.
pub(super) fn keep(model: &Path, sha256: &str) -> Result<(), AddError> {
    let name = model.file_name().unwrap_or_default().to_string_lossy();
    write(&record_path(model), &format!("{sha256}  {name}\n"))
}

/// Writes a record whole or not at all.
pub(super) fn write(target: &Path, text: &str) -> Result<(), AddError> {
    let folder = target.parent().unwrap_or(Path::new("."));
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    let mut part = Part::create(folder, &name)?;
    let unreadable = |e: io::Error| AddError::Unwritable { path: target.to_owned(), why: e.to_string() };
    part.fill(&mut text.as_bytes(), text.len() as u64, &unreadable, &mut |_| {})?;
    part.finish(target)
}

/// Compares a model's hash with the catalogue's or with the one recorded when it was added. Reads the whole model.
///
/// # Errors
/// [`AddError::Unreadable`].
pub fn verify(model: &Path) -> Result<Verified, AddError> {
    if !model.is_dir()
        && let Some(entry) = entry_of(model)
    {
        return compare(model, &entry.sha256, "the catalogue's");
    }
    let record = record_path(model);
    let Some(lines) = read(&record)? else { return Ok(Verified::Unrecorded) };
    let folder = record.parent().unwrap_or(Path::new("."));
    for (sha256, name) in &lines {
        let file = folder.join(name);
        if !file.is_file() {
            return Ok(Verified::Damaged { file, why: "it is gone".into() });
        }
        let found = compare(&file, sha256, "the one of the day it was added")?;
        if found != Verified::Right {
            return Ok(found);
        }
    }
    Ok(if lines.is_empty() { Verified::Unrecorded } else { Verified::Right })
}

fn compare(file: &Path, expected: &str, whose: &str) -> Result<Verified, AddError> {
    let found = sha256_of(file)?;
    Ok(if found == expected {
        Verified::Right
    } else {
        Verified::Damaged { file: file.to_owned(), why: format!("its SHA-256 is {found}, not {whose} ({expected})") }
    })
}

/// The lines of a record: hash and plain file name; `None` if there is none. A line that is neither is left out.
fn read(record: &Path) -> Result<Option<Vec<(String, String)>>, AddError> {
    let unreadable = |e: io::Error| AddError::Unreadable { path: record.to_owned(), why: e.to_string() };
    match fs::metadata(record) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(unreadable(e)),
        Ok(of) if !of.is_file() || of.len() > MAX_BYTES => return Ok(None),
        Ok(_) => {}
    }
    let text = fs::read(record).map_err(unreadable)?;
    let text = String::from_utf8_lossy(&text);
    let lines = text.lines().filter_map(|line| {
        let (sha256, name) = line.split_once("  ")?;
        let is_hash = sha256.len() == 64 && sha256.bytes().all(|b| b.is_ascii_hexdigit());
        let is_below =
            !name.is_empty() && Path::new(name).components().all(|c| matches!(c, std::path::Component::Normal(_)));
        (is_hash && is_below).then(|| (sha256.to_ascii_lowercase(), name.to_owned()))
    });
    Ok(Some(lines.collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_file_is_damaged_and_one_without_a_record_is_not_judged() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("own.gguf");
        fs::write(&file, b"weights").unwrap();
        assert_eq!(verify(&file), Ok(Verified::Unrecorded));
        keep(&file, &sha256_of(&file).unwrap()).unwrap();
        assert_eq!(verify(&file), Ok(Verified::Right));
        fs::write(&file, b"wEights").unwrap();
        let found = verify(&file).unwrap();
        assert!(matches!(&found, Verified::Damaged { why, .. } if why.contains("the day it was added")), "{found:?}");
        fs::write(record_path(&file), "no record\n").unwrap();
        assert_eq!(verify(&file), Ok(Verified::Unrecorded));
    }

    #[test]
    fn a_record_cannot_point_outside_the_folder() {
        let dir = tempfile::tempdir().unwrap();
        let model = dir.path().join("m");
        fs::create_dir(&model).unwrap();
        let line = format!("{}  ../secret\n{}  /etc/passwd\n", "0".repeat(64), "0".repeat(64));
        fs::write(model.join(OF_FOLDER), line).unwrap();
        assert_eq!(verify(&model), Ok(Verified::Unrecorded));
    }
}
