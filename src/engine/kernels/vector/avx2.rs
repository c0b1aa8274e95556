//! AVX2 with FMA and F16C: 8 rows a register, products summed in 16 bits as long as nothing can saturate.

use std::arch::x86_64::*;

use super::Vector;

/// 8 rows in 256 bits.
#[derive(Clone, Copy)]
pub(in crate::engine::kernels) struct Avx2;

/// How many sums of two products, codes being at most `max`, fit 16 bits: a power of two, at most 8.
const fn run(max: i32) -> usize {
    let mut run = 8;
    while run as i32 * 2 * 127 * max > i16::MAX as i32 {
        run /= 2;
    }
    run
}

// SAFETY, for every block below: the trait's contract (the instructions are there, pointers are valid).
#[allow(clippy::undocumented_unsafe_blocks, reason = "the trait's contract, said once above")]
impl Vector for Avx2 {
    const ROWS: usize = 8;
    type Bytes = __m256i;
    type Ints = __m256i;
    type Floats = __m256;
    type Pairs = __m256i;
    type Factor = __m256i;

    #[inline(always)]
    unsafe fn bytes(from: *const u8) -> __m256i {
        unsafe { _mm256_loadu_si256(from.cast()) }
    }
    #[inline(always)]
    unsafe fn bits_right<const SHIFT: i32>(a: __m256i, mask: u8) -> __m256i {
        unsafe { _mm256_and_si256(_mm256_srl_epi16(a, _mm_cvtsi32_si128(SHIFT)), _mm256_set1_epi8(mask as i8)) }
    }
    #[inline(always)]
    unsafe fn bits_left<const SHIFT: i32>(a: __m256i, mask: u8) -> __m256i {
        unsafe { _mm256_and_si256(_mm256_sll_epi16(a, _mm_cvtsi32_si128(SHIFT)), _mm256_set1_epi8(mask as i8)) }
    }
    #[inline(always)]
    unsafe fn or(a: __m256i, b: __m256i) -> __m256i {
        unsafe { _mm256_or_si256(a, b) }
    }
    #[inline(always)]
    unsafe fn dots<const N: usize, const M: usize>(
        offset: i32,
        max: i32,
        codes: [__m256i; N],
        x: [*const i8; M],
        minus: [i32; M],
    ) -> [__m256i; M] {
        unsafe {
            let ones = _mm256_set1_epi16(1);
            let at = |m: usize, g: usize| _mm256_set1_epi32(x[m].add(4 * g).cast::<i32>().read_unaligned());
            let mut dot = [_mm256_setzero_si256(); M];
            if max == 255 {
                // 255 · 127 · 2 would not fit 16 bits: |weight| · ±activation, at most 128 · 127 · 2, does.
                for g in 0..N {
                    let signed = _mm256_xor_si256(codes[g], _mm256_set1_epi8(-128));
                    let size = _mm256_abs_epi8(signed);
                    for m in 0..M {
                        let pairs = _mm256_maddubs_epi16(size, _mm256_sign_epi8(at(m, g), signed));
                        dot[m] = _mm256_add_epi32(dot[m], _mm256_madd_epi16(pairs, ones));
                    }
                }
                return dot;
            }
            if offset > 0 {
                // A product of the low 16 bits: a shift would be done before the broadcast, M times in plain registers.
                let offset = _mm256_set1_epi32(offset);
                for m in 0..M {
                    dot[m] = _mm256_madd_epi16(offset, _mm256_set1_epi32(minus[m]));
                }
            }
            // So many pairs of products fit 16 bits.
            let run = (i16::MAX as i32 / (2 * 127 * max)) as usize;
            let mut first = 0;
            while first < N {
                let end = if first + run < N { first + run } else { N };
                for m in 0..M {
                    let mut pairs = _mm256_maddubs_epi16(codes[first], at(m, first));
                    for g in first + 1..end {
                        pairs = _mm256_add_epi16(pairs, _mm256_maddubs_epi16(codes[g], at(m, g)));
                    }
                    dot[m] = _mm256_add_epi32(dot[m], _mm256_madd_epi16(pairs, ones));
                }
                first = end;
            }
            dot
        }
    }
    #[inline(always)]
    unsafe fn add_dots<const S: usize, const M: usize>(
        max: i32,
        codes: [__m256i; 8],
        scales: [__m256i; S],
        x: [*const i8; M],
        sums: &mut [__m256i; M],
    ) {
        unsafe {
            let at = |m: usize, g: usize| _mm256_set1_epi32(x[m].add(4 * g).cast::<i32>().read_unaligned());
            let run = run(max).min(8 / S);
            for m in 0..M {
                for first in (0..8).step_by(run) {
                    let mut pairs = _mm256_maddubs_epi16(codes[first], at(m, first));
                    for g in first + 1..first + run {
                        pairs = _mm256_add_epi16(pairs, _mm256_maddubs_epi16(codes[g], at(m, g)));
                    }
                    sums[m] = _mm256_add_epi32(sums[m], _mm256_madd_epi16(pairs, scales[first * S / 8]));
                }
            }
        }
    }
    #[inline(always)]
    unsafe fn pairs_u8<const SHIFT: u32>(from: *const u8, mask: u8) -> __m256i {
        unsafe {
            let wide = _mm256_cvtepu8_epi16(_mm_loadu_si128(from.cast()));
            _mm256_and_si256(_mm256_srl_epi16(wide, _mm_cvtsi32_si128(SHIFT as i32)), _mm256_set1_epi16(mask.into()))
        }
    }
    #[inline(always)]
    unsafe fn pairs_i8(from: *const u8) -> __m256i {
        unsafe { _mm256_cvtepi8_epi16(_mm_loadu_si128(from.cast())) }
    }
    /// In both halves of a lane, where the sums of pairs of products lie.
    #[inline(always)]
    unsafe fn factors(a: __m256i) -> [__m256i; 2] {
        unsafe {
            let both = |at: i8| {
                let at = |byte: i8| 4 * (byte / 4) + at + byte % 2;
                _mm256_broadcastsi128_si256(_mm_setr_epi8(
                    at(0),
                    at(1),
                    at(2),
                    at(3),
                    at(4),
                    at(5),
                    at(6),
                    at(7),
                    at(8),
                    at(9),
                    at(10),
                    at(11),
                    at(12),
                    at(13),
                    at(14),
                    at(15),
                ))
            };
            [_mm256_shuffle_epi8(a, both(0)), _mm256_shuffle_epi8(a, both(2))]
        }
    }
    #[inline(always)]
    unsafe fn add_pairs(sum: __m256i, a: __m256i, x: *const [i16; 2]) -> __m256i {
        unsafe {
            let x = _mm256_set1_epi32(x.cast::<i32>().read_unaligned());
            _mm256_add_epi32(sum, _mm256_madd_epi16(a, x))
        }
    }
    #[inline(always)]
    unsafe fn ints(n: i32) -> __m256i {
        unsafe { _mm256_set1_epi32(n) }
    }
    #[inline(always)]
    unsafe fn mul_ints(a: __m256i, b: __m256i) -> __m256i {
        unsafe { _mm256_mullo_epi32(a, b) }
    }
    #[inline(always)]
    unsafe fn to_floats(a: __m256i) -> __m256 {
        unsafe { _mm256_cvtepi32_ps(a) }
    }
    #[inline(always)]
    unsafe fn floats_f16(from: *const u8) -> __m256 {
        unsafe { _mm256_cvtph_ps(_mm_loadu_si128(from.cast())) }
    }
    #[inline(always)]
    unsafe fn floats_bf16(from: *const u8) -> __m256 {
        unsafe {
            let wide = _mm256_cvtepu16_epi32(_mm_loadu_si128(from.cast()));
            _mm256_castsi256_ps(_mm256_slli_epi32::<16>(wide))
        }
    }
    #[inline(always)]
    unsafe fn floats_f32(from: *const u8) -> __m256 {
        unsafe { _mm256_loadu_ps(from.cast()) }
    }
    #[inline(always)]
    unsafe fn floats(x: f32) -> __m256 {
        unsafe { _mm256_set1_ps(x) }
    }
    #[inline(always)]
    unsafe fn add(a: __m256, b: __m256) -> __m256 {
        unsafe { _mm256_add_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn mul(a: __m256, b: __m256) -> __m256 {
        unsafe { _mm256_mul_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn fma(a: __m256, b: __m256, c: __m256) -> __m256 {
        unsafe { _mm256_fmadd_ps(a, b, c) }
    }
    #[inline(always)]
    unsafe fn store(a: __m256, to: *mut f32) {
        unsafe { _mm256_storeu_ps(to, a) }
    }
}
