//! A matrix with what hangs on it: `y = x Wᵀ (+ bias)`, and for each adapter `+ scale · (dropout(x) Aᵀ) Bᵀ`.

use std::ops::Range;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

use super::super::kernels::View;
use super::cores::Cores;

/// A low-rank adapter of some rows of a matrix; `a` and `b` are places among the adapters' parameters.
#[derive(Clone, Debug, PartialEq)]
pub struct Hung {
    /// Which of the matrix's rows it changes.
    pub rows: Range<usize>,
    /// `[r, columns]`.
    pub a: Range<usize>,
    /// `[rows, r]`.
    pub b: Range<usize>,
    /// Rank.
    pub r: usize,
    /// `lora_alpha / r`.
    pub scale: f32,
    /// A number of its own, for its dropout.
    pub stream: u64,
}

/// Which of an adapter's inputs are dropped in one pass: as many as `probability` says, others are scaled up.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dropout {
    /// Share of the numbers that are dropped, below 1.
    pub probability: f32,
    /// Tells one pass from another; the same seed drops the same numbers.
    pub seed: u64,
}

impl Dropout {
    /// Calls `each` with every number's index and whether it is dropped.
    fn mask(self, stream: u64, x: &mut [f32]) {
        let mut random = ChaCha8Rng::seed_from_u64(self.seed);
        random.set_stream(stream);
        let limit = (f64::from(self.probability) * 2_f64.powi(32)) as u32;
        let keep = 1.0 / (1.0 - self.probability);
        for x in x {
            *x = if random.next_u32() < limit { 0.0 } else { *x * keep };
        }
    }
}

/// A matrix of the model, `rows × columns`, and its adapters.
#[derive(Clone, Copy, Debug)]
pub struct Linear<'a> {
    /// Row by row.
    pub weight: &'a [f32],
    /// Number of rows: what comes out.
    pub rows: usize,
    /// Number of columns: what goes in.
    pub columns: usize,
    /// What hangs on it.
    pub hung: &'a [Hung],
    /// The adapters' parameters.
    pub adapters: &'a [f32],
    /// Dropout of the adapters' inputs.
    pub dropout: Option<Dropout>,
}

/// Where gradients go: to the whole matrix, or to its adapters.
#[derive(Debug)]
pub enum Gradient<'a> {
    /// Of the matrix, as long as it.
    Weight(&'a mut [f32]),
    /// Of all adapters' parameters.
    Adapters(&'a mut [f32]),
}

impl Linear<'_> {
    fn view(&self) -> View<'_> {
        View::new(self.weight, self.rows, self.columns, self.columns)
    }

    fn a(&self, hung: &Hung) -> View<'_> {
        View::new(&self.adapters[hung.a.clone()], hung.r, self.columns, self.columns)
    }

    fn b(&self, hung: &Hung) -> View<'_> {
        View::new(&self.adapters[hung.b.clone()], hung.rows.len(), hung.r, hung.r)
    }

    /// What an adapter reads: `x`, or a copy with some numbers dropped.
    fn read<'x>(&self, hung: &Hung, x: &'x [f32], copy: &'x mut Vec<f32>) -> &'x [f32] {
        let Some(dropout) = self.dropout else { return x };
        copy.clear();
        copy.extend_from_slice(x);
        dropout.mask(hung.stream, copy);
        copy
    }

    /// `y = x Wᵀ`, or with `add` `y += x Wᵀ`, and what the adapters add; `x` is `tokens × columns`, `y` `tokens × rows`.
    pub fn forward(&self, cores: &mut Cores, x: &[f32], tokens: usize, y: &mut [f32], add: bool) {
        cores.product(View::new(x, tokens, self.columns, self.columns), self.view().transposed(), y, self.rows, add);
        let mut copy = Vec::new();
        for hung in self.hung {
            let read = self.read(hung, x, &mut copy);
            let low = self.low(cores, hung, read, tokens);
            let low = View::new(&low, tokens, hung.r, hung.r);
            cores.product(low, self.b(hung).transposed(), &mut y[hung.rows.start..], self.rows, true);
        }
    }

    /// `scale · x Aᵀ`, `tokens × r`.
    fn low(&self, cores: &mut Cores, hung: &Hung, x: &[f32], tokens: usize) -> Vec<f32> {
        let mut low = vec![0.0; tokens * hung.r];
        let x = View::new(x, tokens, self.columns, self.columns);
        cores.product(x, self.a(hung).transposed(), &mut low, hung.r, false);
        low.iter_mut().for_each(|x| *x *= hung.scale);
        low
    }

    /// From `dy` (`tokens × rows`): adds to the gradient, and `dx` becomes the gradient of `x`, if it is wanted.
    pub fn backward(
        &self,
        cores: &mut Cores,
        (x, dy, tokens): (&[f32], &[f32], usize),
        mut dx: Option<&mut [f32]>,
        gradient: Gradient<'_>,
    ) {
        let wide = View::new(dy, tokens, self.rows, self.rows);
        if let Some(dx) = dx.as_deref_mut() {
            cores.product(wide, self.view(), dx, self.columns, false);
        }
        let gradient = match gradient {
            Gradient::Weight(gradient) => {
                let x = View::new(x, tokens, self.columns, self.columns);
                cores.product(wide.transposed(), x, gradient, self.columns, true);
                return;
            }
            Gradient::Adapters(gradient) => gradient,
        };
        let mut copy = Vec::new();
        for hung in self.hung {
            let read = self.read(hung, x, &mut copy);
            let low = self.low(cores, hung, read, tokens);
            let dy = wide.columns_of(hung.rows.clone());
            let db = &mut gradient[hung.b.clone()];
            cores.product(dy.transposed(), View::new(&low, tokens, hung.r, hung.r), db, hung.r, true);
            let mut dlow = low;
            cores.product(dy, self.b(hung), &mut dlow, hung.r, false);
            dlow.iter_mut().for_each(|x| *x *= hung.scale);
            let dlow = View::new(&dlow, tokens, hung.r, hung.r);
            let da = &mut gradient[hung.a.clone()];
            cores.product(
                dlow.transposed(),
                View::new(read, tokens, self.columns, self.columns),
                da,
                self.columns,
                true,
            );
            if let Some(dx) = dx.as_deref_mut() {
                match self.dropout {
                    None => cores.product(dlow, self.a(hung), dx, self.columns, true),
                    Some(dropout) => {
                        copy.clear();
                        copy.resize(tokens * self.columns, 0.0);
                        cores.product(dlow, self.a(hung), &mut copy, self.columns, false);
                        dropout.mask(hung.stream, &mut copy);
                        dx.iter_mut().zip(&copy).for_each(|(dx, d)| *dx += d);
                    }
                }
            }
        }
    }
}
