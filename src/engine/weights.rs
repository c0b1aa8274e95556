//! A file's tensors as matrices that the kernels can multiply with.
//!
//! `Q4_1` and `Q8_0` keep their size, repacked as tiles. Any other type goes through candle's dequantiser to f32: right,
//! but four to eight times larger and slower.

use candle_core::Device;
use candle_core::quantized::{GgmlDType, ggml_file};

use super::EngineError;
use super::checkpoint::TensorView;
use super::gguf::GgmlType;
use super::kernels::{self, Activations, Isa, Tiles};
use super::threads::Threads;

/// A weight matrix, `rows × columns`; `y = W x` maps `columns` numbers to `rows`.
#[derive(Debug)]
pub enum Linear {
    /// Quantised, as tiles.
    Tiles(Tiles),
    /// Dense f32, row by row.
    Dense {
        /// Rows.
        rows: usize,
        /// Columns.
        columns: usize,
        /// `rows × columns` floats.
        weights: Vec<f32>,
    },
}

/// Room for the products of one operation, kept to save allocations.
#[derive(Debug, Default)]
pub struct Scratch {
    activations: Activations,
}

/// A pointer that threads may share because each writes its own rows.
#[derive(Clone, Copy)]
pub struct Out(pub *mut f32);
// SAFETY: users write disjoint ranges only (see the callers).
unsafe impl Sync for Out {}
// SAFETY: as above.
unsafe impl Send for Out {}

impl Out {
    /// The pointer.
    pub fn get(self) -> *mut f32 {
        self.0
    }
}

impl Linear {
    /// A matrix of the file, `[rows, columns]`.
    ///
    /// # Errors
    /// [`EngineError::BadFile`] when the tensor is no matrix.
    pub fn load(view: &TensorView) -> Result<Self, EngineError> {
        let [rows, columns] = *view.shape else { return Err(view.bad("is no matrix")) };
        Ok(match view.ggml_type {
            GgmlType::Q4_1 => Self::Tiles(Tiles::q4_1(view.bytes, rows, columns)),
            GgmlType::Q8_0 => Self::Tiles(Tiles::q8_0(view.bytes, rows, columns)),
            _ => Self::Dense { rows, columns, weights: dequantize(view)? },
        })
    }

    /// A dense matrix.
    pub fn dense(rows: usize, columns: usize, weights: Vec<f32>) -> Self {
        assert_eq!(weights.len(), rows * columns);
        Self::Dense { rows, columns, weights }
    }

    /// Number of rows: what comes out.
    pub fn rows(&self) -> usize {
        match self {
            Self::Tiles(tiles) => tiles.rows,
            Self::Dense { rows, .. } => *rows,
        }
    }

    /// Number of columns: what goes in.
    pub fn columns(&self) -> usize {
        match self {
            Self::Tiles(tiles) => tiles.columns,
            Self::Dense { columns, .. } => *columns,
        }
    }

    /// Bytes it takes in memory.
    pub fn bytes(&self) -> u64 {
        match self {
            Self::Tiles(tiles) => tiles.bytes(),
            Self::Dense { weights, .. } => 4 * weights.len() as u64,
        }
    }

    /// One row as floats.
    pub fn row(&self, row: usize, out: &mut [f32]) {
        match self {
            Self::Tiles(tiles) => tiles.row(row, out),
            Self::Dense { columns, weights, .. } => out.copy_from_slice(&weights[row * columns..(row + 1) * columns]),
        }
    }
}

/// What runs the products: instruction set, threads, room.
#[derive(Debug)]
pub struct Compute {
    /// Instruction set.
    pub isa: Isa,
    /// Threads.
    pub threads: Threads,
    scratch: Scratch,
}

impl Compute {
    /// `threads` threads with an instruction set.
    pub fn new(isa: Isa, threads: usize) -> Self {
        Self { isa, threads: Threads::new(threads), scratch: Scratch::default() }
    }

    /// `outs[i] = weights[i] · x` for matrices that read the same `x`, `tokens` rows of it; each `out` is
    /// `tokens × rows`. The activations are rounded once for all.
    pub fn multiply(&mut self, x: &[f32], tokens: usize, jobs: &mut [(&Linear, &mut [f32])]) {
        let isa = self.isa;
        let quantised = jobs.iter().any(|(w, _)| matches!(w, Linear::Tiles(_)));
        if quantised {
            self.scratch.activations.quantize(isa, x, tokens);
        }
        for (w, out) in jobs {
            let rows = w.rows();
            assert!(x.len() == tokens * w.columns() && out.len() == tokens * rows, "shapes are fixed at load");
            let to = Out(out.as_mut_ptr());
            match w {
                Linear::Tiles(tiles) => {
                    let activations = &self.scratch.activations;
                    self.threads.split(tiles.tiles(), |range| {
                        // SAFETY: `to` has `tokens × rows` floats, each thread has its own tile rows.
                        unsafe { kernels::matmul(isa, tiles, activations, range, to.get(), rows) };
                    });
                }
                Linear::Dense { columns, weights, .. } => {
                    self.threads.split(rows, |range| {
                        let w = &weights[range.start * columns..range.end * columns];
                        for token in 0..tokens {
                            // SAFETY: rows `range` of this token; each thread has its own rows.
                            let out = unsafe {
                                std::slice::from_raw_parts_mut(to.get().add(token * rows + range.start), range.len())
                            };
                            kernels::dot_rows(isa, w, &x[token * columns..(token + 1) * columns], out);
                        }
                    });
                }
            }
        }
    }
}

/// A tensor's numbers as floats.
///
/// # Errors
/// [`EngineError::BadFile`] when the bytes cannot be read.
pub fn dequantize(view: &TensorView) -> Result<Vec<f32>, EngineError> {
    let bytes = view.bytes;
    let dtype = match view.ggml_type {
        GgmlType::F32 => {
            return Ok(bytes.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect());
        }
        GgmlType::F16 => GgmlDType::F16,
        GgmlType::BF16 => GgmlDType::BF16,
        GgmlType::Q4_0 => GgmlDType::Q4_0,
        GgmlType::Q4_1 => GgmlDType::Q4_1,
        GgmlType::Q5_0 => GgmlDType::Q5_0,
        GgmlType::Q5_1 => GgmlDType::Q5_1,
        GgmlType::Q8_0 => GgmlDType::Q8_0,
        GgmlType::Q8_1 => GgmlDType::Q8_1,
        GgmlType::Q2_K => GgmlDType::Q2K,
        GgmlType::Q3_K => GgmlDType::Q3K,
        GgmlType::Q4_K => GgmlDType::Q4K,
        GgmlType::Q5_K => GgmlDType::Q5K,
        GgmlType::Q6_K => GgmlDType::Q6K,
        GgmlType::Q8_K => GgmlDType::Q8K,
    };
    let wrong = |e: candle_core::Error| view.bad(format_args!("cannot be read: {e}"));
    let tensor = ggml_file::qtensor_from_ggml(dtype, bytes, view.shape.clone(), &Device::Cpu).map_err(wrong)?;
    tensor.dequantize(&Device::Cpu).and_then(|t| t.flatten_all()?.to_vec1()).map_err(wrong)
}
