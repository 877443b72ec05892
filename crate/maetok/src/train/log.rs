//! The log of a run: one JSON object per line, with the step it belongs to.
//!
//! A killed process can leave half a line, and lines of updates after its last checkpoint. Who reads leaves the first
//! out; who resumes drops both.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::run_folder::at;
use crate::Result;
use crate::checkpoint::write_atomically;

/// A line of the log.
pub type Line = Map<String, Value>;

/// The lines of a log's text that are whole and say which step they belong to.
pub fn lines(text: &str) -> impl DoubleEndedIterator<Item = (u64, Line)> {
    text.lines().filter_map(|line| {
        let line: Line = serde_json::from_str(line).ok()?;
        Some((line.get("step")?.as_u64()?, line))
    })
}

/// A log that is being written.
///
/// What cannot be written waits in memory for the next line, so that a disk that was full for a while leaves no gap.
pub struct Log {
    path: PathBuf,
    file: File,
    waiting: String,
}

impl Log {
    /// Opens the log of a run that stands at `step`; what was written of later updates, and what is not whole, is
    /// dropped. Returns the lines that stay as well.
    ///
    /// # Errors
    /// [`Error::Io`](crate::Error::Io) if it cannot be opened or rewritten.
    pub fn open(path: &Path, step: u64) -> Result<(Self, Vec<Line>)> {
        let mut kept = Vec::new();
        // A device, such as one that is always full, has nothing to read.
        if path.is_file() {
            let bytes = fs::read(path).map_err(at(path))?;
            kept.extend(lines(&String::from_utf8_lossy(&bytes)).filter(|(of, _)| *of <= step).map(|(_, line)| line));
            let text: String = kept.iter().map(written).collect();
            if text.as_bytes() != bytes {
                write_atomically(path, text.as_bytes())?;
            }
        }
        let file = OpenOptions::new().create(true).append(true).open(path).map_err(at(path))?;
        Ok((Self { path: path.to_path_buf(), file, waiting: String::new() }, kept))
    }

    /// Writes a line, and before it those that could not be written until now.
    ///
    /// # Errors
    /// [`Error::Io`](crate::Error::Io) if the system refuses; nothing is lost while the process lives.
    pub fn append(&mut self, line: &Line) -> Result<()> {
        self.waiting += &written(line);
        self.flush()
    }

    /// Makes everything durable.
    ///
    /// # Errors
    /// As [`append`](Self::append).
    pub fn sync(&mut self) -> Result<()> {
        self.flush()?;
        self.file.sync_data().map_err(at(&self.path))
    }

    /// Lines that are not in the file yet.
    pub fn waiting(&self) -> usize {
        self.waiting.lines().count()
    }

    /// In one piece: a process that is killed leaves whole lines, but for the rare write that the system splits.
    fn flush(&mut self) -> Result<()> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let before = self.file.metadata().map(|about| about.len());
        if let Err(source) = self.file.write_all(self.waiting.as_bytes()) {
            // A part may have found room. Where it cannot be taken back, readers leave it out.
            if let Ok(length) = before {
                let _ = self.file.set_len(length);
            }
            return Err(at(&self.path)(source));
        }
        self.waiting.clear();
        Ok(())
    }
}

fn written(line: &Line) -> String {
    // A map of our own values has string keys and finite numbers: it always serialises.
    serde_json::to_string(line).unwrap_or_default() + "\n"
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn line(step: u64) -> Line {
        Map::from_iter([("step".to_owned(), json!(step))])
    }

    #[test]
    fn lines_after_the_resumed_step_and_half_lines_are_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log.jsonl");
        let (mut log, before) = Log::open(&path, 0).unwrap();
        assert!(before.is_empty());
        for step in [1, 2, 3] {
            log.append(&line(step)).unwrap();
        }
        let whole = fs::read_to_string(&path).unwrap();
        fs::write(&path, whole + "{\"st").unwrap();
        let (_, kept) = Log::open(&path, 2).unwrap();
        assert_eq!(kept, [line(1), line(2)]);
        assert_eq!(fs::read_to_string(&path).unwrap(), "{\"step\":1}\n{\"step\":2}\n");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing is left beside it");
    }

    #[test]
    fn bytes_that_are_no_text_cost_only_their_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log.jsonl");
        fs::write(&path, b"{\"step\":1}\n\xff\xfe\0\0\n{\"step\":2}\n").unwrap();
        assert_eq!(Log::open(&path, 9).unwrap().1, [line(1), line(2)]);
    }

    /// `/dev/full` is a disk without room on every Linux.
    #[cfg(target_os = "linux")]
    #[test]
    fn lines_wait_while_the_disk_is_full() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log.jsonl");
        let (mut log, _) = Log::open(&path, 0).unwrap();
        log.append(&line(1)).unwrap();
        let good = std::mem::replace(&mut log.file, OpenOptions::new().write(true).open("/dev/full").unwrap());
        let refused = log.append(&line(2)).unwrap_err().to_string();
        assert!(refused.contains("log.jsonl could not be written") && refused.contains("No space left"), "{refused}");
        log.append(&line(3)).unwrap_err();
        assert_eq!(log.waiting(), 2);
        log.file = good;
        log.append(&line(4)).unwrap();
        assert_eq!(log.waiting(), 0);
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(lines(&text).map(|(step, _)| step).collect::<Vec<_>>(), [1, 2, 3, 4]);
    }
}
