//! `osai model`: add, list, show, path.

use std::ffi::OsString;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::Serialize;

use super::args::{ModelArgs, ModelCommand};
use super::environment::Globals;
use super::failure::{Failure, NOT_FOUND, VERIFY};
use super::out::{Out, safe};
use super::session;
use crate::engine::{Model, ModelInfo};
use crate::models::{self, Added, Step, megabytes};

/// Does one of them.
pub fn model(args: &ModelArgs, globals: &Globals, out: &mut Out) -> Result<(), Failure> {
    match &args.command {
        ModelCommand::Add { what } => add(what, globals, out),
        ModelCommand::List(args) => list(args.json, globals, out),
        ModelCommand::Show { name, json } => show(name.as_ref(), *json, globals, out),
        ModelCommand::Path { name } => {
            let path = installed(name.as_ref(), globals)?;
            Ok(writeln!(out, "{}", safe(path.to_string_lossy()))?)
        }
    }
}

/// The file of a model that is here, or exit code 1 and the sentence.
fn installed(name: Option<&OsString>, globals: &Globals) -> Result<PathBuf, Failure> {
    let name = name.or(globals.model.as_ref());
    session::find_named(name.map(OsString::as_os_str), globals).map_err(|sentence| Failure::new(NOT_FOUND, sentence))
}

fn add(what: &Path, globals: &Globals, out: &mut Out) -> Result<(), Failure> {
    let store = models::store(globals.paths.data_dir()?);
    let mut meter = Meter::new();
    let entry = what.to_str().filter(|_| !models::is_file_name(what)).and_then(models::entry);
    let added = match &entry {
        Some(entry) => models::fetch(entry, &store, &mut |step| meter.show(step)),
        None => models::add_file(what, &store, &mut |step| meter.show(step)),
    };
    meter.clear();
    let (outcome, path) = match added? {
        Added::Now(path) => ("added", path),
        Added::Already(path) => ("already there, and right:", path),
    };
    writeln!(out, "{outcome} {}", safe(path.to_string_lossy()))?;
    if let Some(entry) = models::entry_of(&path) {
        let licence = models::licence_path(&path);
        writeln!(out, "{}, licence {} ({})", entry.title, entry.licence, safe(licence.to_string_lossy()))?;
    }
    Ok(())
}

/// The progress of `model add` on stderr: one line that is drawn over on a terminal, one line a step elsewhere.
struct Meter {
    is_terminal: bool,
    step: String,
    shown: Option<Instant>,
}

impl Meter {
    /// How often the line is drawn at most.
    const EVERY: Duration = Duration::from_millis(100);

    fn new() -> Self {
        Self { is_terminal: io::stderr().is_terminal(), step: String::new(), shown: None }
    }

    /// Progress is told on stderr; where that fails there is nobody to tell, and the work goes on.
    fn show(&mut self, step: Step) {
        let mut stderr = io::stderr();
        match step {
            Step::Begin(step) => {
                self.clear();
                self.step = safe(step);
                if self.is_terminal {
                    let _ = write!(stderr, "{}", self.step);
                    self.shown = Some(Instant::now());
                } else {
                    let _ = writeln!(stderr, "{}", self.step);
                }
            }
            Step::Bytes { done, total } => {
                let is_due = self.shown.is_none_or(|at| at.elapsed() >= Self::EVERY);
                if self.is_terminal && is_due && total > 0 {
                    let percent = (done.min(total) * 100) / total;
                    let _ = write!(
                        stderr,
                        "\r\u{1b}[K{}: {} of {} ({percent}%)",
                        self.step,
                        megabytes(done),
                        megabytes(total)
                    );
                    self.shown = Some(Instant::now());
                }
            }
        }
    }

    fn clear(&mut self) {
        if self.is_terminal && self.shown.take().is_some() {
            let _ = write!(io::stderr(), "\r\u{1b}[K");
        }
    }
}

#[derive(Serialize)]
struct Listed {
    name: String,
    title: String,
    path: Option<String>,
    bytes: u64,
    licence: Option<String>,
    default: bool,
}

fn list(json: bool, globals: &Globals, out: &mut Out) -> Result<(), Failure> {
    let default = session::find_model(globals).ok();
    let here = models::installed(&globals.paths.models);
    let mut listed: Vec<Listed> = here.iter().map(|path| listed(path, default.as_deref())).collect();
    let absent = |file: &str| !here.iter().any(|path| path.file_name().is_some_and(|name| name == file));
    for entry in models::catalogue().into_iter().filter(|entry| absent(&entry.file)) {
        listed.push(Listed {
            name: entry.name,
            title: entry.title,
            path: None,
            bytes: entry.bytes,
            licence: Some(entry.licence),
            default: false,
        });
    }
    if json {
        return out.json(&listed);
    }
    let width = listed.iter().map(|model| model.name.chars().count()).max().unwrap_or(0);
    for model in listed {
        let mark = if model.default { "*" } else { " " };
        let licence = model.licence.as_deref().unwrap_or("licence unknown");
        let place = match model.path {
            Some(path) => safe(path),
            None => format!("not here; `osai model add {}` gets it", model.name),
        };
        let name = out.paint(out.theme.accent, format!("{:<width$}", model.name));
        writeln!(out, "{mark} {name}  {:>9}  {licence:<15}  {place}", megabytes(model.bytes))?;
    }
    Ok(())
}

fn listed(path: &Path, default: Option<&Path>) -> Listed {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let entry = models::entry_of(path);
    Listed {
        name: entry.as_ref().map_or_else(|| stem.clone(), |entry| entry.name.clone()),
        title: entry.as_ref().map_or(stem, |entry| entry.title.clone()),
        path: Some(path.to_string_lossy().into_owned()),
        bytes: size_of(path),
        licence: entry.map(|entry| entry.licence),
        default: default == Some(path),
    }
}

/// Size of a file, 0 if it is gone.
pub fn size_of(path: &Path) -> u64 {
    path.metadata().map_or(0, |metadata| metadata.len())
}

#[derive(Serialize)]
struct Shown {
    name: String,
    path: String,
    bytes: u64,
    sha256: String,
    /// Whether the hash is the catalogue's; `null` for a model that is not in it.
    hash_ok: Option<bool>,
    licence: Option<String>,
    licence_file: Option<String>,
    info: Option<ModelInfo>,
    /// Why the engine cannot open it.
    fault: Option<String>,
}

fn show(name: Option<&OsString>, json: bool, globals: &Globals, out: &mut Out) -> Result<(), Failure> {
    let path = installed(name, globals)?;
    let entry = models::entry_of(&path);
    let sha256 = models::sha256_of(&path)?;
    let licence_file = models::licence_path(&path);
    let hash_ok = entry.as_ref().map(|entry| entry.sha256 == sha256);
    let (info, fault) = match Model::open(&path) {
        Ok(model) => (Some(model.info().clone()), None),
        Err(error) => (None, Some(error.to_string())),
    };
    let shown = Shown {
        name: listed(&path, None).title,
        path: path.to_string_lossy().into_owned(),
        bytes: size_of(&path),
        sha256,
        hash_ok,
        licence: entry.map(|entry| entry.licence),
        licence_file: licence_file.is_file().then(|| licence_file.to_string_lossy().into_owned()),
        info,
        fault,
    };
    if json {
        out.json(&shown)?;
    } else {
        describe(&shown, out)?;
    }
    match hash_ok {
        Some(false) => Err(Failure::new(
            VERIFY,
            format!(
                "`{}` is not the file of the catalogue; `osai model add {}` puts the right one there",
                shown.path, shown.name
            ),
        )),
        _ => Ok(()),
    }
}

fn describe(shown: &Shown, out: &mut Out) -> Result<(), Failure> {
    let verdict = match shown.hash_ok {
        Some(true) => "the catalogue's",
        Some(false) => "NOT the catalogue's",
        None => "not in the catalogue",
    };
    let licence = match (&shown.licence, &shown.licence_file) {
        (Some(id), Some(file)) => format!("{id} ({file})"),
        (Some(id), None) => id.clone(),
        (None, _) => "unknown: see where you got it".into(),
    };
    let mut fields = vec![
        ("name", shown.name.clone()),
        ("file", shown.path.clone()),
        ("size", format!("{} ({} bytes)", megabytes(shown.bytes), shown.bytes)),
        ("sha-256", format!("{} ({verdict})", shown.sha256)),
        ("licence", licence),
    ];
    if let Some(info) = &shown.info {
        let template = if info.has_chat_template { "yes" } else { "no; chat uses a plain one" };
        fields.extend([
            ("says it is", info.name.clone()),
            (
                "architecture",
                format!("{}, {} layers, width {}", info.architecture, info.num_hidden_layers, info.hidden_size),
            ),
            ("parameters", format!("{:.1} million", info.parameters as f64 / 1e6)),
            ("weights", info.quantization.clone()),
            ("vocabulary", format!("{} tokens", info.vocab_size)),
            ("reads", format!("{} tokens at most", info.max_position_embeddings)),
            ("template", template.into()),
        ]);
    }
    if let Some(fault) = &shown.fault {
        fields.push(("fault", fault.clone()));
    }
    for (name, value) in fields {
        let name = out.paint(out.theme.quiet, format!("{name:<13}"));
        writeln!(out, "{name} {}", safe(value))?;
    }
    Ok(())
}
