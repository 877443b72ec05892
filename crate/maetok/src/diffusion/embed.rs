//! What SiT is told beside the latent: the time and the class.

use burn::module::{Initializer, Module, Param};
use burn::nn::Linear;
use burn::tensor::{Device, Int, Tensor};

use crate::kernels::Activation;
use crate::nn::{Probe, linear_normal, linear_rows};

/// Half the size of the sinusoidal time embedding.
const HALF: usize = 128;

/// Sinusoids of `t`, then a two-layer MLP.
#[derive(Module, Debug)]
pub struct TimestepEmbedder {
    /// `256 -> D`; the checkpoint's `mlp.0`.
    pub mlp_in: Linear,
    /// `D -> D`; the checkpoint's `mlp.2`.
    pub mlp_out: Linear,
}

impl TimestepEmbedder {
    /// Fresh weights: normal with std 0.02, zero bias.
    pub fn new(width: usize, device: &Device) -> Self {
        Self {
            mlp_in: linear_normal(2 * HALF, width, 0.02, device),
            mlp_out: linear_normal(width, width, 0.02, device),
        }
    }

    /// `[B] -> [B, D]`, `t` in `[0, 1]`.
    pub fn forward(&self, t: Tensor<1>, probe: &mut impl Probe) -> Tensor<2> {
        let freq = timestep_sinusoid(t);
        probe.see("t_freq", &freq);
        let hidden = linear_rows(&self.mlp_in, freq, Activation::Silu);
        linear_rows(&self.mlp_out, hidden, Activation::Identity)
    }
}

/// `[cos(t f_k), sin(t f_k)]`, `f_k = 10000^(-k/128)`: `[B] -> [B, 256]`. `t` is not multiplied by 1000.
pub fn timestep_sinusoid(t: Tensor<1>) -> Tensor<2> {
    // The exponent is rounded to f32 as in the official code, where it is a float tensor: at large t that shows.
    let exponent = |k: usize| -(10000f64.ln() as f32) * k as f32 / HALF as f32;
    let frequencies: Vec<f32> = (0..HALF).map(|k| f64::from(exponent(k)).exp() as f32).collect();
    let frequencies = Tensor::<1>::from_floats(frequencies.as_slice(), &t.device());
    let [batch] = t.dims();
    let angle = t.reshape([batch, 1]) * frequencies.reshape([1, HALF]); // [B, 128]
    Tensor::cat(vec![angle.clone().cos(), angle.sin()], 1)
}

/// A learned row per class, and one for "no class".
#[derive(Module, Debug)]
pub struct LabelEmbedder {
    /// Under the checkpoint's name.
    pub embedding_table: Table,
}

/// Rows of a [`LabelEmbedder`].
#[derive(Module, Debug)]
pub struct Table {
    /// `[K+1, D]`; row `K` is the null class.
    pub weight: Param<Tensor<2>>,
}

impl LabelEmbedder {
    /// Fresh rows, normal with std 0.02.
    pub fn new(classes: usize, width: usize, device: &Device) -> Self {
        let weight = Initializer::Normal { mean: 0.0, std: 0.02 }.init([classes + 1, width], device);
        Self { embedding_table: Table { weight } }
    }

    /// `[B] -> [B, D]`.
    pub fn forward(&self, y: Tensor<1, Int>) -> Tensor<2> {
        self.embedding_table.weight.val().select(0, y)
    }
}
