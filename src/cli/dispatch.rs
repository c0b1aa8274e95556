//! From a command's arguments to the function that does it, for the commands that live in other files or layers.

use std::io::{self, BufReader, IsTerminal, Write};
use std::path::Path;
use std::sync::Arc;

use super::args::{
    CheckArgs, DefineArgs, JsonArg, LessonArgs, LicenceArgs, QuizArgs, ReviewArgs, SearchArgs, TermsArgs,
};
use super::define::DefineMode;
use super::dialogue::Dialogue;
use super::environment::Globals;
use super::failure::{DATA, Failure, USAGE, VERIFY};
use super::out::{self, Out};
use super::render::Output;
use super::{check, define, lessons, licence, progress, quiz, search, session, terms};
use crate::content::{Filter, Level, Library};
use crate::labs;
use crate::progress::Progress;
use crate::ui::{self, Setup};

/// `osai` on a terminal: the app.
pub fn app(globals: &Globals) -> Result<(), Failure> {
    let setup = Setup {
        library: Arc::new(library(globals)?),
        palette: globals.palette(),
        data_dir: globals.paths.data_dir().map(Path::to_owned).map_err(|failure| failure.sentence()),
        read_only: false,
        model: session::launch(globals),
        start: None,
        mouse: globals.env.wants_mouse,
        clock: globals.clock(),
    };
    match ui::run(setup) {
        Ok(code) => ended(code),
        Err(error) => Err(Failure::new(DATA, format!("the terminal cannot be used: {error}"))),
    }
}

/// The course, overlaid with the pack that was given.
pub fn library(globals: &Globals) -> Result<Library, Failure> {
    let Some(dir) = &globals.pack else { return Ok(Library::embedded()) };
    if !dir.is_dir() {
        return Err(Failure::new(
            VERIFY,
            format!("there is no folder `{}`; --pack wants a pack's folder", dir.display()),
        ));
    }
    Library::with_pack(dir, &labs::ids()).map_err(|faults| {
        for fault in &faults {
            let _ = writeln!(io::stderr(), "{fault}\n"); // where stderr is gone nobody is left to tell
        }
        let count = match faults.len() {
            1 => "1 fault".to_owned(),
            count => format!("{count} faults"),
        };
        Failure::new(VERIFY, format!("the pack `{}` was not opened: {count}, named above", dir.display()))
    })
}

/// `osai define`.
pub fn define(args: &DefineArgs, globals: &Globals, out: &mut Out) -> Result<(), Failure> {
    let mode = match (args.short, args.raw, args.json) {
        (true, _, _) => DefineMode::Short,
        (_, true, _) => DefineMode::Raw,
        (_, _, true) => DefineMode::Json,
        _ => DefineMode::Page,
    };
    let library = library(globals)?;
    write(out, |output| define::define(&args.term, mode, library.glossary(), output))
}

/// `osai search`.
pub fn search(args: &SearchArgs, globals: &Globals, out: &mut Out) -> Result<(), Failure> {
    let filter = Filter { level: level(args.level.as_deref())?, category: args.category.clone().unwrap_or_default() };
    let library = library(globals)?;
    write(out, |output| search::search(&args.words, &filter, args.json, &library, output))
}

/// `osai terms`.
pub fn terms(args: &TermsArgs, globals: &Globals, out: &mut Out) -> Result<(), Failure> {
    let level = level(args.level.as_deref())?;
    let category = args.category.as_deref().unwrap_or_default().to_lowercase();
    let library = library(globals)?;
    write(out, |output| {
        let keep = |head: &crate::content::TermHead| {
            level.is_none_or(|level| head.level == level) && head.category.to_lowercase().contains(&category)
        };
        terms::terms(args.json, library.glossary(), &keep, output)
    })
}

fn level(name: Option<&str>) -> Result<Option<Level>, Failure> {
    let Some(name) = name else { return Ok(None) };
    let found = Level::ALL.into_iter().find(|level| level.name().eq_ignore_ascii_case(name));
    let unknown = || Failure::new(USAGE, format!("no level `{name}`; take foundations, practitioner or expert"));
    found.map(Some).ok_or_else(unknown)
}

/// `osai licence`.
pub fn licence(args: &LicenceArgs, globals: &Globals, out: &mut Out) -> Result<(), Failure> {
    let library = library(globals)?;
    write(out, |output| licence::licence(args, library.records(), output))
}

/// `osai lessons`.
pub fn lessons(args: &JsonArg, globals: &Globals, out: &mut Out) -> Result<(), Failure> {
    let library = library(globals)?;
    write(out, |output| lessons::lessons(args.json, &library, output))
}

/// `osai lesson`.
pub fn lesson(args: &LessonArgs, globals: &Globals, out: &mut Out) -> Result<(), Failure> {
    let library = library(globals)?;
    write(out, |output| lessons::lesson(&args.lesson, args.raw, &library, output))
}

/// `osai check`.
pub fn check(args: &CheckArgs, globals: &Globals, out: &mut Out) -> Result<(), Failure> {
    if let Some(dir) = args.dir.as_deref().filter(|dir| !dir.is_dir()) {
        return Err(Failure::new(
            USAGE,
            format!("`{}` is no folder; give a pack's folder, or the repository's", dir.display()),
        ));
    }
    let today = globals.now().date().to_string();
    write(out, |output| check::check(args.dir.as_deref(), &labs::ids(), &today, output))
}

/// `osai quiz`.
pub fn quiz(args: &QuizArgs, globals: &Globals, out: &mut Out) -> Result<(), Failure> {
    ask(globals, out, |library, progress, dialogue| quiz::quiz(library, progress, &args.lesson, dialogue))
}

/// `osai review`.
pub fn review(_args: &ReviewArgs, globals: &Globals, out: &mut Out) -> Result<(), Failure> {
    ask(globals, out, quiz::review)
}

/// `osai progress`.
pub fn progress(args: &JsonArg, globals: &Globals, out: &mut Out) -> Result<(), Failure> {
    let library = library(globals)?;
    let data = |error: crate::progress::ProgressError| Failure::new(DATA, error.to_string());
    let record = Progress::open_read_only(globals.paths.data_dir()?).map_err(data)?;
    let report = progress::report(&library, &record, globals.now().date()).map_err(data)?;
    if args.json {
        return out.json(&report);
    }
    let (theme, paint) = (out.theme.clone(), painter(out));
    Ok(report.write(out, &theme, paint)?)
}

/// Ids of the glossary's terms, for completions of `define`.
pub fn term_ids() -> Vec<String> {
    Library::embedded().glossary().heads().iter().map(|head| head.id.clone()).collect()
}

/// The learner's record for `doctor`: what is there, or the sentence that says what is wrong. Makes nothing.
pub fn record(data_dir: &Path) -> Result<Record, String> {
    let record = Progress::open_read_only(data_dir).map_err(|error| error.to_string())?;
    let answers = record.attempt_count().map_err(|error| error.to_string())?;
    Ok(Record { answers, notice: record.notice().map(str::to_owned) })
}

/// What `doctor` tells of the record.
#[derive(Clone, Debug)]
pub struct Record {
    /// Answers kept.
    pub answers: u64,
    /// Why new answers would not be kept, if so.
    pub notice: Option<String>,
}

/// Runs a command that writes pages and gives its own exit code.
pub fn write(out: &mut Out, command: impl FnOnce(&mut Output<'_>) -> io::Result<u8>) -> Result<(), Failure> {
    let (width, colour) = (out.width, out.colored);
    let code = command(&mut Output { out, err: &mut io::stderr(), width, colour })?;
    out.flush()?;
    ended(code)
}

/// Runs a dialogue with the learner's record open for writing; where that cannot be, answers are not kept, and it says so.
fn ask(
    globals: &Globals,
    out: &mut Out,
    command: impl FnOnce(&Library, &mut Progress, &mut Dialogue<'_>) -> u8,
) -> Result<(), Failure> {
    let library = library(globals)?;
    let mut progress = match globals.paths.data_dir() {
        Ok(dir) => Progress::open(dir).unwrap_or_else(|error| Progress::in_memory_because(&error)),
        Err(_) => Progress::in_memory(),
    };
    let (theme, paint, width, clock) = (out.theme.clone(), painter(out), out.width, globals.clock());
    let stdin = io::stdin();
    let is_echoed = stdin.is_terminal();
    let code = command(
        &library,
        &mut progress,
        &mut Dialogue {
            input: &mut BufReader::new(stdin),
            is_echoed,
            out,
            err: &mut io::stderr(),
            clock: &*clock,
            width,
            theme: &theme,
            paint,
        },
    );
    out.flush()?;
    ended(code)
}

fn painter(out: &Out) -> fn(ratatui::style::Style, &str) -> String {
    if out.colored { out::sgr } else { out::plain }
}

fn ended(code: u8) -> Result<(), Failure> {
    if code == 0 { Ok(()) } else { Err(Failure::silent(code)) }
}
