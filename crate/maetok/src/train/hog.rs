//! Histograms of oriented gradients: the target of the first auxiliary decoder.
//!
//! Runs on the host. The target needs no gradient, and one pass over bytes that are in cache anyway costs
//! a fraction of a per cent of a training step; the same thing in tensor operations (an `atan2`, a modulo
//! and a scatter per pixel) costs several.
//!
//! Source: Dalal and Triggs 2005 for the idea; the variant is that of MaskFeat as MAETok uses it.
//!
//! Differs from the official code: the official patch grid is fixed at 16×16 and so fits 256-px pictures
//! only; here a patch side holds `patch / 8` cells whatever the picture.

use std::f32::consts::PI;

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

/// Orientation histograms of a square picture, each cell normalised to unit length.
///
/// # Shapes
/// `planes` `[3, H, H]` in [-1, 1]; result `[3, 9, H/8, H/8]`, values in [0, 1].
pub fn cells(planes: &[f32], size: usize) -> Vec<f32> {
    let side = size / CELL;
    let window = window();
    let mut histogram = vec![0.0f32; 3 * BINS * side * side];
    for channel in 0..3 {
        let plane = &planes[channel * size * size..(channel + 1) * size * size];
        let out = &mut histogram[channel * BINS * side * side..(channel + 1) * BINS * side * side];
        for row in 0..size {
            // Reflection does not repeat the border: row -1 is row 1, row H is row H-2.
            let above = &plane[reflect(row, -1, size) * size..][..size];
            let here = &plane[row * size..][..size];
            let below = &plane[reflect(row, 1, size) * size..][..size];
            for column in 0..size {
                let left = reflect(column, -1, size);
                let right = reflect(column, 1, size);
                let (gx, gy) = gradient(above, here, below, [left, column, right]);
                // Flat areas are most of a drawing: they weigh nothing, so their angle is not asked for.
                if gx == 0.0 && gy == 0.0 {
                    continue;
                }
                // The argument order is the official one: the angle is measured from the vertical.
                let phase = gx.atan2(gy) / PI * BINS as f32;
                let bin = (phase.floor() as i32).rem_euclid(BINS as i32) as usize;
                let weight = window[(row % WINDOW) * WINDOW + column % WINDOW];
                let cell = (row / CELL) * side + column / CELL;
                out[bin * side * side + cell] += (gx * gx + gy * gy).sqrt() * weight;
            }
        }
        normalise(out, side * side);
    }
    histogram
}

/// HOG target of every patch of a square picture.
///
/// # Shapes
/// `planes` `[3, H, H]` in [-1, 1]; result `[N, 27 u²]` with `u = patch_size / 8`, patches row by row,
/// index in a patch `((channel · 9 + bin) · u + row) · u + column`.
pub fn targets(planes: &[f32], size: usize, patch_size: usize) -> Vec<f32> {
    let cells = cells(planes, size);
    let side = size / CELL;
    let unit = patch_size / CELL;
    let patches = size / patch_size;
    let mut out = Vec::with_capacity(patches * patches * target_size(patch_size));
    for patch_row in 0..patches {
        for patch_column in 0..patches {
            for plane in cells.chunks_exact(side * side) {
                for row in 0..unit {
                    let start = (patch_row * unit + row) * side + patch_column * unit;
                    out.extend_from_slice(&plane[start..start + unit]);
                }
            }
        }
    }
    out
}

/// Divides every cell's histogram by its length.
fn normalise(histogram: &mut [f32], cells: usize) {
    for cell in 0..cells {
        let square: f32 = (0..BINS).map(|bin| histogram[bin * cells + cell].powi(2)).sum();
        let length = square.sqrt().max(1e-12);
        for bin in 0..BINS {
            histogram[bin * cells + cell] /= length;
        }
    }
}

/// Sobel differences to the left and upwards around the middle column.
fn gradient(above: &[f32], here: &[f32], below: &[f32], [left, middle, right]: [usize; 3]) -> (f32, f32) {
    let gx = (above[left] - above[right]) + 2.0 * (here[left] - here[right]) + (below[left] - below[right]);
    let gy = (above[left] + 2.0 * above[middle] + above[right]) - (below[left] + 2.0 * below[middle] + below[right]);
    (gx, gy)
}

/// The two kernels as they answer to single pixels, `[3, 3]` each.
#[cfg(test)]
pub(super) fn kernels() -> [Vec<f32>; 2] {
    let answer = |at: usize| {
        let mut patch = [0.0; 9];
        patch[at] = 1.0;
        gradient(&patch[0..3], &patch[3..6], &patch[6..9], [0, 1, 2])
    };
    let (x, y) = (0..9).map(answer).unzip();
    [x, y]
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

/// Index `at + step` reflected at the border without repeating it.
fn reflect(at: usize, step: isize, size: usize) -> usize {
    let moved = at as isize + step;
    if moved < 0 {
        moved.unsigned_abs()
    } else if moved as usize >= size {
        2 * (size - 1) - moved as usize
    } else {
        moved as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flat_picture_has_an_empty_target() {
        let target = targets(&vec![0.3; 3 * 64 * 64], 64, 8);
        assert_eq!(target.len(), 64 * 27);
        assert!(target.iter().all(|value| *value == 0.0));
    }

    #[test]
    fn a_vertical_edge_fills_one_bin_of_the_cells_it_crosses() {
        let size = 32;
        let planes: Vec<f32> = (0..3 * size * size).map(|i| if i % size < 12 { -1.0 } else { 1.0 }).collect();
        let cells = cells(&planes, size);
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
