//! From noise to data: integrates the velocity over time 1 to 0.
//!
//! A sampler is a host-side state machine. The state is f64, as in the official code; the model is asked for
//! velocities through a closure and need not be known here.
//!
//! Source: official `transport.py` and `integrators.py`, commit `f4d60a0`; specification 4.4.

pub mod euler;
pub mod euler_maruyama;
pub mod guidance;
pub mod heun;
pub mod schedule;

#[cfg(test)]
mod parity;

pub use guidance::Guidance;

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::diffusion::PathType;
use crate::{Error, Result};

/// Which integrator.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SamplerKind {
    /// First order, one model call per step.
    #[default]
    Euler,
    /// Second order, two model calls per step but the last.
    Heun,
    /// Euler–Maruyama on the reverse SDE: fresh noise in every step but the last.
    Sde,
}

impl FromStr for SamplerKind {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "euler" => Ok(Self::Euler),
            "heun" => Ok(Self::Heun),
            "sde" => Ok(Self::Sde),
            _ => Err(Error::setting("sampler", text, "euler, heun or sde")),
        }
    }
}

/// A question to the model: the velocity of `x` at time `t`, with guidance or without.
#[derive(Clone, Copy, Debug)]
pub struct Evaluation<'a> {
    /// The state, flattened.
    pub x: &'a [f64],
    /// Time in `[0, 1]`, 1 is noise.
    pub t: f64,
    /// Combine the class's velocity with the null class's.
    pub guided: bool,
}

/// A run under way.
#[derive(Clone, Debug)]
pub struct Trajectory {
    kind: SamplerKind,
    path: PathType,
    guidance: Guidance,
    times: Vec<f64>,
    x: Vec<f64>,
    taken: usize,
}

/// What a step showed.
#[derive(Clone, Debug, PartialEq)]
pub struct Progress {
    /// Time at which the model was asked.
    pub t: f64,
    /// What the model believed the data to be at that time.
    pub clean: Vec<f64>,
}

impl Trajectory {
    /// Starts at time `start`, above 0.04 and at most 1, with state `x`: at 1 that is noise, standard normal. `steps` at
    /// least 1.
    pub fn new(kind: SamplerKind, path: PathType, guidance: Guidance, start: f64, steps: usize, x: Vec<f64>) -> Self {
        let times = match kind {
            SamplerKind::Euler | SamplerKind::Heun => schedule::ode(start, steps),
            SamplerKind::Sde => schedule::sde(start, steps),
        };
        Self { kind, path, guidance, times, x, taken: 0 }
    }

    /// The same, where `taken` steps have led to its state.
    #[must_use]
    pub fn after(self, taken: usize) -> Self {
        Self { taken: taken.min(self.steps()), ..self }
    }

    /// Number of steps in all.
    pub fn steps(&self) -> usize {
        self.times.len() - 1
    }

    /// Number of steps taken.
    pub fn taken(&self) -> usize {
        self.taken
    }

    /// The state, flattened.
    pub fn state(&self) -> &[f64] {
        &self.x
    }

    /// The next times, at most `count`, at which the model will be asked: of Heun's two questions in a step, the second
    /// is about the time of the next step.
    pub fn coming(&self, count: usize) -> &[f64] {
        let rest = &self.times[self.taken..self.steps().max(self.taken)];
        &rest[..count.min(rest.len())]
    }

    /// Takes one step; `None` when the run is over. `noise` is called for standard normal values, by the SDE only.
    ///
    /// # Errors
    /// Whatever `velocity` returns; the state is then unchanged and the step can be tried again.
    pub async fn advance(
        &mut self,
        mut velocity: impl AsyncFnMut(Evaluation<'_>) -> Result<Vec<f64>>,
        noise: impl FnOnce() -> Vec<f64>,
    ) -> Result<Option<Progress>> {
        let [t, next] = match self.times[self.taken..] {
            [t, next, ..] => [t, next],
            _ => return Ok(None),
        };
        let last = self.taken + 1 == self.steps();
        let guided = self.guidance.applies(t);
        let v = velocity(Evaluation { x: &self.x, t, guided }).await?;
        let coefficients = self.path.at(t);
        let clean = self.x.iter().zip(&v).map(|(x, v)| coefficients.data(*x, *v)).collect();
        self.x = match self.kind {
            SamplerKind::Heun if !last => {
                let ahead = euler::step(&self.x, &v, next - t);
                // The official code tests the interval at the step's start for both calls.
                let v_ahead = velocity(Evaluation { x: &ahead, t: next, guided }).await?;
                heun::step(&self.x, &v, &v_ahead, next - t)
            }
            SamplerKind::Euler | SamplerKind::Heun => euler::step(&self.x, &v, next - t),
            SamplerKind::Sde => {
                let noise = if last { None } else { Some(noise()) };
                euler_maruyama::step(&self.x, &v, self.path, t, next, noise.as_deref())
            }
        };
        self.taken += 1;
        Ok(Some(Progress { t, clean }))
    }
}
