//! Root-mean-square norm over the last axis: `x / sqrt(mean(x²) + eps) * weight`; no mean is subtracted.
//!
//! Source: Zhang and Sennrich 2019, arXiv 1910.07467.

use burn::module::{Initializer, Module, Param};
use burn::tensor::{Device, Tensor};

use super::modulate;
use crate::kernels::{self, Modulation, Norm};

/// See the module text. Field names are the checkpoint's keys.
#[derive(Module, Debug)]
pub struct RmsNorm {
    /// `[D]`
    pub weight: Param<Tensor<1>>,
    eps: f64,
}

impl RmsNorm {
    /// Weights of 1 over `width` values; `eps` is 1e-6 in LightningDiT.
    pub fn new(width: usize, eps: f64, device: &Device) -> Self {
        Self { weight: Initializer::Ones.init([width], device), eps }
    }

    /// `[.., D] -> [.., D]`.
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        if let Some(y) = kernels::norm(&x, Norm::Rms(&self.weight.val()), self.eps, Modulation::None) {
            return y;
        }
        let size = (x.clone().square().mean_dim(D - 1) + self.eps).sqrt(); // [.., 1]
        x / size * self.weight.val().unsqueeze()
    }
}

impl RmsNorm {
    /// Added to the mean square.
    pub(crate) fn eps(&self) -> f64 {
        self.eps
    }

    /// [`forward`](Self::forward), then the modulation: `[B, T, D] -> [B, T, D]`.
    pub(crate) fn modulated(&self, x: Tensor<3>, modulation: Modulation<'_>) -> Tensor<3> {
        match kernels::norm(&x, Norm::Rms(&self.weight.val()), self.eps, modulation) {
            Some(y) => y,
            None => modulate(self.forward(x), modulation),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use maetok_tests::devices;

    #[test]
    fn values_are_those_of_the_formula() {
        let rows = [[3.0f32, -4.0, 0.0, 12.0], [0.01, 0.02, -0.02, 0.0]];
        let weight = [1.0f32, 2.0, -1.0, 0.5];
        let eps = 1e-4;
        let want: Vec<f32> = rows
            .iter()
            .flat_map(|row| {
                let size = (row.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>() / 4.0 + eps).sqrt();
                row.iter().zip(weight).map(move |(v, w)| (f64::from(*v) / size * f64::from(w)) as f32)
            })
            .collect();
        for on in devices() {
            let mut norm = RmsNorm::new(4, eps, &on.device);
            norm.weight = Param::from_tensor(Tensor::from_floats(weight, &on.device));
            let got: Vec<f32> =
                norm.forward(Tensor::<2>::from_floats(rows, &on.device)).into_data().try_to_vec().unwrap();
            let close = got.iter().zip(&want).all(|(got, want)| (got - want).abs() <= 1e-6 + 1e-6 * want.abs());
            assert!(close && got.len() == want.len(), "{got:?}, not {want:?}, on {}", on.label);
        }
    }

    #[test]
    fn the_scale_of_the_input_does_not_matter() {
        let device = Device::flex();
        let x = Tensor::<2>::from_floats([[1.0, -2.0, 0.5]], &device);
        let norm = RmsNorm::new(3, 1e-6, &device);
        let difference = (norm.forward(x.clone() * 1000.0) - norm.forward(x)).abs().max().into_scalar::<f32>();
        assert!(difference < 1e-5, "{difference}");
    }
}
