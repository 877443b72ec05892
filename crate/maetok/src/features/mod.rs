//! What tells how alike two pictures look: frozen image networks, distances and targets made of them. Feature `train`.
//!
//! [`Lpips`] is the official perceptual loss; its VGG16 weights are not ours to ship. [`EfficientNetLite0`] is the
//! network whose weights are in `assets/networks/efficientnet-lite0` and within the library; its pooled features serve
//! Fréchet distances and nearest neighbours, [`PerceptualDistance`] is a loss of LPIPS's form on it, and
//! [`PatchTeacher`] gives targets for an auxiliary decoder.
//!
//! No weight here takes a gradient; pictures do. Networks and pictures have to be on one device, the autodiff device
//! where gradients of a picture are wanted.

mod distance;
mod efficientnet;
mod lpips;
mod patch_teacher;
mod resample;
mod vgg;

#[cfg(test)]
mod parity;

pub use distance::PerceptualDistance;
pub use efficientnet::{EfficientNetLite0, Features, STAGES, Stage};
pub use lpips::Lpips;
pub use patch_teacher::PatchTeacher;
pub use resample::resize;
pub(crate) use resample::separable;
pub use vgg::Vgg16;

use burn::tensor::Tensor;

/// `(a/|a| - b/|b|)²`, lengths taken over the channels of each place. Shapes: all `[B, C, H, W]`.
fn squared_unit_difference(a: Tensor<4>, b: Tensor<4>) -> Tensor<4> {
    (unit_channels(a) - unit_channels(b)).square()
}

/// `x / (|x| + 1e-10)`, the length taken over the channels of each place, `[B, C, H, W] -> [B, C, H, W]`.
fn unit_channels(x: Tensor<4>) -> Tensor<4> {
    // The root's derivative at zero is infinite, and one place where every channel is zero would make the whole
    // gradient NaN: the sum is held where the length is as small as the 1e-10 beside it.
    let length = x.clone().square().sum_dim(1).clamp_min(1e-20).sqrt(); // [B, 1, H, W]
    x / (length + 1e-10)
}

/// The picture without its history, so that nothing made of it is kept for a backward pass. (Burn's `detach` alone
/// leaves a picture that wanted a gradient wanting one.)
fn untracked(picture: Tensor<4>) -> Tensor<4> {
    picture.detach().set_require_grad(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    #[test]
    fn places_without_any_feature_have_a_finite_gradient() {
        let device = Device::flex().autodiff();
        // Channels of the first place 3 and 4, of the second nothing.
        let x = Tensor::<4>::from_floats([[[[3.0, 0.0]], [[4.0, 0.0]]]], &device).require_grad();
        let unit = unit_channels(x.clone());
        let values: Vec<f32> = unit.clone().into_data().try_to_vec().unwrap();
        assert_eq!(values, [0.6, 0.0, 0.8, 0.0]);
        // Against a target of zeros the length of a unit vector cannot change.
        let grads = unit.square().sum().backward();
        let gradient: Vec<f32> = x.grad(&grads).unwrap().into_data().try_to_vec().unwrap();
        assert!(gradient.iter().all(|g| g.abs() < 1e-6), "{gradient:?}");
    }
}
