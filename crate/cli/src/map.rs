//! `maetok map`

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use maetok::Error;
use maetok::checkpoint::add_files;
use maetok::device::DeviceChoice;
use maetok::measure::Data;
use maetok::measure::atlas::{self, Extent};
use maetok::pipeline::Pipeline;

use crate::settings::{number, numbers};
use crate::{files, progress};

const PER_CLASS: &str = "two numbers with a comma between, training and held-out pictures, as in 60,20";
const SIDE: &str = "a number of pixels from 8 to 128";

/// Arguments of `maetok map`.
#[derive(Args)]
pub struct Arguments {
    /// Data folder with train/ and held-out/, as `cargo xtask data` makes it.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Model folder, which gets the map: files below map/, listed in its manifest.
    #[arg(long, value_name = "DIR")]
    model: PathBuf,
    /// Training and held-out pictures of each class.
    #[arg(long, value_name = "TRAIN,HELD-OUT", default_value = "60,20", allow_hyphen_values = true,
        value_parser = numbers::<usize, 2>("per-class", ',', PER_CLASS))]
    per_class: [usize; 2],
    /// Side of a thumbnail in pixels, 8 to 128.
    #[arg(long, value_name = "N", default_value_t = 32, allow_negative_numbers = true,
        value_parser = number::<u32>("side", SIDE))]
    side: u32,
    /// Where to compute: auto, cpu, wgpu, or where built in libtorch, cuda:N or ws://HOST:PORT.
    #[arg(long, default_value = "auto")]
    device: String,
}

/// Runs the command.
pub fn run(arguments: &Arguments) -> Result<()> {
    let [train, held_out] = arguments.per_class;
    if train + held_out == 0 {
        return Err(Error::setting("per-class", "0,0", PER_CLASS).into());
    }
    if !(8..=128).contains(&arguments.side) {
        return Err(Error::setting("side", arguments.side, SIDE).into());
    }
    let choice = arguments.device.parse::<DeviceChoice>()?;
    files::check_folder(&arguments.data, "--data")?;
    let model = files::model_files(Some(&arguments.model))?;
    let (device, _) = files::device(choice)?;
    let pipeline = Pipeline::load(&model, &device)?;
    let data = Data::read(&arguments.data, pipeline.image_size())?;
    data.notices().iter().for_each(|notice| files::say(notice));
    let shown = progress::Told::default();
    let extent = Extent { train, held_out, side: arguments.side };
    let made = atlas::make(&pipeline, &data, extent, &device, &|told| shown.tell(told))?;
    shown.clear();
    let bytes: usize = made.values().map(Vec::len).sum();
    add_files(&arguments.model, &made, |manifest| manifest.map = Some(atlas::PATH.to_owned()))?;
    files::say(&format!("{}: a map of {:.1} MB.", arguments.model.join(atlas::PATH).display(), bytes as f64 / 1e6));
    Ok(())
}
