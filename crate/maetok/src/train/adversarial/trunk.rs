//! The frozen eyes of the discriminator: a DINO ViT that is read at five depths.
//!
//! The picture is normalised as ImageNet's, resized to 224 px (or cropped, if the caller drew a crop), cut into patches;
//! before the first block and after blocks 2, 5, 8 and 11 the patch tokens plus the class token are read out.
//!
//! Source: the published weights `dino_deitsmall16_pretrain` (Caron et al. 2021, arXiv 2104.14294) as MAETok's
//! discriminator reads them. Field names are the checkpoint's keys.
//!
//! Differs from the official code: the statistics of ImageNet are constants, not buffers `x_scale` and `x_shift`; the
//! final norm, which no readout passes, is left out.

use burn::config::Config;
use burn::module::{Initializer, Module, Param};
use burn::tensor::{Device, Tensor, assert_shape, s};

use super::resize::resize;
use crate::nn::{Attention, AttentionConfig, Gelu, LayerNorm, Mlp, MlpConfig, PatchEmbed};
use crate::train::teacher::imagenet_normalised;
use crate::{Result, checkpoint};

const EPSILON: f64 = 1e-6;

/// Sizes of a [`DinoTrunk`].
#[derive(Config, Debug, PartialEq)]
pub struct DinoConfig {
    /// Side of the picture it sees, in pixels.
    pub image_size: usize,
    /// Side of a patch in pixels.
    pub patch_size: usize,
    /// Width, `D`.
    pub width: usize,
    /// Heads, `A`.
    pub heads: usize,
    /// Blocks.
    pub depth: usize,
    /// Index of each block that is read out, beside the start.
    pub readouts: Vec<usize>,
}

impl DinoConfig {
    /// The published ViT-S/16.
    pub fn vit_s16() -> Self {
        Self { image_size: 224, patch_size: 16, width: 384, heads: 6, depth: 12, readouts: vec![2, 5, 8, 11] }
    }

    /// Random weights, frozen: for tests, and as the form that [`load`](Self::load) fills.
    pub fn init(&self, device: &Device) -> DinoTrunk {
        let side = self.image_size / self.patch_size;
        let tokens = |count: usize| Initializer::Normal { mean: 0.0, std: 0.02 }.init([1, count, self.width], device);
        DinoTrunk {
            cls_token: tokens(1),
            pos_embed: tokens(1 + side * side),
            patch_embed: PatchEmbed::new(self.width, self.patch_size, device),
            blocks: (0..self.depth).map(|_| DinoBlock::new(self, device)).collect(),
            image_size: self.image_size,
            readouts: self.readouts.clone(),
        }
        .no_grad()
    }

    /// Published weights under their own keys, as safetensors bytes, frozen.
    ///
    /// The key part of every `attn.qkv.bias` is set to zero, as the official code does: such a bias moves all scores of
    /// a query alike, so it says nothing, but in half precision it costs digits.
    ///
    /// # Errors
    /// [`Error::Weights`](crate::Error::Weights) or [`Error::WeightsMismatch`](crate::Error::WeightsMismatch) if they do
    /// not fit.
    pub fn load(&self, weights: &[u8], device: &Device) -> Result<DinoTrunk> {
        let (mut trunk, _) = checkpoint::load(self.init(device), &[weights])?;
        let width = self.width;
        for block in &mut trunk.blocks {
            block.attn.qkv.bias = block.attn.qkv.bias.take().map(|bias| {
                bias.map(|bias| {
                    let zeros = Tensor::zeros([width], &bias.device());
                    bias.slice_assign(s![width..2 * width], zeros)
                })
            });
        }
        Ok(trunk)
    }
}

/// See the module text. Made by [`DinoConfig`].
#[derive(Module, Debug)]
pub struct DinoTrunk {
    /// `[1, 1, D]`
    pub cls_token: Param<Tensor<3>>,
    /// Class token first, then patches row by row, `[1, 1 + N, D]`.
    pub pos_embed: Param<Tensor<3>>,
    /// Pixels to tokens.
    pub patch_embed: PatchEmbed,
    /// The transformer.
    pub blocks: Vec<DinoBlock>,
    image_size: usize,
    readouts: Vec<usize>,
}

impl DinoTrunk {
    /// Side of the picture it sees, in pixels.
    pub fn image_size(&self) -> usize {
        self.image_size
    }

    /// Width and number of the readouts.
    pub fn readouts(&self) -> (usize, usize) {
        let [.., width] = self.cls_token.dims();
        (width, 1 + self.readouts.len())
    }

    /// What the trunk sees, from shallow to deep.
    ///
    /// # Shapes
    /// `picture` `[B, 3, H, W]` in [-1, 1]; `crop` row and column of a square of the trunk's size to look at instead of
    /// the whole; every readout `[B, D, N]`.
    ///
    /// # Panics
    /// If the crop does not lie within the picture.
    pub fn forward(&self, picture: Tensor<4>, crop: Option<[usize; 2]>) -> Vec<Tensor<3>> {
        let [batch, _, height, width] = picture.dims();
        assert_shape!(picture, [batch, 3, height, width]);
        let side = self.image_size;
        let picture = imagenet_normalised(picture);
        let picture = match crop {
            Some([row, column]) => {
                let inside = row + side <= height && column + side <= width;
                assert!(inside, "a {side} px crop at row {row}, column {column} of a {height} × {width} picture");
                picture.slice(s![.., .., row..row + side, column..column + side])
            }
            None => resize(picture, side),
        }; // [B, 3, side, side]
        let patches = self.patch_embed.forward(picture); // [B, N, D]
        let class = self.cls_token.val().repeat_dim(0, batch); // [B, 1, D]
        let mut x = Tensor::cat(vec![class, patches], 1) + self.pos_embed.val(); // [B, 1 + N, D]
        let mut seen = vec![readout(&x)];
        for (index, block) in self.blocks.iter().enumerate() {
            x = block.forward(x);
            if self.readouts.contains(&index) {
                seen.push(readout(&x));
            }
        }
        seen
    }
}

/// `[B, 1 + N, D] -> [B, D, N]`: each patch token plus the class token.
fn readout(x: &Tensor<3>) -> Tensor<3> {
    let class = x.clone().slice(s![.., ..1, ..]);
    (x.clone().slice(s![.., 1.., ..]) + class).swap_dims(1, 2)
}

/// One block of the transformer.
#[derive(Module, Debug)]
pub struct DinoBlock {
    norm1: LayerNorm,
    attn: Attention,
    norm2: LayerNorm,
    mlp: Mlp,
}

impl DinoBlock {
    fn new(config: &DinoConfig, device: &Device) -> Self {
        let width = config.width;
        let norm = || LayerNorm::new(width, EPSILON, device);
        Self {
            norm1: norm(),
            attn: AttentionConfig::new(width, config.heads).init(device),
            norm2: norm(),
            mlp: MlpConfig::new(width, 4 * width, Gelu::Tanh).init(device),
        }
    }

    /// `[B, T, D] -> [B, T, D]`
    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let x = x.clone() + self.attn.forward(self.norm1.forward(x), None, &mut ());
        x.clone() + self.mlp.forward(self.norm2.forward(x))
    }
}
