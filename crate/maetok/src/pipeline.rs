//! Load, sample, encode, decode, reconstruct: what the page, the command line and every other front call.

use burn::module::Module;
use burn::tensor::{Device, Int, Tensor, TensorData};
use image::RgbImage;
use serde::{Deserialize, Serialize};

use crate::checkpoint::{self, Manifest, ModelEntry, ModelFiles, Weights};
use crate::diffusion::{Generator, GeneratorConfig, Modulations};
use crate::eval::{psnr, ssim};
use crate::image::{self as picture, Rounding};
use crate::kernels;
use crate::nn::unpatchify;
use crate::rng::Rng;
use crate::sampler::{Evaluation, Guidance, SamplerKind, Trajectory};
use crate::tokenizer::{Tokenizer, TokenizerConfig};
use crate::{Error, Result};

/// Stream of the generator's random numbers that the first noise comes from.
const NOISE_STREAM: u64 = 0;
/// Stream of the noise that the SDE adds.
const SDE_STREAM: u64 = 1;

/// What to sample.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SampleRequest {
    /// Index into the manifest's classes.
    pub class: usize,
    /// The same seed gives the same picture on every platform, within 2/255.
    pub seed: u64,
    /// Number of steps, 1 to 1000.
    pub steps: usize,
    /// Guidance scale, 1 (none) to 20.
    pub guidance: f64,
    /// Times at which guidance applies, `0 <= low <= high <= 1`.
    pub interval: (f64, f64),
    /// Integrator.
    pub sampler: SamplerKind,
}

impl Default for SampleRequest {
    fn default() -> Self {
        Self { class: 0, seed: 0, steps: 25, guidance: 2.0, interval: (0.0, 1.0), sampler: SamplerKind::Euler }
    }
}

impl SampleRequest {
    fn guidance(&self) -> Guidance {
        let (low, high) = self.interval;
        Guidance { scale: self.guidance, low, high }
    }

    /// Checks every field against its range and the model's classes.
    ///
    /// # Errors
    /// [`Error::Setting`] or [`Error::UnknownClass`] for the first that is out of range.
    pub fn validate(&self, manifest: &Manifest) -> Result<()> {
        if self.class >= manifest.classes.len() {
            manifest.class_index(&self.class.to_string())?;
        }
        if !(1..=1000).contains(&self.steps) {
            return Err(Error::setting("steps", self.steps, "a number from 1 to 1000"));
        }
        if !(1.0..=20.0).contains(&self.guidance) {
            return Err(Error::setting("guidance", self.guidance, "a number from 1 (off) to 20"));
        }
        let (low, high) = self.interval;
        if !(0.0 <= low && low <= high && high <= 1.0) {
            return Err(Error::setting("interval", format!("{low},{high}"), "two times with 0 <= low <= high <= 1"));
        }
        Ok(())
    }
}

/// One step of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// 1 for the first.
    pub index: usize,
    /// Steps in all.
    pub of: usize,
    /// Time at which the model was asked, 1 is noise.
    pub t: f64,
    /// What the model believed the clean latent to be, in model units, `[L * C]`.
    pub clean: Vec<f32>,
}

/// A run under way; made by [`Pipeline::start`].
#[derive(Clone, Debug)]
pub struct SampleRun {
    request: SampleRequest,
    trajectory: Trajectory,
    noise: Rng,
    told: Option<Told>,
}

impl SampleRun {
    /// The state in model units, `[L * C]`; the latent of the picture once the run is over.
    pub fn latents(&self) -> Vec<f32> {
        self.trajectory.state().iter().map(|x| *x as f32).collect()
    }

    /// What was asked for.
    pub fn request(&self) -> &SampleRequest {
        &self.request
    }
}

/// Rows of modulations made in one go, 38 MB with SiT-XL, where a batch is not so large that [`TOLD_STEPS`] need more.
const TOLD_ROWS: usize = 50;
/// Fewest steps that are told of in one go: with one or two, every second row would be made twice.
const TOLD_STEPS: usize = 8;

/// What the generator's blocks are told in the next steps.
#[derive(Clone, Debug)]
struct Told {
    times: Vec<f64>,
    /// Rows of one time: its classes, then the null class as often if any time is guided.
    each: usize,
    table: Modulations,
}

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

    /// Draws the noise of a run.
    ///
    /// # Errors
    /// If the request does not validate, or the model has no generator.
    pub fn start(&self, request: SampleRequest) -> Result<SampleRun> {
        request.validate(&self.manifest)?;
        self.generator()?;
        let (tokens, channels) = self.latent_shape();
        let noise = Rng::new(request.seed, NOISE_STREAM).normals(tokens * channels);
        let guidance = request.guidance();
        Ok(SampleRun {
            trajectory: Trajectory::new(request.sampler, self.manifest.path_type, guidance, request.steps, noise),
            noise: Rng::new(request.seed, SDE_STREAM),
            told: None,
            request,
        })
    }

    /// Takes one step; `None` when the run is over. Completes only when the device has: one step is in flight at most.
    ///
    /// # Errors
    /// If the device fails.
    pub async fn step(&self, run: &mut SampleRun) -> Result<Option<Step>> {
        let guidance = run.request.guidance();
        let values = run.trajectory.state().len();
        let Some(told) = self.tell(&mut run.told, &run.trajectory, &[run.request.class], guidance)? else {
            return Ok(None);
        };
        let noise = &mut run.noise;
        let progress = run
            .trajectory
            .advance(async |question| self.velocity(question, told, 1, guidance).await, || noise.normals(values))
            .await?;
        Ok(progress.map(|progress| Step {
            index: run.trajectory.taken(),
            of: run.trajectory.steps(),
            t: progress.t,
            clean: progress.clean.iter().map(|x| *x as f32).collect(),
        }))
    }

    /// The picture that a step believed in.
    ///
    /// # Errors
    /// If the device fails.
    pub async fn preview(&self, step: &Step) -> Result<RgbImage> {
        self.picture(&step.clean).await
    }

    /// The picture of a run's present state.
    ///
    /// # Errors
    /// If the device fails.
    pub async fn finish(&self, run: &SampleRun) -> Result<RgbImage> {
        self.picture(&run.latents()).await
    }

    /// A whole run: all steps, then the picture.
    ///
    /// # Errors
    /// As [`start`](Self::start) and [`step`](Self::step).
    pub async fn sample(&self, request: SampleRequest, mut on_step: impl FnMut(&Step)) -> Result<RgbImage> {
        let mut run = self.start(request)?;
        while let Some(step) = self.step(&mut run).await? {
            on_step(&step);
        }
        self.finish(&run).await
    }

    /// Whole runs in one batch: the pictures of requests that differ in class and seed alone, in their order.
    ///
    /// Faster than one by one. A picture is that of [`sample`](Self::sample) up to rounding, which a batch orders
    /// differently.
    ///
    /// # Errors
    /// As [`start`](Self::start) and [`step`](Self::step).
    ///
    /// # Panics
    /// If the requests differ in more, or there are none.
    pub async fn sample_many(&self, requests: &[SampleRequest]) -> Result<Vec<RgbImage>> {
        let first = requests.first().expect("at least one request");
        for request in requests {
            let SampleRequest { class, seed, .. } = *request;
            assert_eq!(*request, SampleRequest { class, seed, ..first.clone() }, "requests of one batch");
            request.validate(&self.manifest)?;
        }
        self.generator()?;
        let (tokens, channels) = self.latent_shape();
        let length = tokens * channels;
        let normals = |rng: &mut Rng| rng.normals(length);
        let of_stream = |stream| requests.iter().map(|r| Rng::new(r.seed, stream)).collect::<Vec<Rng>>();
        let start = of_stream(NOISE_STREAM).iter_mut().flat_map(normals).collect();
        let mut noise = of_stream(SDE_STREAM);
        let classes: Vec<usize> = requests.iter().map(|request| request.class).collect();
        let guidance = first.guidance();
        let mut run = Trajectory::new(first.sampler, self.manifest.path_type, guidance, first.steps, start);
        let mut told = None;
        while let Some(told) = self.tell(&mut told, &run, &classes, guidance)? {
            run.advance(
                async |question| self.velocity(question, told, classes.len(), guidance).await,
                || noise.iter_mut().flat_map(normals).collect(),
            )
            .await?;
        }
        let (mean, std) = (self.manifest.latent_mean, self.manifest.latent_std);
        let latents: Vec<f32> = run.state().iter().map(|x| (x * std + mean) as f32).collect();
        self.pictures(&latents, Rounding::Generated).await
    }

    /// The latent of a picture of any size, in tokenizer units, `[L * C]`.
    ///
    /// # Errors
    /// If the device fails.
    pub async fn encode(&self, image: &RgbImage) -> Result<Vec<f32>> {
        self.encode_square(&picture::centre_crop(image, self.config.image_size)).await
    }

    /// The picture of a latent in tokenizer units, `[L * C]`.
    ///
    /// # Errors
    /// [`Error::Setting`] if the length is not `L * C`; if the device fails.
    pub async fn decode(&self, latents: &[f32]) -> Result<RgbImage> {
        let (tokens, channels) = self.latent_shape();
        if latents.len() != tokens * channels {
            return Err(Error::setting("latents", latents.len(), format!("{} numbers", tokens * channels)));
        }
        self.one_picture(latents, Rounding::Generated).await
    }

    /// A picture of any size through the tokenizer, with scores.
    ///
    /// # Errors
    /// If the device fails.
    pub async fn reconstruct(&self, image: &RgbImage) -> Result<Reconstruction> {
        let original = picture::centre_crop(image, self.config.image_size);
        let latents = self.encode_square(&original).await?;
        let reconstruction = self.one_picture(&latents, Rounding::Reconstructed).await?;
        Ok(Reconstruction {
            psnr: psnr(&original, &reconstruction),
            ssim: ssim(&original, &reconstruction),
            original,
            reconstruction,
            latents,
        })
    }

    async fn encode_square(&self, square: &RgbImage) -> Result<Vec<f32>> {
        let size = self.config.image_size;
        let planes = TensorData::new(picture::to_planes(square), [1, 3, size, size]);
        let image = Tensor::<4>::from_data(planes, &self.device);
        read(self.tokenizer.encode(image, None)).await
    }

    /// The pictures of latents in tokenizer units, `[B * L * C]`.
    async fn pictures(&self, latents: &[f32], rounding: Rounding) -> Result<Vec<RgbImage>> {
        let (tokens, channels) = self.latent_shape();
        let z = TensorData::new(latents.to_vec(), [latents.len() / (tokens * channels), tokens, channels]);
        let patches = self.tokenizer.decode_patches(Tensor::<3>::from_data(z, &self.device));
        let (size, side) = (self.config.image_size, self.config.patch_size);
        if let Some(pixels) = kernels::to_rgba8(&patches, side, rounding) {
            let data = pixels.into_data_async().await.map_err(|e| Error::of_device(&e))?;
            let pixels = data.try_to_vec::<i32>().map_err(|e| Error::of_device(&e))?;
            return Ok(pixels.chunks_exact(size * size).map(|one| picture::from_pixels(one, size)).collect());
        }
        let planes = read(unpatchify(patches, side)).await?;
        Ok(planes.chunks_exact(3 * size * size).map(|one| picture::from_planes(one, size, rounding)).collect())
    }

    /// The picture of one.
    async fn one_picture(&self, latents: &[f32], rounding: Rounding) -> Result<RgbImage> {
        let mut pictures = self.pictures(latents, rounding).await?;
        Ok(pictures.pop().expect("as many pictures as latents"))
    }

    /// Decodes latents in model units.
    async fn picture(&self, latents: &[f32]) -> Result<RgbImage> {
        let (mean, std) = (self.manifest.latent_mean, self.manifest.latent_std);
        let latents: Vec<f32> = latents.iter().map(|x| (f64::from(*x) * std + mean) as f32).collect();
        self.decode(&latents).await
    }

    fn generator(&self) -> Result<&(Generator, GeneratorConfig)> {
        self.generator.as_ref().ok_or_else(|| {
            Error::setting("model", &self.manifest.name, "a model with a generator; this one has a tokenizer only")
        })
    }

    /// What the blocks are told in the next step, made for many steps at once; `None` when the run is over.
    fn tell<'a>(
        &self,
        told: &'a mut Option<Told>,
        run: &Trajectory,
        classes: &[usize],
        guidance: Guidance,
    ) -> Result<Option<&'a Told>> {
        let (generator, config) = self.generator()?;
        let next = run.coming(2);
        if next.is_empty() {
            return Ok(None);
        }
        if told.as_ref().is_none_or(|told| next.iter().any(|t| !told.times.contains(t))) {
            // The old table goes before the new one is made.
            *told = None;
            let times = run.coming((TOLD_ROWS / (2 * classes.len())).max(TOLD_STEPS));
            let mut labels: Vec<i32> = classes.iter().map(|class| *class as i32).collect();
            if times.iter().any(|t| guidance.applies(*t)) {
                labels.extend(vec![config.classes() as i32; classes.len()]);
            }
            let each = labels.len();
            let rows = times.len() * each;
            let t: Vec<f32> = times.iter().flat_map(|t| std::iter::repeat_n(*t as f32, each)).collect();
            let t = Tensor::<1>::from_data(TensorData::new(t, [rows]), &self.device);
            let y = TensorData::new(labels.repeat(times.len()), [rows]);
            let y = Tensor::<1, Int>::from_data(y, &self.device);
            *told = Some(Told { times: times.to_vec(), each, table: generator.modulations(t, y) });
        }
        Ok(told.as_ref())
    }

    /// The velocity of `B` states, `[B * L * C]`.
    async fn velocity(
        &self,
        question: Evaluation<'_>,
        told: &Told,
        batch: usize,
        guidance: Guidance,
    ) -> Result<Vec<f64>> {
        let (generator, _) = self.generator()?;
        let (tokens, channels) = self.latent_shape();
        let state: Vec<f32> = question.x.iter().map(|x| *x as f32).collect();
        let mut x = Tensor::<3>::from_data(TensorData::new(state, [batch, tokens, channels]), &self.device);
        if question.guided {
            x = x.repeat_dim(0, 2);
        }
        let place = told.times.iter().position(|t| *t == question.t).expect("the next two times have been told");
        let v = generator.forward_modulated(x, &told.table, place * told.each); // [B, L, C], [2B, L, C] when guided
        let values = read(v).await?;
        let (class_part, null_part) = values.split_at(question.x.len());
        Ok(match question.guided {
            false => class_part.iter().map(|v| f64::from(*v)).collect(),
            true => class_part
                .iter()
                .zip(null_part)
                .map(|(class, null)| guidance.combine(f64::from(*class), f64::from(*null)))
                .collect(),
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

    /// Modulations come from a table that is made anew every 25 steps; asked for one by one they give the same latents.
    #[test]
    fn steps_told_ahead_are_the_steps_told_one_by_one() {
        let models = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../assets/models/toon-128");
        let pipeline = Pipeline::load(&ModelFiles::from_folder(&models).unwrap(), &Device::flex()).unwrap();
        let (generator, config) = pipeline.generator().unwrap();
        let (tokens, channels) = pipeline.latent_shape();
        for sampler in [SamplerKind::Euler, SamplerKind::Heun, SamplerKind::Sde] {
            let request =
                SampleRequest { steps: 30, class: 3, seed: 5, interval: (0.2, 0.7), sampler, ..Default::default() };
            let mut ahead = pipeline.start(request.clone()).unwrap();
            let mut plain = pipeline.start(request.clone()).unwrap();
            let guidance = request.guidance();
            while pollster::block_on(pipeline.step(&mut ahead)).unwrap().is_some() {}
            let velocity = async |question: Evaluation<'_>| {
                let ask = |class: usize| {
                    let x: Vec<f32> = question.x.iter().map(|x| *x as f32).collect();
                    let x = Tensor::<3>::from_data(TensorData::new(x, [1, tokens, channels]), &pipeline.device);
                    let t = Tensor::<1>::from_floats([question.t as f32], &pipeline.device);
                    let y = Tensor::<1, Int>::from_ints([class as i32], &pipeline.device);
                    generator.forward(x, t, y).into_data().try_to_vec::<f32>().unwrap()
                };
                let class = ask(request.class);
                let null = if question.guided { ask(config.classes()) } else { class.clone() };
                let combined = class.iter().zip(null).map(|(class, null)| match question.guided {
                    true => guidance.combine(f64::from(*class), f64::from(null)),
                    false => f64::from(*class),
                });
                Ok(combined.collect())
            };
            let values = plain.trajectory.state().len();
            let noise = &mut plain.noise;
            while pollster::block_on(plain.trajectory.advance(velocity, || noise.normals(values))).unwrap().is_some() {}
            let worst = ahead.latents().iter().zip(plain.latents()).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(worst < 1e-3, "{sampler:?}: {worst}");
        }
    }
}
