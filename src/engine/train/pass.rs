//! A batch's way through the network and back.
//!
//! Shapes: `tokens` is the batch's number of tokens; every buffer is `tokens ×` the width that its name implies, row by
//! row. A layer keeps what its gradients need. Derivations are those of the plain chain rule; the order of every sum is
//! fixed (see `cores`).

use std::ops::Range;

use super::super::kernels::{self, View};
use super::super::lora::Group;
use super::attention::Room;
use super::batch::Batch;
use super::cores::{Cores, Pool};
use super::linear::{Dropout, Gradient, Linear};
use super::network::Network;
use super::{Isa, physical_cores};

/// Rows of logits that are held at a time.
const LOGITS: usize = 256;

/// What a layer's gradients need.
#[derive(Debug, Default)]
struct Saved {
    /// What the layer read.
    x: Vec<f32>,
    /// Normed, for attention.
    normed: Vec<f32>,
    /// Queries and keys before their norm, where they have one.
    plain_qk: Vec<f32>,
    /// Queries, keys, values, turned.
    qkv: Vec<f32>,
    /// Attention weights.
    weights: Vec<f32>,
    /// What attention mixed.
    mixed: Vec<f32>,
    /// The stream between attention and feed-forward.
    middle: Vec<f32>,
    /// Normed, for feed-forward.
    middle_normed: Vec<f32>,
    /// Gate and up.
    gate_up: Vec<f32>,
    /// What goes into the down projection.
    hidden: Vec<f32>,
}

/// Room for going through a network, kept from batch to batch, and the threads that do it.
#[derive(Debug)]
pub struct Pass {
    pub(super) cores: Cores,
    rooms: Pool<Room>,
    saved: Vec<Saved>,
    /// The residual stream.
    x: Vec<f32>,
    dx: Vec<f32>,
    /// Gradients inside a layer: of `hidden_size`, of the heads, of gate and up, of feed-forward's width.
    dnormed: Vec<f32>,
    dmixed: Vec<f32>,
    dqkv: Vec<f32>,
    dgate_up: Vec<f32>,
    dhidden: Vec<f32>,
    scaled: Vec<f32>,
    logits: Vec<f32>,
    /// Cosines and sines of each position; of the way back.
    angles: [Vec<(f32, f32)>; 2],
    /// Each token's position in its document.
    positions: Vec<usize>,
    dropout: Option<Dropout>,
}

impl Default for Pass {
    fn default() -> Self {
        Self::new(Isa::detect(), physical_cores())
    }
}

/// Where the gradient of one weight goes.
fn gradient_of<'a>(network: &Network, gradient: &'a mut [f32], at: &Range<usize>) -> Gradient<'a> {
    match network.adapters {
        Some(_) => Gradient::Adapters(gradient),
        None => Gradient::Weight(&mut gradient[at.clone()]),
    }
}

impl Network {
    fn linear(&self, layer: usize, group: Group, dropout: Option<Dropout>) -> (Linear<'_>, &Range<usize>) {
        let (config, place) = (&self.config, &self.layout.layers[layer]);
        let (hidden, wide) = (config.hidden_size, config.intermediate_size);
        let (at, rows, columns) = match group {
            Group::Qkv => (&place.qkv, config.q_width() + 2 * config.kv_width(), hidden),
            Group::O => (&place.o, hidden, config.q_width()),
            Group::GateUp => (&place.gate_up, 2 * wide, hidden),
            Group::Down => (&place.down, hidden, wide),
        };
        let adapters = self.adapters.as_ref().map_or(&[][..], |adapters| &adapters.parameters.data);
        let (weight, hung) = (&self.weights.data[at.clone()], self.hung(layer, group));
        (Linear { weight, rows, columns, hung, adapters, dropout }, at)
    }
}

impl Pass {
    /// With an instruction set and a number of threads; neither changes a bit of what comes out.
    pub fn new(isa: Isa, threads: usize) -> Self {
        Self {
            cores: Cores::new(isa, threads),
            rooms: Pool::default(),
            saved: Vec::new(),
            x: Vec::new(),
            dx: Vec::new(),
            dnormed: Vec::new(),
            dmixed: Vec::new(),
            dqkv: Vec::new(),
            dgate_up: Vec::new(),
            dhidden: Vec::new(),
            scaled: Vec::new(),
            logits: Vec::new(),
            angles: [Vec::new(), Vec::new()],
            positions: Vec::new(),
            dropout: None,
        }
    }

    /// The loss of each target that counts, in nats (`-ln p`, not weighted); 0 for the others.
    ///
    /// # Panics
    /// When a token is outside the vocabulary or a document longer than the model reads.
    pub fn losses(&mut self, network: &Network, batch: &Batch) -> Vec<f32> {
        self.dropout = None;
        self.forward(network, batch, false);
        self.output(network, batch, None)
    }

    /// Adds the gradient of `factor · Σ weight · loss` to `gradient`, as long as [`Network::trained`]; gives the losses as
    /// [`Pass::losses`]. `seed` decides what an adapter's dropout drops.
    ///
    /// # Panics
    /// As [`Pass::losses`], and when `gradient` has another length.
    pub fn gradient(
        &mut self,
        network: &Network,
        batch: &Batch,
        factor: f32,
        seed: u64,
        gradient: &mut [f32],
    ) -> Vec<f32> {
        assert_eq!(gradient.len(), network.trained().data.len(), "a gradient has a number for each that is trained");
        let probability = network.dropout();
        self.dropout = (probability > 0.0).then_some(Dropout { probability, seed });
        self.forward(network, batch, true);
        let losses = self.output(network, batch, Some((factor, gradient)));
        self.backward(network, batch, gradient);
        losses
    }

    /// The logits after each token of a batch, `tokens × vocab_size`.
    ///
    /// # Panics
    /// As [`Pass::losses`].
    pub fn logits(&mut self, network: &Network, batch: &Batch) -> Vec<f32> {
        self.dropout = None;
        self.forward(network, batch, false);
        let tokens = batch.tokens.len();
        let mut normed = vec![0.0; self.x.len()];
        norm(&mut self.cores, network, &network.layout.norm, &self.x, &mut normed);
        let mut logits = vec![0.0; tokens * network.config.vocab_size];
        output_logits(&mut self.cores, network, &normed, tokens, &mut logits);
        logits
    }

    /// From tokens to the last layer's stream, in `x`; with `keep` each layer keeps what its gradients need.
    fn forward(&mut self, network: &Network, batch: &Batch, keep: bool) {
        let config = &network.config;
        let (tokens, hidden, wide) = (batch.tokens.len(), config.hidden_size, config.intermediate_size);
        assert!(batch.longest() <= network.longest(), "a document fits the model");
        let heads = network.heads();
        self.turn(network, batch);
        self.x.resize(tokens * hidden, 0.0);
        let embedding = &network.weights.data[network.layout.embed_tokens.clone()];
        for (token, x) in batch.tokens.iter().zip(self.x.chunks_exact_mut(hidden)) {
            x.copy_from_slice(&embedding[*token as usize * hidden..][..hidden]);
            if config.embedding_multiplier != 1.0 {
                x.iter_mut().for_each(|x| *x *= config.embedding_multiplier);
            }
        }
        self.saved.resize_with(if keep { config.num_hidden_layers } else { 1 }.max(self.saved.len()), Saved::default);
        for (layer, place) in network.layout.layers.iter().enumerate() {
            let Self { cores, rooms, x, scaled, .. } = self;
            let saved = &mut self.saved[if keep { layer } else { 0 }];
            saved.fit(network, tokens, keep);
            if keep {
                copy(cores, x, &mut saved.x);
            }
            norm(cores, network, &place.input_norm, x, &mut saved.normed);
            let linear = |group| network.linear(layer, group, self.dropout).0;
            linear(Group::Qkv).forward(cores, &saved.normed, tokens, &mut saved.qkv, false);
            let table = config.uses_rope[layer].then_some(&self.angles[0]);
            finish_qkv(cores, network, layer, (&self.positions, table), saved);
            heads.forward(cores, rooms, &batch.documents, &saved.qkv, &mut saved.weights, &mut saved.mixed);
            add(cores, network, &linear(Group::O), &saved.mixed, (x, scaled));
            if keep {
                copy(cores, x, &mut saved.middle);
            }
            norm(cores, network, &place.feed_forward_norm, x, &mut saved.middle_normed);
            linear(Group::GateUp).forward(cores, &saved.middle_normed, tokens, &mut saved.gate_up, false);
            let (isa, gate_up) = (cores.isa, &saved.gate_up);
            cores.rows(tokens, [(&mut saved.hidden, wide)], |first, [out]| {
                kernels::swiglu(isa, &gate_up[first * 2 * wide..][..2 * out.len()], wide, out);
            });
            add(cores, network, &linear(Group::Down), &saved.hidden, (x, scaled));
        }
    }

    /// Positions and their angles.
    fn turn(&mut self, network: &Network, batch: &Batch) {
        self.positions.clear();
        self.positions.extend(batch.documents.iter().flat_map(|document| 0..document.len()));
        // Networks may change between passes: the table is small and quickly made.
        let [forward, back] = &mut self.angles;
        network.config.rope.frequencies().angles(0, batch.longest(), forward);
        back.clear();
        back.extend(forward.iter().map(|(cos, sin)| (*cos, -sin)));
    }

    /// Final norm, output layer, cross-entropy, for the targets that count. With a gradient, goes back through them: `dx`
    /// becomes the gradient of the stream.
    fn output(&mut self, network: &Network, batch: &Batch, mut back: Option<(f32, &mut [f32])>) -> Vec<f32> {
        let config = &network.config;
        let (hidden, vocabulary) = (config.hidden_size, config.vocab_size);
        let Self { cores, x, dx, logits, .. } = self;
        let isa = cores.isa;
        let rows: Vec<usize> = (0..batch.tokens.len()).filter(|i| batch.weights[*i] != 0.0).collect();
        let mut losses = vec![0.0; batch.tokens.len()];
        if back.is_some() {
            dx.clear();
            dx.resize(x.len(), 0.0);
        }
        let (mut read, mut normed, mut dnormed, mut dread) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for rows in rows.chunks(LOGITS) {
            let count = rows.len();
            read.clear();
            rows.iter().for_each(|row| read.extend_from_slice(&x[row * hidden..][..hidden]));
            normed.resize(count * hidden, 0.0);
            norm(cores, network, &network.layout.norm, &read, &mut normed);
            logits.resize(count * vocabulary, 0.0);
            output_logits(cores, network, &normed, count, logits);
            let mut chunk = vec![0.0; count];
            let factor = back.as_ref().map_or(0.0, |(factor, _)| *factor) / config.logits_scaling;
            cores.rows(count, [(logits, vocabulary), (&mut chunk, 1)], |first, [logits, losses]| {
                for (i, (logits, loss)) in logits.chunks_exact_mut(vocabulary).zip(losses).enumerate() {
                    let row = rows[first + i];
                    let target = batch.targets[row] as usize;
                    *loss = kernels::cross_entropy(isa, logits, target, factor * batch.weights[row]);
                }
            });
            rows.iter().zip(&chunk).for_each(|(row, loss)| losses[*row] = *loss);
            let Some((_, gradient)) = &mut back else { continue };
            dnormed.resize(count * hidden, 0.0);
            let dlogits = View::new(logits, count, vocabulary, vocabulary);
            cores.product(
                dlogits,
                View::new(network.output(), vocabulary, hidden, hidden),
                &mut dnormed,
                hidden,
                false,
            );
            let full = network.adapters.is_none();
            if full {
                let to = &mut gradient[network.output_range()];
                cores.product(dlogits.transposed(), View::new(&normed, count, hidden, hidden), to, hidden, true);
            }
            dread.clear();
            dread.resize(count * hidden, 0.0);
            norm_backward(
                cores,
                network,
                &network.layout.norm,
                (&read, &dnormed, &mut dread),
                full.then_some(gradient),
            );
            for (row, dread) in rows.iter().zip(dread.chunks_exact(hidden)) {
                dx[row * hidden..][..hidden].copy_from_slice(dread);
            }
        }
        losses
    }

    /// From `dx`, the gradient of the last layer's stream, to all gradients.
    fn backward(&mut self, network: &Network, batch: &Batch, gradient: &mut [f32]) {
        let config = &network.config;
        let (tokens, hidden, wide) = (batch.tokens.len(), config.hidden_size, config.intermediate_size);
        let (heads, full) = (network.heads(), network.adapters.is_none());
        let qkv_width = heads.width();
        let Self { cores, rooms, dx, dnormed, dmixed, dqkv, dgate_up, dhidden, scaled, .. } = self;
        dnormed.resize(tokens * hidden, 0.0);
        dmixed.resize(tokens * config.q_width(), 0.0);
        dqkv.resize(tokens * qkv_width, 0.0);
        dgate_up.resize(tokens * 2 * wide, 0.0);
        dhidden.resize(tokens * wide, 0.0);
        for (layer, place) in network.layout.layers.iter().enumerate().rev() {
            let saved = &self.saved[layer];
            let linear = |group| network.linear(layer, group, self.dropout);
            let isa = cores.isa;

            let (down, at) = linear(Group::Down);
            let dy = multiplied(config.residual_multiplier, dx, scaled);
            let to = gradient_of(network, gradient, at);
            down.backward(cores, (&saved.hidden, dy, tokens), Some(dhidden), to);
            cores.rows(tokens, [(dgate_up, 2 * wide)], |first, [out]| {
                let gate_up = &saved.gate_up[first * 2 * wide..][..out.len()];
                kernels::swiglu_backward(isa, gate_up, wide, &dhidden[first * wide..][..out.len() / 2], out);
            });
            let (gate_up, at) = linear(Group::GateUp);
            let to = gradient_of(network, gradient, at);
            gate_up.backward(cores, (&saved.middle_normed, dgate_up, tokens), Some(dnormed), to);
            let total = full.then_some(&mut *gradient);
            norm_backward(cores, network, &place.feed_forward_norm, (&saved.middle, dnormed, dx), total);

            let (o, at) = linear(Group::O);
            let dy = multiplied(config.residual_multiplier, dx, scaled);
            let to = gradient_of(network, gradient, at);
            o.backward(cores, (&saved.mixed, dy, tokens), Some(dmixed), to);
            heads.backward(cores, rooms, &batch.documents, (&saved.qkv, &saved.weights, dmixed), dqkv);
            let table = config.uses_rope[layer].then_some(&self.angles[1]);
            start_dqkv(cores, network, layer, (&self.positions, table), (saved, dqkv));
            let (qkv, at) = linear(Group::Qkv);
            let to = gradient_of(network, gradient, at);
            // Below the first layer there is nothing but the embedding, which adapters leave alone.
            let below = full || layer > 0;
            qkv.backward(cores, (&saved.normed, dqkv, tokens), below.then_some(dnormed), to);
            if below {
                let total = full.then_some(&mut *gradient);
                norm_backward(cores, network, &place.input_norm, (&saved.x, dnormed, dx), total);
            }
        }
        if full {
            let embedding = &mut gradient[network.layout.embed_tokens.clone()];
            for (token, dx) in batch.tokens.iter().zip(dx.chunks_exact(hidden)) {
                let row = &mut embedding[*token as usize * hidden..][..hidden];
                kernels::axpby(cores.isa, config.embedding_multiplier, dx, 1.0, row);
            }
        }
    }
}

impl Saved {
    fn fit(&mut self, network: &Network, tokens: usize, keep: bool) {
        let config = &network.config;
        let fit = |buffer: &mut Vec<f32>, width: usize| buffer.resize(tokens * width, 0.0);
        fit(&mut self.normed, config.hidden_size);
        fit(&mut self.qkv, config.q_width() + 2 * config.kv_width());
        fit(&mut self.mixed, config.q_width());
        fit(&mut self.middle_normed, config.hidden_size);
        fit(&mut self.gate_up, 2 * config.intermediate_size);
        fit(&mut self.hidden, config.intermediate_size);
        if keep {
            fit(&mut self.x, config.hidden_size);
            fit(&mut self.middle, config.hidden_size);
        }
    }
}

fn copy(cores: &mut Cores, from: &[f32], to: &mut [f32]) {
    cores.rows(from.len(), [(to, 1)], |first, [to]| to.copy_from_slice(&from[first..][..to.len()]));
}

/// RMSNorm with the weights at `at`.
fn norm(cores: &mut Cores, network: &Network, at: &Range<usize>, x: &[f32], out: &mut [f32]) {
    let (isa, weight, eps) = (cores.isa, &network.weights.data[at.clone()], network.config.rms_norm_eps);
    cores.rows(x.len() / weight.len(), [(out, weight.len())], |first, [out]| {
        kernels::rms_norm(isa, &x[first * weight.len()..][..out.len()], weight, eps, out);
    });
}

/// Adds the norm's gradient to `dx`, and to that of its weights where all are trained.
fn norm_backward(
    cores: &mut Cores,
    network: &Network,
    at: &Range<usize>,
    (x, dy, dx): (&[f32], &[f32], &mut [f32]),
    gradient: Option<&mut [f32]>,
) {
    let (isa, weight, eps) = (cores.isa, &network.weights.data[at.clone()], network.config.rms_norm_eps);
    let width = weight.len();
    let total = gradient.map(|gradient| &mut gradient[at.clone()]);
    cores.sum_rows(x.len() / width, (dx, width), width, total, |first, dx, dweight| {
        let here = first * width..first * width + dx.len();
        kernels::rms_norm_backward(isa, &x[here.clone()], weight, eps, &dy[here], dx, dweight);
    });
}

/// `x += multiplier · W read`.
fn add(
    cores: &mut Cores,
    network: &Network,
    linear: &Linear<'_>,
    read: &[f32],
    (x, room): (&mut [f32], &mut Vec<f32>),
) {
    let (multiplier, tokens) = (network.config.residual_multiplier, read.len() / linear.columns);
    if multiplier == 1.0 {
        linear.forward(cores, read, tokens, x, true);
    } else {
        room.resize(x.len(), 0.0);
        linear.forward(cores, read, tokens, room, false);
        kernels::axpby(cores.isa, multiplier, room, 1.0, x);
    }
}

/// `dx`, multiplied if there is anything to multiply with.
fn multiplied<'a>(by: f32, dx: &'a [f32], room: &'a mut Vec<f32>) -> &'a [f32] {
    if by == 1.0 {
        return dx;
    }
    room.clear();
    room.extend(dx.iter().map(|x| x * by));
    room
}

fn output_logits(cores: &mut Cores, network: &Network, normed: &[f32], rows: usize, logits: &mut [f32]) {
    let (hidden, vocabulary) = (network.config.hidden_size, network.config.vocab_size);
    let output = View::new(network.output(), vocabulary, hidden, hidden).transposed();
    cores.product(View::new(normed, rows, hidden, hidden), output, logits, vocabulary, false);
    if network.config.logits_scaling != 1.0 {
        logits.iter_mut().for_each(|x| *x /= network.config.logits_scaling);
    }
}

/// Positions, and each one's cosines and sines if the layer turns.
type Turns<'a> = (&'a [usize], Option<&'a Vec<(f32, f32)>>);

/// Biases, norms of queries and keys, turning: from products to what attention reads.
fn finish_qkv(cores: &mut Cores, network: &Network, layer: usize, (positions, table): Turns<'_>, saved: &mut Saved) {
    let (config, place, isa) = (&network.config, &network.layout.layers[layer], cores.isa);
    let (width, q_width, qk) = (network.heads().width(), config.q_width(), config.q_width() + config.kv_width());
    let (data, half) = (&network.weights.data, config.rope.dims / 2);
    let tokens = positions.len();
    if let Some(at) = &place.qkv_bias {
        cores.rows(tokens, [(&mut saved.qkv, width)], |_, [qkv]| {
            qkv.chunks_exact_mut(width).for_each(|row| kernels::add(isa, row, &data[at.clone()]));
        });
    }
    if let Some([q_norm, k_norm]) = &place.qk_norm {
        saved.plain_qk.clear();
        saved.qkv.chunks_exact(width).for_each(|row| saved.plain_qk.extend_from_slice(&row[..qk]));
        cores.rows(tokens, [(&mut saved.qkv, width)], |_, [qkv]| {
            for row in qkv.chunks_exact_mut(width) {
                let (q, k) = row[..qk].split_at_mut(q_width);
                kernels::rms_norm_in_place(isa, q, &data[q_norm.clone()], config.rms_norm_eps);
                kernels::rms_norm_in_place(isa, k, &data[k_norm.clone()], config.rms_norm_eps);
            }
        });
    }
    if let Some(table) = table {
        cores.rows(tokens, [(&mut saved.qkv, width)], |first, [qkv]| {
            for (row, position) in qkv.chunks_exact_mut(width).zip(&positions[first..]) {
                kernels::rope_halves(isa, &mut row[..qk], config.head_dim, &table[position * half..][..half]);
            }
        });
    }
}

/// The way back through [`finish_qkv`], in place.
fn start_dqkv(
    cores: &mut Cores,
    network: &Network,
    layer: usize,
    (positions, table): Turns<'_>,
    (saved, dqkv): (&Saved, &mut [f32]),
) {
    let (config, place, isa) = (&network.config, &network.layout.layers[layer], cores.isa);
    let (width, q_width, qk) = (network.heads().width(), config.q_width(), config.q_width() + config.kv_width());
    let (data, half) = (&network.weights.data, config.rope.dims / 2);
    cores.rows(positions.len(), [(dqkv, width)], |first, [dqkv]| {
        let (mut dplain, mut dweight) = (vec![0.0; qk], vec![0.0; config.head_dim]);
        for (i, row) in dqkv.chunks_exact_mut(width).enumerate() {
            let row = &mut row[..qk];
            if let Some(table) = table {
                // Turning back is the gradient of turning, with the same magnitude.
                kernels::rope_halves(isa, row, config.head_dim, &table[positions[first + i] * half..][..half]);
            }
            if let Some([q_norm, k_norm]) = &place.qk_norm {
                dplain.fill(0.0);
                let plain = &saved.plain_qk[(first + i) * qk..][..qk];
                for (norm, here) in [(q_norm, 0..q_width), (k_norm, q_width..qk)] {
                    let (x, dy, dx) = (&plain[here.clone()], &row[here.clone()], &mut dplain[here]);
                    let weight = &data[norm.clone()];
                    kernels::rms_norm_backward(isa, x, weight, config.rms_norm_eps, dy, dx, &mut dweight);
                }
                row.copy_from_slice(&dplain);
            }
        }
    });
}

#[cfg(test)]
impl Pass {
    /// Attention weights of a layer as the last gradient's pass had them: by document and head, each `len × len`.
    pub(super) fn attention(&self, layer: usize) -> &[f32] {
        &self.saved[layer].weights
    }
}
