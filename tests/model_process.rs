//! The model in a process of its own, with the real program: it dies in every way that there is, and the next run works.
//! Nothing here sleeps: every step waits for news.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use std::ffi::OsString;
use std::fs;
use std::io::{Read, Write};
use std::ops::ControlFlow;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use osai::engine::{
    EngineError, GenerationOptions, Job, Launch, Model, ModelProcess, Prompt, Run, RunId, SamplingParams, Stop, Update,
};

/// Far more than a loaded machine needs; only a failing test ever waits so long.
const DEADLINE: Duration = Duration::from_secs(120);

struct Stage {
    process: ModelProcess,
    news: Receiver<(RunId, Update)>,
    runs: u64,
}

impl Stage {
    fn new(launch: Launch) -> Self {
        let (send, news) = mpsc::channel();
        let process = ModelProcess::new(launch, move |run, update| drop(send.send((run, update)))).unwrap();
        Self { process, news, runs: 0 }
    }

    /// The program as the app starts it, with a model.
    fn open(model: &Path) -> Self {
        Self::new(launch(env!("CARGO_BIN_EXE_osai"), &["serve-model".into(), model.into()]))
    }

    /// A shell instead of the program.
    fn shell(script: &str) -> Self {
        Self::new(launch("/bin/sh", &["-c".into(), script.into()]))
    }

    fn start(&mut self, job: Job) -> Run {
        self.runs += 1;
        self.process.start(RunId(self.runs), job)
    }

    /// The next news of a run; those of earlier ones are late.
    fn next(&self, run: &Run) -> Update {
        loop {
            let (id, update) = self.news.recv_timeout(DEADLINE).expect("news");
            if id == run.id {
                return update;
            }
        }
    }

    /// The end of a run.
    fn end(&self, id: RunId) -> Update {
        loop {
            let (told, update) = self.news.recv_timeout(DEADLINE).expect("news");
            if told == id && matches!(update, Update::Finished(_) | Update::Failed(_)) {
                return update;
            }
        }
    }

    /// Why a run failed.
    fn failure(&self, id: RunId) -> String {
        match self.end(id) {
            Update::Failed(error @ EngineError::Stopped { .. }) => error.to_string(),
            other => panic!("{other:?}"),
        }
    }

    /// An answer under way: its first token has come.
    fn answering(&mut self) -> Run {
        let run = self.start(endless());
        while !matches!(self.next(&run), Update::Token { .. }) {}
        run
    }

    fn works(&mut self) {
        let run = self.start(Job::Tokenize { text: "Hello, world".into() });
        let mut told = vec![];
        loop {
            match self.next(&run) {
                Update::Finished(_) => break,
                update => told.push(update),
            }
        }
        assert!(matches!(&told.last(), Some(Update::Tokens(tokens)) if tokens.len() == 3), "{told:?}");
    }

    fn signal(&self, number: i32) {
        let id = self.process.process_id().expect("a process") as i32;
        // SAFETY: sends a signal to our own child.
        assert_eq!(unsafe { libc::kill(id, number) }, 0);
    }
}

fn launch(program: &str, arguments: &[OsString]) -> Launch {
    Launch { model: "model.gguf".into(), program: program.into(), arguments: arguments.to_vec() }
}

fn endless() -> Job {
    Job::Generate {
        prompt: Prompt::Text("Once upon a time".into()),
        sampling: SamplingParams { seed: Some(1), ..SamplingParams::default() },
        max_new_tokens: 8000,
        top_candidates: 5,
        options: GenerationOptions::default(),
    }
}

/// Whether a process still runs; one that nobody has buried yet does not.
fn is_alive(id: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    stat.rsplit(") ").next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with(['Z', 'X']))
}

#[test]
fn it_says_the_same_as_a_model_in_this_process_to_the_last_bit() {
    let Some(path) = common::model_path() else { return };
    let jobs = [
        Job::Next { prompt: Prompt::Text("The capital of France is".into()) },
        Job::Generate {
            prompt: Prompt::Text("Once upon a time".into()),
            sampling: SamplingParams { seed: Some(7), ..SamplingParams::default() },
            max_new_tokens: 8,
            top_candidates: 3,
            options: GenerationOptions::default(),
        },
    ];
    let mut stage = Stage::open(&path);
    let mut model = Model::open(&path).unwrap();
    for job in jobs {
        let mut here = vec![];
        model
            .run(job.clone(), &mut |update| {
                here.push(update);
                ControlFlow::Continue(())
            })
            .unwrap();
        let run = stage.start(job);
        let mut there = vec![];
        loop {
            match stage.next(&run) {
                Update::Finished(_) => break,
                Update::Ready(info) => assert_eq!(&info, model.info()),
                update => there.push(update),
            }
        }
        for update in here.iter_mut().chain(&mut there) {
            // Time alone may differ.
            if let Update::Token { elapsed_ms, .. } = update {
                *elapsed_ms = 0.0;
            }
        }
        assert_eq!(there, here);
    }
}

#[test]
fn twenty_kills_in_a_row_are_told_and_recovered_from() {
    let Some(path) = common::model_path() else { return };
    let mut stage = Stage::open(&path);
    for _ in 0..20 {
        let run = stage.answering();
        stage.signal(libc::SIGKILL);
        let why = stage.failure(run.id);
        assert!(why.contains("SIGKILL") && why.contains("memory ran out"), "{why}");
    }
    stage.works();
}

#[test]
fn each_way_to_die_has_its_sentence_and_the_next_run_works() {
    let Some(path) = common::model_path() else { return };
    let mut stage = Stage::open(&path);
    for (number, words) in [
        (libc::SIGSEGV, "a fault of osai's or of the file ended its process (SIGSEGV)"),
        (libc::SIGABRT, "a fault of osai's or of the file ended its process (SIGABRT)"),
        (libc::SIGBUS, "its file was shortened or went away while it was read (SIGBUS)"),
        (libc::SIGTERM, "its process was ended from outside (SIGTERM)"),
    ] {
        let run = stage.answering();
        let id = stage.process.process_id().unwrap();
        // Rust looks at a first SIGSEGV, finds no stack overflow and leaves it to the instruction to fault again.
        while is_alive(id) {
            // SAFETY: sends a signal to our own child; one that is dead meanwhile is found so above.
            unsafe { libc::kill(id as i32, number) };
        }
        let why = stage.failure(run.id);
        assert!(why.contains(words) && why.ends_with("the next run starts it again"), "{why}");
    }
    stage.works();
}

#[test]
fn a_death_between_two_runs_is_no_news() {
    let Some(path) = common::model_path() else { return };
    let mut stage = Stage::open(&path);
    stage.works();
    let first = stage.process.process_id();
    stage.signal(libc::SIGKILL);
    let end = Instant::now() + DEADLINE;
    while stage.process.process_id().is_some() {
        assert!(Instant::now() < end, "the death goes unnoticed");
        thread::yield_now();
    }
    stage.works();
    assert_ne!(stage.process.process_id(), first);
    assert!(stage.news.try_recv().is_err());
}

#[test]
fn dropping_a_run_cancels_it_and_the_process_stays() {
    let Some(path) = common::model_path() else { return };
    let mut stage = Stage::open(&path);
    let run = stage.answering();
    let (id, process) = (run.id, stage.process.process_id());
    drop(run);
    assert!(matches!(stage.end(id), Update::Finished(stats) if stats.stop == Stop::Cancelled));
    // Of two that wait, the one that is not wanted any more is not done.
    let first = stage.start(endless());
    let second = stage.start(endless());
    let second_id = second.id;
    drop(second);
    assert!(matches!(stage.end(second_id), Update::Finished(stats) if stats.stop == Stop::Cancelled));
    drop(first);
    stage.works();
    assert_eq!(stage.process.process_id(), process);
}

#[test]
fn a_stopped_process_is_ended_when_it_does_not_hear() {
    let Some(path) = common::model_path() else { return };
    let mut stage = Stage::open(&path);
    let run = stage.answering();
    let id = run.id;
    stage.signal(libc::SIGSTOP);
    let asked = Instant::now();
    drop(run);
    let why = stage.failure(id);
    assert!(why.contains("asked to stop, its process did not answer for 2 s and was ended"), "{why}");
    assert!(asked.elapsed() >= Duration::from_secs(2));
    stage.works();
}

#[test]
fn ctrl_c_of_the_terminal_is_not_for_the_model() {
    let Some(path) = common::model_path() else { return };
    let mut stage = Stage::open(&path);
    stage.works();
    let process = stage.process.process_id();
    stage.signal(libc::SIGINT);
    stage.signal(libc::SIGQUIT);
    stage.works();
    assert_eq!(stage.process.process_id(), process);
}

#[test]
fn a_process_without_memory_is_told_from_other_faults() {
    let Some(path) = common::model_path() else { return };
    let mut stage = Stage::open(&path);
    stage.works();
    let id = stage.process.process_id().unwrap();
    let none = libc::rlimit { rlim_cur: 1 << 20, rlim_max: 1 << 20 };
    // SAFETY: limits our own child; the old limit is not asked for.
    let limited = unsafe { libc::prlimit(id as i32, libc::RLIMIT_DATA, &raw const none, std::ptr::null_mut()) };
    assert_eq!(limited, 0);
    let run = stage.start(Job::Next { prompt: Prompt::Text("word ".repeat(400)) });
    let why = stage.failure(run.id);
    assert!(why.contains("it asked for more memory than is free (SIGABRT)"), "{why}");
    stage.works();
}

#[test]
fn a_file_shortened_while_it_is_read_ends_the_process_only() {
    let Some(path) = common::model_path() else { return };
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("copy.gguf");
    fs::copy(&path, &copy).unwrap();
    let mut stage = Stage::open(&copy);
    let run = stage.start(Job::Open);
    let end = Instant::now() + DEADLINE;
    let is_mapped =
        |id: u32| fs::read_to_string(format!("/proc/{id}/maps")).is_ok_and(|maps| maps.contains("copy.gguf"));
    while !stage.process.process_id().is_some_and(is_mapped) {
        assert!(Instant::now() < end, "the file is never mapped");
    }
    fs::File::options().write(true).open(&copy).unwrap().set_len(4096).unwrap();
    let why = stage.failure(run.id);
    assert!(why.contains("its file was shortened or went away while it was read (SIGBUS)"), "{why}");
    // Short as it is, it is refused; put back, it runs.
    let run = stage.start(Job::Open);
    assert!(matches!(stage.end(run.id), Update::Failed(EngineError::BadFile { .. })));
    fs::copy(&path, &copy).unwrap();
    stage.works();
}

#[test]
fn the_process_holds_nothing_that_it_does_not_need() {
    let Some(path) = common::model_path() else { return };
    // A file that somebody left open for children.
    let file = fs::File::open("/etc/passwd").unwrap();
    // SAFETY: clears the flag on a descriptor that this test owns.
    assert_eq!(unsafe { libc::fcntl(std::os::fd::AsRawFd::as_raw_fd(&file), libc::F_SETFD, 0) }, 0);
    let mut stage = Stage::open(&path);
    stage.works();
    let id = stage.process.process_id().unwrap();
    let of = |name: &str| fs::read_to_string(format!("/proc/{id}/{name}")).unwrap();
    let open = fs::read_dir(format!("/proc/{id}/fd")).unwrap().map(|entry| fs::read_link(entry.unwrap().path()));
    let not_pipes: Vec<_> = open.map(Result::unwrap).filter(|link| !link.to_string_lossy().contains("pipe:")).collect();
    assert!(not_pipes.is_empty(), "{not_pipes:?}");
    assert!(of("status").contains("NoNewPrivs:\t1"));
    assert!(of("limits").lines().any(|line| line.starts_with("Max core file size        0  ")), "{}", of("limits"));
    assert!(!of("limits").lines().any(|line| line.starts_with("Max data size             unlimited")));
    assert_eq!(of("oom_score_adj").trim(), "1000");
    assert_eq!(of("comm").trim(), "osai-model");
    stage.process.finish(DEADLINE);
    assert!(!is_alive(id));
}

#[test]
fn dropping_the_model_ends_a_process_that_is_stopped() {
    let Some(path) = common::model_path() else { return };
    let mut stage = Stage::open(&path);
    let _run = stage.answering();
    let id = stage.process.process_id().unwrap();
    stage.signal(libc::SIGSTOP);
    stage.process.finish(DEADLINE);
    assert!(!is_alive(id));
}

/// A file need not be there: the pipe alone keeps the process alive.
fn served() -> std::process::Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_osai"));
    command.args(["serve-model", "/no/such/model.gguf"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

#[test]
fn the_process_ends_with_the_pipe() {
    let mut child = served();
    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
}

#[test]
fn what_is_no_order_ends_the_process_with_a_sentence() {
    let mut child = served();
    child.stdin.take().unwrap().write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(3));
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert!(said.starts_with("osai: the pipe to the app broke: a word of "), "{said}");
}

#[test]
fn a_file_that_cannot_be_opened_answers_every_run_with_the_reason() {
    let mut stage = Stage::open(Path::new("/no/such/model.gguf"));
    for _ in 0..2 {
        let run = stage.start(Job::Open);
        assert!(matches!(stage.end(run.id), Update::Failed(EngineError::Unreadable { .. })));
    }
}

#[test]
fn programs_that_are_no_model_are_told_of() {
    for (script, words) in [
        ("echo oops >&2; exit 3", "its process ended with exit code 3: oops"),
        ("kill -SEGV $$", "a fault of osai's or of the file ended its process (SIGSEGV)"),
        ("echo hello, world; exec cat >/dev/null", "says what osai does not understand (a word of 1819043176 bytes)"),
        ("printf '\\1\\0\\0\\0\\301'; exec cat >/dev/null", "says what osai does not understand"),
        ("printf '\\377\\0\\0\\0half a word'", "its process ended with exit code 0"),
    ] {
        let mut stage = Stage::shell(script);
        // And again: each run starts a fresh one.
        for _ in 0..2 {
            let run = stage.start(Job::Open);
            let why = stage.failure(run.id);
            assert!(why.contains(words), "{script}: {why}");
        }
    }
    let mut stage = Stage::new(launch("/no/such/program", &[]));
    let run = stage.start(Job::Open);
    let why = stage.failure(run.id);
    assert!(why.contains("its process cannot be started (No such file or directory"), "{why}");
}

#[test]
fn a_program_that_never_reads_does_not_hold_the_next_run_up() {
    // Its pipe is far too small for the prompt.
    let mut stage = Stage::shell("exec tail -f /dev/null");
    let run = stage.start(Job::Tokenize { text: "x".repeat(4 << 20) });
    let (id, process) = (run.id, stage.process.process_id());
    drop(run);
    let next = stage.start(Job::Open);
    assert!(stage.failure(id).contains("did not answer"));
    drop(next);
    assert!(stage.failure(RunId(2)).contains("did not answer"));
    assert!(process.is_none_or(|process| !is_alive(process)));
}
