//! Home: where am I in the whole, and what next.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::last::LastScreen;
use super::{ModelState, Outcome, Route, Shared};
use crate::content::{LessonHead, Level};
use crate::labs::{Key, KeyHelp, KeyPress};
use crate::progress::LessonPosition;
use crate::ui::draw;
use crate::ui::event::{Event, Mouse, MouseAction};
use crate::ui::keys::{self, Binding};
use crate::ui::prose::{Piece, wrap};

/// The list is at most this wide; what is beside it tells about the lesson under the cursor.
const LIST_WIDTH: u16 = 80;
/// From this width on a lesson is told about beside the list.
const BESIDE: u16 = 116;

#[derive(Clone, Copy, Debug)]
enum Act {
    Move,
    Open,
    Search,
    Review,
    Glossary,
    Chat,
    Progress,
}

const TABLE: &[Binding<Act>] = &[
    Binding {
        presses: &[
            KeyPress::plain(Key::Down),
            KeyPress::plain(Key::Up),
            KeyPress::char('j'),
            KeyPress::char('k'),
            KeyPress::plain(Key::Tab),
            KeyPress::plain(Key::BackTab),
            KeyPress::plain(Key::PageDown),
            KeyPress::plain(Key::PageUp),
            KeyPress::char(' '),
            KeyPress::plain(Key::Home),
            KeyPress::plain(Key::End),
        ],
        keys: "↑↓",
        what: "move",
        action: Act::Move,
    },
    Binding { presses: &[KeyPress::plain(Key::Enter)], keys: "enter", what: "open", action: Act::Open },
    Binding { presses: &[KeyPress::char('/')], keys: "/", what: "search", action: Act::Search },
    Binding { presses: &[KeyPress::char('g')], keys: "g", what: "glossary", action: Act::Glossary },
    Binding { presses: &[KeyPress::char('r')], keys: "r", what: "review", action: Act::Review },
    Binding { presses: &[KeyPress::char('m')], keys: "m", what: "chat with the model", action: Act::Chat },
    Binding { presses: &[KeyPress::char('p')], keys: "p", what: "progress", action: Act::Progress },
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mark {
    Done,
    Begun,
    New,
}

#[derive(Clone, Debug)]
enum Row {
    Blank,
    Text(String, Tone),
    /// A word, a title, something right, and where it leads.
    Choice {
        word: &'static str,
        title: String,
        right: String,
        route: Route,
    },
    Level {
        name: &'static str,
        done: usize,
        of: usize,
    },
    Lesson {
        mark: Mark,
        id: String,
        code: String,
        title: String,
        right: String,
    },
}

#[derive(Clone, Copy, Debug)]
enum Tone {
    Plain,
    Quiet,
}

impl Row {
    fn route(&self) -> Option<Route> {
        match self {
            Self::Choice { route, .. } => Some(route.clone()),
            Self::Lesson { id, .. } => Some(Route::Lesson { id: id.clone(), section: None }),
            _ => None,
        }
    }
}

/// Home.
#[derive(Debug)]
pub struct HomeScreen {
    rows: Vec<Row>,
    selected: usize,
    /// Whether the learner has moved the cursor; before that it stays on the first choice.
    moved: bool,
    top: usize,
    size: (u16, u16),
}

impl HomeScreen {
    /// Home, as far as the record is known.
    pub fn new(shared: &Shared) -> Self {
        let mut home = Self { rows: Vec::new(), selected: 0, moved: false, top: 0, size: (80, 20) };
        home.refresh(shared);
        home
    }

    fn list_width(&self) -> u16 {
        if self.size.0 >= BESIDE { LIST_WIDTH } else { self.size.0.min(96) }
    }

    fn refresh(&mut self, shared: &Shared) {
        let kept = self.rows.get(self.selected).and_then(Row::route).filter(|_| self.moved);
        let text_width = usize::from(self.list_width().saturating_sub(4));
        let mut rows: Vec<Row> = wrap(&[Piece::new(greeting(shared), Style::new())], text_width)
            .iter()
            .map(|line| Row::Text(line.iter().map(|p| p.text.as_str()).collect(), Tone::Plain))
            .collect();
        rows.push(Row::Blank);
        let choices = rows.len();
        rows.extend(next_lesson(shared).map(|(word, head)| {
            let left = 1.0 - position(shared, head).map_or(0.0, |p| p.position);
            let minutes = (f64::from(head.minutes) * left).ceil();
            Row::Choice {
                word,
                title: format!("{:<4} {}", head.code(), head.title),
                right: match left {
                    0.0 => "read".to_string(),
                    1.0 => format!("{minutes} min"),
                    _ => format!("{minutes} min left"),
                },
                route: Route::Lesson { id: head.id.clone(), section: None },
            }
        }));
        let due = shared.summary.due.len();
        if due > 0 {
            // About forty seconds a card.
            let minutes = (due * 2).div_ceil(3);
            rows.push(Row::Choice {
                word: "Review",
                title: format!("{due} {}, about {minutes} min", if due == 1 { "card" } else { "cards" }),
                right: String::new(),
                route: Route::Review,
            });
        }
        if rows.len() > choices {
            rows.push(Row::Blank);
        }
        for level in Level::ALL {
            level_rows(level, shared, &mut rows);
        }
        let terms = shared.library.glossary().heads().len();
        let more = [
            ("Glossary", format!("{terms} terms"), "g", Route::Glossary(String::new())),
            ("Chat", "with the model on this machine".to_string(), "m", Route::Chat),
            ("Progress", "what is done, what is due".to_string(), "p", Route::Progress),
        ];
        rows.extend(more.map(|(word, title, key, route)| Row::Choice { word, title, right: key.into(), route }));
        self.rows = rows;
        let found = kept.and_then(|route| self.rows.iter().position(|row| row.route().as_ref() == Some(&route)));
        self.selected = found.or_else(|| self.rows.iter().position(|row| row.route().is_some())).unwrap_or(0);
        self.show_selected();
    }

    fn height(&self) -> usize {
        usize::from(self.size.1).max(1)
    }

    fn show_selected(&mut self) {
        let last_top = self.rows.len().saturating_sub(self.height());
        // What stands above the first choice (the greeting) comes into view with it.
        let first = self.rows.iter().position(|row| row.route().is_some()).unwrap_or(0);
        if self.selected == first {
            self.top = 0;
        }
        let heading = self.selected.saturating_sub(1);
        self.top = self.top.min(heading).max((self.selected + 1).saturating_sub(self.height())).min(last_top);
    }

    fn step(&mut self, key: Key) {
        self.moved = true;
        let places: Vec<usize> = (0..self.rows.len()).filter(|i| self.rows[*i].route().is_some()).collect();
        let now = places.iter().position(|i| *i == self.selected).unwrap_or(0);
        let page = self.height().saturating_sub(4).max(1);
        let next = keys::moved(key, now, page).min(places.len().saturating_sub(1));
        self.selected = places.get(next).copied().unwrap_or(0);
        self.show_selected();
    }

    fn open(&self) -> Outcome {
        self.rows.get(self.selected).and_then(Row::route).map_or(Outcome::Handled, Outcome::Go)
    }

    /// Left and right part of the first row.
    pub fn header(&self, shared: &Shared) -> (String, String) {
        let model = match &shared.model {
            ModelState::Found(name) => format!("model {name}"),
            // The file's name is shorter and better known than the one its maker wrote into it.
            ModelState::Ready(info) => {
                let stem = info.path.file_stem().map_or(info.name.as_str().into(), |stem| stem.to_string_lossy());
                format!("model {stem} ready")
            }
            ModelState::Missing(_) => "no model (m says why)".to_string(),
        };
        let title = shared.library.pack().map_or("osai".to_string(), |pack| format!("osai · {}", pack.title));
        (title, model)
    }

    /// What keys do here now.
    pub fn bindings(&self, _shared: &Shared) -> Vec<KeyHelp> {
        TABLE.iter().map(Binding::help).collect()
    }

    /// Takes a key.
    pub fn on_key(&mut self, key: KeyPress, _shared: &Shared) -> Outcome {
        match keys::action(TABLE, key) {
            Some(Act::Move) => self.step(key.key),
            Some(Act::Open) => return self.open(),
            Some(Act::Search) => return Outcome::Go(Route::Search(String::new())),
            Some(Act::Review) => return Outcome::Go(Route::Review),
            Some(Act::Glossary) => return Outcome::Go(Route::Glossary(String::new())),
            Some(Act::Chat) => return Outcome::Go(Route::Chat),
            Some(Act::Progress) => return Outcome::Go(Route::Progress),
            // There is nothing behind home: esc does nothing rather than leave by surprise.
            None if key == KeyPress::plain(Key::Esc) => return Outcome::Notice("q quits".into()),
            None => return Outcome::Ignored,
        }
        Outcome::Handled
    }

    /// Takes the mouse.
    pub fn on_mouse(&mut self, mouse: Mouse, _shared: &Shared) -> Outcome {
        match mouse.action {
            MouseAction::ScrollDown => {
                self.top = (self.top + 2).min(self.rows.len().saturating_sub(self.height()));
            }
            MouseAction::ScrollUp => self.top = self.top.saturating_sub(2),
            MouseAction::Click => {
                let row = self.top + usize::from(mouse.row);
                if mouse.column < self.list_width() && self.rows.get(row).is_some_and(|r| r.route().is_some()) {
                    (self.selected, self.moved) = (row, true);
                    return self.open();
                }
            }
        }
        Outcome::Handled
    }

    /// Takes news of the record.
    pub fn on_event(&mut self, event: &Event, shared: &Shared) -> Outcome {
        if let Event::Summary(_) = event {
            self.refresh(shared);
        }
        Outcome::Handled
    }

    /// Takes the size of its area.
    pub fn resize(&mut self, columns: u16, rows: u16, shared: &Shared) {
        self.size = (columns, rows);
        self.refresh(shared);
    }

    /// Draws.
    pub fn view(&self, area: Rect, buf: &mut Buffer, shared: &Shared) {
        let list = Rect { width: self.list_width().min(area.width), ..area };
        for (y, (index, row)) in self.rows.iter().enumerate().skip(self.top).take(usize::from(area.height)).enumerate()
        {
            view_row(row, index == self.selected, list, y as u16, buf, shared);
        }
        if area.width >= BESIDE
            && let Some(Row::Lesson { id, .. } | Row::Choice { route: Route::Lesson { id, .. }, .. }) =
                self.rows.get(self.selected)
            && let Some(head) = shared.library.find_lesson(id)
        {
            let beside = Rect { x: area.x + LIST_WIDTH + 4, width: (area.width - LIST_WIDTH - 6).min(64), ..area };
            view_lesson(head, beside, buf, shared);
        }
    }
}

fn greeting(shared: &Shared) -> String {
    let hello = match shared.hour {
        5..=11 => "Good morning.",
        12..=17 => "Good afternoon.",
        18..=22 => "Good evening.",
        _ => "Hello.",
    };
    if !shared.summary_known {
        return hello.to_string();
    }
    let due = match shared.summary.due.len() {
        0 => None,
        1 => Some("1 review is due".to_string()),
        n => Some(format!("{n} reviews are due")),
    };
    let stopped = last_lesson(shared).and_then(|head| {
        let place = position(shared, head)?;
        let open = place.completed_at.is_none() && place.position > 0.0;
        let read = place.position >= 1.0;
        open.then(|| match read {
            true => format!("you read {} to its end", head.title),
            false => format!("you stopped in {}, at {:.0}%", head.title, place.position * 100.0),
        })
    });
    match (due, stopped) {
        (None, None) if shared.summary.lessons.is_empty() => {
            format!("{hello} This is a course on open-source AI, with a language model that runs on this machine.")
        }
        (None, None) => hello.to_string(),
        (Some(due), None) => format!("{hello} {due}."),
        (None, Some(stopped)) => format!("{hello} Last time {stopped}."),
        (Some(due), Some(stopped)) => format!("{hello} {due}; {stopped}."),
    }
}

fn position<'a>(shared: &'a Shared, head: &LessonHead) -> Option<&'a LessonPosition> {
    let key = shared.library.record_key(&head.path, &head.id);
    shared.summary.lessons.iter().find(|place| place.lesson == key)
}

fn last_lesson(shared: &Shared) -> Option<&LessonHead> {
    shared.library.find_lesson(&LastScreen::read(shared).lesson?)
}

/// Where to go on: the lesson opened last unless it is done, else the one begun last, else the first after it that is not
/// done, else the first of all.
fn next_lesson(shared: &Shared) -> Option<(&'static str, &LessonHead)> {
    let lessons = shared.library.lessons();
    let is_open = |head: &&LessonHead| position(shared, head).is_none_or(|p| p.completed_at.is_none());
    let Some(last) = last_lesson(shared) else {
        let word = if shared.summary.lessons.is_empty() { "Start" } else { "Continue" };
        return lessons.iter().find(is_open).map(|head| (word, head));
    };
    if is_open(&last) {
        return Some(("Continue", last));
    }
    let begun = lessons.iter().filter(is_open).filter_map(|head| Some((position(shared, head)?, head)));
    if let Some((_, head)) = begun.filter(|(place, _)| place.position > 0.0).max_by_key(|(place, _)| place.updated_at) {
        return Some(("Continue", head));
    }
    let at = lessons.iter().position(|head| head.id == last.id)?;
    lessons[at..].iter().chain(&lessons[..at]).find(is_open).map(|head| ("Next", head))
}

fn level_rows(level: Level, shared: &Shared, rows: &mut Vec<Row>) {
    let heads: Vec<&LessonHead> = shared.library.lessons().iter().filter(|h| h.level == level).collect();
    let planned = shared.library.all_lessons().iter().filter(|h| h.level == level).count() - heads.len();
    let at = rows.len();
    let mut done = 0;
    for head in &heads {
        let place = position(shared, head);
        let minutes = format!("{} min", head.minutes);
        let (mark, right) = match place {
            Some(place) if place.completed_at.is_some() => (Mark::Done, minutes),
            Some(place) if place.position > 0.0 => (Mark::Begun, format!("{:.0}%  {minutes}", place.position * 100.0)),
            Some(_) => (Mark::Begun, minutes),
            None => (Mark::New, minutes),
        };
        done += usize::from(mark == Mark::Done);
        rows.push(Row::Lesson { mark, id: head.id.clone(), code: head.code(), title: head.title.clone(), right });
    }
    rows.insert(at, Row::Level { name: level.name(), done, of: heads.len() });
    if planned > 0 {
        let more = if heads.is_empty() { "lessons to come" } else { "more to come" };
        rows.push(Row::Text(format!("  {planned} {more}"), Tone::Quiet));
    } else if heads.is_empty() {
        rows.push(Row::Text("  lessons to come".into(), Tone::Quiet));
    }
    rows.push(Row::Blank);
}

fn view_row(row: &Row, selected: bool, list: Rect, y: u16, buf: &mut Buffer, shared: &Shared) {
    let theme = &shared.theme;
    let line = Rect { y: list.y + y, height: 1, ..list };
    let inner = Rect { width: list.width.saturating_sub(2), ..list };
    match row {
        Row::Blank => {}
        Row::Text(text, tone) => {
            let style = if matches!(tone, Tone::Plain) { theme.text } else { theme.quiet };
            draw::put(buf, list, (2, y), text, style);
        }
        Row::Level { name, done, of } => {
            draw::put(buf, list, (2, y), name, theme.title);
            if *of > 0 {
                let share = *done as f64 / *of as f64;
                let bar = if list.width >= 60 { draw::bar(share, 12) } else { String::new() };
                let x = draw::put_right(buf, inner, y, &format!("{done:>2} of {of:<2}"), theme.quiet);
                let columns = draw::width(&bar) as u16;
                draw::put(buf, list, (x.saturating_sub(columns + 2), y), &bar, theme.quiet);
            }
        }
        Row::Choice { word, title, right, .. } => {
            draw::put(buf, list, (2, y), if selected { "▸" } else { " " }, theme.accent);
            draw::put(buf, list, (4, y), word, if selected { theme.accent } else { theme.strong });
            let room = usize::from(list.width).saturating_sub(16 + draw::width(right) + 4);
            draw::put(buf, list, (16, y), &draw::cut(title, room), theme.text);
            draw::put_right(buf, inner, y, right, theme.quiet);
        }
        Row::Lesson { mark, code, title, right, .. } => {
            let (sign, style) = match mark {
                Mark::Done => ("✓", theme.good),
                Mark::Begun => ("●", theme.accent),
                Mark::New => ("○", theme.quiet),
            };
            draw::put(buf, list, (2, y), if selected { "▸" } else { " " }, theme.accent);
            draw::put(buf, list, (4, y), sign, style);
            draw::put(buf, list, (6, y), code, theme.quiet);
            let room = usize::from(list.width).saturating_sub(11 + draw::width(right) + 4);
            let title_style = if selected { theme.strong } else { theme.text };
            draw::put(buf, list, (11, y), &draw::cut(title, room), title_style);
            draw::put_right(buf, inner, y, right, theme.quiet);
        }
    }
    if selected {
        // Only weight and the mark change: a whole reversed row would shout.
        buf.set_style(line.intersection(buf.area), Style::new().add_modifier(ratatui::style::Modifier::BOLD));
    }
}

/// What a lesson is about, beside the list.
fn view_lesson(head: &LessonHead, area: Rect, buf: &mut Buffer, shared: &Shared) {
    let theme = &shared.theme;
    let columns = usize::from(area.width);
    let mut lines: Vec<Vec<Piece>> = Vec::new();
    let mut text = |text: String, style: Style, hang: usize| {
        for (index, mut line) in wrap(&[Piece::new(text, style)], columns.saturating_sub(hang)).into_iter().enumerate()
        {
            if hang > 0 {
                line.insert(0, Piece::new(if index == 0 { "• " } else { "  " }, theme.accent));
            }
            lines.push(line);
        }
    };
    text(head.title.clone(), theme.title, 0);
    text(format!("{} · {} · {} min", head.code(), head.level.name(), head.minutes), theme.quiet, 0);
    text(String::new(), theme.text, 0);
    if !head.outcomes.is_empty() {
        text("Afterwards you can".into(), theme.quiet, 0);
        for outcome in &head.outcomes {
            text(outcome.clone(), theme.text, 2);
        }
        text(String::new(), theme.text, 0);
    }
    let names: Vec<String> =
        (head.terms.iter()).filter_map(|id| shared.library.glossary().title(id).map(str::to_string)).collect();
    if !names.is_empty() {
        text("Terms".into(), theme.quiet, 0);
        text(names.join(", "), theme.text, 0);
    }
    for (y, line) in lines.iter().take(usize::from(area.height)).enumerate() {
        let mut x = 0;
        for piece in line {
            x = draw::put(buf, area, (x, y as u16), &piece.text, piece.style);
        }
    }
}
