//! AVX-512 VNNI: one `vpdpbusd` does 64 products into the sums of 16 rows.

use std::arch::x86_64::*;

use super::tile::TileData;
use super::{Activations, BLOCK, Sums, Tiles};

/// # Safety
/// The machine has AVX-512 F, BW, VL, DQ and VNNI; tile and tokens are in range.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,fma,f16c")]
pub(super) unsafe fn tile_sums(w: &Tiles, x: &Activations, tile: usize, first: usize, many: usize, sums: &mut Sums) {
    // SAFETY: the caller's promise.
    unsafe {
        match many {
            8 => lanes::<8>(w, x, tile, first, sums),
            4..8 => {
                lanes::<4>(w, x, tile, first, sums);
                for lane in 4..many {
                    lanes::<1>(w, x, tile, first + lane, &mut sums[lane..]);
                }
            }
            _ => {
                for lane in 0..many {
                    lanes::<1>(w, x, tile, first + lane, &mut sums[lane..]);
                }
            }
        }
    }
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,fma,f16c")]
unsafe fn lanes<const M: usize>(w: &Tiles, x: &Activations, tile: usize, first: usize, sums: &mut [[f32; 16]]) {
    let blocks = w.blocks();
    let codes = |lane: usize, b: usize, at: usize| {
        let index = ((first + lane) * blocks + b) * BLOCK + at;
        // SAFETY: 4 codes within the token's row.
        _mm512_set1_epi32(unsafe { x.codes.as_ptr().add(index).cast::<i32>().read_unaligned() })
    };
    // SAFETY: indices below are within the tokens × blocks of `x` and the tiles of `w`.
    unsafe {
        let mut acc = [_mm512_setzero_ps(); M];
        match &w.data {
            TileData::Q41(tiles) => {
                let low = _mm512_set1_epi8(15);
                for b in 0..blocks {
                    let t = tiles.get_unchecked(tile * blocks + b);
                    let mut dot = [_mm512_setzero_si512(); M];
                    for j in 0..4 {
                        let bytes = _mm512_load_si512(t.codes.as_ptr().add(64 * j).cast());
                        let (lo, hi) =
                            (_mm512_and_si512(bytes, low), _mm512_and_si512(_mm512_srli_epi16(bytes, 4), low));
                        for lane in 0..M {
                            dot[lane] = _mm512_dpbusd_epi32(dot[lane], lo, codes(lane, b, 4 * j));
                            dot[lane] = _mm512_dpbusd_epi32(dot[lane], hi, codes(lane, b, 16 + 4 * j));
                        }
                    }
                    let d = _mm512_cvtph_ps(_mm256_loadu_si256(t.d.as_ptr().cast()));
                    let m = _mm512_cvtph_ps(_mm256_loadu_si256(t.m.as_ptr().cast()));
                    for lane in 0..M {
                        let at = (first + lane) * blocks + b;
                        let scale = *x.scale.get_unchecked(at);
                        let total = *x.total.get_unchecked(at);
                        let step = _mm512_mul_ps(d, _mm512_set1_ps(scale));
                        acc[lane] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(dot[lane]), step, acc[lane]);
                        acc[lane] = _mm512_fmadd_ps(m, _mm512_set1_ps(total), acc[lane]);
                    }
                }
            }
            TileData::Q80(tiles) => {
                for b in 0..blocks {
                    let t = tiles.get_unchecked(tile * blocks + b);
                    let mut dot = [_mm512_setzero_si512(); M];
                    for lane in 0..M {
                        // Codes carry an offset of 128, taken back here.
                        dot[lane] = _mm512_set1_epi32(-128 * *x.sum.get_unchecked((first + lane) * blocks + b));
                    }
                    for g in 0..8 {
                        let bytes = _mm512_loadu_si512(t.codes.as_ptr().add(64 * g).cast());
                        for lane in 0..M {
                            dot[lane] = _mm512_dpbusd_epi32(dot[lane], bytes, codes(lane, b, 4 * g));
                        }
                    }
                    let d = _mm512_cvtph_ps(_mm256_loadu_si256(t.d.as_ptr().cast()));
                    for lane in 0..M {
                        let scale = _mm512_set1_ps(*x.scale.get_unchecked((first + lane) * blocks + b));
                        acc[lane] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(dot[lane]), _mm512_mul_ps(d, scale), acc[lane]);
                    }
                }
            }
        }
        for lane in 0..M {
            _mm512_storeu_ps(sums[lane].as_mut_ptr(), acc[lane]);
        }
    }
}
