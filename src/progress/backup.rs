//! Copies in `backups/` beside the record: one on each day with a write, one before a migration; the ten newest stay.
//!
//! A copy is named `progress-0007-2026-11-24.db`: a number that only grows, so that a clock that was wrong for a
//! while cannot push good copies out, and the day in UTC. It is written under another name and renamed when whole.

use std::fs;
use std::path::{Path, PathBuf};

use jiff::civil::Date;
use rusqlite::Connection;
use rusqlite::backup::Backup;

use super::files;

/// Copies that are kept.
const KEPT: usize = 10;

/// The folder beside the record.
pub fn folder(record: &Path) -> PathBuf {
    record.with_file_name("backups")
}

/// Copies the record unless there is a copy of that day.
///
/// # Errors
/// In words. The copies that were there are as they were.
pub fn keep_daily(db: &Connection, record: &Path, day: Date) -> Result<(), String> {
    let ending = format!("-{day}.db");
    match list(&folder(record)).iter().any(|(_, name)| name.ends_with(&ending)) {
        true => Ok(()),
        false => keep(db, record, &day.to_string()).map(drop),
    }
}

/// Copies the record under the next number, then drops what is more than [`KEPT`]. Gives the copy's path.
///
/// # Errors
/// In words. The copies that were there are as they were.
pub fn keep(db: &Connection, record: &Path, label: &str) -> Result<PathBuf, String> {
    let dir = files::make_private_dir(&folder(record)).map_err(|e| e.to_string())?;
    let number = list(&dir).last().map_or(1, |(number, _)| number + 1);
    let path = dir.join(format!("progress-{number:04}-{label}.db"));
    let unfinished = dir.join("unfinished.part");
    let copied = copy_to(db, &unfinished)
        .and_then(|()| fs::rename(&unfinished, &path).and_then(|()| files::sync_dir(&dir)).map_err(|e| e.to_string()));
    if let Err(why) = copied {
        // What is left of the copy is of no use to anyone; if it cannot be removed now, the next copy removes it.
        fs::remove_file(&unfinished).ok();
        return Err(why);
    }
    let copies = list(&dir);
    for (_, name) in &copies[..copies.len().saturating_sub(KEPT)] {
        fs::remove_file(dir.join(name)).map_err(|e| e.to_string())?;
    }
    Ok(path)
}

/// Our copies in a folder, `(number, name)`, oldest first.
fn list(dir: &Path) -> Vec<(u32, String)> {
    let Ok(entries) = fs::read_dir(dir) else { return Vec::new() };
    let mut copies: Vec<(u32, String)> = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter_map(|name| {
            let number = name.strip_prefix("progress-")?.strip_suffix(".db")?.split('-').next()?;
            Some((number.parse().ok()?, name))
        })
        .collect();
    copies.sort();
    copies
}

fn copy_to(db: &Connection, path: &Path) -> Result<(), String> {
    if path.symlink_metadata().is_ok() {
        fs::remove_file(path).map_err(|e| e.to_string())?;
    }
    let file = files::make_private(path).map_err(|e| e.to_string())?;
    // No journal: a copy that is cut off is thrown away.
    let copy = || -> rusqlite::Result<()> {
        let mut target = Connection::open(path)?;
        target.pragma_update_and_check(None, "journal_mode", "OFF", |_| Ok(()))?;
        Backup::new(db, &mut target)?.step(-1)?;
        Ok(())
    };
    copy().map_err(|e| e.to_string())?;
    file.sync_all().map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use jiff::ToSpan;
    use jiff::civil::date;

    use super::*;

    fn names(record: &Path) -> Vec<String> {
        list(&folder(record)).into_iter().map(|(_, name)| name).collect()
    }

    fn database() -> Connection {
        let db = Connection::open_in_memory().unwrap();
        db.execute_batch("CREATE TABLE t (x INTEGER) STRICT; INSERT INTO t (x) VALUES (7)").unwrap();
        db
    }

    #[test]
    fn a_day_has_one_copy_and_ten_stay() {
        let dir = tempfile::tempdir().unwrap();
        let record = dir.path().join("progress.db");
        for day in 0..13 {
            keep_daily(&database(), &record, date(2026, 11, 1).saturating_add(day.days())).unwrap();
            keep_daily(&database(), &record, date(2026, 11, 1).saturating_add(day.days())).unwrap();
        }
        let names = names(&record);
        assert_eq!(names.len(), 10);
        assert_eq!((&*names[0], &*names[9]), ("progress-0004-2026-11-04.db", "progress-0013-2026-11-13.db"));
    }

    #[test]
    fn copies_made_under_a_wrong_clock_leave_before_newer_ones() {
        let dir = tempfile::tempdir().unwrap();
        let record = dir.path().join("progress.db");
        keep_daily(&database(), &record, date(2076, 1, 1)).unwrap();
        for day in 0..10 {
            keep_daily(&database(), &record, date(2026, 11, 1).saturating_add(day.days())).unwrap();
        }
        assert_eq!(names(&record)[0], "progress-0002-2026-11-01.db");
    }

    #[test]
    fn a_copy_can_be_opened_and_holds_the_rows() {
        let dir = tempfile::tempdir().unwrap();
        let path = keep(&database(), &dir.path().join("progress.db"), "2026-11-24").unwrap();
        let x: i64 = Connection::open(path).unwrap().query_row("SELECT x FROM t", [], |row| row.get(0)).unwrap();
        assert_eq!(x, 7);
    }
}
