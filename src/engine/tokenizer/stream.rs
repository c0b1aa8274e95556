//! Tokens into text, as they come.

/// Joins tokens into text without ever showing half a character.
///
/// A token is bytes, not text: `é` may arrive as `0xC3` and, one token later, `0xA9`.
#[derive(Debug, Default)]
pub struct TextStream {
    pending: Vec<u8>,
    /// The first character is dropped if it is a space.
    drops_space: bool,
}

impl TextStream {
    /// A stream for a text that begins here; see [`super::Tokenizer::stream`].
    pub(super) fn beginning(drops_space: bool) -> Self {
        Self { pending: vec![], drops_space }
    }

    /// Takes a token's bytes and returns the text that is now complete, possibly none. Bytes that can never become
    /// UTF-8 come out as `U+FFFD`.
    pub fn push(&mut self, bytes: &[u8]) -> String {
        let mut bytes = bytes;
        if self.drops_space && !bytes.is_empty() {
            bytes = bytes.strip_prefix(b" ").unwrap_or(bytes);
            self.drops_space = false;
        }
        self.pending.extend_from_slice(bytes);
        let mut text = String::new();
        loop {
            match std::str::from_utf8(&self.pending) {
                Ok(rest) => {
                    text.push_str(rest);
                    self.pending.clear();
                    return text;
                }
                Err(error) => {
                    let valid = error.valid_up_to();
                    text.push_str(std::str::from_utf8(&self.pending[..valid]).expect("checked"));
                    let Some(bad) = error.error_len() else {
                        self.pending.drain(..valid);
                        return text;
                    };
                    text.push('\u{FFFD}');
                    self.pending.drain(..valid + bad);
                }
            }
        }
    }

    /// The end of the text: what is still incomplete comes out as `U+FFFD`.
    pub fn finish(&mut self) -> String {
        String::from_utf8_lossy(&std::mem::take(&mut self.pending)).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_split_character_waits_for_its_other_half() {
        let mut stream = TextStream::default();
        assert_eq!(stream.push(&[b'a', 0xC3]), "a");
        assert_eq!(stream.push(&[0xA9, b'!']), "é!");
        assert_eq!(stream.push(&[0xFF, b'b']), "\u{FFFD}b");
        assert_eq!(stream.push("日本".as_bytes()), "日本");
    }

    #[test]
    fn any_split_of_any_text_gives_the_text() {
        let text = "naïve 日本語 👩🏽‍🔬 \u{10FFFF} end";
        for cut in 0..=text.len() {
            for second in cut..=text.len() {
                let mut stream = TextStream::default();
                let bytes = text.as_bytes();
                let mut out = stream.push(&bytes[..cut]);
                out += &stream.push(&bytes[cut..second]);
                out += &stream.push(&bytes[second..]);
                out += &stream.finish();
                assert_eq!(out, text, "cut at {cut} and {second}");
            }
        }
    }

    #[test]
    fn only_the_first_space_of_a_new_text_is_dropped() {
        let mut stream = TextStream::beginning(true);
        assert_eq!([&b""[..], b" a", b" b"].map(|bytes| stream.push(bytes)), ["", "a", " b"]);
        let mut stream = TextStream::beginning(true);
        assert_eq!([&b"a"[..], b" b"].map(|bytes| stream.push(bytes)), ["a", " b"]);
        let mut stream = TextStream::beginning(true);
        assert_eq!([&b"  a"[..], b" b"].map(|bytes| stream.push(bytes)), [" a", " b"]);
    }

    #[test]
    fn an_unfinished_character_is_said_at_the_end() {
        let mut stream = TextStream::default();
        assert_eq!(stream.push(&[0xE6, 0x97]), "");
        assert_eq!(stream.finish(), "\u{FFFD}");
    }
}
