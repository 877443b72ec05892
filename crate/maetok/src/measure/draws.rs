//! Samples of a model in numbers.

use burn::tensor::Device;
use image::RgbImage;

use super::{Data, Watch, lanes};
use crate::pipeline::{Pipeline, SampleRequest};
use crate::sampler::{Guidance, SamplerKind, schedule};
use crate::{Error, Result};

/// Samples in one batch.
const BATCH: usize = 16;

/// Number that the model gives each class of the data, whose folders it was trained on may have got plainer names.
///
/// # Errors
/// [`Error::Training`] if the model lacks a class.
pub fn model_classes(data: &Data, pipeline: &Pipeline) -> Result<Vec<usize>> {
    let manifest = pipeline.manifest();
    let plain = |name: &str| -> String {
        let kept = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
        let words: String = name.chars().map(kept).collect();
        words.split('-').filter(|word| !word.is_empty()).collect::<Vec<_>>().join("-")
    };
    let of = |folder: &String| {
        manifest.classes.iter().position(|class| class.name == plain(folder)).ok_or_else(|| {
            Error::training(format!("The model {} has no class {folder}, which the training folder has", manifest.name))
        })
    };
    data.classes().iter().map(of).collect()
}

/// One picture for every class of `classes`, the `i`-th with the `i`-th seed from `template`'s on.
///
/// # Errors
/// As [`Pipeline::sample_many`].
pub fn draw(
    pipeline: &Pipeline,
    classes: &[usize],
    template: &SampleRequest,
    device: &Device,
    watch: Watch<'_>,
) -> Result<Vec<RgbImage>> {
    let pictures = lanes::batches(classes.len(), BATCH, device, ("samples drawn", watch), |range| {
        let request = |at: usize| SampleRequest { class: classes[at], seed: seed(template, at), ..template.clone() };
        let requests: Vec<SampleRequest> = range.map(request).collect();
        pollster::block_on(pipeline.sample_many(&requests))
    })?;
    Ok(pictures.into_iter().flatten().collect())
}

/// Seed of the `at`-th sample.
pub fn seed(template: &SampleRequest, at: usize) -> u64 {
    template.seed.wrapping_add(at as u64)
}

/// How often the model is asked for one sample, each question counted for itself.
pub fn calls(request: &SampleRequest) -> usize {
    let times = match request.sampler {
        SamplerKind::Euler | SamplerKind::Heun => schedule::ode(request.start, request.steps),
        SamplerKind::Sde => schedule::sde(request.start, request.steps),
    };
    let (low, high) = request.interval;
    let guidance = Guidance { scale: request.guidance, low, high };
    let heun = request.sampler == SamplerKind::Heun;
    let asked = |step: usize| {
        let stages = if heun && step + 1 < request.steps { 2 } else { 1 };
        stages * (1 + usize::from(guidance.applies(times[step])))
    };
    (0..request.steps).map(asked).sum()
}

/// About how many seconds a question to the model takes, with as much at a time as [`draw`] has.
///
/// # Errors
/// As [`Pipeline::sample_many`].
pub fn seconds_per_call(pipeline: &Pipeline, device: &Device) -> Result<f64> {
    const STEPS: usize = 4;
    let count = BATCH * lanes::count(device);
    let template = SampleRequest { steps: STEPS, guidance: 1.0, ..SampleRequest::default() };
    let classes = vec![0; count];
    let seconds = lanes::seconds(|| draw(pipeline, &classes, &template, device, &|_| {}).map(drop))?;
    // Decoding is counted as one more.
    Ok(seconds / (count * (STEPS + 1)) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guided_steps_and_the_second_halves_of_heun_are_counted() {
        let plain = SampleRequest { steps: 4, guidance: 1.0, ..SampleRequest::default() };
        assert_eq!(calls(&plain), 4);
        assert_eq!(calls(&SampleRequest { guidance: 2.0, ..plain.clone() }), 8);
        // Times 1, 0.75, 0.5, 0.25: two of them guided.
        assert_eq!(calls(&SampleRequest { guidance: 2.0, interval: (0.3, 0.8), ..plain.clone() }), 6);
        assert_eq!(calls(&SampleRequest { sampler: SamplerKind::Heun, ..plain.clone() }), 7);
        assert_eq!(calls(&SampleRequest { sampler: SamplerKind::Sde, ..plain }), 4);
    }
}
