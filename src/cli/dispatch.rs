//! CALL SITES, to be connected at the merge: one function each for what colleagues build.

use std::ffi::OsString;
use std::path::Path;
use std::sync::Arc;

use super::args::{CheckArgs, DefineArgs, JsonArg, LessonArgs, QuizArgs, ReviewArgs, SearchArgs, TermsArgs};
use super::environment::Globals;
use super::failure::{DATA, Failure, NOT_FOUND, VERIFY};
use super::out::Out;
use super::session;
use crate::content::Library;
use crate::ui::{self, Setup};
use crate::labs;

fn not_built_yet() -> Result<(), Failure> {
    Err(Failure::new(NOT_FOUND, "not built yet"))
}

/// Answers `osai define TERM...` before clap builds anything; `None` leaves it to the ordinary way.
pub fn fast_define(_args: &[OsString]) -> Option<u8> {
    None
}

/// `osai` on a terminal: the app (`ui::run`).
pub fn app(globals: &Globals) -> Result<(), Failure> {
    let sentence = |failure: Failure| failure.message().map(String::from).unwrap_or_default();
    let fixed = globals.clone();
    let setup = Setup {
        library: Arc::new(library(globals)?),
        palette: globals.palette(),
        data_dir: globals.paths.data_dir().map(Path::to_owned).map_err(sentence),
        read_only: false,
        model: session::find_model(globals),
        start: None,
        mouse: globals.env.wants_mouse,
        clock: Arc::new(move || fixed.now()),
    };
    match ui::run(setup) {
        Ok(0) => Ok(()),
        Ok(code) => Err(Failure::silent(code)),
        Err(error) => Err(Failure::new(DATA, format!("the terminal cannot be used: {error}"))),
    }
}

/// The course, overlaid with the pack that was given.
pub fn library(globals: &Globals) -> Result<Library, Failure> {
    let Some(dir) = &globals.pack else { return Ok(Library::embedded()) };
    Library::with_pack(dir, &labs::ids()).map_err(|faults| {
        let all: Vec<String> = faults.iter().map(|fault| format!("{}:{}: {}", fault.path, fault.line, fault.kind)).collect();
        Failure::new(VERIFY, format!("the pack has faults, `osai check DIR` shows them all: {}", all.join("; ")))
    })
}

/// `osai define`.
pub fn define(_args: &DefineArgs, _globals: &Globals, _out: &mut Out) -> Result<(), Failure> {
    not_built_yet()
}

/// `osai search`.
pub fn search(_args: &SearchArgs, _globals: &Globals, _out: &mut Out) -> Result<(), Failure> {
    not_built_yet()
}

/// `osai terms`.
pub fn terms(_args: &TermsArgs, _globals: &Globals, _out: &mut Out) -> Result<(), Failure> {
    not_built_yet()
}

/// `osai lessons`.
pub fn lessons(_args: &JsonArg, _globals: &Globals, _out: &mut Out) -> Result<(), Failure> {
    not_built_yet()
}

/// `osai lesson`.
pub fn lesson(_args: &LessonArgs, _globals: &Globals, _out: &mut Out) -> Result<(), Failure> {
    not_built_yet()
}

/// `osai check`.
pub fn check(_args: &CheckArgs, _globals: &Globals, _out: &mut Out) -> Result<(), Failure> {
    not_built_yet()
}

/// `osai quiz`.
pub fn quiz(_args: &QuizArgs, _globals: &Globals, _out: &mut Out) -> Result<(), Failure> {
    not_built_yet()
}

/// `osai review`.
pub fn review(_args: &ReviewArgs, _globals: &Globals, _out: &mut Out) -> Result<(), Failure> {
    not_built_yet()
}

/// `osai progress`.
pub fn progress(_args: &JsonArg, _globals: &Globals, _out: &mut Out) -> Result<(), Failure> {
    not_built_yet()
}

/// Ids of the glossary's terms, for completions of `define`.
pub fn term_ids() -> Vec<&'static str> {
    Vec::new()
}

/// Limits the engine's threads (`--threads`), before a model is opened.
pub fn limit_threads(_threads: usize) {}

/// The learner's record for `doctor`: what is there, or the sentence that says what is wrong. Makes nothing.
///
/// To become: `Progress::open_read_only(dir)`, then `attempt_count()` and `notice()`.
pub fn record(_data_dir: &std::path::Path) -> Result<Record, String> {
    Ok(Record { answers: 0, notice: None })
}

/// What `doctor` tells of the record.
#[derive(Clone, Debug)]
pub struct Record {
    /// Answers kept.
    pub answers: u64,
    /// Why new answers would not be kept, if so.
    pub notice: Option<String>,
}
