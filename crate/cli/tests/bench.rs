//! `maetok bench`: what it prints can be read by programs, and what makes no sense is refused.

mod common;
#[path = "common/tiny_model.rs"]
mod tiny_model;

use std::fs;
use std::io::Write as _;
use std::path::Path;

use common::{name, program, refused, succeeded, text};
use maetok::kernels::{Check, Family, Verdict};
use serde_json::Value;
use tiny_model::write_model;

fn json(arguments: &[&str]) -> Value {
    serde_json::from_str(&text(&succeeded(&mut program(arguments)).stdout)).expect("JSON")
}

#[test]
fn a_model_is_timed_and_every_time_is_told() {
    let dir = tempfile::tempdir().expect("a directory");
    write_model(dir.path(), true);
    let found = json(&["bench", "model", "--device", "cpu", "--runs", "2", "--json", "--model", name(dir.path())]);
    let figures = found["figures"].as_array().expect("figures");
    let works: Vec<&str> = figures.iter().filter_map(|figure| figure["name"].as_str()).collect();
    assert_eq!(works, ["encode", "decode", "step", "picture of 25 steps"]);
    for figure in figures {
        let seconds: Vec<f64> = serde_json::from_value(figure["seconds"].clone()).expect("times");
        assert!(seconds.len() == 2 && seconds.iter().all(|time| *time > 0.0), "{figure}");
    }
    // A whole picture is its 25 steps and a decoding; a clock that measured something else would not know.
    let median = |i: usize| figures[i]["seconds"][1].as_f64().expect("a time");
    assert!(median(3) > 5.0 * median(2), "a picture {} s, a step {} s", median(3), median(2));
    assert_eq!(found["device"]["backend"], "flex");
}

#[test]
fn weights_in_fewer_bits_are_put_beside_f32() {
    let dir = tempfile::tempdir().expect("a directory");
    for generator in [true, false] {
        let model = dir.path().join(generator.to_string());
        write_model(&model, generator);
        let arguments = ["bench", "weights", "--device", "cpu", "--pictures", "2", "--steps", "2", "--runs", "1"];
        let found = json(&[&arguments[..], &["--json", "--model", name(&model)]].concat());
        let ways = found["weights"].as_array().expect("ways");
        let names: Vec<&str> = ways.iter().filter_map(|way| way["weights"].as_str()).collect();
        assert_eq!(names, ["f32", "as shipped", "int8"]);
        for way in ways {
            assert_eq!(way["samples"].is_null(), !generator, "{way}");
            assert_eq!(way["sample_seconds"].as_array().expect("times").len(), usize::from(generator));
            assert_eq!(way["reconstruction_seconds"].as_array().expect("times").len(), 1);
            let errors: Vec<f64> =
                way["blocks"].as_array().expect("blocks").iter().filter_map(|block| block[1].as_f64()).collect();
            let rounded = way["weights"] == "int8";
            assert!(!errors.is_empty() && errors.iter().all(|error| (*error > 0.0) == rounded), "{way}");
        }
        let table = text(&succeeded(&mut program(&[&arguments[..], &["--model", name(&model)]].concat())).stdout);
        assert!(table.contains("reconstructions") && table.contains("of 255"), "{table}");
    }
}

#[test]
fn what_makes_no_sense_is_refused() {
    let layer = |layer: &str| refused(&["bench", "kernels", "--device", "cpu", "--layer", layer]);
    for sizes in ["0x4x4", "4x4x99999999999999", "18446744073709551615x4x4"] {
        assert!(layer(sizes).contains("three sizes from 1"), "{}", layer(sizes));
    }
    assert!(layer("4x4").contains("three sizes, as in"), "{}", layer("4x4"));
    assert!(refused(&["bench", "model", "--runs", "0"]).contains("runs is 0, but it must be a number from 1"));
    assert!(refused(&["bench", "model", "--model", "no-such-folder"]).contains("no-such-folder"));
    assert!(
        refused(&["bench", "weights", "--pictures", "0"]).contains("pictures is 0, but it must be a number from 1")
    );
    assert!(refused(&["bench", "random", "--blocks", "0", "--out", "x"]).contains("depth"));
}

/// The device as `bench` tells it, with `cache` as the user's cache directory; nothing where there is none.
fn tested(cache: &Path, more: &[&str]) -> Option<Value> {
    let arguments = ["bench", "kernels", "--device", "wgpu", "--kernels", "plain", "--layer", "4x4x4", "--runs", "1"];
    let mut command = program(&[&arguments[..], &["--json"], more].concat());
    let output = command.env("XDG_CACHE_HOME", cache).output().expect("starts");
    if text(&output.stderr).contains("There is no GPU adapter that wgpu can use here") {
        let required = std::env::var_os("MAETOK_REQUIRE_GPU").is_some_and(|v| v == "1");
        assert!(!required, "MAETOK_REQUIRE_GPU=1, but there is no adapter");
        return None;
    }
    assert!(output.status.success(), "{}", text(&output.stderr));
    let found: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    Some(found["device"].clone())
}

#[test]
fn an_adapter_is_tested_once_and_what_it_fails_at_is_remembered() {
    let dir = tempfile::tempdir().expect("a directory");
    let cache = dir.path().join("not there yet");
    let Some(first) = tested(&cache, &[]) else {
        writeln!(std::io::stderr(), "SKIPPED: what is remembered of an adapter, because there is none")
            .expect("stderr");
        return;
    };
    let tested = |cache: &Path, more: &[&str]| tested(cache, more).expect("it was there before");
    let remembered = |device: &Value| device["self_test"]["remembered"].as_bool().expect("a self-test");
    assert!(!remembered(&first), "{first}");
    assert!(remembered(&tested(&cache, &[])));
    assert!(!remembered(&tested(&cache, &["--self-test"])), "asked for");

    let files: Vec<_> =
        fs::read_dir(cache.join("maetok")).expect("a folder").map(|file| file.unwrap().path()).collect();
    let [file] = files.as_slice() else { panic!("{files:?}") };
    let whole = fs::read_to_string(file).expect("text");
    for spoilt in ["", "nonsense", &whole[1..], &format!("{whole}attention: no\n")] {
        fs::write(file, spoilt).expect("written");
        let again = tested(&cache, &[]);
        assert!(!remembered(&again) && again["disabled_kernels"] == first["disabled_kernels"], "{spoilt}: {again}");
        assert_eq!(fs::read_to_string(file).expect("text"), whole, "kept anew");
    }

    let fault = Some("number 3 is NaN, not 0.5".to_owned());
    let verdict = Verdict { faults: vec![Check { family: Family::NormRows, fault }], tiles: None };
    let adapter = first["self_test"]["adapter"].as_str().expect("a name");
    fs::write(file, verdict.text(adapter)).expect("written");
    let again = tested(&cache, &[]);
    assert!(remembered(&again));
    assert_eq!(again["disabled_kernels"], serde_json::json!(["layer_norm_rows: number 3 is NaN, not 0.5"]));

    // A cache that cannot be written costs a test at each start, no more.
    let taken = dir.path().join("a file");
    fs::write(&taken, "").expect("written");
    assert!(!remembered(&tested(&taken, &[])) && !remembered(&tested(&taken, &[])));
}
