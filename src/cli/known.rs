//! `osai model list --known`, and what is known of the model that `osai model show` names, its file being here or not.

use std::io::{self, Write};

use serde_json::json;

use super::args::ModelListArgs;
use super::dispatch;
use super::environment::Globals;
use super::failure::{Failure, NOT_FOUND, USAGE};
use super::out::Out;
use super::records;
use super::render::{Page, Weight, Words};
use crate::content::records::{Degree, Model, ModelMatch, Named, Records};

/// Lists the models of which there is a record.
pub fn list(args: &ModelListArgs, globals: &Globals, out: &mut Out) -> Result<(), Failure> {
    let degree = match &args.degree {
        Some(word) if !Degree::WORDS.contains(&word.as_str()) => {
            return Err(Failure::new(USAGE, format!("no degree `{word}`; it is one of {}", Degree::WORDS.join(", "))));
        }
        other => other.as_deref(),
    };
    let library = dispatch::library(globals)?;
    let records = library.records();
    let licence = match args.licence.as_deref().map(|name| (name, records.licence(name))) {
        None => None,
        Some((_, Named::Found(licence))) => Some(licence.id.as_str()),
        Some((name, Named::Near(ids))) => {
            let nearest = records::did_you_mean(&ids);
            return Err(Failure::new(NOT_FOUND, format!("no licence `{name}`{nearest}")));
        }
    };
    let under = |model: &Model, id: &str| {
        model.licence == id || model.sizes.iter().any(|size| size.licence.as_deref() == Some(id))
    };
    let models: Vec<&Model> = records
        .models
        .iter()
        .filter(|model| degree.is_none_or(|degree| model.degree.key() == degree))
        .filter(|model| licence.is_none_or(|id| under(model, id)))
        .collect();
    if args.json {
        return out.json(&models);
    }
    if models.is_empty() {
        return Err(Failure::new(NOT_FOUND, "no model that osai has a record of is so"));
    }
    let room = models.iter().map(|model| model.id.len()).max().unwrap_or(0) + 2;
    dispatch::write(out, |output| {
        let mut page = output.page();
        for model in &models {
            let mut words = Words::new(&model.name, Weight::PLAIN);
            let facts = [&model.makers.join(", "), &model.released, model.degree.key(), &model.licence];
            words.push(&format!(" ({})", facts.join("; ")), Weight::DIM);
            page.labelled(&model.id, &words, room);
        }
        output.show(page)?;
        Ok(0)
    })
}

/// The record of a model that is not here, or the failure to find its file with the records that were perhaps meant.
pub fn show(name: &str, missing: &Failure, is_json: bool, records: &Records, out: &mut Out) -> Result<(), Failure> {
    let Some(found) = records.model(name) else {
        let nearest = records::did_you_mean(&records.models_near(name));
        return Err(Failure::new(missing.code(), format!("{}{nearest}", missing.sentence())));
    };
    let how = records::how(&found, name);
    if is_json {
        let record = records::json(found.model, records);
        return out.json(&json!({"name": found.model.name, "path": null, "record": record, "record_by": how}));
    }
    dispatch::write(out, |output| {
        let mut page = output.page();
        records::write(found.model, records, &mut page);
        page.gap();
        page.words(&Words::new(&format!("{how}; {}.", missing.sentence()), Weight::DIM));
        output.show(page)?;
        Ok(0)
    })
}

/// The record of a model file by the names that it has, the first that fits, and how it was found.
pub fn of_file<'a>(names: &[String], records: &'a Records) -> Option<(ModelMatch<'a>, String)> {
    names.iter().find_map(|name| {
        let found = records.model(name)?;
        let how = records::how(&found, name);
        Some((found, how))
    })
}

/// Writes what is known below what the file says.
pub fn write_beside(found: &ModelMatch<'_>, how: &str, records: &Records, out: &mut Out) -> io::Result<()> {
    let mut page = Page::new(out.width, out.colored);
    page.gap();
    let sentence = format!("What is known of {}, apart from this file ({how}):", found.model.name);
    page.words(&Words::new(&sentence, Weight::DIM));
    page.gap();
    records::write(found.model, records, &mut page);
    out.write_all(page.into_text().as_bytes())
}
