//! `maetok bench`: how fast a model, or the kernels, run on a device, and what weights in fewer bits cost there.

mod memory;
mod random_model;
mod weights;

use std::path::PathBuf;
use std::time::Instant;

use anyhow::Result;
use clap::{Args, Subcommand, ValueEnum};
use maetok::Device;
use maetok::bench::{self, Figure, Layer, Plan};
use maetok::device::{DeviceChoice, DeviceInfo};
use maetok::kernels::{self, Route};
use maetok::pipeline::Pipeline;
use serde_json::json;

use crate::files;
use crate::settings::{number, numbers};

/// Subcommands of `maetok bench`.
#[derive(Subcommand)]
pub enum Bench {
    /// Times encoding, decoding, a step and a whole picture of a model.
    Model(ModelArguments),
    /// Times linear layers by each kernel, beside the adapter's own roofs.
    Kernels(KernelArguments),
    /// Puts weights as they ship and int8 beside f32: memory, time, and how far blocks and pictures move.
    Weights(weights::Arguments),
    /// Writes a model of random weights and published sizes, to be timed here and elsewhere.
    Random(random_model::Arguments),
}

/// What both measurements take.
#[derive(Args)]
struct Common {
    /// Where to compute: auto, cpu, wgpu, or where built in libtorch, cuda:N or ws://HOST:PORT.
    #[arg(long, default_value = "auto")]
    device: String,
    /// Times of each piece of work; the median counts.
    #[arg(long, default_value_t = 5, value_parser = number::<usize>("runs", "a number from 1"))]
    runs: usize,
    /// Test the kernels anew, whatever is remembered of the adapter.
    #[arg(long)]
    self_test: bool,
    /// Print JSON: every time, the device, and what was counted.
    #[arg(long)]
    json: bool,
}

/// Arguments of `maetok bench model`.
#[derive(Args)]
pub struct ModelArguments {
    #[command(flatten)]
    common: Common,
    /// Model folder; the shipped model if left out.
    #[arg(long, value_name = "DIR")]
    model: Option<PathBuf>,
    /// Which kernels: those for the adapter, or one kind whatever the adapter.
    #[arg(long, value_enum, default_value_t = Kernels::ByAdapter)]
    kernels: Kernels,
}

/// Arguments of `maetok bench kernels`.
#[derive(Args)]
pub struct KernelArguments {
    #[command(flatten)]
    common: Common,
    /// Rows x columns in x columns out; may be given more than once.
    #[arg(long, value_name = "MxKxN", value_parser = numbers::<usize, 3>("layer", 'x', "three sizes, as in 128x1152x4608"))]
    layer: Vec<[usize; 3]>,
    /// Which kernels; may be given more than once.
    #[arg(long, value_enum, default_values_t = [Kernels::ByAdapter])]
    kernels: Vec<Kernels>,
}

/// [`Route`] on the command line.
#[derive(Clone, Copy, ValueEnum)]
enum Kernels {
    ByAdapter,
    Registers,
    Tiles,
    /// Burn's own kernels.
    Plain,
}

impl From<Kernels> for Route {
    fn from(kernels: Kernels) -> Self {
        match kernels {
            Kernels::ByAdapter => Self::ByAdapter,
            Kernels::Registers => Self::Registers,
            Kernels::Tiles => Self::Tiles,
            Kernels::Plain => Self::Plain,
        }
    }
}

/// Layers of ViT-B at 385 tokens and of SiT-XL at 128, and what a vector meets.
const LAYERS: [Layer; 6] =
    [(385, 768, 2304), (385, 768, 3072), (385, 3072, 768), (128, 1152, 4608), (1024, 1152, 1152), (2, 1152, 6912)];

/// Runs the command.
pub fn run(command: &Bench) -> Result<()> {
    match command {
        Bench::Model(arguments) => arguments.common.plan().check().map_err(Into::into).and_then(|()| model(arguments)),
        Bench::Kernels(arguments) => {
            arguments.common.plan().check().map_err(Into::into).and_then(|()| layers(arguments))
        }
        Bench::Weights(arguments) => weights::run(arguments),
        Bench::Random(arguments) => random_model::run(arguments),
    }
}

fn model(arguments: &ModelArguments) -> Result<()> {
    let begun = Instant::now();
    let choice = arguments.common.device.parse::<DeviceChoice>()?;
    let files = files::model_files(arguments.model.as_deref())?;
    let (device, info) = arguments.common.open(choice)?;
    let pipeline = Pipeline::load(&files, &device)?;
    let (first, figures) = kernels::within(arguments.kernels.into(), || -> maetok::Result<_> {
        let first = match pipeline.has_generator() {
            true => Some(pollster::block_on(bench::first_picture(&pipeline)).map(|()| begun.elapsed().as_secs_f64())?),
            false => None,
        };
        let figures = pollster::block_on(bench::model(&pipeline, arguments.common.plan(), &clock()))?;
        Ok((first, figures))
    })?;
    let whole = Whole { first, memory: memory::peak() };
    show(&arguments.common, &info, &files.manifest.name, &figures, whole)
}

fn layers(arguments: &KernelArguments) -> Result<()> {
    let (device, info) = arguments.common.open(arguments.common.device.parse()?)?;
    let (plan, clock) = (arguments.common.plan(), clock());
    // The adapter's roofs are ours to measure: they are no figures of Burn's kernels.
    let plain = arguments.kernels.iter().all(|kernels| matches!(kernels, Kernels::Plain));
    let mut figures = if plain { Vec::new() } else { pollster::block_on(bench::roofs(&device, plan, &clock))? };
    let sizes: Vec<Layer> = match arguments.layer.as_slice() {
        [] => LAYERS.to_vec(),
        asked => asked.iter().map(|[m, k, n]| (*m, *k, *n)).collect(),
    };
    for layer in sizes {
        for kernels in &arguments.kernels {
            figures.push(pollster::block_on(bench::layer(&device, layer, (*kernels).into(), plan, &clock))?);
        }
    }
    show(&arguments.common, &info, "kernels", &figures, Whole::default())
}

impl Common {
    fn open(&self, choice: DeviceChoice) -> Result<(Device, DeviceInfo)> {
        if self.self_test { files::device_tested(choice) } else { files::device(choice) }
    }

    fn plan(&self) -> Plan {
        Plan { runs: self.runs, at_least: 0.2 }
    }
}

fn clock() -> impl Fn() -> f64 {
    let start = Instant::now();
    move || start.elapsed().as_secs_f64()
}

/// What belongs to a whole run.
#[derive(Default)]
struct Whole {
    /// Seconds from opening the device to the first picture.
    first: Option<f64>,
    /// Bytes of memory at most.
    memory: Option<u64>,
}

fn show(common: &Common, info: &DeviceInfo, what: &str, figures: &[Figure], whole: Whole) -> Result<()> {
    let Whole { first, memory } = whole;
    if common.json {
        let all = json!({ "device": info, "what": what, "figures": figures, "cold": first, "memory": memory });
        return files::print(&all.to_string());
    }
    files::print(&format!("{what} on {} ({})", info.name, info.backend))?;
    if let Some(test) = &info.self_test {
        files::print(if test.remembered {
            "self-test of the kernels: remembered"
        } else {
            "self-test of the kernels: done now"
        })?;
    }
    for fault in &info.disabled_kernels {
        files::print(&format!("left out: {fault}"))?;
    }
    files::print(&format!("{:<44} {:>12} {:>10} {:>8} {:>10}", "work", "median, ms", "GFLOP/s", "GB/s", "dispatches"))?;
    for figure in figures {
        let median = figure.median();
        let rate =
            |amount: u64| if amount == 0 { "-".to_owned() } else { format!("{:.1}", amount as f64 / median / 1e9) };
        let (flop, bytes) = (rate(figure.flop), rate(figure.bytes));
        files::print(&format!(
            "{:<44} {:>12.3} {flop:>10} {bytes:>8} {:>10}",
            figure.name,
            1e3 * median,
            figure.dispatches
        ))?;
    }
    if let Some(first) = first {
        files::print(&format!("from the start to the first picture: {first:.2} s"))?;
    }
    if let Some(memory) = memory {
        files::print(&format!("memory at most: {:.0} MB", memory as f64 / 1e6))?;
    }
    Ok(())
}
