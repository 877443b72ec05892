//! Between two vectors: along the straight line, or along the circle.
//!
//! Noise lies near a sphere, since a normal vector of `n` numbers has a length close to `sqrt(n)`. The straight line
//! between two such vectors leaves the sphere, at its middle by a factor of `sqrt(2)`; the circle stays on it.
//!
//! Source: Shoemake 1985, "Animating rotation with quaternion curves", for the spherical way.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// Along which way two vectors are mixed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Way {
    /// `(1 - share) a + share b`
    Linear,
    /// Along the great circle; lengths change evenly from that of `a` to that of `b`.
    #[default]
    Spherical,
}

impl FromStr for Way {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "linear" => Ok(Self::Linear),
            "spherical" => Ok(Self::Spherical),
            _ => Err(Error::setting("way", text, "linear or spherical")),
        }
    }
}

/// Below this sine of the angle the circle is not defined well, and the line is as good.
const FLAT: f64 = 1e-6;

/// `a` with a `share` of `b`, from 0 (`a`) to 1 (`b`).
///
/// # Panics
/// If the two differ in length.
pub fn mix(a: &[f64], b: &[f64], share: f64, way: Way) -> Vec<f64> {
    assert_eq!(a.len(), b.len(), "two vectors of one length");
    let weighted = |of_a: f64, of_b: f64| a.iter().zip(b).map(|(a, b)| of_a * a + of_b * b).collect();
    let length = |v: &[f64]| libm::sqrt(v.iter().map(|x| x * x).sum());
    let (long_a, long_b) = (length(a), length(b));
    if way == Way::Linear || long_a == 0.0 || long_b == 0.0 {
        return weighted(1.0 - share, share);
    }
    let dot: f64 = a.iter().zip(b).map(|(a, b)| a * b).sum();
    let angle = libm::acos((dot / (long_a * long_b)).clamp(-1.0, 1.0));
    let sine = libm::sin(angle);
    if sine < FLAT {
        return weighted(1.0 - share, share);
    }
    let long = (1.0 - share) * long_a + share * long_b;
    let of_a = libm::sin((1.0 - share) * angle) / sine * long / long_a;
    let of_b = libm::sin(share * angle) / sine * long / long_b;
    weighted(of_a, of_b)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn length(v: &[f64]) -> f64 {
        v.iter().map(|x| x * x).sum::<f64>().sqrt()
    }

    proptest! {
        #[test]
        fn both_ways_begin_at_one_and_end_at_the_other(
            pairs in proptest::collection::vec((-5.0f64..5.0, -5.0f64..5.0), 1..40), spherical: bool,
        ) {
            let (a, b): (Vec<f64>, Vec<f64>) = pairs.into_iter().unzip();
            let way = if spherical { Way::Spherical } else { Way::Linear };
            for (share, want) in [(0.0, &a), (1.0, &b)] {
                let got = mix(&a, &b, share, way);
                let worst = got.iter().zip(want).map(|(g, w)| (g - w).abs()).fold(0.0, f64::max);
                prop_assert!(worst < 1e-6, "{way:?} at {share}: {worst}");
            }
        }

        #[test]
        fn on_the_circle_the_length_changes_evenly(
            pairs in proptest::collection::vec((-5.0f64..5.0, -5.0f64..5.0), 8..40), share in 0.0f64..1.0,
        ) {
            let (a, b): (Vec<f64>, Vec<f64>) = pairs.into_iter().unzip();
            let want = (1.0 - share) * length(&a) + share * length(&b);
            prop_assert!((length(&mix(&a, &b, share, Way::Spherical)) - want).abs() < 1e-6 * want.max(1.0));
        }
    }

    #[test]
    fn vectors_without_an_angle_between_them_are_mixed_on_the_line() {
        assert_eq!(mix(&[1.0, 0.0], &[-1.0, 0.0], 0.5, Way::Spherical), [0.0, 0.0]);
        assert_eq!(mix(&[0.0, 0.0], &[2.0, 0.0], 0.5, Way::Spherical), [1.0, 0.0]);
        assert_eq!(mix(&[2.0], &[4.0], 0.5, Way::Spherical), [3.0]);
    }
}
