//! The layer rule, kept by a test because rustc cannot keep it inside one crate.

#![allow(clippy::unwrap_used, reason = "helpers of a test")]

use std::fs;
use std::path::Path;

/// Each module and the modules it may name. Everything else in `crate::` is out of bounds.
const MAY_USE: &[(&str, &[&str])] = &[
    ("text", &[]),
    ("theme", &[]),
    ("content", &["text"]),
    ("engine", &["text"]),
    ("progress", &["text"]),
    ("models", &["text"]),
    ("corpus", &[]),
    ("labs", &["content", "engine", "text", "theme"]),
    ("ui", &["content", "engine", "labs", "models", "progress", "text", "theme"]),
    ("cli", &["content", "corpus", "engine", "labs", "models", "progress", "text", "theme", "ui"]),
];

fn violations(src: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for (module, allowed) in MAY_USE {
        let mut files = vec![src.join(format!("{module}.rs")), src.join(module)];
        while let Some(path) = files.pop() {
            if path.is_dir() {
                files.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
                continue;
            }
            let Ok(text) = fs::read_to_string(&path) else { continue };
            for (number, line) in text.lines().enumerate().filter(|(_, l)| !l.trim_start().starts_with("//")) {
                for used in line.split("crate::").skip(1) {
                    let name: String = used.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                    let known = MAY_USE.iter().any(|(m, _)| *m == name);
                    if known && name != *module && !allowed.contains(&name.as_str()) {
                        found.push(format!("{}:{}: {module} may not use {name}", path.display(), number + 1));
                    }
                }
            }
        }
    }
    found
}

#[test]
fn modules_stay_in_their_layer() {
    let found = violations(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    assert!(found.is_empty(), "{}", found.join("\n"));
}
