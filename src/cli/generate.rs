//! `osai generate`: a text continued, token by token; and what `chat` shares with it.

use std::io::{self, IsTerminal, Write};
use std::ops::ControlFlow;

use serde::Serialize;

use super::args::{DrawArgs, GenerateArgs};
use super::environment::Globals;
use super::failure::{Failure, INTERRUPTED};
use super::out::Out;
use super::session::{self, Interrupt, TokenJson};
use super::tokens::counted;
use crate::engine::{Job, Model, Prompt, RunStats, SamplingParams, Stop, Update};
use crate::text::SafeText;

/// The temperature of `generate` when none is given: the model's own distribution, as `next` shows it.
const TEMPERATURE: f32 = 1.0;

/// Continues a text as it stands.
pub fn generate(args: &GenerateArgs, globals: &Globals, out: &mut Out) -> Result<(), Failure> {
    let text = session::text_of(&args.text.text)?;
    let mut model = session::open_model(globals)?;
    let interrupt = Interrupt::catch()?;
    let sampling = args.draw.sampling(TEMPERATURE);
    one_answer(&mut model, Prompt::Text(text), sampling, &args.draw, args.text.json, &interrupt, out)
}

/// Runs one generation and prints it, as text or as JSON. Stopped with Ctrl-C, what was printed stays and the exit
/// code is 130.
pub fn one_answer(
    model: &mut Model,
    prompt: Prompt,
    sampling: SamplingParams,
    draw: &DrawArgs,
    json: bool,
    interrupt: &Interrupt,
    out: &mut Out,
) -> Result<(), Failure> {
    let job = Job::Generate { prompt, sampling, max_new_tokens: draw.max_new_tokens, top_candidates: 0 };
    let (answer, stats) = stream(model, job, !json, interrupt, out)?;
    if json {
        out.json(&answer.report(&stats))?;
    } else {
        finish(&answer, &stats, out)?;
    }
    match stats.stop {
        Stop::Cancelled => {
            out.flush()?;
            Err(Failure::silent(INTERRUPTED))
        }
        Stop::Stop | Stop::Length => Ok(()),
    }
}

/// Runs a generation; with `print` the text appears as it comes.
pub fn stream(
    model: &mut Model,
    job: Job,
    print: bool,
    interrupt: &Interrupt,
    out: &mut Out,
) -> Result<(Answer, RunStats), Failure> {
    let mut answer = Answer::default();
    let mut failed = None;
    let stats = session::run(model, job, &mut |update| {
        if let Some(text) = answer.take(update)
            && print
            && let Err(error) = write!(out, "{}", SafeText::new(text)).and_then(|()| out.flush())
        {
            failed = Some(error);
        }
        if failed.is_some() || interrupt.is_pressed() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    match failed {
        Some(error) => Err(error.into()),
        None => Ok((answer, stats?)),
    }
}

/// Ends the line, and tells a person at a terminal what it took.
pub fn finish(answer: &Answer, stats: &RunStats, out: &mut Out) -> Result<(), Failure> {
    if !answer.text.is_empty() && !answer.text.ends_with('\n') {
        writeln!(out)?;
    }
    out.flush()?;
    if io::stderr().is_terminal() && io::stdout().is_terminal() {
        let line = out.paint(out.theme.quiet, summary(stats));
        // A note for people; the text is what matters and has been written.
        let _ = writeln!(io::stderr(), "{line}");
    }
    Ok(())
}

fn summary(stats: &RunStats) -> String {
    let end = match stats.stop {
        Stop::Stop => "the model ended its text",
        Stop::Length => "the limit was reached",
        Stop::Cancelled => "stopped",
    };
    let speed = match stats.new_tokens {
        0..2 => String::new(),
        _ => format!(", {:.1} tokens/s", stats.tokens_per_second),
    };
    format!("[{}{speed}, seed {}; {end}]", counted(stats.new_tokens, "token"), stats.seed)
}

/// What a generation has given so far.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// The new text.
    pub text: String,
    tokens: Vec<TokenJson>,
}

/// The JSON of `generate` and `chat`.
#[derive(Clone, Debug, Serialize)]
pub struct Report<'a> {
    text: &'a str,
    tokens: &'a [TokenJson],
    seed: u64,
    finish_reason: Stop,
    prompt_tokens: usize,
    new_tokens: usize,
    tokens_per_second: f64,
    time_to_first_token_ms: f64,
}

impl Answer {
    /// Takes an update in; gives the text that is newly complete.
    fn take(&mut self, update: Update) -> Option<String> {
        let Update::Token { chosen, text, .. } = update else { return None };
        self.tokens.push(TokenJson::new(&chosen, None));
        self.text.push_str(&text);
        Some(text).filter(|text| !text.is_empty())
    }

    fn report(&self, stats: &RunStats) -> Report<'_> {
        Report {
            text: &self.text,
            tokens: &self.tokens,
            seed: stats.seed,
            finish_reason: stats.stop,
            prompt_tokens: stats.prompt_tokens,
            new_tokens: stats.new_tokens,
            tokens_per_second: stats.tokens_per_second,
            time_to_first_token_ms: stats.time_to_first_token_ms,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{Candidate, TextToken};

    fn token(id: u32, bytes: &[u8], text: &str) -> Update {
        let token = TextToken { id, bytes: bytes.to_vec(), special: false };
        let chosen = Candidate { token, logit: 1.0, probability: 0.5, kept: true };
        Update::Token { chosen, text: text.into(), candidates: vec![] }
    }

    fn stats(stop: Stop) -> RunStats {
        RunStats {
            stop,
            seed: 7,
            prompt_tokens: 3,
            new_tokens: 2,
            tokens_per_second: 20.0,
            time_to_first_token_ms: 9.5,
        }
    }

    #[test]
    fn a_character_in_two_tokens_is_printed_once_it_is_whole() {
        let mut answer = Answer::default();
        assert_eq!(answer.take(token(1, &[0xc3], "")), None);
        assert_eq!(answer.take(token(2, &[0xa9], "é")), Some("é".into()));
        assert_eq!(answer.text, "é");
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
            "prompt_tokens",
            "new_tokens",
            "tokens_per_second",
            "time_to_first_token_ms",
        ];
        promised.sort_unstable();
        let mut keys = keys;
        keys.sort_unstable();
        assert_eq!(keys, promised);
        assert_eq!(report["finish_reason"], "cancelled");
        assert_eq!(report["tokens"][0]["id"], 5);
    }

    #[test]
    fn the_summary_counts_and_says_how_it_ended() {
        assert_eq!(summary(&stats(Stop::Length)), "[2 tokens, 20.0 tokens/s, seed 7; the limit was reached]");
    }
}
