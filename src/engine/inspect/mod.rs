//! Judging a model file without running it: what it is, what is in it, what is wrong with it.
//!
//! [`inspect`] reads headers only and gives a [`Report`] of plain data. Nothing is loaded, imported or run, and memory
//! stays bounded whatever a file says of itself. Texts in a report are the file's own words: not safe to print as they
//! are.

mod archive;
mod folder;
mod gguf;
mod memory;
mod npy;
mod onnx;
pub mod pickle;
#[cfg(test)]
mod tests;
mod weights;

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;
use serde_json::Value as Json;

pub use self::archive::{Archive, Member};
pub use self::memory::{Memory, Shape, held_bytes};
use self::pickle::{Judgement, Pickle};
use super::EngineError;
use super::file::{self, Faults, Kind};

/// What is wanted beyond the ordinary.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wanted {
    /// Arrays whole instead of their first items.
    pub all: bool,
    /// Memory for that many tokens; the model's own limit if not given.
    pub context: Option<u64>,
}

/// What is to be thought of a file. The worse is the greater.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Every check passed.
    #[default]
    Sound,
    /// Something in it cannot be judged.
    Unknown,
    /// It is not as its format demands.
    Damaged,
    /// Loading it, as its usual library does, would run code or leave its folder.
    Dangerous,
}

/// What a file or folder is and holds.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The file or folder.
    pub path: String,
    /// What it is by its first bytes; `null` for a folder.
    pub kind: Option<Kind>,
    /// The format in words, with its version.
    pub format: String,
    /// Size of the file, or of all files looked at.
    pub bytes: u64,
    /// SHA-256, lower-case hex, where it was asked for.
    pub sha256: Option<String>,
    /// What is to be thought of it.
    pub verdict: Verdict,
    /// The checks that failed.
    pub faults: Faults,
    /// What is unusual and does no harm by itself.
    pub remarks: Faults,
    /// Architecture, licence and the like.
    pub facts: Vec<Fact>,
    /// Memory that the model needs, if its shape is known.
    pub memory: Option<Memory>,
    /// The tokenizer in short.
    pub tokenizer: Vec<Fact>,
    /// The chat template.
    pub template: Option<String>,
    /// Keys and values; long arrays are cut unless all was wanted.
    pub metadata: BTreeMap<String, Json>,
    /// Tensors by type.
    pub totals: Vec<Total>,
    /// All tensors, in the order of the file.
    pub tensors: Vec<Tensor>,
    /// Pickles in it.
    pub pickles: Vec<Found>,
    /// Files of an archive.
    pub members: Vec<Member>,
    /// Files of a folder.
    pub parts: Vec<Self>,
}

/// A name and a value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fact {
    /// `architecture`.
    pub name: String,
    /// `llama`.
    pub value: String,
}

/// A tensor.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Tensor {
    /// Name.
    pub name: String,
    /// Type, in its format's words.
    pub dtype: String,
    /// Dimensions, outermost first.
    pub shape: Vec<u64>,
    /// Its bytes.
    pub bytes: u64,
    /// Where they begin, if they are in this file.
    pub at: Option<u64>,
    /// The file they are in, if it is another or a member.
    pub file: Option<String>,
}

/// The tensors of one type.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Total {
    /// Type.
    pub dtype: String,
    /// How many.
    pub tensors: u64,
    /// Numbers in them.
    pub numbers: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// A pickle and where it was found.
#[derive(Clone, Debug, Serialize)]
pub struct Found {
    /// The member of the archive; `null` for the file itself.
    pub member: Option<String>,
    /// What it does.
    #[serde(flatten)]
    pub pickle: Pickle,
}

/// How often something occurs in a file, and where first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Places {
    /// How often.
    pub count: u64,
    /// The bytes of the file where, the first ones; within an unpacked member, counted from its start.
    pub first: Vec<u64>,
}

impl Places {
    /// Places that are kept.
    const KEPT: usize = 20;

    fn add(&mut self, at: usize) {
        self.count += 1;
        if self.first.len() < Self::KEPT {
            self.first.push(at as u64);
        }
    }
}

/// Looks at a file or a folder.
///
/// # Errors
/// [`EngineError::Unreadable`]: it is not there, is no regular file, or may not be read. All that is wrong *in* a file
/// is in the report.
pub fn inspect(path: &Path, wanted: &Wanted) -> Result<Report, EngineError> {
    if path.is_dir() {
        return folder::read(path, wanted);
    }
    let map = file::map(path)?;
    Ok(inspect_bytes(&map, path, wanted))
}

/// Looks at a file's bytes; `path` tells only its name.
pub fn inspect_bytes(bytes: &[u8], path: &Path, wanted: &Wanted) -> Report {
    let kind = kind_of(bytes, path);
    let mut report = Report::new(path, kind, bytes.len() as u64);
    match kind {
        Kind::Gguf => gguf::read(bytes, wanted, &mut report),
        Kind::Safetensors => weights::read_safetensors(bytes, &mut report),
        Kind::Zip => weights::read_zip(bytes, &mut report),
        Kind::Pickle => weights::read_pickle(bytes, 0, None, &mut report),
        Kind::Npy => weights::read_npy(bytes, 0, None, &mut report),
        Kind::Onnx => weights::read_onnx(bytes, &mut report),
        Kind::Program | Kind::Script => {
            report.verdict = Verdict::Dangerous;
            report.faults.at(0, format_args!("it is {}", kind.advice()));
        }
        Kind::Empty | Kind::LfsPointer | Kind::WebPage => report.faults.at(0, format_args!("it is {}", kind.advice())),
        Kind::Json => report.unknown(format_args!("it is {}", kind.advice())),
        _ => report.unknown(format_args!("it is {}; osai cannot look into it", kind.advice())),
    }
    report.finish();
    report
}

/// The kind by the first bytes, else by what the file's name promises.
fn kind_of(bytes: &[u8], path: &Path) -> Kind {
    let extension = path.extension().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    match (Kind::of(bytes), extension.as_str()) {
        (Kind::Unknown, "safetensors") => Kind::Safetensors,
        (Kind::Unknown, "onnx") => Kind::Onnx,
        (Kind::Unknown | Kind::Json, _) if pickle::looks_like_pickle(bytes) => Kind::Pickle,
        (Kind::Unknown, "pkl" | "pickle" | "pt" | "pth" | "bin" | "ckpt" | "joblib" | "dill") if !bytes.is_empty() => {
            Kind::Pickle
        }
        (kind, _) => kind,
    }
}

impl Report {
    fn new(path: &Path, kind: impl Into<Option<Kind>>, bytes: u64) -> Self {
        let kind = kind.into();
        Self {
            path: path.to_string_lossy().into_owned(),
            kind,
            format: kind.map_or("a folder", Kind::name).to_owned(),
            bytes,
            sha256: None,
            verdict: Verdict::Sound,
            faults: Faults::default(),
            remarks: Faults::default(),
            facts: Vec::new(),
            memory: None,
            tokenizer: Vec::new(),
            template: None,
            metadata: BTreeMap::new(),
            totals: Vec::new(),
            tensors: Vec::new(),
            pickles: Vec::new(),
            members: Vec::new(),
            parts: Vec::new(),
        }
    }

    fn fact(&mut self, name: &str, value: impl ToString) {
        self.facts.push(Fact { name: name.to_owned(), value: value.to_string() });
    }

    /// Something that keeps the file from being called sound.
    fn unknown(&mut self, what: impl std::fmt::Display) {
        self.verdict = self.verdict.max(Verdict::Unknown);
        self.remarks.add(None, what);
    }

    /// Adds up the tensors and gives the verdict.
    fn finish(&mut self) {
        let mut totals: BTreeMap<&str, Total> = BTreeMap::new();
        for tensor in &self.tensors {
            let total = totals.entry(&tensor.dtype).or_insert_with(|| Total {
                dtype: tensor.dtype.clone(),
                tensors: 0,
                numbers: 0,
                bytes: 0,
            });
            total.tensors += 1;
            let numbers = tensor.shape.iter().try_fold(1_u64, |n, d| n.checked_mul(*d));
            total.numbers = total.numbers.saturating_add(numbers.unwrap_or(0));
            total.bytes = total.bytes.saturating_add(tensor.bytes);
        }
        self.totals = totals.into_values().collect();
        self.totals.sort_by_key(|total| std::cmp::Reverse(total.bytes));
        if !self.faults.is_empty() {
            self.verdict = self.verdict.max(Verdict::Damaged);
        }
        for found in &self.pickles {
            self.verdict = self.verdict.max(match found.pickle.judgement {
                Judgement::Safe => Verdict::Sound,
                Judgement::Unknown => Verdict::Unknown,
                Judgement::Dangerous => Verdict::Dangerous,
            });
        }
        self.verdict = self.parts.iter().map(|part| part.verdict).fold(self.verdict, Verdict::max);
    }

    /// The verdict in a sentence.
    pub fn sentence(&self) -> &'static str {
        match self.verdict {
            Verdict::Sound if self.pickles.is_empty() => "sound: every check passed, and opening it runs no code",
            Verdict::Sound => "safe imports only: what it imports is what checkpoints need; osai still never opens it",
            Verdict::Unknown => {
                "unknown: it holds something that cannot be judged; do not load it unless you trust its source"
            }
            Verdict::Damaged => {
                "damaged or hostile: it is not as its format demands; fetch it again from a source you trust"
            }
            Verdict::Dangerous => "dangerous: loading it would run code of its maker's; do not load it",
        }
    }
}
