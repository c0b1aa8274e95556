//! What the products need of a processor: registers of weight codes, of row sums, and a few operations on them.
//!
//! A register holds the same thing for `ROWS` rows, one lane a row. Every format is written once, over this trait; a
//! new instruction set is one more implementation. Each operation is exact or one IEEE rounding, so that which
//! implementation runs changes no bit.

#[cfg(target_arch = "x86_64")]
pub(super) mod avx2;
#[cfg(target_arch = "x86_64")]
pub(super) mod avx512;
#[cfg(target_arch = "aarch64")]
pub(super) mod neon;
pub(super) mod plain;

/// Registers of one instruction set.
///
/// # Safety
/// Every function may be called only on a machine that has the instructions, with pointers valid for what is read.
/// All are inlined into a function compiled for them.
pub(super) trait Vector: Copy {
    /// Rows that a register serves: its number of 32-bit lanes.
    const ROWS: usize;
    /// Four codes of 8 bits for each row.
    type Bytes: Copy;
    /// A 32-bit integer for each row.
    type Ints: Copy;
    /// A float for each row.
    type Floats: Copy;
    /// Two small integers for each row.
    type Pairs: Copy;
    /// One of them, as this set multiplies with it.
    type Factor: Copy;

    /// `4 · ROWS` bytes.
    unsafe fn bytes(from: *const u8) -> Self::Bytes;
    /// `(a >> SHIFT) & mask` in each byte; `SHIFT` below 8.
    unsafe fn bits_right<const SHIFT: i32>(a: Self::Bytes, mask: u8) -> Self::Bytes;
    /// `(a << SHIFT) & mask` in each byte; `mask` has no bit below `SHIFT`.
    unsafe fn bits_left<const SHIFT: i32>(a: Self::Bytes, mask: u8) -> Self::Bytes;
    /// `a | b`.
    unsafe fn or(a: Self::Bytes, b: Self::Bytes) -> Self::Bytes;

    /// For each of `M` tokens and each row `Σ (code - offset) · x` over `4 · N` columns, exactly: `codes[g]` has
    /// columns `4 g ..`, `x[m]` points to as many signed activations (from -127 to 127) and `minus[m]` is the
    /// negative of their sum, which fits 16 bits. Codes are at most `max`, 255 only with the offset 128; `offset` is 0 or a power of two.
    /// Both are known when this is compiled.
    unsafe fn dots<const N: usize, const M: usize>(
        offset: i32,
        max: i32,
        codes: [Self::Bytes; N],
        x: [*const i8; M],
        minus: [i32; M],
    ) -> [Self::Ints; M];

    /// `sums[m] += Σ scales[s] · code · x` over 32 columns, of which each of the `S` scales, 1 or 2, has its equal share;
    /// exactly, if the result fits. Codes, at most `max`, below 128, and activations are as for [`Vector::dots`].
    unsafe fn add_dots<const S: usize, const M: usize>(
        max: i32,
        codes: [Self::Bytes; 8],
        scales: [Self::Factor; S],
        x: [*const i8; M],
        sums: &mut [Self::Ints; M],
    );

    /// `(byte >> SHIFT) & mask` of two unsigned bytes for each row.
    unsafe fn pairs_u8<const SHIFT: u32>(from: *const u8, mask: u8) -> Self::Pairs;
    /// Two signed bytes for each row.
    unsafe fn pairs_i8(from: *const u8) -> Self::Pairs;
    /// The first of each pair, and the second.
    unsafe fn factors(a: Self::Pairs) -> [Self::Factor; 2];
    /// `sum + a[0] · x[0] + a[1] · x[1]` for each row.
    unsafe fn add_pairs(sum: Self::Ints, a: Self::Pairs, x: *const [i16; 2]) -> Self::Ints;
    /// The same integer for each row.
    unsafe fn ints(n: i32) -> Self::Ints;
    /// `a · b`, the low 32 bits.
    unsafe fn mul_ints(a: Self::Ints, b: Self::Ints) -> Self::Ints;
    /// To the nearest float.
    unsafe fn to_floats(a: Self::Ints) -> Self::Floats;

    /// A half-precision float for each row.
    unsafe fn floats_f16(from: *const u8) -> Self::Floats;
    /// A bfloat16 for each row.
    unsafe fn floats_bf16(from: *const u8) -> Self::Floats;
    /// A float for each row.
    unsafe fn floats_f32(from: *const u8) -> Self::Floats;
    /// The same float for each row.
    unsafe fn floats(x: f32) -> Self::Floats;
    /// `a + b`.
    unsafe fn add(a: Self::Floats, b: Self::Floats) -> Self::Floats;
    /// `a · b`.
    unsafe fn mul(a: Self::Floats, b: Self::Floats) -> Self::Floats;
    /// `a · b + c`, rounded once.
    unsafe fn fma(a: Self::Floats, b: Self::Floats, c: Self::Floats) -> Self::Floats;
    /// Writes `ROWS` floats.
    unsafe fn store(a: Self::Floats, to: *mut f32);
}
