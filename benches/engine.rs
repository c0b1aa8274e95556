//! The engine's speed: opening, first token, prefill, decode, memory; and what the machine's memory gives.
//!
//! `cargo bench --bench engine [-- FILE]` prints a table of this machine's instruction sets, wall-clock, medians of five
//! rounds. `run FILE THREADS PROMPT ANSWER ISA`, `stream THREADS` and `isa` print one line for
//! `benches/compare.sh`, which sets the figures beside llama.cpp's.

use std::fs;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::time::Instant;

use osai::engine::{Isa, Model, Options, TokenId, physical_cores};

const ROUNDS: usize = 5;

#[allow(clippy::disallowed_methods, clippy::print_stdout, reason = "a benchmark is its own program")]
fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let number = |text: &str| text.parse().expect("a number");
    match args[..] {
        ["run", file, threads, prompt, answer, isa] => {
            let isa = Isa::named(isa).expect("an instruction set of this machine");
            let took = run(Path::new(file), number(threads), number(prompt), number(answer), isa);
            println!("{}", took.line());
        }
        ["isa"] => println!("{}", Isa::detect().name()),
        ["stream", threads] => println!("gb_s {:.2}", stream(number(threads))),
        _ => {
            let home = std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
            let usual = home.join(".local/share/osai/models/SmolLM2-135M-Instruct.Q4_1.gguf");
            println!("{}", table(&args.first().map_or(usual, PathBuf::from)));
        }
    }
}

/// Seconds on the clock and on processors.
#[derive(Clone, Copy)]
struct Clock {
    wall: Instant,
    cpu: f64,
}

impl Clock {
    fn now() -> Self {
        Self { wall: Instant::now(), cpu: cpu_seconds() }
    }

    /// Wall-clock and processor seconds since then.
    fn since(self) -> [f64; 2] {
        [self.wall.elapsed().as_secs_f64(), cpu_seconds() - self.cpu]
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

/// What one run took; rates are tokens a second, pairs are wall-clock and processor time.
struct Took {
    open: [f64; 2],
    prefill: [f64; 2],
    decode: [f64; 2],
    peak_kib: u64,
}

impl Took {
    fn line(&self) -> String {
        let Self { open, prefill, decode, peak_kib } = self;
        format!(
            "open_wall {:.4} open_cpu {:.4} prefill_wall {:.2} prefill_cpu {:.2} decode_wall {:.2} decode_cpu {:.2} \
             peak_kib {peak_kib}",
            open[0], open[1], prefill[0], prefill[1], decode[0], decode[1]
        )
    }
}

/// Opens a file, reads a prompt of one token, then one of `prompt`, then `answer` tokens one by one, each with its logits.
fn run(file: &Path, threads: usize, prompt: usize, answer: usize, isa: Isa) -> Took {
    let clock = Clock::now();
    let options = Options { threads: Some(threads), isa: Some(isa), ..Options::default() };
    let mut model = Model::open_with(file, options).expect("the file opens");
    let vocabulary = model.info().vocab_size;
    let tokens = |n: usize| (0..n).map(|i| ((300 + i * 37) % vocabulary) as TokenId).collect::<Vec<_>>();
    black_box(model.logits(&tokens(1), 1));
    let open = clock.since();
    let rate = |n: usize, took: [f64; 2]| took.map(|seconds| n as f64 / seconds);
    let clock = Clock::now();
    black_box(model.logits(&tokens(prompt), usize::MAX));
    let prefill = rate(prompt, clock.since());
    let clock = Clock::now();
    black_box(model.all_logits(&tokens(answer), 1));
    let decode = rate(answer, clock.since());
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak =
        status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.trim().parse().ok());
    Took { open, prefill, decode, peak_kib: peak.unwrap_or(0) }
}

/// Gigabytes a second that `threads` threads read from memory together, each its own part of 1 GiB: best of five.
fn stream(threads: usize) -> f64 {
    let numbers: Vec<u64> = (0..1_u64 << 27).collect();
    let share = numbers.len().div_ceil(threads.max(1));
    let best = (0..ROUNDS).map(|_| {
        let start = Instant::now();
        std::thread::scope(|scope| {
            for part in numbers.chunks(share) {
                // Many sums, so that additions wait for memory and not for one another.
                scope.spawn(move || {
                    let mut sums = [0_u64; 64];
                    for line in part.as_chunks::<64>().0 {
                        sums.iter_mut().zip(line).for_each(|(sum, n)| *sum = sum.wrapping_add(*n));
                    }
                    black_box(sums);
                });
            }
        });
        start.elapsed().as_secs_f64()
    });
    (numbers.len() * 8) as f64 / best.fold(f64::INFINITY, f64::min) / 1e9
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn table(file: &Path) -> String {
    let mut out = String::from("isa     threads  first token ms  prefill tok/s  decode tok/s  peak MB\n");
    for isa in Isa::available().into_iter().filter(|isa| *isa != Isa::Scalar) {
        for threads in 1..=physical_cores().min(4) {
            let rounds: Vec<Took> = (0..ROUNDS).map(|_| run(file, threads, 256, 48, isa)).collect();
            let of = |pick: fn(&Took) -> f64| median(rounds.iter().map(pick).collect());
            out += &format!(
                "{:7} {threads:7}  {:14.0}  {:13.0}  {:12.1}  {:7.0}\n",
                isa.name(),
                of(|t| t.open[0]) * 1e3,
                of(|t| t.prefill[0]),
                of(|t| t.decode[0]),
                of(|t| t.peak_kib as f64 / 1e3),
            );
        }
    }
    out
}
