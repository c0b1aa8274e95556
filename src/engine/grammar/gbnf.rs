//! GBNF, llama.cpp's notation for grammars: text to [`Rules`] and back.

use std::collections::HashMap;
use std::fmt::{self, Write as _};

use super::{Expr, GrammarError, MAX_DEPTH, MAX_TEXT, Rule, Rules, TokenName, merged, negated};

/// The most that `{m,n}` may ask for.
const MAX_REPEAT: u32 = 10_000;

/// Reads a grammar.
///
/// # Errors
/// What is wrong, with line and column.
pub fn parse(text: &str) -> Result<Rules, GrammarError> {
    if text.len() > MAX_TEXT {
        return Err(GrammarError::new(format!("the grammar is longer than {} KiB", MAX_TEXT >> 10)));
    }
    let mut parser = Parser { rest: text, at: (1, 1), places: HashMap::new(), names: Vec::new(), bodies: Vec::new() };
    parser.space(true);
    while parser.peek().is_some() {
        parser.rule()?;
    }
    parser.finish()
}

struct Parser<'a> {
    rest: &'a str,
    /// Line and column of what comes next.
    at: (usize, usize),
    /// Place of each rule that was named.
    places: HashMap<&'a str, usize>,
    /// Each rule's name and where it was first named.
    names: Vec<(&'a str, (usize, usize))>,
    bodies: Vec<Option<(Expr, (usize, usize))>>,
}

impl<'a> Parser<'a> {
    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.rest = &self.rest[c.len_utf8()..];
        self.at = if c == '\n' { (self.at.0 + 1, 1) } else { (self.at.0, self.at.1 + 1) };
        Some(c)
    }

    fn eat(&mut self, text: &str) -> bool {
        let is_next = self.rest.starts_with(text);
        if is_next {
            for _ in text.chars() {
                self.next();
            }
        }
        is_next
    }

    fn error<T>(&self, what: impl Into<String>) -> Result<T, GrammarError> {
        Err(GrammarError::at(self.at, what))
    }

    /// What stands here, for a message.
    fn found(&self) -> String {
        match self.peek() {
            None => "the grammar ends".into(),
            Some('\n' | '\r') => "the line ends".into(),
            Some(c) => format!("there is `{}`", c.escape_debug()),
        }
    }

    /// Spaces and comments; line ends too where they do not end a rule.
    fn space(&mut self, line_ends: bool) {
        while let Some(c) = self.peek() {
            match c {
                ' ' | '\t' => {}
                '\n' | '\r' if line_ends => {}
                '#' => {
                    while self.peek().is_some_and(|c| c != '\n' && c != '\r') {
                        self.next();
                    }
                    continue;
                }
                _ => return,
            }
            self.next();
        }
    }

    fn name(&mut self) -> Result<&'a str, GrammarError> {
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        let end = self.rest.find(|c| !is_word(c)).unwrap_or(self.rest.len());
        if end == 0 {
            return self.error(format!("a rule's name (letters, digits, `-`) must stand here, but {}", self.found()));
        }
        let name = &self.rest[..end];
        self.eat(name);
        Ok(name)
    }

    fn place(&mut self, name: &'a str, at: (usize, usize)) -> usize {
        let next = self.names.len();
        *self.places.entry(name).or_insert_with(|| {
            self.names.push((name, at));
            self.bodies.push(None);
            next
        })
    }

    fn rule(&mut self) -> Result<(), GrammarError> {
        let at = self.at;
        let name = self.name()?;
        self.space(false);
        if !self.eat("::=") {
            return self.error(format!("`::=` must follow the rule's name `{name}`, but {}", self.found()));
        }
        self.space(true);
        let body = self.choice(0)?;
        if self.peek().is_some_and(|c| c != '\n' && c != '\r') {
            return self.error(format!("the rule `{name}` should end here, but {}", self.found()));
        }
        let place = self.place(name, at);
        if let Some((_, first)) = &self.bodies[place] {
            return Err(GrammarError::at(at, format!("the rule `{name}` is there already, in line {}", first.0)));
        }
        self.bodies[place] = Some((body, at));
        self.space(true);
        Ok(())
    }

    fn choice(&mut self, depth: usize) -> Result<Expr, GrammarError> {
        if depth > MAX_DEPTH {
            return self.error(format!("groups nest deeper than {MAX_DEPTH}"));
        }
        let mut all = vec![self.sequence(depth)?];
        while self.eat("|") {
            self.space(true);
            all.push(self.sequence(depth)?);
        }
        Ok(if all.len() == 1 { all.remove(0) } else { Expr::Choice(all) })
    }

    fn sequence(&mut self, depth: usize) -> Result<Expr, GrammarError> {
        let mut all = Vec::new();
        while let Some(item) = self.item(depth)? {
            self.space(depth > 0);
            let item = self.repeated(item, depth)?;
            all.push(item);
        }
        Ok(if all.len() == 1 { all.remove(0) } else { Expr::Sequence(all) })
    }

    fn item(&mut self, depth: usize) -> Result<Option<Expr>, GrammarError> {
        let at = self.at;
        Ok(Some(match self.peek() {
            Some('"') => {
                self.next();
                let mut text = String::new();
                while !self.eat("\"") {
                    text.push(self.character("the literal")?);
                }
                Expr::Literal(text)
            }
            Some('[') => self.class()?,
            Some('.') => {
                self.next();
                Expr::Class(vec![('\0', char::MAX)])
            }
            Some('(') => {
                self.next();
                self.space(true);
                let inner = self.choice(depth + 1)?;
                if !self.eat(")") {
                    return self.error(format!("`)` must close the group of line {}, but {}", at.0, self.found()));
                }
                inner
            }
            Some('<' | '!') => self.token()?,
            Some(c) if c.is_ascii_alphanumeric() || c == '-' || c == '_' => {
                let name = self.name()?;
                Expr::Rule(self.place(name, at))
            }
            _ => return Ok(None),
        }))
    }

    /// `?`, `*`, `+` and `{m,n}` after an item.
    fn repeated(&mut self, mut item: Expr, depth: usize) -> Result<Expr, GrammarError> {
        for times in 0.. {
            if times > 4 {
                return self.error("an item is repeated of a repetition of a repetition; one is enough");
            }
            let (min, max) = match self.peek() {
                Some('?') => (0, Some(1)),
                Some('*') => (0, None),
                Some('+') => (1, None),
                Some('{') => {
                    let at = self.at;
                    self.next();
                    let (min, max) = self.bounds()?;
                    if max.is_some_and(|max| max < min) {
                        return Err(GrammarError::at(at, "the larger number comes first in `{m,n}`"));
                    }
                    (min, max)
                }
                _ => break,
            };
            self.next();
            self.space(depth > 0);
            item = Expr::Repeat { of: Box::new(item), min, max };
        }
        Ok(item)
    }

    /// `m`, `m,` or `m,n`; stops before the brace.
    fn bounds(&mut self) -> Result<(u32, Option<u32>), GrammarError> {
        self.space(false);
        let min = self.number()?;
        self.space(false);
        let max = if self.eat(",") {
            self.space(false);
            if self.peek() == Some('}') { None } else { Some(self.number()?) }
        } else {
            Some(min)
        };
        self.space(false);
        if self.peek() != Some('}') {
            return self.error(format!("`}}` must close the repetition, but {}", self.found()));
        }
        Ok((min, max))
    }

    fn number(&mut self) -> Result<u32, GrammarError> {
        let end = self.rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(self.rest.len());
        let digits = &self.rest[..end];
        if digits.is_empty() {
            return self.error(format!("a number must stand here, but {}", self.found()));
        }
        match digits.parse().ok().filter(|n| *n <= MAX_REPEAT) {
            Some(number) => {
                self.eat(digits);
                Ok(number)
            }
            None => self.error(format!("a repetition goes to {MAX_REPEAT} at most")),
        }
    }

    fn class(&mut self) -> Result<Expr, GrammarError> {
        self.next();
        let is_negated = self.eat("^");
        let mut ranges = Vec::new();
        while !self.eat("]") {
            let at = self.at;
            let from = self.character("the class")?;
            // A hyphen at the end stands for itself.
            let to = if self.rest.starts_with('-') && !self.rest.starts_with("-]") {
                self.next();
                self.character("the class")?
            } else {
                from
            };
            if to < from {
                return Err(GrammarError::at(at, "the range runs backwards"));
            }
            ranges.push((from, to));
        }
        let ranges = merged(ranges);
        Ok(Expr::Class(if is_negated { negated(&ranges) } else { ranges }))
    }

    /// `<name>` or `<[id]>`, with `!` before it for any other token.
    fn token(&mut self) -> Result<Expr, GrammarError> {
        let is_negated = self.eat("!");
        if self.peek() != Some('<') {
            return self.error(format!("a token in angle brackets must follow `!`, but {}", self.found()));
        }
        let Some(end) = self.rest.find(['>', '\n']).filter(|end| self.rest[*end..].starts_with('>')) else {
            return self.error("`>` must close the token's name in this line");
        };
        let name = &self.rest[..=end];
        let token = match name.strip_prefix("<[").and_then(|name| name.strip_suffix("]>")) {
            Some(id) => match id.parse() {
                Ok(id) => TokenName::Id(id),
                Err(_) => return self.error(format!("`{id}` is no token's number")),
            },
            None => TokenName::Text(name.into()),
        };
        self.eat(name);
        Ok(Expr::Token { token, is_negated })
    }

    /// One character of a literal or class, escapes undone.
    fn character(&mut self, inside: &str) -> Result<char, GrammarError> {
        let at = self.at;
        let Some(c) = self.next() else { return self.error(format!("{inside} is not closed")) };
        if c != '\\' {
            return Ok(c);
        }
        let Some(c) = self.next() else { return self.error(format!("{inside} is not closed")) };
        let digits = match c {
            'x' => 2,
            'u' => 4,
            'U' => 8,
            't' => return Ok('\t'),
            'r' => return Ok('\r'),
            'n' => return Ok('\n'),
            '\\' | '"' | '[' | ']' | '-' | '^' => return Ok(c),
            _ => return Err(GrammarError::at(at, format!("the escape `\\{}` is not known", c.escape_debug()))),
        };
        let code = self.rest.get(..digits).and_then(|hex| {
            let is_hex = hex.bytes().all(|b| b.is_ascii_hexdigit());
            is_hex.then(|| u32::from_str_radix(hex, 16).ok()).flatten().and_then(char::from_u32)
        });
        let Some(code) = code else {
            return Err(GrammarError::at(at, format!("`\\{c}` needs {digits} hexadecimal digits of a character")));
        };
        for _ in 0..digits {
            self.next();
        }
        Ok(code)
    }

    fn finish(self) -> Result<Rules, GrammarError> {
        let mut rules = Vec::with_capacity(self.names.len());
        for ((name, used), body) in self.names.iter().zip(self.bodies) {
            let Some((body, at)) = body else {
                return Err(GrammarError::at(*used, format!("the rule `{name}` is nowhere defined")));
            };
            rules.push(Rule { name: (*name).into(), body, at });
        }
        match self.places.get("root") {
            Some(root) => Ok(Rules { rules, root: *root }),
            None => Err(GrammarError::new("the rule `root` is missing: it says what the whole answer is")),
        }
    }
}

/// Writes rules as GBNF, `root` first.
pub fn write(rules: &Rules, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mut order: Vec<usize> = (0..rules.rules.len()).collect();
    order.sort_by_key(|place| *place != rules.root);
    for place in order {
        let rule = &rules.rules[place];
        write!(f, "{} ::= ", rule.name)?;
        write_expr(&rule.body, rules, true, f)?;
        f.write_char('\n')?;
    }
    Ok(())
}

/// `is_free`: a choice or sequence needs no brackets here.
fn write_expr(expr: &Expr, rules: &Rules, is_free: bool, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match expr {
        Expr::Literal(text) => {
            f.write_char('"')?;
            text.chars().try_for_each(|c| write_char(c, f))?;
            f.write_char('"')
        }
        Expr::Class(ranges) => {
            // The shorter way round.
            let other = negated(ranges);
            let (caret, ranges) =
                if ranges.last().is_some_and(|r| r.1 == char::MAX) { ("^", &other) } else { ("", ranges) };
            write!(f, "[{caret}")?;
            for (from, to) in ranges {
                write_char(*from, f)?;
                if from != to {
                    f.write_char('-')?;
                    write_char(*to, f)?;
                }
            }
            f.write_char(']')
        }
        Expr::Token { token, is_negated } => {
            f.write_str(if *is_negated { "!" } else { "" })?;
            match token {
                TokenName::Id(id) => write!(f, "<[{id}]>"),
                TokenName::Text(text) => f.write_str(text),
            }
        }
        Expr::Rule(place) => f.write_str(&rules.rules[*place].name),
        Expr::Sequence(all) if all.is_empty() => f.write_str("\"\""),
        Expr::Sequence(all) | Expr::Choice(all) => {
            let between = if matches!(expr, Expr::Choice(_)) { " | " } else { " " };
            f.write_str(if is_free { "" } else { "(" })?;
            for (i, part) in all.iter().enumerate() {
                f.write_str(if i == 0 { "" } else { between })?;
                write_expr(part, rules, false, f)?;
            }
            f.write_str(if is_free { "" } else { ")" })
        }
        Expr::Repeat { of, min, max } => {
            write_expr(of, rules, false, f)?;
            match (min, max) {
                (0, Some(1)) => f.write_char('?'),
                (0, None) => f.write_char('*'),
                (1, None) => f.write_char('+'),
                (min, None) => write!(f, "{{{min},}}"),
                (min, Some(max)) if min == max => write!(f, "{{{min}}}"),
                (min, Some(max)) => write!(f, "{{{min},{max}}}"),
            }
        }
    }
}

fn write_char(c: char, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match c {
        '\n' => f.write_str("\\n"),
        '\r' => f.write_str("\\r"),
        '\t' => f.write_str("\\t"),
        '\\' | '"' | '[' | ']' | '-' | '^' => write!(f, "\\{c}"),
        ' '..='~' => f.write_char(c),
        c if u32::from(c) <= 0xFF => write!(f, "\\x{:02X}", u32::from(c)),
        c if u32::from(c) <= 0xFFFF => write!(f, "\\u{:04X}", u32::from(c)),
        c => write!(f, "\\U{:08X}", u32::from(c)),
    }
}
