//! Resizing in the shape of two matrix products, so that every device can differentiate it.
//!
//! Burn 0.22.1's own `interpolate` has on wgpu no backward pass but that of the nearest pixel, and none of its filters
//! averages where it shrinks.

use burn::tensor::{Tensor, TensorData};

/// Resizes maps or pictures: bilinear between pixel centres along a side that grows (PyTorch's `align_corners=False`),
/// the average of what a new pixel covers along a side that shrinks.
///
/// # Shapes
/// `[B, C, H, W] -> [B, C, height, width]`
///
/// # Panics
/// If a side is 0.
pub fn resize(x: Tensor<4>, height: usize, width: usize) -> Tensor<4> {
    separable(x, height, width, shares)
}

/// Resizes columns and rows by `weights(from, to)`, the matrix `[to, from]` of a side that changes, row by row.
///
/// # Shapes
/// `[B, C, H, W] -> [B, C, height, width]`
pub(crate) fn separable(
    x: Tensor<4>,
    height: usize,
    width: usize,
    weights: impl Fn(usize, usize) -> Vec<f32>,
) -> Tensor<4> {
    let rows_last = last_axis(x, width, &weights).swap_dims(2, 3); // [B, C, width, H]
    last_axis(rows_last, height, &weights).swap_dims(2, 3)
}

/// `[B, C, H, W] -> [B, C, H, length]`
fn last_axis(x: Tensor<4>, length: usize, weights: impl Fn(usize, usize) -> Vec<f32>) -> Tensor<4> {
    let [batch, channels, rows, from] = x.dims();
    if from == length {
        return x;
    }
    let matrix = Tensor::<2>::from_data(TensorData::new(weights(from, length), [length, from]), &x.device());
    x.reshape([batch * channels * rows, from]).matmul(matrix.transpose()).reshape([batch, channels, rows, length])
}

/// Row `i` holds the shares of the old pixels in new pixel `i`, `[to, from]`.
fn shares(from: usize, to: usize) -> Vec<f32> {
    assert!(from > 0 && to > 0, "resizing a side of {from} pixels to {to}");
    let mut shares = vec![0.0f32; to * from];
    for (new, row) in shares.chunks_exact_mut(from).enumerate() {
        let of_new = if to > from { between(new, from, to) } else { covered(new, from, to) };
        for (old, share) in of_new {
            row[old] += share as f32;
        }
    }
    shares
}

/// The two old pixels whose centres enclose the new one's; beyond the border the border counts twice.
fn between(new: usize, from: usize, to: usize) -> Vec<(usize, f64)> {
    let last = from - 1;
    let centre = ((new as f64 + 0.5) * from as f64 / to as f64 - 0.5).clamp(0.0, last as f64);
    let before = centre.floor() as usize;
    let share = centre - before as f64;
    vec![(before, 1.0 - share), ((before + 1).min(last), share)]
}

/// The old pixels under the new one, by the length of the overlap.
fn covered(new: usize, from: usize, to: usize) -> Vec<(usize, f64)> {
    // In units of 1/to of an old pixel everything is a whole number.
    let (start, end) = (new * from, (new + 1) * from);
    let overlap = |old: usize| end.min((old + 1) * to) - start.max(old * to);
    (start / to..end.div_ceil(to)).map(|old| (old, overlap(old) as f64 / from as f64)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Device, Distribution};

    fn row(values: &[f32]) -> Tensor<4> {
        Tensor::<1>::from_floats(values, &Device::flex()).reshape([1, 1, 1, values.len()])
    }

    fn resized(values: &[f32], to: usize) -> Vec<f32> {
        resize(row(values), 1, to).into_data().try_to_vec().unwrap()
    }

    #[test]
    fn growing_is_linear_between_centres_and_flat_beyond_them() {
        assert_eq!(resized(&[0.0, 4.0], 4), [0.0, 1.0, 3.0, 4.0]);
        assert_eq!(resized(&[7.0], 3), [7.0; 3]);
    }

    #[test]
    fn shrinking_averages_what_is_covered() {
        assert_eq!(resized(&[1.0, 3.0, 5.0, 11.0], 2), [2.0, 8.0]);
        let thirds = resized(&[3.0, 6.0, 12.0], 2); // 3 and half of 6; half of 6 and 12
        assert!((thirds[0] - 4.0).abs() < 1e-6 && (thirds[1] - 10.0).abs() < 1e-6, "{thirds:?}");
    }

    #[test]
    fn every_new_pixel_is_an_average_and_equal_sizes_are_left_alone() {
        for (from, to) in [(64, 224), (64, 64), (224, 64), (14, 8), (4, 8), (7, 8), (96, 128)] {
            let ones = Tensor::<4>::ones([1, 1, from, from], &Device::flex());
            let off = (resize(ones, to, to) - 1.0).abs().max().into_scalar::<f32>();
            assert!(off < 1e-6, "{from} to {to}: {off}");
        }
        let x = Tensor::<4>::random([2, 3, 5, 7], Distribution::Default, &Device::flex());
        assert_eq!(resize(x.clone(), 5, 7).into_data(), x.into_data());
    }

    #[test]
    fn rows_and_columns_keep_their_places() {
        let x = Tensor::<4>::from_floats([[[[0.0, 1.0], [10.0, 11.0]]]], &Device::flex());
        let wide = resize(x, 2, 4);
        assert_eq!(wide.dims(), [1, 1, 2, 4]);
        let values: Vec<f32> = wide.into_data().try_to_vec().unwrap();
        assert_eq!(values, [0.0, 0.25, 0.75, 1.0, 10.0, 10.25, 10.75, 11.0]);
    }

    #[test]
    fn a_gradient_comes_back_in_the_shares_the_value_went_out() {
        let device = Device::flex().autodiff();
        let x = Tensor::<4>::from_floats([[[[0.0, 4.0]]]], &device).require_grad();
        let third = resize(x.clone(), 1, 4).slice(burn::tensor::s![.., .., .., 2..3]).sum();
        let gradient: Vec<f32> = x.grad(&third.backward()).unwrap().into_data().try_to_vec().unwrap();
        assert_eq!(gradient, [0.25, 0.75]);
    }
}
