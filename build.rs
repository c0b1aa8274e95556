//! Builds the block of embedded content from lessons/, glossary/, quizzes/ and records/ (see `src/content/index.rs`).
//!
//! Faulty content does not stop the build: it is named as a warning, and `osai check` (or `cargo test`) tells all.

#![allow(clippy::disallowed_methods, reason = "cargo tells a build script by its environment")]

#[path = "src/content"]
#[allow(dead_code, reason = "the reading half is for the program")]
mod content {
    pub mod error;
    pub mod fields;
    pub mod fold;
    pub mod front;
    pub mod index;
    pub mod records {
        pub mod licence;
        pub mod model;
        pub mod parts;
    }
}
#[path = "src/text.rs"]
#[allow(dead_code, reason = "the program uses all of it")]
mod text;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs, io};

use content::index::{ContentFile, QUESTIONS, build};

const FOLDERS: [&str; 5] = ["glossary", "lessons", "quizzes", "records/models", "records/licences"];

fn main() -> io::Result<()> {
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("set by cargo"));
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("set by cargo"));
    link(&out)?;
    println!("cargo::rerun-if-changed=build.rs");
    for shared in ["error", "fields", "fold", "front", "index", "records/licence", "records/model", "records/parts"] {
        println!("cargo::rerun-if-changed=src/content/{shared}.rs");
    }
    let mut files = Vec::new();
    for folder in FOLDERS {
        // Cargo looks at everything below a folder, so a new file is noticed too.
        println!("cargo::rerun-if-changed={folder}");
        collect(&root.join(folder), folder, &mut files)?;
    }
    println!("cargo::rerun-if-changed={QUESTIONS}");
    if let Ok(text) = fs::read_to_string(root.join(QUESTIONS)) {
        files.push(ContentFile { path: QUESTIONS.into(), text, is_pack: false });
    }
    let (block, faults) = build(files);
    for fault in faults {
        println!("cargo::warning={}:{}:{}: {}", fault.path, fault.line, fault.column, fault.kind);
    }
    fs::write(out.join("content.bin"), block)
}

/// Content files of one folder; names that begin with a dot are not content.
fn collect(folder: &Path, name: &str, files: &mut Vec<ContentFile>) -> io::Result<()> {
    if !folder.exists() {
        return Ok(());
    }
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let file = path.file_name().and_then(|file| file.to_str()).unwrap_or_default();
        if !file.is_empty() && !file.starts_with('.') && path.is_file() {
            let text = String::from_utf8_lossy(&fs::read(&path)?).into_owned();
            files.push(ContentFile { path: format!("{name}/{file}"), text, is_pack: false });
        }
    }
    Ok(())
}

/// Links the program at a fixed address on Linux, and with the C library inside where its archive is installed (Debian's
/// libc6-dev has it): 25,351 pointers in its tables need not be adjusted and 300 names not be looked up at each start
/// then, which is over half of what `osai define` costs, and the program runs beside any C library. Stack and heap
/// still lie at random addresses.
fn link(out: &Path) -> io::Result<()> {
    let target = |part: &str| env::var(format!("CARGO_CFG_TARGET_{part}")).unwrap_or_default();
    if target("OS") != "linux" || target("ENV") != "gnu" || target("ARCH") != "x86_64" {
        return Ok(());
    }
    println!("cargo::rustc-link-arg-bins=-no-pie");
    let is_native = env::var("HOST") == env::var("TARGET");
    let (Some(c), Some(unwinder), Some(gcc)) = (archive("libc.a"), archive("libgcc_eh.a"), archive("libgcc.a")) else {
        return Ok(());
    };
    let Some(m) = archive("libm.a").filter(|_| is_native) else { return Ok(()) };
    // rustc asks for shared libraries by name. It finds these first, which name the archives instead.
    let shims = out.join("static");
    fs::create_dir_all(&shims)?;
    fs::write(shims.join("libc.so"), format!("GROUP ( {c} {unwinder} {gcc} )\n"))?;
    fs::write(shims.join("libgcc_s.so"), format!("GROUP ( {unwinder} {gcc} )\n"))?;
    fs::write(shims.join("libm.so"), format!("GROUP ( {m} )\n"))?;
    println!("cargo::rustc-link-arg-bins=-static");
    println!("cargo::rustc-link-arg-bins=-L{}", shims.display());
    Ok(())
}

/// Where the C compiler keeps an archive; `None` if it has none.
fn archive(name: &str) -> Option<String> {
    let said = Command::new("cc").arg(format!("-print-file-name={name}")).output().ok()?;
    let path = String::from_utf8(said.stdout).ok()?.trim().to_owned();
    Path::new(&path).is_absolute().then_some(path)
}
