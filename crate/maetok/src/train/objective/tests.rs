//! What the objective means, on small networks.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use burn::tensor::{Device, Tensor};

use super::{Batch, Objective};
use crate::checkpoint::{self, Storage};
use crate::nn::DropPath;
use crate::rng::Rng;
use crate::tokenizer::{AuxiliaryDecoderConfig, AuxiliaryDecoders, TargetKind, Tokenizer, TokenizerConfig, VitSize};
use crate::train::losses::{Hidden, by_reconstruction, pixels};
use crate::train::teacher::TeacherConfig;
use crate::train::tests::{SIZE, draw_pictures, settings, tiny};
use crate::train::{TeacherTraining, TokenizerTrainer, TokenizerTraining, hog};

/// A tokenizer whose start lets the decoder read its latents.
fn tokenizer(config: &TokenizerConfig, device: &Device) -> Tokenizer {
    config.init(device).unwrap().with_spatial_start(config)
}

fn picture(seed: u64, device: &Device) -> Tensor<4> {
    let mut rng = Rng::new(seed, 0);
    let values: Vec<f32> = (0..2 * 3 * SIZE * SIZE).map(|_| rng.uniform() as f32 * 2.0 - 1.0).collect();
    Tensor::<1>::from_floats(values.as_slice(), device).reshape([2, 3, SIZE, SIZE])
}

fn values<const D: usize>(x: Tensor<D>) -> Vec<f32> {
    x.into_data().try_to_vec().unwrap()
}

/// Hides the left half of the 4 × 4 patches.
fn left_half(device: &Device) -> Hidden {
    Hidden::new(&[(0..16).map(|patch| patch % 4 < 2).collect(), (0..16).map(|patch| patch % 4 < 2).collect()], device)
}

/// The pictures with one pixel in column `column` changed.
fn touched(x: &Tensor<4>, column: usize) -> Tensor<4> {
    x.clone().slice_fill([0..2, 0..3, 9..10, column..column + 1], 0.987f32)
}

#[test]
fn hidden_pixels_cannot_reach_the_latents_and_seen_ones_do() {
    let device = Device::flex();
    let config = tiny();
    let tokenizer = tokenizer(&config, &device);
    let hidden = left_half(&device);
    let x = picture(1, &device);
    let latent = |x: Tensor<4>| values(tokenizer.encode(x, Some(hidden.mask.clone())));
    let z = latent(x.clone());
    assert_eq!(latent(touched(&x, 3)), z, "a pixel of a hidden patch");
    assert_ne!(latent(touched(&x, 20)), z, "a pixel of a patch that is seen");
    assert_ne!(values(tokenizer.encode(touched(&x, 3), None)), values(tokenizer.encode(x, None)), "nothing hidden");
}

#[test]
fn hidden_pixels_reach_the_loss_through_pixels_and_targets_only() {
    let device = Device::flex();
    let config = tiny();
    let tokenizer = tokenizer(&config, &device);
    let auxiliary = AuxiliaryDecoders::new(|kind| {
        (kind == TargetKind::Hog).then(|| {
            let sizes = AuxiliaryDecoderConfig::new(hog::target_size(8)).with_width(32).with_depth(1).with_heads(2);
            sizes.init(&config, &device)
        })
    });
    let target = Tensor::<3>::ones([2, 16, 27], &device) * 0.2;
    let losses = |x: Tensor<4>| {
        let mut batch = Batch::new(x);
        batch.hidden = Some(left_half(&device));
        batch.targets = vec![(TargetKind::Hog, target.clone())];
        Objective::default().losses(&tokenizer, &auxiliary, batch)
    };
    let x = picture(1, &device);
    let (before, after) = (losses(x.clone()), losses(touched(&x, 3)));
    assert_eq!(values(before.reconstruction), values(after.reconstruction));
    assert_ne!(values(before.parts[0].1.clone()), values(after.parts[0].1.clone()), "the pixel term sees all pixels");
    assert_eq!(before.parts[1].0, "hog");
    assert_eq!(values(before.parts[1].1.clone()), values(after.parts[1].1.clone()), "equal targets, equal loss");
}

#[test]
fn weights_scale_the_terms_of_the_total_and_a_part_is_without() {
    let device = Device::flex();
    let config = tiny();
    let tokenizer = tokenizer(&config, &device);
    let auxiliary = AuxiliaryDecoders::new(|_| {
        let sizes = AuxiliaryDecoderConfig::new(16).with_width(32).with_depth(1).with_heads(2);
        Some(sizes.init(&config, &device))
    });
    let mut batch = Batch::new(picture(1, &device));
    batch.hidden = Some(left_half(&device));
    let target = |kind| (kind, Tensor::<3>::random([2, 16, 16], burn::tensor::Distribution::Default, &device));
    batch.targets = TargetKind::ALL.map(target).into();
    let objective = Objective { hog: 0.5, dino: 3.0, clip: 7.0, efficientnet: 9.0, ..Objective::default() };
    let losses = objective.losses(&tokenizer, &auxiliary, batch.clone());
    let parts: Vec<f32> = losses.parts.iter().map(|(_, part)| part.clone().into_scalar::<f32>()).collect();
    let want: f32 = parts.iter().zip([1.0, 0.5, 3.0, 7.0, 9.0]).map(|(part, weight)| part * weight).sum();
    assert!((losses.total.into_scalar::<f32>() - want).abs() < 1e-4);

    batch.hidden = None;
    let losses = objective.losses(&tokenizer, &auxiliary, batch);
    assert_eq!(losses.parts.len(), 1, "nothing hidden, nothing asked");
}

#[test]
fn drop_path_of_rate_0_changes_nothing_and_another_rate_changes_the_picture() {
    let device = Device::flex();
    let config = tiny();
    let tokenizer = tokenizer(&config, &device);
    let z = tokenizer.encode(picture(1, &device), None);
    let decode = |rate: f64, seed: u64| {
        let drop = DropPath::draw(&mut Rng::new(seed, 0), rate, config.decoder.depth, 2);
        values(tokenizer.picture_of_tokens(tokenizer.decode_tokens(z.clone(), Some(&drop))))
    };
    let plain = values(tokenizer.decode(z.clone()));
    assert_eq!(decode(0.0, 1), plain);
    assert!((0..8).any(|seed| decode(0.9, seed) != plain), "eight draws at rate 0.9 that drop nothing");
}

#[test]
fn a_term_put_in_by_its_gradient_gives_the_parameters_its_own_gradient() {
    let device = Device::flex().autodiff();
    let tokenizer = tokenizer(&tiny(), &device);
    let x = picture(1, &device);
    let z = tokenizer.encode(x.clone(), None).detach().require_grad();
    let direct = pixels(tokenizer.decode(z.clone()), x.clone());

    let reconstruction = tokenizer.decode(z.clone());
    let (value, gradient) = by_reconstruction(&reconstruction, |y| pixels(y, x));
    assert_eq!(values(value), values(direct.clone().inner()));
    let through = (reconstruction * gradient).sum();

    let gradient = |loss: Tensor<1>| values(z.grad(&loss.backward()).expect("a gradient"));
    let (direct, through) = (gradient(direct), gradient(through));
    let largest = direct.iter().fold(0.0f32, |max, value| max.max(value.abs()));
    assert!(largest > 0.0);
    assert!(direct.iter().zip(&through).all(|(a, b)| (a - b).abs() <= 1e-5 * largest), "{direct:?} {through:?}");
}

/// Names of the terms in the log of a run of one update.
fn terms_of_one_update(settings: TokenizerTraining, config: TokenizerConfig, run: &Path) -> BTreeSet<String> {
    TokenizerTrainer::new(settings, config, run, false, &Device::flex()).unwrap().run().unwrap();
    let text = fs::read_to_string(run.join("log.jsonl")).unwrap();
    let mut lines = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let line = lines.find(|line| line.get("loss").is_some()).expect("a line with the loss");
    assert!(line["loss"].as_f64().unwrap().is_finite(), "{line}");
    let known = ["mse", "hog", "dino", "clip", "efficientnet", "kl"];
    known.into_iter().filter(|name| line.get(name).is_some()).map(str::to_owned).collect()
}

/// A small teacher's weights in a file, with its sizes.
fn teacher_file(dir: &Path, kind: TargetKind) -> TeacherTraining {
    let size = VitSize { width: 24, depth: 1, heads: 2 };
    let sizes = match kind {
        TargetKind::Clip => TeacherConfig::siglip_so400m(SIZE),
        _ => TeacherConfig::dinov2_large(SIZE),
    };
    let config = TeacherConfig { patch_size: 8, size, mlp: 40, ..sizes };
    let file = dir.join(format!("{}.safetensors", kind.name()));
    let teacher = config.init(&Device::flex()).unwrap();
    fs::write(&file, checkpoint::save(&teacher, Storage::F32, &Default::default()).unwrap()).unwrap();
    TeacherTraining { file: Some(file), config: Some(config), ..TeacherTraining::new(kind) }
}

#[test]
fn the_baselines_and_the_whole_objective_are_a_matter_of_configuration() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    draw_pictures(&data, 8);
    let one = settings(&data, 1);
    let plain = TokenizerConfig { token_drop: None, ..tiny() };
    let mut teachers: Vec<_> = [TargetKind::Dino, TargetKind::Clip].map(|kind| teacher_file(dir.path(), kind)).into();
    teachers.push(TeacherTraining { stage: Some(0), ..TeacherTraining::new(TargetKind::EfficientNet) });
    let whole = TokenizerTraining { teachers, drop_path: 0.2, workers: 2, ..one.clone() };
    let runs: [(&str, TokenizerTraining, TokenizerConfig, &[&str]); 4] = [
        ("ae", TokenizerTraining { hog: 0.0, ..one.clone() }, plain.clone(), &["mse"]),
        ("kl", TokenizerTraining { hog: 0.0, ..one.clone() }, TokenizerConfig { kl: true, ..plain }, &["kl", "mse"]),
        ("hog", one, tiny(), &["hog", "mse"]),
        ("whole", whole, tiny(), &["clip", "dino", "efficientnet", "hog", "mse"]),
    ];
    for (name, settings, config, terms) in runs {
        let run = dir.path().join(name);
        let masked = config.token_drop.is_some();
        assert_eq!(Vec::from_iter(terms_of_one_update(settings, config, &run)), terms, "{name}");
        let auxiliary = run.join("checkpoints/step-00000001/auxiliary.safetensors");
        assert_eq!(auxiliary.is_file(), masked, "{name}");
        if masked {
            let keys = checkpoint::tensor_names(&fs::read(auxiliary).unwrap()).unwrap();
            for kind in terms.iter().filter(|term| **term != "mse") {
                assert!(keys.iter().any(|(key, ..)| *key == format!("decoder_{kind}.mask_token")), "{kind}");
            }
        }
    }
}

#[test]
fn teachers_that_see_other_patches_than_the_tokenizer_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    draw_pictures(&dir.path().join("data"), 4);
    let fit = teacher_file(dir.path(), TargetKind::Dino);
    let sizes = fit.config.unwrap();
    let coarse = Some(TeacherConfig { patch_size: 16, ..sizes });
    let wider = Some(TeacherConfig { size: VitSize { width: 32, ..sizes.size }, ..sizes });
    let own = TeacherTraining::new(TargetKind::EfficientNet);
    let absent = dir.path().join("absent.safetensors");
    let bad: [(Vec<TeacherTraining>, &str); 10] = [
        (vec![TeacherTraining { config: coarse, ..fit.clone() }], "16 px patches"),
        (vec![TeacherTraining { kind: TargetKind::Hog, ..fit.clone() }], "hog"),
        (vec![fit.clone(), fit.clone()], "dino"),
        (vec![TeacherTraining { weight: -1.0, ..fit.clone() }], "-1"),
        (vec![TeacherTraining { file: None, ..fit.clone() }], "dino without a file"),
        (vec![TeacherTraining { file: Some(absent), ..fit.clone() }], "absent.safetensors could not be read"),
        (
            vec![TeacherTraining { config: wider, ..fit.clone() }],
            "of another shape, the first cls_token (the network has",
        ),
        (vec![TeacherTraining { stage: Some(2), ..fit.clone() }], "dino with a stage"),
        (vec![TeacherTraining { stage: Some(7), ..own.clone() }], "The setting stage is 7"),
        (vec![TeacherTraining { side: Some(70), ..own }], "The setting side is 70"),
    ];
    for (teachers, words) in bad {
        let settings = TokenizerTraining { teachers, ..settings(&dir.path().join("data"), 1) };
        let run = dir.path().join("run");
        let refused = TokenizerTrainer::new(settings, tiny(), &run, false, &Device::flex());
        let message = refused.err().expect("refused").to_string();
        assert!(message.contains(words), "{message}");
        assert!(message.ends_with('.') && !message.contains(". "), "one sentence: {message}");
        assert!(!run.exists(), "before anything is made: {words}");
    }
}
