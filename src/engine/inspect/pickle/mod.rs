//! Python pickles: what they would import and call, told without doing it.
//!
//! A pickle is a program for a small stack machine that may call any function of any module. [`scan`] steps through it
//! with a stack of its own on which stand only texts, names and tuples, so that names built on the stack or fetched
//! from the memo are resolved; nothing is imported and nothing is called. A fault in the pickle does not clear it: the
//! real machine would have done all that stands before the fault.

mod judge;
mod machine;
mod ops;
#[cfg(test)]
mod tests;

use serde::Serialize;

use super::Places;
use crate::engine::file::Faults;
pub use judge::Judgement;
pub(super) use ops::number;

/// What pickles in a row do, and what is to be thought of it.
#[derive(Clone, Debug, Serialize)]
pub struct Pickle {
    /// How many pickles stand one behind the other (PyTorch before 1.6 wrote five).
    pub pickles: usize,
    /// Highest protocol.
    pub protocol: u8,
    /// Instructions read.
    pub instructions: u64,
    /// Bytes read; what follows is no pickle.
    pub bytes: u64,
    /// What is imported.
    pub imports: Vec<Import>,
    /// What is called or changed.
    pub calls: Vec<Call>,
    /// Tensors that the pickle describes.
    pub tensors: Vec<Described>,
    /// What is wrong with it.
    pub faults: Faults,
    /// The worst of all imports and calls.
    pub judgement: Judgement,
}

/// A name that is imported.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Import {
    /// `os.system`.
    pub name: String,
    /// `GLOBAL`, `STACK_GLOBAL`, `INST`, `EXT1`.
    pub instruction: &'static str,
    /// What is to be thought of it.
    pub judgement: Judgement,
    /// Whether it stands in a pickle inside a text or bytes of the pickle.
    pub nested: bool,
    /// Where.
    pub places: Places,
}

/// Something that is called, made or changed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Call {
    /// `REDUCE`, `NEWOBJ`, `BUILD`, `OBJ`, `INST`.
    pub instruction: &'static str,
    /// The import; `None` for something that the pickle computed.
    pub target: Option<String>,
    /// Where.
    pub places: Places,
}

/// A tensor as `_rebuild_tensor_v2` would make it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Described {
    /// Key under which it stands.
    pub name: String,
    /// `torch.FloatStorage`.
    pub storage: String,
    /// Name of the file in the archive that holds its numbers.
    pub key: String,
    /// Dimensions, outermost first.
    pub shape: Vec<u64>,
}

/// Steps through the pickles at the start of `bytes`; offsets are told from `base` on.
pub fn scan(bytes: &[u8], base: usize) -> Pickle {
    machine::scan(bytes, base, 0)
}

/// Whether bytes without a mark are a pickle all the same: read to its end without a fault, with an import in it.
pub fn looks_like_pickle(bytes: &[u8]) -> bool {
    let starts_well =
        bytes.first().is_some_and(|b| matches!(b, b'(' | b'c' | b']' | b'}' | b')' | 0x80 | b'i' | b'l' | b'd'));
    starts_well && {
        let found = scan(bytes, 0);
        found.pickles > 0 && !found.imports.is_empty()
    }
}
