use insta::assert_snapshot;

use super::*;
use crate::engine::{Candidate, TextToken};
use crate::ui::screen::stage::{frame, keys, shared, stats};

fn press(chat: &mut ChatScreen, words: &str, shared: &Shared) -> Outcome {
    keys(words).into_iter().map(|key| chat.on_key(key, shared)).last().expect("keys")
}

fn draw(chat: &ChatScreen, shared: &Shared) -> String {
    frame(80, 20, |area, buf| chat.view(area, buf, shared))
}

fn token(text: &str) -> Update {
    let token = TextToken { id: 1, bytes: text.as_bytes().to_vec(), special: false };
    let chosen = Candidate { token, logit: 0.0, probability: 0.5, kept: true, allowed: true };
    Update::Token { chosen, text: text.into(), candidates: vec![], mask: None, logprobs: None, elapsed_ms: 0.0 }
}

fn messages(outcome: &Outcome) -> Vec<(Role, String)> {
    let Outcome::Start(Job::Generate { prompt: Prompt::Chat(messages), .. }) = outcome else { panic!("{outcome:?}") };
    messages.iter().map(|m| (m.role, m.content.clone())).collect()
}

fn answer(chat: &mut ChatScreen, text: &str, shared: &Shared) {
    chat.on_update(Update::Prompt { text: String::new(), tokens: vec![] }, shared);
    chat.on_update(token(text), shared);
    chat.on_update(Update::Finished(stats(Stop::Stop, 20, 3)), shared);
}

#[test]
fn a_conversation_is_sent_whole_and_labelled() {
    let shared = shared();
    let mut chat = ChatScreen::new(&shared);
    assert!(chat.is_typing());
    let first = press(&mut chat, "Hi? enter", &shared);
    assert_eq!(messages(&first)[1], (Role::User, "Hi?".into()));
    answer(&mut chat, "Hello\u{1b}[31m there.", &shared);
    let second = press(&mut chat, "Why? enter", &shared);
    let roles: Vec<Role> = messages(&second).into_iter().map(|m| m.0).collect();
    assert_eq!(roles, [Role::System, Role::User, Role::Assistant, Role::User]);
    chat.on_update(token("Be"), &shared);
    assert_snapshot!(draw(&chat, &shared), @r"
    You
    Hi?

    Model (may be wrong)
    Hello␛[31m there.
    31.5 tokens/s · 3 tokens · seed 7

    You
    Why?

    Model (may be wrong)
    Be






    You ▸
    1 token so far · esc stops                           context 24 of 64 tokens
    ");
    assert_eq!(press(&mut chat, "esc", &shared), Outcome::Cancel, "esc stops before it leaves");
    chat.on_update(Update::Finished(stats(Stop::Cancelled, 20, 1)), &shared);
    assert!(draw(&chat, &shared).contains("stopped by you"));
    assert_eq!(press(&mut chat, "esc", &shared), Outcome::Ignored, "now it leaves");
}

#[test]
fn a_full_context_offers_to_leave_out_the_oldest_turns_and_says_so() {
    let shared = shared();
    let mut chat = ChatScreen::new(&shared);
    press(&mut chat, "One? enter", &shared);
    answer(&mut chat, "1", &shared);
    press(&mut chat, "Two? enter", &shared);
    chat.on_update(Update::Failed(EngineError::ContextOverflow { prompt: 80, limit: 64 }), &shared);
    assert_snapshot!(draw(&chat, &shared), @r"
    You
    One?

    Model (may be wrong)
    1
    31.5 tokens/s · 3 tokens · seed 7

    You
    Two?






    You ▸
    The conversation is 80 tokens, and the model reads 64. enter leaves out the
    oldest 2 turns and asks again; what is left out stays on the page, but the
    model will not know of it. esc changes the message.
                                                         context 80 of 64 tokens
    ");
    let again = press(&mut chat, "enter", &shared);
    let sent: Vec<String> = messages(&again).into_iter().map(|m| m.1).collect();
    assert_eq!(sent[1..], ["Two?"]);
    answer(&mut chat, "2", &shared);
    assert!(draw(&chat, &shared).contains("the turns above are no longer sent to the model"));
}

#[test]
fn a_message_that_never_fits_comes_back_to_be_shortened() {
    let shared = shared();
    let mut chat = ChatScreen::new(&shared);
    press(&mut chat, "Long enter", &shared);
    chat.on_update(Update::Failed(EngineError::ContextOverflow { prompt: 80, limit: 64 }), &shared);
    assert_eq!(chat.message.text(), "Long");
    assert!(draw(&chat, &shared).contains("shorten it"));
    assert!(chat.turns.is_empty());
}

#[test]
fn settings_and_system_prompt_go_with_the_next_message() {
    let shared = shared();
    let mut chat = ChatScreen::new(&shared);
    press(&mut chat, "tab left down right down right right", &shared);
    assert!(!chat.is_typing());
    assert!(draw(&chat, &shared).contains("▸seed 2"), "{}", draw(&chat, &shared));
    press(&mut chat, "tab ^u Pirate enter", &shared);
    let outcome = press(&mut chat, "Hi enter", &shared);
    assert_eq!(messages(&outcome)[0], (Role::System, "Pirate".into()));
    let Outcome::Start(Job::Generate { sampling, .. }) = outcome else { panic!("a run") };
    assert_eq!((sampling.temperature, sampling.top_p, sampling.seed), (0.6, None, Some(2)));
}

#[test]
fn a_conversation_is_saved_as_markdown_and_cleared_only_when_asked_twice() {
    let shared = shared();
    let mut chat = ChatScreen::new(&shared);
    press(&mut chat, "Hi? enter", &shared);
    answer(&mut chat, "Hello.", &shared);
    let Outcome::Do(effects) = press(&mut chat, "^s", &shared) else { panic!("effects") };
    let [Effect::SaveFile { name, text }] = effects.as_slice() else { panic!("{effects:?}") };
    assert_eq!(name, "chat.md");
    assert_snapshot!(text, @r"
    # Chat with tiny

    Model output may be wrong. Settings: temperature 0.7, top-p 0.95, seed drawn, most tokens 256.

    **System:** You are a helpful assistant.

    **You:**

    Hi?

    **Model:**

    Hello.

    *31.5 tokens/s · 3 tokens · seed 7*
    ");
    press(&mut chat, "^n x ^n", &shared);
    assert_eq!(chat.turns.len(), 2, "another key between them is no yes");
    press(&mut chat, "^n", &shared);
    assert!(chat.turns.is_empty());
}

#[test]
fn without_a_model_nothing_is_sent_and_the_reason_is_shown() {
    let mut shared = shared();
    shared.model = ModelState::Missing("no model file found; run `osai model add smollm2`".into());
    let mut chat = ChatScreen::new(&shared);
    assert_eq!(press(&mut chat, "Hi enter", &shared), Outcome::Handled);
    assert_eq!(chat.message.text(), "Hi");
    assert!(draw(&chat, &shared).contains("osai model add smollm2"));
}

#[test]
fn a_chat_is_usable_at_any_size() {
    let shared = shared();
    let mut chat = ChatScreen::new(&shared);
    for round in 0..6 {
        press(&mut chat, "question enter", &shared);
        answer(&mut chat, &"many words ".repeat(40 * round), &shared);
    }
    for size in [(40, 13), (200, 46), (3, 2), (1, 1)] {
        chat.resize(size.0, size.1, &shared);
        for words in ["up up", "tab", "tab", "tab", "down"] {
            press(&mut chat, words, &shared);
            frame(size.0, size.1, |area, buf| chat.view(area, buf, &shared));
        }
    }
}

#[test]
fn enter_during_an_answer_says_how_to_stop_it_and_keeps_the_message() {
    let shared = shared();
    let mut chat = ChatScreen::new(&shared);
    press(&mut chat, "Hi? enter", &shared);
    chat.on_update(token("Hello"), &shared);
    assert_eq!(press(&mut chat, "More enter", &shared), Outcome::Handled);
    assert!(draw(&chat, &shared).contains("still coming; esc stops it"));
    chat.on_update(Update::Finished(stats(Stop::Stop, 20, 3)), &shared);
    assert!(!draw(&chat, &shared).contains("still coming"));
    assert_eq!(chat.message.text(), "More");
}

#[test]
fn an_answer_that_the_model_did_not_live_to_end_is_marked() {
    let shared = shared();
    let mut chat = ChatScreen::new(&shared);
    press(&mut chat, "Hi? enter", &shared);
    chat.on_update(token("Hel"), &shared);
    chat.on_update(Update::Failed(EngineError::Stopped { how: "the system ended it".into() }), &shared);
    assert_eq!(chat.turns.last().expect("a turn").note.as_deref(), Some("broken off"));
}
