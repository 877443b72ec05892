//! The loop both trainers share: step, log, measure, draw, save, end.

use std::path::PathBuf;
use std::time::Instant;

use image::RgbImage;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::progress::{Clock, Length, Progress};
use super::run_folder::{RunFolder, read_json, to_json};
use crate::{Error, Result, image as picture};

/// When a run ends and how often it does what besides training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Pace {
    /// Updates of the whole run.
    pub steps: u64,
    /// Bounds the run by minutes of training instead; the learning rate then falls over that time.
    pub minutes: Option<f64>,
    /// Updates between two lines of the log.
    pub log_every: u64,
    /// Updates between two measurements on held-out pictures.
    pub evaluate_every: u64,
    /// Updates between two sample grids.
    pub sample_every: u64,
    /// Updates between two checkpoints.
    pub checkpoint_every: u64,
    /// Shows nothing; the log is written all the same.
    #[serde(skip)]
    pub quiet: bool,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            steps: 20_000,
            minutes: None,
            log_every: 50,
            evaluate_every: 1000,
            sample_every: 1000,
            checkpoint_every: 1000,
            quiet: false,
        }
    }
}

/// Where a run stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// Updates done.
    pub step: u64,
    /// Seconds of training.
    pub seconds: f64,
    /// Pictures seen, repetitions counted.
    pub images: u64,
}

/// How a run ended.
#[derive(Clone, Debug)]
pub struct Summary {
    /// Where it stands.
    pub state: State,
    /// Its last checkpoint.
    pub checkpoint: PathBuf,
    /// The last measurement.
    pub measured: Map<String, Value>,
}

/// What the loop drives.
pub trait Training {
    /// One update; returns the numbers to be averaged in the log, `loss` among them.
    fn step(&mut self, step: u64, progress: f64) -> Result<Vec<(&'static str, f64)>>;
    /// Learning rate of an update, for the log.
    fn rate(&self, step: u64, progress: f64) -> f64;
    /// Pictures in a batch.
    fn batch(&self) -> usize;
    /// Measures the averaged weights.
    fn evaluate(&mut self) -> Result<Map<String, Value>>;
    /// A picture of what the averaged weights can do.
    fn grid(&mut self) -> Result<RgbImage>;
    /// Everything needed to use the model and to go on.
    fn files(&self) -> Result<Vec<(&'static str, Vec<u8>)>>;
}

/// Updates in a row whose loss or gradient may be no number before the run gives up.
const PATIENCE: u32 = 20;

/// Keeps a loss that is no number from ruining the weights.
#[derive(Default)]
pub struct Soundness {
    in_a_row: u32,
}

impl Soundness {
    /// Whether the update may be made; one with a loss or gradient norm that is no number may not.
    ///
    /// # Errors
    /// [`Error::Training`] after too many in a row.
    pub fn accept(&mut self, loss: f64, norm: f64, step: u64) -> Result<bool> {
        if loss.is_finite() && norm.is_finite() {
            self.in_a_row = 0;
            return Ok(true);
        }
        self.in_a_row += 1;
        if self.in_a_row < PATIENCE {
            return Ok(false);
        }
        Err(Error::training(format!(
            "The loss was no number for {PATIENCE} updates up to step {step}; resume from the last checkpoint with a smaller learning rate"
        )))
    }
}

/// Refuses settings that are not positive numbers.
///
/// # Errors
/// [`Error::Setting`] for the first that is not.
pub fn check_positive(settings: &[(&'static str, f64)]) -> Result<()> {
    match settings.iter().find(|(_, value)| !(value.is_finite() && *value > 0.0)) {
        Some((name, value)) => Err(Error::setting(name, value, "a positive number")),
        None => Ok(()),
    }
}

/// Refuses settings that are negative or no numbers.
///
/// # Errors
/// [`Error::Setting`] for the first that is.
pub fn check_not_negative(settings: &[(&'static str, f64)]) -> Result<()> {
    match settings.iter().find(|(_, value)| !(value.is_finite() && *value >= 0.0)) {
        Some((name, value)) => Err(Error::setting(name, value, "a number that is not negative")),
        None => Ok(()),
    }
}

/// Name of the file with the optimiser's memory in a checkpoint.
pub const MOMENTS: &str = "optimiser.safetensors";
/// Name of the file with the [`State`] in a checkpoint.
const STATE: &str = "state.json";

/// Reads where a checkpoint stands.
pub fn read_state(checkpoint: &std::path::Path) -> Result<State> {
    read_json(&checkpoint.join(STATE))
}

/// Runs `training` from `state` to its end or until somebody makes the file `stop` in the run's folder.
///
/// # Errors
/// Whatever a step, a measurement or writing a file gives. The last checkpoint stays.
pub fn drive(training: &mut impl Training, pace: &Pace, folder: &RunFolder, mut state: State) -> Result<Summary> {
    let length = Length::new(pace.steps, pace.minutes);
    let mut progress = Progress::new(folder, state.step, pace.quiet)?;
    let clock = Clock::starting_at(state.seconds);
    let mut measured = Map::new();
    let mut saved = None;
    let due = |every: u64, step: u64| every > 0 && step.is_multiple_of(every);
    loop {
        let share = length.progress(state.step, clock.seconds());
        let asked = state.step > 0 && due(pace.log_every.clamp(1, 50), state.step) && folder.stop_requested();
        let done = share >= 1.0 || asked;
        if state.step > 0 && (done || due(pace.log_every, state.step)) {
            progress.write_interval(state.step, clock.seconds(), share, &[("lr", training.rate(state.step, share))])?;
        }
        let aside = Instant::now();
        state.seconds = clock.seconds();
        // A run that only resumed has written all this before.
        let moved = saved.is_some_and(|at| at != state.step) || saved.is_none() && state.step > 0;
        if moved && (done || due(pace.checkpoint_every, state.step)) {
            save(training, folder, &state)?;
            saved = Some(state.step);
        }
        if done || state.step > 0 && due(pace.evaluate_every, state.step) {
            measured = training.evaluate()?;
            progress.event(state.step, measured.clone())?;
            if let Some(psnr) = measured.get("psnr").and_then(Value::as_f64) {
                progress.say(&format!("step {}: held-out PSNR {psnr:.2} dB", state.step));
            }
        }
        if done || state.step > 0 && due(pace.sample_every, state.step) {
            folder.write(&format!("samples/step-{:08}.png", state.step), &picture::encode_png(&training.grid()?)?)?;
        }
        progress.pause(aside.elapsed());
        if done {
            break;
        }
        let values = training.step(state.step, share)?;
        state.step += 1;
        state.images += training.batch() as u64;
        progress.add(training.batch(), &values);
    }
    progress.finish();
    let checkpoint = folder.latest()?.map_or_else(|| folder.path("checkpoints"), |(_, path)| path);
    Ok(Summary { state, checkpoint, measured })
}

fn save(training: &impl Training, folder: &RunFolder, state: &State) -> Result<()> {
    let mut files = training.files()?;
    files.push((STATE, to_json(state)?));
    folder.save(state.step, &files).map(|_| ())
}
