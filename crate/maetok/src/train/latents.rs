//! The latents a generator learns from: every training picture, and its mirror image where wanted, through the frozen
//! tokenizer, once.

use std::fs;
use std::path::{Path, PathBuf};

use burn::tensor::Device;
use rayon::prelude::*;
use safetensors::SafeTensors;
use serde::{Deserialize, Serialize};

use super::data::{Draw, Pictures};
use super::run_folder::{Kind, RunFolder, read, read_json};
use super::{board, evaluation};
use crate::checkpoint::{self, Storage, sha256_hex};
use crate::tokenizer::{Tokenizer, TokenizerConfig};
use crate::{Error, Result};

/// Pictures encoded at once.
const BATCH: usize = 64;
/// Name of the cache in a run's folder.
const VALUES: &str = "latents.f32";
/// Name of what says whether the cache is still right; a checkpoint has a copy, of what it has learnt.
pub const ABOUT: &str = "latents.json";

/// Name of the tokenizer's configuration with the latents' statistics in a generator's checkpoint.
pub const UNITS: &str = "tokenizer.json";

/// A tokenizer in files.
pub struct Source {
    /// Its folder.
    pub folder: PathBuf,
    /// Its configuration.
    pub config: TokenizerConfig,
    /// Bytes of `model.safetensors`.
    pub weights: Vec<u8>,
}

impl Source {
    /// Finds a tokenizer: in a training run (its newest checkpoint), in a model folder, or in the folder itself.
    ///
    /// # Errors
    /// [`Error::Training`] if there is none or it is a generator's run, [`Error::Config`] if its configuration is wrong.
    pub fn find(path: &Path) -> Result<Self> {
        RunFolder::existing(path).check_kind(Kind::Tokenizer)?;
        let newest = RunFolder::existing(path).latest()?.map(|(_, folder)| folder);
        let folder = newest
            .into_iter()
            .chain([path.to_path_buf(), path.join("tokenizer")])
            .find(|folder| folder.join("model.safetensors").is_file())
            .ok_or_else(|| {
                Error::training(format!(
                    "{} holds no tokenizer (a run, a model folder, or config.json with model.safetensors)",
                    path.display()
                ))
            })?;
        let config = TokenizerConfig::from_json(&read(&folder.join("config.json"))?)?;
        let weights = read(&folder.join("model.safetensors"))?;
        Ok(Self { folder, config, weights })
    }

    /// The tokenizer itself, for inference.
    ///
    /// # Errors
    /// If the weights do not fit the configuration.
    pub fn load(&self, device: &Device) -> Result<Tokenizer> {
        Ok(checkpoint::load(self.config.init(device)?, &[&self.weights])?.0)
    }
}

/// Latents of a set of pictures, in the tokenizer's units.
pub struct Latents {
    /// Values of one picture, `L · C`.
    pub length: usize,
    /// 2 with mirror images, otherwise 1.
    copies: usize,
    /// `[n, copies, L · C]`: each picture, then its mirror image.
    values: Vec<f32>,
    /// Mean over everything that the run began with.
    pub mean: f64,
    /// Standard deviation over everything that the run began with.
    pub std: f64,
}

/// What latents were made from.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct About {
    tokenizer_sha256: String,
    /// Of what makes the latents, exactly; see [`encoder_sha256`].
    #[serde(default)]
    encoder_sha256: String,
    /// The same of the weights as a model folder holds them.
    #[serde(default)]
    encoder_f16_sha256: String,
    pictures_sha256: String,
    length: usize,
    copies: usize,
}

impl About {
    /// Whether both are of the same latents, but for pictures. The decoder may be another: the second stage of a
    /// tokenizer's training changes that alone.
    fn of_same_encoder(&self, other: &Self) -> bool {
        self.tokenizer_sha256 == other.tokenizer_sha256 || self.encoder_sha256 == other.encoder_sha256
    }

    /// Whether both are of the same latents.
    fn of_same_latents(&self, other: &Self) -> bool {
        let of = |about: &Self| (about.pictures_sha256.clone(), about.length, about.copies);
        self.of_same_encoder(other) && of(self) == of(other)
    }
}

/// Whether a generator's `checkpoint` was trained on the latents that this tokenizer makes, or that it made before a
/// model folder rounded it to f16.
///
/// # Errors
/// [`Error::Io`] if `folder` is no such run.
pub fn trained_on(folder: &RunFolder, checkpoint: &Path, source: &Source, tokenizer: &Tokenizer) -> Result<bool> {
    let about: About = read_json(&folder.of_checkpoint(checkpoint, ABOUT))?;
    Ok(about.tokenizer_sha256 == sha256_hex(&source.weights)
        || about.encoder_sha256 == encoder_sha256(tokenizer, Storage::F32)?
        || about.encoder_f16_sha256 == encoder_sha256(tokenizer, Storage::F16)?)
}

/// SHA-256 of the weights that make latents: encoder and `quant_conv` without what only masks need.
fn encoder_sha256(tokenizer: &Tokenizer, storage: Storage) -> Result<String> {
    let bytes = checkpoint::save(tokenizer, storage, &Default::default())?;
    let file = SafeTensors::deserialize(&bytes)
        .map_err(|problem| Error::weights(format!("The tokenizer's weights could not be read back: {problem}")))?;
    let makes_latents =
        |name: &str| (name.starts_with("encoder.") || name.starts_with("quant_conv.")) && name != "encoder.mask_token";
    let mut tensors: Vec<_> = file.iter().filter(|(name, _)| makes_latents(name)).collect();
    tensors.sort_by_key(|(name, _)| *name);
    Ok(sha256_hex(&tensors.iter().flat_map(|(name, view)| [name.as_bytes(), view.data()]).collect::<Vec<_>>().concat()))
}

/// The tokenizer of a generator's checkpoint, with mean and standard deviation of the latents.
///
/// # Errors
/// [`Error::Io`] if `folder` is no such run, [`Error::Config`] if the configuration is wrong.
pub fn units(folder: &RunFolder, checkpoint: &Path) -> Result<TokenizerConfig> {
    TokenizerConfig::from_json(&read(&folder.of_checkpoint(checkpoint, UNITS))?)
}

impl Latents {
    /// Takes the latents from the run's folder if they are those of this tokenizer and these pictures; makes them
    /// and leaves them there otherwise. With `mirror`, every picture comes twice. A run that goes on from `checkpoint`
    /// keeps the encoder and the units that it has learnt with.
    ///
    /// # Errors
    /// [`Error::Io`] if the cache cannot be written; [`Error::Training`] if a latent is no number, or the encoder is
    /// not that of the checkpoint.
    pub fn of_run(
        folder: &RunFolder,
        checkpoint: Option<&Path>,
        source: &Source,
        tokenizer: &Tokenizer,
        pictures: &Pictures,
        (mirror, quiet): (bool, bool),
        device: &Device,
    ) -> Result<(Self, About)> {
        let length = source.config.latent_tokens * source.config.latent_channels;
        let about = About {
            tokenizer_sha256: sha256_hex(&source.weights),
            encoder_sha256: encoder_sha256(tokenizer, Storage::F32)?,
            encoder_f16_sha256: encoder_sha256(tokenizer, Storage::F16)?,
            pictures_sha256: pictures.sha256(),
            length,
            copies: 1 + usize::from(mirror),
        };
        if let Some(checkpoint) = checkpoint {
            let learnt: About = read_json(&folder.of_checkpoint(checkpoint, ABOUT))?;
            if !learnt.of_same_encoder(&about) {
                return Err(Error::training(format!(
                    "The tokenizer in {} is not the one this run was begun with, so its latents are others; go on with a \
                     copy of that one (--tokenizer), or begin a new run",
                    source.folder.display()
                )));
            }
        }
        let latents = Self::cached_or_made(folder, &about, tokenizer, pictures, quiet, device)?;
        Ok((
            match checkpoint {
                Some(checkpoint) => latents.in_units_of(&units(folder, checkpoint)?),
                None => latents,
            },
            about,
        ))
    }

    fn cached_or_made(
        folder: &RunFolder,
        about: &About,
        tokenizer: &Tokenizer,
        pictures: &Pictures,
        quiet: bool,
        device: &Device,
    ) -> Result<Self> {
        let (length, copies) = (about.length, about.copies);
        let cached = read_json::<About>(&folder.path(ABOUT)).ok().filter(|known| known.of_same_latents(about));
        if cached.is_some()
            && let Ok(bytes) = read(&folder.path(VALUES))
            && bytes.len() == pictures.len() * copies * length * 4
        {
            let values =
                bytes.chunks_exact(4).map(|four| f32::from_le_bytes([four[0], four[1], four[2], four[3]])).collect();
            return Self::new(values, length, copies);
        }
        let latents = Self::encode(tokenizer, pictures, length, copies > 1, quiet, device)?;
        let bytes: Vec<u8> = latents.values.iter().flat_map(|value| value.to_le_bytes()).collect();
        // What says that the values are right goes before they do and comes after them.
        let _ = fs::remove_file(folder.path(ABOUT));
        folder.write(VALUES, &bytes)?;
        folder.write_json(ABOUT, about)?;
        Ok(latents)
    }

    /// Encodes every picture, and with `mirror` its mirror image; shows how far it is unless `quiet`.
    ///
    /// # Errors
    /// [`Error::Training`] if a latent is no number.
    pub fn encode(
        tokenizer: &Tokenizer,
        pictures: &Pictures,
        length: usize,
        mirror: bool,
        quiet: bool,
        device: &Device,
    ) -> Result<Self> {
        let sides = if mirror { &[false, true][..] } else { &[false] };
        let both = |index| sides.iter().map(move |mirrored| Draw { index, mirrored: *mirrored });
        let all: Vec<Draw> = (0..pictures.len()).flat_map(both).collect();
        let bar = board::bar(all.len() as u64, "pictures encoded", quiet);
        // A CPU backend spreads matrix products over the cores but computes element by element on one: batches side
        // by side keep all of them busy.
        let encoded: Vec<Vec<f32>> = all
            .par_chunks(BATCH)
            .map(|draws| {
                let encoded = tokenizer.encode(evaluation::tensor(pictures, draws, device), None).into_data();
                bar.inc(draws.len() as u64);
                encoded.try_to_vec().expect("models compute in f32")
            })
            .collect();
        bar.finish_and_clear();
        Self::new(encoded.concat(), length, sides.len())
    }

    fn new(values: Vec<f32>, length: usize, copies: usize) -> Result<Self> {
        let count = values.len().max(1) as f64;
        let mean = values.iter().map(|value| f64::from(*value)).sum::<f64>() / count;
        let variance = values.iter().map(|value| (f64::from(*value) - mean).powi(2)).sum::<f64>() / count;
        if !(variance.is_finite() && variance > 0.0) {
            return Err(Error::training("The tokenizer gives latents that are no numbers, or all the same"));
        }
        Ok(Self { length, copies, values, mean, std: variance.sqrt() })
    }

    /// The same latents with mean and standard deviation of `known`: other pictures do not change what a generator's
    /// numbers mean.
    fn in_units_of(self, known: &TokenizerConfig) -> Self {
        // JSON keeps a number but for its last bit; of the same pictures, every bit is to stay.
        let near = |a: f64, b: f64| (a - b).abs() <= 1e-12 * known.latent_std;
        if near(self.mean, known.latent_mean) && near(self.std, known.latent_std) {
            return self;
        }
        Self { mean: known.latent_mean, std: known.latent_std, ..self }
    }

    /// Writes a picture's latent, normalised to mean 0 and standard deviation 1 over the set that the run began with.
    pub fn normalised(&self, draw: Draw, out: &mut [f32]) {
        let row = self.copies * draw.index + usize::from(draw.mirrored);
        for (out, value) in out.iter_mut().zip(&self.values[row * self.length..][..self.length]) {
            *out = ((f64::from(*value) - self.mean) / self.std) as f32;
        }
    }
}
