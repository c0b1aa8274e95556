//! `osai model inspect`: a report as text or JSON, and the verdict as an exit code.

use std::io::Write;
use std::path::{Path, PathBuf};

use super::args::InspectArgs;
use super::environment::Globals;
use super::failure::{Failure, MODEL, NOT_FOUND, VERIFY};
use super::out::{Out, safe};
use super::session;
use crate::engine::file::Kind;
use crate::engine::inspect::{Report, Tensor, Verdict, Wanted, inspect, pickle};
use crate::models::{self, megabytes};
use crate::text::SafeText;

/// Lines of a list that are shown unless all is wanted.
const SHOWN: usize = 12;
/// Lines of the template that are shown unless all is wanted.
const TEMPLATE_LINES: usize = 12;
/// Faults that are shown unless all are wanted.
const FAULTS: usize = 5;

/// Looks into a file or folder.
pub fn run(args: &InspectArgs, globals: &Globals, out: &mut Out) -> Result<(), Failure> {
    let path = path_of(&args.what, globals)?;
    let wanted = Wanted { all: args.all || args.json, context: args.context };
    let mut report = inspect(&path, &wanted).map_err(|error| {
        let code = if path.exists() { MODEL } else { NOT_FOUND };
        Failure::new(code, error.to_string())
    })?;
    if args.hash {
        hash(&mut report)?;
    }
    if args.json {
        out.json(&report)?;
    } else {
        Page { out, all: args.all }.report(&report)?;
    }
    match report.verdict {
        Verdict::Sound => Ok(()),
        Verdict::Unknown => Err(Failure::silent(NOT_FOUND)),
        Verdict::Damaged => Err(Failure::silent(MODEL)),
        Verdict::Dangerous => Err(Failure::silent(VERIFY)),
    }
}

/// Whether a file may go into the store: a GGUF file with which nothing is wrong.
///
/// # Errors
/// What it is or what is wrong with it, and what to do.
pub fn check_file(path: &Path) -> Result<(), String> {
    let report = looked_into(path)?;
    match report.kind {
        Some(Kind::Gguf) => sound(&report),
        Some(kind) => Err(format!("it is {}", kind.advice())),
        None => Err("it is a folder".into()),
    }
}

/// Whether a folder may go into the store: nothing is wrong with its safetensors and other files. Pickles and code stay
/// behind and so do not matter.
///
/// # Errors
/// What is wrong with it, and what to do.
pub fn check_folder(path: &Path) -> Result<(), String> {
    let report = looked_into(path)?;
    if let Some(fault) = report.faults.listed.first() {
        return Err(fault.to_string());
    }
    let mut weights = report.parts.iter().filter(|part| part.kind == Some(Kind::Safetensors)).peekable();
    if weights.peek().is_none() {
        return Err("it has no safetensors; osai opens no other weights of a folder".into());
    }
    weights.try_for_each(sound)
}

fn looked_into(path: &Path) -> Result<Report, String> {
    inspect(path, &Wanted::default()).map_err(|error| error.to_string())
}

fn sound(report: &Report) -> Result<(), String> {
    let Some(fault) = report.faults.listed.first() else { return Ok(()) };
    let more = match report.faults.len() - 1 {
        0 => String::new(),
        more => format!("; {more} more: `osai model inspect` lists them"),
    };
    Err(format!("damaged or hostile: {fault}{more}"))
}

/// A file or folder if there is one of that name, else a model by name.
fn path_of(what: &Path, globals: &Globals) -> Result<PathBuf, Failure> {
    if what.exists() {
        return Ok(what.to_owned());
    }
    session::find_named(Some(what.as_os_str()), globals).map_err(|sentence| Failure::new(NOT_FOUND, sentence))
}

fn hash(report: &mut Report) -> Result<(), Failure> {
    if report.kind.is_some() {
        report.sha256 = Some(models::sha256_of(report.path.as_ref())?);
    }
    report.parts.iter_mut().try_for_each(hash)
}

/// Where the lines go.
struct Page<'a> {
    out: &'a mut Out,
    all: bool,
}

impl Page<'_> {
    fn report(&mut self, report: &Report) -> Result<(), Failure> {
        self.field("file", &report.path)?;
        self.field("format", &report.format)?;
        self.field("size", &format!("{} ({} bytes)", megabytes(report.bytes), report.bytes))?;
        if let Some(sha256) = &report.sha256 {
            self.field("sha-256", sha256)?;
        }
        for fact in &report.facts {
            self.field(&fact.name, &fact.value)?;
        }
        if let Some(memory) = &report.memory {
            self.field(
                "memory",
                &format!(
                    "{}: {} of weights and {} of cache for {} tokens",
                    megabytes(memory.total),
                    megabytes(memory.weights),
                    megabytes(memory.cache),
                    memory.context
                ),
            )?;
        }
        self.verdict(report)?;
        self.pickles(report)?;
        self.totals(report)?;
        self.tensors(&report.tensors)?;
        self.parts(report)?;
        self.members(report)?;
        if !report.tokenizer.is_empty() {
            self.head("tokenizer")?;
            for fact in &report.tokenizer {
                self.field(&format!("  {}", fact.name), &fact.value)?;
            }
        }
        if let Some(template) = &report.template {
            self.template(template)?;
        }
        if !report.metadata.is_empty() {
            self.head(&format!("metadata: {} keys", report.metadata.len()))?;
            for (key, value) in &report.metadata {
                let shown = match value {
                    serde_json::Value::String(text) => text.clone(),
                    other => other.to_string(),
                };
                self.line(&format!("  {key} = {shown}"))?;
            }
        }
        Ok(())
    }

    /// A name and a value, wrapped under itself.
    fn field(&mut self, name: &str, value: &str) -> Result<(), Failure> {
        const WIDTH: usize = 15;
        let room = self.out.width.saturating_sub(WIDTH + 1).max(20);
        let style = self.out.theme.quiet;
        let mut name = name.to_owned();
        for piece in wrap(&safe(value), room) {
            let shown = self.out.paint(style, format!("{name:<WIDTH$}"));
            writeln!(self.out, "{shown} {piece}")?;
            name.clear();
        }
        Ok(())
    }

    fn head(&mut self, text: &str) -> Result<(), Failure> {
        let text = self.out.paint(self.out.theme.accent, text);
        Ok(writeln!(self.out, "\n{text}")?)
    }

    /// A line from outside, cut at the width unless all is wanted.
    fn line(&mut self, text: &str) -> Result<(), Failure> {
        let text = safe(text);
        let cut = if self.all { text } else { cut(&text, self.out.width) };
        Ok(writeln!(self.out, "{cut}")?)
    }

    fn verdict(&mut self, report: &Report) -> Result<(), Failure> {
        self.field("verdict", report.sentence())?;
        let shown = if self.all { report.faults.listed.len() } else { report.faults.listed.len().min(FAULTS) };
        for fault in &report.faults.listed[..shown] {
            self.field("  fault", &fault.to_string())?;
        }
        match (report.faults.listed.len() - shown, report.faults.unlisted) {
            (0, 0) => {}
            (0, unlisted) => self.field("", &format!("and {unlisted} more"))?,
            (hidden, unlisted) => self.field("", &format!("and {} more; --all shows them", hidden + unlisted))?,
        }
        for remark in &report.remarks.listed {
            self.field("  note", &remark.to_string())?;
        }
        Ok(())
    }

    fn pickles(&mut self, report: &Report) -> Result<(), Failure> {
        for found in &report.pickles {
            let pickle = &found.pickle;
            let place = found.member.as_ref().map_or_else(String::new, |member| format!(" in `{member}`"));
            self.head(&format!("pickle{place}: protocol {}, {} instructions", pickle.protocol, pickle.instructions))?;
            // The worst first.
            let mut imports: Vec<&pickle::Import> = pickle.imports.iter().collect();
            imports.sort_by_key(|import| std::cmp::Reverse(import.judgement));
            for import in self.first(&imports) {
                let judged = match import.judgement {
                    pickle::Judgement::Safe => "safe",
                    pickle::Judgement::Unknown => "UNKNOWN",
                    pickle::Judgement::Dangerous => "DANGEROUS",
                };
                let nested = if import.nested { ", in a pickle inside" } else { "" };
                let at = import.places.first.first().copied().unwrap_or(0);
                let count = times(import.places.count);
                self.field(
                    &format!("  {judged}"),
                    &format!("{} ({} at byte {at}{count}{nested})", import.name, import.instruction),
                )?;
            }
            self.rest(imports.len(), "imports")?;
            for call in self.first(&pickle.calls.iter().collect::<Vec<_>>()) {
                let target = call.target.as_deref().unwrap_or("something that the pickle computed");
                let at = call.places.first.first().copied().unwrap_or(0);
                self.field(
                    "  calls",
                    &format!("{target} ({} at byte {at}{})", call.instruction, times(call.places.count)),
                )?;
            }
            self.rest(pickle.calls.len(), "calls")?;
            for fault in &pickle.faults.listed {
                self.field("  fault", &fault.to_string())?;
            }
        }
        Ok(())
    }

    fn totals(&mut self, report: &Report) -> Result<(), Failure> {
        if report.totals.is_empty() {
            return Ok(());
        }
        let (tensors, numbers) =
            report.totals.iter().fold((0, 0_u64), |(t, n), total| (t + total.tensors, n.saturating_add(total.numbers)));
        self.head(&format!("{tensors} tensors, {} numbers", rounded(numbers)))?;
        for total in &report.totals {
            self.line(&format!(
                "  {:<10} {:>6} tensors {:>10} numbers {:>10}",
                total.dtype,
                total.tensors,
                rounded(total.numbers),
                megabytes(total.bytes)
            ))?;
        }
        Ok(())
    }

    fn tensors(&mut self, tensors: &[Tensor]) -> Result<(), Failure> {
        if !tensors.is_empty() {
            writeln!(self.out)?;
        }
        let first: Vec<&Tensor> = self.first(&tensors.iter().collect::<Vec<_>>());
        for tensor in first {
            let shape: Vec<String> = tensor.shape.iter().map(u64::to_string).collect();
            let place = match (tensor.at, &tensor.file) {
                (Some(at), _) => format!("at {at}"),
                (None, Some(file)) => format!("in {file}"),
                (None, None) => String::new(),
            };
            let shape = format!("[{}]", shape.join(", "));
            self.line(&format!(
                "  {:<30} {:<14} {:<6} {:>11} {place}",
                tensor.name, shape, tensor.dtype, tensor.bytes
            ))?;
        }
        self.rest(tensors.len(), "tensors")
    }

    fn parts(&mut self, report: &Report) -> Result<(), Failure> {
        for part in &report.parts {
            let name = part.path.strip_prefix(&report.path).unwrap_or(&part.path).trim_start_matches(['/', '\\']);
            self.head(name)?;
            self.field("  format", &part.format)?;
            self.field("  size", &format!("{}, {} tensors", megabytes(part.bytes), part.tensors.len()))?;
            if let Some(sha256) = &part.sha256 {
                self.field("  sha-256", sha256)?;
            }
            self.verdict(part)?;
            self.pickles(part)?;
            if self.all {
                self.tensors(&part.tensors)?;
            }
        }
        Ok(())
    }

    fn members(&mut self, report: &Report) -> Result<(), Failure> {
        if report.members.is_empty() {
            return Ok(());
        }
        self.head(&format!("{} files in the archive", report.members.len()))?;
        for member in self.first(&report.members.iter().collect::<Vec<_>>()) {
            self.line(&format!("  {:<44} {:>12} bytes at {}", member.name, member.bytes, member.at))?;
        }
        self.rest(report.members.len(), "files")
    }

    fn template(&mut self, template: &str) -> Result<(), Failure> {
        self.head(&format!("chat template: {} bytes", template.len()))?;
        let safe = SafeText::new(template);
        let lines: Vec<&str> = safe.as_str().lines().collect();
        let shown = if self.all { lines.len() } else { lines.len().min(TEMPLATE_LINES) };
        for line in &lines[..shown] {
            for piece in wrap(line, self.out.width.saturating_sub(2).max(20)) {
                writeln!(self.out, "  {piece}")?;
            }
        }
        if shown < lines.len() {
            writeln!(self.out, "  … {} more lines; --all shows them", lines.len() - shown)?;
        }
        Ok(())
    }

    fn first<T: Clone>(&self, items: &[T]) -> Vec<T> {
        items.iter().take(if self.all { usize::MAX } else { SHOWN }).cloned().collect()
    }

    fn rest(&mut self, count: usize, of: &str) -> Result<(), Failure> {
        if !self.all && count > SHOWN {
            writeln!(self.out, "  … {} more {of}; --all shows them", count - SHOWN)?;
        }
        Ok(())
    }
}

fn times(count: u64) -> String {
    if count > 1 { format!(" and {} more", count - 1) } else { String::new() }
}

/// `134.5 M`.
fn rounded(count: u64) -> String {
    match count {
        0..10_000 => count.to_string(),
        10_000..10_000_000 => format!("{:.1} k", count as f64 / 1e3),
        10_000_000..10_000_000_000 => format!("{:.1} M", count as f64 / 1e6),
        _ => format!("{:.1} G", count as f64 / 1e9),
    }
}

fn cut(text: &str, width: usize) -> String {
    use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};
    if text.width() <= width {
        return text.to_owned();
    }
    let mut room = width.saturating_sub(1);
    let kept = text.chars().take_while(|c| {
        let wide = c.width().unwrap_or(0);
        let fits = wide <= room;
        room = room.saturating_sub(wide);
        fits
    });
    kept.chain(['…']).collect()
}

/// A text in pieces of at most `width` columns, broken at spaces where there are any.
fn wrap(text: &str, width: usize) -> Vec<String> {
    use unicode_width::UnicodeWidthChar;
    let mut lines = vec![String::new()];
    let mut used = 0;
    for word in text.split_inclusive(' ') {
        let wide: usize = word.chars().filter_map(UnicodeWidthChar::width).sum();
        if used > 0 && used + wide > width {
            lines.push(String::new());
            used = 0;
        }
        for c in word.chars() {
            let wide = c.width().unwrap_or(0);
            if used + wide > width {
                lines.push(String::new());
                used = 0;
            }
            used += wide;
            lines.last_mut().expect("never empty").push(c);
        }
    }
    for line in &mut lines {
        line.truncate(line.trim_end().len());
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_values_wrap_within_the_width() {
        assert_eq!(wrap("one two three", 8), ["one two", "three"]);
        assert_eq!(wrap("abcdefghij", 4), ["abcd", "efgh", "ij"]);
        assert_eq!(wrap("", 4), [""]);
        assert_eq!(cut("日本語テスト", 5), "日本…");
    }
}
