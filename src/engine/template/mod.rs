//! Chat templates: a conversation to the text that the model was trained on.
//!
//! A template comes with the model, so it is untrusted: it runs with fuel, limits on its size and output, and no access
//! to anything. It is written for Jinja as Hugging Face's `apply_chat_template` sets it up; what that adds to the
//! language is in `hugging_face`. What somebody typed cannot become a control token; how is in `guard`.

mod guard;
mod hugging_face;
#[cfg(test)]
mod tests;

use jiff::civil::DateTime;
use minijinja::{Value, context};

use self::guard::Guard;
use super::{ChatMessage, EngineError, Role};

/// A template has at most this many bytes; the longest known has 17 kB.
pub const MAX_SOURCE: usize = 64 << 10;
/// A template writes at most this many bytes.
pub const MAX_OUTPUT: usize = 1 << 20;
/// Instructions that a template may take.
const FUEL: u64 = 100_000;
/// Bytes of stack for a template. minijinja limits how deep blocks and brackets nest, but not chains of operators
/// (`---1`, `a.b.b.b`), which it reads, compiles and drops recursively: a template of the greatest length can be one
/// such chain. Only what is used costs memory.
const STACK: usize = 256 << 20;
/// `~` that a template may have; the most that is known has 45. minijinja tries to work out each chain of them while compiling,
/// anew for each link, before any fuel is burnt: 30,000 take half a minute.
const MAX_JOINS: usize = 2_000;
/// Bytes of a template's line that a message shows.
const MAX_LINE: usize = 160;

/// What a template is given.
#[derive(Clone, Copy, Debug)]
pub struct Conversation<'a> {
    /// The turns so far.
    pub messages: &'a [ChatMessage],
    /// The name of the token that begins a text.
    pub bos: &'a str,
    /// The name of the token that ends a text.
    pub eos: &'a str,
    /// What `strftime_now` says; without it the function is not there, and templates take their own default.
    pub now: Option<DateTime>,
}

/// A rendered conversation.
#[derive(Clone, Debug, PartialEq)]
pub struct Rendered {
    guarded: String,
}

impl Rendered {
    /// The text as the model reads it.
    pub fn text(&self) -> String {
        Self::unguard(&self.guarded)
    }

    /// The text with guards in what was typed: names of control tokens are only those that the template wrote.
    pub(super) fn guarded(&self) -> &str {
        &self.guarded
    }

    /// A stretch of [`Rendered::guarded`] as the model reads it.
    pub(super) fn unguard(stretch: &str) -> String {
        stretch.replace(guard::MARK, "")
    }
}

/// Renders a conversation, ready for the model's next turn. `control` are the names of control tokens; where they occur
/// in what somebody wrote they stay ordinary text.
///
/// # Errors
/// [`EngineError::Template`] with the line and its text, also when the template runs too long or writes too much.
pub fn render<'a>(
    source: &str,
    conversation: &Conversation<'_>,
    control: impl IntoIterator<Item = &'a str>,
) -> Result<Rendered, EngineError> {
    if source.len() > MAX_SOURCE {
        let why = format!("it is {} bytes long; at most {MAX_SOURCE} are accepted", source.len());
        return Err(EngineError::Template { why });
    }
    let joins = source.bytes().filter(|byte| *byte == b'~').count();
    if joins > MAX_JOINS {
        let why = format!("it joins texts with `~` {joins} times; at most {MAX_JOINS} are accepted");
        return Err(EngineError::Template { why });
    }
    let guard = Guard::new(control);
    let internal = |what: String| EngineError::Internal { what };
    std::thread::scope(|scope| {
        // Named as the model's own thread: a panic on it is reported, not printed over the screen.
        let thread = std::thread::Builder::new().name("model".into()).stack_size(STACK);
        let thread = thread.spawn_scoped(scope, || render_here(source, conversation, &guard));
        let thread = thread.map_err(|e| internal(format!("no thread for the chat template: {e}")))?;
        thread.join().unwrap_or_else(|_| Err(internal("a panic in the template engine".into())))
    })
}

fn render_here(source: &str, conversation: &Conversation<'_>, guard: &Guard<'_>) -> Result<Rendered, EngineError> {
    let failed = |why: String| EngineError::Template { why };
    let message = |m: &ChatMessage| {
        let role = match m.role {
            Role::System => "system",
            Role::User => "user",
            Role::Assistant => "assistant",
        };
        context! { role => role, content => guard.protect(&m.content) }
    };
    let messages: Vec<Value> = conversation.messages.iter().map(message).collect();
    let source = hugging_face::without_generation_marks(source);
    let say = |error: minijinja::Error| failed(describe(&error, &source));
    let mut env = hugging_face::environment(conversation.now).map_err(say)?;
    env.set_fuel(Some(FUEL));
    env.set_recursion_limit(64);
    env.add_template("chat template", &source).map_err(say)?;
    let template = env.get_template("chat template").map_err(say)?;
    let mut out = Limited(Vec::new());
    let values = context! {
        messages,
        tools => (),
        documents => (),
        add_generation_prompt => true,
        bos_token => conversation.bos,
        eos_token => conversation.eos,
    };
    template.render_captured_to(values, &mut out).map_err(say)?;
    let guarded = String::from_utf8(out.0).map_err(|_| failed("it wrote no text".into()))?;
    Ok(Rendered { guarded })
}

/// What went wrong, in which line, and that line.
fn describe(error: &minijinja::Error, source: &str) -> String {
    let said = match error.detail() {
        Some(detail) => format!("{}: {detail}", error.kind()),
        None => error.kind().to_string(),
    };
    let Some(number) = error.line() else { return said };
    let line = source.lines().nth(number.saturating_sub(1)).unwrap_or_default().trim();
    let shown = &line[..line.floor_char_boundary(MAX_LINE)];
    let more = if shown.len() < line.len() { "…" } else { "" };
    format!("line {number}: {said}, in `{shown}{more}`")
}

struct Limited(Vec<u8>);

impl std::io::Write for Limited {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.0.len() + bytes.len() > MAX_OUTPUT {
            return Err(std::io::Error::other("it writes more than 1 MiB"));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
