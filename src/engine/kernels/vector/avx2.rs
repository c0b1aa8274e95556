//! AVX2 with FMA and F16C: 8 rows a register, products summed in 16 bits as long as nothing can saturate.

use std::arch::x86_64::*;

use super::Vector;

/// 8 rows in 256 bits.
#[derive(Clone, Copy)]
pub(in crate::engine::kernels) struct Avx2;

// SAFETY, for every block below: the trait's contract (the instructions are there, pointers are valid).
#[allow(clippy::undocumented_unsafe_blocks, reason = "the trait's contract, said once above")]
impl Vector for Avx2 {
    const ROWS: usize = 8;
    type Bytes = __m256i;
    type Ints = __m256i;
    type Floats = __m256;

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
    unsafe fn ints_u8<const SHIFT: u32>(from: *const u8, mask: u8) -> __m256i {
        unsafe {
            let wide = _mm256_cvtepu8_epi32(_mm_loadl_epi64(from.cast()));
            _mm256_and_si256(
                _mm256_srl_epi32(wide, _mm_cvtsi32_si128(SHIFT as i32)),
                _mm256_set1_epi32(i32::from(mask)),
            )
        }
    }
    #[inline(always)]
    unsafe fn ints_i8(from: *const u8) -> __m256i {
        unsafe { _mm256_cvtepi8_epi32(_mm_loadl_epi64(from.cast())) }
    }
    #[inline(always)]
    unsafe fn ints(n: i32) -> __m256i {
        unsafe { _mm256_set1_epi32(n) }
    }
    #[inline(always)]
    unsafe fn add_ints(a: __m256i, b: __m256i) -> __m256i {
        unsafe { _mm256_add_epi32(a, b) }
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
