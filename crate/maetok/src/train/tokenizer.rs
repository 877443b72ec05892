//! Training of the tokenizer: mask modelling with a pixel loss and an auxiliary HOG decoder.
//!
//! Source: Chen et al. 2025, arXiv 2502.03444, section 3 and the authors' training configuration.
//!
//! Differs from the official code: no perceptual, adversarial, DINOv2 or SigLIP terms. The second stage
//! (mask ratio down to zero) may be the last part of the same run, with the encoder frozen or not.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use burn::module::{Module, ParamGroup};
use burn::optim::{GradientsParams, ModuleOptimizer};
use burn::tensor::{Bool, Device, Distribution, Tensor, TensorData};
use image::RgbImage;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::data::{Pictures, Sampler, Split, stream};
use super::drive::{Pace, Soundness, State, Summary, Training, check_positive, drive, read_state};
use super::ema::{Ema, decay_at};
use super::optimiser::{AdamW, clip_by_global_norm, with_stable_ids};
use super::prefetch::Prefetch;
use super::run_folder::{RunFolder, read, read_json};
use super::schedule::Schedule;
use super::{evaluation, hog, losses};
use crate::checkpoint::{self, Storage};
use crate::rng::Rng;
use crate::tokenizer::masking::{mask_ratio, masked_count, random_masks};
use crate::tokenizer::{AuxiliaryDecoder, AuxiliaryDecoderConfig, Tokenizer, TokenizerConfig};
use crate::{Error, Result, image as picture};

/// Weight of the divergence in the variational variant.
const KL_WEIGHT: f64 = 1e-6;
/// Pictures in a sample grid.
const GRID: usize = 32;

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
    /// Mirrors pictures left to right at random.
    pub mirror: bool,
    /// Draws classes, not pictures, equally often.
    pub balanced: bool,
    /// Weight of the HOG loss; 0 leaves the auxiliary decoder out.
    pub hog: f64,
    /// Width, blocks and heads of the auxiliary decoder.
    pub hog_decoder: (usize, usize, usize),
    /// From this share of the run on, the mask ratio falls linearly to zero.
    pub unmask_from: Option<f64>,
    /// Keeps the encoder as it is while the mask ratio falls.
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
            schedule: Schedule { peak: 1e-3, floor: 1e-4, start: 1e-5, warmup: 500 },
            adamw: AdamW { beta_1: 0.9, beta_2: 0.95, epsilon: 1e-8, weight_decay: 1e-4 },
            clip: 1.0,
            ema: 0.999,
            ema_warmup: true,
            mirror: true,
            balanced: true,
            hog: 1.0,
            hog_decoder: (192, 3, 3),
            unmask_from: None,
            freeze_encoder: false,
            evaluate_pictures: 256,
            seed: 0,
        }
    }
}

/// What is optimised.
#[derive(Module, Debug)]
struct Trained {
    tokenizer: Tokenizer,
    auxiliary: Option<AuxiliaryDecoder>,
}

/// A batch as it leaves the thread that makes it.
struct Batch {
    pictures: TensorData,
    hog: Option<TensorData>,
}

/// A tokenizer run; see the module text.
pub struct TokenizerTrainer {
    settings: TokenizerTraining,
    config: TokenizerConfig,
    folder: RunFolder,
    state: State,
    device: Device,
    /// Always there but while the optimiser has it.
    model: Option<Trained>,
    ema: Ema<Tokenizer>,
    optimiser: ModuleOptimizer,
    batches: Prefetch<Batch>,
    split: Split,
    measured: Pictures,
    measured_indices: Vec<usize>,
    encoder_frozen: bool,
    sound: Soundness,
    notices: Vec<String>,
}

impl TokenizerTraining {
    /// Settings and sizes of the run in `out`, to resume it or to look at it.
    ///
    /// # Errors
    /// [`Error::Io`] if there is no such run.
    pub fn of_run(out: &Path) -> Result<(Self, TokenizerConfig)> {
        let folder = RunFolder::existing(out);
        let settings = read_json(&folder.path("run.json"))?;
        let config = TokenizerConfig::from_json(&read(&folder.path("config.json"))?)?;
        Ok((settings, config))
    }

    fn validate(&self, config: &TokenizerConfig) -> Result<()> {
        check_positive(&[
            ("batch", self.batch as f64),
            ("lr", self.schedule.peak),
            ("clip", self.clip),
            ("steps", self.pace.steps as f64),
            ("minutes", self.pace.minutes.unwrap_or(1.0)),
        ])?;
        if !(0.0..1.0).contains(&self.ema) {
            return Err(Error::setting("ema", self.ema, "at least 0 and below 1"));
        }
        if self.unmask_from.is_some_and(|from| !(0.0..=1.0).contains(&from)) {
            return Err(Error::setting("unmask-from", self.unmask_from.unwrap_or(f64::NAN), "a share from 0 to 1"));
        }
        if self.hog > 0.0 {
            hog::check_sizes(config.image_size, config.patch_size)?;
        }
        if config.kl && config.token_drop.is_some() {
            return Err(Error::config("enc_token_drop", "a ratio", "none with the variational posterior"));
        }
        Ok(())
    }
}

impl TokenizerTrainer {
    /// Starts a run in `out`, or goes on with the one there.
    ///
    /// # Errors
    /// [`Error::Setting`] or [`Error::Config`] for settings that make no sense, [`Error::Io`] for files.
    pub fn new(settings: TokenizerTraining, config: TokenizerConfig, out: &Path, resume: bool, device: &Device) -> Result<Self> {
        settings.validate(&config)?;
        let split = Split::find(&settings.data)?;
        let folder = RunFolder::open(out, resume)?;
        let pictures = Arc::new(Pictures::read(&split.train, config.image_size, None)?);
        let mut notices = pictures.notices();
        let held_out = settings.held_out.as_ref().or(split.held_out.as_ref());
        let measured = match held_out {
            Some(dir) => Pictures::read(dir, config.image_size, Some(&pictures.classes))?,
            None => {
                notices.push("no held-out pictures: training pictures are measured".into());
                Pictures::read(&split.train, config.image_size, None)?
            }
        };
        let measured_indices = measured.subset(settings.evaluate_pictures);

        let device = device.clone().autodiff();
        device.seed(settings.seed);
        let target = hog::target_size(config.patch_size);
        let (width, depth, heads) = settings.hog_decoder;
        let auxiliary = (settings.hog > 0.0).then(|| {
            AuxiliaryDecoderConfig::new(target).with_width(width).with_depth(depth).with_heads(heads).init(&config, &device)
        });
        let mut model = with_stable_ids(Trained { tokenizer: config.init(&device)?, auxiliary });
        let mut ema = Ema::new(&model.tokenizer);
        let mut optimiser = settings.adamw.init(&model);
        let mut state = State::default();
        if let Some((_, from)) = folder.latest()? {
            let weights = |name: &str| read(&from.join(name));
            model.tokenizer = checkpoint::load(model.tokenizer, &[&weights("raw.safetensors")?])?.0;
            if let Some(auxiliary) = model.auxiliary.take() {
                model.auxiliary = Some(checkpoint::load(auxiliary, &[&weights("auxiliary.safetensors")?])?.0);
            }
            ema = Ema::resume(checkpoint::load(ema.into_module(), &[&weights("model.safetensors")?])?.0);
            optimiser = super::optimiser::restore(optimiser, weights("optimiser.bpk")?, &from.join("optimiser.bpk"))?;
            state = read_state(&from)?;
        }
        folder.write_json("run.json", &settings)?;
        folder.write("config.json", config.to_json().as_bytes())?;

        let batches = Prefetch::new(state.step, batch_maker(&settings, &config, pictures))?;
        Ok(Self {
            settings,
            config,
            folder,
            state,
            device,
            model: Some(model),
            ema,
            optimiser,
            batches,
            split,
            measured,
            measured_indices,
            encoder_frozen: false,
            sound: Soundness::default(),
            notices,
        })
    }

    /// What a person should know before the run: files that were skipped, a missing held-out folder.
    pub fn notices(&self) -> &[String] {
        &self.notices
    }

    /// Number of parameters of the tokenizer, without the auxiliary decoder.
    pub fn parameters(&self) -> usize {
        self.model().tokenizer.num_params()
    }

    /// Trains to the end.
    ///
    /// # Errors
    /// [`Error::Io`] if a file cannot be written, [`Error::Setting`] if the loss stays no number.
    pub fn run(&mut self) -> Result<Summary> {
        let (pace, folder, state) = (self.settings.pace.clone(), self.folder.clone(), self.state);
        let summary = drive(self, &pace, &folder, state)?;
        self.state = summary.state;
        Ok(summary)
    }

    /// The averaged weights.
    pub fn tokenizer(&self) -> &Tokenizer {
        self.ema.module()
    }

    fn model(&self) -> &Trained {
        self.model.as_ref().expect("the model is put back by every update")
    }

    /// Hidden patches of a step, `[B][N]`, or nothing where masking is off.
    fn masks(&self, step: u64, progress: f64) -> Option<(Vec<Vec<bool>>, usize)> {
        let (low, high) = self.config.token_drop?;
        let left = self.settings.unmask_from.map_or(1.0, |from| ((1.0 - progress) / (1.0 - from).max(1e-9)).min(1.0));
        let mut rng = Rng::new(self.settings.seed, stream::MASK | step);
        let ratio = mask_ratio(rng.uniform(), low, high) * left;
        let count = masked_count(self.config.patches(), ratio);
        (count > 0).then(|| (random_masks(&mut rng, self.settings.batch, self.config.patches(), ratio), count))
    }

    /// Loss and its parts for a batch.
    fn losses(&self, batch: Batch, masks: Option<(Vec<Vec<bool>>, usize)>) -> (Tensor<1>, Vec<(&'static str, Tensor<1>)>) {
        let picture = Tensor::<4>::from_data(batch.pictures, &self.device); // [B, 3, H, W]
        let shape = [self.settings.batch, self.config.patches()];
        let flags = |masks: &[Vec<bool>]| TensorData::new(masks.concat(), shape);
        let hidden = masks.as_ref().map(|(masks, _)| Tensor::<2, Bool>::from_data(flags(masks), &self.device));

        let Trained { tokenizer, auxiliary } = self.model();
        let (z, divergence) = match tokenizer.posterior(picture.clone()) {
            Some(posterior) => {
                let noise = posterior.mean.random_like(Distribution::Normal(0.0, 1.0));
                (posterior.sample(noise), Some(posterior.kl().mean()))
            }
            None => (tokenizer.encode(picture.clone(), hidden.clone()), None),
        };
        let mse = losses::pixels(tokenizer.decode(z.clone()), picture);
        let mut total = mse.clone();
        let mut parts = vec![("mse", mse)];
        if let (Some(auxiliary), Some(target), Some(hidden), Some((_, count))) = (auxiliary, batch.hog, hidden, masks) {
            let target = Tensor::<3>::from_data(target, &self.device);
            let loss = losses::hidden_patches(auxiliary.forward(z), target, hidden.float(), count * self.settings.batch);
            total = total + loss.clone() * self.settings.hog;
            parts.push(("hog", loss));
        }
        if let Some(divergence) = divergence {
            total = total + divergence.clone() * KL_WEIGHT;
            parts.push(("kl", divergence));
        }
        (total, parts)
    }
}

impl Training for TokenizerTrainer {
    fn step(&mut self, step: u64, progress: f64) -> Result<Vec<(&'static str, f64)>> {
        let batch = self.batches.next(step);
        let unmasking = self.settings.unmask_from.is_some_and(|from| progress >= from);
        if unmasking && self.settings.freeze_encoder && !self.encoder_frozen {
            let encoder = ParamGroup::from_any_predicates(vec!["tokenizer.encoder.", "tokenizer.quant_conv."]);
            self.model = self.model.take().map(|model| model.set_require_grad_group(encoder, false));
            self.encoder_frozen = true;
        }
        let (loss, parts) = self.losses(batch, self.masks(step, progress));
        let value = f64::from(loss.clone().into_scalar::<f32>());
        let grads = GradientsParams::from_grads(loss.backward(), self.model());
        let (grads, norm) = clip_by_global_norm(grads, self.model(), self.settings.clip);
        let mut values = vec![("loss", value), ("grad_norm", norm)];
        values.extend(parts.into_iter().map(|(name, part)| (name, f64::from(part.into_scalar::<f32>()))));
        if !self.sound.accept(value, norm, step)? {
            return Ok(values);
        }
        let rate = self.rate(step, progress);
        // The optimiser takes the module and gives it back; a module cloned would be copied, not changed in place.
        if let Some(model) = self.model.take() {
            self.model = Some(self.optimiser.step(rate, model, grads));
        }
        self.ema.update(&self.model().tokenizer, decay_at(self.settings.ema, self.settings.ema_warmup, step));
        Ok(values)
    }

    fn rate(&self, step: u64, progress: f64) -> f64 {
        self.settings.schedule.at(step, progress)
    }

    fn batch(&self) -> usize {
        self.settings.batch
    }

    fn evaluate(&mut self) -> Result<Map<String, Value>> {
        let device = self.device.clone().inner();
        Ok(evaluation::psnr(self.ema.module(), &self.measured, &self.measured_indices, &self.split, &device))
    }

    fn grid(&mut self) -> Result<RgbImage> {
        let shown = &self.measured_indices[..self.measured_indices.len().min(GRID)];
        let device = self.device.clone().inner();
        let copies = evaluation::reconstruct(self.ema.module(), &self.measured, shown, &device);
        let pairs = shown.iter().zip(copies).flat_map(|(index, copy)| [self.measured.rgb(*index), copy]);
        Ok(picture::grid(&pairs.collect::<Vec<_>>(), 8, 2))
    }

    fn files(&self) -> Result<Vec<(&'static str, Vec<u8>)>> {
        let none = Default::default();
        let mut files = vec![
            ("config.json", self.config.to_json().into_bytes()),
            ("model.safetensors", checkpoint::save(self.ema.module(), Storage::F32, &none)?),
            ("raw.safetensors", checkpoint::save(&self.model().tokenizer.valid(), Storage::F32, &none)?),
            ("optimiser.bpk", super::optimiser::store(&self.optimiser)?),
        ];
        if let Some(auxiliary) = &self.model().auxiliary {
            files.push(("auxiliary.safetensors", checkpoint::save(&auxiliary.valid(), Storage::F32, &none)?));
        }
        Ok(files)
    }
}

/// Makes the batches of a run: a function of the step alone.
fn batch_maker(
    settings: &TokenizerTraining,
    config: &TokenizerConfig,
    pictures: Arc<Pictures>,
) -> impl FnMut(u64) -> Batch + Send + 'static {
    let (batch, size, patch, patches) = (settings.batch, config.image_size, config.patch_size, config.patches());
    let with_hog = settings.hog > 0.0;
    let mut sampler = Sampler::new(&pictures, settings.seed, batch, settings.mirror, settings.balanced);
    move |step| {
        let draws = sampler.draw(step);
        let length = 3 * size * size;
        let mut planes = vec![0.0f32; batch * length];
        planes.par_chunks_exact_mut(length).zip(&draws).for_each(|(out, draw)| pictures.planes(*draw, out));
        let hog = with_hog.then(|| {
            let values: Vec<f32> =
                planes.par_chunks_exact(length).flat_map_iter(|one| hog::targets(one, size, patch)).collect();
            TensorData::new(values, [batch, patches, hog::target_size(patch)])
        });
        Batch { pictures: TensorData::new(planes, [batch, 3, size, size]), hog }
    }
}
