//! A child of the app: how it starts, the two threads that carry its pipes, and how it is ended.
//!
//! Writing and reading have threads of their own, so that a child that is stopped blocks nobody.

use std::ffi::OsString;
use std::io::{self, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;

use super::death;
use super::process::Ask;
use super::wire::{self, Order};

/// Of what the child wrote to standard error so much is read; a pipe holds no more.
const STDERR_BYTES: u64 = 64 << 10;

/// How the model's process is started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Launch {
    /// The model's file.
    pub model: PathBuf,
    /// This program.
    pub program: PathBuf,
    /// Its arguments; they make it call [`serve`](super::serve()) for that file.
    pub arguments: Vec<OsString>,
}

/// A living child.
pub(super) struct Seat {
    pub child: Child,
    pub orders: Sender<Order>,
    /// Whether its model is open.
    pub is_open: bool,
}

impl Launch {
    /// Starts a child, the `number`-th, whose news go to `asks` under that number.
    pub(super) fn start(&self, number: u64, asks: &Sender<Ask>) -> io::Result<Seat> {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        #[cfg(unix)]
        std::os::unix::process::CommandExt::arg0(&mut command, "osai");
        #[cfg(windows)]
        std::os::windows::process::CommandExt::creation_flags(&mut command, CREATE_NO_WINDOW);
        let mut child = command.spawn()?;
        let (stdin, stdout) = (child.stdin.take().expect("piped"), child.stdout.take().expect("piped"));
        let (orders, outbox) = mpsc::channel();
        let asks = asks.clone();
        let threads =
            thread::Builder::new().name("model-in".into()).spawn(move || write_orders(stdin, &outbox)).and_then(|_| {
                thread::Builder::new().name("model-out".into()).spawn(move || read_news(stdout, number, &asks))
            });
        if let Err(error) = threads {
            let _ = child.kill();
            let _ = child.wait();
            return Err(error);
        }
        Ok(Seat { child, orders, is_open: false })
    }
}

impl Seat {
    /// Kills the child and says how it ended. It writes no files, so there is nothing to wait for.
    pub fn end(self) -> String {
        let Self { mut child, orders, .. } = self;
        drop(orders);
        let _ = child.kill(); // fails where it is dead already
        let status = child.wait();
        let mut stderr = Vec::new();
        if let Some(pipe) = child.stderr.take() {
            // Nobody is waited for, should the other end have outlived the process.
            #[cfg(unix)]
            let _ = rustix::fs::fcntl_setfl(&pipe, rustix::fs::OFlags::NONBLOCK);
            let _ = pipe.take(STDERR_BYTES).read_to_end(&mut stderr);
        }
        match status {
            Ok(status) => death::sentence(status, &stderr),
            Err(error) => format!("its process is lost ({error})"),
        }
    }
}

/// Keeps Ctrl-C in the console from reaching the child.
#[cfg(windows)]
const CREATE_NO_WINDOW: u32 = 0x0800_0000;

/// Ends when the child is gone, or with the sender.
fn write_orders(mut pipe: ChildStdin, outbox: &Receiver<Order>) {
    for order in outbox {
        if wire::write(&mut pipe, &order).is_err() {
            return;
        }
    }
}

fn read_news(pipe: ChildStdout, number: u64, asks: &Sender<Ask>) {
    let mut pipe = BufReader::new(pipe);
    let fault = loop {
        match wire::read(&mut pipe) {
            Ok(Some(news)) => {
                if asks.send(Ask::News(number, news)).is_err() {
                    return;
                }
            }
            // Dead, between two words or within one.
            Ok(None) => break None,
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => break None,
            Err(error) => break Some(error.to_string()),
        }
    };
    let _ = asks.send(Ask::Silence(number, fault));
}
