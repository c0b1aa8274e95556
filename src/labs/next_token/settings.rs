//! The settings of the lab `next-token`, and moving them a step.

use serde::{Deserialize, Serialize};

use super::Params;
use crate::engine::SamplingParams;

pub(super) const TEMPERATURES: std::ops::RangeInclusive<i32> = 0..=40;
pub(super) const TOP_KS: &[usize] = &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 15, 20, 30, 40, 50, 100, 200, 500, 1000, 5000];

/// Settings in whole steps, so that they compare and print exactly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct Settings {
    /// Twentieths: 20 is temperature 1.
    pub temperature: i32,
    pub top_k: Option<usize>,
    /// Hundredths, 1 to 99; `None` is off.
    pub top_p: Option<u32>,
    /// Hundredths, 1 to 99; `None` is off.
    pub min_p: Option<u32>,
}

impl Settings {
    pub fn of(params: &Params) -> Self {
        let hundredths =
            |share: Option<f32>| share.map(|s| (f64::from(s) * 100.0).round() as u32).filter(|s| (1..100).contains(s));
        Self {
            temperature: ((f64::from(params.temperature) * 20.0).round() as i32).clamp(0, *TEMPERATURES.end()),
            top_k: params.top_k.filter(|k| *k > 0),
            top_p: hundredths(params.top_p),
            min_p: hundredths(params.min_p),
        }
    }

    pub fn sampling(self) -> SamplingParams {
        SamplingParams {
            temperature: self.temperature as f32 / 20.0,
            top_k: self.top_k,
            top_p: self.top_p.map(|p| p as f32 / 100.0),
            min_p: self.min_p.map(|p| p as f32 / 100.0),
            ..SamplingParams::default()
        }
    }

    /// Moves one setting a step up or down.
    pub fn turn(&mut self, slider: Slider, up: bool) {
        let hundredths = |now: Option<u32>, fine_below: u32| -> Option<u32> {
            let now = now.unwrap_or(if fine_below > 0 { 0 } else { 100 });
            let step = if now < fine_below || now > 95 || (up && now == 95) { 1 } else { 5 };
            let next = if up { now + step } else { now.saturating_sub(step) };
            Some(next)
        };
        match slider {
            Slider::Temperature => {
                let next = self.temperature + if up { 1 } else { -1 };
                self.temperature = next.clamp(*TEMPERATURES.start(), *TEMPERATURES.end());
            }
            Slider::TopK => {
                self.top_k = match (self.top_k, up) {
                    (None, true) => None,
                    (None, false) => TOP_KS.last().copied(),
                    (Some(k), true) => TOP_KS.iter().copied().find(|step| *step > k),
                    (Some(k), false) => Some(TOP_KS.iter().rev().copied().find(|step| *step < k).unwrap_or(1)),
                }
            }
            // 1.0 keeps everything and is shown as off; the smallest is 0.01.
            Slider::TopP => {
                self.top_p = match (self.top_p, up) {
                    (None, true) => None,
                    (now, _) => hundredths(now, 0).map(|p| p.max(1)).filter(|p| *p < 100),
                }
            }
            // 0 keeps everything and is shown as off.
            Slider::MinP => {
                self.min_p = match (self.min_p, up) {
                    (None, false) => None,
                    (now, _) => hundredths(now, 10).map(|p| p.min(99)).filter(|p| *p > 0),
                }
            }
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Slider {
    Temperature,
    TopK,
    TopP,
    MinP,
}

impl Slider {
    pub const ALL: [Slider; 4] = [Slider::Temperature, Slider::TopK, Slider::TopP, Slider::MinP];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_move_through_off_and_back() {
        let mut settings = Settings { temperature: 20, top_k: None, top_p: None, min_p: None };
        settings.turn(Slider::TopP, true);
        assert_eq!(settings.top_p, None);
        let mut seen = vec![];
        for _ in 0..7 {
            settings.turn(Slider::TopP, false);
            seen.extend(settings.top_p);
        }
        assert_eq!(seen, [99, 98, 97, 96, 95, 90, 85]);
        for _ in 0..7 {
            settings.turn(Slider::TopP, true);
        }
        assert_eq!(settings.top_p, None);
        settings.turn(Slider::MinP, true);
        assert_eq!(settings.min_p, Some(1));
        settings.turn(Slider::MinP, false);
        assert_eq!(settings.min_p, None);
        settings.turn(Slider::TopK, false);
        assert_eq!(settings.top_k, Some(5000));
        settings.turn(Slider::TopK, true);
        assert_eq!(settings.top_k, None);
        for _ in 0..30 {
            settings.turn(Slider::TopK, false);
            settings.turn(Slider::TopP, false);
            settings.turn(Slider::Temperature, false);
            settings.turn(Slider::MinP, true);
        }
        assert_eq!((settings.top_k, settings.top_p, settings.temperature), (Some(1), Some(1), 0));
    }
}
