//! Times at which the model is asked, from 1 (noise) to 0 (data).

/// The SDE stops adding noise here.
const LAST_NOISE: f64 = 0.04;

/// `steps + 1` equally spaced times, `start` to 0.
pub fn ode(start: f64, steps: usize) -> Vec<f64> {
    (0..=steps).map(|i| start * (1.0 - i as f64 / steps as f64)).collect()
}

/// `steps` equally spaced times, `start` to 0.04, then 0. `start` is above 0.04.
pub fn sde(start: f64, steps: usize) -> Vec<f64> {
    let spacing = if steps > 1 { (start - LAST_NOISE) / (steps - 1) as f64 } else { 0.0 };
    (0..steps).map(|i| start - i as f64 * spacing).chain([0.0]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_schedule_falls_from_its_start_to_zero() {
        for start in [1.0, 0.6, 0.05] {
            for steps in [1, 2, 7, 50] {
                for times in [ode(start, steps), sde(start, steps)] {
                    assert_eq!((times.len(), times[0], times[steps]), (steps + 1, start, 0.0));
                    assert!(times.windows(2).all(|w| w[0] > w[1]), "{times:?}");
                }
            }
        }
        assert!((sde(1.0, 9)[8] - LAST_NOISE).abs() < 1e-12);
    }
}
