//! The app's side: the thread that owns the child.
//!
//! It does one job at a time; further ones wait in its queue. It alone starts, kills and buries the child (`launch`),
//! and lives as long as the app keeps it, because Linux ends the child with the thread that started it.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use super::launch::{Launch, Seat};
use super::wire::{News, Order};
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
/// A model in a process of its own. Dropping it ends the process.
#[derive(Debug)]
pub struct ModelProcess {
    asks: Sender<Ask>,
    process_id: Arc<AtomicU32>,
    /// Disconnected once the thread has ended, and with it the child.
    ended: Receiver<()>,
}

/// What the thread hears, from the app and from the child.
#[derive(Debug)]
pub(super) enum Ask {
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

/// The job that the child does.
struct Running {
    id: RunId,
    stopping: Option<Stopping>,
}

/// What has come of the request to stop.
struct Stopping {
    ticks: u32,
    next_tick: Instant,
    is_heard: bool,
}

impl Stopping {
    fn now() -> Self {
        Self { ticks: 0, next_tick: Instant::now() + TICK, is_heard: false }
    }
}

impl<R: Fn(RunId, Update)> Keeper<R> {
    fn keep(&mut self, inbox: &Receiver<Ask>) {
        loop {
            // `self` holds a sender, so the channel never closes.
            let ask = match self.running.as_ref().and_then(|running| running.stopping.as_ref()) {
                None => inbox.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(stopping) => inbox.recv_timeout(stopping.next_tick.saturating_duration_since(Instant::now())),
            };
            let ask = match ask {
                Ok(ask) => ask,
                Err(RecvTimeoutError::Timeout) => {
                    self.tick();
                    continue;
                }
                Err(RecvTimeoutError::Disconnected) => return,
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
                let seat = self.launch.start(self.children, &self.asks)?;
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
            running.stopping = Some(Stopping::now());
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
        stopping.next_tick = Instant::now() + TICK;
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

    /// Kills the child, if there is one, and says how it ended.
    fn end_child(&mut self) -> Option<String> {
        let seat = self.child.take()?;
        let how = seat.end();
        self.process_id.store(0, Ordering::Relaxed);
        Some(how)
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::ffi::OsString;

    use super::*;

    /// A keeper whose child reads its pipe and says nothing, with a run that was asked to stop, and what was reported.
    fn asked_to_stop() -> (Keeper<impl Fn(RunId, Update)>, Receiver<Update>) {
        let (send, told) = mpsc::channel();
        let arguments = ["-c", "exec cat >/dev/null"].map(OsString::from).to_vec();
        let mut keeper = Keeper {
            launch: Launch { model: "model.gguf".into(), program: "/bin/sh".into(), arguments },
            report: move |_, update| drop(send.send(update)),
            asks: mpsc::channel().0,
            queue: VecDeque::from([(RunId(1), Job::Open)]),
            child: None,
            children: 0,
            running: None,
            process_id: Arc::default(),
        };
        keeper.start_next();
        keeper.cancel(RunId(1));
        (keeper, told)
    }

    #[test]
    fn a_child_is_given_time_by_what_it_says() {
        let alive = News::Alive(RunId(1));
        for (news, is_open, ticks, words) in [
            (None, false, UNHEARD_TICKS, "did not answer for 2 s"),
            (None, true, UNHEARD_TICKS, "did not answer for 2 s"),
            (Some(alive.clone()), true, UNFINISHED_TICKS, "did not answer for 10 s"),
            (Some(alive), false, OPENING_TICKS, "did not answer for 60 s"),
        ] {
            let (mut keeper, told) = asked_to_stop();
            keeper.child.iter_mut().for_each(|seat| seat.is_open = is_open);
            news.into_iter().for_each(|news| keeper.on_news(news));
            (1..ticks).for_each(|_| keeper.tick());
            assert!(told.try_recv().is_err() && keeper.child.is_some());
            keeper.tick();
            let update = told.try_recv().expect("an update");
            assert!(matches!(&update, Update::Failed(error) if error.to_string().contains(words)), "{update:?}");
            assert!(keeper.child.is_none() && keeper.running.is_none());
        }
    }

    #[test]
    fn news_start_the_wait_anew() {
        let (mut keeper, told) = asked_to_stop();
        for _ in 0..3 {
            (1..UNHEARD_TICKS).for_each(|_| keeper.tick());
            keeper.on_news(News::Told(RunId(1), Update::Tokens(vec![])));
            assert_eq!(told.try_recv(), Ok(Update::Tokens(vec![])));
        }
        keeper.on_news(News::Told(RunId(1), Update::Finished(RunStats::nothing(Stop::Cancelled))));
        assert!(keeper.child.is_some() && keeper.running.is_none());
        keeper.end_child();
    }
}
