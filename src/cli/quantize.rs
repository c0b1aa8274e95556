//! `osai model quantize`: a model's weights in fewer bits, and what became of them.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal, Write};
use std::ops::ControlFlow;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::args::QuantizeArgs;
use super::environment::Globals;
use super::failure::{DATA, Failure, INTERRUPTED, NOT_FOUND};
use super::out::{Out, safe};
use super::session::{self, Interrupt};
use crate::engine::gguf::{GgmlType, Gguf};
use crate::engine::quantize::{Changed, Progress, Quantizing, Report, quantize};
use crate::models::megabytes;

/// Quantises a file into another.
pub fn run(args: &QuantizeArgs, globals: &Globals, out: &mut Out) -> Result<(), Failure> {
    let from = session::find_named(Some(&args.model), globals).map_err(|s| Failure::new(NOT_FOUND, s))?;
    if args.out.exists() && !args.force {
        let sentence = format!("`{}` is there already; --force replaces it", args.out.display());
        return Err(Failure::new(DATA, sentence));
    }
    if from.is_dir() {
        let sentence = format!("`{}` is a folder; give a GGUF file, folders cannot be quantised", from.display());
        return Err(Failure::new(DATA, sentence));
    }
    let file = Gguf::open(&from)?;
    let cores = || thread::available_parallelism().map_or(1, usize::from);
    let threads = globals.threads.unwrap_or_else(cores);
    let how = Quantizing { recipe: args.to, requantize: args.again, threads };
    let interrupt = Interrupt::catch()?;
    let mut meter = Meter { is_terminal: io::stderr().is_terminal(), shown: None };
    let report = quantize(&file, how, &args.out, &mut |progress| {
        meter.show(progress);
        if interrupt.is_pressed() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    meter.clear();
    match report? {
        None => Err(Failure::silent(INTERRUPTED)),
        Some(report) if args.json => out.json(&Json::of(&report, args)),
        Some(report) => describe(&report, args, out),
    }
}

/// How far it is, on stderr, one line that is drawn over; nothing where that is no terminal.
struct Meter {
    is_terminal: bool,
    shown: Option<Instant>,
}

impl Meter {
    /// How often the line is drawn at most.
    const EVERY: Duration = Duration::from_millis(100);

    fn show(&mut self, progress: Progress<'_>) {
        if self.is_terminal && self.shown.is_none_or(|at| at.elapsed() >= Self::EVERY) {
            let percent = (progress.done * 100).checked_div(progress.total).unwrap_or(0);
            let _ = write!(io::stderr(), "\r\u{1b}[Kquantising ({percent}%): {}", safe(progress.tensor));
            self.shown = Some(Instant::now());
        }
    }

    fn clear(&mut self) {
        if self.shown.take().is_some() {
            let _ = write!(io::stderr(), "\r\u{1b}[K");
        }
    }
}

/// Error as a share of the weights' own size, over several tensors.
fn relative_error<'a>(tensors: impl Iterator<Item = &'a Changed>) -> f64 {
    let (error, size) = tensors.fold((0.0, 0.0), |(error, size), t| {
        // Elements weigh the same whatever their tensor; the bytes before are in proportion to them.
        let weight = t.bytes.0 as f64 / t.types.0.block_bytes() as f64 * t.types.0.block_len() as f64;
        (error + weight * t.rms_error.powi(2), size + weight * t.rms.powi(2))
    });
    if size > 0.0 { (error / size).sqrt() } else { 0.0 }
}

fn describe(report: &Report, args: &QuantizeArgs, out: &mut Out) -> Result<(), Failure> {
    let (before, after) = report.bytes;
    writeln!(
        out,
        "wrote {}: {} as {}, {} before",
        safe(args.out.to_string_lossy()),
        megabytes(after),
        args.to.name,
        megabytes(before)
    )?;
    let mut by_type: BTreeMap<(GgmlType, bool), Vec<&Changed>> = BTreeMap::new();
    for tensor in &report.tensors {
        by_type.entry((tensor.types.1, tensor.types.0 == tensor.types.1)).or_default().push(tensor);
    }
    for ((ggml_type, is_kept), tensors) in by_type {
        let name = out.paint(out.theme.accent, format!("{:<5}", ggml_type.name()));
        let count = tensors.len();
        let what = if is_kept {
            "kept as they were".to_owned()
        } else {
            format!("moved by {:.2}% of their size", 100.0 * relative_error(tensors.into_iter()))
        };
        writeln!(out, "  {name}  {count:>4} tensors, {what}")?;
    }
    let mut instead: BTreeMap<(GgmlType, GgmlType), usize> = BTreeMap::new();
    for tensor in &report.tensors {
        if let Some(wanted) = tensor.wanted {
            *instead.entry((wanted, tensor.types.1)).or_default() += 1;
        }
    }
    for ((wanted, got), count) in instead {
        writeln!(
            out,
            "  {count} tensors became {} instead of {}: their rows are no multiples of {}",
            got.name(),
            wanted.name(),
            wanted.block_len()
        )?;
    }
    Ok(())
}

/// What `--json` prints.
#[derive(Serialize)]
struct Json<'a> {
    path: &'a Path,
    recipe: &'static str,
    bytes_before: u64,
    bytes: u64,
    relative_error: f64,
    tensors: Vec<TensorJson<'a>>,
}

#[derive(Serialize)]
struct TensorJson<'a> {
    name: &'a str,
    type_before: &'static str,
    #[serde(rename = "type")]
    ggml_type: &'static str,
    bytes_before: u64,
    bytes: u64,
    rms_error: f64,
    rms: f64,
    /// The type that the recipe asks for, where the width did not allow it.
    wanted: Option<&'static str>,
}

impl<'a> Json<'a> {
    fn of(report: &'a Report, args: &'a QuantizeArgs) -> Self {
        let tensors = report.tensors.iter().map(|t| TensorJson {
            name: &t.name,
            type_before: t.types.0.name(),
            ggml_type: t.types.1.name(),
            bytes_before: t.bytes.0,
            bytes: t.bytes.1,
            rms_error: t.rms_error,
            rms: t.rms,
            wanted: t.wanted.map(GgmlType::name),
        });
        Self {
            path: &args.out,
            recipe: args.to.name,
            bytes_before: report.bytes.0,
            bytes: report.bytes.1,
            relative_error: relative_error(report.tensors.iter()),
            tensors: tensors.collect(),
        }
    }
}
