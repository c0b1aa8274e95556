//! Safetensors: the weights of a Hugging Face folder, one file or a set of shards, over memory maps.
//!
//! [`Header`] checks one file, [`Safetensors`] opens what a folder holds, [`write()`] makes a file. The checks are the
//! format's own and more (a name given twice, a header that would cost memory); the `safetensors` crate accepts the
//! former and names neither tensor nor byte, so it is our judge in the tests and not our reader.
//! Source of the format: the README of `huggingface/safetensors`.

mod header;
#[cfg(test)]
mod tests;
mod write;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use memmap2::Mmap;
use serde::Deserialize;

use super::EngineError;
use super::file;
use super::gguf::{GgmlType, TensorInfo};
pub use header::{Dtype, Entry, Header};
use header::{MAX_TENSORS, Texts};
pub use write::{TensorToWrite, write};

/// The one file of a model that is not split.
const SINGLE: &str = "model.safetensors";
/// What names the shards of a model that is.
const INDEX: &str = "model.safetensors.index.json";
/// Bytes of an index at most; that of a model with 90,000 tensors takes 9 MB.
const MAX_INDEX_BYTES: usize = 16 << 20;
/// Shards at most; the largest sets have about 200.
const MAX_SHARDS: usize = 1024;

/// One file or a set of shards, open and checked.
#[derive(Debug)]
pub struct Safetensors {
    /// The file, or the index of the set.
    pub path: PathBuf,
    shards: Vec<Shard>,
    /// By name: the shard that holds it.
    tensors: BTreeMap<String, (usize, TensorInfo)>,
    /// Tensors of a type that no model of ours is made of.
    others: BTreeMap<String, &'static Dtype>,
    metadata: BTreeMap<String, String>,
}

#[derive(Debug)]
struct Shard {
    path: PathBuf,
    map: Arc<Mmap>,
}

/// `model.safetensors.index.json`, as far as it matters; the rest is for other programs.
#[derive(Deserialize)]
struct Index {
    weight_map: Texts<MAX_TENSORS>,
}

impl Safetensors {
    /// Opens a `.safetensors` file, a `….safetensors.index.json`, or a folder with one of them, and checks all headers.
    ///
    /// In a folder `model.safetensors` comes before the index, as in Hugging Face's libraries; if there is neither, its
    /// only `.safetensors` file.
    ///
    /// # Errors
    /// [`EngineError::Unreadable`], [`EngineError::BadFile`] with the byte offset.
    pub fn open(path: &Path) -> Result<Self, EngineError> {
        let path = if path.is_dir() { file_in(path)? } else { path.to_owned() };
        if path.extension().is_some_and(|ext| ext.eq_ignore_ascii_case("json")) {
            return Self::open_set(path);
        }
        let (shard, header) = open_shard(&path)?;
        let mut set = Self {
            path,
            shards: vec![shard],
            tensors: BTreeMap::new(),
            others: BTreeMap::new(),
            metadata: header.metadata,
        };
        for entry in header.tensors {
            set.take(0, entry);
        }
        Ok(set)
    }

    fn open_set(path: PathBuf) -> Result<Self, EngineError> {
        let file_of = read_index(&path)?;
        let bad = |why: String| EngineError::BadFile { path: path.clone(), why };
        let mut place_of: BTreeMap<&str, usize> = BTreeMap::new();
        for (name, file) in &file_of {
            if !is_plain_name(file) {
                return Err(bad(format!(
                    "it puts the tensor `{name}` into `{file}`, no plain name of a file beside it"
                )));
            }
            let next = place_of.len();
            place_of.entry(file).or_insert(next);
            if place_of.len() > MAX_SHARDS {
                return Err(bad(format!("it names more than {MAX_SHARDS} files")));
            }
        }
        let mut set = Self {
            path: path.clone(),
            shards: Vec::new(),
            tensors: BTreeMap::new(),
            others: BTreeMap::new(),
            metadata: BTreeMap::new(),
        };
        let mut in_order: Vec<(&str, usize)> = place_of.iter().map(|(file, at)| (*file, *at)).collect();
        in_order.sort_by_key(|(_, at)| *at);
        for (file, at) in in_order {
            let (shard, header) = open_shard(&path.with_file_name(file))?;
            set.shards.push(shard);
            set.metadata.extend(header.metadata);
            // A tensor that two shards hold is the one of the shard that the index names.
            let wanted = header.tensors.into_iter().filter(|e| file_of.get(&e.name).is_some_and(|f| f == file));
            for entry in wanted {
                set.take(at, entry);
            }
        }
        match file_of.iter().find(|(name, _)| !set.tensors.contains_key(*name) && !set.others.contains_key(*name)) {
            Some((name, file)) => Err(bad(format!("the tensor `{name}` is not in `{file}`, where it should be"))),
            None => Ok(set),
        }
    }

    fn take(&mut self, shard: usize, entry: Entry) {
        let ggml_type = match entry.dtype.name {
            "F32" => GgmlType::F32,
            "F16" => GgmlType::F16,
            "BF16" => GgmlType::BF16,
            _ => {
                self.others.insert(entry.name, entry.dtype);
                return;
            }
        };
        let info = TensorInfo { name: entry.name.clone(), shape: entry.shape, ggml_type, bytes: entry.bytes };
        self.tensors.insert(entry.name, (shard, info));
    }

    /// Bytes of all files together.
    pub fn file_bytes(&self) -> u64 {
        self.shards.iter().map(|shard| shard.map.len() as u64).sum()
    }

    /// The files.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        self.shards.iter().map(|shard| shard.path.as_path())
    }

    /// The `__metadata__` texts; of a set, those of all its files.
    pub fn metadata(&self) -> &BTreeMap<String, String> {
        &self.metadata
    }

    /// The tensors of type F32, F16 or BF16, sorted by name.
    pub fn tensors(&self) -> impl Iterator<Item = &TensorInfo> {
        self.tensors.values().map(|(_, info)| info)
    }

    /// The tensors of another type, sorted by name.
    pub fn others(&self) -> impl Iterator<Item = (&str, &'static Dtype)> {
        self.others.iter().map(|(name, dtype)| (name.as_str(), *dtype))
    }

    /// A tensor of type F32, F16 or BF16 by name.
    pub fn tensor(&self, name: &str) -> Option<&TensorInfo> {
        self.tensors.get(name).map(|(_, info)| info)
    }

    /// A tensor that a model cannot do without.
    ///
    /// # Errors
    /// [`EngineError::BadFile`] if it is not there, [`EngineError::Unsupported`] if its type is another.
    pub fn require(&self, name: &str) -> Result<&TensorInfo, EngineError> {
        match (self.tensor(name), self.others.get(name)) {
            (Some(info), _) => Ok(info),
            (None, Some(dtype)) => Err(EngineError::Unsupported {
                what: format!("the tensor `{name}` has weights of type {}, which", dtype.name),
                supported: "F32, F16, BF16".into(),
            }),
            (None, None) => Err(self.bad(format!("the tensor `{name}` is missing"))),
        }
    }

    /// A tensor's bytes, little-endian, row by row. `info` is one of this set's.
    pub fn bytes(&self, info: &TensorInfo) -> &[u8] {
        let shard = self.tensors.get(&info.name).map_or(0, |(shard, _)| *shard);
        &self.shards[shard].map[info.bytes.clone()]
    }

    /// The mapped file that holds a tensor.
    pub fn map(&self, info: &TensorInfo) -> &Arc<Mmap> {
        let shard = self.tensors.get(&info.name).map_or(0, |(shard, _)| *shard);
        &self.shards[shard].map
    }

    /// An error about this file or set.
    pub fn bad(&self, why: impl Into<String>) -> EngineError {
        EngineError::BadFile { path: self.path.clone(), why: why.into() }
    }
}

fn open_shard(path: &Path) -> Result<(Shard, Header), EngineError> {
    let map = Arc::new(file::map(path)?);
    let header = Header::read(&map);
    header.faults.refuse(path)?;
    Ok((Shard { path: path.to_owned(), map }, header))
}

/// Which file of a folder holds or names its weights.
fn file_in(folder: &Path) -> Result<PathBuf, EngineError> {
    if let Some(found) = [SINGLE, INDEX].iter().map(|name| folder.join(name)).find(|file| file.is_file()) {
        return Ok(found);
    }
    let entries =
        std::fs::read_dir(folder).map_err(|e| EngineError::Unreadable { path: folder.into(), why: e.to_string() })?;
    let mut found: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|file| file.extension().is_some_and(|ext| ext == "safetensors") && file.is_file())
        .collect();
    found.sort();
    match found.as_slice() {
        [only] => Ok(only.clone()),
        [] => Err(EngineError::BadFile { path: folder.into(), why: format!("it has no `{SINGLE}`") }),
        [first, second, ..] => Err(EngineError::BadFile {
            path: folder.into(),
            why: format!(
                "it has several safetensors files (`{}`, `{}`) and no `{INDEX}` that says how they belong together",
                first.file_name().unwrap_or_default().display(),
                second.file_name().unwrap_or_default().display()
            ),
        }),
    }
}

/// The file name of each tensor.
pub(crate) fn read_index(path: &Path) -> Result<BTreeMap<String, String>, EngineError> {
    let map = file::map(path)?;
    let bad = |why: String| EngineError::BadFile { path: path.into(), why };
    if map.len() > MAX_INDEX_BYTES {
        return Err(bad(format!("an index of {} bytes; at most {MAX_INDEX_BYTES} are accepted", map.len())));
    }
    let index: Result<Index, _> = serde_json::from_slice(&map);
    index.map(|index| index.weight_map.0).map_err(|e| bad(format!("it is no index of safetensors files: {e}")))
}

/// Whether a name means a file in the same folder and nothing else, on any operating system.
pub(crate) fn is_plain_name(name: &str) -> bool {
    name.ends_with(".safetensors")
        && name.len() <= 255
        && !name.starts_with('.')
        && !name.contains(['/', '\\', ':'])
        && !name.chars().any(char::is_control)
}
