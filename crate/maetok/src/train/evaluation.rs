//! How well pictures survive the tokenizer, per class and on average.

use std::collections::BTreeMap;

use burn::tensor::{Device, Tensor, TensorData};
use image::RgbImage;
use serde_json::{Map, Value, json};

use super::data::{Draw, Pictures, Split};
use crate::tokenizer::Tokenizer;
use crate::{eval, image as picture};

/// Pictures encoded at once.
const BATCH: usize = 32;
/// An exact copy has no finite PSNR; no 8-bit picture that differs comes close to this.
const PERFECT: f64 = 100.0;

/// Pictures as a tensor `[B, 3, H, W]` in [-1, 1].
pub fn tensor(pictures: &Pictures, draws: &[Draw], device: &Device) -> Tensor<4> {
    let length = 3 * pictures.size * pictures.size;
    let mut planes = vec![0.0f32; draws.len() * length];
    for (draw, out) in draws.iter().zip(planes.chunks_exact_mut(length)) {
        pictures.planes(*draw, out);
    }
    Tensor::from_data(TensorData::new(planes, [draws.len(), 3, pictures.size, pictures.size]), device)
}

/// Pictures through encoder and decoder, nothing masked.
pub fn reconstruct(tokenizer: &Tokenizer, pictures: &Pictures, indices: &[usize], device: &Device) -> Vec<RgbImage> {
    indices
        .chunks(BATCH)
        .flat_map(|part| {
            let draws: Vec<Draw> = part.iter().map(|index| Draw { index: *index, mirrored: false }).collect();
            let decoded = tokenizer.decode(tokenizer.encode(tensor(pictures, &draws, device), None));
            to_pictures(decoded, picture::reconstruction_to_bytes)
        })
        .collect()
}

/// A tensor `[B, 3, H, W]` as pictures, by one of the two rules for bytes.
pub fn to_pictures(planes: Tensor<4>, rule: fn(&[f32], usize) -> RgbImage) -> Vec<RgbImage> {
    let [_, channels, size, _] = planes.dims();
    let data = planes.into_data();
    let values = data.as_slice::<f32>().expect("models compute in f32");
    values.chunks_exact(channels * size * size).map(|one| rule(one, size)).collect()
}

/// Mean PSNR in dB over `indices`, over each class, and over each group of classes that `split` knows.
pub fn psnr(
    tokenizer: &Tokenizer,
    pictures: &Pictures,
    indices: &[usize],
    split: &Split,
    device: &Device,
) -> Map<String, Value> {
    let mut classes: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    let mut groups: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    let mut all = Vec::with_capacity(indices.len());
    for (index, copy) in indices.iter().zip(reconstruct(tokenizer, pictures, indices, device)) {
        let value = eval::psnr(&pictures.rgb(*index), &copy).min(PERFECT);
        let class = &pictures.classes[pictures.labels[*index]];
        all.push(value);
        classes.entry(class).or_default().push(value);
        let group = split.group(class);
        if !group.is_empty() {
            groups.entry(group).or_default().push(value);
        }
    }
    let table = |map: BTreeMap<&str, Vec<f64>>| -> Map<String, Value> {
        map.into_iter().map(|(name, values)| (name.to_owned(), rounded(&values))).collect()
    };
    let mut measured = Map::new();
    measured.insert("psnr".into(), rounded(&all));
    measured.insert("pictures".into(), json!(all.len()));
    measured.insert("psnr_by_group".into(), Value::Object(table(groups)));
    measured.insert("psnr_by_class".into(), Value::Object(table(classes)));
    measured
}

/// Mean in dB with two decimals.
fn rounded(values: &[f64]) -> Value {
    let mean = values.iter().sum::<f64>() / values.len().max(1) as f64;
    json!((mean * 100.0).round() / 100.0)
}
