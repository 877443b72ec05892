//! PSNR and SSIM of two 8-bit pictures.

use ::image::RgbImage;

/// Side of the SSIM window.
const WINDOW: usize = 11;
/// Its standard deviation.
const SIGMA: f64 = 1.5;

/// Peak signal-to-noise ratio in dB over all channels, for a peak of 255; infinite for equal pictures.
///
/// # Panics
/// If the sizes differ.
pub fn psnr(a: &RgbImage, b: &RgbImage) -> f64 {
    assert_eq!(a.dimensions(), b.dimensions(), "PSNR needs pictures of one size");
    let squares: u64 = a.iter().zip(b.iter()).map(|(a, b)| u64::from(a.abs_diff(*b)).pow(2)).sum();
    psnr_of_mse(squares as f64 / a.len().max(1) as f64, 255.0)
}

/// The PSNR in dB that a mean squared error is, where values span `peak` (2 for values from -1 to 1).
pub fn psnr_of_mse(mse: f64, peak: f64) -> f64 {
    10.0 * (peak * peak / mse).log10()
}

/// Structural similarity, from -1 to 1: per channel, 11×11 Gaussian windows of σ 1.5 that lie wholly inside, constants
/// 0.01 and 0.03 of 255; the mean over windows and channels.
///
/// Source: Wang et al. 2004, "Image quality assessment: from error visibility to structural similarity".
/// Differs: on pictures less than 11 pixels wide or high the window shrinks to fit.
///
/// # Panics
/// If the sizes differ or there are no pixels.
pub fn ssim(a: &RgbImage, b: &RgbImage) -> f64 {
    assert_eq!(a.dimensions(), b.dimensions(), "SSIM needs pictures of one size");
    let (width, height) = (a.width() as usize, a.height() as usize);
    assert!(width > 0 && height > 0, "SSIM of a picture without pixels");
    let windows = (gaussian(WINDOW.min(width)), gaussian(WINDOW.min(height)));
    let channel = |c: usize| {
        let plane = |image: &RgbImage| image.pixels().map(|p| f64::from(p[c])).collect::<Vec<f64>>();
        ssim_plane(&plane(a), &plane(b), width, &windows)
    };
    (0..3).map(channel).sum::<f64>() / 3.0
}

fn gaussian(size: usize) -> Vec<f64> {
    let centre = (size as f64 - 1.0) / 2.0;
    let weights: Vec<f64> = (0..size).map(|i| (-0.5 * ((i as f64 - centre) / SIGMA).powi(2)).exp()).collect();
    let sum: f64 = weights.iter().sum();
    weights.iter().map(|w| w / sum).collect()
}

fn ssim_plane(a: &[f64], b: &[f64], width: usize, windows: &(Vec<f64>, Vec<f64>)) -> f64 {
    const C1: f64 = 6.5025; // (0.01 * 255)²
    const C2: f64 = 58.5225; // (0.03 * 255)²
    let product = |x: &[f64], y: &[f64]| x.iter().zip(y).map(|(x, y)| x * y).collect::<Vec<f64>>();
    let mean = |plane: &[f64]| blur(plane, width, windows);
    let (mean_a, mean_b) = (mean(a), mean(b));
    let (square_a, square_b, cross) = (mean(&product(a, a)), mean(&product(b, b)), mean(&product(a, b)));
    let count = mean_a.len();
    let total: f64 = (0..count)
        .map(|i| {
            let (ma, mb) = (mean_a[i], mean_b[i]);
            let (var_a, var_b, covariance) = (square_a[i] - ma * ma, square_b[i] - mb * mb, cross[i] - ma * mb);
            (2.0 * ma * mb + C1) * (2.0 * covariance + C2) / ((ma * ma + mb * mb + C1) * (var_a + var_b + C2))
        })
        .sum();
    total / count as f64
}

/// Weighted means over all windows that lie inside.
fn blur(plane: &[f64], width: usize, (across, down): &(Vec<f64>, Vec<f64>)) -> Vec<f64> {
    let dot = |window: &[f64], weights: &[f64]| window.iter().zip(weights).map(|(v, w)| v * w).sum::<f64>();
    let columns = width + 1 - across.len();
    let rows: Vec<Vec<f64>> =
        plane.chunks_exact(width).map(|row| row.windows(across.len()).map(|w| dot(w, across)).collect()).collect();
    rows.windows(down.len())
        .flat_map(|rows| {
            (0..columns).map(move |x| rows.iter().zip(down).map(|(row, weight)| row[x] * weight).sum::<f64>())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::image::Rgb;
    use proptest::prelude::*;

    fn flat(value: u8) -> RgbImage {
        RgbImage::from_pixel(16, 14, Rgb([value; 3]))
    }

    #[test]
    fn equal_pictures_have_infinite_psnr_and_ssim_1() {
        assert_eq!(psnr(&flat(7), &flat(7)), f64::INFINITY);
        assert_eq!(ssim(&flat(7), &flat(7)), 1.0);
    }

    #[test]
    fn psnr_of_one_step_everywhere_is_48_dot_13() {
        assert!((psnr(&flat(7), &flat(8)) - 48.1308).abs() < 1e-4);
        assert_eq!(psnr(&flat(0), &flat(255)), 0.0);
    }

    #[test]
    fn ssim_of_flat_pictures_is_the_luminance_term() {
        let (a, b) = (100.0, 150.0);
        let want = (2.0 * a * b + 6.5025) / (a * a + b * b + 6.5025);
        assert!((ssim(&flat(100), &flat(150)) - want).abs() < 1e-9);
    }

    #[test]
    fn ssim_of_a_pattern_and_its_negative_is_negative() {
        let board = |flip: u32| {
            RgbImage::from_fn(24, 24, |x, y| Rgb([if (x + y + flip).is_multiple_of(2) { 40 } else { 215 }; 3]))
        };
        assert!(ssim(&board(0), &board(1)) < -0.9);
    }

    #[test]
    fn small_pictures_are_measured_too() {
        let small = RgbImage::from_fn(3, 5, |x, y| Rgb([(x * 80) as u8, (y * 50) as u8, 9]));
        assert_eq!(ssim(&small, &small), 1.0);
    }

    proptest! {
        #[test]
        fn both_are_symmetric_and_fall_with_noise(pixels in proptest::collection::vec(any::<u8>(), 12 * 12 * 3), step in 1u8..40) {
            let picture = RgbImage::from_raw(12, 12, pixels).expect("enough bytes");
            let mut little = picture.clone();
            little.iter_mut().step_by(2).for_each(|v| *v = v.saturating_add(step));
            let mut much = picture.clone();
            much.iter_mut().step_by(2).for_each(|v| *v = v.saturating_add(step.saturating_mul(5)));
            prop_assert_eq!(psnr(&picture, &little), psnr(&little, &picture));
            prop_assert!((ssim(&picture, &little) - ssim(&little, &picture)).abs() < 1e-12);
            prop_assert!(psnr(&picture, &little) >= psnr(&picture, &much));
            prop_assert!((-1.0..=1.0 + 1e-12).contains(&ssim(&picture, &much)));
        }
    }
}
