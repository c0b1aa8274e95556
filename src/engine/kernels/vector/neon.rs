//! NEON with the dot product instruction: 4 rows a register.

use std::arch::aarch64::*;
use std::arch::asm;

use super::Vector;

/// 4 rows in 128 bits.
#[derive(Clone, Copy)]
pub(in crate::engine::kernels) struct Neon;

/// `sum + a · b`, four products of signed bytes into each 32-bit lane; the intrinsic is not stable yet.
///
/// # Safety
/// The machine has `dotprod`.
#[inline(always)]
unsafe fn sdot(sum: int32x4_t, a: int8x16_t, b: int8x16_t) -> int32x4_t {
    let mut sum = sum;
    // SAFETY: one instruction on registers.
    unsafe {
        asm!(
            ".arch_extension dotprod",
            "sdot {sum:v}.4s, {a:v}.16b, {b:v}.16b",
            sum = inout(vreg) sum, a = in(vreg) a, b = in(vreg) b,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    sum
}

// SAFETY, for every block below: the trait's contract (the instructions are there, pointers are valid).
#[allow(clippy::undocumented_unsafe_blocks, reason = "the trait's contract, said once above")]
impl Vector for Neon {
    const ROWS: usize = 4;
    type Bytes = uint8x16_t;
    type Ints = int32x4_t;
    type Floats = float32x4_t;
    type Pairs = int16x8_t;
    type Factor = int32x4_t;

    #[inline(always)]
    unsafe fn bytes(from: *const u8) -> uint8x16_t {
        unsafe { vld1q_u8(from) }
    }
    #[inline(always)]
    unsafe fn bits_right<const SHIFT: i32>(a: uint8x16_t, mask: u8) -> uint8x16_t {
        unsafe { vandq_u8(vshlq_u8(a, vdupq_n_s8(-SHIFT as i8)), vdupq_n_u8(mask)) }
    }
    #[inline(always)]
    unsafe fn bits_left<const SHIFT: i32>(a: uint8x16_t, mask: u8) -> uint8x16_t {
        unsafe { vandq_u8(vshlq_u8(a, vdupq_n_s8(SHIFT as i8)), vdupq_n_u8(mask)) }
    }
    #[inline(always)]
    unsafe fn or(a: uint8x16_t, b: uint8x16_t) -> uint8x16_t {
        unsafe { vorrq_u8(a, b) }
    }
    #[inline(always)]
    unsafe fn dots<const N: usize, const M: usize>(
        offset: i32,
        max: i32,
        codes: [uint8x16_t; N],
        x: [*const i8; M],
        minus: [i32; M],
    ) -> [int32x4_t; M] {
        unsafe {
            // 255 only comes with the offset 128: taken off, codes are signed bytes. Smaller ones are so already.
            let signed = max == 255;
            let mut dot = [vdupq_n_s32(0); M];
            if !signed {
                dot = minus.map(|minus| vdupq_n_s32(offset * minus));
            }
            for g in 0..N {
                let bytes = if signed { veorq_u8(codes[g], vdupq_n_u8(128)) } else { codes[g] };
                for m in 0..M {
                    let x = vdupq_n_s32(x[m].add(4 * g).cast::<i32>().read_unaligned());
                    dot[m] = sdot(dot[m], vreinterpretq_s8_u8(bytes), vreinterpretq_s8_s32(x));
                }
            }
            dot
        }
    }
    #[inline(always)]
    unsafe fn add_dots<const S: usize, const M: usize>(
        _max: i32,
        codes: [uint8x16_t; 8],
        scales: [int32x4_t; S],
        x: [*const i8; M],
        sums: &mut [int32x4_t; M],
    ) {
        unsafe {
            for s in 0..S {
                let mut dot = [vdupq_n_s32(0); M];
                for g in s * 8 / S..(s + 1) * 8 / S {
                    for m in 0..M {
                        let x = vdupq_n_s32(x[m].add(4 * g).cast::<i32>().read_unaligned());
                        dot[m] = sdot(dot[m], vreinterpretq_s8_u8(codes[g]), vreinterpretq_s8_s32(x));
                    }
                }
                for m in 0..M {
                    sums[m] = vmlaq_s32(sums[m], dot[m], scales[s]);
                }
            }
        }
    }
    #[inline(always)]
    unsafe fn pairs_u8<const SHIFT: u32>(from: *const u8, mask: u8) -> int16x8_t {
        unsafe {
            let shifted = vshl_u8(vld1_u8(from), vdup_n_s8(-(SHIFT as i8)));
            vreinterpretq_s16_u16(vmovl_u8(vand_u8(shifted, vdup_n_u8(mask))))
        }
    }
    #[inline(always)]
    unsafe fn pairs_i8(from: *const u8) -> int16x8_t {
        unsafe { vmovl_s8(vld1_s8(from.cast())) }
    }
    #[inline(always)]
    unsafe fn factors(a: int16x8_t) -> [int32x4_t; 2] {
        unsafe {
            let a = vreinterpretq_s32_s16(a);
            [vshrq_n_s32::<16>(vshlq_n_s32::<16>(a)), vshrq_n_s32::<16>(a)]
        }
    }
    #[inline(always)]
    unsafe fn add_pairs(sum: int32x4_t, a: int16x8_t, x: *const [i16; 2]) -> int32x4_t {
        unsafe {
            let x = vreinterpretq_s16_s32(vdupq_n_s32(x.cast::<i32>().read_unaligned()));
            let low = vmull_s16(vget_low_s16(a), vget_low_s16(x));
            vaddq_s32(sum, vpaddq_s32(low, vmull_high_s16(a, x)))
        }
    }
    #[inline(always)]
    unsafe fn ints(n: i32) -> int32x4_t {
        unsafe { vdupq_n_s32(n) }
    }
    #[inline(always)]
    unsafe fn mul_ints(a: int32x4_t, b: int32x4_t) -> int32x4_t {
        unsafe { vmulq_s32(a, b) }
    }
    #[inline(always)]
    unsafe fn to_floats(a: int32x4_t) -> float32x4_t {
        unsafe { vcvtq_f32_s32(a) }
    }
    #[inline(always)]
    unsafe fn floats_f16(from: *const u8) -> float32x4_t {
        unsafe {
            let four = vld1_u16(from.cast());
            let out: float32x4_t;
            // Of ARMv8's base; its intrinsic waits for a stable half-precision type.
            asm!(
                "fcvtl {out:v}.4s, {four:v}.4h",
                out = out(vreg) out, four = in(vreg) four,
                options(pure, nomem, nostack, preserves_flags),
            );
            out
        }
    }
    #[inline(always)]
    unsafe fn floats_bf16(from: *const u8) -> float32x4_t {
        unsafe { vreinterpretq_f32_u32(vshlq_n_u32::<16>(vmovl_u16(vld1_u16(from.cast())))) }
    }
    #[inline(always)]
    unsafe fn floats_f32(from: *const u8) -> float32x4_t {
        unsafe { vld1q_f32(from.cast()) }
    }
    #[inline(always)]
    unsafe fn floats(x: f32) -> float32x4_t {
        unsafe { vdupq_n_f32(x) }
    }
    #[inline(always)]
    unsafe fn add(a: float32x4_t, b: float32x4_t) -> float32x4_t {
        unsafe { vaddq_f32(a, b) }
    }
    #[inline(always)]
    unsafe fn mul(a: float32x4_t, b: float32x4_t) -> float32x4_t {
        unsafe { vmulq_f32(a, b) }
    }
    #[inline(always)]
    unsafe fn fma(a: float32x4_t, b: float32x4_t, c: float32x4_t) -> float32x4_t {
        unsafe { vfmaq_f32(c, a, b) }
    }
    #[inline(always)]
    unsafe fn store(a: float32x4_t, to: *mut f32) {
        unsafe { vst1q_f32(to, a) }
    }
}
