//! Shapes of published models, from the numbers in their `config.json` (read 2026-11-24).

use std::path::Path;

use serde_json::{Value, json};

use super::*;
use crate::engine::rope::{RopeScaling, RopeStyle};

fn read(value: Value) -> Config {
    Config::from_json(Path::new("config.json"), &value).expect("a shape")
}

fn told(value: Value) -> String {
    Config::from_json(Path::new("config.json"), &value).expect_err("a fault").to_string()
}

fn llama() -> Value {
    json!({
        "model_type": "llama", "hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32,
        "num_attention_heads": 32, "num_key_value_heads": 8, "max_position_embeddings": 131072,
        "rms_norm_eps": 1e-05, "rope_theta": 500000.0, "vocab_size": 128256, "hidden_act": "silu",
        "rope_scaling": {
            "factor": 8.0, "high_freq_factor": 4.0, "low_freq_factor": 1.0,
            "original_max_position_embeddings": 8192, "rope_type": "llama3"
        }
    })
}

fn with(mut value: Value, key: &str, to: Value) -> Value {
    value[key] = to;
    value
}

#[test]
fn llama_3_1_is_read_with_its_scaling_under_either_name() {
    let config = read(llama());
    assert_eq!((config.head_dim, config.kv_width(), config.q_width()), (128, 1024, 4096));
    assert_eq!(config.rope.style, RopeStyle::Halves);
    assert!(matches!(config.rope.scaling, RopeScaling::Llama3 { factor: 8.0, original: 8192.0, .. }));
    // transformers 5 moved both keys into one.
    let mut newer = llama();
    newer["rope_parameters"] = newer["rope_scaling"].take();
    newer["rope_parameters"]["rope_theta"] = newer["rope_theta"].take();
    assert_eq!(read(newer), config);
}

#[test]
fn mistral_sees_through_its_window_and_qwen_only_where_it_says_so() {
    let mistral = read(with(with(llama(), "model_type", json!("mistral")), "sliding_window", json!(4096)));
    assert!(mistral.windows.iter().all(|w| *w == Some(4096)));
    assert_eq!(mistral.local_rope, mistral.rope);
    let qwen = with(with(llama(), "model_type", json!("qwen2")), "sliding_window", json!(32768));
    assert!(read(with(qwen, "use_sliding_window", json!(false))).windows.iter().all(Option::is_none));
}

#[test]
fn gemma_3_alternates_windows_and_bases_inside_its_text_config() {
    let text = json!({
        "model_type": "gemma3_text", "hidden_size": 2560, "intermediate_size": 10240, "num_hidden_layers": 34,
        "num_attention_heads": 8, "num_key_value_heads": 4, "head_dim": 256, "max_position_embeddings": 131072,
        "query_pre_attn_scalar": 256, "rms_norm_eps": 1e-06, "rope_local_base_freq": 10000.0,
        "rope_scaling": {"factor": 8.0, "rope_type": "linear"}, "rope_theta": 1000000.0, "sliding_window": 1024,
        "sliding_window_pattern": 6, "vocab_size": 262208, "hidden_activation": "gelu_pytorch_tanh"
    });
    let config = read(json!({"model_type": "gemma3", "text_config": text}));
    let global: Vec<usize> = (0..34).filter(|l| config.windows[*l].is_none()).collect();
    assert_eq!(global, [5, 11, 17, 23, 29]);
    assert_eq!(config.local_rope.theta, 10_000.0);
    assert_eq!(config.local_rope.scaling, RopeScaling::Default);
    assert!(matches!(config.rope.scaling, RopeScaling::Linear { factor: 8.0 }));
    assert_eq!((config.attention_scale, config.qk_norm), (1.0 / 16.0, QkNorm::PerHead));
    assert!(config.norm_plus_one && config.post_norm && config.embedding_multiplier == 2560.0_f32.sqrt());
}

#[test]
fn gemma_2_bends_scores_and_logits() {
    let config = read(json!({
        "model_type": "gemma2", "hidden_size": 2304, "intermediate_size": 9216, "num_hidden_layers": 26,
        "num_attention_heads": 8, "num_key_value_heads": 4, "head_dim": 256, "max_position_embeddings": 8192,
        "query_pre_attn_scalar": 256, "attn_logit_softcapping": 50.0, "final_logit_softcapping": 30.0,
        "sliding_window": 4096, "vocab_size": 256000, "hidden_activation": "gelu_pytorch_tanh"
    }));
    assert_eq!((config.attn_logit_softcapping, config.final_logit_softcapping), (Some(50.0), Some(30.0)));
    assert_eq!(config.windows[..4], [Some(4096), None, Some(4096), None]);
    assert_eq!(config.local_rope, config.rope);
}

#[test]
fn experts_are_counted_and_those_in_some_layers_refused() {
    let mixtral = with(with(llama(), "model_type", json!("mixtral")), "num_local_experts", json!(8));
    let experts = read(with(mixtral.clone(), "num_experts_per_tok", json!(2))).experts.expect("experts");
    assert_eq!((experts.num_experts, experts.moe_intermediate_size, experts.norm_topk_prob), (8, 14336, true));
    assert!(told(with(mixtral.clone(), "num_experts_per_tok", json!(9))).contains("9 of 8 experts"));
    let some = with(with(mixtral, "num_experts_per_tok", json!(2)), "mlp_only_layers", json!([3]));
    assert!(told(some).contains("some layers only"));
}

#[test]
fn phi_3_takes_the_long_list_where_it_promises_a_long_context() {
    let phi = |context: u64| {
        json!({
            "model_type": "phi3", "hidden_size": 192, "intermediate_size": 512, "num_hidden_layers": 2,
            "num_attention_heads": 6, "max_position_embeddings": context, "vocab_size": 100,
            "original_max_position_embeddings": 4096,
            "rope_scaling": {"type": "longrope", "long_factor": vec![2.0; 16], "short_factor": vec![1.0; 16]}
        })
    };
    let factors = |config: Config| match config.rope.scaling {
        RopeScaling::Factors { factors, attention_factor } => (factors[0], attention_factor),
        other => panic!("{other:?}"),
    };
    assert_eq!(factors(read(phi(4096))), (1.0, 1.0));
    let (first, by) = factors(read(phi(131_072)));
    assert!(first == 2.0 && (by - (1.0 + 32.0_f64.ln() / 4096.0_f64.ln()).sqrt()).abs() < 1e-12);
}

#[test]
fn what_cannot_run_is_refused_by_name() {
    for (value, word) in [
        (with(llama(), "model_type", json!("gpt_oss")), "`gpt_oss`"),
        (with(llama(), "model_type", json!("llama4")), "`llama4`"),
        (with(llama(), "hidden_act", json!("relu")), "`relu`"),
        (with(llama(), "rope_scaling", json!({"rope_type": "dynamic"})), "`dynamic`"),
        (with(llama(), "rope_scaling", json!({"rope_type": "linear"})), "`factor`"),
        (with(llama(), "hidden_size", json!("wide")), "`hidden_size`"),
        (with(llama(), "num_key_value_heads", json!(5)), "cannot share"),
        (with(llama(), "rope_theta", json!(0.0)), "RoPE constant"),
        (with(llama(), "num_hidden_layers", json!(1_000_000)), "layers"),
    ] {
        let told = told(value);
        assert!(told.contains(word), "wanted {word} in: {told}");
    }
}
