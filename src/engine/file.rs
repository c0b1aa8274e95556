//! What the readers of model files share: the memory map, what a file is by its first bytes, and the faults found.
//!
//! A reader goes on past a fault wherever the rest can still be understood, so that `inspect` can list all of them;
//! opening a model refuses at the first.

use std::fmt::{self, Write};
use std::fs::{self, File};
use std::io;
use std::path::Path;

use memmap2::Mmap;
use serde::Serialize;

use super::EngineError;

/// Maps a regular file for reading.
///
/// # Errors
/// [`EngineError::Unreadable`].
pub fn map(path: &Path) -> Result<Mmap, EngineError> {
    let unreadable = |e: io::Error| EngineError::Unreadable { path: path.into(), why: e.to_string() };
    let irregular = || EngineError::Unreadable { path: path.into(), why: "it is no regular file".into() };
    // Opening a named pipe would wait for a writer, so the kind comes first; and again after, should it have changed.
    if !fs::metadata(path).map_err(unreadable)?.is_file() {
        return Err(irregular());
    }
    let file = File::open(path).map_err(unreadable)?;
    if !file.metadata().map_err(unreadable)?.is_file() {
        return Err(irregular());
    }
    // SAFETY: the map is read only. A file that is shortened while it is open raises a bus error; a model file is
    // written once under a temporary name and renamed (`models::add`), never changed in place.
    unsafe { Mmap::map(&file) }.map_err(unreadable)
}

/// Something in a file that is not as its format demands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// The byte of the file where it shows, if there is one such place.
    pub at: Option<u64>,
    /// What is wrong, in words; quotes the file, so not safe to print as it is.
    pub what: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.at {
            Some(at) => write!(f, "{} (at byte {at})", self.what),
            None => f.write_str(&self.what),
        }
    }
}

/// The faults of a file, in the order in which they were found; those past a limit are only counted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Faults {
    /// The first of them.
    pub listed: Vec<Fault>,
    /// How many more there are.
    pub unlisted: usize,
}

/// A text that takes no more than a sentence needs, however long the name that it quotes.
struct Short(String);

impl Short {
    const LIMIT: usize = 400;
}

impl fmt::Write for Short {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = Self::LIMIT.saturating_sub(self.0.len());
        if room > 0 && text.len() > room {
            let end = (0..=room).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
            self.0.push_str(&text[..end]);
            self.0.push('…');
        } else if room > 0 {
            self.0.push_str(text);
        }
        Ok(())
    }
}

impl Faults {
    /// More than this many are only counted: a hostile file may have a fault a byte.
    const LIMIT: usize = 100;

    /// Adds one that shows at a byte.
    pub fn at(&mut self, at: usize, what: impl fmt::Display) {
        self.add(Some(at as u64), what);
    }

    /// Adds one that has no place of its own.
    pub fn add(&mut self, at: Option<u64>, what: impl fmt::Display) {
        if self.listed.len() < Self::LIMIT {
            let mut short = Short(String::new());
            // It never fails: what does not fit is left out.
            let _ = write!(short, "{what}");
            self.listed.push(Fault { at, what: short.0 });
        } else {
            self.unlisted += 1;
        }
    }

    /// Adds those of a part.
    pub fn take(&mut self, others: Self) {
        self.unlisted += others.unlisted;
        for fault in others.listed {
            self.add(fault.at, fault.what);
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.listed.is_empty()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.listed.len() + self.unlisted
    }

    /// The error of opening a file with these faults: the first, and how many more.
    ///
    /// # Errors
    /// [`EngineError::BadFile`] if there is any.
    pub fn refuse(&self, path: &Path) -> Result<(), EngineError> {
        let Some(first) = self.listed.first() else { return Ok(()) };
        let why = match self.len() - 1 {
            0 => first.to_string(),
            more => format!("{first}; {more} more: `osai model inspect` lists them"),
        };
        Err(EngineError::BadFile { path: path.into(), why })
    }
}

/// What a file is, by its first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Nothing at all.
    Empty,
    /// GGUF, of any version and byte order.
    Gguf,
    /// GGML, GGMF, GGJT or GGLA, before GGUF.
    OldGgml,
    /// Safetensors.
    Safetensors,
    /// A zip: a PyTorch checkpoint, `.npz`, a wheel, Keras.
    Zip,
    /// A Python pickle of protocol 2 or later. Older ones have no mark.
    Pickle,
    /// NumPy's `.npy`.
    Npy,
    /// A protocol buffer that looks like ONNX.
    Onnx,
    /// TensorFlow Lite.
    Tflite,
    /// HDF5: Keras.
    Hdf5,
    /// A `tar` archive.
    Tar,
    /// Compressed with gzip, bzip2, xz, zstd or 7z.
    Compressed,
    /// A program or library of some operating system.
    Program,
    /// A script with an interpreter line.
    Script,
    /// Git LFS's stand-in for a file.
    LfsPointer,
    /// HTML or XML.
    WebPage,
    /// JSON.
    Json,
    /// Something else.
    Unknown,
}

impl Kind {
    /// Tells the kind from the first bytes.
    pub fn of(bytes: &[u8]) -> Self {
        let starts = |magic: &[u8]| bytes.starts_with(magic);
        let at = |offset: usize, magic: &[u8]| bytes.get(offset..).is_some_and(|rest| rest.starts_with(magic));
        let text = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes).trim_ascii_start();
        match bytes {
            [] => Self::Empty,
            _ if starts(b"GGUF") => Self::Gguf,
            _ if [&b"tjgg"[..], b"lmgg", b"fmgg", b"algg", b"ggml"].into_iter().any(starts) => Self::OldGgml,
            // Before safetensors, whose length could read so.
            _ if starts(b"PK\x03\x04") || starts(b"PK\x05\x06") => Self::Zip,
            [_, _, _, _, _, 0, 0, 0, b'{', ..] => Self::Safetensors,
            [0x80, 2..=5, ..] => Self::Pickle,
            _ if starts(b"\x93NUMPY") => Self::Npy,
            _ if starts(b"\x89HDF\r\n\x1a\n") => Self::Hdf5,
            _ if at(4, b"TFL3") => Self::Tflite,
            _ if at(257, b"ustar") => Self::Tar,
            [0x1F, 0x8B, ..] | [0x28, 0xB5, 0x2F, 0xFD, ..] | [b'B', b'Z', b'h', ..] => Self::Compressed,
            _ if starts(b"\xFD7zXZ\0") || starts(b"7z\xBC\xAF\x27\x1C") => Self::Compressed,
            _ if starts(b"\x7FELF") || starts(b"MZ") || starts(b"\xCF\xFA\xED\xFE") || starts(b"\xCA\xFE\xBA\xBE") => {
                Self::Program
            }
            _ if starts(b"#!") => Self::Script,
            _ if starts(b"version https://git-lfs") => Self::LfsPointer,
            _ if text.starts_with(b"<") => Self::WebPage,
            // ir_version (field 1, a small number), then the producer's name, the graph or another field of the model.
            [0x08, 1..=31, 0x12 | 0x1A | 0x22 | 0x3A | 0x42, ..] => Self::Onnx,
            _ if text.starts_with(b"{") || text.starts_with(b"[") => Self::Json,
            _ => Self::Unknown,
        }
    }

    /// The format in two or three words.
    pub fn name(self) -> &'static str {
        match self {
            Self::Empty => "empty file",
            Self::Gguf => "GGUF",
            Self::OldGgml => "old GGML",
            Self::Safetensors => "safetensors",
            Self::Zip => "zip archive",
            Self::Pickle => "Python pickle",
            Self::Npy => "NumPy array",
            Self::Onnx => "ONNX",
            Self::Tflite => "TensorFlow Lite",
            Self::Hdf5 => "HDF5",
            Self::Tar => "tar archive",
            Self::Compressed => "compressed file",
            Self::Program => "program",
            Self::Script => "script",
            Self::LfsPointer => "Git LFS pointer",
            Self::WebPage => "web page",
            Self::Json => "JSON",
            Self::Unknown => "unknown format",
        }
    }

    /// What it is and, where a model was wanted, what to do: the end of "it is …".
    pub fn advice(self) -> &'static str {
        match self {
            Self::Empty => "an empty file; fetch it again",
            Self::Gguf => "a GGUF file",
            Self::OldGgml => {
                "an old GGML file; fetch the GGUF of the same model, or convert it with llama.cpp's converter"
            }
            Self::Safetensors => "a safetensors file; a model of these is a folder with its `config.json`",
            Self::Zip => {
                "a zip archive (a PyTorch checkpoint, `.npz` or a wheel), which osai does not open as a model; fetch the GGUF \
                 or safetensors of the same model"
            }
            Self::Pickle => {
                "a Python pickle; osai never opens these, since loading one runs code: fetch the GGUF or safetensors of the \
                 same model"
            }
            Self::Npy => "a NumPy array, no model",
            Self::Onnx => "an ONNX file; fetch the GGUF or safetensors of the same model",
            Self::Tflite => "a TensorFlow Lite file; fetch the GGUF or safetensors of the same model",
            Self::Hdf5 => "an HDF5 file (Keras); fetch the GGUF or safetensors of the same model",
            Self::Tar => "a tar archive; unpack it and look at what is inside",
            Self::Compressed => "a compressed file; unpack it and look at what is inside",
            Self::Program => "a program, no model: do not run it",
            Self::Script => "a script, no model: do not run it",
            Self::LfsPointer => {
                "a Git LFS pointer, not the file it points to; fetch the file itself with `git lfs pull`"
            }
            Self::WebPage => "a web page, perhaps an error page of the site it came from; check the download link",
            Self::Json => "a JSON file, no weights; a Hugging Face model is the folder that it lies in",
            Self::Unknown => "no model file osai knows (it begins neither with `GGUF` nor as safetensors does)",
        }
    }
}
