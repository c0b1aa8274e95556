//! `cargo bench --bench process [-- FILE.gguf]`: what it costs that the app's model runs in a process of its own.
//!
//! The same jobs on a thread and in a process, in turn; wall-clock medians of one machine in one call. One thread for the
//! kernels, so that a busy machine disturbs both ways alike.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver};
use std::time::Instant;

use osai::engine::{
    GenerationOptions, Job, Launch, Model, ModelProcess, Options, Prompt, Run, RunId, SamplingParams, Update, Worker,
};

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// A way to run a model: how a job is started, and where its news come.
struct Seat {
    start: Box<dyn Fn(RunId, Job) -> Run>,
    news: Receiver<(RunId, Update)>,
}

impl Seat {
    fn thread(path: &Path) -> Self {
        let (send, news) = mpsc::channel();
        let (path, mut model) = (path.to_owned(), None);
        let execute = move |job, each: &mut dyn FnMut(Update) -> ControlFlow<()>| {
            if model.is_none() {
                model = Some(Model::open_with(&path, Options { threads: Some(1), ..Options::default() })?);
            }
            model.as_mut().expect("opened above").run(job, each)
        };
        let worker = Worker::spawn(execute, move |run, update| drop(send.send((run, update)))).expect("a thread");
        Self { start: Box::new(move |id, job| worker.start(id, job)), news }
    }

    fn process(path: &Path) -> Self {
        let (send, news) = mpsc::channel();
        let arguments = vec!["serve-model".into(), "--threads".into(), "1".into(), path.into()];
        let launch = Launch { model: path.into(), program: env!("CARGO_BIN_EXE_osai").into(), arguments };
        let process = ModelProcess::new(launch, move |run, update| drop(send.send((run, update)))).expect("a thread");
        Self { start: Box::new(move |id, job| process.start(id, job)), news }
    }

    /// Does a job; milliseconds to its first news and to its end.
    fn time(&self, job: Job) -> (f64, f64) {
        let started = Instant::now();
        let run = (self.start)(RunId(0), job);
        let mut first = None;
        loop {
            let (_, update) = self.news.recv().expect("news");
            let now = started.elapsed().as_secs_f64() * 1e3;
            match update {
                // Without a file the news is the failure.
                Update::Finished(_) | Update::Failed(_) => {
                    drop(run);
                    return (first.unwrap_or(now), now);
                }
                _ => _ = first.get_or_insert(now),
            }
        }
    }
}

#[allow(clippy::disallowed_methods, clippy::print_stdout, reason = "a benchmark is its own program")]
fn main() {
    let named = std::env::args().skip(1).find(|a| !a.starts_with('-')).map(PathBuf::from);
    let home = std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
    let path = named.unwrap_or_else(|| home.join(".local/share/osai/models/SmolLM2-135M-Instruct.Q4_1.gguf"));
    let mut rows = vec![];
    let mut row = |what: &str, rounds: usize, measure: &dyn Fn(bool) -> f64| {
        let (mut thread, mut process) = (vec![], vec![]);
        for _ in 0..rounds {
            thread.push(measure(false));
            process.push(measure(true));
        }
        rows.push((what.to_owned(), median(thread), median(process)));
    };
    let at_path = |path: &Path, is_process| if is_process { Seat::process(path) } else { Seat::thread(path) };
    let seat = |is_process| at_path(&path, is_process);
    if let Err(error) = Model::open(&path) {
        return println!("{error}");
    }
    let nowhere = Path::new("/no/such/model.gguf");
    row("ms to start, and to find no file", 200, &|is_process| at_path(nowhere, is_process).time(Job::Open).1);
    row("ms to open, from nothing to the first news", 15, &|is_process| seat(is_process).time(Job::Open).0);
    let tokenize = || Job::Tokenize { text: "Hello".into() };
    row("ms to cut a text, from nothing", 15, &|is_process| seat(is_process).time(tokenize()).1);

    let both = [seat(false), seat(true)];
    let at = |is_process| &both[usize::from(is_process)];
    both.iter().for_each(|seat| _ = seat.time(Job::Open));
    row("ms to cut a text, model open (an order, two news)", 2000, &|is_process| at(is_process).time(tokenize()).1);
    let next = || Job::Next { prompt: Prompt::Text("The capital of France is".into()) };
    row("ms for all next tokens (one pass, all logits)", 100, &|is_process| at(is_process).time(next()).1);
    let generate = || Job::Generate {
        prompt: Prompt::Text("Once upon a time".into()),
        sampling: SamplingParams { seed: Some(7), ..SamplingParams::default() },
        max_new_tokens: 128,
        top_candidates: 10,
        options: GenerationOptions::default(),
    };
    row("ms for a text of 128 tokens", 11, &|is_process| at(is_process).time(generate()).1);
    println!("{:52} {:>10} {:>10} {:>10}", "", "thread", "process", "more");
    for (what, thread, process) in rows {
        println!("{what:52} {thread:>10.3} {process:>10.3} {:>10.3}", process - thread);
    }
}
