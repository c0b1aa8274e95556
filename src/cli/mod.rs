//! Arguments in, text out. One file a command; each is a function of its arguments and [`Globals`].
//!
//! This is the only layer that reads environment variables and makes paths (`environment`), and the only one that
//! prints. Data goes to stdout, messages go to stderr in one sentence, the exit code says which kind of end it was
//! (`failure`). Text from outside passes `SafeText` before it is printed; JSON escapes the same characters.
//! `define` is answered before clap builds anything: see `define::fast_define`.

mod answer;
mod args;
mod chat;
mod check;
mod completions;
mod define;
mod dialogue;
mod dispatch;
mod doctor;
mod embed;
mod environment;
mod eval;
mod failure;
mod finetune;
mod flow;
mod generate;
mod inspect;
mod known;
mod lessons;
mod licence;
mod lora;
mod merge;
mod model;
mod next;
mod out;
mod paths;
mod progress;
mod quantize;
mod quiz;
mod records;
mod render;
mod report;
mod score;
mod search;
mod session;
mod table;
mod terms;
mod tokens;
mod trace;
mod train;
mod values;

use std::ffi::OsString;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use args::{Args, Command, ServeArgs};
use environment::Environment;
use failure::{Failure, USAGE};
use out::Out;

pub use environment::{Globals, Paths};

/// Runs osai: `args` as the operating system gives them, the program's name first.
pub fn main(args: impl Iterator<Item = OsString>) -> ExitCode {
    let args: Vec<OsString> = args.collect();
    if let Some(code) = define::fast_define(&args) {
        return ExitCode::from(code);
    }
    match run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if let Some(message) = failure.message() {
                say(message.as_str());
            }
            ExitCode::from(failure.code())
        }
    }
}

/// One message on stderr. Where stderr itself is gone, there is nobody left to tell.
fn say(message: &str) {
    let _ = writeln!(io::stderr(), "osai: {message}");
}

fn run(args: &[OsString]) -> Result<(), Failure> {
    // The name under which osai was started is text from outside and would show in help and errors.
    let given: Vec<OsString> = [OsString::from("osai")].into_iter().chain(args.iter().skip(1).cloned()).collect();
    if given.get(1).is_some_and(|word| word == ServeArgs::NAME) {
        return match ServeArgs::try_parse_from(&given[1..]) {
            Ok(args) => session::serve(&args.path, &Globals::new(&args.globals, Environment::read())?),
            Err(error) => explain(&error, &given),
        };
    }
    let args = match Args::try_parse_from(&given) {
        Ok(args) => args,
        Err(error) => return explain(&error, &given),
    };
    let globals = Globals::new(&args.globals, Environment::read())?;
    let mut out = Out::stdout(&globals);
    let ended = match args.command {
        None => open_app(&globals),
        Some(command) => perform(command, &globals, &mut out),
    };
    // A verdict that could not be written is no verdict; a reader that left has no say.
    match (ended, out.flush().map_err(Failure::from)) {
        (_, Err(unwritten)) if unwritten.message().is_some() => Err(unwritten),
        (ended, _) => ended,
    }
}

fn perform(command: Command, globals: &Globals, out: &mut Out) -> Result<(), Failure> {
    match command {
        Command::Define(args) => dispatch::define(&args, globals, out),
        Command::Search(args) => dispatch::search(&args, globals, out),
        Command::Terms(args) => dispatch::terms(&args, globals, out),
        Command::Lessons(args) => dispatch::lessons(&args, globals, out),
        Command::Lesson(args) => dispatch::lesson(&args, globals, out),
        Command::Quiz(args) => dispatch::quiz(&args, globals, out),
        Command::Review(args) => dispatch::review(&args, globals, out),
        Command::Progress(args) => dispatch::progress(&args, globals, out),
        Command::Check(args) => dispatch::check(&args, globals, out),
        Command::Tokens(args) => tokens::tokens(&args, globals, out),
        Command::Next(args) => next::next(&args, globals, out),
        Command::Embed(args) => embed::embed(&args, globals, out),
        Command::Score(args) => score::score(&args, globals, out),
        Command::Trace(args) => trace::trace(&args, globals, out),
        Command::Generate(args) => generate::generate(&args, globals, out),
        Command::Chat(args) => chat::chat(&args, globals, out),
        Command::Model(args) => model::model(&args, globals, out),
        Command::Licence(args) => dispatch::licence(&args, globals, out),
        Command::Train(args) => train::train(&args, globals, out),
        Command::Finetune(args) => finetune::finetune(&args, globals, out),
        Command::Eval(args) => eval::eval(&args, globals, out),
        Command::Doctor(args) => doctor::doctor(&args, globals, out),
        Command::Paths(args) => paths::paths(&args, globals, out),
        Command::Completions { shell } => completions::completions(shell, out),
    }
}

/// `osai` alone: the app; without a terminal, what can be done without one.
fn open_app(globals: &Globals) -> Result<(), Failure> {
    if !globals.lora.is_empty() {
        let sentence = "the course runs the model as it is; --lora is for commands such as `osai chat`";
        return Err(Failure::usage(sentence));
    }
    if io::stdin().is_terminal() && io::stdout().is_terminal() {
        return dispatch::app(globals);
    }
    say("the course needs a terminal; these commands work without one");
    let help = Args::command().render_help();
    let _ = write!(io::stderr(), "\n{help}");
    Err(Failure::silent(USAGE))
}

/// What clap answers instead of arguments: help and version on stdout, or a fault of usage as one sentence.
fn explain(error: &clap::Error, given: &[OsString]) -> Result<(), Failure> {
    let rendered = error.render().to_string();
    if !error.use_stderr() {
        let mut stdout = io::stdout().lock();
        stdout.write_all(rendered.as_bytes())?;
        return Ok(stdout.flush()?);
    }
    if error.kind() == clap::error::ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        let _ = write!(io::stderr(), "{rendered}");
        return Err(Failure::silent(USAGE));
    }
    Err(Failure::usage(one_sentence(&rendered, given)))
}

/// clap's error (a block: what, tips, usage) as one sentence that ends in where to read more.
fn one_sentence(rendered: &str, given: &[OsString]) -> String {
    let mut parts = Vec::new();
    let mut paragraph = Vec::new();
    for line in rendered.lines().chain([""]).map(str::trim) {
        if line.starts_with("Usage: ") || line.starts_with("For more information") {
            continue;
        } else if !line.is_empty() {
            paragraph.push(line.trim_start_matches("error: ").trim_start_matches("tip: "));
        } else if !paragraph.is_empty() {
            parts.push(paragraph.join(" "));
            paragraph.clear();
        }
    }
    let commands = Args::command();
    let (mut command, mut more) = (&commands, "osai".to_owned());
    for word in given.iter().skip(1) {
        if let Some(found) = command.find_subcommand(word) {
            (command, more) = (found, format!("{more} {}", found.get_name()));
        }
    }
    format!("{}; `{more} --help` shows what it takes", parts.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(args: &[&str]) -> String {
        let given: Vec<OsString> = ["osai"].iter().chain(args).map(OsString::from).collect();
        one_sentence(&Args::try_parse_from(&given).expect_err("wrong usage").render().to_string(), &given)
    }

    #[test]
    fn clap_finds_the_arguments_sound() {
        Args::command().debug_assert();
    }

    #[test]
    fn wrong_usage_is_told_in_one_sentence() {
        assert_eq!(
            said(&["next", "--temperature", "11", "a"]),
            "invalid value '11' for '--temperature <T>': the temperature is 0 (always the likeliest token) to 10; \
             `osai next --help` shows what it takes"
        );
        assert_eq!(
            said(&["tokens", "--colour", "x"]),
            "unexpected argument '--colour' found; a similar argument exists: '--color'; `osai tokens --help` shows \
             what it takes"
        );
        assert_eq!(
            said(&["token", "x"]),
            "unrecognized subcommand 'token'; a similar subcommand exists: 'tokens'; `osai --help` shows what it takes"
        );
        assert_eq!(
            said(&["lesson"]),
            "the following required arguments were not provided: <LESSON>; `osai lesson --help` shows what it takes"
        );
    }
}
