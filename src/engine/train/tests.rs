//! The whole way forward and back on tiny models.

use std::ops::ControlFlow;

use super::super::kernels::tests_support::{Numbers, floats};
use super::super::lora::LoraConfig;
use super::*;

const VOCABULARY: usize = 23;

fn shape(heads: usize, kv_heads: usize, tied: bool) -> Shape {
    Shape {
        hidden_size: 16,
        num_hidden_layers: 2,
        num_attention_heads: heads,
        num_key_value_heads: kv_heads,
        intermediate_size: 24,
        vocab_size: VOCABULARY,
        max_position_embeddings: 128,
        rope_theta: 10_000.0,
        tie_word_embeddings: tied,
    }
}

/// Weights large enough that every part matters.
fn network(shape: &Shape) -> Network {
    let how = Initialisation { embedding: 0.6, matrices: 1.5, previous_token_head: false };
    let mut network = Network::new(shape, &how, 3).expect("a shape that can be");
    let mut random = Numbers(5);
    // Norms of different weights.
    for tensor in network.weights.tensors.iter().filter(|t| t.shape.len() == 1) {
        network.weights.data[tensor.at.clone()].iter_mut().for_each(|x| *x = 1.0 + 0.2 * random.float());
    }
    network
}

fn tokens(seed: u64, count: usize) -> Vec<u32> {
    let mut random = Numbers(seed);
    (0..count).map(|_| ((random.bits() >> 33) % VOCABULARY as u64) as u32).collect()
}

/// Three documents, one of them longer than attention's blocks, some targets left out, some against.
fn batch() -> Batch {
    let documents = [(1, 21), (2, 75), (3, 4)].map(|(seed, count)| {
        let weights = (0..count).map(|i| if i % 7 == 0 { 0.0 } else { [0.02, 0.01, -0.01][i % 3] }).collect();
        Document { tokens: tokens(seed, count), weights }
    });
    Batch::of(&documents)
}

fn total(losses: &[f32], batch: &Batch) -> f64 {
    losses.iter().zip(&batch.weights).map(|(loss, weight)| f64::from(*loss) * f64::from(*weight)).sum()
}

/// Each tensor's gradient against the slope of the loss along a random direction, at the best of four step sizes: small
/// steps drown in rounding, large ones in curvature.
fn check_gradients(network: &mut Network, what: &str) {
    let (batch, mut pass) = (batch(), Pass::new(Isa::detect(), 1));
    let mut gradient = vec![0.0; network.trained().data.len()];
    let seed = 9;
    pass.gradient(network, &batch, 1.0, seed, &mut gradient);
    for (index, tensor) in network.trained().tensors.clone().into_iter().enumerate() {
        let direction = floats(100 + index as u64, tensor.at.len());
        let made: f64 =
            gradient[tensor.at.clone()].iter().zip(&direction).map(|(g, d)| f64::from(*g) * f64::from(*d)).sum();
        let before = network.trained().data.clone();
        let errors = [3e-4_f32, 1e-3, 3e-3, 1e-2].map(|step| {
            let mut at = |by: f32| {
                let data = &mut network.trained_mut().data;
                data.copy_from_slice(&before);
                data[tensor.at.clone()].iter_mut().zip(&direction).for_each(|(x, d)| *x += by * d);
                // Through `gradient`, which drops what training drops.
                let mut unused = vec![0.0; before.len()];
                total(&pass.gradient(network, &batch, 1.0, seed, &mut unused), &batch)
            };
            let slope = (at(step) - at(-step)) / (2.0 * f64::from(step));
            (slope - made).abs() / (slope.abs() + made.abs() + 1e-3)
        });
        network.trained_mut().data = before;
        let best = errors.into_iter().fold(f64::INFINITY, f64::min);
        assert!(best < 5e-3, "{what}, {}: {made}, off by {errors:?}", tensor.name);
    }
}

#[test]
fn every_gradient_is_the_slope_of_the_loss() {
    for (heads, kv_heads, tied) in [(2, 2, true), (4, 2, false), (4, 1, true)] {
        check_gradients(&mut network(&shape(heads, kv_heads, tied)), &format!("{heads} heads, {kv_heads}, {tied}"));
    }
}

/// What other families have besides: multipliers, layers that do not turn.
#[test]
fn gradients_pass_through_multipliers() {
    let mut network = network(&shape(4, 2, true));
    network.config.embedding_multiplier = 3.0;
    network.config.residual_multiplier = 0.7;
    network.config.logits_scaling = 1.5;
    network.config.uses_rope[1] = false;
    check_gradients(&mut network, "multipliers");
}

fn lora(modules: &[&str], lora_dropout: f32) -> LoraConfig {
    LoraConfig {
        r: 3,
        lora_alpha: 6.0,
        target_modules: modules.iter().map(|m| (*m).to_owned()).collect(),
        use_rslora: false,
        lora_dropout,
        base_model_name_or_path: None,
    }
}

const ALL: [&str; 7] = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"];

#[test]
fn adapters_have_gradients_and_the_weights_stay() {
    for dropout in [0.0, 0.3] {
        let mut network = network(&shape(4, 2, false));
        network.adapt("test", lora(&ALL, dropout), 1).expect("fits");
        let before = network.weights.sha256();
        // `B` begins as zero, where `A` has no gradient.
        let numbers = floats(8, network.trained().data.len());
        network.trained_mut().data.iter_mut().zip(&numbers).for_each(|(x, n)| *x += 0.2 * n);
        check_gradients(&mut network, &format!("dropout {dropout}"));
        assert_eq!(network.weights.sha256(), before);
    }
}

#[test]
fn neither_another_document_nor_the_future_reaches_a_loss() {
    let network = network(&shape(4, 2, true));
    let mut pass = Pass::new(Isa::detect(), 2);
    let documents = [1, 2, 3].map(|seed| Document::whole(tokens(seed, 70)));
    let before = pass.losses(&network, &Batch::of(&documents));
    let mut other = documents.clone();
    other[0].tokens.iter_mut().for_each(|t| *t = (*t + 1) % VOCABULARY as u32);
    other[1].tokens[41..].iter_mut().for_each(|t| *t = (*t + 5) % VOCABULARY as u32);
    let after = pass.losses(&network, &Batch::of(&other));
    // In the second document the 41st token is read after the 40th has been foreseen.
    assert!(before[69..69 + 40] == after[69..69 + 40], "a loss of the second document changed");
    assert!(before[138..] == after[138..], "a loss of the third document changed");
    assert!(before[..69] != after[..69] && before[110..138] != after[110..138]);
}

#[test]
fn threads_and_instruction_sets_change_no_bit() {
    let network = network(&shape(4, 2, true));
    let run = |isa: Isa, threads: usize| {
        let mut gradient = vec![0.0; network.weights.data.len()];
        let losses = Pass::new(isa, threads).gradient(&network, &batch(), 0.5, 1, &mut gradient);
        losses.into_iter().chain(gradient).map(f32::to_bits).collect::<Vec<_>>()
    };
    let want = run(Isa::detect(), 1);
    for threads in [2, 3] {
        assert!(run(Isa::detect(), threads) == want, "{threads} threads");
    }
    for isa in Isa::available() {
        assert!(run(isa, 2) == want, "{isa:?}");
    }
}

/// A previous-token head looks where it should before anything is learned.
#[test]
fn a_head_can_begin_by_looking_at_the_token_before() {
    let shape = Shape { hidden_size: 64, num_attention_heads: 2, num_key_value_heads: 1, ..shape(2, 1, true) };
    let how = Initialisation { previous_token_head: true, ..Initialisation::default() };
    let network = Network::new(&shape, &how, 1).expect("a shape that can be");
    let mut pass = Pass::new(Isa::detect(), 1);
    // The same token everywhere, so that position alone decides.
    let batch = Batch::of(&[Document::whole(vec![7; 31])]);
    let mut gradient = vec![0.0; network.weights.data.len()];
    pass.gradient(&network, &batch, 1.0, 0, &mut gradient);
    let first_head = &pass.attention(0)[..30 * 30];
    for i in 2..30 {
        let row = &first_head[i * 30..i * 30 + i + 1];
        assert!(row[i - 1] >= row.iter().copied().fold(0.0, f32::max), "position {i}: {row:?}");
    }
}

fn settings(max_steps: usize) -> TrainConfig {
    TrainConfig {
        batch_tokens: 50,
        micro_batch_tokens: 20,
        optimizer: OptimizerConfig { muon: Some(Muon::default()), ..OptimizerConfig::default() },
        schedule: Schedule { warmup_steps: 3, max_steps, decay: Decay::Linear { share: 0.5, floor: 0.1 } },
        seed: 4,
    }
}

fn trainer(settings: TrainConfig, threads: usize) -> Trainer {
    let network = Network::new(&shape(4, 2, true), &Initialisation::default(), 1).expect("a shape that can be");
    Trainer::new(network, settings, Pass::new(Isa::detect(), threads)).expect("good settings")
}

fn documents() -> impl Iterator<Item = Document> {
    (0_u64..).map(|i| Document::whole(tokens(i, 5 + i as usize % 13)))
}

/// Runs on from where the trainer is, and stops after `stop` updates.
fn go_on(trainer: &mut Trainer, stop: usize) -> Ended {
    let mut seen = 0;
    let mut packer = Packer::new(documents().skip(trainer.documents() as usize));
    let ended = trainer.run(&mut packer, &mut |_| {
        seen += 1;
        if seen == stop { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    ended.expect("nothing goes wrong")
}

#[test]
fn random_data_is_learned_by_heart() {
    let muon = Muon { learning_rate: 2e-2, ..Muon::default() };
    let optimizer = OptimizerConfig { learning_rate: 1e-2, muon: Some(muon), ..OptimizerConfig::default() };
    let mut trainer = trainer(TrainConfig { optimizer, ..settings(200) }, 1);
    let document = Document::whole(tokens(1, 16));
    let mut packer = Packer::new(std::iter::repeat(document.clone()));
    let ended = trainer.run(&mut packer, &mut |_| ControlFlow::Continue(()));
    assert_eq!(ended, Ok(Ended::Finished));
    let evaluation = trainer.evaluate(&[document]).expect("it fits");
    assert!(evaluation.loss < 0.05 && evaluation.targets == 15, "{evaluation:?}");
}

#[test]
fn a_broken_run_ends_with_the_bits_of_an_unbroken_one() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("run.safetensors");
    let mut whole = trainer(settings(12), 2);
    assert_eq!(go_on(&mut whole, usize::MAX), Ended::Finished);
    let extra = std::collections::BTreeMap::from([("recipe".to_owned(), "x".to_owned())]);
    let mut ended = Ended::Stopped;
    trainer(settings(12), 1).save(&path, &extra).expect("saved");
    // Broken off after whole steps and in the middle of one, each time forgotten and read again.
    for stop in [1, 9, 2, 6, usize::MAX] {
        let mut piece = trainer(settings(12), 1);
        assert_eq!(piece.load(&path), Ok(extra.clone()));
        ended = go_on(&mut piece, stop);
        piece.save(&path, &extra).expect("saved");
    }
    assert_eq!(ended, Ended::Finished);
    let want = dir.path().join("whole.safetensors");
    whole.save(&want, &extra).expect("saved");
    assert!(std::fs::read(&path).expect("reads") == std::fs::read(&want).expect("reads"), "byte for byte");
}

#[test]
fn a_checkpoint_of_another_run_is_refused_and_changes_nothing() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("run.safetensors");
    let mut first = trainer(settings(12), 1);
    go_on(&mut first, 8);
    first.save(&path, &Default::default()).expect("saved");
    let mut other = trainer(settings(13), 1);
    let before = other.network.weights.clone();
    assert!(other.load(&path).expect_err("refused").to_string().contains("other settings"));
    let network = Network::new(&shape(2, 2, true), &Initialisation::default(), 1).expect("a shape that can be");
    let mut wide = Trainer::new(network, settings(12), Pass::new(Isa::detect(), 1)).expect("good settings");
    assert!(wide.load(&path).expect_err("refused").to_string().contains("shape"));
    assert_eq!(other.network.weights, before);
}

#[test]
fn a_step_broken_off_changes_nothing() {
    let mut trainer = trainer(settings(5), 1);
    let before = trainer.network.weights.clone();
    assert_eq!(go_on(&mut trainer, 1), Ended::Stopped);
    assert_eq!((trainer.steps(), trainer.documents()), (0, 0));
    assert_eq!(trainer.network.weights, before);
}

#[test]
fn parts_of_a_step_add_up_to_it() {
    let step = |micro_batch_tokens: usize| {
        let mut trainer = trainer(TrainConfig { micro_batch_tokens, ..settings(1) }, 1);
        go_on(&mut trainer, usize::MAX);
        trainer.network.weights.data
    };
    let apart = step(50).iter().zip(step(10)).fold(0.0_f32, |most, (a, b)| most.max((a - b).abs()));
    assert!(apart < 1e-5, "{apart}");
}
