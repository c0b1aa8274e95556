//! One answer of the model: its tokens with their probabilities, and comparing two answers.

use ratatui::style::{Modifier, Style};
use serde::{Deserialize, Serialize};
use unicode_segmentation::UnicodeSegmentation;

use crate::engine::{Candidate, RunStats, Stop, TokenId};
use crate::labs::widgets::{count, quoted};
use crate::text::SafeText;
use crate::theme::Theme;

/// A token as it was drawn.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Drawn {
    pub id: TokenId,
    /// The token between quotes.
    pub name: String,
    /// The text that it completed; may be empty.
    pub text: String,
    pub probability: f32,
    /// The likeliest tokens at its place, with their probabilities.
    pub candidates: Vec<(String, f32)>,
}

impl Drawn {
    pub fn new(chosen: &Candidate, text: String, candidates: &[Candidate]) -> Self {
        Self {
            id: chosen.token.id,
            name: quoted(&chosen.token),
            text,
            probability: chosen.probability,
            candidates: candidates.iter().map(|c| (quoted(&c.token), c.probability)).collect(),
        }
    }

    /// How doubtful the draw was, as weight: plain from a half up, underlined below, bold and underlined under a tenth.
    pub fn style(&self, theme: &Theme) -> Style {
        match self.probability {
            p if p >= 0.5 => theme.text,
            p if p >= 0.1 => theme.text.add_modifier(Modifier::UNDERLINED),
            _ => theme.warn.add_modifier(Modifier::UNDERLINED | Modifier::BOLD),
        }
    }
}

/// An answer under way or done.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Take {
    pub tokens: Vec<Drawn>,
    pub stats: Option<RunStats>,
}

impl Take {
    pub fn text(&self) -> String {
        self.tokens.iter().map(|t| t.text.as_str()).collect()
    }

    pub fn ids(&self) -> Vec<TokenId> {
        self.tokens.iter().map(|t| t.id).collect()
    }

    /// Whether it ran to its end.
    pub fn is_whole(&self) -> bool {
        !self.tokens.is_empty() && self.stats.as_ref().is_some_and(|s| s.stop != Stop::Cancelled)
    }

    /// What the run took, in one line.
    pub fn numbers(&self) -> String {
        let Some(stats) = &self.stats else {
            return format!("{} so far · s stops", count(self.tokens.len(), "token"));
        };
        let end = match stats.stop {
            Stop::Stop => "the model ended its text",
            Stop::Length => "the limit was reached",
            Stop::Cancelled => "you stopped it",
        };
        let speed = if stats.tokens_per_second > 0.0 {
            format!(" · {:.1} tokens/s", stats.tokens_per_second)
        } else {
            String::new()
        };
        format!(
            "{}{speed} · first after {:.0} ms · seed {} · {end}",
            count(stats.new_tokens, "token"),
            stats.time_to_first_token_ms,
            stats.seed
        )
    }
}

/// A finished answer as it is kept.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Kept {
    pub prompt: String,
    pub seed: u64,
    pub text: String,
    pub ids: Vec<TokenId>,
}

/// Where two answers part: the number of tokens they share from the start, `None` when they are the same.
pub(super) fn parting(a: &[TokenId], b: &[TokenId]) -> Option<usize> {
    if a == b {
        return None;
    }
    Some(a.iter().zip(b).take_while(|(x, y)| x == y).count())
}

/// Whether `text` holds one of the `|`-parted alternatives of `fact` as whole words, in order; case does not count.
pub(super) fn holds(text: &str, fact: &str) -> bool {
    let words: Vec<String> = text.unicode_words().map(str::to_lowercase).collect();
    fact.split('|').any(|alternative| {
        let wanted: Vec<String> = alternative.unicode_words().map(str::to_lowercase).collect();
        !wanted.is_empty() && words.windows(wanted.len()).any(|window| window == wanted)
    })
}

/// A fact as it is shown: its first alternative.
pub(super) fn shown(fact: &str) -> String {
    SafeText::line(fact.split('|').next().unwrap_or("").trim()).into_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fact_is_found_as_whole_words_only() {
        assert!(holds("The capital is CANBERRA, of course.", "Canberra"));
        assert!(holds("It has eight legs", "8|eight"));
        assert!(!holds("It has eighty legs", "8|eight"));
        assert!(holds("Made in New Zealand.", "new zealand"));
        assert!(!holds("A new house in Zealand", "new zealand"));
        assert!(!holds("anything", ""));
    }

    #[test]
    fn two_answers_part_at_their_first_difference() {
        assert_eq!(parting(&[1, 2, 3], &[1, 2, 3]), None);
        assert_eq!(parting(&[1, 2, 3], &[1, 4, 3]), Some(1));
        assert_eq!(parting(&[1, 2], &[1, 2, 3]), Some(2));
    }
}
