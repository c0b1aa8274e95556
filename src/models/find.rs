//! Which file is meant by a model's name.

use std::fs;
use std::path::{MAIN_SEPARATOR, Path, PathBuf};

use super::catalogue::{catalogue, entry};
use super::folder::is_model_folder;
use super::megabytes;

/// Where model files are looked for.
#[derive(Clone, Debug, Default)]
pub struct SearchPath {
    /// Folders, in order of preference: `OSAI_MODEL_DIR`, `models` beside the program, the data directory's `models`,
    /// shared system folders.
    pub folders: Vec<PathBuf>,
}

/// Finds a model: a path, a catalogue name, the stem of a file or the name of a Hugging Face folder in a folder of the
/// search path; `None` is the default.
///
/// A name may end with `@VERSION`; without it, the catalogue's first entry of that name is meant, or of files
/// `NAME@1.gguf`, `NAME@2.gguf` the one with the highest version. The default is the catalogue's first model that is
/// there; in a folder that has none of them, its first file.
///
/// # Errors
/// A sentence that says what was looked for, where, and what to do.
pub fn find(name: Option<&str>, path: &SearchPath) -> Result<PathBuf, String> {
    match name {
        None => find_default(path).ok_or_else(|| not_installed(None)),
        Some(name) if name.contains('/') || name.contains(MAIN_SEPARATOR) => {
            let file = PathBuf::from(name);
            if file.is_file() || is_model_folder(&file) {
                Ok(file)
            } else {
                Err(format!("no model file `{name}`; check the path"))
            }
        }
        Some(name) => find_named(name, path).ok_or_else(|| not_installed(Some(name))),
    }
}

fn find_default(path: &SearchPath) -> Option<PathBuf> {
    let known = catalogue();
    path.folders.iter().find_map(|folder| {
        let of_catalogue = known.iter().map(|entry| folder.join(&entry.file)).find(|file| file.is_file());
        of_catalogue.or_else(|| files_in(folder).into_iter().next())
    })
}

fn find_named(name: &str, path: &SearchPath) -> Option<PathBuf> {
    if let Some(entry) = entry(name) {
        let found = path.folders.iter().map(|folder| folder.join(&entry.file)).find(|file| file.is_file());
        if found.is_some() {
            return found;
        }
    }
    let wanted = name.strip_suffix(".gguf").unwrap_or(name);
    let here = installed(path);
    let exact = here.iter().find(|file| name_of(file).eq_ignore_ascii_case(wanted)).cloned();
    let newest = || {
        let versions = here.iter().filter_map(|file| {
            let (stem, version) = version_of(file)?;
            stem.eq_ignore_ascii_case(wanted).then(|| (in_order(&version), file.clone()))
        });
        // The earlier folder wins among equals.
        versions.rev().max_by(|a, b| a.0.cmp(&b.0)).map(|(_, file)| file)
    };
    // A file in the working folder may be named without `./`, as for any other program.
    let beside = || Some(PathBuf::from(name)).filter(|file| file.is_file() || is_model_folder(file));
    exact.or_else(newest).or_else(beside)
}

/// A model's name: the stem of its file, or its folder's name.
fn name_of(model: &Path) -> String {
    let is_file = model.extension().is_some_and(|ext| ext.eq_ignore_ascii_case("gguf"));
    let name = if is_file { model.file_stem() } else { model.file_name() };
    name.unwrap_or_default().to_string_lossy().into_owned()
}

/// The name and version of a model called `NAME@VERSION`.
pub fn version_of(model: &Path) -> Option<(String, String)> {
    let name = name_of(model);
    let (name, version) = name.rsplit_once('@').filter(|(name, version)| !name.is_empty() && !version.is_empty())?;
    Some((name.to_owned(), version.to_owned()))
}

/// Versions compare by their numbers where they have them: 1.10 is after 1.9.
fn in_order(version: &str) -> Vec<(u64, String)> {
    let parts = version.split(['.', '-', '_', '+']);
    parts.map(|part| (part.parse().unwrap_or(0), part.to_owned())).collect()
}

fn not_installed(name: Option<&str>) -> String {
    const LOOKED: &str = "in the folders that `osai paths` lists";
    let known = catalogue();
    match (name, name.map_or_else(|| known.first().cloned(), entry)) {
        (None, Some(entry)) => {
            format!("no model {LOOKED}; `osai model add {}` gets one ({})", entry.name, megabytes(entry.bytes))
        }
        (Some(name), Some(entry)) => format!(
            "the model `{name}` is not {LOOKED}; `osai model add {}` gets it ({})",
            entry.name,
            megabytes(entry.bytes)
        ),
        (Some(name), None) => {
            let names: Vec<&str> = known.iter().map(|entry| entry.name.as_str()).collect();
            format!(
                "no model `{name}` {LOOKED} or in the catalogue ({}); `osai model list` shows what there is",
                names.join(", ")
            )
        }
        (None, None) => format!("no model {LOOKED}; give a file with --model FILE"),
    }
}

/// All model files in the search path, in its order; within a folder by name.
pub fn installed(path: &SearchPath) -> Vec<PathBuf> {
    path.folders.iter().flat_map(|folder| files_in(folder)).collect()
}

/// The `.gguf` files and Hugging Face folders of a folder by name; none if it cannot be read.
fn files_in(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut files: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|file| {
            let hidden = file.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
            let is_gguf = file.extension().is_some_and(|ext| ext.eq_ignore_ascii_case("gguf")) && file.is_file();
            !hidden && (is_gguf || is_model_folder(file))
        })
        .collect();
    files.sort();
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder_with(files: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for file in files {
            fs::write(folder.path().join(file), b"GGUF").unwrap();
        }
        folder
    }

    fn search(folders: &[&tempfile::TempDir]) -> SearchPath {
        SearchPath { folders: folders.iter().map(|folder| folder.path().to_owned()).collect() }
    }

    const SMOLLM2: &str = "SmolLM2-135M-Instruct.Q4_1.gguf";

    #[test]
    fn the_default_is_the_catalogues_model_even_beside_others() {
        let folder = folder_with(&["aaa.gguf", SMOLLM2]);
        assert_eq!(find(None, &search(&[&folder])), Ok(folder.path().join(SMOLLM2)));
    }

    #[test]
    fn an_earlier_folder_with_a_model_of_ones_own_wins() {
        let (own, store) = (folder_with(&["own.gguf"]), folder_with(&[SMOLLM2]));
        assert_eq!(find(None, &search(&[&own, &store])), Ok(own.path().join("own.gguf")));
        assert_eq!(find(Some("smollm2"), &search(&[&own, &store])), Ok(store.path().join(SMOLLM2)));
    }

    #[test]
    fn a_file_answers_to_its_stem_in_any_case() {
        let folder = folder_with(&["Own-7B.gguf", ".hidden.gguf"]);
        for name in ["own-7b", "Own-7B.gguf", "OWN-7B"] {
            assert_eq!(find(Some(name), &search(&[&folder])), Ok(folder.path().join("Own-7B.gguf")), "{name}");
        }
        assert_eq!(installed(&search(&[&folder])), [folder.path().join("Own-7B.gguf")]);
    }

    #[test]
    fn versions_lie_side_by_side() {
        let folder = folder_with(&["net@1.9.gguf", "net@1.10.gguf", "net@1.10-old.gguf", "other.gguf"]);
        let path = search(&[&folder]);
        assert_eq!(find(Some("net@1.9"), &path), Ok(folder.path().join("net@1.9.gguf")));
        assert_eq!(find(Some("net"), &path), Ok(folder.path().join("net@1.10-old.gguf")));
        assert!(find(Some("net@2"), &path).is_err());
        fs::write(folder.path().join("net.gguf"), b"GGUF").unwrap();
        assert_eq!(find(Some("NET"), &path), Ok(folder.path().join("net.gguf")));
        let entry = &catalogue()[0];
        fs::write(folder.path().join(&entry.file), b"GGUF").unwrap();
        let versioned = format!("{}@{}", entry.name, entry.version);
        assert_eq!(find(Some(&versioned), &path), Ok(folder.path().join(&entry.file)));
        assert!(find(Some("smollm2@9"), &path).is_err());
    }

    #[test]
    fn a_folder_with_a_configuration_is_a_model() {
        let folder = folder_with(&[]);
        for (name, file) in [("tiny.v1-bert", "config.json"), ("notes", "readme.txt")] {
            fs::create_dir(folder.path().join(name)).unwrap();
            fs::write(folder.path().join(name).join(file), "{}").unwrap();
        }
        let path = search(&[&folder]);
        assert_eq!(installed(&path), [folder.path().join("tiny.v1-bert")]);
        assert_eq!(find(Some("tiny.v1-BERT"), &path), Ok(folder.path().join("tiny.v1-bert")));
        let by_path = format!("{}/tiny.v1-bert", folder.path().display());
        assert_eq!(find(Some(&by_path), &path), Ok(folder.path().join("tiny.v1-bert")));
    }

    #[test]
    fn what_is_missing_says_what_to_do() {
        let empty = SearchPath { folders: vec!["/nowhere/models".into()] };
        assert_eq!(
            find(None, &empty).unwrap_err(),
            "no model in the folders that `osai paths` lists; `osai model add smollm2` gets one (98 MB)"
        );
        assert_eq!(
            find(Some("smollm2"), &empty).unwrap_err(),
            "the model `smollm2` is not in the folders that `osai paths` lists; `osai model add smollm2` gets it (98 MB)"
        );
        assert_eq!(
            find(Some("gpt-9"), &empty).unwrap_err(),
            "no model `gpt-9` in the folders that `osai paths` lists or in the catalogue (smollm2); `osai model list` \
             shows what there is"
        );
        assert_eq!(find(Some("./x.gguf"), &empty).unwrap_err(), "no model file `./x.gguf`; check the path");
    }
}
