//! The files of a run: written whole under their names, or not at all.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::recipe::Plan;
use crate::cli::failure::{DATA, Failure, USAGE};
use crate::corpus::{Bpe, CHAT_TEMPLATE, Manifest, Position};
use crate::engine::gguf::GgmlType;
use crate::engine::gguf::write::Writer;
use crate::engine::train::{Network, Trainer};

/// The run's state.
pub const CHECKPOINT: &str = "checkpoint.safetensors";
/// Its events.
pub const LOG: &str = "log.jsonl";
/// The model.
pub const MODEL: &str = "model.gguf";
/// Numbers of the tokens that begin and end a turn.
const TURN: (u32, u32) = (1, 2);

/// The folder of a run.
#[derive(Debug)]
pub struct Folder {
    /// Where it is.
    pub path: PathBuf,
}

impl Folder {
    /// Makes the folder for a new run, or finds the one of a run that is to go on.
    pub fn open(path: &Path, resume: bool) -> Result<Self, Failure> {
        let has_run = path.join(CHECKPOINT).is_file();
        let shown = path.display();
        if has_run && !resume {
            let sentence = format!("`{shown}` holds a run already; --resume goes on with it, or name another folder");
            return Err(Failure::new(USAGE, sentence));
        }
        if resume && !has_run {
            let sentence = format!("`{shown}` holds no {CHECKPOINT} to go on from; leave out --resume to begin a run");
            return Err(Failure::new(USAGE, sentence));
        }
        fs::create_dir_all(path).map_err(|e| Failure::new(DATA, format!("cannot make the folder `{shown}`: {e}")))?;
        Ok(Self { path: path.into() })
    }

    /// A file in it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Brings the trainer to where the run was left; gives the place in the corpus.
    pub fn load(&self, trainer: &mut Trainer, plan: &Plan) -> Result<Position, Failure> {
        let path = self.file(CHECKPOINT);
        let bad = |why: &str| Failure::new(DATA, format!("`{}`: {why}", path.display()));
        let other = "it was made by another recipe, seed or number of tokens; give those of that run, or another --out";
        // The trainer compares its own settings first; both mean the same to whoever reads it.
        let extra = trainer.load(&path).map_err(|error| match error {
            crate::engine::EngineError::BadFile { ref why, .. } if why.contains("other settings") => bad(other),
            error => Failure::from(error).with_code(DATA),
        })?;
        if extra.get("recipe") != Some(&plan.sha256) {
            return Err(bad(other));
        }
        let position = extra.get("position").and_then(|text| serde_json::from_str(text).ok());
        position.ok_or_else(|| bad("it does not say where in the corpus the run was; start the run anew"))
    }

    /// Writes the checkpoint, then the model so far.
    pub fn save(&self, trainer: &Trainer, plan: &Plan, bpe: &Bpe, position: &Position) -> Result<(), Failure> {
        let position_text = serde_json::to_string(position).expect("counters under text keys");
        let extra = BTreeMap::from([("recipe".into(), plan.sha256.clone()), ("position".into(), position_text)]);
        trainer.save(&self.file(CHECKPOINT), &extra)?;
        trainer.network.save_gguf(keys(plan, bpe), GgmlType::F16, &self.file(MODEL))?;
        write(&self.file("manifest.json"), Manifest::new(&plan.recipe, position).json().as_bytes())
    }

    /// The model's hash.
    pub fn sha256(&self) -> Result<String, Failure> {
        sha256_of(&self.file(MODEL))
    }
}

/// A file's hash.
pub fn sha256_of(path: &Path) -> Result<String, Failure> {
    let cannot = |e: io::Error| Failure::new(DATA, format!("cannot read `{}`: {e}", path.display()));
    let (mut file, mut hash) = (fs::File::open(path).map_err(cannot)?, Sha256::new());
    io::copy(&mut file, &mut hash).map_err(cannot)?;
    Ok(format!("{:x}", hash.finalize()))
}

/// What the model's file says besides its shape: name, vocabulary, chat template.
fn keys(plan: &Plan, bpe: &Bpe) -> Writer {
    let mut writer = Writer::new();
    writer.set("general.architecture", "llama");
    writer.set("general.type", "model");
    writer.set("general.name", plan.recipe.name.as_str());
    writer.set("general.license", plan.recipe.licence.to_lowercase());
    writer.set("general.file_type", 1_u32);
    writer.set("tokenizer.ggml.model", "gpt2");
    writer.set("tokenizer.ggml.pre", "smollm");
    writer.set("tokenizer.ggml.tokens", bpe.token_list().as_slice());
    writer.set("tokenizer.ggml.token_type", bpe.token_types().as_slice());
    writer.set("tokenizer.ggml.merges", bpe.merge_list().as_slice());
    writer.set("tokenizer.ggml.bos_token_id", TURN.0);
    writer.set("tokenizer.ggml.eos_token_id", TURN.1);
    writer.set("tokenizer.ggml.padding_token_id", TURN.1);
    writer.set("tokenizer.ggml.add_bos_token", false);
    writer.set("tokenizer.chat_template", CHAT_TEMPLATE);
    writer
}

/// Writes the model as a Hugging Face folder.
pub fn export(network: &Network, bpe: &Bpe, folder: &Path) -> Result<(), Failure> {
    network.save_folder(folder, TURN.0, TURN.1)?;
    write(&folder.join("tokenizer.json"), bpe.tokenizer_json().as_bytes())?;
    write(&folder.join("tokenizer_config.json"), bpe.tokenizer_config_json().as_bytes())
}

/// Writes a small file.
pub fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let part = path.with_file_name(format!(".{name}.part"));
    let written = (|| {
        let mut file = fs::File::create(&part)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&part, path)
    })();
    written.map_err(|e: io::Error| Failure::new(DATA, format!("cannot write `{}`: {e}", path.display())))
}
