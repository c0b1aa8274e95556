//! The pickle scanner: steps through anything, and never calls safe what it could not follow.

#![no_main]

use libfuzzer_sys::fuzz_target;
use osai::engine::inspect::pickle::{Judgement, scan};

fuzz_target!(|bytes: &[u8]| {
    let found = scan(bytes, 0);
    if found.judgement == Judgement::Safe {
        assert!(found.pickles > 0 && found.faults.is_empty());
        assert!(found.imports.iter().all(|import| import.judgement == Judgement::Safe));
        assert!(found.calls.iter().all(|call| call.target.is_some()));
    }
    assert!(found.bytes <= bytes.len() as u64);
});
