//! Model files of every family, small and with random weights: the metadata that a converter would write, shapes that
//! are no multiples of anything convenient, weights from which a text follows that depends on what came before.
//!
//! The same files are read by llama.cpp (`tests/tools/family_reference.py`), so nothing here may depend on the machine:
//! numbers come from SplitMix64, one stream a tensor, seeded by the family's and the tensor's name.

use std::path::Path;

use osai::engine::gguf::GgmlType;
use osai::engine::gguf::write::Writer;
use osai::engine::quantize::encode;

use super::vocabulary::Vocabulary;

/// Tokens of the vocabulary; no multiple of 16, so that tiles end in the middle.
pub const VOCAB: usize = 317;
/// Tokens that the files say the model reads.
pub const CONTEXT: usize = 256;
/// Sliding windows are this long, shorter than the texts.
pub const WINDOW: u32 = 12;

/// How far logits are spread, about; their differences from rounding grow with it.
const SPREAD: f32 = 1.5;

/// Granite's factor of the embedding.
const EMBEDDING_SCALE: f32 = 4.0;

/// Widths of a model.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    pub hidden: usize,
    pub layers: usize,
    pub heads: usize,
    pub kv_heads: usize,
    pub head_dim: usize,
    pub feed_forward: usize,
    /// Experts: how many, how many at a time, width of one, width of the shared one.
    pub experts: Option<(usize, usize, usize, usize)>,
}

/// What a family does differently.
#[derive(Clone, Debug)]
pub struct Family {
    /// Name of the files and references.
    pub name: &'static str,
    /// `general.architecture`.
    pub architecture: &'static str,
    /// For types whose blocks have 32 weights and for floats.
    pub shape: Shape,
    /// Whether every type is tried; if not, F32 and Q8_0 only (a variant of another family).
    pub every_type: bool,
    /// Which tokenizer the file brings.
    pub vocabulary: Vocabulary,
    tied: bool,
    biases: bool,
    qk_norm: QkNorm,
    norms: Norms,
    /// Queries, keys and values in one tensor, gate and up in another (Phi 3).
    fused: bool,
    /// One tensor an expert instead of one for all (older Mixtral files).
    split_experts: bool,
    /// How much louder the outputs of attention and feed-forward are; a large embedding wants more.
    gain: f32,
    extra: Extra,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum QkNorm {
    None,
    Head,
    Full,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Norms {
    Before,
    After,
    Both,
}

/// Keys and tensors of one family only.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Extra {
    None,
    Llama3,
    Linear,
    Yarn,
    Gemma2,
    Gemma3,
    Olmo3,
    LongRope,
    Granite,
}

fn shape(hidden: usize, layers: usize, heads: [usize; 3], feed_forward: usize) -> Shape {
    let [heads, kv_heads, head_dim] = heads;
    Shape { hidden, layers, heads, kv_heads, head_dim, feed_forward, experts: None }
}

fn plain(name: &'static str, architecture: &'static str, shape: Shape) -> Family {
    Family {
        name,
        architecture,
        shape,
        every_type: true,
        vocabulary: Vocabulary::SentencePiece,
        tied: false,
        biases: false,
        qk_norm: QkNorm::None,
        norms: Norms::Before,
        fused: false,
        split_experts: false,
        gain: 1.0,
        extra: Extra::None,
    }
}

/// Every family.
pub fn families() -> Vec<Family> {
    let bpe = Vocabulary::ByteLevel;
    let experts = |shape: Shape, experts| Shape { experts: Some(experts), ..shape };
    let variant = |family: Family, name| Family { name, every_type: false, ..family };
    let llama2 = plain("llama2", "llama", shape(128, 3, [4, 4, 32], 352));
    let llama3 = Family {
        vocabulary: bpe("llama-bpe"),
        tied: true,
        extra: Extra::Llama3,
        ..plain("llama3", "llama", shape(160, 4, [5, 1, 32], 288))
    };
    let mixtral =
        Family { gain: 0.5, ..plain("mixtral", "llama", experts(shape(96, 3, [6, 2, 16], 128), (8, 2, 128, 0))) };
    let gemma = |name, architecture, shape| Family {
        vocabulary: Vocabulary::SentencePiece,
        tied: true,
        gain: 0.7,
        ..plain(name, architecture, shape)
    };
    let phi3 = Family { fused: true, ..plain("phi3", "phi3", shape(192, 3, [6, 3, 32], 224)) };
    vec![
        llama2.clone(),
        Family { extra: Extra::Linear, ..variant(llama2.clone(), "llama2-linear") },
        Family { extra: Extra::Yarn, ..variant(llama2, "llama2-yarn") },
        // Rows of 100, 60 and 150: floats only.
        plain("llama2-narrow", "llama", shape(100, 2, [3, 1, 20], 150)),
        llama3,
        plain("mistral", "llama", shape(160, 3, [4, 2, 48], 416)),
        mixtral.clone(),
        Family { split_experts: true, ..variant(mixtral, "mixtral-split") },
        Family {
            vocabulary: bpe("qwen2"),
            tied: true,
            biases: true,
            ..plain("qwen2", "qwen2", shape(224, 3, [7, 1, 32], 352))
        },
        Family {
            vocabulary: bpe("qwen2"),
            biases: true,
            gain: 0.5,
            ..plain("qwen2moe", "qwen2moe", experts(shape(96, 3, [3, 3, 32], 160), (6, 3, 96, 160)))
        },
        Family {
            vocabulary: bpe("qwen2"),
            tied: true,
            qk_norm: QkNorm::Head,
            ..plain("qwen3", "qwen3", shape(160, 3, [4, 2, 64], 288))
        },
        Family {
            vocabulary: bpe("qwen2"),
            qk_norm: QkNorm::Head,
            gain: 0.5,
            ..plain("qwen3moe", "qwen3moe", experts(shape(96, 3, [4, 1, 32], 192), (16, 4, 64, 0)))
        },
        gemma("gemma", "gemma", shape(128, 3, [4, 1, 64], 320)),
        Family {
            norms: Norms::Both,
            extra: Extra::Gemma2,
            ..gemma("gemma2", "gemma2", shape(160, 4, [4, 2, 48], 288))
        },
        Family {
            norms: Norms::Both,
            qk_norm: QkNorm::Head,
            gain: 0.6,
            extra: Extra::Gemma3,
            ..gemma("gemma3", "gemma3", shape(96, 7, [4, 1, 32], 224))
        },
        Family {
            vocabulary: bpe("dbrx"),
            qk_norm: QkNorm::Full,
            norms: Norms::After,
            ..plain("olmo2", "olmo2", shape(160, 3, [5, 5, 32], 288))
        },
        Family {
            vocabulary: bpe("dbrx"),
            qk_norm: QkNorm::Full,
            norms: Norms::After,
            extra: Extra::Olmo3,
            every_type: false,
            ..plain("olmo3", "olmo2", shape(160, 5, [5, 5, 32], 224))
        },
        Family { extra: Extra::LongRope, ..variant(phi3.clone(), "phi3-longrope") },
        phi3,
        Family { vocabulary: bpe("smollm"), tied: true, ..plain("smollm3", "smollm3", shape(160, 5, [5, 1, 32], 288)) },
        Family {
            vocabulary: bpe("refact"),
            tied: true,
            extra: Extra::Granite,
            ..plain("granite", "granite", shape(160, 3, [5, 1, 32], 288))
        },
    ]
}

/// The types of the references; `K` types need rows of 256.
pub const TYPES: [GgmlType; 13] = [
    GgmlType::F32,
    GgmlType::F16,
    GgmlType::BF16,
    GgmlType::Q4_0,
    GgmlType::Q4_1,
    GgmlType::Q5_0,
    GgmlType::Q5_1,
    GgmlType::Q8_0,
    GgmlType::Q2_K,
    GgmlType::Q3_K,
    GgmlType::Q4_K,
    GgmlType::Q5_K,
    GgmlType::Q6_K,
];

impl Family {
    /// The types that this family's references cover.
    pub fn types(&self) -> Vec<GgmlType> {
        TYPES
            .into_iter()
            .filter(|t| match (self.every_type, t) {
                _ if !self.shape.hidden.is_multiple_of(32) => t.block_len() == 1,
                (every, GgmlType::F32 | GgmlType::Q8_0) => every || *t == GgmlType::F32 || *t == GgmlType::Q8_0,
                (every, _) => every,
            })
            .collect()
    }

    /// The shape for a type: the family's own, or one whose rows are multiples of 256.
    pub fn shape_for(&self, ggml_type: GgmlType) -> Shape {
        let own = self.shape;
        if ggml_type.block_len() <= 32 {
            return own;
        }
        let heads = 256 / own.head_dim.next_power_of_two();
        Shape {
            hidden: 256,
            heads,
            kv_heads: if own.kv_heads == own.heads { heads } else { heads / 2 },
            head_dim: own.head_dim.next_power_of_two(),
            feed_forward: 256,
            layers: if self.extra == Extra::Gemma3 { 6 } else { own.layers.min(4) },
            experts: own.experts.map(|(many, used, _, shared)| (many.min(4), used.min(2), 256, shared.min(1) * 256)),
        }
    }

    /// Writes the family's file of a type.
    pub fn write(&self, ggml_type: GgmlType, path: &Path) {
        self.write_shape(self.shape_for(ggml_type), ggml_type, path);
    }

    /// Writes a file of a shape and a type.
    pub fn write_shape(&self, shape: Shape, ggml_type: GgmlType, path: &Path) {
        let mut writer = Writer::new();
        self.set_keys(&mut writer, shape);
        let tensors = self.tensors(shape);
        for tensor in &tensors {
            writer
                .tensor(&tensor.name, &tensor.shape, tensor.stored_as(ggml_type))
                .expect("a tensor that GGUF can hold");
        }
        let mut output = writer.create(path).expect("a writable folder");
        for tensor in &tensors {
            let mut bytes = Vec::new();
            encode(&tensor.weights(self.seed_name()), tensor.stored_as(ggml_type), &mut bytes)
                .expect("a type of files");
            output.put(&tensor.name, &bytes).expect("written");
        }
        output.finish().expect("whole");
    }

    /// Split and fused experts have the same weights.
    fn seed_name(&self) -> &'static str {
        self.name.strip_suffix("-split").unwrap_or(self.name)
    }

    fn set_keys(&self, writer: &mut Writer, shape: Shape) {
        let key = |name: &str| format!("{}.{name}", self.architecture);
        writer.set("general.architecture", self.architecture);
        writer.set("general.name", self.name);
        writer.set("general.quantization_version", 2_u32);
        for (name, value) in [
            ("context_length", CONTEXT),
            ("embedding_length", shape.hidden),
            ("block_count", shape.layers),
            ("feed_forward_length", shape.feed_forward),
            ("attention.head_count", shape.heads),
            ("attention.head_count_kv", shape.kv_heads),
            ("vocab_size", VOCAB),
        ] {
            writer.set(&key(name), value as u32);
        }
        writer.set(&key("attention.layer_norm_rms_epsilon"), 1e-5_f32);
        writer.set(&key("rope.freq_base"), 10_000.0_f32);
        if shape.heads * shape.head_dim != shape.hidden || self.qk_norm == QkNorm::Head {
            writer.set(&key("attention.key_length"), shape.head_dim as u32);
            writer.set(&key("attention.value_length"), shape.head_dim as u32);
        }
        if matches!(self.architecture, "llama" | "phi3" | "granite") {
            writer.set(&key("rope.dimension_count"), shape.head_dim as u32);
        }
        if let Some((many, used, width, shared)) = shape.experts {
            writer.set(&key("expert_count"), many as u32);
            writer.set(&key("expert_used_count"), used as u32);
            if self.architecture != "llama" {
                writer.set(&key("expert_feed_forward_length"), width as u32);
            } else {
                writer.set(&key("feed_forward_length"), width as u32);
            }
            if shared > 0 {
                writer.set(&key("expert_shared_feed_forward_length"), shared as u32);
            }
        }
        let mut float = |name: &str, value: f32| writer.set(&key(name), value);
        match self.extra {
            Extra::None => {}
            Extra::Llama3 => float("rope.freq_base", 500_000.0),
            Extra::Linear | Extra::Yarn => float("rope.scaling.factor", 4.0),
            Extra::Gemma2 => {
                // Far lower than in real files, so that they matter for these weights.
                float("attn_logit_softcapping", 4.0);
                float("final_logit_softcapping", 5.0);
            }
            Extra::Gemma3 => {
                float("rope.freq_base", 1_000_000.0);
                float("rope.scaling.factor", 8.0);
            }
            Extra::Olmo3 => {
                float("rope.freq_base", 500_000.0);
                float("rope.scaling.factor", 4.0);
                float("rope.scaling.attn_factor", 1.2);
            }
            Extra::LongRope => float("rope.scaling.attn_factor", 1.19),
            Extra::Granite => {
                float("embedding_scale", EMBEDDING_SCALE);
                float("residual_scale", 0.8);
                float("attention.scale", 0.25);
                float("logit_scale", 1.25);
            }
        }
        match self.extra {
            Extra::Linear | Extra::Gemma3 => writer.set(&key("rope.scaling.type"), "linear"),
            Extra::Yarn | Extra::Olmo3 => {
                writer.set(&key("rope.scaling.type"), "yarn");
                writer.set(&key("rope.scaling.original_context_length"), 64_u32);
            }
            Extra::LongRope => {
                writer.set(&key("rope.scaling.original_context_length"), 64_u32);
                writer.set(&key("rope.dimension_count"), (shape.head_dim * 3 / 4) as u32);
            }
            _ => {}
        }
        if matches!(self.extra, Extra::Gemma2 | Extra::Gemma3 | Extra::Olmo3) {
            writer.set(&key("attention.sliding_window"), WINDOW);
        }
        self.vocabulary.set_keys(writer);
    }

    fn tensors(&self, shape: Shape) -> Vec<Tensor> {
        let Shape { hidden, heads, kv_heads, head_dim, feed_forward, .. } = shape;
        let (width, kv_width) = (heads * head_dim, kv_heads * head_dim);
        // What the embedding brings into the residual stream has the size of what a layer adds.
        let embedding = match self.architecture {
            "gemma" | "gemma2" | "gemma3" => root(hidden),
            "granite" => 1.0 / EMBEDDING_SCALE,
            _ => 1.0,
        };
        // A tied embedding would say every token again; an output norm of both signs lets it not.
        let level = SPREAD * root(hidden) / embedding;
        let mut tensors = vec![
            Tensor::matrix("token_embd.weight", &[VOCAB, hidden], embedding),
            match self.tied {
                true => Tensor::new("output_norm.weight", &[hidden], 0.0, level, true),
                false => Tensor::norm("output_norm.weight", hidden, 1.0),
            },
        ];
        if !self.tied {
            tensors.push(Tensor::matrix("output.weight", &[VOCAB, hidden], root(hidden) * SPREAD));
        }
        match self.extra {
            Extra::Llama3 => tensors.push(Tensor::factors("rope_freqs.weight", head_dim / 2, 8.0)),
            Extra::LongRope => {
                tensors.push(Tensor::factors("rope_factors_long.weight", head_dim * 3 / 8, 5.0));
                tensors.push(Tensor::factors("rope_factors_short.weight", head_dim * 3 / 8, 1.5));
            }
            _ => {}
        }
        for layer in 0..shape.layers {
            let name = |part: &str| format!("blk.{layer}.{part}");
            let matrix = |part: &str, rows: usize, columns: usize, gain: f32| {
                Tensor::matrix(&name(&format!("{part}.weight")), &[rows, columns], gain * root(columns))
            };
            if self.norms != Norms::After {
                tensors.push(Tensor::norm(&name("attn_norm.weight"), hidden, 1.0));
                tensors.push(Tensor::norm(&name("ffn_norm.weight"), hidden, 1.0));
            }
            if self.norms != Norms::Before {
                tensors.push(Tensor::norm(&name("post_attention_norm.weight"), hidden, self.gain));
                tensors.push(Tensor::norm(&name("post_ffw_norm.weight"), hidden, self.gain));
            }
            if self.fused {
                tensors.push(matrix("attn_qkv", width + 2 * kv_width, hidden, 1.0));
            } else {
                tensors.push(matrix("attn_q", width, hidden, 1.0));
                tensors.push(matrix("attn_k", kv_width, hidden, 1.0));
                tensors.push(matrix("attn_v", kv_width, hidden, 1.0));
            }
            if self.biases {
                for (part, len) in [("attn_q", width), ("attn_k", kv_width), ("attn_v", kv_width)] {
                    tensors.push(Tensor::bias(&name(&format!("{part}.bias")), len));
                }
            }
            match self.qk_norm {
                QkNorm::None => {}
                QkNorm::Head | QkNorm::Full => {
                    let is_head = self.qk_norm == QkNorm::Head;
                    let lens = if is_head { (head_dim, head_dim) } else { (width, kv_width) };
                    tensors.push(Tensor::norm(&name("attn_q_norm.weight"), lens.0, 1.0));
                    tensors.push(Tensor::norm(&name("attn_k_norm.weight"), lens.1, 1.0));
                }
            }
            tensors.push(matrix("attn_output", hidden, width, self.gain));
            match shape.experts {
                None if self.fused => tensors.push(matrix("ffn_up", 2 * feed_forward, hidden, 1.0)),
                None => {
                    tensors.push(matrix("ffn_gate", feed_forward, hidden, 1.0));
                    tensors.push(matrix("ffn_up", feed_forward, hidden, 1.0));
                }
                Some((many, _, expert, shared)) => {
                    // Decided choices: a rounding error must seldom pick another expert.
                    tensors.push(matrix("ffn_gate_inp", many, hidden, 8.0).kept());
                    for (part, rows, columns, gain) in [
                        ("gate", expert, hidden, 1.0),
                        ("up", expert, hidden, 1.0),
                        ("down", hidden, expert, self.gain * 1.5),
                    ] {
                        tensors.extend(self.experts(&name(&format!("ffn_{part}")), [many, rows, columns], gain));
                    }
                    if shared > 0 {
                        tensors.push(Tensor::bias(&name("ffn_gate_inp_shexp.weight"), hidden));
                        tensors.push(matrix("ffn_gate_shexp", shared, hidden, 1.0));
                        tensors.push(matrix("ffn_up_shexp", shared, hidden, 1.0));
                        tensors.push(matrix("ffn_down_shexp", hidden, shared, self.gain));
                    }
                }
            }
            if shape.experts.is_none() {
                tensors.push(matrix("ffn_down", hidden, feed_forward, self.gain * 1.5));
            }
        }
        tensors
    }

    /// The experts' matrices as one tensor, or one each with the same weights.
    fn experts(&self, name: &str, shape: [usize; 3], gain: f32) -> Vec<Tensor> {
        let [many, rows, columns] = shape;
        let all = Tensor::matrix(&format!("{name}_exps.weight"), &shape, gain * root(columns));
        if !self.split_experts {
            return vec![all];
        }
        (0..many)
            .map(|expert| Tensor {
                name: format!("{name}.{expert}.weight"),
                shape: vec![rows, columns],
                stream: all.name.clone(),
                skipped: expert * rows * columns,
                ..all.clone()
            })
            .collect()
    }
}

fn root(n: usize) -> f32 {
    1.0 / (n as f32).sqrt()
}

/// A tensor and how its random weights are spread: `mean + spread × normal`.
#[derive(Clone, Debug)]
struct Tensor {
    name: String,
    shape: Vec<usize>,
    mean: f32,
    spread: f32,
    /// Whether it stays F32 whatever the file's type.
    kept: bool,
    /// Whose numbers these are, and how many of them come before.
    stream: String,
    skipped: usize,
}

impl Tensor {
    fn new(name: &str, shape: &[usize], mean: f32, spread: f32, kept: bool) -> Self {
        Self { name: name.into(), shape: shape.into(), mean, spread, kept, stream: name.into(), skipped: 0 }
    }

    fn matrix(name: &str, shape: &[usize], spread: f32) -> Self {
        Self::new(name, shape, 0.0, spread, false)
    }

    fn norm(name: &str, len: usize, level: f32) -> Self {
        Self::new(name, &[len], level, 0.15 * level, true)
    }

    fn bias(name: &str, len: usize) -> Self {
        Self::new(name, &[len], 0.0, 0.2, true)
    }

    /// Factors of rotary frequencies, from 1 to more.
    fn factors(name: &str, len: usize, most: f32) -> Self {
        Self::new(name, &[len], (1.0 + most) / 2.0, (most - 1.0) / 8.0, true)
    }

    fn kept(self) -> Self {
        Self { kept: true, ..self }
    }

    fn stored_as(&self, ggml_type: GgmlType) -> GgmlType {
        if self.kept { GgmlType::F32 } else { ggml_type }
    }

    fn weights(&self, family: &str) -> Vec<f32> {
        let mut numbers = Numbers::named(&format!("{family}/{}", self.stream));
        (0..self.skipped).for_each(|_| {
            numbers.normal();
        });
        (0..self.shape.iter().product()).map(|_| self.mean + self.spread * numbers.normal()).collect()
    }
}

/// SplitMix64, as in the kernels' tests.
pub struct Numbers(u64);

impl Numbers {
    /// A stream of its own for a name (FNV-1a).
    pub fn named(name: &str) -> Self {
        let hash = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3);
        Self(name.bytes().fold(0xCBF2_9CE4_8422_2325, hash))
    }

    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Close to normal, mean 0, variance 1: four uniform numbers of 16 bits, exactly the same everywhere.
    pub fn normal(&mut self) -> f32 {
        let bits = self.bits();
        let sum: i32 = (0..4).map(|i| (bits >> (16 * i)) as i32 & 0xFFFF).sum();
        // The sum of four uniform numbers has the variance 4/12.
        (sum - 2 * 0xFFFF) as f32 / 65_536.0 * 1.732_050_8
    }
}

/// The ids that every text begins with: the first of the vocabulary that is no special token, then a walk through it.
pub fn prompt() -> Vec<u32> {
    let mut numbers = Numbers::named("prompt");
    (0..24).map(|_| 4 + (numbers.bits() % (VOCAB as u64 - 8)) as u32).collect()
}
