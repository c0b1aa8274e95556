//! A weight matrix as tiles, in any of the formats, and its product.
//!
//! A matrix of a file is not repacked when it is opened: a strip that is not yet tiles becomes tiles on the way, in a room
//! that is used again for the next one. That costs more than reading tiles, but no fresh memory, which a system may take
//! long to give; so a model says its first word at once. Later products keep what they repack, as much as their caller
//! grants ([`Matrix::filling`]), and let the file go.

use std::cell::RefCell;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard};

use super::activations::{Activations, Block};
use super::dense::{self, BF16, Dense, F16, F32};
use super::float::versions;
use super::format::{Format, with_format};
use super::pages::Pages;
use super::source::Source;
use super::tile::{Q2K, Q3K, Q4K, Q5K, Q6K, Q40, Q41, Q50, Q51, Q80, TILE_ROWS, Tile};
use super::vector::Vector;
use super::vector::plain::Plain;
use super::{BLOCK, Isa};

/// Tokens that one pass over a tile serves at most.
const LANES: usize = 8;

/// Bytes of a file that are let go at a time once they are repacked.
const LET_GO: usize = 1 << 20;

/// A matrix, `rows × columns`, 16 rows at a time. Missing rows are zero.
#[derive(Debug)]
pub struct Matrix {
    format: Format,
    rows: usize,
    columns: usize,
    /// Room for all tiles; memory is taken as it is written.
    pages: Pages,
    /// Strips that are tiles in `pages`; those behind are still in `source`.
    packed: AtomicUsize,
    /// The rows as the file has them; `None` when all are tiles from the start.
    source: Option<Source>,
    /// Held while somebody fills `pages`.
    filler: Mutex<()>,
}

impl Matrix {
    /// A matrix that lies in a file. Its rows become tiles when they are used.
    ///
    /// # Panics
    /// When the columns are no whole number of tiles or the source has another size; the header check has seen to that.
    pub fn mapped(format: Format, rows: usize, columns: usize, source: Source) -> Self {
        assert!(columns > 0 && columns.is_multiple_of(format.tile_columns()), "rows are whole blocks");
        let matrix = Self {
            format,
            rows,
            columns,
            pages: Pages::zeroed(format.matrix_bytes(rows, columns)),
            packed: AtomicUsize::new(0),
            source: None,
            filler: Mutex::default(),
        };
        assert_eq!(source.bytes().len(), rows * matrix.row_bytes(), "the header check gives the right size");
        Self { source: Some(source), ..matrix }
    }

    /// Repacks rows as a file has them, at once.
    ///
    /// # Panics
    /// As [`Matrix::mapped`].
    pub fn packed(format: Format, rows: usize, columns: usize, source: &[u8]) -> Self {
        assert!(columns > 0 && columns.is_multiple_of(format.tile_columns()), "rows are whole blocks");
        let mut pages = Pages::zeroed(format.matrix_bytes(rows, columns));
        let (row, strip) = (format.row_bytes(columns), format.strip_bytes(columns));
        assert_eq!(source.len(), rows * row, "the header check gives the right size");
        for (strip, source) in pages.bytes_mut().chunks_exact_mut(strip).zip(source.chunks(row * TILE_ROWS)) {
            pack(Isa::detect(), format, columns, strip, source);
        }
        let packed = AtomicUsize::new(rows.div_ceil(TILE_ROWS));
        Self { format, rows, columns, pages, packed, source: None, filler: Mutex::default() }
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
        self.format.row_bytes(self.columns)
    }

    fn strip_bytes(&self) -> usize {
        self.format.strip_bytes(self.columns)
    }

    /// A product that may repack up to `budget` bytes of tiles on its way, which is then so much less. While another
    /// thread does so, it repacks none.
    pub fn filling<'a>(&'a self, budget: &mut usize) -> Filling<'a> {
        let packed = self.packed.load(Ordering::Acquire);
        let strips = (*budget / self.strip_bytes()).min(self.tiles() - packed);
        let alone = if strips > 0 { self.filler.try_lock().ok() } else { None };
        // Read again: the last filler may just have finished.
        let packed = self.packed.load(Ordering::Acquire);
        let strips = if alone.is_some() { strips.min(self.tiles() - packed) } else { 0 };
        *budget -= strips * self.strip_bytes();
        Filling { matrix: self, packed, until: packed + strips, alone }
    }

    /// One row as floats, `columns` long.
    #[allow(clippy::modulo_one, reason = "some formats have one block a tile")]
    pub fn row(&self, row: usize, out: &mut [f32]) {
        assert!(row < self.rows && out.len() == self.columns, "a row of the matrix");
        self.filling(&mut 0).with_strip(Isa::detect(), row / TILE_ROWS, |strip| {
            let row = row % TILE_ROWS;
            with_format!(self.format,
                quantised T => for (b, out) in out.as_chunks_mut::<BLOCK>().0.iter_mut().enumerate() {
                    // SAFETY: a whole tile of the strip, a block and a row within it.
                    unsafe { T::row(strip.add(b / T::BLOCKS * T::BYTES), b % T::BLOCKS, row, out) };
                },
                dense D => for (column, out) in out.iter_mut().enumerate() {
                    // SAFETY: one number of the strip.
                    [*out] = unsafe { D::load::<Plain<1>>(strip.add((column * TILE_ROWS + row) * D::BYTES)) };
                }
            );
        });
    }
}

/// A product under way, and which strips it repacks for good.
#[derive(Debug)]
pub struct Filling<'a> {
    matrix: &'a Matrix,
    /// Strips before this one are tiles.
    packed: usize,
    /// Strips from `packed` to this one become tiles in their place, those behind only in passing.
    until: usize,
    alone: Option<MutexGuard<'a, ()>>,
}

/// A cache line, so that a room begins with one.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Line {
    _bytes: [u8; 64],
}

thread_local! {
    /// Where a strip becomes tiles in passing: as large as the largest so far.
    static ROOM: RefCell<Vec<Line>> = const { RefCell::new(Vec::new()) };
}

impl Filling<'_> {
    /// The matrix.
    pub fn matrix(&self) -> &Matrix {
        self.matrix
    }

    /// Calls `work` with the tiles of a strip. No two threads ask for the same strip of one filling.
    fn with_strip(&self, isa: Isa, strip: usize, work: impl FnOnce(*const u8)) {
        let w = self.matrix;
        let (bytes, columns) = (w.strip_bytes(), w.columns);
        // SAFETY: strips lie within the pages.
        let place = unsafe { w.pages.as_ptr().add(strip * bytes) };
        let source = match &w.source {
            Some(source) if strip >= self.packed => source,
            _ => return work(place),
        };
        let size = TILE_ROWS * w.row_bytes();
        let (start, all) = (strip * size, source.bytes());
        let rows = &all[start..all.len().min(start + size)];
        if strip < self.until {
            // SAFETY: this filling is the only one (`alone`), nobody reads the strip before it counts as packed, and of
            // this filling's threads this is the only one that has it.
            let tiles = unsafe { std::slice::from_raw_parts_mut(place, bytes) };
            pack(isa, w.format, columns, tiles, rows);
            work(place);
            // Where a boundary is crossed, what lies before it. A neighbour that still needs some of it reads it again.
            let (before, now) = (start / LET_GO, (start + size) / LET_GO);
            if before < now {
                source.let_go(before * LET_GO..now * LET_GO);
            }
            return;
        }
        ROOM.with_borrow_mut(|room| {
            if room.len() * 64 < bytes {
                room.resize(bytes.div_ceil(64), Line { _bytes: [0; 64] });
            }
            // SAFETY: lines are bytes without gaps, and so many are there.
            let tiles = unsafe { std::slice::from_raw_parts_mut(room.as_mut_ptr().cast::<u8>(), bytes) };
            if rows.len() < size {
                tiles.fill(0);
            }
            pack(isa, w.format, columns, tiles, rows);
            work(tiles.as_ptr());
        });
    }

    /// Ends the product: what it repacked is read as tiles from now on, and the file let go.
    ///
    /// # Safety
    /// [`product`] has been through all strips.
    pub unsafe fn finish(self) {
        if self.alone.is_none() || self.packed == self.until {
            return;
        }
        if let Some(source) = &self.matrix.source {
            let size = TILE_ROWS * self.matrix.row_bytes();
            source.let_go(self.packed * size..self.until * size);
        }
        self.matrix.packed.store(self.until, Ordering::Release);
    }
}

versions! {
    /// Fills a strip with up to 16 rows as the file has them.
    pub fn pack = pack_body(format: Format, columns: usize, strip: &mut [u8], source: &[u8])
}
#[inline(always)]
fn pack_body(format: Format, columns: usize, strip: &mut [u8], source: &[u8]) {
    let row_bytes = format.row_bytes(columns);
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
/// rows of `strips`, nor asks for one of them of this filling. `isa` was detected on this machine.
pub unsafe fn product(isa: Isa, w: &Filling<'_>, x: Input<'_>, strips: Range<usize>, out: *mut f32, stride: usize) {
    let Matrix { format, rows, columns, .. } = *w.matrix;
    assert!(strips.end <= w.matrix.tiles() && stride >= rows, "strips of the matrix");
    for strip in strips {
        let rows = TILE_ROWS.min(rows - strip * TILE_ROWS);
        w.with_strip(isa, strip, |tiles| {
            // SAFETY: within the rows that the caller promises.
            let out = unsafe { out.add(strip * TILE_ROWS) };
            with_format!(format,
                quantised T => {
                    let Input::Rounded(x) = x else { panic!("a quantised matrix takes rounded activations") };
                    assert_eq!(x.width() * BLOCK, columns, "as many activations as columns");
                    // SAFETY: the caller's promise; a whole strip.
                    unsafe { quantised::<T>(isa, tiles, x, rows, out, stride) }
                },
                dense D => {
                    let Input::Floats(x) = x else { panic!("a matrix of floats takes floats") };
                    assert!(x.len().is_multiple_of(columns), "as many activations as columns");
                    // SAFETY: the caller's promise; a whole strip.
                    unsafe { floats::<D>(isa, tiles, x, columns, rows, out, stride) }
                }
            );
        });
    }
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
    /// A strip's product for one quantised format.
    fn quantised<T: Tile>(tiles: *const u8, x: &Activations, rows: usize, out: *mut f32, stride: usize) = quantised_body
}
#[inline(always)]
unsafe fn quantised_body<V: Vector, T: Tile>(
    tiles: *const u8,
    x: &Activations,
    rows: usize,
    out: *mut f32,
    stride: usize,
) {
    let width = x.width();
    let mut first = 0;
    while first < x.tokens() {
        // SAFETY: the caller's promise; tokens are in range.
        unsafe {
            let x_at = x.blocks().as_ptr().add(first * width);
            let out = out.add(first * stride);
            first += match x.tokens() - first {
                8.. => lanes::<V, T, 8>(tiles, x_at, width, rows, out, stride),
                4.. => lanes::<V, T, 4>(tiles, x_at, width, rows, out, stride),
                _ => lanes::<V, T, 1>(tiles, x_at, width, rows, out, stride),
            };
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
    /// A strip's product for weights that are floats.
    fn floats<D: Dense>(
        tiles: *const u8, x: &[f32], columns: usize, rows: usize, out: *mut f32, stride: usize
    ) = floats_body
}
#[inline(always)]
unsafe fn floats_body<V: Vector, D: Dense>(
    tiles: *const u8,
    x: &[f32],
    columns: usize,
    rows: usize,
    out: *mut f32,
    stride: usize,
) {
    let tokens = x.len() / columns;
    let mut first = 0;
    while first < tokens {
        let mut sums = [[0.0_f32; TILE_ROWS]; LANES];
        // SAFETY: the caller's promise; tokens are in range.
        unsafe {
            let x_at = |m: usize| x.as_ptr().add((first + m) * columns);
            let many = if tokens - first >= LANES {
                let to = sums.each_mut().map(|sums| sums.as_mut_ptr());
                dense::lanes::<V, D, LANES>(tiles, columns, std::array::from_fn(x_at), to);
                LANES
            } else {
                dense::lanes::<V, D, 1>(tiles, columns, [x_at(0)], [sums[0].as_mut_ptr()]);
                1
            };
            for (m, sums) in sums.iter().take(many).enumerate() {
                std::ptr::copy_nonoverlapping(sums.as_ptr(), out.add((first + m) * stride), rows);
            }
            first += many;
        }
    }
}
