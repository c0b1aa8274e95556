//! `osai trace`: what happens inside the model while it reads a text.

use std::io::Write;
use std::ops::ControlFlow;

use clap::Args as ClapArgs;

use super::args::TextArgs;
use super::environment::Globals;
use super::failure::{Failure, INTERRUPTED};
use super::next::bar;
use super::out::Out;
use super::session::{self, Interrupt, shown};
use crate::engine::{Interventions, Job, Lens, Prompt, Traced, Update};

/// `osai trace`.
#[derive(Debug, ClapArgs)]
pub struct TraceArgs {
    /// The text and `--json`.
    #[command(flatten)]
    text: TextArgs,
    /// What the model would say after each layer (the logit lens); what is shown if nothing else is asked for
    #[arg(long)]
    lens: bool,
    /// Where a head looks: the layer and the head, both from 0
    #[arg(long, value_name = "LAYER.HEAD", value_parser = pair, conflicts_with = "lens")]
    attention: Option<(usize, usize)>,
    /// The token that is looked at, from 0; the last if not given
    #[arg(long, value_name = "N")]
    at: Option<usize>,
    /// Switch heads off: layer and head
    #[arg(long, value_name = "LAYER.HEAD", value_parser = pair)]
    ablate: Vec<(usize, usize)>,
}

fn pair(text: &str) -> Result<(usize, usize), String> {
    let parts = text.split_once('.').and_then(|(layer, head)| Some((layer.parse().ok()?, head.parse().ok()?)));
    parts.ok_or_else(|| "a head is written LAYER.HEAD, for example 3.0".to_owned())
}

/// Traces a text and prints what was asked for.
pub fn trace(args: &TraceArgs, globals: &Globals, out: &mut Out) -> Result<(), Failure> {
    let prompt = Prompt::Text(session::text_of(&args.text.text)?);
    let mut model = session::open_model(globals)?;
    let interrupt = Interrupt::catch()?;
    let job = match args.attention {
        None => Job::Lens { prompt },
        Some(_) => Job::Trace { prompt },
    };
    let interventions = Interventions { ablated_heads: args.ablate.clone(), ..Interventions::default() };
    let mut answer = None;
    session::run(&mut model, Job::With { interventions, job: Box::new(job) }, &mut |update| {
        if !matches!(update, Update::Reading { .. }) {
            answer = Some(update);
        }
        if interrupt.is_pressed() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    match (answer, args.attention) {
        (Some(Update::Lens(lens)), _) if args.text.json => out.json(&lens),
        (Some(Update::Lens(lens)), _) => lens_table(&lens, position(args.at, lens.tokens.len())?, out),
        (Some(Update::Trace(traced)), Some(head)) => attention(&traced, head, args, out),
        _ => Err(Failure::silent(INTERRUPTED)),
    }
}

fn position(at: Option<usize>, tokens: usize) -> Result<usize, Failure> {
    match at.unwrap_or(tokens - 1) {
        at if at < tokens => Ok(at),
        at => Err(Failure::usage(format!("there is no token {at}; the text has tokens 0 to {}", tokens - 1))),
    }
}

/// A line for each layer: the likeliest next token there, and how likely the last layer's choice is already.
fn lens_table(lens: &Lens, at: usize, out: &mut Out) -> Result<(), Failure> {
    let last = &lens.layers.last().expect("a model has layers")[at];
    let (after, says) = (shown(&lens.tokens[at]), shown(&last.likeliest));
    let head = format!("after token {at}, {after}, the model says {says}");
    writeln!(out, "{}", out.paint(out.theme.quiet, head))?;
    let head = format!("{:>5}  {:<20} {:>7}  {says} so far", "after", "likeliest", "");
    writeln!(out, "{}", out.paint(out.theme.quiet, head))?;
    for (layer, cells) in lens.layers.iter().enumerate() {
        let cell = &cells[at];
        let percent = f64::from(cell.probability) * 100.0;
        let bar = out.paint(out.theme.accent, bar(cell.of_final, out.is_utf8));
        let of_final = f64::from(cell.of_final) * 100.0;
        // What goes into the first layer is the embedding; after that, what the layer before made of it.
        let name = if layer == 0 { "embed".to_owned() } else { (layer - 1).to_string() };
        let line = format!("{name:>5}  {:<20} {percent:6.2}%  {of_final:6.2}% {bar}", shown(&cell.likeliest));
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}

/// A line for each token that the head can see.
fn attention(traced: &Traced, (layer, head): (usize, usize), args: &TraceArgs, out: &mut Out) -> Result<(), Failure> {
    let at = position(args.at, traced.tokens.len())?;
    let of_head: Vec<_> = traced.trace.attentions.iter().filter(|(l, h, ..)| (*l, *h) == (layer, head)).collect();
    if of_head.is_empty() {
        let all = traced.trace.attentions.iter();
        let (layers, heads) = all.fold((0, 0), |(l, h), (layer, head, ..)| (l.max(*layer), h.max(*head)));
        return Err(Failure::usage(format!(
            "there is no head {layer}.{head}; this model has layers 0 to {layers} and heads 0 to {heads}"
        )));
    }
    if args.text.json {
        let weights: Vec<&[f32]> = of_head.iter().map(|(.., weights)| weights.as_slice()).collect();
        return out.json(&serde_json::json!({
            "layer": layer,
            "head": head,
            "tokens": traced.tokens.iter().map(|token| token.lossy()).collect::<Vec<_>>(),
            "weights": weights,
        }));
    }
    let title = format!("where head {layer}.{head} looks from token {at}, {}", shown(&traced.tokens[at]));
    writeln!(out, "{}", out.paint(out.theme.quiet, title))?;
    let weights = of_head.iter().find(|(_, _, position, _)| *position == at).map_or(&[][..], |(.., weights)| weights);
    for (index, (token, weight)) in traced.tokens.iter().zip(weights).enumerate() {
        let bar = out.paint(out.theme.accent, bar(*weight, out.is_utf8));
        let line = format!("{index:>5}  {:<20} {:6.2}%  {bar}", shown(token), f64::from(*weight) * 100.0);
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_a_layer_and_a_head() {
        assert_eq!(pair("3.0"), Ok((3, 0)));
        assert!(pair("3").is_err() && pair("3.x").is_err() && pair("-1.0").is_err());
        assert_eq!(position(None, 4).map_err(|_| ()), Ok(3));
        assert!(position(Some(4), 4).expect_err("outside").sentence().contains("tokens 0 to 3"));
    }
}
