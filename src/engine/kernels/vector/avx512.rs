//! AVX-512 with VNNI: one `vpdpbusd` does 64 products into the sums of 16 rows.

use std::arch::x86_64::*;

use super::Vector;

/// 16 rows in 512 bits.
#[derive(Clone, Copy)]
pub(in crate::engine::kernels) struct Avx512;

// SAFETY, for every block below: the trait's contract (the instructions are there, pointers are valid).
#[allow(clippy::undocumented_unsafe_blocks, reason = "the trait's contract, said once above")]
impl Vector for Avx512 {
    const ROWS: usize = 16;
    type Bytes = __m512i;
    type Ints = __m512i;
    type Floats = __m512;
    type Pairs = __m512i;
    type Factor = __m512i;

    #[inline(always)]
    unsafe fn bytes(from: *const u8) -> __m512i {
        unsafe { _mm512_loadu_si512(from.cast()) }
    }
    #[inline(always)]
    unsafe fn bits_right<const SHIFT: i32>(a: __m512i, mask: u8) -> __m512i {
        unsafe { _mm512_and_si512(_mm512_srl_epi16(a, _mm_cvtsi32_si128(SHIFT)), _mm512_set1_epi8(mask as i8)) }
    }
    #[inline(always)]
    unsafe fn bits_left<const SHIFT: i32>(a: __m512i, mask: u8) -> __m512i {
        unsafe { _mm512_and_si512(_mm512_sll_epi16(a, _mm_cvtsi32_si128(SHIFT)), _mm512_set1_epi8(mask as i8)) }
    }
    #[inline(always)]
    unsafe fn or(a: __m512i, b: __m512i) -> __m512i {
        unsafe { _mm512_or_si512(a, b) }
    }
    #[inline(always)]
    unsafe fn dots<const N: usize, const M: usize>(
        offset: i32,
        max: i32,
        codes: [__m512i; N],
        x: [*const i8; M],
        minus: [i32; M],
    ) -> [__m512i; M] {
        let _ = max;
        unsafe {
            let mut dot = [_mm512_setzero_si512(); M];
            if offset > 0 {
                // A product of the low 16 bits: a shift would be done before the broadcast, M times in plain registers.
                let offset = _mm512_set1_epi32(offset);
                for m in 0..M {
                    dot[m] = _mm512_dpwssd_epi32(dot[m], offset, _mm512_set1_epi32(minus[m]));
                }
            }
            for g in 0..N {
                for m in 0..M {
                    let x = _mm512_set1_epi32(x[m].add(4 * g).cast::<i32>().read_unaligned());
                    dot[m] = _mm512_dpbusd_epi32(dot[m], codes[g], x);
                }
            }
            dot
        }
    }
    #[inline(always)]
    unsafe fn add_dots<const S: usize, const M: usize>(
        _max: i32,
        codes: [__m512i; 8],
        scales: [__m512i; S],
        x: [*const i8; M],
        sums: &mut [__m512i; M],
    ) {
        unsafe {
            for s in 0..S {
                let mut dot = [_mm512_setzero_si512(); M];
                for g in s * 8 / S..(s + 1) * 8 / S {
                    for m in 0..M {
                        let x = _mm512_set1_epi32(x[m].add(4 * g).cast::<i32>().read_unaligned());
                        dot[m] = _mm512_dpbusd_epi32(dot[m], codes[g], x);
                    }
                }
                for m in 0..M {
                    sums[m] = _mm512_add_epi32(sums[m], _mm512_mullo_epi32(dot[m], scales[s]));
                }
            }
        }
    }
    #[inline(always)]
    unsafe fn pairs_u8<const SHIFT: u32>(from: *const u8, mask: u8) -> __m512i {
        unsafe {
            let wide = _mm512_cvtepu8_epi16(_mm256_loadu_si256(from.cast()));
            _mm512_and_si512(_mm512_srli_epi16::<SHIFT>(wide), _mm512_set1_epi16(mask.into()))
        }
    }
    #[inline(always)]
    unsafe fn pairs_i8(from: *const u8) -> __m512i {
        unsafe { _mm512_cvtepi8_epi16(_mm256_loadu_si256(from.cast())) }
    }
    #[inline(always)]
    unsafe fn factors(a: __m512i) -> [__m512i; 2] {
        unsafe { [_mm512_srai_epi32::<16>(_mm512_slli_epi32::<16>(a)), _mm512_srai_epi32::<16>(a)] }
    }
    #[inline(always)]
    unsafe fn add_pairs(sum: __m512i, a: __m512i, x: *const [i16; 2]) -> __m512i {
        unsafe { _mm512_dpwssd_epi32(sum, a, _mm512_set1_epi32(x.cast::<i32>().read_unaligned())) }
    }
    #[inline(always)]
    unsafe fn ints(n: i32) -> __m512i {
        unsafe { _mm512_set1_epi32(n) }
    }
    #[inline(always)]
    unsafe fn mul_ints(a: __m512i, b: __m512i) -> __m512i {
        unsafe { _mm512_mullo_epi32(a, b) }
    }
    #[inline(always)]
    unsafe fn to_floats(a: __m512i) -> __m512 {
        unsafe { _mm512_cvtepi32_ps(a) }
    }
    #[inline(always)]
    unsafe fn floats_f16(from: *const u8) -> __m512 {
        unsafe { _mm512_cvtph_ps(_mm256_loadu_si256(from.cast())) }
    }
    #[inline(always)]
    unsafe fn floats_bf16(from: *const u8) -> __m512 {
        unsafe {
            let wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256(from.cast()));
            _mm512_castsi512_ps(_mm512_slli_epi32::<16>(wide))
        }
    }
    #[inline(always)]
    unsafe fn floats_f32(from: *const u8) -> __m512 {
        unsafe { _mm512_loadu_ps(from.cast()) }
    }
    #[inline(always)]
    unsafe fn floats(x: f32) -> __m512 {
        unsafe { _mm512_set1_ps(x) }
    }
    #[inline(always)]
    unsafe fn add(a: __m512, b: __m512) -> __m512 {
        unsafe { _mm512_add_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn mul(a: __m512, b: __m512) -> __m512 {
        unsafe { _mm512_mul_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn fma(a: __m512, b: __m512, c: __m512) -> __m512 {
        unsafe { _mm512_fmadd_ps(a, b, c) }
    }
    #[inline(always)]
    unsafe fn store(a: __m512, to: *mut f32) {
        unsafe { _mm512_storeu_ps(to, a) }
    }
}
