//! A quiz or a review: question, answer, how sure, verdict, and when it is asked again.
//!
//! The verdict shows at once; that an answer is kept is said only when the record has said so (`Recorded`). An
//! attempt has its id from the moment its question is shown, so that trying again never counts twice. Where the
//! learner is in a quiz is kept like a lab's state; a review needs no place, since what was answered is not due.

mod form;
mod page;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use self::form::{Form, Given};
use self::page::{Page, Spot};
use super::lines::column;
use super::{Outcome, Route, Shared};
use crate::content::{Answer, Question, Verdict, mark};
use crate::labs::{Key, KeyHelp, KeyPress};
use crate::progress::{Card, Confidence};
use crate::ui::event::{Effect, Event, Mouse, MouseAction, NewAttempt};

/// Reading width.
const WIDTH: u16 = 72;

/// A question with its place in the record.
#[derive(Debug)]
struct Item {
    /// Its key in the record.
    key: String,
    lesson: String,
    question: Question,
    /// What came of it in this round.
    result: Option<Answered>,
}

/// An answer given in this round.
#[derive(Clone, Debug, PartialEq)]
struct Answered {
    right: bool,
    confidence: Option<Confidence>,
    attempt: String,
    /// When it is asked again, once the record has said so.
    card: Option<Card>,
}

#[derive(Debug)]
enum Stage {
    /// The answer is being given.
    Asking,
    /// How sure?
    Sure(Answer),
    /// The verdict is on the screen.
    Told { answer: Answer, verdict: Verdict },
    /// All answered.
    Over,
}

/// Whether the answers of this round are on disk.
#[derive(Debug, Default)]
struct Unsaved {
    attempts: Vec<NewAttempt>,
    /// Why the last write failed.
    why: Option<String>,
}

/// The place in a quiz, as it is kept.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Place {
    /// `(item, right)` in the order of the quiz.
    done: Vec<(String, bool)>,
}

/// A quiz or a review.
#[derive(Debug)]
pub struct QuizScreen {
    title: String,
    mode: &'static str,
    /// The key under which the place is kept; none for a review.
    place: Option<String>,
    items: Vec<Item>,
    at: usize,
    form: Form,
    /// Id of the attempt whose question is shown.
    attempt: Uuid,
    stage: Stage,
    unsaved: Unsaved,
    size: (u16, u16),
    page: Page,
    top: usize,
    new_id: fn() -> Uuid,
}

impl QuizScreen {
    /// The quiz of a lesson.
    ///
    /// # Errors
    /// There is no such lesson or it has no quiz: the sentence for the status row.
    pub fn for_lesson(lesson: &str, shared: &Shared) -> Result<Self, String> {
        let library = &shared.library;
        let head = library.find_lesson(lesson).ok_or_else(|| format!("there is no lesson `{lesson}`"))?;
        let quiz = match library.quiz(&head.id) {
            Ok(Some(quiz)) if !quiz.questions.is_empty() => quiz,
            Ok(_) => return Err(format!("{} has no quiz yet", head.code())),
            Err(faults) => return Err(faults.first().map_or("the quiz cannot be read".into(), ToString::to_string)),
        };
        let title = format!("Quiz · {} {}", head.code(), head.title);
        let place = format!("quiz/{}", library.record_key(&quiz.path, &quiz.lesson));
        let items = quiz.questions.into_iter().map(|question| Item {
            key: library.record_key(&quiz.path, &format!("{}/{}", quiz.lesson, question.id)),
            lesson: quiz.lesson.clone(),
            question,
            result: None,
        });
        Ok(Self::new(title, "quiz", Some(place), items.collect(), Uuid::now_v7))
    }

    /// All items that are due.
    ///
    /// # Errors
    /// Nothing is due, or the record is not read yet: the sentence for the status row.
    pub fn review(shared: &Shared) -> Result<Self, String> {
        if !shared.summary_known {
            return Err("your record is still being read; try again in a moment".into());
        }
        let items: Vec<Item> = (shared.summary.due.iter())
            // A question that the content no longer has stays in the record and is not asked.
            .filter_map(|key| {
                let (lesson, question) = shared.library.question(key)?;
                Some(Item { key: key.clone(), lesson, question, result: None })
            })
            .collect();
        if items.is_empty() {
            let next = shared.summary.items.iter().filter_map(|i| i.due_on).filter(|day| *day > shared.today).min();
            return Err(match next {
                Some(day) => format!("nothing is due; the next review is {}", page::day(day, shared.today)),
                None => "nothing is due; answer a lesson's quiz, and its questions come back here".into(),
            });
        }
        Ok(Self::new("Review".into(), "review", None, items, Uuid::now_v7))
    }

    fn new(title: String, mode: &'static str, place: Option<String>, items: Vec<Item>, new_id: fn() -> Uuid) -> Self {
        let attempt = new_id();
        let form = Form::new(&items[0].question, seed(attempt));
        Self {
            title,
            mode,
            place,
            items,
            at: 0,
            form,
            attempt,
            stage: Stage::Asking,
            unsaved: Unsaved::default(),
            size: (80, 20),
            page: Page::default(),
            top: 0,
            new_id,
        }
    }

    /// Reads where the learner was.
    pub fn on_open(&mut self) -> Outcome {
        let mut effects = vec![Effect::Shown];
        effects.extend(self.place.clone().map(Effect::LoadLab));
        Outcome::Do(effects)
    }

    /// Whether keys are text now.
    pub fn is_typing(&self) -> bool {
        matches!(self.stage, Stage::Asking) && self.form.is_typing()
    }

    /// Title; place and results so far.
    pub fn header(&self, _shared: &Shared) -> (String, String) {
        let marks: String = (self.items.iter())
            .filter_map(|item| item.result.as_ref())
            .map(|result| if result.right { '✓' } else { '✗' })
            .collect();
        let at = (self.at + 1).min(self.items.len());
        // A long review would push the title away.
        let marks = if marks.chars().count() > 20 { String::new() } else { format!("  {marks}") };
        (self.title.clone(), format!("{at} of {}{marks}", self.items.len()))
    }

    /// What keys do here now.
    pub fn bindings(&self, _shared: &Shared) -> Vec<KeyHelp> {
        let key = |keys, what, press| KeyHelp { keys, what, press };
        let mut keys = match &self.stage {
            Stage::Asking => self.form.bindings(),
            Stage::Sure(_) => vec![
                key("1", "guess", KeyPress::char('1')),
                key("2", "fairly sure", KeyPress::char('2')),
                key("3", "sure", KeyPress::char('3')),
                key("enter", "skip", KeyPress::plain(Key::Enter)),
                key("backspace", "other answer", KeyPress::plain(Key::Backspace)),
            ],
            Stage::Told { verdict, .. } => {
                let next = if self.next_open().is_some() { "next" } else { "results" };
                let mut keys = vec![key("space", next, KeyPress::char(' '))];
                if !verdict.right && self.items[self.at].question.section.is_some() {
                    keys.insert(0, key("enter", "read again", KeyPress::plain(Key::Enter)));
                }
                keys
            }
            Stage::Over => vec![key("enter", "leave", KeyPress::plain(Key::Enter))],
        };
        if !self.unsaved.attempts.is_empty() && !matches!(self.stage, Stage::Asking | Stage::Sure(_)) {
            keys.push(key("r", "try to save again", KeyPress::char('r')));
        }
        // Where the learner decides whether to go on there is room to say it.
        let told = matches!(self.stage, Stage::Told { .. }) && self.place.is_some();
        let kept = if told { "leave (your place is kept)" } else { "leave" };
        keys.push(key("esc", kept, KeyPress::plain(Key::Esc)));
        keys
    }

    /// Takes a key.
    pub fn on_key(&mut self, key: KeyPress, shared: &Shared) -> Outcome {
        let outcome = self.take_key(key, shared);
        if outcome != Outcome::Ignored {
            self.lay_out(shared);
        }
        outcome
    }

    fn take_key(&mut self, key: KeyPress, shared: &Shared) -> Outcome {
        match key.key {
            Key::PageDown => return self.scroll(isize::from(self.size.1 as i16) - 2),
            Key::PageUp => return self.scroll(2 - isize::from(self.size.1 as i16)),
            _ => {}
        }
        match &self.stage {
            Stage::Asking => {
                let given = self.form.on_key(key);
                self.after(given)
            }
            Stage::Sure(answer) => {
                let confidence = match key.key {
                    Key::Char('1') => Some(Confidence::Guess),
                    Key::Char('2') => Some(Confidence::Fair),
                    Key::Char('3') => Some(Confidence::Sure),
                    Key::Enter | Key::Char(' ') => None,
                    Key::Backspace => {
                        self.stage = Stage::Asking;
                        return Outcome::Handled;
                    }
                    _ => return Outcome::Ignored,
                };
                let answer = answer.clone();
                self.tell(answer, confidence, shared)
            }
            Stage::Told { verdict, .. } => match key.key {
                Key::Enter if !verdict.right => self.read_again().unwrap_or_else(|| self.next()),
                Key::Enter | Key::Char(' ' | 'n') | Key::Right => self.next(),
                Key::Char('r') => self.save_again(),
                Key::Up | Key::Char('k') => self.scroll(-1),
                Key::Down | Key::Char('j') => self.scroll(1),
                _ => Outcome::Ignored,
            },
            Stage::Over => match key.key {
                Key::Enter => Outcome::Back,
                Key::Char('r') => self.save_again(),
                Key::Up | Key::Char('k') => self.scroll(-1),
                Key::Down | Key::Char('j') => self.scroll(1),
                _ => Outcome::Ignored,
            },
        }
    }

    fn after(&mut self, given: Given) -> Outcome {
        match given {
            Given::Ignored => Outcome::Ignored,
            Given::Handled => Outcome::Handled,
            Given::Done => {
                if let Some(answer) = self.form.answer(&self.items[self.at].question) {
                    self.stage = Stage::Sure(answer);
                }
                Outcome::Handled
            }
        }
    }

    /// Marks the answer and orders that it is kept.
    fn tell(&mut self, answer: Answer, confidence: Option<Confidence>, shared: &Shared) -> Outcome {
        let item = &mut self.items[self.at];
        let verdict = mark(&item.question, &answer);
        let pack = shared.library.pack().filter(|p| item.key.starts_with(&format!("{}:", p.id)));
        let attempt = NewAttempt {
            id: self.attempt.to_string(),
            item: item.key.clone(),
            mode: self.mode,
            answer: answer.clone(),
            right: verdict.right,
            score: verdict.score,
            confidence,
            content_version: shared.library.version(),
            pack: pack.map(|p| p.id.clone()),
        };
        item.result = Some(Answered { right: verdict.right, confidence, attempt: attempt.id.clone(), card: None });
        self.unsaved.attempts.push(attempt.clone());
        self.top = 0;
        self.stage = Stage::Told { answer, verdict };
        let mut effects = vec![Effect::Record(Box::new(attempt))];
        effects.extend(self.keep_place());
        Outcome::Do(effects)
    }

    fn keep_place(&self) -> Option<Effect> {
        let done: Vec<(&str, bool)> =
            self.items.iter().filter_map(|i| Some((i.key.as_str(), i.result.as_ref()?.right))).collect();
        // A finished quiz begins anew next time.
        let done = if done.len() == self.items.len() { vec![] } else { done };
        Some(Effect::SaveLab { lab: self.place.clone()?, state: json!({ "done": done }).to_string() })
    }

    fn save_again(&mut self) -> Outcome {
        if self.unsaved.attempts.is_empty() {
            return Outcome::Ignored;
        }
        self.unsaved.why = None;
        Outcome::Do(self.unsaved.attempts.iter().map(|a| Effect::Record(Box::new(a.clone()))).collect())
    }

    fn read_again(&self) -> Option<Outcome> {
        let item = &self.items[self.at];
        let section = item.question.section.clone()?;
        Some(Outcome::Go(Route::Lesson { id: item.lesson.clone(), section: Some(section) }))
    }

    fn next_open(&self) -> Option<usize> {
        (self.at + 1..self.items.len()).chain(0..self.at).find(|i| self.items[*i].result.is_none())
    }

    fn next(&mut self) -> Outcome {
        self.top = 0;
        match self.next_open() {
            Some(at) => {
                self.show(at);
                Outcome::Do(vec![Effect::Shown])
            }
            None => {
                self.stage = Stage::Over;
                Outcome::Handled
            }
        }
    }

    fn show(&mut self, at: usize) {
        self.at = at;
        self.attempt = (self.new_id)();
        self.form = Form::new(&self.items[at].question, seed(self.attempt));
        self.stage = Stage::Asking;
    }

    fn scroll(&mut self, by: isize) -> Outcome {
        self.top = self.top.saturating_add_signed(by);
        self.clamp();
        Outcome::Handled
    }

    fn clamp(&mut self) {
        self.top = self.top.min(self.page.lines.len().saturating_sub(usize::from(self.size.1)));
    }

    /// A click chooses what it hits; the wheel scrolls.
    pub fn on_mouse(&mut self, mouse: Mouse, shared: &Shared) -> Outcome {
        let outcome = match mouse.action {
            MouseAction::ScrollDown => self.scroll(3),
            MouseAction::ScrollUp => self.scroll(-3),
            MouseAction::Click => {
                let line = self.top + usize::from(mouse.row);
                match (self.page.spot_at(line), &self.stage) {
                    (Some(Spot::Choice(choice)), Stage::Asking) => {
                        let given = self.form.touch(choice);
                        self.after(given)
                    }
                    (Some(Spot::Confidence(c)), Stage::Sure(answer)) => {
                        let answer = answer.clone();
                        self.tell(answer, Some(c), shared)
                    }
                    (Some(Spot::ReadAgain), Stage::Told { .. }) => self.read_again().unwrap_or(Outcome::Ignored),
                    _ => Outcome::Ignored,
                }
            }
        };
        if outcome != Outcome::Ignored {
            self.lay_out(shared);
        }
        outcome
    }

    /// News of the record, and pasted text.
    pub fn on_event(&mut self, event: &Event, shared: &Shared) -> Outcome {
        match event {
            Event::Recorded { attempt, card } => {
                let before = self.unsaved.attempts.len();
                self.unsaved.attempts.retain(|a| a.id != *attempt);
                if self.unsaved.attempts.len() == before {
                    return Outcome::Ignored;
                }
                let results = self.items.iter_mut().filter_map(|item| item.result.as_mut());
                for result in results.filter(|r| r.attempt == *attempt) {
                    result.card = Some(card.clone());
                }
            }
            Event::NotRecorded { attempt, why } if self.unsaved.attempts.iter().any(|a| a.id == *attempt) => {
                self.unsaved.why = Some(why.clone());
            }
            Event::LabState { lab, state } if self.place.as_ref() == Some(lab) => self.restore(state.as_deref()),
            Event::Paste(text) if matches!(self.stage, Stage::Asking) => self.form.paste(text),
            _ => return Outcome::Ignored,
        }
        self.lay_out(shared);
        Outcome::Handled
    }

    /// Goes on where the learner stopped; a place that comes after the first answer is late and changes nothing.
    fn restore(&mut self, state: Option<&str>) {
        let place: Place = state.and_then(|s| serde_json::from_str(s).ok()).unwrap_or_default();
        if place.done.is_empty() || self.items.iter().any(|i| i.result.is_some()) {
            return;
        }
        for (key, right) in place.done {
            let Some(item) = self.items.iter_mut().find(|i| i.key == key) else { continue };
            item.result = Some(Answered { right, confidence: None, attempt: String::new(), card: None });
        }
        if let Some(at) = self.items.iter().position(|i| i.result.is_none()) {
            self.show(at);
        } else {
            // The quiz has lost questions since; all that are left were answered.
            self.items.iter_mut().for_each(|i| i.result = None);
        }
    }

    /// Takes the size.
    pub fn resize(&mut self, columns: u16, rows: u16, shared: &Shared) {
        self.size = (columns, rows);
        self.lay_out(shared);
    }

    fn lay_out(&mut self, shared: &Shared) {
        let width = column(Rect::new(0, 0, self.size.0, 1), WIDTH).width;
        self.page = Page::of(self, width, shared);
        let height = usize::from(self.size.1);
        if let (Some(line), Stage::Asking) = (self.page.cursor, &self.stage) {
            // What the cursor is on stays in view.
            self.top = self.top.max((line + 2).saturating_sub(height)).min(line);
            if self.page.lines.len() <= height {
                self.top = 0;
            }
        }
        self.clamp();
    }

    /// Draws.
    pub fn view(&self, area: Rect, buf: &mut Buffer, _shared: &Shared) {
        self.page.lines.draw(column(area, WIDTH), buf, self.top);
    }
}

/// The random half of the id: another order of the choices at each attempt.
fn seed(attempt: Uuid) -> u64 {
    attempt.as_u64_pair().1
}

#[cfg(test)]
mod tests;
