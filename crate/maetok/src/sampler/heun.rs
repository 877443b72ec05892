//! Second-order step of the probability-flow ODE: the mean of the velocities at both ends.

/// `x + dt (v + v_ahead) / 2`, where `v_ahead` was measured after an Euler step.
pub fn step(x: &[f64], v: &[f64], v_ahead: &[f64], dt: f64) -> Vec<f64> {
    let mean = v.iter().zip(v_ahead).map(|(a, b)| 0.5 * (a + b));
    x.iter().zip(mean).map(|(x, v)| x + dt * v).collect()
}
