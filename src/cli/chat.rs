//! `osai chat`: one question, or a conversation line by line.

use std::io::{self, BufRead, IsTerminal, Write};

use super::args::ChatArgs;
use super::environment::Globals;
use super::failure::{DATA, Failure};
use super::generate::{How, finish, one_answer, stream};
use super::out::Out;
use super::session::{self, Interrupt};
use crate::engine::{ChatMessage, Model, Prompt, Role};
use crate::models;

/// The temperature of `chat` when none is given; the bundled model's card recommends it, with top-p 0.9.
const TEMPERATURE: f32 = 0.2;
const TOP_P: f32 = 0.9;

/// Answers the prompt; without one, talks.
pub fn chat(args: &ChatArgs, globals: &Globals, out: &mut Out) -> Result<(), Failure> {
    let mut sampling = args.draw.sampling(TEMPERATURE);
    if args.draw.filters.temperature.is_none() && args.draw.filters.top_p.is_none() {
        sampling.top_p = Some(TOP_P);
    }
    let how = How::new(&args.draw, sampling)?;
    let mut messages = Vec::new();
    if let Some(system) = &args.system {
        messages.push(ChatMessage { role: Role::System, content: system.clone() });
    }
    if !args.prompt.is_empty() {
        let content = session::text_of(&args.prompt)?;
        messages.push(ChatMessage { role: Role::User, content });
        let mut model = session::open_model(globals)?;
        return one_answer(&mut model, Prompt::Chat(messages), &how, args.json, out);
    }
    if how.shows_prompt() {
        return Err(Failure::usage("there is no prompt to show; give one, or `-` to read it from standard input"));
    }
    if !(io::stdin().is_terminal() && io::stdout().is_terminal()) {
        return Err(Failure::usage(
            "a conversation needs a terminal; give a prompt, or `-` to read one from standard input",
        ));
    }
    let mut model = session::open_model(globals)?;
    converse(&mut model, messages, &how, out)
}

/// Turn by turn until end of input. Ctrl-C stops an answer; while the learner types, it leaves.
fn converse(model: &mut Model, mut messages: Vec<ChatMessage>, how: &How, out: &mut Out) -> Result<(), Failure> {
    let interrupt = Interrupt::catch()?;
    let kept = messages.len();
    let info = model.info();
    let name = models::entry_of(&info.path).map_or_else(|| info.name.clone(), |entry| entry.title);
    let about = format!("{name} (may be wrong). /clear forgets, Ctrl-C stops an answer, Ctrl-D leaves.");
    let about = out.paint(out.theme.quiet, about);
    writeln!(out, "{about}")?;
    loop {
        let you = out.paint(out.theme.accent, "you>");
        write!(out, "{you} ")?;
        out.flush()?;
        interrupt.let_end(true);
        let line = read_line()?;
        interrupt.let_end(false);
        interrupt.take();
        let content = match line.as_deref().map(str::trim) {
            None => return Ok(writeln!(out)?),
            Some("/bye" | "/exit" | "/quit") => return Ok(()),
            Some("/clear") => {
                messages.truncate(kept);
                continue;
            }
            Some("") => continue,
            Some(text) => text.to_owned(),
        };
        messages.push(ChatMessage { role: Role::User, content });
        match stream(model, Prompt::Chat(messages.clone()), how, true, &interrupt, out) {
            Ok((answer, stats)) => {
                finish(&answer, &stats, how, out)?;
                messages.push(ChatMessage { role: Role::Assistant, content: answer.text });
            }
            // A question that does not fit is taken back; the conversation goes on.
            Err(failure) => {
                let Some(message) = failure.message() else { return Err(failure) };
                messages.pop();
                writeln!(out, "{message}; /clear begins anew")?;
            }
        }
    }
}

/// A line from the terminal, `None` at its end; what is no UTF-8 is replaced.
fn read_line() -> Result<Option<String>, Failure> {
    let mut bytes = Vec::new();
    let read = io::stdin().lock().read_until(b'\n', &mut bytes);
    match read.map_err(|e| Failure::new(DATA, format!("cannot read the terminal: {e}")))? {
        0 => Ok(None),
        _ => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
    }
}
