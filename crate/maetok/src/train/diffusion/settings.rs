//! Settings of a generator run.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::diffusion::{GeneratorConfig, PathType};
use crate::nn::Precision;
use crate::train::checks::Common;
use crate::train::drive::Pace;
use crate::train::losses::Times;
use crate::train::optimiser::AdamW;
use crate::train::run_folder::{Kind, RunFolder, read, read_json};
use crate::train::schedule::Schedule;
use crate::{Error, Result};

/// Settings of a generator run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct DiffusionTraining {
    /// Folder with the pictures, as for the tokenizer.
    pub data: PathBuf,
    /// The tokenizer: a run, a model folder, or a folder with `config.json` and `model.safetensors`.
    pub tokenizer: PathBuf,
    /// End and intervals.
    pub pace: Pace,
    /// Latents per update.
    pub batch: usize,
    /// Threads on each device that compute a part of the batch each; part of the run, as sums depend on it in the last
    /// digit.
    pub workers: usize,
    /// Names of the devices that share every batch, as [`Devices::open`](crate::train::Devices::open) reads them; what
    /// the run was given, and what it goes on with where nothing else is asked for.
    pub devices: Vec<String>,
    /// Numbers of the matrix products.
    pub precision: Precision,
    /// Learning rate; floor and peak alike make it constant.
    pub schedule: Schedule,
    /// Optimiser.
    pub adamw: AdamW,
    /// Largest global norm of the gradients.
    pub clip: f64,
    /// Decay of the averaged weights.
    pub ema: f64,
    /// Lets the average forget its start: `min(ema, (1 + s) / (10 + s))`.
    pub ema_warmup: bool,
    /// Uses the mirrored copies.
    pub mirror: bool,
    /// Draws classes, not pictures, equally often.
    pub balanced: bool,
    /// Interpolant.
    pub path: PathType,
    /// Law of the times.
    pub times: Times,
    /// Weight of the loss on the velocity's direction, 0 in SiT's recipe, 1 in LightningDiT's.
    pub direction: f64,
    /// Held-out pictures whose loss is measured.
    pub evaluate_pictures: usize,
    /// Seed of weights, batches, times and noise.
    pub seed: u64,
}

impl Default for DiffusionTraining {
    fn default() -> Self {
        Self {
            data: PathBuf::new(),
            tokenizer: PathBuf::new(),
            pace: Pace::default(),
            batch: 64,
            workers: 1,
            devices: vec!["cpu".to_owned()],
            precision: Precision::F32,
            schedule: Schedule { peak: 5e-4, floor: 5e-5, start: 1e-5, warmup: 500 },
            adamw: AdamW { beta_1: 0.9, beta_2: 0.999, epsilon: 1e-8, weight_decay: 0.0, muon: None },
            clip: 1.0,
            ema: 0.999,
            ema_warmup: true,
            mirror: true,
            balanced: true,
            path: PathType::Linear,
            times: Times::Lognormal,
            direction: 0.0,
            evaluate_pictures: 256,
            seed: 0,
        }
    }
}

impl DiffusionTraining {
    /// Settings and sizes of the run in `out`, to resume it or to look at it.
    ///
    /// # Errors
    /// [`Error::Io`] if there is no such run, [`Error::Training`] if it is a tokenizer's.
    pub fn of_run(out: &Path) -> Result<(Self, GeneratorConfig)> {
        let folder = RunFolder::existing(out);
        folder.check_kind(Kind::Generator)?;
        let settings = read_json(&folder.path("run.json"))?;
        Ok((settings, GeneratorConfig::from_json(&read(&folder.path("config.json"))?)?))
    }

    pub(super) fn validate(&self) -> Result<()> {
        let Self { batch, clip, ema, evaluate_pictures, .. } = *self;
        let (schedule, adamw, pace) = (&self.schedule, &self.adamw, &self.pace);
        Common { batch, schedule, adamw, clip, ema, pace, evaluate_pictures }.validate()?;
        if !(0.0..=1e3).contains(&self.direction) {
            return Err(Error::setting("direction", self.direction, "from 0 (off) to 1000"));
        }
        Ok(())
    }
}
