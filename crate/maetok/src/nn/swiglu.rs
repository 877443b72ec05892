//! A gated MLP: `w3(silu(a) * b)` with `[a, b] = w12(x)`.
//!
//! Source: Shazeer 2020, arXiv 2002.05202. The hidden width is two thirds of a plain MLP's, so that both have as many
//! weights.

use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::activation::silu;
use burn::tensor::{Device, Tensor, s};

use super::{linear, linear_xavier};
use crate::kernels::Residual;
use crate::nn::linear::added;

/// See the module text. Field names are the checkpoint's keys.
#[derive(Module, Debug)]
pub struct SwiGlu {
    /// `D -> 2 hidden`: the gate, then what it lets through.
    pub w12: Linear,
    /// `hidden -> D`
    pub w3: Linear,
}

impl SwiGlu {
    /// Fresh weights: Xavier-uniform, zero bias.
    pub fn new(width: usize, hidden: usize, device: &Device) -> Self {
        Self { w12: linear_xavier(width, 2 * hidden, device), w3: linear_xavier(hidden, width, device) }
    }

    /// `[B, T, D] -> [B, T, D]`.
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        self.added(x, Residual::None)
    }

    /// `residual + gate * forward(x)`.
    pub(crate) fn added(&self, x: Tensor<3>, residual: Residual<'_>) -> Tensor<3> {
        let both = linear(&self.w12, x); // [B, T, 2 hidden]
        let [_, _, double] = both.dims();
        let gate = both.clone().slice(s![.., .., ..double / 2]);
        let value = both.slice(s![.., .., double / 2..]);
        added(&self.w3, silu(gate) * value, residual)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::module::Param;
    use maetok_tests::devices;

    #[test]
    fn values_are_those_of_the_formula() {
        let x = [[[0.5f32, -1.0]]];
        // Burn keeps weights as [in, out].
        let (w12, b12) = ([[1.0f32, -2.0, 0.5, 3.0], [0.25, 1.0, -1.0, 2.0]], [0.1f32, 0.2, 0.3, 0.4]);
        let (w3, b3) = ([[2.0f32, -1.0], [0.5, 4.0]], [0.05f32, -0.05]);
        let both: Vec<f64> =
            (0..4).map(|j| f64::from(x[0][0][0] * w12[0][j] + x[0][0][1] * w12[1][j] + b12[j])).collect();
        let hidden: Vec<f64> = (0..2).map(|j| both[j] / (1.0 + (-both[j]).exp()) * both[2 + j]).collect();
        let out = |j: usize| hidden[0] * f64::from(w3[0][j]) + hidden[1] * f64::from(w3[1][j]) + f64::from(b3[j]);
        let want = [out(0) as f32, out(1) as f32];
        for on in devices() {
            let mut mlp = SwiGlu::new(2, 2, &on.device);
            mlp.w12.weight = Param::from_tensor(Tensor::from_floats(w12, &on.device));
            mlp.w12.bias = Some(Param::from_tensor(Tensor::from_floats(b12, &on.device)));
            mlp.w3.weight = Param::from_tensor(Tensor::from_floats(w3, &on.device));
            mlp.w3.bias = Some(Param::from_tensor(Tensor::from_floats(b3, &on.device)));
            let got: Vec<f32> = mlp.forward(Tensor::from_floats(x, &on.device)).into_data().try_to_vec().unwrap();
            let close = got.iter().zip(&want).all(|(got, want)| (got - want).abs() <= 1e-6 + 1e-6 * want.abs());
            assert!(close && got.len() == want.len(), "{got:?}, not {want:?}, on {}", on.label);
        }
    }
}
