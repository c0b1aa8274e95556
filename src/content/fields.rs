//! Strict reading of TOML: every key is asked for once, whatever is left over or of another type is a fault.
//!
//! Works on the parser's tree with positions, so that all faults of a file are found, not the first.
//! `build.rs` shares this file.

use std::cell::RefCell;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::ContentErrorKind as Kind;
use super::fold::nearest;

/// A fault at a byte of the file.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    /// 0-based byte in the file.
    pub at: usize,
    /// What is wrong.
    pub kind: Kind,
}

/// A value and where it stands.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct At<T> {
    /// The value.
    pub value: T,
    /// 0-based byte in the file.
    pub at: usize,
}

/// Collects the faults of one file's TOML, which begins at `base` in the file.
#[derive(Debug, Default)]
pub struct Faults {
    base: usize,
    found: RefCell<Vec<Fault>>,
}

impl Faults {
    /// For TOML that begins at this byte of its file.
    pub fn new(base: usize) -> Self {
        Self { base, found: RefCell::default() }
    }

    /// Notes a fault at a byte of the file.
    pub fn add(&self, at: usize, kind: Kind) {
        self.found.borrow_mut().push(Fault { at, kind });
    }

    /// All faults found. Where the TOML itself is broken, what seems to be missing may stand in the broken part.
    pub fn into_vec(self) -> Vec<Fault> {
        let mut found = self.found.into_inner();
        if found.iter().any(|fault| matches!(fault.kind, Kind::Syntax { .. })) {
            found.retain(|fault| !matches!(fault.kind, Kind::MissingKey { .. } | Kind::Lacks { .. }));
        }
        found
    }

    /// The table of a whole text. What can be read of faulty TOML is there too.
    pub fn table<'r, 'i>(&'r self, text: &'i str) -> Fields<'r, 'i> {
        let (table, errors) = DeTable::parse_recoverable(text);
        for error in errors {
            let at = error.span().map_or(0, |span| span.start);
            self.add(self.base + at, Kind::Syntax { why: error.message().lines().collect::<Vec<_>>().join(", ") });
        }
        Fields { faults: self, table: table.into_inner(), at: self.base, asked: Vec::new() }
    }
}

/// A table being read. End with [`Fields::finish`].
#[derive(Debug)]
pub struct Fields<'r, 'i> {
    faults: &'r Faults,
    table: DeTable<'i>,
    /// Where the table stands in the file.
    pub at: usize,
    asked: Vec<&'static str>,
}

impl<'r, 'i> Fields<'r, 'i> {
    fn take(&mut self, key: &'static str) -> Option<At<DeValue<'i>>> {
        self.asked.push(key);
        let value = self.table.remove(key)?;
        let at = self.faults.base + value.span().start;
        Some(At { value: value.into_inner(), at })
    }

    /// Whether a key is there.
    pub fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// Notes that a key is missing; the fault points at the table.
    pub fn missing(&self, key: &str) {
        self.faults.add(self.at, Kind::MissingKey { key: key.into() });
    }

    /// Notes a fault.
    pub fn fault(&self, at: usize, kind: Kind) {
        self.faults.add(at, kind);
    }

    fn wrong(&self, at: usize, key: &str, wanted: &'static str) {
        self.faults.add(at, Kind::WrongType { key: key.into(), wanted });
    }

    /// A text that may be left out; an empty one is a fault.
    pub fn text_if_any(&mut self, key: &'static str) -> Option<At<String>> {
        let found = self.take(key)?;
        match found.value {
            DeValue::String(text) if text.trim().is_empty() => self.fault(found.at, Kind::Empty { key: key.into() }),
            DeValue::String(text) => return Some(At { value: text.into_owned(), at: found.at }),
            _ => self.wrong(found.at, key, "text in quotes"),
        }
        None
    }

    /// A text; empty where it is missing, which is a fault.
    pub fn text(&mut self, key: &'static str) -> At<String> {
        if !self.has(key) {
            self.missing(key);
        }
        self.text_if_any(key).unwrap_or(At { value: String::new(), at: self.at })
    }

    /// A list of texts that may be left out.
    pub fn texts_if_any(&mut self, key: &'static str) -> Vec<At<String>> {
        let Some(found) = self.take(key) else { return Vec::new() };
        let DeValue::Array(values) = found.value else {
            self.wrong(found.at, key, "a list of texts in square brackets");
            return Vec::new();
        };
        let mut texts = Vec::new();
        for value in values {
            let at = self.faults.base + value.span().start;
            match value.into_inner() {
                DeValue::String(text) if text.trim().is_empty() => self.fault(at, Kind::Empty { key: key.into() }),
                DeValue::String(text) => texts.push(At { value: text.into_owned(), at }),
                _ => self.wrong(at, key, "a list of texts in square brackets"),
            }
        }
        texts
    }

    /// A list of texts; it may be empty but not missing.
    pub fn texts(&mut self, key: &'static str) -> Vec<At<String>> {
        if !self.has(key) {
            self.missing(key);
        }
        self.texts_if_any(key)
    }

    /// A text, or a list of texts; missing or empty is a fault.
    pub fn text_or_texts(&mut self, key: &'static str) -> Vec<At<String>> {
        let is_list = self.table.get(key).is_some_and(|value| matches!(value.get_ref(), DeValue::Array(_)));
        if !is_list {
            let text = self.text(key);
            return if text.value.is_empty() { Vec::new() } else { vec![text] };
        }
        let texts = self.texts_if_any(key);
        if texts.is_empty() {
            self.fault(self.at, Kind::Empty { key: key.into() });
        }
        texts
    }

    /// Tables in a list, from `[[key]]` or `key = [{ … }]`; none where there is no such key.
    pub fn tables(&mut self, key: &'static str) -> Vec<Fields<'r, 'i>> {
        let Some(found) = self.take(key) else { return Vec::new() };
        let DeValue::Array(values) = found.value else {
            self.wrong(found.at, key, "a list of tables");
            return Vec::new();
        };
        values.into_iter().filter_map(|value| self.sub_table(key, value)).collect()
    }

    /// A table that may be left out.
    pub fn table(&mut self, key: &'static str) -> Option<Fields<'r, 'i>> {
        let found = self.take(key)?;
        let end = found.at - self.faults.base;
        self.sub_table(key, Spanned::new(end..end, found.value))
    }

    fn sub_table(&self, key: &'static str, value: Spanned<DeValue<'i>>) -> Option<Fields<'r, 'i>> {
        let at = self.faults.base + value.span().start;
        match value.into_inner() {
            DeValue::Table(table) => Some(Fields { faults: self.faults, table, at, asked: Vec::new() }),
            _ => {
                self.wrong(at, key, "a table");
                None
            }
        }
    }

    /// A whole number of at least `least`; missing is a fault.
    pub fn number(&mut self, key: &'static str, least: i64) -> u32 {
        let Some(found) = self.take(key) else {
            self.missing(key);
            return 0;
        };
        let parsed = match &found.value {
            DeValue::Integer(n) => i64::from_str_radix(&n.as_str().replace('_', ""), n.radix()).ok(),
            _ => None,
        };
        match parsed.map(|n| (n >= least, u32::try_from(n))) {
            Some((true, Ok(n))) => return n,
            Some((false, _)) => self.fault(found.at, Kind::OutOfRange { key: key.into(), least }),
            _ => self.wrong(found.at, key, "a whole number"),
        }
        0
    }

    /// A whole number from 1, if it is there.
    pub fn large_number_if_any(&mut self, key: &'static str) -> Option<u64> {
        let found = self.take(key)?;
        let parsed = match &found.value {
            DeValue::Integer(n) => u64::from_str_radix(&n.as_str().replace('_', ""), n.radix()).ok(),
            _ => None,
        };
        let number = parsed.filter(|number| *number > 0);
        if number.is_none() {
            self.wrong(found.at, key, "a whole number from 1");
        }
        number
    }

    /// A finite number.
    pub fn float(&mut self, key: &'static str) -> Option<At<f64>> {
        let Some(found) = self.take(key) else {
            self.missing(key);
            return None;
        };
        let text = match &found.value {
            DeValue::Integer(n) if n.radix() == 10 => n.as_str(),
            DeValue::Float(n) => n.as_str(),
            _ => "",
        };
        match text.replace('_', "").parse::<f64>() {
            Ok(value) if value.is_finite() => Some(At { value, at: found.at }),
            _ => {
                self.wrong(found.at, key, "a number");
                None
            }
        }
    }

    /// True or false, if it is there.
    pub fn flag(&mut self, key: &'static str) -> Option<bool> {
        let found = self.take(key)?;
        if found.value.as_bool().is_none() {
            self.wrong(found.at, key, "true or false");
        }
        found.value.as_bool()
    }

    /// A day as `YYYY-MM-DD`; missing is a fault.
    pub fn day(&mut self, key: &'static str) -> At<String> {
        let Some(found) = self.take(key) else {
            self.missing(key);
            return At { value: String::new(), at: self.at };
        };
        match &found.value {
            // The parser refuses days that no calendar has.
            DeValue::Datetime(day) if day.time.is_none() && day.offset.is_none() => {
                return At { value: day.to_string(), at: found.at };
            }
            DeValue::String(date) => self.fault(found.at, Kind::BadDate { date: date.to_string() }),
            DeValue::Datetime(date) => self.fault(found.at, Kind::BadDate { date: date.to_string() }),
            _ => self.wrong(found.at, key, "a day such as 2026-11-24"),
        }
        At { value: String::new(), at: found.at }
    }

    /// A day as `YYYY-MM-DD`, or in quotes as `"YYYY-MM"` or `"YYYY"` where no more is known; missing is a fault.
    pub fn day_or_part(&mut self, key: &'static str) -> Option<At<String>> {
        if !self.has(key) {
            self.missing(key);
        }
        self.day_or_part_if_any(key)
    }

    /// The same, if it is there.
    pub fn day_or_part_if_any(&mut self, key: &'static str) -> Option<At<String>> {
        let is_text = self.table.get(key).is_some_and(|value| matches!(value.get_ref(), DeValue::String(_)));
        if !is_text {
            return self.has(key).then(|| self.day(key));
        }
        let text = self.text_if_any(key)?;
        if is_part_of_day(&text.value) {
            return Some(text);
        }
        self.fault(text.at, Kind::BadDate { date: text.value });
        None
    }

    /// Reports the keys nobody asked for.
    pub fn finish(self) {
        for key in self.table.keys() {
            let name = key.get_ref().to_string();
            let nearest = nearest(&name, self.asked.iter().copied());
            self.faults.add(self.faults.base + key.span().start, Kind::UnknownKey { key: name, nearest });
        }
    }
}

/// `YYYY` or `YYYY-MM`.
fn is_part_of_day(text: &str) -> bool {
    let is_number = |part: &str, digits| part.len() == digits && part.bytes().all(|b| b.is_ascii_digit());
    match text.split_once('-') {
        None => is_number(text, 4),
        Some((year, month)) => is_number(year, 4) && is_number(month, 2) && ("01"..="12").contains(&month),
    }
}
