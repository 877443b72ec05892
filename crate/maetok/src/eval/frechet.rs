//! Fréchet distance of two sets of features, the arithmetic of FID.
//!
//! `|m1 - m2|² + tr C1 + tr C2 - 2 tr sqrt(C1 C2)`, with means and unbiased covariances (`n - 1`), in f64. The trace is
//! the sum of the roots of the eigenvalues of the symmetric `sqrt(C1) C2 sqrt(C1)`, which are those of `C1 C2`.
//!
//! With fewer rows than features, or features that never change, the covariances are singular. Nothing special has to
//! be done: directions of variance zero are left out, and the eigenvalues that rounding makes negative count as zero.
//!
//! Source: Heusel et al. 2017, arXiv 1706.08500; the evaluators of Dhariwal and Nichol 2021 (ADM) and pytorch-fid.
//!
//! Differs from both: they take the root of the unsymmetric product, drop its imaginary part and, where it does not
//! come out finite, add 1e-6 to the diagonals, which moves the result a little.

use nalgebra::{DMatrix, DVector, SymmetricEigen};

use super::product::product;

/// Rows multiplied at a time, so that a large set is never held in f64.
const BLOCK: usize = 2048;

/// Mean and covariance of a set of features; all that the distance needs of a reference set.
#[derive(Clone, Debug, PartialEq)]
pub struct Moments {
    mean: DVector<f64>,
    covariance: DMatrix<f64>,
}

impl Moments {
    /// Of features `[n, width]`, row-major.
    ///
    /// # Panics
    /// If there are fewer than two rows, not whole rows, or values that are not finite.
    pub fn of(features: &[f32], width: usize) -> Self {
        assert!(width > 0 && features.len().is_multiple_of(width), "rows of {width} numbers");
        assert!(features.iter().all(|v| v.is_finite()), "features must be finite");
        let count = features.len() / width;
        assert!(count > 1, "a covariance of {count} rows");
        let mut mean = DVector::<f64>::zeros(width);
        for row in features.chunks_exact(width) {
            mean.iter_mut().zip(row).for_each(|(sum, value)| *sum += f64::from(*value));
        }
        mean /= count as f64;
        let mut covariance = DMatrix::<f64>::zeros(width, width);
        for rows in features.chunks(BLOCK * width) {
            let values = rows.chunks_exact(width).flat_map(|row| row.iter().zip(&mean).map(|(v, m)| f64::from(*v) - m));
            let centred = DMatrix::from_iterator(width, rows.len() / width, values); // a column a row
            covariance += product(&centred, &centred.transpose());
        }
        covariance /= (count - 1) as f64;
        Self { mean, covariance }
    }

    /// Number of features.
    pub fn width(&self) -> usize {
        self.mean.len()
    }
}

/// The Fréchet distance, 0 for equal moments. The unit is the features' squared.
///
/// Depends on the number of rows: compare figures for equal numbers (50,000 in the papers).
///
/// # Panics
/// If the widths differ.
pub fn frechet_distance(a: &Moments, b: &Moments) -> f64 {
    FrechetReference::new(a.clone()).distance(b)
}

/// Moments that many sets are measured against: the larger part of the work is done once.
#[derive(Clone, Debug)]
pub struct FrechetReference {
    moments: Moments,
    /// `F = V sqrt(Λ)` of the covariance without its empty directions, so `F Fᵀ` is the covariance; `None` if all are.
    factor: Option<DMatrix<f64>>,
}

impl FrechetReference {
    /// Prepares the moments.
    pub fn new(moments: Moments) -> Self {
        let eigen = SymmetricEigen::new(moments.covariance.clone());
        let factor = noise(&eigen.eigenvalues).map(|threshold| {
            let kept: Vec<usize> = (0..moments.width()).filter(|i| eigen.eigenvalues[*i] > threshold).collect();
            let mut factor = eigen.eigenvectors.select_columns(&kept);
            for (mut column, at) in factor.column_iter_mut().zip(&kept) {
                column *= eigen.eigenvalues[*at].sqrt();
            }
            factor
        });
        Self { moments, factor }
    }

    /// [`frechet_distance`] to other moments.
    ///
    /// # Panics
    /// If the widths differ.
    pub fn distance(&self, other: &Moments) -> f64 {
        let own = &self.moments;
        assert_eq!(own.width(), other.width(), "features of one kind");
        let means = (&own.mean - &other.mean).norm_squared();
        let distance = means + own.covariance.trace() + other.covariance.trace() - 2.0 * self.trace_of_root(other);
        // The least it can be; rounding may take equal sets a hair below.
        distance.max(0.0)
    }

    /// `tr sqrt(C1 C2)`. `Fᵀ C2 F` is `sqrt(C1) C2 sqrt(C1)` seen in the eigenbasis of `C1`, and smaller where `C1` is
    /// singular.
    fn trace_of_root(&self, other: &Moments) -> f64 {
        let Some(factor) = &self.factor else { return 0.0 };
        let values = product(&factor.transpose(), &product(&other.covariance, factor)).symmetric_eigenvalues();
        let Some(threshold) = noise(&values) else { return 0.0 };
        values.iter().filter(|value| **value > threshold).map(|value| value.sqrt()).sum()
    }
}

/// What rounding makes of an eigenvalue 0, whose root would count; `None` if all are.
fn noise(values: &DVector<f64>) -> Option<f64> {
    let largest = values.max();
    (largest > 0.0).then_some(largest * f64::EPSILON * values.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;
    use maetok_tests::{Fixture, Tolerance};

    fn distance(a: &[f32], b: &[f32], width: usize) -> f64 {
        frechet_distance(&Moments::of(a, width), &Moments::of(b, width))
    }

    fn normals(seed: u64, rows: usize, width: usize) -> Vec<f32> {
        Rng::new(seed, 0).normals(rows * width).iter().map(|v| *v as f32).collect()
    }

    /// The root of a product of singular matrices is known to half the digits only, on either side.
    const SCIPY: Tolerance = Tolerance { abs: 0.0, rel: 1e-3, of_max: 0.0 };

    #[test]
    fn distances_are_those_of_scipy_with_many_rows_and_with_few() {
        let fixture = Fixture::own("eval/eval.safetensors");
        for name in ["many", "few"] {
            let (shape, a) = fixture.f32(&format!("{name}.a"));
            let (_, b) = fixture.f32(&format!("{name}.b"));
            let got = vec![distance(&a, &b, shape[1]) as f32];
            fixture.assert_close(&format!("{name}.frechet"), &maetok_tests::cpu(), &got, SCIPY);
        }
    }

    #[test]
    fn equal_sets_are_at_distance_zero_even_where_rows_are_few() {
        for rows in [400, 10] {
            let a = normals(1, rows, 24);
            let got = distance(&a, &a, 24);
            assert!(got < 1e-6, "{rows} rows: {got}");
        }
    }

    #[test]
    fn a_shift_counts_with_its_square() {
        let a = normals(2, 50, 8);
        let b: Vec<f32> = a.iter().enumerate().map(|(i, v)| v + if i % 8 == 0 { 3.0 } else { 0.5 }).collect();
        let want = 9.0 + 7.0 * 0.25;
        let got = distance(&a, &b, 8);
        assert!((got - want).abs() < 1e-4, "{got}, not {want}");
    }

    #[test]
    fn a_scale_counts_with_the_trace_even_with_more_features_than_rows() {
        for (rows, width) in [(300, 10), (12, 40)] {
            let a = normals(3, rows, width);
            let b: Vec<f32> = a.iter().map(|v| 3.0 * v).collect();
            let (one, two) = (Moments::of(&a, width), Moments::of(&b, width));
            // Roots add: tr (C + 9C - 2 sqrt(9CC)) = 4 tr C; the means differ by twice the mean.
            let want = 4.0 * one.covariance.trace() + 4.0 * one.mean.norm_squared();
            let got = frechet_distance(&one, &two);
            assert!((got / want - 1.0).abs() < 1e-6, "{rows} x {width}: {got}, not {want}");
        }
    }

    #[test]
    fn order_does_not_matter_and_a_set_without_variance_is_allowed() {
        let (a, b) = (normals(4, 30, 12), normals(5, 9, 12));
        let (there, back) = (distance(&a, &b, 12), distance(&b, &a, 12));
        assert!((there / back - 1.0).abs() < 1e-9, "{there} and {back}");
        let still = vec![0.0; 5 * 12];
        let moments = Moments::of(&a, 12);
        let want = moments.mean.norm_squared() + moments.covariance.trace();
        assert!((distance(&a, &still, 12) - want).abs() < 1e-9);
        assert!((distance(&still, &a, 12) - want).abs() < 1e-9);
    }

    /// Another way to the same number, at the size of a real measurement: for centred rows `A` and `B` the trace of the
    /// root is the sum of the singular values of `A Bᵀ`, over `sqrt((n - 1) (m - 1))`.
    #[test]
    fn a_thousand_rows_of_1280_features_agree_with_the_singular_values_of_their_products() {
        let (rows, others, width) = (1000, 600, 1280);
        let (a, b) = (normals(6, rows, width), normals(7, others, width));
        let (one, two) = (Moments::of(&a, width), Moments::of(&b, width));
        let got = FrechetReference::new(one.clone()).trace_of_root(&two);

        let centred = |values: &[f32], moments: &Moments| {
            let rows = values
                .chunks_exact(width)
                .flat_map(|row| row.iter().zip(&moments.mean).map(|(v, m)| f64::from(*v) - m));
            DMatrix::from_iterator(width, values.len() / width, rows)
        };
        let between = product(&centred(&b, &two).transpose(), &centred(&a, &one)); // [m, n]
        let squares = product(&between, &between.transpose()).symmetric_eigenvalues();
        let sum: f64 = squares.iter().map(|square| square.max(0.0).sqrt()).sum();
        let want = sum / (((rows - 1) * (others - 1)) as f64).sqrt();
        assert!((got / want - 1.0).abs() < 1e-6, "{got}, not {want}");
    }
}
