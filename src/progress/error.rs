//! What can go wrong with the record, in the learner's words.

use std::fmt;
use std::path::PathBuf;

/// A fault of the record: where, what is safe, and what to do.
#[derive(Clone, Debug, PartialEq)]
pub enum ProgressError {
    /// The folder or file cannot be written (or made); lessons go on, nothing is kept.
    Unwritable {
        /// The folder or file.
        path: PathBuf,
        /// The operating system's words.
        why: String,
    },
    /// The file is damaged; it was not touched.
    Damaged {
        /// The file.
        path: PathBuf,
        /// What the check found.
        why: String,
    },
    /// The file is not an osai record; it was not touched.
    NotOurs {
        /// The file.
        path: PathBuf,
    },
    /// Made by a newer osai; it was not touched.
    Newer {
        /// The file.
        path: PathBuf,
        /// Its schema version.
        version: u32,
    },
    /// The disk is full or failed during a write; what was recorded before is safe.
    NotSaved {
        /// SQLite's words.
        why: String,
    },
    /// Open for reading only (another osai has it, or the medium is read-only).
    ReadOnly {
        /// Why.
        why: String,
    },
}

impl fmt::Display for ProgressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unwritable { path, why } => write!(
                f,
                "progress cannot be kept in `{}` ({why}); give a writable folder with --data-dir DIR or OSAI_DATA_DIR",
                path.display()
            ),
            Self::Damaged { path, why } => write!(
                f,
                "the progress file `{}` is damaged ({why}); it was left as it is: move it away to begin anew, or restore a copy \
                 from the `backups` folder beside it",
                path.display()
            ),
            Self::NotOurs { path } => write!(
                f,
                "`{}` is no osai progress file; it was left as it is: move it away or choose another folder with --data-dir",
                path.display()
            ),
            Self::Newer { path, version } => write!(
                f,
                "`{}` was made by a newer osai (schema {version}); it was left as it is: upgrade osai, or use --data-dir",
                path.display()
            ),
            Self::NotSaved { why } => write!(f, "not saved: {why}; earlier answers are safe"),
            Self::ReadOnly { why } => write!(f, "not saved: {why}"),
        }
    }
}

impl std::error::Error for ProgressError {}
