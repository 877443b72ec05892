//! Pictures to latents and back.

use burn::tensor::{Bool, Tensor, TensorData};
use image::RgbImage;

use super::{Pipeline, Reconstruction, read};
use crate::eval::{psnr, ssim};
use crate::image::{self as picture, Rounding};
use crate::kernels;
use crate::nn::unpatchify;
use crate::{Error, Result};

impl Pipeline {
    /// The latent of a picture of any size, in tokenizer units, `[L * C]`.
    ///
    /// # Errors
    /// If the device fails.
    pub async fn encode(&self, image: &RgbImage) -> Result<Vec<f32>> {
        self.encode_square(&picture::centre_crop(image, self.config.image_size), None).await
    }

    /// The latent of a picture of which the encoder sees only the patches that are not `hidden` `[N]`, row by row.
    ///
    /// # Errors
    /// [`Error::Setting`] if there are not as many flags as patches, or the model was not trained with a mask; if the
    /// device fails.
    pub async fn encode_hiding(&self, image: &RgbImage, hidden: &[bool]) -> Result<Vec<f32>> {
        let patches = self.patches();
        if hidden.len() != patches {
            return Err(Error::setting("hidden", hidden.len(), format!("{patches} flags, one for each patch")));
        }
        if !self.can_hide() && hidden.contains(&true) {
            return Err(Error::setting("hidden", "set", "nothing with this model, which was trained without a mask"));
        }
        self.encode_square(&picture::centre_crop(image, self.config.image_size), Some(hidden)).await
    }

    /// The picture of a latent in tokenizer units, `[L * C]`.
    ///
    /// # Errors
    /// [`Error::Setting`] if the length is not `L * C`; if the device fails.
    pub async fn decode(&self, latents: &[f32]) -> Result<RgbImage> {
        let (tokens, channels) = self.latent_shape();
        if latents.len() != tokens * channels {
            return Err(Error::setting("latents", latents.len(), format!("{} numbers", tokens * channels)));
        }
        self.one_picture(latents, Rounding::Generated).await
    }

    /// The pictures of latents in tokenizer units, `[B * L * C]`.
    ///
    /// # Errors
    /// [`Error::Setting`] if the length is not a multiple of `L * C`; if the device fails.
    pub async fn decode_many(&self, latents: &[f32], rounding: Rounding) -> Result<Vec<RgbImage>> {
        let (tokens, channels) = self.latent_shape();
        let each = tokens * channels;
        if latents.is_empty() || !latents.len().is_multiple_of(each) {
            return Err(Error::setting("latents", latents.len(), format!("{each} numbers for each picture")));
        }
        let z = TensorData::new(latents.to_vec(), [latents.len() / each, tokens, channels]);
        let patches = self.tokenizer.decode_patches(Tensor::<3>::from_data(z, &self.device));
        let (size, side) = (self.config.image_size, self.config.patch_size);
        if let Some(pixels) = kernels::to_rgba8(&patches, side, rounding) {
            let data = pixels.into_data_async().await.map_err(|e| Error::of_device(&e))?;
            let pixels = data.try_to_vec::<i32>().map_err(|e| Error::of_device(&e))?;
            return Ok(pixels.chunks_exact(size * size).map(|one| picture::from_pixels(one, size)).collect());
        }
        let planes = read(unpatchify(patches, side)).await?;
        Ok(planes.chunks_exact(3 * size * size).map(|one| picture::from_planes(one, size, rounding)).collect())
    }

    /// A picture of any size through the tokenizer, with scores.
    ///
    /// # Errors
    /// If the device fails.
    pub async fn reconstruct(&self, image: &RgbImage) -> Result<Reconstruction> {
        let original = picture::centre_crop(image, self.config.image_size);
        let latents = self.encode_square(&original, None).await?;
        let reconstruction = self.one_picture(&latents, Rounding::Reconstructed).await?;
        Ok(Reconstruction {
            psnr: psnr(&original, &reconstruction),
            ssim: ssim(&original, &reconstruction),
            original,
            reconstruction,
            latents,
        })
    }

    /// Latents of the generator in the tokenizer's units: the training set's mean and deviation are put back.
    pub fn tokenizer_units(&self, latents: &[f32]) -> Vec<f32> {
        let (mean, std) = (self.manifest.latent_mean, self.manifest.latent_std);
        latents.iter().map(|x| (f64::from(*x) * std + mean) as f32).collect()
    }

    async fn encode_square(&self, square: &RgbImage, hidden: Option<&[bool]>) -> Result<Vec<f32>> {
        let size = self.config.image_size;
        let planes = TensorData::new(picture::to_planes(square), [1, 3, size, size]);
        let image = Tensor::<4>::from_data(planes, &self.device);
        let hidden = hidden.map(|flags| {
            let flags = TensorData::new(flags.to_vec(), [1, flags.len()]);
            Tensor::<2, Bool>::from_data(flags, &self.device)
        });
        read(self.tokenizer.encode(image, hidden)).await
    }

    /// The picture of one.
    async fn one_picture(&self, latents: &[f32], rounding: Rounding) -> Result<RgbImage> {
        let mut pictures = self.decode_many(latents, rounding).await?;
        Ok(pictures.pop().expect("as many pictures as latents"))
    }
}

#[cfg(test)]
#[path = "codec_tests.rs"]
mod tests;
