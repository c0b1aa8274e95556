//! A tokenizer from the metadata of a GGUF file: built or refused, and what it cuts it puts together again.

#![no_main]

use std::fs;

use libfuzzer_sys::fuzz_target;
use osai::engine::Tokenizer;
use osai::engine::gguf::Gguf;

fuzz_target!(|bytes: &[u8]| {
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    fs::write(file.path(), bytes).expect("written");
    let Ok(gguf) = Gguf::open(file.path()) else { return };
    let Ok(tokenizer) = Tokenizer::from_gguf(&gguf) else { return };
    for text in ["", "Hello, world", "naïve 日本語 👩\u{200d}🔬 \u{0}", "   \n\t  12345"] {
        for id in tokenizer.encode(text) {
            let _ = tokenizer.token(id);
        }
    }
});
