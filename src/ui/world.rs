//! What effects act on: the record, the model, the clock, files.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use jiff::ZonedDateTime;
use jiff::civil::Date;

use super::connections;
use super::event::{Effect, Event, NewAttempt};
use super::record::{Order, Record};
use crate::engine::{EngineError, Job, Launch, ModelProcess, Run, RunId, Update};
use crate::progress::{Attempt, GoalReached};
use crate::text::SafeText;

/// So many names are tried for a file that must not overwrite another.
const MAX_NAMES: u32 = 999;
/// How long leaving waits for the model's process, which is killed.
const PATIENCE: Duration = Duration::from_millis(500);

/// The outside. Holds the only clock.
pub struct World {
    record: Record,
    launch: Result<Launch, String>,
    /// From the first job on.
    model: Option<ModelProcess>,
    /// The run under way. Dropping it cancels it.
    run: Option<Run>,
    clock: Arc<dyn Fn() -> ZonedDateTime + Send + Sync>,
    events: Sender<Event>,
    /// When the question in view was shown.
    shown: Instant,
}

impl World {
    /// A world with an open record and no model yet.
    pub fn new(
        record: Record,
        launch: Result<Launch, String>,
        clock: Arc<dyn Fn() -> ZonedDateTime + Send + Sync>,
        events: Sender<Event>,
    ) -> Self {
        Self { record, launch, model: None, run: None, clock, events, shown: Instant::now() }
    }

    /// The news that another day has begun, if one has.
    pub fn new_day(&self, known: Date) -> Option<Event> {
        let today = (self.clock)().date();
        if today == known {
            return None;
        }
        self.record.order(Order::Today(today));
        Some(Event::Today(today))
    }

    /// Ends the model's process, and waits for the disk, at most for `limit`.
    pub fn finish(self, limit: Duration) {
        drop(self.run);
        if let Some(model) = self.model {
            model.finish(PATIENCE.min(limit));
        }
        self.record.finish(limit);
    }

    /// Does what an effect orders; what follows at once comes back, the rest as an event later.
    pub fn perform(&mut self, effect: Effect) -> Option<Event> {
        let now = || (self.clock)().timestamp().as_second();
        let order = match effect {
            Effect::Start(id, job) => return self.start(id, job),
            Effect::Cancel | Effect::Quit(_) => {
                self.run = None;
                return None;
            }
            Effect::Shown => {
                self.shown = Instant::now();
                return None;
            }
            Effect::CountConnections => {
                return Some(Event::Connections(connections::count(
                    self.model.as_ref().and_then(ModelProcess::process_id),
                )));
            }
            Effect::SaveFile { name, text } => return Some(Event::Notice(save_file(&name, &text))),
            // Needs the terminal: done in the loop.
            Effect::Suspend => return None,
            Effect::Record(attempt) => {
                let (attempt, today) = self.stamp(*attempt);
                self.shown = Instant::now();
                Order::Record(Box::new(attempt), today)
            }
            Effect::SavePosition { lesson, position, completed } => Order::Position(lesson, position, completed, now()),
            Effect::ReachGoal(goal) => Order::Goal(GoalReached { reached_at: now(), ..goal }),
            Effect::SaveLab { lab, state } => Order::SaveLab(lab, state, now()),
            Effect::LoadLab(lab) => Order::LoadLab(lab),
            Effect::SaveLastScreen(screen) => Order::LastScreen(screen),
        };
        self.record.order(order);
        None
    }

    /// Starts a job; the model's process comes with the first one, so the app never waits for it.
    fn start(&mut self, id: RunId, job: Job) -> Option<Event> {
        // The earlier run is cancelled before the next one is queued.
        self.run = None;
        let failed = |error| Some(Event::Engine(id, Update::Failed(error)));
        let model = match (&mut self.model, &self.launch) {
            (Some(model), _) => model,
            (None, Err(hint)) => return failed(EngineError::NoModel { hint: hint.clone() }),
            (none, Ok(launch)) => {
                let events = self.events.clone();
                let report = move |run, update| drop(events.send(Event::Engine(run, update)));
                match ModelProcess::new(launch.clone(), report) {
                    Ok(model) => none.insert(model),
                    Err(error) => {
                        return failed(EngineError::Internal { what: format!("no thread for the model: {error}") });
                    }
                }
            }
        };
        self.run = Some(model.start(id, job));
        None
    }

    fn stamp(&self, new: NewAttempt) -> (Attempt, Date) {
        let now = (self.clock)();
        let attempt = Attempt {
            id: if new.id.is_empty() { uuid::Uuid::now_v7().to_string() } else { new.id },
            item: new.item,
            mode: new.mode.to_string(),
            answer: serde_json::to_string(&new.answer).expect("an answer is plain data"),
            right: new.right,
            score: new.score,
            confidence: new.confidence,
            elapsed_ms: u64::try_from(self.shown.elapsed().as_millis()).unwrap_or(u64::MAX),
            answered_at: now.timestamp().as_second(),
            content_version: new.content_version,
            pack: new.pack,
        };
        (attempt, now.date())
    }
}

/// Writes a text under a name that does not exist yet; the sentence for the status row.
fn save_file(name: &str, text: &str) -> String {
    let wanted = Path::new(name);
    let stem = wanted.file_stem().map_or("osai".into(), |stem| stem.to_string_lossy());
    let extension = wanted.extension().map_or("md".into(), |extension| extension.to_string_lossy());
    for number in 1..=MAX_NAMES {
        let name = if number == 1 { format!("{stem}.{extension}") } else { format!("{stem}-{number}.{extension}") };
        match File::create_new(&name).and_then(|mut file| file.write_all(text.as_bytes())) {
            Ok(()) => {
                let shown = std::path::absolute(&name).unwrap_or_else(|_| name.into());
                return format!("saved as {}", SafeText::line(shown.to_string_lossy()));
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return format!("not saved: `{name}` cannot be written ({error})"),
        }
    }
    format!("not saved: {MAX_NAMES} files named like `{name}` are there already")
}
