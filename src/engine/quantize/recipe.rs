//! Which type each tensor gets. A recipe such as `Q4_K_M` is a mixture: the tensors that suffer most get more bits.
//!
//! The choice is that of llama.cpp's quantiser (`llama-quant.cpp`, without importance matrix), so that a file of ours
//! holds what a file of that name holds elsewhere.

use crate::engine::gguf::{GgmlType, Gguf, TensorInfo, Value};
use GgmlType::{BF16, F16, F32, Q2_K, Q3_K, Q4_0, Q4_1, Q4_K, Q5_0, Q5_1, Q5_K, Q6_K, Q8_0};

/// A named mixture of types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recipe {
    /// `Q4_K_M`.
    pub name: &'static str,
    /// llama.cpp's number of the mixture, for `general.file_type`.
    pub file_type: u32,
    /// What most tensors get.
    pub ggml_type: GgmlType,
}

/// Every recipe, the largest files first.
pub const RECIPES: [Recipe; 17] = [
    recipe("F32", 0, F32),
    recipe("F16", 1, F16),
    recipe("BF16", 32, BF16),
    recipe("Q8_0", 7, Q8_0),
    recipe("Q6_K", 18, Q6_K),
    recipe("Q5_K_M", 17, Q5_K),
    recipe("Q5_K_S", 16, Q5_K),
    recipe("Q5_1", 9, Q5_1),
    recipe("Q5_0", 8, Q5_0),
    recipe("Q4_K_M", 15, Q4_K),
    recipe("Q4_K_S", 14, Q4_K),
    recipe("Q4_1", 3, Q4_1),
    recipe("Q4_0", 2, Q4_0),
    recipe("Q3_K_L", 13, Q3_K),
    recipe("Q3_K_M", 12, Q3_K),
    recipe("Q3_K_S", 11, Q3_K),
    recipe("Q2_K", 10, Q2_K),
];

const fn recipe(name: &'static str, file_type: u32, ggml_type: GgmlType) -> Recipe {
    Recipe { name, file_type, ggml_type }
}

impl Recipe {
    /// By name, in any case (`q4_k_m`); `Q4_K` is `Q4_K_M`, as llama.cpp has it.
    pub fn named(name: &str) -> Option<Self> {
        let wanted = match name.to_ascii_uppercase().as_str() {
            short @ ("Q3_K" | "Q4_K" | "Q5_K") => format!("{short}_M"),
            other => other.to_owned(),
        };
        RECIPES.into_iter().find(|recipe| recipe.name == wanted)
    }

    /// All names, for messages.
    pub fn names() -> String {
        RECIPES.map(|recipe| recipe.name).join(", ")
    }
}

/// What a tensor becomes.
#[derive(Clone, Debug, PartialEq)]
pub struct Choice {
    /// The tensor.
    pub tensor: TensorInfo,
    /// Its type in the new file.
    pub ggml_type: GgmlType,
    /// The type that the recipe asks for, where the tensor's width does not allow it.
    pub wanted: Option<GgmlType>,
}

/// The part that a tensor plays, as far as the choice of its type goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Embedding,
    Output,
    /// Values, alone or together with queries and keys.
    Values,
    Keys,
    AttentionOutput,
    Down,
    Other,
}

impl Part {
    fn of(name: &str) -> Self {
        match name {
            "output.weight" => Self::Output,
            "token_embd.weight" => Self::Embedding,
            _ if name.contains("attn_qkv.weight") || name.contains("attn_v.weight") => Self::Values,
            _ if name.contains("attn_k.weight") => Self::Keys,
            _ if name.contains("attn_output.weight") => Self::AttentionOutput,
            _ if name.contains("ffn_down") => Self::Down,
            _ => Self::Other,
        }
    }
}

/// What of a model's shape the choice depends on.
struct Shape {
    layers: usize,
    experts: usize,
    /// Query heads that share a key head.
    sharing: usize,
    /// Whether values are so few (Llama 2 70B's shape) that more bits for them cost next to nothing.
    few_values: bool,
    /// Whether the embedding is also the output matrix.
    tied: bool,
}

impl Shape {
    fn of(file: &Gguf) -> Self {
        let architecture = file.text("general.architecture").unwrap_or_default();
        let number = |key: &str| {
            let key = format!("{architecture}.{key}");
            match file.value(&key) {
                Some(Value::Array { .. }) => file.words(&key, u32::from_le_bytes)?.first().map(|n| *n as usize),
                _ => file.uint(&key).map(|n| n as usize),
            }
        };
        let layers = number("block_count").unwrap_or(0);
        let heads = number("attention.head_count").unwrap_or(0);
        let kv_heads = number("attention.head_count_kv").unwrap_or(heads);
        let many_layers = layers == 80;
        Self {
            layers,
            experts: number("expert_count").unwrap_or(0),
            sharing: heads.checked_div(kv_heads).unwrap_or(0),
            few_values: many_layers
                && match architecture {
                    "llama" => heads != kv_heads,
                    other => matches!(other, "qwen2" | "olmo" | "deci"),
                },
            tied: file.tensor("output.weight").is_none(),
        }
    }
}

/// The layer in a tensor's name (`blk.7.attn_q.weight`).
fn layer_of(name: &str) -> Option<usize> {
    name.strip_prefix("blk.")?.split('.').next()?.parse().ok()
}

/// The tensors of a file with their new types, in llama.cpp's order: without a layer first, then by layer and name.
pub fn choose(file: &Gguf, recipe: Recipe) -> Vec<Choice> {
    let shape = Shape::of(file);
    let mut tensors: Vec<TensorInfo> = file.tensors().cloned().collect();
    tensors.sort_by_cached_key(|t| (layer_of(&t.name).map_or(0, |layer| layer + 1), t.name.clone()));
    let all_values = tensors.iter().filter(|t| Part::of(&t.name) == Part::Values).count();
    let (mut values, mut downs) = (0, 0);
    tensors
        .into_iter()
        .map(|tensor| {
            if !is_quantised(&tensor) {
                return Choice { ggml_type: tensor.ggml_type, wanted: None, tensor };
            }
            if recipe.ggml_type.block_len() == 1 {
                return Choice { ggml_type: recipe.ggml_type, wanted: None, tensor };
            }
            let part = Part::of(&tensor.name);
            let place = match part {
                Part::Values => (values, all_values),
                // Experts' tensors of one layer are several; their layer stands in the name.
                Part::Down if shape.experts > 1 => (layer_of(&tensor.name).unwrap_or(0), shape.layers),
                Part::Down => (downs, shape.layers),
                _ => (0, 0),
            };
            values += usize::from(part == Part::Values);
            downs += usize::from(part == Part::Down);
            let columns = tensor.shape[tensor.shape.len() - 1];
            let wanted = mixture(recipe, &shape, part, place, columns);
            let ggml_type = fitting(wanted, columns);
            Choice { tensor, ggml_type, wanted: (ggml_type != wanted).then_some(wanted) }
        })
        .collect()
}

/// Whether a recipe changes a tensor: matrices do change, but not norms, not the small matrix that picks experts, not
/// the positions and token types of an encoder.
fn is_quantised(tensor: &TensorInfo) -> bool {
    let name = tensor.name.as_str();
    let dimensions = tensor.shape.len() - tensor.shape.iter().take_while(|d| **d == 1).count();
    dimensions >= 2
        && name.ends_with("weight")
        && !name.contains("_norm.weight")
        && !name.contains("ffn_gate_inp.weight")
        && !matches!(name, "position_embd.weight" | "token_types.weight")
}

/// The type that the mixture has for a tensor, whatever its width; `place` is which of how many of its kind it is.
fn mixture(recipe: Recipe, shape: &Shape, part: Part, place: (usize, usize), columns: usize) -> GgmlType {
    let name = recipe.name;
    let usual = recipe.ggml_type;
    let (index, count) = place;
    // The first and last eighth, and every third between.
    let is_sensitive = || index < count / 8 || index >= 7 * count / 8 || (index - count / 8) % 3 == 2;
    match part {
        Part::Output => output(usual, columns),
        Part::Embedding if shape.tied => output(usual, columns),
        Part::Values => {
            let chosen = match name {
                "Q2_K" if shape.sharing >= 4 => Q4_K,
                "Q2_K" => Q3_K,
                "Q3_K_M" if index < 2 => Q5_K,
                "Q3_K_M" => Q4_K,
                "Q3_K_L" => Q5_K,
                "Q4_K_M" | "Q5_K_M" if is_sensitive() => Q6_K,
                "Q4_K_S" if index < 4 => Q5_K,
                _ => usual,
            };
            match chosen {
                _ if shape.experts == 8 => Q8_0,
                Q3_K | Q4_K if shape.few_values => Q5_K,
                chosen => chosen,
            }
        }
        Part::Keys if shape.experts == 8 => Q8_0,
        Part::Down => match name {
            "Q2_K" => Q3_K,
            "Q3_K_M" if index < count / 16 => Q5_K,
            "Q3_K_M" => Q4_K,
            "Q3_K_L" => Q5_K,
            "Q4_K_M" | "Q5_K_M" if is_sensitive() => Q6_K,
            "Q4_K_S" if index < count / 8 => Q5_K,
            _ => usual,
        },
        Part::AttentionOutput if shape.experts == 8 => match name {
            "Q2_K" | "Q3_K_S" | "Q3_K_M" | "Q4_K_S" | "Q4_K_M" => Q5_K,
            _ => usual,
        },
        Part::AttentionOutput => match name {
            "Q2_K" => Q3_K,
            "Q3_K_M" => Q4_K,
            "Q3_K_L" => Q5_K,
            _ => usual,
        },
        Part::Embedding | Part::Keys | Part::Other => usual,
    }
}

/// The output matrix: six bits at least.
fn output(usual: GgmlType, columns: usize) -> GgmlType {
    if usual == Q8_0 || !columns.is_multiple_of(usual.block_len()) { Q8_0 } else { Q6_K }
}

/// A type for rows of this width: the K types need multiples of 256 and fall back to types that need 32, those to F16.
fn fitting(wanted: GgmlType, columns: usize) -> GgmlType {
    let fits = |ggml_type: GgmlType| columns.is_multiple_of(ggml_type.block_len());
    let nearest = match wanted {
        wanted if fits(wanted) => wanted,
        Q2_K | Q3_K => Q4_0,
        Q4_K => Q5_0,
        Q5_K => Q5_1,
        Q6_K => Q8_0,
        other => other,
    };
    if fits(nearest) { nearest } else { F16 }
}
