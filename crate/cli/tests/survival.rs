//! Training with the real program while somebody pulls the plug, the disk is full, or Ctrl-C is pressed.
//!
//! Linux only: elsewhere there is no way to be out of room that needs no rights.
#![cfg(target_os = "linux")]

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use common::{name, program, refused, succeeded, text};
use image::{Rgb, RgbImage};
use serde_json::Value;

/// Updates of a run.
const STEPS: u64 = 150;
/// Most time for anything to happen that is waited for, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);
/// A run of [`STEPS`] that writes a checkpoint every 3 updates and logs every update.
const RECIPE: &str = "base = \"toon-64\"\n[model]\nencoder_size = { width = 32, depth = 1, heads = 2 }\n\
    decoder_size = { width = 32, depth = 1, heads = 2 }\n[training]\nbatch = 2\nworkers = 1\nhog_decoder = [16, 1, 1]\n\
    evaluate_pictures = 2\nseed = 3\n[training.pace]\nsteps = 150\nlog_every = 1\nevaluate_every = 3\nsample_every = 20\n\
    checkpoint_every = 3\nlast_checkpoint_minutes = 0.02\n";

/// A folder with pictures and a recipe.
struct Bench {
    dir: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        for (split, count) in [("train", 4), ("held-out", 2)] {
            let folder = dir.path().join("data").join(split).join("stripes");
            fs::create_dir_all(&folder).expect("creates");
            for number in 0..count {
                let stripes = |x, _| if (x / (number + 2)) % 2 == 0 { Rgb([220, 60, 30]) } else { Rgb([20, 90, 200]) };
                RgbImage::from_fn(64, 64, stripes).save(folder.join(format!("{number}.png"))).expect("saves");
            }
        }
        fs::write(dir.path().join("recipe.toml"), RECIPE).expect("writes");
        Self { dir }
    }

    fn path(&self, of: &str) -> PathBuf {
        self.dir.path().join(of)
    }

    /// What starts a run in `out`, or goes on with the one there.
    fn arguments(&self, out: &Path) -> Vec<String> {
        let mut arguments = vec!["train", "tokenizer", "--out", name(out)];
        let (data, recipe) = (self.path("data"), self.path("recipe.toml"));
        if out.join("run.json").exists() {
            arguments.push("--resume");
        } else {
            arguments.extend(["--data", name(&data), "--recipe", name(&recipe)]);
        }
        arguments.into_iter().map(str::to_owned).collect()
    }

    fn command(&self, out: &Path) -> Command {
        let arguments = self.arguments(out);
        program(&arguments.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// A command in a shell that allows files of `blocks` times 512 bytes, which is what a full disk looks like from
    /// inside; the limit can be raised from outside.
    fn limited(&self, out: &Path, blocks: u64) -> Command {
        let script = format!("trap '' XFSZ; ulimit -S -f {blocks}; exec \"$0\" \"$@\"");
        let mut command = Command::new("sh");
        command.args(["-c", &script, env!("CARGO_BIN_EXE_maetok")]).args(self.arguments(out));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }
}

/// Waits until `happened`, or the process ends.
fn wait_until(child: &mut Child, what: &str, mut happened: impl FnMut() -> bool) {
    let since = Instant::now();
    while !happened() && child.try_wait().expect("can be asked").is_none() {
        assert!(since.elapsed() < PATIENCE, "{what} does not happen");
        thread::sleep(Duration::from_micros(200));
    }
}

fn signal(child: &Child, which: &str) {
    let sent = Command::new("kill").args([which, &child.id().to_string()]).status().expect("kill starts");
    assert!(sent.success());
}

/// The folder of the newest checkpoint and its step, after a look at all of them: each must be whole.
fn newest(run: &Path) -> Option<(u64, PathBuf)> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(run.join("checkpoints")).ok()? {
        let folder = entry.expect("lists").path();
        let called = folder.file_name().expect("a name").to_string_lossy().into_owned();
        let Some(step) = called.strip_prefix("step-") else {
            assert!(called.starts_with('.'), "{called}");
            continue;
        };
        let step: u64 = step.parse().expect("a number");
        let state: Value = serde_json::from_slice(&fs::read(folder.join("state.json")).expect("reads")).expect("whole");
        assert_eq!(state["step"], step);
        for file in ["model", "raw", "auxiliary", "optimiser"] {
            let bytes = fs::read(folder.join(file).with_extension("safetensors")).expect("is there");
            // Eight bytes tell how long the header is, the header where the last tensor ends.
            let header = u64::from_le_bytes(bytes[..8].try_into().expect("eight")) as usize;
            let table: Value = serde_json::from_slice(&bytes[8..8 + header]).expect("a whole header");
            let ends = table.as_object().expect("a table").values().filter_map(|t| t["data_offsets"][1].as_u64());
            assert_eq!(bytes.len() as u64, (8 + header) as u64 + ends.max().unwrap_or(0), "{file} of step {step}");
        }
        found.insert(step, folder);
    }
    found.pop_last()
}

/// Step, kind and loss of every line of the log, each of which must be whole.
fn log(run: &Path) -> Vec<(u64, &'static str, Value)> {
    let text = fs::read_to_string(run.join("log.jsonl")).expect("a log");
    let line = |line: &str| {
        let line: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"));
        let kind = if line["psnr"].is_number() { "psnr" } else { "loss" };
        (line["step"].as_u64().expect("a step"), kind, line[kind].clone())
    };
    text.lines().map(line).collect()
}

/// Final weights of a run, by file.
fn weights(run: &Path) -> Vec<Vec<u8>> {
    let (step, folder) = newest(run).expect("a checkpoint");
    assert_eq!(step, STEPS);
    ["model", "raw", "auxiliary", "optimiser"]
        .map(|file| fs::read(folder.join(file).with_extension("safetensors")).expect("reads"))
        .to_vec()
}

fn said(output: &Output) -> String {
    text(&output.stderr)
}

#[test]
fn a_run_that_is_killed_again_and_again_ends_as_one_that_never_was() {
    let bench = Bench::new();
    let (whole, broken) = (bench.path("whole"), bench.path("broken"));
    let since = Instant::now();
    succeeded(&mut bench.command(&whole));
    let usual = since.elapsed();

    // A generator of Knuth's, so that the moments are others than a person would choose, and the same every time.
    let mut state = 20_261_125u64;
    let mut random = |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let writing = broken.join("checkpoints/.writing");
    let steps =
        || fs::read_dir(broken.join("checkpoints")).into_iter().flatten().flatten().map(|at| at.file_name()).max();
    let (mut kills, mut during, mut before) = (0, 0, 0);
    for round in 0..18 {
        let known = steps();
        let mut child = bench.command(&broken).spawn().expect("starts");
        match round % 3 {
            // While a checkpoint is being written, after some of it.
            0 => wait_until(&mut child, "a checkpoint", || writing.exists()),
            // Right after one, when what is due at its step might still have to come.
            1 => wait_until(&mut child, "a whole checkpoint", || steps() > known),
            _ => {
                let most = u64::try_from(usual.as_micros()).expect("a short run") / 4;
                thread::sleep(Duration::from_micros(random(most)));
            }
        }
        thread::sleep(Duration::from_micros(random(1500)));
        child.kill().expect("SIGKILL");
        child.wait().expect("is gone");
        during += u64::from(writing.exists());
        let step = newest(&broken).map_or(0, |(step, _)| step);
        assert!(step >= before, "a checkpoint is lost: {before} was there, {step} is");
        before = step;
        kills += 1;
        if step == STEPS {
            break;
        }
    }
    assert!(kills > 4, "the run ended after {kills} kills");
    assert!(during > 0, "no kill fell into the writing of a checkpoint");
    let output = succeeded(&mut bench.command(&broken));
    assert!(said(&output).contains("step 150: saved in"), "{}", said(&output));
    assert!(!writing.exists());
    assert!(weights(&whole) == weights(&broken), "the weights differ");
    assert_eq!(log(&whole), log(&broken));
    assert_eq!(log(&whole).len() as u64, STEPS + STEPS / 3);
}

#[test]
fn a_full_disk_is_said_and_survived_and_the_run_is_whole_when_there_is_room_again() {
    let bench = Bench::new();
    let (whole, run) = (bench.path("whole"), bench.path("run"));
    succeeded(&mut bench.command(&whole));
    // Room for the log and the settings, but not for weights.
    let mut child = bench.limited(&run, 100).spawn().expect("starts");
    let lines = || fs::read_to_string(run.join("log.jsonl")).map_or(0, |text| text.lines().count());
    wait_until(&mut child, "the tenth update", || lines() >= 10);
    let id = child.id().to_string();
    let raised = Command::new("prlimit").args(["--pid", &id, "--fsize=unlimited"]).status().expect("prlimit starts");
    assert!(raised.success());
    let output = child.wait_with_output().expect("ends");
    let told = said(&output);
    assert!(output.status.success(), "{told}");
    for part in
        ["The checkpoint of step 3 is missing: ", "could not be written: ", "there is no earlier one", "room again"]
    {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert!(weights(&whole) == weights(&run), "the weights differ");
    assert_eq!(log(&whole), log(&run));
}

#[test]
fn what_a_disk_that_stays_full_costs_is_said_and_the_former_checkpoint_stays() {
    let bench = Bench::new();
    let run = bench.path("run");
    let mut child = bench.command(&run).spawn().expect("starts");
    wait_until(&mut child, "a checkpoint", || newest(&run).is_some());
    child.kill().expect("SIGKILL");
    child.wait().expect("is gone");
    let (step, folder) = newest(&run).expect("a checkpoint");

    let output = bench.limited(&run, 100).output().expect("starts");
    let told = said(&output);
    assert_eq!(output.status.code(), Some(2), "{told}");
    assert!(told.contains("It is tried again for"), "{told}");
    let last = told.lines().last().expect("a sentence");
    let lost = format!("What {} updates taught in ", STEPS - step);
    assert!(last.starts_with("The last checkpoint could not be written: ") && last.contains(&lost), "{last}");
    assert!(last.ends_with(&format!("the one of step {step} is whole.")), "{last}");
    assert_eq!(newest(&run), Some((step, folder)));
    assert!(!run.join("checkpoints/.writing").exists(), "the attempt takes no room");
    succeeded(&mut bench.command(&run));
    weights(&run);
}

#[test]
fn a_log_on_a_full_disk_does_not_end_a_run() {
    let bench = Bench::new();
    let run = bench.path("run");
    fs::create_dir(&run).expect("creates");
    std::os::unix::fs::symlink("/dev/full", run.join("log.jsonl")).expect("links");
    let output = succeeded(&mut bench.command(&run));
    let told = said(&output);
    assert_eq!(told.matches("log.jsonl could not be written: No space left on device").count(), 1, "{told}");
    assert!(told.contains("200 lines of the log could not be written and are lost."), "{told}");
    weights(&run);
}

#[test]
fn ctrl_c_saves_and_says_how_to_go_on() {
    let bench = Bench::new();
    let (whole, run) = (bench.path("whole"), bench.path("run"));
    succeeded(&mut bench.command(&whole));
    for which in ["-INT", "-TERM"] {
        let mut child = bench.command(&run).spawn().expect("starts");
        let before = newest(&run).map_or(0, |(step, _)| step);
        let at = || log_length(&run);
        let start = at();
        wait_until(&mut child, "an update", || at() > start + usize::from(before == 0));
        signal(&child, which);
        let output = child.wait_with_output().expect("ends");
        let (step, folder) = newest(&run).expect("a checkpoint");
        assert!(step > before && step < STEPS, "{step}");
        let sentence = format!(
            "Stopped at step {step}, which is saved in {}; this goes on with it: maetok train tokenizer --out {} --resume.",
            folder.display(),
            run.display()
        );
        let told = said(&output);
        assert_eq!(told.lines().last(), Some(sentence.as_str()), "{told}");
        assert_eq!(output.status.code(), Some(130), "{told}");
    }
    succeeded(&mut bench.command(&run));
    assert!(weights(&whole) == weights(&run), "the weights differ");
    assert_eq!(log(&whole), log(&run));
}

/// Lines of a log that may not be there yet.
fn log_length(run: &Path) -> usize {
    fs::read_to_string(run.join("log.jsonl")).map_or(0, |text| text.lines().count())
}

#[test]
fn a_second_ctrl_c_ends_at_once() {
    let bench = Bench::new();
    let run = bench.path("run");
    let mut command = bench.limited(&run, 100);
    // The last checkpoint finds no room, so the run waits for some.
    let recipe = RECIPE.replace("steps = 150\n", "steps = 100000\n");
    let recipe = recipe.replace("last_checkpoint_minutes = 0.02", "last_checkpoint_minutes = 60.0");
    fs::write(bench.path("recipe.toml"), recipe).expect("writes");
    let mut child = command.spawn().expect("starts");
    wait_until(&mut child, "an update", || log_length(&run) > 0);
    signal(&child, "-INT");
    // It has stopped when the log stands still.
    let mut last = (log_length(&run), Instant::now());
    wait_until(&mut child, "the stop", || {
        let length = log_length(&run);
        if length != last.0 {
            last = (length, Instant::now());
        }
        last.1.elapsed() > Duration::from_millis(500)
    });
    let since = Instant::now();
    signal(&child, "-INT");
    let output = child.wait_with_output().expect("ends");
    assert_eq!(output.status.code(), Some(130), "{}", said(&output));
    assert!(since.elapsed() < Duration::from_secs(5));
    assert!(newest(&run).is_none());
}

#[test]
fn one_process_at_a_time_trains_in_a_folder() {
    let bench = Bench::new();
    let run = bench.path("run");
    let mut child = bench.command(&run).spawn().expect("starts");
    wait_until(&mut child, "run.json", || run.join("run.json").exists());
    let arguments = bench.arguments(&run);
    let sentence = refused(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    let still = child.try_wait().expect("can be asked").is_none();
    child.kill().expect("SIGKILL");
    child.wait().expect("is gone");
    assert!(still, "the first run ended too soon for this test");
    assert!(sentence.starts_with("Another process is training in"), "{sentence}");
}
