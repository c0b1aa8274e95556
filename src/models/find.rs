//! Which file is meant by a model's name.

use std::fs;
use std::path::{MAIN_SEPARATOR, Path, PathBuf};

use super::catalogue::{catalogue, entry};
use super::megabytes;

/// Where model files are looked for.
#[derive(Clone, Debug, Default)]
pub struct SearchPath {
    /// Folders, in order of preference: `OSAI_MODEL_DIR`, `models` beside the program, the data directory's `models`,
    /// shared system folders.
    pub folders: Vec<PathBuf>,
}

/// Finds a model: a path, a catalogue name, the stem of a file in a folder of the search path; `None` is the default.
///
/// The default is the catalogue's first model that is there; in a folder that has none of them, its first file.
///
/// # Errors
/// A sentence that says what was looked for, where, and what to do.
pub fn find(name: Option<&str>, path: &SearchPath) -> Result<PathBuf, String> {
    match name {
        None => find_default(path).ok_or_else(|| not_installed(None)),
        Some(name) if name.contains('/') || name.contains(MAIN_SEPARATOR) => {
            let file = PathBuf::from(name);
            if file.is_file() { Ok(file) } else { Err(format!("no model file `{name}`; check the path")) }
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
    let stem = name.strip_suffix(".gguf").unwrap_or(name);
    let in_folders = installed(path)
        .into_iter()
        .find(|file| file.file_stem().is_some_and(|found| found.to_string_lossy().eq_ignore_ascii_case(stem)));
    // A file in the working folder may be named without `./`, as for any other program.
    in_folders.or_else(|| Some(PathBuf::from(name)).filter(|file| file.is_file()))
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

/// The `.gguf` files of a folder by name; none if it cannot be read.
fn files_in(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut files: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|file| {
            let hidden = file.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
            !hidden && file.extension().is_some_and(|ext| ext.eq_ignore_ascii_case("gguf")) && file.is_file()
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
