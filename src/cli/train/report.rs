//! What a run tells: events, as lines of text for a person, as lines of JSON for the app and the log.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::time::Instant;

use serde::Serialize;

use super::files;
use crate::cli::failure::{DATA, Failure};
use crate::cli::out::{Out, json, safe};
use crate::engine::train::StepReport;

/// One thing that happened. All have the step at which it did.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// A run begins, or goes on.
    Start {
        /// Steps done already.
        step: usize,
        /// Steps of the whole run.
        max_steps: usize,
        /// The model.
        name: String,
        /// Its numbers.
        parameters: usize,
        /// Its tokens.
        vocab_size: usize,
        /// Tokens to learn from.
        tokens: u64,
        /// The seed.
        seed: u64,
        /// Threads.
        threads: usize,
        /// The recipe's hash, with tokens and seed.
        recipe_sha256: String,
    },
    /// Some steps are done.
    Step {
        /// Steps done.
        step: usize,
        /// Steps of the whole run.
        max_steps: usize,
        /// Tokens read so far.
        tokens: u64,
        /// Mean loss since the last such event, in nats.
        loss: f64,
        /// Learning rate of embeddings and norms.
        learning_rate: f32,
        /// Length of the last gradient.
        gradient_norm: f32,
        /// Tokens a second since the last such event.
        tokens_per_second: f64,
        /// Seconds until the end, at this pace.
        seconds_left: f64,
    },
    /// The loss on documents that training never sees.
    HeldOut {
        /// Steps done.
        step: usize,
        /// By kind.
        parts: BTreeMap<&'static str, HeldOut>,
    },
    /// What the model writes from nothing.
    Sample {
        /// Steps done.
        step: usize,
        /// The text.
        text: String,
    },
    /// The run is on the disk.
    Saved {
        /// Steps done.
        step: usize,
        /// Where.
        path: String,
    },
    /// The run ends.
    End {
        /// Steps done.
        step: usize,
        /// Whether these are all.
        is_finished: bool,
        /// Tokens read.
        tokens: u64,
        /// The model.
        path: String,
        /// Its hash.
        sha256: String,
    },
}

/// The loss on a part of the corpus.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct HeldOut {
    /// Nats a token.
    pub loss: f64,
    /// Bits a byte of the text that counts.
    pub bits_per_byte: f64,
    /// Tokens that count.
    pub targets: usize,
}

/// Where events go.
pub struct Teller<'a> {
    out: &'a mut Out,
    log: File,
    as_json: bool,
    is_live: bool,
    since: Since,
}

/// What came since the last line.
struct Since {
    at: Instant,
    steps: usize,
    tokens: usize,
    loss: f64,
}

impl Since {
    fn now() -> Self {
        Self { at: Instant::now(), steps: 0, tokens: 0, loss: 0.0 }
    }
}

impl<'a> Teller<'a> {
    /// Opens the log in the folder, without what came after `step`: a run that goes on does these steps again.
    pub fn open(folder: &Path, step: usize, as_json: bool, out: &'a mut Out) -> Result<Self, Failure> {
        let path = folder.join(files::LOG);
        let unwritable = |e: io::Error| Failure::new(DATA, format!("cannot write `{}`: {e}", path.display()));
        let before = match std::fs::read_to_string(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            text => text.map_err(unwritable)?,
        };
        let is_past = |line: &&str| {
            let event: Option<serde_json::Value> = serde_json::from_str(line).ok();
            event.and_then(|event| event["step"].as_u64()).is_some_and(|at| at as usize <= step)
        };
        let kept: String = before.lines().filter(is_past).map(|line| format!("{line}\n")).collect();
        files::write(&path, kept.as_bytes())?;
        let log = OpenOptions::new().append(true).open(&path).map_err(unwritable)?;
        let is_live = !as_json && io::stderr().is_terminal();
        Ok(Self { out, log, as_json, is_live, since: Since::now() })
    }

    /// Notes a step; every `every` steps it is told.
    pub fn step(&mut self, report: &StepReport, every: usize) -> Result<(), Failure> {
        self.since.steps += 1;
        self.since.tokens += report.tokens;
        self.since.loss += report.loss;
        let pace = self.since.at.elapsed().as_secs_f64().max(1e-9) / self.since.steps as f64;
        let seconds_left = pace * (report.max_steps - report.step) as f64;
        if !report.step.is_multiple_of(every) && report.step != report.max_steps {
            if self.is_live {
                // Best effort: where stderr is gone, the lines on stdout still tell.
                let _ = write!(
                    io::stderr(),
                    "\r\u{1b}[Kstep {} of {}, loss {:.3}, {} left",
                    report.step,
                    report.max_steps,
                    report.loss,
                    duration(seconds_left)
                );
            }
            return Ok(());
        }
        let event = Event::Step {
            step: report.step,
            max_steps: report.max_steps,
            tokens: report.total_tokens,
            loss: self.since.loss / self.since.steps as f64,
            learning_rate: report.learning_rate,
            gradient_norm: report.gradient_norm,
            tokens_per_second: self.since.tokens as f64 / (pace * self.since.steps as f64),
            seconds_left,
        };
        self.since = Since::now();
        self.tell(&event)
    }

    /// Tells an event, and keeps it in the log.
    pub fn tell(&mut self, event: &Event) -> Result<(), Failure> {
        let line = json(event);
        writeln!(self.log, "{line}").map_err(|e| Failure::new(DATA, format!("cannot write the log: {e}")))?;
        if self.is_live {
            let _ = write!(io::stderr(), "\r\u{1b}[K"); // as in `step`
        }
        if self.as_json {
            writeln!(self.out, "{line}")?;
        } else {
            self.say(event)?;
        }
        Ok(self.out.flush()?)
    }

    fn say(&mut self, event: &Event) -> io::Result<()> {
        let out = &mut *self.out;
        match event {
            Event::Start { step, max_steps, name, parameters, vocab_size, tokens, seed, threads, .. } => {
                let millions = *parameters as f64 / 1e6;
                writeln!(out, "{}: {millions:.2} million parameters, {vocab_size} tokens, seed {seed}", safe(name))?;
                writeln!(out, "{tokens} tokens in {max_steps} steps from step {step} on, {threads} threads")?;
                writeln!(out, "{:>8} {:>12} {:>8} {:>10} {:>9}  left", "step", "tokens", "loss", "rate", "tokens/s")
            }
            Event::Step { step, tokens, loss, learning_rate, tokens_per_second, seconds_left, .. } => {
                let left = duration(*seconds_left);
                writeln!(
                    out,
                    "{step:>8} {tokens:>12} {loss:>8.4} {learning_rate:>10.6} {tokens_per_second:>9.0}  {left}"
                )
            }
            Event::HeldOut { parts, .. } => {
                let parts: Vec<String> = parts.iter().map(|(name, part)| format!("{name} {:.3}", part.loss)).collect();
                for (at, some) in parts.chunks(6).enumerate() {
                    writeln!(out, "{:>9} {}", if at == 0 { "held out:" } else { "" }, some.join(", "))?;
                }
                Ok(())
            }
            Event::Sample { text, .. } => {
                let text = out.paint(out.theme.quiet, text.trim());
                writeln!(out, "  sample: {text}")
            }
            Event::Saved { .. } => Ok(()),
            Event::End { step, is_finished, tokens, path, sha256 } => {
                let ended = if *is_finished { "done" } else { "stopped" };
                writeln!(out, "{ended} at step {step} after {tokens} tokens")?;
                writeln!(out, "wrote {} (sha256 {sha256})", safe(path))
            }
        }
    }
}

/// Seconds as hours, minutes, seconds.
fn duration(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    match (whole / 3600, whole / 60 % 60, whole % 60) {
        (0, 0, s) => format!("{s} s"),
        (0, m, s) => format!("{m} min {s:02} s"),
        (h, m, _) => format!("{h} h {m:02} min"),
    }
}
