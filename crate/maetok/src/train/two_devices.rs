//! Several devices learn what one learns, and products in bf16 nearly what products in f32 do.
//!
//! A CPU is one device, so both are the same here: this tests how a batch is cut and put together again, and not that
//! tensors are brought to the right device. The command line's `tests/remote.rs` does, where the feature is built in.

use std::fs;
use std::path::{Path, PathBuf};

use burn::tensor::Device;

use super::tests::{as_of, draw_pictures, settings, tiny};
use super::{
    AdversarialKind, AdversarialTraining, Devices, DiffusionTrainer, DiffusionTraining, PerceptualKind,
    PerceptualTraining, TokenizerTrainer, TokenizerTraining,
};
use crate::diffusion::SitConfig;
use crate::nn::Precision;

/// Two halves of a batch are summed apart and then together: f32 sums in another order, which AdamW's division by the
/// root of the second moment enlarges where gradients are near zero. Worst measured over 20 updates, relative:
/// 2.3e-6 for the tokenizer, nothing within the six digits of the log for the generator.
const OTHER_ORDER: f64 = 3e-5;
/// Worst of a loss and of a gradient's norm in bf16, relative to f32, over the first update: 8e-4 and 1.5e-2.
const ROUNDED: f64 = 0.05;

/// The same with a discriminator over [`FEW`] updates: nothing measured within the six digits of the log. The adaptive
/// factor, a quotient of gradients, multiplies what differs: over six updates it was 4e-3.
const OPPOSED: f64 = 1e-3;

/// Updates of the runs with a discriminator.
const FEW: u64 = 3;
/// Updates of the other runs that are compared.
const STEPS: u64 = 20;

/// So that the weights move from the first update on.
fn quick(mut settings: TokenizerTraining) -> TokenizerTraining {
    settings.schedule.warmup = 2;
    settings
}

/// A number of every logged update.
fn curve(run: &Path, name: &str) -> Vec<f64> {
    let text = fs::read_to_string(run.join("log.jsonl")).unwrap();
    let value = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap()[name].as_f64();
    text.lines().filter_map(value).collect()
}

/// Largest difference of two curves, relative to the first.
fn worst(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| ((a - b) / a).abs()).fold(0.0, f64::max)
}

fn one() -> Devices {
    Devices::from(&Device::flex())
}

fn two() -> Devices {
    Devices::new(vec![Device::flex(), Device::flex()]).unwrap()
}

/// Runs that go on from one and the same checkpoint of step 1: flex draws fresh weights from a generator that tests
/// running at the same time share.
struct FromOneStart<'a> {
    dir: &'a Path,
    first: &'a Path,
}

impl FromOneStart<'_> {
    /// The folder of another run.
    fn copy(&self, name: &str) -> PathBuf {
        let out = self.dir.join(name);
        as_of(self.first, 1, &out);
        out
    }
}

#[test]
fn a_tokenizer_learns_on_two_devices_what_it_learns_on_one_with_both_batches() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    draw_pictures(&data, 24);
    let train = |out: &Path, devices: Devices, batch: usize, steps: u64| {
        let settings = TokenizerTraining { batch, drop_path: 0.2, ..quick(settings(&data, steps)) };
        TokenizerTrainer::new(settings, tiny(), out, steps > 1, devices).unwrap().run().unwrap();
        curve(out, "loss")
    };
    let first = dir.path().join("first");
    train(&first, one(), 8, 1);
    let start = FromOneStart { dir: dir.path(), first: &first };
    compare(|name, devices, batch| train(&start.copy(name), devices, batch, STEPS));
}

/// With a discriminator, which sees the whole batch on the first device, a second worker on each, and the look.
#[test]
fn an_adversarial_tokenizer_learns_on_two_devices_what_it_learns_on_one() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    draw_pictures(&data, 24);
    let train = |out: &Path, devices: Devices, workers: usize, steps: u64| {
        let adversarial =
            AdversarialTraining { kind: AdversarialKind::Patch, widths: vec![8, 16, 16], ..Default::default() };
        let perceptual =
            PerceptualTraining { kind: PerceptualKind::EfficientNet, weight: 0.5, ..PerceptualTraining::default() };
        let settings =
            TokenizerTraining { batch: 8, workers, adversarial, perceptual, ..quick(settings(&data, steps)) };
        TokenizerTrainer::new(settings, tiny(), out, steps > 1, devices).unwrap().run().unwrap();
        ["loss", "adaptive", "disc_loss"].map(|name| curve(out, name))
    };
    let first = dir.path().join("first");
    train(&first, one(), 1, 1);
    let start = FromOneStart { dir: dir.path(), first: &first };
    let [whole, shared] = [("one", one(), 1), ("two", two(), 2)]
        .map(|(name, devices, workers)| train(&start.copy(name), devices, workers, FEW));
    for (whole, shared) in whole.iter().zip(&shared) {
        assert_eq!(whole.len(), FEW as usize);
        let apart = worst(whole, shared);
        assert!(apart < OPPOSED, "{apart}: {whole:?} and {shared:?}");
    }
}

#[test]
fn a_generator_learns_on_two_devices_what_it_learns_on_one_with_both_batches() {
    let dir = tempfile::tempdir().unwrap();
    let (data, tokenizer) = (dir.path().join("data"), dir.path().join("tokenizer"));
    draw_pictures(&data, 24);
    TokenizerTrainer::new(settings(&data, 1), tiny(), &tokenizer, false, one()).unwrap().run().unwrap();
    let train = |out: &Path, devices: Devices, batch: usize, steps: u64| {
        let TokenizerTraining { pace, schedule, .. } = quick(settings(&data, steps));
        let (data, tokenizer) = (data.clone(), tokenizer.clone());
        let settings = DiffusionTraining { data, tokenizer, pace, schedule, batch, ..DiffusionTraining::default() };
        let config = SitConfig { width: 32, depth: 2, heads: 2, ..SitConfig::toon(2) };
        DiffusionTrainer::new(settings, config, out, steps > 1, devices).unwrap().run().unwrap();
        curve(out, "loss")
    };
    let first = dir.path().join("first");
    train(&first, one(), 8, 1);
    let start = FromOneStart { dir: dir.path(), first: &first };
    compare(|name, devices, batch| train(&start.copy(name), devices, batch, STEPS));
}

/// Two devices with half a batch each against one with the whole; and half a batch alone, which must be something else.
fn compare(train: impl Fn(&str, Devices, usize) -> Vec<f64>) {
    let (whole, shared) = (train("one", one(), 8), train("two", two(), 8));
    assert_eq!(whole.len(), STEPS as usize);
    let apart = worst(&whole, &shared);
    assert!(apart < OTHER_ORDER, "{apart}: {whole:?} and {shared:?}");
    let half = worst(&whole, &train("half", one(), 4));
    assert!(half > 100.0 * OTHER_ORDER, "half a batch makes a difference of {half} only");
}

#[test]
fn a_batch_that_devices_cannot_share_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    draw_pictures(dir.path(), 4);
    let settings = TokenizerTraining { batch: 5, ..settings(dir.path(), 1) };
    let refused = TokenizerTrainer::new(settings, tiny(), &dir.path().join("run"), false, two());
    let message = refused.map(|_| ()).unwrap_err().to_string();
    assert!(message.contains("2 devices") && message.contains("5 pictures"), "{message}");
}

#[test]
fn an_update_in_bf16_is_near_one_in_f32_and_a_run_learns_as_much() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    draw_pictures(&data, 16);
    let train = |out: &Path, precision: Precision, steps: u64| {
        let settings = TokenizerTraining { batch: 8, precision, ..quick(settings(&data, steps)) };
        TokenizerTrainer::new(settings, tiny(), out, steps > 1, one()).unwrap().run().unwrap();
        (curve(out, "loss"), curve(out, "grad_norm"))
    };
    let first = dir.path().join("first");
    train(&first, Precision::F32, 1);
    let start = FromOneStart { dir: dir.path(), first: &first };
    let go_on = |precision| train(&start.copy(&format!("{precision:?}")), precision, 150);
    let ((loss, norm), (rounded_loss, rounded_norm)) = (go_on(Precision::F32), go_on(Precision::Bf16));
    assert_eq!(loss[0], rounded_loss[0], "the update before the copy");
    for (exact, rounded) in [(loss[1], rounded_loss[1]), (norm[1], rounded_norm[1])] {
        let apart = ((exact - rounded) / exact).abs();
        assert!(apart > 0.0, "nothing was rounded");
        assert!(apart < ROUNDED, "{exact} became {rounded}");
    }
    let last = |curve: &[f64]| curve[curve.len() - 20..].iter().sum::<f64>() / 20.0;
    let (begun, end, rounded_end) = (loss[0], last(&loss), last(&rounded_loss));
    assert!(end < 0.7 * begun, "f32: from {begun} to {end}");
    assert!((rounded_end - end).abs() < 0.05 * end, "{rounded_end} in bf16 for {end} in f32");
}
