//! Memory for repacked weights: zeroed, aligned, in huge pages where the system gives them.

use memmap2::MmapMut;

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
