//! Stop strings: text is held back until it cannot be the beginning of one.

use crate::engine::EngineError;

/// The most stop strings, and the longest, in bytes.
const MAX_STRINGS: usize = 64;
const MAX_BYTES: usize = 1 << 10;

/// Finds the first stop string in a text that comes piece by piece.
#[derive(Clone, Debug)]
pub struct StopStrings {
    strings: Vec<String>,
    held: String,
}

impl StopStrings {
    /// For these strings.
    ///
    /// # Errors
    /// [`EngineError::BadSetting`] for an empty or very long one, or too many.
    pub fn new(strings: &[String]) -> Result<Self, EngineError> {
        let bad = |what: String| Err(EngineError::BadSetting { what });
        if strings.len() > MAX_STRINGS {
            return bad(format!("there are {} stop strings; at most {MAX_STRINGS} are looked for", strings.len()));
        }
        if strings.iter().any(|string| string.is_empty() || string.len() > MAX_BYTES) {
            return bad(format!("a stop string has 1 to {MAX_BYTES} bytes"));
        }
        Ok(Self { strings: strings.to_vec(), held: String::new() })
    }

    /// Takes a piece of text; gives what may be shown, and the stop string that ended it. Of several that are there
    /// the one that begins first counts, then the longest.
    pub fn push(&mut self, text: &str) -> (String, Option<&str>) {
        if self.strings.is_empty() {
            return (text.to_owned(), None);
        }
        self.held.push_str(text);
        let hits = self.strings.iter().filter_map(|string| Some((self.held.find(string.as_str())?, string)));
        if let Some((at, string)) = hits.min_by_key(|(at, string)| (*at, usize::MAX - string.len())) {
            let shown = self.held[..at].to_owned();
            self.held.clear();
            return (shown, Some(string));
        }
        let may_begin = |at: &usize| self.strings.iter().any(|string| string.starts_with(&self.held[*at..]));
        let at = self.held.char_indices().map(|(at, _)| at).find(may_begin).unwrap_or(self.held.len());
        let rest = self.held.split_off(at);
        (std::mem::replace(&mut self.held, rest), None)
    }

    /// The end of the text: what was held back belongs to it.
    pub fn rest(&mut self) -> String {
        std::mem::take(&mut self.held)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::kernels::tests_support::Numbers;

    fn all(strings: &[&str], pieces: &[&str]) -> (String, Option<String>) {
        let strings: Vec<String> = strings.iter().map(|s| (*s).to_owned()).collect();
        let mut stops = StopStrings::new(&strings).unwrap();
        let mut shown = String::new();
        for piece in pieces {
            let (text, hit) = stops.push(piece);
            shown += &text;
            if let Some(hit) = hit {
                return (shown, Some(hit.to_owned()));
            }
        }
        (shown + &stops.rest(), None)
    }

    #[test]
    fn a_stop_string_over_several_pieces_is_not_shown() {
        assert_eq!(all(&["END"], &["on E", "N", "D of"]), ("on ".into(), Some("END".into())));
        assert_eq!(all(&["END"], &["on E", "N", "d of EN"]), ("on ENd of EN".into(), None));
        assert_eq!(all(&["aab"], &["a", "a", "a", "b", "c"]), ("a".into(), Some("aab".into())));
        assert_eq!(all(&["\n\n", "\n"], &["x\n\ny"]), ("x".into(), Some("\n\n".into())));
        assert_eq!(all(&[], &["x", "y"]), ("xy".into(), None));
    }

    #[test]
    fn only_what_may_become_a_stop_string_is_held_back() {
        let mut stops = StopStrings::new(&["né!".to_owned()]).unwrap();
        assert_eq!(stops.push("anan"), ("ana".into(), None));
        assert_eq!(stops.push("é"), (String::new(), None));
        assert_eq!(stops.push("?"), ("né?".into(), None));
    }

    #[test]
    fn any_split_finds_what_a_plain_search_finds() {
        let mut numbers = Numbers(5);
        for _ in 0..3_000 {
            let mut text = |length: u64| -> String {
                (0..numbers.bits() % length + 1).map(|_| ['a', 'b', 'é'][(numbers.bits() % 3) as usize]).collect()
            };
            let (whole, strings) = (text(24), [text(4), text(3)]);
            let mut pieces = Vec::new();
            let mut rest = whole.as_str();
            while !rest.is_empty() {
                let count = 1 + (numbers.bits() % 3) as usize;
                let cut = rest.char_indices().nth(count).map_or(rest.len(), |(at, _)| at);
                let (piece, after) = rest.split_at(cut);
                pieces.push(piece);
                rest = after;
            }
            let first = strings.iter().filter_map(|s| whole.find(s.as_str())).min();
            let (shown, hit) = all(&[&strings[0], &strings[1]], &pieces);
            assert_eq!(hit.is_some(), first.is_some());
            // A longer one may have begun before the one that was complete first; then less is shown, never more.
            assert!(whole.starts_with(&shown));
            assert!(hit.is_some() || shown == whole);
            assert!(strings.iter().all(|s| !shown.contains(s.as_str())));
        }
    }

    #[test]
    fn an_empty_stop_string_is_refused() {
        assert!(StopStrings::new(&[String::new()]).unwrap_err().to_string().contains("1 to 1024"));
    }
}
