//! Hostile safetensors files.

use super::Case;

fn file(json: &[u8], data: usize) -> Vec<u8> {
    with_length(json.len() as u64, json, data)
}

fn with_length(length: u64, json: &[u8], data: usize) -> Vec<u8> {
    [&length.to_le_bytes()[..], json, &vec![0; data]].concat()
}

fn entry(name: &str, dtype: &str, shape: &str, from: &str, to: &str) -> String {
    format!(r#""{name}":{{"dtype":"{dtype}","shape":{shape},"data_offsets":[{from},{to}]}}"#)
}

const GOOD: &str = r#"{"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]},"b":{"dtype":"BF16","shape":[4],"data_offsets":[16,24]}}"#;

/// A file with which nothing is wrong.
pub fn good() -> Vec<u8> {
    file(GOOD.as_bytes(), 24)
}

/// The good file cut at every byte.
pub fn truncations() -> Vec<Case> {
    let good = good();
    (0..good.len()).map(|len| Case::new(format!("cut at {len}"), good[..len].to_vec())).collect()
}

/// All cases but truncations.
pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    let mut raw = |name: &str, bytes: Vec<u8>| cases.push(Case::new(name, bytes));
    let good = GOOD.as_bytes();
    for n in [
        0,
        1,
        7,
        good.len() as u64 - 1,
        good.len() as u64 + 1,
        1 << 24,
        100_000_000,
        100_000_001,
        1 << 32,
        1 << 63,
        u64::MAX - 7,
        u64::MAX,
    ] {
        raw(&format!("a header of {n} bytes"), with_length(n, good, 24));
    }
    for extra in [1, 8, 4096] {
        raw(&format!("{extra} bytes at the end"), file(good, 24 + extra));
    }
    for json in [
        "",
        " ",
        "null",
        "1",
        "\"a\"",
        "[]",
        "[{}]",
        "{",
        "}",
        "{}{}",
        "{} {}",
        "{}x",
        "{'a':1}",
        "{\"a\"}",
        "{\"a\":}",
        "{,}",
        "\u{FEFF}{}",
        " {}",
        "\n{}",
        r#"{"a":null}"#,
        r#"{"a":[]}"#,
        r#"{"a":{}}"#,
        r#"{"a":"F32"}"#,
        r#"{"__metadata__":[]}"#,
        r#"{"__metadata__":1}"#,
        r#"{"__metadata__":{"a":1}}"#,
        r#"{"__metadata__":{"a":{"b":"c"}}}"#,
        r#"{"__metadata__":{"a":"b","a":"c"}}"#,
        r#"{"__metadata__":{},"__metadata__":{}}"#,
        r#"{"a":NaN}"#,
        "{\"a\u{0}\":1}",
        "{\"\\ud800\":1}",
    ] {
        raw(&format!("the header {json:?}"), file(json.as_bytes(), 0));
    }
    raw("a header that is no UTF-8", file(b"{\"\xFF\":1}", 0));
    raw("a header of zeros", file(&[0; 64], 0));
    for depth in [200, 100_000, 1 << 20] {
        raw(&format!("{depth} brackets"), file(format!("{{\"a\":{}", "[".repeat(depth)).as_bytes(), 0));
        raw(&format!("{depth} objects"), file("{\"a\":".repeat(depth).as_bytes(), 0));
    }
    let mut one =
        |name: &str, entries: &str| cases.push(Case::new(name, file(format!("{{{entries}}}").as_bytes(), 16)));
    for dtype in ["F33", "f32", "", "F32 ", "FLOAT32", "I4", "Q4_0", "\\u0000", "object"] {
        one(&format!("type {dtype:?}"), &entry("a", dtype, "[4]", "0", "16"));
    }
    let shapes = [
        "[3]",
        "[5]",
        "[-4]",
        "[4.0]",
        "[1e1]",
        "[\"4\"]",
        "[null]",
        "[[4]]",
        "4",
        "null",
        "{}",
        "[18446744073709551615]",
        "[18446744073709551616]",
        "[4294967296,4294967296]",
        "[4611686018427387904,4]",
        "[0]",
        "[0,18446744073709551615]",
        "[1,1,1,1,1,1,1,1,4]",
        "[9223372036854775808,2]",
    ];
    for shape in shapes {
        one(&format!("shape {shape}"), &entry("a", "F32", shape, "0", "16"));
    }
    let offsets = [
        ("16", "0"),
        ("1", "17"),
        ("0", "17"),
        ("0", "15"),
        ("-1", "15"),
        ("0", "16.0"),
        ("0", "18446744073709551615"),
        ("18446744073709551600", "18446744073709551615"),
        ("9223372036854775808", "9223372036854775824"),
        ("null", "16"),
        ("\"0\"", "16"),
        ("0", "16,32"),
        ("[0]", "16"),
    ];
    for (from, to) in offsets {
        one(&format!("offsets {from} to {to}"), &entry("a", "F32", "[4]", from, to));
    }
    let pair = |a: String, b: String| format!("{a},{b}");
    one("a name twice", &pair(entry("a", "F32", "[2]", "0", "8"), entry("a", "F32", "[2]", "8", "16")));
    one("a name twice, the same", &pair(entry("a", "F32", "[4]", "0", "16"), entry("a", "F32", "[4]", "0", "16")));
    one(
        "a name twice, spelt in two ways",
        &pair(entry("a", "F32", "[4]", "0", "16"), entry("\\u0061", "F32", "[0]", "16", "16")),
    );
    one("one inside another", &pair(entry("a", "F32", "[4]", "0", "16"), entry("b", "F32", "[1]", "4", "8")));
    one("two on one place", &pair(entry("a", "F32", "[4]", "0", "16"), entry("b", "F32", "[4]", "0", "16")));
    one("a gap", &pair(entry("a", "F32", "[1]", "0", "4"), entry("b", "F32", "[2]", "8", "16")));
    one("a gap at the start", &entry("a", "F32", "[3]", "4", "16"));
    one("a gap at the end", &entry("a", "F32", "[3]", "0", "12"));
    one("an unknown field", r#""a":{"dtype":"F32","shape":[4],"data_offsets":[0,16],"code":"x"}"#);
    one("a field twice", r#""a":{"dtype":"F32","dtype":"F32","shape":[4],"data_offsets":[0,16]}"#);
    one("a field missing", r#""a":{"dtype":"F32","data_offsets":[0,16]}"#);
    one("half a byte", &entry("a", "F4", "[31]", "0", "16"));
    for name in ["", "\\u001b[31m", "a\\nb", "\\u0000", "\\u009b"] {
        one(&format!("the name {name:?}"), &entry(name, "F32", "[4]", "0", "16"));
    }
    one("a name of 300 bytes", &entry(&"x".repeat(300), "F32", "[4]", "0", "16"));
    cases.extend(amplifiers());
    cases
}

/// Headers that would like to be large in memory.
fn amplifiers() -> Vec<Case> {
    let many = |n: usize, item: &dyn Fn(usize) -> String| (0..n).map(item).collect::<Vec<_>>().join(",");
    let tensors = many(140_000, &|n| entry(&n.to_string(), "U8", "[0]", "0", "0"));
    let texts = many(1_000_000, &|n| format!("\"{n}\":\"\""));
    let shape = many(4_000_000, &|_| "1".to_owned());
    let faults = many(120_000, &|n| format!("\"{n}\":1"));
    vec![
        Case::new("140,000 tensors", file(format!("{{{tensors}}}").as_bytes(), 0)),
        Case::new("a million texts", file(format!("{{\"__metadata__\":{{{texts}}}}}").as_bytes(), 0)),
        Case::new(
            "four million dimensions",
            file(format!("{{{}}}", entry("a", "F32", &format!("[{shape}]"), "0", "4")).as_bytes(), 4),
        ),
        Case::new("120,000 faults", file(format!("{{{faults}}}").as_bytes(), 0)),
        Case::new("16 MiB of name", file(format!("{{\"{}\":1}}", "x".repeat((16 << 20) - 10)).as_bytes(), 0)),
        Case::new("17 MiB of spaces", file(format!("{{{}}}", " ".repeat(17 << 20)).as_bytes(), 0)),
    ]
}
