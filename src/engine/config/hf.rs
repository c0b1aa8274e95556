//! The shape from a Hugging Face `config.json`.

use std::path::Path;

use serde_json::Value;

use super::super::EngineError;
use super::super::rope::{Rope, RopeScaling, RopeStyle};
use super::{Activation, Config, Experts, Family, SUPPORTED, named};

/// A `config.json`, or the part of it that describes the language model.
struct Json<'a> {
    path: &'a Path,
    value: &'a Value,
}

impl Json<'_> {
    fn bad(&self, why: String) -> EngineError {
        EngineError::BadFile { path: self.path.into(), why }
    }

    /// A value that is there and not null.
    fn get(&self, name: &str) -> Option<&Value> {
        self.value.get(name).filter(|v| !v.is_null())
    }

    fn optional_size(&self, name: &str) -> Result<Option<usize>, EngineError> {
        match self.get(name) {
            None => Ok(None),
            Some(value) => match value.as_u64() {
                Some(n) if (1..=1 << 24).contains(&n) => Ok(Some(n as usize)),
                _ => Err(self.bad(format!("`{name}` is {value}, no number from 1"))),
            },
        }
    }

    fn size(&self, name: &str) -> Result<usize, EngineError> {
        self.optional_size(name)?.ok_or_else(|| self.bad(format!("the key `{name}` is missing")))
    }

    fn float(&self, name: &str) -> Option<f64> {
        self.get(name)?.as_f64()
    }

    fn flag(&self, name: &str) -> Option<bool> {
        self.get(name)?.as_bool()
    }
}

impl Config {
    /// Reads the shape from the text of a `config.json` at `path` (for messages).
    ///
    /// # Errors
    /// As [`Config::from_gguf`].
    pub fn from_json(path: &Path, value: &Value) -> Result<Self, EngineError> {
        // Gemma 3 with eyes keeps its language model's shape one level down.
        let text = value.get("text_config").filter(|v| v.is_object()).unwrap_or(value);
        let json = Json { path, value: text };
        let architecture = text.get("model_type").or(value.get("model_type")).and_then(Value::as_str);
        let architecture = architecture.unwrap_or("(no model_type)");
        let unsupported = |what: String| EngineError::Unsupported { what, supported: SUPPORTED.into() };
        let family = Family::of(architecture).ok_or_else(|| unsupported(named("model type", architecture)))?;
        let hidden_size = json.size("hidden_size")?;
        let num_hidden_layers = json.size("num_hidden_layers")?;
        if num_hidden_layers > 1 << 12 {
            return Err(json.bad(format!("{num_hidden_layers} layers")));
        }
        let num_attention_heads = json.size("num_attention_heads")?;
        let num_key_value_heads = json.optional_size("num_key_value_heads")?.unwrap_or(num_attention_heads);
        let head_dim = json.optional_size("head_dim")?.unwrap_or(hidden_size / num_attention_heads);
        let max_position_embeddings = json.size("max_position_embeddings")?;
        let hidden_act = match json.get("hidden_activation").or(json.get("hidden_act")).and_then(Value::as_str) {
            // Gemma 1 was published with `gelu` in its file, and is run with the tanh form everywhere.
            None | Some("gelu") if family.gemma => Activation::GeluTanh,
            None | Some("silu" | "swish") => Activation::Silu,
            Some("gelu_pytorch_tanh" | "gelu_new") => Activation::GeluTanh,
            Some(other) => return Err(unsupported(format!("the activation `{other}`"))),
        };
        let (rope, local_rope) = ropes(&json, &family, head_dim, max_position_embeddings)?;
        let off = json.flag("use_sliding_window") == Some(false);
        let window = json.optional_size("sliding_window").unwrap_or(None).filter(|_| !off && architecture != "phi3");
        let windows = match json.get("layer_types").and_then(Value::as_array) {
            Some(types) if types.len() == num_hidden_layers => {
                types.iter().map(|t| window.filter(|_| t.as_str() == Some("sliding_attention"))).collect()
            }
            _ => {
                let pattern = json.optional_size("sliding_window_pattern")?.unwrap_or(family.window_pattern);
                Family::windows(window, pattern, num_hidden_layers)
            }
        };
        // 1 where a layer turns, as SmolLM 3 writes it.
        let turns = |layer: usize| {
            let listed = json.get("no_rope_layers").and_then(|l| l.get(layer)).and_then(Value::as_u64);
            listed.map_or(architecture != "smollm3" || !(layer + 1).is_multiple_of(4), |n| n != 0)
        };
        let experts = experts(&json, &family)?;
        let scale_dim = json.float("query_pre_attn_scalar").unwrap_or(head_dim as f64);
        let attention_scale = json.float("attention_multiplier").unwrap_or(1.0 / scale_dim.sqrt());
        let some = |name: &str| json.float(name).map(|x| x as f32);
        let config = Self {
            architecture: architecture.to_owned(),
            hidden_size,
            num_hidden_layers,
            num_attention_heads,
            num_key_value_heads,
            head_dim,
            intermediate_size: json.size("intermediate_size")?,
            vocab_size: json.size("vocab_size")?,
            max_position_embeddings,
            rms_norm_eps: json.float("rms_norm_eps").unwrap_or(1e-6) as f32,
            hidden_act,
            rope,
            local_rope,
            uses_rope: (0..num_hidden_layers).map(turns).collect(),
            windows,
            attention_scale: attention_scale as f32,
            attn_logit_softcapping: some("attn_logit_softcapping"),
            final_logit_softcapping: some("final_logit_softcapping"),
            embedding_multiplier: match some("embedding_multiplier") {
                Some(scale) => scale,
                None if family.gemma => (hidden_size as f32).sqrt(),
                None => 1.0,
            },
            residual_multiplier: some("residual_multiplier").unwrap_or(1.0),
            logits_scaling: some("logits_scaling").unwrap_or(1.0),
            qk_norm: family.qk_norm,
            pre_norm: family.pre_norm,
            post_norm: family.post_norm,
            norm_plus_one: family.gemma,
            fused_projections: family.fused_projections,
            experts,
        };
        config.check().map_err(|why| json.bad(why))?;
        Ok(config)
    }
}

fn experts(json: &Json, family: &Family) -> Result<Option<Experts>, EngineError> {
    let count = match json.optional_size("num_local_experts")? {
        Some(n) => Some(n),
        None => json.optional_size("num_experts").unwrap_or(None),
    };
    let Some(num_experts) = count else { return Ok(None) };
    let every = json.optional_size("decoder_sparse_step")?.unwrap_or(1);
    if every != 1 || json.get("mlp_only_layers").and_then(Value::as_array).is_some_and(|l| !l.is_empty()) {
        return Err(EngineError::Unsupported {
            what: "experts in some layers only".into(),
            supported: "experts in every layer".into(),
        });
    }
    let moe_intermediate_size = match json.optional_size("moe_intermediate_size")? {
        Some(n) => n,
        None => json.size("intermediate_size")?,
    };
    Ok(Some(Experts {
        num_experts,
        num_experts_per_tok: json.size("num_experts_per_tok")?,
        moe_intermediate_size,
        norm_topk_prob: json.flag("norm_topk_prob").unwrap_or(family.norm_topk_prob),
        shared_expert_intermediate_size: json
            .optional_size("shared_expert_intermediate_size")
            .unwrap_or(None)
            .unwrap_or(0),
    }))
}

/// Rotary embeddings of the layers that see everything and of those with a window.
///
/// Up to transformers 4 the keys are `rope_theta`, `rope_scaling` and `rope_local_base_freq`; from 5 on
/// `rope_parameters` holds all, one level deeper for each layer type.
fn ropes(json: &Json, family: &Family, head_dim: usize, context: usize) -> Result<(Rope, Rope), EngineError> {
    let parameters = json.get("rope_parameters");
    let of_type = |layer_type: &str| parameters.and_then(|p| p.get(layer_type)).filter(|v| v.is_object());
    let global = of_type("full_attention").or(parameters).or(json.get("rope_scaling"));
    let empty = Value::Null;
    let rope = |part: Option<&Value>, theta: Option<f64>| -> Result<Rope, EngineError> {
        let part = Json { path: json.path, value: part.unwrap_or(&empty) };
        let share = part.float("partial_rotary_factor").or(json.float("partial_rotary_factor")).unwrap_or(1.0);
        let dims = (head_dim as f64 * share.clamp(0.0, 1.0)) as usize;
        Ok(Rope {
            style: RopeStyle::Halves,
            theta: part.float("rope_theta").or(theta).unwrap_or(10_000.0),
            dims,
            scaling: scaling(json, &part, context)?,
        })
    };
    let theta = json.float("rope_theta");
    let full = rope(global, theta)?;
    let local_theta = json.float("rope_local_base_freq");
    let local = match (of_type("sliding_attention"), local_theta) {
        (Some(part), _) => rope(Some(part), theta)?,
        (None, Some(theta)) => rope(None, Some(theta))?,
        // OLMo 3 bends only the layers that see everything; Gemma 2 bends none.
        (None, None) if family.window_pattern > 0 => rope(None, Some(full.theta))?,
        (None, None) => full.clone(),
    };
    Ok((full, local))
}

fn scaling(json: &Json, part: &Json, context: usize) -> Result<RopeScaling, EngineError> {
    let kind = part.get("rope_type").or(part.get("type")).and_then(Value::as_str).unwrap_or("default");
    let need = |name: &str| {
        part.float(name).ok_or_else(|| json.bad(format!("`rope_scaling` of type `{kind}` has no number `{name}`")))
    };
    let original = || {
        let stated = part.float("original_max_position_embeddings");
        stated.or(json.float("original_max_position_embeddings")).unwrap_or(context as f64)
    };
    Ok(match kind {
        "default" => RopeScaling::Default,
        "linear" => RopeScaling::Linear { factor: need("factor")? },
        "llama3" => RopeScaling::Llama3 {
            factor: need("factor")?,
            low_freq_factor: need("low_freq_factor")?,
            high_freq_factor: need("high_freq_factor")?,
            original: need("original_max_position_embeddings")?,
        },
        "yarn" => RopeScaling::Yarn {
            factor: need("factor")?,
            original: original(),
            beta_fast: part.float("beta_fast").unwrap_or(32.0),
            beta_slow: part.float("beta_slow").unwrap_or(1.0),
            attention_factor: part.float("attention_factor"),
        },
        // Phi 3 wrote `su` at first.
        "longrope" | "su" => {
            let (context, original) = (context as f64, original());
            let name = if context > original { "long_factor" } else { "short_factor" };
            let list = part.get(name).and_then(Value::as_array);
            let factors: Option<Vec<f32>> = list.and_then(|l| l.iter().map(|v| v.as_f64().map(|x| x as f32)).collect());
            let factors = factors.ok_or_else(|| json.bad(format!("`rope_scaling` has no list `{name}`")))?;
            let stretch = part.float("factor").unwrap_or(context / original);
            let computed = if stretch <= 1.0 { 1.0 } else { (1.0 + libm::log(stretch) / libm::log(original)).sqrt() };
            RopeScaling::Factors { factors, attention_factor: part.float("attention_factor").unwrap_or(computed) }
        }
        other => {
            return Err(EngineError::Unsupported {
                what: format!("RoPE scaling `{other}`"),
                supported: "default, linear, llama3, yarn and longrope".into(),
            });
        }
    })
}
