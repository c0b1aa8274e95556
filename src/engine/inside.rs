//! Looking inside a model on the bench: traces, the logit lens, interventions, scores and embeddings.

use serde::{Deserialize, Serialize};

use super::cache::KvCache;
use super::decoder::{CHUNK, Logits};
use super::model::Model;
use super::probe::{Blind, Intervene, Interventions, Probe, Seen, Trace};
use super::{EngineError, Prompt, TextToken, TokenId};

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

/// What the model would say after each layer, if its output layer read there (nostalgebraist, "interpreting GPT: the
/// logit lens", 2020).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Lens {
    /// The text.
    pub tokens: Vec<TextToken>,
    /// `num_hidden_layers + 1` rows, the last being what the model really says; a cell for each token.
    pub layers: Vec<Vec<LensCell>>,
}

/// The lens at one layer and token.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LensCell {
    /// The likeliest next token there.
    pub likeliest: TextToken,
    /// Its probability.
    pub probability: f32,
    /// The probability there of what the last layer holds likeliest.
    pub of_final: f32,
}

/// How a text becomes one vector.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pooling {
    /// The mean over all tokens.
    #[default]
    Mean,
    /// The last token's.
    Last,
    /// The first token's (BERT's `[CLS]`).
    Cls,
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
    /// Everything that a forward pass over a text computes on its way, and the logits after it.
    ///
    /// # Errors
    /// [`EngineError::ContextOverflow`].
    pub fn trace(&mut self, prompt: &Prompt) -> Result<(Vec<TextToken>, Trace, Vec<f32>), EngineError> {
        let (_, tokens) = self.read(prompt)?;
        let mut trace = Trace::default();
        let logits = self.watch(&tokens, CHUNK, Logits::Last, &mut trace);
        Ok((self.texts(&tokens), trace, logits))
    }

    /// The logit lens over a text.
    ///
    /// # Errors
    /// As [`Model::trace`].
    pub fn lens(&mut self, prompt: &Prompt) -> Result<Lens, EngineError> {
        let (_, tokens) = self.read(prompt)?;
        let mut states = States::default();
        self.watch(&tokens, CHUNK, Logits::None, &mut states);
        let (hidden, vocabulary) = (self.decoder.config.hidden_size, self.decoder.config.vocab_size);
        let rows = self.decoder.config.num_hidden_layers + 1;
        let mut layers: Vec<Vec<LensCell>> = vec![Vec::with_capacity(tokens.len()); rows];
        let (mut column, mut logits) = (Vec::with_capacity(rows * hidden), Vec::new());
        for position in 0..tokens.len() {
            column.clear();
            for layer in 0..rows {
                column.extend_from_slice(&states.0[layer][position * hidden..(position + 1) * hidden]);
            }
            // One token's column at a time bounds the memory: rows × vocabulary.
            for (first, column) in column.chunks(CHUNK * hidden).enumerate() {
                let mut part = Vec::new();
                self.decoder.read_out(column, &mut self.compute, &mut part);
                if first == 0 {
                    logits.clear();
                }
                logits.extend_from_slice(&part);
            }
            let last = highest(&logits[(rows - 1) * vocabulary..]);
            for (layer, logits) in logits.chunks_exact(vocabulary).enumerate() {
                let (best, norm) = (highest(logits), log_sum_exp(logits));
                let probability = |id: usize| (f64::from(logits[id]) - norm).exp() as f32;
                layers[layer].push(LensCell {
                    likeliest: self.tokenizer.token(best as TokenId),
                    probability: probability(best),
                    of_final: probability(last),
                });
            }
        }
        Ok(Lens { tokens: self.texts(&tokens), layers })
    }

    /// Scores a text token by token. A first token that the model puts before every text counts as given.
    ///
    /// # Errors
    /// As [`Model::trace`]; [`EngineError::BadSetting`] for a text of fewer than two tokens.
    pub fn score(&mut self, prompt: &Prompt) -> Result<Score, EngineError> {
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
        }
        let log_likelihood: f64 = scores.iter().map(|s| s.log_probability).sum();
        let perplexity = (-log_likelihood / scores.len() as f64).exp();
        Ok(Score { tokens: scores, log_likelihood, perplexity })
    }

    /// A text as one vector of length 1, from the residual stream after the final norm.
    ///
    /// # Errors
    /// As [`Model::trace`].
    pub fn embed(&mut self, prompt: &Prompt, pooling: Pooling) -> Result<Vec<f32>, EngineError> {
        let (_, tokens) = self.read(prompt)?;
        let mut states = States::default();
        self.watch(&tokens, CHUNK, Logits::None, &mut states);
        let last = states.0.last().expect("a model has layers");
        let normed = self.decoder.normed(last, &mut self.compute);
        Ok(pool(&normed, self.decoder.config.hidden_size, pooling))
    }

    /// Compares this model's predictions with another's, token by token along a text.
    ///
    /// # Errors
    /// As [`Model::score`]; [`EngineError::BadSetting`] when the two cut text differently.
    pub fn compare(&mut self, other: &mut Self, prompt: &Prompt) -> Result<Comparison, EngineError> {
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
        }
        let [perplexity, other_perplexity] = logs.map(|log| (-log / count as f64).exp());
        Ok(Comparison {
            perplexity,
            other_perplexity,
            kl_divergence: kl / count as f64,
            same_top_token: same as f64 / count as f64,
            tokens: count,
        })
    }

    /// Changes what the model computes from now on; empty interventions change nothing. Forgets the prompt cache.
    ///
    /// # Errors
    /// [`EngineError::BadSetting`] for a layer, head or width that the model does not have.
    pub fn intervene(&mut self, what: Interventions) -> Result<(), EngineError> {
        let config = &self.decoder.config;
        let (layers, heads, hidden) = (config.num_hidden_layers, config.num_attention_heads, config.hidden_size);
        let refuse = |what: String| Err(EngineError::BadSetting { what });
        let whole = what.ablated_attentions.iter().chain(&what.ablated_mlps);
        let named = whole.chain(what.ablated_heads.iter().map(|(layer, _)| layer));
        if let Some(layer) = named.copied().find(|layer| *layer >= layers) {
            return refuse(format!("there is no layer {layer}; this model has layers 0 to {}", layers - 1));
        }
        if let Some((_, head)) = what.ablated_heads.iter().find(|(_, head)| *head >= heads) {
            return refuse(format!("there is no head {head}; this model has heads 0 to {}", heads - 1));
        }
        for steering in &what.steering {
            if steering.layer > layers {
                return refuse(format!("there is no layer {}; a vector goes in before 0 to {layers}", steering.layer));
            }
            if steering.vector.len() != hidden {
                return refuse(format!(
                    "a steering vector of {} numbers; this model's have {hidden}",
                    steering.vector.len()
                ));
            }
        }
        self.interventions = what;
        self.memo.kept = None;
        Ok(())
    }

    /// One forward pass with the interventions in force.
    pub(super) fn step(&mut self, tokens: &[TokenId], cache: &mut KvCache, which: Logits, logits: &mut Vec<f32>) {
        if self.interventions == Interventions::default() {
            self.decoder.forward(tokens, cache, &mut self.compute, which, logits, &mut Blind);
        } else {
            let head_dim = self.decoder.config.head_dim;
            let mut probe = Intervene { what: &self.interventions, head_dim };
            self.decoder.forward(tokens, cache, &mut self.compute, which, logits, &mut probe);
        }
    }

    /// The logits after each token of a text, `tokens × vocab_size`, without a cache: for tests and references.
    #[doc(hidden)]
    pub fn all_logits(&mut self, tokens: &[TokenId], chunk: usize) -> Vec<f32> {
        self.watch(tokens, chunk, Logits::All, &mut Blind)
    }

    /// The logits after the last of some tokens, without a cache: for tests against other engines.
    #[doc(hidden)]
    pub fn logits(&mut self, tokens: &[TokenId], chunk: usize) -> Vec<f32> {
        self.watch(tokens, chunk, Logits::Last, &mut Blind)
    }

    /// Runs tokens through with a probe, from an empty cache.
    fn watch<P: Probe>(&mut self, tokens: &[TokenId], chunk: usize, which: Logits, probe: &mut P) -> Vec<f32> {
        let mut cache = self.decoder.cache();
        let (mut all, mut part) = (Vec::new(), Vec::new());
        let chunks = tokens.chunks(chunk.clamp(1, CHUNK));
        let last = chunks.len() - 1;
        for (i, chunk) in chunks.enumerate() {
            let wanted = if which == Logits::Last && i < last { Logits::None } else { which };
            self.decoder.forward(chunk, &mut cache, &mut self.compute, wanted, &mut part, probe);
            if wanted != Logits::None {
                all.extend_from_slice(&part);
            }
        }
        all
    }
}

/// Keeps the residual streams, layer by layer, positions one after the other.
#[derive(Default)]
struct States(Vec<Vec<f32>>);

impl Probe for States {
    const LOOKS: bool = true;
    const ATTENTIONS: bool = false;
    const EDITS: bool = false;
    fn see(&mut self, seen: Seen<'_>) {
        if let Seen::HiddenState { layer, x, .. } = seen {
            self.0.resize(self.0.len().max(layer + 1), Vec::new());
            self.0[layer].extend_from_slice(x);
        }
    }
    fn edit(&mut self, _: super::probe::Edit<'_>) {}
}

/// Rows of `width` numbers as one vector of length 1.
pub(super) fn pool(rows: &[f32], width: usize, pooling: Pooling) -> Vec<f32> {
    let mut out = match pooling {
        Pooling::Last => rows[rows.len() - width..].to_vec(),
        Pooling::Cls => rows[..width].to_vec(),
        Pooling::Mean => {
            let mut sum = vec![0.0; width];
            for row in rows.chunks_exact(width) {
                sum.iter_mut().zip(row).for_each(|(sum, x)| *sum += x);
            }
            sum
        }
    };
    let length = out.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
    if length > 0.0 {
        out.iter_mut().for_each(|x| *x = (f64::from(*x) / length) as f32);
    }
    out
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
fn highest(logits: &[f32]) -> usize {
    (1..logits.len()).fold(0, |best, id| if logits[id] > logits[best] { id } else { best })
}
