//! BERT encoders: a text becomes one vector, and near texts become near vectors.
//!
//! Unlike the decoder, every token sees every other; norms come after what is added (LayerNorm, with biases), and
//! positions are looked up, not turned. Source: Devlin et al., "BERT", 2018; Reimers and Gurevych, "Sentence-BERT", 2019.

mod config;

use std::path::Path;

pub use config::EncoderConfig;

use super::EngineError;
use super::attention::Shape;
use super::cache::KvCache;
use super::checkpoint::{Folder, TensorView, safetensors_view, view};
use super::gguf::Gguf;
use super::inside::pool;
use super::kernels::{self, Isa};
use super::model::Options;
use super::tokenizer::Tokenizer;
use super::weights::{Compute, Linear};

/// Weight and bias of a norm.
#[derive(Debug)]
struct Norm([Vec<f32>; 2]);

/// A matrix and its bias.
#[derive(Debug)]
struct Dense {
    weight: Linear,
    bias: Vec<f32>,
}

#[derive(Debug)]
struct Block {
    qkv: [Dense; 3],
    output: Dense,
    output_norm: Norm,
    up: Dense,
    down: Dense,
    down_norm: Norm,
}

/// An open encoder.
#[derive(Debug)]
pub struct Encoder {
    /// Its shape.
    pub config: EncoderConfig,
    tokenizer: Tokenizer,
    compute: Compute,
    words: Linear,
    positions: Linear,
    /// What every token gets for being in the first sentence.
    segment: Vec<f32>,
    norm: Norm,
    blocks: Vec<Block>,
}

/// Where an encoder's tensors are.
enum Parts<'a> {
    Gguf(&'a Gguf),
    Folder(&'a Folder),
}

/// A tensor's name in GGUF and below the prefix in a folder.
struct Name<'a>(&'a str, &'a str);

/// Whether a file or folder says that it holds an encoder; what is wrong with it shows when it is opened.
pub fn is_encoder(path: &Path) -> bool {
    if path.is_dir() {
        Folder::config_of(path).is_ok_and(|config| config.get("model_type").is_some_and(|kind| kind == "bert"))
    } else {
        Gguf::open(path).is_ok_and(|file| file.text("general.architecture") == Some("bert"))
    }
}

impl Encoder {
    /// Opens a Hugging Face folder or a GGUF file.
    ///
    /// # Errors
    /// Every kind of fault of the files.
    pub fn open(path: &Path, options: Options) -> Result<Self, EngineError> {
        let compute = options.compute();
        if path.is_dir() {
            let folder = Folder::open(path)?;
            let config = EncoderConfig::from_folder(&folder)?;
            Self::load(&Parts::Folder(&folder), config, Tokenizer::from_folder(path)?, compute)
        } else {
            let file = Gguf::open(path)?;
            let config = EncoderConfig::from_gguf(&file)?;
            Self::load(&Parts::Gguf(&file), config, Tokenizer::from_gguf(&file)?, compute)
        }
    }

    fn load(from: &Parts, config: EncoderConfig, tokenizer: Tokenizer, compute: Compute) -> Result<Self, EngineError> {
        let (hidden, wide) = (config.hidden_size, config.intermediate_size);
        let matrix = |name: Name, rows| Linear::load(&from.get(name, "weight", &[rows, hidden])?);
        let words = matrix(Name("token_embd", "embeddings.word_embeddings"), config.vocab_size)?;
        let positions =
            matrix(Name("position_embd", "embeddings.position_embeddings"), config.max_position_embeddings)?;
        let types = from.find(&Name("token_types", "embeddings.token_type_embeddings"), "weight");
        let segment = match types {
            Some(types) if types.shape.len() == 2 && types.shape[1] == hidden => types.rows(0..1).to_f32()?,
            Some(types) => return Err(types.bad(format!("has the shape {:?}", types.shape))),
            None => vec![0.0; hidden],
        };
        let norm = from.norm(Name("token_embd_norm", "embeddings.LayerNorm"), hidden)?;
        let blocks: Result<Vec<Block>, EngineError> = (0..config.num_hidden_layers)
            .map(|layer| {
                let names =
                    |gguf: &str, hf: &str| (format!("blk.{layer}.{gguf}"), format!("encoder.layer.{layer}.{hf}"));
                let dense = |gguf: &str, hf: &str, shape: [usize; 2]| {
                    let (gguf, hf) = names(gguf, hf);
                    let weight = Linear::load(&from.get(Name(&gguf, &hf), "weight", &shape)?)?;
                    Ok::<_, EngineError>(Dense {
                        weight,
                        bias: from.get(Name(&gguf, &hf), "bias", &shape[..1])?.to_f32()?,
                    })
                };
                let norm = |gguf: &str, hf: &str| {
                    let (gguf, hf) = names(gguf, hf);
                    from.norm(Name(&gguf, &hf), hidden)
                };
                Ok(Block {
                    qkv: [
                        dense("attn_q", "attention.self.query", [hidden, hidden])?,
                        dense("attn_k", "attention.self.key", [hidden, hidden])?,
                        dense("attn_v", "attention.self.value", [hidden, hidden])?,
                    ],
                    output: dense("attn_output", "attention.output.dense", [hidden, hidden])?,
                    output_norm: norm("attn_output_norm", "attention.output.LayerNorm")?,
                    up: dense("ffn_up", "intermediate.dense", [wide, hidden])?,
                    down: dense("ffn_down", "output.dense", [hidden, wide])?,
                    down_norm: norm("layer_output_norm", "output.LayerNorm")?,
                })
            })
            .collect();
        Ok(Self { blocks: blocks?, config, tokenizer, compute, words, positions, segment, norm })
    }

    /// A text as one vector of length 1, `hidden_size` numbers.
    ///
    /// # Errors
    /// [`EngineError::ContextOverflow`] for a text of more tokens than the encoder has positions for.
    pub fn embed(&mut self, text: &str) -> Result<Vec<f32>, EngineError> {
        let mut tokens: Vec<u32> = self.tokenizer.beginning().into_iter().collect();
        tokens.extend(self.tokenizer.encode(text));
        tokens.extend(self.tokenizer.ending());
        let limit = self.config.max_position_embeddings;
        if tokens.len() > limit {
            return Err(EngineError::ContextOverflow { prompt: tokens.len(), limit });
        }
        if tokens.is_empty() {
            return Err(EngineError::BadSetting { what: "the text is empty; write a word or more".into() });
        }
        let rows = self.forward(&tokens);
        Ok(pool(&rows, self.config.hidden_size, self.config.pooling))
    }

    /// Residual streams after the last block, `tokens × hidden_size`.
    fn forward(&mut self, tokens: &[u32]) -> Vec<f32> {
        let Self { config, compute, .. } = self;
        let (count, hidden, eps) = (tokens.len(), config.hidden_size, config.layer_norm_eps);
        compute.begin_pass(count);
        let (mut x, mut row) = (Vec::with_capacity(count * hidden), vec![0.0; hidden]);
        for (position, token) in tokens.iter().enumerate() {
            self.words.row(*token as usize, &mut row);
            let word = row.clone();
            self.positions.row(position, &mut row);
            x.extend((0..hidden).map(|i| word[i] + self.segment[i] + row[i]));
        }
        let mut normed = vec![0.0; x.len()];
        self.norm.run(compute.isa, &x, eps, &mut normed);
        std::mem::swap(&mut x, &mut normed);
        let dim = hidden / config.num_attention_heads;
        let shape = Shape {
            heads: config.num_attention_heads,
            kv_heads: config.num_attention_heads,
            head_dim: dim,
            scale: 1.0 / (dim as f32).sqrt(),
            softcap: None,
            window: None,
            causal: false,
        };
        let [mut q, mut k, mut v, mut mixed] = [const { Vec::new() }; 4].map(|_: Vec<f32>| vec![0.0; x.len()]);
        let mut wide = vec![0.0; count * config.intermediate_size];
        let (mut weights, mut cache) = (Vec::new(), KvCache::new(1, hidden, count));
        for block in &self.blocks {
            let [q_proj, k_proj, v_proj] = &block.qkv;
            for (dense, out) in [(q_proj, &mut q), (k_proj, &mut k), (v_proj, &mut v)] {
                dense.run(&x, count, compute, out);
            }
            cache.truncate(0);
            cache.append(0, &k, &v, &mut compute.threads);
            shape.attend(0, count, &q, &cache, compute, &mut weights, false, &mut mixed);
            cache.advance(count);
            block.output.run(&mixed, count, compute, &mut q);
            compute.add(&mut x, &q);
            block.output_norm.run(compute.isa, &x, eps, &mut normed);
            block.up.run(&normed, count, compute, &mut wide);
            kernels::gelu_erf(compute.isa, &mut wide);
            block.down.run(&wide, count, compute, &mut x);
            compute.add(&mut normed, &x);
            block.down_norm.run(compute.isa, &normed, eps, &mut x);
        }
        x
    }
}

impl Norm {
    fn run(&self, isa: Isa, x: &[f32], eps: f32, out: &mut [f32]) {
        kernels::layer_norm(isa, x, &self.0[0], &self.0[1], eps, out);
    }
}

impl Dense {
    fn run(&self, x: &[f32], tokens: usize, compute: &mut Compute, out: &mut [f32]) {
        compute.multiply(x, tokens, &mut [(&self.weight, &mut *out)]);
        for out in out.chunks_exact_mut(self.bias.len()) {
            out.iter_mut().zip(&self.bias).for_each(|(out, bias)| *out += bias);
        }
    }
}

impl<'a> Parts<'a> {
    fn find(&self, name: &Name, kind: &str) -> Option<TensorView<'a>> {
        match self {
            Self::Gguf(file) => Some(view(file, file.tensor(&format!("{}.{kind}", name.0))?)),
            Self::Folder(folder) => {
                // Whole BERT models put `bert.` before the encoder's names.
                let own = format!("{}.{kind}", name.1);
                let info = folder.weights.tensor(&own).or_else(|| folder.weights.tensor(&format!("bert.{own}")))?;
                Some(safetensors_view(&folder.weights, info))
            }
        }
    }

    fn get(&self, name: Name, kind: &str, shape: &[usize]) -> Result<TensorView<'a>, EngineError> {
        match (self.find(&name, kind), self) {
            (Some(view), _) => view.expect(shape),
            (None, Self::Gguf(file)) => Err(file.bad(format!("the tensor `{}.{kind}` is missing", name.0))),
            (None, Self::Folder(folder)) => Err(match folder.weights.require(&format!("{}.{kind}", name.1)) {
                Err(error) => error,
                Ok(_) => folder.weights.bad(format!("the tensor `{}.{kind}` is missing", name.1)),
            }),
        }
    }

    fn norm(&self, name: Name, width: usize) -> Result<Norm, EngineError> {
        let part = |kind| self.get(Name(name.0, name.1), kind, &[width])?.to_f32();
        Ok(Norm([part("weight")?, part("bias")?]))
    }
}
