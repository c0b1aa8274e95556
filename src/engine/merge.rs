//! Merging models: one file whose weights are computed from those of several of the same shape.
//!
//! Source of the methods: Wortsman et al., 2022 (linear, "model soups"); Shoemake, 1985 (SLERP, here over a tensor's
//! numbers taken as one vector, as mergekit does); Ilharco et al., 2022 (task arithmetic); Yadav et al., 2023 (TIES).

use std::ops::{ControlFlow, Range};
use std::path::Path;

use super::EngineError;
use super::gguf::{Gguf, TensorInfo, Value};
use super::quantize::{Progress, Recipe, Report, decode};
use super::rewrite::{self, Rewrite, Rows, rewrite};

/// Weights that are read at once where a whole tensor has to be looked at first.
const SLAB: usize = 1 << 20;
/// Vectors nearer than this to one line are mixed linearly: the arc's sine is too small to divide by.
const NEARLY_PARALLEL: f64 = 0.9995;

/// How models become one.
#[derive(Clone, Debug, PartialEq)]
pub enum Method {
    /// The weighted mean: `Σ wᵢ modelᵢ / Σ wᵢ`.
    Linear {
        /// One a model; their sum is not 0.
        weights: Vec<f32>,
    },
    /// From the first (0) to the second (1) along the arc between them instead of the chord, so that the length of
    /// each tensor stays. For two models.
    Slerp {
        /// How far, `0.0..=1.0`.
        t: f32,
    },
    /// `base + Σ wᵢ (modelᵢ − base)`: what fine-tunes learnt, added up; a negative weight unlearns it.
    Task {
        /// One a model.
        weights: Vec<f32>,
    },
    /// As `Task`, but of each difference only the largest numbers stay, and where models disagree about a sign the
    /// weightier side wins and the other's numbers are left out of the mean.
    Ties {
        /// One a model, above 0.
        weights: Vec<f32>,
        /// Share of each tensor's differences that stays, above 0 and at most 1.
        density: f32,
    },
}

impl Method {
    /// `slerp`, as on the command line and in the file that it makes.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Linear { .. } => "linear",
            Self::Slerp { .. } => "slerp",
            Self::Task { .. } => "task",
            Self::Ties { .. } => "ties",
        }
    }

    /// Its numbers, one a model.
    fn weights(&self) -> Vec<f32> {
        match self {
            Self::Linear { weights } | Self::Task { weights } | Self::Ties { weights, .. } => weights.clone(),
            Self::Slerp { t } => vec![1.0 - t, *t],
        }
    }

    fn check(&self, models: usize, has_base: bool) -> Result<(), String> {
        let weights = self.weights();
        if weights.len() != models {
            return Err(match self {
                Self::Slerp { .. } => format!("slerp goes from one model to another, and {models} were given"),
                _ => format!("{} weights for {models} models; give one for each", weights.len()),
            });
        }
        if let Some(weight) = weights.iter().find(|weight| !weight.is_finite()) {
            return Err(format!("a weight is a number, not {weight}"));
        }
        match self {
            Self::Linear { weights } if weights.iter().map(|w| f64::from(*w)).sum::<f64>() == 0.0 => {
                Err("the weights of a mean add up to 0".into())
            }
            Self::Slerp { t } if !(0.0..=1.0).contains(t) => Err(format!("slerp goes from 0 to 1, not to {t}")),
            Self::Ties { weights, .. } if weights.iter().any(|weight| *weight <= 0.0) => {
                Err("the weights of ties are above 0".into())
            }
            Self::Ties { density, .. } if !(*density > 0.0 && *density <= 1.0) => {
                Err(format!("the density is above 0 and at most 1, not {density}"))
            }
            Self::Linear { .. } | Self::Slerp { .. } if has_base => {
                Err(format!("{} has no base; it mixes the models themselves", self.name()))
            }
            Self::Task { .. } | Self::Ties { .. } if !has_base => {
                Err(format!("{} needs the base that the models were made from", self.name()))
            }
            _ => Ok(()),
        }
    }
}

/// Writes a merge of `models` to `path`; keys and tokenizer are the first one's, as are the types, unless a recipe
/// gives others. `None` when `each` said stop.
///
/// # Errors
/// [`EngineError::BadSetting`] for weights that do not fit the method, and for models whose shapes, tensors or
/// tokenizers differ, by name; else as `quantize`.
pub fn merge(
    models: &[&Gguf],
    base: Option<&Gguf>,
    method: &Method,
    target: Target<'_>,
    each: &mut dyn FnMut(Progress<'_>) -> ControlFlow<()>,
) -> Result<Option<Report>, EngineError> {
    method.check(models.len(), base.is_some()).map_err(|what| EngineError::BadSetting { what })?;
    let (first, others) = models.split_first().expect("checked against the weights");
    for other in others.iter().copied().chain(base) {
        alike(first, other).map_err(|why| EngineError::BadSetting {
            what: format!("`{}` and `{}` cannot be merged: {why}", first.path.display(), other.path.display()),
        })?;
    }
    let mut writer = rewrite::keys(first, target.recipe);
    let name = |file: &Gguf| {
        let stem = file.path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        file.text("general.name").map_or(stem, str::to_owned)
    };
    let names: Vec<String> = models.iter().copied().chain(base).map(name).collect();
    writer.set("general.name", format!("{} ({})", names[..models.len()].join(" + "), method.name()));
    writer.set("general.base_model.count", names.len() as u32);
    for (index, name) in names.iter().enumerate() {
        writer.set(&format!("general.base_model.{index}.name"), name.as_str());
    }
    writer.set("osai.merge.method", method.name());
    writer.set("osai.merge.weights", method.weights().as_slice());
    if let Method::Ties { density, .. } = method {
        writer.set("osai.merge.density", *density);
    }
    let weights = |tensor: &TensorInfo| -> Result<Option<Rows<'_>>, EngineError> {
        let of = |file| Source::of(file, tensor);
        let merged = Merged { models: models.iter().copied().map(of).collect(), base: base.map(of) };
        merged.rows(method).map(Some)
    };
    let choices = rewrite::choices(first, target.recipe);
    rewrite(first, Rewrite { writer, choices, weights: &weights, threads: target.threads }, target.path, each)
}

/// Where a merge goes.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// The new file.
    pub path: &'a Path,
    /// Its types; `None` for those of the first model.
    pub recipe: Option<Recipe>,
    /// Threads, 1 or more.
    pub threads: usize,
}

/// Whether two files are models of the same kind: architecture, shape, tensors, tokenizer.
fn alike(a: &Gguf, b: &Gguf) -> Result<(), String> {
    let architecture = a.text("general.architecture").unwrap_or("(none named)");
    let other = b.text("general.architecture").unwrap_or("(none named)");
    if architecture != other {
        return Err(format!("one is {architecture}, the other {other}"));
    }
    // How far a model was stretched or read in training may differ; what shapes the computation may not.
    let own = format!("{architecture}.");
    let shapes = |key: &str| key.starts_with(&own) && key != format!("{own}context_length");
    let tokenizer =
        |key: &str| ["model", "pre", "tokens", "merges"].iter().any(|part| key == format!("tokenizer.ggml.{part}"));
    for (key, _) in a.keys().filter(|(key, _)| shapes(key) || tokenizer(key)) {
        if b.value(key).is_some() && !same_value(a, b, key) {
            return Err(match (a.value(key), b.value(key)) {
                (Some(Value::Array { .. }), _) | (_, Some(Value::Array { .. })) => format!("`{key}` differs"),
                (x, y) => format!("`{key}` is {} in one and {} in the other", shown(x), shown(y)),
            });
        }
    }
    let missing = |from: &Gguf, other: &Gguf| from.tensors().find(|t| other.tensor(&t.name).is_none()).cloned();
    if let Some(tensor) = missing(a, b).or_else(|| missing(b, a)) {
        return Err(format!("only one of them has the tensor `{}`", tensor.name));
    }
    for tensor in a.tensors() {
        let other = b.tensor(&tensor.name).expect("looked for above");
        if tensor.shape != other.shape {
            return Err(format!(
                "`{}` has the shape {:?} in one and {:?} in the other",
                tensor.name, tensor.shape, other.shape
            ));
        }
    }
    Ok(())
}

fn same_value(a: &Gguf, b: &Gguf, key: &str) -> bool {
    match (a.value(key), b.value(key)) {
        (Some(Value::Array { item: x, len: n, .. }), Some(Value::Array { item: y, len: m, .. })) => {
            (x, n) == (y, m)
                && a.texts(key) == b.texts(key)
                && a.words(key, |word| word) == b.words(key, |word| word)
                && a.bools(key) == b.bools(key)
        }
        (x, y) => x == y,
    }
}

fn shown(value: Option<&Value>) -> String {
    match value {
        Some(Value::Int(n)) => n.to_string(),
        Some(Value::Float(x)) => x.to_string(),
        Some(Value::Bool(b)) => b.to_string(),
        Some(Value::Text(text)) => format!("`{text}`"),
        Some(Value::Array { len, .. }) => format!("a list of {len}"),
        None => "nothing".into(),
    }
}

/// A tensor in one of the files.
#[derive(Clone)]
struct Source<'a> {
    file: &'a Gguf,
    tensor: TensorInfo,
}

impl<'a> Source<'a> {
    fn of(file: &'a Gguf, tensor: &TensorInfo) -> Self {
        Self { file, tensor: file.tensor(&tensor.name).expect("the files are alike").clone() }
    }

    /// Rows, of whatever has the width of the last dimension.
    fn rows(&self) -> usize {
        self.tensor.shape[..self.tensor.shape.len() - 1].iter().product()
    }

    fn columns(&self) -> usize {
        self.tensor.shape[self.tensor.shape.len() - 1]
    }

    fn read(&self, rows: Range<usize>) -> Result<Vec<f32>, EngineError> {
        let bytes = self.file.bytes(&self.tensor);
        let row = bytes.len() / self.rows();
        let bad = |why: String| self.file.bad(format!("the tensor `{}` {why}", self.tensor.name));
        let numbers = decode(&bytes[rows.start * row..rows.end * row], self.tensor.ggml_type)
            .map_err(|why| bad(format!("cannot be read: {why}")))?;
        match numbers.iter().find(|x| !x.is_finite()) {
            None => Ok(numbers),
            Some(strange) => Err(bad(format!("has a weight that is {strange}"))),
        }
    }

    /// Pieces of it in order, for a look at all of it.
    fn slabs(&self) -> impl Iterator<Item = Range<usize>> + use<> {
        let (rows, slab) = (self.rows(), (SLAB / self.columns()).max(1));
        (0..rows).step_by(slab).map(move |start| start..(start + slab).min(rows))
    }
}

/// A tensor in all files.
struct Merged<'a> {
    models: Vec<Source<'a>>,
    base: Option<Source<'a>>,
}

impl<'a> Merged<'a> {
    /// What computes its rows.
    fn rows(self, method: &Method) -> Result<Rows<'a>, EngineError> {
        Ok(match method {
            Method::Linear { weights } => {
                let total: f64 = weights.iter().map(|weight| f64::from(*weight)).sum();
                let shares = weights.iter().map(|weight| f64::from(*weight) / total).collect();
                sum(self.models, shares)
            }
            Method::Slerp { t } => {
                let shares = self.arc(f64::from(*t))?;
                sum(self.models, shares)
            }
            Method::Task { weights } => {
                // `base + Σ w (model − base)` is a sum with the base's share `1 − Σ w`.
                let mut shares: Vec<f64> = weights.iter().map(|weight| f64::from(*weight)).collect();
                shares.push(1.0 - shares.iter().sum::<f64>());
                sum(self.models.into_iter().chain(self.base).collect(), shares)
            }
            Method::Ties { weights, density } => self.ties(weights.clone(), *density)?,
        })
    }

    /// The shares of two tensors at `t` on the arc between them.
    fn arc(&self, t: f64) -> Result<Vec<f64>, EngineError> {
        let [a, b] = self.models.as_slice() else { unreachable!("checked: slerp has two models") };
        let (mut aa, mut bb, mut ab) = (0.0, 0.0, 0.0);
        for slab in a.slabs() {
            for (x, y) in a.read(slab.clone())?.into_iter().zip(b.read(slab)?) {
                let (x, y) = (f64::from(x), f64::from(y));
                aa += x * x;
                bb += y * y;
                ab += x * y;
            }
        }
        let lengths = (aa * bb).sqrt();
        let cosine = if lengths > 0.0 { (ab / lengths).clamp(-1.0, 1.0) } else { 1.0 };
        if cosine.abs() > NEARLY_PARALLEL {
            return Ok(vec![1.0 - t, t]);
        }
        let angle = libm::acos(cosine);
        let sine = libm::sin(angle);
        Ok(vec![libm::sin((1.0 - t) * angle) / sine, libm::sin(t * angle) / sine])
    }

    fn ties(self, weights: Vec<f32>, density: f32) -> Result<Rows<'a>, EngineError> {
        let base = self.base.expect("checked: ties has a base");
        let models = self.models;
        let mut smallest = Vec::with_capacity(models.len());
        for model in &models {
            smallest.push(magnitude_of_rank(model, &base, density)?);
        }
        Ok(Box::new(move |rows| {
            let mut out = base.read(rows.clone())?;
            let mut differences = Vec::with_capacity(models.len());
            for (model, smallest) in models.iter().zip(&smallest) {
                let mut difference = model.read(rows.clone())?;
                for (x, base) in difference.iter_mut().zip(&out) {
                    *x -= base;
                    if x.abs() < *smallest {
                        *x = 0.0;
                    }
                }
                differences.push(difference);
            }
            for (index, out) in out.iter_mut().enumerate() {
                let weighted = || differences.iter().zip(&weights).map(|(d, w)| (f64::from(d[index]), f64::from(*w)));
                let elected = weighted().map(|(x, weight)| x * weight).sum::<f64>();
                let agree = || weighted().filter(|(x, _)| x * elected > 0.0);
                let total: f64 = agree().map(|(_, weight)| weight).sum();
                if total > 0.0 {
                    *out += (agree().map(|(x, weight)| x * weight).sum::<f64>() / total) as f32;
                }
            }
            Ok(out)
        }))
    }
}

/// `Σ share · tensor`, each number in f64, rounded once.
fn sum(sources: Vec<Source<'_>>, shares: Vec<f64>) -> Rows<'_> {
    Box::new(move |rows| {
        let mut total = vec![0.0_f64; rows.len() * sources[0].columns()];
        // A share of nothing takes nothing, so that a merge at the end of its range is the model there.
        for (source, share) in sources.iter().zip(&shares).filter(|(_, share)| **share != 0.0) {
            for (total, x) in total.iter_mut().zip(source.read(rows.clone())?) {
                *total += share * f64::from(x);
            }
        }
        Ok(total.into_iter().map(|x| x as f32).collect())
    })
}

/// The magnitude that `density` of the differences between two tensors have or exceed, found exactly and without
/// holding them: sizes of positive floats are ordered as their bits are, so two counts of 16 bits each find it.
fn magnitude_of_rank(model: &Source<'_>, base: &Source<'_>, density: f32) -> Result<f32, EngineError> {
    let count = |shift: u32, high: Option<u32>| -> Result<Vec<u64>, EngineError> {
        let mut counts = vec![0; 1 << 16];
        for slab in base.slabs() {
            for (x, base) in model.read(slab.clone())?.into_iter().zip(base.read(slab)?) {
                let bits = (x - base).abs().to_bits();
                if high.is_none_or(|high| bits >> 16 == high) {
                    counts[(bits >> shift & 0xFFFF) as usize] += 1;
                }
            }
        }
        Ok(counts)
    };
    let total = (base.rows() * base.columns()) as f64;
    let mut wanted = ((total * f64::from(density)).round() as u64).max(1);
    let mut place = |counts: Vec<u64>| {
        for (value, count) in counts.into_iter().enumerate().rev() {
            if count >= wanted {
                return value as u32;
            }
            wanted -= count;
        }
        0
    };
    let high = place(count(16, None)?);
    let low = place(count(0, Some(high))?);
    Ok(f32::from_bits(high << 16 | low))
}

#[cfg(test)]
mod tests;
