//! The lab `tokens`: a text, and the pieces the model reads.
//!
//! What to see: a token is no word and no letter. Common words are one piece with their space, rare words are
//! several, an emoji may take three tokens for one character, and a shorter text is not always the cheaper one.
//! The learner first says how many tokens a text will have; then everything is live: each key cuts the text anew.

use std::collections::HashSet;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};
use serde::{Deserialize, Serialize};
use serde_json::json;
use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

use super::widgets::{below, count, draw_lines, fit, flow, piece, plain_lines, top, wrap};
use super::{Edit, Goal, Input, Key, KeyHelp, KeyPress, Lab, Reaction, letter, named, read};
use crate::engine::{Job, TextToken, Update};
use crate::text::SafeText;
use crate::theme::{Palette, Theme};

/// Keys of the lesson's fence.
pub const KEYS: &[&str] = &["title", "text", "budget", "keep", "samples"];

/// A prediction of fewer tokens than this is too easy to count.
const LEAST_TOKENS: usize = 5;

const WHY: &str = "The tokenizer was learned from text before the model was: pairs of bytes that stood together often \
became one token, again and again, until the vocabulary was full. What was common in that text is short here; what \
was rare is cut into small pieces, down to single bytes. The model sees the ids only, never the letters. Price, speed \
and context are counted in tokens.";

#[derive(Debug, Deserialize)]
#[serde(default)]
struct Params {
    title: String,
    text: String,
    budget: usize,
    keep: Vec<String>,
    samples: Vec<String>,
}

impl Default for Params {
    fn default() -> Self {
        Self {
            title: "Tokens".into(),
            text: "It is important to note that, in order to be able to make use of the model, you will first of all \
                   need to read the licence."
                .into(),
            budget: 14,
            keep: vec!["model".into(), "licence".into()],
            samples: vec![],
        }
    }
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct State {
    text: Option<String>,
    sample: usize,
    revealed: bool,
    predicted: Option<Guess>,
    /// Evidence of the goals reached.
    predict: Option<String>,
    budget: Option<String>,
    long_character: Option<String>,
}

/// A prediction and what came of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Guess {
    text: String,
    said: usize,
    is: Option<usize>,
    /// Why it does not count towards the goal.
    excuse: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Focus {
    /// The number of tokens is being typed; the pieces are hidden.
    Number,
    /// The text is being written, the pieces still hidden.
    HiddenText,
    /// The text is being written, the pieces are live.
    Text,
}

#[derive(Debug)]
struct Tokens {
    params: Params,
    text: Input,
    number: Input,
    focus: Focus,
    state: State,
    /// The text of the run under way.
    asked: Option<String>,
    /// The last text that was cut, and its tokens.
    cut: Option<(String, Vec<TextToken>)>,
    /// Texts whose pieces were on the screen: predicting them proves nothing.
    seen: HashSet<String>,
    trouble: Option<String>,
    explain: bool,
}

/// Opens the lab.
pub fn open(params: &str, state: Option<&str>) -> Box<dyn Lab> {
    let params: Params = read(params);
    let state: State = state.map(read).unwrap_or_default();
    let text = state.text.clone().unwrap_or_else(|| params.text.clone());
    let focus = if state.revealed { Focus::Text } else { Focus::Number };
    let seen = if state.revealed { HashSet::from([text.clone()]) } else { HashSet::new() };
    Box::new(Tokens {
        text: Input::new(text),
        number: Input::default(),
        focus,
        state,
        asked: None,
        cut: None,
        seen,
        trouble: None,
        explain: false,
        params,
    })
}

impl Tokens {
    fn tokenize(&mut self) -> Reaction {
        let text = self.text.text().to_string();
        self.trouble = None;
        self.asked = Some(text.clone());
        Reaction::Start(Job::Tokenize { text })
    }

    fn predict_anew(&mut self, focus: Focus) {
        self.state.predicted = None;
        self.state.revealed = false;
        self.number = Input::default();
        self.cut = None;
        self.asked = None;
        self.focus = focus;
    }

    fn commit(&mut self) -> Reaction {
        let said = match self.number.text().trim().parse::<usize>() {
            Ok(said) if !self.text.is_empty() => said,
            _ => return Reaction::Handled,
        };
        let text = self.text.text().to_string();
        let excuse = self.seen.contains(&text).then(|| {
            "You have seen the pieces of this text already, so it does not count: change the text (tab) and predict again."
                .to_string()
        });
        self.state.predicted = Some(Guess { text, said, is: None, excuse });
        self.state.revealed = true;
        self.focus = Focus::Text;
        self.tokenize()
    }

    fn take(&mut self, tokens: Vec<TextToken>) {
        let Some(text) = self.asked.take() else { return };
        let number = tokens.len();
        if let Some(guess) = &mut self.state.predicted
            && guess.is.is_none()
            && guess.text == text
        {
            guess.is = Some(number);
            if guess.excuse.is_none() && number < LEAST_TOKENS {
                guess.excuse = Some(format!(
                    "A text of {} is too easy to count: take one of at least {LEAST_TOKENS}.",
                    count(number, "token")
                ));
            }
            if guess.excuse.is_none() && is_close(guess.said, number) && self.state.predict.is_none() {
                let evidence = json!({ "text": text, "predicted": guess.said, "tokens": number });
                self.state.predict = Some(evidence.to_string());
            }
        }
        if self.has_budget()
            && self.state.budget.is_none()
            && number <= self.params.budget
            && missing_words(&text, &self.params.keep).is_empty()
        {
            let evidence = json!({ "text": text, "tokens": number, "budget": self.params.budget });
            self.state.budget = Some(evidence.to_string());
        }
        if let Some((character, takes)) = longest_character(&text, &tokens)
            && takes >= 3
            && self.state.long_character.is_none()
        {
            let evidence = json!({ "character": character.to_string(), "tokens": takes });
            self.state.long_character = Some(evidence.to_string());
        }
        self.seen.insert(text.clone());
        self.cut = Some((text, tokens));
    }

    fn has_budget(&self) -> bool {
        self.params.budget > 0 && !self.params.keep.is_empty()
    }

    fn on_text_key(&mut self, key: KeyPress) -> Reaction {
        match self.text.on_key(key) {
            Edit::Ignored => Reaction::Ignored,
            Edit::Moved => Reaction::Handled,
            Edit::Changed if self.focus == Focus::Text => self.tokenize(),
            Edit::Changed => Reaction::Handled,
        }
    }

    fn next_sample(&mut self) -> Reaction {
        if self.params.samples.is_empty() {
            return Reaction::Ignored;
        }
        self.text = Input::new(self.params.samples[self.state.sample % self.params.samples.len()].clone());
        self.state.sample = (self.state.sample + 1) % self.params.samples.len();
        if self.focus == Focus::Text { self.tokenize() } else { Reaction::Handled }
    }

    /// What the learner should read between text and pieces.
    fn verdict(&self, width: u16) -> Option<(String, bool)> {
        let guess = self.state.predicted.as_ref()?;
        let is = guess.is.filter(|_| self.text.text() == guess.text)?;
        let off = guess.said.abs_diff(is);
        let close = is_close(guess.said, is);
        let mut text = format!("You said {}; it is {is}: ", guess.said);
        text.push_str(&match (off, close) {
            (0, _) => "exactly.".to_string(),
            (off, true) => format!("{off} off, close enough."),
            (off, false) if width < 60 => format!("{off} off."),
            (off, false) => format!("{off} off. Within 10% (or 1) counts: enter predicts another text."),
        });
        if let Some(excuse) = guess.excuse.as_ref().filter(|_| self.state.predict.is_none()) {
            text = format!("{text} {excuse}");
        }
        Some((text, close))
    }

    fn numbers(&self, width: u16) -> Option<String> {
        let (text, tokens) = self.cut.as_ref()?;
        let characters = text.graphemes(true).count();
        if width < 60 {
            return Some(format!("{} · {}", count(tokens.len(), "token"), count(text.len(), "byte")));
        }
        let ratio = if tokens.is_empty() { 0.0 } else { characters as f64 / tokens.len() as f64 };
        Some(format!(
            "{} · {} · {} · {ratio:.1} characters a token",
            count(tokens.len(), "token"),
            count(characters, "character"),
            count(text.len(), "byte")
        ))
    }

    fn budget_line(&self, width: u16) -> Option<(String, bool)> {
        let (text, tokens) = self.cut.as_ref()?;
        if !self.has_budget() {
            return None;
        }
        let missing = missing_words(text, &self.params.keep);
        let over = tokens.len().saturating_sub(self.params.budget);
        let mut line = format!("Budget {}: ", self.params.budget);
        line.push_str(&match over {
            0 => "kept".to_string(),
            over => format!("{over} too many"),
        });
        line.push_str(&match missing.is_empty() {
            true if width < 60 => String::new(),
            true => format!("; says {}", listed(&self.params.keep)),
            false => format!("; still to say: {}", listed(&missing)),
        });
        Some((line, over == 0 && missing.is_empty()))
    }

    fn table_line(token: &TextToken) -> String {
        let bytes: Vec<String> = token.bytes.iter().map(|b| format!("{b:02X}")).collect();
        let special = if token.special { " (special)" } else { "" };
        format!("{:>6}  {} {}{special}", token.id, fit(&piece(token), 14), bytes.join(" "))
    }

    /// Head lines: text field, verdict, numbers. `None` when pieces are hidden.
    fn draw_hidden(&self, area: Rect, buf: &mut Buffer, theme: &Theme) {
        let rest = self.draw_field(area, buf, theme);
        let mut lines = wrap("How many tokens will the model see?", area.width, theme.strong);
        lines.push(Line::default());
        let used = draw_lines(&lines, below(rest, 1), buf);
        let row = below(rest, 1 + used);
        let label = "Your prediction  ";
        draw_lines(&[Line::styled(label, theme.quiet)], top(row, 1), buf);
        let at = (label.len() as u16).min(row.width);
        let field = Rect { x: row.x + at, width: row.width - at, height: 1.min(row.height), ..row };
        self.number.draw(field, buf, theme.text, self.focus == Focus::Number);
        let hint = if self.focus == Focus::Number {
            "A number, then enter. A guide: an English word is often one token with its space. tab changes the text."
        } else {
            "Write any text; its pieces stay hidden until you have predicted. tab goes to the prediction."
        };
        draw_lines(&wrap(hint, area.width, theme.quiet), below(row, 2), buf);
    }

    fn draw_field(&self, area: Rect, buf: &mut Buffer, theme: &Theme) -> Rect {
        let focused = self.focus != Focus::Number;
        let label = "Text  ";
        draw_lines(&[Line::styled(label, theme.quiet)], top(area, 1), buf);
        let at = (label.len() as u16).min(area.width);
        let field = Rect { x: area.x + at, width: area.width - at, ..area };
        let (lines, _) = self.text.lines(field.width, theme.text, focused);
        let rows = (lines.len() as u16).clamp(1, (area.height / 4).max(1));
        self.text.draw(top(field, rows), buf, theme.text, focused);
        below(area, rows)
    }

    fn strip(&self, theme: &Theme) -> Vec<(String, Style)> {
        let Some((_, tokens)) = &self.cut else { return vec![] };
        let mut runs = vec![];
        for (i, token) in tokens.iter().enumerate() {
            if i > 0 {
                runs.push(("│".to_string(), theme.quiet));
            }
            runs.push((piece(token), piece_style(i, theme)));
        }
        runs
    }
}

/// Pieces alternate between underlined and reversed, so that their ends show without any colour.
fn piece_style(i: usize, theme: &Theme) -> Style {
    let base = if theme.palette == Palette::Monochrome { theme.text } else { theme.accent };
    base.add_modifier(if i.is_multiple_of(2) { Modifier::UNDERLINED } else { Modifier::REVERSED })
}

/// Within 10%, or 1.
fn is_close(said: usize, is: usize) -> bool {
    said.abs_diff(is) * 10 <= is.max(10)
}

/// The words of `keep` that `text` lacks; case does not count.
fn missing_words(text: &str, keep: &[String]) -> Vec<String> {
    let have: HashSet<String> = text.unicode_words().map(str::to_lowercase).collect();
    let lacks = |word: &&String| !word.unicode_words().all(|w| have.contains(&w.to_lowercase()));
    keep.iter().filter(lacks).cloned().collect()
}

/// The character that is spread over most tokens, with their number; `None` when the bytes are not those of `text`.
fn longest_character(text: &str, tokens: &[TextToken]) -> Option<(char, usize)> {
    let owner: Vec<usize> =
        tokens.iter().enumerate().flat_map(|(i, token)| token.bytes.iter().map(move |_| i)).collect();
    if owner.len() != text.len() {
        return None;
    }
    let takes = |(at, c): (usize, char)| (c, owner[at + c.len_utf8() - 1] - owner[at] + 1);
    text.char_indices().map(takes).max_by_key(|(_, takes)| *takes)
}

fn listed(words: &[String]) -> String {
    words.iter().map(|w| format!("`{}`", SafeText::line(w.as_str()))).collect::<Vec<_>>().join(", ")
}

impl Lab for Tokens {
    fn title(&self) -> String {
        self.params.title.clone()
    }

    fn is_typing(&self) -> bool {
        true
    }

    fn bindings(&self) -> Vec<KeyHelp> {
        let mut keys = vec![];
        match self.focus {
            Focus::Number => {
                keys.push(named("enter", Key::Enter, "predict"));
                keys.push(named("tab", Key::Tab, "change the text"));
            }
            Focus::HiddenText => keys.push(named("tab", Key::Tab, "to the prediction")),
            Focus::Text => {
                keys.push(letter("type", 'a', "change the text"));
                keys.push(named("enter", Key::Enter, "predict another"));
            }
        }
        if !self.params.samples.is_empty() {
            keys.push(KeyHelp { keys: "^n", what: "next example", press: KeyPress::ctrl('n') });
        }
        keys.push(KeyHelp { keys: "^r", what: "first text", press: KeyPress::ctrl('r') });
        keys.push(KeyHelp { keys: "^y", what: "why", press: KeyPress::ctrl('y') });
        keys
    }

    fn on_key(&mut self, key: KeyPress) -> Reaction {
        match key {
            _ if key == KeyPress::ctrl('y') => {
                self.explain = !self.explain;
                Reaction::Handled
            }
            _ if key == KeyPress::ctrl('n') => self.next_sample(),
            _ if key == KeyPress::ctrl('r') => {
                self.text = Input::new(self.params.text.clone());
                if self.focus == Focus::Text { self.tokenize() } else { Reaction::Handled }
            }
            KeyPress { key: Key::Esc, .. } if self.explain => {
                self.explain = false;
                Reaction::Handled
            }
            KeyPress { key: Key::Tab | Key::BackTab, .. } => {
                match self.focus {
                    Focus::Number => self.focus = Focus::HiddenText,
                    Focus::HiddenText => self.focus = Focus::Number,
                    Focus::Text => return Reaction::Ignored,
                }
                Reaction::Handled
            }
            KeyPress { key: Key::Enter, .. } => match self.focus {
                Focus::Number => self.commit(),
                Focus::HiddenText => {
                    self.focus = Focus::Number;
                    Reaction::Handled
                }
                Focus::Text => {
                    self.predict_anew(Focus::HiddenText);
                    Reaction::Cancel
                }
            },
            _ if self.focus == Focus::Number => match key.typed() {
                Some(c) if !c.is_ascii_digit() || self.number.text().len() >= 6 => Reaction::Handled,
                _ => match self.number.on_key(key) {
                    Edit::Ignored => Reaction::Ignored,
                    _ => Reaction::Handled,
                },
            },
            _ => self.on_text_key(key),
        }
    }

    fn on_paste(&mut self, text: &str) -> Reaction {
        if self.focus == Focus::Number {
            self.focus = Focus::HiddenText;
        }
        self.text.paste(text);
        if self.focus == Focus::Text { self.tokenize() } else { Reaction::Handled }
    }

    fn on_update(&mut self, update: Update) {
        match update {
            Update::Tokens(tokens) => self.take(tokens),
            Update::Failed(error) => {
                self.asked = None;
                self.trouble = Some(error.to_string());
            }
            _ => {}
        }
    }

    fn start(&mut self) -> Reaction {
        if self.state.revealed { self.tokenize() } else { Reaction::Start(Job::Open) }
    }

    fn goals(&self) -> Vec<Goal> {
        let mut goals = vec![Goal {
            id: "predict",
            text: format!("predict the number of tokens within 10% (or 1), at least {LEAST_TOKENS} tokens"),
            reached: self.state.predict.clone(),
        }];
        if self.has_budget() {
            goals.push(Goal {
                id: "budget",
                text: format!("say it in at most {} tokens; keep {}", self.params.budget, listed(&self.params.keep)),
                reached: self.state.budget.clone(),
            });
        }
        goals.push(Goal {
            id: "long-character",
            text: "find a single character that takes three tokens or more".into(),
            reached: self.state.long_character.clone(),
        });
        goals
    }

    fn state(&self) -> String {
        let state = json!({
            "text": self.text.text(),
            "sample": self.state.sample,
            "revealed": self.state.revealed,
            "predicted": self.state.predicted,
            "predict": self.state.predict,
            "budget": self.state.budget,
            "long_character": self.state.long_character,
        });
        state.to_string()
    }

    fn view(&self, area: Rect, buf: &mut Buffer, theme: &Theme) {
        if self.explain {
            draw_lines(&wrap(WHY, area.width, theme.text), area, buf);
            return;
        }
        if self.focus != Focus::Text {
            self.draw_hidden(area, buf, theme);
            return;
        }
        let mut rest = below(self.draw_field(area, buf, theme), 1);
        if let Some((verdict, close)) = self.verdict(area.width) {
            let style = if close { theme.good } else { theme.warn };
            rest = below(rest, draw_lines(&wrap(&verdict, area.width, style), rest, buf));
        }
        if let Some(trouble) = &self.trouble {
            rest = below(rest, draw_lines(&wrap(trouble, area.width, theme.warn), rest, buf));
        }
        let Some((_, tokens)) = &self.cut else { return };
        let mut lines = wrap(&self.numbers(area.width).unwrap_or_default(), area.width, theme.strong);
        if let Some((budget, kept)) = self.budget_line(area.width) {
            lines.extend(wrap(&budget, area.width, if kept { theme.good } else { theme.text }));
        }
        rest = below(rest, draw_lines(&lines, rest, buf));
        let strip = flow(&self.strip(theme), area.width);
        let room = rest.height.saturating_sub(1) / 2 + 1;
        rest = below(below(rest, 1), draw_lines(&strip, top(below(rest, 1), room), buf));
        draw_table(tokens, below(rest, 1), buf, theme);
    }

    fn plain(&self) -> Vec<String> {
        let mut lines = vec![format!("Text: {}", SafeText::new(self.text.text()))];
        if self.explain {
            lines.push(WHY.to_string());
        }
        match self.focus {
            Focus::Text => {
                lines.extend(self.verdict(u16::MAX).map(|v| v.0));
                lines.extend(self.trouble.clone().map(|t| SafeText::new(t).into_string()));
                lines.extend(self.numbers(u16::MAX));
                lines.extend(self.budget_line(u16::MAX).map(|b| b.0));
                let tokens = self.cut.as_ref().map(|c| c.1.as_slice()).unwrap_or_default();
                lines.push("    id  piece          bytes".into());
                lines.extend(tokens.iter().map(Self::table_line));
            }
            _ => {
                lines.push("How many tokens will the model see?".into());
                lines.push(format!("Your prediction: {}", self.number.text()));
            }
        }
        plain_lines(&lines.iter().map(|l| Line::raw(l.as_str())).collect::<Vec<_>>())
    }
}

/// Ids, pieces and bytes in as many columns as fit.
fn draw_table(tokens: &[TextToken], area: Rect, buf: &mut Buffer, theme: &Theme) {
    const COLUMN: u16 = 38;
    if area.height < 3 {
        return;
    }
    let columns = (area.width / COLUMN).max(1);
    let fits = usize::from(columns * (area.height - 1)) >= tokens.len();
    let rows = area.height - if fits { 1 } else { 2 };
    for column in 0..columns {
        let first = usize::from(column * rows);
        if first >= tokens.len() {
            break;
        }
        let x = area.x + column * COLUMN;
        let width = COLUMN.min(area.width);
        draw_lines(&[Line::styled("    id  piece          bytes", theme.quiet)], Rect { x, width, ..area }, buf);
        let lines: Vec<Line<'_>> = tokens[first..]
            .iter()
            .take(usize::from(rows))
            .map(|token| {
                let text = Tokens::table_line(token);
                let cut = if text.width() >= usize::from(width) { fit(&text, usize::from(width) - 1) } else { text };
                Line::from(Span::styled(cut, theme.text))
            })
            .collect();
        draw_lines(&lines, Rect { x, y: area.y + 1, width, height: rows }, buf);
    }
    if !fits {
        let more = format!("{} more", count(tokens.len().saturating_sub(usize::from(columns * rows)), "token"));
        draw_lines(&[Line::styled(more, theme.quiet)], below(area, area.height - 1), buf);
    }
}
