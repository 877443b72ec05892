//! Which patches the encoder does not see in training.
//!
//! Source: MAETok, section 3 and the official `sample_orders` / `random_masking`; specification 2.6.

use crate::rng::Rng;

/// Standard deviation of the ratio's law before truncation.
const STD: f64 = 0.25;

/// Mask ratio at quantile `u` of a normal law with mean `hi`, truncated to `[lo, hi]`: density rises towards `hi`.
///
/// `u` in `[0, 1]`; returns `lo` at 0 and `hi` at 1. `lo == hi` gives that value.
pub fn mask_ratio(u: f64, lo: f64, hi: f64) -> f64 {
    if lo >= hi {
        return hi;
    }
    let below = normal_cdf((lo - hi) / STD);
    (hi + STD * normal_quantile(below + u * (0.5 - below))).clamp(lo, hi)
}

/// One mask per picture: `ceil(patches * ratio)` patches each, a fresh permutation for every picture.
///
/// Returns `[pictures][patches]`, true where hidden.
pub fn random_masks(rng: &mut Rng, pictures: usize, patches: usize, ratio: f64) -> Vec<Vec<bool>> {
    let count = masked_count(patches, ratio);
    (0..pictures)
        .map(|_| {
            let mut mask = vec![false; patches];
            for &patch in &rng.permutation(patches)[..count] {
                mask[patch] = true;
            }
            mask
        })
        .collect()
}

/// Number of hidden patches, `ceil(patches * ratio)`.
pub fn masked_count(patches: usize, ratio: f64) -> usize {
    ((patches as f64 * ratio).ceil() as usize).min(patches)
}

/// Distribution function of the standard normal law.
fn normal_cdf(x: f64) -> f64 {
    0.5 * libm::erfc(-x / std::f64::consts::SQRT_2)
}

/// Its inverse on `(0, 1)`: bisection on the distribution function, to the last bit that matters here.
///
/// Called once per training step, so speed is of no concern.
fn normal_quantile(p: f64) -> f64 {
    let (mut low, mut high) = (-10.0, 10.0);
    for _ in 0..80 {
        let middle = 0.5 * (low + high);
        if normal_cdf(middle) < p { low = middle } else { high = middle }
    }
    0.5 * (low + high)
}

#[cfg(test)]
mod tests {
    use super::*;
    use maetok_tests::{Fixture, Tolerance, cpu};

    #[test]
    fn parity_mask_ratio_law() {
        let misc = Fixture::open("misc.safetensors");
        let (_, u) = misc.f32("mask_ratio.u");
        let prefix = "mask_ratio.ppf.";
        let names: Vec<String> = misc.names().into_iter().filter(|n| n.starts_with(prefix)).collect();
        assert!(!names.is_empty());
        for name in names {
            let (lo, hi) = name[prefix.len()..].split_once('-').expect("lo-hi");
            let (lo, hi): (f64, f64) = (lo.parse().unwrap(), hi.parse().unwrap());
            let got: Vec<f32> = u.iter().map(|u| mask_ratio(f64::from(*u), lo, hi) as f32).collect();
            misc.assert_close(&name, &cpu(), &got, Tolerance::SINGLE_MODULE);
        }
    }

    #[test]
    fn the_ratio_stays_between_its_bounds_and_equal_bounds_fix_it() {
        assert_eq!(mask_ratio(0.3, 0.5, 0.5), 0.5);
        assert!((mask_ratio(0.0, 0.4, 0.6) - 0.4).abs() < 1e-9);
        assert!((mask_ratio(1.0, 0.4, 0.6) - 0.6).abs() < 1e-9);
    }

    #[test]
    fn every_picture_hides_the_same_number_of_patches_in_its_own_places() {
        let masks = random_masks(&mut Rng::new(1, 2), 4, 64, 0.4321);
        assert!(masks.iter().all(|m| m.iter().filter(|h| **h).count() == 28));
        assert_ne!(masks[0], masks[1]);
    }
}
