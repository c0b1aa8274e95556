//! Typed names of control tokens stay text.
//!
//! A rendered conversation is one string, in which `<|im_end|>` from the template and `<|im_end|>` from a learner look
//! alike. So before rendering, a mark is put into every typed name, behind its first character; the tokenizer finds
//! control tokens in the marked text, and takes the marks out of the ordinary stretches between them.
//!
//! A template may look into what was typed: Qwen 3 splits earlier answers at `</think>`, Hermes asks whether a turn
//! begins with `<tool_response>`. Those names are no control tokens in the models' own vocabularies (they are added
//! ordinary ones), so they carry no mark and such templates see exactly what was written. Where a template looks for a
//! real control token in a turn, it does not find a typed one: typed, it is none. A mark is no white space, no letter
//! and no character that JSON escapes, so it goes unchanged through `trim`, `split`, `upper` and `tojson`.
//!
//! A name could also come together from two turns, or from a turn and the template's text (`<|im_` at the end of one,
//! `end|>` at the beginning of the next). So every beginning of a name at a turn's end gets a mark too, and every end of
//! a name at a turn's beginning; white space around a turn, which templates cut off, does not count.

use aho_corasick::{AhoCorasick, MatchKind};

/// A private-use character; taken out of what was typed beforehand.
pub const MARK: char = '\u{F8F0}';

/// Marks the names of a vocabulary's control tokens.
pub struct Guard<'a> {
    names: Vec<&'a str>,
    finder: Option<AhoCorasick>,
}

impl<'a> Guard<'a> {
    /// For these names. A name of a single character cannot be marked; no vocabulary has one.
    pub fn new(names: impl IntoIterator<Item = &'a str>) -> Self {
        let names: Vec<&str> = names.into_iter().filter(|name| name.chars().nth(1).is_some()).collect();
        let finder = AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(&names).ok();
        Self { finder: finder.filter(|_| !names.is_empty()), names }
    }

    /// What was typed, with marks.
    pub fn protect(&self, typed: &str) -> String {
        let typed = typed.replace(MARK, "");
        let Some(finder) = &self.finder else { return typed };
        // Byte offsets where a mark goes.
        let mut marks = vec![];
        let mut at = 0;
        // Names may overlap (`<a<a>`): the search goes on behind the first character of each.
        while let Some(found) = finder.find(&typed[at..]) {
            let start = at + found.start();
            at = start + first_char(&typed[start..]);
            marks.push(at);
        }
        let (begin, end) = (typed.len() - typed.trim_start().len(), typed.trim_end().len());
        if begin < end {
            marks.extend(self.open_ends(&typed[begin..end]).map(|at| begin + at));
            marks.extend(self.open_beginnings(&typed[begin..end]).map(|at| begin + at));
        }
        marks.sort_unstable();
        marks.dedup();
        let mut out = String::with_capacity(typed.len() + 3 * marks.len());
        let mut from = 0;
        for mark in marks {
            out.push_str(&typed[from..mark]);
            out.push(MARK);
            from = mark;
        }
        out.push_str(&typed[from..]);
        out
    }

    /// Where to mark beginnings of names, not the whole, that end `text`: all of them, for `<a<` may go on to `<a<a>` or
    /// from its last character to `<s>`.
    fn open_ends(&self, text: &str) -> impl Iterator<Item = usize> {
        let parts = self.names.iter().flat_map(|name| name.char_indices().skip(1).map(|(cut, _)| &name[..cut]));
        parts.filter(|part| text.ends_with(part)).map(|part| text.len() - part.len() + first_char(part))
    }

    /// Where to mark ends of names, not the whole, that begin `text`: each before its last character.
    fn open_beginnings(&self, text: &str) -> impl Iterator<Item = usize> {
        let parts = self.names.iter().flat_map(|name| name.char_indices().skip(1).map(|(cut, _)| &name[cut..]));
        parts.filter(|part| text.starts_with(part)).filter_map(|part| Some(part.char_indices().next_back()?.0))
    }
}

fn first_char(text: &str) -> usize {
    text.chars().next().map_or(0, char::len_utf8)
}
