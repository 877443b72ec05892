//! The samplers against trajectories of the official code, call by call.

use std::cell::RefCell;

use burn::tensor::{Int, Tensor, TensorData};
use maetok_tests::{Fixture, TestDevice, Tolerance, devices};
use serde_json::Value;

use super::{Guidance, SamplerKind, Trajectory};
use crate::checkpoint;
use crate::diffusion::{PathType, Sit, parity};

/// The small SiT with the last layer that the reference put in.
fn load(on: &TestDevice) -> (Sit, usize) {
    let weights = Fixture::open("sit.weights.safetensors");
    let last = Fixture::open("samplers.final_linear.safetensors");
    let file = safetensors::SafeTensors::deserialize(weights.bytes()).unwrap();
    let kept = file.tensors().into_iter().filter(|(name, _)| !last.has(name));
    let kept = safetensors::serialize(kept, None).unwrap();
    let config = parity::config(Fixture::open("samplers.safetensors").entry());
    let (sit, _) = checkpoint::load(config.init(&on.device).unwrap(), &[&kept, last.bytes()]).unwrap();
    (sit, config.classes)
}

fn velocity(sit: &Sit, x: &[f64], t: f64, labels: &[i64], shape: [usize; 3], on: &TestDevice) -> Vec<f32> {
    let x: Vec<f32> = x.iter().map(|x| *x as f32).collect();
    let y = Tensor::<1, Int>::from_data(TensorData::new(labels.to_vec(), [shape[0]]), &on.device);
    let t = Tensor::<1>::full([shape[0]], t as f32, &on.device);
    let v = sit.forward(Tensor::from_data(TensorData::new(x, shape), &on.device), t, y);
    v.into_data().try_to_vec().unwrap()
}

fn check(name: &str, run: &Value, fixture: &Fixture, on: &TestDevice) {
    let (sit, classes) = load(on);
    let number = |key: &str| run[key].as_f64().unwrap_or_else(|| panic!("{key} of {name}"));
    let kind = match (run["sampler"].as_str().unwrap(), run["heun"].as_bool()) {
        ("ode", Some(true)) => SamplerKind::Heun,
        ("ode", _) => SamplerKind::Euler,
        ("sde", _) => SamplerKind::Sde,
        (other, _) => panic!("{name} wants sampler {other}"),
    };
    let path: PathType = serde_json::from_value(run["path"].clone()).unwrap();
    let guidance = Guidance { scale: number("cfg"), low: number("low"), high: number("high") };
    let (shape, latents) = fixture.f32("latents");
    let shape: [usize; 3] = shape.try_into().unwrap();
    let count: usize = shape.iter().product();
    let (_, labels) = fixture.i64("y");
    let null = vec![classes as i64; labels.len()];
    let noise = fixture.has(&format!("{name}.noise")).then(|| fixture.f32(&format!("{name}.noise")).1);

    let start = latents.iter().map(|x| f64::from(*x)).collect();
    let mut trajectory = Trajectory::new(kind, path, guidance, 1.0, number("steps") as usize, start);
    let calls = RefCell::new((Vec::new(), Vec::new(), Vec::new(), Vec::new()));
    let mut draws = 0;
    loop {
        let progress = trajectory.advance(
            async |question| {
                let class = velocity(&sit, question.x, question.t, &labels, shape, on);
                let mut calls = calls.borrow_mut();
                calls.0.extend(question.x.iter().map(|x| *x as f32));
                calls.1.extend_from_slice(&class);
                calls.2.push(question.t as f32);
                calls.3.push(i64::from(question.guided));
                let class = class.iter().map(|v| f64::from(*v));
                Ok(if question.guided {
                    let null = velocity(&sit, question.x, question.t, &null, shape, on);
                    class.zip(null).map(|(c, n)| guidance.combine(c, f64::from(n))).collect()
                } else {
                    class.collect()
                })
            },
            || {
                let noise = noise.as_ref().expect("the reference drew noise here");
                draws += 1;
                noise[(draws - 1) * count..][..count].iter().map(|x| f64::from(*x)).collect()
            },
        );
        if pollster::block_on(progress).unwrap().is_none() {
            break;
        }
    }

    let (x_eval, v_cond, times, guided) = calls.into_inner();
    let numbers = |key: &str| run[key].as_array().unwrap().clone();
    assert_eq!(numbers("guided").iter().map(|g| g.as_i64().unwrap()).collect::<Vec<_>>(), guided, "{name}");
    assert_eq!(run["model_calls"].as_u64().unwrap() as usize, times.len(), "{name}");
    for (want, got) in numbers("eval_t").iter().zip(&times) {
        assert!((want.as_f64().unwrap() as f32 - got).abs() < 1e-6, "{name}: asked at {got}, reference at {want}");
    }
    assert_eq!(draws * count, noise.map_or(0, |n| n.len()), "{name} drew another number of noises");
    fixture.assert_close(&format!("{name}.x_eval"), on, &x_eval, Tolerance::WHOLE_MODEL);
    fixture.assert_close(&format!("{name}.v_cond"), on, &v_cond, Tolerance::WHOLE_MODEL);
    let last: Vec<f32> = trajectory.state().iter().map(|x| *x as f32).collect();
    fixture.assert_close(&format!("{name}.final"), on, &last, Tolerance::WHOLE_MODEL);
}

#[test]
fn parity_samplers() {
    let fixture = Fixture::open("samplers.safetensors");
    let runs = fixture.entry()["runs"].as_object().unwrap();
    assert!(!runs.is_empty());
    for on in devices() {
        for (name, run) in runs {
            check(name, run, &fixture, &on);
        }
    }
}
