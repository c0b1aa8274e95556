//! The lab `next-token`: the distribution over the next token, and what the settings do to it.
//!
//! What to see: the model gives every token of its vocabulary a probability, and nothing else. Temperature moves the
//! probabilities, the filters cut the tail, a seeded draw picks. Watch the bars: the logits stay the same throughout.
//! First the learner says how likely the likeliest token is; later how many tokens a change will leave.

mod draws;
mod settings;
mod view;

use std::collections::HashSet;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use serde::{Deserialize, Serialize};
use serde_json::json;

use self::draws::{DRAWS, Draws};
use self::settings::{Settings, Slider};
use super::{Edit, Goal, Input, Key, KeyHelp, KeyPress, Lab, Reaction, letter, named, read};
use crate::engine::{self, Job, NextTokens, Prompt, SamplingParams, Update};
use crate::theme::Theme;

/// Keys of the lesson's fence.
pub const KEYS: &[&str] = &["title", "prompt", "temperature", "top_k", "top_p", "min_p", "seed"];

#[derive(Debug, Deserialize)]
#[serde(default)]
struct Params {
    title: String,
    prompt: String,
    temperature: f32,
    top_k: Option<usize>,
    top_p: Option<f32>,
    min_p: Option<f32>,
    seed: u64,
}

impl Default for Params {
    fn default() -> Self {
        Self {
            title: "The next token".into(),
            prompt: "The capital of France is".into(),
            temperature: 1.0,
            top_k: None,
            top_p: None,
            min_p: None,
            seed: 42,
        }
    }
}

/// A share said in advance, and what it was.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Share {
    prompt: String,
    /// Percent.
    said: f64,
    /// The word said, if any.
    word: Option<String>,
    /// Percent and the winning token, once known.
    is: Option<(f64, String)>,
    /// Whether the bars of this prompt were seen before.
    stale: bool,
}

/// A number of survivors said in advance, and what it was.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Survivors {
    said: usize,
    is: usize,
    /// Why it does not count, if it does not.
    excuse: Option<String>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct State {
    prompt: Option<String>,
    settings: Option<Settings>,
    share: Option<Share>,
    survivors: Option<Survivors>,
    /// Prompts whose bars were on the screen.
    seen: Vec<String>,
    /// Evidence of the goals reached.
    predict_share: Option<String>,
    two_survive: Option<String>,
    predict_survivors: Option<String>,
    sample: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The prompt is being edited.
    Prompt,
    /// The share of the likeliest token is being predicted; the bars are hidden.
    Share,
    /// Bars and settings are live.
    Live,
    /// Settings are being changed with the bars as they were; the number of survivors will be predicted.
    Plan,
    /// The number of survivors is being typed.
    Count,
}

/// What the settings make of the logits, computed when either changes.
#[derive(Debug, Default)]
struct Outlook {
    /// Likeliest first.
    all: Vec<engine::Share>,
    survivors: usize,
    /// How many top-k and top-p alone would leave; what is cut behind that, min-p cut.
    before_min_p: usize,
}

#[derive(Debug)]
struct NextToken {
    params: Params,
    stage: Stage,
    prompt: Input,
    /// The prediction being typed.
    typed: Input,
    slider: Slider,
    settings: Settings,
    /// Settings before the plan, for the bars.
    before: Settings,
    state: State,
    next: Option<NextTokens>,
    outlook: Outlook,
    /// Settings whose survivors were on the screen, for this prompt.
    shown: HashSet<Settings>,
    draws: Option<Draws>,
    seed: u64,
    explain: bool,
    trouble: Option<String>,
}

/// Opens the lab.
pub fn open(params: &str, state: Option<&str>) -> Box<dyn Lab> {
    let params: Params = read(params);
    let state: State = state.map(read).unwrap_or_default();
    let prompt = state.prompt.clone().unwrap_or_else(|| params.prompt.clone());
    let settings = state.settings.unwrap_or_else(|| Settings::of(&params));
    let predicted = state.share.as_ref().is_some_and(|share| share.prompt == prompt);
    Box::new(NextToken {
        stage: if predicted { Stage::Live } else { Stage::Share },
        prompt: Input::new(prompt),
        typed: Input::default(),
        slider: Slider::Temperature,
        settings,
        before: settings,
        state,
        next: None,
        outlook: Outlook::default(),
        shown: HashSet::new(),
        draws: None,
        seed: params.seed,
        explain: false,
        trouble: None,
        params,
    })
}

impl NextToken {
    fn run(&mut self) -> Reaction {
        self.next = None;
        self.outlook = Outlook::default();
        self.shown.clear();
        self.draws = None;
        self.trouble = None;
        Reaction::Start(Job::Next { prompt: Prompt::Text(self.prompt.text().to_string()) })
    }

    /// Recomputes the distribution; called whenever logits or settings change, never while drawing.
    fn compute(&mut self) {
        let Some(next) = self.next.as_ref().filter(|next| !next.logits.is_empty()) else { return };
        let sampling = self.settings.sampling();
        let all = engine::distribution(&next.logits, &sampling);
        let survivors = all.iter().filter(|c| c.2).count();
        let before_min_p = match sampling.min_p {
            None => survivors,
            Some(_) => {
                let without = SamplingParams { min_p: None, ..sampling };
                engine::distribution(&next.logits, &without).iter().filter(|c| c.2).count()
            }
        };
        self.outlook = Outlook { survivors, before_min_p, all };
        self.draws = None;
        if self.stage == Stage::Live {
            self.look();
        }
    }

    /// The survivors are on the screen now.
    fn look(&mut self) {
        if self.outlook.all.is_empty() {
            return;
        }
        self.shown.insert(self.settings);
        let prompt = self.prompt.text().to_string();
        if !self.state.seen.contains(&prompt) {
            // Enough for a lesson; a learner who writes more prompts than this has understood.
            self.state.seen.truncate(200);
            self.state.seen.push(prompt);
        }
        let own = self.settings != Settings::of(&self.params);
        if own && self.outlook.survivors == 2 && !self.only_top_k() && self.state.two_survive.is_none() {
            self.state.two_survive =
                Some(json!({ "prompt": self.prompt.text(), "settings": self.settings }).to_string());
        }
    }

    /// Whether top-k alone, by its number, decides how many survive: that is no discovery.
    fn only_top_k(&self) -> bool {
        self.settings.top_k == Some(self.outlook.survivors)
    }

    fn reveal(&mut self) {
        let Some(next) = &self.next else { return };
        let Some(share) = &mut self.state.share else { return };
        if share.is.is_some() || share.prompt != self.prompt.text() {
            return;
        }
        let Some(&(id, probability, _)) = self.outlook.all.first() else { return };
        let percent = f64::from(probability) * 100.0;
        let winner = next.top.iter().find(|t| t.0.id == id).map(|t| t.0.lossy()).unwrap_or_default();
        share.is = Some((percent, winner.clone()));
        // Who names a token means that one: the share of another is no hit.
        let named = share.word.as_ref().is_none_or(|word| word.eq_ignore_ascii_case(winner.trim()));
        if !share.stale && named && (share.said - percent).abs() <= 10.0 && self.state.predict_share.is_none() {
            let evidence = json!({
                "prompt": share.prompt, "said_percent": share.said, "is_percent": percent, "token": winner,
                "settings": self.settings,
            });
            self.state.predict_share = Some(evidence.to_string());
        }
    }

    /// `50`, `50%`, `Paris 50`: the last number is the share, what stands before it the word.
    fn commit_share(&mut self) -> Reaction {
        let typed = self.typed.text().trim().trim_end_matches('%').trim_end().replace(',', ".");
        let at = typed.rfind(|c: char| !(c.is_ascii_digit() || c == '.')).map_or(0, |at| at + 1);
        let at = (at..=typed.len()).find(|i| typed.is_char_boundary(*i)).unwrap_or(typed.len());
        let Ok(said) = typed[at..].parse::<f64>() else { return Reaction::Handled };
        if !(0.0..=100.0).contains(&said) {
            return Reaction::Handled;
        }
        let word = typed[..at].trim().trim_matches('"').trim();
        let prompt = self.prompt.text().to_string();
        self.state.share = Some(Share {
            stale: self.state.seen.contains(&prompt),
            prompt,
            said,
            word: (!word.is_empty()).then(|| word.to_string()),
            is: None,
        });
        self.typed = Input::default();
        self.stage = Stage::Live;
        self.compute();
        self.reveal();
        Reaction::Handled
    }

    fn commit_survivors(&mut self) -> Reaction {
        let Ok(said) = self.typed.text().trim().parse::<usize>() else { return Reaction::Handled };
        let already = self.shown.contains(&self.settings);
        self.typed = Input::default();
        self.stage = Stage::Live;
        self.compute();
        let is = self.outlook.survivors;
        let excuse = if already {
            Some("You have seen these settings before, so it does not count: plan another change.")
        } else if self.only_top_k() {
            Some("Top-k says this number by itself, so it does not count: let top-p, min-p or temperature decide.")
        } else if is < 2 {
            Some("A single survivor is too easy to count: leave at least two.")
        } else {
            None
        };
        if said == is && excuse.is_none() && self.state.predict_survivors.is_none() {
            let evidence = json!({ "prompt": self.prompt.text(), "settings": self.settings, "said": said, "is": is });
            self.state.predict_survivors = Some(evidence.to_string());
        }
        self.state.survivors = Some(Survivors { said, is, excuse: excuse.map(str::to_string) });
        Reaction::Handled
    }

    fn sample(&mut self) -> Reaction {
        if self.outlook.all.is_empty() {
            return Reaction::Handled;
        }
        // Each press is a new seed, so that the learner sees chance at work; the first is the lesson's.
        let seed = self.draws.as_ref().map_or(self.seed, |d| d.seed + 1);
        let draws = draws::draw(&self.outlook.all, seed);
        if draws.agrees() && self.state.sample.is_none() {
            let evidence = json!({
                "prompt": self.prompt.text(), "settings": self.settings, "seed": seed, "draws": DRAWS,
                "chi_square": draws.chi_square, "bound": draws.bound, "cells": draws.cells,
            });
            self.state.sample = Some(evidence.to_string());
        }
        self.draws = Some(draws);
        Reaction::Handled
    }

    fn on_live_key(&mut self, key: KeyPress) -> Reaction {
        let planning = self.stage == Stage::Plan;
        let sliders = Slider::ALL.iter().position(|s| *s == self.slider).unwrap_or(0);
        match key.key {
            Key::Up if sliders > 0 => self.slider = Slider::ALL[sliders - 1],
            Key::Down if sliders + 1 < Slider::ALL.len() => self.slider = Slider::ALL[sliders + 1],
            Key::Up | Key::Down => {}
            Key::Left | Key::Right => {
                self.settings.turn(self.slider, key.key == Key::Right);
                if !planning {
                    self.state.survivors = None;
                    self.compute();
                }
            }
            Key::Char('r') => {
                self.settings = Settings::of(&self.params);
                if !planning {
                    self.state.survivors = None;
                    self.compute();
                }
            }
            Key::Esc if self.explain => self.explain = false,
            Key::Esc if planning => {
                self.settings = self.before;
                self.stage = Stage::Live;
            }
            Key::Char('w') => self.explain = !self.explain,
            Key::Enter if planning && self.settings != self.before => self.stage = Stage::Count,
            Key::Char('p') if !planning && self.next.is_some() => {
                self.before = self.settings;
                self.state.survivors = None;
                self.draws = None;
                self.stage = Stage::Plan;
            }
            Key::Char('s') if !planning => return self.sample(),
            Key::Char('e') if !planning => self.stage = Stage::Prompt,
            _ => return Reaction::Ignored,
        }
        Reaction::Handled
    }

    fn on_typing_key(&mut self, key: KeyPress) -> Reaction {
        let typing = |edit| if edit == Edit::Ignored { Reaction::Ignored } else { Reaction::Handled };
        match (self.stage, key.key) {
            (Stage::Prompt, Key::Esc) => {
                let prompt = self.state.share.as_ref().map_or(self.params.prompt.clone(), |s| s.prompt.clone());
                if self.prompt.text() == prompt || self.next.is_some() {
                    self.prompt = Input::new(prompt);
                    self.stage = if self.state.share.is_some() { Stage::Live } else { Stage::Share };
                }
                Reaction::Handled
            }
            (Stage::Prompt, Key::Enter) if self.prompt.is_empty() => Reaction::Handled,
            (Stage::Prompt, Key::Enter) => {
                self.stage = Stage::Share;
                self.state.share = None;
                self.state.survivors = None;
                self.run()
            }
            (Stage::Prompt, _) => typing(self.prompt.on_key(key)),
            (Stage::Share, Key::Tab) => {
                self.stage = Stage::Prompt;
                Reaction::Handled
            }
            (Stage::Share, Key::Enter) => self.commit_share(),
            (Stage::Count, Key::Enter) => self.commit_survivors(),
            (Stage::Count, Key::Esc) => {
                self.stage = Stage::Plan;
                self.typed = Input::default();
                Reaction::Handled
            }
            (Stage::Count, Key::Char(c)) if key.typed().is_some() && !c.is_ascii_digit() => Reaction::Handled,
            _ => typing(self.typed.on_key(key)),
        }
    }
}

impl Lab for NextToken {
    fn title(&self) -> String {
        self.params.title.clone()
    }

    fn is_typing(&self) -> bool {
        matches!(self.stage, Stage::Prompt | Stage::Share | Stage::Count)
    }

    fn bindings(&self) -> Vec<KeyHelp> {
        match self.stage {
            Stage::Prompt => vec![named("enter", Key::Enter, "this prompt"), named("esc", Key::Esc, "as before")],
            Stage::Share => vec![named("enter", Key::Enter, "predict"), named("tab", Key::Tab, "edit the prompt")],
            Stage::Count => vec![named("enter", Key::Enter, "check"), named("esc", Key::Esc, "back to the plan")],
            Stage::Plan => vec![
                named("←→", Key::Right, "change"),
                named("↑↓", Key::Down, "which"),
                named("enter", Key::Enter, "predict"),
                letter("r", 'r', "as at first"),
                letter("w", 'w', "why"),
                named("esc", Key::Esc, "drop the plan"),
            ],
            Stage::Live => vec![
                named("←→", Key::Right, "change"),
                named("↑↓", Key::Down, "which"),
                letter("p", 'p', "plan a change"),
                letter("s", 's', "sample 200"),
                letter("e", 'e', "edit prompt"),
                letter("w", 'w', "why"),
                letter("r", 'r', "as at first"),
            ],
        }
    }

    fn on_key(&mut self, key: KeyPress) -> Reaction {
        if self.is_typing() {
            return self.on_typing_key(key);
        }
        if key.ctrl || key.alt {
            return Reaction::Ignored;
        }
        self.on_live_key(key)
    }

    fn on_paste(&mut self, text: &str) -> Reaction {
        match self.stage {
            Stage::Prompt => drop(self.prompt.paste(text)),
            Stage::Share => drop(self.typed.paste(text.lines().next().unwrap_or(""))),
            _ => return Reaction::Ignored,
        }
        Reaction::Handled
    }

    fn on_update(&mut self, update: Update) {
        match update {
            Update::Next(next) => {
                self.next = Some(next);
                self.compute();
                self.reveal();
            }
            Update::Failed(error) => self.trouble = Some(error.to_string()),
            _ => {}
        }
    }

    fn start(&mut self) -> Reaction {
        self.run()
    }

    fn goals(&self) -> Vec<Goal> {
        vec![
            Goal {
                id: "predict-share",
                text: "say within 10 points how likely the likeliest token is".into(),
                reached: self.state.predict_share.clone(),
            },
            Goal {
                id: "two-survive",
                text: "choose settings under which exactly two tokens survive, not by top-k 2 alone".into(),
                reached: self.state.two_survive.clone(),
            },
            Goal {
                id: "predict-survivors",
                text: "plan a change (p) and say exactly how many tokens will survive".into(),
                reached: self.state.predict_survivors.clone(),
            },
            Goal {
                id: "sample",
                text: "draw 200 samples (s) from two or more survivors; the draws must agree with the bars".into(),
                reached: self.state.sample.clone(),
            },
        ]
    }

    fn state(&self) -> String {
        let mut state = json!(self.state);
        state["prompt"] = json!(self.prompt.text());
        state["settings"] =
            json!(if matches!(self.stage, Stage::Plan | Stage::Count) { self.before } else { self.settings });
        state.to_string()
    }

    fn view(&self, area: Rect, buf: &mut Buffer, theme: &Theme) {
        view::draw(self, area, buf, theme);
    }

    fn plain(&self) -> Vec<String> {
        view::plain(self)
    }
}
