//! Training of the tokenizer: mask modelling, the look of the picture, a discriminator, auxiliary decoders.
//!
//! What a run minimises is in `step`, what it begins with in `start`. The first stage hides patches and predicts
//! features of them; the second goes on [from a finished run](TokenizerTraining::init_from) with the encoder
//! [frozen](TokenizerTraining::freeze_encoder) while the mask ratio falls to zero, so that latents stay what they are to
//! the last bit and a generator trained on them stays valid.
//!
//! Source: Chen et al. 2025, arXiv 2502.03444, section 3 and the authors' training configuration.
//!
//! Differs from the official code: perceptual term, discriminator and teachers are a matter of settings, with networks
//! that need no files beside the official ones; the second stage, which the authors did not publish, follows the paper,
//! and may also be the last part of the first stage's run.

mod batch;
mod networks;
mod opponent;
mod perceptual;
mod settings;
mod start;
mod step;
mod teachers;
#[cfg(test)]
mod tests;
mod weights;

use std::path::Path;
use std::sync::Arc;

use burn::module::{Module, ParamGroup};
use burn::tensor::Device;
use image::RgbImage;
use serde_json::{Map, Value};

pub use self::opponent::{AdversarialKind, AdversarialTraining};
pub use self::perceptual::{PerceptualKind, PerceptualTraining};
pub use self::settings::{Start, TokenizerTraining};
pub use self::teachers::TeacherTraining;

use self::batch::Part;
use self::networks::Networks;
use self::opponent::{Opponent, Trunk};
use self::step::Step;
use super::adversarial::adversary;
use super::data::{Pictures, Split, stream};
use super::devices::{Devices, check_precision};
use super::drive::{MOMENTS, Soundness, State, Summary, Training, drive, read_state};
use super::ema::{Ema, decay_at};
use super::latents::Source;
use super::optimiser::{Optimiser, clip_by_global_norm, with_stable_ids};
use super::prefetch::Prefetch;
use super::run_folder::{Kind, RunFolder, read};
use super::{evaluation, provenance};
use crate::checkpoint::{self, Storage};
use crate::nn::precision;
use crate::rng::Rng;
use crate::tokenizer::masking::{mask_ratio, masked_count, random_masks};
use crate::tokenizer::{AuxiliaryDecoderConfig, AuxiliaryDecoders, Tokenizer, TokenizerConfig, VitSize};
use crate::{Error, Result, image as picture};

/// Pictures in a sample grid.
const GRID: usize = 32;
/// Name of the file with the auxiliary decoders in a checkpoint.
const AUXILIARY: &str = "auxiliary.safetensors";

/// What is optimised.
#[derive(Module, Debug)]
struct Trained {
    tokenizer: Tokenizer,
    auxiliary: AuxiliaryDecoders,
}

/// A tokenizer run; see the module text.
pub struct TokenizerTrainer {
    settings: TokenizerTraining,
    config: TokenizerConfig,
    folder: RunFolder,
    state: State,
    devices: Devices,
    /// The first of them.
    device: Device,
    /// Always there but while the optimiser has it.
    model: Option<Trained>,
    ema: Ema<Tokenizer>,
    optimiser: Optimiser,
    /// Of every device.
    networks: Vec<Arc<Networks>>,
    opponent: Option<Opponent>,
    batches: Prefetch<Vec<Part>>,
    split: Split,
    measured: Pictures,
    measured_indices: Vec<usize>,
    encoder_frozen: bool,
    sound: Soundness,
    notices: Vec<String>,
}

impl TokenizerTrainer {
    /// Starts a run in `out`, or goes on with the one there.
    ///
    /// # Errors
    /// [`Error::Setting`] or [`Error::Config`] for settings that make no sense, [`Error::Io`] for files,
    /// [`Error::Training`] for files of other networks than the settings name. Nothing is made before all networks are
    /// there.
    pub fn new(
        settings: TokenizerTraining,
        config: TokenizerConfig,
        out: &Path,
        resume: bool,
        devices: impl Into<Devices>,
    ) -> Result<Self> {
        settings.validate(&config)?;
        let devices = devices.into().autodiff();
        let parts = devices.parts(settings.batch, settings.workers)?;
        check_precision(settings.precision, &devices)?;
        let begins = RunFolder::existing(out).latest()?.is_none();
        let source = settings.init_from.as_deref().filter(|_| begins).map(Source::find).transpose()?;
        if let Some(source) = &source {
            start::check(&source.config, &config)?;
        }
        let networks = devices.load(|device| Networks::load(&settings, &config, device))?;
        let device = devices.main().clone();
        let trunk = Trunk::load(&settings.adversarial, &device)?;

        let split = Split::find(&settings.data)?;
        RunFolder::existing(out).check_kind(Kind::Tokenizer)?;
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
        if held_out.is_some() {
            notices.extend(measured.notices());
        }
        let measured_indices = measured.subset(settings.evaluate_pictures);

        device.seed(settings.seed);
        let (width, depth, heads) = settings.hog_decoder;
        let auxiliary = AuxiliaryDecoders::new(|kind| {
            let sizes = AuxiliaryDecoderConfig::new(settings.target_size(kind, &config)?);
            Some(sizes.with_width(width).with_depth(depth).with_heads(heads).init(&config, &device))
        });
        let mut model = Trained { tokenizer: config.init(&device)?, auxiliary };
        if begins {
            let size = VitSize { width, depth, heads };
            model = match &source {
                Some(source) => start::taken_over(model, source, settings.start, &config, size)?,
                None => start::fresh(model, settings.start, &config, size, &pictures, &mut notices, &device)?,
            };
        }
        let mut model = with_stable_ids(model);
        let mut opponent = Opponent::new(&settings, trunk, config.patch_size, &device)?;
        if let (Some(opponent), Some(source)) = (&mut opponent, &source) {
            notices.extend(of_earlier_run(opponent, source)?);
        }
        let mut ema = Ema::new(&model.tokenizer);
        let mut optimiser = settings.adamw.init();
        let mut state = State::default();
        if let Some((_, from)) = folder.latest()? {
            let weights = |name: &str| read(&from.join(name));
            check_hog(&from, settings.hog)?;
            model.tokenizer = checkpoint::load(model.tokenizer, &[&weights("raw.safetensors")?])?.0;
            if !model.auxiliary.is_empty() {
                model.auxiliary = checkpoint::load(model.auxiliary, &[&weights(AUXILIARY)?])?.0;
            }
            ema = Ema::resume(checkpoint::load(ema.into_module(), &[&weights("model.safetensors")?])?.0);
            let path = from.join(MOMENTS);
            optimiser = optimiser.restore(&read(&path)?, &path, &model, &device.clone().inner())?;
            opponent = opponent.map(|opponent| opponent.resume(&from)).transpose()?;
            state = read_state(&from)?;
        }
        folder.write("config.json", config.to_json().as_bytes())?;
        provenance::record(&folder, &settings, state.step, &pictures, &mut notices)?;

        let batches = Prefetch::new(state.step, batch::maker(&settings, &config, pictures, parts))?;
        Ok(Self {
            settings,
            config,
            folder,
            state,
            devices,
            device,
            model: Some(model),
            ema,
            optimiser,
            networks,
            opponent,
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

    /// Number of parameters of the tokenizer, without auxiliary decoders and discriminator.
    pub fn parameters(&self) -> usize {
        self.model().tokenizer.num_params()
    }

    /// Trains to the end.
    ///
    /// # Errors
    /// [`Error::Io`] if a file cannot be written, [`Error::Training`] if the loss stays no number.
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
    fn masks(&self, step: u64, progress: f64) -> Option<Vec<Vec<bool>>> {
        let (low, high) = self.config.token_drop?;
        let left = self.settings.unmask_from.map_or(1.0, |from| ((1.0 - progress) / (1.0 - from).max(1e-9)).min(1.0));
        let mut rng = Rng::new(self.settings.seed, stream::MASK | step);
        let ratio = mask_ratio(rng.uniform(), low, high) * left;
        let patches = self.config.patches();
        (masked_count(patches, ratio) > 0).then(|| random_masks(&mut rng, self.settings.batch, patches, ratio))
    }
}

/// Refuses to go on with an auxiliary decoder of HOG that the run was begun without, or without the one it has.
///
/// # Errors
/// [`Error::Setting`]; [`Error::Io`] or [`Error::Weights`] if the decoders' file cannot be read.
fn check_hog(checkpoint: &Path, hog: f64) -> Result<()> {
    let path = checkpoint.join(AUXILIARY);
    let tensors = if path.is_file() { checkpoint::tensor_names(&read(&path)?)? } else { Vec::new() };
    match (hog > 0.0, tensors.iter().any(|(name, ..)| name.starts_with("decoder_hog."))) {
        (true, false) => Err(Error::setting("hog", hog, "0, as the run was begun without the decoder of HOG")),
        (false, true) => Err(Error::setting("hog", hog, "above 0, as the run was begun with the decoder of HOG")),
        _ => Ok(()),
    }
}

/// Goes on with the discriminator of the run that `source` is from, if that has one; returns what to say about it.
///
/// # Errors
/// [`Error::Io`] if its file cannot be read.
fn of_earlier_run(opponent: &mut Opponent, source: &Source) -> Result<Option<String>> {
    let path = source.folder.join(adversary::WEIGHTS);
    if !path.is_file() {
        return Ok(None);
    }
    Ok(Some(match opponent.take_over(&read(&path)?) {
        Ok(()) => format!("the discriminator goes on from {}", path.display()),
        Err(_) => format!("the discriminator starts anew: {} is of another one", path.display()),
    }))
}

impl Training for TokenizerTrainer {
    fn step(&mut self, step: u64, progress: f64) -> Result<Vec<(&'static str, f64)>> {
        let parts = self.batches.next(step);
        if self.settings.freezes_encoder(progress) && !self.encoder_frozen {
            let encoder = ParamGroup::from_any_predicates(vec!["tokenizer.encoder.", "tokenizer.quant_conv."]);
            self.model = self.model.take().map(|model| model.set_require_grad_group(encoder, false));
            self.encoder_frozen = true;
        }
        let masks = self.masks(step, progress);
        let weight = self.settings.perceptual.weight_at(step);
        let opponent = self.opponent.as_ref().filter(|opponent| opponent.weight_at(step) > 0.0);
        let draws = opponent.map(|opponent| opponent.draws(step, self.config.image_size));
        let minimised = Step {
            objective: self.settings.objective(),
            precision: self.settings.precision,
            networks: &self.networks,
            perceptual: weight,
            opponent: opponent.zip(draws.as_ref()).map(|(opponent, draws)| (opponent, opponent.weight_at(step), draws)),
            devices: &self.devices,
        };
        let ((value, named, grads), shown) = minimised.gradients(self.model(), parts, masks.as_deref())?;
        let (grads, norm) = clip_by_global_norm(grads, self.model(), self.settings.clip);
        let mut values = vec![("loss", value), ("grad_norm", norm)];
        values.extend(named);
        if !self.sound.accept(value, norm, step)? {
            return Ok(values);
        }
        let rate = self.rate(step, progress);
        // The optimiser takes the module and gives it back; a module cloned would be copied, not changed in place.
        if let Some(model) = self.model.take() {
            let model = precision::within(self.settings.precision, || self.optimiser.step(rate, model, grads));
            self.ema.update(&model.tokenizer, decay_at(self.settings.ema, self.settings.ema_warmup, step));
            self.model = Some(model);
        }
        // After the tokenizer, on what it had made before: as the official code.
        if let (Some(opponent), Some(shown), Some(draws)) = (&mut self.opponent, shown, &draws) {
            values.extend(opponent.step(shown, draws, rate));
        }
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
            (MOMENTS, self.optimiser.store()?),
        ];
        let auxiliary = &self.model().auxiliary;
        if !auxiliary.is_empty() {
            files.push((AUXILIARY, checkpoint::save(&auxiliary.valid(), Storage::F32, &none)?));
        }
        if let Some(opponent) = &self.opponent {
            files.extend(opponent.files()?);
        }
        Ok(files)
    }
}
