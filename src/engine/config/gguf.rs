//! The shape from a GGUF file's metadata.

use super::super::EngineError;
use super::super::gguf::{Gguf, Value};
use super::super::rope::{Rope, RopeScaling, RopeStyle};
use super::{Config, Experts, Family, SUPPORTED, named};

/// Reads keys of one architecture.
struct Keys<'a> {
    file: &'a Gguf,
    architecture: &'a str,
}

impl Keys<'_> {
    fn key(&self, name: &str) -> String {
        format!("{}.{name}", self.architecture)
    }

    fn size(&self, name: &str) -> Result<usize, EngineError> {
        match self.optional_size(name)? {
            Some(n) => Ok(n),
            None => Err(self.file.bad(format!("the key `{}` is missing", self.key(name)))),
        }
    }

    fn optional_size(&self, name: &str) -> Result<Option<usize>, EngineError> {
        let key = self.key(name);
        match self.file.value(&key) {
            None => Ok(None),
            Some(Value::Int(n)) if (1..=1 << 24).contains(n) => Ok(Some(*n as usize)),
            // Some converters write one number a layer; the same for all is a number.
            Some(Value::Array { .. }) => match self.file.words(&key, u32::from_le_bytes) {
                Some(all) if all.first().is_some_and(|n| (1..=1 << 24).contains(n) && all.iter().all(|m| m == n)) => {
                    Ok(Some(all[0] as usize))
                }
                _ => Err(EngineError::Unsupported {
                    what: format!("`{key}` that differs from layer to layer"),
                    supported: "the same number for all layers".into(),
                }),
            },
            Some(Value::Int(n)) => Err(self.file.bad(format!("`{key}` is {n}"))),
            Some(_) => Err(self.file.bad(format!("`{key}` is no number"))),
        }
    }

    fn float(&self, name: &str) -> Option<f64> {
        self.file.float(&self.key(name))
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.file.text(&self.key(name))
    }
}

impl Config {
    /// Reads the shape from a file's metadata and checks that it is one that can exist.
    ///
    /// # Errors
    /// [`EngineError::Unsupported`] for another architecture or feature, [`EngineError::BadFile`] for missing or
    /// impossible numbers, by key.
    pub fn from_gguf(file: &Gguf) -> Result<Self, EngineError> {
        let architecture = file.text("general.architecture").unwrap_or("(none named)");
        let unsupported = |what: String| EngineError::Unsupported { what, supported: SUPPORTED.into() };
        let family = Family::of(architecture).ok_or_else(|| unsupported(named("architecture", architecture)))?;
        let keys = Keys { file, architecture };
        let hidden_size = keys.size("embedding_length")?;
        let num_hidden_layers = keys.size("block_count")?;
        if num_hidden_layers > 1 << 12 {
            return Err(file.bad(format!("{num_hidden_layers} layers")));
        }
        let num_attention_heads = keys.size("attention.head_count")?;
        let num_key_value_heads = keys.optional_size("attention.head_count_kv")?.unwrap_or(num_attention_heads);
        let head_dim = keys.optional_size("attention.key_length")?.unwrap_or(hidden_size / num_attention_heads);
        if keys.optional_size("attention.value_length")?.is_some_and(|n| n != head_dim) {
            return Err(unsupported("values of another width than keys".into()));
        }
        let vocab_size = match file.tensor("token_embd.weight").map(|t| t.shape.as_slice()) {
            Some([rows, _]) => *rows,
            _ => return Err(file.bad("the tensor `token_embd.weight` is missing or no matrix")),
        };
        let max_position_embeddings = keys.size("context_length")?;
        let window = keys.optional_size("attention.sliding_window").unwrap_or(None);
        // llama.cpp reads no window for Phi 3 (its converters wrote wrong ones), and Gemma 2's is 4,096 where unsaid.
        let window = match architecture {
            "phi3" => None,
            "gemma2" => window.or(Some(4096)),
            _ => window,
        };
        let style = if family.interleaved_in_gguf { RopeStyle::Interleaved } else { RopeStyle::Halves };
        let dims = keys.optional_size("rope.dimension_count")?.unwrap_or(head_dim);
        let theta = keys.float("rope.freq_base").unwrap_or(10_000.0);
        let scaling = scaling(&keys, dims, max_position_embeddings)?;
        let rope = Rope { style, theta, dims, scaling };
        let local_theta = keys.float("rope.freq_base_swa").unwrap_or(match architecture {
            "gemma3" => 10_000.0,
            _ => theta,
        });
        let local_scaling = if architecture == "gemma2" { rope.scaling.clone() } else { RopeScaling::Default };
        let local_rope = if window.is_some() && family.window_pattern > 0 {
            Rope { theta: local_theta, scaling: local_scaling, ..rope.clone() }
        } else {
            rope.clone()
        };
        let windows = match file.bools(&keys.key("attention.sliding_window_pattern")) {
            Some(local) if local.len() >= num_hidden_layers => {
                local[..num_hidden_layers].iter().map(|local| window.filter(|_| *local)).collect()
            }
            _ => {
                let pattern = keys.optional_size("attention.sliding_window_pattern").unwrap_or(None);
                Family::windows(window, pattern.unwrap_or(family.window_pattern), num_hidden_layers)
            }
        };
        let experts = experts(&keys, &family)?;
        let intermediate_size = match (keys.optional_size("feed_forward_length")?, &experts) {
            (Some(n), _) => n,
            (None, Some(experts)) => experts.moe_intermediate_size,
            (None, None) => keys.size("feed_forward_length")?,
        };
        // Gemma 2 and 3 of 27 B divide by the width of hidden_size / heads instead of the head's.
        let wide_scale = matches!((architecture, num_hidden_layers), ("gemma2", 46) | ("gemma3", 62));
        let scale_dim = if wide_scale { hidden_size / num_attention_heads } else { head_dim };
        let attention_scale = match keys.float("attention.scale").filter(|s| *s != 0.0) {
            Some(scale) => scale as f32,
            None => 1.0 / (scale_dim as f32).sqrt(),
        };
        let some = |name: &str| keys.float(name).map(|x| x as f32).filter(|x| *x != 0.0);
        let gemma2 = architecture == "gemma2";
        let config = Self {
            architecture: architecture.to_owned(),
            hidden_size,
            num_hidden_layers,
            num_attention_heads,
            num_key_value_heads,
            head_dim,
            intermediate_size,
            vocab_size,
            max_position_embeddings,
            rms_norm_eps: keys.float("attention.layer_norm_rms_epsilon").unwrap_or(1e-5) as f32,
            hidden_act: family.hidden_act,
            rope,
            local_rope,
            uses_rope: (1..=num_hidden_layers).map(|layer| architecture != "smollm3" || layer % 4 != 0).collect(),
            windows,
            attention_scale,
            attn_logit_softcapping: some("attn_logit_softcapping").or(gemma2.then_some(50.0)),
            final_logit_softcapping: some("final_logit_softcapping").or(gemma2.then_some(30.0)),
            embedding_multiplier: match some("embedding_scale") {
                Some(scale) => scale,
                None if family.gemma => (hidden_size as f32).sqrt(),
                None => 1.0,
            },
            residual_multiplier: some("residual_scale").unwrap_or(1.0),
            logits_scaling: some("logit_scale").unwrap_or(1.0),
            qk_norm: family.qk_norm,
            pre_norm: family.pre_norm,
            post_norm: family.post_norm,
            norm_plus_one: false,
            fused_projections: family.fused_projections,
            experts,
        };
        config.check().map_err(|why| file.bad(why))?;
        Ok(config)
    }
}

fn experts(keys: &Keys, family: &Family) -> Result<Option<Experts>, EngineError> {
    let count = keys.file.uint(&keys.key("expert_count")).filter(|n| *n > 0);
    if count.is_none() {
        return Ok(None);
    }
    if keys.file.uint(&keys.key("expert_gating_func")).is_some_and(|f| f > 1) {
        return Err(EngineError::Unsupported {
            what: "a router that does not use softmax".into(),
            supported: "softmax over the experts".into(),
        });
    }
    let num_experts_per_tok = keys.size("expert_used_count")?;
    let moe_intermediate_size = match keys.optional_size("expert_feed_forward_length")? {
        Some(n) => n,
        None if keys.architecture.starts_with("qwen") => keys.size("feed_forward_length")? / num_experts_per_tok,
        None => keys.size("feed_forward_length")?,
    };
    let shared = match keys.optional_size("expert_shared_feed_forward_length")? {
        Some(n) => n,
        None if keys.architecture == "qwen2moe" => keys.size("feed_forward_length")?,
        None => 0,
    };
    Ok(Some(Experts {
        num_experts: keys.size("expert_count")?,
        num_experts_per_tok,
        moe_intermediate_size,
        norm_topk_prob: family.norm_topk_prob,
        shared_expert_intermediate_size: shared,
    }))
}

/// Keys and tensors that bend the frequencies.
fn scaling(keys: &Keys, dims: usize, context: usize) -> Result<RopeScaling, EngineError> {
    let file = keys.file;
    let original = keys.float("rope.scaling.original_context_length").unwrap_or(context as f64);
    let factors = |name: &str, attention_factor: f64| {
        let info = file.tensor(name)?;
        let floats = file.bytes(info).as_chunks::<4>().0;
        let of_f32 = info.ggml_type == super::super::gguf::GgmlType::F32 && floats.len() == dims / 2;
        let factors = floats.iter().map(|b| f32::from_le_bytes(*b)).collect();
        Some(if of_f32 {
            Ok(RopeScaling::Factors { factors, attention_factor })
        } else {
            Err(file.bad(format!("the tensor `{name}` is no list of {} F32 numbers", dims / 2)))
        })
    };
    if let Some(found) = factors("rope_freqs.weight", 1.0) {
        return found;
    }
    // LongRoPE has two lists; the context that the file promises decides, as in vLLM, so that it never changes midway.
    let longrope = if context as f64 > original { "rope_factors_long.weight" } else { "rope_factors_short.weight" };
    let attention_factor = keys.float("rope.scaling.attn_factor").unwrap_or(1.0);
    if let Some(found) = factors(longrope, attention_factor) {
        return found;
    }
    let factor = keys.float("rope.scaling.factor").or(keys.float("rope.scale_linear")).filter(|f| *f != 0.0);
    // llama.cpp takes a factor without a type as linear.
    let kind = keys.text("rope.scaling.type").unwrap_or("linear");
    Ok(match (kind, factor) {
        ("none", _) | ("linear" | "longrope", None) => RopeScaling::Default,
        ("linear" | "longrope", Some(factor)) => RopeScaling::Linear { factor },
        ("yarn", factor) => RopeScaling::Yarn {
            factor: factor.unwrap_or(1.0),
            original,
            beta_fast: keys.float("rope.scaling.yarn_beta_fast").unwrap_or(32.0),
            beta_slow: keys.float("rope.scaling.yarn_beta_slow").unwrap_or(1.0),
            attention_factor: keys
                .float("rope.scaling.attn_factor")
                .map(|by| by * (0.1 * libm::log(factor.unwrap_or(1.0)) + 1.0)),
        },
        (other, _) => {
            return Err(EngineError::Unsupported {
                what: format!("RoPE scaling `{other}`"),
                supported: "none, linear, yarn, longrope and Llama 3's factors".into(),
            });
        }
    })
}
