//! Stands in for the model until the engine is merged.

use std::ops::ControlFlow;
use std::path::Path;

use super::{EngineError, Job, ModelInfo, RunStats, Update};

/// Stands in for an open model.
#[derive(Debug)]
pub struct Model {
    info: ModelInfo,
}

impl Model {
    /// Opens a model file.
    ///
    /// # Errors
    /// Always, until the engine is merged.
    pub fn open(path: &Path) -> Result<Self, EngineError> {
        Err(EngineError::BadFile { path: path.to_owned(), why: "the engine is not built yet".into() })
    }

    /// What is known of it.
    pub fn info(&self) -> &ModelInfo {
        &self.info
    }

    /// Does a job.
    ///
    /// # Errors
    /// Always, until the engine is merged.
    pub fn run(&mut self, _job: Job, _each: &mut dyn FnMut(Update) -> ControlFlow<()>) -> Result<RunStats, EngineError> {
        Err(EngineError::Internal { what: "the engine is not built yet".into() })
    }
}
