//! Records the reference runs of the labs with the real model: `cargo test --test record_labs -- --ignored`.
//!
//! Writes `src/labs/recorded/*.json`: for each lab of a lesson, the jobs that its first steps start, and what the model
//! said. Run it when a lesson's parameters, a lab's jobs or the engine's numbers have changed.

#[allow(dead_code)]
mod common;

use std::fmt::Write as _;
use std::ops::ControlFlow;

use osai::content::{Block, Library};
use osai::engine::{Job, RunStats, Stop, Update};
use osai::labs::{self, Key, KeyPress, Lab, LabEntry, Reaction, Recording};

/// The jobs that a learner's first steps in a lab start.
fn jobs(id: &str, lab: &mut dyn Lab) -> Vec<Job> {
    let keys: Vec<KeyPress> = match id {
        "tokens" => vec![KeyPress::char('1'), KeyPress::plain(Key::Enter)],
        // A question is asked by y where it has a fact, else by enter; below the last stands the learner's own prompt.
        "generate" => [KeyPress::char('y'), KeyPress::plain(Key::Enter), KeyPress::plain(Key::Down)].repeat(20),
        _ => vec![],
    };
    let mut found = vec![];
    let mut note = |reaction| {
        if let Reaction::Start(job) = reaction
            && job != Job::Open
            && !found.contains(&job)
        {
            found.push(job);
        }
    };
    note(lab.start());
    let stats = RunStats {
        stop: Stop::Cancelled,
        seed: 0,
        prompt_tokens: 0,
        new_tokens: 0,
        tokens_per_second: 0.0,
        time_to_first_token_ms: 0.0,
    };
    for key in keys {
        note(lab.on_key(key));
        lab.on_update(Update::Finished(stats.clone()));
    }
    found
}

/// Three decimals of a logit are more than any screen shows, and half the size.
fn rounded(update: Update) -> Update {
    let round = |logit: f32| (logit * 1000.0).round() / 1000.0;
    match update {
        Update::Next(mut next) => {
            next.logits.iter_mut().for_each(|logit| *logit = round(*logit));
            next.top.iter_mut().for_each(|(_, logit)| *logit = round(*logit));
            Update::Next(next)
        }
        update => update,
    }
}

/// The jobs of a lab in all lessons.
fn lesson_jobs(entry: &LabEntry, library: &Library) -> Vec<Job> {
    let mut found: Vec<Job> = vec![];
    for head in library.lessons() {
        for block in library.lesson(&head.id).expect("checked").blocks {
            let Block::Lab { id, params, to_come: false, .. } = block else { continue };
            if id == entry.id {
                found.extend(jobs(entry.id, &mut *(entry.open)(&params, None)));
            }
        }
    }
    found.dedup();
    found
}

/// After a lesson's parameters have changed the recorded run no longer fits; the head of this file says what to run.
#[test]
fn the_recorded_runs_answer_what_the_lessons_start() {
    let library = Library::embedded();
    for entry in labs::LABS {
        let recorded: Vec<Job> = entry.recordings().into_iter().map(|r| r.job).collect();
        for job in lesson_jobs(entry, &library) {
            assert!(recorded.contains(&job), "{}: not recorded: {job:?}", entry.id);
        }
    }
}

#[test]
#[ignore = "writes into the repository; needs the model"]
fn record_the_reference_runs() {
    let library = Library::embedded();
    let mut model = common::model().expect("OSAI_NO_MODEL is not set");
    for entry in labs::LABS {
        let mut json = String::from("[");
        for (i, job) in lesson_jobs(entry, &library).into_iter().enumerate() {
            let mut updates = vec![];
            let stats = model.run(job.clone(), &mut |update| {
                updates.push(rounded(update));
                ControlFlow::Continue(())
            });
            updates.push(Update::Finished(stats.expect("the job runs")));
            let line = serde_json::to_string(&Recording { job, updates }).expect("plain data");
            write!(json, "{}\n{line}", if i == 0 { "" } else { "," }).expect("a string takes all");
        }
        json.push_str("\n]\n");
        let path = format!("{}/src/labs/recorded/{}.json", env!("CARGO_MANIFEST_DIR"), entry.id);
        std::fs::write(&path, json).expect("the repository can be written");
    }
}
