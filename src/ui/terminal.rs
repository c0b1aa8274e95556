//! The terminal: raw mode and the alternate screen, keys, mouse and signals as events, and leaving it as it was.
//!
//! The only file that names crossterm. Signals are blocked in every thread and waited for in one (`sigwait`), so no code
//! runs in a signal handler. A panic on the main thread restores the terminal before it is reported; one on another
//! thread leaves the screen alone, because the app goes on without that thread and says so.

use std::io::{self, BufWriter, Stdout, Write};
use std::panic;
use std::sync::mpsc::Sender;
use std::thread;

use crossterm::cursor::{Hide, Show};
use crossterm::event::{
    DisableBracketedPaste, EnableBracketedPaste, Event as TermEvent, KeyCode, KeyEvent, KeyEventKind, KeyModifiers,
    MouseButton, MouseEventKind,
};
use crossterm::terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode};
use crossterm::{event, queue};
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::layout::Rect;

use super::app::App;
use super::event::{Event, Mouse, MouseAction};
use crate::labs::{Key, KeyPress};

pub use signals::Signals;

/// Reports buttons and the wheel, not every movement: nothing happens while the mouse merely moves.
const MOUSE_ON: &str = "\x1b[?1000h\x1b[?1006h";
const MOUSE_OFF: &str = "\x1b[?1006l\x1b[?1000l";
/// Bytes of a frame: one write for most frames.
const FRAME_BYTES: usize = 64 * 1024;

/// The terminal, ours until dropped.
pub struct Tui {
    terminal: Terminal<CrosstermBackend<BufWriter<Stdout>>>,
    mouse: bool,
}

impl Tui {
    /// Takes the terminal: raw mode, alternate screen, bracketed paste, the mouse if wanted. Nothing is asked of it.
    ///
    /// # Errors
    /// It is no terminal, or it cannot be written.
    pub fn enter(mouse: bool) -> io::Result<Self> {
        restore_on_panic();
        let terminal = Terminal::new(CrosstermBackend::new(BufWriter::with_capacity(FRAME_BYTES, io::stdout())))?;
        let mut tui = Self { terminal, mouse };
        tui.take()?;
        Ok(tui)
    }

    fn take(&mut self) -> io::Result<()> {
        enable_raw_mode()?;
        let out = self.terminal.backend_mut();
        queue!(out, EnterAlternateScreen, EnableBracketedPaste, Hide)?;
        if self.mouse {
            out.write_all(MOUSE_ON.as_bytes())?;
        }
        // Flushed with the first frame.
        Ok(())
    }

    /// Columns and rows.
    ///
    /// # Errors
    /// The terminal does not tell.
    pub fn size(&self) -> io::Result<(u16, u16)> {
        self.terminal.size().map(|size| (size.width, size.height))
    }

    /// Draws the app, only what has changed; everything anew if the app asks for it.
    ///
    /// # Errors
    /// The terminal cannot be written.
    pub fn draw(&mut self, app: &mut App) -> io::Result<()> {
        if app.take_redraw() {
            self.forget()?;
        }
        self.terminal.draw(|frame| app.view(frame.area(), frame.buffer_mut()))?;
        Ok(())
    }

    /// Gives the terminal back to the shell until it wakes us, then takes it again.
    ///
    /// # Errors
    /// The terminal cannot be written.
    pub fn suspend(&mut self, signals: &Signals) -> io::Result<()> {
        restore();
        signals.stop();
        self.take()?;
        self.forget()
    }

    /// Clears the screen and what is known of it, so that the next frame is sent whole. (`Terminal::clear` would ask
    /// the terminal where its cursor is and wait for an answer that the input thread takes.)
    fn forget(&mut self) -> io::Result<()> {
        let size = self.terminal.size()?;
        self.terminal.resize(Rect::new(0, 0, size.width, size.height))
    }
}

impl Drop for Tui {
    fn drop(&mut self) {
        restore();
    }
}

/// Leaves the terminal as it was before [`Tui::enter`]. Safe to do twice.
fn restore() {
    let mut out = io::stdout();
    // A terminal that is gone (SIGHUP) cannot be restored, and nobody is there to read about it.
    let _ = out.write_all(MOUSE_OFF.as_bytes());
    let _ = queue!(out, DisableBracketedPaste, LeaveAlternateScreen, Show);
    let _ = out.flush();
    let _ = disable_raw_mode();
}

fn restore_on_panic() {
    let main = thread::current().id();
    let report = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if thread::current().id() == main {
            restore();
            report(info);
        }
    }));
}

/// Starts the thread that reads keys, mouse and sizes.
///
/// # Errors
/// The operating system's, if it cannot start a thread.
pub fn read_input(events: Sender<Event>) -> io::Result<()> {
    thread::Builder::new().name("input".into()).spawn(move || {
        loop {
            let read = panic::catch_unwind(event::read);
            let Ok(Ok(read)) = read else {
                // Without a keyboard the app could never be left.
                let _ = events.send(Event::Signal(HANG_UP));
                return;
            };
            if let Some(event) = translate(read)
                && events.send(event).is_err()
            {
                return;
            }
        }
    })?;
    Ok(())
}

/// SIGHUP's number everywhere.
const HANG_UP: i32 = 1;

fn translate(event: TermEvent) -> Option<Event> {
    match event {
        TermEvent::Key(key) => translate_key(key).map(Event::Key),
        TermEvent::Paste(text) => Some(Event::Paste(text)),
        TermEvent::Resize(columns, rows) => Some(Event::Resize(columns, rows)),
        TermEvent::Mouse(mouse) => {
            let action = match mouse.kind {
                MouseEventKind::Down(MouseButton::Left) => MouseAction::Click,
                MouseEventKind::ScrollUp => MouseAction::ScrollUp,
                MouseEventKind::ScrollDown => MouseAction::ScrollDown,
                _ => return None,
            };
            Some(Event::Mouse(Mouse { column: mouse.column, row: mouse.row, action }))
        }
        TermEvent::FocusGained | TermEvent::FocusLost => None,
    }
}

fn translate_key(event: KeyEvent) -> Option<KeyPress> {
    if event.kind == KeyEventKind::Release {
        return None;
    }
    let key = match event.code {
        KeyCode::Char(c) => Key::Char(c),
        KeyCode::Enter => Key::Enter,
        KeyCode::Esc => Key::Esc,
        KeyCode::Tab if event.modifiers.contains(KeyModifiers::SHIFT) => Key::BackTab,
        KeyCode::Tab => Key::Tab,
        KeyCode::BackTab => Key::BackTab,
        KeyCode::Backspace => Key::Backspace,
        KeyCode::Delete => Key::Delete,
        KeyCode::Up => Key::Up,
        KeyCode::Down => Key::Down,
        KeyCode::Left => Key::Left,
        KeyCode::Right => Key::Right,
        KeyCode::PageUp => Key::PageUp,
        KeyCode::PageDown => Key::PageDown,
        KeyCode::Home => Key::Home,
        KeyCode::End => Key::End,
        _ => return None,
    };
    let ctrl = event.modifiers.contains(KeyModifiers::CONTROL);
    let alt = event.modifiers.contains(KeyModifiers::ALT);
    Some(KeyPress { key, ctrl, alt })
}

#[cfg(unix)]
mod signals {
    use std::io;
    use std::mem::MaybeUninit;
    use std::ptr;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::mpsc::{self, Receiver, Sender};
    use std::thread;

    use super::{Event, restore};

    /// Signals as events, and stopping for Ctrl-Z.
    #[derive(Debug)]
    pub struct Signals {
        /// Whether the next SIGTSTP is the one we sent ourselves.
        stopping: Arc<AtomicBool>,
        woken: Receiver<()>,
    }

    impl Signals {
        /// Blocks the signals in this thread and all that it starts from now on, and waits for them in one of its own.
        /// Called before any other thread is started.
        ///
        /// # Errors
        /// The operating system's, if it cannot start a thread.
        pub fn listen(events: Sender<Event>) -> io::Result<Self> {
            let set = signal_set();
            // SAFETY: `set` is an initialised signal set; the old mask is not asked for.
            let failed = unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, ptr::null_mut()) };
            if failed != 0 {
                return Err(io::Error::from_raw_os_error(failed));
            }
            let stopping = Arc::new(AtomicBool::new(false));
            let is_ours = Arc::clone(&stopping);
            let (wake, woken) = mpsc::channel();
            thread::Builder::new().name("signals".into()).spawn(move || {
                let mut ending = false;
                loop {
                    let mut number = 0;
                    // SAFETY: both point to initialised values of this frame.
                    if unsafe { libc::sigwait(&raw const set, &raw mut number) } != 0 {
                        continue;
                    }
                    if number == libc::SIGTSTP {
                        if is_ours.swap(false, Ordering::SeqCst) {
                            stop_process();
                            let _ = wake.send(());
                        } else {
                            let _ = events.send(Event::Suspend);
                        }
                        continue;
                    }
                    if ending || events.send(Event::Signal(number)).is_err() {
                        // Asked twice: the app does not get to it, so the terminal is given back from here.
                        restore();
                        // SAFETY: ends the process without running its exit code, which may be what hangs.
                        unsafe { libc::_exit(128 + number) };
                    }
                    ending = true;
                }
            })?;
            Ok(Self { stopping, woken })
        }

        /// Stops the process group as Ctrl-Z on a cooked terminal would; returns when it goes on.
        pub fn stop(&self) {
            self.stopping.store(true, Ordering::SeqCst);
            // SAFETY: no memory is involved. The whole group, so that a script around us stops too.
            if unsafe { libc::kill(0, libc::SIGTSTP) } == 0 {
                // Sent by the signal thread once the process goes on.
                let _ = self.woken.recv();
            }
        }
    }

    /// Stops the process by SIGTSTP's default action, which the kernel leaves out where nobody could wake us (a group
    /// without a shell with job control above it). Called on the signal thread, which has just taken the group's signal.
    fn stop_process() {
        let mut stop = MaybeUninit::uninit();
        // SAFETY: `sigemptyset` initialises the set before it is used; the rest changes and signals this thread only.
        unsafe {
            libc::sigemptyset(stop.as_mut_ptr());
            libc::sigaddset(stop.as_mut_ptr(), libc::SIGTSTP);
            libc::pthread_sigmask(libc::SIG_UNBLOCK, stop.as_ptr(), ptr::null_mut());
            libc::raise(libc::SIGTSTP);
            libc::pthread_sigmask(libc::SIG_BLOCK, stop.as_ptr(), ptr::null_mut());
        }
    }

    fn signal_set() -> libc::sigset_t {
        let mut set = MaybeUninit::uninit();
        // SAFETY: `sigemptyset` initialises the set before anything else touches it.
        unsafe {
            libc::sigemptyset(set.as_mut_ptr());
            for signal in [libc::SIGTERM, libc::SIGHUP, libc::SIGINT, libc::SIGQUIT, libc::SIGTSTP] {
                libc::sigaddset(set.as_mut_ptr(), signal);
            }
            set.assume_init()
        }
    }
}

#[cfg(not(unix))]
mod signals {
    use std::io;
    use std::sync::mpsc::Sender;

    use super::Event;

    /// Systems without these signals: Ctrl-C arrives as a key.
    #[derive(Debug)]
    pub struct Signals {}

    impl Signals {
        /// Nothing to listen to.
        ///
        /// # Errors
        /// None.
        pub fn listen(_events: Sender<Event>) -> io::Result<Self> {
            Ok(Self {})
        }

        /// Nothing to stop.
        pub fn stop(&self) {}
    }
}
