//! The engine on a tiny random model, built here: what must hold whatever the weights are.

use std::ops::ControlFlow;

use super::gguf::write::Builder;
use super::kernels::tests_support::{Numbers, floats};
use super::model::forward_with;
use super::probe::{Blind, Trace};
use super::*;

pub(crate) const WIDTH: u64 = 64;
pub(crate) const FEED_FORWARD: u64 = 96;
pub(crate) const HEADS: u64 = 4;
pub(crate) const KV_HEADS: u64 = 2;
pub(crate) const LAYERS: u32 = 2;

/// Bytes as tokens, plus two control tokens: every text can be cut.
pub(super) fn vocabulary() -> Vec<String> {
    // GPT-2's byte alphabet: printable bytes as themselves, the others from U+0100 on.
    let printable = |b: u32| (33..=126).contains(&b) || (161..=172).contains(&b) || (174..=255).contains(&b);
    let mut next = 0x100;
    let mut tokens: Vec<String> = (0..256)
        .map(|b| {
            let code = if printable(b) { b } else { next };
            next += u32::from(!printable(b));
            char::from_u32(code).expect("a character").to_string()
        })
        .collect();
    tokens.extend(["<|im_start|>".into(), "<|im_end|>".into()]);
    tokens
}

fn weights(numbers: &mut Numbers, count: u64, kind: u32) -> Vec<u8> {
    let f16 = |x: f32| half::f16::from_f32(x).to_le_bytes();
    match kind {
        0 => (0..count).flat_map(|_| (numbers.float() * 0.2).to_le_bytes()).collect(),
        1 => (0..count).flat_map(|_| f16(numbers.float() * 0.2)).collect(),
        // A scale, for Q4_1 a minimum, then codes: any bytes are codes.
        3 => (0..count / 32)
            .flat_map(|_| {
                [&f16(0.02)[..], &f16(-0.15)]
                    .concat()
                    .into_iter()
                    .chain((0..16).map(|_| numbers.bits() as u8))
                    .collect::<Vec<_>>()
            })
            .collect(),
        8 => (0..count / 32)
            .flat_map(|_| f16(0.002).into_iter().chain((0..32).map(|_| numbers.bits() as u8)).collect::<Vec<_>>())
            .collect(),
        2 => (0..count / 32)
            .flat_map(|_| f16(0.02).into_iter().chain((0..16).map(|_| numbers.bits() as u8)).collect::<Vec<_>>())
            .collect(),
        other => panic!("no generator for type {other}"),
    }
}

pub(crate) fn builder(kind: u32) -> Builder {
    let vocab = vocabulary();
    let names: Vec<&str> = vocab.iter().map(String::as_str).collect();
    let mut numbers = Numbers(u64::from(kind) + 1);
    let types: Vec<u8> = (0..vocab.len()).flat_map(|i| if i < 256 { 1_i32 } else { 3 }.to_le_bytes()).collect();
    let mut file = Builder::default()
        .text("general.architecture", "llama")
        .text("general.name", "tiny")
        .uint("llama.block_count", LAYERS)
        .uint("llama.context_length", 200)
        .uint("llama.embedding_length", WIDTH as u32)
        .uint("llama.feed_forward_length", FEED_FORWARD as u32)
        .uint("llama.attention.head_count", HEADS as u32)
        .uint("llama.attention.head_count_kv", KV_HEADS as u32)
        .float("llama.attention.layer_norm_rms_epsilon", 1e-5)
        .text("tokenizer.ggml.model", "gpt2")
        .text("tokenizer.ggml.pre", "smollm")
        .texts("tokenizer.ggml.tokens", &names)
        .texts("tokenizer.ggml.merges", &[])
        .uint("tokenizer.ggml.eos_token_id", 257)
        .text(
            "tokenizer.chat_template",
            "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>{% endfor %}",
        );
    file.keys.push((
        "tokenizer.ggml.token_type".into(),
        9,
        [&5_u32.to_le_bytes()[..], &(vocab.len() as u64).to_le_bytes(), &types].concat(),
    ));
    let ones = |n: u64| (0..n).flat_map(|_| 1.0_f32.to_le_bytes()).collect::<Vec<u8>>();
    let mut matrix = |file: Builder, name: &str, rows: u64, columns: u64| {
        file.tensor(name, &[columns, rows], kind, weights(&mut numbers, rows * columns, kind))
    };
    file = matrix(file, "token_embd.weight", vocab.len() as u64, WIDTH);
    for layer in 0..LAYERS {
        let name = |part: &str| format!("blk.{layer}.{part}.weight");
        let kv = WIDTH / HEADS * KV_HEADS;
        for (part, rows, columns) in [
            ("attn_q", WIDTH, WIDTH),
            ("attn_k", kv, WIDTH),
            ("attn_v", kv, WIDTH),
            ("attn_output", WIDTH, WIDTH),
            ("ffn_gate", FEED_FORWARD, WIDTH),
            ("ffn_up", FEED_FORWARD, WIDTH),
            ("ffn_down", WIDTH, FEED_FORWARD),
        ] {
            file = matrix(file, &name(part), rows, columns);
        }
        file = file.tensor(&name("attn_norm"), &[WIDTH], 0, ones(WIDTH));
        file = file.tensor(&name("ffn_norm"), &[WIDTH], 0, ones(WIDTH));
    }
    file.tensor("output_norm.weight", &[WIDTH], 0, ones(WIDTH))
}

pub(crate) fn open(file: &Builder, options: Options) -> Result<Model, EngineError> {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("tiny.gguf");
    std::fs::write(&path, file.bytes()).expect("written");
    Model::open_with(&path, options)
}

pub(crate) fn tiny(kind: u32) -> Model {
    open(&builder(kind), Options::default()).expect("opens")
}

pub(crate) fn bits(logits: &[f32]) -> Vec<u32> {
    logits.iter().map(|l| l.to_bits()).collect()
}

pub(crate) fn run(model: &mut Model, job: Job) -> (Vec<Update>, Result<RunStats, EngineError>) {
    let mut updates = vec![];
    let outcome = model.run(job, &mut |update| {
        updates.push(update);
        ControlFlow::Continue(())
    });
    (updates, outcome)
}

fn generate(text: &str, sampling: SamplingParams, max_new_tokens: usize) -> Job {
    Job::Generate {
        prompt: Prompt::Text(text.into()),
        sampling,
        max_new_tokens,
        top_candidates: 3,
        options: GenerationOptions::default(),
    }
}

#[test]
fn cached_logits_equal_uncached_ones_for_every_type_set_and_split() {
    let tokens: Vec<u32> = (0..70).map(|i| i * 37 % 256).collect();
    for kind in [0, 1, 2, 3, 8] {
        let mut first: Option<Vec<u32>> = None;
        for isa in Isa::available() {
            for threads in [1, 3] {
                let mut model =
                    open(&builder(kind), Options { threads: Some(threads), isa: Some(isa), ..Options::default() })
                        .expect("opens");
                for chunk in [64, 7, 1] {
                    let got = bits(&model.logits(&tokens, chunk));
                    let want = first.get_or_insert_with(|| got.clone());
                    assert!(*want == got, "type {kind}, {isa:?}, {threads} threads, chunks of {chunk}");
                }
            }
        }
    }
}

#[test]
fn a_probe_sees_attention_that_sums_to_one_and_changes_nothing() {
    let mut model = tiny(3);
    let tokens = [72, 101, 108, 108, 111];
    let mut trace = Trace::default();
    let seen = forward_with(&mut model, &tokens, &mut trace);
    assert_eq!(bits(&seen), bits(&forward_with(&mut model, &tokens, &mut Blind)));
    assert_eq!(trace.attentions.len(), LAYERS as usize * HEADS as usize * tokens.len());
    for (layer, head, position, weights) in &trace.attentions {
        assert_eq!(weights.len(), position + 1, "layer {layer}, head {head} looks ahead");
        assert!((weights.iter().sum::<f32>() - 1.0).abs() < 1e-5);
    }
    assert_eq!(trace.hidden_states.len(), (LAYERS as usize + 1) * tokens.len());
}

#[test]
fn greedy_ignores_the_seed_and_a_seed_repeats_its_text() {
    let mut model = tiny(8);
    let mut ids = |sampling: SamplingParams| {
        let (updates, outcome) = run(&mut model, generate("ab", sampling, 12));
        outcome.expect("runs");
        updates
            .iter()
            .filter_map(|u| if let Update::Token { chosen, .. } = u { Some(chosen.token.id) } else { None })
            .collect::<Vec<_>>()
    };
    let seeded = |seed| SamplingParams { seed: Some(seed), ..SamplingParams::default() };
    assert_eq!(
        ids(SamplingParams { seed: Some(1), ..SamplingParams::greedy() }),
        ids(SamplingParams { seed: Some(2), ..SamplingParams::greedy() })
    );
    assert_eq!(ids(seeded(5)), ids(seeded(5)));
    assert_ne!(ids(seeded(5)), ids(seeded(6)));
}

#[test]
fn breaking_stops_within_one_token_and_says_so() {
    let mut model = tiny(0);
    let mut tokens = 0;
    let stats = model
        .run(generate("x", SamplingParams { seed: Some(3), ..SamplingParams::default() }, 100), &mut |update| {
            tokens += usize::from(matches!(update, Update::Token { .. }));
            if tokens == 2 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })
        .expect("runs");
    assert_eq!((tokens, stats.stop, stats.new_tokens), (2, Stop::Cancelled, 2));
}

#[test]
fn a_long_prompt_is_told_as_it_is_read_and_can_be_stopped() {
    let mut model = tiny(0);
    let text = "y".repeat(150);
    let (updates, _) = run(&mut model, Job::Next { prompt: Prompt::Text(text.clone()) });
    // How many pieces there are depends on how long they take.
    let (last, reading) = updates.split_last().expect("updates");
    let mut before = 0;
    for update in reading {
        let Update::Reading { done, total: 150 } = update else { panic!("{update:?}") };
        assert!((before + 1..150).contains(done), "{done}");
        before = *done;
    }
    assert!(before > 0 && matches!(last, Update::Next(_)));
    let stats = model.run(Job::Next { prompt: Prompt::Text(format!("z{text}")) }, &mut |_| ControlFlow::Break(()));
    assert_eq!(stats.expect("runs").stop, Stop::Cancelled);
}

#[test]
fn the_end_of_the_context_ends_the_text() {
    let mut model = tiny(0);
    let sampling = SamplingParams { seed: Some(3), ..SamplingParams::default() };
    let (_, outcome) = run(&mut model, generate(&"y".repeat(199), sampling.clone(), 50));
    let stats = outcome.expect("fits");
    assert_eq!((stats.stop, stats.new_tokens), (Stop::Length, 2));
    let (_, outcome) = run(&mut model, generate(&"y".repeat(200), sampling, 50));
    assert_eq!(outcome, Err(EngineError::ContextOverflow { prompt: 200, limit: 200 }));
    let (_, outcome) = run(&mut model, generate("", SamplingParams::greedy(), 1));
    assert!(outcome.expect_err("refused").to_string().contains("empty"));
}

#[test]
fn typed_control_tokens_stay_text() {
    let mut model = tiny(0);
    let message = ChatMessage { role: Role::User, content: "a<|im_end|>b".into() };
    let (updates, _) = run(
        &mut model,
        Job::Generate {
            prompt: Prompt::Chat(vec![message]),
            sampling: SamplingParams::greedy(),
            max_new_tokens: 1,
            top_candidates: 0,
            options: GenerationOptions::default(),
        },
    );
    let Update::Prompt { text, tokens } = &updates[0] else { panic!("no prompt") };
    assert_eq!(text, "<|im_start|>user\na<|im_end|>b<|im_end|>");
    assert_eq!(tokens.iter().filter(|t| t.special).count(), 2, "only the template's own");
}

#[test]
fn candidates_carry_the_probabilities_of_the_settings() {
    let mut model = tiny(0);
    let sampling = SamplingParams { temperature: 0.5, top_k: Some(2), seed: Some(1), ..SamplingParams::default() };
    let (updates, _) = run(&mut model, generate("x", sampling, 3));
    for update in &updates {
        let Update::Token { chosen, candidates, .. } = update else { continue };
        assert!(chosen.kept && candidates.len() == 3);
        assert_eq!(candidates.iter().map(|c| c.kept).collect::<Vec<_>>(), [true, true, false]);
        assert!(candidates[0].probability >= candidates[1].probability);
    }
}

#[test]
fn what_cannot_run_is_refused_by_name() {
    let with = |key: &str, value: &str| {
        let mut file = builder(0);
        file.keys.retain(|k| k.0 != key);
        file.text(key, value)
    };
    let without = |name: &str| {
        let mut file = builder(0);
        file.tensors.retain(|t| t.0 != name);
        file.keys.retain(|k| k.0 != name);
        file
    };
    let heads = |n| {
        let mut file = builder(0);
        file.keys.retain(|k| k.0 != "llama.attention.head_count_kv");
        file.uint("llama.attention.head_count_kv", n)
    };
    for (file, word) in [
        (with("general.architecture", "gpt-oss"), "`gpt-oss`"),
        (with("llama.rope.scaling.type", "ntk"), "`ntk`"),
        (builder(0).uint("llama.expert_count", 8), "expert_used_count"),
        (builder(0).tensor("blk.1.attn_sinks.weight", &[4], 0, vec![0; 16]), "blk.1.attn_sinks.weight"),
        (without("blk.1.attn_q.weight"), "blk.1.attn_q.weight"),
        (without("llama.block_count"), "llama.block_count"),
        (without("tokenizer.ggml.tokens"), "tokenizer.ggml.tokens"),
        (heads(3), "cannot share"),
        (heads(1), "has the shape"),
        (heads(0), "is 0"),
    ] {
        let told = open(&file, Options::default()).expect_err(word).to_string();
        assert!(told.contains(word), "wanted {word} in: {told}");
    }
}

#[test]
fn dense_products_are_right() {
    use super::weights::{Compute, Linear};
    let (w, x) = (floats(1, 5 * 40), floats(2, 2 * 40));
    let mut out = vec![0.0; 10];
    let linear = Linear::dense(5, 40, &w);
    Compute::new(Isa::detect(), 2).multiply(&x, 2, &mut [(&linear, &mut out)]);
    for token in 0..2 {
        for row in 0..5 {
            let exact: f64 = (0..40).map(|i| f64::from(w[row * 40 + i]) * f64::from(x[token * 40 + i])).sum();
            assert!((f64::from(out[token * 5 + row]) - exact).abs() < 1e-4);
        }
    }
}
