//! What the measures say of features and pictures of which it is known what they must say.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use burn::tensor::Device;
use image::{Rgb, RgbImage, imageops};

use super::novelty::{Distances, compare};
use super::samples::{self, Against, Set};
use super::verdict::{Reference, Seen};
use super::{Data, Judge, Mix, Told, pixels, reconstruction, sweep};
use crate::checkpoint::{self, ClassEntry, Folder, Manifest, ModelFiles, Part, Storage, write_folder};
use crate::diffusion::SitConfig;
use crate::image::encode_png;
use crate::pipeline::{Pipeline, SampleRequest};
use crate::rng::Rng;
use crate::sampler::SamplerKind;
use crate::tokenizer::{TokenizerConfig, VitSize};

const SIZE: u32 = 16;
const WIDTH: usize = 8;
/// Folders as people name them; the model's names are plainer.
const FOLDERS: [&str; 2] = ["Bars", "My_Rings"];

fn silent(_: Told) {}

fn groups(classes: usize) -> Vec<(String, Vec<bool>)> {
    vec![("all".to_owned(), vec![true; classes])]
}

/// `count` rows around three far centres, in turn.
fn blobs(count: usize, seed: u64) -> Seen {
    let mut rng = Rng::new(seed, 0);
    let labels: Vec<usize> = (0..count).map(|at| at % 3).collect();
    let row =
        |label: &usize| (0..WIDTH).map(|i| if i == *label { 9.0 } else { 0.0 } + rng.normal()).collect::<Vec<f64>>();
    Seen { features: labels.iter().flat_map(row).map(|value| value as f32).collect(), labels }
}

fn reference(training: &Seen, against: Option<&Seen>) -> Reference {
    let names = ["a", "b", "c"].map(str::to_owned);
    let groups = [groups(3), vec![("first".to_owned(), vec![true, false, false])]].concat();
    Reference::new(training.clone(), against, &names, &groups, &Device::flex())
}

#[test]
fn training_pictures_themselves_are_perfect_and_at_distance_zero() {
    let training = blobs(300, 1);
    let (verdict, distances) = reference(&training, None).judge(&training);
    assert!(verdict.frechet.unwrap() < 1e-6, "{verdict:?}");
    assert_eq!((verdict.precision, verdict.recall, verdict.pictures), (1.0, 1.0, 300));
    assert_eq!((verdict.accuracy.overall, verdict.accuracy.mean_of_classes), (1.0, 1.0));
    assert!(distances.iter().all(|distance| *distance == 0.0));
}

#[test]
fn shuffled_labels_leave_an_accuracy_of_chance_and_each_class_its_own() {
    let training = blobs(300, 1);
    let mut samples = blobs(900, 2);
    let mut rng = Rng::new(3, 0);
    samples.labels.iter_mut().for_each(|label| *label = rng.below(3));
    let (accuracy, _) = reference(&training, None).accuracy(&samples);
    assert!((accuracy.overall - 1.0 / 3.0).abs() < 0.06, "{accuracy:?}");

    // The second class is always taken for the first: one class of three is lost.
    let mut samples = blobs(30, 4);
    for row in samples.features.chunks_exact_mut(WIDTH) {
        if row[1] > 4.0 {
            row.swap(0, 1);
        }
    }
    samples.labels.extend([0; 30]);
    samples.features.extend(blobs(90, 5).rows(&(0..90).step_by(3).collect::<Vec<_>>()).features);
    let (accuracy, _) = reference(&training, None).accuracy(&samples);
    assert!((accuracy.overall - 50.0 / 60.0).abs() < 1e-9 && (accuracy.mean_of_classes - 2.0 / 3.0).abs() < 1e-9);
    let of = |shares: &[super::verdict::Share]| shares.iter().map(|s| (s.pictures, s.share)).collect::<Vec<_>>();
    assert_eq!(of(&accuracy.classes), [(40, 1.0), (10, 0.0), (10, 1.0)]);
    assert_eq!(of(&accuracy.groups), [(60, 50.0 / 60.0), (40, 1.0)]);
}

#[test]
fn noise_is_far_away_and_new_pictures_are_near_whichever_reference_is_asked() {
    let (training, held_out) = (blobs(600, 1), blobs(300, 2));
    let noise = Seen {
        features: Rng::new(9, 0).normals(300 * WIDTH).iter().map(|v| 20.0 + 5.0 * *v as f32).collect(),
        labels: held_out.labels.clone(),
    };
    for against in [None, Some(&held_out)] {
        let reference = reference(&training, against);
        let ((new, _), (bad, _)) = (reference.judge(&blobs(300, 3)), reference.judge(&noise));
        let (near, far) = (new.frechet.unwrap(), bad.frechet.unwrap());
        assert!(near < 1.0 && far > 1000.0, "{near} and {far}");
        assert!(new.precision > 0.8 && new.recall > 0.8, "{new:?}");
        assert_eq!((bad.precision, bad.recall), (0.0, 0.0));
    }
    let itself = reference(&training, Some(&held_out)).frechet(&held_out);
    assert!(itself < 1e-6, "{itself}");
}

/// Distances of pictures of which a share is nearer than natural, by features and by pixels.
fn distances(count: usize, near_features: usize, near_pixels: usize, seed: u64) -> Distances {
    let mut rng = Rng::new(seed, 0);
    let mut draw = |near: usize| (0..count).map(|at| if at < near { 0.1 } else { 5.0 + rng.uniform() }).collect();
    Distances {
        features: draw(near_features),
        pixels: draw(near_pixels),
        labels: (0..count).map(|at| at % 2).collect(),
    }
}

#[test]
fn copies_are_flagged_by_either_distance_and_by_group() {
    let held_out = distances(400, 0, 0, 1);
    let groups = [groups(2), vec![("odd".to_owned(), vec![false, true])]].concat();
    let of = |features, pixels| compare(&distances(400, features, pixels, 2), &held_out, &groups);
    let new = of(0, 0);
    assert_eq!(new.iter().map(|n| (n.group.as_str(), n.pictures)).collect::<Vec<_>>(), [("all", 400), ("odd", 200)]);
    assert!(new.iter().all(|n| !n.copies && n.nearer_by_features < 0.031 && n.nearer_by_pixels < 0.031), "{new:?}");
    for (features, pixels) in [(0, 40), (40, 0), (40, 40)] {
        let copied = of(features, pixels);
        assert!(copied.iter().all(|n| n.copies), "{copied:?}");
        for (near, share) in [(features, copied[0].nearer_by_features), (pixels, copied[0].nearer_by_pixels)] {
            assert!((share - near as f64 / 400.0).abs() < 0.031, "{near} of 400, but {share}");
        }
    }
    // 0.01 + 3 sqrt(0.0099 (1/400 + 1/400))
    assert!((new[0].allowed - 0.031107).abs() < 1e-5, "{}", new[0].allowed);
    // Fewer than a hundred held-out pictures of a group say nothing of it.
    assert_eq!(compare(&distances(50, 0, 0, 3), &distances(50, 0, 0, 4), &groups).len(), 1);
}

/// Bars or rings in random places and colours.
fn picture(class: usize, rng: &mut Rng) -> RgbImage {
    let mut colour = || Rgb([0, 1, 2].map(|_| rng.below(256) as u8));
    let (ground, ink) = (colour(), colour());
    let (x, y) = (5.0 + 6.0 * rng.uniform(), 5.0 + 6.0 * rng.uniform());
    RgbImage::from_fn(SIZE, SIZE, |column, row| {
        let (dx, dy) = (f64::from(column) - x, f64::from(row) - y);
        let inside = if class == 0 { dx.abs() < 2.0 } else { (dx.hypot(dy) - 4.0).abs() < 1.2 };
        if inside { ink } else { ground }
    })
}

fn write(folder: &Path, number: usize, picture: &RgbImage) {
    fs::create_dir_all(folder).unwrap();
    fs::write(folder.join(format!("{number:03}.png")), encode_png(picture).unwrap()).unwrap();
}

/// A data folder, and a model folder with random weights.
struct Room {
    _dir: tempfile::TempDir,
    data: PathBuf,
    pipeline: Pipeline,
    judge: Judge,
}

impl Room {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        let mut rng = Rng::new(5, 0);
        for (split, count) in [("train", 40), ("held-out", 12)] {
            for (class, folder) in FOLDERS.iter().enumerate() {
                (0..count).for_each(|at| write(&data.join(split).join(folder), at, &picture(class, &mut rng)));
            }
        }
        let about = r#"[{"name":"Bars","group":"Straight"},{"name":"My_Rings","group":"Round"}]"#;
        fs::write(data.join("classes.json"), about).unwrap();
        let model = dir.path().join("model");
        write_model(&model);
        let device = Device::flex();
        let pipeline = Pipeline::load(&ModelFiles::from_folder(&model).unwrap(), &device).unwrap();
        let weights =
            concat!(env!("CARGO_MANIFEST_DIR"), "/../../assets/networks/efficientnet-lite0/model.safetensors");
        let judge = Judge::load(&fs::read(weights).unwrap(), 64, &device).unwrap();
        Self { _dir: dir, data, pipeline, judge }
    }

    fn data(&self) -> Data {
        Data::read(&self.data, SIZE as usize).unwrap()
    }

    fn samples(&self, settings: &samples::Settings) -> samples::Report {
        samples::measure(&self.pipeline, &self.judge, &self.data(), settings, &silent).unwrap()
    }
}

fn write_model(at: &Path) {
    let device = Device::flex();
    let size = VitSize { width: 32, depth: 1, heads: 2 };
    let config = TokenizerConfig {
        image_size: SIZE as usize,
        patch_size: 8,
        latent_tokens: 4,
        latent_channels: 4,
        encoder: size,
        decoder: size,
        ..TokenizerConfig::base_128(SIZE as usize)
    };
    let sit = SitConfig { tokens: 4, channels: 4, width: 32, depth: 1, heads: 2, classes: 2, ..SitConfig::xl() };
    // Fresh weights are zero where it matters, and then nothing depends on the noise.
    let random = |shapes: Vec<(String, Vec<usize>)>| -> BTreeMap<String, (Vec<usize>, Vec<f32>)> {
        let mut rng = Rng::new(1, 0);
        let mut values = |n: usize| rng.normals(n).iter().map(|v| 0.3 * *v as f32).collect();
        shapes.into_iter().map(|(name, shape)| (name, (shape.clone(), values(shape.iter().product())))).collect()
    };
    let (tokenizer, generator) = (config.init(&device).unwrap(), sit.init(&device).unwrap());
    let class = |name: &str| ClassEntry {
        name: name.to_owned(),
        label: name.to_owned(),
        group: String::new(),
        thumbnail: None,
    };
    let mut manifest = Manifest::draft("tiny", SIZE as usize);
    // Not in the folders' order.
    manifest.classes = vec![class("my-rings"), class("bars")];
    let weights = checkpoint::save(&tokenizer, Storage::F32, &random(checkpoint::shapes(&tokenizer))).unwrap();
    let tokenizer = Part { config: config.to_json(), weights };
    let weights = checkpoint::save(&generator, Storage::F32, &random(checkpoint::shapes(&generator))).unwrap();
    let generator = Some(Part { config: sit.to_json(), weights });
    let folder = Folder { manifest, tokenizer, generator, card: "# Tiny\n".to_owned(), extra: BTreeMap::new() };
    write_folder(at, &folder).unwrap();
}

fn settings() -> samples::Settings {
    samples::Settings {
        samples: Some(20),
        sampling: SampleRequest { seed: 3, steps: 3, guidance: 3.0, ..SampleRequest::default() },
        fit: 1000,
        mix: Mix::HeldOut,
        against: Against::Training,
        pictures: None,
        keep: None,
    }
}

fn names(sets: &[Set]) -> Vec<&str> {
    sets.iter().map(|set| set.name.as_str()).collect()
}

#[test]
fn a_copy_or_its_mirror_image_is_at_distance_zero_by_pixels() {
    let room = Room::new();
    let train = room.data().train;
    let mut rng = Rng::new(77, 0);
    let queries = [train.rgb(70), imageops::flip_horizontal(&train.rgb(3)), picture(0, &mut rng)];
    let got = pixels::nearest(3, |at| queries[at].clone(), &train, &Device::flex(), &silent);
    assert!(got[0] < 1e-3 && got[1] < 1e-3 && got[2] > 5.0, "{got:?}");

    // One step of 255 everywhere is a distance of 1.
    let mut lighter = train.rgb(70);
    lighter.iter_mut().for_each(|value| *value = if *value < 255 { *value + 1 } else { 254 });
    let got = pixels::nearest(1, |_| lighter.clone(), &train, &Device::flex(), &silent);
    assert!((got[0] - 1.0).abs() < 1e-3, "{got:?}");
}

#[test]
fn training_pictures_handed_in_as_samples_are_perfect_and_flagged_as_copies() {
    let room = Room::new();
    let report = room.samples(&samples::Settings { pictures: Some(room.data.join("train")), ..settings() });
    assert_eq!(names(&report.sets), ["held-out", "held-out, reconstructed", "training, reconstructed", "pictures"]);
    assert_eq!((report.reference, report.training, &report.sampling), (80, 80, &None));
    let (held_out, given) = (&report.sets[0].verdict, &report.sets[3].verdict);
    assert!(given.frechet.unwrap() < 1e-6 && held_out.frechet.unwrap() > 0.01, "{given:?}");
    assert_eq!((given.precision, given.recall, given.pictures), (1.0, 1.0, 80));
    assert!(given.accuracy.overall > 0.9 && held_out.accuracy.overall > 0.8, "{:?}", held_out.accuracy);
    let near = &report.sets[3].nearness[0];
    assert!(near.copies && near.nearer_by_features == 1.0 && near.nearer_by_pixels == 1.0, "{near:?}");
    assert_eq!(near.features.median, 0.0);
    for itself in &report.sets[..2] {
        assert!(!itself.nearness[0].copies, "held-out pictures beside their like: {itself:?}");
    }
    let json = serde_json::to_value(&report).unwrap();
    assert!(json["sets"][3]["frechet"].is_number() && json["sets"][3]["nearness"][0]["copies"] == true, "{json}");
}

#[test]
fn samples_of_random_weights_are_far_away_and_kept_ones_are_judged_alike() {
    let room = Room::new();
    let kept = room.data.join("kept");
    let report = room.samples(&samples::Settings { keep: Some(kept.clone()), ..settings() });
    assert_eq!(names(&report.sets)[3..], ["guidance 1", "guidance 3"]);
    let floor = report.sets[0].verdict.frechet.unwrap();
    for set in &report.sets[3..] {
        let verdict = &set.verdict;
        assert!(verdict.frechet.unwrap() > 4.0 * floor && verdict.precision < 0.2, "{floor}, but {verdict:?}");
        assert_eq!(verdict.accuracy.classes.iter().map(|class| class.pictures).collect::<Vec<_>>(), [10, 10]);
        // In a class of the model's, not of the folders', order.
        let again = samples::Settings { pictures: Some(kept.join(set.name.replace(' ', "-"))), ..settings() };
        let again = room.samples(&again);
        let (got, want) = (&again.sets[3].verdict, verdict);
        assert!((got.frechet.unwrap() / want.frechet.unwrap() - 1.0).abs() < 1e-6, "{got:?}, not {want:?}");
        assert_eq!((got.precision, got.recall, &got.accuracy), (want.precision, want.recall, &want.accuracy));
    }
    assert_ne!(report.sets[3].verdict, report.sets[4].verdict, "guidance does something");
    let first = kept.join("guidance-3").join(FOLDERS[0]).join("00000003.png");
    let want = SampleRequest { class: 1, guidance: 3.0, seed: 3, steps: 3, ..SampleRequest::default() };
    let want = pollster::block_on(room.pipeline.sample(want, |_| {})).unwrap();
    let got = image::open(first).unwrap().to_rgb8();
    assert!(got.iter().zip(want.iter()).all(|(a, b)| a.abs_diff(*b) <= 1), "the picture of its seed and class");
}

#[test]
fn a_batch_of_samples_holds_the_pictures_of_each() {
    let room = Room::new();
    for sampler in [SamplerKind::Euler, SamplerKind::Heun, SamplerKind::Sde] {
        let request = |at: usize| SampleRequest {
            class: at % 2,
            seed: 40 + at as u64,
            steps: 4,
            sampler,
            interval: (0.2, 0.8),
            ..SampleRequest::default()
        };
        let requests: Vec<SampleRequest> = (0..5).map(request).collect();
        let batch = pollster::block_on(room.pipeline.sample_many(&requests)).unwrap();
        for (request, got) in requests.into_iter().zip(batch) {
            let want = pollster::block_on(room.pipeline.sample(request.clone(), |_| {})).unwrap();
            let worst = got.iter().zip(want.iter()).map(|(a, b)| a.abs_diff(*b)).max().unwrap();
            assert!(worst <= 1, "{request:?}: off by {worst}");
        }
    }
}

#[test]
fn a_sweep_tries_each_setting_once_on_the_same_samples_and_names_the_lowest_distance() {
    let room = Room::new();
    let base = settings();
    let sweep = sweep::Settings {
        samples: 20,
        sampling: base.sampling.clone(),
        scales: vec![1.0, 3.0, 6.0],
        intervals: vec![(0.0, 1.0), (0.0, 1.0), (0.0, 0.5)],
        fit: 1000,
        mix: Mix::HeldOut,
    };
    let told = std::sync::Mutex::new(Vec::new());
    let watch = |what: Told| match what {
        Told::Estimate(seconds) => assert!(seconds > 0.0 && told.lock().unwrap().is_empty(), "first of all"),
        Told::Tried { cell, .. } => told.lock().unwrap().push(cell),
        Told::Progress { .. } => {}
    };
    let report = sweep::measure(&room.pipeline, &room.judge, &room.data(), &sweep, &watch).unwrap();
    let tried: Vec<_> = report.cells.iter().map(|cell| (cell.guidance, cell.interval)).collect();
    assert_eq!(tried, [(1.0, (0.0, 1.0)), (3.0, (0.0, 1.0)), (3.0, (0.0, 0.5)), (6.0, (0.0, 1.0)), (6.0, (0.0, 0.5))]);
    assert_eq!(told.into_inner().unwrap(), report.cells);
    assert!(report.cells.iter().all(|cell| cell.frechet >= report.best.frechet) && report.cells.contains(&report.best));
    // The same noises, labels and reference as another command uses.
    let samples = room.samples(&base);
    for (cell, set) in report.cells.iter().zip(&samples.sets[3..]) {
        assert_eq!(Some(cell.frechet), set.verdict.frechet, "{}", set.name);
        assert_eq!(cell.accuracy, set.verdict.accuracy.overall);
    }
}

#[test]
fn features_in_the_cache_are_used_and_other_pictures_are_not_confused() {
    let room = Room::new();
    let dir = tempfile::tempdir().unwrap();
    let data = room.data();
    let judge = room.judge.with_cache(dir.path().join("cache")).unwrap();
    let (few, more) = (vec![0, 5, 9], vec![0, 5, 10]);
    assert!(!judge.knows(&data.train, &few));
    let first = judge.features_of(&data.train, &few, &silent).unwrap();
    assert!(judge.knows(&data.train, &few) && !judge.knows(&data.train, &more) && !judge.knows(&data.held_out, &few));
    let fail = |_: Told| panic!("nothing has to be looked at again");
    assert_eq!(judge.features_of(&data.train, &few, &fail).unwrap(), first);
    assert_ne!(judge.features_of(&data.train, &more, &silent).unwrap(), first);
}

#[test]
fn reconstructions_are_scored_by_group_and_an_rfid_needs_pictures() {
    let room = Room::new();
    let data = room.data();
    let report = reconstruction::measure(&room.pipeline, &room.judge, &data, 50, &silent).unwrap();
    let groups: Vec<_> = report.rows.iter().map(|row| (row.group.as_str(), row.pictures)).collect();
    assert_eq!(groups, [("all", 24), ("Round", 12), ("Straight", 12)]);
    assert_eq!((report.components, report.fitted_to, report.feature_side), (16, 50, 64));
    let direct: Vec<f64> =
        (0..24).map(|at| pollster::block_on(room.pipeline.reconstruct(&data.held_out.rgb(at))).unwrap().psnr).collect();
    let all = &report.rows[0];
    assert!((all.tokenizer - direct.iter().sum::<f64>() / 24.0).abs() < 1e-9);
    assert!(all.pca > all.mean_picture + 1.0 && all.mean_picture > all.tokenizer, "random weights are worst: {all:?}");
    assert!(all.distance > 0.05 && all.distance < 4.0 && all.rfid.is_none(), "{all:?}");

    let pair = |at: usize| (data.train.rgb(at), data.train.rgb(at));
    let same = room.judge.compare(5, pair, &silent).unwrap();
    assert_eq!((same.distances, same.first), (vec![0.0; 5], same.second));
}

#[test]
fn what_cannot_be_measured_is_refused_in_a_sentence() {
    let room = Room::new();
    let refused = |settings: samples::Settings| {
        let data = room.data();
        samples::measure(&room.pipeline, &room.judge, &data, &settings, &silent).unwrap_err().to_string()
    };
    let sampling = |change: fn(&mut SampleRequest)| {
        let mut settings = settings();
        change(&mut settings.sampling);
        settings
    };
    assert!(refused(samples::Settings { samples: Some(9), ..settings() }).contains("samples is 9"));
    assert!(refused(samples::Settings { fit: 3, ..settings() }).contains("fit is 3"));
    assert!(refused(sampling(|sampling| sampling.guidance = 0.5)).contains("guidance is 0.5"));
    assert!(refused(sampling(|sampling| sampling.steps = 0)).contains("steps is 0"));

    let few = room.data.join("few");
    write(&few.join(FOLDERS[0]), 1, &picture(0, &mut Rng::new(1, 0)));
    let says = refused(samples::Settings { pictures: Some(few.clone()), ..settings() });
    assert!(says.contains("has 1 pictures, but 10 are the fewest"), "{says}");
    write(&few.join("Cats"), 1, &picture(0, &mut Rng::new(1, 0)));
    assert!(refused(samples::Settings { pictures: Some(few), ..settings() }).contains("no class Cats"));

    write(&room.data.join("train/Squares"), 1, &picture(0, &mut Rng::new(1, 0)));
    assert!(refused(settings()).contains("The model tiny has no class Squares"));
    fs::remove_dir_all(room.data.join("held-out")).unwrap();
    let missing = Data::read(&room.data, SIZE as usize).err().unwrap().to_string();
    assert!(missing.contains("has no folder held-out"), "{missing}");
}
