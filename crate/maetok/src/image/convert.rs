//! Between bytes and the model's numbers.

use ::image::{ImageEncoder, Rgb, RgbImage};

use crate::{Error, Result};

/// The model's input of a picture: `[3, H, W]`, `(v/255 - 0.5) / 0.5`, so from -1 to 1.
pub fn to_planes(rgb: &RgbImage) -> Vec<f32> {
    let plane = |channel: usize| rgb.pixels().map(move |p| (f32::from(p[channel]) / 255.0 - 0.5) / 0.5);
    (0..3).flat_map(plane).collect()
}

/// How a number of a picture becomes a byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rounding {
    /// Of what was generated: [`generated_byte`].
    Generated,
    /// Of what was reconstructed: [`reconstruction_byte`].
    Reconstructed,
}

impl Rounding {
    /// The byte of a number.
    pub fn byte(self, value: f32) -> u8 {
        match self {
            Self::Generated => generated_byte(value),
            Self::Reconstructed => reconstruction_byte(value),
        }
    }
}

/// The byte of a generated value: clamped to -1..1, mapped to 0..255, truncated.
pub fn generated_byte(value: f32) -> u8 {
    ((value.clamp(-1.0, 1.0) + 1.0) / 2.0 * 255.0) as u8
}

/// The byte of a reconstructed value as the official scoring has it: `127.5 v + 128`, clamped to 0..255, truncated.
pub fn reconstruction_byte(value: f32) -> u8 {
    (127.5 * value + 128.0).clamp(0.0, 255.0) as u8
}

/// A generated picture from `[3, size, size]`, each value by [`generated_byte`].
///
/// # Panics
/// If there are not `3 * size * size` values.
pub fn generated_to_bytes(planes: &[f32], size: usize) -> RgbImage {
    from_planes(planes, size, Rounding::Generated)
}

/// A reconstruction from `[3, size, size]`, each value by [`reconstruction_byte`].
///
/// # Panics
/// If there are not `3 * size * size` values.
pub fn reconstruction_to_bytes(planes: &[f32], size: usize) -> RgbImage {
    from_planes(planes, size, Rounding::Reconstructed)
}

/// A picture from `[3, size, size]`.
///
/// # Panics
/// If there are not `3 * size * size` values.
pub fn from_planes(planes: &[f32], size: usize, rounding: Rounding) -> RgbImage {
    assert_eq!(planes.len(), 3 * size * size, "planes of a {size}x{size} picture");
    let side = u32::try_from(size).expect("a side below 2^32");
    RgbImage::from_fn(side, side, |x, y| {
        let at = y as usize * size + x as usize;
        Rgb([0, 1, 2].map(|channel| rounding.byte(planes[channel * size * size + at])))
    })
}

/// A picture from `[size, size]` pixels of RGBA, the red byte lowest.
///
/// # Panics
/// If there are not `size * size` pixels.
pub fn from_pixels(pixels: &[i32], size: usize) -> RgbImage {
    assert_eq!(pixels.len(), size * size, "pixels of a {size}x{size} picture");
    let side = u32::try_from(size).expect("a side below 2^32");
    RgbImage::from_fn(side, side, |x, y| {
        let [red, green, blue, _] = pixels[y as usize * size + x as usize].to_le_bytes();
        Rgb([red, green, blue])
    })
}

/// The picture as PNG.
///
/// # Errors
/// [`Error::Picture`] if the encoder refuses, as it does for a picture without pixels.
pub fn encode_png(rgb: &RgbImage) -> Result<Vec<u8>> {
    let mut png = Vec::new();
    ::image::codecs::png::PngEncoder::new(&mut png)
        .write_image(rgb.as_raw(), rgb.width(), rgb.height(), ::image::ExtendedColorType::Rgb8)
        .map_err(|e| Error::picture(format!("The picture could not be written as PNG: {e}")))?;
    Ok(png)
}

/// Tiles in rows of `columns`, on white, `gap` pixels apart and around; every cell is as large as the largest tile.
pub fn grid(tiles: &[RgbImage], columns: usize, gap: u32) -> RgbImage {
    let columns = columns.clamp(1, tiles.len().max(1));
    let rows = tiles.len().div_ceil(columns);
    let largest = |side: fn(&RgbImage) -> u32| tiles.iter().map(side).max().unwrap_or(0);
    let (width, height) = (largest(RgbImage::width), largest(RgbImage::height));
    let total = |count: usize, side: u32| count as u32 * (side + gap) + gap;
    let mut sheet = RgbImage::from_pixel(total(columns, width), total(rows, height), Rgb([255; 3]));
    for (at, tile) in tiles.iter().enumerate() {
        let (column, row) = ((at % columns) as u32, (at / columns) as u32);
        let (x, y) = (gap + column * (width + gap), gap + row * (height + gap));
        ::image::imageops::replace(&mut sheet, tile, i64::from(x), i64::from(y));
    }
    sheet
}

#[cfg(test)]
mod tests {
    use super::*;
    use maetok_tests::Fixture;

    #[test]
    fn both_byte_conversions_parity() {
        let misc = Fixture::open("misc.safetensors");
        let (_, input) = misc.f32("bytes.in");
        let convert = |byte: fn(f32) -> u8| input.iter().map(|v| byte(*v)).collect::<Vec<u8>>();
        misc.assert_bytes("bytes.generate", &convert(generated_byte), 0);
        misc.assert_bytes("bytes.reconstruct", &convert(reconstruction_byte), 0);
    }

    #[test]
    fn bytes_survive_the_way_to_the_model_and_back() {
        let picture = RgbImage::from_fn(16, 16, |x, y| Rgb([(x * 16 + y) as u8, (y * 16 + x) as u8, 255 - x as u8]));
        let planes = to_planes(&picture);
        assert_eq!(planes.len(), 3 * 16 * 16);
        assert_eq!(reconstruction_to_bytes(&planes, 16), picture);
        // Truncation may lose one step where the way back is not exact in f32.
        for (a, b) in generated_to_bytes(&planes, 16).iter().zip(picture.iter()) {
            assert!(b - a <= 1, "{b} became {a}");
        }
    }

    #[test]
    fn pixels_are_read_red_first_and_their_alpha_is_nothing() {
        let picture = from_pixels(&[0x00_03_02_01, i32::from_le_bytes([255, 254, 253, 255]), 0, -1], 2);
        assert_eq!(picture.as_raw(), &[1, 2, 3, 255, 254, 253, 0, 0, 0, 255, 255, 255]);
    }

    #[test]
    fn planes_are_channel_first_from_minus_one_to_one() {
        let picture = RgbImage::from_raw(2, 1, vec![0, 255, 0, 255, 0, 0]).expect("two pixels");
        assert_eq!(to_planes(&picture), [-1.0, 1.0, 1.0, -1.0, -1.0, -1.0]);
    }

    #[test]
    fn values_outside_the_range_are_clamped_and_nan_is_black() {
        for byte in [generated_byte, reconstruction_byte] {
            assert_eq!([byte(-9.0), byte(9.0), byte(f32::INFINITY), byte(f32::NAN)], [0, 255, 255, 0]);
        }
    }

    #[test]
    fn a_grid_holds_every_tile_in_reading_order() {
        let tile = |v: u8| RgbImage::from_pixel(3, 2, Rgb([v; 3]));
        let sheet = grid(&[tile(1), tile(2), tile(3)], 2, 1);
        assert_eq!(sheet.dimensions(), (2 * 4 + 1, 2 * 3 + 1));
        assert_eq!([sheet[(1, 1)], sheet[(5, 1)], sheet[(1, 4)]].map(|p| p[0]), [1, 2, 3]);
        assert_eq!(sheet[(0, 0)][0], 255);
        assert_eq!(sheet[(5, 4)][0], 255, "an unused cell is white");
        assert_eq!(grid(&[], 4, 2).dimensions(), (2 + 2, 2));
    }

    #[test]
    fn a_png_holds_the_same_pixels() {
        let picture = RgbImage::from_fn(9, 12, |x, y| Rgb([x as u8, y as u8, 7]));
        let png = encode_png(&picture).expect("encodes");
        assert_eq!(crate::image::decode(&png).expect("decodes").rgb, picture);
    }
}
