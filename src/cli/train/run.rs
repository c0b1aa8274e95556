//! The run itself: documents in their order into steps, and what is told and kept on the way.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use super::TrainArgs;
use super::files::{self, Folder, MODEL};
use super::recipe::Plan;
use super::report::{Event, HeldOut, Teller};
use crate::cli::environment::Globals;
use crate::cli::failure::{DATA, Failure, INTERRUPTED};
use crate::cli::out::Out;
use crate::cli::session::{self, Interrupt};
use crate::corpus::{Bpe, Encoded, Kind, Mix, Position, document, held_out};
use crate::engine::train::{Document, Network, Packer, Pass, Trainer};
use crate::engine::{EngineError, GenerationOptions, Isa, Job, Model, Prompt, SamplingParams, Update};

/// Tokens of a sample.
const SAMPLE: usize = 60;

/// Trains by the plan.
pub fn run(plan: &Plan, args: &TrainArgs, globals: &Globals, out: &mut Out) -> Result<(), Failure> {
    let wanted = args.out.as_deref().expect("clap requires it");
    let folder = Folder::open(wanted, args.resume)?;
    let interrupt = Interrupt::catch()?;
    let bpe = vocabulary(plan)?;
    let threads = session::threads(globals);
    let pass = Pass::new(globals.isa.unwrap_or_else(Isa::detect), threads);
    let network = Network::new(&plan.shape(), &plan.how.initialisation, plan.recipe.seed)?;
    let mut trainer = Trainer::new(network, plan.config(), pass)?;
    let position = if args.resume { folder.load(&mut trainer, plan)? } else { Position::default() };
    files::write(&folder.file("recipe.toml"), plan.text.as_bytes())?;
    let mut teller = Teller::open(&folder.path, trainer.steps(), args.json, out)?;
    teller.tell(&Event::Start {
        step: trainer.steps(),
        max_steps: plan.config().schedule.max_steps,
        name: plan.recipe.name.clone(),
        parameters: trainer.network.weights.data.len(),
        vocab_size: bpe.size(),
        tokens: plan.recipe.tokens,
        seed: plan.recipe.seed,
        threads,
        recipe_sha256: plan.sha256.clone(),
    })?;
    let parts = Parts::new(plan, &bpe);
    let mut mix = Mix::resume(&plan.recipe, &bpe, position);
    let mut kept = mix.position().clone();
    let is_finished = loop {
        let Some(step) = next_step(&mut mix, &trainer, plan)? else { break true };
        let report = trainer.step(&step, &mut |_| match interrupt.is_pressed() {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        })?;
        // A step that was broken off is undone; its documents come again.
        let Some(report) = report else { break false };
        kept = mix.position().clone();
        teller.step(&report, plan.how.log_every)?;
        if report.step.is_multiple_of(plan.how.checkpoint_every) && report.step < report.max_steps {
            folder.save(&trainer, plan, &bpe, &kept)?;
            told_at_checkpoint(&mut trainer, &parts, &folder, globals, &mut teller)?;
        }
    };
    folder.save(&trainer, plan, &bpe, &kept)?;
    if is_finished {
        told_at_checkpoint(&mut trainer, &parts, &folder, globals, &mut teller)?;
    }
    if let Some(to) = &args.export {
        files::export(&trainer.network, &bpe, to)?;
    }
    teller.tell(&Event::End {
        step: trainer.steps(),
        is_finished,
        tokens: kept.tokens,
        path: folder.file(MODEL).display().to_string(),
        sha256: folder.sha256()?,
    })?;
    if is_finished {
        return Ok(());
    }
    let sentence = format!("stopped; what was learned is kept in `{}`, --resume goes on", wanted.display());
    Err(Failure::new(INTERRUPTED, sentence))
}

/// The recipe's vocabulary.
fn vocabulary(plan: &Plan) -> Result<Bpe, Failure> {
    let bpe = plan.recipe.vocabulary();
    let (got, wanted) = (bpe.size(), plan.recipe.vocabulary.size);
    if got < wanted {
        let sentence = format!(
            "the recipe wants a vocabulary of {wanted}, but its documents give {got} tokens; raise `documents` under \
             [vocabulary] or lower `size`"
        );
        return Err(Failure::new(DATA, sentence));
    }
    Ok(bpe)
}

/// The documents of the next step: as many as bring the corpus to where the step's number says, so that the recipe's
/// tokens are used up in its steps; `None` at the end.
fn next_step(mix: &mut Mix<'_>, trainer: &Trainer, plan: &Plan) -> Result<Option<Vec<Document>>, EngineError> {
    let (done, all) = (trainer.steps(), trainer.config().schedule.max_steps);
    if done == all {
        return Ok(None);
    }
    let goal = if done + 1 == all { u64::MAX } else { (done as u64 + 1) * plan.how.batch_tokens as u64 };
    let mut step = Vec::new();
    while step.is_empty() || Mix::position(mix).tokens < goal {
        let Some((_, encoded)) = mix.next() else { break };
        step.push(learned(&encoded));
    }
    let (longest, vocabulary) = (trainer.network.longest(), trainer.network.config.vocab_size);
    let step = Packer::new(step.into_iter()).next_step(usize::MAX, longest, vocabulary)?;
    Ok(Some(step).filter(|step| !step.is_empty()))
}

/// A document as the trainer takes it.
fn learned(encoded: &Encoded) -> Document {
    Document { tokens: encoded.ids.clone(), weights: encoded.weights.iter().map(|w| f32::from(*w) / 100.0).collect() }
}

/// Held-out documents by part.
#[derive(Debug)]
pub struct Parts(Vec<(Kind, Vec<Document>, usize)>);

impl Parts {
    /// Documents of each kind that the recipe's last phase has.
    pub fn new(plan: &Plan, bpe: &Bpe) -> Self {
        let kinds = plan.recipe.phases.last().into_iter().flat_map(|phase| phase.mix.keys().copied());
        let part = |kind: Kind| {
            let documents = held_out(&plan.recipe, kind, plan.how.held_out);
            let spans = documents.iter().flat_map(|document| &document.spans).filter(|span| span.weight > 0);
            let bytes = spans.map(|span| span.text.len()).sum();
            (kind, documents.iter().map(|document| learned(&bpe.encode_document(document))).collect(), bytes)
        };
        Self(kinds.map(part).collect())
    }

    /// The loss on each.
    pub fn losses(&self, trainer: &mut Trainer) -> Result<BTreeMap<&'static str, HeldOut>, EngineError> {
        let mut losses = BTreeMap::new();
        for (kind, documents, bytes) in &self.0 {
            let found = trainer.evaluate(documents)?;
            let nats = found.loss * found.targets as f64;
            let bits_per_byte = nats / std::f64::consts::LN_2 / (*bytes).max(1) as f64;
            losses.insert(kind.name(), HeldOut { loss: found.loss, bits_per_byte, targets: found.targets });
        }
        Ok(losses)
    }
}

/// Tells that the run is on the disk, how it does on what it never saw, and what it writes.
fn told_at_checkpoint(
    trainer: &mut Trainer,
    parts: &Parts,
    folder: &Folder,
    globals: &Globals,
    teller: &mut Teller<'_>,
) -> Result<(), Failure> {
    let step = trainer.steps();
    teller.tell(&Event::Saved { step, path: folder.path.display().to_string() })?;
    teller.tell(&Event::HeldOut { step, parts: parts.losses(trainer)? })?;
    let mut model = Model::open_with(&folder.file(MODEL), session::options(globals))?;
    let text = story(&mut model, step as u64, SAMPLE)?;
    teller.tell(&Event::Sample { step, text })
}

/// A story that the model writes from nothing.
pub fn story(model: &mut Model, seed: u64, max_new_tokens: usize) -> Result<String, Failure> {
    let sampling = SamplingParams { temperature: 0.8, seed: Some(seed), ..SamplingParams::default() };
    generated(model, document::END_OF_TEXT.into(), sampling, max_new_tokens)
}

/// What the model writes after a prompt in the template's form.
pub fn generated(
    model: &mut Model,
    prompt: String,
    sampling: SamplingParams,
    max_new_tokens: usize,
) -> Result<String, Failure> {
    let (prompt, options) = (Prompt::Raw(prompt), GenerationOptions::default());
    let job = Job::Generate { prompt, sampling, max_new_tokens, top_candidates: 0, options };
    let mut written = String::new();
    session::run(model, job, &mut |update| {
        if let Update::Token { text, .. } | Update::Rest { text } = update {
            written.push_str(&text);
        }
        ControlFlow::Continue(())
    })?;
    Ok(written)
}
