//! Pictures to the size of the trunk: a mean over areas where they shrink, a bicubic curve where they grow.
//!
//! Source: what PyTorch's `interpolate` does in the modes `area` and `bicubic` (without antialiasing, pixel centres at
//! halves, border repeated).

use burn::tensor::Tensor;

use crate::features::separable;

/// Slope parameter of the bicubic curve.
const CUBIC: f64 = -0.75;

/// `[B, 3, H, W] -> [B, 3, side, side]`
pub fn resize(picture: Tensor<4>, side: usize) -> Tensor<4> {
    separable(picture, side, side, |from, to| if from > to { area(from, to) } else { cubic(from, to) })
}

/// Mean over the pixels that an output pixel covers even in part, `[to, from]`.
fn area(from: usize, to: usize) -> Vec<f32> {
    let mut weights = vec![0.0; to * from];
    for (at, row) in weights.chunks_exact_mut(from).enumerate() {
        let (first, end) = (at * from / to, ((at + 1) * from).div_ceil(to));
        row[first..end].fill((1.0 / (end - first) as f64) as f32);
    }
    weights
}

/// Four neighbours by the bicubic curve, `[to, from]`.
fn cubic(from: usize, to: usize) -> Vec<f32> {
    let mut weights = vec![0.0; to * from];
    for (at, row) in weights.chunks_exact_mut(from).enumerate() {
        let place = (at as f64 + 0.5) * from as f64 / to as f64 - 0.5;
        for neighbour in -1..=2 {
            let index = place.floor() + f64::from(neighbour);
            let inside = index.clamp(0.0, (from - 1) as f64) as usize;
            row[inside] += curve((place - index).abs()) as f32;
        }
    }
    weights
}

fn curve(distance: f64) -> f64 {
    let x = distance;
    if x <= 1.0 {
        ((CUBIC + 2.0) * x - (CUBIC + 3.0)) * x * x + 1.0
    } else {
        ((CUBIC * x - 5.0 * CUBIC) * x + 8.0 * CUBIC) * x - 4.0 * CUBIC
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Device, TensorData};

    fn values(picture: Tensor<4>) -> Vec<f32> {
        picture.into_data().try_to_vec().unwrap()
    }

    #[test]
    fn a_plain_picture_stays_plain_and_the_right_size_stays_as_it_is() {
        let device = Device::flex();
        for from in [5, 8, 13, 16] {
            let plain = resize(Tensor::full([1, 3, from, from], 0.25, &device), 8);
            assert_eq!(plain.dims(), [1, 3, 8, 8]);
            assert!(values(plain).iter().all(|v| (v - 0.25).abs() < 1e-6), "from {from}");
        }
        let picture = Tensor::<4>::random([2, 3, 8, 8], burn::tensor::Distribution::Default, &device);
        assert_eq!(values(resize(picture.clone(), 8)), values(picture));
    }

    #[test]
    fn shrinking_by_half_is_the_mean_of_four_pixels() {
        let pixels: Vec<f32> = (0..36).map(|i| (i % 6) as f32 + 10.0 * (i / 6) as f32).collect();
        let picture = Tensor::<4>::from_data(TensorData::new(pixels, [1, 1, 6, 6]), &Device::flex());
        let halved = values(resize(picture, 3));
        assert!((halved[0] - 5.5).abs() < 1e-5 && (halved[4] - 27.5).abs() < 1e-5, "{halved:?}");
    }

    #[test]
    fn growing_twofold_has_the_textbook_weights_a_quarter_of_a_pixel_off() {
        // Of the four neighbours of a place a quarter past the second, as every library with this curve has them.
        let textbook = [-0.105_468_75, 0.878_906_25, 0.261_718_75, -0.035_156_25];
        let rows = cubic(8, 16);
        // Output 7 lies at 3.25 of the input, output 8 at 3.75, the mirror image.
        let (mut want, mut mirrored) = ([0.0; 8], [0.0; 8]);
        for (at, weight) in textbook.into_iter().enumerate() {
            (want[2 + at], mirrored[5 - at]) = (weight, weight);
        }
        assert_eq!((&rows[7 * 8..8 * 8], &rows[8 * 8..9 * 8]), (&want[..], &mirrored[..]));
        // At the border the missing neighbours are the border: output 0 lies at -0.25.
        let first = &rows[..8];
        assert_eq!(first[2..], [0.0; 6]);
        assert!((first[1] - textbook[0]).abs() < 1e-6 && (first[0] + first[1] - 1.0).abs() < 1e-6, "{first:?}");
    }
}
