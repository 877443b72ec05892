//! `maetok reconstruct`

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::Args;
use maetok::checkpoint::Weights;
use maetok::device::DeviceChoice;
use maetok::image;
use serde_json::json;

use crate::files;
use crate::settings::weights;

/// Arguments of `maetok reconstruct`.
#[derive(Args)]
pub struct Arguments {
    /// Picture (PNG, JPEG, WebP or GIF); - is the standard input.
    input: PathBuf,
    /// PNG file to write the reconstruction to; - is the standard output.
    #[arg(long, required_unless_present = "json")]
    out: Option<PathBuf>,
    /// Print the scores as JSON.
    #[arg(long)]
    json: bool,
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

/// Runs the command.
pub fn run(arguments: &Arguments) -> Result<()> {
    let to_stdout = arguments.out.as_ref().is_some_and(|out| out.as_os_str() == "-");
    if to_stdout && arguments.json {
        bail!("The standard output takes the picture or the JSON, not both: give --out a file.");
    }
    if let Some(out) = &arguments.out {
        files::check_output(out)?;
    }
    let device = arguments.device.parse::<DeviceChoice>()?;
    let picture = image::decode(&files::input(&arguments.input, files::SMALL)?)?;
    let model = files::model_files(arguments.model.as_deref())?;
    let (pipeline, _) = files::pipeline(&model, device, arguments.weights)?;
    let result = pollster::block_on(pipeline.reconstruct(&picture.rgb))?;

    if let Some(out) = &arguments.out {
        files::output(out, &result.reconstruction)?;
    }
    if arguments.json {
        let (width, height) = picture.rgb.dimensions();
        // JSON has no infinity: a perfect reconstruction has the PSNR null.
        return files::print(
            &json!({
                "psnr": result.psnr, "ssim": result.ssim, "size": model.manifest.image_size,
                "input": { "width": width, "height": height, "notices": picture.notices },
                "numbers": result.latents.len(), "model": model.manifest.name,
            })
            .to_string(),
        );
    }
    let notices = picture.notices.iter().map(|notice| format!(" ({notice})")).collect::<String>();
    files::say(&format!("PSNR {:.2} dB, SSIM {:.3}{notices}", result.psnr, result.ssim));
    Ok(())
}
