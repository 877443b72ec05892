//! Histograms of oriented gradients: the target of the first auxiliary decoder.
//!
//! Runs where the model runs: a GPU would wait for a target made on the host.
//!
//! Source: Dalal and Triggs 2005 for the idea; the variant is that of MaskFeat as MAETok uses it.
//!
//! Differs from the official code: the official patch grid is fixed at 16×16 and so fits 256-px pictures
//! only; here a patch side holds `patch / 8` cells whatever the picture.

use std::f64::consts::PI;

use burn::tensor::ops::PadMode;
use burn::tensor::{Device, Tensor, s};

use crate::{Error, Result};

/// Orientation bins per cell.
pub const BINS: usize = 9;
/// Side of a cell in pixels.
pub const CELL: usize = 8;
/// Side of the Gaussian window that weighs the gradients, tiled over the picture.
const WINDOW: usize = 16;

/// Number of target values per patch: 3 channels × 9 bins × cells per patch.
pub fn target_size(patch_size: usize) -> usize {
    3 * BINS * (patch_size / CELL).pow(2)
}

/// Checks that pictures of this size have a HOG target.
///
/// # Errors
/// [`Error::Setting`] if the picture is no multiple of 16 px or the patch none of 8 px.
pub fn check_sizes(image_size: usize, patch_size: usize) -> Result<()> {
    let fits = image_size > 0
        && image_size.is_multiple_of(WINDOW)
        && patch_size > 0
        && patch_size.is_multiple_of(CELL)
        && image_size.is_multiple_of(patch_size);
    if fits {
        return Ok(());
    }
    Err(Error::setting(
        "hog",
        format!("asked for with {image_size} px pictures in {patch_size} px patches"),
        "0 unless pictures are a multiple of 16 px and patches one of 8 px",
    ))
}

/// Orientation histograms of square pictures, each cell normalised to unit length.
///
/// # Shapes
/// `pictures` `[B, 3, H, H]` in [-1, 1]; result `[B, 3, 9, H/8, H/8]`, values in [0, 1].
pub fn cells(pictures: Tensor<4>) -> Tensor<5> {
    let [batch, _, size, _] = pictures.dims();
    let side = size / CELL;
    let [gx, gy] = gradients(pictures);
    let weight = (gx.clone().square() + gy.clone().square()).sqrt() * tiled_window(size, &gx.device()); // [B, 3, H, H]
    // The argument order is the official one: the angle is measured from the vertical. Opposite directions share a
    // bin: -9..0 falls on 0..9, and exactly 9 on 0.
    let phase = (gx.atan2(gy) * (BINS as f64 / PI)).floor(); // [B, 3, H, H], -9..=9
    let phase = phase.clone() - (phase / BINS as f64).floor() * BINS as f64; // 0..9
    let bin = |bin: usize| {
        // A mask, not a product: in flat areas the angle may be no number.
        let weight = weight.clone().mask_fill(phase.clone().not_equal_scalar(bin as f64), 0.0);
        let cells =
            weight.reshape([batch, 3, side, CELL, side * CELL]).sum_dim(3).reshape([batch, 3, side, side, CELL]);
        cells.sum_dim(4).squeeze_dim::<4>(4) // [B, 3, H/8, H/8]
    };
    let histogram = Tensor::stack::<5>((0..BINS).map(bin).collect(), 2);
    let length = histogram.clone().square().sum_dim(2).sqrt().clamp_min(1e-12);
    histogram / length
}

/// HOG target of every patch.
///
/// # Shapes
/// `pictures` `[B, 3, H, H]` in [-1, 1]; result `[B, N, 27 u²]` with `u = patch_size / 8`, patches row by row, index in
/// a patch `((channel · 9 + bin) · u + row) · u + column`.
pub fn targets(pictures: Tensor<4>, patch_size: usize) -> Tensor<3> {
    let [batch, _, size, _] = pictures.dims();
    let (unit, patches) = (patch_size / CELL, size / patch_size);
    cells(pictures).reshape([batch, 3 * BINS, patches, unit, patches, unit]).permute([0, 2, 4, 1, 3, 5]).reshape([
        batch,
        patches * patches,
        target_size(patch_size),
    ])
}

/// Sobel differences to the left and upwards, `[B, 3, H, H]` each; reflection does not repeat the border.
fn gradients(pictures: Tensor<4>) -> [Tensor<4>; 2] {
    let [_, _, height, width] = pictures.dims();
    let padded = pictures.pad([(1, 1), (1, 1)], PadMode::Reflect);
    let at = |row: usize, column: usize| padded.clone().slice(s![.., .., row..row + height, column..column + width]);
    let difference = |from: [(usize, usize); 3], to: [(usize, usize); 3]| {
        let smooth = |[a, b, c]: [(usize, usize); 3]| at(a.0, a.1) + at(b.0, b.1) * 2.0 + at(c.0, c.1);
        smooth(from) - smooth(to)
    };
    [
        difference([(0, 0), (1, 0), (2, 0)], [(0, 2), (1, 2), (2, 2)]),
        difference([(0, 0), (0, 1), (0, 2)], [(2, 0), (2, 1), (2, 2)]),
    ]
}

/// The two kernels as they answer to single pixels, `[3, 3]` each.
#[cfg(test)]
pub(super) fn kernels(device: &Device) -> [Vec<f32>; 2] {
    // The middle of a 3 × 3 picture never sees the border.
    let impulses = Tensor::<2>::eye(9, device).reshape([9, 1, 3, 3]);
    gradients(impulses).map(|answers| answers.slice(s![.., .., 1..2, 1..2]).into_data().try_to_vec().expect("f32"))
}

/// Gaussian window `[16, 16]` that sums to one.
pub(super) fn window() -> [f32; WINDOW * WINDOW] {
    let bell: Vec<f64> = (0..WINDOW).map(|i| (-0.5 * ((i as f64 - 7.5) / 8.0).powi(2)).exp()).collect();
    let sum: f64 = bell.iter().sum();
    let mut window = [0.0; WINDOW * WINDOW];
    for (index, value) in window.iter_mut().enumerate() {
        *value = (bell[index / WINDOW] * bell[index % WINDOW] / (sum * sum)) as f32;
    }
    window
}

/// The window side by side over a whole picture, `[1, 1, H, H]`.
fn tiled_window(size: usize, device: &Device) -> Tensor<4> {
    let window = Tensor::<1>::from_floats(window().as_slice(), device).reshape([1, 1, WINDOW, WINDOW]);
    window.repeat(&[1, 1, size / WINDOW, size / WINDOW])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flat_picture_has_an_empty_target() {
        let target = targets(Tensor::full([1, 3, 64, 64], 0.3, &Device::flex()), 8);
        assert_eq!(target.dims(), [1, 64, 27]);
        assert_eq!(target.abs().max().into_scalar::<f32>(), 0.0);
    }

    #[test]
    fn a_vertical_edge_fills_one_bin_of_the_cells_it_crosses() {
        let size = 32;
        let planes: Vec<f32> = (0..3 * size * size).map(|i| if i % size < 12 { -1.0 } else { 1.0 }).collect();
        let picture = Tensor::<1>::from_floats(planes.as_slice(), &Device::flex()).reshape([1, 3, size, size]);
        let cells: Vec<f32> = cells(picture).into_data().try_to_vec().unwrap();
        let side = size / CELL;
        for cell in 0..side * side {
            let filled: Vec<usize> = (0..BINS).filter(|bin| cells[bin * side * side + cell] > 0.0).collect();
            assert_eq!(filled.len(), usize::from(cell % side == 1), "cell {cell}: bins {filled:?}");
        }
    }

    #[test]
    fn sizes_without_a_target_are_refused_with_both_numbers() {
        assert!(check_sizes(64, 8).is_ok());
        assert!(check_sizes(256, 16).is_ok());
        for (image, patch) in [(72, 8), (64, 4), (0, 8), (64, 24)] {
            let message = check_sizes(image, patch).unwrap_err().to_string();
            assert!(message.contains(&image.to_string()), "{message}");
        }
    }
}
