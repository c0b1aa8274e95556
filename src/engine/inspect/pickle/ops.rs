//! The instructions of Python's pickle machine, protocols 0 to 5, taken apart without doing anything they say.
//!
//! Source: CPython's `Lib/pickletools.py` and `Modules/_pickle.c`.

use std::ops::Range;

/// An instruction with its argument as a range of the bytes.
#[derive(Clone, Debug, PartialEq)]
pub struct Op {
    /// Where it stands.
    pub at: usize,
    /// Its byte.
    pub code: u8,
    /// Its argument; a line without its end, a counted text without its count.
    pub arg: Range<usize>,
    /// The second line of `GLOBAL` and `INST`; empty for others.
    pub arg2: Range<usize>,
}

/// How an argument is stored.
enum Form {
    None,
    /// That many bytes.
    Fixed(usize),
    /// Up to a line feed.
    Line,
    /// Up to a second line feed.
    TwoLines,
    /// A count of that many bytes, little-endian, then as many bytes.
    Counted(usize),
}

fn form(code: u8) -> Option<Form> {
    Some(match code {
        b'(' | b'.' | b'0' | b'1' | b'2' | b'N' | b'Q' | b'R' | b'a' | b'b' | b'd' | b'}' | b'e' | b'l' | b']'
        | b'o' | b's' | b't' | b')' | b'u' => Form::None,
        0x81 | 0x85..=0x89 | 0x8F..=0x94 | 0x97 | 0x98 => Form::None,
        b'K' | b'h' | b'q' | 0x80 | 0x82 => Form::Fixed(1),
        b'M' | 0x83 => Form::Fixed(2),
        b'J' | b'j' | b'r' | 0x84 => Form::Fixed(4),
        b'G' | 0x95 => Form::Fixed(8),
        b'F' | b'I' | b'L' | b'P' | b'S' | b'V' | b'g' | b'p' => Form::Line,
        b'c' | b'i' => Form::TwoLines,
        b'U' | b'C' | 0x8A | 0x8C => Form::Counted(1),
        b'T' | b'B' | b'X' | 0x8B => Form::Counted(4),
        0x8D | 0x8E | 0x96 => Form::Counted(8),
        _ => return None,
    })
}

/// The instruction at `at`, and where the next one stands. The error is what is wrong, in words.
pub fn op_at(bytes: &[u8], at: usize) -> Result<(Op, usize), &'static str> {
    const CUT: &str = "the pickle is cut short";
    let code = *bytes.get(at).ok_or(CUT)?;
    let start = at + 1;
    let line = |from: usize| {
        let rest = bytes.get(from..)?;
        Some(from..from + rest.iter().position(|b| *b == b'\n')?)
    };
    let (arg, arg2, next) = match form(code).ok_or("a byte that is no pickle instruction")? {
        Form::None => (start..start, 0..0, start),
        Form::Fixed(len) => (start..start + len, 0..0, start + len),
        Form::Line => {
            let arg = line(start).ok_or(CUT)?;
            let next = arg.end + 1;
            (arg, 0..0, next)
        }
        Form::TwoLines => {
            let arg = line(start).ok_or(CUT)?;
            let arg2 = line(arg.end + 1).ok_or(CUT)?;
            let next = arg2.end + 1;
            (arg, arg2, next)
        }
        Form::Counted(width) => {
            let count = number(bytes.get(start..start + width).ok_or(CUT)?);
            let from = start + width;
            let end = usize::try_from(count).ok().and_then(|count| from.checked_add(count)).ok_or(CUT)?;
            (from..end, 0..0, end)
        }
    };
    if next > bytes.len() {
        return Err(CUT);
    }
    Ok((Op { at, code, arg, arg2 }, next))
}

/// A little-endian number of at most eight bytes.
pub fn number(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |n, b| n << 8 | u64::from(*b))
}

/// A text as Python would read it from an argument; at most [`NAME_BYTES`] of it, `None` for more.
///
/// `S` is quoted with backslash escapes, `V` has `\uXXXX`; other forms stand as they are.
pub fn text(bytes: &[u8], op_code: u8) -> Option<String> {
    if bytes.len() > NAME_BYTES {
        return None;
    }
    let text = String::from_utf8_lossy(bytes);
    Some(match op_code {
        b'S' => unescape(text.trim().trim_matches(['"', '\''])),
        b'V' => unescape(&text),
        _ => text.into_owned(),
    })
}

/// A name longer than this is no name of a module or function.
pub const NAME_BYTES: usize = 512;

fn unescape(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        out.push_str(before);
        let digits = |from: usize, len: usize, radix: u32| {
            let digits = after.get(from..from + len)?;
            Some((char::from_u32(u32::from_str_radix(digits, radix).ok()?)?, from + len))
        };
        let escaped = match after.as_bytes().first() {
            Some(b'x') => digits(1, 2, 16),
            Some(b'u') => digits(1, 4, 16),
            Some(b'U') => digits(1, 8, 16),
            Some(b'0'..=b'7') => {
                let len = after.bytes().take(3).take_while(|b| matches!(b, b'0'..=b'7')).count();
                digits(0, len, 8)
            }
            Some(b'n') => Some(('\n', 1)),
            Some(b't') => Some(('\t', 1)),
            Some(b'r') => Some(('\r', 1)),
            Some(b @ (b'\\' | b'\'' | b'"')) => Some((char::from(*b), 1)),
            _ => None,
        };
        match escaped {
            Some((c, used)) => {
                out.push(c);
                rest = &after[used..];
            }
            None => {
                out.push('\\');
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out
}

/// An instruction's name, as `pickletools` has it.
pub fn name(code: u8) -> &'static str {
    match code {
        b'R' => "REDUCE",
        b'b' => "BUILD",
        b'c' => "GLOBAL",
        b'i' => "INST",
        b'o' => "OBJ",
        b'P' => "PERSID",
        b'Q' => "BINPERSID",
        0x81 => "NEWOBJ",
        0x82 => "EXT1",
        0x83 => "EXT2",
        0x84 => "EXT4",
        0x92 => "NEWOBJ_EX",
        0x93 => "STACK_GLOBAL",
        _ => "another",
    }
}
