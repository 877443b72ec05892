//! Settings of a tokenizer run.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::opponent::AdversarialTraining;
use super::perceptual::PerceptualTraining;
use super::teachers::{self, TeacherTraining};
use crate::nn::Precision;
use crate::tokenizer::{TargetKind, TokenizerConfig, VitSize};
use crate::train::checks::{Common, check_not_negative};
use crate::train::drive::Pace;
use crate::train::hog;
use crate::train::objective::Objective;
use crate::train::optimiser::AdamW;
use crate::train::run_folder::{Kind, RunFolder, read, read_json};
use crate::train::schedule::Schedule;
use crate::{Error, Result};

/// What a tokenizer's weights are before the first update.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Start {
    /// The best linear code of blocks of patches, fitted to training pictures; where the sizes leave no room for it,
    /// [`Spatial`](Self::Spatial).
    #[default]
    Linear,
    /// Random, but every latent token looks at its own part of the picture.
    Spatial,
    /// As the official code draws them; needs hundreds of thousands of updates.
    Official,
}

/// Settings of a tokenizer run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TokenizerTraining {
    /// Folder with the pictures: `class/*.png|jpg|webp`, or `train/` and `held-out/` of that form.
    pub data: PathBuf,
    /// Folder with held-out pictures, where `data` has none of its own.
    pub held_out: Option<PathBuf>,
    /// End and intervals.
    pub pace: Pace,
    /// Pictures per update.
    pub batch: usize,
    /// Threads on each device that compute a part of the batch each; part of the run, as sums depend on it in the last
    /// digit.
    pub workers: usize,
    /// Names of the devices that share every batch, as [`Devices::open`](crate::train::Devices::open) reads them; what
    /// the run was given, and what it goes on with where nothing else is asked for. The first keeps the weights, and
    /// computes the adversarial term of the whole batch.
    pub devices: Vec<String>,
    /// Numbers of the matrix products.
    pub precision: Precision,
    /// Learning rate, falling to a tenth.
    pub schedule: Schedule,
    /// Optimiser.
    pub adamw: AdamW,
    /// Largest global norm of the gradients.
    pub clip: f64,
    /// Decay of the averaged weights.
    pub ema: f64,
    /// Lets the average forget its start: `min(ema, (1 + s) / (10 + s))`.
    pub ema_warmup: bool,
    /// What the weights are before the first update, if they are fresh.
    pub start: Start,
    /// Where they come from if they are not: the averaged weights of a run's newest checkpoint, or a model folder.
    pub init_from: Option<PathBuf>,
    /// Mirrors pictures left to right at random.
    pub mirror: bool,
    /// Draws classes, not pictures, equally often.
    pub balanced: bool,
    /// Weight of the HOG loss; 0 leaves the auxiliary decoder out.
    pub hog: f64,
    /// Width, blocks and heads of every auxiliary decoder.
    pub hog_decoder: (usize, usize, usize),
    /// Frozen teachers; each adds an auxiliary decoder that predicts its features. None by default.
    pub teachers: Vec<TeacherTraining>,
    /// The perceptual term.
    pub perceptual: PerceptualTraining,
    /// The adversarial term.
    pub adversarial: AdversarialTraining,
    /// DropPath of the pixel decoder's last block, from 0 at the first; 0.05 in the official recipe.
    pub drop_path: f64,
    /// From this share of the run on, the mask ratio falls linearly to zero.
    pub unmask_from: Option<f64>,
    /// Keeps the encoder as it is while the mask ratio falls; where it never does, from the first update on.
    pub freeze_encoder: bool,
    /// Held-out pictures that are measured.
    pub evaluate_pictures: usize,
    /// Seed of weights, batches and masks.
    pub seed: u64,
}

impl Default for TokenizerTraining {
    fn default() -> Self {
        Self {
            data: PathBuf::new(),
            held_out: None,
            pace: Pace::default(),
            batch: 16,
            workers: 1,
            devices: vec!["cpu".to_owned()],
            precision: Precision::F32,
            schedule: Schedule { peak: 1e-3, floor: 1e-4, start: 1e-5, warmup: 500 },
            adamw: AdamW { beta_1: 0.9, beta_2: 0.95, epsilon: 1e-8, weight_decay: 1e-4, muon: None },
            clip: 1.0,
            ema: 0.999,
            ema_warmup: true,
            start: Start::default(),
            init_from: None,
            mirror: true,
            balanced: true,
            hog: 1.0,
            hog_decoder: (192, 3, 3),
            teachers: Vec::new(),
            perceptual: PerceptualTraining::default(),
            adversarial: AdversarialTraining::default(),
            drop_path: 0.0,
            unmask_from: None,
            freeze_encoder: false,
            evaluate_pictures: 256,
            seed: 0,
        }
    }
}

impl TokenizerTraining {
    /// Settings and sizes of the run in `out`, to resume it or to look at it.
    ///
    /// # Errors
    /// [`Error::Io`] if there is no such run, [`Error::Training`] if it is a generator's.
    pub fn of_run(out: &Path) -> Result<(Self, TokenizerConfig)> {
        let folder = RunFolder::existing(out);
        folder.check_kind(Kind::Tokenizer)?;
        let settings = read_json(&folder.path("run.json"))?;
        let config = TokenizerConfig::from_json(&read(&folder.path("config.json"))?)?;
        Ok((settings, config))
    }

    /// What the run minimises.
    pub fn objective(&self) -> Objective {
        let weight = |kind| self.teacher(kind).map_or(0.0, |teacher| teacher.weight);
        let [dino, clip, efficientnet] = [TargetKind::Dino, TargetKind::Clip, TargetKind::EfficientNet].map(weight);
        Objective { hog: self.hog, dino, clip, efficientnet, ..Objective::default() }
    }

    /// Values per patch of a target, where the run has it.
    pub(super) fn target_size(&self, kind: TargetKind, config: &TokenizerConfig) -> Option<usize> {
        match kind {
            TargetKind::Hog => (self.hog > 0.0).then(|| hog::target_size(config.patch_size)),
            _ => self.teacher(kind).map(|teacher| teacher.target_size(config)),
        }
    }

    /// Whether the encoder stays as it is when the share `progress` of the run is over.
    pub(super) fn freezes_encoder(&self, progress: f64) -> bool {
        self.freeze_encoder && progress >= self.unmask_from.unwrap_or(0.0)
    }

    fn teacher(&self, kind: TargetKind) -> Option<&TeacherTraining> {
        self.teachers.iter().find(|teacher| teacher.kind == kind)
    }

    pub(super) fn validate(&self, config: &TokenizerConfig) -> Result<()> {
        let Self { batch, clip, ema, evaluate_pictures, .. } = *self;
        let (schedule, adamw, pace) = (&self.schedule, &self.adamw, &self.pace);
        Common { batch, schedule, adamw, clip, ema, pace, evaluate_pictures }.validate()?;
        if self.unmask_from.is_some_and(|from| !(0.0..=1.0).contains(&from)) {
            return Err(Error::setting("unmask-from", self.unmask_from.unwrap_or(f64::NAN), "a share from 0 to 1"));
        }
        check_not_negative(&[("hog", self.hog)])?;
        if self.hog > 0.0 || !self.teachers.is_empty() {
            let (width, depth, heads) = self.hog_decoder;
            VitSize { width, depth, heads }.check()?;
            if config.use_rope && !(width / heads).is_multiple_of(4) {
                return Err(Error::setting("hog-decoder", width / heads, "of a head size divisible by 4"));
            }
        }
        if self.hog > 0.0 {
            hog::check_sizes(config.image_size, config.patch_size)?;
        }
        if !(0.0..1.0).contains(&self.drop_path) {
            return Err(Error::setting("drop-path", self.drop_path, "at least 0 and below 1"));
        }
        teachers::check(&self.teachers, config)?;
        self.perceptual.validate(config)?;
        let steps = self.pace.minutes.is_none().then_some(self.pace.steps);
        self.adversarial.validate(config, steps)?;
        if config.kl && config.token_drop.is_some() {
            return Err(Error::config("enc_token_drop", "a ratio", "none with the variational posterior"));
        }
        Ok(())
    }
}
