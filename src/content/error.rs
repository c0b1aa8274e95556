//! A fault in a content file, with the place to look and what to do.
//!
//! [`ContentErrorKind`] is a closed list: each kind is one sentence that says the remedy. `build.rs` shares this file.

use std::fmt;

use crate::text::SafeText;

/// A shown source line is cut to this many characters around the fault.
const SHOWN_COLUMNS: usize = 100;

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

impl ContentError {
    /// The fault at a byte of a file's text.
    pub fn at(path: &str, text: &str, byte: usize, kind: ContentErrorKind) -> Self {
        let byte = (0..=byte.min(text.len())).rev().find(|&b| text.is_char_boundary(b)).unwrap_or(0);
        let start = text[..byte].rfind('\n').map_or(0, |feed| feed + 1);
        let end = text[byte..].find('\n').map_or(text.len(), |feed| byte + feed);
        Self {
            path: path.into(),
            line: text[..start].matches('\n').count() + 1,
            column: text[start..byte].chars().count() + 1,
            source_line: text[start..end].trim_end_matches('\r').into(),
            kind,
        }
    }

    /// A fault of a file as a whole, or of one whose text was not read.
    pub fn of_file(path: &str, kind: ContentErrorKind) -> Self {
        Self { path: path.into(), line: 1, column: 1, source_line: String::new(), kind }
    }
}

/// A place where a content file points to something by id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// A glossary term.
    Term,
    /// A lesson.
    Lesson,
    /// A lab.
    Lab,
    /// A licence's record.
    Licence,
    /// A clause of a licence's record.
    Clause,
    /// A question that licences answer.
    Question,
    /// A source of a record.
    Source,
}

/// What is wrong. Every kind says the remedy; `nearest` is a name that may have been meant.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the sentences in `Display` are the documentation of the fields")]
pub enum ContentErrorKind {
    /// No TOML; the parser's words.
    Syntax { why: String },
    /// No `+++` at the start, or none that ends it.
    FrontMatter { begun: bool },
    /// A key that does not belong there.
    UnknownKey { key: String, nearest: Option<String> },
    /// A key that must be there.
    MissingKey { key: String },
    /// A value of another type.
    WrongType { key: String, wanted: &'static str },
    /// Nothing but space.
    Empty { key: String },
    /// A value that is not in a closed list.
    UnknownValue { key: String, value: String, nearest: Option<String> },
    /// A word that is not in a closed list of words.
    NotOneOf { key: &'static str, value: String, words: &'static [&'static str], nearest: Option<String> },
    /// Something that is described and never used.
    Idle { what: &'static str, id: String },
    /// A licence without an answer to a question.
    NoAnswer { question: String },
    /// A number out of range.
    OutOfRange { key: String, least: i64 },
    /// An id that is not what the file's name says.
    WrongId { id: String, wanted: String },
    /// An id that is not lower case letters, digits and hyphens.
    NotKebab { id: String },
    /// A text over its limit.
    TooLong { key: String, chars: usize, limit: usize },
    /// `short` that begins with the term's own name.
    BeginsWithName { name: String },
    /// A name that two terms have.
    SharedName { name: String, other: String },
    /// An id that nothing has.
    Unknown { target: Target, id: String, nearest: Option<String> },
    /// An id used twice in one file, or by two files.
    DuplicateId { what: &'static str, id: String },
    /// The order of a lesson within its level, used twice.
    DuplicateOrder { order: u32, other: String },
    /// A planned lesson that has a body.
    PlannedWithBody,
    /// A ready lesson, or a term, that lacks something.
    Lacks { what: &'static str, remedy: &'static str },
    /// A number of right choices that the kind of question does not allow.
    RightChoices { found: usize, wanted: &'static str },
    /// `{{ID}}` without `[[question.blank]]`, or the other way round.
    Blank { id: String, in_ask: bool },
    /// A `section` that is no heading of the lesson.
    UnknownSection { section: String, lesson: String, nearest: Option<String> },
    /// `# …` in a body.
    TitleHeading,
    /// A heading more than one level below the one before.
    HeadingJump { from: u8, to: u8 },
    /// A line of a diagram that is too wide.
    WideDiagram { columns: usize, limit: usize },
    /// A diagram without `alt="…"`.
    NoAlt,
    /// A lab fence without an id.
    NoLabId,
    /// HTML.
    Html,
    /// An image.
    Image,
    /// A link to something else than a term, a lesson or `https:`.
    BadLink { target: String },
    /// A source's address that is not `https:`.
    BadUrl { url: String },
    /// A source that was read more than a year ago.
    Stale { day: String },
    /// A related term that does not name this one.
    OneWay { id: String, term: String },
    /// Too few or too many of something.
    Count { what: &'static str, found: usize, least: usize, most: usize },
    /// A fact in a text that has no source at all.
    NoSource { fact: String },
    /// A word in American spelling.
    American { word: String, british: String },
    /// An abbreviation that nothing explains.
    Unexplained { word: String },
    /// A sentence that stands in another text too.
    SaidTwice { beginning: String, other: String },
    /// A day that does not exist, or is written otherwise than `YYYY-MM-DD`.
    BadDate { date: String },
    /// A file over its limit.
    TooLarge { limit: u64, unit: &'static str },
    /// A file or folder that may not be in a pack.
    Refused { why: &'static str },
    /// What the operating system said.
    Unreadable { why: String },
    /// A pack that needs a newer osai.
    NeedsNewer { wanted: String, have: String },
}

impl fmt::Display for ContentErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Syntax { why } => write!(f, "not valid TOML: {why}"),
            Self::FrontMatter { begun: false } => {
                write!(f, "no front matter; begin the file with a line `+++`, the keys, and another line `+++`")
            }
            Self::FrontMatter { begun: true } => {
                write!(f, "front matter without an end; add a line `+++` below the keys")
            }
            Self::UnknownKey { key, nearest: Some(n) } => write!(f, "unknown key `{key}`; did you mean `{n}`?"),
            Self::UnknownKey { key, nearest: None } => write!(f, "unknown key `{key}`; remove it"),
            Self::MissingKey { key } => write!(f, "the key `{key}` is missing; add it"),
            Self::WrongType { key, wanted } => write!(f, "`{key}` must be {wanted}"),
            Self::Empty { key } => write!(f, "`{key}` is empty; fill it in"),
            Self::UnknownValue { key, value, nearest: Some(n) } => {
                write!(f, "unknown {key} `{value}`; did you mean `{n}`?")
            }
            Self::UnknownValue { key, value, nearest: None } => {
                write!(f, "unknown {key} `{value}`; CONTRIBUTING.md lists the names")
            }
            Self::NotOneOf { key, value, nearest: Some(n), .. } => {
                write!(f, "unknown {key} `{value}`; did you mean `{n}`?")
            }
            Self::NotOneOf { key, value, words, nearest: None } => {
                write!(f, "unknown {key} `{value}`; it is one of {}", words.join(", "))
            }
            Self::Idle { what, id } => {
                write!(f, "nothing names the {what} `{id}`; name it where it is used, or remove it")
            }
            Self::NoAnswer { question } => {
                write!(f, "no answer to `{question}`; add an [[answer]] (`silent` where the text does not say)")
            }
            Self::OutOfRange { key, least } => write!(f, "`{key}` must be at least {least}"),
            Self::WrongId { id, wanted } => {
                write!(f, "the id `{id}` and the file's name differ; write `{wanted}` or rename the file")
            }
            Self::NotKebab { id } => {
                write!(f, "`{id}` is no id; use lower case letters, digits and single hyphens")
            }
            Self::TooLong { key, chars, limit } => {
                write!(f, "`{key}` has {chars} characters but at most {limit} fit; shorten it")
            }
            Self::BeginsWithName { name } => {
                write!(f, "`short` begins with the term's own name `{name}`; say what it is instead")
            }
            Self::SharedName { name, other } => {
                write!(f, "the name `{name}` belongs to {other} already; keep it in one of the two")
            }
            Self::Unknown { target, id, nearest: Some(n) } => {
                write!(f, "unknown {} `{id}`; did you mean `{n}`?", target.word())
            }
            Self::Unknown { target: Target::Term, id, nearest: None } => {
                write!(f, "no glossary term `{id}`; add glossary/{id}.md or mend the id")
            }
            Self::Unknown { target: Target::Licence, id, nearest: None } => {
                write!(f, "no record of a licence `{id}`; add records/licences/{id}.toml or mend the id")
            }
            Self::Unknown { target, id, nearest: None } => {
                write!(f, "unknown {} `{id}`; mend the id", target.word())
            }
            Self::DuplicateId { what, id } => {
                write!(f, "the {what} `{id}` is there twice; give one of them another id")
            }
            Self::DuplicateOrder { order, other } => {
                write!(f, "order {order} of this level is taken by {other}; choose another number")
            }
            Self::PlannedWithBody => {
                write!(f, "a planned lesson has a body; set `status = \"ready\"` or take the body out")
            }
            Self::Lacks { what, remedy } => write!(f, "no {what}; {remedy}"),
            Self::RightChoices { found, wanted } => {
                write!(f, "{found} choices are right but there must be {wanted}; mend `right = true`")
            }
            Self::Blank { id, in_ask: true } => {
                write!(f, "the blank `{{{{{id}}}}}` is not described; add a [[question.blank]] with this id")
            }
            Self::Blank { id, in_ask: false } => {
                write!(f, "the blank `{id}` does not occur in `ask`; write `{{{{{id}}}}}` there once")
            }
            Self::UnknownSection { section, lesson, nearest: Some(n) } => {
                write!(f, "lesson {lesson} has no heading `{section}`; did you mean `{n}`?")
            }
            Self::UnknownSection { section, lesson, nearest: None } => {
                write!(f, "lesson {lesson} has no heading `{section}`; write one of its headings")
            }
            Self::TitleHeading => {
                write!(f, "a `#` heading; the title is in the front matter, sections begin with `##`")
            }
            Self::HeadingJump { from, to } => {
                write!(f, "a heading of level {to} below one of level {from}; use level {}", from + 1)
            }
            Self::WideDiagram { columns, limit } => {
                write!(f, "a diagram line of {columns} columns; at most {limit} fit on a small screen")
            }
            Self::NoAlt => write!(f, "a diagram without words; write alt=\"what it shows\" behind `diagram`"),
            Self::NoLabId => write!(f, "a lab without an id; write it behind `lab`"),
            Self::Html => write!(f, "HTML is not shown; write markdown (and `<` in code marks)"),
            Self::Image => write!(f, "images are not shown; draw a ```diagram or say it in words"),
            Self::BadLink { target } => {
                write!(f, "a link to `{target}`; links lead to `term:ID`, `lesson:ID` or `https://…`")
            }
            Self::BadUrl { url } => write!(f, "the address `{url}` does not begin with `https://`; give one that does"),
            Self::Stale { day } => write!(f, "read on {day}, over a year ago; read the source again and mend the day"),
            Self::OneWay { id, term } => {
                write!(f, "`{id}` does not name `{term}` in turn; add it to `related` in glossary/{id}.md")
            }
            Self::Count { what, found, least, most } if found < least => {
                write!(f, "{found} {what} but {least} to {most} are wanted; add some")
            }
            Self::Count { what, found, least, most } => {
                write!(f, "{found} {what} but {least} to {most} are wanted; leave some out")
            }
            Self::NoSource { fact } => {
                write!(f, "`{fact}` is a fact that can change, and no source is named; add [[sources]]")
            }
            Self::American { word, british } => write!(f, "`{word}` is American; write `{british}`"),
            Self::Unexplained { word } => {
                write!(f, "no reader can know `{word}`; say what it stands for, or make it the alias of a term")
            }
            Self::SaidTwice { beginning, other } => {
                write!(f, "`{beginning}…` stands in {other} too; say it once, and link to it")
            }
            Self::BadDate { date } => write!(f, "`{date}` is no day; write it as 2026-11-24, without quotes"),
            Self::TooLarge { limit, unit } => {
                write!(f, "over the limit of {limit} {unit}; split it or leave something out")
            }
            Self::Refused { why } => write!(f, "{why}; take it out"),
            Self::Unreadable { why } => write!(f, "not readable: {why}"),
            Self::NeedsNewer { wanted, have } => {
                write!(f, "the pack needs osai {wanted} but this is {have}; update osai")
            }
        }
    }
}

impl Target {
    fn word(self) -> &'static str {
        match self {
            Self::Term => "term",
            Self::Lesson => "lesson",
            Self::Lab => "lab",
            Self::Licence => "licence",
            Self::Clause => "clause",
            Self::Question => "question",
            Self::Source => "source",
        }
    }
}

impl fmt::Display for ContentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let gutter = " ".repeat(self.line.to_string().len());
        // Long lines are cut before the fault; the caret moves along.
        let cut = self.column.saturating_sub(SHOWN_COLUMNS);
        let before: String = self.source_line.chars().skip(cut).take(self.column - 1 - cut).collect();
        let shown: String = self.source_line.chars().skip(cut).take(SHOWN_COLUMNS).collect();
        let caret = SafeText::line(before).as_str().chars().count();
        let kind = SafeText::line(self.kind.to_string());
        writeln!(f, "{}:{}:{}: {kind}", SafeText::line(&*self.path), self.line, self.column)?;
        writeln!(f, "{gutter} |")?;
        writeln!(f, "{} | {}", self.line, SafeText::line(shown))?;
        write!(f, "{gutter} | {}^", " ".repeat(caret))
    }
}

impl std::error::Error for ContentError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_points_at_its_place() {
        let text = "one\ntwo lab temprature\n";
        let kind = ContentErrorKind::Unknown {
            target: Target::Lab,
            id: "temprature".into(),
            nearest: Some("temperature".into()),
        };
        assert_eq!(
            ContentError::at("lessons/x.md", text, 12, kind).to_string(),
            "\
lessons/x.md:2:9: unknown lab `temprature`; did you mean `temperature`?
  |
2 | two lab temprature
  |         ^"
        );
    }

    #[test]
    fn a_fault_far_out_in_a_hostile_line_is_short_and_harmless() {
        let text = format!("{}\u{1b}[31mX", "é".repeat(5000));
        let shown = ContentError::at("a\u{1b}.md", &text, text.len(), ContentErrorKind::Html).to_string();
        assert!(shown.len() < 700 && !shown.contains('\u{1b}'), "{shown}");
        assert!(shown.starts_with("a␛.md:1:5007: "), "{shown}");
    }
}
