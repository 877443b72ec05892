//! What is minimised.

use burn::tensor::{Int, Tensor, TensorData, assert_shape};
use serde::{Deserialize, Serialize};

use crate::diffusion::PathType;
use crate::diffusion::path::Coefficients;

/// Mean square over all pixels, hidden or not. Shapes: both `[B, 3, H, W]`; result `[1]`.
pub fn pixels(prediction: Tensor<4>, picture: Tensor<4>) -> Tensor<1> {
    (prediction - picture).square().mean()
}

/// Mean square per hidden patch, over the hidden patches of the whole batch.
///
/// # Shapes
/// `prediction`, `target` `[B, N, T]`; `hidden` `[B, N]` of 0 and 1, `count` of them 1; result `[1]`.
///
/// # Panics
/// If nothing is hidden: there is no mean of nothing.
pub fn hidden_patches(prediction: Tensor<3>, target: Tensor<3>, hidden: Tensor<2>, count: usize) -> Tensor<1> {
    assert!(count > 0, "no hidden patch to compare");
    let per_patch = (prediction - target).square().mean_dim(2).squeeze_dim::<2>(2); // [B, N]
    (per_patch * hidden).sum() / count as f64
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
    use burn::tensor::Device;

    #[test]
    fn only_hidden_patches_count_and_their_mean_is_over_the_batch() {
        let device = Device::flex();
        let prediction = Tensor::<3>::zeros([2, 2, 3], &device);
        let target = Tensor::<3>::from_floats([[[1.0; 3], [9.0; 3]], [[2.0; 3], [3.0; 3]]], &device);
        let hidden = Tensor::<2>::from_floats([[1.0, 0.0], [1.0, 1.0]], &device);
        let loss = hidden_patches(prediction, target, hidden, 3).into_scalar::<f32>();
        assert!((loss - (1.0 + 4.0 + 9.0) / 3.0).abs() < 1e-6, "{loss}");
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
