//! `osai embed`: texts as vectors, and how near they are.

use std::io::Write;
use std::ops::ControlFlow;
use std::path::Path;

use clap::Args as ClapArgs;
use serde::Serialize;

use super::environment::Globals;
use super::failure::{Failure, INTERRUPTED, MODEL};
use super::out::{Out, safe};
use super::session::{self, Interrupt};
use crate::engine::{Encoder, Job, Pooling, Prompt, Update, is_encoder};

/// Columns of a text in the table.
const TEXT_COLUMNS: usize = 44;

/// `osai embed`.
#[derive(Debug, ClapArgs)]
pub struct EmbedArgs {
    /// The texts, each in quotes
    #[arg(value_name = "TEXT", required = true)]
    texts: Vec<String>,
    /// How the tokens of a decoder become one vector; an encoder brings its own way
    #[arg(long, value_enum, default_value = "mean", value_name = "HOW")]
    pooling: How,
    /// Print JSON: the vectors, and the cosine of each pair
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum How {
    Mean,
    Last,
}

#[derive(Serialize)]
struct Report<'a> {
    texts: &'a [String],
    dimensions: usize,
    vectors: &'a [Vec<f32>],
    /// Row by row, each text against each.
    cosines: Vec<Vec<f64>>,
}

/// Embeds the texts and prints how near each is to the first, or everything as JSON.
pub fn embed(args: &EmbedArgs, globals: &Globals, out: &mut Out) -> Result<(), Failure> {
    let path = session::find_model(globals).map_err(|sentence| Failure::new(MODEL, sentence))?;
    let vectors = if is_encoder(&path) { encoded(&path, args, globals)? } else { decoded(args, globals)? };
    let cosines: Vec<Vec<f64>> = vectors.iter().map(|a| vectors.iter().map(|b| cosine(a, b)).collect()).collect();
    if args.json {
        let dimensions = vectors[0].len();
        return out.json(&Report { texts: &args.texts, dimensions, vectors: &vectors, cosines });
    }
    if args.texts.len() == 1 {
        let numbers: Vec<String> = vectors[0].iter().map(|x| format!("{x:.4}")).collect();
        writeln!(out, "{} numbers, length 1:\n{}", numbers.len(), wrapped(&numbers))?;
        return Ok(());
    }
    writeln!(out, "cosine with the first text (1: the same direction, 0: nothing in common)")?;
    for (text, row) in args.texts.iter().zip(&cosines) {
        let text = safe(text);
        let short: String = text.chars().take(TEXT_COLUMNS).collect();
        writeln!(out, "{:6.3}  {short}", row[0])?;
    }
    Ok(())
}

fn encoded(path: &Path, args: &EmbedArgs, globals: &Globals) -> Result<Vec<Vec<f32>>, Failure> {
    let fault = |error| Failure::from(error).with_code(MODEL);
    let mut encoder =
        session::guarded(|| Encoder::open(path, session::options(globals))).map_err(|f| f.with_code(MODEL))?;
    args.texts.iter().map(|text| encoder.embed(text).map_err(fault)).collect()
}

fn decoded(args: &EmbedArgs, globals: &Globals) -> Result<Vec<Vec<f32>>, Failure> {
    let mut model = session::open_model(globals)?;
    let interrupt = Interrupt::catch()?;
    let pooling = match args.pooling {
        How::Mean => Pooling::Mean,
        How::Last => Pooling::Last,
    };
    let mut vectors = Vec::new();
    for text in &args.texts {
        let job = Job::Embed { prompt: Prompt::Text(text.clone()), pooling };
        let mut answer = None;
        session::run(&mut model, job, &mut |update| {
            if let Update::Vector(vector) = update {
                answer = Some(vector);
            }
            if interrupt.is_pressed() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        vectors.push(answer.ok_or_else(|| Failure::silent(INTERRUPTED))?);
    }
    Ok(vectors)
}

/// Both have length 1, so their product is the cosine.
fn cosine(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
}

/// Eight numbers a line.
fn wrapped(numbers: &[String]) -> String {
    numbers
        .chunks(8)
        .map(|row| row.iter().map(|n| format!("{n:>8}")).collect::<String>())
        .collect::<Vec<_>>()
        .join("\n")
}
