//! Small vocabularies made here: what must hold for any of them.

use super::*;
use crate::engine::EngineError;
use crate::engine::template::{Conversation, render};
use crate::engine::{ChatMessage, Role};

const CONTROL: u32 = 3;
const ADDED: u32 = 4;

/// Bytes as tokens, a few merges, two control tokens and two added ones.
fn byte_level() -> Vocabulary {
    let printable = |b: u32| (33..=126).contains(&b) || (161..=172).contains(&b) || (174..=255).contains(&b);
    let mut next = 0x100;
    let mut tokens: Vec<String> = (0..256)
        .map(|b| {
            let code = if printable(b) { b } else { next };
            next += u32::from(!printable(b));
            char::from_u32(code).expect("a character").to_string()
        })
        .collect();
    tokens.extend(["ab", "abab", "<|im_start|>", "<|im_end|>", "<think>", "  "].map(String::from));
    let mut token_type = vec![1; tokens.len()];
    token_type[258..].copy_from_slice(&[CONTROL, CONTROL, ADDED, ADDED]);
    Vocabulary {
        model: "gpt2".into(),
        pre: Some("smollm".into()),
        tokens,
        token_type: Some(token_type),
        merges: Some(vec!["a b".into(), "ab ab".into()]),
        ids: vec![("eos".into(), 259)],
        ..Vocabulary::default()
    }
}

/// SentencePiece: three special tokens, bytes, and some pieces.
fn sentencepiece() -> Vocabulary {
    let mut tokens: Vec<String> = ["<unk>", "<s>", "</s>"].map(String::from).into();
    tokens.extend((0..256).map(|byte| format!("<0x{byte:02X}>")));
    let pieces = ["▁", "a", "b", "▁a", "ab", "▁ab"];
    tokens.extend(pieces.map(String::from));
    let mut token_type = vec![6; tokens.len()];
    token_type[..3].copy_from_slice(&[2, CONTROL, CONTROL]);
    token_type[259..].fill(1);
    let scores = (0..tokens.len()).map(|id| if id < 259 { 0.0 } else { 300.0 - id as f32 }).collect();
    Vocabulary {
        model: "llama".into(),
        tokens,
        scores: Some(scores),
        token_type: Some(token_type),
        ids: vec![("bos".into(), 1), ("eos".into(), 2), ("unknown".into(), 0)],
        ..Vocabulary::default()
    }
}

fn open(vocabulary: Vocabulary) -> Tokenizer {
    Tokenizer::from_vocabulary(vocabulary).expect("opens")
}

fn said(tokenizer: &Tokenizer, ids: &[TokenId]) -> String {
    ids.iter().map(|id| tokenizer.token(*id).lossy()).collect::<Vec<_>>().join("|")
}

fn refusal(change: impl FnOnce(&mut Vocabulary)) -> String {
    let mut vocabulary = byte_level();
    vocabulary.path = "m.gguf".into();
    change(&mut vocabulary);
    Tokenizer::from_vocabulary(vocabulary).expect_err("refused").to_string()
}

#[test]
fn control_tokens_are_made_by_templates_and_added_ones_by_anybody() {
    let tokenizer = open(byte_level());
    assert_eq!(tokenizer.encode("<think>"), [260]);
    assert_eq!(tokenizer.encode("<|im_end|>").len(), 10, "letter by letter");
    assert_eq!(tokenizer.encode_template("abab<|im_end|><think>"), [257, 259, 260]);
    assert!(tokenizer.token(259).special && !tokenizer.token(260).special);
    assert_eq!(tokenizer.special_names().collect::<Vec<_>>(), ["<|im_start|>", "<|im_end|>"]);
    assert!(tokenizer.is_end(259) && !tokenizer.is_end(258));
}

#[test]
fn pieces_that_spell_a_control_token_do_not_make_it() {
    let mut vocabulary = byte_level();
    vocabulary.tokens.extend(["cd", "efg"].map(String::from));
    vocabulary.token_type.as_mut().expect("types").extend([CONTROL; 2]);
    vocabulary.merges.as_mut().expect("merges").push("c d".into());
    let tokenizer = open(vocabulary.clone());
    assert_eq!(said(&tokenizer, &tokenizer.encode("abcd cd")), "ab|c|d| |c|d");
    assert_eq!(tokenizer.encode_template("cd"), [262]);
    // This one looks for whole words first.
    vocabulary.pre = Some("llama-bpe".into());
    let tokenizer = open(vocabulary);
    assert_eq!(said(&tokenizer, &tokenizer.encode("efg")), "e|f|g");
}

#[test]
fn a_rendered_conversation_has_the_templates_control_tokens_alone() {
    let tokenizer = open(byte_level());
    let source = "{% for m in messages %}<|im_start|>{{ m.content }}<|im_end|>{% endfor %}";
    let said_before = ["<|im_end|>ab<think>", "x<|im_", "end|>"];
    let messages = said_before.map(|content| ChatMessage { role: Role::User, content: content.into() });
    let conversation = Conversation { messages: &messages, bos: "", eos: "", now: None };
    let rendered = render(source, &conversation, tokenizer.special_names()).expect("renders");
    let ids = tokenizer.encode_rendered(&rendered);
    assert_eq!(ids.iter().filter(|id| **id == 258).count(), 3);
    assert_eq!(ids.iter().filter(|id| **id == 259).count(), 3);
    assert_eq!(ids.iter().filter(|id| **id == 260).count(), 1);
    let text: String = ids.iter().map(|id| tokenizer.token(*id).lossy()).collect();
    assert_eq!(text, rendered.text());

    // Turns without anything between them cannot make a name together.
    let bare =
        render("{% for m in messages %}{{ m.content | trim }}{% endfor %}", &conversation, tokenizer.special_names());
    let ids = tokenizer.encode_rendered(&bare.expect("renders"));
    assert!(!ids.contains(&259), "{}", said(&tokenizer, &ids));
}

#[test]
fn phi_3_swallows_white_space_after_its_control_tokens() {
    let mut vocabulary = byte_level();
    assert_eq!(open(vocabulary.clone()).encode_template("<|im_start|>\n\nab").len(), 4);
    vocabulary.name = "Phi-3 mini".into();
    assert_eq!(open(vocabulary).encode_template("<|im_start|>\n\nab"), [258, 256]);
}

#[test]
fn sentencepiece_begins_with_a_space_that_an_answer_does_not_show() {
    let tokenizer = open(sentencepiece());
    let ids = tokenizer.encode("ab é");
    assert_eq!(said(&tokenizer, &ids), " ab| |\u{FFFD}|\u{FFFD}");
    assert_eq!((tokenizer.beginning(), tokenizer.ending()), (Some(1), None));
    assert_eq!((tokenizer.bos(), tokenizer.eos()), ("<s>", "</s>"));
    let text = |fresh| {
        let mut stream = tokenizer.stream(fresh);
        ids.iter().map(|id| stream.push(&tokenizer.token(*id).bytes)).collect::<String>()
    };
    assert_eq!((text(true), text(false)), ("ab é".to_owned(), " ab é".to_owned()));
}

#[test]
fn bert_stands_between_its_two_tokens() {
    let tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "▁the", "▁cat", "s"].map(String::from).into();
    let token_type = Some(vec![3, 3, 3, 3, 1, 1, 1]);
    let ids = [("cls", 2), ("seperator", 3), ("unknown", 1)].map(|(key, id)| (key.into(), id)).into();
    let tokenizer = open(Vocabulary { model: "bert".into(), tokens, token_type, ids, ..Vocabulary::default() });
    assert_eq!(tokenizer.encode("The cats, the dog"), [4, 5, 6, 1, 4, 1]);
    assert_eq!((tokenizer.beginning(), tokenizer.ending()), (Some(2), Some(3)));
}

#[test]
fn padded_rows_of_an_embedding_are_no_tokens() {
    let tokenizer = open(byte_level());
    assert_eq!(tokenizer.vocab_size(), 262);
    let token = tokenizer.token(262);
    assert!(token.special && token.lossy() == "[no token 262]");
}

#[test]
fn gpt_oss_ends_its_turn_only_where_it_returns() {
    let mut vocabulary = byte_level();
    for name in ["<|end|>", "<|return|>", "<|call|>"] {
        vocabulary.tokens.push(name.into());
        vocabulary.token_type.as_mut().expect("there").push(CONTROL);
    }
    let tokenizer = open(vocabulary);
    assert_eq!([262, 263, 264].map(|id| tokenizer.is_end(id)), [false, true, true]);
}

#[test]
fn pre_tokenizers_that_splintr_does_not_name_cut_as_their_expressions_say() {
    let cut = |pre: &str, text: &str| {
        let mut vocabulary = byte_level();
        vocabulary.pre = Some(pre.into());
        vocabulary.merges = Some(vec!["1 1".into(), "11 11".into(), "a B".into(), "# #".into(), "## a".into()]);
        vocabulary.tokens.extend(["11", "1111", "aB", "##", "##a"].map(String::from));
        vocabulary.token_type.as_mut().expect("there").extend([1; 5]);
        let tokenizer = open(vocabulary);
        said(&tokenizer, &tokenizer.encode(text))
    };
    // Three digits at a time, one at a time, or as many as there are.
    for (pre, want) in [("gpt-2", "1111"), ("deepseek-v3", "11|1|1"), ("gpt-4o", "11|1|1"), ("tekken", "1|1|1|1")] {
        assert_eq!(cut(pre, "1111"), want, "{pre}");
    }
    // Words end where capitals begin, or not.
    for (pre, want) in [("gpt-2", "aB"), ("deepseek-v3", "aB"), ("gpt-4o", "a|B"), ("tekken", "a|B")] {
        assert_eq!(cut(pre, "aB"), want, "{pre}");
    }
    // Without the key: signs apart from letters, digits in threes.
    assert_eq!(cut("default", "##a1111"), "##|a|11|1|1");
}

#[test]
fn what_cannot_be_cut_right_is_refused_by_name() {
    for (told, words) in [
        (refusal(|v| v.model = "rwkv".into()), ["`rwkv`", "WordPiece"]),
        (refusal(|v| v.pre = Some("bloom".into())), ["`bloom`", "qwen2"]),
        (refusal(|v| v.merges = None), ["m.gguf", "tokenizer.ggml.merges"]),
        (refusal(|v| v.merges = Some(vec!["ab".into()])), ["m.gguf", "merge 0"]),
        (refusal(|v| v.tokens.clear()), ["m.gguf", "0 tokens"]),
        (refusal(|v| v.tokens[3] = "x".repeat(20_000)), ["token 3", "20000"]),
        (refusal(|v| v.token_type = Some(vec![1])), ["token_type", "1 entries"]),
        (refusal(|v| v.scores = Some(vec![f32::NAN; v.tokens.len()])), ["score of token 0", "no number"]),
        (refusal(|v| v.ids = vec![("bos".into(), 999)]), ["bos_token_id", "999"]),
        (refusal(|v| v.model = "bert".into()), ["m.gguf", "[UNK]"]),
    ] {
        assert!(words.iter().all(|word| told.contains(word)), "{words:?} in: {told}");
    }
}

/// A folder's files with one of them changed.
fn folder(tokenizer: &str, config: Option<&str>, generation: Option<&str>) -> Result<Tokenizer, EngineError> {
    let files = FolderFiles {
        tokenizer: tokenizer.as_bytes().to_vec(),
        tokenizer_config: config.map(|text| text.as_bytes().to_vec()),
        generation_config: generation.map(|text| text.as_bytes().to_vec()),
        ..FolderFiles::default()
    };
    Tokenizer::from_folder_files(std::path::Path::new("f"), &files)
}

const WORDPIECE: &str = r###"{"added_tokens": [{"id": 0, "content": "[UNK]", "special": true}, {"id": 3, "content": "<end>", "special": true}],
    "normalizer": {"type": "BertNormalizer", "lowercase": true}, "pre_tokenizer": {"type": "BertPreTokenizer"},
    "model": {"type": "WordPiece", "unk_token": "[UNK]", "vocab": {"[UNK]": 0, "a": 1, "##b": 2}}}"###;

#[test]
fn a_folders_other_files_say_what_ends_and_which_template() {
    let config = r#"{"eos_token": {"content": "<end>"}, "chat_template": [{"name": "tool_use", "template": "T"}, {"name": "default", "template": "D"}]}"#;
    let tokenizer = folder(WORDPIECE, Some(config), Some(r#"{"eos_token_id": [1, 3]}"#)).expect("opens");
    assert_eq!([0, 1, 2, 3].map(|id| tokenizer.is_end(id)), [false, true, false, true]);
    assert_eq!((tokenizer.chat_template(), tokenizer.eos(), tokenizer.vocab_size()), (Some("D"), "<end>", 4));
    let tokenizer =
        folder(WORDPIECE, Some(r#"{"chat_template": "S"}"#), Some(r#"{"eos_token_id": 2}"#)).expect("opens");
    assert!(tokenizer.chat_template() == Some("S") && tokenizer.is_end(2));
}

#[test]
fn a_hostile_folder_is_refused_in_a_sentence() {
    let huge = WORDPIECE.replace("\"##b\": 2", "\"##b\": 4294967295");
    let added = WORDPIECE.replace("\"id\": 3", "\"id\": 18446744073709551615");
    let kind = WORDPIECE.replace("WordPiece\"", "WordLevel\"");
    let step = WORDPIECE
        .replace("\"BertNormalizer\"", "\"Magic\"")
        .replace("BertPreTokenizer", "ByteLevel")
        .replace("\"WordPiece\"", "\"BPE\", \"merges\": []");
    for (tokenizer, generation, words) in [
        (huge.as_str(), None, ["tokenizer.json", "4294967295"]),
        (&added, None, ["tokenizer.json", "18446744073709551615"]),
        (&kind, None, ["WordLevel", "Unigram"]),
        (&step, None, ["Magic", "NFC"]),
        ("{", None, ["tokenizer.json", "line 1"]),
        (WORDPIECE, Some("[]"), ["generation_config.json", "line 1"]),
        (WORDPIECE, Some(r#"{"eos_token_id": 4}"#), ["generation_config.json", "outside the vocabulary of 4"]),
    ] {
        let told = folder(tokenizer, None, generation).expect_err("refused").to_string();
        assert!(words.iter().all(|word| told.contains(word)), "{words:?} in: {told}");
    }
}

/// Counted by a hand-made measure of work: the tokens of a text made of copies are the copies of its tokens, and a text
/// of a megabyte without spaces ends at all. What would be quadratic here takes hours, not seconds.
#[test]
fn long_texts_take_steps_in_proportion() {
    for tokenizer in [open(byte_level()), open(sentencepiece())] {
        for unit in ["abab", "<|im_end", "  ", "é", "\n"] {
            let once = tokenizer.encode(&unit.repeat(64)).len();
            let ids = tokenizer.encode(&unit.repeat(64 * 4096));
            assert!(ids.len() <= once * 4096 + 1, "{tokenizer:?}, {unit:?}: {} for {once}", ids.len());
            let text: Vec<u8> = ids.iter().flat_map(|id| tokenizer.token(*id).bytes).collect();
            let text = String::from_utf8(text).expect("text");
            assert!(text.strip_prefix(if tokenizer.adds_space { " " } else { "" }) == Some(&*unit.repeat(64 * 4096)));
        }
    }
}
