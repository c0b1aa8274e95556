//! `osai next`: the distribution over the next token.

use std::io::Write;
use std::ops::ControlFlow;

use serde::Serialize;

use super::args::NextArgs;
use super::environment::Globals;
use super::failure::{Failure, MODEL};
use super::out::Out;
use super::session::{self, TokenJson, shown};
use crate::engine::{self, Candidate, Job, NextTokens, Prompt, SamplingParams, Update};

/// Width of the longest bar.
const BAR: usize = 30;

#[derive(Serialize)]
struct Report {
    candidates: Vec<TokenJson>,
    prompt_tokens: usize,
    temperature: f32,
}

/// Prints the likeliest next tokens.
pub fn next(args: &NextArgs, globals: &Globals, out: &mut Out) -> Result<(), Failure> {
    let text = session::text_of(&args.text.text)?;
    let sampling = args.filters.sampling(1.0);
    let mut model = session::open_model(globals)?;
    let mut answer = None;
    session::run(&mut model, Job::Next { prompt: Prompt::Text(text) }, &mut |update| {
        if let Update::Next(next) = update {
            answer = Some(next);
        }
        ControlFlow::Continue(())
    })?;
    let next = answer.ok_or_else(|| Failure::new(MODEL, "the model gave no answer; `osai doctor` checks it"))?;
    let candidates = candidates(&next, &sampling, args.count);
    if args.text.json {
        let candidates = candidates.iter().map(|c| TokenJson::new(c, logprob(&next.logits, c, sampling.temperature)));
        return out.json(&Report {
            candidates: candidates.collect(),
            prompt_tokens: next.prompt.len(),
            temperature: sampling.temperature,
        });
    }
    for candidate in &candidates {
        line(candidate, out)?;
    }
    Ok(())
}

/// The likeliest tokens, at most `count` and at most those whose bytes came along (256 or more).
fn candidates(next: &NextTokens, sampling: &SamplingParams, count: usize) -> Vec<Candidate> {
    let distribution = engine::distribution(&next.logits, sampling);
    let of_id = |id| next.top.iter().find(|(token, _)| token.id == id);
    distribution
        .into_iter()
        .filter_map(|(id, probability, kept)| {
            let (token, logit) = of_id(id)?.clone();
            Some(Candidate { token, logit, probability, kept, allowed: true })
        })
        .take(count)
        .collect()
}

/// The logarithm of a candidate's probability, exact also where the probability rounds to 0. None at temperature 0,
/// where one token has all of it.
fn logprob(logits: &[f32], candidate: &Candidate, temperature: f32) -> Option<f64> {
    if temperature == 0.0 {
        return None;
    }
    let scaled = |logit: f32| f64::from(logit) / f64::from(temperature);
    let largest = logits.iter().copied().map(scaled).fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = logits.iter().map(|logit| (scaled(*logit) - largest).exp()).sum();
    Some(scaled(candidate.logit) - largest - sum.ln())
}

fn line(candidate: &Candidate, out: &mut Out) -> Result<(), Failure> {
    let bar = bar(candidate.probability, out.is_utf8);
    let style = if candidate.kept { out.theme.accent } else { out.theme.quiet };
    let bar = out.paint(style, format!("{bar:<BAR$}"));
    let cut = if candidate.kept { String::new() } else { out.paint(out.theme.quiet, "  cut") };
    let percent = f64::from(candidate.probability) * 100.0;
    let id = out.paint(out.theme.quiet, format!("{:>7}", candidate.token.id));
    Ok(writeln!(out, "{percent:6.2}%  {bar}  {id}  {}{cut}", shown(&candidate.token))?)
}

/// A bar of eighths, or of whole `#` where only ASCII can be shown.
pub fn bar(share: f32, is_utf8: bool) -> String {
    let eighths = (share.clamp(0.0, 1.0) * (BAR * 8) as f32).round() as usize;
    if !is_utf8 {
        return "#".repeat((eighths + 4) / 8);
    }
    let rest = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    "█".repeat(eighths / 8) + rest[eighths % 8]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::TextToken;

    #[test]
    fn a_bar_is_as_long_as_the_share() {
        assert_eq!(bar(1.0, true), "█".repeat(BAR));
        assert_eq!(bar(0.05, true), "█▌");
        assert_eq!(bar(0.5, false), "#".repeat(15));
        assert_eq!(bar(0.0, true), "");
    }

    #[test]
    fn a_logprob_is_exact_where_the_probability_is_not() {
        let candidate = |logit| Candidate {
            token: TextToken { id: 0, bytes: vec![], special: false },
            logit,
            probability: 0.0,
            kept: false,
            allowed: true,
        };
        let logits = [200.0, 0.0];
        assert_eq!(logprob(&logits, &candidate(0.0), 1.0), Some(-200.0));
        assert_eq!(logprob(&logits, &candidate(0.0), 2.0), Some(-100.0));
        assert_eq!(logprob(&logits, &candidate(200.0), 0.0), None);
    }
}
