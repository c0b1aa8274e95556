//! Adapters as PEFT keeps them: a folder with `adapter_config.json` and `adapter_model.safetensors`.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::Path;

use serde::Deserialize;
use serde_json::{Value, json};

use super::super::EngineError;
use super::super::file;
use super::super::quantize::decode;
use super::super::safetensors::{self, Dtype, Safetensors, TensorToWrite};
use super::{Halves, Lora, LoraConfig, Module, RowOrder, Target, unsupported};

const CONFIG: &str = "adapter_config.json";
const WEIGHTS: &str = "adapter_model.safetensors";
/// Bytes of a configuration at most; real ones take one or two thousand.
const MAX_CONFIG_BYTES: usize = 1 << 20;
/// What stands before `layers.` in the names of a causal language model.
const PREFIX: &str = "base_model.model.model.";

/// `adapter_config.json`, as far as it decides what the weights mean. What only matters to training is left alone.
#[derive(Deserialize)]
struct Config {
    peft_type: String,
    r: usize,
    lora_alpha: f32,
    #[serde(default)]
    use_rslora: bool,
    #[serde(default)]
    lora_dropout: f32,
    #[serde(default)]
    base_model_name_or_path: Option<String>,
    #[serde(default)]
    bias: Option<String>,
    #[serde(default)]
    init_lora_weights: Value,
    /// The rest, of which some switch on what we do not have.
    #[serde(flatten)]
    rest: BTreeMap<String, Value>,
}

/// Keys that make the adapter something else than `B A`, with what each means.
const STRANGE: [(&str, &str); 9] = [
    ("use_dora", "DoRA"),
    ("use_qalora", "QALoRA"),
    ("lora_bias", "a bias in B"),
    ("fan_in_fan_out", "weights stored as columns × rows"),
    ("modules_to_save", "modules trained as a whole"),
    ("alpha_pattern", "a strength for each module"),
    ("layer_replication", "layers used twice"),
    ("target_parameters", "adapters of experts"),
    ("trainable_token_indices", "trained tokens"),
];

impl Config {
    fn read(path: &Path) -> Result<Self, EngineError> {
        let bad = |why: String| EngineError::BadFile { path: path.into(), why };
        let map = file::map(path)?;
        if map.len() > MAX_CONFIG_BYTES {
            return Err(bad(format!("it has {} bytes; at most {MAX_CONFIG_BYTES} are accepted", map.len())));
        }
        let config: Self =
            serde_json::from_slice(&map).map_err(|e| bad(format!("it is no configuration of an adapter: {e}")))?;
        config.check(path)?;
        Ok(config)
    }

    fn check(&self, path: &Path) -> Result<(), EngineError> {
        if self.peft_type != "LORA" {
            return Err(unsupported(format!("an adapter of the type {}", self.peft_type)));
        }
        let is_set = |value: &Value| match value {
            Value::Null | Value::Bool(false) => false,
            Value::Array(items) => !items.is_empty(),
            Value::Object(items) => !items.is_empty(),
            _ => true,
        };
        for (key, meaning) in STRANGE {
            if self.rest.get(key).is_some_and(is_set) {
                return Err(unsupported(format!("an adapter with {meaning} (`{key}` in `{CONFIG}`)")));
            }
        }
        if self.bias.as_ref().is_some_and(|bias| bias != "none") {
            return Err(unsupported(format!("an adapter with trained biases (`bias` in `{CONFIG}`)")));
        }
        // These change the base model's own weights before training; on the published ones the adapter is wrong.
        if let Value::String(how) = &self.init_lora_weights
            && ["pissa", "olora", "corda", "loftq"].iter().any(|name| how.to_lowercase().starts_with(name))
        {
            return Err(unsupported(format!("an adapter to a base changed by {how} (`init_lora_weights`)")));
        }
        if !self.lora_alpha.is_finite() {
            return Err(EngineError::BadFile {
                path: path.into(),
                why: format!("`lora_alpha` is {}", self.lora_alpha),
            });
        }
        Ok(())
    }
}

/// Reads PEFT's folder.
pub fn load(folder: &Path) -> Result<Lora, EngineError> {
    let config = Config::read(&folder.join(CONFIG))?;
    let weights = folder.join(WEIGHTS);
    if !weights.is_file() && folder.join("adapter_model.bin").is_file() {
        return Err(EngineError::Unsupported {
            what: "an `adapter_model.bin`, which runs code when it is loaded,".into(),
            supported: format!("`{WEIGHTS}`; PEFT's `save_pretrained` writes it"),
        });
    }
    let file = Safetensors::open(&weights)?;
    if let Some((name, dtype)) = file.others().next() {
        return Err(EngineError::Unsupported {
            what: format!("the tensor `{name}` has weights of type {}, which", dtype.name),
            supported: "F32, F16, BF16".into(),
        });
    }
    let mut halves = Halves::default();
    for tensor in file.tensors() {
        let Some((target, half)) = parse(&tensor.name) else {
            return Err(unsupported(format!("the tensor `{}` in an adapter", tensor.name)));
        };
        let numbers = decode(file.bytes(tensor), tensor.ggml_type)
            .map_err(|why| file.bad(format!("the tensor `{}` cannot be read: {why}", tensor.name)))?;
        halves.put(target, half, tensor.shape.clone(), numbers).map_err(|why| file.bad(why))?;
    }
    let pairs = halves.pairs().map_err(|why| file.bad(why))?;
    let mut target_modules: Vec<String> = pairs.keys().map(|target| target.module.short().to_owned()).collect();
    target_modules.sort();
    target_modules.dedup();
    let name = folder.canonicalize().ok().and_then(|path| Some(path.file_name()?.to_string_lossy().into_owned()));
    Ok(Lora {
        name: name.unwrap_or_else(|| "adapter".into()),
        config: LoraConfig {
            r: config.r,
            lora_alpha: config.lora_alpha,
            target_modules,
            use_rslora: config.use_rslora,
            lora_dropout: config.lora_dropout,
            base_model_name_or_path: config.base_model_name_or_path.filter(|name| !name.is_empty()),
        },
        architecture: None,
        rows: RowOrder::HuggingFace,
        pairs,
    })
}

/// `base_model.model.model.layers.3.self_attn.q_proj.lora_A.weight`: half 0 of `q_proj` in layer 3. Adapters that were
/// not saved by PEFT itself may have its name for the set between (`lora_A.default.weight`).
fn parse(name: &str) -> Option<(Target, usize)> {
    let (_, below) = name.split_once("layers.")?;
    let (layer, below) = below.split_once('.')?;
    let (module, below) = below.split_once(".lora_")?;
    let (half, weight) = below.split_once('.')?;
    let half = match half {
        "A" => 0,
        "B" => 1,
        _ => return None,
    };
    let weight = weight.strip_prefix("default.").unwrap_or(weight);
    let module = Module::TABLE.iter().find(|row| row.1 == module)?.0;
    (weight == "weight").then_some((Target { layer: layer.parse().ok()?, module }, half))
}

/// Writes PEFT's folder; the adapter's rows are in Hugging Face's order already.
pub fn save(lora: &Lora, folder: &Path) -> Result<(), EngineError> {
    let unwritable = |e: std::io::Error| EngineError::Unwritable { path: folder.into(), why: e.to_string() };
    fs::create_dir_all(folder).map_err(unwritable)?;
    let float = Dtype::named("F32").expect("safetensors has F32");
    let mut tensors = Vec::with_capacity(2 * lora.pairs.len());
    for (target, pair) in &lora.pairs {
        for (half, shape, numbers) in
            [("lora_A", [pair.r, pair.columns()], &pair.a), ("lora_B", [pair.rows(), pair.r], &pair.b)]
        {
            tensors.push(TensorToWrite {
                name: format!("{PREFIX}{}.{half}.weight", target.hf()),
                dtype: float,
                shape: shape.into(),
                bytes: Cow::Owned(numbers.iter().flat_map(|x| x.to_le_bytes()).collect()),
            });
        }
    }
    safetensors::write(&folder.join(WEIGHTS), tensors, &BTreeMap::from([("format".into(), "pt".into())]))?;
    let mut text = serde_json::to_vec_pretty(&config(lora)).expect("text keys");
    text.push(b'\n');
    let (path, part) = (folder.join(CONFIG), folder.join(format!(".{CONFIG}.part")));
    let written = (|| {
        let mut out = fs::File::create(&part)?;
        out.write_all(&text)?;
        out.sync_all()?;
        fs::rename(&part, &path)
    })();
    written.map_err(unwritable)
}

/// `adapter_config.json` with the fields that PEFT's loader and llama.cpp's converter look at.
fn config(lora: &Lora) -> Value {
    let LoraConfig { r, lora_alpha, target_modules, use_rslora, lora_dropout, base_model_name_or_path } = &lora.config;
    let odd = lora.pairs.iter().filter(|(_, pair)| pair.r != *r);
    let rank_pattern: BTreeMap<String, usize> = odd.map(|(target, pair)| (target.hf(), pair.r)).collect();
    // Whole numbers stay whole: PEFT's own files have them so. (0.05 goes through text, or it would be 0.0500000007.)
    let alpha =
        if lora_alpha.fract() == 0.0 && lora_alpha.abs() < 1e9 { json!(*lora_alpha as i64) } else { json!(lora_alpha) };
    json!({
        "alpha_pattern": {},
        "base_model_name_or_path": base_model_name_or_path.as_deref().unwrap_or_default(),
        "bias": "none",
        "fan_in_fan_out": false,
        "inference_mode": true,
        "init_lora_weights": true,
        "layers_pattern": null,
        "layers_to_transform": null,
        "lora_alpha": alpha,
        "lora_dropout": lora_dropout.to_string().parse::<f64>().unwrap_or_default(),
        "modules_to_save": null,
        "peft_type": "LORA",
        "r": r,
        "rank_pattern": rank_pattern,
        "revision": null,
        "target_modules": target_modules,
        "task_type": "CAUSAL_LM",
        "use_dora": false,
        "use_rslora": use_rslora,
    })
}
