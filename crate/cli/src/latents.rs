//! `maetok encode` and `maetok decode`: pictures to latents in a file, and back.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use clap::Args;
use maetok::Error;
use maetok::checkpoint::Weights;
use maetok::device::DeviceChoice;
use maetok::export::{Array, to_safetensors};
use maetok::image;

use crate::files;
use crate::settings::weights;

/// Arguments of `maetok encode`.
#[derive(Args)]
pub struct Encode {
    /// Picture (PNG, JPEG, WebP or GIF); - is the standard input.
    input: PathBuf,
    /// File to write the latent to, tokens by channels in the tokenizer's units: .npy, or .safetensors with the name
    /// `latents`; - is the standard output, as .npy.
    #[arg(long)]
    out: PathBuf,
    #[command(flatten)]
    model: Model,
}

/// Arguments of `maetok decode`.
#[derive(Args)]
pub struct Decode {
    /// Latent as `maetok encode` or `numpy.save` writes it (.npy, float32 or float64); - is the standard input.
    input: PathBuf,
    /// PNG file to write; - is the standard output.
    #[arg(long)]
    out: PathBuf,
    #[command(flatten)]
    model: Model,
}

/// Which model, and where.
#[derive(Args)]
struct Model {
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

/// Runs `maetok encode`.
pub fn encode(arguments: &Encode) -> Result<()> {
    check(&arguments.out)?;
    let device = arguments.model.device.parse::<DeviceChoice>()?;
    let picture = image::decode(&files::input(&arguments.input, files::SMALL)?)?;
    let model = files::model_files(arguments.model.model.as_deref())?;
    let (pipeline, _) = files::pipeline(&model, device, arguments.model.weights)?;
    let latents = pollster::block_on(pipeline.encode(&picture.rgb))?;
    let (tokens, channels) = pipeline.latent_shape();
    write(&arguments.out, Array::new(vec![tokens, channels], latents)?)?;
    picture.notices.iter().for_each(|notice| files::say(notice));
    Ok(())
}

/// Runs `maetok decode`.
pub fn decode(arguments: &Decode) -> Result<()> {
    files::check_output(&arguments.out)?;
    let device = arguments.model.device.parse::<DeviceChoice>()?;
    let array = Array::from_npy(&files::input(&arguments.input, files::SMALL)?)?;
    let model = files::model_files(arguments.model.model.as_deref())?;
    let (pipeline, _) = files::pipeline(&model, device, arguments.model.weights)?;
    if array.values.iter().any(|value| !value.is_finite()) {
        return Err(Error::setting("latents", "not finite everywhere", "finite numbers").into());
    }
    let picture = pollster::block_on(pipeline.decode(&array.values))?;
    files::output(&arguments.out, &picture)
}

/// Refuses another kind of file, before anything slow happens.
pub fn check(path: &Path) -> Result<()> {
    let kind = path.extension().map(|kind| kind.to_ascii_lowercase());
    if path == Path::new("-") || kind.is_some_and(|kind| kind == "npy" || kind == "safetensors") {
        return Ok(());
    }
    bail!("Latents are written as .npy or .safetensors, not to {}.", path.display());
}

/// Writes latents as the path's ending says.
pub fn write(path: &Path, array: Array) -> Result<()> {
    let bytes = match path.extension() {
        Some(kind) if kind.eq_ignore_ascii_case("safetensors") => {
            to_safetensors(&[("latents".to_owned(), array)], HashMap::new())?
        }
        _ => array.to_npy(),
    };
    files::write(path, &bytes)
}
