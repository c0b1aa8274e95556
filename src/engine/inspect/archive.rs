//! Zip archives: what is in them and where, with the faults on which readers disagree.
//!
//! Our own reading of the directory, not the `zip` crate's: a scanner must say at which byte a thing stands, look into
//! members that are marked as encrypted or have a wrong checksum (PyTorch opens both), see where the two headers of a
//! member differ, and bound its memory before it reads the directory. Inflating is flate2's.
//! Source: PKWARE's APPNOTE 6.3.

use std::borrow::Cow;
use std::io::Read;
use std::ops::Range;

use serde::Serialize;

use crate::engine::file::Faults;

/// Members at most.
const MAX_MEMBERS: u64 = 1 << 16;
/// Bytes of a member's name that are kept.
const MAX_NAME_BYTES: usize = 512;
/// Bytes of a compressed member that are looked at.
const MAX_INFLATED: u64 = 32 << 20;

/// One file of an archive.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Member {
    /// Name in the directory, not safe to print or to use as a path.
    pub name: String,
    /// Size unpacked, as the directory says.
    pub bytes: u64,
    /// Where its data begin.
    pub at: u64,
    /// 0 stored, 8 deflated, others.
    pub method: u16,
    /// Whether it is marked as encrypted.
    pub is_encrypted: bool,
    #[serde(skip)]
    data: Range<usize>,
}

/// The directory of an archive.
#[derive(Debug, Default)]
pub struct Archive {
    /// In the order of the directory; those that lie outside the file are left out.
    pub members: Vec<Member>,
    /// What is wrong.
    pub faults: Faults,
    /// What is unusual.
    pub remarks: Faults,
}

/// The end record: members, and where the directory is.
struct End {
    at: usize,
    members: u64,
    size: u64,
    offset: u64,
}

impl Archive {
    /// Reads the directory of `bytes`, which is the whole file.
    pub fn read(bytes: &[u8]) -> Self {
        let mut archive = Self::default();
        let Some(end) = find_end(bytes) else {
            archive.faults.at(bytes.len(), "the zip archive has no directory at its end: it is cut short or damaged");
            return archive;
        };
        if end.members > MAX_MEMBERS {
            let what = format_args!("{} members; at most {MAX_MEMBERS} are looked at", end.members);
            archive.faults.at(end.at, what);
            return archive;
        }
        let directory = (end.at as u64).checked_sub(end.size).filter(|start| *start >= end.offset);
        let Some(start) = directory else {
            archive.faults.at(end.at, "the directory of the zip archive lies outside the file");
            return archive;
        };
        // Bytes before the archive move everything: Python's reader allows for them, PyTorch's does not.
        let shift = start - end.offset;
        if shift > 0 {
            archive.faults.at(0, format_args!("{shift} bytes before the zip archive belong to none"));
        }
        archive.walk(bytes, start as usize, shift, &end);
        archive.refuse_twins_and_overlaps();
        archive
    }

    fn walk(&mut self, bytes: &[u8], start: usize, shift: u64, end: &End) {
        let mut at = start;
        for _ in 0..end.members {
            let Some(entry) =
                bytes[..end.at].get(at..).filter(|rest| rest.len() >= 46 && rest.starts_with(b"PK\x01\x02"))
            else {
                self.faults.at(at, "the directory of the zip archive ends before its last member");
                return;
            };
            let [name_len, extra_len, comment_len] = [28, 30, 32].map(|field| usize::from(u16_at(entry, field)));
            let Some(rest) = entry.get(46..46 + name_len + extra_len + comment_len) else {
                self.faults.at(at, "a member of the directory is cut short");
                return;
            };
            self.member(bytes, at, entry, rest, shift);
            at += 46 + rest.len();
        }
        if at != end.at && !bytes[at..end.at].starts_with(b"PK\x06\x06") {
            self.faults.at(at, format_args!("{} bytes after the directory belong to none", end.at - at));
        }
    }

    fn member(&mut self, bytes: &[u8], at: usize, entry: &[u8], rest: &[u8], shift: u64) {
        let name_len = usize::from(u16_at(entry, 28));
        let (raw_name, extra) = (&rest[..name_len], &rest[name_len..name_len + usize::from(u16_at(entry, 30))]);
        let name = String::from_utf8_lossy(&raw_name[..name_len.min(MAX_NAME_BYTES)]).into_owned();
        if name_len > MAX_NAME_BYTES {
            self.faults.at(at, format_args!("a member with a name of {name_len} bytes"));
        }
        let is_upward = name.split(['/', '\\']).any(|part| part == "..") || name.starts_with(['/', '\\']);
        if is_upward || name.get(1..3) == Some(":\\") || name.chars().any(char::is_control) {
            self.faults
                .at(at, format_args!("the member `{name}` would be unpacked outside its folder, or hides its name"));
        }
        let sizes = sizes(entry, extra);
        let Some([packed, unpacked, offset]) = sizes else {
            self.faults.at(at, format_args!("the member `{name}` has no valid size"));
            return;
        };
        let local = offset.checked_add(shift).and_then(|at| usize::try_from(at).ok());
        let header =
            local.and_then(|at| bytes.get(at..)).filter(|rest| rest.len() >= 30 && rest.starts_with(b"PK\x03\x04"));
        let (Some(local), Some(header)) = (local, header) else {
            self.faults.at(at, format_args!("the member `{name}` is not where the directory says"));
            return;
        };
        let local_name_len = usize::from(u16_at(header, 26));
        if header.get(30..30 + local_name_len) != Some(raw_name) {
            self.faults.at(local, format_args!("the member `{name}` has another name in its own header"));
        }
        let (method, local_method) = (u16_at(entry, 10), u16_at(header, 8));
        if method != local_method {
            let what =
                format_args!("the member `{name}` has another method in its own header ({local_method}, not {method})");
            self.faults.at(local, what);
        }
        let start = local + 30 + local_name_len + usize::from(u16_at(header, 28));
        let data = usize::try_from(packed).ok().and_then(|packed| Some(start..start.checked_add(packed)?));
        let Some(data) = data.filter(|data| data.end <= bytes.len()) else {
            self.faults.at(local, format_args!("the member `{name}` needs {packed} bytes, more than the file has"));
            return;
        };
        if method == 0 && packed != unpacked {
            self.faults.at(at, format_args!("the member `{name}` is stored as it is but has two sizes"));
        }
        let is_encrypted = (u16_at(entry, 8) | u16_at(header, 6)) & 1 == 1;
        if is_encrypted {
            self.faults
                .at(local, format_args!("the member `{name}` is marked as encrypted, which some readers ignore"));
        }
        self.members.push(Member { name, bytes: unpacked, at: data.start as u64, method, is_encrypted, data });
    }

    fn refuse_twins_and_overlaps(&mut self) {
        let mut by_name: Vec<&Member> = self.members.iter().collect();
        by_name.sort_by_key(|member| &member.name);
        for pair in by_name.windows(2).filter(|pair| pair[0].name == pair[1].name) {
            self.faults.add(Some(pair[1].at), format_args!("the member `{}` is there twice", pair[1].name));
        }
        let mut by_place = by_name;
        by_place.sort_by_key(|member| (member.data.start, member.data.end));
        for pair in by_place.windows(2).filter(|pair| pair[0].data.end > pair[1].data.start) {
            let what = format_args!("the members `{}` and `{}` overlap", pair[0].name, pair[1].name);
            self.faults.add(Some(pair[1].at), what);
        }
    }
}

impl Member {
    /// The first `limit` bytes of the member, unpacked; `None` for a method that is not known.
    ///
    /// Where unpacking fails, what came before: a reader that unpacks as it goes has used it by then.
    pub fn start<'a>(&self, file: &'a [u8], limit: u64) -> Option<Cow<'a, [u8]>> {
        let data = &file[self.data.clone()];
        match self.method {
            0 => Some(Cow::Borrowed(&data[..data.len().min(usize::try_from(limit).unwrap_or(usize::MAX))])),
            8 => {
                let mut out = Vec::new();
                let mut inflate = flate2::read::DeflateDecoder::new(data).take(limit.min(MAX_INFLATED));
                // The fault is told by the length, which then is not the directory's.
                let _ = inflate.read_to_end(&mut out);
                Some(Cow::Owned(out))
            }
            _ => None,
        }
    }
}

/// Packed size, unpacked size and offset of a member; of 64 bits where the extra field has them.
fn sizes(entry: &[u8], extra: &[u8]) -> Option<[u64; 3]> {
    let mut wide = None;
    let mut rest = extra;
    while rest.len() >= 4 {
        let len = usize::from(u16_at(rest, 2));
        let field = rest.get(4..4 + len)?;
        if u16_at(rest, 0) == 1 {
            wide = Some(field);
        }
        rest = &rest[4 + len..];
    }
    let mut wide = wide.unwrap_or(&[]);
    // In the order of the extra field: unpacked, packed, offset.
    let mut values = [0; 3];
    for (value, field) in values.iter_mut().zip([24, 20, 42]) {
        let narrow = u32_at(entry, field);
        *value = if narrow == u32::MAX {
            let (taken, rest) = wide.split_first_chunk::<8>()?;
            wide = rest;
            u64::from_le_bytes(*taken)
        } else {
            u64::from(narrow)
        };
    }
    Some([values[1], values[0], values[2]])
}

fn find_end(bytes: &[u8]) -> Option<End> {
    let lowest = bytes.len().saturating_sub(22 + usize::from(u16::MAX));
    let last = bytes.len().checked_sub(22)?;
    let at = (lowest..=last).rev().find(|at| {
        let record = &bytes[*at..];
        record.starts_with(b"PK\x05\x06") && usize::from(u16_at(record, 20)) == record.len() - 22
    })?;
    let record = &bytes[at..];
    let [members, size, offset] =
        [u64::from(u16_at(record, 10)), u64::from(u32_at(record, 12)), u64::from(u32_at(record, 16))];
    let is_wide = members == u64::from(u16::MAX) || size == u64::from(u32::MAX) || offset == u64::from(u32::MAX);
    if let Some(locator) = at.checked_sub(20).map(|at| &bytes[at..]).filter(|l| is_wide && l.starts_with(b"PK\x06\x07"))
    {
        let wide_at = usize::try_from(u64_at(locator, 8)).ok()?;
        let record = bytes.get(wide_at..).filter(|r| r.len() >= 56 && r.starts_with(b"PK\x06\x06"))?;
        return Some(End {
            at: wide_at,
            members: u64_at(record, 32),
            size: u64_at(record, 40),
            offset: u64_at(record, 48),
        });
    }
    Some(End { at, members, size, offset })
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from(u16_at(bytes, at)) | u32::from(u16_at(bytes, at + 2)) << 16
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}
