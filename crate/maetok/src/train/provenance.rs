//! What a run came from, in its `run.json`: the settings, the seed among them, and beside them every start of a process
//! with the version, the machine and the pictures it had.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::data::Pictures;
use super::run_folder::{ABOUT, RunFolder, read_json};
use crate::{Error, Result};

/// Key of the starts in `run.json`; no setting has that name.
const STARTS: &str = "starts";

/// A process that trained, or wanted to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Start {
    /// Where the run stood.
    pub step: u64,
    /// When, as HTTP writes dates.
    pub at: String,
    /// Version of this crate.
    pub maetok: String,
    /// Operating system and processor.
    pub platform: String,
    /// Name of the device, where [`name_device`] told it.
    pub device: String,
    /// Training pictures.
    pub pictures: usize,
    /// Their classes.
    pub classes: usize,
    /// Checksum of sizes, labels and pixels.
    pub pictures_sha256: String,
    /// Settings that are not those of the start before, by dotted name.
    pub changed: BTreeMap<String, Change>,
    /// What a person was told.
    pub notices: Vec<String>,
}

/// A setting that another start changed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// Before.
    pub was: Value,
    /// From this start on.
    pub is: Value,
}

/// Writes `settings` and a new start into `run.json`, and notes in `notices` what is not as the run had it before:
/// settings, and the pictures.
///
/// # Errors
/// [`Error::Io`] if the file cannot be written.
pub fn record(
    folder: &RunFolder,
    settings: &impl Serialize,
    step: u64,
    pictures: &Pictures,
    notices: &mut Vec<String>,
) -> Result<()> {
    let mut starts = starts(folder);
    let mut about = to_value(settings)?;
    let before = read_json::<Value>(&folder.path(ABOUT)).unwrap_or_default();
    let mut changed = BTreeMap::new();
    differences("", &before, &about, &mut changed);
    notices.extend(
        changed.iter().map(|(name, Change { was, is })| format!("from step {step} on {name} is {is}, was {was}")),
    );
    let pictures_sha256 = pictures.sha256();
    if starts.last().is_some_and(|last| !last.pictures_sha256.is_empty() && last.pictures_sha256 != pictures_sha256) {
        notices.push("the training pictures are not those the run had before: batches will differ".into());
    }
    starts.push(Start {
        step,
        at: httpdate::fmt_http_date(SystemTime::now()),
        maetok: env!("CARGO_PKG_VERSION").into(),
        platform: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
        device: String::new(),
        pictures: pictures.len(),
        classes: pictures.classes.len(),
        pictures_sha256,
        changed,
        notices: notices.clone(),
    });
    about[STARTS] = to_value(&starts)?;
    folder.write_json(ABOUT, &about)
}

/// Adds the device's name to the newest start of the run in `run`.
///
/// # Errors
/// [`Error::Io`] if `run.json` cannot be read or written.
pub fn name_device(run: &Path, name: &str) -> Result<()> {
    let folder = RunFolder::existing(run);
    let mut about: Value = read_json(&folder.path(ABOUT))?;
    if let Some(last) = about[STARTS].as_array_mut().and_then(|starts| starts.last_mut()) {
        last["device"] = name.into();
    }
    folder.write_json(ABOUT, &about)
}

/// Every start of a run, oldest first; none of a run from before they were recorded.
pub fn starts(folder: &RunFolder) -> Vec<Start> {
    let about = read_json::<Value>(&folder.path(ABOUT)).unwrap_or_default();
    serde_json::from_value(about[STARTS].clone()).unwrap_or_default()
}

/// Every setting that both have and that differs. What only one has is of another version.
fn differences(name: &str, was: &Value, is: &Value, into: &mut BTreeMap<String, Change>) {
    if let (Value::Object(before), Value::Object(now)) = (was, is) {
        for (key, is) in now {
            if let Some(was) = before.get(key) {
                let name = if name.is_empty() { key.clone() } else { format!("{name}.{key}") };
                differences(&name, was, is, into);
            }
        }
    } else if was != is && !name.is_empty() {
        into.insert(name.to_owned(), Change { was: was.clone(), is: is.clone() });
    }
}

fn to_value(value: &impl Serialize) -> Result<Value> {
    serde_json::to_value(value).map_err(|source| Error::write("JSON", source.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::TokenizerTraining;
    use crate::train::tests::{SIZE, draw_pictures};

    #[test]
    fn settings_and_every_start_are_kept_and_other_pictures_are_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let (data, run) = (dir.path().join("data"), dir.path().join("run"));
        draw_pictures(&data, 4);
        let folder = RunFolder::open(&run, false).unwrap();
        let settings = TokenizerTraining { seed: 7, ..TokenizerTraining::default() };
        let mut told = Vec::new();
        let mut begin = |step| {
            let mut notices = Vec::new();
            let pictures = Pictures::read(&data, SIZE, None).unwrap();
            record(&folder, &settings, step, &pictures, &mut notices).unwrap();
            told.push(notices.len());
        };
        begin(0);
        name_device(&run, "CPU (flex)").unwrap();
        begin(5);
        draw_pictures(&data, 6);
        begin(9);
        let starts = starts(&folder);
        assert_eq!(starts.iter().map(|start| start.step).collect::<Vec<_>>(), [0, 5, 9]);
        assert_eq!((starts[0].device.as_str(), starts[1].device.as_str()), ("CPU (flex)", ""));
        assert_eq!((starts[0].pictures, starts[2].pictures), (4, 6));
        assert_eq!(starts[0].pictures_sha256, starts[1].pictures_sha256);
        assert_eq!(told, [0, 0, 1]);
        assert_eq!(read_json::<TokenizerTraining>(&folder.path(ABOUT)).unwrap(), settings);
    }

    #[test]
    fn a_setting_that_another_start_changed_is_told_and_kept() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        draw_pictures(&data, 4);
        let folder = RunFolder::open(&dir.path().join("run"), false).unwrap();
        let begin = |seed, peak, step| {
            let mut settings = TokenizerTraining { seed, ..TokenizerTraining::default() };
            settings.schedule.peak = peak;
            let mut notices = Vec::new();
            record(&folder, &settings, step, &Pictures::read(&data, SIZE, None).unwrap(), &mut notices).unwrap();
            notices
        };
        assert!(begin(0, 0.5, 0).is_empty());
        assert_eq!(
            begin(9, 0.25, 3),
            ["from step 3 on schedule.peak is 0.25, was 0.5", "from step 3 on seed is 9, was 0"]
        );
        assert!(begin(9, 0.25, 5).is_empty());
        let starts = starts(&folder);
        assert_eq!(starts.iter().map(|start| start.changed.len()).collect::<Vec<_>>(), [0, 2, 0]);
        assert_eq!(starts[1].changed["seed"], Change { was: 0.into(), is: 9.into() });
    }
}
