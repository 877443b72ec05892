//! Features brought to mean 0 and variance 1, each by itself.

/// Mean and deviation of every feature of a set.
#[derive(Clone, Debug, PartialEq)]
pub struct Standardiser {
    mean: Vec<f64>,
    deviation: Vec<f64>,
}

impl Standardiser {
    /// Of `rows` `[n, width]`, row-major. A feature that does not change keeps its scale.
    ///
    /// # Panics
    /// If `rows` is empty or not a whole number of rows.
    pub fn fit(rows: &[f32], width: usize) -> Self {
        assert!(width > 0 && !rows.is_empty() && rows.len().is_multiple_of(width), "rows of {width} numbers");
        let count = (rows.len() / width) as f64;
        let mut mean = vec![0.0f64; width];
        for row in rows.chunks_exact(width) {
            mean.iter_mut().zip(row).for_each(|(sum, value)| *sum += f64::from(*value));
        }
        mean.iter_mut().for_each(|sum| *sum /= count);
        let mut deviation = vec![0.0f64; width];
        for row in rows.chunks_exact(width) {
            let off = row.iter().zip(&mean).map(|(value, mean)| (f64::from(*value) - mean).powi(2));
            deviation.iter_mut().zip(off).for_each(|(sum, square)| *sum += square);
        }
        // A constant feature has a deviation of rounding errors, which must not be blown up.
        let scale = |(sum, mean): (&f64, &f64)| {
            let deviation = (sum / count).sqrt();
            if deviation > 1e-7 * mean.abs() { deviation } else { 1.0 }
        };
        let deviation = deviation.iter().zip(&mean).map(scale).collect();
        Self { mean, deviation }
    }

    /// The standardised rows.
    ///
    /// # Panics
    /// If `rows` is not a whole number of rows of the same width.
    pub fn apply(&self, rows: &[f32]) -> Vec<f32> {
        let width = self.mean.len();
        assert!(rows.len().is_multiple_of(width), "rows of {width} numbers");
        let one = |(value, (mean, deviation)): (&f32, (&f64, &f64))| ((f64::from(*value) - mean) / deviation) as f32;
        rows.chunks_exact(width)
            .flat_map(|row| row.iter().zip(self.mean.iter().zip(&self.deviation)).map(one))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn features_get_mean_zero_and_variance_one_and_constants_become_zero() {
        let rows = [1.0, 1e4, 0.1, 3.0, 1e4, 0.1, 5.0, 2e4, 0.1];
        let got = Standardiser::fit(&rows, 3).apply(&rows);
        let column = |i: usize| [got[i], got[3 + i], got[6 + i]];
        for i in [0, 1] {
            let [a, b, c] = column(i);
            assert!((a + b + c).abs() < 1e-6 && (a * a + b * b + c * c - 3.0).abs() < 1e-5, "{:?}", column(i));
        }
        assert!(column(2).iter().all(|v| v.abs() < 1e-7), "{:?}", column(2));
        assert_eq!(Standardiser::fit(&[0.0, 0.0], 1).apply(&[2.0]), [2.0], "all zero keeps its scale");
    }
}
