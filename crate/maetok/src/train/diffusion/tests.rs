//! What resuming a generator's run may change, and what it must not.

use std::fs;
use std::path::PathBuf;

use super::*;
use crate::diffusion::SitConfig;
use crate::train::pack::{Pack, pack};
use crate::train::schedule::Schedule;
use crate::train::tests::{as_of, draw_pictures, settings, tiny};
use crate::train::{TokenizerTrainer, TokenizerTraining};

/// A tokenizer and a generator of one update each.
struct Runs {
    dir: tempfile::TempDir,
    data: PathBuf,
    tokenizer: PathBuf,
    generator: PathBuf,
}

impl Runs {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let [data, tokenizer, generator] = ["data", "tokenizer", "generator"].map(|name| dir.path().join(name));
        draw_pictures(&data, 8);
        let runs = Self { dir, data, tokenizer, generator };
        runs.train_tokenizer(&runs.tokenizer, 1, false);
        runs.train(&runs.generator, &runs.data, &runs.tokenizer, 1).unwrap();
        runs
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn train_tokenizer(&self, out: &Path, steps: u64, resume: bool) {
        let settings = TokenizerTraining { schedule: FAST, ..settings(&self.data, steps) };
        TokenizerTrainer::new(settings, tiny(), out, resume, &Device::flex()).unwrap().run().unwrap();
    }

    /// Begins a run, or goes on with it where there is a checkpoint.
    fn train(&self, out: &Path, data: &Path, tokenizer: &Path, steps: u64) -> Result<DiffusionTrainer> {
        let settings = DiffusionTraining {
            data: data.to_path_buf(),
            tokenizer: tokenizer.to_path_buf(),
            pace: settings(data, steps).pace,
            batch: 2,
            ..DiffusionTraining::default()
        };
        let config = SitConfig { width: 32, depth: 1, heads: 2, ..SitConfig::toon(2) };
        let mut trainer = DiffusionTrainer::new(settings, config, out, steps > 1, &Device::flex())?;
        trainer.run()?;
        Ok(trainer)
    }

    /// A copy of the generator's run.
    fn copy(&self, name: &str) -> PathBuf {
        let out = self.path(name);
        as_of(&self.generator, 1, &out);
        out
    }

    /// Mean and standard deviation of the latents in the packed model.
    fn packed(&self, tokenizer: &Path, generator: &Path, out: &str) -> Result<(f64, f64)> {
        let request = Pack { generator: Some(generator.to_path_buf()), ..Pack::new(tokenizer) };
        pack(&request, &self.path(out)).map(|manifest| (manifest.latent_mean, manifest.latent_std))
    }
}

/// So that one update moves the encoder.
const FAST: Schedule = Schedule { peak: 1e-2, floor: 1e-3, start: 1e-2, warmup: 0 };

/// Every file of a run but its lock, with its bytes.
fn contents(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(contents(&path)),
            false if path.file_name().is_some_and(|name| name != ".lock") => {
                found.push((path.clone(), fs::read(path).unwrap()));
            }
            false => {}
        }
    }
    found.sort();
    found
}

#[test]
fn a_run_that_cannot_be_resumed_stays_as_it_is() {
    let runs = Runs::new();
    let one_class = runs.path("one-class");
    fs::create_dir_all(one_class.join("box")).unwrap();
    fs::copy(runs.data.join("box/000.png"), one_class.join("box/000.png")).unwrap();
    let more = runs.path("more");
    draw_pictures(&more, 12);

    let other_classes = runs.copy("other-classes");
    let before = contents(&other_classes);
    let message = runs.train(&other_classes, &one_class, &runs.tokenizer, 2).map(|_| ()).unwrap_err().to_string();
    assert!(message.contains("of the classes box, but this run has learnt box, disc"), "{message}");
    assert!(contents(&other_classes) == before, "something was written");

    // Other pictures need other latents, which are to be made when the rest is known to be sound.
    let torn = runs.copy("torn");
    fs::write(torn.join("checkpoints/step-00000001").join(MOMENTS), "torn").unwrap();
    let before = contents(&torn);
    let message = runs.train(&torn, &more, &runs.tokenizer, 2).map(|_| ()).unwrap_err().to_string();
    assert!(message.contains("optimiser"), "{message}");
    assert!(contents(&torn) == before, "something was written");
}

#[test]
fn a_run_goes_on_with_the_tokenizer_it_was_begun_with_only() {
    let runs = Runs::new();
    let kept = runs.path("kept");
    as_of(&runs.tokenizer, 1, &kept);
    runs.train_tokenizer(&runs.tokenizer, 3, true);
    let before = contents(&runs.generator);
    let refused = runs.train(&runs.generator, &runs.data, &runs.tokenizer, 2).map(|_| ()).unwrap_err().to_string();
    assert!(refused.contains("is not the one this run was begun with"), "{refused}");
    assert!(contents(&runs.generator) == before, "something was written");
    assert!(runs.packed(&runs.tokenizer, &runs.generator, "model").is_err());

    runs.train(&runs.generator, &runs.data, &kept, 2).unwrap();
    runs.packed(&kept, &runs.generator, "model").unwrap();
    // What a model folder holds is rounded, and still the tokenizer of this generator.
    runs.packed(&runs.path("model"), &runs.generator, "again").unwrap();
}

#[test]
fn other_pictures_do_not_change_the_units_of_a_run() {
    let runs = Runs::new();
    let units = runs.packed(&runs.tokenizer, &runs.generator, "before").unwrap();
    let more = runs.path("more");
    draw_pictures(&more, 30);
    let trainer = runs.train(&runs.generator, &more, &runs.tokenizer, 2).unwrap();
    let near = |a: f64, b: f64| (a - b).abs() < 1e-9;
    assert!(near(trainer.tokenizer_config.latent_mean, units.0) && near(trainer.tokenizer_config.latent_std, units.1));
    let after = runs.packed(&runs.tokenizer, &runs.generator, "after").unwrap();
    assert!(near(units.0, after.0) && near(units.1, after.1), "{units:?} became {after:?}");

    // Runs of earlier versions kept them beside their checkpoints.
    let old = runs.copy("old");
    for name in [UNITS, latents::ABOUT] {
        fs::rename(old.join("checkpoints/step-00000001").join(name), old.join(name)).unwrap();
    }
    runs.train(&old, &more, &runs.tokenizer, 2).unwrap();
    let after = runs.packed(&runs.tokenizer, &old, "old-model").unwrap();
    assert!(near(units.0, after.0) && near(units.1, after.1), "{units:?} became {after:?}");
}
