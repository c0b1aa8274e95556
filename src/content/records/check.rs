//! What a record's file cannot know: whether the things that it names exist, and whether its names are its own.

use std::collections::{BTreeMap, BTreeSet};

use super::find::licence_name;
use super::licence::{Licence, LicenceQuestion, parse_licence, parse_questions};
use super::model::{Model, parse_model};
use super::parts::Parsed;
use crate::content::error::{ContentError, ContentErrorKind as Kind, Target};
use crate::content::fields::At;
use crate::content::fold::{fold, nearest};
use crate::content::index::{ContentFile, QUESTIONS};
use crate::content::source::is_kebab;

/// The files of records among the files of a course.
#[derive(Default)]
pub struct RecordFiles<'a> {
    models: Vec<(&'a ContentFile, Parsed<Model>)>,
    licences: Vec<(&'a ContentFile, Parsed<Licence>)>,
    questions: Option<(&'a ContentFile, Parsed<Vec<LicenceQuestion>>)>,
}

impl<'a> RecordFiles<'a> {
    /// Reads a file if it is one of a record.
    pub fn take(&mut self, file: &'a ContentFile) -> bool {
        match file.path.strip_prefix("records/").and_then(|rest| rest.split_once('/')) {
            Some(("models", name)) if name.ends_with(".toml") => self.models.push((file, parse_model(&file.text))),
            Some(("licences", name)) if name.ends_with(".toml") => {
                self.licences.push((file, parse_licence(&file.text)));
            }
            None if file.path == QUESTIONS => self.questions = Some((file, parse_questions(&file.text))),
            _ => return false,
        }
        true
    }

    /// All faults; `terms` are the ids of the glossary's terms.
    pub fn faults(&self, terms: &[&str]) -> Vec<ContentError> {
        let mut faults = Vec::new();
        let known = Known::of(self, terms);
        for (file, parsed) in &self.models {
            check_file(file, parsed, &known, &mut faults);
        }
        for (file, parsed) in &self.licences {
            check_file(file, parsed, &known, &mut faults);
            // A file that cannot be read has no answers either; that is said already.
            let answered = |id: &str| parsed.record.answers.iter().any(|answer| answer.question == id);
            if parsed.faults.is_empty() {
                for question in known.questions.iter().filter(|id| !answered(id)) {
                    let kind = Kind::NoAnswer { question: (*question).to_owned() };
                    faults.push(ContentError::at(&file.path, &file.text, 0, kind));
                }
            }
        }
        if let Some((file, parsed)) = &self.questions {
            faults.extend(parsed.errors(file));
        }
        check_names(self.models.iter().map(|(file, parsed)| (*file, &*parsed.names)), fold, &mut faults);
        check_names(self.licences.iter().map(|(file, parsed)| (*file, &*parsed.names)), licence_name, &mut faults);
        faults
    }

    /// Names of models and licences, and who stands behind them.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let models = self.models.iter().flat_map(|(_, parsed)| parsed.names.iter().map(|name| name.value.as_str()));
        let licences = self.licences.iter().flat_map(|(_, parsed)| parsed.names.iter().map(|name| name.value.as_str()));
        let makers = self.models.iter().flat_map(|(_, parsed)| parsed.record.makers.iter().map(String::as_str));
        let sizes =
            self.models.iter().flat_map(|(_, parsed)| parsed.record.sizes.iter().map(|size| size.name.as_str()));
        models.chain(licences).chain(makers).chain(sizes)
    }

    /// Days on which sources were read.
    pub fn days(&self) -> impl Iterator<Item = (&'a ContentFile, &At<String>)> {
        let models = self.models.iter().map(|(file, parsed)| (*file, &parsed.days));
        let licences = self.licences.iter().map(|(file, parsed)| (*file, &parsed.days));
        models.chain(licences).flat_map(|(file, days)| days.iter().map(move |day| (file, day)))
    }

    /// Sentences of our own.
    pub fn prose(&self) -> impl Iterator<Item = (&'a ContentFile, &At<String>)> {
        let models = self.models.iter().map(|(file, parsed)| (*file, &parsed.prose));
        let licences = self.licences.iter().map(|(file, parsed)| (*file, &parsed.prose));
        let questions = self.questions.iter().map(|(file, parsed)| (*file, &parsed.prose));
        models.chain(licences).chain(questions).flat_map(|(file, texts)| texts.iter().map(move |text| (file, text)))
    }
}

/// Ids that records may name. A file counts by its name too, so that a fault in it is not reported at every link.
struct Known<'a> {
    terms: &'a [&'a str],
    licences: Vec<&'a str>,
    /// `LICENCE/CLAUSE`.
    clauses: BTreeSet<String>,
    questions: Vec<&'a str>,
}

impl<'a> Known<'a> {
    fn of(files: &'a RecordFiles<'_>, terms: &'a [&'a str]) -> Self {
        let clauses = files.licences.iter().flat_map(|(file, parsed)| {
            parsed.record.clauses.iter().map(|clause| format!("{}/{}", stem(file), clause.id))
        });
        let questions = files.questions.iter().flat_map(|(_, parsed)| &parsed.record);
        Self {
            terms,
            licences: files.licences.iter().map(|(file, _)| stem(file)).collect(),
            clauses: clauses.collect(),
            questions: questions.map(|question| question.id.as_str()).collect(),
        }
    }

    fn of_kind(&self, target: Target) -> Vec<&str> {
        match target {
            Target::Term => self.terms.to_vec(),
            Target::Licence => self.licences.clone(),
            Target::Clause => self.clauses.iter().map(String::as_str).collect(),
            Target::Question => self.questions.clone(),
            Target::Lesson | Target::Lab | Target::Source => Vec::new(),
        }
    }
}

fn stem(file: &ContentFile) -> &str {
    let name = file.path.rsplit('/').next().unwrap_or_default();
    name.strip_suffix(".toml").unwrap_or(name)
}

fn check_file<T>(file: &ContentFile, parsed: &Parsed<T>, known: &Known<'_>, faults: &mut Vec<ContentError>) {
    faults.extend(parsed.errors(file));
    let mut fault = |at: usize, kind: Kind| faults.push(ContentError::at(&file.path, &file.text, at, kind));
    let id = &parsed.id;
    if !id.value.is_empty() && !is_kebab(&id.value) {
        fault(id.at, Kind::NotKebab { id: id.value.clone() });
    } else if !id.value.is_empty() && id.value != stem(file) {
        fault(id.at, Kind::WrongId { id: id.value.clone(), wanted: stem(file).into() });
    }
    for link in &parsed.links {
        let names = known.of_kind(link.target);
        // A clause of a licence that is not there has been reported at the licence.
        let is_lost = link.target == Target::Clause
            && !known.licences.iter().any(|licence| link.id.value.starts_with(&format!("{licence}/")));
        if is_lost
            && parsed.links.iter().any(|other| {
                other.target == Target::Licence && link.id.value.starts_with(&format!("{}/", other.id.value))
            })
        {
            continue;
        }
        if !link.id.value.is_empty() && !names.contains(&link.id.value.as_str()) {
            let nearest = nearest(&link.id.value, names.iter().copied());
            fault(link.id.at, Kind::Unknown { target: link.target, id: link.id.value.clone(), nearest });
        }
    }
}

/// No name belongs to two records of a kind.
fn check_names<'a>(
    files: impl Iterator<Item = (&'a ContentFile, &'a [At<String>])>,
    alike: fn(&str) -> String,
    faults: &mut Vec<ContentError>,
) {
    let mut owners: BTreeMap<String, &str> = BTreeMap::new();
    for (file, names) in files {
        for name in names {
            match owners.get(&alike(&name.value)) {
                Some(other) if *other != file.path => {
                    let kind = Kind::SharedName { name: name.value.clone(), other: (*other).into() };
                    faults.push(ContentError::at(&file.path, &file.text, name.at, kind));
                }
                _ => drop(owners.insert(alike(&name.value), &file.path)),
            }
        }
    }
}
