//! CALL SITES, to be connected at the merge: one function each for what colleagues build.

use std::ffi::OsString;

use super::args::{CheckArgs, DefineArgs, JsonArg, LessonArgs, QuizArgs, ReviewArgs, SearchArgs, TermsArgs};
use super::environment::Globals;
use super::failure::{Failure, NOT_FOUND};
use super::out::Out;

fn not_built_yet() -> Result<(), Failure> {
    Err(Failure::new(NOT_FOUND, "not built yet"))
}

/// Answers `osai define TERM...` before clap builds anything; `None` leaves it to the ordinary way.
pub fn fast_define(_args: &[OsString]) -> Option<u8> {
    None
}

/// `osai` on a terminal: the app (`ui::run`).
pub fn app(_globals: &Globals) -> Result<(), Failure> {
    not_built_yet()
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
