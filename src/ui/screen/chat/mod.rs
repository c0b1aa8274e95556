//! The page to chat with the model: several turns, a system prompt, settings, and what it costs in tokens.
//!
//! The whole conversation is sent at each turn; what no longer fits is offered to be left out, oldest first, and the
//! page says so. Everything the model writes is labelled as such.

mod page;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::lines::Lines;
use super::{ModelState, Outcome, Shared, file_name};
use crate::engine::{ChatMessage, EngineError, GenerationOptions, Job, Prompt, Role, SamplingParams, Stop, Update};
use crate::labs::widgets::count;
use crate::labs::{Edit, Input, Key, KeyHelp, KeyPress};
use crate::ui::event::{Effect, Event, Mouse, MouseAction};

/// One turn of the conversation.
#[derive(Clone, Debug, PartialEq)]
struct Turn {
    role: Role,
    text: String,
    /// What the answer took, or how it ended.
    note: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Focus {
    Message,
    Settings(Setting),
    System,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Setting {
    Temperature,
    TopP,
    Seed,
    MaxTokens,
}

impl Setting {
    const ALL: [Setting; 4] = [Setting::Temperature, Setting::TopP, Setting::Seed, Setting::MaxTokens];
}

/// Settings in whole steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Settings {
    /// Tenths.
    temperature: u32,
    /// Hundredths; 100 is off.
    top_p: u32,
    /// `None`: drawn anew for each answer.
    seed: Option<u64>,
    max_new_tokens: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self { temperature: 7, top_p: 95, seed: None, max_new_tokens: 256 }
    }
}

impl Settings {
    fn turn(&mut self, setting: Setting, up: bool) {
        let by = |now: u32, step: u32, least: u32, most: u32| {
            if up { (now + step).min(most) } else { now.saturating_sub(step).max(least) }
        };
        match setting {
            Setting::Temperature => self.temperature = by(self.temperature, 1, 0, 20),
            Setting::TopP => self.top_p = by(self.top_p, 5, 5, 100),
            Setting::Seed => {
                self.seed = match (self.seed, up) {
                    (None, true) => Some(1),
                    (Some(seed), true) => Some(seed.saturating_add(1)),
                    (Some(seed), false) if seed > 1 => Some(seed - 1),
                    _ => None,
                }
            }
            Setting::MaxTokens => self.max_new_tokens = by(self.max_new_tokens as u32, 64, 64, 2048) as usize,
        }
    }

    fn shown(self, setting: Setting) -> (&'static str, String) {
        match setting {
            Setting::Temperature => ("temperature", format!("{:.1}", f64::from(self.temperature) / 10.0)),
            Setting::TopP if self.top_p == 100 => ("top-p", "off".into()),
            Setting::TopP => ("top-p", format!("{:.2}", f64::from(self.top_p) / 100.0)),
            Setting::Seed => ("seed", self.seed.map_or("drawn".into(), |s| s.to_string())),
            Setting::MaxTokens => ("most tokens", self.max_new_tokens.to_string()),
        }
    }
}

/// What is known of the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Run {
    Idle,
    /// Sent, nothing heard yet.
    Loading,
    /// A long conversation is being read: tokens so far, and all.
    Reading(usize, usize),
    /// The answer is coming; tokens so far.
    Speaking(usize),
}

/// The page to chat with the model.
#[derive(Debug)]
pub struct ChatScreen {
    turns: Vec<Turn>,
    /// Turns before this one are not sent any more.
    first: usize,
    message: Input,
    system: Input,
    settings: Settings,
    focus: Focus,
    run: Run,
    /// Tokens of the conversation as last read and written.
    used: usize,
    /// The conversation did not fit: its tokens, and the most the model reads.
    overflow: Option<(usize, usize)>,
    trouble: Option<String>,
    /// Whether clearing was asked for once.
    clearing: bool,
    lines: Lines,
    /// Lines scrolled up from the newest; 0 follows the answer.
    up: usize,
    size: (u16, u16),
}

impl ChatScreen {
    /// An empty conversation.
    pub fn new(shared: &Shared) -> Self {
        let mut screen = Self {
            turns: vec![],
            first: 0,
            message: Input::default(),
            system: Input::new("You are a helpful assistant."),
            settings: Settings::default(),
            focus: Focus::Message,
            run: Run::Idle,
            used: 0,
            overflow: None,
            trouble: None,
            clearing: false,
            lines: Lines::default(),
            up: 0,
            size: (80, 20),
        };
        screen.lay_out(shared);
        screen
    }

    /// Opens the model while the learner thinks.
    pub fn on_open(&mut self) -> Outcome {
        Outcome::Start(Job::Open)
    }

    /// Whether keys are text now.
    pub fn is_typing(&self) -> bool {
        !matches!(self.focus, Focus::Settings(_))
    }

    /// Title; model.
    pub fn header(&self, shared: &Shared) -> (String, String) {
        let model = match &shared.model {
            ModelState::Found(name) => name.clone(),
            ModelState::Ready(info) => file_name(info),
            ModelState::Missing(_) => "no model".into(),
        };
        ("Chat with the model".into(), model)
    }

    /// What keys do here now.
    pub fn bindings(&self, _shared: &Shared) -> Vec<KeyHelp> {
        let key = |keys, what, press| KeyHelp { keys, what, press };
        let esc = |what| key("esc", what, KeyPress::plain(Key::Esc));
        if self.run != Run::Idle {
            return vec![esc("stop")];
        }
        if let Some(step) = self.overflow.and_then(|_| self.can_drop()) {
            let what = if step == 1 { "leave out the oldest turn" } else { "leave out the oldest turns" };
            return vec![key("enter", what, KeyPress::plain(Key::Enter)), esc("change the message")];
        }
        match self.focus {
            Focus::Message => {
                let mut keys = vec![
                    key("enter", "send", KeyPress::plain(Key::Enter)),
                    key("tab", "settings", KeyPress::plain(Key::Tab)),
                ];
                if !self.turns.is_empty() {
                    keys.push(key("ctrl-s", "save", KeyPress::ctrl('s')));
                    keys.push(key("ctrl-n", "begin anew", KeyPress::ctrl('n')));
                }
                keys.push(key("↑↓", "scroll", KeyPress::plain(Key::Up)));
                keys.push(key("alt-enter", "new line", KeyPress { key: Key::Enter, ctrl: false, alt: true }));
                keys
            }
            Focus::Settings(_) => vec![
                key("←→", "change", KeyPress::plain(Key::Right)),
                key("↑↓", "which", KeyPress::plain(Key::Down)),
                key("tab", "system prompt", KeyPress::plain(Key::Tab)),
                esc("to the message"),
            ],
            Focus::System => vec![
                key("enter", "use it", KeyPress::plain(Key::Enter)),
                key("tab", "to the message", KeyPress::plain(Key::Tab)),
                esc("to the message"),
            ],
        }
    }

    /// Takes a key.
    pub fn on_key(&mut self, key: KeyPress, shared: &Shared) -> Outcome {
        let clearing = std::mem::take(&mut self.clearing);
        let outcome = self.take_key(key, clearing, shared);
        if outcome != Outcome::Ignored {
            self.lay_out(shared);
        }
        outcome
    }

    fn take_key(&mut self, key: KeyPress, clearing: bool, shared: &Shared) -> Outcome {
        match key.key {
            Key::Esc if self.run != Run::Idle => return Outcome::Cancel,
            Key::Esc if self.overflow.take().is_some() => self.take_back(),
            Key::Esc if self.focus != Focus::Message => self.focus = Focus::Message,
            Key::PageUp => self.up += usize::from(self.size.1 / 2),
            Key::PageDown => self.up = self.up.saturating_sub(usize::from(self.size.1 / 2)),
            Key::Char('s') if key.ctrl => return self.save(shared),
            Key::Char('n') if key.ctrl => self.clear(clearing),
            Key::Enter if self.overflow.is_some() && self.can_drop().is_some() => return self.drop_oldest(),
            Key::Tab => {
                self.focus = match self.focus {
                    Focus::Message => Focus::Settings(Setting::Temperature),
                    Focus::Settings(_) => Focus::System,
                    Focus::System => Focus::Message,
                }
            }
            _ => return self.on_focus_key(key, shared),
        }
        Outcome::Handled
    }

    fn on_focus_key(&mut self, key: KeyPress, shared: &Shared) -> Outcome {
        let edit = match self.focus {
            Focus::Message => match key {
                KeyPress { key: Key::Enter, alt: false, ctrl: false } => return self.send(shared),
                KeyPress { key: Key::Enter, .. } => self.message.paste("\n"),
                KeyPress { key: Key::Up, .. } => {
                    self.up += 1;
                    Edit::Moved
                }
                KeyPress { key: Key::Down, .. } => {
                    self.up = self.up.saturating_sub(1);
                    Edit::Moved
                }
                _ => self.message.on_key(key),
            },
            Focus::System => match key.key {
                Key::Enter => {
                    self.focus = Focus::Message;
                    Edit::Moved
                }
                _ => self.system.on_key(key),
            },
            Focus::Settings(setting) => {
                let at = Setting::ALL.iter().position(|s| *s == setting).unwrap_or(0);
                match key.key {
                    Key::Left => self.settings.turn(setting, false),
                    Key::Right => self.settings.turn(setting, true),
                    Key::Up if at > 0 => self.focus = Focus::Settings(Setting::ALL[at - 1]),
                    Key::Down if at + 1 < Setting::ALL.len() => self.focus = Focus::Settings(Setting::ALL[at + 1]),
                    Key::Up | Key::Down => {}
                    Key::Enter => self.focus = Focus::Message,
                    _ => return Outcome::Ignored,
                }
                Edit::Moved
            }
        };
        if edit == Edit::Ignored { Outcome::Ignored } else { Outcome::Handled }
    }

    fn send(&mut self, shared: &Shared) -> Outcome {
        if self.overflow.is_some() || self.message.text().trim().is_empty() {
            return Outcome::Handled;
        }
        if self.run != Run::Idle {
            self.trouble = Some("the answer is still coming; esc stops it".into());
            return Outcome::Handled;
        }
        if let ModelState::Missing(why) = &shared.model {
            self.trouble = Some(why.clone());
            return Outcome::Handled;
        }
        let text = self.message.take();
        self.turns.push(Turn { role: Role::User, text, note: None });
        self.ask()
    }

    /// Sends the conversation.
    fn ask(&mut self) -> Outcome {
        let system = self.system.text().trim();
        let frame = (!system.is_empty()).then(|| ChatMessage { role: Role::System, content: system.to_string() });
        let said = self.turns[self.first..].iter().map(|t| ChatMessage { role: t.role, content: t.text.clone() });
        let messages = frame.into_iter().chain(said).collect();
        self.turns.push(Turn { role: Role::Assistant, text: String::new(), note: None });
        self.run = Run::Loading;
        self.trouble = None;
        self.overflow = None;
        self.up = 0;
        Outcome::Start(Job::Generate {
            prompt: Prompt::Chat(messages),
            sampling: SamplingParams {
                temperature: self.settings.temperature as f32 / 10.0,
                top_p: (self.settings.top_p < 100).then_some(self.settings.top_p as f32 / 100.0),
                seed: self.settings.seed,
                ..SamplingParams::default()
            },
            max_new_tokens: self.settings.max_new_tokens,
            top_candidates: 0,
            options: GenerationOptions::default(),
        })
    }

    /// Turns that can be left out in one step so that the rest begins with the learner again; `None` when only the
    /// newest message is left.
    fn can_drop(&self) -> Option<usize> {
        let rest = self.turns.get(self.first + 1..)?;
        rest.iter().position(|t| t.role == Role::User).map(|at| at + 1)
    }

    fn drop_oldest(&mut self) -> Outcome {
        let Some(step) = self.can_drop() else { return Outcome::Handled };
        self.first += step;
        self.ask()
    }

    /// The message that was not answered goes back into the field.
    fn take_back(&mut self) {
        if self.turns.last().is_some_and(|t| t.role == Role::User)
            && let Some(turn) = self.turns.pop()
        {
            self.message = Input::new(turn.text);
            self.first = self.first.min(self.turns.len());
        }
    }

    fn clear(&mut self, sure: bool) {
        if self.turns.is_empty() || self.run != Run::Idle {
            return;
        }
        if sure {
            self.turns.clear();
            self.first = 0;
            self.used = 0;
            self.up = 0;
            self.overflow = None;
            self.trouble = None;
        } else {
            self.clearing = true;
        }
    }

    fn save(&self, shared: &Shared) -> Outcome {
        if self.turns.is_empty() {
            return Outcome::Handled;
        }
        Outcome::Do(vec![Effect::SaveFile { name: "chat.md".into(), text: page::markdown(self, shared) }])
    }

    /// The wheel scrolls the conversation.
    pub fn on_mouse(&mut self, mouse: Mouse, shared: &Shared) -> Outcome {
        match mouse.action {
            MouseAction::ScrollUp => self.up += 3,
            MouseAction::ScrollDown => self.up = self.up.saturating_sub(3),
            MouseAction::Click => return Outcome::Ignored,
        }
        self.lay_out(shared);
        Outcome::Handled
    }

    /// News of the answer.
    pub fn on_update(&mut self, update: Update, shared: &Shared) -> Outcome {
        if self.run == Run::Idle {
            // News of opening the model; the app keeps it.
            return Outcome::Handled;
        }
        match update {
            Update::Reading { done, total } => self.run = Run::Reading(done, total),
            Update::Prompt { tokens, .. } => {
                self.used = tokens.len();
                self.run = Run::Speaking(0);
            }
            Update::Token { text, .. } | Update::Rest { text } => {
                if let Some(turn) = self.turns.last_mut() {
                    turn.text.push_str(&text);
                }
                self.used += 1;
                self.run = match self.run {
                    Run::Speaking(tokens) => Run::Speaking(tokens + 1),
                    _ => Run::Speaking(1),
                };
            }
            Update::Finished(stats) => {
                self.run = Run::Idle;
                self.trouble = None;
                self.used = stats.prompt_tokens + stats.new_tokens;
                let limit = page::limit(shared).unwrap_or(usize::MAX);
                let mut notes = vec![];
                if stats.tokens_per_second > 0.0 {
                    notes.push(format!("{:.1} tokens/s", stats.tokens_per_second));
                }
                notes.push(count(stats.new_tokens, "token"));
                notes.push(format!("seed {}", stats.seed));
                match stats.stop {
                    Stop::Stop => {}
                    Stop::Length if self.used >= limit => notes.push("cut: the context is full".into()),
                    Stop::Length => notes.push("cut at the most tokens set".into()),
                    Stop::Cancelled => notes.push("stopped by you".into()),
                }
                self.end(Some(notes.join(" · ")));
            }
            Update::Failed(error) => {
                self.run = Run::Idle;
                let has_begun = self.turns.last().is_some_and(|t| t.role == Role::Assistant && !t.text.is_empty());
                self.end(has_begun.then(|| "broken off".into()));
                match error {
                    EngineError::ContextOverflow { prompt, limit } => {
                        self.used = prompt;
                        self.overflow = Some((prompt, limit));
                        if self.can_drop().is_none() {
                            self.take_back();
                            self.overflow = None;
                            self.trouble = Some(format!(
                                "this message alone is {prompt} tokens with its frame, and the model reads {limit}; shorten it"
                            ));
                        }
                    }
                    error => {
                        self.take_back();
                        self.trouble = Some(error.to_string());
                    }
                }
            }
            _ => {}
        }
        self.lay_out(shared);
        Outcome::Handled
    }

    /// Ends the model's turn; an empty one goes.
    fn end(&mut self, note: Option<String>) {
        match self.turns.last_mut().filter(|t| t.role == Role::Assistant) {
            Some(turn) if turn.text.is_empty() && note.is_none() => drop(self.turns.pop()),
            Some(turn) => turn.note = note,
            None => {}
        }
    }

    /// Pasted text goes where the cursor is.
    pub fn on_event(&mut self, event: &Event, shared: &Shared) -> Outcome {
        let Event::Paste(text) = event else { return Outcome::Ignored };
        match self.focus {
            Focus::System => self.system.paste(text),
            _ => {
                self.focus = Focus::Message;
                self.message.paste(text)
            }
        };
        self.lay_out(shared);
        Outcome::Handled
    }

    /// Takes the size.
    pub fn resize(&mut self, columns: u16, rows: u16, shared: &Shared) {
        self.size = (columns, rows);
        self.lay_out(shared);
    }

    fn lay_out(&mut self, shared: &Shared) {
        self.lines = page::conversation(self, shared);
        self.up = self.up.min(self.lines.len().saturating_sub(1));
    }

    /// Draws.
    pub fn view(&self, area: Rect, buf: &mut Buffer, shared: &Shared) {
        page::draw(self, area, buf, shared);
    }
}

#[cfg(test)]
mod tests;
