//! A weight matrix as tiles, in any of the formats.

use std::ops::Range;

use super::activations::{Activations, Block};
use super::dense::{self, BF16, Dense, F16, F32};
use super::float::versions;
use super::pages::Pages;
use super::tile::{Q2K, Q3K, Q4K, Q5K, Q6K, Q40, Q41, Q50, Q51, Q80, TILE_ROWS, Tile};
use super::vector::Vector;
use super::vector::plain::Plain;
use super::{BLOCK, Isa};

/// Tokens that one pass over a tile serves at most.
const LANES: usize = 8;

/// How weights are stored; the names are ggml's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(non_camel_case_types, missing_docs)] // ggml's own names
pub enum Format {
    Q4_0,
    Q4_1,
    Q5_0,
    Q5_1,
    Q8_0,
    Q2_K,
    Q3_K,
    Q4_K,
    Q5_K,
    Q6_K,
    F32,
    F16,
    BF16,
}

/// Runs `$body` with `$name` standing for the type behind a format; `$dense` for those that are floats.
macro_rules! with_format {
    ($format:expr, quantised $name:ident => $body:expr, dense $dense:ident => $other:expr) => {
        match $format {
            Format::Q4_0 => {
                type $name = Q40;
                $body
            }
            Format::Q4_1 => {
                type $name = Q41;
                $body
            }
            Format::Q5_0 => {
                type $name = Q50;
                $body
            }
            Format::Q5_1 => {
                type $name = Q51;
                $body
            }
            Format::Q8_0 => {
                type $name = Q80;
                $body
            }
            Format::Q2_K => {
                type $name = Q2K;
                $body
            }
            Format::Q3_K => {
                type $name = Q3K;
                $body
            }
            Format::Q4_K => {
                type $name = Q4K;
                $body
            }
            Format::Q5_K => {
                type $name = Q5K;
                $body
            }
            Format::Q6_K => {
                type $name = Q6K;
                $body
            }
            Format::F32 => {
                type $dense = F32;
                $other
            }
            Format::F16 => {
                type $dense = F16;
                $other
            }
            Format::BF16 => {
                type $dense = BF16;
                $other
            }
        }
    };
}

impl Format {
    /// Whether the activations are rounded to 8 bits for it.
    pub fn is_quantised(self) -> bool {
        !matches!(self, Self::F32 | Self::F16 | Self::BF16)
    }

    /// Whether 256 of those activations share a scale, as ggml has it beside the K formats.
    pub fn is_wide(self) -> bool {
        self.is_quantised() && self.tile_columns() > BLOCK
    }

    /// Columns of a tile: a row has whole ones.
    pub fn tile_columns(self) -> usize {
        with_format!(self, quantised T => BLOCK * T::BLOCKS, dense _D => 1)
    }

    /// Bytes of a tile of [`Format::tile_columns`] columns.
    fn tile_bytes(self) -> usize {
        with_format!(self, quantised T => T::BYTES, dense D => TILE_ROWS * D::BYTES)
    }

    /// Bytes that a row's share of a tile takes in the file.
    pub fn source_bytes(self) -> usize {
        with_format!(self, quantised T => T::SOURCE, dense D => D::BYTES)
    }

    /// Bytes that a matrix takes as tiles.
    pub fn matrix_bytes(self, rows: usize, columns: usize) -> usize {
        rows.div_ceil(TILE_ROWS) * (columns / self.tile_columns()) * self.tile_bytes()
    }
}

/// A matrix, `rows × columns`, 16 rows at a time. Missing rows are zero.
#[derive(Debug)]
pub struct Matrix {
    format: Format,
    rows: usize,
    columns: usize,
    pages: Pages,
}

impl Matrix {
    /// A matrix of zeros, to be filled with [`pack`] through [`Matrix::strips`].
    ///
    /// # Panics
    /// When the columns are no whole number of tiles; the header check has seen to that.
    pub fn zeroed(format: Format, rows: usize, columns: usize) -> Self {
        assert!(columns > 0 && columns.is_multiple_of(format.tile_columns()), "rows are whole blocks");
        Self { format, rows, columns, pages: Pages::zeroed(format.matrix_bytes(rows, columns)) }
    }

    /// Repacks rows as the file has them, one thread.
    pub fn packed(format: Format, rows: usize, columns: usize, source: &[u8]) -> Self {
        let mut matrix = Self::zeroed(format, rows, columns);
        let row = matrix.row_bytes();
        assert_eq!(source.len(), rows * row, "the header check gives the right size");
        for (strip, source) in matrix.strips().zip(source.chunks(row * TILE_ROWS)) {
            pack(Isa::detect(), format, columns, strip, source);
        }
        matrix
    }

    /// How the weights are stored.
    pub fn format(&self) -> Format {
        self.format
    }

    /// Rows: what comes out of a product.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Columns: what goes in.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Number of strips of 16 rows, the unit in which threads share the work.
    pub fn tiles(&self) -> usize {
        self.rows.div_ceil(TILE_ROWS)
    }

    /// Bytes of a row in the file.
    pub fn row_bytes(&self) -> usize {
        self.columns / self.format.tile_columns() * self.format.source_bytes()
    }

    /// The strips of 16 rows, each to be filled by [`pack`].
    pub fn strips(&mut self) -> std::slice::ChunksExactMut<'_, u8> {
        let strip = self.strip_bytes();
        self.pages.bytes_mut().chunks_exact_mut(strip)
    }

    fn strip_bytes(&self) -> usize {
        self.columns / self.format.tile_columns() * self.format.tile_bytes()
    }

    /// One row as floats, `columns` long.
    #[allow(clippy::modulo_one, reason = "some formats have one block a tile")]
    pub fn row(&self, row: usize, out: &mut [f32]) {
        assert!(row < self.rows && out.len() == self.columns, "a row of the matrix");
        let strip = &self.pages.bytes()[row / TILE_ROWS * self.strip_bytes()..][..self.strip_bytes()];
        let row = row % TILE_ROWS;
        with_format!(self.format,
            quantised T => for (b, out) in out.as_chunks_mut::<BLOCK>().0.iter_mut().enumerate() {
                let tile = &strip[b / T::BLOCKS * T::BYTES..][..T::BYTES];
                // SAFETY: a whole tile, a block and a row within it.
                unsafe { T::row(tile.as_ptr(), b % T::BLOCKS, row, out) };
            },
            dense D => for (column, out) in out.iter_mut().enumerate() {
                let from = &strip[(column * TILE_ROWS + row) * D::BYTES..][..D::BYTES];
                // SAFETY: one number.
                [*out] = unsafe { D::load::<Plain<1>>(from.as_ptr()) };
            }
        );
    }
}

versions! {
    /// Fills a strip with up to 16 rows as the file has them.
    pub fn pack = pack_body(format: Format, columns: usize, strip: &mut [u8], source: &[u8])
}
#[inline(always)]
fn pack_body(format: Format, columns: usize, strip: &mut [u8], source: &[u8]) {
    let row_bytes = columns / format.tile_columns() * format.source_bytes();
    for (r, source) in source.chunks_exact(row_bytes).enumerate() {
        with_format!(format,
            quantised T => for (tile, source) in strip.chunks_exact_mut(T::BYTES).zip(source.chunks_exact(T::SOURCE)) {
                T::pack(tile, r, source);
            },
            dense D => for (column, weight) in strip.chunks_exact_mut(TILE_ROWS * D::BYTES).zip(source.chunks_exact(D::BYTES)) {
                column[r * D::BYTES..][..D::BYTES].copy_from_slice(weight);
            }
        );
    }
}

/// What goes into a product: rounded for quantised weights, as it is for others.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    /// For formats that are quantised.
    Rounded(&'a Activations),
    /// `tokens × columns` floats.
    Floats(&'a [f32]),
}

/// `out[t][row] = Σ weight[row][col] · x[t][col]` for strips `strips`, each token's row of `out` being `stride` long.
///
/// # Safety
/// `out` is valid for `tokens × stride` floats, `stride` at least the number of rows, and no other thread touches the
/// rows of `strips`. `isa` was detected on this machine.
pub unsafe fn product(isa: Isa, w: &Matrix, x: Input<'_>, strips: Range<usize>, out: *mut f32, stride: usize) {
    assert!(strips.end <= w.tiles() && stride >= w.rows, "strips of the matrix");
    with_format!(w.format,
        quantised T => {
            let Input::Rounded(x) = x else { panic!("a quantised matrix takes rounded activations") };
            assert_eq!(x.width() * BLOCK, w.columns, "as many activations as columns");
            // SAFETY: the caller's promise.
            unsafe { quantised::<T>(isa, w, x, strips, out, stride) }
        },
        dense D => {
            let Input::Floats(x) = x else { panic!("a matrix of floats takes floats") };
            assert!(x.len().is_multiple_of(w.columns), "as many activations as columns");
            // SAFETY: the caller's promise.
            unsafe { floats::<D>(isa, w, x, strips, out, stride) }
        }
    );
}

/// Compiles a generic function for each instruction set and picks one.
macro_rules! for_each_set {
    ($(#[$doc:meta])* fn $name:ident<$t:ident: $bound:ident>($($arg:ident: $ty:ty),*) = $body:ident) => {
        $(#[$doc])*
        unsafe fn $name<$t: $bound>(isa: Isa, $($arg: $ty),*) {
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,fma,f16c")]
            unsafe fn wide<$t: $bound>($($arg: $ty),*) {
                // SAFETY: the caller's promise.
                unsafe { $body::<super::vector::avx512::Avx512, $t>($($arg),*) }
            }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma,f16c")]
            unsafe fn middle<$t: $bound>($($arg: $ty),*) {
                // SAFETY: the caller's promise.
                unsafe { $body::<super::vector::avx2::Avx2, $t>($($arg),*) }
            }
            #[cfg(target_arch = "aarch64")]
            #[target_feature(enable = "neon,dotprod")]
            unsafe fn arm<$t: $bound>($($arg: $ty),*) {
                // SAFETY: the caller's promise.
                unsafe { $body::<super::vector::neon::Neon, $t>($($arg),*) }
            }
            // SAFETY: the caller's promise.
            unsafe {
                match isa {
                    #[cfg(target_arch = "x86_64")]
                    Isa::Avx512 => wide::<$t>($($arg),*),
                    #[cfg(target_arch = "x86_64")]
                    Isa::Avx2 => middle::<$t>($($arg),*),
                    #[cfg(target_arch = "aarch64")]
                    Isa::Neon => arm::<$t>($($arg),*),
                    _ => $body::<Plain<TILE_ROWS>, $t>($($arg),*),
                }
            }
        }
    };
}

for_each_set! {
    /// The product for one quantised format.
    fn quantised<T: Tile>(w: &Matrix, x: &Activations, strips: Range<usize>, out: *mut f32, stride: usize) = quantised_body
}
#[inline(always)]
unsafe fn quantised_body<V: Vector, T: Tile>(
    w: &Matrix,
    x: &Activations,
    strips: Range<usize>,
    out: *mut f32,
    stride: usize,
) {
    let (bytes, width) = (w.strip_bytes(), x.width());
    for strip in strips {
        let rows = TILE_ROWS.min(w.rows - strip * TILE_ROWS);
        let mut first = 0;
        while first < x.tokens() {
            // SAFETY: the caller's promise; strip and tokens are in range.
            unsafe {
                let tiles = w.pages.bytes().as_ptr().add(strip * bytes);
                let x_at = x.blocks().as_ptr().add(first * width);
                let out = out.add(first * stride + strip * TILE_ROWS);
                first += match x.tokens() - first {
                    8.. => lanes::<V, T, 8>(tiles, x_at, width, rows, out, stride),
                    4.. => lanes::<V, T, 4>(tiles, x_at, width, rows, out, stride),
                    _ => lanes::<V, T, 1>(tiles, x_at, width, rows, out, stride),
                };
            }
        }
    }
}

/// A strip's products with `M` tokens, `width` blocks each; gives `M`.
#[inline(always)]
unsafe fn lanes<V: Vector, T: Tile, const M: usize>(
    tiles: *const u8,
    x: *const Block,
    width: usize,
    rows: usize,
    out: *mut f32,
    stride: usize,
) -> usize {
    // SAFETY: the caller's promise: a strip of `width` blocks, `M` tokens of as many, room in `out`.
    unsafe {
        let mut acc = [[V::floats(0.0); M]; 4];
        for t in 0..width / T::BLOCKS {
            let tile = tiles.add(t * T::BYTES);
            let x: [*const Block; M] = std::array::from_fn(|m| x.add(m * width + t * T::BLOCKS));
            for part in 0..TILE_ROWS / V::ROWS {
                T::add::<V, M>(tile, part, x, &mut acc[part]);
            }
        }
        for m in 0..M {
            let to = out.add(m * stride);
            let mut last = [0.0_f32; TILE_ROWS];
            let whole = rows == TILE_ROWS;
            for part in 0..TILE_ROWS / V::ROWS {
                V::store(acc[part][m], if whole { to } else { last.as_mut_ptr() }.add(V::ROWS * part));
            }
            if !whole {
                std::ptr::copy_nonoverlapping(last.as_ptr(), to, rows);
            }
        }
    }
    M
}

for_each_set! {
    /// The product for weights that are floats.
    fn floats<D: Dense>(w: &Matrix, x: &[f32], strips: Range<usize>, out: *mut f32, stride: usize) = floats_body
}
#[inline(always)]
unsafe fn floats_body<V: Vector, D: Dense>(w: &Matrix, x: &[f32], strips: Range<usize>, out: *mut f32, stride: usize) {
    let (bytes, columns) = (w.strip_bytes(), w.columns);
    let tokens = x.len() / columns;
    for strip in strips {
        let rows = TILE_ROWS.min(w.rows - strip * TILE_ROWS);
        let mut first = 0;
        while first < tokens {
            let mut sums = [[0.0_f32; TILE_ROWS]; LANES];
            // SAFETY: the caller's promise; strip and tokens are in range.
            unsafe {
                let tile = w.pages.bytes().as_ptr().add(strip * bytes);
                let x_at = |m: usize| x.as_ptr().add((first + m) * columns);
                let many = if tokens - first >= LANES {
                    let to = sums.each_mut().map(|sums| sums.as_mut_ptr());
                    dense::lanes::<V, D, LANES>(tile, columns, std::array::from_fn(x_at), to);
                    LANES
                } else {
                    dense::lanes::<V, D, 1>(tile, columns, [x_at(0)], [sums[0].as_mut_ptr()]);
                    1
                };
                for (m, sums) in sums.iter().take(many).enumerate() {
                    let to = out.add((first + m) * stride + strip * TILE_ROWS);
                    std::ptr::copy_nonoverlapping(sums.as_ptr(), to, rows);
                }
                first += many;
            }
        }
    }
}
