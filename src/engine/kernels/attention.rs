//! Attention of a few queries that share a key and value head.
//!
//! Keys lie in tiles of 16 positions, so that a lane is a position: a score is one chain of `fma` over the head's
//! dimensions. The sum under the softmax runs over 16 partial sums, one for each `position mod 16`, and the values are
//! added position by position. Nothing depends on which queries go together, nor on how the cache was filled.

use super::Isa;
use super::float::{exp_body, tanh_body, tree};
use super::vector::Vector;
use super::vector::plain::Plain;

/// Positions of a tile of keys.
pub const KEY_TILE: usize = 16;

/// A head's keys and values in the cache of a layer.
#[derive(Clone, Copy, Debug)]
pub struct Head<'a> {
    /// All heads' keys: `keys[(p / 16 · width + d) · 16 + p mod 16]` is dimension `d` at position `p`.
    pub keys: &'a [f32],
    /// All heads' values: `values[p · width + d]`.
    pub values: &'a [f32],
    /// Numbers of all heads for one position.
    pub width: usize,
    /// The first of them that is this head's.
    pub start: usize,
    /// Scores are multiplied with this.
    pub scale: f32,
    /// Scores are bent to `cap · tanh(score / cap)`.
    pub softcap: Option<f32>,
}

/// A query and what comes of it.
#[derive(Debug)]
pub struct Query<'a> {
    /// The query, as long as a head.
    pub q: &'a [f32],
    /// The first position that it sees.
    pub first: usize,
    /// The position after the last that it sees; more than `first`.
    pub end: usize,
    /// Becomes the attention over the positions from 0 on, 0 where it does not look; room for whole tiles.
    pub weights: &'a mut [f32],
    /// Becomes the sum of the values.
    pub out: &'a mut [f32],
}

/// `out = Σ softmax(scale · q · K) V` for each query. `isa` was detected on this machine.
pub fn attend(isa: Isa, head: &Head<'_>, queries: &mut [Query<'_>]) {
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,fma,f16c")]
    fn wide(head: &Head<'_>, queries: &mut [Query<'_>]) {
        attend_body::<super::vector::avx512::Avx512>(head, queries);
    }
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,fma,f16c")]
    fn middle(head: &Head<'_>, queries: &mut [Query<'_>]) {
        attend_body::<super::vector::avx2::Avx2>(head, queries);
    }
    match isa {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: an `Isa` is only made by detection on this machine.
        Isa::Avx512 => unsafe { wide(head, queries) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as above.
        Isa::Avx2 => unsafe { middle(head, queries) },
        #[cfg(target_arch = "aarch64")]
        Isa::Neon => attend_body::<super::vector::neon::Neon>(head, queries),
        _ => attend_body::<Plain<KEY_TILE>>(head, queries),
    }
}
#[inline(always)]
fn attend_body<V: Vector>(head: &Head<'_>, queries: &mut [Query<'_>]) {
    let mut rest = queries;
    // As many chains of `fma` at once as a processor keeps in flight: four queries, or fewer over more tiles.
    while !rest.is_empty() {
        let many = match rest.len() {
            4.. => 4,
            2.. => 2,
            _ => 1,
        };
        let (now, later) = rest.split_at_mut(many);
        match many {
            4 => group::<V, 4, 1>(head, now),
            2 => group::<V, 2, 2>(head, now),
            _ => group::<V, 1, 4>(head, now),
        }
        rest = later;
    }
}

/// `N` queries.
#[inline(always)]
fn group<V: Vector, const N: usize, const T: usize>(head: &Head<'_>, queries: &mut [Query<'_>]) {
    let dim = queries[0].out.len();
    let first = queries.iter().map(|q| q.first).min().unwrap_or(0) / KEY_TILE;
    let end = queries.iter().map(|q| q.end).max().unwrap_or(0).div_ceil(KEY_TILE);
    for query in queries.iter() {
        let sized = query.q.len() == dim && query.out.len() == dim && query.weights.len() >= end * KEY_TILE;
        assert!(sized && query.first < query.end, "a query is as long as its head and sees something");
    }
    assert!(head.start + dim <= head.width && head.keys.len() >= end * KEY_TILE * head.width, "keys are whole tiles");
    let positions = queries.iter().map(|q| q.end).max().unwrap_or(0);
    assert!(head.values.len() >= positions * head.width, "each position has its values");
    let mut tile = first;
    // SAFETY: all lengths were checked above; `V` is the set that this was compiled for.
    unsafe {
        while tile < end {
            if tile + T <= end {
                scores::<V, N, T>(head, queries, tile);
                tile += T;
            } else {
                scores::<V, N, 1>(head, queries, tile);
                tile += 1;
            }
        }
        for query in queries.iter_mut() {
            if let Some(cap) = head.softcap {
                let seen = &mut query.weights[first * KEY_TILE..end * KEY_TILE];
                seen.iter_mut().for_each(|w| *w = cap * tanh_body(*w / cap));
            }
            softmax(query);
        }
        let mut at = 0;
        while at < dim {
            at += match dim - at {
                left if left >= 2 * V::ROWS => mix::<V, N, 2>(head, queries, at),
                left if left >= V::ROWS => mix::<V, N, 1>(head, queries, at),
                _ => mix::<Plain<1>, N, 1>(head, queries, at),
            };
        }
    }
}

/// Scores of the positions of `T` tiles.
///
/// # Safety
/// Keys and weights reach to the last tile; see also [`Vector`].
#[inline(always)]
unsafe fn scores<V: Vector, const N: usize, const T: usize>(head: &Head<'_>, queries: &mut [Query<'_>], tile: usize) {
    let dim = queries[0].q.len();
    let q: [*const f32; N] = std::array::from_fn(|n| queries[n].q.as_ptr());
    for part in 0..KEY_TILE / V::ROWS {
        // SAFETY: the caller's promise; `d` is below the head's width.
        unsafe {
            let keys = head.keys.as_ptr().add((tile * head.width + head.start) * KEY_TILE + part * V::ROWS);
            let mut acc = [[V::floats(0.0); N]; T];
            for d in 0..dim {
                for t in 0..T {
                    let keys = V::floats_f32(keys.add((t * head.width + d) * KEY_TILE).cast());
                    for n in 0..N {
                        acc[t][n] = V::fma(V::floats(*q[n].add(d)), keys, acc[t][n]);
                    }
                }
            }
            for t in 0..T {
                for n in 0..N {
                    let to = queries[n].weights.as_mut_ptr().add((tile + t) * KEY_TILE + part * V::ROWS);
                    V::store(V::mul(acc[t][n], V::floats(head.scale)), to);
                }
            }
        }
    }
}

/// From scores to weights that sum to 1.
#[inline(always)]
fn softmax(query: &mut Query<'_>) {
    let (first, end) = (query.first, query.end);
    let tiles = first / KEY_TILE..end.div_ceil(KEY_TILE);
    query.weights[..tiles.start * KEY_TILE].fill(0.0);
    query.weights[tiles.end * KEY_TILE..].fill(0.0);
    let weights = &mut query.weights.as_chunks_mut::<KEY_TILE>().0[tiles.clone()];
    let start = tiles.start * KEY_TILE;
    // What it does not see weighs nothing: not even what a very small `exp` would leave.
    weights[0][..first - start].fill(f32::NEG_INFINITY);
    if let Some(last) = weights.last_mut() {
        last[(end - 1) % KEY_TILE + 1..].fill(f32::NEG_INFINITY);
    }
    let mut largest = [f32::NEG_INFINITY; KEY_TILE];
    for tile in weights.iter() {
        for p in 0..KEY_TILE {
            largest[p] = largest[p].max(tile[p]);
        }
    }
    let largest = largest.iter().fold(f32::NEG_INFINITY, |m, v| m.max(*v));
    let mut sums = [0.0_f32; KEY_TILE];
    for tile in weights.iter_mut() {
        for p in 0..KEY_TILE {
            let w = exp_body(tile[p] - largest);
            tile[p] = if tile[p] == f32::NEG_INFINITY { 0.0 } else { w };
            sums[p] += tile[p];
        }
    }
    let inverse = 1.0 / tree(sums);
    for tile in weights.iter_mut() {
        for p in 0..KEY_TILE {
            tile[p] *= inverse;
        }
    }
}

/// Sums `R` registers of the values' dimensions from `at` on; gives their number.
///
/// # Safety
/// Values, weights and results reach as far as is asked; see also [`Vector`].
#[inline(always)]
unsafe fn mix<V: Vector, const N: usize, const R: usize>(
    head: &Head<'_>,
    queries: &mut [Query<'_>],
    at: usize,
) -> usize {
    // SAFETY: the caller's promise, here and below.
    let value = |p: usize, r: usize| unsafe {
        V::floats_f32(head.values.as_ptr().add(p * head.width + head.start + at + r * V::ROWS).cast())
    };
    // Positions that all see are read once for all; each query goes through its own in order.
    let first = queries.iter().map(|q| q.first).max().unwrap_or(0);
    let end = queries.iter().map(|q| q.end).min().unwrap_or(0).max(first);
    // SAFETY: as above.
    unsafe {
        let mut acc = [[V::floats(0.0); R]; N];
        for n in 0..N {
            for p in queries[n].first..first.min(queries[n].end) {
                for r in 0..R {
                    acc[n][r] = V::fma(V::floats(queries[n].weights[p]), value(p, r), acc[n][r]);
                }
            }
        }
        let weights: [*const f32; N] = std::array::from_fn(|n| queries[n].weights.as_ptr());
        for p in first..end {
            let value: [V::Floats; R] = std::array::from_fn(|r| value(p, r));
            for n in 0..N {
                let weight = V::floats(*weights[n].add(p));
                for r in 0..R {
                    acc[n][r] = V::fma(weight, value[r], acc[n][r]);
                }
            }
        }
        for n in 0..N {
            for p in end.max(queries[n].first)..queries[n].end {
                for r in 0..R {
                    acc[n][r] = V::fma(V::floats(queries[n].weights[p]), value(p, r), acc[n][r]);
                }
            }
            for r in 0..R {
                V::store(acc[n][r], queries[n].out.as_mut_ptr().add(at + r * V::ROWS));
            }
        }
    }
    R * V::ROWS
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::kernels::tests_support::floats;

    const ROOM: usize = 70;

    /// Five queries of one head of `dim`, the second of two, each seeing something else.
    fn all(isa: Isa, dim: usize, softcap: Option<f32>, together: bool) -> Vec<(Vec<f32>, Vec<f32>)> {
        let tiles = ROOM.div_ceil(KEY_TILE);
        let (keys, values) = (floats(1, tiles * KEY_TILE * 2 * dim), floats(2, ROOM * 2 * dim));
        let head = Head { keys: &keys, values: &values, width: 2 * dim, start: dim, scale: 0.2, softcap };
        let q = floats(3, 5 * dim);
        let seen = [(0, 1), (0, 70), (3, 40), (16, 48), (60, 61)];
        let mut room: Vec<_> = (0..5).map(|_| (vec![f32::NAN; tiles * KEY_TILE], vec![f32::NAN; dim])).collect();
        let mut queries: Vec<Query> = room
            .iter_mut()
            .zip(q.chunks(dim))
            .zip(seen)
            .map(|(((weights, out), q), (first, end))| Query { q, first, end, weights, out })
            .collect();
        if together {
            attend(isa, &head, &mut queries);
        } else {
            queries.iter_mut().for_each(|query| attend(isa, &head, std::slice::from_mut(query)));
        }
        room
    }

    #[test]
    fn every_instruction_set_and_grouping_gives_the_same_bits() {
        let bits = |all: Vec<(Vec<f32>, Vec<f32>)>| -> Vec<u32> {
            all.into_iter().flat_map(|(w, o)| [w, o].concat()).map(f32::to_bits).collect()
        };
        for dim in [16, 24, 80] {
            for cap in [None, Some(5.0)] {
                let want = bits(all(Isa::Scalar, dim, cap, false));
                for isa in Isa::available() {
                    for together in [true, false] {
                        assert!(bits(all(isa, dim, cap, together)) == want, "{isa:?}, {dim}, together: {together}");
                    }
                }
            }
        }
    }

    #[test]
    fn it_is_the_attention_of_doubles() {
        let dim = 24;
        let (keys, values) = (floats(1, 80 * 2 * dim), floats(2, ROOM * 2 * dim));
        let q = floats(3, 5 * dim);
        let seen = [(0, 1), (0, 70), (3, 40), (16, 48), (60, 61)];
        for (n, (weights, out)) in all(Isa::detect(), dim, Some(5.0), true).into_iter().enumerate() {
            let score = |p: usize| -> f64 {
                let key = |d: usize| f64::from(keys[(p / 16 * 2 * dim + dim + d) * 16 + p % 16]);
                let dot: f64 = (0..dim).map(|d| f64::from(q[n * dim + d]) * key(d)).sum();
                5.0 * (0.2 * dot / 5.0).tanh()
            };
            let (first, end) = seen[n];
            let total: f64 = (first..end).map(|p| score(p).exp()).sum();
            for (p, w) in weights.iter().enumerate() {
                let want = if (first..end).contains(&p) { score(p).exp() / total } else { 0.0 };
                assert!((f64::from(*w) - want).abs() < 1e-5, "query {n}, position {p}: {w} against {want}");
            }
            for d in 0..dim {
                let want: f64 =
                    (first..end).map(|p| score(p).exp() / total * f64::from(values[p * 2 * dim + dim + d])).sum();
                assert!((f64::from(out[d]) - want).abs() < 1e-5, "query {n}, dimension {d}");
            }
        }
    }
}
