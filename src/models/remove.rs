//! `model rm`: out of the learner's own store and from nowhere else.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::add::AddError;
use super::{licence_path, record_path};

/// What belongs to a model of the own store: itself, its licence text, its recorded hash.
///
/// `None` for a model that lies in another folder, which osai never changes.
pub fn removable(model: &Path, store: &Path) -> Option<Vec<PathBuf>> {
    // By the folder's own identity: the search path may name the store in another way.
    let is_own = model.parent()?.canonicalize().ok()? == store.canonicalize().ok()?;
    if !is_own {
        return None;
    }
    let beside = [licence_path(model), record_path(model)];
    let beside = beside.into_iter().filter(|file| !model.is_dir() && file.is_file());
    Some([model.to_owned()].into_iter().chain(beside).collect())
}

/// Removes these. A link is removed, not what it points to.
///
/// # Errors
/// [`AddError::Unwritable`] with the first that could not be removed; those before it are gone.
pub fn remove(files: &[PathBuf]) -> Result<(), AddError> {
    for file in files {
        let removed = match fs::symlink_metadata(file) {
            Ok(of) if of.is_dir() => fs::remove_dir_all(file),
            Ok(_) => fs::remove_file(file),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(e) => Err(e),
        };
        removed.map_err(|e| AddError::Unwritable { path: file.clone(), why: e.to_string() })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_models_own_files_go_and_no_others() {
        let dir = tempfile::tempdir().unwrap();
        let store = dir.path().join("models");
        fs::create_dir(&store).unwrap();
        for file in ["a.gguf", "a.LICENCE.txt", "a.gguf.sha256", "ab.gguf", "ab.gguf.sha256"] {
            fs::write(store.join(file), b"x").unwrap();
        }
        let files = removable(&store.join("a.gguf"), &store).unwrap();
        assert_eq!(files, ["a.gguf", "a.LICENCE.txt", "a.gguf.sha256"].map(|file| store.join(file)));
        remove(&files).unwrap();
        let mut left: Vec<_> = fs::read_dir(&store).unwrap().map(|e| e.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["ab.gguf", "ab.gguf.sha256"]);
    }

    #[test]
    fn what_lies_elsewhere_is_never_removed() {
        let dir = tempfile::tempdir().unwrap();
        let (store, shared) = (dir.path().join("models"), dir.path().join("shared"));
        for folder in [&store, &shared] {
            fs::create_dir(folder).unwrap();
        }
        fs::write(shared.join("a.gguf"), b"x").unwrap();
        assert_eq!(removable(&shared.join("a.gguf"), &store), None);
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink(shared.join("a.gguf"), store.join("a.gguf")).unwrap();
            remove(&removable(&store.join("a.gguf"), &store).unwrap()).unwrap();
            assert!(shared.join("a.gguf").exists() && !store.join("a.gguf").exists());
        }
    }
}
