//! AVX2: the same tiles, 8 rows a register.

use std::arch::x86_64::*;

use super::tile::TileData;
use super::{Activations, BLOCK, Sums, Tiles};

/// # Safety
/// The machine has AVX2, FMA and F16C; tile and tokens are in range.
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) unsafe fn tile_sums(w: &Tiles, x: &Activations, tile: usize, first: usize, many: usize, sums: &mut Sums) {
    let mut lane = 0;
    while lane < many {
        // SAFETY: the caller's promise.
        unsafe {
            if many - lane >= 4 {
                lanes::<4>(w, x, tile, first + lane, &mut sums[lane..]);
                lane += 4;
            } else {
                lanes::<1>(w, x, tile, first + lane, &mut sums[lane..]);
                lane += 1;
            }
        }
    }
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn lanes<const M: usize>(w: &Tiles, x: &Activations, tile: usize, first: usize, sums: &mut [[f32; 16]]) {
    let blocks = w.blocks();
    let ones = _mm256_set1_epi16(1);
    let codes = |lane: usize, b: usize, at: usize| {
        let index = ((first + lane) * blocks + b) * BLOCK + at;
        // SAFETY: 4 codes within the token's row.
        _mm256_set1_epi32(unsafe { x.codes.as_ptr().add(index).cast::<i32>().read_unaligned() })
    };
    // SAFETY: indices below are within the tokens × blocks of `x` and the tiles of `w`.
    unsafe {
        for half in 0..2 {
            let mut acc = [_mm256_setzero_ps(); M];
            for b in 0..blocks {
                let mut dot = [_mm256_setzero_si256(); M];
                let (d, m);
                match &w.data {
                    TileData::Q41(tiles) => {
                        let t = tiles.get_unchecked(tile * blocks + b);
                        let low = _mm256_set1_epi8(15);
                        for j in 0..4 {
                            let bytes = _mm256_loadu_si256(t.codes.as_ptr().add(64 * j + 32 * half).cast());
                            let lo = _mm256_and_si256(bytes, low);
                            let hi = _mm256_and_si256(_mm256_srli_epi16(bytes, 4), low);
                            for lane in 0..M {
                                // 15 · 127 · 2 fits 16 bits: nothing saturates.
                                let a = _mm256_maddubs_epi16(lo, codes(lane, b, 4 * j));
                                let z = _mm256_maddubs_epi16(hi, codes(lane, b, 16 + 4 * j));
                                dot[lane] =
                                    _mm256_add_epi32(dot[lane], _mm256_madd_epi16(_mm256_add_epi16(a, z), ones));
                            }
                        }
                        d = _mm256_cvtph_ps(_mm_loadu_si128(t.d.as_ptr().add(8 * half).cast()));
                        m = Some(_mm256_cvtph_ps(_mm_loadu_si128(t.m.as_ptr().add(8 * half).cast())));
                    }
                    TileData::Q80(tiles) => {
                        let t = tiles.get_unchecked(tile * blocks + b);
                        let offset = _mm256_set1_epi8(-128);
                        for g in 0..8 {
                            let bytes = _mm256_loadu_si256(t.codes.as_ptr().add(64 * g + 32 * half).cast());
                            let signed = _mm256_xor_si256(bytes, offset);
                            let size = _mm256_abs_epi8(signed);
                            for lane in 0..M {
                                // |weight| · ±activation: 128 · 127 · 2 fits 16 bits, where 255 · 127 · 2 would not.
                                let a = _mm256_maddubs_epi16(size, _mm256_sign_epi8(codes(lane, b, 4 * g), signed));
                                dot[lane] = _mm256_add_epi32(dot[lane], _mm256_madd_epi16(a, ones));
                            }
                        }
                        d = _mm256_cvtph_ps(_mm_loadu_si128(t.d.as_ptr().add(8 * half).cast()));
                        m = None;
                    }
                }
                for lane in 0..M {
                    let at = (first + lane) * blocks + b;
                    let scale = *x.scale.get_unchecked(at);
                    let step = _mm256_mul_ps(d, _mm256_set1_ps(scale));
                    acc[lane] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(dot[lane]), step, acc[lane]);
                    if let Some(m) = m {
                        let total = *x.total.get_unchecked(at);
                        acc[lane] = _mm256_fmadd_ps(m, _mm256_set1_ps(total), acc[lane]);
                    }
                }
            }
            for lane in 0..M {
                _mm256_storeu_ps(sums[lane].as_mut_ptr().add(8 * half), acc[lane]);
            }
        }
    }
}
