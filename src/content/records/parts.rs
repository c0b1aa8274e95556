//! What model and licence records have in common: closed lists of words, days that may lack a part, keyed sources.
//!
//! `build.rs` shares this file, `model.rs` and `licence.rs`.

use serde::{Deserialize, Serialize};

use crate::content::error::{ContentErrorKind as Kind, Target};
use crate::content::fields::{At, Fault, Faults, Fields};
use crate::content::fold::nearest;
use crate::content::index::ContentFile;

/// A closed list of words, written the same in files and in JSON.
macro_rules! words {
    ($(#[$about:meta])* $name:ident { $($(#[$of:meta])* $value:ident = $word:literal,)+ }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum $name {
            $($(#[$of])* #[serde(rename = $word)] $value,)+
        }

        impl $name {
            /// All of them, in order.
            pub const ALL: &[Self] = &[$(Self::$value),+];
            /// The words, in the same order.
            pub const WORDS: &[&str] = &[$($word),+];

            /// The word in files and JSON.
            pub fn key(self) -> &'static str {
                match self { $(Self::$value => $word),+ }
            }
        }

        impl $crate::content::records::parts::Word for $name {
            const ALL: &[Self] = Self::ALL;
            const WORDS: &[&str] = Self::WORDS;
        }
    };
}
pub(crate) use words;

/// A value of a closed list of words.
pub trait Word: Copy + Default + 'static {
    /// All of them.
    const ALL: &[Self];
    /// Their words, in the same order.
    const WORDS: &[&str];
}

/// A source, by the key with which the record's facts name it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Source {
    /// `card`.
    pub key: String,
    /// Title.
    pub title: String,
    /// Address.
    pub url: String,
    /// The day it was read, `YYYY-MM-DD`.
    pub checked: String,
}

/// Something in another file that a record names.
#[derive(Clone, Debug, PartialEq)]
pub struct Link {
    /// What kind of thing.
    pub target: Target,
    /// Its id; that of a clause is `LICENCE/CLAUSE`.
    pub id: At<String>,
}

/// A record's file read.
#[derive(Clone, Debug)]
pub struct Parsed<T> {
    /// Complete if there are no faults.
    pub record: T,
    /// Where `id` stands.
    pub id: At<String>,
    /// Its names with their places: `name` first, then the aliases.
    pub names: Vec<At<String>>,
    /// What it names in other files.
    pub links: Vec<Link>,
    /// Days on which its sources were read.
    pub days: Vec<At<String>>,
    /// Sentences of our own.
    pub prose: Vec<At<String>>,
    /// All faults within the file.
    pub faults: Vec<Fault>,
}

impl<T> Parsed<T> {
    /// The faults with their places.
    pub fn errors(&self, file: &ContentFile) -> Vec<crate::content::error::ContentError> {
        let place = |fault: &Fault| {
            crate::content::error::ContentError::at(&file.path, &file.text, fault.at, fault.kind.clone())
        };
        self.faults.iter().map(place).collect()
    }
}

/// Reads one record: collects what is to be compared with the sources, with other files, and with the house's style.
#[derive(Debug, Default)]
pub struct Reader {
    used: Vec<At<String>>,
    /// See [`Parsed::names`].
    pub names: Vec<At<String>>,
    /// See [`Parsed::links`].
    pub links: Vec<Link>,
    days: Vec<At<String>>,
    prose: Vec<At<String>>,
}

impl Reader {
    /// A text that is a name of the record.
    pub fn name(&mut self, fields: &mut Fields<'_, '_>, key: &'static str) -> String {
        let name = fields.text(key);
        self.names.push(name.clone());
        name.value
    }

    /// Other names.
    pub fn aliases(&mut self, fields: &mut Fields<'_, '_>) -> Vec<String> {
        let aliases = fields.texts_if_any("aliases");
        self.names.extend(aliases.iter().cloned());
        plain(aliases)
    }

    /// A sentence of our own.
    pub fn says(&mut self, fields: &mut Fields<'_, '_>, key: &'static str) -> String {
        let text = fields.text(key);
        self.prose.push(text.clone());
        text.value
    }

    /// Sentences of our own; the list may be empty but not missing.
    pub fn sentences(&mut self, fields: &mut Fields<'_, '_>, key: &'static str) -> Vec<String> {
        let texts = fields.texts(key);
        self.prose.extend(texts.iter().cloned());
        plain(texts)
    }

    /// The keys of sources, written as one text or as a list.
    pub fn source(&mut self, fields: &mut Fields<'_, '_>) -> Vec<String> {
        let keys = fields.text_or_texts("source");
        self.used.extend(keys.iter().cloned());
        plain(keys)
    }

    /// The id of something in another file.
    pub fn link(&mut self, target: Target, id: &At<String>) {
        self.links.push(Link { target, id: id.clone() });
    }

    /// The id of a glossary term, if one is named.
    pub fn term(&mut self, fields: &mut Fields<'_, '_>) -> Option<String> {
        let term = fields.text_if_any("term")?;
        self.link(Target::Term, &term);
        Some(term.value)
    }

    /// `[[sources]]`, compared with the keys that the record uses: none is missing, double or idle.
    pub fn sources(&mut self, fields: &mut Fields<'_, '_>) -> Vec<Source> {
        let mut sources: Vec<Source> = Vec::new();
        for mut table in fields.tables("sources") {
            let key = table.text("key");
            let (title, url, checked) = (table.text("title").value, table.text("url"), table.day("checked"));
            if !url.value.is_empty() && !url.value.starts_with("https://") {
                table.fault(url.at, Kind::BadUrl { url: url.value.clone() });
            }
            table.finish();
            if sources.iter().any(|other| other.key == key.value) {
                fields.fault(key.at, Kind::DuplicateId { what: "source", id: key.value.clone() });
            } else if !key.value.is_empty() && !self.used.iter().any(|used| used.value == key.value) {
                fields.fault(key.at, Kind::Idle { what: "source", id: key.value.clone() });
            }
            self.days.push(checked.clone());
            sources.push(Source { key: key.value, title, url: url.value, checked: checked.value });
        }
        for used in &self.used {
            unknown(fields, Target::Source, used, sources.iter().map(|source| source.key.as_str()));
        }
        sources
    }

    /// Everything together.
    pub fn parsed<T>(self, record: T, id: At<String>, faults: Faults) -> Parsed<T> {
        let Self { names, links, days, prose, .. } = self;
        Parsed { record, id, names, links, days, prose, faults: faults.into_vec() }
    }
}

/// A fault if none of the names is `id`.
pub fn unknown<'a>(
    fields: &Fields<'_, '_>,
    target: Target,
    id: &At<String>,
    names: impl Iterator<Item = &'a str> + Clone,
) {
    if !names.clone().any(|name| name == id.value) {
        let nearest = nearest(&id.value, names);
        fields.fault(id.at, Kind::Unknown { target, id: id.value.clone(), nearest });
    }
}

/// A word of a closed list; missing or another one is a fault.
pub fn word<T: Word>(fields: &mut Fields<'_, '_>, key: &'static str) -> T {
    let text = fields.text(key);
    if text.value.is_empty() { T::default() } else { of_list(fields, key, &text) }
}

/// Words of a closed list.
pub fn word_list<T: Word>(fields: &mut Fields<'_, '_>, key: &'static str) -> Vec<T> {
    let texts = fields.texts(key);
    texts.iter().map(|text| of_list(fields, key, text)).collect()
}

fn of_list<T: Word>(fields: &Fields<'_, '_>, key: &'static str, text: &At<String>) -> T {
    let found = T::WORDS.iter().position(|word| *word == text.value);
    found.map(|place| T::ALL[place]).unwrap_or_else(|| {
        let (value, nearest) = (text.value.clone(), nearest(&text.value, T::WORDS.iter().copied()));
        fields.fault(text.at, Kind::NotOneOf { key, value, words: T::WORDS, nearest });
        T::default()
    })
}

/// The texts without their places.
pub fn plain(texts: Vec<At<String>>) -> Vec<String> {
    texts.into_iter().map(|text| text.value).collect()
}
