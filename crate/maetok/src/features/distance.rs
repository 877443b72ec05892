//! A perceptual loss of LPIPS's form on EfficientNet-Lite0, whose weights can be shipped.
//!
//! For each of five stages, one at each scale from 1/2 to 1/32 of the network's side: the channels of every place are
//! divided by their length (plus 1e-10), both pictures' unit vectors are subtracted, the squares summed over the channels
//! and averaged over the places. The distance is the mean of the five numbers.
//!
//! So it lies between 0 (equal features) and 4 (opposite everywhere); 2 means features at right angles. In formula, with
//! `u_s` the unit vectors of stage `s` and `P_s` its places:
//! `d(a, b) = 1/5 Σ_s 1/|P_s| Σ_p |u_s(a)_p - u_s(b)_p|²`.
//!
//! Source: Zhang et al. 2018, arXiv 1801.03924, for the form. Differs: another network, and no learned weights for the
//! channels, as those of LPIPS belong to VGG16; every stage counts alike.

use burn::module::Module;
use burn::tensor::Tensor;

use super::{EfficientNetLite0, squared_unit_difference, untracked};

/// The last stage of each scale; between two stages of one scale the later has seen more of the picture.
const COMPARED: [usize; 5] = [0, 1, 2, 4, 6];

/// See the module text.
#[derive(Module, Debug)]
pub struct PerceptualDistance {
    network: EfficientNetLite0,
}

impl PerceptualDistance {
    /// The distance on this network, at the side it was loaded for.
    pub fn new(network: EfficientNetLite0) -> Self {
        Self { network }
    }

    /// The distance of every picture from its target. Gradients reach `picture` alone.
    ///
    /// # Shapes
    /// Both `[B, 3, H, W]` in [-1, 1], sizes free; result `[B]`.
    pub fn forward(&self, picture: Tensor<4>, target: Tensor<4>) -> Tensor<1> {
        let maps = self.network.stages(picture, COMPARED[4] + 1);
        let wanted = self.network.stages(untracked(target), COMPARED[4] + 1);
        Self::between(&maps, &wanted)
    }

    /// The distance of pictures whose maps are known, such as [`Features::stages`](super::Features::stages).
    ///
    /// # Shapes
    /// Both a `[B, channels, h, w]` for each stage; result `[B]`.
    pub fn between(maps: &[Tensor<4>], wanted: &[Tensor<4>]) -> Tensor<1> {
        let parts = COMPARED.map(|stage| {
            let squares = squared_unit_difference(maps[stage].clone(), wanted[stage].clone()); // [B, C, h, w]
            let [batch, _, height, width] = squares.dims();
            squares.sum_dim(1).reshape([batch, height * width]).mean_dim(1).reshape([batch])
        });
        parts.into_iter().reduce(|sum, part| sum + part).expect("five stages") / COMPARED.len() as f64
    }
}

#[cfg(test)]
mod tests {
    use burn::optim::GradientsParams;
    use burn::tensor::Device;

    use super::super::efficientnet::shipped;
    use super::super::parity::pictures;
    use super::super::resize;
    use super::*;

    fn values(x: Tensor<1>) -> Vec<f32> {
        x.into_data().try_to_vec().unwrap()
    }

    /// Without the detail that `side` pixels cannot hold.
    fn blurred(picture: &Tensor<4>, side: usize) -> Tensor<4> {
        let [.., size] = picture.dims();
        resize(resize(picture.clone(), side, side), size, size)
    }

    /// Mean square of every picture, `[B, 1, 1, 1]`.
    fn mean_square(x: Tensor<4>) -> Tensor<4> {
        x.square().mean_dim(1).mean_dim(2).mean_dim(3)
    }

    #[test]
    fn equal_pictures_are_at_distance_zero() {
        let device = Device::flex();
        let distance = PerceptualDistance::new(shipped(64, &device));
        let picture = pictures(&device);
        assert_eq!(values(distance.forward(picture.clone(), picture)), [0.0; 3]);
    }

    #[test]
    fn blur_is_farther_than_a_change_of_brightness_with_the_same_mean_square() {
        let device = Device::flex();
        let distance = PerceptualDistance::new(shipped(64, &device));
        let picture = pictures(&device);
        let mut before = vec![0.0; 3];
        for side in [32, 16, 8] {
            let blurred = blurred(&picture, side);
            let shift = mean_square(blurred.clone() - picture.clone()).sqrt();
            let of_blur = values(distance.forward(blurred, picture.clone()));
            let of_shift = values(distance.forward(picture.clone() - shift, picture.clone()));
            for ((blur, shift), before) in of_blur.iter().zip(&of_shift).zip(&before) {
                assert!(*blur > 1.2 * before, "{of_blur:?} at {side} pixels, {before} at twice as many");
                assert!(*blur > 2.0 * shift, "blur {of_blur:?}, brightness {of_shift:?} at {side} pixels");
            }
            before = of_blur;
        }
        let step = values(distance.forward(picture.clone() + 2.0 / 255.0, picture));
        assert!(step.iter().all(|d| *d > 0.0 && *d < 1e-3), "one step of 255 brighter: {step:?}");
    }

    #[test]
    fn descending_the_gradient_brings_a_picture_nearer_and_leaves_the_weights_alone() {
        let device = Device::flex().autodiff();
        let distance = PerceptualDistance::new(shipped(64, &device));
        let target = pictures(&device);
        let start = blurred(&target, 8);
        let mut picture = start.clone();
        for _ in 0..20 {
            let tracked = picture.require_grad();
            let mut grads = distance.forward(tracked.clone(), target.clone().require_grad()).sum().backward();
            let gradient = tracked.grad_remove(&mut grads).expect("a gradient of the picture");
            assert!(GradientsParams::from_grads(grads, &distance).is_empty(), "a weight has a gradient");
            let length = mean_square(gradient.clone()).sqrt();
            picture = Tensor::from_inner(tracked.inner() - gradient / length * 0.01);
        }
        let from = values(distance.forward(start.clone(), target.clone()));
        let to = values(distance.forward(picture.clone(), target.clone()));
        let squares = |x: Tensor<4>| values(mean_square(x - target.clone()).reshape([3]));
        let (mse_from, mse_to) = (squares(start), squares(picture));
        for at in 0..3 {
            assert!(to[at] < 0.9 * from[at], "distance {from:?} became {to:?}");
            assert!(mse_to[at] < mse_from[at], "mean square {mse_from:?} became {mse_to:?}");
        }
    }

    #[test]
    fn the_target_takes_no_gradient_even_if_it_wants_one() {
        let device = Device::flex().autodiff();
        let distance = PerceptualDistance::new(shipped(64, &device));
        let target = pictures(&device).require_grad();
        assert!(!distance.forward(pictures(&device), target.clone()).is_tracked());
        assert!(distance.forward(target.clone(), target).is_tracked());
    }
}
