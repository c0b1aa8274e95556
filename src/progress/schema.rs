//! The tables, and how an older file becomes a newer one.
//!
//! A migration runs in one transaction with the seals and the new `user_version`: a file is at one version or the next,
//! never between. The copy that is kept before is the business of `store`.

use rusqlite::{Connection, TransactionBehavior};

use super::seal;

/// Marks the file as ours: "osai" in ASCII.
pub const APPLICATION_ID: u32 = 0x6F73_6169;

/// Applied in order from `PRAGMA user_version`. Append; never edit what has shipped.
const MIGRATIONS: &[&str] =
    &[include_str!("schema/1_attempts_and_cards.sql"), include_str!("schema/2_places_goals_and_labs.sql")];

/// The version that this program writes.
pub const VERSION: u32 = MIGRATIONS.len() as u32;

/// The schema version of an open file.
pub fn version(db: &Connection) -> rusqlite::Result<u32> {
    db.pragma_query_value(None, "user_version", |row| row.get(0))
}

/// Brings a file from its version (0: empty) to [`VERSION`] in one transaction.
pub fn migrate(db: &mut Connection) -> rusqlite::Result<()> {
    migrate_to(db, VERSION)
}

fn migrate_to(db: &mut Connection, target: u32) -> rusqlite::Result<()> {
    let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let from = version(&tx)?;
    for migration in &MIGRATIONS[from.min(target) as usize..target as usize] {
        tx.execute_batch(migration)?;
    }
    if from > 0 {
        seal::seal_all(&tx)?;
    }
    tx.pragma_update(None, "application_id", APPLICATION_ID)?;
    tx.pragma_update(None, "user_version", target)?;
    tx.commit()
}

/// Whether the file has exactly the tables and indexes of its version. A view or a trigger that someone put in would
/// run as part of our own statements.
pub fn is_as_made(db: &Connection) -> rusqlite::Result<bool> {
    let mut reference = Connection::open_in_memory()?;
    migrate_to(&mut reference, version(db)?.min(VERSION))?;
    Ok(objects(db)? == objects(&reference)?)
}

/// Kind, name, table and text of everything in the schema.
type Object = (String, String, String, Option<String>);

fn objects(db: &Connection) -> rusqlite::Result<Vec<Object>> {
    db.prepare("SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY type, name")?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))?
        .collect()
}

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    use super::*;

    /// What has shipped is never edited: learners' files were made by it.
    #[test]
    fn migrations_are_as_they_were_shipped() {
        let prints: Vec<String> = MIGRATIONS
            .iter()
            .map(|sql| Sha256::digest(sql)[..4].iter().map(|b| format!("{b:02x}")).collect())
            .collect();
        assert_eq!(prints, ["477855a2", "47015ff4"]);
    }

    #[test]
    fn every_version_can_be_made_and_is_recognised() {
        for target in 1..=VERSION {
            let mut db = Connection::open_in_memory().unwrap();
            migrate_to(&mut db, target).unwrap();
            assert_eq!(version(&db).unwrap(), target);
            assert!(is_as_made(&db).unwrap(), "version {target}");
            migrate(&mut db).unwrap();
            assert!(is_as_made(&db).unwrap(), "version {target}, migrated");
        }
    }

    #[test]
    fn a_trigger_and_a_view_are_strangers() {
        for stranger in [
            "CREATE TRIGGER t AFTER INSERT ON attempts BEGIN DELETE FROM cards; END",
            "CREATE VIEW v AS SELECT 1",
            "ALTER TABLE cards ADD COLUMN more TEXT",
        ] {
            let mut db = Connection::open_in_memory().unwrap();
            migrate(&mut db).unwrap();
            db.execute_batch(stranger).unwrap();
            assert!(!is_as_made(&db).unwrap(), "{stranger}");
        }
    }

    /// Before 3.51.3 SQLite could lose commits in one of its modes; the bundled one must stay newer.
    #[test]
    fn the_bundled_sqlite_is_new_enough() {
        assert!(rusqlite::version_number() >= 3_051_003, "{}", rusqlite::version());
    }
}
