//! `maetok bench weights`: what weights in fewer bits cost, and what they save.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use maetok::device::DeviceChoice;
use maetok::measure::storage::{Cost, Effort, costs};
use serde_json::json;

use super::clock;
use crate::files;
use crate::settings::number;

/// Arguments of `maetok bench weights`.
#[derive(Args)]
pub struct Arguments {
    /// Where to compute: auto, cpu or wgpu.
    #[arg(long, default_value = "auto")]
    device: String,
    /// Model folder; the shipped model if left out.
    #[arg(long, value_name = "DIR")]
    model: Option<PathBuf>,
    /// Pictures to draw and to reconstruct.
    #[arg(long, default_value_t = 8, value_parser = number::<usize>("pictures", "a number from 1"))]
    pictures: usize,
    /// Steps of each picture.
    #[arg(long, default_value_t = 25, value_parser = number::<usize>("steps", "a number from 1 to 1000"))]
    steps: usize,
    /// Times of each piece of work, those of the several ways in turns; the median counts.
    #[arg(long, default_value_t = 5, value_parser = number::<usize>("runs", "a number from 0"))]
    runs: usize,
    /// Print JSON: every time, the device, and what was measured.
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub fn run(arguments: &Arguments) -> Result<()> {
    let effort = Effort { pictures: arguments.pictures, steps: arguments.steps, runs: arguments.runs };
    effort.check()?;
    let device = arguments.device.parse::<DeviceChoice>()?;
    let files = files::model_files(arguments.model.as_deref())?;
    let (device, info) = files::device(device)?;
    let costs = pollster::block_on(costs(&files, &device, effort, clock()))?;
    if arguments.json {
        return files::print(&json!({ "device": info, "what": files.manifest.name, "weights": costs }).to_string());
    }
    files::print(&format!("{} on {} ({})", files.manifest.name, info.name, info.backend))?;
    let row = |name: &str, cell: &dyn Fn(&Cost) -> String| {
        let cells: String = costs.iter().map(|cost| format!(" {:>20}", cell(cost))).collect();
        files::print(&format!("{name:<30}{cells}"))
    };
    row("", &|cost| cost.weights.to_owned())?;
    row("MB on the device", &|cost| {
        cost.bytes.map_or_else(|| "-".to_owned(), |bytes| format!("{:.2}", bytes as f64 / 1e6))
    })?;
    row("reconstruction, ms", &|cost| median(&cost.reconstruction_seconds))?;
    row("sample, ms", &|cost| median(&cost.sample_seconds))?;
    for at in 0..costs[0].blocks.len() {
        row(&costs[0].blocks[at].0, &|cost| format!("{:.1e}", cost.blocks[at].1))?;
    }
    let apart = |apart: maetok::measure::storage::Apart| match apart.farthest {
        0 => "equal".to_owned(),
        farthest => format!("{:.1} dB, {farthest} of 255", apart.psnr),
    };
    row("reconstructions", &|cost| apart(cost.reconstructions))?;
    row("samples", &|cost| cost.samples.map_or_else(|| "-".to_owned(), apart))
}

fn median(seconds: &[f64]) -> String {
    let mut sorted = seconds.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).map_or_else(|| "-".to_owned(), |median| format!("{:.1}", 1e3 * median))
}
