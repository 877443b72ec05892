//! Runs the real program on a small random model, with good input and with every bad input we could think of.

mod common;
#[path = "common/tiny_model.rs"]
mod tiny_model;

use std::fs;
use std::io::{Cursor, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::sync::OnceLock;

use common::{name, program, refused, sentence, succeeded, text};
use image::{DynamicImage, ImageFormat, Rgb, RgbImage};
use maetok::checkpoint::sha256_hex;
use serde_json::Value;
use tiny_model::write_model;

/// A model folder with random weights; the directory lives as long as the test process.
fn model() -> &'static Path {
    static MODEL: OnceLock<(tempfile::TempDir, PathBuf)> = OnceLock::new();
    let (_, path) = MODEL.get_or_init(|| {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("tiny");
        write_model(&path, true);
        (dir, path)
    });
    path
}

/// A copy of the model to be spoilt.
fn copy(dir: &Path) -> PathBuf {
    let to = dir.join("model");
    for file in [
        "manifest.json",
        "README.md",
        "tokenizer/config.json",
        "tokenizer/model.safetensors",
        "sit/config.json",
        "sit/model.safetensors",
    ] {
        let at = to.join(file);
        fs::create_dir_all(at.parent().expect("a parent")).expect("creates");
        fs::copy(model().join(file), at).expect("copies");
    }
    to
}

/// Makes the manifest agree with the files, so that what is wrong in them is found later than by the checksum.
fn sign(model: &Path) {
    let path = model.join("manifest.json");
    let mut json: Value = serde_json::from_slice(&fs::read(&path).expect("reads")).expect("JSON");
    for file in json["files"].as_array_mut().expect("files") {
        let bytes = fs::read(model.join(file["path"].as_str().expect("a path"))).expect("reads");
        file["size"] = bytes.len().into();
        file["sha256"] = sha256_hex(&bytes).into();
    }
    fs::write(path, json.to_string()).expect("writes");
}

/// Changes a number of a network's configuration.
fn configure(model: &Path, file: &str, field: &str, value: u64) {
    let path = model.join(file);
    let mut json: Value = serde_json::from_slice(&fs::read(&path).expect("reads")).expect("JSON");
    *json.pointer_mut(field).expect("the field") = value.into();
    fs::write(path, json.to_string()).expect("writes");
    sign(model);
}

fn run_with(stdin: &[u8], arguments: &[&str]) -> Output {
    let mut child = program(arguments).stdin(Stdio::piped()).spawn().expect("starts");
    // The program may refuse before it reads.
    let _ = child.stdin.take().expect("piped").write_all(stdin);
    child.wait_with_output().expect("ends")
}

fn run(arguments: &[&str]) -> Output {
    run_with(b"", arguments)
}

fn good(arguments: &[&str]) -> Output {
    succeeded(&mut program(arguments))
}

fn sample<'a>(model: &'a str, out: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let mut arguments = vec!["sample", "--device", "cpu", "--model", model, "--out", out];
    let takes_class = !more.contains(&"--class");
    if takes_class {
        arguments.extend(["--class", "lorelei"]);
    }
    if !more.contains(&"--steps") {
        arguments.extend(["--steps", "3"]);
    }
    arguments.extend(more);
    arguments
}

fn encoded(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, format).expect("encodes");
    bytes.into_inner()
}

fn photo() -> DynamicImage {
    DynamicImage::ImageRgb8(RgbImage::from_fn(40, 30, |x, y| Rgb([(x * 6) as u8, (y * 8) as u8, 90])))
}

#[test]
fn the_same_seed_gives_the_same_picture_and_another_gives_another() {
    let dir = tempfile::tempdir().expect("a directory");
    let draw = |file: &str, seed: &str| {
        let out = dir.path().join(file);
        good(&sample(name(model()), name(&out), &["--seed", seed, "--guidance", "1.5"]));
        fs::read(out).expect("written")
    };
    let first = draw("a.png", "7");
    assert_eq!(first, draw("b.png", "7"));
    assert_eq!(image::load_from_memory(&first).expect("a PNG").to_rgb8().dimensions(), (16, 16));
    assert_ne!(first, draw("c.png", "8"));
}

#[test]
fn every_sampler_and_way_to_name_a_class_works() {
    let dir = tempfile::tempdir().expect("a directory");
    let out = dir.path().join("x.png");
    for more in [
        &["--sampler", "heun"][..],
        &["--sampler", "sde", "--interval", "0.1,0.75"],
        &["--class", "2"],
        &["--class", "Big Ears"],
        &["--steps", "1"],
    ] {
        good(&sample(name(model()), name(&out), more));
        fs::remove_file(&out).expect("written");
    }
}

#[test]
fn a_grid_holds_as_many_pictures_and_stdout_takes_the_png() {
    let output = good(&sample(name(model()), "-", &["--grid", "5"]));
    let sheet = image::load_from_memory(&output.stdout).expect("a PNG on stdout");
    assert_eq!((sheet.width(), sheet.height()), (3 * 18 + 2, 2 * 18 + 2));
}

#[test]
fn settings_out_of_range_are_refused() {
    let dir = tempfile::tempdir().expect("a directory");
    let out = dir.path().join("x.png");
    let cases: [(&[&str], &str); 22] = [
        (&["--steps", "0"], "The setting steps is 0, but it must be a number from 1 to 1000."),
        (&["--steps", "-3"], "The setting steps is -3, but it must be a number from 1 to 1000."),
        (&["--steps", "1000000000"], "1000000000"),
        (&["--steps", "99999999999999999999999"], "The setting steps is 99999999999999999999999, but"),
        (&["--seed", "-1"], "The setting seed is -1, but it must be a number from 0 to"),
        (&["--class", "-1"], "The setting class is -1, but it must be a class name or a number from 0 to 2."),
        (&["--class", "1.5"], "from 0 to 2"),
        (&["--guidance", "NaN"], "guidance is NaN"),
        (&["--guidance", "inf"], "guidance is inf"),
        (&["--guidance", "-1"], "The setting guidance is -1, but it must be a number from 1 (off) to 20."),
        (&["--guidance", "much"], "The setting guidance is much, but it must be a number from 1 (off) to 20."),
        (&["--interval", "0.9,0.1"], "interval"),
        (&["--interval", "half"], "The setting interval is half, but it must be two numbers"),
        (&["--sampler", "magic"], "euler, heun or sde"),
        (&["--device", "abacus"], "The setting device is abacus, but it must be auto, cpu"),
        (&["--device", "cuda:x"], "The setting device is cuda:x, but it must be "),
        (&["--weights", "int4"], "The setting weights is int4, but it must be as-shipped, f32 or int8."),
        (&["--grid", "0"], "The setting grid is 0, but it must be from 1 to 400 pictures."),
        (&["--grid", "-2"], "The setting grid is -2, but it must be from 1 to 400 pictures."),
        (&["--class", "lorely"], "the nearest are lorelei"),
        (&["--class", "3"], "from 0 to 2"),
        (&["--colour"], "see maetok sample --help."),
    ];
    for (more, says) in cases {
        let mut arguments = sample(name(model()), name(&out), more);
        if more[0] == "--device" {
            arguments.drain(1..3);
        }
        let sentence = refused(&arguments);
        assert!(sentence.contains(says), "{more:?}: {sentence}");
        let left = fs::read_dir(dir.path()).expect("lists").count();
        assert_eq!(left, 0, "{more:?} left a file");
    }
    assert!(refused(&["sample", "--out", "x.png"]).contains("--class"));
    assert!(refused(&["paint"]).ends_with("see maetok --help."));
    assert!(refused(&["eval", "--data", ".", "--fit", "-1"]).contains("fit is -1"));
    assert!(refused(&["eval", "--data", ".", "--fit", "0"]).contains("fit is 0"));
}

#[test]
fn outputs_that_cannot_be_written_are_refused_before_the_work() {
    let dir = tempfile::tempdir().expect("a directory");
    let folder = dir.path().join("folder.png");
    fs::create_dir(&folder).expect("creates");
    let mut cases = vec![
        (dir.path().join("no/such/folder/x.png"), "does not exist"),
        (dir.path().join("x.jpg"), "must end in .png"),
        (folder, "is a folder"),
    ];
    if cfg!(target_os = "linux") {
        // Not even root can write there.
        cases.extend(["/proc/x.png", "/sys/x.png"].map(|path| (path.into(), "could not be written")));
    }
    for (out, says) in &cases {
        // Before the work: a model that is not there is not found out.
        for arguments in
            [&sample("no-such-model", name(out), &[])[..], &["reconstruct", "no-such.png", "--out", name(out)]]
        {
            let sentence = refused(arguments);
            assert!(sentence.contains(says), "{sentence} does not say {says}");
        }
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_picture_for_a_closed_standard_output_is_refused() {
    let arguments = sample(name(model()), "-", &[]);
    let shell = |redirection: &str| {
        let mut command = std::process::Command::new("sh");
        let script = format!("exec \"$0\" \"$@\" {redirection}");
        command.args(["-c", &script, env!("CARGO_BIN_EXE_maetok")]).args(&arguments).output().expect("a shell")
    };
    assert!(sentence(&arguments, &shell(">&-")).contains("standard output is closed"));
    assert!(sentence(&arguments, &shell("> /dev/full")).contains("The standard output could not be written"));
    assert!(shell("> /dev/null").status.success(), "somebody who throws the picture away knows it");
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    for arguments in [&["inspect", name(model())][..], &["--help"], &sample(name(model()), "-", &[])] {
        let mut child = program(arguments).spawn().expect("starts");
        drop(child.stdout.take());
        let output = child.wait_with_output().expect("ends");
        let stderr = text(&output.stderr);
        assert!(output.status.success() && !stderr.contains("pipe"), "{arguments:?}: {stderr}");
    }
}

#[test]
fn a_model_that_is_not_there_is_named() {
    let dir = tempfile::tempdir().expect("a directory");
    let sentence = refused(&sample(name(dir.path()), "-", &[]));
    assert!(sentence.contains("no manifest.json"), "{sentence}");
    assert!(refused(&["inspect", name(&dir.path().join("nothing"))]).contains("could not be read"));
    assert!(refused(&["inspect", name(dir.path())]).contains("neither a manifest.json nor a safetensors file"));
}

#[test]
fn spoilt_model_folders_are_refused_by_every_command() {
    type Spoil = fn(&Path);
    let cases: [(&str, Spoil); 12] = [
        ("its size is", |model| {
            let at = model.join("sit/model.safetensors");
            let bytes = fs::read(&at).expect("reads");
            fs::write(at, &bytes[..bytes.len() / 2]).expect("writes");
        }),
        ("its SHA-256 is", |model| {
            let at = model.join("sit/model.safetensors");
            let mut bytes = fs::read(&at).expect("reads");
            *bytes.last_mut().expect("bytes") ^= 1;
            fs::write(at, bytes).expect("writes");
        }),
        ("its header claims", |model| {
            let at = model.join("sit/model.safetensors");
            let mut bytes = fs::read(&at).expect("reads");
            let length = bytes.len() as u64;
            bytes[..8].copy_from_slice(&length.to_le_bytes());
            fs::write(at, bytes).expect("writes");
            sign(model);
        }),
        ("cut short", |model| {
            let at = model.join("tokenizer/model.safetensors");
            let bytes = fs::read(&at).expect("reads");
            fs::write(at, &bytes[..bytes.len() - 10]).expect("writes");
            sign(model);
        }),
        ("x_embedder.weight", |model| {
            // The header names the tensor differently now: missing.
            let at = model.join("sit/model.safetensors");
            let bytes = fs::read(&at).expect("reads");
            let name = b"\"x_embedder.weight\"";
            let place = bytes.windows(name.len()).position(|w| w == name).expect("named");
            let mut bytes = bytes;
            bytes[place + 1] = b'y';
            fs::write(at, bytes).expect("writes");
            sign(model);
        }),
        ("mis-shaped: x_embedder.weight (the model has [32, 4], the file [4, 32])", |model| {
            let at = model.join("sit/model.safetensors");
            let mut bytes = fs::read(&at).expect("reads");
            let shape = b"\"shape\":[32,4]";
            let place = bytes.windows(shape.len()).position(|w| w == shape).expect("x_embedder.weight");
            bytes[place..place + shape.len()].copy_from_slice(b"\"shape\":[4,32]");
            fs::write(at, bytes).expect("writes");
            sign(model);
        }),
        ("does not stay inside", |model| {
            let at = model.join("manifest.json");
            let json = fs::read_to_string(&at).expect("reads").replace("\"README.md\"", "\"../README.md\"");
            fs::write(at, json).expect("writes");
        }),
        ("not usable", |model| fs::write(model.join("manifest.json"), "{").expect("writes")),
        ("configuration", |model| {
            fs::write(model.join("tokenizer/config.json"), "{}").expect("writes");
            sign(model);
        }),
        ("depth = 1000000000", |model| configure(model, "sit/config.json", "/depth", 1_000_000_000)),
        ("width = 1099511627776", |model| configure(model, "sit/config.json", "/hidden_size", 1 << 40)),
        ("depth = 1000000000", |model| {
            configure(model, "tokenizer/config.json", "/encoder_size/depth", 1_000_000_000);
        }),
    ];
    for (says, spoil) in cases {
        let dir = tempfile::tempdir().expect("a directory");
        let spoilt = copy(dir.path());
        spoil(&spoilt);
        let sentence = refused(&sample(name(&spoilt), "-", &[]));
        assert!(sentence.contains(says), "{sentence} does not say {says}");
        refused(&["inspect", name(&spoilt)]);
        let picture = dir.path().join("in.png");
        photo().save(&picture).expect("saves");
        refused(&["reconstruct", name(&picture), "--json", "--device", "cpu", "--model", name(&spoilt)]);
    }
}

#[test]
fn a_picture_is_reconstructed_and_scored() {
    let dir = tempfile::tempdir().expect("a directory");
    let (input, out) = (dir.path().join("in.jpg"), dir.path().join("out.png"));
    fs::write(&input, encoded(&photo(), ImageFormat::Jpeg)).expect("writes");
    let arguments = ["reconstruct", name(&input), "--out", name(&out), "--json", "--model", name(model())];
    let output = good(&arguments);
    let json: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert!(json["psnr"].as_f64().is_some_and(|v| v > 0.0) && json["ssim"].is_number(), "{json}");
    assert_eq!((&json["input"]["width"], &json["numbers"]), (&40.into(), &16.into()));
    assert_eq!(image::open(&out).expect("a PNG").width(), 16);

    let piped =
        run_with(&encoded(&photo(), ImageFormat::Png), &["reconstruct", "-", "--out", "-", "--model", name(model())]);
    assert!(piped.status.success(), "{}", text(&piped.stderr));
    assert_eq!(image::load_from_memory(&piped.stdout).expect("a PNG").height(), 16);
}

#[test]
fn pictures_that_cannot_be_used_are_refused() {
    let blank = |w, h| encoded(&DynamicImage::ImageRgb8(RgbImage::new(w, h)), ImageFormat::Png);
    let whole = encoded(&photo(), ImageFormat::Jpeg);
    let cases: [(&str, Vec<u8>); 6] = [
        ("empty", Vec::new()),
        ("not a picture", b"Dear Sir or Madam".to_vec()),
        ("1×1", blank(1, 1)),
        ("20000×10", blank(20_000, 10)),
        ("cut short", whole[..whole.len() / 2].to_vec()),
        ("SVG", b"<svg xmlns='http://www.w3.org/2000/svg'/>".to_vec()),
    ];
    let arguments = ["reconstruct", "-", "--json", "--model", name(model())];
    for (says, bytes) in cases {
        let sentence = sentence(&arguments, &run_with(&bytes, &arguments));
        assert!(sentence.contains(says), "{sentence} does not say {says}");
    }
    assert!(refused(&["reconstruct", "/no/such/picture.png", "--json"]).contains("could not be read"));
    assert!(refused(&["reconstruct", "-", "--json", "--out", "-"]).contains("not both"));
    assert!(refused(&["reconstruct", "-"]).contains("--out"));
}

#[test]
fn notices_reach_the_user() {
    let clear = DynamicImage::ImageRgba8(image::RgbaImage::new(20, 20));
    let arguments = ["reconstruct", "-", "--json", "--model", name(model())];
    let output = run_with(&encoded(&clear, ImageFormat::Png), &arguments);
    let json: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(json["input"]["notices"][0], "transparent: laid on white");
}

#[test]
fn inspect_reads_model_folders_official_folders_and_files() {
    let described = text(&good(&["inspect", name(model())]).stdout);
    for part in ["name: tiny", "1 big-ears", "tokenizer: ", "generator: ", "as F16"] {
        assert!(described.contains(part), "{described}");
    }
    for path in [model().join("sit"), model().join("sit/model.safetensors")] {
        let output = good(&["inspect", name(&path), "--json"]);
        let json: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let network = &json["networks"][0];
        assert_eq!(network["role"], "generator");
        assert!(network["parameters"].as_u64().is_some_and(|n| n > 10_000), "{json}");
        assert_eq!(network["report"].is_null(), path.is_file(), "a report needs a configuration");
    }
}

#[test]
fn inspect_names_every_tensor_that_does_not_fit() {
    let dir = tempfile::tempdir().expect("a directory");
    let spoilt = copy(dir.path());
    configure(&spoilt, "sit/config.json", "/depth", 3);
    let arguments = ["inspect", name(&spoilt)];
    let output = run(&arguments);
    assert!(sentence(&arguments, &output).contains("The weights of the generator do not fit its configuration"));
    let lines = text(&output.stdout);
    let missing = lines.lines().filter(|line| line.starts_with("  missing: blocks.2.")).count();
    assert!(missing > 6, "{lines}");
    assert!(lines.contains(&format!(", {missing} missing")), "{lines}");
}

#[test]
fn what_never_ends_is_not_read_for_ever() {
    if cfg!(target_os = "linux") {
        assert!(refused(&["inspect", "/dev/zero"]).contains("more than 256 MB"));
        assert!(refused(&["reconstruct", "/dev/zero", "--json"]).contains("more than 256 MB"));
    }
}

#[test]
fn help_shows_examples_and_no_arguments_show_help() {
    let help = text(&good(&["--help"]).stdout);
    assert!(help.starts_with("Command line of MAETok: sample, reconstruct, inspect, evaluate, train"), "{help}");
    assert!(help.contains("Examples:") && help.contains("maetok sample --class lorelei"), "{help}");
    assert!(text(&good(&["sample", "--help"]).stdout).contains("--guidance"));
    assert!(text(&good(&["train", "tokenizer", "--help"]).stdout).contains("1 or more [default: the recipe's]"));
    assert!(text(&good(&["--version"]).stdout).starts_with("maetok "));
    assert_eq!(run(&[]).status.code(), Some(2));
}

#[test]
fn a_latent_goes_to_a_file_and_comes_back_as_the_same_picture() {
    let dir = tempfile::tempdir().expect("a directory");
    let at = |file: &str| dir.path().join(file);
    let (input, npy, png) = (at("photo.png"), at("z.npy"), at("z.png"));
    fs::write(&input, encoded(&photo(), ImageFormat::Png)).expect("writes");
    let common = ["--device", "cpu", "--model", name(model())];
    good(&[&["encode", name(&input), "--out", name(&npy)][..], &common].concat());
    let array = maetok::export::Array::from_npy(&fs::read(&npy).expect("written")).expect("an array");
    assert_eq!(array.shape.len(), 2);
    good(&[&["decode", name(&npy), "--out", name(&png)][..], &common].concat());
    let safetensors = at("z.safetensors");
    good(&[&["encode", name(&input), "--out", name(&safetensors)][..], &common].concat());
    assert!(fs::metadata(&safetensors).expect("written").len() > 4 * array.values.len() as u64);

    // What is sampled, written and decoded again is the sample.
    let (sampled, latents, again) = (at("s.png"), at("s.npy"), at("again.png"));
    good(&sample(name(model()), name(&sampled), &["--latents", name(&latents)]));
    good(&[&["decode", name(&latents), "--out", name(&again)][..], &common].concat());
    assert_eq!(fs::read(&sampled).expect("written"), fs::read(&again).expect("written"));
}

#[test]
fn what_is_no_latent_is_refused() {
    let dir = tempfile::tempdir().expect("a directory");
    let (npy, png) = (dir.path().join("z.npy"), dir.path().join("z.png"));
    let common = ["--device", "cpu", "--model", name(model())];
    let decode = |values: Vec<f32>| {
        let array = maetok::export::Array::new(vec![values.len()], values).expect("a row");
        fs::write(&npy, array.to_npy()).expect("writes");
        refused(&[&["decode", name(&npy), "--out", name(&png)][..], &common].concat())
    };
    assert!(decode(vec![0.5; 3]).contains("latents is 3"));
    assert!(decode(vec![f32::NAN; 3]).contains("finite"));
    fs::write(&npy, "no array").expect("writes");
    let arguments = [&["decode", name(&npy), "--out", name(&png)][..], &common].concat();
    assert!(refused(&arguments).contains("numpy.save"));
    let arguments = [&["encode", name(&npy), "--out", name(&png)][..], &common].concat();
    assert!(refused(&arguments).contains(".npy or .safetensors"));
}
