//! Does every kernel give the right numbers on the adapter at hand? Asked once, before the first picture.
//!
//! Drivers have bugs. So each family computes small problems whose answers are worked out here in f64, by loops that share
//! nothing with it, in the variants that networks ask for. A family that fails, or that the device refuses to compile, is
//! left out by name, and plain ops take its place.

use burn::tensor::{Device, Tensor, TensorData};
use maetok_shaders::linear::Int8;

use super::choice::{self, Family, Route};
use super::contest::contest;
use super::{
    Activation, Gate, HeadNorm, Matrix, Modulation, Norm, Packed, Residual, Verdict, attention, linear, norm,
    patch_rows, to_rgba8,
};
use crate::image::Rounding;

/// Farthest from the answer, relative to 1 or the answer: sums of a few dozen terms in f32, and an exponential.
const TOLERANCE: f64 = 1e-4;

/// How a family did.
#[derive(Clone, Debug, PartialEq)]
pub struct Check {
    /// Which.
    pub family: Family,
    /// What is wrong, if anything is.
    pub fault: Option<String>,
}

/// What is to be known of an adapter before anybody relies on it: which families [fail](self_test), and, on a GPU, which
/// of the others [win](contest). Takes effect at once. `None` where there are no kernels.
pub async fn examine(device: &Device, hardware: bool, gpu: &wgpu::Device) -> Option<Verdict> {
    let checks = self_test(device, hardware, Some(gpu)).await;
    if checks.is_empty() {
        return None;
    }
    let mut verdict =
        Verdict { faults: checks.into_iter().filter(|check| check.fault.is_some()).collect(), tiles: None };
    verdict.take_effect(device, hardware);
    if hardware {
        verdict.tiles = contest(device).await;
        verdict.take_effect(device, hardware);
    }
    Some(verdict)
}

/// Tries the families that `device` will use. On a software adapter, where compiling a kernel takes longer than a step,
/// those for GPUs are tried only where the one before them in [`Family::ALL`] failed. `gpu` is what `device` stands on,
/// for in a browser it alone tells that it refuses a kernel. An empty list where there are no kernels.
pub async fn self_test(device: &Device, hardware: bool, gpu: Option<&wgpu::Device>) -> Vec<Check> {
    Verdict::default().take_effect(device, hardware);
    let mut checks: Vec<Check> = Vec::new();
    for family in Family::ALL {
        let stands_in = |check: &Check| Some(family) == check.family.for_gpus() && check.fault.is_none();
        if !hardware && checks.iter().any(stands_in) {
            continue;
        }
        let scopes = Scopes::open(gpu);
        let fault = match family {
            Family::ToRgba8 => pixel_fault(device).await,
            _ => match problems(family, device) {
                Some(problems) => Some(fault(problems).await),
                None => None,
            },
        };
        let refused = scopes.close().await;
        checks.extend(fault.map(|fault| Check { family, fault: refused.or(fault) }));
    }
    checks
}

/// What is wrong with the results, if anything is. One read: some browsers look after the GPU ten times a second only.
async fn fault(problems: Vec<Problem>) -> Option<String> {
    let (got, want): (Vec<_>, Vec<_>) = problems.into_iter().unzip();
    match Tensor::cat(got, 0).into_data_async().await {
        Ok(data) => {
            data.try_to_vec::<f32>().map_or_else(|e| Some(e.to_string()), |got| difference(&got, &want.concat()))
        }
        Err(error) => Some(error.to_string()),
    }
}

/// The same of bytes, each of which must be the one: a picture of 2 x 2 patches. `None` where no kernel runs.
async fn pixel_fault(device: &Device) -> Option<Option<String>> {
    let (side, rows) = (3, 2);
    let mut values: Vec<f32> = numbers(15, 3 * side * side * rows * rows).iter().map(|value| 1.2 * value).collect();
    values[5] = f32::NAN;
    let patches = tensor(&values, [1, rows * rows, 3 * side * side], device);
    let pixels = choice::within(Route::ByAdapter, || to_rgba8(&patches, side, Rounding::Generated))?;
    let read = match pixels.into_data_async().await {
        Ok(data) => data.try_to_vec::<i32>().map_err(|e| e.to_string()),
        Err(error) => Err(error.to_string()),
    };
    let want = (0..side * side * rows * rows).map(|i| {
        let (y, x) = (i / (rows * side), i % (rows * side));
        let at = ((y / side * rows + x / side) * side * side + y % side * side + x % side) * 3;
        let [red, green, blue] = [0, 1, 2].map(|channel| Rounding::Generated.byte(values[at + channel]));
        i32::from_le_bytes([red, green, blue, 255])
    });
    Some(match read {
        Ok(got) if got.len() != want.len() => Some(format!("{} pixels instead of {}", got.len(), want.len())),
        Ok(got) => {
            let wrong = got.iter().zip(want).enumerate().find(|(_, (got, want))| *got != want);
            wrong.map(|(at, (got, want))| format!("pixel {at} is {got:08x}, not {want:08x}"))
        }
        Err(error) => Some(error),
    })
}

/// Hears of what a device refuses in a browser, where CubeCL does not wait for the answer: Burn would go on with what
/// the buffers held before, or panic. Natively the refusal is the error of whatever reads the output.
struct Scopes(Vec<wgpu::ErrorScopeGuard>);

impl Scopes {
    fn open(gpu: Option<&wgpu::Device>) -> Self {
        let kinds = [wgpu::ErrorFilter::Validation, wgpu::ErrorFilter::Internal];
        let gpu = gpu.filter(|_| cfg!(target_family = "wasm"));
        Self(gpu.map(|gpu| kinds.map(|kind| gpu.push_error_scope(kind)).into()).unwrap_or_default())
    }

    /// What was refused since; the lines after the first say where in the code.
    async fn close(mut self) -> Option<String> {
        let mut refused = None;
        while let Some(scope) = self.0.pop() {
            refused = scope.pop().await.map(|error| error.to_string().lines().take(1).collect()).or(refused);
        }
        refused
    }
}

/// Where `got` is off, in words.
fn difference(got: &[f32], want: &[f64]) -> Option<String> {
    if got.len() != want.len() {
        return Some(format!("{} numbers instead of {}", got.len(), want.len()));
    }
    let close = |(got, want): (&f32, &f64)| (f64::from(*got) - want).abs() <= TOLERANCE * want.abs().max(1.0);
    // Not close, rather than far: a NaN is neither.
    let at = got.iter().zip(want).position(|pair| !close(pair))?;
    Some(format!("number {at} is {}, not {}", got[at], want[at]))
}

/// A result on the device, and the answer.
type Problem = (Tensor<1>, Vec<f64>);

/// The problems of a family; `None` where no kernel runs.
fn problems(family: Family, device: &Device) -> Option<Vec<Problem>> {
    let by = |route, work: &dyn Fn() -> Option<Vec<Problem>>| choice::within(route, work);
    // Rows in more than one part of a workgroup, and rows that no part is full of.
    // What follows the sums does not know how the weights were stored: each storage once, and every end with the one that
    // models ship in.
    let layers = || {
        let ends = ENDS.iter().map(|end| (Stored::F16, *end));
        let others = [Stored::F32, Stored::Int8].map(|stored| (stored, End::Activation(Activation::Identity)));
        ends.chain(others).map(|(stored, end)| linear_problem(device, 3, 7, stored, end)).collect()
    };
    let vectors = || {
        let stored = [Stored::F16, Stored::F32, Stored::Int8, Stored::F16];
        let problems = (1..=4).zip(stored).zip(ENDS);
        problems.map(|((rows, stored), end)| linear_problem(device, 1, rows, stored, end)).collect()
    };
    let norms = || [None, Some(0), Some(2)].into_iter().map(|latents| norm_problem(device, latents)).collect();
    let heads = |normed: &[bool]| -> Option<Vec<Problem>> {
        [8, 64].iter().flat_map(|dim| normed.iter().map(|normed| attention_problem(device, *dim, *normed))).collect()
    };
    match family {
        Family::LinearRegisters => by(Route::Registers, &layers),
        Family::LinearTiles => by(Route::Tiles, &layers),
        Family::Vector => by(Route::Registers, &vectors),
        Family::NormRows => by(Route::Registers, &norms),
        Family::Norm => by(Route::Tiles, &norms),
        Family::Attention => by(Route::Registers, &|| heads(&[false, true])),
        Family::AttentionTiled => by(Route::Tiles, &|| heads(&[false])),
        Family::PatchEmbed => patch_problem(device).map(|problem| vec![problem]),
        // See `pixel_fault`.
        Family::ToRgba8 => None,
    }
}

/// Numbers between -1 and 1 without a pattern that a wrong order would keep.
fn numbers(seed: u32, count: usize) -> Vec<f32> {
    let mix = |i: u32| (i ^ seed.wrapping_mul(0x9e37_79b9)).wrapping_mul(0x85eb_ca6b).rotate_left(13);
    (0..count as u32).map(|i| mix(mix(i)) as f32 / u32::MAX as f32 * 2.0 - 1.0).collect()
}

fn tensor<const D: usize>(values: &[f32], shape: [usize; D], device: &Device) -> Tensor<D> {
    Tensor::from_data(TensorData::new(values.to_vec(), shape), device)
}

fn flat<const D: usize>(tensor: Tensor<D>) -> Tensor<1> {
    tensor.flatten(0, D - 1)
}

fn dot(a: &[f32], b: impl Iterator<Item = f32>) -> f64 {
    a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(b)).sum()
}

/// What follows the sums of a layer.
#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    /// One of the activations.
    Activation(Activation),
    /// A residual.
    Added,
    /// A residual, the layer gated by one row for all.
    Channels,
    /// A residual, the layer gated by the second row of a table and the following ones.
    Samples,
}

const ENDS: [End; 6] = [
    End::Samples,
    End::Activation(Activation::GeluExact),
    End::Activation(Activation::GeluTanh),
    End::Activation(Activation::Identity),
    End::Added,
    End::Channels,
];

/// How the weights of a layer are stored.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Stored {
    F32,
    F16,
    Int8,
}

/// Weights `[k, n]`, packed if they are to be, and what they are.
fn weights(stored: Stored, k: usize, n: usize, device: &Device) -> (Option<Packed>, Vec<f32>) {
    let values = numbers(2, k * n);
    // Any bits will do, but for f16 of 2 and above.
    let words = |rows: usize| values[..rows * n].iter().map(|value| value.to_bits().wrapping_mul(0x9e37_79b9));
    let part = |words: &[u32], rows: usize, i: usize| words[i / n / rows * n + i % n] >> (32 / rows * (i / n % rows));
    match stored {
        Stored::F32 => (None, values),
        Stored::F16 => {
            let words: Vec<u32> = words(k / 2).map(|word| word & 0xbfff_bfff).collect();
            let want = (0..k * n).map(|i| half::f16::from_bits(part(&words, 2, i) as u16).to_f32()).collect();
            (Some(Packed::f16(words, n, device)), want)
        }
        Stored::Int8 => {
            let (words, group): (Vec<u32>, usize) = (words(k / 4).collect(), 16);
            let scales: Vec<f32> = numbers(14, k.div_ceil(group) * n).iter().map(|value| value / 128.0).collect();
            let scale = |i: usize| scales[i / n / group * n + i % n];
            let want = (0..k * n).map(|i| f32::from(part(&words, 4, i) as u8 as i8) * scale(i)).collect();
            (Some(Packed::int8(Int8 { words, scales }, n, group, device)), want)
        }
    }
}

/// A layer of 36 x 68 with one of the ends.
fn linear_problem(device: &Device, batch: usize, tokens: usize, stored: Stored, end: End) -> Option<Problem> {
    let (k, n) = (36, 68);
    let (m, columns) = (batch * tokens, 2 * n);
    let (packed, w) = weights(stored, k, n, device);
    let (x, b) = (numbers(1, m * k), numbers(3, n));
    let (old, gates) = (numbers(4, m * n), numbers(5, (batch + 1) * columns));
    let want = (0..m * n).map(|i| {
        let (row, column) = (i / n, i % n);
        let sum = dot(&x[row * k..][..k], w[column..].iter().step_by(n).copied()) + f64::from(b[column]);
        match end {
            End::Activation(kind) => activated(kind, sum),
            End::Added => f64::from(old[i]) + sum,
            End::Channels => f64::from(old[i]) + f64::from(gates[column]) * sum,
            End::Samples => f64::from(old[i]) + f64::from(gates[(row / tokens + 1) * columns + n + column]) * sum,
        }
    });
    let old = tensor(&old, [batch, tokens, n], device);
    let gamma = tensor(&gates[..n], [n], device);
    let table = tensor(&gates, [batch + 1, columns], device);
    let (activation, residual) = match end {
        End::Activation(kind) => (kind, Residual::None),
        End::Added => (Activation::Identity, Residual::Added(&old)),
        End::Channels => (Activation::Identity, Residual::Gated(&old, Gate::Channels(&gamma))),
        End::Samples => (Activation::Identity, Residual::Gated(&old, Gate::Samples { table: &table, row: 1, at: n })),
    };
    let (x, w, b) = (tensor(&x, [batch, tokens, k], device), tensor(&w, [k, n], device), tensor(&b, [n], device));
    let matrix = packed.as_ref().map_or(Matrix::Plain(&w), Matrix::Packed);
    let y = linear(&x, matrix, Some(&b), activation, residual)?;
    Some((flat(y), want.collect()))
}

fn activated(kind: Activation, x: f64) -> f64 {
    match kind {
        Activation::Identity => x,
        Activation::GeluExact => x / 2.0 * (1.0 + libm::erf(x / std::f64::consts::SQRT_2)),
        Activation::GeluTanh => {
            x / 2.0 * (1.0 + ((2.0 / std::f64::consts::PI).sqrt() * (x + 0.044_715 * x.powi(3))).tanh())
        }
        Activation::Silu => x / (1.0 + (-x).exp()),
    }
}

/// Layer norm with the last `latents` of three tokens scaled and shifted; with `None`, RMS norm with a weight.
fn norm_problem(device: &Device, latents: Option<usize>) -> Option<Problem> {
    let (batch, tokens, width, eps) = (2, 3, 68, 1e-3);
    let (x, weight) = (numbers(6, batch * tokens * width), numbers(13, width));
    let modulated = latents.unwrap_or(0);
    let table = numbers(7, batch * modulated * 2 * width);
    let want = (0..batch * tokens).flat_map(|row| {
        let values = x[row * width..][..width].iter().map(|v| f64::from(*v));
        let mean = if latents.is_some() { values.clone().sum::<f64>() / width as f64 } else { 0.0 };
        let size = (values.clone().map(|v| (v - mean).powi(2)).sum::<f64>() / width as f64 + eps).sqrt();
        let latent = (row % tokens).checked_sub(tokens - modulated).map(|l| row / tokens * modulated + l);
        let row = latent.map(|latent| &table[latent * 2 * width..][..2 * width]);
        let weight = &weight;
        values.enumerate().map(move |(i, v)| {
            let n = (v - mean) / size * if latents.is_some() { 1.0 } else { f64::from(weight[i]) };
            row.map_or(n, |row| n * f64::from(row[width + i]) + f64::from(row[i]))
        })
    });
    let want = want.collect();
    let x = tensor(&x, [batch, tokens, width], device);
    let y = match latents {
        None => norm(&x, Norm::Rms(&tensor(&weight, [width], device)), eps, Modulation::None)?,
        Some(0) => norm(&x, Norm::Layer, eps, Modulation::None)?,
        Some(latents) => {
            let table = tensor(&table, [batch, latents, 2 * width], device);
            norm(&x, Norm::Layer, eps, Modulation::Latents { table: &table, at: 0 })?
        }
    };
    Some((flat(y), want))
}

/// Two heads of `dim` numbers, 40 tokens, of which 36 turn: more than a tile of keys and more than a workgroup of queries.
fn attention_problem(device: &Device, dim: usize, normed: bool) -> Option<Problem> {
    let (batch, tokens, heads, first, patches, eps) = (1, 40, 2, 1, 36, 1e-3);
    let width = heads * dim;
    let qkv = numbers(8, batch * tokens * 3 * width);
    let weights = [numbers(9, dim), numbers(10, dim)];
    let angles = numbers(11, heads * patches * dim / 2);
    let place = |part: usize, token: usize, head: usize| -> Vec<f64> {
        let at = token * 3 * width + part * width + head * dim;
        let mut u: Vec<f64> = qkv[at..at + dim].iter().map(|v| f64::from(*v)).collect();
        if part == 2 {
            return u;
        }
        if normed {
            let size = (u.iter().map(|v| v * v).sum::<f64>() / dim as f64 + eps).sqrt();
            u.iter_mut().zip(&weights[part]).for_each(|(u, w)| *u *= f64::from(*w) / size);
        }
        if let Some(n) = token.checked_sub(first).filter(|n| *n < patches) {
            for pair in 0..dim / 2 {
                let (sin, cos) = f64::from(angles[(head * patches + n) * dim / 2 + pair]).sin_cos();
                let (a, b) = (u[2 * pair], u[2 * pair + 1]);
                (u[2 * pair], u[2 * pair + 1]) = (a * cos - b * sin, a * sin + b * cos);
            }
        }
        u
    };
    // Placed once: every query meets every key.
    let placed = |part: usize, head: usize| -> Vec<Vec<f64>> { (0..tokens).map(|t| place(part, t, head)).collect() };
    let all: Vec<[Vec<Vec<f64>>; 3]> = (0..heads).map(|head| [0, 1, 2].map(|part| placed(part, head))).collect();
    let want = (0..tokens).flat_map(|token| (0..heads).map(move |head| (token, head))).flat_map(|(token, head)| {
        let [q, k, v] = &all[head];
        let score =
            |key: &Vec<f64>| (q[token].iter().zip(key).map(|(q, k)| q * k).sum::<f64>() / (dim as f64).sqrt()).exp();
        let scores: Vec<f64> = k.iter().map(score).collect();
        let sum: f64 = scores.iter().sum();
        let mut mixed = vec![0.0; dim];
        for (score, v) in scores.iter().zip(v) {
            mixed.iter_mut().zip(v).for_each(|(mixed, v)| *mixed += score / sum * v);
        }
        mixed
    });
    let want = want.collect();
    let table = |f: fn(f32) -> f32| {
        let values: Vec<f32> = angles.iter().copied().map(f).collect();
        tensor(&values, [heads, patches, dim / 2], device)
    };
    let rows = weights.each_ref().map(|w| tensor(w, [dim], device));
    let head_norm = if normed { HeadNorm::Rms(rows.each_ref(), eps) } else { HeadNorm::None };
    let rotary = (table(f32::cos), table(f32::sin));
    let qkv = tensor(&qkv, [batch, tokens, 3 * width], device);
    let y = attention(qkv, heads, head_norm, Some((&rotary, first))).break_value()?;
    Some((flat(y), want))
}

/// Two pictures of 2 x 3 patches.
fn patch_problem(device: &Device) -> Option<Problem> {
    let (batch, side, rows, columns) = (2, 4, 2, 3);
    let (height, width) = (rows * side, columns * side);
    let image = numbers(12, batch * 3 * height * width);
    let want = (0..batch * rows * columns).flat_map(|patch| {
        let (sample, row, column) = (patch / (rows * columns), patch / columns % rows, patch % columns);
        let image = &image;
        (0..3 * side * side).map(move |i| {
            let (channel, y, x) = (i / (side * side), row * side + i / side % side, column * side + i % side);
            f64::from(image[((sample * 3 + channel) * height + y) * width + x])
        })
    });
    let y = patch_rows(&tensor(&image, [batch, 3, height, width], device), side)?;
    Some((flat(y), want.collect()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use maetok_tests::devices;

    #[test]
    fn every_family_passes_on_a_gpu() {
        let software = [
            Family::LinearRegisters,
            Family::Vector,
            Family::NormRows,
            Family::Attention,
            Family::PatchEmbed,
            Family::ToRgba8,
        ];
        for on in devices().into_iter().filter(|on| on.label != "cpu") {
            for (hardware, expected) in [(true, &Family::ALL[..]), (false, &software)] {
                let checks = pollster::block_on(self_test(&on.device, hardware, None));
                let families: Vec<Family> = checks.iter().map(|check| check.family).collect();
                assert_eq!(families, expected, "on {}", on.label);
                let faults: Vec<&Check> = checks.iter().filter(|check| check.fault.is_some()).collect();
                assert!(faults.is_empty(), "{faults:?} on {}", on.label);
            }
        }
    }

    #[test]
    fn a_wrong_number_a_missing_one_and_a_nan_are_faults() {
        assert_eq!(difference(&[1.0, 2.0], &[1.0, 2.0]), None);
        for got in [&[1.0, 2.001][..], &[1.0][..], &[1.0, f32::NAN][..]] {
            assert!(difference(got, &[1.0, 2.0]).is_some(), "{got:?}");
        }
    }
}
