//! Layer norm over the last axis, with and without affine parameters.
//!
//! `LN(x) = (x - mean) / sqrt(var + eps)`, biased variance, as PyTorch.

use burn::module::{Initializer, Module, Param};
use burn::tensor::module::layer_norm;
use burn::tensor::{Device, Tensor, s};

use crate::kernels::{self, Modulation, Norm};

/// Layer norm with learned scale and shift. Field names are the checkpoint's keys.
#[derive(Module, Debug)]
pub struct LayerNorm {
    /// Scale, `[D]`.
    pub weight: Param<Tensor<1>>,
    /// Shift, `[D]`.
    pub bias: Param<Tensor<1>>,
    eps: f64,
}

impl LayerNorm {
    /// Scale 1, shift 0, over `width` values; `eps` is 1e-6 in the ViTs and 1e-5 in SiT's qk-norm.
    pub fn new(width: usize, eps: f64, device: &Device) -> Self {
        Self { weight: Initializer::Ones.init([width], device), bias: Initializer::Zeros.init([width], device), eps }
    }

    /// Added to the variance.
    pub(super) fn eps(&self) -> f64 {
        self.eps
    }

    /// `[.., D] -> [.., D]`.
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        let (weight, bias) = (self.weight.val(), self.bias.val());
        match kernels::norm(&x, Norm::Layer, self.eps, Modulation::Affine { weight: &weight, bias: &bias }) {
            Some(y) => y,
            None => layer_norm(x, weight, Some(bias), self.eps),
        }
    }
}

/// Layer norm without affine parameters, `[.., D] -> [.., D]`.
pub fn normalize<const D: usize>(x: Tensor<D>, eps: f64) -> Tensor<D> {
    match kernels::norm(&x, Norm::Layer, eps, Modulation::None) {
        Some(y) => y,
        None => layer_norm(x.clone(), Tensor::ones([x.dims()[D - 1]], &x.device()), None, eps),
    }
}

/// [`normalize`], then the modulation: `[B, T, D] -> [B, T, D]`.
pub(crate) fn normalize_modulated(x: Tensor<3>, eps: f64, modulation: Modulation<'_>) -> Tensor<3> {
    match kernels::norm(&x, Norm::Layer, eps, modulation) {
        Some(y) => y,
        None => modulate(normalize(x, eps), modulation),
    }
}

/// The modulation alone, in plain ops: `[B, T, D] -> [B, T, D]`.
pub(crate) fn modulate(n: Tensor<3>, modulation: Modulation<'_>) -> Tensor<3> {
    let [batch, tokens, width] = n.dims();
    match modulation {
        Modulation::None => n,
        Modulation::Affine { weight, bias } => n * weight.clone().unsqueeze() + bias.clone().unsqueeze(),
        Modulation::Samples { table, row, at } => {
            let part = |at| table.clone().slice(s![row..row + batch, at..at + width]).unsqueeze_dim::<3>(1);
            n * (part(at + width) + 1.0) + part(at)
        }
        Modulation::Latents { table, at } => {
            let [_, latents, _] = table.dims();
            let part = |at| table.clone().slice(s![.., .., at..at + width]);
            let others = n.clone().slice(s![.., ..tokens - latents, ..]);
            let modulated = n.slice(s![.., tokens - latents.., ..]) * part(at + width) + part(at);
            Tensor::cat(vec![others, modulated], 1)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modulation_by_latents_touches_their_rows_only() {
        let device = Device::flex();
        let x = Tensor::<3>::ones([1, 5, 2], &device);
        let table = Tensor::<3>::from_floats([[[10.0, 20.0, 2.0, 3.0], [0.0, 0.0, 1.0, 1.0]]], &device);
        let y: Vec<f32> = modulate(x, Modulation::Latents { table: &table, at: 0 }).into_data().try_to_vec().unwrap();
        assert_eq!(y, [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 12.0, 23.0, 1.0, 1.0]);
    }
}
