//! Batch norm over `[B, C, M]`, as PyTorch: normalised by the biased variance, remembered by the unbiased one.
//!
//! Burn's own layer has other names, remembers the biased variance, and shows what it remembers one batch late.
//!
//! Differs from the official code: statistics are those of the batch at hand, not of all machines together.

use burn::module::{Initializer, Module, Param};
use burn::tensor::module::{batch_norm, batch_norm_train};
use burn::tensor::{Device, Tensor};

use super::{Mode, untracked};

const EPSILON: f64 = 1e-6;
/// Share of the newest batch in the running statistics.
const MOMENTUM: f64 = 0.1;

/// See the module text. Field names are the checkpoint's keys.
#[derive(Module, Debug)]
pub struct BatchNorm {
    /// Scale, `[C]`.
    pub weight: Param<Tensor<1>>,
    /// Shift, `[C]`.
    pub bias: Param<Tensor<1>>,
    /// Mean of the batches so far, `[C]`.
    pub running_mean: Param<Tensor<1>>,
    /// Variance of the batches so far, `[C]`.
    pub running_var: Param<Tensor<1>>,
}

impl BatchNorm {
    /// Scale 1, shift 0, running mean 0 and variance 1.
    pub fn new(channels: usize, device: &Device) -> Self {
        let [ones, zeros] = [Initializer::Ones, Initializer::Zeros];
        Self {
            weight: ones.init([channels], device),
            bias: zeros.init([channels], device),
            running_mean: zeros.init([channels], device).set_require_grad(false),
            running_var: ones.init([channels], device).set_require_grad(false),
        }
    }

    /// `[B, C, M] -> [B, C, M]`; in training the running statistics move.
    pub fn forward(&mut self, x: Tensor<3>, mode: Mode) -> Tensor<3> {
        let (weight, bias) = (self.weight.val(), self.bias.val());
        match mode {
            Mode::Evaluation => batch_norm(x, weight, bias, self.running_mean.val(), self.running_var.val(), EPSILON),
            Mode::Training => {
                let [batch, _, positions] = x.dims();
                let count = (batch * positions) as f64;
                assert!(count > 1.0, "a single value per channel has no variance");
                let normalised = batch_norm_train(x, weight, bias, EPSILON);
                self.running_mean = blend(&self.running_mean, normalised.mean);
                self.running_var = blend(&self.running_var, normalised.variance * (count / (count - 1.0)));
                normalised.output
            }
        }
    }
}

fn blend(running: &Param<Tensor<1>>, new: Tensor<1>) -> Param<Tensor<1>> {
    running.clone().map(|old| untracked(old * (1.0 - MOMENTUM) + new * MOMENTUM))
}

#[cfg(test)]
mod tests {
    use super::*;
    use maetok_tests::devices;

    #[test]
    fn a_batch_is_normalised_and_remembered_and_evaluation_changes_nothing() {
        for on in devices() {
            let x = Tensor::<3>::from_floats([[[1.0, 3.0]], [[5.0, 7.0]]], &on.device);
            let mut norm = BatchNorm::new(1, &on.device);
            let y: Vec<f32> = norm.forward(x.clone(), Mode::Training).into_data().try_to_vec().unwrap();
            // Mean 4, biased variance 5.
            for (got, want) in y.iter().zip([-3.0, -1.0, 1.0, 3.0].map(|v: f32| v / 5f32.sqrt())) {
                assert!((got - want).abs() < 1e-5, "{got} {want} on {}", on.label);
            }
            let remembered = |norm: &BatchNorm| {
                [&norm.running_mean, &norm.running_var].map(|value| value.val().into_scalar::<f32>())
            };
            let [mean, variance] = remembered(&norm);
            // 0.9 · 0 + 0.1 · 4, and 0.9 · 1 + 0.1 · 20/3.
            assert!((mean - 0.4).abs() < 1e-6 && (variance - (0.9 + 2.0 / 3.0)).abs() < 1e-5, "{mean} {variance}");
            let y = norm.forward(x, Mode::Evaluation).into_data().try_to_vec::<f32>().unwrap();
            assert!((y[0] - (1.0 - mean) / (variance + 1e-6).sqrt()).abs() < 1e-5, "{}", y[0]);
            assert_eq!(remembered(&norm), [mean, variance]);
        }
    }
}
