//! The latents of some training and held-out pictures, with thumbnails, for the page's map.
//!
//! Three files of a model folder: `map/map.json` says what there is, `map/latents.bin` has a signed byte for each number of
//! each latent, `map/pictures.jpg` the thumbnails in rows. A byte is worth [`SCALE`] standard deviations, which a drawing
//! cannot tell from the number itself.

use std::collections::BTreeMap;
use std::io::Cursor;

use image::codecs::jpeg::JpegEncoder;
use image::{ImageEncoder as _, RgbImage, imageops};
use serde::Serialize;

use super::{Data, Watch, lanes};
use crate::pipeline::Pipeline;
use crate::train::data::Pictures;
use crate::{Device, Error, Result};

/// Standard deviations of one step of a byte: seven either way, which a normal number never reaches.
pub const SCALE: f64 = 7.0 / 127.0;
/// Path of the description inside a model folder.
pub const PATH: &str = "map/map.json";
const LATENTS: &str = "map/latents.bin";
const PICTURES: &str = "map/pictures.jpg";
/// JPEG's quality of the thumbnails, 1 to 100.
const QUALITY: u8 = 80;

/// How much goes into a map.
#[derive(Clone, Copy, Debug)]
pub struct Extent {
    /// Training pictures of each class, as many as there are at most.
    pub train: usize,
    /// Held-out pictures of each class, likewise.
    pub held_out: usize,
    /// Side of a thumbnail in pixels.
    pub side: u32,
}

/// What `map.json` says; paths are relative to it.
#[derive(Serialize)]
struct Description {
    format: u32,
    count: usize,
    /// Numbers of a latent.
    width: usize,
    scale: f64,
    latents: &'static str,
    /// Index into the manifest's classes, picture by picture.
    classes: Vec<usize>,
    /// 1 for a held-out picture.
    held_out: Vec<u8>,
    sprite: Sprite,
}

#[derive(Serialize)]
struct Sprite {
    file: &'static str,
    side: u32,
    columns: u32,
}

/// Encodes the pictures and returns the map's files by their paths in the model folder.
///
/// # Errors
/// If the data have a class that the model lacks; what the device gives.
pub fn make(
    pipeline: &Pipeline,
    data: &Data,
    extent: Extent,
    device: &Device,
    watch: Watch<'_>,
) -> Result<BTreeMap<String, Vec<u8>>> {
    let chosen = |pictures: &Pictures, each: usize| pictures.subset(each * pictures.classes.len());
    let parts = [(&data.train, extent.train, 0u8), (&data.held_out, extent.held_out, 1)];
    let entries: Vec<(&Pictures, usize, u8)> = parts
        .into_iter()
        .flat_map(|(pictures, each, flag)| chosen(pictures, each).into_iter().map(move |at| (pictures, at, flag)))
        .collect();
    let class = |(pictures, at, _): &(&Pictures, usize, u8)| {
        pipeline.manifest().class_index(&pictures.classes[pictures.labels[*at]])
    };
    let classes = entries.iter().map(class).collect::<Result<Vec<usize>>>()?;
    let latents = lanes::batches(entries.len(), 1, device, ("pictures encoded", watch), |range| {
        let (pictures, at, _) = entries[range.start];
        pollster::block_on(pipeline.encode(&pictures.rgb(at)))
    })?;
    let (mean, std) = (pipeline.manifest().latent_mean, pipeline.manifest().latent_std);
    let byte = |z: &f32| ((f64::from(*z) - mean) / std / SCALE).round().clamp(-127.0, 127.0) as i8 as u8;
    let (tokens, channels) = pipeline.latent_shape();
    let columns = (entries.len().isqrt() as u32 + 1).max(1);
    let description = Description {
        format: 1,
        count: entries.len(),
        width: tokens * channels,
        scale: SCALE,
        latents: "latents.bin",
        classes,
        held_out: entries.iter().map(|(_, _, flag)| *flag).collect(),
        sprite: Sprite { file: "pictures.jpg", side: extent.side, columns },
    };
    let thumbnails = entries.iter().map(|(pictures, at, _)| pictures.rgb(*at));
    let json = serde_json::to_string(&description).expect("a struct of numbers has a JSON form") + "\n";
    Ok(BTreeMap::from([
        (PATH.to_owned(), json.into_bytes()),
        (LATENTS.to_owned(), latents.iter().flatten().map(byte).collect()),
        (PICTURES.to_owned(), sprite(thumbnails, extent.side, columns)?),
    ]))
}

/// Thumbnails in rows of `columns`, as JPEG.
fn sprite(pictures: impl ExactSizeIterator<Item = RgbImage>, side: u32, columns: u32) -> Result<Vec<u8>> {
    let rows = (pictures.len() as u32).div_ceil(columns);
    let mut sheet = RgbImage::new(columns * side, rows * side);
    for (at, picture) in (0u32..).zip(pictures) {
        let small = imageops::thumbnail(&picture, side, side);
        imageops::replace(&mut sheet, &small, i64::from(at % columns * side), i64::from(at / columns * side));
    }
    let mut file = Cursor::new(Vec::new());
    let (width, height) = sheet.dimensions();
    JpegEncoder::new_with_quality(&mut file, QUALITY)
        .write_image(sheet.as_raw(), width, height, image::ExtendedColorType::Rgb8)
        .map_err(|e| Error::picture(format!("The thumbnails could not be written as JPEG: {e}")))?;
    Ok(file.into_inner())
}
