//! Attention of a chunk's queries over the cache: for each query head, softmax of the scores, weighted sum of values.

use super::cache::KvCache;
use super::kernels::{self, Head, KEY_TILE, Query};
use super::threads::Shares;
use super::weights::Compute;

/// Positions of a chunk that are attended together.
const POSITIONS: usize = 4;

/// What the attention of a layer computes with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shape {
    /// Query heads.
    pub heads: usize,
    /// Key and value heads; query heads share them in groups.
    pub kv_heads: usize,
    /// Width of a head.
    pub head_dim: usize,
    /// Scores are multiplied with this (usually `1 / sqrt(head_dim)`).
    pub scale: f32,
    /// Scores are bent to `cap · tanh(score / cap)`.
    pub softcap: Option<f32>,
    /// A position sees itself and the `window - 1` positions before it; `None`: all before it.
    pub window: Option<usize>,
    /// Whether a position sees only what is before it and itself (decoders), or everything (encoders).
    pub causal: bool,
}

impl Shape {
    /// The first position that `position` sees.
    pub fn first_seen(&self, position: usize) -> usize {
        self.window.map_or(0, |window| (position + 1).saturating_sub(window))
    }

    /// `mixed[i][head] = Σ softmax(scale · q[i][head] · K) V` for the last `count` positions of `layer` in the cache,
    /// which already holds their keys and values. `q` and `mixed` are `count × heads × head_dim`.
    ///
    /// With `keep`, `weights` is `count × heads × positions` afterwards: each query's attention over all
    /// positions, 0 where it does not look; else it is empty.
    #[allow(clippy::too_many_arguments, reason = "one call, in the decoder")]
    pub fn attend(
        &self,
        layer: usize,
        count: usize,
        q: &[f32],
        cache: &KvCache,
        compute: &mut Compute,
        weights: &mut Vec<f32>,
        keep: bool,
        mixed: &mut [f32],
    ) {
        let Self { heads, kv_heads, head_dim: dim, scale, softcap, .. } = *self;
        let (keys, values) = cache.layer(layer);
        let width = kv_heads * dim;
        let room = values.len() / width;
        let past = room - count;
        weights.clear();
        weights.resize(if keep { count * heads * room } else { 0 }, 0.0);
        assert!(q.len() == count * heads * dim && mixed.len() == q.len(), "shapes are fixed at load");
        let group = heads / kv_heads;
        let (isa, tiles) = (compute.isa, room.div_ceil(KEY_TILE) * KEY_TILE);
        let (to, seen) = (Shares(mixed.as_mut_ptr()), Shares(weights.as_mut_ptr()));
        // A share is a few positions of the query heads that read the same keys.
        let blocks = count.div_ceil(POSITIONS);
        compute.threads.share(kv_heads * blocks, |share| {
            let (kv_head, block) = (share % kv_heads, share / kv_heads);
            let here = block * POSITIONS..count.min((block + 1) * POSITIONS);
            let head = Head { keys, values, width, start: kv_head * dim, scale, softcap };
            let mut work = vec![0.0; here.len() * group * tiles];
            let mut queries: Vec<Query> = work
                .chunks_exact_mut(tiles)
                .enumerate()
                .map(|(n, weights)| {
                    // Neighbouring positions of one head see nearly the same.
                    let (i, query_head) = (here.start + n % here.len(), kv_head * group + n / here.len());
                    let at = (i * heads + query_head) * dim;
                    let end = if self.causal { past + i + 1 } else { room };
                    // SAFETY: `mixed` is `count × heads × dim`; a position's head is in one share only.
                    let out = unsafe { std::slice::from_raw_parts_mut(to.get().add(at), dim) };
                    Query { q: &q[at..at + dim], first: self.first_seen(past + i), end, weights, out }
                })
                .collect();
            kernels::attend(isa, &head, &mut queries);
            if keep {
                for (n, query) in queries.iter().enumerate() {
                    let (i, query_head) = (here.start + n % here.len(), kv_head * group + n / here.len());
                    // SAFETY: `weights` is `count × heads × room`; as above.
                    let row = unsafe {
                        std::slice::from_raw_parts_mut(seen.get().add((i * heads + query_head) * room), room)
                    };
                    row.copy_from_slice(&query.weights[..room]);
                }
            }
        });
    }
}
