//! A check sum in every row, so that a flipped bit in a value is seen, not taught from.
//!
//! SQLite's own checks find broken pages and indexes; a changed byte inside a text or a number passes them.
//! The seal of a row is the first 8 bytes (little-endian) of the SHA-256 of: the seal before it (8 bytes, little-endian; 0 but
//! for `attempts`, whose rows form a chain), the table's name and a zero byte, then each value but the seal in
//! the order of the columns: `n`, or `i` and 8 bytes, or `r` and the 8 bytes of the float, or `t`, the length in 8
//! bytes and the text; all little-endian. It guards against disks, not against people.

use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row};
use sha2::{Digest, Sha256};

/// The table whose rows are chained, so that a row that went missing is seen too.
const CHAINED: &str = "attempts";

/// Seals the row with this rowid, as it stands in the database.
pub fn seal_row(db: &Connection, table: &str, rowid: i64) -> rusqlite::Result<()> {
    let before = if table == CHAINED { seal_before(db, rowid)? } else { 0 };
    let columns = columns(db, table)?;
    let mut read = db.prepare_cached(&format!("SELECT {columns} FROM {table} WHERE rowid = ?1"))?;
    let seal = read.query_row([rowid], |row| seal_of(before, table, row))?;
    let mut write = db.prepare_cached(&format!("UPDATE {table} SET seal = ?1 WHERE rowid = ?2"))?;
    write.execute([seal, rowid]).map(drop)
}

/// Seals every row anew, after a migration has changed the columns.
pub fn seal_all(db: &Connection) -> rusqlite::Result<()> {
    for table in tables(db)? {
        let rowids: Vec<i64> = db
            .prepare(&format!("SELECT rowid FROM {table} ORDER BY rowid"))?
            .query_map([], |row| row.get(0))?
            .collect::<rusqlite::Result<_>>()?;
        for rowid in rowids {
            seal_row(db, &table, rowid)?;
        }
    }
    Ok(())
}

/// The first row whose seal does not fit, in words; `None` when all do.
pub fn first_broken(db: &Connection) -> rusqlite::Result<Option<String>> {
    for table in tables(db)? {
        let columns = columns(db, &table)?;
        let mut statement = db.prepare(&format!("SELECT {columns}, seal, rowid FROM {table} ORDER BY rowid"))?;
        let values = statement.column_count() - 2;
        let mut rows = statement.query([])?;
        let mut before = 0;
        while let Some(row) = rows.next()? {
            let stored: i64 = row.get(values)?;
            if stored != seal_of_values(before, &table, row, values)? {
                return Ok(Some(format!(
                    "row {} of `{table}` does not fit its check sum",
                    row.get::<_, i64>(values + 1)?
                )));
            }
            before = if table == CHAINED { stored } else { 0 };
        }
    }
    Ok(None)
}

fn seal_before(db: &Connection, rowid: i64) -> rusqlite::Result<i64> {
    let sql = "SELECT coalesce((SELECT seal FROM attempts WHERE seq < ?1 ORDER BY seq DESC LIMIT 1), 0)";
    db.prepare_cached(sql)?.query_row([rowid], |row| row.get(0))
}

/// The tables that have seals; their names are ours, since the schema was compared before.
fn tables(db: &Connection) -> rusqlite::Result<Vec<String>> {
    db.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")?
        .query_map([], |row| row.get(0))?
        .collect()
}

fn columns(db: &Connection, table: &str) -> rusqlite::Result<String> {
    let names: Vec<String> = db
        .prepare_cached("SELECT name FROM pragma_table_info(?1) WHERE name <> 'seal' ORDER BY cid")?
        .query_map([table], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    Ok(names.join(", "))
}

fn seal_of(before: i64, table: &str, row: &Row) -> rusqlite::Result<i64> {
    seal_of_values(before, table, row, row.as_ref().column_count())
}

fn seal_of_values(before: i64, table: &str, row: &Row, values: usize) -> rusqlite::Result<i64> {
    let mut hash = Sha256::new();
    hash.update(before.to_le_bytes());
    hash.update(table);
    hash.update([0]);
    for index in 0..values {
        match row.get_ref(index)? {
            ValueRef::Null => hash.update(b"n"),
            ValueRef::Integer(value) => {
                hash.update(b"i");
                hash.update(value.to_le_bytes());
            }
            ValueRef::Real(value) => {
                hash.update(b"r");
                hash.update(value.to_le_bytes());
            }
            ValueRef::Text(bytes) | ValueRef::Blob(bytes) => {
                hash.update(b"t");
                hash.update((bytes.len() as u64).to_le_bytes());
                hash.update(bytes);
            }
        }
    }
    let digest = hash.finalize();
    let first: [u8; 8] = digest[..8].try_into().expect("a SHA-256 has 32 bytes");
    Ok(i64::from_le_bytes(first))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealed() -> Connection {
        let db = Connection::open_in_memory().unwrap();
        db.execute_batch(
            "CREATE TABLE attempts (seq INTEGER PRIMARY KEY, item TEXT NOT NULL, seal INTEGER NOT NULL DEFAULT 0) STRICT;
             CREATE TABLE labs (lab TEXT NOT NULL PRIMARY KEY, share REAL, seal INTEGER NOT NULL DEFAULT 0) STRICT;
             INSERT INTO attempts (seq, item) VALUES (1, 'a'), (2, 'b'), (3, 'c');
             INSERT INTO labs (lab, share) VALUES ('tokens', -0.0), ('generate', NULL);",
        )
        .unwrap();
        seal_all(&db).unwrap();
        db
    }

    #[test]
    fn sealed_rows_are_whole() {
        assert_eq!(first_broken(&sealed()).unwrap(), None);
    }

    #[test]
    fn a_changed_value_a_missing_row_and_a_foreign_row_are_found() {
        for (change, row) in [
            ("UPDATE attempts SET item = 'B' WHERE seq = 2", "row 2 of `attempts`"),
            ("DELETE FROM attempts WHERE seq = 2", "row 3 of `attempts`"),
            ("INSERT INTO attempts (seq, item) VALUES (4, 'd')", "row 4 of `attempts`"),
            ("UPDATE labs SET share = 0.5 WHERE lab = 'generate'", "row 2 of `labs`"),
        ] {
            let db = sealed();
            db.execute_batch(change).unwrap();
            let found = first_broken(&db).unwrap().unwrap_or_default();
            assert!(found.starts_with(row), "{change}: {found}");
        }
    }
}
