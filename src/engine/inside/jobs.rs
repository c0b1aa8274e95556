//! Looking inside as jobs: what labs and the model's own process ask for.

use std::panic::{self, AssertUnwindSafe};

use crate::engine::lora::Lora;
use crate::engine::model::{Each, Model};
use crate::engine::{EngineError, Interventions, Job, Prompt, RunStats, Stop, Update};

impl Model {
    /// Does a job that looks inside; what it saw goes to `each`. The statistics get the prompt's tokens and the end.
    pub(in crate::engine) fn look(
        &mut self,
        job: Job,
        stats: &mut RunStats,
        each: Each<'_>,
    ) -> Result<(), EngineError> {
        let mut count = |model: &Self, prompt: &Prompt| -> Result<(), EngineError> {
            stats.prompt_tokens += model.read(prompt)?.1.len();
            Ok(())
        };
        let seen = match &job {
            Job::Trace { prompt } => {
                count(self, prompt)?;
                self.trace(prompt, each)?.map(Update::Trace)
            }
            Job::Lens { prompt } => {
                count(self, prompt)?;
                self.lens(prompt, each)?.map(Update::Lens)
            }
            Job::Score { prompt } => {
                count(self, prompt)?;
                self.score(prompt, each)?.map(Update::Score)
            }
            Job::Embed { prompt, pooling } => {
                count(self, prompt)?;
                self.embed(prompt, *pooling, each)?.map(Update::Vector)
            }
            Job::Contrast { a, b, layer } => {
                count(self, a)?;
                count(self, b)?;
                self.contrast(a, b, *layer, each)?.map(Update::Vector)
            }
            other => return Err(EngineError::Internal { what: format!("{other:?} looks at nothing") }),
        };
        stats.stop = match seen.map(each) {
            Some(flow) if flow.is_continue() => Stop::Stop,
            _ => Stop::Cancelled,
        };
        Ok(())
    }

    /// Does a job with interventions that hold for it alone, besides those in force; the prompt cache outlives it.
    pub(in crate::engine) fn with(
        &mut self,
        what: Interventions,
        job: Job,
        each: Each<'_>,
    ) -> Result<RunStats, EngineError> {
        let both = self.interventions.clone().and(what);
        self.possible(&both)?;
        let before = std::mem::replace(&mut self.interventions, both);
        let kept = self.kept.take();
        // The worker outlives a panic of ours, and with it the model: it must not stay changed.
        let ended = panic::catch_unwind(AssertUnwindSafe(|| self.run(job, each)));
        self.interventions = before;
        self.kept = kept;
        ended.unwrap_or_else(|payload| panic::resume_unwind(payload))
    }

    /// Uses these adapters and no others. When one does not fit, those in use stay.
    pub(in crate::engine) fn adapt(&mut self, wanted: &[(Lora, f32)]) -> Result<(), EngineError> {
        let base = self.base();
        wanted.iter().try_for_each(|(lora, _)| lora.check(&base))?;
        let names: Vec<String> = self.adapters().iter().map(|adapter| adapter.name.clone()).collect();
        for name in &names {
            self.detach(name);
        }
        wanted.iter().try_for_each(|(lora, strength)| self.attach(lora, *strength))
    }
}
