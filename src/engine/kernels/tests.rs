//! Every format on every instruction set against plain code to the bit, and against the numbers that the bytes mean.

use super::tests_support::{Numbers, floats};
use super::*;

/// Formats with ggml's name for candle's dequantiser, which is the second opinion on what bytes mean.
const FORMATS: [(Format, candle_core::quantized::GgmlDType); 13] = {
    use candle_core::quantized::GgmlDType as D;
    [
        (Format::Q4_0, D::Q4_0),
        (Format::Q4_1, D::Q4_1),
        (Format::Q5_0, D::Q5_0),
        (Format::Q5_1, D::Q5_1),
        (Format::Q8_0, D::Q8_0),
        (Format::Q2_K, D::Q2K),
        (Format::Q3_K, D::Q3K),
        (Format::Q4_K, D::Q4K),
        (Format::Q5_K, D::Q5K),
        (Format::Q6_K, D::Q6K),
        (Format::F32, D::F32),
        (Format::F16, D::F16),
        (Format::BF16, D::BF16),
    ]
};

/// Where the half-precision numbers of a block lie.
fn halves(format: Format) -> &'static [usize] {
    match format {
        Format::Q4_0 | Format::Q5_0 | Format::Q8_0 => &[0],
        Format::Q4_1 | Format::Q5_1 | Format::Q4_K | Format::Q5_K => &[0, 2],
        Format::Q2_K => &[80, 82],
        Format::Q3_K => &[108],
        Format::Q6_K => &[208],
        Format::F16 => &[0],
        Format::F32 | Format::BF16 => &[],
    }
}

/// Any bytes are codes; only the scales must be numbers.
fn bytes(format: Format, numbers: &mut Numbers, rows: usize, columns: usize) -> Vec<u8> {
    let blocks = rows * columns / format.tile_columns();
    let mut bytes = Vec::new();
    for _ in 0..blocks {
        let mut block: Vec<u8> = (0..format.source_bytes()).map(|_| numbers.bits() as u8).collect();
        for at in halves(format) {
            block[*at..at + 2].copy_from_slice(&half::f16::from_f32(numbers.float()).to_le_bytes());
        }
        match format {
            Format::F32 => block = numbers.float().to_le_bytes().to_vec(),
            Format::BF16 => block = half::bf16::from_f32(numbers.float()).to_le_bytes().to_vec(),
            _ => {}
        }
        bytes.extend(block);
    }
    bytes
}

struct Case {
    format: Format,
    matrix: Matrix,
    /// What candle says that the weights are.
    dense: Vec<f32>,
}

fn cases() -> Vec<Case> {
    let mut numbers = Numbers(7);
    let mut cases = vec![];
    for (format, dtype) in FORMATS {
        let unit = if format.is_quantised() { format.tile_columns() } else { 1 };
        let mut widths = vec![unit, 3 * unit];
        widths.push(if unit == 1 { 531 } else { 1536 / unit * unit });
        for (rows, columns) in [1, 16, 33].into_iter().zip(widths) {
            let bytes = bytes(format, &mut numbers, rows, columns);
            let shape = vec![rows, columns];
            let device = candle_core::Device::Cpu;
            let dense = candle_core::quantized::ggml_file::qtensor_from_ggml(dtype, &bytes, shape, &device)
                .and_then(|tensor| tensor.dequantize(&device)?.flatten_all()?.to_vec1())
                .expect("candle reads it");
            cases.push(Case { format, matrix: Matrix::packed(format, rows, columns, &bytes), dense });
        }
    }
    cases
}

fn multiply(isa: Isa, w: &Matrix, x: &[f32], tokens: usize) -> Vec<f32> {
    multiply_and_keep(isa, w, x, tokens, 0)
}

fn multiply_and_keep(isa: Isa, w: &Matrix, x: &[f32], tokens: usize, mut budget: usize) -> Vec<f32> {
    let mut activations = Activations::default();
    let input = if w.format().is_quantised() {
        activations.resize(tokens, w.columns());
        let rounded = activations.blocks_mut();
        if w.format().is_wide() {
            quantize_wide(isa, x, rounded)
        } else {
            quantize(isa, x, rounded)
        }
        Input::Rounded(&activations)
    } else {
        Input::Floats(x)
    };
    let mut out = vec![f32::NAN; tokens * w.rows()];
    let filling = w.filling(&mut budget);
    // SAFETY: one thread, and `out` has the size; all strips are asked for, once.
    unsafe {
        product(isa, &filling, input, 0..w.tiles(), out.as_mut_ptr(), w.rows());
        filling.finish();
    }
    out
}

fn bits(v: &[f32]) -> Vec<u32> {
    v.iter().map(|v| v.to_bits()).collect()
}

#[test]
fn every_instruction_set_gives_the_same_bits() {
    for Case { format, matrix, .. } in cases() {
        for tokens in [1, 3, 8, 13] {
            let x = floats(tokens as u64, tokens * matrix.columns());
            let want = bits(&multiply(Isa::Scalar, &matrix, &x, tokens));
            for isa in Isa::available() {
                let got = bits(&multiply(isa, &matrix, &x, tokens));
                let (rows, columns) = (matrix.rows(), matrix.columns());
                assert!(got == want, "{format:?} {rows}x{columns}, {tokens} tokens: {isa:?} differs from scalar");
            }
        }
    }
}

/// Codes and activations at their ends: nothing may saturate.
#[test]
fn the_largest_numbers_give_the_same_bits_too() {
    for (format, _) in FORMATS.into_iter().filter(|(format, _)| format.is_quantised()) {
        let columns = 2 * format.tile_columns().max(32);
        for fill in [0x00, 0x7f, 0x80, 0xff] {
            let mut source = vec![fill; 17 * columns / format.tile_columns() * format.source_bytes()];
            for block in source.chunks_exact_mut(format.source_bytes()) {
                for at in halves(format) {
                    block[*at..at + 2].copy_from_slice(&half::f16::from_f32(1.0).to_le_bytes());
                }
            }
            let matrix = Matrix::packed(format, 17, columns, &source);
            for sign in [1.0, -1.0] {
                let x = vec![sign * 127.0; 9 * columns];
                let want = bits(&multiply(Isa::Scalar, &matrix, &x, 9));
                for isa in Isa::available() {
                    assert!(bits(&multiply(isa, &matrix, &x, 9)) == want, "{format:?} of {fill:#x}, {isa:?}");
                }
            }
        }
    }
}

#[test]
fn one_token_at_a_time_gives_the_same_bits_as_all_at_once() {
    for Case { format, matrix, .. } in cases() {
        let (rows, columns) = (matrix.rows(), matrix.columns());
        let x = floats(3, 13 * columns);
        let all = multiply(Isa::detect(), &matrix, &x, 13);
        for t in 0..13 {
            let one = multiply(Isa::detect(), &matrix, &x[t * columns..(t + 1) * columns], 1);
            assert_eq!(bits(&one), bits(&all[t * rows..(t + 1) * rows]), "{format:?}, token {t}");
        }
    }
}

#[test]
fn rows_are_the_numbers_of_the_file() {
    for Case { format, matrix, dense } in cases() {
        let mut row = vec![f32::NAN; matrix.columns()];
        for (r, want) in dense.chunks(matrix.columns()).enumerate() {
            matrix.row(r, &mut row);
            for (i, (got, want)) in row.iter().zip(want).enumerate() {
                let bound = 1e-6 * want.abs().max(1.0);
                // Not `>`: neither side may be NaN.
                assert!((got - want).abs() <= bound * 64.0, "{format:?} row {r}, column {i}: {got} against {want}");
            }
        }
    }
}

/// Rounding an activation costs at most half a step of its block, and its scale 1 part in 2,048.
#[test]
fn products_are_those_of_the_dequantised_weights() {
    for Case { format, matrix, dense } in cases() {
        let columns = matrix.columns();
        let x = floats(5, columns);
        let got = multiply(Isa::detect(), &matrix, &x, 1);
        for (row, weights) in dense.chunks(columns).enumerate() {
            let exact: f64 = weights.iter().zip(&x).map(|(w, x)| f64::from(*w) * f64::from(*x)).sum();
            let size: f64 = weights.iter().map(|w| f64::from(w.abs())).sum();
            let error = if format.is_quantised() { 2.0 / 127.0 / 2.0 + 2.0 / 2048.0 } else { 1e-6 };
            let far = (f64::from(got[row]) - exact).abs();
            assert!(far <= size * error, "{format:?} row {row}: {} against {exact}", got[row]);
        }
    }
}

/// A matrix in a file of its own, after some bytes that shift it off the pages.
fn mapped(format: Format, rows: usize, columns: usize, bytes: &[u8]) -> Matrix {
    let mut file = tempfile::tempfile().unwrap();
    std::io::Write::write_all(&mut file, &[&[7; 100], bytes, &[9; 50]].concat()).unwrap();
    // SAFETY: nobody else has the file.
    let map = std::sync::Arc::new(unsafe { memmap2::Mmap::map(&file) }.unwrap());
    Matrix::mapped(format, rows, columns, Source::new(&map, &map[100..100 + bytes.len()]))
}

/// Whatever part of a file's matrix is tiles already: none, some strips, all; products and rows are the same.
#[test]
fn a_matrix_of_a_file_gives_the_same_bits_before_and_after_it_is_repacked() {
    let mut numbers = Numbers(11);
    for (format, _) in FORMATS {
        // 100 strips, the last one of 5 rows; more than is let go at a time where a weight has 32 bits.
        let (rows, columns) = (1589, 256);
        let bytes = bytes(format, &mut numbers, rows, columns);
        let want = Matrix::packed(format, rows, columns, &bytes);
        let matrix = mapped(format, rows, columns, &bytes);
        let (strip, x) = (format.strip_bytes(columns), floats(3, 2 * columns));
        let dots = bits(&multiply(Isa::detect(), &want, &x, 2));
        let (mut row, mut same) = (vec![0.0; columns], vec![0.0; columns]);
        for (round, kept) in [0, 3 * strip + 1, 0, 60 * strip, usize::MAX, usize::MAX].into_iter().enumerate() {
            let got = bits(&multiply_and_keep(Isa::detect(), &matrix, &x, 2, kept));
            assert!(got == dots, "{format:?}, round {round}");
            for r in [0, 47, 48, 1000, 1584, 1588] {
                matrix.row(r, &mut row);
                want.row(r, &mut same);
                assert_eq!(bits(&row), bits(&same), "{format:?}, round {round}, row {r}");
            }
        }
        let mut budget = 1 << 30;
        drop(matrix.filling(&mut budget));
        assert_eq!(budget, 1 << 30, "{format:?}: nothing is left to repack");
    }
}

#[test]
fn only_one_product_repacks_and_no_more_than_it_may() {
    let matrix = mapped(Format::F32, 40, 8, &[0; 40 * 8 * 4]);
    let mut budget = 2 * Format::F32.strip_bytes(8) + 5;
    let first = matrix.filling(&mut budget);
    assert_eq!(budget, 5);
    let mut other = 1 << 20;
    drop(matrix.filling(&mut other));
    assert_eq!(other, 1 << 20, "while the first is at work");
    // Dropped without an end, it leaves nothing that counts as repacked.
    drop(first);
    drop(matrix.filling(&mut other));
    assert_eq!(other, (1 << 20) - 3 * Format::F32.strip_bytes(8));
}
