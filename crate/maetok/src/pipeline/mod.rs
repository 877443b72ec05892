//! Load, sample, encode, decode, reconstruct: what the page, the command line and every other front call.

mod codec;
mod request;
mod run;

pub use request::{Blend, EARLIEST_START, SampleRequest, Toward};
pub use run::{SampleRun, Step};

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use image::RgbImage;

use crate::checkpoint::{self, Manifest, ModelEntry, ModelFiles, Weights};
use crate::diffusion::{Generator, GeneratorConfig};
use crate::tokenizer::{Tokenizer, TokenizerConfig};
use crate::{Error, Result};

/// A picture and what the tokenizer made of it.
#[derive(Clone, Debug)]
pub struct Reconstruction {
    /// The centre of the picture at the model's size.
    pub original: RgbImage,
    /// The same through encoder and decoder.
    pub reconstruction: RgbImage,
    /// Peak signal-to-noise ratio in dB.
    pub psnr: f64,
    /// Structural similarity, at most 1.
    pub ssim: f64,
    /// The latent in tokenizer units, `[L * C]`.
    pub latents: Vec<f32>,
}

/// A model on a device, ready to be asked.
#[derive(Debug)]
pub struct Pipeline {
    manifest: Manifest,
    tokenizer: Tokenizer,
    config: TokenizerConfig,
    generator: Option<(Generator, GeneratorConfig)>,
    device: Device,
}

impl Pipeline {
    /// Puts a model on `device`, its weights as they ship.
    ///
    /// # Errors
    /// If a configuration or a weights file is wrong: see [`checkpoint::load`].
    pub fn load(files: &ModelFiles, device: &Device) -> Result<Self> {
        Self::load_as(files, device, Weights::AsShipped)
    }

    /// Puts a model on `device`, the matrices of its linear layers as `weights` says.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn load_as(files: &ModelFiles, device: &Device, weights: Weights) -> Result<Self> {
        let Manifest { tokenizer, generator, .. } = &files.manifest;
        let generator = generator.as_ref().map(|entry| files.file(&entry.config)).transpose()?;
        Self::build(&files.manifest, files.file(&tokenizer.config)?, generator, Some((files, weights)), device)
    }

    /// Lets `device` compile what a picture needs, while the weights are on their way: a step and a decoding of the same
    /// networks with one block each and weights of zeros. `configs` are the tokenizer's `config.json` and the generator's.
    ///
    /// # Errors
    /// If a configuration is wrong, or the device fails.
    pub async fn warm_up(manifest: &Manifest, configs: &[Vec<u8>], device: &Device) -> Result<()> {
        let Some((tokenizer, generator)) = configs.split_first() else { return Ok(()) };
        let generator = generator.first().map(Vec::as_slice);
        let pipeline = Self::build(manifest, tokenizer, generator, None, device)?;
        if pipeline.has_generator() {
            let mut run = pipeline.start(SampleRequest::default())?;
            if let Some(step) = pipeline.step(&mut run).await? {
                pipeline.preview(&step).await?;
            }
        }
        Ok(())
    }

    /// The networks of two `config.json`, with the weights of `files`; without, with one block each, of zeros.
    fn build(
        manifest: &Manifest,
        tokenizer: &[u8],
        generator: Option<&[u8]>,
        files: Option<(&ModelFiles, Weights)>,
        device: &Device,
    ) -> Result<Self> {
        let mut config = TokenizerConfig::from_json(tokenizer)?;
        if config.image_size != manifest.image_size {
            let got = format!("{} pixels", config.image_size);
            return Err(Error::config("image_size", got, format!("the {} of the manifest", manifest.image_size)));
        }
        if files.is_none() {
            (config.encoder.depth, config.decoder.depth) = (1, 1);
        }
        let tokenizer = filled(config.init(device)?, files, &manifest.tokenizer)?.settled();
        let generator = match (&manifest.generator, generator) {
            (Some(entry), Some(json)) => {
                let mut generator_config = GeneratorConfig::from_json(json)?;
                check_fit(&config, &generator_config, manifest)?;
                if files.is_none() {
                    generator_config = generator_config.with_depth(1);
                }
                Some((filled(generator_config.init(device)?, files, entry)?, generator_config))
            }
            _ => None,
        };
        Ok(Self { manifest: manifest.clone(), tokenizer, config, generator, device: device.clone() })
    }

    /// What the model folder says of itself.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Side of a picture in pixels.
    pub fn image_size(&self) -> usize {
        self.config.image_size
    }

    /// Latent tokens and their channels, `(L, C)`.
    pub fn latent_shape(&self) -> (usize, usize) {
        (self.config.latent_tokens, self.config.latent_channels)
    }

    /// Whether it can sample, and not only encode and decode.
    pub fn has_generator(&self) -> bool {
        self.generator.is_some()
    }

    /// The networks and where they are, for those who look inside.
    #[cfg(feature = "train")]
    pub(crate) fn networks(&self) -> (&Tokenizer, Option<&Generator>, &Device) {
        (&self.tokenizer, self.generator.as_ref().map(|(generator, _)| generator), &self.device)
    }

    /// Number of image patches, `N`, row by row.
    pub fn patches(&self) -> usize {
        self.config.patches()
    }

    /// Whether patches can be hidden from the encoder: it was trained with a mask.
    pub fn can_hide(&self) -> bool {
        self.config.token_drop.is_some()
    }

    fn generator(&self) -> Result<&(Generator, GeneratorConfig)> {
        self.generator.as_ref().ok_or_else(|| {
            Error::setting("model", &self.manifest.name, "a model with a generator; this one has a tokenizer only")
        })
    }
}

/// The network with the weights of an entry, or of zeros.
fn filled<M: Module>(network: M, files: Option<(&ModelFiles, Weights)>, entry: &ModelEntry) -> Result<M> {
    let Some((files, weights)) = files else { return Ok(checkpoint::blank(network)) };
    let shards: Vec<&[u8]> = entry.weights.iter().map(|path| files.file(path)).collect::<Result<_>>()?;
    Ok(checkpoint::load_as(network, &shards, weights)?.0)
}

fn check_fit(tokenizer: &TokenizerConfig, generator: &GeneratorConfig, manifest: &Manifest) -> Result<()> {
    let latents = (tokenizer.latent_tokens, tokenizer.latent_channels);
    if (generator.tokens(), generator.channels()) != latents {
        let got = format!("{} x {}", generator.tokens(), generator.channels());
        return Err(Error::config("generator latents", got, format!("{} x {}, the tokenizer's", latents.0, latents.1)));
    }
    if generator.classes() != manifest.classes.len() {
        let want = format!("{}, the manifest's", manifest.classes.len());
        return Err(Error::config("num_classes", generator.classes(), want));
    }
    Ok(())
}

async fn read<const D: usize>(tensor: Tensor<D>) -> Result<Vec<f32>> {
    let data = tensor.into_data_async().await.map_err(|e| Error::of_device(&e))?;
    data.convert::<f32>().try_to_vec().map_err(|e| Error::of_device(&e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warming_up_needs_no_weights_and_does_what_a_picture_does() {
        let models = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../assets/models/toon-128");
        let files = ModelFiles::from_folder(&models).unwrap();
        let generator = &files.manifest.generator.as_ref().unwrap().config;
        let configs = [&files.manifest.tokenizer.config, generator].map(|path| files.file(path).unwrap().to_vec());
        for maetok_tests::TestDevice { device, label, .. } in maetok_tests::devices() {
            let before = crate::kernels::launches();
            pollster::block_on(Pipeline::warm_up(&files.manifest, &configs, &device)).unwrap();
            let launched = crate::kernels::launches() - before;
            assert_eq!(launched > 10, label != "cpu", "{launched} dispatches on {label}");
        }
        let [tokenizer, _] = configs;
        let wrong = [tokenizer, b"{}".to_vec()];
        let error = pollster::block_on(Pipeline::warm_up(&files.manifest, &wrong, &Device::flex())).unwrap_err();
        assert_eq!(error.code(), "config");
    }
}
