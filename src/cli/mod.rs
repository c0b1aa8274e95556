//! Arguments in, text out.

use std::ffi::OsString;
use std::process::ExitCode;

/// Runs osai.
pub fn main(_args: impl Iterator<Item = OsString>) -> ExitCode {
    ExitCode::SUCCESS
}
