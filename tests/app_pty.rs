//! The real program on a real pseudo-terminal: it starts, is read, is left, and remembers. Nothing here sleeps: every
//! step waits for what it needs to see on the screen, up to a deadline.

#![cfg(unix)]
#![allow(clippy::unwrap_used)]

mod common;

use std::io::{Read, Write};
use std::num::NonZero;
use std::path::Path;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};

fn cells(number: u16) -> NonZero<u16> {
    NonZero::new(number).unwrap()
}

/// Far more than a loaded machine needs; only a failing test ever waits so long.
const DEADLINE: Duration = Duration::from_secs(60);

struct App {
    child: Box<dyn Child + Send + Sync>,
    master: Box<dyn MasterPty + Send>,
    keys: Box<dyn Write + Send>,
    output: Receiver<Vec<u8>>,
    screen: vt100::Parser,
    all: Vec<u8>,
}

impl App {
    fn start(data: &Path) -> Self {
        Self::start_with(data, data)
    }

    /// With the models of a folder.
    fn start_with(data: &Path, models: &Path) -> Self {
        let size = PtySize { rows: 24, cols: 80, pixel_width: 0, pixel_height: 0 };
        let pair = native_pty_system().openpty(size).unwrap();
        let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_osai"));
        command.env("OSAI_DATA_DIR", data);
        command.env("OSAI_MODEL_DIR", models);
        command.env("TERM", "xterm-256color");
        command.env("HOME", data);
        let child = pair.slave.spawn_command(command).unwrap();
        drop(pair.slave);
        let mut reader = pair.master.try_clone_reader().unwrap();
        let (send, output) = mpsc::channel();
        thread::spawn(move || {
            let mut bytes = [0; 8192];
            while let Ok(n @ 1..) = reader.read(&mut bytes) {
                if send.send(bytes[..n].to_vec()).is_err() {
                    return;
                }
            }
        });
        let keys = pair.master.take_writer().unwrap();
        Self {
            child,
            master: pair.master,
            keys,
            output,
            screen: vt100::Parser::new(cells(24), cells(80), 0),
            all: Vec::new(),
        }
    }

    /// Waits until the screen satisfies `wanted`.
    fn until(&mut self, what: &str, wanted: impl Fn(&str) -> bool) {
        let end = Instant::now() + DEADLINE;
        while !wanted(&self.screen.screen().contents()) {
            match self.output.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(bytes) => {
                    self.screen.process(&bytes);
                    self.all.extend(bytes);
                }
                Err(why) => panic!("waited in vain for {what} ({why}):\n{}", self.screen.screen().contents()),
            }
        }
    }

    fn see(&mut self, text: &str) {
        // Wrapped or not.
        self.until(text, |screen| screen.split_whitespace().collect::<Vec<_>>().join(" ").contains(text));
    }

    fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
        self.keys.flush().unwrap();
    }

    fn signal(&self, number: i32) {
        let pid = self.child.process_id().unwrap() as i32;
        // SAFETY: sends a signal to our own child.
        assert_eq!(unsafe { libc::kill(pid, number) }, 0);
    }

    /// The number of the model's process; it is the program's only child.
    #[cfg(target_os = "linux")]
    fn model(&self) -> i32 {
        let own = self.child.process_id().unwrap().to_string();
        let stats = std::fs::read_dir("/proc")
            .unwrap()
            .filter_map(|entry| std::fs::read_to_string(entry.ok()?.path().join("stat")).ok());
        let children: Vec<_> = stats
            .filter(|stat| stat.rsplit(") ").next().and_then(|rest| rest.split(' ').nth(1)) == Some(&own))
            .map(|stat| stat.split(' ').next().unwrap().parse().unwrap())
            .collect();
        assert_eq!(children.len(), 1, "{children:?}");
        children[0]
    }

    /// Waits for the end of the program; its exit code, and everything that it wrote.
    fn end(mut self) -> (u32, String) {
        let end = Instant::now() + DEADLINE;
        loop {
            match self.output.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(bytes) => self.all.extend(bytes),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => panic!("the program does not end"),
            }
        }
        let status = self.child.wait().unwrap();
        (status.exit_code(), String::from_utf8_lossy(&self.all).into_owned())
    }
}

/// Whether the output leaves the alternate screen, shows the cursor and ends mouse and paste reports, in the end.
fn restored(output: &str) {
    for (on, off) in [
        ("\x1b[?1049h", "\x1b[?1049l"),
        ("\x1b[?25l", "\x1b[?25h"),
        ("\x1b[?1000h", "\x1b[?1000l"),
        ("\x1b[?2004h", "\x1b[?2004l"),
    ] {
        let (on_at, off_at) = (output.rfind(on), output.rfind(off));
        assert!(on_at.is_some() && on_at < off_at, "{on:?} at {on_at:?}, {off:?} at {off_at:?}");
    }
}

#[test]
fn what_was_read_is_there_at_the_next_start() {
    let data = tempfile::tempdir().unwrap();
    let mut app = App::start(data.path());
    app.see("Foundations");
    app.see("Start");
    app.press("\r");
    app.see("After this lesson you can");
    app.press("  ");
    app.until("the second page", |screen| !screen.contains("After this lesson"));
    app.press("q");
    app.see("Last time you stopped in");
    app.press("q");
    let (code, output) = app.end();
    assert_eq!(code, 0);
    restored(&output);

    let mut app = App::start(data.path());
    app.see("Last time you stopped in");
    app.see("Continue");
    app.press("\r");
    app.until("the place where reading stopped", |screen| {
        screen.contains("esc back") && !screen.contains("After this lesson")
    });
    app.press("qq");
    assert_eq!(app.end().0, 0);
}

#[test]
fn signals_end_it_cleanly_and_keep_the_place() {
    for (number, code) in [(libc::SIGTERM, 143), (libc::SIGHUP, 129), (libc::SIGINT, 130)] {
        let data = tempfile::tempdir().unwrap();
        let mut app = App::start(data.path());
        app.see("Start");
        app.press("\r");
        app.see("After this lesson you can");
        app.press(" ");
        app.until("the second page", |screen| !screen.contains("After this lesson"));
        let asked = Instant::now();
        app.signal(number);
        let (ended, output) = app.end();
        assert_eq!(ended, code, "signal {number}");
        restored(&output);
        // Half a second is promised; a machine that runs many tests at once is given more.
        assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
        let mut app = App::start(data.path());
        app.see("Last time you stopped in");
        app.press("q");
        app.end();
    }
}

#[test]
fn a_resized_terminal_gets_a_fresh_frame() {
    let data = tempfile::tempdir().unwrap();
    let mut app = App::start(data.path());
    app.see("Foundations");
    for (rows, cols) in [(10, 30), (50, 160), (24, 80), (40, 120), (16, 44)] {
        app.master.resize(PtySize { rows, cols, pixel_width: 0, pixel_height: 0 }).unwrap();
        app.screen.screen_mut().set_size(cells(rows), cells(cols));
        let wanted = if cols < 40 { "make" } else { "q quit" };
        app.until("a frame of the new size", |screen| {
            screen.contains(wanted) && screen.lines().all(|line| line.chars().count() <= usize::from(cols))
        });
    }
    app.press("q");
    assert_eq!(app.end().0, 0);
}

#[test]
fn a_damaged_record_is_told_and_left_alone() {
    let data = tempfile::tempdir().unwrap();
    let file = data.path().join("progress.db");
    std::fs::write(&file, b"this is no database at all, but somebody may still want it").unwrap();
    let mut app = App::start(data.path());
    app.see("it was left as it is");
    app.press("\r");
    app.see("After this lesson you can");
    app.press("qq");
    let (code, output) = app.end();
    assert_eq!(code, 0);
    restored(&output);
    assert_eq!(std::fs::read(&file).unwrap(), b"this is no database at all, but somebody may still want it");
}

#[test]
fn ctrl_z_without_a_shell_goes_on_with_a_fresh_frame() {
    let data = tempfile::tempdir().unwrap();
    let mut app = App::start(data.path());
    app.see("Foundations");
    app.press("\x1a");
    // The screen is left and taken again: nobody could wake a session without a shell, so it does not stop.
    let end = Instant::now() + DEADLINE;
    while String::from_utf8_lossy(&app.all).matches("\x1b[?1049h").count() < 2 {
        let bytes = app.output.recv_timeout(end.saturating_duration_since(Instant::now())).unwrap();
        app.screen.process(&bytes);
        app.all.extend(bytes);
    }
    app.see("q quit");
    app.press("q");
    assert_eq!(app.end().0, 0);
}

#[cfg(target_os = "linux")]
fn kill(pid: i32, number: i32) {
    // SAFETY: sends a signal to a child of our own child.
    assert_eq!(unsafe { libc::kill(pid, number) }, 0);
}

/// Opens the chat and asks for a text that does not end soon; returns when its first words are there.
#[cfg(target_os = "linux")]
fn ask(app: &mut App) {
    app.press("Write a very long story about a lighthouse.\r");
    app.see("so far · esc stops");
}

#[cfg(target_os = "linux")]
#[test]
fn a_model_that_dies_while_it_answers_leaves_the_course_alive() {
    let Some(model) = common::model_path() else { return };
    let data = tempfile::tempdir().unwrap();
    let mut app = App::start_with(data.path(), model.parent().unwrap());
    app.see("Foundations");
    app.press("m");
    app.see("Ask something.");
    ask(&mut app);
    kill(app.model(), libc::SIGKILL);
    app.see("the system killed its process (SIGKILL), probably because memory ran out");
    app.see("the next run starts it again");
    ask(&mut app);
    app.press("\x1b");
    app.see("stopped by you");
    // One that is stopped is ended by the request to stop.
    ask(&mut app);
    kill(app.model(), libc::SIGSTOP);
    app.press("\x1b");
    app.see("its process did not answer for 2 s and was ended");
    app.press("\x1b");
    app.see("Foundations");
    app.press("q");
    let (code, output) = app.end();
    assert_eq!(code, 0);
    restored(&output);
}

#[cfg(target_os = "linux")]
#[test]
fn the_model_goes_with_the_program_however_it_ends() {
    let Some(model) = common::model_path() else { return };
    for (number, is_stopped) in [(libc::SIGTERM, true), (libc::SIGKILL, false), (libc::SIGKILL, true)] {
        let data = tempfile::tempdir().unwrap();
        let mut app = App::start_with(data.path(), model.parent().unwrap());
        app.see("Foundations");
        app.press("m");
        app.see("Ask something.");
        ask(&mut app);
        let model = app.model();
        if is_stopped {
            kill(model, libc::SIGSTOP);
        }
        app.signal(number);
        app.end();
        let end = Instant::now() + DEADLINE;
        let state = || std::fs::read_to_string(format!("/proc/{model}/stat")).unwrap_or_default();
        while state().rsplit(") ").next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with(['Z', 'X'])) {
            assert!(Instant::now() < end, "signal {number}, stopped {is_stopped}: {}", state());
            thread::yield_now();
        }
    }
}
