//! The network that looks at pictures: features for statistics, and how alike two pictures look.

use std::path::PathBuf;

use burn::tensor::{Device, Tensor, TensorData};
use image::RgbImage;

use super::cache::Cache;
use super::{Watch, lanes};
use crate::checkpoint::sha256_hex;
use crate::features::{EfficientNetLite0, PerceptualDistance};
use crate::image::to_planes;
use crate::train::data::Pictures;
use crate::{Error, Result};

/// Pictures looked at together: 16 in two lanes keep two cores busy in some hundred MB.
const BATCH: usize = 8;

/// Features of pictures.
pub struct Judge {
    network: EfficientNetLite0,
    device: Device,
    /// SHA-256 of the weights.
    weights: String,
    cache: Option<Cache>,
}

/// What [`Judge::compare`] found.
pub struct Compared {
    /// Features of the first pictures, `[n, WIDTH]`.
    pub first: Vec<f32>,
    /// Features of the second pictures.
    pub second: Vec<f32>,
    /// [`PerceptualDistance`] of every pair.
    pub distances: Vec<f64>,
}

impl Judge {
    /// Number of features of a picture.
    pub const WIDTH: usize = EfficientNetLite0::POOLED;

    /// From the bytes of `assets/networks/efficientnet-lite0/model.safetensors`, looking at pictures at `side` by `side`
    /// pixels.
    ///
    /// # Errors
    /// As [`EfficientNetLite0::load`].
    pub fn load(weights: &[u8], side: usize, device: &Device) -> Result<Self> {
        let network = EfficientNetLite0::load(weights, side, device)?;
        Ok(Self { network, device: device.clone(), weights: sha256_hex(weights), cache: None })
    }

    /// Keeps features of data folders in this folder, and takes them from there.
    ///
    /// # Errors
    /// [`Error::Io`](crate::Error::Io) if it cannot be made.
    pub fn with_cache(mut self, folder: PathBuf) -> Result<Self> {
        self.cache = Some(Cache::new(folder)?);
        Ok(self)
    }

    /// Side, in pixels, at which pictures are looked at.
    pub fn side(&self) -> usize {
        self.network.side()
    }

    /// Where the statistics of features are computed too.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Features `[count, WIDTH]` of pictures of one size.
    ///
    /// # Errors
    /// If a feature is no number.
    pub fn features(
        &self,
        count: usize,
        picture: impl Fn(usize) -> RgbImage + Sync,
        watch: Watch<'_>,
    ) -> Result<Vec<f32>> {
        let told = ("pictures looked at", watch);
        let rows = lanes::batches(count, BATCH, &self.device, told, |range| {
            let batch: Vec<RgbImage> = range.map(&picture).collect();
            read(self.network.forward(self.tensor(&batch)).pooled)
        })?;
        Ok(rows.concat())
    }

    /// Features of some pictures of a data folder, from the cache if there is one.
    ///
    /// # Errors
    /// As [`features`](Self::features); if the cache cannot be written.
    pub fn features_of(&self, pictures: &Pictures, chosen: &[usize], watch: Watch<'_>) -> Result<Vec<f32>> {
        let Some(cache) = &self.cache else {
            return self.features(chosen.len(), |at| pictures.rgb(chosen[at]), watch);
        };
        let key = self.key(pictures, chosen);
        if let Some(known) = cache.get(&key, chosen.len() * Self::WIDTH) {
            return Ok(known);
        }
        let features = self.features(chosen.len(), |at| pictures.rgb(chosen[at]), watch)?;
        cache.put(&key, &features)?;
        Ok(features)
    }

    /// Whether the cache knows these features already.
    pub fn knows(&self, pictures: &Pictures, chosen: &[usize]) -> bool {
        self.cache.as_ref().is_some_and(|cache| cache.has(&self.key(pictures, chosen)))
    }

    /// What the features of pictures depend on.
    fn key(&self, pictures: &Pictures, chosen: &[usize]) -> String {
        let chosen: Vec<u8> = chosen.iter().flat_map(|index| (*index as u64).to_le_bytes()).collect();
        format!("{} {} {} {}", self.weights, self.side(), pictures.sha256(), sha256_hex(&chosen))
    }

    /// Looks at pairs of pictures, all of one size.
    ///
    /// # Errors
    /// If a feature is no number.
    pub fn compare(
        &self,
        count: usize,
        pair: impl Fn(usize) -> (RgbImage, RgbImage) + Sync,
        watch: Watch<'_>,
    ) -> Result<Compared> {
        let told = ("pairs looked at", watch);
        let parts = lanes::batches(count, BATCH, &self.device, told, |range| {
            let (first, second): (Vec<RgbImage>, Vec<RgbImage>) = range.map(&pair).unzip();
            let [first, second] = [first, second].map(|batch| self.network.forward(self.tensor(&batch)));
            let distances = read(PerceptualDistance::between(&first.stages, &second.stages))?;
            Ok((read(first.pooled)?, read(second.pooled)?, distances))
        })?;
        let mut all = Compared { first: Vec::new(), second: Vec::new(), distances: Vec::new() };
        for (first, second, distances) in parts {
            all.first.extend(first);
            all.second.extend(second);
            all.distances.extend(distances.into_iter().map(f64::from));
        }
        Ok(all)
    }

    /// About how many seconds a picture takes.
    ///
    /// # Errors
    /// As [`features`](Self::features).
    pub fn seconds_per_picture(&self, size: usize) -> Result<f64> {
        let count = lanes::count(&self.device) * BATCH;
        let blank = |_: usize| RgbImage::new(size as u32, size as u32);
        Ok(lanes::seconds(|| self.features(count, blank, &|_| {}).map(drop))? / count as f64)
    }

    /// `[B, 3, H, W]` in [-1, 1].
    fn tensor(&self, batch: &[RgbImage]) -> Tensor<4> {
        let (width, height) = batch[0].dimensions();
        let planes: Vec<f32> = batch.iter().flat_map(to_planes).collect();
        let shape = [batch.len(), 3, height as usize, width as usize];
        Tensor::from_data(TensorData::new(planes, shape), &self.device)
    }
}

fn read<const D: usize>(tensor: Tensor<D>) -> Result<Vec<f32>> {
    let data = pollster::block_on(tensor.into_data_async()).map_err(|e| Error::Device { reason: e.to_string() })?;
    let values: Vec<f32> = data.try_to_vec().map_err(|e| Error::Device { reason: e.to_string() })?;
    match values.iter().all(|value| value.is_finite()) {
        true => Ok(values),
        false => Err(Error::Device { reason: "The device gave features that are no numbers".to_owned() }),
    }
}
