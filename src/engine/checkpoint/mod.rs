//! A model's tensors, wherever they lie: one GGUF file, or a Hugging Face folder.

mod folder;
mod names;

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use memmap2::Mmap;

pub use folder::Folder;
pub use names::{Part, Slot};

use super::EngineError;
use super::config::Config;
use super::gguf::{GgmlType, Gguf, TensorInfo};
use super::safetensors::Safetensors;
use super::weights::dequantize;

/// A tensor in its file, not yet read.
#[derive(Clone, Debug)]
pub struct TensorView<'a> {
    /// The file, for messages.
    pub path: &'a Path,
    /// Its name there.
    pub name: String,
    /// Dimensions, outermost first.
    pub shape: Vec<usize>,
    /// How its numbers are stored.
    pub ggml_type: GgmlType,
    /// The numbers.
    pub bytes: &'a [u8],
    /// The mapped file that they are part of.
    pub map: &'a Arc<Mmap>,
}

impl<'a> TensorView<'a> {
    /// Some rows of a matrix, or items of whatever is outermost.
    ///
    /// # Panics
    /// When the range is outside; the caller has checked the shape.
    pub fn rows(&self, range: Range<usize>) -> Self {
        let size = self.bytes.len() / self.shape[0];
        let mut shape = self.shape.clone();
        shape[0] = range.len();
        Self { shape, bytes: &self.bytes[range.start * size..range.end * size], ..self.clone() }
    }

    /// The `index`-th of what is outermost, one dimension less.
    ///
    /// # Panics
    /// As [`TensorView::rows`].
    pub fn item(&self, index: usize) -> Self {
        let mut item = self.rows(index..index + 1);
        item.shape.remove(0);
        item
    }

    /// Checks the shape.
    ///
    /// # Errors
    /// [`EngineError::BadFile`] that names both shapes.
    pub fn expect(self, shape: &[usize]) -> Result<Self, EngineError> {
        // A list may be written as a matrix of one row.
        let plain: Vec<usize> = self.shape.iter().copied().skip_while(|n| *n == 1 && shape.len() == 1).collect();
        if self.shape == shape || plain == shape {
            return Ok(Self { shape: shape.to_vec(), ..self });
        }
        Err(self.bad(format!("has the shape {:?}, not {shape:?}", self.shape)))
    }

    /// All numbers as floats.
    ///
    /// # Errors
    /// [`EngineError::BadFile`] when the bytes cannot be read.
    pub fn to_f32(&self) -> Result<Vec<f32>, EngineError> {
        dequantize(self)
    }

    /// An error about this tensor.
    pub fn bad(&self, why: impl std::fmt::Display) -> EngineError {
        EngineError::BadFile { path: self.path.into(), why: format!("the tensor `{}` {why}", self.name) }
    }
}

/// The tensors of a model, asked for by their place in a decoder.
#[derive(Debug)]
pub struct Checkpoint<'a> {
    source: Source<'a>,
    taken: RefCell<BTreeSet<String>>,
}

#[derive(Clone, Copy, Debug)]
enum Source<'a> {
    Gguf(&'a Gguf),
    /// A folder, and whether its model norms what comes out of attention: the same name means another norm then.
    Folder(&'a Folder, bool),
}

impl<'a> Checkpoint<'a> {
    /// The tensors of a GGUF file.
    pub fn gguf(file: &'a Gguf) -> Self {
        Self { source: Source::Gguf(file), taken: RefCell::default() }
    }

    /// The tensors of a Hugging Face folder.
    pub fn folder(folder: &'a Folder, config: &Config) -> Self {
        Self { source: Source::Folder(folder, config.post_norm), taken: RefCell::default() }
    }

    /// A tensor, if it is there in a type that can be read.
    pub fn find(&self, slot: Slot) -> Option<TensorView<'a>> {
        let view = match self.source {
            Source::Gguf(file) => view(file, file.tensor(&slot.gguf())?),
            Source::Folder(folder, post_norm) => {
                let names = slot.hf(post_norm);
                // The output layer stands outside of what the prefix names.
                let info = names.iter().find_map(|name| {
                    let weights = &folder.weights;
                    weights.tensor(&format!("{}{name}", folder.prefix)).or_else(|| weights.tensor(name))
                })?;
                safetensors_view(&folder.weights, info)
            }
        };
        self.taken.borrow_mut().insert(view.name.clone());
        Some(view)
    }

    /// A tensor that must be there with this shape.
    ///
    /// # Errors
    /// [`EngineError::BadFile`] when it is missing or has another shape, [`EngineError::Unsupported`] for a type that
    /// cannot be read.
    pub fn get(&self, slot: Slot, shape: &[usize]) -> Result<TensorView<'a>, EngineError> {
        match self.find(slot) {
            Some(view) => view.expect(shape),
            None => Err(self.missing(slot)),
        }
    }

    fn missing(&self, slot: Slot) -> EngineError {
        match self.source {
            Source::Gguf(file) => file.bad(format!("the tensor `{}` is missing", slot.gguf())),
            Source::Folder(folder, post_norm) => {
                let names = slot.hf(post_norm);
                let name = format!("{}{}", folder.prefix, names.first().map_or("", String::as_str));
                match folder.weights.require(&name) {
                    Err(error) => error,
                    Ok(_) => folder.weights.bad(format!("the tensor `{name}` is missing")),
                }
            }
        }
    }

    /// Fails when there are weights in the model's layers that nobody asked for: then it is not the model that it says
    /// it is, and would run wrongly without a word.
    ///
    /// # Errors
    /// [`EngineError::Unsupported`] with the first such tensor.
    pub fn all_used(&self, architecture: &str) -> Result<(), EngineError> {
        let taken = self.taken.borrow();
        // Frequencies are read with the configuration or computed anew.
        let known = |name: &str| ["rope_f", "rot_embd", "rotary_emb"].iter().any(|part| name.contains(part));
        let unused = |name: &&str| !taken.contains(*name) && !known(name);
        let found = match self.source {
            Source::Gguf(file) => file.tensors().map(|t| t.name.as_str()).find(unused).map(str::to_owned),
            // Other parts of the folder (an image encoder) lie outside the language model's layers.
            Source::Folder(folder, _) => {
                let layers = format!("{}layers.", folder.prefix);
                let all = folder.weights.tensors().map(|t| t.name.as_str());
                let all = all.chain(folder.weights.others().map(|(name, _)| name));
                all.filter(|name| name.starts_with(&layers)).find(unused).map(str::to_owned)
            }
        };
        match found {
            None => Ok(()),
            Some(name) => Err(EngineError::Unsupported {
                what: format!("the tensor `{name}` in a model of the architecture `{architecture}`"),
                supported: "the tensors that this architecture is known to have".into(),
            }),
        }
    }
}

/// A tensor of a GGUF file.
pub fn view<'a>(file: &'a Gguf, info: &TensorInfo) -> TensorView<'a> {
    TensorView {
        path: &file.path,
        name: info.name.clone(),
        shape: info.shape.clone(),
        ggml_type: info.ggml_type,
        bytes: file.bytes(info),
        map: file.map(),
    }
}

/// A tensor of a safetensors file or set.
pub fn safetensors_view<'a>(weights: &'a Safetensors, info: &TensorInfo) -> TensorView<'a> {
    TensorView {
        path: &weights.path,
        name: info.name.clone(),
        shape: info.shape.clone(),
        ggml_type: info.ggml_type,
        map: weights.map(info),
        bytes: weights.bytes(info),
    }
}
