//! Low-rank adapters in training: made, laid out, and given back as the engine's [`Lora`].

use std::ops::Range;

use super::super::EngineError;
use super::super::lora::{Base, Group, Lora, LoraConfig, Pair, Target};
use super::linear::Hung;
use super::network::Network;
use super::parameters::Parameters;

/// What is trained in place of the weights.
#[derive(Debug)]
pub struct Adapters {
    /// All `A` and `B`.
    pub parameters: Parameters,
    /// The adapter that these began as: its names, settings and shapes.
    from: Lora,
    /// Where each pair's `A` and `B` lie.
    pairs: Vec<(Target, Range<usize>, Range<usize>)>,
    /// For each layer, what hangs on its four matrices: queries to values, output, gate and up, down.
    hung: Vec<[Vec<Hung>; 4]>,
}

fn index(group: Group) -> usize {
    match group {
        Group::Qkv => 0,
        Group::O => 1,
        Group::GateUp => 2,
        Group::Down => 3,
    }
}

impl Network {
    /// Adds a new adapter, which changes nothing yet. From then on it is trained, and the weights stay.
    ///
    /// # Errors
    /// As [`Lora::new`]; [`EngineError::BadSetting`] for a dropout that is no share.
    pub fn adapt(&mut self, name: &str, config: LoraConfig, seed: u64) -> Result<(), EngineError> {
        if !(0.0..1.0).contains(&config.lora_dropout) {
            let what = format!("`lora_dropout` is {}; it is a share from 0 to below 1", config.lora_dropout);
            return Err(EngineError::BadSetting { what });
        }
        let lora = Lora::new(name, config, &self.base(), seed)?;
        self.resume_adapter(&lora)
    }

    /// Goes on training an adapter that was trained before.
    ///
    /// # Errors
    /// As [`Lora::check`].
    pub fn resume_adapter(&mut self, lora: &Lora) -> Result<(), EngineError> {
        let base = self.base();
        let lora = lora.in_order(base.rows, &base)?;
        let mut parameters = Parameters::default();
        let mut hung: Vec<[Vec<Hung>; 4]> = (0..base.layers).map(|_| Default::default()).collect();
        let mut pairs = Vec::with_capacity(lora.pairs.len());
        for (stream, (target, pair)) in lora.pairs.iter().enumerate() {
            let name = |half: &str| format!("{}.lora_{half}.weight", target.hf());
            let a = parameters.push(name("A"), &[pair.r, pair.columns()]);
            let b = parameters.push(name("B"), &[pair.rows(), pair.r]);
            parameters.data[a.clone()].copy_from_slice(&pair.a);
            parameters.data[b.clone()].copy_from_slice(&pair.b);
            let (group, rows) = base.place(target.module);
            let (r, scale) = (pair.r, lora.scale(pair));
            let on = Hung { rows, a: a.clone(), b: b.clone(), r, scale, stream: stream as u64 };
            hung[target.layer][index(group)].push(on);
            pairs.push((*target, a, b));
        }
        self.adapters = Some(Adapters { parameters, from: lora, pairs, hung });
        Ok(())
    }

    /// What adapters must know of this model: its rows are in Hugging Face's order.
    pub fn base(&self) -> Base {
        Base::of(&self.config)
    }

    /// The adapter as it is now, to attach, to save or to merge; `None` where the weights are trained themselves.
    pub fn adapter(&self) -> Option<Lora> {
        let Adapters { parameters, from, pairs, .. } = self.adapters.as_ref()?;
        let numbers = |at: &Range<usize>| parameters.data[at.clone()].to_vec();
        let mut lora = from.clone();
        for (target, a, b) in pairs {
            let r = from.pairs[target].r;
            lora.pairs.insert(*target, Pair { r, a: numbers(a), b: numbers(b) });
        }
        Some(lora)
    }

    /// Share of the adapters' inputs that training drops.
    pub(super) fn dropout(&self) -> f32 {
        self.adapters.as_ref().map_or(0.0, |adapters| adapters.from.config.lora_dropout)
    }

    pub(super) fn hung(&self, layer: usize, group: Group) -> &[Hung] {
        self.adapters.as_ref().map_or(&[], |adapters| &adapters.hung[layer][index(group)])
    }
}
