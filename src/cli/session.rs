//! What the model commands share: the text they are given, the model they open, Ctrl-C, and how a token is shown.

use std::ffi::{OsStr, OsString};
use std::io::{self, IsTerminal, Read};
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::Serialize;
use signal_hook::consts::SIGINT;

use super::args::ServeArgs;
use super::environment::Globals;
use super::failure::{DATA, Failure, MODEL, USAGE};
use super::lora;
use crate::engine::{self, Candidate, Each, EngineError, Job, Launch, Model, Options, RunStats, TextToken};
use crate::models;
use crate::text::SafeText;

/// A text longer than this is a mistake, not a prompt.
pub const TEXT_LIMIT: u64 = 16 << 20;

/// The words of the command line as one text; `-` alone reads standard input without its last line end, as a shell's
/// `$(...)` does: `echo hello` means `hello`.
pub fn text_of(words: &[String]) -> Result<String, Failure> {
    if words != ["-"] {
        return Ok(words.join(" "));
    }
    let mut bytes = Vec::new();
    let read = io::stdin().lock().take(TEXT_LIMIT + 1).read_to_end(&mut bytes);
    read.map_err(|e| Failure::new(DATA, format!("cannot read standard input: {e}")))?;
    if bytes.len() as u64 > TEXT_LIMIT {
        return Err(Failure::new(USAGE, "standard input is longer than 16 MiB; give a shorter text"));
    }
    let mut text = String::from_utf8(bytes).map_err(|e| {
        let byte = e.utf8_error().valid_up_to();
        Failure::new(
            USAGE,
            format!("standard input is not UTF-8 (byte {byte}); convert it first, for example with iconv"),
        )
    })?;
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    Ok(text)
}

/// The file of the model asked for with `--model`, or of the default one. The error is a sentence.
pub fn find_model(globals: &Globals) -> Result<PathBuf, String> {
    find_named(globals.model.as_deref(), globals)
}

/// The file of a model by path or name; `None` is the default one.
pub fn find_named(name: Option<&OsStr>, globals: &Globals) -> Result<PathBuf, String> {
    match name {
        None => models::find(None, &globals.paths.models),
        Some(name) => match name.to_str() {
            Some(name) => models::find(Some(name), &globals.paths.models),
            // A file name need not be UTF-8; a model's name is.
            None => Some(PathBuf::from(name))
                .filter(|file| file.is_file())
                .ok_or_else(|| format!("no model file `{}`; check the path", name.to_string_lossy())),
        },
    }
}

/// How the model is to run, by the flags and the environment.
pub fn options(globals: &Globals) -> Options {
    Options { threads: globals.threads, isa: globals.isa, now: Some(globals.now().datetime()) }
}

/// Threads for work on files.
pub fn threads(globals: &Globals) -> usize {
    globals.threads.unwrap_or_else(engine::physical_cores)
}

/// Opens the model that the command is to use, with the adapters that `--lora` names.
pub fn open_model(globals: &Globals) -> Result<Model, Failure> {
    let path = find_model(globals).map_err(|sentence| Failure::new(MODEL, sentence))?;
    // Whatever is wrong while opening is the model's fault, too little memory for it included.
    let opened = guarded(|| Model::open_with(&path, options(globals)));
    let mut model = opened.map_err(|failure| failure.with_code(MODEL))?;
    lora::attach(&mut model, globals).map_err(|failure| failure.with_code(MODEL))?;
    Ok(model)
}

/// How the app starts its model's process: this program once more, with [`serve`] as its command.
pub fn launch(globals: &Globals) -> Result<Launch, String> {
    let model = find_model(globals)?;
    let program = globals.env.program.clone();
    let program = program.ok_or("the system does not tell where the osai program is, so no model can be started")?;
    let mut arguments = vec![OsString::from(ServeArgs::NAME)];
    if let Some(threads) = globals.threads {
        arguments.extend(["--threads".into(), threads.to_string().into()]);
    }
    arguments.extend(["--".into(), model.clone().into_os_string()]);
    Ok(Launch { model, program, arguments })
}

/// `osai serve-model`: jobs in on standard input, updates out on standard output.
pub fn serve(path: &Path, globals: &Globals) -> Result<(), Failure> {
    if io::stdin().is_terminal() {
        let sentence = "the app starts this command for itself; `osai generate` and `osai chat` run a model";
        return Err(Failure::usage(sentence));
    }
    engine::serve(path, options(globals)).map_err(|e| Failure::new(DATA, format!("the pipe to the app broke: {e}")))
}

/// Does a job, each update going to `each`.
pub fn run(model: &mut Model, job: Job, each: Each<'_>) -> Result<RunStats, Failure> {
    guarded(|| model.run(job, each))
}

/// A tensor library can panic; that is one sentence and exit code 4 like any other fault of the model.
pub fn guarded<T>(work: impl FnOnce() -> Result<T, EngineError>) -> Result<T, Failure> {
    match panic::catch_unwind(AssertUnwindSafe(work)) {
        Ok(result) => Ok(result?),
        Err(_) => Err(EngineError::Internal { what: "a panic in the engine".into() }.into()),
    }
}

/// Ctrl-C as a flag. While none is alive, and at the second Ctrl-C, it ends the program as usual.
#[derive(Debug)]
pub struct Interrupt {
    pressed: Arc<AtomicBool>,
    /// Whether Ctrl-C ends the program at once.
    ends: Arc<AtomicBool>,
}

impl Interrupt {
    /// Catches Ctrl-C from now on.
    pub fn catch() -> Result<Self, Failure> {
        let (pressed, ends) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        // Order matters: the second press finds `ends` set by the first.
        signal_hook::flag::register_conditional_default(SIGINT, ends.clone())
            .and_then(|_| signal_hook::flag::register(SIGINT, ends.clone()))
            .and_then(|_| signal_hook::flag::register(SIGINT, pressed.clone()))
            .map_err(|e| Failure::new(DATA, format!("cannot watch for Ctrl-C: {e}")))?;
        Ok(Self { pressed, ends })
    }

    /// Whether it was pressed.
    pub fn is_pressed(&self) -> bool {
        self.pressed.load(Ordering::Relaxed)
    }

    /// Whether it was pressed since the last call.
    pub fn take(&self) -> bool {
        self.pressed.swap(false, Ordering::Relaxed)
    }

    /// From now on Ctrl-C ends the program (`true`), or is caught (`false`).
    pub fn let_end(&self, ends: bool) {
        self.ends.store(ends, Ordering::Relaxed);
    }
}

/// A token in JSON: its text, and its bytes where they are no whole text.
#[derive(Clone, Debug, Serialize)]
pub struct TokenJson {
    id: u32,
    text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<Vec<u8>>,
    probability: f32,
    /// Natural logarithm; `null` where the probability is 0.
    logprob: Option<f64>,
    kept: bool,
}

impl TokenJson {
    /// A candidate; `logprob` where it is known better than by the logarithm of the rounded probability.
    pub fn new(candidate: &Candidate, logprob: Option<f64>) -> Self {
        let token = &candidate.token;
        let of_probability = f64::from(candidate.probability).ln();
        Self {
            id: token.id,
            text: token.lossy(),
            bytes: token.text().is_none().then(|| token.bytes.clone()),
            probability: candidate.probability,
            logprob: logprob.or(Some(of_probability)).filter(|x| x.is_finite()),
            kept: candidate.kept,
        }
    }
}

/// A token as people see it: in quotes, with spaces at its ends and line ends visible; bytes that are no whole text
/// in hex.
pub fn shown(token: &TextToken) -> String {
    match token.text() {
        Some(text) => {
            let visible = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n").replace('\t', "\\t");
            format!("\"{}\"", SafeText::line(visible.replace('\r', "\\r")))
        }
        None => format!("<{}>", hex(&token.bytes)),
    }
}

/// Bytes in hex, with spaces between them.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(bytes: &[u8]) -> TextToken {
        TextToken { id: 7, bytes: bytes.to_vec(), special: false }
    }

    #[test]
    fn a_token_is_shown_with_what_would_be_invisible() {
        assert_eq!(shown(&token(b" a\"\n\x1b")), "\" a\\\"\\n␛\"");
        assert_eq!(shown(&token(&[0xe2, 0x82])), "<e2 82>");
    }

    #[test]
    fn json_gives_bytes_only_where_the_text_is_not_whole() {
        let json = |bytes: &[u8], probability| {
            let candidate = Candidate { token: token(bytes), logit: 0.0, probability, kept: true, allowed: true };
            serde_json::to_string(&TokenJson::new(&candidate, None)).unwrap()
        };
        assert_eq!(json(b"a", 1.0), r#"{"id":7,"text":"a","probability":1.0,"logprob":0.0,"kept":true}"#);
        assert_eq!(
            json(&[0xe2], 0.0),
            "{\"id\":7,\"text\":\"\u{FFFD}\",\"bytes\":[226],\"probability\":0.0,\"logprob\":null,\"kept\":true}"
        );
    }
}
