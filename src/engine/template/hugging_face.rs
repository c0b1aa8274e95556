//! The Jinja that chat templates are written for, as transformers' `apply_chat_template` sets it up.
//!
//! Against plain Jinja: blocks are trimmed, `break` and `continue` work, `tojson` writes what Python's `json.dumps`
//! writes (and nothing for HTML), `raise_exception` and `strftime_now` exist, `{% generation %}` marks the model's own
//! words for training and does nothing here. Against minijinja: strings, lists and dictionaries have Python's methods,
//! and `True`, `False` and `None` are printed as Python prints them.

use std::borrow::Cow;
use std::io::{self, Write};

use jiff::civil::DateTime;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Kwargs, ValueKind};
use minijinja::{Environment, Error, ErrorKind, UndefinedBehavior, Value, escape_formatter};
use serde::Serialize;
use serde_json::ser::{CompactFormatter, Formatter, PrettyFormatter};

use super::guard::MARK;

/// An environment with everything but limits.
pub fn environment<'s>(now: Option<DateTime>) -> Result<Environment<'s>, Error> {
    let mut env = Environment::new();
    env.set_undefined_behavior(UndefinedBehavior::Lenient);
    env.set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?);
    env.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
    env.set_formatter(|out, state, value| match as_python(value) {
        Some(text) => out.write_str(text).map_err(Error::from),
        None => escape_formatter(out, state, value),
    });
    env.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
    env.add_filter("tojson", tojson);
    env.add_filter("string", |value: &Value| as_python(value).map_or_else(|| value.to_string(), str::to_owned));
    // minijinja iterates over `none`, as over nothing; `tools is iterable` asks whether there are any.
    env.add_test("iterable", |value: &Value| {
        !matches!(value.kind(), ValueKind::None | ValueKind::Bool | ValueKind::Number)
    });
    env.add_function("raise_exception", |why: String| -> Result<String, Error> {
        Err(Error::new(ErrorKind::InvalidOperation, why))
    });
    if let Some(now) = now {
        env.add_function("strftime_now", move |format: &str| {
            // Local time without a zone, as in Python's `datetime.now()`.
            jiff::fmt::strtime::format(format, now)
                .map_err(|e| Error::new(ErrorKind::InvalidOperation, format!("`{format}` is no format of a date: {e}")))
        });
    }
    Ok(env)
}

fn as_python(value: &Value) -> Option<&'static str> {
    match value.kind() {
        ValueKind::Bool => Some(if value.is_true() { "True" } else { "False" }),
        ValueKind::None => Some("None"),
        _ => None,
    }
}

/// The source with `{% generation %}` and `{% endgeneration %}` as blocks that minijinja knows, line by line the same.
pub fn without_generation_marks(source: &str) -> Cow<'_, str> {
    if !source.contains("generation") {
        return Cow::Borrowed(source);
    }
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(start) = rest.find("{%") {
        let (before, tag) = rest.split_at(start);
        out.push_str(before);
        let Some(end) = tag[2..].find("%}").map(|at| at + 2) else {
            rest = tag;
            break;
        };
        let inner = &tag[2..end];
        match inner.trim_matches(['-', '+']).trim() {
            "generation" => out.push_str(&format!("{{%{}%}}", inner.replacen("generation", "if true", 1))),
            "endgeneration" => out.push_str(&format!("{{%{}%}}", inner.replacen("endgeneration", "endif", 1))),
            // Only the opening is passed over: a `%}` within a string must not hide the next tag.
            _ => {
                out.push_str("{%");
                rest = &tag[2..];
                continue;
            }
        }
        rest = &tag[end + 2..];
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// Python's `json.dumps(value, ensure_ascii=False, indent=None, separators=None, sort_keys=False)`.
fn tojson(value: &Value, options: Kwargs) -> Result<Value, Error> {
    let ascii: Option<bool> = options.get("ensure_ascii")?;
    let indent: Option<usize> = options.get("indent")?;
    let separators: Option<Vec<String>> = options.get("separators")?;
    let sort: Option<bool> = options.get("sort_keys")?;
    options.assert_all_used()?;
    let bad = |e: serde_json::Error| Error::new(ErrorKind::BadSerialization, e.to_string());
    let (item, key) = match separators.as_deref() {
        Some([item, key]) => (item.clone(), key.clone()),
        Some(_) => return Err(Error::new(ErrorKind::InvalidOperation, "`separators` are two texts")),
        None => (if indent.is_some() { "," } else { ", " }.to_owned(), ": ".to_owned()),
    };
    // More than this is no layout; an indent costs its width for every line.
    let width = indent.map(|width| vec![b' '; width.min(32)]);
    let format = PythonFormatter {
        layout: width.as_deref().map(PrettyFormatter::with_indent),
        item,
        key,
        ascii: ascii.unwrap_or(false),
    };
    let mut out = vec![];
    let mut serializer = serde_json::Serializer::with_formatter(&mut out, format);
    if sort.unwrap_or(false) {
        let value = serde_json::to_value(value).map_err(bad)?;
        sorted(value).serialize(&mut serializer).map_err(bad)?;
    } else {
        value.serialize(&mut serializer).map_err(bad)?;
    }
    let text = String::from_utf8(out).map_err(|e| Error::new(ErrorKind::BadSerialization, e.to_string()))?;
    Ok(Value::from(text))
}

fn sorted(value: serde_json::Value) -> serde_json::Value {
    match value {
        serde_json::Value::Object(map) => {
            let mut entries: Vec<_> = map.into_iter().map(|(key, value)| (key, sorted(value))).collect();
            entries.sort_by(|a, b| a.0.cmp(&b.0));
            serde_json::Value::Object(entries.into_iter().collect())
        }
        serde_json::Value::Array(items) => items.into_iter().map(sorted).collect(),
        other => other,
    }
}

/// serde_json's layouts with Python's separators.
struct PythonFormatter<'a> {
    /// `None` for everything on one line.
    layout: Option<PrettyFormatter<'a>>,
    item: String,
    key: String,
    ascii: bool,
}

/// Between two items: the separator, then what serde_json's layout writes after its own.
fn between<W: ?Sized + Write>(
    format: &mut PythonFormatter<'_>,
    writer: &mut W,
    first: bool,
    layout: impl FnOnce(&mut PrettyFormatter<'_>, &mut Vec<u8>) -> io::Result<()>,
) -> io::Result<()> {
    if !first {
        writer.write_all(format.item.as_bytes())?;
    }
    match &mut format.layout {
        None => Ok(()),
        Some(pretty) => {
            let mut written = vec![];
            layout(pretty, &mut written)?;
            writer.write_all(written.strip_prefix(b",").unwrap_or(&written))
        }
    }
}

impl Formatter for PythonFormatter<'_> {
    fn begin_array<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        match &mut self.layout {
            Some(pretty) => pretty.begin_array(writer),
            None => CompactFormatter.begin_array(writer),
        }
    }
    fn end_array<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        match &mut self.layout {
            Some(pretty) => pretty.end_array(writer),
            None => CompactFormatter.end_array(writer),
        }
    }
    fn begin_array_value<W: ?Sized + Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        between(self, writer, first, |pretty, out| pretty.begin_array_value(out, first))
    }
    fn end_array_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.layout.as_mut().map_or(Ok(()), |pretty| pretty.end_array_value(writer))
    }
    fn begin_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        match &mut self.layout {
            Some(pretty) => pretty.begin_object(writer),
            None => CompactFormatter.begin_object(writer),
        }
    }
    fn end_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        match &mut self.layout {
            Some(pretty) => pretty.end_object(writer),
            None => CompactFormatter.end_object(writer),
        }
    }
    fn begin_object_key<W: ?Sized + Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        between(self, writer, first, |pretty, out| pretty.begin_object_key(out, first))
    }
    fn begin_object_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(self.key.as_bytes())
    }
    fn end_object_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.layout.as_mut().map_or(Ok(()), |pretty| pretty.end_object_value(writer))
    }
    fn write_string_fragment<W: ?Sized + Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        if !self.ascii {
            return writer.write_all(fragment.as_bytes());
        }
        for c in fragment.chars() {
            // The guard's mark is no part of the text; escaped it could not be taken out again.
            if c.is_ascii() || c == MARK {
                writer.write_all(c.encode_utf8(&mut [0; 4]).as_bytes())?;
            } else {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    write!(writer, "\\u{unit:04x}")?;
                }
            }
        }
        Ok(())
    }
}
