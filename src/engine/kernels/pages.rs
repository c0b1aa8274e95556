//! Memory for repacked weights: zeroed, aligned, in huge pages where the system gives them.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use memmap2::MmapMut;

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
    /// Ends the program when the system refuses the memory, as any allocation does; it has been counted before.
    pub fn zeroed(len: usize) -> Self {
        let mut current = CURRENT.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((chunk, start)) = current.upgrade().and_then(|chunk| Some((chunk.clone(), chunk.take(len)?))) {
            return Self { chunk, start, len };
        }
        let size = len.max(1).next_multiple_of(HUGE).max(CHUNK);
        let Ok(map) = MmapMut::map_anon(size) else {
            // As every failed allocation ends: said, not unwound.
            std::alloc::handle_alloc_error(std::alloc::Layout::from_size_align(size, ALIGN).expect("a size of memory"))
        };
        #[cfg(target_os = "linux")]
        let _ = map.advise(memmap2::Advice::HugePage);
        let chunk = Arc::new(Chunk { map, used: Mutex::new(len) });
        *current = Arc::downgrade(&chunk);
        Self { chunk, start: 0, len }
    }

    /// Where they begin. Others may write through it while `self` is borrowed: nobody reads what is not yet written.
    pub fn as_ptr(&self) -> *mut u8 {
        // SAFETY: the range lies within the chunk.
        unsafe { self.chunk.map.as_ptr().add(self.start).cast_mut() }
    }

    /// The bytes.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: the range was given out once; only `self`, borrowed here, reaches it.
        unsafe { std::slice::from_raw_parts_mut(self.as_ptr(), self.len) }
    }
}
