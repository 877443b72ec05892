//! The official centre crop: halve, resize the short side, cut the middle.
//!
//! Resampling is the two-pass method of Pillow on 8-bit values: weights per output position from the filter stretched
//! by the reduction (so it averages when it shrinks), rounded to 22 fractional bits; columns after rows; each pass
//! rounds to bytes. Written from that description of the method.
//!
//! Source: specification 2.1 (the crop of guided diffusion, used by MAETok's evaluation and SiT training); Keys 1981
//! for the cubic, with a = -0.5.

use ::image::{RgbImage, imageops};

/// Fractional bits of a weight.
const PRECISION: u32 = 22;

/// A filter: its weight at a distance in output pixels, and how far it reaches.
#[derive(Clone, Copy)]
struct Filter {
    support: f64,
    weight: fn(f64) -> f64,
}

const BOX: Filter = Filter { support: 0.5, weight: |x| if x > -0.5 && x <= 0.5 { 1.0 } else { 0.0 } };
const BICUBIC: Filter = Filter {
    support: 2.0,
    weight: |x| {
        const A: f64 = -0.5;
        let x = x.abs();
        if x < 1.0 {
            ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0
        } else if x < 2.0 {
            (((x - 5.0) * x + 8.0) * x - 4.0) * A
        } else {
            0.0
        }
    },
};

/// The middle `size`×`size` pixels of the picture resized so that its short side is `size`.
///
/// While the short side is at least `2 * size` the picture is halved with a box filter; then a bicubic resize brings
/// it to size; the cut starts at half the excess, rounded down.
///
/// # Panics
/// If the picture has no pixels or `size` is 0.
pub fn centre_crop(rgb: &RgbImage, size: usize) -> RgbImage {
    let size = u32::try_from(size).expect("a side below 2^32");
    let (mut width, mut height) = rgb.dimensions();
    assert!(size > 0 && width > 0 && height > 0, "crop of {width}x{height} to {size}");
    let mut halved: Option<RgbImage> = None;
    while width.min(height) >= 2 * size {
        (width, height) = (width / 2, height / 2);
        halved = Some(resize(halved.as_ref().unwrap_or(rgb), width, height, BOX));
    }
    let scale = f64::from(size) / f64::from(width.min(height));
    // Python's `round`: halves go to the even number.
    let scaled = |side: u32| (f64::from(side) * scale).round_ties_even() as u32;
    let (width, height) = (scaled(width), scaled(height));
    let resized = resize(halved.as_ref().unwrap_or(rgb), width, height, BICUBIC);
    imageops::crop_imm(&resized, (width - size) / 2, (height - size) / 2, size, size).to_image()
}

/// The square of `side` pixels whose upper left corner is `(x, y)`, brought to `size`×`size` as by [`centre_crop`]. What
/// lies outside the picture is cut off first: the square is moved in, and made smaller if it must be.
///
/// # Panics
/// If the picture has no pixels or `size` is 0.
pub fn square_crop(rgb: &RgbImage, x: u32, y: u32, side: u32, size: usize) -> RgbImage {
    let (width, height) = rgb.dimensions();
    let side = side.clamp(1, width.min(height));
    let (x, y) = (x.min(width - side), y.min(height - side));
    centre_crop(&imageops::crop_imm(rgb, x, y, side, side).to_image(), size)
}

/// The whole picture with no side longer than `longest`, to be looked at; smaller ones stay as they are.
///
/// # Panics
/// If the picture has no pixels or `longest` is 0.
pub fn overview(rgb: &RgbImage, longest: u32) -> RgbImage {
    let (width, height) = rgb.dimensions();
    if width.max(height) <= longest {
        return rgb.clone();
    }
    let scale = f64::from(longest) / f64::from(width.max(height));
    let scaled = |side: u32| ((f64::from(side) * scale).round() as u32).max(1);
    imageops::thumbnail(rgb, scaled(width), scaled(height))
}

fn resize(rgb: &RgbImage, width: u32, height: u32, filter: Filter) -> RgbImage {
    let across = if width == rgb.width() { None } else { Some(rows(rgb, width, filter)) };
    let rgb = across.as_ref().unwrap_or(rgb);
    if height == rgb.height() { rgb.clone() } else { columns(rgb, height, filter) }
}

/// Input positions and weights of one output position.
struct Taps {
    first: usize,
    weights: Vec<i32>,
}

fn taps(input: u32, output: u32, filter: Filter) -> Vec<Taps> {
    let scale = f64::from(input) / f64::from(output);
    let stretch = scale.max(1.0);
    let reach = filter.support * stretch;
    (0..output)
        .map(|at| {
            let centre = (f64::from(at) + 0.5) * scale;
            let first = (centre - reach + 0.5).max(0.0) as usize;
            let last = ((centre + reach + 0.5) as usize).min(input as usize);
            let weight = |x: usize| (filter.weight)((x as f64 - centre + 0.5) / stretch);
            let weights: Vec<f64> = (first..last).map(weight).collect();
            let sum: f64 = weights.iter().sum();
            let fixed = |w: &f64| (w / sum * f64::from(1 << PRECISION)).round() as i32;
            Taps { first, weights: weights.iter().map(fixed).collect() }
        })
        .collect()
}

/// `sum` has [`PRECISION`] fractional bits and one half added.
fn to_byte(sum: i32) -> u8 {
    (sum >> PRECISION).clamp(0, 255) as u8
}

const HALF: i32 = 1 << (PRECISION - 1);

fn rows(rgb: &RgbImage, width: u32, filter: Filter) -> RgbImage {
    let taps = taps(rgb.width(), width, filter);
    let stride = 3 * rgb.width() as usize;
    let mut out = Vec::with_capacity(3 * width as usize * rgb.height() as usize);
    for row in rgb.as_raw().chunks_exact(stride) {
        for tap in &taps {
            let mut sums = [HALF; 3];
            for (pixel, weight) in row[3 * tap.first..].chunks_exact(3).zip(&tap.weights) {
                for (sum, value) in sums.iter_mut().zip(pixel) {
                    *sum += weight * i32::from(*value);
                }
            }
            out.extend(sums.map(to_byte));
        }
    }
    RgbImage::from_raw(width, rgb.height(), out).expect("three bytes a pixel")
}

fn columns(rgb: &RgbImage, height: u32, filter: Filter) -> RgbImage {
    let stride = 3 * rgb.width() as usize;
    let mut out = Vec::with_capacity(stride * height as usize);
    let mut sums = vec![HALF; stride];
    for tap in taps(rgb.height(), height, filter) {
        sums.fill(HALF);
        for (row, weight) in rgb.as_raw()[stride * tap.first..].chunks_exact(stride).zip(&tap.weights) {
            for (sum, value) in sums.iter_mut().zip(row) {
                *sum += weight * i32::from(*value);
            }
        }
        out.extend(sums.iter().map(|sum| to_byte(*sum)));
    }
    RgbImage::from_raw(rgb.width(), height, out).expect("three bytes a pixel")
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::image::Rgb;
    use maetok_tests::Fixture;
    use proptest::prelude::*;

    #[test]
    fn centre_crops_parity() {
        // The reference's note allows two steps a byte.
        const ALLOWED: u8 = 2;
        let misc = Fixture::open("misc.safetensors");
        let crops = misc.entry()["crops"].as_array().expect("crops of misc").clone();
        assert!(!crops.is_empty(), "the reference has no crops");
        for (index, crop) in crops.iter().enumerate() {
            let [height, width, size] = [0, 1, 2].map(|i| crop[i].as_u64().expect("h, w, size") as u32);
            let (shape, bytes) = misc.u8(&format!("crop{index}.in"));
            assert_eq!(shape, [height as usize, width as usize, 3]);
            let picture = RgbImage::from_raw(width, height, bytes).expect("HWC bytes");
            let got = centre_crop(&picture, size as usize);
            misc.assert_bytes(&format!("crop{index}.out"), got.as_raw(), ALLOWED);
        }
    }

    #[test]
    fn a_picture_of_the_right_size_passes_unchanged() {
        let picture = RgbImage::from_fn(32, 32, |x, y| Rgb([x as u8, y as u8, (x * y) as u8]));
        assert_eq!(centre_crop(&picture, 32), picture);
    }

    #[test]
    fn the_cut_is_in_the_middle_and_rounds_down() {
        let picture = RgbImage::from_fn(19, 8, |x, _| Rgb([x as u8; 3]));
        let cut = centre_crop(&picture, 8);
        assert_eq!((cut[(0, 0)][0], cut[(7, 0)][0]), (5, 12));
    }

    #[test]
    fn halving_averages_four_pixels() {
        let picture = RgbImage::from_fn(16, 16, |x, y| Rgb([if (x + y).is_multiple_of(2) { 100 } else { 200 }; 3]));
        assert!(centre_crop(&picture, 8).pixels().all(|p| *p == Rgb([150; 3])));
    }

    proptest! {
        #[test]
        fn any_size_gives_a_square_and_flat_stays_flat(w in 1u32..90, h in 1u32..90, size in 1usize..40, v: [u8; 3]) {
            let cut = centre_crop(&RgbImage::from_pixel(w, h, Rgb(v)), size);
            prop_assert_eq!(cut.dimensions(), (size as u32, size as u32));
            for pixel in cut.pixels() {
                for (a, b) in pixel.0.iter().zip(v) {
                    prop_assert!(a.abs_diff(b) <= 1, "{:?} became {:?}", v, pixel);
                }
            }
        }
    }

    #[test]
    fn an_overview_keeps_the_shape_and_is_no_larger() {
        let side = |width, height| overview(&RgbImage::new(width, height), 64).dimensions();
        assert_eq!([side(640, 320), side(20, 10), side(6400, 1)], [(64, 32), (20, 10), (64, 1)]);
    }

    #[test]
    fn a_square_is_cut_where_it_is_asked_for_and_moved_in_where_it_reaches_out() {
        let rgb = RgbImage::from_fn(20, 10, |x, y| Rgb([x as u8, y as u8, 0]));
        assert_eq!(square_crop(&rgb, 5, 0, 10, 10), centre_crop(&rgb, 10), "the middle");
        assert_eq!(square_crop(&rgb, 3, 2, 8, 8).get_pixel(0, 0), &Rgb([3, 2, 0]));
        let moved = square_crop(&rgb, 400, 400, 8, 8);
        assert_eq!((moved.get_pixel(0, 0), moved.get_pixel(7, 7)), (&Rgb([12, 2, 0]), &Rgb([19, 9, 0])));
        assert_eq!(square_crop(&rgb, 0, 0, u32::MAX, 10), square_crop(&rgb, 0, 0, 10, 10));
        assert_eq!(square_crop(&rgb, 7, 7, 0, 4).dimensions(), (4, 4));
    }
}
