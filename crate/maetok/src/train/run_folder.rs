//! The folder of a training run.
//!
//! ```text
//! RUN/run.json               settings of the run, and where, when and on what it was started
//!     log.jsonl              one object per line
//!     samples/step-….png     sample grids
//!     checkpoints/step-…/    config.json, model.safetensors (averaged), what resuming needs
//!                            (of a generator also tokenizer.json and latents.json: what it learnt, and in which units)
//!     classes.json           names of a generator's classes
//!     stop                   made by a person: save and end
//! ```
//!
//! A checkpoint is written beside its place, synced, and renamed into it; one that is no longer wanted is renamed away
//! before it is removed. So one that has its name is whole, whenever the process ends. One process at a time trains in
//! a folder: it holds a lock on the hidden file `.lock`, which the system takes back when the process ends in any way.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::checkpoint::write_atomically;
use crate::{Error, Result};

/// What a run was asked to do; written when everything that goes before the first update is there.
pub const ABOUT: &str = "run.json";
/// Its log.
pub const LOG: &str = "log.jsonl";
/// Names of a generator's classes, in the order of their numbers.
pub const CLASSES: &str = "classes.json";
/// Held by the process that trains.
const LOCK: &str = ".lock";
/// A checkpoint that is being written.
const WRITING: &str = ".writing";
/// A checkpoint that is being removed.
const REMOVING: &str = ".removing";
/// Checkpoints kept; the one before the last is there in case the last is not wanted.
const KEPT: usize = 2;

/// What a run trains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// [`TokenizerTrainer`](super::TokenizerTrainer).
    Tokenizer,
    /// [`DiffusionTrainer`](super::DiffusionTrainer).
    Generator,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Tokenizer => "tokenizer",
            Self::Generator => "generator",
        }
    }
}

/// A run's folder.
#[derive(Clone, Debug)]
pub struct RunFolder {
    root: PathBuf,
    /// Of the process that trains; the last clone gives it back.
    _lock: Option<Arc<File>>,
}

impl RunFolder {
    /// Makes the folder of a new run, or opens that of one to resume, and removes what a killed process left half
    /// done.
    ///
    /// A run that was killed before its first checkpoint can be resumed too: it begins again.
    ///
    /// # Errors
    /// [`Error::Setting`] if a new run would overwrite an old one or nothing is there to resume;
    /// [`Error::Training`] if another process trains there; [`Error::Io`] if the folder cannot be made.
    pub fn open(root: &Path, resume: bool) -> Result<Self> {
        let folder = Self::existing(root);
        let latest = folder.latest()?;
        if latest.is_some() && !resume {
            let want = "a new folder, or with --resume that of the run to go on with";
            return Err(Error::setting("out", root.display(), want));
        }
        if latest.is_none() && resume && !folder.path(ABOUT).is_file() {
            return Err(Error::setting("resume", root.display(), "the folder of a run that has a checkpoint"));
        }
        for dir in [folder.path("samples"), folder.path("checkpoints")] {
            fs::create_dir_all(&dir).map_err(at(&dir))?;
        }
        let folder = Self { _lock: lock(root)?, ..folder };
        folder.sweep();
        Ok(folder)
    }

    /// Opens a run only to read it.
    pub fn existing(root: &Path) -> Self {
        Self { root: root.to_path_buf(), _lock: None }
    }

    /// Whether a process trains in it now.
    pub fn in_use(&self) -> bool {
        let held = |file: File| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock));
        File::open(self.path(LOCK)).is_ok_and(held)
    }

    /// Where it is.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// A path within the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// A file that belongs to a checkpoint: the checkpoint's, or the run's own where an earlier version kept it.
    pub fn of_checkpoint(&self, checkpoint: &Path, name: &str) -> PathBuf {
        let path = checkpoint.join(name);
        if path.is_file() { path } else { self.path(name) }
    }

    /// Whether the folder itself is there no more.
    pub fn is_gone(&self) -> bool {
        fs::metadata(&self.root).is_err_and(|error| error.kind() == ErrorKind::NotFound)
    }

    /// What the run trains, if it has begun: only a generator knows classes by name.
    pub fn kind(&self) -> Option<Kind> {
        let kind = if self.path(CLASSES).is_file() { Kind::Generator } else { Kind::Tokenizer };
        self.path(ABOUT).is_file().then_some(kind)
    }

    /// Refuses a run of the other kind than `wanted`; what is no run passes.
    ///
    /// # Errors
    /// [`Error::Training`] that says what it is.
    pub fn check_kind(&self, wanted: Kind) -> Result<()> {
        match self.kind() {
            Some(kind) if kind != wanted => Err(Error::training(format!(
                "{} is the run of a {}, not of a {}",
                self.root.display(),
                kind.name(),
                wanted.name()
            ))),
            _ => Ok(()),
        }
    }

    /// Whether somebody asked the run to end; takes the request back.
    pub fn stop_requested(&self) -> bool {
        fs::remove_file(self.path("stop")).is_ok()
    }

    /// The newest whole checkpoint and its step.
    pub fn latest(&self) -> Result<Option<(u64, PathBuf)>> {
        Ok(self.checkpoints()?.pop())
    }

    /// Writes a checkpoint. When this returns, it is durable; a checkpoint of the same step stays as it is.
    ///
    /// # Errors
    /// [`Error::Io`] if the system refuses. Nothing is left of the attempt then: it would take the room that the next
    /// one needs.
    pub fn save(&self, step: u64, files: &[(&str, Vec<u8>)]) -> Result<PathBuf> {
        let parent = self.path("checkpoints");
        let (temporary, place) = (parent.join(WRITING), parent.join(format!("step-{step:08}")));
        if !place.exists() {
            let written =
                write_synced(&temporary, files).and_then(|()| fs::rename(&temporary, &place).map_err(at(&place)));
            if written.is_err() {
                // The error to report is the first one.
                let _ = fs::remove_dir_all(&temporary);
            }
            written?;
        }
        sync_dir(&parent)?;
        Ok(place)
    }

    /// Removes all checkpoints but the last ones.
    ///
    /// # Errors
    /// [`Error::Io`] if the system refuses.
    pub fn prune(&self) -> Result<()> {
        let known = self.checkpoints()?;
        let doomed = self.path("checkpoints").join(REMOVING);
        for (_, old) in &known[..known.len().saturating_sub(KEPT)] {
            if doomed.exists() {
                fs::remove_dir_all(&doomed).map_err(at(&doomed))?;
            }
            fs::rename(old, &doomed).map_err(at(old))?;
            fs::remove_dir_all(&doomed).map_err(at(&doomed))?;
        }
        Ok(())
    }

    /// Writes a file of the folder: at any moment the old or the new contents are there.
    ///
    /// # Errors
    /// [`Error::Io`] if the system refuses.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let path = self.path(name);
        write_atomically(&path, bytes)?;
        path.parent().map_or(Ok(()), sync_dir)
    }

    /// Writes a JSON file of the folder.
    pub fn write_json(&self, name: &str, value: &impl Serialize) -> Result<()> {
        self.write(name, &to_json(value)?)
    }

    /// Removes what a process that was killed left half done. What cannot be removed does no harm.
    fn sweep(&self) {
        let beside = |folder: &Path| fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
        let named = |path: &Path, part: &str| {
            path.file_name()
                .and_then(|name| name.to_str())
                .is_some_and(|name| name.starts_with('.') && name.contains(part))
        };
        for path in beside(&self.path("checkpoints")).filter(|path| named(path, "")) {
            let _ = fs::remove_dir_all(path);
        }
        for folder in [self.root.clone(), self.path("samples")] {
            for path in beside(&folder).filter(|path| named(path, ".new-")) {
                let _ = fs::remove_file(path);
            }
        }
    }

    fn checkpoints(&self) -> Result<Vec<(u64, PathBuf)>> {
        let parent = self.path("checkpoints");
        if !parent.exists() {
            return Ok(Vec::new());
        }
        let mut found = Vec::new();
        for entry in fs::read_dir(&parent).map_err(at(&parent))? {
            let path = entry.map_err(at(&parent))?.path();
            let step = path.file_name().and_then(|name| name.to_str()?.strip_prefix("step-")?.parse().ok());
            found.extend(step.map(|step| (step, path)));
        }
        found.sort();
        Ok(found)
    }
}

/// Reads a file of a checkpoint.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).map_err(|source| Error::read(path.display(), source))
}

/// Reads a JSON file.
pub fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T> {
    serde_json::from_slice(&read(path)?).map_err(|source| Error::read(path.display(), source.into()))
}

/// A value as readable JSON.
pub fn to_json(value: &impl Serialize) -> Result<Vec<u8>> {
    serde_json::to_vec_pretty(value).map_err(|source| Error::write("JSON", source.into()))
}

/// Turns a failure to write into ours with its path.
pub fn at(path: &Path) -> impl Fn(std::io::Error) -> Error + '_ {
    move |source| Error::write(path.display(), source)
}

/// Takes the lock of a run's folder; nothing where the file system knows no locks.
fn lock(root: &Path) -> Result<Option<Arc<File>>> {
    let path = root.join(LOCK);
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path).map_err(at(&path))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(Arc::new(file))),
        Err(TryLockError::WouldBlock) => {
            Err(Error::training(format!("Another process is training in {}; only one can", root.display())))
        }
        Err(TryLockError::Error(_)) => Ok(None),
    }
}

/// Writes files into a new folder, all of it synced.
fn write_synced(folder: &Path, files: &[(&str, Vec<u8>)]) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder).map_err(at(folder))?;
    }
    fs::create_dir(folder).map_err(at(folder))?;
    for (name, bytes) in files {
        let path = folder.join(name);
        let mut file = File::create(&path).map_err(at(&path))?;
        file.write_all(bytes).and_then(|()| file.sync_all()).map_err(at(&path))?;
    }
    sync_dir(folder)
}

/// Makes a rename durable. Only Unix can open a folder for this; elsewhere the rename alone has to do.
fn sync_dir(path: &Path) -> Result<()> {
    if cfg!(unix) {
        File::open(path).and_then(|dir| dir.sync_all()).map_err(at(path))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_two_checkpoints_stay_and_half_done_ones_neither_count_nor_stay() {
        let dir = tempfile::tempdir().unwrap();
        let run = RunFolder::open(dir.path(), false).unwrap();
        for step in [1, 2, 3] {
            run.save(step, &[("state.json", vec![step as u8])]).unwrap();
            run.prune().unwrap();
        }
        drop(run);
        let checkpoints = dir.path().join("checkpoints");
        for torn in [WRITING, REMOVING] {
            fs::create_dir(checkpoints.join(torn)).unwrap();
            fs::write(checkpoints.join(torn).join("state.json"), "4").unwrap();
        }
        fs::write(dir.path().join(".run.json.new-1"), "{").unwrap();
        let run = RunFolder::open(dir.path(), true).unwrap();
        let (step, path) = run.latest().unwrap().unwrap();
        assert_eq!((step, read(&path.join("state.json")).unwrap()), (3, vec![3]));
        assert_eq!(fs::read_dir(&checkpoints).unwrap().count(), KEPT);
        assert!(!dir.path().join(".run.json.new-1").exists());
    }

    #[test]
    fn a_checkpoint_that_cannot_be_written_leaves_nothing_and_costs_no_other() {
        let dir = tempfile::tempdir().unwrap();
        let run = RunFolder::open(dir.path(), false).unwrap();
        run.save(1, &[("state.json", vec![1])]).unwrap();
        let failed = run.save(2, &[("state.json", vec![2]), ("no/such/folder", vec![2])]).unwrap_err();
        assert!(matches!(failed, Error::Io { .. }), "{failed}");
        assert_eq!(fs::read_dir(dir.path().join("checkpoints")).unwrap().count(), 1);
        assert_eq!(run.latest().unwrap().map(|(step, _)| step), Some(1));
        run.save(1, &[("state.json", vec![9])]).unwrap();
        assert_eq!(
            read(&dir.path().join("checkpoints/step-00000001/state.json")).unwrap(),
            [1],
            "it was whole already"
        );
    }

    #[test]
    fn a_run_is_not_overwritten_and_nothing_is_not_resumed() {
        let dir = tempfile::tempdir().unwrap();
        assert!(RunFolder::open(dir.path(), true).unwrap_err().to_string().contains("checkpoint"));
        let run = RunFolder::open(dir.path(), false).unwrap();
        run.write_json(ABOUT, &1).unwrap();
        drop(run);
        RunFolder::open(dir.path(), true).expect("killed before its first checkpoint").save(1, &[]).unwrap();
        assert!(RunFolder::open(dir.path(), false).unwrap_err().to_string().contains("--resume"));
    }

    #[test]
    fn only_one_process_trains_in_a_folder() {
        let dir = tempfile::tempdir().unwrap();
        let run = RunFolder::open(dir.path(), false).unwrap();
        assert!(RunFolder::existing(dir.path()).in_use());
        let refused = RunFolder::open(dir.path(), false).unwrap_err().to_string();
        assert!(refused.starts_with("Another process is training in"), "{refused}");
        let clone = run.clone();
        drop(run);
        assert!(clone.in_use());
        drop(clone);
        assert!(!RunFolder::existing(dir.path()).in_use());
    }
}
