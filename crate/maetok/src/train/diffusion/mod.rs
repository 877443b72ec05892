//! Training of the generator: the velocity of cached latents, with labels that are sometimes left out.
//!
//! LightningDiT is trained like SiT; its recipe adds a loss on the velocity's direction.
//!
//! Source: Ma et al. 2024 (SiT), arXiv 2401.08740, with the settings of MAETok's authors: AdamW without weight decay,
//! averaged weights, labels dropped with probability 0.1, log-normal times.
//!
//! Differs from the official code: latents are made once, with a mirrored copy each where wanted; classes are
//! drawn equally often.

mod batch;
mod settings;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use burn::module::Module;
use burn::tensor::{Device, Int, Tensor, TensorData};
use image::RgbImage;
use serde_json::{Map, Value, json};

pub use self::settings::DiffusionTraining;

use self::batch::Batch;
use super::data::{Pictures, Split, stream};
use super::devices::{Devices, check_precision};
use super::drive::{MOMENTS, Soundness, State, Summary, Training, drive, read_state};
use super::ema::{Ema, decay_at};
use super::evaluation::to_pictures;
use super::latents::{self, About, Latents, Source, UNITS};
use super::losses::{VelocityLosses, velocity};
use super::optimiser::{Optimiser, clip_by_global_norm, with_stable_ids};
use super::parallel::gradients;
use super::prefetch::Prefetch;
use super::provenance;
use super::run_folder::{CLASSES, Kind, RunFolder, read, read_json, to_json};
use crate::checkpoint::{self, Storage};
use crate::diffusion::{Generator, GeneratorConfig, PathType};
use crate::nn::precision;
use crate::rng::Rng;
use crate::sampler::{Guidance, SamplerKind, Trajectory};
use crate::tokenizer::{Tokenizer, TokenizerConfig};
use crate::{Error, Result, image as picture};

/// Steps and guidance of the sample grids.
const GRID_STEPS: usize = 25;
const GRID_GUIDANCE: f64 = 2.0;
/// Samples of a class in a grid.
const GRID_COLUMNS: usize = 2;

/// A generator run; see the module text.
pub struct DiffusionTrainer {
    settings: DiffusionTraining,
    config: GeneratorConfig,
    folder: RunFolder,
    state: State,
    devices: Devices,
    /// The first of them.
    device: Device,
    /// Always there but while the optimiser has it.
    model: Option<Generator>,
    ema: Ema<Generator>,
    optimiser: Optimiser,
    batches: Prefetch<Vec<Batch>>,
    tokenizer: Tokenizer,
    tokenizer_config: TokenizerConfig,
    /// What the latents were made from.
    about: About,
    held_out: Option<Batch>,
    sound: Soundness,
    notices: Vec<String>,
}

impl DiffusionTrainer {
    /// Starts a run in `out`, or goes on with the one there.
    ///
    /// `config` gives the kind of network, width, depth, heads and label dropout; tokens, channels and classes follow
    /// from the tokenizer and the pictures.
    ///
    /// # Errors
    /// [`Error::Setting`] or [`Error::Config`] for settings that make no sense, [`Error::Io`] for files,
    /// [`Error::Training`] for a run that learns something else. A run that cannot be resumed stays as it is.
    pub fn new(
        settings: DiffusionTraining,
        config: impl Into<GeneratorConfig>,
        out: &Path,
        resume: bool,
        devices: impl Into<Devices>,
    ) -> Result<Self> {
        settings.validate()?;
        let devices = devices.into().autodiff();
        let parts = devices.parts(settings.batch, settings.workers)?;
        check_precision(settings.precision, &devices)?;
        let device = devices.main().clone();
        let split = Split::find(&settings.data)?;
        let source = Source::find(&settings.tokenizer)?;
        RunFolder::existing(out).check_kind(Kind::Generator)?;
        let folder = RunFolder::open(out, resume)?;
        let size = source.config.image_size;
        let pictures = Pictures::read(&split.train, size, None)?;
        let mut notices = pictures.notices();
        let (tokens, channels) = (source.config.latent_tokens, source.config.latent_channels);
        let config = config.into().with_latents(tokens, channels, pictures.classes.len());

        // A run whose state does not fit is refused as it is: nothing is written before all of it is loaded.
        let plain = device.clone().inner();
        let latest = folder.latest()?.map(|(_, from)| from);
        device.seed(settings.seed);
        let mut model = with_stable_ids(config.init(&device)?);
        let mut ema = Ema::new(&model);
        let mut optimiser = settings.adamw.init();
        let mut state = State::default();
        if let Some(from) = &latest {
            check_classes(&folder, &pictures.classes)?;
            let weights = |name: &str| read(&from.join(name));
            model = checkpoint::load(model, &[&weights("raw.safetensors")?])?.0;
            ema = Ema::resume(checkpoint::load(ema.into_module(), &[&weights("model.safetensors")?])?.0);
            let path = from.join(MOMENTS);
            optimiser = optimiser.restore(&read(&path)?, &path, &model, &plain)?;
            state = read_state(from)?;
        }
        let held_out = match &split.held_out {
            Some(dir) => {
                let held_out = Pictures::read(dir, size, Some(&pictures.classes))?;
                notices.extend(held_out.notices());
                Some(held_out)
            }
            None => None,
        };

        let how = (settings.mirror, settings.pace.quiet);
        let tokenizer = source.load(&plain)?;
        let (latents, about) =
            Latents::of_run(&folder, latest.as_deref(), &source, &tokenizer, &pictures, how, &plain)?;
        let tokenizer_config =
            TokenizerConfig { latent_mean: latents.mean, latent_std: latents.std, ..source.config.clone() };
        let units = (latents.mean, latents.std);
        let held_out = held_out
            .map(|pictures| batch::held_out(&settings, &config, &pictures, &tokenizer, units, &plain))
            .transpose()?;
        folder.write_json(CLASSES, &pictures.classes)?;
        folder.write("config.json", config.to_json().as_bytes())?;
        provenance::record(&folder, &settings, state.step, &pictures, &mut notices)?;
        let batches = Prefetch::new(state.step, batch::maker(&settings, &config, pictures, latents, parts))?;
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
            batches,
            tokenizer,
            tokenizer_config,
            about,
            held_out,
            sound: Soundness::default(),
            notices,
        })
    }

    /// What a person should know before the run.
    pub fn notices(&self) -> &[String] {
        &self.notices
    }

    /// Number of parameters.
    pub fn parameters(&self) -> usize {
        self.model().num_params()
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

    fn model(&self) -> &Generator {
        self.model.as_ref().expect("the model is put back by every update")
    }

    /// Latents for `labels` in model units, all at once, by the averaged weights.
    fn sample(&self, labels: &[i64]) -> Result<Tensor<3>> {
        let device = self.device.clone().inner();
        let shape = [labels.len(), self.config.tokens(), self.config.channels()];
        let null = vec![self.config.classes() as i64; labels.len()];
        let guidance = Guidance { scale: GRID_GUIDANCE, low: 0.0, high: 1.0 };
        let noise = Rng::new(self.settings.seed, stream::GRID).normals(shape.iter().product());
        let mut run = Trajectory::new(SamplerKind::Euler, self.settings.path, guidance, 1.0, GRID_STEPS, noise);
        let ask = |x: &[f64], t: f64, labels: &[i64]| -> Vec<f32> {
            let x: Vec<f32> = x.iter().map(|value| *value as f32).collect();
            let x = Tensor::<3>::from_data(TensorData::new(x, shape), &device);
            let t = Tensor::<1>::from_data(TensorData::new(vec![t as f32; labels.len()], [labels.len()]), &device);
            let y = Tensor::<1, Int>::from_data(TensorData::new(labels.to_vec(), [labels.len()]), &device);
            self.ema.module().forward(x, t, y).into_data().iter::<f32>().collect()
        };
        loop {
            let step = run.advance(
                async |question| {
                    let class = ask(question.x, question.t, labels);
                    let class = class.into_iter().map(f64::from);
                    if !question.guided {
                        return Ok(class.collect());
                    }
                    let null = ask(question.x, question.t, &null).into_iter().map(f64::from);
                    Ok(class.zip(null).map(|(class, null)| guidance.combine(class, null)).collect())
                },
                Vec::new,
            );
            if at_once(step)?.is_none() {
                break;
            }
        }
        let clean: Vec<f32> = run.state().iter().map(|value| *value as f32).collect();
        Ok(Tensor::from_data(TensorData::new(clean, shape), &device))
    }
}

impl Training for DiffusionTrainer {
    fn step(&mut self, step: u64, progress: f64) -> Result<Vec<(&'static str, f64)>> {
        let parts = self.batches.next(step);
        let (value, named, grads) = gradients(self.model(), parts, &self.devices, |model, part, number| {
            let device = &self.devices.all()[number];
            let losses =
                precision::within(self.settings.precision, || losses(model, &part, self.settings.path, device));
            let velocity = losses.velocity.mean();
            if self.settings.direction == 0.0 {
                return (velocity, Vec::new());
            }
            let direction = losses.direction.mean();
            let parts = vec![("velocity", velocity.clone()), ("direction", direction.clone())];
            (velocity + direction * self.settings.direction, parts)
        })?;
        let (grads, norm) = clip_by_global_norm(grads, self.model(), self.settings.clip);
        let mut values = vec![("loss", value), ("grad_norm", norm)];
        values.extend(named);
        if !self.sound.accept(value, norm, step)? {
            return Ok(values);
        }
        let rate = self.rate(step, progress);
        if let Some(model) = self.model.take() {
            let model = precision::within(self.settings.precision, || self.optimiser.step(rate, model, grads));
            self.ema.update(&model, decay_at(self.settings.ema, self.settings.ema_warmup, step));
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
        let mut measured = Map::new();
        if let Some(batch) = &self.held_out {
            let losses = losses(self.ema.module(), batch, self.settings.path, &self.device.clone().inner());
            measured.insert("held_out_loss".into(), json!(losses.velocity.mean().into_scalar::<f32>()));
        }
        Ok(measured)
    }

    fn grid(&mut self) -> Result<RgbImage> {
        let labels: Vec<i64> = (0..self.config.classes() * GRID_COLUMNS).map(|i| (i / GRID_COLUMNS) as i64).collect();
        let config = &self.tokenizer_config;
        let latents = self.sample(&labels)? * config.latent_std + config.latent_mean;
        let pictures = to_pictures(self.tokenizer.decode(latents), picture::generated_to_bytes);
        // Four classes side by side keep the sheet from growing too tall.
        Ok(picture::grid(&pictures, 4 * GRID_COLUMNS, 2))
    }

    fn files(&self) -> Result<Vec<(&'static str, Vec<u8>)>> {
        let none = Default::default();
        Ok(vec![
            ("config.json", self.config.to_json().into_bytes()),
            ("model.safetensors", checkpoint::save(self.ema.module(), Storage::F32, &none)?),
            ("raw.safetensors", checkpoint::save(&self.model().valid(), Storage::F32, &none)?),
            (MOMENTS, self.optimiser.store()?),
            (UNITS, self.tokenizer_config.to_json().into_bytes()),
            (latents::ABOUT, to_json(&self.about)?),
        ])
    }
}

/// Refuses to go on with other classes than those whose numbers the run has learnt.
///
/// # Errors
/// [`Error::Training`] that names both.
fn check_classes(folder: &RunFolder, classes: &[String]) -> Result<()> {
    let learnt: Vec<String> = read_json(&folder.path(CLASSES))?;
    if learnt == classes {
        return Ok(());
    }
    let (now, before) = (classes.join(", "), learnt.join(", "));
    Err(Error::training(format!("The pictures are of the classes {now}, but this run has learnt {before}")))
}

/// Losses per sample.
fn losses(model: &Generator, batch: &Batch, path: PathType, device: &Device) -> VelocityLosses {
    let tensor = |data: &TensorData| Tensor::<3>::from_data(data.clone(), device);
    let labels = Tensor::<1, Int>::from_data(TensorData::new(batch.labels.clone(), [batch.labels.len()]), device);
    let ask = |x, t, y| model.forward(x, t, y);
    velocity(ask, path, tensor(&batch.clean), tensor(&batch.noise), &batch.times, labels)
}

/// The result of a future that never waits.
///
/// # Panics
/// If it does wait.
fn at_once<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => unreachable!("the model is asked synchronously here"),
    }
}
