//! A header is read whole or refused with its reason; the `safetensors` crate is the judge of what we write, and
//! refuses nothing that we accept.

use std::collections::BTreeMap;
use std::fs;

use super::*;

/// A file: the JSON with its length before, and `data` bytes after.
pub(crate) fn file_of(json: &str, data: usize) -> Vec<u8> {
    [&(json.len() as u64).to_le_bytes()[..], json.as_bytes(), &vec![7; data]].concat()
}

const GOOD: &str = r#"{"__metadata__":{"format":"pt"},"b":{"dtype":"I64","shape":[],"data_offsets":[24,32]},"a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]}}"#;

fn entry(name: &str, dtype: &str, shape: &str, from: u64, to: u64) -> String {
    format!(r#""{name}":{{"dtype":"{dtype}","shape":{shape},"data_offsets":[{from},{to}]}}"#)
}

fn faults(bytes: &[u8]) -> Vec<String> {
    Header::read(bytes).faults.listed.iter().map(ToString::to_string).collect()
}

#[test]
fn a_good_file_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("model.safetensors");
    fs::write(&path, file_of(GOOD, 32)).unwrap();
    for path in [path.as_path(), dir.path()] {
        let file = Safetensors::open(path).unwrap();
        let a = file.require("a").unwrap();
        assert_eq!((a.shape.as_slice(), a.ggml_type, file.bytes(a)), (&[2, 3][..], GgmlType::F32, &[7; 24][..]));
        assert_eq!(file.metadata()["format"], "pt");
        assert_eq!(file.tensors().count(), 1);
        assert_eq!(file.others().map(|(name, dtype)| (name, dtype.name)).collect::<Vec<_>>(), [("b", "I64")]);
        assert!(file.require("b").unwrap_err().to_string().contains("type I64, which is not supported"));
        assert!(file.require("c").unwrap_err().to_string().contains("`c` is missing"));
    }
}

#[test]
fn every_truncation_is_refused() {
    let bytes = file_of(GOOD, 32);
    assert_eq!(faults(&bytes), [""; 0]);
    for len in 0..bytes.len() {
        assert!(!faults(&bytes[..len]).is_empty(), "{len} bytes");
    }
}

#[test]
fn what_the_crate_refuses_we_refuse() {
    let bytes = file_of(GOOD, 32);
    let mut accepted = 0;
    for at in 0..bytes.len() {
        for flip in [1, 2, 4, 8, 16, 32, 64, 128] {
            let mut damaged = bytes.clone();
            damaged[at] ^= flip;
            let ours = Header::read(&damaged);
            if ours.faults.is_empty() {
                let theirs = ::safetensors::SafeTensors::deserialize(&damaged);
                let theirs = theirs.unwrap_or_else(|e| panic!("byte {at} ^ {flip}: {e}"));
                assert_eq!(theirs.len(), ours.tensors.len(), "byte {at} ^ {flip}");
                accepted += 1;
            }
        }
    }
    // The data themselves, letters of names, and little else.
    assert!((256..512).contains(&accepted), "{accepted}");
}

#[test]
fn each_fault_is_named_with_its_byte() {
    let one = |entry: String| file_of(&format!("{{{entry}}}"), 8);
    let cases: [(Vec<u8>, &str); 24] = [
        (vec![0; 3], "cut short (at byte 3)"),
        (u64::MAX.to_le_bytes().to_vec(), "header of 18446744073709551615 bytes"),
        ([&100_u64.to_le_bytes()[..], b"{}"].concat(), "header of 100 bytes in a file of 10"),
        (file_of("[]", 0), "does not begin with `{` (at byte 8)"),
        (file_of(" {}", 0), "does not begin with `{`"),
        (file_of("{} x", 0), "trailing characters (at byte 11)"),
        ([&4_u64.to_le_bytes()[..], b"{\"\xff\""].concat(), "no UTF-8 (at byte 10)"),
        (file_of(r#"{"a":1}"#, 0), "`a`: invalid type"),
        (file_of(&"[".repeat(100_000), 0), "does not begin"),
        (file_of(&format!(r#"{{"a":{}"#, "[".repeat(100_000)), 0), "EOF"),
        (one(entry("a", "F32", "[2]", 0, 8) + "," + &entry("a", "F32", "[2]", 0, 8)), "`a` is there twice"),
        (one(entry("a", "F33", "[2]", 0, 8)), "unknown type `F33` (at byte 13)"),
        (one(entry("a", "F32", "[3]", 0, 8)), "takes 12 bytes, but its offsets are 0 to 8"),
        (one(entry("a", "F32", "[4294967296,4294967296]", 0, 8)), "impossible shape"),
        (one(entry("a", "F32", "[-1]", 0, 8)), "invalid value"),
        (one(entry("a", "F32", "[2.0]", 0, 8)), "invalid type"),
        (one(entry("a", "F32", "[1,1,1,1,1,1,1,1,2]", 0, 8)), "more than 8 dimensions"),
        (one(entry("a", "F32", "[2]", 8, 0)), "offsets are 8 to 0"),
        (one(entry("a", "F32", "[1]", 4, 8)), "4 bytes before the tensor `a` belong to none"),
        (one(entry("a", "F32", "[1]", 0, 4)), "4 bytes at the end belong to no tensor"),
        (one(entry("a", "F32", "[2]", 0, 8) + "," + &entry("b", "F32", "[1]", 4, 8)), "`b` overlaps"),
        (one(entry("a", "F32", "[4]", 0, 16)), "8 bytes of the tensor `a` are missing"),
        (one(entry("a\\u001b[31m", "F32", "[2]", 0, 8)), "control characters"),
        (
            file_of(r#"{"__metadata__":{"a":"b","a":"c"}}"#, 0),
            "`__metadata__` is no map of texts: a name is there twice",
        ),
    ];
    for (bytes, wanted) in cases {
        let found = faults(&bytes);
        assert!(found.iter().any(|fault| fault.contains(wanted)), "wanted `{wanted}` in {found:?}");
    }
}

#[test]
fn all_faults_are_listed_not_only_the_first() {
    let json = format!(
        "{{{},{},{}}}",
        entry("a", "F32", "[9]", 0, 8),
        entry("b", "X", "[2]", 0, 8),
        entry("c", "F32", "[2]", 0, 8)
    );
    assert_eq!(faults(&file_of(&json, 8)).len(), 2);
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("model.safetensors"), file_of(&json, 8)).unwrap();
    let told = Safetensors::open(dir.path()).unwrap_err().to_string();
    assert!(told.contains("takes 36 bytes") && told.contains("1 more: `osai model inspect` lists them"), "{told}");
}

/// A folder with an index over two shards, `a` in the first and `b` in the second.
fn set(index: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join(INDEX), index).unwrap();
    for (file, name) in [("one.safetensors", "a"), ("two.safetensors", "b")] {
        let bytes = file_of(&format!("{{{}}}", entry(name, "BF16", "[2,2]", 0, 8)), 8);
        fs::write(dir.path().join(file), bytes).unwrap();
    }
    dir
}

#[test]
fn a_set_of_shards_is_one_model() {
    let dir = set(r#"{"metadata":{"total_size":16},"weight_map":{"a":"one.safetensors","b":"two.safetensors"}}"#);
    let file = Safetensors::open(dir.path()).unwrap();
    let names: Vec<&str> = file.tensors().map(|info| info.name.as_str()).collect();
    assert_eq!((names.as_slice(), file.files().count()), (&["a", "b"][..], 2));
    assert_eq!(file.bytes(file.tensor("b").unwrap()), [7; 8]);
}

#[test]
fn an_index_cannot_point_elsewhere() {
    for name in [
        "../one.safetensors",
        "/etc/x.safetensors",
        "C:one.safetensors",
        "a\\\\b.safetensors",
        ".x.safetensors",
        "passwd",
    ] {
        let dir = set(&format!(r#"{{"weight_map":{{"a":"{name}"}}}}"#));
        let told = Safetensors::open(dir.path()).unwrap_err().to_string();
        assert!(told.contains("no plain name"), "{name}: {told}");
    }
    let dir = set(r#"{"weight_map":{"a":"two.safetensors"}}"#);
    let told = Safetensors::open(dir.path()).unwrap_err().to_string();
    assert!(told.contains("`a` is not in `two.safetensors`"), "{told}");
}

#[test]
fn what_is_written_is_read_by_the_crate_and_by_us() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("adapter.safetensors");
    let tensor = |name: &str, dtype: &str, shape: &[usize], byte: u8| {
        let dtype = Dtype::named(dtype).unwrap();
        let bytes = shape.iter().product::<usize>() * dtype.bits / 8;
        TensorToWrite { name: name.into(), dtype, shape: shape.into(), bytes: vec![byte; bytes].into() }
    };
    let tensors = vec![tensor("z", "F32", &[2, 3], 1), tensor("a", "BF16", &[5], 2), tensor("m", "F32", &[1], 3)];
    let metadata = BTreeMap::from([("format".to_owned(), "pt".to_owned()), ("a \u{1b}".to_owned(), "ü".to_owned())]);
    write(&path, tensors.clone(), &metadata).unwrap();
    let bytes = fs::read(&path).unwrap();
    let theirs = ::safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let ours = Safetensors::open(&path).unwrap();
    for TensorToWrite { name, shape, bytes, .. } in &tensors {
        let view = theirs.tensor(name).unwrap();
        assert_eq!((view.shape(), view.data()), (shape.as_slice(), &bytes[..]), "{name}");
        assert_eq!(ours.bytes(ours.tensor(name).unwrap()), &bytes[..], "{name}");
    }
    assert_eq!(ours.metadata(), &metadata);
    write(&path, tensors.iter().rev().cloned().collect(), &metadata).unwrap();
    assert_eq!(fs::read(&path).unwrap(), bytes, "the same tensors give the same bytes");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn what_does_not_fit_its_shape_is_not_written() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.safetensors");
    let tensor = TensorToWrite {
        name: "a".into(),
        dtype: Dtype::named("F32").unwrap(),
        shape: vec![2],
        bytes: vec![0; 4].into(),
    };
    let told = write(&path, vec![tensor.clone()], &BTreeMap::new()).unwrap_err().to_string();
    assert!(told.contains("but has 4 bytes"), "{told}");
    let whole = TensorToWrite { shape: vec![1], ..tensor };
    let told = write(&path, vec![whole.clone(), whole], &BTreeMap::new()).unwrap_err().to_string();
    assert!(told.contains("twice") && !path.exists(), "{told}");
}
