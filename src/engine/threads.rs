//! A few threads that share the rows of one operation, thousands of times a second.
//!
//! A forward pass has some 200 operations of 20 to 300 µs; waking a sleeping thread costs as much. So a helper spins
//! for a moment after each piece of work and only then sleeps; between jobs nothing spins and nothing wakes.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle, Thread};

/// About 200 µs of looking before a helper sleeps.
const SPINS: u32 = 4_000;

/// Looks once more. Where fewer cores are free than there are threads, gives the core away now and then: seldom, for who
/// gets it may keep it for milliseconds, and most waits end within microseconds.
fn look_again(spins: u32) {
    if spins.is_multiple_of(1_024) { thread::yield_now() } else { std::hint::spin_loop() }
}

/// A piece of work: called with the index of the part.
type Task<'a> = &'a (dyn Fn(usize) + Sync);

struct Shared {
    /// Counts operations; a change tells helpers that `task` is new.
    round: AtomicUsize,
    /// Helpers that have not finished this round.
    busy: AtomicUsize,
    task: std::cell::UnsafeCell<Option<Task<'static>>>,
    quit: AtomicBool,
    panicked: AtomicBool,
    asleep: Vec<AtomicBool>,
}

// SAFETY: `task` is written by the owner while no helper is busy and read by helpers after `round` has changed
// (release / acquire); `Task` itself is `Sync`.
unsafe impl Sync for Shared {}

/// The helpers. Dropping it ends them.
pub struct Threads {
    shared: Arc<Shared>,
    helpers: Vec<JoinHandle<()>>,
    handles: Vec<Thread>,
}

impl std::fmt::Debug for Threads {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Threads({})", self.count())
    }
}

impl Threads {
    /// `count` parts: this thread and `count - 1` helpers (fewer if the system refuses a thread).
    pub fn new(count: usize) -> Self {
        let helpers = count.clamp(1, 64) - 1;
        let shared = Arc::new(Shared {
            round: AtomicUsize::new(0),
            busy: AtomicUsize::new(0),
            task: std::cell::UnsafeCell::new(None),
            quit: AtomicBool::new(false),
            panicked: AtomicBool::new(false),
            asleep: (0..helpers).map(|_| AtomicBool::new(false)).collect(),
        });
        let helpers: Vec<_> = (0..helpers)
            .map_while(|i| {
                let shared = shared.clone();
                // Named as the model's, so that the panic hook leaves the screen alone.
                thread::Builder::new().name("model".into()).spawn(move || help(&shared, i)).ok()
            })
            .collect();
        let handles = helpers.iter().map(|h| h.thread().clone()).collect();
        Self { shared, helpers, handles }
    }

    /// Number of parts.
    pub fn count(&self) -> usize {
        self.helpers.len() + 1
    }

    /// Calls `task(part)` for each part in `0..count()`, one of them here, and waits for all.
    fn run(&mut self, task: &(dyn Fn(usize) + Sync)) {
        if self.helpers.is_empty() {
            task(0);
            return;
        }
        // SAFETY: helpers use the reference only until `busy` is 0 again, which is awaited below, also when `task`
        // panics here (the guard waits on unwinding).
        let forever: Task<'static> = unsafe { std::mem::transmute::<Task<'_>, Task<'static>>(task) };
        // SAFETY: no helper is busy.
        unsafe { *self.shared.task.get() = Some(forever) };
        self.shared.busy.store(self.helpers.len(), Ordering::Relaxed);
        self.shared.round.fetch_add(1, Ordering::SeqCst);
        for (asleep, handle) in self.shared.asleep.iter().zip(&self.handles) {
            if asleep.load(Ordering::SeqCst) {
                handle.unpark();
            }
        }
        {
            let _wait = Wait(&self.shared);
            task(self.helpers.len());
        }
        assert!(!self.shared.panicked.swap(false, Ordering::Relaxed), "a helper thread panicked");
    }

    /// Splits `0..items` into one run of neighbours for each part and calls `work` with it.
    pub fn split(&mut self, items: usize, work: impl Fn(Range<usize>) + Sync) {
        let parts = self.count();
        if items < 2 || parts == 1 {
            work(0..items);
            return;
        }
        self.run(&|part| work(items * part / parts..items * (part + 1) / parts));
    }

    /// Calls `work` with each of `0..items`. A thread goes through a run of neighbours, whose results mostly lie in
    /// cache lines of its own; one that is done goes on with the others' runs, so that all end together though items,
    /// or cores, are of different speed.
    pub fn share(&mut self, items: usize, work: impl Fn(usize) + Sync) {
        let parts = self.count();
        if items < 2 || parts == 1 {
            (0..items).for_each(work);
            return;
        }
        let taken: Vec<Taken> = (0..parts).map(|_| Taken::default()).collect();
        self.run(&|part| {
            for run in (part..parts).chain(0..part) {
                let (start, end) = (items * run / parts, items * (run + 1) / parts);
                loop {
                    let item = start + taken[run].0.fetch_add(1, Ordering::Relaxed);
                    if item >= end {
                        break;
                    }
                    work(item);
                }
            }
        });
    }

    /// Splits `data`, rows of `width`, into one run of neighbouring rows for each part; `work` gets the number of the
    /// first and the rows. Little data is not worth waking anybody.
    pub fn split_rows<T: Send>(&mut self, data: &mut [T], width: usize, work: impl Fn(usize, &mut [T]) + Sync) {
        let rows = data.len() / width;
        if size_of_val(data) < ALONE {
            work(0, &mut data[..rows * width]);
            return;
        }
        let to = Shares(data.as_mut_ptr());
        self.split(rows, |range| {
            // SAFETY: ranges of rows lie within `data` and do not overlap.
            let rows =
                unsafe { std::slice::from_raw_parts_mut(to.get().add(range.start * width), range.len() * width) };
            work(range.start, rows);
        });
    }
}

/// Items of a run that have been taken, in a cache line of its own.
#[derive(Default)]
#[repr(align(64))]
struct Taken(AtomicUsize);

/// Bytes that are worth sharing out: waking a helper costs what adding up so many does.
const ALONE: usize = 32 << 10;

/// A pointer that threads may share because each writes what no other touches.
#[derive(Debug)]
pub struct Shares<T>(pub *mut T);

impl<T> Clone for Shares<T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Shares<T> {}
// SAFETY: users write disjoint ranges only (see the callers).
unsafe impl<T: Send> Sync for Shares<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Send for Shares<T> {}

impl<T> Shares<T> {
    /// The pointer.
    pub fn get(self) -> *mut T {
        self.0
    }
}

/// Physical cores that this process may use. Two hyper-threads of a core share the units that products keep busy: a
/// second one only takes cache from the first.
pub fn physical_cores() -> usize {
    let logical = thread::available_parallelism().map_or(1, usize::from);
    let mut cores = std::collections::BTreeSet::new();
    for cpu in 0..1024 {
        let path = format!("/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list");
        match std::fs::read_to_string(path) {
            Ok(siblings) => drop(cores.insert(siblings)),
            // A processor that is off has no topology; elsewhere than on Linux none has.
            Err(_) if cpu >= logical => break,
            Err(_) => {}
        }
    }
    if cores.is_empty() { logical } else { logical.min(cores.len()) }
}

struct Wait<'a>(&'a Shared);

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        let mut spins = 0_u32;
        while self.0.busy.load(Ordering::Acquire) > 0 {
            spins = spins.wrapping_add(1);
            look_again(spins);
        }
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.shared.quit.store(true, Ordering::SeqCst);
        self.shared.round.fetch_add(1, Ordering::SeqCst);
        for helper in self.helpers.drain(..) {
            helper.thread().unpark();
            // A helper that panicked has said so in `run`.
            let _ = helper.join();
        }
    }
}

fn help(shared: &Shared, index: usize) {
    let mut seen = 0;
    loop {
        let mut spins = 0;
        while shared.round.load(Ordering::Acquire) == seen {
            spins += 1;
            if spins < SPINS {
                look_again(spins);
                continue;
            }
            shared.asleep[index].store(true, Ordering::SeqCst);
            while shared.round.load(Ordering::SeqCst) == seen {
                thread::park();
            }
            shared.asleep[index].store(false, Ordering::SeqCst);
        }
        seen = seen.wrapping_add(1);
        if shared.quit.load(Ordering::SeqCst) {
            return;
        }
        // SAFETY: set before `round` changed, not touched until `busy` is 0.
        let task = unsafe { *shared.task.get() }.expect("set before the round began");
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| task(index)));
        if done.is_err() {
            shared.panicked.store(true, Ordering::Relaxed);
        }
        shared.busy.fetch_sub(1, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_item_is_done_once_in_every_round() {
        for count in [1, 2, 3, 5] {
            let mut threads = Threads::new(count);
            for items in [0, 1, 2, 7, 100] {
                let done: Vec<_> = (0..items).map(|_| AtomicUsize::new(0)).collect();
                let one = |i: usize| {
                    done[i].fetch_add(1, Ordering::Relaxed);
                };
                for _ in 0..200 {
                    threads.split(items, |range| range.for_each(one));
                    threads.share(items, one);
                }
                assert!(done.iter().all(|n| n.load(Ordering::Relaxed) == 400), "{count} threads, {items} items");
            }
        }
    }

    #[test]
    fn every_row_goes_to_one_thread() {
        for (rows, width) in [(1, 5), (3, 4_000), (17, 1_001)] {
            let mut data = vec![0; rows * width + 3];
            Threads::new(3).split_rows(&mut data, width, |first, share| {
                for (i, row) in share.chunks_mut(width).enumerate() {
                    row.iter_mut().for_each(|x| *x += first + i + 1);
                }
            });
            let want: Vec<usize> =
                (0..rows * width + 3).map(|i| if i / width < rows { i / width + 1 } else { 0 }).collect();
            assert!(data == want, "{rows} rows of {width}");
        }
    }

    #[test]
    fn there_are_as_many_cores_as_processors_or_fewer() {
        let logical = thread::available_parallelism().map_or(1, usize::from);
        assert!((1..=logical).contains(&physical_cores()));
    }

    #[test]
    fn a_panic_in_a_helper_is_passed_on_and_the_threads_live() {
        let mut threads = Threads::new(2);
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            threads.split(2, |range| assert!(range.start != 0, "the first part fails"));
        }));
        assert!(outcome.is_err());
        let sum = AtomicUsize::new(0);
        threads.split(10, |range| {
            sum.fetch_add(range.len(), Ordering::Relaxed);
        });
        assert_eq!(sum.load(Ordering::Relaxed), 10);
    }
}
