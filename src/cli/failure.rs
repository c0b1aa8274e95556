//! Exit codes, and the one error type of the command line.

use std::io;

use crate::engine::EngineError;
use crate::models::AddError;
use crate::text::SafeText;

/// Not found, or a check failed.
pub const NOT_FOUND: u8 = 1;
/// Wrong usage.
pub const USAGE: u8 = 2;
/// Data, the database or the output.
pub const DATA: u8 = 3;
/// The model.
pub const MODEL: u8 = 4;
/// A pack, or a verification.
pub const VERIFY: u8 = 5;
/// The network.
pub const NETWORK: u8 = 6;
/// Ended by Ctrl-C: 128 + SIGINT.
pub const INTERRUPTED: u8 = 130;

/// Why a command ends early: an exit code, and a sentence unless everything has been said.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    code: u8,
    message: Option<String>,
}

impl Failure {
    /// An end with a sentence: what happened and what to do; lower case, no full stop.
    pub fn new(code: u8, message: impl Into<String>) -> Self {
        Self { code, message: Some(message.into()) }
    }

    /// Wrong usage.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(USAGE, message)
    }

    /// An end about which everything has been said.
    pub fn silent(code: u8) -> Self {
        Self { code, message: None }
    }

    /// The same with another exit code.
    pub fn with_code(self, code: u8) -> Self {
        Self { code, ..self }
    }

    /// The exit code.
    pub fn code(&self) -> u8 {
        self.code
    }

    /// The sentence as plain data, for others to show; empty if there is none.
    pub fn sentence(&self) -> String {
        self.message.clone().unwrap_or_default()
    }

    /// The sentence, safe to print.
    pub fn message(&self) -> Option<SafeText> {
        self.message.clone().map(SafeText::line)
    }
}

/// The output failed. Only writes to stdout reach `?` as `io::Error` in this layer; every other one is given its
/// sentence where it happens. A reader that has seen enough is no fault.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::silent(0),
            _ => Self::new(DATA, format!("cannot write the output: {error}; what was written may be cut off")),
        }
    }
}

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Self {
        let code = match error {
            EngineError::BadSetting { .. } => USAGE,
            EngineError::Unwritable { .. } => DATA,
            _ => MODEL,
        };
        Self::new(code, error.to_string())
    }
}

impl From<AddError> for Failure {
    fn from(error: AddError) -> Self {
        let code = match error {
            AddError::NotFound { .. } => NOT_FOUND,
            AddError::Unreadable { .. }
            | AddError::NameTaken { .. }
            | AddError::Busy { .. }
            | AddError::Unwritable { .. } => DATA,
            AddError::NotAModel { .. } => MODEL,
            AddError::WrongHash { .. } => VERIFY,
            AddError::NotFetched { .. } => NETWORK,
        };
        Self::new(code, error.to_string())
    }
}
