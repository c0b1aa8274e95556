//! Hostile GGUF files.

use super::Case;

/// A file in its parts, so that each can be spoilt.
#[derive(Clone)]
struct File {
    magic: Vec<u8>,
    version: u32,
    tensor_count: Option<u64>,
    key_count: Option<u64>,
    /// Key, value type, value.
    keys: Vec<(Vec<u8>, u32, Vec<u8>)>,
    tensors: Vec<Tensor>,
    /// Bytes of the tensors' data.
    data: usize,
}

#[derive(Clone)]
struct Tensor {
    name: Vec<u8>,
    n_dims: Option<u32>,
    dims: Vec<u64>,
    kind: u32,
    offset: u64,
}

fn text(bytes: &[u8]) -> Vec<u8> {
    [&(bytes.len() as u64).to_le_bytes()[..], bytes].concat()
}

fn array(item: u32, len: u64, items: &[u8]) -> Vec<u8> {
    [&item.to_le_bytes()[..], &len.to_le_bytes(), items].concat()
}

fn tensor(name: &str, dims: &[u64], kind: u32, offset: u64) -> Tensor {
    Tensor { name: name.into(), n_dims: None, dims: dims.into(), kind, offset }
}

impl File {
    fn good() -> Self {
        Self {
            magic: b"GGUF".to_vec(),
            version: 3,
            tensor_count: None,
            key_count: None,
            keys: vec![
                (b"general.architecture".to_vec(), 8, text(b"llama")),
                (b"general.alignment".to_vec(), 4, 32_u32.to_le_bytes().into()),
                (b"tokenizer.ggml.tokens".to_vec(), 9, array(8, 2, &[text(b"a"), text(b"bc")].concat())),
                (b"flag".to_vec(), 7, vec![1]),
            ],
            tensors: vec![tensor("a.weight", &[32, 2], 0, 0), tensor("b.weight", &[64], 8, 256)],
            data: 256 + 68,
        }
    }

    fn bytes(&self) -> Vec<u8> {
        let mut out = self.magic.clone();
        out.extend(self.version.to_le_bytes());
        out.extend(self.tensor_count.unwrap_or(self.tensors.len() as u64).to_le_bytes());
        out.extend(self.key_count.unwrap_or(self.keys.len() as u64).to_le_bytes());
        for (key, kind, value) in &self.keys {
            out.extend(text(key));
            out.extend(kind.to_le_bytes());
            out.extend(value);
        }
        for tensor in &self.tensors {
            out.extend(text(&tensor.name));
            out.extend(tensor.n_dims.unwrap_or(tensor.dims.len() as u32).to_le_bytes());
            tensor.dims.iter().for_each(|d| out.extend(d.to_le_bytes()));
            out.extend(tensor.kind.to_le_bytes());
            out.extend(tensor.offset.to_le_bytes());
        }
        out.resize(out.len().next_multiple_of(32), 0);
        out.resize(out.len() + self.data, 0);
        out
    }

    fn with_key(mut self, key: &[u8], kind: u32, value: Vec<u8>) -> Self {
        self.keys.push((key.into(), kind, value));
        self
    }
}

/// A file with which nothing is wrong.
pub fn good() -> Vec<u8> {
    File::good().bytes()
}

/// The good file cut at every byte.
pub fn truncations() -> Vec<Case> {
    let good = good();
    (0..good.len()).map(|len| Case::new(format!("cut at {len}"), good[..len].to_vec())).collect()
}

/// Lengths and counts that are more than there is.
const TOO_MANY: [u64; 8] = [1 << 20, (1 << 31) - 1, 1 << 32, 1 << 40, 1 << 60, (1 << 63) - 1, 1 << 63, u64::MAX];

/// Headers that claim two gigabytes for one thing.
pub fn giants() -> Vec<Vec<u8>> {
    let claim = |file: File| file.bytes();
    vec![
        claim(File::good().with_key(b"long", 8, (2_000_000_000_u64).to_le_bytes().into())),
        claim(File::good().with_key(b"many", 9, array(0, 2_000_000_000, &[]))),
        claim(File { tensors: vec![tensor("a", &[1 << 30], 0, 0)], ..File::good() }),
        claim(File { key_count: Some(4096), ..File::good() }),
    ]
}

/// All cases but truncations.
pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    let mut case = |name: String, file: File| cases.push(Case::new(name, file.bytes()));
    let good = File::good();

    for version in [0, 1, 4, 5, 255, 1 << 24, 2 << 24, 3 << 24, 4 << 24, u32::MAX, 0x0300] {
        case(format!("version {version}"), File { version, ..good.clone() });
    }
    for n in TOO_MANY.into_iter().chain([1 << 17, 4097, 5, 3]) {
        case(format!("{n} keys"), File { key_count: Some(n), ..good.clone() });
        case(format!("{n} tensors"), File { tensor_count: Some(n), ..good.clone() });
    }
    counts(&good, &mut case);
    values(&good, &mut case);
    alignments(&good, &mut case);
    names(&good, &mut case);
    shapes(&good, &mut case);
    places(&good, &mut case);
    for magic in other_magics() {
        cases.push(Case::new(format!("begins with {magic:?}"), [&magic[..], &[0; 64]].concat()));
        cases.push(Case::new(format!("is {magic:?}"), magic));
    }
    cases.extend(amplifiers());
    cases
}

fn counts(good: &File, case: &mut impl FnMut(String, File)) {
    for n in TOO_MANY {
        case(format!("a text of {n} bytes"), good.clone().with_key(b"t", 8, n.to_le_bytes().into()));
        case(format!("a token of {n} bytes"), good.clone().with_key(b"t", 9, array(8, 1, &n.to_le_bytes())));
        for item in 0..=12 {
            if item != 9 {
                case(
                    format!("{n} items of type {item}"),
                    good.clone().with_key(b"t", 9, array(item, n.max((1 << 20) + 1), &[])),
                );
            }
        }
        for (what, at) in [("key", 0), ("tensor name", 1)] {
            let mut file = good.clone();
            let mut name = n.to_le_bytes().to_vec();
            name.extend(b"x");
            // A raw name without its own length: the length before it is the hostile one.
            match at {
                0 => file = File { keys: vec![], key_count: Some(1), tensors: vec![], ..file },
                _ => file = File { keys: vec![], tensor_count: Some(1), tensors: vec![], ..file },
            }
            let mut raw = file.bytes();
            raw.truncate(24);
            raw.extend(name);
            raw.resize(200, 0);
            case(format!("a {what} of {n} bytes"), File { magic: raw, ..empty() });
        }
    }
}

/// A file that is only its `magic`; the counts behind it are harmless.
fn empty() -> File {
    File { magic: vec![], version: 0, tensor_count: None, key_count: None, keys: vec![], tensors: vec![], data: 0 }
}

fn values(good: &File, case: &mut impl FnMut(String, File)) {
    for kind in (13..=24).chain([255, 1 << 16, u32::MAX]) {
        case(format!("value type {kind}"), good.clone().with_key(b"t", kind, vec![0; 64]));
        case(format!("items of type {kind}"), good.clone().with_key(b"t", 9, array(kind, 1, &[0; 64])));
    }
    for depth in [1, 2, 100, 10_000] {
        let nested = (0..depth).fold(array(4, 1, &[0; 4]), |inner, _| array(9, 1, &inner));
        case(format!("arrays {depth} deep"), good.clone().with_key(b"t", 9, nested));
    }
    for byte in [2, 3, 127, 128, 255] {
        case(format!("a boolean of {byte}"), good.clone().with_key(b"t", 7, vec![byte]));
    }
    case("a key twice".into(), good.clone().with_key(b"flag", 7, vec![1]));
    case("a key twice with another type".into(), good.clone().with_key(b"flag", 4, vec![1, 0, 0, 0]));
}

fn alignments(good: &File, case: &mut impl FnMut(String, File)) {
    let mut with = |name: String, kind: u32, value: Vec<u8>| {
        let mut file = good.clone();
        file.keys[1] = (b"general.alignment".to_vec(), kind, value);
        case(name, file);
    };
    for n in [0, 1, 2, 3, 4, 5, 7, 9, 12, 24, 31, 33, 48, 1000, 1 << 17, 1 << 31, u32::MAX] {
        with(format!("alignment {n}"), 4, n.to_le_bytes().into());
    }
    for n in [0_u64, 3, 1 << 32, 1 << 63, u64::MAX] {
        with(format!("alignment {n} of 64 bits"), 10, n.to_le_bytes().into());
    }
    for n in [-1_i64, i64::MIN, -32] {
        with(format!("alignment {n}"), 11, n.to_le_bytes().into());
    }
    with("alignment as text".into(), 8, text(b"32"));
    with("alignment as a float".into(), 6, 32_f32.to_le_bytes().into());
    with("alignment as NaN".into(), 12, f64::NAN.to_le_bytes().into());
    with("alignment as a boolean".into(), 7, vec![1]);
    with("alignment as an array".into(), 9, array(4, 1, &32_u32.to_le_bytes()));
}

fn names(good: &File, case: &mut impl FnMut(String, File)) {
    let long = vec![b'x'; 257];
    let mut hostile: Vec<Vec<u8>> =
        vec![vec![], long, vec![0xFF], vec![0xC3], b"\xED\xA0\x80".to_vec(), b"a\x1b]0;title\x07".to_vec()];
    hostile.extend((0..=31).chain([127]).map(|byte| vec![b'a', byte, b'b']));
    hostile.extend(('\u{80}'..='\u{9F}').map(|c| format!("a{c}").into_bytes()));
    for name in hostile {
        let shown = String::from_utf8_lossy(&name[..name.len().min(12)]).into_owned();
        case(format!("key {shown:?} of {} bytes", name.len()), good.clone().with_key(&name, 7, vec![1]));
        let mut file = good.clone();
        file.tensors[0].name = name;
        case(format!("tensor name {shown:?}"), file);
    }
    let mut twice = good.clone();
    twice.tensors[1].name = twice.tensors[0].name.clone();
    case("a tensor twice".into(), twice);
}

fn shapes(good: &File, case: &mut impl FnMut(String, File)) {
    let mut with = |name: String, change: &dyn Fn(&mut Tensor)| {
        let mut file = good.clone();
        change(&mut file.tensors[0]);
        case(name, file);
    };
    for n in [0, 5, 6, 64, 255, 1 << 16, 1 << 31, u32::MAX] {
        with(format!("{n} dimensions"), &|tensor| tensor.n_dims = Some(n));
    }
    let large =
        [1 << 20, 1 << 31, 1 << 32, (1 << 59) + 1, 1 << 60, (1 << 61) + 32, 1 << 62, (1 << 63) - 1, 1 << 63, u64::MAX];
    for n in large {
        for dims in [vec![n], vec![32, n], vec![n, n], vec![n, 32, 32, 32], vec![32, 2, n, n]] {
            with(format!("shape {dims:?}"), &|tensor| tensor.dims.clone_from(&dims));
        }
    }
    for place in 0..4 {
        let mut dims = vec![32, 1, 1, 1];
        dims[place] = 0;
        with(format!("shape {dims:?}"), &|tensor| tensor.dims.clone_from(&dims));
    }
    let blocks: [(u32, u64); 27] = [
        (2, 32),
        (3, 32),
        (6, 32),
        (7, 32),
        (8, 32),
        (9, 32),
        (10, 256),
        (11, 256),
        (12, 256),
        (13, 256),
        (14, 256),
        (15, 256),
        (16, 256),
        (17, 256),
        (18, 256),
        (19, 256),
        (20, 32),
        (21, 256),
        (22, 256),
        (23, 256),
        (29, 256),
        (34, 256),
        (35, 256),
        (39, 32),
        (40, 64),
        (41, 128),
        (42, 64),
    ];
    for (kind, block) in blocks {
        for columns in [block - 1, block + 1, block / 2] {
            with(format!("type {kind} in rows of {columns}"), &|tensor| {
                (tensor.kind, tensor.dims) = (kind, vec![columns, 2]);
            });
        }
    }
    for kind in [4, 5, 31, 32, 33, 36, 37, 38].into_iter().chain(43..64).chain([255, 1 << 16, 1 << 31, u32::MAX]) {
        with(format!("type {kind}"), &|tensor| tensor.kind = kind);
    }
}

fn places(good: &File, case: &mut impl FnMut(String, File)) {
    let at = |place: usize, offset: u64| {
        let mut file = good.clone();
        file.tensors[place].offset = offset;
        file
    };
    for offset in [
        1,
        8,
        31,
        33,
        255,
        257,
        1 << 20,
        1 << 32,
        1 << 40,
        (1 << 63) - 32,
        1 << 63,
        u64::MAX,
        u64::MAX - 31,
        u64::MAX - 255,
    ] {
        case(format!("an offset of {offset}"), at(0, offset));
        case(format!("a second offset of {offset}"), at(1, offset));
    }
    for offset in [0, 32, 64, 224] {
        case(format!("an overlap at {offset}"), at(1, offset));
    }
    let mut gap = at(1, 288);
    gap.data += 64;
    case("a gap between tensors".into(), gap);
    let mut hidden = at(0, 4096);
    hidden.tensors.truncate(1);
    hidden.data = 8192;
    case("4096 bytes before the first tensor".into(), hidden);
    case("no data".into(), File { data: 0, ..good.clone() });
}

/// Files that are something else, by their first bytes.
fn other_magics() -> Vec<Vec<u8>> {
    let mut all: Vec<Vec<u8>> = [
        &b"GGUG"[..],
        b"gguf",
        b"FUGG",
        b"GGML",
        b"lmgg\x01\0\0\0",
        b"tjgg\x03\0\0\0",
        b"fmgg\x01\0\0\0",
        b"algg\x01\0\0\0",
        b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
        b"<!DOCTYPE html><html>404</html>",
        b"\xEF\xBB\xBF<html>",
        b"\n\n <html>",
        b"<?xml version=\"1.0\"?>",
        b"PK\x03\x04",
        b"PK\x05\x06",
        b"\x80\x02cos\nsystem\n.",
        b"\x80\x04\x95",
        b"\x80\x05cos\nsystem\n.",
        b"\x93NUMPY\x01\0",
        b"\x89HDF\r\n\x1a\n",
        b"\x08\x07\x12\x07pytorch",
        b"\x1f\x8b\x08",
        b"BZh9",
        b"\xFD7zXZ\0",
        b"\x28\xB5\x2F\xFD",
        b"\x7fELF\x02\x01",
        b"MZ\x90\0",
        b"#!/bin/sh\nrm -rf /\n",
        b"{\"error\":\"Not found\"}",
        b"\0\0\0\x1cTFL3",
        b"\x10\0\0\0\0\0\0\0{\"a\":1}",
    ]
    .iter()
    .map(|magic| magic.to_vec())
    .collect();
    all.push([&vec![0; 257][..], b"ustar"].concat());
    all
}

/// Small files that would like to be large in memory.
fn amplifiers() -> Vec<Case> {
    let good = File::good();
    let bytes_of = |value: (u32, Vec<u8>)| good.clone().with_key(b"t", value.0, value.1).bytes();
    let mut cases = vec![
        Case::new("64 MiB of small numbers", bytes_of((9, array(0, 64 << 20, &vec![1; 64 << 20])))),
        Case::new("17 MiB of text", bytes_of((8, text(&vec![b'x'; 17 << 20])))),
        Case::new("17 MiB of bytes that are no text", bytes_of((8, text(&vec![0xFF; 17 << 20])))),
        Case::new("a million tokens too many", bytes_of((9, array(8, (1 << 20) + 1, &vec![0; 8 << 20])))),
    ];
    let arrays = (0..40).fold(good.clone(), |file, n| {
        file.with_key(format!("a{n}").as_bytes(), 9, array(0, 1 << 20, &vec![1; 1 << 20]))
    });
    cases.push(Case::new("40 arrays of a million", arrays.bytes()));
    let keys = (0..4097).fold(good.clone(), |file, n| file.with_key(format!("k{n}").as_bytes(), 7, vec![1]));
    cases.push(Case::new("4101 keys", keys.bytes()));
    let mut tensors = good.clone();
    tensors.tensors = (0..(1 << 17) - 1).map(|n| tensor(&format!("{n:0200}"), &[1 << 62, 1, 1, 1], 0, 0)).collect();
    cases.push(Case::new("131071 tensors with a fault each", tensors.bytes()));
    cases
}
