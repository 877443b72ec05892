//! Expectation–maximisation in f64: every step raises the likelihood, and the weights stay probabilities.
//!
//! Source: Dempster, Laird and Rubin 1977; starting points by k-means++ (Arthur and Vassilvitskii 2007).

use nalgebra::{DMatrix, DVector};

use crate::eval::product::product;
use crate::rng::Rng;

/// Rows handled at a time: the responsibilities of a large set are never all there.
const BLOCK: usize = 4096;
/// Least variance, for data of about unit variance. Without it a component that sits on one row gets an infinite
/// likelihood.
const FLOOR: f64 = 1e-4;
/// Rows a component must be responsible for before it moves; with fewer its moments are rounding errors.
const LEAST: f64 = 1e-6;

/// How a mixture is fitted.
#[derive(Clone, Debug, PartialEq)]
pub struct EmTraining {
    /// Most updates.
    pub iterations: usize,
    /// Ends when an update raises the mean log-likelihood by less than this, in nats.
    pub tolerance: f64,
    /// Fits from different starting points, of which the likeliest counts: each alone can stay in a local maximum.
    pub starts: u64,
    /// Seed of the starting points.
    pub seed: u64,
}

impl Default for EmTraining {
    fn default() -> Self {
        Self { iterations: 100, tolerance: 1e-4, starts: 3, seed: 0 }
    }
}

/// A mixture of `K` Gaussians in `D` dimensions with diagonal covariances.
#[derive(Clone, Debug, PartialEq)]
pub struct Gmm {
    /// `[K]`, not negative, sum 1.
    pub weights: DVector<f64>,
    /// `[D, K]`
    pub means: DMatrix<f64>,
    /// `[D, K]`
    pub variances: DMatrix<f64>,
}

/// A fitted mixture.
#[derive(Clone, Debug, PartialEq)]
pub struct EmFit {
    /// The mixture.
    pub gmm: Gmm,
    /// Mean log-likelihood in nats before each update, of the fit that was kept.
    pub history: Vec<f64>,
}

/// Sums over rows, weighted by responsibility.
struct Sums {
    /// `[K]`
    weight: DVector<f64>,
    /// `[D, K]`
    value: DMatrix<f64>,
    /// `[D, K]`
    square: DMatrix<f64>,
    log_likelihood: f64,
}

impl Gmm {
    /// Fits `components` Gaussians to `rows` `[n, width]`, which should have about unit variance.
    ///
    /// # Panics
    /// If `rows` is not whole rows, or fewer than `components`; if there is to be no start or no update.
    pub fn fit(rows: &[f32], width: usize, components: usize, training: &EmTraining) -> EmFit {
        assert!(width > 0 && rows.len().is_multiple_of(width), "rows of {width} numbers");
        let count = rows.len() / width;
        assert!((1..=count).contains(&components), "{components} Gaussians for {count} rows");
        assert!(training.starts > 0 && training.iterations > 0, "{training:?}");
        let fits = (0..training.starts).map(|stream| Self::fit_once(rows, width, components, training, stream));
        let reached = |fit: &EmFit| fit.history.last().copied().unwrap_or(f64::NEG_INFINITY);
        fits.max_by(|a, b| reached(a).total_cmp(&reached(b))).expect("at least one start")
    }

    fn fit_once(rows: &[f32], width: usize, components: usize, training: &EmTraining, stream: u64) -> EmFit {
        let count = rows.len() / width;
        let mut gmm = Self::start(rows, width, components, &mut Rng::new(training.seed, 16 + stream));
        let mut history: Vec<f64> = Vec::new();
        for _ in 0..training.iterations {
            let sums = gmm.sums(rows);
            let reached = sums.log_likelihood / count as f64;
            let settled = history.last().is_some_and(|before| reached - before < training.tolerance);
            history.push(reached);
            if settled {
                break;
            }
            gmm.update(&sums, count);
        }
        EmFit { gmm, history }
    }

    /// Mean log-likelihood of `rows` `[n, width]` in nats.
    ///
    /// # Panics
    /// If `rows` is empty or not whole rows of this mixture's width.
    pub fn mean_log_likelihood(&self, rows: &[f32]) -> f64 {
        let width = self.means.nrows();
        assert!(!rows.is_empty() && rows.len().is_multiple_of(width), "rows of {width} numbers");
        let blocks = rows.chunks(BLOCK * width).map(|block| {
            let mut logs = self.joint_logs(&columns(block, width));
            logs.column_iter_mut().map(|mut column| normalise(column.as_mut_slice())).sum::<f64>()
        });
        blocks.sum::<f64>() / (rows.len() / width) as f64
    }

    /// Rows far from each other as means, the set's own variances, equal weights.
    fn start(rows: &[f32], width: usize, components: usize, rng: &mut Rng) -> Self {
        let count = rows.len() / width;
        let row = |i: usize| rows[i * width..(i + 1) * width].iter().map(|v| f64::from(*v));
        let mut chosen = vec![rng.below(count)];
        let mut distances = vec![f64::INFINITY; count];
        while chosen.len() < components {
            let last = chosen[chosen.len() - 1];
            for (i, distance) in distances.iter_mut().enumerate() {
                *distance = distance.min(row(i).zip(row(last)).map(|(a, b)| (a - b).powi(2)).sum());
            }
            let total: f64 = distances.iter().sum();
            let mut left = rng.uniform() * total;
            let next = distances.iter().position(|distance| {
                left -= distance;
                left < 0.0
            });
            // Where all rows are taken or copies, any will do.
            chosen.push(next.unwrap_or_else(|| rng.below(count)));
        }
        let all = |f: &dyn Fn(f64) -> f64| -> DVector<f64> {
            let mut sum = DVector::zeros(width);
            (0..count).for_each(|i| sum.iter_mut().zip(row(i)).for_each(|(sum, value)| *sum += f(value)));
            sum / count as f64
        };
        let (mean, square) = (all(&|v| v), all(&|v| v * v));
        let variance = (square - mean.component_mul(&mean)).map(|v| v.max(FLOOR));
        Self {
            weights: DVector::from_element(components, 1.0 / components as f64),
            means: DMatrix::from_iterator(width, components, chosen.iter().flat_map(|i| row(*i))),
            variances: DMatrix::from_fn(width, components, |d, _| variance[d]),
        }
    }

    /// `log w_k + log N(x_i; m_k, v_k)` for rows `x` `[D, b]` as columns: `[K, b]`.
    fn joint_logs(&self, x: &DMatrix<f64>) -> DMatrix<f64> {
        let precisions = self.variances.map(|v| 1.0 / v); // [D, K]
        let pull = self.means.component_mul(&precisions);
        let constant = DVector::from_fn(self.weights.len(), |k, _| {
            let logs: f64 = self.variances.column(k).iter().map(|v| (std::f64::consts::TAU * v).ln()).sum();
            self.weights[k].ln() - 0.5 * (logs + pull.column(k).dot(&self.means.column(k)))
        });
        let squares = product(&precisions.transpose(), &x.component_mul(x)); // [K, b]
        let mut logs = product(&pull.transpose(), x) - squares * 0.5;
        logs.column_iter_mut().for_each(|mut column| column += &constant);
        logs
    }

    fn sums(&self, rows: &[f32]) -> Sums {
        let (width, components) = self.means.shape();
        let zeros = || DMatrix::<f64>::zeros(width, components);
        let mut sums =
            Sums { weight: DVector::zeros(components), value: zeros(), square: zeros(), log_likelihood: 0.0 };
        for block in rows.chunks(BLOCK * width) {
            let x = columns(block, width);
            let mut logs = self.joint_logs(&x); // [K, b]; becomes the responsibilities
            for mut column in logs.column_iter_mut() {
                sums.log_likelihood += normalise(column.as_mut_slice());
            }
            let share = logs.transpose(); // [b, K]
            sums.weight += share.row_sum().transpose();
            sums.value += product(&x, &share);
            sums.square += product(&x.component_mul(&x), &share);
        }
        sums
    }

    fn update(&mut self, sums: &Sums, count: usize) {
        for (k, &weight) in sums.weight.iter().enumerate() {
            self.weights[k] = weight / count as f64;
            if weight < LEAST {
                continue;
            }
            for d in 0..self.means.nrows() {
                let mean = sums.value[(d, k)] / weight;
                self.means[(d, k)] = mean;
                self.variances[(d, k)] = (sums.square[(d, k)] / weight - mean * mean).max(FLOOR);
            }
        }
    }
}

/// Row-major rows as the columns of a matrix.
fn columns(rows: &[f32], width: usize) -> DMatrix<f64> {
    DMatrix::from_iterator(width, rows.len() / width, rows.iter().map(|v| f64::from(*v)))
}

/// Turns logarithms into shares of their sum; returns the sum's logarithm.
fn normalise(logs: &mut [f64]) -> f64 {
    let largest = logs.iter().fold(f64::NEG_INFINITY, |a, b| a.max(*b));
    let mut sum = 0.0;
    for log in logs.iter_mut() {
        *log = (*log - largest).exp();
        sum += *log;
    }
    logs.iter_mut().for_each(|share| *share /= sum);
    largest + sum.ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 900 rows of two Gaussians in two dimensions: two thirds at (-2, 0) with deviations (0.5, 1), the others at
    /// (3, 1) with deviations (1, 0.25).
    fn two() -> Vec<f32> {
        let mut rng = Rng::new(4, 0);
        (0..900)
            .flat_map(|i| match i % 3 {
                0 => [3.0 + rng.normal(), 1.0 + 0.25 * rng.normal()],
                _ => [-2.0 + 0.5 * rng.normal(), rng.normal()],
            })
            .map(|v| v as f32)
            .collect()
    }

    #[test]
    fn every_update_raises_the_likelihood() {
        let rows = two();
        for components in [1, 2, 7, 30] {
            let training = EmTraining { iterations: 60, tolerance: 0.0, starts: 1, seed: components as u64 };
            let history = Gmm::fit(&rows, 2, components, &training).history;
            // Rounding moves the last of some fifteen digits once nothing else changes.
            let falls = history.windows(2).find(|pair| pair[1] < pair[0] - 1e-12 * pair[0].abs());
            assert_eq!(falls, None, "{components} Gaussians");
            assert!(components == 1 || history.last() > history.first(), "{components} Gaussians: nothing was learnt");
        }
    }

    #[test]
    fn the_gaussians_that_made_the_rows_are_found() {
        let fit = Gmm::fit(&two(), 2, 2, &EmTraining { tolerance: 1e-9, ..EmTraining::default() });
        let left = usize::from(fit.gmm.means[(0, 0)] > 0.0);
        let want = [(left, 2.0 / 3.0, [-2.0, 0.0], [0.25, 1.0]), (1 - left, 1.0 / 3.0, [3.0, 1.0], [1.0, 0.0625])];
        for (k, weight, mean, variance) in want {
            assert!((fit.gmm.weights[k] - weight).abs() < 0.01, "{:?}", fit.gmm.weights);
            for d in 0..2 {
                assert!((fit.gmm.means[(d, k)] - mean[d]).abs() < 0.12, "{:?}", fit.gmm.means);
                assert!((fit.gmm.variances[(d, k)] / variance[d] - 1.0).abs() < 0.25, "{:?}", fit.gmm.variances);
            }
        }
    }

    #[test]
    fn one_gaussian_has_the_likelihood_of_the_closed_form() {
        let rows: Vec<f32> = Rng::new(5, 0).normals(500).iter().map(|v| (1.5 * v + 0.5) as f32).collect();
        let fit = Gmm::fit(&rows, 1, 1, &EmTraining::default());
        let mean = rows.iter().map(|v| f64::from(*v)).sum::<f64>() / 500.0;
        let variance = rows.iter().map(|v| (f64::from(*v) - mean).powi(2)).sum::<f64>() / 500.0;
        let want = -0.5 * ((std::f64::consts::TAU * variance).ln() + 1.0);
        assert!((fit.gmm.mean_log_likelihood(&rows) - want).abs() < 1e-9);
    }

    #[test]
    fn as_many_gaussians_as_copies_stay_finite() {
        let rows = [1.0f32, 2.0].repeat(10);
        let fit = Gmm::fit(&rows, 2, 10, &EmTraining::default());
        assert!(fit.history.iter().all(|v| v.is_finite()), "{:?}", fit.history);
        assert!((fit.gmm.weights.sum() - 1.0).abs() < 1e-9);
    }
}
