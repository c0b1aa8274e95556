//! `osai model merge`, and what it shares with merging adapters: progress, and what rounding cost.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{self, IsTerminal, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use clap::{Args as ClapArgs, ValueEnum};
use serde::Serialize;

use super::environment::Globals;
use super::failure::{Failure, INTERRUPTED, NOT_FOUND};
use super::out::{Out, safe};
use super::session::{self, Interrupt};
use crate::engine::gguf::Gguf;
use crate::engine::merge::{Method, Target, merge};
use crate::engine::quantize::{Changed, Progress, Recipe, Report};
use crate::models::megabytes;

/// `osai model merge`.
#[derive(Debug, ClapArgs)]
pub struct MergeArgs {
    /// Models of the same shape: names or GGUF files; keys and tokenizer are the first one's
    #[arg(required = true, num_args = 2.., value_name = "MODEL")]
    models: Vec<OsString>,
    /// How they become one
    #[arg(long, value_name = "METHOD", default_value = "linear")]
    method: MethodName,
    /// One for each model (linear: its part of the mean; task, ties: how much of what it learnt); 1 each if not given.
    /// For slerp one number: 0 is the first model, 1 the second; 0.5 if not given
    #[arg(long = "weight", value_name = "W", allow_negative_numbers = true)]
    weights: Vec<f32>,
    /// The model that the others were made from, for task and ties
    #[arg(long, value_name = "MODEL")]
    base: Option<OsString>,
    /// For ties: the part of each difference that stays, above 0 and at most 1
    #[arg(long, value_name = "PART", default_value_t = 0.2)]
    density: f32,
    /// Where it goes.
    #[command(flatten)]
    pub to: ToArgs,
}

/// Where a new model file goes, and in which types.
#[derive(Debug, ClapArgs)]
pub struct ToArgs {
    /// The new file
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,
    /// Types of its weights (F16, Q8_0, Q4_K_M, …); those of the model if not given
    #[arg(long = "type", value_name = "TYPE", value_parser = recipe)]
    pub recipe: Option<Recipe>,
    /// Replace a file that is there
    #[arg(long)]
    pub force: bool,
    /// Print JSON, with every tensor
    #[arg(long)]
    pub json: bool,
}

/// The methods by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum MethodName {
    /// The weighted mean
    Linear,
    /// Along the arc between two models
    Slerp,
    /// The base, and what each model learnt since
    Task,
    /// As task, with the small differences and those of the weaker sign left out
    Ties,
}

fn recipe(name: &str) -> Result<Recipe, String> {
    Recipe::named(name).ok_or_else(|| format!("a type is one of {}", Recipe::names()))
}

/// Merges models into a new file.
pub fn run(args: &MergeArgs, globals: &Globals, out: &mut Out) -> Result<(), Failure> {
    let method = method(args)?;
    args.to.check()?;
    let models: Vec<Gguf> = args.models.iter().map(|name| open(name, globals)).collect::<Result<_, _>>()?;
    let base = args.base.as_ref().map(|name| open(name, globals)).transpose()?;
    let target = Target { path: &args.to.output, recipe: args.to.recipe, threads: session::threads(globals) };
    let mut watch = Watch::new("merging")?;
    let models: Vec<&Gguf> = models.iter().collect();
    let report = merge(&models, base.as_ref(), &method, target, &mut |progress| watch.tell(progress));
    watch.end(report, &args.to, out)
}

fn method(args: &MergeArgs) -> Result<Method, Failure> {
    let weights = match args.weights.as_slice() {
        [] => vec![1.0; args.models.len()],
        given => given.to_vec(),
    };
    Ok(match args.method {
        MethodName::Linear => Method::Linear { weights },
        MethodName::Task => Method::Task { weights },
        MethodName::Ties => Method::Ties { weights, density: args.density },
        MethodName::Slerp => match args.weights.as_slice() {
            [] => Method::Slerp { t: 0.5 },
            [t] => Method::Slerp { t: *t },
            _ => return Err(Failure::usage("slerp takes one --weight, how far from the first model to the second")),
        },
    })
}

/// A model's file by name or path.
pub fn open(name: &OsString, globals: &Globals) -> Result<Gguf, Failure> {
    let path = session::find_named(Some(name), globals).map_err(|sentence| Failure::new(NOT_FOUND, sentence))?;
    Ok(Gguf::open(&path)?)
}

impl ToArgs {
    /// Refuses before any work is done what would be refused after it.
    pub fn check(&self) -> Result<(), Failure> {
        let path = &self.output;
        if path.exists() && !self.force {
            let shown = path.display();
            return Err(Failure::usage(format!("`{shown}` is there already; --force replaces it")));
        }
        Ok(())
    }
}

/// Tells on stderr how far a file is, and stops it at Ctrl-C.
pub struct Watch {
    what: &'static str,
    is_terminal: bool,
    percent: Option<u64>,
    interrupt: Interrupt,
}

impl Watch {
    /// `what` is what is done: `merging`.
    pub fn new(what: &'static str) -> Result<Self, Failure> {
        Ok(Self { what, is_terminal: io::stderr().is_terminal(), percent: None, interrupt: Interrupt::catch()? })
    }

    /// How far it is; whether to go on.
    pub fn tell(&mut self, progress: Progress<'_>) -> ControlFlow<()> {
        let percent = progress.done * 100 / progress.total.max(1);
        if self.is_terminal && self.percent != Some(percent) {
            self.percent = Some(percent);
            // Where stderr is gone there is nobody to tell, and the work goes on.
            let _ = write!(io::stderr(), "\r\u{1b}[K{} {percent}%  {}", self.what, safe(progress.tensor));
        }
        if self.interrupt.is_pressed() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    /// Prints what became of it.
    pub fn end(
        &self,
        report: Result<Option<Report>, crate::engine::EngineError>,
        to: &ToArgs,
        out: &mut Out,
    ) -> Result<(), Failure> {
        if self.is_terminal && self.percent.is_some() {
            let _ = write!(io::stderr(), "\r\u{1b}[K");
        }
        match report? {
            Some(report) if to.json => out.json(&Json::new(&report, &to.output)),
            Some(report) => write_report(&report, &to.output, out),
            None => Err(Failure::silent(INTERRUPTED)),
        }
    }
}

#[derive(Serialize)]
struct Json {
    path: String,
    bytes: u64,
    tensors: Vec<TensorJson>,
}

#[derive(Serialize)]
struct TensorJson {
    name: String,
    r#type: &'static str,
    /// What the type should have been, where the width does not allow it.
    wanted: Option<&'static str>,
    bytes: u64,
    /// Root of the mean squared error of rounding the new weights to the type.
    rms_error: f64,
    rms: f64,
}

impl Json {
    fn new(report: &Report, path: &Path) -> Self {
        let tensor = |changed: &Changed| TensorJson {
            name: changed.name.clone(),
            r#type: changed.types.1.name(),
            wanted: changed.wanted.map(|wanted| wanted.name()),
            bytes: changed.bytes.1,
            rms_error: changed.rms_error,
            rms: changed.rms,
        };
        let tensors = report.tensors.iter().map(tensor).collect();
        Self { path: path.to_string_lossy().into_owned(), bytes: report.bytes.1, tensors }
    }
}

/// Tensors of the same kind, over all layers.
#[derive(Default)]
struct Kind {
    count: usize,
    types: Vec<&'static str>,
    error: f64,
    size: f64,
    rounded: usize,
}

fn write_report(report: &Report, path: &Path, out: &mut Out) -> Result<(), Failure> {
    let mut kinds: BTreeMap<String, Kind> = BTreeMap::new();
    for tensor in &report.tensors {
        let kind = kinds.entry(kind_of(&tensor.name)).or_default();
        kind.count += 1;
        let name = tensor.types.1.name();
        if !kind.types.contains(&name) {
            kind.types.push(name);
        }
        if tensor.rms > 0.0 {
            kind.rounded += 1;
            kind.error += tensor.rms_error.powi(2);
            kind.size += tensor.rms.powi(2);
        }
    }
    let head = format!("{:<34} {:>5}  {:<12} {}", "tensors", "count", "type", "lost by rounding");
    writeln!(out, "{}", out.paint(out.theme.quiet, head))?;
    for (name, kind) in &kinds {
        let lost = match kind.rounded {
            0 => "copied".to_owned(),
            _ if kind.error == 0.0 => "nothing".to_owned(),
            _ => format!("{:.2}% of their size", (kind.error / kind.size).sqrt() * 100.0),
        };
        writeln!(out, "{:<34} {:>5}  {:<12} {lost}", safe(name), kind.count, kind.types.join(", "))?;
    }
    Ok(writeln!(out, "wrote {} ({})", safe(path.to_string_lossy()), megabytes(report.bytes.1))?)
}

/// A tensor's name with its layer left open: `blk.7.attn_q.weight` is one of `blk.*.attn_q.weight`.
fn kind_of(name: &str) -> String {
    let parts = name.split('.').map(|part| if part.bytes().all(|b| b.is_ascii_digit()) { "*" } else { part });
    parts.collect::<Vec<_>>().join(".")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::gguf::GgmlType;

    #[test]
    fn layers_are_told_together() {
        assert_eq!(kind_of("blk.12.attn_q.weight"), "blk.*.attn_q.weight");
        assert_eq!(kind_of("token_embd.weight"), "token_embd.weight");
    }

    #[test]
    fn the_json_names_every_tensor_with_what_it_lost() {
        let changed = Changed {
            name: "blk.0.attn_q.weight".into(),
            types: (GgmlType::F16, GgmlType::Q4_1),
            bytes: (128, 40),
            rms_error: 0.5,
            rms: 10.0,
            wanted: Some(GgmlType::Q4_K),
        };
        let json = Json::new(&Report { tensors: vec![changed], bytes: (256, 80) }, Path::new("m.gguf"));
        assert_eq!(
            serde_json::to_string(&json).expect("JSON"),
            r#"{"path":"m.gguf","bytes":80,"tensors":[{"name":"blk.0.attn_q.weight","type":"Q4_1","wanted":"Q4_K","bytes":40,"rms_error":0.5,"rms":10.0}]}"#
        );
    }
}
