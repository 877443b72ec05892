//! `maetok sample`

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Result, bail};
use clap::Args;
use maetok::checkpoint::Manifest;
use maetok::device::DeviceChoice;
use maetok::image::{RgbImage, grid};
use maetok::pipeline::SampleRequest;
use maetok::sampler::SamplerKind;

use crate::{files, progress};

/// Most pictures on a sheet.
const MAX_GRID: usize = 400;
/// Pixels between the pictures of a sheet.
const GAP: u32 = 2;

/// Arguments of `maetok sample`.
#[derive(Args)]
pub struct Arguments {
    /// Class by name or number; `maetok inspect` lists them.
    #[arg(long)]
    class: String,
    /// The same seed gives the same picture on every machine.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Steps from noise to picture, 1 to 1000.
    #[arg(long, default_value_t = 25)]
    steps: usize,
    /// How strongly to insist on the class, 1 (not at all) to 20.
    #[arg(long, default_value_t = 2.0, allow_negative_numbers = true)]
    guidance: f64,
    /// Times between which guidance applies; 1 is noise, 0 is the picture.
    #[arg(long, value_name = "LOW,HIGH", default_value = "0,1", value_parser = interval, allow_hyphen_values = true)]
    interval: (f64, f64),
    /// Integrator: euler, heun or sde.
    #[arg(long, default_value = "euler")]
    sampler: String,
    /// PNG file to write; - is the standard output.
    #[arg(long)]
    out: PathBuf,
    /// Draw this many pictures, with seeds counting up from --seed, on one sheet.
    #[arg(long, value_name = "N")]
    grid: Option<usize>,
    /// Where to compute: auto, cpu or wgpu.
    #[arg(long, default_value = "auto")]
    device: String,
    /// Model folder; the shipped model if left out.
    #[arg(long, value_name = "DIR")]
    model: Option<PathBuf>,
}

fn interval(text: &str) -> std::result::Result<(f64, f64), String> {
    let pair = text.split_once(',').and_then(|(low, high)| Some((low.trim().parse().ok()?, high.trim().parse().ok()?)));
    pair.ok_or_else(|| "two numbers with a comma between are wanted, as in 0,0.75".to_owned())
}

impl Arguments {
    /// One request per picture, all checked.
    fn requests(&self, manifest: &Manifest) -> Result<Vec<SampleRequest>> {
        let count = self.grid.unwrap_or(1);
        if !(1..=MAX_GRID).contains(&count) {
            return Err(maetok::Error::setting("grid", count, format!("from 1 to {MAX_GRID} pictures")).into());
        }
        let first = SampleRequest {
            class: manifest.class_index(&self.class)?,
            seed: self.seed,
            steps: self.steps,
            guidance: self.guidance,
            interval: self.interval,
            sampler: self.sampler.parse::<SamplerKind>()?,
        };
        first.validate(manifest)?;
        let seed = |at: usize| self.seed.wrapping_add(at as u64);
        Ok((0..count).map(|at| SampleRequest { seed: seed(at), ..first.clone() }).collect())
    }
}

/// Runs the command.
pub fn run(arguments: &Arguments) -> Result<()> {
    files::check_output(&arguments.out)?;
    let device = arguments.device.parse::<DeviceChoice>()?;
    let model = files::model_files(arguments.model.as_deref())?;
    if model.manifest.generator.is_none() {
        bail!("The model {} can only reconstruct: it has no generator.", model.manifest.name);
    }
    let requests = arguments.requests(&model.manifest)?;
    let (pipeline, device) = files::pipeline(&model, device)?;

    let started = Instant::now();
    let bar = progress::bar(requests.len() * arguments.steps);
    let mut tiles: Vec<RgbImage> = Vec::with_capacity(requests.len());
    for request in requests {
        tiles.push(pollster::block_on(pipeline.sample(request, |_| bar.inc(1)))?);
    }
    bar.finish_and_clear();
    let sheet = match tiles.as_slice() {
        [only] if arguments.grid.is_none() => only.clone(),
        tiles => grid(tiles, tiles.len().isqrt() + usize::from(tiles.len().isqrt().pow(2) < tiles.len()), GAP),
    };
    files::output(&arguments.out, &sheet)?;
    let seconds = started.elapsed().as_secs_f64();
    let (width, height) = sheet.dimensions();
    files::say(&format!("{}: {width}×{height} pixels in {seconds:.1} s on {device}.", arguments.out.display()));
    Ok(())
}
