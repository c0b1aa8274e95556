//! The app: the only place where content, engine, progress and labs meet.
//!
//! [`run`] is the loop: it sleeps until something happens, takes everything that has happened, lets [`app::App`] turn it
//! into orders, has `World` perform them, and draws once. No tick: idle costs nothing. Threads: this one, `input`,
//! `signals`, `record` (the database) and, from the first job on, `model`, which keeps the model's process.

pub mod app;
pub mod connections;
pub mod draw;
pub mod event;
pub mod field;
pub mod keys;
pub mod prose;
pub mod record;
pub mod screen;
pub mod terminal;
mod world;

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use jiff::ZonedDateTime;

use self::app::App;
use self::event::{Effect, Event};
use self::record::Record;
use self::screen::{ModelState, Route, Shared};
use self::terminal::{Signals, Tui};
use self::world::World;
use crate::content::Library;
use crate::engine::Launch;
use crate::progress::Summary;
use crate::theme::{Palette, Theme};

/// How long leaving waits for the disk; less when a signal asked.
const PATIENCE: Duration = Duration::from_secs(10);
const PATIENCE_OF_SIGNALS: Duration = Duration::from_millis(300);

/// What the app starts with. Plain values: nothing below reads the environment.
pub struct Setup {
    /// The course.
    pub library: Arc<Library>,
    /// How colours are chosen.
    pub palette: Palette,
    /// The learner's folder, or the sentence that says why there is none.
    pub data_dir: Result<PathBuf, String>,
    /// Whether the record is only read.
    pub read_only: bool,
    /// How the model's process is started, or the sentence that says why there is no model and what to do.
    pub model: Result<Launch, String>,
    /// Where to start instead of at home.
    pub start: Option<Route>,
    /// Whether the mouse is used (`OSAI_MOUSE=off` leaves it to the terminal).
    pub mouse: bool,
    /// The clock, in the learner's zone.
    pub clock: Arc<dyn Fn() -> ZonedDateTime + Send + Sync>,
}

impl fmt::Debug for Setup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Setup")
            .field("palette", &self.palette)
            .field("data_dir", &self.data_dir)
            .field("model", &self.model)
            .field("start", &self.start)
            .finish_non_exhaustive()
    }
}

/// Runs the app on this terminal until the learner leaves it; gives the exit code.
///
/// # Errors
/// Standard output is no terminal, or it went away.
pub fn run(setup: Setup) -> io::Result<u8> {
    let (send, events) = mpsc::channel();
    let signals = Signals::listen(send.clone())?;
    let mut tui = Tui::enter(setup.mouse)?;
    let now = (setup.clock)();
    let model = match &setup.model {
        Ok(Launch { model, .. }) => {
            ModelState::Found(model.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned()))
        }
        Err(why) => ModelState::Missing(why.clone()),
    };
    let shared = Shared {
        library: Arc::clone(&setup.library),
        theme: Theme::new(setup.palette),
        summary: Summary::default(),
        summary_known: false,
        model,
        today: now.date(),
        hour: now.hour().unsigned_abs(),
    };
    let (mut app, first) = App::new(shared, tui.size()?, setup.start);
    tui.draw(&mut app)?;

    terminal::read_input(send.clone())?;
    let record = Record::open(setup.data_dir, setup.read_only, now.date(), send.clone())?;
    let mut world = World::new(record, setup.model, setup.clock, send);
    let mut queue = VecDeque::new();
    perform(first, &mut world, &mut tui, &signals, &mut queue)?;
    let ended = turn(&mut app, &mut world, &mut tui, &signals, &events, queue);
    let code = app.exit().unwrap_or(0);
    drop(tui);
    world.finish(if code >= 128 { PATIENCE_OF_SIGNALS } else { PATIENCE });
    match ended {
        // The terminal of a session that hangs up is gone: that is how it ends, no fault.
        Err(_) if code >= 128 => Ok(code),
        ended => ended.map(|()| code),
    }
}

fn turn(
    app: &mut App,
    world: &mut World,
    tui: &mut Tui,
    signals: &Signals,
    events: &mpsc::Receiver<Event>,
    mut queue: VecDeque<Event>,
) -> io::Result<()> {
    while app.exit().is_none() {
        if queue.is_empty() {
            let Ok(first) = events.recv() else { return Ok(()) };
            queue.push_back(first);
        }
        queue.extend(events.try_iter());
        queue.extend(world.new_day(app.shared().today));
        while let Some(event) = queue.pop_front() {
            // Of a storm of sizes only the last one counts.
            if matches!((&event, queue.front()), (Event::Resize(..), Some(Event::Resize(..)))) {
                continue;
            }
            perform(app.update(event), world, tui, signals, &mut queue)?;
        }
        let size = tui.size()?;
        if size != app.size() {
            app.update(Event::Resize(size.0, size.1));
        }
        tui.draw(app)?;
    }
    Ok(())
}

fn perform(
    effects: Vec<Effect>,
    world: &mut World,
    tui: &mut Tui,
    signals: &Signals,
    queue: &mut VecDeque<Event>,
) -> io::Result<()> {
    for effect in effects {
        match effect {
            Effect::Suspend => tui.suspend(signals)?,
            effect => queue.extend(world.perform(effect)),
        }
    }
    Ok(())
}
