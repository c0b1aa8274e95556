//! The trainer's speed: tokens a second of one core and of all, and what share of the matrix products' own peak that is.
//!
//! `cargo bench --bench train` prints the table for models of our own. `-- lora FILE [THREADS]` trains an adapter on a
//! model file (SmolLM2 without one), `-- run WIDTH FEED_FORWARD KV_HEADS OPTIMIZER THREADS` one row, for scripts.

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Instant;

use osai::engine::lora::LoraConfig;
use osai::engine::train::{
    Decay, Document, Initialisation, Muon, Network, OptimizerConfig, Packer, Pass, Schedule, Shape, TrainConfig,
    TrainUpdate, Trainer, product_rate,
};
use osai::engine::{Isa, physical_cores};

/// Tokens of a step, all at once.
const STEP: usize = 1_152;
const VOCABULARY: usize = 1_024;

#[allow(clippy::disallowed_methods, clippy::print_stdout, reason = "a benchmark is its own program")]
fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let number = |text: &str| text.parse().expect("a number");
    match args[..] {
        ["run", width, feed_forward, kv_heads, optimizer, threads] => {
            let shape = shape(number(width), number(feed_forward), number(kv_heads));
            println!("{}", row(&shape, optimizer, number(threads), 20));
        }
        ["lora", ref rest @ ..] => {
            let home = std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
            let usual = home.join(".local/share/osai/models/SmolLM2-135M-Instruct.Q4_1.gguf");
            let file = rest.first().map_or(usual, PathBuf::from);
            println!("{}", lora(&file, rest.get(1).map_or_else(physical_cores, |n| number(n))));
        }
        _ => {
            println!("width  ff   kv  optimizer  threads  tokens/s  tokens/core-s  GFLOP/core-s  of peak");
            for (width, feed_forward, kv_heads) in [(128, 352, 4), (256, 768, 2)] {
                for optimizer in ["adamw", "muon"] {
                    for threads in 1..=physical_cores().min(2) {
                        println!("{}", row(&shape(width, feed_forward, kv_heads), optimizer, threads, 20));
                    }
                }
            }
        }
    }
}

fn shape(hidden_size: usize, intermediate_size: usize, num_key_value_heads: usize) -> Shape {
    Shape {
        hidden_size,
        num_hidden_layers: 6,
        num_attention_heads: 4,
        num_key_value_heads,
        intermediate_size,
        vocab_size: VOCABULARY,
        max_position_embeddings: 512,
        rope_theta: 10_000.0,
        tie_word_embeddings: true,
    }
}

/// Documents of 32 to 191 tokens, of which every token counts.
fn documents(vocabulary: usize) -> impl Iterator<Item = Document> {
    (0..).map(move |i: usize| {
        let length = 32 + i * 37 % 160;
        Document::whole((0..length).map(|j| ((i * 7919 + j * j * 31 + j) % vocabulary) as u32).collect())
    })
}

fn config(optimizer: OptimizerConfig, max_steps: usize) -> TrainConfig {
    TrainConfig {
        batch_tokens: STEP,
        micro_batch_tokens: STEP,
        optimizer,
        schedule: Schedule { warmup_steps: 10, max_steps, decay: Decay::Constant },
        seed: 1,
    }
}

/// Processor time of the threads alive, which here are all that ever were: Linux counts nanoseconds. Elsewhere 0.
fn cpu_seconds() -> f64 {
    let Ok(tasks) = fs::read_dir("/proc/self/task") else { return 0.0 };
    let spent = tasks.flatten().filter_map(|task| {
        let text = fs::read_to_string(task.path().join("schedstat")).ok()?;
        text.split_whitespace().next()?.parse::<f64>().ok()
    });
    spent.sum::<f64>() * 1e-9
}

/// Tokens a second on the clock and of processor time, all steps but the first four.
fn speed(trainer: &mut Trainer, vocabulary: usize) -> [f64; 2] {
    let (mut tokens, mut clock) = (0, (Instant::now(), cpu_seconds()));
    let ended = trainer.run(&mut Packer::new(documents(vocabulary)), &mut |update| {
        if let TrainUpdate::Step(report) = update {
            if report.step > 4 {
                tokens += report.tokens;
            } else {
                clock = (Instant::now(), cpu_seconds());
            }
        }
        ControlFlow::Continue(())
    });
    ended.expect("documents are good");
    [tokens as f64 / clock.0.elapsed().as_secs_f64(), tokens as f64 / (cpu_seconds() - clock.1)]
}

/// Floating-point operations of a token, forward and back: two a weight and three products a matrix; attention's two
/// products over half of a document's square.
fn flops(shape: &Shape) -> f64 {
    let head_dim = shape.hidden_size / shape.num_attention_heads;
    let attention = shape.hidden_size * (2 * shape.hidden_size + 2 * shape.num_key_value_heads * head_dim);
    let layer = attention + 3 * shape.hidden_size * shape.intermediate_size;
    let weights = shape.num_hidden_layers * layer + shape.vocab_size * shape.hidden_size;
    // A token sees half of its document: the mean over tokens of documents of 31 to 190.
    let seen = (31..=190).map(|n| n * n).sum::<usize>() as f64 / (31..=190).sum::<usize>() as f64 / 2.0;
    6.0 * weights as f64 + 12.0 * (shape.num_hidden_layers * shape.hidden_size) as f64 * seen
}

fn row(shape: &Shape, optimizer: &str, threads: usize, steps: usize) -> String {
    let muon = (optimizer == "muon").then(Muon::default);
    let network = Network::new(shape, &Initialisation::default(), 1).expect("a shape that can be");
    let settings = config(OptimizerConfig { muon, ..OptimizerConfig::default() }, steps);
    let mut trainer = Trainer::new(network, settings, Pass::new(Isa::detect(), threads)).expect("good settings");
    let [wall, core] = speed(&mut trainer, shape.vocab_size);
    let rate = core * flops(shape) / 1e9;
    let Shape { hidden_size, intermediate_size, num_key_value_heads, .. } = shape;
    format!(
        "{hidden_size:5}  {intermediate_size:3}  {num_key_value_heads:3}  {optimizer:9}  {threads:7}  {wall:8.0}  \
         {core:13.0}  {rate:12.1}  {:6.0}%",
        100.0 * rate / product_rate(Isa::detect())
    )
}

/// An adapter of rank 8 on all matrices, as a style is trained.
fn lora(file: &Path, threads: usize) -> String {
    let start = Instant::now();
    let mut network = Network::open(file).expect("a model that can be trained");
    let opened = start.elapsed().as_secs_f64();
    let modules = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"];
    let lora = LoraConfig {
        r: 8,
        lora_alpha: 16.0,
        target_modules: modules.map(str::to_owned).into(),
        use_rslora: false,
        lora_dropout: 0.05,
        base_model_name_or_path: None,
    };
    network.adapt("bench", lora, 1).expect("fits");
    let (hash, vocabulary) = (network.weights.sha256(), network.config.vocab_size);
    let settings = TrainConfig { batch_tokens: 512, micro_batch_tokens: 512, ..config(OptimizerConfig::default(), 10) };
    let mut trainer = Trainer::new(network, settings, Pass::new(Isa::detect(), threads)).expect("good settings");
    let [wall, core] = speed(&mut trainer, vocabulary);
    assert_eq!(trainer.network.weights.sha256(), hash, "the base is as it was");
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak =
        status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.trim().parse().ok());
    format!(
        "opened in {opened:.2} s; {threads} threads: {wall:.0} tokens/s, {core:.0} tokens/core-s; {:.0} MB at most",
        peak.unwrap_or(0.0) / 1e3
    )
}
