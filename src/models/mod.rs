//! Where model files are and how they get there: the catalogue, the search path, and `model add`.

use std::path::{Path, PathBuf};

/// One entry of `model/catalogue.toml`.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// `smollm2`.
    pub name: String,
    /// `SmolLM2-135M-Instruct`.
    pub title: String,
    /// Package on the Python index and its version.
    pub package: String,
    /// Version of the package.
    pub version: String,
    /// Path of the model inside the wheel.
    pub member: String,
    /// Path of the licence text inside the wheel.
    pub licence_member: String,
    /// SPDX id of the licence.
    pub licence: String,
    /// SHA-256 of the model file, lower-case hex.
    pub sha256: String,
    /// Its size.
    pub bytes: u64,
    /// File name in the store.
    pub file: String,
}

/// Where model files are looked for.
#[derive(Clone, Debug, Default)]
pub struct SearchPath {
    /// Folders, in order of preference: `OSAI_MODEL_DIR`, `models` beside the program, the data directory's `models`,
    /// shared system folders.
    pub folders: Vec<PathBuf>,
}

/// The catalogue shipped with this osai.
pub fn catalogue() -> Vec<Entry> {
    unimplemented!()
}

/// Finds a model: a path, a catalogue name, the stem of a file in a folder of the search path; `None` is the default.
///
/// # Errors
/// A sentence that says what was looked for, where, and what to do.
pub fn find(_name: Option<&str>, _path: &SearchPath) -> Result<PathBuf, String> {
    unimplemented!()
}

/// All model files in the search path.
pub fn installed(_path: &SearchPath) -> Vec<PathBuf> {
    unimplemented!()
}

/// The folder into which `model add` writes.
pub fn store(data_dir: &Path) -> PathBuf {
    data_dir.join("models")
}
