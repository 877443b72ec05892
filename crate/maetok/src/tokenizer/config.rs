//! What a tokenizer looks like: the official flat `config.json`, and our presets.

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// Width, depth and heads of a transformer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VitSize {
    /// `D`
    pub width: usize,
    /// Number of blocks.
    pub depth: usize,
    /// `A`; the head size is `D / A`.
    pub heads: usize,
}

impl VitSize {
    /// Checks the bounds of [`MAX_WIDTH`] and [`MAX_DEPTH`].
    ///
    /// # Errors
    /// [`Error::Config`] naming what is out of them.
    pub fn check(&self) -> Result<()> {
        if !(1..=MAX_WIDTH).contains(&self.width) {
            return Err(Error::config("width", self.width, format!("from 1 to {MAX_WIDTH}")));
        }
        if !(1..=MAX_DEPTH).contains(&self.depth) {
            return Err(Error::config("depth", self.depth, format!("from 1 to {MAX_DEPTH} blocks")));
        }
        if self.heads == 0 || !self.width.is_multiple_of(self.heads) {
            return Err(Error::config("heads", self.heads, "a divisor of the width"));
        }
        Ok(())
    }
}

/// Widest network that is built. The bounds are far above every published model; they exist so that a damaged or
/// hostile configuration is answered with a sentence and not with the end of all memory.
pub const MAX_WIDTH: usize = 8192;
/// Most blocks of a network.
pub const MAX_DEPTH: usize = 256;
/// Most patches or latent tokens.
pub const MAX_TOKENS: usize = 65_536;

/// Sizes of a [`Tokenizer`](super::Tokenizer).
///
/// Reads and writes the flat fields of the official `config.json`; sizes that the official code derives from a model
/// name stand beside them as `encoder_size` and `decoder_size`, and win over the name.
#[derive(Clone, Debug, PartialEq)]
pub struct TokenizerConfig {
    /// Side of the square picture in pixels; a multiple of `patch_size`.
    pub image_size: usize,
    /// Side of a patch in pixels.
    pub patch_size: usize,
    /// Number of latent tokens, `L`.
    pub latent_tokens: usize,
    /// Channels of a latent token, `C`.
    pub latent_channels: usize,
    /// The encoder's transformer.
    pub encoder: VitSize,
    /// The decoder's transformer.
    pub decoder: VitSize,
    /// Latents modulate the decoder's blocks ("MoVQ"); otherwise a plain ViT with LayerScale.
    pub decoder_movq: bool,
    /// The decoder has a class token.
    pub decoder_class_token: bool,
    /// Learned absolute positions in the decoder (the encoder always has them).
    pub use_ape: bool,
    /// Learned mixed rotary positions on image tokens, both sides.
    pub use_rope: bool,
    /// Base of the rotary frequencies at initialisation.
    pub rope_theta: f64,
    /// Bounds `lo, hi` of the mask ratio in training; `None` for an autoencoder trained without masks.
    pub token_drop: Option<(f64, f64)>,
    /// A variational posterior (mean and log-variance) instead of the plain latent.
    pub kl: bool,
    /// Mean of the latents over the training pictures.
    pub latent_mean: f64,
    /// Standard deviation of the latents over the training pictures.
    pub latent_std: f64,
}

/// The fields of `config.json` that matter here, under their official names.
#[derive(Serialize, Deserialize)]
struct Flat {
    image_size: usize,
    #[serde(default = "sixteen")]
    enc_patch_size: usize,
    #[serde(default = "sixteen")]
    dec_patch_size: usize,
    num_latent_tokens: usize,
    codebook_embed_dim: usize,
    encoder_model: String,
    decoder_model: String,
    #[serde(default)]
    dec_cls_token: bool,
    #[serde(default)]
    use_ape: bool,
    #[serde(default)]
    use_rope: bool,
    #[serde(default)]
    rope_mixed: bool,
    #[serde(default = "ten")]
    rope_theta: f64,
    #[serde(default = "linear")]
    to_pixel: String,
    #[serde(default)]
    enc_token_drop: f64,
    #[serde(default)]
    enc_token_drop_max: f64,
    #[serde(default)]
    vq_mean: f64,
    #[serde(default = "one")]
    vq_std: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    encoder_size: Option<VitSize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    decoder_size: Option<VitSize>,
    #[serde(default)]
    kl: bool,
}

fn sixteen() -> usize {
    16
}
fn ten() -> f64 {
    10.0
}
fn one() -> f64 {
    1.0
}
fn linear() -> String {
    "linear".to_owned()
}

impl TokenizerConfig {
    /// MAETok-B-128 at `image_size` pixels (256 or 512): ViT-B on both sides, 16-px patches, 128 tokens of 32 channels.
    ///
    /// Source: the specification of the released models (paper, table 7, and the authors' training configuration).
    pub fn base_128(image_size: usize) -> Self {
        let base = VitSize { width: 768, depth: 12, heads: 12 };
        Self {
            image_size,
            patch_size: 16,
            latent_tokens: 128,
            latent_channels: 32,
            encoder: base,
            decoder: base,
            decoder_movq: true,
            decoder_class_token: false,
            use_ape: false,
            use_rope: true,
            rope_theta: 10.0,
            token_drop: Some((0.4, 0.6)),
            kl: false,
            latent_mean: 0.0,
            latent_std: 1.0,
        }
    }

    /// The shipped model for 128-px pictures: small enough to train on a CPU and to download on a phone.
    pub fn toon_128() -> Self {
        Self { image_size: 128, patch_size: 16, latent_tokens: 16, ..Self::toon_64() }
    }

    /// For 64-px pictures, with twice the numbers for a quarter of the pixels.
    pub fn toon_64() -> Self {
        let small = VitSize { width: 192, depth: 4, heads: 4 };
        Self {
            image_size: 64,
            patch_size: 8,
            latent_tokens: 32,
            latent_channels: 16,
            encoder: small,
            decoder: small,
            decoder_class_token: true,
            use_ape: true,
            ..Self::base_128(64)
        }
    }

    /// Number of image patches, `N`.
    pub fn patches(&self) -> usize {
        (self.image_size / self.patch_size).pow(2)
    }

    /// Reads an official flat `config.json`.
    ///
    /// # Errors
    /// [`Error::Config`] if a field is missing or names a variant that is not implemented.
    pub fn from_json(json: &[u8]) -> Result<Self> {
        let flat: Flat = serde_json::from_slice(json)
            .map_err(|e| Error::config("config.json", e, "the flat fields of an official tokenizer configuration"))?;
        if flat.to_pixel != "linear" {
            return Err(Error::config("to_pixel", &flat.to_pixel, "\"linear\""));
        }
        if flat.use_rope && !flat.rope_mixed {
            return Err(Error::config("rope_mixed", false, "true: the axial form never worked in the official code"));
        }
        if flat.enc_patch_size != flat.dec_patch_size {
            return Err(Error::config("dec_patch_size", flat.dec_patch_size, "the same as enc_patch_size"));
        }
        let drop = (flat.enc_token_drop, flat.enc_token_drop_max);
        let config = Self {
            image_size: flat.image_size,
            patch_size: flat.enc_patch_size,
            latent_tokens: flat.num_latent_tokens,
            latent_channels: flat.codebook_embed_dim,
            encoder: flat.encoder_size.map_or_else(|| size_of(&flat.encoder_model), Ok)?,
            decoder: flat.decoder_size.map_or_else(|| size_of(&flat.decoder_model), Ok)?,
            decoder_movq: flat.decoder_model.contains("movq"),
            decoder_class_token: flat.dec_cls_token,
            use_ape: flat.use_ape,
            use_rope: flat.use_rope,
            rope_theta: flat.rope_theta,
            token_drop: (flat.enc_token_drop > 0.0).then_some(drop),
            kl: flat.kl,
            latent_mean: flat.vq_mean,
            latent_std: flat.vq_std,
        };
        config.validate()?;
        Ok(config)
    }

    /// Writes the flat fields; [`from_json`](Self::from_json) reads them back.
    pub fn to_json(&self) -> String {
        let (drop, drop_max) = self.token_drop.unwrap_or((0.0, 0.0));
        let decoder =
            if self.decoder_movq { "vit_base_patch14_dinov2_movqv2" } else { "vit_base_patch14_dinov2.lvd142m" };
        let flat = Flat {
            image_size: self.image_size,
            enc_patch_size: self.patch_size,
            dec_patch_size: self.patch_size,
            num_latent_tokens: self.latent_tokens,
            codebook_embed_dim: self.latent_channels,
            encoder_model: "vit_base_patch14_dinov2.lvd142m".to_owned(),
            decoder_model: decoder.to_owned(),
            dec_cls_token: self.decoder_class_token,
            use_ape: self.use_ape,
            use_rope: self.use_rope,
            rope_mixed: self.use_rope,
            rope_theta: self.rope_theta,
            to_pixel: linear(),
            enc_token_drop: drop,
            enc_token_drop_max: drop_max,
            vq_mean: self.latent_mean,
            vq_std: self.latent_std,
            encoder_size: Some(self.encoder),
            decoder_size: Some(self.decoder),
            kl: self.kl,
        };
        serde_json::to_string_pretty(&flat).expect("a struct of numbers and strings has a JSON form")
    }

    /// Checks that the sizes fit together.
    ///
    /// # Errors
    /// [`Error::Config`] naming the first field that does not.
    pub fn validate(&self) -> Result<()> {
        let divides = |value: usize, by: usize| by > 0 && value > 0 && value.is_multiple_of(by);
        if !divides(self.image_size, self.patch_size) || self.image_size > 4096 {
            return Err(Error::config("image_size", self.image_size, "a multiple of the patch size, at most 4096"));
        }
        if self.patches() > MAX_TOKENS {
            return Err(Error::config(
                "enc_patch_size",
                self.patch_size,
                "larger: that many patches are not supported",
            ));
        }
        for (field, size) in [("encoder heads", self.encoder), ("decoder heads", self.decoder)] {
            size.check()?;
            if !divides(size.width, size.heads) {
                return Err(Error::config(field, size.heads, "a divisor of the width"));
            }
            if self.use_rope && !divides(size.width / size.heads, 4) {
                return Err(Error::config(field, size.heads, "a head size divisible by 4, for rotary positions"));
            }
        }
        if !(1..=MAX_TOKENS).contains(&self.latent_tokens) {
            return Err(Error::config("num_latent_tokens", self.latent_tokens, format!("from 1 to {MAX_TOKENS}")));
        }
        if !(1..=MAX_WIDTH).contains(&self.latent_channels) {
            return Err(Error::config("codebook_embed_dim", self.latent_channels, format!("from 1 to {MAX_WIDTH}")));
        }
        if self.use_ape && !self.decoder_class_token {
            return Err(Error::config(
                "dec_cls_token",
                false,
                "true with use_ape: the position table has a row for it",
            ));
        }
        if let Some((lo, hi)) = self.token_drop
            && !(0.0 < lo && lo <= hi && hi < 1.0)
        {
            return Err(Error::config("enc_token_drop", format!("{lo}..{hi}"), "0 < low <= high < 1"));
        }
        if !(self.latent_mean.is_finite() && self.latent_std.is_finite() && self.latent_std > 0.0) {
            return Err(Error::config("vq_std", self.latent_std, "a positive number, with a finite vq_mean"));
        }
        Ok(())
    }
}

/// Sizes by the names of the official code's model table.
fn size_of(model: &str) -> Result<VitSize> {
    let [width, depth, heads] = match model {
        m if m.starts_with("vit_small") => [384, 12, 6],
        m if m.starts_with("vit_base") => [768, 12, 12],
        m if m.starts_with("vit_large") => [1024, 24, 16],
        m if m.starts_with("vit_tinytiny") => [192, 3, 3],
        _ => return Err(Error::config("encoder_model", model, "vit_small…, vit_base… or vit_large…")),
    };
    Ok(VitSize { width, depth, heads })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_survives_a_round_trip() {
        for config in [TokenizerConfig::base_128(512), TokenizerConfig::toon_128(), TokenizerConfig::toon_64()] {
            assert_eq!(TokenizerConfig::from_json(config.to_json().as_bytes()).unwrap(), config);
        }
    }

    #[test]
    fn a_size_that_does_not_divide_is_named() {
        let config = TokenizerConfig { patch_size: 24, ..TokenizerConfig::toon_64() };
        let message = config.validate().unwrap_err().to_string();
        assert!(message.contains("image_size"), "{message}");
    }

    #[test]
    fn sizes_that_no_machine_holds_are_refused_before_anything_is_made() {
        let small = TokenizerConfig::toon_64();
        let size = small.encoder;
        for (config, field) in [
            (TokenizerConfig { encoder: VitSize { width: 1 << 40, ..size }, ..small.clone() }, "width"),
            (TokenizerConfig { decoder: VitSize { depth: 1_000_000_000, ..size }, ..small.clone() }, "depth"),
            (TokenizerConfig { decoder: VitSize { depth: 0, ..size }, ..small.clone() }, "depth"),
            (TokenizerConfig { encoder: VitSize { heads: 0, ..size }, ..small.clone() }, "heads"),
            (TokenizerConfig { latent_tokens: usize::MAX, ..small.clone() }, "num_latent_tokens"),
            (TokenizerConfig { latent_channels: usize::MAX, ..small.clone() }, "codebook_embed_dim"),
            (TokenizerConfig { image_size: 4096, patch_size: 1, ..small.clone() }, "enc_patch_size"),
        ] {
            let message = config.init(&burn::tensor::Device::flex()).unwrap_err().to_string();
            assert!(message.contains(field), "{field}: {message}");
        }
    }
}
