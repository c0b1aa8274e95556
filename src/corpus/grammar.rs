//! Templates: sentences with choices and slots, in which the text of all generators is written.
//!
//! ```text
//! [At last|In the end], {friend} found {a thing}.     one of the alternatives; slots filled
//! {^thing}   with a capital      {a thing}  with "a" or "an"      {A thing}  with "A" or "An"
//! ```
//!
//! Alternatives may hold slots and alternatives; an empty one is allowed.

use std::collections::BTreeMap;

use super::draw::Draw;
use super::words::{article, capital};

/// What fills the slots of a template, by name.
#[derive(Clone, Debug, Default)]
pub struct Slots(BTreeMap<String, String>);

impl Slots {
    /// No slot yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Slots from pairs.
    pub fn of<const N: usize>(pairs: [(&str, &str); N]) -> Self {
        Self(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }

    /// Fills a slot.
    pub fn set(&mut self, name: &str, value: impl Into<String>) {
        self.0.insert(name.to_owned(), value.into());
    }

    /// What fills the slot.
    ///
    /// # Panics
    /// When a template names a slot that the generator does not fill; the tests of each generator find that.
    pub fn get(&self, name: &str) -> &str {
        self.0.get(name).unwrap_or_else(|| panic!("no slot `{name}` among {:?}", self.0.keys()))
    }

    fn filled(&self, slot: &str) -> String {
        if let Some(name) = slot.strip_prefix('^') {
            return capital(self.get(name));
        }
        match slot.split_once(' ') {
            Some(("a", name)) => article(self.get(name)),
            Some(("A", name)) => capital(&article(self.get(name))),
            _ => self.get(slot).to_owned(),
        }
    }
}

/// Makes the text of a template.
///
/// # Panics
/// On an unclosed bracket or an unknown slot: templates are part of the program, and tests read them all.
pub fn expand(template: &str, slots: &Slots, draw: &mut Draw) -> String {
    let mut out = String::with_capacity(template.len());
    let mut rest = template;
    while let Some(at) = rest.find(['[', '{']) {
        out += &rest[..at];
        let close = closing(&rest[at..]).unwrap_or_else(|| panic!("unclosed bracket in `{template}`"));
        let inside = &rest[at + 1..at + close];
        if rest[at..].starts_with('{') {
            out += &slots.filled(inside);
        } else {
            let choices = alternatives(inside);
            let chosen = *draw.pick(&choices);
            out += &expand(chosen, slots, draw);
        }
        rest = &rest[at + close + 1..];
    }
    out + rest
}

/// The place of the bracket that closes the first one.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 0;
    for (at, c) in text.char_indices() {
        match c {
            '[' | '{' => depth += 1,
            ']' | '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(at);
        }
    }
    None
}

/// The parts between bars that stand in no inner bracket.
fn alternatives(inside: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let (mut depth, mut start) = (0, 0);
    for (at, c) in inside.char_indices() {
        match c {
            '[' | '{' => depth += 1,
            ']' | '}' => depth -= 1,
            '|' if depth == 0 => {
                found.push(&inside[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    found.push(&inside[start..]);
    found
}

#[cfg(test)]
mod tests {
    use super::super::draw::Split;
    use super::*;

    fn text(template: &str) -> Vec<String> {
        let slots = Slots::of([("thing", "old key"), ("hero", "Mia")]);
        let made = |number| expand(template, &slots, &mut Draw::new(1, "test", Split::Train, number));
        let mut all: Vec<String> = (0..50).map(made).collect();
        all.sort();
        all.dedup();
        all
    }

    #[test]
    fn slots_take_articles_and_capitals() {
        assert_eq!(text("{hero} had {a thing}. {A thing}! {^thing}."), ["Mia had an old key. An old key! Old key."]);
    }

    #[test]
    fn alternatives_nest_and_may_be_empty() {
        assert_eq!(text("[one|two [x|{hero}]|]."), [".", "one.", "two Mia.", "two x."]);
    }

    #[test]
    #[should_panic(expected = "no slot `friend`")]
    fn an_unknown_slot_is_named() {
        text("{friend}");
    }
}
