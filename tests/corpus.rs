//! The corpus's vocabulary in the engine's hands: both must cut every text into the same tokens.

use std::path::{Path, PathBuf};

use osai::corpus::{Bpe, CHAT_TEMPLATE, Document, Kind, Recipe, Split, bpe::SPECIAL};
use osai::engine::gguf::Gguf;
use osai::engine::gguf::write::Writer;
use osai::engine::{ChatMessage, Conversation, FolderFiles, Role, Tokenizer, Vocabulary, render_chat};

fn recipe() -> Recipe {
    Recipe::parse(include_str!("../model/recipe.toml")).expect("the shipped recipe is sound")
}

/// A thousand documents of all kinds, and texts that no generator writes.
fn texts(seed: u64) -> Vec<String> {
    let of = |kind: Kind| (0..35).map(move |number| kind.document(seed, Split::Held, number));
    let mut texts: Vec<String> = Kind::ALL.into_iter().flat_map(of).map(|document: Document| document.text()).collect();
    assert!(texts.len() >= 1_000, "{}", texts.len());
    for odd in [
        "",
        " ",
        "  \n\n x",
        "a\t\tb 12  3\r\n",
        "naïve café 3½ №9 'tis we'll I'D",
        "\u{928}\u{92e}\u{938}\u{94d}\u{924}\u{947} \u{1f600}!?",
        "x\u{a0}y\u{2009} z",
    ] {
        texts.push(odd.into());
    }
    texts
}

fn assert_same(bpe: &Bpe, tokenizer: &Tokenizer, seed: u64) {
    for text in texts(seed) {
        assert_eq!(tokenizer.encode_template(&text), bpe.encode(&text), "{text:?}");
    }
}

fn vocabulary(bpe: &Bpe) -> Vocabulary {
    Vocabulary {
        path: PathBuf::from("osai-tiny"),
        model: "gpt2".into(),
        pre: Some("smollm".into()),
        tokens: bpe.token_list(),
        merges: Some(bpe.merge_list()),
        token_type: Some(bpe.token_types().into_iter().map(|kind| kind as u32).collect()),
        ids: vec![("bos".into(), 1), ("eos".into(), 2)],
        chat_template: Some(CHAT_TEMPLATE.into()),
        ..Vocabulary::default()
    }
}

#[test]
fn the_engine_cuts_a_thousand_texts_as_the_trainer_does() {
    let recipe = recipe();
    let bpe = recipe.vocabulary();
    let tokenizer = Tokenizer::from_vocabulary(vocabulary(&bpe)).expect("a vocabulary");
    assert_same(&bpe, &tokenizer, recipe.seed);
    assert!(tokenizer.is_end(0) && tokenizer.is_end(2) && !tokenizer.is_end(1));
    assert_eq!(tokenizer.special_names().count(), SPECIAL.len());
}

#[test]
fn a_gguf_file_and_a_hugging_face_folder_hold_the_same_vocabulary() {
    let recipe = recipe();
    let bpe = recipe.vocabulary();
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("vocabulary.gguf");
    let mut writer = Writer::new();
    writer.set("general.architecture", "llama");
    writer.set("tokenizer.ggml.model", "gpt2");
    writer.set("tokenizer.ggml.pre", "smollm");
    writer.set("tokenizer.ggml.tokens", bpe.token_list().as_slice());
    writer.set("tokenizer.ggml.token_type", bpe.token_types().as_slice());
    writer.set("tokenizer.ggml.merges", bpe.merge_list().as_slice());
    writer.set("tokenizer.ggml.bos_token_id", 1_u32);
    writer.set("tokenizer.ggml.eos_token_id", 2_u32);
    writer.create(&path).and_then(|output| output.finish()).expect("written");
    let file = Gguf::open(&path).expect("opens");
    assert_same(&bpe, &Tokenizer::from_gguf(&file).expect("a vocabulary"), 2);

    let files = FolderFiles {
        tokenizer: bpe.tokenizer_json().into_bytes(),
        tokenizer_config: Some(bpe.tokenizer_config_json().into_bytes()),
        ..FolderFiles::default()
    };
    let tokenizer = Tokenizer::from_folder_files(Path::new("folder"), &files).expect("a vocabulary");
    assert_same(&bpe, &tokenizer, 3);
    assert_eq!(tokenizer.chat_template(), Some(CHAT_TEMPLATE));
}

/// Osai puts a learner's words into the chat template; the corpus writes its conversations itself. Both must agree.
#[test]
fn the_chat_template_writes_what_the_corpus_writes() {
    let document = Kind::Tool.document(5, Split::Train, 0);
    let text = document.text();
    let mut messages = Vec::new();
    for turn in text.split("<|im_start|>").skip(1) {
        let (role, content) = turn.split_once('\n').expect("a role and its text");
        let role = match role {
            "system" => Role::System,
            "user" => Role::User,
            "assistant" => Role::Assistant,
            _ => continue,
        };
        let content = content.trim_end().trim_end_matches("<|im_end|>").trim().to_owned();
        messages.push(ChatMessage { role, content });
    }
    let asked = Conversation { messages: &messages[..2], bos: "<|im_start|>", eos: "<|im_end|>", now: None };
    let rendered = render_chat(CHAT_TEMPLATE, &asked, SPECIAL).expect("the template is sound");
    assert_eq!(rendered.text(), document.questions()[0].prompt);
}
