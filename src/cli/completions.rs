//! `osai completions SHELL`, with the glossary's terms for `define`.

use std::io::Write;

use clap::CommandFactory;
use clap::builder::PossibleValuesParser;
use clap_complete::Shell;

use super::args::Args;
use super::dispatch;
use super::failure::Failure;
use super::out::Out;

/// Prints a completion script.
pub fn completions(shell: Shell, out: &mut Out) -> Result<(), Failure> {
    let terms = dispatch::term_ids();
    let mut command = Args::command();
    if !terms.is_empty() {
        command = command.mut_subcommand("define", |define| {
            define.mut_arg("term", |term| term.value_parser(PossibleValuesParser::new(terms)))
        });
    }
    // clap_complete panics when its writer fails; memory does not.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, "osai", &mut script);
    Ok(out.write_all(&script)?)
}
