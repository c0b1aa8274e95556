//! Products with weights that are floats: f32, f16, bf16, activations staying f32.
//!
//! Column `c` of a tile is 16 neighbouring numbers, one a row. A row's products go to four sums, column `c` to sum
//! `c mod 4`, and the sums are added as `(s0 + s2) + (s1 + s3)`.

use super::TILE_ROWS;
use super::vector::Vector;

/// How a weight is stored.
pub(super) trait Dense: 'static {
    /// Bytes of a weight.
    const BYTES: usize;

    /// A weight for each row.
    ///
    /// # Safety
    /// As for [`Vector`].
    unsafe fn load<V: Vector>(from: *const u8) -> V::Floats;
}

macro_rules! dense {
    ($name:ident, $bytes:literal, $load:ident) => {
        #[doc = stringify!($name)]
        pub(super) struct $name;
        impl Dense for $name {
            const BYTES: usize = $bytes;
            #[inline(always)]
            unsafe fn load<V: Vector>(from: *const u8) -> V::Floats {
                // SAFETY: the caller's promise.
                unsafe { V::$load(from) }
            }
        }
    };
}
dense!(F32, 4, floats_f32);
dense!(F16, 2, floats_f16);
dense!(BF16, 2, floats_bf16);

/// Partial sums of a row.
const SUMS: usize = 4;
/// Columns that are gone through for one partial sum before the next, so that weights stay near.
const PANEL: usize = 128;

/// Products of one tile with `M` tokens.
///
/// # Safety
/// `tile` has `columns` columns, each `x[m]` as many floats, each `out[m]` room for 16; see also [`Vector`].
#[inline(always)]
pub(super) unsafe fn lanes<V: Vector, D: Dense, const M: usize>(
    tile: *const u8,
    columns: usize,
    x: [*const f32; M],
    out: [*mut f32; M],
) {
    let at = |column: usize, part: usize| {
        // SAFETY: the column is within the tile.
        unsafe { D::load::<V>(tile.add((column * TILE_ROWS + V::ROWS * part) * D::BYTES)) }
    };
    // SAFETY: the caller's promise; every column is below `columns`.
    unsafe {
        for part in 0..TILE_ROWS / V::ROWS {
            let mut sums = [[V::floats(0.0); M]; SUMS];
            if M == 1 {
                let mut column = 0;
                while column + SUMS <= columns {
                    for s in 0..SUMS {
                        let x = V::floats(*x[0].add(column + s));
                        sums[s][0] = V::fma(at(column + s, part), x, sums[s][0]);
                    }
                    column += SUMS;
                }
                for s in 0..columns - column {
                    let x = V::floats(*x[0].add(column + s));
                    sums[s][0] = V::fma(at(column + s, part), x, sums[s][0]);
                }
            } else {
                for panel in (0..columns).step_by(PANEL) {
                    let end = columns.min(panel + PANEL);
                    for (s, sums) in sums.iter_mut().enumerate() {
                        let mut acc = *sums;
                        let mut column = panel + s;
                        while column < end {
                            let weights = at(column, part);
                            for m in 0..M {
                                acc[m] = V::fma(weights, V::floats(*x[m].add(column)), acc[m]);
                            }
                            column += SUMS;
                        }
                        *sums = acc;
                    }
                }
            }
            for m in 0..M {
                let sum = V::add(V::add(sums[0][m], sums[2][m]), V::add(sums[1][m], sums[3][m]));
                V::store(sum, out[m].add(V::ROWS * part));
            }
        }
    }
}
