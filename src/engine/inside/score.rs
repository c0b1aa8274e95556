//! Scoring a text that is there: surprise by token, perplexity, two models side by side.

use serde::{Deserialize, Serialize};

use crate::engine::decoder::{CHUNK, Logits};
use crate::engine::model::{Each, Model};
use crate::engine::{EngineError, Prompt, TextToken, TokenId, Update};

/// What the model makes of a text that is already there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// Each token but the first, which nothing predicts, in order.
    pub tokens: Vec<TokenScore>,
    /// Sum of their log-probabilities (natural).
    pub log_likelihood: f64,
    /// `exp(-log_likelihood / tokens)`.
    pub perplexity: f64,
}

/// How well a token was foreseen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TokenScore {
    /// The token that is there.
    pub token: TextToken,
    /// Natural logarithm of the probability that the model gave it.
    pub log_probability: f64,
    /// Its surprise in bits: `-log2(probability)`.
    pub surprise: f64,
    /// How many tokens were likelier.
    pub rank: usize,
    /// The token that the model held likeliest.
    pub likeliest: TextToken,
    /// Natural logarithm of that one's probability.
    pub likeliest_log_probability: f64,
}

/// Two models on the same text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// Perplexity of the first.
    pub perplexity: f64,
    /// Perplexity of the second.
    pub other_perplexity: f64,
    /// Mean over the tokens of `Σ p ln(p / q)`, `p` the first, `q` the second; in nats.
    pub kl_divergence: f64,
    /// Share of tokens at which both hold the same token likeliest.
    pub same_top_token: f64,
    /// Tokens compared.
    pub tokens: usize,
}

impl Model {
    /// Scores a text token by token. A first token that the model puts before every text counts as given. `None` when
    /// `each` said stop.
    ///
    /// # Errors
    /// As [`Model::trace`]; [`EngineError::BadSetting`] for a text of fewer than two tokens.
    pub fn score(&mut self, prompt: &Prompt, each: Each<'_>) -> Result<Option<Score>, EngineError> {
        let (_, tokens) = self.read(prompt)?;
        if tokens.len() < 2 {
            return Err(EngineError::BadSetting {
                what: "the text is a single token, which nothing predicts; give a longer one".into(),
            });
        }
        let vocabulary = self.decoder.config.vocab_size;
        let mut scores = Vec::with_capacity(tokens.len() - 1);
        let mut cache = self.decoder.cache();
        let mut logits = Vec::new();
        for (part, chunk) in tokens[..tokens.len() - 1].chunks(CHUNK).enumerate() {
            self.step(chunk, &mut cache, Logits::All, &mut logits);
            for (i, logits) in logits.chunks_exact(vocabulary).enumerate() {
                let there = tokens[part * CHUNK + i + 1];
                let (best, norm) = (highest(logits), log_sum_exp(logits));
                let log = |id: usize| f64::from(logits[id]) - norm;
                let own = logits[there as usize];
                scores.push(TokenScore {
                    token: self.tokenizer.token(there),
                    log_probability: log(there as usize),
                    surprise: -log(there as usize) / std::f64::consts::LN_2,
                    rank: logits.iter().filter(|l| **l > own).count(),
                    likeliest: self.tokenizer.token(best as TokenId),
                    likeliest_log_probability: log(best),
                });
            }
            if each(Update::Reading { done: cache.len(), total: tokens.len() }).is_break() {
                return Ok(None);
            }
        }
        let log_likelihood: f64 = scores.iter().map(|s| s.log_probability).sum();
        let perplexity = (-log_likelihood / scores.len() as f64).exp();
        Ok(Some(Score { tokens: scores, log_likelihood, perplexity }))
    }

    /// Compares this model's predictions with another's, token by token along a text. `None` when `each` said stop.
    ///
    /// # Errors
    /// As [`Model::score`]; [`EngineError::BadSetting`] when the two cut text differently.
    pub fn compare(
        &mut self,
        other: &mut Self,
        prompt: &Prompt,
        each: Each<'_>,
    ) -> Result<Option<Comparison>, EngineError> {
        let (_, tokens) = self.read(prompt)?;
        if other.read(prompt)?.1 != tokens || other.decoder.config.vocab_size != self.decoder.config.vocab_size {
            return Err(EngineError::BadSetting {
                what: "the two models cut this text differently, so their predictions cannot be compared".into(),
            });
        }
        if tokens.len() < 2 {
            return Err(EngineError::BadSetting { what: "the text is a single token; give a longer one".into() });
        }
        let vocabulary = self.decoder.config.vocab_size;
        let (mut own, mut theirs) = (self.decoder.cache(), other.decoder.cache());
        let (mut p, mut q) = (Vec::new(), Vec::new());
        let (mut kl, mut same, mut logs) = (0.0, 0, [0.0, 0.0]);
        let count = tokens.len() - 1;
        for (part, chunk) in tokens[..count].chunks(CHUNK).enumerate() {
            self.step(chunk, &mut own, Logits::All, &mut p);
            other.step(chunk, &mut theirs, Logits::All, &mut q);
            for (i, (p, q)) in p.chunks_exact(vocabulary).zip(q.chunks_exact(vocabulary)).enumerate() {
                let there = tokens[part * CHUNK + i + 1] as usize;
                kl += kl_divergence(p, q);
                same += usize::from(highest(p) == highest(q));
                logs[0] += f64::from(p[there]) - log_sum_exp(p);
                logs[1] += f64::from(q[there]) - log_sum_exp(q);
            }
            if each(Update::Reading { done: own.len(), total: tokens.len() }).is_break() {
                return Ok(None);
            }
        }
        let [perplexity, other_perplexity] = logs.map(|log| (-log / count as f64).exp());
        Ok(Some(Comparison {
            perplexity,
            other_perplexity,
            kl_divergence: kl / count as f64,
            same_top_token: same as f64 / count as f64,
            tokens: count,
        }))
    }
}

/// `Σ p ln(p / q)` in nats, where `p` and `q` are the softmax of the logits.
pub fn kl_divergence(p: &[f32], q: &[f32]) -> f64 {
    let (p_norm, q_norm) = (log_sum_exp(p), log_sum_exp(q));
    let terms = p.iter().zip(q).map(|(p, q)| {
        let (log_p, log_q) = (f64::from(*p) - p_norm, f64::from(*q) - q_norm);
        libm::exp(log_p) * (log_p - log_q)
    });
    terms.sum::<f64>().max(0.0)
}

/// `ln Σ exp(logit)`: what turns a logit into a log-probability.
pub fn log_sum_exp(logits: &[f32]) -> f64 {
    let largest = f64::from(logits.iter().copied().fold(f32::NEG_INFINITY, f32::max));
    largest + libm::log(logits.iter().map(|l| libm::exp(f64::from(*l) - largest)).sum::<f64>())
}

/// The id of the highest logit; of equal ones the smallest.
pub(super) fn highest(logits: &[f32]) -> usize {
    (1..logits.len()).fold(0, |best, id| if logits[id] > logits[best] { id } else { best })
}
