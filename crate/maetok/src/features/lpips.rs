//! LPIPS: how differently VGG16 sees two pictures, weighted by what people found different.
//!
//! Source: Zhang et al. 2018, arXiv 1801.03924, version 0.1 with VGG16; specification 5.3. Field names are the keys of
//! the official files: VGG16 as `net.*`, the learned weights as `lin0` to `lin4`.
//!
//! Differs from the official code: always in evaluation mode (the published training script switches the dropout before
//! the heads on by accident); where a place has no feature at all its gradient is finite instead of NaN; the heads, which
//! are linear, are applied after the mean over places instead of before.

use burn::module::{Initializer, Module, Param};
use burn::tensor::{Device, Tensor, TensorData, assert_shape};

use super::squared_unit_difference;
use super::vgg::Vgg16;
use crate::Result;
use crate::checkpoint;

/// See the module text. Made by [`Lpips::load`].
#[derive(Module, Debug)]
pub struct Lpips {
    scaling_layer: ScalingLayer,
    net: Vgg16,
    lin0: Head,
    lin1: Head,
    lin2: Head,
    lin3: Head,
    lin4: Head,
}

/// From [-1, 1] to VGG16's input.
#[derive(Module, Debug)]
struct ScalingLayer {
    /// `[1, 3, 1, 1]`
    shift: Param<Tensor<4>>,
    /// `[1, 3, 1, 1]`
    scale: Param<Tensor<4>>,
}

#[derive(Module, Debug)]
struct Head {
    model: HeadWeight,
}

/// A convolution to one channel with a kernel of one pixel and no bias.
#[derive(Module, Debug)]
struct HeadWeight {
    /// `[1, C, 1, 1]`
    weight: Param<Tensor<4>>,
}

impl Lpips {
    /// Reads all weights from safetensors files with the official keys; the heads may be in a file of their own.
    ///
    /// # Errors
    /// [`Error::Weights`](crate::Error::Weights) or [`Error::WeightsMismatch`](crate::Error::WeightsMismatch), as
    /// [`checkpoint::load`].
    pub fn load(shards: &[&[u8]], device: &Device) -> Result<Self> {
        let per_channel = |values: [f32; 3]| Param::from_data(TensorData::new(values.to_vec(), [1, 3, 1, 1]), device);
        let [lin0, lin1, lin2, lin3, lin4] = Vgg16::CHANNELS.map(|channels| Head {
            model: HeadWeight { weight: Initializer::Zeros.init([1, channels, 1, 1], device) },
        });
        let scaling_layer =
            ScalingLayer { shift: per_channel([-0.030, -0.088, -0.188]), scale: per_channel([0.458, 0.448, 0.450]) };
        let empty = Self { scaling_layer, net: Vgg16::zeros(device), lin0, lin1, lin2, lin3, lin4 };
        Ok(checkpoint::load(empty.no_grad(), shards)?.0)
    }

    /// The distance of every picture from its target; not negative with the official heads, 0 for equal pictures.
    ///
    /// # Shapes
    /// Both `[B, 3, H, W]` in [-1, 1], sides at least 16; result `[B]`.
    pub fn forward(&self, picture: Tensor<4>, target: Tensor<4>) -> Tensor<1> {
        let heads = [&self.lin0, &self.lin1, &self.lin2, &self.lin3, &self.lin4];
        let maps = self.features(picture).into_iter().zip(self.features(target));
        let parts = heads.into_iter().zip(maps).map(|(head, (a, b))| head.forward(squared_unit_difference(a, b)));
        parts.reduce(|sum, part| sum + part).expect("five heads")
    }

    /// VGG16's five maps of a picture, see [`Vgg16::forward`].
    pub fn features(&self, picture: Tensor<4>) -> [Tensor<4>; 5] {
        let [batch, _, height, width] = picture.dims();
        assert_shape!(picture, [batch, 3, height, width]);
        let ScalingLayer { shift, scale } = &self.scaling_layer;
        self.net.forward((picture - shift.val()) / scale.val())
    }
}

impl Head {
    /// `[B, C, H, W] -> [B]`: mean over places, weighted sum over channels.
    fn forward(&self, differences: Tensor<4>) -> Tensor<1> {
        let [batch, channels, height, width] = differences.dims();
        let means = differences.reshape([batch, channels, height * width]).mean_dim(2).reshape([batch, channels]);
        let weight = self.model.weight.val().reshape([1, channels]);
        (means * weight).sum_dim(1).reshape([batch])
    }
}
