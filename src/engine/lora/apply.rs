//! Adapters on a running model: `B (A x)` is added to what a projection gives, in full precision whatever the type of
//! the weights, so that attaching, detaching and another strength cost no load.

use super::super::EngineError;
use super::super::model::Model;
use super::super::weights::{Compute, Linear};
use super::{Base, Lora};

/// What an adapter adds to some rows of a projection.
#[derive(Debug)]
pub struct Delta {
    /// The adapter's name.
    adapter: String,
    /// The first of its rows.
    first: usize,
    a: Linear,
    b: Linear,
    /// `lora_alpha / r`.
    scale: f32,
    strength: f32,
}

/// An adapter that a model uses.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Attached {
    /// Its name.
    pub name: String,
    /// What its change is multiplied with: 1 is as it was trained, 0 is off.
    pub strength: f32,
}

impl Delta {
    /// Adds the change to `out`, `tokens × width`; `x` is what the projection read.
    ///
    /// The products are the kernels' own, so they are the same bits everywhere; each is rounded, then added.
    #[cold]
    pub fn add(&self, x: &[f32], tokens: usize, width: usize, out: &mut [f32], compute: &mut Compute) {
        // Off is as if it were not there, to the bit.
        if self.strength == 0.0 {
            return;
        }
        let rows = self.b.rows();
        let mut low = vec![0.0; tokens * self.a.rows()];
        let mut change = vec![0.0; tokens * rows];
        compute.multiply(x, tokens, &mut [(&self.a, &mut low)]);
        let factor = self.scale * self.strength;
        low.iter_mut().for_each(|x| *x *= factor);
        compute.multiply(&low, tokens, &mut [(&self.b, &mut change)]);
        for (out, change) in out.chunks_exact_mut(width).zip(change.chunks_exact(rows)) {
            out[self.first..self.first + rows].iter_mut().zip(change).for_each(|(out, change)| *out += change);
        }
    }
}

impl Model {
    /// What an adapter must know of this model.
    pub fn base(&self) -> Base {
        Base::of(&self.decoder.config)
    }

    /// Uses an adapter from now on, besides those that are attached; one of the same name is replaced. `strength`
    /// multiplies its change: 1 is as it was trained. The text in the prompt cache is read anew.
    ///
    /// # Errors
    /// [`EngineError::BadSetting`] when it does not fit the model, or the strength is no number.
    pub fn attach(&mut self, lora: &Lora, strength: f32) -> Result<(), EngineError> {
        if !strength.is_finite() {
            return Err(EngineError::BadSetting { what: format!("an adapter's strength is a number, not {strength}") });
        }
        let base = self.base();
        lora.check(&base)?;
        self.detach(&lora.name);
        for (target, pair) in &lora.pairs {
            let mut b = pair.b.clone();
            if lora.rows != base.rows && base.is_reordered_in_gguf {
                base.reorder(target.module, &mut b, pair.r, base.rows);
            }
            let (group, rows) = base.place(target.module);
            for (held_in, held, deltas) in self.decoder.deltas(target.layer) {
                let shared = rows.start.max(held.start)..rows.end.min(held.end);
                if held_in != group || shared.is_empty() {
                    continue;
                }
                let part = &b[(shared.start - rows.start) * pair.r..(shared.end - rows.start) * pair.r];
                deltas.push(Delta {
                    adapter: lora.name.clone(),
                    first: shared.start - held.start,
                    a: Linear::dense(pair.r, pair.columns(), &pair.a),
                    b: Linear::dense(shared.len(), pair.r, part),
                    scale: lora.scale(pair),
                    strength,
                });
            }
        }
        self.decoder.adapters.push(Attached { name: lora.name.clone(), strength });
        self.forget();
        Ok(())
    }

    /// Stops using an adapter; says whether there was one of that name.
    pub fn detach(&mut self, name: &str) -> bool {
        let before = self.decoder.adapters.len();
        self.decoder.adapters.retain(|adapter| adapter.name != name);
        self.each_projection(|deltas| deltas.retain(|delta| delta.adapter != name));
        self.forget();
        self.decoder.adapters.len() < before
    }

    /// Changes the strength of an adapter that is attached; 0 is as if it were not.
    ///
    /// # Errors
    /// [`EngineError::BadSetting`] for a name that is not attached, or a strength that is no number.
    pub fn set_strength(&mut self, name: &str, strength: f32) -> Result<(), EngineError> {
        let refuse = |what: String| Err(EngineError::BadSetting { what });
        if !strength.is_finite() {
            return refuse(format!("an adapter's strength is a number, not {strength}"));
        }
        let Some(adapter) = self.decoder.adapters.iter_mut().find(|adapter| adapter.name == name) else {
            return refuse(format!("no adapter `{name}` is attached"));
        };
        adapter.strength = strength;
        self.each_projection(|deltas| {
            deltas.iter_mut().filter(|delta| delta.adapter == name).for_each(|delta| delta.strength = strength);
        });
        self.forget();
        Ok(())
    }

    /// The adapters in use, in the order in which they were attached.
    pub fn adapters(&self) -> &[Attached] {
        &self.decoder.adapters
    }

    fn each_projection(&mut self, mut each: impl FnMut(&mut Vec<Delta>)) {
        for layer in 0..self.decoder.config.num_hidden_layers {
            self.decoder.deltas(layer).into_iter().for_each(|(_, _, deltas)| each(deltas));
        }
    }
}
