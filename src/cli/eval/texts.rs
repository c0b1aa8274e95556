//! How well the model foresees held-out texts, by part of the corpus.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use serde::Serialize;

use crate::cli::failure::{Failure, INTERRUPTED};
use crate::cli::session::{self, Interrupt};
use crate::corpus::{Document, Kind, Split};
use crate::engine::{Job, Model, Prompt, Update};

/// Documents of each part.
const DOCUMENTS: u64 = 8;
/// Parts that are plain text, which every model can be asked to foresee.
const PLAIN: [Kind; 3] = [Kind::Story, Kind::Dialogue, Kind::Annals];

/// The loss on a part.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct TextLoss {
    /// Tokens foreseen.
    pub tokens: usize,
    /// Nats a token.
    pub loss: f64,
    /// e to the loss. Tokens differ from model to model; bits per byte can be compared.
    pub perplexity: f64,
    /// Bits a byte.
    pub bits_per_byte: f64,
}

/// The loss on all parts: of a model of osai's own on what counts in training, of any other on whole plain texts.
pub fn losses(
    model: &mut Model,
    seed: u64,
    is_own: bool,
    interrupt: &Interrupt,
) -> Result<BTreeMap<&'static str, TextLoss>, Failure> {
    let kinds: &[Kind] = if is_own { &Kind::ALL } else { &PLAIN };
    let mut losses = BTreeMap::new();
    for kind in kinds.iter().filter(|kind| !matches!(kind, Kind::Rare | Kind::Person | Kind::Preference)) {
        let (mut nats, mut tokens, mut bytes) = (0.0, 0_usize, 0_usize);
        for number in 0..DOCUMENTS {
            let document = kind.document(seed, Split::Held, number);
            let (some, count, length) = score(model, &document, is_own, interrupt)?;
            (nats, tokens, bytes) = (nats + some, tokens + count, bytes + length);
        }
        if tokens == 0 {
            continue;
        }
        let loss = nats / tokens as f64;
        let bits_per_byte = nats / std::f64::consts::LN_2 / bytes as f64;
        losses.insert(kind.name(), TextLoss { tokens, loss, perplexity: libm::exp(loss), bits_per_byte });
    }
    Ok(losses)
}

/// Nats, tokens and bytes of a document.
fn score(
    model: &mut Model,
    document: &Document,
    is_own: bool,
    interrupt: &Interrupt,
) -> Result<(f64, usize, usize), Failure> {
    let room = model.info().max_position_embeddings;
    if is_own && model.tokenizer().encode_template(&document.text()).len() >= room {
        return Ok((0.0, 0, 0)); // no document of its training was as long
    }
    let plain = || document.text().replace("<|endoftext|>", "").trim().to_owned();
    let prompt = if is_own { Prompt::Raw(document.text()) } else { Prompt::Text(plain()) };
    let mut answer = None;
    session::run(model, Job::Score { prompt }, &mut |update| {
        if let Update::Score(score) = update {
            answer = Some(score);
        }
        if interrupt.is_pressed() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    let Some(answer) = answer else { return Err(Failure::silent(INTERRUPTED)) };
    if !is_own {
        return Ok((-answer.log_likelihood, answer.tokens.len(), plain().len()));
    }
    // Spans end where tokens end: the corpus's documents are cut span by span for training too.
    let counts: Vec<bool> = document
        .spans
        .iter()
        .flat_map(|span| vec![span.weight > 0; model.tokenizer().encode_template(&span.text).len()])
        .collect();
    let first = counts.len().saturating_sub(answer.tokens.len());
    let counted = answer.tokens.iter().zip(&counts[first..]).filter(|(_, counts)| **counts);
    let (nats, tokens) = counted.fold((0.0, 0), |(nats, count), (token, _)| (nats - token.log_probability, count + 1));
    let bytes = document.spans.iter().filter(|span| span.weight > 0).map(|span| span.text.len()).sum();
    Ok((nats, tokens, bytes))
}
