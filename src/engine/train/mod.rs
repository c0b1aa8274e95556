//! Training: forward and backward of a Llama-shaped model by hand, optimisers, checkpoints, adapters.
//!
//! ```text
//! Document ─ Packer ─▶ Batch ─ Pass::gradient ─▶ gradient ─ Optimizer::step ─▶ Network (weights or adapters)
//!                                    └── Trainer runs this loop, with schedule, progress, checkpoints ──┘
//! ```
//!
//! Everything is f32 on the engine's own kernels, so a seed and a recipe give the same weights, byte for byte, on every
//! instruction set and with any number of threads.

mod adapters;
mod attention;
mod batch;
mod checkpoint;
mod cores;
mod export;
mod linear;
mod network;
mod optimizer;
mod parameters;
mod pass;
mod schedule;
#[cfg(test)]
mod tests;
mod trainer;

use super::kernels::Isa;
use super::threads::physical_cores;
pub use adapters::Adapters;
pub use batch::{Batch, Document, Packer};
#[doc(hidden)]
pub use cores::product_rate;
pub use network::{Initialisation, Network, Shape};
pub use optimizer::{Muon, Optimizer, OptimizerConfig};
pub use parameters::{Parameters, Tensor};
pub use pass::Pass;
pub use schedule::{Decay, Schedule};
pub use trainer::{Ended, Evaluation, StepReport, TrainConfig, TrainUpdate, Trainer};
