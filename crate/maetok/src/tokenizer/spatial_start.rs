//! A start for short runs: every latent token begins as a reader of one place in the picture.
//!
//! The official start (positions of std 0.02, LayerScale 1e-5, modulations of zero) makes all latent tokens alike and
//! cuts the decoder off from them: with a modulation of zero and no "1 +", the latent rows enter the first attention as
//! zeros. Half a million updates forgive that; the few thousand of a CPU run do not. Here positions are sinusoids of
//! unit size, latent tokens stand on a coarser grid over the same picture, queries and keys start equal (so that
//! attention starts local), LayerScale starts at 1/2 and modulated rows as a plain layer norm. Nothing is fixed:
//! training moves all of it.

use burn::module::{Initializer, Param};
use burn::tensor::{Device, Distribution, Tensor};

use super::config::{TokenizerConfig, VitSize};
use super::vit::Block;
use super::{AuxiliaryDecoder, AuxiliaryDecoders, Tokenizer};
use crate::nn::pos_embed::sinusoid_2d;

/// Score difference between a token's own place and a far one at the start, before softmax.
const LOCALITY: f64 = 8.0;

impl Tokenizer {
    /// Replaces fresh weights by the start of the module text. Only for a tokenizer that is not trained yet.
    #[must_use]
    pub fn with_spatial_start(mut self, config: &TokenizerConfig) -> Self {
        let device = self.quant_conv.weight.device();
        let places = Places::of(config);
        let width = config.encoder.width;
        self.encoder.model.pos_embed = places.patches(width, &device);
        self.encoder.latent_pos_embed = places.latents(width, &device);
        start_blocks(&mut self.encoder.model.blocks, config.encoder, &device);
        start_decoder(&mut self.decoder, config.decoder, &places, &device);
        self
    }
}

impl AuxiliaryDecoder {
    /// As [`Tokenizer::with_spatial_start`].
    #[must_use]
    pub fn with_spatial_start(mut self, config: &TokenizerConfig, size: VitSize) -> Self {
        let device = self.to_pixel.weight.device();
        start_decoder(&mut self.decoder, size, &Places::of(config), &device);
        self
    }
}

impl AuxiliaryDecoders {
    /// As [`Tokenizer::with_spatial_start`], for decoders of this size.
    #[must_use]
    pub fn with_spatial_start(self, config: &TokenizerConfig, size: VitSize) -> Self {
        let start = |decoder: Option<AuxiliaryDecoder>| decoder.map(|one| one.with_spatial_start(config, size));
        let Self { hog, dino, clip, efficientnet } = self;
        Self { hog: start(hog), dino: start(dino), clip: start(clip), efficientnet: start(efficientnet) }
    }
}

fn start_decoder(decoder: &mut super::Decoder, size: VitSize, places: &Places, device: &Device) {
    if decoder.model.pos_embed.is_some() {
        decoder.model.pos_embed = Some(places.patches(size.width, device));
    }
    decoder.latent_pos_embed = places.latents(size.width, device);
    start_blocks(&mut decoder.model.blocks, size, device);
}

/// Where patches and latent tokens stand, in units of patches.
pub(super) struct Places {
    /// Column and row of every patch.
    pub patches: Vec<[f64; 2]>,
    /// Column and row of every latent token, in general between patches.
    pub latents: Vec<[f64; 2]>,
    /// Columns and rows of the latent tokens' grid.
    pub latent_grid: [usize; 2],
    side: f64,
}

impl Places {
    pub fn of(config: &TokenizerConfig) -> Self {
        let side = (config.image_size / config.patch_size) as f64;
        let grid = |columns: usize, rows: usize| {
            let place = |i: usize, of: usize| (i as f64 + 0.5) * side / of as f64 - 0.5;
            (0..columns * rows).map(|i| [place(i % columns, columns), place(i / columns, rows)]).collect()
        };
        // The most nearly square grid of L places.
        let tokens = config.latent_tokens;
        let columns = (1..=tokens.isqrt()).rev().find(|c| tokens.is_multiple_of(*c)).unwrap_or(1);
        let across = config.image_size / config.patch_size;
        let latent_grid = [columns, tokens / columns];
        Self { patches: grid(across, across), latents: grid(columns, tokens / columns), latent_grid, side }
    }

    /// `[1, N+1, D]`; the class token has no place.
    fn patches(&self, width: usize, device: &Device) -> Param<Tensor<3>> {
        let rows = sinusoid_2d(&self.patches, width, self.side, device);
        let rows = Tensor::cat(vec![Tensor::zeros([1, width], device), rows], 0);
        Param::from_tensor(rows.unsqueeze())
    }

    /// `[1, L, D]`
    fn latents(&self, width: usize, device: &Device) -> Param<Tensor<3>> {
        Param::from_tensor(sinusoid_2d(&self.latents, width, self.side, device).unsqueeze())
    }
}

/// See the module text.
pub(super) fn start_blocks(blocks: &mut [Block], size: VitSize, device: &Device) {
    let VitSize { width, heads, .. } = size;
    let head = (width / heads) as f64;
    let local = (LOCALITY / (head.sqrt() * width as f64)).sqrt();
    let normal = |std: f64| Tensor::<2>::random([width, width], Distribution::Normal(0.0, std), device);
    let lossless = (width as f64).powf(-0.5);
    for block in blocks {
        let query = normal(local);
        let qkv = Tensor::cat(vec![query.clone(), query, normal(lossless)], 1); // [D, 3D]
        block.attn.qkv.weight = Param::from_tensor(qkv);
        block.attn.proj.weight = Param::from_tensor(normal(lossless));
        for scale in [&mut block.ls1, &mut block.ls2].into_iter().flatten() {
            scale.gamma = Initializer::Constant { value: 0.5 }.init([width], device);
        }
        if let Some(bias) = block.ada_ln_modulation.as_mut().and_then(|linear| linear.bias.as_mut()) {
            // shift, scale, shift, scale
            let row = |value: f32| Tensor::<1>::full([width], value, device);
            *bias = Param::from_tensor(Tensor::cat(vec![row(0.0), row(1.0), row(0.0), row(1.0)], 0));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_decoder_reads_the_latents_from_the_first_step() {
        let device = Device::flex();
        let config = TokenizerConfig::toon_64();
        let tokenizer = config.init(&device).unwrap().with_spatial_start(&config);
        let z = Tensor::<3>::random([1, 32, 16], Distribution::Normal(0.0, 1.0), &device);
        let change = (tokenizer.decode(z.clone()) - tokenizer.decode(z * -1.0)).abs().max().into_scalar::<f32>();
        assert!(change > 1e-2, "two latents give nearly one picture: {change}");
    }
}
