//! Interpolants: how noise and data mix at time `t`, 0 data, 1 noise.
//!
//! `x_t = alpha(t) x_0 + sigma(t) eps`; the model predicts `v = alpha'(t) x_0 + sigma'(t) eps`.
//!
//! Source: Ma et al. 2024 (SiT), arXiv 2401.08740; official `path.py`; specification 4.3.

use std::f64::consts::FRAC_PI_2;

use serde::{Deserialize, Serialize};

/// Which interpolant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PathType {
    /// `alpha = 1 - t`, `sigma = t`.
    #[default]
    Linear,
    /// `alpha = cos(pi t / 2)`, `sigma = sin(pi t / 2)`.
    Cosine,
}

/// `alpha`, `sigma` and their derivatives at one time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Coefficients {
    /// Weight of the data.
    pub alpha: f64,
    /// Weight of the noise.
    pub sigma: f64,
    /// `d alpha / dt`
    pub d_alpha: f64,
    /// `d sigma / dt`
    pub d_sigma: f64,
}

impl PathType {
    /// Coefficients at `t` in `[0, 1]`.
    ///
    /// Sines and cosines come from `libm`, so that every platform computes the same bits.
    pub fn at(self, t: f64) -> Coefficients {
        match self {
            PathType::Linear => Coefficients { alpha: 1.0 - t, sigma: t, d_alpha: -1.0, d_sigma: 1.0 },
            PathType::Cosine => {
                let (sin, cos) = (libm::sin(FRAC_PI_2 * t), libm::cos(FRAC_PI_2 * t));
                Coefficients { alpha: cos, sigma: sin, d_alpha: -FRAC_PI_2 * sin, d_sigma: FRAC_PI_2 * cos }
            }
        }
    }

    /// Time in `(0, 1)` from a standard normal draw, so that middle times come more often ("lognormal").
    pub fn time_from_normal(self, normal: f64) -> f64 {
        let s = normal.exp();
        match self {
            PathType::Linear => s / (1.0 + s),
            PathType::Cosine => s.atan() / FRAC_PI_2,
        }
    }
}

impl Coefficients {
    /// What the model believes the data to be, from the state `x` and the velocity `v`.
    pub fn data(&self, x: f64, v: f64) -> f64 {
        (self.d_sigma * x - self.sigma * v) / (self.alpha * self.d_sigma - self.d_alpha * self.sigma)
    }

    /// Score (gradient of the log density) from the state `x` and the velocity `v`.
    pub fn score(&self, x: f64, v: f64) -> f64 {
        let ratio = self.alpha / self.d_alpha;
        (ratio * v - x) / (self.sigma * self.sigma - ratio * self.d_sigma * self.sigma)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_is_recovered_from_state_and_velocity_at_every_time() {
        for path in [PathType::Linear, PathType::Cosine] {
            for i in 0..=20 {
                let c = path.at(f64::from(i) / 20.0);
                let (data, noise) = (0.7, -1.3);
                let x = c.alpha * data + c.sigma * noise;
                let v = c.d_alpha * data + c.d_sigma * noise;
                assert!((c.data(x, v) - data).abs() < 1e-12, "{path:?} at step {i}");
            }
        }
    }

    #[test]
    fn derivatives_agree_with_differences() {
        for path in [PathType::Linear, PathType::Cosine] {
            let (a, b) = (path.at(0.3 - 1e-6), path.at(0.3 + 1e-6));
            assert!(((b.alpha - a.alpha) / 2e-6 - path.at(0.3).d_alpha).abs() < 1e-6);
            assert!(((b.sigma - a.sigma) / 2e-6 - path.at(0.3).d_sigma).abs() < 1e-6);
        }
    }
}
