//! The generator's opponent in a run: a discriminator with its optimiser, its memory and its settings.

use std::collections::BTreeMap;
use std::path::Path;

use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use super::augment::AugmentPolicy;
use super::discriminator::{Discriminator, PassDraws};
use super::lecam::LeCam;
use super::losses::{GanLoss, consistency};
use super::untracked;
use crate::rng::Rng;
use crate::train::checks::{check_not_negative, check_positive};
use crate::train::optimiser::{AdamW, Optimiser, clip_by_global_norm, with_stable_ids};
use crate::train::parallel::number;
use crate::train::run_folder::read;
use crate::{Error, Result, checkpoint};

/// Name of the file with discriminator and running means in a checkpoint.
pub const WEIGHTS: &str = "discriminator.safetensors";
/// Name of the file with the optimiser's state.
const OPTIMISER: &str = "discriminator.optimiser.safetensors";

/// Settings of the adversarial part; the defaults are MAETok's, for its DINO discriminator.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct AdversarialSettings {
    /// Weight of both sides' losses, before the adaptive factor.
    pub weight: f64,
    /// First update with an adversarial part.
    pub start: u64,
    /// What the discriminator minimises.
    pub loss: GanLoss,
    /// Weight of LeCAM within the discriminator's loss.
    pub lecam: f64,
    /// Weight of the consistency under augmentation; 0 saves the two passes that it needs.
    pub consistency: f64,
    /// Optimiser of the discriminator.
    pub adamw: AdamW,
    /// Largest global norm of the discriminator's gradients.
    pub clip: f64,
}

impl Default for AdversarialSettings {
    fn default() -> Self {
        Self {
            weight: 0.4,
            start: 30_000,
            loss: GanLoss::Hinge,
            lecam: 0.001,
            consistency: 4.0,
            adamw: AdamW { beta_1: 0.9, beta_2: 0.95, epsilon: 1e-8, weight_decay: 1e-4, muon: None },
            clip: 1.0,
        }
    }
}

impl AdversarialSettings {
    /// MAETok's numbers without the consistency, for a patch discriminator.
    ///
    /// Its logits are local, and strong augmentation blanks or moves what they see: to ask for the same logits is to ask
    /// for no opinion. Noise against plain pictures at a rate of 0.002: with the consistency the hinge loss is 0.88 after
    /// 60 updates, without it 0.04.
    pub fn for_patch() -> Self {
        Self { consistency: 0.0, ..Self::default() }
    }

    /// Weight of the adversarial losses at update `step`: 0 before the start.
    pub fn weight_at(&self, step: u64) -> f64 {
        if step < self.start { 0.0 } else { self.weight }
    }

    /// Checks the numbers.
    ///
    /// # Errors
    /// [`Error::Setting`] for one that makes no sense.
    pub fn validate(&self) -> Result<()> {
        check_positive(&[("adversarial-weight", self.weight), ("adversarial-clip", self.clip)])?;
        self.adamw.validate()?;
        if let Some(memory) = self.adamw.muon {
            let want = "left out: none of the discriminator's layers is for Muon";
            return Err(Error::setting("adversarial.adamw.muon", memory, want));
        }
        check_not_negative(&[("lecam", self.lecam), ("consistency", self.consistency)])
    }
}

/// Everything that is drawn for one update of both sides.
#[derive(Clone, Debug, PartialEq)]
pub struct AdversarialDraws {
    /// For the generator's loss.
    pub generator: PassDraws,
    /// For the discriminator's loss.
    pub discriminator: DiscriminatorDraws,
}

/// What is drawn for one update of the discriminator: four independent augmentations.
#[derive(Clone, Debug, PartialEq)]
pub struct DiscriminatorDraws {
    /// Real pictures.
    pub real: PassDraws,
    /// Generated pictures.
    pub fake: PassDraws,
    /// Real pictures under strong augmentation, for the consistency.
    pub real_strong: PassDraws,
    /// Generated pictures under strong augmentation.
    pub fake_strong: PassDraws,
}

/// See the module text.
///
/// A training step is: [`draw`](Self::draw), [`generator_loss`](Self::generator_loss) times the weight and the
/// [adaptive factor](super::losses::adaptive_weight) added to the generator's loss, the generator's update, then
/// [`discriminator_step`](Self::discriminator_step) with the same pictures.
pub struct Adversary {
    settings: AdversarialSettings,
    discriminator: Discriminator,
    lecam: LeCam,
    optimiser: Optimiser,
}

impl Adversary {
    /// Starts with `discriminator`, which was made on `device`, an autodiff device.
    ///
    /// # Errors
    /// [`Error::Setting`] for settings that make no sense.
    pub fn new(settings: AdversarialSettings, discriminator: Discriminator, device: &Device) -> Result<Self> {
        settings.validate()?;
        let discriminator = with_stable_ids(discriminator);
        let optimiser = settings.adamw.init();
        Ok(Self { settings, discriminator, lecam: LeCam::new(device), optimiser })
    }

    /// Goes on from the checkpoint in `folder`, where [`files`](Self::files) were written.
    ///
    /// # Errors
    /// [`Error::Io`] if a file is missing; [`Error::WeightsMismatch`] or [`Error::Training`] if they are of another
    /// discriminator.
    pub fn resume(mut self, folder: &Path) -> Result<Self> {
        self.take_over(&read(&folder.join(WEIGHTS))?)?;
        let path = folder.join(OPTIMISER);
        let device = self.lecam.lecam_real.val().device().inner();
        self.optimiser = self.optimiser.restore(&read(&path)?, &path, &self.discriminator, &device)?;
        Ok(self)
    }

    /// Takes over discriminator and running means from `weights`, a file of an earlier run (see [`WEIGHTS`]); the
    /// optimiser starts anew. After an error nothing has changed.
    ///
    /// # Errors
    /// [`Error::WeightsMismatch`] if they are of another discriminator.
    pub fn take_over(&mut self, weights: &[u8]) -> Result<()> {
        let discriminator = self.discriminator.clone().load(weights)?;
        self.lecam = checkpoint::load(self.lecam.clone(), &[weights])?.0;
        self.discriminator = discriminator;
        Ok(())
    }

    /// Name and bytes of what a checkpoint needs, without the frozen trunk.
    ///
    /// # Errors
    /// [`Error::Weights`] or [`Error::Training`] if something cannot be written.
    pub fn files(&self) -> Result<Vec<(&'static str, Vec<u8>)>> {
        let LeCam { lecam_real, lecam_fake } = &self.lecam;
        let means = [("lecam_real", lecam_real), ("lecam_fake", lecam_fake)].map(|(name, mean)| {
            let value = mean.val().into_scalar::<f32>();
            (name.to_owned(), (vec![1], vec![value]))
        });
        Ok(vec![(WEIGHTS, self.discriminator.save(&BTreeMap::from(means))?), (OPTIMISER, self.optimiser.store()?)])
    }

    /// The settings.
    pub fn settings(&self) -> &AdversarialSettings {
        &self.settings
    }

    /// The discriminator as it is.
    pub fn discriminator(&self) -> &Discriminator {
        &self.discriminator
    }

    /// The running means of the logits.
    pub fn lecam(&self) -> &LeCam {
        &self.lecam
    }

    /// Draws for one update with `batch` square pictures of `side` pixels on either side.
    pub fn draw(&self, rng: &mut Rng, batch: usize, side: usize) -> AdversarialDraws {
        let mut pass = |policy| self.discriminator.draw(rng, policy, batch, side);
        AdversarialDraws {
            generator: pass(AugmentPolicy::WEAK),
            discriminator: DiscriminatorDraws {
                real: pass(AugmentPolicy::WEAK),
                fake: pass(AugmentPolicy::WEAK),
                real_strong: pass(AugmentPolicy::STRONG),
                fake_strong: pass(AugmentPolicy::STRONG),
            },
        }
    }

    /// The generator's loss, without weights; see [`Discriminator::generator_loss`].
    ///
    /// # Shapes
    /// `fake` `[B, 3, H, H]` in [-1, 1]; result `[1]`.
    pub fn generator_loss(&self, fake: Tensor<4>, draws: &PassDraws) -> Tensor<1> {
        self.discriminator.generator_loss(fake, draws)
    }

    /// One update of the discriminator, and the numbers for the log.
    ///
    /// Minimises `weight (L_D + lecam R) + consistency C`, with [`GanLoss::discriminator`], [`LeCam::regulariser`] and
    /// [`consistency`]. Real and generated pictures pass one after the other, so each has batch statistics of its own.
    ///
    /// An update whose loss or gradient norm is no number is left out, with all it would have moved; the values show it.
    ///
    /// # Shapes
    /// `real`, `fake` `[B, 3, H, H]` in [-1, 1]; no gradient leaves through them.
    pub fn discriminator_step(
        &mut self,
        real: Tensor<4>,
        fake: Tensor<4>,
        draws: &DiscriminatorDraws,
        rate: f64,
    ) -> Vec<(&'static str, f64)> {
        let settings = &self.settings;
        let (real, fake) = (untracked(real), untracked(fake));
        let mut net = self.discriminator.clone();
        let real_logits = net.judge(real.clone(), &draws.real); // [B, M]
        let fake_logits = net.judge(fake.clone(), &draws.fake);
        let lecam = self.lecam.updated(&real_logits, &fake_logits);

        let adversarial = settings.loss.discriminator(real_logits.clone(), fake_logits.clone());
        let regulariser = lecam.regulariser(real_logits.clone(), fake_logits.clone());
        let means = [real_logits.clone(), fake_logits.clone()].map(|logits| number(logits.mean()));
        let mut values = vec![
            ("disc_loss", number(adversarial.clone())),
            ("disc_real", means[0]),
            ("disc_fake", means[1]),
            ("disc_lecam", number(regulariser.clone())),
        ];
        let mut loss = (adversarial + regulariser * settings.lecam) * settings.weight;
        if settings.consistency > 0.0 {
            let strong = [net.judge(real, &draws.real_strong), net.judge(fake, &draws.fake_strong)];
            let difference = consistency([real_logits, fake_logits], strong);
            values.push(("disc_consistency", number(difference.clone())));
            loss = loss + difference * settings.consistency;
        }
        let total = number(loss.clone());
        let grads = GradientsParams::from_grads(loss.backward(), &net);
        let (grads, norm) = clip_by_global_norm(grads, &net, settings.clip);
        values.push(("disc_grad_norm", norm));
        if total.is_finite() && norm.is_finite() {
            self.discriminator = self.optimiser.step(rate, net, grads);
            self.lecam = lecam;
        }
        values
    }
}
