//! Memory for repacked weights: zeroed, aligned, in huge pages where the system gives them.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use memmap2::{Mmap, MmapMut};

/// A huge page of the systems that matter.
const HUGE: usize = 2 << 20;
/// Address space asked for at once; memory is taken as it is written.
const CHUNK: usize = 64 << 20;
/// Matrices begin with a page, so that one can be given back without its neighbours.
const ALIGN: usize = 4096;

/// Address space that matrices share. With a map each, half of their memory would lie outside of whole huge pages, and
/// decoding, which reads every weight once a token, feels the translation of addresses.
#[derive(Debug)]
struct Chunk {
    map: MmapMut,
    /// Bytes given out.
    used: Mutex<usize>,
}

/// The chunk that still has room.
static CURRENT: Mutex<Weak<Chunk>> = Mutex::new(Weak::new());

impl Chunk {
    /// Where `len` bytes begin, if there is room.
    fn take(&self, len: usize) -> Option<usize> {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let start = used.next_multiple_of(ALIGN);
        let fits = start + len <= self.map.len();
        if fits {
            *used = start + len;
        }
        fits.then_some(start)
    }
}

/// Bytes of a chunk that are this one's alone.
#[derive(Debug)]
pub(super) struct Pages {
    chunk: Arc<Chunk>,
    start: usize,
    len: usize,
}

impl Pages {
    /// `len` zero bytes.
    ///
    /// # Panics
    /// When the system refuses the memory; it has been counted before.
    pub fn zeroed(len: usize) -> Self {
        let mut current = CURRENT.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((chunk, start)) = current.upgrade().and_then(|chunk| Some((chunk.clone(), chunk.take(len)?))) {
            return Self { chunk, start, len };
        }
        let size = len.max(1).next_multiple_of(HUGE).max(CHUNK);
        let map = MmapMut::map_anon(size).expect("memory was counted before it is asked for");
        #[cfg(target_os = "linux")]
        let _ = map.advise(memmap2::Advice::HugePage);
        let chunk = Arc::new(Chunk { map, used: Mutex::new(len) });
        *current = Arc::downgrade(&chunk);
        Self { chunk, start: 0, len }
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.chunk.map[self.start..self.start + self.len]
    }

    /// The bytes.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: the range was given out once; only `self`, borrowed here, reaches it.
        unsafe { std::slice::from_raw_parts_mut(self.chunk.map.as_ptr().add(self.start).cast_mut(), self.len) }
    }
}

/// Takes pages of a mapped file out of this process's memory; reading them again reads the file again. `bytes` is part
/// of `map`, else nothing happens; pages that it shares with its neighbours stay.
pub fn let_go(map: &Mmap, bytes: &[u8]) {
    #[cfg(unix)]
    {
        let whole = map.as_ptr_range();
        let part = bytes.as_ptr_range();
        if part.start < whole.start || part.end > whole.end {
            return;
        }
        let page = page_size();
        let first = (part.start as usize - whole.start as usize).next_multiple_of(page);
        let end = (part.end as usize - whole.start as usize) / page * page;
        if first < end {
            // SAFETY: a map of a file that is only read: what is dropped comes back as it was. Advice may fail, then the
            // pages stay.
            let _ = unsafe { map.unchecked_advise_range(memmap2::UncheckedAdvice::DontNeed, first, end - first) };
        }
    }
    #[cfg(not(unix))]
    let _ = (map, bytes);
}

#[cfg(unix)]
fn page_size() -> usize {
    // SAFETY: a question without side effects.
    usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096)
}
