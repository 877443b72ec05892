//! EfficientNet-Lite0 without its classifier: features of pictures from a network trained on ImageNet-1k.
//!
//! Sixteen inverted bottlenecks in seven stages; batch normalisations are folded into the convolutions when the weights
//! are converted (`assets/networks/efficientnet-lite0`, which also names origin and licence), so it can only be used,
//! not trained.
//!
//! Source: Tan and Le 2019, arXiv 1905.11946, for the network; its Lite variant has no squeeze-and-excitation, ReLU6 for
//! swish, and neither stem nor head scaled.

use burn::module::{Initializer, Module};
use burn::nn::PaddingConfig2d;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::tensor::{Device, Tensor, assert_shape};

use super::resize;
use crate::checkpoint;
use crate::{Error, Result};

/// Blocks of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stage {
    /// Number of blocks.
    pub blocks: usize,
    /// Side of the depthwise kernel.
    pub kernel: usize,
    /// Stride of the first block; the others have 1.
    pub stride: usize,
    /// Width inside a block as a multiple of its input channels.
    pub expansion: usize,
    /// Channels that leave every block.
    pub channels: usize,
}

/// The seven stages. Their maps have 1/2, 1/4, 1/8, 1/16, 1/16, 1/32 and 1/32 of the network's side.
pub const STAGES: [Stage; 7] = [
    Stage { blocks: 1, kernel: 3, stride: 1, expansion: 1, channels: 16 },
    Stage { blocks: 2, kernel: 3, stride: 2, expansion: 6, channels: 24 },
    Stage { blocks: 2, kernel: 5, stride: 2, expansion: 6, channels: 40 },
    Stage { blocks: 3, kernel: 3, stride: 2, expansion: 6, channels: 80 },
    Stage { blocks: 3, kernel: 5, stride: 1, expansion: 6, channels: 112 },
    Stage { blocks: 4, kernel: 5, stride: 2, expansion: 6, channels: 192 },
    Stage { blocks: 1, kernel: 3, stride: 1, expansion: 6, channels: 320 },
];

/// The weights, with origin and licence beside them.
const SHIPPED: &[u8] = include_bytes!("../../../../assets/networks/efficientnet-lite0/model.safetensors");

/// Channels after the stem.
const STEM: usize = 32;

/// See the module text. Made by [`EfficientNetLite0::load`].
#[derive(Module, Debug)]
pub struct EfficientNetLite0 {
    stem: Conv2d,
    blocks: Vec<Block>,
    head: Conv2d,
    side: usize,
}

/// What the network finds in a batch of pictures of network side `S`.
#[derive(Clone, Debug)]
pub struct Features {
    /// After each of [`STAGES`]: `[B, channels, S/2, S/2]` and so on. Of either sign, as no activation follows a stage.
    pub stages: Vec<Tensor<4>>,
    /// The mean over places of the head's channels, `[B, 1280]`, values in [0, 6].
    pub pooled: Tensor<2>,
}

impl EfficientNetLite0 {
    /// Number of pooled features.
    pub const POOLED: usize = 1280;
    /// The side the network was trained at. Features for statistics are best taken here; see [`Self::load`].
    pub const TRAINED_SIDE: usize = 224;

    /// Reads the weights from the bytes of a file like `assets/networks/efficientnet-lite0/model.safetensors`.
    ///
    /// Every picture is first resized to `side` by `side` pixels ([`resize`]: bilinear where it grows, the average of the
    /// covered pixels where it shrinks). A larger side costs in proportion to its square. Held-out avatars of Toon at
    /// 64 pixels find their style among their five nearest neighbours by pooled features with 93 % at a side of 64,
    /// 97 % at 128 and 99 % at 224 (13 styles, 780 pictures).
    ///
    /// # Errors
    /// [`Error::Setting`] if `side` is not a multiple of 32 from 64 to 224; [`Error::Weights`] or
    /// [`Error::WeightsMismatch`] as [`checkpoint::load`].
    pub fn load(bytes: &[u8], side: usize, device: &Device) -> Result<Self> {
        if !(64..=Self::TRAINED_SIDE).contains(&side) || !side.is_multiple_of(32) {
            return Err(Error::setting("side", side, "a multiple of 32 from 64 to 224"));
        }
        let mut input = STEM;
        let mut blocks = Vec::new();
        for stage in STAGES {
            for repeat in 0..stage.blocks {
                let stride = if repeat == 0 { stage.stride } else { 1 };
                blocks.push(Block::zeros(input, stage, stride, device));
                input = stage.channels;
            }
        }
        let empty = Self {
            stem: conv([3, STEM], 3, 2, 1, device),
            blocks,
            head: conv([input, Self::POOLED], 1, 1, 1, device),
            side,
        };
        Ok(checkpoint::load(empty.no_grad(), &[bytes])?.0)
    }

    /// The network of the repository, whose weights every program with the feature `train` carries: 6.75 MB.
    ///
    /// # Errors
    /// [`Error::Setting`] as [`load`](Self::load).
    pub fn shipped(side: usize, device: &Device) -> Result<Self> {
        Self::load(SHIPPED, side, device)
    }

    /// The smallest side that [`load`](Self::load) takes and `pixels` fit into; beyond 224 that.
    pub fn side_for(pixels: usize) -> usize {
        pixels.next_multiple_of(32).clamp(64, Self::TRAINED_SIDE)
    }

    /// The side, in pixels, that pictures are brought to.
    pub fn side(&self) -> usize {
        self.side
    }

    /// All maps and the pooled features.
    ///
    /// # Shapes
    /// `[B, 3, H, W]` in [-1, 1], of any size; one that is not square is stretched.
    pub fn forward(&self, picture: Tensor<4>) -> Features {
        let stages = self.stages(picture, STAGES.len());
        let head = relu6(self.head.forward(stages[STAGES.len() - 1].clone())); // [B, 1280, S/32, S/32]
        let [batch, channels, height, width] = head.dims();
        let pooled = head.reshape([batch, channels, height * width]).mean_dim(2).reshape([batch, channels]);
        Features { stages, pooled }
    }

    /// The maps of the first `count` stages; what lies behind is not computed.
    ///
    /// # Shapes
    /// As [`Self::forward`].
    pub fn stages(&self, picture: Tensor<4>, count: usize) -> Vec<Tensor<4>> {
        let [batch, _, height, width] = picture.dims();
        assert_shape!(picture, [batch, 3, height, width]);
        let x = resize(picture, self.side, self.side); // [B, 3, S, S]
        // The network's input is (v - 127) / 128 of bytes v, and v = 127.5 x + 127.5.
        let x = (x * 127.5 + 0.5) / 128.0;
        let mut x = relu6(self.stem.forward(x)); // [B, 32, S/2, S/2]
        let mut blocks = self.blocks.iter();
        let mut maps = Vec::with_capacity(count);
        for stage in &STAGES[..count] {
            x = blocks.by_ref().take(stage.blocks).fold(x, |x, block| block.forward(x));
            maps.push(x.clone());
        }
        maps
    }
}

/// An inverted bottleneck: wider, filtered channel by channel, narrow again.
#[derive(Module, Debug)]
struct Block {
    /// Where the expansion is not 1.
    expand: Option<Conv2d>,
    depthwise: Conv2d,
    project: Conv2d,
    residual: bool,
}

impl Block {
    fn zeros(input: usize, stage: Stage, stride: usize, device: &Device) -> Self {
        let wide = input * stage.expansion;
        Self {
            expand: (stage.expansion > 1).then(|| conv([input, wide], 1, 1, 1, device)),
            depthwise: conv([wide, wide], stage.kernel, stride, wide, device),
            project: conv([wide, stage.channels], 1, 1, 1, device),
            residual: stride == 1 && input == stage.channels,
        }
    }

    fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        let x = match &self.expand {
            Some(expand) => relu6(expand.forward(input.clone())),
            None => input.clone(),
        };
        let x = self.project.forward(relu6(self.depthwise.forward(x)));
        if self.residual { x + input } else { x }
    }
}

/// A convolution with weights of zero, to be filled from a file. Padding is TensorFlow's "SAME": `S/stride` places come
/// out, and at a stride of 2 the odd pixel is added right and below.
fn conv(channels: [usize; 2], kernel: usize, stride: usize, groups: usize, device: &Device) -> Conv2d {
    Conv2dConfig::new(channels, [kernel, kernel])
        .with_stride([stride, stride])
        .with_groups(groups)
        .with_padding(PaddingConfig2d::Same)
        .with_initializer(Initializer::Zeros)
        .init(device)
}

fn relu6(x: Tensor<4>) -> Tensor<4> {
    x.clamp(0.0, 6.0)
}

/// The network of the repository at `side` pixels.
#[cfg(test)]
pub(super) fn shipped(side: usize, device: &Device) -> EfficientNetLite0 {
    EfficientNetLite0::shipped(side, device).expect("the network of the repository")
}

#[cfg(test)]
fn assets() -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../assets/networks/efficientnet-lite0")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::{sha256_hex, tensor_names};

    #[test]
    fn the_shipped_weights_are_those_of_their_readme_and_all_are_used() {
        let bytes = SHIPPED.to_vec();
        let readme = std::fs::read_to_string(assets().join("README.md")).expect("a README");
        assert!(readme.contains(&sha256_hex(&bytes)), "{} is not in the README", sha256_hex(&bytes));

        let network = shipped(64, &Device::flex());
        let mut used: Vec<String> = checkpoint::shapes(&network).into_iter().map(|(name, _)| name).collect();
        used.sort();
        let stored: Vec<String> = tensor_names(&bytes).unwrap().into_iter().map(|(name, ..)| name).collect();
        assert_eq!(used, stored);
        assert_eq!(network.num_params(), 3_350_000);
    }

    #[test]
    fn sides_the_network_does_not_take_are_refused_with_the_number() {
        for side in [0, 32, 72, 256] {
            let refused = EfficientNetLite0::load(&[], side, &Device::flex()).unwrap_err();
            assert!(matches!(refused, Error::Setting { name: "side", .. }), "{refused}");
            assert!(refused.to_string().contains(&side.to_string()), "{refused}");
        }
    }

    #[test]
    fn a_picture_finds_the_next_side_that_the_network_takes() {
        let sides = [1, 64, 65, 100, 128, 224, 256].map(EfficientNetLite0::side_for);
        assert_eq!(sides, [64, 64, 96, 128, 128, 224, 224]);
    }

    #[test]
    fn maps_have_the_documented_sizes() {
        let features = shipped(96, &Device::flex()).forward(Tensor::zeros([2, 3, 64, 80], &Device::flex()));
        let sizes: Vec<[usize; 4]> = features.stages.iter().map(|map| map.dims()).collect();
        let want = STAGES.iter().zip([48, 24, 12, 6, 6, 3, 3]).map(|(s, side)| [2, s.channels, side, side]);
        assert_eq!(sizes, want.collect::<Vec<_>>());
        assert_eq!(features.pooled.dims(), [2, EfficientNetLite0::POOLED]);
    }
}
