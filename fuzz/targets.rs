//! What must hold for any bytes. `fuzz_targets/` runs these under libFuzzer, `tests/fuzz_seeds.rs` with every test run.
//!
//! An input of several parts has the record separator `U+001E` between them.

use std::fs;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use osai::engine::gguf::{Gguf, Header, Value};
use osai::engine::grammar::{self, Constraint, Grammar};
use osai::engine::inspect::pickle::{Judgement, scan};
use osai::engine::inspect::{Wanted, inspect_bytes};
use osai::engine::{
    ChatMessage, Conversation, EngineError, FolderFiles, Role, TokenId, Tokenizer, Vocabulary, render_chat,
};

/// Between the parts of an input.
const BETWEEN: char = '\u{1E}';
/// llama.cpp's types of tokens.
const NORMAL: u32 = 1;
const CONTROL: u32 = 3;
const ADDED: u32 = 4;
const BYTE: u32 = 6;

/// A GGUF header: without faults, every range lies in the file and is as long as its shape says.
pub fn gguf(bytes: &[u8]) {
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
}

/// A safetensors header: what we accept, the `safetensors` crate accepts with the same tensors at the same places.
pub fn safetensors(bytes: &[u8]) {
    let header = osai::engine::safetensors::Header::read(bytes);
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
}

/// The pickle scanner: steps through anything, and never calls safe what it could not follow.
pub fn pickle(bytes: &[u8]) {
    let found = scan(bytes, 0);
    if found.judgement == Judgement::Safe {
        assert!(found.pickles > 0 && found.faults.is_empty());
        assert!(found.imports.iter().all(|import| import.judgement == Judgement::Safe));
        assert!(found.calls.iter().all(|call| call.target.is_some()));
    }
    assert!(found.bytes <= bytes.len() as u64);
}

/// Files of any kind: zip, NumPy, ONNX and the rest, told apart by their first bytes.
pub fn inspect(bytes: &[u8]) {
    let report = inspect_bytes(bytes, Path::new("m.bin"), &Wanted { all: true, context: Some(4096) });
    assert!(!report.sentence().is_empty());
}

/// A tokenizer from a GGUF file, from a folder's files (an input that begins with `{`) or from plain words: built or
/// refused; what it cuts are tokens that it has, and of bytes it loses none.
///
/// Files: `tokenizer.json`, `tokenizer_config.json`, `generation_config.json`, the chat template, a text. Words: kind
/// and pre-tokenizer; tokens, one a line, `!` before a control token and `+` before an added one; merges; a text.
pub fn tokenizer(bytes: &[u8]) {
    if bytes.starts_with(b"GGUF") {
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        fs::write(file.path(), bytes).expect("written");
        let Ok(gguf) = Gguf::open(file.path()) else { return };
        let Some(tokenizer) = built(Tokenizer::from_gguf(&gguf)) else { return };
        for text in ["", "Hello, world", "naïve 日本語 👩\u{200d}🔬 \u{0}", "   \n\t  12345"] {
            cut(&tokenizer, text);
        }
        return;
    }
    let Ok(input) = str::from_utf8(bytes) else { return };
    let mut parts = input.split(BETWEEN);
    let mut part = || parts.next().unwrap_or_default();
    if input.starts_with('{') {
        let file = |text: &str| Some(text.as_bytes().to_vec()).filter(|bytes| !bytes.is_empty());
        let files = FolderFiles {
            tokenizer: part().into(),
            tokenizer_config: file(part()),
            generation_config: file(part()),
            chat_template: file(part()),
            config: None,
        };
        let made = Tokenizer::from_folder_files(Path::new("folder"), &files);
        if let Some(tokenizer) = built(made) {
            cut(&tokenizer, part());
        }
        return;
    }
    let (kind, lines, merges, text) = (part(), part(), part(), part());
    let (model, pre) = kind.trim().split_once(' ').unwrap_or((kind.trim(), ""));
    let mut vocabulary = match model {
        "gpt2" => byte_level(),
        "llama" => byte_pieces(),
        _ => Vocabulary::default(),
    };
    let known = vocabulary.tokens.len();
    let mut types = vocabulary.token_type.take().unwrap_or_default();
    for line in lines.lines().filter(|line| !line.is_empty()) {
        let (kind, name) = match (line.strip_prefix('!'), line.strip_prefix('+')) {
            (Some(name), _) => (CONTROL, name),
            (_, Some(name)) => (ADDED, name),
            _ => (NORMAL, line),
        };
        vocabulary.tokens.push(name.into());
        types.push(kind);
    }
    let is_plain = types[known..].iter().all(|kind| *kind == NORMAL);
    if model != "gpt2" {
        let score = |id: usize| if id < known { 0.0 } else { -(id as f32) };
        vocabulary.scores = Some((0..types.len()).map(score).collect());
    }
    vocabulary.token_type = Some(types.clone());
    vocabulary.model = model.into();
    vocabulary.pre = Some(pre.to_owned()).filter(|pre| !pre.is_empty());
    vocabulary.merges = Some(merges.lines().map(str::to_owned).collect());
    (vocabulary.add_space_prefix, vocabulary.remove_extra_whitespaces) = (Some(false), Some(false));
    let is_control: Vec<bool> = types.iter().map(|kind| *kind == CONTROL).collect();
    let Some(tokenizer) = built(Tokenizer::from_vocabulary(vocabulary)) else { return };
    let typed = tokenizer.encode(text);
    assert!(typed.iter().all(|id| !is_control[*id as usize]), "a control token out of {text:?}: {typed:?}");
    let said = cut(&tokenizer, text);
    if is_plain && known > 0 && (model == "gpt2" || !text.contains('▁')) {
        assert_eq!(said, text.as_bytes());
    }
}

/// What became of a file that may be damaged; a refusal is no fault of the program's own.
fn built(made: Result<Tokenizer, EngineError>) -> Option<Tokenizer> {
    assert!(!matches!(made, Err(EngineError::Internal { .. })), "{made:?}");
    made.ok()
}

/// Cuts a text; the bytes of all its tokens.
fn cut(tokenizer: &Tokenizer, text: &str) -> Vec<u8> {
    for id in tokenizer.encode_template(text) {
        assert!((id as usize) < tokenizer.vocab_size());
    }
    let (mut bytes, mut shown) = (Vec::new(), String::new());
    let mut stream = tokenizer.stream(false);
    for id in tokenizer.encode(text) {
        assert!((id as usize) < tokenizer.vocab_size());
        let token = tokenizer.token(id);
        shown += &stream.push(&token.bytes);
        bytes.extend(token.bytes);
    }
    shown += &stream.finish();
    assert_eq!(shown, String::from_utf8_lossy(&bytes));
    bytes
}

/// Every byte as a token of byte-level BPE.
fn byte_level() -> Vocabulary {
    let printable = |b: u32| (33..=126).contains(&b) || (161..=172).contains(&b) || (174..=255).contains(&b);
    let mut next = 0x100;
    let letter = |b| {
        let code = if printable(b) { b } else { next };
        next += u32::from(!printable(b));
        char::from_u32(code).expect("a character").to_string()
    };
    Vocabulary { tokens: (0..256).map(letter).collect(), token_type: Some(vec![NORMAL; 256]), ..Vocabulary::default() }
}

/// Every byte as a piece of SentencePiece's, behind its three special tokens.
fn byte_pieces() -> Vocabulary {
    let mut tokens: Vec<String> = ["<unk>", "<s>", "</s>"].map(String::from).into();
    tokens.extend((0..256).map(|byte| format!("<0x{byte:02X}>")));
    let mut types = vec![BYTE; tokens.len()];
    types[..3].copy_from_slice(&[2, CONTROL, CONTROL]);
    let ids = [("bos", 1), ("eos", 2), ("unknown", 0)].map(|(name, id)| (name.to_owned(), id)).into();
    Vocabulary { tokens, token_type: Some(types), ids, ..Vocabulary::default() }
}

/// Names of control tokens, some so that parts of them overlap.
const NAMES: [&str; 6] = ["<|im_start|>", "<|im_end|>", "<s>", "</s>", "<a<a>", "[INST]"];
/// Templates that take turns as they are, with what they write themselves, and how often they write each name.
const TEMPLATES: [(&str, [usize; 2]); 3] = [
    ("{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}", [1, 1]),
    ("{% for m in messages %}{{ m.content | trim }}{% endfor %}", [0, 0]),
    ("{% for m in messages %}{{ m.content }}|im_end|>{{ m.content.strip() }}a>\n<|im_{% endfor %}", [0, 0]),
];

/// A chat template and a conversation: rendered or refused. A template that is the input's own may do with a turn what
/// it likes; ones that leave turns whole never make a control token of what was typed.
pub fn template(bytes: &[u8]) {
    let Ok(input) = str::from_utf8(bytes) else { return };
    let mut parts = input.split(BETWEEN);
    let source = parts.next().unwrap_or_default();
    let roles = [Role::System, Role::User, Role::Assistant].into_iter().cycle();
    let messages: Vec<ChatMessage> =
        parts.take(8).zip(roles).map(|(text, role)| ChatMessage { role, content: text.into() }).collect();
    let conversation = Conversation { messages: &messages, bos: "<s>", eos: "</s>", now: None };
    match render_chat(source, &conversation, NAMES) {
        Ok(rendered) => assert!(rendered.text().len() <= 1 << 20),
        Err(EngineError::Internal { what }) => panic!("{what}"),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
    static TOKENIZER: OnceLock<Tokenizer> = OnceLock::new();
    let tokenizer = TOKENIZER.get_or_init(|| {
        let mut vocabulary = byte_level();
        vocabulary.tokens.extend(NAMES.map(String::from));
        vocabulary.token_type = Some([vec![NORMAL; 256], vec![CONTROL; NAMES.len()]].concat());
        vocabulary.merges = Some(vec![]);
        (vocabulary.model, vocabulary.pre) = ("gpt2".into(), Some("smollm".into()));
        Tokenizer::from_vocabulary(vocabulary).expect("a sound vocabulary")
    });
    for (source, written) in TEMPLATES {
        let rendered = render_chat(source, &conversation, tokenizer.special_names()).expect("a sound template");
        let ids = tokenizer.encode_rendered(&rendered);
        for (at, name) in NAMES.iter().enumerate() {
            let is_name = |id: &&TokenId| **id as usize == 256 + at;
            let wanted = written.get(at).unwrap_or(&0) * messages.len();
            assert_eq!(ids.iter().filter(is_name).count(), wanted, "`{name}` in {rendered:?}");
        }
        let said: Vec<u8> = ids.iter().flat_map(|id| tokenizer.token(*id).bytes).collect();
        assert_eq!(said, rendered.text().as_bytes());
    }
}

/// A grammar, as GBNF and as JSON Schema, then which of the allowed tokens to go on with: what the mask allows can be
/// taken, and a text that may end is one of the grammar's.
pub fn grammar(bytes: &[u8]) {
    let Ok(input) = str::from_utf8(bytes) else { return };
    let (source, choices) = input.split_once(BETWEEN).unwrap_or((input, "0123456789"));
    for read in [Grammar::from_gbnf(source), Grammar::from_schema(source)] {
        match read {
            Ok(grammar) => follow(&grammar, choices.as_bytes()),
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
}

fn follow(grammar: &Grammar, choices: &[u8]) {
    let written = grammar.to_string();
    // Written with more brackets, it may nest deeper than is read.
    let again = match Grammar::from_gbnf(&written) {
        Ok(again) => again,
        Err(error) if error.what.contains("deep") || error.what.contains("longer") => return,
        Err(error) => panic!("{error} in {written}"),
    };

    let mut tokens: Vec<(Vec<u8>, bool)> = (0..=255).map(|byte| (vec![byte], false)).collect();
    tokens.extend(["ab", "{\"", "true", ", ", "é", "日本", "\\u00"].map(|text| (text.into(), false)));
    tokens.extend(["<|tool|>", "</s>"].map(|name| (name.into(), true)));
    let end = tokens.len() as TokenId - 1;
    let vocabulary = Arc::new(grammar::Vocabulary::new(tokens.iter().map(|(b, c)| (b, *c)), &[end]));
    let Ok(mut constraint) = Constraint::new(grammar, vocabulary) else { return };
    let mut text = Vec::new();
    // A terminal that stands for a token matches no text.
    let has_tokens = written.contains('<');
    for choice in choices.iter().take(24) {
        // Refused: too ambiguous, or nothing can go on.
        let Ok(mask) = constraint.mask() else { return };
        assert!(!mask.contains(end) || has_tokens || constraint.is_accepting());
        let allowed: Vec<TokenId> = (0..=end).filter(|id| mask.contains(*id)).collect();
        assert_eq!(allowed.len(), mask.count());
        let id = allowed[usize::from(*choice) % allowed.len()];
        if id == end {
            return;
        }
        let (bytes, is_control) = &tokens[id as usize];
        let Ok(taken) = constraint.accept(id, bytes, *is_control) else { return };
        assert!(taken, "allowed and refused: {id} after {:?}", String::from_utf8_lossy(&text));
        text.extend(bytes);
        if !has_tokens && let Ok(accepts) = grammar.accepts(&text) {
            assert_eq!(accepts, constraint.is_accepting(), "{:?}", String::from_utf8_lossy(&text));
            assert_eq!(again.accepts(&text).unwrap_or(accepts), accepts, "read again, of {written}");
        }
    }
}
