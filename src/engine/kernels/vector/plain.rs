//! Plain Rust: what the others must equal to the bit.

use half::{bf16, f16};

use super::Vector;

/// `R` rows in arrays. With one row it also reads single rows of a matrix.
#[derive(Clone, Copy)]
pub(in crate::engine::kernels) struct Plain<const R: usize>;

/// A number of `SIZE` bytes for each row.
#[inline(always)]
unsafe fn numbers<const R: usize, const SIZE: usize, T>(from: *const u8, read: impl Fn([u8; SIZE]) -> T) -> [T; R] {
    // SAFETY: the caller gives `R · SIZE` bytes.
    std::array::from_fn(|r| read(unsafe { from.add(SIZE * r).cast::<[u8; SIZE]>().read() }))
}

impl<const R: usize> Vector for Plain<R> {
    const ROWS: usize = R;
    type Bytes = [[u8; 4]; R];
    type Ints = [i32; R];
    type Floats = [f32; R];
    type Pairs = [[i32; 2]; R];
    type Factor = [i32; R];

    #[inline(always)]
    unsafe fn bytes(from: *const u8) -> Self::Bytes {
        // SAFETY: the caller's promise.
        unsafe { from.cast::<Self::Bytes>().read() }
    }
    #[inline(always)]
    unsafe fn bits_right<const SHIFT: i32>(a: Self::Bytes, mask: u8) -> Self::Bytes {
        a.map(|row| row.map(|byte| (byte >> SHIFT) & mask))
    }
    #[inline(always)]
    unsafe fn bits_left<const SHIFT: i32>(a: Self::Bytes, mask: u8) -> Self::Bytes {
        a.map(|row| row.map(|byte| (byte << SHIFT) & mask))
    }
    #[inline(always)]
    unsafe fn or(a: Self::Bytes, b: Self::Bytes) -> Self::Bytes {
        std::array::from_fn(|r| std::array::from_fn(|c| a[r][c] | b[r][c]))
    }
    #[inline(always)]
    unsafe fn dots<const N: usize, const M: usize>(
        offset: i32,
        max: i32,
        codes: [Self::Bytes; N],
        x: [*const i8; M],
        minus: [i32; M],
    ) -> [Self::Ints; M] {
        let _ = max;
        std::array::from_fn(|m| {
            let mut dot = [offset * minus[m]; R];
            for g in 0..N {
                // SAFETY: the caller gives `4 · N` activations a token.
                let x = unsafe { x[m].add(4 * g).cast::<[i8; 4]>().read() };
                for r in 0..R {
                    for c in 0..4 {
                        dot[r] += i32::from(codes[g][r][c]) * i32::from(x[c]);
                    }
                }
            }
            dot
        })
    }
    #[inline(always)]
    unsafe fn add_dots<const S: usize, const M: usize>(
        _max: i32,
        codes: [Self::Bytes; 8],
        scales: [Self::Factor; S],
        x: [*const i8; M],
        sums: &mut [Self::Ints; M],
    ) {
        for m in 0..M {
            // SAFETY: the caller gives 32 activations a token.
            let x = unsafe { x[m].cast::<[[i8; 4]; 8]>().read() };
            for r in 0..R {
                for s in 0..S {
                    let dot = |g: usize| (0..4).map(|c| i32::from(codes[g][r][c]) * i32::from(x[g][c])).sum::<i32>();
                    sums[m][r] += scales[s][r] * (s * 8 / S..(s + 1) * 8 / S).map(dot).sum::<i32>();
                }
            }
        }
    }
    #[inline(always)]
    unsafe fn pairs_u8<const SHIFT: u32>(from: *const u8, mask: u8) -> Self::Pairs {
        // SAFETY: the caller's promise, here and below.
        unsafe { numbers(from, |pair: [u8; 2]| pair.map(|byte| i32::from((byte >> SHIFT) & mask))) }
    }
    #[inline(always)]
    unsafe fn pairs_i8(from: *const u8) -> Self::Pairs {
        // SAFETY: as above.
        unsafe { numbers(from, |pair: [u8; 2]| pair.map(|byte| i32::from(byte as i8))) }
    }
    #[inline(always)]
    unsafe fn factors(a: Self::Pairs) -> [Self::Factor; 2] {
        [a.map(|[first, _]| first), a.map(|[_, second]| second)]
    }
    #[inline(always)]
    unsafe fn add_pairs(sum: Self::Ints, a: Self::Pairs, x: *const [i16; 2]) -> Self::Ints {
        // SAFETY: as above.
        let [first, second] = unsafe { x.read() }.map(i32::from);
        std::array::from_fn(|r| sum[r] + a[r][0] * first + a[r][1] * second)
    }
    #[inline(always)]
    unsafe fn ints(n: i32) -> Self::Ints {
        [n; R]
    }
    #[inline(always)]
    unsafe fn mul_ints(a: Self::Ints, b: Self::Ints) -> Self::Ints {
        std::array::from_fn(|r| a[r].wrapping_mul(b[r]))
    }
    #[inline(always)]
    unsafe fn to_floats(a: Self::Ints) -> Self::Floats {
        a.map(|n| n as f32)
    }
    #[inline(always)]
    unsafe fn floats_f16(from: *const u8) -> Self::Floats {
        // SAFETY: as above.
        unsafe { numbers(from, |bytes| f16::from_le_bytes(bytes).to_f32()) }
    }
    #[inline(always)]
    unsafe fn floats_bf16(from: *const u8) -> Self::Floats {
        // SAFETY: as above.
        unsafe { numbers(from, |bytes| bf16::from_le_bytes(bytes).to_f32()) }
    }
    #[inline(always)]
    unsafe fn floats_f32(from: *const u8) -> Self::Floats {
        // SAFETY: as above.
        unsafe { numbers(from, f32::from_le_bytes) }
    }
    #[inline(always)]
    unsafe fn floats(x: f32) -> Self::Floats {
        [x; R]
    }
    #[inline(always)]
    unsafe fn add(a: Self::Floats, b: Self::Floats) -> Self::Floats {
        std::array::from_fn(|r| a[r] + b[r])
    }
    #[inline(always)]
    unsafe fn mul(a: Self::Floats, b: Self::Floats) -> Self::Floats {
        std::array::from_fn(|r| a[r] * b[r])
    }
    #[inline(always)]
    unsafe fn fma(a: Self::Floats, b: Self::Floats, c: Self::Floats) -> Self::Floats {
        std::array::from_fn(|r| a[r].mul_add(b[r], c[r]))
    }
    #[inline(always)]
    unsafe fn store(a: Self::Floats, to: *mut f32) {
        // SAFETY: as above.
        unsafe { to.cast::<Self::Floats>().write(a) }
    }
}
