//! LeCAM: keeps a discriminator that has few pictures to learn from near its own past.
//!
//! Source: Tseng et al. 2021, *Regularizing Generative Adversarial Networks under Limited Data*, arXiv 2104.03310; decay
//! and form as in MAETok's training code.

use burn::module::{Initializer, Module, Param};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor};

use super::untracked;

/// Share of the old mean that stays.
const DECAY: f64 = 0.999;

/// Running means of the logits, both 0 at the start. They are parameters only so that they are saved and loaded as such:
/// no optimiser moves them.
#[derive(Module, Debug)]
pub struct LeCam {
    /// Of real pictures, `[1]`.
    pub lecam_real: Param<Tensor<1>>,
    /// Of generated pictures, `[1]`.
    pub lecam_fake: Param<Tensor<1>>,
}

impl LeCam {
    /// Means of nothing.
    pub fn new(device: &Device) -> Self {
        let zero = || Initializer::Zeros.init([1], device).set_require_grad(false);
        Self { lecam_real: zero(), lecam_fake: zero() }
    }

    /// The means with a batch taken in: `m = 0.999 m + 0.001 mean(logits)`. Shapes: both `[B, M]`.
    pub fn updated(&self, real: &Tensor<2>, fake: &Tensor<2>) -> Self {
        let blend = |mean: &Param<Tensor<1>>, logits: &Tensor<2>| {
            let new = untracked(logits.clone()).mean();
            mean.clone().map(|old| untracked(old * DECAY + new * (1.0 - DECAY)))
        };
        Self { lecam_real: blend(&self.lecam_real, real), lecam_fake: blend(&self.lecam_fake, fake) }
    }

    /// `mean relu(real - m_fake)² + mean relu(m_real - fake)²`, to be taken after the update with the same batch.
    ///
    /// # Shapes
    /// `real`, `fake` `[B, M]` logits; result `[1]`.
    pub fn regulariser(&self, real: Tensor<2>, fake: Tensor<2>) -> Tensor<1> {
        let above = relu(real - self.lecam_fake.val().unsqueeze::<2>());
        let below = relu(fake.neg() + self.lecam_real.val().unsqueeze::<2>());
        above.square().mean() + below.square().mean()
    }
}
