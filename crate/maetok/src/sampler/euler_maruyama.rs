//! Euler–Maruyama step of the reverse SDE with diffusion `w(t) = 2t`.

use crate::diffusion::PathType;

/// `x + drift dt + sqrt(w |dt|) noise`, drift `v - w/2 score`; without noise in the last step.
pub fn step(x: &[f64], v: &[f64], path: PathType, t: f64, next: f64, noise: Option<&[f64]>) -> Vec<f64> {
    let coefficients = path.at(t);
    let dt = next - t;
    let diffusion = 2.0 * t;
    let spread = (diffusion * dt.abs()).sqrt();
    x.iter()
        .zip(v)
        .enumerate()
        .map(|(i, (x, v))| {
            let drift = v - 0.5 * diffusion * coefficients.score(*x, *v);
            x + drift * dt + noise.map_or(0.0, |noise| spread * noise[i])
        })
        .collect()
}
