//! Keys and values of the positions read so far.

/// The cache of one text: for each layer, `len` positions of `width` floats of keys and as many of values.
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
        for layer in self.keys.iter_mut().chain(&mut self.values) {
            layer.truncate(self.len * self.width);
        }
    }

    /// Adds a chunk's keys and values (`tokens × width` each) to a layer.
    pub fn append(&mut self, layer: usize, k: &[f32], v: &[f32]) {
        assert!(k.len() == v.len() && k.len().is_multiple_of(self.width), "shapes are fixed at load");
        assert_eq!(self.keys[layer].len(), self.len * self.width, "a layer is appended to once a chunk");
        self.keys[layer].extend_from_slice(k);
        self.values[layer].extend_from_slice(v);
    }

    /// A layer's keys and values so far, `width` floats a position.
    pub fn layer(&self, layer: usize) -> (&[f32], &[f32]) {
        (&self.keys[layer], &self.values[layer])
    }

    /// Ends a chunk of `tokens` positions, after every layer has had it.
    pub fn advance(&mut self, tokens: usize) {
        self.len += tokens;
        debug_assert!(self.keys.iter().all(|k| k.len() == self.len * self.width));
    }
}
