//! The loop both trainers share: step, log, measure, draw, save, end.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use image::RgbImage;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::clock::Length;
use super::progress::Progress;
use super::run_folder::{RunFolder, read_json, to_json};
use super::saving::Saving;
use super::stop::Stop;
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
    /// Minutes for which the last checkpoint is tried again where it cannot be written, as on a full disk.
    pub last_checkpoint_minutes: f64,
    /// Shows nothing; the log is written all the same.
    #[serde(skip)]
    pub quiet: bool,
    /// Ends the run early, with a checkpoint.
    #[serde(skip)]
    pub stop: Stop,
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
            last_checkpoint_minutes: 10.0,
            quiet: false,
            stop: Stop::default(),
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
    /// Whether [`Pace::stop`] ended it.
    pub stopped: bool,
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

/// Name of the file with the optimiser's memory in a checkpoint.
pub const MOMENTS: &str = "optimiser.safetensors";
/// Name of the file with the [`State`] in a checkpoint.
const STATE: &str = "state.json";

/// Reads where a checkpoint stands.
pub fn read_state(checkpoint: &std::path::Path) -> Result<State> {
    read_json(&checkpoint.join(STATE))
}

/// Runs `training` from `state` to its end, until [`Pace::stop`] is requested, or until somebody makes the file `stop`
/// in the run's folder.
///
/// The checkpoint comes last of what is due at a step. So everything up to its step is in the log, everything after it
/// is done again by whoever resumes, and the log has neither gaps nor doubles.
///
/// What cannot be written, as on a full disk, is said and tried again; see `saving.rs` and [`super::log`].
///
/// # Errors
/// Whatever a step or a measurement gives, after a checkpoint of the updates before; [`Error::Training`] if the last
/// checkpoint cannot be written, where the one before it stays, or if the run's folder is gone.
pub fn drive(training: &mut impl Training, pace: &Pace, folder: &RunFolder, mut state: State) -> Result<Summary> {
    let length = Length::new(pace.steps, pace.minutes);
    let mut progress = Progress::new(folder, length, state.step, state.seconds, pace.quiet)?;
    let mut saving = Saving::new(folder, state);
    let mut measured = Map::new();
    let first = state.step;
    let mut failed = None;
    let stopped = loop {
        let share = length.progress(state.step, progress.seconds());
        let due = |every: u64| every > 0 && state.step.is_multiple_of(every);
        // What is due at the step of a checkpoint was done before it was written.
        let fresh = state.step > first;
        let stopped = share < 1.0 && pace.stop.requested();
        let asked = fresh && due(pace.log_every.clamp(1, 50)) && folder.stop_requested();
        let done = share >= 1.0 || asked || stopped;
        // Who pressed Ctrl-C waits for no more than must be done.
        let ended = done && !stopped;
        if fresh && (done || due(pace.log_every)) {
            progress.write_interval(&[("lr", training.rate(state.step, share))]);
        }
        let aside = Instant::now();
        state.seconds = progress.seconds();
        // The weights are those of the last whole update, and worth keeping, whatever ended this one.
        let mut looked = failed.take().map_or(Ok(()), Err);
        if looked.is_ok() && fresh && (ended || due(pace.evaluate_every)) {
            progress.draw(Some("measuring …"));
            looked = training.evaluate().map(|found| {
                measured = found;
                progress.measured(measured.clone());
            });
        }
        if looked.is_ok() && fresh && (ended || due(pace.sample_every)) {
            progress.draw(Some("drawing samples …"));
            looked = draw(training, folder, state.step, &progress);
        }
        let last = done || looked.is_err();
        if looked.is_err() {
            progress.write_interval(&[("lr", training.rate(state.step, share))]);
        }
        let mut kept = Ok(());
        if (last || due(pace.checkpoint_every) || saving.retry_is_due()) && !saving.is_saved(&state) {
            progress.draw(Some("writing a checkpoint …"));
            progress.sync();
            let mut files = training.files()?;
            files.push((STATE, to_json(&state)?));
            if last {
                let patience = Duration::try_from_secs_f64(pace.last_checkpoint_minutes * 60.0).unwrap_or_default();
                kept = saving.save_last(&state, &files, patience, &pace.stop, &mut progress);
            } else {
                kept = saving.save(&state, &files, &mut progress);
            }
        }
        progress.pause(aside.elapsed());
        if last || kept.is_err() {
            progress.finish();
            kept.and(looked)?;
            break stopped;
        }
        let values = match training.step(state.step, share) {
            Ok(values) => values,
            Err(reason) => {
                failed = Some(reason);
                continue;
            }
        };
        state.step += 1;
        state.images += training.batch() as u64;
        progress.add(state.step, training.batch(), &values);
    };
    let checkpoint = folder.latest()?.map_or_else(|| folder.path("checkpoints"), |(_, path)| path);
    Ok(Summary { state, checkpoint, measured, stopped })
}

/// Draws a sample grid. One that cannot be written is said, and there will be others.
fn draw(training: &mut impl Training, folder: &RunFolder, step: u64, progress: &Progress) -> Result<()> {
    let png = picture::encode_png(&training.grid()?)?;
    if let Err(reason) = folder.write(&format!("samples/step-{step:08}.png"), &png) {
        progress.say(&format!("The samples of step {step} are missing: {reason}"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::run_folder::LOG;

    /// Makes updates up to this one, which fails.
    struct FailsAt(u64);

    impl Training for FailsAt {
        fn step(&mut self, step: u64, _progress: f64) -> Result<Vec<(&'static str, f64)>> {
            if step < self.0 { Ok(vec![("loss", 1.0)]) } else { Err(Error::training("The device is gone")) }
        }
        fn rate(&self, _step: u64, _progress: f64) -> f64 {
            1e-3
        }
        fn batch(&self) -> usize {
            2
        }
        fn evaluate(&mut self) -> Result<Map<String, Value>> {
            panic!("what failed is not measured")
        }
        fn grid(&mut self) -> Result<RgbImage> {
            panic!("what failed is not drawn")
        }
        fn files(&self) -> Result<Vec<(&'static str, Vec<u8>)>> {
            Ok(vec![("model.safetensors", vec![1])])
        }
    }

    #[test]
    fn updates_before_one_that_fails_are_saved_and_logged() {
        for failing in [0, 3] {
            let dir = tempfile::tempdir().unwrap();
            let folder = RunFolder::open(dir.path(), false).unwrap();
            let pace = Pace { steps: 9, evaluate_every: 4, sample_every: 4, quiet: true, ..Pace::default() };
            let failed = drive(&mut FailsAt(failing), &pace, &folder, State::default()).unwrap_err();
            assert_eq!(failed.to_string(), "The device is gone.");
            let saved = folder.latest().unwrap();
            assert_eq!(saved.as_ref().map(|(step, _)| *step), (failing > 0).then_some(failing));
            let Some((_, checkpoint)) = saved else { continue };
            assert_eq!(read_state(&checkpoint).unwrap().images, 2 * failing);
            let log = std::fs::read_to_string(folder.path(LOG)).unwrap();
            assert!(log.contains("\"step\":3") && log.lines().count() == 1, "{log}");
        }
    }
}
