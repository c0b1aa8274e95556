//! How ggml stores numbers: the types that osai reads, and those that it only knows by name.

/// How the numbers of a tensor are stored, as ggml names and numbers them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(non_camel_case_types, missing_docs)] // ggml's own names
pub enum GgmlType {
    F32,
    F16,
    Q4_0,
    Q4_1,
    Q5_0,
    Q5_1,
    Q8_0,
    Q8_1,
    Q2_K,
    Q3_K,
    Q4_K,
    Q5_K,
    Q6_K,
    Q8_K,
    BF16,
}

/// A type of ggml's, whether osai reads it or not.
#[derive(Debug, PartialEq, Eq)]
pub struct StoredType {
    /// ggml's number.
    pub number: u32,
    /// `IQ4_NL`.
    pub name: &'static str,
    /// Weights in a block.
    pub block_len: usize,
    /// Bytes of a block.
    pub block_bytes: usize,
    /// What osai reads it as.
    pub ggml_type: Option<GgmlType>,
}

const fn read(
    ggml_type: GgmlType,
    number: u32,
    name: &'static str,
    block_len: usize,
    block_bytes: usize,
) -> StoredType {
    StoredType { number, name, block_len, block_bytes, ggml_type: Some(ggml_type) }
}

const fn known(number: u32, name: &'static str, block_len: usize, block_bytes: usize) -> StoredType {
    StoredType { number, name, block_len, block_bytes, ggml_type: None }
}

/// Number, name, weights in a block, bytes of a block. Source: `ggml.h` and `ggml-common.h` of llama.cpp b9000 (the
/// copy in `llama-cpp-python` 0.3.36). Numbers that are not here were never used or are no longer.
static TYPES: [StoredType; 35] = [
    read(GgmlType::F32, 0, "F32", 1, 4),
    read(GgmlType::F16, 1, "F16", 1, 2),
    read(GgmlType::Q4_0, 2, "Q4_0", 32, 18),
    read(GgmlType::Q4_1, 3, "Q4_1", 32, 20),
    read(GgmlType::Q5_0, 6, "Q5_0", 32, 22),
    read(GgmlType::Q5_1, 7, "Q5_1", 32, 24),
    read(GgmlType::Q8_0, 8, "Q8_0", 32, 34),
    read(GgmlType::Q8_1, 9, "Q8_1", 32, 36),
    read(GgmlType::Q2_K, 10, "Q2_K", 256, 84),
    read(GgmlType::Q3_K, 11, "Q3_K", 256, 110),
    read(GgmlType::Q4_K, 12, "Q4_K", 256, 144),
    read(GgmlType::Q5_K, 13, "Q5_K", 256, 176),
    read(GgmlType::Q6_K, 14, "Q6_K", 256, 210),
    read(GgmlType::Q8_K, 15, "Q8_K", 256, 292),
    read(GgmlType::BF16, 30, "BF16", 1, 2),
    known(16, "IQ2_XXS", 256, 66),
    known(17, "IQ2_XS", 256, 74),
    known(18, "IQ3_XXS", 256, 98),
    known(19, "IQ1_S", 256, 50),
    known(20, "IQ4_NL", 32, 18),
    known(21, "IQ3_S", 256, 110),
    known(22, "IQ2_S", 256, 82),
    known(23, "IQ4_XS", 256, 136),
    known(24, "I8", 1, 1),
    known(25, "I16", 1, 2),
    known(26, "I32", 1, 4),
    known(27, "I64", 1, 8),
    known(28, "F64", 1, 8),
    known(29, "IQ1_M", 256, 56),
    known(34, "TQ1_0", 256, 54),
    known(35, "TQ2_0", 256, 66),
    known(39, "MXFP4", 32, 17),
    known(40, "NVFP4", 64, 36),
    known(41, "Q1_0", 128, 18),
    known(42, "Q2_0", 64, 18),
];

/// Numbers that ggml has taken back.
const REMOVED: [(u32, &str); 8] = [
    (4, "Q4_2"),
    (5, "Q4_3"),
    (31, "Q4_0_4_4"),
    (32, "Q4_0_4_8"),
    (33, "Q4_0_8_8"),
    (36, "IQ4_NL_4_4"),
    (37, "IQ4_NL_4_8"),
    (38, "IQ4_NL_8_8"),
];

impl StoredType {
    /// The type with ggml's number.
    pub fn from_number(number: u32) -> Option<&'static Self> {
        TYPES.iter().find(|stored| stored.number == number)
    }

    /// What a number says that is no type of today, in words.
    pub(super) fn describe_unknown(number: u32) -> String {
        match REMOVED.iter().find(|(removed, _)| *removed == number) {
            Some((_, name)) => format!("type {number} ({name}), which ggml has given up"),
            None => format!("type {number}, which ggml does not have"),
        }
    }

    /// Bytes of `rows × columns × …`, innermost dimension first; `None` if rows are no whole blocks, a dimension is 0
    /// or the product does not fit.
    pub fn bytes_of(&self, dims: &[usize]) -> Option<usize> {
        let items = dims.iter().try_fold(1_usize, |product, d| product.checked_mul(*d)).filter(|n| *n > 0)?;
        if !dims.first()?.is_multiple_of(self.block_len) {
            return None;
        }
        (items / self.block_len).checked_mul(self.block_bytes)
    }
}

impl GgmlType {
    fn stored(self) -> &'static StoredType {
        TYPES.iter().find(|stored| stored.ggml_type == Some(self)).expect("every type is in the table")
    }

    /// The type with ggml's number, if osai reads it.
    pub fn from_number(number: u32) -> Option<Self> {
        StoredType::from_number(number)?.ggml_type
    }

    /// ggml's number.
    pub fn number(self) -> u32 {
        self.stored().number
    }

    /// `Q4_1`.
    pub fn name(self) -> &'static str {
        self.stored().name
    }

    /// Weights in a block.
    pub fn block_len(self) -> usize {
        self.stored().block_len
    }

    /// Bytes of a block.
    pub fn block_bytes(self) -> usize {
        self.stored().block_bytes
    }

    /// All names, for messages.
    pub fn names() -> String {
        let read: Vec<&str> = TYPES.iter().filter(|stored| stored.ggml_type.is_some()).map(|t| t.name).collect();
        read.join(", ")
    }
}
