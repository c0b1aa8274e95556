//! Memory for repacked weights: zeroed, aligned, in huge pages where the system gives them.

use memmap2::{Mmap, MmapMut};

/// Bytes on pages of their own.
#[derive(Debug)]
pub(super) struct Pages {
    map: MmapMut,
    len: usize,
}

impl Pages {
    /// `len` zero bytes.
    ///
    /// # Panics
    /// When the system refuses the memory; it has been counted before.
    pub fn zeroed(len: usize) -> Self {
        let map = MmapMut::map_anon(len.max(1)).expect("memory was counted before it is asked for");
        // Decoding reads every weight once a token: with 4 KiB pages the translation of addresses is felt.
        #[cfg(target_os = "linux")]
        let _ = map.advise(memmap2::Advice::HugePage);
        Self { map, len }
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.map[..self.len]
    }

    /// The bytes.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.map[..self.len]
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
