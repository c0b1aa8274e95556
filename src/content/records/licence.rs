//! A licence's record, `records/licences/ID.toml`: its clauses in our words, and its answers to the questions of
//! `records/questions.toml`.

use serde::{Deserialize, Serialize};

use super::parts::{Parsed, Reader, Source, unknown, word, words};
use crate::content::error::{ContentErrorKind as Kind, Target};
use crate::content::fields::{Faults, Fields};

words! {
    /// What kind of licence.
    LicenceKind {
        /// Asks for little more than the notice.
        #[default]
        Permissive = "permissive",
        /// Changes to its own files stay under it.
        WeakCopyleft = "weak-copyleft",
        /// What is made from it stays under it.
        Copyleft = "copyleft",
        /// Open but for a list of forbidden uses.
        ResponsibleUse = "responsible-use",
        /// A maker's own terms.
        Community = "community",
        /// For research only.
        ResearchOnly = "research-only",
        /// Not for business.
        NonCommercial = "non-commercial",
        /// For data.
        Data = "data",
        /// The terms of a service.
        Terms = "terms-of-service",
    }
}

words! {
    /// What a clause is about.
    Topic {
        /// What may be done.
        #[default]
        Grant = "grant",
        /// Passing it on.
        Redistribution = "redistribution",
        /// Texts that go along.
        Notice = "notice",
        /// Naming the maker.
        Attribution = "attribution",
        /// What derived models are called.
        Naming = "naming",
        /// Saying what was changed.
        Changes = "changes",
        /// The same licence for what is derived.
        ShareAlike = "share-alike",
        /// Giving the source.
        Source = "source",
        /// Who is too big.
        Threshold = "threshold",
        /// Business.
        NonCommercial = "non-commercial",
        /// Research only.
        ResearchOnly = "research-only",
        /// Forbidden uses.
        FieldOfUse = "field-of-use",
        /// A policy on use.
        AcceptableUse = "acceptable-use",
        /// What the model produces.
        Output = "output",
        /// Training others on the output.
        TrainingOthers = "training-others",
        /// Where it may be used.
        Territory = "territory",
        /// Patents.
        Patent = "patent",
        /// Names and logos.
        Trademark = "trademark",
        /// How it ends.
        Termination = "termination",
        /// Whether it can be taken back.
        Revocation = "revocation",
        /// Later versions.
        Updates = "updates",
        /// Who pays.
        Liability = "liability",
        /// Which law.
        Law = "law",
        /// Export rules.
        Export = "export",
        /// What happens with data.
        Data = "data",
        /// Money.
        Fees = "fees",
    }
}

words! {
    /// What a clause does.
    Effect {
        /// Allows.
        #[default]
        Grants = "grants",
        /// Asks for something.
        Requires = "requires",
        /// Does not allow.
        Forbids = "forbids",
        /// Allows less.
        Limits = "limits",
        /// Takes away.
        Ends = "ends",
        /// Promises nothing.
        Disclaims = "disclaims",
    }
}

words! {
    /// The answer to a question.
    AnswerVerdict {
        /// Yes.
        #[default]
        Yes = "yes",
        /// Yes, on conditions.
        YesIf = "yes-if",
        /// No.
        No = "no",
        /// The text can be read both ways.
        Unclear = "unclear",
        /// The text does not say.
        Silent = "silent",
    }
}

/// One clause.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Clause {
    /// Kebab-case; the same in licences that say the same.
    pub id: String,
    /// What it is about.
    pub topic: Topic,
    /// What it does.
    pub effect: Effect,
    /// As the text numbers it.
    pub section: String,
    /// What it says, in our words.
    pub says: String,
    /// Keys of sources.
    pub source: Vec<String>,
}

/// The answer to a question.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LicenceAnswer {
    /// Id of the question.
    pub question: String,
    /// The answer in a word.
    pub verdict: AnswerVerdict,
    /// Ids of the clauses it rests on.
    pub clauses: Vec<String>,
    /// The answer in a sentence.
    pub says: String,
}

/// What is known of a licence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Licence {
    /// Kebab-case, the file's name.
    pub id: String,
    /// Name.
    pub name: String,
    /// Version.
    pub version: Option<String>,
    /// Day of this version, `YYYY-MM-DD`, `YYYY-MM` or `YYYY`.
    pub date: Option<String>,
    /// Who keeps the text.
    pub steward: String,
    /// Id on the SPDX list.
    pub spdx: Option<String>,
    /// What kind.
    pub kind: LicenceKind,
    /// Whether the Open Source Initiative approved it.
    pub osi_approved: bool,
    /// Other names.
    pub aliases: Vec<String>,
    /// Id of the glossary term.
    pub term: Option<String>,
    /// Who may do what, and the catch.
    pub summary: String,
    /// Keys of the sources of the facts above.
    pub source: Vec<String>,
    /// What could not be found out.
    pub unverified: Vec<String>,
    /// Its clauses, as the file has them.
    pub clauses: Vec<Clause>,
    /// Its answers, one for each question.
    pub answers: Vec<LicenceAnswer>,
    /// Sources.
    pub sources: Vec<Source>,
}

impl Licence {
    /// A clause by id.
    pub fn clause(&self, id: &str) -> Option<&Clause> {
        self.clauses.iter().find(|clause| clause.id == id)
    }

    /// The answer to a question by id.
    pub fn answer(&self, question: &str) -> Option<&LicenceAnswer> {
        self.answers.iter().find(|answer| answer.question == question)
    }
}

/// A question that every licence answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LicenceQuestion {
    /// Kebab-case.
    pub id: String,
    /// The question.
    pub ask: String,
    /// How else people ask.
    pub described: Vec<String>,
}

/// Reads a licence's file.
pub fn parse_licence(text: &str) -> Parsed<Licence> {
    let faults = Faults::new(0);
    let mut fields = faults.table(text);
    let mut reader = Reader::default();
    let id = fields.text("id");
    let mut licence = Licence {
        id: id.value.clone(),
        name: reader.name(&mut fields, "name"),
        version: fields.text_if_any("version").map(|version| version.value),
        date: fields.day_or_part_if_any("date").map(|date| date.value),
        steward: fields.text("steward").value,
        spdx: fields.text_if_any("spdx").map(|spdx| spdx.value),
        kind: word(&mut fields, "kind"),
        osi_approved: fields.flag("osi_approved").unwrap_or_else(|| {
            fields.missing("osi_approved");
            false
        }),
        aliases: reader.aliases(&mut fields),
        term: reader.term(&mut fields),
        summary: reader.says(&mut fields, "summary"),
        source: reader.source(&mut fields),
        unverified: reader.sentences(&mut fields, "unverified"),
        clauses: clauses(&mut reader, &mut fields),
        answers: Vec::new(),
        sources: Vec::new(),
    };
    licence.answers = answers(&mut reader, &mut fields, &licence.clauses);
    licence.sources = reader.sources(&mut fields);
    fields.finish();
    reader.parsed(licence, id, faults)
}

fn clauses(reader: &mut Reader, fields: &mut Fields<'_, '_>) -> Vec<Clause> {
    let mut clauses: Vec<Clause> = Vec::new();
    for mut table in fields.tables("clause") {
        let id = table.text("id");
        if clauses.iter().any(|other| other.id == id.value) {
            table.fault(id.at, Kind::DuplicateId { what: "clause", id: id.value.clone() });
        }
        clauses.push(Clause {
            id: id.value,
            topic: word(&mut table, "topic"),
            effect: word(&mut table, "effect"),
            section: table.text("section").value,
            says: reader.says(&mut table, "says"),
            source: reader.source(&mut table),
        });
        table.finish();
    }
    clauses
}

fn answers(reader: &mut Reader, fields: &mut Fields<'_, '_>, clauses: &[Clause]) -> Vec<LicenceAnswer> {
    let mut answers: Vec<LicenceAnswer> = Vec::new();
    for mut table in fields.tables("answer") {
        let question = table.text("question");
        reader.link(Target::Question, &question);
        if answers.iter().any(|other| other.question == question.value) {
            table.fault(question.at, Kind::DuplicateId { what: "answer", id: question.value.clone() });
        }
        let verdict = word(&mut table, "verdict");
        let named = table.texts("clauses");
        for id in &named {
            unknown(&table, Target::Clause, id, clauses.iter().map(|clause| clause.id.as_str()));
        }
        let says = reader.says(&mut table, "says");
        let clauses = super::parts::plain(named);
        answers.push(LicenceAnswer { question: question.value, verdict, clauses, says });
        table.finish();
    }
    answers
}

/// Reads `records/questions.toml`; the record is the list.
pub fn parse_questions(text: &str) -> Parsed<Vec<LicenceQuestion>> {
    let faults = Faults::new(0);
    let mut fields = faults.table(text);
    let mut reader = Reader::default();
    let mut questions: Vec<LicenceQuestion> = Vec::new();
    for mut table in fields.tables("question") {
        let id = table.text("id");
        if questions.iter().any(|other| other.id == id.value) {
            table.fault(id.at, Kind::DuplicateId { what: "question", id: id.value.clone() });
        }
        let ask = reader.says(&mut table, "ask");
        let described = super::parts::plain(table.texts("described"));
        table.finish();
        questions.push(LicenceQuestion { id: id.value, ask, described });
    }
    fields.finish();
    reader.parsed(questions, Default::default(), faults)
}
