//! Keys as tables: what a key does is looked up here, and the footer and the help are drawn from the same rows.

use crate::labs::{Key, KeyHelp, KeyPress};

/// One row of a key table.
#[derive(Clone, Copy, Debug)]
pub struct Binding<A: 'static> {
    /// The keys that do it; the first one is what a click on the footer presses.
    pub presses: &'static [KeyPress],
    /// As shown: `↑↓`, `enter`.
    pub keys: &'static str,
    /// What it does, in a word or three.
    pub what: &'static str,
    /// What it does, for the program.
    pub action: A,
}

impl<A: Copy> Binding<A> {
    /// The row as the footer and the help show it.
    pub fn help(&self) -> KeyHelp {
        let press = self.presses.first().copied().unwrap_or(KeyPress::plain(Key::Esc));
        KeyHelp { keys: self.keys, what: self.what, press }
    }
}

/// What a key does in a table.
pub fn action<A: Copy>(table: &[Binding<A>], key: KeyPress) -> Option<A> {
    table.iter().find(|row| row.presses.contains(&key)).map(|row| row.action)
}

/// Where the cursor of a list goes from `at` by an arrow, tab or page key.
pub fn moved(key: Key, at: usize, page: usize) -> usize {
    match key {
        Key::Down | Key::Tab | Key::Char('j') => at + 1,
        Key::Up | Key::BackTab | Key::Char('k') => at.saturating_sub(1),
        Key::PageDown | Key::Char(' ') => at + page,
        Key::PageUp => at.saturating_sub(page),
        Key::Home => 0,
        Key::End => usize::MAX,
        _ => at,
    }
}

/// What the app itself does with keys that the screen has no use for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Global {
    /// Show all keys.
    Help,
    /// Switch between dark, light and monochrome.
    Theme,
    /// Leave this screen.
    Back,
    /// Leave this screen, or the app from home.
    Quit,
    /// Stop the model, or leave the app at once.
    Interrupt,
    /// Suspend to the shell.
    Suspend,
    /// Draw everything anew.
    Redraw,
}

const ESC: KeyPress = KeyPress::plain(Key::Esc);

/// Keys that work everywhere unless the screen uses them itself.
pub const GLOBAL: &[Binding<Global>] = &[
    Binding { presses: &[KeyPress::char('?')], keys: "?", what: "keys", action: Global::Help },
    Binding { presses: &[ESC], keys: "esc", what: "back", action: Global::Back },
    Binding { presses: &[KeyPress::char('q')], keys: "q", what: "back; quit from home", action: Global::Quit },
    Binding { presses: &[KeyPress::char('t')], keys: "t", what: "dark, light, plain", action: Global::Theme },
];

/// Keys that work everywhere, also while text is typed.
pub const ALWAYS: &[Binding<Global>] = &[
    Binding {
        presses: &[KeyPress::ctrl('c')],
        keys: "ctrl-c",
        what: "stop, or quit at once",
        action: Global::Interrupt,
    },
    Binding { presses: &[KeyPress::ctrl('z')], keys: "ctrl-z", what: "to the shell", action: Global::Suspend },
    Binding { presses: &[KeyPress::ctrl('l')], keys: "ctrl-l", what: "draw anew", action: Global::Redraw },
];
