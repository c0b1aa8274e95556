//! The formats of weights, and what each of them takes in a file and as tiles.

use super::BLOCK;
use super::dense::{BF16, Dense, F16, F32};
use super::tile::{Q2K, Q3K, Q4K, Q5K, Q6K, Q40, Q41, Q50, Q51, Q80, TILE_ROWS, Tile};

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

    /// Bytes of a row in the file.
    pub fn row_bytes(self, columns: usize) -> usize {
        columns / self.tile_columns() * self.source_bytes()
    }

    /// Bytes of 16 rows as tiles.
    pub fn strip_bytes(self, columns: usize) -> usize {
        columns / self.tile_columns() * self.tile_bytes()
    }

    /// Bytes that a matrix takes as tiles.
    pub fn matrix_bytes(self, rows: usize, columns: usize) -> usize {
        rows.div_ceil(TILE_ROWS) * self.strip_bytes(columns)
    }
}

pub(super) use with_format;
