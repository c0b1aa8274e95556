//! NumPy's `.npy`: one array with a header in Python's notation, or a pickle behind it.
//!
//! Source: `numpy/lib/format.py`.

use crate::engine::file::Faults;

/// Bytes of the header's text at most; NumPy itself warns from 10,000 on.
const MAX_HEADER: usize = 1 << 16;

/// An array as its header describes it.
#[derive(Debug, Default, PartialEq)]
pub struct Npy {
    /// `<f4`.
    pub descr: String,
    /// Dimensions.
    pub shape: Vec<u64>,
    /// Bytes before the numbers.
    pub data_start: usize,
    /// Whether the numbers are Python objects, that is, a pickle.
    pub is_pickle: bool,
}

/// Reads the header at the start of `bytes`; faults are told from `base` on.
pub fn read(bytes: &[u8], base: usize, faults: &mut Faults) -> Option<Npy> {
    let width = match bytes.get(6)? {
        1 => 2,
        2 | 3 => 4,
        version => {
            faults.at(base + 6, format_args!("version {version} of `.npy` is not known"));
            return None;
        }
    };
    let length = bytes.get(8..8 + width).map_or(u64::MAX, super::pickle::number);
    let start = 8 + width;
    let text =
        usize::try_from(length).ok().filter(|l| *l <= MAX_HEADER).and_then(|length| bytes.get(start..start + length));
    let Some(text) = text else {
        faults.at(base + 8, "the header of the array is cut short or too long");
        return None;
    };
    let data_start = start + text.len();
    let text = String::from_utf8_lossy(text);
    let Some(descr) = value_of(&text, "descr") else {
        faults.at(base + start, "the array's header has no `descr`");
        return None;
    };
    let shape = value_of(&text, "shape").unwrap_or_default();
    let shape = shape.trim_matches(['(', ')', ' ']).split(',').filter(|d| !d.trim().is_empty());
    let shape: Result<Vec<u64>, _> = shape.map(|d| d.trim().trim_end_matches('L').parse()).collect();
    let Ok(shape) = shape else {
        faults.at(base + start, "the array's header has no valid `shape`");
        return None;
    };
    let is_pickle = descr.contains('O');
    let npy = Npy { shape, data_start, is_pickle, descr: descr.trim_matches('\'').to_owned() };
    if !is_pickle
        && let Some(wanted) = npy.bytes()
        && wanted != (bytes.len() - data_start) as u64
    {
        let what = format_args!("an array of {wanted} bytes, but {} are there", bytes.len() - data_start);
        faults.at(base + data_start, what);
    }
    Some(npy)
}

impl Npy {
    /// Bytes of the numbers, if their type is a plain one.
    pub fn bytes(&self) -> Option<u64> {
        let width: u64 = self.descr.get(2..)?.parse().ok()?;
        let width = if self.descr.get(1..2) == Some("U") { width.checked_mul(4)? } else { width };
        self.shape.iter().try_fold(width, |bytes, d| bytes.checked_mul(*d))
    }
}

/// The value after `'key':` up to the comma outside brackets.
fn value_of<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let after = &text[text.find(&format!("'{key}'"))? + key.len() + 2..];
    let after = after.trim_start().strip_prefix(':')?.trim_start();
    let mut depth = 0_i32;
    let end = after.find(|c| {
        depth += i32::from(matches!(c, '(' | '[')) - i32::from(matches!(c, ')' | ']'));
        depth < 0 || (depth == 0 && matches!(c, ',' | '}'))
    });
    Some(after[..end.unwrap_or(after.len())].trim())
}
