//! What several tests need: the bundled model, where a user would have it.

use std::path::PathBuf;

use osai::engine::Model;

const FILE: &str = "SmolLM2-135M-Instruct.Q4_1.gguf";

/// The bundled model's file; `None` when `OSAI_NO_MODEL=1` says that it is meant to be absent.
#[allow(clippy::disallowed_methods, reason = "a test looks where its user's osai would")]
pub fn model_path() -> Option<PathBuf> {
    if std::env::var_os("OSAI_NO_MODEL").is_some() {
        return None;
    }
    let home = || std::env::var_os("HOME").map(PathBuf::from);
    let data = std::env::var_os("XDG_DATA_HOME").map(PathBuf::from).or_else(|| Some(home()?.join(".local/share")));
    let folders = [std::env::var_os("OSAI_MODEL_DIR").map(PathBuf::from), data.map(|d| d.join("osai/models"))];
    let found = folders.into_iter().flatten().map(|f| f.join(FILE)).find(|p| p.is_file());
    Some(found.unwrap_or_else(|| {
        panic!(
            "{FILE} was not found; `osai model add smollm2` puts it in place, OSAI_NO_MODEL=1 leaves these tests out"
        )
    }))
}

/// The bundled model, open.
#[allow(dead_code)] // not every test binary opens it
pub fn model() -> Option<Model> {
    Some(Model::open(&model_path()?).expect("the bundled model opens"))
}
