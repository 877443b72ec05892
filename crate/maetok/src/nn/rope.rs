//! Two-dimensional rotary positions with learned frequencies ("mixed" RoPE).
//!
//! Each block and head owns `d/2` frequencies per axis; the angle of pair `j` at patch `n` is
//! `x_n * freqs[0, j] + y_n * freqs[1, j]` with integer patch coordinates. Adjacent pairs rotate. Only image tokens
//! turn: class and latent tokens have no place in the picture.
//!
//! Source: Heo et al. 2024, arXiv 2403.13298 (RoPE-Mixed); MAETok's ViT, commit `f4d60a0`.
//!
//! Differs from the official code: square grids only; the table also covers the tokens that do not turn (angle 0).

use burn::module::Param;
use burn::tensor::{Device, Distribution, Tensor, TensorData, s};

/// Cosines and sines of every block, made once per forward pass.
#[derive(Clone, Debug)]
pub struct RopeTable {
    /// `[depth, A, N, d/2]`
    pub cos: Tensor<4>,
    /// `[depth, A, N, d/2]`
    pub sin: Tensor<4>,
}

impl RopeTable {
    /// Table for an `N`-patch square picture.
    ///
    /// # Shapes
    /// - `freqs`: `[2, depth, A*d/2]`, x (column) first
    pub fn new(freqs: Tensor<3>, heads: usize, patches: usize) -> Self {
        let [_, depth, pairs] = freqs.dims();
        let device = freqs.device();
        let side = patches.isqrt();
        let coordinate = |of: fn(usize, usize) -> usize| {
            let values: Vec<f32> = (0..patches).map(|n| of(n, side) as f32).collect();
            Tensor::<2>::from_data(TensorData::new(values, [patches, 1]), &device).reshape([1, 1, patches, 1])
        };
        let x = coordinate(|n, side| n % side);
        let y = coordinate(|n, side| n / side);
        let per_head =
            |axis: usize| freqs.clone().slice(s![axis..axis + 1, .., ..]).reshape([depth, heads, 1, pairs / heads]);
        let angle = x * per_head(0) + y * per_head(1); // [depth, A, N, d/2]
        Self { cos: angle.clone().cos(), sin: angle.sin() }
    }

    /// The table of one block: `([A, N, d/2], [A, N, d/2])`.
    pub fn block(&self, index: usize) -> (Tensor<3>, Tensor<3>) {
        let one = |t: &Tensor<4>| t.clone().slice(s![index..index + 1, .., .., ..]).squeeze_dim::<3>(0);
        (one(&self.cos), one(&self.sin))
    }
}

/// Turns the image rows of queries or keys; the others pass.
///
/// # Shapes
/// - `x`: `[B, A, T, d]`, where the image tokens are rows `first..first + N`
/// - `table`: cosines and sines, `[A, N, d/2]`, or `[1, N, d/2]` where all heads turn alike
pub fn rotate(x: Tensor<4>, table: &(Tensor<3>, Tensor<3>), first: usize) -> Tensor<4> {
    let [batch, heads, tokens, dim] = x.dims();
    let (cos, sin) = table;
    let [_, patches, _] = cos.dims();
    let last = first + patches;
    let cos = cos.clone().unsqueeze::<4>(); // [1, A, N, d/2]
    let sin = sin.clone().unsqueeze::<4>();

    let image = x.clone().slice(s![.., .., first..last, ..]);
    let pairs = image.reshape([batch, heads, patches, dim / 2, 2]);
    let even = pairs.clone().slice(s![.., .., .., .., 0..1]).squeeze_dim::<4>(4); // [B, A, N, d/2]
    let odd = pairs.slice(s![.., .., .., .., 1..2]).squeeze_dim::<4>(4);
    let turned =
        Tensor::stack::<5>(vec![even.clone() * cos.clone() - odd.clone() * sin.clone(), even * sin + odd * cos], 4)
            .reshape([batch, heads, patches, dim]); // [B, A, N, d]

    let mut parts = Vec::with_capacity(3);
    if first > 0 {
        parts.push(x.clone().slice(s![.., .., 0..first, ..]));
    }
    parts.push(turned);
    if last < tokens {
        parts.push(x.slice(s![.., .., last..tokens, ..]));
    }
    Tensor::cat(parts, 2)
}

/// Fresh frequencies `[2, depth, A*d/2]`: magnitudes `theta^(-4k/d)` in two directions at right angles, turned by one
/// random angle per block and head. `d` must be divisible by 4.
pub fn mixed_frequencies(depth: usize, heads: usize, dim: usize, theta: f64, device: &Device) -> Param<Tensor<3>> {
    let quarter = dim / 4;
    let magnitudes: Vec<f32> = (0..quarter).map(|k| theta.powf(-4.0 * k as f64 / dim as f64) as f32).collect();
    let magnitudes = Tensor::<1>::from_floats(magnitudes.as_slice(), device).reshape([1, 1, quarter]);
    let turn = std::f64::consts::TAU;
    let phi = Tensor::<3>::random([depth, heads, 1], Distribution::Uniform(0.0, turn), device);
    let right_angle = std::f64::consts::FRAC_PI_2;
    let axis = |f: fn(Tensor<3>) -> Tensor<3>| {
        let along = magnitudes.clone() * f(phi.clone());
        let across = magnitudes.clone() * f(phi.clone() + right_angle);
        Tensor::cat(vec![along, across], 2).reshape([1, depth, heads * dim / 2])
    };
    let freqs = Tensor::cat(vec![axis(Tensor::cos), axis(Tensor::sin)], 0);
    Param::from_tensor(freqs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rotation_keeps_lengths_and_leaves_tokens_without_a_place_alone() {
        let device = Device::flex();
        let (heads, dim, side) = (2, 8, 3);
        let freqs = mixed_frequencies(1, heads, dim, 10.0, &device).val();
        let table = RopeTable::new(freqs, heads, side * side).block(0);
        let x = Tensor::<4>::random([2, heads, 1 + 9 + 4, dim], Distribution::Normal(0.0, 1.0), &device);
        let y = rotate(x.clone(), &table, 1);

        let norm = |t: Tensor<4>| t.square().sum_dim(3);
        let change = (norm(x.clone()) - norm(y.clone())).abs().max().into_scalar::<f32>();
        assert!(change < 1e-5, "lengths changed by {change}");
        for rows in [0..1, 10..14] {
            let same = |t: &Tensor<4>| t.clone().slice(s![.., .., rows.clone(), ..]).into_data();
            assert_eq!(same(&x), same(&y));
        }
    }

    #[test]
    fn scores_depend_on_the_offset_of_two_patches_only() {
        let device = Device::flex();
        let (dim, side) = (8, 4);
        let freqs = mixed_frequencies(1, 1, dim, 10.0, &device).val();
        let table = RopeTable::new(freqs, 1, side * side).block(0);
        let one = |seed: f32| {
            let row: Vec<f32> = (0..dim).map(|i| (seed + i as f32).sin()).collect();
            Tensor::<1>::from_floats(row.as_slice(), &device).reshape([1, 1, 1, dim]).repeat_dim(2, side * side)
        };
        let q = rotate(one(0.3), &table, 0);
        let k = rotate(one(1.7), &table, 0);
        let scores: Vec<f32> = q.matmul(k.swap_dims(2, 3)).into_data().try_to_vec().unwrap();
        let score = |a: usize, b: usize| scores[a * side * side + b];
        // (1,1)->(2,3) and (0,0)->(1,2), as (row, column): the same offset.
        assert!((score(side + 1, 2 * side + 3) - score(0, side + 2)).abs() < 1e-5);
    }
}
