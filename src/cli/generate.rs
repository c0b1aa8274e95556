//! `osai generate`: a text continued, token by token; and what `chat` shares with it.

use std::fs::File;
use std::io::{self, IsTerminal, Read, Write};
use std::ops::ControlFlow;
use std::path::Path;

use super::args::{DrawArgs, GenerateArgs};
use super::environment::Globals;
use super::failure::{DATA, Failure, INTERRUPTED};
use super::flow::Flow;
use super::out::Out;
use super::report::{Answer, PromptReport, stats_lines, summary, token_line};
use super::session::{self, Interrupt, shown};
use super::tokens::counted;
use crate::engine::grammar::Grammar;
use crate::engine::{
    ContextShift, GenerationOptions, GrammarSource, Job, Model, Prompt, RunStats, SamplingParams, Stop,
};
use crate::text::SafeText;

/// The temperature of `generate` when none is given: the model's own distribution, as `next` shows it.
const TEMPERATURE: f32 = 1.0;
/// Candidates looked at for `--show-mask`.
const CANDIDATES: usize = 8;
/// A grammar longer than this is a mistake; the engine's own limit is below.
const FILE_LIMIT: u64 = 1 << 20;

/// Continues a text as it stands.
pub fn generate(args: &GenerateArgs, globals: &Globals, out: &mut Out) -> Result<(), Failure> {
    let text = session::text_of(&args.text.text)?;
    let how = How::new(&args.draw, args.draw.sampling(TEMPERATURE))?;
    let mut model = session::open_model(globals)?;
    one_answer(&mut model, Prompt::Text(text), &how, args.text.json, out)
}

/// How answers are made and shown: the flags, read and checked.
#[derive(Clone, Debug)]
pub struct How {
    sampling: SamplingParams,
    options: GenerationOptions,
    max_new_tokens: usize,
    show_mask: bool,
    show_prompt: bool,
    stats: bool,
}

impl How {
    /// Reads the flags, and the grammar's file; a grammar that is wrong is told before a model is opened.
    pub fn new(draw: &DrawArgs, sampling: SamplingParams) -> Result<Self, Failure> {
        let grammar = match (&draw.form.schema, &draw.form.grammar) {
            (Some(file), _) => Some((file, GrammarSource::JsonSchema(text_of_file(file)?))),
            (None, Some(file)) => Some((file, GrammarSource::Gbnf(text_of_file(file)?))),
            (None, None) => None,
        };
        if let Some((file, source)) = &grammar {
            Grammar::new(source).map_err(|error| Failure::usage(format!("`{}`: {error}", file.display())))?;
        } else if draw.form.show_mask {
            return Err(Failure::usage("there is no mask to show; give a grammar with --schema or --grammar"));
        }
        let options = GenerationOptions {
            stop_strings: draw.ending.stop.clone(),
            grammar: grammar.map(|(_, source)| source),
            logprobs: draw.shown.logprobs,
            context_shift: draw.ending.context_shift.map(|n_keep| ContextShift { n_keep }),
            watts_per_core: draw.shown.watts,
        };
        options.check()?;
        Ok(Self {
            sampling,
            options,
            max_new_tokens: draw.ending.max_new_tokens,
            show_mask: draw.form.show_mask,
            show_prompt: draw.shown.show_prompt,
            stats: draw.shown.stats,
        })
    }

    /// Whether the prompt is only to be shown.
    pub fn shows_prompt(&self) -> bool {
        self.show_prompt
    }

    fn job(&self, prompt: Prompt) -> Job {
        Job::Generate {
            prompt,
            sampling: self.sampling.clone(),
            max_new_tokens: self.max_new_tokens,
            top_candidates: if self.show_mask { CANDIDATES } else { 0 },
            options: self.options.clone(),
        }
    }

    /// Whether each token has a line of its own.
    fn is_by_token(&self) -> bool {
        self.show_mask || self.options.logprobs.is_some()
    }
}

fn text_of_file(file: &Path) -> Result<String, Failure> {
    let cannot = |why: String| Failure::new(DATA, format!("cannot read `{}`: {why}", file.display()));
    let mut text = String::new();
    let read = File::open(file).and_then(|open| open.take(FILE_LIMIT + 1).read_to_string(&mut text));
    match read {
        Ok(bytes) if bytes as u64 > FILE_LIMIT => Err(cannot("it is longer than 1 MiB, too long for a grammar".into())),
        Ok(_) => Ok(text),
        Err(error) => Err(cannot(error.to_string())),
    }
}

/// Runs one generation and prints it, as text or as JSON; or shows the prompt alone. Stopped with Ctrl-C, what was
/// printed stays and the exit code is 130.
pub fn one_answer(model: &mut Model, prompt: Prompt, how: &How, json: bool, out: &mut Out) -> Result<(), Failure> {
    if how.show_prompt {
        return show_prompt(model, &prompt, json, out);
    }
    let interrupt = Interrupt::catch()?;
    let (answer, stats) = stream(model, prompt, how, !json, &interrupt, out)?;
    if json {
        out.json(&answer.report(&stats))?;
    } else {
        finish(&answer, &stats, how, out)?;
    }
    if stats.stop == Stop::Length && how.options.grammar.is_some() {
        out.flush()?;
        let made = stats.new_tokens;
        let _ = writeln!(
            std::io::stderr(),
            "osai: the answer was cut off after {made} tokens, so it is not whole and does not fit what was asked for; \
             --max-new-tokens gives it room"
        );
    }
    match stats.stop {
        Stop::Cancelled => {
            out.flush()?;
            Err(Failure::silent(INTERRUPTED))
        }
        Stop::Stop | Stop::Length => Ok(()),
    }
}

fn show_prompt(model: &Model, prompt: &Prompt, json: bool, out: &mut Out) -> Result<(), Failure> {
    let (text, tokens) = model.prompt(prompt)?;
    if json {
        return out.json(&PromptReport::new(&text, &tokens));
    }
    writeln!(out, "{}", SafeText::new(text.trim_end_matches('\n')))?;
    let count = out.paint(out.theme.quiet, counted(tokens.len(), "token"));
    writeln!(out, "\n{count}")?;
    for token in &tokens {
        let id = out.paint(out.theme.quiet, format!("{:>7}", token.id));
        let mark = if token.special { out.paint(out.theme.accent, "  special") } else { String::new() };
        writeln!(out, "{id}  {}{mark}", shown(token))?;
    }
    Ok(out.flush()?)
}

/// Runs a generation; with `print` the text appears as it comes, or token by token where that is asked for.
pub fn stream(
    model: &mut Model,
    prompt: Prompt,
    how: &How,
    print: bool,
    interrupt: &Interrupt,
    out: &mut Out,
) -> Result<(Answer, RunStats), Failure> {
    let mut answer = Answer::default();
    let mut flow = Flow::new(out.is_live.then_some(out.width));
    let mut failed = None;
    let stats = session::run(model, how.job(prompt), &mut |update| {
        let line = if print && how.is_by_token() { token_line(&update, out) } else { None };
        let text = answer.take(update).filter(|_| print && !how.is_by_token());
        let printed = match (line, text) {
            (Some(line), _) => writeln!(out, "{line}"),
            (None, Some(text)) => out.write_all(flow.take(SafeText::new(text).as_str()).as_bytes()),
            (None, None) => Ok(()),
        };
        if let Err(error) = printed.and_then(|()| out.flush()) {
            failed = Some(error);
        }
        if failed.is_some() || interrupt.is_pressed() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    match failed {
        Some(error) => Err(error.into()),
        None => Ok((answer, stats?)),
    }
}

/// Ends the line, and tells a person at a terminal what it took; in full where that is asked for.
pub fn finish(answer: &Answer, stats: &RunStats, how: &How, out: &mut Out) -> Result<(), Failure> {
    if !how.is_by_token() && !answer.text.is_empty() && !answer.text.ends_with('\n') {
        writeln!(out)?;
    }
    out.flush()?;
    let lines = match (how.stats, io::stderr().is_terminal() && io::stdout().is_terminal()) {
        (true, _) => stats_lines(stats),
        (false, true) => vec![summary(stats)],
        (false, false) => Vec::new(),
    };
    for line in lines {
        let line = out.paint(out.theme.quiet, line);
        // Notes for people; the text is what matters and has been written.
        let _ = writeln!(io::stderr(), "{line}");
    }
    Ok(())
}
