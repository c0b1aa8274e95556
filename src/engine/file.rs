//! What the readers of model files share: the memory map, and the faults that they find.
//!
//! A reader goes on past a fault wherever the rest can still be understood, so that `inspect` can list all of them;
//! opening a model refuses at the first.

use std::fmt;
use std::fs::{self, File};
use std::io;
use std::path::Path;

use memmap2::Mmap;
use serde::Serialize;

use super::EngineError;

/// Maps a regular file for reading.
///
/// # Errors
/// [`EngineError::Unreadable`].
pub fn map(path: &Path) -> Result<Mmap, EngineError> {
    let unreadable = |e: io::Error| EngineError::Unreadable { path: path.into(), why: e.to_string() };
    let irregular = || EngineError::Unreadable { path: path.into(), why: "it is no regular file".into() };
    // Opening a named pipe would wait for a writer, so the kind comes first; and again after, should it have changed.
    if !fs::metadata(path).map_err(unreadable)?.is_file() {
        return Err(irregular());
    }
    let file = File::open(path).map_err(unreadable)?;
    if !file.metadata().map_err(unreadable)?.is_file() {
        return Err(irregular());
    }
    // SAFETY: the map is read only. A file that is shortened while it is open raises a bus error; a model file is
    // written once under a temporary name and renamed (`models::add`), never changed in place.
    unsafe { Mmap::map(&file) }.map_err(unreadable)
}

/// Something in a file that is not as its format demands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// The byte of the file where it shows, if there is one such place.
    pub at: Option<u64>,
    /// What is wrong, in words; quotes the file, so not safe to print as it is.
    pub what: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.at {
            Some(at) => write!(f, "{} (at byte {at})", self.what),
            None => f.write_str(&self.what),
        }
    }
}

/// The faults of a file, in the order in which they were found; those past a limit are only counted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Faults {
    /// The first of them.
    pub listed: Vec<Fault>,
    /// How many more there are.
    pub unlisted: usize,
}

impl Faults {
    /// More than this many are only counted: a hostile file may have a fault a byte.
    const LIMIT: usize = 100;

    /// Adds one that shows at a byte.
    pub fn at(&mut self, at: usize, what: impl fmt::Display) {
        self.add(Some(at as u64), what);
    }

    /// Adds one that has no place of its own.
    pub fn add(&mut self, at: Option<u64>, what: impl fmt::Display) {
        if self.listed.len() < Self::LIMIT {
            self.listed.push(Fault { at, what: what.to_string() });
        } else {
            self.unlisted += 1;
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.listed.is_empty()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.listed.len() + self.unlisted
    }

    /// The error of opening a file with these faults: the first, and how many more.
    ///
    /// # Errors
    /// [`EngineError::BadFile`] if there is any.
    pub fn refuse(&self, path: &Path) -> Result<(), EngineError> {
        let Some(first) = self.listed.first() else { return Ok(()) };
        let why = match self.len() - 1 {
            0 => first.to_string(),
            more => format!("{first}; {more} more: `osai model inspect` lists them"),
        };
        Err(EngineError::BadFile { path: path.into(), why })
    }
}
