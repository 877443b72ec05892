//! What a run's folder tells, whether the run goes on, has ended or was killed.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use maetok::Error;
use maetok::train::log;
use maetok::train::provenance::{Start, starts};
use maetok::train::run_folder::{ABOUT, LOG, RunFolder};
use serde_json::Value;

/// Grids shown: the first, the last, and some between.
const GRIDS: usize = 6;
/// Numbers in a table of the log that are drawn as curves; tables of more are shown as tables.
const FEW: usize = 6;
/// Settings that say what a run was asked to do but not what it does.
const STARTS: &str = "starts";

/// Values over updates, by the name they have in the log.
pub type Curves = BTreeMap<String, Vec<(f64, f64)>>;

/// A run's folder, read.
pub struct Run {
    /// Name of the folder.
    pub name: String,
    /// Every number of the log but those of `tables`.
    pub curves: Curves,
    /// The newest of each long table of the log: its name, the step, the values.
    pub tables: BTreeMap<String, (u64, BTreeMap<String, f64>)>,
    /// Sample grids with their steps, oldest first, as PNG.
    pub grids: Vec<(String, Vec<u8>)>,
    /// Settings of the run and sizes of the model, by dotted name.
    pub settings: BTreeMap<String, String>,
    /// Processes that trained.
    pub starts: Vec<Start>,
    /// Where the newest checkpoint stands.
    pub saved: Option<u64>,
    /// Whether a process trains there now.
    pub goes_on: bool,
    /// Classes of a generator, in the order of its grids; empty for a tokenizer.
    pub classes: Vec<String>,
}

impl Run {
    /// Reads a run's folder.
    ///
    /// # Errors
    /// If it holds no run, or one that has not written anything.
    pub fn read(dir: &Path) -> Result<Self> {
        let bytes =
            fs::read(dir.join(LOG)).with_context(|| format!("The folder {} holds no training run", dir.display()))?;
        let (curves, tables) = curves(&String::from_utf8_lossy(&bytes));
        if curves.is_empty() {
            bail!("The run in {} has not written anything yet.", dir.display());
        }
        let mut settings = BTreeMap::new();
        for (file, prefix) in [(ABOUT, ""), ("config.json", "model.")] {
            let about: Value =
                fs::read(dir.join(file)).ok().and_then(|b| serde_json::from_slice(&b).ok()).unwrap_or_default();
            flatten(prefix, &about, &mut settings);
        }
        let folder = RunFolder::existing(dir);
        let classes = fs::read(dir.join("classes.json")).ok();
        let whole = dir.canonicalize().unwrap_or_else(|_| dir.to_path_buf());
        Ok(Self {
            name: whole.file_name().map_or_else(|| dir.display().to_string(), |n| n.to_string_lossy().into_owned()),
            curves,
            tables,
            grids: grids(&dir.join("samples"))?,
            settings,
            starts: starts(&folder),
            saved: folder.latest()?.map(|(step, _)| step),
            goes_on: folder.in_use(),
            classes: classes.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default(),
        })
    }

    /// The last value of a curve and its step.
    pub fn last(&self, name: &str) -> Option<(f64, f64)> {
        self.curves.get(name)?.last().copied()
    }

    /// A setting, where it is known.
    pub fn setting(&self, name: &str) -> Option<&str> {
        self.settings.get(name).map(String::as_str)
    }
}

type Tables = BTreeMap<String, (u64, BTreeMap<String, f64>)>;

/// Every number of the log but the step. A line that is not whole, as the last one may be, is left out; a step that a
/// killed run had written and its resumed one wrote again counts once, as it was the last time.
fn curves(text: &str) -> (Curves, Tables) {
    let mut found: BTreeMap<String, BTreeMap<u64, f64>> = BTreeMap::new();
    let mut tables = Tables::new();
    let mut put = |name: String, step, value: &Value| {
        if let Some(value) = value.as_f64() {
            found.entry(name).or_default().insert(step, value);
        }
    };
    for (step, line) in log::lines(text) {
        for (name, value) in line.iter().filter(|(name, _)| !matches!(name.as_str(), "step" | "pictures")) {
            match value.as_object() {
                Some(table) if table.len() > FEW => {
                    let numbers = table.iter().filter_map(|(key, value)| Some((key.clone(), value.as_f64()?)));
                    tables.insert(name.clone(), (step, numbers.collect()));
                }
                Some(table) => table.iter().for_each(|(key, value)| put(format!("{name}: {key}"), step, value)),
                None => put(name.clone(), step, value),
            }
        }
    }
    let points = |of: BTreeMap<u64, f64>| of.into_iter().map(|(step, value)| (step as f64, value)).collect();
    (found.into_iter().map(|(name, of)| (name, points(of))).collect(), tables)
}

/// Every value by its dotted name; lists as they are.
fn flatten(prefix: &str, value: &Value, into: &mut BTreeMap<String, String>) {
    for (key, value) in value.as_object().into_iter().flatten().filter(|(key, _)| *key != STARTS) {
        let name = format!("{prefix}{key}");
        match value {
            Value::Object(_) => flatten(&format!("{name}."), value, into),
            Value::String(text) => drop(into.insert(name, text.clone())),
            Value::Null => drop(into.insert(name, "–".into())),
            other => drop(into.insert(name, other.to_string())),
        }
    }
}

/// Sample grids with their names, oldest first.
fn grids(folder: &Path) -> Result<Vec<(String, Vec<u8>)>> {
    let mut files: Vec<PathBuf> = match fs::read_dir(folder) {
        Ok(entries) => entries.filter_map(|entry| Some(entry.ok()?.path())).collect(),
        Err(_) => Vec::new(),
    };
    let hidden = |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
    files.retain(|path| path.extension().is_some_and(|extension| extension == "png") && !hidden(path));
    files.sort();
    let read = |path: &PathBuf| {
        let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        let step = stem.strip_prefix("step-").and_then(|step| step.parse::<u64>().ok());
        let name = step.map_or(stem, |step| format!("step {step}"));
        Ok((name, fs::read(path).map_err(|e| Error::read(path.display(), e))?))
    };
    evenly(files.len(), GRIDS).into_iter().map(|at| read(&files[at])).collect()
}

/// At most `most` of `count` places, the first and the last among them.
fn evenly(count: usize, most: usize) -> Vec<usize> {
    if count <= most {
        return (0..count).collect();
    }
    (0..most).map(|at| (at * (count - 1) + (most - 1) / 2) / (most - 1)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_tables_are_curves_and_long_ones_tables_and_doubled_steps_count_once() {
        let long: Vec<String> = (0..9).map(|class| format!("\"c{class}\":{class}")).collect();
        let text = format!(
            "{{\"step\":1,\"loss\":9}}\n{{\"step\":1,\"loss\":2}}\n{{\"step\":2,\"psnr\":17.25,\"pictures\":8,\
             \"by_group\":{{\"A\":1,\"B\":2}},\"by_class\":{{{}}}}}\n{{\"step\":3,\"lo",
            long.join(",")
        );
        let (curves, tables) = curves(&text);
        assert_eq!(curves["loss"], [(1.0, 2.0)]);
        assert_eq!(curves.keys().collect::<Vec<_>>(), ["by_group: A", "by_group: B", "loss", "psnr"]);
        assert_eq!((tables["by_class"].0, tables["by_class"].1["c8"]), (2, 8.0));
    }

    #[test]
    fn grids_are_spread_over_the_run() {
        assert_eq!(evenly(3, 6), [0, 1, 2]);
        assert_eq!(evenly(11, 6), [0, 2, 4, 6, 8, 10]);
        assert_eq!(evenly(100, 6), [0, 20, 40, 59, 79, 99]);
    }
}
