//! DropPath, or stochastic depth: in training, residual branches of single pictures are left out at random.
//!
//! A branch that stays is divided by the probability of staying, so the expectation is that of the whole network, and
//! outside training nothing is drawn and nothing is scaled. The rate rises linearly from 0 at the first block to its
//! full value at the last.
//!
//! Source: Huang et al. 2016, *Deep Networks with Stochastic Depth*, arXiv 1603.09382, as timm computes it.
//!
//! Differs from the official code: the draws come from [`Rng`], not from the device, so that a run can be resumed
//! exactly and does not depend on what it runs on.

use burn::tensor::{Tensor, TensorData};

use crate::rng::Rng;

/// The two residual branches of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Branch {
    /// Attention.
    Attention,
    /// MLP.
    Mlp,
}

/// Which branches of one training forward are left out.
#[derive(Clone, Debug)]
pub struct DropPath {
    /// Factors of both branches of each block, one per picture: 0, or 1 over the probability of staying. `None` where
    /// nothing can be left out.
    factors: Vec<[Option<Vec<f32>>; 2]>,
}

impl DropPath {
    /// Draws for `depth` blocks and `batch` pictures; takes `2 * batch` uniform numbers from `rng` for each block whose
    /// rate is not 0.
    ///
    /// # Panics
    /// If `rate` is not at least 0 and below 1.
    pub fn draw(rng: &mut Rng, rate: f64, depth: usize, batch: usize) -> Self {
        assert!((0.0..1.0).contains(&rate), "a DropPath rate of {rate}");
        let mut factors = |stays: f64| {
            let mut factor = || if rng.uniform() < stays { (1.0 / stays) as f32 } else { 0.0 };
            (stays < 1.0).then(|| (0..batch).map(|_| factor()).collect())
        };
        let factors = (0..depth)
            .map(|block| {
                let stays = 1.0 - rate_at(rate, block, depth);
                [factors(stays), factors(stays)]
            })
            .collect();
        Self { factors }
    }

    /// Cuts the draws into `parts` of equally many pictures each.
    ///
    /// # Panics
    /// If the number of pictures is not a multiple of `parts`.
    pub fn split(&self, parts: usize) -> Vec<Self> {
        let part = |factors: &Option<Vec<f32>>, at: usize| {
            factors.as_ref().map(|factors| {
                assert!(factors.len().is_multiple_of(parts), "{} pictures in {parts} parts", factors.len());
                let each = factors.len() / parts;
                factors[at * each..(at + 1) * each].to_vec()
            })
        };
        let of = |at: usize| self.factors.iter().map(|[a, b]| [part(a, at), part(b, at)]).collect();
        (0..parts).map(|at| Self { factors: of(at) }).collect()
    }

    /// The branch's output `[B, T, D]`, zero for the pictures that do without it and scaled for the others.
    ///
    /// # Panics
    /// If the draws were for another depth or number of pictures.
    pub fn apply(&self, block: usize, branch: Branch, x: Tensor<3>) -> Tensor<3> {
        let Some(factors) = &self.factors[block][branch as usize] else {
            return x;
        };
        let ([batch, _, _], device) = (x.dims(), x.device());
        x * Tensor::from_data(TensorData::new(factors.clone(), [batch, 1, 1]), &device)
    }
}

/// Probability that a branch of block `block` of `depth` is left out.
pub fn rate_at(rate: f64, block: usize, depth: usize) -> f64 {
    if depth < 2 { 0.0 } else { rate * block as f64 / (depth - 1) as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    fn values(x: Tensor<3>) -> Vec<f32> {
        x.into_data().try_to_vec().unwrap()
    }

    #[test]
    fn the_rate_is_linear_over_depth() {
        let rates: Vec<f64> = (0..5).map(|block| rate_at(0.2, block, 5)).collect();
        for (rate, want) in rates.iter().zip([0.0, 0.05, 0.1, 0.15, 0.2]) {
            assert!((rate - want).abs() < 1e-12, "{rates:?}");
        }
        assert_eq!(rate_at(0.2, 0, 1), 0.0);
    }

    #[test]
    fn rate_0_is_the_identity_and_draws_nothing() {
        let device = Device::flex();
        let mut rng = Rng::new(1, 2);
        let drop = DropPath::draw(&mut rng, 0.0, 3, 4);
        let x = Tensor::<3>::from_floats([[[0.3, -1.7]], [[2.5, 0.0]], [[1e-9, 4.0]], [[-0.1, 7.0]]], &device);
        for block in 0..3 {
            for branch in [Branch::Attention, Branch::Mlp] {
                assert_eq!(values(drop.apply(block, branch, x.clone())), values(x.clone()));
            }
        }
        assert_eq!(rng.next_u32(), Rng::new(1, 2).next_u32());
    }

    #[test]
    fn the_expectation_is_the_branch_itself_and_whole_pictures_are_dropped() {
        let device = Device::flex();
        let (rate, batch) = (0.3, 40_000);
        let drop = DropPath::draw(&mut Rng::new(7, 0), rate, 2, batch);
        for branch in [Branch::Attention, Branch::Mlp] {
            let y = values(drop.apply(1, branch, Tensor::ones([batch, 1, 2], &device)));
            let mean = y.iter().map(|value| f64::from(*value)).sum::<f64>() / y.len() as f64;
            // Six standard deviations of the mean of `batch` draws.
            assert!((mean - 1.0).abs() < 6.0 * (rate / (1.0 - rate) / batch as f64).sqrt(), "mean {mean}");
            let dropped = y.iter().filter(|value| **value == 0.0).count() as f64 / y.len() as f64;
            assert!((dropped - rate).abs() < 0.02, "{dropped} dropped");
            assert!(y.chunks_exact(2).all(|token| token[0] == token[1]), "a picture is dropped as a whole");
        }
        let factor = |branch| values(drop.apply(1, branch, Tensor::ones([batch, 1, 1], &device)));
        assert_ne!(factor(Branch::Attention), factor(Branch::Mlp), "each branch has draws of its own");
    }
}
