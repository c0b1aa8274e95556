//! The model's side: jobs come in on standard input, what the model says goes out on standard output.
//!
//! The main thread only reads the pipe, so that a request to stop is heard in the middle of a forward pass and the end
//! of the app (end of file) ends this process at once, whatever the model is doing.

use std::fs::File;
use std::io::{self, BufReader};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::sandbox;
use super::wire::{self, News, Order};
use crate::engine::model::Options;
use crate::engine::{EngineError, Job, Model, RunStats, Update, Worker};

/// Does what standard input asks of the model in `path` until it ends; the whole of `osai serve-model`.
///
/// # Errors
/// The pipe broke or carried what is no order, or the system gave no thread.
pub fn serve(path: &Path, options: Options) -> io::Result<()> {
    sandbox::enter(path);
    let (orders, news) = pipes()?;
    let mut orders = BufReader::new(orders);
    let news = Arc::new(Mutex::new(news));
    let say = move |word: &News| wire::write(&mut *news.lock().unwrap_or_else(PoisonError::into_inner), word);
    let answer = say.clone();
    let report = move |run, update| {
        // A broken pipe means that the app is gone; the main thread notices and ends the process.
        let _ = say(&News::Told(run, update));
    };
    let worker = Worker::spawn(executor(path.to_owned(), options), report)?;
    let mut run = None;
    while let Some(order) = wire::read(&mut orders)? {
        match order {
            Order::Start(id, job) => run = Some(worker.start(id, job)),
            Order::Cancel(id) => {
                answer(&News::Alive(id))?;
                run = run.filter(|run| run.id != id);
            }
        }
    }
    Ok(())
}

/// Opens the model at the first job and does it and all that follow. A file that cannot be opened answers every job
/// with the reason.
fn executor(
    path: PathBuf,
    options: Options,
) -> impl FnMut(Job, &mut dyn FnMut(Update) -> ControlFlow<()>) -> Result<RunStats, EngineError> {
    let mut model: Option<Model> = None;
    move |job, each| {
        let model = match &mut model {
            Some(model) => model,
            none => {
                let opened = none.insert(Model::open_with(&path, options)?);
                if job != Job::Open {
                    // Cancelled or not, that the model is open is news.
                    let _ = each(Update::Ready(opened.info().clone()));
                }
                opened
            }
        };
        model.run(job, each)
    }
}

/// Standard input and output as they are, without the buffers that are made for lines of text.
#[cfg(unix)]
fn pipes() -> io::Result<(File, File)> {
    use std::os::fd::AsFd;
    let (stdin, stdout) = (io::stdin(), io::stdout());
    Ok((stdin.as_fd().try_clone_to_owned()?.into(), stdout.as_fd().try_clone_to_owned()?.into()))
}

#[cfg(windows)]
fn pipes() -> io::Result<(File, File)> {
    use std::os::windows::io::AsHandle;
    let (stdin, stdout) = (io::stdin(), io::stdout());
    Ok((stdin.as_handle().try_clone_to_owned()?.into(), stdout.as_handle().try_clone_to_owned()?.into()))
}
