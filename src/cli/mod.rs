//! Arguments in, text out.

pub mod check;
pub mod define;
pub mod lessons;
pub mod render;
pub mod search;
mod table;
pub mod terminal;
pub mod terms;

use std::ffi::OsString;
use std::process::ExitCode;

/// Runs osai.
pub fn main(args: impl Iterator<Item = OsString>) -> ExitCode {
    let args: Vec<OsString> = args.collect();
    match define::fast_define(&args) {
        Some(code) => ExitCode::from(code),
        None => ExitCode::from(2),
    }
}
