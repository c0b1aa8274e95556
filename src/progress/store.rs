//! The file: opening, making, checking; who may write; SQLite's faults in the learner's words.
//!
//! `open` looks at the file's first bytes before SQLite does, takes the writer's lock, and leaves anything that is not
//! a record of ours as it is. It does not read the whole file: [`first_fault`] does, before the first write.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use rusqlite::backup::Backup;
use rusqlite::config::DbConfig;
use rusqlite::limits::Limit;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::files::{self, Found};
use super::{ProgressError, backup, schema, seal};

/// The record's name in the data directory.
const FILE: &str = "progress.db";

/// Held (flock) by the one process that may write; the system lets go of it when that process ends, however it ends.
const LOCK_FILE: &str = "progress.lock";

/// Longest text in a row, in bytes; a hostile file cannot make us allocate more.
const MAX_TEXT_BYTES: i32 = 16 << 20;

const NOT_WHOLE: &str = "it is shorter than it says";

/// Who may write.
#[derive(Debug)]
pub enum Access {
    /// We, as long as the lock is held.
    Writer {
        /// Dropping it lets the next process write.
        _lock: Lock,
    },
    /// Nobody here; why.
    Reader(String),
    /// There is no file.
    Memory,
}

/// The writer's lock.
#[derive(Debug)]
pub struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing would do, were it not for a child process in the instant between fork and exec, which has the same
        // open file; unlocking lets go for both. If it fails, closing still follows.
        self.0.unlock().ok();
    }
}

/// An open record.
#[derive(Debug)]
pub struct Store {
    /// The connection.
    pub db: Connection,
    /// The file, with its real path; empty in memory.
    pub path: PathBuf,
    /// Who may write.
    pub access: Access,
}

impl Store {
    /// Opens or makes the record for writing; for reading only when another process writes or nobody can.
    pub fn open(data_dir: &Path) -> Result<Self, ProgressError> {
        let dir = files::make_private_dir(data_dir).map_err(|e| unwritable(data_dir, &e))?;
        let path = dir.join(FILE);
        let lock = match files::open_or_make_private(&dir.join(LOCK_FILE)) {
            Ok(lock) => lock,
            Err(e) => return Self::open_unlocked(path, &e),
        };
        match lock.try_lock() {
            Ok(()) => Self::open_locked(path, Lock(lock)),
            Err(TryLockError::WouldBlock) => {
                Self::read(path, "another osai has your record open; close it and start this one again")
            }
            Err(TryLockError::Error(e)) => Self::open_unlocked(path, &e),
        }
    }

    /// Opens for reading only; an absent file gives an empty record.
    pub fn open_read_only(data_dir: &Path) -> Result<Self, ProgressError> {
        let dir = data_dir.canonicalize().unwrap_or_else(|_| data_dir.to_owned());
        Self::read(dir.join(FILE), "the record was opened for reading only")
    }

    /// An empty record that is gone when the program ends.
    pub fn in_memory() -> Self {
        let make = || {
            let mut db = Connection::open_in_memory()?;
            configure(&db)?;
            schema::migrate(&mut db)?;
            Ok::<_, rusqlite::Error>(db)
        };
        let db = make().expect("SQLite works in memory");
        Self { db, path: PathBuf::new(), access: Access::Memory }
    }

    fn open_locked(path: PathBuf, lock: Lock) -> Result<Self, ProgressError> {
        let found = files::look_at(&path).map_err(|e| unwritable(&path, &e))?;
        if found == Found::Nothing {
            make(&path)?;
        } else {
            let damaged = |why: &str| ProgressError::Damaged { path: path.clone(), why: why.to_owned() };
            if !vet(&path, &found)?.is_whole && !files::has_unfinished_write(&path) {
                return Err(damaged(NOT_WHOLE));
            }
            files::make_mode_private(&path).map_err(|e| unwritable(&path, &e))?;
        }
        let mut db = connect(&path, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(|e| fault(&path, &e))?;
        let version = known_version(&db, &path)?;
        if db.is_readonly("main").map_err(|e| fault(&path, &e))? {
            let access = Access::Reader(format!("`{}` is read-only; make it writable for you", path.display()));
            return Ok(Self { db: in_current_schema(db, version, &path)?, path, access });
        }
        if version < schema::VERSION {
            upgrade(&mut db, version, &path)?;
        }
        Ok(Self { db, path, access: Access::Writer { _lock: lock } })
    }

    /// The lock cannot be had (a read-only home, a network folder without locks): read what is there.
    fn open_unlocked(path: PathBuf, why: &io::Error) -> Result<Self, ProgressError> {
        match files::look_at(&path) {
            Ok(Found::Nothing) | Err(_) => Err(unwritable(&path, why)),
            Ok(_) => {
                let dir = path.parent().unwrap_or(&path).display();
                let why = format!("`{dir}` cannot be written ({why}); give a writable folder with --data-dir DIR");
                Self::read(path, &why)
            }
        }
    }

    fn read(path: PathBuf, why: &str) -> Result<Self, ProgressError> {
        let access = Access::Reader(why.to_owned());
        let found = files::look_at(&path).map_err(|e| unwritable(&path, &e))?;
        if found == Found::Nothing {
            return Ok(Self { access, ..Self::in_memory() });
        }
        // Whether it is whole cannot be told from outside while another process may be writing.
        vet(&path, &found)?;
        let db = connect(&path, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(|e| fault(&path, &e))?;
        let version = known_version(&db, &path)?;
        Ok(Self { db: in_current_schema(db, version, &path)?, path, access })
    }
}

/// Everything SQLite and the seals can find, in words; reads the whole file.
pub fn first_fault(db: &Connection) -> rusqlite::Result<Option<String>> {
    // Not quick_check: that one does not compare indexes with their tables, and a flipped bit in an index would let
    // the same attempt in twice.
    let answer: String = db.pragma_query_value(None, "integrity_check", |row| row.get(0))?;
    if answer != "ok" {
        return Ok(Some(answer.lines().next().unwrap_or_default().to_owned()));
    }
    seal::first_broken(db)
}

/// SQLite's fault in the learner's words.
pub fn fault(path: &Path, error: &rusqlite::Error) -> ProgressError {
    let damaged = |why: String| ProgressError::Damaged { path: path.to_owned(), why };
    let not_saved = |why: &str| ProgressError::NotSaved { why: why.to_owned() };
    let rusqlite::Error::SqliteFailure(code, _) = error else {
        // A column that does not hold what we wrote: a date that is none, a row that is missing.
        return damaged(error.to_string());
    };
    match code.code {
        ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => damaged(error.to_string()),
        ErrorCode::CannotOpen | ErrorCode::PermissionDenied => {
            ProgressError::Unwritable { path: path.to_owned(), why: error.to_string() }
        }
        ErrorCode::ReadOnly => ProgressError::ReadOnly {
            why: format!("`{}` can only be read here; give a writable folder with --data-dir DIR", path.display()),
        },
        ErrorCode::DiskFull => not_saved("the disk is full; make room (1 MB is enough) and answer again"),
        ErrorCode::SystemIoFailure => not_saved(&format!("the disk failed or your quota is used up ({error})")),
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::FileLockingProtocolFailed => {
            not_saved("another program holds the file; close it and answer again")
        }
        _ => not_saved(&error.to_string()),
    }
}

/// The day, in UTC, of an instant in Unix seconds; `None` outside the calendar.
pub fn utc_day(seconds: i64) -> Option<Date> {
    Timestamp::from_second(seconds).ok().map(|instant| TimeZone::UTC.to_datetime(instant).date())
}

fn unwritable(path: &Path, why: &io::Error) -> ProgressError {
    ProgressError::Unwritable { path: path.to_owned(), why: why.to_string() }
}

/// Refuses what is not a record of ours, by its first bytes.
fn vet<'a>(path: &Path, found: &'a Found) -> Result<&'a files::Header, ProgressError> {
    let Found::Sqlite(header) = found else { return Err(ProgressError::NotOurs { path: path.to_owned() }) };
    if header.application_id != schema::APPLICATION_ID {
        return Err(ProgressError::NotOurs { path: path.to_owned() });
    }
    if !header.is_rollback_journal {
        let why = "another program has changed its journal mode".to_owned();
        return Err(ProgressError::Damaged { path: path.to_owned(), why });
    }
    Ok(header)
}

fn connect(path: &Path, mode: OpenFlags) -> rusqlite::Result<Connection> {
    let flags =
        mode | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW | OpenFlags::SQLITE_OPEN_EXRESCODE;
    let db = Connection::open_with_flags(path, flags)?;
    configure(&db)?;
    Ok(db)
}

/// Durability, and distrust of what a file may hold (sqlite.org/security.html).
fn configure(db: &Connection) -> rusqlite::Result<()> {
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    db.set_limit(Limit::SQLITE_LIMIT_LENGTH, MAX_TEXT_BYTES)?;
    db.set_limit(Limit::SQLITE_LIMIT_ATTACHED, 0)?;
    db.execute_batch("PRAGMA cell_size_check = ON; PRAGMA mmap_size = 0; PRAGMA synchronous = FULL;")?;
    if !db.is_readonly("main")? {
        db.pragma_update_and_check(None, "journal_mode", "TRUNCATE", |_| Ok(()))?;
    }
    Ok(())
}

/// The schema version, once the file has shown that it is made as this program makes them.
fn known_version(db: &Connection, path: &Path) -> Result<u32, ProgressError> {
    let version = schema::version(db).map_err(|e| fault(path, &e))?;
    if version > schema::VERSION {
        return Err(ProgressError::Newer { path: path.to_owned(), version });
    }
    if version == 0 || !schema::is_as_made(db).map_err(|e| fault(path, &e))? {
        let why = "its tables are not as osai makes them".to_owned();
        return Err(ProgressError::Damaged { path: path.to_owned(), why });
    }
    Ok(version)
}

/// Makes an empty record under another name and moves it into place whole: a file that is there is never half made.
fn make(path: &Path) -> Result<(), ProgressError> {
    let journal = files::journal_of(path);
    if files::has_unfinished_write(path) {
        // SQLite would play it into the new file.
        let why = "it belongs to a progress.db that is not here".to_owned();
        return Err(ProgressError::Damaged { path: journal, why });
    }
    let unfinished = path.with_file_name("progress.db.unfinished");
    let prepare = || -> io::Result<()> {
        if unfinished.symlink_metadata().is_ok() {
            fs::remove_file(&unfinished)?;
        }
        files::make_private(&unfinished).map(drop)
    };
    let fill = || -> rusqlite::Result<()> {
        let mut db = Connection::open_with_flags(&unfinished, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        db.pragma_update_and_check(None, "journal_mode", "OFF", |_| Ok(()))?;
        db.pragma_update(None, "synchronous", "FULL")?;
        schema::migrate(&mut db)
    };
    let finish = || -> io::Result<()> {
        fs::rename(&unfinished, path)?;
        path.parent().map_or(Ok(()), files::sync_dir)
    };
    prepare().map_err(|e| unwritable(path, &e))?;
    fill().map_err(|e| ProgressError::Unwritable { path: path.to_owned(), why: e.to_string() })?;
    finish().map_err(|e| unwritable(path, &e))
}

/// Brings an older file to the current schema, after it was checked and copied.
fn upgrade(db: &mut Connection, version: u32, path: &Path) -> Result<(), ProgressError> {
    if let Some(why) = first_fault(db).map_err(|e| fault(path, &e))? {
        return Err(ProgressError::Damaged { path: path.to_owned(), why });
    }
    // No clock here: the day is that of the last answer.
    let last: Option<i64> =
        db.query_row("SELECT max(answered_at) FROM attempts", [], |row| row.get(0)).map_err(|e| fault(path, &e))?;
    let day = last.and_then(utc_day).map_or_else(|| "empty".to_owned(), |day| day.to_string());
    backup::keep(db, path, &format!("{day}-schema-{version}"))
        .map_err(|why| ProgressError::Unwritable { path: backup::folder(path), why })?;
    schema::migrate(db).map_err(|e| fault(path, &e))
}

/// For reading: an older file is copied to memory and brought to the current schema there.
fn in_current_schema(db: Connection, version: u32, path: &Path) -> Result<Connection, ProgressError> {
    if version == schema::VERSION {
        return Ok(db);
    }
    let copy = || -> rusqlite::Result<Connection> {
        let mut memory = Connection::open_in_memory()?;
        Backup::new(&db, &mut memory)?.step(-1)?;
        configure(&memory)?;
        schema::migrate(&mut memory)?;
        Ok(memory)
    };
    copy().map_err(|e| fault(path, &e))
}
