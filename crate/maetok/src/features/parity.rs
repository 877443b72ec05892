//! LPIPS against the official code's numbers, EfficientNet-Lite0 and what is made of it against PyTorch's.

use std::collections::BTreeSet;

use burn::tensor::{Device, Tensor, TensorData};
use maetok_tests::{Fixture, HashScales, Key, TestDevice, Tolerance, cpu, devices, keys};

use super::efficientnet::shipped;
use super::{Lpips, PatchTeacher, PerceptualDistance};
use crate::Error;
use crate::tokenizer::hash_weights_but;

/// EfficientNet-Lite0 in f32 on other convolutions and sums than PyTorch's, relative to the largest value of a tensor.
/// Worst seen: 7.3e-6, a map at 224 pixels on the CPU.
const NETWORK: Tolerance = Tolerance { abs: 0.0, rel: 0.0, of_max: 1e-4 };

/// Norm of a gradient's error over its norm. A place whose value lies within rounding of ReLU6's corners, 0 and 6, passes
/// its gradient in one computation and not in the next: PyTorch's own f32 and f64 differ by 2.4e-3 at 224 pixels.
const GRADIENT: f64 = 1e-2;

const TABLE: &str = "lpips-vgg16";

/// The reference's weights: hash values, the convolutions' times sqrt 2 as its manifest says, but the scaling layer as
/// it is.
fn lpips_weights(fixture: &Fixture) -> Vec<u8> {
    let change = |key: &Key, values: Vec<f32>| match key.name.as_str() {
        "scaling_layer.shift" => vec![-0.030, -0.088, -0.188],
        "scaling_layer.scale" => vec![0.458, 0.448, 0.450],
        name if name.starts_with("net.") && key.shape.len() == 4 => {
            values.into_iter().map(|v| v * std::f32::consts::SQRT_2).collect()
        }
        _ => values,
    };
    hash_weights_but(&HashScales::of(fixture.entry()), "lpips.", TABLE, change)
}

/// On the CPU only: the 30 GFLOP take a minute or more on software adapters.
#[test]
fn parity_lpips() {
    let fixture = Fixture::open("lpips.safetensors");
    let on = cpu();
    let device = on.device.clone().autodiff();
    let lpips = Lpips::load(&[&lpips_weights(&fixture)], &device).unwrap();
    let a = fixture.tensor::<4>("a", &device).require_grad();
    let b = fixture.tensor::<4>("b", &device);

    let distance = lpips.forward(a.clone(), b); // [B]
    let [batch] = distance.dims();
    fixture.assert_close("lpips", &on, distance.clone().reshape([batch, 1, 1, 1]), Tolerance::SINGLE_MODULE);
    let gradient = a.grad(&distance.mean().backward()).expect("a gradient");
    fixture.assert_close("grad_a", &on, gradient, Tolerance::WHOLE_TENSOR);
    for (at, map) in lpips.features(a.clone()).into_iter().enumerate() {
        fixture.assert_close(&format!("feat{at}.sub"), &on, &some(map, 101), Tolerance::WHOLE_MODEL);
    }
    let same: Vec<f32> = lpips.forward(a.clone(), a).into_data().try_to_vec().unwrap();
    assert_eq!(same, [0.0; 2], "equal pictures");

    let compared = ["a", "b", "lpips", "grad_a", "feat0.sub", "feat1.sub", "feat2.sub", "feat3.sub", "feat4.sub"];
    let unchecked: Vec<String> = fixture.names().into_iter().filter(|n| !compared.contains(&n.as_str())).collect();
    assert!(unchecked.is_empty(), "{unchecked:?}");
}

#[test]
fn lpips_asks_for_exactly_the_official_keys() {
    let nothing = safetensors::serialize(Vec::<(String, safetensors::tensor::TensorView<'_>)>::new(), None).unwrap();
    let Err(Error::WeightsMismatch { report }) = Lpips::load(&[&nothing], &Device::flex()) else {
        panic!("an empty file must be refused");
    };
    let missing: BTreeSet<String> = report.missing.into_iter().collect();
    let official: BTreeSet<String> = keys(TABLE).into_iter().map(|key| key.name).collect();
    assert_eq!(missing, official);
}

fn own() -> Fixture {
    Fixture::own("efficientnet_lite0.safetensors")
}

/// The fixture's three pictures, `[3, 3, 64, 64]` in [-1, 1].
pub(super) fn pictures(device: &Device) -> Tensor<4> {
    let (shape, bytes) = own().u8("pictures");
    let values: Vec<f32> = bytes.into_iter().map(|v| f32::from(v) / 127.5 - 1.0).collect();
    Tensor::from_data(TensorData::new(values, shape), device)
}

/// Every `step`-th value of a tensor.
fn some<const D: usize>(x: Tensor<D>, step: usize) -> Vec<f32> {
    let values: Vec<f32> = x.into_data().try_to_vec().unwrap();
    values.into_iter().step_by(step).collect()
}

/// Euclidean norm of the difference over that of `want`.
fn relative_error(got: &[f32], want: &[f32]) -> f64 {
    assert_eq!(got.len(), want.len());
    let squares = |values: &mut dyn Iterator<Item = f32>| values.map(|v| f64::from(v).powi(2)).sum::<f64>();
    (squares(&mut got.iter().zip(want).map(|(a, b)| a - b)) / squares(&mut want.iter().copied())).sqrt()
}

/// Maps, features, distance, its gradient and patch targets at one side of the network.
fn check_network(side: usize, on: &TestDevice) {
    let fixture = own();
    let device = on.device.clone().autodiff();
    let network = shipped(side, &device);
    let picture = pictures(&device);
    let mut seen = BTreeSet::new();
    let mut check = |name: &str, values: &[f32]| {
        let name = format!("{side}.{name}");
        fixture.assert_close(&name, on, values, NETWORK);
        seen.insert(name);
    };

    let features = network.forward(picture.clone());
    check("pooled", &some(features.pooled, 1));
    for (at, map) in features.stages.into_iter().enumerate() {
        check(&format!("stage{at}"), &some(map, 307));
    }
    let teacher = PatchTeacher::new(network.clone(), 4, 64, 8).unwrap();
    check("patches", &some(teacher.targets(picture.clone()), 13));

    let first = picture.clone().require_grad();
    let others = Tensor::cat(vec![picture.clone().narrow(0, 1, 2), picture.narrow(0, 0, 1)], 0);
    let distance = PerceptualDistance::new(network).forward(first.clone(), others);
    check("distance", &some(distance.clone(), 1));
    let gradient = some(first.grad(&distance.sum().backward()).expect("a gradient"), 13);
    let name = format!("{side}.gradient");
    let off = relative_error(&gradient, &fixture.f32(&name).1);
    assert!(off < GRADIENT, "{name} on {}: relative error {off:.2e}", on.label);
    seen.insert(name);

    let of_this_side = fixture.names().into_iter().filter(|name| name.starts_with(&format!("{side}.")));
    let unchecked: Vec<String> = of_this_side.filter(|name| !seen.contains(name)).collect();
    assert!(unchecked.is_empty(), "{unchecked:?}");
}

#[test]
fn parity_efficientnet_at_64_pixels() {
    for on in devices() {
        check_network(64, &on);
    }
}

/// On the CPU only: twelve times the work of 64 pixels, where a software adapter already takes its time.
#[test]
fn parity_efficientnet_at_224_pixels() {
    check_network(224, &cpu());
}

/// The published weights are f32; ours are rounded to f16, the batch normalisations folded in.
#[test]
fn rounding_to_f16_moves_the_features_by_less_than_one_per_cent() {
    let fixture = own();
    let device = Device::flex();
    for side in [64, 224] {
        let ours = some(shipped(side, &device).forward(pictures(&device)).pooled, 1);
        let (_, published) = fixture.f32(&format!("original.{side}.pooled"));
        let off = relative_error(&ours, &published);
        assert!(off > 0.0 && off < 0.01, "relative difference {off:.2e} at {side} pixels");
    }
}
