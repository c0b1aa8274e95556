//! The learner's record under real faults: killed processes, damaged and foreign files, old schemas, lax umasks,
//! a second process, a file system that takes no more. Nothing here waits on a clock.

#![allow(clippy::disallowed_methods, reason = "the killed child is told by the environment what it is")]
#![allow(clippy::unwrap_used)]

use std::collections::HashSet;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};

use jiff::ToSpan;
use jiff::civil::{Date, date};
use osai::progress::{Attempt, Confidence, GoalReached, Progress, ProgressError};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use rusqlite::Connection;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

const DAY: Date = date(2026, 11, 24);
/// 2026-11-24, noon, in Unix seconds.
const NOON: i64 = 1_795_521_600;

fn attempt(id: impl ToString, item: &str, right: bool) -> Attempt {
    Attempt {
        id: id.to_string(),
        item: item.to_owned(),
        mode: "quiz".to_owned(),
        answer: r#"{"choices":["b"]}"#.to_owned(),
        right,
        score: f64::from(u8::from(right)),
        confidence: None,
        elapsed_ms: 2500,
        answered_at: NOON,
        content_version: "0.1.0".to_owned(),
        pack: None,
    }
}

/// Memory where there is a file system for it: hundreds of small files need no disk.
fn fast_dir() -> TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

fn file(dir: &Path) -> PathBuf {
    dir.join("progress.db")
}

/// A record with something in every table.
fn filled(dir: &Path, answers: usize) -> Progress {
    let mut random = ChaCha8Rng::seed_from_u64(8);
    let mut progress = Progress::open(dir).unwrap();
    assert_eq!(progress.notice(), None);
    for n in 0..answers {
        let confidence = [None, Some(Confidence::Guess), Some(Confidence::Fair), Some(Confidence::Sure)];
        let attempt = Attempt {
            confidence: confidence[random.next_u32() as usize % 4],
            pack: (n % 7 == 0).then(|| "school".to_owned()),
            ..attempt(format!("id-{n}"), &format!("p3/item-{}", random.next_u32() % 9), random.next_u32() % 3 > 0)
        };
        // Days go forward and, now and then, far back.
        let day = DAY.saturating_add((n as i64 / 4 - i64::from(random.next_u32() % 20 == 0) * 4000).days());
        progress.record(&attempt, day).unwrap();
    }
    progress.save_position("p3", 0.4, false, NOON).unwrap();
    progress.save_position("f1", 1.0, true, NOON).unwrap();
    let goal = GoalReached {
        lab: "tokens".to_owned(),
        goal: "budget".to_owned(),
        evidence: r#"{"tokens":7}"#.to_owned(),
        reached_at: NOON,
    };
    progress.reach_goal(&goal).unwrap();
    progress.save_lab("tokens", r#"{"text":"hello"}"#, NOON).unwrap();
    progress.save_last_screen(r#"{"screen":"home"}"#).unwrap();
    progress
}

/// Everything that can be read, as text.
fn all_of(progress: &Progress) -> String {
    format!(
        "{:?}\n{:?}\n{:?}\n{:?}",
        progress.attempts().unwrap(),
        progress.cards().unwrap(),
        progress.labs().unwrap(),
        progress.summary(DAY.saturating_add(9.years())).unwrap(),
    )
}

#[test]
fn an_answer_is_there_after_opening_again_and_is_asked_again_when_its_day_has_come() {
    let dir = fast_dir();
    let mut progress = Progress::open(dir.path()).unwrap();
    let wrong = progress.record(&attempt("1", "p3/a", false), DAY).unwrap();
    assert_eq!(wrong.due_on, date(2026, 11, 25));
    progress.record(&attempt("2", "p3/b", true), DAY).unwrap();
    drop(progress);

    let progress = Progress::open(dir.path()).unwrap();
    assert_eq!(progress.attempts().unwrap()[0], (1, attempt("1", "p3/a", false)));
    assert_eq!(progress.summary(DAY).unwrap().due, Vec::<String>::new());
    assert_eq!(progress.summary(date(2026, 11, 25)).unwrap().due, ["p3/a"]);
    assert_eq!(progress.summary(date(2026, 12, 25)).unwrap().due, ["p3/a", "p3/b"]);
    let items = progress.summary(DAY).unwrap().items;
    assert_eq!((items[0].answers, items[0].right, items[0].last_right), (1, 0, false));
}

#[test]
fn an_attempt_recorded_twice_keeps_one_row_and_gives_the_same_card() {
    let mut progress = Progress::in_memory();
    let first = progress.record(&attempt("1", "p3/a", true), DAY).unwrap();
    let second = progress.record(&attempt("1", "p3/a", false), DAY.tomorrow().unwrap()).unwrap();
    assert_eq!(first, second);
    assert_eq!(progress.attempt_count().unwrap(), 1);
}

#[test]
fn the_furthest_place_the_first_completion_and_the_first_evidence_stay() {
    let mut progress = Progress::in_memory();
    progress.save_position("p3", 0.8, true, 100).unwrap();
    progress.save_position("p3", 0.2, false, 200).unwrap();
    let place = &progress.summary(DAY).unwrap().lessons[0];
    assert_eq!((place.furthest, place.position, place.completed_at, place.updated_at), (0.8, 0.2, Some(100), 200));

    let goal = |evidence: &str| GoalReached {
        lab: "tokens".to_owned(),
        goal: "budget".to_owned(),
        evidence: evidence.to_owned(),
        reached_at: 5,
    };
    progress.reach_goal(&goal("first")).unwrap();
    progress.reach_goal(&goal("second")).unwrap();
    assert_eq!(progress.summary(DAY).unwrap().goals, [goal("first")]);
}

#[test]
fn a_round_through_a_quiz_goes_on_where_it_was_left() {
    let mut progress = Progress::in_memory();
    let items: Vec<String> = ["p3/a", "p3/b", "p3/c"].map(str::to_owned).into();
    assert_eq!(progress.left_of_round(&items).unwrap(), items);
    progress.record(&attempt("1", "p3/a", false), DAY).unwrap();
    progress.record(&Attempt { mode: "review".to_owned(), ..attempt("2", "p3/b", true) }, DAY).unwrap();
    assert_eq!(progress.left_of_round(&items).unwrap(), ["p3/b", "p3/c"], "a review is no part of the round");
    progress.record(&attempt("3", "p3/c", true), DAY).unwrap();
    progress.record(&attempt("4", "p3/b", true), DAY).unwrap();
    assert_eq!(progress.left_of_round(&items).unwrap(), items, "the round is over");
}

#[test]
fn rebuilt_cards_equal_the_stored_ones_whatever_the_clock_did() {
    let dir = fast_dir();
    let mut progress = filled(dir.path(), 400);
    let before = all_of(&progress);
    assert_eq!(progress.rebuild().unwrap(), 9);
    assert_eq!(all_of(&progress), before);
    drop(progress);
    assert_eq!(Progress::open(dir.path()).unwrap().check(), Ok(()));
}

#[test]
fn in_memory_says_why_when_it_stands_in_for_a_file() {
    let dir = fast_dir();
    fs::write(dir.path().join("taken"), "").unwrap();
    let error = Progress::open(&dir.path().join("taken/osai")).unwrap_err();
    assert!(matches!(error, ProgressError::Unwritable { .. }), "{error:?}");
    let mut progress = Progress::in_memory_because(&error);
    assert!(progress.notice().unwrap().starts_with("nothing is saved: progress cannot be kept in `"));
    progress.record(&attempt("1", "p3/a", true), DAY).unwrap();
}

#[test]
fn reading_makes_nothing() {
    let dir = fast_dir();
    let mut progress = Progress::open_read_only(&dir.path().join("absent")).unwrap();
    assert_eq!(progress.attempt_count().unwrap(), 0);
    assert!(matches!(progress.record(&attempt("1", "p3/a", true), DAY), Err(ProgressError::ReadOnly { .. })));
    assert!(fs::read_dir(dir.path()).unwrap().next().is_none());
}

#[test]
fn a_second_process_reads_and_says_so_until_the_first_has_ended() {
    let dir = fast_dir();
    let mut first = filled(dir.path(), 3);
    let mut second = Progress::open(dir.path()).unwrap();
    assert_eq!(
        second.notice(),
        Some("nothing is saved here: another osai has your record open; close it and start this one again")
    );
    assert!(matches!(second.record(&attempt("x", "p3/a", true), DAY), Err(ProgressError::ReadOnly { .. })));
    first.record(&attempt("y", "p3/a", true), DAY).unwrap();
    assert_eq!(second.attempt_count().unwrap(), 4);
    drop(first);
    assert_eq!(Progress::open(dir.path()).unwrap().notice(), None);
}

#[test]
fn ten_dated_copies_stay_and_each_can_be_restored() {
    let dir = fast_dir();
    let mut progress = Progress::open(dir.path()).unwrap();
    for day in 0..13 {
        let answered_at = NOON + day * 86_400;
        progress.record(&Attempt { answered_at, ..attempt(day, "p3/a", true) }, DAY).unwrap();
    }
    assert_eq!(progress.copy_notice(), None);
    drop(progress);
    let mut copies: Vec<PathBuf> =
        fs::read_dir(dir.path().join("backups")).unwrap().map(|entry| entry.unwrap().path()).collect();
    copies.sort();
    assert_eq!(copies.len(), 10);
    assert!(copies[9].ends_with("progress-0012-2026-12-06.db"), "{copies:?}");
    // Each was made before the first answer of its day; the oldest kept is that of the fourth day.
    for (answers, copy) in (3..).zip(&copies) {
        fs::copy(copy, file(dir.path())).unwrap();
        let mut restored = Progress::open(dir.path()).unwrap();
        assert_eq!(restored.check(), Ok(()));
        assert_eq!(restored.attempt_count().unwrap(), answers, "{}", copy.display());
    }
}

/// The seal as `src/progress/seal.rs` describes it, written a second time; every value here is text or a number.
fn seal(before: i64, table: &str, values: &[rusqlite::types::Value]) -> i64 {
    use rusqlite::types::Value;
    let mut bytes = [before.to_le_bytes().as_slice(), table.as_bytes(), &[0]].concat();
    for value in values {
        match value {
            Value::Null => bytes.push(b'n'),
            Value::Integer(i) => bytes.extend([[b'i'].as_slice(), &i.to_le_bytes()].concat()),
            Value::Real(r) => bytes.extend([[b'r'].as_slice(), &r.to_le_bytes()].concat()),
            Value::Text(t) => {
                bytes.extend([[b't'].as_slice(), &(t.len() as u64).to_le_bytes(), t.as_bytes()].concat());
            }
            Value::Blob(_) => unreachable!("no table of ours has blobs"),
        }
    }
    i64::from_le_bytes(Sha256::digest(bytes)[..8].try_into().unwrap())
}

/// A record as schema version 1 was: attempts and cards only. Frozen; a new version gets a builder of its own.
fn build_version_1(dir: &Path, answers: i64) {
    let db = Connection::open(file(dir)).unwrap();
    db.execute_batch(include_str!("../src/progress/schema/1_attempts_and_cards.sql")).unwrap();
    db.execute_batch("PRAGMA application_id = 1869832553; PRAGMA user_version = 1; BEGIN").unwrap();
    let mut last = 0;
    for seq in 1..=answers {
        let id = format!("id-{seq}");
        let row = rusqlite::params![
            seq,
            id,
            "p3/a",
            "quiz",
            "{}",
            1,
            1.0,
            None::<i64>,
            900,
            NOON,
            "2026-11-24",
            "0.1.0",
            None::<String>
        ];
        db.execute(
            "INSERT INTO attempts (seq, id, item, mode, answer, is_right, score, confidence, elapsed_ms, answered_at,
                 answered_on, content_version, pack) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            row,
        )
        .unwrap();
        last = seal_by_hand(&db, "attempts", last, seq);
    }
    db.execute_batch(
        "INSERT INTO cards (item, due_on, interval_days, lapses, stability, difficulty, reviewed_on)
         VALUES ('p3/a', '2026-11-26', 2, 0, 2.25, 2.5, '2026-11-24')",
    )
    .unwrap();
    seal_by_hand(&db, "cards", 0, 1);
    db.execute_batch("COMMIT").unwrap();
}

fn seal_by_hand(db: &Connection, table: &str, before: i64, rowid: i64) -> i64 {
    let row = db.query_row(&format!("SELECT * FROM {table} WHERE rowid = {rowid}"), [], |row| {
        (0..row.as_ref().column_count() - 1).map(|i| row.get(i)).collect::<rusqlite::Result<Vec<_>>>()
    });
    let seal = seal(before, table, &row.unwrap());
    db.execute(&format!("UPDATE {table} SET seal = ?1 WHERE rowid = ?2"), [seal, rowid]).unwrap();
    seal
}

#[test]
fn a_record_of_version_1_is_copied_and_brought_forward_with_all_rows() {
    let dir = fast_dir();
    build_version_1(dir.path(), 5);
    let before = fs::read(file(dir.path())).unwrap();

    let read_only = Progress::open_read_only(dir.path()).unwrap();
    assert_eq!(read_only.attempt_count().unwrap(), 5);
    assert!(read_only.summary(DAY).unwrap().lessons.is_empty());
    assert_eq!(fs::read(file(dir.path())).unwrap(), before, "reading migrates in memory only");
    drop(read_only);

    let mut progress = Progress::open(dir.path()).unwrap();
    assert_eq!(progress.check(), Ok(()));
    let ids: Vec<String> = progress.attempts().unwrap().into_iter().map(|(_, attempt)| attempt.id).collect();
    assert_eq!(ids, ["id-1", "id-2", "id-3", "id-4", "id-5"]);
    assert_eq!(progress.cards().unwrap()[0].due_on, date(2026, 11, 26));
    progress.save_position("p3", 0.5, false, NOON).unwrap();

    let copy = dir.path().join("backups/progress-0001-2026-11-24-schema-1.db");
    let version: i64 = Connection::open(copy).unwrap().pragma_query_value(None, "user_version", |r| r.get(0)).unwrap();
    assert_eq!(version, 1);
}

#[test]
fn a_damaged_old_record_is_not_migrated() {
    let dir = fast_dir();
    build_version_1(dir.path(), 5);
    Connection::open(file(dir.path())).unwrap().execute("UPDATE attempts SET score = 0 WHERE seq = 3", []).unwrap();
    let before = fs::read(file(dir.path())).unwrap();
    let error = Progress::open(dir.path()).unwrap_err();
    assert!(error.to_string().contains("row 3 of `attempts` does not fit its check sum"), "{error}");
    assert_eq!(fs::read(file(dir.path())).unwrap(), before);
}

#[test]
fn newer_and_tampered_schemas_are_refused_and_left_as_they_are() {
    for (change, expected) in [
        ("PRAGMA user_version = 99", "was made by a newer osai (schema 99)"),
        (
            "CREATE TRIGGER t AFTER INSERT ON attempts BEGIN DELETE FROM cards; END",
            "its tables are not as osai makes them",
        ),
        ("DROP TABLE labs; CREATE VIEW labs AS SELECT 1 AS lab, 2 AS state, 3 AS updated_at", "its tables are not as"),
        ("PRAGMA user_version = 0", "its tables are not as osai makes them"),
        ("PRAGMA application_id = 7", "is no osai progress file"),
        ("PRAGMA journal_mode = WAL", "another program has changed its journal mode"),
    ] {
        let dir = fast_dir();
        drop(filled(dir.path(), 3));
        Connection::open(file(dir.path())).unwrap().execute_batch(change).unwrap();
        let before = fs::read(file(dir.path())).unwrap();
        for error in [Progress::open(dir.path()).unwrap_err(), Progress::open_read_only(dir.path()).unwrap_err()] {
            assert!(error.to_string().contains(expected), "{change}: {error}");
        }
        assert_eq!(fs::read(file(dir.path())).unwrap(), before, "{change}");
    }
}

#[test]
fn foreign_files_are_refused_and_left_as_they_are() {
    let other = fast_dir();
    let other_db = other.path().join("notes.db");
    Connection::open(&other_db).unwrap().execute_batch("CREATE TABLE notes (text TEXT)").unwrap();
    let mut kinds: Vec<Vec<u8>> = vec![
        Vec::new(),
        b"<!DOCTYPE html><title>404</title>".to_vec(),
        [b"PK\x03\x04".as_slice(), &[0; 500]].concat(),
        b"SQLite format 3\0".to_vec(),
        [b"SQLite format 3\0".as_slice(), &[0; 4080]].concat(),
        vec![0; 8192],
        b"version https://git-lfs.github.com/spec/v1\n".to_vec(),
        fs::read(other_db).unwrap(),
    ];
    let mut random = ChaCha8Rng::seed_from_u64(16);
    kinds.extend((0..50).map(|n| (0..n * 97).map(|_| random.next_u32() as u8).collect()));
    for content in kinds {
        let dir = fast_dir();
        fs::write(file(dir.path()), &content).unwrap();
        for error in [Progress::open(dir.path()).unwrap_err(), Progress::open_read_only(dir.path()).unwrap_err()] {
            assert!(matches!(error, ProgressError::NotOurs { .. }), "{error:?}");
        }
        assert_eq!(fs::read(file(dir.path())).unwrap(), content);
        assert!(!dir.path().join("backups").exists());
    }
}

#[test]
fn links_folders_and_journals_without_their_file_are_refused() {
    let real = fast_dir();
    drop(filled(real.path(), 1));
    let before = fs::read(file(real.path())).unwrap();

    let dir = fast_dir();
    symlink(file(real.path()), file(dir.path())).unwrap();
    assert!(matches!(Progress::open(dir.path()), Err(ProgressError::NotOurs { .. })));
    fs::remove_file(file(dir.path())).unwrap();

    fs::create_dir(file(dir.path())).unwrap();
    assert!(matches!(Progress::open(dir.path()), Err(ProgressError::NotOurs { .. })));
    fs::remove_dir(file(dir.path())).unwrap();

    fs::remove_file(dir.path().join("progress.lock")).unwrap();
    symlink(file(real.path()), dir.path().join("progress.lock")).unwrap();
    assert!(matches!(Progress::open(dir.path()), Err(ProgressError::Unwritable { .. })));
    fs::remove_file(dir.path().join("progress.lock")).unwrap();

    let journal = dir.path().join("progress.db-journal");
    fs::write(&journal, "an unfinished write").unwrap();
    let error = Progress::open(dir.path()).unwrap_err();
    assert!(error.to_string().contains("it belongs to a progress.db that is not here"), "{error}");
    assert_eq!(fs::read(&journal).unwrap(), b"an unfinished write");
    assert!(!file(dir.path()).exists());

    assert_eq!(fs::read(file(real.path())).unwrap(), before);
}

/// Damages `bytes` in one of seven ways.
fn damage(bytes: &mut Vec<u8>, random: &mut ChaCha8Rng) -> &'static str {
    let at = |random: &mut ChaCha8Rng, below: usize| random.next_u32() as usize % below;
    let pages = bytes.len() / 4096;
    match random.next_u32() % 10 {
        0 => {
            bytes.truncate(at(random, bytes.len()));
            "cut short"
        }
        1 => {
            bytes.truncate(at(random, pages) * 4096);
            "cut at a page"
        }
        2 => {
            let page = at(random, pages) * 4096;
            bytes[page..page + 4096].fill(0);
            "a page of zeros"
        }
        3 => {
            let (a, b) = (at(random, pages) * 4096, at(random, pages) * 4096);
            for i in 0..4096 {
                bytes.swap(a + i, b + i);
            }
            "two pages swapped"
        }
        4 => {
            let start = at(random, bytes.len() - 512);
            bytes[start..start + 512].fill_with(|| random.next_u32() as u8);
            "a sector of noise"
        }
        5 => {
            let start = at(random, 512);
            bytes[start] ^= 1 << (random.next_u32() % 8);
            "a bit near the start"
        }
        _ => {
            let start = at(random, bytes.len());
            bytes[start] ^= 1 << (random.next_u32() % 8);
            "a bit"
        }
    }
}

/// 200 damaged copies (`OSAI_MUTATIONS` asks for more): each is refused and left alone, or nothing of it was hurt.
#[test]
fn a_damaged_record_is_refused_before_any_write_and_left_as_it_is() {
    let rounds = number_from("OSAI_MUTATIONS", 200);
    let dir = fast_dir();
    let progress = filled(dir.path(), 300);
    let rows = progress.attempts().unwrap();
    let whole = all_of(&progress);
    drop(progress);
    let original = fs::read(file(dir.path())).unwrap();
    assert!(original.len() >= 10 * 4096, "enough pages to hit: {}", original.len());

    let mut random = ChaCha8Rng::seed_from_u64(15);
    let (mut refused_at_once, mut refused_at_write, mut harmless) = (0, 0, 0);
    for round in 0..rounds {
        let mut bytes = original.clone();
        let how = damage(&mut bytes, &mut random);
        fs::write(file(dir.path()), &bytes).unwrap();
        let outcome = Progress::open(dir.path()).map_err(|e| (true, e)).and_then(|mut progress| {
            let read = progress.attempts();
            progress.record(&attempt("new", "x3/new", true), DAY).map_err(|e| (false, e))?;
            assert_eq!(read.as_ref(), Ok(&rows), "round {round}, {how}: accepted, so nothing may differ");
            Ok(progress)
        });
        match outcome {
            Err((at_once, error)) => {
                let refusal = matches!(
                    error,
                    ProgressError::Damaged { .. } | ProgressError::NotOurs { .. } | ProgressError::Newer { .. }
                );
                assert!(refusal, "round {round}, {how}: {error:?}");
                assert_eq!(fs::read(file(dir.path())).unwrap(), bytes, "round {round}, {how}: left as it is");
                if at_once { refused_at_once += 1 } else { refused_at_write += 1 }
            }
            Ok(progress) => {
                harmless += 1;
                assert_eq!(progress.attempt_count().unwrap(), rows.len() as u64 + 1);
                drop(progress);
                // Undamaged but for unused bytes: a copy read again shows all the rest.
                fs::write(file(dir.path()), &bytes).unwrap();
                assert_eq!(all_of(&Progress::open(dir.path()).unwrap()), whole, "round {round}, {how}");
            }
        }
    }
    report(&format!(
        "{rounds} mutations: {refused_at_once} refused on opening, {refused_at_write} before the first write, \
         {harmless} in unused bytes"
    ));
    assert!(refused_at_once > 0 && refused_at_write > 0);
}

/// The other end of the tests that need a second process: opens the record and answers until it is killed. Prints the
/// id of each answer on stderr once `record` has returned. Does nothing unless it was asked to.
#[test]
fn child() {
    let Some(dir) = std::env::var_os("OSAI_CHILD_DIR").map(PathBuf::from) else { return };
    let mut acknowledge = std::io::stderr();
    if std::env::var_os("OSAI_CHILD_OPENS").is_some() {
        for n in 0.. {
            let record = dir.join(n.to_string());
            if !record.exists() {
                return;
            }
            drop(Progress::open(&record).unwrap());
        }
    }
    let answers = number_from("OSAI_CHILD_ANSWERS", u32::MAX);
    let mut progress = Progress::open(&dir).unwrap();
    assert_eq!(progress.notice(), None);
    let start = progress.attempt_count().unwrap();
    for n in 0..u64::from(answers) {
        let seq = start + n;
        let id = format!("{}-{seq}", std::process::id());
        let now = NOON + (seq / 3) as i64 * 86_400;
        let attempt = Attempt {
            answered_at: now,
            answer: format!(r#"{{"blanks":["{}"]}}"#, "x".repeat(seq as usize * 37 % 3000)),
            ..attempt(&id, &format!("p3/item-{}", seq % 11), !seq.is_multiple_of(3))
        };
        let recorded = progress.record(&attempt, DAY.saturating_add((seq as i64 / 3).days()));
        if recorded.is_ok() {
            // One write, so that a kill cannot leave half a line.
            acknowledge.write_all(format!("ack {id}\n").as_bytes()).unwrap();
        }
        // Other writes come between the answers.
        let place = if seq.is_multiple_of(4) { progress.save_position("p3", 0.5, false, now) } else { Ok(()) };
        if let Err(error) = recorded.map(drop).and(place) {
            acknowledge.write_all(format!("refused {error}\n").as_bytes()).unwrap();
            return;
        }
    }
}

/// This test program again, running `child` only; `shell` runs first (a umask, a limit).
fn spawn_child(dir: &Path, shell: &str, settings: &[(&str, &str)]) -> (Child, BufReader<ChildStderr>) {
    let mut child = Command::new("sh")
        .args(["-c", &format!("{shell} exec \"$0\" \"$@\"")])
        .arg(std::env::current_exe().unwrap())
        .args(["child", "--exact", "--nocapture"])
        .env("OSAI_CHILD_DIR", dir)
        .envs(settings.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let stderr = BufReader::new(child.stderr.take().unwrap());
    (child, stderr)
}

fn number_from(variable: &str, otherwise: u32) -> u32 {
    std::env::var(variable).map_or(otherwise, |value| value.parse().unwrap())
}

/// A line for the person who runs the tests with `--nocapture`.
fn report(line: &str) {
    std::io::stdout().write_all(format!("{line}\n").as_bytes()).unwrap();
}

/// Lets the other process run for a while that differs from round to round.
fn linger(random: &mut ChaCha8Rng) {
    for _ in 0..random.next_u32() % 3_000_000 {
        std::hint::spin_loop();
    }
}

/// 60 rounds (`OSAI_KILL_ROUNDS` asks for more); every sixth begins with an empty folder, so that making the file is hit too.
#[test]
fn killed_at_any_moment_nothing_acknowledged_is_lost() {
    let rounds = number_from("OSAI_KILL_ROUNDS", 60);
    let root = tempfile::tempdir().unwrap();
    let mut random = ChaCha8Rng::seed_from_u64(9);
    let (mut acknowledged, mut unacknowledged, mut unfinished) = (0, 0, 0);
    let mut stored: HashSet<String> = HashSet::new();
    for round in 0..rounds {
        let dir = root.path().join((round / 6).to_string());
        if round % 6 == 0 {
            stored.clear();
        }
        let (mut child, stderr) = spawn_child(&dir, "", &[]);
        let mut lines = stderr.lines();
        let mut acked: Vec<String> = (&mut lines).take((random.next_u32() % 8) as usize).map(Result::unwrap).collect();
        linger(&mut random);
        child.kill().unwrap();
        child.wait().unwrap();
        // What it said before it died was said.
        acked.extend(lines.map(Result::unwrap));

        unfinished += u32::from(fs::metadata(dir.join("progress.db-journal")).is_ok_and(|journal| journal.len() > 0));
        let mut progress = Progress::open(&dir).unwrap();
        assert_eq!(progress.notice(), None, "round {round}: the lock of a dead process is free");
        assert_eq!(progress.check(), Ok(()), "round {round}");
        let now: HashSet<String> = progress.attempts().unwrap().into_iter().map(|(_, attempt)| attempt.id).collect();
        for line in &acked {
            let id = line.strip_prefix("ack ").unwrap_or_else(|| panic!("round {round}: {line}"));
            assert!(now.contains(id), "round {round}: {id} was acknowledged and is lost");
        }
        assert!(stored.is_subset(&now), "round {round}: an earlier answer is lost");
        let more = now.len() - stored.len() - acked.len();
        assert!(more <= 1, "round {round}: {more} answers stored but not acknowledged");
        acknowledged += acked.len();
        unacknowledged += more;
        stored = now;
        let before = progress.cards().unwrap();
        progress.rebuild().unwrap();
        assert_eq!(progress.cards().unwrap(), before, "round {round}");
    }
    report(&format!(
        "{rounds} kills: {acknowledged} answers acknowledged, 0 lost, 0 corrupt; {unfinished} left a write to undo, \
         {unacknowledged} stored an answer that was not yet acknowledged"
    ));
}

#[test]
fn killed_during_migration_a_record_is_old_or_new_and_whole() {
    let mut random = ChaCha8Rng::seed_from_u64(4);
    let mut migrated = 0;
    for _ in 0..8 {
        let root = fast_dir();
        for n in 0..12 {
            let dir = root.path().join(n.to_string());
            fs::create_dir(&dir).unwrap();
            build_version_1(&dir, 40);
        }
        let (mut child, _stderr) = spawn_child(root.path(), "", &[("OSAI_CHILD_OPENS", "1")]);
        linger(&mut random);
        child.kill().unwrap();
        child.wait().unwrap();
        for n in 0..12 {
            let dir = root.path().join(n.to_string());
            migrated += u32::from(dir.join("backups").exists());
            let mut progress = Progress::open(&dir).unwrap();
            assert_eq!(progress.check(), Ok(()));
            assert_eq!(progress.attempt_count().unwrap(), 40);
            progress.save_position("p3", 0.5, false, NOON).unwrap();
        }
    }
    report(&format!("migration: {migrated} of 96 records were reached before the kill"));
}

#[test]
fn files_are_private_under_any_umask() {
    let root = fast_dir();
    let dir = root.path().join("share/osai");
    let (mut child, stderr) = spawn_child(&dir, "umask 000;", &[("OSAI_CHILD_ANSWERS", "9")]);
    assert_eq!(stderr.lines().count(), 9);
    assert!(child.wait().unwrap().success());
    let mut seen = Vec::new();
    let mut folders = vec![dir.clone()];
    while let Some(folder) = folders.pop() {
        assert_eq!(fs::metadata(&folder).unwrap().mode() & 0o777, 0o700, "{}", folder.display());
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            if entry.file_type().unwrap().is_dir() {
                folders.push(entry.path());
            } else {
                assert_eq!(entry.metadata().unwrap().mode() & 0o777, 0o600, "{}", entry.path().display());
                seen.push(entry.file_name().into_string().unwrap());
            }
        }
    }
    seen.sort();
    let expected = [
        "progress-0001-2026-11-25.db",
        "progress-0002-2026-11-26.db",
        "progress.db",
        "progress.db-journal",
        "progress.lock",
    ];
    assert_eq!(seen, expected);
}

#[test]
fn a_record_that_others_may_read_becomes_private() {
    use std::os::unix::fs::PermissionsExt;
    let dir = fast_dir();
    drop(filled(dir.path(), 1));
    fs::set_permissions(file(dir.path()), fs::Permissions::from_mode(0o644)).unwrap();
    drop(Progress::open(dir.path()).unwrap());
    assert_eq!(fs::metadata(file(dir.path())).unwrap().mode() & 0o777, 0o600);
}

/// A limit on the size of files stands in for a full disk: no mount is needed, and the write fails just as late.
#[test]
fn when_the_disk_takes_no_more_an_answer_is_refused_and_the_earlier_ones_are_there() {
    for kib in [48, 64, 100, 160] {
        let dir = fast_dir();
        drop(Progress::open(dir.path()).unwrap());
        // bash and dash count in 1024 and 512 bytes; either will do.
        let (mut child, stderr) = spawn_child(dir.path(), &format!("trap '' XFSZ; ulimit -f {kib};"), &[]);
        let lines: Vec<String> = stderr.lines().map(Result::unwrap).collect();
        assert!(child.wait().unwrap().success(), "{kib} KiB: {lines:?}");
        let (last, acked) = lines.split_last().unwrap();
        assert!(last.starts_with("refused not saved: the disk "), "{kib} KiB: {last}");
        let mut progress = Progress::open(dir.path()).unwrap();
        assert_eq!(progress.check(), Ok(()));
        let stored: Vec<String> =
            progress.attempts().unwrap().into_iter().map(|(_, attempt)| format!("ack {}", attempt.id)).collect();
        assert_eq!(stored, acked, "{kib} KiB");
    }
}
