//! Arguments in, text out.

mod answer;
pub mod dialogue;
pub mod progress;
pub mod quiz;

use std::ffi::OsString;
use std::process::ExitCode;

/// Runs osai.
pub fn main(_args: impl Iterator<Item = OsString>) -> ExitCode {
    ExitCode::SUCCESS
}
