//! Spaced repetition: when an item is asked again.
//!
//! [`next_review`] is the whole rule and is pure: the day comes in as an argument, so that tests need no clock and a
//! stored history can be replayed under another rule. The model is FSRS 6 with its default parameters: an item is due
//! on the day on which its recall is expected to have fallen to 90 %.

use fsrs::{FSRS, MemoryState};
use jiff::ToSpan;
use jiff::civil::Date;

use super::{Card, Confidence, Rating};

/// The share of due items that a learner should still recall.
const DESIRED_RETENTION: f32 = 0.9;

/// No item rests longer, in days (as in Anki).
const MAX_INTERVAL_DAYS: u32 = 36_500;

/// How well an answer was recalled: wrong is `Again` however sure the learner was; right is `Good`, but `Hard` when it
/// was guessed and `Easy` when the learner was sure.
pub fn rating_of(right: bool, confidence: Option<Confidence>) -> Rating {
    match (right, confidence) {
        (false, _) => Rating::Again,
        (true, Some(Confidence::Guess)) => Rating::Hard,
        (true, None | Some(Confidence::Fair)) => Rating::Good,
        (true, Some(Confidence::Sure)) => Rating::Easy,
    }
}

/// The card of `item` after an answer on `day`; `card` is what was known before, `None` for the first answer.
///
/// Due tomorrow at the earliest, in `MAX_INTERVAL_DAYS` at the latest. A day before the last answer (a clock that was
/// set back) counts as the same day.
pub fn next_review(item: &str, card: Option<&Card>, rating: Rating, day: Date) -> Card {
    let elapsed_days = card.map_or(0, |card| days_between(card.reviewed_on, day));
    // Numbers that the model cannot go on from (they cannot come from it) begin anew rather than stop the learner.
    let memory = card
        .map(|card| MemoryState { stability: card.stability, difficulty: card.difficulty })
        .filter(|memory| memory.stability.is_finite() && memory.stability > 0.0 && memory.difficulty.is_finite());
    let fsrs = FSRS::default();
    let states = fsrs
        .next_states(memory, DESIRED_RETENTION, elapsed_days)
        .or_else(|_| fsrs.next_states(None, DESIRED_RETENTION, 0))
        .expect("a new card always has next states");
    let next = match rating {
        Rating::Again => states.again,
        Rating::Hard => states.hard,
        Rating::Good => states.good,
        Rating::Easy => states.easy,
    };
    // `as` saturates: a negative or NaN interval becomes 0, which becomes tomorrow.
    let interval_days = (next.interval.round() as u32).clamp(1, MAX_INTERVAL_DAYS);
    Card {
        item: item.to_owned(),
        due_on: day.saturating_add(i64::from(interval_days).days()),
        interval_days,
        lapses: card.map_or(0, |card| card.lapses) + u32::from(card.is_some() && rating == Rating::Again),
        stability: next.memory.stability,
        difficulty: next.memory.difficulty,
        reviewed_on: day,
    }
}

/// Whole days from `earlier` to `later`, 0 if it is not later.
fn days_between(earlier: Date, later: Date) -> u32 {
    u32::try_from(later.duration_since(earlier).as_hours() / 24).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::{RngCore, SeedableRng};

    use super::*;

    const ALL: [Rating; 4] = [Rating::Again, Rating::Hard, Rating::Good, Rating::Easy];

    #[test]
    fn confidence_turns_a_right_answer_into_hard_good_or_easy() {
        assert_eq!(rating_of(true, None), Rating::Good);
        assert_eq!(rating_of(true, Some(Confidence::Guess)), Rating::Hard);
        assert_eq!(rating_of(true, Some(Confidence::Fair)), Rating::Good);
        assert_eq!(rating_of(true, Some(Confidence::Sure)), Rating::Easy);
        assert_eq!(rating_of(false, Some(Confidence::Sure)), Rating::Again);
    }

    /// The first intervals of FSRS 6's default parameters (0.212, 1.2931, 2.3065, 8.2956 days), rounded to whole days.
    #[test]
    fn a_first_answer_is_asked_again_after_one_one_two_or_eight_days() {
        let day = date(2026, 11, 24);
        let days = ALL.map(|rating| next_review("p3/x", None, rating, day).interval_days);
        assert_eq!(days, [1, 1, 2, 8]);
        assert_eq!(next_review("p3/x", None, Rating::Again, day).due_on, date(2026, 11, 25));
    }

    #[test]
    fn forgetting_is_counted_and_shortens_the_interval() {
        let first = next_review("p3/x", None, Rating::Good, date(2026, 1, 1));
        let second = next_review("p3/x", Some(&first), Rating::Good, first.due_on);
        assert!(second.interval_days > first.interval_days);
        let forgotten = next_review("p3/x", Some(&second), Rating::Again, second.due_on);
        assert_eq!((second.lapses, forgotten.lapses), (0, 1));
        assert!(forgotten.interval_days < second.interval_days);
    }

    #[test]
    fn a_clock_set_back_counts_as_the_same_day() {
        let card = next_review("p3/x", None, Rating::Good, date(2026, 11, 24));
        let back = next_review("p3/x", Some(&card), Rating::Good, date(2016, 11, 24));
        let same = next_review("p3/x", Some(&card), Rating::Good, date(2026, 11, 24));
        assert_eq!((back.interval_days, back.stability), (same.interval_days, same.stability));
        assert_eq!(back.reviewed_on, date(2016, 11, 24));
    }

    /// 10,000 answers under a clock that jumps by up to 200 years either way, and at both ends of the calendar.
    #[test]
    fn whatever_the_clock_does_intervals_stay_between_a_day_and_a_century() {
        let mut random = ChaCha8Rng::seed_from_u64(22);
        let mut card: Option<Card> = None;
        for step in 0..10_000 {
            let day = match random.next_u32() % 10 {
                0 => Date::MAX,
                1 => Date::MIN,
                _ => date(2026, 1, 1).saturating_add((i64::from(random.next_u32() % 146_000) - 73_000).days()),
            };
            let rating = ALL[(random.next_u32() % 4) as usize];
            let next = next_review("p3/x", card.as_ref(), rating, day);
            assert!((1..=MAX_INTERVAL_DAYS).contains(&next.interval_days), "{step}: {next:?}");
            assert!(next.due_on > day || day == Date::MAX, "{step}: {next:?}");
            assert!(next.stability.is_finite() && next.difficulty.is_finite(), "{step}: {next:?}");
            card = (random.next_u32() % 50 != 0).then_some(next);
        }
    }

    #[test]
    fn numbers_that_make_no_sense_begin_anew() {
        let good = next_review("p3/x", None, Rating::Good, date(2026, 1, 1));
        for stability in [f32::NAN, f32::INFINITY, 0.0, -1.0] {
            let card = Card { stability, ..good.clone() };
            assert_eq!(next_review("p3/x", Some(&card), Rating::Good, date(2026, 1, 9)).interval_days, 2);
        }
    }
}
