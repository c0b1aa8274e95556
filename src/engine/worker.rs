//! The one thread that owns a model.

use std::fmt;
use std::io;
use std::ops::ControlFlow;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Sender};
use std::thread;

use super::{EngineError, Job, RunId, RunStats, Update};

/// A job under way. Dropping it cancels the job; the model stops at the next token (one forward pass).
pub struct Run {
    /// The run's number.
    pub id: RunId,
    cancel: Box<dyn Fn() + Send>,
}

impl Run {
    /// A run that `cancel` stops.
    pub(super) fn new(id: RunId, cancel: impl Fn() + Send + 'static) -> Self {
        Self { id, cancel: Box::new(cancel) }
    }
}

impl fmt::Debug for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Run").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        (self.cancel)();
    }
}

/// One thread that does one job at a time, in order.
#[derive(Debug)]
pub struct Worker {
    jobs: Sender<(RunId, Job, Arc<AtomicBool>)>,
}

impl Worker {
    /// Starts the thread, named `model`. `execute` does a job, hands each update to its callback and stops when the
    /// callback breaks; `report` carries updates to the event loop.
    ///
    /// # Errors
    /// The operating system's, if it cannot start a thread.
    pub fn spawn<X, R>(mut execute: X, report: R) -> io::Result<Self>
    where
        X: FnMut(Job, &mut dyn FnMut(Update) -> ControlFlow<()>) -> Result<RunStats, EngineError> + Send + 'static,
        R: Fn(RunId, Update) + Send + 'static,
    {
        let (jobs, inbox) = mpsc::channel::<(RunId, Job, Arc<AtomicBool>)>();
        thread::Builder::new().name("model".into()).spawn(move || {
            for (run, job, cancel) in inbox {
                let mut each = |update| {
                    if cancel.load(Ordering::Relaxed) {
                        return ControlFlow::Break(());
                    }
                    report(run, update);
                    ControlFlow::Continue(())
                };
                // A tensor library can panic; the learner's screen must not freeze for it.
                let outcome = panic::catch_unwind(AssertUnwindSafe(|| execute(job, &mut each)));
                report(
                    run,
                    match outcome {
                        Ok(Ok(stats)) => Update::Finished(stats),
                        Ok(Err(error)) => Update::Failed(error),
                        Err(_) => {
                            Update::Failed(EngineError::Internal { what: "a panic on the model's thread".into() })
                        }
                    },
                );
            }
        })?;
        Ok(Self { jobs })
    }

    /// Queues a job.
    pub fn start(&self, id: RunId, job: Job) -> Run {
        let cancel = Arc::new(AtomicBool::new(false));
        // The thread lives as long as `self`, so the channel is open.
        let _ = self.jobs.send((id, job, cancel.clone()));
        Run::new(id, move || cancel.store(true, Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Stop;

    fn stats(stop: Stop) -> RunStats {
        RunStats::nothing(stop)
    }

    #[test]
    fn dropping_a_run_cancels_it() {
        let (tx, rx) = mpsc::channel();
        let endless = |_, each: &mut dyn FnMut(Update) -> ControlFlow<()>| {
            loop {
                thread::yield_now();
                if each(Update::Tokens(vec![])).is_break() {
                    return Ok(stats(Stop::Cancelled));
                }
            }
        };
        let worker = Worker::spawn(endless, move |_, update| drop(tx.send(update))).expect("a thread");
        let run = worker.start(RunId(1), Job::Open);
        assert!(matches!(rx.recv().expect("an update"), Update::Tokens(_)));
        drop(run);
        let last = rx.iter().find(|u| !matches!(u, Update::Tokens(_)));
        assert_eq!(last, Some(Update::Finished(stats(Stop::Cancelled))));
    }

    #[test]
    fn a_panic_in_the_model_is_reported_and_the_thread_lives() {
        let (tx, rx) = mpsc::channel();
        let mut first = true;
        let worker = Worker::spawn(
            move |_, _| {
                assert!(!std::mem::take(&mut first), "shape mismatch");
                Ok(stats(Stop::Stop))
            },
            move |_, update| drop(tx.send(update)),
        )
        .expect("a thread");
        let _a = worker.start(RunId(1), Job::Open);
        let _b = worker.start(RunId(2), Job::Open);
        assert!(matches!(rx.recv(), Ok(Update::Failed(EngineError::Internal { .. }))));
        assert_eq!(rx.recv(), Ok(Update::Finished(stats(Stop::Stop))));
    }
}
