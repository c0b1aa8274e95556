//! Private files and folders, and what can be told of a file before SQLite sees it.
//!
//! Everything is made 0600 in folders of 0700 whatever the umask says, and no symbolic link is followed to a file of ours.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Makes a folder for its owner only, with its parents; a folder that is there stays as it is. Gives its real path.
pub fn make_private_dir(dir: &Path) -> io::Result<PathBuf> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    dir.canonicalize()
}

/// Opens a file for reading and writing, made 0600 if it is not there.
pub fn open_or_make_private(path: &Path) -> io::Result<File> {
    private().create(true).open(path)
}

/// Makes a file that must not be there yet.
pub fn make_private(path: &Path) -> io::Result<File> {
    private().create_new(true).open(path)
}

fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(0o600).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
    options
}

/// Takes group and others out of a file's mode.
pub fn make_mode_private(path: &Path) -> io::Result<()> {
    let mode = fs::symlink_metadata(path)?.mode();
    if mode & 0o077 != 0 {
        fs::set_permissions(path, fs::Permissions::from_mode(mode & 0o700))?;
    }
    Ok(())
}

/// Makes a rename or a new file in `dir` last through a power cut.
pub fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// The 100 bytes at the start of an SQLite file, as far as they matter here, and the file's length.
#[derive(Debug, PartialEq)]
pub struct Header {
    /// Whose file it is.
    pub application_id: u32,
    /// Whether the file is in the journal mode that we write (not the write-ahead log).
    pub is_rollback_journal: bool,
    /// Whether the file is as long as its header says.
    pub is_whole: bool,
}

/// What a path holds.
#[derive(Debug, PartialEq)]
pub enum Found {
    /// Nothing.
    Nothing,
    /// No regular file, or none that begins like an SQLite file.
    Other,
    /// An SQLite file.
    Sqlite(Header),
}

/// Looks at a file without following a link, waiting on a pipe or changing anything.
pub fn look_at(path: &Path) -> io::Result<Found> {
    match fs::symlink_metadata(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Found::Nothing),
        Err(e) => return Err(e),
        Ok(meta) if !meta.is_file() => return Ok(Found::Other),
        Ok(_) => {}
    }
    // Closing this handle would drop the locks of a connection of ours to the same file (POSIX locks belong to the
    // process): it is closed before SQLite opens the file, and outside tests no process opens its record twice.
    let mut file = OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(path)?;
    let length = file.metadata()?.len();
    let mut head = [0; 100];
    match file.read_exact(&mut head) {
        Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return Ok(Found::Other),
        other => other?,
    }
    // Offsets: sqlite.org/fileformat2.html, section 1.3; numbers are big-endian.
    if &head[..16] != b"SQLite format 3\0" {
        return Ok(Found::Other);
    }
    let u32_at = |at: usize| u32::from_be_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
    let page_size = match u16::from_be_bytes([head[16], head[17]]) {
        1 => 65_536,
        size => u64::from(size),
    };
    Ok(Found::Sqlite(Header {
        application_id: u32_at(68),
        is_rollback_journal: head[18] == 1 && head[19] == 1,
        is_whole: length == page_size * u64::from(u32_at(28)),
    }))
}

/// The journal that SQLite keeps beside a file.
pub fn journal_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push("-journal");
    name.into()
}

/// Whether a write may have been cut off: the journal is not empty, and SQLite will undo what it says.
pub fn has_unfinished_write(path: &Path) -> bool {
    fs::symlink_metadata(journal_of(path)).is_ok_and(|meta| meta.len() > 0)
}
