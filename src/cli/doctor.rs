//! `osai doctor`: what works here, and what to do about what does not. Nothing is made or changed.

use std::fs;
use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::thread;

use serde::Serialize;

use super::args::JsonArg;
use super::dispatch;
use super::environment::Globals;
use super::failure::{Failure, NOT_FOUND};
use super::model::size_of;
use super::out::{Out, safe};
use super::session;
use crate::engine::{self, Confinement, Isa, physical_cores};
use crate::models::{self, megabytes};

/// Smallest size on which the app is usable.
const MIN_COLUMNS: u16 = 40;
const MIN_ROWS: u16 = 15;

/// Memory that the program and a model's cache need beside the weights.
const SPARE_BYTES: u64 = 300_000_000;

/// How a thing is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    /// It works.
    Ok,
    /// It works with less.
    Note,
    /// Something essential is missing.
    Fault,
}

#[derive(Clone, Debug, Serialize)]
struct Check {
    name: &'static str,
    state: State,
    detail: String,
    /// What to do.
    remedy: Option<String>,
}

impl Check {
    fn ok(name: &'static str, detail: impl Into<String>) -> Self {
        Self { name, state: State::Ok, detail: detail.into(), remedy: None }
    }

    fn note(name: &'static str, detail: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { name, state: State::Note, detail: detail.into(), remedy: Some(remedy.into()) }
    }

    fn fault(name: &'static str, detail: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { state: State::Fault, ..Self::note(name, detail, remedy) }
    }
}

#[derive(Serialize)]
struct Report {
    version: &'static str,
    ok: bool,
    checks: Vec<Check>,
}

/// Looks at everything; exit 1 if something essential is missing.
pub fn doctor(args: &JsonArg, globals: &Globals, out: &mut Out) -> Result<(), Failure> {
    let mut checks = vec![terminal(globals), colour(globals), characters(globals)];
    checks.extend(model(globals));
    checks.extend([processor(globals), sandbox(), data(globals), record(globals)]);
    let ok = checks.iter().all(|check| check.state != State::Fault);
    let report = Report { version: env!("CARGO_PKG_VERSION"), ok, checks };
    if args.json {
        out.json(&report)?;
    } else {
        describe(&report, out)?;
    }
    if report.ok { Ok(()) } else { Err(Failure::silent(NOT_FOUND)) }
}

fn describe(report: &Report, out: &mut Out) -> Result<(), Failure> {
    for check in &report.checks {
        let (word, style) = match check.state {
            State::Ok => ("ok", out.theme.good),
            State::Note => ("note", out.theme.warn),
            State::Fault => ("FAULT", out.theme.warn),
        };
        let word = out.paint(style, format!("{word:<5}"));
        writeln!(out, "{word}  {:<10}  {}", check.name, safe(check.detail.as_str()))?;
        if let Some(remedy) = &check.remedy {
            writeln!(out, "                   -> {}", safe(remedy.as_str()))?;
        }
    }
    let end = if report.ok { "osai works here." } else { "Something essential is missing: see FAULT above." };
    Ok(writeln!(out, "{end}")?)
}

fn terminal(globals: &Globals) -> Check {
    const NAME: &str = "terminal";
    let term = globals.env.term.as_deref().unwrap_or("unset");
    if !(io::stdin().is_terminal() && io::stdout().is_terminal()) {
        return Check::note(NAME, "not a terminal here", "the course opens in a terminal; commands work in a pipe too");
    }
    if globals.env.is_dumb() {
        return Check::note(
            NAME,
            "TERM is `dumb`",
            "the course needs a terminal that can move the cursor; commands work",
        );
    }
    match crossterm::terminal::size() {
        Ok((columns, rows)) if columns < MIN_COLUMNS || rows < MIN_ROWS => Check::note(
            NAME,
            format!("{columns} by {rows}, TERM {term}"),
            format!("make the window at least {MIN_COLUMNS} by {MIN_ROWS}; 80 by 24 is comfortable"),
        ),
        Ok((columns, rows)) => Check::ok(NAME, format!("{columns} by {rows}, TERM {term}")),
        Err(error) => {
            Check::note(NAME, format!("its size is unknown ({error})"), "try another terminal if the course looks odd")
        }
    }
}

fn colour(globals: &Globals) -> Check {
    const NAME: &str = "colour";
    if globals.env.no_color {
        return Check::ok(NAME, "off: NO_COLOR is set; weight and marks carry the meaning");
    }
    match globals.env.colorterm.as_deref() {
        Some("truecolor" | "24bit") => Check::ok(NAME, "16 million colours"),
        _ if globals.env.term.as_deref().is_some_and(|term| term.contains("256color")) => {
            Check::ok(NAME, "256 colours")
        }
        _ => Check::ok(NAME, "the terminal's own 16 at most"),
    }
}

fn characters(globals: &Globals) -> Check {
    const NAME: &str = "characters";
    if globals.env.is_utf8 {
        return Check::ok(NAME, "the locale is UTF-8");
    }
    let remedy = "set a UTF-8 locale, for example LANG=C.UTF-8; until then marks are plain ASCII";
    Check::note(NAME, "the locale is not UTF-8", remedy)
}

/// The model file, its hash, the memory it needs; pip where it is needed to get one.
fn model(globals: &Globals) -> Vec<Check> {
    let path = match session::find_model(globals) {
        Ok(path) => path,
        Err(sentence) => {
            let remedy = "lessons, glossary and quizzes work without; `osai model add smollm2` gets the model";
            return vec![Check::fault("model", sentence, remedy), pip()];
        }
    };
    let bytes = size_of(&path);
    let file = format!("{} ({})", path.display(), megabytes(bytes));
    vec![hash(&path, file), memory(bytes)]
}

fn hash(path: &Path, file: String) -> Check {
    const NAME: &str = "model";
    let Some(entry) = models::entry_of(path) else {
        return Check::ok(NAME, format!("{file}; not in the catalogue, so its hash and licence are yours to check"));
    };
    match models::sha256_of(path) {
        Ok(found) if found == entry.sha256 => Check::ok(NAME, format!("{file}; hash right, licence {}", entry.licence)),
        Ok(_) => Check::fault(
            NAME,
            format!("{file}; this is not the file of the catalogue: cut off, damaged or another"),
            format!("`osai model add {}` puts the right one there", entry.name),
        ),
        Err(error) => {
            Check::fault(NAME, error.to_string(), "make the file readable, or give another with --model FILE")
        }
    }
}

fn pip() -> Check {
    const NAME: &str = "pip";
    match models::find_pip() {
        Some((_, version)) => Check::ok(NAME, version),
        None => Check::note(
            NAME,
            "Python's pip is not installed",
            "install it to fetch the model, or bring the file from another machine: `osai model add FILE`",
        ),
    }
}

fn memory(model_bytes: u64) -> Check {
    const NAME: &str = "memory";
    let Some(available) = available_memory() else {
        return Check::ok(NAME, "not known on this system");
    };
    let free = format!("{} available", megabytes(available));
    // The engine may widen the weights; twice the file is what a small model takes at most.
    let wanted = 2 * model_bytes + SPARE_BYTES;
    if available >= wanted {
        return Check::ok(NAME, free);
    }
    let remedy = format!("the model wants up to {}; close other programs, or take a smaller model", megabytes(wanted));
    Check::note(NAME, free, remedy)
}

/// `MemAvailable` of Linux; `None` elsewhere.
fn available_memory() -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

fn processor(globals: &Globals) -> Check {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let used = globals.threads.unwrap_or_else(physical_cores);
    let isa = globals.isa.unwrap_or_else(Isa::detect).name();
    Check::ok("processor", format!("{cores} cores, {used} threads for the model, {}, {isa}", std::env::consts::ARCH))
}

/// What the system keeps the model's process of the app from.
fn sandbox() -> Check {
    const NAME: &str = "sandbox";
    const REMEDY: &str = "the model runs all the same, in a process of its own; open only files whose makers you trust";
    match engine::probe_confinement() {
        Confinement::Full => {
            Check::ok(NAME, "the app's model can read its own file only, write nothing, and open no TCP connection")
        }
        Confinement::Files => Check::note(
            NAME,
            "the app's model can read its own file only and write nothing; this kernel does not keep it from the network",
            "Linux 6.7 or later does both",
        ),
        Confinement::None(why) => Check::note(NAME, format!("none for the app's model: {why}"), REMEDY),
    }
}

fn data(globals: &Globals) -> Check {
    const NAME: &str = "data";
    let dir = match globals.paths.data_dir() {
        Ok(dir) => dir,
        Err(failure) => {
            return Check::fault(NAME, failure.sentence(), "without it the course works, but nothing is kept");
        }
    };
    match writable(dir) {
        Ok(true) => Check::ok(NAME, format!("{} is writable", dir.display())),
        Ok(false) => Check::ok(NAME, format!("{} will be made when there is something to keep", dir.display())),
        Err(why) => Check::fault(
            NAME,
            format!("{} cannot be written: {why}", dir.display()),
            "the course works, but nothing is kept; give a writable folder with --data-dir DIR or OSAI_DATA_DIR",
        ),
    }
}

/// Whether a folder can be written (`true`) or could be made (`false`).
fn writable(dir: &Path) -> Result<bool, String> {
    for (depth, folder) in dir.ancestors().enumerate() {
        match folder.metadata() {
            Ok(metadata) if !metadata.is_dir() => return Err(format!("{} is not a folder", folder.display())),
            Ok(_) => return may_write(folder).map(|()| depth == 0),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error.to_string()),
        }
    }
    Err("no part of it exists".into())
}

/// Asks the system, without making a file.
#[cfg(unix)]
fn may_write(folder: &Path) -> Result<(), String> {
    use std::os::unix::ffi::OsStrExt;
    let name = std::ffi::CString::new(folder.as_os_str().as_bytes()).map_err(|e| e.to_string())?;
    // SAFETY: `name` is a NUL-terminated string that lives through the call.
    match unsafe { libc::access(name.as_ptr(), libc::W_OK | libc::X_OK) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error().to_string()),
    }
}

#[cfg(not(unix))]
fn may_write(folder: &Path) -> Result<(), String> {
    let metadata = folder.metadata().map_err(|e| e.to_string())?;
    if metadata.permissions().readonly() { Err("it is read-only".into()) } else { Ok(()) }
}

fn record(globals: &Globals) -> Check {
    const NAME: &str = "progress";
    let Ok(dir) = globals.paths.data_dir() else {
        return Check::note(NAME, "nothing is kept", "see `data` above");
    };
    match dispatch::record(dir) {
        Ok(record) => match record.notice {
            None => Check::ok(NAME, format!("{} answers kept", record.answers)),
            Some(notice) => Check::note(NAME, format!("{} answers kept", record.answers), notice),
        },
        Err(sentence) => Check::fault(NAME, sentence, "lessons and glossary work; the file is not touched"),
    }
}
