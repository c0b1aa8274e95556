//! Causal attention inside documents, forward and backward; query heads share key heads in groups.
//!
//! A task is a document's key head with the query heads that share it, so that tasks write apart. Scores are made for
//! [`ROWS`] queries at a time against the keys up to the last of them; what lies further above the diagonal is never
//! touched. The weights are kept for the way back.

use std::ops::Range;

use super::super::kernels::{self, Isa, Packed, Part, View};
use super::super::threads::Shares;
use super::cores::{Cores, Pool};

/// Queries, and on the way back keys, that go together.
const ROWS: usize = 64;

/// Widths of the heads.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Heads {
    /// Query heads.
    pub heads: usize,
    /// Key and value heads.
    pub kv_heads: usize,
    /// Width of a head.
    pub dim: usize,
    /// Scores are multiplied with this.
    pub scale: f32,
}

/// Room of a task.
#[derive(Debug, Default)]
pub struct Room {
    keys: Packed,
    values: Packed,
    side: Packed,
    dscores: Vec<f32>,
}

impl Heads {
    /// Numbers of a token's queries, keys and values together.
    pub fn width(&self) -> usize {
        (self.heads + 2 * self.kv_heads) * self.dim
    }

    /// Numbers of the attention weights of all heads over these documents.
    fn weights(&self, documents: &[Range<usize>]) -> usize {
        documents.iter().map(|d| self.heads * d.len() * d.len()).sum()
    }

    /// Tasks, the largest first: document, key head, and where the document's weights begin.
    fn tasks(&self, documents: &[Range<usize>]) -> Vec<(Range<usize>, usize, usize)> {
        let mut tasks = Vec::with_capacity(documents.len() * self.kv_heads);
        let mut start = 0;
        for document in documents {
            tasks.extend((0..self.kv_heads).map(|head| (document.clone(), head, start)));
            start += self.heads * document.len() * document.len();
        }
        tasks.sort_by_key(|(document, _, _)| std::cmp::Reverse(document.len()));
        tasks
    }

    /// `mixed = softmax(scale · Q Kᵀ) V`. `qkv` is `tokens × width()`; `weights` becomes the softmax, document by document,
    /// head by head, each `len × len`; `mixed` is `tokens × heads · dim`.
    pub fn forward(
        &self,
        cores: &mut Cores,
        rooms: &Pool<Room>,
        documents: &[Range<usize>],
        qkv: &[f32],
        weights: &mut Vec<f32>,
        mixed: &mut [f32],
    ) {
        weights.resize(self.weights(documents), 0.0);
        let tokens = documents.last().map_or(0, |d| d.end);
        assert!(qkv.len() >= tokens * self.width() && mixed.len() >= tokens * self.heads * self.dim);
        let tasks = self.tasks(documents);
        let (isa, weights, mixed) = (cores.isa, Shares(weights.as_mut_ptr()), Shares(mixed.as_mut_ptr()));
        cores.share(tasks.len(), |index| {
            let (document, kv_head, start) = tasks[index].clone();
            rooms.with(|room| {
                // SAFETY: a task writes its heads' weights and columns of `mixed`, in its document's rows.
                unsafe { self.forward_task(isa, room, (document, kv_head, start), qkv, weights, mixed) };
            });
        });
    }

    fn view<'a>(&self, from: &'a [f32], document: &Range<usize>, column: usize, width: usize) -> View<'a> {
        View::new(&from[document.start * width + column..], document.len(), self.dim, width)
    }

    /// # Safety
    /// Nobody else touches the weights and results of these heads in this document.
    unsafe fn forward_task(
        &self,
        isa: Isa,
        room: &mut Room,
        (document, kv_head, start): (Range<usize>, usize, usize),
        qkv: &[f32],
        weights: Shares<f32>,
        mixed: Shares<f32>,
    ) {
        let (len, width, dim) = (document.len(), self.width(), self.dim);
        let group = self.heads / self.kv_heads;
        room.keys.pack(isa, self.view(qkv, &document, (self.heads + kv_head) * dim, width).transposed());
        room.values.pack(isa, self.view(qkv, &document, (self.heads + self.kv_heads + kv_head) * dim, width));
        for head in kv_head * group..(kv_head + 1) * group {
            let q = self.view(qkv, &document, head * dim, width);
            // SAFETY: within `weights` and `mixed`, sized by the caller; see above.
            let p = unsafe { std::slice::from_raw_parts_mut(weights.get().add(start + head * len * len), len * len) };
            for first in (0..len).step_by(ROWS) {
                let end = len.min(first + ROWS);
                let part = Part { from: 0, columns: end, add: false };
                // SAFETY: `end - first` rows of `end` numbers, `len` apart.
                unsafe { room.keys.multiply(isa, q.rows_of(first..end), part, p[first * len..].as_mut_ptr(), len) };
                for i in first..end {
                    let row = &mut p[i * len..i * len + end];
                    kernels::softmax_row(isa, &mut row[..=i], self.scale);
                    row[i + 1..].fill(0.0);
                }
                let p = View::new(&p[first * len..], end - first, end, len);
                let part = Part { from: 0, columns: dim, add: false };
                let mixed_width = self.heads * dim;
                // SAFETY: the rows of this block, the columns of this head.
                unsafe {
                    let to = mixed.get().add((document.start + first) * mixed_width + head * dim);
                    room.values.multiply(isa, p, part, to, mixed_width);
                }
            }
        }
    }

    /// From `dmixed`, `dqkv` becomes the gradient of `qkv`; `weights` are what [`Heads::forward`] left.
    pub fn backward(
        &self,
        cores: &mut Cores,
        rooms: &Pool<Room>,
        documents: &[Range<usize>],
        (qkv, weights, dmixed): (&[f32], &[f32], &[f32]),
        dqkv: &mut [f32],
    ) {
        let tokens = documents.last().map_or(0, |d| d.end);
        assert!(qkv.len() >= tokens * self.width() && dqkv.len() >= tokens * self.width());
        assert!(weights.len() == self.weights(documents));
        let tasks = self.tasks(documents);
        let (isa, dqkv) = (cores.isa, Shares(dqkv.as_mut_ptr()));
        cores.share(tasks.len(), |index| {
            let (document, kv_head, start) = tasks[index].clone();
            rooms.with(|room| {
                // SAFETY: a task writes the columns of its heads, in its document's rows.
                unsafe { self.backward_task(isa, room, (document, kv_head, start), (qkv, weights, dmixed), dqkv) };
            });
        });
    }

    /// # Safety
    /// Nobody else touches `dqkv` of these heads in this document.
    unsafe fn backward_task(
        &self,
        isa: Isa,
        room: &mut Room,
        (document, kv_head, start): (Range<usize>, usize, usize),
        (qkv, weights, dmixed): (&[f32], &[f32], &[f32]),
        dqkv: Shares<f32>,
    ) {
        let (len, width, dim) = (document.len(), self.width(), self.dim);
        let group = self.heads / self.kv_heads;
        let [key, value] = [self.heads + kv_head, self.heads + self.kv_heads + kv_head].map(|head| head * dim);
        let Room { keys, values, side, dscores } = room;
        keys.pack(isa, self.view(qkv, &document, key, width));
        values.pack(isa, self.view(qkv, &document, value, width).transposed());
        dscores.resize(len * len, 0.0);
        for head in kv_head * group..(kv_head + 1) * group {
            let p = &weights[start + head * len * len..][..len * len];
            let dout = self.view(dmixed, &document, head * dim, self.heads * dim);
            // SAFETY: a row of `dqkv` in this document, the columns of one of this task's heads.
            let to = |row: usize, column: usize| unsafe { dqkv.get().add((document.start + row) * width + column) };
            for first in (0..len).step_by(ROWS) {
                let end = len.min(first + ROWS);
                let part = Part { from: 0, columns: end, add: false };
                let to_scores = dscores[first * len..].as_mut_ptr();
                // SAFETY: `end - first` rows of `end` numbers, `len` apart.
                unsafe { values.multiply(isa, dout.rows_of(first..end), part, to_scores, len) };
                for i in first..end {
                    let d = &mut dscores[i * len..i * len + end];
                    kernels::softmax_backward(isa, &p[i * len..=i * len + i], &mut d[..=i], self.scale);
                    d[i + 1..].fill(0.0);
                }
                let d = View::new(&dscores[first * len..], end - first, end, len);
                // SAFETY: see `to`.
                unsafe {
                    keys.multiply(isa, d, Part { from: 0, columns: dim, add: false }, to(first, head * dim), width)
                };
            }
            // Keys and values gather from all queries after them, head by head.
            let add = head > kv_head * group;
            let scores = View::new(dscores, len, len, len);
            for (from, of, column) in [
                (dout, View::new(p, len, len, len), value),
                (self.view(qkv, &document, head * dim, width), scores, key),
            ] {
                side.pack(isa, from);
                for first in (0..len).step_by(ROWS) {
                    let of = of.rows_of(first..len).columns_of(first..len.min(first + ROWS)).transposed();
                    // SAFETY: see `to`.
                    unsafe {
                        side.multiply(isa, of, Part { from: first, columns: dim, add }, to(first, column), width)
                    };
                }
            }
        }
    }
}
