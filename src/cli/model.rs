//! `osai model`: add, list, show, verify, rm, path; `inspect` and `quantize` have files of their own.

use std::ffi::OsString;
use std::io::{self, BufRead, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::Serialize;

use super::args::{ModelArgs, ModelCommand};
use super::dispatch;
use super::environment::Globals;
use super::failure::{DATA, Failure, NOT_FOUND, USAGE, VERIFY};
use super::inspect;
use super::known;
use super::lora;
use super::merge;
use super::out::{Out, safe};
use super::quantize;
use super::records;
use super::session;
use crate::engine::{Model, ModelInfo};
use crate::models::{self, Added, Step, Verified, megabytes};

/// Does one of them.
pub fn model(args: &ModelArgs, globals: &Globals, out: &mut Out) -> Result<(), Failure> {
    match &args.command {
        ModelCommand::Add { what, name } => add(what, name.as_deref(), globals, out),
        ModelCommand::List(args) if args.known => known::list(args, globals, out),
        ModelCommand::List(args) => list(args.json, globals, out),
        ModelCommand::Show { name, json } => show(name.as_ref(), *json, globals, out),
        ModelCommand::Inspect(args) => inspect::run(args, globals, out),
        ModelCommand::Verify { name, json } => verify(name.as_ref(), *json, globals, out),
        ModelCommand::Merge(args) => merge::run(args, globals, out),
        ModelCommand::ApplyLora(args) => lora::apply(args, globals, out),
        ModelCommand::ConvertLora(args) => lora::convert(args, globals, out),
        ModelCommand::Rm { name, yes } => remove(name, *yes, globals, out),
        ModelCommand::Quantize(args) => quantize::run(args, globals, out),
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

fn add(what: &Path, name: Option<&str>, globals: &Globals, out: &mut Out) -> Result<(), Failure> {
    let store = models::store(globals.paths.data_dir()?);
    let mut meter = Meter::new();
    let entry = what.to_str().filter(|_| !models::is_file_name(what)).and_then(models::entry);
    let mut each = |step| meter.show(step);
    let added = match &entry {
        Some(entry) if name.is_none() => models::fetch(entry, &store, &mut each),
        Some(entry) => {
            return Err(Failure::usage(format!(
                "`{}` is of the catalogue and keeps its name; leave out --name",
                entry.name
            )));
        }
        None if what.is_dir() => models::add_folder(what, name, &store, &inspect::check_folder, &mut each),
        None => models::add_file(what, name, &store, &inspect::check_file, &mut each),
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
    version: Option<String>,
    path: Option<String>,
    bytes: u64,
    licence: Option<String>,
    /// Whether it lies in the own store, where `model rm` may remove it.
    own: bool,
    default: bool,
}

fn list(json: bool, globals: &Globals, out: &mut Out) -> Result<(), Failure> {
    let default = session::find_model(globals).ok();
    let store = globals.paths.data_dir().ok().map(models::store);
    let here = models::installed(&globals.paths.models);
    let mut listed: Vec<Listed> = here
        .iter()
        .map(|path| {
            let own = store.as_ref().is_some_and(|store| models::removable(path, store).is_some());
            Listed { own, ..listed(path, default.as_deref()) }
        })
        .collect();
    let absent = |file: &str| !here.iter().any(|path| path.file_name().is_some_and(|name| name == file));
    for entry in models::catalogue().into_iter().filter(|entry| absent(&entry.file)) {
        listed.push(Listed {
            name: entry.name,
            title: entry.title,
            version: Some(entry.version),
            path: None,
            bytes: entry.bytes,
            licence: Some(entry.licence),
            own: false,
            default: false,
        });
    }
    if json {
        return out.json(&listed);
    }
    let shown = |model: &Listed| match &model.version {
        Some(version) => format!("{}@{version}", model.name),
        None => model.name.clone(),
    };
    let width = listed.iter().map(|model| shown(model).chars().count()).max().unwrap_or(0);
    for model in &listed {
        let mark = if model.default { "*" } else { " " };
        let licence = model.licence.as_deref().unwrap_or("licence unknown");
        let place = match &model.path {
            Some(path) if model.own => format!("own     {}", safe(path)),
            Some(path) => format!("shared  {}", safe(path)),
            None => format!("not here; `osai model add {}` gets it", model.name),
        };
        let name = out.paint(out.theme.accent, format!("{:<width$}", shown(model)));
        writeln!(out, "{mark} {name}  {:>9}  {licence:<15}  {place}", megabytes(model.bytes))?;
    }
    Ok(())
}

fn listed(path: &Path, default: Option<&Path>) -> Listed {
    let entry = models::entry_of(path);
    let versioned = models::version_of(path);
    let stem = if path.is_dir() { path.file_name() } else { path.file_stem() };
    let stem = stem.unwrap_or_default().to_string_lossy().into_owned();
    let (name, version) = match (&entry, versioned) {
        (Some(entry), _) => (entry.name.clone(), Some(entry.version.clone())),
        (None, Some((name, version))) => (name, Some(version)),
        (None, None) => (stem.clone(), None),
    };
    Listed {
        name,
        version,
        title: entry.as_ref().map_or(stem, |entry| entry.title.clone()),
        path: Some(path.to_string_lossy().into_owned()),
        bytes: size_of(path),
        licence: entry.map(|entry| entry.licence),
        own: false,
        default: default == Some(path),
    }
}

#[derive(Serialize)]
struct Checked {
    name: String,
    path: String,
    /// `right`, `damaged`, or `unrecorded`: there is no hash to compare with.
    result: &'static str,
    why: Option<String>,
}

fn verify(name: Option<&OsString>, json: bool, globals: &Globals, out: &mut Out) -> Result<(), Failure> {
    let paths = match name {
        Some(_) => vec![installed(name, globals)?],
        None => models::installed(&globals.paths.models),
    };
    let mut checked = Vec::new();
    for path in &paths {
        let (result, why) = match models::verify(path)? {
            Verified::Right => ("right", None),
            Verified::Damaged { file, why } => ("damaged", Some(format!("`{}`: {why}", file.display()))),
            Verified::Unrecorded => ("unrecorded", None),
        };
        checked.push(Checked { name: listed(path, None).name, path: path.to_string_lossy().into_owned(), result, why });
    }
    if json {
        out.json(&checked)?;
    } else {
        for model in &checked {
            writeln!(out, "{:<10}  {}  {}", model.result, safe(&model.name), safe(&model.path))?;
            if let Some(why) = &model.why {
                writeln!(out, "            {}", safe(why))?;
            }
        }
    }
    let damaged: Vec<&str> = checked.iter().filter(|m| m.result == "damaged").map(|m| m.name.as_str()).collect();
    if damaged.is_empty() {
        return Ok(());
    }
    Err(Failure::new(
        VERIFY,
        format!("damaged: {}; remove it with `osai model rm` and add it again", damaged.join(", ")),
    ))
}

fn remove(name: &OsString, yes: bool, globals: &Globals, out: &mut Out) -> Result<(), Failure> {
    let store = models::store(globals.paths.data_dir()?);
    let path = installed(Some(name), globals)?;
    let Some(files) = models::removable(&path, &store) else {
        return Err(Failure::usage(format!(
            "`{}` is not in your own store (`{}`); osai removes nothing from other folders",
            path.display(),
            store.display()
        )));
    };
    let bytes: u64 = files.iter().map(|file| size_of(file)).sum();
    if !yes && !confirm(&path, bytes)? {
        return Err(Failure::new(NOT_FOUND, "nothing was removed"));
    }
    models::remove(&files)?;
    for file in &files {
        writeln!(out, "removed {}", safe(file.to_string_lossy()))?;
    }
    writeln!(out, "{} are free again", megabytes(bytes))?;
    Ok(())
}

/// Asks on the terminal; without one, `--yes` is the only answer.
fn confirm(path: &Path, bytes: u64) -> Result<bool, Failure> {
    if !io::stdin().is_terminal() {
        return Err(Failure::new(USAGE, "there is nobody to ask; say --yes to remove the model"));
    }
    let asked = (|| {
        let mut stderr = io::stderr();
        write!(stderr, "remove `{}` ({})? [y/N] ", safe(path.to_string_lossy()), megabytes(bytes))?;
        stderr.flush()?;
        let mut answer = String::new();
        io::Read::take(&mut io::stdin().lock(), 64).read_line(&mut answer)?;
        Ok(answer)
    })();
    let answer = asked.map_err(|e: io::Error| Failure::new(DATA, format!("cannot ask: {e}; say --yes")))?;
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}

/// Size of a file, or of what lies in a folder; 0 if it is gone.
pub fn size_of(path: &Path) -> u64 {
    match path.metadata() {
        Ok(of) if of.is_dir() => {
            let entries = path.read_dir().into_iter().flatten().flatten();
            // A link to a folder could lead round in a circle.
            entries.filter(|e| !e.path().is_symlink() || e.path().is_file()).map(|e| size_of(&e.path())).sum()
        }
        Ok(of) => of.len(),
        Err(_) => 0,
    }
}

#[derive(Serialize)]
struct Shown {
    name: String,
    path: String,
    bytes: u64,
    /// SHA-256; `null` for a folder.
    sha256: Option<String>,
    /// Whether the hash is the catalogue's or the one of the day it was added; `null` if there is none.
    hash_ok: Option<bool>,
    /// Why the hash is not right.
    damage: Option<String>,
    licence: Option<String>,
    licence_file: Option<String>,
    info: Option<ModelInfo>,
    /// Why the engine cannot open it.
    fault: Option<String>,
    /// What is known of the model, apart from this file.
    record: Option<serde_json::Value>,
    /// How the record was found.
    record_by: Option<String>,
}

fn show(name: Option<&OsString>, json: bool, globals: &Globals, out: &mut Out) -> Result<(), Failure> {
    let library = dispatch::library(globals)?;
    let path = match (installed(name, globals), name.and_then(|name| name.to_str())) {
        (Ok(path), _) => path,
        (Err(failure), None) => return Err(failure),
        (Err(failure), Some(name)) => return known::show(name, &failure, json, library.records(), out),
    };
    let entry = models::entry_of(&path);
    let sha256 = if path.is_dir() { None } else { Some(models::sha256_of(&path)?) };
    let licence_file = models::licence_path(&path);
    let (hash_ok, damage) = match models::verify(&path)? {
        Verified::Right => (Some(true), None),
        Verified::Damaged { why, .. } => (Some(false), Some(why)),
        Verified::Unrecorded => (None, None),
    };
    let (info, fault) = match Model::open(&path) {
        Ok(model) => (Some(model.info().clone()), None),
        Err(error) => (None, Some(error.to_string())),
    };
    let names = [info.as_ref().map(|info| info.name.clone()), Some(listed(&path, None).name)];
    let record = known::of_file(&names.into_iter().flatten().collect::<Vec<_>>(), library.records());
    let shown = Shown {
        name: listed(&path, None).title,
        path: path.to_string_lossy().into_owned(),
        bytes: size_of(&path),
        sha256,
        hash_ok,
        damage,
        licence: entry.map(|entry| entry.licence),
        licence_file: licence_file.is_file().then(|| licence_file.to_string_lossy().into_owned()),
        info,
        fault,
        record: record.as_ref().map(|(found, _)| records::json(found.model, library.records())),
        record_by: record.as_ref().map(|(_, how)| how.clone()),
    };
    if json {
        out.json(&shown)?;
    } else {
        describe(&shown, out)?;
        if let Some((found, how)) = &record {
            known::write_beside(found, how, library.records(), out)?;
        }
    }
    match &shown.damage {
        Some(why) => {
            let remedy = match models::entry_of(&path) {
                Some(entry) => format!("`osai model add {}` puts the right one there", entry.name),
                None => "add it again from where you got it".into(),
            };
            Err(Failure::new(VERIFY, format!("`{}` is damaged: {why}; {remedy}", shown.path)))
        }
        None => Ok(()),
    }
}

fn describe(shown: &Shown, out: &mut Out) -> Result<(), Failure> {
    let verdict = match (shown.hash_ok, models::entry_of(Path::new(&shown.path))) {
        (Some(true), Some(_)) => "the catalogue's",
        (Some(false), Some(_)) => "NOT the catalogue's",
        (Some(true), None) => "the one of the day it was added",
        (Some(false), None) => "NOT the one of the day it was added",
        (None, _) => "nothing to compare with",
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
        ("sha-256", format!("{} ({verdict})", shown.sha256.as_deref().unwrap_or("each file's own"))),
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
