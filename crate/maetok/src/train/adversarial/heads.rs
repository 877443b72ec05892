//! The trained part of the DINO discriminator: one head per readout, each with an opinion on every patch.
//!
//! A head is a pointwise convolution and a residual one over the row of patches, closed to a ring, both with batch norm
//! and leaky ReLU, then a pointwise convolution to one logit. Every convolution has spectral norm.
//!
//! Source: MAETok's discriminator, which follows Sauer et al. 2023, *StyleGAN-T*, arXiv 2301.09515, section 3.2. The
//! keys are the official ones: where PyTorch has a `Sequential` there is a tuple here, whose places are its numbers.

use burn::module::Module;
use burn::tensor::activation::leaky_relu;
use burn::tensor::{Device, Tensor};

use super::Mode;
use super::batch_norm::BatchNorm;
use super::spectral::SpectralConv;

/// Slope of the leaky ReLU below zero.
pub(super) const SLOPE: f64 = 0.2;
/// Positions that the residual convolution sees.
const KERNEL: usize = 9;

/// Convolution and batch norm, to be followed by a leaky ReLU.
type Activated = (SpectralConv<3>, BatchNorm);

fn activated(width: usize, kernel: usize, device: &Device) -> Activated {
    (SpectralConv::ring(width, width, kernel, device), BatchNorm::new(width, device))
}

fn activate((convolution, norm): &mut Activated, x: Tensor<3>, mode: Mode) -> Tensor<3> {
    leaky_relu(norm.forward(convolution.forward(x, mode), mode), SLOPE)
}

/// `(f(x) + x) / sqrt 2`, which keeps the variance of unrelated parts.
#[derive(Module, Debug)]
pub struct Residual {
    r#fn: Activated,
}

impl Residual {
    fn forward(&mut self, x: Tensor<3>, mode: Mode) -> Tensor<3> {
        (activate(&mut self.r#fn, x.clone(), mode) + x) * std::f64::consts::FRAC_1_SQRT_2
    }
}

/// Pointwise, residual, logit.
type Head = (Activated, Residual, SpectralConv<3>);

/// All heads; see the module text.
#[derive(Module, Debug)]
pub struct DinoHeads {
    heads: Vec<Head>,
}

impl DinoHeads {
    /// Fresh heads for `count` readouts of `width` channels.
    pub fn new(width: usize, count: usize, device: &Device) -> Self {
        let head = || {
            let residual = Residual { r#fn: activated(width, KERNEL, device) };
            (activated(width, 1, device), residual, SpectralConv::ring(width, 1, 1, device))
        };
        Self { heads: (0..count).map(|_| head()).collect() }
    }

    /// Logits of all heads side by side: `[B, D, N]` per head to `[B, heads · N]`.
    ///
    /// # Panics
    /// If there are not as many readouts as heads.
    pub fn forward(&mut self, readouts: Vec<Tensor<3>>, mode: Mode) -> Tensor<2> {
        assert_eq!(readouts.len(), self.heads.len(), "one readout per head");
        let logits = self.heads.iter_mut().zip(readouts).map(|((first, residual, last), x)| {
            let x = activate(first, x, mode); // [B, D, N]
            let x = residual.forward(x, mode);
            last.forward(x, mode).squeeze_dim::<2>(1) // [B, N]
        });
        Tensor::cat(logits.collect(), 1)
    }
}
