//! What the perceptual term, the discriminator, the shipped teacher and the second stage do in a run.

mod gradients;
mod second_stage;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use burn::tensor::{Device, TensorData};
use safetensors::SafeTensors;
use serde_json::Value;

use self::second_stage::{first_stage, second_stage};
use super::*;
use crate::features::{EfficientNetLite0, PerceptualDistance};
use crate::tokenizer::TargetKind;
use crate::train::Pace;
use crate::train::adversarial::{AdversarialSettings, DinoConfig};
use crate::train::data::Draw;
use crate::train::optimiser::AdamW;
use crate::train::parallel::number;
use crate::train::schedule::Schedule;
use crate::train::tests::{SIZE, as_of, draw_pictures, settings, tiny};

fn perceptual(weight: f64) -> PerceptualTraining {
    PerceptualTraining { kind: PerceptualKind::EfficientNet, weight, ..Default::default() }
}

fn patch(start: u64) -> AdversarialTraining {
    AdversarialTraining { kind: AdversarialKind::Patch, widths: vec![8, 16, 16], start, ..Default::default() }
}

/// A discriminator on a small trunk, whose file it writes into `dir`.
fn dino(dir: &Path, start: u64) -> AdversarialTraining {
    let sizes = DinoConfig { image_size: 16, patch_size: 8, width: 24, heads: 2, depth: 3, readouts: vec![0, 2] };
    let file = dir.join("trunk.safetensors");
    let trunk = sizes.init(&Device::flex());
    fs::write(&file, checkpoint::save(&trunk, Storage::F32, &Default::default()).unwrap()).unwrap();
    let (trunk, trunk_config) = (Some(file), Some(sizes));
    AdversarialTraining { kind: AdversarialKind::Dino, trunk, trunk_config, start, ..Default::default() }
}

fn efficientnet() -> TeacherTraining {
    TeacherTraining::new(TargetKind::EfficientNet)
}

/// The lines of a run's log that tell of updates, without what depends on the clock.
fn updates(run: &Path) -> Vec<BTreeMap<String, Value>> {
    let text = fs::read_to_string(run.join("log.jsonl")).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str::<BTreeMap<String, Value>>(line).unwrap());
    lines
        .filter(|line| line.contains_key("loss"))
        .map(|line| line.into_iter().filter(|(name, _)| !["seconds", "images_per_second"].contains(&&**name)).collect())
        .collect()
}

/// The values of one number of the log.
fn curve(run: &Path, name: &str) -> Vec<f64> {
    updates(run).iter().filter_map(|line| line.get(name)?.as_f64()).collect()
}

fn trained(settings: TokenizerTraining, run: &Path, resume: bool) -> TokenizerTrainer {
    let mut trainer = TokenizerTrainer::new(settings, tiny(), run, resume, &Device::flex()).unwrap();
    trainer.run().unwrap();
    trainer
}

/// Names, and values as they lie in the file.
fn tensors(file: &Path) -> BTreeMap<String, Vec<u8>> {
    let bytes = fs::read(file).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    file.iter().map(|(name, view)| (name.to_owned(), view.data().to_vec())).collect()
}

/// Pictures of smooth colours, `[4, 3, H, W]`.
fn pictures() -> TensorData {
    let value = |at: usize| {
        let (picture, channel, row, column) =
            (at / (3 * SIZE * SIZE), at / (SIZE * SIZE) % 3, at / SIZE % SIZE, at % SIZE);
        ((row * (1 + picture) + column * (1 + channel)) as f32 / 9.0).sin() * 0.8
    };
    TensorData::new((0..4 * 3 * SIZE * SIZE).map(value).collect::<Vec<f32>>(), [4, 3, SIZE, SIZE])
}

#[test]
fn a_perceptual_term_brings_the_looks_of_reconstructions_nearer_than_pixels_alone() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    draw_pictures(&data, 16);
    let device = Device::flex();
    let shown = Pictures::read(&data, SIZE, None).unwrap();
    let draws: Vec<_> = (0..16).map(|index| Draw { index, mirrored: false }).collect();
    let pictures = evaluation::tensor(&shown, &draws, &device);
    let distance = PerceptualDistance::new(EfficientNetLite0::shipped(64, &device).unwrap());
    let looks = |tokenizer: &Tokenizer| {
        let copies = tokenizer.decode(tokenizer.encode(pictures.clone(), None));
        number(distance.forward(copies, pictures.clone()).mean())
    };
    let run = |name: &str, weight: f64, steps| {
        let run = TokenizerTraining {
            start: Start::Spatial,
            perceptual: perceptual(weight),
            hog: 0.0,
            batch: 8,
            ema: 0.5,
            schedule: Schedule { peak: 2e-3, floor: 2e-4, start: 1e-5, warmup: 10 },
            ..settings(&data, steps)
        };
        let at = dir.path().join(name);
        (looks(trained(run, &at, false).tokenizer()), curve(&at, "perceptual"))
    };
    let (pixels_alone, nothing) = run("pixels", 0.0, 40);
    assert!(nothing.is_empty(), "a term without weight is not computed");
    let (with_term, curve) = run("both", 1.0, 40);
    let ends = [&curve[..5], &curve[35..]].map(|part| part.iter().sum::<f64>() / 5.0);
    assert!(ends[1] < 0.9 * ends[0], "{curve:?}");
    assert!(with_term < 0.97 * pixels_alone, "{with_term} with the term, {pixels_alone} without");
}

#[test]
fn the_shipped_teacher_is_learnt_without_any_file() {
    let dir = tempfile::tempdir().unwrap();
    let (data, run) = (dir.path().join("data"), dir.path().join("run"));
    draw_pictures(&data, 16);
    let schedule = Schedule { peak: 3e-3, floor: 3e-4, start: 1e-5, warmup: 5 };
    let settings = TokenizerTraining { hog: 0.0, teachers: vec![efficientnet()], schedule, ..settings(&data, 60) };
    trained(settings, &run, false);
    let losses = curve(&run, "efficientnet");
    let ends = [&losses[..5], &losses[55..]].map(|part| part.iter().sum::<f64>() / 5.0);
    // Minus a cosine: a guess has 0, and a right answer -1.
    assert!(ends[0] > -0.2 && ends[1] < ends[0] - 0.2, "{losses:?}");
    let auxiliary = tensors(&run.join("checkpoints/step-00000060/auxiliary.safetensors"));
    for key in ["decoder_efficientnet.mask_token", "post_quant_conv_efficientnet.bias", "to_pixel_efficientnet.weight"]
    {
        assert!(auxiliary.contains_key(key), "{key}");
    }
}

#[test]
fn the_discriminator_joins_at_its_start_learns_and_is_logged() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    draw_pictures(&data, 8);
    for (name, adversarial) in [("patch", patch(2)), ("dino", dino(dir.path(), 2))] {
        let run = dir.path().join(name);
        let rate = AdversarialTraining { lr: Some(3e-3), ..adversarial.clone() };
        let pace = Pace { checkpoint_every: 2, ..settings(&data, 4).pace };
        trained(TokenizerTraining { pace, adversarial: rate, ..settings(&data, 4) }, &run, false);
        let lines = updates(&run);
        assert_eq!(lines.len(), 4);
        let numbers = ["generator", "adaptive", "disc_loss", "disc_real", "disc_fake", "disc_lecam", "disc_grad_norm"];
        for (at, line) in lines.iter().enumerate() {
            for number in numbers {
                // Updates are logged by how many have been made.
                assert_eq!(line.contains_key(number), at >= 2, "{name}: {number} in {line:?}");
            }
            assert_eq!(line.contains_key("disc_consistency"), at >= 2 && name == "dino", "{name}: {line:?}");
        }
        assert!(curve(&run, "adaptive").iter().all(|factor| *factor > 0.0), "{name}");
        assert!(curve(&run, "disc_loss").iter().all(|loss| (0.0..3.0).contains(loss)), "{name}");
        let weights = |step| tensors(&run.join(format!("checkpoints/step-{step:08}/discriminator.safetensors")));
        let (before, after) = (weights(2), weights(4));
        let moved = before.iter().filter(|(key, bytes)| after[*key] != **bytes).count();
        assert!(moved > before.len() / 2, "{name}: {moved} of {} tensors moved", before.len());
        assert!(before.contains_key("lecam_real") && before["lecam_real"] != after["lecam_real"], "{name}");
        assert!(
            !before.keys().any(|key| key.contains("dino.")),
            "{name}: the trunk is not saved with every checkpoint"
        );
    }
}

#[test]
fn with_everything_on_a_resumed_run_equals_an_unbroken_one() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    draw_pictures(&data, 10);
    for (name, adversarial) in [("patch", patch(1)), ("dino", dino(dir.path(), 1))] {
        let (whole, parts) = (dir.path().join(name), dir.path().join(format!("{name}-parts")));
        let settings = TokenizerTraining {
            pace: Pace { checkpoint_every: 3, ..settings(&data, 6).pace },
            workers: 2,
            teachers: vec![efficientnet()],
            perceptual: PerceptualTraining { warmup: 4, ..perceptual(0.5) },
            adversarial,
            drop_path: 0.1,
            ..settings(&data, 6)
        };
        trained(settings.clone(), &whole, false);
        as_of(&whole, 3, &parts);
        trained(settings, &parts, true);
        let lines = updates(&whole);
        assert_eq!(lines.len(), 6);
        let all = ["mse", "hog", "efficientnet", "perceptual", "generator", "adaptive", "disc_loss"];
        assert!(all.iter().all(|name| lines[5].contains_key(*name)), "{:?}", lines[5]);
        assert_eq!(lines, updates(&parts), "{name}");
        for file in ["model", "raw", "auxiliary", "discriminator"] {
            let of = |run: &Path| tensors(&run.join(format!("checkpoints/step-00000006/{file}.safetensors")));
            let (whole, parts) = (of(&whole), of(&parts));
            let differ: Vec<_> =
                whole.iter().filter(|(key, bytes)| parts[*key] != **bytes).map(|(key, _)| key).collect();
            assert!(differ.is_empty(), "{name}: {differ:?} of {file}");
        }
    }
}

#[test]
fn what_does_not_fit_a_run_is_refused_in_a_sentence_before_anything_is_made() {
    let dir = tempfile::tempdir().unwrap();
    let (data, first) = first_stage(dir.path());
    let junk = dir.path().join("junk.safetensors");
    fs::write(&junk, b"not weights").unwrap();
    let other = dino(dir.path(), 0).trunk.unwrap();
    let one = settings(&data, 3);
    let with_look = |look| TokenizerTraining { perceptual: look, ..one.clone() };
    let against = |adversarial| TokenizerTraining { adversarial, ..one.clone() };
    let lpips = |files| PerceptualTraining { kind: PerceptualKind::Lpips, files, ..Default::default() };
    let on = |trunk| AdversarialTraining { kind: AdversarialKind::Dino, trunk, ..Default::default() };
    let masked = tiny();
    let plain = TokenizerConfig { token_drop: None, ..tiny() };
    let wider = TokenizerConfig { latent_channels: 4, ..tiny() };
    let without_masks = dir.path().join("plain");
    let settings_plain = TokenizerTraining { hog: 0.0, ..one.clone() };
    TokenizerTrainer::new(settings_plain, plain, &without_masks, false, &Device::flex()).unwrap().run().unwrap();
    let cases: [(TokenizerTraining, &TokenizerConfig, &str); 15] = [
        (with_look(lpips(vec![])), &masked, "lpips without its weights"),
        (
            with_look(lpips(vec![junk.clone()])),
            &masked,
            "junk.safetensors cannot serve as LPIPS with VGG16: the weights",
        ),
        (
            with_look(lpips(vec![other.clone()])),
            &masked,
            "as LPIPS with VGG16: 33 tensors missing, the first scaling_layer.shift",
        ),
        (with_look(PerceptualTraining { side: Some(65), ..perceptual(1.0) }), &masked, "The setting side is 65"),
        (with_look(perceptual(-1.0)), &masked, "The setting perceptual-weight is -1"),
        (against(on(None)), &masked, "dino without its trunk"),
        (against(on(Some(other))), &masked, "cannot serve as the trunk of the discriminator"),
        (against(on(Some(dir.path().join("absent")))), &masked, "absent could not be read"),
        (against(patch(3)), &masked, "The setting adversarial-start is 3, but it must be below 3"),
        (against(AdversarialTraining { widths: vec![8; 6], ..patch(0) }), &masked, "6 halvings of 32 px"),
        (against(AdversarialTraining { lr: Some(0.0), ..patch(0) }), &masked, "The setting adversarial-lr is 0"),
        (
            against(AdversarialTraining { adamw: AdamW { muon: Some(0.9), ..one.adamw }, ..patch(0) }),
            &masked,
            "The setting adversarial.adamw.muon is 0.9, but it must be left out",
        ),
        (
            second_stage(&data, &first, 2),
            &wider,
            "codebook_embed_dim = 16, but it must be one with codebook_embed_dim = 4",
        ),
        (second_stage(&data, &without_masks, 2), &masked, "a tokenizer trained without masks"),
        (second_stage(&data, &data, 2), &masked, "holds no tokenizer"),
    ];
    let run = dir.path().join("run");
    for (settings, config, words) in cases {
        let refused = TokenizerTrainer::new(settings, config.clone(), &run, false, &Device::flex());
        let message = refused.err().unwrap_or_else(|| panic!("not refused: {words}")).to_string();
        assert!(message.contains(words), "{words}: {message}");
        assert!(message.ends_with('.') && !message.contains(". "), "one sentence: {message}");
        assert!(!run.exists(), "{words}: before anything is made");
    }
}

#[test]
fn settings_of_earlier_runs_are_read_and_new_ones_survive_their_file() {
    let text = r#"{"data": "pictures", "teachers": [{"kind": "dino", "file": "a", "weight": 1.0, "config": {
        "image_size": 32, "patch_size": 8, "size": {"width": 24, "depth": 1, "heads": 2}, "mlp": 40,
        "class_token": true, "layer_scale": true}}]}"#;
    let read: TokenizerTraining = serde_json::from_str(text).unwrap();
    assert_eq!((read.perceptual.kind, read.adversarial.kind), (PerceptualKind::None, AdversarialKind::None));
    assert_eq!(read.teachers[0].file.as_deref(), Some(Path::new("a")));
    let dir = tempfile::tempdir().unwrap();
    let settings = TokenizerTraining {
        teachers: vec![efficientnet()],
        perceptual: perceptual(0.3),
        adversarial: dino(dir.path(), 7),
        init_from: Some(PathBuf::from("run")),
        ..settings(Path::new("pictures"), 9)
    };
    let pace = Pace { quiet: false, ..settings.pace.clone() };
    let settings = TokenizerTraining { pace, ..settings };
    let again: TokenizerTraining = serde_json::from_str(&serde_json::to_string(&settings).unwrap()).unwrap();
    assert_eq!(again, settings);
    assert_eq!(settings.adversarial.settings().consistency, AdversarialSettings::default().consistency);
    assert_eq!(patch(0).settings().consistency, 0.0);
}
