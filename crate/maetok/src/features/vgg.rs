//! VGG16's convolutions, cut where LPIPS reads them.
//!
//! Source: Simonyan and Zisserman 2015, arXiv 1409.1556, configuration D. Slices and layer numbers are those of the
//! official LPIPS file (`net.slice3.12.weight`), a field `convN` being the layer number N.

use burn::module::{Initializer, Module};
use burn::nn::PaddingConfig2d;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::pool::MaxPool2dConfig;
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor};

/// See the module text. Weights come with those of [`Lpips`](super::Lpips).
#[derive(Module, Debug)]
pub struct Vgg16 {
    slice1: Slice1,
    slice2: Slice2,
    slice3: Slice3,
    slice4: Slice4,
    slice5: Slice5,
}

#[derive(Module, Debug)]
struct Slice1 {
    conv0: Conv2d,
    conv2: Conv2d,
}

#[derive(Module, Debug)]
struct Slice2 {
    conv5: Conv2d,
    conv7: Conv2d,
}

#[derive(Module, Debug)]
struct Slice3 {
    conv10: Conv2d,
    conv12: Conv2d,
    conv14: Conv2d,
}

#[derive(Module, Debug)]
struct Slice4 {
    conv17: Conv2d,
    conv19: Conv2d,
    conv21: Conv2d,
}

#[derive(Module, Debug)]
struct Slice5 {
    conv24: Conv2d,
    conv26: Conv2d,
    conv28: Conv2d,
}

impl Vgg16 {
    /// Channels of the five maps of [`Vgg16::forward`].
    pub const CHANNELS: [usize; 5] = [64, 128, 256, 512, 512];

    /// The structure with weights of zero, to be filled from a file.
    pub(super) fn zeros(device: &Device) -> Self {
        let conv = |input, output| {
            Conv2dConfig::new([input, output], [3, 3])
                .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1))
                .with_initializer(Initializer::Zeros)
                .init(device)
        };
        Self {
            slice1: Slice1 { conv0: conv(3, 64), conv2: conv(64, 64) },
            slice2: Slice2 { conv5: conv(64, 128), conv7: conv(128, 128) },
            slice3: Slice3 { conv10: conv(128, 256), conv12: conv(256, 256), conv14: conv(256, 256) },
            slice4: Slice4 { conv17: conv(256, 512), conv19: conv(512, 512), conv21: conv(512, 512) },
            slice5: Slice5 { conv24: conv(512, 512), conv26: conv(512, 512), conv28: conv(512, 512) },
        }
    }

    /// The maps after relu1_2, relu2_2, relu3_3, relu4_3 and relu5_3.
    ///
    /// # Shapes
    /// `[B, 3, H, W]`, sides at least 16; map `i` is `[B, CHANNELS[i], H/2^i, W/2^i]`, rounded down.
    pub fn forward(&self, x: Tensor<4>) -> [Tensor<4>; 5] {
        let Self { slice1, slice2, slice3, slice4, slice5 } = self;
        let relu1_2 = through(&[&slice1.conv0, &slice1.conv2], x);
        let relu2_2 = through(&[&slice2.conv5, &slice2.conv7], halved(&relu1_2));
        let relu3_3 = through(&[&slice3.conv10, &slice3.conv12, &slice3.conv14], halved(&relu2_2));
        let relu4_3 = through(&[&slice4.conv17, &slice4.conv19, &slice4.conv21], halved(&relu3_3));
        let relu5_3 = through(&[&slice5.conv24, &slice5.conv26, &slice5.conv28], halved(&relu4_3));
        [relu1_2, relu2_2, relu3_3, relu4_3, relu5_3]
    }
}

/// Convolutions, each with its ReLU.
fn through(convs: &[&Conv2d], x: Tensor<4>) -> Tensor<4> {
    convs.iter().fold(x, |x, conv| relu(conv.forward(x)))
}

/// The largest of every 2×2 places.
fn halved(x: &Tensor<4>) -> Tensor<4> {
    MaxPool2dConfig::new([2, 2]).init().forward(x.clone())
}
