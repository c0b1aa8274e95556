//! Low-rank adapters: a fine-tune as a small change to some of a model's matrices, `y = W x + scale · B (A x)`.
//!
//! [`Lora::load`] reads what PEFT or llama.cpp's converter wrote, [`Lora::save_peft`] and [`Lora::save_gguf`] write it,
//! `Model::attach` lets a running model use it and [`apply_lora`] writes it into the weights for good. `A` and `B` are
//! plain f32, where a training loop can reach them. Source: Hu et al., 2021, "LoRA: Low-Rank Adaptation".
//!
//! GGUF files of Llama's architecture hold the rows of queries and keys in another order than Hugging Face's (pairs
//! that turn together stand side by side). An adapter for such a matrix has the rows of its `B` in the order of its own
//! file; [`RowOrder`] says which, and whoever needs the other one reorders them.

mod apply;
mod base;
mod gguf;
mod merge;
mod peft;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::EngineError;
pub use apply::{Attached, Delta};
pub use base::{Base, Group};
pub use merge::apply_lora;

/// A rank above this is no low rank, and no adapter that anybody publishes.
const MAX_RANK: usize = 4096;

/// How an adapter was made; names as in PEFT's `adapter_config.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LoraConfig {
    /// Rank: rows of `A`, columns of `B`. A pair may have its own.
    pub r: usize,
    /// What `B A` is multiplied with, before it is divided by the rank.
    pub lora_alpha: f32,
    /// Last parts of the names of the matrices (`q_proj`), sorted.
    pub target_modules: Vec<String>,
    /// Whether the rank's root divides instead of the rank (Kalajdzievski, 2023).
    pub use_rslora: bool,
    /// Share of the numbers going into `A` that training drops; it matters to training only.
    #[serde(default)]
    pub lora_dropout: f32,
    /// The model that it was made for, if it is known.
    pub base_model_name_or_path: Option<String>,
}

/// An adapter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Lora {
    /// What it is called: the file's `general.name`, or the name of the file or folder.
    pub name: String,
    /// How it was made.
    pub config: LoraConfig,
    /// `general.architecture` of the model that it is for, where the file says so (GGUF).
    pub architecture: Option<String>,
    /// The order of the rows of `B` for queries and keys.
    pub rows: RowOrder,
    /// `A` and `B` for each matrix that changes.
    #[serde(with = "as_list")]
    pub pairs: BTreeMap<Target, Pair>,
}

/// In which order a file holds the rows of queries and keys within a head of width `d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RowOrder {
    /// As Hugging Face: row `j` turns with row `j + d / 2`.
    HuggingFace,
    /// As GGUF files of the architecture have it: for Llama's, row `2j` turns with row `2j + 1`.
    Gguf,
}

/// A matrix of a model that an adapter can change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Target {
    /// The layer.
    pub layer: usize,
    /// Which of its matrices.
    pub module: Module,
}

/// A matrix of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Module {
    /// Queries.
    Q,
    /// Keys.
    K,
    /// Values.
    V,
    /// Queries, keys and values in one (Phi 3).
    Qkv,
    /// From the heads back to the stream.
    O,
    /// Feed-forward's gate.
    Gate,
    /// Feed-forward's other half.
    Up,
    /// Gate and up in one (Phi 3).
    GateUp,
    /// From feed-forward back to the stream.
    Down,
}

impl Module {
    /// Names in Hugging Face's files and in GGUF, below the layer.
    const TABLE: [(Self, &'static str, &'static str); 9] = [
        (Self::Q, "self_attn.q_proj", "attn_q"),
        (Self::K, "self_attn.k_proj", "attn_k"),
        (Self::V, "self_attn.v_proj", "attn_v"),
        (Self::Qkv, "self_attn.qkv_proj", "attn_qkv"),
        (Self::O, "self_attn.o_proj", "attn_output"),
        (Self::Gate, "mlp.gate_proj", "ffn_gate"),
        (Self::Up, "mlp.up_proj", "ffn_up"),
        // Phi 3's one tensor for both halves has the name of the second.
        (Self::GateUp, "mlp.gate_up_proj", "ffn_up"),
        (Self::Down, "mlp.down_proj", "ffn_down"),
    ];

    fn row(self) -> &'static (Self, &'static str, &'static str) {
        Self::TABLE.iter().find(|row| row.0 == self).expect("every module is in the table")
    }

    /// Below the layer in Hugging Face's files: `self_attn.q_proj`.
    pub fn hf(self) -> &'static str {
        self.row().1
    }

    /// Below the layer in GGUF: `attn_q`.
    pub fn gguf(self) -> &'static str {
        self.row().2
    }

    /// As in `target_modules`: `q_proj`.
    pub fn short(self) -> &'static str {
        self.hf().rsplit('.').next().expect("a name has a last part")
    }

    /// By its short name.
    pub fn named(short: &str) -> Option<Self> {
        Self::TABLE.iter().map(|row| row.0).find(|module| module.short() == short)
    }

    /// Names of all, for messages.
    fn names() -> String {
        Self::TABLE.map(|row| row.0.short()).join(", ")
    }
}

impl Target {
    /// `layers.3.self_attn.q_proj`.
    pub fn hf(self) -> String {
        format!("layers.{}.{}", self.layer, self.module.hf())
    }

    /// `blk.3.attn_q.weight`.
    pub fn gguf(self) -> String {
        format!("blk.{}.{}.weight", self.layer, self.module.gguf())
    }
}

/// The change to one matrix of `rows × columns`: `B A`, both row by row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pair {
    /// Rank.
    pub r: usize,
    /// `[r, columns]`.
    pub a: Vec<f32>,
    /// `[rows, r]`.
    pub b: Vec<f32>,
}

impl Pair {
    /// Rows of the matrix.
    pub fn rows(&self) -> usize {
        self.b.len() / self.r
    }

    /// Columns of the matrix.
    pub fn columns(&self) -> usize {
        self.a.len() / self.r
    }

    /// From two tensors, each with its shape, outermost first; `name` is for messages.
    fn new(name: &str, [a, b]: [(Vec<usize>, Vec<f32>); 2]) -> Result<Self, String> {
        let [a_shape, b_shape] = [&a.0, &b.0];
        let ([r, columns], [rows, b_r]) = (a_shape.as_slice(), b_shape.as_slice()) else {
            return Err(format!("A {a_shape:?} and B {b_shape:?} of `{name}` are no matrices"));
        };
        if r != b_r {
            return Err(format!(
                "A {a_shape:?} and B {b_shape:?} of `{name}` do not belong together: A has {r} rows, B {b_r} columns"
            ));
        }
        if !(1..=MAX_RANK).contains(r) {
            return Err(format!("`{name}` has the rank {r}; 1 to {MAX_RANK} are possible"));
        }
        debug_assert!(a.1.len() == r * columns && b.1.len() == rows * r);
        for (part, numbers) in [("A", &a.1), ("B", &b.1)] {
            if let Some(at) = numbers.iter().position(|x| !x.is_finite()) {
                return Err(format!("number {at} of {part} of `{name}` is {}", numbers[at]));
            }
        }
        Ok(Self { r: *r, a: a.1, b: b.1 })
    }
}

impl Lora {
    /// Reads an adapter: PEFT's folder (or the `adapter_model.safetensors` in it), or a GGUF file.
    ///
    /// Whether it fits a model is looked at when it meets one (`Model::attach`, [`Lora::check`]).
    ///
    /// # Errors
    /// [`EngineError::Unreadable`], [`EngineError::BadFile`] with the tensor's name,
    /// [`EngineError::Unsupported`] for what is no plain LoRA (DoRA, embeddings, trained biases) by name.
    pub fn load(path: &Path) -> Result<Self, EngineError> {
        if path.is_dir() {
            return peft::load(path);
        }
        if path.extension().is_some_and(|ext| ext.eq_ignore_ascii_case("safetensors")) {
            return peft::load(path.parent().unwrap_or(Path::new("")));
        }
        gguf::load(path)
    }

    /// A new adapter that changes nothing yet: `A` as PEFT draws it (uniform in `±1 / √columns`), `B` zero. The same
    /// seed gives the same numbers everywhere.
    ///
    /// # Errors
    /// [`EngineError::BadSetting`] for a rank of 0 and for modules that the model does not have.
    pub fn new(name: &str, config: LoraConfig, base: &Base, seed: u64) -> Result<Self, EngineError> {
        use rand_chacha::rand_core::{RngCore, SeedableRng};
        let refuse = |what: String| Err(EngineError::BadSetting { what });
        if !(1..=MAX_RANK).contains(&config.r) {
            return refuse(format!("a rank of {}; 1 to {MAX_RANK} are possible", config.r));
        }
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
        let mut pairs = BTreeMap::new();
        for layer in 0..base.layers {
            for short in &config.target_modules {
                let Some((module, [rows, columns])) = Module::named(short).and_then(|m| Some((m, base.shape(m)?)))
                else {
                    return refuse(format!("the model has no `{short}` to adapt; it has {}", base.modules()));
                };
                let bound = 1.0 / (columns as f32).sqrt();
                // 24 bits: every f32 in [0, 1) with that step, the same on all machines.
                let mut draw = || ((rng.next_u32() >> 8) as f32 / (1_u32 << 24) as f32 * 2.0 - 1.0) * bound;
                let a = (0..config.r * columns).map(|_| draw()).collect();
                pairs.insert(Target { layer, module }, Pair { r: config.r, a, b: vec![0.0; rows * config.r] });
            }
        }
        let mut config = config;
        config.target_modules.sort();
        config.target_modules.dedup();
        let architecture = Some(base.architecture.clone());
        Ok(Self { name: name.to_owned(), config, architecture, rows: RowOrder::HuggingFace, pairs })
    }

    /// What `B A` of a pair is multiplied with: `lora_alpha / r`, with rsLoRA `lora_alpha / √r`.
    pub fn scale(&self, pair: &Pair) -> f32 {
        let r = pair.r as f32;
        self.config.lora_alpha / if self.config.use_rslora { r.sqrt() } else { r }
    }

    /// Numbers that it holds: how small a fine-tune can be.
    pub fn parameters(&self) -> usize {
        self.pairs.values().map(|pair| pair.a.len() + pair.b.len()).sum()
    }

    /// Whether it fits a model.
    ///
    /// # Errors
    /// [`EngineError::BadSetting`] that names the first matrix that does not, and both shapes.
    pub fn check(&self, base: &Base) -> Result<(), EngineError> {
        let refuse = |why: String| Err(EngineError::BadSetting { what: format!("the adapter `{}` {why}", self.name) });
        if let Some(architecture) = self.architecture.as_ref().filter(|name| **name != base.architecture) {
            return refuse(format!(
                "is for a model of the architecture {architecture}, this one is {}",
                base.architecture
            ));
        }
        for (target, pair) in &self.pairs {
            if target.layer >= base.layers {
                let (name, last) = (target.hf(), base.layers - 1);
                return refuse(format!("changes `{name}`, but the model has layers 0 to {last}"));
            }
            if pair.r == 0 || pair.a.len() % pair.r != 0 || pair.b.len() % pair.r != 0 {
                return refuse(format!("has a broken pair for `{}`", target.hf()));
            }
            match base.shape(target.module) {
                None if base.has_experts => {
                    return refuse(format!(
                        "changes `{}`, but the model has experts there; adapters of experts are not supported",
                        target.hf()
                    ));
                }
                None => return refuse(format!("changes `{}`, which the model does not have", target.hf())),
                Some(shape) if shape != [pair.rows(), pair.columns()] => {
                    return refuse(format!(
                        "makes `{}` a matrix of {:?}, but the model's is {shape:?}; it was made for another model",
                        target.hf(),
                        [pair.rows(), pair.columns()]
                    ));
                }
                Some(_) => {}
            }
        }
        Ok(())
    }

    /// The same adapter with its rows in another order.
    ///
    /// # Errors
    /// As [`Lora::check`].
    pub fn in_order(&self, rows: RowOrder, base: &Base) -> Result<Self, EngineError> {
        self.check(base)?;
        let mut other = Self { rows, ..self.clone() };
        if rows != self.rows && base.is_reordered_in_gguf {
            for (target, pair) in &mut other.pairs {
                base.reorder(target.module, &mut pair.b, pair.r, rows);
            }
        }
        Ok(other)
    }

    /// Writes PEFT's two files, `adapter_config.json` and `adapter_model.safetensors`, into a folder, which is made if
    /// it is not there. `base` is the model that the adapter is for.
    ///
    /// # Errors
    /// As [`Lora::check`]; [`EngineError::Unwritable`].
    pub fn save_peft(&self, folder: &Path, base: &Base) -> Result<(), EngineError> {
        peft::save(&self.in_order(RowOrder::HuggingFace, base)?, folder)
    }

    /// Writes a GGUF file as llama.cpp reads it. `base` is the model that the adapter is for.
    ///
    /// # Errors
    /// As [`Lora::save_peft`].
    pub fn save_gguf(&self, path: &Path, base: &Base) -> Result<(), EngineError> {
        gguf::save(&self.in_order(RowOrder::Gguf, base)?, path, base)
    }
}

/// Pairs as a list: not every format has keys that are more than text.
mod as_list {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, Serializer};

    use super::{Pair, Target};

    pub fn serialize<S: Serializer>(pairs: &BTreeMap<Target, Pair>, to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(pairs)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<BTreeMap<Target, Pair>, D::Error> {
        Ok(Vec::deserialize(from)?.into_iter().collect())
    }
}

/// `A` or `B` as a file has it: its shape and its numbers.
type Half = (Vec<usize>, Vec<f32>);

/// The pairs' halves while a file is read: `A` and `B`.
#[derive(Debug, Default)]
struct Halves {
    found: BTreeMap<Target, [Option<Half>; 2]>,
}

impl Halves {
    /// Adds `A` (`half` 0) or `B` (`half` 1).
    fn put(&mut self, target: Target, half: usize, shape: Vec<usize>, numbers: Vec<f32>) -> Result<(), String> {
        match self.found.entry(target).or_default()[half].replace((shape, numbers)) {
            None => Ok(()),
            Some(_) => Err(format!("{} of `{}` is there twice", ["A", "B"][half], target.hf())),
        }
    }

    fn pairs(self) -> Result<BTreeMap<Target, Pair>, String> {
        if self.found.is_empty() {
            return Err("it holds no adapter: no tensor of it is an A or a B".into());
        }
        let whole = |(target, halves): (Target, [Option<_>; 2])| match halves {
            [Some(a), Some(b)] => Ok((target, Pair::new(&target.hf(), [a, b])?)),
            [None, _] => Err(format!("`{}` has a B but no A", target.hf())),
            [_, None] => Err(format!("`{}` has an A but no B", target.hf())),
        };
        self.found.into_iter().map(whole).collect()
    }
}

/// The refusal of a tensor that is no part of a plain LoRA.
fn unsupported(what: String) -> EngineError {
    EngineError::Unsupported { what, supported: format!("LoRA on {}", Module::names()) }
}
