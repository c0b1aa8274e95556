//! The contract that every lab keeps, and for each lab a learner who reaches its goals and one who does not.

#![allow(clippy::unwrap_used)]

use osai::content::{Block, Library};
use osai::engine::{
    Candidate, EngineError, Job, Mask, ModelInfo, NextTokens, Prompt, RunStats, Stop, TextToken, TokenId, Update,
};
use osai::labs::{self, Key, KeyPress, LABS, Lab, Reaction};
use osai::theme::{Palette, Theme};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

const SIZES: [(u16, u16); 5] = [(80, 24), (40, 15), (200, 50), (12, 4), (1, 1)];

fn token(id: TokenId, bytes: &[u8]) -> TextToken {
    TextToken { id, bytes: bytes.to_vec(), special: false }
}

fn stats(stop: Stop, new_tokens: usize) -> RunStats {
    RunStats {
        stop,
        seed: 1,
        prompt_tokens: 5,
        new_tokens,
        tokens_per_second: 31.5,
        time_to_first_token_ms: 180.0,
        ..RunStats::default()
    }
}

fn candidate(id: TokenId, text: &str, probability: f32) -> Candidate {
    Candidate { token: token(id, text.as_bytes()), logit: probability.ln(), probability, kept: true, allowed: true }
}

fn drawn(id: TokenId, text: &str, probability: f32) -> Update {
    let chosen = candidate(id, text, probability);
    Update::Token {
        candidates: vec![chosen.clone(), candidate(99, " else", 0.01)],
        chosen,
        text: text.into(),
        mask: None,
        logprobs: None,
        elapsed_ms: 0.0,
    }
}

/// A vocabulary of five: logits such that softmax gives 60, 20, 10, 6 and 4%.
fn next() -> Update {
    let words = [" Paris", " the", " a", " Lyon", "\u{1b}[31m"];
    let logits: Vec<f32> = [0.60_f32, 0.20, 0.10, 0.06, 0.04].iter().map(|p| p.ln()).collect();
    let top = words.iter().zip(&logits).enumerate().map(|(i, (w, l))| (token(i as u32, w.as_bytes()), *l)).collect();
    Update::Next(NextTokens { prompt: vec![token(7, b"The")], logits, top })
}

fn ready() -> Update {
    Update::Ready(ModelInfo {
        name: "Tiny".into(),
        path: "tiny.gguf".into(),
        architecture: "llama".into(),
        quantization: "Q4_1".into(),
        parameters: 1,
        num_hidden_layers: 1,
        hidden_size: 1,
        vocab_size: 5,
        max_position_embeddings: 64,
        file_bytes: 1,
        has_chat_template: true,
    })
}

fn every_update() -> Vec<Update> {
    let huge = f32::MAX;
    vec![
        ready(),
        Update::Reading { done: 3, total: 9 },
        Update::Tokens(vec![]),
        Update::Tokens(vec![token(1, b"Hi"), token(2, &[0xF0, 0x9F]), token(3, &[0xA6, 0x80]), token(4, b"\x1b[2J\n")]),
        Update::Next(NextTokens { prompt: vec![], logits: vec![], top: vec![] }),
        Update::Next(NextTokens {
            prompt: vec![],
            logits: vec![f32::NAN, huge, -huge, f32::NEG_INFINITY],
            top: vec![],
        }),
        next(),
        Update::Prompt { text: "<|im_start|>user".into(), tokens: vec![token(1, b"Hi")] },
        drawn(1, " Paris\u{202e}\u{1b}]52;c;x\u{7}", 0.7),
        Update::Token {
            chosen: candidate(2, "", f32::NAN),
            text: String::new(),
            candidates: vec![],
            mask: Some(Mask { allowed: 0, mass: f32::NAN }),
            logprobs: None,
            elapsed_ms: f64::NAN,
        },
        Update::Rest { text: "\u{1b}[2J".into() },
        Update::Finished(stats(Stop::Length, 2)),
        Update::Finished(stats(Stop::Cancelled, 0)),
        Update::Failed(EngineError::ContextOverflow { prompt: 9, limit: 4 }),
        Update::Failed(EngineError::NoModel { hint: "run `osai model add smollm2`".into() }),
    ]
}

fn draw(lab: &dyn Lab, width: u16, height: u16) -> String {
    let area = Rect::new(0, 0, width, height);
    let mut buf = Buffer::empty(area);
    lab.view(area, &mut buf, &Theme::new(Palette::Monochrome));
    (0..height).map(|y| (0..width).map(|x| buf[(x, y)].symbol()).collect::<String>() + "\n").collect()
}

fn assert_sound(lab: &dyn Lab, after: &str) {
    for (width, height) in SIZES {
        let frame = draw(lab, width, height);
        if width >= 12 {
            assert!(frame.chars().any(|c| !c.is_whitespace()), "nothing drawn at {width}x{height} after {after}");
        }
        assert!(!frame.chars().any(|c| c != '\n' && c.is_control()), "a control character after {after}");
    }
    let plain = lab.plain();
    assert!(plain.iter().any(|l| !l.trim().is_empty()), "no plain lines after {after}");
    assert!(!plain.concat().contains(['\u{1b}', '\u{202e}', '\u{7}']), "unsafe plain lines after {after}: {plain:?}");
}

fn assert_seeded(reaction: &Reaction, after: &str) {
    if let Reaction::Start(Job::Generate { sampling, .. }) = reaction {
        assert!(sampling.seed.is_some(), "a run without a seed after {after}");
    }
}

const PARAMS: [&str; 4] = [
    "{}",
    r#"{"chat": false, "temperature": 0, "top_k": 3, "prompt": "Once", "text": "", "samples": ["a", "b"]}"#,
    r#"{"questions": ["Who?", {"ask": "Where?", "fact": "Paris"}, {"ask": "How many?", "fact": ["8|eight", "legs"]}]}"#,
    r#"{"title": 7, "budget": -1}"#,
];

#[test]
fn every_lab_keeps_the_contract() {
    for entry in LABS {
        for params in PARAMS {
            for start in 0..every_update().len() {
                let mut lab = (entry.open)(params, None);
                assert_seeded(&lab.start(), "start");
                assert_sound(&*lab, "opening");
                assert!(!lab.title().is_empty() && !lab.goals().is_empty());
                // Each key the lab offers, an update after each: offered keys change as the lab moves on.
                for round in 0..12 {
                    let bindings = lab.bindings();
                    assert!(!bindings.is_empty(), "{}: no keys", entry.id);
                    let binding = bindings[(round + start) % bindings.len()];
                    let after = format!("{} {params} {}", entry.id, binding.keys);
                    if lab.is_typing() {
                        lab.on_key(KeyPress::char('5'));
                    }
                    assert_seeded(&lab.on_key(binding.press), &after);
                    let update = every_update()[(start + round) % every_update().len()].clone();
                    lab.on_update(update);
                    assert_sound(&*lab, &after);
                    let again = (entry.open)(params, Some(&lab.state()));
                    assert_sound(&*again, "reopening");
                    assert_eq!(reached(&*again), reached(&*lab), "{after}: goals survive reopening");
                }
            }
        }
    }
}

#[test]
fn a_broken_state_opens_as_a_new_one() {
    for entry in LABS {
        for state in ["", "nonsense", "[]", r#"{"text": 5, "settings": "x"}"#] {
            assert_sound(&*(entry.open)("{}", Some(state)), state);
        }
    }
}

#[test]
fn recorded_runs_can_be_read() {
    for entry in LABS {
        let read: Result<Vec<labs::Recording>, _> = serde_json::from_str(entry.recorded);
        assert!(read.is_ok(), "{}: {read:?}", entry.id);
    }
}

/// A misspelt key would be ignored in silence, and the lab would not be the lesson's.
#[test]
fn lessons_give_their_labs_keys_that_these_know() {
    let library = Library::embedded();
    let mut labs_seen = 0;
    for head in library.lessons() {
        for block in library.lesson(&head.id).unwrap().blocks {
            let Block::Lab { id, params, to_come: false, .. } = block else { continue };
            labs_seen += 1;
            let entry = labs::find(&id).unwrap_or_else(|| panic!("{}: no lab `{id}`", head.path));
            let given: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&params).unwrap();
            for key in given.keys() {
                assert!(
                    entry.keys.contains(&key.as_str()),
                    "{}: `{id}` has no key `{key}`; it has {:?}",
                    head.path,
                    entry.keys
                );
            }
            // Parameters that do not fit their types would all fall back to the lab's own.
            let lab = (entry.open)(&params, None);
            assert_eq!(
                given.get("title").and_then(|t| t.as_str()).unwrap_or(&lab.title()),
                lab.title(),
                "{}",
                head.path
            );
            assert_sound(&*lab, &head.path);
        }
    }
    assert!(labs_seen >= 3, "{labs_seen} labs in the lessons");
}

fn open(id: &str, params: &str) -> Box<dyn Lab> {
    let mut lab = (labs::find(id).unwrap().open)(params, None);
    lab.start();
    lab
}

fn key(lab: &mut dyn Lab, key: Key) -> Reaction {
    lab.on_key(KeyPress::plain(key))
}

fn type_in(lab: &mut dyn Lab, text: &str) -> Reaction {
    let mut last = Reaction::Ignored;
    for c in text.chars() {
        last = lab.on_key(KeyPress::char(c));
    }
    last
}

fn reached(lab: &dyn Lab) -> Vec<&'static str> {
    lab.goals().into_iter().filter(|g| g.reached.is_some()).map(|g| g.id).collect()
}

/// One token for each word, with its space; and an emoji as four single bytes.
fn tokenize(text: &str) -> Update {
    let mut tokens = vec![];
    for word in text.split_inclusive(' ') {
        match word.is_ascii() {
            true => tokens.push(token(word.len() as u32, word.as_bytes())),
            false => tokens.extend(word.bytes().map(|b| token(u32::from(b), &[b]))),
        }
    }
    Update::Tokens(tokens)
}

fn answer(lab: &mut dyn Lab, reaction: Reaction) {
    match reaction {
        Reaction::Start(Job::Tokenize { text }) => lab.on_update(tokenize(&text)),
        other => panic!("expected a text to cut, got {other:?}"),
    }
}

const WORDY: &str =
    r#"{"text": "in order to use the model you need a licence", "budget": 4, "keep": ["model", "licence"]}"#;

#[test]
fn a_good_guesser_reaches_the_goals_of_tokens() {
    let mut lab = open("tokens", WORDY);
    type_in(&mut *lab, "9");
    let reaction = key(&mut *lab, Key::Enter);
    answer(&mut *lab, reaction);
    assert_eq!(reached(&*lab), ["predict"], "10 tokens, 9 said: one off");
    for _ in 0..WORDY.len() {
        lab.on_key(KeyPress::plain(Key::Backspace));
    }
    let reaction = type_in(&mut *lab, "model needs licence");
    answer(&mut *lab, reaction);
    assert_eq!(reached(&*lab), ["predict", "budget"]);
    let reaction = lab.on_paste("🦀");
    answer(&mut *lab, reaction);
    assert_eq!(reached(&*lab), ["predict", "budget", "long-character"]);
    let evidence = lab.goals()[2].reached.clone().unwrap();
    assert!(evidence.contains("🦀") && evidence.contains('4'), "{evidence}");
}

#[test]
fn guessing_wrong_or_after_seeing_the_pieces_reaches_nothing() {
    let mut lab = open("tokens", WORDY);
    type_in(&mut *lab, "15");
    let reaction = key(&mut *lab, Key::Enter);
    answer(&mut *lab, reaction);
    assert!(lab.plain().iter().any(|l| l.contains("You said 15; it is 10: 5 off")), "{:?}", lab.plain());
    // The same text again, now that the pieces were on the screen.
    assert_eq!(key(&mut *lab, Key::Enter), Reaction::Cancel);
    key(&mut *lab, Key::Tab);
    type_in(&mut *lab, "10");
    let reaction = key(&mut *lab, Key::Enter);
    answer(&mut *lab, reaction);
    assert!(lab.plain().iter().any(|l| l.contains("does not count")), "{:?}", lab.plain());
    // Short enough, but a word to keep is missing.
    for _ in 0..60 {
        lab.on_key(KeyPress::plain(Key::Backspace));
    }
    let reaction = type_in(&mut *lab, "model");
    answer(&mut *lab, reaction);
    assert!(lab.plain().iter().any(|l| l.contains("still to say: `licence`")), "{:?}", lab.plain());
    assert_eq!(reached(&*lab), Vec::<&str>::new());
}

#[test]
fn a_learner_who_reads_the_bars_reaches_the_goals_of_next_token() {
    let mut lab = open("next-token", "{}");
    type_in(&mut *lab, "Paris 55");
    assert!(!draw(&*lab, 80, 20).contains('█'), "no bars before the prediction");
    key(&mut *lab, Key::Enter);
    lab.on_update(next());
    assert_eq!(reached(&*lab), ["predict-share"]);
    assert!(lab.plain().iter().any(|l| l.contains("it is \" Paris\" at 60.0%: you were 5 off")), "{:?}", lab.plain());

    // 60 + 20 + 10 = 90: at top-p 0.85 three survive.
    lab.on_key(KeyPress::char('p'));
    key(&mut *lab, Key::Down);
    key(&mut *lab, Key::Down);
    for _ in 0..7 {
        key(&mut *lab, Key::Left);
    }
    assert!(lab.plain().iter().any(|l| l.contains("top-p 0.85")), "{:?}", lab.plain());
    key(&mut *lab, Key::Enter);
    type_in(&mut *lab, "3");
    key(&mut *lab, Key::Enter);
    assert_eq!(reached(&*lab), ["predict-share", "predict-survivors"]);

    for _ in 0..2 {
        key(&mut *lab, Key::Left);
    }
    assert_eq!(reached(&*lab), ["predict-share", "two-survive", "predict-survivors"], "{:?}", lab.plain());
    lab.on_key(KeyPress::char('s'));
    assert_eq!(reached(&*lab).len(), 4, "{:?}", lab.plain());
    let evidence = lab.goals()[3].reached.clone().unwrap();
    assert!(evidence.contains("\"draws\":200"), "{evidence}");
}

#[test]
fn a_learner_who_misses_reaches_no_goal_of_next_token() {
    let mut lab = open("next-token", "{}");
    type_in(&mut *lab, "90");
    key(&mut *lab, Key::Enter);
    lab.on_update(next());
    assert!(lab.plain().iter().any(|l| l.contains("you were 30 off")), "{:?}", lab.plain());

    // The same prompt again: its bars were seen.
    lab.on_key(KeyPress::char('e'));
    let Reaction::Start(Job::Next { .. }) = key(&mut *lab, Key::Enter) else { panic!("a run") };
    lab.on_update(next());
    type_in(&mut *lab, "60");
    key(&mut *lab, Key::Enter);
    assert!(lab.plain().iter().any(|l| l.contains("does not count")), "{:?}", lab.plain());

    // Top-k 2 leaves two, but by its number alone.
    key(&mut *lab, Key::Down);
    for _ in 0..30 {
        key(&mut *lab, Key::Left);
    }
    assert!(lab.plain().iter().any(|l| l == "top-k 1"), "{:?}", lab.plain());
    // One survivor: nothing to compare.
    lab.on_key(KeyPress::char('s'));
    key(&mut *lab, Key::Right);
    assert!(lab.plain().iter().any(|l| l.contains("Top-k alone did that")), "{:?}", lab.plain());
    // A wrong number of survivors.
    lab.on_key(KeyPress::char('p'));
    key(&mut *lab, Key::Up);
    key(&mut *lab, Key::Left);
    key(&mut *lab, Key::Enter);
    type_in(&mut *lab, "5");
    key(&mut *lab, Key::Enter);
    assert!(lab.plain().iter().any(|l| l.contains("You said 5 would survive; it is 2: 3 off")), "{:?}", lab.plain());
    assert_eq!(reached(&*lab), Vec::<&str>::new());
}

#[test]
fn the_plan_keeps_its_result_hidden_until_it_is_predicted() {
    let mut lab = open("next-token", "{}");
    type_in(&mut *lab, "60");
    key(&mut *lab, Key::Enter);
    lab.on_update(next());
    lab.on_key(KeyPress::char('p'));
    for _ in 0..20 {
        key(&mut *lab, Key::Left);
    }
    let frame = draw(&*lab, 80, 20);
    assert!(
        frame.contains("60.0%") && !frame.contains("tokens survive") && !frame.contains("token survives"),
        "{frame}"
    );
    // Dropping the plan leaves everything as it was.
    key(&mut *lab, Key::Esc);
    assert!(lab.plain().iter().any(|l| l == "temperature 1.00"), "{:?}", lab.plain());
}

/// The learner's slowest key: a new setting over a whole vocabulary.
#[test]
fn a_setting_moves_over_a_whole_vocabulary() {
    let mut lab = open("next-token", "{}");
    type_in(&mut *lab, "60");
    key(&mut *lab, Key::Enter);
    let logits: Vec<f32> = (0..49_152_u32).map(|i| ((i * 7919) % 49_152) as f32 / 4096.0).collect();
    lab.on_update(Update::Next(NextTokens { prompt: vec![], logits, top: vec![] }));
    lab.on_key(KeyPress::char('s'));
    assert_sound(&*lab, "200 draws over a flat distribution");
    assert!(lab.plain().iter().any(|l| l.contains("200 draws")), "{:?}", lab.plain());
}

const QUESTIONS: &str = r#"{"questions": [
    {"ask": "What is the capital of France?", "fact": "Paris"},
    {"ask": "What is the capital of Australia?", "fact": "Canberra"},
    {"ask": "How many legs has a spider?", "fact": "8|eight"}]}"#;

fn speak(lab: &mut dyn Lab, words: &[&str]) {
    for (i, word) in words.iter().enumerate() {
        lab.on_update(drawn(word.len() as u32 * 100 + i as u32, word, 0.6));
    }
    lab.on_update(Update::Finished(stats(Stop::Stop, words.len())));
}

fn ask_all(lab: &mut dyn Lab) {
    for (at, words) in [&[" Paris", "."][..], &[" Sydney", "."], &[" Eight", " legs"]].into_iter().enumerate() {
        if at > 0 {
            key(lab, Key::Down);
        }
        let reaction = lab.on_key(KeyPress::char('y'));
        let Reaction::Start(Job::Generate { sampling, .. }) = reaction else { panic!("a run, got {reaction:?}") };
        assert_eq!(sampling.temperature, 0.0, "questions are answered greedily");
        speak(lab, words);
    }
}

#[test]
fn marking_the_wrong_answer_reaches_the_goals_of_generate() {
    let mut lab = open("generate", QUESTIONS);
    ask_all(&mut *lab);
    assert_eq!(reached(&*lab), ["three-answers"]);
    lab.on_key(KeyPress::char('y'));
    speak(&mut *lab, &[" Eight", " legs"]);
    assert!(lab.plain().iter().any(|l| l.contains("Asked again with seed 1: the same 2 tokens.")), "{:?}", lab.plain());
    key(&mut *lab, Key::Up);
    lab.on_key(KeyPress::char('x'));
    lab.on_key(KeyPress::char('c'));
    assert_eq!(reached(&*lab), ["three-answers", "wrong-answer"]);
    assert!(lab.plain().iter().any(|l| l.contains("lacks `Canberra`")), "{:?}", lab.plain());
}

#[test]
fn below_the_questions_stands_a_prompt_of_ones_own_as_chat_or_raw_text() {
    let mut lab = open("generate", QUESTIONS);
    for _ in 0..3 {
        key(&mut *lab, Key::Down);
    }
    let Reaction::Start(Job::Generate { prompt: Prompt::Chat(_), .. }) = lab.on_key(KeyPress::char('g')) else {
        panic!("a chat")
    };
    speak(&mut *lab, &[" It"]);
    lab.on_key(KeyPress::char('m'));
    lab.on_key(KeyPress::char('e'));
    lab.on_paste(" Then");
    key(&mut *lab, Key::Enter);
    let Reaction::Start(Job::Generate { prompt: Prompt::Text(text), .. }) = lab.on_key(KeyPress::char('g')) else {
        panic!("raw text")
    };
    assert!(text.ends_with(". Then"), "{text}");
    speak(&mut *lab, &[" It"]);
    assert!(reached(&*lab).is_empty(), "the lesson's three questions are the goal");
}

#[test]
fn marking_a_right_answer_or_stopping_reaches_nothing() {
    let mut lab = open("generate", QUESTIONS);
    lab.on_key(KeyPress::char('y'));
    lab.on_update(drawn(1, " Par", 0.6));
    assert_eq!(lab.on_key(KeyPress::char('s')), Reaction::Cancel);
    lab.on_update(Update::Finished(stats(Stop::Cancelled, 1)));
    assert!(reached(&*lab).is_empty());
    lab.on_key(KeyPress::char('c'));
    assert!(lab.plain().iter().any(|l| l.contains("Ask all the questions first")), "{:?}", lab.plain());
    ask_all(&mut *lab);
    lab.on_key(KeyPress::char('x'));
    lab.on_key(KeyPress::char('c'));
    let plain = lab.plain();
    assert!(plain.iter().any(|l| l.contains("that is not it")), "{plain:?}");
    assert!(!plain.iter().any(|l| l.contains("Canberra")), "the answer is not given away: {plain:?}");
    assert_eq!(reached(&*lab), ["three-answers"]);
}

#[test]
fn the_same_seed_twice_and_another_one_reach_the_seed_goals() {
    let mut lab = open("generate", r#"{"prompt": "The sea"}"#);
    lab.on_key(KeyPress::char('g'));
    speak(&mut *lab, &[" is", " blue"]);
    lab.on_key(KeyPress::char('a'));
    lab.on_key(KeyPress::char('y'));
    speak(&mut *lab, &[" is", " blue"]);
    assert_eq!(reached(&*lab), ["same-seed"]);
    lab.on_key(KeyPress::char('n'));
    let Reaction::Start(Job::Generate { sampling, .. }) = lab.on_key(KeyPress::char('n')) else { panic!("a run") };
    assert_eq!(sampling.seed, Some(2));
    speak(&mut *lab, &[" is", " salty"]);
    assert_eq!(reached(&*lab), ["three-answers", "same-seed", "other-seed"]);
}

#[test]
fn equal_texts_of_other_seeds_and_recorded_runs_do_not_count() {
    let mut lab = open("generate", r#"{"prompt": "The sea", "recorded": true}"#);
    for keys in ["g", "ny", "ny"] {
        type_in(&mut *lab, keys);
        speak(&mut *lab, &[" is", " blue"]);
    }
    assert_eq!(reached(&*lab), Vec::<&str>::new());
    assert!(lab.plain().iter().any(|l| l.contains("recorded model output")), "{:?}", lab.plain());
}
