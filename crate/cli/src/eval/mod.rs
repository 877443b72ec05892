//! `maetok eval [reconstruction] | samples | sweep`: how good a model is on a data folder.

mod reconstruction;
mod samples;
mod sweep;

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, Subcommand};
use maetok::Error;
use maetok::device::DeviceChoice;
use maetok::measure::{Data, Judge};
use maetok::pipeline::Pipeline;

use crate::files;
use crate::settings::{number, numbers};

/// What --interval must be.
const INTERVAL: &str = "two numbers with a comma between, as in 0,0.75";

/// Arguments of `maetok eval`: those of `maetok eval reconstruction`, or what else to measure.
#[derive(Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct Arguments {
    #[command(subcommand)]
    what: Option<What>,
    #[command(flatten)]
    reconstruction: reconstruction::Reconstruction,
}

#[derive(Subcommand)]
enum What {
    /// The tokenizer on held-out pictures, beside the mean picture and PCA; the same as no word at all.
    Reconstruction(reconstruction::Reconstruction),
    /// Samples, with and without guidance, beside held-out pictures.
    Samples(samples::Samples),
    /// Which guidance suits the generator.
    Sweep(sweep::Sweep),
}

/// Runs the command.
pub fn run(arguments: &Arguments) -> Result<()> {
    match &arguments.what {
        None => reconstruction::run(&arguments.reconstruction),
        Some(What::Reconstruction(arguments)) => reconstruction::run(arguments),
        Some(What::Samples(arguments)) => samples::run(arguments),
        Some(What::Sweep(arguments)) => sweep::run(arguments),
    }
}

/// Flags that everything knows.
#[derive(Args)]
struct Common {
    /// Data folder with train/ and held-out/, as `cargo xtask data` makes it.
    #[arg(long, value_name = "DIR", required = true)]
    data: Option<PathBuf>,
    /// Print JSON instead of a table.
    #[arg(long)]
    json: bool,
    /// Where to compute: auto, cpu, wgpu, or where built in libtorch, cuda:N or ws://HOST:PORT.
    #[arg(long, default_value = "auto")]
    device: String,
    /// Model folder; the shipped model if left out.
    #[arg(long, value_name = "DIR")]
    model: Option<PathBuf>,
    /// Weights of EfficientNet-Lite0, which looks at the pictures; those of this project if left out.
    #[arg(long, value_name = "FILE")]
    network: Option<PathBuf>,
    /// Side in pixels at which it looks at them, a multiple of 32 from 64 to 224.
    #[arg(long, value_name = "N", default_value_t = 224, allow_negative_numbers = true,
        value_parser = number::<usize>("side", "a multiple of 32 from 64 to 224"))]
    side: usize,
    /// Folder that keeps features of the data for the next time.
    #[arg(long, value_name = "DIR")]
    cache: Option<PathBuf>,
}

/// A model and what it is measured with.
struct Bench {
    pipeline: Pipeline,
    judge: Judge,
    /// Names of model and device.
    title: String,
}

impl Common {
    /// Everything but the data; refuses what can be refused without them.
    fn bench(&self) -> Result<Bench> {
        let choice = self.device.parse::<DeviceChoice>()?;
        files::check_folder(self.data_folder()?, "--data")?;
        let model = files::model_files(self.model.as_deref())?;
        let weights = files::feature_network(self.network.as_deref())?;
        let (device, info) = files::device(choice)?;
        let mut judge = Judge::load(&weights, self.side, &device)?;
        if let Some(cache) = &self.cache {
            judge = judge.with_cache(cache.clone())?;
        }
        let title = format!("{} on {}", model.manifest.name, info.name);
        Ok(Bench { pipeline: Pipeline::load(&model, &device)?, judge, title })
    }

    fn data(&self, pipeline: &Pipeline) -> Result<Data> {
        Ok(Data::read(self.data_folder()?, pipeline.image_size())?)
    }

    fn data_folder(&self) -> Result<&PathBuf> {
        // clap has seen to it.
        self.data.as_ref().ok_or_else(|| anyhow::anyhow!("--data is missing: the folder with the pictures."))
    }
}

/// Reads an interval of time.
fn interval(text: &str) -> Result<[f64; 2], Error> {
    numbers::<f64, 2>("interval", ',', INTERVAL)(text)
}
