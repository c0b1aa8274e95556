//! Looking inside a forward pass, and reaching into it.

/// What can be seen, where it is computed.
#[derive(Clone, Copy, Debug)]
pub enum Seen<'a> {
    /// The residual stream before `layer` (`layer = num_hidden_layers`: after the last, before the final norm).
    HiddenState {
        /// The layer it goes into.
        layer: usize,
        /// The token's position.
        position: usize,
        /// `hidden_size` numbers.
        x: &'a [f32],
    },
    /// Attention of a head from `position` to each position up to itself; sums to 1.
    Attention {
        /// The layer.
        layer: usize,
        /// The query head.
        head: usize,
        /// The looking token's position.
        position: usize,
        /// One weight a position, `position + 1` of them.
        weights: &'a [f32],
    },
    /// What the feed-forward part computes inside, after its bend and before its way back; not for experts.
    Mlp {
        /// The layer.
        layer: usize,
        /// The token's position.
        position: usize,
        /// `intermediate_size` numbers.
        activations: &'a [f32],
    },
}

/// What can be changed, where it is about to be used.
#[derive(Debug)]
pub enum Edit<'a> {
    /// The residual stream before a layer.
    HiddenState {
        /// The layer it goes into.
        layer: usize,
        /// The token's position.
        position: usize,
        /// `hidden_size` numbers.
        x: &'a mut [f32],
    },
    /// What the heads found, before it is mixed: `num_attention_heads × head_dim` numbers.
    Heads {
        /// The layer.
        layer: usize,
        /// The token's position.
        position: usize,
        /// One head after the other.
        heads: &'a mut [f32],
    },
    /// What attention is about to add to the stream.
    Attention {
        /// The layer.
        layer: usize,
        /// The token's position.
        position: usize,
        /// `hidden_size` numbers.
        x: &'a mut [f32],
    },
    /// What feed-forward is about to add to the stream.
    Mlp {
        /// The layer.
        layer: usize,
        /// The token's position.
        position: usize,
        /// `hidden_size` numbers.
        x: &'a mut [f32],
    },
}

/// Looks into a forward pass. What a probe does not want is compiled away.
pub trait Probe {
    /// Whether it looks.
    const LOOKS: bool;
    /// Whether it wants attention weights; they are kept only then.
    const ATTENTIONS: bool;
    /// Whether it changes anything.
    const EDITS: bool;

    /// Something was computed.
    fn see(&mut self, seen: Seen<'_>);

    /// Something is about to be used.
    fn edit(&mut self, edit: Edit<'_>);
}

/// Looks at nothing.
#[derive(Debug)]
pub struct Blind;

impl Probe for Blind {
    const LOOKS: bool = false;
    const ATTENTIONS: bool = false;
    const EDITS: bool = false;
    fn see(&mut self, _: Seen<'_>) {}
    fn edit(&mut self, _: Edit<'_>) {}
}

/// Keeps everything; fields as Hugging Face's `output_attentions` and `output_hidden_states`.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Trace {
    /// `(layer, position, residual stream)` in order of computation.
    pub hidden_states: Vec<(usize, usize, Vec<f32>)>,
    /// `(layer, head, position, weights)` in order of computation.
    pub attentions: Vec<(usize, usize, usize, Vec<f32>)>,
    /// `(layer, position, activations)` in order of computation.
    pub mlps: Vec<(usize, usize, Vec<f32>)>,
}

impl Probe for Trace {
    const LOOKS: bool = true;
    const ATTENTIONS: bool = true;
    const EDITS: bool = false;
    fn see(&mut self, seen: Seen<'_>) {
        match seen {
            Seen::HiddenState { layer, position, x } => self.hidden_states.push((layer, position, x.to_vec())),
            Seen::Attention { layer, head, position, weights } => {
                self.attentions.push((layer, head, position, weights.to_vec()));
            }
            Seen::Mlp { layer, position, activations } => self.mlps.push((layer, position, activations.to_vec())),
        }
    }
    fn edit(&mut self, _: Edit<'_>) {}
}

/// A vector added to the residual stream before a layer.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Steering {
    /// The layer it goes into.
    pub layer: usize,
    /// Multiplies the vector.
    pub strength: f32,
    /// `hidden_size` numbers.
    pub vector: Vec<f32>,
}

/// Changes to a model while it runs: parts switched off, vectors added. As data, so that a lab can ask for them.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Interventions {
    /// Heads whose findings are replaced by zeros: `(layer, head)`.
    pub ablated_heads: Vec<(usize, usize)>,
    /// Layers whose attention adds nothing.
    pub ablated_attentions: Vec<usize>,
    /// Layers whose feed-forward part adds nothing.
    pub ablated_mlps: Vec<usize>,
    /// Vectors that are added.
    pub steering: Vec<Steering>,
}

impl Interventions {
    /// These and others together.
    #[must_use]
    pub fn and(mut self, more: Self) -> Self {
        self.ablated_heads.extend(more.ablated_heads);
        self.ablated_attentions.extend(more.ablated_attentions);
        self.ablated_mlps.extend(more.ablated_mlps);
        self.steering.extend(more.steering);
        self
    }
}

/// Carries out [`Interventions`] on heads of a width.
#[derive(Debug)]
pub struct Intervene<'a> {
    /// What is done.
    pub what: &'a Interventions,
    /// Width of a head.
    pub head_dim: usize,
}

impl Probe for Intervene<'_> {
    const LOOKS: bool = false;
    const ATTENTIONS: bool = false;
    const EDITS: bool = true;
    fn see(&mut self, _: Seen<'_>) {}
    fn edit(&mut self, edit: Edit<'_>) {
        match edit {
            Edit::HiddenState { layer, x, .. } => {
                for steering in self.what.steering.iter().filter(|s| s.layer == layer) {
                    for (x, v) in x.iter_mut().zip(&steering.vector) {
                        *x = steering.strength.mul_add(*v, *x);
                    }
                }
            }
            Edit::Heads { layer, heads, .. } => {
                for (_, head) in self.what.ablated_heads.iter().filter(|(l, _)| *l == layer) {
                    heads[head * self.head_dim..(head + 1) * self.head_dim].fill(0.0);
                }
            }
            Edit::Attention { layer, x, .. } if self.what.ablated_attentions.contains(&layer) => x.fill(0.0),
            Edit::Mlp { layer, x, .. } if self.what.ablated_mlps.contains(&layer) => x.fill(0.0),
            Edit::Attention { .. } | Edit::Mlp { .. } => {}
        }
    }
}

/// Changes with the first, then looks with the second.
#[derive(Debug)]
pub struct Both<'a, P>(pub Intervene<'a>, pub &'a mut P);

impl<P: Probe> Probe for Both<'_, P> {
    const LOOKS: bool = P::LOOKS;
    const ATTENTIONS: bool = P::ATTENTIONS;
    const EDITS: bool = true;
    fn see(&mut self, seen: Seen<'_>) {
        self.1.see(seen);
    }
    fn edit(&mut self, edit: Edit<'_>) {
        self.0.edit(edit);
    }
}
