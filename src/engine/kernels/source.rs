//! Weights where the file has them.

use std::ops::Range;
use std::sync::Arc;

use memmap2::Mmap;

/// Some bytes of a mapped file.
#[derive(Clone, Debug)]
pub struct Source {
    map: Arc<Mmap>,
    range: Range<usize>,
}

impl Source {
    /// The part of `map` that `bytes` is.
    ///
    /// # Panics
    /// When `bytes` lies elsewhere.
    pub fn new(map: &Arc<Mmap>, bytes: &[u8]) -> Self {
        let (whole, part) = (map.as_ptr_range(), bytes.as_ptr_range());
        assert!(whole.start <= part.start && part.end <= whole.end, "a part of the map");
        let start = part.start as usize - whole.start as usize;
        Self { map: map.clone(), range: start..start + bytes.len() }
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.map[self.range.clone()]
    }

    /// Takes `range` of the bytes out of this process's memory, and what lies in the same windows; reading them again
    /// reads the file again.
    ///
    /// A read maps the pages of a whole window, those of a neighbour that was let go too; so the window goes as a whole.
    pub fn let_go(&self, range: Range<usize>) {
        #[cfg(unix)]
        {
            let first = (self.range.start + range.start) / WINDOW * WINDOW;
            let end = (self.range.start + range.end).min(self.range.end).next_multiple_of(WINDOW).min(self.map.len());
            if first < end {
                // SAFETY: a map of a file that is only read: what is dropped comes back as it was. Advice may fail, then
                // the pages stay.
                let _ =
                    unsafe { self.map.unchecked_advise_range(memmap2::UncheckedAdvice::DontNeed, first, end - first) };
            }
        }
        #[cfg(not(unix))]
        let _ = range;
    }
}

/// Bytes that Linux maps around a page that is read; on all systems a multiple of a page.
#[cfg(unix)]
const WINDOW: usize = 64 << 10;
