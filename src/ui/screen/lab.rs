//! The frame around a lab: its goals, the model, the run, and what is kept.
//!
//! A lab opens when its kept state is known (`LabState`), because a state that came late would be lost. Reached goals
//! go to the record at once, the lab's state with them and on leaving. Where the model cannot run, the lab's recorded
//! run is offered, and everything shown then says so.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::lines::{Lines, column};
use super::{ModelState, Outcome, Shared, file_name};
use crate::content::Block;
use crate::engine::{EngineError, Job, Update};
use crate::labs::{self, Key, KeyHelp, KeyPress, Lab, LabEntry, Reaction, Recording};
use crate::progress::GoalReached;
use crate::text::SafeText;
use crate::ui::draw;
use crate::ui::event::{Effect, Event, Mouse};

/// Wider than text, because bars and tables use the room.
const WIDTH: u16 = 100;

/// Where the updates come from.
#[derive(Debug)]
enum Source {
    Model,
    Recorded(Vec<Recording>),
}

#[derive(Debug, PartialEq)]
enum Phase {
    /// The kept state is being read.
    Opening,
    /// The model cannot run: the recorded run is offered. Why, in one sentence.
    Offer(String),
    /// The lab is open.
    Open,
}

/// What is known of the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Run {
    Idle,
    /// Started, nothing heard yet.
    Loading {
        generates: bool,
    },
    Running {
        generates: bool,
        /// Tokens of a long prompt read so far, and all of them.
        reading: Option<(usize, usize)>,
    },
}

/// A lab with its frame.
#[derive(Debug)]
pub struct LabScreen {
    entry: &'static LabEntry,
    /// The lab's key in the record.
    key: String,
    params: String,
    kept: Option<String>,
    lab: Box<dyn Lab>,
    source: Source,
    phase: Phase,
    run: Run,
    /// Goals that the record has, or was told.
    told: Vec<String>,
    /// Whether the lab's state differs from the one kept.
    changed: bool,
    /// The goal reached by the last act.
    reached_now: Option<String>,
    /// Network sockets after the last answer.
    connections: Option<usize>,
}

impl LabScreen {
    /// The lab `id`, with the parameters (JSON object) of the lesson it was opened from.
    ///
    /// # Errors
    /// There is no such lab.
    pub fn new(id: &str, lesson: Option<String>, params: &str, shared: &Shared) -> Result<Self, String> {
        let entry =
            labs::find(id).ok_or_else(|| format!("there is no lab `{id}`; there are {}", labs::ids().join(", ")))?;
        let key = record_key(entry.id, lesson.as_deref(), shared);
        let params = with_title(entry.id, lesson.as_deref(), params, shared);
        let told = shared.summary.goals.iter().filter(|g| g.lab == key).map(|g| g.goal.clone()).collect();
        let phase = match &shared.model {
            ModelState::Missing(why) if !entry.recordings().is_empty() => Phase::Offer(why.clone()),
            _ => Phase::Opening,
        };
        Ok(Self {
            lab: (entry.open)(&params, None),
            entry,
            key,
            params,
            kept: None,
            source: Source::Model,
            phase,
            run: Run::Idle,
            told,
            changed: false,
            reached_now: None,
            connections: None,
        })
    }

    /// Reads the kept state, and opens the model meanwhile.
    pub fn on_open(&mut self) -> Outcome {
        let load = Outcome::Do(vec![Effect::LoadLab(self.key.clone())]);
        match self.phase {
            Phase::Opening => Outcome::All(vec![load, Outcome::Start(Job::Open)]),
            _ => load,
        }
    }

    /// What to keep when the screen goes out of view.
    pub fn on_leave(&mut self, _shared: &Shared) -> Vec<Effect> {
        if !std::mem::take(&mut self.changed) {
            return vec![];
        }
        vec![Effect::SaveLab { lab: self.key.clone(), state: self.lab.state() }]
    }

    /// Whether keys are text now.
    pub fn is_typing(&self) -> bool {
        self.phase == Phase::Open && self.lab.is_typing()
    }

    /// Title; goals and model.
    pub fn header(&self, shared: &Shared) -> (String, String) {
        let goals: String = self.goals_reached().iter().map(|reached| if *reached { '●' } else { '○' }).collect();
        let model = match (&self.source, &shared.model) {
            (Source::Recorded(_), _) => "recorded run".to_string(),
            (_, ModelState::Found(name)) => name.clone(),
            (_, ModelState::Ready(info)) => file_name(info),
            (_, ModelState::Missing(_)) => "no model".to_string(),
        };
        (format!("Lab · {}", self.lab.title()), format!("goals {goals}   {model}"))
    }

    fn goals_reached(&self) -> Vec<bool> {
        let told = |id: &str| self.told.iter().any(|t| t == id);
        self.lab.goals().iter().map(|goal| goal.reached.is_some() || told(goal.id)).collect()
    }

    /// What keys do here now.
    pub fn bindings(&self, _shared: &Shared) -> Vec<KeyHelp> {
        match self.phase {
            Phase::Opening => vec![],
            Phase::Offer(_) => {
                vec![KeyHelp { keys: "enter", what: "see the recorded run", press: KeyPress::plain(Key::Enter) }]
            }
            Phase::Open => self.lab.bindings(),
        }
    }

    /// The lab sees a key first.
    pub fn on_key(&mut self, key: KeyPress, _shared: &Shared) -> Outcome {
        match self.phase {
            Phase::Opening => Outcome::Ignored,
            Phase::Offer(_) if key.key == Key::Enter => {
                self.source = Source::Recorded(self.entry.recordings());
                self.open()
            }
            Phase::Offer(_) => Outcome::Ignored,
            Phase::Open => {
                self.reached_now = None;
                let reaction = self.lab.on_key(key);
                self.react(reaction)
            }
        }
    }

    /// The mouse has nothing to do in a lab; the footer's keys can be clicked.
    pub fn on_mouse(&mut self, _mouse: Mouse, _shared: &Shared) -> Outcome {
        Outcome::Ignored
    }

    /// News of the run.
    pub fn on_update(&mut self, update: Update, _shared: &Shared) -> Outcome {
        if self.phase != Phase::Open {
            // News of opening the model while the state is read.
            if let Update::Failed(error) = &update {
                self.offer(error);
            }
            return Outcome::Handled;
        }
        let generates = matches!(self.run, Run::Loading { generates: true } | Run::Running { generates: true, .. });
        let ends = matches!(update, Update::Finished(_) | Update::Failed(_));
        let reading = match update {
            Update::Reading { done, total } => Some((done, total)),
            _ => None,
        };
        self.run = if ends { Run::Idle } else { Run::Running { generates, reading } };
        if let Update::Failed(error) = &update {
            self.offer(error);
            if self.phase != Phase::Open {
                return Outcome::Handled;
            }
        }
        let count = generates && matches!(update, Update::Finished(_));
        self.lab.on_update(update);
        let mut outcomes = self.keep();
        if count {
            outcomes.push(Outcome::Do(vec![Effect::CountConnections]));
        }
        all(outcomes)
    }

    /// Offers the recorded run for a model that cannot run, if there is one.
    fn offer(&mut self, error: &EngineError) {
        let hopeless = matches!(
            error,
            EngineError::NoModel { .. }
                | EngineError::Unreadable { .. }
                | EngineError::BadFile { .. }
                | EngineError::Unsupported { .. }
        );
        if hopeless && matches!(self.source, Source::Model) && !self.entry.recordings().is_empty() {
            if self.phase == Phase::Open {
                self.kept = Some(self.lab.state());
            }
            self.phase = Phase::Offer(error.to_string());
        }
    }

    /// The kept state, pasted text, the count of sockets.
    pub fn on_event(&mut self, event: &Event, _shared: &Shared) -> Outcome {
        match event {
            Event::LabState { lab, state } if *lab == self.key && self.kept.is_none() => {
                self.kept.clone_from(state);
                match self.phase {
                    Phase::Opening => self.open(),
                    _ => Outcome::Handled,
                }
            }
            Event::Summary(summary) => {
                let known = summary.goals.iter().filter(|g| g.lab == self.key).map(|g| g.goal.clone());
                self.told.extend(known.collect::<Vec<_>>());
                self.told.sort();
                self.told.dedup();
                Outcome::Handled
            }
            Event::Connections(count) => {
                self.connections = *count;
                Outcome::Handled
            }
            Event::Paste(text) if self.phase == Phase::Open => {
                let reaction = self.lab.on_paste(text);
                self.react(reaction)
            }
            _ => Outcome::Ignored,
        }
    }

    fn open(&mut self) -> Outcome {
        let params = match self.source {
            Source::Model => self.params.clone(),
            Source::Recorded(_) => with_recorded(&self.params),
        };
        self.lab = (self.entry.open)(&params, self.kept.as_deref());
        self.phase = Phase::Open;
        let reaction = self.lab.start();
        self.react(reaction)
    }

    fn react(&mut self, reaction: Reaction) -> Outcome {
        match reaction {
            Reaction::Ignored => Outcome::Ignored,
            Reaction::Handled => all(self.keep()),
            Reaction::Cancel => {
                let mut outcomes = self.keep();
                if matches!(self.source, Source::Model) {
                    outcomes.push(Outcome::Cancel);
                }
                all(outcomes)
            }
            Reaction::Start(job) => {
                self.changed = true;
                match &self.source {
                    Source::Model => {
                        self.run = Run::Loading { generates: matches!(job, Job::Generate { .. }) };
                        self.connections = None;
                        let mut outcomes = vec![Outcome::Start(job)];
                        outcomes.extend(self.keep());
                        all(outcomes)
                    }
                    Source::Recorded(recordings) => {
                        for update in replay(recordings, &job) {
                            self.lab.on_update(update);
                        }
                        all(self.keep())
                    }
                }
            }
        }
    }

    /// Tells the record what was reached since, and keeps the lab's state with it.
    fn keep(&mut self) -> Vec<Outcome> {
        self.changed = true;
        let mut effects = vec![];
        for goal in self.lab.goals() {
            let Some(evidence) = goal.reached.filter(|_| !self.told.iter().any(|t| t == goal.id)) else { continue };
            self.told.push(goal.id.to_string());
            self.reached_now = Some(goal.text);
            let evidence = match self.source {
                Source::Model => evidence,
                Source::Recorded(_) => with_recorded(&evidence),
            };
            effects.push(Effect::ReachGoal(GoalReached {
                lab: self.key.clone(),
                goal: goal.id.to_string(),
                evidence,
                reached_at: 0,
            }));
        }
        if effects.is_empty() {
            return vec![];
        }
        self.changed = false;
        effects.push(Effect::SaveLab { lab: self.key.clone(), state: self.lab.state() });
        vec![Outcome::Do(effects)]
    }

    /// Nothing depends on the size before drawing.
    pub fn resize(&mut self, _columns: u16, _rows: u16, _shared: &Shared) {}

    /// Draws the lab, the goal at hand and the state of the run.
    pub fn view(&self, area: Rect, buf: &mut Buffer, shared: &Shared) {
        let theme = &shared.theme;
        let area = column(area, WIDTH);
        match &self.phase {
            Phase::Opening => return,
            Phase::Offer(why) => {
                let mut lines = Lines::new(area.width);
                lines.text("The model cannot run here.", theme.strong);
                lines.text(why, theme.warn);
                lines.blank();
                lines.text(
                    "This lab was run before with the course's own model, and everything the model said was recorded. \
                     You can go through that run; what you see is then marked as recorded, and only what was recorded \
                     has an answer.",
                    theme.text,
                );
                lines.blank();
                lines.text("enter shows the recorded run", theme.accent);
                return lines.draw(area, buf, 0);
            }
            Phase::Open => {}
        }
        let mut foot = Lines::new(area.width);
        if let Some(goal) = &self.reached_now {
            foot.hang("✓ Goal reached: ", goal, theme.good);
        }
        self.goal_line(&mut foot, area, shared);
        if let Some(status) = self.status() {
            foot.text(&status, theme.quiet);
        }
        let rows = foot.draw_at_foot(area, buf);
        let gap = u16::from(area.height >= 14);
        let inner = Rect { height: area.height.saturating_sub(rows + gap), ..area };
        self.lab.view(inner, buf, theme);
    }

    fn goal_line(&self, foot: &mut Lines, area: Rect, shared: &Shared) {
        let goals = self.lab.goals();
        let reached = self.goals_reached();
        let Some(at) = reached.iter().position(|r| !r) else {
            return foot.text("All goals of this lab are reached.", shared.theme.good);
        };
        let head = format!("Goal {} of {}: ", at + 1, goals.len());
        let text = SafeText::line(goals[at].text.as_str()).into_string();
        // On a small screen a goal has one row.
        let text =
            if area.height < 14 { draw::cut(&text, usize::from(area.width).saturating_sub(head.len())) } else { text };
        foot.hang(&head, &text, shared.theme.text);
    }

    fn status(&self) -> Option<String> {
        match (&self.source, self.run) {
            (Source::Recorded(_), _) => Some("A recorded run: the model is not running here.".into()),
            (_, Run::Loading { .. }) => Some("loading the model".into()),
            (_, Run::Running { reading, .. }) => {
                reading.map(|(done, total)| format!("reading the prompt: {done} of {total} tokens"))
            }
            (_, Run::Idle) => self.connections.map(|count| {
                format!("Network sockets of this program, counted by the system after the answer: {count}")
            }),
        }
    }
}

/// The lab's key in the record: `f1/generate`, with the pack's prefix if the lesson is a pack's.
fn record_key(lab: &str, lesson: Option<&str>, shared: &Shared) -> String {
    match lesson.and_then(|id| shared.library.find_lesson(id)) {
        Some(head) => shared.library.record_key(&head.path, &format!("{}/{lab}", head.id)),
        None => lab.to_string(),
    }
}

/// The parameters with the title that the lesson gives the lab.
fn with_title(lab: &str, lesson: Option<&str>, params: &str, shared: &Shared) -> String {
    let lesson = lesson.and_then(|id| shared.library.lesson(id).ok());
    let title = lesson.iter().flat_map(|lesson| &lesson.blocks).find_map(|block| match block {
        Block::Lab { id, title, params: own, .. } if id == lab && own == params => Some(title.clone()),
        _ => None,
    });
    title.map_or_else(|| params.to_string(), |title| with(params, "title", title.into()))
}

/// A JSON object with `"recorded": true`.
fn with_recorded(json: &str) -> String {
    with(json, "recorded", true.into())
}

fn with(json: &str, key: &str, value: serde_json::Value) -> String {
    let mut object: serde_json::Map<String, serde_json::Value> = serde_json::from_str(json).unwrap_or_default();
    object.insert(key.into(), value);
    serde_json::Value::Object(object).to_string()
}

/// What the recorded run says to a job.
fn replay(recordings: &[Recording], job: &Job) -> Vec<Update> {
    if *job == Job::Open {
        return vec![];
    }
    match recordings.iter().find(|r| r.job == *job) {
        Some(recording) => recording.updates.clone(),
        None => vec![Update::Failed(EngineError::NoModel {
            hint: "the recorded run has no answer to this; `osai model add smollm2` puts the model in place".into(),
        })],
    }
}

fn all(mut outcomes: Vec<Outcome>) -> Outcome {
    match outcomes.len() {
        0 => Outcome::Handled,
        1 => outcomes.remove(0),
        _ => Outcome::All(outcomes),
    }
}

#[cfg(test)]
mod tests;
