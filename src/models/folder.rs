//! `model add` of a Hugging Face folder: what a model needs of it is copied, whole or not at all.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use super::add::{AddError, Added, Check, Step, remove_folder, unreadable};
use super::part::{Part, make_private_folder};
use super::record;

/// Files that are copied, besides the safetensors: configuration, tokenizer, template, pooling, card and licence.
const WANTED: &[&str] = &[
    "config.json",
    "generation_config.json",
    "model.safetensors.index.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "tokenizer.model",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "vocab.txt",
    "merges.txt",
    "chat_template.jinja",
    "chat_template.json",
    "modules.json",
    "sentence_bert_config.json",
    "config_sentence_transformers.json",
    "1_Pooling/config.json",
    "adapter_config.json",
    "README.md",
    "LICENSE",
    "LICENSE.txt",
    "LICENSE.md",
    "NOTICE",
];

/// Whether a folder is a model: it has a `config.json`.
pub fn is_model_folder(path: &Path) -> bool {
    path.join("config.json").is_file()
}

/// Copies a model's folder into the store as `store/NAME`. Pickles and code stay behind.
///
/// It grows as `.NAME.part` and gets its name when all of it is on the disk. `check` judges the folder first, and the
/// copy after.
///
/// # Errors
/// See [`AddError`]; nothing is then left in the store.
pub fn add_folder(
    path: &Path,
    name: Option<&str>,
    store: &Path,
    check: Check<'_>,
    each: &mut dyn FnMut(Step),
) -> Result<Added, AddError> {
    let refused = |what: String| AddError::NotAModel { path: path.to_owned(), what };
    if !is_model_folder(path) {
        return Err(refused("it is a folder without a `config.json`".into()));
    }
    check(path).map_err(refused)?;
    let own = path.canonicalize().map_err(|e| unreadable(path, &e))?;
    let own = own.file_name().unwrap_or_default().to_string_lossy().trim_start_matches('.').to_owned();
    let name = name.map_or(own, str::to_owned);
    if name.is_empty() {
        return Err(refused("its folder has no name; give it one with --name".into()));
    }
    let target = store.join(&name);
    if target.exists() {
        return Err(AddError::NameTaken { path: target });
    }
    let files = wanted(path)?;
    // Held while files are copied, so that a second osai does not clear the folder under the first one.
    let _lock = Part::create(store, &format!("add-{name}"))?;
    let staged = store.join(format!(".{name}.part.d"));
    let unwritable =
        |path: &Path, e: std::io::Error| AddError::Unwritable { path: path.to_owned(), why: e.to_string() };
    remove_folder(&staged).and_then(|()| make_private_folder(&staged)).map_err(|e| unwritable(&staged, e))?;
    let staged = Staged(staged);
    each(Step::Begin(format!("copying `{}` to `{}`", path.display(), target.display())));
    let mut sums = String::new();
    let total = files.iter().filter_map(|file| Some(path.join(file).metadata().ok()?.len())).sum();
    let mut before = 0;
    for file in &files {
        let from = path.join(file);
        let to = staged.0.join(file);
        let folder = to.parent().unwrap_or(&staged.0).to_owned();
        let mut reader = File::open(&from).map_err(|e| unreadable(&from, &e))?;
        let length = reader.metadata().map_err(|e| unreadable(&from, &e))?.len();
        let mut part = Part::create(&folder, &to.file_name().unwrap_or_default().to_string_lossy())?;
        let mut copied = |step| match step {
            Step::Bytes { done, .. } => each(Step::Bytes { done: before + done, total }),
            step => each(step),
        };
        before += part.fill(&mut reader, length, &|e| unreadable(&from, &e), &mut copied)?;
        sums.push_str(&format!("{}  {}\n", part.sha256(), file.display()));
        part.finish(&to)?;
    }
    // The files may have changed since they were judged.
    check(&staged.0).map_err(refused)?;
    record::write(&staged.0.join(record::OF_FOLDER), &sums)?;
    fs::rename(&staged.0, &target).map_err(|e| unwritable(&target, e))?;
    if cfg!(unix) {
        File::open(store).and_then(|folder| folder.sync_all()).map_err(|e| unwritable(store, e))?;
    }
    Ok(Added::Now(target))
}

/// The files to copy, relative to the folder. Links are followed: Hugging Face's cache is made of them.
fn wanted(folder: &Path) -> Result<Vec<PathBuf>, AddError> {
    let mut files: Vec<PathBuf> = WANTED.iter().map(PathBuf::from).filter(|file| folder.join(file).is_file()).collect();
    for entry in fs::read_dir(folder).map_err(|e| unreadable(folder, &e))? {
        let name = entry.map_err(|e| unreadable(folder, &e))?.file_name();
        let file = PathBuf::from(name);
        if file.extension().is_some_and(|ext| ext == "safetensors") && folder.join(&file).is_file() {
            files.push(file);
        }
    }
    files.sort();
    Ok(files)
}

/// Removes the unfinished folder, however the copying ends; after the rename there is nothing to remove.
struct Staged(PathBuf);

impl Drop for Staged {
    fn drop(&mut self) {
        // Best effort: the next attempt begins by removing it.
        let _ = remove_folder(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::super::record::{Verified, verify};
    use super::*;

    fn folder() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let model = dir.path().join("tiny-bert");
        fs::create_dir_all(model.join("1_Pooling")).unwrap();
        for (file, text) in [
            ("config.json", "{}"),
            ("1_Pooling/config.json", "{\"a\":1}"),
            ("model.safetensors", "weights"),
            ("pytorch_model.bin", "a pickle"),
            ("modeling.py", "import os"),
        ] {
            fs::write(model.join(file), text).unwrap();
        }
        dir
    }

    #[test]
    fn what_a_model_needs_is_copied_and_recorded_and_nothing_else() {
        let dir = folder();
        let store = dir.path().join("models");
        let mut steps = Vec::new();
        let added = add_folder(&dir.path().join("tiny-bert"), None, &store, &|_| Ok(()), &mut |step| steps.push(step));
        let target = store.join("tiny-bert");
        assert_eq!(added, Ok(Added::Now(target.clone())));
        let mut names: Vec<_> = fs::read_dir(&target).unwrap().map(|e| e.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["1_Pooling", "SHA256SUMS", "config.json", "model.safetensors"]);
        assert_eq!(steps.last(), Some(&Step::Bytes { done: 16, total: 16 }));
        assert_eq!(verify(&target), Ok(Verified::Right));
        fs::write(target.join("1_Pooling/config.json"), "{\"a\":2}").unwrap();
        assert!(matches!(verify(&target), Ok(Verified::Damaged { .. })));
        let again = add_folder(&dir.path().join("tiny-bert"), None, &store, &|_| Ok(()), &mut |_| {});
        assert!(matches!(again, Err(AddError::NameTaken { .. })), "{again:?}");
    }

    #[test]
    fn a_refused_folder_leaves_nothing() {
        let dir = folder();
        let store = dir.path().join("models");
        let source = dir.path().join("tiny-bert");
        let after = |file: &Path| if file == source { Ok(()) } else { Err("it changed".to_owned()) };
        let refused = add_folder(&source, Some("x@2"), &store, &after, &mut |_| {});
        assert!(matches!(&refused, Err(AddError::NotAModel { what, .. }) if what == "it changed"), "{refused:?}");
        assert_eq!(fs::read_dir(&store).unwrap().count(), 0);
    }
}
