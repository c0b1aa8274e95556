//! Rows in and out: every statement on the tables stands here, and each write seals its row.

use std::collections::{BTreeMap, HashSet};

use jiff::civil::Date;
use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, Row, named_params};

use super::schedule::{next_review, rating_of};
use super::seal::seal_row;
use super::{Attempt, Card, Confidence, GoalReached, ItemSummary, LabState, LessonPosition};

/// Inserts an answer and works out its card. Gives the card as it is when the attempt is there already.
pub fn record(tx: &Connection, attempt: &Attempt, today: Date) -> rusqlite::Result<Card> {
    let known: Option<String> = tx
        .prepare_cached("SELECT item FROM attempts WHERE id = ?1")?
        .query_row([&attempt.id], |row| row.get(0))
        .optional()?;
    if let Some(item) = known {
        return card(tx, &item)?.ok_or(rusqlite::Error::QueryReturnedNoRows);
    }
    insert_attempt(tx, attempt, today)?;
    let before = card(tx, &attempt.item)?;
    let rating = rating_of(attempt.right, attempt.confidence);
    let next = next_review(&attempt.item, before.as_ref(), rating, today);
    put_card(tx, &next)?;
    Ok(next)
}

fn insert_attempt(tx: &Connection, attempt: &Attempt, today: Date) -> rusqlite::Result<()> {
    // NaN is no share; SQLite would make a NULL of it and refuse the row.
    let score = if attempt.score.is_nan() { 0.0 } else { attempt.score.clamp(0.0, 1.0) };
    let seq: i64 = tx
        .prepare_cached(
            "INSERT INTO attempts (id, item, mode, answer, is_right, score, confidence, elapsed_ms, answered_at, answered_on,
                                   content_version, pack)
             VALUES (:id, :item, :mode, :answer, :is_right, :score, :confidence, :elapsed_ms, :answered_at, :answered_on,
                     :content_version, :pack)
             RETURNING seq",
        )?
        .query_row(
            named_params! {
                ":id": attempt.id,
                ":item": attempt.item,
                ":mode": attempt.mode,
                ":answer": attempt.answer,
                ":is_right": attempt.right,
                ":score": score,
                ":confidence": attempt.confidence.map(|c| c as i64),
                ":elapsed_ms": i64::try_from(attempt.elapsed_ms).unwrap_or(i64::MAX),
                ":answered_at": attempt.answered_at,
                ":answered_on": today.to_string(),
                ":content_version": attempt.content_version,
                ":pack": attempt.pack,
            },
            |row| row.get(0),
        )?;
    seal_row(tx, "attempts", seq)
}

/// All attempts by sequence number.
pub fn attempts(db: &Connection) -> rusqlite::Result<Vec<(i64, Attempt)>> {
    db.prepare(
        "SELECT seq, id, item, mode, answer, is_right, score, confidence, elapsed_ms, answered_at, content_version, pack
         FROM attempts ORDER BY seq",
    )?
    .query_map([], |row| {
        let attempt = Attempt {
            id: row.get(1)?,
            item: row.get(2)?,
            mode: row.get(3)?,
            answer: row.get(4)?,
            right: row.get(5)?,
            score: row.get(6)?,
            confidence: confidence(row, 7)?,
            elapsed_ms: u64::try_from(row.get::<_, i64>(8)?).unwrap_or(0),
            answered_at: row.get(9)?,
            content_version: row.get(10)?,
            pack: row.get(11)?,
        };
        Ok((row.get(0)?, attempt))
    })?
    .collect()
}

/// Cards worked out anew from all attempts, by item.
pub fn derive_cards(db: &Connection) -> rusqlite::Result<Vec<Card>> {
    let mut cards: BTreeMap<String, Card> = BTreeMap::new();
    let mut statement = db.prepare("SELECT item, is_right, confidence, answered_on FROM attempts ORDER BY seq")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let item: String = row.get(0)?;
        let rating = rating_of(row.get(1)?, confidence(row, 2)?);
        let card = next_review(&item, cards.get(&item), rating, date(row, 3)?);
        cards.insert(item, card);
    }
    Ok(cards.into_values().collect())
}

/// Replaces all cards.
pub fn replace_cards(tx: &Connection, cards: &[Card]) -> rusqlite::Result<()> {
    tx.execute("DELETE FROM cards", [])?;
    cards.iter().try_for_each(|card| put_card(tx, card))
}

fn put_card(tx: &Connection, card: &Card) -> rusqlite::Result<()> {
    let rowid: i64 = tx
        .prepare_cached(
            "INSERT INTO cards (item, due_on, interval_days, lapses, stability, difficulty, reviewed_on)
             VALUES (:item, :due_on, :interval_days, :lapses, :stability, :difficulty, :reviewed_on)
             ON CONFLICT (item) DO UPDATE SET due_on = excluded.due_on, interval_days = excluded.interval_days,
                 lapses = excluded.lapses, stability = excluded.stability, difficulty = excluded.difficulty,
                 reviewed_on = excluded.reviewed_on
             RETURNING rowid",
        )?
        .query_row(
            named_params! {
                ":item": card.item,
                ":due_on": card.due_on.to_string(),
                ":interval_days": card.interval_days,
                ":lapses": card.lapses,
                ":stability": f64::from(card.stability),
                ":difficulty": f64::from(card.difficulty),
                ":reviewed_on": card.reviewed_on.to_string(),
            },
            |row| row.get(0),
        )?;
    seal_row(tx, "cards", rowid)
}

const CARD_COLUMNS: &str = "item, due_on, interval_days, lapses, stability, difficulty, reviewed_on";

/// The card of an item.
pub fn card(db: &Connection, item: &str) -> rusqlite::Result<Option<Card>> {
    db.prepare_cached(&format!("SELECT {CARD_COLUMNS} FROM cards WHERE item = ?1"))?
        .query_row([item], read_card)
        .optional()
}

/// All cards by item.
pub fn cards(db: &Connection) -> rusqlite::Result<Vec<Card>> {
    db.prepare(&format!("SELECT {CARD_COLUMNS} FROM cards ORDER BY item"))?.query_map([], read_card)?.collect()
}

fn read_card(row: &Row) -> rusqlite::Result<Card> {
    Ok(Card {
        item: row.get(0)?,
        due_on: date(row, 1)?,
        interval_days: row.get(2)?,
        lapses: row.get(3)?,
        // Stored from an f32, so nothing is lost on the way back.
        stability: row.get::<_, f64>(4)? as f32,
        difficulty: row.get::<_, f64>(5)? as f32,
        reviewed_on: date(row, 6)?,
    })
}

/// Keeps where a learner is in a lesson: the furthest place and the first completion stay.
pub fn put_place(tx: &Connection, place: &LessonPosition) -> rusqlite::Result<()> {
    let rowid: i64 = tx
        .prepare_cached(
            "INSERT INTO places (lesson, furthest, position, completed_at, updated_at)
             VALUES (:lesson, :furthest, :position, :completed_at, :updated_at)
             ON CONFLICT (lesson) DO UPDATE SET furthest = max(furthest, excluded.furthest), position = excluded.position,
                 completed_at = coalesce(completed_at, excluded.completed_at), updated_at = excluded.updated_at
             RETURNING rowid",
        )?
        .query_row(
            named_params! {
                ":lesson": place.lesson,
                ":furthest": place.furthest,
                ":position": place.position,
                ":completed_at": place.completed_at,
                ":updated_at": place.updated_at,
            },
            |row| row.get(0),
        )?;
    seal_row(tx, "places", rowid)
}

/// All lessons that were opened, by key.
pub fn places(db: &Connection) -> rusqlite::Result<Vec<LessonPosition>> {
    db.prepare("SELECT lesson, furthest, position, completed_at, updated_at FROM places ORDER BY lesson")?
        .query_map([], |row| {
            Ok(LessonPosition {
                lesson: row.get(0)?,
                furthest: row.get(1)?,
                position: row.get(2)?,
                completed_at: row.get(3)?,
                updated_at: row.get(4)?,
            })
        })?
        .collect()
}

/// Keeps a goal that was reached for the first time.
pub fn put_goal(tx: &Connection, goal: &GoalReached) -> rusqlite::Result<()> {
    let rowid: Option<i64> = tx
        .prepare_cached(
            "INSERT INTO goals (lab, goal, evidence, reached_at) VALUES (:lab, :goal, :evidence, :reached_at)
             ON CONFLICT (lab, goal) DO NOTHING
             RETURNING rowid",
        )?
        .query_row(
            named_params! {
                ":lab": goal.lab,
                ":goal": goal.goal,
                ":evidence": goal.evidence,
                ":reached_at": goal.reached_at,
            },
            |row| row.get(0),
        )
        .optional()?;
    rowid.map_or(Ok(()), |rowid| seal_row(tx, "goals", rowid))
}

/// All goals in the order in which they were reached.
pub fn goals(db: &Connection) -> rusqlite::Result<Vec<GoalReached>> {
    db.prepare("SELECT lab, goal, evidence, reached_at FROM goals ORDER BY rowid")?
        .query_map([], |row| {
            Ok(GoalReached { lab: row.get(0)?, goal: row.get(1)?, evidence: row.get(2)?, reached_at: row.get(3)? })
        })?
        .collect()
}

/// Keeps a lab's state.
pub fn put_lab(tx: &Connection, lab: &LabState) -> rusqlite::Result<()> {
    let rowid: i64 = tx
        .prepare_cached(
            "INSERT INTO labs (lab, state, updated_at) VALUES (:lab, :state, :updated_at)
             ON CONFLICT (lab) DO UPDATE SET state = excluded.state, updated_at = excluded.updated_at
             RETURNING rowid",
        )?
        .query_row(named_params! { ":lab": lab.lab, ":state": lab.state, ":updated_at": lab.updated_at }, |row| {
            row.get(0)
        })?;
    seal_row(tx, "labs", rowid)
}

/// All kept labs, by key.
pub fn labs(db: &Connection) -> rusqlite::Result<Vec<LabState>> {
    db.prepare("SELECT lab, state, updated_at FROM labs ORDER BY lab")?
        .query_map([], |row| Ok(LabState { lab: row.get(0)?, state: row.get(1)?, updated_at: row.get(2)? }))?
        .collect()
}

/// One lab's state.
pub fn lab(db: &Connection, lab: &str) -> rusqlite::Result<Option<String>> {
    db.query_row("SELECT state FROM labs WHERE lab = ?1", [lab], |row| row.get(0)).optional()
}

/// Keeps the last screen.
pub fn put_last_screen(tx: &Connection, state: &str) -> rusqlite::Result<()> {
    tx.prepare_cached(
        "INSERT INTO last_screen (one, state) VALUES (1, ?1) ON CONFLICT (one) DO UPDATE SET state = excluded.state",
    )?
    .execute([state])?;
    seal_row(tx, "last_screen", 1)
}

/// The last screen.
pub fn last_screen(db: &Connection) -> rusqlite::Result<Option<String>> {
    db.query_row("SELECT state FROM last_screen WHERE one = 1", [], |row| row.get(0)).optional()
}

/// Items due on `today` or before, most overdue first.
pub fn due(db: &Connection, today: Date) -> rusqlite::Result<Vec<String>> {
    db.prepare("SELECT item FROM cards WHERE due_on <= ?1 ORDER BY due_on, item")?
        .query_map([today.to_string()], |row| row.get(0))?
        .collect()
}

/// All items ever answered, by key.
pub fn items(db: &Connection) -> rusqlite::Result<Vec<ItemSummary>> {
    // With one max() in the query SQLite takes the bare column `is_right` from the row that holds the maximum.
    db.prepare(
        "SELECT a.item, a.answers, a.right_answers, a.is_right, cards.due_on
         FROM (SELECT item, count(*) AS answers, sum(is_right) AS right_answers, is_right, max(seq)
               FROM attempts GROUP BY item) AS a
         LEFT JOIN cards ON cards.item = a.item
         ORDER BY a.item",
    )?
    .query_map([], |row| {
        let due_on = match row.get_ref(4)? {
            rusqlite::types::ValueRef::Null => None,
            _ => Some(date(row, 4)?),
        };
        Ok(ItemSummary { item: row.get(0)?, answers: row.get(1)?, right: row.get(2)?, last_right: row.get(3)?, due_on })
    })?
    .collect()
}

/// Those of `items` that the current round through them has not come to, in their order.
///
/// A round is over when each of `items` was answered in a quiz at least once since the round before was over.
pub fn left_of_round(db: &Connection, items: &[String]) -> rusqlite::Result<Vec<String>> {
    let mut left: HashSet<&str> = items.iter().map(String::as_str).collect();
    let mut statement = db.prepare("SELECT item FROM attempts WHERE mode = 'quiz' ORDER BY seq")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        left.remove(row.get_ref(0)?.as_str().unwrap_or_default());
        if left.is_empty() {
            left = items.iter().map(String::as_str).collect();
        }
    }
    Ok(items.iter().filter(|item| left.contains(item.as_str())).cloned().collect())
}

/// Number of attempts.
pub fn attempt_count(db: &Connection) -> rusqlite::Result<u64> {
    let count: i64 = db.query_row("SELECT count(*) FROM attempts", [], |row| row.get(0))?;
    Ok(u64::try_from(count).unwrap_or(0))
}

/// Whether there is nothing worth a copy.
pub fn is_empty(db: &Connection) -> rusqlite::Result<bool> {
    let sql = "SELECT NOT EXISTS (SELECT 1 FROM attempts) AND NOT EXISTS (SELECT 1 FROM places)
               AND NOT EXISTS (SELECT 1 FROM goals) AND NOT EXISTS (SELECT 1 FROM labs)";
    db.query_row(sql, [], |row| row.get(0))
}

fn confidence(row: &Row, index: usize) -> rusqlite::Result<Option<Confidence>> {
    match row.get::<_, Option<i64>>(index)? {
        None => Ok(None),
        Some(1) => Ok(Some(Confidence::Guess)),
        Some(2) => Ok(Some(Confidence::Fair)),
        Some(3) => Ok(Some(Confidence::Sure)),
        Some(other) => Err(rusqlite::Error::IntegralValueOutOfRange(index, other)),
    }
}

fn date(row: &Row, index: usize) -> rusqlite::Result<Date> {
    let text: String = row.get(index)?;
    text.parse().map_err(|e| rusqlite::Error::FromSqlConversionFailure(index, Type::Text, Box::new(e)))
}
