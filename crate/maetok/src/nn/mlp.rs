//! The transformer's MLP: widen, GELU, narrow.

use burn::config::Config;
use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::{Device, Tensor};

use super::linear::{activated, linear};
use super::linear_normal;
use crate::kernels::Activation;

/// Which GELU: the tokenizer uses the exact one, SiT the tanh form.
#[derive(Config, Debug, Copy, PartialEq)]
pub enum Gelu {
    /// `x/2 (1 + erf(x/sqrt 2))`
    Exact,
    /// `x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))`
    Tanh,
}

impl Gelu {
    fn activation(self) -> Activation {
        match self {
            Gelu::Exact => Activation::GeluExact,
            Gelu::Tanh => Activation::GeluTanh,
        }
    }
}

/// Sizes of an [`Mlp`].
#[derive(Config, Debug)]
pub struct MlpConfig {
    /// Width in and out, `D`.
    pub width: usize,
    /// Width inside.
    pub hidden: usize,
    /// Activation between the two layers.
    pub activation: Gelu,
}

impl MlpConfig {
    /// Fresh weights: normal with std 0.02, zero bias.
    pub fn init(&self, device: &Device) -> Mlp {
        Mlp {
            fc1: linear_normal(self.width, self.hidden, 0.02, device),
            fc2: linear_normal(self.hidden, self.width, 0.02, device),
            tanh: self.activation == Gelu::Tanh,
        }
    }
}

/// `fc2(gelu(fc1(x)))`. Made by [`MlpConfig::init`].
#[derive(Module, Debug)]
pub struct Mlp {
    /// `D -> hidden`
    pub fc1: Linear,
    /// `hidden -> D`
    pub fc2: Linear,
    tanh: bool,
}

impl Mlp {
    /// `[B, T, D] -> [B, T, D]`.
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        linear(&self.fc2, self.hidden(x))
    }

    /// What the second layer reads, `[B, T, D] -> [B, T, hidden]`.
    pub fn hidden(&self, x: Tensor<3>) -> Tensor<3> {
        let kind = if self.tanh { Gelu::Tanh } else { Gelu::Exact };
        activated(&self.fc1, x, kind.activation())
    }
}
