//! The loops against the plain ops that define them.

use burn::tensor::{Device, Distribution, Tensor};
use maetok_tests::{Tolerance, Values as _, assert_close};
use proptest::prelude::*;

use crate::kernels::{Activation, Gate, HeadNorm, Modulation, Residual, Route, attention, within};
use crate::nn::linear::{activated, added};
use crate::nn::{self, RmsNorm};

/// Sums of up to some hundred terms in another order.
const CLOSE: Tolerance = Tolerance { abs: 2e-5, rel: 1e-4, of_max: 0.0 };

fn random<const D: usize>(shape: [usize; D]) -> Tensor<D> {
    Tensor::random(shape, Distribution::Normal(0.0, 1.0), &Device::flex())
}

/// Compares `work` by the loops with `work` by plain ops.
fn agree<const D: usize>(name: &str, work: impl Fn() -> Tensor<D>) {
    let (plain, got) = (within(Route::Plain, &work), work());
    assert_eq!(got.dims(), plain.dims(), "{name}");
    assert_close("loops against plain ops", name, "cpu", &got.values().1, &plain.values().1, CLOSE);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn linear_layers_agree_at_any_size(m in 1_usize..70, k in 1_usize..70, n in 1_usize..150) {
        let device = Device::flex();
        let layer = nn::linear_xavier(k, n, &device);
        let x = random([m, k]);
        for kind in [Activation::Identity, Activation::GeluExact, Activation::GeluTanh, Activation::Silu] {
            agree(&format!("{kind:?} of {m} x {k} x {n}"), || activated(&layer, x.clone(), kind));
        }
    }

    #[test]
    fn norms_agree_at_any_width(batch in 1_usize..4, tokens in 1_usize..9, width in 1_usize..70) {
        let device = Device::flex();
        let x = random([batch, tokens, width]) * 2.0 + 0.5;
        let (weight, bias) = (random([width]), random([width]));
        let rows = random([batch + 1, 6 * width]);
        let latents = random([batch, tokens.div_ceil(2), 4 * width]);
        let rms = RmsNorm::new(width, 1e-6, &device);
        for modulation in [
            Modulation::None,
            Modulation::Affine { weight: &weight, bias: &bias },
            Modulation::Samples { table: &rows, row: 1, at: 3 * width },
            Modulation::Latents { table: &latents, at: 2 * width },
        ] {
            // Of a single number, layer norm is a difference of equals over their root, nothing to compare.
            if width > 1 {
                agree(&format!("{modulation:?}"), || nn::normalize_modulated(x.clone(), 1e-6, modulation));
            }
            agree(&format!("rms, {modulation:?}"), || rms.modulated(x.clone(), modulation));
        }
    }

    #[test]
    fn attention_agrees_with_norms_and_rotary_positions(
        batch in 1_usize..3, tokens in 1_usize..80, heads in 1_usize..4, half in 1_usize..20, layer in any::<bool>(),
    ) {
        let dim = 2 * half;
        let qkv = random([batch, tokens, 3 * heads * dim]) * 1.5;
        let patches = tokens / 2;
        let table = |ahead: f32| (random([heads, patches, half]) + ahead).cos();
        let rotary = (patches > 0).then(|| (table(0.0), table(1.0)));
        let rows = [0, 1, 2, 3].map(|_| random([dim]));
        let [wq, bq, wk, bk] = rows.each_ref();
        let normed = |x: Tensor<4>, weight: &Tensor<1>, bias: &Tensor<1>| match layer {
            true => burn::tensor::module::layer_norm(x, weight.clone(), Some(bias.clone()), 1e-5),
            false => x.clone() / (x.square().mean_dim(3) + 1e-5).sqrt() * weight.clone().unsqueeze(),
        };
        let norm = if layer { HeadNorm::Layer(rows.each_ref(), 1e-5) } else { HeadNorm::Rms([wq, wk], 1e-5) };
        for norm in [HeadNorm::None, norm] {
            let want = within(Route::Plain, || {
                let [mut q, mut k, v] = nn::attention::split_heads(qkv.clone(), heads);
                if !matches!(norm, HeadNorm::None) {
                    (q, k) = (normed(q, wq, bq), normed(k, wk, bk));
                }
                if let Some(table) = &rotary {
                    (q, k) = (nn::rope::rotate(q, table, 1), nn::rope::rotate(k, table, 1));
                }
                nn::attention::attend(nn::attention::scores(q, k), v)
            });
            let got = attention(qkv.clone(), heads, norm, rotary.as_ref().map(|table| (table, 1))).break_value().unwrap();
            let name = format!("{tokens} tokens, {dim} in each of {heads} heads, {norm:?}");
            assert_close("loops against plain ops", &name, "cpu", &got.values().1, &want.values().1, CLOSE);
        }
    }
}

#[test]
fn residuals_and_gates_agree() {
    // The larger is shared among threads, whose rows then begin within a sample.
    for (batch, tokens, k, n) in [(3, 5, 16, 24), (3, 101, 64, 96)] {
        let mut layer = nn::linear_xavier(k, n, &Device::flex());
        let x = random([batch, tokens, k]);
        let old = random([batch, tokens, n]);
        let position = random([1, tokens, n]);
        let gamma = random([n]);
        let table = random([batch + 2, 3 * n]);
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
                agree(&format!("{residual:?}, bias {bias}"), || added(&layer, x.clone(), residual));
            }
        }
    }
}

#[test]
fn what_is_shared_among_threads_agrees() {
    let qkv = random([3, 131, 3 * 64]);
    let want = within(Route::Plain, || {
        let [q, k, v] = nn::attention::split_heads(qkv.clone(), 4);
        nn::attention::attend(nn::attention::scores(q, k), v)
    });
    let got = attention(qkv.clone(), 4, HeadNorm::None, None).break_value().unwrap();
    assert_close("loops against plain ops", "attention", "cpu", &got.values().1, &want.values().1, CLOSE);
    let x = random([700, 200]);
    agree("norm", || nn::normalize(x.clone(), 1e-6));
    let view = random([200, 300]).transpose();
    let layer = nn::linear_xavier(200, 65, &Device::flex());
    agree("a view that is not contiguous", || nn::linear(&layer, view.clone()));
}

#[test]
fn numbers_that_are_none_stay_in_their_row() {
    let layer = nn::linear_xavier(8, 9, &Device::flex());
    let mut rows = vec![0.5_f32; 6 * 8];
    rows[8 + 3] = f32::NAN;
    rows[3 * 8] = f32::INFINITY;
    let x = Tensor::<1>::from_floats(rows.as_slice(), &Device::flex()).reshape([6, 8]);
    let y: Vec<f32> = nn::linear(&layer, x).into_data().try_to_vec().unwrap();
    for (row, values) in y.chunks(9).enumerate() {
        let finite = values.iter().all(|v| v.is_finite());
        assert_eq!(finite, ![1, 3].contains(&row), "row {row}: {values:?}");
    }
}

#[test]
fn patches_agree() {
    let embed = nn::PatchEmbed::new(8, 4, &Device::flex());
    for (batch, rows, columns) in [(1, 1, 1), (2, 3, 5)] {
        let image = random([batch, 3, 4 * rows, 4 * columns]);
        agree("patches", || crate::kernels::patch_rows(&image, 4).unwrap_or_else(|| embed.patches(image.clone())));
    }
}

#[test]
fn training_and_plain_ops_are_left_alone() {
    let device = Device::flex();
    let norm = |x: &Tensor<2>| crate::kernels::norm(x, crate::kernels::Norm::Layer, 1e-6, Modulation::None);
    assert!(norm(&random([2, 8])).is_some());
    assert!(within(Route::Plain, || norm(&random([2, 8]))).is_none(), "by plain ops");
    assert!(norm(&Tensor::ones([2, 8], &device.autodiff())).is_none(), "in training");
    assert!(norm(&random([0, 8])).is_none(), "no rows");
}
