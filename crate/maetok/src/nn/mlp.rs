//! The transformer's MLP: widen, GELU, narrow.

use burn::config::Config;
use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::activation::gelu;
use burn::tensor::{Device, Tensor};

use super::linear_normal;
use super::precision::linear;

/// Which GELU: the tokenizer uses the exact one, SiT the tanh form.
#[derive(Config, Debug, Copy, PartialEq)]
pub enum Gelu {
    /// `x/2 (1 + erf(x/sqrt 2))`
    Exact,
    /// `x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))`
    Tanh,
}

impl Gelu {
    fn apply(self, x: Tensor<3>) -> Tensor<3> {
        const SQRT_2_OVER_PI: f64 = std::f64::consts::FRAC_2_SQRT_PI * std::f64::consts::FRAC_1_SQRT_2;
        match self {
            Gelu::Exact => gelu(x),
            // Burn's own tanh form takes a power of a negative base, slow on the CPU and undefined in WGSL.
            Gelu::Tanh => {
                let inner = (x.clone().square() * 0.044715 + 1.0) * x.clone() * SQRT_2_OVER_PI;
                x * (inner.tanh() + 1.0) * 0.5
            }
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
        let activation = if self.tanh { Gelu::Tanh } else { Gelu::Exact };
        linear(&self.fc2, activation.apply(linear(&self.fc1, x)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_gelus_give_their_textbook_values_at_plus_and_minus_one() {
        let x = Tensor::<3>::from_floats([[[1.0, -1.0]]], &Device::flex());
        for (kind, plus) in [(Gelu::Exact, 0.841_344_7_f32), (Gelu::Tanh, 0.841_192_f32)] {
            let y: Vec<f32> = kind.apply(x.clone()).into_data().try_to_vec().unwrap();
            assert!((y[0] - plus).abs() < 1e-6, "{kind:?}(1) = {}", y[0]);
            assert!((y[1] - (plus - 1.0)).abs() < 1e-6, "{kind:?}(-1) = {}", y[1]);
        }
    }
}
