//! JSON Schema to rules: what may be asked for, and what is refused by name.
//!
//! Read are `type`, `enum`, `const`, `anyOf`, `oneOf` whose alternatives cannot both fit, `allOf` of one, `$ref` into the
//! same schema; `properties`, `required`, `additionalProperties`; `items`, `prefixItems`, `minItems`, `maxItems`;
//! `minLength`, `maxLength`, `pattern`, `format` (date, time, date-time, uuid); `minimum`, `maximum` and the exclusive
//! ones. An answer is written as the schema names it: properties in its order, and no others unless
//! `additionalProperties` allows them. Every answer is valid; not every valid answer can be given.

mod bounds;
mod json;
mod number;
mod string;

use std::collections::HashMap;

use super::{Expr, GrammarError, MAX_DEPTH, MAX_TEXT, Rule, Rules};
use bounds::{any_number, number_in};
use json::Json;

/// Keywords that say nothing about an answer.
const ANNOTATIONS: [&str; 13] = [
    "title",
    "description",
    "default",
    "examples",
    "deprecated",
    "readOnly",
    "writeOnly",
    "$schema",
    "$id",
    "$comment",
    "$defs",
    "definitions",
    "$anchor",
];
const KEYWORDS: [&str; 23] = [
    "type",
    "enum",
    "const",
    "anyOf",
    "oneOf",
    "allOf",
    "$ref",
    "properties",
    "required",
    "additionalProperties",
    "items",
    "prefixItems",
    "minItems",
    "maxItems",
    "uniqueItems",
    "minLength",
    "maxLength",
    "pattern",
    "format",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
];
const TYPES: [&str; 7] = ["object", "array", "string", "number", "integer", "boolean", "null"];

/// The most that a count (`maxItems`, `maxLength`) may say.
const MAX_COUNT: u64 = 10_000;

/// The rules of a schema.
///
/// # Errors
/// What is wrong: line and column in JSON, else the path of the keyword.
pub fn rules(text: &str) -> Result<Rules, GrammarError> {
    if text.len() > MAX_TEXT {
        return Err(GrammarError::new(format!("the schema is longer than {} KiB", MAX_TEXT >> 10)));
    }
    let root: Json = serde_json::from_str(text).map_err(|error| {
        let what = error.to_string();
        let what = what.rsplit_once(" at line").map_or(what.as_str(), |(what, _)| what);
        GrammarError::at((error.line(), error.column()), format!("the schema is no JSON: {what}"))
    })?;
    let mut builder = Builder { root: &root, rules: Vec::new(), by_name: HashMap::new(), open: Vec::new() };
    builder.reference("#", "#")?;
    while let Some((place, schema, path)) = builder.open.pop() {
        builder.rules[place].body = builder.value(schema, &path, 0)?;
    }
    Ok(Rules { rules: builder.rules, root: 0 })
}

struct Builder<'a> {
    root: &'a Json,
    rules: Vec<Rule>,
    /// Shared rules by name, and those of `$ref` by their pointer.
    by_name: HashMap<String, usize>,
    /// Rules that are named but not written yet: no chain of references can nest too deep.
    open: Vec<(usize, &'a Json, String)>,
}

fn refuse<T>(path: &str, what: impl std::fmt::Display) -> Result<T, GrammarError> {
    Err(GrammarError::new(format!("{path}: {what}")))
}

fn literal(text: impl Into<String>) -> Expr {
    Expr::Literal(text.into())
}

fn any_number_of(of: Expr) -> Expr {
    Expr::Repeat { of: Box::new(of), min: 0, max: None }
}

fn optional(of: Expr) -> Expr {
    Expr::Repeat { of: Box::new(of), min: 0, max: Some(1) }
}

/// A schema's members, or why it has none.
fn members<'a>(schema: &'a Json, path: &str) -> Result<&'a [(String, Json)], GrammarError> {
    match schema {
        Json::Object(members) => Ok(members),
        Json::Bool(false) => refuse(path, "`false` fits no value, so nothing could be written"),
        other => refuse(path, format_args!("a schema is an object or `true`, not {}", other.kind())),
    }
}

fn pointer(path: &str, name: &str) -> String {
    format!("{path}/{}", name.replace('~', "~0").replace('/', "~1"))
}

impl<'a> Builder<'a> {
    /// Adds a rule; its name becomes one of its own.
    fn rule(&mut self, name: &str, body: Expr) -> usize {
        let word: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
        let word = word.trim_matches('-').chars().take(40).collect::<String>();
        let mut name = if word.is_empty() { "root".to_owned() } else { word };
        if self.by_name.contains_key(&format!("rule {name}")) {
            name = format!("{name}-{}", self.rules.len());
        }
        self.by_name.insert(format!("rule {name}"), self.rules.len());
        self.rules.push(Rule { name, body, at: (0, 0) });
        self.rules.len() - 1
    }

    /// A rule that many parts share.
    fn shared(&mut self, name: &str, body: impl FnOnce(&mut Self) -> Expr) -> Expr {
        if let Some(place) = self.by_name.get(name) {
            return Expr::Rule(*place);
        }
        let place = self.rule(name, Expr::Choice(Vec::new()));
        self.by_name.insert(name.into(), place);
        self.rules[place].body = body(self);
        Expr::Rule(place)
    }

    /// White space between the parts: one space, or a new line with an indent; never without end.
    fn space(&mut self) -> Expr {
        let indent = Expr::Repeat { of: Box::new(Expr::Class(vec![('\t', '\t'), (' ', ' ')])), min: 0, max: Some(20) };
        let line = Expr::Sequence(vec![literal("\n"), indent]);
        self.shared("space", |_| optional(Expr::Choice(vec![literal(" "), line])))
    }

    fn character(&mut self) -> Expr {
        self.shared("character", |_| string::character())
    }

    fn plain_string(&mut self) -> Expr {
        let character = self.character();
        self.shared("string", |_| string::quoted(any_number_of(character)))
    }

    /// Any JSON value.
    fn anything(&mut self) -> Expr {
        let (space, string) = (self.space(), self.plain_string());
        self.shared("value", |builder| {
            let value = Expr::Rule(builder.by_name["value"]);
            let member = Expr::Sequence(vec![string.clone(), literal(":"), space.clone(), value.clone()]);
            let object = list("{", "}", &space, builder.comma_separated(member, &space, 0, None));
            let array = list("[", "]", &space, builder.comma_separated(value, &space, 0, None));
            let number = any_number();
            Expr::Choice(vec![object, array, string, number, literal("true"), literal("false"), literal("null")])
        })
    }

    /// What a pointer points to, as a rule that is written later.
    fn reference(&mut self, target: &str, path: &str) -> Result<Expr, GrammarError> {
        if let Some(place) = self.by_name.get(target) {
            return Ok(Expr::Rule(*place));
        }
        let schema = self.find(target, path)?;
        let place = self.rule(target.trim_start_matches('#'), Expr::Choice(Vec::new()));
        self.by_name.insert(target.into(), place);
        self.open.push((place, schema, target.into()));
        Ok(Expr::Rule(place))
    }

    fn find(&self, target: &str, path: &str) -> Result<&'a Json, GrammarError> {
        let Some(way) = target.strip_prefix('#') else {
            return refuse(path, format_args!("`$ref` may only point into the same schema (`#/…`), not to `{target}`"));
        };
        let mut at = self.root;
        for step in way.split('/').skip(1) {
            let step = step.replace("~1", "/").replace("~0", "~");
            let next = match at {
                Json::Array(items) => step.parse().ok().and_then(|i: usize| items.get(i)),
                other => other.get(&step),
            };
            match next {
                Some(next) => at = next,
                None => return refuse(path, format_args!("`$ref` points to `{target}`, where there is nothing")),
            }
        }
        Ok(at)
    }

    /// What writes a value that fits a schema.
    fn value(&mut self, schema: &'a Json, path: &str, depth: usize) -> Result<Expr, GrammarError> {
        if depth > MAX_DEPTH {
            return refuse(path, format_args!("schemas nest deeper than {MAX_DEPTH}"));
        }
        if *schema == Json::Bool(true) {
            return Ok(self.anything());
        }
        let members = members(schema, path)?;
        let mut used = members.iter().map(|(name, _)| name.as_str()).filter(|name| !ANNOTATIONS.contains(name));
        if let Some(other) = used.clone().find(|name| !KEYWORDS.contains(name)) {
            return refuse(&pointer(path, other), format_args!("the keyword `{other}` is not supported"));
        }
        let alone = ["$ref", "anyOf", "oneOf", "allOf"];
        if let Some(one) = used.clone().find(|name| alone.contains(name)) {
            if let Some(beside) = used.find(|name| *name != one) {
                return refuse(path, format_args!("`{one}` beside `{beside}` is not supported"));
            }
            return self.combined(one, schema.get(one), path, depth);
        }
        if schema.get("const").is_some() || schema.get("enum").is_some() {
            return listed(schema, path);
        }
        let kinds = kinds(schema, path)?;
        if schema.get("type").is_none() && kinds.len() > 4 {
            return Ok(self.anything());
        }
        let ways: Result<Vec<Expr>, _> = kinds.iter().map(|kind| self.of_kind(kind, schema, path, depth)).collect();
        let mut ways = ways?;
        Ok(if ways.len() == 1 { ways.remove(0) } else { Expr::Choice(ways) })
    }

    fn combined(
        &mut self,
        keyword: &str,
        value: Option<&'a Json>,
        path: &str,
        depth: usize,
    ) -> Result<Expr, GrammarError> {
        let here = pointer(path, keyword);
        match (keyword, value) {
            ("$ref", Some(Json::String(target))) => self.reference(target, &here),
            ("$ref", _) => refuse(&here, "a reference is a text such as `#/$defs/name`"),
            ("allOf", Some(Json::Array(all))) if all.len() == 1 => self.value(&all[0], &format!("{here}/0"), depth + 1),
            ("allOf", _) => refuse(&here, "`allOf` is supported with exactly one schema; write them as one"),
            (_, Some(Json::Array(all))) if !all.is_empty() => {
                if keyword == "oneOf" {
                    self.refuse_overlap(all, &here)?;
                }
                let ways = all.iter().enumerate().map(|(i, one)| self.value(one, &format!("{here}/{i}"), depth + 1));
                Ok(Expr::Choice(ways.collect::<Result<_, _>>()?))
            }
            _ => refuse(&here, "a list of at least one schema must stand here"),
        }
    }

    /// `oneOf` wants exactly one to fit: two that may both fit cannot be told apart while writing.
    fn refuse_overlap(&self, all: &'a [Json], path: &str) -> Result<(), GrammarError> {
        for (i, a) in all.iter().enumerate() {
            for (j, b) in all.iter().enumerate().skip(i + 1) {
                if !self.are_apart(self.resolved(a, path)?, self.resolved(b, path)?, path)? {
                    let what = format_args!(
                        "a value may fit both {i} and {j}; use `anyOf`, or a `const` member to tell them apart"
                    );
                    return refuse(path, what);
                }
            }
        }
        Ok(())
    }

    fn resolved(&self, mut schema: &'a Json, path: &str) -> Result<&'a Json, GrammarError> {
        for _ in 0..MAX_DEPTH {
            match schema.get("$ref") {
                Some(Json::String(target)) => schema = self.find(target, path)?,
                _ => break,
            }
        }
        Ok(schema)
    }

    fn are_apart(&self, a: &'a Json, b: &'a Json, path: &str) -> Result<bool, GrammarError> {
        let no_common = |a: &[&Json], b: &[&Json]| a.iter().all(|value| !b.contains(value));
        if let (Some(a), Some(b)) = (values(a), values(b)) {
            return Ok(no_common(&a, &b));
        }
        let (of_a, of_b) = (kinds_or_values(a, path)?, kinds_or_values(b, path)?);
        let meet = |a: &str, b: &str| a == b || matches!((a, b), ("number", "integer") | ("integer", "number"));
        let common: Vec<&&str> = of_a.iter().filter(|a| of_b.iter().any(|b| meet(a, b))).collect();
        if common != [&"object"] {
            return Ok(common.is_empty());
        }
        let Some(Json::Object(properties)) = a.get("properties") else { return Ok(false) };
        let required = |schema: &Json, name: &str| match schema.get("required") {
            Some(Json::Array(names)) => names.contains(&Json::String(name.into())),
            _ => false,
        };
        Ok(properties.iter().filter(|(name, _)| required(a, name) && required(b, name)).any(|(name, in_a)| {
            let in_b = b.get("properties").and_then(|properties| properties.get(name));
            matches!((values(in_a), in_b.and_then(values)), (Some(a), Some(b)) if no_common(&a, &b))
        }))
    }

    fn of_kind(&mut self, kind: &str, schema: &'a Json, path: &str, depth: usize) -> Result<Expr, GrammarError> {
        match kind {
            "object" => self.object(schema, path, depth),
            "array" => self.array(schema, path, depth),
            "string" => self.string(schema, path),
            "integer" | "number" => number_in(schema, path, kind == "integer"),
            "boolean" => Ok(Expr::Choice(vec![literal("true"), literal("false")])),
            _ => Ok(literal("null")),
        }
    }

    fn string(&mut self, schema: &'a Json, path: &str) -> Result<Expr, GrammarError> {
        let (min, max) = (count(schema, "minLength", path)?, count(schema, "maxLength", path)?);
        let has_length = min.is_some() || max.is_some();
        let rules: Vec<&str> = ["pattern", "format"].into_iter().filter(|name| schema.get(name).is_some()).collect();
        match (&rules[..], has_length) {
            ([], false) => Ok(self.plain_string()),
            ([], true) => {
                let (min, character) = (min.unwrap_or(0), self.character());
                if max.is_some_and(|max| max < min) {
                    return refuse(path, "`minLength` is larger than `maxLength`");
                }
                Ok(string::quoted(Expr::Repeat { of: Box::new(character), min, max }))
            }
            ([one], false) => {
                let here = pointer(path, one);
                let Some(Json::String(text)) = schema.get(one) else { return refuse(&here, "a text must stand here") };
                let read = match *one {
                    "pattern" => Some(string::pattern(text)),
                    _ => string::format(text),
                };
                match read {
                    Some(Ok(expr)) => Ok(expr),
                    Some(Err(what)) => refuse(&here, what),
                    None => refuse(
                        &here,
                        format_args!("the format `{text}` is not supported; supported: {}", string::formats()),
                    ),
                }
            }
            _ => refuse(
                path,
                "`pattern`, `format` and a length together are not supported; say the length in the pattern",
            ),
        }
    }

    fn array(&mut self, schema: &'a Json, path: &str, depth: usize) -> Result<Expr, GrammarError> {
        if schema.get("uniqueItems").is_some_and(|unique| *unique != Json::Bool(false)) {
            return refuse(&pointer(path, "uniqueItems"), "`uniqueItems` is not supported");
        }
        let (min, max) = (count(schema, "minItems", path)?.unwrap_or(0), count(schema, "maxItems", path)?);
        if max.is_some_and(|max| max < min) {
            return refuse(path, "`minItems` is larger than `maxItems`");
        }
        let space = self.space();
        if let Some(first) = schema.get("prefixItems") {
            let here = pointer(path, "prefixItems");
            let Json::Array(all) = first else { return refuse(&here, "a list of schemas must stand here") };
            let length = all.len() as u32;
            let more = schema.get("items").is_some_and(|items| *items != Json::Bool(false));
            if more || min > length || max.is_some_and(|max| max < length) {
                return refuse(
                    &here,
                    "`prefixItems` is supported for lists of exactly that length (`items` false or absent)",
                );
            }
            let mut parts = Vec::new();
            for (i, item) in all.iter().enumerate() {
                if i > 0 {
                    parts.extend([literal(","), space.clone()]);
                }
                parts.push(self.value(item, &format!("{here}/{i}"), depth + 1)?);
            }
            return Ok(list("[", "]", &space, Expr::Sequence(parts)));
        }
        let here = pointer(path, "items");
        let item = match schema.get("items") {
            Some(Json::Bool(false)) if min == 0 => return Ok(list("[", "]", &space, Expr::Sequence(Vec::new()))),
            Some(items) => self.value(items, &here, depth + 1)?,
            None => self.anything(),
        };
        let place = self.rule(&here, item);
        let items = self.comma_separated(Expr::Rule(place), &space, min, max);
        Ok(list("[", "]", &space, items))
    }

    /// `min` to `max` of something, commas between.
    fn comma_separated(&self, of: Expr, space: &Expr, min: u32, max: Option<u32>) -> Expr {
        if max == Some(0) {
            return Expr::Sequence(Vec::new());
        }
        let more = Expr::Sequence(vec![literal(","), space.clone(), of.clone()]);
        let more = Expr::Repeat { of: Box::new(more), min: min.saturating_sub(1), max: max.map(|max| max - 1) };
        let some = Expr::Sequence(vec![of, more]);
        if min == 0 { optional(some) } else { some }
    }

    fn object(&mut self, schema: &'a Json, path: &str, depth: usize) -> Result<Expr, GrammarError> {
        let space = self.space();
        let none: &[(String, Json)] = &[];
        let properties = match schema.get("properties") {
            None => none,
            Some(Json::Object(properties)) => properties,
            Some(_) => return refuse(&pointer(path, "properties"), "an object of schemas must stand here"),
        };
        let mut required = Vec::new();
        match schema.get("required") {
            None => {}
            Some(Json::Array(names)) => {
                for name in names {
                    let Json::String(name) = name else {
                        return refuse(&pointer(path, "required"), "names must stand here");
                    };
                    required.push(name.as_str());
                }
            }
            Some(_) => return refuse(&pointer(path, "required"), "a list of names must stand here"),
        }
        let others = match schema.get("additionalProperties") {
            Some(Json::Bool(false)) => None,
            None if schema.get("properties").is_some() => None,
            None => Some(self.anything()),
            Some(others) => Some(self.value(others, &pointer(path, "additionalProperties"), depth + 1)?),
        };
        let mut named: Vec<(&str, Expr)> = Vec::new();
        for (name, property) in properties {
            let value = self.value(property, &pointer(&pointer(path, "properties"), name), depth + 1)?;
            named.push((name, value));
        }
        for name in &required {
            if named.iter().all(|(known, _)| known != name) {
                let Some(value) =
                    others.clone().or_else(|| schema.get("additionalProperties").is_none().then(|| self.anything()))
                else {
                    let what = format_args!("`{name}` is required and yet none of the properties");
                    return refuse(&pointer(path, "required"), what);
                };
                named.push((name, value));
            }
        }
        let names: Vec<&str> = named.iter().map(|(name, _)| *name).collect();
        let colon = |name: Expr, value: Expr| Expr::Sequence(vec![name, literal(":"), space.clone(), value]);
        let other = others.map(|value| colon(string::other_names(&names), value));
        // From the last property to the first: what may follow when members were written (`more`) and when none were.
        let comma = |member: Expr| Expr::Sequence(vec![literal(","), space.clone(), member]);
        let other = other.map(|member| Expr::Rule(self.rule(&pointer(path, "other"), member)));
        let mut more = other.clone().map_or(Expr::Sequence(Vec::new()), |member| any_number_of(comma(member)));
        let mut first = match &other {
            Some(member) => self.comma_separated(member.clone(), &space, 0, None),
            None => Expr::Sequence(Vec::new()),
        };
        for (name, value) in named.into_iter().rev() {
            let is_required = required.contains(&name);
            let place = pointer(path, name);
            let member = Expr::Rule(self.rule(&place, colon(literal(Json::String(name.into()).to_string()), value)));
            let rest = Expr::Rule(self.rule(&format!("{place}-more"), more));
            let begins = Expr::Sequence(vec![member.clone(), rest.clone()]);
            let follows = if is_required { comma(member) } else { optional(comma(member)) };
            more = Expr::Sequence(vec![follows, rest]);
            first = if is_required {
                begins
            } else {
                let later = Expr::Rule(self.rule(&format!("{place}-later"), first));
                Expr::Choice(vec![begins, later])
            };
        }
        Ok(list("{", "}", &space, first))
    }
}

/// Brackets round something, with space inside.
fn list(open: &str, close: &str, space: &Expr, inner: Expr) -> Expr {
    Expr::Sequence(vec![literal(open), space.clone(), inner, space.clone(), literal(close)])
}

/// A count that a keyword gives.
fn count(schema: &Json, name: &str, path: &str) -> Result<Option<u32>, GrammarError> {
    match schema.get(name) {
        None => Ok(None),
        Some(Json::Number(number)) if number.as_u64().is_some_and(|n| n <= MAX_COUNT) => {
            Ok(number.as_u64().map(|n| n as u32))
        }
        Some(_) => refuse(&pointer(path, name), format_args!("a whole number from 0 to {MAX_COUNT} must stand here")),
    }
}

/// The values of `enum` or `const`.
fn values(schema: &Json) -> Option<Vec<&Json>> {
    match (schema.get("const"), schema.get("enum")) {
        (Some(value), _) => Some(vec![value]),
        (None, Some(Json::Array(all))) => Some(all.iter().collect()),
        _ => None,
    }
}

fn listed(schema: &Json, path: &str) -> Result<Expr, GrammarError> {
    let kinds = match schema.get("type") {
        Some(_) => Some(kinds(schema, path)?),
        None => None,
    };
    let fits = |value: &&Json| {
        let kind = value.kind();
        kinds.as_ref().is_none_or(|kinds| kinds.contains(&kind) || (kind == "integer" && kinds.contains(&"number")))
    };
    let ways: Vec<Expr> =
        values(schema).unwrap_or_default().into_iter().filter(fits).map(|value| literal(value.to_string())).collect();
    if ways.is_empty() {
        return refuse(path, "`enum` must be a list with a value that fits the type");
    }
    Ok(Expr::Choice(ways))
}

/// The types that a schema allows; guessed from its other keywords where it names none.
fn kinds<'a>(schema: &'a Json, path: &str) -> Result<Vec<&'a str>, GrammarError> {
    let here = pointer(path, "type");
    let known = |value: &'a Json| match value {
        Json::String(name) if TYPES.contains(&name.as_str()) => Ok(name.as_str()),
        other => refuse(&here, format_args!("{other} is no type; there are {}", TYPES.join(", "))),
    };
    match schema.get("type") {
        Some(Json::Array(all)) if !all.is_empty() => all.iter().map(known).collect(),
        Some(one) => Ok(vec![known(one)?]),
        None => {
            let has = |names: &[&str]| names.iter().any(|name| schema.get(name).is_some());
            let guesses: [(&str, &[&str]); 4] = [
                ("object", &["properties", "required", "additionalProperties"]),
                ("array", &["items", "prefixItems", "minItems", "maxItems", "uniqueItems"]),
                ("string", &["minLength", "maxLength", "pattern", "format"]),
                ("number", &["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"]),
            ];
            let guessed: Vec<&str> = guesses.iter().filter(|(_, names)| has(names)).map(|(kind, _)| *kind).collect();
            // Without any hint, all: `number` has the integers within.
            let all = || TYPES.into_iter().filter(|kind| *kind != "integer").collect();
            Ok(if guessed.is_empty() { all() } else { guessed })
        }
    }
}

/// As [`kinds`], without guesses: a schema that names no type fits values of the others too.
fn kinds_or_values<'a>(schema: &'a Json, path: &str) -> Result<Vec<&'a str>, GrammarError> {
    match values(schema) {
        Some(values) => Ok(values.iter().map(|value| value.kind()).collect()),
        None if schema.get("type").is_some() => kinds(schema, path),
        None => Ok(TYPES.to_vec()),
    }
}
