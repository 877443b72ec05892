//! Fixed sinusoids: SiT's token positions, and a two-dimensional one as a start for learned positions.

use burn::tensor::{Device, Tensor, TensorData};

/// `pe[n, 2i] = sin(n w_i)`, `pe[n, 2i+1] = cos(n w_i)`, `w_i = 10000^(-2i/D)`; returns `[tokens, width]`.
///
/// Computed in f64, as the official NumPy code does.
pub fn sinusoid_1d(tokens: usize, width: usize, device: &Device) -> Tensor<2> {
    let rows = (0..tokens).flat_map(|n| interleaved(n as f64, width, 10000.0)).collect::<Vec<f32>>();
    Tensor::from_data(TensorData::new(rows, [tokens, width]), device)
}

/// Half of the channels hold the sinusoid of `x`, half that of `y`; returns `[points, width]`.
///
/// Wavelengths run from `2 pi` to `2 pi theta`: `theta` should be of the order of the grid's side, or most channels
/// are constant over the picture. `width` must be divisible by 4.
pub fn sinusoid_2d(points: &[[f64; 2]], width: usize, theta: f64, device: &Device) -> Tensor<2> {
    let rows = points
        .iter()
        .flat_map(|[x, y]| {
            interleaved(*x, width / 2, theta).chain(interleaved(*y, width / 2, theta)).collect::<Vec<_>>()
        })
        .collect::<Vec<f32>>();
    Tensor::from_data(TensorData::new(rows, [points.len(), width]), device)
}

fn interleaved(position: f64, width: usize, theta: f64) -> impl Iterator<Item = f32> {
    (0..width).map(move |j| {
        let angle = position * theta.powf(-((j / 2 * 2) as f64) / width as f64);
        (if j % 2 == 0 { angle.sin() } else { angle.cos() }) as f32
    })
}
