//! The folder of a training run.
//!
//! ```text
//! RUN/run.json               settings of the run
//!     log.jsonl              one object per line
//!     samples/step-….png     sample grids
//!     checkpoints/step-…/    config.json, model.safetensors (averaged), what resuming needs
//!     stop                   made by a person: save and end
//! ```
//!
//! A checkpoint is written beside its place, synced, and renamed into it: one that has its name is whole.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Error, Result};

/// Checkpoints kept; the one before the last is there in case the last is not wanted.
const KEPT: usize = 2;

/// A run's folder.
#[derive(Clone, Debug)]
pub struct RunFolder {
    root: PathBuf,
}

impl RunFolder {
    /// Makes the folder of a new run, or opens that of one to resume.
    ///
    /// # Errors
    /// [`Error::Setting`] if a new run would overwrite an old one or nothing is there to resume;
    /// [`Error::Io`] if the folder cannot be made.
    pub fn open(root: &Path, resume: bool) -> Result<Self> {
        let folder = Self { root: root.to_path_buf() };
        let latest = folder.latest()?;
        if latest.is_some() && !resume {
            let want = "a new folder, or with --resume that of the run to go on with";
            return Err(Error::setting("out", root.display(), want));
        }
        if latest.is_none() && resume {
            return Err(Error::setting("resume", root.display(), "the folder of a run that has a checkpoint"));
        }
        for dir in [folder.path("samples"), folder.path("checkpoints")] {
            fs::create_dir_all(&dir).map_err(at(&dir))?;
        }
        Ok(folder)
    }

    /// Opens a run only to read it.
    pub fn existing(root: &Path) -> Self {
        Self { root: root.to_path_buf() }
    }

    /// A path within the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// Whether somebody asked the run to end; takes the request back.
    pub fn stop_requested(&self) -> bool {
        fs::remove_file(self.path("stop")).is_ok()
    }

    /// The newest whole checkpoint and its step.
    pub fn latest(&self) -> Result<Option<(u64, PathBuf)>> {
        Ok(self.checkpoints()?.pop())
    }

    /// Writes a checkpoint, then removes old ones.
    pub fn save(&self, step: u64, files: &[(&str, Vec<u8>)]) -> Result<PathBuf> {
        let parent = self.path("checkpoints");
        let (temporary, place) = (parent.join(".writing"), parent.join(format!("step-{step:08}")));
        for stale in [&temporary, &place] {
            if stale.exists() {
                fs::remove_dir_all(stale).map_err(at(stale))?;
            }
        }
        fs::create_dir(&temporary).map_err(at(&temporary))?;
        for (name, bytes) in files {
            let path = temporary.join(name);
            let mut file = File::create(&path).map_err(at(&path))?;
            file.write_all(bytes).map_err(at(&path))?;
            file.sync_all().map_err(at(&path))?;
        }
        sync_dir(&temporary)?;
        fs::rename(&temporary, &place).map_err(at(&place))?;
        sync_dir(&parent)?;
        let known = self.checkpoints()?;
        for (_, old) in &known[..known.len().saturating_sub(KEPT)] {
            fs::remove_dir_all(old).map_err(at(old))?;
        }
        Ok(place)
    }

    /// Writes a file of the folder.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let path = self.path(name);
        fs::write(&path, bytes).map_err(at(&path))
    }

    /// Writes a JSON file of the folder.
    pub fn write_json(&self, name: &str, value: &impl Serialize) -> Result<()> {
        self.write(name, &to_json(value)?)
    }

    /// Opens the log; what an interrupted run had written after `step` is dropped.
    pub fn open_log(&self, step: u64) -> Result<File> {
        let path = self.path("log.jsonl");
        if let Ok(text) = fs::read_to_string(&path) {
            let kept: String = text
                .lines()
                .filter(|line| {
                    serde_json::from_str::<serde_json::Value>(line)
                        .is_ok_and(|value| value["step"].as_u64().is_some_and(|at| at <= step))
                })
                .flat_map(|line| [line, "\n"])
                .collect();
            fs::write(&path, kept).map_err(at(&path))?;
        }
        OpenOptions::new().create(true).append(true).open(&path).map_err(at(&path))
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
    fn the_newest_two_checkpoints_stay_and_half_written_ones_do_not_count() {
        let dir = tempfile::tempdir().unwrap();
        let run = RunFolder::open(dir.path(), false).unwrap();
        for step in [1, 2, 3] {
            run.save(step, &[("state.json", vec![step as u8])]).unwrap();
        }
        fs::create_dir(dir.path().join("checkpoints/.writing")).unwrap();
        let (step, path) = run.latest().unwrap().unwrap();
        assert_eq!((step, read(&path.join("state.json")).unwrap()), (3, vec![3]));
        assert_eq!(run.checkpoints().unwrap().len(), KEPT);
    }

    #[test]
    fn a_run_is_not_overwritten_and_nothing_is_not_resumed() {
        let dir = tempfile::tempdir().unwrap();
        assert!(RunFolder::open(dir.path(), true).unwrap_err().to_string().contains("checkpoint"));
        RunFolder::open(dir.path(), false).unwrap().save(1, &[]).unwrap();
        assert!(RunFolder::open(dir.path(), false).unwrap_err().to_string().contains("--resume"));
    }

    #[test]
    fn log_lines_after_the_resumed_step_are_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let run = RunFolder::open(dir.path(), false).unwrap();
        for step in [1, 2, 3] {
            writeln!(run.open_log(9).unwrap(), "{{\"step\":{step}}}").unwrap();
        }
        fs::write(dir.path().join("log.jsonl"), fs::read_to_string(dir.path().join("log.jsonl")).unwrap() + "{\"st")
            .unwrap();
        run.open_log(2).unwrap();
        assert_eq!(fs::read_to_string(dir.path().join("log.jsonl")).unwrap(), "{\"step\":1}\n{\"step\":2}\n");
    }
}
