//! `osai tokens`: a text as the model reads it.

use std::io::Write;
use std::ops::ControlFlow;

use serde::Serialize;

use super::args::TextArgs;
use super::environment::Globals;
use super::failure::Failure;
use super::out::Out;
use super::session::{self, hex, shown};
use crate::engine::{Job, TextToken, Update};

#[derive(Serialize)]
struct Report {
    tokens: Vec<Token>,
    count: usize,
}

#[derive(Serialize)]
struct Token {
    id: u32,
    text: String,
    bytes: Vec<u8>,
}

/// Prints the tokens of a text.
pub fn tokens(args: &TextArgs, globals: &Globals, out: &mut Out) -> Result<(), Failure> {
    let text = session::text_of(&args.text)?;
    let mut model = session::open_model(globals)?;
    let mut tokens = Vec::new();
    session::run(&mut model, Job::Tokenize { text: text.clone() }, &mut |update| {
        if let Update::Tokens(all) = update {
            tokens = all;
        }
        ControlFlow::Continue(())
    })?;
    if args.json {
        let count = tokens.len();
        let tokens = tokens.into_iter().map(|t| Token { id: t.id, text: t.lossy(), bytes: t.bytes }).collect();
        return out.json(&Report { tokens, count });
    }
    table(&text, &tokens, out)
}

fn table(text: &str, tokens: &[TextToken], out: &mut Out) -> Result<(), Failure> {
    for token in tokens {
        let id = out.paint(out.theme.accent, format!("{:>7}", token.id));
        let bytes = out.paint(out.theme.quiet, hex(&token.bytes));
        writeln!(out, "{id}  {:<18}  {bytes}", shown(token))?;
    }
    let line = format!(
        "{}, {}, {}",
        counted(tokens.len(), "token"),
        counted(text.chars().count(), "character"),
        counted(text.len(), "byte")
    );
    Ok(writeln!(out, "{line}")?)
}

/// `1 token`, `2 tokens`.
pub fn counted(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}
