//! Comparing numbers with a reference, and keeping a record of how well they agreed.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use burn::tensor::{DType, Tensor, TensorData};

/// How far `got` may be from `want`: `abs + rel * |want| + of_max * max |want|`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tolerance {
    /// Absolute.
    pub abs: f32,
    /// Relative to the value.
    pub rel: f32,
    /// Relative to the largest value of the tensor.
    pub of_max: f32,
}

impl Tolerance {
    /// For integers, masks, orders, and copies.
    pub const EXACT: Self = Self { abs: 0.0, rel: 0.0, of_max: 0.0 };
    /// One module in f32: sums are added in another order than PyTorch's. The reference manifest's bound.
    pub const SINGLE_MODULE: Self = Self { abs: 1e-5, rel: 1e-4, of_max: 0.0 };
    /// Whole models, trajectories, gradients: the differences of single modules pass through many others. The
    /// reference manifest's bound per value.
    pub const WHOLE_MODEL: Self = Self { abs: 2e-4, rel: 1e-3, of_max: 0.0 };
    /// The manifest's other bound for the same, per tensor: for tensors whose small values are differences of large
    /// ones.
    pub const WHOLE_TENSOR: Self = Self { abs: 0.0, rel: 0.0, of_max: 2e-3 };
}

/// Anything that holds float values, with its shape where it knows it.
pub trait Values {
    /// Shape, if known, and values.
    fn values(self) -> (Option<Vec<usize>>, Vec<f32>);
}

impl Values for &[f32] {
    fn values(self) -> (Option<Vec<usize>>, Vec<f32>) {
        (None, self.to_vec())
    }
}

impl Values for &Vec<f32> {
    fn values(self) -> (Option<Vec<usize>>, Vec<f32>) {
        (None, self.clone())
    }
}

impl Values for &TensorData {
    fn values(self) -> (Option<Vec<usize>>, Vec<f32>) {
        let values = self.clone().convert_dtype(DType::F32).try_to_vec().expect("converted to f32");
        (Some(self.shape().to_vec()), values)
    }
}

impl<const D: usize> Values for &Tensor<D> {
    fn values(self) -> (Option<Vec<usize>>, Vec<f32>) {
        self.clone().into_data().values()
    }
}

impl<const D: usize> Values for Tensor<D> {
    fn values(self) -> (Option<Vec<usize>>, Vec<f32>) {
        self.into_data().values()
    }
}

impl Values for TensorData {
    fn values(self) -> (Option<Vec<usize>>, Vec<f32>) {
        (&self).values()
    }
}

/// How well two lists of numbers agree.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Agreement {
    /// Largest `|got - want|`.
    worst: f32,
    /// The same over the largest `|want|`.
    worst_of_max: f32,
    rms: f64,
    /// Index where the allowance is exceeded most (or used most).
    at: usize,
    /// Number of values beyond the allowance.
    beyond: usize,
    nonfinite: (usize, usize),
}

fn agreement(got: &[f32], want: &[f32], tolerance: Tolerance) -> Agreement {
    let nonfinite = |values: &[f32]| values.iter().filter(|v| !v.is_finite()).count();
    let max = want.iter().fold(0.0f32, |max, v| max.max(v.abs()));
    let mut found = Agreement { nonfinite: (nonfinite(got), nonfinite(want)), ..Agreement::default() };
    let (mut squares, mut most_used) = (0.0f64, -1.0f32);
    for (at, (&got, &want)) in got.iter().zip(want).enumerate() {
        let difference = (got - want).abs();
        let allowed = tolerance.abs + tolerance.rel * want.abs() + tolerance.of_max * max;
        // NaN is beyond every allowance.
        if difference.is_nan() || difference > allowed {
            found.beyond += 1;
        }
        let used = if difference == 0.0 { 0.0 } else { difference / allowed.max(f32::MIN_POSITIVE) };
        if used > most_used || !used.is_finite() {
            (most_used, found.at) = (used, at);
        }
        found.worst = found.worst.max(difference);
        squares += f64::from(difference).powi(2);
    }
    found.worst_of_max = if found.worst == 0.0 { 0.0 } else { found.worst / max };
    found.rms = (squares / got.len().max(1) as f64).sqrt();
    found
}

/// Fails unless every value is finite on both sides and within `tolerance`; otherwise adds a line to the parity report.
///
/// # Panics
/// With one line: what, where, by how much.
pub fn assert_close(file: &str, name: &str, device: &str, got: &[f32], want: &[f32], tolerance: Tolerance) {
    assert_eq!(got.len(), want.len(), "number of values of {name} of {file} on {device}");
    assert!(!want.is_empty(), "{name} of {file} holds no values to compare");
    let found = agreement(got, want, tolerance);
    let good = found.beyond == 0 && found.nonfinite == (0, 0);
    let (g, w) = (got[found.at], want[found.at]);
    assert!(
        good,
        "{file}: {name} on {device}: {} of {} values beyond {tolerance:?}; worst at {}: got {g}, want {w} (relative {:.2e}); \
         largest difference {:.3e}, {:.3e} of the largest value; RMS {:.3e}; non-finite: {} got, {} want",
        found.beyond,
        want.len(),
        found.at,
        (g - w).abs() / w.abs(),
        found.worst,
        found.worst_of_max,
        found.rms,
        found.nonfinite.0,
        found.nonfinite.1,
    );
    record(file, name, device, &found);
}

/// Where the lines of the parity report go: `target/parity-report.jsonl`.
pub fn report_path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/parity-report.jsonl")
}

/// Appends a line. Tests run in parallel: one write a line, in append mode, does not mix them.
fn record(file: &str, name: &str, device: &str, found: &Agreement) {
    let line = serde_json::json!({
        "file": file, "tensor": name, "device": device, "relative": found.worst_of_max, "absolute": found.worst,
    });
    let path = report_path();
    let written = path
        .parent()
        .map_or(Ok(()), std::fs::create_dir_all)
        .and_then(|()| OpenOptions::new().create(true).append(true).open(&path))
        .and_then(|mut report| report.write_all(format!("{line}\n").as_bytes()));
    // The report is a by-product: a read-only target folder must not fail a test that agrees.
    if let Err(error) = written {
        eprintln!("no parity report at {}: {error}", path.display());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(got: &[f32], want: &[f32], tolerance: Tolerance) -> Agreement {
        agreement(got, want, tolerance)
    }

    #[test]
    fn equal_numbers_agree_exactly() {
        let found = check(&[1.0, -2.0, 0.0], &[1.0, -2.0, 0.0], Tolerance::EXACT);
        assert_eq!((found.beyond, found.worst, found.rms), (0, 0.0, 0.0));
    }

    #[test]
    fn the_worst_place_is_the_one_that_exceeds_its_allowance_most() {
        let tolerance = Tolerance { abs: 0.1, rel: 0.1, of_max: 0.0 };
        let found = check(&[105.0, 1.5], &[100.0, 1.0], tolerance);
        assert_eq!((found.at, found.beyond), (1, 1));
        assert_eq!(found.worst, 5.0);
    }

    #[test]
    fn nothing_non_finite_passes_on_either_side() {
        let loose = Tolerance { abs: 1e9, rel: 1e9, of_max: 1e9 };
        assert_eq!(check(&[f32::NAN], &[0.0], loose).nonfinite, (1, 0));
        assert_eq!(check(&[f32::NAN], &[f32::NAN], loose).nonfinite, (1, 1));
        assert!(check(&[f32::NAN], &[0.0], loose).beyond > 0);
        let failed =
            std::panic::catch_unwind(|| assert_close("f", "t", "d", &[f32::INFINITY], &[f32::INFINITY], loose));
        assert!(failed.is_err(), "infinities on both sides must fail");
    }

    #[test]
    fn a_difference_beyond_the_tolerance_fails_and_says_where() {
        let tolerance = Tolerance::SINGLE_MODULE;
        let failed = std::panic::catch_unwind(|| assert_close("f", "t", "d", &[1.0, 2.1], &[1.0, 2.0], tolerance));
        let message = *failed.expect_err("must fail").downcast::<String>().expect("a message");
        assert!(message.contains("worst at 1") && message.contains("got 2.1"), "{message}");
    }
}
