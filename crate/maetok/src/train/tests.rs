//! Both trainers from end to end on a handful of drawn pictures.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use burn::module::{Module, ModuleVisitor, Param, ParamId};
use burn::tensor::{Device, Tensor};
use image::{Rgb, RgbImage};
use safetensors::SafeTensors;

use super::data::{Draw, Pictures, Sampler};
use super::optimiser::{AdamW, with_stable_ids};
use super::schedule::Schedule;
use super::{DiffusionTrainer, DiffusionTraining, Pace, Start, TokenizerTrainer, TokenizerTraining, pack};
use crate::checkpoint::{self, ModelFiles, Storage};
use crate::diffusion::{GeneratorConfig, LightningConfig, SitConfig};
use crate::pipeline::{Pipeline, SampleRequest};
use crate::rng::Rng;
use crate::tokenizer::{TokenizerConfig, VitSize};
use crate::{eval, image as picture};

pub(super) const SIZE: usize = 32;

/// Discs and boxes of random places, sizes and colours, in two classes.
pub(super) fn draw_pictures(dir: &Path, count: usize) {
    let mut rng = Rng::new(11, 0);
    for number in 0..count {
        let class = ["box", "disc"][number % 2];
        let mut colour = || Rgb([0, 1, 2].map(|_| rng.below(256) as u8));
        let mut image = RgbImage::from_pixel(SIZE as u32, SIZE as u32, colour());
        let fill = colour();
        let (x, y, radius) = (8.0 + 16.0 * rng.uniform(), 8.0 + 16.0 * rng.uniform(), 4.0 + 8.0 * rng.uniform());
        for (column, row, pixel) in image.enumerate_pixels_mut() {
            let (dx, dy) = ((f64::from(column) - x).abs(), (f64::from(row) - y).abs());
            let distance = if class == "box" { dx.max(dy) } else { dx.hypot(dy) };
            let cover = (radius - distance + 0.5).clamp(0.0, 1.0);
            for (value, fill) in pixel.0.iter_mut().zip(fill.0) {
                *value = (f64::from(*value) * (1.0 - cover) + f64::from(fill) * cover).round() as u8;
            }
        }
        let folder = dir.join(class);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(format!("{number:03}.png")), picture::encode_png(&image).unwrap()).unwrap();
    }
}

pub(super) fn tiny() -> TokenizerConfig {
    let size = VitSize { width: 64, depth: 2, heads: 2 };
    TokenizerConfig { image_size: SIZE, latent_tokens: 8, encoder: size, decoder: size, ..TokenizerConfig::toon_64() }
}

pub(super) fn settings(data: &Path, steps: u64) -> TokenizerTraining {
    let never = 1_000_000;
    TokenizerTraining {
        data: data.to_path_buf(),
        pace: Pace {
            steps,
            log_every: 1,
            evaluate_every: never,
            sample_every: never,
            checkpoint_every: never,
            quiet: true,
            ..Pace::default()
        },
        batch: 4,
        hog_decoder: (32, 1, 2),
        ..TokenizerTraining::default()
    }
}

/// Step and loss of every logged update.
fn losses(run: &Path) -> Vec<(u64, f64)> {
    let text = fs::read_to_string(run.join("log.jsonl")).unwrap();
    text.lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .filter_map(|line| Some((line["step"].as_u64()?, line["loss"].as_f64()?)))
        .collect()
}

#[test]
fn a_tokenizer_learns_sixteen_pictures_by_heart() {
    let dir = tempfile::tempdir().unwrap();
    draw_pictures(&dir.path().join("data"), 16);
    let run = dir.path().join("run");
    let config = TokenizerConfig {
        latent_tokens: 16,
        encoder: VitSize { width: 96, depth: 1, heads: 3 },
        decoder: VitSize { width: 128, depth: 2, heads: 4 },
        token_drop: Some((0.05, 0.1)),
        ..tiny()
    };
    let settings = TokenizerTraining {
        batch: 16,
        workers: 2,
        schedule: Schedule { peak: 4e-3, floor: 4e-4, start: 1e-5, warmup: 20 },
        hog: 0.01,
        // Learning by heart has no use for a start that generalises.
        start: Start::Spatial,
        ema: 0.95,
        mirror: false,
        balanced: false,
        unmask_from: Some(0.0),
        ..self::settings(&dir.path().join("data"), 1000)
    };
    let mut trainer = TokenizerTrainer::new(settings, config, &run, false, &Device::flex()).unwrap();
    let summary = trainer.run().unwrap();
    let psnr = summary.measured["psnr"].as_f64().unwrap();
    assert!(psnr > 35.0, "PSNR {psnr} dB after {} steps", summary.state.step);
    assert!(summary.checkpoint.join("model.safetensors").is_file());
    assert!(run.join("samples/step-00001000.png").is_file());
}

/// Copies a run as it stood at its checkpoint of `step`.
pub(super) fn as_of(run: &Path, step: u64, copy: &Path) {
    let checkpoint = format!("checkpoints/step-{step:08}");
    fs::create_dir_all(copy.join(&checkpoint)).unwrap();
    for folder in ["", &checkpoint] {
        for entry in fs::read_dir(run.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                fs::copy(&path, copy.join(folder).join(path.file_name().unwrap())).unwrap();
            }
        }
    }
}

#[test]
fn a_resumed_run_goes_on_exactly_where_it_stopped() {
    resumes_exactly(None);
}

#[test]
fn a_resumed_run_with_muon_goes_on_exactly_where_it_stopped() {
    resumes_exactly(Some(0.95));
}

fn resumes_exactly(muon: Option<f32>) {
    let dir = tempfile::tempdir().unwrap();
    draw_pictures(&dir.path().join("data"), 10);
    let (whole, parts) = (dir.path().join("whole"), dir.path().join("parts"));
    let train = |out: &Path, resume: bool| {
        let settings = settings(&dir.path().join("data"), 6);
        let pace = Pace { checkpoint_every: 3, ..settings.pace.clone() };
        let adamw = AdamW { muon, ..settings.adamw };
        let settings = TokenizerTraining { pace, workers: 2, adamw, ..settings };
        TokenizerTrainer::new(settings, tiny(), out, resume, &Device::flex()).unwrap().run().unwrap();
    };
    train(&whole, false);
    as_of(&whole, 3, &parts);
    train(&parts, true);
    let (whole_losses, parts_losses) = (losses(&whole), losses(&parts));
    assert_eq!(whole_losses.len(), 6);
    assert_eq!(whole_losses, parts_losses);
    let weights = |run: &Path, name: &str| fs::read(run.join("checkpoints/step-00000006").join(name)).unwrap();
    for name in ["model.safetensors", "raw.safetensors", "auxiliary.safetensors"] {
        assert!(weights(&whole, name) == weights(&parts, name), "{name} differs");
    }
}

#[test]
fn a_run_that_is_asked_to_stop_saves_and_can_be_resumed() {
    let dir = tempfile::tempdir().unwrap();
    draw_pictures(&dir.path().join("data"), 6);
    let run = dir.path().join("run");
    let settings = settings(&dir.path().join("data"), 4);
    let trainer = |resume| TokenizerTrainer::new(settings.clone(), tiny(), &run, resume, &Device::flex()).unwrap();
    let mut first = trainer(false);
    fs::write(run.join("stop"), "").unwrap();
    assert_eq!(first.run().unwrap().state.step, 1);
    drop(first);
    assert_eq!(trainer(true).run().unwrap().state.step, 4);
}

#[test]
fn a_frozen_encoder_stays_as_it_is_while_the_decoder_learns() {
    let dir = tempfile::tempdir().unwrap();
    draw_pictures(&dir.path().join("data"), 6);
    let settings = TokenizerTraining {
        unmask_from: Some(0.0),
        freeze_encoder: true,
        adamw: AdamW { weight_decay: 0.0, ..TokenizerTraining::default().adamw },
        ..settings(&dir.path().join("data"), 3)
    };
    let mut trainer = TokenizerTrainer::new(settings, tiny(), &dir.path().join("run"), false, &Device::flex()).unwrap();
    let weights =
        |trainer: &TokenizerTrainer| checkpoint::save(trainer.tokenizer(), Storage::F32, &Default::default()).unwrap();
    let before = weights(&trainer);
    trainer.run().unwrap();
    let after = weights(&trainer);
    let (before, after) = (SafeTensors::deserialize(&before).unwrap(), SafeTensors::deserialize(&after).unwrap());
    let values = |file: &SafeTensors, key: &str| file.tensor(key).unwrap().data().to_vec();
    let moved: Vec<&str> =
        before.names().into_iter().filter(|key| values(&before, key) != values(&after, key)).collect();
    assert!(moved.iter().any(|key| key.starts_with("decoder.")), "nothing moved");
    assert!(!moved.iter().any(|key| key.starts_with("encoder.") || key.starts_with("quant_conv.")), "{moved:?}");
}

#[test]
fn a_generator_trains_resumes_and_is_packed_into_a_model_that_samples() {
    train_resume_pack_and_sample(SitConfig { width: 32, depth: 2, heads: 2, ..SitConfig::toon(2) }.into(), 0.0);
}

#[test]
fn a_lightningdit_trains_resumes_and_is_packed_into_a_model_that_samples() {
    let config = LightningConfig { width: 32, depth: 2, heads: 2, ..LightningConfig::toon(2) };
    train_resume_pack_and_sample(config.into(), 1.0);
}

fn train_resume_pack_and_sample(config: GeneratorConfig, direction: f64) {
    let dir = tempfile::tempdir().unwrap();
    let (data, tokenizer, run, model) =
        (dir.path().join("data"), dir.path().join("tokenizer"), dir.path().join("sit"), dir.path().join("model"));
    draw_pictures(&data.join("train"), 10);
    draw_pictures(&data.join("held-out"), 4);
    let about = r#"[{"name":"box","label":"Boxes","group":"Shapes"},{"name":"disc","label":"Discs","group":"Shapes"}]"#;
    fs::write(data.join("classes.json"), about).unwrap();
    let device = Device::flex();
    TokenizerTrainer::new(settings(&data, 2), tiny(), &tokenizer, false, &device).unwrap().run().unwrap();

    let train = |out: &Path, resume: bool| {
        let settings = DiffusionTraining {
            data: data.clone(),
            tokenizer: tokenizer.clone(),
            pace: Pace { checkpoint_every: 3, ..settings(&data, 6).pace },
            batch: 8,
            workers: 2,
            direction,
            ..DiffusionTraining::default()
        };
        DiffusionTrainer::new(settings, config.clone(), out, resume, &device).unwrap().run().unwrap()
    };
    let summary = train(&run, false);
    assert!(summary.measured["held_out_loss"].as_f64().unwrap() > 0.0);
    let parts = dir.path().join("parts");
    as_of(&run, 3, &parts);
    train(&parts, true);
    assert_eq!(losses(&run), losses(&parts));
    assert_eq!(losses(&run).len(), 6);

    let request =
        pack::Pack { generator: Some(run), data: Some(data), name: "shapes".into(), ..pack::Pack::new(&tokenizer) };
    let manifest = pack::pack(&request, &model).unwrap();
    assert_eq!(manifest.classes.iter().map(|class| class.label.as_str()).collect::<Vec<_>>(), ["Boxes", "Discs"]);
    let pipeline = Pipeline::load(&ModelFiles::from_folder(&model).unwrap(), &device).unwrap();
    let request = SampleRequest { class: 1, steps: 3, ..SampleRequest::default() };
    let sampled = pollster::block_on(pipeline.sample(request, |_| ())).unwrap();
    assert_eq!(sampled.width() as usize, SIZE);
}

/// Or runs that were started when SiT was the only network could not be resumed.
#[test]
fn a_sit_has_the_same_parameter_identities_by_itself_and_as_a_generator() {
    #[derive(Default)]
    struct Ids(Vec<ParamId>);
    impl ModuleVisitor for Ids {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.0.push(param.id);
        }
    }
    fn ids<M: Module>(module: M) -> Vec<ParamId> {
        let mut ids = Ids::default();
        with_stable_ids(module).visit(&mut ids);
        ids.0
    }
    let device = Device::flex();
    let config = SitConfig { width: 32, depth: 1, heads: 2, ..SitConfig::toon(2) };
    let alone = ids(config.init(&device).unwrap());
    assert_eq!(ids(GeneratorConfig::from(config).init(&device).unwrap()), alone);
    let distinct: BTreeSet<String> = alone.iter().map(|id| format!("{id:?}")).collect();
    assert_eq!(distinct.len(), alone.len(), "and all are different");
}

#[test]
fn a_generator_of_another_tokenizer_is_not_packed() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    draw_pictures(&data, 4);
    let device = Device::flex();
    let tokenizer = |seed: u64| {
        let out = dir.path().join(format!("tokenizer-{seed}"));
        let settings = TokenizerTraining { seed, ..settings(&data, 1) };
        TokenizerTrainer::new(settings, tiny(), &out, false, &device).unwrap().run().unwrap();
        out
    };
    let (first, second) = (tokenizer(1), tokenizer(2));
    let run = dir.path().join("sit");
    let settings = DiffusionTraining {
        data: data.clone(),
        tokenizer: first,
        pace: settings(&data, 1).pace,
        batch: 2,
        ..DiffusionTraining::default()
    };
    let config = SitConfig { width: 32, depth: 1, heads: 2, ..SitConfig::toon(2) };
    DiffusionTrainer::new(settings, config, &run, false, &device).unwrap().run().unwrap();
    let request = pack::Pack { generator: Some(run), ..pack::Pack::new(&second) };
    let error = pack::pack(&request, &dir.path().join("model")).unwrap_err();
    assert!(error.to_string().contains("another tokenizer"), "{error}");
}

#[test]
fn unreadable_pictures_are_left_out_by_name() {
    let dir = tempfile::tempdir().unwrap();
    draw_pictures(dir.path(), 4);
    fs::write(dir.path().join("disc/broken.png"), b"not a picture").unwrap();
    fs::write(dir.path().join("disc/notes.txt"), b"not meant to be one").unwrap();
    let pictures = Pictures::read(dir.path(), SIZE, None).unwrap();
    assert_eq!((pictures.len(), pictures.classes.clone()), (4, vec!["box".to_owned(), "disc".to_owned()]));
    let notices = pictures.notices();
    assert_eq!(notices.len(), 1);
    assert!(notices[0].contains("broken.png"), "{notices:?}");
}

#[test]
fn many_unreadable_pictures_are_counted_and_a_class_that_lost_all_is_named() {
    let dir = tempfile::tempdir().unwrap();
    draw_pictures(dir.path(), 4);
    fs::create_dir(dir.path().join("lost")).unwrap();
    for number in 0..20 {
        fs::write(dir.path().join(format!("lost/{number:02}.png")), b"not a picture").unwrap();
    }
    let pictures = Pictures::read(dir.path(), SIZE, None).unwrap();
    let notices = pictures.notices();
    assert_eq!(notices.len(), 7, "{notices:?}");
    assert!(notices[0].contains("00.png") && notices[4].contains("04.png"), "{notices:?}");
    assert_eq!(notices[5], "left out 15 more; of 24 pictures, 4 are used");
    assert_eq!(notices[6], "the class lost has no readable picture: all 20 were left out");
    let drawn = Sampler::new(&pictures, 0, 64, false, true).draw(0);
    assert!(drawn.iter().all(|draw| draw.index < 4), "a run goes on with the others");
}

#[test]
fn a_folder_without_pictures_is_refused_in_one_sentence() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("empty")).unwrap();
    let error = Pictures::read(dir.path(), SIZE, None).map(|_| ()).unwrap_err();
    assert_eq!(error.code(), "training");
    let missing = Pictures::read(&dir.path().join("nowhere"), SIZE, None).map(|_| ()).unwrap_err();
    assert!(missing.to_string().contains("nowhere"), "{missing}");
}

#[test]
fn batches_follow_from_seed_and_step_and_an_epoch_sees_every_picture_once() {
    let dir = tempfile::tempdir().unwrap();
    draw_pictures(dir.path(), 12);
    let pictures = Pictures::read(dir.path(), SIZE, None).unwrap();
    let sampler = |balanced| Sampler::new(&pictures, 5, 4, true, balanced);
    for balanced in [false, true] {
        let straight: Vec<Vec<Draw>> = (0..6).scan(sampler(balanced), |s, step| Some(s.draw(step))).collect();
        assert_eq!(straight[4], sampler(balanced).draw(4));
        assert_ne!(straight[0], straight[1]);
    }
    let mut epoch: Vec<usize> =
        (0..3).scan(sampler(false), |s, step| Some(s.draw(step))).flatten().map(|d| d.index).collect();
    epoch.sort_unstable();
    assert_eq!(epoch, (0..12).collect::<Vec<_>>());
}

#[test]
fn mirroring_turns_rows_around_and_planes_cover_minus_one_to_one() {
    let dir = tempfile::tempdir().unwrap();
    let mut image = RgbImage::from_pixel(8, 8, Rgb([0, 0, 0]));
    image.put_pixel(0, 3, Rgb([255, 0, 255]));
    fs::create_dir(dir.path().join("only")).unwrap();
    fs::write(dir.path().join("only/a.png"), picture::encode_png(&image).unwrap()).unwrap();
    let pictures = Pictures::read(dir.path(), 8, None).unwrap();
    let planes = |mirrored| {
        let mut out = vec![0.0; 3 * 64];
        pictures.planes(Draw { index: 0, mirrored }, &mut out);
        out
    };
    let (straight, mirrored) = (planes(false), planes(true));
    assert_eq!((straight[24], straight[31], straight[64 + 24]), (1.0, -1.0, -1.0));
    assert_eq!((mirrored[24], mirrored[31]), (-1.0, 1.0));
    assert_eq!(eval::psnr(&pictures.rgb(0), &image), f64::INFINITY);
}
