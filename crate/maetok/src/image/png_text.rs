//! A picture as a PNG file with a word about how it was made, and the way back.
//!
//! The word is JSON under the keyword `maetok` in an international text chunk (`iTXt`), before the pixels, where every
//! program that keeps metadata keeps it.

use std::io::Cursor;

use ::image::RgbImage;

use crate::{Error, Result};

/// The chunk's keyword.
const KEYWORD: &str = "maetok";
/// Most bytes of the text that is read: what this project writes has a few hundred.
pub const MAX_TEXT: usize = 64 << 10;

/// The picture as PNG, with `text` inside.
///
/// # Errors
/// [`Error::Picture`] if the encoder refuses, as it does for a picture without pixels.
pub fn encode_png_with(rgb: &RgbImage, text: &str) -> Result<Vec<u8>> {
    let wrong = |e: png::EncodingError| Error::picture(format!("The picture could not be written as PNG: {e}"));
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, rgb.width(), rgb.height());
    encoder.set_color(png::ColorType::Rgb);
    encoder.add_itxt_chunk(KEYWORD.into(), text.into()).map_err(wrong)?;
    let mut writer = encoder.write_header().map_err(wrong)?;
    writer.write_image_data(rgb.as_raw()).map_err(wrong)?;
    writer.finish().map_err(wrong)?;
    Ok(file)
}

/// The text that [`encode_png_with`] put into a file; `None` if it is no PNG or holds none, or a chunk is so large that it
/// is not ours.
///
/// # Errors
/// [`Error::Picture`] if the text is longer than [`MAX_TEXT`], or damaged.
pub fn png_text(file: &[u8]) -> Result<Option<String>> {
    let limits = png::Limits { bytes: 4 * MAX_TEXT };
    let Ok(reader) = png::Decoder::new_with_limits(Cursor::new(file), limits).read_info() else {
        return Ok(None);
    };
    let Some(mut chunk) = reader.info().utf8_text.iter().find(|chunk| chunk.keyword == KEYWORD).cloned() else {
        return Ok(None);
    };
    let wrong = || Error::picture("The settings inside the PNG file are damaged or too long");
    chunk.decompress_text_with_limit(MAX_TEXT).map_err(|_| wrong())?;
    let text = chunk.get_text().map_err(|_| wrong())?;
    if text.len() > MAX_TEXT { Err(wrong()) } else { Ok(Some(text)) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::image::{decode, encode_png};

    fn picture() -> RgbImage {
        RgbImage::from_fn(9, 8, |x, y| ::image::Rgb([x as u8 * 20, y as u8 * 30, 7]))
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again_and_the_pixels_are_the_same(text in "[^\u{0}]{0,300}") {
            let file = encode_png_with(&picture(), &text).unwrap();
            prop_assert_eq!(png_text(&file).unwrap(), Some(text));
            prop_assert_eq!(decode(&file).unwrap().rgb, picture());
        }

        #[test]
        fn no_file_makes_it_panic(mut file in Just(encode_png_with(&picture(), "{}").unwrap()), at: prop::sample::Index, byte: u8) {
            let at = at.index(file.len());
            file[at] = byte;
            let _ = png_text(&file);
            let _ = png_text(&file[..at]);
        }
    }

    #[test]
    fn other_files_hold_nothing() {
        assert_eq!(png_text(&encode_png(&picture()).unwrap()).unwrap(), None);
        assert_eq!(png_text(b"not a picture").unwrap(), None);
        assert_eq!(png_text(b"").unwrap(), None);
    }

    /// Neither what would unpack to a hundred megabytes nor a text that long is handed on.
    #[test]
    fn a_text_that_is_too_long_is_not_read_packed_or_not() {
        let forged = |compressed: bool| {
            let mut file = Vec::new();
            let mut encoder = png::Encoder::new(&mut file, 8, 8);
            encoder.set_color(png::ColorType::Rgb);
            let mut writer = encoder.write_header().unwrap();
            let mut chunk =
                png::text_metadata::ITXtChunk::new(KEYWORD, "9".repeat(if compressed { 100 << 20 } else { 100 << 10 }));
            chunk.compressed = compressed;
            writer.write_text_chunk(&chunk).unwrap();
            writer.write_image_data(&[0; 8 * 8 * 3]).unwrap();
            writer.finish().unwrap();
            file
        };
        for compressed in [true, false] {
            let file = forged(compressed);
            let read = png_text(&file);
            assert!(matches!(read, Err(_) | Ok(None)), "compressed: {compressed}, {} bytes", file.len());
        }
    }
}
