//! Shallow decoders that predict features instead of pixels, for training only.
//!
//! Each is the MoVQ decoder in small, with its own `post_quant_conv` and a linear head to the target's size. They make
//! the latent keep what the features ask for (MAETok, section 3; specification 3).

use burn::config::Config;
use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Tensor};

use super::config::{TokenizerConfig, VitSize};
use super::decoder::{Decoder, DecoderLayout};

/// Sizes of an [`AuxiliaryDecoder`].
#[derive(Config, Debug)]
pub struct AuxiliaryDecoderConfig {
    /// Values per patch of the target; HOG has `27 (p/8)^2`.
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
        let latents = self.post_quant_conv.forward(z.clone());
        self.to_pixel.forward(self.decoder.forward(latents, z, &mut ()))
    }
}
