//! `maetok bench`: what it prints can be read by programs, and what makes no sense is refused.

mod common;
#[path = "common/tiny_model.rs"]
mod tiny_model;

use common::{name, program, refused, succeeded, text};
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
fn what_makes_no_sense_is_refused() {
    let layer = |layer: &str| refused(&["bench", "kernels", "--device", "cpu", "--layer", layer]);
    for sizes in ["0x4x4", "4x4x99999999999999", "18446744073709551615x4x4"] {
        assert!(layer(sizes).contains("three sizes from 1"), "{}", layer(sizes));
    }
    assert!(layer("4x4").contains("three sizes, as in"), "{}", layer("4x4"));
    assert!(refused(&["bench", "model", "--runs", "0"]).contains("runs is 0, but it must be a number from 1"));
    assert!(refused(&["bench", "model", "--model", "no-such-folder"]).contains("no-such-folder"));
    assert!(refused(&["bench", "random", "--blocks", "0", "--out", "x"]).contains("depth"));
}
