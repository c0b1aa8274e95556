//! The loop on the tiny random model, whose tokens are bytes.

use std::ops::ControlFlow;

use crate::engine::tests::{run, tiny};
use crate::engine::{
    BiasToken, Candidate, ChatMessage, ContextShift, EngineError, GenerationOptions, GrammarSource, Job, Mask, Model,
    Prompt, Role, RunStats, SamplingParams, Stop, TokenId, Update,
};

fn job(text: &str, sampling: SamplingParams, max_new_tokens: usize, options: GenerationOptions) -> Job {
    Job::Generate { prompt: Prompt::Text(text.into()), sampling, max_new_tokens, top_candidates: 4, options }
}

fn seeded(seed: u64) -> SamplingParams {
    SamplingParams { temperature: 2.0, seed: Some(seed), ..SamplingParams::default() }
}

fn gbnf(text: &str) -> GenerationOptions {
    GenerationOptions { grammar: Some(GrammarSource::Gbnf(text.into())), ..GenerationOptions::default() }
}

/// The text, the token ids, and the stats.
fn answer(model: &mut Model, job: Job) -> (String, Vec<TokenId>, RunStats) {
    let (updates, outcome) = run(model, job);
    let (mut text, mut ids) = (String::new(), Vec::new());
    for update in updates {
        match update {
            Update::Token { text: more, chosen, .. } => {
                text += &more;
                ids.push(chosen.token.id);
            }
            Update::Rest { text: more } => text += &more,
            _ => {}
        }
    }
    (text, ids, outcome.expect("runs"))
}

fn refusal(model: &mut Model, job: Job) -> String {
    run(model, job).1.expect_err("refused").to_string()
}

#[test]
fn an_answer_under_a_schema_is_json_that_fits() {
    let mut model = tiny(8);
    let schema = r#"{"type":"object","properties":{"n":{"type":"integer","minimum":-5,"maximum":50},
        "kind":{"enum":["cat","dog"]},"ok":{"type":"boolean"}},"required":["n","kind"]}"#;
    let options =
        GenerationOptions { grammar: Some(GrammarSource::JsonSchema(schema.into())), ..GenerationOptions::default() };
    for seed in 0..40 {
        let (text, ids, stats) = answer(&mut model, job("x", seeded(seed), 180, options.clone()));
        let value: serde_json::Value = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text:?}"));
        assert!((-5..=50).contains(&value["n"].as_i64().unwrap()), "{text}");
        assert!(value["kind"] == "cat" || value["kind"] == "dog", "{text}");
        assert!(value.get("ok").is_none_or(serde_json::Value::is_boolean), "{text}");
        assert_eq!((stats.stop, stats.new_tokens), (Stop::Stop, ids.len()));
    }
}

#[test]
fn the_mask_is_shown_with_every_token() {
    let mut model = tiny(0);
    let (updates, _) = run(&mut model, job("x", seeded(1), 6, gbnf("root ::= [ab]{3} \"!\"")));
    let tokens: Vec<(Candidate, Vec<Candidate>, Mask)> = updates
        .into_iter()
        .filter_map(|update| match update {
            Update::Token { chosen, candidates, mask, .. } => Some((chosen, candidates, mask.expect("a grammar"))),
            _ => None,
        })
        .collect();
    assert_eq!(tokens.iter().map(|t| t.2.allowed).collect::<Vec<_>>(), [2, 2, 2, 1]);
    for (chosen, candidates, mask) in &tokens {
        assert!(chosen.allowed && chosen.kept);
        assert!(mask.mass >= chosen.probability && mask.mass < 0.5, "{mask:?}");
        assert_eq!(candidates.len(), 4);
        assert!(candidates.iter().all(|c| c.allowed == matches!(&c.token.bytes[..], b"a" | b"b" | b"!") || !c.allowed));
        assert!(candidates.iter().all(|c| c.allowed || !c.kept));
        // As the model wanted it, before the mask.
        assert!(candidates.windows(2).all(|pair| pair[0].probability >= pair[1].probability));
    }
    assert!(tokens.iter().any(|(_, candidates, _)| candidates.iter().any(|c| !c.allowed)));
    let (_, ids, _) = answer(&mut model, job("x", SamplingParams::greedy(), 9, gbnf("root ::= [ab]{3} \"!\"")));
    assert_eq!(ids.len(), 4);
    let without = run(&mut model, job("x", seeded(1), 2, GenerationOptions::default())).0;
    let is_free = |update: &Update| match update {
        Update::Token { chosen, candidates, mask, .. } => {
            mask.is_none() && chosen.allowed && candidates.iter().all(|c| c.allowed)
        }
        _ => true,
    };
    assert!(without.iter().all(is_free));
}

#[test]
fn a_grammar_that_cannot_be_used_is_refused_before_anything_runs() {
    let mut model = tiny(0);
    let told = refusal(&mut model, job("x", seeded(1), 3, gbnf("root ::= \"a\" b")));
    assert_eq!(told, "the grammar cannot be used: line 1, column 14: the rule `b` is nowhere defined");
    let told = refusal(&mut model, job("x", seeded(1), 3, gbnf("root ::= <|none|>")));
    assert!(told.contains("no token `<|none|>`"), "{told}");
    let (text, ids, _) = answer(&mut model, job("x", seeded(1), 3, gbnf("root ::= \"a\" <|im_start|> \"b\"")));
    assert_eq!((text.as_str(), ids[1]), ("ab", 256), "special tokens are no text");
}

#[test]
fn an_answer_ends_before_a_stop_string_and_says_which() {
    let mut model = tiny(0);
    let letters = gbnf("root ::= [a-d]{100}");
    let (whole, _, _) = answer(&mut model, job("x", seeded(9), 60, letters.clone()));
    let stop = whole[10..13].to_owned();
    let options = GenerationOptions { stop_strings: vec!["zz".into(), stop.clone()], ..letters.clone() };
    let (text, ids, stats) = answer(&mut model, job("x", seeded(9), 60, options));
    let at = whole.find(&stop).unwrap();
    assert_eq!(text, whole[..at]);
    assert_eq!((stats.stop, stats.stop_string), (Stop::Stop, Some(stop)));
    assert_eq!(ids.len(), at + 3, "the tokens are there; only the text is not shown");
    // What only might have become one is shown in the end.
    let almost = GenerationOptions { stop_strings: vec![format!("{}Z", &whole[55..60])], ..letters };
    let (text, _, stats) = answer(&mut model, job("x", seeded(9), 60, almost));
    assert_eq!((text, stats.stop), (whole, Stop::Length));
}

#[test]
fn text_held_back_is_told_when_the_model_ends() {
    let mut model = tiny(0);
    let options = GenerationOptions { stop_strings: vec!["abc".into()], ..gbnf("root ::= \"ab\" [\\n]?") };
    // The end token is made the likeliest where it is allowed.
    let sampling = SamplingParams { logit_bias: vec![(BiasToken::Id(257), 100.0)], ..SamplingParams::greedy() };
    let (updates, outcome) = run(&mut model, job("x", sampling, 9, options));
    assert_eq!(outcome.unwrap().stop, Stop::Stop);
    assert_eq!(updates.last(), Some(&Update::Rest { text: "ab".into() }));
}

#[test]
fn log_probabilities_are_the_models_own_whatever_is_set() {
    let mut model = tiny(0);
    let options = GenerationOptions { logprobs: Some(3), ..gbnf("root ::= [ab]+") };
    let sampling = SamplingParams { temperature: 0.3, repetition_penalty: 1.5, ..seeded(4) };
    let (updates, _) = run(&mut model, job("hello", sampling, 1, options));
    let (updates_next, _) = run(&mut model, Job::Next { prompt: Prompt::Text("hello".into()) });
    let Some(Update::Next(next)) = updates_next.last() else { panic!("an answer") };
    let Some(Update::Token { chosen, logprobs: Some(logprobs), .. }) = updates.last() else { panic!("a token") };
    let exact = |logit: f32| {
        let sum: f64 = next.logits.iter().map(|l| f64::from(*l).exp()).sum();
        f64::from(logit) - sum.ln()
    };
    assert!((f64::from(logprobs.chosen) - exact(chosen.logit)).abs() < 1e-5);
    let top: Vec<TokenId> = next.top.iter().take(3).map(|(token, _)| token.id).collect();
    assert_eq!(logprobs.top.iter().map(|(token, _)| token.id).collect::<Vec<_>>(), top);
    for ((_, logprob), (_, logit)) in logprobs.top.iter().zip(&next.top) {
        assert!((f64::from(*logprob) - exact(*logit)).abs() < 1e-5);
    }
    let many = GenerationOptions { logprobs: Some(300), ..GenerationOptions::default() };
    assert!(refusal(&mut model, job("x", seeded(1), 1, many)).contains("at most 256"));
}

#[test]
fn a_bias_forces_and_bans_and_names_what_is_no_single_token() {
    let mut model = tiny(0);
    let biased = |bias: Vec<(BiasToken, f32)>| SamplingParams { logit_bias: bias, ..SamplingParams::greedy() };
    let forced = biased(vec![(BiasToken::Text("Q".into()), 100.0)]);
    let (text, _, _) = answer(&mut model, job("x", forced, 3, GenerationOptions::default()));
    assert_eq!(text, "QQQ");
    let both = biased(vec![(BiasToken::Id(u32::from(b'Q')), 100.0), (BiasToken::Text("Q".into()), -100.0)]);
    let (text, _, _) = answer(&mut model, job("x", both, 3, GenerationOptions::default()));
    let (free, _, _) = answer(&mut model, job("x", SamplingParams::greedy(), 3, GenerationOptions::default()));
    assert_eq!(text, free);
    let told = refusal(
        &mut model,
        job("x", biased(vec![(BiasToken::Text("ab".into()), 1.0)]), 1, GenerationOptions::default()),
    );
    assert!(told.contains("\"ab\", which is 2 tokens") && told.contains("by number"), "{told}");
    let told = refusal(&mut model, job("x", biased(vec![(BiasToken::Id(999), 1.0)]), 1, GenerationOptions::default()));
    assert!(told.contains("token 999; the vocabulary ends at 257"), "{told}");
}

#[test]
fn frequency_and_presence_count_the_answer_alone() {
    let mut model = tiny(0);
    // With a bias of 30, `Q` wins until 16 times 2 have been taken off.
    let sampling = |frequency_penalty, presence_penalty| SamplingParams {
        logit_bias: vec![(BiasToken::Text("Q".into()), 30.0)],
        frequency_penalty,
        presence_penalty,
        ..SamplingParams::greedy()
    };
    let mut text = |sampling| answer(&mut model, job("QQQQ", sampling, 40, GenerationOptions::default())).0;
    assert_eq!(text(sampling(0.0, 2.0)), "Q".repeat(40));
    let penalised = text(sampling(2.0, 0.0));
    let leading = penalised.chars().take_while(|c| *c == 'Q').count();
    assert!((10..20).contains(&leading), "{penalised}");
}

#[test]
fn a_full_context_goes_on_as_if_the_text_had_begun_with_what_is_left() {
    let mut model = tiny(0);
    let options =
        GenerationOptions { context_shift: Some(ContextShift { n_keep: Some(5) }), ..gbnf("root ::= [a-z]{1000}") };
    let prompt = "begin".to_owned() + &"y".repeat(100);
    let (text, ids, stats) = answer(&mut model, job(&prompt, SamplingParams::greedy(), 150, options.clone()));
    assert_eq!((ids.len(), stats.stop), (150, Stop::Length));
    // 200 positions, 5 kept: of the 201 tokens at the moment that it is full, 5 and the last 97 stay.
    assert_eq!(stats.dropped_tokens, 201 - 5 - 97);
    let whole = prompt + &text;
    let left = format!("begin{}", &whole[201 - 97..201]);
    let mut fresh = tiny(0);
    let (rest, _, _) = answer(&mut fresh, job(&left, SamplingParams::greedy(), 54, options));
    assert_eq!(rest, whole[201..], "the same tokens as from the beginning");
}

#[test]
fn a_prompt_that_is_too_long_is_cut_only_when_asked_for() {
    let mut model = tiny(0);
    let long = "y".repeat(500);
    let told = refusal(&mut model, job(&long, SamplingParams::greedy(), 1, GenerationOptions::default()));
    assert!(told.contains("500 tokens"), "{told}");
    let shift =
        |n_keep| GenerationOptions { context_shift: Some(ContextShift { n_keep }), ..GenerationOptions::default() };
    let (_, _, stats) = answer(&mut model, job(&long, SamplingParams::greedy(), 1, shift(None)));
    assert_eq!((stats.prompt_tokens, stats.dropped_tokens), (500, 400));
    let told = refusal(&mut model, job(&long, SamplingParams::greedy(), 1, shift(Some(195))));
    assert!(told.contains("keep at most 192"), "{told}");
    // In a chat the system prompt stays.
    let say = |role, content: &str| ChatMessage { role, content: content.into() };
    let chat = Prompt::Chat(vec![say(Role::System, "Be brief."), say(Role::User, &"why? ".repeat(80))]);
    let Ok((rendered, tokens)) = model.prompt(&chat) else { panic!("a prompt of any length can be seen") };
    assert!(tokens.len() > 400);
    let generate = Job::Generate {
        prompt: chat,
        sampling: SamplingParams::greedy(),
        max_new_tokens: 1,
        top_candidates: 0,
        options: shift(None),
    };
    let (updates, _) = run(&mut model, generate);
    let Some(Update::Prompt { tokens: read, .. }) = updates.first() else { panic!("the prompt comes first") };
    let text: Vec<u8> = read.iter().flat_map(|token| token.bytes.clone()).collect();
    let text = String::from_utf8(text).unwrap();
    let frame = "<|im_start|>system\nBe brief.<|im_end|><|im_start|>user\n";
    assert!(rendered.starts_with(frame) && text.starts_with(frame), "{text}");
    assert!(text.ends_with("why? <|im_end|>") && read.len() < 200);
}

#[test]
fn what_was_read_before_is_not_read_again_and_the_stats_tell() {
    let mut model = tiny(0);
    let (first, _, stats) = answer(&mut model, job(&"z".repeat(90), seeded(1), 10, gbnf("root ::= [a-z]{1000}")));
    assert_eq!((stats.prompt_tokens, stats.cached_tokens), (90, 0));
    assert!(stats.prompt_tokens_per_second > 0.0 && stats.tokens_per_second > 0.0);
    assert!(stats.time_to_first_token_ms > 0.0 && stats.elapsed_ms >= stats.time_to_first_token_ms);
    // Two layers, keys (in tiles of 16 positions) and values, 32 floats each; the last token drawn is not read.
    assert_eq!(stats.memory.cache_bytes, 2 * 32 * 4 * (112 + 99));
    let (_, _, stats) =
        answer(&mut model, job(&("z".repeat(90) + &first + "!"), seeded(1), 3, GenerationOptions::default()));
    assert_eq!((stats.prompt_tokens, stats.cached_tokens), (101, 99));
    #[cfg(target_os = "linux")]
    assert!(
        stats.memory.peak_resident_bytes >= stats.memory.resident_bytes && stats.memory.resident_bytes > Some(1 << 20)
    );
    #[cfg(unix)]
    assert!(stats.energy.is_some_and(|energy| energy.joules >= 0.0 && !energy.assumption.is_empty()));
}

#[test]
fn a_stopped_prompt_is_not_read_again_from_the_start() {
    let mut model = tiny(0);
    let long = Prompt::Text("y".repeat(180));
    let stats = model.run(Job::Next { prompt: long.clone() }, &mut |_| ControlFlow::Break(())).unwrap();
    assert_eq!(stats.stop, Stop::Cancelled);
    let (updates, outcome) = run(&mut model, Job::Next { prompt: long.clone() });
    assert!((1..180).contains(&outcome.unwrap().cached_tokens));
    let (fresh, _) = run(&mut tiny(0), Job::Next { prompt: long });
    assert_eq!(updates.last(), fresh.last(), "to the bit");
}

#[test]
fn elapsed_time_runs_with_the_tokens() {
    let (updates, outcome) = run(&mut tiny(0), job("x", seeded(2), 12, gbnf("root ::= [a-z]{1000}")));
    let times: Vec<f64> = updates
        .iter()
        .filter_map(|update| if let Update::Token { elapsed_ms, .. } = update { Some(*elapsed_ms) } else { None })
        .collect();
    assert!(times.len() == 12 && times.is_sorted());
    assert!(outcome.unwrap().elapsed_ms >= times[11]);
}

#[test]
fn settings_of_the_loop_outside_their_range_are_refused() {
    let mut model = tiny(0);
    let empty = GenerationOptions { stop_strings: vec![String::new()], ..GenerationOptions::default() };
    assert!(refusal(&mut model, job("x", seeded(1), 1, empty)).contains("stop string"));
    let watts = GenerationOptions { watts_per_core: Some(-1.0), ..GenerationOptions::default() };
    assert!(matches!(run(&mut model, job("x", seeded(1), 1, watts)).1, Err(EngineError::BadSetting { .. })));
    let (_, ids, stats) = answer(&mut model, job("x", seeded(1), 0, GenerationOptions::default()));
    assert_eq!((ids.len(), stats.stop), (0, Stop::Length));
}
