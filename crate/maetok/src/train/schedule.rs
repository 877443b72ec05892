//! Learning rate over a run: linear warm-up, then half a cosine down to a floor.
//!
//! Source: the cosine schedule of `timm` 1.0.12 as MAETok's training code calls it (no warm-up prefix: the
//! cosine counts from update 0, so the rate drops a little when the warm-up ends).
//!
//! Differs from the official code: a run may be bounded by wall time. Its cosine then runs over the part
//! of that time which is used up, so that the rate reaches its floor when the time ends, whatever else
//! slows the machine down.

use serde::{Deserialize, Serialize};

use super::checks::check_positive;
use crate::{Error, Result};

/// Warm-up and cosine decay.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Schedule {
    /// Highest learning rate.
    pub peak: f64,
    /// Learning rate at the end.
    pub floor: f64,
    /// Learning rate before the first update.
    pub start: f64,
    /// Number of warm-up updates.
    pub warmup: u64,
}

impl Schedule {
    /// Checks the numbers.
    ///
    /// # Errors
    /// [`Error::Setting`] for one that makes no sense.
    pub fn validate(&self) -> Result<()> {
        check_positive(&[("lr", self.peak)])?;
        for (name, rate) in [("schedule.floor", self.floor), ("schedule.start", self.start)] {
            if !(0.0..=self.peak).contains(&rate) {
                return Err(Error::setting(name, rate, format!("from 0 to the highest learning rate, {}", self.peak)));
            }
        }
        Ok(())
    }

    /// Rate for update `step` (0-based) of `total`.
    pub fn at_step(&self, step: u64, total: u64) -> f64 {
        self.at(step, step as f64 / total.max(1) as f64)
    }

    /// Rate for update `step` when the fraction `progress` (0 to 1) of the run is over.
    pub fn at(&self, step: u64, progress: f64) -> f64 {
        if step < self.warmup {
            return self.start + step as f64 * (self.peak - self.start) / self.warmup as f64;
        }
        let cosine = (std::f64::consts::PI * progress.clamp(0.0, 1.0)).cos();
        self.floor + (self.peak - self.floor) * (1.0 + cosine) / 2.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_rises_then_falls_to_its_floor_and_stays_there() {
        let schedule = Schedule { peak: 1e-3, floor: 1e-4, start: 1e-5, warmup: 10 };
        assert_eq!(schedule.at_step(0, 100), 1e-5);
        assert!((1..10).all(|s| schedule.at_step(s, 100) > schedule.at_step(s - 1, 100)));
        assert!((11..100).all(|s| schedule.at_step(s, 100) < schedule.at_step(s - 1, 100)));
        for step in [100, 101, 5000] {
            assert!((schedule.at_step(step, 100) - 1e-4).abs() < 1e-12);
        }
    }

    #[test]
    fn rates_that_make_no_sense_are_refused_by_name() {
        let schedule = Schedule { peak: 1e-3, floor: 1e-4, start: 1e-5, warmup: 10 };
        assert!(schedule.validate().is_ok());
        for (schedule, name) in [
            (Schedule { peak: f64::INFINITY, ..schedule }, "lr"),
            (Schedule { floor: -1.0, ..schedule }, "schedule.floor"),
            (Schedule { floor: 2e-3, ..schedule }, "schedule.floor"),
            (Schedule { start: f64::NAN, ..schedule }, "schedule.start"),
            (Schedule { start: 2e-3, ..schedule }, "schedule.start"),
        ] {
            let refused = schedule.validate().unwrap_err();
            assert!(matches!(refused, Error::Setting { name: n, .. } if n == name), "{refused}");
        }
    }

    #[test]
    fn progress_by_time_and_by_steps_agree() {
        let schedule = Schedule { peak: 1e-3, floor: 1e-4, start: 1e-5, warmup: 0 };
        assert_eq!(schedule.at(40, 0.4), schedule.at_step(40, 100));
    }
}
