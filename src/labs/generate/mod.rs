//! The lab `generate`: a model answers on this machine, token by token.
//!
//! What to see: an answer is a chain of draws, each with its probability; a fluent answer may be wrong, and the model
//! does not know it. The seed decides the draws: the same seed gives the same text, another one another.
//! With `questions` the learner predicts, asks, and marks what was answered wrong; the program knows the facts. With
//! a `prompt` the learner compares seeds.

mod questions;
mod take;
mod view;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use serde::{Deserialize, Serialize};
use serde_json::json;

use self::questions::{Asked, Progress, Question};
use self::take::{Drawn, Kept, Take, parting};
use super::widgets::count;
use super::{Edit, Goal, Input, Key, KeyHelp, KeyPress, Lab, Reaction, letter, named, read};
use crate::engine::{ChatMessage, GenerationOptions, Job, Prompt, Role, SamplingParams, Stop, TokenId, Update};
use crate::theme::Theme;

/// Keys of the lesson's fence.
pub const KEYS: &[&str] = &[
    "title",
    "prompt",
    "questions",
    "system",
    "chat",
    "max_new_tokens",
    "temperature",
    "top_k",
    "top_p",
    "min_p",
    "seed",
];

/// Answers that make the first goal.
const ANSWERS: usize = 3;

#[derive(Debug, Deserialize)]
#[serde(default)]
struct Params {
    title: String,
    prompt: String,
    questions: Vec<Asked>,
    system: Option<String>,
    chat: bool,
    max_new_tokens: usize,
    temperature: f32,
    top_k: Option<usize>,
    top_p: Option<f32>,
    min_p: Option<f32>,
    seed: u64,
    /// Added by the screen: the updates come from a recorded run.
    recorded: bool,
}

impl Default for Params {
    fn default() -> Self {
        Self {
            title: "An answer, token by token".into(),
            prompt: "Write two sentences about the sea.".into(),
            questions: vec![],
            system: None,
            chat: true,
            max_new_tokens: 80,
            // Probabilities are shown at this temperature: at 1 they are the model's own.
            temperature: 1.0,
            top_k: None,
            top_p: Some(0.95),
            min_p: None,
            seed: 1,
            recorded: false,
        }
    }
}

/// The learner's check of the marks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Checked {
    Right,
    Wrong,
}

/// What the learner expects of the run under way, against the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expected {
    Same,
    Other,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Ready,
    /// The prompt is being edited.
    Prompt,
    /// Before a run with this seed: will the text be the same?
    Predict {
        seed: u64,
    },
    Running,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct State {
    prompt: Option<String>,
    /// Whether the learner's own prompt is asked as a chat; `None` as the lesson has it.
    chat: Option<bool>,
    questions: Vec<Progress>,
    last: Option<Kept>,
    finished: usize,
    tries: usize,
    checked: Option<Checked>,
    /// Evidence of the goals reached.
    three_answers: Option<String>,
    wrong_answer: Option<String>,
    same_seed: Option<String>,
    other_seed: Option<String>,
}

#[derive(Debug)]
struct Generate {
    params: Params,
    questions: Vec<Question>,
    selected: usize,
    stage: Stage,
    prompt: Input,
    seed: u64,
    take: Take,
    /// Tokens of the answer before, when a question is asked again.
    before: Vec<TokenId>,
    /// Position of the token looked at.
    cursor: Option<usize>,
    expected: Option<Expected>,
    outcome: Option<(String, bool)>,
    state: State,
    trouble: Option<String>,
    explain: bool,
}

/// Opens the lab.
pub fn open(params: &str, state: Option<&str>) -> Box<dyn Lab> {
    let params: Params = read(params);
    let mut state: State = state.map(read).unwrap_or_default();
    let questions = questions::all(&params.questions, std::mem::take(&mut state.questions));
    let prompt = state.prompt.clone().unwrap_or_else(|| params.prompt.clone());
    Box::new(Generate {
        selected: questions.iter().position(|q| q.kept.answer.is_none()).unwrap_or(0),
        questions,
        stage: Stage::Ready,
        prompt: Input::new(prompt),
        seed: state.last.as_ref().map_or(params.seed, |last| last.seed),
        take: Take::default(),
        before: vec![],
        cursor: None,
        expected: None,
        outcome: None,
        state,
        trouble: None,
        explain: false,
        params,
    })
}

impl Generate {
    fn asks(&self) -> bool {
        !self.questions.is_empty()
    }

    /// Whether a question of the lesson is at hand; otherwise it is the learner's own prompt.
    fn on_question(&self) -> bool {
        self.selected < self.questions.len()
    }

    fn is_chat(&self) -> bool {
        self.on_question() || self.state.chat.unwrap_or(self.params.chat)
    }

    fn has_facts(&self) -> bool {
        self.questions.iter().any(|q| !q.facts.is_empty())
    }

    fn prompt_of(&self, text: &str) -> Prompt {
        if !self.is_chat() {
            return Prompt::Text(text.to_string());
        }
        let system = self.params.system.iter().map(|s| ChatMessage { role: Role::System, content: s.clone() });
        let user = ChatMessage { role: Role::User, content: text.to_string() };
        Prompt::Chat(system.chain([user]).collect())
    }

    /// The answer on the screen.
    fn shown(&self) -> &Take {
        self.questions.get(self.selected).map_or(&self.take, |q| &q.take)
    }

    fn shown_mut(&mut self) -> &mut Take {
        self.questions.get_mut(self.selected).map_or(&mut self.take, |q| &mut q.take)
    }

    fn run(&mut self, seed: u64) -> Reaction {
        let (text, sampling) = match self.questions.get(self.selected) {
            // Questions are answered greedily, so that the same model answers the same on every machine like this one.
            Some(question) => (question.ask.clone(), SamplingParams::greedy()),
            None => {
                let p = &self.params;
                let sampling = SamplingParams {
                    temperature: p.temperature,
                    top_k: p.top_k,
                    top_p: p.top_p,
                    min_p: p.min_p,
                    ..SamplingParams::default()
                };
                (self.prompt.text().to_string(), sampling)
            }
        };
        self.seed = seed;
        self.stage = Stage::Running;
        self.cursor = None;
        self.outcome = None;
        self.trouble = None;
        self.explain = false;
        *self.shown_mut() = Take::default();
        if let Some(question) = self.questions.get_mut(self.selected) {
            self.before = question.kept.answer.take().map_or_else(Vec::new, |answer| answer.ids);
            question.kept.marked = false;
            self.state.checked = None;
        }
        Reaction::Start(Job::Generate {
            prompt: self.prompt_of(&text),
            sampling: SamplingParams { seed: Some(seed), ..sampling },
            max_new_tokens: self.params.max_new_tokens.clamp(1, 1024),
            top_candidates: 5,
            options: GenerationOptions::default(),
        })
    }

    fn finish(&mut self) {
        self.stage = Stage::Ready;
        let take = self.shown();
        if !take.is_whole() {
            self.expected = None;
            return;
        }
        let seed = self.seed;
        let (text, ids) = (take.text(), take.ids());
        if !self.params.recorded {
            self.state.finished += 1;
        }
        match self.questions.get_mut(self.selected) {
            Some(question) => {
                let before = std::mem::take(&mut self.before);
                if !before.is_empty() {
                    self.outcome = Some(match parting(&before, &ids) {
                        None => {
                            (format!("Asked again with seed {seed}: the same {}.", count(ids.len(), "token")), true)
                        }
                        Some(at) => {
                            (format!("Asked again with seed {seed}: another text, from token {} on.", at + 1), false)
                        }
                    });
                }
                question.kept.answer = Some(Kept { prompt: question.ask.clone(), seed, text, ids });
                let done = self.questions.iter().filter(|q| q.kept.answer.is_some()).count();
                self.reach_answers(done >= ANSWERS.min(self.questions.len()));
            }
            None => {
                let now = Kept { prompt: self.prompt.text().to_string(), seed, text, ids };
                self.compare(&now);
                self.state.last = Some(now);
                self.reach_answers(!self.asks());
            }
        }
    }

    fn reach_answers(&mut self, all: bool) {
        let wanted = if self.asks() { ANSWERS.min(self.questions.len()) } else { ANSWERS };
        if all && self.state.finished >= wanted && self.state.three_answers.is_none() {
            let last: Vec<&str> = match self.asks() {
                true => self.questions.iter().filter_map(|q| q.kept.answer.as_ref()).map(|a| a.text.as_str()).collect(),
                false => self.state.last.iter().map(|l| l.text.as_str()).collect(),
            };
            self.state.three_answers = Some(json!({ "finished": self.state.finished, "answers": last }).to_string());
        }
    }

    /// Compares a run with the one before of the same prompt.
    fn compare(&mut self, now: &Kept) {
        let expected = self.expected.take();
        let Some(before) = self.state.last.as_ref().filter(|before| before.prompt == now.prompt) else { return };
        let parting = parting(&before.ids, &now.ids);
        let what = match parting {
            None => format!("the same: all {} tokens are equal", now.ids.len()),
            Some(at) => format!("another text, from token {} on", at + 1),
        };
        let seeds = if before.seed == now.seed { "same seed" } else { "other seed" };
        let is = if parting.is_none() { Expected::Same } else { Expected::Other };
        let (text, good) = match expected {
            None => (format!("Against the run before ({seeds}): {what}."), true),
            Some(said) => {
                let said_words = if said == Expected::Same { "the same text" } else { "another text" };
                (format!("You said {said_words}; it is {what} ({seeds})."), said == is)
            }
        };
        self.outcome = Some((text, good));
        let evidence = json!({
            "prompt": now.prompt, "seeds": [before.seed, now.seed], "tokens": [before.ids.len(), now.ids.len()],
            "equal_from_start": parting.unwrap_or(now.ids.len()),
        });
        let goal = match (before.seed == now.seed, parting) {
            (true, None) => &mut self.state.same_seed,
            (false, Some(_)) => &mut self.state.other_seed,
            _ => return,
        };
        goal.get_or_insert_with(|| evidence.to_string());
    }

    fn move_cursor(&mut self, by: isize) -> Reaction {
        let len = self.shown().tokens.len();
        if len == 0 {
            return Reaction::Ignored;
        }
        let now = self.cursor.unwrap_or(len - 1);
        self.cursor = Some(now.saturating_add_signed(by).min(len - 1));
        Reaction::Handled
    }

    fn on_question_key(&mut self, key: KeyPress) -> Reaction {
        let predicts = !self.questions[self.selected].facts.is_empty();
        match key.key {
            Key::Char(c @ ('y' | 'n')) if predicts => {
                self.questions[self.selected].kept.guess = Some(c == 'y');
                return self.run(self.params.seed);
            }
            Key::Enter if predicts && self.questions[self.selected].kept.guess.is_none() => {
                self.outcome =
                    Some(("Predict first: y if the answer will be right, n if it will be wrong.".into(), false));
            }
            Key::Enter => {
                return self.run(self.params.seed);
            }
            Key::Char('x') if self.questions[self.selected].kept.answer.is_some() => {
                let kept = &mut self.questions[self.selected].kept;
                kept.marked = !kept.marked;
                self.state.checked = None;
                self.outcome = None;
            }
            Key::Char('c') if self.has_facts() => self.check(),
            _ => return Reaction::Ignored,
        }
        Reaction::Handled
    }

    fn select(&mut self, to: usize) {
        self.selected = to;
        self.cursor = None;
    }

    fn on_free_key(&mut self, key: KeyPress) -> Reaction {
        let has_run = self.state.last.as_ref().is_some_and(|last| last.prompt == self.prompt.text());
        match key.key {
            Key::Char('m') => {
                self.state.chat = Some(!self.is_chat());
                // Another rendering is another prompt: nothing to compare with.
                self.state.last = None;
                self.take = Take::default();
                self.outcome = None;
            }
            Key::Char('g') | Key::Enter if !self.prompt.is_empty() => return self.run(self.seed),
            Key::Char('a') if has_run => self.stage = Stage::Predict { seed: self.seed },
            Key::Char('n') if has_run => self.stage = Stage::Predict { seed: self.seed.wrapping_add(1) },
            Key::Char('e') => self.stage = Stage::Prompt,
            _ => return Reaction::Ignored,
        }
        Reaction::Handled
    }
}

impl Lab for Generate {
    fn title(&self) -> String {
        self.params.title.clone()
    }

    fn is_typing(&self) -> bool {
        self.stage == Stage::Prompt
    }

    fn bindings(&self) -> Vec<KeyHelp> {
        let mut keys = match self.stage {
            Stage::Prompt => return vec![named("enter", Key::Enter, "use it"), named("esc", Key::Esc, "as before")],
            Stage::Predict { .. } => {
                return vec![
                    letter("y", 'y', "the same text"),
                    letter("n", 'n', "another text"),
                    named("esc", Key::Esc, "not now"),
                ];
            }
            Stage::Running => vec![letter("s esc", 's', "stop")],
            Stage::Ready if self.on_question() => {
                let question = &self.questions[self.selected];
                let mut keys = vec![];
                if question.facts.is_empty() {
                    keys.push(named("enter", Key::Enter, "ask"));
                } else {
                    keys.push(letter("y", 'y', "ask: will be right"));
                    keys.push(letter("n", 'n', "ask: will be wrong"));
                }
                if question.kept.answer.is_some() {
                    keys.push(letter(
                        "x",
                        'x',
                        if question.kept.marked { "take the mark off" } else { "mark as wrong" },
                    ));
                }
                if self.has_facts() {
                    keys.push(letter("c", 'c', "check marks"));
                }
                keys.push(named("↑↓", Key::Down, "question"));
                keys
            }
            Stage::Ready => {
                let mut keys = vec![letter("g", 'g', "generate")];
                if self.state.last.is_some() {
                    keys.push(letter("a", 'a', "again, same seed"));
                    keys.push(letter("n", 'n', "new seed"));
                }
                keys.push(letter("e", 'e', "edit prompt"));
                keys.push(letter("m", 'm', if self.is_chat() { "raw text" } else { "as a chat" }));
                if self.asks() {
                    keys.push(named("↑↓", Key::Up, "question"));
                }
                keys
            }
        };
        if !self.shown().tokens.is_empty() {
            keys.push(named("←→", Key::Left, "token"));
        }
        keys.push(letter("w", 'w', "why"));
        keys
    }

    fn on_key(&mut self, key: KeyPress) -> Reaction {
        if self.stage == Stage::Prompt {
            return match key.key {
                Key::Enter if !self.prompt.is_empty() => {
                    self.stage = Stage::Ready;
                    self.take = Take::default();
                    self.outcome = None;
                    Reaction::Handled
                }
                Key::Esc => {
                    let before = self.state.last.as_ref().map_or(&self.params.prompt, |last| &last.prompt);
                    self.prompt = Input::new(before.clone());
                    self.stage = Stage::Ready;
                    Reaction::Handled
                }
                _ => match self.prompt.on_key(key) {
                    Edit::Ignored => Reaction::Ignored,
                    _ => Reaction::Handled,
                },
            };
        }
        if key.ctrl || key.alt {
            return Reaction::Ignored;
        }
        match (key.key, self.stage) {
            (Key::Char('w'), _) => self.explain = !self.explain,
            (Key::Esc, _) if self.explain => self.explain = false,
            (Key::Left, _) => return self.move_cursor(-1),
            (Key::Right, _) => return self.move_cursor(1),
            (Key::Char('s') | Key::Esc, Stage::Running) => return Reaction::Cancel,
            (Key::Char(c @ ('y' | 'n')), Stage::Predict { seed }) => {
                self.expected = Some(if c == 'y' { Expected::Same } else { Expected::Other });
                return self.run(seed);
            }
            (Key::Esc, Stage::Predict { .. }) => self.stage = Stage::Ready,
            (Key::Up, Stage::Ready) if self.asks() => self.select(self.selected.saturating_sub(1)),
            (Key::Down, Stage::Ready) if self.asks() => self.select((self.selected + 1).min(self.questions.len())),
            (_, Stage::Ready) if self.on_question() => return self.on_question_key(key),
            (_, Stage::Ready) => return self.on_free_key(key),
            _ => return Reaction::Ignored,
        }
        Reaction::Handled
    }

    fn on_paste(&mut self, text: &str) -> Reaction {
        if self.stage != Stage::Prompt {
            return Reaction::Ignored;
        }
        self.prompt.paste(text);
        Reaction::Handled
    }

    fn on_update(&mut self, update: Update) {
        match update {
            Update::Token { chosen, text, candidates, .. } if self.stage == Stage::Running => {
                self.shown_mut().tokens.push(Drawn::new(&chosen, text, &candidates));
            }
            Update::Finished(stats) if self.stage == Stage::Running => {
                let cancelled = stats.stop == Stop::Cancelled;
                self.shown_mut().stats = Some(stats);
                self.finish();
                if cancelled {
                    self.outcome = Some(("Stopped. A stopped answer does not count.".into(), false));
                }
            }
            Update::Failed(error) => {
                self.stage = Stage::Ready;
                self.expected = None;
                self.trouble = Some(error.to_string());
            }
            _ => {}
        }
    }

    fn start(&mut self) -> Reaction {
        Reaction::Start(Job::Open)
    }

    fn goals(&self) -> Vec<Goal> {
        let mut goals = vec![];
        let wanted = if self.asks() { ANSWERS.min(self.questions.len()) } else { ANSWERS };
        goals.push(Goal {
            id: "three-answers",
            text: match (wanted, self.params.recorded) {
                (_, true) => "let the model answer on this machine (a recorded run does not count)".to_string(),
                (1, _) => "let the model answer on this machine".to_string(),
                (n, _) => format!("let the model answer {n} times on this machine"),
            },
            reached: self.state.three_answers.clone(),
        });
        if self.has_facts() {
            goals.push(Goal {
                id: "wrong-answer",
                text: "mark the answers that are wrong (x), and only those; then check (c)".into(),
                reached: self.state.wrong_answer.clone(),
            });
        }
        if !self.asks() {
            goals.push(Goal {
                id: "same-seed",
                text: "run the same seed again (a) and get the same tokens".into(),
                reached: self.state.same_seed.clone(),
            });
            goals.push(Goal {
                id: "other-seed",
                text: "run another seed (n) and get another text".into(),
                reached: self.state.other_seed.clone(),
            });
        }
        goals
    }

    fn state(&self) -> String {
        let mut state = json!(self.state);
        state["questions"] = self.questions.iter().map(|q| json!(q.kept)).collect();
        if self.stage != Stage::Prompt {
            state["prompt"] = json!(self.prompt.text());
        }
        state.to_string()
    }

    fn view(&self, area: Rect, buf: &mut Buffer, theme: &Theme) {
        view::draw(self, area, buf, theme);
    }

    fn plain(&self) -> Vec<String> {
        view::plain(self)
    }
}
