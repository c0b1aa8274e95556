//! `osai finetune`: a LoRA adapter for a model, learnt from conversations.
//!
//! Answers alone are learnt; the rest of a conversation is read, in the model's own chat template. Weights are never
//! written: the adapter is a folder of its own, and their hash before and after is compared.

mod data;

use std::io::{self, IsTerminal, Write};
use std::ops::ControlFlow;
use std::path::PathBuf;

use clap::Args as ClapArgs;
use serde::Serialize;

use super::environment::Globals;
use super::failure::{DATA, Failure, INTERRUPTED, MODEL, VERIFY};
use super::out::{Out, safe};
use super::session::{self, Interrupt};
use super::values::{count, positive, share};
use crate::corpus::{Draw, Split};
use crate::engine::lora::{Base, LoraConfig};
use crate::engine::train::{
    Decay, Document, Network, OptimizerConfig, Pass, Schedule, StepReport, TrainConfig, Trainer,
};
use crate::engine::{Isa, Model};

/// Tokens that go through at once: bounds the memory.
const MICRO_BATCH: usize = 512;
/// Tenths of the steps over which the learning rate rises.
const WARMUP: usize = 10;

/// `osai finetune`.
#[derive(Debug, ClapArgs)]
pub struct FinetuneArgs {
    /// Conversations, one a line: {"messages":[{"role":"user","content":"…"},{"role":"assistant","content":"…"}]}
    #[arg(long, value_name = "FILE")]
    data: PathBuf,
    /// The folder for the adapter, as PEFT has it; `--lora DIR` uses it
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Rank
    #[arg(long, value_name = "R", default_value_t = 8, value_parser = count)]
    r: usize,
    /// What the adapter is multiplied with, before it is divided by the rank
    #[arg(long, value_name = "ALPHA", default_value_t = 16.0, value_parser = positive)]
    lora_alpha: f32,
    /// Matrices that get one
    #[arg(
        long,
        value_name = "NAMES",
        value_delimiter = ',',
        default_value = "q_proj,k_proj,v_proj,o_proj,gate_proj,up_proj,down_proj"
    )]
    target_modules: Vec<String>,
    /// Share of the adapters' inputs that training drops
    #[arg(long, value_name = "P", default_value_t = 0.0, value_parser = share)]
    lora_dropout: f32,
    /// AdamW's learning rate; it rises over the first tenth of the steps, then falls to nothing
    #[arg(long, value_name = "RATE", default_value_t = 5e-4, value_parser = positive)]
    learning_rate: f32,
    /// How often each conversation is learnt from
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = count)]
    epochs: usize,
    /// Conversations in a step
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = count)]
    batch_size: usize,
    /// Seed of the adapter's first numbers, of the order and of what is dropped
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Replace an adapter that is there
    #[arg(long)]
    force: bool,
    /// Print one event a line as JSON
    #[arg(long)]
    json: bool,
}

/// What `--json` prints.
#[derive(Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
enum Event<'a> {
    Start { conversations: usize, tokens: usize, steps: usize, parameters: usize },
    Step(&'a StepReport),
    End { is_finished: bool, steps: usize, path: &'a str, base_sha256: &'a str, is_base_unchanged: bool },
}

/// Trains an adapter.
pub fn finetune(args: &FinetuneArgs, globals: &Globals, out: &mut Out) -> Result<(), Failure> {
    if !globals.lora.is_empty() {
        return Err(Failure::usage("a new adapter is learnt on the model as it is; leave out --lora"));
    }
    let shown = args.out.display().to_string();
    if args.out.join("adapter_config.json").exists() && !args.force {
        return Err(Failure::usage(format!("`{shown}` holds an adapter already; --force replaces it")));
    }
    let conversations = data::read(&args.data)?;
    let path = session::find_model(globals).map_err(|sentence| Failure::new(MODEL, sentence))?;
    let documents = {
        let model = session::guarded(|| Model::open_with(&path, session::options(globals)));
        let model = model.map_err(|failure| failure.with_code(MODEL))?;
        data::documents(&conversations, &model, &args.data)?
    };
    let interrupt = Interrupt::catch()?;
    let mut network = Network::open(&path)?;
    let before = network.weights.sha256();
    network.adapt(&name_of(args), config(args, &path), args.seed)?;
    let steps = args.epochs * documents.len().div_ceil(args.batch_size);
    let pass = Pass::new(globals.isa.unwrap_or_else(Isa::detect), session::threads(globals));
    let mut trainer = Trainer::new(network, settings(args, steps), pass)?;
    let tokens = documents.iter().map(|document| document.tokens.len()).sum();
    let parameters = trainer.network.trained().data.len();
    if args.json {
        out.json(&Event::Start { conversations: documents.len(), tokens, steps, parameters })?;
    } else {
        let count = documents.len();
        writeln!(out, "{count} conversations, {tokens} tokens, {steps} steps; the adapter has {parameters} numbers")?;
    }
    out.flush()?;
    let is_finished = learn(&mut trainer, &documents, args, &interrupt, out)?;
    let adapter = trainer.network.adapter().expect("it was added above");
    adapter.save_peft(&args.out, &Base::open(&path)?)?;
    let is_base_unchanged = trainer.network.weights.sha256() == before;
    let steps = trainer.steps();
    if args.json {
        out.json(&Event::End { is_finished, steps, path: &shown, base_sha256: &before, is_base_unchanged })?;
    } else {
        writeln!(out, "wrote {} after {steps} steps; use it with --lora {0}", safe(&shown))?;
        writeln!(out, "the model's own weights are unchanged: sha256 {before} before and after")?;
    }
    if !is_base_unchanged {
        return Err(Failure::new(VERIFY, "the model's weights changed in memory while the adapter was trained"));
    }
    match is_finished {
        true => Ok(()),
        false => Err(Failure::new(INTERRUPTED, format!("stopped; the adapter as it was is kept in `{shown}`"))),
    }
}

fn name_of(args: &FinetuneArgs) -> String {
    args.out.file_name().map_or_else(|| "adapter".into(), |name| name.to_string_lossy().into_owned())
}

fn config(args: &FinetuneArgs, base: &std::path::Path) -> LoraConfig {
    let mut target_modules = args.target_modules.clone();
    target_modules.sort();
    target_modules.dedup();
    LoraConfig {
        r: args.r,
        lora_alpha: args.lora_alpha,
        target_modules,
        use_rslora: false,
        lora_dropout: args.lora_dropout,
        base_model_name_or_path: base.file_name().map(|name| name.to_string_lossy().into_owned()),
    }
}

fn settings(args: &FinetuneArgs, max_steps: usize) -> TrainConfig {
    let learning_rate = args.learning_rate;
    let optimizer = OptimizerConfig {
        learning_rate,
        betas: [0.9, 0.999],
        weight_decay: 0.0,
        muon: None,
        ..OptimizerConfig::default()
    };
    let schedule = Schedule { warmup_steps: max_steps / WARMUP, max_steps, decay: Decay::Cosine { floor: 0.0 } };
    TrainConfig { batch_tokens: usize::MAX, micro_batch_tokens: MICRO_BATCH, optimizer, schedule, seed: args.seed }
}

/// Goes through the conversations, in another order each time; `false` when it was stopped.
fn learn(
    trainer: &mut Trainer,
    documents: &[Document],
    args: &FinetuneArgs,
    interrupt: &Interrupt,
    out: &mut Out,
) -> Result<bool, Failure> {
    let is_live = !args.json && io::stderr().is_terminal();
    for epoch in 0..args.epochs {
        let mut order: Vec<usize> = (0..documents.len()).collect();
        Draw::new(args.seed, "order of conversations", Split::Train, epoch as u64).shuffle(&mut order);
        let (mut loss, mut done) = (0.0, 0);
        for step in order.chunks(args.batch_size) {
            let step: Vec<Document> = step.iter().map(|at| documents[*at].clone()).collect();
            let report = trainer.step(&step, &mut |_| match interrupt.is_pressed() {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            })?;
            let Some(report) = report else { return Ok(false) };
            (loss, done) = (loss + report.loss, done + 1);
            if args.json {
                out.json(&Event::Step(&report))?;
                out.flush()?;
            } else if is_live {
                let (step, of) = (report.step, report.max_steps);
                // Best effort: the lines on stdout tell what counts.
                let _ = write!(io::stderr(), "\r\u{1b}[Kstep {step} of {of}, loss {:.3}", report.loss);
            }
        }
        if is_live {
            let _ = write!(io::stderr(), "\r\u{1b}[K"); // as above
        }
        if !args.json {
            writeln!(out, "epoch {} of {}: loss {:.4}", epoch + 1, args.epochs, loss / f64::from(done.max(1)))?;
            out.flush()?;
        }
    }
    Ok(true)
}

/// A line of the data that cannot be used: where, what, and what to do.
fn fault(path: &std::path::Path, line: usize, why: &str) -> Failure {
    Failure::new(DATA, format!("{}:{line}: {why}", path.display()))
}
