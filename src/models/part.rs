//! A file in the making: beside its final name, hashed as it is written, renamed when it is whole.
//!
//! A reader never sees half a file, whatever ends the program: the final name appears by rename, after fsync.
//! What a killed run left is taken over by the next one; a running one holds a lock on it.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::add::{AddError, Step};

/// Bytes read and written at once.
const CHUNK: usize = 1 << 18;

/// A file in the making. Dropped unfinished, it is removed.
pub(super) struct Part {
    file: File,
    path: PathBuf,
    hasher: Sha256,
    finished: bool,
}

impl Part {
    /// Begins `folder/.NAME.part`, empty and locked; makes the folder.
    ///
    /// # Errors
    /// The folder cannot be written, or another osai is writing the same file.
    pub(super) fn create(folder: &Path, name: &str) -> Result<Self, AddError> {
        let unwritable = |path: &Path, e: io::Error| AddError::Unwritable { path: path.to_owned(), why: e.to_string() };
        make_private_folder(folder).map_err(|e| unwritable(folder, e))?;
        let path = folder.join(format!(".{name}.part"));
        loop {
            let file = open_without_following(&path).map_err(|e| unwritable(&path, e))?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Err(AddError::Busy { path }),
                // A file system without locks: two osai at once would disturb each other, one does not.
                Err(TryLockError::Error(_)) => {}
            }
            // The holder of the lock may have renamed the file between our open and our lock.
            if !is_still_at(&file, &path) {
                continue;
            }
            file.set_len(0).map_err(|e| unwritable(&path, e))?;
            return Ok(Self { file, path, hasher: Sha256::new(), finished: false });
        }
    }

    /// Appends all of `reader`, at most `limit` bytes and one more, so that what is too long cannot pass for whole.
    ///
    /// # Errors
    /// `unreadable` makes the error of a failed read; a failed write is [`AddError::Unwritable`].
    pub(super) fn fill(
        &mut self,
        reader: &mut dyn Read,
        limit: u64,
        unreadable: &dyn Fn(io::Error) -> AddError,
        each: &mut dyn FnMut(Step),
    ) -> Result<u64, AddError> {
        let mut buffer = vec![0; CHUNK];
        let mut done = 0;
        let mut reader = reader.take(limit.saturating_add(1));
        loop {
            let read = match reader.read(&mut buffer) {
                Ok(0) => return Ok(done),
                Ok(read) => read,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(unreadable(e)),
            };
            let written = self.file.write_all(&buffer[..read]);
            written.map_err(|e| AddError::Unwritable { path: self.path.clone(), why: e.to_string() })?;
            self.hasher.update(&buffer[..read]);
            done += read as u64;
            each(Step::Bytes { done, total: limit });
        }
    }

    /// Where the file is until it is whole.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// SHA-256 of what was written so far, lower-case hex.
    pub(super) fn sha256(&self) -> String {
        hex(&self.hasher.clone().finalize())
    }

    /// Puts the file in place under its final name, on disk when this returns.
    ///
    /// # Errors
    /// The disk failed; nothing is there under the final name that was not there before.
    pub(super) fn finish(mut self, target: &Path) -> Result<(), AddError> {
        let finished = (|| {
            self.file.sync_all()?;
            fs::rename(&self.path, target)?;
            match target.parent() {
                Some(folder) if cfg!(unix) => File::open(folder)?.sync_all(),
                _ => Ok(()),
            }
        })();
        finished.map_err(|e: io::Error| AddError::Unwritable { path: target.to_owned(), why: e.to_string() })?;
        self.finished = true;
        Ok(())
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if !self.finished {
            // Best effort: what stays is taken over by the next attempt.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Lower-case hex.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// SHA-256 of an open file from its start, lower-case hex.
pub(super) fn hash(file: &mut File) -> io::Result<String> {
    file.seek(SeekFrom::Start(0))?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; CHUNK];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hex(&hasher.finalize())),
            read => hasher.update(&buffer[..read]),
        }
    }
}

/// Makes a folder and its parents; what is new is the owner's alone.
pub(super) fn make_private_folder(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

/// Opens for writing without emptying it; a symbolic link put in the way is an error.
fn open_without_following(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600).custom_flags(libc::O_NOFOLLOW);
    }
    options.open(path)
}

#[cfg(unix)]
fn is_still_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    match (file.metadata(), fs::symlink_metadata(path)) {
        (Ok(open), Ok(named)) => (open.dev(), open.ino()) == (named.dev(), named.ino()),
        _ => false,
    }
}

#[cfg(not(unix))]
fn is_still_at(_file: &File, path: &Path) -> bool {
    path.exists()
}
