//! `osai score`: how well the model foresees a text.

use std::fs::File;
use std::io::{self, Read, Write};
use std::ops::ControlFlow;
use std::path::PathBuf;

use clap::Args as ClapArgs;
use serde::Serialize;

use super::environment::Globals;
use super::failure::{DATA, Failure, INTERRUPTED, MODEL, NOT_FOUND, USAGE};
use super::out::{Out, safe};
use super::session::{self, Interrupt, TEXT_LIMIT, shown};
use super::tokens::counted;
use crate::engine::{Comparison, Job, Model, Prompt, Score, TokenScore, Update};

/// Width of the longest bar.
const BAR: usize = 20;
/// Bits that fill it: a token held for one of a million.
const FULL: f64 = 20.0;

/// `osai score`.
#[derive(Debug, ClapArgs)]
pub struct ScoreArgs {
    /// The text; `-` reads standard input (without its last line end)
    #[arg(value_name = "TEXT", required_unless_present = "file", conflicts_with = "file")]
    text: Vec<String>,
    /// Score a file
    #[arg(short, long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Compare with another model that cuts text alike: its perplexity, and how far the two differ (KL)
    #[arg(long, value_name = "MODEL")]
    against: Option<std::ffi::OsString>,
    /// Only the sums, not every token
    #[arg(long)]
    summary: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Report<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    tokens: Option<Vec<TokenJson>>,
    token_count: usize,
    log_likelihood: f64,
    bits_per_token: f64,
    perplexity: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    against: Option<&'a Comparison>,
}

#[derive(Serialize)]
struct TokenJson {
    id: u32,
    text: String,
    logprob: f64,
    surprise: f64,
    rank: usize,
    likeliest: String,
    likeliest_logprob: f64,
}

/// Scores a text and prints it.
pub fn score(args: &ScoreArgs, globals: &Globals, out: &mut Out) -> Result<(), Failure> {
    let prompt = Prompt::Text(text(args)?);
    let other = args
        .against
        .as_ref()
        .map(|name| session::find_named(Some(name), globals).map_err(|sentence| Failure::new(NOT_FOUND, sentence)));
    let other = other.transpose()?;
    let mut model = session::open_model(globals)?;
    let interrupt = Interrupt::catch()?;
    let mut answer = None;
    session::run(&mut model, Job::Score { prompt: prompt.clone() }, &mut |update| {
        if let Update::Score(score) = update {
            answer = Some(score);
        }
        flow(&interrupt)
    })?;
    let Some(score) = answer else { return Err(Failure::silent(INTERRUPTED)) };
    let comparison = match other {
        None => None,
        Some(path) => {
            let mut other = Model::open_with(&path, session::options(globals)).map_err(Failure::from)?;
            let compared = model.compare(&mut other, &prompt, &mut |_| flow(&interrupt));
            match compared.map_err(|error| Failure::from(error).with_code(MODEL))? {
                Some(comparison) => Some(comparison),
                None => return Err(Failure::silent(INTERRUPTED)),
            }
        }
    };
    if args.json {
        return out.json(&report(&score, comparison.as_ref(), args.summary));
    }
    if !args.summary {
        for token in &score.tokens {
            line(token, out)?;
        }
    }
    sums(&score, comparison.as_ref(), out)
}

fn flow(interrupt: &Interrupt) -> ControlFlow<()> {
    if interrupt.is_pressed() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
}

fn text(args: &ScoreArgs) -> Result<String, Failure> {
    let Some(path) = &args.file else { return session::text_of(&args.text) };
    let unreadable = |e: io::Error| Failure::new(DATA, format!("cannot read `{}`: {e}", path.display()));
    let mut bytes = Vec::new();
    File::open(path).map_err(unreadable)?.take(TEXT_LIMIT + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > TEXT_LIMIT {
        return Err(Failure::new(USAGE, format!("`{}` is longer than 16 MiB; give a shorter text", path.display())));
    }
    String::from_utf8(bytes).map_err(|e| {
        let byte = e.utf8_error().valid_up_to();
        Failure::new(USAGE, format!("`{}` is not UTF-8 (byte {byte}); convert it first", path.display()))
    })
}

fn report<'a>(score: &Score, against: Option<&'a Comparison>, summary: bool) -> Report<'a> {
    let token = |token: &TokenScore| TokenJson {
        id: token.token.id,
        text: token.token.lossy(),
        logprob: token.log_probability,
        surprise: token.surprise,
        rank: token.rank,
        likeliest: token.likeliest.lossy(),
        likeliest_logprob: token.likeliest_log_probability,
    };
    Report {
        tokens: (!summary).then(|| score.tokens.iter().map(token).collect()),
        token_count: score.tokens.len(),
        log_likelihood: score.log_likelihood,
        bits_per_token: bits(score),
        perplexity: score.perplexity,
        against,
    }
}

/// Mean surprise of a token, in bits.
fn bits(score: &Score) -> f64 {
    -score.log_likelihood / score.tokens.len() as f64 / std::f64::consts::LN_2
}

/// A token with its surprise; where another was likelier, that one.
fn line(token: &TokenScore, out: &mut Out) -> Result<(), Failure> {
    let filled = ((token.surprise / FULL).clamp(0.0, 1.0) * BAR as f64).round() as usize;
    let bar = if out.is_utf8 { "█" } else { "#" }.repeat(filled);
    let bar = out.paint(out.theme.accent, format!("{bar:<BAR$}"));
    let instead = match token.rank {
        0 => String::new(),
        _ => {
            let percent = token.likeliest_log_probability.exp() * 100.0;
            out.paint(out.theme.quiet, format!("  rather {} {percent:.1}%", shown(&token.likeliest)))
        }
    };
    let line = format!("{:6.2} bits  {bar}  {:<18}{instead}", token.surprise, shown(&token.token));
    Ok(writeln!(out, "{}", line.trim_end())?)
}

/// A perplexity as people read it: one of a model that knows nothing of the text has no decimals worth showing.
fn of_size(perplexity: f64) -> String {
    if perplexity < 1e6 { format!("{perplexity:.3}") } else { format!("{perplexity:.1e} (far from the text)") }
}

fn sums(score: &Score, against: Option<&Comparison>, out: &mut Out) -> Result<(), Failure> {
    let count = counted(score.tokens.len(), "token");
    writeln!(out, "{count}, {:.2} bits a token, perplexity {}", bits(score), of_size(score.perplexity))?;
    if let Some(other) = against {
        let line = format!(
            "the other model: perplexity {}; KL {:.5} nats a token; same first choice {:.1}%",
            of_size(other.other_perplexity),
            other.kl_divergence,
            other.same_top_token * 100.0
        );
        writeln!(out, "{}", safe(line))?;
    }
    Ok(())
}
