//! First-order step of the probability-flow ODE.

/// `x + dt v`.
pub fn step(x: &[f64], v: &[f64], dt: f64) -> Vec<f64> {
    x.iter().zip(v).map(|(x, v)| x + dt * v).collect()
}
