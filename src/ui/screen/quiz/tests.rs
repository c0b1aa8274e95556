use insta::assert_snapshot;
use jiff::civil::date;

use super::*;
use crate::content::{Blank, Choice, Inline, Mistake, QuestionKind};
use crate::progress::ItemSummary;
use crate::ui::screen::stage::{frame, keys, shared};

fn text(text: &str) -> Vec<Inline> {
    vec![Inline::Text(text.into())]
}

fn choice(id: &str, right: bool, why: &str) -> Choice {
    Choice { id: id.into(), text: text(&format!("choice {id}")), right, why: text(why) }
}

fn question(id: &str, ask: &str, kind: QuestionKind) -> Question {
    Question { id: id.into(), ask: text(ask), term: None, section: Some("Budgets".into()), kind }
}

fn single() -> Question {
    let choices =
        vec![choice("one", true, "because one"), choice("two", false, "not two"), choice("three", false, "not three")];
    question("single", "Which?", QuestionKind::Single(choices))
}

fn all_kinds() -> Vec<Question> {
    let blank = |id: &str, accept: &str| Blank { id: id.into(), accept: vec![accept.into()], why: text("the word") };
    vec![
        single(),
        question(
            "multiple",
            "Which ones?",
            QuestionKind::Multiple(vec![
                choice("a", true, "yes a"),
                choice("b", true, "yes b"),
                choice("c", false, "no c"),
            ]),
        ),
        question(
            "truth",
            "True?",
            QuestionKind::TrueFalse { answer: true, why_true: text("it is"), why_false: text("it is not") },
        ),
        question(
            "number",
            "How many?",
            QuestionKind::Numeric {
                answer: 37.5,
                tolerance: 0.5,
                unit: Some("%".into()),
                why: text("three of eight"),
                mistakes: vec![Mistake { id: "m".into(), value: 62.5, why: text("that is the rest") }],
            },
        ),
        question(
            "order",
            "In which order?",
            QuestionKind::Order(vec![choice("first", false, "it begins"), choice("second", false, "it follows")]),
        ),
        question(
            "cloze",
            "A {{what}} has {{many}}.",
            QuestionKind::Cloze(vec![blank("what", "spider"), blank("many", "legs")]),
        ),
    ]
}

/// A seed under which the choices stand in the order of the file.
fn fixed_id() -> Uuid {
    let seed =
        (0..).find(|seed| matches!(Form::new(&single(), *seed), Form::Choices { order, .. } if order == [0, 1, 2]));
    Uuid::from_u64_pair(1, seed.expect("one of six"))
}

fn quiz(questions: Vec<Question>, shared: &Shared) -> QuizScreen {
    let items = questions.into_iter().map(|question| Item {
        key: format!("p3/{}", question.id),
        lesson: "p3".into(),
        question,
        result: None,
    });
    let mut quiz = QuizScreen::new("Quiz · P3".into(), "quiz", Some("quiz/p3".into()), items.collect(), fixed_id);
    quiz.resize(80, 20, shared);
    quiz
}

fn press(quiz: &mut QuizScreen, words: &str, shared: &Shared) -> Outcome {
    keys(words).into_iter().map(|key| quiz.on_key(key, shared)).last().expect("keys")
}

fn draw(quiz: &QuizScreen, shared: &Shared) -> String {
    frame(80, 20, |area, buf| quiz.view(area, buf, shared))
}

fn recorded(outcome: &Outcome) -> &NewAttempt {
    let Outcome::Do(effects) = outcome else { panic!("effects, got {outcome:?}") };
    let Some(Effect::Record(attempt)) = effects.first() else { panic!("a record, got {effects:?}") };
    attempt
}

fn card(item: &str) -> Card {
    Card {
        item: item.into(),
        due_on: date(2026, 11, 25),
        interval_days: 1,
        lapses: 0,
        stability: 1.0,
        difficulty: 5.0,
        reviewed_on: date(2026, 11, 24),
    }
}

#[test]
fn a_wrong_answer_shows_what_was_said_what_is_right_and_why() {
    let shared = shared();
    let mut quiz = quiz(vec![single(), all_kinds().remove(2)], &shared);
    press(&mut quiz, "b enter", &shared);
    assert!(draw(&quiz, &shared).contains("How sure are you?"), "asked before the verdict");
    let outcome = press(&mut quiz, "2", &shared);
    let attempt = recorded(&outcome).clone();
    assert_eq!(attempt.answer, Answer::Choices(vec!["two".into()]));
    assert_eq!((attempt.right, attempt.confidence, attempt.mode), (false, Some(Confidence::Fair), "quiz"));
    assert!(draw(&quiz, &shared).contains("Being saved."), "not said to be kept before it is");
    quiz.on_event(&Event::Recorded { attempt: attempt.id, card: card("p3/single") }, &shared);
    assert_snapshot!(draw(&quiz, &shared), @r#"
    Which?

     ✓  a  choice one
     ✗  b  choice two   you, fairly sure
        c  choice three

    Wrong.
    b: not two
    a: because one
    → Read again: P3, "Budgets"  (enter)

    Asked again tomorrow, Wednesday 25 November.
    "#);
    let section = Some("Budgets".to_string());
    assert_eq!(press(&mut quiz, "enter", &shared), Outcome::Go(Route::Lesson { id: "p3".into(), section }));
    assert_eq!(press(&mut quiz, "space", &shared), Outcome::Do(vec![Effect::Shown]));
    assert!(draw(&quiz, &shared).contains("True?"));
}

#[test]
fn every_kind_can_be_answered_right() {
    let shared = shared();
    let keys = ["a enter enter", "a b enter 3", "t enter 1", "37,4 enter 2", "", "spider enter legs enter 3"];
    for (question, keys) in all_kinds().into_iter().zip(keys) {
        let id = question.id.clone();
        let mut quiz = quiz(vec![question], &shared);
        if let Form::Order { order, cursor } = &mut quiz.form {
            *cursor = order.iter().position(|c| *c == 0).expect("there");
        }
        if let Form::Choices { order, .. } = &mut quiz.form {
            *order = vec![0, 1, 2];
        }
        let outcome = press(&mut quiz, if id == "order" { "1 enter 2" } else { keys }, &shared);
        assert!(recorded(&outcome).right, "{id}: {outcome:?}");
        assert!(draw(&quiz, &shared).contains("Right."), "{id}\n{}", draw(&quiz, &shared));
        assert_eq!(press(&mut quiz, "enter", &shared), Outcome::Handled, "{id}: on to the results");
        assert!(draw(&quiz, &shared).contains("1 of 1 right."), "{id}");
    }
}

#[test]
fn every_kind_can_be_answered_wrong_and_explains_itself() {
    let shared = shared();
    let cases = [
        ("c enter enter", "not three"),
        ("c enter enter", "no c"),
        ("f enter enter", "it is not"),
        ("62.5 enter enter", "that is the rest"),
        ("enter enter", "it follows"),
        ("fly tab wings enter enter", "the word"),
    ];
    for (question, (keys, why)) in all_kinds().into_iter().zip(cases) {
        let id = question.id.clone();
        let mut quiz = quiz(vec![question], &shared);
        if let Form::Choices { order, .. } = &mut quiz.form {
            *order = vec![0, 1, 2];
        }
        let outcome = press(&mut quiz, keys, &shared);
        assert!(!recorded(&outcome).right, "{id}");
        let drawn = draw(&quiz, &shared);
        assert!(drawn.contains(why) && drawn.contains("Read again: P3"), "{id}\n{drawn}");
    }
}

#[test]
fn letters_are_text_only_where_text_is_wanted() {
    let shared = shared();
    let mut quiz = quiz(all_kinds(), &shared);
    assert!(!quiz.is_typing());
    assert_eq!(press(&mut quiz, "q", &shared), Outcome::Ignored);
    quiz.show(5);
    assert!(quiz.is_typing());
    assert_eq!(press(&mut quiz, "q", &shared), Outcome::Handled);
}

#[test]
fn an_answer_that_was_not_kept_says_so_and_is_tried_again_with_the_same_id() {
    let shared = shared();
    let mut quiz = quiz(vec![single()], &shared);
    let outcome = press(&mut quiz, "a enter 3", &shared);
    let attempt = recorded(&outcome).clone();
    quiz.on_event(&Event::NotRecorded { attempt: attempt.id.clone(), why: "the disk is full".into() }, &shared);
    assert!(draw(&quiz, &shared).contains("This answer is not saved: the disk is full. r tries again."));
    assert_eq!(recorded(&press(&mut quiz, "r", &shared)), &attempt);
    quiz.on_event(&Event::Recorded { attempt: attempt.id, card: card("p3/single") }, &shared);
    assert!(draw(&quiz, &shared).contains("Asked again tomorrow, Wednesday 25 November."));
}

#[test]
fn the_place_is_kept_after_each_answer_and_taken_up_again() {
    let shared = shared();
    let mut first = quiz(all_kinds(), &shared);
    let Outcome::Do(effects) = press(&mut first, "a enter enter", &shared) else { panic!("effects") };
    let Some(Effect::SaveLab { lab, state }) = effects.last() else { panic!("{effects:?}") };
    assert_eq!(lab, "quiz/p3");
    let mut second = quiz(all_kinds(), &shared);
    assert_eq!(second.on_open(), Outcome::Do(vec![Effect::Shown, Effect::LoadLab("quiz/p3".into())]));
    second.on_event(&Event::LabState { lab: lab.clone(), state: Some(state.clone()) }, &shared);
    assert_eq!(second.header(&shared).1, "2 of 6  ✓");
    assert!(draw(&second, &shared).contains("Which ones?"));
}

#[test]
fn a_click_chooses_and_a_second_one_answers() {
    let shared = shared();
    let mut quiz = quiz(vec![single()], &shared);
    let row = draw(&quiz, &shared).lines().position(|l| l.contains("choice two")).expect("drawn") as u16;
    let click = Mouse { column: 8, row, action: MouseAction::Click };
    quiz.on_mouse(click, &shared);
    assert!(draw(&quiz, &shared).contains("▸  b  choice two"));
    quiz.on_mouse(click, &shared);
    assert!(matches!(quiz.stage, Stage::Sure(_)));
    let row = draw(&quiz, &shared).lines().position(|l| l.contains("1  a guess")).expect("drawn") as u16;
    let outcome = quiz.on_mouse(Mouse { row, ..click }, &shared);
    assert_eq!(recorded(&outcome).confidence, Some(Confidence::Guess));
}

#[test]
fn a_review_without_due_items_says_when_the_next_is() {
    let mut shared = shared();
    assert!(QuizScreen::review(&shared).expect_err("nothing").starts_with("nothing is due; answer a lesson's quiz"));
    let due_on = Some(date(2026, 12, 3));
    shared.summary.items = vec![ItemSummary { item: "p3/x".into(), answers: 1, right: 1, last_right: true, due_on }];
    let why = QuizScreen::review(&shared).expect_err("nothing");
    assert_eq!(why, "nothing is due; the next review is in 9 days, on Thursday 3 December");
    shared.summary_known = false;
    assert!(QuizScreen::review(&shared).expect_err("not read").contains("still being read"));
}

#[test]
fn a_quiz_is_usable_on_a_small_screen_and_scrolls_with_the_cursor() {
    let shared = shared();
    let choices: Vec<Choice> = (0..9).map(|i| choice(&format!("{i} {}", "long ".repeat(20)), i == 0, "why")).collect();
    let mut quiz = quiz(vec![question("long", "Which?", QuestionKind::Single(choices))], &shared);
    quiz.resize(40, 13, &shared);
    for _ in 0..9 {
        press(&mut quiz, "down", &shared);
    }
    let drawn = frame(40, 13, |area, buf| quiz.view(area, buf, &shared));
    assert!(drawn.contains("▸  i"), "{drawn}");
    for size in [(1, 1), (10, 2), (200, 50)] {
        quiz.resize(size.0, size.1, &shared);
        frame(size.0, size.1, |area, buf| quiz.view(area, buf, &shared));
    }
}
