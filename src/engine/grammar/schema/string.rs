//! Strings: every text that JSON can write, texts of a pattern, and names that are not among some.

use regex_syntax::ParserBuilder;
use regex_syntax::hir::{Class, Hir, HirKind, Look};

use super::super::{Expr, merged};

/// What `format` may say: patterns of texts that are certainly right.
const FORMATS: [(&str, &str); 4] = [
    ("date", DATE),
    ("time", r"^([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{1,6})?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)$"),
    (
        "date-time",
        r"^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|1\d|2[0-8])T([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{1,6})?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)$",
    ),
    ("uuid", "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"),
];
const DATE: &str =
    r"^\d{4}-((0[13578]|1[02])-(0[1-9]|[12]\d|3[01])|(0[469]|11)-(0[1-9]|[12]\d|30)|02-(0[1-9]|1\d|2[0-8]))$";

/// The longest `pattern`, in bytes.
const MAX_PATTERN: usize = 4 << 10;
/// How large a pattern may grow before it becomes a grammar.
const MAX_NEST: u32 = 50;

fn literal(text: impl Into<String>) -> Expr {
    Expr::Literal(text.into())
}

fn class(ranges: &[(char, char)]) -> Expr {
    Expr::Class(merged(ranges.to_vec()))
}

/// One character inside quotes, as itself or escaped; a pair of `\u` escapes is one character, half a pair is none.
pub fn character() -> Expr {
    let hex = || class(&[('0', '9'), ('a', 'f'), ('A', 'F')]);
    let two = |expr: Expr| Expr::Repeat { of: Box::new(expr), min: 2, max: Some(2) };
    let d = || class(&[('d', 'd'), ('D', 'D')]);
    let basic = Expr::Choice(vec![
        Expr::Sequence(vec![class(&[('0', '9'), ('a', 'c'), ('A', 'C'), ('e', 'f'), ('E', 'F')]), hex(), two(hex())]),
        Expr::Sequence(vec![d(), class(&[('0', '7')]), two(hex())]),
    ]);
    let high = Expr::Sequence(vec![d(), class(&[('8', '9'), ('a', 'b'), ('A', 'B')]), two(hex())]);
    let low = Expr::Sequence(vec![d(), class(&[('c', 'f'), ('C', 'F')]), two(hex())]);
    Expr::Choice(vec![
        class(&[(' ', '!'), ('#', '['), (']', '\u{7e}'), ('\u{80}', char::MAX)]),
        Expr::Sequence(vec![
            literal("\\"),
            Expr::Choice(vec![
                Expr::Class(merged("\"\\/bfnrt".chars().map(|c| (c, c)).collect())),
                Expr::Sequence(vec![literal("u"), basic]),
                Expr::Sequence(vec![literal("u"), high, literal("\\u"), low]),
            ]),
        ]),
    ])
}

/// A string of these characters.
pub fn quoted(inner: Expr) -> Expr {
    Expr::Sequence(vec![literal("\""), inner, literal("\"")])
}

/// Names, quoted, that are none of `names`. They have no escapes, so that none of these hides behind one.
pub fn other_names(names: &[&str]) -> Expr {
    fn rest() -> Expr {
        Expr::Repeat { of: Box::new(plain(&[])), min: 0, max: None }
    }
    fn plain(but: &[char]) -> Expr {
        let all = [(' ', '!'), ('#', '['), (']', '\u{7e}'), ('\u{80}', char::MAX)];
        let mut out = super::super::negated(&merged(all.to_vec()));
        out.extend(but.iter().map(|c| (*c, *c)));
        Expr::Class(super::super::negated(&merged(out)))
    }
    // `tails`: what is left of the names that begin as what was read so far.
    fn beyond(tails: &[&str]) -> Expr {
        let mut firsts: Vec<char> = tails.iter().filter_map(|tail| tail.chars().next()).collect();
        firsts.sort_unstable();
        firsts.dedup();
        let mut ways: Vec<Expr> = firsts
            .iter()
            .map(|first| {
                let tails: Vec<&str> = tails.iter().filter_map(|tail| tail.strip_prefix(*first)).collect();
                Expr::Sequence(vec![literal(*first), beyond(&tails)])
            })
            .collect();
        ways.push(Expr::Sequence(vec![plain(&firsts), rest()]));
        if !tails.contains(&"") {
            ways.push(Expr::Sequence(Vec::new()));
        }
        Expr::Choice(ways)
    }
    // A name that cannot be written without an escape is not among the others anyway.
    let can_be_plain = |name: &&&str| !name.chars().any(|c| c < ' ' || c == '"' || c == '\\');
    let names: Vec<&str> = names.iter().filter(can_be_plain).copied().collect();
    quoted(beyond(&names))
}

/// A string of a `format`; `None` if it is not known.
pub fn format(name: &str) -> Option<Result<Expr, String>> {
    FORMATS.iter().find(|(known, _)| *known == name).map(|(_, regex)| pattern(regex))
}

/// The names of the formats that are known.
pub fn formats() -> String {
    FORMATS.map(|(name, _)| name).join(", ")
}

/// A string that a `pattern` matches, as ECMA-262 reads it: anywhere, unless `^` and `$` say otherwise.
///
/// # Errors
/// What about the pattern is wrong or not supported.
pub fn pattern(regex: &str) -> Result<Expr, String> {
    if regex.len() > MAX_PATTERN {
        return Err(format!("the pattern is longer than {} KiB", MAX_PATTERN >> 10));
    }
    let (translated, depth) = ascii_classes(regex);
    if depth > MAX_NEST {
        return Err(format!("groups of the pattern nest deeper than {MAX_NEST}"));
    }
    let parsed = ParserBuilder::new().nest_limit(MAX_NEST).build().parse(&translated);
    let hir = parsed.map_err(|error| {
        let why = match &error {
            regex_syntax::Error::Parse(error) => error.kind().to_string(),
            regex_syntax::Error::Translate(error) => error.kind().to_string(),
            _ => error.to_string(),
        };
        format!("the pattern cannot be read: {why}")
    })?;
    let anything = || Expr::Repeat { of: Box::new(character()), min: 0, max: None };
    let alternatives = match hir.kind() {
        HirKind::Alternation(all) => all.clone(),
        _ => vec![hir],
    };
    let mut ways = Vec::new();
    for way in alternatives {
        let parts = match way.kind() {
            HirKind::Concat(parts) => parts.clone(),
            _ => vec![way],
        };
        let is_start = |part: &&Hir| matches!(part.kind(), HirKind::Look(Look::Start));
        let is_end = |part: &&Hir| matches!(part.kind(), HirKind::Look(Look::End));
        let (starts, ends) = (parts.first().filter(is_start).is_some(), parts.last().filter(is_end).is_some());
        let inner =
            &parts[usize::from(starts)..parts.len().max(usize::from(starts) + usize::from(ends)) - usize::from(ends)];
        let mut sequence = Vec::new();
        sequence.extend((!starts).then(anything));
        for part in inner {
            sequence.push(expr_of(part)?);
        }
        sequence.extend((!ends).then(anything));
        ways.push(Expr::Sequence(sequence));
    }
    Ok(quoted(Expr::Choice(ways)))
}

/// The pattern with `\d`, `\w` and their opposites as ASCII, as ECMA-262 has them, and with brackets and doubled
/// operators inside classes as themselves; and how deep its groups nest.
fn ascii_classes(regex: &str) -> (String, u32) {
    let (mut out, mut in_class, mut depth, mut deepest) = (String::new(), false, 0_u32, 0);
    let mut chars = regex.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some('d') => out.push_str("[0-9]"),
                Some('D') => out.push_str("[^0-9]"),
                Some('w') => out.push_str("[0-9A-Za-z_]"),
                Some('W') => out.push_str("[^0-9A-Za-z_]"),
                Some('s') => out.push_str("[ \\t\\n\\r]"),
                Some('/') => out.push('/'),
                Some(c) => out.extend(['\\', c]),
                None => out.push('\\'),
            },
            '[' if in_class => out.push_str("\\["),
            '[' => {
                in_class = true;
                out.push(c);
                if chars.peek() == Some(&'^') {
                    out.extend(chars.next());
                }
            }
            ']' => {
                in_class = false;
                out.push(c);
            }
            '&' | '~' if in_class => out.extend(['\\', c]),
            '-' if in_class && chars.peek() == Some(&'-') => out.push_str("\\-"),
            '(' | ')' if !in_class => {
                depth = if c == '(' { depth + 1 } else { depth.saturating_sub(1) };
                deepest = deepest.max(depth);
                out.push(c);
            }
            c => out.push(c),
        }
    }
    (out, deepest)
}

/// What matches a part of a pattern, as JSON writes it inside quotes.
fn expr_of(hir: &Hir) -> Result<Expr, String> {
    Ok(match hir.kind() {
        HirKind::Empty => Expr::Sequence(Vec::new()),
        HirKind::Literal(text) => {
            let text = std::str::from_utf8(&text.0).map_err(|_| "the pattern matches half a character".to_owned())?;
            Expr::Sequence(text.chars().map(|c| written(&[(c, c)])).collect())
        }
        HirKind::Class(Class::Unicode(class)) => {
            let ranges: Vec<(char, char)> = class.iter().map(|range| (range.start(), range.end())).collect();
            written(&ranges)
        }
        HirKind::Class(Class::Bytes(class)) => {
            let ranges: Vec<(char, char)> =
                class.iter().map(|range| (char::from(range.start()), char::from(range.end().min(0x7F)))).collect();
            written(&ranges)
        }
        HirKind::Look(_) => return Err("`^`, `$` and `\\b` are supported only at the ends of a pattern".into()),
        HirKind::Repetition(repetition) => {
            let of = Box::new(expr_of(&repetition.sub)?);
            Expr::Repeat { of, min: repetition.min, max: repetition.max }
        }
        HirKind::Capture(capture) => expr_of(&capture.sub)?,
        HirKind::Concat(all) => Expr::Sequence(all.iter().map(expr_of).collect::<Result<_, _>>()?),
        HirKind::Alternation(all) => Expr::Choice(all.iter().map(expr_of).collect::<Result<_, _>>()?),
    })
}

/// One character out of these, as JSON writes it: as itself, or escaped where it must be.
fn written(ranges: &[(char, char)]) -> Expr {
    let has = |c: char| ranges.iter().any(|(from, to)| (*from..=*to).contains(&c));
    let mut plain = super::super::negated(&merged(ranges.to_vec()));
    plain.extend([('\0', '\u{1f}'), ('"', '"'), ('\\', '\\'), ('\u{7f}', '\u{7f}')]);
    let plain = super::super::negated(&merged(plain));
    let mut ways = if plain.is_empty() { Vec::new() } else { vec![Expr::Class(plain)] };
    let escapes = [('"', "\\\""), ('\\', "\\\\"), ('\n', "\\n"), ('\t', "\\t"), ('\r', "\\r")];
    ways.extend(escapes.iter().filter(|(c, _)| has(*c)).map(|(_, text)| literal(*text)));
    let others = ('\0'..='\u{1f}').chain(['\u{7f}']).filter(|c| !escapes.iter().any(|(escaped, _)| escaped == c));
    ways.extend(others.filter(|c| has(*c)).map(|c| literal(format!("\\u{:04x}", u32::from(c)))));
    if ways.len() == 1 { ways.remove(0) } else { Expr::Choice(ways) }
}
