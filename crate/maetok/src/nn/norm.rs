//! Layer norm over the last axis, with and without affine parameters.
//!
//! `LN(x) = (x - mean) / sqrt(var + eps)`, biased variance, as PyTorch.

use burn::module::{Initializer, Module, Param};
use burn::tensor::module::layer_norm;
use burn::tensor::{Device, Tensor};

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

    /// `[.., D] -> [.., D]`.
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        layer_norm(x, self.weight.val(), Some(self.bias.val()), self.eps)
    }
}

/// Layer norm without affine parameters, `[.., D] -> [.., D]`.
pub fn normalize<const D: usize>(x: Tensor<D>, eps: f64) -> Tensor<D> {
    let ones = Tensor::ones([x.dims()[D - 1]], &x.device());
    layer_norm(x, ones, None, eps)
}
