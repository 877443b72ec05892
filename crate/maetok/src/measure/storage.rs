//! What it costs to keep weights in fewer bits, and what it saves: memory, time, how far every block and whole pictures
//! move away from those of f32.
//!
//! The pictures are the model's own, drawn with f32: nothing else is needed, and every machine gets the same ones.

use burn::tensor::{Device, Int, Tensor};
use image::RgbImage;
use serde::Serialize;

use crate::checkpoint::{ModelFiles, Weights};
use crate::diffusion::Generator;
use crate::eval::psnr;
use crate::image as picture;
use crate::nn::Probe;
use crate::pipeline::{Pipeline, SampleRequest};
use crate::rng::Rng;
use crate::{Error, Result};

/// How to measure.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// Pictures, the first of class 0 and seed 0, the next of class 1 and seed 1, and so on.
    pub pictures: usize,
    /// Steps of a picture.
    pub steps: usize,
    /// Times of each piece of work; 0 to leave times out.
    pub runs: usize,
}

impl Effort {
    /// Refuses what would measure nothing.
    ///
    /// # Errors
    /// [`Error::Setting`]
    pub fn check(&self) -> Result<()> {
        match self.pictures {
            0 => Err(Error::setting("pictures", 0, "a number from 1")),
            _ => Ok(()),
        }
    }
}

/// One way to keep weights, beside f32.
#[derive(Clone, Debug, Serialize)]
pub struct Cost {
    /// `"f32"`, `"as shipped"` or `"int8"`.
    pub weights: &'static str,
    /// Bytes that the model takes on the device; `None` where the device does not say.
    pub bytes: Option<u64>,
    /// Each block's output, and what the networks give in the end: `|x - x of f32| / |x of f32|`, Euclidean norms.
    pub blocks: Vec<(String, f64)>,
    /// Pictures through encoder and decoder.
    pub reconstructions: Apart,
    /// Pictures of the same noise; `None` without a generator.
    pub samples: Option<Apart>,
    /// Seconds of a reconstruction, in the order of the runs; those of the several ways were taken in turns.
    pub reconstruction_seconds: Vec<f64>,
    /// Seconds of a sample.
    pub sample_seconds: Vec<f64>,
}

/// How far pictures are apart.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Apart {
    /// Mean PSNR in dB over the pictures that differ at all; infinite if none does, which JSON has as null.
    pub psnr: f64,
    /// Farthest apart in a channel of a pixel, of 255.
    pub farthest: u8,
}

/// Measures f32, the weights as they ship, and int8, in this order.
///
/// # Errors
/// [`Error::Setting`] without pictures; as [`Pipeline::load`] and [`Pipeline::sample`].
pub async fn costs(files: &ModelFiles, device: &Device, effort: Effort, clock: impl Fn() -> f64) -> Result<Vec<Cost>> {
    effort.check()?;
    let mut kept = Vec::new();
    for (name, weights) in [("f32", Weights::F32), ("as shipped", Weights::AsShipped), ("int8", Weights::Int8)] {
        let before = in_use(device)?;
        let pipeline = Pipeline::load_as(files, device, weights)?;
        let bytes = in_use(device)?.zip(before).map(|(after, before)| after.saturating_sub(before));
        kept.push((name, bytes, pipeline));
    }
    let classes = files.manifest.classes.len().max(1);
    let request =
        |at: usize| SampleRequest { class: at % classes, seed: at as u64, steps: effort.steps, ..Default::default() };
    let requests: Vec<SampleRequest> = (0..effort.pictures).map(request).collect();

    let mut seen = Vec::new();
    for (_, _, pipeline) in &kept {
        let drawn = match pipeline.has_generator() {
            true => Some(pipeline.sample_many(&requests).await?),
            false => None,
        };
        let side = pipeline.image_size() as u32;
        // Those of f32, so that all are given the same.
        let given = match (&drawn, seen.first()) {
            (_, Some(Seen { given, .. })) => given.clone(),
            (Some(drawn), None) => drawn.clone(),
            (None, None) => (0..effort.pictures).map(|at| noise(at as u64, side)).collect(),
        };
        let mut again = Vec::with_capacity(given.len());
        for picture in &given {
            again.push(pipeline.reconstruct(picture).await?.reconstruction);
        }
        seen.push(Seen { blocks: blocks(pipeline, &given), given, again, drawn });
    }
    let [mut reconstruction_seconds, mut sample_seconds] = [vec![Vec::new(); kept.len()], vec![Vec::new(); kept.len()]];
    for _ in 0..effort.runs {
        for (at, (_, _, pipeline)) in kept.iter().enumerate() {
            let start = clock();
            pipeline.reconstruct(&seen[0].given[0]).await?;
            reconstruction_seconds[at].push(clock() - start);
            if pipeline.has_generator() {
                let start = clock();
                pipeline.sample(requests[0].clone(), |_| ()).await?;
                sample_seconds[at].push(clock() - start);
            }
        }
    }
    let times = reconstruction_seconds.into_iter().zip(sample_seconds);
    let cost = |((name, bytes, _), of, (reconstruction_seconds, sample_seconds)): (_, &Seen, _)| Cost {
        weights: name,
        bytes,
        blocks: (of.blocks.iter().zip(&seen[0].blocks))
            .map(|((name, got), (_, want))| (name.clone(), relative(got, want)))
            .collect(),
        reconstructions: apart(&of.again, &seen[0].again),
        samples: of.drawn.as_ref().zip(seen[0].drawn.as_ref()).map(|(got, want)| apart(got, want)),
        reconstruction_seconds,
        sample_seconds,
    };
    Ok(kept.into_iter().zip(&seen).zip(times).map(|((kept, seen), times)| cost((kept, seen, times))).collect())
}

/// What was seen of one way to keep weights.
struct Seen {
    given: Vec<RgbImage>,
    again: Vec<RgbImage>,
    drawn: Option<Vec<RgbImage>>,
    blocks: Vec<(String, Vec<f32>)>,
}

/// Bytes in use on the device, after what was asked of it so far.
fn in_use(device: &Device) -> Result<Option<u64>> {
    device.sync().map_err(|e| Error::Device { reason: e.to_string() })?;
    Ok(device.memory_pool_usage().map(|usage| usage.bytes_in_use))
}

/// A picture for a model that draws none.
fn noise(seed: u64, side: u32) -> RgbImage {
    let values = Rng::new(seed, 0).normals(3 * (side * side) as usize);
    let bytes = values.iter().map(|value| (127.5 + 64.0 * value) as u8).collect();
    RgbImage::from_raw(side, side, bytes).expect("three bytes a pixel")
}

/// Outputs of all blocks for the first of `given`, and of the generator's for the latent of that picture, half way to
/// noise.
fn blocks(pipeline: &Pipeline, given: &[RgbImage]) -> Vec<(String, Vec<f32>)> {
    let (tokenizer, generator, device) = pipeline.networks();
    let side = pipeline.image_size();
    let planes = picture::to_planes(&given[0]);
    let image = Tensor::<1>::from_floats(planes.as_slice(), device).reshape([1, 3, side, side]);
    let mut probe = Blocks::default();
    let z = tokenizer.encode_probed(image, None, &mut probe);
    tokenizer.decode_probed(z.clone(), &mut probe);
    if let Some(Generator::Sit(sit)) = generator {
        let [_, tokens, channels] = z.dims();
        let noise: Vec<f32> = Rng::new(0, 0).normals(tokens * channels).iter().map(|value| *value as f32).collect();
        let x = Tensor::<1>::from_floats(noise.as_slice(), device).reshape([1, tokens, channels]);
        let (t, y) = (Tensor::from_floats([0.5], device), Tensor::<1, Int>::from_ints([0], device));
        probe.enter("gen", None);
        sit.forward_probed(x, t, y, &mut probe);
        probe.exit();
    }
    probe.outputs
}

/// Keeps what every block gives, the latent, the pixels and the velocity.
#[derive(Default)]
struct Blocks {
    path: Vec<String>,
    outputs: Vec<(String, Vec<f32>)>,
}

impl Probe for Blocks {
    fn enter(&mut self, name: &'static str, index: Option<usize>) {
        self.path.push(index.map_or_else(|| name.to_owned(), |index| format!("{name} {index}")));
    }

    fn exit(&mut self) {
        self.path.pop();
    }

    fn see<const D: usize>(&mut self, name: &'static str, tensor: &Tensor<D>) {
        let last = self.path.last().map_or("", String::as_str);
        let of_block = last.starts_with("block") && name == "out";
        if of_block || matches!(name, "z" | "pixels_flat") || (last == "gen" && name == "out") {
            let end = if of_block { "" } else { name };
            let name = [self.path.join(" ").as_str(), end].join(" ").trim().to_owned();
            self.outputs.push((name, tensor.clone().into_data().convert::<f32>().iter::<f32>().collect()));
        }
    }
}

fn relative(got: &[f32], want: &[f32]) -> f64 {
    let norm = |values: &mut dyn Iterator<Item = f64>| values.map(|v| v * v).sum::<f64>().sqrt();
    let difference = norm(&mut got.iter().zip(want).map(|(got, want)| f64::from(got - want)));
    difference / norm(&mut want.iter().map(|want| f64::from(*want)))
}

fn apart(got: &[RgbImage], want: &[RgbImage]) -> Apart {
    let pairs = || got.iter().zip(want);
    let farthest = pairs().flat_map(|(got, want)| got.as_raw().iter().zip(want.as_raw())).map(|(a, b)| a.abs_diff(*b));
    let finite: Vec<f64> = pairs().map(|(got, want)| psnr(got, want)).filter(|psnr| psnr.is_finite()).collect();
    let mean = finite.iter().sum::<f64>() / finite.len() as f64;
    Apart { psnr: if finite.is_empty() { f64::INFINITY } else { mean }, farthest: farthest.max().unwrap_or(0) }
}
