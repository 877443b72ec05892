//! What is minimised, term by term.

use burn::tensor::{Bool, Device, Int, Tensor, TensorData, assert_shape};
use serde::{Deserialize, Serialize};

use crate::diffusion::PathType;
use crate::diffusion::path::Coefficients;
use crate::nn::patchify;
use crate::tokenizer::TargetKind;
use crate::train::adversarial;

/// Mean square over all pixels, hidden or not. Shapes: both `[B, 3, H, W]`; result `[1]`.
pub fn pixels(prediction: Tensor<4>, picture: Tensor<4>) -> Tensor<1> {
    (prediction - picture).square().mean()
}

/// How far the prediction of an auxiliary decoder is from its target.
///
/// Differs from the paper, as the official code does: the paper writes a mean square for all targets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Distance {
    /// Mean square over the target's values.
    Square,
    /// Minus the cosine of the angle between prediction and target; lengths below 1e-12 count as 1e-12.
    Cosine,
}

impl Distance {
    /// The official choice: mean squares for histograms, angles for the teachers' features.
    pub fn of(kind: TargetKind) -> Self {
        match kind {
            TargetKind::Hog => Self::Square,
            TargetKind::Dino | TargetKind::Clip | TargetKind::EfficientNet => Self::Cosine,
        }
    }

    /// Distance of every patch. Shapes: `prediction`, `target` `[B, N, T]`; result `[B, N]`.
    pub fn per_patch(self, prediction: Tensor<3>, target: Tensor<3>) -> Tensor<2> {
        let [batch, patches, values] = prediction.dims();
        assert_shape!(target, [batch, patches, values]);
        let rows = match self {
            Self::Square => (prediction - target).square().mean_dim(2),
            Self::Cosine => -(unit(prediction) * unit(target)).sum_dim(2),
        };
        rows.squeeze_dim(2)
    }
}

/// `x / max(|x|, 1e-12)` over the last axis.
fn unit(x: Tensor<3>) -> Tensor<3> {
    // The bound is put on the square: the root's slope at zero is infinite and would make a gradient of NaN.
    let length = x.clone().square().sum_dim(2).clamp_min(1e-24).sqrt();
    x / length
}

/// The patches of a batch that the encoder does not see.
#[derive(Clone, Debug)]
pub struct Hidden {
    /// `[B, N]`, true where hidden.
    pub mask: Tensor<2, Bool>,
    /// Number of hidden patches in the batch.
    pub count: usize,
}

impl Hidden {
    /// From `[B][N]` flags.
    ///
    /// # Panics
    /// If nothing is hidden, or if pictures have different numbers of patches.
    pub fn new(masks: &[Vec<bool>], device: &Device) -> Self {
        let flags = masks.concat();
        let count = flags.iter().filter(|hidden| **hidden).count();
        assert!(count > 0, "a mask that hides nothing");
        let shape = [masks.len(), flags.len() / masks.len()];
        Self { mask: Tensor::from_data(TensorData::new(flags, shape), device), count }
    }
}

/// Mean over the hidden patches of the whole batch, or over all patches. Shapes: `per_patch` `[B, N]`; result `[1]`.
pub fn over_patches(per_patch: Tensor<2>, only: Option<&Hidden>) -> Tensor<1> {
    match only {
        Some(hidden) => (per_patch * hidden.mask.clone().float()).sum() / hidden.count as f64,
        None => per_patch.mean(),
    }
}

/// Value `[1]` and gradient `[B, 3, H, W]` of a loss that reads only the reconstruction.
///
/// The reconstruction's own graph is not touched, so the loss can be weighed by the gradient before it is put in: as
/// `(reconstruction * gradient).sum()`, whose derivative by every parameter is the loss's own.
///
/// # Panics
/// If the reconstruction is not on an autodiff device or the loss does not depend on it.
pub fn by_reconstruction(
    reconstruction: &Tensor<4>,
    loss: impl FnOnce(Tensor<4>) -> Tensor<1>,
) -> (Tensor<1>, Tensor<4>) {
    let leaf = reconstruction.clone().detach().require_grad();
    let value = loss(leaf.clone());
    let gradient = leaf.grad(&value.backward()).expect("a loss of the reconstruction has a gradient by it");
    (value.inner(), gradient)
}

/// Factor of the adversarial loss that makes its pull on the decoder's last layer as strong as that of the
/// reconstruction loss: `|d rec / dW| / (|d adv / dW| + 1e-4)`, at most 1e4, with `W` the weight of `decoder.to_pixel`.
///
/// # Shapes
/// - `tokens`: what the last layer reads, `[B, N, D]`, see [`Tokenizer::decode_tokens`](crate::tokenizer::Tokenizer)
/// - `reconstruction`, `generator`: gradients of both losses by the picture, `[B, 3, H, W]`, see
///   [`by_reconstruction`]
/// - `patch`: side of a patch in pixels
/// - returns `[1]`, a constant for differentiation
///
/// Source: Esser et al. 2021, *Taming Transformers*, arXiv 2012.09841, equation 7; MAETok's official loss.
///
/// Differs from the official code: the last layer is linear, so its gradients are computed from those of the picture;
/// no second pass through the decoder's graph is needed, which Burn would not allow.
pub fn adaptive_weight(tokens: Tensor<3>, reconstruction: Tensor<4>, generator: Tensor<4>, patch: usize) -> Tensor<1> {
    let [batch, patches, width] = tokens.dims();
    let tokens = tokens.inner().reshape([batch * patches, width]).transpose(); // [D, B*N]
    let of_last_layer = |gradient: Tensor<4>| {
        let rows = patchify(gradient.inner(), patch).reshape([batch * patches, 3 * patch * patch]);
        tokens.clone().matmul(rows) // [D, 3*p*p]
    };
    adversarial::losses::adaptive_weight(of_last_layer(reconstruction), of_last_layer(generator))
}

/// How the times of a diffusion batch are spread over [0, 1].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Times {
    /// Every time equally often.
    Uniform,
    /// More often in the middle: the ratio of noise to data is log-normal.
    #[default]
    Lognormal,
}

impl Times {
    /// The time that belongs to a draw, which is uniform on [0, 1) or standard normal.
    pub fn from_draw(self, path: PathType, draw: f64) -> f64 {
        match self {
            Times::Uniform => draw,
            Times::Lognormal => path.time_from_normal(draw),
        }
    }
}

/// A label for training: the null class, index `classes`, with the given probability.
pub fn label_or_null(label: usize, classes: usize, draw: f64, probability: f64) -> i64 {
    if draw < probability { classes as i64 } else { label as i64 }
}

/// How wrong a predicted velocity is, per sample, `[B]` each.
#[derive(Clone, Debug)]
pub struct VelocityLosses {
    /// Mean square of the error.
    pub velocity: Tensor<1>,
    /// [`direction`] of the prediction against the target.
    pub direction: Tensor<1>,
}

/// Asks a model for the velocity of noised latents.
///
/// # Shapes
/// `model` as [`Sit::forward`](crate::diffusion::Sit::forward); `clean` (normalised latents) and `noise` `[B, L, C]`,
/// `times` B values in [0, 1], `labels` `[B]` with dropped ones already replaced by the null class.
pub fn velocity(
    model: impl FnOnce(Tensor<3>, Tensor<1>, Tensor<1, Int>) -> Tensor<3>,
    path: PathType,
    clean: Tensor<3>,
    noise: Tensor<3>,
    times: &[f64],
    labels: Tensor<1, Int>,
) -> VelocityLosses {
    let [batch, tokens, channels] = clean.dims();
    assert_shape!(noise, [batch, tokens, channels]);
    let device = clean.device();
    let row = |value: &dyn Fn(f64) -> f64| {
        let values: Vec<f32> = times.iter().map(|t| value(*t) as f32).collect();
        Tensor::<1>::from_data(TensorData::new(values, [batch]), &device)
    };
    let factor = |value: &dyn Fn(Coefficients) -> f64| row(&|t| value(path.at(t))).reshape([batch, 1, 1]);

    let noisy = clean.clone() * factor(&|c| c.alpha) + noise.clone() * factor(&|c| c.sigma);
    let target = clean * factor(&|c| c.d_alpha) + noise * factor(&|c| c.d_sigma);
    let predicted = model(noisy, row(&|t| t), labels); // [B, L, C]
    let error = predicted.clone() - target.clone();
    VelocityLosses {
        velocity: error.square().reshape([batch, tokens * channels]).mean_dim(1).squeeze_dim::<1>(1),
        direction: direction(predicted, target),
    }
}

/// `1 - cos(predicted, target)` over the channels of every token, averaged over the tokens: from 0 where all directions
/// agree to 2 where all are opposite. Shapes: both `[B, L, C]`; result `[B]`.
///
/// Source: LightningDiT's extra loss (Yao and Wang 2025, arXiv 2501.01423).
///
/// Differs from the official code: lengths are `sqrt(|v|² + 1e-6)`, where that bounds them by 1e-8 from below. A fresh
/// model predicts exactly zero, where the cosine's slope would be 1e8.
pub fn direction(predicted: Tensor<3>, target: Tensor<3>) -> Tensor<1> {
    let length = |v: &Tensor<3>| (v.clone().square().sum_dim(2) + 1e-6).sqrt(); // [B, L, 1]
    let lengths = length(&predicted) * length(&target);
    let cosine = (predicted * target).sum_dim(2) / lengths; // [B, L, 1]
    (cosine.neg() + 1.0).squeeze_dim::<2>(2).mean_dim(1).squeeze_dim::<1>(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_hidden_patches_count_and_their_mean_is_over_the_batch() {
        let device = Device::flex();
        let prediction = Tensor::<3>::zeros([2, 2, 3], &device);
        let target = Tensor::<3>::from_floats([[[1.0; 3], [9.0; 3]], [[2.0; 3], [3.0; 3]]], &device);
        let hidden = Hidden::new(&[vec![true, false], vec![true, true]], &device);
        let per_patch = Distance::Square.per_patch(prediction, target);
        let loss = over_patches(per_patch.clone(), Some(&hidden)).into_scalar::<f32>();
        assert!((loss - (1.0 + 4.0 + 9.0) / 3.0).abs() < 1e-6, "{loss}");
        let loss = over_patches(per_patch, None).into_scalar::<f32>();
        assert!((loss - (1.0 + 81.0 + 4.0 + 9.0) / 4.0).abs() < 1e-5, "{loss}");
    }

    #[test]
    fn equal_directions_cost_minus_1_exactly_whatever_their_lengths() {
        let device = Device::flex();
        // Four equal values: roots and quotients are powers of two, so not even the last digit may differ.
        let features = |value: f32| Tensor::<3>::full([2, 3, 4], value, &device);
        for (prediction, target, want) in [(0.7, 0.7, -1.0), (3.0, 0.1, -1.0), (-5.5, 0.1, 1.0)] {
            let cost = Distance::Cosine.per_patch(features(prediction), features(target));
            let mean = over_patches(cost, None).into_scalar::<f32>();
            assert_eq!(mean, want, "{prediction} against {target}");
        }
    }

    #[test]
    fn a_prediction_of_zeros_has_a_finite_gradient() {
        let device = Device::flex().autodiff();
        let prediction = Tensor::<3>::zeros([1, 2, 4], &device).require_grad();
        let target = Tensor::<3>::ones([1, 2, 4], &device);
        let loss = over_patches(Distance::Cosine.per_patch(prediction.clone(), target), None);
        let gradient: Vec<f32> = prediction.grad(&loss.backward()).unwrap().into_data().try_to_vec().unwrap();
        assert!(gradient.iter().all(|value| value.is_finite()), "{gradient:?}");
    }

    #[test]
    fn the_adaptive_weight_is_the_ratio_of_both_pulls_and_is_bounded() {
        let device = Device::flex();
        let tokens = Tensor::<3>::from_floats([[[1.0, 2.0]], [[0.5, -1.0]]], &device);
        let pull = |value: f32| Tensor::<4>::full([2, 3, 2, 2], value, &device);
        let weight = |rec, adv| adaptive_weight(tokens.clone(), pull(rec), pull(adv), 2).into_scalar::<f32>();
        // The token values add up to 1.5 and 1 over the batch, and each meets 12 pixel values.
        let norm = (12.0f32 * (1.5 * 1.5 + 1.0)).sqrt();
        assert!((weight(3.0, 1.0) - 3.0 * norm / (norm + 1e-4)).abs() < 1e-5);
        assert_eq!(weight(1e9, 1e-9), 1e4);
        assert_eq!(weight(0.0, 1.0), 0.0);
    }

    #[test]
    fn the_direction_loss_is_the_mean_of_one_minus_the_cosine_whatever_the_lengths() {
        let device = Device::flex();
        let target = Tensor::<3>::from_floats([[[1.0, 0.0], [3.0, 4.0]], [[0.0, 2.0], [0.0, -1.0]]], &device);
        let predicted = Tensor::<3>::from_floats([[[7.0, 0.0], [-4.0, 3.0]], [[0.0, -0.5], [1.0, -1.0]]], &device);
        let got: Vec<f32> = direction(predicted, target).into_data().try_to_vec().unwrap();
        let want = [(0.0 + 1.0) / 2.0, (2.0 + 1.0 - 0.5f32.sqrt()) / 2.0];
        assert!(got.iter().zip(want).all(|(got, want)| (got - want).abs() < 1e-5), "{got:?}, not {want:?}");
    }

    #[test]
    fn the_direction_loss_has_a_slope_where_nothing_is_predicted_yet() {
        let device = Device::flex().autodiff();
        let nothing = Tensor::<3>::zeros([1, 1, 2], &device).require_grad();
        let grads = direction(nothing.clone(), Tensor::from_floats([[[0.6, 0.8]]], &device)).sum().backward();
        let slope: Vec<f32> = nothing.grad(&grads).expect("a gradient").into_data().try_to_vec().unwrap();
        // Towards the target, over the length 1e-3 that stands for zero.
        assert!((slope[0] / -600.0 - 1.0).abs() < 1e-3 && (slope[1] / -800.0 - 1.0).abs() < 1e-3, "{slope:?}");
    }

    #[test]
    fn lognormal_times_are_symmetric_about_one_half() {
        for path in [PathType::Linear, PathType::Cosine] {
            assert!((Times::Lognormal.from_draw(path, 0.0) - 0.5).abs() < 1e-12);
            let (early, late) = (Times::Lognormal.from_draw(path, -1.3), Times::Lognormal.from_draw(path, 1.3));
            assert!((early + late - 1.0).abs() < 1e-12 && early < late);
        }
    }
}
