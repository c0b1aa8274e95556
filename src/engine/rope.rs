//! Rotary position embedding: which pair of numbers turns, and how fast.
//!
//! Pair `j` of a head turns by `position · frequency[j]`. Long-context models bend the frequencies; every way of
//! bending is here, computed once at load in f64 with a portable library, so that all machines turn alike.

/// Which two numbers of a head turn together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RopeStyle {
    /// `2j` and `2j + 1`: GGUF's llama, granite and smollm3, whose rows are reordered for it.
    Interleaved,
    /// `j` and `j + dims / 2`: every Hugging Face file, and GGUF's other architectures ("NEOX").
    Halves,
}

/// How the frequencies are bent for long texts; names as in `rope_scaling` of a `config.json`.
#[derive(Clone, Debug, PartialEq)]
pub enum RopeScaling {
    /// Not at all.
    Default,
    /// Positions are divided by `factor`.
    Linear {
        /// At least 1 stretches.
        factor: f64,
    },
    /// Llama 3.1: slow frequencies are divided by `factor`, fast ones stay, those between are blended.
    Llama3 {
        /// Divisor of the slow ones.
        factor: f64,
        /// Turns in the original context below which a frequency is slow.
        low_freq_factor: f64,
        /// Turns above which it is fast.
        high_freq_factor: f64,
        /// Context length before stretching.
        original: f64,
    },
    /// YaRN (Peng et al., 2023): a ramp over the pairs between stretched and unstretched, and a larger length.
    Yarn {
        /// Divisor of the slow ones.
        factor: f64,
        /// Context length before stretching.
        original: f64,
        /// Turns at which the ramp begins.
        beta_fast: f64,
        /// Turns at which it ends.
        beta_slow: f64,
        /// Multiplies what is turned; `None`: `0.1 ln(factor) + 1`.
        attention_factor: Option<f64>,
    },
    /// A divisor for each pair, from the file (Llama 3.1's `rope_freqs.weight`, Phi 3's LongRoPE).
    Factors {
        /// One a pair.
        factors: Vec<f32>,
        /// Multiplies what is turned.
        attention_factor: f64,
    },
}

/// The rotary embedding of a kind of layer.
#[derive(Clone, Debug, PartialEq)]
pub struct Rope {
    /// Which numbers turn together.
    pub style: RopeStyle,
    /// Base of the frequencies (`rope_theta`).
    pub theta: f64,
    /// How many of a head's numbers turn; the rest stay.
    pub dims: usize,
    /// How frequencies are bent.
    pub scaling: RopeScaling,
}

/// Frequencies ready to use.
#[derive(Clone, Debug, PartialEq)]
pub struct Frequencies {
    /// Radians a position, `dims / 2` of them.
    pub inverse: Vec<f64>,
    /// Multiplies cosines and sines.
    pub magnitude: f64,
}

impl Rope {
    /// The frequencies after bending.
    pub fn frequencies(&self) -> Frequencies {
        let half = self.dims / 2;
        let plain: Vec<f64> = (0..half).map(|j| libm::pow(self.theta, -2.0 * j as f64 / self.dims as f64)).collect();
        let tau = std::f64::consts::TAU;
        let (inverse, magnitude) = match &self.scaling {
            RopeScaling::Default => (plain, 1.0),
            RopeScaling::Linear { factor } => (plain.iter().map(|f| f / factor).collect(), 1.0),
            RopeScaling::Llama3 { factor, low_freq_factor: low, high_freq_factor: high, original } => {
                let bent = plain.iter().map(|f| {
                    let turns = original * f / tau;
                    let smooth = ((turns - low) / (high - low)).clamp(0.0, 1.0);
                    f * (smooth + (1.0 - smooth) / factor)
                });
                (bent.collect(), 1.0)
            }
            RopeScaling::Yarn { factor, original, beta_fast, beta_slow, attention_factor } => {
                let pair =
                    |turns: f64| self.dims as f64 * libm::log(original / (turns * tau)) / (2.0 * libm::log(self.theta));
                let from = libm::floor(pair(*beta_fast)).max(0.0);
                let to = libm::ceil(pair(*beta_slow)).min(self.dims as f64 - 1.0);
                let bent = plain.iter().enumerate().map(|(j, f)| {
                    let ramp = ((j as f64 - from) / (to - from).max(0.001)).clamp(0.0, 1.0);
                    f * (1.0 - ramp) + f / factor * ramp
                });
                (bent.collect(), attention_factor.unwrap_or(0.1 * libm::log(*factor) + 1.0))
            }
            RopeScaling::Factors { factors, attention_factor } => {
                (plain.iter().zip(factors).map(|(f, by)| f / f64::from(*by)).collect(), *attention_factor)
            }
        };
        Frequencies { inverse, magnitude }
    }

    /// Whether every number is usable.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub fn check(&self, head_dim: usize) -> Result<(), String> {
        let good = |x: f64| x.is_finite() && x > 0.0;
        if self.dims == 0 || !self.dims.is_multiple_of(2) || self.dims > head_dim {
            return Err(format!("RoPE turns {} of {head_dim} numbers of a head", self.dims));
        }
        let numbers: Vec<f64> = match &self.scaling {
            RopeScaling::Default => vec![],
            RopeScaling::Linear { factor } => vec![*factor],
            RopeScaling::Llama3 { factor, low_freq_factor, high_freq_factor, original } => {
                vec![*factor, *low_freq_factor, *original, high_freq_factor - low_freq_factor]
            }
            RopeScaling::Yarn { factor, original, beta_fast, beta_slow, attention_factor } => {
                vec![*factor, *original, *beta_fast, *beta_slow, attention_factor.unwrap_or(1.0)]
            }
            RopeScaling::Factors { factors, attention_factor } => {
                if factors.len() != self.dims / 2 {
                    return Err(format!("{} RoPE factors for {} pairs", factors.len(), self.dims / 2));
                }
                factors.iter().map(|f| f64::from(*f)).chain([*attention_factor]).collect()
            }
        };
        if !good(self.theta) || self.theta <= 1.0 || !numbers.into_iter().all(good) {
            return Err("a RoPE constant is out of range".into());
        }
        Ok(())
    }
}

impl Frequencies {
    /// Cosines and sines of positions `past..past + count`, `dims / 2` pairs each, rounded once.
    pub fn angles(&self, past: usize, count: usize, out: &mut Vec<(f32, f32)>) {
        out.clear();
        for position in past..past + count {
            out.extend(self.inverse.iter().map(|f| {
                let angle = position as f64 * f;
                ((libm::cos(angle) * self.magnitude) as f32, (libm::sin(angle) * self.magnitude) as f32)
            }));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rope(scaling: RopeScaling) -> Rope {
        Rope { style: RopeStyle::Halves, theta: 500_000.0, dims: 128, scaling }
    }

    /// Facts: `LLAMA_3_1` frequencies are those that transformers 4.43's `_compute_llama3_parameters` describes: below
    /// a wavelength of 2,048 unchanged, above 8,192 divided by 8.
    #[test]
    fn llama_3_1_stretches_slow_frequencies_only() {
        let plain = rope(RopeScaling::Default).frequencies().inverse;
        let scaling =
            RopeScaling::Llama3 { factor: 8.0, low_freq_factor: 1.0, high_freq_factor: 4.0, original: 8192.0 };
        let bent = rope(scaling).frequencies().inverse;
        for (plain, bent) in plain.iter().zip(&bent) {
            let wavelength = std::f64::consts::TAU / plain;
            let ratio = plain / bent;
            match wavelength {
                w if w < 2048.0 => assert!((ratio - 1.0).abs() < 1e-12, "{w}: {ratio}"),
                w if w > 8192.0 => assert!((ratio - 8.0).abs() < 1e-12, "{w}: {ratio}"),
                w => assert!((1.0..8.0).contains(&ratio), "{w}: {ratio}"),
            }
        }
    }

    #[test]
    fn yarn_leaves_the_fastest_and_stretches_the_slowest() {
        let yarn = RopeScaling::Yarn {
            factor: 4.0,
            original: 32_768.0,
            beta_fast: 32.0,
            beta_slow: 1.0,
            attention_factor: None,
        };
        let (plain, bent) = (rope(RopeScaling::Default).frequencies(), rope(yarn).frequencies());
        assert_eq!(plain.inverse[0], bent.inverse[0]);
        assert!((plain.inverse[63] / bent.inverse[63] - 4.0).abs() < 1e-9);
        assert!((bent.magnitude - (0.1 * 4.0_f64.ln() + 1.0)).abs() < 1e-12);
    }

    #[test]
    fn impossible_constants_are_refused() {
        for scaling in [
            RopeScaling::Linear { factor: 0.0 },
            RopeScaling::Linear { factor: f64::NAN },
            RopeScaling::Factors { factors: vec![1.0; 63], attention_factor: 1.0 },
            RopeScaling::Factors { factors: vec![0.0; 64], attention_factor: 1.0 },
        ] {
            assert!(rope(scaling.clone()).check(128).is_err(), "{scaling:?}");
        }
        assert!(Rope { dims: 130, ..rope(RopeScaling::Default) }.check(128).is_err());
        assert!(rope(RopeScaling::Default).check(128).is_ok());
    }
}
