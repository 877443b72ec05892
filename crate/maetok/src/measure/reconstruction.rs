//! A tokenizer on held-out pictures, beside what needs no network: the mean picture, and PCA with as many components as
//! the latent has numbers.

use burn::tensor::Device;
use image::RgbImage;
use serde::Serialize;

use super::verdict::Seen;
use super::{Data, Judge, Watch, lanes};
use crate::Result;
use crate::eval::{Moments, Pca, frechet_distance, psnr_of_mse};
use crate::image::to_planes;
use crate::pipeline::Pipeline;

/// Name of the row over all groups.
pub const ALL: &str = "all";
/// Values of a picture lie in `[-1, 1]`.
const PEAK: f64 = 2.0;
/// Pictures given to PCA at a time.
const BATCH: usize = 64;
/// Fewest pictures of a group of which an rFID is stated: with fewer, its covariances tell their number above all.
pub const FEWEST_OF_RFID: usize = 200;

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
    /// [`PerceptualDistance`](crate::features::PerceptualDistance) of the reconstructions from the originals, from 0
    /// (equal) to 4.
    pub distance: f64,
    /// Fréchet distance between features of the originals and of the reconstructions; none below [`FEWEST_OF_RFID`].
    pub rfid: Option<f64>,
}

/// All rows, and what they were measured with.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Reconstructions {
    /// Components of the PCA: the numbers of a latent.
    pub components: usize,
    /// Training pictures that mean and PCA were fitted to.
    pub fitted_to: usize,
    /// Side in pixels at which the network of `distance` and `rfid` looks at pictures.
    pub feature_side: usize,
    /// "all" first, then the groups by name.
    pub rows: Vec<Row>,
}

/// Measures `pipeline`'s tokenizer and the yardsticks on the held-out pictures of `data`.
///
/// Mean and PCA see `fit` training pictures, evenly over the classes.
///
/// # Errors
/// What the device gives.
pub fn measure(
    pipeline: &Pipeline,
    judge: &Judge,
    data: &Data,
    fit: usize,
    watch: Watch<'_>,
) -> Result<Reconstructions> {
    let (device, held_out) = (judge.device(), &data.held_out);
    let copies = reconstructed(pipeline, held_out.len(), |at| held_out.rgb(at), device, watch)?;
    let (linear, components, fitted_to) = by_linear_means(pipeline, data, fit, device);
    let pictures: Vec<&RgbImage> = copies.iter().map(|copy| &copy.picture).collect();
    let seen = judge.compare(held_out.len(), |at| (held_out.rgb(at), pictures[at].clone()), watch)?;

    let as_seen = |features: Vec<f32>| Seen { features, labels: held_out.labels.clone() };
    let (originals, others) = (as_seen(seen.first), as_seen(seen.second));
    let row = |(group, member): (String, Vec<bool>)| {
        let of: Vec<usize> = (0..held_out.len()).filter(|at| member[held_out.labels[*at]]).collect();
        let mean = |value: &dyn Fn(usize) -> f64| of.iter().map(|at| value(*at)).sum::<f64>() / of.len() as f64;
        let rfid = || {
            let moments = |seen: &Seen| Moments::of(&seen.rows(&of).features, Judge::WIDTH);
            frechet_distance(&moments(&originals), &moments(&others))
        };
        (!of.is_empty()).then(|| Row {
            group,
            pictures: of.len(),
            mean_picture: mean(&|at| linear[at].0),
            pca: mean(&|at| linear[at].1),
            tokenizer: mean(&|at| copies[at].psnr),
            ssim: mean(&|at| copies[at].ssim),
            distance: mean(&|at| seen.distances[at]),
            rfid: (of.len() >= FEWEST_OF_RFID).then(rfid),
        })
    };
    let rows = data.groups().into_iter().filter_map(row).collect();
    Ok(Reconstructions { components, fitted_to, feature_side: judge.side(), rows })
}

/// A reconstruction and its scores.
pub(super) struct Reconstructed {
    pub picture: RgbImage,
    pub psnr: f64,
    pub ssim: f64,
}

/// Pictures through the tokenizer.
pub(super) fn reconstructed(
    pipeline: &Pipeline,
    count: usize,
    picture: impl Fn(usize) -> RgbImage + Sync,
    device: &Device,
    watch: Watch<'_>,
) -> Result<Vec<Reconstructed>> {
    lanes::batches(count, 1, device, ("pictures reconstructed", watch), |range| {
        let copy = pollster::block_on(pipeline.reconstruct(&picture(range.start)))?;
        Ok(Reconstructed { picture: copy.reconstruction, psnr: copy.psnr, ssim: copy.ssim })
    })
}

/// PSNR of the mean picture and of PCA for every held-out picture; the number of components; pictures fitted to.
fn by_linear_means(pipeline: &Pipeline, data: &Data, fit: usize, device: &Device) -> (Vec<(f64, f64)>, usize, usize) {
    let (train, held_out) = (&data.train, &data.held_out);
    let (tokens, channels) = pipeline.latent_shape();
    let width = 3 * train.size * train.size;
    let chosen = train.subset(fit);
    let rows: Vec<f32> = chosen.iter().flat_map(|index| to_planes(&train.rgb(*index))).collect();
    let pca = Pca::fit(&rows, width, tokens * channels, device);
    drop(rows);
    let mut values = Vec::with_capacity(held_out.len());
    for start in (0..held_out.len()).step_by(BATCH) {
        let range = start..(start + BATCH).min(held_out.len());
        let planes: Vec<f32> = range.flat_map(|at| to_planes(&held_out.rgb(at))).collect();
        let [mean, best] = [0, pca.components()].map(|k| pca.reconstruct(&planes, k, device));
        let each = planes.chunks_exact(width).zip(mean.chunks_exact(width)).zip(best.chunks_exact(width));
        values.extend(each.map(|((want, mean), best)| (of_planes(want, mean), of_planes(want, best))));
    }
    (values, pca.components(), chosen.len())
}

fn of_planes(want: &[f32], got: &[f32]) -> f64 {
    let squares: f64 = want.iter().zip(got).map(|(a, b)| f64::from(a - b).powi(2)).sum();
    psnr_of_mse(squares / want.len() as f64, PEAK)
}
