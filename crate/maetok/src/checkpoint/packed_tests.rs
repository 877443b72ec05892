//! Matrices that stay packed: on which device, with which values, until when, and what is refused.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleMapper, Param};
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Distribution, Tensor};
use maetok_tests::{TestDevice, Tolerance, Values as _, assert_close, devices};
use safetensors::tensor::{Dtype, SafeTensors, TensorView, serialize};

use super::*;
use crate::kernels::{Packing, Route, within};
use crate::nn;

/// Sums in another order.
const CLOSE: Tolerance = Tolerance { abs: 2e-5, rel: 1e-4, of_max: 0.0 };

/// A layer whose matrix packs, 128 numbers in a row of the file, one whose matrix does not, and a tensor that is no
/// matrix of a layer.
#[derive(Module, Debug)]
struct Layers {
    fits: Linear,
    odd: Linear,
    token: Param<Tensor<2>>,
}

fn layers(device: &Device) -> Layers {
    Layers {
        fits: LinearConfig::new(128, 12).init(device),
        odd: LinearConfig::new(8, 6).init(device),
        token: Param::from_tensor(Tensor::random([4, 8], Distribution::Normal(0.0, 1.0), device)),
    }
}

fn file(storage: Storage) -> Vec<u8> {
    save(&layers(&Device::flex()), storage, &BTreeMap::new()).unwrap()
}

fn loaded(file: &[u8], device: &Device, weights: Weights) -> Layers {
    load_as(layers(device), &[file], weights).unwrap().0
}

fn packed(layer: &Linear) -> bool {
    layer.weight.reparameterization::<Packing>().is_some_and(|packing| packing.get().is_some())
}

fn bits<const D: usize>(tensor: Tensor<D>) -> Vec<u32> {
    tensor.values().1.into_iter().map(f32::to_bits).collect()
}

/// What the layer that fits makes of five rows.
fn output(layers: &Layers, x: &Tensor<2>) -> Vec<f32> {
    nn::linear(&layers.fits, x.clone()).values().1
}

fn rows(device: &Device) -> Tensor<2> {
    Tensor::random([5, 128], Distribution::Normal(0.0, 1.0), device)
}

fn gpus() -> impl Iterator<Item = Device> {
    devices().into_iter().filter(|on| on.label != "cpu").map(|TestDevice { device, .. }| device)
}

#[test]
fn matrices_are_packed_outside_training_on_a_gpu_in_fewer_bits_on_the_cpu_in_panels() {
    let cases = [
        (Storage::F16, Weights::AsShipped, true),
        (Storage::Int8, Weights::AsShipped, true),
        (Storage::F32, Weights::AsShipped, false),
        (Storage::F32, Weights::Int8, true),
        (Storage::F16, Weights::Int8, true),
        (Storage::F16, Weights::F32, false),
        (Storage::Int8, Weights::F32, false),
    ];
    for on in devices() {
        for (storage, weights, fewer_bits) in cases {
            let file = file(storage);
            let layers = loaded(&file, &on.device, weights);
            let panels = on.label == "cpu" && weights != Weights::F32;
            let fewer_bits = on.label != "cpu" && fewer_bits;
            assert_eq!(packed(&layers.fits), panels || fewer_bits, "{storage:?}, {weights:?}, {}", on.label);
            assert_eq!(packed(&layers.odd), panels, "six columns, {storage:?}, {weights:?}, {}", on.label);
            let training = on.device.clone().autodiff();
            assert!(!packed(&loaded(&file, &training, weights).fits), "in training on {}", on.label);
            // An adapter whose kernels are left out is the same to the loader.
            assert!(!packed(&within(Route::Plain, || loaded(&file, &on.device, weights)).fits));
        }
    }
}

#[test]
fn values_are_those_of_the_file_bit_for_bit_however_they_are_kept() {
    for storage in [Storage::F16, Storage::Int8] {
        let file = file(storage);
        let want = loaded(&file, &Device::flex(), Weights::F32);
        for on in devices() {
            for weights in [Weights::AsShipped, Weights::F32] {
                let got = loaded(&file, &on.device, weights);
                assert_eq!(bits(got.fits.weight.val()), bits(want.fits.weight.val()), "{storage:?} on {}", on.label);
                assert_eq!(bits(got.odd.weight.val()), bits(want.odd.weight.val()), "{storage:?} on {}", on.label);
                assert_eq!(bits(got.token.val()), bits(want.token.val()), "{storage:?} on {}", on.label);
            }
        }
    }
}

#[test]
fn a_file_of_int8_holds_what_int8_on_loading_gives() {
    let original = layers(&Device::flex());
    let [int8, f16, f32] =
        [Storage::Int8, Storage::F16, Storage::F32].map(|storage| save(&original, storage, &BTreeMap::new()).unwrap());
    let names: Vec<_> = tensor_names(&int8).unwrap();
    let of = |name: &str| names.iter().find(|(found, ..)| found == name).map(|(_, kind, shape)| (kind.as_str(), shape));
    assert_eq!(of("fits.weight"), Some(("I8", &vec![12, 128])));
    assert_eq!(of("fits.weight_scale"), Some(("F32", &vec![12, 2])));
    assert_eq!(of("odd.weight"), Some(("F16", &vec![6, 8])));
    assert_eq!(of("odd.weight_scale"), None);
    for on in devices() {
        let from_file = loaded(&int8, &on.device, Weights::AsShipped);
        let rounded = loaded(&f32, &on.device, Weights::Int8);
        assert_eq!(bits(from_file.fits.weight.val()), bits(rounded.fits.weight.val()), "on {}", on.label);
        // Matrices that are not rounded, and all else, are what they are in f16.
        let half = loaded(&f16, &on.device, Weights::F32);
        assert_eq!(bits(from_file.odd.weight.val()), bits(half.odd.weight.val()), "on {}", on.label);
    }
    let exact = original.fits.weight.val().values().1;
    let got = loaded(&int8, &Device::flex(), Weights::AsShipped).fits.weight.val().values().1;
    let largest = exact.iter().fold(0.0_f32, |most, value| most.max(value.abs()));
    let apart = exact.iter().zip(&got).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(apart > 0.0 && apart <= largest / 127.0 / 2.0 * 1.001, "{apart} of {largest}");
}

#[test]
fn every_route_reads_packed_weights_the_same() {
    for device in gpus() {
        for (storage, weights) in
            [(Storage::F16, Weights::AsShipped), (Storage::Int8, Weights::AsShipped), (Storage::F32, Weights::Int8)]
        {
            let (file, x) = (file(storage), rows(&device));
            let layers = loaded(&file, &device, weights);
            let plain = within(Route::Plain, || output(&layers, &x));
            for route in [Route::ByAdapter, Route::Registers, Route::Tiles] {
                let got = within(route, || output(&layers, &x));
                assert_close("packed weights", "output", &format!("{storage:?} by {route:?}"), &got, &plain, CLOSE);
            }
            // The f32 that plain ops asked for do not take the kernels' place.
            assert!(packed(&layers.fits));
        }
    }
}

#[test]
fn what_is_packed_is_forgotten_when_the_weight_changes() {
    struct Double;
    impl ModuleMapper for Double {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            param.map(|tensor| tensor * 2.0)
        }
    }
    for device in gpus() {
        let (first, second, x) = (file(Storage::F16), file(Storage::F16), rows(&device));
        let layers = || loaded(&first, &device, Weights::AsShipped);
        let check = |name: &str, got: Layers, want: Vec<f32>| {
            assert!(!packed(&got.fits), "{name}");
            assert_close("packed weights", name, "wgpu", &output(&got, &x), &want, CLOSE);
        };
        let twice: Vec<f32> = output(&layers(), &x).into_iter().map(|y| 2.0 * y).collect();
        check("doubled", layers().map(&mut Double), twice);
        let other = output(&loaded(&second, &device, Weights::F32), &x);
        check("loaded again", load_as(layers(), &[&second], Weights::AsShipped).unwrap().0, other);
        check("to training and back", layers().train().valid(), output(&layers(), &x));

        let moved = layers().to_device(&Device::flex());
        let got = output(&moved, &x.clone().to_device(&Device::flex()));
        assert_close("packed weights", "moved to the CPU", "cpu", &got, &output(&layers(), &x), CLOSE);
        assert!(packed(&layers().to_device(&device).fits) && packed(&layers().valid().fits));
        assert_eq!(save(&layers(), Storage::F16, &BTreeMap::new()).unwrap(), first, "saved as it came");
    }
}

/// The tensors of a file of int8 with one of them changed or, by `None`, left out.
type Changed = Option<(Dtype, Vec<usize>, Vec<u8>)>;

fn refusal(name: &str, change: impl FnOnce(Dtype, Vec<usize>, Vec<u8>) -> Changed) -> LoadReport {
    let file = file(Storage::Int8);
    let mut tensors: BTreeMap<String, (Dtype, Vec<usize>, Vec<u8>)> = SafeTensors::deserialize(&file)
        .unwrap()
        .iter()
        .map(|(name, view)| (name.to_owned(), (view.dtype(), view.shape().to_vec(), view.data().to_vec())))
        .collect();
    let (dtype, shape, data) = tensors.remove(name).unwrap();
    tensors.extend(change(dtype, shape, data).map(|changed| (name.to_owned(), changed)));
    let views = tensors.iter().map(|(name, (dtype, shape, data))| {
        (name.clone(), TensorView::new(*dtype, shape.clone(), data).expect("the change keeps its size"))
    });
    let changed = serialize(views, None).unwrap();
    let mut reports =
        devices().into_iter().map(|on| match load_as(layers(&on.device), &[&changed], Weights::AsShipped) {
            Err(crate::Error::WeightsMismatch { report }) => *report,
            other => panic!("{name} on {}: {:?}", on.label, other.map(|(_, report)| report)),
        });
    let first = reports.next().unwrap();
    assert!(reports.all(|report| report == first), "the same on every device");
    first
}

#[test]
fn files_whose_int8_makes_no_sense_are_refused_by_name() {
    let scale = "fits.weight_scale";
    assert_eq!(refusal(scale, |_, _, _| None).missing, [scale]);
    let bad = |shape: Vec<usize>, count: usize| {
        refusal(scale, move |dtype, _, data| Some((dtype, shape, data.repeat(32)[..4 * count].to_vec()))).misshaped
    };
    for (shape, count) in [(vec![12], 12), (vec![2, 12], 24), (vec![12, 3], 36), (vec![12, 64], 768), (vec![12, 0], 0)]
    {
        let got = shape.clone();
        assert_eq!(bad(shape, count), [Misshaped { name: scale.to_owned(), want: vec![12, 2], got }]);
    }
    let nan = |dtype, shape, mut data: Vec<u8>| {
        data[4..8].copy_from_slice(&f32::NAN.to_le_bytes());
        Some((dtype, shape, data))
    };
    assert_eq!(refusal(scale, nan).nonfinite, [scale]);
    let bytes = |_, shape: Vec<usize>, data: Vec<u8>| Some((Dtype::I8, shape, data[..data.len() / 2].to_vec()));
    for name in ["odd.weight", "fits.bias", "token"] {
        assert_eq!(refusal(name, bytes).mistyped, [name], "int8 is for matrices that pack");
    }
    assert_eq!(refusal(scale, |_, shape, data| Some((Dtype::I32, shape, data))).mistyped, [scale], "scales are floats");
}

#[test]
fn numbers_of_f16_that_are_none_are_refused_packed_or_not() {
    for on in devices() {
        let mut file = file(Storage::F16);
        let at = {
            let tensors = SafeTensors::deserialize(&file).unwrap();
            let data = tensors.tensor("fits.weight").unwrap().data().as_ptr() as usize - file.as_ptr() as usize;
            data + 2 * 130
        };
        file[at..at + 2].copy_from_slice(&half::f16::NEG_INFINITY.to_le_bytes());
        for weights in [Weights::AsShipped, Weights::F32, Weights::Int8] {
            match load_as(layers(&on.device), &[&file], weights) {
                Err(crate::Error::WeightsMismatch { report }) => assert_eq!(report.nonfinite, ["fits.weight"]),
                other => panic!("{weights:?} on {}: {:?}", on.label, other.map(|(_, report)| report)),
            }
        }
    }
}
