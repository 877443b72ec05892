//! `maetok sample`

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Result, bail};
use clap::Args;
use maetok::Error;
use maetok::checkpoint::{Manifest, Weights};
use maetok::device::DeviceChoice;
use maetok::export::Array;
use maetok::image::{RgbImage, grid};
use maetok::pipeline::SampleRequest;

use crate::sampling::Sampling;
use crate::settings::{number, numbers, weights};
use crate::{files, latents, progress};

/// Most pictures on a sheet.
const MAX_GRID: usize = 400;
/// What --grid must be.
const GRID: &str = "from 1 to 400 pictures";
/// Pixels between the pictures of a sheet.
const GAP: u32 = 2;

/// Arguments of `maetok sample`.
#[derive(Args)]
pub struct Arguments {
    /// Class by name or number; `maetok inspect` lists them.
    #[arg(long, allow_negative_numbers = true)]
    class: String,
    #[command(flatten)]
    sampling: Sampling,
    /// How strongly to insist on the class, 1 (not at all) to 20.
    #[arg(long, default_value_t = 2.0, allow_negative_numbers = true,
        value_parser = number::<f64>("guidance", "a number from 1 (off) to 20"))]
    guidance: f64,
    /// Times between which guidance applies; 1 is noise, 0 is the picture.
    #[arg(long, value_name = "LOW,HIGH", default_value = "0,1", allow_hyphen_values = true,
        value_parser = numbers::<f64, 2>("interval", ',', "two numbers with a comma between, as in 0,0.75"))]
    interval: [f64; 2],
    /// PNG file to write; - is the standard output.
    #[arg(long)]
    out: PathBuf,
    /// Draw this many pictures, with seeds counting up from --seed, on one sheet; 1 to 400.
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = number::<usize>("grid", GRID))]
    grid: Option<usize>,
    /// Write the latents too, tokens by channels in the tokenizer's units (of several pictures, one after the other):
    /// .npy, or .safetensors.
    #[arg(long, value_name = "FILE")]
    latents: Option<PathBuf>,
    /// Where to compute: auto, cpu, wgpu, or where built in libtorch, cuda:N or ws://HOST:PORT.
    #[arg(long, default_value = "auto")]
    device: String,
    /// Model folder; the shipped model if left out.
    #[arg(long, value_name = "DIR")]
    model: Option<PathBuf>,
    /// How matrices are kept: as-shipped, f32, or rounded to int8. On a GPU fewer bits take less memory.
    #[arg(long, default_value = "as-shipped", value_parser = weights())]
    weights: Weights,
}

impl Arguments {
    /// The class; a number that is none of the classes' is not answered with the nearest names.
    fn class(&self, manifest: &Manifest) -> Result<usize> {
        let number = self.class.trim().parse::<f64>().is_ok();
        manifest.class_index(&self.class).map_err(|error| match error {
            Error::UnknownClass { name, .. } if number => {
                let last = manifest.classes.len() - 1;
                Error::setting("class", name, format!("a class name or a number from 0 to {last}")).into()
            }
            other => other.into(),
        })
    }

    /// One request per picture, all checked.
    fn requests(&self, manifest: &Manifest) -> Result<Vec<SampleRequest>> {
        let count = self.grid.unwrap_or(1);
        if !(1..=MAX_GRID).contains(&count) {
            return Err(Error::setting("grid", count, GRID).into());
        }
        let first = self.sampling.request(self.class(manifest)?, self.guidance, self.interval)?;
        first.validate(manifest)?;
        let seed = |at: usize| first.seed.wrapping_add(at as u64);
        Ok((0..count).map(|at| SampleRequest { seed: seed(at), ..first.clone() }).collect())
    }
}

/// Runs the command.
pub fn run(arguments: &Arguments) -> Result<()> {
    files::check_output(&arguments.out)?;
    if let Some(path) = &arguments.latents {
        latents::check(path)?;
    }
    let device = arguments.device.parse::<DeviceChoice>()?;
    let model = files::model_files(arguments.model.as_deref())?;
    if model.manifest.generator.is_none() {
        bail!("The model {} can only reconstruct: it has no generator.", model.manifest.name);
    }
    let requests = arguments.requests(&model.manifest)?;
    let (pipeline, device) = files::pipeline(&model, device, arguments.weights)?;

    let started = Instant::now();
    let bar = progress::bar(requests.len() * arguments.sampling.steps);
    let mut tiles: Vec<RgbImage> = Vec::with_capacity(requests.len());
    let mut made = Vec::new();
    for request in requests {
        let mut run = pipeline.start(request)?;
        while pollster::block_on(pipeline.step(&mut run))?.is_some() {
            bar.inc(1);
        }
        tiles.push(pollster::block_on(pipeline.finish(&run))?);
        made.extend(pipeline.tokenizer_units(&run.latents()));
    }
    bar.finish_and_clear();
    if let Some(path) = &arguments.latents {
        let (tokens, channels) = pipeline.latent_shape();
        let each = vec![tokens, channels];
        let shape = if arguments.grid.is_none() { each } else { [vec![tiles.len()], each].concat() };
        latents::write(path, Array::new(shape, made)?)?;
    }
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
