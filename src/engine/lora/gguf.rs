//! Adapters as GGUF files, as llama.cpp's `convert_lora_to_gguf.py` writes and `llama_adapter_lora_init` reads them.

use std::path::Path;

use super::super::EngineError;
use super::super::checkpoint::view;
use super::super::gguf::write::Writer;
use super::super::gguf::{GgmlType, Gguf};
use super::{Base, Halves, Lora, LoraConfig, Module, RowOrder, Target, unsupported};

/// Reads a GGUF adapter.
pub fn load(path: &Path) -> Result<Lora, EngineError> {
    let file = Gguf::open(path)?;
    let text = |key: &str| file.text(key).unwrap_or("(nothing)");
    if text("general.type") != "adapter" {
        return Err(file.bad(format!(
            "it is no adapter (`general.type` is {}, not adapter); give a LoRA's file or folder",
            text("general.type")
        )));
    }
    if text("adapter.type") != "lora" {
        return Err(unsupported(format!("an adapter of the type {}", text("adapter.type"))));
    }
    if file.value("adapter.alora.invocation_tokens").is_some() {
        return Err(unsupported("an adapter that only works after certain tokens (aLoRA)".into()));
    }
    let Some(architecture) = file.text("general.architecture") else {
        return Err(file.bad("the key `general.architecture` is missing"));
    };
    let mut halves = Halves::default();
    for tensor in file.tensors() {
        let Some((name, half)) = half_of(&tensor.name) else {
            return Err(unsupported(format!("the tensor `{}` in an adapter", tensor.name)));
        };
        let Some(target) = target(name, architecture) else {
            return Err(unsupported(format!("an adapter of the tensor `{name}`")));
        };
        let numbers = view(&file, tensor).to_f32()?;
        halves.put(target, half, tensor.shape.clone(), numbers).map_err(|why| file.bad(why))?;
    }
    let pairs = halves.pairs().map_err(|why| file.bad(why))?;
    // llama.cpp takes a missing alpha, or 0, as "as strong as B A is", whatever the rank; so there is one to write.
    let r = pairs.values().map(|pair| pair.r).max().expect("pairs are not empty");
    let lora_alpha = match file.float("adapter.lora.alpha") {
        Some(alpha) if alpha != 0.0 => alpha as f32,
        _ if pairs.values().all(|pair| pair.r == r) => r as f32,
        _ => return Err(file.bad("its ranks differ and `adapter.lora.alpha` is missing")),
    };
    if !lora_alpha.is_finite() {
        return Err(file.bad(format!("`adapter.lora.alpha` is {lora_alpha}")));
    }
    let mut target_modules: Vec<String> = pairs.keys().map(|target| target.module.short().to_owned()).collect();
    target_modules.sort();
    target_modules.dedup();
    let stem = path.file_stem().map_or(String::new(), |s| s.to_string_lossy().into_owned());
    Ok(Lora {
        name: file.text("general.name").map_or(stem, str::to_owned),
        config: LoraConfig {
            r,
            lora_alpha,
            target_modules,
            use_rslora: false,
            lora_dropout: 0.0,
            base_model_name_or_path: file.text("general.base_model.0.name").map(str::to_owned),
        },
        architecture: Some(architecture.to_owned()),
        rows: RowOrder::Gguf,
        pairs,
    })
}

/// `blk.0.attn_q.weight.lora_a` is half 0 of `blk.0.attn_q.weight`.
fn half_of(name: &str) -> Option<(&str, usize)> {
    let a = name.strip_suffix(".lora_a").map(|name| (name, 0));
    a.or_else(|| name.strip_suffix(".lora_b").map(|name| (name, 1)))
}

/// `blk.3.attn_q.weight`: queries of layer 3.
pub fn target(name: &str, architecture: &str) -> Option<Target> {
    let (layer, part) = name.strip_prefix("blk.")?.strip_suffix(".weight")?.split_once('.')?;
    let is_fused = architecture == "phi3";
    let rows = Module::TABLE.iter().filter(|row| if is_fused { row.0 != Module::Up } else { row.0 != Module::GateUp });
    let module = rows.into_iter().find(|row| row.2 == part)?.0;
    Some(Target { layer: layer.parse().ok()?, module })
}

/// Writes a GGUF adapter whose rows are in GGUF's order already.
pub fn save(lora: &Lora, path: &Path, base: &Base) -> Result<(), EngineError> {
    let alpha = alpha(lora)?;
    let mut writer = Writer::new();
    writer.set("general.architecture", base.architecture.as_str());
    writer.set("general.type", "adapter");
    writer.set("general.name", lora.name.as_str());
    if let Some(name) = &lora.config.base_model_name_or_path {
        writer.set("general.base_model.count", 1_u32);
        writer.set("general.base_model.0.name", name.as_str());
    }
    writer.set("adapter.type", "lora");
    writer.set("adapter.lora.alpha", alpha);
    let mut parts = Vec::with_capacity(2 * lora.pairs.len());
    for (target, pair) in &lora.pairs {
        let name = target.gguf();
        if !has_name(target.module, base) {
            return Err(EngineError::BadSetting {
                what: format!("GGUF has no name for `{}` of a {} model", target.hf(), base.architecture),
            });
        }
        for (half, shape, numbers) in
            [("lora_a", [pair.r, pair.columns()], &pair.a), ("lora_b", [pair.rows(), pair.r], &pair.b)]
        {
            let name = format!("{name}.{half}");
            writer.tensor(&name, &shape, GgmlType::F32)?;
            parts.push((name, numbers));
        }
    }
    let mut output = writer.create(path)?;
    for (name, numbers) in parts {
        let bytes: Vec<u8> = numbers.iter().flat_map(|x| x.to_le_bytes()).collect();
        output.put(&name, &bytes)?;
    }
    output.finish().map(drop)
}

/// Whether a GGUF file of the architecture has such a tensor: Phi 3's are fused, the others' gate and up never.
fn has_name(module: Module, base: &Base) -> bool {
    let is_part = matches!(module, Module::Q | Module::K | Module::V | Module::Gate | Module::Up);
    if base.architecture == "phi3" { !is_part } else { module != Module::GateUp }
}

/// The alpha that gives the adapter's scale when it is divided by the rank, which is all that GGUF knows.
fn alpha(lora: &Lora) -> Result<f32, EngineError> {
    if !lora.config.use_rslora {
        return Ok(lora.config.lora_alpha);
    }
    let mut ranks = lora.pairs.values().map(|pair| pair.r);
    let r = ranks.next().unwrap_or(lora.config.r);
    if ranks.any(|other| other != r) {
        return Err(EngineError::BadSetting {
            what: format!("the adapter `{}` has rsLoRA's scale and several ranks, which GGUF cannot say", lora.name),
        });
    }
    Ok(lora.config.lora_alpha * (r as f32).sqrt())
}
