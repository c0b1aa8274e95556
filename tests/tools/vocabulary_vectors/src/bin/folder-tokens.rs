//! Whether osai cuts the tokenizers of Hugging Face folders as the facts of `tests/tools/tokenizer_reference.py` say.

use std::error::Error;
use std::path::PathBuf;

use osai::engine::Tokenizer;
use serde::Deserialize;

#[derive(Deserialize)]
struct Facts {
    kinds: Vec<Kind>,
}

#[derive(Deserialize)]
struct Kind {
    folder: PathBuf,
    around: Vec<u32>,
    texts: Vec<Text>,
}

#[derive(Deserialize)]
struct Text {
    text: String,
    ids: Vec<u32>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let facts = std::env::args().nth(1).ok_or("usage: folder-tokens FACTS.json")?;
    let facts: Facts = serde_json::from_slice(&std::fs::read(facts)?)?;
    for kind in &facts.kinds {
        let tokenizer = Tokenizer::from_folder(&kind.folder)?;
        let wrong: Vec<_> = kind.texts.iter().filter(|fact| tokenizer.encode(&fact.text) != fact.ids).collect();
        println!("{}: {} of {}", kind.folder.display(), kind.texts.len() - wrong.len(), kind.texts.len());
        for fact in wrong {
            println!("  {:?}: {:?}, not {:?}", fact.text, tokenizer.encode(&fact.text), fact.ids);
        }
        let mut around: Vec<u32> = tokenizer.beginning().into_iter().chain(tokenizer.encode("a")).collect();
        around.extend(tokenizer.ending());
        println!("  around a text: {}", if around == kind.around { "the same" } else { "not the same" });
    }
    Ok(())
}
