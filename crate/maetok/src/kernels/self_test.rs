//! Does every kernel give the right numbers on the adapter at hand? Asked once, before the first picture.
//!
//! Drivers have bugs, and in a browser a shader that does not compile leaves its output as it was, without an error. So
//! each family computes a small problem whose answer is worked out here in f64, by loops that share nothing with it. A
//! family that fails is left out by name, and plain ops take its place.

use std::collections::BTreeSet;
use std::ops::Range;

use burn::tensor::{Device, Tensor, TensorData};

use super::choice::{self, Family, Profile, Route};
use super::{Activation, Gate, HeadNorm, Modulation, Norm, Residual, attention, linear, norm, patch_rows};

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

/// Tries every family on `device`, and remembers which to leave out. An empty list where there are no kernels.
pub async fn self_test(device: &Device, hardware: bool) -> Vec<Check> {
    choice::remember(device, Profile { hardware, ..Profile::default() });
    let mut checks = Vec::new();
    // All dispatches first: the adapter works on one family while the next is compiled.
    let asked: Vec<_> = Family::ALL.into_iter().filter_map(|family| Some((family, problem(family, device)?))).collect();
    for (family, (got, want)) in asked {
        let fault = match got.into_data_async().await {
            Ok(data) => data.try_to_vec::<f32>().map_or_else(|e| Some(e.to_string()), |got| difference(&got, &want)),
            Err(error) => Some(error.to_string()),
        };
        checks.push(Check { family, fault });
    }
    let disabled: BTreeSet<Family> =
        checks.iter().filter(|check| check.fault.is_some()).map(|check| check.family).collect();
    choice::remember(device, Profile { hardware, disabled });
    checks
}

/// Where `got` is off, in words.
fn difference(got: &[f32], want: &[f64]) -> Option<String> {
    if got.len() != want.len() {
        return Some(format!("{} numbers instead of {}", got.len(), want.len()));
    }
    let off = |(got, want): (&f32, &f64)| !((f64::from(*got) - want).abs() <= TOLERANCE * want.abs().max(1.0));
    let at = got.iter().zip(want).position(off)?;
    Some(format!("number {at} is {}, not {}", got[at], want[at]))
}

/// A problem for a family, its result on `device`, and the answer; `None` where no kernel runs.
fn problem(family: Family, device: &Device) -> Option<(Tensor<1>, Vec<f64>)> {
    let by = |route| move |work: &dyn Fn() -> Option<(Tensor<1>, Vec<f64>)>| choice::within(route, work);
    match family {
        Family::LinearRegisters => by(Route::Registers)(&|| linear_problem(device, 3, 7)),
        Family::LinearTiles => by(Route::Tiles)(&|| linear_problem(device, 3, 7)),
        Family::Vector => by(Route::Registers)(&|| linear_problem(device, 1, 3)),
        Family::NormRows => by(Route::Registers)(&|| norm_problem(device)),
        Family::Norm => by(Route::Tiles)(&|| norm_problem(device)),
        Family::Attention => by(Route::Registers)(&|| attention_problem(device, true)),
        Family::AttentionTiled => by(Route::Tiles)(&|| attention_problem(device, false)),
        Family::PatchEmbed => patch_problem(device),
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

/// `old + gate * (x w + b)`, the gates in the second row of a table.
fn linear_problem(device: &Device, batch: usize, tokens: usize) -> Option<(Tensor<1>, Vec<f64>)> {
    let (k, n) = (36, 68);
    let (m, columns) = (batch * tokens, 2 * n);
    let (x, w, b) = (numbers(1, m * k), numbers(2, k * n), numbers(3, n));
    let (old, gates) = (numbers(4, m * n), numbers(5, (batch + 1) * columns));
    let want = (0..m * n).map(|i| {
        let (row, column) = (i / n, i % n);
        let value = dot(&x[row * k..][..k], w[column..].iter().step_by(n).copied()) + f64::from(b[column]);
        f64::from(old[i]) + f64::from(gates[(row / tokens + 1) * columns + n + column]) * value
    });
    let y = linear(
        &tensor(&x, [batch, tokens, k], device),
        &tensor(&w, [k, n], device),
        Some(&tensor(&b, [n], device)),
        Activation::Identity,
        Residual::Gated(
            &tensor(&old, [batch, tokens, n], device),
            Gate::Samples { table: &tensor(&gates, [batch + 1, columns], device), row: 1, at: n },
        ),
    )?;
    Some((flat(y), want.collect()))
}

/// Layer norm, the last two of three tokens scaled and shifted.
fn norm_problem(device: &Device) -> Option<(Tensor<1>, Vec<f64>)> {
    let (batch, tokens, latents, width, eps) = (2, 3, 2, 68, 1e-3);
    let x = numbers(6, batch * tokens * width);
    let table = numbers(7, batch * latents * 2 * width);
    let want = (0..batch * tokens).flat_map(|row| {
        let values = x[row * width..][..width].iter().map(|v| f64::from(*v));
        let mean = values.clone().sum::<f64>() / width as f64;
        let variance = values.clone().map(|v| (v - mean).powi(2)).sum::<f64>() / width as f64;
        let latent = (row % tokens).checked_sub(tokens - latents).map(|l| row / tokens * latents + l);
        let modulation = latent.map(|latent| &table[latent * 2 * width..][..2 * width]);
        let normed = values.map(move |v| (v - mean) / (variance + eps).sqrt());
        normed.enumerate().map(move |(i, n)| match modulation {
            Some(row) => n * f64::from(row[width + i]) + f64::from(row[i]),
            None => n,
        })
    });
    let modulation = Modulation::Latents { table: &tensor(&table, [batch, latents, 2 * width], device), at: 0 };
    let y = norm(&tensor(&x, [batch, tokens, width], device), Norm::Layer, eps, modulation)?;
    Some((flat(y), want.collect()))
}

/// Two heads, three of five tokens turned, queries and keys normed where the family can.
fn attention_problem(device: &Device, normed: bool) -> Option<(Tensor<1>, Vec<f64>)> {
    let (batch, tokens, heads, dim, first, patches, eps) = (2, 5, 2, 8, 1, 3, 1e-3);
    let width = heads * dim;
    let qkv = numbers(8, batch * tokens * 3 * width);
    let weights = [numbers(9, dim), numbers(10, dim)];
    let angles = numbers(11, heads * patches * dim / 2);
    let place = |sample: usize, part: usize, token: usize, head: usize| -> Vec<f64> {
        let at = (sample * tokens + token) * 3 * width + part * width + head * dim;
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
    let range: Range<usize> = 0..batch * tokens * heads;
    let want = range.flat_map(|i| {
        let (sample, token, head) = (i / (tokens * heads), i / heads % tokens, i % heads);
        let q = place(sample, 0, token, head);
        let score = |key: usize| {
            let k = place(sample, 1, key, head);
            (q.iter().zip(k).map(|(q, k)| q * k).sum::<f64>() / (dim as f64).sqrt()).exp()
        };
        let scores: Vec<f64> = (0..tokens).map(score).collect();
        let sum: f64 = scores.iter().sum();
        let mut mixed = vec![0.0; dim];
        for (key, score) in scores.iter().enumerate() {
            mixed.iter_mut().zip(place(sample, 2, key, head)).for_each(|(mixed, v)| *mixed += score / sum * v);
        }
        mixed
    });
    let table = |f: fn(f32) -> f32| {
        let values: Vec<f32> = angles.iter().copied().map(f).collect();
        tensor(&values, [heads, patches, dim / 2], device)
    };
    let rows = weights.each_ref().map(|w| tensor(w, [dim], device));
    let head_norm = if normed { HeadNorm::Rms(rows.each_ref(), eps) } else { HeadNorm::None };
    let rotary = (table(f32::cos), table(f32::sin));
    let qkv = tensor(&qkv, [batch, tokens, 3 * width], device);
    let y = attention(qkv, heads, head_norm, Some((&rotary, first))).ok()?;
    Some((flat(y), want.collect()))
}

/// Two pictures of 2 x 3 patches.
fn patch_problem(device: &Device) -> Option<(Tensor<1>, Vec<f64>)> {
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
    fn every_family_passes_on_a_gpu_and_the_cpu_has_none() {
        for on in devices() {
            let checks = pollster::block_on(self_test(&on.device, false));
            if on.label == "cpu" {
                assert!(checks.is_empty(), "no kernel runs on the CPU");
                continue;
            }
            let families: Vec<Family> = checks.iter().map(|check| check.family).collect();
            assert_eq!(families, Family::ALL, "on {}", on.label);
            let faults: Vec<&Check> = checks.iter().filter(|check| check.fault.is_some()).collect();
            assert!(faults.is_empty(), "{faults:?} on {}", on.label);
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
