//! The labs' recorded runs are what the bundled model says to the lessons' own parameters.
//!
//! `OSAI_RECORD=1 cargo test --test recorded` writes `src/labs/recorded/*.json` anew; without it they are compared. Only
//! what a run took may differ.

mod common;

use std::ops::ControlFlow;

use osai::content::{Block, Library};
use osai::engine::{Model, RunStats, Update};
use osai::labs::{self, Key, KeyPress, Reaction, Recording};

/// A lab, the lesson whose parameters it gets, and the keys of someone who goes through it; `\n` is enter, `v` is down.
const RUNS: [(&str, &str, &str); 3] =
    [("generate", "f1", "yvyv\nvgan"), ("next-token", "p4", "50\n"), ("tokens", "p3", "40\n")];

fn params(lab: &str, lesson: &str) -> String {
    let lesson = Library::embedded().lesson(lesson).expect("a sound lesson");
    let found = lesson.blocks.into_iter().find_map(|block| match block {
        Block::Lab { id, params, .. } if id == lab => Some(params),
        _ => None,
    });
    found.unwrap_or_else(|| panic!("lesson {} has no lab {lab}", lesson.head.id))
}

/// Goes through a lab with the real model and writes down every job with its answers.
fn record(model: &mut Model, lab: &str, lesson: &str, keys: &str) -> Vec<Recording> {
    let mut open = (labs::find(lab).expect("a lab").open)(&params(lab, lesson), None);
    let mut recordings = vec![];
    let mut answer = |open: &mut Box<dyn labs::Lab>, reaction: Reaction| {
        let Reaction::Start(job) = reaction else { return };
        let mut updates = vec![];
        let stats = model.run(job.clone(), &mut |update| {
            updates.push(update);
            ControlFlow::Continue(())
        });
        updates.push(Update::Finished(stats.expect("the job runs")));
        updates.iter().for_each(|update| open.on_update(update.clone()));
        if !matches!(job, osai::engine::Job::Open) && !recordings.iter().any(|r: &Recording| r.job == job) {
            recordings.push(Recording { job, updates });
        }
    };
    let first = open.start();
    answer(&mut open, first);
    for c in keys.chars() {
        let key = match c {
            '\n' => KeyPress::plain(Key::Enter),
            'v' => KeyPress::plain(Key::Down),
            c => KeyPress::char(c),
        };
        let reaction = open.on_key(key);
        answer(&mut open, reaction);
    }
    recordings
}

/// The same without what a run took: time, memory, energy.
fn timeless(mut recordings: Vec<Recording>) -> Vec<Recording> {
    for update in recordings.iter_mut().flat_map(|r| &mut r.updates) {
        match update {
            Update::Finished(RunStats { stop, seed, prompt_tokens, new_tokens, .. }) => {
                let (stop, seed, prompt_tokens, new_tokens) = (*stop, *seed, *prompt_tokens, *new_tokens);
                let stats = RunStats { stop, seed, prompt_tokens, new_tokens, ..RunStats::default() };
                *update = Update::Finished(stats);
            }
            Update::Token { elapsed_ms, .. } => *elapsed_ms = 0.0,
            _ => {}
        }
    }
    recordings
}

#[test]
#[allow(clippy::disallowed_methods, reason = "a developer asks for new recordings by the environment")]
fn recordings_are_what_the_model_says() {
    let Some(mut model) = common::model() else { return };
    for (lab, lesson, keys) in RUNS {
        let now = record(&mut model, lab, lesson, keys);
        assert!(!now.is_empty(), "lab {lab} asked the model nothing");
        if std::env::var_os("OSAI_RECORD").is_some() {
            let path = format!("{}/src/labs/recorded/{lab}.json", env!("CARGO_MANIFEST_DIR"));
            std::fs::write(path, serde_json::to_string(&now).expect("plain data") + "\n").expect("written");
            continue;
        }
        let kept = labs::find(lab).expect("a lab").recordings();
        assert!(timeless(kept) == timeless(now), "the recorded run of lab {lab} is old; OSAI_RECORD=1 makes it anew");
    }
}
