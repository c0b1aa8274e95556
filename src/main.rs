//! The `osai` program: arguments, streams and the exit code; everything else is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    osai::cli::main(std::env::args_os())
}
