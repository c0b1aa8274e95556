//! A run's state in one file: what is trained, what the optimiser remembers, how far it is. A run that goes on from it
//! ends with the same bits as one that was never broken.
//!
//! The file is safetensors: tensors under their own names, the optimiser's as `optimizer.m.NAME` and `optimizer.v.NAME`,
//! the rest in its metadata. Of an adapter's run it holds the adapter and the hash of the weights that it is for.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;

use super::super::EngineError;
use super::super::safetensors::{self, Dtype, Safetensors, TensorToWrite};
use super::trainer::Trainer;

/// The version of the layout.
const VERSION: &str = "1";

impl Trainer {
    /// Writes a checkpoint: whole under its name, or not at all. `extra` is kept beside it for whoever makes the
    /// documents (a generator's random state, a recipe's hash).
    ///
    /// # Errors
    /// [`EngineError::Unwritable`].
    pub fn save(&self, path: &Path, extra: &BTreeMap<String, String>) -> Result<(), EngineError> {
        let float = Dtype::named("F32").expect("safetensors has F32");
        let trained = self.network.trained();
        let mut tensors = Vec::new();
        let mut put = |name: String, shape: &[usize], numbers: &[f32]| {
            let bytes = Cow::Owned(numbers.iter().flat_map(|x| x.to_le_bytes()).collect());
            tensors.push(TensorToWrite { name, dtype: float, shape: shape.into(), bytes });
        };
        for (tensor, [m, v]) in trained.tensors.iter().zip(&self.optimizer.moments) {
            put(tensor.name.clone(), &tensor.shape, &trained.data[tensor.at.clone()]);
            put(format!("optimizer.m.{}", tensor.name), &tensor.shape, m);
            if !v.is_empty() {
                put(format!("optimizer.v.{}", tensor.name), &tensor.shape, v);
            }
        }
        let mut texts: BTreeMap<String, String> =
            extra.iter().map(|(key, value)| (format!("extra.{key}"), value.clone())).collect();
        let base = self.network.adapters.as_ref().map_or(String::new(), |_| self.network.weights.sha256());
        for (key, value) in [
            ("osai.checkpoint", VERSION.to_owned()),
            ("osai.config", serde_json::to_string(&self.config).expect("numbers under text keys")),
            ("osai.step", self.steps().to_string()),
            ("osai.documents", self.documents.to_string()),
            ("osai.tokens", self.tokens.to_string()),
            ("osai.base", base),
        ] {
            texts.insert(key.into(), value);
        }
        safetensors::write(path, tensors, &texts)
    }

    /// Goes back to a checkpoint of this run: the trainer must have been made with the same network shape (or the same
    /// base and adapter) and the same settings. Gives back `extra`.
    ///
    /// # Errors
    /// [`EngineError::Unreadable`], [`EngineError::BadFile`] for another run's checkpoint, with what differs; the trainer is
    /// then as it was.
    pub fn load(&mut self, path: &Path) -> Result<BTreeMap<String, String>, EngineError> {
        let file = Safetensors::open(path)?;
        let text = |key: &str| {
            let value = file.metadata().get(&format!("osai.{key}")).map(String::as_str);
            value.ok_or_else(|| file.bad(format!("it is no checkpoint of osai: `osai.{key}` is not in its metadata")))
        };
        let number = |key: &str| {
            text(key)?.parse::<u64>().map_err(|_| file.bad(format!("`osai.{key}` in its metadata is no number")))
        };
        if text("checkpoint")? != VERSION {
            return Err(file.bad("it is a checkpoint of another version of osai; start the run anew"));
        }
        let config = serde_json::from_str(text("config")?);
        if config.ok().as_ref() != Some(&self.config) {
            return Err(file.bad("it was made with other settings; use the recipe of that run, or start anew"));
        }
        if self.network.adapters.is_some() && text("base")? != self.network.weights.sha256() {
            return Err(file.bad("its adapter is for other weights; open the model that it was trained on"));
        }
        let read = |name: &str, shape: &[usize]| {
            let info = file.require(name)?;
            if info.shape != shape {
                return Err(file.bad(format!("`{name}` has the shape {:?}, the model's is {shape:?}", info.shape)));
            }
            Ok(file.bytes(info).as_chunks::<4>().0.iter().map(|x| f32::from_le_bytes(*x)).collect::<Vec<f32>>())
        };
        let trained = self.network.trained();
        let mut data = Vec::with_capacity(trained.data.len());
        let mut moments = Vec::with_capacity(trained.tensors.len());
        for (tensor, [_, v]) in trained.tensors.iter().zip(&self.optimizer.moments) {
            data.extend(read(&tensor.name, &tensor.shape)?);
            let m = read(&format!("optimizer.m.{}", tensor.name), &tensor.shape)?;
            let v = if v.is_empty() { vec![] } else { read(&format!("optimizer.v.{}", tensor.name), &tensor.shape)? };
            moments.push([m, v]);
        }
        let (step, documents, tokens) = (number("step")?, number("documents")?, number("tokens")?);
        self.network.trained_mut().data = data;
        self.optimizer.moments = moments;
        self.optimizer.resume(step as usize);
        (self.documents, self.tokens) = (documents, tokens);
        let extra = file.metadata().iter();
        Ok(extra.filter_map(|(key, value)| Some((key.strip_prefix("extra.")?.to_owned(), value.clone()))).collect())
    }
}
