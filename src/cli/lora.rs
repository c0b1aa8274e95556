//! LoRA adapters on the command line: `--lora`, `osai model apply-lora`, `osai model convert-lora`.

use std::ffi::{OsStr, OsString};
use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args as ClapArgs;

use super::environment::Globals;
use super::failure::{Failure, MODEL};
use super::merge::{ToArgs, Watch, open};
use super::out::{Out, safe};
use super::session;
use crate::engine::Model;
use crate::engine::lora::{Base, Lora, apply_lora};

/// `osai model apply-lora`.
#[derive(Debug, ClapArgs)]
pub struct ApplyArgs {
    /// The model: a name or a GGUF file
    #[arg(value_name = "MODEL")]
    model: OsString,
    /// Adapters: PEFT's folders or GGUF files, each with its strength if that is not 1 (`style.gguf:0.5`)
    #[arg(required = true, value_name = "ADAPTER[:STRENGTH]")]
    adapters: Vec<OsString>,
    /// Where it goes.
    #[command(flatten)]
    to: ToArgs,
}

/// `osai model convert-lora`.
#[derive(Debug, ClapArgs)]
pub struct ConvertArgs {
    /// The adapter: PEFT's folder or a GGUF file
    #[arg(value_name = "IN")]
    from: PathBuf,
    /// Where it goes: a file that ends in .gguf, or a folder for PEFT's two files
    #[arg(value_name = "OUT")]
    to: PathBuf,
    /// Replace what is there
    #[arg(long)]
    force: bool,
}

/// Writes a model with adapters merged into its weights.
pub fn apply(args: &ApplyArgs, globals: &Globals, out: &mut Out) -> Result<(), Failure> {
    args.to.check()?;
    let file = open(&args.model, globals)?;
    let mut loras = Vec::with_capacity(args.adapters.len());
    for adapter in &args.adapters {
        let (path, strength) = with_strength(adapter);
        loras.push((Lora::load(&path)?, strength));
    }
    let adapters: Vec<(&Lora, f32)> = loras.iter().map(|(lora, strength)| (lora, *strength)).collect();
    let threads = session::threads(globals);
    let mut watch = Watch::new("merging")?;
    let to = &args.to;
    let report = apply_lora(&file, &adapters, to.recipe, threads, &to.output, &mut |progress| watch.tell(progress));
    watch.end(report, to, out)
}

/// Writes an adapter in the other form. The model that it is for says in which order its rows stand.
pub fn convert(args: &ConvertArgs, globals: &Globals, out: &mut Out) -> Result<(), Failure> {
    let is_gguf = args.to.extension().is_some_and(|ext| ext.eq_ignore_ascii_case("gguf"));
    let is_there = if is_gguf { args.to.exists() } else { args.to.join("adapter_config.json").exists() };
    if is_there && !args.force {
        return Err(Failure::usage(format!("`{}` is there already; --force replaces it", args.to.display())));
    }
    let lora = Lora::load(&args.from)?;
    let model = session::find_model(globals).map_err(|sentence| Failure::new(MODEL, sentence))?;
    let base = Base::open(&model)?;
    let written = if is_gguf { lora.save_gguf(&args.to, &base) } else { lora.save_peft(&args.to, &base) };
    written.map_err(|error| {
        let hint = format!("--model names the model that it is for (now `{}`)", model.display());
        Failure::new(MODEL, format!("{error}; {hint}"))
    })?;
    writeln!(
        out,
        "wrote {} (rank {}, {} matrices, {} numbers)",
        safe(args.to.to_string_lossy()),
        lora.config.r,
        lora.pairs.len(),
        lora.parameters()
    )?;
    Ok(())
}

/// Attaches what `--lora` names.
pub fn attach(model: &mut Model, globals: &Globals) -> Result<(), Failure> {
    for adapter in &globals.lora {
        let (path, strength) = with_strength(adapter);
        model.attach(&Lora::load(&path)?, strength)?;
    }
    Ok(())
}

/// `style.gguf:0.5` is `style.gguf` at half its strength; a path that is there as it stands is a path.
fn with_strength(adapter: &OsStr) -> (PathBuf, f32) {
    let whole = || (PathBuf::from(adapter), 1.0);
    if Path::new(adapter).exists() {
        return whole();
    }
    let Some((path, strength)) = adapter.to_str().and_then(|text| text.rsplit_once(':')) else { return whole() };
    match strength.parse::<f32>() {
        Ok(strength) if !path.is_empty() => (path.into(), strength),
        _ => whole(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_strength_follows_the_last_colon() {
        let read = |text: &str| with_strength(OsStr::new(text));
        assert_eq!(read("style.gguf"), ("style.gguf".into(), 1.0));
        assert_eq!(read("style.gguf:0.5"), ("style.gguf".into(), 0.5));
        assert_eq!(read("a:b:-1"), ("a:b".into(), -1.0));
        assert_eq!(read("C:\\style"), ("C:\\style".into(), 1.0));
        assert_eq!(read(":1"), (":1".into(), 1.0));
    }
}
