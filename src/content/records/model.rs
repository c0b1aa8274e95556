//! A model's record, `records/models/ID.toml`: what is known of it, and where each fact was read.

use serde::{Deserialize, Serialize};

use super::parts::{Parsed, Reader, Source, Word, plain, word, word_list, words};
use crate::content::error::{ContentErrorKind as Kind, Target};
use crate::content::fields::{At, Faults, Fields};

words! {
    /// What a model reads or writes.
    Medium {
        /// Text.
        #[default]
        Text = "text",
        /// Pictures.
        Image = "image",
        /// Sound.
        Audio = "audio",
        /// Moving pictures.
        Video = "video",
        /// Vectors that stand for texts or pictures.
        Embedding = "embedding",
    }
}

words! {
    /// How open a model is.
    Degree {
        /// Weights, code and data, all under open licences.
        #[default]
        FullyOpen = "fully-open",
        /// The weights can be had.
        OpenWeights = "open-weights",
        /// Anybody may call it over the network.
        OpenApi = "open-api",
        /// Not offered to the public.
        Closed = "closed",
    }
}

words! {
    /// Whether something is published.
    Extent {
        /// It is.
        #[default]
        Yes = "yes",
        /// A part of it.
        Partly = "partly",
        /// It is not.
        No = "no",
        /// We could not find out.
        Unverified = "unverified",
    }
}

words! {
    /// What can be published of a model.
    Part {
        /// The weights.
        #[default]
        Weights = "weights",
        /// Code that runs it.
        InferenceCode = "inference_code",
        /// Code that trained it.
        TrainingCode = "training_code",
        /// The training data.
        Data = "data",
        /// What the data is made of, and how.
        DataRecipe = "data_recipe",
        /// Results, and how they were measured.
        Evaluation = "evaluation",
        /// A model card.
        Card = "card",
        /// A paper or report.
        Paper = "paper",
    }
}

words! {
    /// Whether a model meets the Open Source AI Definition 1.0.
    OsaidVerdict {
        /// It does.
        #[default]
        Meets = "meets",
        /// It does not.
        DoesNotMeet = "does-not-meet",
        /// It cannot be said.
        Open = "open",
    }
}

words! {
    /// A model's class in the Model Openness Framework.
    MofClass {
        /// Open Science Model.
        #[default]
        First = "I",
        /// Open Tooling Model.
        Second = "II",
        /// Open Model.
        Third = "III",
        /// Below the lowest class.
        None = "none",
        /// It cannot be said.
        Open = "open",
    }
}

/// One size of a model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Size {
    /// `8B`.
    pub name: String,
    /// All parameters.
    pub parameters: Option<u64>,
    /// Parameters used for a token, in a mixture of experts.
    pub active: Option<u64>,
    /// Tokens it reads.
    pub context: Option<u64>,
    /// Repository on the Hugging Face Hub.
    pub repository: Option<String>,
    /// Id of its licence where it is not the model's.
    pub licence: Option<String>,
    /// Keys of sources.
    pub source: Vec<String>,
}

/// One thing that may be published.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Published {
    /// Which.
    pub part: Part,
    /// Whether it is.
    pub is: Extent,
    /// What there is.
    pub what: String,
    /// Keys of sources.
    pub source: Vec<String>,
}

/// A verdict with its reasons.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Assessment<T> {
    /// The verdict.
    pub verdict: T,
    /// Whose it is: `osai`, or the body that published it.
    pub by: String,
    /// A sentence for each thing that decides it.
    pub reasons: Vec<String>,
    /// Keys of sources.
    pub source: Vec<String>,
}

/// A clause that matters for a model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClauseName {
    /// Id of the licence.
    pub licence: String,
    /// Id of its clause.
    pub id: String,
}

/// What is known of a model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Model {
    /// Kebab-case, the file's name.
    pub id: String,
    /// Name.
    pub name: String,
    /// Who made it.
    pub makers: Vec<String>,
    /// `YYYY-MM-DD`, `YYYY-MM` or `YYYY`.
    pub released: String,
    /// What it reads.
    pub inputs: Vec<Medium>,
    /// What it writes.
    pub outputs: Vec<Medium>,
    /// Id of the glossary term of its family.
    pub term: Option<String>,
    /// What people type; file names begin with one of them.
    pub aliases: Vec<String>,
    /// How open it is.
    pub degree: Degree,
    /// Id of its licence.
    pub licence: String,
    /// Keys of the sources of the facts above.
    pub source: Vec<String>,
    /// What it is for and what sets it apart.
    pub summary: String,
    /// What could not be found out.
    pub unverified: Vec<String>,
    /// Its sizes, as far as they are published.
    pub sizes: Vec<Size>,
    /// What is published, in the order of [`Part`].
    pub published: Vec<Published>,
    /// The Open Source AI Definition 1.0.
    pub osaid: Assessment<OsaidVerdict>,
    /// The Model Openness Framework.
    pub mof: Assessment<MofClass>,
    /// The clauses that matter, by weight.
    pub clauses: Vec<ClauseName>,
    /// Sources.
    pub sources: Vec<Source>,
}

/// Reads a model's file.
pub fn parse_model(text: &str) -> Parsed<Model> {
    let faults = Faults::new(0);
    let mut fields = faults.table(text);
    let mut reader = Reader::default();
    let id = fields.text("id");
    let model = Model {
        id: id.value.clone(),
        name: reader.name(&mut fields, "name"),
        makers: plain(fields.texts("makers")),
        released: fields.day_or_part("released").map(|day| day.value).unwrap_or_default(),
        inputs: word_list(&mut fields, "inputs"),
        outputs: word_list(&mut fields, "outputs"),
        term: reader.term(&mut fields),
        aliases: reader.aliases(&mut fields),
        degree: word(&mut fields, "degree"),
        licence: licence(&mut reader, &mut fields),
        source: reader.source(&mut fields),
        summary: reader.says(&mut fields, "summary"),
        unverified: reader.sentences(&mut fields, "unverified"),
        sizes: fields.tables("size").into_iter().map(|table| size(&mut reader, table)).collect(),
        published: published(&mut reader, &mut fields),
        osaid: assessment(&mut reader, &mut fields, "osaid", "verdict"),
        mof: assessment(&mut reader, &mut fields, "mof", "class"),
        clauses: fields.tables("clause").into_iter().map(|table| clause(&mut reader, table)).collect(),
        sources: reader.sources(&mut fields),
    };
    fields.finish();
    reader.parsed(model, id, faults)
}

fn licence(reader: &mut Reader, fields: &mut Fields<'_, '_>) -> String {
    let id = fields.text("licence");
    reader.link(Target::Licence, &id);
    id.value
}

fn size(reader: &mut Reader, mut fields: Fields<'_, '_>) -> Size {
    let size = Size {
        name: fields.text("name").value,
        parameters: fields.large_number_if_any("parameters"),
        active: fields.large_number_if_any("active"),
        context: fields.large_number_if_any("context"),
        repository: fields.text_if_any("repository").map(|name| name.value),
        licence: fields.text_if_any("licence").map(|id| {
            reader.link(Target::Licence, &id);
            id.value
        }),
        source: reader.source(&mut fields),
    };
    fields.finish();
    size
}

fn published(reader: &mut Reader, fields: &mut Fields<'_, '_>) -> Vec<Published> {
    let Some(mut table) = fields.table("published") else {
        fields.missing("published");
        return Vec::new();
    };
    let mut published = Vec::new();
    for (part, key) in Part::ALL.iter().zip(Part::WORDS) {
        let Some(mut of_part) = table.table(key) else {
            table.missing(key);
            continue;
        };
        let (is, what) = (word(&mut of_part, "is"), reader.says(&mut of_part, "what"));
        // What could not be found out has no source.
        let has_source = is != Extent::Unverified || of_part.has("source");
        let source = if has_source { reader.source(&mut of_part) } else { Vec::new() };
        published.push(Published { part: *part, is, what, source });
        of_part.finish();
    }
    table.finish();
    published
}

fn assessment<T: Word>(
    reader: &mut Reader,
    fields: &mut Fields<'_, '_>,
    key: &'static str,
    verdict: &'static str,
) -> Assessment<T> {
    let Some(mut table) = fields.table(key) else {
        fields.missing(key);
        return Assessment { verdict: T::default(), by: String::new(), reasons: Vec::new(), source: Vec::new() };
    };
    let assessment = Assessment {
        verdict: word(&mut table, verdict),
        by: table.text("by").value,
        reasons: reader.sentences(&mut table, "reasons"),
        source: reader.source(&mut table),
    };
    if assessment.reasons.is_empty() {
        table.fault(table.at, Kind::Lacks { what: "reasons", remedy: "say in `reasons` what decides it" });
    }
    table.finish();
    assessment
}

fn clause(reader: &mut Reader, mut fields: Fields<'_, '_>) -> ClauseName {
    let (licence, id) = (fields.text("licence"), fields.text("id"));
    reader.link(Target::Clause, &At { value: format!("{}/{}", licence.value, id.value), at: id.at });
    fields.finish();
    ClauseName { licence: licence.value, id: id.value }
}
