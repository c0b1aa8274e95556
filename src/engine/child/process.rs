//! The app's side: one thread that owns the child, and two that carry the pipes.
//!
//! The thread `model` does one job at a time; further ones wait in its queue. It alone starts, kills and buries the
//! child, and lives as long as the app keeps it, because Linux ends the child with the thread that started it. Writing
//! and reading have threads of their own, so that a child that is stopped blocks nobody.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io::{self, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::Duration;

use super::death;
use super::wire::{self, News, Order};
use crate::engine::{EngineError, Job, Run, RunId, RunStats, Stop, Update};

/// After a request to stop the child is looked at so often. Counted, not timed: a machine or a terminal that was
/// suspended meanwhile has not kept the child from answering.
const TICK: Duration = Duration::from_millis(100);
/// A child that has not even heard of a request to stop after 2 s is stopped or starved.
const UNHEARD_TICKS: u32 = 20;
/// One that has heard and still runs after 10 s does not return from a forward pass; a pass of 64 tokens through the
/// largest models that fit a learner's machine takes about half of that.
const UNFINISHED_TICKS: u32 = 100;
/// Opening does not look for a request to stop, and what it has read is of use to the next job.
const OPENING_TICKS: u32 = 600;
/// Of what the child wrote to standard error so much is read; a pipe holds no more.
const STDERR_BYTES: u64 = 64 << 10;

/// How the model's process is started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Launch {
    /// The model's file.
    pub model: PathBuf,
    /// This program.
    pub program: PathBuf,
    /// Its arguments; they make it call [`serve`](super::serve) for that file.
    pub arguments: Vec<OsString>,
}

/// A model in a process of its own. Dropping it ends the process.
#[derive(Debug)]
pub struct ModelProcess {
    asks: Sender<Ask>,
    process_id: Arc<AtomicU32>,
    /// Disconnected once the thread has ended, and with it the child.
    ended: Receiver<()>,
}

#[derive(Debug)]
enum Ask {
    Start(RunId, Job),
    Cancel(RunId),
    /// From the pipe of the child with this number.
    News(u64, News),
    /// That pipe has ended; with the fault, if it carried what is no word.
    Silence(u64, Option<String>),
    Quit,
}

impl ModelProcess {
    /// Starts the thread, named `model`; the process itself starts with the first job. `report` carries updates to the
    /// event loop.
    ///
    /// # Errors
    /// The operating system's, if it cannot start a thread.
    pub fn new<R>(launch: Launch, report: R) -> io::Result<Self>
    where
        R: Fn(RunId, Update) + Send + 'static,
    {
        let (asks, inbox) = mpsc::channel();
        let (alive, ended) = mpsc::channel::<()>();
        let process_id = Arc::new(AtomicU32::new(0));
        let mut keeper = Keeper {
            launch,
            report,
            asks: asks.clone(),
            queue: VecDeque::new(),
            child: None,
            children: 0,
            running: None,
            process_id: Arc::clone(&process_id),
        };
        thread::Builder::new().name("model".into()).spawn(move || {
            keeper.keep(&inbox);
            keeper.end_child();
            drop(alive);
        })?;
        Ok(Self { asks, process_id, ended })
    }

    /// Queues a job.
    pub fn start(&self, id: RunId, job: Job) -> Run {
        // The thread lives as long as `self`, so the channel is open.
        let _ = self.asks.send(Ask::Start(id, job));
        let asks = self.asks.clone();
        Run::new(id, move || drop(asks.send(Ask::Cancel(id))))
    }

    /// The process's number, while there is one.
    pub fn process_id(&self) -> Option<u32> {
        Some(self.process_id.load(Ordering::Relaxed)).filter(|id| *id != 0)
    }

    /// Ends the process and waits until it is gone, at most for `limit`.
    pub fn finish(self, limit: Duration) {
        let _ = self.asks.send(Ask::Quit);
        match self.ended.recv_timeout(limit) {
            Ok(()) | Err(RecvTimeoutError::Disconnected | RecvTimeoutError::Timeout) => {}
        }
    }
}

impl Drop for ModelProcess {
    fn drop(&mut self) {
        let _ = self.asks.send(Ask::Quit);
    }
}

struct Keeper<R> {
    launch: Launch,
    report: R,
    asks: Sender<Ask>,
    queue: VecDeque<(RunId, Job)>,
    child: Option<Seat>,
    /// Children started so far; the number of the youngest.
    children: u64,
    running: Option<Running>,
    process_id: Arc<AtomicU32>,
}

/// A living child.
struct Seat {
    child: Child,
    orders: Sender<Order>,
    is_open: bool,
}

/// The job that the child does.
struct Running {
    id: RunId,
    stopping: Option<Stopping>,
}

/// What has come of the request to stop.
#[derive(Default)]
struct Stopping {
    ticks: u32,
    is_heard: bool,
}

impl<R: Fn(RunId, Update)> Keeper<R> {
    fn keep(&mut self, inbox: &Receiver<Ask>) {
        loop {
            let is_stopping = self.running.as_ref().is_some_and(|running| running.stopping.is_some());
            let ask = if is_stopping {
                match inbox.recv_timeout(TICK) {
                    Ok(ask) => ask,
                    Err(_) => {
                        self.tick();
                        continue;
                    }
                }
            } else {
                // `self` holds a sender, so the channel never closes.
                let Ok(ask) = inbox.recv() else { return };
                ask
            };
            match ask {
                Ask::Start(id, job) => {
                    self.queue.push_back((id, job));
                    self.start_next();
                }
                Ask::Cancel(id) => self.cancel(id),
                Ask::News(number, news) if number == self.children => self.on_news(news),
                Ask::Silence(number, fault) if number == self.children => self.on_silence(fault),
                // Of a child that was ended.
                Ask::News(..) | Ask::Silence(..) => {}
                Ask::Quit => return,
            }
        }
    }

    /// Gives the child the next job, if it has none; starts a child if there is none.
    fn start_next(&mut self) {
        while self.running.is_none()
            && let Some((id, job)) = self.queue.pop_front()
        {
            match self.seat() {
                Ok(seat) => {
                    // A child that is gone meanwhile is told of by the end of its pipe.
                    let _ = seat.orders.send(Order::Start(id, job));
                    self.running = Some(Running { id, stopping: None });
                }
                Err(error) => {
                    let how = format!("its process cannot be started ({error}); close programs and try again");
                    (self.report)(id, Update::Failed(EngineError::Stopped { how }));
                }
            }
        }
    }

    fn seat(&mut self) -> io::Result<&mut Seat> {
        match &mut self.child {
            Some(seat) => Ok(seat),
            none => {
                self.children += 1;
                let seat = launch(&self.launch, self.children, &self.asks)?;
                self.process_id.store(seat.child.id(), Ordering::Relaxed);
                Ok(none.insert(seat))
            }
        }
    }

    fn cancel(&mut self, id: RunId) {
        if let Some(running) = self.running.as_mut().filter(|running| running.id == id) {
            if let Some(seat) = &self.child {
                let _ = seat.orders.send(Order::Cancel(id));
            }
            running.stopping = Some(Stopping::default());
        } else if let Some(at) = self.queue.iter().position(|(queued, _)| *queued == id) {
            self.queue.remove(at);
            (self.report)(id, Update::Finished(RunStats::nothing(Stop::Cancelled)));
        }
    }

    fn on_news(&mut self, news: News) {
        let Some(running) = &mut self.running else { return };
        match news {
            News::Alive(id) if id == running.id => {
                running.stopping.iter_mut().for_each(|stopping| stopping.is_heard = true);
            }
            News::Told(id, update) if id == running.id => {
                running.stopping.iter_mut().for_each(|stopping| stopping.ticks = 0);
                if let (Update::Ready(_), Some(seat)) = (&update, &mut self.child) {
                    seat.is_open = true;
                }
                let ends = matches!(update, Update::Finished(_) | Update::Failed(_));
                (self.report)(id, update);
                if ends {
                    self.running = None;
                    self.start_next();
                }
            }
            News::Alive(_) | News::Told(..) => {}
        }
    }

    /// The pipe of the child has ended: it is dead, or talks nonsense and had better be. Without a job at hand that is
    /// no news: the next one starts a fresh child.
    fn on_silence(&mut self, fault: Option<String>) {
        let Some(how) = self.end_child() else { return };
        self.fail(match fault {
            Some(fault) => format!("its process says what osai does not understand ({fault}) and was ended"),
            None => how,
        });
    }

    fn tick(&mut self) {
        let is_open = self.child.as_ref().is_some_and(|seat| seat.is_open);
        let Some(stopping) = self.running.as_mut().and_then(|running| running.stopping.as_mut()) else { return };
        stopping.ticks += 1;
        let limit = match (stopping.is_heard, is_open) {
            (false, _) => UNHEARD_TICKS,
            (true, true) => UNFINISHED_TICKS,
            (true, false) => OPENING_TICKS,
        };
        if stopping.ticks < limit {
            return;
        }
        let seconds = (limit * TICK).as_secs();
        self.end_child();
        self.fail(format!("asked to stop, its process did not answer for {seconds} s and was ended"));
    }

    /// Tells the run at hand how the child ended, and starts the next.
    fn fail(&mut self, how: String) {
        if let Some(running) = self.running.take() {
            (self.report)(running.id, Update::Failed(EngineError::Stopped { how }));
        }
        self.start_next();
    }

    /// Kills the child, if there is one, and says how it ended. It writes no files, so there is nothing to wait for.
    fn end_child(&mut self) -> Option<String> {
        let Seat { mut child, orders, .. } = self.child.take()?;
        drop(orders);
        let _ = child.kill(); // fails where it is dead already
        let status = child.wait();
        self.process_id.store(0, Ordering::Relaxed);
        let mut stderr = Vec::new();
        if let Some(pipe) = child.stderr.take() {
            // The other end went with the process, so this ends too.
            let _ = pipe.take(STDERR_BYTES).read_to_end(&mut stderr);
        }
        Some(match status {
            Ok(status) => death::sentence(status, &stderr),
            Err(error) => format!("its process is lost ({error})"),
        })
    }
}

/// Starts a child, the `number`-th, and the threads that carry its pipes.
fn launch(launch: &Launch, number: u64, asks: &Sender<Ask>) -> io::Result<Seat> {
    let mut command = Command::new(&launch.program);
    command.args(&launch.arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    #[cfg(unix)]
    std::os::unix::process::CommandExt::arg0(&mut command, "osai");
    #[cfg(windows)]
    std::os::windows::process::CommandExt::creation_flags(&mut command, CREATE_NO_WINDOW);
    let mut child = command.spawn()?;
    let (stdin, stdout) = (child.stdin.take().expect("piped"), child.stdout.take().expect("piped"));
    let (orders, outbox) = mpsc::channel();
    let asks = asks.clone();
    let threads = thread::Builder::new()
        .name("model-in".into())
        .spawn(move || write_orders(stdin, &outbox))
        .and_then(|_| thread::Builder::new().name("model-out".into()).spawn(move || read_news(stdout, number, &asks)));
    if let Err(error) = threads {
        let _ = child.kill();
        let _ = child.wait();
        return Err(error);
    }
    Ok(Seat { child, orders, is_open: false })
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
