//! The environment, read once: variables, home, the program's place. Nothing else in osai reads it.

use std::env;
use std::ffi::OsString;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::ZonedDateTime;

use super::args::{Color, GlobalArgs};
use super::failure::{DATA, Failure, USAGE};
use crate::engine::Isa;
use crate::models::{self, SearchPath};
use crate::theme::Palette;

/// What the environment says, as plain data.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    /// The home folder, if there is one.
    pub home: Option<PathBuf>,
    /// `OSAI_DATA_DIR`.
    pub osai_data_dir: Option<PathBuf>,
    /// `OSAI_MODEL_DIR`.
    pub osai_model_dir: Option<PathBuf>,
    /// `OSAI_CPU`: the instruction set for the model, for tests.
    pub osai_cpu: Option<String>,
    /// `XDG_DATA_HOME`; by the standard a relative path counts as none.
    pub xdg_data_home: Option<PathBuf>,
    /// `XDG_DATA_DIRS`, split.
    pub xdg_data_dirs: Vec<PathBuf>,
    /// The folder of the program itself, links resolved.
    pub program_dir: Option<PathBuf>,
    /// What starts this program once more.
    pub program: Option<PathBuf>,
    /// The working folder.
    pub working_dir: Option<PathBuf>,
    /// `NO_COLOR` is set and not empty.
    pub no_color: bool,
    /// `TERM`.
    pub term: Option<String>,
    /// `COLORTERM`.
    pub colorterm: Option<String>,
    /// `COLORFGBG` names a light background.
    pub is_light: bool,
    /// `OSAI_MOUSE=off` leaves the mouse to the terminal.
    pub wants_mouse: bool,
    /// The locale (`LC_ALL`, `LC_CTYPE`, `LANG`) is UTF-8.
    pub is_utf8: bool,
}

impl Environment {
    /// Reads the process's environment.
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
    pub fn read() -> Self {
        let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty());
        let text = |name: &str| set(name).map(|value| value.to_string_lossy().into_owned());
        let locale = text("LC_ALL").or_else(|| text("LC_CTYPE")).or_else(|| text("LANG")).unwrap_or_default();
        let locale = locale.to_ascii_lowercase();
        Self {
            home: env::home_dir().filter(|home| home.is_absolute()),
            osai_data_dir: set("OSAI_DATA_DIR").map(PathBuf::from),
            osai_model_dir: set("OSAI_MODEL_DIR").map(PathBuf::from),
            osai_cpu: text("OSAI_CPU"),
            xdg_data_home: set("XDG_DATA_HOME").map(PathBuf::from).filter(|path| path.is_absolute()),
            xdg_data_dirs: set("XDG_DATA_DIRS").map(|dirs| env::split_paths(&dirs).collect()).unwrap_or_default(),
            program_dir: env::current_exe()
                .and_then(|program| program.canonicalize())
                .ok()
                .and_then(|program| program.parent().map(Path::to_owned)),
            program: own_program(),
            working_dir: env::current_dir().ok(),
            no_color: set("NO_COLOR").is_some(),
            term: text("TERM"),
            colorterm: text("COLORTERM"),
            is_light: text("COLORFGBG").is_some_and(|both| matches!(both.rsplit(';').next(), Some("7" | "15"))),
            wants_mouse: text("OSAI_MOUSE").is_none_or(|value| value != "off"),
            is_utf8: locale.contains("utf-8") || locale.contains("utf8") || cfg!(windows),
        }
    }

    /// Whether a terminal takes escape sequences, without reading the rest: `osai define` needs no more.
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
    pub fn styles_terminals() -> bool {
        env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
            && env::var_os("TERM").is_none_or(|term| term != "dumb")
    }

    /// Whether the terminal can do nothing but print.
    pub fn is_dumb(&self) -> bool {
        self.term.as_deref() == Some("dumb")
    }
}

/// The program that runs. Linux has a name for the very file, which stays right when the file is replaced by another.
fn own_program() -> Option<PathBuf> {
    let own = Path::new("/proc/self/exe");
    if cfg!(target_os = "linux") && own.exists() { Some(own.to_owned()) } else { env::current_exe().ok() }
}

/// Where osai keeps and looks for things.
#[derive(Clone, Debug)]
pub struct Paths {
    /// The learner's folder; `None` if there is no home and none was given.
    data_dir: Option<PathBuf>,
    /// Where model files are looked for.
    pub models: SearchPath,
}

impl Paths {
    /// From the environment and `--data-dir`.
    pub fn new(env: &Environment, data_dir: Option<&Path>) -> Self {
        let chosen = data_dir.map(Path::to_owned).or_else(|| env.osai_data_dir.clone());
        let usual = default_data_dir(env);
        let data_dir = chosen.or_else(|| usual.clone()).map(|dir| match &env.working_dir {
            Some(working) if dir.is_relative() => working.join(dir),
            _ => dir,
        });
        let mut folders = Vec::new();
        folders.extend(env.osai_model_dir.clone());
        folders.extend(env.program_dir.as_ref().map(|dir| dir.join("models")));
        folders.extend(data_dir.as_deref().map(models::store));
        // A record kept elsewhere (on a stick, in a test) does not hide the model that is installed for this user.
        folders.extend(usual.as_deref().map(models::store));
        let shared = ["/usr/local/share", "/usr/share"].map(PathBuf::from);
        folders.extend(env.xdg_data_dirs.iter().chain(&shared).map(|dir| dir.join("osai").join("models")));
        let mut unique = Vec::new();
        for folder in folders {
            if !unique.contains(&folder) {
                unique.push(folder);
            }
        }
        Self { data_dir, models: SearchPath { folders: unique } }
    }

    /// The learner's folder. It may not exist yet.
    ///
    /// # Errors
    /// There is no home folder and none was given.
    pub fn data_dir(&self) -> Result<&Path, Failure> {
        self.data_dir.as_deref().ok_or_else(|| {
            Failure::new(
                DATA,
                "there is no home folder to keep anything in; give one with --data-dir DIR or OSAI_DATA_DIR",
            )
        })
    }
}

fn default_data_dir(env: &Environment) -> Option<PathBuf> {
    if let Some(dir) = &env.xdg_data_home {
        return Some(dir.join("osai"));
    }
    let home = env.home.as_ref()?;
    Some(if cfg!(target_os = "macos") {
        home.join("Library/Application Support/osai")
    } else if cfg!(windows) {
        home.join("AppData").join("Local").join("osai")
    } else {
        home.join(".local/share/osai")
    })
}

/// What holds for every command: the flags before or after it, and the environment.
#[derive(Clone, Debug)]
pub struct Globals {
    /// The environment.
    pub env: Environment,
    /// Where things are.
    pub paths: Paths,
    /// A content pack that overlays the course.
    pub pack: Option<PathBuf>,
    /// The model asked for: a path or a name.
    pub model: Option<OsString>,
    /// LoRA adapters for the model, perhaps with their strengths.
    pub lora: Vec<OsString>,
    /// Threads for the model, if limited.
    pub threads: Option<usize>,
    /// Instruction set for the model, if not the best.
    pub isa: Option<Isa>,
    color: Color,
    now: Option<ZonedDateTime>,
}

impl Globals {
    /// From the flags and the environment.
    ///
    /// # Errors
    /// A flag that contradicts the machine.
    pub(super) fn new(args: &GlobalArgs, env: Environment) -> Result<Self, Failure> {
        let isa = match env.osai_cpu.as_deref().map(Isa::named) {
            None => None,
            Some(Ok(isa)) => Some(isa),
            Some(Err(why)) => {
                let name = env.osai_cpu.as_deref().unwrap_or_default();
                return Err(Failure::new(USAGE, format!("OSAI_CPU is `{name}`: {why}")));
            }
        };
        Ok(Self {
            paths: Paths::new(&env, args.data_dir.as_deref()),
            pack: args.pack.clone(),
            model: args.model.clone(),
            lora: args.lora.clone(),
            threads: args.threads,
            isa,
            color: args.color,
            now: args.now.clone(),
            env,
        })
    }

    /// Now, in the learner's time zone; or the moment given with `--now`.
    pub fn now(&self) -> ZonedDateTime {
        self.now.clone().unwrap_or_else(ZonedDateTime::now)
    }

    /// [`Globals::now`] as a clock for the app and dialogues.
    pub fn clock(&self) -> Arc<dyn Fn() -> ZonedDateTime + Send + Sync> {
        let now = self.now.clone();
        Arc::new(move || now.clone().unwrap_or_else(ZonedDateTime::now))
    }

    /// The palette for stdout.
    pub fn palette(&self) -> Palette {
        if !self.wants_color(io::stdout().is_terminal()) {
            Palette::Monochrome
        } else if self.env.is_light {
            Palette::Light
        } else {
            Palette::Dark
        }
    }

    /// Whether a stream takes escape sequences for colour and weight: by `--color`, then `NO_COLOR` and `TERM`.
    pub fn wants_color(&self, is_terminal: bool) -> bool {
        match self.color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => is_terminal && !self.env.no_color && !self.env.is_dumb(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn home() -> Environment {
        Environment { home: Some("/home/ada".into()), working_dir: Some("/desk".into()), ..Environment::default() }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_data_folder_follows_flag_variable_xdg_and_home_in_this_order() {
        let mut env = home();
        let dir = |env: &Environment, flag: Option<&str>| Paths::new(env, flag.map(Path::new)).data_dir.unwrap();
        assert_eq!(dir(&env, None), Path::new("/home/ada/.local/share/osai"));
        env.xdg_data_home = Some("/xdg".into());
        assert_eq!(dir(&env, None), Path::new("/xdg/osai"));
        env.osai_data_dir = Some("/stick".into());
        assert_eq!(dir(&env, None), Path::new("/stick"));
        assert_eq!(dir(&env, Some("here")), Path::new("/desk/here"));
    }

    #[test]
    fn without_a_home_the_remedy_is_named() {
        let paths = Paths::new(&Environment::default(), None);
        assert!(paths.data_dir().unwrap_err().message().unwrap().as_str().contains("--data-dir"));
    }

    #[test]
    fn models_are_looked_for_in_the_promised_order() {
        let mut env = home();
        env.osai_model_dir = Some("/mine".into());
        env.program_dir = Some("/opt/osai".into());
        env.xdg_data_dirs = vec!["/snap/share".into(), "/usr/share".into()];
        let shown: Vec<_> = Paths::new(&env, Some(Path::new("/d"))).models.folders;
        let expected = [
            "/mine",
            "/opt/osai/models",
            "/d/models",
            "/home/ada/.local/share/osai/models",
            "/snap/share/osai/models",
            "/usr/share/osai/models",
            "/usr/local/share/osai/models",
        ];
        assert_eq!(shown, expected.map(PathBuf::from));
    }

    #[test]
    fn colour_needs_a_terminal_that_wants_it() {
        let with = |color, env: Environment| Globals {
            paths: Paths::new(&env, None),
            pack: None,
            model: None,
            lora: vec![],
            threads: None,
            isa: None,
            color,
            now: None,
            env,
        };
        let dumb = Environment { term: Some("dumb".into()), ..home() };
        let no_color = Environment { no_color: true, ..home() };
        assert!(with(Color::Auto, home()).wants_color(true));
        assert!(!with(Color::Auto, home()).wants_color(false));
        assert!(!with(Color::Auto, dumb).wants_color(true));
        assert!(!with(Color::Auto, no_color.clone()).wants_color(true));
        assert!(with(Color::Always, no_color).wants_color(false));
        assert!(!with(Color::Never, home()).wants_color(true));
    }
}
