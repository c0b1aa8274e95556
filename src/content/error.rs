//! A fault in a content file, with the place to look.

use std::fmt;

use crate::text::SafeText;

/// A fault in a content file.
#[derive(Clone, Debug, PartialEq)]
pub struct ContentError {
    /// Path from the content's root, for example `lessons/p3-tokens-and-tokenizers.md`.
    pub path: String,
    /// 1-based.
    pub line: usize,
    /// 1-based, in characters.
    pub column: usize,
    /// The line itself.
    pub source_line: String,
    /// What is wrong and what to do.
    pub kind: ContentErrorKind,
}

/// What is wrong. Grows with the checker; every kind says the remedy.
#[derive(Clone, Debug, PartialEq)]
pub enum ContentErrorKind {
    /// No TOML, or a key that does not belong there; the parser's words.
    Syntax {
        /// The parser's words.
        why: String,
    },
}

impl fmt::Display for ContentErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Syntax { why } => write!(f, "{why}"),
        }
    }
}

impl fmt::Display for ContentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let gutter = " ".repeat(self.line.to_string().len());
        writeln!(f, "{}:{}:{}: {}", SafeText::line(&*self.path), self.line, self.column, self.kind)?;
        writeln!(f, "{gutter} |")?;
        writeln!(f, "{} | {}", self.line, SafeText::line(&*self.source_line))?;
        write!(f, "{gutter} | {}^", " ".repeat(self.column.saturating_sub(1)))
    }
}

impl std::error::Error for ContentError {}
