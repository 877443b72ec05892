//! When checkpoints are written, and what happens while they cannot be.
//!
//! A full disk does not end a run: its weights are in memory, its former checkpoint is where it was, and somebody may
//! make room. So a checkpoint that cannot be written is tried again, when the next is due and after a while that grows to
//! ten minutes; as often a person is told. Only at the end, when there is nothing left to do meanwhile, does waiting
//! have a limit.

use std::thread;
use std::time::{Duration, Instant};

use super::clock::duration;
use super::drive::State;
use super::progress::Progress;
use super::run_folder::RunFolder;
use super::stop::Stop;
use crate::{Error, Result};

/// Between a first failure and the next try; it doubles with each further one.
const SOON: Duration = Duration::from_secs(60);
/// Most time between two tries.
const LATE: Duration = Duration::from_secs(600);
/// Between two tries of the last checkpoint.
const AT_THE_END: Duration = Duration::from_secs(5);
/// How fast waiting notices that it is no longer wanted.
const NOTICED: Duration = Duration::from_millis(50);

/// Files of a checkpoint.
type Files = Vec<(&'static str, Vec<u8>)>;

/// Writes the checkpoints of a run.
pub struct Saving {
    folder: RunFolder,
    /// Where the newest checkpoint stands, or the start of the run.
    saved: State,
    /// When to try again, and how long that is after the last try.
    failed: Option<(Instant, Duration)>,
}

impl Saving {
    /// For a run that resumes from the checkpoint of `state`, or starts.
    pub fn new(folder: &RunFolder, state: State) -> Self {
        Self { folder: folder.clone(), saved: state, failed: None }
    }

    /// Whether a checkpoint that could not be written is to be tried again now.
    pub fn retry_is_due(&self) -> bool {
        self.failed.is_some_and(|(next, _)| Instant::now() >= next)
    }

    /// Whether there is nothing that the newest checkpoint does not have.
    pub fn is_saved(&self, state: &State) -> bool {
        self.saved.step == state.step
    }

    /// Writes a checkpoint; says so if it cannot, and that training goes on.
    ///
    /// A checkpoint that is due before the next try may succeed, but its failure is no news.
    ///
    /// # Errors
    /// [`Error::Training`] if the run's folder is gone.
    pub fn save(&mut self, state: &State, files: &Files, progress: &mut Progress) -> Result<()> {
        let known = self.failed.is_some() && !self.retry_is_due();
        let Err(reason) = self.write(state, files, progress) else { return Ok(()) };
        self.check_there(state)?;
        if known {
            return Ok(());
        }
        let wait = self.failed.map_or(SOON, |(_, wait)| (2 * wait).min(LATE));
        self.failed = Some((Instant::now() + wait, wait));
        progress.not_saved();
        progress.say(&format!(
            "The checkpoint of step {} is missing: {reason} Training goes on, and {}. It is tried again in {} at the \
             latest.",
            state.step,
            self.what_there_is(),
            duration(wait.as_secs_f64()),
        ));
        Ok(())
    }

    /// Writes the last checkpoint; tries for `patience` until somebody has made room or asks to stop.
    ///
    /// # Errors
    /// [`Error::Training`] that names what is lost; at once if the run's folder is gone.
    pub fn save_last(
        &mut self,
        state: &State,
        files: &Files,
        patience: Duration,
        stop: &Stop,
        progress: &mut Progress,
    ) -> Result<()> {
        let (since, stopping) = (Instant::now(), stop.requested());
        let mut said: Option<Instant> = None;
        loop {
            let Err(reason) = self.write(state, files, progress) else { return Ok(()) };
            self.check_there(state)?;
            self.failed = Some((Instant::now(), SOON));
            progress.not_saved();
            let gave_up = stop.requested() && !stopping;
            if since.elapsed() >= patience || gave_up {
                return Err(Error::training(format!(
                    "The last checkpoint could not be written: {} What {} updates taught in {} is lost; {}",
                    reason,
                    state.step - self.saved.step,
                    duration(state.seconds - self.saved.seconds),
                    self.what_there_is(),
                )));
            }
            if said.is_none_or(|said| said.elapsed() >= SOON) {
                said = Some(Instant::now());
                progress.say(&format!(
                    "The last checkpoint is missing: {} It is tried again for {}, in case somebody makes room; {}.",
                    reason,
                    duration((patience.saturating_sub(since.elapsed())).as_secs_f64().ceil()),
                    self.what_there_is(),
                ));
            }
            let next = Instant::now() + AT_THE_END.min(patience / 4);
            while Instant::now() < next && (stopping || !stop.requested()) {
                thread::sleep(NOTICED);
            }
        }
    }

    fn write(&mut self, state: &State, files: &Files, progress: &mut Progress) -> Result<()> {
        self.folder.save(state.step, files)?;
        self.saved = *state;
        progress.saved(state.step);
        if self.failed.take().is_some() {
            progress.say(&format!("The checkpoint of step {} is written: there is room again.", state.step));
        }
        if let Err(reason) = self.folder.prune() {
            progress.say(&format!("An old checkpoint stays: {reason}"));
        }
        Ok(())
    }

    /// Refuses to wait for a folder that somebody has removed: nothing can bring back what was in it.
    fn check_there(&self, state: &State) -> Result<()> {
        if !self.folder.is_gone() {
            return Ok(());
        }
        Err(Error::training(format!(
            "The run's folder {} is gone, and with it its checkpoints; the run ends at step {}",
            self.folder.root().display(),
            state.step
        )))
    }

    fn what_there_is(&self) -> String {
        let newest = match self.folder.latest() {
            Ok(found) => found.map_or(0, |(step, _)| step),
            // What cannot be looked at now is as it was left.
            Err(_) => self.saved.step,
        };
        match newest {
            0 => "there is no earlier one".into(),
            step => format!("the one of step {step} is whole"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::train::clock::Length;

    /// A file where the folder of the checkpoints was is a refusal that needs neither a small disk nor any rights.
    #[test]
    fn what_cannot_be_written_is_tried_again_and_named_when_it_is_lost() {
        let dir = tempfile::tempdir().unwrap();
        let folder = RunFolder::open(dir.path(), false).unwrap();
        let mut progress = Progress::new(&folder, Length::Steps(9), 0, 0.0, true).unwrap();
        let mut saving = Saving::new(&folder, State::default());
        let state = |step: u64| State { step, seconds: 60.0 * step as f64, images: step };
        let files = vec![("state.json", vec![1])];
        saving.save(&state(1), &files, &mut progress).unwrap();
        assert!(saving.is_saved(&state(1)) && !saving.retry_is_due());

        let (place, aside) = (dir.path().join("checkpoints"), dir.path().join("aside"));
        fs::rename(&place, &aside).unwrap();
        fs::write(&place, "in the way").unwrap();
        saving.save(&state(2), &files, &mut progress).unwrap();
        assert!(!saving.is_saved(&state(2)));
        assert_eq!(saving.failed.map(|(_, wait)| wait), Some(SOON));
        saving.save(&state(3), &files, &mut progress).unwrap();
        assert_eq!(saving.failed.map(|(_, wait)| wait), Some(SOON), "no news");
        saving.failed = Some((Instant::now(), SOON));
        assert!(saving.retry_is_due());
        saving.save(&state(3), &files, &mut progress).unwrap();
        assert_eq!(saving.failed.map(|(_, wait)| wait), Some(2 * SOON));

        let stop = Stop::default();
        let patience = Duration::from_millis(20);
        let lost = saving.save_last(&state(4), &files, patience, &stop, &mut progress).unwrap_err().to_string();
        for part in
            ["What 3 updates taught in 3 min 00 s is lost", "the one of step 1 is whole", "could not be written"]
        {
            assert!(lost.contains(part), "{lost}");
        }

        fs::remove_file(&place).unwrap();
        fs::rename(&aside, &place).unwrap();
        saving.save_last(&state(4), &files, patience, &stop, &mut progress).unwrap();
        assert_eq!(folder.latest().unwrap().map(|(step, _)| step), Some(4));
        assert!(saving.is_saved(&state(4)) && saving.failed.is_none());
    }

    #[test]
    fn a_run_whose_folder_is_removed_ends_at_once_and_promises_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("run");
        let folder = RunFolder::open(&root, false).unwrap();
        let mut progress = Progress::new(&folder, Length::Steps(9), 0, 0.0, true).unwrap();
        let mut saving = Saving::new(&folder, State::default());
        let state = |step: u64| State { step, seconds: 1.0, images: step };
        let files = vec![("state.json", vec![1])];
        saving.save(&state(1), &files, &mut progress).unwrap();

        // The checkpoints alone: somebody may make room for others.
        fs::remove_dir_all(root.join("checkpoints")).unwrap();
        saving.save(&state(2), &files, &mut progress).unwrap();
        assert_eq!(saving.what_there_is(), "there is no earlier one");

        fs::remove_dir_all(&root).unwrap();
        let began = Instant::now();
        let hour = Duration::from_secs(3600);
        let stop = Stop::default();
        let lost = [
            saving.save(&state(3), &files, &mut progress).unwrap_err(),
            saving.save_last(&state(3), &files, hour, &stop, &mut progress).unwrap_err(),
        ];
        for message in lost.map(|error| error.to_string()) {
            assert!(message.contains("is gone") && !message.contains("whole"), "{message}");
        }
        assert!(began.elapsed() < SOON);
    }

    #[test]
    fn waiting_for_room_ends_when_somebody_asks_for_it() {
        let dir = tempfile::tempdir().unwrap();
        let folder = RunFolder::open(dir.path(), false).unwrap();
        let mut progress = Progress::new(&folder, Length::Steps(9), 0, 0.0, true).unwrap();
        fs::remove_dir(dir.path().join("checkpoints")).unwrap();
        let stop = Stop::default();
        let soon = stop.clone();
        let asker = thread::spawn(move || {
            thread::sleep(2 * NOTICED);
            soon.request();
        });
        let state = State { step: 1, seconds: 1.0, images: 1 };
        let hour = Duration::from_secs(3600);
        let mut saving = Saving::new(&folder, State::default());
        let lost = saving.save_last(&state, &Files::new(), hour, &stop, &mut progress).unwrap_err().to_string();
        assert!(lost.contains("there is no earlier one"), "{lost}");
        asker.join().unwrap();
    }
}
