//! Looking inside a forward pass.

/// What a forward pass offers to look at. With `Blind` the compiler removes the looking.
pub trait Probe {
    /// Whether attention weights are wanted; they are kept only then.
    const ATTENTIONS: bool;
    /// Whether hidden states are wanted.
    const HIDDEN_STATES: bool;

    /// The residual stream at `position` before layer `layer` (`layer = num_hidden_layers`: after the last, before
    /// the final norm), `hidden_size` long.
    fn hidden_state(&mut self, layer: usize, position: usize, x: &[f32]);

    /// Attention of `head` in `layer` from `position` to each position up to itself; sums to 1.
    fn attention(&mut self, layer: usize, head: usize, position: usize, weights: &[f32]);
}

/// Looks at nothing.
#[derive(Debug)]
pub struct Blind;

impl Probe for Blind {
    const ATTENTIONS: bool = false;
    const HIDDEN_STATES: bool = false;
    fn hidden_state(&mut self, _: usize, _: usize, _: &[f32]) {}
    fn attention(&mut self, _: usize, _: usize, _: usize, _: &[f32]) {}
}

/// Keeps everything; fields as Hugging Face's `output_attentions` and `output_hidden_states`.
#[derive(Debug, Default)]
pub struct Trace {
    /// `(layer, position, residual stream)` in order of computation.
    pub hidden_states: Vec<(usize, usize, Vec<f32>)>,
    /// `(layer, head, position, weights)` in order of computation.
    pub attentions: Vec<(usize, usize, usize, Vec<f32>)>,
}

impl Probe for Trace {
    const ATTENTIONS: bool = true;
    const HIDDEN_STATES: bool = true;
    fn hidden_state(&mut self, layer: usize, position: usize, x: &[f32]) {
        self.hidden_states.push((layer, position, x.to_vec()));
    }
    fn attention(&mut self, layer: usize, head: usize, position: usize, weights: &[f32]) {
        self.attentions.push((layer, head, position, weights.to_vec()));
    }
}
