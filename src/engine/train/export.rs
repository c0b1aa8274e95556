//! A trained model as files: GGUF for the engine and llama.cpp, a Hugging Face folder for everybody else.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::Path;

use serde_json::{Value, json};

use super::super::EngineError;
use super::super::checkpoint::{Part, Slot};
use super::super::gguf::GgmlType;
use super::super::gguf::write::Writer;
use super::super::lora::{Module, RowOrder};
use super::super::quantize::encode;
use super::super::rope::RopeScaling;
use super::super::safetensors::{self, Dtype, TensorToWrite};
use super::network::Network;

impl Network {
    /// Writes a GGUF file of Llama's architecture: the model's keys and tensors after what `writer` holds already (its
    /// name, its tokenizer). Matrices get the type, norms stay F32, as llama.cpp's converter has it.
    ///
    /// # Errors
    /// [`EngineError::Unsupported`] for another architecture; as [`Writer::tensor`] and [`Writer::create`].
    pub fn save_gguf(&self, mut writer: Writer, ggml_type: GgmlType, path: &Path) -> Result<(), EngineError> {
        self.check_export()?;
        let config = &self.config;
        writer.set("general.architecture", "llama");
        writer.set("general.quantization_version", 2_u32);
        for (key, value) in [
            ("context_length", config.max_position_embeddings),
            ("embedding_length", config.hidden_size),
            ("block_count", config.num_hidden_layers),
            ("feed_forward_length", config.intermediate_size),
            ("attention.head_count", config.num_attention_heads),
            ("attention.head_count_kv", config.num_key_value_heads),
            ("rope.dimension_count", config.head_dim),
            ("vocab_size", config.vocab_size),
        ] {
            writer.set(&format!("llama.{key}"), value as u32);
        }
        writer.set("llama.attention.layer_norm_rms_epsilon", config.rms_norm_eps);
        writer.set("llama.rope.freq_base", config.rope.theta as f32);
        let base = self.base();
        let mut tensors = Vec::with_capacity(self.weights.tensors.len());
        for (slot, tensor) in self.layout.slots.iter().zip(&self.weights.tensors) {
            let stored = if tensor.shape.len() == 1 { GgmlType::F32 } else { ggml_type };
            writer.tensor(&slot.gguf(), &tensor.shape, stored)?;
            let mut numbers = Cow::Borrowed(&self.weights.data[tensor.at.clone()]);
            let turning = match slot {
                Slot::Layer(_, Part::Q) => Some(Module::Q),
                Slot::Layer(_, Part::K) => Some(Module::K),
                _ => None,
            };
            if let Some(module) = turning.filter(|_| base.is_reordered_in_gguf) {
                base.reorder(module, numbers.to_mut(), config.hidden_size, RowOrder::Gguf);
            }
            tensors.push((slot.gguf(), stored, numbers));
        }
        let mut output = writer.create(path)?;
        let mut bytes = Vec::new();
        for (name, stored, numbers) in tensors {
            bytes.clear();
            encode(&numbers, stored, &mut bytes).map_err(|what| EngineError::BadSetting { what })?;
            output.put(&name, &bytes)?;
        }
        output.finish()?;
        Ok(())
    }

    /// Writes `config.json` and `model.safetensors` (F32) into a folder, which is made if it is not there; the tokenizer's
    /// files and the card are for others to add.
    ///
    /// # Errors
    /// [`EngineError::Unsupported`] for another architecture, [`EngineError::Unwritable`].
    pub fn save_folder(&self, folder: &Path, bos: u32, eos: u32) -> Result<(), EngineError> {
        self.check_export()?;
        let unwritable = |e: std::io::Error| EngineError::Unwritable { path: folder.into(), why: e.to_string() };
        fs::create_dir_all(folder).map_err(unwritable)?;
        let float = Dtype::named("F32").expect("safetensors has F32");
        let tensors = self.weights.tensors.iter().map(|tensor| TensorToWrite {
            name: tensor.name.clone(),
            dtype: float,
            shape: tensor.shape.clone(),
            bytes: Cow::Owned(self.weights.data[tensor.at.clone()].iter().flat_map(|x| x.to_le_bytes()).collect()),
        });
        let metadata = BTreeMap::from([("format".into(), "pt".into())]);
        safetensors::write(&folder.join("model.safetensors"), tensors.collect(), &metadata)?;
        let mut text = serde_json::to_vec_pretty(&self.config_json(bos, eos)).expect("text keys");
        text.push(b'\n');
        let (path, part) = (folder.join("config.json"), folder.join(".config.json.part"));
        let written = (|| {
            let mut out = fs::File::create(&part)?;
            out.write_all(&text)?;
            out.sync_all()?;
            fs::rename(&part, &path)
        })();
        written.map_err(unwritable)
    }

    fn config_json(&self, bos: u32, eos: u32) -> Value {
        let config = &self.config;
        json!({
            "architectures": ["LlamaForCausalLM"],
            "attention_bias": false,
            "bos_token_id": bos,
            "eos_token_id": eos,
            "head_dim": config.head_dim,
            "hidden_act": "silu",
            "hidden_size": config.hidden_size,
            "intermediate_size": config.intermediate_size,
            "max_position_embeddings": config.max_position_embeddings,
            "mlp_bias": false,
            "model_type": "llama",
            "num_attention_heads": config.num_attention_heads,
            "num_hidden_layers": config.num_hidden_layers,
            "num_key_value_heads": config.num_key_value_heads,
            // As text, so that 1e-5 is not 9.99999974738e-06.
            "rms_norm_eps": config.rms_norm_eps.to_string().parse::<f64>().unwrap_or(1e-5),
            "rope_scaling": null,
            "rope_theta": config.rope.theta,
            "tie_word_embeddings": self.layout.lm_head.is_none(),
            "torch_dtype": "float32",
            "vocab_size": config.vocab_size,
        })
    }

    /// Whether it is a plain Llama, which the files written here describe whole.
    fn check_export(&self) -> Result<(), EngineError> {
        let config = &self.config;
        let plain = config.architecture == "llama"
            && config.rope.scaling == RopeScaling::Default
            && config.rope.dims == config.head_dim
            && config.head_dim * config.num_attention_heads == config.hidden_size
            && self.layout.layers.iter().all(|layer| layer.qkv_bias.is_none() && layer.qk_norm.is_none());
        if plain {
            return Ok(());
        }
        Err(EngineError::Unsupported {
            what: format!("writing all weights of this `{}` model", config.architecture),
            supported: "plain Llama models; for another save the adapter, and merge it with `osai model apply-lora`"
                .into(),
        })
    }
}
