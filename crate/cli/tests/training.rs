//! Trains, resumes, packs and reports as a person does, with the real program, on a machine without a GPU driver.

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::{name, program, refused, sentence, succeeded, text};
use image::{Rgb, RgbImage};
use serde_json::Value;

/// Class folders as people name them.
const CLASSES: [&str; 2] = ["My Cats", "Dogs_2"];
/// Sizes at which a run of a few updates takes seconds.
const SMALL: [&str; 6] = ["--encoder", "32x1x2", "--decoder", "32x1x2", "--batch", "4"];

/// The program where no driver answers: what is computed must not depend on one.
fn without_gpu(arguments: &[&str]) -> Command {
    let mut command = program(arguments);
    for variable in ["VK_DRIVER_FILES", "VK_ICD_FILENAMES", "__EGL_VENDOR_LIBRARY_FILENAMES"] {
        command.env(variable, "/dev/null");
    }
    command
}

/// Runs it to its end; returns what it said.
fn trained(arguments: &[&str]) -> String {
    text(&succeeded(&mut without_gpu(arguments)).stderr)
}

/// A folder with pictures of 64 pixels: `train/` and `held-out/` of two classes.
fn pictures(at: &Path) -> PathBuf {
    let data = at.join("data");
    for (split, count) in [("train", 6), ("held-out", 2)] {
        for (class, folder) in CLASSES.iter().enumerate() {
            let folder = data.join(split).join(folder);
            fs::create_dir_all(&folder).expect("creates");
            for number in 0..count {
                let picture = RgbImage::from_fn(64, 64, |x, y| {
                    let inside = (x + 3 * number) % 32 < 16 && (y / (8 + 8 * class as u32)).is_multiple_of(2);
                    if inside { Rgb([200, 40 * number as u8, 30]) } else { Rgb([20, 90, (x * 4) as u8]) }
                });
                picture.save(folder.join(format!("{split}-{number}.png"))).expect("saves");
            }
        }
    }
    data
}

#[test]
fn every_recipe_for_small_pictures_trains_resumes_packs_and_samples() {
    let dir = tempfile::tempdir().expect("a directory");
    let data = pictures(dir.path());
    let tokenizer = |recipe: &str| dir.path().join(recipe);
    let from = tokenizer("toon-64");
    // At a side of 64 or more the networks beside the tokenizer take longer than it does.
    let full = ["--adversarial-start", "1", "--perceptual-warmup", "0", "--teacher", "efficientnet=0"];
    let second = ["--from", name(&from), "--batch", "4", "--adversarial-start", "1"];
    let recipes: [(&str, &[&str]); 5] = [
        ("toon-64", &SMALL),
        ("toon-64-plain", &SMALL),
        ("toon-64-kl", &SMALL),
        ("toon-64-full", &[&SMALL[..], &full].concat()),
        ("toon-64-decoder", &second),
    ];
    for (recipe, more) in recipes {
        let out = tokenizer(recipe);
        let mut arguments = vec!["train", "tokenizer", "--recipe", recipe, "--data", name(&data), "--out", name(&out)];
        arguments.extend(more);
        arguments.extend(["--hog-decoder", "16x1x1", "--steps", "2"]);
        let said = trained(&arguments);
        assert!(said.contains("step 2: saved in"), "{recipe}: {said}");
        let said = trained(&["train", "tokenizer", "--out", name(&out), "--resume", "--steps", "4"]);
        assert!(said.contains("step 4: saved in"), "{recipe}, resumed: {said}");
    }

    let log = fs::read_to_string(tokenizer("toon-64-full").join("log.jsonl")).expect("a log");
    for term in ["hog", "efficientnet", "perceptual", "generator", "adaptive", "disc_loss"] {
        assert!(log.contains(&format!("\"{term}\"")), "{term} is not in {log}");
    }

    let generator = dir.path().join("sit");
    let mut arguments = vec!["train", "diffusion", "--data", name(&data), "--tokenizer", name(&from)];
    arguments.extend(["--out", name(&generator), "--size", "32x1x2", "--batch", "4", "--steps", "2"]);
    assert!(trained(&arguments).contains("step 2: saved in"));
    let said = trained(&["train", "diffusion", "--out", name(&generator), "--resume", "--steps", "4"]);
    assert!(said.contains("step 4: saved in"), "{said}");

    let said = trained(&["train", "report", name(&generator)]);
    let html = fs::read_to_string(said.trim_end()).expect("the report is where it says");
    assert!(html.contains("<svg") && html.contains("data:image/png;base64,"), "curves and grids");

    let model = dir.path().join("model");
    // The second stage's decoder goes with a generator that learned the first stage's latents.
    let decoder = tokenizer("toon-64-decoder");
    let mut arguments = vec!["train", "pack", "--tokenizer", name(&decoder), "--generator", name(&generator)];
    arguments.extend(["--name", "mine", "--license", "CC0-1.0", "--out", name(&model)]);
    trained(&arguments);
    let manifest: Value = serde_json::from_slice(&fs::read(model.join("manifest.json")).expect("reads")).expect("JSON");
    assert_eq!(manifest["license"], "CC0-1.0");
    let classes = manifest["classes"].as_array().expect("a list");
    // People see the folders' names, perhaps with spaces where a name has an underscore.
    let readable = |label: &str| label.replace('_', " ");
    let labels: BTreeSet<String> = classes.iter().filter_map(|class| class["label"].as_str()).map(readable).collect();
    assert_eq!(labels, CLASSES.map(readable).into());

    let out = dir.path().join("cat.png");
    for class in ["My Cats", "dogs-2", "1"] {
        let mut arguments = vec!["sample", "--class", class, "--steps", "2", "--device", "cpu"];
        arguments.extend(["--model", name(&model), "--out", name(&out)]);
        trained(&arguments);
        assert_eq!(image::open(&out).expect("a PNG").width(), 64, "{class}");
    }

    let size = |model: &Path| fs::metadata(model.join("sit/model.safetensors")).expect("weights").len();
    let int8 = dir.path().join("int8");
    let mut arguments = vec!["train", "pack", "--tokenizer", name(&decoder), "--generator", name(&generator)];
    arguments.extend(["--license", "CC0-1.0", "--storage", "int8", "--out", name(&int8)]);
    trained(&arguments);
    assert!(size(&int8) < size(&model), "{} of {} bytes", size(&int8), size(&model));
    let sample = ["sample", "--class", "1", "--steps", "2", "--device", "cpu"];
    trained(&[&sample[..], &["--model", name(&int8), "--out", name(&out)]].concat());
}

#[test]
fn a_run_on_two_devices_in_bf16_says_so_and_goes_on_with_both() {
    let dir = tempfile::tempdir().expect("a directory");
    let (data, out) = (pictures(dir.path()), dir.path().join("run"));
    let mut arguments = vec!["train", "tokenizer", "--data", name(&data), "--out", name(&out), "--steps", "2"];
    arguments.extend(SMALL);
    arguments.extend(["--hog-decoder", "16x1x1", "--workers", "1", "--devices", "cpu,cpu", "--precision", "bf16"]);
    let both = "on CPU (SIMD) (flex) and CPU (SIMD) (flex)";
    let said = trained(&arguments);
    assert!(said.contains(both), "{said}");
    let said = trained(&["train", "tokenizer", "--out", name(&out), "--resume", "--steps", "4"]);
    assert!(said.contains(both) && said.contains("step 4: saved in"), "{said}");
    let run: Value = serde_json::from_slice(&fs::read(out.join("run.json")).expect("reads")).expect("JSON");
    assert_eq!((run["devices"].to_string(), run["precision"].as_str()), (r#"["cpu","cpu"]"#.to_owned(), Some("bf16")));

    let recipe = dir.path().join("mine.toml");
    fs::write(&recipe, "base = \"toon-64\"\n[training]\ndevices = [\"cpu\", \"cpu\"]\nbatch = 6\n").expect("writes");
    let other = dir.path().join("other");
    let mut arguments = vec!["train", "tokenizer", "--recipe", name(&recipe), "--data", name(&data)];
    arguments.extend(["--out", name(&other), "--steps", "1"]);
    assert!(refused(&arguments).contains("2 devices with so many threads each can share 6 pictures"));
    arguments.extend(["--device", "cpu,abacus"]);
    assert!(refused(&arguments).contains("The setting device is abacus"));
    assert!(!other.exists(), "a run that was refused left its folder");
}

#[test]
fn a_run_that_cannot_be_is_refused_before_a_device_is_opened() {
    let dir = tempfile::tempdir().expect("a directory");
    let (data, out) = (pictures(dir.path()), dir.path().join("run"));
    let recipe = dir.path().join("mine.toml");
    fs::write(&recipe, "base = \"toon-64\"\n[training]\nbatch = \"many\"\n").expect("writes");
    let (absent, junk) = (dir.path().join("absent"), dir.path().join("junk"));
    fs::write(&junk, "no weights").expect("writes");
    let (no_teacher, bad_teacher) = (format!("dino={}", name(&absent)), format!("clip={}", name(&junk)));
    let cases: [(&[&str], &str); 33] = [
        (&["--steps", "-5"], "The setting steps is -5, but it must be a positive number."),
        (&["--steps", "0"], "The setting steps is 0, but it must be a positive number."),
        (&["--lr", "-1"], "The setting lr is -1, but it must be a positive number."),
        (&["--minutes", "-1"], "The setting minutes is -1, but it must be a positive number."),
        (&["--batch", "-1"], "The setting batch is -1, but it must be a positive number."),
        (&["--workers", "-1"], "The setting workers is -1, but it must be a divisor of the batch."),
        (&["--ema", "-1"], "The setting ema is -1, but it must be at least 0 and below 1."),
        (&["--seed", "-1"], "The setting seed is -1, but it must be a number from 0 to"),
        (&["--encoder", "-1x2x3"], "The setting encoder is -1x2x3, but it must be width, blocks and heads"),
        (&["--mask", "0.4"], "The setting mask is 0.4, but it must be two shares"),
        (&["--mask", "-0.4x-0.6"], "enc_token_drop"),
        (&["--image-size", "33"], "image_size"),
        (&["--precision", "f16"], "The setting precision is f16, but it must be f32 or bf16."),
        (&["--start", "magic"], "The setting start is magic, but it must be linear, spatial or official."),
        (&["--recipe", "toon-63"], "There is no recipe toon-63: it is neither a file nor one of toon-128, "),
        (&["--recipe", name(&recipe)], "Line 3 of the recipe "),
        (&["--unknown"], "see maetok train tokenizer --help."),
        (&["--perceptual", "vgg"], "The setting perceptual is vgg, but it must be none, efficientnet or lpips."),
        (&["--perceptual", "lpips"], "The setting perceptual is lpips without its weights"),
        (&["--perceptual", "lpips", "--perceptual-file", name(&junk)], "junk cannot serve as LPIPS with VGG16"),
        (&["--perceptual-weight", "-1"], "The setting perceptual-weight is -1"),
        (&["--adversarial", "stylegan"], "The setting adversarial is stylegan, but it must be none, patch or dino."),
        (&["--adversarial", "dino"], "The setting adversarial is dino without its trunk"),
        (&["--adversarial", "dino", "--adversarial-trunk", name(&absent)], "absent could not be read"),
        (&["--adversarial", "patch", "--adversarial-start", "9", "--steps", "9"], "it must be below 9"),
        (&["--adversarial", "patch", "--adversarial-lr", "0"], "The setting adversarial-lr is 0"),
        (&["--teacher", "hog"], "The setting teacher is hog, but it must be efficientnet, efficientnet=STAGE"),
        (&["--teacher", "efficientnet=7"], "The setting stage is 7, but it must be from 0 to 6."),
        (&["--teacher", &no_teacher], "absent could not be read"),
        (&["--teacher", &bad_teacher], "junk cannot serve as the clip teacher for 128 px"),
        (&["--drop-path", "1"], "The setting drop-path is 1, but it must be at least 0 and below 1."),
        (&["--recipe", "toon-64-decoder"], "--from is missing"),
        (&["--from", name(&absent)], "of --from does not exist"),
    ];
    for (more, says) in cases {
        let mut arguments = vec!["train", "tokenizer", "--data", name(&data), "--out", name(&out)];
        arguments.extend(more);
        let sentence = refused(&arguments);
        assert!(sentence.contains(says), "{more:?}: {sentence}");
        assert!(!out.exists(), "{more:?} made the run's folder");
    }
    // There is no GPU either, but that would be the smaller news.
    let nowhere = dir.path().join("nowhere");
    let arguments = ["train", "tokenizer", "--data", name(&nowhere), "--out", name(&out), "--device", "wgpu"];
    let output = without_gpu(&arguments).output().expect("starts");
    assert!(sentence(&arguments, &output).contains("of --data does not exist"));
    let arguments = ["train", "tokenizer", "--data", name(&data), "--out", name(&out), "--device", "wgpu"];
    let output = without_gpu(&arguments).output().expect("starts");
    assert!(text(&output.stderr).contains("There is no GPU adapter that wgpu can use here"), "{output:?}");
    assert_eq!(output.status.code(), Some(2));
    let arguments = ["train", "diffusion", "--data", name(&data), "--tokenizer", name(&data), "--out", name(&out)];
    assert!(refused(&arguments).contains("holds no tokenizer"));
}

#[test]
fn what_belongs_to_the_beginning_of_a_run_is_refused_with_resume() {
    let resumed = |more: &[&str]| refused(&[&["train", more[0], "--out", "run", "--resume"], &more[1..]].concat());
    let says = |flag: &str| format!("{flag} belongs to the beginning of a run: leave it out with --resume.");
    assert_eq!(resumed(&["tokenizer", "--recipe", "toon-64"]), says("--recipe"));
    assert_eq!(resumed(&["tokenizer", "--start", "linear"]), says("--start"));
    assert_eq!(resumed(&["tokenizer", "--from", "another"]), says("--from"));
    assert_eq!(resumed(&["tokenizer", "--teacher", "efficientnet"]), says("--teacher"));
    assert_eq!(resumed(&["tokenizer", "--adversarial", "patch"]), says("--adversarial"));
    for (flag, value) in [
        ("--image-size", "32"),
        ("--patch-size", "8"),
        ("--latent", "8x8"),
        ("--encoder", "32x1x2"),
        ("--decoder", "32x1x2"),
        ("--hog-decoder", "32x1x2"),
    ] {
        assert_eq!(resumed(&["tokenizer", flag, value]), says(flag));
    }
    for (flag, value) in [("--recipe", "xl"), ("--size", "32x1x2"), ("--path", "cosine")] {
        assert_eq!(resumed(&["diffusion", flag, value]), says(flag));
    }
}

#[test]
fn a_run_taken_for_one_of_another_kind_and_folders_that_are_not_there_are_refused_by_name() {
    let dir = tempfile::tempdir().expect("a directory");
    let data = pictures(dir.path());
    let [tokenizer, generator, model, other] = ["a", "g", "m", "o"].map(|name| dir.path().join(name));
    let mut arguments = vec!["train", "tokenizer", "--recipe", "toon-64", "--data", name(&data), "--out"];
    arguments.extend([name(&tokenizer), "--hog", "0", "--steps", "1"]);
    arguments.extend(SMALL);
    trained(&arguments);
    let mut arguments = vec!["train", "diffusion", "--data", name(&data), "--tokenizer", name(&tokenizer)];
    arguments.extend(["--out", name(&generator), "--size", "32x1x2", "--batch", "4", "--steps", "1"]);
    trained(&arguments);

    let is_generator = format!("{} is the run of a generator, not of a tokenizer.", name(&generator));
    let is_tokenizer = format!("{} is the run of a tokenizer, not of a generator.", name(&tokenizer));
    let pack = |tokenizer: &Path, more: &[&str]| {
        let out = ["--license", "CC0-1.0", "--out", name(&model)];
        refused(&[&["train", "pack", "--tokenizer", name(tokenizer)], &out[..], more].concat())
    };
    assert_eq!(pack(&generator, &[]), is_generator);
    assert_eq!(pack(&tokenizer, &["--generator", name(&tokenizer)]), is_tokenizer);
    assert_eq!(refused(&["train", "tokenizer", "--out", name(&generator), "--resume"]), is_generator);
    assert_eq!(refused(&["train", "diffusion", "--out", name(&tokenizer), "--resume"]), is_tokenizer);
    for flag in ["--data", "--thumbnails", "--generator"] {
        assert_eq!(pack(&tokenizer, &[flag, "nowhere"]), format!("The folder nowhere of {flag} does not exist."));
    }
    let resumed = refused(&["train", "tokenizer", "--out", name(&tokenizer), "--resume", "--hog", "1"]);
    assert!(resumed.starts_with("The setting hog is 1, but it must be 0"), "{resumed}");
    let mut arguments = vec!["train", "tokenizer", "--data", name(&data), "--out", name(&other)];
    arguments.extend(["--device", "cpu,"]);
    assert!(refused(&arguments).starts_with("The setting device is “”, but it must be "));
    assert!(!other.exists() && !model.exists());
}

#[test]
fn nobody_but_the_packer_says_what_the_licence_is() {
    assert!(refused(&["train", "pack", "--tokenizer", "run", "--out", "model"]).contains("--license"));
    refused(&["train", "pack", "--tokenizer", "run", "--out", "model", "--license", ""]);
}
