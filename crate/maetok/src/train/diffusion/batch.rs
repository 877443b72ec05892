//! What a generator's training step sees.

use burn::tensor::{Device, TensorData};

use super::DiffusionTraining;
use crate::Result;
use crate::diffusion::GeneratorConfig;
use crate::rng::Rng;
use crate::tokenizer::Tokenizer;
use crate::train::data::{Draw, Pictures, Sampler, stream};
use crate::train::evaluation;
use crate::train::latents::Latents;
use crate::train::losses::{Times, label_or_null};

/// A part of a batch.
pub struct Batch {
    /// Normalised latents, `[B, L, C]`.
    pub clean: TensorData,
    /// Standard normal, `[B, L, C]`.
    pub noise: TensorData,
    /// One per sample, in [0, 1].
    pub times: Vec<f64>,
    /// One per sample; the null class where dropped.
    pub labels: Vec<i64>,
}

/// Makes the batches of a run, cut into `parts`: what is drawn is a function of the step alone, however it is cut.
pub fn maker(
    settings: &DiffusionTraining,
    config: &GeneratorConfig,
    pictures: Pictures,
    latents: Latents,
    parts: usize,
) -> impl FnMut(u64) -> Vec<Batch> + Send + 'static {
    let mut sampler = Sampler::new(&pictures, settings.seed, settings.batch, settings.mirror, settings.balanced);
    let (settings, config, labels) = (settings.clone(), config.clone(), pictures.labels);
    move |step| {
        let mut rng = Rng::new(settings.seed, stream::DIFFUSION | step);
        let draws = sampler.draw(step);
        let mut clean = vec![0.0f32; draws.len() * latents.length];
        for (draw, out) in draws.iter().zip(clean.chunks_exact_mut(latents.length)) {
            latents.normalised(*draw, out);
        }
        let labels = draws.iter().map(|draw| labels[draw.index]).collect();
        noised(&settings, &config, &mut rng, clean, labels, config.class_dropout_prob()).split(parts)
    }
}

impl Batch {
    /// Cuts the batch into `parts` of equally many samples.
    fn split(self, parts: usize) -> Vec<Self> {
        let each = self.labels.len() / parts;
        let (tokens, channels) = (self.clean.shape()[1], self.clean.shape()[2]);
        let values = |data: TensorData| -> Vec<TensorData> {
            let values: Vec<f32> = data.iter().collect();
            let part = |values: &[f32]| TensorData::new(values.to_vec(), [each, tokens, channels]);
            values.chunks_exact(each * tokens * channels).map(part).collect()
        };
        let of_samples = self.times.chunks_exact(each).zip(self.labels.chunks_exact(each));
        let of_values = values(self.clean).into_iter().zip(values(self.noise));
        of_values
            .zip(of_samples)
            .map(|((clean, noise), (times, labels))| Self {
                clean,
                noise,
                times: times.to_vec(),
                labels: labels.to_vec(),
            })
            .collect()
    }
}

/// Adds times, noise and dropped labels to latents.
fn noised(
    settings: &DiffusionTraining,
    config: &GeneratorConfig,
    rng: &mut Rng,
    clean: Vec<f32>,
    labels: Vec<usize>,
    dropout: f64,
) -> Batch {
    let shape = [labels.len(), config.tokens(), config.channels()];
    let times = labels
        .iter()
        .map(|_| match settings.times {
            Times::Uniform => rng.uniform(),
            Times::Lognormal => rng.normal(),
        })
        .map(|draw| settings.times.from_draw(settings.path, draw))
        .collect();
    let labels = labels.iter().map(|label| label_or_null(*label, config.classes(), rng.uniform(), dropout)).collect();
    let noise: Vec<f32> = rng.normals(clean.len()).into_iter().map(|value| value as f32).collect();
    Batch { clean: TensorData::new(clean, shape), noise: TensorData::new(noise, shape), times, labels }
}

/// A fixed batch of held-out latents with fixed times and noise.
pub fn held_out(
    settings: &DiffusionTraining,
    config: &GeneratorConfig,
    pictures: &Pictures,
    tokenizer: &Tokenizer,
    (mean, std): (f64, f64),
    device: &Device,
) -> Result<Batch> {
    let chosen = pictures.subset(settings.evaluate_pictures);
    let draws: Vec<Draw> = chosen.iter().map(|index| Draw { index: *index, mirrored: false }).collect();
    let encoded = tokenizer.encode(evaluation::tensor(pictures, &draws, device), None);
    let clean = ((encoded - mean) / std).into_data().iter::<f32>().collect();
    let labels = chosen.iter().map(|index| pictures.labels[*index]).collect();
    Ok(noised(settings, config, &mut Rng::new(0, stream::HELD_OUT), clean, labels, 0.0))
}
