//! Looking inside the tiny random model, and reaching into it.

use super::*;
use crate::engine::tests::{HEADS, LAYERS, WIDTH, bits, run, tiny};
use crate::engine::{Job, Steering, Stop};

const TEXT: &str = "It was the best of times";

fn prompt() -> Prompt {
    Prompt::Text(TEXT.into())
}

fn with(interventions: Interventions, job: Job) -> Job {
    Job::With { interventions, job: Box::new(job) }
}

/// The last logits of the text under a job that may be wrapped.
fn next(model: &mut Model, wrap: impl Fn(Job) -> Job) -> Vec<u32> {
    let (updates, outcome) = run(model, wrap(Job::Next { prompt: prompt() }));
    outcome.expect("runs");
    let Some(Update::Next(next)) = updates.last() else { panic!("no answer") };
    bits(&next.logits)
}

/// The one answer of a job.
fn answer(model: &mut Model, job: Job) -> Update {
    let (mut updates, outcome) = run(model, job);
    assert_eq!(outcome.expect("runs").stop, Stop::Stop);
    updates.pop().expect("an answer")
}

fn highest_of(logits: &[f32]) -> u32 {
    highest(logits) as u32
}

#[test]
fn changing_nothing_gives_the_same_bits_and_changing_something_does_not() {
    let mut model = tiny(3);
    let before = next(&mut model, |job| job);
    let steering = |layer, strength| Interventions {
        steering: vec![Steering { layer, strength, vector: vec![0.5; WIDTH as usize] }],
        ..Interventions::default()
    };
    assert_eq!(next(&mut model, |job| with(Interventions::default(), job)), before, "nothing");
    assert_eq!(next(&mut model, |job| with(steering(1, 0.0), job)), before, "a vector at strength 0");
    let some = [
        Interventions { ablated_heads: vec![(1, 2)], ..Interventions::default() },
        Interventions { ablated_attentions: vec![0], ..Interventions::default() },
        Interventions { ablated_mlps: vec![1], ..Interventions::default() },
        steering(0, 1.0),
        steering(LAYERS as usize, 1.0),
    ];
    for what in some {
        assert_ne!(next(&mut model, |job| with(what.clone(), job)), before, "{what:?}");
        assert_eq!(next(&mut model, |job| job), before, "{what:?} outlived its job");
        model.intervene(what.clone()).expect("possible");
        let held = next(&mut model, |job| job);
        assert_ne!(held, before, "{what:?} held for good");
        assert_eq!(next(&mut model, |job| with(Interventions::default(), job)), held, "those in force stay in force");
        model.intervene(Interventions::default()).expect("possible");
    }
}

#[test]
fn ablating_all_heads_of_a_layer_is_ablating_its_attention() {
    let mut model = tiny(0);
    let heads = Interventions {
        ablated_heads: (0..HEADS as usize).map(|head| (1, head)).collect(),
        ..Interventions::default()
    };
    let attention = Interventions { ablated_attentions: vec![1], ..Interventions::default() };
    assert_eq!(next(&mut model, |job| with(heads.clone(), job)), next(&mut model, |job| with(attention.clone(), job)));
    let inner =
        |job| with(heads.clone(), with(Interventions { ablated_mlps: vec![0], ..Interventions::default() }, job));
    let both = Interventions { ablated_mlps: vec![0], ..heads.clone() };
    assert_eq!(
        next(&mut model, inner),
        next(&mut model, |job| with(both.clone(), job)),
        "one within the other adds up"
    );
}

#[test]
fn what_the_model_does_not_have_cannot_be_changed() {
    let mut model = tiny(0);
    let steering = |layer, strength, width| Interventions {
        steering: vec![Steering { layer, strength, vector: vec![1.0; width] }],
        ..Interventions::default()
    };
    for (what, word) in [
        (Interventions { ablated_mlps: vec![2], ..Interventions::default() }, "no layer 2"),
        (Interventions { ablated_heads: vec![(0, 4)], ..Interventions::default() }, "no head 4"),
        (steering(3, 1.0, 64), "before 0 to 2"),
        (steering(0, 1.0, 63), "63 numbers; this model's have 64"),
        (steering(0, f32::NAN, 64), "not finite"),
    ] {
        let (_, outcome) = run(&mut model, with(what, Job::Next { prompt: prompt() }));
        let told = outcome.expect_err(word).to_string();
        assert!(told.contains(word), "wanted `{word}` in: {told}");
    }
}

#[test]
fn a_trace_has_every_number_and_shows_what_interventions_left() {
    let mut model = tiny(8);
    let Update::Trace(plain) = answer(&mut model, Job::Trace { prompt: prompt() }) else { panic!("no trace") };
    let tokens = plain.tokens.len();
    assert_eq!(plain.trace.attentions.len(), LAYERS as usize * HEADS as usize * tokens);
    assert_eq!(plain.trace.mlps.len(), LAYERS as usize * tokens);
    for (layer, head, position, weights) in &plain.trace.attentions {
        let sum: f32 = weights.iter().sum();
        assert!((sum - 1.0).abs() < 1e-5, "layer {layer}, head {head}, position {position}: {sum}");
    }
    assert_eq!(bits(&plain.logits), next(&mut model, |job| job));
    let what = Interventions { ablated_attentions: vec![0], ablated_mlps: vec![0], ..Interventions::default() };
    let Update::Trace(cut) = answer(&mut model, with(what, Job::Trace { prompt: prompt() })) else {
        panic!("no trace")
    };
    let stream = |traced: &Traced, layer: usize| {
        let all = traced.trace.hidden_states.iter().filter(|(at, ..)| *at == layer);
        all.flat_map(|(_, _, x)| x.clone()).collect::<Vec<f32>>()
    };
    assert_eq!(stream(&cut, 0), stream(&plain, 0));
    assert_eq!(stream(&cut, 1), stream(&cut, 0), "a layer that adds nothing");
    assert_ne!(stream(&plain, 1), stream(&plain, 0));
}

#[test]
fn the_lens_ends_in_what_the_model_says() {
    let mut model = tiny(3);
    let Update::Lens(lens) = answer(&mut model, Job::Lens { prompt: prompt() }) else { panic!("no lens") };
    assert_eq!(lens.layers.len(), LAYERS as usize + 1);
    let ids: Vec<u32> = lens.tokens.iter().map(|token| token.id).collect();
    let logits = model.all_logits(&ids, 64);
    let last = lens.layers.last().expect("layers");
    for (cell, logits) in last.iter().zip(logits.chunks_exact(logits.len() / ids.len())) {
        assert_eq!(cell.likeliest.id, highest_of(logits));
        let exact = (f64::from(logits[cell.likeliest.id as usize]) - log_sum_exp(logits)).exp();
        assert!((f64::from(cell.probability) - exact).abs() < 1e-6);
        assert_eq!(cell.probability, cell.of_final);
    }
    assert_ne!(lens.layers[0], *last);
}

#[test]
fn a_score_is_what_the_logits_say() {
    let mut model = tiny(0);
    let text = "The cat sat. ".repeat(12);
    let Update::Score(score) = answer(&mut model, Job::Score { prompt: Prompt::Text(text) }) else {
        panic!("no score")
    };
    let ids: Vec<u32> = "The cat sat. ".repeat(12).bytes().map(u32::from).collect();
    assert!(ids.len() > CHUNK, "more than one chunk");
    let Update::Tokens(tokens) = answer(&mut model, Job::Tokenize { text: "The cat sat. ".repeat(12) }) else {
        panic!("no tokens")
    };
    let ids: Vec<u32> = tokens.iter().map(|token| token.id).collect();
    let logits = model.all_logits(&ids, 64);
    let rows = logits.chunks_exact(logits.len() / ids.len());
    let logs: Vec<f64> =
        rows.zip(&ids[1..]).map(|(logits, id)| f64::from(logits[*id as usize]) - log_sum_exp(logits)).collect();
    let perplexity = (-logs.iter().sum::<f64>() / logs.len() as f64).exp();
    assert!((score.perplexity / perplexity - 1.0).abs() < 1e-12, "{} and {perplexity}", score.perplexity);
    assert_eq!(score.tokens.len(), ids.len() - 1);
    for (token, log) in score.tokens.iter().zip(&logs) {
        assert!((token.log_probability - log).abs() < 1e-12);
        assert!((token.surprise + log / std::f64::consts::LN_2).abs() < 1e-12);
        assert_eq!(token.rank == 0, token.token.id == token.likeliest.id);
    }
    let (_, outcome) = run(&mut model, Job::Score { prompt: Prompt::Text("x".into()) });
    assert!(outcome.expect_err("refused").to_string().contains("a single token"));
}

#[test]
fn a_model_against_itself_does_not_differ_and_against_another_does() {
    let (mut model, mut same, mut other) = (tiny(0), tiny(0), tiny(3));
    let mut go_on = |_| ControlFlow::Continue(());
    let own = model.compare(&mut same, &prompt(), &mut go_on).expect("runs").expect("not stopped");
    assert_eq!((own.kl_divergence, own.same_top_token, own.perplexity), (0.0, 1.0, own.other_perplexity));
    let far = model.compare(&mut other, &prompt(), &mut go_on).expect("runs").expect("not stopped");
    assert!(far.kl_divergence > 0.01 && far.same_top_token < 1.0 && far.tokens == TEXT.len() - 1);
    // By hand for two tokens: p = (3/4, 1/4), q = (1/2, 1/2).
    let kl = kl_divergence(&[3.0_f32.ln(), 0.0], &[0.0, 0.0]);
    assert!((kl - (0.75 * 1.5_f64.ln() + 0.25 * 0.5_f64.ln())).abs() < 1e-7);
}

#[test]
fn embeddings_have_length_one() {
    let mut model = tiny(8);
    let mut seen = vec![];
    for pooling in [Pooling::Mean, Pooling::Last, Pooling::Cls] {
        let Update::Vector(vector) = answer(&mut model, Job::Embed { prompt: prompt(), pooling }) else {
            panic!("no vector")
        };
        assert_eq!(vector.len(), WIDTH as usize);
        let length = vector.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
        assert!((length - 1.0).abs() < 1e-6, "{pooling:?}: {length}");
        assert!(!seen.contains(&vector), "{pooling:?} is another's");
        seen.push(vector);
    }
}

#[test]
fn a_contrast_is_the_difference_of_means_and_steers_towards_its_text() {
    let mut model = tiny(0);
    let (a, b) = (Prompt::Text("yes yes yes".into()), Prompt::Text("no no".into()));
    let job = |a: &Prompt, b: &Prompt| Job::Contrast { a: a.clone(), b: b.clone(), layer: 1 };
    let Update::Vector(vector) = answer(&mut model, job(&a, &b)) else { panic!("no vector") };
    let mut mean = |prompt: &Prompt| {
        let Update::Trace(traced) = answer(&mut model, Job::Trace { prompt: prompt.clone() }) else { panic!("none") };
        let all = traced.trace.hidden_states.into_iter().filter(|(layer, position, _)| *layer == 1 && *position > 0);
        let rows: Vec<Vec<f32>> = all.map(|(_, _, x)| x).collect();
        (0..WIDTH as usize).map(|i| rows.iter().map(|x| x[i]).sum::<f32>() / rows.len() as f32).collect::<Vec<_>>()
    };
    for ((x, a), b) in vector.iter().zip(mean(&a)).zip(mean(&b)) {
        assert!((x - (a - b)).abs() < 1e-5, "{x} and {a} - {b}");
    }
    let Update::Vector(back) = answer(&mut model, job(&b, &a)) else { panic!("no vector") };
    assert!(vector.iter().zip(&back).all(|(x, y)| (x + y).abs() < 1e-6), "the other way round is the negative");
    let (_, outcome) = run(&mut model, Job::Contrast { a, b, layer: 3 });
    assert!(outcome.expect_err("refused").to_string().contains("before 0 to 2"));
}

#[test]
fn every_look_can_be_stopped_within_a_forward_pass() {
    let mut model = tiny(0);
    let long = || Prompt::Text("z".repeat(150));
    for job in [
        Job::Trace { prompt: long() },
        Job::Lens { prompt: long() },
        Job::Score { prompt: long() },
        Job::Embed { prompt: long(), pooling: Pooling::Mean },
        Job::Contrast { a: long(), b: prompt(), layer: 0 },
        with(Interventions { ablated_mlps: vec![0], ..Interventions::default() }, Job::Lens { prompt: long() }),
    ] {
        let mut updates = 0;
        let stats = model.run(job.clone(), &mut |update| {
            assert!(matches!(update, Update::Reading { done: 64, .. }), "{job:?}: {update:?}");
            updates += 1;
            ControlFlow::Break(())
        });
        assert_eq!((stats.expect("runs").stop, updates), (Stop::Cancelled, 1), "{job:?}");
    }
    assert_eq!(model.interventions, Interventions::default(), "what was stopped has been undone");
}

#[test]
fn jobs_and_answers_are_plain_data() {
    let mut model = tiny(0);
    let what = Interventions { ablated_heads: vec![(0, 1)], ..Interventions::default() };
    for job in [
        with(what, Job::Trace { prompt: prompt() }),
        Job::Lens { prompt: prompt() },
        Job::Embed { prompt: prompt(), pooling: Pooling::Last },
        Job::Adapt { adapters: vec![] },
    ] {
        let text = serde_json::to_string(&job).expect("JSON");
        let same: Job = serde_json::from_str(&text).expect("comes back");
        assert_eq!(same, job);
        let seen = answer(&mut model, job);
        let text = serde_json::to_string(&seen).expect("JSON");
        assert_eq!(serde_json::from_str::<Update>(&text).expect("comes back"), seen);
    }
}
