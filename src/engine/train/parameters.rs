//! Named tensors in one run of numbers, as optimisers and checkpoints want them.

use std::collections::BTreeMap;
use std::ops::Range;

use sha2::{Digest, Sha256};

/// A tensor's name, shape and place.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// Its name in a Hugging Face file.
    pub name: String,
    /// Dimensions, outermost first.
    pub shape: Vec<usize>,
    /// Where its numbers lie.
    pub at: Range<usize>,
}

/// What is trained, or what stays as it is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Parameters {
    /// The tensors, in the order of their numbers.
    pub tensors: Vec<Tensor>,
    /// The numbers of all.
    pub data: Vec<f32>,
}

impl Parameters {
    /// Adds a tensor of zeros; gives its place.
    pub fn push(&mut self, name: String, shape: &[usize]) -> Range<usize> {
        let at = self.data.len()..self.data.len() + shape.iter().product::<usize>();
        self.data.resize(at.end, 0.0);
        self.tensors.push(Tensor { name, shape: shape.into(), at: at.clone() });
        at
    }

    /// A tensor's numbers by name.
    pub fn get(&self, name: &str) -> Option<&[f32]> {
        self.tensors.iter().find(|t| t.name == name).map(|t| &self.data[t.at.clone()])
    }

    /// Each tensor's numbers, by name.
    pub fn by_name(&self) -> BTreeMap<&str, &[f32]> {
        self.tensors.iter().map(|t| (t.name.as_str(), &self.data[t.at.clone()])).collect()
    }

    /// SHA-256 of all numbers, little-endian, in order: whether any bit of them changed.
    pub fn sha256(&self) -> String {
        let mut hash = Sha256::new();
        self.data.iter().for_each(|x| hash.update(x.to_le_bytes()));
        format!("{:x}", hash.finalize())
    }
}
