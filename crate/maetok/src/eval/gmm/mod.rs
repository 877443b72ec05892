//! How many modes the latents have: mixtures of Gaussians with diagonal covariances.
//!
//! Latents are flattened, brought to a fixed number of principal components and standardised; the fewer Gaussians a
//! negative log-likelihood takes, the simpler the latent space, and the less data a generator on it needs.
//!
//! Source: Chen et al. 2025, arXiv 2502.03444, section 3 and appendix B.3; official `gmm_fit.py`, commit `f4d60a0`.
//!
//! Differs from the official code: PCA as the paper says, where the code takes UMAP; expectation–maximisation instead
//! of Adam, with weights that stay probabilities. The code's own fit, whose weights are free, is [`OfficialGmm`].

mod em;
mod official;

#[cfg(test)]
mod parity;

use burn::tensor::Device;
use serde::Serialize;

pub use em::{EmFit, EmTraining, Gmm};
pub use official::{OfficialFit, OfficialGmm};

use super::pca::Pca;
use super::standardise::Standardiser;
use crate::rng::Rng;

/// Bayesian information criterion of `components` diagonal Gaussians in `width` dimensions, as the official code counts
/// parameters: `K (1 + 2 D) ln n - 2 n * mean log-likelihood`.
pub fn bic(components: usize, width: usize, rows: usize, mean_log_likelihood: f64) -> f64 {
    let (rows, parameters) = (rows as f64, (components * (1 + 2 * width)) as f64);
    parameters * rows.ln() - 2.0 * rows * mean_log_likelihood
}

/// How the complexity of latents is measured.
#[derive(Clone, Debug, PartialEq)]
pub struct Complexity {
    /// Principal components kept; the paper asks that they hold over 90 % of the variance.
    pub dimensions: usize,
    /// Numbers of Gaussians to try.
    pub components: Vec<usize>,
    /// Share of the latents that is fitted to; the others are held out.
    pub share: f64,
    /// The fit of each.
    pub em: EmTraining,
}

impl Default for Complexity {
    /// 100 dimensions, 50 to 200 Gaussians as in the paper's figure, four fifths fitted to as in the official code.
    fn default() -> Self {
        Self { dimensions: 100, components: vec![50, 100, 150, 200], share: 0.8, em: EmTraining::default() }
    }
}

/// One number of Gaussians; log-likelihoods in nats a latent, of the standardised components.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ComplexityRow {
    /// Gaussians.
    pub components: usize,
    /// Mean negative log-likelihood of the latents fitted to.
    pub train_nll: f64,
    /// The same of those held out.
    pub held_out_nll: f64,
    /// Bayesian information criterion of the fit.
    pub bic: f64,
}

/// What [`Complexity::measure`] finds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ComplexityReport {
    /// Share of the variance that the principal components hold.
    pub explained: f64,
    /// One a number of Gaussians, in the order asked for.
    pub rows: Vec<ComplexityRow>,
}

impl Complexity {
    /// Measures `latents` `[n, width]`, each flattened to a row; the split is drawn from the seed of the fit.
    ///
    /// # Panics
    /// If `latents` is not whole rows, or too few for a part to fit to and a part to hold out.
    pub fn measure(&self, latents: &[f32], width: usize, device: &Device) -> ComplexityReport {
        assert!(width > 0 && latents.len().is_multiple_of(width), "latents of {width} numbers");
        let count = latents.len() / width;
        let fitted = (count as f64 * self.share) as usize;
        assert!(fitted > 1 && fitted < count, "{count} latents, of which {fitted} to fit to");
        let order = Rng::new(self.em.seed, 0).permutation(count);
        let gather = |order: &[usize]| -> Vec<f32> {
            order.iter().flat_map(|index| &latents[index * width..(index + 1) * width]).copied().collect()
        };
        let (train, held_out) = (gather(&order[..fitted]), gather(&order[fitted..]));
        let pca = Pca::fit(&train, width, self.dimensions, device);
        let codes = pca.codes(&train, device);
        let standardiser = Standardiser::fit(&codes, pca.components());
        let train = standardiser.apply(&codes);
        let held_out = standardiser.apply(&pca.codes(&held_out, device));
        let row = |components: &usize| {
            let fit = Gmm::fit(&train, pca.components(), *components, &self.em);
            let reached = fit.gmm.mean_log_likelihood(&train);
            ComplexityRow {
                components: *components,
                train_nll: -reached,
                held_out_nll: -fit.gmm.mean_log_likelihood(&held_out),
                bic: bic(*components, pca.components(), fitted, reached),
            }
        };
        ComplexityReport { explained: pca.explained(), rows: self.components.iter().map(row).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latents_of_few_modes_need_few_gaussians() {
        let mut rng = Rng::new(8, 0);
        let width = 12;
        let centres: Vec<Vec<f64>> = (0..4).map(|_| rng.normals(width).iter().map(|v| 8.0 * v).collect()).collect();
        let latents: Vec<f32> = (0..1200)
            .flat_map(|i| centres[i % 4].iter().map(|centre| (centre + rng.normal()) as f32).collect::<Vec<_>>())
            .collect();
        // Three: the four centres span no more, and standardising would blow up the noise of the others.
        let complexity = Complexity { dimensions: 3, components: vec![1, 4, 40], ..Complexity::default() };
        let report = complexity.measure(&latents, width, &Device::flex());
        assert!(report.explained > 0.9, "{report:?}");
        let [one, four, forty] = &report.rows[..] else { panic!("three rows: {report:?}") };
        assert!(four.held_out_nll < one.held_out_nll - 1.0, "{report:?}");
        assert!(forty.held_out_nll > four.held_out_nll && forty.train_nll < four.train_nll, "{report:?}");
        assert!(four.bic < one.bic && four.bic < forty.bic, "{report:?}");
    }
}
