//! What a tensor is for, and what files call it.

/// A tensor's place in a decoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    /// One row a token.
    Embedding,
    /// Weights of the norm before the output layer.
    OutputNorm,
    /// The output layer, where it is not the embedding.
    LmHead,
    /// A weight of a layer.
    Layer(usize, Part),
    /// A bias of a layer.
    Bias(usize, Part),
    /// A weight of one expert of a layer.
    Expert(usize, usize, Part),
    /// All experts' weights of that part in one tensor.
    Experts(usize, Part),
}

/// A tensor's place in a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Part {
    /// Norm of what goes into attention.
    InputNorm,
    /// Queries.
    Q,
    /// Keys.
    K,
    /// Values.
    V,
    /// Queries, keys and values in one.
    Qkv,
    /// From the heads back to the stream.
    O,
    /// Norm of the queries.
    QNorm,
    /// Norm of the keys.
    KNorm,
    /// Norm of what comes out of attention.
    PostAttentionNorm,
    /// Norm of what goes into feed-forward.
    FeedForwardNorm,
    /// Norm of what comes out of it.
    PostFeedForwardNorm,
    /// Feed-forward's gate.
    Gate,
    /// Feed-forward's other half.
    Up,
    /// Gate and up in one.
    GateUp,
    /// From feed-forward back to the stream.
    Down,
    /// Which experts a token uses.
    Router,
    /// The gate of the expert that all use.
    SharedGate,
    /// Its other half.
    SharedUp,
    /// Its way back.
    SharedDown,
    /// How much of it a token takes.
    SharedRouter,
}

impl Part {
    fn gguf(self) -> &'static str {
        match self {
            Self::InputNorm => "attn_norm",
            Self::Q => "attn_q",
            Self::K => "attn_k",
            Self::V => "attn_v",
            Self::Qkv => "attn_qkv",
            Self::O => "attn_output",
            Self::QNorm => "attn_q_norm",
            Self::KNorm => "attn_k_norm",
            Self::PostAttentionNorm => "post_attention_norm",
            Self::FeedForwardNorm => "ffn_norm",
            Self::PostFeedForwardNorm => "post_ffw_norm",
            Self::Gate => "ffn_gate",
            // Phi 3's one tensor for both halves has the name of the second.
            Self::Up | Self::GateUp => "ffn_up",
            Self::Down => "ffn_down",
            Self::Router => "ffn_gate_inp",
            Self::SharedGate => "ffn_gate_shexp",
            Self::SharedUp => "ffn_up_shexp",
            Self::SharedDown => "ffn_down_shexp",
            Self::SharedRouter => "ffn_gate_inp_shexp",
        }
    }

    /// Names in Hugging Face's files, below the layer. A model that norms what comes out of attention uses
    /// `post_attention_layernorm` for that; one that does not, for the norm before feed-forward.
    fn hf(self, post_norm: bool) -> &'static [&'static str] {
        match self {
            Self::InputNorm => &["input_layernorm"],
            Self::Q => &["self_attn.q_proj"],
            Self::K => &["self_attn.k_proj"],
            Self::V => &["self_attn.v_proj"],
            Self::Qkv => &["self_attn.qkv_proj"],
            Self::O => &["self_attn.o_proj"],
            Self::QNorm => &["self_attn.q_norm"],
            Self::KNorm => &["self_attn.k_norm"],
            Self::PostAttentionNorm => &["post_attention_layernorm"],
            Self::FeedForwardNorm if post_norm => &["pre_feedforward_layernorm"],
            Self::FeedForwardNorm => &["post_attention_layernorm"],
            Self::PostFeedForwardNorm => &["post_feedforward_layernorm"],
            Self::Gate => &["mlp.gate_proj"],
            Self::Up => &["mlp.up_proj"],
            Self::GateUp => &["mlp.gate_up_proj"],
            Self::Down => &["mlp.down_proj"],
            Self::Router => &["block_sparse_moe.gate", "mlp.gate"],
            Self::SharedGate => &["mlp.shared_expert.gate_proj"],
            Self::SharedUp => &["mlp.shared_expert.up_proj"],
            Self::SharedDown => &["mlp.shared_expert.down_proj"],
            Self::SharedRouter => &["mlp.shared_expert_gate"],
        }
    }

    /// Names of one expert's part below `experts.N.`: Mixtral's, then Qwen's.
    fn hf_expert(self) -> [&'static str; 2] {
        match self {
            Self::Gate => ["w1", "gate_proj"],
            Self::Up => ["w3", "up_proj"],
            _ => ["w2", "down_proj"],
        }
    }
}

impl Slot {
    /// Its name in a GGUF file.
    pub fn gguf(self) -> String {
        match self {
            Self::Embedding => "token_embd.weight".into(),
            Self::OutputNorm => "output_norm.weight".into(),
            Self::LmHead => "output.weight".into(),
            Self::Layer(layer, part) => format!("blk.{layer}.{}.weight", part.gguf()),
            Self::Bias(layer, part) => format!("blk.{layer}.{}.bias", part.gguf()),
            Self::Expert(layer, expert, part) => format!("blk.{layer}.{}.{expert}.weight", part.gguf()),
            Self::Experts(layer, part) => format!("blk.{layer}.{}_exps.weight", part.gguf()),
        }
    }

    /// Its possible names in Hugging Face's files, without the prefix before `layers`, `embed_tokens` or `norm`.
    pub fn hf(self, post_norm: bool) -> Vec<String> {
        let all = |layer: usize, part: Part, kind: &str| {
            part.hf(post_norm).iter().map(|name| format!("layers.{layer}.{name}.{kind}")).collect()
        };
        match self {
            Self::Embedding => vec!["embed_tokens.weight".into()],
            Self::OutputNorm => vec!["norm.weight".into()],
            Self::LmHead => vec!["lm_head.weight".into()],
            Self::Layer(layer, part) => all(layer, part, "weight"),
            Self::Bias(layer, part) => all(layer, part, "bias"),
            Self::Expert(layer, expert, part) => {
                let [mixtral, qwen] = part.hf_expert();
                vec![
                    format!("layers.{layer}.block_sparse_moe.experts.{expert}.{mixtral}.weight"),
                    format!("layers.{layer}.mlp.experts.{expert}.{qwen}.weight"),
                ]
            }
            Self::Experts(..) => vec![],
        }
    }
}
