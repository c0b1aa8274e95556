//! The shape of a model, in the words of a Hugging Face `config.json`.
//!
//! One decoder runs every family; what differs between them is written here as data. GGUF's keys appear in `gguf`,
//! `config.json`'s in `hf`.

mod gguf;
mod hf;
#[cfg(test)]
mod tests;

use super::rope::Rope;

/// Architectures that run, for messages.
pub const SUPPORTED: &str = "llama (Llama 2 to 3.3, Mistral, Mixtral, SmolLM), qwen2, qwen2moe, qwen3, qwen3moe, \
                             gemma, gemma2, gemma3, olmo2 (and OLMo 3), phi3, smollm3, granite";

/// What cannot run, for messages: the kind by name, and what an encoder is for.
fn named(kind: &str, name: &str) -> String {
    match name {
        "bert" => "writing text with the encoder `bert` (`osai embed` uses it)".into(),
        name => format!("the {kind} `{name}`"),
    }
}

/// How the feed-forward part bends its numbers (`hidden_act`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// `x · sigmoid(x)`.
    Silu,
    /// The tanh form of GELU (`gelu_pytorch_tanh`).
    GeluTanh,
}

/// Which norm queries and keys get before they turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QkNorm {
    /// None.
    None,
    /// One weight for each number of a head (Qwen 3, Gemma 3).
    PerHead,
    /// One over all heads together (OLMo 2).
    Whole,
}

/// A mixture of experts in place of the feed-forward part.
#[derive(Clone, Debug, PartialEq)]
pub struct Experts {
    /// How many there are (`num_local_experts`).
    pub num_experts: usize,
    /// How many a token uses.
    pub num_experts_per_tok: usize,
    /// Width of one.
    pub moe_intermediate_size: usize,
    /// Whether the weights of those used are made to sum to 1.
    pub norm_topk_prob: bool,
    /// Width of the expert that every token uses besides; 0 for none.
    pub shared_expert_intermediate_size: usize,
}

/// What a decoder is made from.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// `general.architecture`, or `model_type`.
    pub architecture: String,
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// Number of blocks.
    pub num_hidden_layers: usize,
    /// Query heads.
    pub num_attention_heads: usize,
    /// Key and value heads; query heads share them in groups.
    pub num_key_value_heads: usize,
    /// Width of a head.
    pub head_dim: usize,
    /// Width of the feed-forward part.
    pub intermediate_size: usize,
    /// Number of tokens, rows of the embedding.
    pub vocab_size: usize,
    /// Tokens read at most, prompt and answer together.
    pub max_position_embeddings: usize,
    /// Added under the root in RMSNorm.
    pub rms_norm_eps: f32,
    /// Feed-forward's bend.
    pub hidden_act: Activation,
    /// Rotary embedding of the layers that see everything.
    pub rope: Rope,
    /// Rotary embedding of the layers with a window.
    pub local_rope: Rope,
    /// For each layer, whether it turns queries and keys at all (SmolLM 3 leaves every fourth alone).
    pub uses_rope: Vec<bool>,
    /// For each layer, how far back it sees; `None`: everything (`sliding_window` and `layer_types`).
    pub windows: Vec<Option<usize>>,
    /// Attention scores are multiplied with this.
    pub attention_scale: f32,
    /// Attention scores are bent to `cap · tanh(score / cap)`.
    pub attn_logit_softcapping: Option<f32>,
    /// Logits are bent likewise.
    pub final_logit_softcapping: Option<f32>,
    /// The embedding is multiplied with this.
    pub embedding_multiplier: f32,
    /// What a block adds is multiplied with this.
    pub residual_multiplier: f32,
    /// Logits are divided by this.
    pub logits_scaling: f32,
    /// Norm of queries and keys.
    pub qk_norm: QkNorm,
    /// Whether a block norms what goes into attention and feed-forward.
    pub pre_norm: bool,
    /// Whether it norms what comes out of them.
    pub post_norm: bool,
    /// Whether norm weights are stored less 1 (Gemma in Hugging Face's files; GGUF has it added).
    pub norm_plus_one: bool,
    /// Whether one tensor holds queries, keys and values, and one gate and up (Phi 3).
    pub fused_projections: bool,
    /// A mixture of experts.
    pub experts: Option<Experts>,
}

impl Config {
    /// Floats of keys and of values that one position takes in one layer.
    pub fn kv_width(&self) -> usize {
        self.num_key_value_heads * self.head_dim
    }

    /// Floats of a position's queries.
    pub fn q_width(&self) -> usize {
        self.num_attention_heads * self.head_dim
    }

    /// Whether GGUF files of this architecture have the rows of queries and keys in another order than Hugging Face's.
    pub fn is_reordered_in_gguf(&self) -> bool {
        Family::of(&self.architecture).is_some_and(|family| family.interleaved_in_gguf)
    }

    /// Bytes that the keys and values of `positions` positions take.
    pub fn kv_bytes(&self, positions: usize) -> u64 {
        (self.num_hidden_layers * 2 * 4) as u64 * self.kv_width() as u64 * positions as u64
    }

    /// Whether the numbers can belong together.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub fn check(&self) -> Result<(), String> {
        let Self { num_attention_heads: heads, num_key_value_heads: kv, head_dim, .. } = *self;
        if kv == 0 || heads % kv != 0 {
            return Err(format!("{heads} query heads cannot share {kv} key heads"));
        }
        if head_dim == 0 || head_dim % 2 != 0 || head_dim > 1024 {
            return Err(format!("a head of {head_dim} dimensions"));
        }
        self.rope.check(head_dim)?;
        self.local_rope.check(head_dim)?;
        let positive = |x: f32| x.is_finite() && x > 0.0;
        let caps = [self.attn_logit_softcapping, self.final_logit_softcapping];
        let scales = [self.attention_scale, self.embedding_multiplier, self.residual_multiplier, self.logits_scaling];
        let eps_is_good = self.rms_norm_eps.is_finite() && self.rms_norm_eps >= 0.0;
        if !(eps_is_good && caps.into_iter().flatten().chain(scales).all(positive)) {
            return Err("a norm, scale or cap is out of range".into());
        }
        if self.windows.iter().flatten().any(|w| *w == 0) {
            return Err("a sliding window of 0".into());
        }
        if let Some(experts) = &self.experts
            && !(1..=experts.num_experts).contains(&experts.num_experts_per_tok)
        {
            return Err(format!("{} of {} experts a token", experts.num_experts_per_tok, experts.num_experts));
        }
        let sizes = [self.hidden_size, self.intermediate_size, self.vocab_size, self.max_position_embeddings];
        if sizes.contains(&0) || self.num_hidden_layers == 0 {
            return Err("a size of 0".into());
        }
        Ok(())
    }
}

/// What sets a family apart, by its architecture's name; sizes are filled in from the file.
struct Family {
    hidden_act: Activation,
    qk_norm: QkNorm,
    pre_norm: bool,
    post_norm: bool,
    /// Whether GGUF reorders query and key rows for interleaved turning.
    interleaved_in_gguf: bool,
    /// Gemma: the embedding is multiplied by the root of its width, and norms are `1 + w`.
    gemma: bool,
    fused_projections: bool,
    /// Whether the layers without a window come every so many layers, the last of them; 0: all have the file's window.
    window_pattern: usize,
    norm_topk_prob: bool,
}

impl Family {
    fn of(architecture: &str) -> Option<Self> {
        let llama = Self {
            hidden_act: Activation::Silu,
            qk_norm: QkNorm::None,
            pre_norm: true,
            post_norm: false,
            interleaved_in_gguf: false,
            gemma: false,
            fused_projections: false,
            window_pattern: 0,
            norm_topk_prob: true,
        };
        let gemma = Self { hidden_act: Activation::GeluTanh, gemma: true, ..Self { ..llama } };
        Some(match architecture {
            "llama" | "mistral" | "mixtral" | "smollm3" | "granite" => Self { interleaved_in_gguf: true, ..llama },
            "qwen2" => llama,
            "qwen2moe" | "qwen2_moe" => Self { norm_topk_prob: false, ..llama },
            "qwen3" | "qwen3moe" | "qwen3_moe" => Self { qk_norm: QkNorm::PerHead, ..llama },
            "gemma" => gemma,
            "gemma2" => Self { post_norm: true, window_pattern: 2, ..gemma },
            "gemma3" | "gemma3_text" => Self { post_norm: true, qk_norm: QkNorm::PerHead, window_pattern: 6, ..gemma },
            "olmo2" | "olmo3" => {
                Self { pre_norm: false, post_norm: true, qk_norm: QkNorm::Whole, window_pattern: 4, ..llama }
            }
            "phi3" => Self { fused_projections: true, ..llama },
            _ => return None,
        })
    }

    /// Each layer's window: `pattern - 1` layers with it, then one without; a pattern of 0 gives it to all.
    fn windows(window: Option<usize>, pattern: usize, layers: usize) -> Vec<Option<usize>> {
        (0..layers).map(|layer| window.filter(|_| pattern == 0 || layer % pattern < pattern - 1)).collect()
    }
}
