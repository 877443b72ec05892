//! What is already built need not be built again.
//!
//! Cargo knows this for Rust. For the steps after it, a stamp records one SHA-256 over a step's inputs
//! and one over its outputs; the step is skipped while both still hold. Contents count, not times: a
//! fresh checkout of the same files is up to date, and an output changed by hand is made again.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// One thing a step reads.
#[derive(Debug)]
pub enum Input {
    /// A file, or a folder with all that is in it.
    Path(PathBuf),
    /// Anything that is not a file: a version, a list of flags.
    Text(String),
}

#[derive(Serialize, Deserialize, PartialEq, Eq, Debug)]
struct Stamp {
    inputs: String,
    outputs: String,
}

/// Runs `make` unless the stamp `name` in `notes` says that `outputs` already follow from `inputs`.
/// Returns whether it ran.
///
/// # Errors
/// If `make` fails (the old stamp is gone then) or a file cannot be read.
pub fn when_changed(
    notes: &Path,
    name: &str,
    inputs: &[Input],
    outputs: &[PathBuf],
    make: impl FnOnce() -> Result<()>,
) -> Result<bool> {
    let file = notes.join(format!("{name}.json"));
    let wanted = digest(inputs)?;
    let outputs: Vec<_> = outputs.iter().cloned().map(Input::Path).collect();
    if let Some(stamp) = read(&file)
        && stamp == (Stamp { inputs: wanted.clone(), outputs: digest(&outputs)? })
    {
        return Ok(false);
    }
    // Gone before the work starts, so that work broken off half-way is not taken for done.
    if file.exists() {
        fs::remove_file(&file).with_context(|| format!("cannot remove {}", file.display()))?;
    }
    make()?;
    fs::create_dir_all(notes).with_context(|| format!("cannot make {}", notes.display()))?;
    let stamp = Stamp { inputs: wanted, outputs: digest(&outputs)? };
    fs::write(&file, serde_json::to_vec(&stamp)?).with_context(|| format!("cannot write {}", file.display()))?;
    Ok(true)
}

/// A stamp that cannot be read is no stamp: the step runs again, which is always right.
fn read(file: &Path) -> Option<Stamp> {
    serde_json::from_slice(&fs::read(file).ok()?).ok()
}

/// SHA-256 over names and contents, in the order of the names. A missing path counts as missing.
fn digest(inputs: &[Input]) -> Result<String> {
    let mut hash = Sha256::new();
    for input in inputs {
        match input {
            Input::Text(text) => frame(&mut hash, b"text", text.as_bytes()),
            Input::Path(path) => add(&mut hash, path, Path::new(""))?,
        }
    }
    Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

fn add(hash: &mut Sha256, path: &Path, name: &Path) -> Result<()> {
    let label = name.to_string_lossy();
    if path.is_dir() {
        frame(hash, b"folder", label.as_bytes());
        let mut entries = fs::read_dir(path)?.collect::<Result<Vec<_>, _>>()?;
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            add(hash, &entry.path(), &name.join(entry.file_name()))?;
        }
    } else if path.exists() {
        frame(hash, b"file", label.as_bytes());
        frame(hash, b"", &fs::read(path).with_context(|| format!("cannot read {}", path.display()))?);
    } else {
        frame(hash, b"missing", label.as_bytes());
    }
    Ok(())
}

/// Lengths go in too, so that no two different lists of inputs run together into the same bytes.
fn frame(hash: &mut Sha256, kind: &[u8], bytes: &[u8]) {
    hash.update(kind);
    hash.update((bytes.len() as u64).to_le_bytes());
    hash.update(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::bail;

    struct Bench {
        folder: tempfile::TempDir,
        runs: u32,
    }

    impl Bench {
        fn new() -> Self {
            let folder = tempfile::tempdir().expect("temporary folder");
            fs::create_dir(folder.path().join("src")).expect("source folder");
            fs::write(folder.path().join("src/a.ts"), "let a = 1").expect("source file");
            Self { folder, runs: 0 }
        }

        fn path(&self, name: &str) -> PathBuf {
            self.folder.path().join(name)
        }

        /// A step that copies nothing but the fact that it ran.
        fn build(&mut self, flags: &str) {
            let inputs = [Input::Path(self.path("src")), Input::Text(flags.into())];
            let outputs = [self.path("out")];
            let ran =
                when_changed(&self.path("notes"), "step", &inputs, &outputs, || Ok(fs::write(&outputs[0], "made")?));
            self.runs += u32::from(ran.expect("the step works"));
        }
    }

    #[test]
    fn a_second_run_with_nothing_changed_does_nothing() {
        let mut bench = Bench::new();
        bench.build("-Os");
        bench.build("-Os");
        assert_eq!(bench.runs, 1);
    }

    #[test]
    fn touching_a_file_without_changing_it_does_nothing() {
        let mut bench = Bench::new();
        bench.build("-Os");
        fs::write(bench.path("src/a.ts"), "let a = 1").expect("same contents");
        bench.build("-Os");
        assert_eq!(bench.runs, 1);
    }

    #[test]
    fn changed_new_renamed_and_removed_inputs_each_run_it_again() {
        let mut bench = Bench::new();
        bench.build("-Os");
        fs::write(bench.path("src/a.ts"), "let a = 2").expect("changed");
        bench.build("-Os");
        fs::write(bench.path("src/b.ts"), "").expect("new");
        bench.build("-Os");
        fs::rename(bench.path("src/b.ts"), bench.path("src/c.ts")).expect("renamed");
        bench.build("-Os");
        fs::remove_file(bench.path("src/c.ts")).expect("removed");
        bench.build("-Os");
        bench.build("-O3");
        assert_eq!(bench.runs, 6);
    }

    #[test]
    fn an_output_lost_or_changed_by_hand_is_made_again() {
        let mut bench = Bench::new();
        bench.build("-Os");
        fs::remove_file(bench.path("out")).expect("lost");
        bench.build("-Os");
        fs::write(bench.path("out"), "mended by hand").expect("changed");
        bench.build("-Os");
        assert_eq!(bench.runs, 3);
    }

    #[test]
    fn a_step_that_failed_runs_again_even_if_its_inputs_go_back() {
        let mut bench = Bench::new();
        bench.build("-Os");
        let failed = when_changed(&bench.path("notes"), "step", &[], &[bench.path("out")], || bail!("broken"));
        assert_eq!(failed.expect_err("it fails").to_string(), "broken");
        bench.build("-Os");
        assert_eq!(bench.runs, 2);
    }

    #[test]
    fn a_damaged_stamp_counts_as_none() {
        let mut bench = Bench::new();
        bench.build("-Os");
        fs::write(bench.path("notes/step.json"), "{").expect("damaged");
        bench.build("-Os");
        assert_eq!(bench.runs, 2);
    }
}
