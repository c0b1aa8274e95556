//! One step of an answer: a token is drawn, and what it was drawn from is shown.

use std::sync::Arc;

use crate::engine::grammar::{Constraint, TokenSet};
use crate::engine::sampler::{Kept, Ranked, Sampler, likeliest, softmax};
use crate::engine::tokenizer::Tokenizer;
use crate::engine::{Candidate, EngineError, Logprobs, Mask, TextToken, TokenId, Update, log_sum_exp};

/// How tokens are drawn, and what has been drawn.
#[derive(Debug)]
pub struct Step {
    pub sampler: Sampler,
    pub constraint: Option<Constraint>,
    pub top_candidates: usize,
    pub logprobs: Option<usize>,
    /// The answer so far.
    pub answer: Vec<TokenId>,
}

/// A drawn token with what it was drawn from.
#[derive(Debug)]
pub struct Drawn {
    pub chosen: Candidate,
    candidates: Vec<Candidate>,
    mask: Option<Mask>,
    logprobs: Option<Logprobs>,
}

impl Drawn {
    /// As the update that tells of it.
    pub fn update(self, text: String, elapsed_ms: f64) -> Update {
        let Self { chosen, candidates, mask, logprobs } = self;
        Update::Token { chosen, text, candidates, mask, logprobs, elapsed_ms }
    }
}

impl Step {
    /// Draws the next token. `text` is all that the model has read.
    ///
    /// # Errors
    /// The grammar cannot go on; the model's logits are no numbers.
    pub fn draw(&mut self, tokenizer: &Tokenizer, logits: &[f32], text: &[TokenId]) -> Result<Drawn, EngineError> {
        if logits.iter().any(|logit| !logit.is_finite()) {
            return Err(EngineError::Internal {
                what: "its logits are no finite numbers; the file may be damaged".into(),
            });
        }
        let allowed = self.constraint.as_mut().map(Constraint::mask).transpose()?;
        let mut adjusted = logits.to_vec();
        self.sampler.adjust(&mut adjusted, text, &self.answer);
        // Greedy shows the model's own probabilities, not the degenerate ones of temperature 0.
        let temperature = self.sampler.params().temperature;
        let shown_at = if temperature > 0.0 { temperature } else { 1.0 };
        let mut shown = Ranked::new(softmax(&adjusted, shown_at));
        let mask = allowed.as_deref().map(|allowed| mask(allowed, &shown));
        if let Some(allowed) = &allowed {
            allowed.apply(&mut adjusted);
        }
        // What is drawn from: the same as what is shown, unless a mask lies over it.
        let mut masked = allowed.as_ref().map(|_| Ranked::new(softmax(&adjusted, shown_at)));
        let (id, kept) = if temperature > 0.0 {
            let from = masked.as_mut().unwrap_or(&mut shown);
            let kept = Kept::new(from, self.sampler.params());
            (self.sampler.draw_ranked(from, &kept), kept)
        } else {
            (likeliest(&adjusted), Kept::first())
        };
        let mut sight = Sight { tokenizer, logits, shown, masked, allowed, kept };
        let mut chosen = sight.candidate(id, 0);
        chosen.kept = true;
        let candidates = (0..self.top_candidates).map_while(|rank| sight.at(rank));
        let mut candidates: Vec<Candidate> = candidates.collect();
        if temperature <= 0.0 {
            candidates.iter_mut().for_each(|candidate| candidate.kept = candidate.token.id == id);
        }
        let logprobs = self.logprobs.map(|count| logprobs(tokenizer, logits, id, count));
        Ok(Drawn { chosen, candidates, mask, logprobs })
    }

    /// Takes a token that was drawn into the answer.
    ///
    /// # Errors
    /// The grammar has become too ambiguous.
    pub fn accept(&mut self, token: &TextToken) -> Result<(), EngineError> {
        self.answer.push(token.id);
        if let Some(constraint) = &mut self.constraint
            && !constraint.accept(token.id, &token.bytes, token.special)?
        {
            return Err(EngineError::Internal { what: "a token was drawn that the grammar does not allow".into() });
        }
        Ok(())
    }

    /// Whether the grammar is at its end.
    pub fn is_final(&self) -> bool {
        self.constraint.as_ref().is_some_and(Constraint::is_final)
    }
}

/// Everything that a candidate's fields come from.
struct Sight<'a> {
    tokenizer: &'a Tokenizer,
    logits: &'a [f32],
    shown: Ranked,
    masked: Option<Ranked>,
    allowed: Option<Arc<TokenSet>>,
    kept: Kept,
}

impl Sight<'_> {
    fn at(&mut self, rank: usize) -> Option<Candidate> {
        let (id, _) = self.shown.get(rank)?;
        Some(self.candidate(id, rank))
    }

    fn candidate(&mut self, id: TokenId, rank: usize) -> Candidate {
        let allowed = self.allowed.as_ref().is_none_or(|allowed| allowed.contains(id));
        let kept = match &mut self.masked {
            None => self.kept.has(rank),
            Some(masked) => allowed && self.kept.has_token(masked, id),
        };
        Candidate {
            token: self.tokenizer.token(id),
            logit: self.logits[id as usize],
            probability: self.shown.probability(id),
            kept,
            allowed,
        }
    }
}

fn mask(allowed: &TokenSet, shown: &Ranked) -> Mask {
    let ids = 0..shown.len() as TokenId;
    let mass: f64 = ids.filter(|id| allowed.contains(*id)).map(|id| f64::from(shown.probability(id))).sum();
    Mask { allowed: allowed.count(), mass: mass.min(1.0) as f32 }
}

fn logprobs(tokenizer: &Tokenizer, logits: &[f32], chosen: TokenId, count: usize) -> Logprobs {
    let norm = log_sum_exp(logits);
    let of = |id: TokenId| (f64::from(logits[id as usize]) - norm) as f32;
    let mut order: Vec<TokenId> = (0..logits.len() as TokenId).collect();
    let by_logit = |a: &TokenId, b: &TokenId| logits[*b as usize].total_cmp(&logits[*a as usize]).then(a.cmp(b));
    if count < order.len() {
        order.select_nth_unstable_by(count, by_logit);
        order.truncate(count);
    }
    order.sort_unstable_by(by_logit);
    Logprobs { chosen: of(chosen), top: order.into_iter().map(|id| (tokenizer.token(id), of(id))).collect() }
}
