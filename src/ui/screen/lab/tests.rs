use insta::assert_snapshot;

use super::*;
use crate::engine::{Stop, TextToken};
use crate::ui::screen::stage::{frame, keys, shared, stats};

fn press(screen: &mut LabScreen, words: &str, shared: &Shared) -> Outcome {
    keys(words).into_iter().map(|key| screen.on_key(key, shared)).last().expect("keys")
}

fn open(id: &str, params: &str, shared: &Shared) -> LabScreen {
    let mut screen = LabScreen::new(id, None, params, shared).expect("a lab");
    screen.on_open();
    screen.on_event(&Event::LabState { lab: id.into(), state: None }, shared);
    screen
}

fn draw(screen: &LabScreen, shared: &Shared) -> String {
    frame(80, 20, |area, buf| screen.view(area, buf, shared))
}

fn words(text: &str) -> Update {
    let token =
        |(i, word): (usize, &str)| TextToken { id: 100 + i as u32, bytes: word.as_bytes().to_vec(), special: false };
    Update::Tokens(text.split_inclusive(' ').enumerate().map(token).collect())
}

const PARAMS: &str = r#"{"title": "Cut", "text": "one two three four five", "budget": 0}"#;

#[test]
fn an_unknown_lab_names_those_there_are() {
    let why = LabScreen::new("sampling", None, "{}", &shared()).expect_err("no such lab");
    assert_eq!(why, "there is no lab `sampling`; there are generate, next-token, tokens");
}

#[test]
fn a_lab_waits_for_its_state_and_opens_the_model_meanwhile() {
    let shared = shared();
    let mut screen = LabScreen::new("tokens", None, PARAMS, &shared).expect("a lab");
    let load = Outcome::Do(vec![Effect::LoadLab("tokens".into())]);
    assert_eq!(screen.on_open(), Outcome::All(vec![load, Outcome::Start(Job::Open)]));
    assert_eq!(screen.on_key(KeyPress::char('3'), &shared), Outcome::Ignored);
    let state = r#"{"text": "kept", "revealed": true}"#.to_string();
    let outcome = screen.on_event(&Event::LabState { lab: "tokens".into(), state: Some(state) }, &shared);
    assert_eq!(outcome, Outcome::Start(Job::Tokenize { text: "kept".into() }));
}

#[test]
fn a_goal_goes_to_the_record_once_with_its_evidence_and_the_state() {
    let shared = shared();
    let mut screen = open("tokens", PARAMS, &shared);
    press(&mut screen, "5 enter", &shared);
    let Outcome::Do(effects) = screen.on_update(words("one two three four five"), &shared) else { panic!("effects") };
    let [Effect::ReachGoal(goal), Effect::SaveLab { lab, state }] = effects.as_slice() else { panic!("{effects:?}") };
    assert_eq!((goal.lab.as_str(), goal.goal.as_str(), lab.as_str()), ("tokens", "predict", "tokens"));
    assert!(goal.evidence.contains("\"predicted\":5"), "{}", goal.evidence);
    assert!(state.contains("\"predict\":\""), "{state}");
    assert_eq!(screen.on_leave(&shared), vec![], "nothing has changed since");
    assert_eq!(screen.header(&shared), ("Lab · Cut".into(), "goals ●○   tiny".into()));
    assert_snapshot!(draw(&screen, &shared), @r"
    Text  one two three four five

    You said 5; it is 5: exactly.
    5 tokens · 23 characters · 23 bytes · 4.6 characters a token

    one·│two·│three·│four·│five

        id  piece          bytes
       100  one·           6F 6E 65 20
       101  two·           74 77 6F 20
       102  three·         74 68 72 65 6…
       103  four·          66 6F 75 72 20
       104  five           66 69 76 65




    ✓ Goal reached: predict the number of tokens within 10% (or 1), at least 5
                    tokens
    Goal 2 of 2: find a single character that takes three tokens or more
    ");
}

#[test]
fn leaving_keeps_what_was_typed() {
    let shared = shared();
    let mut screen = open("tokens", PARAMS, &shared);
    press(&mut screen, "tab x", &shared);
    assert_eq!(press(&mut screen, "esc", &shared), Outcome::Ignored, "esc is the app's: it leaves and cancels");
    let effects = screen.on_leave(&shared);
    let [Effect::SaveLab { state, .. }] = effects.as_slice() else { panic!("{effects:?}") };
    assert!(state.contains("fivex"), "{state}");
    assert_eq!(screen.on_leave(&shared), vec![]);
}

#[test]
fn letters_are_text_while_a_lab_is_typed_in() {
    let shared = shared();
    let mut screen = open("next-token", "{}", &shared);
    assert!(screen.is_typing());
    assert_eq!(press(&mut screen, "q", &shared), Outcome::Handled);
    press(&mut screen, "backspace 50 enter", &shared);
    assert!(!screen.is_typing());
    assert_eq!(press(&mut screen, "q", &shared), Outcome::Ignored);
}

#[test]
fn the_model_is_said_to_load_until_it_is_heard_of() {
    let shared = shared();
    let mut screen = open("next-token", "{}", &shared);
    assert!(draw(&screen, &shared).contains("loading the model"));
    screen.on_update(Update::Ready(crate::ui::screen::stage::info()), &shared);
    assert!(!draw(&screen, &shared).contains("loading the model"));
}

#[test]
fn sockets_are_counted_after_an_answer_and_shown() {
    let shared = shared();
    let mut screen = open("generate", "{}", &shared);
    press(&mut screen, "g", &shared);
    let outcome = screen.on_update(Update::Finished(stats(Stop::Stop, 3, 2)), &shared);
    assert_eq!(outcome, Outcome::Do(vec![Effect::CountConnections]));
    screen.on_event(&Event::Connections(Some(0)), &shared);
    assert!(draw(&screen, &shared).contains("counted by the system after the answer: 0"));
    screen.on_event(&Event::Connections(None), &shared);
    assert!(!draw(&screen, &shared).contains("sockets"), "nothing is claimed where the system does not tell");
}

/// A lab with a recorded run of one text.
fn recorded() -> &'static LabEntry {
    let job = Job::Tokenize { text: "one two three four five".into() };
    let updates = vec![words("one two three four five"), Update::Finished(stats(Stop::Stop, 0, 0))];
    let json = serde_json::to_string(&[Recording { job, updates }]).expect("plain data");
    let tokens = labs::find("tokens").expect("a lab");
    Box::leak(Box::new(LabEntry {
        id: tokens.id,
        about: tokens.about,
        keys: tokens.keys,
        open: tokens.open,
        recorded: Box::leak(json.into_boxed_str()),
    }))
}

#[test]
fn without_a_model_the_recorded_run_is_offered_and_labelled() {
    let mut shared = shared();
    let mut screen = open("tokens", PARAMS, &shared);
    screen.entry = recorded();
    shared.model = ModelState::Missing("no model file found; run `osai model add smollm2`".into());
    let error = EngineError::NoModel { hint: "run `osai model add smollm2`".into() };
    screen.on_update(Update::Failed(error), &shared);
    assert_snapshot!(draw(&screen, &shared), @r"
    The model cannot run here.
    no model file found; run `osai model add smollm2`

    This lab was run before with the course's own model, and everything the
    model said was recorded. You can go through that run; what you see is then
    marked as recorded, and only what was recorded has an answer.

    enter shows the recorded run
    ");
    press(&mut screen, "enter", &shared);
    let Outcome::Do(effects) = press(&mut screen, "5 enter", &shared) else { panic!("a goal") };
    let Effect::ReachGoal(goal) = &effects[0] else { panic!("{effects:?}") };
    assert!(goal.evidence.contains("\"recorded\":true"), "{}", goal.evidence);
    assert_eq!(screen.header(&shared).1, "goals ●○   recorded run");
    assert!(draw(&screen, &shared).contains("A recorded run: the model is not running here."));
    // What was not recorded has no answer, and says so.
    press(&mut screen, "x", &shared);
    assert!(draw(&screen, &shared).contains("the recorded run has no answer to this"));
}

#[test]
fn a_lab_is_usable_on_a_small_screen() {
    let shared = shared();
    for id in labs::ids() {
        let mut screen = open(id, "{}", &shared);
        for size in [(40, 13), (80, 20), (200, 46), (3, 2)] {
            screen.resize(size.0, size.1, &shared);
            let drawn = frame(size.0, size.1, |area, buf| screen.view(area, buf, &shared));
            assert!(size.0 < 40 || drawn.contains("Goal 1 of"), "{id} {size:?}\n{drawn}");
        }
    }
}
