//! Runs of the generator: begun, taken step by step, taken up again.

use burn::tensor::{Int, Tensor, TensorData};
use image::RgbImage;

use super::{Pipeline, SampleRequest, read};
use crate::diffusion::{Generator, Modulations};
use crate::image::Rounding;
use crate::mix::mix;
use crate::rng::Rng;
use crate::sampler::{Evaluation, Guidance, Trajectory};
use crate::{Error, Result};

/// Stream of the generator's random numbers that the first noise comes from.
const NOISE_STREAM: u64 = 0;
/// Stream of the noise that the SDE adds.
const SDE_STREAM: u64 = 1;

/// One step of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// 1 for the first.
    pub index: usize,
    /// Steps in all.
    pub of: usize,
    /// Time at which the model was asked, 1 is noise.
    pub t: f64,
    /// What the model believed the clean latents to be, in model units, `[B * L * C]`.
    pub clean: Vec<f32>,
}

/// A run under way, of one picture or a batch; made by [`Pipeline::start`] and its relatives.
#[derive(Clone, Debug)]
pub struct SampleRun {
    requests: Vec<SampleRequest>,
    trajectory: Trajectory,
    noise: Vec<Rng>,
    told: Option<Told>,
}

impl SampleRun {
    /// The state in model units, `[B * L * C]`; the latents of the pictures once the run is over.
    pub fn latents(&self) -> Vec<f32> {
        self.state().iter().map(|x| *x as f32).collect()
    }

    /// The same as it is, for [`Pipeline::resume`].
    pub fn state(&self) -> &[f64] {
        self.trajectory.state()
    }

    /// Number of steps taken.
    pub fn taken(&self) -> usize {
        self.trajectory.taken()
    }

    /// What was asked for, picture by picture.
    pub fn requests(&self) -> &[SampleRequest] {
        &self.requests
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

impl Pipeline {
    /// Draws the noise of a run.
    ///
    /// # Errors
    /// If the request does not validate, begins with a picture, or the model has no generator.
    pub fn start(&self, request: SampleRequest) -> Result<SampleRun> {
        self.start_batch(vec![request])
    }

    /// Draws the noise of several pictures that are made together: faster than one by one, and the same pictures up to
    /// rounding, which a batch orders differently.
    ///
    /// # Errors
    /// As [`start`](Self::start), or if the requests differ in more than class, noise and what these are mixed with.
    pub fn start_batch(&self, requests: Vec<SampleRequest>) -> Result<SampleRun> {
        let noise = self.noise(&requests)?;
        if let Some(request) = requests.iter().find(|request| request.start != 1.0) {
            return Err(Error::setting("start", request.start, "1 where no picture is given"));
        }
        Ok(self.begin(requests, 0, noise))
    }

    /// Begins with pictures, latents in tokenizer units `[B * L * C]`, which get as much noise as belongs to the time
    /// `start` of the requests: the later, the less is left of them.
    ///
    /// # Errors
    /// As [`start_batch`](Self::start_batch), or if there are not as many latents as requests.
    pub fn start_from(&self, requests: Vec<SampleRequest>, latents: &[f32]) -> Result<SampleRun> {
        let noise = self.noise(&requests)?;
        if latents.len() != noise.len() {
            return Err(Error::setting("latents", latents.len(), format!("{} numbers", noise.len())));
        }
        let at = self.manifest.path_type.at(requests[0].start);
        let (mean, std) = (self.manifest.latent_mean, self.manifest.latent_std);
        let data = latents.iter().map(|z| (f64::from(*z) - mean) / std);
        let state = data.zip(&noise).map(|(x, noise)| at.alpha * x + at.sigma * noise).collect();
        Ok(self.begin(requests, 0, state))
    }

    /// Goes on with a run of which `taken` steps led to the [`state`](SampleRun::state): the rest is the same as if it
    /// had never been interrupted.
    ///
    /// # Errors
    /// As [`start_batch`](Self::start_batch), or if the state has another length or more steps were taken than asked for.
    pub fn resume(&self, requests: Vec<SampleRequest>, taken: usize, state: Vec<f64>) -> Result<SampleRun> {
        let values = self.check(&requests)?;
        if state.len() != values * requests.len() {
            return Err(Error::setting("state", state.len(), format!("{} numbers", values * requests.len())));
        }
        if taken > requests[0].steps {
            return Err(Error::setting("taken", taken, format!("at most {}, the steps", requests[0].steps)));
        }
        let mut run = self.begin(requests, taken, state);
        for rng in &mut run.noise {
            rng.normals(values * taken);
        }
        Ok(run)
    }

    /// Takes one step; `None` when the run is over. Completes only when the device has: one step is in flight at most.
    ///
    /// # Errors
    /// If the device fails.
    pub async fn step(&self, run: &mut SampleRun) -> Result<Option<Step>> {
        let SampleRun { requests, trajectory, noise, told } = run;
        let guidance = requests[0].guidance();
        let (tokens, channels) = self.latent_shape();
        let Some(told) = self.tell(told, trajectory, requests)? else {
            return Ok(None);
        };
        let progress = trajectory
            .advance(
                async |question| self.velocity(question, told, requests.len(), guidance).await,
                || noise.iter_mut().flat_map(|rng| rng.normals(tokens * channels)).collect(),
            )
            .await?;
        Ok(progress.map(|progress| Step {
            index: trajectory.taken(),
            of: trajectory.steps(),
            t: progress.t,
            clean: progress.clean.iter().map(|x| *x as f32).collect(),
        }))
    }

    /// The picture that a step of a single run believed in.
    ///
    /// # Errors
    /// If the device fails.
    pub async fn preview(&self, step: &Step) -> Result<RgbImage> {
        self.decode(&self.tokenizer_units(&step.clean)).await
    }

    /// The picture of a single run's present state.
    ///
    /// # Errors
    /// If the device fails.
    pub async fn finish(&self, run: &SampleRun) -> Result<RgbImage> {
        self.decode(&self.tokenizer_units(&run.latents())).await
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

    /// Whole runs in one batch: see [`start_batch`](Self::start_batch).
    ///
    /// # Errors
    /// As [`start_batch`](Self::start_batch) and [`step`](Self::step).
    pub async fn sample_many(&self, requests: &[SampleRequest]) -> Result<Vec<RgbImage>> {
        let mut run = self.start_batch(requests.to_vec())?;
        while self.step(&mut run).await?.is_some() {}
        self.decode_many(&self.tokenizer_units(&run.latents()), Rounding::Generated).await
    }

    /// Checks a batch; returns the numbers of one latent.
    fn check(&self, requests: &[SampleRequest]) -> Result<usize> {
        let first = requests.first().ok_or_else(|| Error::setting("requests", 0, "one or more"))?;
        for request in requests {
            request.validate(&self.manifest)?;
            if !request.goes_with(first) {
                return Err(Error::setting("requests", "different", "alike but for class and noise"));
            }
        }
        self.generator()?;
        let (tokens, channels) = self.latent_shape();
        Ok(tokens * channels)
    }

    /// The noise of a batch, which is checked.
    fn noise(&self, requests: &[SampleRequest]) -> Result<Vec<f64>> {
        let values = self.check(requests)?;
        let of_seed = |seed| Rng::new(seed, NOISE_STREAM).normals(values);
        Ok(requests
            .iter()
            .flat_map(|request| match request.blend {
                None => of_seed(request.seed),
                Some(blend) => mix(&of_seed(request.seed), &of_seed(blend.seed), blend.share, blend.way),
            })
            .collect())
    }

    /// A run of a checked batch.
    fn begin(&self, requests: Vec<SampleRequest>, taken: usize, state: Vec<f64>) -> SampleRun {
        let SampleRequest { sampler, steps, start, .. } = requests[0];
        let (path, guidance) = (self.manifest.path_type, requests[0].guidance());
        SampleRun {
            trajectory: Trajectory::new(sampler, path, guidance, start, steps, state).after(taken),
            noise: requests.iter().map(|request| Rng::new(request.seed, SDE_STREAM)).collect(),
            told: None,
            requests,
        }
    }

    /// What the blocks are told in the next step, made for many steps at once; `None` when the run is over.
    fn tell<'a>(
        &self,
        told: &'a mut Option<Told>,
        run: &Trajectory,
        requests: &[SampleRequest],
    ) -> Result<Option<&'a Told>> {
        let (generator, config) = self.generator()?;
        let next = run.coming(2);
        if next.is_empty() {
            return Ok(None);
        }
        if told.as_ref().is_none_or(|told| next.iter().any(|t| !told.times.contains(t))) {
            // The old table goes before the new one is made.
            *told = None;
            let times = run.coming((TOLD_ROWS / (2 * requests.len())).max(TOLD_STEPS));
            let guidance = requests[0].guidance();
            let null = times.iter().any(|t| guidance.applies(*t)).then_some(config.classes());
            let classes = self.class_embeddings(generator, requests, null); // [each, D]
            let [each, _] = classes.dims();
            let t: Vec<f32> = times.iter().flat_map(|t| std::iter::repeat_n(*t as f32, each)).collect();
            let t = Tensor::<1>::from_data(TensorData::new(t, [times.len() * each]), &self.device);
            let table = generator.modulations_of(t, classes.repeat_dim(0, times.len()));
            *told = Some(Told { times: times.to_vec(), each, table });
        }
        Ok(told.as_ref())
    }

    /// Embeddings of a batch's classes, then those of the null class for as many: `[B, D]` or `[2B, D]`.
    fn class_embeddings(&self, generator: &Generator, requests: &[SampleRequest], null: Option<usize>) -> Tensor<2> {
        let embed = |labels: Vec<i32>| {
            let rows = labels.len();
            generator.embed_classes(Tensor::<1, Int>::from_data(TensorData::new(labels, [rows]), &self.device))
        };
        let nulls = requests.iter().filter_map(|_| null).map(|null| null as i32);
        let labels = requests.iter().map(|request| request.class as i32);
        let own = embed(labels.chain(nulls.clone()).collect());
        if requests.iter().all(|request| request.toward.is_none()) {
            return own;
        }
        let ends = requests.iter().map(|request| request.toward.map_or(request.class, |toward| toward.class) as i32);
        let other = embed(ends.chain(nulls.clone()).collect());
        let shares = requests.iter().map(|request| request.toward.map_or(0.0, |toward| toward.share as f32));
        let shares: Vec<f32> = shares.chain(nulls.map(|_| 0.0)).collect();
        let rows = shares.len();
        let share = Tensor::<2>::from_data(TensorData::new(shares, [rows, 1]), &self.device);
        own.clone() + (other - own) * share
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

#[cfg(test)]
#[path = "run_tests.rs"]
mod tests;
