//! A tokenizer beside what needs no network: the mean picture, and PCA with as many components as the latent has numbers.

use std::collections::BTreeMap;
use std::path::Path;

use burn::tensor::Device;
use serde::Serialize;

use super::data::{Pictures, Split};
use crate::eval::{Pca, psnr_of_mse};
use crate::image::to_planes;
use crate::pipeline::Pipeline;
use crate::{Error, Result};

/// Values of a picture lie in `[-1, 1]`.
const PEAK: f64 = 2.0;

/// Means over the pictures of one group; PSNR in dB per picture, then averaged.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// Group of classes, or "all".
    pub group: String,
    /// Held-out pictures.
    pub pictures: usize,
    /// PSNR of the mean training picture.
    pub mean_picture: f64,
    /// PSNR of PCA.
    pub pca: f64,
    /// PSNR of the tokenizer, after rounding to bytes.
    pub tokenizer: f64,
    /// SSIM of the tokenizer.
    pub ssim: f64,
}

/// All rows, and what they were measured with.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Yardstick {
    /// Components of the PCA: the numbers of a latent.
    pub components: usize,
    /// Training pictures that mean and PCA were fitted to.
    pub fitted_to: usize,
    /// "all" first, then the groups by name.
    pub rows: Vec<Row>,
}

/// Measures `pipeline`'s tokenizer and the yardsticks on the held-out pictures of `data`.
///
/// Mean and PCA see `fit` training pictures, evenly over the classes.
///
/// # Errors
/// [`Error::Training`] if the folder has no held-out pictures; what reading and the device give.
pub async fn measure(pipeline: &Pipeline, data: &Path, fit: usize, device: &Device) -> Result<Yardstick> {
    let split = Split::find(data)?;
    let held_out = split.held_out.as_ref().ok_or_else(|| {
        Error::training(format!("{} has no folder held-out beside train to measure on", data.display()))
    })?;
    let size = pipeline.image_size();
    let train = Pictures::read(&split.train, size, None)?;
    let held_out = Pictures::read(held_out, size, Some(&train.classes))?;

    let (tokens, channels) = pipeline.latent_shape();
    let chosen = train.subset(fit);
    let rows: Vec<f32> = chosen.iter().flat_map(|index| to_planes(&train.rgb(*index))).collect();
    let pca = Pca::fit(&rows, 3 * size * size, tokens * channels, device);
    drop(rows);

    let mut groups: BTreeMap<String, Vec<[f64; 4]>> = BTreeMap::new();
    for index in 0..held_out.len() {
        let picture = held_out.rgb(index);
        let planes = to_planes(&picture);
        let copy = pipeline.reconstruct(&picture).await?;
        let values = [
            of_planes(&planes, &pca.reconstruct(&planes, 0, device)),
            of_planes(&planes, &pca.reconstruct(&planes, pca.components(), device)),
            copy.psnr,
            copy.ssim,
        ];
        groups.entry("all".to_owned()).or_default().push(values);
        let group = split.group(&held_out.classes[held_out.labels[index]]);
        if !group.is_empty() {
            groups.entry(group.to_owned()).or_default().push(values);
        }
    }
    let mut rows: Vec<Row> = groups.into_iter().map(|(group, values)| row(group, &values)).collect();
    rows.sort_by_key(|row| (row.group != "all", row.group.clone()));
    Ok(Yardstick { components: pca.components(), fitted_to: chosen.len(), rows })
}

fn of_planes(want: &[f32], got: &[f32]) -> f64 {
    let squares: f64 = want.iter().zip(got).map(|(a, b)| f64::from(a - b).powi(2)).sum();
    psnr_of_mse(squares / want.len() as f64, PEAK)
}

fn row(group: String, values: &[[f64; 4]]) -> Row {
    let mean = |i: usize| values.iter().map(|v| v[i]).sum::<f64>() / values.len() as f64;
    Row { group, pictures: values.len(), mean_picture: mean(0), pca: mean(1), tokenizer: mean(2), ssim: mean(3) }
}
