//! What `generate` and `chat` tell of an answer: their JSON, a line for each token, and what the run took.

use serde::Serialize;

use super::out::Out;
use super::session::{TokenJson, shown};
use super::tokens::counted;
use crate::engine::{Candidate, Energy, Logprobs, Mask, Memory, RunStats, Stop, TextToken, Update};

/// A refused candidate below this is not worth a word.
const SEEN: f32 = 0.0005;
/// Candidates that a line names after its token.
const NAMED: usize = 3;

/// What a generation has given so far.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// The new text.
    pub text: String,
    tokens: Vec<DrawnJson>,
}

/// A drawn token in JSON.
#[derive(Clone, Debug, Serialize)]
struct DrawnJson {
    #[serde(flatten)]
    token: TokenJson,
    /// With a grammar: how many tokens it allowed there, and the probability that they had together.
    #[serde(skip_serializing_if = "Option::is_none")]
    mask: Option<Mask>,
    /// With `--show-mask`: the likeliest tokens before the mask.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    candidates: Vec<CandidateJson>,
    /// With `--logprobs`: the likeliest tokens of the model's own distribution.
    #[serde(skip_serializing_if = "Option::is_none")]
    top_logprobs: Option<Vec<LogprobJson>>,
}

#[derive(Clone, Debug, Serialize)]
struct CandidateJson {
    #[serde(flatten)]
    token: TokenJson,
    allowed: bool,
}

#[derive(Clone, Debug, Serialize)]
struct LogprobJson {
    #[serde(flatten)]
    token: PromptToken,
    logprob: f32,
}

/// A token without a probability.
#[derive(Clone, Debug, Serialize)]
struct PromptToken {
    id: u32,
    text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<Vec<u8>>,
    special: bool,
}

impl PromptToken {
    fn new(token: &TextToken) -> Self {
        let bytes = token.text().is_none().then(|| token.bytes.clone());
        Self { id: token.id, text: token.lossy(), bytes, special: token.special }
    }
}

/// The JSON of `--show-prompt`.
#[derive(Clone, Debug, Serialize)]
pub struct PromptReport<'a> {
    text: &'a str,
    tokens: Vec<PromptToken>,
}

impl<'a> PromptReport<'a> {
    /// The prompt after the chat template.
    pub fn new(text: &'a str, tokens: &[TextToken]) -> Self {
        Self { text, tokens: tokens.iter().map(PromptToken::new).collect() }
    }
}

/// The JSON of `generate` and `chat`.
#[derive(Clone, Debug, Serialize)]
pub struct Report<'a> {
    text: &'a str,
    tokens: &'a [DrawnJson],
    seed: u64,
    finish_reason: Stop,
    /// The stop string that ended the answer, or null.
    stop_string: Option<&'a str>,
    prompt_tokens: usize,
    /// Prompt tokens that the run before had read.
    cached_tokens: usize,
    new_tokens: usize,
    /// Tokens forgotten by a context shift.
    dropped_tokens: usize,
    prompt_tokens_per_second: f64,
    tokens_per_second: f64,
    time_to_first_token_ms: f64,
    elapsed_ms: f64,
    memory: Memory,
    energy: Option<&'a Energy>,
}

impl Answer {
    /// Takes an update in; gives the text that is newly complete.
    pub fn take(&mut self, update: Update) -> Option<String> {
        let text = match update {
            Update::Token { chosen, text, candidates, mask, logprobs, .. } => {
                self.tokens.push(DrawnJson::new(&chosen, &candidates, mask, logprobs.as_ref()));
                text
            }
            Update::Rest { text } => text,
            _ => return None,
        };
        self.text.push_str(&text);
        Some(text).filter(|text| !text.is_empty())
    }

    /// As JSON, with what the run took.
    pub fn report<'a>(&'a self, stats: &'a RunStats) -> Report<'a> {
        Report {
            text: &self.text,
            tokens: &self.tokens,
            seed: stats.seed,
            finish_reason: stats.stop,
            stop_string: stats.stop_string.as_deref(),
            prompt_tokens: stats.prompt_tokens,
            cached_tokens: stats.cached_tokens,
            new_tokens: stats.new_tokens,
            dropped_tokens: stats.dropped_tokens,
            prompt_tokens_per_second: stats.prompt_tokens_per_second,
            tokens_per_second: stats.tokens_per_second,
            time_to_first_token_ms: stats.time_to_first_token_ms,
            elapsed_ms: stats.elapsed_ms,
            memory: stats.memory,
            energy: stats.energy.as_ref(),
        }
    }
}

impl DrawnJson {
    fn new(chosen: &Candidate, candidates: &[Candidate], mask: Option<Mask>, logprobs: Option<&Logprobs>) -> Self {
        let top = |logprobs: &Logprobs| {
            let one =
                |(token, logprob): &(TextToken, f32)| LogprobJson { token: PromptToken::new(token), logprob: *logprob };
            logprobs.top.iter().map(one).collect()
        };
        Self {
            token: TokenJson::new(chosen, logprobs.map(|logprobs| f64::from(logprobs.chosen))),
            mask,
            candidates: candidates
                .iter()
                .map(|candidate| CandidateJson { token: TokenJson::new(candidate, None), allowed: candidate.allowed })
                .collect(),
            top_logprobs: logprobs.map(top),
        }
    }
}

/// A drawn token on a line of its own: log-probabilities, the mask, and what the model wanted but was not allowed.
pub fn token_line(update: &Update, out: &Out) -> Option<String> {
    let Update::Token { chosen, candidates, mask, logprobs, .. } = update else { return None };
    let mut line = String::new();
    if let Some(mask) = mask {
        let mass = f64::from(mask.mass) * 100.0;
        line += &out.paint(out.theme.quiet, format!("{:>7} allowed {mass:6.2}%  ", mask.allowed));
    }
    if let Some(logprobs) = logprobs {
        line += &out.paint(out.theme.quiet, format!("{:8.3}  ", logprobs.chosen));
    }
    line += &out.paint(out.theme.accent, shown(&chosen.token));
    let refused = candidates.iter().filter(|candidate| !candidate.allowed && candidate.probability >= SEEN).take(NAMED);
    let refused: Vec<String> = refused
        .map(|candidate| format!("{} {:.1}%", shown(&candidate.token), f64::from(candidate.probability) * 100.0))
        .collect();
    if !refused.is_empty() {
        line += &out.paint(out.theme.quiet, format!("   not {}", refused.join(", ")));
    }
    let others = logprobs.iter().flat_map(|logprobs| &logprobs.top).filter(|(token, _)| token.id != chosen.token.id);
    let others: Vec<String> = others.map(|(token, logprob)| format!("{} {logprob:.3}", shown(token))).collect();
    if !others.is_empty() {
        line += &out.paint(out.theme.quiet, format!("   {}", others.join(", ")));
    }
    Some(line)
}

fn ending(stats: &RunStats) -> &'static str {
    match stats.stop {
        Stop::Stop if stats.stop_string.is_some() => "a stop string came",
        Stop::Stop => "the model ended its text",
        Stop::Length => "the limit was reached",
        Stop::Cancelled => "stopped",
    }
}

/// What a run took, on one line.
pub fn summary(stats: &RunStats) -> String {
    let speed = match stats.new_tokens {
        0..2 => String::new(),
        _ => format!(", {:.1} tokens/s", stats.tokens_per_second),
    };
    let dropped = match stats.dropped_tokens {
        0 => String::new(),
        dropped => format!("; {} forgotten, the context was full", counted(dropped, "token")),
    };
    format!("[{}{speed}, seed {}; {}{dropped}]", counted(stats.new_tokens, "token"), stats.seed, ending(stats))
}

/// What a run took, in full.
pub fn stats_lines(stats: &RunStats) -> Vec<String> {
    let mib = |bytes: u64| format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20));
    let mut prompt = counted(stats.prompt_tokens, "token");
    if stats.cached_tokens > 0 {
        prompt += &format!(", {} of them read before", stats.cached_tokens);
    }
    let mut lines = vec![
        format!("prompt      {prompt}; {:.1} tokens/s", stats.prompt_tokens_per_second),
        format!("first token after {:.1} ms", stats.time_to_first_token_ms),
        format!("answer      {}; {:.1} tokens/s", counted(stats.new_tokens, "token"), stats.tokens_per_second),
        format!("time        {:.1} ms", stats.elapsed_ms),
        format!("ended       {}; seed {}", ending(stats), stats.seed),
    ];
    if stats.dropped_tokens > 0 {
        lines.push(format!("forgotten   {}, the context was full", counted(stats.dropped_tokens, "token")));
    }
    let mut memory = format!(
        "memory      {} for weights, {} for keys and values",
        mib(stats.memory.weight_bytes),
        mib(stats.memory.cache_bytes)
    );
    if let Some(resident) = stats.memory.resident_bytes {
        memory += &format!("; {} in all", mib(resident));
    }
    if let Some(peak) = stats.memory.peak_resident_bytes {
        memory += &format!(", {} at most", mib(peak));
    }
    lines.push(memory);
    if let Some(energy) = &stats.energy {
        lines.push(format!("energy      {:.2} J, {}", energy.joules, energy.assumption));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(id: u32, bytes: &[u8], text: &str) -> Update {
        let token = TextToken { id, bytes: bytes.to_vec(), special: false };
        let chosen = Candidate { token, logit: 1.0, probability: 0.5, kept: true, allowed: true };
        Update::Token { chosen, text: text.into(), candidates: vec![], mask: None, logprobs: None, elapsed_ms: 1.0 }
    }

    fn stats(stop: Stop) -> RunStats {
        RunStats {
            stop,
            seed: 7,
            prompt_tokens: 3,
            new_tokens: 2,
            tokens_per_second: 20.0,
            time_to_first_token_ms: 9.5,
            ..RunStats::default()
        }
    }

    #[test]
    fn a_character_in_two_tokens_is_printed_once_it_is_whole() {
        let mut answer = Answer::default();
        assert_eq!(answer.take(token(1, &[0xc3], "")), None);
        assert_eq!(answer.take(token(2, &[0xa9], "é")), Some("é".into()));
        assert_eq!(answer.take(Update::Rest { text: "EN".into() }), Some("EN".into()));
        assert_eq!(answer.text, "éEN");
    }

    #[test]
    fn the_json_has_the_promised_fields() {
        let mut answer = Answer::default();
        answer.take(token(5, b" a", " a"));
        let report: serde_json::Value = serde_json::to_value(answer.report(&stats(Stop::Cancelled))).unwrap();
        let keys: Vec<_> = report.as_object().unwrap().keys().map(String::as_str).collect();
        let mut promised = [
            "text",
            "tokens",
            "seed",
            "finish_reason",
            "stop_string",
            "prompt_tokens",
            "cached_tokens",
            "new_tokens",
            "dropped_tokens",
            "prompt_tokens_per_second",
            "tokens_per_second",
            "time_to_first_token_ms",
            "elapsed_ms",
            "memory",
            "energy",
        ];
        promised.sort_unstable();
        let mut keys = keys;
        keys.sort_unstable();
        assert_eq!(keys, promised);
        assert_eq!(report["finish_reason"], "cancelled");
        assert_eq!(report["tokens"][0]["id"], 5);
        assert_eq!(report["tokens"][0].get("top_logprobs"), None);
    }

    #[test]
    fn a_token_carries_mask_and_log_probabilities_where_they_were_asked_for() {
        let Update::Token { chosen, .. } = token(5, b"a", "a") else { panic!("a token") };
        let refused = Candidate { allowed: false, kept: false, ..chosen.clone() };
        let logprobs = Logprobs { chosen: -2.5, top: vec![(refused.token.clone(), -0.5)] };
        let mask = Mask { allowed: 3, mass: 0.25 };
        let json = serde_json::to_value(DrawnJson::new(&chosen, &[refused], Some(mask), Some(&logprobs))).unwrap();
        assert_eq!(json["logprob"], -2.5);
        assert_eq!(json["mask"]["allowed"], 3);
        assert_eq!(json["candidates"][0]["allowed"], false);
        assert_eq!(json["top_logprobs"][0]["logprob"], -0.5);
        assert_eq!(json["top_logprobs"][0]["text"], "a");
    }

    #[test]
    fn the_summary_counts_and_says_how_it_ended() {
        assert_eq!(summary(&stats(Stop::Length)), "[2 tokens, 20.0 tokens/s, seed 7; the limit was reached]");
        let shifted = RunStats { dropped_tokens: 9, stop_string: Some("END".into()), ..stats(Stop::Stop) };
        let told = "[2 tokens, 20.0 tokens/s, seed 7; a stop string came; 9 tokens forgotten, the context was full]";
        assert_eq!(summary(&shifted), told);
    }
}
