//! The loop: documents in, steps out. Pretraining, fine-tuning and the app's live labs all run it.

use std::ops::ControlFlow;
use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::super::EngineError;
use super::batch::{Batch, Document, Packer, micro_batches};
use super::network::Network;
use super::optimizer::{Optimizer, OptimizerConfig};
use super::pass::Pass;
use super::schedule::Schedule;

/// Settings of a run.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainConfig {
    /// Tokens of a step at most (at least one document).
    pub batch_tokens: usize,
    /// Tokens that go through at once at most: bounds the memory, and how long a stop takes. Gradients of a step's
    /// parts are added.
    pub micro_batch_tokens: usize,
    /// Optimiser.
    pub optimizer: OptimizerConfig,
    /// How the learning rate goes, and how many steps there are.
    pub schedule: Schedule,
    /// Decides what dropout drops.
    pub seed: u64,
}

/// What a step did.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepReport {
    /// Steps done, this one among them.
    pub step: usize,
    /// Steps of the whole run.
    pub max_steps: usize,
    /// Mean loss of its targets before the step, in nats, weighted as they are.
    pub loss: f64,
    /// The schedule's factor times the optimiser's learning rate (AdamW's).
    pub learning_rate: f32,
    /// Length of the gradient before it was clipped.
    pub gradient_norm: f32,
    /// Tokens that the model read in this step.
    pub tokens: usize,
    /// Tokens that it read since the run began, over all its pieces.
    pub total_tokens: u64,
    /// Tokens a second of this step.
    pub tokens_per_second: f64,
}

/// What a run tells while it goes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum TrainUpdate {
    /// A part of a step is done; a break here leaves the step undone.
    Part {
        /// Parts done.
        done: usize,
        /// Parts of the step.
        of: usize,
    },
    /// A step is done.
    Step(StepReport),
}

/// Why a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// All steps are done.
    Finished,
    /// It was told to stop; what was learned in whole steps is kept.
    Stopped,
    /// There were no more documents.
    NoMoreDocuments,
}

/// Loss on documents that are not learned from.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// Mean loss in nats a target, weighted as they are.
    pub loss: f64,
    /// Targets that count.
    pub targets: usize,
}

/// A network in training.
#[derive(Debug)]
pub struct Trainer {
    /// The network.
    pub network: Network,
    pub(super) config: TrainConfig,
    pub(super) optimizer: Optimizer,
    pub(super) pass: Pass,
    pub(super) documents: u64,
    pub(super) tokens: u64,
    gradient: Vec<f32>,
}

impl Trainer {
    /// A new run. `pass` brings threads and instruction set.
    ///
    /// # Errors
    /// [`EngineError::BadSetting`], [`EngineError::Unsupported`] when not all weights of this model can be trained.
    pub fn new(network: Network, config: TrainConfig, pass: Pass) -> Result<Self, EngineError> {
        network.check_trained()?;
        config.schedule.check()?;
        if config.batch_tokens == 0 || config.micro_batch_tokens == 0 {
            let what = "`batch_tokens` and `micro_batch_tokens` are 1 or more".into();
            return Err(EngineError::BadSetting { what });
        }
        let optimizer = Optimizer::new(config.optimizer, network.trained())?;
        let gradient = vec![0.0; network.trained().data.len()];
        Ok(Self { network, config, optimizer, pass, documents: 0, tokens: 0, gradient })
    }

    /// Steps done.
    pub fn steps(&self) -> usize {
        self.optimizer.steps()
    }

    /// Documents learned from; a run that goes on leaves out as many.
    pub fn documents(&self) -> u64 {
        self.documents
    }

    /// The run's settings.
    pub fn config(&self) -> &TrainConfig {
        &self.config
    }

    /// Goes on until all steps are done, the documents end or `each` breaks.
    ///
    /// # Errors
    /// As [`Packer::next_step`]; [`EngineError::BadSetting`] when the loss is no number any more.
    pub fn run<I: Iterator<Item = Document>>(
        &mut self,
        documents: &mut Packer<I>,
        each: &mut dyn FnMut(TrainUpdate) -> ControlFlow<()>,
    ) -> Result<Ended, EngineError> {
        while self.steps() < self.config.schedule.max_steps {
            let (longest, vocabulary) = (self.network.longest(), self.network.config.vocab_size);
            let step = documents.next_step(self.config.batch_tokens, longest, vocabulary)?;
            if step.is_empty() {
                return Ok(Ended::NoMoreDocuments);
            }
            let Some(report) = self.step(&step, each)? else { return Ok(Ended::Stopped) };
            if each(TrainUpdate::Step(report)).is_break() {
                return Ok(Ended::Stopped);
            }
        }
        Ok(Ended::Finished)
    }

    /// One step on these documents; `None` when `each` broke it off, and then nothing has changed.
    ///
    /// # Errors
    /// [`EngineError::BadSetting`] when the loss is no number any more.
    pub fn step(
        &mut self,
        documents: &[Document],
        each: &mut dyn FnMut(TrainUpdate) -> ControlFlow<()>,
    ) -> Result<Option<StepReport>, EngineError> {
        let start = Instant::now();
        let batches = micro_batches(documents, self.config.micro_batch_tokens);
        let weight: f64 = batches.iter().map(Batch::total_weight).sum();
        self.gradient.fill(0.0);
        let (mut loss, mut tokens) = (0.0, 0);
        for (index, batch) in batches.iter().enumerate() {
            let factor = if weight > 0.0 { (1.0 / weight) as f32 } else { 0.0 };
            // Every part drops something else; the same run the same.
            let seed =
                self.config.seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ ((self.steps() as u64) << 20 | index as u64);
            let losses = self.pass.gradient(&self.network, batch, factor, seed, &mut self.gradient);
            loss += weighted(&losses, batch);
            tokens += batch.tokens.len();
            if each(TrainUpdate::Part { done: index + 1, of: batches.len() }).is_break() {
                return Ok(None);
            }
        }
        let loss = if weight > 0.0 { loss / weight } else { 0.0 };
        if !loss.is_finite() {
            return Err(EngineError::BadSetting {
                what: format!(
                    "training has come apart in step {}: the loss is {loss}; go back to a checkpoint and take a lower \
                     `learning_rate` or a longer warm-up",
                    self.steps() + 1
                ),
            });
        }
        let factor = self.config.schedule.factor(self.steps());
        let trained = self.network.trained_mut();
        let gradient_norm = self.optimizer.step(&mut self.pass.cores, trained, &self.gradient, factor);
        self.documents += documents.len() as u64;
        self.tokens += tokens as u64;
        Ok(Some(StepReport {
            step: self.steps(),
            max_steps: self.config.schedule.max_steps,
            loss,
            learning_rate: self.config.optimizer.learning_rate * factor,
            gradient_norm,
            tokens,
            total_tokens: self.tokens,
            tokens_per_second: tokens as f64 / start.elapsed().as_secs_f64().max(1e-9),
        }))
    }

    /// The loss on documents, which changes nothing.
    ///
    /// # Errors
    /// As [`Packer::next_step`].
    pub fn evaluate(&mut self, documents: &[Document]) -> Result<Evaluation, EngineError> {
        let (longest, vocabulary) = (self.network.longest(), self.network.config.vocab_size);
        let documents = Packer::new(documents.iter().cloned()).next_step(usize::MAX, longest, vocabulary)?;
        let (mut loss, mut weight, mut targets) = (0.0, 0.0, 0);
        for batch in micro_batches(&documents, self.config.micro_batch_tokens) {
            loss += weighted(&self.pass.losses(&self.network, &batch), &batch);
            weight += batch.total_weight();
            targets += batch.weights.iter().filter(|w| **w != 0.0).count();
        }
        Ok(Evaluation { loss: if weight > 0.0 { loss / weight } else { 0.0 }, targets })
    }
}

fn weighted(losses: &[f32], batch: &Batch) -> f64 {
    losses.iter().zip(&batch.weights).map(|(loss, weight)| f64::from(*loss) * f64::from(*weight)).sum()
}
