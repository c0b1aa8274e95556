//! The kernels in plain Rust: what the others must equal to the bit.

#[cfg(test)]
use half::f16;

use super::tile::TileData;
use super::{Activations, BLOCK, Sums, TILE_ROWS, Tiles};

pub(super) fn tile_sums(w: &Tiles, x: &Activations, tile: usize, first: usize, many: usize, sums: &mut Sums) {
    let blocks = w.blocks();
    for (lane, sum) in sums.iter_mut().take(many).enumerate() {
        let token = first + lane;
        for b in 0..blocks {
            let codes = &x.codes[(token * blocks + b) * BLOCK..][..BLOCK];
            let (scale, total) = (x.scale[token * blocks + b], x.total[token * blocks + b]);
            match &w.data {
                TileData::Q41(tiles) => {
                    let t = &tiles[tile * blocks + b];
                    for r in 0..TILE_ROWS {
                        let mut dot = 0_i32;
                        for j in 0..4 {
                            for c in 0..4 {
                                let byte = t.codes[64 * j + 4 * r + c];
                                dot += i32::from(byte & 15) * i32::from(codes[4 * j + c]);
                                dot += i32::from(byte >> 4) * i32::from(codes[16 + 4 * j + c]);
                            }
                        }
                        sum[r] = (dot as f32).mul_add(t.d[r].to_f32() * scale, sum[r]);
                        sum[r] = t.m[r].to_f32().mul_add(total, sum[r]);
                    }
                }
                TileData::Q80(tiles) => {
                    let t = &tiles[tile * blocks + b];
                    for r in 0..TILE_ROWS {
                        let mut dot = 0_i32;
                        for g in 0..8 {
                            for c in 0..4 {
                                dot +=
                                    i32::from((t.codes[64 * g + 4 * r + c] ^ 0x80) as i8) * i32::from(codes[4 * g + c]);
                            }
                        }
                        sum[r] = (dot as f32).mul_add(t.d[r].to_f32() * scale, sum[r]);
                    }
                }
            }
        }
    }
}

/// A block as floats, straight from GGUF's bytes (`block_q4_1` in ggml's `ggml-common.h`).
#[cfg(test)]
pub(super) fn dequantize_q4_1(block: &[u8]) -> [f32; BLOCK] {
    let d = f16::from_le_bytes([block[0], block[1]]).to_f32();
    let m = f16::from_le_bytes([block[2], block[3]]).to_f32();
    std::array::from_fn(|i| {
        let byte = block[4 + i % 16];
        f32::from(if i < 16 { byte & 15 } else { byte >> 4 }) * d + m
    })
}

/// A block as floats, straight from GGUF's bytes (`block_q8_0`).
#[cfg(test)]
pub(super) fn dequantize_q8_0(block: &[u8]) -> [f32; BLOCK] {
    let d = f16::from_le_bytes([block[0], block[1]]).to_f32();
    std::array::from_fn(|i| f32::from(block[2 + i] as i8) * d)
}
