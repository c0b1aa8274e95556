//! The trainer against the engine: the same logits on the same files, before training and after, with adapters and
//! without.

#[allow(dead_code, reason = "other tests use the rest")]
#[path = "common/families.rs"]
mod families;
#[path = "common/vocabulary.rs"]
mod vocabulary;

use std::ops::ControlFlow;
use std::path::Path;

use osai::engine::gguf::GgmlType;
use osai::engine::gguf::write::Writer;
use osai::engine::lora::{Base, Lora, LoraConfig};
use osai::engine::train::{
    Batch, Decay, Document, Ended, Initialisation, Muon, Network, OptimizerConfig, Packer, Pass, Schedule, Shape,
    TrainConfig, TrainUpdate, Trainer,
};
use osai::engine::{Isa, Model};

use families::{VOCAB, families, prompt};
use vocabulary::Vocabulary;

/// Logits differ by this share of the largest at most.
const TOLERANCE: f32 = 1e-4;

fn pass() -> Pass {
    Pass::new(Isa::detect(), 1)
}

/// A text that the trainer reads whole: the last token is only foreseen.
fn batch(tokens: &[u32]) -> Batch {
    let mut longer = tokens.to_vec();
    longer.push(0);
    Batch::of(&[Document::whole(longer)])
}

fn assert_near(got: &[f32], want: &[f32], what: &str) {
    assert_eq!(got.len(), want.len(), "{what}");
    let largest = want.iter().fold(0.0_f32, |most, x| most.max(x.abs()));
    let apart = got.iter().zip(want).fold(0.0_f32, |most, (a, b)| most.max((a - b).abs())) / largest;
    assert!(apart < TOLERANCE, "{what}: {apart}");
}

/// Both engines on the file, over the prompt that the references have.
fn assert_same_logits(path: &Path, what: &str) {
    let network = Network::open(path).expect("a model to train");
    let mut model = Model::open(path).expect("a model to run");
    let got = pass().logits(&network, &batch(&prompt()));
    assert_near(&got, &model.all_logits(&prompt(), 64), what);
}

#[test]
fn the_forward_pass_is_the_decoders_in_every_family_that_can_be_trained() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut refused = Vec::new();
    for family in families() {
        let path = dir.path().join(format!("{}.gguf", family.name));
        family.write(GgmlType::F32, &path);
        match Network::open(&path) {
            Ok(_) => assert_same_logits(&path, family.name),
            Err(error) => {
                assert!(error.to_string().contains("is not supported; supported: the Llama-shaped ones"), "{error}");
                refused.push(family.name);
            }
        }
    }
    let odd = ["mixtral", "mixtral-split", "qwen2moe", "qwen3moe", "gemma", "gemma2", "gemma3", "olmo2", "olmo3"];
    assert_eq!(refused, odd);
}

fn shape(tied: bool) -> Shape {
    Shape {
        hidden_size: 32,
        num_hidden_layers: 2,
        num_attention_heads: 4,
        num_key_value_heads: 2,
        intermediate_size: 64,
        vocab_size: VOCAB,
        max_position_embeddings: 64,
        rope_theta: 10_000.0,
        tie_word_embeddings: tied,
    }
}

fn config(max_steps: usize) -> TrainConfig {
    TrainConfig {
        batch_tokens: 60,
        micro_batch_tokens: 30,
        optimizer: OptimizerConfig { learning_rate: 1e-2, muon: Some(Muon::default()), ..OptimizerConfig::default() },
        schedule: Schedule { warmup_steps: 2, max_steps, decay: Decay::Cosine { floor: 0.1 } },
        seed: 1,
    }
}

/// Texts that repeat a few tokens each.
fn documents() -> impl Iterator<Item = Document> {
    (0_u32..).map(|i| Document::whole((0..12 + i % 9).map(|j| 4 + (i * 5 + j * (1 + i % 3)) % 40).collect()))
}

fn train(trainer: &mut Trainer) -> Vec<f64> {
    let mut losses = Vec::new();
    let ended = trainer.run(&mut Packer::new(documents()), &mut |update| {
        if let TrainUpdate::Step(report) = update {
            losses.push(report.loss);
        }
        ControlFlow::Continue(())
    });
    assert_eq!(ended, Ok(Ended::Finished));
    losses
}

#[test]
fn what_was_trained_runs_in_the_engine_from_gguf_and_reads_back_from_a_folder() {
    let dir = tempfile::tempdir().expect("a folder");
    for tied in [true, false] {
        let network = Network::new(&shape(tied), &Initialisation::default(), 7).expect("a shape that can be");
        let mut trainer = Trainer::new(network, config(12), pass()).expect("good settings");
        let losses = train(&mut trainer);
        assert!(losses[11] < 0.8 * losses[0], "{losses:?}");
        let want = trainer.network.weights.clone();
        let path = dir.path().join("trained.gguf");
        let mut writer = Writer::new();
        writer.set("general.name", "trained here");
        Vocabulary::ByteLevel("llama-bpe").set_keys(&mut writer);
        trainer.network.save_gguf(writer, GgmlType::F32, &path).expect("written");
        assert_same_logits(&path, "trained here");
        assert_eq!(Network::open(&path).expect("opens").weights, want, "GGUF and back");
        let folder = dir.path().join("folder");
        trainer.network.save_folder(&folder, 1, 2).expect("written");
        assert_eq!(Network::open(&folder).expect("opens").weights, want, "a folder and back");
    }
}

#[test]
fn an_adapter_trained_here_does_the_same_in_the_engine_and_the_base_is_untouched() {
    let dir = tempfile::tempdir().expect("a folder");
    for (name, modules) in [
        ("llama2", &["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"][..]),
        ("qwen3", &["q_proj", "v_proj"]),
        ("phi3", &["qkv_proj", "gate_up_proj"]),
    ] {
        let family = families().into_iter().find(|family| family.name == name).expect("a family");
        let path = dir.path().join(format!("{name}.gguf"));
        family.write(GgmlType::F32, &path);
        let before = std::fs::read(&path).expect("reads");
        let mut network = Network::open(&path).expect("opens");
        let hash = network.weights.sha256();
        let lora = LoraConfig {
            r: 4,
            lora_alpha: 8.0,
            target_modules: modules.iter().map(|m| (*m).to_owned()).collect(),
            use_rslora: false,
            lora_dropout: 0.1,
            base_model_name_or_path: None,
        };
        network.adapt("style", lora, 3).expect("fits");
        let settings = TrainConfig {
            optimizer: OptimizerConfig { learning_rate: 1e-2, muon: None, ..OptimizerConfig::default() },
            ..config(6)
        };
        let mut trainer = Trainer::new(network, settings, pass()).expect("good settings");
        let losses = train(&mut trainer);
        assert!(losses[5] < losses[0], "{name}: {losses:?}");
        assert_eq!(trainer.network.weights.sha256(), hash, "{name}");

        let adapter = trainer.network.adapter().expect("there is one");
        let base = Base::open(&path).expect("reads");
        adapter.save_gguf(&dir.path().join("a.gguf"), &base).expect("saved");
        adapter.save_peft(&dir.path().join("a"), &base).expect("saved");
        let got = pass().logits(&trainer.network, &batch(&prompt()));
        for file in ["a.gguf", "a"] {
            let mut model = Model::open(&path).expect("opens");
            let plain = model.all_logits(&prompt(), 64);
            model.attach(&Lora::load(&dir.path().join(file)).expect("reads"), 1.0).expect("fits");
            assert_near(&got, &model.all_logits(&prompt(), 64), &format!("{name}, {file}"));
            assert!(got != plain);
            model.detach(&adapter.name);
            model.detach("a");
            assert!(model.all_logits(&prompt(), 64) == plain, "off is as if it had never been");
        }
        assert!(std::fs::read(&path).expect("reads") == before, "{name}");
    }
}
