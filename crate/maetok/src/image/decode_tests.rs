//! Every picture that people bring by mistake gets a picture or one sentence, never a panic.

use std::io::Cursor;

use ::image::codecs::gif::GifEncoder;
use ::image::{DynamicImage, Frame, ImageFormat, Rgb, RgbImage, Rgba, RgbaImage};
use maetok_tests::fixtures;
use proptest::prelude::*;

use super::{Picture, decode, encode_png};
use crate::Error;

/// Left half reddish, right half bluish, as in `tests/fixtures/pictures`.
fn halves() -> RgbImage {
    RgbImage::from_fn(16, 12, |x, _| Rgb(if x < 8 { [200, 40, 40] } else { [40, 60, 200] }))
}

fn encoded(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, format).expect("encodes");
    bytes.into_inner()
}

fn stored(name: &str) -> Vec<u8> {
    std::fs::read(fixtures().join("pictures").join(name)).expect("a stored picture")
}

fn good(bytes: &[u8]) -> Picture {
    decode(bytes).unwrap_or_else(|e| panic!("{e}"))
}

/// The sentence that `bytes` are refused with.
fn refusal(bytes: &[u8]) -> String {
    let error = decode(bytes).expect_err("must be refused");
    assert!(matches!(error, Error::Picture { .. }), "{error:?}");
    let text = error.to_string();
    assert!(text.ends_with('.') && !text.contains('\n') && !text.contains(". "), "{text}");
    text
}

fn near(pixel: Rgb<u8>, want: [u8; 3], allowed: u8) {
    for (a, b) in pixel.0.iter().zip(want) {
        assert!(a.abs_diff(b) <= allowed, "{pixel:?} is not near {want:?}");
    }
}

#[test]
fn all_four_formats_are_read() {
    let image = DynamicImage::ImageRgb8(halves());
    for format in [ImageFormat::Png, ImageFormat::WebP, ImageFormat::Gif, ImageFormat::Jpeg] {
        let picture = good(&encoded(&image, format));
        assert_eq!(picture.rgb.dimensions(), (16, 12), "{format:?}");
        near(picture.rgb[(2, 6)], [200, 40, 40], 12);
        near(picture.rgb[(13, 6)], [40, 60, 200], 12);
        assert!(picture.notices.is_empty(), "{format:?}: {:?}", picture.notices);
    }
}

#[test]
fn sixteen_bit_and_grey_pictures_become_eight_bit_colour() {
    let sixteen = DynamicImage::ImageRgb8(halves()).into_rgb16();
    assert_eq!(good(&encoded(&DynamicImage::ImageRgb16(sixteen), ImageFormat::Png)).rgb, halves());
    let grey = DynamicImage::ImageRgb8(halves()).into_luma8();
    let picture = good(&encoded(&DynamicImage::ImageLuma8(grey), ImageFormat::Jpeg));
    let [r, g, b] = picture.rgb[(2, 2)].0;
    assert!(r == g && g == b);
}

#[test]
fn what_is_not_a_picture_is_refused() {
    assert_eq!(refusal(b""), "The file is empty.");
    let sentence = refusal(b"Dear Sir or Madam, this is a letter.");
    assert_eq!(sentence, "This file is not a picture that can be read (PNG, JPEG, WebP and GIF can be read).");
    assert!(refusal(b"<?xml version='1.0'?><svg xmlns='http://www.w3.org/2000/svg'/>").contains("SVG"));
    assert!(refusal(b"BM\0\0\0\0\0\0\0\0\0\0\0\0").contains("BMP"));
    assert!(refusal(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic").contains("HEIC"));
}

#[test]
fn sizes_outside_the_limits_are_refused_by_their_header() {
    let sized = |w, h| encode_png(&RgbImage::new(w, h)).expect("encodes");
    assert!(refusal(&sized(1, 1)).contains("1×1"));
    assert!(refusal(&sized(7, 300)).contains("7×300"));
    assert!(refusal(&sized(20_000, 10)).contains("20000×10"));
    assert_eq!(good(&sized(8, 16_384)).rgb.dimensions(), (8, 16_384));
    // 16384×16384 of nothing: only the header can be believed, and it is not decoded.
    let mut huge = sized(16, 16);
    huge[16..24].copy_from_slice(&[0, 0, 0x40, 0, 0, 0, 0x40, 0]);
    let crc = crc32(&huge[12..29]);
    huge[29..33].copy_from_slice(&crc.to_be_bytes());
    assert!(refusal(&huge).contains("100 million"));
    let wide = DynamicImage::ImageRgb8(RgbImage::new(20_000, 9));
    for format in [ImageFormat::Jpeg, ImageFormat::Gif] {
        assert!(refusal(&encoded(&wide, format)).contains("20000×9"), "{format:?}");
    }
}

#[test]
fn animations_give_their_first_frame_and_a_notice() {
    let frame = |flip: bool| {
        let image = DynamicImage::ImageRgb8(halves());
        Frame::new(if flip { image.rotate180() } else { image }.into_rgba8())
    };
    let mut gif = Vec::new();
    GifEncoder::new(&mut gif).encode_frames([frame(false), frame(true)]).expect("encodes");
    for (name, bytes) in [("gif", gif), ("webp", stored("animated.webp")), ("png", stored("animated.png"))] {
        let picture = good(&bytes);
        assert_eq!(picture.notices, ["animated: first frame used"], "{name}");
        near(picture.rgb[(2, 2)], [200, 40, 40], 8);
    }
}

#[test]
fn cmyk_jpegs_keep_their_colours() {
    let picture = good(&stored("cmyk.jpg"));
    assert_eq!(picture.notices, ["CMYK: converted to RGB"]);
    near(picture.rgb[(2, 6)], [200, 40, 40], 12);
    near(picture.rgb[(13, 6)], [40, 60, 200], 12);
}

#[test]
fn transparency_is_laid_on_white() {
    let rgba = RgbaImage::from_fn(16, 16, |x, _| Rgba([0, 0, 0, if x < 8 { 0 } else { 128 }]));
    for format in [ImageFormat::Png, ImageFormat::WebP] {
        let picture = good(&encoded(&DynamicImage::ImageRgba8(rgba.clone()), format));
        assert_eq!(picture.notices, ["transparent: laid on white"], "{format:?}");
        assert_eq!([picture.rgb[(0, 0)][0], picture.rgb[(15, 0)][0]], [255, 127]);
    }
    let opaque = DynamicImage::ImageRgb8(halves()).into_rgba8();
    let picture = good(&encoded(&DynamicImage::ImageRgba8(opaque), ImageFormat::Png));
    assert!(picture.notices.is_empty(), "an alpha channel that is full everywhere is no news");
}

#[test]
fn exif_rotation_is_applied() {
    // Orientation 6: the stored rows run down the right edge.
    let picture = good(&stored("exif-6.jpg"));
    assert_eq!(picture.rgb.dimensions(), (12, 16));
    near(picture.rgb[(6, 2)], [200, 40, 40], 12);
    near(picture.rgb[(6, 13)], [40, 60, 200], 12);
    assert_eq!(picture.notices, ["rotated as its EXIF data ask"]);
}

#[test]
fn truncated_pictures_are_refused_wherever_they_end() {
    let noise = RgbImage::from_fn(40, 40, |x, y| Rgb([((x * 37) ^ (y * 11)) as u8, (x * y) as u8, (x + y * 91) as u8]));
    let image = DynamicImage::ImageRgb8(noise);
    for format in [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::WebP, ImageFormat::Gif] {
        let whole = encoded(&image, format);
        for part in [3, 20, 40, whole.len() / 2, whole.len() * 9 / 10] {
            let sentence = refusal(&whole[..part.min(whole.len() - 8)]);
            assert!(!sentence.is_empty(), "{format:?} cut at {part}");
        }
    }
}

#[test]
fn damaged_pictures_do_not_panic() {
    let image = DynamicImage::ImageRgb8(halves());
    let formats = [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::WebP, ImageFormat::Gif];
    let mut wholes: Vec<Vec<u8>> = formats.iter().map(|f| encoded(&image, *f)).collect();
    wholes.extend(["cmyk.jpg", "exif-6.jpg", "animated.webp", "animated.png"].map(stored));
    for whole in wholes {
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 0x55;
            // Either is fine; one sentence if refused.
            if let Err(error) = decode(&damaged) {
                assert!(!error.to_string().contains('\n'), "{error}");
            }
        }
    }
}

#[test]
fn png_encoding_of_nothing_is_an_error_not_a_panic() {
    assert!(encode_png(&RgbImage::new(0, 0)).is_err());
}

/// CRC-32 as PNG has it, bit by bit.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { (crc >> 1) ^ 0xEDB8_8320 } else { crc >> 1 })
    })
}

proptest! {
    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600), kind in 0usize..5) {
        let heads: [&[u8]; 5] = [
            b"", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", b"\xff\xd8\xff\xe0", b"RIFF\x40\0\0\0WEBPVP8 ", b"GIF89a\x10\0\x10\0\x80",
        ];
        let _ = decode(&[heads[kind], &bytes].concat());
    }
}
