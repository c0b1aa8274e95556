//! Files of any kind: zip, NumPy, ONNX and the rest, told apart by their first bytes.

#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use osai::engine::inspect::{Wanted, inspect_bytes};

fuzz_target!(|bytes: &[u8]| {
    let report = inspect_bytes(bytes, Path::new("m.bin"), &Wanted { all: true, context: Some(4096) });
    assert!(!report.sentence().is_empty());
});
