//! A safetensors header: what we accept, the `safetensors` crate accepts with the same tensors at the same places.

#![no_main]

use libfuzzer_sys::fuzz_target;
use osai::engine::safetensors::Header;

fuzz_target!(|bytes: &[u8]| {
    let header = Header::read(bytes);
    if !header.faults.is_empty() {
        return;
    }
    let theirs = safetensors::SafeTensors::deserialize(bytes).expect("stricter than the crate");
    assert_eq!(theirs.len(), header.tensors.len());
    for ours in &header.tensors {
        let view = theirs.tensor(&ours.name).expect("a tensor of both");
        assert_eq!(view.shape(), ours.shape);
        assert_eq!(view.data(), &bytes[ours.bytes.clone()]);
    }
});
