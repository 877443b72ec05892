//! Principal components, the yardstick of a tokenizer: what the best linear code with as many numbers reaches.
//!
//! Subspace iteration on the covariance with a few columns to spare, then an exact eigendecomposition in the subspace
//! (Halko, Martinsson and Tropp 2011, arXiv 0909.4061). The large products run on a device, the small algebra in f64.

use burn::tensor::{Device, Tensor, TensorData};

use super::psnr_of_mse;
use crate::rng::Rng;

/// Columns beyond those asked for; they make the last components converge.
const SPARE: usize = 16;
/// Each iteration squares the ratio of neighbouring eigenvalues once more.
const ITERATIONS: usize = 4;

/// Mean and leading principal components of rows of numbers.
#[derive(Clone, Debug)]
pub struct Pca {
    mean: Vec<f32>,
    /// `[components, width]`, orthonormal rows, strongest first.
    components: Vec<Vec<f64>>,
    variances: Vec<f64>,
    /// Of all directions together.
    variance: f64,
}

impl Pca {
    /// Fits up to `components` components to `rows`, which are `[n, width]` row-major; there are never more than
    /// `min(n - 1, width)`.
    ///
    /// # Panics
    /// If `rows` is empty or not a whole number of rows.
    pub fn fit(rows: &[f32], width: usize, components: usize, device: &Device) -> Self {
        assert!(width > 0 && !rows.is_empty() && rows.len().is_multiple_of(width), "rows of {width} numbers");
        let n = rows.len() / width;
        let mean = mean_row(rows, width);
        let rank = components.min(width).min(n - 1);
        let square = |(value, mean): (&f32, &f32)| f64::from(value - mean).powi(2);
        let squares = |row: &[f32]| row.iter().zip(&mean).map(square).sum::<f64>();
        let variance = rows.chunks_exact(width).map(squares).sum::<f64>() / n as f64;
        if rank == 0 {
            return Self { mean, components: Vec::new(), variances: Vec::new(), variance };
        }
        let columns = (rank + SPARE).min(width).min(n);
        let centred = centred(rows, &mean, device); // [n, width]

        let mut rng = Rng::new(0, 0);
        let mut basis: Vec<Vec<f64>> = (0..columns).map(|_| rng.normals(width)).collect();
        orthonormalise(&mut basis);
        for _ in 0..ITERATIONS {
            let projected = centred.clone().matmul(to_device(&basis, device).transpose()); // [n, columns]
            basis = from_device(projected.transpose().matmul(centred.clone())); // [columns, width]
            orthonormalise(&mut basis);
        }
        let projected = centred.matmul(to_device(&basis, device).transpose()); // [n, columns]
        let covariance = from_device(projected.clone().transpose().matmul(projected)); // [columns, columns]
        let (values, vectors) = symmetric_eigen(covariance);
        let components = vectors[..rank].iter().map(|weights| combine(weights, &basis)).collect();
        let variances = values[..rank].iter().map(|v| v / n as f64).collect();
        Self { mean, components, variances, variance }
    }

    /// Number of components.
    pub fn components(&self) -> usize {
        self.components.len()
    }

    /// Variance along each component, largest first.
    pub fn variances(&self) -> &[f64] {
        &self.variances
    }

    /// Share of the rows' variance that the components hold, from 0 to 1; 1 where nothing varies.
    pub fn explained(&self) -> f64 {
        if self.variance == 0.0 { 1.0 } else { self.variances.iter().sum::<f64>() / self.variance }
    }

    /// Share of the rows' variance along each component, largest first; 1 where nothing varies.
    pub fn shares(&self) -> Vec<f64> {
        let share = |v: &f64| if self.variance == 0.0 { 1.0 } else { v / self.variance };
        self.variances.iter().map(share).collect()
    }

    /// Numbers of a row.
    pub fn width(&self) -> usize {
        self.mean.len()
    }

    /// Coordinates of `rows` `[n, width]` along the components, `[n, components]`.
    ///
    /// # Panics
    /// If `rows` is not a whole number of rows, or there are no components.
    pub fn codes(&self, rows: &[f32], device: &Device) -> Vec<f32> {
        let width = self.mean.len();
        assert!(rows.len().is_multiple_of(width), "rows of {width} numbers");
        let components = to_device(&self.components, device); // [components, width]
        let codes = centred(rows, &self.mean, device).matmul(components.transpose());
        codes.into_data().try_to_vec().expect("f32")
    }

    /// The rows as the mean and the first `k` components give them back; `k = 0` gives the mean. More than there are
    /// counts as all.
    ///
    /// # Panics
    /// If `rows` is not a whole number of rows.
    pub fn reconstruct(&self, rows: &[f32], k: usize, device: &Device) -> Vec<f32> {
        let width = self.mean.len();
        assert!(rows.len().is_multiple_of(width), "rows of {width} numbers");
        let n = rows.len() / width;
        let k = k.min(self.components.len());
        if k == 0 || n == 0 {
            return self.mean.repeat(n);
        }
        let components = to_device(&self.components[..k], device); // [k, width]
        let codes = centred(rows, &self.mean, device).matmul(components.clone().transpose()); // [n, k]
        let mean = Tensor::<2>::from_data(TensorData::new(self.mean.clone(), [1, width]), device);
        (codes.matmul(components) + mean).into_data().try_to_vec().expect("f32")
    }

    /// Mean over the rows of each row's PSNR in dB, where values span `peak` (2 for values from -1 to 1).
    pub fn psnr(&self, rows: &[f32], k: usize, peak: f64, device: &Device) -> f64 {
        let width = self.mean.len();
        let back = self.reconstruct(rows, k, device);
        let square = |(a, b): (&f32, &f32)| f64::from(a - b).powi(2);
        let mse = |(a, b): (&[f32], &[f32])| a.iter().zip(b).map(square).sum::<f64>() / width as f64;
        let each: Vec<f64> =
            rows.chunks_exact(width).zip(back.chunks_exact(width)).map(|pair| psnr_of_mse(mse(pair), peak)).collect();
        each.iter().sum::<f64>() / each.len() as f64
    }
}

fn mean_row(rows: &[f32], width: usize) -> Vec<f32> {
    let mut sums = vec![0.0f64; width];
    for row in rows.chunks_exact(width) {
        sums.iter_mut().zip(row).for_each(|(sum, value)| *sum += f64::from(*value));
    }
    let n = (rows.len() / width) as f64;
    sums.into_iter().map(|sum| (sum / n) as f32).collect()
}

fn centred(rows: &[f32], mean: &[f32], device: &Device) -> Tensor<2> {
    let values: Vec<f32> =
        rows.chunks_exact(mean.len()).flat_map(|row| row.iter().zip(mean).map(|(v, m)| v - m)).collect();
    Tensor::from_data(TensorData::new(values, [rows.len() / mean.len(), mean.len()]), device)
}

fn to_device(rows: &[Vec<f64>], device: &Device) -> Tensor<2> {
    let values: Vec<f32> = rows.iter().flatten().map(|v| *v as f32).collect();
    Tensor::from_data(TensorData::new(values, [rows.len(), rows[0].len()]), device)
}

fn from_device(rows: Tensor<2>) -> Vec<Vec<f64>> {
    let [_, width] = rows.dims();
    let values: Vec<f32> = rows.into_data().try_to_vec().expect("f32");
    values.chunks_exact(width).map(|row| row.iter().map(|v| f64::from(*v)).collect()).collect()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Gram–Schmidt, each row twice (once loses orthogonality where rows are nearly parallel). A row that depends on those
/// before it becomes zero.
fn orthonormalise(rows: &mut [Vec<f64>]) {
    for at in 0..rows.len() {
        let (before, rest) = rows.split_at_mut(at);
        let row = &mut rest[0];
        let length = dot(row, row).sqrt();
        for _ in 0..2 {
            for other in before.iter() {
                let along = dot(row, other);
                row.iter_mut().zip(other).for_each(|(v, o)| *v -= along * o);
            }
        }
        let left = dot(row, row).sqrt();
        let scale = if left > 1e-6 * length { 1.0 / left } else { 0.0 };
        row.iter_mut().for_each(|v| *v *= scale);
    }
}

/// `sum_i weights[i] * rows[i]`.
fn combine(weights: &[f64], rows: &[Vec<f64>]) -> Vec<f64> {
    let mut sum = vec![0.0; rows[0].len()];
    for (weight, row) in weights.iter().zip(rows) {
        sum.iter_mut().zip(row).for_each(|(s, v)| *s += weight * v);
    }
    sum
}

/// Eigenvalues, largest first, and the eigenvectors as rows, of a symmetric matrix: cyclic Jacobi rotations.
fn symmetric_eigen(mut a: Vec<Vec<f64>>) -> (Vec<f64>, Vec<Vec<f64>>) {
    const SWEEPS: usize = 30;
    let n = a.len();
    let mut vectors: Vec<Vec<f64>> = (0..n).map(|i| (0..n).map(|j| f64::from(u8::from(i == j))).collect()).collect();
    let trace: f64 = (0..n).map(|i| a[i][i].abs()).sum();
    for _ in 0..SWEEPS {
        let off: f64 = (0..n).map(|i| (0..i).map(|j| a[i][j].abs()).sum::<f64>()).sum();
        if off <= 1e-12 * trace {
            break;
        }
        for p in 0..n {
            for q in p + 1..n {
                if a[p][q].abs() <= 1e-300 {
                    continue;
                }
                let theta = (a[q][q] - a[p][p]) / (2.0 * a[p][q]);
                let t = theta.signum() / (theta.abs() + theta.hypot(1.0));
                let (cos, sin) = (1.0 / t.hypot(1.0), t / t.hypot(1.0));
                // Rows p and q, then columns p and q.
                rotate_rows(&mut a, p, q, cos, sin);
                for row in &mut a {
                    (row[p], row[q]) = (cos * row[p] - sin * row[q], sin * row[p] + cos * row[q]);
                }
                rotate_rows(&mut vectors, p, q, cos, sin);
            }
        }
    }
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|i, j| a[*j][*j].total_cmp(&a[*i][*i]));
    (order.iter().map(|i| a[*i][*i]).collect(), order.iter().map(|i| vectors[*i].clone()).collect())
}

fn rotate_rows(rows: &mut [Vec<f64>], p: usize, q: usize, cos: f64, sin: f64) {
    let (head, tail) = rows.split_at_mut(q);
    for (x, y) in head[p].iter_mut().zip(&mut tail[0]) {
        (*x, *y) = (cos * *x - sin * *y, sin * *x + cos * *y);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows with known variances along known directions (columns of a rotated basis), and a mean.
    fn ellipsoid(n: usize, width: usize, deviations: &[f64]) -> Vec<f32> {
        let mut rng = Rng::new(7, 0);
        let mut axes: Vec<Vec<f64>> = deviations.iter().map(|_| rng.normals(width)).collect();
        orthonormalise(&mut axes);
        (0..n)
            .flat_map(|_| {
                let weights: Vec<f64> = deviations.iter().map(|d| d * rng.normal()).collect();
                combine(&weights, &axes).into_iter().map(|v| (v + 0.25) as f32).collect::<Vec<_>>()
            })
            .collect()
    }

    #[test]
    fn variances_of_an_ellipsoid_are_found_in_order() {
        let deviations = [4.0, 2.0, 1.0, 0.5];
        let rows = ellipsoid(4000, 40, &deviations);
        let pca = Pca::fit(&rows, 40, 4, &Device::flex());
        for (got, deviation) in pca.variances().iter().zip(deviations) {
            let want = deviation * deviation;
            assert!((got / want - 1.0).abs() < 0.1, "{:?}", pca.variances());
        }
    }

    #[test]
    fn all_components_give_the_rows_back_and_none_gives_the_mean() {
        let device = Device::flex();
        let rows = ellipsoid(50, 12, &[3.0, 1.0, 0.2]);
        let pca = Pca::fit(&rows, 12, 3, &device);
        let back = pca.reconstruct(&rows, 3, &device);
        for (a, b) in rows.iter().zip(&back) {
            assert!((a - b).abs() < 1e-4, "{a} came back as {b}");
        }
        assert_eq!(pca.reconstruct(&rows, 0, &device)[..12], mean_row(&rows, 12)[..]);
    }

    #[test]
    fn more_components_never_reconstruct_held_out_rows_worse() {
        let device = Device::flex();
        let rows = ellipsoid(400, 30, &[3.0, 2.0, 1.5, 1.0, 0.7, 0.5, 0.3, 0.2]);
        let (train, held_out) = rows.split_at(300 * 30);
        let pca = Pca::fit(train, 30, 8, &device);
        let psnr: Vec<f64> = (0..=8).map(|k| pca.psnr(held_out, k, 2.0, &device)).collect();
        assert!(psnr.windows(2).all(|pair| pair[1] >= pair[0]), "{psnr:?}");
    }

    #[test]
    fn components_are_orthonormal_even_where_variances_are_equal() {
        let mut rng = Rng::new(1, 1);
        let rows: Vec<f32> = rng.normals(200 * 20).iter().map(|v| *v as f32).collect();
        let pca = Pca::fit(&rows, 20, 20, &Device::flex());
        assert_eq!(pca.components(), 20);
        for (i, a) in pca.components.iter().enumerate() {
            for (j, b) in pca.components.iter().enumerate() {
                assert!((dot(a, b) - f64::from(u8::from(i == j))).abs() < 1e-6, "{i} and {j}: {}", dot(a, b));
            }
        }
    }

    #[test]
    fn codes_have_the_variances_and_the_explained_share_counts_what_is_left_out() {
        let device = Device::flex();
        let rows = ellipsoid(500, 20, &[3.0, 2.0, 1.0]);
        let pca = Pca::fit(&rows, 20, 2, &device);
        let codes = pca.codes(&rows, &device);
        for (i, variance) in pca.variances().iter().enumerate() {
            let got = codes.iter().skip(i).step_by(2).map(|v| f64::from(*v).powi(2)).sum::<f64>() / 500.0;
            assert!((got / variance - 1.0).abs() < 1e-3, "component {i}: {got}, not {variance}");
        }
        // 9 and 4 of 14, as far as 500 rows have them.
        assert!((pca.explained() - 13.0 / 14.0).abs() < 0.02, "{}", pca.explained());
        assert!((Pca::fit(&rows, 20, 3, &device).explained() - 1.0).abs() < 1e-4);
    }

    #[test]
    fn a_single_row_has_no_components() {
        let device = Device::flex();
        let pca = Pca::fit(&[1.0, 2.0, 3.0], 3, 5, &device);
        assert_eq!((pca.components(), pca.reconstruct(&[0.0; 3], 5, &device)), (0, vec![1.0, 2.0, 3.0]));
    }
}
