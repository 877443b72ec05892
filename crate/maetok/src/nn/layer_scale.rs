//! LayerScale: a learned factor per channel on a residual branch (Touvron et al. 2021, arXiv 2103.17239).

use burn::module::{Initializer, Module, Param};
use burn::tensor::{Device, Tensor};

/// Multiplies each channel by `gamma`.
#[derive(Module, Debug)]
pub struct LayerScale {
    /// `[D]`
    pub gamma: Param<Tensor<1>>,
}

impl LayerScale {
    /// Starts at `value` in every channel; 1e-5 in the official code.
    pub fn new(width: usize, value: f64, device: &Device) -> Self {
        Self { gamma: Initializer::Constant { value }.init([width], device) }
    }

    /// `[B, T, D] -> [B, T, D]`.
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        x * self.gamma.val().unsqueeze()
    }
}
