//! What is known about models and licences: one record each, read from `records/` (its README says the form).
//!
//! `parts`, `model` and `licence` read a file strictly and are shared with `build.rs`; the records come to the program
//! as MessagePack in the index. `find` says which record is meant by a name, `check` what one file cannot know of
//! the others.

mod check;
mod find;
pub(super) mod licence;
pub(super) mod model;
pub(super) mod parts;

pub(super) use check::RecordFiles;
pub use find::{MatchKind, ModelMatch, Named};
pub use licence::{AnswerVerdict, Clause, Effect, Licence, LicenceAnswer, LicenceKind, LicenceQuestion, Topic};
pub use model::{Assessment, ClauseName, Degree, Extent, Medium, Model, MofClass, OsaidVerdict, Part, Published, Size};
pub use parts::Source;

use super::index::{Index, Table};

/// All records, by id.
#[derive(Debug)]
pub struct Records {
    /// Models.
    pub models: Vec<Model>,
    /// Licences.
    pub licences: Vec<Licence>,
    /// The questions that every licence answers, in the order of the file.
    pub questions: Vec<LicenceQuestion>,
}

impl Records {
    pub(super) fn read(index: &Index) -> Self {
        Self {
            models: index.unpack(Table::Models),
            licences: index.unpack(Table::Licences),
            questions: index.unpack::<Vec<LicenceQuestion>>(Table::Questions).into_iter().flatten().collect(),
        }
    }
}
