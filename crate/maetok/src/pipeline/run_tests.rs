//! Runs of the shipped model on the CPU: what a batch, an edit, a walk and an interruption must not change.

use super::*;
use crate::checkpoint::ModelFiles;
use crate::mix::Way;
use crate::pipeline::{Blend, Toward};
use crate::sampler::SamplerKind;
use burn::tensor::Device;

/// The shipped model.
fn pipeline() -> Pipeline {
    let models = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../assets/models/toon-128");
    Pipeline::load(&ModelFiles::from_folder(&models).unwrap(), &Device::flex()).unwrap()
}

/// Takes all steps that are left.
fn to_the_end(pipeline: &Pipeline, run: &mut SampleRun) {
    while pollster::block_on(pipeline.step(run)).unwrap().is_some() {}
}

/// The latents of one request.
fn latents(pipeline: &Pipeline, request: SampleRequest) -> Vec<f32> {
    let mut run = pipeline.start(request).unwrap();
    to_the_end(pipeline, &mut run);
    run.latents()
}

fn worst(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

/// Rounding of a batch, grown through the steps; measured 2e-5.
const ROUNDING: f32 = 1e-3;

/// Modulations come from a table that is made anew every 25 steps; asked for one by one they give the same latents.
#[test]
fn steps_told_ahead_are_the_steps_told_one_by_one() {
    let pipeline = pipeline();
    let (generator, config) = pipeline.generator().unwrap();
    let (tokens, channels) = pipeline.latent_shape();
    for sampler in [SamplerKind::Euler, SamplerKind::Heun, SamplerKind::Sde] {
        let request =
            SampleRequest { steps: 30, class: 3, seed: 5, interval: (0.2, 0.7), sampler, ..Default::default() };
        let mut ahead = pipeline.start(request.clone()).unwrap();
        let mut plain = pipeline.start(request.clone()).unwrap();
        let guidance = request.guidance();
        while pollster::block_on(pipeline.step(&mut ahead)).unwrap().is_some() {}
        let velocity = async |question: Evaluation<'_>| {
            let ask = |class: usize| {
                let x: Vec<f32> = question.x.iter().map(|x| *x as f32).collect();
                let x = Tensor::<3>::from_data(TensorData::new(x, [1, tokens, channels]), &pipeline.device);
                let t = Tensor::<1>::from_floats([question.t as f32], &pipeline.device);
                let y = Tensor::<1, Int>::from_ints([class as i32], &pipeline.device);
                generator.forward(x, t, y).into_data().try_to_vec::<f32>().unwrap()
            };
            let class = ask(request.class);
            let null = if question.guided { ask(config.classes()) } else { class.clone() };
            let combined = class.iter().zip(null).map(|(class, null)| match question.guided {
                true => guidance.combine(f64::from(*class), f64::from(null)),
                false => f64::from(*class),
            });
            Ok(combined.collect())
        };
        let values = plain.trajectory.state().len();
        let noise = &mut plain.noise[0];
        while pollster::block_on(plain.trajectory.advance(velocity, || noise.normals(values))).unwrap().is_some() {}
        let worst = ahead.latents().iter().zip(plain.latents()).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(worst < 1e-3, "{sampler:?}: {worst}");
    }
}

#[test]
fn a_batch_gives_what_its_pictures_give_alone() {
    let pipeline = pipeline();
    let base = SampleRequest { steps: 4, sampler: SamplerKind::Sde, ..Default::default() };
    let requests = vec![
        SampleRequest { seed: 3, ..base.clone() },
        SampleRequest { class: 5, toward: Some(Toward { class: 2, share: 0.4 }), ..base.clone() },
        SampleRequest { seed: 1, blend: Some(Blend { seed: 2, share: 0.5, way: Way::Spherical }), ..base },
    ];
    let mut run = pipeline.start_batch(requests.clone()).unwrap();
    to_the_end(&pipeline, &mut run);
    let alone: Vec<f32> = requests.into_iter().flat_map(|request| latents(&pipeline, request)).collect();
    assert!(worst(&run.latents(), &alone) < ROUNDING);
}

#[test]
fn a_run_that_is_taken_up_again_ends_where_it_would_have() {
    let pipeline = pipeline();
    for sampler in [SamplerKind::Euler, SamplerKind::Heun, SamplerKind::Sde] {
        let request = SampleRequest { steps: 6, seed: 9, sampler, ..Default::default() };
        let mut run = pipeline.start(request.clone()).unwrap();
        for _ in 0..3 {
            pollster::block_on(pipeline.step(&mut run)).unwrap();
        }
        let mut again = pipeline.resume(vec![request], run.taken(), run.state().to_vec()).unwrap();
        to_the_end(&pipeline, &mut run);
        to_the_end(&pipeline, &mut again);
        assert_eq!(run.latents(), again.latents(), "{sampler:?}");
    }
}

#[test]
fn a_walk_begins_at_one_class_and_ends_at_the_other() {
    let pipeline = pipeline();
    let request = |class, toward| SampleRequest { class, toward, steps: 3, seed: 4, ..Default::default() };
    let to = |share| Some(Toward { class: 7, share });
    let (one, other) = (latents(&pipeline, request(1, None)), latents(&pipeline, request(7, None)));
    assert!(worst(&latents(&pipeline, request(1, to(0.0))), &one) < ROUNDING);
    assert!(worst(&latents(&pipeline, request(1, to(1.0))), &other) < ROUNDING);
    let middle = latents(&pipeline, request(1, to(0.5)));
    assert!(worst(&middle, &one) > 0.05 && worst(&middle, &other) > 0.05);
}

#[test]
fn blended_noise_begins_at_one_seed_and_ends_at_the_other() {
    let pipeline = pipeline();
    let request = |seed, blend| SampleRequest { seed, blend, steps: 2, ..Default::default() };
    for way in [Way::Linear, Way::Spherical] {
        let to = |share| Some(Blend { seed: 2, share, way });
        assert!(worst(&latents(&pipeline, request(1, to(0.0))), &latents(&pipeline, request(1, None))) < ROUNDING);
        assert!(worst(&latents(&pipeline, request(1, to(1.0))), &latents(&pipeline, request(2, None))) < ROUNDING);
    }
}

#[test]
fn an_edit_keeps_the_more_of_its_picture_the_less_noise_it_gets() {
    let pipeline = pipeline();
    let (tokens, channels) = pipeline.latent_shape();
    let original = pipeline.tokenizer_units(&latents(&pipeline, SampleRequest { seed: 8, ..Default::default() }));
    assert_eq!(original.len(), tokens * channels);
    let distance = |start: f64| {
        let request = SampleRequest { start, seed: 3, steps: 8, ..Default::default() };
        let mut run = pipeline.start_from(vec![request], &original).unwrap();
        to_the_end(&pipeline, &mut run);
        let edited = pipeline.tokenizer_units(&run.latents());
        edited.iter().zip(&original).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>().sqrt()
    };
    let [little, half, all] = [0.1, 0.5, 1.0].map(distance);
    assert!(little < half && half < all, "{little} {half} {all}");
}

#[test]
fn what_does_not_fit_together_is_refused() {
    let pipeline = pipeline();
    let request = SampleRequest { steps: 3, ..Default::default() };
    let early = SampleRequest { start: 0.5, ..request.clone() };
    let longer = SampleRequest { steps: 4, ..request.clone() };
    for error in [
        pipeline.start(early.clone()).unwrap_err(),
        pipeline.start_batch(vec![]).unwrap_err(),
        pipeline.start_batch(vec![request.clone(), longer]).unwrap_err(),
        pipeline.start_from(vec![early], &[0.0; 3]).unwrap_err(),
        pipeline.resume(vec![request.clone()], 1, vec![0.0; 3]).unwrap_err(),
        pipeline.resume(vec![request], 4, vec![0.0; 256]).unwrap_err(),
    ] {
        assert_eq!(error.code(), "setting", "{error}");
    }
}
