//! What discriminator and generator minimise, as functions of logits, and the factor that keeps both losses in balance.
//!
//! Source: the hinge losses after Lim and Ye 2017; the adaptive factor after Esser et al. 2021, *Taming Transformers*,
//! arXiv 2012.09841, equation 7; weights and use as in MAETok's training configuration.
//!
//! Differs from the official code: its third choice, a "non-saturating" loss, is not here. The official functions hand
//! the cross-entropy its arguments in the wrong order, which makes straight lines of them (the parity test shows it).

use burn::tensor::activation::{relu, softplus};
use burn::tensor::{Tensor, assert_shape};
use serde::{Deserialize, Serialize};

use super::untracked;

/// How the discriminator is made to tell pictures apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GanLoss {
    /// `(mean relu(1 - real) + mean relu(1 + fake)) / 2`: what is judged rightly by a margin of 1 counts no more.
    #[default]
    Hinge,
    /// `(mean softplus(-real) + mean softplus(fake)) / 2`: the original loss of generative adversarial networks.
    Logistic,
}

impl GanLoss {
    /// Loss of the discriminator. Shapes: `real`, `fake` `[B, M]` logits; result `[1]`.
    pub fn discriminator(self, real: Tensor<2>, fake: Tensor<2>) -> Tensor<1> {
        let (real, fake) = match self {
            GanLoss::Hinge => (relu(real.neg() + 1.0), relu(fake + 1.0)),
            GanLoss::Logistic => (softplus(real.neg(), 1.0), softplus(fake, 1.0)),
        };
        (real.mean() + fake.mean()) * 0.5
    }
}

/// Loss of the generator, `-mean(fake)`, whichever loss the discriminator has. Shapes: `[B, M]` logits; result `[1]`.
pub fn generator(fake: Tensor<2>) -> Tensor<1> {
    fake.mean().neg()
}

/// How much the discriminator's opinion depends on the augmentation: the mean square, over all pictures, of the
/// difference between logits under weak and under strong augmentation.
///
/// # Shapes
/// `weak` and `strong` hold the logits of the real and of the generated pictures, `[B, M]` each; result `[1]`.
pub fn consistency(weak: [Tensor<2>; 2], strong: [Tensor<2>; 2]) -> Tensor<1> {
    let [weak, strong] = [weak, strong].map(|pair| Tensor::cat(pair.into(), 0)); // [2B, M]
    let [pictures, logits] = weak.dims();
    assert_shape!(strong, [pictures, logits]);
    (weak - strong).square().mean()
}

/// Added to the length of the adversarial gradient.
const ADAPTIVE_EPSILON: f64 = 1e-4;
/// Largest adaptive factor.
const ADAPTIVE_LIMIT: f64 = 1e4;

/// Factor of the adversarial loss that makes it pull as hard as the other losses where the picture leaves the decoder:
/// `a = |dR/dW| / (|dG/dW| + 1e-4)`, clamped to `[0, 1e4]`.
///
/// `R` is pixel loss plus weighted perceptual loss, `G` the generator's loss, `W` the weight of the decoder's last layer
/// (`decoder.to_pixel.model.weight`), `|·|` the Euclidean norm over all values.
///
/// # Shapes
/// Both gradients of the shape of `W`; result `[1]`, without a gradient of its own.
pub fn adaptive_weight<const D: usize>(reconstruction: Tensor<D>, adversarial: Tensor<D>) -> Tensor<1> {
    let length = |gradient: Tensor<D>| untracked(gradient).square().sum().sqrt();
    (length(reconstruction) / (length(adversarial) + ADAPTIVE_EPSILON)).clamp(0.0, ADAPTIVE_LIMIT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    fn logits<const N: usize>(values: [f32; N]) -> Tensor<2> {
        Tensor::<1>::from_floats(values, &Device::flex()).reshape([1, N])
    }

    fn value(loss: Tensor<1>) -> f32 {
        loss.into_scalar()
    }

    #[test]
    fn beyond_the_margin_the_hinge_is_content_and_within_it_linear() {
        let hinge = |real, fake| value(GanLoss::Hinge.discriminator(logits(real), logits(fake)));
        assert_eq!(hinge([1.0, 7.0], [-1.0, -3.0]), 0.0, "told apart by the margin");
        assert_eq!(hinge([0.0, 0.0], [0.0, 0.0]), 1.0, "no opinion");
        assert_eq!(hinge([-2.0, -2.0], [2.0, 2.0]), 3.0, "the wrong way round");
        assert_eq!(hinge([3.0, -3.0], [-3.0, -3.0]), 1.0, "a real picture taken for a fake costs on its own");
        assert_eq!(value(generator(logits([3.0, -1.0]))), -1.0);
    }

    #[test]
    fn the_hinge_gives_no_gradient_to_what_is_judged_rightly() {
        let device = Device::flex().autodiff();
        let leaf = |values: [f32; 2]| Tensor::<2>::from_floats([values], &device).require_grad();
        let (real, fake) = (leaf([2.0, 0.5]), leaf([-2.0, -0.5]));
        let grads = GanLoss::Hinge.discriminator(real.clone(), fake.clone()).backward();
        let of = |leaf: &Tensor<2>| leaf.grad(&grads).unwrap().into_data().try_to_vec::<f32>().unwrap();
        assert_eq!((of(&real), of(&fake)), (vec![0.0, -0.25], vec![0.0, 0.25]));
    }

    #[test]
    fn the_adaptive_factor_is_the_ratio_of_lengths_within_its_limits() {
        let gradient = |values: [f32; 2]| Tensor::<1>::from_floats(values, &Device::flex());
        let weight = |a, b| value(adaptive_weight(gradient(a), gradient(b)));
        assert!((weight([3.0, 4.0], [0.0, 0.5]) - 5.0 / 0.5001).abs() < 1e-4);
        assert_eq!(weight([3.0, 4.0], [0.0, 0.0]), 1e4, "a flat discriminator is not divided by");
        assert_eq!(weight([0.0, 0.0], [1.0, 0.0]), 0.0);
    }

    #[test]
    fn a_discriminator_that_ignores_augmentation_is_consistent() {
        let pair = || [logits([1.0, 2.0]), logits([3.0, 4.0])];
        assert_eq!(value(consistency(pair(), pair())), 0.0);
        assert_eq!(value(consistency(pair(), [logits([1.0, 2.0]), logits([3.0, 8.0])])), 4.0);
    }
}
