//! AdamW for everything, or Muon for the matrices and AdamW for the rest; gradients are clipped by their common norm.

use serde::{Deserialize, Serialize};

use super::super::EngineError;
use super::super::kernels::{self, AdamStep, Isa, Packed, View};
use super::super::threads::Shares;
use super::cores::{Cores, Pool};
use super::parameters::{Parameters, Tensor};

/// Numbers whose squares are summed up alone.
const PIECE: usize = 16_384;

/// Settings; names as in PyTorch's `AdamW` and in Hugging Face's `TrainingArguments`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OptimizerConfig {
    /// AdamW's step size, before the schedule.
    pub learning_rate: f32,
    /// Decay of its running mean and mean square.
    pub betas: [f32; 2],
    /// Added to its root.
    pub eps: f32,
    /// Pull of its matrices towards 0; embeddings and norms have none.
    pub weight_decay: f32,
    /// Gradients longer than this are made as long; `None` leaves them.
    pub max_grad_norm: Option<f32>,
    /// Muon for the matrices.
    pub muon: Option<Muon>,
}

impl Default for OptimizerConfig {
    fn default() -> Self {
        Self {
            learning_rate: 2e-3,
            betas: [0.9, 0.98],
            eps: 1e-8,
            weight_decay: 0.05,
            max_grad_norm: Some(1.0),
            muon: None,
        }
    }
}

/// Settings of Muon (Jordan, 2024): the running mean of a matrix's gradient is made nearly orthogonal before it is a
/// step, and scaled to the size of an AdamW step (`0.2 √max(rows, columns)`; Liu et al., 2025).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Muon {
    /// Step size, before the schedule.
    pub learning_rate: f32,
    /// Decay of the running mean, which looks ahead (Nesterov).
    pub momentum: f32,
    /// Pull towards 0, apart from the gradient.
    pub weight_decay: f32,
    /// Newton-Schulz steps.
    pub steps: usize,
}

impl Default for Muon {
    fn default() -> Self {
        Self { learning_rate: 3e-3, momentum: 0.95, weight_decay: 0.05, steps: 4 }
    }
}

/// An optimiser and what it remembers.
#[derive(Debug)]
pub struct Optimizer {
    config: OptimizerConfig,
    /// Steps done.
    step: usize,
    /// Of each tensor: running mean, and mean square where AdamW trains it.
    pub(super) moments: Vec<[Vec<f32>; 2]>,
    rooms: Pool<Room>,
}

/// Room for one matrix.
#[derive(Debug, Default)]
struct Room {
    packed: Packed,
    update: Vec<f32>,
    next: Vec<f32>,
    gram: Vec<f32>,
    square: Vec<f32>,
}

/// Whether a tensor is a matrix that maps one layer to the next, and no table of tokens.
fn is_matrix(tensor: &Tensor) -> bool {
    tensor.shape.len() == 2 && !tensor.name.contains("embed_tokens") && !tensor.name.contains("lm_head")
}

impl OptimizerConfig {
    /// Whether the numbers are in their ranges.
    ///
    /// # Errors
    /// [`EngineError::BadSetting`] with the setting and its range.
    pub fn check(&self) -> Result<(), EngineError> {
        let muon = self.muon.unwrap_or_default();
        let share = |x: f32| (0.0..1.0).contains(&x);
        let size = |x: f32| x.is_finite() && x >= 0.0;
        let faults = [
            (!size(self.learning_rate) || !size(muon.learning_rate), "`learning_rate` is 0 or more"),
            (!self.betas.into_iter().all(share), "`betas` are from 0 to below 1"),
            (!(self.eps.is_finite() && self.eps > 0.0), "`eps` is above 0"),
            (!size(self.weight_decay) || !size(muon.weight_decay), "`weight_decay` is 0 or more"),
            (self.max_grad_norm.is_some_and(|norm| !(norm.is_finite() && norm > 0.0)), "`max_grad_norm` is above 0"),
            (!share(muon.momentum), "`momentum` is from 0 to below 1"),
            (!(1..=20).contains(&muon.steps), "Muon's `steps` are 1 to 20"),
        ];
        match faults.iter().find(|(wrong, _)| *wrong) {
            None => Ok(()),
            Some((_, what)) => Err(EngineError::BadSetting { what: format!("the optimiser's {what}") }),
        }
    }
}

impl Optimizer {
    /// A new one for these parameters.
    ///
    /// # Errors
    /// As [`OptimizerConfig::check`].
    pub fn new(config: OptimizerConfig, parameters: &Parameters) -> Result<Self, EngineError> {
        config.check()?;
        let moments = parameters.tensors.iter().map(|tensor| {
            let len = tensor.at.len();
            [vec![0.0; len], if config.muon.is_some() && is_matrix(tensor) { vec![] } else { vec![0.0; len] }]
        });
        Ok(Self { config, step: 0, moments: moments.collect(), rooms: Pool::default() })
    }

    /// Steps done.
    pub fn steps(&self) -> usize {
        self.step
    }

    /// Says that so many steps are done: of a checkpoint whose moments have been put back.
    pub(super) fn resume(&mut self, step: usize) {
        self.step = step;
    }

    /// Changes the parameters by a step against `gradient`; `factor` is the schedule's. Gives the gradient's norm before
    /// it was clipped.
    pub(super) fn step(&mut self, cores: &mut Cores, to: &mut Parameters, gradient: &[f32], factor: f32) -> f32 {
        let config = self.config;
        let norm = length(cores, gradient);
        let gradient_scale = match config.max_grad_norm {
            Some(most) if norm > most => most / norm,
            _ => 1.0,
        };
        self.step += 1;
        let isa = cores.isa;
        let correction = |beta: f32| (1.0 / (1.0 - libm::pow(f64::from(beta), self.step as f64))) as f32;
        let Parameters { tensors, data } = to;
        let mut matrices = Vec::new();
        for (tensor, [m, v]) in tensors.iter().zip(&mut self.moments) {
            let (weights, gradient) = (&mut data[tensor.at.clone()], &gradient[tensor.at.clone()]);
            if v.is_empty() {
                let shape = [tensor.shape[0], tensor.shape[1]];
                matrices.push((shape, Shares(weights.as_mut_ptr()), gradient, Shares(m.as_mut_ptr())));
                continue;
            }
            let decay = if is_matrix(tensor) { config.weight_decay } else { 0.0 };
            let step = AdamStep {
                betas: config.betas,
                corrections: config.betas.map(correction),
                eps: config.eps,
                gradient_scale,
                learning_rate: config.learning_rate * factor,
                keep: 1.0 - config.learning_rate * factor * decay,
            };
            cores.rows(weights.len(), [(weights, 1), (m, 1), (v, 1)], |first, [weights, m, v]| {
                kernels::adamw(isa, &step, weights, &gradient[first..][..weights.len()], m, v);
            });
        }
        let Some(muon) = config.muon else { return norm };
        let (learning_rate, rooms) = (muon.learning_rate * factor, &self.rooms);
        // The largest first, so that threads end together.
        matrices.sort_by_key(|(shape, ..)| std::cmp::Reverse(shape[0] * shape[1]));
        cores.share(matrices.len(), |index| {
            let (shape, weights, gradient, m) = &matrices[index];
            let len = gradient.len();
            // SAFETY: each matrix is one task's; its weights and moments are as long as its gradient.
            let (weights, m) = unsafe {
                (std::slice::from_raw_parts_mut(weights.get(), len), std::slice::from_raw_parts_mut(m.get(), len))
            };
            rooms.with(|room| {
                room.update.resize(len, 0.0);
                kernels::nesterov(isa, muon.momentum, gradient_scale, gradient, m, &mut room.update);
                orthogonalise(isa, *shape, muon.steps, room);
                let size = 0.2 * (shape[0].max(shape[1]) as f32).sqrt();
                let keep = 1.0 - learning_rate * muon.weight_decay;
                kernels::axpby(isa, -learning_rate * size, &room.update, keep, weights);
            });
        });
        norm
    }
}

/// Euclidean length, in pieces of a fixed size added in order.
fn length(cores: &mut Cores, x: &[f32]) -> f32 {
    let mut sums = vec![0.0_f64; x.len().div_ceil(PIECE)];
    let (isa, to) = (cores.isa, Shares(sums.as_mut_ptr()));
    cores.share(x.len().div_ceil(PIECE), |piece| {
        let x = &x[piece * PIECE..x.len().min((piece + 1) * PIECE)];
        // SAFETY: each piece has its own sum.
        unsafe { *to.get().add(piece) = f64::from(kernels::dot_product(isa, x, x)) };
    });
    sums.iter().sum::<f64>().sqrt() as f32
}

/// Makes `update` nearly orthogonal, its singular values about 1, by steps of `x (a + b x'x + c (x'x)²)` with Jordan's
/// coefficients; on the shorter side, as `x'x` or `xx'`.
fn orthogonalise(isa: Isa, [rows, columns]: [usize; 2], steps: usize, room: &mut Room) {
    const A: f32 = 3.4445;
    const B: f32 = -4.7750;
    const C: f32 = 2.0315;
    let Room { packed, update: x, next, gram, square } = room;
    let length = kernels::dot_product(isa, x, x).sqrt() + 1e-7;
    x.iter_mut().for_each(|x| *x /= length);
    let side = rows.min(columns);
    next.resize(rows * columns, 0.0);
    gram.resize(side * side, 0.0);
    square.resize(side * side, 0.0);
    for _ in 0..steps {
        let view = View::new(x, rows, columns, columns);
        let [left, right] = if rows <= columns { [view, view.transposed()] } else { [view.transposed(), view] };
        symmetric(isa, left, right, gram, packed);
        let g = View::new(gram, side, side, side);
        symmetric(isa, g, g, square, packed);
        kernels::axpby(isa, B, gram, C, square);
        square.iter_mut().step_by(side + 1).for_each(|x| *x += A);
        let polynomial = View::new(square, side, side, side);
        let [left, right] = if rows <= columns { [polynomial, view] } else { [view, polynomial] };
        // SAFETY: the result has the rows and columns of `x`.
        unsafe { kernels::matmul(isa, left, right, next.as_mut_ptr(), columns, false, packed) };
        std::mem::swap(x, next);
    }
}

/// `out = left · right`, known to be symmetric: only the blocks on and above the diagonal are computed.
fn symmetric(isa: Isa, left: View<'_>, right: View<'_>, out: &mut [f32], packed: &mut Packed) {
    const BLOCK: usize = 64;
    let side = left.rows;
    assert!(right.columns == side && out.len() == side * side, "a symmetric product is square");
    for first in (0..side).step_by(BLOCK) {
        let end = side.min(first + BLOCK);
        let (above, block) = (left.rows_of(0..end), right.columns_of(first..end));
        // SAFETY: the first `end` rows, the columns from `first` to `end`.
        unsafe { kernels::matmul(isa, above, block, out[first..].as_mut_ptr(), side, false, packed) };
        for row in first..end {
            for column in 0..first {
                out[row * side + column] = out[column * side + row];
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::kernels::tests_support::floats;

    #[test]
    fn an_orthogonalised_matrix_stretches_every_direction_about_alike() {
        for shape in [[12, 40], [40, 12], [16, 16]] {
            let mut room = Room { update: floats(1, shape[0] * shape[1]), ..Room::default() };
            orthogonalise(Isa::detect(), shape, 8, &mut room);
            let [rows, columns] = shape;
            // The Gram matrix on the shorter side is near to the identity: its eigenvalues lie within 0.7² and 1.2².
            let x = &room.update;
            let side = rows.min(columns);
            let dot = |i: usize, j: usize| -> f32 {
                match rows <= columns {
                    true => (0..columns).map(|k| x[i * columns + k] * x[j * columns + k]).sum(),
                    false => (0..rows).map(|k| x[k * columns + i] * x[k * columns + j]).sum(),
                }
            };
            let trace: f32 = (0..side).map(|i| dot(i, i)).sum();
            let squares: f32 =
                (0..side).flat_map(|i| (0..side).map(move |j| (i, j))).map(|(i, j)| dot(i, j).powi(2)).sum();
            // The variance of the eigenvalues: their mean square less the square of their mean.
            let (mean, mean_square) = (trace / side as f32, squares / side as f32);
            assert!((0.6..1.3).contains(&mean) && mean_square - mean * mean < 0.2, "{shape:?}: {mean}, {mean_square}");
        }
    }

    #[test]
    fn an_adamw_step_is_the_one_of_the_paper() {
        let mut parameters = Parameters::default();
        parameters.push("layers.0.q_proj.weight".into(), &[1, 2]);
        parameters.push("norm.weight".into(), &[2]);
        parameters.data = vec![1.0, -2.0, 0.5, 0.25];
        let config =
            OptimizerConfig { learning_rate: 0.1, weight_decay: 0.5, max_grad_norm: Some(1.0), ..Default::default() };
        let mut optimizer = Optimizer::new(config, &parameters).expect("good settings");
        let mut want: Vec<f64> = parameters.data.iter().map(|x| f64::from(*x)).collect();
        let (mut m, mut v) = ([0.0; 4], [0.0; 4]);
        let mut cores = Cores::new(Isa::detect(), 1);
        for step in 1..=3 {
            let gradient = [0.3_f32, -4.0, 0.0, 1.0].map(|g| g * step as f32);
            let norm = optimizer.step(&mut cores, &mut parameters, &gradient, 0.5);
            let length: f64 = gradient.iter().map(|g| f64::from(*g).powi(2)).sum::<f64>().sqrt();
            assert!((f64::from(norm) - length).abs() < 1e-5);
            for i in 0..4 {
                let g = f64::from(gradient[i]) / length.max(1.0);
                m[i] = 0.9 * m[i] + 0.1 * g;
                v[i] = 0.98 * v[i] + 0.02 * g * g;
                let update = m[i] / (1.0 - 0.9_f64.powi(step)) / ((v[i] / (1.0 - 0.98_f64.powi(step))).sqrt() + 1e-8);
                let decay = if i < 2 { 0.5 } else { 0.0 };
                want[i] -= 0.05 * (update + decay * want[i]);
            }
        }
        for (got, want) in parameters.data.iter().zip(want) {
            assert!((f64::from(*got) - want).abs() < 1e-5, "{got} against {want}");
        }
    }

    #[test]
    fn a_setting_out_of_range_is_named() {
        let bad = OptimizerConfig { betas: [0.9, 1.0], ..Default::default() };
        assert!(bad.check().expect_err("refused").to_string().contains("`betas`"));
    }
}
