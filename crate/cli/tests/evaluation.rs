//! Measures a small random model with the real program, on good data and on bad.

mod common;
#[path = "common/tiny_model.rs"]
mod tiny_model;

use std::fs;
use std::path::{Path, PathBuf};

use common::{name, program, refused, succeeded, text};
use image::{Rgb, RgbImage};
use serde_json::Value;
use tiny_model::write_model;

const CLASSES: [&str; 3] = ["lorelei", "big-ears", "bottts"];

/// Stripes of another direction and width in every class.
fn picture(class: usize, number: usize) -> RgbImage {
    RgbImage::from_fn(16, 16, |x, y| {
        let along = if class == 0 { x } else { y } as usize;
        let inside = ((along + number) / (2 + 2 * class)).is_multiple_of(2);
        if inside { Rgb([200, (9 * number) as u8, 30]) } else { Rgb([20, 90, (7 * number) as u8]) }
    })
}

/// `data/` with train/ and held-out/, and the models `model/` and `tokenizer/`.
fn room() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().expect("a directory");
    let root = dir.path().to_owned();
    for (split, from, count) in [("train", 0, 12), ("held-out", 12, 5)] {
        for (class, folder) in CLASSES.iter().enumerate() {
            let folder = root.join("data").join(split).join(folder);
            fs::create_dir_all(&folder).expect("creates");
            for number in from..from + count {
                picture(class, number).save(folder.join(format!("{number}.png"))).expect("saves");
            }
        }
    }
    write_model(&root.join("model"), true);
    write_model(&root.join("tokenizer"), false);
    (dir, root)
}

/// `maetok eval` of `what` on the room's data, on the CPU, the network at its least side.
fn eval(root: &Path, what: &[&str], more: &[&str]) -> Vec<String> {
    let (data, model) = (root.join("data"), root.join("model"));
    let mut arguments: Vec<String> = ["eval"].iter().chain(what).map(|word| (*word).to_owned()).collect();
    for (flag, value) in [("--data", name(&data)), ("--model", name(&model)), ("--device", "cpu"), ("--side", "64")] {
        if !more.contains(&flag) {
            arguments.extend([flag.to_owned(), value.to_owned()]);
        }
    }
    arguments.extend(more.iter().map(|word| (*word).to_owned()));
    arguments
}

/// What it prints, and what it says on stderr.
fn good(arguments: &[String]) -> (String, String) {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let output = succeeded(&mut program(&arguments));
    (text(&output.stdout), text(&output.stderr))
}

fn json(arguments: &[String]) -> Value {
    serde_json::from_str(&good(arguments).0).expect("JSON")
}

fn bad(arguments: &[String]) -> String {
    refused(&arguments.iter().map(String::as_str).collect::<Vec<_>>())
}

#[test]
fn reconstructions_are_measured_with_the_word_and_without() {
    let (_dir, root) = room();
    let (table, said) = good(&eval(&root, &[], &[]));
    assert!(table.starts_with("tiny on CPU") && said.is_empty(), "{table}{said}");
    for column in ["mean picture", "PCA 16", "tokenizer", "its SSIM", "distance", "rFID"] {
        assert!(table.contains(column), "{table}");
    }
    let all = table.lines().last().expect("a row");
    assert!(all.starts_with("all") && all.trim_end().ends_with(" -"), "15 pictures are too few for an rFID: {all}");
    assert_eq!(good(&eval(&root, &["reconstruction"], &[])).0, table);
    let json = json(&eval(&root, &[], &["--json", "--fit", "20"]));
    assert_eq!((&json["fitted_to"], &json["rows"][0]["pictures"]), (&20.into(), &15.into()));
    assert!(json["rows"][0]["distance"].as_f64().is_some_and(|value| value > 0.0), "{json}");
}

#[test]
fn samples_are_drawn_kept_and_judged_again_from_their_folder() {
    let (_dir, root) = room();
    let (kept, cache) = (root.join("kept"), root.join("cache"));
    let drawing = ["--samples", "12", "--steps", "2", "--guidance", "3", "--seed", "5", "--mix", "balanced"];
    let more = [&drawing[..], &["--keep", name(&kept), "--cache", name(&cache)]].concat();
    let (tables, said) = good(&eval(&root, &["samples"], &more));
    assert!(said.starts_with("This takes about "), "{said}");
    for part in
        ["seeds from 5, 2 euler steps", "guidance 1  ", "guidance 3  ", "gFID", "copies", "held-out, reconstructed"]
    {
        assert!(tables.contains(part), "{part} is not in {tables}");
    }
    assert!(fs::read_dir(&cache).expect("made").count() >= 2, "features of training and held-out pictures");
    let files = |folder: &Path| fs::read_dir(folder).expect("made").count();
    for class in CLASSES {
        assert_eq!(files(&kept.join("guidance-3").join(class)), 4, "{class}");
    }
    let drawn = json(&eval(&root, &["samples"], &[&drawing[..], &["--json"]].concat()));
    assert_eq!((&drawn["sampling"]["seed"], &drawn["mix"]), (&5.into(), &"balanced".into()));
    assert_eq!(drawn["sets"][3]["name"], "guidance 1");
    let folder = kept.join("guidance-3");
    let again = ["--pictures", name(&folder), "--mix", "balanced", "--json", "--cache", name(&cache)];
    let again = json(&eval(&root, &["samples"], &again));
    assert_eq!((&again["sets"][3]["name"], &again["sampling"]), (&"pictures".into(), &Value::Null));
    for number in ["frechet", "precision", "recall"] {
        let [got, want] = [&again["sets"][3][number], &drawn["sets"][4][number]].map(|v| v.as_f64().expect("a number"));
        assert!((got - want).abs() <= 1e-6 * want.abs(), "{number}: {got}, not {want}");
    }
}

#[test]
fn a_sweep_names_the_best_setting() {
    let (_dir, root) = room();
    let trying = ["--samples", "10", "--steps", "2", "--guidance", "2,4", "--interval", "0,1", "--interval", "0,0.5"];
    let (table, said) = good(&eval(&root, &["sweep"], &trying));
    assert!(
        said.starts_with("This takes about ") && said.contains("5 of 5: guidance 4 from 0 to 0.5: gFID "),
        "{said}"
    );
    assert!(table.lines().last().is_some_and(|line| line.starts_with("best: ")), "{table}");
    let json = json(&eval(&root, &["sweep"], &[&trying[..], &["--json"]].concat()));
    let cells = json["cells"].as_array().expect("a list");
    assert_eq!(cells.len(), 5);
    let least = cells.iter().filter_map(|cell| cell["frechet"].as_f64()).fold(f64::INFINITY, f64::min);
    assert_eq!(json["best"]["frechet"].as_f64(), Some(least));
}

#[test]
fn what_cannot_be_measured_is_refused() {
    let (_dir, root) = room();
    let (nowhere, empty, lone) = (root.join("nowhere"), root.join("empty"), root.join("data/train"));
    fs::create_dir(&empty).expect("creates");
    let tokenizer = root.join("tokenizer");
    let cases: [(&[&str], &[&str], &str); 22] = [
        (&[], &["--data", name(&nowhere)], "of --data does not exist"),
        (&["samples"], &["--data", name(&nowhere)], "of --data does not exist"),
        (&["sweep"], &["--data", name(&empty)], "has no folder held-out"),
        (&["samples"], &["--data", name(&lone)], "has no folder held-out"),
        (&[], &["--data", name(&lone)], "has no folder held-out"),
        (&["samples"], &["--samples", "0"], "The setting samples is 0, but it must be from 10 to 100000."),
        (&["samples"], &["--samples", "-3"], "The setting samples is -3, but it must be from 10 to 100000."),
        (&["sweep"], &["--samples", "0"], "The setting samples is 0, but it must be from 10 to 100000."),
        (&["samples"], &["--guidance", "0.5"], "guidance is 0.5, but it must be a number from 1 (off) to 20."),
        (&["samples"], &["--guidance", "NaN"], "guidance is NaN"),
        (&["sweep"], &["--guidance", "2,21"], "guidance is 21"),
        (&["sweep"], &["--guidance", "2,much"], "guidance is much"),
        (&["sweep"], &["--interval", "0.9,0.1"], "interval is 0.9,0.1"),
        (&["samples"], &["--interval", "half"], "The setting interval is half, but it must be two numbers"),
        (&["samples"], &["--steps", "0"], "steps is 0"),
        (&["samples"], &["--mix", "wild"], "The setting mix is wild, but it must be held-out, balanced or training."),
        (&["samples"], &["--against", "x"], "The setting against is x, but it must be training or held-out."),
        (&["samples"], &["--model", name(&tokenizer)], "it must be a model with a generator"),
        (&["sweep"], &["--model", name(&tokenizer)], "it must be a model with a generator"),
        (&["samples"], &["--pictures", name(&nowhere)], "of --pictures does not exist"),
        (&["samples"], &["--pictures", name(&empty)], "holds no class folders"),
        (&["samples"], &["--pictures", name(&lone), "--seed", "3"], "see maetok eval samples --help."),
    ];
    for (what, more, says) in cases {
        let sentence = bad(&eval(&root, what, more));
        assert!(sentence.contains(says), "{what:?} {more:?}: {sentence}");
    }
    assert!(bad(&eval(&root, &["samples"], &["--side", "100"])).contains("The setting side is 100"));
    let picture = root.join("data/train/lorelei/0.png");
    assert!(bad(&eval(&root, &[], &["--network", name(&picture)])).contains("weights"));
    assert!(bad(&eval(&root, &["samples"], &["--keep", name(&picture)])).contains("could not be written"));
    assert!(refused(&["eval"]).contains("--data"));
    assert!(refused(&["eval", "samples"]).contains("--data"));
}

#[test]
fn a_map_holds_every_class_and_the_model_is_still_whole() {
    let (_dir, root) = room();
    let (data, model) = (root.join("data"), root.join("model"));
    let arguments = |per_class: &'static str| {
        [
            "map",
            "--data",
            name(&data),
            "--model",
            name(&model),
            "--side",
            "8",
            "--device",
            "cpu",
            "--per-class",
            per_class,
        ]
    };
    // A second map takes the place of the first.
    for _ in 0..2 {
        succeeded(&mut program(&arguments("4,2")));
    }
    let json: Value = serde_json::from_slice(&fs::read(model.join("map/map.json")).expect("written")).expect("JSON");
    assert_eq!(json["count"], 3 * (4 + 2));
    let held_out = json["held_out"].as_array().expect("flags").iter().filter(|flag| **flag == 1).count();
    assert_eq!(held_out, 3 * 2);
    let width = json["width"].as_u64().expect("a number");
    assert_eq!(fs::metadata(model.join("map/latents.bin")).expect("written").len(), 18 * width);
    let sheet = image::open(model.join("map/pictures.jpg")).expect("a picture");
    assert_eq!(sheet.width(), json["sprite"]["columns"].as_u64().expect("a number") as u32 * 8);
    let manifest: Value = serde_json::from_slice(&fs::read(model.join("manifest.json")).expect("reads")).expect("JSON");
    assert_eq!(manifest["map"], "map/map.json");
    succeeded(&mut program(&["inspect", name(&model)]));

    for (per_class, words) in [("0,0", "per-class"), ("many", "per-class")] {
        assert!(refused(&arguments(per_class)).contains(words));
    }
}
