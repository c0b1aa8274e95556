//! The reader's keys: one table, from which keys are looked up and footer and help are drawn.

use crate::labs::{Key, KeyHelp, KeyPress};
use crate::ui::keys::Binding;

/// What a key does on a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Act {
    PageDown,
    PageUp,
    Down,
    Up,
    Top,
    End,
    NextLink,
    PreviousLink,
    Follow,
    Contents,
    Find,
    FindNext,
    FindPrevious,
    Done,
    Quiz,
    Back,
}

pub(super) const TABLE: &[Binding<Act>] = &[
    Binding {
        presses: &[KeyPress::char(' '), KeyPress::plain(Key::PageDown), KeyPress::ctrl('f')],
        keys: "space",
        what: "on",
        action: Act::PageDown,
    },
    Binding { presses: &[KeyPress::plain(Key::Tab)], keys: "tab", what: "next link", action: Act::NextLink },
    Binding { presses: &[KeyPress::plain(Key::Enter)], keys: "enter", what: "follow", action: Act::Follow },
    Binding { presses: &[KeyPress::char('c')], keys: "c", what: "contents", action: Act::Contents },
    Binding { presses: &[KeyPress::char('/')], keys: "/", what: "find", action: Act::Find },
    Binding { presses: &[KeyPress::char('x')], keys: "x", what: "mark as done", action: Act::Done },
    Binding { presses: &[KeyPress::char('z')], keys: "z", what: "quiz", action: Act::Quiz },
    Binding { presses: &[KeyPress::char('n')], keys: "n", what: "next match", action: Act::FindNext },
    Binding { presses: &[KeyPress::char('N')], keys: "N", what: "match before", action: Act::FindPrevious },
    Binding {
        presses: &[KeyPress::char('j'), KeyPress::plain(Key::Down)],
        keys: "j ↓",
        what: "a line down",
        action: Act::Down,
    },
    Binding {
        presses: &[KeyPress::char('k'), KeyPress::plain(Key::Up)],
        keys: "k ↑",
        what: "a line up",
        action: Act::Up,
    },
    Binding {
        presses: &[KeyPress::char('b'), KeyPress::plain(Key::PageUp), KeyPress::ctrl('b')],
        keys: "b PgUp",
        what: "a page back",
        action: Act::PageUp,
    },
    Binding {
        presses: &[KeyPress::char('g'), KeyPress::plain(Key::Home)],
        keys: "g",
        what: "to the top",
        action: Act::Top,
    },
    Binding {
        presses: &[KeyPress::char('G'), KeyPress::plain(Key::End)],
        keys: "G",
        what: "to the end",
        action: Act::End,
    },
    Binding {
        presses: &[KeyPress::plain(Key::BackTab)],
        keys: "shift-tab",
        what: "link before",
        action: Act::PreviousLink,
    },
    Binding { presses: &[KeyPress::plain(Key::Backspace)], keys: "backspace", what: "back", action: Act::Back },
];

pub(super) const FIND_KEYS: [KeyHelp; 2] = [
    KeyHelp { keys: "enter", what: "keep the matches", press: KeyPress::plain(Key::Enter) },
    KeyHelp { keys: "esc", what: "forget them", press: KeyPress::plain(Key::Esc) },
];
pub(super) const CONTENTS_KEYS: [KeyHelp; 3] = [
    KeyHelp { keys: "↑↓", what: "move", press: KeyPress::plain(Key::Down) },
    KeyHelp { keys: "enter", what: "go there", press: KeyPress::plain(Key::Enter) },
    KeyHelp { keys: "esc", what: "close", press: KeyPress::plain(Key::Esc) },
];
pub(super) const TERM_KEYS: [KeyHelp; 3] = [
    KeyHelp { keys: "enter", what: "whole entry", press: KeyPress::plain(Key::Enter) },
    KeyHelp { keys: "tab", what: "next link", press: KeyPress::plain(Key::Tab) },
    KeyHelp { keys: "esc", what: "close", press: KeyPress::plain(Key::Esc) },
];
