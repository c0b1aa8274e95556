//! Where content comes from: the block built into osai, and a pack folder read into memory.
//!
//! A pack is hostile until it is read: only `pack.toml` and files straight in the content folders are opened, never
//! through a link; names and sizes are bounded. Nothing outside the folder is read, nothing is written.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{self, Read};
use std::path::Path;

use super::Pack;
use super::error::{ContentError, ContentErrorKind as Kind};
use super::fields::Faults;
use super::index::{ContentFile, Index, QUESTIONS};

/// Bytes of one file.
const MAX_FILE: u64 = 1 << 20;
/// Files of a pack.
const MAX_FILES: usize = 5_000;
/// Bytes of a pack.
const MAX_TOTAL: u64 = 64 << 20;
/// Folders of content and how names of files in them end.
const FOLDERS: [(&str, &str); 5] = [
    ("glossary", ".md"),
    ("lessons", ".md"),
    ("quizzes", ".toml"),
    ("records/models", ".toml"),
    ("records/licences", ".toml"),
];
/// What makes a folder a pack.
pub(super) const PACK_FILE: &str = "pack.toml";

static EMBEDDED: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/content.bin"));

impl Index {
    /// The content of osai itself.
    pub(super) fn embedded() -> Self {
        Self::new(EMBEDDED)
    }

    /// Every file, as it was collected.
    pub(super) fn files(&self) -> Vec<ContentFile> {
        (0..self.file_count())
            .map(|number| self.file(number))
            .map(|(path, text, is_pack)| ContentFile { path: path.into(), text: text.into(), is_pack })
            .collect()
    }
}

/// The files of `over` laid over those of `under`, path by path.
pub(super) fn overlay(under: Vec<ContentFile>, over: Vec<ContentFile>) -> Vec<ContentFile> {
    let mut merged: BTreeMap<String, ContentFile> = under.into_iter().map(|file| (file.path.clone(), file)).collect();
    merged.extend(over.into_iter().map(|file| (file.path.clone(), file)));
    merged.into_values().collect()
}

/// Reads `pack.toml`.
pub(super) fn read_pack_file(dir: &Path) -> Result<Pack, Vec<ContentError>> {
    let text = read_file(&dir.join(PACK_FILE)).map_err(|kind| vec![ContentError::of_file(PACK_FILE, kind)])?;
    let faults = Faults::new(0);
    let mut fields = faults.table(&text);
    let (id, title, version) = (fields.text("id"), fields.text("title"), fields.text("version"));
    let needs = fields.text_if_any("osai");
    fields.finish();
    if !id.value.is_empty() && !is_kebab(&id.value) {
        faults.add(id.at, Kind::NotKebab { id: id.value.clone() });
    }
    if let Some(needs) = needs {
        let have = env!("CARGO_PKG_VERSION");
        match (version_parts(&needs.value), version_parts(have)) {
            (Some(wanted), Some(ours)) if wanted <= ours => {}
            (Some(_), _) => faults.add(needs.at, Kind::NeedsNewer { wanted: needs.value, have: have.into() }),
            (None, _) => {
                faults.add(needs.at, Kind::WrongType { key: "osai".into(), wanted: "a version such as \"0.1.0\"" })
            }
        }
    }
    let faults = faults.into_vec();
    if faults.is_empty() {
        return Ok(Pack { id: id.value, title: title.value, version: version.value });
    }
    Err(faults.into_iter().map(|fault| ContentError::at(PACK_FILE, &text, fault.at, fault.kind)).collect())
}

fn version_parts(version: &str) -> Option<Vec<u64>> {
    let mut parts: Vec<u64> = version.split('.').map(|part| part.parse().ok()).collect::<Option<_>>()?;
    parts.resize(3.max(parts.len()), 0);
    Some(parts)
}

/// Lower case letters, digits and single hyphens between them.
pub(super) fn is_kebab(id: &str) -> bool {
    id.split('-').all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()))
}

/// Reads the content folders of `dir`. Faults name what was refused; the files that could be read come all the same.
pub(super) fn read_folder(dir: &Path, is_pack: bool) -> (Vec<ContentFile>, Vec<ContentError>) {
    let mut reading = Reading { is_pack, ..Reading::default() };
    // A link in the place of the folder above would lead out of the pack as well.
    let is_led_away = dir.join("records").symlink_metadata().is_ok_and(|meta| !meta.is_dir());
    if is_led_away {
        reading.refuse("records", "not a folder");
    }
    let in_records = |path: &str| path.starts_with("records/");
    for (folder, ending) in FOLDERS.into_iter().filter(|(folder, _)| !(is_led_away && in_records(folder))) {
        let path = dir.join(folder);
        match fs::symlink_metadata(&path) {
            Ok(meta) if meta.is_dir() => reading.folder(&path, folder, ending),
            Ok(_) => reading.refuse(folder, "not a folder"),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => reading.faults.push(unreadable(folder, &error)),
        }
    }
    // The one file that stands alone.
    let questions = dir.join(QUESTIONS);
    if !is_led_away && questions.symlink_metadata().is_ok() {
        match read_file(&questions) {
            Ok(text) => reading.files.push(ContentFile { path: QUESTIONS.into(), text, is_pack }),
            Err(kind) => reading.faults.push(ContentError::of_file(QUESTIONS, kind)),
        }
    }
    (reading.files, reading.faults)
}

#[derive(Default)]
struct Reading {
    is_pack: bool,
    files: Vec<ContentFile>,
    faults: Vec<ContentError>,
    total: u64,
    /// Entries looked at, files or not.
    entries: usize,
}

impl Reading {
    fn refuse(&mut self, path: &str, why: &'static str) {
        self.faults.push(ContentError::of_file(path, Kind::Refused { why }));
    }

    fn folder(&mut self, path: &Path, folder: &str, ending: &str) {
        let entries = match fs::read_dir(path) {
            Ok(entries) => entries,
            Err(error) => return self.faults.push(unreadable(folder, &error)),
        };
        let mut known: BTreeMap<String, ()> = BTreeMap::new();
        for entry in entries {
            self.entries += 1;
            if self.entries > MAX_FILES || self.total > MAX_TOTAL {
                let (limit, unit) = if self.entries > MAX_FILES {
                    (MAX_FILES as u64, "files")
                } else {
                    (MAX_TOTAL >> 20, "MiB in all")
                };
                return self.faults.push(ContentError::of_file(folder, Kind::TooLarge { limit, unit }));
            }
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) => return self.faults.push(unreadable(folder, &error)),
            };
            let name = entry.file_name();
            let shown = format!("{folder}/{}", name.to_string_lossy());
            let Some(name) = name.to_str() else {
                self.refuse(&shown, "a name that is not UTF-8");
                continue;
            };
            if name.starts_with('.') {
                continue;
            }
            if name.chars().any(char::is_control) {
                self.refuse(&shown, "a name with control characters");
            } else if !entry.file_type().is_ok_and(|kind| kind.is_file()) {
                self.refuse(&shown, "a link, folder or device where a file must be");
            } else if !name.ends_with(ending) {
                self.refuse(
                    &shown,
                    "not a content file (lessons and terms end in `.md`, quizzes and records in `.toml`)",
                );
            } else if known.insert(name.to_lowercase(), ()).is_some() {
                self.refuse(&shown, "a name that differs from another one in case only");
            } else {
                match read_file(&entry.path()) {
                    Ok(text) => {
                        self.total += text.len() as u64;
                        self.files.push(ContentFile { path: shown, text, is_pack: self.is_pack });
                    }
                    Err(kind) => self.faults.push(ContentError::of_file(&shown, kind)),
                }
            }
        }
    }
}

fn unreadable(path: &str, error: &io::Error) -> ContentError {
    ContentError::of_file(path, Kind::Unreadable { why: error.to_string() })
}

/// Reads a file of at most [`MAX_FILE`] bytes; links and devices are refused even if they came after the look.
fn read_file(path: &Path) -> Result<String, Kind> {
    let unreadable = |error: io::Error| Kind::Unreadable { why: error.to_string() };
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, libc::O_NOFOLLOW | libc::O_NONBLOCK);
    let file = options.open(path).map_err(unreadable)?;
    if !file.metadata().map_err(unreadable)?.is_file() {
        return Err(Kind::Refused { why: "not a file" });
    }
    let mut bytes = Vec::new();
    file.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(Kind::TooLarge { limit: MAX_FILE >> 20, unit: "MiB" });
    }
    String::from_utf8(bytes).map_err(|_| Kind::Unreadable { why: "it is not UTF-8; save it as UTF-8".into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_kebab_case() {
        assert!(is_kebab("gpt-2") && is_kebab("x"));
        for bad in ["", "A", "a--b", "-a", "a_b", "é", "a b"] {
            assert!(!is_kebab(bad), "{bad}");
        }
    }

    #[test]
    fn a_pack_may_ask_for_this_version_or_an_older_one() {
        assert!(version_parts("0.1") <= version_parts("0.1.0"));
        assert!(version_parts("0.10.0") > version_parts("0.9.5"));
        assert_eq!(version_parts("latest"), None);
    }
}
