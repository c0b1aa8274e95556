//! `cargo bench --bench engine [-- FILE.gguf]`: opening, first token, prefill and decode of a model.
//!
//! Wall-clock figures of one machine; compare only what ran in one call. Prints the median of five rounds.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::Instant;

use osai::engine::{GenerationOptions, Isa, Job, Model, Options, Prompt, SamplingParams};

const ROUNDS: usize = 5;

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

#[allow(clippy::disallowed_methods, clippy::print_stdout, reason = "a benchmark is its own program")]
fn main() {
    let named = std::env::args().skip(1).find(|a| !a.starts_with('-')).map(PathBuf::from);
    let home = std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
    let path = named.unwrap_or_else(|| home.join(".local/share/osai/models/SmolLM2-135M-Instruct.Q4_1.gguf"));
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let mut out = String::from("isa     threads  open ms  first token ms  prefill tok/s  decode tok/s\n");
    for isa in Isa::available().into_iter().filter(|isa| *isa != Isa::Scalar) {
        for threads in 1..=cores.min(4) {
            let options = Options { threads: Some(threads), isa: Some(isa), ..Options::default() };
            let (mut open, mut first, mut prefill, mut decode) = (vec![], vec![], vec![], vec![]);
            for _ in 0..ROUNDS {
                let start = Instant::now();
                let mut model = match Model::open_with(&path, options) {
                    Ok(model) => model,
                    Err(error) => return println!("{error}"),
                };
                open.push(start.elapsed().as_secs_f64() * 1e3);
                let prompt = "The quick brown fox jumps over the lazy dog. ".repeat(12);
                let job = Job::Next { prompt: Prompt::Text(prompt) };
                let stats = model.run(job, &mut |_| ControlFlow::Continue(())).expect("runs");
                prefill.push(stats.prompt_tokens as f64 / stats.time_to_first_token_ms * 1e3);
                let job = Job::Generate {
                    prompt: Prompt::Text("The capital of France is".into()),
                    sampling: SamplingParams::greedy(),
                    max_new_tokens: 48,
                    top_candidates: 0,
                    options: GenerationOptions::default(),
                };
                let stats = model.run(job, &mut |_| ControlFlow::Continue(())).expect("runs");
                first.push(stats.time_to_first_token_ms);
                decode.push(stats.tokens_per_second);
            }
            out += &format!(
                "{:7} {threads:7}  {:7.0}  {:14.0}  {:13.0}  {:12.1}\n",
                isa.name(),
                median(open),
                median(first),
                median(prefill),
                median(decode)
            );
        }
    }
    println!("{out}");
}
