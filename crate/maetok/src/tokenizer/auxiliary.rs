//! Shallow decoders that predict features instead of pixels, for training only.
//!
//! Each is the MoVQ decoder in small, with its own `post_quant_conv` and a linear head to the target's size. They make
//! the latent keep what the features ask for.
//!
//! Source: Chen et al. 2025, arXiv 2502.03444, section 3; official `MaskAEModel`, commit `f4d60a0`.
//!
//! Differs from the official code: the 1000-class head that hangs unused on every auxiliary decoder is not kept; there
//! is a fourth target.

use burn::config::Config;
use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use super::config::{TokenizerConfig, VitSize};
use super::decoder::{Decoder, DecoderLayout};
use crate::nn::exact;

/// What an auxiliary decoder predicts for every patch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TargetKind {
    /// Histograms of oriented gradients.
    Hog,
    /// Patch tokens of DINOv2.
    Dino,
    /// Patch tokens of SigLIP; the official code calls it clip.
    Clip,
    /// Patch features of EfficientNet-Lite0, which is at hand where the two above are not; not in the official code.
    EfficientNet,
}

impl TargetKind {
    /// Those of the official code, in its order.
    pub const OFFICIAL: [Self; 3] = [Self::Hog, Self::Dino, Self::Clip];
    /// All kinds.
    pub const ALL: [Self; 4] = [Self::Hog, Self::Dino, Self::Clip, Self::EfficientNet];

    /// The name by which checkpoints, logs and settings call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Hog => "hog",
            Self::Dino => "dino",
            Self::Clip => "clip",
            Self::EfficientNet => "efficientnet",
        }
    }
}

/// Sizes of an [`AuxiliaryDecoder`].
#[derive(Config, Debug)]
pub struct AuxiliaryDecoderConfig {
    /// Values per patch of the target; HOG has `27 (p/8)^2`, a teacher its width.
    pub target: usize,
    /// Width, `D`.
    #[config(default = 192)]
    pub width: usize,
    /// Blocks; 3 is the paper's best.
    #[config(default = 3)]
    pub depth: usize,
    /// Heads.
    #[config(default = 3)]
    pub heads: usize,
    /// A class token in front, as the official default.
    #[config(default = true)]
    pub class_token: bool,
}

impl AuxiliaryDecoderConfig {
    /// Fresh weights for latents and patches of `tokenizer`.
    pub fn init(&self, tokenizer: &TokenizerConfig, device: &Device) -> AuxiliaryDecoder {
        let layout = DecoderLayout {
            size: VitSize { width: self.width, depth: self.depth, heads: self.heads },
            movq: true,
            class_token: self.class_token,
            use_ape: tokenizer.use_ape && self.class_token,
            ..DecoderLayout::pixel(tokenizer)
        };
        let uniform = |input, output| LinearConfig::new(input, output).init(device);
        AuxiliaryDecoder {
            post_quant_conv: uniform(tokenizer.latent_channels, self.width),
            decoder: Decoder::new(&layout, None, device),
            to_pixel: uniform(self.width, self.target),
        }
    }
}

/// See the module text. Made by [`AuxiliaryDecoderConfig::init`].
#[derive(Module, Debug)]
pub struct AuxiliaryDecoder {
    post_quant_conv: Linear,
    pub(super) decoder: Decoder,
    pub(super) to_pixel: Linear,
}

impl AuxiliaryDecoder {
    /// `[B, L, C] -> [B, N, target]`.
    pub fn forward(&self, z: Tensor<3>) -> Tensor<3> {
        exact(&self.to_pixel, self.tokens(z))
    }

    /// What the linear head reads, `[B, L, C] -> [B, N, D]`.
    pub(crate) fn tokens(&self, z: Tensor<3>) -> Tensor<3> {
        let latents = exact(&self.post_quant_conv, z.clone());
        self.decoder.forward(latents, z, None, &mut ())
    }
}

/// The auxiliary decoders of a training run: any of the four, or none for a plain autoencoder.
///
/// In a file their parts stand side by side with the target's name at their end, as in the official checkpoints:
/// `decoder_hog.…`, `post_quant_conv_hog.…`, `to_pixel_hog.…`.
#[derive(Module, Debug)]
pub struct AuxiliaryDecoders {
    /// Predicts [`TargetKind::Hog`].
    pub hog: Option<AuxiliaryDecoder>,
    /// Predicts [`TargetKind::Dino`].
    pub dino: Option<AuxiliaryDecoder>,
    /// Predicts [`TargetKind::Clip`].
    pub clip: Option<AuxiliaryDecoder>,
    /// Predicts [`TargetKind::EfficientNet`].
    pub efficientnet: Option<AuxiliaryDecoder>,
}

impl AuxiliaryDecoders {
    /// The decoders that `make` gives.
    pub fn new(mut make: impl FnMut(TargetKind) -> Option<AuxiliaryDecoder>) -> Self {
        let [hog, dino, clip, efficientnet] = TargetKind::ALL.map(&mut make);
        Self { hog, dino, clip, efficientnet }
    }

    /// The decoder that predicts `kind`.
    pub fn get(&self, kind: TargetKind) -> Option<&AuxiliaryDecoder> {
        match kind {
            TargetKind::Hog => self.hog.as_ref(),
            TargetKind::Dino => self.dino.as_ref(),
            TargetKind::Clip => self.clip.as_ref(),
            TargetKind::EfficientNet => self.efficientnet.as_ref(),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        TargetKind::ALL.iter().all(|kind| self.get(*kind).is_none())
    }
}
