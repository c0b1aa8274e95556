//! Weights as tiles and activations as 8-bit blocks.

use half::f16;

use super::{BLOCK, Isa, float};

/// Rows of a tile: the 32-bit lanes of a 512-bit register.
pub const TILE_ROWS: usize = 16;

/// 16 rows × 32 columns of `Q4_1`: `weight = d · code + m`, code in `0..=15`.
///
/// `codes[64 j + 4 r + c]` holds columns `4 j + c` (low half) and `16 + 4 j + c` (high half) of row `r`.
#[repr(C, align(64))]
#[derive(Clone, Debug)]
pub struct Tile41 {
    pub(super) codes: [u8; 256],
    pub(super) d: [f16; TILE_ROWS],
    pub(super) m: [f16; TILE_ROWS],
}

/// 16 rows × 32 columns of `Q8_0`: `weight = d · code`; codes are stored with 128 added.
///
/// `codes[64 g + 4 r + c]` holds column `4 g + c` of row `r`.
#[repr(C, align(32))]
#[derive(Clone, Debug)]
pub struct Tile80 {
    pub(super) codes: [u8; 512],
    pub(super) d: [f16; TILE_ROWS],
}

/// A matrix as tiles: tile `t * blocks + b` holds rows `16 t ..` and columns `32 b ..`. Missing rows are zero.
#[derive(Clone, Debug)]
pub struct Tiles {
    /// Rows of the matrix.
    pub rows: usize,
    /// Columns of the matrix, a multiple of 32.
    pub columns: usize,
    pub(super) data: TileData,
}

#[derive(Clone, Debug)]
pub(super) enum TileData {
    Q41(Vec<Tile41>),
    Q80(Vec<Tile80>),
}

impl Tiles {
    /// Repacks a `Q4_1` matrix (`rows × columns`, 20 bytes a block of 32, as in GGUF).
    pub fn q4_1(bytes: &[u8], rows: usize, columns: usize) -> Self {
        let empty = Tile41 { codes: [0; 256], d: [f16::ZERO; TILE_ROWS], m: [f16::ZERO; TILE_ROWS] };
        let tiles = repack(bytes, rows, columns, 20, empty, |tile, r, block| {
            tile.d[r] = f16::from_le_bytes([block[0], block[1]]);
            tile.m[r] = f16::from_le_bytes([block[2], block[3]]);
            for j in 0..4 {
                tile.codes[64 * j + 4 * r..][..4].copy_from_slice(&block[4 + 4 * j..][..4]);
            }
        });
        Self { rows, columns, data: TileData::Q41(tiles) }
    }

    /// Repacks a `Q8_0` matrix (34 bytes a block of 32, as in GGUF).
    pub fn q8_0(bytes: &[u8], rows: usize, columns: usize) -> Self {
        let empty = Tile80 { codes: [128; 512], d: [f16::ZERO; TILE_ROWS] };
        let tiles = repack(bytes, rows, columns, 34, empty, |tile, r, block| {
            tile.d[r] = f16::from_le_bytes([block[0], block[1]]);
            for g in 0..8 {
                for c in 0..4 {
                    tile.codes[64 * g + 4 * r + c] = block[2 + 4 * g + c] ^ 0x80;
                }
            }
        });
        Self { rows, columns, data: TileData::Q80(tiles) }
    }

    /// Bytes in memory.
    pub fn bytes(&self) -> u64 {
        match &self.data {
            TileData::Q41(tiles) => std::mem::size_of_val(tiles.as_slice()) as u64,
            TileData::Q80(tiles) => std::mem::size_of_val(tiles.as_slice()) as u64,
        }
    }

    /// Number of tile rows, the unit in which threads share the work.
    pub fn tiles(&self) -> usize {
        self.rows.div_ceil(TILE_ROWS)
    }

    /// Blocks of 32 columns.
    pub fn blocks(&self) -> usize {
        self.columns / BLOCK
    }

    /// One row as floats, `columns` long: the embedding of a token.
    pub fn row(&self, row: usize, out: &mut [f32]) {
        let (tile, r) = (row / TILE_ROWS, row % TILE_ROWS);
        for (b, out) in out.as_chunks_mut::<BLOCK>().0.iter_mut().enumerate() {
            let at = tile * self.blocks() + b;
            match &self.data {
                TileData::Q41(tiles) => {
                    let (d, m) = (tiles[at].d[r].to_f32(), tiles[at].m[r].to_f32());
                    for (i, out) in out.iter_mut().enumerate() {
                        let byte = tiles[at].codes[64 * (i % 16 / 4) + 4 * r + i % 4];
                        let code = if i < 16 { byte & 15 } else { byte >> 4 };
                        *out = f32::from(code).mul_add(d, m);
                    }
                }
                TileData::Q80(tiles) => {
                    let d = tiles[at].d[r].to_f32();
                    for (i, out) in out.iter_mut().enumerate() {
                        *out = f32::from((tiles[at].codes[64 * (i / 4) + 4 * r + i % 4] ^ 0x80) as i8) * d;
                    }
                }
            }
        }
    }
}

fn repack<T: Clone>(
    bytes: &[u8],
    rows: usize,
    columns: usize,
    block_bytes: usize,
    empty: T,
    put: impl Fn(&mut T, usize, &[u8]),
) -> Vec<T> {
    let blocks = columns / BLOCK;
    assert_eq!(bytes.len(), rows * blocks * block_bytes, "the header check gives the right size");
    let mut tiles = vec![empty; rows.div_ceil(TILE_ROWS) * blocks];
    for (row, bytes) in bytes.chunks_exact(blocks * block_bytes).enumerate() {
        for (b, block) in bytes.chunks_exact(block_bytes).enumerate() {
            put(&mut tiles[row / TILE_ROWS * blocks + b], row % TILE_ROWS, block);
        }
    }
    tiles
}

/// Activations rounded to 8 bits: 32 columns share a scale, `x ≈ scale · code`, code in `-127..=127`.
///
/// Scale and total are rounded to 16 bits, as ggml's `block_q8_1` has them: a little precision is given up so that
/// small models, which are sensitive here, say what they say in llama.cpp.
#[derive(Debug, Default)]
pub struct Activations {
    /// `tokens × columns` codes.
    pub(super) codes: Vec<i8>,
    /// `tokens × blocks` scales.
    pub(super) scale: Vec<f32>,
    /// `tokens × blocks` sums of the codes.
    pub(super) sum: Vec<i32>,
    /// `tokens × blocks` sums of the codes times the scale.
    pub(super) total: Vec<f32>,
    tokens: usize,
    blocks: usize,
}

impl Activations {
    /// Rounds `tokens` rows of equal length.
    pub fn quantize(&mut self, isa: Isa, x: &[f32], tokens: usize) {
        self.tokens = tokens;
        self.blocks = x.len() / tokens / BLOCK;
        self.codes.resize(x.len(), 0);
        self.scale.resize(x.len() / BLOCK, 0.0);
        self.sum.resize(x.len() / BLOCK, 0);
        self.total.resize(x.len() / BLOCK, 0.0);
        float::quantize(isa, x, &mut self.codes, &mut self.scale, &mut self.sum, &mut self.total);
    }

    /// Number of tokens.
    pub fn tokens(&self) -> usize {
        self.tokens
    }

    /// Blocks of 32 columns a token.
    pub fn blocks(&self) -> usize {
        self.blocks
    }
}
