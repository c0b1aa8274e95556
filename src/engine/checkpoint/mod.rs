//! A model's tensors, wherever they lie: one GGUF file, or a Hugging Face folder.

mod names;

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ops::Range;
use std::path::Path;

pub use names::{Part, Slot};

use super::EngineError;
use super::gguf::{GgmlType, Gguf, TensorInfo};
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

/// The tensors of a model.
#[derive(Debug)]
pub struct Checkpoint<'a> {
    file: &'a Gguf,
    taken: RefCell<BTreeSet<String>>,
}

impl<'a> Checkpoint<'a> {
    /// The tensors of a GGUF file.
    pub fn gguf(file: &'a Gguf) -> Self {
        Self { file, taken: RefCell::default() }
    }

    /// A tensor, if it is there.
    pub fn find(&self, slot: Slot) -> Option<TensorView<'a>> {
        let info = self.file.tensor(&slot.gguf())?;
        self.taken.borrow_mut().insert(info.name.clone());
        Some(view(self.file, info))
    }

    /// A tensor that must be there with this shape.
    ///
    /// # Errors
    /// [`EngineError::BadFile`] when it is missing or has another shape.
    pub fn get(&self, slot: Slot, shape: &[usize]) -> Result<TensorView<'a>, EngineError> {
        let missing = || self.file.bad(format!("the tensor `{}` is missing", slot.gguf()));
        self.find(slot).ok_or_else(missing)?.expect(shape)
    }

    /// Fails when the file has weights in its layers that nobody asked for: then it is not the model that it says, and
    /// would run wrongly without a word.
    ///
    /// # Errors
    /// [`EngineError::Unsupported`] with the first such tensor.
    pub fn all_used(&self, architecture: &str) -> Result<(), EngineError> {
        let taken = self.taken.borrow();
        // Frequencies are read with the configuration; a rotation table is what we compute ourselves.
        let known = |name: &str| name.contains("rope_f") || name.contains("rot_embd");
        let unused = self.file.tensors().find(|t| !taken.contains(&t.name) && !known(&t.name));
        match unused {
            None => Ok(()),
            Some(tensor) => Err(EngineError::Unsupported {
                what: format!("the tensor `{}` in a model of the architecture `{architecture}`", tensor.name),
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
    }
}
