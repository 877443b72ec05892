//! Training of the tokenizer: mask modelling with a pixel loss and auxiliary decoders.
//!
//! Source: Chen et al. 2025, arXiv 2502.03444, section 3 and the authors' training configuration.
//!
//! Differs from the official code: no perceptual or adversarial terms; the DINOv2 and SigLIP terms are there where the
//! settings name files of these teachers. The second stage (mask ratio down to zero) may be the last part of the same
//! run, with the encoder frozen or not.

mod batch;
mod settings;
mod teachers;

use std::path::Path;
use std::sync::Arc;

use burn::module::{Module, ParamGroup};
use burn::tensor::{Device, Tensor};
use image::RgbImage;
use serde_json::{Map, Value};

pub use self::settings::{Start, TokenizerTraining};
pub use self::teachers::TeacherFile;

use self::batch::Part;
use self::teachers::Teachers;
use super::data::{Draw, Pictures, Split, stream};
use super::drive::{MOMENTS, Soundness, State, Summary, Training, drive, read_state};
use super::ema::{Ema, decay_at};
use super::losses::Hidden;
use super::objective::{Batch, Objective};
use super::optimiser::{Optimiser, clip_by_global_norm, with_stable_ids};
use super::parallel::gradients;
use super::prefetch::Prefetch;
use super::run_folder::{RunFolder, read};
use super::{evaluation, hog, provenance};
use crate::checkpoint::{self, Storage};
use crate::rng::Rng;
use crate::tokenizer::masking::{mask_ratio, masked_count, random_masks};
use crate::tokenizer::{AuxiliaryDecoderConfig, AuxiliaryDecoders, TargetKind, Tokenizer, TokenizerConfig, VitSize};
use crate::{Result, image as picture};

/// Pictures the linear start is fitted to.
const FITTED: usize = 2048;
/// Values they may take up together: 256 MB.
const FITTED_VALUES: usize = 1 << 26;
/// Pictures in a sample grid.
const GRID: usize = 32;

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
    device: Device,
    /// Always there but while the optimiser has it.
    model: Option<Trained>,
    ema: Ema<Tokenizer>,
    optimiser: Optimiser,
    teachers: Teachers,
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
    /// [`Error::Setting`] or [`Error::Config`] for settings that make no sense, [`Error::Io`] for files.
    pub fn new(
        settings: TokenizerTraining,
        config: TokenizerConfig,
        out: &Path,
        resume: bool,
        device: &Device,
    ) -> Result<Self> {
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
        if held_out.is_some() {
            notices.extend(measured.notices());
        }
        let measured_indices = measured.subset(settings.evaluate_pictures);

        let device = device.clone().autodiff();
        device.seed(settings.seed);
        let (width, depth, heads) = settings.hog_decoder;
        let auxiliary = AuxiliaryDecoders::new(|kind| {
            let sizes = AuxiliaryDecoderConfig::new(settings.target_size(kind, &config)?);
            Some(sizes.with_width(width).with_depth(depth).with_heads(heads).init(&config, &device))
        });
        let model = Trained { tokenizer: config.init(&device)?, auxiliary };
        let model = if folder.latest()?.is_some() {
            model
        } else {
            let size = VitSize { width, depth, heads };
            started(model, settings.start, &config, size, &pictures, &mut notices, &device)?
        };
        let mut model = with_stable_ids(model);
        let mut ema = Ema::new(&model.tokenizer);
        let mut optimiser = settings.adamw.init();
        let mut state = State::default();
        if let Some((_, from)) = folder.latest()? {
            let weights = |name: &str| read(&from.join(name));
            model.tokenizer = checkpoint::load(model.tokenizer, &[&weights("raw.safetensors")?])?.0;
            if !model.auxiliary.is_empty() {
                model.auxiliary = checkpoint::load(model.auxiliary, &[&weights("auxiliary.safetensors")?])?.0;
            }
            ema = Ema::resume(checkpoint::load(ema.into_module(), &[&weights("model.safetensors")?])?.0);
            let path = from.join(MOMENTS);
            optimiser = optimiser.restore(&read(&path)?, &path, &device.clone().inner())?;
            state = read_state(&from)?;
        }
        folder.write("config.json", config.to_json().as_bytes())?;
        provenance::record(&folder, &settings, state.step, &pictures, &mut notices)?;

        let teachers = Teachers::load(&settings.teachers, &device)?;
        let batches = Prefetch::new(state.step, batch::maker(&settings, &config, pictures))?;
        Ok(Self {
            settings,
            config,
            folder,
            state,
            device,
            model: Some(model),
            ema,
            optimiser,
            teachers,
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
    fn masks(&self, step: u64, progress: f64) -> Option<Vec<Vec<bool>>> {
        let (low, high) = self.config.token_drop?;
        let left = self.settings.unmask_from.map_or(1.0, |from| ((1.0 - progress) / (1.0 - from).max(1e-9)).min(1.0));
        let mut rng = Rng::new(self.settings.seed, stream::MASK | step);
        let ratio = mask_ratio(rng.uniform(), low, high) * left;
        let patches = self.config.patches();
        (masked_count(patches, ratio) > 0).then(|| random_masks(&mut rng, self.settings.batch, patches, ratio))
    }
}

/// Fresh weights for a run's start.
fn started(
    mut model: Trained,
    start: Start,
    config: &TokenizerConfig,
    auxiliary: VitSize,
    pictures: &Pictures,
    notices: &mut Vec<String>,
    device: &Device,
) -> Result<Trained> {
    if start == Start::Official {
        return Ok(model);
    }
    model.auxiliary = model.auxiliary.with_spatial_start(config, auxiliary);
    if start == Start::Linear {
        // Not on the autodiff device: it would keep every intermediate value for a backward pass that never comes.
        let plain = device.clone().inner();
        let fitted = FITTED.min(FITTED_VALUES / (3 * config.image_size.pow(2)));
        let draw = |index| Draw { index, mirrored: false };
        let draws: Vec<Draw> = pictures.subset(fitted).into_iter().map(draw).collect();
        match config.init(&plain)?.with_linear_start(config, &evaluation::tensor(pictures, &draws, &plain)) {
            Ok(tokenizer) => {
                let weights = checkpoint::save(&tokenizer, Storage::F32, &Default::default())?;
                model.tokenizer = checkpoint::load(model.tokenizer, &[&weights])?.0;
                return Ok(model);
            }
            Err(reason) => notices.push(format!("a spatial start instead of a linear one: {reason}")),
        }
    }
    model.tokenizer = model.tokenizer.with_spatial_start(config);
    Ok(model)
}

/// The loss of a part of a batch, and what it is made of.
fn losses(
    model: &Trained,
    objective: &Objective,
    teachers: &Teachers,
    part: Part,
    hidden: Option<&[Vec<bool>]>,
    device: &Device,
) -> (Tensor<1>, Vec<(&'static str, Tensor<1>)>) {
    let picture = Tensor::<4>::from_data(part.pictures, device); // [B, 3, H, W]
    let mut targets = Vec::new();
    if objective.asks_for_targets(hidden.is_some()) {
        if model.auxiliary.get(TargetKind::Hog).is_some() {
            targets.push((TargetKind::Hog, hog::targets(picture.clone(), model.tokenizer.patch_size())));
        }
        targets.extend(teachers.targets(&picture));
    }
    let batch = Batch {
        picture,
        hidden: hidden.map(|masks| Hidden::new(masks, device)),
        targets,
        noise: part.noise.map(|noise| Tensor::from_data(noise, device)),
        drop_path: part.drop_path,
    };
    let losses = objective.losses(&model.tokenizer, &model.auxiliary, batch);
    (losses.total, losses.parts)
}

impl Training for TokenizerTrainer {
    fn step(&mut self, step: u64, progress: f64) -> Result<Vec<(&'static str, f64)>> {
        let parts = self.batches.next(step);
        let unmasking = self.settings.unmask_from.is_some_and(|from| progress >= from);
        if unmasking && self.settings.freeze_encoder && !self.encoder_frozen {
            let encoder = ParamGroup::from_any_predicates(vec!["tokenizer.encoder.", "tokenizer.quant_conv."]);
            self.model = self.model.take().map(|model| model.set_require_grad_group(encoder, false));
            self.encoder_frozen = true;
        }
        let masks = self.masks(step, progress);
        let each = self.settings.batch / self.settings.workers;
        let objective = self.settings.objective();
        let parts: Vec<(usize, Part)> = parts.into_iter().enumerate().collect();
        let (value, named, grads) = gradients(self.model(), parts, &self.device, |model, (at, part)| {
            let hidden = masks.as_ref().map(|masks| &masks[at * each..(at + 1) * each]);
            losses(model, &objective, &self.teachers, part, hidden, &self.device)
        });
        let (grads, norm) = clip_by_global_norm(grads, self.model(), self.settings.clip);
        let mut values = vec![("loss", value), ("grad_norm", norm)];
        values.extend(named);
        if !self.sound.accept(value, norm, step)? {
            return Ok(values);
        }
        let rate = self.rate(step, progress);
        // The optimiser takes the module and gives it back; a module cloned would be copied, not changed in place.
        if let Some(model) = self.model.take() {
            let model = self.optimiser.step(rate, model, grads);
            self.ema.update(&model.tokenizer, decay_at(self.settings.ema, self.settings.ema_warmup, step));
            self.model = Some(model);
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
            files.push(("auxiliary.safetensors", checkpoint::save(&auxiliary.valid(), Storage::F32, &none)?));
        }
        Ok(files)
    }
}
