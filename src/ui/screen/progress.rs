//! The learner's progress: lessons, answers, what is due, and which terms are weak. All of it follows from the summary.

use std::collections::BTreeMap;

use jiff::ToSpan;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::lines::{Lines, column};
use super::{Outcome, Route, Shared};
use crate::content::{LessonHead, Level};
use crate::labs::{Key, KeyHelp, KeyPress};
use crate::progress::ItemSummary;
use crate::ui::draw;
use crate::ui::event::{Event, Mouse, MouseAction};

/// Reading width.
const WIDTH: u16 = 76;
/// Days ahead for which what is due is shown one by one.
const DAYS: i32 = 7;
/// Terms listed as weak.
const WEAKEST: usize = 6;

/// The learner's progress.
#[derive(Debug)]
pub struct ProgressScreen {
    lines: Lines,
    size: (u16, u16),
    top: usize,
}

impl ProgressScreen {
    /// The progress as the record has it now.
    pub fn new(shared: &Shared) -> Self {
        let mut screen = Self { lines: Lines::default(), size: (80, 20), top: 0 };
        screen.lay_out(shared);
        screen
    }

    /// There is nothing to run or load.
    pub fn on_open(&mut self) -> Outcome {
        Outcome::Handled
    }

    /// Nothing is typed here.
    pub fn is_typing(&self) -> bool {
        false
    }

    /// Title; number of answers.
    pub fn header(&self, shared: &Shared) -> (String, String) {
        let answers: u32 = shared.summary.items.iter().map(|i| i.answers).sum();
        ("Your progress".into(), counted(answers as usize, "answer"))
    }

    /// What keys do here now.
    pub fn bindings(&self, shared: &Shared) -> Vec<KeyHelp> {
        let mut keys = vec![KeyHelp { keys: "↑↓", what: "scroll", press: KeyPress::plain(Key::Down) }];
        if !shared.summary.due.is_empty() {
            keys.insert(0, KeyHelp { keys: "r", what: "review", press: KeyPress::char('r') });
        }
        keys
    }

    /// Takes a key.
    pub fn on_key(&mut self, key: KeyPress, shared: &Shared) -> Outcome {
        let page = usize::from(self.size.1.saturating_sub(2)).max(1);
        let end = self.lines.len().saturating_sub(usize::from(self.size.1));
        self.top = match key.key {
            Key::Down | Key::Char('j') => self.top + 1,
            Key::Up | Key::Char('k') => self.top.saturating_sub(1),
            Key::PageDown | Key::Char(' ') => self.top + page,
            Key::PageUp => self.top.saturating_sub(page),
            Key::Home | Key::Char('g') => 0,
            Key::End | Key::Char('G') => end,
            Key::Char('r') if !shared.summary.due.is_empty() => return Outcome::Go(Route::Review),
            _ => return Outcome::Ignored,
        };
        self.top = self.top.min(end);
        Outcome::Handled
    }

    /// The wheel scrolls.
    pub fn on_mouse(&mut self, mouse: Mouse, _shared: &Shared) -> Outcome {
        let end = self.lines.len().saturating_sub(usize::from(self.size.1));
        match mouse.action {
            MouseAction::ScrollDown => self.top = (self.top + 3).min(end),
            MouseAction::ScrollUp => self.top = self.top.saturating_sub(3),
            MouseAction::Click => return Outcome::Ignored,
        }
        Outcome::Handled
    }

    /// News of the record.
    pub fn on_event(&mut self, event: &Event, shared: &Shared) -> Outcome {
        if !matches!(event, Event::Summary(_) | Event::Today(_)) {
            return Outcome::Ignored;
        }
        self.lay_out(shared);
        Outcome::Handled
    }

    /// Takes the size.
    pub fn resize(&mut self, columns: u16, rows: u16, shared: &Shared) {
        self.size = (columns, rows);
        self.lay_out(shared);
    }

    /// Draws.
    pub fn view(&self, area: Rect, buf: &mut Buffer, _shared: &Shared) {
        self.lines.draw(column(area, WIDTH), buf, self.top);
    }

    fn lay_out(&mut self, shared: &Shared) {
        let width = column(Rect::new(0, 0, self.size.0, 1), WIDTH).width;
        let mut lines = Lines::new(width);
        if shared.summary_known {
            head(&mut lines, shared);
            for level in Level::ALL {
                lessons(&mut lines, level, width, shared);
            }
            due(&mut lines, width, shared);
            weakest(&mut lines, shared);
        } else {
            lines.text("Your record is being read.", shared.theme.quiet);
        }
        self.lines = lines;
        self.top = self.top.min(self.lines.len().saturating_sub(usize::from(self.size.1)));
    }
}

fn head(lines: &mut Lines, shared: &Shared) {
    let theme = &shared.theme;
    let items = &shared.summary.items;
    let answers: u32 = items.iter().map(|i| i.answers).sum();
    let right: u32 = items.iter().map(|i| i.right).sum();
    if answers == 0 {
        lines.text("No answers yet. Each lesson ends with a quiz; what you answer there comes back here.", theme.text);
        return;
    }
    let share = f64::from(right) / f64::from(answers) * 100.0;
    let known = items.iter().filter(|i| i.last_right).count();
    lines.text(&format!("{share:.0}% of {} right", counted(answers as usize, "answer")), theme.strong);
    lines.text(&format!("{known} of {} right the last time", counted(items.len(), "question")), theme.text);
}

fn lessons(lines: &mut Lines, level: Level, width: u16, shared: &Shared) {
    let theme = &shared.theme;
    let heads: Vec<&LessonHead> = shared.library.lessons().iter().filter(|l| l.level == level).collect();
    if heads.is_empty() {
        return;
    }
    let position = |head: &LessonHead| {
        let key = shared.library.record_key(&head.path, &head.id);
        shared.summary.lessons.iter().find(|p| p.lesson == key)
    };
    let done = heads.iter().filter(|h| position(h).is_some_and(|p| p.completed_at.is_some())).count();
    lines.blank();
    let bar = draw::bar(done as f64 / heads.len() as f64, 12);
    lines.both(level.name(), theme.heading, &format!("{bar}  {done} of {}", heads.len()), theme.quiet);
    for head in heads {
        let at = position(head);
        let (mark, style) = match at {
            Some(p) if p.completed_at.is_some() => ("✓", theme.good),
            Some(_) => ("●", theme.text),
            None => ("○", theme.quiet),
        };
        let mut notes = vec![];
        if let Some(p) = at.filter(|p| p.completed_at.is_none()) {
            notes.push(format!("{:.0}% read", p.furthest * 100.0));
        }
        let key = shared.library.record_key(&head.path, &head.id);
        let goals = shared.summary.goals.iter().filter(|g| is_part_of(&g.lab, &key)).count();
        if goals > 0 {
            notes.push(counted(goals, "lab goal"));
        }
        let items: Vec<&ItemSummary> = shared.summary.items.iter().filter(|i| is_part_of(&i.item, &key)).collect();
        let answers: u32 = items.iter().map(|i| i.answers).sum();
        if answers > 0 {
            let right: u32 = items.iter().map(|i| i.right).sum();
            notes.push(format!("{:.0}% right", f64::from(right) / f64::from(answers) * 100.0));
        }
        // On a narrow screen the last note is the one that matters.
        let notes = if width < 60 { notes.pop().unwrap_or_default() } else { notes.join(" · ") };
        lines.both(&format!(" {mark} {:<4} {}", head.code(), head.title), style, &notes, theme.quiet);
    }
}

/// Whether a key of the record (`p3/tokens`, `pack:p3/count`) belongs to a lesson's key (`p3`, `pack:p3`).
fn is_part_of(key: &str, lesson: &str) -> bool {
    key.strip_prefix(lesson).is_some_and(|rest| rest.starts_with('/'))
}

fn due(lines: &mut Lines, width: u16, shared: &Shared) {
    let theme = &shared.theme;
    let days: Vec<_> = shared.summary.items.iter().filter_map(|i| i.due_on).collect();
    if days.is_empty() {
        return;
    }
    lines.blank();
    lines.text("Due", theme.heading);
    let today = shared.today;
    let mut rows: Vec<(String, usize)> = vec![("today".into(), shared.summary.due.len())];
    for ahead in 1..DAYS {
        let Ok(day) = today.checked_add(ahead.days()) else { break };
        let name = if ahead == 1 { "tomorrow".to_string() } else { day.strftime("%A").to_string() };
        rows.push((name, days.iter().filter(|d| **d == day).count()));
    }
    let last = today.checked_add(DAYS.days()).unwrap_or(today);
    rows.push(("later".into(), days.iter().filter(|d| **d >= last).count()));
    let most = rows.iter().map(|r| r.1).max().unwrap_or(1).max(1);
    let room = usize::from(width).saturating_sub(20).min(40);
    for (name, number) in rows {
        let bar = "█".repeat((number * room).div_ceil(most));
        let style = if number > 0 { theme.text } else { theme.quiet };
        lines.text(&format!(" {name:<10} {number:>4}  {bar}"), style);
    }
}

fn weakest(lines: &mut Lines, shared: &Shared) {
    let theme = &shared.theme;
    let mut terms: BTreeMap<String, (u32, u32)> = BTreeMap::new();
    for item in shared.summary.items.iter().filter(|i| i.right < i.answers) {
        let Some(term) = shared.library.question(&item.item).and_then(|(_, question)| question.term) else { continue };
        terms.entry(term).or_default();
    }
    if terms.is_empty() {
        return;
    }
    // A term is judged by all its questions, also those that went well.
    for item in &shared.summary.items {
        let Some(term) = shared.library.question(&item.item).and_then(|(_, question)| question.term) else { continue };
        if let Some((right, answers)) = terms.get_mut(&term) {
            *right += item.right;
            *answers += item.answers;
        }
    }
    let mut terms: Vec<(String, (u32, u32))> = terms.into_iter().collect();
    terms.sort_by(|(_, a), (_, b)| (a.0 * b.1).cmp(&(b.0 * a.1)));
    lines.blank();
    lines.text("Weakest terms", theme.heading);
    for (term, (right, answers)) in terms.into_iter().take(WEAKEST) {
        let title = shared.library.glossary().heads().iter().find(|h| h.id == term).map_or(term, |h| h.title.clone());
        lines.both(&format!(" {title}"), theme.text, &format!("{right} of {answers} right"), theme.quiet);
    }
}

fn counted(number: usize, thing: &str) -> String {
    crate::labs::widgets::count(number, thing)
}

#[cfg(test)]
mod tests;
