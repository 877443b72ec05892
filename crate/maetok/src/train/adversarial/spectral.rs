//! Convolutions whose weight is divided by its largest singular value, so that no layer can blow a difference up.
//!
//! With the weight as a matrix `W` `[out, in · k]`, a training forward makes one step of the power iteration,
//! `v = Wᵀu / |Wᵀu|`, `u = Wv / |Wv|`, and then uses `W / (uᵀWv)`. The gradient passes through `uᵀWv`, not through `u`
//! and `v`. Field names are the checkpoint's keys.
//!
//! Source: Miyato et al. 2018, *Spectral Normalization for Generative Adversarial Networks*, arXiv 1802.05957,
//! algorithm 1.

use burn::module::{Initializer, Module, Param};
use burn::tensor::module::{conv1d, conv2d};
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Device, Distribution, Tensor, s};

use super::{Mode, untracked};

/// Smallest length that is divided by.
const EPSILON: f64 = 1e-12;

/// A convolution over one dimension (`D` = 3) or two (`D` = 4).
#[derive(Module, Debug)]
pub struct SpectralConv<const D: usize> {
    /// Weight before the division, `[out, in, k]` or `[out, in, k, k]`.
    pub weight_orig: Param<Tensor<D>>,
    /// `[out]`
    pub bias: Param<Tensor<1>>,
    /// Estimate of the first left singular vector, `[out]`.
    pub weight_u: Param<Tensor<1>>,
    /// Estimate of the first right singular vector, `[in · k]` or `[in · k²]`.
    pub weight_v: Param<Tensor<1>>,
    stride: usize,
}

impl<const D: usize> SpectralConv<D> {
    /// Fresh weights, uniform within ±1/sqrt(fan in), and random unit vectors.
    fn new(shape: [usize; D], stride: usize, device: &Device) -> Self {
        let (output, fan_in) = (shape[0], shape[1..].iter().product::<usize>());
        let bound = 1.0 / (fan_in as f64).sqrt();
        let uniform = Initializer::Uniform { min: -bound, max: bound };
        let vector = |length: usize| {
            let start = Tensor::random([length], Distribution::Normal(0.0, 1.0), device);
            Param::from_tensor(unit(start)).set_require_grad(false)
        };
        Self {
            weight_orig: uniform.init(shape, device),
            bias: uniform.init([output], device),
            weight_u: vector(output),
            weight_v: vector(fan_in),
            stride,
        }
    }

    /// The weight that is used, in training after one step of the power iteration.
    fn weight(&mut self, mode: Mode) -> Tensor<D> {
        let weight = self.weight_orig.val();
        if mode == Mode::Training {
            let matrix = matrix(untracked(weight.clone()));
            let v = unit((matrix.clone() * self.weight_u.val().unsqueeze_dim::<2>(1)).sum_dim(0).squeeze_dim(0));
            let u = unit(times(matrix, v.clone()));
            self.weight_u = self.weight_u.clone().map(|_| untracked(u));
            self.weight_v = self.weight_v.clone().map(|_| untracked(v));
        }
        let sigma = (times(matrix(weight.clone()), self.weight_v.val()) * self.weight_u.val()).sum(); // [1]
        weight / sigma.reshape([1; D])
    }
}

/// `[out, ..] -> [out, in · k]`
fn matrix<const D: usize>(weight: Tensor<D>) -> Tensor<2> {
    weight.flatten(1, D - 1)
}

/// `[out, F]` times `[F]`. Not a matrix product: Burn's kernel for vectors asks for subgroups without asking whether there
/// are any.
fn times(matrix: Tensor<2>, vector: Tensor<1>) -> Tensor<1> {
    (matrix * vector.unsqueeze_dim::<2>(0)).sum_dim(1).squeeze_dim(1)
}

fn unit(vector: Tensor<1>) -> Tensor<1> {
    let length = vector.clone().square().sum().sqrt().clamp_min(EPSILON);
    vector / length
}

impl SpectralConv<3> {
    /// A convolution along a ring of positions: what leaves on the right comes in on the left.
    pub fn ring(input: usize, output: usize, kernel: usize, device: &Device) -> Self {
        Self::new([output, input, kernel], 1, device)
    }

    /// `[B, in, M] -> [B, out, M]`
    pub fn forward(&mut self, x: Tensor<3>, mode: Mode) -> Tensor<3> {
        let weight = self.weight(mode);
        let [.., kernel] = weight.dims();
        let [.., positions] = x.dims();
        let around = kernel / 2;
        assert!(around <= positions, "a kernel of {kernel} reaches around a ring of {positions} more than once");
        let x = if around == 0 {
            x
        } else {
            let (first, last) = (s![.., .., ..around], s![.., .., positions - around..]);
            Tensor::cat(vec![x.clone().slice(last), x.clone(), x.slice(first)], 2) // [B, in, M + 2 around]
        };
        conv1d(x, weight, Some(self.bias.val()), ConvOptions::new([1], [0], [1], 1))
    }
}

impl SpectralConv<4> {
    /// A convolution of pictures, zeros around them.
    pub fn plane(input: usize, output: usize, kernel: usize, stride: usize, device: &Device) -> Self {
        Self::new([output, input, kernel, kernel], stride, device)
    }

    /// `[B, in, H, W] -> [B, out, H/stride, W/stride]`, for an even kernel with stride 2 and an odd one with stride 1.
    pub fn forward(&mut self, x: Tensor<4>, mode: Mode) -> Tensor<4> {
        let weight = self.weight(mode);
        let [.., kernel] = weight.dims();
        let around = (kernel - 1) / 2;
        conv2d(x, weight, Some(self.bias.val()), ConvOptions::new([self.stride; 2], [around; 2], [1; 2], 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::TensorData;
    use maetok_tests::devices;

    use crate::rng::Rng;

    /// Largest singular value by many steps of the power iteration in f64, from a start of its own.
    fn largest_singular_value(weight: &TensorData) -> f64 {
        let rows = weight.shape()[0];
        let weight: Vec<f64> = weight.try_to_vec::<f32>().unwrap().into_iter().map(f64::from).collect();
        let columns = weight.len() / rows;
        let mut v: Vec<f64> = (0..columns).map(|i| 1.0 + (i as f64).sin()).collect();
        let mut sigma = 0.0;
        for _ in 0..2000 {
            let u: Vec<f64> =
                weight.chunks_exact(columns).map(|w| w.iter().zip(&v).map(|(w, v)| w * v).sum()).collect();
            v = (0..columns).map(|j| (0..rows).map(|i| weight[i * columns + j] * u[i]).sum()).collect();
            let length = v.iter().map(|v| v * v).sum::<f64>().sqrt();
            v.iter_mut().for_each(|v| *v /= length);
            // |WᵀWv| of a unit v tends to the square of the largest singular value.
            sigma = length.sqrt();
        }
        sigma
    }

    #[test]
    fn training_keeps_the_largest_singular_value_near_1_while_the_weight_moves() {
        for on in devices() {
            let shape = [12, 6, 3, 3];
            let mut rng = Rng::new(5, 0);
            let mut normal = |std: f64| {
                let values: Vec<f32> = rng.normals(shape.iter().product()).iter().map(|v| (v * std) as f32).collect();
                Tensor::<4>::from_data(TensorData::new(values, shape), &on.device)
            };
            let (start, drift) = (normal(0.1), normal(0.02));
            let mut conv = SpectralConv::plane(6, 12, 3, 1, &on.device);
            conv.weight_orig = conv.weight_orig.map(|_| start);
            let x = Tensor::<4>::ones([1, 6, 4, 4], &on.device);
            let mut seen = Vec::new();
            for update in 0..120 {
                conv.weight_orig = conv.weight_orig.clone().map(|weight| weight + drift.clone());
                conv.forward(x.clone(), Mode::Training);
                if update >= 100 {
                    seen.push(largest_singular_value(&conv.weight(Mode::Evaluation).into_data()));
                }
            }
            assert!(seen.iter().all(|sigma| (sigma - 1.0).abs() < 0.01), "{seen:?} on {}", on.label);
            let free = largest_singular_value(&conv.weight_orig.val().into_data());
            assert!(free > 2.0, "the weight itself grew to {free}: the test tells something");
        }
    }

    #[test]
    fn evaluation_leaves_the_vectors_alone_and_training_moves_them() {
        let device = maetok_tests::cpu().device;
        let mut conv = SpectralConv::ring(4, 4, 3, &device);
        let x = Tensor::<3>::ones([1, 4, 8], &device);
        let vectors = |conv: &SpectralConv<3>| {
            [&conv.weight_u, &conv.weight_v].map(|vector| vector.val().into_data().try_to_vec::<f32>().unwrap())
        };
        let before = vectors(&conv);
        conv.forward(x.clone(), Mode::Evaluation);
        assert_eq!(vectors(&conv), before);
        conv.forward(x, Mode::Training);
        assert!(vectors(&conv).iter().zip(&before).all(|(after, before)| after != before));
    }

    #[test]
    fn a_ring_has_no_ends() {
        for on in devices() {
            let mut conv = SpectralConv::ring(2, 3, 9, &on.device);
            let x = Tensor::<3>::random([2, 2, 12], Distribution::Default, &on.device);
            let turned =
                |x: Tensor<3>| Tensor::cat(vec![x.clone().slice(s![.., .., 5..]), x.slice(s![.., .., ..5])], 2);
            let after = turned(conv.forward(x.clone(), Mode::Evaluation));
            let before = conv.forward(turned(x), Mode::Evaluation);
            assert_eq!(before.dims(), [2, 3, 12]);
            let worst = (after - before).abs().max().into_scalar::<f32>();
            assert!(worst < 1e-5, "{worst} on {}", on.label);
        }
    }
}
