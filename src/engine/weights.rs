//! A file's tensors as matrices that the kernels can multiply with.
//!
//! Every type keeps its size, repacked as tiles, but for Q8_1 and Q8_K, which no file holds its weights in: they become
//! f32. A model opens at once, since nothing is repacked before it is used, and experts that no token asks for never are.
//! Weights are held once: what has been repacked of a mapped file is let go.

use super::EngineError;
use super::checkpoint::TensorView;
use super::gguf::GgmlType;
use super::kernels::{self, Activations, Format, Input, Isa, Matrix, Source};
use super::quantize::decode;
use super::threads::{Shares, Threads};

/// Bytes of tiles that a forward pass keeps of what it repacks: none in the first, which is to be quick; later so many,
/// and for each token more so many more, beside whose products repacking costs little.
const KEPT: usize = 128 << 20;
const KEPT_TOKEN: usize = 16 << 20;

/// Strips of 16 rows that a thread takes at a time: enough that taking costs nothing. With [`MANY`] tokens one is.
const STRIPS: usize = 4;
/// Tokens that make a strip much work.
const MANY: usize = 8;

/// A weight matrix, `rows × columns`; `y = W x` maps `columns` numbers to `rows`.
#[derive(Debug)]
pub struct Linear(Matrix);

impl Linear {
    /// A matrix of the file, `[rows, columns]`. It is read when it is used.
    ///
    /// # Errors
    /// [`EngineError::BadFile`] when the tensor is no matrix.
    pub fn load(view: &TensorView) -> Result<Self, EngineError> {
        let [rows, columns] = *view.shape else { return Err(view.bad("is no matrix")) };
        let Some(format) = format(view.ggml_type) else {
            return Ok(Self::dense(rows, columns, &dequantize(view)?));
        };
        if columns == 0 || columns % format.tile_columns() != 0 {
            return Err(view.bad(format_args!("has rows of {columns}, no multiple of {}", format.tile_columns())));
        }
        if view.bytes.len() != rows * format.row_bytes(columns) {
            return Err(view.bad("has another size than its shape says"));
        }
        Ok(Self(Matrix::mapped(format, rows, columns, Source::new(view.map, view.bytes))))
    }

    /// A matrix of floats, row by row.
    ///
    /// # Panics
    /// When the number of floats is not `rows × columns`.
    pub fn dense(rows: usize, columns: usize, weights: &[f32]) -> Self {
        assert_eq!(weights.len(), rows * columns, "a matrix is full");
        let bytes: Vec<u8> = weights.iter().flat_map(|w| w.to_le_bytes()).collect();
        Self(Matrix::packed(Format::F32, rows, columns, &bytes))
    }

    /// Number of rows: what comes out.
    pub fn rows(&self) -> usize {
        self.0.rows()
    }

    /// Number of columns: what goes in.
    pub fn columns(&self) -> usize {
        self.0.columns()
    }

    /// Bytes it takes in memory.
    pub fn bytes(&self) -> u64 {
        self.0.format().matrix_bytes(self.rows(), self.columns()) as u64
    }

    /// One row as floats, `columns` long.
    pub fn row(&self, row: usize, out: &mut [f32]) {
        self.0.row(row, out);
    }
}

/// Bytes that a tensor takes in memory once loaded; more than any system has when its shape is absurd.
pub fn memory(ggml_type: GgmlType, shape: &[usize]) -> u64 {
    let numbers = shape.iter().map(|n| *n as u128).product::<u128>();
    let bytes = match (format(ggml_type), shape) {
        // More than in the file by the scales of the K types, unpacked, and by rows that fill the last tile.
        (Some(format), [.., rows, columns]) if *rows > 0 && *columns > 0 => {
            let matrices = numbers / (*rows as u128 * *columns as u128);
            let strips = rows.div_ceil(kernels::TILE_ROWS) as u128;
            matrices * strips * format.matrix_bytes(1, *columns) as u128
        }
        _ => 4 * numbers,
    };
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

fn format(ggml_type: GgmlType) -> Option<Format> {
    Some(match ggml_type {
        GgmlType::F32 => Format::F32,
        GgmlType::F16 => Format::F16,
        GgmlType::BF16 => Format::BF16,
        GgmlType::Q4_0 => Format::Q4_0,
        GgmlType::Q4_1 => Format::Q4_1,
        GgmlType::Q5_0 => Format::Q5_0,
        GgmlType::Q5_1 => Format::Q5_1,
        GgmlType::Q8_0 => Format::Q8_0,
        GgmlType::Q2_K => Format::Q2_K,
        GgmlType::Q3_K => Format::Q3_K,
        GgmlType::Q4_K => Format::Q4_K,
        GgmlType::Q5_K => Format::Q5_K,
        GgmlType::Q6_K => Format::Q6_K,
        GgmlType::Q8_1 | GgmlType::Q8_K => return None,
    })
}

/// What runs the products: instruction set, threads, room.
#[derive(Debug)]
pub struct Compute {
    /// Instruction set.
    pub isa: Isa,
    /// Threads.
    pub threads: Threads,
    /// Room for the rounded activations of one operation, kept to save allocations: a scale for 32 columns.
    activations: Activations,
    /// The same with a scale for 256 columns.
    wide: Activations,
    /// Forward passes begun.
    passes: u64,
    /// Bytes of tiles that this pass may still keep.
    budget: usize,
}

impl Compute {
    /// `threads` threads with an instruction set.
    pub fn new(isa: Isa, threads: usize) -> Self {
        Self {
            isa,
            threads: Threads::new(threads),
            activations: Activations::default(),
            wide: Activations::default(),
            passes: 0,
            budget: 0,
        }
    }

    /// Begins a forward pass of `tokens` tokens: says how much of what it repacks is kept.
    pub fn begin_pass(&mut self, tokens: usize) {
        self.budget = if self.passes == 0 { 0 } else { KEPT + tokens.saturating_sub(1) * KEPT_TOKEN };
        self.passes += 1;
    }

    /// `outs[i] = weights[i] · x` for matrices that read the same `x`, `tokens` rows of it; each `out` is
    /// `tokens × rows`. The activations are rounded once for all.
    ///
    /// # Panics
    /// When a length does not fit; shapes are fixed at load.
    pub fn multiply(&mut self, x: &[f32], tokens: usize, jobs: &mut [(&Linear, &mut [f32])]) {
        let isa = self.isa;
        if jobs.iter().any(|(w, _)| w.0.format().is_quantised() && !w.0.format().is_wide()) {
            self.activations.resize(tokens, x.len() / tokens);
            self.threads.split_rows(self.activations.blocks_mut(), 1, |first, blocks| {
                kernels::quantize(isa, &x[first * kernels::BLOCK..], blocks);
            });
        }
        if jobs.iter().any(|(w, _)| w.0.format().is_wide()) {
            self.wide.resize(tokens, x.len() / tokens);
            self.threads.split_rows(self.wide.blocks_mut(), 8, |first, blocks| {
                kernels::quantize_wide(isa, &x[first * 8 * kernels::BLOCK..], blocks);
            });
        }
        let mut outs = Vec::with_capacity(jobs.len());
        for (Linear(w), out) in jobs {
            assert!(x.len() == tokens * w.columns() && out.len() == tokens * w.rows(), "shapes are fixed at load");
            outs.push((w.filling(&mut self.budget), Shares(out.as_mut_ptr())));
        }
        // All jobs as one row of strips: threads meet once, and a narrow matrix is shared out as well as a wide one.
        let strips: usize = outs.iter().map(|(w, _)| w.matrix().tiles()).sum();
        let (activations, wide) = (&self.activations, &self.wide);
        let many = if tokens < MANY { STRIPS } else { 1 };
        self.threads.share(strips.div_ceil(many), |share| {
            let range = share * many..strips.min((share + 1) * many);
            let mut first = 0;
            for (filling, out) in &outs {
                let w = filling.matrix();
                let here = range.start.max(first)..range.end.min(first + w.tiles());
                if !here.is_empty() {
                    let input = match w.format() {
                        format if format.is_wide() => Input::Rounded(wide),
                        format if format.is_quantised() => Input::Rounded(activations),
                        _ => Input::Floats(x),
                    };
                    let strips = here.start - first..here.end - first;
                    // SAFETY: `out` has `tokens × rows` floats, each thread has its own strips of rows.
                    unsafe { kernels::product(isa, filling, input, strips, out.get(), w.rows()) };
                }
                first += w.tiles();
            }
        });
        for (filling, _) in outs {
            // SAFETY: all strips are through.
            unsafe { filling.finish() };
        }
    }
}

/// A tensor's numbers as floats.
///
/// # Errors
/// [`EngineError::BadFile`] when the bytes cannot be read.
pub fn dequantize(view: &TensorView) -> Result<Vec<f32>, EngineError> {
    decode(view.bytes, view.ggml_type).map_err(|why| view.bad(format_args!("cannot be read: {why}")))
}
