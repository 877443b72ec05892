//! Improved precision and recall: how much of what is generated looks real, how much of what is real is generated.
//!
//! A set's manifold is the union of balls around its rows, each as large as the distance to the row's `k`-th nearest
//! other row. Precision is the share of generated rows in the manifold of the real ones, recall the reverse.
//!
//! Source: Kynkäänniemi et al. 2019, "Improved precision and recall metric for assessing generative models", arXiv
//! 1904.06991, section 2; `k = 3` there.
//!
//! Differs from the official code: distances decide in f64, so equal rows are at distance 0.

use burn::tensor::Device;

use super::distance::Rows;

/// Neighbours that the paper and every published figure use.
pub const NEIGHBOURS: usize = 3;

/// Two shares from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PrecisionRecall {
    /// Share of the generated rows that lie in the real manifold.
    pub precision: f64,
    /// Share of the real rows that lie in the generated manifold.
    pub recall: f64,
}

/// Measures features `[n, width]` of real and `[m, width]` of generated pictures, row-major.
///
/// Both figures grow with the number of rows: compare them at equal numbers (50,000 in the papers).
///
/// # Panics
/// If a set is not whole rows, or has `k` rows or fewer.
pub fn precision_recall(real: &[f32], generated: &[f32], width: usize, k: usize, device: &Device) -> PrecisionRecall {
    PrecisionRecall {
        precision: share_inside(real, generated, width, k, device),
        recall: share_inside(generated, real, width, k, device),
    }
}

/// Share of `queries` in the manifold of `set`.
fn share_inside(set: &[f32], queries: &[f32], width: usize, k: usize, device: &Device) -> f64 {
    let rows = Rows::new(set, width, device);
    let radii: Vec<f64> = rows.nearest(set, k, true).iter().map(|near| near[k - 1].distance).collect();
    let (mut inside, mut count) = (0usize, 0usize);
    rows.each(queries, |_, distances| {
        count += 1;
        inside += usize::from(radii.iter().enumerate().any(|(index, radius)| distances.within(index, *radius)));
    });
    assert!(count > 0, "a share of no rows");
    inside as f64 / count as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;
    use maetok_tests::{Fixture, devices};

    #[test]
    fn shares_are_those_of_numpy() {
        let fixture = Fixture::own("eval/eval.safetensors");
        for on in devices() {
            for name in ["many", "few"] {
                let (shape, real) = fixture.f32(&format!("{name}.a"));
                let (_, generated) = fixture.f32(&format!("{name}.b"));
                let got = precision_recall(&real, &generated, shape[1], NEIGHBOURS, &on.device);
                let want = fixture.f32(&format!("{name}.precision_recall")).1;
                assert_eq!([got.precision as f32, got.recall as f32], want[..], "{name} on {}", on.label);
            }
        }
    }

    #[test]
    fn equal_sets_give_one_and_distant_sets_zero() {
        let rows: Vec<f32> = Rng::new(2, 0).normals(60 * 4).iter().map(|v| *v as f32).collect();
        let far: Vec<f32> = rows.iter().map(|v| v + 100.0).collect();
        let device = Device::flex();
        let of = |b: &[f32]| precision_recall(&rows, b, 4, NEIGHBOURS, &device);
        assert_eq!(of(&rows), PrecisionRecall { precision: 1.0, recall: 1.0 });
        assert_eq!(of(&far), PrecisionRecall { precision: 0.0, recall: 0.0 });
    }

    #[test]
    fn a_generator_of_one_mode_has_precision_without_recall() {
        let mut rng = Rng::new(3, 0);
        let modes: Vec<f32> =
            (0..200).flat_map(|i| [(i % 4) as f64 * 50.0 + rng.normal(), rng.normal()]).map(|v| v as f32).collect();
        let one: Vec<f32> = (0..200).flat_map(|_| [0.7 * rng.normal(), 0.7 * rng.normal()]).map(|v| v as f32).collect();
        let got = precision_recall(&modes, &one, 2, NEIGHBOURS, &Device::flex());
        assert!(got.precision > 0.9 && got.recall < 0.26, "{got:?}");
    }
}
