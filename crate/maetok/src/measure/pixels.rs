//! How far pictures are from the nearest training picture, pixel by pixel.
//!
//! No network decides here, so a copy is found whatever a network makes of it. Pictures are compared at [`SIDE`] pixels,
//! an average of what each covers: a slightly softened or shifted copy is still near. A mirrored copy is a copy.

use burn::tensor::{Device, Tensor, TensorData};
use image::RgbImage;
use image::imageops::flip_horizontal;

use super::{Told, Watch};
use crate::eval::neighbours;
use crate::features::resize;
use crate::image::to_planes;
use crate::train::data::Pictures;

/// Side in pixels at which pictures are compared; smaller ones as they are.
pub const SIDE: usize = 32;
/// Training pictures compared with at a time, so that all of them are never held in f32.
const CHUNK: usize = 4096;
/// Pictures shrunk together.
const BATCH: usize = 64;
/// A difference of 1 in values from -1 to 1 is so many of 0 to 255.
const BYTES: f64 = 127.5;

/// For every query the root of the mean squared difference, in steps of 255, to the nearest of all training pictures and
/// their mirror images.
///
/// # Panics
/// If the sizes differ, or there are no training pictures.
pub fn nearest(
    count: usize,
    query: impl Fn(usize) -> RgbImage,
    train: &Pictures,
    device: &Device,
    watch: Watch<'_>,
) -> Vec<f64> {
    let width = 3 * SIDE.min(train.size).pow(2);
    let either = |at: usize| if at.is_multiple_of(2) { query(at / 2) } else { flip_horizontal(&query(at / 2)) };
    let rows = shrunk(2 * count, either, device);
    assert_eq!(rows.len(), 2 * count * width, "pictures of the training pictures' size");
    let tell = |done| watch(Told::Progress { what: "training pictures compared with", done, of: train.len() });
    let mut least = vec![f64::INFINITY; count];
    for start in (0..train.len()).step_by(CHUNK) {
        tell(start);
        let chunk = shrunk(CHUNK.min(train.len() - start), |at| train.rgb(start + at), device);
        for (at, near) in neighbours::nearest(&rows, &chunk, width, 1, device).iter().enumerate() {
            least[at / 2] = least[at / 2].min(near[0].distance);
        }
    }
    tell(train.len());
    least.iter().map(|distance| distance / (width as f64).sqrt() * BYTES).collect()
}

/// `[count, 3 side²]` in [-1, 1].
fn shrunk(count: usize, picture: impl Fn(usize) -> RgbImage, device: &Device) -> Vec<f32> {
    let mut rows = Vec::new();
    for start in (0..count).step_by(BATCH) {
        let batch: Vec<RgbImage> = (start..(start + BATCH).min(count)).map(&picture).collect();
        let (width, height) = batch[0].dimensions();
        let [width, height] = [width as usize, height as usize];
        let planes: Vec<f32> = batch.iter().flat_map(to_planes).collect();
        let x = Tensor::<4>::from_data(TensorData::new(planes, [batch.len(), 3, height, width]), device);
        let x = resize(x, SIDE.min(height), SIDE.min(width));
        rows.extend(x.into_data().try_to_vec::<f32>().expect("f32"));
    }
    rows
}
