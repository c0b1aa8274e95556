//! How many chat templates osai renders to the byte as transformers does; `tests/tools/chat_templates.py` says how to run
//! it. `--show` prints the first difference of each case that differs.

use std::error::Error;
use std::path::Path;

use osai::engine::{ChatMessage, Conversation, render_chat};
use serde::Deserialize;

#[derive(Deserialize)]
struct Expected {
    now: String,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    template: String,
    conversation: String,
    messages: Vec<ChatMessage>,
    text: Option<String>,
    error: Option<String>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, expected, rest @ ..] = &arguments[..] else { return Err("usage: FOLDER EXPECTED.json [--show]".into()) };
    let expected: Expected = serde_json::from_slice(&std::fs::read(expected)?)?;
    let now = Some(expected.now.parse()?);
    let (mut same, mut refused, mut other) = (0, 0, vec![]);
    for case in &expected.cases {
        let source = std::fs::read_to_string(Path::new(folder).join(&case.template))?;
        let conversation = Conversation { messages: &case.messages, bos: "<s>", eos: "</s>", now };
        match (render_chat(&source, &conversation, []), &case.text) {
            (Ok(rendered), Some(text)) if rendered.text() == *text => same += 1,
            (Err(_), None) => refused += 1,
            (Err(why), Some(_)) => other.push(format!("{}, {}: {why}", case.template, case.conversation)),
            (Ok(rendered), text) => {
                let (ours, theirs) = (rendered.text(), text.as_deref().unwrap_or_default());
                let at = ours.bytes().zip(theirs.bytes()).take_while(|(a, b)| a == b).count();
                let near = |text: &str| text[text.floor_char_boundary(at.saturating_sub(30))..].chars().take(80).collect::<String>();
                let error = case.error.as_deref().unwrap_or_default();
                other.push(format!(
                    "{}, {}: {error}\n  osai         {:?}\n  transformers {:?}",
                    case.template,
                    case.conversation,
                    near(&ours),
                    near(theirs)
                ));
            }
        }
    }
    println!("{} cases: {same} the same text, {refused} refused by both, {} differ", expected.cases.len(), other.len());
    for case in other.iter().filter(|_| rest.contains(&"--show".into())) {
        println!("{case}");
    }
    Ok(())
}
