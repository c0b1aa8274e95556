//! Judging a model file without running it: what it is, what is in it, what is wrong with it.

pub mod pickle;

use serde::Serialize;

/// How often something occurs in a file, and where first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Places {
    /// How often.
    pub count: u64,
    /// The bytes of the file where, the first ones.
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
