//! `osai paths`: where osai keeps and looks for things.

use std::io::Write;
use std::path::Path;

use serde::Serialize;

use super::args::JsonArg;
use super::environment::Globals;
use super::failure::Failure;
use super::out::{Out, safe};
use super::session;
use crate::models;

#[derive(Serialize)]
struct Report {
    data_dir: Option<String>,
    model_store: Option<String>,
    model: Option<String>,
    model_folders: Vec<String>,
    program_dir: Option<String>,
}

/// Prints them; nothing is made or changed.
pub fn paths(args: &JsonArg, globals: &Globals, out: &mut Out) -> Result<(), Failure> {
    let text = |path: &Path| path.to_string_lossy().into_owned();
    let data_dir = globals.paths.data_dir().ok();
    let report = Report {
        data_dir: data_dir.map(text),
        model_store: data_dir.map(|dir| text(&models::store(dir))),
        model: session::find_model(globals).ok().as_deref().map(text),
        model_folders: globals.paths.models.folders.iter().map(|folder| text(folder)).collect(),
        program_dir: globals.env.program_dir.as_deref().map(text),
    };
    if args.json {
        return out.json(&report);
    }
    let or = |value: Option<String>, none: &str| value.map_or_else(|| none.to_owned(), safe);
    writeln!(out, "data           {}", or(report.data_dir, "none: no home folder; give --data-dir DIR"))?;
    writeln!(out, "model store    {}", or(report.model_store, "none"))?;
    writeln!(out, "model in use   {}", or(report.model, "none; `osai model add smollm2` gets one"))?;
    for (index, folder) in report.model_folders.into_iter().enumerate() {
        writeln!(out, "{}{}", if index == 0 { "looked for in  " } else { "               " }, safe(folder))?;
    }
    Ok(writeln!(out, "program        {}", or(report.program_dir, "unknown"))?)
}
