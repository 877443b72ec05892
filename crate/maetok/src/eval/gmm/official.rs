//! The fit of the official code, to compare with the paper's curves: Adam on free weights, means and log-variances.
//!
//! `log p(x) = logsumexp_k( log(w_k + 1e-10) + log N(x; m_k, diag exp(s_k)) )`. Nothing keeps the weights on the
//! simplex: they grow, and the likelihood with them. For a number that means something use [`Gmm`](super::Gmm).
//!
//! Source: official `gmm_fit.py`, commit `f4d60a0`; specification 6.1.

use burn::module::{Module, Param};
use burn::optim::{AdamConfig, GradientsParams, ModuleOptimizer};
use burn::tensor::{Device, Tensor, TensorData, assert_shape, s};

use crate::rng::Rng;

/// How an [`OfficialGmm`] is fitted.
#[derive(Clone, Debug, PartialEq)]
pub struct OfficialFit {
    /// Passes over the rows.
    pub epochs: usize,
    /// Rows of a step; all rows in their order where there are no more.
    pub batch: usize,
    /// Learning rate of Adam.
    pub rate: f64,
    /// Seed of the order of the rows.
    pub seed: u64,
}

impl Default for OfficialFit {
    /// As the README of the official code.
    fn default() -> Self {
        Self { epochs: 500, batch: 64, rate: 1e-3, seed: 0 }
    }
}

/// Parameters of the official mixture of `K` Gaussians in `D` dimensions.
#[derive(Module, Debug)]
pub struct OfficialGmm {
    /// `[K]`, free.
    pub weights: Param<Tensor<1>>,
    /// `[K, D]`
    pub means: Param<Tensor<2>>,
    /// `[K, D]`
    pub log_variances: Param<Tensor<2>>,
}

impl OfficialGmm {
    /// The official start: equal weights, standard normal means, unit variances.
    pub fn new(components: usize, width: usize, seed: u64, device: &Device) -> Self {
        let means: Vec<f32> = Rng::new(seed, 2).normals(components * width).iter().map(|v| *v as f32).collect();
        Self::of(
            Tensor::full([components], 1.0 / components as f32, device),
            Tensor::from_data(TensorData::new(means, [components, width]), device),
            Tensor::zeros([components, width], device),
        )
    }

    /// From given parameters; see the fields for the shapes.
    pub fn of(weights: Tensor<1>, means: Tensor<2>, log_variances: Tensor<2>) -> Self {
        let [components, width] = means.dims();
        assert_shape!(weights, [components]);
        assert_shape!(log_variances, [components, width]);
        Self {
            weights: Param::from_tensor(weights),
            means: Param::from_tensor(means),
            log_variances: Param::from_tensor(log_variances),
        }
    }

    /// Mean log-likelihood of rows `[B, D]` in nats; result `[1]`.
    pub fn mean_log_likelihood(&self, x: Tensor<2>) -> Tensor<1> {
        let [components, width] = self.means.val().dims();
        let [batch, _] = x.dims();
        assert_shape!(x, [batch, width]);
        let logs: Tensor<2> = self.log_variances.val();
        let off = x.reshape([batch, 1, width]) - self.means.val().unsqueeze::<3>(); // [B, K, D]
        let squares =
            (off.square() * logs.clone().neg().exp().unsqueeze::<3>()).sum_dim(2).reshape([batch, components]);
        let volume = logs.sum_dim(1).reshape([1, components]) + width as f64 * std::f64::consts::TAU.ln();
        let weight = (self.weights.val() + 1e-10).log().reshape([1, components]);
        let joint = weight - (squares + volume) * 0.5; // [B, K]
        let largest = joint.clone().detach().max_dim(1); // [B, 1]
        ((joint - largest.clone()).exp().sum_dim(1).log() + largest).mean()
    }

    /// Adam on the mean negative log-likelihood of rows `[n, D]`; returns the mean of every pass beside the mixture.
    ///
    /// # Panics
    /// If the mixture or `x` is not on an autodiff device, or a setting is 0.
    pub fn fit(mut self, x: Tensor<2>, fit: &OfficialFit) -> (Self, Vec<f64>) {
        let [count, _] = x.dims();
        assert!(fit.epochs > 0 && fit.batch > 0 && count > 0, "{fit:?} for {count} rows");
        let mut optimiser = ModuleOptimizer::from(AdamConfig::new().with_epsilon(1e-8).build());
        let mut rng = Rng::new(fit.seed, 3);
        let mut history = Vec::with_capacity(fit.epochs);
        for _ in 0..fit.epochs {
            let x = if fit.batch >= count {
                x.clone()
            } else {
                let order: Vec<i64> = rng.permutation(count).iter().map(|index| *index as i64).collect();
                x.clone().select(0, Tensor::from_data(TensorData::new(order, [count]), &x.device()))
            };
            let mut sum = 0.0;
            for first in (0..count).step_by(fit.batch) {
                let last = (first + fit.batch).min(count);
                let loss = self.mean_log_likelihood(x.clone().slice(s![first..last, ..])).neg();
                sum += f64::from(loss.clone().into_scalar::<f32>()) * (last - first) as f64;
                let grads = GradientsParams::from_grads(loss.backward(), &self);
                self = optimiser.step(fit.rate, self, grads);
            }
            history.push(sum / count as f64);
        }
        (self, history)
    }
}
