//! How the learning rate goes over a run.

use serde::{Deserialize, Serialize};

use super::super::EngineError;

/// Warm-up, then constant, then down. All are factors of the optimiser's own learning rates.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// Steps over which it rises from nothing.
    pub warmup_steps: usize,
    /// Steps of the whole run.
    pub max_steps: usize,
    /// How it goes after the warm-up.
    pub decay: Decay,
}

/// How the learning rate falls.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Decay {
    /// Not at all.
    Constant,
    /// Constant, then straight down over the last `share` of the steps, to `floor` (of its height).
    Linear {
        /// Of `max_steps`.
        share: f32,
        /// What is left at the end.
        floor: f32,
    },
    /// Half a cosine from the warm-up to the end, down to `floor` (Loshchilov and Hutter, 2017).
    Cosine {
        /// What is left at the end.
        floor: f32,
    },
}

impl Schedule {
    /// The factor for a step, counted from 0.
    pub fn factor(&self, step: usize) -> f32 {
        let warm = if step < self.warmup_steps { (step + 1) as f64 / self.warmup_steps as f64 } else { 1.0 };
        let (step, last) = (step as f64, self.max_steps.saturating_sub(1) as f64);
        let fall = |done: f64, floor: f32| 1.0 - done.clamp(0.0, 1.0) * (1.0 - f64::from(floor));
        let down = match self.decay {
            Decay::Constant => 1.0,
            Decay::Linear { share, floor } => {
                let from = last * (1.0 - f64::from(share));
                fall((step - from) / (last - from).max(1.0), floor)
            }
            Decay::Cosine { floor } => {
                let from = self.warmup_steps as f64;
                let done = ((step - from) / (last - from).max(1.0)).clamp(0.0, 1.0);
                fall((1.0 - libm::cos(std::f64::consts::PI * done)) / 2.0, floor)
            }
        };
        (warm * down) as f32
    }

    /// Whether the numbers are in their ranges.
    ///
    /// # Errors
    /// [`EngineError::BadSetting`] with the number and its range.
    pub fn check(&self) -> Result<(), EngineError> {
        let (share, floor) = match self.decay {
            Decay::Constant => (0.0, 0.0),
            Decay::Linear { share, floor } => (share, floor),
            Decay::Cosine { floor } => (0.0, floor),
        };
        if [share, floor].iter().all(|x| (0.0..=1.0).contains(x)) {
            return Ok(());
        }
        let what = format!("a decay over {share} of the steps down to {floor}; both are shares from 0 to 1");
        Err(EngineError::BadSetting { what })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn factors(decay: Decay) -> Vec<f32> {
        let schedule = Schedule { warmup_steps: 10, max_steps: 101, decay };
        (0..101).map(|step| schedule.factor(step)).collect()
    }

    #[test]
    fn it_rises_stays_and_falls_to_its_floor() {
        let linear = factors(Decay::Linear { share: 0.5, floor: 0.02 });
        assert!((linear[0] - 0.1).abs() < 1e-6 && linear[9] == 1.0 && linear[50] == 1.0);
        assert!((linear[75] - 0.51).abs() < 1e-6 && (linear[100] - 0.02).abs() < 1e-6);
        let cosine = factors(Decay::Cosine { floor: 0.1 });
        assert!(cosine[10] == 1.0 && (cosine[55] - 0.55).abs() < 1e-6 && (cosine[100] - 0.1).abs() < 1e-6);
        assert!(cosine[10..].is_sorted_by(|a, b| a >= b));
        assert_eq!(factors(Decay::Constant)[100], 1.0);
    }
}
