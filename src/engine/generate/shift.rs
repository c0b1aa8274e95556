//! A full context: the oldest tokens after the first few are forgotten.
//!
//! What stays is read again from the first token that moved. Turning the cached keys to their new positions instead,
//! as llama.cpp does, is quicker and gives other bits: those keys were computed while the forgotten tokens were seen.

use crate::engine::model::Model;
use crate::engine::{ChatMessage, EngineError, GenerationOptions, Prompt, Role, TokenId};

/// New tokens that must fit after what is kept for ever.
const ROOM: usize = 8;

/// What happens when the context is full.
#[derive(Debug)]
pub struct Shift {
    /// Tokens that the model reads at most.
    pub limit: usize,
    /// Whether to go on at all.
    pub is_wanted: bool,
    n_keep: usize,
}

impl Shift {
    /// Forgets the oldest tokens if they are more than fit: the first `n_keep` and half of the room after them stay.
    /// Gives the number of those forgotten.
    ///
    /// # Errors
    /// [`EngineError::ContextOverflow`] where it is not wanted.
    pub fn apply(&self, tokens: &mut Vec<TokenId>) -> Result<usize, EngineError> {
        if tokens.len() < self.limit {
            return Ok(0);
        }
        if !self.is_wanted {
            return Err(EngineError::ContextOverflow { prompt: tokens.len(), limit: self.limit });
        }
        let stay = (self.limit - self.n_keep) / 2;
        let until = tokens.len() - stay;
        tokens.drain(self.n_keep..until);
        Ok(until - self.n_keep)
    }
}

impl Model {
    /// What to do when a prompt, or its answer, fills the context.
    pub(super) fn shift(
        &self,
        prompt: &Prompt,
        tokens: &[TokenId],
        options: &GenerationOptions,
    ) -> Result<Shift, EngineError> {
        let limit = self.decoder.config.max_position_embeddings;
        let Some(wanted) = options.context_shift else { return Ok(Shift { limit, is_wanted: false, n_keep: 0 }) };
        let n_keep = wanted.n_keep.unwrap_or_else(|| self.beginning(prompt, tokens)).min(tokens.len());
        if n_keep + ROOM > limit {
            let what = format!(
                "{n_keep} tokens are to be kept for ever and the model reads {limit}; keep at most {}",
                limit.saturating_sub(ROOM)
            );
            return Err(EngineError::BadSetting { what });
        }
        Ok(Shift { limit, is_wanted: true, n_keep })
    }

    /// Tokens before the first words of the user: those that the same chat with other words would begin with.
    fn beginning(&self, prompt: &Prompt, tokens: &[TokenId]) -> usize {
        let same = |other: &[TokenId]| tokens.iter().zip(other).take_while(|(a, b)| a == b).count();
        let bos: Vec<TokenId> = self.tokenizer.beginning().into_iter().collect();
        let Prompt::Chat(messages) = prompt else { return same(&bos) };
        let others = ["0", "x"].map(|content| {
            let frame = messages.iter().take_while(|message| message.role == Role::System).cloned();
            let user = ChatMessage { role: Role::User, content: content.into() };
            self.read_any(&Prompt::Chat(frame.chain([user]).collect())).map(|(_, tokens)| tokens)
        });
        match others {
            // The shorter of the two: the user's words may begin with one of them.
            [Ok(a), Ok(b)] => same(&a).min(same(&b)),
            _ => same(&bos),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_and_the_newest_stay() {
        let shift = Shift { limit: 20, is_wanted: true, n_keep: 4 };
        let mut tokens: Vec<TokenId> = (0..20).collect();
        assert_eq!(shift.apply(&mut tokens), Ok(8));
        assert_eq!(tokens, [0, 1, 2, 3, 12, 13, 14, 15, 16, 17, 18, 19]);
        assert_eq!(shift.apply(&mut tokens), Ok(0));
        let mut long: Vec<TokenId> = (0..500).collect();
        assert_eq!(shift.apply(&mut long), Ok(488));
        assert_eq!(long.len(), 12);
        let none = Shift { is_wanted: false, ..shift };
        assert_eq!(none.apply(&mut (0..20).collect()), Err(EngineError::ContextOverflow { prompt: 20, limit: 20 }));
    }
}
