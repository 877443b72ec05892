//! Linear layers solved for instead of trained: regression, reduced-rank regression and principal components of pairs
//! of rows that come in batches.
//!
//! Source: reduced-rank regression is Izenman 1975.

use burn::module::Param;
use burn::nn::Linear;
use burn::tensor::{Device, Tensor, TensorData};
use nalgebra::{DMatrix, DVector, SymmetricEigen};

use crate::{Error, Result};

/// Added to a covariance's diagonal, in units of its mean.
const RIDGE: f64 = 1e-6;
/// Variance below which pictures count as all alike; one grey level out of 255 is 1.5e-5.
const FLAT: f64 = 1e-7;

/// `x W + b`.
pub struct Affine {
    /// `[in, out]`
    pub weight: DMatrix<f64>,
    /// `[out]`
    pub bias: DVector<f64>,
}

impl Affine {
    pub fn into_linear(self, device: &Device) -> Linear {
        Linear {
            weight: Param::from_tensor(matrix(&self.weight, device)),
            bias: Some(Param::from_tensor(vector(&self.bias, device))),
        }
    }
}

/// Sums over pairs of rows `(h, y)`, from which mean and covariances follow.
///
/// Rows are counted from the first batch's mean: sums of squares of f32 values far from zero would cancel.
#[derive(Default)]
pub struct Sums {
    count: f64,
    origin: Option<(Tensor<2>, Tensor<2>)>,
    h: DVector<f64>,
    y: DVector<f64>,
    hh: DMatrix<f64>,
    hy: DMatrix<f64>,
}

impl Sums {
    /// Adds rows `[n, I]` and `[n, O]`.
    pub fn add(&mut self, h: Tensor<2>, y: Tensor<2>) {
        let [n, inputs] = h.dims();
        let [_, outputs] = y.dims();
        if self.origin.is_none() {
            *self = Self {
                count: 0.0,
                origin: Some((h.clone().mean_dim(0), y.clone().mean_dim(0))),
                h: DVector::zeros(inputs),
                y: DVector::zeros(outputs),
                hh: DMatrix::zeros(inputs, inputs),
                hy: DMatrix::zeros(inputs, outputs),
            };
        }
        let (h, y) = match &self.origin {
            Some((h_origin, y_origin)) => (h - h_origin.clone(), y - y_origin.clone()),
            None => (h, y),
        };
        self.count += n as f64;
        self.h += row(h.clone().sum_dim(0));
        self.y += row(y.clone().sum_dim(0));
        let transposed = h.clone().transpose();
        self.hh += host(transposed.clone().matmul(h));
        self.hy += host(transposed.matmul(y));
    }

    /// Means of `h` and `y`.
    fn means(&self) -> (DVector<f64>, DVector<f64>) {
        let origin = |of: fn(&(Tensor<2>, Tensor<2>)) -> &Tensor<2>| self.origin.as_ref().map(|o| row(of(o).clone()));
        let mean = |sum: &DVector<f64>, origin: Option<DVector<f64>>| match origin {
            Some(origin) => origin + sum / self.count,
            None => sum / self.count,
        };
        (mean(&self.h, origin(|o| &o.0)), mean(&self.y, origin(|o| &o.1)))
    }

    /// Covariances of `h` with itself and with `y`.
    fn covariances(&self) -> Result<(DMatrix<f64>, DMatrix<f64>)> {
        let mean = &self.h / self.count;
        let mut hh = &self.hh / self.count - &mean * mean.transpose();
        let hy = &self.hy / self.count - &mean * (&self.y / self.count).transpose();
        let variance = hh.trace() / hh.nrows() as f64;
        if !(variance > FLAT && hy.iter().all(|value| value.is_finite())) {
            return Err(alike());
        }
        for i in 0..hh.nrows() {
            hh[(i, i)] += RIDGE * variance;
        }
        Ok((hh, hy))
    }

    /// The best linear guess of `y` from `h`.
    pub fn regression(&self) -> Result<Affine> {
        let (hh, hy) = self.covariances()?;
        let root = inverse_root(&hh);
        let weight = &root * (&root * hy);
        let (h, y) = self.means();
        let bias = y - weight.transpose() * h;
        Ok(Affine { weight, bias })
    }

    /// The `rank` numbers linear in `h` from which `y` is best guessed, strongest first, of mean zero and mean
    /// variance one; the strong ones larger, though by the root only of what they tell.
    pub fn reduced_rank(&self, rank: usize) -> Result<Affine> {
        let (hh, hy) = self.covariances()?;
        let whiten = inverse_root(&hh);
        let told = &whiten * hy;
        let (values, vectors) = largest(&told * told.transpose(), rank);
        let sizes = values.map(|value| value.max(0.0).powf(0.25));
        let mean_square = sizes.norm_squared() / rank as f64;
        if mean_square <= 0.0 {
            return Err(alike());
        }
        let weight = whiten * vectors * DMatrix::from_diagonal(&(sizes / mean_square.sqrt()));
        Ok(Affine { bias: -(weight.transpose() * self.means().0), weight })
    }

    /// The first `rank` principal components of `h`, with a mean sum of squares of `square`.
    pub fn principal(&self, rank: usize, square: f64) -> Result<Affine> {
        let (values, vectors) = largest(self.covariances()?.0, rank);
        let weight = vectors * (square / values.sum()).sqrt();
        Ok(Affine { bias: -(weight.transpose() * self.means().0), weight })
    }
}

fn alike() -> Error {
    Error::training("The pictures are so few or so alike that a start cannot be fitted to them")
}

/// `M^(-1/2)` of a covariance; directions without variance, up to rounding, stay out.
fn inverse_root(covariance: &DMatrix<f64>) -> DMatrix<f64> {
    let SymmetricEigen { eigenvectors, eigenvalues } = SymmetricEigen::new(covariance.clone());
    let least = eigenvalues.max() * f64::from(f32::EPSILON);
    let roots = eigenvalues.map(|value| if value > least { value.sqrt().recip() } else { 0.0 });
    &eigenvectors * DMatrix::from_diagonal(&roots) * eigenvectors.transpose()
}

/// The largest eigenvalues of a symmetric matrix, and their eigenvectors as columns.
fn largest(symmetric: DMatrix<f64>, count: usize) -> (DVector<f64>, DMatrix<f64>) {
    let SymmetricEigen { eigenvectors, eigenvalues } = SymmetricEigen::new(symmetric);
    let mut order: Vec<usize> = (0..eigenvalues.len()).collect();
    order.sort_by(|a, b| eigenvalues[*b].total_cmp(&eigenvalues[*a]));
    order.truncate(count);
    (
        DVector::from_iterator(count, order.iter().map(|i| eigenvalues[*i])),
        DMatrix::from_columns(&order.iter().map(|i| eigenvectors.column(*i)).collect::<Vec<_>>()),
    )
}

/// `[B, T, D] -> [B*T, D]`
pub fn rows(tokens: Tensor<3>) -> Tensor<2> {
    tokens.flatten(0, 1)
}

/// The values of `[1, D]`.
fn row(values: Tensor<2>) -> DVector<f64> {
    DVector::from_iterator(values.dims()[1], values.into_data().iter::<f64>())
}

pub fn host(rows: Tensor<2>) -> DMatrix<f64> {
    let [height, width] = rows.dims();
    DMatrix::from_row_iterator(height, width, rows.into_data().iter::<f64>())
}

pub fn matrix(values: &DMatrix<f64>, device: &Device) -> Tensor<2> {
    let row_major: Vec<f32> = values.transpose().iter().map(|value| *value as f32).collect();
    Tensor::from_data(TensorData::new(row_major, [values.nrows(), values.ncols()]), device)
}

pub fn vector(values: &DVector<f64>, device: &Device) -> Tensor<1> {
    let values: Vec<f32> = values.iter().map(|value| *value as f32).collect();
    Tensor::from_floats(values.as_slice(), device)
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Distribution;

    /// `y = x W + b` without noise, far from zero, in two batches.
    fn line(device: &Device) -> (Sums, Tensor<2>, Tensor<2>) {
        let x = Tensor::<2>::random([200, 4], Distribution::Normal(100.0, 1.0), device);
        let weight = Tensor::<2>::from_floats([[1.0, 0.0], [2.0, -1.0], [0.0, 3.0], [-1.0, 0.5]], device);
        let y = x.clone().matmul(weight) + 7.0;
        let mut sums = Sums::default();
        for (x, y) in x.clone().split(120, 0).into_iter().zip(y.clone().split(120, 0)) {
            sums.add(x, y);
        }
        (sums, x, y)
    }

    fn worst(got: Tensor<2>, want: Tensor<2>) -> f32 {
        (got - want).abs().max().into_scalar::<f32>()
    }

    #[test]
    fn a_line_is_found_even_far_from_zero() {
        let device = Device::flex();
        let (sums, x, y) = line(&device);
        let layer = sums.regression().unwrap().into_linear(&device);
        assert!(worst(layer.forward(x), y) < 1e-2);
    }

    #[test]
    fn full_rank_tells_all_and_has_mean_zero_and_unit_mean_variance() {
        let device = Device::flex();
        let (sums, x, _) = line(&device);
        let z = sums.reduced_rank(2).unwrap().into_linear(&device).forward(x);
        let mean = z.clone().mean_dim(0);
        assert!(worst(mean.clone(), Tensor::zeros([1, 2], &device)) < 1e-2);
        let variance = (z - mean).square().mean().into_scalar::<f32>();
        assert!((variance - 1.0).abs() < 1e-2, "{variance}");
    }

    #[test]
    fn rows_all_alike_are_refused() {
        let device = Device::flex();
        let mut sums = Sums::default();
        sums.add(Tensor::ones([8, 3], &device), Tensor::ones([8, 2], &device));
        assert!(matches!(sums.principal(1, 1.0), Err(Error::Training { .. })));
        assert!(matches!(sums.regression(), Err(Error::Training { .. })));
    }
}
