//! What is written is read back; a file that is not finished is not there.

use super::*;
use crate::engine::gguf::Value;

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .expect("a folder")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// A file with a key of every type and two tensors.
fn every_kind() -> Writer {
    let mut writer = Writer::new();
    writer.set("k.u8", 200_u8);
    writer.set("k.i8", -100_i8);
    writer.set("k.u16", 60_000_u16);
    writer.set("k.i16", -30_000_i16);
    writer.set("k.u32", u32::MAX);
    writer.set("k.i32", i32::MIN);
    writer.set("k.f32", 0.1_f32);
    writer.set("k.bool", true);
    writer.set("k.text", "Größe");
    writer.set("k.u64", u64::MAX);
    writer.set("k.i64", i64::MIN);
    writer.set("k.f64", 0.1_f64);
    writer.set("a.texts", ["a", "", "ß"].as_slice());
    writer.set("a.floats", [1.5_f32, -2.5].as_slice());
    writer.set("a.bools", [true, false, true].as_slice());
    writer.set("a.none", [0_u64; 0].as_slice());
    writer.tensor("w", &[2, 3, 32], GgmlType::Q8_0).expect("fits");
    writer.tensor("b", &[5], GgmlType::F32).expect("fits");
    writer
}

fn put_all(mut output: Output) -> u64 {
    let w: Vec<u8> = (0..6 * 34).map(|i| i as u8).collect();
    w.chunks(50).for_each(|part| output.put("w", part).expect("written"));
    output.put("b", &[7; 20]).expect("written");
    output.finish().expect("whole")
}

#[test]
fn every_type_of_value_and_every_byte_comes_back() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("m.gguf");
    let size = put_all(every_kind().create(&path).expect("begun"));
    let file = Gguf::open(&path).expect("reads");
    assert_eq!(size, file.file_bytes());
    for (key, want) in [
        ("k.u8", 200),
        ("k.i8", -100),
        ("k.u16", 60_000),
        ("k.i16", -30_000),
        ("k.u32", i128::from(u32::MAX)),
        ("k.i32", i128::from(i32::MIN)),
        ("k.u64", i128::from(u64::MAX)),
        ("k.i64", i128::from(i64::MIN)),
    ] {
        assert_eq!(file.value(key), Some(&Value::Int(want)), "{key}");
    }
    assert_eq!((file.float("k.f32"), file.float("k.f64")), (Some(f64::from(0.1_f32)), Some(0.1)));
    assert_eq!((file.bool("k.bool"), file.text("k.text")), (Some(true), Some("Größe")));
    assert_eq!(file.texts("a.texts"), Some(vec!["a".into(), String::new(), "ß".into()]));
    assert_eq!(file.words("a.floats", f32::from_le_bytes), Some(vec![1.5, -2.5]));
    let w = file.tensor("w").expect("there");
    assert_eq!((w.shape.as_slice(), w.ggml_type), (&[2, 3, 32][..], GgmlType::Q8_0));
    assert!(file.bytes(w).iter().enumerate().all(|(i, byte)| *byte == i as u8));
    assert_eq!(file.bytes(file.tensor("b").expect("there")), [7; 20]);
    assert_eq!(names(dir.path()), ["m.gguf"]);
}

#[test]
fn a_copy_of_the_keys_gives_the_same_file() {
    let dir = tempfile::tempdir().expect("a folder");
    let [one, two] = ["one.gguf", "two.gguf"].map(|name| dir.path().join(name));
    put_all(every_kind().create(&one).expect("begun"));
    let mut copy = Writer::with_keys_of(&Gguf::open(&one).expect("reads"));
    copy.tensors = every_kind().tensors;
    put_all(copy.create(&two).expect("begun"));
    assert_eq!(fs::read(one).expect("read"), fs::read(two).expect("read"));
}

#[test]
fn a_key_set_again_keeps_its_place_and_an_alignment_is_kept_to() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("m.gguf");
    let mut writer = every_kind();
    writer.set("k.u32", "now a text");
    writer.remove("k.u8");
    writer.set("general.alignment", 1024_u32);
    put_all(writer.create(&path).expect("begun"));
    let file = Gguf::open(&path).expect("reads");
    assert_eq!((file.text("k.u32"), file.value("k.u8")), (Some("now a text"), None));
    assert!(file.tensors().all(|t| t.bytes.start % 1024 == 0));
    writer = Writer::new();
    writer.set("general.alignment", 24_u32);
    let told = writer.create(&path).expect_err("refused").to_string();
    assert!(told.contains("power of two"), "{told}");
}

#[test]
fn an_unfinished_file_leaves_the_old_one_and_nothing_else() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("m.gguf");
    fs::write(&path, "old").expect("written");
    let mut output = every_kind().create(&path).expect("begun");
    output.put("w", &[0; 34]).expect("written");
    assert_eq!(names(dir.path()), [".m.gguf.part", "m.gguf"]);
    let told = every_kind().create(&path).expect_err("the other one holds it").to_string();
    assert!(told.contains("another osai"), "{told}");
    assert!(output.put("b", &[0; 4]).is_err(), "not its turn");
    assert!(output.put("w", &[0; 1000]).is_err(), "more than it has");
    let told = output.finish().expect_err("not whole").to_string();
    assert!(told.contains("34 of 204 bytes"), "{told}");
    assert_eq!((names(dir.path()), fs::read(&path).expect("read")), (vec!["m.gguf".to_owned()], b"old".to_vec()));
    let missing = every_kind().create(&dir.path().join("no/m.gguf")).expect_err("no folder").to_string();
    assert!(missing.starts_with("cannot write"), "{missing}");
}

#[test]
fn what_gguf_cannot_hold_is_refused_by_name() {
    let mut writer = Writer::new();
    writer.tensor("w", &[4], GgmlType::F32).expect("fits");
    for (name, shape, kind, word) in [
        ("w", &[4][..], GgmlType::F32, "twice"),
        ("", &[4], GgmlType::F32, "name of 0 bytes"),
        (&"x".repeat(64), &[4], GgmlType::F32, "name of 64 bytes"),
        ("a", &[], GgmlType::F32, "shape"),
        ("a", &[1, 1, 1, 1, 1], GgmlType::F32, "shape"),
        ("a", &[4, 0], GgmlType::F32, "shape"),
        ("a", &[usize::MAX, 2], GgmlType::F32, "shape"),
        ("a", &[4, 48], GgmlType::Q4_0, "no multiple of 32"),
    ] {
        let told = writer.tensor(name, shape, kind).expect_err(word).to_string();
        assert!(told.contains(word), "wanted `{word}` in: {told}");
    }
}
