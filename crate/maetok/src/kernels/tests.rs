//! Kernels against the plain ops that define them, on every wgpu device and by both routes.

use burn::tensor::{Device, Distribution, Tensor};
use maetok_shaders::linear::{pack_f16, pack_int8, unpack_f16, unpack_int8};
use maetok_tests::{TestDevice, Tolerance, Values as _, assert_close, devices};

use super::*;
use crate::image::{Rounding, from_pixels, from_planes};
use crate::nn::linear::{activated, added};
use crate::nn::{self, RmsNorm};

/// Sums of up to some hundred terms in another order.
const CLOSE: Tolerance = Tolerance { abs: 2e-5, rel: 1e-4, of_max: 0.0 };
const ROUTES: [Route; 2] = [Route::Registers, Route::Tiles];

fn gpus() -> Vec<Device> {
    devices().into_iter().filter(|on| on.label != "cpu").map(|TestDevice { device, .. }| device).collect()
}

fn close<const D: usize>(name: &str, route: Route, got: Tensor<D>, want: &[f32], tolerance: Tolerance) {
    assert_close("kernels against plain ops", name, &format!("wgpu by {route:?}"), &got.values().1, want, tolerance);
}

fn random<const D: usize>(shape: [usize; D], device: &Device) -> Tensor<D> {
    Tensor::random(shape, Distribution::Normal(0.0, 1.0), device)
}

/// Runs `work` by plain ops and by each route, which must launch `dispatches` kernels, and compares.
fn agree<const D: usize>(name: &str, dispatches: u64, work: impl Fn() -> Tensor<D>) {
    let plain = within(Route::Plain, &work).values().1;
    for route in ROUTES {
        let before = launches();
        let got = within(route, &work);
        assert_eq!(launches() - before, dispatches, "dispatches of {name} by {route:?}");
        close(name, route, got, &plain, CLOSE);
    }
}

#[test]
fn linear_layers_agree_at_odd_sizes() {
    for device in gpus() {
        for (m, k, n) in [(1, 4, 4), (2, 8, 132), (3, 20, 64), (4, 96, 12), (5, 4, 8), (37, 64, 68), (65, 36, 132)] {
            let layer = nn::linear_xavier(k, n, &device);
            let x = random([m, k], &device);
            agree(&format!("{m} x {k} x {n}"), 1, || nn::linear(&layer, x.clone()));
        }
        let layer = nn::linear_xavier(32, 24, &device);
        for kind in [Activation::GeluExact, Activation::GeluTanh, Activation::Silu] {
            for m in [2, 9] {
                let x = random([m, 32], &device) * 3.0;
                agree(&format!("{kind:?} of {m} rows"), 1, || activated(&layer, x.clone(), kind));
            }
        }
    }
}

#[test]
fn residuals_and_gates_agree() {
    for device in gpus() {
        let (batch, tokens, k, n) = (3, 5, 16, 24);
        let mut layer = nn::linear_xavier(k, n, &device);
        let x = random([batch, tokens, k], &device);
        let old = random([batch, tokens, n], &device);
        let position = random([1, tokens, n], &device);
        let gamma = random([n], &device);
        let table = random([batch + 2, 3 * n], &device);
        let samples = Gate::Samples { table: &table, row: 2, at: n };
        for bias in [true, false] {
            if !bias {
                layer.bias = None;
            }
            for residual in [
                Residual::Added(&old),
                Residual::Added(&position),
                Residual::Gated(&old, Gate::Channels(&gamma)),
                Residual::Gated(&old, samples),
            ] {
                agree(&format!("{residual:?}, bias {bias}"), 1, || added(&layer, x.clone(), residual));
            }
        }
    }
}

#[test]
fn norms_agree() {
    for device in gpus() {
        let (batch, tokens, width) = (2, 7, 36);
        let x = random([batch, tokens, width], &device) * 2.0 + 0.5;
        let (weight, bias) = (random([width], &device), random([width], &device));
        let rows = random([batch + 1, 6 * width], &device);
        let latents = random([batch, 3, 4 * width], &device);
        let rms = RmsNorm::new(width, 1e-6, &device);
        for modulation in [
            Modulation::None,
            Modulation::Affine { weight: &weight, bias: &bias },
            Modulation::Samples { table: &rows, row: 1, at: 3 * width },
            Modulation::Latents { table: &latents, at: 2 * width },
        ] {
            agree(&format!("{modulation:?}"), 1, || nn::normalize_modulated(x.clone(), 1e-6, modulation));
            agree(&format!("rms, {modulation:?}"), 1, || rms.modulated(x.clone(), modulation));
        }
        let two = random([5, 4], &device);
        agree("two axes", 1, || nn::normalize(two.clone(), 1e-6));
    }
}

/// Attention in plain ops, as `nn/attention.rs` has it.
fn plain_attention(qkv: Tensor<3>, heads: usize, rotary: Option<&(Tensor<3>, Tensor<3>)>, first: usize) -> Tensor<3> {
    let [mut q, mut k, v] = nn::attention::split_heads(qkv, heads);
    if let Some(table) = rotary {
        q = nn::rope::rotate(q, table, first);
        k = nn::rope::rotate(k, table, first);
    }
    nn::attention::attend(nn::attention::scores(q, k), v)
}

#[test]
fn attention_agrees_with_and_without_rotary_positions() {
    for device in gpus() {
        for (batch, tokens, heads, dim) in [(1, 1, 1, 4), (2, 37, 3, 8), (1, 70, 2, 48), (2, 33, 1, 128)] {
            let qkv = random([batch, tokens, 3 * heads * dim], &device) * 1.5;
            let patches = tokens / 2;
            let table = |ahead: f32| (random([heads, patches, dim / 2], &device) + ahead).cos();
            let rotary = (patches > 0).then(|| (table(0.0), table(1.0)));
            let want = within(Route::Plain, || plain_attention(qkv.clone(), heads, rotary.as_ref(), 1)).values().1;
            let before = qkv.clone().values().1;
            for route in ROUTES {
                let rotary = rotary.as_ref().map(|table| (table, 1));
                let got =
                    within(route, || attention(qkv.clone(), heads, HeadNorm::None, rotary)).break_value().unwrap();
                close(&format!("{tokens} tokens, {dim} in a head"), route, got, &want, CLOSE);
                close("what others hold", route, qkv.clone(), &before, Tolerance::EXACT);
            }
        }
    }
}

#[test]
fn long_attention_is_divided_among_dispatches_and_agrees() {
    for device in gpus() {
        let (tokens, heads, dim) = (1100, 1, 128);
        let qkv = random([1, tokens, 3 * heads * dim], &device);
        let want = within(Route::Plain, || plain_attention(qkv.clone(), heads, None, 0)).values().1;
        let before = launches();
        let got = within(Route::Registers, || attention(qkv, heads, HeadNorm::None, None)).break_value().unwrap();
        assert_eq!(launches() - before, 2, "dispatches");
        close("two dispatches", Route::Registers, got, &want, CLOSE);
    }
}

#[test]
fn long_layers_are_divided_among_dispatches_and_agree() {
    for device in gpus() {
        let (m, k, n) = (300, 1200, 1200);
        let layer = nn::linear_xavier(k, n, &device);
        let x = random([m, k], &device);
        let want = within(Route::Plain, || nn::linear(&layer, x.clone())).values().1;
        for (route, dispatches) in [(Route::Registers, 2), (Route::Tiles, 1)] {
            let before = launches();
            let got = within(route, || nn::linear(&layer, x.clone()));
            assert_eq!(launches() - before, dispatches, "dispatches by {route:?}");
            close("a long layer", route, got, &want, CLOSE);
        }
    }
}

#[test]
fn patches_become_the_pixels_that_the_plain_way_gives() {
    for on in devices() {
        for (batch, rows, side) in [(1, 1, 1), (2, 2, 3), (1, 8, 16)] {
            let patches = random([batch, rows * rows, 3 * side * side], &on.device);
            let size = rows * side;
            let planes = nn::unpatchify(patches.clone(), side).values().1;
            for rounding in [Rounding::Generated, Rounding::Reconstructed] {
                let Some(pixels) = to_rgba8(&patches, side, rounding) else {
                    assert_eq!(on.label, "cpu");
                    continue;
                };
                assert_eq!(pixels.dims(), [batch, size, size]);
                let pixels = pixels.into_data().try_to_vec::<i32>().unwrap();
                for (pixels, planes) in pixels.chunks(size * size).zip(planes.chunks(3 * size * size)) {
                    assert!(from_pixels(pixels, size) == from_planes(planes, size, rounding), "{rounding:?}, {side}");
                    assert!(pixels.iter().all(|pixel| pixel.to_le_bytes()[3] == 255));
                }
            }
        }
        for (count, numbers) in [(3, 12), (4, 11), (0, 12)] {
            assert!(to_rgba8(&Tensor::zeros([1, count, numbers], &on.device), 2, Rounding::Generated).is_none());
        }
    }
}

#[test]
fn norms_of_queries_and_keys_agree_in_place() {
    for device in gpus() {
        let (batch, tokens, heads, dim, eps) = (2, 35, 2, 12, 1e-5);
        let qkv = || random([batch, tokens, 3 * heads * dim], &device);
        let rows = [0, 1, 2, 3].map(|_| random([dim], &device));
        let [wq, bq, wk, bk] = rows.each_ref();
        for layer in [true, false] {
            let values = qkv().into_data();
            let normed = |x: Tensor<4>, weight: &Tensor<1>, bias: &Tensor<1>| match layer {
                true => burn::tensor::module::layer_norm(x, weight.clone(), Some(bias.clone()), eps),
                false => x.clone() / (x.square().mean_dim(3) + eps).sqrt() * weight.clone().unsqueeze(),
            };
            let want = within(Route::Plain, || {
                let [q, k, v] = nn::attention::split_heads(Tensor::from_data(values.clone(), &device), heads);
                nn::attention::attend(nn::attention::scores(normed(q, wq, bq), normed(k, wk, bk)), v).values().1
            });
            let norm = if layer { HeadNorm::Layer(rows.each_ref(), eps) } else { HeadNorm::Rms([wq, wk], eps) };
            for route in ROUTES {
                let before = launches();
                // Nobody else holds these queries and keys: they are normed where they lie.
                let qkv = Tensor::from_data(values.clone(), &device);
                let got = within(route, || attention(qkv, heads, norm, None)).break_value().unwrap();
                assert_eq!(launches() - before, 2, "dispatches by {route:?}");
                close(&format!("layer norm {layer}"), route, got, &want, CLOSE);
            }
        }
    }
}

#[test]
fn what_no_kernel_can_do_is_left_to_plain_ops() {
    let rows = |device: &Device| random([2, 8], device);
    let with = |x: &Tensor<2>, n: usize, device: &Device| {
        let [_, k] = x.dims();
        linear(x, (&random([k, n], device)).into(), None, Activation::Identity, Residual::None).is_some()
    };
    for device in gpus() {
        assert!(with(&rows(&device), 4, &device));
        assert!(!with(&rows(&device), 3, &device), "three columns");
        assert!(!with(&random([2, 6], &device), 4, &device), "six rows of weights");
        let training = device.clone().autodiff();
        assert!(!with(&rows(&training), 4, &training), "in training");
        assert!(!within(Route::Plain, || with(&rows(&device), 4, &device)), "by plain ops");
        assert!(attention(random([1, 3, 18], &device), 1, HeadNorm::None, None).is_continue(), "six in a head");
        assert!(attention(random([1, 3, 396], &device), 1, HeadNorm::None, None).is_continue(), "132 in a head");
    }
}

#[test]
fn numbers_that_are_none_stay_in_their_row() {
    for device in gpus() {
        let layer = nn::linear_xavier(8, 8, &device);
        let mut rows = vec![0.5_f32; 6 * 8];
        rows[8 + 3] = f32::NAN;
        rows[3 * 8] = f32::INFINITY;
        let x = Tensor::<1>::from_floats(rows.as_slice(), &device).reshape([6, 8]);
        for route in ROUTES {
            let y: Vec<f32> = within(route, || nn::linear(&layer, x.clone())).into_data().try_to_vec().unwrap();
            for (row, values) in y.chunks(8).enumerate() {
                let finite = values.iter().all(|v| v.is_finite());
                assert_eq!(finite, ![1, 3].contains(&row), "row {row} by {route:?}: {values:?}");
            }
        }
    }
}

#[test]
fn packed_weights_agree_and_come_back_bit_for_bit() {
    for device in gpus() {
        for (m, k, n, group) in [(1, 4, 4, 4), (3, 20, 64, 8), (37, 64, 68, 64), (65, 36, 132, 16)] {
            let values = random([k, n], &device).values().1;
            let int8 = pack_int8(&values, k, n, group).unwrap();
            let words = pack_f16(&values, k, n).unwrap();
            let cases = [
                ("f16", unpack_f16(&words, n), Packed::f16(words, n, &device)),
                ("int8", unpack_int8(&int8, n, group), Packed::int8(int8, n, group, &device)),
            ];
            for (name, want, packed) in cases {
                let name = format!("{name}, {m} x {k} x {n}");
                assert_eq!(packed.dims(), [k, n], "{name}");
                let unpacked = packed.unpacked();
                close(&name, Route::Plain, unpacked.clone(), &want, Tolerance::EXACT);
                let x = random([m, k], &device);
                let plain = within(Route::Plain, || x.clone().matmul(unpacked)).values().1;
                for route in ROUTES {
                    let matrix = Matrix::Packed(&packed);
                    let y = within(route, || linear(&x, matrix, None, Activation::Identity, Residual::None));
                    close(&name, route, y.expect("a kernel reads it"), &plain, CLOSE);
                }
            }
        }
    }
}

#[test]
fn a_kernel_that_does_not_compile_is_an_error_with_its_name() {
    static BROKEN: maetok_shaders::Kernel = maetok_shaders::Kernel {
        name: "layer_norm",
        file: "\n@compute @workgroup_size(1)\nfn main() { no_such_function(); }",
        workgroup: [1; 3],
        params: &[],
        swaps: &[],
    };
    for device in gpus() {
        let x = launch::Buffer::of(&Tensor::<1>::ones([4], &device)).unwrap();
        let y = x.fresh([4]);
        let slots = [launch::Slot::In(&x), launch::Slot::Out(&y)];
        launch::launch(&BROKEN, &[], [1; 3], &slots, &[0]);
        let error = y.tensor::<1>().try_into_data().expect_err("nothing was computed");
        let error = crate::Error::of_device(&error);
        assert!(matches!(error, crate::Error::Kernel { kernel: "layer_norm", .. }), "{error}");
        assert_eq!(error.code(), "kernel");
        // Nobody else suffers.
        assert_eq!(x.tensor::<1>().into_data().try_to_vec::<f32>().unwrap(), [1.0; 4]);
    }
}
