//! Picture in, latent tokens out.
//!
//! One plain ViT reads `[class | patches | latent tokens]`; only the latent rows leave. In training some patches are
//! replaced by `mask_token` before positions are added, so a hidden patch still knows where it was.
//!
//! Source: Chen et al. 2025, arXiv 2502.03444, section 3; official `TimmViTEncoder`, commit `f4d60a0`. Field names are
//! the checkpoint's keys.
//!
//! Differs from the official code: square pictures only; masks are passed in, not drawn inside.

use burn::module::{Initializer, Module, Param};
use burn::tensor::{Bool, Device, Tensor, s};

use super::config::TokenizerConfig;
use super::vit::{Block, FinalNorm, Pass, run_blocks};
use crate::nn::{PatchEmbed, Probe, RopeTable, mixed_frequencies};

/// See the module text.
#[derive(Module, Debug)]
pub struct Encoder {
    pub(super) model: EncoderVit,
    /// `[1, L, D]`
    pub(super) latent_tokens: Param<Tensor<3>>,
    /// `[1, L, D]`
    pub(super) latent_pos_embed: Param<Tensor<3>>,
    /// `[1, 1, D]`; there if the model was trained with masks.
    pub(super) mask_token: Option<Param<Tensor<3>>>,
    /// `[2, depth, A*d/2]`; there with rotary positions.
    pub(super) freqs: Option<Param<Tensor<3>>>,
    /// Rotary positions by those frequencies; see [`settle`](Self::settle).
    #[module(skip)]
    settled: Option<RopeTable>,
    heads: usize,
}

/// The ViT of the encoder.
#[derive(Module, Debug)]
pub struct EncoderVit {
    pub(super) patch_embed: PatchEmbed,
    /// `[1, 1, D]`
    pub(super) cls_token: Param<Tensor<3>>,
    /// `[1, N+1, D]`, class token first. Added even with rotary positions: the released weights were made so.
    pub(super) pos_embed: Param<Tensor<3>>,
    pub(super) blocks: Vec<Block>,
    norm: FinalNorm,
}

impl Encoder {
    /// Fresh weights, as the official code draws them.
    pub(super) fn new(config: &TokenizerConfig, device: &Device) -> Self {
        let size = config.encoder;
        let token = |rows: usize| Initializer::Normal { mean: 0.0, std: 0.02 }.init([1, rows, size.width], device);
        Self {
            model: EncoderVit {
                patch_embed: PatchEmbed::new(size.width, config.patch_size, device),
                cls_token: Initializer::Normal { mean: 0.0, std: 1e-6 }.init([1, 1, size.width], device),
                pos_embed: token(config.patches() + 1),
                blocks: (0..size.depth).map(|_| Block::plain(size, 4 * size.width, Some(1e-5), device)).collect(),
                norm: FinalNorm::plain(size.width, device),
            },
            latent_tokens: token(config.latent_tokens),
            latent_pos_embed: token(config.latent_tokens),
            mask_token: config.token_drop.map(|_| token(1)),
            freqs: config
                .use_rope
                .then(|| mixed_frequencies(size.depth, size.heads, size.width / size.heads, config.rope_theta, device)),
            settled: None,
            heads: size.heads,
        }
    }

    /// Works out what every pass would work out anew. Parameters must not change from now on.
    pub(super) fn settle(&mut self) {
        self.model.patch_embed.settle();
        let [_, tokens, _] = self.model.pos_embed.dims();
        self.settled = self.turns(tokens - 1);
    }

    /// Rotary positions of a picture of so many patches.
    fn turns(&self, patches: usize) -> Option<RopeTable> {
        self.freqs.as_ref().map(|freqs| RopeTable::new(freqs.val(), self.heads, patches))
    }

    /// # Shapes
    /// - `image`: `[B, 3, H, W]`, values in `[-1, 1]`
    /// - `hidden`: `[B, N]`, true where a patch is masked
    /// - returns `[B, L, D]`
    pub(super) fn forward(
        &self,
        image: Tensor<4>,
        hidden: Option<Tensor<2, Bool>>,
        probe: &mut impl Probe,
    ) -> Tensor<3> {
        let patches = self.model.patch_embed.forward(image); // [B, N, D]
        probe.see("patch_embed", &patches);
        let [batch, count, _] = patches.dims();

        let cls = self.model.cls_token.val().repeat_dim(0, batch);
        let x = Tensor::cat(vec![cls, self.hide(patches, hidden)], 1); // [B, 1+N, D]
        let x = x + self.model.pos_embed.val();
        let latents = self.latent_tokens.val() + self.latent_pos_embed.val(); // [1, L, D]
        let [_, latent_count, _] = latents.dims();
        let x = Tensor::cat(vec![x, latents.repeat_dim(0, batch)], 1); // [B, 1+N+L, D]
        probe.see("tokens_in", &x);

        let rope = self.settled.clone().or_else(|| self.turns(count));
        see_rope(&rope, probe);
        let pass = Pass { rope: rope.as_ref(), first: 1, ..Pass::default() };
        let x = run_blocks(&self.model.blocks, x, &pass, probe); // [B, 1+N+L, D]
        let x = self.model.norm.forward(x, None);
        probe.see("norm", &x);
        let [_, tokens, _] = x.dims();
        let x = x.slice(s![.., tokens - latent_count.., ..]); // [B, L, D]
        probe.see("out", &x);
        x
    }

    /// Puts `mask_token` where `hidden` is true. Before positions are added: see the module text.
    fn hide(&self, patches: Tensor<3>, hidden: Option<Tensor<2, Bool>>) -> Tensor<3> {
        let (Some(hidden), Some(token)) = (hidden, &self.mask_token) else {
            return patches;
        };
        let [batch, count, width] = patches.dims();
        let hidden = hidden.unsqueeze_dim::<3>(2).expand([batch, count, width]);
        patches.mask_where(hidden, token.val().expand([batch, count, width]))
    }
}

/// Shows the whole rotary table of one side.
pub(super) fn see_rope(rope: &Option<RopeTable>, probe: &mut impl Probe) {
    if let Some(rope) = rope {
        probe.enter("rope_all", None);
        probe.see("cos", &rope.cos);
        probe.see("sin", &rope.sin);
        probe.exit();
    }
}
