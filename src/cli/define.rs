//! `osai define`: one term, from the index alone. No database, no model, no terminal is touched.

use std::ffi::OsString;
use std::io::{self, IsTerminal};

use serde_json::json;

use crate::content::{Glossary, Lookup, Term};
use crate::text::SafeText;

use super::environment::Environment;
use super::render::{Output, Page, Weight, Words, columns};

/// Columns of the labels below a definition.
const LABEL: usize = 21;

/// What is shown of a term.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DefineMode {
    /// Everything, rendered.
    #[default]
    Page,
    /// The one-line definition.
    Short,
    /// The file as written.
    Raw,
    /// A JSON object.
    Json,
}

/// Shows the term that the words name. Gives the exit code: 0 found, 1 not found (the nearest are named on stderr).
///
/// # Errors
/// Those of the streams.
pub fn define(words: &[String], mode: DefineMode, glossary: &Glossary, output: &mut Output<'_>) -> io::Result<u8> {
    let query = words.join(" ");
    let term = match glossary.lookup(&query) {
        Lookup::Found(term) => term,
        Lookup::Near(ids) => {
            output.complain(&unknown(&query, &ids))?;
            return Ok(1);
        }
    };
    match mode {
        DefineMode::Page => {
            let mut page = output.page();
            write_term(&term, glossary, &mut page);
            output.show(page)?;
        }
        DefineMode::Short => writeln!(output.out, "{}", SafeText::line(term.short))?,
        DefineMode::Raw => write!(output.out, "{}", SafeText::new(term.raw))?,
        DefineMode::Json => output.json(&json(&term))?,
    }
    Ok(0)
}

fn unknown(query: &str, ids: &[String]) -> String {
    let quoted: Vec<String> = ids.iter().map(|id| format!("`{id}`")).collect();
    match quoted.split_last() {
        None => format!("no term `{query}`; `osai search` looks in all texts, `osai terms` lists the terms"),
        Some((last, [])) => format!("no term `{query}`; did you mean {last}?"),
        Some((last, others)) => format!("no term `{query}`; did you mean {} or {last}?", others.join(", ")),
    }
}

fn json(term: &Term) -> serde_json::Value {
    let confused: Vec<_> = term.confused_with.iter().map(|other| json!({"id": other.id, "why": other.why})).collect();
    json!({
        "id": term.id,
        "title": term.title,
        "short": term.short,
        "body": term.body(),
        "level": term.level.key(),
        "category": term.category,
        "aliases": term.aliases,
        "related": term.related,
        "confused_with": confused,
        "lessons": term.lessons,
        "why": term.why,
        "try": term.try_it.as_ref().map(|what| json!({"note": what.note, "run": what.run})),
        "sources": super::lessons::sources_json(&term.sources),
    })
}

fn write_term(term: &Term, glossary: &Glossary, page: &mut Page) {
    write_head(term, page);
    page.gap();
    page.words(&Words::new(&term.short, Weight::BOLD));
    page.gap();
    page.blocks(&term.blocks);
    page.gap();
    write_notes(term, glossary, page);
    if !term.sources.is_empty() {
        page.gap();
        super::lessons::write_sources(&term.sources, page);
    }
}

/// Title, other names, and level and category at the right where there is room.
fn write_head(term: &Term, page: &mut Page) {
    let title = SafeText::line(&*term.title).into_string();
    let place = SafeText::line(format!("{} · {}", term.level.name(), term.category)).into_string();
    let names = if term.aliases.is_empty() { String::new() } else { format!("({})", term.aliases.join(", ")) };
    let names = SafeText::line(names).into_string();
    let room = page.prose().saturating_sub(columns(&title) + columns(&place));
    let is_beside = !names.is_empty() && room >= columns(&names) + 4;
    if room < 2 {
        page.words(&Words::new(&title, Weight::BOLD));
        page.words(&Words::new(&place, Weight::DIM));
    } else {
        page.begin();
        page.run(&title, Weight::BOLD);
        let beside = if is_beside { format!("  {names}") } else { String::new() };
        page.run(&beside, Weight::PLAIN);
        page.run(&" ".repeat(room - columns(&beside)), Weight::PLAIN);
        page.run(&place, Weight::DIM);
        page.end();
    }
    if !is_beside && !names.is_empty() {
        page.words(&Words::new(&names, Weight::PLAIN));
    }
}

fn write_notes(term: &Term, glossary: &Glossary, page: &mut Page) {
    page.labelled("Why it matters", &Words::new(&term.why, Weight::PLAIN), LABEL);
    for (place, other) in term.confused_with.iter().enumerate() {
        let mut words = Words::new(glossary.title(&other.id).unwrap_or(&other.id), Weight::UNDERLINE);
        words.push(": ", Weight::PLAIN);
        words.push(&other.why, Weight::PLAIN);
        page.labelled(if place == 0 { "Often confused with" } else { "" }, &words, LABEL);
    }
    if !term.related.is_empty() {
        let mut words = Words::default();
        for (place, id) in term.related.iter().enumerate() {
            words.push(if place > 0 { ", " } else { "" }, Weight::PLAIN);
            words.push(glossary.title(id).unwrap_or(id), Weight::PLAIN);
        }
        page.labelled("See also", &words, LABEL);
    }
    let mut label = "Lesson";
    for id in &term.lessons {
        if let Some(title) = glossary.lesson_title(id) {
            let code = id.to_uppercase();
            let words = Words::new(&format!("{code} {title} (osai lesson {code})"), Weight::PLAIN);
            page.labelled(std::mem::take(&mut label), &words, LABEL);
        }
    }
    if let Some(what) = &term.try_it {
        let parts = [what.note.as_deref(), what.run.as_deref()];
        for (place, part) in parts.into_iter().flatten().enumerate() {
            page.labelled(if place == 0 { "Try" } else { "" }, &Words::new(part, Weight::PLAIN), LABEL);
        }
    }
}

/// `osai define …` without the parser of arguments, which costs more than the look-up. `args` begin with the program's
/// name. `None` where anything is unusual (another command, `--help`, `--pack`, a flag unknown here): then the whole
/// command line is for clap.
pub fn fast_define(args: &[OsString]) -> Option<u8> {
    let (mode, words) = fast_arguments(args)?;
    let (stdout, stderr) = (io::stdout(), io::stderr());
    let is_terminal = stdout.is_terminal();
    let columns = || crossterm::terminal::size().ok().map(|(columns, _)| usize::from(columns));
    let mut output = Output {
        width: is_terminal.then(columns).flatten().filter(|columns| *columns >= 20).unwrap_or(80),
        colour: is_terminal && Environment::styles_terminals(),
        out: &mut stdout.lock(),
        err: &mut stderr.lock(),
    };
    match define(&words, mode, &Glossary::embedded(), &mut output) {
        Ok(code) => Some(code),
        // Whoever reads has enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Some(0),
        Err(error) => {
            // Nothing is left to tell if stderr is broken too.
            let _ = output.complain(&format!("the text could not be written: {error}"));
            Some(3)
        }
    }
}

fn fast_arguments(args: &[OsString]) -> Option<(DefineMode, Vec<String>)> {
    let [_, command, rest @ ..] = args else { return None };
    if command != "define" {
        return None;
    }
    let mut mode = DefineMode::Page;
    let mut words = Vec::new();
    for arg in rest {
        let asked = match arg.to_str()? {
            "--short" => DefineMode::Short,
            "--raw" => DefineMode::Raw,
            "--json" => DefineMode::Json,
            flag if flag.starts_with('-') => return None,
            word => {
                words.push(word.to_owned());
                continue;
            }
        };
        // Two that exclude each other are clap's to refuse.
        if mode != DefineMode::Page {
            return None;
        }
        mode = asked;
    }
    (!words.is_empty()).then_some((mode, words))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::Library;

    const TERM: &str = r#"+++
id = "zebra-cut"
title = "Zebra cut"
short = "Keep every second stripe."
level = "practitioner"
category = "Evaluation"
aliases = ["ZC"]
why = "Half the stripes, half the paint."
confused_with = [{ id = "open-weights", why = "those have no stripes" }]
related = ["open-weights"]

[try]
run = "osai next zebra"

[[sources]]
title = "A page"
url = "https://example.org"
checked = 2026-11-24
+++

One *stripe* is kept.
"#;

    /// Exit code, standard output and standard error of a command on a course with the zebra.
    fn shown(words: &str, mode: DefineMode, width: usize) -> (u8, String, String) {
        let pack = tempfile::tempdir().expect("a temporary folder");
        std::fs::create_dir(pack.path().join("glossary")).expect("a folder");
        std::fs::write(pack.path().join("glossary/zebra-cut.md"), TERM).expect("a file");
        std::fs::write(pack.path().join("pack.toml"), "id = \"zoo\"\ntitle = \"Zoo\"\nversion = \"1\"\n")
            .expect("a file");
        let library = Library::with_pack(pack.path(), &[]).expect("a sound pack");
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let mut output = Output { out: &mut out, err: &mut err, width, colour: false };
        let words: Vec<String> = words.split(' ').map(str::to_owned).collect();
        let code = define(&words, mode, library.glossary(), &mut output).expect("memory takes all");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
        (code, text(out), text(err))
    }

    #[test]
    fn a_page_has_the_definition_the_text_and_what_is_near() {
        let (code, out, err) = shown("zebra CUTS", DefineMode::Page, 200);
        assert_eq!((code, err.as_str()), (0, ""));
        assert_eq!(
            out,
            "\
Zebra cut  (ZC)                                Practitioner · Evaluation

Keep every second stripe.

One stripe is kept.

Why it matters       Half the stripes, half the paint.
Often confused with  Open weights: those have no stripes
See also             Open weights
Try                  osai next zebra

Source
- A page <https://example.org> (checked 2026-11-24)
"
        );
    }

    #[test]
    fn short_raw_and_json_give_what_a_script_wants() {
        assert_eq!(shown("zc", DefineMode::Short, 80).1, "Keep every second stripe.\n");
        assert_eq!(shown("zc", DefineMode::Raw, 80).1, TERM);
        let json: serde_json::Value = serde_json::from_str(&shown("zc", DefineMode::Json, 80).1).expect("JSON");
        for key in ["id", "title", "short", "body", "level", "aliases", "related", "lessons", "sources"] {
            assert!(json.get(key).is_some(), "{key}");
        }
        assert_eq!(json["body"], "One *stripe* is kept.");
    }

    #[test]
    fn what_is_unknown_says_nothing_on_standard_output() {
        let (code, out, err) = shown("zebra cat", DefineMode::Json, 80);
        assert_eq!((code, out.as_str()), (1, ""));
        assert!(err.starts_with("osai: no term `zebra cat`; did you mean `zebra-cut`, `"), "{err}");
        assert_eq!(err.lines().count(), 1);
    }

    #[test]
    fn on_a_narrow_terminal_no_line_is_longer() {
        let out = shown("zc", DefineMode::Page, 24).1;
        assert!(out.lines().all(|line| columns(line) <= 24 || line.contains("https://")), "{out}");
    }

    fn args(line: &str) -> Vec<OsString> {
        line.split(' ').map(Into::into).collect()
    }

    #[test]
    fn the_fast_way_leaves_everything_unusual_to_the_parser() {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        assert_eq!(fast_arguments(&args("osai define kv cache")), Some((DefineMode::Page, words(&["kv", "cache"]))));
        assert_eq!(fast_arguments(&args("osai define --json x")), Some((DefineMode::Json, words(&["x"]))));
        for line in [
            "osai",
            "osai define",
            "osai search x",
            "osai define --help",
            "osai define x --pack y",
            "osai --pack y define x",
            "osai define --json --raw x",
            "osai define -- x",
        ] {
            assert_eq!(fast_arguments(&args(line)), None, "{line}");
        }
    }

    #[test]
    fn an_unknown_term_names_the_nearest() {
        let ids = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>();
        assert_eq!(unknown("lroa", &ids(&["lora"])), "no term `lroa`; did you mean `lora`?");
        assert_eq!(unknown("x", &ids(&["a", "b", "c"])), "no term `x`; did you mean `a`, `b` or `c`?");
    }
}
