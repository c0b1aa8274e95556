//! Where model files are and how they get there: the catalogue, the search path, and `model add`.
//!
//! What is inside a model file is the engine's business; here a file is a name, a size, a hash and a licence.
//! Nothing here reads an environment variable or makes a path of its own: folders come in as arguments.

mod add;
mod catalogue;
mod fetch;
mod find;
mod folder;
mod part;
mod record;
mod remove;

use std::path::{Path, PathBuf};

pub use add::{AddError, Added, Check, Step, add_file, is_file_name, sha256_of};
pub use catalogue::{Entry, catalogue, entry, entry_of};
pub use fetch::{fetch, find_pip};
pub use find::{SearchPath, find, installed, version_of};
pub use folder::{add_folder, is_model_folder};
pub use record::{Verified, record_path, verify};
pub use remove::{removable, remove};

/// The folder into which `model add` writes.
pub fn store(data_dir: &Path) -> PathBuf {
    data_dir.join("models")
}

/// Where the licence text of a model file is kept: beside it, `NAME.LICENCE.txt`.
pub fn licence_path(model: &Path) -> PathBuf {
    model.with_extension("LICENCE.txt")
}

/// A size as people read it, in powers of ten: `98 MB`.
pub fn megabytes(bytes: u64) -> String {
    match bytes {
        0..10_000 => format!("{bytes} bytes"),
        10_000..1_000_000 => format!("{} kB", bytes / 1_000),
        1_000_000..10_000_000_000 => format!("{} MB", (bytes + 500_000) / 1_000_000),
        _ => format!("{:.1} GB", bytes as f64 / 1e9),
    }
}
