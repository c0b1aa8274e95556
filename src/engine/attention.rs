//! Attention of a chunk's queries over the cache: for each query head, softmax of the scores, weighted sum of values.

use super::cache::KvCache;
use super::kernels;
use super::threads::Shares;
use super::weights::Compute;

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
    /// `weights` is room to work in. With `keep` it is `count × heads × positions` afterwards: each query's attention
    /// over all positions, 0 where it does not look.
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
        let kv_width = kv_heads * dim;
        let room = keys.len() / kv_width;
        let past = room - count;
        let kept = if keep { count } else { 1 };
        weights.clear();
        weights.resize(kept * heads * room, 0.0);
        assert!(q.len() == count * heads * dim && mixed.len() == q.len(), "shapes are fixed at load");
        let group = heads / kv_heads;
        let isa = compute.isa;
        let (to, seen) = (Shares(mixed.as_mut_ptr()), Shares(weights.as_mut_ptr()));
        compute.threads.split(heads, |range| {
            for head in range {
                let start = head / group * dim;
                for i in 0..count {
                    let at = (i * heads + head) * dim;
                    let first = self.first_seen(past + i);
                    let end = if self.causal { past + i + 1 } else { room };
                    // SAFETY: each thread has its own heads; `mixed` is `count × heads × dim`, `weights` holds
                    // `heads × room` floats for each of `kept` tokens (1 if nobody looks: then it is room to work in).
                    let (out, weights) = unsafe {
                        let row = (i.min(kept - 1) * heads + head) * room;
                        (
                            std::slice::from_raw_parts_mut(to.get().add(at), dim),
                            std::slice::from_raw_parts_mut(seen.get().add(row + first), end - first),
                        )
                    };
                    let (keys, values) = (&keys[first * kv_width + start..], &values[first * kv_width + start..]);
                    kernels::attend(isa, &q[at..at + dim], keys, values, kv_width, scale, softcap, weights, out);
                }
            }
        });
    }
}
