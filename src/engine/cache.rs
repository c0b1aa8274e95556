//! Keys and values of the positions read so far.

use super::kernels::KEY_TILE;
use super::threads::Threads;

/// The cache of one text: for each layer, `len` positions of `width` floats of keys and as many of values.
///
/// Values lie position by position. Keys lie in tiles of 16 positions, dimension by dimension in each, so that scores of
/// 16 positions are computed at once; a tile's unused places hold whatever was there.
#[derive(Clone, Debug)]
pub struct KvCache {
    width: usize,
    keys: Vec<Vec<f32>>,
    values: Vec<Vec<f32>>,
    len: usize,
    limit: usize,
}

impl KvCache {
    /// An empty cache for `layers` layers, `width` floats a position (`num_key_value_heads × head_dim`), and at most
    /// `limit` positions (`max_position_embeddings`). Memory is taken as positions come.
    pub fn new(layers: usize, width: usize, limit: usize) -> Self {
        Self { width, keys: vec![Vec::new(); layers], values: vec![Vec::new(); layers], len: 0, limit }
    }

    /// Positions held.
    #[allow(clippy::len_without_is_empty)] // nobody asks
    pub fn len(&self) -> usize {
        self.len
    }

    /// Positions that still fit.
    pub fn room(&self) -> usize {
        self.limit - self.len
    }

    /// Bytes that keys and values take.
    pub fn bytes(&self) -> u64 {
        let floats: usize = self.keys.iter().chain(&self.values).map(Vec::len).sum();
        (floats * size_of::<f32>()) as u64
    }

    /// Forgets positions from `len` on.
    pub fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
        for keys in &mut self.keys {
            keys.truncate(self.len.div_ceil(KEY_TILE) * KEY_TILE * self.width);
        }
        for values in &mut self.values {
            values.truncate(self.len * self.width);
        }
    }

    /// Adds a chunk's keys and values (`tokens × width` each) to a layer.
    pub fn append(&mut self, layer: usize, k: &[f32], v: &[f32], threads: &mut Threads) {
        assert!(k.len() == v.len() && k.len().is_multiple_of(self.width), "shapes are fixed at load");
        assert_eq!(self.values[layer].len(), self.len * self.width, "a layer is appended to once a chunk");
        self.values[layer].extend_from_slice(v);
        let positions = self.values[layer].len() / self.width;
        let keys = &mut self.keys[layer];
        let (width, past, tile) = (self.width, self.len, KEY_TILE * self.width);
        keys.resize(positions.div_ceil(KEY_TILE) * tile, 0.0);
        let begun = past / KEY_TILE;
        threads.split_rows(&mut keys[begun * tile..], tile, |first, tiles| {
            let start = (begun + first) * KEY_TILE;
            for position in start.max(past)..positions.min(start + tiles.len() / width) {
                let k = &k[(position - past) * width..][..width];
                let tile = &mut tiles[(position - start) / KEY_TILE * tile..][..tile];
                for (k, places) in k.iter().zip(tile.as_chunks_mut::<KEY_TILE>().0) {
                    places[position % KEY_TILE] = *k;
                }
            }
        });
    }

    /// A layer's keys and values so far, as [`super::kernels::Head`] has them.
    pub fn layer(&self, layer: usize) -> (&[f32], &[f32]) {
        (&self.keys[layer], &self.values[layer])
    }

    /// Ends a chunk of `tokens` positions, after every layer has had it.
    pub fn advance(&mut self, tokens: usize) {
        self.len += tokens;
        debug_assert!(self.values.iter().all(|v| v.len() == self.len * self.width));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::kernels::tests_support::floats;

    #[test]
    fn truncating_and_appending_again_gives_the_same_cache() {
        let (width, all) = (6, floats(1, 40 * 6));
        let read = |chunks: &[usize], back: Option<usize>| {
            let mut cache = KvCache::new(1, width, 100);
            let add = |cache: &mut KvCache, tokens: usize| {
                let part = &all[cache.len() * width..(cache.len() + tokens) * width];
                cache.append(0, part, part, &mut Threads::new(2));
                cache.advance(tokens);
            };
            chunks.iter().for_each(|tokens| add(&mut cache, *tokens));
            if let Some(back) = back {
                cache.truncate(back);
                add(&mut cache, 40 - back);
            }
            cache
        };
        let want = read(&[40], None);
        for (position, k) in all.chunks(width).enumerate() {
            for (d, k) in k.iter().enumerate() {
                assert_eq!(want.keys[0][(position / 16 * width + d) * 16 + position % 16], *k);
            }
        }
        for got in [read(&[1, 15, 17, 7], None), read(&[40], Some(0)), read(&[33], Some(17)), read(&[16, 16], Some(16))]
        {
            assert_eq!(got.values, want.values);
            // Places beyond the last position hold anything.
            for position in 0..40 {
                for d in 0..width {
                    let at = (position / 16 * width + d) * 16 + position % 16;
                    assert_eq!(got.keys[0][at], want.keys[0][at], "position {position}");
                }
            }
        }
    }
}
