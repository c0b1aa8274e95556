use insta::assert_snapshot;
use jiff::civil::date;

use super::*;
use crate::progress::{GoalReached, LessonPosition};
use crate::ui::screen::stage::{frame, keys, shared};

fn draw(screen: &ProgressScreen, shared: &Shared) -> String {
    frame(80, 40, |area, buf| screen.view(area, buf, shared))
}

#[test]
fn an_empty_record_says_what_will_fill_it() {
    let mut shared = shared();
    let screen = ProgressScreen::new(&shared);
    assert!(draw(&screen, &shared).starts_with("  No answers yet."), "{}", draw(&screen, &shared));
    shared.summary_known = false;
    assert_eq!(draw(&ProgressScreen::new(&shared), &shared), "  Your record is being read.");
}

#[test]
fn answers_are_counted_and_due_days_listed() {
    let mut shared = shared();
    let item = |item: &str, answers, right, day| ItemSummary {
        item: item.into(),
        answers,
        right,
        last_right: right == answers,
        due_on: Some(date(2026, 11, day)),
    };
    shared.summary.items = vec![item("p3/a", 4, 1, 24), item("p3/b", 2, 2, 25), item("p4/c", 1, 1, 28)];
    shared.summary.due = vec!["p3/a".into()];
    let screen = ProgressScreen::new(&shared);
    // High enough for the list of all lessons before it.
    let due = frame(80, 120, |area, buf| screen.view(area, buf, &shared));
    let due = &due[due.find("  Due").expect("a heading")..];
    assert_snapshot!(due, @r"
    Due
    today         1  ████████████████████████████████████████
    tomorrow      1  ████████████████████████████████████████
    Thursday      0
    Friday        0
    Saturday      1  ████████████████████████████████████████
    Sunday        0
    Monday        0
    later         0
    ");
    assert!(draw(&screen, &shared).starts_with("  57% of 7 answers right\n  2 of 3 questions right the last time"));
}

#[test]
fn lessons_show_what_was_read_answered_and_reached() {
    let mut shared = shared();
    let Some(head) = shared.library.lessons().first().cloned() else { return };
    let position = |completed_at| LessonPosition {
        lesson: head.id.clone(),
        furthest: 0.4,
        position: 0.4,
        completed_at,
        updated_at: 0,
    };
    shared.summary.lessons = vec![position(None)];
    let goal = GoalReached {
        lab: format!("{}/tokens", head.id),
        goal: "predict".into(),
        evidence: "{}".into(),
        reached_at: 0,
    };
    shared.summary.goals = vec![goal];
    assert!(draw(&ProgressScreen::new(&shared), &shared).contains("40% read · 1 lab goal"));
    shared.summary.lessons = vec![position(Some(5))];
    assert!(draw(&ProgressScreen::new(&shared), &shared).contains(&format!("✓ {}", head.code())));
}

#[test]
fn a_key_belongs_to_its_own_lesson_only() {
    assert!(is_part_of("p1/x", "p1") && is_part_of("pack:p1/x", "pack:p1"));
    assert!(!is_part_of("p11/x", "p1") && !is_part_of("pack:p1/x", "p1"));
}

#[test]
fn it_scrolls_to_its_end_and_no_further_at_any_size() {
    let shared = shared();
    for size in [(40, 13), (1, 1), (200, 50)] {
        let mut screen = ProgressScreen::new(&shared);
        screen.resize(size.0, size.1, &shared);
        for key in keys("G j j k g") {
            screen.on_key(key, &shared);
            frame(size.0, size.1, |area, buf| screen.view(area, buf, &shared));
        }
        assert_eq!(screen.top, 0);
    }
}
