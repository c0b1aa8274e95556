//! Tokenizers of every kind in `tokenizer.json` against Hugging Face's own library.
//!
//! The facts are in `tests/reference/tokenizers.json`, made by `tests/tools/tokenizer_reference.py`: small vocabularies
//! trained on osai's lessons, with the tokens that the library cuts of texts that are hard to cut.

use std::path::Path;

use osai::engine::{FolderFiles, TokenId, Tokenizer};
use serde::Deserialize;

#[derive(Deserialize)]
struct Facts {
    maker: String,
    kinds: Vec<Kind>,
}

#[derive(Deserialize)]
struct Kind {
    name: String,
    tokenizer: serde_json::Value,
    tokenizer_config: serde_json::Value,
    around: Vec<TokenId>,
    texts: Vec<Text>,
}

#[derive(Deserialize)]
struct Text {
    text: String,
    ids: Vec<TokenId>,
    decoded: String,
}

fn facts() -> Facts {
    serde_json::from_str(include_str!("reference/tokenizers.json")).expect("the facts are JSON")
}

fn files(kind: &Kind) -> FolderFiles {
    FolderFiles {
        tokenizer: kind.tokenizer.to_string().into_bytes(),
        tokenizer_config: Some(kind.tokenizer_config.to_string().into_bytes()),
        ..FolderFiles::default()
    }
}

fn open(kind: &Kind) -> Tokenizer {
    Tokenizer::from_folder_files(Path::new("folder"), &files(kind)).expect("opens")
}

#[test]
fn every_kind_is_cut_as_hugging_face_cuts_it() {
    let facts = facts();
    assert_eq!(facts.kinds.len(), 6);
    for kind in &facts.kinds {
        let tokenizer = open(kind);
        for fact in &kind.texts {
            assert_eq!(tokenizer.encode(&fact.text), fact.ids, "{}, {:?} by {}", kind.name, fact.text, facts.maker);
        }
    }
}

#[test]
fn what_stands_around_a_text_is_there() {
    for kind in &facts().kinds {
        let tokenizer = open(kind);
        let mut ids: Vec<TokenId> = tokenizer.beginning().into_iter().collect();
        ids.extend(tokenizer.encode("a"));
        ids.extend(tokenizer.ending());
        assert_eq!(ids, kind.around, "{}", kind.name);
    }
}

#[test]
fn a_stream_gives_the_text_that_hugging_face_decodes() {
    // WordPiece forgets spaces; its decoder guesses them from whole texts.
    for kind in facts().kinds.iter().filter(|kind| kind.name != "wordpiece") {
        let tokenizer = open(kind);
        for fact in &kind.texts {
            let mut stream = tokenizer.stream(true);
            let tokens = fact.ids.iter().map(|id| tokenizer.token(*id)).filter(|token| !token.special);
            let mut text: String = tokens.map(|token| stream.push(&token.bytes)).collect();
            text += &stream.finish();
            assert_eq!(text, fact.decoded, "{}, {:?}", kind.name, fact.text);
        }
    }
}
