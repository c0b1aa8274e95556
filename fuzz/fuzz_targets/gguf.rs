//! A GGUF header: without faults, every range lies in the file and is as long as its shape says.

#![no_main]

use libfuzzer_sys::fuzz_target;
use osai::engine::gguf::{Header, Value};

fuzz_target!(|bytes: &[u8]| {
    let header = Header::read(bytes);
    if !header.faults.is_empty() {
        return;
    }
    let mut end = header.data_start;
    for tensor in &header.tensors {
        let dims: Vec<usize> = tensor.shape.iter().rev().copied().collect();
        assert!(tensor.bytes.start >= end && tensor.bytes.end <= bytes.len());
        assert_eq!(tensor.stored.bytes_of(&dims), Some(tensor.bytes.len()));
        end = tensor.bytes.end;
    }
    for pair in header.metadata.values() {
        if let Value::Array { bytes: range, .. } = &pair.value {
            assert!(bytes.get(range.clone()).is_some());
        }
    }
});
