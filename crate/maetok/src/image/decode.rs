//! Whatever picture a person brings, as 8-bit RGB, or a sentence why not.

use std::io::Cursor;

use ::image::codecs::{gif::GifDecoder, jpeg::JpegDecoder, png::PngDecoder, webp::WebPDecoder};
use ::image::metadata::Orientation;
use ::image::{AnimationDecoder, DynamicImage, ImageDecoder, ImageError, ImageFormat, Limits, Rgb, RgbImage};

use crate::{Error, Result};

/// Smallest side in pixels; below there is nothing to see.
pub const MIN_SIDE: u32 = 8;
/// Largest side in pixels.
pub const MAX_SIDE: u32 = 16_384;
/// Most pixels.
pub const MAX_PIXELS: u64 = 100_000_000;
/// What a decoder may allocate: the largest allowed picture at 16 bits with alpha, and some room.
const MAX_BYTES: u64 = 1 << 30;

/// A decoded picture.
#[derive(Clone, Debug)]
pub struct Picture {
    /// The pixels, upright and opaque.
    pub rgb: RgbImage,
    /// What had to be done to it, each a short phrase for people: "animated: first frame used".
    pub notices: Vec<String>,
}

/// Decodes PNG, JPEG, WebP or GIF.
///
/// Of an animation the first frame is taken; transparency is laid on white; CMYK is converted; the rotation that EXIF
/// asks for is applied. Each leaves a notice.
///
/// # Errors
/// [`Error::Picture`] if the bytes are no such picture or are cut short, or if a side is outside
/// [`MIN_SIDE`]..=[`MAX_SIDE`] or there are more than [`MAX_PIXELS`]; sizes are checked before pixels are decoded.
pub fn decode(bytes: &[u8]) -> Result<Picture> {
    match format(bytes)? {
        ImageFormat::Png => {
            let decoder = open("PNG", PngDecoder::with_limits(Cursor::new(bytes), memory_limit()))?;
            let animated = decoder.is_apng().unwrap_or(false);
            still("PNG", decoder, animated, false)
        }
        ImageFormat::WebP => {
            let decoder = open("WebP", WebPDecoder::new(Cursor::new(bytes)))?;
            let animated = decoder.has_animation();
            still("WebP", decoder, animated, false)
        }
        ImageFormat::Gif => gif(bytes),
        _ => {
            let cmyk = jpeg_components(bytes) == Some(4);
            let decoder = open("JPEG", JpegDecoder::new(Cursor::new(bytes)))?;
            check_size(&decoder)?;
            // The decoder fills what is missing with grey; half a picture is not what was meant.
            if !jpeg_is_complete(bytes) {
                return Err(cut_short("JPEG"));
            }
            still("JPEG", decoder, false, cmyk)
        }
    }
}

/// The format by the first bytes, if it is one of the four.
fn format(bytes: &[u8]) -> Result<ImageFormat> {
    const READABLE: &str = "PNG, JPEG, WebP and GIF can be read";
    if bytes.is_empty() {
        return Err(Error::picture("The file is empty"));
    }
    let named = |name: &str| Err(Error::picture(format!("This is a picture of the kind {name}, but only {READABLE}")));
    match ::image::guess_format(bytes) {
        Ok(format @ (ImageFormat::Png | ImageFormat::Jpeg | ImageFormat::WebP | ImageFormat::Gif)) => Ok(format),
        Ok(other) => named(&format!("{other:?}").to_uppercase()),
        Err(_) => {
            let head = &bytes[..bytes.len().min(512)];
            let has = |part: &[u8]| head.windows(part.len()).any(|window| window == part);
            match head {
                _ if head.get(4..8) == Some(b"ftyp") && (has(b"heic") || has(b"mif1")) => named("HEIC"),
                _ if has(b"<svg") => named("SVG"),
                _ => Err(Error::picture(format!("This file is not a picture that can be read ({READABLE})"))),
            }
        }
    }
}

/// Against headers that promise more than they hold. Sides are left to [`check_size`], which names them.
fn memory_limit() -> Limits {
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(MAX_BYTES);
    limits
}

fn open<D: ImageDecoder>(format: &str, decoder: Result<D, ImageError>) -> Result<D> {
    decoder.map_err(|e| unreadable(format, &e))
}

fn check_size(decoder: &impl ImageDecoder) -> Result<()> {
    let (width, height) = decoder.dimensions();
    let refuse = |why: String| Err(Error::picture(format!("The picture is {width}×{height} pixels; {why}")));
    if width.min(height) < MIN_SIDE {
        return refuse(format!("both sides must have at least {MIN_SIDE}"));
    }
    if width.max(height) > MAX_SIDE {
        return refuse(format!("neither side may have more than {MAX_SIDE}"));
    }
    if u64::from(width) * u64::from(height) > MAX_PIXELS {
        return refuse(format!("it may have at most {} million in all", MAX_PIXELS / 1_000_000));
    }
    Ok(())
}

fn still(format: &str, mut decoder: impl ImageDecoder, animated: bool, cmyk: bool) -> Result<Picture> {
    check_size(&decoder)?;
    decoder.set_limits(memory_limit()).map_err(|e| unreadable(format, &e))?;
    // A picture whose EXIF block is damaged is shown as it lies.
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let image = DynamicImage::from_decoder(decoder).map_err(|e| unreadable(format, &e))?;
    Ok(finish(image, orientation, animated, cmyk))
}

/// A GIF's frames are patches on a canvas, so the first is composed, and a second is looked for.
fn gif(bytes: &[u8]) -> Result<Picture> {
    let mut decoder = open("GIF", GifDecoder::new(Cursor::new(bytes)))?;
    check_size(&decoder)?;
    decoder.set_limits(memory_limit()).map_err(|e| unreadable("GIF", &e))?;
    let mut frames = decoder.into_frames();
    let first = frames.next().ok_or_else(|| cut_short("GIF"))?.map_err(|e| unreadable("GIF", &e))?;
    let animated = matches!(frames.next(), Some(Ok(_)));
    let image = DynamicImage::ImageRgba8(first.into_buffer());
    Ok(finish(image, Orientation::NoTransforms, animated, false))
}

fn finish(mut image: DynamicImage, orientation: Orientation, animated: bool, cmyk: bool) -> Picture {
    let mut notices = Vec::new();
    let mut notice = |happened: bool, text: &str| {
        if happened {
            notices.push(text.to_owned());
        }
    };
    image.apply_orientation(orientation);
    notice(orientation != Orientation::NoTransforms, "rotated as its EXIF data ask");
    notice(animated, "animated: first frame used");
    notice(cmyk, "CMYK: converted to RGB");
    let rgb = if image.color().has_alpha() {
        let (rgb, transparent) = on_white(&image.into_rgba8());
        notice(transparent, "transparent: laid on white");
        rgb
    } else {
        image.into_rgb8()
    };
    Picture { rgb, notices }
}

/// The picture over white, and whether any of it was transparent.
fn on_white(rgba: &::image::RgbaImage) -> (RgbImage, bool) {
    let over = |value: u8, alpha: u8| {
        let (value, alpha) = (u32::from(value), u32::from(alpha));
        ((value * alpha + 255 * (255 - alpha) + 127) / 255) as u8
    };
    let rgb = RgbImage::from_fn(rgba.width(), rgba.height(), |x, y| {
        let [r, g, b, a] = rgba[(x, y)].0;
        Rgb([r, g, b].map(|value| over(value, a)))
    });
    (rgb, rgba.pixels().any(|p| p[3] < 255))
}

fn cut_short(format: &str) -> Error {
    Error::picture(format!("The {format} picture is cut short"))
}

/// One sentence from a decoder's error, whose own text may run over several.
fn unreadable(format: &str, error: &ImageError) -> Error {
    let eof = |e: &std::io::Error| e.kind() == std::io::ErrorKind::UnexpectedEof;
    let text = error.to_string().to_lowercase();
    match error {
        ImageError::IoError(e) if eof(e) => cut_short(format),
        _ if ["unexpected end", "eof", "exhausted", "not enough bytes"].iter().any(|sign| text.contains(sign)) => {
            cut_short(format)
        }
        ImageError::Limits(_) => Error::picture(format!("The {format} picture would need too much memory")),
        ImageError::Unsupported(_) => {
            Error::picture(format!("The {format} picture uses a variant of the format that cannot be read"))
        }
        _ => Error::picture(format!("The {format} picture is damaged")),
    }
}

/// Walks a JPEG's marker segments; `visit` gets each marker with its payload and says whether to go on. Returns where
/// the walk ended.
fn jpeg_segments(bytes: &[u8], mut visit: impl FnMut(u8, &[u8]) -> bool) -> usize {
    let mut at = 2; // after the start marker
    while let Some(&[0xFF, marker, high, low]) = bytes.get(at..at + 4).and_then(|b| b.first_chunk::<4>()) {
        if marker == 0xFF {
            at += 1; // fill byte
            continue;
        }
        let length = usize::from(u16::from_be_bytes([high, low])).max(2);
        let payload = bytes.get(at + 4..at + 2 + length).unwrap_or(&[]);
        if !visit(marker, payload) {
            break;
        }
        at += 2 + length;
    }
    at
}

/// Number of colour components in the frame header.
fn jpeg_components(bytes: &[u8]) -> Option<u8> {
    let mut components = None;
    jpeg_segments(bytes, |marker, payload| {
        let frame = matches!(marker, 0xC0..=0xCF) && !matches!(marker, 0xC4 | 0xC8 | 0xCC);
        if frame {
            components = payload.get(5).copied();
        }
        !frame
    });
    components
}

/// Whether an end marker follows the first scan. Inside a scan `FF` is always followed by `00` or a restart marker.
fn jpeg_is_complete(bytes: &[u8]) -> bool {
    const START_OF_SCAN: u8 = 0xDA;
    let scan = jpeg_segments(bytes, |marker, _| marker != START_OF_SCAN);
    bytes.get(scan..).is_some_and(|rest| rest.windows(2).any(|pair| pair == [0xFF, 0xD9]))
}
