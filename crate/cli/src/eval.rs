//! `maetok eval`: the tokenizer on held-out pictures, beside the mean picture and PCA.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use maetok::Error;
use maetok::device::DeviceChoice;
use maetok::pipeline::Pipeline;
use maetok::train::yardstick::{self, Yardstick};

use crate::files;
use crate::settings::number;

/// What --fit must be.
const FIT: &str = "a number of pictures, 1 or more";

/// Arguments of `maetok eval`.
#[derive(Args)]
pub struct Arguments {
    /// Data folder with train/ and held-out/, as `cargo xtask data` makes it.
    #[arg(long)]
    data: PathBuf,
    /// Training pictures that the mean picture and PCA are fitted to, 1 or more.
    #[arg(long, value_name = "N", default_value_t = 6000, allow_negative_numbers = true,
        value_parser = number::<usize>("fit", FIT))]
    fit: usize,
    /// Print JSON instead of a table.
    #[arg(long)]
    json: bool,
    /// Where to compute: auto, cpu, wgpu, or where built in libtorch, cuda:N or ws://HOST:PORT.
    #[arg(long, default_value = "auto")]
    device: String,
    /// Model folder; the shipped model if left out.
    #[arg(long, value_name = "DIR")]
    model: Option<PathBuf>,
}

/// Runs the command.
pub fn run(arguments: &Arguments) -> Result<()> {
    let choice = arguments.device.parse::<DeviceChoice>()?;
    if arguments.fit == 0 {
        return Err(Error::setting("fit", 0, FIT).into());
    }
    files::check_folder(&arguments.data, "--data")?;
    let model = files::model_files(arguments.model.as_deref())?;
    let (device, info) = files::device(choice)?;
    let pipeline = Pipeline::load(&model, &device)?;
    let measured = pollster::block_on(yardstick::measure(&pipeline, &arguments.data, arguments.fit, &device))?;
    if arguments.json {
        return files::print(&serde_json::to_string_pretty(&measured)?);
    }
    files::print(&table(&measured, &model.manifest.name, &info.name))
}

fn table(measured: &Yardstick, model: &str, device: &str) -> String {
    let Yardstick { components, fitted_to, rows } = measured;
    let mut lines = vec![
        format!("{model} on {device}; PSNR in dB; mean picture and PCA fitted to {fitted_to} training pictures"),
        format!(
            "{:<10} {:>8} {:>13} {:>13} {:>10} {:>10}",
            "group",
            "pictures",
            "mean picture",
            format!("PCA {components}"),
            "tokenizer",
            "its SSIM"
        ),
    ];
    lines.extend(rows.iter().map(|row| {
        format!(
            "{:<10} {:>8} {:>13.2} {:>13.2} {:>10.2} {:>10.3}",
            row.group, row.pictures, row.mean_picture, row.pca, row.tokenizer, row.ssim
        )
    }));
    lines.join("\n")
}
