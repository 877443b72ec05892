//! Latent tokens in, patch tokens or picture out.
//!
//! The decoder reads `[class | N mask tokens | latents]`. In a MoVQ decoder the raw latents also modulate the rows of
//! the latent tokens in every block. The picture is read from the rows of the mask tokens.
//!
//! Source: Chen et al. 2025, arXiv 2502.03444, section 3; official `TimmViTDecoder`, commit `f4d60a0`. Field names are
//! the checkpoint's keys.
//!
//! Differs from the official code: the last modulation is skipped for the picture, which it cannot reach; the unused
//! patch embedding and position table of the official module are not kept.

use burn::module::{Initializer, Module, Param};
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Tensor, s};

use super::config::{TokenizerConfig, VitSize};
use super::encoder::see_rope;
use super::vit::{Block, FinalNorm, Pass, condition, run_blocks};
use crate::nn::{DropPath, Probe, RopeTable, mixed_frequencies};

/// What the pixel decoder and the auxiliary decoders differ in.
#[derive(Clone, Debug)]
pub(super) struct DecoderLayout {
    pub size: VitSize,
    pub patches: usize,
    pub latent_tokens: usize,
    pub latent_channels: usize,
    pub movq: bool,
    pub class_token: bool,
    pub use_ape: bool,
    pub rope_theta: Option<f64>,
}

impl DecoderLayout {
    /// The pixel decoder of `config`.
    pub fn pixel(config: &TokenizerConfig) -> Self {
        Self {
            size: config.decoder,
            patches: config.patches(),
            latent_tokens: config.latent_tokens,
            latent_channels: config.latent_channels,
            movq: config.decoder_movq,
            class_token: config.decoder_class_token,
            use_ape: config.use_ape,
            rope_theta: config.use_rope.then_some(config.rope_theta),
        }
    }
}

/// See the module text. `to_pixel` is absent in an auxiliary decoder.
#[derive(Module, Debug)]
pub struct Decoder {
    pub(super) model: DecoderVit,
    /// `[1, L, D]`
    pub(super) latent_pos_embed: Param<Tensor<3>>,
    /// `[1, 1, D]`
    pub(super) mask_token: Param<Tensor<3>>,
    /// `[2, depth, A*d/2]`; there with rotary positions.
    pub(super) freqs: Option<Param<Tensor<3>>>,
    pub(super) to_pixel: Option<ToPixel>,
    /// Rotary positions by the frequencies; see [`settle`](Self::settle).
    #[module(skip)]
    settled: Option<RopeTable>,
    patches: usize,
    heads: usize,
}

/// The ViT of a decoder.
#[derive(Module, Debug)]
pub struct DecoderVit {
    /// `[1, 1, D]`
    pub(super) cls_token: Option<Param<Tensor<3>>>,
    /// `[1, N+1, D]`, class token first; there with absolute positions.
    pub(super) pos_embed: Option<Param<Tensor<3>>>,
    pub(super) blocks: Vec<Block>,
    norm: FinalNorm,
}

/// The last linear layer, patch token to pixels.
#[derive(Module, Debug)]
pub struct ToPixel {
    /// `D -> 3*p*p`
    pub(super) model: Linear,
}

impl Decoder {
    /// Fresh weights, as the official code draws them; `pixels` is the number of values of a patch.
    pub(super) fn new(layout: &DecoderLayout, pixels: Option<usize>, device: &Device) -> Self {
        let size = layout.size;
        let token = |rows: usize| Initializer::Normal { mean: 0.0, std: 0.02 }.init([1, rows, size.width], device);
        let block = || match layout.movq {
            true => Block::movq(size, layout.latent_channels, device),
            false => Block::plain(size, 4 * size.width, Some(1e-5), device),
        };
        Self {
            model: DecoderVit {
                cls_token: layout
                    .class_token
                    .then(|| Initializer::Normal { mean: 0.0, std: 1e-6 }.init([1, 1, size.width], device)),
                pos_embed: layout.use_ape.then(|| token(layout.patches + 1)),
                blocks: (0..size.depth).map(|_| block()).collect(),
                norm: match layout.movq {
                    true => FinalNorm::movq(size.width, layout.latent_channels, device),
                    false => FinalNorm::plain(size.width, device),
                },
            },
            latent_pos_embed: token(layout.latent_tokens),
            mask_token: token(1),
            freqs: layout
                .rope_theta
                .map(|theta| mixed_frequencies(size.depth, size.heads, size.width / size.heads, theta, device)),
            to_pixel: pixels.map(|values| ToPixel { model: LinearConfig::new(size.width, values).init(device) }),
            settled: None,
            patches: layout.patches,
            heads: size.heads,
        }
    }

    /// Works out what every pass would work out anew. Parameters must not change from now on.
    pub(super) fn settle(&mut self) {
        self.settled = self.turns();
    }

    fn turns(&self) -> Option<RopeTable> {
        self.freqs.as_ref().map(|freqs| RopeTable::new(freqs.val(), self.heads, self.patches))
    }

    /// All tokens after the last block, with the index of the first image token: `[B, T, D]`.
    fn tokens(
        &self,
        latents: Tensor<3>,
        condition: &Tensor<3>,
        drop_path: Option<&DropPath>,
        probe: &mut impl Probe,
    ) -> (Tensor<3>, usize) {
        let [batch, ..] = latents.dims();
        let mut image = self.mask_token.val().repeat_dim(1, self.patches); // [1, N, D]
        if let Some(cls) = &self.model.cls_token {
            image = Tensor::cat(vec![cls.val(), image], 1); // [1, 1+N, D]
        }
        if let Some(pos_embed) = &self.model.pos_embed {
            image = image + pos_embed.val();
        }
        let first = usize::from(self.model.cls_token.is_some());
        let latents = latents + self.latent_pos_embed.val(); // [B, L, D]
        let x = Tensor::cat(vec![image.repeat_dim(0, batch), latents], 1); // [B, P+N+L, D]
        probe.see("tokens_in", &x);

        let rope = self.settled.clone().or_else(|| self.turns());
        see_rope(&rope, probe);
        let pass = Pass { condition: Some(condition), rope: rope.as_ref(), first, drop_path };
        let x = run_blocks(&self.model.blocks, x, &pass, probe);
        (x, first)
    }

    /// Patch tokens.
    ///
    /// # Shapes
    /// - `latents`: the output of `post_quant_conv`, `[B, L, D]`
    /// - `z`: the raw latents, `[B, L, C]`
    /// - `drop_path`: for `B` pictures and this decoder's depth; `None` outside training
    /// - returns `[B, N, D]`
    pub(super) fn forward(
        &self,
        latents: Tensor<3>,
        z: Tensor<3>,
        drop_path: Option<&DropPath>,
        probe: &mut impl Probe,
    ) -> Tensor<3> {
        let (x, first) = self.tokens(latents, &condition(z), drop_path, probe);
        let image = x.slice(s![.., first..first + self.patches, ..]);
        let image = self.model.norm.forward_image(image); // [B, N, D]
        probe.see("image_tokens", &image);
        image
    }

    /// The norm of all tokens, latents included, after the last block. Nothing uses those rows; the reference has them.
    #[cfg(test)]
    pub(super) fn final_norm(&self, x: Tensor<3>, z: Tensor<3>) -> Tensor<3> {
        self.model.norm.forward(x, Some(&condition(z)))
    }
}
