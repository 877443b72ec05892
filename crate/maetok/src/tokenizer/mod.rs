//! The MAETok tokenizer: picture to `L` latent tokens of `C` channels, and back.
//!
//! A plain autoencoder, neither variational nor quantised; masking in training is what gives the latent its structure.
//!
//! Source: Chen et al. 2025, arXiv 2502.03444; official `AEModel` and `KLModel`, commit `f4d60a0`.

pub mod auxiliary;
pub mod config;
mod decoder;
mod encoder;
#[cfg(feature = "train")]
mod least_squares;
#[cfg(feature = "train")]
mod linear_start;
pub mod masking;
#[cfg(feature = "train")]
mod spatial_start;
pub(crate) mod vit;

#[cfg(test)]
mod parity;
#[cfg(all(test, feature = "train"))]
pub(crate) use parity::hash_weights_but;
#[cfg(test)]
pub(crate) use parity::{check_statistics, config as reference_config, hash_weights};

pub use auxiliary::{AuxiliaryDecoder, AuxiliaryDecoderConfig, AuxiliaryDecoders, TargetKind};
pub use config::{MAX_DEPTH, MAX_TOKENS, MAX_WIDTH, TokenizerConfig, VitSize};

use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Bool, Device, Tensor, assert_shape, s};

use self::decoder::{Decoder, DecoderLayout};
use self::encoder::Encoder;
use crate::Result;
use crate::nn::{DropPath, Probe, exact, unpatchify};

impl TokenizerConfig {
    /// Builds a tokenizer with fresh weights, drawn as the official code draws them.
    ///
    /// # Errors
    /// [`crate::Error::Config`] if the sizes do not fit together.
    pub fn init(&self, device: &Device) -> Result<Tokenizer> {
        self.validate()?;
        let VitSize { width: encoder_width, .. } = self.encoder;
        let VitSize { width: decoder_width, .. } = self.decoder;
        let latent_values = if self.kl { 2 * self.latent_channels } else { self.latent_channels };
        let pixels = 3 * self.patch_size * self.patch_size;
        Ok(Tokenizer {
            encoder: Encoder::new(self, device),
            quant_conv: LinearConfig::new(encoder_width, latent_values).init(device),
            post_quant_conv: LinearConfig::new(self.latent_channels, decoder_width).init(device),
            decoder: Decoder::new(&DecoderLayout::pixel(self), Some(pixels), device),
            image_size: self.image_size,
            patch_size: self.patch_size,
            kl: self.kl,
        })
    }
}

/// See the module text. Made by [`TokenizerConfig::init`].
#[derive(Module, Debug)]
pub struct Tokenizer {
    encoder: Encoder,
    quant_conv: Linear,
    post_quant_conv: Linear,
    decoder: Decoder,
    image_size: usize,
    patch_size: usize,
    kl: bool,
}

/// Posterior of the variational variant; each `[B, L, C]`.
#[derive(Clone, Debug)]
pub struct Posterior {
    /// Mean.
    pub mean: Tensor<3>,
    /// Logarithm of the variance, clamped to `[-30, 20]`.
    pub log_variance: Tensor<3>,
}

impl Posterior {
    /// `mean + exp(log_variance / 2) * noise`, with standard normal `noise` `[B, L, C]`.
    pub fn sample(&self, noise: Tensor<3>) -> Tensor<3> {
        self.mean.clone() + (self.log_variance.clone() * 0.5).exp() * noise
    }

    /// Kullback–Leibler divergence from the standard normal law, summed over tokens and channels: `[B]`.
    pub fn kl(&self) -> Tensor<1> {
        let terms = self.mean.clone().square() + self.log_variance.clone().exp() - 1.0 - self.log_variance.clone();
        let [batch, tokens, channels] = terms.dims();
        (terms.reshape([batch, tokens * channels]).sum_dim(1) * 0.5).squeeze_dim(1)
    }
}

impl Tokenizer {
    /// Works out, once, what every pass would work out anew: rotary positions, the patches' weights as a matrix. For
    /// inference, since parameters must not change afterwards.
    #[must_use]
    pub fn settled(mut self) -> Self {
        self.encoder.settle();
        self.decoder.settle();
        self
    }

    /// Side of a patch in pixels.
    pub fn patch_size(&self) -> usize {
        self.patch_size
    }

    /// Encodes pictures; the variational variant gives its mean.
    ///
    /// # Shapes
    /// - `image`: `[B, 3, H, W]`, values in `[-1, 1]`
    /// - `hidden`: `[B, N]`, true where a patch is masked; `None` outside training
    /// - returns `[B, L, C]`
    ///
    /// # Panics
    /// If `image` is not `[_, 3, image_size, image_size]`.
    pub fn encode(&self, image: Tensor<4>, hidden: Option<Tensor<2, Bool>>) -> Tensor<3> {
        self.encode_probed(image, hidden, &mut ())
    }

    /// [`encode`](Self::encode), showing its stages to `probe`.
    pub fn encode_probed(
        &self,
        image: Tensor<4>,
        hidden: Option<Tensor<2, Bool>>,
        probe: &mut impl Probe,
    ) -> Tensor<3> {
        let values = self.quantised(image, hidden, probe);
        let z = if self.kl { split(values).mean } else { values };
        probe.see("z", &z);
        z
    }

    /// The posterior of the variational variant; a plain tokenizer has none.
    ///
    /// # Shapes
    /// As [`encode`](Self::encode).
    pub fn posterior(&self, image: Tensor<4>) -> Option<Posterior> {
        self.kl.then(|| split(self.quantised(image, None, &mut ())))
    }

    fn quantised(&self, image: Tensor<4>, hidden: Option<Tensor<2, Bool>>, probe: &mut impl Probe) -> Tensor<3> {
        assert_shape!(image, [_, 3, self.image_size, self.image_size]);
        probe.enter("enc", None);
        let h = self.encoder.forward(image, hidden, probe); // [B, L, D]
        probe.exit();
        let values = exact(&self.quant_conv, h); // [B, L, C] or [B, L, 2C]
        probe.see("quant_out", &values);
        values
    }

    /// Decodes latents in the tokenizer's units (see specification 4.5 for the generator's).
    ///
    /// # Shapes
    /// - `z`: `[B, L, C]`
    /// - returns `[B, 3, H, W]`, about `[-1, 1]`, not squashed
    pub fn decode(&self, z: Tensor<3>) -> Tensor<4> {
        self.decode_probed(z, &mut ())
    }

    /// [`decode`](Self::decode), showing its stages to `probe`.
    pub fn decode_probed(&self, z: Tensor<3>, probe: &mut impl Probe) -> Tensor<4> {
        probe.enter("dec", None);
        let tokens = self.tokens(z, None, probe);
        let picture = self.picture(tokens, probe);
        probe.exit();
        picture
    }

    /// [`decode`](Self::decode) before the patches are put together: `[B, N, 3*p*p]`, inside a patch
    /// `(row * p + column) * 3 + channel`.
    pub fn decode_patches(&self, z: Tensor<3>) -> Tensor<3> {
        let tokens = self.tokens(z, None, &mut ());
        self.patches(tokens, &mut ())
    }

    /// What the decoder's last layer reads: patch tokens `[B, N, D]` of latents `z` `[B, L, C]`.
    ///
    /// `drop_path`, drawn for `B` pictures and the decoder's depth, is for training.
    pub fn decode_tokens(&self, z: Tensor<3>, drop_path: Option<&DropPath>) -> Tensor<3> {
        self.tokens(z, drop_path, &mut ())
    }

    /// The decoder's last layer: patch tokens `[B, N, D]` to the picture `[B, 3, H, W]`.
    pub fn picture_of_tokens(&self, tokens: Tensor<3>) -> Tensor<4> {
        self.picture(tokens, &mut ())
    }

    fn tokens(&self, z: Tensor<3>, drop_path: Option<&DropPath>, probe: &mut impl Probe) -> Tensor<3> {
        let latents = exact(&self.post_quant_conv, z.clone()); // [B, L, D]
        probe.see("post_quant", &latents);
        self.decoder.forward(latents, z, drop_path, probe) // [B, N, D]
    }

    fn picture(&self, tokens: Tensor<3>, probe: &mut impl Probe) -> Tensor<4> {
        unpatchify(self.patches(tokens, probe), self.patch_size)
    }

    fn patches(&self, tokens: Tensor<3>, probe: &mut impl Probe) -> Tensor<3> {
        let to_pixel = self.decoder.to_pixel.as_ref().expect("the pixel decoder has its last layer");
        let pixels = exact(&to_pixel.model, tokens); // [B, N, 3*p*p]
        probe.see("pixels_flat", &pixels);
        pixels
    }
}

fn split(values: Tensor<3>) -> Posterior {
    let [_, _, both] = values.dims();
    Posterior {
        mean: values.clone().slice(s![.., .., ..both / 2]),
        log_variance: values.slice(s![.., .., both / 2..]).clamp(-30.0, 20.0),
    }
}
