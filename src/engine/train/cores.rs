//! Work shared out over threads. Every number is computed by one thread in one fixed order, and sums over tokens run
//! over pieces whose size does not depend on the threads, so their number changes no bit.

use std::sync::{Mutex, PoisonError};

use super::super::kernels::{self, Isa, Packed, View};
use super::super::threads::{Shares, Threads};

/// Columns of a product that one thread takes at a time: whole panels on every instruction set.
const COLUMNS: usize = 64;
/// Rows that it takes at least, where columns are few.
const ROWS: usize = 64;
/// Rows that are summed up alone before the sums are added: fixed, so that a sum over tokens has one order.
const PIECE: usize = 64;
/// Numbers that are worth waking another thread for.
const ALONE: usize = 8_192;

/// An instruction set, threads, and room to work in.
#[derive(Debug)]
pub struct Cores {
    /// The instruction set.
    pub isa: Isa,
    threads: Threads,
    packed: Pool<Packed>,
    sums: Vec<f32>,
}

/// Room that threads borrow and give back.
#[derive(Debug, Default)]
pub struct Pool<T>(Mutex<Vec<T>>);

impl<T: Default> Pool<T> {
    /// Calls `work` with a piece of room; what it holds is whatever the last user left.
    pub fn with<R>(&self, work: impl FnOnce(&mut T) -> R) -> R {
        let mut room = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default();
        let result = work(&mut room);
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(room);
        result
    }
}

impl Cores {
    /// `threads` threads with an instruction set.
    pub fn new(isa: Isa, threads: usize) -> Self {
        Self { isa, threads: Threads::new(threads), packed: Pool::default(), sums: Vec::new() }
    }

    /// `c = a · b`, or with `add` `c += a · b`; a row of `c` begins `step` after the one before it.
    ///
    /// # Panics
    /// When a shape does not fit.
    pub fn product(&mut self, a: View<'_>, b: View<'_>, c: &mut [f32], step: usize, add: bool) {
        if a.rows == 0 || b.columns == 0 {
            return;
        }
        assert!(c.len() >= (a.rows - 1) * step + b.columns && b.columns <= step, "a product fits where it goes");
        let across = b.columns.div_ceil(COLUMNS);
        let wanted = if self.threads.count() == 1 { 1 } else { 2 * self.threads.count() };
        let down = wanted.div_ceil(across).min(a.rows.div_ceil(ROWS));
        let rows = a.rows.div_ceil(down).next_multiple_of(8);
        let (isa, to, packed) = (self.isa, Shares(c.as_mut_ptr()), &self.packed);
        let task = |index: usize| {
            let (first_row, first) = (index / across * rows, index % across * COLUMNS);
            let (end_row, end) = (a.rows.min(first_row + rows), b.columns.min(first + COLUMNS));
            if first_row >= end_row {
                return;
            }
            packed.with(|packed| {
                let (a, b) = (a.rows_of(first_row..end_row), b.columns_of(first..end));
                // SAFETY: within `c` (asserted); each task has its own rows and columns.
                unsafe { kernels::matmul(isa, a, b, to.get().add(first_row * step + first), step, add, packed) };
            });
        };
        self.threads.share(across * down, task);
    }

    /// Calls `work` with each of `0..tasks`, on all threads.
    pub fn share(&mut self, tasks: usize, work: impl Fn(usize) + Sync) {
        self.threads.share(tasks, work);
    }

    /// Deals out neighbouring rows of `N` arrays, each with its width; `work` gets the number of the first row and
    /// the rows of each.
    ///
    /// # Panics
    /// When an array has fewer than `count` rows.
    pub fn rows<const N: usize>(
        &mut self,
        count: usize,
        outs: [(&mut [f32], usize); N],
        work: impl Fn(usize, [&mut [f32]; N]) + Sync,
    ) {
        let widths = outs.each_ref().map(|(_, width)| *width);
        assert!(outs.iter().all(|(out, width)| out.len() >= count * width), "an array has all its rows");
        let outs = outs.map(|(out, _)| Shares(out.as_mut_ptr()));
        let part = |range: std::ops::Range<usize>| {
            let mut index = 0;
            let parts = outs.map(|out| {
                let width = widths[index];
                index += 1;
                // SAFETY: rows lie within the array (asserted), and ranges do not overlap.
                unsafe { std::slice::from_raw_parts_mut(out.get().add(range.start * width), range.len() * width) }
            });
            if !range.is_empty() {
                work(range.start, parts);
            }
        };
        if count * widths.iter().sum::<usize>() < ALONE {
            part(0..count);
        } else {
            self.threads.split(count, part);
        }
    }

    /// Splits `count` rows into pieces of a fixed number of rows. `work` gets a piece's first row, its rows of `out`
    /// and `width` zeros to sum into; the sums are added to `total` in order, if there is one.
    pub fn sum_rows(
        &mut self,
        count: usize,
        (out, out_width): (&mut [f32], usize),
        width: usize,
        total: Option<&mut [f32]>,
        work: impl Fn(usize, &mut [f32], &mut [f32]) + Sync,
    ) {
        let pieces = count.div_ceil(PIECE);
        assert!(out.len() >= count * out_width, "an array has all its rows");
        self.sums.clear();
        self.sums.resize(pieces * width, 0.0);
        let (out, sums) = (Shares(out.as_mut_ptr()), Shares(self.sums.as_mut_ptr()));
        self.threads.share(pieces, |piece| {
            let (first, end) = (piece * PIECE, count.min((piece + 1) * PIECE));
            // SAFETY: pieces do not overlap; both arrays are long enough.
            unsafe {
                let out = out.get().add(first * out_width);
                let out = std::slice::from_raw_parts_mut(out, (end - first) * out_width);
                work(first, out, std::slice::from_raw_parts_mut(sums.get().add(piece * width), width));
            }
        });
        if let Some(total) = total {
            for sums in self.sums.chunks_exact(width) {
                kernels::add(self.isa, total, sums);
            }
        }
    }
}

/// Floating-point operations a nanosecond that one thread's products of matrices reach at best, on matrices that fit the
/// second-level cache: what a trainer's speed is compared with.
#[doc(hidden)]
pub fn product_rate(isa: Isa) -> f64 {
    const SIZE: usize = 256;
    let (a, b, mut c) = (vec![0.5; SIZE * SIZE], vec![0.25; SIZE * SIZE], vec![0.0; SIZE * SIZE]);
    let mut cores = Cores::new(isa, 1);
    let best = (0..200).map(|_| {
        let start = std::time::Instant::now();
        let (a, b) = (View::new(&a, SIZE, SIZE, SIZE), View::new(&b, SIZE, SIZE, SIZE));
        cores.product(a, b, std::hint::black_box(&mut c), SIZE, false);
        start.elapsed().as_secs_f64()
    });
    2.0 * (SIZE * SIZE * SIZE) as f64 / best.fold(f64::INFINITY, f64::min) / 1e9
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::kernels::tests_support::floats;

    #[test]
    fn the_number_of_threads_changes_no_bit() {
        let (m, n, k) = (150, 200, 300);
        let (a, b) = (floats(1, m * k), floats(2, k * n));
        let run = |threads: usize| {
            let mut cores = Cores::new(Isa::detect(), threads);
            let (mut c, mut total) = (vec![0.5; m * n], vec![0.25; n]);
            cores.product(View::new(&a, m, k, k), View::new(&b, k, n, n), &mut c, n, true);
            let source = c.clone();
            cores.sum_rows(m, (&mut c, n), n, Some(&mut total), |first, out, sums| {
                for (out, row) in out.chunks_exact_mut(n).zip(source[first * n..].chunks_exact(n)) {
                    out.iter_mut().zip(row).for_each(|(out, x)| *out = 2.0 * x);
                    sums.iter_mut().zip(row).for_each(|(sum, x)| *sum += x);
                }
            });
            cores.rows(m, [(&mut c, n)], |_, [c]| c.iter_mut().for_each(|x| *x += 1.0));
            c.extend(total);
            c.into_iter().map(f32::to_bits).collect::<Vec<_>>()
        };
        let want = run(1);
        for threads in [2, 3, 5] {
            assert!(run(threads) == want, "{threads} threads");
        }
    }
}
