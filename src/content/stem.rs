//! Words without their endings, so that `quantised`, `quantising` and `quantization` are one word to the search.

use super::fold::{fold, singular};

/// Words that say nothing about what is sought.
const STOP_WORDS: [&str; 40] = [
    "a", "an", "and", "are", "as", "at", "be", "by", "can", "do", "does", "for", "from", "how", "i", "in", "is", "it",
    "its", "me", "my", "of", "on", "or", "that", "the", "their", "there", "this", "to", "what", "when", "where",
    "which", "who", "why", "will", "with", "you", "your",
];
/// Endings that make another form of the same word; at least [`ROOT`] letters stay.
const ENDINGS: [&str; 5] = ["ation", "ing", "ed", "er", "e"];
const ROOT: usize = 4;

/// A word in one spelling without its usual ending. It begins with the word's own letter.
pub(super) fn stem(word: &str) -> String {
    let folded = fold(word);
    let stem = singular(&folded);
    let root = |ending: &&str| stem.strip_suffix(*ending).filter(|root| root.len() >= ROOT);
    ENDINGS.iter().find_map(root).unwrap_or(stem).to_owned()
}

/// Words of a text with their places.
pub(super) fn words(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let start = text.as_ptr() as usize;
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(move |word| (word.as_ptr() as usize - start, word))
}

/// The stems that say what a text is about, each once; of a text that has no such words, all.
pub(super) fn telling(text: &str) -> Vec<String> {
    // Neither `can't` nor the `s` of `user's` tells anything.
    let text = text.to_lowercase().replace('’', "'").replace("'s", "");
    let whole = text.split_whitespace().filter(|word| !word.contains("n't"));
    let all: Vec<&str> = whole.flat_map(words).map(|(_, word)| word).collect();
    let tells = |word: &&str| STOP_WORDS.binary_search(word).is_err();
    let telling: Vec<&str> = all.iter().copied().filter(tells).collect();
    let mut stems: Vec<String> = Vec::new();
    for word in if telling.is_empty() { all } else { telling } {
        let stem = stem(word);
        if !stem.is_empty() && !stems.contains(&stem) {
            stems.push(stem);
        }
    }
    stems
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_of_a_word_have_one_stem() {
        for family in [
            &["quantised", "Quantizing", "quantization", "quantisation", "quantise"][..],
            &["license", "licences", "licensing", "licensed"],
        ] {
            let stems: Vec<String> = family.iter().map(|word| stem(word)).collect();
            assert!(stems.iter().all(|stem| *stem == stems[0]), "{family:?}: {stems:?}");
        }
        assert_eq!((stem("loss"), stem("king"), stem("weights")), ("loss".into(), "king".into(), "weight".into()));
    }

    #[test]
    fn stop_words_count_only_when_there_is_nothing_else() {
        assert!(STOP_WORDS.is_sorted());
        assert_eq!(telling("What is the token? It can't be the user's"), ["token", "user"]);
        assert_eq!(telling("who is who"), ["who", "is"]);
    }
}
