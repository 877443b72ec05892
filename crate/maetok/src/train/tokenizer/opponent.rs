//! The adversarial term of a tokenizer run.

use std::path::{Path, PathBuf};

use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use super::TokenizerTraining;
use super::weights::from_files;
use crate::rng::Rng;
use crate::tokenizer::{TokenizerConfig, VitSize};
use crate::train::adversarial::{
    AdversarialDraws, AdversarialSettings, Adversary, DinoConfig, DinoTrunk, Discriminator, GanLoss, PatchConfig,
};
use crate::train::checks::check_positive;
use crate::train::data::stream;
use crate::train::losses::{adaptive_weight, by_reconstruction};
use crate::train::optimiser::AdamW;
use crate::train::parallel::number;
use crate::{Error, Result};

/// Widest convolution of a patch discriminator.
const MAX_WIDTH: usize = 4096;

/// Who tells reconstructions from pictures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AdversarialKind {
    /// Nobody: there is no adversarial term.
    #[default]
    None,
    /// A few convolutions from scratch, for small pictures.
    Patch,
    /// Heads on a frozen DINO, the official one, with the trunk from a file.
    Dino,
}

/// Settings of the adversarial term; numbers of the official recipe but for the start.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct AdversarialTraining {
    /// Which discriminator.
    pub kind: AdversarialKind,
    /// Weight of both sides' losses.
    pub weight: f64,
    /// First update with an adversarial term; 30,000 in the official recipe.
    pub start: u64,
    /// Multiplies the generator's loss by the factor with which it pulls at the decoder's last layer as hard as pixel
    /// and perceptual term together.
    pub adaptive: bool,
    /// What the discriminator minimises.
    pub loss: GanLoss,
    /// Weight of LeCAM within the discriminator's loss.
    pub lecam: f64,
    /// Weight of the consistency under augmentation; by default 4 for `dino` and 0 for `patch`, see
    /// [`AdversarialSettings::for_patch`].
    pub consistency: Option<f64>,
    /// Highest learning rate of the discriminator, which has the tokenizer's schedule; by default the tokenizer's.
    pub lr: Option<f64>,
    /// Channels after each halving of the picture, of `patch`.
    pub widths: Vec<usize>,
    /// A safetensors file with the trunk under its official keys, of `dino`.
    pub trunk: Option<PathBuf>,
    /// Sizes of the trunk, where it is not the official ViT-S/16.
    pub trunk_config: Option<DinoConfig>,
    /// Optimiser of the discriminator.
    pub adamw: AdamW,
    /// Largest global norm of the discriminator's gradients.
    pub clip: f64,
}

impl Default for AdversarialTraining {
    fn default() -> Self {
        let AdversarialSettings { weight, loss, lecam, adamw, clip, .. } = AdversarialSettings::default();
        Self {
            kind: AdversarialKind::None,
            weight,
            start: 0,
            adaptive: true,
            loss,
            lecam,
            consistency: None,
            lr: None,
            widths: PatchConfig::new().widths,
            trunk: None,
            trunk_config: None,
            adamw,
            clip,
        }
    }
}

impl AdversarialTraining {
    /// The settings of [`Adversary`].
    pub fn settings(&self) -> AdversarialSettings {
        let of_kind = match self.kind {
            AdversarialKind::Dino => AdversarialSettings::default(),
            AdversarialKind::None | AdversarialKind::Patch => AdversarialSettings::for_patch(),
        };
        AdversarialSettings {
            weight: self.weight,
            start: self.start,
            loss: self.loss,
            lecam: self.lecam,
            consistency: self.consistency.unwrap_or(of_kind.consistency),
            adamw: self.adamw,
            clip: self.clip,
        }
    }

    /// `steps`: updates of the run, where time does not bound it.
    pub(super) fn validate(&self, config: &TokenizerConfig, steps: Option<u64>) -> Result<()> {
        if self.kind == AdversarialKind::None {
            return Ok(());
        }
        self.settings().validate()?;
        check_positive(&[("adversarial-lr", self.lr.unwrap_or(1.0))])?;
        if let Some(steps) = steps.filter(|steps| self.start >= *steps) {
            let want = format!("below {steps}, the updates of the run");
            return Err(Error::setting("adversarial-start", self.start, want));
        }
        if self.kind == AdversarialKind::Dino {
            if self.trunk.is_none() {
                return Err(Error::setting(
                    "adversarial",
                    "dino without its trunk",
                    "given the trunk's file, or patch",
                ));
            }
            return self.trunk_config.as_ref().map_or(Ok(()), check_trunk);
        }
        if self.widths.is_empty() || self.widths.iter().any(|width| !(1..=MAX_WIDTH).contains(width)) {
            let want = format!("one or more numbers of channels, from 1 to {MAX_WIDTH} each");
            return Err(Error::setting("adversarial widths", format!("{:?}", self.widths), want));
        }
        let halvings = u32::try_from(self.widths.len()).unwrap_or(u32::MAX);
        if config.image_size.checked_shr(halvings).unwrap_or(0) == 0 {
            let got = format!("patch with {halvings} halvings of {} px", config.image_size);
            return Err(Error::setting("adversarial", got, "one that leaves a pixel of the picture"));
        }
        Ok(())
    }
}

/// Refuses sizes of a trunk that cannot be built.
fn check_trunk(sizes: &DinoConfig) -> Result<()> {
    VitSize { width: sizes.width, depth: sizes.depth, heads: sizes.heads }.check()?;
    if sizes.patch_size == 0 || sizes.image_size == 0 || !sizes.image_size.is_multiple_of(sizes.patch_size) {
        return Err(Error::config("trunk image_size", sizes.image_size, "a multiple of the trunk's patch size"));
    }
    if let Some(block) = sizes.readouts.iter().find(|block| **block >= sizes.depth) {
        return Err(Error::config("trunk readouts", block, format!("below the trunk's {} blocks", sizes.depth)));
    }
    Ok(())
}

/// A discriminator's frozen part, before anything is drawn at random.
#[allow(clippy::large_enum_variant, reason = "there is one of them in a run, and not for long")]
pub enum Trunk {
    None,
    Patch(PatchConfig),
    Dino(DinoTrunk),
}

impl Trunk {
    /// Loads what the settings name onto `device`, an autodiff device.
    ///
    /// # Errors
    /// [`Error::Io`] for a file that cannot be read, [`Error::Training`] for one of another network.
    pub fn load(settings: &AdversarialTraining, device: &Device) -> Result<Self> {
        Ok(match settings.kind {
            AdversarialKind::None => Self::None,
            AdversarialKind::Patch => Self::Patch(PatchConfig::new().with_widths(settings.widths.clone())),
            AdversarialKind::Dino => {
                let sizes = settings.trunk_config.clone().unwrap_or_else(DinoConfig::vit_s16);
                let files: Vec<PathBuf> = settings.trunk.iter().cloned().collect();
                let what = "the trunk of the discriminator";
                Self::Dino(from_files(&files, what, |bytes| sizes.load(bytes[0], device))?)
            }
        })
    }
}

/// The discriminator of a run.
pub struct Opponent {
    adversary: Adversary,
    adaptive: bool,
    /// Its learning rate over the tokenizer's.
    rate: f64,
    seed: u64,
    batch: usize,
    patch_size: usize,
}

/// How the discriminator pulls at a batch of reconstructions.
pub struct Pull {
    /// The generator's loss, without weights.
    pub loss: f64,
    /// The adaptive factor, or 1.
    pub factor: f64,
    /// What both are multiplied by.
    pub weight: f64,
    /// Gradient of the generator's loss by the reconstructions, `[B, 3, H, W]`.
    pub gradient: Tensor<4>,
}

impl Pull {
    /// What the loss counts within the total.
    pub fn scale(&self) -> f64 {
        self.weight * self.factor
    }
}

/// What a batch of the tokenizer shows to the discriminator; none of it has a past.
pub struct Shown {
    /// `[B, 3, H, W]`
    pub picture: Tensor<4>,
    /// `[B, 3, H, W]`
    pub reconstruction: Tensor<4>,
    /// What the decoder's last layer read, `[B, N, D]`.
    pub tokens: Tensor<3>,
    /// Gradient of pixel and weighted perceptual term by the reconstruction, `[B, 3, H, W]`.
    pub gradient: Tensor<4>,
}

impl Shown {
    /// The parts of a batch in their order.
    pub fn side_by_side(parts: Vec<Self>) -> Self {
        let all = |of: fn(&Self) -> &Tensor<4>| Tensor::cat(parts.iter().map(|part| of(part).clone()).collect(), 0);
        Self {
            picture: all(|part| &part.picture),
            reconstruction: all(|part| &part.reconstruction),
            tokens: Tensor::cat(parts.iter().map(|part| part.tokens.clone()).collect(), 0),
            gradient: all(|part| &part.gradient),
        }
    }
}

impl Opponent {
    /// A fresh discriminator on `trunk`, on `device`, an autodiff device.
    ///
    /// # Errors
    /// [`Error::Setting`] for settings that make no sense.
    pub fn new(run: &TokenizerTraining, trunk: Trunk, patch_size: usize, device: &Device) -> Result<Option<Self>> {
        let discriminator = match trunk {
            Trunk::None => return Ok(None),
            Trunk::Patch(sizes) => Discriminator::patch(&sizes, device),
            Trunk::Dino(trunk) => Discriminator::on_trunk(trunk, device),
        };
        let settings = &run.adversarial;
        Ok(Some(Self {
            adversary: Adversary::new(settings.settings(), discriminator, device)?,
            adaptive: settings.adaptive,
            rate: settings.lr.map_or(1.0, |lr| lr / run.schedule.peak),
            seed: run.seed,
            batch: run.batch,
            patch_size,
        }))
    }

    /// Takes over the discriminator of an earlier run, as [`Adversary::take_over`].
    ///
    /// # Errors
    /// [`Error::WeightsMismatch`] if that was another kind of discriminator; nothing has changed then.
    pub fn take_over(&mut self, weights: &[u8]) -> Result<()> {
        self.adversary.take_over(weights)
    }

    /// As it stood at the checkpoint in `folder`.
    ///
    /// # Errors
    /// As [`Adversary::resume`].
    pub fn resume(self, folder: &Path) -> Result<Self> {
        Ok(Self { adversary: self.adversary.resume(folder)?, ..self })
    }

    /// Name and bytes of what a checkpoint needs.
    ///
    /// # Errors
    /// As [`Adversary::files`].
    pub fn files(&self) -> Result<Vec<(&'static str, Vec<u8>)>> {
        self.adversary.files()
    }

    /// Weight of the term at update `step`, 0 before its start.
    pub fn weight_at(&self, step: u64) -> f64 {
        self.adversary.settings().weight_at(step)
    }

    /// Everything random of update `step`, for pictures of `side` pixels.
    pub fn draws(&self, step: u64, side: usize) -> AdversarialDraws {
        self.adversary.draw(&mut Rng::new(self.seed, stream::ADVERSARIAL | step), self.batch, side)
    }

    /// The generator's loss, without weights. Shapes: `fake` `[B, 3, H, H]`; result `[1]`.
    pub fn loss(&self, fake: Tensor<4>, draws: &AdversarialDraws) -> Tensor<1> {
        self.adversary.generator_loss(fake, &draws.generator)
    }

    /// The generator's loss of the whole batch and how it pulls, by the discriminator as it is.
    pub fn pull(&self, shown: &Shown, draws: &AdversarialDraws, weight: f64) -> Pull {
        let reconstruction = Tensor::from_inner(shown.reconstruction.clone());
        let (loss, gradient) = by_reconstruction(&reconstruction, |fake| self.loss(fake, draws));
        let factor = if self.adaptive {
            let (tokens, pixels) = (shown.tokens.clone(), shown.gradient.clone());
            number(adaptive_weight(tokens, pixels, gradient.clone(), self.patch_size))
        } else {
            1.0
        };
        Pull { loss: number(loss), factor, weight, gradient }
    }

    /// One update of the discriminator while the tokenizer's learning rate is `rate`; returns numbers for the log.
    pub fn step(&mut self, shown: Shown, draws: &AdversarialDraws, rate: f64) -> Vec<(&'static str, f64)> {
        let [real, fake] = [shown.picture, shown.reconstruction].map(Tensor::from_inner);
        self.adversary.discriminator_step(real, fake, &draws.discriminator, rate * self.rate)
    }
}
