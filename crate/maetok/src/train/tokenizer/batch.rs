//! What a tokenizer's training step sees.

use std::sync::Arc;

use burn::tensor::TensorData;
use rayon::prelude::*;

use super::TokenizerTraining;
use crate::nn::DropPath;
use crate::rng::Rng;
use crate::tokenizer::TokenizerConfig;
use crate::train::data::{Pictures, Sampler, stream};

/// A part of a batch.
pub struct Part {
    /// `[B, 3, H, W]` in [-1, 1].
    pub pictures: TensorData,
    /// `[B, L, C]`, standard normal, for the variational variant.
    pub noise: Option<TensorData>,
    /// Branches of the decoder that are left out.
    pub drop_path: Option<DropPath>,
}

/// Makes the batches of a run, cut into `parts`: what is drawn is a function of the step alone, however it is cut.
pub fn maker(
    settings: &TokenizerTraining,
    config: &TokenizerConfig,
    pictures: Arc<Pictures>,
    parts: usize,
) -> impl FnMut(u64) -> Vec<Part> + Send + 'static {
    let (settings, config) = (settings.clone(), config.clone());
    let mut sampler = Sampler::new(&pictures, settings.seed, settings.batch, settings.mirror, settings.balanced);
    let (size, each) = (config.image_size, settings.batch / parts);
    move |step| {
        let mut rng = Rng::new(settings.seed, stream::POSTERIOR | step);
        let mut paths = Rng::new(settings.seed, stream::DROP_PATH | step);
        let draws = sampler.draw(step);
        let drop_path = (settings.drop_path > 0.0)
            .then(|| DropPath::draw(&mut paths, settings.drop_path, config.decoder.depth, settings.batch).split(parts));
        let mut drop_path = drop_path.into_iter().flatten();
        let part = |draws: &[_]| {
            let length = 3 * size * size;
            let mut planes = vec![0.0f32; each * length];
            planes.par_chunks_exact_mut(length).zip(draws).for_each(|(out, draw)| pictures.planes(*draw, out));
            let noise = config.kl.then(|| {
                let shape = [each, config.latent_tokens, config.latent_channels];
                let values: Vec<f32> =
                    rng.normals(shape.iter().product()).into_iter().map(|value| value as f32).collect();
                TensorData::new(values, shape)
            });
            Part { pictures: TensorData::new(planes, [each, 3, size, size]), noise, drop_path: drop_path.next() }
        };
        draws.chunks_exact(each).map(part).collect()
    }
}
