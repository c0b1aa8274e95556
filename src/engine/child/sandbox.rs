//! What the model's process gives up before it trusts a byte of the model's file.
//!
//! On Linux: files other than the model's and TCP (Landlock), new privileges, core dumps with the learner's prompts in
//! them, memory beyond what is free, life after the app. What a system does not offer is left out; `osai doctor` says so.

/// How far the system confines the model's process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Confinement {
    /// It reads the model's file and a few facts about the machine, writes nothing, and opens no TCP connection.
    Full,
    /// It reads and writes no other files, but an older kernel leaves TCP open.
    Files,
    /// Nothing; the sentence says why.
    None(String),
}

#[cfg(target_os = "linux")]
pub use linux::{enter, probe};

#[cfg(target_os = "linux")]
mod linux {
    use std::fs;
    use std::io;
    use std::path::Path;
    use std::sync::Arc;
    use std::thread;

    use landlock::{
        ABI, Access, AccessFs, AccessNet, LandlockStatus, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetError,
        RulesetStatus, Scope, path_beneath_rules,
    };
    use rustix::fs::{OFlags, fcntl_setfl};
    use rustix::process::{Resource, Rlimit, Signal, setrlimit};
    use signal_hook::consts::{SIGINT, SIGQUIT};

    use super::Confinement;
    use crate::engine::open::free_memory;

    /// The newest rights that are asked for: those known to 6.12 kernels. Older ones give what they have.
    const WANTED: ABI = ABI::V6;
    /// The first that knows TCP (Linux 6.7).
    const KNOWS_TCP: ABI = ABI::V4;
    /// Facts about the machine that the engine and the standard library read: free memory, cores, limits.
    const FACTS: [&str; 6] = [
        "/proc/meminfo",
        "/proc/cpuinfo",
        "/proc/self/cgroup",
        "/proc/self/mountinfo",
        "/sys/devices/system/cpu",
        "/sys/fs/cgroup",
    ];
    /// The kernel's own scale: at 1000 a process is the first to go when memory runs out.
    const FIRST_TO_GO: &str = "1000";
    /// Room that is left for a machine that says it has no memory free: opening then fails in the engine's words.
    const LEAST_BYTES: u64 = 256 << 20;

    /// Gives up what the model's process does not need. Called before any thread is started; each step is taken as far
    /// as the system allows.
    pub fn enter(model: &Path) {
        // The app may be killed before it can end us, and we may be stopped and not see the pipe's end.
        let _ = rustix::process::set_parent_process_death_signal(Some(Signal::KILL));
        close_inherited();
        let _ = rustix::thread::set_name(c"osai-model");
        // Ctrl-C in the terminal is for the app; Ctrl-Z stops us together with it.
        for signal in [SIGINT, SIGQUIT] {
            let _ = signal_hook::flag::register(signal, Arc::default());
        }
        // Nobody reads it before we are dead: what does not fit into the pipe is dropped instead of awaited.
        let _ = fcntl_setfl(io::stderr(), OFlags::NONBLOCK);
        limit(Resource::Core, 0);
        if let Some(free) = free_memory() {
            limit(Resource::Data, free.max(LEAST_BYTES));
        }
        let _ = fs::write("/proc/self/oom_score_adj", FIRST_TO_GO);
        let _ = rustix::thread::set_no_new_privs(true);
        let _ = confine(model);
    }

    fn limit(resource: Resource, most: u64) {
        let _ = setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) });
    }

    /// Closes files that whoever started the app left open for its children.
    fn close_inherited() {
        // SAFETY: called before this process opens anything; only the three streams, which stay, are in use.
        // (By number: libraries older than the call would not link. Kernels older than it, before 5.9, leave them open.)
        unsafe { libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, 0) };
    }

    fn confine(model: &Path) -> Result<Confinement, RulesetError> {
        let read = AccessFs::ReadFile | AccessFs::ReadDir;
        let status = Ruleset::default()
            .handle_access(AccessFs::from_all(WANTED))?
            .handle_access(AccessNet::from_all(WANTED))?
            .scope(Scope::from_all(WANTED))?
            .create()?
            .add_rules(path_beneath_rules([model], read))?
            .add_rules(path_beneath_rules(FACTS, read))?
            .restrict_self()?;
        Ok(match (status.ruleset, status.landlock) {
            (RulesetStatus::NotEnforced, LandlockStatus::NotEnabled) => {
                Confinement::None("the kernel has Landlock, but it is switched off".into())
            }
            (RulesetStatus::NotEnforced, _) => Confinement::None("this kernel has no Landlock (Linux 5.13 has)".into()),
            (_, LandlockStatus::Available { effective_abi, .. }) if effective_abi >= KNOWS_TCP => Confinement::Full,
            _ => Confinement::Files,
        })
    }

    /// How far this system would confine the model's process: tried for real, on a thread that then ends.
    pub fn probe() -> Confinement {
        let tried = thread::Builder::new().name("sandbox".into()).spawn(|| confine(Path::new("/proc/self/exe")));
        match tried.map(thread::JoinHandle::join) {
            Ok(Ok(Ok(confinement))) => confinement,
            Ok(Ok(Err(error))) => Confinement::None(error.to_string()),
            Ok(Err(_)) => Confinement::None("trying it failed".into()),
            Err(error) => Confinement::None(error.to_string()),
        }
    }

    #[cfg(test)]
    mod tests {
        use std::fs::File;
        use std::io::ErrorKind;
        use std::net::{TcpListener, TcpStream};

        use super::*;

        /// Restricts its own thread only, which ends with the test.
        #[test]
        fn only_the_model_can_be_read_and_nothing_reached() {
            let folder = tempfile::tempdir().expect("a folder");
            let (model, other) = (folder.path().join("model.gguf"), folder.path().join("other"));
            fs::write(&model, b"GGUF").expect("written");
            fs::write(&other, b"private").expect("written");
            let server = TcpListener::bind("127.0.0.1:0").expect("loopback");
            let address = server.local_addr().expect("an address");
            thread::spawn(move || {
                let confinement = confine(&model).expect("a sandbox");
                if let Confinement::None(_) = confinement {
                    return;
                }
                let denied = |result: io::Result<()>| {
                    assert_eq!(result.expect_err("denied").kind(), ErrorKind::PermissionDenied);
                };
                assert_eq!(fs::read(&model).expect("the model can be read"), b"GGUF");
                denied(fs::read(&other).map(drop));
                denied(File::options().append(true).open(&model).map(drop));
                denied(fs::write(other.with_extension("new"), b""));
                denied(fs::remove_file(&model));
                denied(File::open("/etc/passwd").map(drop));
                assert!(free_memory().is_some());
                if confinement == Confinement::Full {
                    denied(TcpStream::connect(address).map(drop));
                    denied(TcpListener::bind("127.0.0.1:0").map(drop));
                }
            })
            .join()
            .expect("as promised");
        }
    }
}

/// Gives up what the model's process does not need; nothing on this system.
#[cfg(not(target_os = "linux"))]
pub fn enter(_model: &std::path::Path) {}

/// How far this system would confine the model's process.
#[cfg(not(target_os = "linux"))]
pub fn probe() -> Confinement {
    Confinement::None("osai knows a sandbox on Linux only".into())
}
