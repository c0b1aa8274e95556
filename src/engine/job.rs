//! What the model can be asked to do, and what it says about it: plain data.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::EngineError;
use super::inside::{Lens, Pooling, Score, Traced};
use super::lora::{Attached, Lora};
use super::probe::Interventions;

/// A token's number in the vocabulary.
pub type TokenId = u32;

/// Numbers a run, so that late news of an older run can be told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RunId(pub u64);

/// How the next token is drawn; names as in Hugging Face's `generation_config.json`.
///
/// Applied in Hugging Face's order: logit bias, penalties, the grammar's mask, temperature, top-k, top-p, min-p,
/// typical-p.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SamplingParams {
    /// Divides the logits before softmax. `0.0` is greedy: the likeliest token, always. Range `0.0..=10.0`.
    pub temperature: f32,
    /// Keep only the `k` likeliest tokens; `None` keeps all.
    pub top_k: Option<usize>,
    /// Keep the smallest set whose probabilities reach `p`, `0.0 < p <= 1.0`; `None` keeps all.
    pub top_p: Option<f32>,
    /// Keep tokens at least `min_p` times as likely as the likeliest, `0.0..=1.0`; `None` keeps all.
    pub min_p: Option<f32>,
    /// Locally typical sampling: keep the tokens whose surprise is nearest to the expected one, until their
    /// probabilities reach `p`, `0.0 < p <= 1.0`; `None` keeps all. Source: Meister et al., 2022.
    #[serde(default)]
    pub typical_p: Option<f32>,
    /// Divides (or multiplies, if negative) the logits of tokens already in the text; `1.0` changes nothing.
    pub repetition_penalty: f32,
    /// Taken off a token's logit for each time that the answer has it already, `-2.0..=2.0`; OpenAI's definition.
    #[serde(default)]
    pub frequency_penalty: f32,
    /// Taken off a token's logit once if the answer has it already, `-2.0..=2.0`; OpenAI's definition.
    #[serde(default)]
    pub presence_penalty: f32,
    /// Added to the logits of single tokens, `-100.0..=100.0`; at -100 a token all but never comes.
    #[serde(default)]
    pub logit_bias: Vec<(BiasToken, f32)>,
    /// Same seed, prompt, file and settings: same tokens. `None` draws one, which [`RunStats`] then tells.
    pub seed: Option<u64>,
}

impl Default for SamplingParams {
    fn default() -> Self {
        Self {
            temperature: 1.0,
            top_k: None,
            top_p: None,
            min_p: None,
            typical_p: None,
            repetition_penalty: 1.0,
            frequency_penalty: 0.0,
            presence_penalty: 0.0,
            logit_bias: Vec::new(),
            seed: None,
        }
    }
}

impl SamplingParams {
    /// Always the likeliest token.
    pub fn greedy() -> Self {
        Self { temperature: 0.0, ..Self::default() }
    }
}

/// The token that a logit bias is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum BiasToken {
    /// By its number.
    Id(TokenId),
    /// By its text, which must be exactly one token of the model's vocabulary.
    Text(String),
}

/// A grammar that the answer must follow, as text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum GrammarSource {
    /// GBNF, llama.cpp's notation.
    Gbnf(String),
    /// A JSON Schema.
    JsonSchema(String),
}

/// What to do when the context is full: forget the oldest tokens and go on.
///
/// What stays is read again from its first token, so the text goes on exactly as if it had begun with what is left
/// (turning cached keys to their new positions would be quicker and not the same bits).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContextShift {
    /// Tokens at the beginning that are never forgotten. `None`: in a chat all before the first words of the user
    /// (so the system prompt), else the token that begins every text.
    pub n_keep: Option<usize>,
}

/// What shapes and bounds an answer besides sampling; by default nothing does.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct GenerationOptions {
    /// The answer ends before the first of these; it is not shown.
    pub stop_strings: Vec<String>,
    /// Only tokens that this grammar allows are drawn.
    pub grammar: Option<GrammarSource>,
    /// How many of the likeliest tokens each [`Update::Token`] gives a log-probability for; `None` for none at all.
    pub logprobs: Option<usize>,
    /// Go on when the context is full; `None` ends the answer there.
    pub context_shift: Option<ContextShift>,
    /// Watts that a busy core is taken to draw, for [`Energy`] where it cannot be measured.
    pub watts_per_core: Option<f32>,
}

/// Who speaks in a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Sets the frame; comes first.
    System,
    /// The learner.
    User,
    /// The model.
    Assistant,
}

/// One turn of a conversation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChatMessage {
    /// Who speaks.
    pub role: Role,
    /// What is said.
    pub content: String,
}

/// What the model continues.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Prompt {
    /// Raw text, continued as it stands; special tokens written in it stay ordinary text.
    Text(String),
    /// A conversation, rendered with the file's chat template.
    Chat(Vec<ChatMessage>),
    /// A text as a chat template writes it, with nothing before it: names of control tokens in it are control tokens.
    /// For texts of our own, never for what somebody typed.
    Raw(String),
}

/// One piece of work for the model. The list is closed: labs combine these, they do not add to them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Job {
    /// Open the model if it is not open; answers [`Update::Ready`].
    Open,
    /// Cut a text into tokens; answers [`Update::Tokens`].
    Tokenize {
        /// The text.
        text: String,
    },
    /// The logits over the next token; answers [`Update::Next`].
    Next {
        /// The text so far.
        prompt: Prompt,
    },
    /// Continue a prompt; answers [`Update::Prompt`] once, then [`Update::Token`] for each token, and
    /// [`Update::Rest`] where text was held back at the end.
    Generate {
        /// What to continue.
        prompt: Prompt,
        /// How tokens are drawn.
        sampling: SamplingParams,
        /// Stop after this many tokens.
        max_new_tokens: usize,
        /// How many of the likeliest candidates each [`Update::Token`] carries.
        top_candidates: usize,
        /// Stop strings, grammar and the like.
        #[serde(default)]
        options: GenerationOptions,
    },
    /// Everything that is computed while a prompt is read; answers [`Update::Trace`].
    Trace {
        /// The text.
        prompt: Prompt,
    },
    /// What the model would say after each layer (the logit lens); answers [`Update::Lens`].
    Lens {
        /// The text.
        prompt: Prompt,
    },
    /// How well each token of a text was foreseen; answers [`Update::Score`].
    Score {
        /// The text.
        prompt: Prompt,
    },
    /// A text as one vector of length 1; answers [`Update::Vector`].
    Embed {
        /// The text.
        prompt: Prompt,
        /// How its tokens become one vector.
        pooling: Pooling,
    },
    /// A steering vector: what one text has and another has not; answers [`Update::Vector`].
    Contrast {
        /// What it pushes towards.
        a: Prompt,
        /// What it pushes away from.
        b: Prompt,
        /// The layer before which it is taken, and is to be added.
        layer: usize,
    },
    /// Do a job with parts of the model switched off or pushed; they hold for that job alone.
    With {
        /// What is changed.
        interventions: Interventions,
        /// The job.
        job: Box<Job>,
    },
    /// Use these LoRA adapters from now on and no others; answers [`Update::Adapted`]. An empty list is the model as it
    /// is in its file. They come as data, since the model's own process may read no file but the model's.
    Adapt {
        /// Adapters with their strengths.
        adapters: Vec<(Lora, f32)>,
    },
}

/// A token of a text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TextToken {
    /// Its number in the vocabulary.
    pub id: TokenId,
    /// Its bytes; may be part of a character.
    pub bytes: Vec<u8>,
    /// Whether it is a special (control) token.
    pub special: bool,
}

impl TextToken {
    /// The token as text; `None` when its bytes are no whole UTF-8.
    pub fn text(&self) -> Option<&str> {
        std::str::from_utf8(&self.bytes).ok()
    }

    /// The token as text, with `U+FFFD` for bytes that are no whole character.
    pub fn lossy(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }
}

/// A token that may come next.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Candidate {
    /// The token.
    pub token: TextToken,
    /// Its logit before temperature and penalty.
    pub logit: f32,
    /// Its probability at the temperature in force (at 0: at 1), before the grammar's mask and any filter.
    pub probability: f32,
    /// Whether it is still there after the mask and the filters.
    pub kept: bool,
    /// Whether the grammar allows it here; always, where there is none.
    #[serde(default = "yes")]
    pub allowed: bool,
}

fn yes() -> bool {
    true
}

/// What a grammar leaves of the vocabulary at one step.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Mask {
    /// Number of tokens that are allowed.
    pub allowed: usize,
    /// Their part of the probability, `0.0..=1.0`. A candidate that is allowed has the probability
    /// `probability / mass` under the mask.
    pub mass: f32,
}

/// Log-probabilities at one step, natural logarithms, of the model's own distribution: at temperature 1, before bias,
/// penalties, mask and filters, as interfaces in OpenAI's style give them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Logprobs {
    /// Of the token that was drawn.
    pub chosen: f32,
    /// Of the likeliest tokens, likeliest first.
    pub top: Vec<(TextToken, f32)>,
}

/// The distribution over the next token.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NextTokens {
    /// The prompt as tokens.
    pub prompt: Vec<TextToken>,
    /// One logit for each token id, `vocab_size` long.
    pub logits: Vec<f32>,
    /// The likeliest tokens with their bytes, likeliest first: `(token, logit)`; at least 256, or the whole vocabulary.
    pub top: Vec<(TextToken, f32)>,
}

/// What is known of an open model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelInfo {
    /// `general.name` of the file, or the file's name.
    pub name: String,
    /// The file.
    #[serde(serialize_with = "super::child::path_as_shown")]
    pub path: PathBuf,
    /// `general.architecture`.
    pub architecture: String,
    /// The commonest type of its matrices, as GGUF names it (`Q4_1`).
    pub quantization: String,
    /// Number of parameters.
    pub parameters: u64,
    /// Number of layers (`num_hidden_layers`).
    pub num_hidden_layers: usize,
    /// Width (`hidden_size`).
    pub hidden_size: usize,
    /// Size of the vocabulary.
    pub vocab_size: usize,
    /// Tokens it reads at most.
    pub max_position_embeddings: usize,
    /// Bytes of the file.
    pub file_bytes: u64,
    /// Whether the file carries a chat template.
    pub has_chat_template: bool,
}

/// Why a run ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stop {
    /// The model ended its text, a stop string came, or the grammar was at its end.
    #[default]
    Stop,
    /// `max_new_tokens` or the end of the context was reached.
    Length,
    /// The learner stopped it.
    Cancelled,
}

/// What a run took.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RunStats {
    /// Why it ended.
    pub stop: Stop,
    /// The stop string that ended it.
    pub stop_string: Option<String>,
    /// The seed, given or drawn.
    pub seed: u64,
    /// Tokens of the prompt.
    pub prompt_tokens: usize,
    /// Tokens of the prompt that did not have to be read, since the run before had read them.
    pub cached_tokens: usize,
    /// Tokens made.
    pub new_tokens: usize,
    /// Tokens forgotten by a context shift, of prompt and answer together.
    pub dropped_tokens: usize,
    /// Prompt tokens read a second (prefill); `0.0` when none were.
    pub prompt_tokens_per_second: f64,
    /// New tokens a second after the first (decode); `0.0` with fewer than two.
    pub tokens_per_second: f64,
    /// From the start of the job to the first token, in milliseconds.
    pub time_to_first_token_ms: f64,
    /// From the start of the job to its end, in milliseconds.
    pub elapsed_ms: f64,
    /// Memory at the end.
    pub memory: Memory,
    /// Energy of the whole run; `None` where not even the processor's time is known.
    pub energy: Option<Energy>,
}

/// Memory, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// The model's weights.
    pub weight_bytes: u64,
    /// Keys and values of the text so far.
    pub cache_bytes: u64,
    /// What the process holds (`VmRSS`), weights and cache included; `None` where the system does not tell.
    pub resident_bytes: Option<u64>,
    /// The most that it ever held (`VmHWM`).
    pub peak_resident_bytes: Option<u64>,
}

/// Energy of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Energy {
    /// In joules (watt seconds).
    pub joules: f64,
    /// Whether a counter of the processor was read; else it is an estimate.
    pub is_measured: bool,
    /// What the figure rests on, in words.
    pub assumption: String,
}

impl RunStats {
    /// Of a run that did nothing yet.
    pub(super) fn nothing(stop: Stop) -> Self {
        Self { stop, ..Self::default() }
    }
}

/// What the model says about a run, in order. `Finished` or `Failed` comes last, once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Update {
    /// The model is open.
    Ready(ModelInfo),
    /// A long prompt is being read: `done` of `total` tokens so far.
    Reading {
        /// Tokens read.
        done: usize,
        /// Tokens of the prompt that are to be read.
        total: usize,
    },
    /// Answer to [`Job::Tokenize`].
    Tokens(Vec<TextToken>),
    /// Answer to [`Job::Next`].
    Next(NextTokens),
    /// The prompt as it is read: the rendered text and its tokens.
    Prompt {
        /// The text after the chat template.
        text: String,
        /// Its tokens.
        tokens: Vec<TextToken>,
    },
    /// One new token.
    Token {
        /// The token drawn, with its probability.
        chosen: Candidate,
        /// The text that is now complete; empty while a character waits for its other half, or what may become a
        /// stop string for the rest of it.
        text: String,
        /// The likeliest candidates before the mask and the filters, likeliest first.
        candidates: Vec<Candidate>,
        /// What the grammar leaves; `None` without a grammar.
        mask: Option<Mask>,
        /// Log-probabilities, if asked for.
        logprobs: Option<Logprobs>,
        /// From the start of the job until now, in milliseconds.
        #[serde(default)]
        elapsed_ms: f64,
    },
    /// Text that was held back and belongs to the answer: half a stop string, or half a character.
    Rest {
        /// The text.
        text: String,
    },
    /// Answer to [`Job::Trace`].
    Trace(Traced),
    /// Answer to [`Job::Lens`].
    Lens(Lens),
    /// Answer to [`Job::Score`].
    Score(Score),
    /// Answer to [`Job::Embed`] and [`Job::Contrast`]: `hidden_size` numbers.
    Vector(Vec<f32>),
    /// Answer to [`Job::Adapt`]: the adapters in use.
    Adapted(Vec<Attached>),
    /// The run is over.
    Finished(RunStats),
    /// The run failed.
    Failed(EngineError),
}
