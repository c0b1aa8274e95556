//! Products of f32 matrices with f32 results: what training computes with.
//!
//! A lane is a column of the result, so each number is one chain of `fma` over the depth, cut every [`BLOCK_DEPTH`]
//! terms into partial sums that are added in order. Which tile, panel or thread a number falls to changes no bit of it.
//! The right-hand matrix is packed into panels of two registers' width; the left-hand one is read where it lies.

use super::Isa;
use super::vector::Vector;
use super::vector::plain::Plain;

/// Terms of a partial sum: a panel of that depth fits the second-level cache many times.
const BLOCK_DEPTH: usize = 256;
/// Columns that are packed at a time.
const GROUP: usize = 128;
/// Registers of a panel's width.
const WIDE: usize = 2;
/// Columns of a panel at most.
const MOST_COLUMNS: usize = 32;

/// A matrix that is read: element `(i, j)` is `data[i · row_step + j · column_step]`.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    data: &'a [f32],
    /// Number of rows.
    pub rows: usize,
    /// Number of columns.
    pub columns: usize,
    row_step: usize,
    column_step: usize,
}

impl<'a> View<'a> {
    /// `rows × columns`, row by row; a row begins `step` after the one before it.
    ///
    /// # Panics
    /// When `data` is too short.
    pub fn new(data: &'a [f32], rows: usize, columns: usize, step: usize) -> Self {
        let reach = if rows * columns == 0 { 0 } else { (rows - 1) * step + columns };
        assert!(data.len() >= reach && (columns <= step || rows < 2), "{rows} × {columns} by {step} in {}", data.len());
        Self { data, rows, columns, row_step: step, column_step: 1 }
    }

    /// Rows for columns.
    pub fn transposed(self) -> Self {
        let Self { data, rows, columns, row_step, column_step } = self;
        Self { data, rows: columns, columns: rows, row_step: column_step, column_step: row_step }
    }

    /// Some rows.
    ///
    /// # Panics
    /// When the range is outside.
    pub fn rows_of(self, range: std::ops::Range<usize>) -> Self {
        assert!(range.start <= range.end && range.end <= self.rows, "rows {range:?} of {}", self.rows);
        let data = if range.is_empty() { &[] } else { &self.data[range.start * self.row_step..] };
        Self { data, rows: range.len(), ..self }
    }

    /// Some columns.
    ///
    /// # Panics
    /// When the range is outside.
    pub fn columns_of(self, range: std::ops::Range<usize>) -> Self {
        self.transposed().rows_of(range).transposed()
    }
}

/// A right-hand matrix in panels: `(k, j)` is `data[(j / width · depth + k) · width + j mod width]`, 0 beyond its
/// columns.
#[derive(Debug, Default)]
pub struct Packed {
    data: Vec<f32>,
    depth: usize,
    columns: usize,
    width: usize,
}

/// Columns of a panel under an instruction set.
fn width(isa: Isa) -> usize {
    match isa {
        Isa::Avx512 | Isa::Scalar => 32,
        Isa::Avx2 => 16,
        Isa::Neon => 8,
    }
}

impl Packed {
    /// Packs `b`; what was there is lost.
    pub fn pack(&mut self, isa: Isa, b: View<'_>) {
        let width = width(isa);
        (self.depth, self.columns, self.width) = (b.rows, b.columns, width);
        self.data.resize(b.columns.div_ceil(width) * b.rows * width, 0.0);
        for (index, panel) in self.data.chunks_exact_mut((b.rows * width).max(1)).enumerate() {
            let first = index * width;
            let here = width.min(b.columns - first);
            if here < width {
                panel.fill(0.0);
            }
            if b.column_step == 1 {
                for (k, to) in panel.chunks_exact_mut(width).enumerate() {
                    to[..here].copy_from_slice(&b.data[k * b.row_step + first..][..here]);
                }
            } else {
                for j in 0..here {
                    let column = &b.data[(first + j) * b.column_step..];
                    for (to, from) in panel[j..].iter_mut().step_by(width).zip(column.iter().step_by(b.row_step)) {
                        *to = *from;
                    }
                }
            }
        }
    }

    /// `c = a · b`, or `c += a · b`, for the first `columns` columns of what was packed, from its row `from` on as deep
    /// as `a` is wide. A row of `c` begins `step` after the one before it.
    ///
    /// # Safety
    /// `c` has `a.rows` such rows of `columns` floats, which nobody else touches.
    ///
    /// # Panics
    /// When `a` is wider than what was packed is deep from there.
    pub unsafe fn multiply(&self, isa: Isa, a: View<'_>, part: Part, c: *mut f32, step: usize) {
        assert!(part.from + a.columns <= self.depth && part.columns <= self.columns && self.width == width(isa));
        if a.columns == 0 && !part.add {
            for row in 0..a.rows {
                // SAFETY: the caller's promise.
                unsafe { std::slice::from_raw_parts_mut(c.add(row * step), part.columns) }.fill(0.0);
            }
            return;
        }
        // SAFETY: the caller's promise; an `Isa` is only made by detection on this machine.
        unsafe {
            match isa {
                #[cfg(target_arch = "x86_64")]
                Isa::Avx512 => wide(self, a, part, c, step),
                #[cfg(target_arch = "x86_64")]
                Isa::Avx2 => middle(self, a, part, c, step),
                #[cfg(target_arch = "aarch64")]
                Isa::Neon => body::<super::vector::neon::Neon, 8>(self, a, part, c, step),
                _ => body::<Plain<16>, 4>(self, a, part, c, step),
            }
        }
    }
}

/// Which part of a packed matrix is multiplied with, and whether the result is added.
#[derive(Clone, Copy, Debug)]
pub struct Part {
    /// Its first row.
    pub from: usize,
    /// Its first columns, so many.
    pub columns: usize,
    /// `c += a · b` instead of `c = a · b`.
    pub add: bool,
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,fma,f16c")]
unsafe fn wide(b: &Packed, a: View<'_>, part: Part, c: *mut f32, step: usize) {
    // SAFETY: the caller's promise.
    unsafe { body::<super::vector::avx512::Avx512, 8>(b, a, part, c, step) }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn middle(b: &Packed, a: View<'_>, part: Part, c: *mut f32, step: usize) {
    // SAFETY: the caller's promise.
    unsafe { body::<super::vector::avx2::Avx2, 6>(b, a, part, c, step) }
}

/// # Safety
/// As [`Packed::multiply`], and the machine has `V`'s instructions.
#[inline(always)]
unsafe fn body<V: Vector, const M: usize>(b: &Packed, a: View<'_>, part: Part, c: *mut f32, step: usize) {
    let mut from = 0;
    while from < a.columns {
        let depth = BLOCK_DEPTH.min(a.columns - from);
        let add = part.add || from > 0;
        let mut row = 0;
        while row < a.rows {
            let left = a.rows - row;
            let rows = if left >= M { M } else { 1 << left.ilog2().min(2) };
            for panel in 0..part.columns.div_ceil(b.width) {
                // SAFETY: rows, columns and depths are within the matrices (asserted by the callers).
                unsafe {
                    let at = Tile {
                        a: a.data.as_ptr().add(row * a.row_step + from * a.column_step),
                        steps: [a.row_step, a.column_step],
                        b: b.data.as_ptr().add((panel * b.depth + part.from + from) * b.width),
                        depth,
                        c: c.add(row * step + panel * b.width),
                        step,
                        columns: b.width.min(part.columns - panel * b.width),
                        add,
                    };
                    match rows {
                        1 => at.run::<V, 1>(),
                        2 => at.run::<V, 2>(),
                        4 => at.run::<V, 4>(),
                        _ => at.run::<V, M>(),
                    }
                }
            }
            row += rows;
        }
        from += depth;
    }
}

/// A few rows of the result, of one panel.
struct Tile {
    a: *const f32,
    steps: [usize; 2],
    b: *const f32,
    depth: usize,
    c: *mut f32,
    step: usize,
    columns: usize,
    add: bool,
}

impl Tile {
    /// # Safety
    /// `M` rows of `a` and `c`, a panel of `b` two registers wide, all `depth` deep; see also [`Vector`].
    #[inline(always)]
    unsafe fn run<V: Vector, const M: usize>(&self) {
        // SAFETY: the caller's promise.
        unsafe {
            let [row_step, column_step] = self.steps;
            let mut sums = [[V::floats(0.0); WIDE]; M];
            let (mut a, mut b) = (self.a, self.b);
            for _ in 0..self.depth {
                let right: [V::Floats; WIDE] = std::array::from_fn(|j| V::floats_f32(b.add(j * V::ROWS).cast()));
                for i in 0..M {
                    let left = V::floats(*a.add(i * row_step));
                    for j in 0..WIDE {
                        sums[i][j] = V::fma(left, right[j], sums[i][j]);
                    }
                }
                a = a.wrapping_add(column_step);
                b = b.add(WIDE * V::ROWS);
            }
            let whole = self.columns == WIDE * V::ROWS;
            for i in 0..M {
                let to = self.c.add(i * self.step);
                let mut row = [0.0_f32; MOST_COLUMNS];
                let at = if whole { to } else { row.as_mut_ptr() };
                if !whole && self.add {
                    row[..self.columns].copy_from_slice(std::slice::from_raw_parts(to, self.columns));
                }
                for j in 0..WIDE {
                    let at = at.add(j * V::ROWS);
                    let sum = if self.add { V::add(V::floats_f32(at.cast()), sums[i][j]) } else { sums[i][j] };
                    V::store(sum, at);
                }
                if !whole {
                    std::slice::from_raw_parts_mut(to, self.columns).copy_from_slice(&row[..self.columns]);
                }
            }
        }
    }
}

/// `c = a · b`, or with `add` `c += a · b`. A row of `c` begins `step` after the one before it; `room` is for packing.
///
/// # Safety
/// `c` has `a.rows` such rows of `b.columns` floats, which nobody else touches.
///
/// # Panics
/// When `a` is not as wide as `b` is deep.
pub unsafe fn matmul(isa: Isa, a: View<'_>, b: View<'_>, c: *mut f32, step: usize, add: bool, room: &mut Packed) {
    assert!(a.columns == b.rows, "{} columns against {} rows", a.columns, b.rows);
    for first in (0..b.columns).step_by(GROUP) {
        let columns = first..b.columns.min(first + GROUP);
        let group = b.columns_of(columns.clone());
        let mut from = 0;
        loop {
            let block = from..b.rows.min(from + BLOCK_DEPTH);
            room.pack(isa, group.rows_of(block.clone()));
            let part = Part { from: 0, columns: columns.len(), add: add || from > 0 };
            // SAFETY: the caller's promise.
            unsafe { room.multiply(isa, a.columns_of(block.clone()), part, c.add(first), step) };
            from = block.end;
            if from >= b.rows {
                break;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::kernels::tests_support::floats;

    /// Both operands in both orders, and sizes that end inside a tile, a panel, a block, a group.
    #[test]
    fn a_product_is_that_of_doubles_and_the_same_everywhere() {
        for [m, n, k] in [[1, 1, 1], [8, 32, 16], [13, 70, 300], [7, 161, 30], [3, 33, 513], [2, 5, 0]] {
            let (x, y, c) = (floats(1, m * k), floats(2, k * n), floats(3, m * n));
            for turned in [[false, false], [true, false], [false, true], [true, true]] {
                let (x, y) = (View::new(&x, m, k, k), View::new(&y, k, n, n));
                // The same numbers, laid out the other way.
                let turn = |v: View<'_>| -> Vec<f32> {
                    let at = |i: usize, j: usize| v.data[i * v.row_step + j * v.column_step];
                    (0..v.columns).flat_map(|j| (0..v.rows).map(move |i| at(i, j))).collect()
                };
                let (x_turned, y_turned) = (turn(x), turn(y));
                let a = if turned[0] { View::new(&x_turned, k, m, m).transposed() } else { x };
                let b = if turned[1] { View::new(&y_turned, n, k, k).transposed() } else { y };
                let run = |isa: Isa| {
                    let mut out = c.clone();
                    // SAFETY: `out` has `m` rows of `n` floats.
                    unsafe { matmul(isa, a, b, out.as_mut_ptr(), n, true, &mut Packed::default()) };
                    out
                };
                let out = run(Isa::Scalar);
                for i in 0..m {
                    for j in 0..n {
                        let dot: f64 =
                            (0..k).map(|k| f64::from(x.data[i * x.row_step + k]) * f64::from(y.data[k * n + j])).sum();
                        let want = dot + f64::from(c[i * n + j]);
                        assert!((f64::from(out[i * n + j]) - want).abs() < 1e-4 * (1.0 + k as f64).sqrt(), "{i}, {j}");
                    }
                }
                for isa in Isa::available() {
                    let same = run(isa).iter().zip(&out).all(|(a, b)| a.to_bits() == b.to_bits());
                    assert!(same, "{isa:?} differs from plain code in {m} × {n} × {k}, turned {turned:?}");
                }
            }
        }
    }

    #[test]
    fn a_part_of_what_is_packed_is_a_part_of_the_product() {
        let (m, n, k, from) = (5, 40, 20, 7);
        let (x, y) = (floats(1, m * (k - from)), floats(2, k * n));
        let isa = Isa::detect();
        let (mut packed, mut out, mut want) = (Packed::default(), vec![1.0; m * n], vec![1.0; m * n]);
        packed.pack(isa, View::new(&y, k, n, n));
        let a = View::new(&x, m, k - from, k - from);
        let columns = 35;
        // SAFETY: both have `m` rows of `n` floats.
        unsafe {
            packed.multiply(isa, a, Part { from, columns, add: false }, out.as_mut_ptr(), n);
            let b = View::new(&y[from * n..], k - from, columns, n);
            matmul(isa, a, b, want.as_mut_ptr(), n, false, &mut Packed::default());
        }
        assert_eq!(out, want);
    }
}
