//! Questions of a skill, and the answers to them.

use std::ops::ControlFlow;

use serde::Serialize;

use super::EvalArgs;
use crate::cli::failure::{Failure, INTERRUPTED};
use crate::cli::session::{self, Interrupt};
use crate::corpus::judge::{Table, is_right};
use crate::corpus::{Kind, Split};
use crate::engine::{ChatMessage, GenerationOptions, Job, Model, Prompt, Role, SamplingParams, Update};

/// Tokens that an answer may have beyond the right one's before it is ended: it is wrong by then.
const SLACK: usize = 24;

/// A wrong answer.
#[derive(Debug, Serialize)]
pub struct Wrong {
    /// All that the model read.
    pub prompt: String,
    /// The right answer.
    pub wanted: String,
    /// What it said.
    pub given: String,
}

/// Asks `args.count` questions of a kind.
pub fn skill(
    model: &mut Model,
    kind: Kind,
    seed: u64,
    is_own: bool,
    args: &EvalArgs,
    interrupt: &Interrupt,
) -> Result<(Table, Vec<Wrong>), Failure> {
    let (mut table, mut wrong) = (Table::default(), Vec::new());
    let documents = (0..).map(|number| kind.document(seed, Split::Held, number));
    let mut asked = 0;
    for document in documents {
        for question in document.questions() {
            let prompt = match is_own {
                true => Prompt::Raw(question.prompt.clone()),
                false => conversation(&question.prompt),
            };
            let limit = model.tokenizer().encode(&question.answer).len() + SLACK;
            let given = answer(model, prompt, limit, interrupt)?;
            let right = is_right(kind, &question.answer, &given);
            table.add(&document, right);
            if !right && wrong.len() < args.show_wrong {
                wrong.push(Wrong { prompt: question.prompt, wanted: question.answer, given });
            }
            asked += 1;
            if asked == args.count {
                return Ok((table, wrong));
            }
        }
    }
    Ok((table, wrong))
}

/// The model's own answer, likeliest token by likeliest token.
fn answer(model: &mut Model, prompt: Prompt, limit: usize, interrupt: &Interrupt) -> Result<String, Failure> {
    let job = Job::Generate {
        prompt,
        sampling: SamplingParams::greedy(),
        max_new_tokens: limit,
        top_candidates: 0,
        options: GenerationOptions::default(),
    };
    let mut written = String::new();
    session::run(model, job, &mut |update| {
        if let Update::Token { text, .. } | Update::Rest { text } = update {
            written.push_str(&text);
        }
        if interrupt.is_pressed() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    if interrupt.is_pressed() { Err(Failure::silent(INTERRUPTED)) } else { Ok(written) }
}

/// A prompt of the corpus as turns. Its plain texts become what somebody says; what a tool gave back is told by the user.
fn conversation(prompt: &str) -> Prompt {
    let mut messages: Vec<ChatMessage> = Vec::new();
    for turn in prompt.split("<|im_start|>").skip(1) {
        let Some((role, content)) = turn.split_once('\n') else { continue };
        let role = match role {
            "system" => Role::System,
            "assistant" => Role::Assistant,
            _ => Role::User,
        };
        let content = content.trim_end().trim_end_matches("<|im_end|>").trim();
        if !content.is_empty() {
            messages.push(ChatMessage { role, content: content.into() });
        }
    }
    if messages.is_empty() {
        return Prompt::Text(prompt.trim_start_matches("<|endoftext|>").trim().into());
    }
    Prompt::Chat(messages)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prompt_becomes_the_turns_that_it_was_made_of() {
        let document = Kind::Tool.document(5, Split::Held, 0);
        let questions = document.questions();
        let Prompt::Chat(messages) = conversation(&questions[0].prompt) else { panic!("a conversation") };
        assert_eq!(messages.iter().map(|message| message.role).collect::<Vec<_>>(), [Role::System, Role::User]);
        assert!(!messages[1].content.contains("<|"), "{messages:?}");
        let plain = Kind::Annals.document(5, Split::Held, 0);
        assert!(plain.questions().iter().all(|q| matches!(conversation(&q.prompt), Prompt::Text(_))));
    }
}
