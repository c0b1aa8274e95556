//! The app: all state as plain data. Events in, effects out; drawing only reads.
//!
//! The innermost part sees a key first; what it ignores goes outward to the app's own table (`keys`). News of a run
//! that its screen no longer waits for is dropped in one place, [`App::update`].

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::draw;
use super::event::{Effect, Event, Mouse, MouseAction};
use super::keys::{self, ALWAYS, GLOBAL, Global};
use super::prose::{Piece, wrap};
use super::screen::last::LastScreen;
use super::screen::{ModelState, Outcome, Route, Screen, Shared};
use crate::engine::{EngineError, RunId, Update};
use crate::labs::{Key, KeyHelp, KeyPress};
use crate::text::SafeText;
use crate::theme::{Palette, Theme};

/// Smaller terminals get one sentence instead of a screen.
pub const SMALLEST: (u16, u16) = (40, 15);
/// From this height on there is an empty row under the header and over the footer.
const ROOMY: u16 = 20;
/// More screens than this are not kept for the way back.
const MAX_STACK: usize = 50;
/// The footer names at most this many keys.
const FOOTER_KEYS: usize = 6;

#[derive(Debug)]
struct Entry {
    screen: Screen,
    /// The run this screen waits for.
    run: Option<RunId>,
    running: bool,
}

/// A key of the footer and where it stands.
#[derive(Clone, Copy, Debug, PartialEq)]
struct FooterKey {
    help: KeyHelp,
    from: u16,
    to: u16,
}

/// The whole state of the app.
#[derive(Debug)]
pub struct App {
    shared: Shared,
    /// Home at the bottom, the screen in view on top; never empty.
    stack: Vec<Entry>,
    size: (u16, u16),
    notice: Option<String>,
    /// Why nothing is kept, if that is so: said at home as long as it holds.
    not_kept: Option<String>,
    /// First row of the help, if it is open.
    help: Option<usize>,
    last: LastScreen,
    next_run: u64,
    redraw: bool,
    exit: Option<u8>,
}

impl App {
    /// The app at home, or at `start`; returns what is to be done first.
    pub fn new(shared: Shared, size: (u16, u16), start: Option<Route>) -> (Self, Vec<Effect>) {
        let mut app = Self {
            shared,
            stack: Vec::new(),
            size,
            notice: None,
            not_kept: None,
            help: None,
            last: LastScreen::default(),
            next_run: 1,
            redraw: false,
            exit: None,
        };
        let mut effects = Vec::new();
        app.push(Screen::home(&app.shared), &mut effects);
        if let Some(route) = start {
            app.go(route, &mut effects);
        }
        (app, effects)
    }

    /// The exit code, once the app has ended.
    pub fn exit(&self) -> Option<u8> {
        self.exit
    }

    /// Whether the whole screen is to be sent anew; asked once.
    pub fn take_redraw(&mut self) -> bool {
        std::mem::take(&mut self.redraw)
    }

    /// What screens may read.
    pub fn shared(&self) -> &Shared {
        &self.shared
    }

    /// The terminal's size as last heard of.
    pub fn size(&self) -> (u16, u16) {
        self.size
    }

    /// Takes in what happened; returns what the world must do.
    pub fn update(&mut self, event: Event) -> Vec<Effect> {
        let mut effects = Vec::new();
        match event {
            Event::Key(key) => self.on_key(key, &mut effects),
            Event::Mouse(mouse) => self.on_mouse(mouse, &mut effects),
            Event::Resize(columns, rows) => self.resize(columns, rows),
            Event::Engine(run, update) => self.on_engine(run, update, &mut effects),
            Event::Notice(text) => self.notice = Some(text),
            Event::NotKept(text) => {
                self.notice = Some(text.clone());
                self.not_kept = Some(text);
            }
            Event::Signal(number) => self.quit(128_u8.saturating_add(number.clamp(0, 127) as u8), &mut effects),
            Event::Today(today) => {
                self.shared.today = today;
                self.tell_all(&event, &mut effects);
            }
            Event::Suspend => effects.push(Effect::Suspend),
            Event::Paste(_) => self.tell(self.stack.len() - 1, &event, &mut effects),
            Event::Summary(ref summary) => {
                self.shared.summary = (**summary).clone();
                if !self.shared.summary_known {
                    self.shared.summary_known = true;
                    self.restore_theme();
                }
                self.tell_all(&event, &mut effects);
            }
            Event::Recorded { .. } | Event::NotRecorded { .. } | Event::LabState { .. } | Event::Connections(_) => {
                self.tell_all(&event, &mut effects)
            }
        }
        effects
    }

    fn top(&mut self) -> &mut Entry {
        self.stack.last_mut().expect("home is never left")
    }

    fn current(&self) -> &Entry {
        self.stack.last().expect("home is never left")
    }

    fn tell_all(&mut self, event: &Event, effects: &mut Vec<Effect>) {
        for index in (0..self.stack.len()).rev() {
            self.tell(index, event, effects);
        }
    }

    fn tell(&mut self, index: usize, event: &Event, effects: &mut Vec<Effect>) {
        let Some(entry) = self.stack.get_mut(index) else { return };
        let outcome = entry.screen.on_event(event, &self.shared);
        self.apply(index, outcome, effects);
    }

    fn on_key(&mut self, key: KeyPress, effects: &mut Vec<Effect>) {
        self.notice = None;
        if let Some(action) = keys::action(ALWAYS, key) {
            return self.global(action, effects);
        }
        if self.is_too_small() {
            if key == KeyPress::char('q') {
                self.quit(0, effects);
            }
            return;
        }
        if let Some(from) = self.help {
            self.help = match key.key {
                Key::Down | Key::Char('j' | ' ') | Key::PageDown => Some((from + 1).min(self.help_rows().len())),
                Key::Up | Key::Char('k') | Key::PageUp => Some(from.saturating_sub(1)),
                _ => None,
            };
            return;
        }
        let index = self.stack.len() - 1;
        let entry = &mut self.stack[index];
        let outcome = entry.screen.on_key(key, &self.shared);
        if outcome != Outcome::Ignored {
            return self.apply(index, outcome, effects);
        }
        // While text is typed a letter is a letter; only leaving works.
        let typing = self.current().screen.is_typing();
        match keys::action(GLOBAL, key) {
            Some(Global::Back) => self.global(Global::Back, effects),
            Some(action) if !typing => self.global(action, effects),
            _ => {}
        }
    }

    fn global(&mut self, action: Global, effects: &mut Vec<Effect>) {
        match action {
            Global::Help => self.help = Some(0),
            Global::Theme => self.next_theme(effects),
            Global::Back => self.back(effects),
            Global::Quit if self.stack.len() == 1 => self.quit(0, effects),
            Global::Quit => self.back(effects),
            Global::Interrupt if self.current().running => {
                self.notice = Some("stopped; ctrl-c again quits".into());
                self.stop_top(effects);
                self.top().running = false;
            }
            Global::Interrupt => self.quit(130, effects),
            Global::Suspend => effects.push(Effect::Suspend),
            Global::Redraw => self.redraw = true,
        }
    }

    fn next_theme(&mut self, effects: &mut Vec<Effect>) {
        let palette = match self.shared.theme.palette {
            Palette::Dark => Palette::Light,
            Palette::Light => Palette::Monochrome,
            Palette::Monochrome => Palette::Dark,
        };
        self.last.set_palette(palette);
        effects.push(Effect::SaveLastScreen(self.last.to_json()));
        self.set_theme(palette);
        let name = match palette {
            Palette::Dark => "colours for a dark background",
            Palette::Light => "colours for a light background",
            Palette::Monochrome => "no colours",
        };
        self.notice = Some(name.into());
    }

    fn set_theme(&mut self, palette: Palette) {
        self.shared.theme = Theme::new(palette);
        self.resize(self.size.0, self.size.1);
    }

    /// The theme chosen last time, unless this start asked for no colours.
    fn restore_theme(&mut self) {
        let kept = LastScreen::read(&self.shared);
        if self.last == LastScreen::default() {
            self.last = kept;
        }
        if let Some(palette) = self.last.palette()
            && self.shared.theme.palette != Palette::Monochrome
            && self.shared.theme.palette != palette
        {
            self.set_theme(palette);
        }
    }

    fn quit(&mut self, code: u8, effects: &mut Vec<Effect>) {
        if self.exit.is_none() {
            self.exit = Some(code);
            effects.extend(self.stack.iter_mut().rev().flat_map(|entry| entry.screen.on_leave(&self.shared)));
            effects.push(Effect::Quit(code));
        }
    }

    fn back(&mut self, effects: &mut Vec<Effect>) {
        if self.stack.len() > 1 {
            self.leave_top(effects);
            self.stack.pop();
        }
    }

    fn leave_top(&mut self, effects: &mut Vec<Effect>) {
        effects.extend(self.stack.last_mut().map(|entry| entry.screen.on_leave(&self.shared)).unwrap_or_default());
        self.stop_top(effects);
    }

    /// Stops the run of the screen in view. The screen still hears that it ended.
    fn stop_top(&mut self, effects: &mut Vec<Effect>) {
        if self.current().running {
            effects.push(Effect::Cancel);
        }
    }

    fn go(&mut self, route: Route, effects: &mut Vec<Effect>) {
        match Screen::open(&route, &self.shared) {
            Ok(screen) => {
                if let Route::Lesson { id, .. } = &route {
                    self.last.set_lesson(id);
                    effects.push(Effect::SaveLastScreen(self.last.to_json()));
                }
                self.leave_top(effects);
                if self.stack.len() >= MAX_STACK {
                    self.stack.remove(1);
                }
                self.push(screen, effects);
            }
            Err(why) => self.notice = Some(why),
        }
    }

    fn push(&mut self, mut screen: Screen, effects: &mut Vec<Effect>) {
        let body = self.body();
        screen.resize(body.width, body.height, &self.shared);
        let outcome = screen.on_open(&self.shared);
        self.stack.push(Entry { screen, run: None, running: false });
        self.apply(self.stack.len() - 1, outcome, effects);
    }

    fn apply(&mut self, index: usize, outcome: Outcome, effects: &mut Vec<Effect>) {
        match outcome {
            Outcome::Ignored | Outcome::Handled => {}
            Outcome::Go(route) => self.go(route, effects),
            Outcome::Back => self.back(effects),
            Outcome::Notice(text) => self.notice = Some(text),
            Outcome::Start(job) => {
                let run = RunId(self.next_run);
                self.next_run += 1;
                if let Some(entry) = self.stack.get_mut(index) {
                    (entry.run, entry.running) = (Some(run), true);
                    effects.push(Effect::Start(run, job));
                }
            }
            Outcome::Cancel => effects.push(Effect::Cancel),
            Outcome::Do(orders) => effects.extend(orders),
            Outcome::All(outcomes) => {
                for outcome in outcomes {
                    self.apply(index, outcome, effects);
                }
            }
        }
    }

    fn on_engine(&mut self, run: RunId, update: Update, effects: &mut Vec<Effect>) {
        match &update {
            Update::Ready(info) => self.shared.model = ModelState::Ready(info.clone()),
            Update::Failed(
                error @ (EngineError::NoModel { .. }
                | EngineError::Unreadable { .. }
                | EngineError::BadFile { .. }
                | EngineError::Unsupported { .. }),
            ) if matches!(self.shared.model, ModelState::Found(_)) => {
                self.shared.model = ModelState::Missing(error.to_string());
            }
            _ => {}
        }
        // An update of an older run is late news and is dropped here, in one place.
        let Some(index) = self.stack.iter().rposition(|entry| entry.run == Some(run)) else { return };
        let entry = &mut self.stack[index];
        if matches!(update, Update::Finished(_) | Update::Failed(_)) {
            entry.running = false;
        }
        let outcome = entry.screen.on_update(update, &self.shared);
        self.apply(index, outcome, effects);
    }

    fn on_mouse(&mut self, mouse: Mouse, effects: &mut Vec<Effect>) {
        if self.is_too_small() {
            return;
        }
        if let Some(from) = self.help {
            self.help = match mouse.action {
                MouseAction::ScrollDown => Some((from + 1).min(self.help_rows().len())),
                MouseAction::ScrollUp => Some(from.saturating_sub(1)),
                MouseAction::Click => None,
            };
            return;
        }
        if mouse.row + 1 == self.size.1 && mouse.action == MouseAction::Click {
            let hit = self.footer().into_iter().find(|key| (key.from..key.to).contains(&mouse.column));
            if let Some(key) = hit {
                self.on_key(key.help.press, effects);
            }
            return;
        }
        let body = self.body();
        if (body.top()..body.bottom()).contains(&mouse.row) && mouse.column < body.right() {
            let inside = Mouse { column: mouse.column - body.x, row: mouse.row - body.y, ..mouse };
            if mouse.action == MouseAction::Click {
                self.notice = None;
            }
            let index = self.stack.len() - 1;
            let outcome = self.stack[index].screen.on_mouse(inside, &self.shared);
            self.apply(index, outcome, effects);
        }
    }

    fn resize(&mut self, columns: u16, rows: u16) {
        self.size = (columns, rows);
        let body = self.body();
        for entry in &mut self.stack {
            entry.screen.resize(body.width, body.height, &self.shared);
        }
    }

    fn is_too_small(&self) -> bool {
        self.size.0 < SMALLEST.0 || self.size.1 < SMALLEST.1
    }

    /// The screen's part of the terminal: without header and footer.
    fn body(&self) -> Rect {
        let margin = if self.size.1 >= ROOMY { 2 } else { 1 };
        Rect { x: 0, y: margin, width: self.size.0, height: self.size.1.saturating_sub(2 * margin) }
    }

    /// The keys of the footer: the screen's first ones, then help and the way out.
    fn footer(&self) -> Vec<FooterKey> {
        let screen = &self.current().screen;
        let all = screen.bindings(&self.shared);
        let (out, own): (Vec<KeyHelp>, Vec<KeyHelp>) =
            all.into_iter().partition(|key| key.press == KeyPress::plain(Key::Esc));
        let way_out = out.first().copied().or_else(|| match self.stack.len() {
            1 => row(Global::Quit).map(|key| KeyHelp { what: "quit", ..key }),
            _ => row(Global::Back),
        });
        let help = row(Global::Help).filter(|_| !screen.is_typing());
        let columns = |key: &KeyHelp| draw::width(key.keys) + 1 + draw::width(key.what) + 3;
        let mut room = usize::from(self.size.0) + 1;
        let mut fits = |key: &KeyHelp| {
            let left = room.checked_sub(columns(key));
            room = left.unwrap_or(room);
            left.is_some()
        };
        // Where there is little room the way out comes first, then the first key, then the help.
        let way_out = way_out.filter(&mut fits);
        let first = own.first().copied().filter(&mut fits);
        let help = help.filter(&mut fits);
        let more = FOOTER_KEYS - [&way_out, &first, &help].into_iter().flatten().count();
        let more: Vec<KeyHelp> = own.into_iter().skip(1).take(more).take_while(fits).collect();
        let shown = first.into_iter().chain(more).chain(help);
        let tail = way_out;
        let mut from = 2;
        (shown.chain(tail))
            .map(|help| {
                let to = from + columns(&help) as u16 - 3;
                let key = FooterKey { help, from, to };
                from = to + 3;
                key
            })
            .collect()
    }

    fn help_rows(&self) -> Vec<(String, String)> {
        let screen = self.current().screen.bindings(&self.shared);
        let own = screen.iter().map(|key| (key.keys.to_string(), key.what.to_string()));
        let global = (GLOBAL.iter().chain(ALWAYS)).map(|row| (row.keys.to_string(), row.what.to_string()));
        let mut rows: Vec<(String, String)> = own.collect();
        rows.push((String::new(), String::new()));
        rows.extend(global.filter(|(keys, _)| !screen.iter().any(|own| own.keys == keys)));
        rows.push((String::new(), String::new()));
        rows.push(("mouse".into(), "click opens, wheel scrolls; shift selects text".into()));
        rows
    }

    /// Draws the whole screen.
    pub fn view(&self, area: Rect, buf: &mut Buffer) {
        let theme = &self.shared.theme;
        if self.is_too_small() {
            let text = format!(
                "osai needs {}×{}, this is {}×{}: make the window larger",
                SMALLEST.0, SMALLEST.1, area.width, area.height
            );
            let lines = wrap(&[Piece::new(text, theme.text)], usize::from(area.width));
            for (y, line) in lines.iter().enumerate() {
                draw::put(buf, area, (0, y as u16), line.first().map_or("", |p| &p.text), theme.text);
            }
        } else {
            let entry = self.current();
            let (left, right) = entry.screen.header(&self.shared);
            let from =
                draw::put_right(buf, Rect { width: area.width.saturating_sub(1), ..area }, 0, &right, theme.quiet);
            let left = draw::cut(SafeText::line(left).as_str(), usize::from(from.saturating_sub(3)));
            draw::put(buf, area, (1, 0), &left, theme.title);
            entry.screen.view(self.body().intersection(area), buf, &self.shared);
            self.view_footer(area, buf);
            self.view_notice(area, buf);
            self.view_help(area, buf);
        }
        draw::sweep(buf);
    }

    fn view_footer(&self, area: Rect, buf: &mut Buffer) {
        let theme = &self.shared.theme;
        let y = area.height.saturating_sub(1);
        for key in self.footer() {
            let x = draw::put(buf, area, (key.from, y), key.help.keys, theme.accent);
            draw::put(buf, area, (x + 1, y), key.help.what, theme.quiet);
        }
    }

    fn view_notice(&self, area: Rect, buf: &mut Buffer) {
        let theme = &self.shared.theme;
        let home = self.not_kept.as_ref().filter(|_| self.stack.len() == 1);
        let Some(text) = self.notice.as_ref().or(home) else { return };
        let text = Piece::new(SafeText::line(text.as_str()).into_string(), theme.warn);
        let lines = wrap(&[text], usize::from(area.width.saturating_sub(4)));
        let lines = &lines[..lines.len().min(5)];
        let top = area.height.saturating_sub(1 + lines.len() as u16);
        draw::clear(buf, Rect { y: area.y + top, height: lines.len() as u16, ..area });
        for (row, line) in lines.iter().enumerate() {
            draw::put(buf, area, (2, top + row as u16), line.first().map_or("", |p| &p.text), theme.warn);
        }
    }

    fn view_help(&self, area: Rect, buf: &mut Buffer) {
        let Some(from) = self.help else { return };
        let theme = &self.shared.theme;
        let rows = self.help_rows();
        let keys = rows.iter().map(|(keys, _)| draw::width(keys)).max().unwrap_or(0) as u16;
        let what = rows.iter().map(|(_, what)| draw::width(what)).max().unwrap_or(0) as u16;
        let wanted = Rect::new(0, 0, keys + what + 7, rows.len() as u16 + 2);
        let inner = panel(buf, area, wanted, "keys", "esc closes", theme);
        let from = from.min(rows.len().saturating_sub(usize::from(inner.height)));
        for (y, (key, text)) in rows.iter().skip(from).take(usize::from(inner.height)).enumerate() {
            draw::put(buf, inner, (1, y as u16), key, theme.accent);
            draw::put(buf, inner, (keys + 3, y as u16), text, theme.text);
        }
    }
}

fn row(action: Global) -> Option<KeyHelp> {
    GLOBAL.iter().find(|row| row.action == action).map(keys::Binding::help)
}

/// A framed panel of at most the wanted size over the middle of `area`; returns its inside.
pub fn panel(buf: &mut Buffer, area: Rect, wanted: Rect, title: &str, right: &str, theme: &Theme) -> Rect {
    let width = wanted.width.min(area.width.saturating_sub(2)).max(4);
    let height = wanted.height.min(area.height.saturating_sub(2)).max(3);
    let place = Rect {
        x: area.x + area.width.saturating_sub(width) / 2,
        y: area.y + area.height.saturating_sub(height) / 2,
        width,
        height,
    };
    framed(buf, place, title, right, theme)
}

/// A frame with a title left and a word right in its upper edge; returns its inside.
pub fn framed(buf: &mut Buffer, place: Rect, title: &str, right: &str, theme: &Theme) -> Rect {
    let place = place.intersection(buf.area);
    draw::clear(buf, place);
    if place.width < 4 || place.height < 3 {
        return Rect { width: 0, height: 0, ..place };
    }
    let columns = usize::from(place.width);
    let line = |left: &str, right: &str| format!("{left}{}{right}", "─".repeat(columns - 2));
    let style: Style = theme.quiet;
    draw::put(buf, place, (0, 0), &line("┌", "┐"), style);
    for y in 1..place.height - 1 {
        draw::put(buf, place, (0, y), "│", style);
        draw::put(buf, place, (place.width - 1, y), "│", style);
    }
    draw::put(buf, place, (0, place.height - 1), &line("└", "┘"), style);
    let title = draw::cut(SafeText::line(title).as_str(), columns.saturating_sub(6));
    let end = if title.is_empty() { 2 } else { draw::put(buf, place, (2, 0), &format!(" {title} "), theme.title) };
    let right_columns = draw::width(right) as u16 + 4;
    if !right.is_empty() && end + right_columns < place.width {
        draw::put(buf, place, (place.width - right_columns, 0), &format!(" {right} "), style);
    }
    Rect { x: place.x + 1, y: place.y + 1, width: place.width - 2, height: place.height - 2 }
}
