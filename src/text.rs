//! Text that is safe to draw.
//!
//! Text from outside (packs, model output, file names, GGUF metadata, error messages that quote them) may carry
//! escape sequences, bidirectional overrides or invisible characters. [`SafeText`] is the one way to the screen:
//! it is made after parsing, because `&#27;` in markdown becomes an escape only then.
//! Facts and CVEs behind the list: Trojan Source (CVE-2021-42574), terminal escapes in `less`, `git`, `kitty`.

use std::fmt;

/// At most this many combining marks stay on one character; more ("Zalgo") only hides the neighbours.
const MAX_MARKS: usize = 8;

/// A string without control characters, bidirectional controls or invisible characters.
///
/// Line feeds stay (layout splits at them), tabs become four spaces, every other control character becomes a visible
/// stand-in (`␛` for escape), bidirectional and invisible characters are removed.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SafeText(String);

impl SafeText {
    /// Makes `text` safe. Costs one scan and no allocation beyond the copy when there is nothing to mend.
    pub fn new(text: impl Into<String>) -> Self {
        let text = text.into();
        if text.bytes().all(|b| (0x20..0x7F).contains(&b) || b == b'\n') {
            return Self(text);
        }
        let mut safe = String::with_capacity(text.len());
        let mut marks = 0;
        for c in text.chars() {
            marks = if is_combining(c) { marks + 1 } else { 0 };
            match c {
                '\n' => safe.push('\n'),
                '\t' => safe.push_str("    "),
                '\r' => {}
                '\u{0}'..='\u{1F}' => safe.push(char::from_u32(0x2400 + c as u32).expect("control pictures")),
                '\u{7F}' => safe.push('\u{2421}'),
                '\u{80}'..='\u{9F}' => safe.push('\u{FFFD}'),
                _ if is_invisible(c) || marks > MAX_MARKS => {}
                _ => safe.push(c),
            }
        }
        Self(safe)
    }

    /// The same on one line: line feeds become spaces. For titles, file names, status lines.
    pub fn line(text: impl Into<String>) -> Self {
        let safe = Self::new(text);
        if safe.0.contains('\n') { Self(safe.0.replace('\n', " ")) } else { safe }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The text, owned.
    pub fn into_string(self) -> String {
        self.0
    }
}

impl fmt::Display for SafeText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl AsRef<str> for SafeText {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl From<SafeText> for String {
    fn from(text: SafeText) -> String {
        text.0
    }
}

/// Bidi_Control, and Default_Ignorable code points that draw nothing.
///
/// ZWJ and the variation selectors 15 and 16 stay: emoji need them, and they cannot reorder or hide a letter.
fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{AD}' | '\u{34F}' | '\u{61C}' | '\u{115F}' | '\u{1160}' | '\u{17B4}' | '\u{17B5}'
        | '\u{180B}'..='\u{180F}' | '\u{200B}' | '\u{200C}' | '\u{200E}' | '\u{200F}'
        | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{3164}' | '\u{FE00}'..='\u{FE0D}'
        | '\u{FEFF}' | '\u{FFA0}' | '\u{FFF0}'..='\u{FFFB}' | '\u{1BCA0}'..='\u{1BCA3}'
        | '\u{1D173}'..='\u{1D17A}' | '\u{E0000}'..='\u{E0FFF}')
}

fn is_combining(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36F}' | '\u{483}'..='\u{489}' | '\u{1AB0}'..='\u{1AFF}'
        | '\u{1DC0}'..='\u{1DFF}' | '\u{20D0}'..='\u{20FF}' | '\u{FE20}'..='\u{FE2F}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_become_visible_and_harmless() {
        assert_eq!(SafeText::new("a\u{1b}[31mb\u{9b}c\u{7}").as_str(), "a␛[31mb\u{FFFD}c␇");
    }

    #[test]
    fn reordering_and_hiding_characters_go() {
        assert_eq!(SafeText::new("user\u{202e}nimda\u{2066}\u{200b}\u{e0041}!").as_str(), "usernimda!");
    }

    #[test]
    fn stacked_marks_are_capped() {
        let zalgo = format!("e{}x", "\u{301}".repeat(500));
        assert_eq!(SafeText::new(zalgo).as_str().chars().count(), 2 + MAX_MARKS);
    }

    #[test]
    fn ordinary_text_of_any_script_is_kept() {
        for text in ["naïve café", "日本語", "مرحبا", "👩\u{200d}🔬 ok", "a\nb"] {
            assert_eq!(SafeText::new(text).as_str(), text);
        }
    }

    #[test]
    fn no_output_ever_holds_a_control_character() {
        for code in 0..0x11_0000 {
            let Some(c) = char::from_u32(code) else { continue };
            let safe = SafeText::new(c.to_string());
            assert!(safe.as_str().chars().all(|c| c == '\n' || !c.is_control()), "U+{code:04X}");
        }
    }
}
