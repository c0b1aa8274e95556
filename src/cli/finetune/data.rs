//! Conversations from a file, as documents of the model's own tokens.

use std::fs;
use std::path::Path;

use serde::Deserialize;

use super::fault;
use crate::cli::failure::{DATA, Failure, USAGE};
use crate::engine::train::Document;
use crate::engine::{ChatMessage, Model, Role};

/// What a line should be, for messages.
const FORM: &str =
    "a line is {\"messages\":[{\"role\":\"user\",\"content\":\"…\"},{\"role\":\"assistant\",\"content\":\"…\"}]}";

/// A line of the file.
#[derive(Debug, Deserialize)]
pub struct Conversation {
    messages: Vec<ChatMessage>,
    /// Counted from 1.
    #[serde(skip)]
    line: usize,
}

/// Reads the file. Empty lines are left out.
///
/// # Errors
/// With the line and what to do there.
pub fn read(path: &Path) -> Result<Vec<Conversation>, Failure> {
    let text = fs::read_to_string(path).map_err(|e| {
        let sentence = format!("cannot read the conversations in `{}`: {e}; {FORM}", path.display());
        Failure::new(if path.exists() { DATA } else { USAGE }, sentence)
    })?;
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let conversations: Vec<Conversation> =
        lines.map(|(at, line)| parse(path, at + 1, line)).collect::<Result<_, _>>()?;
    if conversations.is_empty() {
        return Err(Failure::new(DATA, format!("`{}` has no conversations; {FORM}", path.display())));
    }
    Ok(conversations)
}

fn parse(path: &Path, line: usize, text: &str) -> Result<Conversation, Failure> {
    let read: Result<Conversation, _> = serde_json::from_str(text);
    let mut conversation = read.map_err(|error| {
        // serde_json counts from the line's own beginning; the place in the file is ours to tell.
        let what = error.to_string();
        let what = what.split(" at line ").next().unwrap_or_default();
        fault(path, line, &format!("column {}: {what}; {FORM}", error.column()))
    })?;
    conversation.line = line;
    let messages = &conversation.messages;
    if !messages.iter().any(|message| message.role == Role::Assistant) {
        return Err(fault(
            path,
            line,
            "nobody answers, so there is nothing to learn; add a message of the `assistant`",
        ));
    }
    let is_empty = |message: &&ChatMessage| message.role == Role::Assistant && message.content.trim().is_empty();
    if messages.iter().any(|message| is_empty(&message)) {
        return Err(fault(path, line, "an answer is empty; write what the model is to say, or leave the line out"));
    }
    Ok(conversation)
}

/// The conversations in the model's template, answers counting in full with the token that ends them.
///
/// # Errors
/// For a conversation that the model could not read whole, and a template that cannot be told apart.
pub fn documents(conversations: &[Conversation], model: &Model, path: &Path) -> Result<Vec<Document>, Failure> {
    let longest = model.info().max_position_embeddings;
    let one = |conversation: &Conversation| {
        let document = document(&conversation.messages, model).map_err(|failure| {
            let (line, why) = (conversation.line, failure.sentence());
            Failure::new(failure.code(), format!("{}:{line}: {why}", path.display()))
        })?;
        if document.inputs() > longest {
            let why = format!(
                "it has {} tokens, the model reads at most {}; shorten it or take it out",
                document.tokens.len(),
                longest + 1
            );
            return Err(fault(path, conversation.line, &why));
        }
        Ok(document)
    };
    conversations.iter().map(one).collect()
}

/// One conversation. What the model has read before an answer is the conversation so far, ready for its turn; the answer
/// is what the longer conversation has after that, up to the token that ends a turn.
fn document(messages: &[ChatMessage], model: &Model) -> Result<Document, Failure> {
    let tokenizer = model.tokenizer();
    let rendered = |messages: &[ChatMessage]| -> Result<Vec<u32>, Failure> {
        let rendered = model.rendered(messages)?;
        let is_begun = !tokenizer.bos().is_empty() && rendered.text().starts_with(tokenizer.bos());
        let mut tokens: Vec<u32> = tokenizer.beginning().filter(|_| !is_begun).into_iter().collect();
        tokens.extend(tokenizer.encode_rendered(&rendered));
        Ok(tokens)
    };
    let mut whole = Document::default();
    for (at, _) in messages.iter().enumerate().filter(|(_, message)| message.role == Role::Assistant) {
        let (before, after) = (rendered(&messages[..at])?, rendered(&messages[..=at])?);
        let apart = "the model's chat template changes what came before an answer, so answers cannot be told apart; \
                     write one answer a line";
        if !after.starts_with(&before) || !before.starts_with(&whole.tokens) {
            return Err(Failure::new(DATA, apart));
        }
        let answer = &after[before.len()..];
        let Some(end) = answer.iter().position(|token| tokenizer.is_end(*token)) else {
            return Err(Failure::new(DATA, "the model's chat template ends no turn; take a chat model"));
        };
        whole.weights.resize(before.len(), 0.0);
        whole.weights.resize(before.len() + end + 1, 1.0);
        whole.tokens = after[..before.len() + end + 1].to_vec();
    }
    Ok(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault_of(line: &str) -> String {
        parse(Path::new("d.jsonl"), 7, line).expect_err("a fault").sentence()
    }

    #[test]
    fn a_bad_line_is_told_with_its_place_and_form() {
        assert!(parse(Path::new("d.jsonl"), 1, r#"{"messages":[{"role":"assistant","content":"Hi."}]}"#).is_ok());
        assert!(fault_of("{").starts_with("d.jsonl:7: column 1: EOF while parsing an object; a line is {"));
        let wrong_role = fault_of(r#"{"messages":[{"role":"bot","content":"Hi."}]}"#);
        assert!(wrong_role.contains("unknown variant `bot`, expected one of `system`, `user`, `assistant`"));
        assert!(fault_of(r#"{"messages":[{"role":"user","content":"Hi."}]}"#).contains("nobody answers"));
        assert!(fault_of(r#"{"messages":[{"role":"assistant","content":" "}]}"#).contains("an answer is empty"));
    }
}
