//! Devices of other processes: real programs that lend and borrow on this machine.

mod common;

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use common::{name, program, refused, sentence, succeeded, text};
use image::{Rgb, RgbImage};
use serde_json::Value;

/// Sums in another order, over ten updates; nothing measured within the six digits of the log.
const OTHER_ORDER: f64 = 3e-5;

/// A process that lends its CPU.
struct Lender {
    process: Child,
    address: String,
}

impl Lender {
    fn start(token: Option<&str>) -> Self {
        let mut command = program(&["serve", "--device", "cpu", "--listen", "127.0.0.1:0"]);
        // Its own log, which nobody reads here.
        command.stdout(Stdio::null()).envs(token.map(|token| ("MAETOK_TOKEN", token)));
        let mut process = command.spawn().expect("starts");
        let mut said = String::new();
        BufReader::new(process.stderr.take().expect("a pipe")).read_line(&mut said).expect("UTF-8");
        let address = said.trim_end().rsplit_once(' ').expect("an address").1.to_owned();
        assert!(address.starts_with("ws://127.0.0.1:"), "{said}");
        Self { process, address }
    }
}

impl Drop for Lender {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Eight pictures of two classes.
fn pictures(at: &Path) -> PathBuf {
    let data = at.join("data");
    for number in 0..8u8 {
        let folder = data.join(["left", "right"][usize::from(number % 2)]);
        fs::create_dir_all(&folder).expect("creates");
        let edge = 20 + 3 * u32::from(number);
        let picture = RgbImage::from_fn(64, 64, |x, y| match x < edge {
            true => Rgb([30 * number, (4 * y) as u8, 60]),
            false => Rgb([200, 90, 25 * number]),
        });
        picture.save(folder.join(format!("{number}.png"))).expect("saves");
    }
    data
}

/// A small run on `device`.
fn arguments<'a>(data: &'a Path, out: &'a Path, device: &'a str, steps: &'a str) -> Vec<&'a str> {
    let mut arguments = vec!["train", "tokenizer", "--data", name(data), "--out", name(out), "--device", device];
    arguments.extend(["--encoder", "32x1x2", "--decoder", "32x1x2", "--hog-decoder", "16x1x1", "--batch", "4"]);
    arguments.extend(["--workers", "1", "--warmup", "2", "--steps", steps, "--log-every", "1"]);
    arguments.extend(["--checkpoint-every", "5"]);
    arguments
}

fn losses(run: &Path) -> Vec<f64> {
    let log = fs::read_to_string(run.join("log.jsonl")).unwrap_or_default();
    let loss = |line: &str| serde_json::from_str::<Value>(line).ok()?["loss"].as_f64();
    log.lines().filter_map(loss).collect()
}

#[test]
fn two_processes_learn_together_what_one_learns_alone() {
    let dir = tempfile::tempdir().expect("a directory");
    let data = pictures(dir.path());
    let lender = Lender::start(None);
    let run = |folder: &str, device: &str| {
        let out = dir.path().join(folder);
        succeeded(&mut program(&arguments(&data, &out, device, "10")));
        losses(&out)
    };
    let (alone, together) = (run("alone", "cpu"), run("together", &format!("cpu,{}", lender.address)));
    assert_eq!((alone.len(), together.len()), (10, 10));
    let apart = alone.iter().zip(&together).map(|(a, b)| ((a - b) / a).abs()).fold(0.0, f64::max);
    eprintln!("apart {apart:.1e}, from {} to {}", alone[0], alone[9]);
    assert!(apart < OTHER_ORDER, "{alone:?} and {together:?}");
    assert!(alone[9] < alone[0], "nothing was learnt: {alone:?}");
}

#[test]
fn a_lender_that_goes_away_ends_the_run_with_a_sentence_and_the_run_can_go_on_without_it() {
    let dir = tempfile::tempdir().expect("a directory");
    let (data, out) = (pictures(dir.path()), dir.path().join("run"));
    let mut lender = Lender::start(None);
    let device = format!("cpu,{}", lender.address);
    let arguments = arguments(&data, &out, &device, "1000000");
    let run = program(&arguments).spawn().expect("starts");
    let begun = Instant::now();
    while losses(&out).len() < 7 {
        assert!(begun.elapsed() < Duration::from_secs(120), "the run does not begin");
        std::thread::sleep(Duration::from_millis(50));
    }
    lender.process.kill().expect("is killed");
    let said = sentence_at_the_end(&run.wait_with_output().expect("ends"));
    assert!(said.contains("Device 2 of 2 did not do its part"), "{said}");
    let steps = (losses(&out).len() + 3).to_string();
    let resumed = ["train", "tokenizer", "--out", name(&out), "--resume", "--device", "cpu", "--steps", &steps];
    let said = text(&succeeded(&mut program(&resumed)).stderr);
    assert!(said.contains(&format!("step {steps}: saved in")), "{said}");
}

/// The last line of a run that failed; the lines before are its progress.
fn sentence_at_the_end(output: &std::process::Output) -> String {
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    stderr.lines().last().unwrap_or_default().to_owned()
}

#[test]
fn who_does_not_know_the_secret_borrows_nothing() {
    let dir = tempfile::tempdir().expect("a directory");
    let (data, out) = (pictures(dir.path()), dir.path().join("run"));
    let lender = Lender::start(Some("open sesame"));
    for token in [None, Some("open barley")] {
        let arguments = arguments(&data, &out, &lender.address, "1");
        let output = program(&arguments).envs(token.map(|token| ("MAETOK_TOKEN", token))).output().expect("starts");
        let said = sentence(&arguments, &output);
        assert!(said.starts_with("The device ws://127.0.0.1:") && said.contains("credential"), "{said}");
    }
    let arguments = arguments(&data, &out, &lender.address, "1");
    succeeded(program(&arguments).env("MAETOK_TOKEN", "open sesame"));
}

#[test]
fn what_cannot_be_lent_or_borrowed_is_refused() {
    assert!(refused(&["serve", "--device", "abacus"]).contains("abacus"));
    assert!(refused(&["serve", "--listen", "nowhere"]).contains("Nobody can listen on nowhere"));
    let sample = ["sample", "--class", "0", "--out", "x.png", "--device", "ws://127.0.0.1"];
    assert!(refused(&sample).contains("ws://HOST:PORT"));
}
