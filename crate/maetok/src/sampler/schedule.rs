//! Times at which the model is asked, from 1 (noise) to 0 (data).

/// The SDE stops adding noise here.
const LAST_NOISE: f64 = 0.04;

/// `steps + 1` equally spaced times, 1 to 0.
pub fn ode(steps: usize) -> Vec<f64> {
    (0..=steps).map(|i| 1.0 - i as f64 / steps as f64).collect()
}

/// `steps` equally spaced times, 1 to 0.04, then 0.
pub fn sde(steps: usize) -> Vec<f64> {
    let spacing = if steps > 1 { (1.0 - LAST_NOISE) / (steps - 1) as f64 } else { 0.0 };
    (0..steps).map(|i| 1.0 - i as f64 * spacing).chain([0.0]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_schedule_falls_from_one_to_zero() {
        for times in [ode(1), ode(7), sde(1), sde(2), sde(50)] {
            assert_eq!((times[0], times[times.len() - 1]), (1.0, 0.0));
            assert!(times.windows(2).all(|w| w[0] > w[1]), "{times:?}");
        }
        assert!((sde(9)[8] - LAST_NOISE).abs() < 1e-12);
    }
}
