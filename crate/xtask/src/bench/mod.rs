//! `cargo xtask bench`: every figure beside a peer measured in the same run on the same machine.
//!
//! Three engines' worth of programs are started one after the other, never two at once: our command line, a Python
//! script with onnxruntime and PyTorch, and a Node script that drives the browsers. Each prints JSON; [`table`] puts
//! figures side by side, [`chart`] draws them.

mod chart;
mod table;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, anyhow, bail};
use clap::Args;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::process;
use crate::project::Project;
use crate::setup;
use crate::wasm::{self, Compiler};

/// Options of `cargo xtask bench`.
#[derive(Args, Debug)]
pub struct BenchArgs {
    /// Times of each piece of work; the median counts
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    runs: u32,
    /// Browsers to measure in, with commas between; empty for none
    #[arg(long, default_value = "chromium,firefox")]
    browsers: String,
    /// Engines to measure in browsers, with commas between; Burn's own kernels, `plain`, take a third of the time
    #[arg(long, default_value = "cpu,webgpu,plain,ort-wasm,ort-webgpu")]
    engines: String,
    /// A Python with onnx, onnxruntime, numpy, safetensors and perhaps torch; by default one is set up without torch
    #[arg(long, value_name = "PATH")]
    python: Option<PathBuf>,
    /// Write the results and the chart to assets/bench, where the committed ones lie
    #[arg(long)]
    update: bool,
}

/// Times of one piece of work in one engine.
#[derive(Clone, Debug, Deserialize)]
pub struct Figure {
    name: String,
    seconds: Vec<f64>,
    flop: u64,
    bytes: u64,
    dispatches: u64,
}

impl Figure {
    /// The middle one of the times, in seconds.
    fn median(&self) -> f64 {
        let mut sorted = self.seconds.clone();
        sorted.sort_by(f64::total_cmp);
        sorted[sorted.len() / 2]
    }
}

/// What one engine did with one model in one place.
#[derive(Clone, Debug)]
pub struct Measured {
    /// A browser with its version, or "native, N threads".
    place: String,
    /// Name of the engine.
    engine: String,
    /// `cpu` or `webgpu`: peers are compared within a kind.
    kind: &'static str,
    /// Name of the model, or "kernels".
    model: String,
    figures: Vec<Figure>,
    whole: Whole,
    /// Kernels that the device refused or computed wrongly, each with its fault: plain ops took their place.
    left_out: Vec<String>,
}

/// What belongs to a whole run; `None` where it cannot be measured.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub struct Whole {
    /// Seconds from nothing loaded to the first picture.
    cold: Option<f64>,
    /// Bytes of memory at most, of the program or of all processes of the browser.
    memory: Option<u64>,
}

impl Measured {
    fn is_ours(&self) -> bool {
        self.engine == OURS
    }

    /// As in `results.json`.
    fn record(&self) -> Value {
        let figure = |f: &Figure| {
            let Figure { name, seconds, flop, bytes, dispatches } = f;
            json!({ "name": name, "seconds": seconds, "flop": flop, "bytes": bytes, "dispatches": dispatches })
        };
        let figures: Vec<Value> = self.figures.iter().map(figure).collect();
        let Self { place, engine, kind, model, whole: Whole { cold, memory }, .. } = self;
        json!({
            "place": place, "engine": engine, "kind": kind, "model": model,
            "figures": figures, "cold": cold, "memory": memory,
        })
    }
}

/// The engine of this project in tables.
const OURS: &str = "maetok";
/// Sizes and random weights of one block each of MAETok-B's encoder and decoder and of SiT-XL.
const RANDOM: &str = "one-block-full-size";
const SHIPPED: &str = "toon-128";
/// The same generators on longer latents, as a grid of the same picture would be: random weights of the same sizes.
const LONGER: [(&str, &[&str]); 2] =
    [("one-block-1024-tokens", &["--tokens", "1024"]), ("toon-64-tokens", &["--small", "--tokens", "64"])];
/// What `--python` must have; pinned, as a peer's speed is part of a result.
const PYTHON_PACKAGES: [&str; 4] = ["onnx==1.23.2", "onnxruntime==1.32.0", "numpy==2.4.6", "safetensors==0.8.0"];

/// Runs everything and prints the table.
///
/// # Errors
/// If something cannot be built, set up or started; an engine that fails on one model is a line of the results.
pub fn run(project: &Project, args: &BenchArgs) -> Result<()> {
    let place = Bench::prepare(project, args)?;
    let mut raw = Vec::new();
    let mut measured = Vec::new();
    for threads in [1, 2] {
        place.native(threads, &mut raw, &mut measured)?;
    }
    place.adapter(&mut raw, &mut measured)?;
    if !args.browsers.is_empty() {
        place.browsers(&mut raw, &mut measured)?;
    }
    let (text, wholes, latents) = (table::text(&measured), table::wholes(&measured), table::latents(&measured));
    let text = format!("{text}\n## Start and memory\n\n{wholes}\n## Tokens of a latent\n\n{latents}");
    println!("\n{text}");
    let left_out: Vec<&String> = measured.iter().flat_map(|one| &one.left_out).collect();
    let sound = left_out.is_empty();
    let out = if args.update && sound { project.root.join("assets/bench") } else { place.folder.join("results") };
    fs::create_dir_all(&out)?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
    let machine = json!({ "cpu": cpu_name(), "unix_time": now, "runs": args.runs });
    let json = serde_json::to_string_pretty(&json!({ "machine": machine, "results": raw }))?;
    fs::write(out.join("results.json"), json + "\n")?;
    fs::write(out.join("results.md"), format!("{}\n\n{text}", cpu_name()))?;
    fs::write(out.join("ratios.svg"), chart::ratios(&measured)?)?;
    println!("written: results.json, results.md and ratios.svg in {}", out.display());
    match args.update && !sound {
        true => bail!("these are not the results to keep: kernels were left out, {left_out:?}"),
        false => Ok(()),
    }
}

/// The processor's name, for people.
fn cpu_name() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = text.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    format!("{}, {cores} cores in use", name.map_or("unknown processor", |(_, name)| name))
}

/// Everything that is needed, built and set up.
struct Bench<'a> {
    project: &'a Project,
    runs: String,
    browsers: String,
    engines: String,
    python: PathBuf,
    /// Models, ONNX files, the Python environment.
    folder: PathBuf,
}

impl<'a> Bench<'a> {
    fn prepare(project: &'a Project, args: &BenchArgs) -> Result<Self> {
        let folder = project.target.join("bench");
        fs::create_dir_all(folder.join("models"))?;
        let mut cargo = Command::new("cargo");
        cargo.args(["build", "--release", "--workspace", "--bin", "maetok"]);
        process::run(cargo.current_dir(&project.root))?;
        if !args.browsers.is_empty() {
            setup::node()?;
            setup::browsers_and_vulkan()?;
            wasm::build(project, Compiler::Auto)?;
            setup::npm_packages(&project.web().join("bench"), "to measure onnxruntime-web")?;
        }
        let python = match &args.python {
            Some(python) => python.clone(),
            None => python(&folder)?,
        };
        let (browsers, engines) = (args.browsers.clone(), args.engines.clone());
        let bench = Self { project, runs: args.runs.to_string(), browsers, engines, python, folder };
        bench.models()?;
        Ok(bench)
    }

    fn maetok(&self) -> Command {
        Command::new(self.project.target.join("release/maetok"))
    }

    /// The model folders and what onnxruntime reads of them.
    fn models(&self) -> Result<()> {
        for (name, arguments) in [(RANDOM, [].as_slice())].into_iter().chain(LONGER) {
            let random = self.model(name);
            if !random.join("manifest.json").exists() {
                process::run(self.maetok().args(["bench", "random", "--out"]).arg(&random).args(arguments))?;
            }
        }
        let shipped = self.model(SHIPPED);
        if !shipped.exists() {
            std::os::unix::fs::symlink(self.project.models().join(SHIPPED), &shipped)?;
        }
        for model in [SHIPPED, RANDOM] {
            let out = self.folder.join("onnx").join(model);
            process::run(
                Command::new(&self.python).arg(self.script("export_onnx.py")).arg(self.model(model)).arg(out),
            )?;
        }
        Ok(())
    }

    fn model(&self, name: &str) -> PathBuf {
        self.folder.join("models").join(name)
    }

    fn script(&self, name: &str) -> PathBuf {
        self.project.root.join("tests/bench").join(name)
    }

    fn native(&self, threads: u32, raw: &mut Vec<Value>, measured: &mut Vec<Measured>) -> Result<()> {
        let place = format!("native, {threads} thread{}", if threads == 1 { "" } else { "s" });
        // Longer latents are compared among themselves: with all threads is enough.
        let longer = LONGER.map(|(name, _)| name).into_iter().filter(|_| threads > 1);
        for model in [SHIPPED, RANDOM].into_iter().chain(longer) {
            println!("measuring {model}: {place}");
            let mut ours = self.maetok();
            ours.args(["bench", "model", "--device", "cpu", "--json", "--runs", &self.runs, "--model"]);
            ours.arg(self.model(model)).env("RAYON_NUM_THREADS", threads.to_string());
            let ours =
                json_of(&mut ours).and_then(|found| Ok(vec![(OURS.to_owned(), figures(&found)?, whole(&found)?)]));
            let onnx = self.folder.join("onnx").join(model);
            let peers = onnx.exists().then(|| {
                let mut peers = Command::new(&self.python);
                peers.arg(self.script("native.py")).arg(onnx);
                peers.args(["--threads", &threads.to_string(), "--runs", &self.runs]);
                peers.env("OMP_NUM_THREADS", threads.to_string());
                ("peers", self.peers(&mut peers))
            });
            let mut all = Vec::new();
            for (engine, found) in [(OURS, ours)].into_iter().chain(peers) {
                match found {
                    Ok(found) => all.extend(found),
                    Err(error) => raw.push(
                        json!({ "place": place, "engine": engine, "model": model, "error": format!("{error:#}") }),
                    ),
                }
            }
            for (engine, figures, whole) in all {
                let (place, model) = (place.clone(), model.to_owned());
                let one = Measured { place, engine, kind: "cpu", model, figures, whole, left_out: Vec::new() };
                raw.push(one.record());
                measured.push(one);
            }
        }
        Ok(())
    }

    fn peers(&self, script: &mut Command) -> Result<Vec<(String, Vec<Figure>, Whole)>> {
        let found = json_of(script)?;
        let one =
            |peer: &Value| Ok((peer["engine"].as_str().context("a name")?.to_owned(), figures(peer)?, whole(peer)?));
        found.as_array().context("a list of peers")?.iter().map(one).collect()
    }

    /// The adapter that wgpu finds, without a browser: kernels of ours, Burn's, and its roofs.
    fn adapter(&self, raw: &mut Vec<Value>, measured: &mut Vec<Measured>) -> Result<()> {
        for (engine, route) in [(OURS, "by-adapter"), ("Burn's kernels", "plain")] {
            let longer = LONGER.map(|(name, _)| name).into_iter().filter(|_| engine == OURS);
            for model in [SHIPPED, RANDOM, table::KERNELS].into_iter().chain(longer) {
                println!("measuring {model}: wgpu without a browser, {engine}");
                let mut command = self.maetok();
                match model {
                    table::KERNELS => {
                        command.args(["bench", "kernels", "--layer", "385x768x3072", "--layer", "128x1152x4608"])
                    }
                    model => command.args(["bench", "model", "--model"]).arg(self.model(model)),
                };
                command.args(["--device", "wgpu", "--json", "--runs", &self.runs, "--kernels", route]);
                let found = match json_of(&mut command) {
                    Ok(found) => found,
                    Err(error) => {
                        println!("  {error:#}");
                        raw.push(
                            json!({ "place": "native", "engine": engine, "model": model, "error": error.to_string() }),
                        );
                        continue;
                    }
                };
                let place = format!("native, {}", found["device"]["name"].as_str().unwrap_or("wgpu"));
                let (figures, whole, left_out) = (figures(&found)?, whole(&found)?, left_out(&found));
                let (engine, model) = (engine.to_owned(), model.to_owned());
                let one = Measured { place, engine, kind: "webgpu", model, figures, whole, left_out };
                raw.push(one.record());
                measured.push(one);
            }
        }
        Ok(())
    }

    fn browsers(&self, raw: &mut Vec<Value>, measured: &mut Vec<Measured>) -> Result<()> {
        let mut command = Command::new("node");
        command.arg(self.project.web().join("bench/browsers.mjs"));
        command.arg("--models").arg(self.folder.join("models")).arg("--onnx").arg(self.folder.join("onnx"));
        command.args(["--names", &format!("{SHIPPED},{RANDOM}"), "--browsers", &self.browsers, "--runs", &self.runs]);
        // A picture of the included model by Burn's kernels takes a browser minutes; the blocks tell how they compare.
        command.args(["--engines", &self.engines, "--plain-names", RANDOM]);
        for found in json_of(&mut command)?.as_array().context("a list of results")? {
            let text = |key: &str| found[key].as_str().map(str::to_owned);
            let place = text("version").context("a browser's version")?;
            let (engine, kind) = match found["engine"].as_str().unwrap_or_default() {
                "cpu" => (OURS.to_owned(), "cpu"),
                "webgpu" => (OURS.to_owned(), "webgpu"),
                "plain" => ("Burn's kernels".to_owned(), "webgpu"),
                other => ("onnxruntime-web".to_owned(), if other.ends_with("wasm") { "cpu" } else { "webgpu" }),
            };
            let model = text("model").unwrap_or_else(|| table::KERNELS.to_owned());
            if found["error"].is_string() {
                raw.push(found.clone());
                continue;
            }
            let (figures, whole, left_out) = (figures(found)?, whole(found)?, left_out(found));
            let one = Measured { place, engine, kind, model, figures, whole, left_out };
            let mut record = one.record();
            record["device"] = found["device"].clone();
            raw.push(record);
            measured.push(one);
        }
        Ok(())
    }
}

fn figures(found: &Value) -> Result<Vec<Figure>> {
    Ok(serde_json::from_value(found["figures"].clone())?)
}

fn whole(found: &Value) -> Result<Whole> {
    Ok(serde_json::from_value(json!({ "cold": found["cold"], "memory": found["memory"] }))?)
}

/// The kernels of ours that its device was used without.
fn left_out(found: &Value) -> Vec<String> {
    let faults = found["device"]["disabled_kernels"].as_array();
    faults.into_iter().flatten().filter_map(|fault| fault.as_str().map(str::to_owned)).collect()
}

/// What a program prints, read as JSON; what it says on stderr is shown as it comes.
fn json_of(command: &mut Command) -> Result<Value> {
    let output = command.stderr(std::process::Stdio::inherit()).output();
    let output = output.with_context(|| format!("`{}` did not start", process::line(command)))?;
    if !output.status.success() {
        return Err(anyhow!("`{}` ended with {}", process::line(command), output.status));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let last = text.lines().last().unwrap_or_default();
    serde_json::from_str(last).with_context(|| format!("`{}` printed no JSON", process::line(command)))
}

/// A Python environment with the peers.
fn python(folder: &Path) -> Result<PathBuf> {
    let environment = folder.join("python");
    let program = environment.join("bin/python");
    if !process::succeeds(Command::new(&program).args(["-c", "import onnx, onnxruntime, safetensors"])) {
        setup::announce(&PYTHON_PACKAGES.join(", "), "to measure onnxruntime");
        process::run(Command::new("python3").args(["-m", "venv"]).arg(&environment))?;
        process::run(Command::new(&program).args(["-m", "pip", "install", "--quiet"]).args(PYTHON_PACKAGES))?;
    }
    Ok(program)
}
